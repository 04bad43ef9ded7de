# What a report is made of: figures, tables and numbers as HTML. Names of sequences and motifs may
# hold any character, so they go into the page escaped and never as Markdown.

# Tables longer than this are folded away under their first line.
report_table_rows <- 20L

# Dots per inch: two on the page for each of a plain screen.
report_dpi <- 150L

# Inside of a line of Markdown its own marks are escaped too.
escape_markdown <- function(text) {
  gsub("([][*_`~^$\\\\#@!|])", "\\\\\\1", escape_html(text))
}

escape_html <- function(text) {
  text <- gsub("&", "&amp;", as.character(text), fixed = TRUE)
  text <- gsub("<", "&lt;", text, fixed = TRUE)
  text <- gsub(">", "&gt;", text, fixed = TRUE)
  gsub("\"", "&quot;", text, fixed = TRUE)
}

# A ggplot as an image of 9 inches, with what it shows for those who cannot see it.
report_figure <- function(folder, plot, height, alt) {
  cat("\n\n<p class=\"figure\">", report_image(folder, plot, 9, height, alt), "</p>\n\n", sep = "")
}

# Its tag alone, of any width.
report_image <- function(folder, plot, width, height, alt) {
  path <- tempfile("figure-", folder, fileext = ".png")
  ggplot2::ggsave(path, plot,
    width = width, height = height, dpi = report_dpi, limitsize = FALSE
  )
  paste0("<img src=\"", basename(path), "\" alt=\"", escape_html(alt), "\">")
}

# A data frame; numbers in three digits, to the right, those of the `signed` columns with their
# sign. A long one, whose rows are so many of the `noun`, is folded away under `summary`.
report_table <- function(table, summary = NULL, noun = "rows", signed = character()) {
  numeric <- vapply(table, is.numeric, logical(1L))
  table[numeric] <- Map(function(column, name) {
    if (name %in% signed) signed_number(column) else report_number(column)
  }, table[numeric], names(table)[numeric])
  shown <- knitr::kable(table,
    format = "html", align = ifelse(numeric, "r", "l"), row.names = FALSE, escape = TRUE
  )
  folded <- !is.null(summary) || nrow(table) > report_table_rows
  cat("\n\n", if (folded) {
    paste0("<details><summary>", summary %||% paste("All", nrow(table), noun), "</summary>\n")
  }, shown, if (folded) "\n</details>", "\n\n", sep = "")
}

# Whole numbers as they are, others in three digits.
report_number <- function(x) {
  if (all(!is.finite(x) | (x == round(x) & abs(x) < 1e9))) {
    return(format(x, big.mark = ",", trim = TRUE, scientific = FALSE))
  }
  sub("\\.(?=e|$)", "", formatC(x, digits = 3L, format = "g", flag = "#"), perl = TRUE)
}

signed_number <- function(x) {
  paste0(ifelse(x < 0, "\u2212", "+"), sub("^-", "", report_number(x)))
}

report_heading <- function(text) {
  cat("\n\n<h3>", escape_html(text), "</h3>\n\n", sep = "")
}

count_of <- function(n, noun) {
  paste0(format(n, big.mark = ","), " ", noun, if (n != 1L) "s")
}

# Height in inches of a logo with annotations, of panels under each other.
logo_height <- function(n_panels = 1L) 0.5 + 1.5 * n_panels
