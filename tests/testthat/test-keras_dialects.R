# Files as each version of Keras writes them (tests/models/make_keras_dialects.py), against what
# numpy computes for their models.

dialect_path <- function(...) test_path("keras", "dialects", ...)

expected_of_dialects <- function() {
  jsonlite::read_json(dialect_path("expected.json"), simplifyVector = TRUE)
}

read_dialect <- function(name) {
  path <- dialect_path(paste0(name, ".h5"))
  suppressMessages(read_in_process(load_keras_model(path)), classes = "seqlift_message_theano")
}

# Weights are float32, and so is the arithmetic.
expect_as_numpy <- function(found, expected, label) {
  expect_identical(dim(found), dim(expected), label = label)
  expect_lt(largest_difference(found, expected), 2e-6, label = label)
}

test_that("a chain of layers predicts as numpy says, whichever Keras wrote it", {
  skip_without_keras()
  expected <- expected_of_dialects()
  expect_gt(min(dist(expected$chain)), 0.01)
  files <- c(
    "chain_1.2", "chain_1.2_theano", "chain_2.0", "chain_2.2", "chain_2.2_theano", "chain_2.8",
    "chain_3",
    "chain_3_jax"
  )
  for (name in files) {
    model <- read_dialect(name)
    expect_as_numpy(predict(model, expected$sequences), expected$chain, name)
    expect_true(
      all(c("conv1d_1", "batch_normalization_1", "dense_1") %in% model$info$modules), label = name
    )
  }
})

test_that("a graph with a model inside and two outputs predicts as numpy says", {
  skip_without_keras()
  expected <- expected_of_dialects()
  for (name in c("graph_1.2", "graph_2.2", "graph_2.8", "graph_3")) {
    found <- predict(read_dialect(name), expected$sequences)
    expect_named(found, c("profile", "counts"))
    expect_as_numpy(found$profile, expected$profile, name)
    expect_as_numpy(found$counts, expected$counts, name)
  }
})

test_that("outputs that Keras 3 has by name have those names, in Keras's order", {
  skip_without_keras()
  expected <- expected_of_dialects()
  found <- predict(read_dialect("graph_3_dict"), expected$sequences)
  expect_named(found, c("shape", "total"))
  expect_as_numpy(found$shape, expected$profile, "shape")
  expect_as_numpy(found$total, expected$counts, "total")
})

test_that("names of weights that are too long for one attribute are read from its pieces", {
  skip_without_keras()
  path <- dialect_path("long_names.h5")
  group <- rhdf5::h5readAttributes(path, "model_weights/batch_normalization_1")
  expect_setequal(names(group), c("weight_names0", "weight_names1"))
  expected <- expected_of_dialects()
  expect_as_numpy(
    predict(read_dialect("long_names"), expected$sequences), expected$chain, "long_names"
  )
})

test_that("attributions of each dialect are the same, and their deltas rounding", {
  skip_without_keras()
  X <- expected_of_dialects()$sequences
  all <- lapply(c("chain_1.2", "chain_2.8", "chain_3"), function(name) {
    deep_lift_shap(read_dialect(name), X, n_shuffles = 3L, random_state = 0, dtype = "float64")
  })
  for (one in all) {
    expect_lt(max(abs(convergence_deltas(one))), 1e-6)
    expect_lt(largest_difference(one, all[[1L]]), 1e-9)
  }
})
