# Two motifs, GATAAG and CACGTG with a weak end, planted at known places of noise.
hit_weights_made <- function() {
  weights <- function(letters, heights) {
    motif <- matrix(0, 4L, length(letters), dimnames = list(c("A", "C", "G", "T"), NULL))
    motif[cbind(letters, seq_along(letters))] <- heights
    motif
  }
  list(
    gata = weights(c(3, 1, 4, 1, 1, 3), c(1, 0.9, 1.2, 1.1, 0.8, 1)),
    other = weights(c(2, 1, 3, 3, 4, 4, 1), c(-1, -1, -0.9, -1.1, -1, -0.8, -0.1))
  )
}

planted_hits <- function(n = 24L, length = 60L) {
  set.seed(11)
  motifs <- hit_weights_made()
  codes <- matrix(sample.int(4L, n * length, replace = TRUE), n)
  scores <- array(rnorm(n * 4 * length, sd = 0.03), c(n, 4, length))
  sites <- data.frame(
    example = rep(seq_len(n), each = 2L), motif = rep(c("gata", "other"), n),
    start = as.vector(rbind(sample(2:20, n, TRUE), sample(32:50, n, TRUE))),
    strand = sample(c("+", "-"), 2L * n, TRUE)
  )
  for (k in seq_len(nrow(sites))) {
    motif <- motifs[[sites$motif[k]]]
    laid <- if (sites$strand[k] == "-") motif[4:1, rev(seq_len(ncol(motif)))] else motif
    at <- sites$start[k] + seq_len(ncol(laid)) - 1L
    codes[sites$example[k], at] <- max.col(t(abs(laid)))
    scores[sites$example[k], , at] <- scores[sites$example[k], , at] + laid
  }
  X <- array(0, dim(scores))
  X[cbind(rep(seq_len(n), length), c(codes), rep(seq_len(length), each = n))] <- 1
  list(X = X, scores = scores, sites = sites)
}

made <- planted_hits()
motifs <- hit_weights_made()
hits <- call_hits(made$scores, motifs, made$X)

# A result of a method with these scores.
hits_result <- function(kind = "hypothetical", ranges = NULL, values = made$scores) {
  codes <- sequence_codes(as_sequences(made$X))
  n <- ncol(codes)
  new_attributions(if (kind == "hypothetical") values else values * made$X, codes,
    matrix(0, n, 1L), kind = kind, info = list(method = "made"), ranges = ranges
  )
}

# Five sequences at a time.
in_blocks <- function(code) with_replaced("hit_block", 5 * 4 * 60, code)

test_that("planted motifs are found at their places and strands, and nothing else", {
  expect_s3_class(hits, c("seqlift_hits", "data.frame"), exact = TRUE)
  expect_identical(hits$start_untrimmed, made$sites$start)
  expect_identical(hits$strand, made$sites$strand)
  expect_identical(as.character(hits$motif), made$sites$motif)
  expect_identical(hits$example, made$sites$example)
  expect_true(all(hits$coefficient > 0) && all(hits$similarity > 0.9 & hits$similarity <= 1))
  # The last position of the second motif is trimmed, of its reverse complement the first.
  trimmed <- hits$motif == "other"
  reverse <- hits$strand == "-"
  expect_identical(hits$start - hits$start_untrimmed, as.integer(trimmed & reverse))
  expect_identical(hits$end_untrimmed - hits$end, as.integer(trimmed & !reverse))
  below <- vapply(seq_len(nrow(hits)), function(k) {
    at <- hits$start[k]:hits$end[k]
    sum(abs((made$scores * made$X)[hits$example[k], , at]))
  }, 0)
  expect_equal(hits$importance, below, tolerance = 1e-12)
  info <- attr(hits, "info")
  expect_true(all(info$sequences$dual_gap <= 0.0005))
  expect_identical(info$sequences$outcome, rep("converged", 24L))
})

test_that("the summary judges motifs by all their hits", {
  table <- summary(hits)
  expect_identical(table$motif, c("gata", "other"))
  expect_identical(table$hits, c(24L, 24L))
  expect_identical(table$sequences, c(24L, 24L))
  expect_gt(min(table$cwm_similarity), 0.99)
  expect_identical(table$seqlet_recall, c(NA_real_, NA_real_))
  sequences <- attr(hits, "info")$sequences
  squares <- apply((made$scores * made$X)^2, 1L, sum)
  expect_equal(sequences$global_scale, sqrt(squares / 60), tolerance = 1e-12)
  expect_equal(sum(table$share_explained), sum(sequences$explained * squares) / sum(squares),
    tolerance = 1e-6)
  expect_identical(summary(hits[hits$strand == "+", ])$hits, as.vector(table(
    hits$motif[hits$strand == "+"])))
  none <- call_hits(made$scores, motifs, made$X, lambda = 100)
  expect_identical(nrow(none), 0L)
  expect_identical(summary(none)$hits, c(0L, 0L))
  expect_output(print(none), "0 hits of 2 motifs in 24 sequences")
})

test_that("hits do not depend on threads, blocks, workers, or where the scores lie", {
  for (threads in 1:2) {
    with_threads(threads, expect_identical(call_hits(made$scores, motifs, made$X), hits))
  }
  blocks <- in_blocks(call_hits(made$scores, motifs, made$X))
  expect_equal(attr(blocks, "info")$motifs$cwm_similarity, attr(hits, "info")$motifs$cwm_similarity,
    tolerance = 1e-12)
  expect_identical(as.data.frame(blocks), as.data.frame(hits))
  expect_identical(as.data.frame(call_hits(hits_result(), motifs)), as.data.frame(hits))
  expect_identical(as.data.frame(call_hits(hits_result("attributions"), motifs)),
    as.data.frame(hits))
  skip_if_not_installed("HDF5Array")
  path <- withr::local_tempfile(fileext = ".h5")
  export_h5(hits_result(), path)
  stored <- call_hits(read_h5(path, in_memory = FALSE), motifs)
  # The file has single precision.
  expect_equal(as.data.frame(stored), as.data.frame(hits), tolerance = 1e-5)
})

test_that("a killed call goes on from the blocks that are there, and a finished one is read", {
  path <- file.path(new_folder(), "hits.rds")
  parts <- paste0(path, ".parts")
  whole <- function(...) in_blocks(call_hits(made$scores, motifs, made$X, ..., output = path))
  # The third block is where it ends.
  count <- 0L
  solve <- hits_of_block
  expect_error(
    with_replaced("hits_of_block", function(...) {
      count <<- count + 1L
      if (count == 3L) stop("killed")
      solve(...)
    }, whole()),
    "killed"
  )
  expect_identical(list.files(parts, "^chunk"), c("chunk-000001.rds", "chunk-000002.rds"))
  expect_false(file.exists(path))
  expect_error(whole(lambda = 0.5), class = "seqlift_error_resume")
  # One that is damaged is computed again.
  chunk <- file.path(parts, "chunk-000002.rds")
  bytes <- readBin(chunk, "raw", file.size(chunk))
  writeBin(bytes[-length(bytes)], chunk)
  count <- 0L
  expect_message(
    streamed <- with_replaced("hits_of_block", function(...) {
      count <<- count + 1L
      solve(...)
    }, whole()),
    class = "seqlift_message_restart"
  )
  expect_identical(count, 4L)
  expect_identical(as.data.frame(streamed), as.data.frame(hits))
  expect_identical(list.files(dirname(path)), "hits.rds")
  expect_identical(readRDS(path), streamed)
  expect_identical(whole(), streamed)
  expect_error(whole(lambda = 0.5), class = "seqlift_error_resume")
  saveRDS(1, path)
  expect_error(whole(), class = "seqlift_error_resume")
})

test_that("workers give the same hits", {
  skip_if_not_installed("BiocParallel")
  skip_on_cran()
  workers <- BiocParallel::SnowParam(2L)
  expect_identical(in_blocks(call_hits(made$scores, motifs, made$X, BPPARAM = workers)),
    in_blocks(call_hits(made$scores, motifs, made$X)))
})

test_that("the modes take contributions or hypothetical ones of motifs and sequences", {
  patterns <- new_motifs(lapply(stats::setNames(nm = names(motifs)), function(name) {
    weights <- t(motifs[[name]])
    list(
      name = name, sign = "positive", ppm = abs(weights), contributions = weights,
      hypothetical = weights - 0.05, subpatterns = list(),
      seqlets = with(made$sites[made$sites$motif == name, ], data.frame(
        example = example, start = start, end = start + nrow(weights) - 1L,
        attribution = NA_real_, strand = strand
      ))
    )
  }))
  result <- hits_result()
  pp <- call_hits(result, patterns)
  expect_identical(pp$start, hits$start)
  expect_identical(summary(pp)$seqlet_recall, c(1, 1))
  for (mode in c("ph", "hp", "hh")) {
    own <- call_hits(result, patterns, mode = mode)
    expect_identical(own$start_untrimmed, hits$start_untrimmed)
    expect_false(isTRUE(all.equal(own$coefficient, pp$coefficient, tolerance = 1e-6)))
  }
  # Other attributions than those of the seqlets.
  for (i in 1:2) patterns[[i]]$seqlets$attribution <- 100
  expect_identical(summary(call_hits(result, patterns))$seqlets, c(NA_integer_, NA_integer_))
  observed <- hits_result("attributions")
  expect_identical(call_hits(observed, patterns)$start, hits$start)
  expect_error(call_hits(observed, patterns, mode = "ph"), "hypothetical",
    class = "seqlift_error_attributions")
})

test_that("compatible = FALSE goes on to the true duality gap, and close to the optimum", {
  exact <- call_hits(made$scores, motifs, made$X, compatible = FALSE, tolerance = 1e-8,
    dtype = "float64")
  expect_true(all(attr(exact, "info")$sequences$exact_gap <= 1e-8))
  expect_gt(max(attr(hits, "info")$sequences$exact_gap), 1e-8)
  expect_identical(exact$start, hits$start)
  expect_equal(exact$coefficient, hits$coefficient, tolerance = 0.05)
  expect_output(print(exact), "true gap")
})

test_that("a penalty for each motif goes by its name, and filters by similarity", {
  one <- call_hits(made$scores, motifs, made$X, lambda = c(other = 100, gata = 0.7))
  expect_identical(levels(droplevels(one$motif)), "gata")
  expect_identical(unique(one$lambda), 0.7)
  expect_identical(one$start, hits$start[hits$motif == "gata"])
  many <- call_hits(made$scores, motifs, made$X, lambda = 0.05, post_filter = FALSE)
  filtered <- call_hits(made$scores, motifs, made$X, lambda = 0.05)
  expect_gt(nrow(many), 48L)
  kept <- as.data.frame(many)[many$similarity >= 0.05, ]
  expect_equal(as.data.frame(filtered), kept, ignore_attr = "row.names")
})

test_that("motifs may differ in width, and lie at the very end of a sequence", {
  X <- made$X[1, , , drop = FALSE]
  scores <- array(0.001, dim(X))
  X[1, , 55:60] <- motifs$gata > 0
  scores[1, , 55:60] <- motifs$gata
  wide <- cbind(motifs$gata, matrix(c(0, 0, 0, 1), 4, 20))
  both <- call_hits(scores, list(gata = motifs$gata, wide = wide), X)
  expect_identical(both$start[both$motif == "gata"], 55L)
  expect_true(all(both$end_untrimmed <= 60L))
})

test_that("probabilities and counts are weighted by their information, and said so", {
  shares <- lapply(motifs["gata"], function(motif) (motif > 0) * 0.96 + 0.01)
  expect_message(found <- call_hits(made$scores, shares, made$X),
    class = "seqlift_message_motif_weights")
  expect_identical(found$start[found$motif == "gata"], hits$start[hits$motif == "gata"])
})

test_that("sequences that do not finish are counted in a warning", {
  expect_warning(few <- call_hits(made$scores, motifs, made$X, max_steps = 2L),
    "24 of 24 sequences", class = "seqlift_warning_hits")
  expect_identical(attr(few, "info")$sequences$outcome, rep("out of steps", 24L))
})

test_that("what cannot be used is refused before work starts", {
  refused <- function(..., class = "seqlift_error_argument") {
    expect_error(call_hits(...), class = class)
  }
  refused(made$scores, motifs)
  refused(made$scores, motifs, made$X[1:3, , ])
  refused(replace(made$scores, 7L, NaN), motifs, made$X, class = "seqlift_error_attributions")
  refused(0 * made$scores, motifs, made$X, class = "seqlift_error_attributions")
  refused(made$scores[, 1:2, ], motifs, made$X, class = "seqlift_error_attributions")
  result <- hits_result("attributions")
  attr(result, "kind") <- "gradients"
  refused(result, motifs, class = "seqlift_error_attributions")
  refused(made$scores, list(), made$X)
  refused(made$scores, new_motifs(list()), made$X)
  refused(made$scores, unname(c(motifs, motifs))[c(1, 1)] |> stats::setNames(c("a", "a")), made$X)
  refused(made$scores, list(wide = matrix(1, 4, 61) * c(1, -1, 2, 0)), made$X)
  refused(made$scores, list(zero = matrix(0, 4, 6)), made$X)
  refused(made$scores, "none.meme", made$X, class = "seqlift_error_file")
  refused(made$scores, motifs, made$X, lambda = 0)
  refused(made$scores, motifs, made$X, lambda = c(1, 2, 3))
  refused(made$scores, motifs, made$X, lambda = c(gata = 1, none = 2))
  refused(made$scores, motifs, made$X, mode = "xx")
  refused(made$scores, motifs, made$X, tolerance = 0)
  refused(made$scores, motifs, made$X, cwm_trim_threshold = 2)
  refused(made$scores, motifs, made$X, unknown = 1)
})

test_that("hits are placed in the genome, on the motif's strand", {
  skip_if_not_installed("GenomicRanges")
  places <- GenomicRanges::GRanges(rep(c("chr1", "chr2"), 12L),
    IRanges::IRanges(seq(1001L, by = 100L, length.out = 24L), width = 60L),
    strand = rep(c("+", "-", "*"), 8L),
    seqinfo = GenomeInfoDb::Seqinfo(c("chr1", "chr2"), c(1e5L, 1e5L), genome = "made")
  )
  placed <- call_hits(hits_result(ranges = places), motifs)
  ranges <- hits_as_granges(placed)
  expect_identical(ranges, hits_as_granges(hits, places))
  expect_identical(GenomeInfoDb::genome(ranges)[["chr1"]], "made")
  minus <- as.character(GenomicRanges::strand(places))[placed$example] == "-"
  first <- GenomicRanges::start(places)[placed$example]
  expect_identical(placed$genomic_start,
    ifelse(minus, first + 60L - placed$end, first + placed$start - 1L))
  expect_identical(placed$genomic_end - placed$genomic_start, placed$end - placed$start)
  expect_identical(placed$genomic_strand == placed$strand, !minus)
  expect_identical(GenomicRanges::start(ranges), placed$genomic_start)
  expect_identical(as.character(GenomicRanges::strand(ranges)), placed$genomic_strand)
  # Without places the sequences stand for chromosomes.
  own <- hits_as_granges(hits[1:3, ])
  expect_identical(as.character(GenomicRanges::seqnames(own)), as.character(hits$sequence[1:3]))

  path <- file.path(new_folder(), "hits.bed")
  export_bed(placed, path)
  written <- list.files(dirname(path), all.files = TRUE, no.. = TRUE)
  expect_setequal(written, c("hits.bed", "hits.as"))
  table <- utils::read.delim(path, header = FALSE)
  expect_identical(dim(table), c(48L, 9L))
  expect_false(is.unsorted(order(table$V1, table$V2)))
  expect_true(is.integer(table$V2) && is.integer(table$V3) && is.integer(table$V5))
  expect_true(all(table$V5 >= 0 & table$V5 <= 1000))
  order <- order(placed$seqnames, placed$genomic_start, placed$genomic_end)
  expect_identical(table$V2, placed$genomic_start[order] - 1L)
  expect_identical(table$V6, placed$genomic_strand[order])
  expect_identical(table$V4, as.character(placed$motif)[order])
  expect_length(grep(";", readLines(sub("bed$", "as", path))), 9L)
  expect_error(export_bed(placed, sub("bed$", "narrowPeak", path)),
    class = "seqlift_error_argument")
})

test_that("of overlapping hits the most similar stays, in the genome where it is known", {
  some <- hits[1:6, ]
  some$example <- 1L
  some$sequence <- 1L
  some$start <- c(10L, 12L, 14L, 40L, 45L, 50L)
  some$end <- c(19L, 21L, 23L, 44L, 49L, 54L)
  some$similarity <- c(0.8, 0.9, 0.9, 0.7, 0.7, NA)
  # Touching is not overlapping by a fifth.
  expect_identical(collapse_hits(some, mark = TRUE)$primary,
    c(FALSE, TRUE, FALSE, TRUE, TRUE, TRUE))
  expect_identical(collapse_hits(some, 0, mark = TRUE)$primary,
    c(FALSE, TRUE, FALSE, TRUE, FALSE, FALSE))
  expect_identical(nrow(collapse_hits(some)), 4L)
  some$seqnames <- paste0("chr", 1:6)
  some$genomic_start <- some$start
  some$genomic_end <- some$end
  expect_identical(nrow(collapse_hits(some)), 6L)
  expect_error(collapse_hits(as.data.frame(hits)), class = "seqlift_error_argument")
  expect_error(collapse_hits(hits, 1.5), class = "seqlift_error_argument")
})

test_that("hits are drawn and printed", {
  for (type in c("motifs", "sequences", "pairs")) {
    expect_s3_class(ggplot2::ggplot_build(plot(hits, type))$plot, "ggplot")
  }
  expect_error(plot(hits[0, ]), class = "seqlift_error_argument")
  expect_output(print(hits), "48 hits of 2 motifs in 24 sequences")
  expect_s3_class(as.data.frame(hits), "data.frame", exact = TRUE)
  expect_s3_class(hits[c("start", "end")], "data.frame", exact = TRUE)
})
