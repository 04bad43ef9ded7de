# lintr on all R code, or on the files that are named, by the rules in .lintr; status 1 when it
# finds anything. JOBS is how many files at a time.
files <- commandArgs(TRUE)
if (length(files) == 0L) {
  folders <- c("R", "bench", "data-raw", "inst", "src", "tests", "tools", "vignettes")
  files <- list.files(folders, "[.](R|Rmd)$", recursive = TRUE, full.names = TRUE)
}
stopifnot(length(files) > 0L, file.exists(files))
options(lintr.linter_file = normalizePath(".lintr"))

# Counting the branches of tests takes half the time of all, and finds nothing: tests are straight
# lines of expectations.
linters <- eval(parse(text = read.dcf(".lintr", all = TRUE)$linters), asNamespace("lintr"))
linters_of <- function(file) {
  if (grepl("(^|/)tests/", file)) linters[names(linters) != "cyclocomp_linter"] else linters
}
stopifnot("cyclocomp_linter" %in% names(linters))

lint <- function(file) {
  tryCatch(lintr::lint(file, linters = linters_of(file)),
    error = function(error) paste0(file, ": ", conditionMessage(error))
  )
}
found <- parallel::mclapply(files, lint, mc.cores = as.integer(Sys.getenv("JOBS", "1")))
for (lints in found[lengths(found) > 0L]) {
  print(lints)
}
quit(save = "no", status = as.integer(any(lengths(found) > 0L)))
