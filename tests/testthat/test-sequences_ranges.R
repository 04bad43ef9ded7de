test_that("what explains a DNAStringSet with ranges gives a result with these ranges", {
  X <- ranged_sequences()
  places <- sequence_places()
  model <- test_model("tiny")
  results <- list(
    deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0),
    deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0, raw_outputs = TRUE),
    deep_lift_shap(model, X, target = 1:2, n_shuffles = 2L, random_state = 0),
    attribute(model, X, "saliency"),
    attribute(model, X, "integrated_gradients", n_steps = 3L),
    attribute(model, X, "deep_lift_reveal_cancel", n_shuffles = 2L, random_state = 0),
    taylor_ism(model, X), mean_effects(taylor_ism(model, X)),
    mean_effects(as.array(taylor_ism(model, X)), X),
    saturation_mutagenesis(model, X), pisa(model, X, n_shuffles = 2L, random_state = 0),
    dependency_map(model, X),
    attribute(model, X, "saliency", layer = "conv"),
    attribute(model, X, "deep_lift_rescale", layer = "conv", n_shuffles = 2L, random_state = 0)
  )
  for (result in results) {
    expect_identical(attribution_ranges(result), places)
  }
})

test_that("results of letters and arrays have no ranges", {
  model <- test_model("tiny")
  expect_null(attribution_ranges(attribute(model, test_sequences(), "saliency")))
  expect_null(attribution_ranges(attribute(model, one_hot_encode(test_sequences()), "saliency")))
  bare <- ranged_sequences()
  S4Vectors::mcols(bare)$range <- 1:3
  expect_null(attribution_ranges(attribute(model, bare, "saliency")))
})

test_that("the ranges do not change the numbers", {
  model <- test_model("tiny")
  with <- attribute(model, ranged_sequences(), "saliency")
  without <- attribute(model, test_sequences(), "saliency")
  expect_identical(as.array(with), as.array(without))
})

test_that("ranges that are not those of the sequences are left out with a warning", {
  X <- ranged_sequences()
  cut <- Biostrings::subseq(X, 1L, 11L)
  S4Vectors::mcols(cut) <- S4Vectors::mcols(X)
  expect_warning(sequences <- as_sequences(cut), "11 bp, its range 12",
    class = "seqlift_warning_ranges"
  )
  expect_null(sequences$ranges)
})

test_that("a window has the ranges of its positions, on either strand", {
  scores <- saturation_mutagenesis(test_model("tiny"), ranged_sequences(), start = 3, end = 5)
  expect_identical(
    as.character(attribution_ranges(scores)), c("chr1:103-105:+", "chr1:208-210:-", "chr2:7-9:*")
  )
  expect_identical(S4Vectors::mcols(attribution_ranges(scores))$score, c(0.5, 1.5, 2.5))
})

test_that("the map of a window has the ranges of its positions", {
  map <- dependency_map(test_model("tiny"), ranged_sequences(), start = 3, end = 5)
  expect_identical(
    as.character(attribution_ranges(map)), c("chr1:103-105:+", "chr1:208-210:-", "chr2:7-9:*")
  )
  expect_match(capture.output(print(map)), "ranges: +chr1:103-105:[+]", all = FALSE)
})

test_that("results of several layers have ranges each, and deltas where there are none too", {
  layers <- attribute(test_model("tiny"), ranged_sequences(), "saliency", layer = c("conv", "relu"))
  for (one in layers) {
    expect_identical(attribution_ranges(one), sequence_places())
    expect_identical(dim(convergence_deltas(one)), c(3L, 0L))
  }
})

test_that("perturbations know where their sequences lie", {
  X <- ranged_sequences()
  places <- sequence_places()
  text <- c("chr1:101-112:+", "chr1:201-212:-", "chr2:5-16:*")
  results <- list(
    marginalize(NULL, X, "ACG", func = count_bases),
    marginalize(NULL, X, motifs = c("ACG", "GG"), func = count_bases),
    ablate(NULL, X, 2, 9, n = 2L, shuffle = shuffle_region, func = count_bases, random_state = 0),
    space_motifs(NULL, X, c("A", "C"), spacings = 1:2, func = count_bases),
    substitution_effect(NULL, X, data.frame(example = 2, position = 1, alt = "A"),
      func = count_bases
    ),
    deletion_effect(NULL, X, data.frame(example = 2, position = 1), func = count_bases),
    insertion_effect(NULL, X, data.frame(example = 2, position = 1, alt = "A"), func = count_bases)
  )
  for (result in results) {
    expect_identical(attribution_ranges(result), places)
    frame <- as.data.frame(result)
    expect_identical(frame$range, text[match(frame$sequence, names(X))])
    expect_match(capture.output(print(result)), "ranges: +chr1:101-112:[+]", all = FALSE)
    expect_no_match(capture.output(print(result)), "effect:.*range")
  }
  # The mean over sequences has no place, that of each sequence has.
  expect_false("range" %in% names(summary(results[[1L]])))
  effects <- summary(results[[5L]])
  expect_identical(effects$range, text[match(effects$sequence, names(X))])
})

test_that("a variant has the place of its sequence, and its own", {
  X <- ranged_sequences()
  variants <- data.frame(
    example = c("two", "one", "two"), position = c(2, 5, 12), ref = c("G", "TG", "C"),
    alt = c("A", "T", "CA")
  )
  result <- variant_effect(NULL, X, variants, func = count_bases)
  expect_identical(attribution_ranges(result), sequence_places()[c(2, 1, 2)])
  frame <- as.data.frame(result)
  frame <- frame[frame$target == "A", ]
  expect_identical(frame$range, c("chr1:201-212:-", "chr1:101-112:+", "chr1:201-212:-"))
  # The second sequence is read from the minus strand.
  expect_identical(frame$seqnames, rep("chr1", 3L))
  expect_identical(frame$pos, c(211L, 105L, 201L))
  expect_identical(frame$strand, c("-", "+", "-"))
})

test_that("annotations have the place of the annotated region", {
  X <- ranged_sequences()
  regions <- data.frame(example = c(2, 1), start = c(2, 3), end = c(4, 9))
  places <- c("chr1:209-211:-", "chr1:103-109:+")
  ablated <- ablate_annotations(NULL, X, regions,
    n = 2L, shuffle = shuffle_region, func = count_bases, random_state = 0
  )
  placed <- marginalize_annotations(NULL, X, test_sequences(2L), regions, func = count_bases)
  for (result in list(ablated, placed)) {
    expect_identical(unname(as.character(attribution_ranges(result))), places)
    frame <- summary(result)
    expect_identical(unique(frame$range), places)
  }
})

test_that("perturbations of letters have no ranges, which can be set", {
  skip_if_not_installed("GenomicRanges")
  result <- marginalize(NULL, unname(test_sequences()), "ACG", func = two_outputs)
  expect_null(attribution_ranges(result))
  expect_false("range" %in% names(as.data.frame(result)))
  expect_error(attribution_ranges(result) <- sequence_places()[1:2], "3 ranges",
    class = "seqlift_error_argument"
  )
  attribution_ranges(result) <- sequence_places()
  frame <- as.data.frame(result)
  expect_identical(frame$range, range_text(sequence_places())[frame$sequence])
})

test_that("ranges follow the sequences that are taken, and the targets", {
  x <- ranged_result()
  expect_identical(attribution_ranges(x[c(3, 1), , ]), sequence_places()[c(3, 1)])
  expect_identical(attribution_ranges(x["two", , ]), sequence_places()[2])
  expect_identical(attribution_ranges(x[c(FALSE, TRUE, TRUE), , ]), sequence_places()[2:3])
  both <- deep_lift_shap(test_model("tiny"), ranged_sequences(),
    target = 1:2, n_shuffles = 2L, random_state = 0
  )
  expect_identical(attribution_ranges(both[, , , 2]), sequence_places())
  expect_null(attr(as.array(x), "ranges"))
  expect_null(attr(x * 2, "ranges"))
})

test_that("ranges are set, replaced and taken away", {
  x <- ranged_result(ranges = FALSE)
  expect_null(attribution_ranges(x))
  attribution_ranges(x) <- sequence_places()
  expect_identical(x, ranged_result())
  attribution_ranges(x) <- NULL
  expect_identical(x, ranged_result(ranges = FALSE))
  influence <- pisa(test_model("tiny"), test_sequences(), n_shuffles = 2L, random_state = 0)
  attribution_ranges(influence) <- sequence_places()
  expect_identical(attribution_ranges(influence), sequence_places())
})

test_that("ranges that do not fit are refused with what was expected", {
  x <- ranged_result()
  refused <- function(value, words) {
    expect_error(attribution_ranges(x) <- value, words, class = "seqlift_error_argument")
  }
  refused(sequence_places()[1:2], "3 ranges")
  refused("chr1:101-112", "GRanges")
  refused(GenomicRanges::resize(sequence_places(), 11L), "12 bp, not of 11 bp")
  expect_error(attribution_ranges(1), class = "seqlift_error_argument")
  plain <- array(0, c(3, 4, 12))
  expect_error(attribution_ranges(plain) <- sequence_places(), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, attribution_ranges(x) <- sequence_places()[1:2])
})

test_that("a result prints where it lies", {
  lines <- capture.output(print(ranged_result()))
  expect_identical(
    grep("ranges", lines, value = TRUE), "  ranges:      chr1:101-112:+, chr1:201-212:-, ... (made)"
  )
  expect_length(grep("ranges", capture.output(print(ranged_result(ranges = FALSE)))), 0L)
})

test_that("as.data.frame() places every position in the genome, backwards on the minus strand", {
  frame <- as.data.frame(ranged_result())
  expect_named(
    frame, c("sequence", "position", "seqnames", "pos", "strand", "base", "attribution")
  )
  expect_identical(frame$seqnames, rep(c("chr1", "chr1", "chr2"), each = 12L))
  expect_identical(frame$strand, rep(c("+", "-", "*"), each = 12L))
  expect_identical(frame$pos, c(101:112, 212:201, 5:16))
  all <- as.data.frame(ranged_result(), all_bases = TRUE)
  expect_identical(all$pos, rep(frame$pos, each = 4L))
  # A genome that these sequences are from has their letters at these places.
  genome <- c(chr1 = strrep("A", 300), chr2 = strrep("A", 300))
  for (i in seq_len(nrow(frame))) {
    letter <- if (frame$strand[i] == "-") chartr("ACGT", "TGCA", frame$base[i]) else frame$base[i]
    substr(genome[[frame$seqnames[i]]], frame$pos[i], frame$pos[i]) <- letter
  }
  skip_if_not_installed("Rsamtools")
  path <- file.path(new_folder(), "genome.fa")
  Biostrings::writeXStringSet(Biostrings::DNAStringSet(genome), path)
  Rsamtools::indexFa(path)
  read <- Biostrings::getSeq(Rsamtools::FaFile(path), sequence_places())
  expect_identical(unname(as.character(read)), unname(test_sequences()))
})

test_that("places are written as text and read back, whatever their names and starts", {
  skip_if_not_installed("GenomicRanges")
  odd <- GenomicRanges::GRanges(
    c("HLA-A*01:01:01:01", "chr1", "chr2"), IRanges::IRanges(c(100L, -5L, 100000L), width = 7L),
    c("+", "-", "*")
  )
  text <- range_text(odd)
  expect_identical(text[3], "chr2:100000-100006:*")
  expect_identical(parse_range_text(text), range_places(odd))
  expect_null(parse_range_text(c(text, "chr1")))
  expect_null(parse_range_text(NA_character_))
})

test_that("seqlets of a result with ranges know their places", {
  values <- numbered_values() / 1000
  values[2, 4:7] <- c(2, 2.1, 2.2, 2.3)
  x <- ranged_result(values = values)
  seqlets <- recursive_seqlets(x, threshold = 0.5, min_len = 4L, max_len = 4L)
  top <- seqlets[1L, ]
  expect_identical(c(top$example, top$start, top$end), c(2L, 4L, 7L))
  expect_identical(top$range, "chr1:201-212:-")
  # Position 4 of the minus strand is 212 - 4 + 1.
  expect_identical(as.character(seqlets_as_granges(top)), "chr1:206-209:-")
  expect_identical(
    as.data.frame(seqlets_as_granges(seqlets)),
    as.data.frame(seqlets_as_granges(seqlets, attribution_ranges(x)))
  )
  windows <- tfmodisco_seqlets(x, window_size = 4L, flank = 1L)
  expect_identical(windows$range, range_text(sequence_places())[windows$example])
})

test_that("seqlets keep their places when tables are cut and put together", {
  skip_if_not_installed("GenomicRanges")
  one <- data.frame(example = 1L, start = 2L, end = 3L, range = "chr1:101-112:+")
  other <- data.frame(example = 1L, start = 2L, end = 3L, range = "chr2:5-16:-")
  both <- rbind(one, other)
  expect_identical(as.character(seqlets_as_granges(both)), c("chr1:102-103:+", "chr2:14-15:-"))
  expect_identical(unname(as.character(seqlets_as_granges(both[2, ]))), "chr2:14-15:-")
  both$range[1] <- NA
  expect_error(seqlets_as_granges(both), "column range", class = "seqlift_error_argument")
  both$range <- NULL
  expect_identical(as.character(seqlets_as_granges(both)), c("1:2-3", "1:2-3"))
  one$end <- 13L
  expect_error(seqlets_as_granges(one), "12 bp", class = "seqlift_error_argument")
})

test_that("a result with ranges can be printed and taken from after saveRDS()", {
  file <- tempfile(fileext = ".rds")
  on.exit(unlink(file))
  saveRDS(ranged_result(), file)
  fresh <- in_new_session(function(file) {
    library(seqlift)
    x <- readRDS(file)
    as.character(attribution_ranges(x[2, , ]))
  }, list(file))
  expect_identical(fresh, "chr1:201-212:-")
})

test_that("results from workers and from files keep the ranges of their sequences", {
  for (package in c("BiocParallel", "rhdf5", "HDF5Array")) {
    skip_if_not_installed(package)
  }
  X <- ranged_sequences()
  model <- test_model("tiny")
  serial <- deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0)
  expect_identical(attribution_ranges(serial), sequence_places())

  path <- file.path(new_folder(), "scores.h5")
  streamed <- deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0, output = path)
  # Columns stay with the result in memory; the file has the places and the genome.
  places <- sequence_places()[2:3]
  S4Vectors::mcols(places) <- NULL
  expect_identical(attribution_ranges(streamed[2:3, , ]), places)
  expect_identical(attribution_ranges(read_h5(path)[2:3, , ]), places)
  expect_identical(attribution_ranges(streamed)[2:3], places)

  workers <- BiocParallel::SnowParam(2L)
  workers <- BiocParallel::bpstart(workers)
  on.exit(BiocParallel::bpstop(workers))
  parallel <- list(
    deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0, BPPARAM = workers),
    pisa(model, X, n_shuffles = 2L, random_state = 0, BPPARAM = workers),
    attribute(model, X, "saliency", layer = "conv", BPPARAM = workers),
    marginalize(model, X, "ACG", BPPARAM = workers)
  )
  for (result in parallel) {
    expect_identical(attribution_ranges(result), sequence_places())
  }
  # A window is placed as it is in this session.
  for (verb in list(saturation_mutagenesis, dependency_map)) {
    expect_identical(
      attribution_ranges(verb(model, X, start = 3, end = 5, BPPARAM = workers)),
      attribution_ranges(verb(model, X, start = 3, end = 5))
    )
  }
})
