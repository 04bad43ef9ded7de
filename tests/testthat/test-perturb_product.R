# Sequences and further inputs told apart by their numbers: [n, 2].
tell_apart <- function(model, X, args, ...) {
  sums <- lapply(args, function(one) as.vector(rowSums(one)))
  cbind(code = letter_codes(X), inputs = Reduce(`+`, sums))
}

letter_codes <- function(X) {
  weights <- 5^(seq_len(dim(X)[3L]) - 1)
  apply(X, 1L, function(one) sum((0:3) %*% one * weights))
}

code_of <- function(letters) letter_codes(one_hot_encode(letters))

test_that("every sequence meets every row, the rows of the inputs together", {
  X <- c(a = "ACG", b = "TTG", c = "CAC")
  args <- list(matrix(c(1, 2, 3, 4), 4), matrix(10 * 1:8, 4))
  result <- apply_pairwise(tell_apart, NULL, X, args)
  expect_identical(dim(result), c(3L, 4L, 2L))
  expect_identical(rownames(result), names(X))
  for (i in 1:3) {
    for (j in 1:4) {
      expect_equal(unname(result[i, j, 1L]), code_of(X[[i]]))
      expect_equal(unname(result[i, j, 2L]), args[[1L]][j] + sum(args[[2L]][j, ]))
    }
  }
})

test_that("every sequence meets every row of every input", {
  X <- c(a = "ACG", b = "TTG", c = "CAC")
  args <- list(matrix(1:4, 4), matrix(c(10, 20), 2, dimnames = list(c("low", "high"), NULL)),
    matrix(100 * 1:3, 3)
  )
  result <- apply_product(tell_apart, NULL, X, args)
  expect_identical(dim(result), c(3L, 4L, 2L, 3L, 2L))
  expect_identical(dimnames(result)[[3L]], c("low", "high"))
  expected <- outer(outer(1:4, c(10, 20), "+"), 100 * 1:3, "+")
  for (i in 1:3) {
    expect_equal(unname(result[i, , , , 2L]), expected)
    expect_true(all(result[i, , , , 1L] == code_of(X[[i]])))
  }
})

test_that("the batch decides on the calls and not on the result", {
  X <- test_sequences()
  model <- test_model("two_inputs")
  track <- array(seq_len(60) / 60, c(5, 1, 12))
  cell_type <- matrix(sin(1:15), 5)
  args <- list(track = track, cell_type = cell_type)
  result <- apply_pairwise(predict, model, X, args)
  expect_identical(dim(result), c(3L, 5L, 1L))
  for (j in 1:5) {
    alone <- predict(model, X, args = list(
      track = track[rep(j, 3), , , drop = FALSE], cell_type = cell_type[rep(j, 3), ]
    ))
    expect_equal(result[, j, ], alone[, 1L], tolerance = 1e-6)
  }
  for (batch_size in c(1L, 7L, 100L)) {
    expect_equal(apply_pairwise(predict, model, X, args, batch_size = batch_size), result,
      tolerance = 1e-6
    )
  }
  calls <- 0L
  counting <- function(model, X, args, batch_size) {
    calls <<- calls + 1L
    expect_lte(dim(X)[1L], 6L)
    tell_apart(model, X, args)
  }
  apply_pairwise(counting, NULL, X, list(cell_type), batch_size = 7)
  expect_identical(calls, 3L)
})

test_that("all outputs are kept, lists within lists too", {
  X <- test_sequences(2L)
  model <- test_model("two_heads")
  track <- array(seq_len(72) / 72, c(3, 2, 12))
  result <- apply_product(predict, model, X, list(track))
  expect_identical(lapply(result, dim), list(c(2L, 3L, 2L, 8L), c(2L, 3L, 1L)))
  alone <- predict(model, X, args = list(track[c(2, 2), , ]))
  expect_equal(numbers_of(result[[1L]][, 2L, , ]), numbers_of(alone[[1L]]))
  nested <- apply_pairwise(marginalize, model, X, list(track), motif = "GATA")
  expect_named(nested, c("before", "after"))
  after <- marginalize(model, X, "GATA", args = list(track[c(3, 3), , ]))$after
  expect_equal(numbers_of(nested$after[[1L]][, 3L, , ]), numbers_of(after[[1L]]))
  expect_equal(as.vector(nested$after[[2L]][, 3L, ]), as.vector(after[[2L]]))
})

test_that("attributions go through, and a number is the same everywhere", {
  X <- test_sequences(2L)
  model <- select_output(test_model("two_heads"), 2)
  track <- array(seq_len(72) / 72, c(3, 2, 12))
  references <- reversed_references(X)
  one <- list(control_track = 1)
  filled <- apply_pairwise(predict, model, X, one)
  expect_equal(filled[, 1L, ], predict(with_args(model, one), X)[, 1L])
  result <- apply_pairwise(deep_lift_shap, model, X, list(track),
    references = dinucleotide_shuffle, n_shuffles = 2, random_state = 0
  )
  alone <- deep_lift_shap(model, X, list(track[c(2, 2), , ]), n_shuffles = 2, random_state = 0)
  expect_identical(dim(result), c(2L, 3L, 4L, 12L))
  expect_equal(numbers_of(result[, 2L, , ]), numbers_of(alone), tolerance = 1e-5)
})

test_that("arguments that cannot be are an error before the function is called", {
  X <- c("ACG", "TTG")
  for (args in list(list(), list(numeric()), list(NA), list("a"), list(matrix(0, 0, 2)))) {
    expect_error_before_call(function(func) apply_pairwise(func, NULL, X, args),
      "seqlift_error_args"
    )
    expect_error_before_call(function(func) apply_product(func, NULL, X, args),
      "seqlift_error_args"
    )
  }
  expect_error_before_call(function(func) apply_product(func, NULL, X, 1:3), "seqlift_error_args")
  error <- expect_error_before_call(function(func) {
    apply_pairwise(func, NULL, X, list(1:3, matrix(0, 2, 2)))
  }, "seqlift_error_args")
  expect_match(conditionMessage(error), "same number of rows, not 3 and 2")
  expect_error_before_call(function(func) apply_pairwise(func, NULL, "AX", list(1:3)),
    "seqlift_error_sequence"
  )
  expect_error_before_call(function(func) apply_pairwise(func, NULL, X, list(1:3), batch_size = 0))
  expect_error(apply_product(1, NULL, X, list(1:3)), class = "seqlift_error_argument")
})
