#' Name seqlets after motifs
#'
#' Compares the sequence under each seqlet with motifs by [tomtom()] and gives the nearest ones.
#'
#' The sequence's letters are compared, one-hot, not its attributions. Seqlets are independent of
#' each other. There is always a nearest motif: look at its p-value.
#'
#' @param X Sequences, `[n, 4, L]`: a character vector, a `DNAStringSet` or a one-hot array. Those
#'   on which the seqlets were called.
#' @param seqlets A data frame with columns `example` (number of the sequence), `start` and `end`
#'   (1-based, inclusive), such as the result of [recursive_seqlets()].
#' @param motifs Motifs, as [tomtom()] takes them.
#' @param n_nearest How many motifs to give for each seqlet, the nearest first. Default 1; more than
#'   there are gives all.
#' @param ... Further arguments of [tomtom()], such as `reverse_complement`, `compatible` or
#'   `max_p_value`, with which a seqlet may have no motif and then no row.
#' @return A data frame with a row for each seqlet and motif, the seqlets in their order, and
#'   columns `example`, `start`, `end` (of the seqlet), `annotation` (the motif, a factor whose
#'   levels are all motifs in their order), `rank` (1: the nearest), `p_value`, `q_value`, `score`,
#'   `offset`, `overlap` and `strand` as [tomtom()] gives them, with the seqlet as query; `seqlet`,
#'   its row in `seqlets`; and `range` where `seqlets` has it. [count_annotations()],
#'   [pairwise_annotations()] and [pairwise_annotation_spacing()] count them,
#'   [annotations_as_granges()] takes them to the genome, [plot_logo()] draws them
#'   (`transform(annotations, name = annotation)`).
#' @section Errors: Those of [tomtom()]; `seqlift_error_argument` when `seqlets` is no such table,
#'   holds no seqlet, or lies beyond the sequences.
#' @source `annotate_seqlets` of tangermeme 1.4.0 (Schreiber), whose indices count from 0.
#' @seealso [tomtom()], [plot_annotation_counts()]
#' @export
#' @examples
#' X <- c(one = "CCCAGATAAGCCCCCTTATCTCC", two = "CCCCCCCACGTGCCCCCCCCCCC")
#' seqlets <- data.frame(example = c(1, 1, 2), start = c(4, 16, 8), end = c(10, 21, 13))
#' motifs <- list(
#'   GATA = one_hot_encode("AGATAAG")[1, , ], Ebox = one_hot_encode("CACGTG")[1, , ]
#' )
#' # These motifs are sequences themselves: see `compatible` of tomtom().
#' annotate_seqlets(X, seqlets, motifs, compatible = FALSE)
annotate_seqlets <- function(X, seqlets, motifs, n_nearest = 1L, ...) {
  call <- rlang::current_env()
  sequences <- as_sequences(X)
  codes <- sequence_codes(sequences)
  check_seqlets(seqlets)
  if (nrow(seqlets) == 0L) {
    abort_argument("seqlets", "a table with at least one seqlet", "one without rows")
  }
  if (any(seqlets$example > ncol(codes)) || any(seqlets$end > nrow(codes))) {
    abort_argument("seqlets",
      paste0("within the sequences of `X`: ", ncol(codes), " of ", nrow(codes), " bp"),
      paste0("beyond: up to sequence ", max(seqlets$example), " and position ", max(seqlets$end))
    )
  }
  n_nearest <- check_count(n_nearest, "n_nearest")
  check_tomtom_dots(list(...), call)
  counts <- if (isFALSE(list(...)$normalize)) "counts" else "probabilities"
  targets <- motif_inputs(motifs, "motifs", counts = counts)
  windows <- lapply(seq_len(nrow(seqlets)), function(i) {
    at <- seq(seqlets$start[i], seqlets$end[i])
    own <- as.integer(codes[at, seqlets$example[i]])
    matrix(as.double(outer(0:3, own, `==`)), n_bases, dimnames = list(base_letters, NULL))
  })
  matches <- rlang::try_fetch(
    tomtom(windows, targets, n_nearest = min(n_nearest, length(targets)), ...),
    seqlift_error = function(error) {
      error$call <- call
      rlang::cnd_signal(error)
    }
  )
  row <- as.integer(matches$query)
  annotations <- data.frame(
    seqlets[row, c("example", "start", "end")],
    annotation = factor(matches$target, names(targets)),
    rank = as.integer(stats::ave(row, row, FUN = seq_along)),
    matches[c("p_value", "q_value", "score", "offset", "overlap", "strand")],
    seqlet = row, row.names = NULL
  )
  annotations$range <- seqlets[["range"]][row]
  structure(annotations, sequences = sequences$names)
}

#' Annotations as genomic ranges
#'
#' @param annotations A result of [annotate_seqlets()], or another table with columns `example`,
#'   `start`, `end` (1-based, inclusive) and, if it is known, `strand` (`"+"` or `"-"` on the
#'   sequence).
#' @param ranges A `GRanges` with the place of each sequence, or `NULL` (default): the column
#'   `range`, else positions stay those in the sequences. As in [seqlets_as_granges()].
#' @return A `GRanges`, one range a row, on the strand of the motif: that of the annotation, turned
#'   round for sequences from the minus strand. The other columns are its metadata.
#' @section Errors: As of [seqlets_as_granges()].
#' @seealso [seqlets_as_granges()]
#' @export
#' @examplesIf requireNamespace("GenomicRanges", quietly = TRUE)
#' annotations <- data.frame(
#'   example = c(1, 2), start = 5, end = 8, annotation = c("GATA", "Ebox"), strand = c("+", "-")
#' )
#' windows <- GenomicRanges::GRanges(c("chr1:1001-1100:+", "chr1:2001-2100:-"))
#' annotations_as_granges(annotations, windows)
annotations_as_granges <- function(annotations, ranges = NULL) {
  check_seqlets_named(annotations, "annotations", c("example", "start", "end"))
  own <- annotations[["strand"]]
  if (!is.null(own) && !all(own %in% c("+", "-", "*"))) {
    abort_argument("annotations", "a table whose column strand holds \"+\", \"-\" or \"*\"",
      "one with other strands")
  }
  # Without the column, but with the names of the sequences.
  rest <- annotations
  rest$strand <- NULL
  placed <- seqlets_as_granges(rest, ranges)
  if (is.null(own)) {
    return(placed)
  }
  of_sequence <- as.character(GenomicRanges::strand(placed))
  turned <- ifelse(own == "+", "-", ifelse(own == "-", "+", "*"))
  GenomicRanges::strand(placed) <- ifelse(of_sequence == "-", turned, own)
  placed
}

check_seqlets_named <- function(x, arg, columns, call = caller_env()) {
  if (!is.data.frame(x) || !all(columns %in% names(x))) {
    abort_argument(arg, paste("a data frame with columns", toString(columns)), describe(x),
      call = call
    )
  }
}

check_tomtom_dots <- function(dots, call) {
  known <- setdiff(names(formals(tomtom)), c("query", "targets", "n_nearest"))
  unknown <- if (is.null(names(dots))) rep("one without a name", length(dots)) else
    setdiff(names(dots), known)
  if (length(unknown) > 0L) {
    abort_argument("...", paste("arguments of tomtom():", toString(known)), toString(unknown),
      call = call
    )
  }
}
