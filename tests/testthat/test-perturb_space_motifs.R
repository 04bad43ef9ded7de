backgrounds <- c(first = "AAAAAAAAAAAA", second = "CCCCCCCCCCCC")

test_that("the motifs stand at each spacing", {
  watch <- letters_seen()
  result <- space_motifs(NULL, backgrounds, c("GG", "TNT"), c(0, 3), func = watch$func)
  expect_identical(watch$seen(), list(
    unname(backgrounds), c("AAAAGGTATAAA", "CCCCGGTCTCCC"), c("AAGGAAATATAA", "CCGGCCCTCTCC")
  ))
  expect_identical(dim(result$before), c(2L, 4L))
  expect_identical(dim(result$after), c(2L, 2L, 4L))
  expect_identical(rownames(result$after), names(backgrounds))
})

test_that("every arrangement is that of substitute_motifs()", {
  X <- test_sequences()
  model <- test_model("tiny")
  motifs <- list("GA", one_hot_encode(test_sequences())[, , 1:3], "T")
  spacings <- rbind(c(0, 3), c(4, 1), c(2, 2))
  result <- space_motifs(model, X, motifs, spacings, start = 2)
  for (i in 1:3) {
    expected <- predict(model, substitute_motifs(X, motifs, spacings[i, ], start = 2))
    expect_equal(result$after[, i, ], expected, tolerance = 1e-6)
  }
  centred <- space_motifs(model, X, motifs[1:2], c(0, 5))
  expect_equal(centred$after[, 2L, ], predict(model, substitute_motifs(X, motifs[1:2], 5)),
    tolerance = 1e-6
  )
})

test_that("all outputs and the other inputs are kept", {
  X <- test_sequences()
  track <- array(seq_len(72) / 72, c(3, 2, 12))
  model <- test_model("two_heads")
  result <- space_motifs(model, X, c("GA", "TA"), 1:4, args = list(track))
  expect_identical(lapply(result$after, dim), list(c(3L, 4L, 2L, 8L), c(3L, 4L, 1L)))
  expected <- predict(model, substitute_motifs(X, c("GA", "TA"), 3), args = list(track))
  expect_equal(numbers_of(result$after[[1L]][, 3L, , ]), numbers_of(expected[[1L]]))
  expect_equal(as.vector(result$after[[2L]][, 3L, ]), as.vector(expected[[2L]]))
})

test_that("the tables tell the spacings", {
  result <- space_motifs(NULL, backgrounds, c("GG", "T"), c(0, 3), func = count_bases)
  effects <- summary(result)
  expect_identical(effects$spacing, rep(c(0, 3), each = 4L))
  expect_identical(effects$effect[effects$target == "G"], c(2, 2))
  three <- space_motifs(NULL, backgrounds, c("GG", "T", "T"), rbind(c(0, 3)), func = count_bases)
  expect_identical(as.data.frame(three)[1L, c("spacing_1", "spacing_2")],
    data.frame(spacing_1 = 0, spacing_2 = 3)
  )
})

test_that("what does not fit is an error before the model is called", {
  spaced <- function(...) function(func) space_motifs(NULL, backgrounds, ..., func = func)
  two <- c("GGG", "TTT")
  for (spacings in list(
    -1, 0.5, NA, "a", 7, numeric(), matrix(0, 2, 2), array(1:2, 2L), list(1, 2), c(1, 9)
  )) {
    expect_match(
      conditionMessage(expect_error_before_call(spaced(two, spacings))), "`spacings` must be"
    )
  }
  expect_error_before_call(spaced(c(two, "A"), c(1, 2)))
  expect_error_before_call(spaced(two, 1, start = 7))
  expect_error_before_call(spaced("GATA", 1))
  expect_error_before_call(spaced(list("GG", strrep("A", 12)), 0))
  expect_error_before_call(spaced(c("GG", "TX"), 1), "seqlift_error_sequence")
  expect_error_before_call(spaced(two, 1, args = list(1:3)), "seqlift_error_args")
})
