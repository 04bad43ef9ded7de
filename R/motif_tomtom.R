#' Compare motifs with motifs
#'
#' Finds for each query the targets that resemble it, with the chance of so good an alignment, the
#' place and the strand of the best one: the Tomtom algorithm.
#'
#' A query is laid along each target and its reverse complement in every way in which they overlap.
#' Two columns score minus their Euclidean distance, less the median of the distances of the query's
#' column to all columns of all targets; columns of the query beyond the target score 0 ("complete
#' scores"). Scores are counted in whole steps: the range of a query's scores has at most
#' `n_score_bins` of them. The null distribution takes the columns of a target as independent draws
#' from those of all targets, and the alignments of a pair as independent of each other. Its tails
#' are added up from the small end, so that p-values of 1e-30 are told apart.
#'
#' Counts are divided by the sums of their columns first: whole numbers, or numbers that sum to the
#' same at every position, and to more than 1. Weights are taken as they are. Steps are whole
#' fractions of a distance of 1, so scores depend on the unit of weights: of contributions, which
#' are often small, few different scores are left.
#'
#' @section Where memelite differs:
#' The numbers are those of memelite 0.2, with these exceptions: a query column as far from every
#' target column as from any other scores 0 (there: division by zero) as long as another column can
#' tell targets apart; distances with a range above `n_score_bins`, as of counts, are counted in
#' steps above 1 (there: in none, with results from memory that was never set); more than 128 score
#' steps and sums beyond 32767 do not overflow; p-values are never negative. Kept as it is there: of
#' equally good alignments nearly always the last is given, and of equally good strands the reverse
#' one; and, unless `compatible = FALSE`, the lowest score of all is missing from the null
#' distributions. That makes p-values larger: by next to nothing for motifs with many different
#' columns, and up to 1, whatever the score, where every column is one certain letter, in query and
#' targets.
#'
#' @param query,targets Motifs: the path of a file ([read_motifs()]), a matrix with a column for
#'   each position and the rows A, C, G and T, an object of universalmotif or TFBSTools, a list of
#'   such, or a result of [discover_motifs()], of which the probabilities between the trimmed ends
#'   are taken ([as_motif_matrices()] gives others). Names must differ; without names motifs are
#'   called by their numbers. Matrices may be of another alphabet, if all are of the same.
#' @param n_nearest How many targets to keep for each query, those of the smallest p-values; `NULL`
#'   (default): all.
#' @param max_p_value Keep the targets whose p-value is at most this one, 0 to 1. Default 1.
#' @param reverse_complement Whether targets are compared on both strands, too. Default `TRUE`. Of
#'   another alphabet than that of DNA it must be given: `TRUE` means that the first row pairs with
#'   the last, the second with the one before, and so on.
#' @param n_score_bins Steps of the scores, 10 to 10000. Default 100.
#' @param n_median_bins Bins in which medians are searched, at least 2. Default 1000.
#' @param n_target_bins Target columns whose numbers fall into the same of so many bins are one
#'   column, which saves time; `NULL` merges none. Default 100.
#' @param normalize `FALSE` takes counts as they are. Default `TRUE`.
#' @param compatible `TRUE` (default) gives memelite's p-values, from whose null distributions the
#'   lowest score is missing. `FALSE` puts it in: for motifs of certain letters alone, such as
#'   sequences against sequences, most of the chances lie there.
#' @return A data frame with a row for each pair that is kept, the queries in their order, the
#'   targets of each by p-value (then by score, then in their order), and columns
#'   * `query`, `target`: names;
#'   * `p_value`: the chance of so good a best alignment with a target of that width;
#'   * `q_value`: the false discovery rate among all targets of that query (Benjamini and
#'     Hochberg), whether or not they are kept;
#'   * `score`: of the best alignment, in steps, counted from the lowest that is possible;
#'   * `offset`: how far the query's first position lies behind the target's first; negative if
#'     before it. On strand `"-"`, behind the first of the target's reverse complement;
#'   * `overlap`: how many positions are aligned;
#'   * `strand`: `"+"`, or `"-"` for the target's reverse complement; `"+"` throughout with
#'     `reverse_complement = FALSE`.
#' @section Errors: `seqlift_error_argument` for what are no motifs, two of one name, different
#'   alphabets, only zeros, a query all of whose columns are as far from each target column as from
#'   any other (there is nothing to tell), or another wrong argument; `seqlift_error_file` for a
#'   file that cannot be read.
#' @section Threads: As many as [seqlift_threads()] was told, or the machine has cores. They never
#'   change the result.
#' @source Gupta et al. (2007), Genome Biology 8, R24; Tanaka et al. (2011), Bioinformatics 27,
#'   1603-1609 (complete scores); memelite 0.2 (Schreiber) for the approximations.
#' @seealso [annotate_seqlets()], [read_motifs()], [as_motif_matrices()]
#' @export
#' @examples
#' gata <- rbind(A = c(1, 18, 1, 19, 12), C = c(1, 0, 1, 0, 2), G = c(17, 1, 1, 0, 5),
#'   T = c(1, 1, 17, 1, 1))
#' ebox <- rbind(A = c(0, 20, 0, 0, 0, 0), C = c(20, 0, 10, 10, 0, 0), G = c(0, 0, 10, 10, 0, 20),
#'   T = c(0, 0, 0, 0, 20, 0))
#' # The first motif again, from the other strand and with a position more.
#' turned <- cbind(gata[4:1, 5:1], c(5, 5, 5, 5))
#' rownames(turned) <- rownames(gata)
#' tomtom(list(gata = gata), list(ebox = ebox, turned = turned))
tomtom <- function(query, targets, n_nearest = NULL, max_p_value = 1, reverse_complement = TRUE,
                   n_score_bins = 100L, n_median_bins = 1000L, n_target_bins = 100L,
                   normalize = TRUE, compatible = TRUE) {
  call <- rlang::current_env()
  check_flag(normalize, "normalize")
  check_flag(compatible, "compatible")
  check_flag(reverse_complement, "reverse_complement")
  counts <- if (normalize) "probabilities" else "counts"
  query <- motif_inputs(query, "query", counts = counts, any_alphabet = TRUE)
  targets <- motif_inputs(targets, "targets", counts = counts, any_alphabet = TRUE)
  check_same_alphabet(list(query[[1L]], targets[[1L]]), "targets", call)
  if (missing(reverse_complement) && nrow(query[[1L]]) != n_bases) {
    abort_argument("reverse_complement", "given for another alphabet than that of DNA", "left out",
      hint = "{.code FALSE} compares motifs as they are; {.code TRUE} pairs the first row with the
              last, the second with the one before it, and so on."
    )
  }
  options <- list(
    n_nearest = check_count(n_nearest, "n_nearest", null = TRUE) %||% 0L,
    max_p_value = check_share(max_p_value, "max_p_value"),
    reverse_complement = reverse_complement, compatible = compatible,
    n_score_bins = check_count(n_score_bins, "n_score_bins", min = 10, max = 10000),
    n_median_bins = check_count(n_median_bins, "n_median_bins", min = 2, max = 1e7),
    n_target_bins = check_count(n_target_bins, "n_target_bins", min = 2, max = 1e6,
      null = TRUE) %||% 0L
  )
  matches <- compare_motifs(query, targets, options, call)
  # In place, because data.frame() copies, and there may be millions of rows.
  matches$query <- names(query)[matches$query]
  matches$target <- names(targets)[matches$target]
  matches$strand <- c("+", "-")[matches$strand]
  structure(matches, class = "data.frame", row.names = .set_row_names(length(matches$query)))
}

# What the core says of named lists of matrices, query and target as numbers.
compare_motifs <- function(query, targets, options, call, labels = c("query", "targets")) {
  sides <- list(query, targets)
  for (i in seq_along(sides)) {
    if (all(vapply(sides[[i]], function(motif) all(motif == 0), NA))) {
      abort_argument(labels[i], "motifs with other numbers than 0", "only zeros", call = call)
    }
  }
  matches <- core_tomtom(
    unlist(query, use.names = FALSE), vapply(query, ncol, 1L),
    unlist(targets, use.names = FALSE), vapply(targets, ncol, 1L), nrow(query[[1L]]),
    options$n_score_bins, options$n_median_bins, options$n_target_bins,
    options$reverse_complement, options$n_nearest, options$max_p_value,
    options$compatible, motif_threads()
  )
  if (identical(matches$error, "interrupt")) {
    rlang::interrupt()
  }
  if (!is.null(matches$error)) {
    name <- escape_braces(names(query)[as.integer(matches$message)])
    abort_seqlift("argument",
      c(paste0("Nothing tells the motifs of {.arg {labels[2L]}} apart for the query \"", name,
        "\": each of its columns is as far from every column of theirs as from any other."),
        i = "A flat motif cannot be compared, nor any with motifs of one kind of column."
      ),
      call = call
    )
  }
  matches
}

# Threads for what needs no engine; 0 lets the core see how many cores there are.
motif_threads <- function() engine$threads %||% 0L
