# Functions for the verbs of perturbation whose results can be counted by hand.

# The number of each base in each sequence, [n, 4]: A, C, G, T.
count_bases <- function(model, X, ...) {
  rowSums(X[, 1:4, , drop = FALSE], dims = 2L)
}

# The same as two outputs: the bases by position, [n, 4, L], and their number.
two_outputs <- function(model, X, ...) list(X[, 1:4, , drop = FALSE], count_bases(model, X))

# A function that keeps the letters it was called with.
letters_seen <- function() {
  seen <- list()
  list(
    func = function(model, X, ...) {
      seen[[length(seen) + 1L]] <<- unname(decode_one_hot(X))
      count_bases(model, X)
    },
    seen = function() seen
  )
}

# `run(func)` must stop with an error of this class before it calls `func`.
expect_error_before_call <- function(run, class = "seqlift_error_argument") {
  calls <- 0L
  counting <- function(model, X, ...) {
    calls <<- calls + 1L
    count_bases(model, X)
  }
  error <- expect_error(run(counting), class = class)
  expect_s3_class(error, "seqlift_error")
  expect_identical(calls, 0L)
  invisible(error)
}

perturbation_info <- function(x) attr(x, "info", exact = TRUE)
