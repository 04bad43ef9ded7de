# The projection, on numbers that can be worked out by hand.

test_that("each base is worth its multiplier less the multiplier of the reference's base", {
  multipliers <- array(0, c(1, 4, 2))
  multipliers[1, , 1] <- c(1, 2, 3, 4)
  multipliers[1, , 2] <- c(-1, 0, 5, 0.5)
  # The reference has C, then G.
  references <- one_hot_encode("CG")
  given <- hypothetical_attributions(multipliers, "AT", references)
  expect_equal(given[1, , 1], c(-1, 0, 1, 2), ignore_attr = TRUE)
  expect_equal(given[1, , 2], c(-6, -5, 0, -4.5), ignore_attr = TRUE)
})

test_that("a reference of several bases is weighed, and an N takes nothing away", {
  multipliers <- array(c(1, 2, 3, 4, 1, 2, 3, 4), c(1, 4, 2))
  references <- array(c(0.25, 0.25, 0.25, 0.25, 0, 0, 0, 0), c(1, 4, 2))
  given <- hypothetical_attributions(multipliers, "AT", references)
  expect_equal(given[1, , 1], c(-1.5, -0.5, 0.5, 1.5))
  expect_equal(given[1, , 2], c(1, 2, 3, 4))
})

test_that("every reference of every sequence is projected alone", {
  multipliers <- array(seq_len(2 * 3 * 4 * 5)^1.5, c(2, 3, 4, 5))
  references <- array(0, c(2, 3, 4, 5))
  for (j in 1:3) {
    references[, j, , ] <- random_one_hot(c(2, 4, 5), random_state = j)
  }
  X <- random_one_hot(c(2, 4, 5), random_state = 0)
  all <- hypothetical_attributions(multipliers, X, references)
  expect_identical(dim(all), c(2L, 3L, 4L, 5L))
  for (j in 1:3) {
    alone <- hypothetical_attributions(
      array(multipliers[, j, , ], c(2, 4, 5)), X, array(references[, j, , ], c(2, 4, 5))
    )
    expect_equal(all[, j, , ], alone)
  }
})

test_that("the projection of a result is a plain array that keeps its names", {
  X <- test_sequences()
  raw <- deep_lift_shap(test_model("tiny"), X,
    raw_outputs = TRUE, return_references = TRUE, n_shuffles = 2L, random_state = 0
  )
  given <- hypothetical_attributions(raw, X, references(raw))
  expect_identical(class(given), "array")
  expect_identical(dimnames(given), dimnames(raw))
  expect_null(attr(given, "convergence_deltas"))
})

test_that("shapes that do not fit are errors of class seqlift_error_argument", {
  m <- array(0, c(1, 4, 12))
  X <- test_sequences(1L)
  expect_error(hypothetical_attributions(1, X, m), class = "seqlift_error_argument")
  expect_error(hypothetical_attributions("a", X, m), class = "seqlift_error_argument")
  expect_error(
    hypothetical_attributions(array(0, c(1, 12, 4)), X, array(0, c(1, 12, 4))),
    class = "seqlift_error_argument"
  )
  expect_error(
    hypothetical_attributions(m, X, array(0, c(1, 4, 11))),
    class = "seqlift_error_argument"
  )
  expect_error(hypothetical_attributions(m, "ACGT", m), class = "seqlift_error_argument")
  expect_error(hypothetical_attributions(m, X, "ACGTTGCAAGTC"), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, {
    hypothetical_attributions(1, X, m)
    hypothetical_attributions(m, X, array(0, c(1, 4, 11)))
    hypothetical_attributions(m, "ACGT", m)
  })
})
