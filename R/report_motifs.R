# The section of a report of attributions on the patterns that discover_motifs() found: a row for
# each with its logo. motif_report() says all of them.

# NULL for motifs of another kind.
report_patterns <- function(motifs, call) {
  if (!inherits(motifs, "seqlift_motifs")) {
    return(NULL)
  }
  if (length(motifs) == 0L) {
    abort_argument("motifs", "at least one pattern", "none",
      hint = "Leave {.arg motifs} out.", call = call
    )
  }
  motifs
}

patterns_section <- function(report) {
  patterns <- report$motifs$patterns
  if (is.null(patterns)) {
    return(invisible())
  }
  cat("\n\n## Motifs that the model uses\n\n")
  cat("\n\n<p>Short stretches that stood out in many sequences (seqlets) were sorted by what they",
    " look like. Each pile is a pattern: a motif that the model uses. The height of a letter is",
    " its mean contribution; letters that hang down lower the prediction.",
    " <code>motif_report()</code> makes a page of them, with the names of known motifs.</p>\n\n",
    sep = ""
  )
  overview <- as.data.frame(patterns)
  cat_logo_table(unclass(patterns), report$folder, data.frame(
    Pattern = escape_html(overview$motif),
    "The prediction" = ifelse(overview$sign == "positive", "rises", "falls"),
    Seqlets = format(overview$seqlets, big.mark = ","), check.names = FALSE
  ), right = "Seqlets")
}

# A table with a small logo of each pattern in its second column; the cells are HTML, those of the
# columns `right` numbers.
cat_logo_table <- function(patterns, folder, table, right) {
  logos <- vapply(patterns, function(pattern) {
    width <- 0.1 + report_letter_inches * ncol(pattern_logo_matrix(pattern))
    report_image(folder, small_logo(pattern), width, report_small_inches,
      paste("Logo of the pattern", pattern_consensus(pattern)))
  }, "")
  table <- cbind(table[1L], Logo = unname(logos), table[-1L])
  cat("\n\n<div class=\"wide\">", knitr::kable(table,
    format = "html", align = ifelse(names(table) %in% right, "r", "l"), row.names = FALSE,
    escape = FALSE
  ), "</div>\n\n", sep = "")
}
