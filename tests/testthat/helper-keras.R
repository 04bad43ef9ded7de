# Small models of Keras, written as Keras 1, 2 and 3 write them, and plain loops that compute what
# their layers do.

skip_without_keras <- function() {
  skip_if_not_installed("rhdf5")
  skip_if_not_installed("callr")
  skip_if_not_installed("jsonlite")
}

# Weights are arrays of Keras's own shapes, by Keras 2's names (by Keras 1's for version 1). `from`:
# the layers whose outputs it takes, those of a model inside as "name:2"; NULL: the one before.
keras_layer <- function(class_name, name, ..., weights = list(), from = NULL, layers = NULL,
                        inputs = NULL, outputs = NULL) {
  list(
    class_name = class_name, name = name, options = list(...), weights = weights, from = from,
    layers = layers, inputs = inputs, outputs = outputs
  )
}

keras_conv <- function(name, weights, ..., kernel = dim(weights$kernel), from = NULL) {
  keras_layer("Conv1D", name,
    filters = kernel[3L], kernel_size = I(kernel[1L]), ..., use_bias = length(weights) > 1L,
    weights = weights, from = from
  )
}

# Numbers that are all different, between -1 and 1.
some_weights <- function(..., seed = 1) {
  shape <- c(...)
  array(sin(seed + 1.7 * seq_len(prod(shape)) + 0.1 * seq_len(prod(shape))^1.3), shape)
}

# `inputs`: shapes without the batch, by name. With more than one input, or a layer that has `from`,
# the model is functional. `level`: of compression. Returns the path.
write_keras <- function(layers, inputs = list(sequence = c(16L, 4L)), outputs = NULL, version = 2,
                        path = tempfile(fileext = ".h5"), bytes = 8L, config = TRUE,
                        backend = "tensorflow", keras_version = NULL, class_name = "Functional",
                        config_text = NULL, number = ":0", level = 0L) {
  functional <- length(inputs) > 1L || !is.null(outputs) ||
    any(vapply(layers, function(layer) !is.null(layer$from), NA))
  model <- if (functional) {
    functional_config(layers, inputs, outputs, version, "net", class_name)
  } else {
    sequential_config(layers, inputs[[1L]], version, "net")
  }
  rhdf5::h5createFile(path)
  file <- rhdf5::H5Fopen(path)
  text <- config_text %||% json_of(model)
  if (config) {
    write_attribute(text, file, "model_config")
    rhdf5::h5createGroup(file, "model_weights")
    root <- rhdf5::H5Gopen(file, "model_weights")
  } else {
    root <- file
  }
  if (is.null(keras_version)) keras_version <- c("1.2.2", "2.8.0", "3.3.3")[version]
  write_attribute(keras_version, file, "keras_version")
  if (!is.null(backend) && version > 1) write_attribute(backend, file, "backend")
  write_attribute(vapply(layers, `[[`, "", "name"), root, "layer_names")
  for (layer in layers) {
    write_layer_weights(root, layer, version, bytes, number, level)
  }
  rhdf5::h5closeAll()
  attr(path, "json") <- text
  path
}

json_of <- function(x) {
  as.character(jsonlite::toJSON(x, auto_unbox = TRUE, null = "null", digits = 17))
}

write_attribute <- function(value, at, name) rhdf5::h5writeAttribute(value, at, name)

write_layer_weights <- function(root, layer, version, bytes, number, level) {
  rhdf5::h5createGroup(root, layer$name)
  group <- rhdf5::H5Gopen(root, layer$name)
  names <- character(0)
  own <- function(layer, prefix) {
    for (weight in names(layer$weights)) {
      name <- if (grepl("/", weight, fixed = TRUE)) {
        paste0(layer$name, "/", weight, if (version < 3) ":0")
      } else {
        switch(version,
          paste0(layer$name, "_", weight, number), paste0(layer$name, "/", weight, ":0"),
          paste0(prefix, layer$name, "/", weight)
        )
      }
      names <<- c(names, name)
      folders <- strsplit(name, "/", fixed = TRUE)[[1L]]
      for (depth in seq_len(length(folders) - 1L)) {
        folder <- paste(folders[seq_len(depth)], collapse = "/")
        if (!rhdf5::H5Lexists(group, folder)) rhdf5::h5createGroup(group, folder)
      }
      value <- layer$weights[[weight]]
      value <- aperm(array(value, if (is.null(dim(value))) length(value) else dim(value)))
      suppressMessages(rhdf5::h5createDataset(group, name, dim(value),
        H5type = if (bytes == 8L) "H5T_IEEE_F64LE" else "H5T_IEEE_F32LE", level = level
      ))
      rhdf5::h5write(value, group, name)
    }
    for (inner in layer$layers) own(inner, paste0(prefix, layer$name, "/"))
  }
  own(layer, "")
  if (length(names) > 0L) write_attribute(names, group, "weight_names")
  rhdf5::H5Gclose(group)
}

dtype_of <- function(version) {
  if (version < 3) {
    return("float32")
  }
  list(
    module = "keras", class_name = "DTypePolicy", config = list(name = "float32"),
    registered_name = NULL
  )
}

layer_config <- function(layer, version, shape = NULL) {
  if (!is.null(layer$layers)) {
    return(layer_network(layer, version))
  }
  config <- c(list(name = layer$name, trainable = TRUE), layer$options)
  if (!is.null(shape)) config$batch_input_shape <- open_shape(shape)
  if (version > 1) config["dtype"] <- list(dtype_of(version))
  entry <- list(class_name = layer$class_name, config = config)
  if (version == 3) {
    entry <- c(
      entry,
      list(
        module = "keras.layers", registered_name = NULL,
        build_config = list(input_shape = list(NULL))
      )
    )
  }
  entry
}

layer_network <- function(layer, version) {
  if (layer$class_name == "Sequential") {
    sequential_config(layer$layers, layer$inputs[[1L]], version, layer$name)
  } else {
    functional_config(
      layer$layers, layer$inputs, layer$outputs, version, layer$name, layer$class_name
    )
  }
}

input_entry <- function(name, shape, version) {
  shape <- open_shape(shape)
  config <- c(stats::setNames(list(shape), if (version < 3) "batch_input_shape" else "batch_shape"),
    list(name = name, sparse = FALSE), dtype = "float32"
  )
  list(class_name = "InputLayer", config = config, name = name, inbound_nodes = list())
}

sequential_config <- function(layers, shape, version, name) {
  entries <- lapply(layers, layer_config, version = version)
  if (version < 3 && is.null(layers[[1L]]$layers)) {
    entries[[1L]] <- layer_config(layers[[1L]], version, shape)
  } else {
    input <- input_entry(paste0(name, "_input"), shape, version)
    entries <- c(list(input[c("class_name", "config")]), entries)
  }
  list(
    class_name = "Sequential",
    config = if (version == 1) entries else list(name = name, layers = entries)
  )
}

functional_config <- function(layers, inputs, outputs, version, name, class_name) {
  nested <- vapply(layers, function(layer) !is.null(layer$layers), NA)
  nested <- vapply(layers[nested], `[[`, "", "name")
  # A model inside was called once when it was made.
  reference <- function(text) {
    parts <- strsplit(text, ":", fixed = TRUE)[[1L]]
    list(parts[1L], if (parts[1L] %in% nested) 1L else 0L,
      if (length(parts) > 1L) as.integer(parts[2L]) - 1L else 0L)
  }
  before <- names(inputs)[1L]
  entries <- Map(input_entry, names(inputs), inputs, version)
  for (layer in layers) {
    from <- if (is.null(layer$from)) before else layer$from
    node <- if (version == 3) {
      tensors <- lapply(from, function(one) {
        list(
          class_name = "__keras_tensor__",
          config = list(shape = list(NULL), dtype = "float32", keras_history = reference(one))
        )
      })
      list(
        args = if (length(from) > 1L) list(tensors) else tensors,
        kwargs = structure(list(), names = character(0))
      )
    } else {
      lapply(from, function(one) {
        c(reference(one), if (version > 1) list(structure(list(), names = character(0))))
      })
    }
    entry <- layer_config(layer, version)
    entries <- c(entries, list(c(entry, list(name = layer$name, inbound_nodes = list(node)))))
    before <- layer$name
  }
  outputs <- if (is.null(outputs)) before else outputs
  list(class_name = class_name, config = list(
    name = name, layers = unname(entries),
    input_layers = lapply(unname(names(inputs)), function(one) list(one, 0L, 0L)),
    output_layers = lapply(outputs, reference)
  ))
}

# ---- what layers do, one sequence at a time: x is [L, C] --------------------------------------

# Rows of a matrix, or single numbers, of every sequence of X [n, 4, L].
for_each_sequence <- function(X, f) {
  values <- lapply(seq_len(dim(X)[1L]), function(i) f(t(X[i, , ])))
  size <- if (is.null(dim(values[[1L]]))) length(values[[1L]]) else dim(values[[1L]])
  aperm(array(unlist(values), c(size, length(values))), c(length(size) + 1L, seq_along(size)))
}

# TensorFlow's "same": how many zeros there are before.
zeros_before <- function(length, span, stride, padding) {
  out <- ceiling(length / stride)
  switch(padding,
    valid = 0, causal = span - 1,
    same = max((out - 1) * stride + span - length, 0) %/% 2
  )
}

positions_out <- function(length, span, stride, padding) {
  if (padding == "valid") (length - span) %/% stride + 1 else ceiling(length / stride)
}

loop_conv <- function(
  x, kernel, bias = NULL, stride = 1, dilation = 1, padding = "valid", groups = 1
) {
  size <- dim(kernel)
  span <- (size[1L] - 1) * dilation + 1
  out <- positions_out(nrow(x), span, stride, padding)
  before <- zeros_before(nrow(x), span, stride, padding)
  y <- matrix(0, out, size[3L])
  for (p in seq_len(out)) for (f in seq_len(size[3L])) {
    group <- (f - 1) %/% (size[3L] / groups)
    total <- if (is.null(bias)) 0 else bias[f]
    for (k in seq_len(size[1L])) {
      at <- (p - 1) * stride + (k - 1) * dilation - before + 1
      if (at >= 1 && at <= nrow(x)) {
        for (c in seq_len(size[2L])) {
          total <- total + x[at, group * size[2L] + c] * kernel[k, c, f]
        }
      }
    }
    y[p, f] <- total
  }
  y
}

loop_pool <- function(x, size, stride, padding, f) {
  out <- positions_out(nrow(x), size, stride, padding)
  before <- zeros_before(nrow(x), size, stride, padding)
  y <- matrix(0, out, ncol(x))
  for (p in seq_len(out)) {
    at <- (p - 1) * stride - before + seq_len(size)
    at <- at[at >= 1 & at <= nrow(x)]
    y[p, ] <- apply(x[at, , drop = FALSE], 2L, f)
  }
  y
}

loop_transposed <- function(x, kernel, bias, stride, padding) {
  size <- dim(kernel)
  full <- matrix(0, nrow(x) * stride + max(size[1L] - stride, 0), size[2L])
  for (p in seq_len(nrow(x))) for (k in seq_len(size[1L])) for (f in seq_len(size[2L])) {
    at <- (p - 1) * stride + k
    full[at, f] <- full[at, f] + sum(x[p, ] * kernel[k, f, ])
  }
  if (padding == "same") {
    full <- full[max(size[1L] - stride, 0) %/% 2 + seq_len(nrow(x) * stride), , drop = FALSE]
  }
  sweep(full, 2L, bias, "+")
}

loop_dense <- function(x, kernel, bias) {
  rows <- if (is.matrix(x)) x else t(x)
  y <- sweep(rows %*% kernel, 2L, bias, "+")
  if (is.matrix(x)) y else drop(y)
}

# Keras's flatten: position by position.
loop_flatten <- function(x) as.vector(t(x))

logistic <- function(x) 1 / (1 + exp(-x))
hard_sigmoid <- function(x) pmin(pmax(0.2 * x + 0.5, 0), 1)

loop_lstm <- function(x, kernel, recurrent, bias, gate = logistic, act = tanh, backwards = FALSE) {
  units <- nrow(recurrent)
  h <- cell <- numeric(units)
  rows <- if (backwards) rev(seq_len(nrow(x))) else seq_len(nrow(x))
  states <- matrix(0, 0, units)
  for (t in rows) {
    z <- drop(x[t, ] %*% kernel + h %*% recurrent) + bias
    part <- function(k) z[(k - 1) * units + seq_len(units)]
    cell <- gate(part(2)) * cell + gate(part(1)) * act(part(3))
    h <- gate(part(4)) * act(cell)
    states <- rbind(states, h, deparse.level = 0)
  }
  states
}

loop_gru <- function(x, kernel, recurrent, bias, gate = logistic, after = FALSE) {
  units <- nrow(recurrent)
  h <- numeric(units)
  bias <- rbind(if (after) bias else rbind(bias, 0 * bias))
  states <- matrix(0, 0, units)
  at <- function(k) (k - 1) * units + seq_len(units)
  for (t in seq_len(nrow(x))) {
    from_x <- drop(x[t, ] %*% kernel) + bias[1L, ]
    from_h <- drop(h %*% recurrent) + bias[2L, ]
    z <- gate(from_x[at(1)] + from_h[at(1)])
    r <- gate(from_x[at(2)] + from_h[at(2)])
    candidate <- if (after) {
      tanh(from_x[at(3)] + r * from_h[at(3)])
    } else {
      tanh(from_x[at(3)] + drop((r * h) %*% recurrent[, at(3)]))
    }
    h <- z * h + (1 - z) * candidate
    states <- rbind(states, h, deparse.level = 0)
  }
  states
}

expect_keras <- function(
  layers, expected, X = keras_sequences(), ..., args = NULL, tolerance = 1e-12
) {
  path <- write_keras(layers, ...)
  model <- read_in_process(load_keras_model(path))
  found <- predict(model, X, args = args)
  expected <- if (is.function(expected)) for_each_sequence(X, expected) else expected
  testthat::expect_equal(dim(found), dim(expected))
  testthat::expect_lt(max(abs(numbers_of(found) - expected)), tolerance)
  invisible(model)
}

# Sound files need no session of their own, which takes half a second.
read_in_process <- function(code) with_replaced("read_apart", function(read, path) read(path), code)

keras_sequences <- function(n = 2L, length = 16L) {
  unclass(random_one_hot(c(n, 4L, length), random_state = 3)) |> as.vector() |>
    array(c(n, 4L, length))
}

# With the batch, which is open as a length of NA is.
open_shape <- function(shape) {
  c(list(NULL), lapply(shape, function(one) if (is.na(one)) NULL else one))
}

# `lambda x: tf.math.reduce_logsumexp(x, axis=-1, keepdims=True)`, compiled by Python 3.11 and 3.8.
log_sum_exp_3_11 <- paste0(
  "4wEAAAAAAAAAAAAAAAUAAAADAAAA80YAAACXAHQAAAAAAAAAAAAAAGoBAAAAAAAAAACgAgAAAAAA\n",
  "AAAAAAAAAAAAAAAAAAAAfABkAWQCrAOmAwAAqwMAAAAAAAAAAFMAKQRO6f////9UKQLaBGF4aXPa\n",
  "CGtlZXBkaW1zKQPaAnRm2gRtYXRo2hByZWR1Y2VfbG9nc3VtZXhwKQHaAXhzAQAAACD6CG1vZGVs\n",
  "LnB5+gg8bGFtYmRhPnIKAAAAAQAAAHMdAAAAgACNYoxn1w4m0g4moHGocrhE0A4m0Q5B1A5BgADz\n",
  "AAAAAA==\n"
)
log_sum_exp_3_8 <- local({
  bytes <- c(
    as.raw(0xe3), as.raw(c(1, 0, 0, 0, rep(0, 12), 1, 0, 0, 0)), as.raw(c(6, 0, 0, 0)),
    as.raw(0x73), as.raw(c(18, 0, 0, 0)),
    as.raw(c(0x74, 0, 0x6a, 1, 0x6a, 2, 0x7c, 0, 0x64, 1, 0x64, 2, 0x64, 3, 0x8d, 3, 0x53, 0)),
    as.raw(c(0x29, 4, 0x4e, 0xe9, 0xff, 0xff, 0xff, 0xff, 0x54, 0x29, 2, 0xda, 4)),
    charToRaw("axis"), as.raw(c(0xda, 8)), charToRaw("keepdims"),
    as.raw(c(0x29, 3, 0xda, 2)), charToRaw("tf"), as.raw(c(0xda, 4)), charToRaw("math"),
    as.raw(c(0xda, 16)), charToRaw("reduce_logsumexp")
  )
  jsonlite::base64_enc(bytes)
})

# ---- damaged files ----

outcome_of_file <- function(path) {
  tryCatch(
    {
      seqlift::load_keras_model(path)
      "model"
    },
    error = function(error) class(error)[1L]
  )
}

# What becomes of file after file, `damage(i)` the bytes of each, read in one session, where each
# takes a twentieth of the time: the class of its error, "model", or "died" where it ended the
# session (then the next one goes on).
read_damaged <- function(damage, n) {
  classes <- character(0)
  log <- tempfile()
  while (length(classes) < n) {
    try(silent = TRUE, in_new_session(function(damage, from, n, log, outcome, with_replaced) {
      options(seqlift.engine = "process")
      with_replaced("read_apart", function(read, path) read(path), for (i in from:n) {
        # Of a name that is open still the library would give what it knows.
        file <- tempfile(fileext = ".h5")
        writeBin(damage(i), file)
        cat(outcome(file), "\n", file = log, append = TRUE)
        rhdf5::h5closeAll()
        unlink(file)
      })
    }, list(damage, length(classes) + 1L, n, log, outcome_of_file, with_replaced)))
    classes <- scan(log, "", quiet = TRUE)
    if (length(classes) < n) {
      cat("died\n", file = log, append = TRUE)
      classes <- c(classes, "died")
    }
  }
  classes
}

# A zip archive of members that are not compressed, with their checksums. `members`: named list of
# raw vectors. Of base functions alone, as it is sent to another session.
zip_of <- function(members) {
  little_endian <- function(number, size) as.raw(number %/% 256^(seq_len(size) - 1) %% 256)
  # A gzip file ends in the checksum and the length of what it holds.
  checksum <- function(bytes) {
    path <- tempfile()
    on.exit(unlink(path))
    connection <- gzfile(path, "wb")
    writeBin(bytes, connection)
    close(connection)
    gzipped <- readBin(path, "raw", file.size(path))
    gzipped[length(gzipped) - 7:4]
  }
  body <- central <- raw()
  for (name in names(members)) {
    bytes <- members[[name]]
    text <- charToRaw(name)
    sizes <- rep(little_endian(length(bytes), 4L), 2L)
    # Version, flags, method, time and date; checksum and sizes; lengths of the name and of nothing
    # more.
    entry <- c(
      little_endian(20, 2L), raw(8L), checksum(bytes), sizes, little_endian(length(text), 2L),
      raw(2L)
    )
    central <- c(
      central, charToRaw("PK"), as.raw(1:2), little_endian(20, 2L), entry, raw(10L),
      little_endian(length(body), 4L), text
    )
    body <- c(body, charToRaw("PK"), as.raw(3:4), entry, text, bytes)
  }
  number <- little_endian(length(members), 2L)
  c(
    body, central, charToRaw("PK"), as.raw(5:6), raw(4L), number, number,
    little_endian(length(central), 4L), little_endian(length(body), 4L), raw(2L)
  )
}
