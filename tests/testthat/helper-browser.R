# A browser without a window, and what a script of a page leaves in its element "answers".

find_browser <- function() {
  found <- Sys.which(c("chromium", "chromium-browser", "google-chrome"))
  found[nzchar(found)][1L]
}

# What the page is once its scripts have run; `folder` is the browser's to write into.
dom_of_page <- function(browser, page, folder) {
  said <- file.path(folder, "said")
  system2(browser, c(
    "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,800",
    paste0("--user-data-dir=", shQuote(file.path(folder, "profile"))),
    "--virtual-time-budget=8000", "--dump-dom", shQuote(paste0("file://", page))
  ), stdout = said, stderr = FALSE, timeout = 120)
  paste(readLines(said, warn = FALSE), collapse = "\n")
}

# The widget's page with `script` run in it once it is drawn; `script` calls answer(list).
answers_of_page <- function(widget, script) {
  skip_if_not_installed("htmlwidgets")
  browser <- find_browser()
  skip_if(is.na(browser), "No Chromium or Chrome is installed")
  folder <- withr_free_tempdir()
  on.exit(unlink(folder, recursive = TRUE))
  page <- file.path(folder, "page.html")
  htmlwidgets::saveWidget(widget, page, selfcontained = FALSE)
  driver <- paste0(
    "<pre id=\"answers\"></pre><script>window.addEventListener('load', function () {",
    "const answer = function (x) {",
    "document.getElementById('answers').textContent = JSON.stringify(x); };",
    "const element = document.querySelector('.seqlift-viewer'); const viewer = element.seqlift;",
    "window.setTimeout(function () {", script, "}, 300); });</script></body>"
  )
  html <- sub("</body>", driver, paste(readLines(page), collapse = "\n"), fixed = TRUE)
  writeLines(html, page)
  dom <- dom_of_page(browser, page, folder)
  text <- regmatches(dom, regexec("<pre id=\"answers\">(.*?)</pre>", dom))[[1L]][2L]
  expect_true(!is.na(text) && nzchar(text), label = "the page's script came to its end")
  text <- gsub("&lt;", "<", gsub("&gt;", ">", gsub("&amp;", "&", text, fixed = TRUE), fixed = TRUE),
    fixed = TRUE
  )
  jsonlite::fromJSON(text)
}

withr_free_tempdir <- function() {
  folder <- tempfile("page-")
  dir.create(folder)
  folder
}
