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

# ---- results to draw, on numbers that can be checked by hand -----------------------------

# A function whose results are given one after the other.
one_after_another <- function(...) {
  values <- list(...)
  calls <- 0L
  function(model, X) {
    calls <<- calls + 1L
    values[[calls]]
  }
}

backgrounds <- c("AAAA", "CCCC", "GGGG")

# 3 backgrounds, 6 targets: the effect of target t in background b is b * (4 - t).
six_targets <- function() {
  before <- outer(1:3, 1:6, function(b, t) 10 * b + t)
  effect <- outer(1:3, 1:6, function(b, t) b * (4 - t))
  marginalize(NULL, backgrounds, "T", func = one_after_another(before, before + effect))
}

# Two motifs: effects (1, -2) and (-3, 5) of two targets in every background.
two_motifs <- function() {
  before <- matrix(0, 3, 2)
  marginalize(NULL, backgrounds,
    motifs = c(up = "T", down = "TT"),
    func = one_after_another(
      before, matrix(c(1, -2), 3, 2, byrow = TRUE), matrix(c(-3, 5), 3, 2, byrow = TRUE)
    )
  )
}

# Profiles [3, 2, 5] of two tracks.
profiles <- function() {
  before <- array(seq_len(30), c(3, 2, 5))
  marginalize(NULL, backgrounds, "T", func = one_after_another(before, before + 1))
}

data_of <- function(plot) plot$data
