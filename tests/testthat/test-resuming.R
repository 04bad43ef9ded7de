# What works chunk by chunk into a file: killed by the system at any step, with a bit flipped in a
# chunk that was done, or with settings that are damaged, the same call gives the same bits.

# Each: the packages it needs, the call (which runs in a process of its own too), and what is read
# of its file.
resumable <- function() {
  hdf5 <- c("rhdf5", "HDF5Array", "DelayedArray")
  list(
    deep_lift_shap = list(
      packages = hdf5,
      run = function(path, given) {
        seqlift::deep_lift_shap(seqlift::load_model(given$tiny), given$X,
          n_shuffles = 2L, random_state = 3, batch_size = 2L, dtype = "float64", output = path
        )
      },
      read = function(path) {
        found <- read_h5(path)
        list(as.array(found), convergence_deltas(found), attr(found, "X"))
      }
    ),
    score_variants = list(
      packages = c("Biostrings", "GenomicRanges"),
      run = function(path, given) {
        model <- seqlift::with_args(seqlift::load_model(given$heads), list(control_track = 0))
        seqlift::score_variants(model, given$variants, given$genome,
          width = 24, null = 4, random_state = 6, output = path
        )
      },
      read = readLines
    ),
    call_hits = list(
      packages = character(),
      run = function(path, given) {
        seqlift::call_hits(given$scores, given$motifs, given$letters, output = path)
      },
      read = function(path) as.data.frame(readRDS(path))
    )
  )
}

given <- local({
  set.seed(5)
  n <- 12L
  codes <- matrix(sample.int(4L, n * 40L, replace = TRUE), n)
  letters <- array(0, c(n, 4L, 40L))
  letters[cbind(rep(seq_len(n), 40L), c(codes), rep(1:40, each = n))] <- 1
  list(
    tiny = normalizePath(model_path("tiny")), heads = normalizePath(model_path("two_heads")),
    X = unname(rep(test_sequences(5L), length.out = 6L)), letters = letters,
    scores = letters * array(rnorm(n * 160L), c(n, 4L, 40L)),
    motifs = lapply(list(gata = c(3, 1, 4, 1), other = c(2, 1, 2, 2)), function(letters) {
      diag(4L)[, letters] * rep(c(0.9, 1.2, 1, 1.1), each = 4L)
    }),
    variants = if (requireNamespace("Biostrings", quietly = TRUE)) several_variants(),
    genome = if (requireNamespace("Biostrings", quietly = TRUE)) variant_genome()
  )
})

# Chunks of a few sequences or variants, here and in a child.
small_chunks <- list(most_in_chunk = 2L, hit_block = 3 * 4 * 40)

with_small_chunks <- function(code) {
  with_replaced("most_in_chunk", small_chunks$most_in_chunk,
    with_replaced("hit_block", small_chunks$hit_block, code)
  )
}

# A process that the system ends without a word when it has written the file number `at` and not yet
# given it its name. The first file is the settings, then come the chunks.
killed <- function(run, path, at) {
  child <- callr::r_bg(function(run, path, given, at, small) {
    space <- asNamespace("seqlift")
    put <- function(name, value) {
      unlockBinding(name, space)
      assign(name, value, space)
    }
    for (name in names(small)) {
      put(name, small[[name]])
    }
    count <- 0L
    own <- space$check_on_disk
    put("check_on_disk", function(path) {
      count <<- count + 1L
      if (count == at) tools::pskill(Sys.getpid(), tools::SIGKILL)
      own(path)
    })
    run(path, given)
  }, list(run, path, given, at, small_chunks), libpath = .libPaths())
  child$wait(120000)
  expect_false(child$is_alive())
  child$get_exit_status()
}

writers_here <- function() {
  Filter(function(writer) {
    all(vapply(writer$packages, requireNamespace, NA, quietly = TRUE))
  }, resumable())
}

parts_of <- function(path) {
  list.files(paste0(path, ".parts"), "^chunk-[0-9]+[.]rds$", full.names = TRUE)
}

settings_of <- function(path) file.path(paste0(path, ".parts"), "settings.rds")

flip_bit <- function(path, at = file.size(path) %/% 2) {
  bytes <- readBin(path, "raw", file.size(path))
  bytes[at] <- xor(bytes[at], as.raw(4L))
  writeBin(bytes, path)
}

# How many chunks a call computes.
counting <- function(code) {
  count <- 0L
  own <- save_part
  with_replaced("save_part", function(value, file) {
    count <<- count + 1L
    own(value, file)
  }, force(code))
  count
}

test_that("killed while any file is written, a call goes on to the same bits and leaves nothing", {
  skip_if_not_installed("callr")
  skip_on_os("windows")
  for (name in names(writers_here())) {
    writer <- resumable()[[name]]
    folder <- new_folder()
    path <- file.path(folder, "whole.out")
    chunks <- counting(with_small_chunks(writer$run(path, given)))
    expect_gte(chunks, 4L, label = paste("chunks of", name))
    expected <- writer$read(path)
    # The settings, the first chunk, the last one.
    for (at in c(1L, 2L, chunks + 1L)) {
      path <- file.path(folder, paste0("killed", at, ".out"))
      expect_identical(killed(writer$run, path, at), -9L, info = paste(name, at))
      expect_false(file.exists(path))
      expect_length(parts_of(path), max(0L, at - 2L))
      left <- counting(with_small_chunks(suppressMessages(writer$run(path, given))))
      expect_identical(left, chunks - max(0L, at - 2L), info = paste(name, at))
      expect_identical(writer$read(path), expected, info = paste(name, at))
    }
    expect_setequal(list.files(folder, all.files = TRUE, no.. = TRUE),
      c("whole.out", paste0("killed", c(1L, 2L, chunks + 1L), ".out"))
    )
    unlink(folder, recursive = TRUE)
  }
})

test_that("a flipped bit and damaged settings are seen, and what they hold computed anew", {
  skip_if_not_installed("callr")
  skip_on_os("windows")
  damage <- list(
    `bit of a chunk` = function(path) flip_bit(parts_of(path)[2L]),
    `bit of a checksum` = function(path) flip_bit(parts_of(path)[1L], 3L),
    `last bit of a chunk` = function(path) {
      flip_bit(parts_of(path)[1L], file.size(parts_of(path)[1L]))
    },
    `bit of the settings` = function(path) flip_bit(settings_of(path)),
    `cut settings` = function(path) {
      file <- settings_of(path)
      writeBin(readBin(file, "raw", file.size(file) - 7L), file)
    },
    `empty settings` = function(path) file.create(settings_of(path))
  )
  for (name in names(writers_here())) {
    writer <- resumable()[[name]]
    folder <- new_folder()
    whole <- file.path(folder, "whole.out")
    chunks <- counting(with_small_chunks(writer$run(whole, given)))
    expected <- writer$read(whole)
    # All chunks are there; what is missing is the file.
    finished <- file.path(folder, "finished.out")
    expect_identical(killed(writer$run, finished, chunks + 2L), -9L)
    expect_length(parts_of(finished), chunks)
    for (what in names(damage)) {
      path <- file.path(folder, paste0(gsub(" ", "_", what), ".out"))
      dir.create(paste0(path, ".parts"))
      file.copy(list.files(paste0(finished, ".parts"), full.names = TRUE), paste0(path, ".parts"))
      damage[[what]](path)
      anew <- counting(expect_message(with_small_chunks(writer$run(path, given)),
        class = "seqlift_message_restart"
      ))
      expect_identical(anew, if (grepl("settings", what)) chunks else 1L, info = paste(name, what))
      expect_identical(writer$read(path), expected, info = paste(name, what))
      expect_false(dir.exists(paste0(path, ".parts")), info = paste(name, what))
    }
    unlink(folder, recursive = TRUE)
  }
})
