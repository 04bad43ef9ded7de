# 60 regions of 100 bp on both chromosomes of the random genome.
some_regions <- function() {
  start <- 501 + 1000 * rep(0:29, 2)
  GenomicRanges::GRanges(
    rep(c("chr1", "chr2"), each = 30), IRanges::IRanges(start, width = 100), rep(c("+", "-"), 30)
  )
}

gc_of <- function(regions, genome) {
  counts <- Biostrings::letterFrequency(Biostrings::getSeq(genome, regions), c("CG", "AT"))
  counts[, 1] / rowSums(counts)
}

test_that("what is drawn has the width, strand and GC content of its region; it overlaps nothing", {
  skip_without_genomes("BSgenome")
  genome <- random_genome()
  regions <- some_regions()
  exclude <- GenomicRanges::GRanges(c("chr1:30001-50000", "chrUn:1-10"))
  drawn <- matched_regions(regions, genome, n = 3, exclude = exclude, random_state = 0)
  expect_identical(drawn$region, rep(1:60, each = 3))
  expect_identical(unique(GenomicRanges::width(drawn)), 100L)
  expect_identical(
    as.character(GenomicRanges::strand(drawn)), rep(c("+", "-"), 30, each = 3)
  )
  expect_identical(GenomeInfoDb::seqlengths(drawn), c(chr1 = 50000L, chr2 = 50000L))
  expect_true(GenomicRanges::isDisjoint(drawn, ignore.strand = TRUE))
  known <- suppressWarnings(c(GenomicRanges::granges(regions), exclude))
  expect_false(any(suppressWarnings(
    GenomicRanges::countOverlaps(drawn, known, ignore.strand = TRUE)
  ) > 0))
  expect_equal(drawn$gc, gc_of(drawn, genome))
  expect_equal(drawn$gc_region, gc_of(regions, genome)[drawn$region])
  expect_true(all(abs(drawn$gc - drawn$gc_region) <= 0.02 + 1e-12))
  # Neither side is preferred.
  expect_lt(abs(mean(drawn$gc - drawn$gc_region)), 0.003)
  # Regions taken from the start would have another GC content.
  expect_gt(stats::sd(drawn$gc_region), 0.05)
})

test_that("a random state gives the same regions and leaves R's generator alone", {
  skip_without_genomes("Rsamtools")
  genome <- random_genome(20000)
  regions <- some_regions()[c(1:10, 31:40)]
  set.seed(5)
  before <- .Random.seed
  first <- matched_regions(regions, genome, random_state = 7)
  expect_identical(.Random.seed, before)
  expect_identical(matched_regions(regions, genome, random_state = 7), first)
  expect_false(identical(matched_regions(regions, genome, random_state = 8), first))
  set.seed(5)
  from_r <- matched_regions(regions, genome)
  set.seed(5)
  expect_identical(matched_regions(regions, genome), from_r)
  fasta <- file.path(new_folder(), "genome.fa")
  Biostrings::writeXStringSet(genome, fasta)
  expect_identical(matched_regions(regions, fasta, random_state = 7), first)
  taken <- sequences_from(regions, genome)
  expect_identical(matched_regions(taken, genome, random_state = 7), first)
})

test_that("draws are spread over all of the genome that is free", {
  skip_without_genomes()
  genome <- Biostrings::DNAStringSet(c(chr1 = strrep("ACGT", 2500), chr2 = strrep("ACGT", 2500)))
  regions <- GenomicRanges::GRanges("chr1:5001-5020")
  starts <- vapply(1:100, function(seed) {
    GenomicRanges::start(matched_regions(regions, genome, random_state = seed))
  }, integer(1))
  # Uniform on 1 to 9981: mean 4991, standard error 288.
  expect_lt(abs(mean(starts) - 4991), 4 * 288)
  expect_lt(min(starts), 500)
  expect_gt(max(starts), 9500)
  expect_gt(length(unique(starts %% 20)), 15)
})

test_that("unknown letters are kept out, or in up to a share", {
  skip_without_genomes()
  genome <- Biostrings::DNAStringSet(c(
    chr1 = paste0(strrep("ACGT", 25), strrep("N", 90), strrep("ACGT", 25))
  ))
  regions <- GenomicRanges::GRanges("chr1:1-20")
  unknown <- GenomicRanges::GRanges("chr1:101-190")
  n_overlaps <- function(seed, ...) {
    drawn <- matched_regions(regions, genome, random_state = seed, ...)
    sum(GenomicRanges::countOverlaps(drawn, unknown))
  }
  expect_identical(vapply(1:10, n_overlaps, 0L), rep(0L, 10))
  # All that is free are ten N and ACGTACGTAC.
  around <- GenomicRanges::GRanges(c("chr1:21-180", "chr1:201-290"))
  drawn <- matched_regions(regions, genome, exclude = around, max_unknown = 0.5)
  expect_identical(as.character(drawn), "chr1:181-200")
  expect_error(matched_regions(regions, genome, exclude = around, max_unknown = 0.45), "no match",
    class = "seqlift_error_regions"
  )
  expect_error(matched_regions(GenomicRanges::GRanges("chr1:101-110"), genome), "N alone",
    class = "seqlift_error_regions"
  )
})

test_that("regions without a match are named, and the tolerance is not widened", {
  skip_without_genomes()
  genome <- Biostrings::DNAStringSet(c(
    chr1 = paste0(strrep("A", 500), strrep("G", 20), strrep("AACAA", 100))
  ))
  regions <- GenomicRanges::GRanges(c("chr1:501-520", "chr1:1-20", "chr1:521-540"))
  warning <- expect_warning(
    drawn <- matched_regions(regions, genome, n = 2, random_state = 0),
    class = "seqlift_warning_unmatched"
  )
  expect_match(conditionMessage(warning), "1 of 3")
  expect_match(conditionMessage(warning), "chr1:501-520 (number 1, GC 1)", fixed = TRUE)
  expect_identical(drawn$region, c(2L, 2L, 3L, 3L))
  expect_identical(drawn$gc, c(0, 0, 0.2, 0.2))
  expect_error(matched_regions(regions[1], genome), "no match", class = "seqlift_error_regions")
})

test_that("chromosomes and regions of several widths can be chosen", {
  skip_without_genomes()
  genome <- random_genome(20000)
  regions <- GenomicRanges::GRanges(c("chr1:1001-1050", "chr1:2001-2200", "chr1:3001-3050"))
  drawn <- matched_regions(regions, genome, tolerance = 0.1, random_state = 0)
  expect_identical(GenomicRanges::width(drawn), c(50L, 200L, 50L))
  expect_identical(as.character(unique(GenomicRanges::seqnames(drawn))), "chr1")
  elsewhere <- matched_regions(regions, genome,
    tolerance = 0.2, chromosomes = "chr2", random_state = 0
  )
  expect_identical(as.character(unique(GenomicRanges::seqnames(elsewhere))), "chr2")
})

test_that("pairs are as near as there are, each offer used once", {
  offered <- c(0.5, 0.5, 0.52, 0.4, 0.61, 0.30)
  match <- seqlift:::nearest_shares(c(0.5, 0.5, 0.5, 0.6, 0.9), offered, 0.02, 100)
  expect_setequal(match[1:3], 1:3)
  expect_identical(match[4:5], c(5L, NA))
  expect_identical(seqlift:::nearest_shares(0.5, c(0.53, 0.47), 0.02, 100), NA_integer_)
  expect_identical(seqlift:::nearest_shares(c(0, 1), c(1, 0), 0, 10), 2:1)
})

test_that("uniform numbers are those of the stream, below 1", {
  draw <- function(n) seqlift:::random_uniform(random_generator(3), n)
  expect_identical(draw(5), draw(8)[1:5])
  many <- draw(20000)
  expect_true(all(many >= 0 & many < 1))
  expect_gt(suppressWarnings(stats::ks.test(many, "punif")$p.value), 1e-3)
  expect_identical(anyDuplicated(many), 0L)
})

test_that("wrong arguments are named", {
  skip_without_genomes()
  genome <- random_genome(5000)
  region <- GenomicRanges::GRanges("chr1:1001-1050")
  refused <- function(..., class) {
    expect_error(matched_regions(...), class = paste0("seqlift_error_", class))
  }
  refused(region, genome, n = 0, class = "argument")
  refused(region, genome, tolerance = 2, class = "argument")
  refused(region, genome, max_unknown = -1, class = "argument")
  refused(region, genome, random_state = -1, class = "argument")
  refused(region, genome, chromosomes = "chr3", class = "regions")
  refused(region, genome, exclude = GenomicRanges::GRanges("3:1-2"), class = "regions")
  refused(region[0], genome, class = "regions")
  refused(GenomicRanges::GRanges("chr1:4990-5001"), genome, class = "regions")
  refused(GenomicRanges::GRanges("chr3:1-10"), genome, class = "regions")
  refused("no_such.bed", genome, class = "file")
})
