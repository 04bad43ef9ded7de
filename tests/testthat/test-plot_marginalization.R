# Which output of a perturbation is drawn, how, and what is refused.

test_that("shuffles are averaged before they are drawn", {
  calls <- 0L
  func <- function(model, X) {
    calls <<- calls + 1L
    if (calls == 1L) 1:2 else as.vector(outer(10 * 1:2, 1:3, "+"))
  }
  result <- ablate(NULL, c("ACGTACGTTG", "ACGTTCGATG"), 1, 10, n = 3, func = func)
  points <- ggplot2::layer_data(plot(result), 2L)
  expect_equal(points$x, c(1, 2))
  expect_equal(points$y, c(12, 22))
})

test_that("ablated annotations are compared by shuffle", {
  X <- test_sequences(2L)
  annotations <- data.frame(example = c(2, 1), start = c(1, 3), end = c(12, 12))
  result <- ablate_annotations(NULL, X, annotations,
    n = 4, func = function(model, X) X[, 1L, 6L], random_state = 0
  )
  cells <- data_of(plot_marginalization(result, "heatmap"))
  expect_identical(rev(levels(cells$row)), c("two:1-12", "one:3-12"))
  expect_equal(cells$value[cells$row == "two:1-12"], result$after[1L, 1L, ] - result$before[1L, 1L])
})

test_that("the type follows the shape of the output", {
  type_of <- function(plot) class(plot$layers[[length(plot$layers)]]$geom)[1L]
  expect_identical(type_of(plot(six_targets())), "GeomTile")
  expect_identical(type_of(plot(profiles())), "GeomLine")
  one <- marginalize(NULL, backgrounds, "T", func = one_after_another(1:3, 2:4))
  expect_identical(type_of(plot(one)), "GeomPoint")
  eight <- marginalize(NULL, backgrounds, motifs = rep("T", 8), func = function(model, X) X[, 1, 3])
  expect_identical(type_of(plot(eight)), "GeomTile")
  flat <- plot_marginalization(six_targets(), "profile")
  expect_equal(ggplot2::layer_data(flat)$x, rep(1:6, 2))
})

test_that("of several outputs the first that fits is drawn, or the one that is asked for", {
  result <- marginalize(NULL, backgrounds, "T", func = function(model, X) {
    list(profile = X, counts = rowSums(X[, 4L, ]))
  })
  expect_equal(ggplot2::layer_data(plot_marginalization(result, "scatter"), 2L)$y, rep(1, 3))
  expect_identical(nrow(ggplot2::layer_data(plot_marginalization(result))), 8L)
  chosen <- plot_marginalization(result, output = "counts")
  expect_equal(ggplot2::layer_data(chosen, 2L)$y, rep(1, 3))
  refused <- function(...) {
    expect_error(plot_marginalization(result, ...), class = "seqlift_error_argument")
  }
  refused("scatter", output = 1)
  refused("profile", output = 2)
  refused(output = 3)
  refused(output = "logits")
  expect_snapshot(error = TRUE, {
    plot_marginalization(result, "scatter", output = 1)
    plot_marginalization(result, output = "logits")
  })
})

test_that("what does not fit is a classed error", {
  refused <- function(...) {
    expect_error(plot_marginalization(...), class = "seqlift_error_argument")
  }
  refused(list(before = 1, after = 2))
  refused(six_targets(), "bars")
  refused(profiles(), "scatter")
  refused(profiles(), "heatmap")
  refused(six_targets(), target = 7)
  refused(six_targets(), target = c(1, 1))
  refused(six_targets(), target_names = "a")
  refused(six_targets(), k = 0)
  refused(six_targets(), "scatter", softmax = TRUE)
  refused(six_targets(), colour = "red")
  wide <- array(0, c(3, 31, 4))
  refused(marginalize(NULL, backgrounds, "T", func = function(model, X) wide))
  many <- marginalize(NULL, backgrounds, motifs = rep("T", 31), func = function(model, X) X[, 1, 3])
  refused(many, "scatter")
  expect_snapshot(error = TRUE, plot_marginalization(profiles(), "scatter"))
})
