test_that("draws have the shape that was asked for and one letter at every position", {
  for (shape in list(c(1, 4, 1), c(3, 4, 50), c(2, 5, 7), c(2, 1, 3))) {
    X <- random_one_hot(shape, random_state = 1)
    expect_identical(dim(X), as.integer(shape))
    expect_true(all(X %in% c(0, 1)))
    expect_true(all(colSums(aperm(X, c(2, 1, 3))) == 1))
  }
})

test_that("bases are named, other letters are not", {
  expect_identical(dimnames(random_one_hot(c(1, 4, 2)))[[2L]], c("A", "C", "G", "T"))
  expect_null(dimnames(random_one_hot(c(1, 5, 2))))
})

test_that("a seed gives the integers of numpy's stream: RandomState(0) bounded to 0..9", {
  X <- random_one_hot(c(1, 10, 10), random_state = 0)
  expect_identical(max.col(t(X[1L, , ])) - 1L, c(5L, 0L, 3L, 3L, 7L, 9L, 3L, 5L, 2L, 4L))
})

test_that("with probabilities a position takes one uniform number: RandomState(0)", {
  # The stream begins 0.5488, 0.7152, 0.6028, 0.5449, 0.4237, 0.6459, 0.4376, 0.8918.
  X <- random_one_hot(c(1, 4, 8), probs = c(0.5, 0.1, 0.1, 0.3), random_state = 0)
  expect_identical(decode_one_hot(X), "CTGCAGAT")
})

test_that("the letters have the probabilities of their own sequence", {
  probs <- rbind(c(0.1, 0.2, 0.3, 0.4), c(0.7, 0.1, 0.1, 0.1), c(0, 0, 1, 0))
  X <- random_one_hot(c(3, 4, 20000), probs = probs, random_state = 5)
  # Five standard deviations of a share of 20000 draws are at most 0.018.
  expect_true(all(abs(apply(X, 1:2, mean) - probs) < 0.018))
  expect_identical(sum(X[3L, 3L, ]), 20000)
})

test_that("one row of probabilities equals a vector, and the same row for each", {
  probs <- c(0.1, 0.2, 0.3, 0.4)
  X <- random_one_hot(c(3, 4, 20), probs = probs, random_state = 2)
  expect_identical(random_one_hot(c(3, 4, 20), probs = t(probs), random_state = 2), X)
  each <- matrix(probs, 3, 4, byrow = TRUE)
  expect_identical(random_one_hot(c(3, 4, 20), probs = each, random_state = 2), X)
})

test_that("set.seed() governs the draw without a random_state, and only then", {
  draw <- function(...) random_one_hot(c(2, 4, 30), ...)
  set.seed(1)
  first <- draw()
  second <- draw()
  set.seed(1)
  expect_identical(draw(), first)
  expect_false(identical(first, second))
  set.seed(1)
  draw(random_state = 3)
  after <- stats::runif(1)
  set.seed(1)
  expect_identical(stats::runif(1), after)
})

test_that("a generator goes on from call to call as one stream", {
  whole <- decode_one_hot(random_one_hot(c(1, 4, 700), random_state = 7))
  generator <- random_generator(7)
  first <- decode_one_hot(random_one_hot(c(1, 4, 300), random_state = generator))
  kept <- unserialize(serialize(generator, NULL))
  second <- decode_one_hot(random_one_hot(c(1, 4, 400), random_state = generator))
  expect_identical(paste0(first, second), whole)
  expect_identical(decode_one_hot(random_one_hot(c(1, 4, 400), random_state = kept)), second)
  expect_output(print(generator), "MT19937")
})

test_that("wrong shapes, probabilities and random states are errors of arguments", {
  for (shape in list(c(4, 10), c(1, 4, 0), c(1, 4, NA), c(1, 4, 2.5), "a", NULL, c(1, 300, 2))) {
    expect_error(random_one_hot(shape), class = "seqlift_error_argument")
  }
  wrong <- list(
    c(0.5, 0.1, 0.1, 0.1), c(0.5, 0.5), c(1.5, -0.5, 0, 0), c(NA, 0, 0, 1), "a",
    matrix(0.25, 3, 4), matrix(0.25, 2, 3)
  )
  for (probs in wrong) {
    expect_error(random_one_hot(c(2, 4, 5), probs), class = "seqlift_error_argument")
  }
  for (random_state in list(-1, 2^32, 1.5, NA, "a", c(1, 2))) {
    expect_error(random_one_hot(c(1, 4, 5), random_state = random_state),
      class = "seqlift_error_argument"
    )
    expect_error(random_generator(random_state), class = "seqlift_error_argument")
  }
})

test_that("the largest seed is taken", {
  expect_identical(dim(random_one_hot(c(1, 4, 5), random_state = 2^32 - 1)), c(1L, 4L, 5L))
})

test_that("messages say what was expected", {
  expect_snapshot(error = TRUE, {
    random_one_hot(c(4, 10))
    random_one_hot(c(2, 4, 5), probs = c(0.5, 0.1, 0.1, 0.1))
    random_one_hot(c(2, 4, 5), probs = matrix(0.25, 3, 4))
    random_one_hot(c(2, 4, 5), random_state = -1)
  })
})
