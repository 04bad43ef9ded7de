# A page of the motifs that a model uses: checked and compared here, drawn by an R Markdown document
# (inst/rmarkdown/motif_report) with the figures of motif_report_figures.R.

# A motif of the database is said to resemble a pattern if at most this share of such matches is
# expected to be chance.
report_match_q <- 0.05

# How many seqlets of a pattern are listed, those of the largest attributions.
report_listed_seqlets <- 20L

#' Write a page of the motifs that a model uses
#'
#' Writes one HTML page that needs no other file and no network: every pattern with its logo on both
#' strands, how many seqlets support it, the motifs of a database that resemble it with their logos
#' laid along it, where its seqlets lie in the sequences, how often it was found again (hits), and
#' how to reproduce all of it. The text is for readers who do not know the method.
#'
#' Logos of a pattern show mean contributions, with the ends cut off below 30 % of the largest.
#' Those beside motifs of the database show information in bits, because that is what [tomtom()]
#' compares (of weights, the weights). A motif is said to resemble a pattern where `q_value` is at
#' most 0.05. The patterns are on the page as a file for the MEME suite, too.
#'
#' @param motifs Patterns: a result of [discover_motifs()], or of [read_motifs()] of a file of
#'   TF-MoDISco.
#' @param output_file Path of the HTML file to write; its folder must exist. A file that is there is
#'   replaced when the new one is finished, not before.
#' @param database Known motifs to compare with: anything that [tomtom()] takes as targets, such as
#'   the path of JASPAR's file in the format of MEME. Default `NULL`: none.
#' @param hits Where the patterns were found in sequences: a data frame with a row for each hit and
#'   columns `sequence` (number or name), `start`, `end` (1-based, inclusive, in bp), `strand` and
#'   `motif` (a name of `motifs`); other columns are not used. Default `NULL`: none.
#' @param title Title of the page. Default: "Which motifs does the model use?".
#' @param n_matches How many motifs of the database are shown for each pattern. Default 3.
#' @return The path, invisibly.
#' @section Errors: `seqlift_error_argument` for motifs that are no patterns, hits of other motifs
#'   or outside of the sequences, or another wrong argument; `seqlift_error_file` for an
#'   `output_file` that cannot be written; `seqlift_error_package` without rmarkdown or pandoc;
#'   those of [tomtom()]. All arguments are checked before anything is computed. No file is left
#'   behind by a page that fails or is interrupted.
#' @seealso [attribution_report()] for the sequences, [tomtom()], [export_motifs()]
#' @export
#' @examplesIf requireNamespace("rmarkdown", quietly = TRUE) && rmarkdown::pandoc_available("2.0")
#' # One pattern, as discover_motifs() gives it.
#' site <- t(one_hot_encode("AGATAAG")[1, , ])
#' pattern <- list(
#'   name = "pos_patterns.pattern_0", sign = "positive", ppm = site, contributions = site,
#'   hypothetical = site,
#'   seqlets = data.frame(
#'     example = 1:4, start = c(40, 52, 47, 50), end = c(46, 58, 53, 56),
#'     attribution = c(7, 6, 8, 7), strand = c("+", "-", "+", "+")
#'   ),
#'   subpatterns = list()
#' )
#' motifs <- structure(list(pos_patterns.pattern_0 = pattern), class = "seqlift_motifs")
#' database <- list(GATA = cbind(c(0, 0, 9, 1), c(9, 1, 0, 0), c(0, 0, 0, 10), c(8, 0, 1, 1)),
#'   Ebox = cbind(c(0, 9, 1, 0), c(9, 0, 0, 1), c(0, 10, 0, 0), c(0, 1, 9, 0)))
#' path <- tempfile(fileext = ".html")
#' motif_report(motifs, path, database = database)
#' file.size(path)
motif_report <- function(motifs, output_file, database = NULL, hits = NULL, title = NULL,
                         n_matches = 3L) {
  call <- rlang::current_env()
  check_patterns(motifs, any = FALSE)
  output_file <- check_output_path(output_file, "output_file")
  check_report_tools(call)
  title <- check_string(title, "title", null = TRUE) %||% "Which motifs does the model use?"
  n_matches <- check_count(n_matches, "n_matches")
  known <- if (!is.null(database)) motif_inputs(database, "database", call = call)
  report <- list(
    motifs = motifs, title = title, known = known, extent = searched_extent(motifs, hits),
    hits = check_report_hits(hits, motifs, call)
  )
  report$matches <- match_patterns(motifs, known, n_matches, call)
  report$code <- motif_report_code(motifs, output_file, database, hits, title, n_matches)
  subtitle <- paste0(count_of(length(motifs), "pattern"), ", ", format(Sys.Date()))
  write_whole(output_file, function(temporary) {
    document <- system.file("rmarkdown", "motif_report", "motif_report.Rmd",
      package = "seqlift", mustWork = TRUE
    )
    render_page(report, document, subtitle, temporary)
  }, "output_file")
}

# ---- arguments -----------------------------------------------------------------------

check_report_hits <- function(hits, motifs, call) {
  if (is.null(hits)) {
    return(NULL)
  }
  refuse <- function(expected, got) abort_argument("hits", expected, got, call = call)
  columns <- c("sequence", "start", "end", "strand", "motif")
  missing <- setdiff(columns, names(hits))
  if (!is.data.frame(hits) || length(missing) > 0L) {
    refuse(paste("a data frame with the columns", toString(columns)),
      if (is.data.frame(hits)) paste("one without", toString(missing)) else describe(hits))
  }
  hits <- as.data.frame(hits)[columns]
  hits$motif <- as.character(hits$motif)
  hits$strand <- as.character(hits$strand)
  unknown <- setdiff(hits$motif, names(motifs))
  if (length(unknown) > 0L) {
    refuse("hits of these motifs", paste0("one of \"", unknown[1L], "\""))
  }
  if (anyNA(hits) || !is.numeric(hits$start) || !is.numeric(hits$end) ||
    any(hits$start < 1 | hits$end < hits$start) || !all(hits$strand %in% c("+", "-", "*"))) {
    refuse("with whole ranges (1 <= start <= end) on the strands +, - or *", "others")
  }
  hits
}

# First and last position that seqlets and hits can have: those that were searched, where that is
# known.
searched_extent <- function(motifs, hits) {
  settings <- attr(motifs, "settings", exact = TRUE)
  known <- if (!is.null(settings$window)) {
    first <- settings$first %||% 1
    c(first, first + settings$window - 1)
  }
  ends <- unlist(lapply(unclass(motifs), function(one) c(one$seqlets$start, one$seqlets$end)))
  hits <- if (is.data.frame(hits)) c(hits$start, hits$end)
  places <- c(known, ends, if (is.numeric(hits)) hits)
  if (length(places) == 0L) c(1, 1) else range(places)
}

# ---- what is computed ----------------------------------------------------------------

# The motifs of the database that resemble each pattern most; NULL without any.
match_patterns <- function(motifs, known, n_matches, call) {
  if (is.null(known) || length(motifs) == 0L) {
    return(NULL)
  }
  rlang::try_fetch(tomtom(motifs, known, n_nearest = n_matches),
    seqlift_error = function(error) {
      abort_seqlift("argument", "The patterns could not be compared with {.arg database}.",
        parent = error, call = call
      )
    }
  )
}

# A row for each pattern: what the overview and the first lines say.
pattern_overview <- function(report) {
  patterns <- unclass(report$motifs)
  field <- function(f, type) vapply(patterns, f, type, USE.NAMES = FALSE)
  overview <- as.data.frame(report$motifs)
  overview$sequences <- field(function(one) length(unique(one$seqlets$example)), 1L)
  overview$effect <- field(function(one) mean(one$seqlets$attribution), 1)
  best <- report$matches[!duplicated(report$matches$query), ]
  at <- match(overview$motif, best$query)
  overview$match <- if (is.null(report$matches)) rep(NA_character_, nrow(overview)) else
    best$target[at]
  overview$q_value <- if (is.null(report$matches)) rep(NA_real_, nrow(overview)) else
    best$q_value[at]
  overview$resembles <- !is.na(overview$q_value) & overview$q_value <= report_match_q
  overview$hits <- as.integer(table(factor(report$hits$motif, overview$motif)))
  overview
}

# ---- how to make it again ------------------------------------------------------------

# R code that makes the page again, from the attributions or the file that the patterns come from.
motif_report_code <- function(motifs, output_file, database, hits, title, n_matches) {
  settings <- attr(motifs, "settings", exact = TRUE)
  origin <- if (!is.null(settings$path)) {
    rlang::call2("read_motifs", settings$path)
  } else if (identical(settings$method, "discover_motifs()")) {
    arguments <- c("max_seqlets", "window", "sliding_window_size", "flank_size",
      "target_seqlet_fdr", "n_leiden_runs", "random_state")
    rlang::call2("discover_motifs", !!!settings$source, !!!settings[arguments])
  }
  steps <- list(if (!is.null(origin)) rlang::call2("<-", quote(motifs), origin))
  all <- settings$n_patterns
  if (!is.null(all) && !identical(all, length(motifs))) {
    steps <- c(
      steps, rlang::call2("<-", quote(motifs), rlang::call2("[", quote(motifs), names(motifs)))
    )
  }
  short <- function(value, name) {
    if (is.character(value) && length(value) == 1L) value else as.name(name)
  }
  report <- rlang::call2("motif_report", quote(motifs), basename(output_file),
    !!!list(
      database = if (!is.null(database)) short(database, "database"),
      hits = if (!is.null(hits)) quote(hits), title = title, n_matches = n_matches
    )[c(!is.null(database), !is.null(hits), TRUE, TRUE)]
  )
  steps <- c(quote(library(seqlift)), Filter(length, steps), report)
  paste(vapply(steps, function(step) {
    paste(rlang::expr_deparse(step, width = 80L), collapse = "\n")
  }, ""), collapse = "\n")
}

# What was searched, with what: two columns of words.
motif_report_facts <- function(report) {
  settings <- attr(report$motifs, "settings", exact = TRUE)
  text <- function(x) if (is.null(x)) NA else format(x, big.mark = ",", scientific = FALSE)
  counts <- settings$n_seqlets
  rows <- c(
    "Patterns" = settings$method %||% NA,
    "File" = settings$path %||% NA,
    "Attributions" = settings$attributions %||% NA,
    "Sequences" = if (is.null(settings$n_sequences)) NA else
      paste0(text(settings$n_sequences), " of ", text(settings$length), " bp"),
    "Positions searched" = if (is.null(settings$window)) NA else
      paste0(
        text(settings$first %||% 1L), " to ", text((settings$first %||% 1L) + settings$window - 1L)
      ),
    "Seqlets called" = text(settings$n_called),
    "of them positive, negative" = if (is.null(counts)) {
      NA
    } else {
      paste(text(unname(counts)), collapse = ", ")
    },
    "Seed (random_state)" = if (is.null(settings$random_state)) NA else
      format(settings$random_state, scientific = FALSE),
    "Motifs in the database" = if (is.null(report$known)) NA else text(length(report$known)),
    "Hits" = if (is.null(report$hits)) NA else text(nrow(report$hits)),
    "seqlift" = as.character(utils::packageVersion("seqlift")),
    "R" = paste0(R.version$major, ".", R.version$minor, ", ", R.version$platform),
    "Made" = format(Sys.time(), "%Y-%m-%d %H:%M %Z")
  )
  rows <- rows[!is.na(rows) & nzchar(rows)]
  data.frame(What = names(rows), Value = unname(rows))
}
