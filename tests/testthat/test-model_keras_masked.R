# Masks of positions, causal attention, tables of whole numbers, and what recurrent layers return
# beside their output, against loops in R.

units <- 3L
recurrent_options <- list(units = units, activation = "tanh", recurrent_activation = "sigmoid")

weights_of <- function(class_name, from = 4L, seed = 1) {
  gates <- c(LSTM = 4L, GRU = 3L, SimpleRNN = 1L)[[class_name]]
  list(
    kernel = some_weights(from, gates * units, seed = seed),
    recurrent_kernel = some_weights(units, gates * units, seed = seed + 2),
    bias = if (class_name == "GRU") {
      some_weights(2, gates * units, seed = seed + 4)
    } else {
      some_weights(gates * units, seed = seed + 4)
    }
  )
}

recurrent_layer <- function(class_name, name = "r", weights = weights_of(class_name), ...) {
  options <- recurrent_options
  if (class_name == "SimpleRNN") options$recurrent_activation <- NULL
  if (class_name == "GRU") options$reset_after <- TRUE
  do.call(keras_layer, c(list(class_name, name, weights = weights), options, list(...)))
}

# Keras's definition: where a position does not count the state stays, and the output is the one
# before, or zeros. list(outputs, h, cell).
masked_recurrence <- function(class_name, x, counts, w = weights_of(class_name), zeros = FALSE,
                              backwards = FALSE) {
  h <- cell <- numeric(units)
  given <- numeric(units)
  outputs <- matrix(0, 0, units)
  for (t in if (backwards) rev(seq_len(nrow(x))) else seq_len(nrow(x))) {
    if (counts[t]) {
      part <- function(z, k) z[(k - 1) * units + seq_len(units)]
      if (class_name == "LSTM") {
        z <- drop(x[t, ] %*% w$kernel + h %*% w$recurrent_kernel) + w$bias
        cell <- logistic(part(z, 2)) * cell + logistic(part(z, 1)) * tanh(part(z, 3))
        h <- logistic(part(z, 4)) * tanh(cell)
      } else if (class_name == "GRU") {
        a <- drop(x[t, ] %*% w$kernel) + w$bias[1L, ]
        b <- drop(h %*% w$recurrent_kernel) + w$bias[2L, ]
        update <- logistic(part(a, 1) + part(b, 1))
        reset <- logistic(part(a, 2) + part(b, 2))
        h <- update * h + (1 - update) * tanh(part(a, 3) + reset * part(b, 3))
      } else {
        h <- tanh(drop(x[t, ] %*% w$kernel + h %*% w$recurrent_kernel) + w$bias)
      }
      given <- h
    } else if (zeros) {
      given <- numeric(units)
    }
    outputs <- rbind(outputs, given, deparse.level = 0)
  }
  list(outputs = outputs, h = h, cell = cell)
}

last_of <- function(states) states[nrow(states), ]

# Without a base at the beginning, inside and at the end.
with_gaps <- function() {
  X <- keras_sequences()
  X[1L, , c(1L, 6:7, 15:16)] <- 0
  X[2L, , c(3L, 16L)] <- 0
  X
}

has_base <- function(x) rowSums(x) != 0

# What `edit` makes of the configuration, a list.
edited_keras <- function(layers, edit, ...) {
  path <- write_keras(layers, ...)
  config <- jsonlite::fromJSON(attr(path, "json"), simplifyVector = FALSE)
  config$config$layers <- edit(config$config$layers)
  write_keras(layers, ..., config_text = json_of(config))
}

# A model without weights is computed in float32.
expect_of_path <- function(path, expected, X = with_gaps(), tolerance = 1e-12) {
  found <- predict(read_in_process(load_keras_model(path)), X)
  expected <- for_each_sequence(X, expected)
  expect_equal(dim(found), dim(expected))
  expect_lt(max(abs(numbers_of(found) - expected)), tolerance)
}

tensor_of_layer <- function(name) {
  list(class_name = "__keras_tensor__", config = list(
    shape = list(NULL), dtype = "bool", keras_history = list(name, 0L, 0L)
  ))
}

test_that("recurrent layers pass over positions that are masked, as Keras does", {
  skip_without_keras()
  masking <- keras_layer("Masking", "m", mask_value = 0)
  for (class_name in c("LSTM", "GRU", "SimpleRNN")) {
    for (zeros in c(FALSE, TRUE)) for (backwards in c(FALSE, TRUE)) {
      layer <- recurrent_layer(class_name,
        return_sequences = TRUE, zero_output_for_mask = zeros, go_backwards = backwards
      )
      expect_keras(list(masking, layer), function(x) {
        masked_recurrence(class_name, x, has_base(x), zeros = zeros, backwards = backwards)$outputs
      }, X = with_gaps())
    }
    # Behind layers that hand the mask on.
    expect_keras(
      list(masking, keras_layer("Dropout", "d", rate = 0.5),
        keras_layer("Activation", "t", activation = "tanh"), recurrent_layer(class_name)),
      function(x) masked_recurrence(class_name, tanh(x), has_base(x))$h, X = with_gaps()
    )
  }
  both <- c(
    stats::setNames(weights_of("LSTM"), paste0("forward_r/cell_1/", names(weights_of("LSTM")))),
    stats::setNames(
      weights_of("LSTM", seed = 7), paste0("backward_r/cell_2/", names(weights_of("LSTM")))
    )
  )
  for (sequences in c(TRUE, FALSE)) {
    inner <- list(
      class_name = "LSTM",
      config = c(list(name = "r", return_sequences = sequences), recurrent_options)
    )
    expect_keras(
      list(masking, keras_layer("Bidirectional", "b",
        layer = inner, merge_mode = "concat", weights = both
      )),
      function(x) {
        run <- function(w, backwards) {
          masked_recurrence("LSTM", x, has_base(x), w, zeros = sequences, backwards = backwards)
        }
        ahead <- run(weights_of("LSTM"), FALSE)
        back <- run(weights_of("LSTM", seed = 7), TRUE)
        if (sequences) cbind(ahead$outputs, back$outputs[16:1, ]) else c(ahead$h, back$h)
      },
      X = with_gaps()
    )
  }
})

test_that("a mask is read by a mean, ends at a convolution, and goes on as the version says", {
  skip_without_keras()
  masking <- keras_layer("Masking", "m", mask_value = 0)
  expect_keras(
    list(masking, keras_layer("GlobalAveragePooling1D", "g")),
    function(x) colMeans(x[has_base(x), ]), X = with_gaps(),
    tolerance = 1e-7 # without weights, in float32
  )
  kernel <- some_weights(1, 4, 3)
  expect_keras(
    list(masking, keras_conv("c", list(kernel = kernel, bias = some_weights(3))),
      recurrent_layer("GRU", weights = weights_of("GRU", 3L))),
    function(x) {
      y <- loop_conv(x, kernel, some_weights(3))
      masked_recurrence("GRU", y, rep(TRUE, 16L), weights_of("GRU", 3L))$h
    },
    X = with_gaps()
  )
  two <- list(
    masking, recurrent_layer("GRU", return_sequences = TRUE),
    recurrent_layer("SimpleRNN", "s", weights_of("SimpleRNN", units))
  )
  stacked <- function(keeps) {
    function(x) {
      first <- masked_recurrence("GRU", x, has_base(x))$outputs
      counts <- if (keeps) has_base(x) else rep(TRUE, 16L)
      masked_recurrence("SimpleRNN", first, counts, weights_of("SimpleRNN", units))$h
    }
  }
  expect_keras(two, stacked(TRUE), X = with_gaps())
  expect_keras(two, stacked(TRUE), X = with_gaps(), version = 3, keras_version = "3.9.2")
  expect_keras(two, stacked(FALSE), X = with_gaps(), version = 3, keras_version = "3.16.0")
  # Positions of another value than zero.
  expect_keras(
    list(keras_layer("Rescaling", "h", scale = 2, offset = -1),
      keras_layer("Masking", "m", mask_value = -1), recurrent_layer("LSTM")),
    function(x) masked_recurrence("LSTM", 2 * x - 1, has_base(x))$h, X = with_gaps()
  )
})

test_that("a graph of Keras 3 says itself which layer reads a mask", {
  skip_without_keras()
  layers <- list(
    keras_layer("Masking", "m", mask_value = 0, from = "sequence"),
    recurrent_layer("LSTM", return_sequences = TRUE),
    recurrent_layer("SimpleRNN", "s", weights_of("SimpleRNN", units))
  )
  operation <- function(class_name, name, args, kwargs) {
    list(
      module = "keras.src.ops.numpy", class_name = class_name, config = list(name = name),
      name = name, inbound_nodes = list(list(args = args, kwargs = kwargs))
    )
  }
  path <- edited_keras(layers, function(entries) {
    entries[[3L]]$inbound_nodes[[1L]]$kwargs <- list(
      mask = tensor_of_layer("any"), training = FALSE
    )
    nothing <- structure(list(), names = character(0))
    c(entries, list(
      operation("NotEqual", "not_equal", list(tensor_of_layer("sequence"), 0), nothing),
      operation("Any", "any", list(tensor_of_layer("not_equal")),
        list(axis = -1L, keepdims = FALSE)
      )
    ))
  }, version = 3)
  expect_of_path(path, function(x) {
    first <- masked_recurrence("LSTM", x, has_base(x))$outputs
    masked_recurrence("SimpleRNN", first, rep(TRUE, 16L), weights_of("SimpleRNN", units))$h
  })
})

test_that("where a mask would be read in another way the layer is named", {
  skip_without_keras()
  masking <- keras_layer("Masking", "m", mask_value = 0)
  rows <- list(
    list(keras_layer("Softmax", "soft", axis = -1L)),
    list(keras_layer("TimeDistributed", "each",
      layer = list(class_name = "Flatten", config = list(name = "f"))
    ))
  )
  for (row in rows) {
    path <- write_keras(c(list(masking), row))
    error <- expect_error(read_in_process(load_keras_model(path)), class = "seqlift_error_model")
    expect_match(conditionMessage(error), paste0("\"", row[[1L]]$name, "\""), fixed = TRUE)
    expect_match(conditionMessage(error), "mask", fixed = TRUE)
  }
})

test_that("masked models are explained without a remainder", {
  skip_without_keras()
  path <- write_keras(list(
    keras_layer("Masking", "m", mask_value = 0), recurrent_layer("GRU"),
    keras_layer("Dense", "d", units = 1L, weights = list(
      kernel = some_weights(units, 1), bias = 0.5
    ))
  ))
  model <- read_in_process(load_keras_model(path))
  X <- with_gaps()
  explained <- deep_lift_shap(model, X, n_shuffles = 3L, dtype = "float64", random_state = 1)
  expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
  expect_gt(max(abs(explained)), 0)
})

softmax_rows <- function(scores) t(apply(scores, 1L, function(z) exp(z) / sum(exp(z))))

causal_scores <- function(scores) {
  scores[col(scores) > row(scores)] <- -Inf
  scores
}

test_that("attention that looks back alone does, of every layer, and its scores are outputs", {
  skip_without_keras()
  with_options <- function(layers, at, options, ..., version = 2) {
    edited_keras(layers, function(entries) {
      node <- entries[[at]]$inbound_nodes[[1L]]
      if (version == 3) {
        entries[[at]]$inbound_nodes[[1L]]$kwargs <- options
      } else {
        entries[[at]]$inbound_nodes[[1L]] <- lapply(node, function(one) {
          one[[4L]] <- options
          one
        })
      }
      entries
    }, ..., version = version)
  }
  for (version in 2:3) {
    attention <- list(
      keras_layer("Attention", "a", use_scale = FALSE, from = c("sequence", "sequence"))
    )
    path <- with_options(attention, 2L, list(use_causal_mask = TRUE), version = version)
    expect_of_path(path, function(x) softmax_rows(causal_scores(x %*% t(x))) %*% x,
      tolerance = 1e-6
    )
    path <- with_options(attention, 2L, list(return_attention_scores = TRUE),
      outputs = c("a", "a:2"), version = version
    )
    X <- keras_sequences()
    found <- predict(read_in_process(load_keras_model(path)), X)
    scores <- for_each_sequence(X, function(x) softmax_rows(x %*% t(x)))
    expect_lt(max(abs(numbers_of(found[[2L]]) - scores)), 1e-6)
  }
  heads <- 2L
  width <- 3L
  w <- list(
    "query/kernel" = some_weights(4, heads, width, seed = 1),
    "query/bias" = some_weights(heads, width, seed = 2),
    "key/kernel" = some_weights(4, heads, width, seed = 3),
    "key/bias" = some_weights(heads, width, seed = 4),
    "value/kernel" = some_weights(4, heads, width, seed = 5),
    "value/bias" = some_weights(heads, width, seed = 6),
    "attention_output/kernel" = some_weights(heads, width, 4, seed = 7),
    "attention_output/bias" = some_weights(4, seed = 8)
  )
  layers <- list(keras_layer("MultiHeadAttention", "mha",
    num_heads = heads, key_dim = width, from = c("sequence", "sequence"), weights = w
  ))
  path <- with_options(layers, 2L, list(use_causal_mask = TRUE), version = 3)
  expect_of_path(path, function(x) {
    total <- matrix(w[[8L]], 16L, 4L, byrow = TRUE)
    for (h in seq_len(heads)) {
      part <- function(i) sweep(x %*% w[[i]][, h, ], 2L, w[[i + 1L]][h, ], "+")
      shares <- softmax_rows(causal_scores(part(1L) %*% t(part(3L)) / sqrt(width)))
      total <- total + shares %*% part(5L) %*% w[[7L]][h, , ]
    }
    total
  })
})

test_that("a layer that is called with an option and without is refused", {
  skip_without_keras()
  layers <- list(
    keras_layer("Attention", "a", use_scale = FALSE, from = c("sequence", "sequence")),
    keras_layer("Activation", "t", activation = "tanh")
  )
  path <- edited_keras(layers, function(entries) {
    node <- entries[[2L]]$inbound_nodes[[1L]]
    again <- node
    again$kwargs <- list(use_causal_mask = TRUE)
    entries[[2L]]$inbound_nodes <- list(node, again)
    entries
  }, version = 3)
  error <- expect_error(read_in_process(load_keras_model(path)), class = "seqlift_error_model")
  expect_match(conditionMessage(error), "use_causal_mask", fixed = TRUE)
})

test_that("whole numbers are looked up in a table, and explained as the bases they are", {
  skip_without_keras()
  table <- some_weights(5, 3, seed = 2)
  layers <- list(
    keras_layer("Embedding", "e", input_dim = 5L, output_dim = 3L,
      weights = list(embeddings = table)),
    keras_conv("c", list(kernel = some_weights(3, 3, 2), bias = some_weights(2)))
  )
  X <- with_gaps()
  rows <- function(x) ifelse(has_base(x), max.col(x), 5L)
  for (version in 1:3) {
    if (version == 1) names(layers[[1L]]$weights) <- "W"
    if (version == 1) names(layers[[2L]]$weights) <- c("W", "b")
    if (version > 1) names(layers[[1L]]$weights) <- "embeddings"
    if (version > 1) names(layers[[2L]]$weights) <- c("kernel", "bias")
    path <- write_keras(layers, inputs = list(sequence = 16L), version = version)
    expect_message(model <- read_in_process(load_keras_model(path)), "tokens",
      class = "seqlift_message_layout"
    )
    expected <- for_each_sequence(X, function(x) {
      loop_conv(table[rows(x), ], some_weights(3, 3, 2), some_weights(2))
    })
    expect_lt(max(abs(numbers_of(predict(model, X)) - expected)), 1e-12)
  }
  # The numbers of the user's own, of a table in which zero is masked out.
  table <- some_weights(6, 3, seed = 2)
  path <- write_keras(list(
    keras_layer("Embedding", "e", input_dim = 6L, output_dim = 3L, mask_zero = TRUE,
      weights = list(embeddings = table)),
    recurrent_layer("LSTM", weights = weights_of("LSTM", 3L)),
    keras_layer("Dense", "d", units = 1L, weights = list(
      kernel = some_weights(units, 1), bias = 0.5
    ))
  ), inputs = list(sequence = 16L))
  codes <- c(A = 4, C = 1, G = 2, T = 3, N = 0)
  model <- read_in_process(load_keras_model(path, layout = codes))
  expected <- for_each_sequence(X, function(x) {
    tokens <- ifelse(has_base(x), codes[max.col(x)], 0)
    h <- masked_recurrence("LSTM", table[tokens + 1, ], has_base(x), weights_of("LSTM", 3L))$h
    drop(h %*% some_weights(units, 1)) + 0.5
  })
  expect_lt(max(abs(numbers_of(predict(model, X)) - as.vector(expected))), 1e-12)
  X <- keras_sequences()
  explained <- deep_lift_shap(model, X, n_shuffles = 3L, dtype = "float64", random_state = 1)
  expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
  # A model of one-hot sequences has no tokens.
  path <- write_keras(list(keras_conv("c", list(kernel = some_weights(3, 4, 2)))))
  expect_error(read_in_process(load_keras_model(path, layout = "tokens")),
    class = "seqlift_error_argument"
  )
})

test_that("the last states are outputs, and both directions where they are not merged", {
  skip_without_keras()
  X <- keras_sequences()
  all_count <- rep(TRUE, 16L)
  for (class_name in c("LSTM", "GRU", "SimpleRNN")) for (masked in c(FALSE, TRUE)) {
    layers <- list(
      keras_layer(if (masked) "Masking" else "Identity", "m", from = "sequence"),
      recurrent_layer(class_name, return_state = TRUE, return_sequences = TRUE)
    )
    outputs <- c("r", "r:2", if (class_name == "LSTM") "r:3")
    path <- write_keras(layers, outputs = outputs)
    found <- predict(read_in_process(load_keras_model(path)), X)
    for (i in seq_along(outputs)) {
      expected <- for_each_sequence(X, function(x) {
        masked_recurrence(class_name, x, all_count)[[i]]
      })
      expect_lt(max(abs(numbers_of(found[[i]]) - expected)), 1e-12)
    }
  }
  w <- weights_of("GRU")
  both <- c(
    stats::setNames(w, paste0("forward_r/cell_1/", names(w))),
    stats::setNames(w, paste0("backward_r/cell_2/", names(w)))
  )
  inner <- list(
    class_name = "GRU",
    config = c(list(name = "r", return_sequences = TRUE, reset_after = TRUE), recurrent_options)
  )
  bidirectional <- keras_layer("Bidirectional", "b", layer = inner, weights = both,
    from = "sequence"
  )
  bidirectional$options["merge_mode"] <- list(NULL)
  path <- write_keras(list(bidirectional), outputs = c("b", "b:2"))
  found <- predict(read_in_process(load_keras_model(path)), X)
  back <- for_each_sequence(X, function(x) {
    masked_recurrence("GRU", x, all_count, backwards = TRUE)$outputs[16:1, ]
  })
  expect_lt(max(abs(numbers_of(found[[2L]]) - back)), 1e-12)
})

# TensorFlow's definition: what a convolution of `out` positions, padded alike, reaches from each.
transposed_to <- function(x, kernel, bias, stride, out, padding) {
  size <- dim(kernel)
  total <- if (padding == "same") max((nrow(x) - 1) * stride + size[1L] - out, 0) else 0
  y <- matrix(bias, out, size[2L], byrow = TRUE)
  for (p in seq_len(nrow(x))) for (k in seq_len(size[1L])) {
    at <- (p - 1) * stride + k - total %/% 2
    if (at >= 1 && at <= out) y[at, ] <- y[at, ] + kernel[k, , ] %*% x[p, ]
  }
  y
}

test_that("transposed convolutions are as long as `output_padding` says", {
  skip_without_keras()
  for (window in list(c(5, 2), c(4, 3), c(3, 3), c(6, 2), c(1, 2))) {
    for (padding in c("valid", "same")) for (more in seq_len(window[2L]) - 1L) {
      w <- list(kernel = some_weights(window[1L], 3, 4), bias = some_weights(3))
      out <- 15 * window[2L] + more + if (padding == "same") window[1L] %% 2 else window[1L]
      if (padding == "same" && ceiling(out / window[2L]) != 16) next # Keras refuses it
      expect_keras(
        list(keras_layer("Conv1DTranspose", "t",
          filters = 3L, kernel_size = I(window[1L]), strides = I(window[2L]), padding = padding,
          output_padding = I(more), weights = w
        )),
        function(x) transposed_to(x, w$kernel, w$bias, window[2L], out, padding)
      )
    }
  }
})
