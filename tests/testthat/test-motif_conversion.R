conversion_motifs <- function() {
  letters <- t(one_hot_encode("AGATAAG")[1L, , ])
  colnames(letters) <- c("A", "C", "G", "T")
  # Of three seqlets; G in one, A in two.
  ppm <- letters
  ppm[1L, ] <- c(2, 0, 1, 0) / 3
  # An N of one seqlet.
  ppm[2L, ] <- c(0, 0, 2, 0) / 3
  pattern <- list(
    name = "neg_patterns.pattern_0", sign = "negative", ppm = ppm, contributions = -letters * 0.5,
    hypothetical = letters - 0.7, subpatterns = list(),
    seqlets = data.frame(example = 1:3, start = 4L, end = 10L, attribution = -3, strand = "+")
  )
  seqlift:::new_motifs(list(neg_patterns.pattern_0 = pattern))
}

test_that("patterns go to TFBSTools as counts, and come back", {
  skip_if_not_installed("TFBSTools")
  list <- motifs_as_pfmatrix(conversion_motifs())
  expect_s4_class(list, "PFMatrixList")
  expect_identical(names(list), "neg_patterns.pattern_0")
  object <- list[[1L]]
  expected <- matrix(c(2, 0, 1, 0, 0, 0, 3, 0), 4L)
  expect_equal(unname(TFBSTools::Matrix(object)[, 1:2]), expected)
  expect_identical(colSums(TFBSTools::Matrix(object)), rep(3, 7L))
  expect_identical(TFBSTools::tags(object), list(sign = "negative", consensus = "AGATAAG"))
  back <- as_motif_matrices(list)
  expect_named(back, "neg_patterns.pattern_0")
  expect_equal(back[[1L]], TFBSTools::Matrix(object) / 3)
  # Without seqlets, of 1000.
  bare <- unclass(conversion_motifs())
  bare[[1L]]$seqlets <- bare[[1L]]$seqlets[0L, ]
  counts <- TFBSTools::Matrix(motifs_as_pfmatrix(seqlift:::new_motifs(bare))[[1L]])
  expect_equal(unname(counts[, 1L]), c(667, 0, 333, 0))
})

test_that("patterns go to universalmotif as probabilities or contributions", {
  skip_if_not_installed("universalmotif")
  motifs <- conversion_motifs()
  object <- motifs_as_universalmotif(motifs)[["neg_patterns.pattern_0"]]
  expect_identical(object@type, "PPM")
  expect_identical(object@nsites, 3)
  expect_equal(as_motif_matrices(object)[[1L]][, 1L], motifs[[1L]]$ppm[1L, ])
  skip_if(utils::packageVersion("universalmotif") < contribution_type_version, "it has no CWM")
  object <- motifs_as_universalmotif(motifs, matrix = "contributions")[[1L]]
  expect_identical(object@type, "CWM")
  expect_equal(unname(object@motif), unname(t(motifs[[1L]]$contributions)))
  expect_identical(object@extrainfo, c(sign = "negative"))
  expect_identical(object@strand, "+-")
  expect_identical(object@nsites, 3)
  # As the patterns themselves, for hit calling and back.
  objects <- motifs_as_universalmotif(motifs, matrix = "contributions", trim_threshold = 0)
  expect_equal(as_motif_matrices(objects), as_motif_matrices(motifs, "contributions", 0))
  laid <- function(motifs) seqlift:::hit_motifs(motifs, "pp", 0.7, 0.3, FALSE, 20L, NULL)$laid
  expect_equal(laid(objects), laid(motifs))
})

test_that("an old universalmotif is refused for contributions, with its version", {
  expect_error(check_contribution_type(package_version("1.16.0")), "1.16.0.*has no type",
    class = "seqlift_error_package")
  expect_no_error(check_contribution_type(package_version("1.32.0")))
})

test_that("what is no pattern is refused", {
  for (convert in list(motifs_as_universalmotif, motifs_as_pfmatrix)) {
    expect_error(convert(list(diag(4))), "motifs", class = "seqlift_error_argument")
    expect_error(
      convert(conversion_motifs()[0L]), "without a pattern", class = "seqlift_error_argument"
    )
    expect_error(convert(conversion_motifs(), trim_threshold = 2), class = "seqlift_error_argument")
  }
  expect_error(motifs_as_universalmotif(conversion_motifs(), matrix = "x"),
    class = "seqlift_error_argument")
})
