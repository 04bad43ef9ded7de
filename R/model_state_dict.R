# Weights without their model. A `seqlift_state_dict` is plain data: the file and a table of what is
# in it. The numbers stay in the file until they are asked for.

#' Read the weights of a model
#'
#' Reads a state dict, the weights of a network by their names: what `torch.save(model.state_dict(),
#' path)` writes in Python, in the zip format since PyTorch 1.6 and the pickle and tar formats
#' before, and safetensors files. Of a training checkpoint, the state dict in it is read (under
#' `"state_dict"`, `"model_state_dict"`, `"model"`, `"net"` and other such keys); keys of dicts
#' inside dicts are joined by dots. What wrappers put into names is left out: `module.` before all
#' of them (DataParallel, averaged models and their `n_averaged`), `_orig_mod.` (torch.compile) and
#' the like. A message says what was left out.
#'
#' Nothing in the file is run. A file of `torch.save()` is a Python pickle, a program that may call
#' any function. Here a restricted reader takes tensors, containers, numbers and text from it; any
#' other object (a numpy array, a path, the settings of a training) is passed over, and only its
#' name is ever looked at.
#'
#' Of a whole model written by `torch.save(model, path)`, which Python reads only where it finds the
#' model's classes, the parameters and buffers are read under the names that `model.state_dict()`
#' gives them, with the classes' names and the model's own settings (`trimming` of a BPNet). What
#' the model computes with them is Python code, which is not in the file: [bpnet()] and the other
#' architectures know theirs.
#'
#' Of a checkpoint of PyTorch Lightning (gReLU's are such), `model.` before all names is left out
#' too, and what the training was started with (`hyper_parameters`, `config`) is kept as text:
#' `print()` shows it. Objects among it are their class's name.
#'
#' Files are mapped into memory: a file of several gigabytes is opened without reading its numbers
#' into R. Each of `[[`, `[` and `as.list()` opens the file again and makes R arrays of the tensors
#' asked for.
#'
#' @param path Path of the file.
#' @param prefix What leads to the weights where a file holds several sets of them: keys of dicts
#'   and the beginning of names, joined by dots (`"ema"`, `"state_dict.generator"`). The names are
#'   then without it. Default `NULL`: the only state dict that there is.
#' @return A `seqlift_state_dict`. `names()` and `length()` give the tensors' names and how many
#'   there are. `x[["conv.weight"]]`, `x$conv.weight` and `x[[1]]` give one tensor as a numeric
#'   array of its shape in PyTorch, for example `[filters, channels, width]` of a convolution (a
#'   vector of one number for a scalar, a complex array for a complex tensor); `x[c("a", "b")]` and
#'   `as.list(x)` several, as a list. Numbers are doubles whatever their type in the file: of 64-bit
#'   integers beyond 2^53 only the first digits are kept.
#' @section Errors: `seqlift_error_file` when the file is missing, a directory, damaged, of another
#'   format (HDF5, TorchScript), has changed since it was read, or holds tensors that are not read;
#'   `seqlift_error_state_dict` when two state dicts in it have the same names, or no name begins
#'   with `prefix`; `seqlift_error_argument` when there is no tensor of a name.
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
read_state_dict <- function(path, prefix = NULL) {
  call <- rlang::current_env()
  path <- file_of_folder(path.expand(check_string(path, "path")))
  refuse_r_torch_file(path, call, refused = "rds")
  prefix <- check_string(prefix, "prefix", null = TRUE) %||% ""
  found <- ask_engine("state_dict", list(path = path, prefix = prefix), call = call)
  if (is_engine_error(found)) {
    raise_state_dict_error(found, call)
  }
  inform_of_notes(found$notes, path)
  names <- found$names
  Encoding(names) <- "UTF-8"
  structure(
    list(
      path = normalizePath(path), prefix = prefix, format = found$format, names = names,
      dtypes = unname(state_dict_dtypes[found$dtypes]), shapes = found$shapes,
      stamp = file_stamp(path), modules = stats::setNames(found$classes, found$modules),
      settings = as.data.frame(found$settings)
    ),
    class = "seqlift_state_dict"
  )
}

raise_state_dict_error <- function(result, call) {
  if (result$error != "state_dict") {
    raise_engine_error(result, NULL, call)
  }
  message <- gsub("}", "}}", gsub("{", "{{", result$message, fixed = TRUE), fixed = TRUE)
  abort_seqlift("state_dict", c(message,
    i = "{.arg prefix} says which weights are meant: what their names begin with."
  ), call = call)
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
  values <- call_engine("state_dict_values", x[c("path", "prefix")], places, call = call)
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
  cat_text("<seqlift_state_dict> ", fields$format)
  cat_field("tensors", as.character(length(x)))
  cat_field("numbers", format(sum(sizes), big.mark = ",", scientific = FALSE))
  cat_field("file", fields$path)
  if (length(fields$modules) > 0L) {
    cat_field("class", fields$modules[[1L]])
    inner <- table(fields$modules[-1L])
    inner <- paste0(names(inner), " (", inner, ")", recycle0 = TRUE)
    cat_field("modules", shortened(inner, classes_shown))
  }
  settings <- fields$settings
  if (!is.null(settings) && nrow(settings) > 0L) {
    cat_field("settings", shortened(paste(settings$name, "=", settings$value), settings_shown))
  }
  print_table(
    as.data.frame(x)[c("name", "type", "shape")], state_dict_shown,
    hint = "names() has all"
  )
  invisible(x)
}

state_dict_shown <- 20L
classes_shown <- 8L
settings_shown <- 20L

# The first few, and how many more there are.
shortened <- function(items, most) {
  more <- length(items) - most
  shown <- paste(utils::head(items, most), collapse = ", ")
  if (more > 0L) paste(shown, "and", more, "more") else shown
}
