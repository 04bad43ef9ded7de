# Files that are well formed and lie (tests/models/make_lying_files.py): pickles, zip archives,
# safetensors, HDF5, Keras's configurations and ONNX. Each ends in an error of seqlift's own, or in
# a model where that is right. They are opened by a user without rights, in a folder of its own and
# in little memory; nothing in them is run, and nothing is written.

lying_files <- function() utils::read.delim(test_path("lying.tsv"), stringsAsFactors = FALSE)

# The bytes that a process may ask for: R with LibTorch asks for half of it before it reads a file.
most_memory <- 6e9

# A row for each file: name, outcome, seconds of the processor's, message; "lost" where the process
# ended or hung. `left`: what is in the folder of the files afterwards and was not before.
open_lying_files <- function(rows) {
  # Beside this session's own folder, which nobody else may enter.
  folder <- tempfile("seqlift-lying-", dirname(tempdir()))
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  work <- file.path(folder, "work")
  dir.create(work)
  dir.create(file.path(folder, "temporary"))
  connection <- xzfile(test_path("lying.bin.xz"), "rb")
  everything <- readBin(connection, "raw", sum(lying_files()$bytes))
  close(connection)
  for (i in seq_len(nrow(rows))) {
    writeBin(
      everything[rows$begin[i] + seq_len(rows$bytes[i])], file.path(work, rows$name[i])
    )
  }
  file.copy(test_path("hostile", "load.R"), folder)
  log <- file.path(folder, "log")
  rscript <- file.path(R.home("bin"), "Rscript")
  open_to_nobody(folder)
  left <- rows$name
  lost <- character()
  while (length(left) > 0L && length(lost) < 20L) {
    saveRDS(left, file.path(folder, "names.rds"))
    Sys.chmod(file.path(folder, "names.rds"), "0666", use_umask = FALSE)
    limits <- c("prlimit", sprintf("--as=%.0f", most_memory), "--fsize=1000000000")
    run_as_nobody(
      c("timeout", 120 + 10 * length(left), limits, rscript, file.path(folder, "load.R"), folder),
      file.path(folder, "temporary"), stdout = FALSE, stderr = FALSE
    )
    lines <- strsplit(readLines(log), "\t", useBytes = TRUE)
    begun <- vapply(Filter(function(line) line[1L] == "start", lines), `[`, "", 2L)
    ended <- vapply(Filter(function(line) line[1L] == "end", lines), `[`, "", 2L)
    lost <- setdiff(begun, ended)
    left <- if (length(begun) == 0L) character() else setdiff(left, begun)
  }
  ends <- Filter(function(line) line[1L] == "end", lines)
  fields <- do.call(rbind, lapply(ends, function(line) c(line[-1L], "")[1:4]))
  table <- data.frame(
    name = c(fields[, 1L], lost), outcome = c(fields[, 2L], rep("lost", length(lost))),
    seconds = c(as.numeric(fields[, 3L]), rep(NA, length(lost))),
    message = c(fields[, 4L], rep("", length(lost)))
  )
  table <- merge(rows, table, by = "name", all.x = TRUE)
  attr(table, "left") <- setdiff(list.files(work, all.files = TRUE, no.. = TRUE), rows$name)
  attr(table, "temporary") <- setdiff(
    list.files(file.path(folder, "temporary"), all.files = TRUE, no.. = TRUE), ".cache"
  )
  table
}

test_that("files that lie end in an error of seqlift's own, and nothing in them is run", {
  skip_on_cran()
  skip_on_os(c("mac", "windows"))
  skip_if_not_installed("rhdf5")
  skip_if_not_installed("callr")
  skip_if(!nzchar(Sys.which("prlimit")), "prlimit limits the memory")
  outcomes <- open_lying_files(lying_files())
  label <- function(rows) paste(rows$name, rows$outcome, rows$message, collapse = "\n")
  good <- (outcomes$may != "error" & outcomes$outcome %in% "model") |
    (outcomes$may != "model" & grepl("^seqlift_error_", outcomes$outcome))
  wrong <- outcomes[!good, ]
  expect_identical(label(wrong), "")
  internal <- outcomes[outcomes$outcome %in% "seqlift_error_internal", ]
  expect_identical(label(internal), "")
  slow <- outcomes[outcomes$seconds %in% NA | outcomes$seconds > 20, ]
  expect_identical(label(slow), "")
  expect_identical(attr(outcomes, "left"), character())
})
