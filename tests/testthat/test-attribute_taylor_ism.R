# taylor_ism() and mean_effects(): the definitions, their identities, and a model for which the
# expansion is exact.

map_of <- function(model, X, ...) taylor_ism(model, X, ..., dtype = "float64")

test_that("each output is what its name says", {
  model <- test_model("tiny")
  X <- one_hot_encode(test_sequences())
  targets <- 2:3
  g <- numbers_of(attribute(model, X, "saliency", target = targets, dtype = "float64"))
  baseline <- random_one_hot(c(3L, 4L, 12L), random_state = 1)
  run <- function(...) numbers_of(map_of(model, X, targets, ...))
  by_definition <- function(value) {
    result <- g
    for (i in 1:3) {
      for (position in 1:12) {
        for (k in 1:2) {
          at <- g[i, , position, k]
          result[i, , position, k] <- value(at, X[i, , position], baseline[i, , position])
        }
      }
    }
    result
  }
  expect_equal(run("local"), g)
  expect_equal(run("tism"), by_definition(\(g, x, b) g - sum(x * g)))
  expect_equal(run("corrected"), by_definition(\(g, x, b) g - mean(g)))
  expect_equal(run("global"), by_definition(\(g, x, b) g * x))
  expect_equal(run("global", baseline = baseline), by_definition(\(g, x, b) g * (x - b)))
  expect_equal(run("hypothetical", baseline = baseline), by_definition(\(g, x, b) g - sum(b * g)))
  frequencies <- c(0.1, 0.2, 0.3, 0.4)
  expect_equal(
    run("hypothetical", baseline = frequencies), by_definition(\(g, x, b) g - sum(frequencies * g))
  )
  expect_equal(
    run("hypothetical", baseline = baseline[2L, , ])[2L, , , ],
    run("hypothetical", baseline = baseline)[2L, , , ]
  )
})

test_that("centred effects, the corrected gradient and a uniform baseline are the same numbers", {
  model <- test_model("tiny")
  X <- test_sequences()
  effects <- numbers_of(map_of(model, X))
  centred <- effects - aperm(array(apply(effects, c(1L, 3L), mean), c(3L, 12L, 4L)), c(1L, 3L, 2L))
  corrected <- numbers_of(map_of(model, X, output = "corrected"))
  expect_equal(centred, corrected)
  expect_equal(numbers_of(map_of(model, X, output = "hypothetical")), corrected)
  expect_equal(numbers_of(map_of(model, X, output = "hypothetical", baseline = 0.25)), corrected)
  expect_equal(
    numbers_of(map_of(model, X, output = "global")),
    numbers_of(attribute(model, X, "gradient_x_input", dtype = "float64"))
  )
  expect_equal(numbers_of(attribute(model, X, "tism", dtype = "float64")), effects)
  expect_equal(
    numbers_of(attribute(model, X, "tism", output = "corrected", dtype = "float64")), corrected
  )
})

# Every substitution predicted, [n, 4, L], less the prediction for the sequence.
effects_by_prediction <- function(model, X, ...) {
  f <- function(X) predict(model, X, dtype = "float64", ...)[, 1L]
  effects <- X
  for (base in seq_len(4L)) {
    for (position in seq_len(dim(X)[3L])) {
      changed <- X
      changed[, , position] <- 0
      changed[, base, position] <- 1
      effects[, base, position] <- f(changed) - f(X)
    }
  }
  unname(effects)
}

test_that("the expansion is exact where the model is linear", {
  X <- one_hot_encode(test_sequences())
  model <- test_model("tiny")
  # Where no relu changes its side the whole model is linear: between two sequences one base apart
  # whose hidden units keep their signs.
  effects <- numbers_of(map_of(model, X))
  exact <- effects_by_prediction(model, X)
  keeps_signs <- array(FALSE, dim(X))
  for (i in 1:3) {
    for (base in 1:4) {
      for (position in 1:12) {
        changed <- X[i, , ]
        changed[, position] <- 0
        changed[base, position] <- 1
        keeps_signs[i, base, position] <-
          all((tiny_hidden(changed) > 0) == (tiny_hidden(X[i, , ]) > 0))
      }
    }
  }
  expect_gt(sum(keeps_signs & X == 0), 20)
  expect_equal(effects[keeps_signs], exact[keeps_signs], tolerance = 1e-6)
  expect_gt(max(abs(effects - exact)[!keeps_signs]), 1e-3)
})

test_that("mean effects are minus the mean of the three others, at the base that is there", {
  model <- test_model("tiny")
  X <- c(first = "ACGTTGCAAGTC", second = "GGATTANAGATC")
  effects <- map_of(model, X, target = 1:2)
  means <- mean_effects(effects)
  expect_s3_class(means, "seqlift_attributions")
  expect_identical(dim(means), dim(effects))
  expect_equal(
    numbers_of(means)[1L, 2L, 2L, 1L], -sum(numbers_of(effects)[1L, , 2L, 1L]) / 3
  )
  expect_true(all(numbers_of(means)[1L, -2L, 2L, ] == 0))
  expect_true(all(numbers_of(means)[2L, , 7L, ] == 0))
  expect_equal(numbers_of(mean_effects(as.array(effects), X)), numbers_of(means))
  # What print() and plots show of effects is the same number.
  expect_equal(as.vector(summary(effects)$attribution), as.vector(summary(means)$attribution))
})

test_that("effects of another kind, and arguments that do nothing, are refused", {
  model <- test_model("tiny")
  X <- test_sequences()
  expect_error(mean_effects(attribute(model, X, "saliency")), class = "seqlift_error_argument")
  expect_error(mean_effects(array(0, c(3, 4, 12))), class = "seqlift_error_argument")
  expect_error(mean_effects(array(0, c(3, 4, 12)), X[1:2]), class = "seqlift_error_argument")
  expect_error(mean_effects(array(0, c(3, 5, 12)), X), class = "seqlift_error_argument")
  expect_error(taylor_ism(model, X, output = "all"), class = "seqlift_error_argument")
  expect_error(taylor_ism(model, X, baseline = 0), class = "seqlift_error_argument")
  expect_error(
    taylor_ism(model, X, output = "hypothetical", baseline = 1:3),
    class = "seqlift_error_argument"
  )
})
