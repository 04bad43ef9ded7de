# Every pair of substitutions written out and predicted.
slow_interactions <- function(model, X, target) {
  f <- function(sequence) mean(predict(model, sequence, dtype = "float64")[1, target])
  bases <- c("A", "C", "G", "T")
  l <- nchar(X)
  put <- function(sequence, position, base) {
    substr(sequence, position, position) <- base
    sequence
  }
  y0 <- f(X)
  result <- array(0, c(4L, l, 4L, l))
  for (i in seq_len(l - 1L)) {
    for (j in seq(i + 1L, l)) {
      for (b in 1:4) {
        for (c in 1:4) {
          one <- put(X, i, bases[b])
          other <- put(X, j, bases[c])
          value <- f(put(one, j, bases[c])) - f(one) - f(other) + y0
          result[b, i, c, j] <- result[c, j, b, i] <- value
        }
      }
    }
  }
  result
}

test_that("interactions are those of pairs of substitutions that are written out", {
  model <- test_model("tiny_float64")
  X <- unname(test_sequences(1L))
  expected <- slow_interactions(model, X, 1L)
  raw <- dependency_map(model, X, target = 1L, raw_outputs = TRUE)
  expect_identical(dim(raw), c(1L, 4L, 12L, 4L, 12L))
  expect_lt(largest_difference(raw[1, , , , ], expected), 1e-12)
  expect_gt(max(abs(expected)), 1e-3)
  map <- dependency_map(model, c(here = X), target = 1L, method = "full")
  expect_s3_class(map, "seqlift_dependency_map")
  expect_lt(largest_difference(map[1, , ], apply(abs(expected), c(2, 4), max)), 1e-12)
  expect_identical(diag(numbers_of(map)[1, , ]), numeric(12))
  expect_identical(attr(map, "X"), c(here = X))
})

test_that("a window of several sequences is a part of the whole map", {
  model <- test_model("tiny")
  X <- test_sequences(2L)
  whole <- dependency_map(model, X)
  part <- dependency_map(model, X, start = 4, end = 9)
  expect_lt(largest_difference(part, whole[, 4:9, 4:9]), 1e-5)
  expect_identical(attr(part, "start"), 4L)
  expect_identical(unname(attr(part, "X")), unname(substr(X, 4, 9)))
  expect_output(print(part), "2 sequences, positions 4 to 9")
})

test_that("bad arguments are told by class", {
  model <- test_model("tiny")
  expect_error(dependency_map(model, test_sequences(1L), start = 9, end = 3),
    class = "seqlift_error_argument"
  )
  heads <- with_args(test_model("two_heads"), list(control_track = 0))
  expect_error(dependency_map(heads, test_sequences(1L)), class = "seqlift_error_output")
  expect_error(dependency_map(model, test_sequences(1L), target = 50),
    class = "seqlift_error_target"
  )
})
