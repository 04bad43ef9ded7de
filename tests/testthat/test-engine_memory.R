test_that("seqlift_memory() says and sets how much memory is used", {
  on.exit(seqlift_memory(NA))
  half <- seqlift_memory()
  expect_true(is.numeric(half) && half > 0)
  expect_identical(seqlift_memory(2e9), 2e9)
  expect_identical(seqlift_memory(), 2e9)
  expect_identical(seqlift_memory(Inf), Inf)
  seqlift_memory(NA)
  expect_lt(seqlift_memory(), 1e15)
  for (wrong in list(0, -1, "2 GB", c(1, 2), TRUE, list(1))) {
    expect_error(seqlift_memory(wrong), class = "seqlift_error_argument")
  }
})

# The attributions of a BPNet of random weights by one reference, in a new R session. What memory
# they take is held by the core's tests, which count it: a process also keeps what it has given
# back.
attributed_within <- function(bytes) {
  in_new_session(function(bytes) {
    library(seqlift)
    set.seed(1)
    weights <- function(...) array(rnorm(prod(...), sd = 0.05), c(...))
    layers <- lapply(0:9, function(i) {
      values <- list(weights(c(32, 32, 3)), weights(32))
      setNames(values, paste0("rconvs.", i, c(".weight", ".bias")))
    })
    model <- bpnet(c(
      list(iconv.weight = weights(c(32, 4, 21)), iconv.bias = weights(32)),
      unlist(layers, recursive = FALSE),
      list(
        fconv.weight = weights(c(1, 32, 75)), fconv.bias = weights(1),
        linear.weight = weights(c(1, 32)), linear.bias = weights(1)
      )
    ), trimming = 600)
    X <- random_one_hot(c(1, 4, 60000), random_state = 1)
    counts <- select_output(model, 2)
    seqlift_threads(1)
    seqlift_memory(bytes)
    result <- deep_lift_shap(counts, X, n_shuffles = 1, random_state = 1)
    as.vector(unclass(result))
  }, list(bytes = bytes))
}

test_that("within a small budget the numbers stay to the last bit", {
  expect_identical(attributed_within(200e6), attributed_within(Inf))
})

test_that("what does not fit is refused with what it needs and what would help", {
  on.exit(seqlift_memory(NA))
  model <- test_model("tiny")
  seqlift_memory(100)
  error <- expect_error(
    deep_lift_shap(model, test_sequences(2L), n_shuffles = 2, random_state = 1),
    class = "seqlift_error_memory"
  )
  expect_match(conditionMessage(error), "needs about")
  expect_match(conditionMessage(error), "Shorter sequences")
})
