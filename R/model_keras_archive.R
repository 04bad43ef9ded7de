# Keras's own archive (.keras): a zip of config.json, metadata.json and model.weights.h5, whose HDF5
# file has the weights in groups by the classes of layers. Which belong to which layer is the
# engine's to find (src/core/import/keras/archive.cpp).

# list(config, keras_version, backend, dtype, layers), as the engine takes it: one layer "" of all
# weights by their paths.
read_keras_archive <- function(path, json, call) {
  refuse <- function(problem, hint = NULL) {
    abort_seqlift("file", c(paste0("The file {.path {path}} ", problem, "."), i = hint),
      call = call
    )
  }
  packed <- !dir.exists(path)
  folder <- path
  if (packed) {
    folder <- tempfile("seqlift-keras-")
    dir.create(folder)
    on.exit(unlink(folder, recursive = TRUE))
    # A configuration that is given takes the place of the archive's.
    wanted <- c("model.weights.h5", "metadata.json", if (is.null(json)) "config.json")
    names <- call_engine("archive_members", path, wanted, folder, call = call)
  } else {
    names <- list.files(path)
  }
  if (!"config.json" %in% names) {
    refuse("is no archive of Keras: it has no {.path config.json}")
  }
  if (!"model.weights.h5" %in% names) {
    refuse("has no {.path model.weights.h5}",
      "Weights in numpy's format are not read: in Python,
       {.code keras.models.load_model(path).save(\"model.keras\")} writes what is."
    )
  }
  member <- function(name) check_file(file.path(folder, name), call = call)
  weights <- member("model.weights.h5")
  found <- read_keras_apart(read_keras_paths, weights, path, call)
  if (is.null(found)) {
    refuse("is damaged: its {.path model.weights.h5} is no HDF5 file")
  }
  if (found$too_large) {
    refuse("declares weights that are much larger than the file itself")
  }
  config <- if (is.null(json)) {
    read_json_file(member("config.json"), call)
  } else {
    read_json_file(path.expand(json), call)
  }
  version <- if ("metadata.json" %in% names) {
    text <- read_json_file(member("metadata.json"), call)
    sub('^.*"keras_version"\\s*:\\s*"([^"]*)".*$', "\\1", gsub("[\r\n]", " ", text))
  }
  list(
    config = config, keras_version = if (is_version(version)) version else "3", backend = "",
    dtype = found$dtype, layers = list(list(name = "", weights = found$weights))
  )
}

is_version <- function(text) !is.null(text) && grepl("^[0-9]+[.][0-9]+", text)

# Every data set "group/vars/number", wherever it is.
read_keras_paths <- function(path) {
  if (!isTRUE(suppressMessages(rhdf5::H5Fis_hdf5(path, showWarnings = FALSE)))) {
    return(NULL)
  }
  file <- open_h5_file(path)
  on.exit(rhdf5::H5Fclose(file))
  listed <- rhdf5::h5ls(file, datasetinfo = FALSE)
  listed <- listed[listed$otype == "H5I_DATASET" & grepl("(^|/)vars$", listed$group), ]
  paths <- sub("^/", "", paste0(listed$group, "/", listed$name))
  # Variables of an optimizer and states of random generators are no part of the model.
  paths <- paths[grepl("^(layers|_layer_checkpoint_dependencies)/", paths) &
    !grepl("/seed_generator/", paths, fixed = TRUE)]
  room <- max(100 * file.size(path), 2^26)
  bytes <- 4L
  weights <- list()
  for (one in paths) {
    data <- open_h5_data(file, one, path)
    shape <- data_shape(data)
    room <- room - shape$bytes * max(prod(shape$size), prod(shape$chunk))
    if (room < 0) {
      rhdf5::H5Dclose(data)
      break
    }
    bytes <- max(bytes, shape$bytes)
    weights[[one]] <- as_doubles(rhdf5::H5Dread(data))
    rhdf5::H5Dclose(data)
  }
  list(weights = weights, too_large = room < 0, dtype = if (bytes > 4L) "float64" else "float32")
}

# The index of weights in several files, as Keras 3.10 and later write it: which file holds which.
is_keras_index <- function(path) {
  is_weight_index(path) && length(keras_shard_names(path)) > 0L
}

# Names alone, which lead into no other folder.
keras_shard_names <- function(path) {
  bytes <- readBin(path, "raw", file.size(path))
  text <- rawToChar(bytes[bytes != 0L])
  names <- regmatches(text, gregexpr('"[^"/\\\\]+[.]weights[.]h5"', text, useBytes = TRUE))[[1L]]
  unique(substr(names, 2L, nchar(names) - 1L))
}

read_keras_shards <- function(path, config, call) {
  refuse <- function(problem, hint = NULL) {
    abort_seqlift("file", c(paste0("The file {.path {path}} ", problem, "."), i = hint),
      call = call
    )
  }
  if (is.null(config)) {
    refuse("names the files of a model's weights, without a configuration",
      "Give the file of {.code model.to_json()} in {.arg json}."
    )
  }
  found <- lapply(file.path(dirname(path), keras_shard_names(path)), function(shard) {
    found <- read_keras_apart(read_keras_paths, check_file(shard, call = call), shard, call)
    if (is.null(found)) {
      refuse(escape_braces(paste0("names ", basename(shard), ", which is no HDF5 file")))
    }
    if (found$too_large) {
      refuse("names weights that are much larger than their file")
    }
    found
  })
  weights <- do.call(c, lapply(found, `[[`, "weights"))
  if (anyDuplicated(names(weights)) > 0L) {
    refuse("names files that have a weight twice")
  }
  wide <- any(vapply(found, function(one) one$dtype == "float64", NA))
  list(
    config = config, keras_version = "3", backend = "", dtype = if (wide) "float64" else "float32",
    layers = list(list(name = "", weights = weights))
  )
}
