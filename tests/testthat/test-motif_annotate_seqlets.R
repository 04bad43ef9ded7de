# Seqlets named after motifs, and what is counted of them.

one_hot_motif <- function(word) one_hot_encode(word)[1L, , ]

named <- list(GATA = "AGATAAG", Ebox = "CACGTG", CRE = "TGACGTCA")
motifs <- lapply(named, one_hot_motif)
X <- c(
  one = "CCCCAGATAAGCCCCCCTTATCTCCCCC", two = "CCCCCCCACGTGCCCTGACGTCACCCCC"
)
seqlets <- data.frame(
  example = c(2, 1, 2, 1), start = c(16, 5, 7, 18), end = c(23, 11, 12, 23), attribution = 4:1
)

test_that("each seqlet has the motif that its sequence is, on its strand", {
  annotations <- annotate_seqlets(X, seqlets, motifs)
  expect_identical(as.character(annotations$annotation), c("CRE", "GATA", "Ebox", "GATA"))
  expect_identical(levels(annotations$annotation), names(motifs))
  expect_identical(annotations$seqlet, 1:4)
  expect_identical(annotations$start, seqlets$start)
  # TTATCT lies on all positions of the turned motif, CTTATCT, but the first.
  expect_identical(annotations$strand[c(2, 4)], c("+", "-"))
  expect_identical(annotations$offset, c(0L, 0L, 0L, 1L))
  expect_identical(annotations$overlap, c(8L, 7L, 6L, 6L))
  windows <- one_hot_encode(c("TGACGTCA"))[1L, , ]
  expect_identical(annotations$p_value[1L], tomtom(windows, motifs, n_nearest = 1)$p_value)
  reordered <- annotate_seqlets(X, seqlets[3:2, ], motifs)
  expect_identical(reordered$p_value, annotations$p_value[3:2])
})

test_that("several motifs a seqlet come nearest first; arguments reach tomtom()", {
  annotations <- annotate_seqlets(X, seqlets, motifs, n_nearest = 5)
  expect_identical(annotations$rank, rep(1:3, 4))
  expect_identical(annotations$seqlet, rep(1:4, each = 3))
  for (own in split(annotations$p_value, annotations$seqlet)) expect_false(is.unsorted(own))
  few <- annotate_seqlets(X, seqlets, motifs, max_p_value = min(annotations$p_value))
  expect_true(nrow(few) < 4L && nrow(few) >= 1L)
  one_strand <- annotate_seqlets(X, seqlets, motifs, reverse_complement = FALSE)
  expect_identical(unique(one_strand$strand), "+")
})

test_that("annotations become ranges, on the motif's strand", {
  skip_if_not_installed("GenomicRanges")
  annotations <- annotate_seqlets(X, seqlets, motifs)
  ranges <- GenomicRanges::GRanges(c("chr1:101-128:+", "chr2:201-228:-"))
  found <- annotations_as_granges(annotations, ranges)
  expect_identical(as.character(found), c(
    # The palindromes are on the strand that tomtom() gives, turned round with their sequence.
    paste0("chr2:206-213:", if (annotations$strand[1L] == "+") "-" else "+"), "chr1:105-111:+",
    paste0("chr2:217-222:", if (annotations$strand[3L] == "+") "-" else "+"), "chr1:118-123:-"
  ))
  expect_identical(as.character(found$annotation), c("CRE", "GATA", "Ebox", "GATA"))
  plain <- annotations_as_granges(annotations)
  expect_identical(as.character(GenomicRanges::seqnames(plain)), c("two", "one", "two", "one"))
  expect_identical(as.character(GenomicRanges::strand(plain)), annotations$strand)
  expect_error(annotations_as_granges(1), class = "seqlift_error_argument")
})

test_that("seqlets beyond the sequences, none, or no motifs are errors", {
  refused <- function(...) {
    expect_error(annotate_seqlets(...), class = "seqlift_error_argument")
  }
  refused(X, seqlets[0, ], motifs)
  refused(X, transform(seqlets, end = 40), motifs)
  refused(X, transform(seqlets, example = 3), motifs)
  refused(X, seqlets[c("start", "end")], motifs)
  refused(X, seqlets, list(a = "GATA"))
  refused(X, seqlets, c(motifs, motifs))
  refused(X, seqlets, motifs, n_nearest = 0)
  error <- refused(X, seqlets, lapply(motifs, `*`, 0))
  expect_match(deparse(conditionCall(error))[1L], "annotate_seqlets")
})

# ---- counts -------------------------------------------------------------------------------------

table_of <- data.frame(
  example = c(1, 3, 1, 1, 3, 4), annotation = c(2, 1, 2, 1, 3, 2),
  start = c(10, 5, 30, 21, 14, 1), end = c(15, 9, 35, 28, 20, 6)
)

test_that("annotations are counted in each sequence, and summed", {
  counts <- count_annotations(table_of)
  expect_identical(counts, rbind(c(1L, 2L, 0L), 0L, c(1L, 0L, 1L), c(0L, 1L, 0L)))
  expect_identical(count_annotations(table_of, dim = 1), c(2L, 3L, 1L))
  expect_identical(count_annotations(table_of, dim = 2), c(3L, 0L, 2L, 1L))
  expect_identical(dim(count_annotations(table_of, shape = c(6, 4))), c(6L, 4L))
  expect_identical(count_annotations(as.matrix(table_of[1:2])), counts)
  named <- table_of
  named$annotation <- factor(letters[named$annotation], letters[1:4])
  expect_identical(count_annotations(named, dim = 1), c(a = 2L, b = 3L, c = 1L, d = 0L))
  many <- data.frame(example = rep(1, 300), annotation = 1)
  expect_identical(count_annotations(many), matrix(300L))
})

test_that("pairs are counted once a sequence, or every one", {
  # In sequence 1: 2, 2, 1; in sequence 3: 1, 3.
  expect_identical(pairwise_annotations(table_of),
    rbind(c(0L, 1L, 1L), c(1L, 0L, 0L), c(1L, 0L, 0L)))
  expect_identical(pairwise_annotations(table_of, symmetric = FALSE),
    rbind(c(0L, 1L, 1L), 0L, 0L))
  expect_identical(pairwise_annotations(table_of, unique = FALSE),
    rbind(c(0L, 2L, 1L), c(2L, 1L, 0L), c(1L, 0L, 0L)))
  expect_identical(pairwise_annotations(table_of, unique = FALSE, symmetric = FALSE),
    rbind(c(0L, 0L, 1L), c(2L, 1L, 0L), 0L))
  expect_identical(dim(pairwise_annotations(table_of, shape = 5)), c(5L, 5L))
})

test_that("spacing is the number of bases between two; overlaps have none", {
  spacing <- pairwise_annotation_spacing(table_of, max_distance = 20, symmetric = FALSE)
  found <- which(spacing > 0, arr.ind = TRUE)
  # 2 at 10-15, 1 at 21-28, 2 at 30-35; in sequence 3: 1 at 5-9, 3 at 14-20.
  expect_identical(unname(found[order(found[, 3]), ]), unname(rbind(
    c(1L, 2L, 2L), c(1L, 3L, 5L), c(2L, 1L, 6L), c(2L, 2L, 15L)
  )))
  both <- pairwise_annotation_spacing(table_of, max_distance = 20)
  expect_identical(unname(both), unname(spacing + aperm(spacing, c(2, 1, 3)) *
    array(row(diag(3)) != col(diag(3)), dim(spacing))))
  expect_identical(sum(pairwise_annotation_spacing(table_of, max_distance = 5)), 2L + 2L)
  touching <- data.frame(example = 1, annotation = 1:3, start = c(5, 9, 8), end = c(8, 12, 9))
  counted <- pairwise_annotation_spacing(touching)
  expect_identical(sum(counted), 2L)
  expect_identical(counted[[1, 2, 1]], 1L)
})

test_that("pairs are those that two loops find", {
  set.seed(1)
  rows <- data.frame(
    example = sample(5, 60, TRUE), annotation = sample(4, 60, TRUE), start = sample(200, 60, TRUE)
  )
  rows$end <- rows$start + sample(3:9, 60, TRUE)
  spacing <- array(0L, c(4, 4, 30))
  pairs <- matrix(0L, 4, 4)
  for (own in split(rows, rows$example)) {
    for (i in seq_len(nrow(own) - 1L)) {
      for (j in seq(i + 1L, nrow(own))) {
        a <- own[i, ]
        b <- own[j, ]
        pairs[a$annotation, b$annotation] <- pairs[a$annotation, b$annotation] + 1L
        if (b$start <= a$start) {
          a <- own[j, ]
          b <- own[i, ]
        }
        d <- b$start - a$end - 1
        if (d >= 0 && d < 30) {
          at <- cbind(a$annotation, b$annotation, d + 1)
          spacing[at] <- spacing[at] + 1L
        }
      }
    }
  }
  expect_identical(unname(pairwise_annotation_spacing(rows, 30, symmetric = FALSE)), spacing)
  expect_identical(pairwise_annotations(rows, unique = FALSE, symmetric = FALSE), pairs)
})

test_that("tables that cannot be counted are errors", {
  for (count in list(count_annotations, pairwise_annotations, pairwise_annotation_spacing)) {
    refused <- function(...) expect_error(count(...), class = "seqlift_error_argument")
    refused(table_of[0, ])
    refused(list())
    refused(transform(table_of, annotation = annotation - 1))
    refused(transform(table_of, example = NA))
    refused(transform(table_of, annotation = annotation + 0.5))
    refused(table_of["example"])
    refused(table_of, shape = 2)
  }
  expect_error(pairwise_annotation_spacing(transform(table_of, end = start - 1)),
    class = "seqlift_error_argument")
  expect_error(count_annotations(table_of, dim = 3), class = "seqlift_error_argument")
})

test_that("the pictures show the counts", {
  annotations <- annotate_seqlets(X, seqlets, motifs)
  layer <- function(plot, i) ggplot2::layer_data(plot, i)
  bars <- layer(plot_annotation_counts(annotations), 1L)
  expect_identical(sort(bars$x, decreasing = TRUE), c(2, 1, 1))
  pairs <- plot_annotation_pairs(annotations)
  expect_identical(sum(as.numeric(layer(pairs, 2L)$label), na.rm = TRUE), 2)
  spacing <- layer(plot_annotation_spacing(annotations, c("Ebox", "CRE"), max_distance = 20), 1L)
  expect_identical(spacing$x[spacing$y > 0], 3)
  expect_s3_class(plot_annotation_spacing(annotations), "ggplot")
  expect_s3_class(plot_annotation_counts(data.frame(example = 1, annotation = 2)), "ggplot")
  expect_error(plot_annotation_spacing(annotations, c("Ebox", "none")),
    class = "seqlift_error_argument")
})
