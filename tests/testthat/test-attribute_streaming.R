# deep_lift_shap(output = ): equal to one call in memory, whatever happens on the way.

skip_without_hdf5 <- function() {
  for (package in c("rhdf5", "HDF5Array", "DelayedArray")) {
    skip_if_not_installed(package)
  }
}

# A function that makes references and notes in `log` for which sequence; it fails as long as the
# file `stop_at` holds that sequence, and waits `seconds`.
noting <- function(log, stop_at = "", seconds = 0) {
  function(X, n, random_state) {
    text <- seqlift::decode_one_hot(X)
    if (file.exists(stop_at) && identical(readLines(stop_at), unname(text))) {
      stop("no reference for this one")
    }
    cat(text, "\n", sep = "", file = log, append = TRUE)
    Sys.sleep(seconds)
    seqlift::dinucleotide_shuffle(X, n = n, random_state = random_state)
  }
}

notes <- function(log) if (file.exists(log)) readLines(log) else character()

# A call that fails at sequence `at` as long as `stop_at` is there.
failing_at <- function(X, at, env = parent.frame()) {
  folder <- new_folder(env)
  log <- file.path(folder, "log")
  stop_at <- file.path(folder, "stop")
  writeLines(X[at], stop_at)
  list(
    path = file.path(folder, "scores.h5"), log = log, stop_at = stop_at,
    references = noting(log, stop_at)
  )
}

parts_done <- function(path) list.files(paste0(path, ".parts"), "^chunk-[0-9]+\\.rds$")

many_sequences <- function(n) {
  X <- decode_one_hot(random_one_hot(c(2L * n + 10L, 4, 12), random_state = 5))
  fixed <- tryCatch(dinucleotide_shuffle(X, n = 2L), seqlift_error_shuffle = function(error) {
    error$sequences
  })
  X[-fixed][seq_len(n)]
}

in_memory <- function(X, ..., random_state = 3) {
  deep_lift_shap(test_model("tiny"), X,
    n_shuffles = 2L, random_state = random_state, batch_size = 2L, dtype = "float64", ...
  )
}

same_numbers <- function(stored, result) {
  expect_identical(as.array(stored), as.array(result))
  expect_identical(convergence_deltas(stored), convergence_deltas(result))
}

test_that("a streamed result is that of one call, and nothing but the file is left", {
  skip_without_hdf5()
  folder <- new_folder()
  path <- file.path(folder, "scores.h5")
  X <- many_sequences(66L)
  names(X) <- paste0("region", seq_along(X))
  stored <- in_memory(X, hypothetical = TRUE, return_references = TRUE, output = path)
  expect_s3_class(stored, "seqlift_h5_attributions")
  result <- in_memory(X, hypothetical = TRUE, return_references = TRUE)
  same_numbers(stored, result)
  expect_identical(references(stored[60:66, , ]), references(result)[60:66, , , ])
  expect_identical(attr(stored[65, , ], "X"), attr(result[65, , ], "X"))
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), "scores.h5")
  same_numbers(
    in_memory(one_hot_encode(X), hypothetical = TRUE, output = file.path(folder, "b.h5")),
    in_memory(X, hypothetical = TRUE)
  )
})

test_that("the sequences may be a DNAStringSet, and the numbers multipliers of several targets", {
  skip_without_hdf5()
  skip_if_not_installed("Biostrings")
  path <- file.path(new_folder(), "scores.h5")
  X <- stats::setNames(many_sequences(5L), letters[1:5])
  stored <- in_memory(Biostrings::DNAStringSet(X), target = 1:2, raw_outputs = TRUE, output = path)
  result <- in_memory(X, target = 1:2, raw_outputs = TRUE)
  same_numbers(stored, result)
  expect_identical(as.array(stored[c("d", "a"), , , , ]), as.array(result[c("d", "a"), , , , ]))
})

test_that("after an error the chunks that are done are not done again", {
  skip_without_hdf5()
  X <- many_sequences(6L)
  failing <- failing_at(X, 5L)
  path <- failing$path
  f <- failing$references
  error <- expect_error(
    in_memory(X, references = f, output = path), class = "seqlift_error_references"
  )
  expect_match(conditionMessage(error), "sequences 5 to 5")
  expect_length(parts_done(path), 4L)
  expect_false(file.exists(path))
  # What a kill leaves that comes while the file is put together.
  writeLines("half", file.path(paste0(path, ".parts"), "whole.h5"))
  unlink(failing$stop_at)
  stored <- in_memory(X, references = f, output = path)
  expect_identical(notes(failing$log), rep(X, each = 2L))
  same_numbers(stored, in_memory(X))
})

# Runs the call in another process; `until(path, log)` says when it is stopped by `how(process)`.
stop_child <- function(X, path, log, until, how, seconds, ...) {
  child <- callr::r_bg(function(X, path, references, model, ...) {
    seqlift::deep_lift_shap(seqlift::load_model(model), X,
      references = references, n_shuffles = 2L, batch_size = 2L, dtype = "float64", output = path,
      ...
    )
    TRUE
  }, list(
    X = X, path = path, references = noting(log, seconds = seconds),
    model = normalizePath(model_path("tiny")), ...
  ), libpath = .libPaths())
  while (child$is_alive() && !until()) {
    Sys.sleep(0.01)
  }
  how(child)
  child$wait(20000)
  child
}

test_that("killed at random moments it goes on where it was, with the seed of the first call", {
  skip_without_hdf5()
  skip_if_not_installed("callr")
  folder <- new_folder()
  path <- file.path(folder, "scores.h5")
  log <- file.path(folder, "log")
  X <- many_sequences(24L)
  done <- 0L
  for (kill in 1:3) {
    before <- notes(log)
    stop_child(X, path, log, function() length(notes(log)) >= length(before) + 9L, function(child) {
      Sys.sleep(stats::runif(1L, 0, 0.03))
      child$kill()
    }, seconds = 0.01, random_state = NULL)
    expect_false(file.exists(path))
    # Four chunks more, and none of those that were there again.
    expect_false(any(X[seq_len(done)] %in% utils::tail(notes(log), -length(before))))
    expect_gte(length(parts_done(path)), done + 4L)
    done <- length(parts_done(path))
  }
  before <- notes(log)
  f <- noting(log, seconds = 0.01)
  stored <- in_memory(X, references = f, random_state = NULL, output = path)
  expect_identical(notes(log)[-seq_along(before)], rep(X[-seq_len(done)], each = 2L))
  seed <- attr(stored[1, , ], "info")$random_state
  same_numbers(stored, in_memory(X, random_state = seed))
  expect_false(dir.exists(paste0(path, ".parts")))
})

test_that("an interrupt leaves what can be resumed", {
  skip_without_hdf5()
  skip_if_not_installed("callr")
  skip_on_os("windows")
  folder <- new_folder()
  path <- file.path(folder, "scores.h5")
  log <- file.path(folder, "log")
  X <- many_sequences(8L)
  child <- stop_child(X, path, log, function() length(notes(log)) >= 6L,
    function(child) child$interrupt(),
    seconds = 0.2, random_state = 3
  )
  expect_false(isTRUE(tryCatch(child$get_result(), error = function(error) NULL)))
  done <- length(parts_done(path))
  expect_gte(done, 2L)
  expect_lt(done, 8L)
  before <- notes(log)
  stored <- in_memory(X, references = noting(log, seconds = 0.2), output = path)
  expect_identical(notes(log)[-seq_along(before)], rep(X[-seq_len(done)], each = 2L))
  same_numbers(stored, in_memory(X))
})

test_that("another call is refused and told what differs; the same one is done already", {
  skip_without_hdf5()
  X <- many_sequences(6L)
  failing <- failing_at(X, 3L)
  path <- failing$path
  log <- failing$log
  f <- failing$references
  first <- function(X = many_sequences(6L), ...) in_memory(X, ..., output = path)
  refused <- function(..., names) {
    expect_error(first(...), names, class = "seqlift_error_resume")
  }
  compare <- function() {
    refused(references = f, hypothetical = TRUE, names = "`hypothetical` differs")
    refused(references = noting("other"), names = "`references` differs")
    refused(references = f, X = rev(X), names = "`X` differs")
    refused(references = f, X = stats::setNames(X, X), names = "`X` differs")
    refused(references = f, random_state = 4, names = "`random_state` differs")
    refused(references = f, target = 2L, fallback = "integrate", names = "`fallback` and `target`")
    expect_error(
      deep_lift_shap(test_model("scaled"), X,
        references = f, n_shuffles = 2L, random_state = 3, batch_size = 2L, dtype = "float64",
        output = path
      ), "`model` differs",
      class = "seqlift_error_resume"
    )
  }
  expect_error(first(references = f), class = "seqlift_error_references")
  compare()
  unlink(failing$stop_at)
  stored <- first(references = f, target = 1)
  compare()
  noted <- length(notes(log))
  again <- first(references = f, rules = "operator", random_state = NULL)
  expect_length(notes(log), noted)
  same_numbers(again, stored[, , ])
})

test_that("what another session did with a model made of others is done already", {
  skip_without_hdf5()
  path <- file.path(new_folder(), "scores.h5")
  arguments <- list(many_sequences(4L), n_shuffles = 2L, random_state = 3, output = path)
  made <- function(path, arguments) {
    model <- seqlift::reverse_complement_average(seqlift::load_model(path))
    do.call(seqlift::deep_lift_shap, c(list(model), arguments))
  }
  file <- normalizePath(model_path("tiny"))
  in_new_session(function(made, ...) invisible(made(...)), list(made, file, arguments))
  written <- file.mtime(path)
  expect_s3_class(made(file, arguments), "seqlift_h5_attributions")
  expect_identical(file.mtime(path), written)
})

test_that("a chunk that was damaged is computed again", {
  skip_without_hdf5()
  X <- many_sequences(4L)
  failing <- failing_at(X, 4L)
  path <- failing$path
  f <- failing$references
  expect_error(in_memory(X, references = f, output = path), class = "seqlift_error_references")
  part <- file.path(paste0(path, ".parts"), parts_done(path)[2])
  writeBin(readBin(part, "raw", 200L), part)
  unlink(failing$stop_at)
  same_numbers(in_memory(X, references = f, output = path), in_memory(X))
})

test_that("ten times as many sequences take no more memory", {
  skip_without_hdf5()
  skip_if_not_installed("callr")
  skip_on_cran()
  skip_if_not(file.exists("/proc/self/status"), "there is no /proc on this system")
  # Multipliers and references of 2000 sequences of 12 bp are 154 MB in memory.
  peaks <- callr::r(function(model, X) {
    model <- seqlift::load_model(model)
    vapply(c(200L, 2000L), function(n) {
      seqlift::deep_lift_shap(model, rep_len(X, n),
        n_shuffles = 50L, raw_outputs = TRUE, return_references = TRUE, random_state = 0,
        batch_size = 50L, output = tempfile(fileext = ".h5")
      )
      peak <- grep("^VmHWM", readLines("/proc/self/status"), value = TRUE)
      as.numeric(gsub("[^0-9]", "", peak)) / 1024
    }, numeric(1L))
  }, list(normalizePath(model_path("tiny")), unname(test_sequences(5L))), libpath = .libPaths())
  # In MB; what grows is chunks of 32 sequences in place of 4, and garbage between collections, of
  # which each chunk leaves several copies: it is written with a checksum and read back.
  expect_lt(diff(peaks), 110)
})

test_that("workers write the chunks", {
  skip_without_hdf5()
  skip_if_not_installed("BiocParallel")
  folder <- new_folder()
  path <- file.path(folder, "scores.h5")
  X <- many_sequences(9L)
  workers <- BiocParallel::SnowParam(2L)
  stored <- in_memory(X, output = path, BPPARAM = workers)
  same_numbers(stored, in_memory(X))
  expect_identical(list.files(folder), "scores.h5")
})

test_that("what cannot be done is refused before a folder is made", {
  skip_without_hdf5()
  folder <- new_folder()
  path <- file.path(folder, "scores.h5")
  X <- many_sequences(5L)
  expect_error(in_memory(X, output = folder), "is a folder", class = "seqlift_error_file")
  expect_error(in_memory(c(X, "ACGT"), output = path),
    "Sequence 1 has 12 letters, sequence 6 has 4",
    class = "seqlift_error_sequence"
  )
  expect_error(in_memory(1:3, output = path), class = "seqlift_error_sequence")
  expect_error(in_memory(X, output = 1), "output", class = "seqlift_error_argument")
  expect_error(in_memory(X, output = path, args = list(array(1, c(3, 2, 12)))),
    class = "seqlift_error_args"
  )
  expect_identical(list.files(folder), character())
})

test_that("many sequences are read part by part, and a wrong one is told by its number", {
  X <- many_sequences(10L)
  parts <- scan_sequences(X, TRUE, FALSE, environment(), at_once = 4L)
  expect_identical(parts[c("n", "length")], list(n = 10L, length = 12L))
  expect_false(parts$hash == scan_sequences(rev(X), TRUE, FALSE, environment(), at_once = 4L)$hash)
  X[9] <- "ACGTXACGTACG"
  expect_error(scan_sequences(X, TRUE, FALSE, environment(), at_once = 4L), "Sequence 9",
    class = "seqlift_error_sequence"
  )
  X[9] <- "ACGT"
  expect_error(scan_sequences(X, TRUE, FALSE, environment(), at_once = 4L), "sequence 9 has 4",
    class = "seqlift_error_sequence"
  )
})

test_that("chunks hold whole batches, few enough numbers, and work for many workers", {
  size <- function(n, ...) {
    given <- utils::modifyList(list(
      target = 1L, raw_outputs = FALSE, return_references = FALSE, n_shuffles = 20L,
      batch_size = 32L, rules = "operator"
    ), list(...))
    stream_chunk_size(given, list(n = n, length = 2114L, channels = 4L))
  }
  expect_identical(size(10), 1)
  expect_identical(size(6400), 100)
  expect_identical(size(1e6), 256)
  expect_identical(size(1e6, rules = "module"), 256)
  expect_identical(size(10, rules = "module"), 8)
  expect_lte(size(1e6, raw_outputs = TRUE) * 20 * 4 * 2114, doubles_at_once)
})
