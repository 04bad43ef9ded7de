# Files as Keras writes them, made here; what their layers do, computed by loops in R.

conv_weights <- function(width, channels, filters, seed = 1) {
  list(
    kernel = some_weights(width, channels, filters, seed = seed),
    bias = some_weights(filters, seed = seed + 7)
  )
}

first_conv <- function(...) keras_conv("first", conv_weights(3L, 4L, 6L), ...)
after_first <- function(x) {
  loop_conv(x, conv_weights(3L, 4L, 6L)$kernel, conv_weights(3L, 4L, 6L)$bias)
}

test_that("convolutions pad, step, dilate and group as TensorFlow does", {
  skip_without_keras()
  for (padding in c("valid", "same", "causal")) {
    for (width in 3:4) {
      for (step in list(c(1, 1), c(2, 1), c(3, 1), c(1, 2))) {
        w <- conv_weights(width, 4L, 3L)
        expect_keras(
          list(
            keras_conv(
              "c", w, padding = padding, strides = I(step[1L]), dilation_rate = I(step[2L]),
              groups = 1L
            )
          ),
          function(x) loop_conv(x, w$kernel, w$bias, step[1L], step[2L], padding)
        )
      }
    }
  }
  w <- conv_weights(3L, 2L, 6L)
  expect_keras(
    list(
      first_conv(),
      keras_layer(
        "Conv1D", "grouped", filters = 6L, kernel_size = I(3L), groups = 3L, activation = "relu",
        weights = w
      )
    ),
    function(x) pmax(loop_conv(after_first(x), w$kernel, w$bias, groups = 3), 0)
  )
})

test_that("pooling leaves padding out, at every width and stride", {
  skip_without_keras()
  for (kind in c("Max", "Average")) {
    f <- if (kind == "Max") max else mean
    for (padding in c("valid", "same")) {
      for (window in list(c(2, 2), c(3, 2), c(3, 1), c(4, 1), c(2, 3), c(5, 3), c(1, 3), c(4, 4))) {
        expect_keras(
          list(
            first_conv(),
            keras_layer(
              paste0(kind, "Pooling1D"), "pool", pool_size = I(window[1L]), strides = I(window[2L]),
              padding = padding
            )
          ),
          function(x) loop_pool(after_first(x), window[1L], window[2L], padding, f)
        )
      }
    }
    expect_keras(
      list(first_conv(), keras_layer(paste0("Global", kind, "Pooling1D"), "all")),
      function(x) apply(after_first(x), 2L, f)
    )
    expect_keras(
      list(first_conv(), keras_layer(paste0("Global", kind, "Pooling1D"), "all", keepdims = TRUE)),
      function(x) t(apply(after_first(x), 2L, f))
    )
  }
})

test_that("Dense works on the last dimension and Flatten goes position by position", {
  skip_without_keras()
  d <- list(kernel = some_weights(6, 2), bias = some_weights(2))
  expect_keras(
    list(
      first_conv(),
      keras_layer("Dense", "d", units = 2L, use_bias = TRUE, activation = "tanh", weights = d)
    ),
    function(x) tanh(loop_dense(after_first(x), d$kernel, d$bias))
  )
  d <- list(kernel = some_weights(84, 2), bias = some_weights(2))
  model <- expect_keras(
    list(first_conv(), keras_layer("Flatten", "f", data_format = "channels_last"),
      keras_layer("Dropout", "drop", rate = 0.5),
      keras_layer("Dense", "d", units = 2L, weights = d)),
    function(x) loop_dense(loop_flatten(after_first(x)), d$kernel, d$bias)
  )
  expect_setequal(model$info$modules, c("", "first", "f", "d"))
})

test_that("normalisation uses what is there: scale, centre, epsilon, axis", {
  skip_without_keras()
  full <- list(
    gamma = some_weights(6), beta = some_weights(6, seed = 2),
    moving_mean = some_weights(6, seed = 3), moving_variance = some_weights(6, seed = 4)^2
  )
  norm <- function(x, scale, center) {
    y <- sweep(sweep(x, 2L, full$moving_mean), 2L, sqrt(full$moving_variance + 0.01), "/")
    if (scale) y <- sweep(y, 2L, full$gamma, "*")
    if (center) sweep(y, 2L, full$beta, "+") else y
  }
  for (scale in c(TRUE, FALSE)) {
    for (center in c(TRUE, FALSE)) {
      expect_keras(
        list(first_conv(),
          keras_layer("BatchNormalization", "bn", axis = I(2L), momentum = 0.99, epsilon = 0.01,
            scale = scale, center = center,
          weights = full[c(scale, center, TRUE, TRUE)])),
        function(x) norm(after_first(x), scale, center)
      )
    }
  }
  w <- list(gamma = some_weights(6), beta = some_weights(6, seed = 2))
  expect_keras(
    list(
      first_conv(), keras_layer("LayerNormalization", "ln", axis = -1L, epsilon = 0.01, weights = w)
    ),
    function(x) {
      t(
        apply(after_first(x), 1L, function(row) {
          (row - mean(row)) / sqrt(mean((row - mean(row))^2) + 0.01) * w$gamma + w$beta
        })
      )
    }
  )
})

test_that("every activation is Keras's own", {
  skip_without_keras()
  softmax <- function(x) t(apply(x, 1L, function(row) exp(row) / sum(exp(row))))
  named <- list(
    linear = identity, relu = function(x) pmax(x, 0), sigmoid = logistic, tanh = tanh,
    softmax = softmax,
    hard_sigmoid = hard_sigmoid, elu = function(x) ifelse(x > 0, x, exp(x) - 1),
    softplus = function(x) log1p(exp(x)),
    selu = function(x) 1.0507009873554805 * ifelse(x > 0, x, 1.6732632423543772 * (exp(x) - 1)),
    softsign = function(x) x / (1 + abs(x)), exponential = exp, swish = function(x) x * logistic(x),
    gelu = function(x) x * pnorm(x)
  )
  for (name in names(named)) {
    expect_keras(list(first_conv(activation = name)), function(x) named[[name]](after_first(x)))
  }
  expect_keras(
    list(first_conv(activation = "hard_sigmoid")),
    function(x) pmin(pmax(after_first(x) / 6 + 0.5, 0), 1), version = 3
  )
  slope <- array(some_weights(6), c(1, 6))
  layers <- list(
    list(keras_layer("ReLU", "a", max_value = 0.8, negative_slope = 0.1, threshold = 0.2),
      function(x) ifelse(x >= 0.8, 0.8, ifelse(x >= 0.2, x, 0.1 * (x - 0.2)))),
    list(
      keras_layer("ReLU", "a", max_value = 0.8, negative_slope = 0.1, threshold = 0),
      function(x) pmin(ifelse(x >= 0, x, 0.1 * x), 0.8)
    ),
    list(keras_layer("ReLU", "a", max_value = 6, negative_slope = 0, threshold = 0), function(x) {
      pmin(pmax(x, 0), 6)
    }),
    list(
      keras_layer("ReLU", "a", max_value = NULL, negative_slope = 0, threshold = 0.3),
      function(x) ifelse(x >= 0.3, x, 0)
    ),
    list(keras_layer("LeakyReLU", "a", alpha = 0.25), function(x) ifelse(x > 0, x, 0.25 * x)),
    list(keras_layer("ELU", "a", alpha = 0.5), function(x) ifelse(x > 0, x, 0.5 * (exp(x) - 1))),
    list(keras_layer("ThresholdedReLU", "a", theta = 0.4), function(x) ifelse(x > 0.4, x, 0)),
    list(keras_layer("Softmax", "a", axis = -1L), softmax),
    list(keras_layer("Softmax", "a", axis = 1L), function(x) t(softmax(t(x)))),
    list(keras_layer("PReLU", "a", shared_axes = I(1L), weights = list(alpha = slope)),
      function(x) ifelse(x > 0, x, sweep(x, 2L, slope[1L, ], "*"))),
    list(keras_layer("Activation", "a", activation = "tanh"), tanh)
  )
  for (one in layers) {
    expect_keras(list(first_conv(), one[[1L]]), function(x) one[[2L]](after_first(x)))
  }
  expect_keras(
    list(first_conv(), keras_layer("LeakyReLU", "a", negative_slope = 0.25)),
    function(x) layers[[5L]][[2L]](after_first(x)), version = 3
  )
})

test_that("layers that join branches do, in either order of dimensions", {
  skip_without_keras()
  w <- list(conv_weights(3L, 4L, 5L, 1), conv_weights(3L, 4L, 5L, 20))
  d <- list(kernel = some_weights(5, 5), bias = some_weights(5))
  a <- function(x) loop_conv(x, w[[1L]]$kernel, w[[1L]]$bias)
  b <- function(x) loop_conv(x, w[[2L]]$kernel, w[[2L]]$bias)
  joins <- list(
    Add = `+`, Subtract = `-`, Multiply = `*`, Average = function(p, q) (p + q) / 2, Maximum = pmax,
    Minimum = pmin
  )
  for (kind in names(joins)) {
    for (version in 1:3) {
      if (version == 1) next
      expect_keras(
        list(
          keras_conv("a", w[[1L]], from = "sequence"), keras_conv("b", w[[2L]], from = "sequence"),
          keras_layer(kind, "join", from = c("a", "b"))
        ),
        function(x) joins[[kind]](a(x), b(x)), version = version
      )
    }
  }
  expect_keras(
    list(keras_conv("a", w[[1L]], from = "sequence"), keras_conv("b", w[[2L]], from = "sequence"),
      keras_layer("Dense", "d", units = 5L, weights = d, from = "b"),
      keras_layer("Add", "join", from = c("d", "a"))),
    function(x) a(x) + loop_dense(b(x), d$kernel, d$bias)
  )
  for (axis in c(-1L, 2L, 1L)) {
    expect_keras(
      list(
        keras_conv("a", w[[1L]], from = "sequence"), keras_conv("b", w[[2L]], from = "sequence"),
        keras_layer("Concatenate", "join", axis = axis, from = c("a", "b"))
      ),
      function(x) if (axis == 1L) rbind(a(x), b(x)) else cbind(a(x), b(x))
    )
  }
  expect_keras(
    list(keras_conv("a", w[[1L]], from = "sequence"),
      keras_layer("Conv1D", "again", filters = 4L, kernel_size = I(1L), use_bias = FALSE,
      weights = list(kernel = some_weights(1, 5, 4)), from = "a"),
      keras_layer("GlobalMaxPooling1D", "top", from = "again"),
    keras_layer("RepeatVector", name = "rep", n = 3L, from = "top")),
    function(x) matrix(apply(loop_conv(a(x), some_weights(1, 5, 4)), 2L, max), 3L, 4L, byrow = TRUE)
  )
})

test_that("shapes change as in Keras: crop, pad, repeat, reshape, permute", {
  skip_without_keras()
  rows <- function(x, size) matrix(loop_flatten(x), size[1L], size[2L], byrow = TRUE)
  cases <- list(
    list(keras_layer("Cropping1D", "s", cropping = I(c(2L, 3L))), function(x) x[3:11, ]),
    list(keras_layer("Cropping1D", "s", cropping = 1L), function(x) x[2:13, ]),
    list(keras_layer("ZeroPadding1D", "s", padding = I(c(2L, 1L))), function(x) rbind(0, 0, x, 0)),
    list(keras_layer("UpSampling1D", "s", size = 3L), function(x) x[rep(1:14, each = 3), ]),
    list(keras_layer("Reshape", "s", target_shape = I(c(12L, 7L))), function(x) rows(x, c(12, 7))),
    list(keras_layer("Reshape", "s", target_shape = I(c(-1L, 4L))), function(x) rows(x, c(21, 4))),
    list(keras_layer("Permute", "s", dims = I(c(2L, 1L))), t),
    list(keras_layer("SpatialDropout1D", "s", rate = 0.1), identity)
  )
  for (one in cases) {
    expect_keras(list(first_conv(), one[[1L]]), function(x) one[[2L]](after_first(x)))
  }
})

test_that("two-dimensional models take the sequences in every form", {
  skip_without_keras()
  w <- conv_weights(3L, 4L, 5L)
  whole <- function(x) loop_flatten(loop_conv(x, w$kernel, w$bias))
  conv <- function(kernel, size, ...) {
    list(
      keras_layer(
        "Conv2D", "c", filters = 5L, kernel_size = size, ...,
        weights = list(kernel = kernel, bias = w$bias)
      ),
      keras_layer("Flatten", "f")
    )
  }
  expect_keras(
    conv(array(w$kernel, c(1, 3, 4, 5)), c(1L, 3L)), whole, inputs = list(s = c(1L, 16L, 4L))
  )
  expect_keras(
    conv(array(w$kernel, c(3, 1, 4, 5)), c(3L, 1L)), whole, inputs = list(s = c(16L, 1L, 4L))
  )
  expect_keras(
    conv(array(w$kernel, c(3, 4, 1, 5)), c(3L, 4L)), whole, inputs = list(s = c(16L, 4L, 1L))
  )
  turned <- aperm(w$kernel, c(2, 1, 3))
  expect_keras(
    conv(array(turned, c(4, 3, 1, 5)), c(4L, 3L)), whole, inputs = list(s = c(4L, 16L, 1L))
  )
  # Channels first: [n, 1, 4, L] in and [n, 5, 1, L] out, which Flatten keeps.
  expect_keras(
    conv(array(turned, c(4, 3, 1, 5)), c(4L, 3L), data_format = "channels_first"),
    function(x) as.vector(loop_conv(x, w$kernel, w$bias)), inputs = list(s = c(1L, 4L, 16L))
  )
  expect_keras(
    c(conv(array(turned, c(4, 3, 1, 5)), c(4L, 3L), padding = "valid")[1L],
      list(
        keras_layer(
          "MaxPooling2D", "p", pool_size = c(1L, 3L), strides = c(1L, 2L), padding = "same"
        ),
        keras_layer("Flatten", "f")
      )),
    function(x) loop_flatten(loop_pool(loop_conv(x, w$kernel, w$bias), 3, 2, "same", max)),
    inputs = list(s = c(4L, 16L, 1L))
  )
})

test_that("transposed, separable and depthwise convolutions are Keras's", {
  skip_without_keras()
  for (padding in c("valid", "same")) {
    for (window in list(c(5, 1), c(4, 2), c(2, 3), c(3, 2))) {
      w <- list(kernel = some_weights(window[1L], 3, 6), bias = some_weights(3))
      expect_keras(
        list(
          first_conv(),
          keras_layer(
            "Conv1DTranspose", "t", filters = 3L, kernel_size = I(window[1L]),
            strides = I(window[2L]), padding = padding, weights = w
          )
        ),
        function(x) loop_transposed(after_first(x), w$kernel, w$bias, window[2L], padding)
      )
    }
  }
  depth <- some_weights(3, 6, 2)
  point <- some_weights(1, 12, 4)
  by_channel <- function(x) {
    y <- after_first(x)
    do.call(
      cbind,
      lapply(1:6, function(c) {
        loop_conv(y[, c, drop = FALSE], depth[, c, , drop = FALSE], padding = "same")
      })
    )
  }
  expect_keras(
    list(first_conv(),
      keras_layer("SeparableConv1D", "s", filters = 4L, kernel_size = I(3L), depth_multiplier = 2L,
        padding = "same",
      weights = list(depthwise_kernel = depth, pointwise_kernel = point, bias = some_weights(4)))),
    function(x) loop_conv(by_channel(x), point, some_weights(4))
  )
  expect_keras(
    list(first_conv(),
      keras_layer("DepthwiseConv1D", "s", kernel_size = I(3L), depth_multiplier = 2L,
        padding = "same",
      use_bias = FALSE, weights = list(depthwise_kernel = depth))),
    by_channel
  )
})

test_that("recurrent layers keep Keras's gates, orders and directions", {
  skip_without_keras()
  last <- function(states) states[nrow(states), ]
  w <- list(
    kernel = some_weights(6, 20), recurrent_kernel = some_weights(5, 20, seed = 3),
    bias = some_weights(20, seed = 5)
  )
  lstm <- function(x, ...) loop_lstm(after_first(x), w$kernel, w$recurrent_kernel, w$bias, ...)
  options <- list(
    units = 5L, activation = "tanh", recurrent_activation = "sigmoid", unit_forget_bias = TRUE
  )
  layer <- function(class_name, ..., weights = w) {
    list(
      first_conv(),
      do.call(
        keras_layer,
        c(list(class_name, "r", weights = weights), utils::modifyList(options, list(...)))
      )
    )
  }
  expect_keras(layer("LSTM"), function(x) last(lstm(x)))
  expect_keras(layer("LSTM", return_sequences = TRUE), lstm)
  expect_keras(layer("LSTM", return_sequences = TRUE, go_backwards = TRUE), function(x) {
    lstm(x, backwards = TRUE)
  })
  expect_keras(
    layer("LSTM", recurrent_activation = "hard_sigmoid", go_backwards = TRUE),
    function(x) last(lstm(x, gate = hard_sigmoid, backwards = TRUE))
  )
  g <- list(
    kernel = some_weights(6, 15), recurrent_kernel = some_weights(5, 15, seed = 3),
    bias = some_weights(15, seed = 5)
  )
  expect_keras(layer("GRU", weights = g, reset_after = FALSE), function(x) {
    last(loop_gru(after_first(x), g$kernel, g$recurrent_kernel, g$bias))
  })
  expect_keras(
    layer("GRU", weights = g, recurrent_activation = "hard_sigmoid", return_sequences = TRUE),
    function(x) loop_gru(after_first(x), g$kernel, g$recurrent_kernel, g$bias, gate = hard_sigmoid))
  g$bias <- some_weights(2, 15)
  expect_keras(layer("GRU", weights = g, reset_after = TRUE, return_sequences = TRUE), function(x) {
    loop_gru(after_first(x), g$kernel, g$recurrent_kernel, g$bias, after = TRUE)
  })
  r <- list(
    kernel = some_weights(6, 5), recurrent_kernel = some_weights(5, 5, seed = 3),
    bias = some_weights(5)
  )
  for (name in c("tanh", "relu")) {
    f <- if (name == "tanh") tanh else function(x) pmax(x, 0)
    rnn <- layer("SimpleRNN", weights = r, activation = name, recurrent_activation = NULL)
    expect_keras(rnn, function(x) {
      h <- numeric(5)
      y <- after_first(x)
      for (t in seq_len(nrow(y))) {
        h <- f(drop(y[t, ] %*% r$kernel + h %*% r$recurrent_kernel) + r$bias)
      }
      h
    })
  }
  v <- lapply(w, function(one) one * 0.5)
  both <- c(
    stats::setNames(w, paste0("forward_lstm/lstm_cell_1/", names(w))),
    stats::setNames(v, paste0("backward_lstm/lstm_cell_2/", names(w)))
  )
  back <- function(x) {
    loop_lstm(after_first(x), v$kernel, v$recurrent_kernel, v$bias, backwards = TRUE)
  }
  for (sequences in c(TRUE, FALSE)) {
    for (mode in c("concat", "sum", "mul", "ave")) {
      inner <- list(
        class_name = "LSTM", config = c(list(name = "lstm", return_sequences = sequences), options)
      )
      join <- switch(
        mode, concat = function(a, b) if (sequences) cbind(a, b) else c(a, b), sum = `+`, mul = `*`,
        ave = function(a, b) (a + b) / 2
      )
      expect_keras(
        list(
          first_conv(),
          keras_layer("Bidirectional", "bi", layer = inner, merge_mode = mode, weights = both)
        ),
        function(x) {
          if (sequences) join(lstm(x), back(x)[14:1, ]) else join(last(lstm(x)), last(back(x)))
        }
      )
    }
  }
})

test_that("keras-genomics' layers share weights between strands; the convolution counts twice", {
  skip_without_keras()
  w <- conv_weights(3L, 4L, 3L)
  both <- array(c(w$kernel, w$kernel[3:1, 4:1, 3:1]), c(3, 4, 6))
  conv <- function(x) 2 * loop_conv(x, both) + matrix(c(w$bias, rev(w$bias)), 14, 6, byrow = TRUE)
  layer <- keras_layer(
    "RevCompConv1D", "rc", filters = 3L, kernel_size = I(3L), use_bias = TRUE, weights = w
  )
  expect_keras(list(layer), conv)
  n <- list(
    gamma = some_weights(3), beta = some_weights(3, seed = 2),
    moving_mean = some_weights(3, seed = 3), moving_variance = some_weights(3, seed = 4)^2
  )
  m <- lapply(n, function(one) c(one, rev(one)))
  expect_keras(
    list(
      layer, keras_layer("RevCompConv1DBatchNorm", "bn", axis = -1L, epsilon = 0.01, weights = n)
    ),
    function(x) t((t(conv(x)) - m$moving_mean) / sqrt(m$moving_variance + 0.01) * m$gamma + m$beta)
  )
  d <- list(kernel = some_weights(42, 2), bias = some_weights(2))
  half <- aperm(array(t(d$kernel), c(2, 3, 14)), c(3, 2, 1))
  expect_keras(
    list(layer, keras_layer("DenseAfterRevcompConv1D", "d", units = 2L, weights = d)),
    function(x) {
      y <- conv(x)
      vapply(
        1:2,
        function(u) sum(y[, 1:3] * half[, , u]) + sum(y[, 4:6] * half[14:1, 3:1, u]) + d$bias[u], 0
      )
    }
  )
})
