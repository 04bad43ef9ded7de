#' Predict with a model
#'
#' @param object A model, see [load_model()].
#' @param X Sequences: a character vector, a `Biostrings::DNAStringSet`, or a one-hot array
#'   `[n, 4, L]` (further channels behind the four bases are passed on).
#' @param args List of the model's other inputs, first dimension n, by name or in order; see
#'   [with_args()]. Default `NULL`.
#' @param batch_size How many sequences are evaluated at a time. Default 32. The result does not
#'   depend on it.
#' @param dtype `"float32"`, `"float64"`, `"bfloat16"`, or `NULL` (default) for the model's own.
#' @param device `"cpu"`, `"cuda"`, `"cuda:1"`, or `NULL` (default), see [load_model()].
#' @param verbose `TRUE` shows a progress bar. Default `FALSE`.
#' @param BPPARAM Where the work is done: `NULL` (default) in this session, or a parameter object of
#'   \pkg{BiocParallel}, such as `SnowParam(2)`, whose workers share the sequences. See
#'   [seqlift_parallel].
#' @param ... Must be empty.
#' @return A double array `[n, ...]` with the names of the sequences, in the model's units; a list
#'   of such arrays for a model with several outputs, by their names where the model returns a
#'   dictionary or a NamedTuple, or comes from Keras.
#' @section Errors: `seqlift_error_sequence` for sequences that cannot be read;
#'   `seqlift_error_length` for sequences that are too short for the model;
#'   `seqlift_error_args` for missing or unfitting inputs; `seqlift_error_evaluation` when the model
#'   itself fails on this input; `seqlift_error_output` when it does not return a row per sequence.
#' @importFrom stats predict
#' @export
#' @examples
#' model <- with_args(demo_model(), list(control_track = 0))
#' predict(select_output(model, 2), demo_sequences())
predict.seqlift_model <- function(object, X, args = NULL, batch_size = 32L, dtype = NULL,
                                  device = NULL, verbose = FALSE, BPPARAM = NULL, ...) {
  given <- as.list(environment())
  call <- rlang::current_env()
  check_no_dots(..., .fn = "predict", .after = "BPPARAM")
  sequences <- as_sequences(X, extra_channels = TRUE, only_warn = TRUE)
  batch_size <- check_count(batch_size, "batch_size")
  if (is_parallel(BPPARAM)) {
    return(over_sequences("predict.seqlift_model", given, sequences, BPPARAM, batch_size))
  }
  dtype <- check_dtype(dtype)
  device <- check_device(if (is.null(device)) object$device else device)
  check_flag(verbose, "verbose")
  outputs <- run_predict(object, sequences, args, batch_size, dtype, device, verbose, call)
  outputs <- lapply(outputs, name_rows, names = sequences$names)
  one_or_several(outputs, object)
}

# The only output itself, or the list of several.
one_or_several <- function(outputs, model) {
  if (length(outputs) == 1L) outputs[[1L]] else name_outputs(outputs, model)
}

name_outputs <- function(outputs, model) {
  names <- model$info$output_names
  if (length(names) == length(outputs)) stats::setNames(outputs, names) else outputs
}

# The bare call: checked arguments in, a list of arrays out.
run_predict <- function(model, sequences, args, batch_size, dtype, device, verbose,
                        call = caller_env()) {
  options <- list(
    wrappers = model$wrappers, batch_size = batch_size, dtype = dtype, device = device,
    threads = seqlift_threads(),
    memory = engine$memory, progress = progress_bar(verbose, "Predicting")
  )
  args <- complete_args(model, args, sequences, call)
  call_engine("predict", model_pointer(model, call), engine_input(sequences, args), options,
    call = call
  )
}

# Sequences and further inputs as the engine takes them.
engine_input <- function(sequences, args) {
  list(codes = sequences$codes, array = sequences$array, n = sequences$n, args = args)
}

name_rows <- function(values, names) {
  if (!is.null(names)) {
    labels <- vector("list", length(dim(values)))
    labels[[1L]] <- names
    dimnames(values) <- labels
  }
  values
}
