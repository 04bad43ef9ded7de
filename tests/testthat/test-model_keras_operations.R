# Operations on tensors between the layers of a model of Keras: each as Keras 3 writes it into an
# archive and into HDF5, and as tf.keras does, against what base R computes.

keras_tensor <- function(layer, output = 0L) {
  list(class_name = "__keras_tensor__", config = list(
    shape = list(NULL, 16L, 3L), dtype = "float32", keras_history = list(layer, 0L, output)
  ))
}

slice_of <- function(start = NULL, stop = NULL, step = NULL) {
  list(class_name = "__slice__", config = list(start = start, stop = stop, step = step))
}
every <- slice_of()

# One operation of Keras 3: its class, what it is called with, its own options.
operation <- function(class_name, args, config = list(), name = "op", kwargs = NULL,
                      module = "numpy", output = 0L) {
  list(
    class_name = class_name, args = args, config = config, name = name, module = module,
    kwargs = kwargs, output = output
  )
}

# The convolutions "h" and "g" of width 1. `inbound`: where they come from, as the file has it.
two_layers <- function(inbound) {
  lapply(c("h", "g"), function(name) {
    list(
      class_name = "Conv1D", name = name,
      config = list(
        name = name, trainable = TRUE, filters = 3L, kernel_size = I(1L), strides = I(1L),
        padding = "valid", use_bias = TRUE, activation = "linear"
      ),
      inbound_nodes = list(inbound)
    )
  })
}

# Both, and operations one after the other. `module`: as archives have it.
write_operations <- function(operations, module = TRUE) {
  from_sequence <- list(args = list(keras_tensor("sequence")), kwargs = no_options())
  entries <- lapply(operations, function(one) {
    entry <- list(
      class_name = one$class_name, name = one$name, config = c(list(name = one$name), one$config),
      inbound_nodes = list(list(args = one$args, kwargs = one$kwargs %||% no_options()))
    )
    if (module) c(entry, module = paste0("keras.src.ops.", one$module)) else entry
  })
  write_with_two(
    c(two_layers(from_sequence), entries), operations[[length(operations)]]
  )
}

no_options <- function() stats::setNames(list(), character())

write_with_two <- function(entries, last) {
  input <- list(
    class_name = "InputLayer", name = "sequence",
    config = list(name = "sequence", batch_shape = list(NULL, 16L, 4L)), inbound_nodes = list()
  )
  config <- list(class_name = "Functional", config = list(
    name = "net", layers = c(list(input), entries),
    input_layers = list(list("sequence", 0L, 0L)),
    output_layers = list(list(last$name, 0L, last$output %||% 0L))
  ))
  used <- grepl("\"g\"", json_of(entries[-(1:2)]), fixed = TRUE)
  config$config$layers <- if (used) config$config$layers else config$config$layers[-3L]
  write_keras(two_convolutions()[if (used) 1:2 else 1L], version = 3, config_text = json_of(config))
}

two_convolutions <- function() {
  lapply(1:2, function(seed) {
    keras_conv(c("h", "g")[seed], list(
      kernel = some_weights(1, 4, 3, seed = seed), bias = some_weights(3, seed = seed + 5)
    ))
  })
}

# Both convolutions of one sequence, [16, 3].
hidden_of <- function(x) {
  lapply(two_convolutions(), function(layer) {
    loop_conv(x, layer$weights$kernel, layer$weights$bias)
  })
}

expect_operations <- function(path, expected, label) {
  X <- keras_sequences()
  model <- read_in_process(load_keras_model(path))
  found <- predict(model, X, dtype = "float64")
  for (i in seq_len(dim(X)[1L])) {
    hidden <- hidden_of(t(matrix(X[i, , ], 4L)))
    wanted <- numbers_by_row(as.array(expected(hidden[[1L]], hidden[[2L]])))
    own <- matrix(as.vector(found), dim(found)[1L])[i, ]
    own <- array(own, c(dim(found)[-1L], 1L))
    expect_lt(max(abs(numbers_by_row(own) - wanted)), 1e-12, label = label)
  }
  if (length(dim(found)) == 2L) {
    explained <- deep_lift_shap(model, X, n_shuffles = 2L, random_state = 1L, dtype = "float64")
    expect_lt(max(abs(convergence_deltas(explained))), 1e-10, label = label)
  }
}

h <- keras_tensor("h")
g <- keras_tensor("g")
softmax_of <- function(x) exp(x) / sum(exp(x))

keras_3_operations <- list(
  list(operation("Add", list(h, 1.5)), function(h, g) h + 1.5),
  list(operation("Subtract", list(2L, h)), function(h, g) 2 - h),
  list(operation("Multiply", list(h, g)), function(h, g) h * g),
  list(operation("TrueDivide", list(h, 4)), function(h, g) h / 4),
  list(operation("Power", list(h, 2L)), function(h, g) h^2),
  list(operation("Maximum", list(h, 0.1)), function(h, g) pmax(h, 0.1)),
  list(operation("Minimum", list(-0.1, h)), function(h, g) pmin(h, -0.1)),
  list(operation("Minimum", list(h, g)), function(h, g) pmin(h, g)),
  list(operation("Negative", list(h)), function(h, g) -h),
  list(operation("Absolute", list(h)), function(h, g) abs(h)),
  list(operation("Exp", list(h)), function(h, g) exp(h)),
  list(operation("Log2", list(keras_tensor("e"))), function(h, g) h / log(2)),
  list(operation("Sigmoid", list(h), module = "nn"), function(h, g) logistic(h)),
  list(
    operation("Gelu", list(h), list(approximate = FALSE), module = "nn"),
    function(h, g) h * stats::pnorm(h)
  ),
  list(
    operation("Clip", list(h), list(x_min = -0.2, x_max = 0.3)),
    function(h, g) pmin(pmax(h, -0.2), 0.3)
  ),
  list(
    operation("Softmax", list(h, 1L), list(axis = 1L), module = "nn"),
    function(h, g) apply(h, 2L, softmax_of)
  ),
  list(operation("GetItem", list(h, list(every, slice_of(3L, -4L), every))), function(h, g) {
    h[4:12, ]
  }),
  list(operation("GetItem", list(h, list(every, -1L, every))), function(h, g) h[16L, ]),
  list(
    operation("GetItem", list(h, list(every, slice_of(step = 5L)))),
    function(h, g) h[c(1L, 6L, 11L, 16L), ]
  ),
  list(
    operation("GetItem", list(h, list(every, slice_of(step = -1L), slice_of(step = -1L)))),
    function(h, g) h[16:1, 3:1]
  ),
  list(
    operation(
      "GetItem", list(h, list(list(class_name = "__ellipsis__", config = no_options()), 2L))
    ),
    function(h, g) h[, 3L]
  ),
  list(operation("GetItem", list(h, list(every, NULL, 0L))), function(h, g) h[1L, ]),
  list(
    operation("Mean", list(h), list(axis = 1L, keepdims = FALSE)),
    function(h, g) colMeans(h)
  ),
  list(operation("Sum", list(h), list(axis = list(1L, 2L), keepdims = FALSE)), function(h, g) {
    sum(h)
  }),
  list(
    operation("Max", list(h), list(axis = -1L, keepdims = TRUE)),
    function(h, g) apply(h, 1L, max)
  ),
  list(
    operation("Min", list(h), list(axis = 1L, keepdims = FALSE)),
    function(h, g) apply(h, 2L, min)
  ),
  list(
    operation("Logsumexp", list(h), list(axis = 1L, keepdims = FALSE), module = "math"),
    function(h, g) log(colSums(exp(h)))
  ),
  list(
    operation("Std", list(h), list(axis = 1L, keepdims = FALSE)),
    function(h, g) sqrt(colMeans(h^2) - colMeans(h)^2)
  ),
  list(
    operation("Reshape", list(h), list(newshape = list(-1L, 8L, 6L))),
    function(h, g) matrix(as.vector(t(h)), 8L, byrow = TRUE)
  ),
  list(operation("Transpose", list(h), list(axes = list(0L, 2L, 1L))), function(h, g) t(h)),
  list(operation("Swapaxes", list(h), list(axis1 = 1L, axis2 = -1L)), function(h, g) t(h)),
  list(operation("ExpandDims", list(h), list(axis = 1L)), function(h, g) h),
  list(operation("Concatenate", list(list(h, g)), list(axis = 1L)), function(h, g) rbind(h, g)),
  list(
    operation("Stack", list(list(h, g)), list(axis = 1L)),
    function(h, g) aperm(array(c(h, g), c(16L, 3L, 2L)), c(3L, 1L, 2L))
  ),
  list(operation("Flip", list(h), list(axis = 1L)), function(h, g) h[16:1, ]),
  list(
    operation("Repeat", list(h), list(repeats = 2L, axis = 1L)),
    function(h, g) h[rep(1:16, each = 2L), ]
  ),
  list(
    operation("Tile", list(h), list(repeats = list(1L, 2L, 1L))),
    function(h, g) rbind(h, h)
  ),
  list(
    operation("Pad", list(h), list(
      pad_width = list(list(0L, 0L), list(1L, 2L), list(0L, 0L)), mode = "constant"
    ), kwargs = list(constant_values = NULL)),
    function(h, g) rbind(0, h, 0, 0)
  ),
  list(
    operation("Split", list(h), list(indices_or_sections = list(1L), axis = 2L), output = 1L),
    function(h, g) h[, 2:3]
  ),
  list(
    operation("Einsum", list(h, g), list(subscripts = "blc,bld->bcd")),
    function(h, g) crossprod(h, g)
  ),
  list(operation("Cast", list(h), list(dtype = "float32"), module = "core"), function(h, g) h)
)

test_that("operations of Keras 3 give what base R gives, from archives' entries and from HDF5's", {
  skip_without_keras()
  for (row in keras_3_operations) {
    one <- row[[1L]]
    before <- if (one$class_name == "Log2") list(operation("Exp", list(h), name = "e"))
    for (module in c(TRUE, FALSE)) {
      path <- write_operations(c(before, list(one)), module)
      expect_operations(path, row[[2L]], paste(one$class_name, json_of(one$args), module))
    }
  }
  where <- list(
    operation("Greater", list(h, 0L), name = "positive"),
    operation("Where", list(keras_tensor("positive"), h, 0.5))
  )
  expect_operations(write_operations(where), function(h, g) ifelse(h > 0, h, 0.5), "Where")
  product <- list(
    operation("Transpose", list(g), list(axes = list(0L, 2L, 1L)), name = "turned"),
    operation("Matmul", list(h, keras_tensor("turned")))
  )
  expect_operations(write_operations(product), function(h, g) h %*% t(g), "Matmul")
})

# [function, the call's entry, expected]: what TensorFlow's layers in tf.keras hold.
tensorflow_operations <- list(
  list("math.multiply", list("h", 0L, 0L, list(y = 2, name = NULL)), function(h, g) h * 2),
  list("__operators__.add", list("h", 0L, 0L, list(y = list("g", 0L, 0L))), function(h, g) h + g),
  list(
    "math.subtract", list("_CONSTANT_VALUE", -1L, 1, list(y = list("h", 0L, 0L))),
    function(h, g) 1 - h
  ),
  list(
    "math.reduce_mean", list("h", 0L, 0L, list(axis = 1L, keepdims = FALSE, name = NULL)),
    function(h, g) colMeans(h)
  ),
  list(
    "math.reduce_logsumexp", list("h", 0L, 0L, list(axis = -1L, keepdims = TRUE)),
    function(h, g) log(rowSums(exp(h)))
  ),
  list("nn.relu", list("h", 0L, 0L, list(name = NULL)), function(h, g) pmax(h, 0)),
  list("nn.gelu", list("h", 0L, 0L, no_options()), function(h, g) h * stats::pnorm(h)),
  list(
    "concat", list(list("h", 0L, 0L, list(axis = 1L)), list("g", 0L, 0L, list(axis = 1L))),
    function(h, g) rbind(h, g)
  ),
  list(
    "compat.v1.transpose", list("h", 0L, 0L, list(perm = list(0L, 2L, 1L))),
    function(h, g) t(h)
  ),
  list("reverse", list("h", 0L, 0L, list(axis = list(1L))), function(h, g) h[16:1, ]),
  list(
    "linalg.matmul", list("h", 0L, 0L, list(b = list("g", 0L, 0L), transpose_b = TRUE)),
    function(h, g) h %*% t(g)
  ),
  list(
    "__operators__.getitem",
    list("h", 0L, 0L, list(slice_spec = list(
      list(start = NULL, stop = NULL, step = NULL), list(start = 2L, stop = -2L, step = NULL)
    ))),
    function(h, g) h[3:14, ]
  )
)

test_that("operations of tf.keras give what base R gives", {
  skip_without_keras()
  for (row in tensorflow_operations) {
    slices <- grepl("getitem", row[[1L]], fixed = TRUE)
    entry <- list(
      class_name = if (slices) "SlicingOpLambda" else "TFOpLambda", name = "op",
      config = list(name = "op", trainable = TRUE, dtype = "float32", `function` = row[[1L]]),
      inbound_nodes = list(row[[2L]])
    )
    layers <- two_layers(list(list("sequence", 0L, 0L, no_options())))
    path <- write_with_two(c(layers, list(entry)), list(name = "op"))
    expect_operations(path, row[[3L]], row[[1L]])
  }
})

test_that("operations that are not known, or reach over sequences, are refused by their names", {
  skip_without_keras()
  refused <- list(
    list(operation("Fft", list(h)), "keras.ops.Fft (\"op\")"),
    list(operation("Clip", list(h), list(x_min = NULL, x_max = 1)), "no lower or no upper bound"),
    list(operation("Clip", list(h), list(x_min = 0)), "no lower or no upper bound"),
    list(operation("Mean", list(h), list(axis = 0L)), "dimension of the sequences"),
    list(operation("Mean", list(h), list(axis = NULL)), "dimension of the sequences"),
    list(
      operation("Transpose", list(h), list(axes = list(1L, 0L, 2L))), "dimension of the sequences"
    ),
    list(operation("GetItem", list(h, list(0L))), "one sequence of all"),
    list(operation("GetItem", list(h, list(every, 16L))), "does not have"),
    list(operation("GetItem", list(h, list(every, slice_of(9L, 3L)))), "takes nothing"),
    list(operation("Reshape", list(h), list(newshape = list(-1L, 7L))), "number of entries"),
    list(operation("Add", list(h, list(1, 2))), "something else"),
    list(operation("Sum", list(h), list(axis = 1L, where = 3L)), "`where`"),
    list(operation("Einsum", list(h, g), list(subscripts = "blc,bd->bl")), "do not fit")
  )
  for (row in refused) {
    error <- expect_error(read_in_process(load_keras_model(write_operations(row[1L]))),
      class = "seqlift_error_model"
    )
    expect_match(gsub("\\s+", " ", conditionMessage(error)), row[[2L]], fixed = TRUE)
  }
})
