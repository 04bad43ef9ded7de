# Makes calls in a process of its own: Rscript run.R FOLDER. The folder holds `code`, the files
# beside this one; `work`, where the calls are made, with the files of models; and `calls.rds`. A
# line of the file `log` before each call, its number, and one after it.
suppressPackageStartupMessages(library(seqlift))
folder <- commandArgs(TRUE)[1L]
source(file.path(folder, "code", "values.R"))
source(file.path(folder, "code", "calls.R"))
calls <- readRDS(file.path(folder, "calls.rds"))
log <- file(file.path(folder, "log"), "a")
tell <- function(...) {
  writeLines(paste(gsub("[\t\n\r]", " ", c(...)), collapse = "\t"), log, useBytes = TRUE)
  flush(log)
}

setwd(file.path(folder, "work"))
grDevices::pdf(NULL)
sink(nullfile())
functions <- every_function()
values <- hostile_values()
scope <- working_values()
seqlift_threads(1L)
for (i in seq_len(nrow(calls))) {
  one <- calls[i, ]
  tell("start", one$call)
  set.seed(1)
  seqlift_memory(NA) # a call before may have asked for a byte
  setTimeLimit(elapsed = 300, transient = TRUE)
  result <- outcome_of_call(one, functions, values, scope)
  setTimeLimit()
  tell(
    "end", one$call, result$outcome, substr(result$message, 1L, 300L), result$warned, result$left
  )
}
