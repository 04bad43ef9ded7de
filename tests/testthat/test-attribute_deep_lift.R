# The rules of the DeepLIFT package. The core's own tests hold the answers worked out by hand.

in_double <- function(model, X, ...) attribute(model, X, ..., dtype = "float64")

# attribute() as far as the methods of this file go.
deep_lift_api <- list(
  load_model = load_model,
  attribute = function(model, X, method, ...) {
    rules <- c(
      deep_lift_rescale = "rescale", deep_lift_reveal_cancel = "reveal_cancel",
      deep_lift_genomics = "genomics_default"
    )
    if (!method %in% names(rules)) {
      could_not_run(method, " has tests of its own")
    }
    deep_lift_attribution(model, X, rules[[method]], ...)
  }
)

test_that("rules, multipliers and contributions are those of the DeepLIFT package", {
  folder <- oracle_folder()
  skip_if(is.null(folder), "no oracle folder")
  cases <- Filter(\(case) identical(case$group, "deeplift"), read_oracle_index(folder))
  rows <- do.call(rbind, lapply(cases, \(case) {
    run_oracle_case(read_oracle_case(folder, case$id), deep_lift_api)
  }))
  expect_identical(oracle_failures(rows), character())
  expect_gte(sum(rows$state == "passed"), 12L)
})

test_that("every rule keeps the sum, and attributions are the contributions of a position", {
  model <- test_model("tiny_float64")
  X <- test_sequences(3L)
  for (rules in c("rescale", "reveal_cancel")) {
    run <- function(what) {
      deep_lift_attribution(model, X, rules, what = what, n_shuffles = 4L, random_state = 0L)
    }
    contributions <- run("contributions")
    expect_identical(dim(contributions), c(3L, 4L, 4L, 12L))
    expect_lt(max(abs(convergence_deltas(contributions))), 1e-10)
    attributions <- run("attributions")
    expect_identical(dim(attributions), c(3L, 4L, 12L))
    expect_lt(largest_difference(
      apply(attributions, c(1L, 3L), sum), apply(contributions, c(1L, 4L), sum) / 4
    ), 1e-12)
    expect_true(all(numbers_of(attributions)[one_hot_encode(X) == 0] == 0))
    multipliers <- numbers_of(run("multipliers"))
    positive <- numbers_of(run("positive_multipliers"))
    negative <- numbers_of(run("negative_multipliers"))
    moved <- numbers_of(contributions) != 0
    own <- multipliers == positive | multipliers == negative |
      abs(multipliers - (positive + negative) / 2) < 1e-12
    expect_true(all(own))
    expect_true(any(moved))
  }
})

test_that("Rescale is deep_lift_shap(), RevealCancel is not", {
  model <- test_model("tiny_float64")
  X <- test_sequences(2L)
  shap <- deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0L)
  run <- function(rules) {
    deep_lift_attribution(model, X, rules, n_shuffles = 3L, random_state = 0L)
  }
  expect_lt(largest_difference(run("rescale"), shap), 1e-12)
  expect_gt(largest_difference(run("reveal_cancel"), shap), 1e-6)
  expect_output(print(run("reveal_cancel")), "reveal cancel rules", fixed = TRUE)
})

test_that("several targets add a dimension, and wrong arguments are refused by name", {
  model <- test_model("tiny_float64")
  X <- test_sequences(2L)
  both <- deep_lift_attribution(model, X, "reveal_cancel",
    target = 1:2, n_shuffles = 2L, random_state = 0L
  )
  expect_identical(dim(both), c(2L, 4L, 12L, 2L))
  second <- deep_lift_attribution(model, X, "reveal_cancel",
    target = 2L, n_shuffles = 2L, random_state = 0L
  )
  expect_lt(largest_difference(both[, , , 2], second), 1e-13)
  expect_error(deep_lift_attribution(model, X, "rescale", target = 99L),
    class = "seqlift_error_target"
  )
  expect_error(deep_lift_attribution(model, X, "epsilon"), class = "seqlift_error_argument")
  expect_error(
    deep_lift_attribution(test_model("unsupported"), X, "reveal_cancel", n_shuffles = 2L),
    class = "seqlift_error_unsupported_operation"
  )
})

test_that("DeepLIFT's methods explain layers, and a layer as target", {
  model <- test_model("tiny")
  X <- test_sequences()
  f <- function(X) predict(model, X, dtype = "float64")[, 2L]
  made <- dinucleotide_shuffle(X, n = 3L, random_state = 2)
  change <- f(X) - rowMeans(vapply(1:3, \(j) f(made[, j, , ]), numeric(3L)))
  run <- function(method, ...) in_double(model, X, method, target = 2L, references = made, ...)
  layer <- run("deep_lift_rescale", layer = "relu")
  expect_identical(dim(layer), c(3L, 2L, 10L))
  expect_equal(apply(layer, 1L, sum), change)
  expect_identical(dim(convergence_deltas(layer)), c(3L, 3L))
  expect_lt(max(abs(convergence_deltas(layer))), 1e-12)
  expect_named(run("deep_lift_rescale", layer = c("conv", "relu")), c("conv", "relu"))
  for (method in c("deep_lift_rescale", "deep_lift_reveal_cancel", "deep_lift_genomics")) {
    whole <- run(method)
    expect_equal(apply(numbers_of(whole), 1L, sum), unname(change))
    # The last layer is the model's output.
    expect_equal(numbers_of(run(method, target_layer = "dense")), numbers_of(whole))
    all <- in_double(model, X, method, target = 1:3, references = made)
    less <- run(method, mean_normalise = TRUE)
    expect_lt(max(abs(convergence_deltas(less))), 1e-12)
    expect_equal(numbers_of(less), numbers_of(whole) - apply(numbers_of(all), 1:3, mean))
  }
})

test_that("layers have multipliers of both signs, contributions and their means", {
  model <- test_model("tiny")
  X <- test_sequences()
  f <- function(X) predict(model, X, dtype = "float64")
  made <- dinucleotide_shuffle(X, n = 3L, random_state = 2)
  change <- aperm(array(f(X), c(3L, 3L, 3L)), c(1L, 3L, 2L)) -
    aperm(vapply(1:3, \(j) f(made[, j, , ]), matrix(0, 3L, 3L)), c(1L, 3L, 2L))
  for (method in c("deep_lift_rescale", "deep_lift_reveal_cancel", "deep_lift_genomics")) {
    run <- function(what, layer = c("relu", "conv"), ...) {
      in_double(model, X, method, references = made, layer = layer, what = what, ...)
    }
    means <- run("attributions", target = 1:3)
    contributions <- run("contributions", target = 1:3)
    expect_named(contributions, c("relu", "conv"))
    for (layer in names(contributions)) {
      own <- contributions[[layer]]
      expect_identical(dim(own), c(3L, 3L, 2L, 10L, 3L))
      expect_identical(dimnames(own)[[1L]], names(X))
      expect_lt(max(abs(convergence_deltas(own))), 1e-10)
      expect_lt(largest_difference(apply(own, c(1L, 2L, 5L), sum), unname(change)), 1e-10)
      expect_lt(largest_difference(apply(own, c(1L, 3L, 4L, 5L), mean), means[[layer]]), 1e-12)
    }
    positive <- run("positive_multipliers", "conv")
    negative <- run("negative_multipliers", "conv")
    expect_identical(dim(positive), c(3L, 3L, 2L, 10L))
    if (method == "deep_lift_reveal_cancel") {
      expect_gt(largest_difference(positive, negative), 1e-3)
    } else {
      expect_lt(largest_difference(positive, negative), 1e-12)
    }
    if (method == "deep_lift_rescale") {
      expect_identical(run("multipliers", "conv"), positive)
    } else {
      expect_error(run("multipliers", "conv"), "positive_multipliers",
        class = "seqlift_error_argument"
      )
    }
  }
})
