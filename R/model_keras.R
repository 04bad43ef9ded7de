# Keras's HDF5 files; for its archives see model_keras_archive.R. The configuration is JSON in the
# attribute `model_config`; the weights lie in the group `model_weights`, or at the root of a file
# of weights alone: the attribute `layer_names` lists the groups, `weight_names` of each its data
# sets, both cut into numbered pieces where they are too long for one attribute.

#' Load a model of Keras
#'
#' Reads an HDF5 file (`.h5`, `.hdf5`) or an archive (`.keras`) that Keras wrote with
#' `model.save()`, and makes the same model of it, without Python: Sequential and functional models
#' of Keras 1.2, Keras 2 (`tf.keras` too) and Keras 3, such as those of BPNet, ChromBPNet and
#' CREsted. A file of weights alone (`model.save_weights()`, `.weights.h5`, or `.weights.json` with
#' the files that it names) needs the configuration (`model.to_json()`) in `json`. A folder of
#' `model.save(zipped = False)` is read as the archive that it would be.
#'
#' ## What goes in and out
#' Sequences are `[n, 4, L]` here as everywhere in seqlift, where Keras has `[n, L, 4]`; models that
#' take `[n, 4, L]`, or either with a dimension of 1 more (`[n, 1, L, 4]`, `[n, L, 1, 4]`,
#' `[n, 1, 4, L]`, `[n, 4, L, 1]`, `[n, L, 4, 1]`), are given what they take. The input that holds
#' sequences comes first, whichever place it has in Keras. Other inputs (control tracks) are given
#' as Keras has them, `[n, L, k]`, and their names are Keras's (letters, digits and `_`). Outputs
#' come as Keras has them: a profile is `[n, L, k]`. [predict()] of a model with several outputs
#' names them as Keras does.
#'
#' ## Layers
#' Embedding (of a model that takes whole numbers, see `layout`), Masking, Conv1D and Conv2D (also
#' separable, depthwise and transposed), Dense, Flatten, Reshape, Permute, RepeatVector,
#' EinsumDense, MultiHeadAttention, Attention, AdditiveAttention, Dot, BatchNormalization,
#' LayerNormalization, RMSNormalization, GroupNormalization, UnitNormalization, Normalization,
#' Rescaling, pooling, adaptive and global pooling (maximum and average), LocallyConnected1D,
#' TimeDistributed, StochasticDepth, Activation and the layers of activations, Dropout and noise
#' (which do nothing in a prediction), Add, Subtract, Multiply, Average, Maximum, Minimum,
#' Concatenate, Cropping, ZeroPadding, UpSampling (nearest), LSTM, GRU, SimpleRNN, RNN of one of
#' their cells and Bidirectional; of keras-genomics RevCompConv1D (which computes `2 conv(x) + b`),
#' RevCompConv1DBatchNorm and DenseAfterRevcompConv1D; of CREsted AttentionPool1D and
#' MultiheadAttention, whose relative positions are Enformer's or Borzoi's; models inside models.
#' Every layer is a module by its own name, and has PyTorch's class where PyTorch has one, so that
#' `rules = "module"` and `nonlinear_ops` in [deep_lift_shap()] know it. Any other layer, and any
#' option that is not understood, is an error that names it.
#'
#' A mask, which Masking or `Embedding(mask_zero = True)` make of positions without a base, is read
#' by LSTM, GRU, SimpleRNN, Bidirectional and GlobalAveragePooling1D as Keras reads it; where
#' another layer would read it, the model is refused. Recurrent layers begin every sequence with a
#' state of zeros, those with `stateful = True` too.
#'
#' Operations on tensors between layers are read too: those of `keras.ops` in Keras 3 (`x + y`,
#' `x[:, 5:-5]`, `ops.mean(x, axis = 1)`) and TensorFlow's in tf.keras (`TFOpLambda`), as far as
#' they are elementwise, reduce, move or cut dimensions, join, or multiply. What reaches over the
#' dimension of the sequences is refused.
#'
#' A Lambda layer is Python code, which is never run, and is refused. The one exception is
#' `lambda x: tf.math.reduce_logsumexp(x, axis=-1, keepdims=True)`, which stands in every ChromBPNet
#' with its bias model, and is known by its code as Python 3.6 to 3.11 compiled it.
#'
#' ## Theano
#' Theano turns kernels round before it multiplies, TensorFlow does not. A file that says it is
#' Theano's has its kernels turned. Keras 1 did not say; there, weights whose names
#' lack TensorFlow's `:0` are taken for Theano's, with a message.
#'
#' ## Damaged files
#' The HDF5 library can end the process that opens a damaged file. So an R session of its own, which
#' the package callr starts, reads the file: that takes about a second more, and if it ends, the
#' error is the file's.
#'
#' @param path Path of the HDF5 file, of the archive, or of the index of weights in several files;
#'   its content says which.
#' @param json Path of a JSON file with the configuration, for a file that holds weights alone;
#'   takes the place of the configuration in the file where there is one. `NULL` (default): the
#'   file's own.
#' @param device See [load_model()].
#' @param layout Which whole numbers stand for the bases in a model that takes them, see the section
#'   on layouts in [load_model()]. Default `NULL`: the usual ones where its table has four or five
#'   rows.
#' @return A `seqlift_model`. Its TorchScript file lies in the session's temporary folder. Weights
#'   are float64 where the file's are, else float32.
#' @section Errors: `seqlift_error_file` for a file that is missing, is damaged, or is not Keras's;
#'   for weights without a configuration; for a configuration that is not JSON.
#'   `seqlift_error_model` for layers, options or connections that are not understood, for weights
#'   that are missing, left over or of another shape (all of them at once), and for weights that are
#'   not finite. `seqlift_error_package` when rhdf5 or callr is not installed.
#' @source Keras: `keras/saving/legacy/hdf5_format.py` and the layers' definitions (Apache 2.0);
#'   keras-genomics: `keras_genomics/layers`.
#' @seealso [load_model()]
#' @export
#' @examplesIf rlang::is_installed(c("rhdf5", "callr"))
#' # One convolution of width 1 with a mean over positions, written as Keras writes it.
#' path <- tempfile(fileext = ".h5")
#' config <- '{"class_name": "Sequential", "config": {"name": "gc", "layers": [
#'   {"class_name": "Conv1D", "config": {"name": "letters", "batch_input_shape": [null, 20, 4],
#'     "filters": 1, "kernel_size": [1], "strides": [1], "padding": "valid",
#'     "dilation_rate": [1], "activation": "linear", "use_bias": false}},
#'   {"class_name": "GlobalAveragePooling1D", "config": {"name": "mean"}}]}}'
#' rhdf5::h5createFile(path)
#' file <- rhdf5::H5Fopen(path)
#' rhdf5::h5writeAttribute(config, file, "model_config")
#' rhdf5::h5createGroup(file, "model_weights")
#' rhdf5::h5createGroup(file, "model_weights/letters")
#' # HDF5 has the dimensions the other way round: Keras's kernel is [width, 4, filters].
#' rhdf5::h5write(array(c(0, 1, 1, 0), c(1, 4, 1)), file, "model_weights/letters/kernel")
#' weights <- rhdf5::H5Gopen(file, "model_weights")
#' rhdf5::h5writeAttribute("letters", weights, "layer_names")
#' letters <- rhdf5::H5Gopen(weights, "letters")
#' rhdf5::h5writeAttribute("kernel", letters, "weight_names")
#' rhdf5::h5closeAll()
#' model <- load_keras_model(path)
#' predict(model, "GATTACAGATTACAGATTAC") # its GC content
load_keras_model <- function(path, json = NULL, device = NULL, layout = NULL) {
  call <- rlang::current_env()
  path <- path.expand(check_string(path, "path"))
  if (!is_keras_folder(path)) {
    path <- check_file(path, folder_hint = keras_folder_hint)
  }
  json <- check_string(json, "json", null = TRUE)
  device <- if (is.null(device)) NULL else check_device(device)
  open_keras_model(path, json, device, call, check_layout(layout, call))
}

# `layout`: as check_layout() gives it.
open_keras_model <- function(path, json, device, call, layout = NULL, conduct = NULL) {
  check_package(c("rhdf5", "callr"), "Reading a model of Keras", call = call)
  archive <- is_keras_folder(path) ||
    identical(readBin(path, "raw", 4L), as.raw(c(0x50, 0x4b, 3L, 4L)))
  file <- if (archive) {
    read_keras_archive(path, json, call)
  } else {
    read_keras_file(path, json, call)
  }
  converted <- NULL
  write <- function(to) converted <<- call_engine("convert_keras", file, to, call = call)
  origin <- list(format = if (archive) "Keras archive" else "Keras HDF5", path = path)
  own <- function() if (converted$tokens > 0) layout else refuse_layout(layout, call)
  model <- converted_model(write, origin, device, call, own, conduct)
  if (converted$theano && !nzchar(file$backend)) {
    inform_seqlift("theano",
      c("The kernels in {.path {path}} are taken for those of Theano, and turned round.",
        i = "The file does not say who wrote it, and its weights have not the names of TensorFlow."
      )
    )
  }
  model
}

keras_folder_hint <- "A SavedModel is a folder of TensorFlow's, which needs TensorFlow itself: in
  Python, {.code tf.keras.models.load_model(folder).save(\"model.h5\")} writes what is read here."

# list(config, keras_version, backend, dtype, layers), as the engine takes it.
read_keras_file <- function(path, json, call) {
  refuse <- function(problem, hint = NULL) {
    abort_seqlift("file", c(paste0("The file {.path {path}} ", problem, "."), i = hint),
      call = call
    )
  }
  config <- if (!is.null(json)) read_json_file(path.expand(json), call)
  if (is_keras_index(path)) {
    return(read_keras_shards(path, config, call))
  }
  file <- read_keras_apart(read_keras_groups, path, path, call)
  if (is.null(file)) {
    refuse("is not an HDF5 file", "In Python, {.code model.save(\"model.h5\")} writes one.")
  }
  if (is.null(file$layers) && file$native && !is.null(config)) {
    # Of model.save_weights() in Keras 3.
    found <- read_keras_apart(read_keras_paths, path, path, call)
    if (found$too_large) {
      refuse("declares weights that are much larger than the file itself")
    }
    return(list(
      config = config, keras_version = "3", backend = "", dtype = found$dtype,
      layers = list(list(name = "", weights = found$weights))
    ))
  }
  if (is.null(file$layers)) {
    refuse(
      if (file$native) {
        "holds weights in the layout of Keras's archives, without a configuration"
      } else {
        "holds no weights of a Keras model: it has no {.field layer_names}"
      },
      if (file$native) {
        "Give the file of {.code model.to_json()} in {.arg json}."
      } else {
        "In Python, {.code model.save(\"model.h5\")} writes what is read here."
      }
    )
  }
  if (file$too_large) {
    refuse("declares weights that are much larger than the file itself")
  }
  file$config <- config %||% file$config
  if (is.null(file$config)) {
    refuse("holds weights alone: it has no {.field model_config}",
      "Give the file of {.code model.to_json()} in {.arg json}."
    )
  }
  file[c("config", "keras_version", "backend", "dtype", "layers")]
}

# What `read` finds in the HDF5 file `path`, which lies in the file `name`.
read_keras_apart <- function(read, path, name, call) {
  refuse <- function(problem, hint = NULL) {
    abort_seqlift("file", c(paste0("The file {.path {name}} ", problem, "."), i = hint),
      call = call
    )
  }
  tryCatch(read_apart(read, path), error = function(error) {
    # callr wraps what happened there in errors of its own, and has one of its own for a session
    # that ended.
    cause <- last_cause(error)
    if (inherits(cause, "seqlift_h5_refused")) {
      refuse(escape_braces(conditionMessage(cause)))
    }
    if (inherits(cause, "callr_status_error")) {
      refuse("could not be read",
        "The R session in which the HDF5 library read it ended: the file is damaged, or memory ran
         out."
      )
    }
    abort_seqlift("file", "The file {.path {name}} could not be read: it is damaged.",
      parent = cause, call = call
    )
  })
}

# What `read` finds in the file. In an R session of its own: the HDF5 library believes what a file
# says of its own layout, and with a damaged one (HDF5 1.10.8: a chunk larger than its data) it goes
# beyond its memory, which can end the process.
read_apart <- function(read, path) {
  callr::r(read, list(normalizePath(path)),
    libpath = c(dirname(system.file(package = "seqlift")), .libPaths()), user_profile = FALSE,
    package = "seqlift"
  )
}

last_cause <- function(error) if (is.null(error$parent)) error else last_cause(error$parent)

read_json_file <- function(json, call) {
  json <- check_file(json, "json", call)
  bytes <- readBin(json, "raw", file.size(json))
  if (any(bytes == 0L)) {
    abort_seqlift("file", "The file {.path {json}} in {.arg json} is not JSON.", call = call)
  }
  rawToChar(bytes)
}

read_keras_groups <- function(path) {
  if (!isTRUE(suppressMessages(rhdf5::H5Fis_hdf5(path, showWarnings = FALSE)))) {
    return(NULL)
  }
  file <- open_h5_file(path)
  on.exit(rhdf5::H5Fclose(file))
  root <- file
  if (has_h5_object(file, "model_weights")) {
    root <- open_h5_group(file, "model_weights")
    on.exit(rhdf5::H5Gclose(root), add = TRUE, after = FALSE)
  }
  # Text and weights are no smaller in memory than compressed; a hundred times is no real file, but
  # for a small one of constant weights.
  most <- max(100 * file.size(path), 2^26)
  room <- most
  attribute <- function(name) {
    for (at in list(file, root)) {
      text <- string_attribute(at, name, most)
      if (length(text) == 1L) {
        return(text)
      }
    }
    NULL
  }
  read <- list(
    config = attribute("model_config"), keras_version = attribute("keras_version") %||% "",
    backend = attribute("backend") %||% "", too_large = FALSE,
    native = rhdf5::H5Lexists(file, "layers") ||
      rhdf5::H5Lexists(file, "_layer_checkpoint_dependencies")
  )
  layers <- string_attributes(root, "layer_names", most)
  if (is.null(layers)) {
    return(read)
  }
  bytes <- 4L
  read$layers <- lapply(layers, function(layer) {
    group <- open_h5_group(root, layer)
    on.exit(rhdf5::H5Gclose(group))
    names <- string_attributes(group, "weight_names", most)
    weights <- list()
    for (name in names) {
      data <- open_h5_data(group, name, path)
      shape <- data_shape(data)
      room <<- room - shape$bytes * max(prod(shape$size), prod(shape$chunk))
      if (room < 0) {
        rhdf5::H5Dclose(data)
        break
      }
      bytes <<- max(bytes, shape$bytes)
      weights[[name]] <- rhdf5::H5Dread(data)
      rhdf5::H5Dclose(data)
    }
    list(name = layer, weights = lapply(weights, as_doubles))
  })
  read$too_large <- room < 0
  read$dtype <- if (bytes > 4L) "float64" else "float32"
  read
}

# A scalar of HDF5 is an array without dimensions; the engine sees one number.
as_doubles <- function(x) {
  if (!is.numeric(x)) {
    stop("A weight does not hold numbers.")
  }
  array(as.double(x), if (is.null(dim(x))) length(x) else dim(x))
}

# `chunk`: what the library takes into memory at once, zero where the data lie in one piece.
data_shape <- function(data) {
  space <- rhdf5::H5Dget_space(data)
  type <- rhdf5::H5Dget_type(data)
  layout <- rhdf5::H5Dget_create_plist(data)
  on.exit({
    rhdf5::H5Sclose(space)
    rhdf5::H5Pclose(layout)
  })
  chunked <- identical(as.character(rhdf5::H5Pget_layout(layout)), "H5D_CHUNKED")
  list(
    size = as.numeric(rhdf5::H5Sget_simple_extent_dims(space)$size),
    chunk = if (chunked) as.numeric(rhdf5::H5Pget_chunk(layout)) else 0,
    bytes = as.numeric(rhdf5::H5Tget_size(type))
  )
}
