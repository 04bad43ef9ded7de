#' Project multipliers onto hypothetical attributions
#'
#' At each position exactly one base is present, so putting a base there also takes the
#' reference's away: base c is worth `m_c - sum_b(ref_b m_b)`.
#'
#' @param multipliers Array `[n, n_refs, 4, L]` (as [deep_lift_shap()] returns with
#'   `raw_outputs = TRUE`) or `[n, 4, L]`.
#' @param X Sequences or array of the shape of `multipliers`. The projection does not depend on it;
#'   it is checked for its length.
#' @param references Array of the shape of `multipliers`.
#' @return Double array of the shape of `multipliers`.
#' @section Errors: `seqlift_error_argument` when the shapes differ.
#' @source `hypothetical_attributions` of tangermeme 1.4.0 (Schreiber); Shrikumar et al. (2017).
#' @export
#' @examples
#' multipliers <- array(rnorm(2 * 4 * 10), c(2, 4, 10))
#' X <- random_one_hot(c(2, 4, 10), random_state = 0)
#' references <- random_one_hot(c(2, 4, 10), random_state = 1)
#' hypothetical_attributions(multipliers, X, references)[1, , 1:3]
hypothetical_attributions <- function(multipliers, X, references) {
  values <- unclass(multipliers)
  shape <- dim(values)
  if (!is.numeric(values) || !length(shape) %in% 3:4 || shape[length(shape) - 1L] != n_bases) {
    abort_argument("multipliers", "an array [n, 4, L] or [n, n_refs, 4, L]", describe(values))
  }
  if (!identical(dim(references), shape)) {
    abort_argument("references", paste("of shape", paste(shape, collapse = " x ")),
      describe(references)
    )
  }
  length_of_X <- if (is.array(X)) utils::tail(dim(X), 1L) else as_sequences(X)$length
  if (length_of_X != shape[length(shape)]) {
    abort_argument("X", paste("of length", shape[length(shape)]), paste("of length", length_of_X))
  }
  result <- core_project_multipliers(
    as.double(values), as.double(unclass(references)), n_bases, shape[length(shape)]
  )
  attributes(result) <- list(dim = shape, dimnames = dimnames(multipliers))
  result
}
