# Layers of the three kinds of figures.

test_that("a heatmap has the highest and the lowest targets, a column for each background", {
  cells <- data_of(plot_marginalization(six_targets(), "heatmap", k = 2))
  expect_identical(rev(levels(cells$row)), c("1", "2", "5", "6"))
  expect_identical(levels(cells$group), c("highest 2", "lowest 2"))
  expect_identical(as.character(unique(cells$group[cells$row %in% c("1", "2")])), "highest 2")
  expect_equal(cells$value[cells$row == "6" & cells$column == "3"], -6)
  expect_equal(cells$value[cells$row == "2" & cells$column == "2"], 4)
  layer <- ggplot2::layer_data(plot_marginalization(six_targets(), "heatmap", k = 2))
  expect_identical(nrow(layer), 4L * 3L)
  # Zero would be the middle of the colours, the strongest effect has the last colour.
  expect_identical(toupper(layer$fill[which.max(cells$value)]), diverging_colours[7L])
})

test_that("few targets are all drawn from the highest to the lowest, chosen ones as chosen", {
  cells <- data_of(plot_marginalization(six_targets(), "heatmap", k = 3))
  expect_identical(rev(levels(cells$row)), as.character(1:6))
  expect_identical(nlevels(cells$group), 1L)
  cells <- data_of(plot_marginalization(six_targets(), "heatmap", target = c(5, 2)))
  expect_identical(rev(levels(cells$row)), c("5", "2"))
  named <- plot_marginalization(six_targets(), "heatmap", target = 6, target_names = letters[1:6])
  expect_equal(data_of(named)$value, c(-2, -4, -6))
})

test_that("several motifs are rows of their mean effects", {
  cells <- data_of(plot_marginalization(two_motifs(), "heatmap", target_names = c("x", "y")))
  expect_identical(rev(levels(cells$row)), c("up", "down"))
  value <- function(motif, target) cells$value[cells$row == motif & cells$column == target]
  expect_equal(value("up", "x"), 1)
  expect_equal(value("up", "y"), -2)
  expect_equal(value("down", "x"), -3)
  expect_equal(value("down", "y"), 5)
  one <- data_of(plot_marginalization(two_motifs(), "heatmap", target = 2))
  expect_identical(levels(one$column), c("1", "2", "3"))
  expect_equal(one$value[one$row == "down"], rep(5, 3))
})

test_that("of many targets those are drawn that one motif changes most", {
  means <- rbind(c(0, 9, 0, -1, 2), c(0, -8, 3, 0, 1))
  ends <- ends_of_targets(means, 1L)
  expect_identical(ends$index, c(2L, 4L))
  expect_identical(as.character(ends$group), c("highest 1", "lowest 1"))
  expect_identical(ends_of_targets(means, 2L)$index, c(2L, 3L, 1L, 4L))
})

test_that("a scatter has a point for each background and target", {
  plot <- plot_marginalization(six_targets(), "scatter", target = 1:2)
  points <- ggplot2::layer_data(plot, 2L)
  expect_equal(points$x, c(11, 21, 31, 12, 22, 32))
  expect_equal(points$y - points$x, c(3, 6, 9, 2, 4, 6))
  expect_identical(unique(points$colour), series_colours[1:2])
  expect_identical(ggplot2::layer_data(plot, 1L)[c("intercept", "slope")], data.frame(
    intercept = 0, slope = 1
  ))
  expect_identical(
    unique(ggplot2::layer_data(plot_marginalization(six_targets(), "scatter"), 2L)$colour),
    series_colours[1:6]
  )
})

test_that("names that stand twice are told apart", {
  twice <- function(model, X) {
    matrix(as.numeric(X[, 4L, 3L]), 3, 2, dimnames = list(c("a", "a", "b"), c("u", "u")))
  }
  result <- marginalize(NULL, backgrounds, "T", func = twice)
  cells <- data_of(plot_marginalization(result, "heatmap"))
  expect_identical(rev(levels(cells$row)), c("u", "u 1"))
  expect_identical(levels(cells$column), c("a", "a 1", "b"))
  expect_identical(nrow(ggplot2::layer_data(plot_marginalization(result, "scatter"), 2L)), 6L)
})

test_that("motifs have panels of their own in a scatter", {
  points <- ggplot2::layer_data(plot_marginalization(two_motifs(), "scatter"), 2L)
  expect_equal(sort(points$y[points$PANEL == 1L]), c(-2, -2, -2, 1, 1, 1))
  expect_equal(sort(points$y[points$PANEL == 2L]), c(-3, -3, -3, 5, 5, 5))
})

test_that("profiles are means over the backgrounds, before and after, a panel for each track", {
  plot <- plot_marginalization(profiles(), "profile")
  lines <- ggplot2::layer_data(plot)
  means <- apply(array(seq_len(30), c(3, 2, 5)), 2:3, mean)
  for (track in 1:2) {
    before <- lines[lines$PANEL == track & lines$colour == stage_colours[["before"]], ]
    expect_equal(before$x, 1:5)
    expect_equal(before$y, means[track, ])
    after <- lines[lines$PANEL == track & lines$colour == stage_colours[["after"]], ]
    expect_equal(after$y, means[track, ] + 1)
  }
  second <- ggplot2::layer_data(plot_marginalization(profiles(), target = 2))
  expect_equal(range(second$y), range(means[2, ], means[2, ] + 1))
})

test_that("softmax makes each background's profile sum to one before the mean", {
  before <- array(0, c(2, 1, 4))
  after <- before
  after[1, 1, 2] <- log(5)
  result <- marginalize(NULL, c("AAAA", "CCCC"), "T", func = one_after_another(before, after))
  lines <- ggplot2::layer_data(plot_marginalization(result, softmax = TRUE))
  after <- lines$y[lines$colour == stage_colours[["after"]]]
  expect_equal(after, (c(1, 5, 1, 1) / 8 + rep(1, 4) / 4) / 2)
  # Two tracks, one of them too large for exp().
  large <- array(c(1000, 0, 1000, 1, 999, 0), c(1, 2, 3))
  expect_equal(apply(softmax_over_last(large), 2L, sum), c(1, 1))
})

test_that("attributions are summed over the bases and drawn along the sequence", {
  result <- marginalize(NULL, backgrounds, "T", func = function(model, X) X * 2)
  plot <- plot(result)
  lines <- ggplot2::layer_data(plot)
  expect_equal(lines$y, rep(2, 8))
  expect_identical(plot$labels$y, "Mean attribution")
})

test_that("means are over the backgrounds that have numbers", {
  func <- function(model, X) {
    y <- count_bases(model, X)
    y[1L, ] <- NaN
    y
  }
  result <- marginalize(NULL, c("AAAAAA", "CCCCCC", "GGGGGG"), motifs = c("T", "TT"), func = func)
  rest <- marginalize(NULL, c("CCCCCC", "GGGGGG"), motifs = c("T", "TT"), func = count_bases)
  expect_message(plot <- plot_marginalization(result, "heatmap"), class = "seqlift_message_figure")
  expect_equal(plot$data, plot_marginalization(rest, "heatmap")$data)
  expect_equal(standard_error(matrix(c(NA, 1, 3)), 1L, na.rm = TRUE), array(1))
  expect_identical(standard_error(matrix(c(NA, NA, 3)), 1L, na.rm = TRUE), array(NA_real_))
})
