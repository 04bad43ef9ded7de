# The rules of the DeepLIFT package, for attribute().
#
# Shrikumar, Greenside and Kundaje (2017), sections 3.3 to 3.5. The core finds the multipliers of
# positive and of negative differences from each reference; a letter's contribution is the
# multiplier of its difference's sign times the difference.

deep_lift_rules <- c("rescale", "reveal_cancel", "genomics_default")

# What is returned, and of which shape:
#   attributions           [n, 4, L]: contributions of all bases at a position, at the letter that
#                          is there, mean over references (class seqlift_attributions)
#   contributions          [n, n_refs, 4, L]: multipliers times (X - reference)
#   multipliers            [n, n_refs, 4, L]: of the sign of each difference, the mean of both where
#                          there is none
#   positive_multipliers   [n, n_refs, 4, L]: of a positive difference
#   negative_multipliers   [n, n_refs, 4, L]: of a negative difference
# Several targets add a dimension last. The raw ones are of class seqlift_attributions too (kind
# "multipliers"), so that convergence_deltas() and references() read them.
#
# With `layer` the same of the outputs of modules, in plain arrays: attributions [n, ...] are the
# contributions' mean over references, the others are [n, n_refs, ...]. A unit inside the model has
# differences of both signs at once, each with a multiplier of its own, so that `multipliers` is for
# the rescale rule alone, where both are one.
#
# The rules: "rescale" is DeepLIFT/SHAP. "reveal_cancel" keeps apart what raises and what lowers a
# unit, at every elementwise operation. "genomics_default" takes Rescale behind convolutions and
# RevealCancel behind dense layers, seen through batch norms, sums and views; an elementwise
# operation with neither behind it is refused. Operations that the package does not have (products,
# softmax, normalisations) and max-pools give both parts the multiplier that they have in
# deep_lift_shap(), which keeps the sum.
deep_lift_attribution <- function(model, X, rules = deep_lift_rules, args = NULL, target = 1L,
                                  references = dinucleotide_shuffle, n_shuffles = 20L,
                                  what = c(
                                    "attributions", "contributions", "multipliers",
                                    "positive_multipliers", "negative_multipliers"
                                  ),
                                  batch_size = 32L, return_references = FALSE,
                                  warning_threshold = 1e-3, layer = NULL, target_layer = NULL,
                                  mean_normalise = FALSE, dtype = NULL, device = NULL,
                                  random_state = NULL, verbose = FALSE, only_warn = FALSE,
                                  call = caller_env()) {
  check_model(model, call = call)
  rules <- check_choice(rules, deep_lift_rules, "rules", call = call)
  what <- check_choice(what, eval(formals()$what), "what", call = call)
  target <- check_targets(target, call = call)
  batch_size <- check_count(batch_size, "batch_size", call = call)
  n_shuffles <- check_count(n_shuffles, "n_shuffles", call = call)
  warning_threshold <- check_number(warning_threshold, "warning_threshold", min = 0, call = call)
  for (flag in c("return_references", "mean_normalise", "verbose", "only_warn")) {
    check_flag(get(flag), flag, call = call)
  }
  layer <- check_layers(layer, "layer", model, call)
  target_layer <- check_target_layer(target_layer, model, call)
  by_layer <- length(layer) > 0L
  if (by_layer && rules != "rescale" && what == "multipliers") {
    abort_argument("what",
      "\"positive_multipliers\" or \"negative_multipliers\" of a layer, whose units have both",
      describe(what),
      call = call
    )
  }
  dtype <- check_dtype(dtype, call = call)
  sequences <- as_sequences(X, "X", call, extra_channels = TRUE, only_warn = only_warn)
  args <- complete_args(model, args, sequences, call)
  device <- check_device(if (is.null(device)) model$device else device, call = call)
  made <- make_references(references, sequences, n_shuffles, random_state, TRUE, only_warn, call)

  # Rescale has one multiplier for both signs, and a faster way.
  rescale <- rules == "rescale"
  asked <- if (rescale && grepl("_multipliers$", what)) "multipliers" else what
  # The attributions of sequences are contributions at the letters that are there, see at_letters().
  contributes <- what %in% c("attributions", "contributions")
  options <- list(
    wrappers = model$wrappers, nonlinear_ops = list(), rules = "operator", rule = rules,
    targets = target, batch_size = batch_size, layers = layer, target_layer = target_layer,
    mean_normalise = mean_normalise,
    output = if (contributes && !by_layer) "contributions" else asked,
    dtype = dtype, device = device, threads = seqlift_threads(),
    memory = engine$memory,
    progress = progress_bar(verbose, "Attributing")
  )
  engine <- if (rescale) "deep_lift_shap" else "deep_lift"
  result <- call_engine(engine, model_pointer(model, call), engine_input(sequences, args),
    made$references, options,
    call = call
  )
  check_finite_result(result, call)
  if (by_layer) {
    return(layer_results(result$layers, result$deltas, layer, length(target), sequences))
  }
  if (what == "attributions") {
    result$values <- at_letters(result$values, sequences)
  }
  attributions <- finish_attributions(
    result, sequences, target, if (what == "attributions") what else "multipliers",
    list(
      method = paste("DeepLIFT", what), rules = gsub("_", " ", rules), target = target,
      random_state = made$random_state, device = device, model = model_name(model),
      warning_threshold = warning_threshold
    ),
    if (return_references) reference_array(made$references, sequences)
  )
  report_deltas(attributions, warning_threshold, FALSE, call)
  attributions
}

# Contributions [n, n_refs, 4, L, n_targets] summed over the bases of a position, mean over
# references, at the letter that is there: [n, 4, L, n_targets].
at_letters <- function(contributions, sequences) {
  shape <- dim(contributions)
  by_position <- colSums(aperm(contributions, c(2L, 3L, 1L, 4L, 5L)), dims = 2L) / shape[2L]
  X <- one_hot_array(sequences)[, seq_len(n_bases), , drop = FALSE]
  values <- array(0, shape[c(1L, 3L, 4L, 5L)])
  for (base in seq_len(n_bases)) {
    here <- array(X[, base, ], c(shape[1L], shape[4L], shape[5L]))
    values[, base, , ] <- here * by_position
  }
  values
}
