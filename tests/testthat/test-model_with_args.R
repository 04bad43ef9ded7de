# A model's inputs beside the sequences.

track_of <- function(n, fill = seq_len(n * 24) / 24) array(fill, c(n, 2L, 12L))

test_that("a single number fills the shape that the model takes", {
  X <- test_sequences()
  filled <- with_args(test_model("two_heads"), list(control_track = 2))
  expect_equal(
    predict(filled, X),
    predict(test_model("two_heads"), X, args = list(array(2, c(3, 2, 12))))
  )
  # Sequences of another length get a track of theirs.
  longer <- c("ACGTTGCAAGTCAC", "GGATTACAGATCGA")
  expect_equal(
    predict(filled, longer),
    predict(test_model("two_heads"), longer, args = list(array(2, c(2, 2, 14))))
  )
})

test_that("inputs are given by name or in the model's order", {
  X <- test_sequences()
  model <- test_model("two_inputs")
  track <- array(seq_len(36) / 36, c(3, 1, 12))
  cell_type <- matrix(c(1, 0, 0, 0, 2, 0, 0, 0, 3), 3)
  in_order <- predict(model, X, args = list(track, cell_type))
  by_name <- predict(model, X, args = list(cell_type = cell_type, track = track))
  expect_identical(by_name, in_order)
  both <- with_args(model, list(track, cell_type))
  expect_identical(predict(both, X), in_order)
  one_by_one <- model |>
    with_args(list(cell_type = cell_type)) |>
    with_args(list(track))
  expect_identical(predict(one_by_one, X), in_order)
  expect_false(isTRUE(all.equal(
    predict(model, X, args = list(track, 2 * cell_type)), in_order
  )))
})

test_that("an input with one row is the same for all sequences", {
  X <- test_sequences()
  model <- test_model("two_heads")
  one <- track_of(1L)
  three <- one[c(1L, 1L, 1L), , ]
  expect_identical(predict(model, X, args = list(one)), predict(model, X, args = list(three)))
})

test_that("every sequence gets its own row of an input, in every batch", {
  X <- test_sequences(5L)
  model <- select_output(test_model("two_heads"), 2)
  track <- track_of(5L)
  all <- predict(model, X, args = list(track), batch_size = 2L)
  alone <- vapply(1:5, function(i) {
    as.vector(predict(model, X[i], args = list(track[i, , , drop = FALSE])))
  }, 1)
  expect_equal(as.vector(all), alone, tolerance = 1e-6)
  expect_gt(diff(range(alone)), 0.01)
})

test_that("what a call gives takes the place of what was filled in", {
  X <- test_sequences()
  filled <- with_args(test_model("two_heads"), list(control_track = 0))
  expect_equal(
    predict(filled, X, args = list(control_track = track_of(3L))),
    predict(test_model("two_heads"), X, args = list(track_of(3L)))
  )
})

test_that("with_args() leaves the model it was given as it was", {
  model <- test_model("two_heads")
  with_args(model, list(control_track = 0))
  expect_error(predict(model, test_sequences()), class = "seqlift_error_args")
})

test_that("an input with a default need not be given, and can be", {
  X <- test_sequences()
  model <- with_args(test_model("two_inputs"), list(
    track = array(0, c(1, 1, 12)), cell_type = matrix(1, 1, 3)
  ))
  once <- predict(model, X)
  expect_equal(predict(model, X, args = list(scale = matrix(3, 1, 1))), 3 * once, tolerance = 1e-6)
})

test_that("attributions with filled in inputs are those with the inputs given", {
  X <- test_sequences()
  model <- select_output(test_model("two_heads"), 2)
  given <- deep_lift_shap(model, X, args = list(track_of(3L)), n_shuffles = 3L, random_state = 0)
  filled <- with_args(model, list(control_track = track_of(3L))) |>
    deep_lift_shap(X, n_shuffles = 3L, random_state = 0)
  expect_identical(numbers_of(filled), numbers_of(given))
})

test_that("a missing input is an error that says how to give it", {
  X <- test_sequences()
  for (verb in list(predict, deep_lift_shap, audit_model)) {
    expect_error(verb(test_model("two_heads"), X), class = "seqlift_error_args")
  }
  expect_snapshot(error = TRUE, {
    deep_lift_shap(test_model("two_heads"), X)
    predict(test_model("two_inputs"), X)
  })
})

test_that("inputs that the model does not have, or of a wrong kind or size, are errors", {
  X <- test_sequences()
  model <- test_model("two_heads")
  bad <- list(
    list(track = 0), list(1, 2), list(control_track = array(0, c(2, 2, 12))),
    list(control_track = "a"), list(control_track = NA), list(control_track = NULL),
    list(control_track = array(c(NaN, 0), c(3, 2, 12)))
  )
  for (args in bad) {
    expect_error(predict(model, X, args = args), class = "seqlift_error_args")
  }
  expect_error(with_args(model, list(track = 0)), class = "seqlift_error_args")
  expect_error(with_args(model, list(1, 2)), class = "seqlift_error_args")
  expect_error(with_args(test_model("tiny"), list(1)), class = "seqlift_error_args")
  expect_error(with_args("model.pt", list(1)), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, {
    predict(model, X, args = list(track = 0))
    predict(model, X, args = list(1, 2))
    predict(model, X, args = list(control_track = array(0, c(2, 2, 12))))
    predict(model, X, args = list(control_track = "a"))
    with_args(test_model("tiny"), list(control_track = 0))
  })
})

test_that("an input of a shape that the model does not take is an error", {
  expect_error(
    predict(test_model("two_heads"), test_sequences(), args = list(array(0, c(3, 2, 11)))),
    class = "seqlift_error_evaluation"
  )
})

test_that("a single number that does not tell its shape is an error that asks for an array", {
  X <- test_sequences()
  expect_error(predict(test_model("any_shape"), X, args = list(0)), class = "seqlift_error_args")
  expect_error(
    predict(test_model("two_inputs"), X, args = list(0, 0)),
    class = "seqlift_error_args"
  )
  expect_snapshot(error = TRUE, {
    predict(test_model("any_shape"), X, args = list(0))
    predict(test_model("two_inputs"), X, args = list(0, 0))
  })
})

test_that("the shape of a single number is looked for at one length and holds for the others", {
  model <- with_args(demo_model(), list(control_track = 0.25))
  plain <- demo_model()
  for (length in c(400L, 500L, 401L)) {
    X <- substr(demo_sequences()[1:2], 1L, length)
    track <- array(0.25, c(2L, 2L, length))
    expect_equal(predict(model, X), predict(plain, X, args = list(track)), info = length)
  }
  # One search, one entry.
  expect_length(grep("^control_track", ls(model$cache)), 1L)
})
