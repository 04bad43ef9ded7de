# Weights without their model. A `seqlift_state_dict` is plain data: the file and a table of what is
# in it. The numbers stay in the file until they are asked for.

#' Read the weights of a model
#'
#' Reads a state dict, the weights of a network by their names: what `torch.save(model.state_dict(),
#' path)` writes in Python, in the zip format since PyTorch 1.6 and the pickle and tar formats
#' before, and safetensors files. Of a training checkpoint, the state dict in it (`"state_dict"`,
#' `"model_state_dict"` or `"model"`) is read; keys of dicts inside dicts are joined by dots.
#'
#' Nothing in the file is run. A file of `torch.save()` is a Python pickle, a program that may call
#' any function. Here a restricted reader takes tensors, containers, numbers and text from it and
#' refuses everything else by its name. So a whole model written by `torch.save(model, path)`, which
#' needs its Python classes, is refused: save its state dict, or write TorchScript for
#' [load_model()].
#'
#' Files are mapped into memory: a file of several gigabytes is opened without reading its numbers
#' into R. Each of `[[`, `[` and `as.list()` opens the file again and makes R arrays of the tensors
#' asked for.
#'
#' @param path Path of the file.
#' @return A `seqlift_state_dict`. `names()` and `length()` give the tensors' names and how many
#'   there are. `x[["conv.weight"]]`, `x$conv.weight` and `x[[1]]` give one tensor as a numeric
#'   array of its shape in PyTorch, for example `[filters, channels, width]` of a convolution (a
#'   vector of one number for a scalar, a complex array for a complex tensor); `x[c("a", "b")]` and
#'   `as.list(x)` several, as a list. Numbers are doubles whatever their type in the file: of 64-bit
#'   integers beyond 2^53 only the first digits are kept.
#' @section Errors: `seqlift_error_file` when the file is missing, a directory, damaged, of another
#'   format (HDF5, TorchScript), has changed since it was read, or holds objects that are not read;
#'   `seqlift_error_argument` when there is no tensor of a name.
#' @source The formats are those of `torch/serialization.py` of PyTorch and of
#'   <https://github.com/huggingface/safetensors>.
#' @seealso [load_model()] for TorchScript.
#' @export
#' @examples
#' # The file of one 2 x 3 tensor, as the Python package safetensors writes it.
#' header <- '{"weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
#' path <- tempfile(fileext = ".safetensors")
#' file <- file(path, "wb")
#' writeBin(nchar(header), file, size = 8L, endian = "little")
#' writeChar(header, file, eos = NULL)
#' writeBin(as.double(1:6), file, size = 4L, endian = "little")
#' close(file)
#' state_dict <- read_state_dict(path)
#' state_dict
#' state_dict$weight
read_state_dict <- function(path) {
  call <- rlang::current_env()
  path <- path.expand(check_string(path, "path"))
  found <- call_engine("state_dict", path, call = call)
  names <- found$names
  Encoding(names) <- "UTF-8"
  structure(
    list(
      path = normalizePath(path), format = found$format, names = names,
      dtypes = unname(state_dict_dtypes[found$dtypes]), shapes = found$shapes,
      stamp = file_stamp(path)
    ),
    class = "seqlift_state_dict"
  )
}

# LibTorch's names of the types and PyTorch's.
state_dict_dtypes <- c(
  Float = "float32", Double = "float64", Half = "float16", BFloat16 = "bfloat16", Long = "int64",
  Int = "int32", Short = "int16", Char = "int8", Byte = "uint8", Bool = "bool",
  ComplexFloat = "complex64", ComplexDouble = "complex128"
)

file_stamp <- function(path) unlist(lapply(file.info(path)[c("size", "mtime")], as.numeric))

check_state_dict <- function(state_dict, arg = "state_dict", call = caller_env()) {
  if (!inherits(state_dict, "seqlift_state_dict")) {
    abort_argument(arg, "a state dict from read_state_dict()", describe(state_dict), call = call)
  }
  state_dict
}

# The tensors at these places, as arrays.
state_dict_values <- function(x, places, call = caller_env()) {
  x <- unclass(x)
  if (!identical(file_stamp(x$path), x$stamp)) {
    abort_seqlift("file",
      c("The file {.path {x$path}} is gone or has changed since it was read.",
        i = "Read it again with {.fn read_state_dict}."
      ),
      call = call
    )
  }
  values <- call_engine("state_dict_values", x$path, places, call = call)
  names(values) <- x$names[places]
  lapply(values, function(value) {
    if (is.list(value)) {
      array(complex(real = value$real, imaginary = value$imaginary), dim(value$real))
    } else {
      value
    }
  })
}

# Which of the tensors `i` names or numbers.
state_dict_places <- function(x, i, call = caller_env()) {
  names <- names(x)
  places <- if (is.character(i)) match(i, names) else seq_along(names)[i]
  if (anyNA(places)) {
    missing <- describe(if (is.character(i)) i[is.na(places)] else i)
    abort_seqlift("argument",
      c("{.arg i} must be names or numbers of tensors in the state dict, not {missing}.",
        i = "It holds {.val {names}}."
      ),
      call = call
    )
  }
  places
}

#' @export
names.seqlift_state_dict <- function(x) unclass(x)$names

#' @export
length.seqlift_state_dict <- function(x) length(unclass(x)$names)

#' @export
`[[.seqlift_state_dict` <- function(x, i, ...) {
  if (length(i) != 1L) {
    abort_argument("i", "the name or number of one tensor", describe(i))
  }
  state_dict_values(x, state_dict_places(x, i))[[1L]]
}

#' @export
`$.seqlift_state_dict` <- function(x, name) {
  state_dict_values(x, state_dict_places(x, name))[[1L]]
}

#' @export
`[.seqlift_state_dict` <- function(x, i) state_dict_values(x, state_dict_places(x, i))

#' @export
as.list.seqlift_state_dict <- function(x, ...) state_dict_values(x, seq_along(x))

#' @export
print.seqlift_state_dict <- function(x, ...) {
  fields <- unclass(x)
  sizes <- vapply(fields$shapes, prod, double(1L))
  cli::cat_line("<seqlift_state_dict> ", fields$format)
  cli::cat_line("  tensors  ", length(x))
  cli::cat_line("  numbers  ", format(sum(sizes), big.mark = ",", scientific = FALSE))
  cli::cat_line("  file     ", fields$path)
  shown <- utils::head(seq_along(x), state_dict_shown)
  shapes <- vapply(fields$shapes[shown], function(shape) {
    if (length(shape) == 0L) "scalar" else paste(shape, collapse = " x ")
  }, character(1L))
  cli::cat_line(
    "  ", format(fields$names[shown]), "  ", format(fields$dtypes[shown]), "  ", shapes
  )
  if (length(x) > length(shown)) {
    cli::cat_line("  and ", length(x) - length(shown), " more")
  }
  invisible(x)
}

state_dict_shown <- 20L
