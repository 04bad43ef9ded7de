# The letters of a logo: the layer after the two blanks and the axis.
letter_layer <- function(plot) {
  ggplot2::layer_data(plot, 4L)
}

bar_layer <- function(plot) {
  ggplot2::layer_data(plot, 6L)
}

label_layer <- function(plot) {
  ggplot2::layer_data(plot, 7L)
}

# Lowest and highest point, and colour, of each letter.
letter_boxes <- function(plot) {
  points <- letter_layer(plot)
  boxes <- lapply(split(points, points$group), function(letter) {
    data.frame(
      fill = letter$fill[1L], left = min(letter$x), right = max(letter$x),
      low = min(letter$y), high = max(letter$y), panel = letter$PANEL[1L]
    )
  })
  do.call(rbind, boxes)
}

bases <- c("A", "C", "G", "T")

# Attributions of the sequence ACGT, repeated: one number a position.
track <- function(numbers) {
  values <- matrix(0, 4L, length(numbers))
  values[cbind((seq_along(numbers) - 1L) %% 4L + 1L, seq_along(numbers))] <- numbers
  values
}

test_that("every letter fills the unit square, and is one line that ends where its cut began", {
  for (base in bases) {
    outline <- letter_outline(base, 8L)
    expect_equal(range(outline$x), c(0, 1))
    expect_equal(range(outline$y), c(0, 1))
    points <- sum(vapply(letter_rings[[base]], function(ring) nrow(trace_ring(ring, 8L)), 0L))
    holes <- length(letter_rings[[base]]) - 1L
    expect_identical(holes, if (base == "A") 1L else 0L)
    # There and back.
    expect_length(outline$x, points + 2L * holes)
    expect_identical(anyDuplicated(cbind(outline$x, outline$y)) > 0L, holes > 0L)
  }
})

test_that("no letter is much heavier than another", {
  # By the shoelace formula: along the line a hole is taken away.
  area <- function(base) {
    outline <- letter_outline(base, 16L)
    x <- outline$x
    y <- outline$y
    abs(sum(x * c(y[-1L], y[1L]) - c(x[-1L], x[1L]) * y)) / 2
  }
  ring_area <- function(ring) {
    points <- trace_ring(ring, 16L)
    x <- points[, 1L]
    y <- points[, 2L]
    sum(x * c(y[-1L], y[1L]) - c(x[-1L], x[1L]) * y) / 2
  }
  rings <- vapply(letter_rings$A, ring_area, 0)
  expect_lt(prod(sign(rings)), 0)
  expect_equal(area("A"), abs(rings[1L]) - abs(rings[2L]))
  areas <- vapply(bases, area, numeric(1L))
  expect_lt(max(areas) / min(areas), 1.7)
})

test_that("a letter is as high as its attribution, up or down from the axis", {
  boxes <- letter_boxes(plot_logo(track(c(2, -1, 0.5, 1))))
  expect_equal(boxes$low, c(0, -1, 0, 0))
  expect_equal(boxes$high, c(2, 0, 0.5, 1))
  expect_equal(boxes$fill, unname(logo_colours[bases]))
  expect_equal((boxes$left + boxes$right) / 2, c(1, 2, 3, 4))
})

test_that("letters below the axis stand upright", {
  up <- letter_layer(plot_logo(matrix(c(0, 0, 0, 1), 4L)))
  down <- letter_layer(plot_logo(matrix(c(0, 0, 0, -1), 4L)))
  expect_equal(down$y, up$y - 1)
})

test_that("several bases of a position are stacked, the largest outermost", {
  boxes <- letter_boxes(plot_logo(matrix(c(1, 3, -2, -0.5), 4L)))
  boxes <- boxes[match(logo_colours, boxes$fill), ]
  expect_equal(boxes$low, c(0, 1, -2.5, -0.5))
  expect_equal(boxes$high, c(1, 4, -0.5, 0))
})

test_that("letters too low to see are left out", {
  boxes <- letter_boxes(plot_logo(track(c(1, 0.5e-3, 2e-3, 0))))
  expect_equal(boxes$fill, unname(logo_colours[c("A", "G")]))
})

test_that("nothing but zeros gives an empty plot, not an error", {
  expect_s3_class(plot_logo(matrix(0, 4L, 3L)), "ggplot")
  expect_equal(nrow(letter_layer(plot_logo(matrix(0, 4L, 3L)))), 0L)
})

test_that("start and end choose the window and positions keep their numbers", {
  plot <- plot_logo(track(seq_len(20)), start = 5, end = 8)
  expect_equal(letter_boxes(plot)$high, 5:8)
  expect_equal((letter_boxes(plot)$left + letter_boxes(plot)$right) / 2, 5:8)
  expect_equal(plot$coordinates$limits$x, c(4.5, 8.5))
})

test_that("matrix, array and result are drawn alike", {
  values <- track(c(2, -1, 0.5, 1))
  array <- array(values, c(1L, 4L, 4L))
  result <- new_attributions(array, c(one = "ACGT"), matrix(0, 1L, 1L))
  expect_equal(letter_layer(plot_logo(array)), letter_layer(plot_logo(values)))
  expect_equal(letter_layer(plot_logo(result)), letter_layer(plot_logo(values)))
  expect_equal(letter_layer(plot(result)), letter_layer(plot_logo(values)))
})

several <- function() {
  values <- array(0, c(3L, 4L, 4L), dimnames = list(c("x", "y", "z"), bases, NULL))
  for (i in 1:3) {
    values[i, , ] <- track(i * c(1, 1, -1, 1))
  }
  values
}

test_that("several sequences are drawn in panels of one scale, or of their own", {
  plot <- plot_logo(several(), sequence = c("z", "x"))
  boxes <- letter_boxes(plot)
  expect_equal(boxes$high[boxes$panel == 1L][1:2], c(3, 3))
  expect_equal(boxes$high[boxes$panel == 2L][1:2], c(1, 1))
  expect_equal(ggplot2::ggplot_build(plot)$layout$layout$panel, factor(c("z", "x"), c("z", "x")))
  ranges <- function(plot) {
    lapply(ggplot2::ggplot_build(plot)$layout$panel_params, function(panel) panel$y.range)
  }
  fixed <- ranges(plot_logo(several()))
  free <- ranges(plot_logo(several(), free_y = TRUE))
  expect_equal(fixed[[1L]], fixed[[3L]])
  expect_equal(3 * free[[1L]], free[[3L]])
})

test_that("the axis reaches the limits that several plots share, and every letter", {
  range <- function(...) {
    plot <- plot_logo(track(c(1, -1, 1, 1)), ...)
    ggplot2::ggplot_build(plot)$layout$panel_params[[1L]]$y.range
  }
  margin <- 0.03 * c(-1, 1)
  expect_equal(range(limits = c(-2, 6)), c(-2, 6) + 8 * margin)
  expect_equal(range(limits = c(0.5, 0.5)), c(-1, 1) + 2 * margin)
  site <- data.frame(start = 2, end = 3, name = "GATA")
  bar <- bar_layer(plot_logo(track(c(1, 1, 1, 1)), annotations = site, limits = c(-2, 6)))
  expect_lt(bar$ymax, -2)
  expect_error(plot_logo(track(1:4), limits = 1), class = "seqlift_error_argument")
  expect_error(plot_logo(track(1:4), limits = c(1, 0)), class = "seqlift_error_argument")
  expect_error(plot_logo(track(1:4), limits = c(0, NA)), class = "seqlift_error_argument")
})

test_that("bars lie below the lowest letter, from the first to the last base", {
  site <- data.frame(start = 2, end = 3, name = "GATA", score = 0.75)
  plot <- plot_logo(track(c(2, -1, 0.5, 1)), annotations = site)
  bar <- bar_layer(plot)
  expect_equal(c(bar$xmin, bar$xmax), c(1.5, 3.5))
  expect_lt(bar$ymax, -1)
  label <- label_layer(plot)
  expect_equal(label$label, "GATA 0.75")
  expect_lt(label$y, bar$ymin)
  expect_equal(label$x, 2.5)
})

test_that("bars that overlap, or whose labels would, get tracks of their own", {
  sites <- data.frame(
    start = c(1, 30, 5, 80), end = c(10, 40, 12, 90), name = c("a", "b", "c", "d")
  )
  bars <- bar_layer(plot_logo(track(rep(1, 100)), annotations = sites))
  bars <- bars[order(bars$xmin), ]
  expect_equal(bars$ymin[c(1, 3, 4)], rep(bars$ymin[1L], 3L))
  expect_lt(bars$ymax[2L], bars$ymin[1L])
  long <- data.frame(start = c(50, 54), end = c(51, 55), name = "a name of twenty odd")
  bars <- bar_layer(plot_logo(track(rep(1, 100)), annotations = long))
  expect_false(bars$ymin[1L] == bars$ymin[2L])
})

test_that("no two annotations of a track overlap, however many there are", {
  set.seed(1)
  left <- runif(300, 0, 100)
  right <- left + runif(300, 1, 20)
  tracks <- pack_tracks(left, right)
  for (track in unique(tracks)) {
    members <- order(left)[tracks[order(left)] == track]
    expect_true(all(right[utils::head(members, -1L)] <= left[members[-1L]]))
  }
})

test_that("annotations that need too many tracks keep their bars and lose their labels", {
  sites <- data.frame(start = 1:20, end = 41:60, name = "site")
  plot <- plot_logo(track(rep(1, 100)), annotations = sites)
  expect_equal(nrow(bar_layer(plot)), 20L)
  expect_equal(unique(label_layer(plot)$label), "")
  expect_gt(min(bar_layer(plot)$ymin), -1.6)
})

test_that("annotations are cut at the window, and those outside are not drawn", {
  sites <- data.frame(start = c(3, 15), end = c(7, 18))
  plot <- plot_logo(track(rep(1, 20)), start = 5, end = 12, annotations = sites)
  expect_equal(c(bar_layer(plot)$xmin, bar_layer(plot)$xmax), c(4.5, 7.5))
  none <- plot_logo(track(rep(1, 20)), start = 9, end = 12, annotations = sites)
  expect_length(none$layers, 4L)
})

test_that("annotations of a sequence are drawn under that sequence", {
  sites <- data.frame(sequence = c("z", "x"), start = 1, end = c(2, 3))
  bars <- bar_layer(plot_logo(several(), sequence = c("x", "z"), annotations = sites))
  expect_equal(bars$xmax[order(bars$PANEL)], c(3.5, 2.5))
  seqlets <- data.frame(example = 2L, start = 1, end = 2, attribution = 3.21, p_value = 0.01)
  plot <- plot_logo(several(), annotations = seqlets)
  expect_equal(as.integer(bar_layer(plot)$PANEL), 2L)
  expect_equal(label_layer(plot)$label, "3.2")
  everywhere <- plot_logo(several(), annotations = sites[c("start", "end")][1L, ])
  expect_equal(nrow(bar_layer(everywhere)), 3L)
})

test_that("a GRanges is understood as annotations", {
  skip_if_not_installed("GenomicRanges")
  ranges <- GenomicRanges::GRanges(c("x:1-2", "z:2-4"), name = c("a", "b"))
  plot <- plot_logo(several(), annotations = ranges)
  expect_equal(as.integer(bar_layer(plot)$PANEL), c(1L, 3L))
  expect_equal(bar_layer(plot)$xmax, c(2.5, 4.5))
  expect_equal(label_layer(plot)$label, c("a", "b"))
})

test_that("colours can be changed for all letters or for some", {
  values <- track(rep(1, 4))
  expect_equal(unique(letter_layer(plot_logo(values, colours = "black"))$fill), "black")
  fills <- letter_boxes(plot_logo(values, colours = c(T = "#000000")))$fill
  expect_equal(fills, unname(c(logo_colours[1:3], "#000000")))
})

test_that("a bad argument is a classed error that names it", {
  values <- track(rep(1, 4))
  expect_error(plot_logo("ACGT"), class = "seqlift_error_argument")
  expect_error(plot_logo(matrix(1, 3, 4)), class = "seqlift_error_argument")
  expect_error(plot_logo(array(1, c(1, 1, 4, 4))), class = "seqlift_error_argument")
  expect_error(plot_logo(values, start = 0), class = "seqlift_error_argument")
  expect_error(plot_logo(values, start = 3, end = 2), class = "seqlift_error_argument")
  expect_error(plot_logo(values, end = 5), class = "seqlift_error_argument")
  expect_error(plot_logo(values, sequence = 2), class = "seqlift_error_argument")
  expect_error(plot_logo(several(), sequence = "w"), class = "seqlift_error_argument")
  expect_error(plot_logo(array(1, c(31, 4, 2))), class = "seqlift_error_argument")
  expect_error(plot_logo(values, colours = c(A = "nocolour")), class = "seqlift_error_argument")
  expect_error(plot_logo(values, colours = c(U = "red")), class = "seqlift_error_argument")
  expect_error(plot_logo(values, color = "red"), class = "seqlift_error_argument")
  expect_error(plot_logo(values, 1, 4, NULL, 1, "red"), class = "seqlift_error_argument")
  expect_error(plot_logo(values, free_y = NA), class = "seqlift_error_argument")
  values[2, 3] <- NaN
  expect_error(plot_logo(values), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, {
    plot_logo(values)
    plot_logo(matrix(1, 3, 4))
    plot_logo(several(), sequence = "w")
    plot_logo(several(), color = "red")
  })
})

test_that("annotations that do not fit the sequences are refused", {
  values <- several()
  refused <- function(annotations) {
    expect_error(plot_logo(values, annotations = annotations), class = "seqlift_error_annotations")
  }
  refused(c(1, 2))
  refused(data.frame(start = 1))
  refused(data.frame(start = 0, end = 2))
  refused(data.frame(start = 2, end = 1))
  refused(data.frame(start = 2, end = 5))
  refused(data.frame(start = NA, end = 2))
  refused(data.frame(start = 1, end = 2, sequence = "w"))
  refused(data.frame(start = 1, end = 2, example = 4))
  expect_snapshot(error = TRUE, {
    plot_logo(values, annotations = data.frame(start = 2, end = 5))
    plot_logo(values, annotations = data.frame(start = 1, end = 2, sequence = "w"))
  })
})

test_that("a result of several targets asks for one of them", {
  values <- array(0, c(1L, 4L, 4L, 2L))
  result <- new_attributions(values, "ACGT", array(0, c(1L, 1L, 2L)))
  expect_error(plot_logo(result), class = "seqlift_error_argument")
  expect_s3_class(plot_logo(result[, , , 2]), "ggplot")
})

test_that("letters without room are bars, the low ones in front, none narrower than two pixels", {
  values <- matrix(0, 4L, 900L)
  values[cbind(c(3L, 1L, 4L), c(450L, 451L, 452L))] <- c(1, 3, -2)
  bars <- letter_layer(plot_logo(values))
  expect_equal(nrow(bars), 3L * 4L)
  height <- tapply(bars$y, bars$group, function(y) max(abs(y)))
  expect_equal(unname(as.vector(height)), c(3, 2, 1))
  # 600 pixels for 900 positions
  expect_equal(as.vector(tapply(bars$x, bars$group, function(x) diff(range(x)))), c(3, 3, 3))
  expect_gt(nrow(letter_layer(plot_logo(values[, 400:600]))), 3L * 4L)
})

test_that("many panels say what height they need and have their names beside them", {
  values <- array(1, c(12L, 4L, 5L), list(paste("sequence", 1:12), NULL, NULL))
  expect_message(plot <- plot_logo(values), "12 panels need", class = "seqlift_message_figure")
  expect_identical(plot$facet$params$strip.position, "left")
  expect_no_message(plot_logo(values[1:8, , ]))
})

test_that("labels at the edge of the window begin or end there", {
  values <- matrix(1, 4L, 100L)
  marks <- data.frame(
    start = c(1, 50, 99), end = c(2, 52, 100),
    name = c("a long name here", "GATA", "a long name there")
  )
  labels <- label_layer(plot_logo(values, annotations = marks))
  expect_equal(labels$hjust, c(0, 0.5, 1))
  expect_equal(labels$x, c(0.5, 51, 100.5))
  marks$name <- strrep("x", 200)
  expect_lte(max(nchar(label_layer(plot_logo(values, annotations = marks))$label)), 40L)
})

test_that("a line of information has the numbers of each sequence, and given predictions", {
  model <- load_model(model_path("tiny"))
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC")
  found <- deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0, return_references = TRUE)
  predicted <- predict(model, X)[, 1L]
  kept <- aperm(references(found), c(3L, 4L, 1L, 2L))
  of_references <- predict(model, aperm(array(kept, c(4L, 12L, 6L)), c(3L, 1L, 2L)))[, 1L]
  means <- rowMeans(matrix(of_references, 2L))
  lines <- logo_info(predicted, found, 1:2)
  numbers <- function(pattern) {
    as.numeric(sub(paste0(".*", pattern, " ([-+0-9.e]+).*"), "\\1", lines))
  }
  expect_equal(numbers("prediction"), unname(predicted), tolerance = 0.01)
  expect_equal(numbers("references"), means, tolerance = 0.01)
  expect_equal(numbers("change"), unname(predicted) - means, tolerance = 0.02)
  expect_equal(numbers("sum"), unname(apply(as.array(found), 1L, sum)), tolerance = 0.01)
  expect_equal(
    numbers("largest \\|delta\\|"), unname(apply(abs(convergence_deltas(found)), 1L, max)),
    tolerance = 0.1
  )
  # Above the only panel, or in the names of several; not without being asked for.
  expect_identical(plot_logo(found, sequence = 2L, info = predicted)$labels$subtitle, lines[2L])
  expect_null(plot_logo(found, sequence = 2L)$labels$subtitle)
  strips <- plot_logo(found, info = TRUE)$facet$params$labeller(data.frame(panel = c("one", "two")))
  expect_match(unlist(strips), "^(one|two)\nchange .*, sum .*, largest")
  # What does not compare has a sum alone.
  expect_match(logo_info(TRUE, attribute(model, X, "saliency"), 1L), "^sum [-+0-9.e]+$")
  for (wrong in list(1:3, "a", NA, c(1, NA), NULL)) {
    expect_error(plot_logo(found, info = wrong), "info", class = "seqlift_error_argument")
  }
  expect_error(plot_logo(as.array(found), info = TRUE), class = "seqlift_error_argument")
})
