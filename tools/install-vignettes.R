# Vignettes where vignette() looks for them, in a package that was installed from its folder (R CMD
# INSTALL makes none):
#   Rscript tools/install-vignettes.R LIBRARY [NAME ...]
# Without names all of them. The package in LIBRARY must be the one that is used.
arguments <- commandArgs(trailingOnly = TRUE)
package <- file.path(arguments[1L], "seqlift")
names <- arguments[-1L]
if (length(names) == 0L) {
  names <- sub("[.]Rmd$", "", list.files("vignettes", "[.]Rmd$"))
}
doc <- file.path(package, "doc")
dir.create(doc, showWarnings = FALSE)
scratch <- tempfile("vignettes")
dir.create(scratch)

title_of <- function(source) {
  line <- grep("VignetteIndexEntry", readLines(source), value = TRUE)[1L]
  sub(".*[{](.*)[}].*", "\\1", line)
}

for (name in names) {
  source <- file.path("vignettes", paste0(name, ".Rmd"))
  rmarkdown::render(normalizePath(source),
    output_dir = normalizePath(doc), intermediates_dir = scratch, envir = new.env(), quiet = TRUE
  )
  knitr::purl(source, file.path(doc, paste0(name, ".R")), quiet = TRUE)
  file.copy(source, doc, overwrite = TRUE)
}

# The index, as R CMD build writes it.
index <- data.frame(
  File = paste0(names, ".Rmd"),
  Title = vapply(file.path("vignettes", paste0(names, ".Rmd")), title_of, "", USE.NAMES = FALSE),
  PDF = paste0(names, ".html"), R = paste0(names, ".R")
)
index$Depends <- I(rep(list(character()), length(names)))
index$Keywords <- I(rep(list(character()), length(names)))
saveRDS(index, file.path(package, "Meta", "vignette.rds"), version = 2L)
