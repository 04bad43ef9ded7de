# Windows by hand: base p of sequence i has the number 100 i + p.
global_input <- function(X) {
  one_hot <- one_hot_encode(X)
  numbers <- 100 * slice.index(one_hot, 1L) + slice.index(one_hot, 3L)
  new_attributions(one_hot * numbers, X, matrix(0, length(X), 0L), NULL, "attributions")
}

test_that("sequences are aligned on their centres; the mean and spread are those of the columns", {
  X <- c(a = "ACGTACGTA", b = "CCGGTTAAC", c = "GATTACATT")
  x <- global_input(X)
  table <- plot_global(x, flank = 2L)$data
  # Position 5 is the centre of 9.
  expect_identical(table$offset, -2:2)
  expect_equal(table$mean, 200 + 3:7)
  expect_equal(table$high - table$mean, rep(100, 5L))
  expect_equal(table$mean - table$low, rep(100, 5L))
  expect_identical(table$places, rep(3L, 5L))
  error <- plot_global(x, flank = 2L, spread = "standard_error")$data
  expect_equal(error$high - error$mean, rep(100 / sqrt(3), 5L))
  quartiles <- plot_global(x, flank = 2L, spread = "quartiles")$data
  expect_equal(cbind(quartiles$low, quartiles$high), cbind(150 + 3:7, 250 + 3:7))
  # As far as the sequences go, and what an even length has in its middle.
  expect_identical(plot_global(x, flank = NULL)$data$offset, -4:4)
  even <- global_input(substr(X, 1L, 8L))
  expect_equal(plot_global(even, flank = 0L)$data$mean, 205)
})

test_that("motifs are found on both strands, and turned around on the reverse one", {
  # GATTA at 3 of a; TAATC, its reverse complement, at 2 of b.
  X <- c(a = "CCGATTACC", b = "CTAATCCCC")
  x <- global_input(X)
  table <- plot_global(x, "GATTA", flank = 2L)$data
  expect_equal(table$mean, (100 + 3:7 + 200 + 6:2) / 2)
  expect_identical(plot_global(x, "gattr", flank = 1L)$data$mean, table$mean[2:4])
  # Letters are those of the motif: bases of b are complements.
  bases <- global_panel(x, "GATTA", 2L, NULL, "standard_deviation", factor("a"), NULL)$bases
  expect_identical(bases$base, c("G", "A", "T", "T", "A"))
  expect_identical(bases$x, -2:2)
  expect_equal(bases$height, table$mean)
})

test_that("positions beyond the end of a sequence are left out of the mean there", {
  X <- c(a = "GATTACCCC", b = "CCCCGATTA")
  x <- global_input(X)
  table <- plot_global(x, "GATTA", flank = 4L)$data
  # The motif's middle is 3 in a and 7 in b.
  expect_identical(table$places, c(1L, 1L, 2L, 2L, 2L, 2L, 2L, 1L, 1L))
  expect_equal(table$mean, c(203, 204, 153:157, 106, 107))
  expect_true(all(is.na(table$low[table$places == 1L])))
})

test_that("overlapping motifs and palindromes are each found once a place", {
  count <- function(X, motif) nrow(motif_sites(motif, observed_bases(global_input(X)), NULL))
  expect_identical(count(c("AAAAC", "CCCCC"), "AAA"), 2L)
  expect_identical(count(c("CACGTGC", "CCCCCCC"), "CACGTG"), 1L)
  expect_identical(count(c("AAAACTTTT", "CCCCCCCCC"), "AAAA"), 2L)
  expect_identical(count(c("ANAAC", "CCCCC"), "ANA"), 0L)
})

test_that("tables of places, hits and windows are aligned on their middles", {
  X <- c(a = "ACGTACGTA", b = "CCGGTTAAC")
  x <- global_input(X)
  places <- data.frame(
    example = c(1L, 2L), start = c(3L, 4L), end = c(6L, 6L), strand = c("+", "-")
  )
  # The middle of 3 to 6 is 4, of 4 to 6 it is 5.
  expect_equal(plot_global(x, places, flank = 1L)$data$mean, (100 + 3:5 + 200 + 6:4) / 2)
  places$strand[1L] <- "-"
  # Of an even number that left of the middle, as the strand is read: 5.
  expect_equal(plot_global(x, places, flank = 0L)$data$mean, (105 + 205) / 2)
  places$strand <- NULL
  places$example <- NULL
  places$sequence <- c("b", "a")
  expect_equal(plot_global(x, places, flank = 0L)$data$mean, (204 + 105) / 2)
})

test_that("arrays need their sequences for a motif, and several results have a panel each", {
  X <- c(a = "ACGTACGTA", b = "CCGTTTAAC")
  x <- global_input(X)
  plain <- as.array(x)
  expect_error(
    plot_global(plain, "CGT", flank = 1L), "`X` must be", class = "seqlift_error_argument"
  )
  expect_equal(
    plot_global(plain, "CGT", flank = 1L, X = X)$data$mean,
    plot_global(x, "CGT", flank = 1L)$data$mean
  )
  both <- plot_global(list(one = x, two = x), flank = 1L)
  expect_identical(levels(both$data$panel), c("one", "two"))
  expect_identical(nrow(ggplot2::ggplot_build(both)$layout$layout), 2L)
})

test_that("effects and hypothetical attributions are those of the letters that are there", {
  X <- c(a = "ACGTACGTA", b = "CCGGTTAAC")
  model <- load_model(model_path("tiny"))
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC")
  results <- list(
    taylor_ism(model, X),
    deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0, hypothetical = TRUE)
  )
  for (x in results) {
    table <- plot_global(x, flank = 3L)$data
    expected <- colMeans(observed_values(x)[, 4:10, 1L])
    expect_equal(table$mean, expected)
  }
})

test_that("what cannot be aligned is refused", {
  X <- c(a = "ACGTACGTA", b = "CCGGTTAAC")
  x <- global_input(X)
  refused <- function(words, ...) {
    expect_error(plot_global(x, ...), words, class = "seqlift_error_argument")
  }
  refused("at least two places", "GGTT")
  refused("motif in letters", "GATX")
  refused("motif in letters", "")
  refused("flank", "GG", NULL)
  refused("flank", flank = -1)
  refused("spread", spread = "all")
  refused("align", TRUE)
  refused("does not know", another = 1)
  expect_error(plot_global(list(x, x)), "name of its own", class = "seqlift_error_argument")
  expect_error(plot_global(x[1L, , ]), "at least two places", class = "seqlift_error_argument")
})
