# The tests run the engine in this process, R's torch installed or not; those of the isolated engine
# say otherwise.
options(seqlift.engine = "process")

# Evaluates `code` with the engine in a session of its own, then puts back what there was. Models
# are loaded again on either side.
with_isolated_engine <- function(code) {
  skip_if_not_installed("callr")
  before <- as.list(engine)
  set_engine <- function(values) {
    rm(list = ls(engine), envir = engine)
    list2env(values, engine)
  }
  choice <- options(seqlift.engine = "session")
  on.exit({
    end_session()
    set_engine(before)
    options(choice)
  })
  set_engine(before["threads"[!is.null(before$threads)]])
  suppressMessages(load_engine(), classes = "seqlift_message_session")
  force(code)
}

# A package named torch that does what R's torch does: as it is loaded it loads a LibTorch of its
# own, here a copy of the one that seqlift was built with. The same library from another place is
# another library. Made once; returns the library that holds it.
torch_stand_in <- local({
  library <- NULL
  function() {
    skip_if_not_installed("callr")
    skip_if_not(file.exists("/proc/self/maps"), "there is no /proc on this system")
    own <- read.dcf(system.file("libtorch.dcf", package = "seqlift"))[1L, "Library"]
    skip_if_not(file.exists(own), "the LibTorch that seqlift was built with has no file of its own")
    if (is.null(library)) {
      library <<- make_torch_stand_in(own)
    }
    loads <- callr::r(function(library) {
      .libPaths(c(library, .libPaths()))
      tryCatch(requireNamespace("torch", quietly = TRUE), error = function(error) FALSE)
    }, list(library))
    skip_if_not(loads, "a copy of LibTorch cannot be loaded on its own")
    library
  }
})

make_torch_stand_in <- function(own) {
  folder <- tempfile("torch-")
  dir.create(file.path(folder, "source", "R"), recursive = TRUE)
  dir.create(file.path(folder, "library"))
  writeLines(
    c(
      "Package: torch", "Version: 0.0.1", "Title: Stand-in", "Description: A stand-in.",
      "License: MIT"
    ),
    file.path(folder, "source", "DESCRIPTION")
  )
  writeLines("", file.path(folder, "source", "NAMESPACE"))
  writeLines(
    c(
      ".onLoad <- function(libname, pkgname) {",
      "  dyn.load(file.path(libname, pkgname, \"lib\", \"libtorch_cpu.so\"))",
      "}"
    ),
    file.path(folder, "source", "R", "load.R")
  )
  log <- callr::rcmd("INSTALL", c(
    "--no-test-load", "--no-byte-compile", paste0("--library=", file.path(folder, "library")),
    file.path(folder, "source")
  ))
  stopifnot(log$status == 0L)
  lib <- file.path(folder, "library", "torch", "lib")
  dir.create(lib)
  # Those that are not in the system's own folders are found beside it.
  beside <- list.files(dirname(own), "^lib(c10|gomp).*\\.so", full.names = TRUE)
  file.copy(beside, lib)
  file.copy(own, file.path(lib, "libtorch_cpu.so"))
  file.path(folder, "library")
}

# A shell that starts a program in the background tells it to ignore Ctrl-C, which newer versions of
# R obey, and so do the sessions that they start.
ignores_interrupts <- function() {
  status <- "/proc/self/status"
  if (!file.exists(status)) {
    return(FALSE)
  }
  ignored <- grep("^SigIgn:", readLines(status), value = TRUE)
  # SIGINT is the second bit of a mask in hexadecimal digits.
  last <- strtoi(substring(ignored, nchar(ignored)), 16L)
  length(last) == 1L && bitwAnd(last, 2L) > 0L
}
