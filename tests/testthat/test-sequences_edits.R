flat <- c(first = "AAAAAAAAAAAA", second = "CCCCCCCCCCCC")

edited <- function(X) unname(decode_one_hot(X))

test_that("a motif replaces what stands at its place", {
  expect_identical(
    edited(substitute_motif(flat, "GATA", start = 1)), c("GATAAAAAAAAA", "GATACCCCCCCC")
  )
  expect_identical(
    edited(substitute_motif(flat, "GATA", start = 9)), c("AAAAAAAAGATA", "CCCCCCCCGATA")
  )
})

test_that("a motif without a start is centred, halves rounded down", {
  for (size in 1:8) {
    for (length in 8:9) {
      motif <- strrep("G", size)
      X <- edited(substitute_motif(strrep("A", length), motif))
      expect_identical(as.integer(regexpr("G", X)), length %/% 2L - size %/% 2L + 1L)
    }
  }
})

test_that("an N of a motif keeps the base of the sequence", {
  expect_identical(
    edited(substitute_motif(flat, "GNNT", start = 3)), c("AAGAATAAAAAA", "CCGCCTCCCCCC")
  )
  expect_identical(
    edited(substitute_motif(flat, "G--T", start = 3, ignore = "-")),
    c("AAGAATAAAAAA", "CCGCCTCCCCCC")
  )
  expect_identical(
    edited(substitute_motif(flat, one_hot_encode("GNNT"), start = 3)),
    c("AAGAATAAAAAA", "CCGCCTCCCCCC")
  )
  expect_error(substitute_motif(flat, "GNNT", ignore = "-"), class = "seqlift_error_sequence")
})

test_that("each sequence can have its own motif, in any form", {
  motifs <- c("GGG", "TNT")
  expected <- c("AGGGAAAAAAAA", "CTCTCCCCCCCC")
  forms <- list(motifs, tolower(motifs), one_hot_encode(motifs), one_hot_encode(motifs) == 1)
  if (requireNamespace("Biostrings", quietly = TRUE)) {
    forms <- c(forms, list(Biostrings::DNAStringSet(motifs)))
  }
  for (motif in forms) {
    expect_identical(edited(substitute_motif(flat, motif, start = 2)), expected)
  }
})

test_that("letters, a DNAStringSet and an array are edited alike, names kept", {
  X <- one_hot_encode(flat)
  forms <- list(flat, tolower(flat), X, X == 1)
  if (requireNamespace("Biostrings", quietly = TRUE)) {
    forms <- c(forms, list(Biostrings::DNAStringSet(flat)))
  }
  verbs <- list(
    function(X) substitute_motif(X, "GATA"),
    function(X) substitute_motifs(X, c("GA", "TA"), 2),
    function(X) insert_motif(X, "GATA"),
    function(X) delete_region(X, 2, 4),
    function(X) randomize_region(X, 2, 4, random_state = 1)[, 1L, , ]
  )
  for (verb in verbs) {
    expected <- verb(flat)
    expect_identical(dimnames(expected), list(names(flat), c("A", "C", "G", "T"), NULL))
    for (form in forms) {
      expect_identical(verb(form), expected)
    }
  }
})

test_that("an N of the sequence is kept by every edit that does not touch it", {
  X <- "NACGTACGTN"
  expect_identical(edited(substitute_motif(X, "TTT", start = 2)), "NTTTTACGTN")
  expect_identical(edited(insert_motif(X, "GG", start = 2)), "NGGACGTACGTN")
  expect_identical(edited(delete_region(X, 3, 9)), "NAN")
  randomized <- edited(randomize_region(X, 2, 9, random_state = 1)[, 1L, , , drop = FALSE] |>
    array(c(1L, 4L, 10L)))
  expect_match(randomized, "^N[ACGT]{8}N$")
})

test_that("several motifs stand at their spacings", {
  expect_identical(
    edited(substitute_motifs("AAAAAAAAAAAAAAAA", list("CCC", "GG", "T"), c(1, 3), start = 2)),
    "ACCCAGGAAATAAAAA"
  )
  expect_identical(
    edited(substitute_motifs("AAAAAAAAAAAAAAAA", c("CC", "GG", "TT"), 0, start = 1)),
    "CCGGTTAAAAAAAAAA"
  )
})

test_that("an arrangement without a start is centred as a whole", {
  together <- substitute_motifs(flat, c("GG", "TT"), 3)
  expect_identical(together, substitute_motif(flat, "GGNNNTT"))
})

test_that("a single motif of an arrangement needs no gap", {
  expect_identical(substitute_motifs(flat, "GATA", 0), substitute_motif(flat, "GATA"))
  expect_identical(
    substitute_motifs(flat, list(one_hot_encode("GATA")), integer()),
    substitute_motif(flat, "GATA")
  )
})

test_that("an insertion keeps all of the sequence, at any place up to its end", {
  for (start in 1:5) {
    expected <- paste0(substr("ACGT", 1, start - 1), "GGG", substr("ACGT", start, 4))
    inserted <- insert_motif("ACGT", "GGG", start = start)
    expect_identical(edited(inserted), expected)
    expect_identical(edited(delete_region(inserted, start, start + 2)), "ACGT")
  }
  expect_identical(edited(insert_motif("ACGTA", "GGG")), "ACGGGGTA")
})

test_that("a deletion can leave nothing", {
  expect_identical(dim(delete_region(flat, 1, 12)), c(2L, 4L, 0L))
})

test_that("a randomised region has its probabilities and leaves the rest", {
  probs <- rbind(c(0, 0, 1, 0), c(0, 0, 0, 1))
  X <- randomize_region(flat, 3, 5, probs = probs, n = 2, random_state = 0)
  expect_identical(dim(X), c(2L, 2L, 4L, 12L))
  for (j in 1:2) {
    expect_identical(edited(X[, j, , ]), c("AAGGGAAAAAAA", "CCTTTCCCCCCC"))
  }
  long <- randomize_region(strrep("A", 20000), 1, 20000, random_state = 1)
  # Five standard deviations of a share of 20000 draws are 0.015.
  expect_true(all(abs(apply(long, 3L, mean) - 0.25) < 0.016))
})

test_that("without probabilities the region takes uniform numbers: RandomState(0)", {
  # 0.5488, 0.7152, 0.6028, 0.5449, 0.4237, 0.6459: quarters 2, 2, 2, 2, 1, 2 from 0.
  X <- randomize_region(flat[1L], 1, 6, random_state = 0)
  expect_identical(edited(array(X, c(1L, 4L, 12L))), "GGGGCGAAAAAA")
})

test_that("set.seed() and a generator govern the randomised region", {
  set.seed(1)
  first <- randomize_region(flat, 1, 12)
  set.seed(1)
  expect_identical(randomize_region(flat, 1, 12), first)
  generator <- random_generator(3)
  pieces <- list(
    randomize_region(flat, 1, 12, random_state = generator),
    randomize_region(flat, 1, 12, random_state = generator)
  )
  whole <- randomize_region(flat, 1, 12, n = 2, random_state = 3)
  expect_identical(whole[, 1L, , ], pieces[[1L]][, 1L, , ])
  expect_identical(whole[, 2L, , ], pieces[[2L]][, 1L, , ])
})

test_that("extra channels stay, are cut by a deletion, and are refused by an insertion", {
  X <- array(0, c(2L, 5L, 12L))
  X[, 1:4, ] <- one_hot_encode(flat)
  X[, 5L, ] <- seq_len(24) / 5
  substituted <- substitute_motif(X, "GATA")
  expect_identical(unname(substituted[, 5L, ]), X[, 5L, ])
  expect_identical(substituted[, 1:4, ], substitute_motif(unname(flat), "GATA"))
  expect_identical(unname(delete_region(X, 3, 5)[, 5L, ]), X[, 5L, -(3:5)])
  expect_identical(unname(randomize_region(X, 3, 5, n = 2)[, 2L, 5L, ]), X[, 5L, ])
  expect_error(insert_motif(X, "GATA"), class = "seqlift_error_sequence")
})

test_that("what does not fit is an error of arguments", {
  for (start in list(0, 10, -1, 1.5, NA, "a", c(1, 2))) {
    expect_error(substitute_motif(flat, "GATA", start), class = "seqlift_error_argument")
    expect_error(substitute_motifs(flat, c("GA", "T"), 1, start = start),
      class = "seqlift_error_argument"
    )
  }
  for (start in list(0, 14, NA)) {
    expect_error(insert_motif(flat, "GATA", start), class = "seqlift_error_argument")
  }
  expect_error(substitute_motif(flat, strrep("G", 13)), class = "seqlift_error_argument")
  expect_error(substitute_motif(flat, c("G", "G", "G")), class = "seqlift_error_argument")
  expect_error(substitute_motif(flat, "G", ignore = "A"), class = "seqlift_error_argument")
  for (spacing in list(-1, 12, c(1, 2, 3), NULL, "a", NA, 0.5, 9)) {
    expect_error(substitute_motifs(flat, c("GA", "TA"), spacing), class = "seqlift_error_argument")
  }
  expect_error(substitute_motifs(flat, list(), 1), class = "seqlift_error_argument")
  for (region in list(c(0, 3), c(4, 3), c(1, 13), c(NA, 3))) {
    expect_error(delete_region(flat, region[1L], region[2L]), class = "seqlift_error_argument")
    expect_error(randomize_region(flat, region[1L], region[2L]), class = "seqlift_error_argument")
  }
  expect_error(randomize_region(flat, 1, 3, probs = c(0.5, 0.5)),
    class = "seqlift_error_argument"
  )
})

test_that("what is no sequence or motif is an error of class seqlift_error_sequence", {
  expect_error(substitute_motif("ACX", "A"), class = "seqlift_error_sequence")
  for (motif in list("TGAX", "", 1, NULL, c("AC", "A"), matrix(0, 4, 3))) {
    expect_error(substitute_motif(flat, motif), class = "seqlift_error_sequence")
    expect_error(insert_motif(flat, motif), class = "seqlift_error_sequence")
    expect_error(substitute_motifs(flat, list("A", motif), 1), class = "seqlift_error_sequence")
  }
  expect_error(insert_motif(flat, "GNG"), class = "seqlift_error_sequence")
  expect_error(insert_motif(flat, one_hot_encode("GNG")), class = "seqlift_error_sequence")
})

test_that("messages name the argument and what was expected", {
  expect_snapshot(error = TRUE, {
    substitute_motif(flat, "TGAXTCA")
    substitute_motif(flat, "GATA", start = 10)
    substitute_motif(flat, strrep("G", 13))
    substitute_motif(flat, c("G", "G", "G"))
    substitute_motifs(flat, c("GA", "TX"), 2)
    substitute_motifs(flat, c("GA", "TA"), c(1, 2, 3))
    insert_motif(flat, "GNG")
    delete_region(flat, 5, 4)
  })
})
