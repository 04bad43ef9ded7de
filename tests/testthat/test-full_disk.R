# A disk without room, where nobody needs to be root: a process whose files may be only so long gets
# an error from every further byte, as on a full disk. `prlimit` sets that limit from outside and
# takes it away again; with the signal ignored, which would end the process, the writes fail.

skip_without_limits <- function() {
  skip_on_os(c("windows", "mac", "solaris"))
  skip_if(!nzchar(Sys.which("prlimit")), "prlimit (util-linux) is not there")
}

# In the process: each writer with room for a share of its file, and for all but the last byte; one
# report of several that are written alike and take seconds, once.
write_without_room <- function(code, folder, out) {
  library(seqlift)
  source(file.path(code, "helper-writers.R"))
  room <- function(bytes) {
    asked <- c(
      "--pid", Sys.getpid(), paste0("--fsize=", format(bytes, scientific = FALSE), ":unlimited")
    )
    stopifnot(system2("prlimit", asked) == 0L)
  }
  writers <- Filter(can_write, c(file_writers(code), folder_writers(code)))
  writers <- writers[setdiff(names(writers), c("attribution_report", "variant_report"))]
  results <- lapply(writers, function(writer) {
    path <- file.path(folder, paste0("file", writer$ending))
    rooms <- 20000
    if (writer$ending != ".html") {
      writer$write(path)
      files <- if (dir.exists(path)) list.files(path, recursive = TRUE, full.names = TRUE) else path
      size <- max(file.size(files))
      rooms <- c(0, trunc(size / 2), size - 1)
      unlink(path, recursive = TRUE)
    }
    lapply(rooms, function(bytes) {
      room(bytes)
      error <- tryCatch(
        {
          writer$write(path)
          NULL
        },
        error = identity
      )
      room("unlimited")
      left <- list.files(folder, all.files = TRUE, recursive = TRUE, no.. = TRUE)
      # What was done of a call with `output` serves the next one.
      left <- grep("[.]parts/chunk-[0-9]+[.]rds$|[.]parts/settings[.]rds$", left,
        value = TRUE, invert = TRUE
      )
      unlink(list.files(folder, full.names = TRUE), recursive = TRUE)
      list(
        path = path, bytes = bytes, class = class(error), message = conditionMessage(error),
        left = left
      )
    })
  })
  # The session still reads and writes, HDF5 too.
  for (writer in writers[c("save_model made", grep("h5", names(writers), value = TRUE))]) {
    writer$write(tempfile(fileext = writer$ending, tmpdir = folder))
  }
  gc()
  saveRDS(results, out)
}

# `f` in an R process in which a file that is too long is an error.
in_limited_session <- function(f, folder, ...) {
  script <- file.path(folder, "script.R")
  out <- file.path(folder, "out.rds")
  place <- file.path(folder, "place")
  dir.create(place)
  dump("f", script, envir = environment())
  cat(sprintf("f(%s, %s, %s)\n", deparse(normalizePath(test_path())), deparse(place), deparse(out)),
    file = script, append = TRUE
  )
  rscript <- shQuote(file.path(R.home("bin"), "Rscript"))
  before <- Sys.getenv("R_LIBS", NA)
  on.exit(if (is.na(before)) Sys.unsetenv("R_LIBS") else Sys.setenv(R_LIBS = before))
  Sys.setenv(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep))
  log <- file.path(folder, "log")
  status <- system(paste("trap '' XFSZ; exec", rscript, shQuote(script), ">", shQuote(log), "2>&1"))
  if (status != 0L || !file.exists(out)) {
    stop(
      "The process ended with ", status, ": ",
      paste(utils::tail(readLines(log), 20L), collapse = "\n")
    )
  }
  readRDS(out)
}

test_that("without room every writer ends in one error of ours and leaves nothing", {
  skip_on_cran()
  skip_without_limits()
  results <- in_limited_session(write_without_room, new_folder())
  for (name in names(results)) {
    for (one in results[[name]]) {
      # The other of two files comes first.
      if (name == "export_modisco scores" && one$bytes == 0) next
      info <- paste(name, "with room for", one$bytes, "bytes:", one$message)
      expect_true("seqlift_error_file" %in% one$class, info = info)
      expect_identical(one$left, character(), info = info)
      # In terms of the file that was asked for.
      expect_match(gsub("[[:space:]]", "", one$message), one$path, fixed = TRUE, info = info)
      expect_no_match(one$message, "/[.][^/]*$", info = info)
    }
  }
})

test_that("an HDF5 file that does not fit is given up before the library meets the disk's end", {
  skip_on_cran()
  skip_on_os(c("windows", "mac", "solaris"))
  skip_if_not_installed("rhdf5")
  disk <- new_folder()
  mounted <- suppressWarnings(
    system2(
      "mount", c("-t", "tmpfs", "-o", "size=3m", "tmpfs", shQuote(disk)), stdout = FALSE,
      stderr = FALSE
    )
  )
  skip_if(mounted != 0L, "only root may make a small disk")
  on.exit(system2("umount", shQuote(disk)), add = TRUE, after = FALSE)
  write <- function(code, folder, out) {
    library(seqlift)
    # Twenty sequences at a time.
    utils::assignInNamespace("doubles_at_once", 4e4, "seqlift")
    n <- 200L
    X <- decode_one_hot(random_one_hot(c(n, 4L, 500L), random_state = 1))
    attributions <- seqlift:::new_attributions(
      array(sin(seq_len(n * 2000)), c(n, 4L, 500L)), X, matrix(0, n, 2L),
      kind = "hypothetical", info = list(method = "none")
    )
    path <- file.path(Sys.getenv("SEQLIFT_SMALL_DISK"), "scores.h5")
    seen <- tryCatch(export_h5(attributions, path), error = function(error) error)
    left <- list.files(dirname(path), all.files = TRUE, no.. = TRUE)
    export_h5(attributions[1:40, , ], path)
    back <- as.array(read_h5(path))
    gc()
    saveRDS(list(
      class = class(seen), message = conditionMessage(seen), left = left,
      difference = max(abs(back - as.array(attributions[1:40, , ])))
    ), out)
  }
  Sys.setenv(SEQLIFT_SMALL_DISK = disk)
  on.exit(Sys.unsetenv("SEQLIFT_SMALL_DISK"), add = TRUE)
  found <- in_limited_session(write, new_folder())
  expect_true("seqlift_error_file" %in% found$class)
  expect_match(found$message, "there is no room for")
  expect_identical(found$left, character())
  expect_lt(found$difference, 1e-6)
})
