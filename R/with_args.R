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
  if (!is.list(args)) {
    args <- list(args)
  }
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
    names(args) <- if (length(args) <= length(open)) open[seq_along(args)] else inputs[seq_along(args)]
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
        i = "Give {qty(length(missing))}{?it/them} in {.arg args}, or fill {?it/them} in with
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
# [k, L] and features [k] that the model accepts.
number_shape <- function(name, model, given, sequences, call) {
  key <- paste(name, sequences$length, sequences$channels, sep = "/")
  known <- model$cache[[key]]
  if (!is.null(known)) {
    return(known)
  }
  candidates <- c(
    lapply(seq_len(16L), function(k) c(k, sequences$length)),
    lapply(seq_len(16L), function(k) k)
  )
  accepts <- vapply(candidates, function(shape) {
    fits_model(model, name, shape, given, sequences)
  }, logical(1L))
  if (sum(accepts) != 1L) {
    abort_seqlift("args",
      c("A single number does not tell which shape the model's input {.val {name}} has: it
         accepts {sum(accepts)} of the shapes that were tried.",
        i = "Give an array whose first dimension is 1 or the number of sequences."
      ),
      call = call
    )
  }
  model$cache[[key]] <- candidates[[which(accepts)]]
  model$cache[[key]]
}

fits_model <- function(model, name, shape, given, sequences) {
  given[[name]] <- array(as.double(given[[name]]), c(1L, shape))
  one <- take_rows(sequences, 1L)
  bare <- model
  bare$wrappers <- list()
  bare$args <- lapply(given, function(value) {
    scalar <- is.null(dim(value)) && length(value) == 1L
    if (!scalar && !is.null(dim(value)) && dim(value)[1L] > 1L) {
      first_row(value)
    } else {
      value
    }
  })
  open <- vapply(bare$args, function(value) is.null(dim(value)) && length(value) == 1L, logical(1L))
  if (any(open)) {
    # Another number waits for its shape too: assume the same for both.
    bare$args[open] <- lapply(bare$args[open], function(value) array(as.double(value), c(1L, shape)))
  }
  tryCatch(
    {
      run_predict(bare, one, NULL, 1L, "native", "cpu", FALSE)
      TRUE
    },
    seqlift_error = function(error) FALSE
  )
}

first_row <- function(value) {
  shape <- dim(value)
  array(value[slice.index(value, 1L) == 1L], c(1L, shape[-1L]))
}
