# Builds the web site of the help pages and vignettes, see pkgdown/_pkgdown.yml; seqlift must be
# installed. Nothing is asked of the network, and the pages ask nothing of it either: a script, a
# style or a picture from another server is an error, and so is a link that leads nowhere.
#
#   Rscript tools/site.R [--finish]     --finish: of the pages that are there only what comes last
options(pkgdown.internet = FALSE)
source(file.path("tools", "site-search.R"), local = TRUE)
source(file.path("tools", "check-site.R"), local = TRUE)
# Where a page says library() of a package that is not here, downlit asks CRAN for its site.
utils::assignInNamespace(
  "CRAN_urls", function() data.frame(Package = character(), URL = character()), "downlit"
)
folder <- file.path(normalizePath("build"), "site")

# The benchmarks, as they were measured for the README and for bench/README.md, on one page.
benchmark_page <- function() {
  readme <- readLines("README.md", encoding = "UTF-8")
  headings <- grep("^## ", readme)
  first <- match("## Speed", readme)
  stopifnot(!is.na(first))
  bench <- readLines(file.path("bench", "README.md"), encoding = "UTF-8")
  stopifnot(bench[1L] == "# Benchmarks")
  c(
    "# Benchmarks", "", readme[seq(first, min(headings[headings > first]) - 1L)],
    "## All of them, and how they are run", "", bench[-1L]
  )
}

# pkgdown looks for the news at the top, and writes beside the vignettes: it gets a copy.
build_pages <- function() {
  copy <- file.path("build", "site-source")
  unlink(c(copy, folder), recursive = TRUE)
  dir.create(copy)
  parts <- c(
    "DESCRIPTION", "LICENSE", "NAMESPACE", "README.md", "R", "inst", "man", "pkgdown", "tests",
    "vignettes"
  )
  stopifnot(file.copy(c(parts, "inst/NEWS.md"), copy, recursive = TRUE))
  writeLines(benchmark_page(), file.path(copy, "BENCHMARKS.md"), useBytes = TRUE)
  site <- pkgdown::as_pkgdown(copy, override = list(destination = folder))
  pkgdown::check_pkgdown(site)
  pkgdown::build_site(site,
    devel = FALSE, install = FALSE, preview = FALSE, new_process = FALSE
  )
  unlink(copy, recursive = TRUE)
  # It says nothing of titles, and a page that was opened as a file cannot read it: site-search.R.
  unlink(file.path(folder, "search.json"))
}
if (!"--finish" %in% commandArgs(TRUE)) build_pages()
for (file in c("extra.css", "extra.js")) {
  stopifnot(file.copy(file.path("pkgdown", file), folder, overwrite = TRUE))
}

# Formulas, which pkgdown leaves to a script from elsewhere, in the language of browsers.
math <- "<span class=\"math (inline|display)\">\\\\[(\\[](.*?)\\\\[])]</span>"
write_math <- function(page) {
  text <- paste(readLines(page, encoding = "UTF-8", warn = FALSE), collapse = "\n")
  found <- regmatches(text, gregexpr(paste0("(?s)", math), text, perl = TRUE))
  if (length(found[[1L]]) == 0L) {
    return(invisible())
  }
  formulas <- sub(paste0("(?s)", math), "\\2", found[[1L]], perl = TRUE)
  for (entity in list(c("&lt;", "<"), c("&gt;", ">"), c("&amp;", "&"))) {
    formulas <- gsub(entity[1L], entity[2L], formulas, fixed = TRUE)
  }
  display <- grepl("math display", found[[1L]], fixed = TRUE)
  mark <- ifelse(display, "$$", "$")
  source <- tempfile(fileext = ".md")
  writeLines(paste0(mark, formulas, mark, "\n"), source, useBytes = TRUE)
  written <- system2("pandoc", c("--mathml", "--to=html", source), stdout = TRUE)
  written <- paste(written, collapse = "\n")
  written <- regmatches(written, gregexpr("(?s)<math.*?</math>", written, perl = TRUE))
  stopifnot(lengths(written) == lengths(found))
  regmatches(text, gregexpr(paste0("(?s)", math), text, perl = TRUE)) <- written
  writeLines(text, page, useBytes = TRUE)
}
pages <- list.files(folder, "[.]html$", recursive = TRUE, full.names = TRUE)
invisible(lapply(pages, write_math))

# The place of a logo that the package does not have.
drop_logo <- function(page) {
  text <- readLines(page, encoding = "UTF-8", warn = FALSE)
  text <- sub("<img src=\"\" class=\"logo\" alt=\"\">", "", text, fixed = TRUE)
  writeLines(text, page, useBytes = TRUE)
}
invisible(lapply(pages, drop_logo))
write_search_index(folder)

loaded <- "<(script|img|iframe)[^>]* src=\"(https?:)?//|<link[^>]* href=\"(https?:)?//"
elsewhere <- Filter(function(page) any(grepl(loaded, readLines(page, warn = FALSE))), pages)
styles <- list.files(folder, "[.]css$", recursive = TRUE, full.names = TRUE)
imported <- Filter(function(style) {
  any(grepl("@import|url\\(['\"]?(https?:)?//", readLines(style, warn = FALSE)))
}, styles)
if (length(c(elsewhere, imported)) > 0L) {
  stop("these refer to other servers: ", toString(c(elsewhere, imported)))
}
wrong <- broken_links(folder)
missing <- missing_exports(folder, normalizePath("."))
if (length(c(wrong, missing)) > 0L) {
  stop("links that lead nowhere, or exports without a page:\n",
    paste(c(wrong, missing), collapse = "\n"),
    call. = FALSE
  )
}
cat("\nThe site: ", file.path(folder, "index.html"), "\n", sep = "")
