# Two backgrounds; the effect at spacing s is s in one and 3 s in the other.
by_spacing <- function(spacings = c(2, 0, 5)) {
  calls <- 0L
  func <- function(model, X) {
    calls <<- calls + 1L
    if (calls == 1L) c(10, 20) else c(10, 20) + c(1, 3) * spacings[calls - 1L]
  }
  space_motifs(NULL, c("AAAAAAAAA", "CCCCCCCCC"), c("T", "GG"), spacings, func = func)
}

test_that("effects stand at their spacings, with the standard error over the backgrounds", {
  plot <- plot_spacing(by_spacing())
  # Zero, ribbon, line, points.
  points <- ggplot2::layer_data(plot, 4L)
  expect_equal(points$x, c(2, 0, 5))
  expect_equal(points$y, 2 * c(2, 0, 5))
  ribbon <- ggplot2::layer_data(plot, 2L)
  expect_equal((ribbon$ymax + ribbon$ymin) / 2, 2 * ribbon$x)
  expect_equal((ribbon$ymax - ribbon$ymin) / 2, ribbon$x)
  expect_equal(sort(ggplot2::layer_data(plot, 3L)$x), c(0, 2, 5))
  expect_identical(class(plot(by_spacing())$layers[[2L]]$geom)[1L], "GeomRibbon")
})

test_that("one background has no standard error", {
  count_t <- function(model, X) sum(X[, 4L, ])
  result <- space_motifs(NULL, "AAAAAAAAA", c("T", "GG"), 1:3, func = count_t)
  geoms <- vapply(plot_spacing(result)$layers, function(one) class(one$geom)[1L], character(1L))
  expect_identical(unname(geoms), c("GeomHline", "GeomLine", "GeomPoint"))
})

test_that("targets have colours of their own", {
  result <- space_motifs(NULL, c("AAAAAAAAA", "CCCCCCCCC"), c("T", "GG"), 1:3, func = count_bases)
  plot <- plot_spacing(result, target = c(1, 4), target_names = c("A", "C", "G", "T"))
  points <- ggplot2::layer_data(plot, 4L)
  expect_identical(unique(points$colour), series_colours[1:2])
  # One T more, and 3 of 9 A less in one of two backgrounds.
  expect_equal(unique(points$y[points$colour == series_colours[1L]]), -1.5)
  expect_equal(unique(points$y[points$colour == series_colours[2L]]), 1)
})

test_that("of several gaps the one that varies is drawn; arrangements where several do", {
  spaced <- function(spacings) {
    space_motifs(NULL, c("AAAAAAAAA", "CCCCCCCCC"), c("T", "G", "T"), spacings, func = count_bases)
  }
  one <- plot_spacing(spaced(cbind(1, c(0, 3))), target = 1)
  expect_equal(ggplot2::layer_data(one, 4L)$x, c(0, 3))
  both <- plot_spacing(spaced(cbind(c(1, 2), c(0, 3))), target = 1)
  expect_identical(levels(both$data$spacing), c("1, 0", "2, 3"))
  expect_identical(class(both$layers[[2L]]$geom)[1L], "GeomErrorbar")
  # A single arrangement has no line either.
  expect_identical(class(plot_spacing(by_spacing(4))$layers[[2L]]$geom)[1L], "GeomErrorbar")
})

test_that("profiles, other results and too many targets are refused", {
  refused <- function(...) expect_error(plot_spacing(...), class = "seqlift_error_argument")
  refused(marginalize(NULL, "AAAA", "T", func = count_bases))
  refused("AAAA")
  spaced <- function(func) space_motifs(NULL, c("AAAAAAAAA", "CCCCCCCCC"), c("T", "GG"), 1:3, func)
  refused(spaced(function(model, X) X))
  refused(spaced(function(model, X) X[, 1, ]))
  refused(spaced(count_bases), target = 5)
  refused(spaced(count_bases), output = 2)
  refused(spaced(count_bases), colour = "red")
  expect_snapshot(error = TRUE, {
    plot_spacing(marginalize(NULL, "AAAA", "T", func = count_bases))
    plot_spacing(spaced(function(model, X) X))
    plot_spacing(spaced(function(model, X) X[, 1, ]))
  })
})

test_that("profiles by spacing can be drawn as such", {
  result <- space_motifs(NULL, c("AAAAAAAAA", "CCCCCCCCC"), c("T", "GG"), 1:2,
    func = function(model, X) X
  )
  lines <- ggplot2::layer_data(plot(result, "profile"))
  expect_identical(levels(lines$PANEL), c("1", "2"))
})

test_that("a zero that is far away does not hide how the effect changes", {
  points <- data.frame(effect = c(5, 5.1, 5.2), std_error = 0.01)
  expect_false(near_zero(points))
  expect_true(near_zero(transform(points, effect = effect - 5)))
  expect_true(near_zero(transform(points, effect = effect - 5.1)))
  expect_true(near_zero(transform(points, effect = 5, std_error = NA)))
})
