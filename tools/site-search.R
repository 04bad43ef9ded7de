# The index of the site's search: sections of pages, written as a script that pkgdown/extra.js
# loads. A page that was opened as a file may load a script, but no JSON.

# Sections of a page: data frame of page, id, title, heading, text. A section is what lies between
# one heading and the next.
page_sections <- function(page, folder) {
  html <- xml2::read_html(file.path(folder, page), encoding = "UTF-8")
  main <- xml2::xml_find_first(html, "//main")
  if (is.na(main)) {
    return(NULL)
  }
  nodes <- xml2::xml_find_all(main, paste0(
    ".//h1 | .//h2 | .//h3 | .//text()[not(ancestor::h1 or ancestor::h2 or ancestor::h3 or ",
    "ancestor::script or ancestor::style or ancestor::nav or ancestor::annotation or ",
    "ancestor::*[contains(@class, 'd-none')])]"
  ))
  heading <- xml2::xml_name(nodes) %in% c("h1", "h2", "h3")
  section <- cumsum(heading)
  words <- xml2::xml_text(nodes)
  # Cells touch each other.
  cell <- "ancestor::*[self::td or self::th or self::dt or self::dd]"
  ends <- !heading & !is.na(xml2::xml_find_first(nodes, cell))
  words[ends] <- paste0(words[ends], " ")
  title <- squeeze(xml2::xml_text(xml2::xml_find_first(main, ".//h1")))
  # Help pages: `name: Title`, by which functions are looked for.
  topic <- xml2::xml_text(xml2::xml_find_first(main, ".//div[contains(@class, 'name')]/code"))
  if (startsWith(page, "reference/") && !is.na(topic)) {
    title <- paste0(sub("[.]Rd$", "", topic), ": ", title)
  }
  own <- unique(section)
  first <- match(own, section)
  headed <- heading[first]
  tags <- xml2::xml_name(nodes)[first]
  place <- vapply(which(headed), function(i) {
    node <- nodes[[first[i]]]
    xml2::xml_attr(xml2::xml_find_first(node, "ancestor-or-self::*[@id][1]"), "id", default = "")
  }, "")
  id <- character(length(own))
  id[headed] <- place
  top <- !headed | tags == "h1"
  id[top] <- ""
  text <- vapply(own, function(k) {
    squeeze(paste(words[section == k & !heading], collapse = ""))
  }, "")
  heading <- ifelse(top, "", squeeze(words[first]))
  data.frame(page, id, title, heading, text)[nzchar(text) | headed, ]
}

squeeze <- function(text) trimws(gsub("[[:space:]]+", " ", text))

write_search_index <- function(folder) {
  pages <- list.files(folder, "[.]html$", recursive = TRUE)
  pages <- setdiff(pages, c("404.html", "LICENSE-text.html", "authors.html"))
  sections <- do.call(rbind, lapply(pages, page_sections, folder = folder))
  stopifnot(nrow(sections) > 0L, !anyNA(sections))
  json <- jsonlite::toJSON(sections)
  writeLines(c("// From tools/site-search.R.", paste0("window.seqlift_search_index = ", json, ";")),
    file.path(folder, "search-index.js"),
    useBytes = TRUE
  )
  invisible(sections)
}
