# One network in every form that is opened (tests/models/export_models.py, make_formats.py; Keras's
# are written here): the same predictions, the same attributions.

formats <- list(
  TorchScript = function() load_model(format_path("bpnet.pt")),
  torch.export = function() load_model(format_path("bpnet.pt2")),
  `state dict` = function() bpnet(format_path("bpnet.pth"), trimming = 1),
  safetensors = function() bpnet(format_path("bpnet.safetensors"), trimming = 1),
  ONNX = function() load_model(format_path("bpnet.onnx")),
  `whole model` = function() load_model(test_path("formats", "bpnet.torch")),
  `checkpoint of Lightning` = function() {
    suppressMessages(bpnet(test_path("formats", "lightning.ckpt"), trimming = 1))
  },
  `safetensors in several files` = function() bpnet(test_path("formats", "sharded"), trimming = 1),
  `torch.save() in several files` = function() bpnet(test_path("formats", "pytorch"), trimming = 1)
)

format_path <- function(file) system.file("extdata", "formats", file, package = "seqlift")

format_sequences <- c("ACGTTGCATTAGCAGT", "TTTACGGATCCAGGCA", "GATTACAGATTACAGA")
format_control <- aperm(array((seq_len(3 * 2 * 16) - 1) %% 5, c(16, 2, 3)))

test_that("one network is the same model from every file", {
  X <- format_sequences
  control <- format_control
  seen <- lapply(formats, function(load) {
    model <- load()
    counts <- with_args(select_output(model, 2L), list(control))
    explained <- deep_lift_shap(counts, X, n_shuffles = 4L, random_state = 0L, dtype = "float64")
    list(
      predicted = unname(predict(model, X, args = list(control), dtype = "float64")),
      explained = explained, deltas = convergence_deltas(explained),
      profile = deep_lift_shap(profile_score(model), X,
        args = list(control), n_shuffles = 4L, random_state = 0L, dtype = "float64"
      ),
      classes = model$info$module_classes
    )
  })
  for (name in names(formats)[-1L]) {
    for (output in 1:2) {
      expect_equal(seen[[name]]$predicted[[output]], seen$TorchScript$predicted[[output]],
        tolerance = 1e-13, label = name
      )
    }
    expect_lt(largest_difference(seen[[name]]$explained, seen$TorchScript$explained), 1e-12)
    expect_lt(largest_difference(seen[[name]]$profile, seen$TorchScript$profile), 1e-12)
    expect_lt(max(abs(seen[[name]]$deltas)), 1e-12)
  }
  # Which the module classes of PyTorch are known by, too.
  for (name in names(formats)) {
    expect_equal(sum(seen[[name]]$classes == "torch.nn.modules.conv.Conv1d"), 4L)
  }
})

# The network as Keras has it: list(layers, edit), for edited_keras().
bpnet_of_keras <- function() {
  dict <- as.list(read_state_dict(format_path("bpnet.pth")))
  convolution <- function(name, key, from, ...) {
    keras_conv(name,
      list(
        kernel = aperm(dict[[paste0(key, ".weight")]], 3:1),
        bias = as.vector(dict[[paste0(key, ".bias")]])
      ),
      from = from, ...
    )
  }
  sum_of <- function(name, ...) keras_layer("Add", name, from = c(...))
  list(
    convolution("iconv", "iconv", "sequence", padding = "same", activation = "relu"),
    convolution("r1", "rconvs.0", "iconv",
      padding = "same", activation = "relu", dilation_rate = I(2L)
    ),
    sum_of("h1", "iconv", "r1"),
    convolution("r2", "rconvs.1", "h1",
      padding = "same", activation = "relu", dilation_rate = I(4L)
    ),
    sum_of("h2", "h1", "r2"),
    keras_layer("Concatenate", "both", axis = -1L, from = c("h2", "control")),
    convolution("profile", "fconv", "both", padding = "valid"),
    keras_layer("GlobalAveragePooling1D", "pooled", from = "h2"),
    keras_layer("Concatenate", "joined", axis = -1L, from = c("pooled", "total")),
    keras_layer("Dense", "counts", units = 1L, from = "joined", weights = list(
      kernel = t(dict$linear.weight), bias = as.vector(dict$linear.bias)
    ))
  )
}

# log(1 + the sum of the control track), between the layers.
total_of_control <- function(entries) {
  tensor <- function(name) {
    list(class_name = "__keras_tensor__", config = list(
      shape = list(NULL), dtype = "float32", keras_history = list(name, 0L, 0L)
    ))
  }
  operation <- function(class_name, name, from, kwargs = stats::setNames(list(), character())) {
    list(
      module = "keras.src.ops.numpy", class_name = class_name, config = list(name = name),
      name = name, inbound_nodes = list(list(args = list(tensor(from)), kwargs = kwargs))
    )
  }
  c(entries, list(
    operation("Sum", "sum", "control", list(axis = list(1L, 2L), keepdims = FALSE)),
    operation("Log1p", "log", "sum"), operation("ExpandDims", "total", "log", list(axis = -1L))
  ))
}

# list(HDF5, archive, `weights alone`, `weights in several files`): functions that load each.
keras_formats <- function() {
  layers <- bpnet_of_keras()
  inputs <- list(sequence = c(16L, 4L), control = c(16L, 2L))
  plain <- write_keras(layers, inputs, c("profile", "counts"), version = 3, bytes = 4L)
  config <- jsonlite::fromJSON(attr(plain, "json"), simplifyVector = FALSE)
  config$config$layers <- total_of_control(config$config$layers)
  text <- json_of(config)
  hdf5 <- write_keras(layers, inputs, c("profile", "counts"),
    version = 3, bytes = 4L, config_text = text
  )
  # An archive counts its layers by their classes.
  folder <- tempfile("shards-")
  dir.create(folder)
  with_weights <- Filter(function(layer) length(layer$weights) > 0L, layers)
  units <- c("conv1d", "conv1d_1", "conv1d_2", "conv1d_3", "dense")
  write_archived <- function(file, at) {
    path <- file.path(folder, file)
    rhdf5::h5createFile(path)
    rhdf5::h5createGroup(path, "layers")
    for (i in at) {
      group <- paste0("layers/", units[i])
      rhdf5::h5createGroup(path, group)
      rhdf5::h5createGroup(path, paste0(group, "/vars"))
      for (k in seq_along(with_weights[[i]]$weights)) {
        value <- with_weights[[i]]$weights[[k]]
        value <- aperm(array(value, if (is.null(dim(value))) length(value) else dim(value)))
        name <- paste0(group, "/vars/", k - 1L)
        rhdf5::h5createDataset(path, name, dim(value), H5type = "H5T_IEEE_F32LE", level = 0L)
        rhdf5::h5write(value, path, name)
      }
    }
    rhdf5::h5closeAll()
    path
  }
  bytes_of <- function(path) readBin(path, "raw", file.size(path))
  weights <- suppressMessages(write_archived("model.weights.h5", 1:5))
  archive <- file.path(folder, "model.keras")
  writeBin(zip_of(list(
    metadata.json = charToRaw("{\"keras_version\": \"3.9.2\"}"), config.json = charToRaw(text),
    model.weights.h5 = bytes_of(weights)
  )), archive)
  json <- file.path(folder, "model.json")
  writeLines(text, json)
  suppressMessages({
    write_archived("model_00000.weights.h5", 1:2)
    write_archived("model_00001.weights.h5", 3:5)
  })
  places <- paste0("/layers/", units, "/vars")
  index <- file.path(folder, "model.weights.json")
  writeLines(json_of(list(
    metadata = list(total_size = 1L),
    weight_map = stats::setNames(
      as.list(sprintf("model_%05d.weights.h5", c(0, 0, 1, 1, 1))), places
    )
  )), index)
  list(
    `Keras HDF5` = function() load_model(hdf5), `Keras archive` = function() load_model(archive),
    `Keras weights alone` = function() load_keras_model(weights, json),
    `Keras weights in several files` = function() load_keras_model(index, json)
  )
}

test_that("one network is the same model from every file of Keras", {
  skip_without_keras()
  script <- load_model(format_path("bpnet.pt"))
  explain <- function(model, control) {
    counts <- with_args(select_output(model, 2L), list(control))
    deep_lift_shap(counts, format_sequences, n_shuffles = 4L, random_state = 0L, dtype = "float64")
  }
  expected <- predict(script, format_sequences, args = list(format_control), dtype = "float64")
  explained <- explain(script, format_control)
  control <- aperm(format_control, c(1L, 3L, 2L)) # as Keras has it
  loads <- keras_formats()
  for (name in names(loads)) {
    model <- read_in_process(loads[[name]]())
    found <- predict(model, format_sequences, args = list(control), dtype = "float64")
    expect_named(found, c("profile", "counts"))
    profile <- aperm(numbers_of(found$profile), c(1L, 3L, 2L))
    expect_lt(max(abs(profile - numbers_of(expected[[1L]]))), 1e-12, label = name)
    expect_lt(max(abs(numbers_of(found$counts) - numbers_of(expected[[2L]]))), 1e-12, label = name)
    expect_lt(largest_difference(explain(model, control), explained), 1e-12, label = name)
  }
  # Weights without their configuration say which call takes them.
  index <- file.path(dirname(environment(loads[[3L]])$json), "model.weights.json")
  for (load in list(load_model, load_keras_model)) {
    error <- expect_error(load(index), class = "seqlift_error_file")
    expect_match(gsub("\\s+", " ", conditionMessage(error)), "json", fixed = TRUE)
  }
  unlink(file.path(dirname(index), "model_00001.weights.h5"))
  error <- expect_error(read_in_process(loads[[4L]]()), class = "seqlift_error_file")
  expect_match(conditionMessage(error), "model_00001", fixed = TRUE)
})

test_that("a model made from a file has the same content hash in every session, and saved twice", {
  # Those of the package, which every session has.
  formats <- formats[c("TorchScript", "torch.export", "state dict", "safetensors", "ONNX")]
  here <- lapply(formats, function(load) load()$hash)
  expect_length(unique(c(here, lapply(formats, function(load) load()$hash))), length(unique(here)))
  average <- function() reverse_complement_average(load_model(format_path("bpnet.pt2")))
  there <- in_new_session(function(format_path, formats, average) {
    library(seqlift)
    list(alone = lapply(formats, function(load) load()$hash), average = average()$hash)
  }, list(format_path, formats, average))
  expect_identical(there, list(alone = here, average = average()$hash))
  files <- tempfile(c("first", "second"), fileext = ".pt")
  for (file in files) {
    save_model(select_output(load_model(format_path("bpnet.pt")), 2L), file)
  }
  expect_length(unique(unname(tools::md5sum(files))), 1L)
})
