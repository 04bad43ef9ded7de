# The methods on gradients, for attribute() and taylor_ism(): what they are asked, what they start
# from, and what the engine's numbers become.

# What all methods on gradients check and tell the engine.
gradient_job <- function(model, X, target, args, layer = NULL, target_layer = NULL,
                         mean_normalise = FALSE, explain_args = FALSE, batch_size = 32L,
                         dtype = NULL, device = NULL, verbose = FALSE, call = caller_env()) {
  started <- proc.time()[["elapsed"]]
  for (flag in c("mean_normalise", "explain_args", "verbose")) {
    check_flag(get(flag), flag, call = call)
  }
  target <- if (is.null(target)) integer() else check_targets(target, call = call)
  batch_size <- check_count(batch_size, "batch_size", call = call)
  layer <- check_layers(layer, "layer", model, call)
  target_layer <- check_target_layer(target_layer, model, call)
  if (length(layer) > 0L && explain_args) {
    abort_argument("explain_args", "FALSE where `layer` is given", "TRUE", call = call)
  }
  dtype <- check_dtype(dtype, call = call)
  device <- check_device(if (is.null(device)) model$device else device, call = call)
  sequences <- as_sequences(X, call = call, extra_channels = TRUE, only_warn = TRUE)
  args <- complete_args(model, args, sequences, call)
  list(
    model = model, sequences = sequences, args = args, started = started, layer = layer,
    arg_names = if (explain_args) model$info$arguments[1L + seq_along(args)],
    kind = "attributions", change = identity,
    options = list(
      wrappers = model$wrappers, layers = layer, targets = target, target_layer = target_layer,
      mean_normalise = mean_normalise, explain_args = explain_args, times_input = FALSE,
      simplex = FALSE,
      relu = "ordinary", n_samples = 0L, sd = 0, random_state = 0, batch_size = batch_size,
      dtype = dtype, device = device, threads = seqlift_threads(),
      memory = engine$memory,
      progress = progress_bar(verbose, "Attributing", env = call)
    ),
    info = list(
      target = target, dtype = if (dtype == "native") own_dtype(model) else dtype,
      device = device, model = model_name(model)
    )
  )
}

check_layers <- function(layer, arg, model, call) {
  if (is.null(layer)) {
    return(character())
  }
  known <- setdiff(model$info$modules, "")
  if (!is.character(layer) || length(layer) == 0L || anyNA(layer) || anyDuplicated(layer)) {
    abort_argument(arg, "NULL or paths of modules", describe(layer), call = call)
  }
  unknown <- setdiff(layer, known)
  if (length(unknown) > 0L) {
    shown <- utils::head(known, 20L)
    abort_seqlift("layer",
      c("The model has no module at {.val {unknown}} ({.arg {arg}}).",
        i = "Its modules are {.val {shown}}{if (length(known) > 20L) ' and more'}."
      ),
      call = call
    )
  }
  layer
}

# "" for the model itself.
check_target_layer <- function(target_layer, model, call) {
  target_layer <- check_layers(target_layer, "target_layer", model, call)
  if (length(target_layer) > 1L) {
    abort_argument("target_layer", "the path of one module", describe(target_layer), call = call)
  }
  if (length(target_layer) == 0L) "" else target_layer
}

# Where the lines begin: references as the engine takes them, and their seed.
line_starts <- function(given, random, sequences, n_shuffles, random_state, call) {
  given <- from_torch(given)
  if (random || is.function(given) || inherits(given, "seqlift_reference_codes")) {
    made <- make_references(given, sequences, n_shuffles, random_state,
      allow_n = TRUE, only_warn = TRUE, call = call
    )
    if (random && is.null(made$random_state)) {
      made$random_state <- check_random_state(random_state, call = call)
    }
    return(made)
  }
  if (length(dim(given)) == 4L) {
    made <- check_references(given, sequences, allow_n = TRUE, only_warn = TRUE, call = call)
    return(list(references = made))
  }
  whole <- baseline_array(given, sequences, default = 0, call = call)
  list(references = array(whole, c(dim(whole)[1L], 1L, dim(whole)[-1L])))
}

# A baseline as [n, 4, L]: a number, four frequencies, [4, L] or [n, 4, L].
baseline_array <- function(baseline, sequences, default, arg = "baseline", call = caller_env()) {
  baseline <- if (is.null(baseline)) default else baseline
  if (length(dim(baseline)) == 1L) {
    baseline <- as.vector(baseline)
  }
  n <- sequences$n
  length <- sequences$length
  shape <- dim(baseline)
  numbers <- (is.numeric(baseline) || is.logical(baseline)) && all(is.finite(baseline))
  repeated <- if (!numbers) {
    NULL
  } else if (is.null(shape) && length(baseline) == 1L) {
    rep(as.vector(baseline), n * n_bases * length)
  } else if (is.null(shape) && length(baseline) == n_bases) {
    rep(rep(as.vector(baseline), each = n), length)
  } else if (identical(as.integer(shape), c(n_bases, length))) {
    rep(as.vector(baseline), each = n)
  } else if (identical(as.integer(shape), c(n, n_bases, length))) {
    as.vector(baseline)
  }
  if (is.null(repeated)) {
    abort_argument(arg,
      paste0(
        "a finite number, four of them, or an array [4, L] or [n, 4, L] (n = ", n, ", L = ",
        length, ")"
      ),
      describe(baseline),
      call = call
    )
  }
  array(as.double(repeated), c(n, n_bases, length))
}

# The model's other inputs at the start of the line; those of X where they are not explained.
reference_args_of <- function(args_baseline, explain_args, job, model, call) {
  if (!explain_args) {
    if (!is.null(args_baseline)) {
      abort_argument("args_baseline", "NULL without `explain_args = TRUE`",
        describe(args_baseline),
        call = call
      )
    }
    return(job$args)
  }
  given <- name_args(args_baseline, model, call)
  Map(function(value, name) {
    if (is.null(given[[name]])) {
      return(array(0, dim(value)))
    }
    one_baseline(given[[name]], name, dim(value), call)
  }, job$args, job$arg_names)
}

one_baseline <- function(value, name, shape, call) {
  own <- if (is.null(dim(value))) length(value) else dim(value)
  if (length(value) == 1L) {
    return(array(as.double(value), shape))
  }
  if (identical(as.integer(own), c(1L, as.integer(shape[-1L])))) {
    return(array(rep(as.double(value), each = shape[1L]), shape))
  }
  if (!identical(as.integer(own), as.integer(shape))) {
    abort_seqlift("args",
      "{.val {name}} in {.arg args_baseline} must be a number or have the shape
       {paste(shape, collapse = ' x ')} of the input, not {paste(own, collapse = ' x ')}.",
      call = call
    )
  }
  array(as.double(value), shape)
}

# ---- results ---------------------------------------------------------------------------

# The engine's values [n, ..., targets] as what the user gets.
finish_gradients <- function(job, result, call) {
  finite <- all(is.finite(result$predictions)) && all(is.finite(result$reference_predictions)) &&
    !anyNA(unlist(lapply(result$values, range), use.names = FALSE))
  if (!finite) {
    abort_seqlift("not_finite",
      "The model's predictions or gradients on these sequences are not finite (NaN or Inf).",
      call = call
    )
  }
  n_targets <- ncol(result$predictions)
  values <- lapply(result$values, job$change)
  if (length(job$layer) > 0L) {
    return(layer_results(values, result$deltas, job$layer, n_targets, job$sequences))
  }
  values <- lapply(values, without_single_target, n_targets = n_targets)
  deltas <- lapply(result$deltas, without_single_target, n_targets = n_targets)
  job$info$seconds <- proc.time()[["elapsed"]] - job$started
  if (length(job$info$target) == 0L) {
    job$info$target <- seq_len(n_targets)
  }
  if (length(deltas) > 0L) {
    changes <- as.vector(result$predictions) - aperm(result$reference_predictions, c(1L, 3L, 2L))
    job$info$largest_output_change <- max(abs(changes))
  } else {
    deltas <- list(array(0, c(job$sequences$n, 0L, if (n_targets > 1L) n_targets)))
  }
  attributions <- new_attributions(first_bases(values[[1L]]), sequence_letters(job$sequences),
    deltas[[1L]],
    kind = job$kind, info = job$info, ranges = job$sequences$ranges
  )
  if (is.null(job$arg_names)) {
    return(attributions)
  }
  of_args <- lapply(values[-1L], name_rows, names = job$sequences$names)
  c(list(X = attributions), stats::setNames(of_args, job$arg_names))
}

# One array for each layer, with its convergence deltas and the places of the sequences.
layer_results <- function(values, deltas, layers, n_targets, sequences) {
  if (length(deltas) == 0L) {
    deltas <- rep(list(array(0, c(sequences$n, 0L, n_targets))), length(layers))
  }
  results <- lapply(seq_along(layers), function(i) {
    value <- name_rows(without_single_target(values[[i]], n_targets), sequences$names)
    value <- structure(value,
      class = c("seqlift_layer_attributions", "array"), layer = layers[i],
      convergence_deltas = without_single_target(deltas[[i]], n_targets)
    )
    place_result(value, sequences$ranges)
  })
  if (length(layers) == 1L) results[[1L]] else stats::setNames(results, layers)
}

without_single_target <- function(values, n_targets) {
  if (n_targets == 1L) array(values, utils::head(dim(values), -1L)) else values
}

# Channels beyond the four bases are held fixed, not explained.
first_bases <- function(values) {
  if (dim(values)[2L] == n_bases) {
    return(values)
  }
  rank <- length(dim(values))
  if (rank == 3L) {
    values[, seq_len(n_bases), , drop = FALSE]
  } else {
    values[, seq_len(n_bases), , , drop = FALSE]
  }
}
