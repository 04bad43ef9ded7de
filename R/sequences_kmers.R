#' Count k-mers
#'
#' Features of sequences: how often each k-mer occurs, or the sum of the scores under it.
#'
#' A k-mer with an unknown base (N) is not counted; tangermeme takes N for an A.
#'
#' @param X Sequences: a character vector, a `DNAStringSet` or a one-hot array `[n, 4, L]`.
#' @param k Length of the k-mers, 1 to 12, at most L.
#' @param scores `NULL` (default) counts; or a score for each position, whose sum over the k-mer's
#'   positions each occurrence adds: a matrix `[n, L]`, or attributions `[n, 4, L]`, which are
#'   summed over the bases.
#' @return A double matrix `[n, 4^k]`, a column for each k-mer, named. The first base changes
#'   fastest: `AA`, `CA`, `GA`, `TA`, `AC`, ...
#' @section Errors: `seqlift_error_argument` for a `k` longer than the sequences, scores of another
#'   shape, or a result of more than 2^31 numbers; `seqlift_error_sequence` for what are no
#'   sequences.
#' @source `kmers` of tangermeme 1.4.0 (Schreiber), in double precision.
#' @seealso [gapped_kmers()]
#' @export
#' @examples
#' kmers(c("GATAGATA", "CCCCCCCC"), 2)[, c("GA", "TA", "CC")]
kmers <- function(X, k, scores = NULL) {
  sequences <- as_sequences(X)
  codes <- sequence_codes(sequences)
  length <- nrow(codes)
  k <- check_count(k, "k", max = 12)
  if (k > length) {
    abort_argument("k", paste0("at most as long as the sequences (", length, " bp)"), k)
  }
  n <- ncol(codes)
  if (n * 4^k >= 2^31) {
    abort_argument("k", "such that the result has less than 2^31 numbers",
      paste0(k, ": ", n, " x 4^", k),
      hint = "Count part of the sequences at a time, or shorter k-mers."
    )
  }
  tracks <- if (!is.null(scores)) score_tracks(scores, codes)
  bases <- matrix(as.integer(codes), length)
  bases[bases > 3L] <- NA
  starts <- seq_len(length - k + 1L)
  index <- matrix(0L, length(starts), n)
  weight <- if (is.null(tracks)) index + 1 else index + 0
  for (i in seq_len(k)) {
    index <- index + bases[starts + i - 1L, , drop = FALSE] * as.integer(4^(i - 1L))
    if (!is.null(tracks)) {
      weight <- weight + tracks[starts + i - 1L, , drop = FALSE]
    }
  }
  counts <- matrix(0, n, 4^k, dimnames = list(sequences$names, kmer_names(k)))
  known <- !is.na(index)
  cell <- (as.double(index[known]) * n) + col(index)[known]
  sums <- rowsum(weight[known], cell, reorder = FALSE)
  counts[as.double(rownames(sums))] <- sums[, 1L]
  counts
}

kmer_names <- function(k) {
  names <- ""
  for (i in seq_len(k)) {
    names <- paste0(rep(names, times = n_bases), rep(base_letters, each = length(names)))
  }
  names
}

# [L, n], of the sequences.
score_tracks <- function(scores, codes, call = caller_env()) {
  tracks <- attribution_tracks(scores, "scores", call)
  if (!identical(dim(tracks), dim(codes))) {
    abort_argument("scores", paste0("of the sequences: ", ncol(codes), " of ", nrow(codes), " bp"),
      paste0(ncol(tracks), " of ", nrow(tracks), " bp"),
      call = call
    )
  }
  tracks
}

#' Find the gapped k-mers that weigh most
#'
#' Of each sequence the gapped k-mers, words of letters with gaps between them, with the largest
#' counts or sums of scores.
#'
#' An occurrence adds the mean score of its letters (1 without scores), the positions of gaps not
#' among them. Positions of an unknown base (N) enter no word; tangermeme takes N for an A. Where a
#' sequence has fewer words than `max_gkmers` it gives those that there are.
#'
#' @inheritParams kmers
#' @param scores A score for each position, as [kmers()] takes it, or `NULL` (default): counts.
#' @param min_k,max_k Fewest and most letters of a word, from 2. Default 4 and 8.
#' @param max_gap How many positions a letter lies behind the one before it at most: 1 allows no
#'   gap, 2 (default) a gap of one position, and so on.
#' @param max_len Longest word with its gaps, in bp, at most 27. Default 10.
#' @param max_gkmers How many words to keep of each sequence, those of the largest absolute sums.
#'   Default 10.
#' @param max_pos Look only at so many positions of each sequence, those of the highest scores.
#'   Default `NULL`: all.
#' @return A data frame with a row for each sequence and word, sequences in their order, the largest
#'   absolute sums first (of equal ones the word that is found first), and columns `example` (number
#'   of the sequence), `gkmer` (letters, with `.` for a gap) and `score`.
#' @section Errors: As of [kmers()].
#' @source `gapped_kmers` of tangermeme 1.4.0 (Schreiber), whose `max_gap` this is.
#' @seealso [kmers()]
#' @export
#' @examples
#' gapped_kmers(c("GATTAGACAGATTA", "CCCCCCCCCCCCCC"), min_k = 3, max_k = 4, max_gkmers = 3)
gapped_kmers <- function(X, scores = NULL, min_k = 4L, max_k = 8L, max_gap = 2L, max_len = 10L,
                         max_gkmers = 10L, max_pos = NULL) {
  sequences <- as_sequences(X)
  codes <- sequence_codes(sequences)
  min_k <- check_count(min_k, "min_k", min = 2)
  max_k <- check_count(max_k, "max_k", min = min_k)
  max_gap <- check_count(max_gap, "max_gap")
  max_len <- check_count(max_len, "max_len", min = min_k, max = 27)
  max_gkmers <- check_count(max_gkmers, "max_gkmers")
  max_pos <- check_count(max_pos, "max_pos", null = TRUE) %||% nrow(codes)
  tracks <- matrix(1, nrow(codes), ncol(codes))
  if (!is.null(scores)) {
    tracks <- score_tracks(scores, codes)
  }
  found <- core_gapped_kmers(codes, tracks, min_k, max_k, max_gap, max_len, max_gkmers, max_pos)
  as.data.frame(found)
}
