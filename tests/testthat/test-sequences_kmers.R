# k-mers with and without gaps, against counting by hand and by text.

test_that("k-mers are counted, the first base changing fastest", {
  counts <- kmers(c(a = "GATAGATA", b = "CCCCCCCC"), 2)
  expect_identical(dim(counts), c(2L, 16L))
  expect_identical(colnames(counts)[1:5], c("AA", "CA", "GA", "TA", "AC"))
  expect_identical(rownames(counts), c("a", "b"))
  expect_identical(counts["a", counts["a", ] > 0], c(GA = 2, TA = 2, AG = 1, AT = 2))
  expect_identical(c(counts[["b", "CC"]], sum(counts["b", ])), c(7, 7))
  words <- unlist(lapply(1:6, function(i) substr("GATAGATA", i, i + 2)))
  three <- kmers("GATAGATA", 3)[1L, ]
  expect_identical(three[three > 0][sort(unique(words))], c(table(words)) + 0)
})

test_that("scores are summed over the positions of each occurrence", {
  scores <- rbind(c(1, 2, 4, 8, 16, 32))
  expect_identical(kmers("ACACAC", 2, scores)[1L, c("AC", "CA")], c(AC = 3 + 12 + 48, CA = 6 + 24))
  one_hot <- one_hot_encode("ACACAC")
  expect_identical(kmers(one_hot, 2, one_hot * rep(scores, each = 4)), kmers("ACACAC", 2, scores))
})

test_that("an unknown base is in no k-mer", {
  expect_identical(sum(kmers("ACNGT", 2)), 2)
  expect_identical(sum(kmers("ANC", 3)), 0)
  words <- gapped_kmers("ACNGT", min_k = 2, max_k = 2, max_gap = 3, max_len = 4, max_gkmers = 20)
  expect_setequal(words$gkmer, c("AC", "GT", "A..G", "C.G", "C..T"))
})

test_that("wrong lengths and shapes are errors", {
  refused <- function(...) expect_error(kmers(...), class = "seqlift_error_argument")
  refused("ACG", 4)
  refused("ACG", 0)
  refused("ACGACGACGACGACG", 13)
  expect_error(kmers("ACG", 2, matrix(1, 1, 4)), class = "seqlift_error_argument")
  expect_error(kmers("ACG", 2, matrix(c(1, NA, 1), 1)), class = "seqlift_error")
  expect_error(gapped_kmers("ACG", min_k = 5, max_k = 4), class = "seqlift_error_argument")
  expect_error(gapped_kmers("ACG", max_len = 28), class = "seqlift_error_argument")
})

# Every choice of positions of a text, by size.
all_words <- function(text, scores, sizes, max_gap, max_len) {
  letters <- strsplit(text, "")[[1L]]
  found <- list()
  for (k in sizes) {
    for (at in utils::combn(seq_along(letters), k, simplify = FALSE)) {
      if (any(diff(at) > max_gap) || at[k] - at[1L] >= max_len) next
      word <- rep(".", at[k] - at[1L] + 1L)
      word[at - at[1L] + 1L] <- letters[at]
      word <- paste(word, collapse = "")
      found[[word]] <- (found[[word]] %||% 0) + mean(scores[at])
    }
  }
  unlist(found)
}

test_that("gapped k-mers are all choices of positions, the heaviest first", {
  `%||%` <- function(x, y) if (is.null(x)) y else x
  text <- "GATTACAGAT"
  set.seed(1)
  scores <- stats::rnorm(10)
  for (max_gap in 1:3) {
    expected <- all_words(text, scores, 2:4, max_gap, 6)
    found <- gapped_kmers(text, rbind(scores), min_k = 2, max_k = 4, max_gap = max_gap, max_len = 6,
      max_gkmers = 1000)
    expect_setequal(found$gkmer, names(expected))
    expect_equal(found$score, unname(expected[found$gkmer]))
    expect_false(is.unsorted(-abs(found$score)))
    few <- gapped_kmers(text, rbind(scores), min_k = 2, max_k = 4, max_gap = max_gap, max_len = 6,
      max_gkmers = 5)
    expect_identical(few, utils::head(found, 5))
  }
  counted <- gapped_kmers("GAGAGA", min_k = 2, max_k = 2, max_gap = 1, max_len = 2)
  expect_identical(counted$gkmer, c("GA", "AG"))
  expect_equal(counted$score, c(3, 2))
})

test_that("only the positions of the highest scores are looked at", {
  found <- gapped_kmers("ACGTAC", rbind(c(5, 0, 4, 0, 3, -9)), min_k = 2, max_k = 3, max_gap = 5,
    max_len = 6, max_pos = 3)
  expect_setequal(found$gkmer, c("A.G", "A...A", "G.A", "A.G.A"))
  expect_identical(nrow(gapped_kmers("ACGTAC", min_k = 2, max_pos = 1)), 0L)
  two <- gapped_kmers(c("ACGTAC", "GGGGGG"), min_k = 6, max_k = 6, max_gap = 1)
  expect_identical(two, data.frame(example = 1:2, gkmer = c("ACGTAC", "GGGGGG"), score = c(1, 1)))
})
