skip_if_not_installed("SummarizedExperiment")
skip_if_not_installed("Biostrings")

assay_of <- function(se, name) SummarizedExperiment::assay(se, name, withDimnames = FALSE)

test_that("rows are sequences with their ranges, columns positions", {
  x <- ranged_result()
  se <- as_summarized_experiment(x)
  expect_s4_class(se, "RangedSummarizedExperiment")
  expect_true(methods::validObject(se))
  expect_identical(dim(se), c(3L, 12L))
  expect_identical(rownames(se), c("one", "two", "three"))
  ranges <- SummarizedExperiment::rowRanges(se)
  expect_identical(as.character(unname(ranges)), as.character(sequence_places()))
  expect_identical(GenomeInfoDb::seqinfo(ranges), GenomeInfoDb::seqinfo(sequence_places()))
  data <- SummarizedExperiment::rowData(se)
  expect_identical(names(data), c("score", "sequence", "convergence_deltas", "max_delta"))
  expect_identical(data$score, c(0.5, 1.5, 2.5))
  expect_identical(as.character(data$sequence), unname(test_sequences()))
  expect_identical(data$max_delta, c(4, 5, 6) / 1e6)
  expect_identical(se$position, 1:12)
  # Position 7 of 12 is the centre.
  expect_identical(se$offset, -6:5)
  expect_identical(S4Vectors::metadata(se)$info, attr(x, "info"))
})

test_that("assays hold the number of each letter, and those of all bases", {
  x <- ranged_result(kind = "hypothetical")
  se <- as_summarized_experiment(x)
  expect_equal(unname(assay_of(se, "attribution")), numbered_values())
  expect_identical(dim(assay_of(se, "by_base")), c(3L, 12L, 4L))
  expect_identical(dimnames(assay_of(se, "by_base"))[[3]], c("A", "C", "G", "T"))
  for (place in list(c(1, 1, 3), c(2, 4, 12), c(3, 2, 6))) {
    expect_identical(
      assay_of(se, "by_base")[place[1], place[3], place[2]], x[place[1], place[2], place[3]]
    )
  }
})

test_that("it is cut by overlaps and by positions", {
  se <- as_summarized_experiment(ranged_result())
  peak <- GenomicRanges::GRanges("chr1:205-300")
  near <- IRanges::subsetByOverlaps(se, peak)[, abs(se$offset) <= 2]
  expect_identical(rownames(near), "two")
  expect_equal(unname(assay_of(near, "attribution")), numbered_values()[2, 5:9, drop = FALSE])
})

test_that("a result without ranges has rows without them, and ranges can be given", {
  x <- ranged_result(ranges = FALSE)
  se <- as_summarized_experiment(x)
  expect_false(methods::is(se, "RangedSummarizedExperiment"))
  expect_identical(rownames(se), c("one", "two", "three"))
  expect_equal(as_seqlift_attributions(se), x)
  with <- as_summarized_experiment(x, sequence_places())
  expect_equal(with, as_summarized_experiment(ranged_result()))
  expect_error(as_summarized_experiment(x, sequence_places()[1]), "3 ranges",
    class = "seqlift_error_argument"
  )
})

test_that("the way back gives the result that it was made of", {
  named <- function(x) {
    ranges <- attribution_ranges(x)
    names(ranges) <- dimnames(x)[[1]]
    attribution_ranges(x) <- ranges
    x
  }
  model <- test_model("tiny")
  X <- ranged_sequences()
  results <- list(
    ranged_result(), ranged_result(kind = "hypothetical"),
    deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0),
    taylor_ism(model, X), attribute(model, X, "saliency")
  )
  for (x in results) {
    back <- as_seqlift_attributions(as_summarized_experiment(x))
    # The sequences come back as letters.
    letters <- function(x) {
      attr(x, "X") <- decode_one_hot(codes_to_one_hot(result_codes(x)))
      x
    }
    expect_equal(letters(back), letters(named(x)))
  }
  x <- ranged_result()
  expect_equal(
    as_seqlift_attributions(as_summarized_experiment(x)[c(3, 1), ]), named(x)[c(3, 1), , ]
  )
})

test_that("columns of the ranges that have our names stay as they are", {
  x <- ranged_result()
  ranges <- sequence_places()
  ranges$sequence <- c("a", "b", "c")
  attribution_ranges(x) <- ranges
  se <- as_summarized_experiment(x)
  expect_identical(SummarizedExperiment::rowData(se)$sequence, c("a", "b", "c"))
  expect_s4_class(SummarizedExperiment::rowData(se)$sequence.1, "DNAStringSet")
  back <- as_seqlift_attributions(se)
  expect_identical(attr(back, "X"), test_sequences())
  expect_identical(as.list(S4Vectors::mcols(attribution_ranges(back))),
    as.list(S4Vectors::mcols(ranges))
  )
})

test_that("it is saved and read back", {
  se <- as_summarized_experiment(ranged_result())
  path <- tempfile(fileext = ".rds")
  on.exit(unlink(path))
  saveRDS(se, path)
  expect_equal(as_seqlift_attributions(readRDS(path)), as_seqlift_attributions(se))
})

test_that("what is no result, or no experiment of one, is refused", {
  refused <- function(code, words) {
    expect_error(code, words, class = "seqlift_error_argument")
  }
  refused(as_summarized_experiment(array(0, c(1, 4, 5))), "attributions")
  two <- new_attributions(array(0, c(3, 4, 12, 2)), test_sequences(), array(0, c(3, 1, 2)))
  refused(as_summarized_experiment(two), "one target")
  raw <- new_attributions(
    array(0, c(3, 2, 4, 12)), test_sequences(), matrix(0, 3, 2), NULL, "multipliers"
  )
  refused(as_summarized_experiment(raw), "multipliers")
  se <- as_summarized_experiment(ranged_result())
  refused(as_seqlift_attributions(se[, 1:5]), "all its positions")
  refused(as_seqlift_attributions(SummarizedExperiment::SummarizedExperiment()), "made by")
  refused(as_seqlift_attributions(1), "made by")
})
