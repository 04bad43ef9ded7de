# Opens files one after the other in a process of its own, and lets what opens predict:
# Rscript load.R FOLDER. The folder holds `work`, with the files, and `names.rds`. A line of the file `log` before
# each file, its name, and one after it: name, class of the outcome, seconds, message.
suppressPackageStartupMessages(library(seqlift))
folder <- commandArgs(TRUE)[1L]
log <- file(file.path(folder, "log"), "a")
tell <- function(...) {
  writeLines(paste(gsub("[\t\n\r]", " ", c(...), useBytes = TRUE), collapse = "\t"), log,
    useBytes = TRUE
  )
  flush(log)
}

setwd(file.path(folder, "work"))
grDevices::pdf(NULL)
sink(nullfile())
seqlift_threads(1L)
# HDF5 files are read in a session of their own, which takes a second; where the HDF5 part is sound and
# the configuration lies, none is needed.
apart <- utils::getFromNamespace("read_apart", "seqlift")
lies_in_config <- FALSE
utils::assignInNamespace("read_apart", function(read, path) {
  if (lies_in_config) read(path) else apart(read, path)
}, "seqlift")

outcome_of <- function(name) {
  tryCatch(
    {
      model <- suppressMessages(suppressWarnings(load_model(name)))
      outcome <- "model"
      # What opens must also be used without harm.
      tryCatch(
        suppressMessages(suppressWarnings(predict(model, "ACGTTGCATTAGCAGT"))),
        seqlift_error = function(error) outcome <<- "model"
      )
      list(outcome, "")
    },
    error = function(error) list(class(error)[1L], conditionMessage(error))
  )
}
for (name in readRDS(file.path(folder, "names.rds"))) {
  tell("start", name)
  lies_in_config <- grepl("[.]keras$", name) && !startsWith(name, "weights_")
  setTimeLimit(elapsed = 120, transient = TRUE)
  took <- system.time(result <- outcome_of(name), gcFirst = FALSE)
  setTimeLimit()
  tell("end", name, result[[1L]], sum(took[-3L]), substr(result[[2L]], 1L, 300L))
}
