# Layers of Keras that run other layers, attention and normalisation over other dimensions, against
# loops in R.

hidden <- function() {
  keras_conv("h", list(kernel = some_weights(1, 4, 3, seed = 1), bias = some_weights(3, seed = 6)))
}

hidden_layer <- function(x) {
  layer <- hidden()$weights
  loop_conv(x, layer$kernel, layer$bias)
}

expect_after_hidden <- function(layer, expected, ...) {
  expect_keras(c(list(hidden()), list(layer)), function(x) expected(hidden_layer(x)), ...)
}

test_that("a layer for every position of another is what a loop over positions gives", {
  skip_without_keras()
  kernel <- some_weights(3, 2, seed = 3)
  bias <- some_weights(2, seed = 4)
  dense <- list(class_name = "Dense", config = list(name = "d", units = 2L, activation = "linear"))
  expect_after_hidden(
    keras_layer(
      "TimeDistributed", "each", layer = dense, weights = list(kernel = kernel, bias = bias)
    ),
    function(h) t(apply(h, 1L, function(one) loop_dense(one, kernel, bias)))
  )
})

test_that("numbers are put in as the configuration says", {
  skip_without_keras()
  expect_after_hidden(
    keras_layer("Rescaling", "r", scale = 2, offset = -0.5),
    function(h) 2 * h - 0.5
  )
  expect_after_hidden(
    keras_layer("Normalization", "n", axis = I(-1L), weights = list(
      mean = c(0.1, 0.2, 0.3), variance = c(1, 2, 4), count = 5
    )),
    function(h) t((t(h) - c(0.1, 0.2, 0.3)) / sqrt(c(1, 2, 4)))
  )
  gamma <- some_weights(16, seed = 3)
  beta <- some_weights(16, seed = 4)
  expect_after_hidden(
    keras_layer("LayerNormalization", "l", axis = I(1L), epsilon = 0.01, weights = list(
      gamma = gamma, beta = beta
    )),
    function(h) {
      apply(h, 2L, function(one) {
        (one - mean(one)) / sqrt(mean((one - mean(one))^2) + 0.01) * gamma + beta
      })
    }
  )
  scale <- some_weights(3, seed = 3)
  expect_after_hidden(
    keras_layer(
      "RMSNormalization", "rms", axis = -1L, epsilon = 1e-6, weights = list(scale = scale)
    ),
    function(h) t(apply(h, 1L, function(one) one / sqrt(mean(one^2) + 1e-6) * scale))
  )
})

test_that("a kernel for every position is what its patches give", {
  skip_without_keras()
  kernel <- some_weights(7, 12, 2, seed = 3)
  bias <- some_weights(7, 2, seed = 4)
  expect_after_hidden(
    keras_layer("LocallyConnected1D", "own",
      filters = 2L, kernel_size = I(4L), strides = I(2L), padding = "valid", implementation = 1L,
      weights = list(kernel = kernel, bias = bias)
    ),
    function(h) {
      t(vapply(1:7, function(p) {
        patch <- as.vector(t(h[2L * (p - 1L) + 1:4, ]))
        as.vector(patch %*% kernel[p, , ]) + bias[p, ]
      }, double(2L)))
    }
  )
})

test_that("attention between two inputs is what a loop over queries gives", {
  skip_without_keras()
  softmax <- function(z) exp(z) / sum(exp(z))
  pooled <- function(h) 0.5 * (h[seq(1L, 15L, 2L), ] + h[seq(2L, 16L, 2L), ])
  half <- keras_layer("AveragePooling1D", "half",
    pool_size = I(2L), strides = I(2L), padding = "valid", from = "h"
  )
  rows <- list(
    list(
      keras_layer("Attention", "a", use_scale = FALSE, from = c("h", "half")),
      function(h, v) t(apply(h, 1L, function(q) as.vector(softmax(as.vector(v %*% q)) %*% v)))
    ),
    list(
      keras_layer("AdditiveAttention", "a",
        use_scale = TRUE, from = c("h", "half"), weights = list(scale = c(0.5, -1, 2))
      ),
      function(h, v) {
        t(apply(h, 1L, function(q) {
          scores <- apply(v, 1L, function(k) sum(c(0.5, -1, 2) * tanh(q + k)))
          as.vector(softmax(scores) %*% v)
        }))
      }
    ),
    list(
      keras_layer("Dot", "a", axes = list(2L, 2L), normalize = FALSE, from = c("h", "half")),
      function(h, v) h %*% t(v)
    )
  )
  first <- hidden()
  first$from <- "sequence"
  for (row in rows) {
    expect_keras(list(first, half, row[[1L]]), function(x) {
      h <- hidden_layer(x)
      row[[2L]](h, pooled(h))
    })
  }
})

test_that("a cell that is not known is refused by its name", {
  skip_without_keras()
  cell <- list(class_name = "StackedRNNCells", config = list(name = "c"))
  path <- write_keras(list(hidden(), keras_layer("RNN", "r", cell = cell)))
  error <- expect_error(read_in_process(load_keras_model(path)), class = "seqlift_error_model")
  expect_match(conditionMessage(error), "StackedRNNCells", fixed = TRUE)
})
