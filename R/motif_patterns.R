# Results of motif discovery: a named list of patterns. A pattern is a plain list with `name`,
# `sign` ("positive" or "negative"), the matrices `ppm`, `contributions` and `hypothetical`
# ([length, 4]), `seqlets` (a table with example, start, end, attribution and strand) and
# `subpatterns`, patterns of the same form.

#' Motifs that a model has learned
#'
#' What [discover_motifs()] and [read_motifs()] (of a file of TF-MoDISco) return: a list with an
#' element for each pattern, those of positive contributions first, of each sign the one of the most
#' seqlets first. `x[i]` keeps some of them, `x[[i]]` is one.
#'
#' A pattern is a list with
#'
#' - `name`: as TF-MoDISco names it, `"pos_patterns.pattern_0"`, counted from 0;
#' - `sign`: `"positive"` or `"negative"`, of its contributions;
#' - `ppm`, `contributions`, `hypothetical`: matrices `[length, 4]`, columns A, C, G and T: the
#'   share of each letter among the seqlets, the mean of their contributions and of their
#'   hypothetical contributions, in the unit of the attributions;
#' - `seqlets`: a data frame with columns `example` (number of the sequence), `start`, `end`
#'   (1-based, inclusive, on the sequence's own strand), `attribution` (sum of the contributions),
#'   `strand` (`"-"`: the seqlet goes into the pattern as its reverse complement), and `range` as
#'   [recursive_seqlets()] has it;
#' - `subpatterns`: clusters of its seqlets, as patterns.
#'
#' `as.data.frame()` has a row for each pattern, `summary()` the same with the longest first.
#' `plot()` draws the contributions of each pattern where they are large (`+`), and below them those
#' of its reverse complement (`-`).
#'
#' @param x,object A result of this class.
#' @param i Numbers, names or conditions of patterns.
#' @param trim_threshold Positions at the ends whose contributions (absolute, summed over the bases)
#'   are below this share of the largest are not drawn, 0 (nothing) to 1. Default 0.3.
#' @param row.names,optional,... Unused.
#' @return `x[i]`: the same with fewer patterns; `as.data.frame()` and `summary()`: a data frame
#'   with columns `motif`, `sign`, `seqlets` (how many), `subpatterns`, `consensus` (letters of more
#'   than half, trimmed, `N` elsewhere) and `length`; `plot()`: a ggplot.
#' @section Errors: `seqlift_error_argument` for patterns that do not exist.
#' @seealso [discover_motifs()], [export_motifs()], [tomtom()], [as_motif_matrices()]
#' @name seqlift_motifs
#' @examples
#' # 250 sequences with a site whose letters matter, and noise elsewhere.
#' set.seed(1)
#' site <- c(G = 3, A = 1, T = 4, A = 1, A = 1, G = 3)
#' codes <- matrix(sample(4, 250 * 120, replace = TRUE), 250)
#' scores <- array(rnorm(250 * 4 * 120, sd = 0.1), c(250, 4, 120))
#' for (i in 1:250) {
#'   at <- sample(50:65, 1) + 0:5
#'   codes[i, at] <- site
#'   scores[i, , at] <- -0.4
#'   scores[cbind(i, site, at)] <- 1
#' }
#' X <- array(0, dim(scores))
#' X[cbind(rep(1:250, 120), c(codes), rep(1:120, each = 250))] <- 1
#' motifs <- discover_motifs(scores, X, n_leiden_runs = 5, random_state = 0)
#' summary(motifs)
#' plot(motifs)
#' head(motifs[[1]]$seqlets)
NULL

new_motifs <- function(patterns, settings = list(), ranges = NULL) {
  structure(patterns, settings = settings, ranges = ranges, class = "seqlift_motifs")
}

#' @rdname seqlift_motifs
#' @export
`[.seqlift_motifs` <- function(x, i) {
  if (missing(i)) {
    return(x)
  }
  rows <- resolve_index(i, length(x), names(x), "patterns", rlang::current_env())
  new_motifs(unclass(x)[rows], attr(x, "settings"), attr(x, "ranges"))
}

#' @rdname seqlift_motifs
#' @export
print.seqlift_motifs <- function(x, ...) {
  n <- length(x)
  cat_text("<seqlift_motifs> ", n, if (n == 1L) " pattern" else " patterns")
  settings <- attr(x, "settings")
  if (!is.null(settings$method)) {
    cat_field("method", settings$method)
  }
  if (n > 0L) {
    print_table(as.data.frame(x), max_rows = 20L)
  }
  invisible(x)
}

#' @rdname seqlift_motifs
#' @export
summary.seqlift_motifs <- function(object, ...) {
  table <- as.data.frame(object)
  summary_table(table[order(-table$seqlets), ])
}

#' @rdname seqlift_motifs
#' @export
as.data.frame.seqlift_motifs <- function(x, row.names = NULL, optional = FALSE, ...) {
  patterns <- unclass(x)
  field <- function(f, type) vapply(patterns, f, type, USE.NAMES = FALSE)
  data.frame(
    motif = as.character(names(x)),
    sign = field(function(one) one$sign, ""),
    seqlets = field(function(one) nrow(one$seqlets), 1L),
    subpatterns = field(function(one) length(one$subpatterns), 1L),
    consensus = field(pattern_consensus, ""),
    length = field(function(one) nrow(one$ppm), 1L)
  )
}

pattern_consensus <- function(pattern) {
  kept <- trimmed_positions(pattern$contributions, 0.3)
  ppm <- pattern$ppm[kept, , drop = FALSE]
  best <- max.col(ppm, ties.method = "first")
  paste(ifelse(ppm[cbind(seq_along(best), best)] > 0.5, base_letters[best], "N"), collapse = "")
}

#' @rdname seqlift_motifs
#' @export
plot.seqlift_motifs <- function(x, trim_threshold = 0.3, ...) {
  trim_threshold <- check_share(trim_threshold, "trim_threshold")
  if (length(x) == 0L) {
    abort_argument("x", "at least one pattern", "none")
  }
  logos <- unlist(lapply(unclass(x), function(pattern) {
    kept <- trimmed_positions(pattern$contributions, trim_threshold)
    forward <- pattern$contributions[kept, , drop = FALSE]
    list(forward, forward[rev(seq_along(kept)), 4:1, drop = FALSE])
  }), recursive = FALSE, use.names = FALSE)
  width <- max(vapply(logos, nrow, 1L))
  # Short, so that the names of many panels, which stand beside them, are whole.
  labels <- paste(rep(names(x), each = 2L), c("+", "-"))
  values <- array(0, c(length(logos), n_bases, width),
    dimnames = list(labels, base_letters, NULL))
  for (i in seq_along(logos)) {
    values[i, , seq_len(nrow(logos[[i]]))] <- t(logos[[i]])
  }
  plot_logo(values, ...)
}
