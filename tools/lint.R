# lintr on all R code, or on the files that are named, by the rules in .lintr; status 1 when it
# finds anything. JOBS is how many files at a time.
files <- commandArgs(TRUE)
if (length(files) == 0L) {
  folders <- c("R", "bench", "data-raw", "inst", "src", "tests", "tools", "vignettes")
  files <- list.files(folders, "[.](R|Rmd)$", recursive = TRUE, full.names = TRUE)
}
stopifnot(length(files) > 0L, file.exists(files))
options(lintr.linter_file = normalizePath(".lintr"))

lint <- function(file) {
  tryCatch(lintr::lint(file), error = function(error) paste0(file, ": ", conditionMessage(error)))
}
found <- parallel::mclapply(files, lint, mc.cores = as.integer(Sys.getenv("JOBS", "1")))
for (lints in found[lengths(found) > 0L]) {
  print(lints)
}
quit(save = "no", status = as.integer(any(lengths(found) > 0L)))
