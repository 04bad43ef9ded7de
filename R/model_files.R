# What a file that may hold a model is, told by its content, and what is done with each sort.

# "script", "export", "keras", "hdf5", "weights" (of torch.save(), tar or safetensors), "npz",
# "rds", "onnx", "keras_part" (an archive that lacks the weights), "zip", "folder", "saved_model",
# or "other", which the engine refuses in its own words.
model_file_kind <- function(path, call) {
  kind <- core_file_kinds(path)
  if (kind == "folder") {
    return(model_folder_kind(path))
  }
  if (kind != "file" || file.access(path, 4L) != 0L) {
    return("other")
  }
  head <- readBin(path, "raw", 512L)
  starts <- function(bytes, at = 0L) {
    identical(head[at + seq_along(bytes)], as.raw(bytes))
  }
  if (is_safetensors_head(head)) {
    return("weights")
  }
  if (starts(c(0x50, 0x4b, 3L, 4L))) {
    return(archive_kind(path, call))
  }
  if (r_torch_file_kind(path) == "rds") {
    return("rds")
  }
  if (is_hdf5_file(path)) {
    return("hdf5")
  }
  if (starts(0x80) || starts(charToRaw("ustar"), 257L)) {
    return("weights")
  }
  if (is_onnx_head(head)) "onnx" else other_format(head, path)
}

model_folder_kind <- function(path) {
  if (is_keras_folder(path)) {
    return("keras")
  }
  saved <- file.exists(file.path(path, c("saved_model.pb", "keras_metadata.pb")))
  if (any(saved)) "saved_model" else "folder"
}

# Files that people have in the place of a model, by how they begin.
other_format <- function(head, path) {
  text <- rawToChar(head[head != 0L])
  begins <- function(pattern) grepl(pattern, text, useBytes = TRUE, ignore.case = TRUE)
  at_five <- if (length(head) > 8L) rawToChar(head[5:8][head[5:8] != 0L])
  if (begins("^version https://git-lfs")) {
    "lfs"
  } else if (begins("^\\s*<(!doctype|html|head|[?]xml)")) {
    "page"
  } else if (identical(at_five, "TFL3") || identical(at_five, "ORTM")) {
    at_five
  } else if (identical(head[1:2], as.raw(c(0x1f, 0x8b)))) {
    "gzip"
  } else if (begins("^\\s*[{]")) {
    if (!is_weight_index(path)) {
      "json"
    } else if (is_keras_index(path)) {
      "keras_index"
    } else {
      "weights"
    }
  } else {
    "other"
  }
}

# As the engine knows it (src/core/files/shards.cpp).
is_weight_index <- function(path) {
  most <- 2^26
  file.size(path) <= most && grepl("\"weight_map\"",
    rawToChar({
      bytes <- readBin(path, "raw", most)
      bytes[bytes != 0L]
    }),
    fixed = TRUE, useBytes = TRUE
  )
}

# What Hugging Face's tools put into a folder: the weights in one file, or the index of several.
weight_files <- c(
  "model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json",
  "pytorch_model.bin"
)

# The file of a folder that holds its weights; else `path` as it is.
file_of_folder <- function(path) {
  if (core_file_kinds(path) != "folder" || is_keras_folder(path)) {
    return(path)
  }
  inside <- file.path(path, weight_files)
  inside <- inside[file.exists(inside)]
  if (length(inside) > 0L) inside[1L] else path
}

# An archive of Keras that is not packed.
is_keras_folder <- function(path) {
  all(core_file_kinds(file.path(path, c("config.json", "model.weights.h5"))) == "file")
}

# What the configuration beside the weights calls the model, or NULL.
model_type_beside <- function(path) {
  config <- file.path(dirname(path), "config.json")
  if (core_file_kinds(config) != "file" || file.access(config, 4L) != 0L ||
    file.size(config) > 2^20) {
    return(NULL)
  }
  bytes <- readBin(config, "raw", 2^20)
  text <- gsub("[\r\n]", " ", rawToChar(bytes[bytes != 0L]), useBytes = TRUE)
  pattern <- '^.*"model_type"\\s*:\\s*"([A-Za-z0-9_.-]{1,60})".*$'
  if (grepl(pattern, text, useBytes = TRUE)) sub(pattern, "\\1", text, useBytes = TRUE)
}

# By its bytes, so that rhdf5 need not be there to tell: the signature is at the beginning, or
# behind 512, 1024, 2048 ... bytes of the user's own.
is_hdf5_file <- function(path) {
  signature <- as.raw(c(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a))
  connection <- file(path, "rb")
  on.exit(close(connection))
  at <- 0
  while (at + 8 <= file.size(path)) {
    seek(connection, at)
    if (identical(readBin(connection, "raw", 8L), signature)) {
      return(TRUE)
    }
    at <- max(512, 2 * at)
  }
  FALSE
}

# A ModelProto: field 1, the version of ONNX's own format, then a text (producer, domain,
# documentation: fields 2, 3, 4 and 6), the model's version (5), the graph (7) or the operators'
# versions (8).
is_onnx_head <- function(head) {
  length(head) > 4L && head[1L] == 0x08 && as.integer(head[2L]) %in% 1:20 &&
    as.integer(head[3L]) %in% c(0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42)
}

archive_kind <- function(path, call) {
  names <- ask_engine("archive_names", path, call = call)
  if (is_engine_error(names)) {
    return("other")
  }
  has <- function(pattern) any(grepl(pattern, names))
  if (has("^config[.]json$") && has("^(model[.]weights|metadata[.]json)")) {
    "keras"
  } else if (call_engine("is_exported_program", path, call = call)) {
    "export"
  } else if (has("(^|/)constants[.]pkl$")) {
    "script"
  } else if (has("(^|/)data[.]pkl$")) {
    "weights"
  } else if (has("[.]npy$")) {
    "npz"
  } else if (has("^config[.]json$")) {
    "keras_part"
  } else if (length(names) > 0L) {
    "zip"
  } else {
    "other"
  }
}

# Classes of whole models that the file tells enough of, and the verb that reads them.
whole_model_verbs <- c(
  BPNet = "bpnet", BasePairNet = "bpnet", ChromBPNet = "chrombpnet", Cherimoya = "cherimoya"
)

# A file of weights: a model where it says what is computed with them, else an error that says what
# it is and which call takes it.
open_weights <- function(path, device, call) {
  found <- ask_engine("state_dict", list(path = path, prefix = ""), call = call)
  if (is_engine_error(found)) {
    raise_state_dict_error(found, call)
  }
  class <- if (length(found$classes) > 0L) found$classes[[1L]]
  settings <- as.data.frame(found$settings)
  # {config, state_dict}, as Cherimoya writes it.
  configured <- "cherimoya" %in% found$fits && "config.residual_scale" %in% settings$name
  verb <- if (configured) {
    "cherimoya"
  } else {
    unname(whole_model_verbs[sub("^.*[.]", "", class %||% "")])
  }
  if (!is.na(verb) && verb %in% found$fits) {
    return(do.call(verb, list(path, device = device)))
  }
  what <- if (!is.null(class)) {
    "a whole model of the class {.cls {class}}, whose computation is Python code that is not in it"
  } else if (nrow(settings) > 0L) {
    "a checkpoint: weights and the settings of their training, without the computation"
  } else {
    "a state dict: weights without the computation"
  }
  keys <- utils::head(found$names, 3L)
  inner <- any(c("chrombpnet", "cherimoya") %in% found$fits)
  fits <- setdiff(found$fits, if (inner) c("bpnet", "procapnet"))
  calls <- paste0("{.fn ", fits, "}", recycle0 = TRUE)
  advice <- if (length(fits) > 0L) {
    paste0("Its names are those that ", paste(calls, collapse = " or "), " takes.")
  } else {
    "Its names are of no architecture known here: in Python, write the model with
     {.code torch.jit.trace(model.eval(), example).save(path)}; {.fn read_state_dict} reads the
     weights."
  }
  type <- model_type_beside(path)
  abort_seqlift("file",
    c(paste0("{.path {path}} is ", what, " (with the keys {.val {keys}} ...)."), i = advice,
      i = if (!is.null(type)) "{.file config.json} beside it calls the model {.val {type}}."
    ),
    call = call
  )
}

refuse_model_file <- function(path, kind, call) {
  what <- switch(kind,
    saved_model = c("is a folder of TensorFlow's (SavedModel), which needs TensorFlow itself.",
      i = "In Python, {.code tf.keras.models.load_model(folder).save(\"model.keras\")} writes what
           is read here."
    ),
    npz = c("is an archive of numpy's arrays: weights or sequences, but no model.",
      i = "The verb of its architecture, {.fn bpnet} for example, takes a named list of arrays."
    ),
    keras_part = c("holds the configuration of a Keras model, but no {.file model.weights.h5}.",
      i = "In Python, {.code model.save(\"model.keras\")} writes both."
    ),
    keras_index = c("is the index of a Keras model's weights, without its configuration.",
      i = paste(
        "{.code load_keras_model(path, json = )} takes it with the file of",
        "{.code model.to_json()}."
      )
    ),
    zip = c("is a zip archive without a model.",
      i = "TorchScript has {.file constants.pkl} in it, Keras {.file config.json} and
           {.file model.weights.h5}."
    ),
    lfs = c("is a pointer of Git LFS, which says where the file is, not the file itself.",
      i = "{.code git lfs pull} fetches it."
    ),
    page = c("is a web page, not a model: the download did not lead to the file.",
      i = "The address may need a password, or lead to a page about the file."
    ),
    gzip = c("is compressed (gzip).", i = "Give the file that {.code gunzip} makes of it."),
    TFL3 = c("is a model of TensorFlow Lite, which is not read.",
      i = "The model that it was made from is: Keras ({.file .keras}, {.file .h5}) or ONNX."
    ),
    ORTM = c("is a model in ONNX Runtime's own format, which is not read.",
      i = "The {.file .onnx} file that it was made from is."
    ),
    json = c("is JSON: a configuration, or an index of other files than weights, but no model.",
      i = paste(
        "The configuration of Keras goes with weights:",
        "{.code load_keras_model(weights, json = )}."
      )
    ),
    folder = c("is a folder, not a file.",
      i = "Give the path of the model's file in it."
    ),
    return(invisible())
  )
  what[1L] <- paste("{.path {path}}", what[1L])
  abort_seqlift("file", what, call = call)
}
