# Whole copies and windows differ in the last digits of float32.
expect_close <- function(a, b) expect_equal(a, b, tolerance = 1e-6)

test_that("a function is called with the sequences and with all their shuffles", {
  X <- test_sequences(2L)
  watch <- letters_seen()
  result <- ablate(NULL, X, 2, 11, n = 4, func = watch$func, random_state = 0)
  shuffled <- dinucleotide_shuffle(X, 2, 11, n = 4, random_state = 0)
  expect_identical(watch$seen()[[1L]], unname(X))
  expected <- as.vector(vapply(1:4, function(j) unname(decode_one_hot(shuffled[, j, , ])), X))
  expect_identical(watch$seen()[[2L]], expected)
  expect_length(watch$seen(), 2L)
  # A shuffle keeps the bases.
  expect_identical(dim(result$after), c(2L, 4L, 4L))
  for (j in 1:4) {
    expect_identical(result$after[, j, ], result$before)
  }
  expect_identical(rownames(result$after), names(X))
})

test_that("each shuffle's prediction stands at its place", {
  X <- test_sequences()
  model <- test_model("tiny")
  for (shuffle in list(dinucleotide_shuffle, shuffle_region)) {
    result <- ablate(model, X, 2, 11, n = 3, shuffle = shuffle, random_state = 7, batch_size = 2)
    shuffled <- shuffle(X, 2, 11, n = 3, random_state = 7)
    expect_close(result$before, predict(model, X))
    for (j in 1:3) {
      expect_close(result$after[, j, ], predict(model, shuffled[, j, , ]))
    }
  }
  own <- function(X, start, end, n, random_state) {
    randomize_region(X, start, end, probs = c(0, 0, 1, 0), n = n, random_state = random_state)
  }
  result <- ablate(NULL, X, 2, 11, n = 2, shuffle = own, func = count_bases)
  expect_true(all(result$after[, , "G"] >= 10))
})

test_that("the shuffles of a sequence share its row of the other inputs", {
  X <- test_sequences()
  model <- test_model("two_heads")
  track <- array(seq_len(72) / 72, c(3, 2, 12))
  result <- ablate(model, X, 2, 11, n = 2, args = list(control_track = track), random_state = 1)
  shuffled <- dinucleotide_shuffle(X, 2, 11, n = 2, random_state = 1)
  expect_identical(lapply(result$after, dim), list(c(3L, 2L, 2L, 8L), c(3L, 2L, 1L)))
  for (j in 1:2) {
    expected <- predict(model, shuffled[, j, , ], args = list(track))
    expect_close(numbers_of(result$after[[1L]][, j, , ]), numbers_of(expected[[1L]]))
    expect_close(as.vector(result$after[[2L]][, j, ]), as.vector(expected[[2L]]))
  }
})

test_that("the seed of the shuffles is that of the function, unless it has its own", {
  X <- test_sequences(2L)
  model <- test_model("tiny")
  attributed <- function(X, seed) {
    numbers_of(deep_lift_shap(model, X, n_shuffles = 2, random_state = seed))
  }
  shuffled <- dinucleotide_shuffle(X, 2, 11, n = 2, random_state = 3)
  for (seed in list(NULL, 8)) {
    result <- ablate(model, X, 2, 11, 2,
      func = deep_lift_shap, n_shuffles = 2, random_state = 3,
      additional_func_kwargs = if (is.null(seed)) list() else list(random_state = seed)
    )
    used <- if (is.null(seed)) 3 else seed
    expect_equal(numbers_of(result$before), attributed(X, used))
    expect_equal(numbers_of(result$after[, 2L, , ]), attributed(shuffled[, 2L, , ], used),
      tolerance = 1e-6
    )
  }
})

test_that("set.seed() governs the shuffles", {
  X <- test_sequences()
  draw <- function(seed) {
    set.seed(seed)
    ablate(NULL, X, 1, 12, n = 3, func = function(model, X) X)$after
  }
  expect_identical(draw(1), draw(1))
  expect_false(identical(draw(1), draw(2)))
})

test_that("each annotation is shuffled on its own, with its sequence's inputs", {
  X <- test_sequences()
  model <- test_model("two_heads")
  track <- array(seq_len(72) / 72, c(3, 2, 12))
  annotations <- data.frame(
    example = c("three", "one", "three"), start = c(1, 2, 3), end = c(9, 12, 12)
  )
  for (n in 1:3) {
    some <- annotations[seq_len(n), ]
    result <- ablate_annotations(model, X, some, n = 2, args = list(track), random_state = 5)
    expect_identical(lapply(result$before, dim), list(c(n, 1L, 2L, 8L), c(n, 1L, 1L)))
    expect_identical(lapply(result$after, dim), list(c(n, 1L, 2L, 2L, 8L), c(n, 1L, 2L, 1L)))
    for (i in seq_len(n)) {
      at <- match(some$example[i], names(X))
      alone <- ablate(model, X[at], some$start[i], some$end[i],
        n = 2, args = list(track[at, , , drop = FALSE]), random_state = 5
      )
      expect_close(as.vector(result$before[[1L]][i, , , ]), as.vector(alone$before[[1L]]))
      expect_close(as.vector(result$before[[2L]][i, , ]), as.vector(alone$before[[2L]]))
      expect_close(as.vector(result$after[[1L]][i, , , , ]), as.vector(alone$after[[1L]]))
      expect_close(as.vector(result$after[[2L]][i, , , ]), as.vector(alone$after[[2L]]))
    }
  }
})

test_that("what does not fit is an error before the model is called", {
  X <- test_sequences(2L)
  for (region in list(c(0, 3), c(4, 3), c(1, 13), c(NA, 3))) {
    expect_error_before_call(function(func) ablate(NULL, X, region[1L], region[2L], func = func))
  }
  for (n in list(0, 1.5, "a")) {
    expect_error_before_call(function(func) ablate(NULL, X, 1, 12, n = n, func = func))
  }
  expect_error_before_call(function(func) ablate(NULL, X, 1, 12, shuffle = 1, func = func))
  expect_error_before_call(function(func) {
    ablate(NULL, X, 1, 12, shuffle = function(X, ...) X, func = func)
  })
  expect_error_before_call(function(func) ablate(NULL, "AAAAAA", 1, 6, func = func),
    "seqlift_error_shuffle"
  )
  expect_error_before_call(function(func) ablate(NULL, X, 1, 12, args = list(1:3), func = func),
    "seqlift_error_args"
  )
  good <- data.frame(example = 1, start = 1, end = 12)
  for (annotations in list(good[0L, ], transform(good, example = 3), transform(good, end = 13))) {
    expect_error_before_call(function(func) ablate_annotations(NULL, X, annotations, func = func),
      "seqlift_error_annotations"
    )
  }
  # The last of several cannot be shuffled.
  expect_error_before_call(function(func) {
    ablate_annotations(NULL, X, rbind(good, transform(good, end = 2)), func = func)
  }, "seqlift_error_shuffle")
})

test_that("the demo model misses the site that is shuffled away", {
  skip_on_cran()
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  X <- demo_sequences()["fly_planted_AGATAAG"]
  site <- ablate(model, X, 240, 266, n = 10, random_state = 0)
  beside <- ablate(model, X, 200, 226, n = 10, random_state = 0)
  expect_lt(summary(site)$effect, -0.3)
  expect_lt(abs(summary(beside)$effect), 0.15)
})
