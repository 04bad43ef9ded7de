# Whole files: the three dialects, models inside models, inputs and outputs with names, weights
# alone, and files that are wrong.

kernel <- function(...) some_weights(3, 4, 6, ...)
head_weights <- list(kernel = some_weights(6, 2), bias = some_weights(2))
conv_weights <- list(kernel = kernel(), bias = some_weights(6))

small_layers <- function(from = NULL) {
  list(
    keras_conv("conv.1", conv_weights, activation = "relu", from = from),
    keras_layer("GlobalMaxPooling1D", "top"),
    keras_layer("Dense", "head", units = 2L, activation = "linear", weights = head_weights)
  )
}

small_expected <- function(x) {
  loop_dense(
    apply(pmax(loop_conv(x, conv_weights$kernel, conv_weights$bias), 0), 2L, max),
    head_weights$kernel, head_weights$bias
  )
}

# The same as Keras 1 has it.
old_layers <- function(kernel = array(conv_weights$kernel, c(3, 1, 4, 6))) {
  list(
    keras_layer("Convolution1D", "conv", nb_filter = 6L, filter_length = 3L,
      init = "glorot_uniform", border_mode = "valid",
      subsample_length = 1L, activation = "relu", bias = TRUE, input_dim = 4L, input_length = 16L,
      W_regularizer = NULL,
      weights = list(W = kernel, b = conv_weights$bias)),
    keras_layer("Dropout", "drop", p = 0.2),
    keras_layer("GlobalMaxPooling1D", "top"),
    keras_layer("Dense", "head", output_dim = 2L, init = "glorot_uniform", activation = "linear",
      bias = TRUE, input_dim = 6L,
      weights = list(W = head_weights$kernel, b = head_weights$bias))
  )
}

test_that("one model in three dialects, as a chain and as a graph, is one model", {
  skip_without_keras()
  expect_keras(old_layers(), small_expected, version = 1)
  # Before 1.2 a kernel was [out, in, width, 1].
  expect_keras(
    old_layers(array(aperm(conv_weights$kernel, c(3, 2, 1)), c(6, 4, 3, 1))), small_expected,
    version = 1
  )
  for (version in 2:3) {
    expect_keras(small_layers(), small_expected, version = version)
    expect_keras(small_layers(from = "sequence"), small_expected, version = version)
  }
  old <- old_layers()
  old[[1L]]$from <- "sequence"
  expect_keras(old, small_expected, version = 1)
  expect_keras(small_layers(), small_expected, inputs = list(sequence = c(NA, 4L)))
  single <- load_keras_model(write_keras(small_layers(), bytes = 4L))
  expect_equal(single$info$dtype, "Float")
  expect_equal(load_keras_model(write_keras(small_layers()))$info$dtype, "Double")
})

test_that("Keras 1's merges, gates of recurrent layers and normalisation are read", {
  skip_without_keras()
  expect_keras(
    list(
      keras_layer(
        "Convolution1D", "a", nb_filter = 6L, filter_length = 3L, border_mode = "same",
        weights = list(W = array(kernel(), c(3, 1, 4, 6)), b = conv_weights$bias), from = "sequence"
      ),
      keras_layer(
        "Convolution1D", "b", nb_filter = 6L, filter_length = 3L, border_mode = "same",
        weights = list(W = array(kernel(seed = 4), c(3, 1, 4, 6)), b = conv_weights$bias),
        from = "sequence"
      ),
      keras_layer("Merge", "join", mode = "concat", concat_axis = -1L, from = c("a", "b")),
      keras_layer("MaxPooling1D", "pool", pool_length = 4L, stride = 2L, border_mode = "valid")
    ),
    function(x) {
      one <- loop_conv(x, kernel(), conv_weights$bias, padding = "same")
      loop_pool(
        cbind(one, loop_conv(x, kernel(seed = 4), conv_weights$bias, padding = "same")), 4, 2,
        "valid", max
      )
    },
    version = 1
  )
  w <- list()
  for (gate in c("i", "c", "f", "o")) {
    seed <- match(gate, c("i", "f", "c", "o"))
    w[paste0(c("W_", "U_", "b_"), gate)] <- list(
      some_weights(4, 5, seed = seed), some_weights(5, 5, seed = seed + 9),
      some_weights(5, seed = seed + 20)
    )
  }
  join <- function(f) do.call(cbind, lapply(1:4, f))
  expect_keras(
    list(keras_layer(
      "LSTM", "r", output_dim = 5L, activation = "tanh", inner_activation = "hard_sigmoid",
      inner_init = "orthogonal", forget_bias_init = "one", consume_less = "cpu",
      return_sequences = TRUE, weights = w
    )),
    function(x) loop_lstm(x, join(function(i) some_weights(4, 5, seed = i)),
      join(function(i) some_weights(5, 5, seed = i + 9)),
      as.vector(join(function(i) some_weights(5, seed = i + 20))), gate = hard_sigmoid),
    version = 1
  )
})

test_that("Theano's kernels are turned round", {
  skip_without_keras()
  turned <- conv_weights$kernel[3:1, , ]
  layers <- small_layers()
  layers[[1L]]$weights$kernel <- turned
  expect_keras(layers, small_expected, backend = "theano")
  # Without TensorFlow's ":0" in the names it is Theano that wrote them.
  path <- write_keras(old_layers(array(turned, c(3, 1, 4, 6))), version = 1, number = "")
  expect_message(model <- load_keras_model(path), class = "seqlift_message_theano")
  X <- keras_sequences()
  expect_equal(
    numbers_of(predict(model, X)), for_each_sequence(X, small_expected), tolerance = 1e-12
  )
})

# ChromBPNet in small: two models of a profile and log counts inside one, the profiles added, the
# counts joined by the logarithm of their exponentials' sum.
profile_model <- function(name, prefix, seed) {
  own <- function(...) paste0(prefix, ...)
  w <- function(..., s = 0) some_weights(..., seed = seed + s)
  keras_layer("Functional", name,
    layers = list(
      keras_conv(own("1st_conv"), list(kernel = w(3, 4, 4), bias = w(4)), activation = "relu"),
      keras_conv(
        own("1conv"), list(kernel = w(3, 4, 4, s = 1), bias = w(4, s = 1)), dilation_rate = I(2L),
        activation = "relu"
      ),
      keras_layer("Cropping1D", own("1crop"), cropping = I(c(2L, 2L)), from = own("1st_conv")),
      keras_layer("Add", own("add"), from = c(own("1conv"), own("1crop"))),
      keras_conv(own("prof"), list(kernel = w(3, 4, 1, s = 2), bias = w(1, s = 2))),
      keras_layer("Cropping1D", own("pre"), cropping = I(c(1L, 1L))),
      keras_layer("Flatten", own("logits"), data_format = "channels_last"),
      keras_layer(
        "GlobalAveragePooling1D", own("gap"), data_format = "channels_last", from = own("add")
      ),
      keras_layer(
        "Dense", own("logcounts"), units = 1L,
        weights = list(kernel = w(4, 1, s = 3), bias = w(1, s = 3))
      )
    ),
    inputs = list(sequence = c(16L, 4L)), outputs = c(own("logits"), own("logcounts")),
    from = "sequence"
  )
}

profile_expected <- function(x, seed) {
  w <- function(..., s = 0) some_weights(..., seed = seed + s)
  h <- pmax(loop_conv(x, w(3, 4, 4), w(4)), 0)
  h <- pmax(loop_conv(h, w(3, 4, 4, s = 1), w(4, s = 1), dilation = 2), 0) + h[3:12, ]
  profile <- loop_conv(h, w(3, 4, 1, s = 2), w(1, s = 2))
  list(profile = profile[2:7, ], counts = sum(colMeans(h) * w(4, 1, s = 3)) + w(1, s = 3))
}

chrombpnet_layers <- function(code = log_sum_exp_3_11, version = 2) {
  code <- if (version == 3) {
    list(class_name = "__lambda__", config = list(code = code, defaults = NULL, closure = NULL))
  } else {
    list(code, NULL, NULL)
  }
  list(
    profile_model("bias", "bpnet_", 1), profile_model("model_wo_bias", "wo_bias_bpnet_", 30),
    keras_layer("Concatenate", "concatenate", axis = -1L, from = c("model_wo_bias:2", "bias:2")),
    keras_layer("Add", "logits_profile_predictions", from = c("model_wo_bias:1", "bias:1")),
    keras_layer("Lambda", "logcount_predictions", `function` = code, function_type = "lambda",
      module = "chrombpnet",
      output_shape = NULL, output_shape_type = "raw",
      arguments = structure(list(), names = character(0)), from = "concatenate")
  )
}

test_that("ChromBPNet comes with its bias model, and its outputs with their names", {
  skip_without_keras()
  X <- keras_sequences(3L)
  expected <- function(part) for_each_sequence(X, function(x) {
    both <- list(profile_expected(x, 30), profile_expected(x, 1))
    if (part == 1) {
      both[[1L]]$profile + both[[2L]]$profile
    } else {
      log(exp(both[[1L]]$counts) + exp(both[[2L]]$counts))
    }
  })
  for (version in 2:3) {
    for (code in c(log_sum_exp_3_8, log_sum_exp_3_11)) {
      path <- write_keras(
        chrombpnet_layers(code, version),
        outputs = c("logits_profile_predictions", "logcount_predictions"), version = version
      )
      model <- load_keras_model(path)
      found <- predict(model, X)
      expect_named(found, c("logits_profile_predictions", "logcount_predictions"))
      expect_equal(numbers_of(found[[1L]]), expected(1), tolerance = 1e-12)
      expect_equal(numbers_of(found[[2L]]), array(expected(2), c(3, 1)), tolerance = 1e-12)
    }
  }
  # The names stay with what is made of it, and with its file.
  path <- tempfile(fileext = ".pt")
  made_of_it <- list(
    model, with_args(model, list()), reverse_complement_average(model), ensemble(model, model)
  )
  for (made in made_of_it) {
    expect_named(predict(made, X), names(found))
    expect_named(predict(load_model(save_model(made, path)), X), names(found))
    unlink(path)
  }
  for (score in list(profile_score(model), select_output(model, 2))) {
    attributions <- deep_lift_shap(score, X, n_shuffles = 4L, random_state = 0)
    expect_lt(max(abs(convergence_deltas(attributions))), 1e-10)
  }
  expect_true("model_wo_bias.wo_bias_bpnet_1conv.activation" %in% model$info$modules)
})

test_that("BPNet's control tracks keep their names and their order of dimensions", {
  skip_without_keras()
  w <- list(kernel = some_weights(1, 8, 2), bias = some_weights(2))
  layers <- list(
    keras_conv("conv", conv_weights, padding = "same", from = "sequence"),
    keras_layer("Concatenate", "with_control", axis = -1L, from = c("conv", "profile_bias")),
    keras_conv("profile", w)
  )
  X <- keras_sequences()
  control <- array(some_weights(2 * 16 * 2), c(2, 16, 2))
  expected <- aperm(array(vapply(1:2, function(i) {
    h <- cbind(
      loop_conv(t(X[i, , ]), conv_weights$kernel, conv_weights$bias, padding = "same"),
      control[i, , ]
    )
    loop_conv(h, w$kernel, w$bias)
  }, matrix(0, 16, 2)), c(16, 2, 2)), c(3, 1, 2))
  # The sequences come first, whatever Keras has.
  shapes <- list(sequence = c(16L, 4L), profile_bias = c(16L, 2L))
  for (inputs in list(shapes, rev(shapes))) {
    model <- load_keras_model(write_keras(layers, inputs = inputs, class_name = "CustomModel"))
    expect_equal(model$info$arguments, c("sequence", "profile_bias"))
    expect_equal(numbers_of(predict(model, X, args = list(control))), expected, tolerance = 1e-12)
  }
})

test_that("deltas vanish in float64 through every kind of layer", {
  skip_without_keras()
  layers <- list(
    keras_conv(
      "a", list(kernel = some_weights(3, 4, 6), bias = some_weights(6)), padding = "same",
      strides = I(2L), activation = "elu"
    ),
    keras_layer(
      "BatchNormalization", "bn", axis = -1L, epsilon = 0.001,
      weights = list(
        gamma = some_weights(6), beta = some_weights(6), moving_mean = some_weights(6),
        moving_variance = some_weights(6)^2
      )
    ),
    keras_layer("MaxPooling1D", "max", pool_size = 2L, strides = 1L, padding = "same"),
    keras_layer("PReLU", "prelu", weights = list(alpha = some_weights(8, 6))),
    keras_layer("GRU", "gru", units = 3L, activation = "tanh",
      recurrent_activation = "hard_sigmoid", return_sequences = TRUE,
      weights = list(
        kernel = some_weights(6, 9), recurrent_kernel = some_weights(3, 9), bias = some_weights(9)
      )),
    keras_layer("Activation", "soft", activation = "softmax"),
    keras_layer("AveragePooling1D", "mean", pool_size = 3L, strides = 2L, padding = "same"),
    keras_layer("Bidirectional", "bi", merge_mode = "concat",
      layer = list(
        class_name = "LSTM",
        config = list(
          name = "lstm", units = 2L, activation = "tanh", recurrent_activation = "sigmoid"
        )
      ),
      weights = stats::setNames(
        rep(list(some_weights(3, 8), some_weights(2, 8), some_weights(8)), 2L),
        paste0(
          rep(c("forward", "backward"), each = 3L), "_lstm/",
          c("kernel", "recurrent_kernel", "bias")
        )
      )),
    keras_layer(
      "Dense", "head", units = 2L, activation = "softplus",
      weights = list(kernel = some_weights(4, 2), bias = some_weights(2))
    )
  )
  model <- load_keras_model(write_keras(layers))
  for (target in 1:2) {
    attributions <- deep_lift_shap(
      model, keras_sequences(3L), target = target, n_shuffles = 4L, random_state = 1
    )
    expect_lt(max(abs(convergence_deltas(attributions))), 1e-10)
    expect_gt(max(abs(numbers_of(attributions))), 1e-4)
  }
})

test_that("weights alone need the configuration, and take it from its file", {
  skip_without_keras()
  path <- write_keras(small_layers(), config = FALSE)
  expect_error(load_keras_model(path), class = "seqlift_error_file")
  json <- tempfile(fileext = ".json")
  writeLines(attr(path, "json"), json)
  X <- keras_sequences()
  expect_equal(
    numbers_of(predict(load_keras_model(path, json), X)), for_each_sequence(X, small_expected),
    tolerance = 1e-12
  )
  writeLines("{ not json", json)
  expect_error(load_keras_model(path, json), class = "seqlift_error_file")
  expect_error(load_keras_model(path, tempfile()), class = "seqlift_error_file")
})

test_that("what is not understood is named, and every weight that is wrong", {
  skip_without_keras()
  message_of <- function(layers, ...) {
    error <- tryCatch(load_keras_model(write_keras(layers, ...)), error = identity)
    expect_s3_class(error, "seqlift_error_model")
    conditionMessage(error)
  }
  with_layer <- function(...) c(small_layers()[1L], list(keras_layer(...)))
  expect_snapshot({
    cat(
      message_of(
        c(
          small_layers(),
          list(
            keras_layer("Lambda", "mine", `function` = list("4wEAAA==", NULL, NULL)),
            keras_layer("Hashing", "hash")
          )
        )
      )
    )
    cat(message_of(with_layer("ReLU", "a", slope_of_my_own = 2)))
    cat(message_of(with_layer("Activation", "a", activation = "my_activation")))
    cat(message_of(with_layer("Reshape", "a", target_shape = I(c(5L, 5L)))))
    cat(
      message_of(
        with_layer(
          "Conv1D", "a", filters = 2L, kernel_size = I(50L),
          weights = list(kernel = some_weights(50, 6, 2), bias = some_weights(2))
        )
      )
    )
    cat(message_of(with_layer("LSTM", "a", units = 2L, return_state = TRUE)))
    wrong <- small_layers()
    wrong[[1L]]$weights$kernel <- some_weights(3, 5, 6)
    wrong[[3L]]$weights <- list(kernel = head_weights$kernel, stray = some_weights(2))
    cat(message_of(wrong))
    cat(message_of(small_layers(), inputs = list(sequence = c(16L, 3L))))
  })
  nan <- small_layers()
  nan[[1L]]$weights$kernel[5L] <- NaN
  expect_error(load_keras_model(write_keras(nan)), class = "seqlift_error_model")
  circle <- list(
    keras_layer("Add", "a", from = c("sequence", "b")), keras_layer("ReLU", "b", from = "a")
  )
  expect_match(message_of(circle), "depends on its own output")
})

test_that("files that are not Keras's are refused as files", {
  skip_without_keras()
  expect_error(load_keras_model(tempfile()), class = "seqlift_error_file")
  expect_error(load_keras_model(model_path("tiny")), class = "seqlift_error_file")
  path <- tempfile(fileext = ".h5")
  rhdf5::h5createFile(path)
  expect_error(load_keras_model(path), class = "seqlift_error_file")
})

test_that("a file that is cut short or changed ends in an error of its own, or in a model", {
  skip_without_keras()
  skip_on_cran()
  path <- write_keras(small_layers(), bytes = 4L)
  n <- as.integer(Sys.getenv("SEQLIFT_DAMAGED_FILES", "100"))
  bytes <- readBin(path, "raw", file.size(path))
  damage <- function(i) {
    if (i <= n / 5) {
      return(bytes[seq_len(round(length(bytes) * i / (n / 5 + 1)))])
    }
    set.seed(i)
    at <- sample(length(bytes), 1 + i %% 4)
    replace(bytes, at, as.raw(sample(0:255, length(at), replace = TRUE)))
  }
  environment(damage) <- list2env(list(bytes = bytes, n = n), parent = baseenv())
  classes <- read_damaged(damage, n)
  expect_setequal(
    setdiff(classes, c("model", "died")), c("seqlift_error_file", "seqlift_error_model")
  )
  # Those that end the process that reads them, and some of the others, as a user has them: read in
  # a session of its own.
  file <- tempfile(fileext = ".h5")
  for (i in union(which(classes == "died"), seq(n %/% 5L, n, by = max(1L, n %/% 6L)))) {
    writeBin(damage(i), file)
    expect_equal(
      outcome_of_file(file), if (classes[i] == "died") "seqlift_error_file" else classes[i],
      label = i
    )
  }
})

test_that("a chunk that is larger than its data, which HDF5 1.10 reads beyond, is refused", {
  skip_without_keras()
  path <- write_keras(small_layers(), bytes = 4L)
  bytes <- readBin(path, "raw", file.size(path))
  # The layout of the kernel in the file: 3 dimensions and the size of an element, 32 bits each.
  layout <- as.raw(c(3, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 4, 0, 0, 0))
  at <- which(
    vapply(seq_len(length(bytes) - 15L), function(i) identical(bytes[i + 0:15], layout), NA)
  )
  expect_length(at, 1L)
  bytes[at + 10L] <- as.raw(0x82)
  writeBin(bytes, path)
  error <- expect_error(load_keras_model(path), class = "seqlift_error_file")
  expect_match(conditionMessage(error), "much larger than the file")
})

test_that("a file that ends the session that reads it is an error of the file", {
  skip_without_keras()
  path <- write_keras(small_layers())
  with_replaced("read_keras_groups", function(path) tools::pskill(Sys.getpid(), tools::SIGKILL), {
    error <- expect_error(load_keras_model(path), class = "seqlift_error_file")
  })
  expect_match(conditionMessage(error), "the file is damaged, or memory ran out")
  expect_s3_class(load_keras_model(path), "seqlift_model")
})
