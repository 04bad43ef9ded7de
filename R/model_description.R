# What a model takes and returns, for people to read. TorchScript tells names, not shapes: the
# engine finds those by trying a few lengths (src/core/methods/model_description.cpp).

# list(known, X, lengths, args = named list of sizes, outputs = list of list(shape,
# receptive_field)). Found once for a model with the same things around it. Never fails.
describe_model <- function(model) {
  args <- described_args(model)
  key <- paste("description", rlang::hash(list(model$wrappers, args)))
  known <- model$cache[[key]]
  if (!is.null(known)) {
    return(known)
  }
  options <- list(wrappers = model$wrappers, dtype = "native", device = "cpu")
  found <- tryCatch(
    call_engine("describe", model_pointer(model), unname(args), options),
    error = function(error) NULL
  )
  if (is.null(found)) {
    unknown <- list(list(receptive_field = "?"))
    return(list(known = FALSE, outputs = rep(unknown, count_outputs(model))))
  }
  names(found$args) <- names(args)
  model$cache[[key]] <- found
  found
}

# The inputs beside the sequences that the model needs, each as an array [1, ...], as
# c(channels, 1 if it has positions) where a member tells its shape, or NULL where nothing does.
described_args <- function(model) {
  inputs <- model$info$arguments[-1L]
  optional <- model$info$has_default[-1L]
  filled <- names(model$args)
  needed <- inputs[seq_len(max(0L, which(inputs %in% filled), which(!optional)))]
  args <- lapply(needed, function(name) {
    value <- model$args[[name]]
    if (is.null(value) || (is.null(dim(value)) && length(value) == 1L)) {
      return(shape_by_member(model, name))
    }
    row <- first_row(if (is.null(dim(value))) array(value) else value)
    storage.mode(row) <- "double"
    row
  })
  stats::setNames(args, needed)
}

shape_by_member <- function(model, name) {
  owner <- owner_of(model, name)
  shape <- if (!is.null(owner)) describe_model(owner$model)$args[[owner$name]]
  if (length(shape) > 1L) c(as.integer(shape[2L]), length(shape) == 3L)
}

shape_text <- function(shape) {
  if (length(shape) == 0L) "[n, ...]" else paste0("[", paste(shape, collapse = ", "), "]")
}

# "[n, 4, L], L from 995 to 1010"
sequences_text <- function(found) {
  if (!found$known) {
    return("[n, 4, L]")
  }
  lengths <- found$lengths
  range <- if (lengths[1L] != lengths[2L]) {
    paste0(", L from ", lengths[1L], " to ", lengths[2L])
  }
  paste0(shape_text(found$X), range)
}

field_text <- function(field) {
  if (field == "L") {
    return("the whole sequence")
  }
  if (field == "?") "unknown" else paste(field, "bp")
}

#' @rdname load_model
#' @param x A model.
#' @param ... Not used.
#' @section Printing:
#' `print()` shows what the model takes and returns. `n` is the number of sequences and `L` their
#' length; `L from 995 to 1010` are all lengths that the model takes, and with no such note it takes
#' many. The receptive field is how many positions of the sequence one position of an output is
#' computed from (the whole output, where it has no positions). Shapes and receptive fields are
#' found by trying the model on sequences of a few lengths, for four seconds at most; what is not
#' found by then is said to be unknown.
#' @export
print.seqlift_model <- function(x, ...) {
  found <- describe_model(x)
  cat_text("<seqlift_model> ", x$info$class)
  print_rows("inputs", input_lines(x, found))
  if (!identical(x$layout %||% own_layout, own_layout)) {
    print_rows("layout", paste("given to the model as", layout_text(x$layout)))
  }
  print_rows("outputs", output_lines(x, found))
  print_rows("receptive field", unique_lines(vapply(
    found$outputs, function(output) field_text(output$receptive_field), ""
  )))
  if (length(x$wrappers) > 0L) {
    print_rows("put around it", paste(wrapper_calls(x), collapse = ", then "))
    scored <- scored_lines(x)
    if (length(scored) > 0L) {
      print_rows("scored", scored)
    }
  }
  held <- dtype_name(x$info$dtype)
  print_rows("parameters", paste0(
    format(x$info$parameters, big.mark = ",", scientific = FALSE), " (", held,
    if (held != own_dtype(x)) paste0(", computed in ", own_dtype(x)), ")"
  ))
  classes <- class_lines(x)
  if (!is.null(classes)) {
    print_rows("modules", classes)
  }
  print_rows("format", x$origin$format %||% "TorchScript")
  made_from <- x$source %||% if (is.null(x$origin)) x$path else x$origin$path
  if (!is.null(made_from)) {
    print_rows("made from", made_from)
  }
  if (length(x$origin$trimming) > 0L) {
    print_rows("trimming", x$origin$trimming)
  }
  print_rows("md5", x$hash)
  invisible(x)
}

output_lines <- function(model, found) {
  shapes <- vapply(found$outputs, function(output) shape_text(output$shape), "")
  trimws(paste(if (length(shapes) > 1L) names(name_outputs(shapes, model)), shapes))
}

input_lines <- function(model, found) {
  arguments <- model$info$arguments
  shapes <- vapply(arguments[-1L], function(name) shape_text(found$args[[name]]), "")
  notes <- ifelse(arguments %in% names(model$args), ", filled in",
    ifelse(model$info$has_default, ", optional", "")
  )
  paste0(arguments, " ", c(sequences_text(found), shapes), notes)
}

# One line where all outputs have the same.
unique_lines <- function(lines) if (length(unique(lines)) == 1L) lines[1L] else lines

origin_line <- function(model) {
  origin <- model$origin
  if (is.null(origin$path)) {
    return(if (is.null(origin)) model$source %||% model$path else origin$format)
  }
  path <- model$source %||% origin$path
  if (composed(model)) path else paste0(path, " (", origin$format, ")")
}

# The classes of the modules inside and how many there are of each, by PyTorch's short names where
# they are PyTorch's.
class_lines <- function(model) {
  classes <- model$info$module_classes[nzchar(model$info$modules)]
  counts <- table(sub("^torch[.]nn[.]modules[.].*[.]", "", sub("^__torch__[.]", "", classes)))
  if (length(counts) > 0L) {
    shortened(paste0(names(counts), " (", counts, ")"), classes_shown)
  }
}
