# The rules of the DeepLIFT package. The core's own tests hold the answers worked out by hand.

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
