# Every link of a folder of pages leads to a file that is there, and to a place in it that is there.
# Nothing is asked of the network: links to other servers are only looked at.
#
#   Rscript tools/check-site.R FOLDER [SOURCE]
#
# SOURCE, of the package: every export then has to be on a page of the reference.

broken_links <- function(folder) {
  pages <- list.files(folder, "[.]html$", recursive = TRUE)
  read <- lapply(stats::setNames(pages, pages), function(page) {
    xml2::read_html(file.path(folder, page), encoding = "UTF-8")
  })
  ids <- lapply(read, function(html) {
    xml2::xml_text(xml2::xml_find_all(html, "//@id | //a/@name"))
  })
  broken <- lapply(pages, function(page) {
    links <- xml2::xml_text(xml2::xml_find_all(
      read[[page]], "//a/@href | //link/@href | //img/@src | //script/@src | //iframe/@src"
    ))
    links <- unique(links)
    bad <- links[!vapply(links, leads_somewhere, NA, page = page, folder = folder, ids = ids)]
    if (length(bad) > 0L) paste0(page, ": ", ifelse(nzchar(bad), bad, "(an empty link)"))
  })
  unlist(broken)
}

leads_somewhere <- function(link, page, folder, ids) {
  address <- "^(https?:)?//[^/[:space:]]+[.][^/[:space:]]+(/[^[:space:]]*)?$"
  elsewhere <- paste0(address, "|^mailto:[^@]+@|^data:")
  if (grepl(elsewhere, link)) {
    return(TRUE)
  }
  if (!nzchar(link) || grepl("^[a-z]+:", link)) {
    return(FALSE)
  }
  parts <- regmatches(link, regexec("^([^?#]*)([?][^#]*)?(#(.*))?$", link))[[1L]]
  path <- utils::URLdecode(parts[2L])
  target <- if (nzchar(path)) resolve(path, page) else page
  file <- file.path(folder, target)
  if (dir.exists(file)) {
    target <- sub("^/", "", paste0(sub("/$", "", target), "/index.html"))
    file <- file.path(folder, target)
  }
  id <- utils::URLdecode(parts[5L])
  file.exists(file) && (!nzchar(id) || !target %in% names(ids) || id %in% ids[[target]])
}

# A path from a page, within the folder; above it there is nothing.
resolve <- function(path, page) {
  steps <- if (startsWith(path, "/")) path else paste0(sub("[^/]*$", "", page), path)
  kept <- character()
  for (step in strsplit(steps, "/", fixed = TRUE)[[1L]]) {
    if (step == "..") {
      if (length(kept) == 0L) {
        return("../outside")
      }
      kept <- kept[-length(kept)]
    } else if (!step %in% c("", ".")) {
      kept <- c(kept, step)
    }
  }
  paste(kept, collapse = "/")
}

# Exports that the list of the reference does not show.
missing_exports <- function(folder, source) {
  exports <- unlist(parseNamespaceFile(basename(source), dirname(source))$exports)
  index <- xml2::read_html(file.path(folder, "reference", "index.html"), encoding = "UTF-8")
  shown <- xml2::xml_text(xml2::xml_find_all(index, "//main//dt//code"))
  setdiff(sub("<-$", "", exports), sub("[(].*", "", shown))
}

arguments <- commandArgs(TRUE)
if (sys.nframe() == 0L && length(arguments) > 0L) {
  folder <- normalizePath(arguments[1L])
  wrong <- broken_links(folder)
  if (length(arguments) > 1L) {
    missing <- missing_exports(folder, normalizePath(arguments[2L]))
    wrong <- c(wrong, if (length(missing) > 0L) paste("not in the reference:", missing))
  }
  writeLines(as.character(wrong))
  if (length(wrong) > 0L) quit(status = 1L)
  n <- length(list.files(folder, "[.]html$", recursive = TRUE))
  cat("every link of", n, "pages leads somewhere\n")
}
