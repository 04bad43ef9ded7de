# Two tracks of 60 positions: gentle waves, and one site in the first.
site_tracks <- function() {
  tracks <- rbind(one = sin(1:60) / 10, two = cos(1:60) / 10)
  tracks["one", 21:26] <- c(1.5, 1.5, 1.4, 1.3, 1.2, 1.1)
  tracks
}

test_that("a recursive seqlet has its place, sum and p-value", {
  tracks <- site_tracks()
  seqlets <- recursive_seqlets(tracks, threshold = 0.05, max_len = 6)
  expect_named(seqlets, c("example", "start", "end", "attribution", "p_value"))
  expect_identical(seqlets$example[1], 1L)
  expect_identical(c(seqlets$start[1], seqlets$end[1]), c(21L, 26L))
  expect_equal(seqlets$attribution[1], sum(tracks["one", 21:26]))
  expect_true(all(seqlets$p_value < 0.05))
})

test_that("p-values are those of sums of independent draws from the histogram", {
  # Bins of width 1/999; positions are 0 (56 of 60) or in the top bin (4), so a span of four ones
  # has the p-value 1 - P(one, two, three or four ones) among four draws.
  tracks <- matrix(0, 1, 60)
  tracks[1, 31:34] <- 1
  seqlets <- recursive_seqlets(tracks, threshold = 1, max_len = 4)
  top <- seqlets[seqlets$attribution == 4, ]
  expect_identical(c(top$start, top$end), c(31L, 34L))
  expect_equal(top$p_value, (56 / 60)^4)
})

test_that("flanks widen the rows and change nothing else", {
  tracks <- site_tracks()
  bare <- recursive_seqlets(tracks, threshold = 0.05)
  wide <- recursive_seqlets(tracks, threshold = 0.05, additional_flanks = 3)
  expect_gt(nrow(bare), 0)
  expect_identical(wide$start, pmax(bare$start - 3L, 1L))
  expect_identical(wide$end, pmin(bare$end + 3L, 59L))
  expect_identical(wide$p_value, bare$p_value)
  expected <- Map(\(i, a, b) sum(tracks[i, a:b]), wide$example, wide$start, wide$end)
  expect_equal(wide$attribution, unlist(expected))
})

test_that("rows are sorted by p-value, ties by sequence and start", {
  tracks <- rbind(site_tracks(), site_tracks()["one", ], site_tracks()["one", ])
  tracks <- tracks[c(1, 3, 4), ]
  tracks[, 41:46] <- tracks[, 21:26]
  seqlets <- recursive_seqlets(tracks, threshold = 0.3)
  expect_gt(sum(duplicated(seqlets$p_value)), 3)
  expect_identical(order(seqlets$p_value, seqlets$example, seqlets$start), seq_len(nrow(seqlets)))
})

test_that("an array is summed over the bases, whatever its class", {
  tracks <- site_tracks()
  X <- random_one_hot(c(2, 4, 60), random_state = 1)
  array <- X * aperm(array(tracks, c(2, 60, 4)), c(1, 3, 2))
  expected <- recursive_seqlets(unname(tracks))
  expect_gt(nrow(expected), 0)
  expect_equal(recursive_seqlets(array), expected, ignore_attr = "sequences")
  result <- new_attributions(array, X = decode_one_hot(X), convergence_deltas = matrix(0, 2, 1))
  expect_equal(recursive_seqlets(result), expected, ignore_attr = "sequences")
  expect_equal(
    tfmodisco_seqlets(result), tfmodisco_seqlets(unname(tracks)),
    ignore_attr = "sequences"
  )
  raw <- new_attributions(array,
    X = decode_one_hot(X), convergence_deltas = matrix(0, 2, 1), kind = "hypothetical"
  )
  expect_error(recursive_seqlets(raw), "hypothetical", class = "seqlift_error_attributions")
})

test_that("TF-MoDISco's seqlets hold their window and its flanks", {
  tracks <- site_tracks()
  seqlets <- tfmodisco_seqlets(tracks, window_size = 6, flank = 4)
  expect_named(seqlets, c("example", "start", "end", "attribution", "p_value"))
  expect_identical(unique(seqlets$end - seqlets$start), 13L)
  expect_identical(c(seqlets$start[1], seqlets$end[1]), c(17L, 30L))
  expect_equal(seqlets$attribution[1], sum(tracks["one", 21:26]))
  expect_true(all(is.na(seqlets$p_value)))
  expect_false(is.unsorted(seqlets$example))
})

test_that("a track of one number has no seqlets", {
  constant <- matrix(0.1, 2, 60)
  expect_identical(nrow(recursive_seqlets(constant)), 0L)
  expect_identical(nrow(tfmodisco_seqlets(constant)), 0L)
})

test_that("what is not a finite track is refused", {
  tracks <- site_tracks()
  kinds <- list(
    NULL, "ACGT", tracks["one", ], array(0, c(2, 3, 60)), array(0, c(1, 4, 60, 2)),
    matrix(0, 0, 60), replace(tracks, 5, NaN), replace(tracks, 5, Inf), replace(tracks, 5, NA)
  )
  for (bad in kinds) {
    expect_error(recursive_seqlets(bad), class = "seqlift_error_attributions")
    expect_error(tfmodisco_seqlets(bad), class = "seqlift_error_attributions")
  }
})

test_that("wrong arguments are named", {
  tracks <- site_tracks()
  refused <- function(code, name) {
    expect_error(code, name, class = "seqlift_error_argument")
  }
  refused(recursive_seqlets(tracks, threshold = 0), "threshold")
  refused(recursive_seqlets(tracks, threshold = 1.5), "threshold")
  refused(recursive_seqlets(tracks, min_len = 61), "min_len")
  refused(recursive_seqlets(tracks, max_len = 3), "max_len")
  refused(recursive_seqlets(tracks, additional_flanks = -1), "additional_flanks")
  refused(tfmodisco_seqlets(tracks, window_size = 61), "window_size")
  refused(tfmodisco_seqlets(tracks, window_size = 41, flank = 10), "flank")
  refused(tfmodisco_seqlets(tracks, target_fdr = 2), "target_fdr")
  refused(tfmodisco_seqlets(tracks, min_passing_frac = 0.5), "min_passing_frac")
})

test_that("sequences as short as a seqlet can be have none", {
  expect_identical(nrow(recursive_seqlets(matrix(c(1, 2, 3, 4), 1), threshold = 1)), 0L)
  expect_lte(nrow(recursive_seqlets(matrix(c(1, 2, 3, 4), 1), threshold = 1, min_len = 1)), 3L)
})

test_that("seqlets become ranges in their sequences or in the genome", {
  skip_if_not_installed("GenomicRanges")
  seqlets <- recursive_seqlets(site_tracks(), threshold = 0.05, max_len = 6)[1, ]
  named <- as.data.frame(seqlets_as_granges(seqlets))
  expect_identical(as.character(named$seqnames), "one")
  expect_identical(c(named$start, named$end), c(21L, 26L))
  expect_identical(named$p_value, seqlets$p_value)

  plain <- data.frame(example = c(2, 1), start = c(5, 5), end = c(8, 8))
  expect_identical(as.character(seqlets_as_granges(plain)), c("2:5-8", "1:5-8"))
  windows <- GenomicRanges::GRanges(c("chr1:1001-1060:+", "chr2:2001-2060:-"))
  expect_identical(
    as.character(seqlets_as_granges(plain, windows)),
    c("chr2:2053-2056:-", "chr1:1005-1008:+")
  )
  expect_length(seqlets_as_granges(plain[0, ], windows), 0L)
  expect_error(seqlets_as_granges(plain, windows[1]), "one range for each of 2",
    class = "seqlift_error_argument"
  )
  short <- GenomicRanges::GRanges(c("chr1:1001-1006", "chr1:1001-1060"))
  expect_error(seqlets_as_granges(plain, short), "6 bp", class = "seqlift_error_argument")
  expect_error(seqlets_as_granges(plain, "chr1"), "GRanges", class = "seqlift_error_argument")
  expect_error(seqlets_as_granges(plain[-1]), "example", class = "seqlift_error_argument")
  bad <- transform(plain, start = 9)
  expect_error(seqlets_as_granges(bad), "no start after", class = "seqlift_error_argument")
})

test_that("plot_logo() draws each sequence's own seqlets", {
  tracks <- site_tracks()
  values <- array(0, c(2, 4, 60), list(rownames(tracks), NULL, NULL))
  values[, 3, ] <- tracks
  seqlets <- recursive_seqlets(tracks, threshold = 0.05, max_len = 6)[1, ]
  drawn <- ggplot2::ggplot_build(plot_logo(values, annotations = seqlets))
  bars <- Filter(\(layer) all(c("xmin", "xmax") %in% names(layer)) && nrow(layer) == 1L, drawn$data)
  expect_length(bars, 1L)
  expect_equal(c(bars[[1]]$xmin, bars[[1]]$xmax), c(20.5, 26.5))
  expect_identical(as.integer(bars[[1]]$PANEL), 1L)
})
