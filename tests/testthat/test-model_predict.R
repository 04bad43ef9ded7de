# predict() on the models of tests/models/make_models.py.

test_that("predictions are those of the network worked out by hand", {
  X <- test_sequences(4L)
  expected <- t(apply(one_hot_encode(X), 1L, tiny_by_hand))
  given <- predict(test_model("tiny"), X, dtype = "float64")
  # The weights were stored in float32.
  expect_equal(numbers_of(given), unname(expected), tolerance = 1e-7)
  expect_gt(min(abs(expected)), 1e-3)
})

test_that("a traced, a scripted and a double precision model predict the same", {
  X <- test_sequences()
  scripted <- predict(test_model("tiny"), X, dtype = "float64")
  expect_equal(predict(test_model("tiny_traced"), X, dtype = "float64"), scripted)
  expect_equal(predict(test_model("tiny_float64"), X), scripted, tolerance = 1e-7)
})

test_that("predictions carry the names of the sequences, and a row for each", {
  given <- predict(test_model("tiny"), test_sequences())
  expect_identical(dim(given), c(3L, 3L))
  expect_identical(rownames(given), c("one", "two", "three"))
  expect_null(dimnames(predict(test_model("tiny"), unname(test_sequences()))))
})

test_that("a model with several outputs gives a list of arrays", {
  model <- test_model("two_heads")
  both <- predict(model, test_sequences(), args = list(array(0, c(3, 2, 12))))
  expect_type(both, "list")
  expect_identical(lapply(both, dim), list(c(3L, 2L, 8L), c(3L, 1L)))
  expect_identical(rownames(both[[2L]]), c("one", "two", "three"))
})

test_that("letters, a DNAStringSet and an array give the same predictions", {
  X <- test_sequences()
  model <- test_model("tiny")
  letters <- predict(model, X)
  expect_identical(predict(model, one_hot_encode(X)), letters)
  expect_identical(predict(model, tolower(X)), letters)
  skip_if_not_installed("Biostrings")
  expect_identical(predict(model, Biostrings::DNAStringSet(X)), letters)
})

test_that("batch size, threads and the order of the sequences do not matter", {
  X <- test_sequences(5L)
  model <- test_model("functional")
  all <- predict(model, X)
  for (batch_size in c(1L, 2L, 5L, 1000L)) {
    expect_equal(predict(model, X, batch_size = batch_size), all, tolerance = 1e-6)
  }
  expect_equal(with_threads(1L, predict(model, X, batch_size = 2L)), all, tolerance = 1e-6)
  expect_equal(with_threads(2L, predict(model, X, batch_size = 2L)), all, tolerance = 1e-6)
  order <- c(4L, 1L, 5L, 3L, 2L)
  expect_equal(predict(model, X[order]), all[order, ], tolerance = 1e-6)
})

test_that("dtype chooses the precision and leaves the model as it is", {
  X <- test_sequences()
  model <- test_model("scaled")
  native <- predict(model, X)
  exact <- predict(model, X, dtype = "float64")
  coarse <- predict(model, X, dtype = "bfloat16")
  expect_lt(largest_difference(native, exact), 1e-6)
  expect_gt(largest_difference(native, exact), 0)
  expect_lt(largest_difference(coarse, exact), 0.02)
  expect_gt(largest_difference(coarse, exact), largest_difference(native, exact))
  expect_identical(predict(model, X), native)
  expect_identical(predict(model, X, dtype = "float32"), native)
})

test_that("a model saved in training mode predicts as in evaluation mode", {
  model <- test_model("training")
  X <- test_sequences()
  expect_identical(predict(model, X), predict(model, X))
  # Batch normalisation by the batch would make a sequence depend on those beside it.
  expect_equal(predict(model, X[2L]), predict(model, X)[2L, , drop = FALSE], tolerance = 1e-6)
})

test_that("a model that squeezes the row of a single sequence away gives that row", {
  model <- test_model("squeezed")
  all <- predict(model, test_sequences())
  expect_identical(dim(all), 3L)
  alone <- predict(model, test_sequences()[2L])
  expect_identical(dim(alone), 1L)
  expect_identical(as.vector(alone), all[["two"]])
})

test_that("channels behind the four bases reach the model", {
  X <- array(0, c(2, 6, 12))
  X[, 1:4, ] <- one_hot_encode(test_sequences(2L))
  without <- predict(test_model("extra_channels"), X)
  X[2L, 5:6, ] <- 1
  with_signal <- predict(test_model("extra_channels"), X)
  expect_identical(with_signal[1L, ], without[1L, ])
  expect_gt(abs(with_signal[2L, ] - without[2L, ]), 1e-3)
})

test_that("an N is a column of zeros to the model", {
  X <- one_hot_encode("ACGTNGCAAGTC")
  given <- predict(test_model("tiny"), "ACGTNGCAAGTC", dtype = "float64")
  expect_equal(as.vector(given), tiny_by_hand(X[1L, , ]), tolerance = 1e-7)
})

test_that("verbose shows a progress bar and changes nothing", {
  X <- test_sequences()
  model <- test_model("tiny")
  expect_identical(suppressMessages(predict(model, X, verbose = TRUE)), predict(model, X))
})

test_that("probabilities are predicted with a warning", {
  X <- array(0.25, c(1, 4, 12))
  expect_warning(given <- predict(test_model("tiny"), X), class = "seqlift_warning_one_hot")
  expect_equal(as.vector(given), tiny_by_hand(X[1L, , ]), tolerance = 1e-6)
})

test_that("sequences that cannot be read are errors of class seqlift_error_sequence", {
  model <- test_model("tiny")
  bad <- list(
    "ACGTTGCAAGTX", c("ACGT", "ACG"), character(), NA_character_, array(NaN, c(1, 4, 12)),
    array(0, c(1, 3, 12)), 5, NULL, list("ACGT")
  )
  for (X in bad) {
    expect_error(predict(model, X), class = "seqlift_error_sequence")
  }
})

test_that("arguments that do not fit are errors of class seqlift_error_argument", {
  model <- test_model("tiny")
  X <- test_sequences()
  expect_error(predict(model, X, batch_size = 0), class = "seqlift_error_argument")
  expect_error(predict(model, X, dtype = "int8"), class = "seqlift_error_argument")
  expect_error(predict(model, X, device = "gpu"), class = "seqlift_error_argument")
  expect_error(predict(model, X, verbose = NA), class = "seqlift_error_argument")
  expect_error(predict(model, X, target = 1), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, {
    predict(model, X, batch_size = 0)
    predict(model, X, dtype = "int8")
    predict(model, X, device = "gpu")
  })
})

test_that("an output without a row for each sequence is an error of class seqlift_error_output", {
  X <- test_sequences()
  expect_error(predict(test_model("whole_batch"), X), class = "seqlift_error_output")
  expect_error(predict(test_model("looped_heads"), X), class = "seqlift_error_output")
  expect_snapshot(error = TRUE, {
    predict(test_model("whole_batch"), X)
    predict(test_model("looped_heads"), X)
  })
})

test_that("sequences of a length that the model does not take are an error with a hint", {
  # The words after "failed:" are LibTorch's and change with its version.
  expect_error(
    predict(test_model("tiny"), "ACGTACGT"), "linear in dense (Linear)",
    class = "seqlift_error_evaluation", fixed = TRUE
  )
  expect_error(
    predict(test_model("tiny"), "ACGTACGT"),
    "the length and the channels of `X`, here 8 bp and 4"
  )
  expect_error(
    predict(test_model("extra_channels"), test_sequences()),
    class = "seqlift_error_evaluation"
  )
})

test_that("sequences too short for the model are an error that says what was left of them", {
  X <- "ACGTTGCATGAC"
  filled <- list(control_track = array(0, c(1, 2, 12)))
  model <- with_args(demo_model(), filled)
  expect_error(predict(select_output(model, 2), X), class = "seqlift_error_length")
  expect_error(predict(select_output(model, 1), X), "2 x 0", class = "seqlift_error_length")
  expect_error(
    deep_lift_shap(profile_score(model), X, n_shuffles = 2L),
    class = "seqlift_error_length"
  )
  number <- with_args(demo_model(), list(control_track = 0))
  expect_error(predict(select_output(number, 2), X), "bpnet.py", class = "seqlift_error_length")
  expect_snapshot(predict(select_output(model, 2), X), error = TRUE)
})

test_that("outputs in a dictionary or a NamedTuple are several outputs, by their names", {
  X <- test_sequences()
  plain <- predict(test_model("heads"), X)
  expect_named(plain, c("profile", "counts"))
  expect_identical(lapply(plain, dim), list(profile = c(3L, 12L), counts = c(3L, 1L)))
  expect_identical(predict(test_model("named_heads"), X), plain)
  expect_equal(predict(test_model("heads_traced"), X), plain, tolerance = 1e-6)
  # A dictionary that the code fills line by line.
  expect_identical(predict(test_model("collected_heads"), X), plain)
  for (name in c("heads", "named_heads", "heads_traced", "collected_heads")) {
    model <- test_model(name)
    made <- list(
      with_args(model, list()), reverse_complement_average(model), ensemble(model, model),
      load_model(save_model(reverse_complement_average(model), tempfile(fileext = ".pt")))
    )
    for (one in made) {
      expect_named(predict(one, X), names(plain))
    }
    expect_equal(predict(made[[3L]], X), plain, tolerance = 1e-6)
    for (i in 1:2) {
      one <- select_output(model, i)
      expect_equal(predict(one, X), plain[[i]], tolerance = 1e-6)
      explained <- deep_lift_shap(
        one, X, target = 1, n_shuffles = 3, random_state = 0, dtype = "float64"
      )
      expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
    }
    # What only the other head needs is not computed.
    expect_false("linear" %in% audit_model(select_output(model, 1), X)$op)
  }
  # Of a dictionary of one the value is the output.
  expect_identical(dim(predict(test_model("dictionary"), X)), c(3L, 3L))
})
