# The model's inputs beside the sequences: a control track, a cell type, anything with one row
# per sequence.

#' Fill in a model's other inputs
#'
#' @param model A model, see [load_model()].
#' @param args A list with the inputs after the sequences, by name or in the model's order. Each
#'   is an array whose first dimension is the number of sequences, or 1 (the same for all), or a
#'   single number, which fills the shape that the model takes (`control_track = 0`).
#' @return A `seqlift_model` that needs these inputs no more.
#' @section Errors: `seqlift_error_args` when the model has no such input; when it is used, if a
#'   single number does not tell which shape is meant.
#' @source `ControlWrapper` of bpnet-lite (Schreiber).
#' @export
#' @examples
#' model <- with_args(demo_model(), list(control_track = 0))
with_args <- function(model, args) {
  check_model(model)
  args <- name_args(args, model)
  model$args[names(args)] <- args
  model
}

# `args` as a named list in the model's order, checked against the model's inputs.
name_args <- function(args, model, call = caller_env()) {
  if (is.null(args)) {
    return(list())
  }
  args <- lapply(if (is.list(args)) args else list(args), from_torch)
  inputs <- model$info$arguments[-1L]
  if (length(args) > length(inputs)) {
    abort_seqlift("args",
      "{.arg args} has {length(args)} element{?s}, but the model takes {length(inputs)} input{?s}
       beside the sequences.",
      call = call
    )
  }
  if (is.null(names(args))) {
    open <- setdiff(inputs, names(model$args))
    enough <- length(args) <= length(open)
    names(args) <- if (enough) open[seq_along(args)] else inputs[seq_along(args)]
  }
  unknown <- setdiff(names(args), inputs)
  if (length(unknown) > 0L) {
    abort_seqlift("args",
      c("The model has no input {.val {unknown}}.",
        i = if (length(inputs) > 0L) "Beside the sequences it takes {.val {inputs}}."
      ),
      call = call
    )
  }
  for (name in names(args)) {
    value <- args[[name]]
    if (!(is.numeric(value) || is.logical(value)) || anyNA(value)) {
      abort_seqlift("args",
        "Element {.val {name}} of {.arg args} must be a numeric array without missing values, not
         {describe(value)}.",
        call = call
      )
    }
  }
  args
}

# All inputs beside the sequences, in the model's order, each with a row per sequence.
complete_args <- function(model, args, sequences, call = caller_env()) {
  check_window(model, sequences, call)
  given <- model$args
  own <- name_args(args, model, call)
  given[names(own)] <- own
  inputs <- model$info$arguments[-1L]
  optional <- model$info$has_default[-1L]
  needed <- inputs[seq_len(max(0L, which(inputs %in% names(given)), which(!optional)))]
  missing <- setdiff(needed, names(given))
  if (length(missing) > 0L) {
    abort_seqlift("args",
      c("The model needs the input{?s} {.val {missing}} beside the sequences.",
        i = "Give {cli::qty(length(missing))}{?it/them} in {.arg args}, or fill {?it/them} in with
             {.fn with_args}."
      ),
      call = call
    )
  }
  lapply(needed, function(name) {
    one_arg(given[[name]], name, model, given, sequences, call)
  })
}

one_arg <- function(value, name, model, given, sequences, call) {
  n <- sequences$n
  if (is.null(dim(value)) && length(value) == 1L) {
    return(array(as.double(value), c(n, number_shape(name, model, given, sequences, call))))
  }
  shape <- if (is.null(dim(value))) length(value) else dim(value)
  if (shape[1L] == 1L && n > 1L) {
    value <- array(rep(as.double(value), each = n), c(n, shape[-1L]))
  } else if (shape[1L] != n) {
    abort_seqlift("args",
      "The first dimension of {.val {name}} in {.arg args} must be {n}, the number of sequences,
       or 1, not {shape[1]}.",
      call = call
    )
  }
  if (is.null(dim(value))) {
    dim(value) <- length(value)
  }
  storage.mode(value) <- "double"
  value
}

# The shape, without the sequences, that a single number fills: the only one among tracks
# [k, L] and features [k] that the model accepts. Found at the first length; k and whether it is a
# track hold for the others.
number_shape <- function(name, model, given, sequences, call) {
  owner <- owner_of(model, name, given)
  if (!is.null(owner)) {
    return(number_shape(owner$name, owner$model, owner$model$args, sequences, call))
  }
  key <- paste(name, sequences$channels, sep = "/")
  known <- model$cache[[key]]
  if (!is.null(known)) {
    return(c(known$k, if (known$track) sequences$length))
  }
  candidates <- c(
    lapply(seq_len(16L), function(k) c(k, sequences$length)),
    lapply(seq_len(16L), function(k) k)
  )
  results <- lapply(candidates, function(shape) {
    try_shape(model, name, shape, given, sequences, call)
  })
  accepts <- !vapply(results, is_engine_error, logical(1L))
  too_short <- Find(function(result) identical(result$error, "length"), results)
  # What the model is refused for has nothing to do with the shape.
  refused <- Find(function(result) isTRUE(result$error %in% refused_models), results)
  if (!any(accepts) && !is.null(refused)) {
    raise_engine_error(refused, shape_of_input(input = engine_input(sequences, NULL)), call)
  }
  if (!any(accepts) && !is.null(too_short)) {
    # No shape helps sequences that the model does not take.
    raise_engine_error(too_short, shape_of_input(input = engine_input(sequences, NULL)), call)
  }
  if (sum(accepts) != 1L) {
    shapes <- vapply(candidates[accepts], function(shape) {
      paste0("[n, ", paste(shape, collapse = ", "), "]")
    }, character(1L))
    problem <- if (length(shapes) > 0L) {
      "the model accepts {length(shapes)}, among them {utils::head(shapes, 3L)}."
    } else {
      "the model accepts none of those that were tried, [n, k, {sequences$length}] and [n, k]."
    }
    abort_seqlift("args",
      c(paste(
          "A single number does not tell the shape of the model's input {.val {name}}:", problem
        ),
        i = "Give an array whose first dimension is 1 or the number of sequences.",
        i = if (length(shapes) == 0L) "Or {.arg X} has a length that the model does not take."
      ),
      call = call
    )
  }
  found <- candidates[[which(accepts)]]
  model$cache[[key]] <- list(k = found[1L], track = length(found) == 2L)
  found
}

# The prediction of one sequence with the number spread over `shape`, or the engine's error: dozens
# of shapes are tried. Another number that waits for its shape too is assumed to have the same.
try_shape <- function(model, name, shape, given, sequences, call) {
  inputs <- intersect(model$info$arguments[-1L], names(given))
  args <- lapply(inputs, function(input) {
    value <- given[[input]]
    if (is.null(dim(value)) && length(value) == 1L) {
      return(array(as.double(value), c(1L, shape)))
    }
    first_row(if (is.null(dim(value))) array(value) else value)
  })
  options <- list(
    wrappers = list(), batch_size = 1L, dtype = "native", device = "cpu", threads = 1L,
    progress = NULL, trial = TRUE
  )
  ask_engine("predict", model_pointer(model, call),
    engine_input(pick_sequences(sequences, 1L), args), options,
    call = call
  )
}

first_row <- function(value) {
  shape <- dim(value)
  array(value[slice.index(value, 1L) == 1L], c(1L, shape[-1L]))
}
