# A map of two sequences; positions 11 and 14 depend on each other, by 3 and by 5.
dependencies <- function() {
  map <- array(0, c(2, 5, 5), list(c("x", "y"), NULL, NULL))
  map[1, 2, 5] <- map[1, 5, 2] <- 3
  map[2, 2, 5] <- map[2, 5, 2] <- 5
  map[, 1, 2] <- map[, 2, 1] <- 1
  structure(map, class = "seqlift_dependency_map", start = 10L, X = c(x = "ACGTA", y = "ACGTN"))
}

test_that("a map is symmetric, with a grey diagonal and positions of the sequence", {
  plot <- plot(dependencies())
  cells <- plot$data
  expect_identical(nrow(cells), 25L)
  expect_equal(range(cells$x), c(10, 14))
  at <- function(x, y) cells$value[cells$x == x & cells$y == y]
  expect_equal(at(11, 14), 3)
  expect_equal(at(14, 11), 3)
  expect_true(is.na(at(12, 12)))
  expect_equal(plot$scales$get_scales("fill")$limits, c(0, 3))
  fill <- ggplot2::layer_data(plot)$fill
  expect_identical(unique(fill[is.na(cells$value)]), "grey85")
  expect_identical(toupper(unique(fill[cells$value %in% 3])), sequential_colours[6L])
})

test_that("letters stand at their positions along both axes", {
  plot <- plot(dependencies(), sequence = "y")
  letters <- ggplot2::layer_data(plot, 2L)
  boxes <- do.call(rbind, lapply(split(letters, letters$group), function(one) {
    data.frame(x = mean(range(one$x)), y = -mean(range(one$y)), fill = one$fill[1L])
  }))
  # Below the map (the y axis runs downwards), and left of it; an N has none.
  expect_equal(boxes$x[1:4], 10:13)
  expect_true(all(boxes$y[1:4] > 14.5))
  expect_equal(boxes$y[5:8], 10:13)
  expect_true(all(boxes$x[5:8] < 9.5))
  expect_identical(boxes$fill, rep(unname(logo_colours), 2L))
})

test_that("several sequences have panels with one scale", {
  plot <- plot(dependencies(), sequence = 2:1, limit = 4)
  layer <- ggplot2::layer_data(plot)
  expect_identical(levels(plot$data$panel), c("y", "x"))
  top <- layer$x == 14 & layer$y == -11
  expect_identical(toupper(layer$fill[top & layer$PANEL == 1L]), sequential_colours[6L])
  expect_false(toupper(layer$fill[top & layer$PANEL == 2L]) == sequential_colours[6L])
  letters <- ggplot2::layer_data(plot, 2L)
  shown <- unique(letters[c("PANEL", "group", "fill")])
  expect_identical(as.vector(table(shown$PANEL)), c(8L, 10L))
})

test_that("a part of the window can be drawn, and wide maps have no letters", {
  part <- plot(dependencies(), start = 11, end = 14)
  expect_equal(range(part$data$x), c(11, 14))
  expect_equal(part$data$value[part$data$x == 14 & part$data$y == 11], 3)
  wide <- structure(array(0, c(1, 80, 80)),
    class = "seqlift_dependency_map", start = 1L, X = strrep("ACGT", 20)
  )
  expect_length(plot(wide)$layers, 1L)
})

test_that("what does not fit is a classed error", {
  refused <- function(...) expect_error(plot_dependency_map(...), class = "seqlift_error_argument")
  refused(array(0, c(1, 5, 5)))
  refused(dependencies(), sequence = 3)
  refused(dependencies(), start = 9)
  refused(dependencies(), start = 13, end = 12)
  refused(dependencies(), end = 15)
  refused(dependencies(), limit = -1)
  refused(dependencies(), title = 1)
  refused(dependencies(), colours = "red")
  expect_snapshot(error = TRUE, plot_dependency_map(array(0, c(1, 5, 5))))
})
