#' Explain predictions with DeepLIFT/SHAP
#'
#' Shares out the difference of a prediction between each sequence and its references over the
#' letters. The model's own graph is evaluated operation by operation, and every operation that
#' depends on the sequence gets a rule under which the shares add up exactly
#' (summation-to-delta), however the model's author wrote it. An operation without a rule is an
#' error that names it, its module and its source line, before any number is returned.
#'
#' @param model A model, see [load_model()]; its output must be `[n, targets]`. Choose one of
#'   several outputs with [select_output()], explain a profile with [profile_score()].
#' @param X Sequences: a character vector, a `Biostrings::DNAStringSet`, or a one-hot array
#'   `[n, 4, L]`. Further channels of an array are held at the value of `X` in every reference.
#' @param args List of the model's other inputs, first dimension n; the same for a sequence and its
#'   references. See [with_args()]. Default `NULL`.
#' @param target Which column of the output is explained, from 1; several give one more dimension,
#'   the last. Default 1.
#' @param batch_size How many sequence-reference pairs are evaluated at a time. Default 32. In
#'   operator mode the result does not depend on it.
#' @param references A function `f(X, n, random_state)` that makes references of a sequence, called
#'   with `n = 1` and `random_state + j - 1` for reference j; or an array `[n, n_refs, 4, L]`.
#'   Default [dinucleotide_shuffle()]; [references()] says what else there is, and which to choose.
#' @param n_shuffles How many references a function makes for each sequence. Default 20.
#' @param return_references `TRUE` keeps the references in the result, see [references()]. Default
#'   `FALSE`.
#' @param hypothetical `TRUE` gives the scores of all four bases at every position, `FALSE`
#'   (default) those of the letters that are there.
#' @param warning_threshold A convergence delta above this, in units of the output, gives a warning.
#'   Default 1e-3.
#' @param nonlinear_ops Rules for module classes that are to be treated as one unit: a named vector
#'   or list, class name or module path -> `"rescale"`, `"softmax"`, `"maxpool"`, `"linear"`,
#'   `"gradient"`, `"integrate"` (the path integral of its gradient), or a function
#'   `f(x, x_ref, y, y_ref, grad_output)` that returns the multiplier of
#'   the input. Default `NULL`. In operator mode `"softmax"` and `"maxpool"` leave the class to the
#'   exact rules of the operations inside it.
#' @param rules `"operator"` (default): every operation by its rule. `"module"`: as tangermeme 1.4.0
#'   and Captum do it, only their registered module classes are overridden and all else has its
#'   ordinary gradient; sequences and references must then be free of N, and the rule of a softmax
#'   module depends on the batch, as it does there. A module that is called several times has the
#'   differences of its last call for every call, as there, and the deltas show it; a model for
#'   which that fails there (a module at several shapes) has those of each call.
#' @param print_convergence_deltas `TRUE` prints the deltas. Default `FALSE`.
#' @param raw_outputs `TRUE` returns the multipliers of every pair. Default `FALSE`.
#' @param dtype `"float32"`, `"float64"`, `"bfloat16"` (matrix products only), or `NULL` (default)
#'   for the model's own.
#' @param device `"cpu"`, `"cuda"`, `"cuda:1"`, or `NULL` (default), see [load_model()].
#' @param random_state A whole number gives the same references as tangermeme for that number;
#'   `NULL` (default) draws one from R's generator, so that `set.seed()` governs it.
#' @param verbose `TRUE` shows a progress bar. Default `FALSE`.
#' @param only_warn `TRUE` accepts sequences and references that are not one-hot (a flat background
#'   of 0.25) with a warning. Default `FALSE`.
#' @param fallback What becomes of an operation without a rule in operator mode: `"none"` (default)
#'   refuses it, `"integrate"` gives it the mean of its gradient on the straight way from the
#'   reference to the sequence (Gauss-Legendre, nodes doubled until its contributions add up);
#'   `attr(x, "info")$integrated` and printing the result say where.
#' @param BPPARAM Where the work is done: `NULL` (default) in this session, or a parameter object of
#'   \pkg{BiocParallel}, such as `SnowParam(2)`, whose workers share the sequences. See
#'   [seqlift_parallel].
#' @param output Path of an HDF5 file that the result is written to, chunk by chunk, in place of
#'   memory: for any number of sequences. When the call is interrupted or killed, the same call
#'   again goes on where it was. See [seqlift_h5_attributions]. Default `NULL`: the result is an
#'   array.
#' @param standard_errors `TRUE` also gives the standard error over references of every number, the
#'   standard deviation over references divided by the root of their number, see
#'   [standard_errors()]. It is computed as the references pass by and takes the memory of one more
#'   result, however many references there are. Default `FALSE`.
#' @param tolerance For `n_shuffles = c(min, max)`: each sequence gets its references in blocks of
#'   `min`, until the standard errors of its ten largest attributions (of the letters that are
#'   there, their absolute values) add up to at most `tolerance` times these attributions, or there
#'   are `max`. Above 0. `NULL` (default): 0.1.
#' @return A `seqlift_attributions` array, in units of the model's output, sequences named as in
#'   `X`: `[n, 4, L]`, or with `raw_outputs = TRUE` the multipliers `[n, n_refs, 4, L]`; several
#'   targets add a dimension last. [convergence_deltas()] reads the deltas, [references()] the
#'   references, [standard_errors()] the standard errors and [n_references()] how many references
#'   each sequence had. With `output` a [seqlift_h5_attributions] of the same shape.
#' @section Precision: In float32 attributions usually follow those in float64 to within 3e-5 of the
#'   largest, at 100 000 positions too. Kernels that a model computes from positions by sines of
#'   large numbers, as HyenaDNA does, lose up to 1e-4 before anything is convolved with them (the
#'   Fourier transforms lose 1e-6), and attributions with them. A choice that hangs on less than
#'   float32 tells apart, such as which position is the maximum of a pool, may fall otherwise.
#'   `dtype = "float64"` has neither.
#' @section Errors: `seqlift_error_sequence` for sequences or references that cannot be read;
#'   `seqlift_error_references` for references of the wrong shape or a function that fails to make
#'   them; `seqlift_error_target`,
#'   `seqlift_error_args`, `seqlift_error_output` for a target, an input or an output that does not
#'   fit; `seqlift_error_unsupported_operation` for an operation without a rule;
#'   `seqlift_error_registration` for a class that cannot be treated as one unit or a rule of your
#'   own that fails;
#'   `seqlift_error_length` for sequences that are too short for the model;
#'   `seqlift_error_not_finite` when the model returns NaN; with `output` `seqlift_error_resume`
#'   when the path holds the results of another call. Warnings: `seqlift_warning_convergence`.
#' @references Shrikumar, Greenside and Kundaje (2017), Learning important features through
#'   propagating activation differences. Lundberg and Lee (2017), A unified approach to interpreting
#'   model predictions. The interface follows `deep_lift_shap` of tangermeme (Schreiber).
#' @seealso [audit_model()] for the rule of every operation; [plot_logo()].
#' @concept DeepLIFT
#' @concept Captum
#' @concept additional_nonlinear_ops
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2], n_shuffles = 5, random_state = 0)
#' attributions
#' range(convergence_deltas(attributions))
deep_lift_shap <- function(model, X, args = NULL, target = 1L, batch_size = 32L,
                           references = dinucleotide_shuffle, n_shuffles = 20L,
                           return_references = FALSE, hypothetical = FALSE,
                           warning_threshold = 1e-3, nonlinear_ops = NULL,
                           rules = c("operator", "module"), print_convergence_deltas = FALSE,
                           raw_outputs = FALSE, dtype = NULL, device = NULL, random_state = NULL,
                           verbose = FALSE, only_warn = FALSE,
                           fallback = c("none", "integrate"), BPPARAM = NULL, output = NULL,
                           standard_errors = FALSE, tolerance = NULL) {
  given <- as.list(environment())
  call <- rlang::current_env()
  started <- proc.time()[["elapsed"]]
  check_model(model)
  rules <- check_choice(rules, c("operator", "module"), "rules")
  fallback <- check_choice(fallback, c("none", "integrate"), "fallback")
  for (flag in c(
    "return_references", "hypothetical", "print_convergence_deltas", "raw_outputs", "verbose",
    "only_warn", "standard_errors"
  )) {
    check_flag(get(flag), flag)
  }
  target <- check_targets(target)
  batch_size <- check_count(batch_size, "batch_size")
  stable <- check_stable(n_shuffles, tolerance, given, rules)
  n_shuffles <- if (is.null(stable)) check_count(n_shuffles, "n_shuffles") else stable$n_shuffles
  check_spread(standard_errors, references, n_shuffles, raw_outputs)
  warning_threshold <- check_number(warning_threshold, "warning_threshold", min = 0)
  nonlinear_ops <- check_nonlinear_ops(nonlinear_ops, model)
  check_module_rules(rules, model)
  dtype <- check_dtype(dtype)
  # The peers refuse N; their mode does too.
  allow_n <- rules == "operator"
  if (!is.null(output)) {
    return(stream_attributions(given, allow_n, call))
  }
  sequences <- as_sequences(X,
    extra_channels = TRUE, allow_n = allow_n, only_warn = only_warn
  )
  if (is_parallel(BPPARAM)) {
    return(over_sequences("deep_lift_shap", given, sequences, BPPARAM, pairs_unit(given, rules)))
  }
  args <- complete_args(model, args, sequences)
  device <- check_device(if (is.null(device)) model$device else device)
  draw <- function(sequences, n, seed) {
    make_references(references, sequences, n, seed, allow_n, only_warn, call)
  }
  made <- if (is.null(stable)) {
    draw(sequences, n_shuffles, random_state)
  } else {
    list(random_state = check_random_state(random_state))
  }

  kind <- if (raw_outputs) "multipliers" else if (hypothetical) "hypothetical" else "attributions"
  options <- list(
    wrappers = model$wrappers, nonlinear_ops = nonlinear_ops,
    rules = rules, fallback = fallback, targets = target, batch_size = batch_size,
    output = kind, dtype = dtype, device = device, threads = seqlift_threads(),
    memory = engine$memory,
    progress = progress_bar(verbose, "Attributing")
  )
  if (standard_errors || !is.null(stable)) {
    options$standard_errors <- TRUE
  }
  result <- if (is.null(stable)) {
    explain_pairs(model, sequences, args, made$references, options, call)
  } else {
    explain_until_stable(model, sequences, args, draw, made$random_state, stable, options, call)
  }
  if (!standard_errors) {
    result$standard_errors <- NULL
  }
  attributions <- finish_attributions(result, sequences, target, kind, list(
    method = "DeepLIFT/SHAP", rules = rules, target = target, random_state = made$random_state,
    dtype = if (dtype == "native") own_dtype(model) else dtype, device = device,
    model = model_name(model),
    seconds = proc.time()[["elapsed"]] - started, warning_threshold = warning_threshold,
    integrated = result$integrated, tolerance = stable$tolerance,
    references = reference_label(references)
  ), if (return_references) reference_array(made$references, sequences))
  report_deltas(attributions, warning_threshold, print_convergence_deltas, call)
  attributions
}

# One call of the engine: multipliers, deltas and predictions of every pair.
explain_pairs <- function(model, sequences, args, references, options, call) {
  nonlinear_ops <- options$nonlinear_ops
  failures <- new.env(parent = emptyenv())
  options$nonlinear_ops <- guard_rules(nonlinear_ops, failures)
  result <- rlang::try_fetch(
    call_engine("deep_lift_shap", model_pointer(model), engine_input(sequences, args),
      references, options,
      call = call
    ),
    seqlift_error_unsupported_operation = function(error) {
      abort_unsupported(error, model, sequences, args, options$rules, nonlinear_ops, call)
    },
    seqlift_error_registration = function(error) abort_rule(error, failures, call)
  )
  check_finite_result(result, call)
  result
}

# The first operation without a rule stopped the engine; the user is told of all of them at once.
# What is refused for another reason than an operation (a branch of the code) is told as it is.
abort_unsupported <- function(error, model, sequences, args, rules, nonlinear_ops, call) {
  if (inherits(error, paste0("seqlift_error_", refused_models))) {
    rlang::cnd_signal(error)
  }
  steps <- tryCatch(
    run_audit(model, sequences, args, rules, nonlinear_ops, call = call)$steps,
    seqlift_error = function(other) NULL
  )
  if (is.null(steps) || !any(nzchar(steps$refusal))) {
    rlang::cnd_signal(error)
  }
  # A comparison is told of by what uses it.
  lacking <- unique(steps$refusal[nzchar(steps$refusal)])
  abort_seqlift("unsupported_operation",
    c("{cli::qty(length(lacking))}The model has {?an operation/operations} that cannot be
       explained.",
      stats::setNames(escape_braces(lacking), rep("x", length(lacking))),
      i = "Nothing was computed. {.fn audit_model} shows every operation; {.arg nonlinear_ops} can
           give a module a rule; {.code fallback = \"integrate\"} integrates the gradients of what
           has one; {.code rules = \"module\"} takes ordinary gradients instead."
    ),
    call = call
  )
}

check_finite_result <- function(result, call) {
  bad <- c(result$predictions, result$reference_predictions)
  if (!all(is.finite(bad))) {
    abort_seqlift("not_finite",
      "The model returns {sum(!is.finite(bad))} value{?s} that {?is/are} not finite (NaN or Inf)
       for these sequences or their references.",
      call = call
    )
  }
  if (anyNA(result[c("values", "layers", "deltas")], recursive = TRUE)) {
    abort_seqlift("not_finite",
      "The multipliers of this model are not finite (NaN) on these sequences.",
      call = call
    )
  }
}

finish_attributions <- function(result, sequences, target, output, info, references) {
  deltas <- result$deltas
  errors <- result$standard_errors
  shape <- dim(result$values)
  if (length(target) == 1L) {
    shape <- utils::head(shape, -1L)
    dim(deltas) <- dim(deltas)[1:2]
    if (!is.null(errors)) {
      dim(errors) <- shape
    }
  }
  changes <- as.vector(result$predictions) -
    aperm(result$reference_predictions, c(1L, 3L, 2L))
  info$largest_output_change <- max(abs(changes), na.rm = TRUE)
  # The engine's array becomes the result: a copy would take its memory once more.
  new_attributions(result$values, sequence_letters(sequences), deltas,
    references = references, kind = output, info = info, ranges = sequences$ranges,
    standard_errors = errors, shape = shape, own = TRUE
  )
}

# The sequences at one byte a base; a column that is not one-hot counts as N.
sequence_letters <- function(sequences) {
  codes <- sequences$codes
  if (is.null(codes)) {
    bases <- sequences$array[, seq_len(n_bases), , drop = FALSE]
    there <- bases == 1
    one_hot <- sum_over_bases(there) == 1 & sum_over_bases(bases) == 1
    base <- sum_over_bases(there * (slice.index(there, 2L) - 1L))
    codes <- matrix(as.raw(t(ifelse(one_hot, base, 4))), sequences$length, sequences$n)
  }
  if (!is.null(sequences$names)) {
    colnames(codes) <- sequences$names
  }
  codes
}

report_deltas <- function(attributions, threshold, print_deltas, call) {
  deltas <- convergence_deltas(attributions)
  if (print_deltas) {
    print(deltas)
  }
  deltas <- deltas[!is.na(deltas)]
  largest <- max(abs(deltas))
  if (largest > threshold) {
    high <- sum(abs(deltas) > threshold)
    warn_seqlift("convergence",
      c("{high} of {length(deltas)} convergence deltas {cli::qty(high)}{?is/are} above
         {.arg warning_threshold} ({format(threshold)}); the largest is
         {format(signif(largest, 3))}.",
        i = "The attributions do not add up to the difference in prediction. {.fn audit_model} shows
             which operations have no exact rule; {.code dtype = \"float64\"} tells rounding from a
             missing rule."
      ),
      call = call
    )
  }
}
