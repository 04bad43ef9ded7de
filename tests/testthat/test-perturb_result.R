# Tables and printing, on numbers that can be checked by hand.

# 3 backgrounds; effects of the two targets: 1, 2, 6 and 0, 0, 3.
by_hand <- function() {
  before <- matrix(c(1, 1, 2, 0, 5, 1), 3, dimnames = list(c("x", "y", "z"), NULL))
  change <- matrix(c(1, 2, 6, 0, 0, 3), 3)
  values <- list(before, before + change)
  calls <- 0L
  marginalize(NULL, c(x = "AAAA", y = "CCCC", z = "GGGG"), "T", func = function(model, X) {
    calls <<- calls + 1L
    values[[calls]]
  })
}

test_that("the table has a row for each background and target", {
  expect_identical(as.data.frame(by_hand()), data.frame(
    sequence = rep(c("x", "y", "z"), each = 2L), target = rep(1:2, 3L),
    before = c(1, 0, 1, 5, 2, 1), after = c(2, 0, 3, 5, 8, 4), effect = c(1, 0, 2, 0, 6, 3)
  ))
  expect_identical(row.names(as.data.frame(by_hand(), row.names = letters[1:6])), letters[1:6])
})

test_that("the summary has means and standard errors over the backgrounds", {
  effects <- summary(by_hand())
  expect_named(effects, c("target", "n", "before", "after", "effect", "std_error"))
  expect_identical(effects$n, c(3L, 3L))
  expect_equal(effects$before, c(4, 6) / 3)
  expect_equal(effects$after, c(13, 9) / 3)
  expect_equal(effects$effect, c(3, 1))
  expect_equal(effects$std_error, c(sd(c(1, 2, 6)), sd(c(0, 0, 3))) / sqrt(3))
})

test_that("one background has no standard error", {
  result <- marginalize(NULL, "AAAA", "T", func = count_bases)
  expect_identical(summary(result)$std_error, rep(NA_real_, 4L))
  expect_identical(summary(result)$effect, c(-1, 0, 0, 1))
})

test_that("shuffles are averaged before sequences", {
  # After: 10 i + j of sequence i and shuffle j; before: i.
  calls <- 0L
  func <- function(model, X) {
    calls <<- calls + 1L
    if (calls == 1L) 1:2 else as.vector(outer(10 * 1:2, 1:3, "+"))
  }
  result <- ablate(NULL, c("ACGTACGTTG", "ACGTTCGATG"), 1, 10, n = 3, func = func)
  expect_identical(dim(result$after), c(2L, 3L))
  effects <- summary(result)
  # The sequences' mean effects: 12 - 1 and 22 - 2.
  expect_equal(effects$effect, 15.5)
  expect_equal(effects$std_error, sd(c(11, 20)) / sqrt(2))
  expect_identical(effects$n, 2L)
  table <- as.data.frame(result)
  expect_identical(table$sequence, rep(1:2, each = 3L))
  expect_identical(table$shuffle, rep(1:3, 2L))
  expect_identical(table$effect, c(11:13 - 1, 21:23 - 2))
})

test_that("annotations are told by example and place; those ablated are averaged over shuffles", {
  X <- test_sequences(2L)
  annotations <- data.frame(example = c(2, 1), start = c(1, 3), end = c(12, 12))
  func <- function(model, X) X[, 1L, 6L]
  result <- ablate_annotations(NULL, X, annotations, n = 5, func = func, random_state = 0)
  effects <- summary(result)
  columns <- c("annotation", "example", "start", "end", "n")
  expect_identical(as.data.frame(effects)[columns], data.frame(
    annotation = c("two:1-12", "one:3-12"), example = c("two", "one"), start = c(1L, 3L),
    end = c(12L, 12L), n = c(5L, 5L)
  ))
  expect_equal(effects$effect, rowMeans(result$after[, 1L, ] - result$before[, 1L]) |> unname())
  expect_equal(effects$std_error, unname(apply(result$after[, 1L, ], 1L, sd)) / sqrt(5))
  expect_identical(nrow(as.data.frame(result)), 10L)
  expect_false("sequence" %in% names(as.data.frame(result)))
  stacked <- marginalize_annotations(NULL, X, X, annotations, func = func)
  expect_identical(as.data.frame(stacked)$sequence, rep(c("one", "two"), 2L))
})

test_that("several outputs stand one above the other", {
  result <- marginalize(NULL, c("AAAA", "CCCC"), motifs = c("G", "TT"), func = two_outputs)
  table <- as.data.frame(result)
  expect_identical(nrow(table), 2L * 2L * (16L + 4L))
  expect_named(table, c(
    "motif", "sequence", "output", "base", "position", "target", "before", "after", "effect"
  ))
  # The motif TT stands at 2 and 3 of the second sequence.
  chosen <- table$motif == "TT" & table$sequence == 2 & table$output == 1 & table$effect != 0
  expect_identical(table$base[chosen], c("C", "C", "T", "T"))
  expect_identical(table$position[chosen], c(2L, 3L, 2L, 3L))
  expect_identical(table$effect[chosen], c(-1, -1, 1, 1))
  total <- subset(table, output == 2 & motif == "TT" & sequence == 2)
  expect_identical(total$effect, c(0, -2, 0, 2))
  expect_identical(nrow(summary(result)), 2L * (16L + 4L))
})

test_that("outputs of other shapes are numbered", {
  func <- function(model, X) unname(aperm(X, c(1L, 3L, 2L)))
  result <- marginalize(NULL, c("AAAA", "CCCC"), "G", func = func)
  table <- as.data.frame(result)
  expect_named(table, c("sequence", "index_1", "index_2", "before", "after", "effect"))
  changed <- unique(table[table$effect == 1, c("index_1", "index_2")])
  expect_identical(unname(unlist(changed)), c(3L, 3L))
})

test_that("named outputs keep their names, within lists too", {
  func <- function(model, X) list(y0 = X[, 1L, ], y_hat = list(X[, 2L, ], X[, 3L, ]))
  result <- marginalize(NULL, c("AAAA", "CCCC"), "G", func = func)
  expect_identical(unique(as.data.frame(result)$output), c("y0", "y_hat.1", "y_hat.2"))
})

test_that("outputs of another shape after the change are refused", {
  calls <- 0L
  func <- function(model, X) {
    calls <<- calls + 1L
    matrix(0, 2, calls)
  }
  expect_error(marginalize(NULL, c("AAAA", "CCCC"), "G", func = func),
    class = "seqlift_error_output"
  )
})

test_that("arrays of every shape become a table with its numbers in place", {
  set.seed(1)
  for (shape in list(c(3L, 2L), c(3L, 2L, 5L), c(3L, 1L, 2L, 2L))) {
    values <- array(rnorm(prod(shape)), shape)
    table <- tidy_arrays(list(value = values), "sequence", NULL)
    index <- as.matrix(table[setdiff(names(table), "value")])
    expect_identical(values[index], table$value)
    expect_equal(
      mean_over(values, 2L), array(apply(values, seq_along(shape)[-2L], mean), shape[-2L])
    )
    expect_equal(
      standard_error(values, 1L),
      array(apply(values, seq_along(shape)[-1L], sd) / sqrt(3), shape[-1L])
    )
  }
})

test_that("a result prints what was done and the largest effects", {
  X <- test_sequences(2L)
  expect_snapshot({
    by_hand()
    marginalize(NULL, X, motifs = c(site = "GATA", "TT"), func = count_bases)
    marginalize(NULL, X, "GATA", func = two_outputs)
    substitution_effect(NULL, X, data.frame(example = 1, position = 1, alt = "T"),
      func = count_bases
    )
    summary(by_hand())
  })
})
