# One rule: positions are those of the whole sequence, also where a result is of a window.

demo_window <- function(start = 240, end = 270, ...) {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  X <- demo_sequences()["fly_planted_AGATAAG"]
  saturation_mutagenesis(model, X, start = start, end = end, ...)
}

test_that("a window is printed, tabled and summed up by the positions of the sequence", {
  window <- demo_window()
  whole <- as.data.frame(demo_window(1, NULL))
  expect_output(print(window), "at positions 240 to 270 of\\s+500")
  table <- as.data.frame(window)
  expect_identical(table$position, 240:270)
  part <- whole[whole$position %in% 240:270, ]
  expect_identical(table$base, part$base)
  expect_equal(table$attribution, part$attribution, tolerance = 1e-6)
  strongest <- table$position[which.max(abs(table$attribution))]
  expect_identical(summary(window)$position, strongest)
  expect_identical(dimnames(window)[[3L]], as.character(240:270))
  expect_null(dimnames(demo_window(1, 5))[[3L]])
})

test_that("what is taken of a result and computed with it keeps its positions", {
  whole <- demo_window(200, 300)
  window <- whole[, , 41:71]
  expect_identical(dimnames(window)[[2L]], as.character(240:270))
  expect_identical(window[, "255"], as.array(whole)[1L, , 56L])
  result <- demo_window(1, 300)
  expect_identical(dimnames(result[, , 240:270, drop = FALSE])[[3L]], as.character(240:270))
  seqlets <- recursive_seqlets(whole, threshold = 0.5)
  expect_gt(nrow(seqlets), 0L)
  plain <- list(
    as.array(whole), 1 * whole, apply(unclass(whole), c(1L, 3L), sum),
    result[, , 200:300, drop = FALSE]
  )
  for (numbers in plain) {
    expect_equal(recursive_seqlets(numbers, threshold = 0.5), seqlets,
      ignore_attr = "sequences", tolerance = 1e-4
    )
  }
  lowering <- recursive_seqlets(-whole, threshold = 1)
  expect_true(all(lowering$start >= 200L & lowering$end <= 300L))
  expect_true(all(tfmodisco_seqlets(whole, window_size = 9, flank = 2)$start >= 200L))
  gaps <- as.array(result)[, , 1:6, drop = FALSE]
  dimnames(gaps)[[3L]] <- c(3:5, 9:11)
  expect_error(recursive_seqlets(gaps), "one behind the other", class = "seqlift_error_argument")
})

test_that("seqlets of a window are where they are in the sequence, for other verbs too", {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  X <- demo_sequences()["fly_planted_AGATAAG"]
  seqlet <- recursive_seqlets(demo_window(), threshold = 0.2)[1L, ]
  expect_true(seqlet$start <= 252L && seqlet$end >= 254L)
  backgrounds <- random_one_hot(c(3, 4, 500), random_state = 0)
  found <- summary(marginalize_annotations(model, X, backgrounds, seqlet))
  letters <- substr(X, seqlet$start, seqlet$end)
  by_hand <- summary(marginalize(model, backgrounds, unname(letters)))
  expect_equal(found$effect, by_hand$effect)
  expect_gt(found$effect, 0.3)
})

test_that("plots of a window count as the sequence does, or as the genome", {
  skip_if_not_installed("GenomicRanges")
  window <- demo_window()
  seqlet <- recursive_seqlets(window, threshold = 0.2)[1L, ]
  x_of <- function(plot) plot$coordinates$limits$x
  expect_identical(x_of(plot_logo(window, annotations = seqlet)), c(239.5, 270.5))
  expect_identical(x_of(plot_logo(window, 250, 260)), c(249.5, 260.5))
  expect_identical(x_of(plot_logo(as.array(window)[1L, , ])), c(239.5, 270.5))
  expect_identical(x_of(plot_heatmap(window)), c(239.5, 270.5))
  expect_error(plot_logo(window, 1, 10), class = "seqlift_error_argument")
  expect_error(plot_logo(window, coordinates = "genome"), "attribution_ranges",
    class = "seqlift_error_argument"
  )
  labels <- function(plot) {
    as.character(ggplot2::ggplot_build(plot)$layout$panel_params[[1L]]$x$get_labels())
  }
  attribution_ranges(window) <- GenomicRanges::GRanges("chr1:1001-1500:+")
  for (draw in list(plot_logo, plot_heatmap)) {
    shown <- as.integer(gsub(",", "", labels(draw(window, coordinates = "genome"))))
    expect_true(all(shown %in% 1240:1270))
    expect_false(is.unsorted(shown))
    expect_match(draw(window, coordinates = "genome")$scales$get_scales("x")$name, "chr1")
  }
  attribution_ranges(window) <- GenomicRanges::GRanges("chr1:1001-1500:-")
  shown <- as.integer(gsub(",", "", labels(plot_logo(window, coordinates = "genome"))))
  expect_true(all(shown %in% 1231:1261))
  expect_false(is.unsorted(rev(shown)))
})

test_that("ranges, exports and files place a window where it is", {
  skip_if_not_installed("GenomicRanges")
  for (strand in c("+", "-")) {
    window <- demo_window()
    attribution_ranges(window) <- GenomicRanges::GRanges(paste0("chr1:1001-1500:", strand))
    ranges <- attribution_ranges(window)
    place <- if (strand == "+") c(1240L, 1270L) else c(1231L, 1261L)
    expect_identical(c(GenomicRanges::start(ranges), GenomicRanges::end(ranges)), place)
    again <- window
    attribution_ranges(again) <- ranges
    expect_identical(attribution_ranges(again), ranges)
    seqlet <- recursive_seqlets(window, threshold = 0.2)[1L, ]
    expect_identical(seqlet$range, paste0("chr1:1001-1500:", strand))
    expected <- if (strand == "+") 1000L + seqlet$start else 1501L - seqlet$end
    expect_identical(GenomicRanges::start(seqlets_as_granges(seqlet)), expected)
    bare <- seqlet[setdiff(names(seqlet), "range")]
    for (given in list(ranges, GenomicRanges::GRanges(paste0("chr1:1001-1500:", strand)))) {
      expect_identical(GenomicRanges::start(seqlets_as_granges(bare, given)), expected)
    }
    table <- as.data.frame(window)
    expect_identical(table$pos[1L], if (strand == "+") 1240L else 1261L)
  }
  skip_if_not_installed("SummarizedExperiment")
  se <- as_summarized_experiment(window)
  expect_identical(SummarizedExperiment::colData(se)$position, 240:270)
  expect_identical(SummarizedExperiment::colData(se)$offset, 240:270 - 251L)
  expect_identical(dimnames(as_seqlift_attributions(se)), dimnames(window))
})

test_that("a file keeps the positions", {
  skip_if_not_installed("rhdf5")
  window <- demo_window()
  path <- tempfile(fileext = ".h5")
  on.exit(unlink(path))
  export_h5(window, path)
  expect_identical(dimnames(read_h5(path)), dimnames(window))
  expect_output(print(read_h5(path)), "positions 240 to 270")
})

test_that("attributions of a perturbation have their positions in its table", {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  result <- marginalize(model, random_one_hot(c(2, 4, 500), random_state = 0), "AGATAAG",
    func = saturation_mutagenesis, additional_func_kwargs = list(start = 250, end = 253)
  )
  expect_identical(unique(as.data.frame(result)$position), 250:253)
  expect_identical(range(plot_marginalization(result)$data$position), c(250L, 253L))
})

test_that("a dependency map and raw mutagenesis have their positions as names", {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  map <- dependency_map(model, demo_sequences()[1], start = 250, end = 252)
  expect_identical(dimnames(map)[2:3], list(c("250", "251", "252"), c("250", "251", "252")))
  raw <- demo_window(250, 252, raw_outputs = TRUE)
  expect_identical(dimnames(raw$y_hat)[[3L]], c("250", "251", "252"))
})
