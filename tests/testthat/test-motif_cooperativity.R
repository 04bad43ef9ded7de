cooperating <- function(model, X, ..., motifs = c("GGA", "TCA")) {
  motif_cooperativity(model, X, motifs, ..., dtype = "float64")
}

test_that("interactions are those of edited sequences' predictions, by hand", {
  model <- test_model("functional")
  X <- decode_one_hot(random_one_hot(c(6L, 4L, 12L), random_state = 2))
  y <- function(X) unname(predict(model, X, dtype = "float64")[, 1L])
  for (scale in c("log", "linear")) {
    counts <- if (scale == "log") function(X) exp(y(X)) else y
    found <- suppressMessages(cooperating(model, X, c(0, 3), start = 2, count_scale = scale))
    for (i in 1:2) {
      second <- 2 + 3 + c(0, 3)[i]
      a <- substitute_motif(X, "GGA", start = 2)
      b <- substitute_motif(X, "TCA", start = second)
      ab <- substitute_motif(a, "TCA", start = second)
      f <- lapply(list(none = X, a = a, b = b, ab = ab), counts)
      additive <- f$ab - f$a - f$b + f$none
      own <- found[i, ]
      expect_equal(own$both, mean(f$ab))
      expect_equal(own$additive, mean(f$a + f$b - f$none))
      expect_equal(own$additive_interaction, mean(additive))
      expect_equal(own$additive_se, stats::sd(additive) / sqrt(6))
      if (scale == "log") {
        ratio <- log2(f$ab * f$none / (f$a * f$b))
        expect_equal(own$multiplicative, mean(f$a * f$b / f$none))
        expect_equal(own$multiplicative_interaction, mean(ratio))
        expect_equal(own$multiplicative_se, stats::sd(ratio) / sqrt(6))
      }
    }
    both <- suppressMessages(space_motifs(model, X, c("GGA", "TCA"), c(0, 3), start = 2))
    if (scale == "linear") {
      expect_equal(found$both, unname(colMeans(both$after[, , 1L])), tolerance = 1e-5)
    }
  }
})

test_that("without counts above 0 there is no multiplicative expectation, which is told", {
  expect_identical(
    interactions_of(c(1, 2), c(2, 3), c(3, -1), c(4, 5))$multiplicative_interaction, NA_real_
  )
  known <- interactions_of(c(1, 1), c(2, 4), c(3, 3), c(12, 12))
  expect_equal(known$additive_interaction, mean(c(8, 6)))
  expect_equal(known$multiplicative_interaction, mean(c(1, 0)))
})

test_that("the plot has a point and an error for each spacing and expectation", {
  model <- test_model("tiny")
  X <- test_sequences(4L)
  found <- cooperating(model, X, 0:3)
  drawn <- ggplot2::layer_data(plot(found), 2L)
  expect_identical(nrow(drawn), 8L)
  expect_equal(drawn$ymax - drawn$ymin,
    2 * c(found$additive_se, found$multiplicative_se)
  )
  expect_output(print(found), "GGA and TCA do together")
  expect_error(plot(found[c("spacing", "both")]), class = "seqlift_error_argument")
})

test_that("what cannot be compared is refused", {
  model <- test_model("tiny")
  X <- test_sequences(3L)
  refused <- function(...) expect_error(cooperating(...), class = "seqlift_error_argument")
  refused(model, X[1L], 1)
  refused(model, X, 1, motifs = "GGA")
  refused(model, X, 1, motifs = c("GGA", "TCA", "AAA"))
  refused(model, X, 9)
  refused(model, X, -1)
  refused(model, X, 1, count_scale = "log2")
  refused(model, X, 1, "more")
})
