#' Entropy and information content of positions
#'
#' `entropy()` is how undecided a position is between the letters, in bits: 0 where one letter is
#' certain, 2 where all four are as likely. `information_content()` is what is left to the most that
#' is possible.
#'
#' Columns are divided by their sums. The entropy of a column p is -sum(p log2(p + eps)), its
#' information content log2(alphabet size) less that. Columns of zeros (an N) have 0 of both.
#'
#' @param X Motifs or sequences: an array `[n, letters, L]`; a matrix `[letters, L]`; or whatever
#'   else [tomtom()] takes as motifs. Probabilities, counts or one-hot, no negative numbers.
#' @param eps What is added within the logarithm. Default 1e-9.
#' @param alphabet_size How many letters there could be, at least 1. Default `NULL`: as many as `X`
#'   has rows.
#' @return In bits: of an array a matrix `[n, L]`, of a matrix a vector of length L, of a list, a
#'   file or objects of motifs a list of such vectors.
#' @section Errors: `seqlift_error_argument` for anything else, or negative or missing numbers.
#' @source `entropy` and `information_content` of tangermeme 1.4.0 (Schreiber), in double precision;
#'   Schneider et al. (1986), Journal of Molecular Biology 188, 415-431.
#' @seealso [plot_logo()], [tomtom()]
#' @export
#' @examples
#' motif <- cbind(c(0, 0, 1, 0), c(0.5, 0, 0, 0.5), c(1, 1, 1, 1))
#' entropy(motif)
#' information_content(motif)
entropy <- function(X, eps = 1e-9) {
  eps <- check_number(eps, "eps", min = 0)
  over_columns(X, function(shares, is_zero) {
    ifelse(is_zero, 0, entropy_of(shares, eps))
  }, rlang::current_env())
}

#' @rdname entropy
#' @export
information_content <- function(X, alphabet_size = NULL, eps = 1e-9) {
  eps <- check_number(eps, "eps", min = 0)
  alphabet_size <- check_count(alphabet_size, "alphabet_size", null = TRUE)
  over_columns(X, function(shares, is_zero) {
    most <- log2(alphabet_size %||% nrow(shares))
    ifelse(is_zero, 0, most - entropy_of(shares, eps))
  }, rlang::current_env())
}

entropy_of <- function(shares, eps) {
  bits <- shares * log2(shares + eps)
  # With eps = 0 a share of 0 says nothing.
  bits[shares == 0] <- 0
  -colSums(bits)
}

# `summarise(shares, is_zero)` of the columns of each matrix.
over_columns <- function(X, summarise, call) {
  of_matrix <- function(values, arg) {
    if (!all(is.finite(values)) || any(values < 0)) {
      abort_argument(arg, "finite numbers of at least 0", "others",
        hint = "Contributions and weights have no entropy.", call = call
      )
    }
    sums <- colSums(values)
    shares <- values / rep(ifelse(sums == 0, 1, sums), each = nrow(values))
    summarise(unname(shares), unname(sums) == 0)
  }
  if (is.array(X) && length(dim(X)) == 3L && is.numeric(X)) {
    shape <- dim(X)
    by_letter <- matrix(aperm(array(as.double(X), shape), c(2L, 1L, 3L)), shape[2L])
    values <- matrix(of_matrix(by_letter, "X"), shape[1L])
    dimnames(values) <- if (!is.null(dimnames(X)[[1L]])) list(dimnames(X)[[1L]], NULL)
    return(values)
  }
  if (is.matrix(X) && is.numeric(X) && all(dim(X) > 0L)) {
    return(of_matrix(X, "X"))
  }
  motifs <- motif_inputs(X, "X", any_alphabet = TRUE, call = call)
  lapply(motifs, of_matrix, "X")
}
