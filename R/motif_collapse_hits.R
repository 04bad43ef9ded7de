#' Keep one of the hits that overlap
#'
#' Of hits that overlap, the one whose similarity is highest stays: one answer to what is bound at a
#' place.
#'
#' Two hits compete if they still meet or touch when both are made shorter by the fraction f:
#' `overlap`: of a hit of length w both ends are moved inwards by trunc(f w) / 2. The one of the
#' higher similarity wins, of equals the earlier row, whatever the motifs and strands. Hits stay
#' that win against all they compete with; losers compete, too.
#'
#' @section Where Fi-NeMo is wrong:
#' finemo 0.41 keeps the hit of the *lower* similarity, against its documentation: its comparison is
#' the wrong way round. It also compares a hit only with those before it by their starts, by which
#' short hits within long ones can be missed for `overlap` above 0. Neither is copied here.
#'
#' @param hits A result of [call_hits()], or rows of it.
#' @param overlap The fraction f, 0 (touching is enough) to 1 (nearly the same place). Default 0.2.
#' @param mark `FALSE` (default) returns the hits that stay, `TRUE` all, with a column `primary`.
#' @return A table as `hits`, its rows in their order. Hits are compared in the genome where their
#'   places are known, otherwise within their sequences.
#' @section Errors: `seqlift_error_argument` when `hits` are none, or for another wrong argument.
#' @source `collapse-hits` of finemo 0.41, as documented.
#' @seealso [call_hits()]
#' @export
#' @examples
#' set.seed(1)
#' motif <- rbind(A = c(0, 1.2, 0, 1.1, 0.8), C = 0, G = c(1, 0, 0, 0, 0), T = c(0, 0, 0.9, 0, 0))
#' X <- random_one_hot(c(20, 4, 60), random_state = 0)
#' scores <- array(rnorm(20 * 4 * 60, sd = 0.08), c(20, 4, 60))
#' X[, , 21:25] <- rep(motif > 0, each = 20)
#' scores[, , 21:25] <- scores[, , 21:25] + rep(motif, each = 20)
#' # The same motif twice, once without its last position.
#' hits <- call_hits(scores, list(gata = motif, short = motif[, 1:4]), X, lambda = 0.2)
#' nrow(hits)
#' nrow(collapse_hits(hits))
collapse_hits <- function(hits, overlap = 0.2, mark = FALSE) {
  check_hits(hits)
  overlap <- check_share(overlap, "overlap")
  check_flag(mark, "mark")
  places <- if (all(c("seqnames", "genomic_start", "genomic_end") %in% names(hits))) {
    list(hits$seqnames, hits$genomic_start, hits$genomic_end)
  } else {
    list(hits$example, hits$start, hits$end)
  }
  stays <- primary_hits(places, hits$similarity, overlap)
  if (mark) {
    hits$primary <- stays
    return(hits)
  }
  hits[stays, ]
}

# `places`: what hits are of, first and last position of each.
primary_hits <- function(places, similarity, overlap) {
  core_collapse_hits(
    match(places[[1L]], unique(places[[1L]])), as.double(places[[2L]]), as.double(places[[3L]]),
    ifelse(is.na(similarity), -Inf, similarity), overlap
  )
}
