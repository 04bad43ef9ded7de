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
  # Bins of width 1/999; positions are 0 (56 of 60) or in the top bin (4). No sum of four is larger
  # than four ones; larger than three are four ones alone.
  tracks <- matrix(0, 1, 60)
  tracks[1, 31:34] <- 1
  seqlets <- recursive_seqlets(tracks, threshold = 1, max_len = 4)
  top <- seqlets[seqlets$attribution == 4, ]
  expect_identical(c(top$start, top$end), c(31L, 34L))
  expect_identical(top$p_value, 0)
  tracks[1, 31] <- 0
  tracks[1, 50] <- 1
  seqlets <- recursive_seqlets(tracks, threshold = 1, max_len = 4)
  expect_equal(max(seqlets$p_value[seqlets$attribution == 3]), (4 / 60)^4)
  # The peer adds the chance of the lowest bin.
  peer <- recursive_seqlets(tracks, threshold = 1, max_len = 4, compatible = TRUE)
  expect_equal(min(peer$p_value), (56 / 60)^4 + (4 / 60)^4)
})

# As the page defines it: the chance of a larger sum of as many draws, in bins.
chance_of_larger <- function(x, sum, m, bins = 1000) {
  width <- (max(x) - min(x)) / (bins - 1)
  share <- tabulate(floor((x - min(x)) / width) + 1, bins) / length(x)
  sums <- 1
  for (i in seq_len(m)) sums <- stats::convolve(sums, rev(share), type = "open")
  bin <- floor((sum - m * min(x)) / width)
  if (bin <= 0) 1 else sum(sums[seq_along(sums) - 1 > bin])
}

test_that("sites are found whatever the lowest number's share, with the p-values of the page", {
  noise <- random_one_hot(c(3, 4, 200), random_state = 4)[, 1, ] * 0.2
  kinds <- list(
    signed = cbind(noise - 0.05, 0.3 * noise), absolute = abs(cbind(noise, noise - 0.1)),
    positive = pmax(cbind(noise, noise - 0.1), 0), sparse = cbind(noise, noise) * 0
  )
  for (kind in names(kinds)) {
    tracks <- kinds[[kind]]
    tracks[2, 101:108] <- c(1, 1.3, 1.6, 1.9, 1.8, 1.5, 1.2, 1.1)
    seqlets <- recursive_seqlets(tracks)
    expect_gt(nrow(seqlets), 0, label = kind)
    expect_true(any(seqlets$example == 2 & seqlets$start <= 105 & seqlets$end >= 104), label = kind)
    for (i in seq_len(nrow(seqlets))) {
      one <- seqlets[i, ]
      spans <- 4:(one$end - one$start + 1L)
      expected <- vapply(spans, function(m) {
        chance_of_larger(tracks, sum(tracks[one$example, one$start - 1L + seq_len(m)]), m)
      }, 0)
      expect_equal(one$p_value, max(expected), tolerance = 1e-6, label = paste(kind, i))
    }
  }
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
