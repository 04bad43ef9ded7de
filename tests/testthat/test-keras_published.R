# ChromBPNet as the archives of ENCODE and JASPAR hold it: the file that Keras writes, at its
# published size, with its names of layers, the Lambda that joins the counts, and compressed.

# Rounded to float32, as the file has them; of a size that leaves signals about as large as they
# are.
published_weights <- function(..., seed) {
  shape <- c(...)
  fan_in <- prod(shape[-length(shape)])
  values <- some_weights(shape, seed = seed) * sqrt(6 / fan_in)
  bytes <- writeBin(c(values), raw(), size = 4L)
  array(readBin(bytes, "numeric", length(values), size = 4L), shape)
}

# A BPNet of so many filters and dilated layers over 2114 bp, without padding.
published_part <- function(name, prefix, filters, layers, seed) {
  own <- function(...) paste0(prefix, ...)
  weights <- function(..., s) {
    shape <- c(...)
    list(
      kernel = published_weights(shape, seed = seed + s),
      bias = some_weights(shape[length(shape)], seed = s) / 10
    )
  }
  body <- list(keras_conv(own("1st_conv"), weights(21, 4, filters, s = 1), activation = "relu"))
  before <- own("1st_conv")
  for (i in seq_len(layers)) {
    convolution <- own(i, "conv")
    crop <- own(i, "crop")
    sum <- own(i, "add")
    body <- c(body, list(
      keras_conv(convolution, weights(3, filters, filters, s = 1 + i),
        activation = "relu", dilation_rate = I(2L^i), from = before
      ),
      keras_layer("Cropping1D", crop, cropping = I(rep(2L^i, 2L)), from = before),
      keras_layer("Add", sum, from = c(convolution, crop))
    ))
    before <- sum
  }
  left <- 2114L - 20L - sum(2L * 2L^seq_len(layers)) - 74L
  c(body, list(
    keras_conv(own("prof_out_precrop"), weights(75, filters, 1, s = 20), from = before),
    keras_layer("Cropping1D", own("logits_precrop"), cropping = I(rep((left - 1000L) %/% 2L, 2L))),
    keras_layer("Flatten", own("logits_profile_predictions"), data_format = "channels_last"),
    keras_layer("GlobalAveragePooling1D", own("gap"), data_format = "channels_last", from = before),
    keras_layer(
      "Dense", own("logcount_predictions"), units = 1L, weights = weights(filters, 1, s = 30)
    )
  )) |>
    (\(layers) keras_layer("Functional", name,
      layers = layers, inputs = list(sequence = c(2114L, 4L)),
      outputs = c(own("logits_profile_predictions"), own("logcount_predictions")), from = "sequence"
    ))()
}

# The same weights by the names of bpnet-lite, whose layers are those of chrombpnet().
weights_of_part <- function(part, name, filters, layers) {
  named <- list()
  for (layer in part$layers) {
    stem <- sub("^.*bpnet_", "", layer$name)
    here <- if (stem == "1st_conv") {
      "iconv"
    } else if (grepl("^[0-9]+conv$", stem)) {
      paste0("rconvs.", as.integer(sub("conv", "", stem)) - 1L)
    } else if (stem == "prof_out_precrop") {
      "fconv"
    } else if (stem == "logcount_predictions") {
      "linear"
    }
    if (!is.null(here)) {
      named[[paste0(name, ".", here, ".weight")]] <- aperm(layer$weights$kernel)
      named[[paste0(name, ".", here, ".bias")]] <- layer$weights$bias
    }
  }
  named
}

test_that("ChromBPNet at its published size is read and explained", {
  skip_without_keras()
  skip_on_cran()
  bias <- published_part("bias", "bpnet_", 128L, 4L, 1)
  accessibility <- published_part("model_wo_bias", "wo_bias_bpnet_", 512L, 8L, 40)
  layers <- list(
    bias, accessibility,
    keras_layer("Concatenate", "concatenate", axis = -1L, from = c("model_wo_bias:2", "bias:2")),
    keras_layer("Add", "logits_profile_predictions", from = c("model_wo_bias:1", "bias:1")),
    keras_layer("Lambda", "logcount_predictions",
      `function` = list(log_sum_exp_3_8, NULL, NULL), function_type = "lambda",
      module = "chrombpnet", output_shape = NULL, output_shape_type = "raw",
      arguments = structure(list(), names = character(0)), from = "concatenate"
    )
  )
  path <- write_keras(layers,
    inputs = list(sequence = c(2114L, 4L)),
    outputs = c("logits_profile_predictions", "logcount_predictions"), bytes = 4L, level = 1L
  )
  model <- read_in_process(load_model(path))
  expect_match(paste(capture.output(print(model)), collapse = " "), "profile")
  X <- random_one_hot(c(1, 4, 2114), random_state = 3)
  found <- predict(model, X, dtype = "float64")
  expect_named(found, c("logits_profile_predictions", "logcount_predictions"))
  expect_identical(dim(found[[1L]]), c(1L, 1000L))

  # The definition of another package, of the same weights.
  twin <- chrombpnet(
    c(weights_of_part(bias, "bias"), weights_of_part(accessibility, "accessibility"))
  )
  expected <- predict(twin, X, dtype = "float64")
  expect_lt(largest_difference(found[[1L]], expected[[1L]]), 1e-9)
  expect_lt(largest_difference(found[[2L]], expected[[2L]]), 1e-9)

  counts <- deep_lift_shap(select_output(model, "logcount_predictions"), X,
    n_shuffles = 1L, random_state = 0, dtype = "float64"
  )
  expect_lt(max(abs(convergence_deltas(counts))), 1e-10)
  profile <- deep_lift_shap(
    profile_score(model), X, n_shuffles = 1L, random_state = 0, dtype = "float64"
  )
  expect_lt(max(abs(convergence_deltas(profile))), 1e-10)
})
