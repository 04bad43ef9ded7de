# Bins by their places in the genome.

skip_if_not_installed("GenomicRanges")

granges <- function(...) GenomicRanges::GRanges(c(...))

# Bins of four positions, 6 of a window of 24 bp, and the middle 6 of the 8 of 32 bp.
whole_model <- function() test_model("bins_of_tracks")
cropped_model <- function() enformer(enformer_dict(), head = "human", target_length = 6)

bins_chosen <- function(model, ...) select_bins(model, ...)$wrappers[[1L]]$bins

test_that("exons choose the bins between their ends, rounded to the nearest border", {
  choose <- function(exons, ...) {
    bins_chosen(whole_model(), exons = granges(exons), window = granges("chr1:101-124"), ...)
  }
  expect_identical(choose("chr1:101-104"), 1L)
  expect_identical(choose("chr1:105-112"), 2:3)
  expect_identical(choose("chr1:106-111"), 2:3)
  expect_identical(choose("chr1:108-113"), 3L)
  expect_identical(choose(c("chr1:105-108", "chr1:121-124")), c(2L, 6L))
  # Halves go to the even border, as numpy rounds.
  expect_identical(choose("chr1:103-108"), 1:2)
  expect_identical(choose("chr1:107-116"), 3:4)
  # Exons that overlap or touch are one.
  expect_identical(choose(c("chr1:105-106", "chr1:107-108")), 2L)
  expect_identical(choose(c("chr1:105-112:+", "chr1:106-109:-")), 2:3)
  expect_identical(choose("chr1:108-113", borders = "touched"), 2:4)
  expect_identical(choose("chr1:108", borders = "touched"), 2L)
  expect_error(choose("chr1:108-109"), "touched", class = "seqlift_error_argument")
})

test_that("bins lie in the middle of the window, from its end on the minus strand", {
  choose <- function(exons, window, ...) {
    bins_chosen(cropped_model(), exons = granges(exons), window = granges(window), ...)
  }
  # Bins 1 to 6 are positions 5 to 28.
  expect_identical(choose("chr1:1005-1008", "chr1:1001-1032"), 1L)
  expect_identical(choose("chr1:1025-1028", "chr1:1001-1032:+"), 6L)
  expect_identical(choose("chr1:1005-1008", "chr1:1001-1032:-"), 6L)
  expect_identical(choose("chr1:1021-1028", "chr1:1001-1032:-"), 1:2)
  given <- select_bins(cropped_model(),
    exons = granges("chr1:1005-1008", "chr1:1021-1024"), window = granges("chr1:1001-1032:-")
  )
  lie <- bin_ranges(given)
  expect_identical(range_text(lie), c("chr1:1021-1024:-", "chr1:1005-1008:-"))
  expect_identical(lie$bin, c(2L, 6L))
  expect_identical(range_text(bin_ranges(
    select_bins(cropped_model(), bins = c(1, 6), window = granges("chr1:1001-1032"))
  )), c("chr1:1005-1008:*", "chr1:1025-1028:*"))
  expect_length(bin_ranges(select_bins(cropped_model(), window = granges("chr1:1-32"))), 6L)
})

# Position by position: which bins hold one of an exon's positions.
touched_by_hand <- function(exons, window, cut, bin_size, count) {
  positions <- unlist(Map(seq.int, exons$start, exons$end))
  positions <- positions[positions >= window$start & positions <= window$end]
  place <- if (window$strand == "-") window$end - positions else positions - window$start
  bins <- (place - cut) %/% bin_size + 1
  sort(unique(as.integer(bins[bins >= 1 & bins <= count])))
}

# The ends of every stretch of exons, as gene.output_slice() of baskerville reads them.
nearest_by_hand <- function(exons, window, cut, bin_size, count) {
  covered <- logical(window$width)
  positions <- unlist(Map(seq.int, exons$start, exons$end))
  positions <- positions[positions >= window$start & positions <= window$end]
  covered[if (window$strand == "-") {
    window$end - positions + 1L
  } else {
    positions - window$start + 1L
  }] <- TRUE
  runs <- rle(covered)
  ends <- cumsum(runs$lengths)[runs$values]
  starts <- ends - runs$lengths[runs$values]
  clip <- function(x) pmin(pmax(round((x - cut) / bin_size), 0), count)
  sort(unique(unlist(Map(function(from, to) from + seq_len(max(0, to - from)), clip(starts),
    clip(ends)
  ))))
}

test_that("any exons in any window choose what they choose position by position", {
  set.seed(1)
  compared <- 0L
  for (trial in 1:150) {
    bin_size <- sample(c(2L, 4L, 8L, 10L), 1L)
    count <- sample(3:12, 1L)
    cut <- sample(0:9, 1L)
    width <- count * bin_size + 2L * cut
    window <- data.frame(
      seqnames = "chr1", start = 500L, end = 500L + width - 1L, width = width,
      strand = sample(c("+", "-", "*"), 1L)
    )
    n <- sample(1:5, 1L)
    start <- sample(seq(480L, 500L + width + 10L), n, replace = TRUE)
    size <- sample(1:30, n, replace = TRUE)
    exons <- data.frame(
      seqnames = sample(c("chr1", "chr1", "chr2"), n, replace = TRUE), start = start,
      end = start + size - 1L, width = size, strand = "*"
    )
    for (borders in c("touched", "nearest")) {
      by_hand <- if (borders == "touched") touched_by_hand else nearest_by_hand
      here <- exons[exons$seqnames == "chr1", ]
      expected <- if (nrow(here) > 0L) by_hand(here, window, cut, bin_size, count)
      given <- tryCatch(
        suppressWarnings(
          exon_bins(exons, window, cut, bin_size, count, borders, NULL),
          classes = "seqlift_warning_exons"
        ),
        seqlift_error_argument = function(error) NULL
      )
      if (length(expected) == 0L) {
        expect_null(given)
      } else {
        compared <- compared + 1L
        expect_identical(given, as.integer(expected))
      }
    }
  }
  expect_gt(compared, 150L)
})

test_that("exons outside of what is predicted are told of", {
  choose <- function(exons, window = "chr1:1001-1032") {
    bins_chosen(cropped_model(), exons = granges(exons), window = granges(window))
  }
  expect_warning(chosen <- choose(c("chr1:1005-1008", "chr1:1-40", "chr2:1005-1008")),
    class = "seqlift_warning_exons"
  )
  expect_identical(chosen, 1L)
  expect_warning(chosen <- choose("chr1:995-1012"), class = "seqlift_warning_exons")
  expect_identical(chosen, 1:2)
  for (outside in list("chr1:1001-1004", "chr1:2001-2004", "chr2:1005-1008")) {
    expect_error(choose(outside), class = "seqlift_error_argument")
  }
  expect_snapshot({
    choose(c("chr1:1005-1008", "chr1:1-40", "chr1:1027-1030"))
  })
  expect_snapshot(error = TRUE, {
    choose("chr1:1001-1004")
    choose("chr2:1005-1008")
    choose("chr1:1007-1008", "chr1:1001-1030")
    select_bins(cropped_model(), exons = granges("chr1:1005-1008"))
    select_bins(cropped_model(), exons = GenomicRanges::GRanges(), window = granges("chr1:1-32"))
    choose("chr1:1007-1008", c("chr1:1001-1032", "chr1:1001-1032"))
    select_bins(test_model("middle_bins"),
      exons = granges("chr1:5-8"), window = granges("chr1:1-32"), order = "bins_tracks"
    )
    select_bins(cropped_model(),
      bins = 1, exons = granges("chr1:5-8"), window = granges("chr1:1-32")
    )
  })
})

test_that("the exons of a gene in a list are one score, and a bin's size may be given", {
  exons <- GenomicRanges::GRangesList(a = granges("chr1:5-8"), b = granges("chr1:15-18"))
  window <- granges("chr1:1-36")
  model <- test_model("middle_bins")
  # Six bins of four in the middle of 36 bp begin behind position 6: the first exon is half a bin.
  expect_warning(
    chosen <- bins_chosen(model,
      exons = exons, window = window, order = "bins_tracks", bin_size = 4
    ),
    class = "seqlift_warning_exons"
  )
  expect_identical(chosen, 3L)
  expect_error(
    select_bins(model, exons = exons, window = window, order = "bins_tracks", bin_size = 8),
    class = "seqlift_error_argument"
  )
  expect_error(
    select_bins(model,
      exons = exons, window = granges("chr1:1-35"), order = "bins_tracks", bin_size = 4
    ),
    class = "seqlift_error_argument"
  )
})

test_that("bin sizes of published architectures are told by their modules", {
  expect_identical(
    known_bins(binned_cases()$enformer$model), list(order = "bins_tracks", bin_size = 4)
  )
  borzoi <- borzoi(test_path("architectures", "borzoi_small.pth"),
    head = "human", target_length = NULL
  )
  known <- known_bins(borzoi)
  X <- random_one_hot(c(1, 4, 128), random_state = 1)
  expect_identical(128 / known$bin_size, as.double(dim(predict(borzoi, X))[3L]))
  enformer <- enformer(enformer_dict(), head = "human", target_length = NULL)
  expect_identical(32 / known_bins(enformer)$bin_size, as.double(
    dim(predict(enformer, random_one_hot(c(1, 4, 32), random_state = 1)))[2L]
  ))
  expect_null(known_bins(test_model("bins_of_tracks")))
})

test_that("the score of a gene is that of its exons' bins, as Borzoi's authors compute it", {
  case <- binned_cases()$borzoi
  # 20 bins of 4 bp in the middle of 128 bp: positions 25 to 104.
  window <- granges("chr1:1001-1128")
  squashing <- c(scale = 0.1, clip = 6, power = 0.75)
  model <- select_bins(case$model,
    tracks = c(1, 3), transform = "log_sum", window = window,
    exons = granges("chr1:1025-1032", "chr1:1062-1069"), squashing = squashing
  )
  output <- bins_of_output(case$model, case$X, TRUE)
  expected <- bin_score_by_hand(output, c(1:2, 10:11), c(1L, 3L), "log_sum", squashing)
  expect_lt(largest_difference(predict(model, case$X, dtype = "float64"), expected), 1e-12)
})

test_that("sequences of another place or length are refused by every verb", {
  skip_if_not_installed("Biostrings")
  letters <- decode_one_hot(random_one_hot(c(2, 4, 32), random_state = 1))
  X <- Biostrings::DNAStringSet(letters)
  window <- granges("chr1:1001-1032:-")
  model <- select_bins(cropped_model(), exons = granges("chr1:1005-1008"), window = window)
  at <- function(ranges) {
    S4Vectors::mcols(X)$range <- ranges
    X
  }
  here <- at(granges("chr1:1001-1032:-", "chr1:1001-1032:-"))
  there <- at(granges("chr1:1001-1032:-", "chr1:1002-1033:-"))
  turned <- at(granges("chr1:1001-1032:-", "chr1:1001-1032:+"))
  scores <- predict(model, letters)
  expect_identical(numbers_of(predict(model, here)), numbers_of(scores))
  explained <- attribute(model, here, "gradient_x_input")
  expect_identical(range_text(attribution_ranges(explained)), rep("chr1:1001-1032:-", 2L))
  both <- ensemble(model, model)
  for (given in list(there, turned, paste0(letters, "ACGT"))) {
    for (one in list(model, both)) {
      expect_error(predict(one, given), class = "seqlift_error_ranges")
      expect_error(deep_lift_shap(one, given), class = "seqlift_error_ranges")
      expect_error(attribute(one, given, "saliency"), class = "seqlift_error_ranges")
      expect_error(saturation_mutagenesis(one, given), class = "seqlift_error_ranges")
    }
  }
  expect_snapshot(error = TRUE, {
    predict(model, there)
    predict(model, paste0(letters, "ACGT"))
  })
})
