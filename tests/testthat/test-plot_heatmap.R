# Two sequences of four: the score of base b at position p of sequence i is 100 i + 10 p + b,
# negative in the second sequence.
scores <- function(kind = "hypothetical") {
  values <- array(0, c(2, 4, 4))
  for (i in 1:2) {
    values[i, , ] <- (100 * i + outer(1:4, 10 * 1:4, "+")) * c(1, -1)[i]
  }
  codes <- cbind(x = as.raw(0:3), y = as.raw(c(3, 3, 4, 0)))
  new_attributions(values, codes, matrix(0, 2, 0), kind = kind)
}

geom_number <- function(plot, geom) {
  which(vapply(plot$layers, function(one) inherits(one$geom, geom), logical(1L)))
}

test_that("one sequence has four rows of bases under its letters", {
  plot <- plot_heatmap(scores(), sequence = "x")
  tiles <- geom_number(plot, "GeomTile")
  cells <- ggplot2::layer_data(plot, tiles[1L])
  expect_identical(nrow(cells), 16L)
  # Rows run from A at the top to T at the bottom, all below the letters.
  data <- plot$layers[[tiles[1L]]]$data
  expect_equal(data$value[order(-data$y, data$x)], as.vector(t(as.array(scores())[1, , ])))
  letters <- ggplot2::layer_data(plot, geom_number(plot, "GeomPolygon"))
  expect_lt(max(cells$ymax), min(letters$y, 0))
  # The letters are the bases that are there, as high as their scores: 111, 122, 133, 144.
  tops <- vapply(split(letters$y, letters$group), max, numeric(1L))
  expect_equal(unname(tops), c(111, 122, 133, 144))
  fills <- vapply(split(letters$fill, letters$group), `[[`, character(1L), 1L)
  expect_identical(unname(fills), unname(logo_colours))
  built <- ggplot2::ggplot_build(plot)$layout$panel_params[[1L]]$y
  expect_identical(built$get_labels()[1:4], c("A", "C", "G", "T"))
})

test_that("the base that is there is marked, an N is not", {
  plot <- plot_heatmap(scores(), sequence = 2)
  tiles <- geom_number(plot, "GeomTile")
  cells <- plot$layers[[tiles[1L]]]$data
  marks <- plot$layers[[tiles[2L]]]$data
  expect_equal(marks$x, c(1, 2, 4))
  rows <- sort(unique(cells$y), decreasing = TRUE)
  expect_equal(match(marks$y, rows), c(4, 4, 1))
})

test_that("colours are symmetric around zero and end at the limit", {
  plot <- plot_heatmap(scores(), sequence = 2)
  expect_equal(plot$scales$get_scales("fill")$limits, c(-244, 244))
  cut <- plot_heatmap(scores(), sequence = 2, limit = 10)
  fill <- ggplot2::layer_data(cut, geom_number(cut, "GeomTile")[1L])$fill
  expect_identical(unique(toupper(fill)), diverging_colours[1L])
  flat <- plot_heatmap(matrix(0, 4, 4), X = "ACGT")
  fill <- ggplot2::layer_data(flat, geom_number(flat, "GeomTile")[1L])$fill
  expect_identical(unique(toupper(fill)), diverging_colours[4L])
})

test_that("several sequences are rows of the scores of what is there", {
  plot <- plot_heatmap(scores())
  cells <- ggplot2::layer_data(plot)
  data <- plot$data
  expect_equal(data$value[data$y == 1], c(111, 122, 133, 144))
  expect_equal(data$value[data$y == 2], -c(214, 224, 0, 241))
  # The first is at the top.
  expect_gt(min(cells$y[data$y == 1]), max(cells$y[data$y == 2]))
  expect_identical(plot$scales$get_scales("y")$labels, c("x", "y"))
  # Without sequences the sum over the bases is drawn.
  plain <- plot_heatmap(as.array(scores()))
  expect_equal(plain$data$value[plain$data$y == 1], colSums(as.array(scores())[1, , ]))
  known <- plot_heatmap(as.array(scores()), X = c("ACGT", "TTNA"))
  expect_equal(known$data$value, data$value)
})

test_that("effects of substitutions have letters of their mean", {
  effects <- scores("effects")
  plot <- plot_heatmap(effects, sequence = 1)
  letters <- ggplot2::layer_data(plot, geom_number(plot, "GeomPolygon"))
  tops <- vapply(split(letters$y, letters$group), function(y) y[which.max(abs(y))], numeric(1L))
  expect_equal(unname(tops), as.vector(colSums(as.array(mean_effects(effects))[1, , ])))
  expect_identical(plot$labels$fill, "Effect")
})

test_that("a window is drawn in the coordinates of the sequence", {
  plot <- plot_heatmap(scores(), 102, 103, sequence = 1, first = 101)
  cells <- plot$layers[[1L]]$data
  expect_equal(sort(unique(cells$x)), 102:103)
  expect_equal(cells$value[1:4], 121:124)
  window <- saturation_mutagenesis(test_model("tiny"), test_sequences(2L), start = 4, end = 7)
  expect_equal(unique(plot_heatmap(window)$data$x), 4:7)
  expect_equal(unique(plot_heatmap(scores(), first = 51)$data$x), 51:54)
})

test_that("wide windows have no marks and many sequences no names", {
  wide <- plot_heatmap(matrix(1, 4, 300), X = strrep("ACGT", 75))
  expect_length(geom_number(wide, "GeomTile"), 1L)
  many <- plot_heatmap(array(1, c(60, 4, 5)))
  expect_s3_class(many$scales$get_scales("y")$labels, "waiver")
  expect_true(any(ggplot2::ggplot_build(many)$layout$panel_params[[1L]]$y$get_labels() == "20"))
  expect_identical(nrow(plot_heatmap(array(1, c(60, 4, 5)), sequence = 1:40)$data), 40L * 5L)
})

test_that("what does not fit is a classed error", {
  refused <- function(...) expect_error(plot_heatmap(...), class = "seqlift_error_argument")
  refused("ACGT")
  refused(matrix(1, 4, 4))
  refused(matrix(1, 4, 4), X = c("ACGT", "ACGT"))
  refused(matrix(1, 4, 4), X = "ACG")
  refused(scores(), start = 0)
  refused(scores(), start = 2, end = 1)
  refused(scores(), first = 10, start = 1)
  refused(scores(), sequence = 3)
  refused(scores(), sequence = rep("z", 40))
  refused(scores(), limit = 0)
  refused(scores(), color = "red")
  refused(replace(as.array(scores()), 1, NA))
  expect_error(plot_heatmap(matrix(1, 4, 4), X = "ACXT"), class = "seqlift_error_sequence")
  expect_snapshot(error = TRUE, plot_heatmap(matrix(1, 4, 4)))
})
