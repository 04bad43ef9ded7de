#' seqlift: explain genomic sequence-to-function models
#'
#' Which letters of a DNA sequence drive a trained network's prediction?
#' [deep_lift_shap()] answers on the model's own TorchScript graph, operation by
#' operation; [audit_model()] says which rule each operation gets;
#' [convergence_deltas()] says how well the answer adds up.
#'
#' @keywords internal
#' @useDynLib seqlift, .registration = TRUE
#' @importFrom Rcpp evalCpp
#' @importFrom rlang caller_env
"_PACKAGE"
