# Pairwise influence by sequence attribution: deep_lift_shap() for every position of a profile. The
# core evaluates sequences and references once and goes back from every output.

#' Explain every position of a profile (PISA)
#'
#' Pairwise influence by sequence attribution: how much each letter of a sequence adds to each
#' position of the model's profile. The numbers are those of [deep_lift_shap()] with each output as
#' the target, but sequences and references are evaluated only once for all outputs.
#'
#' @inheritParams deep_lift_shap
#' @param model A model, see [load_model()]; its output must be `[n, n_outputs]`, or
#'   `[n, n_strands, length]`, whose outputs are counted strand by strand: the first strand has
#'   outputs 1 to `length`. Choose one of several outputs with [select_output()].
#' @param ... Must be empty.
#' @param outputs Which outputs are explained, whole numbers from 1, for example `401:600`. Default
#'   `NULL`, all of them.
#' @param raw_outputs `TRUE` returns the multipliers of every pair and output, which takes
#'   `n_refs` times as much memory. Default `FALSE`.
#' @return An array of class `seqlift_pisa`, in units of the model's output, sequences named as in
#'   `X`: `[n, n_outputs, 4, L]`, or with `raw_outputs = TRUE` the multipliers
#'   `[n, n_refs, n_outputs, 4, L]`. Subsetting and arithmetic give plain arrays.
#'   [convergence_deltas()] reads the deltas `[n, n_refs, n_outputs]`, [references()] the
#'   references, [attribution_ranges()] the places in the genome. A double takes 8 bytes: 1000
#'   outputs of one sequence of 2114 bp are 68 MB.
#' @section Errors: Those of [deep_lift_shap()]; `seqlift_error_argument` for `outputs` that are not
#'   whole numbers, `seqlift_error_target` for outputs that the model does not have,
#'   `seqlift_error_output` for a model without one row of outputs per sequence.
#' @references McAnany, Weilert and others (2025), PISA: a versatile interpretation tool for
#'   visualizing cis-regulatory rules in genomic data. The interface follows `pisa` of tangermeme
#'   1.4.0 (Schreiber).
#' @seealso [deep_lift_shap()] for one output, [profile_score()] for the profile as one number.
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(1)
#' influence <- pisa(model, demo_sequences()[1], outputs = 100:104, n_shuffles = 2)
#' influence
#' dim(convergence_deltas(influence))
pisa <- function(model, X, ..., args = NULL, outputs = NULL, batch_size = 32L,
                 references = dinucleotide_shuffle, n_shuffles = 20L, return_references = FALSE,
                 hypothetical = FALSE, warning_threshold = 1e-3, nonlinear_ops = NULL,
                 rules = c("operator", "module"), print_convergence_deltas = FALSE,
                 raw_outputs = FALSE, dtype = NULL, device = NULL, random_state = NULL,
                 verbose = FALSE, only_warn = FALSE, BPPARAM = NULL) {
  given <- as.list(environment())
  call <- rlang::current_env()
  check_no_dots(..., .fn = "pisa", .after = "X")
  check_model(model)
  rules <- check_choice(rules, c("operator", "module"), "rules")
  for (flag in c(
    "return_references", "hypothetical", "print_convergence_deltas", "raw_outputs", "verbose",
    "only_warn"
  )) {
    check_flag(get(flag), flag)
  }
  batch_size <- check_count(batch_size, "batch_size")
  n_shuffles <- check_count(n_shuffles, "n_shuffles")
  warning_threshold <- check_number(warning_threshold, "warning_threshold", min = 0)
  nonlinear_ops <- check_nonlinear_ops(nonlinear_ops, model)
  check_module_rules(rules, model)
  dtype <- check_dtype(dtype)
  allow_n <- rules == "operator"
  sequences <- as_sequences(X, extra_channels = TRUE, allow_n = allow_n, only_warn = only_warn)
  if (is_parallel(BPPARAM)) {
    return(over_sequences("pisa", given, sequences, BPPARAM, pairs_unit(given, rules)))
  }
  args <- complete_args(model, args, sequences)
  device <- check_device(if (is.null(device)) model$device else device)
  outputs <- check_outputs(outputs, model, sequences, args, dtype, device)
  made <- make_references(references, sequences, n_shuffles, random_state, allow_n, only_warn)

  kind <- if (raw_outputs) "multipliers" else if (hypothetical) "hypothetical" else "attributions"
  options <- list(
    wrappers = model$wrappers, nonlinear_ops = nonlinear_ops,
    rules = rules, targets = outputs, batch_size = batch_size, output = kind, profile = TRUE,
    dtype = dtype, device = device, threads = seqlift_threads(),
    memory = engine$memory,
    progress = progress_bar(verbose, "Attributing")
  )
  result <- explain_pairs(model, sequences, args, made$references, options, call)
  influence <- new_pisa(
    result, sequences, kind, outputs, model_name(model),
    if (return_references) reference_array(made$references, sequences)
  )
  report_deltas(influence, warning_threshold, print_convergence_deltas, call)
  influence
}

# How many outputs there are is known once the model has seen a sequence.
check_outputs <- function(outputs, model, sequences, args, dtype, device, call = caller_env()) {
  if (!is.null(outputs)) {
    whole <- is.numeric(outputs) && length(outputs) >= 1L && all(is.finite(outputs)) &&
      all(outputs == trunc(outputs)) && all(outputs >= 1)
    if (!whole) {
      abort_argument("outputs", "NULL or whole numbers of at least 1", describe(outputs),
        hint = count_hint(outputs, "outputs"), call = call
      )
    }
    return(as.integer(outputs))
  }
  first <- as_sequences(one_hot_array(sequences)[1L, , , drop = FALSE],
    extra_channels = TRUE, only_warn = TRUE
  )
  one <- lapply(args, function(arg) take_first(arg))
  predicted <- suppressWarnings(
    run_predict(model, first, one, 1L, dtype, device, FALSE, call),
    classes = "seqlift_warning"
  )
  # Several outputs are told of by the engine.
  seq_len(prod(dim(predicted[[1L]])[-1L]))
}

# The rows of the first sequence.
take_first <- function(array) {
  shape <- dim(array)
  array(array[slice.index(array, 1L) == 1L], c(1L, shape[-1L]))
}

new_pisa <- function(result, sequences, kind, outputs, model, references) {
  values <- result$values
  rank <- length(dim(values))
  labels <- vector("list", rank)
  labels[[rank - 1L]] <- attribution_bases
  deltas <- result$deltas
  if (!is.null(sequences$names)) {
    labels[[1L]] <- sequences$names
    rownames(deltas) <- sequences$names
  }
  dimnames(values) <- labels
  influence <- structure(values,
    class = c("seqlift_pisa", "array"), convergence_deltas = deltas, references = references,
    kind = kind, outputs = outputs, model = model
  )
  place_result(influence, sequences$ranges)
}

#' @export
print.seqlift_pisa <- function(x, ...) {
  shape <- dim(x)
  outputs <- attr(x, "outputs", exact = TRUE)
  cat_text(
    "<seqlift_pisa> ", attribution_kinds[[attr(x, "kind", exact = TRUE)]], " of ",
    length(outputs), " output", if (length(outputs) > 1L) "s", " (", min(outputs), " to ",
    max(outputs), "): [", toString(shape), "]"
  )
  cat_field("model", attr(x, "model", exact = TRUE))
  cat_field("ranges", ranges_line(attr(x, "ranges", exact = TRUE)))
  cat_field("convergence", paste(
    "largest |delta|", format(max(abs(convergence_deltas(x))), digits = 2L)
  ))
  invisible(x)
}
