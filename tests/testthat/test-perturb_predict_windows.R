run_windows <- function(model, X, row, start, content, args = NULL, batch_size = 4L) {
  predict_windows(
    model, as_sequences(X, extra_channels = TRUE), row, start, content, args, batch_size,
    "float64", "cpu", FALSE
  )
}

# The same edits, one after the other, on whole sequences.
edit_in_full <- function(X, row, start, content) {
  X <- X[row, , , drop = FALSE]
  for (i in seq_along(row)) {
    at <- seq(start[i], length.out = dim(content)[3L])
    X[i, 1:4, at] <- content[i, , ]
  }
  X
}

test_that("predictions of windows are those of the edited sequences, in any batches", {
  model <- test_model("tiny")
  X <- one_hot_encode(test_sequences(3L))
  row <- c(1L, 1L, 2L, 3L, 3L, 1L, 2L)
  for (width in c(1L, 3L, 12L)) {
    start <- c(1L, 13L - width, rep(max(1L, 7L - width), 5L))
    content <- random_one_hot(c(7, 4, width), random_state = width)
    expected <- predict(model, unname(edit_in_full(X, row, start, content)), dtype = "float64")
    for (batch_size in c(1L, 4L, 7L)) {
      got <- run_windows(model, test_sequences(3L), row, start, content, batch_size = batch_size)
      expect_length(got, 1L)
      expect_equal(got[[1L]], expected, tolerance = 1e-14)
    }
  }
})

test_that("each edit goes with the further inputs and the extra channels of its sequence", {
  model <- test_model("two_inputs")
  X <- one_hot_encode(test_sequences(2L))
  args <- list(
    track = array(seq_len(24) / 24, c(2, 1, 12)), cell_type = rbind(c(1, 0, 0), c(0, 2, 1))
  )
  row <- c(2L, 1L, 2L)
  content <- random_one_hot(c(3, 4, 2), random_state = 5)
  edited <- unname(edit_in_full(X, row, 4:6, content))
  own <- list(track = args$track[row, , , drop = FALSE], cell_type = args$cell_type[row, ])
  expect_equal(
    run_windows(model, X, row, 4:6, content, args)[[1L]],
    predict(model, edited, args = own, dtype = "float64")
  )
  # Filled in beforehand, and the others by name.
  filled <- with_args(model, list(cell_type = matrix(c(1, 2, 3), 1)))
  own$cell_type <- matrix(c(1, 2, 3), 3, 3, byrow = TRUE)
  expect_equal(
    run_windows(filled, X, row, 4:6, content, args["track"])[[1L]],
    predict(model, edited, args = own, dtype = "float64")
  )
})

test_that("all outputs of a model are returned", {
  model <- with_args(test_model("two_heads"), list(control_track = 0))
  X <- one_hot_encode(test_sequences(1L))
  content <- random_one_hot(c(5, 4, 1), random_state = 5)
  got <- run_windows(model, X, rep(1L, 5), 1:5, content)
  expected <- predict(model, edit_in_full(X, rep(1L, 5), 1:5, content), dtype = "float64")
  expect_equal(got, lapply(expected, unname))
})
