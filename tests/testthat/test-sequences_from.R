test_that("regions come as they are read on their strand, with names and columns", {
  skip_without_genomes()
  regions <- GenomicRanges::GRanges(
    c(first = "chr1:8-14:+", second = "chr1:8-14:-", third = "chr2:1-8"), score = c(3, 1, 2)
  )
  taken <- sequences_from(regions, small_genome())
  expect_s4_class(taken, "DNAStringSet")
  expect_identical(
    as.character(taken), c(first = "GATTACA", second = "TGTAATC", third = "GGGGCCCC")
  )
  columns <- S4Vectors::mcols(taken)
  expect_named(columns, c("score", "range"))
  expect_identical(columns$score, c(3, 1, 2))
  expect_identical(
    as.character(columns$range), c("chr1:8-14:+", "chr1:8-14:-", "chr2:1-8:*")
  )
  expect_identical(GenomeInfoDb::seqlengths(columns$range), c(chr1 = 26L, chr2 = 8L))
  expect_named(
    sequences_from(unname(regions), small_genome()), c("chr1:8-14:+", "chr1:8-14:-", "chr2:1-8")
  )
})

test_that("every form of a genome gives the letters that Biostrings' getSeq() gives", {
  skip_without_genomes("BSgenome", "Rsamtools", "rtracklayer")
  genome <- random_genome(5000)
  start <- c(1, 17, 4901, 300, 4000)
  regions <- GenomicRanges::GRanges(
    c("chr1", "chr2", "chr1", "chr2", "chr1"), IRanges::IRanges(start, width = 100),
    c("+", "-", "-", "*", "+")
  )
  folder <- new_folder()
  fasta <- file.path(folder, "genome.fa")
  Biostrings::writeXStringSet(genome, fasta)
  two_bit <- file.path(folder, "single_sequences.2bit")
  rtracklayer::export(genome, two_bit)
  plain_gzip <- paste0(fasta, ".gz")
  Biostrings::writeXStringSet(genome, plain_gzip, compress = TRUE)
  block_gzip <- Rsamtools::bgzip(fasta, file.path(folder, "blocks.fa.gz"))
  bsgenome <- BSgenome:::BSgenome(
    organism = "Toy", common_name = "Toy", genome = "toy1", provider = "none",
    release_date = "none", source_url = "none", seqnames = names(genome),
    circ_seqs = character(), mseqnames = NULL, seqs_pkgname = "seqlift", seqs_dirpath = folder
  )
  before <- list.files(folder)
  expected <- as.character(unname(Biostrings::getSeq(genome, regions)))
  forms <- list(
    genome, fasta, plain_gzip, block_gzip, two_bit, Rsamtools::FaFile(fasta),
    rtracklayer::TwoBitFile(two_bit), bsgenome
  )
  for (form in forms) {
    taken <- sequences_from(regions, form)
    expect_identical(as.character(unname(taken)), expected)
    expect_identical(
      GenomeInfoDb::seqlengths(S4Vectors::mcols(taken)$range), c(chr1 = 5000L, chr2 = 5000L)
    )
  }
  # No index is left beside the files.
  expect_identical(list.files(folder), before)
  expect_identical(
    unique(GenomeInfoDb::genome(S4Vectors::mcols(sequences_from(regions, bsgenome))$range)), "toy1"
  )
  Rsamtools::indexFa(fasta)
  expect_identical(as.character(unname(sequences_from(regions, fasta))), expected)
})

test_that("an index that is older than its FASTA is not used", {
  skip_without_genomes("Rsamtools")
  fasta <- file.path(new_folder(), "genome.fa")
  region <- GenomicRanges::GRanges("chr1:8-14")
  Biostrings::writeXStringSet(small_genome(), fasta)
  Rsamtools::indexFa(fasta)
  # chr1 does not start where it did.
  Biostrings::writeXStringSet(rev(small_genome()), fasta)
  Sys.setFileTime(paste0(fasta, ".fai"), Sys.time() - 3600)
  expect_identical(as.character(unname(sequences_from(region, fasta))), "GATTACA")
})

test_that("regions are resized as GenomicRanges does, and the centre is where the page says", {
  skip_without_genomes()
  regions <- GenomicRanges::GRanges(
    rep("chr1", 6), IRanges::IRanges(c(8, 9, 10, 8, 9, 10), width = c(7, 4, 1, 7, 4, 1)),
    rep(c("+", "-"), each = 3)
  )
  for (width in c(1, 2, 5, 6)) {
    range <- S4Vectors::mcols(sequences_from(regions, small_genome(), width = width))$range
    expected <- GenomicRanges::resize(regions, width, fix = "center")
    expect_identical(as.character(range), as.character(expected))
  }
  # chr1:17 is the only C in reach of CAT; on the other strand it is a G.
  summit <- GenomicRanges::GRanges(c("chr1:17:+", "chr1:17:-"))
  expect_identical(
    as.character(unname(sequences_from(summit, small_genome(), width = 5))), c("GGCAT", "ATGCC")
  )
  even <- as.character(unname(sequences_from(summit, small_genome(), width = 4)))
  expect_identical(even, c("GGCA", "TGCC"))
  expect_identical(substr(even, c(3, 2), c(3, 2)), c("C", "G"))
})

test_that("summits of narrowPeak files are the centre, from the file and from rtracklayer", {
  skip_without_genomes("rtracklayer")
  path <- file.path(new_folder(), "peaks.bed.gz")
  connection <- gzfile(path, "w")
  writeLines(c(
    "# peaks",
    "chr1\t2\t20\tone\t100\t.\t5.5\t3\t2\t9",
    "chr1\t2\t20\ttwo\t100\t-\t5.5\t3\t2\t0",
    "chr1\t7\t14\tthree\t100\t.\t5.5\t3\t2\t-1"
  ), connection)
  close(connection)
  taken <- sequences_from(path, small_genome(), width = 3)
  expect_identical(as.character(taken), c(one = "TAC", two = "ACG", three = "TTA"))
  expect_identical(
    as.character(S4Vectors::mcols(taken)$range), c("chr1:11-13:*", "chr1:2-4:-", "chr1:10-12:*")
  )
  imported <- rtracklayer::import(path, format = "narrowPeak")
  again <- sequences_from(imported, small_genome(), width = 3)
  expect_identical(as.character(unname(again)), as.character(unname(taken)))
  columns <- c("name", "score", "signalValue", "pValue", "qValue", "peak")
  expect_equal(
    S4Vectors::mcols(taken, use.names = FALSE)[columns],
    S4Vectors::mcols(again, use.names = FALSE)[columns]
  )
  # Without a width the region counts.
  expect_identical(unique(Biostrings::width(sequences_from(path, small_genome()))), c(18L, 7L))
})

test_that("BED files are read as rtracklayer reads them", {
  skip_without_genomes("rtracklayer")
  folder <- new_folder()
  regions <- GenomicRanges::GRanges(
    c("chr2:1-3:-", "chr1:8-14:+", "chr1:1-26"), name = c("a", "b", "c"), score = c(1, 5.5, 0)
  )
  bed <- file.path(folder, "regions.bed")
  rtracklayer::export(regions, bed)
  read <- seqlift:::read_regions(bed, "regions", NULL)
  imported <- rtracklayer::import(bed)
  expect_identical(as.character(unname(read)), as.character(imported))
  expect_equal(
    S4Vectors::mcols(read, use.names = FALSE), S4Vectors::mcols(imported, use.names = FALSE)
  )
  expect_named(read, c("a", "b", "c"))
  # Three columns, spaces, comments, Windows lines, a name twice.
  other <- file.path(folder, "other.bed")
  writeLines(
    c("# comment", "browser position chr1", "track name=x", "chr1 7 14 x\r", "", "chr1 0 2 x"),
    other
  )
  expect_identical(
    as.character(sequences_from(other, small_genome())),
    c("chr1:8-14" = "GATTACA", "chr1:1-2" = "AC")
  )
})

test_that("regions over the ends are refused, dropped or padded, on both ends and strands", {
  skip_without_genomes()
  regions <- GenomicRanges::GRanges(c(
    left = "chr1:-1-3:+", right = "chr2:7-10:-", both = "chr2:-1-9", inside = "chr2:1-8:-",
    left_minus = "chr1:0-4:-"
  ), score = 1:5)
  error <- expect_error(sequences_from(regions, small_genome()),
    class = "seqlift_error_regions"
  )
  expect_match(conditionMessage(error), "4 of 5")
  expect_match(conditionMessage(error), "chr1:-1-3:+ (number 1, of 26 bp)", fixed = TRUE)
  expect_message(
    dropped <- sequences_from(regions, small_genome(), out_of_bounds = "drop"),
    "Dropped 4 of 5",
    class = "seqlift_message_dropped"
  )
  expect_identical(as.character(dropped), c(inside = "GGGGCCCC"))
  expect_identical(S4Vectors::mcols(dropped)$score, 4L)
  expect_no_warning(padded <- sequences_from(regions, small_genome(), out_of_bounds = "pad"))
  expect_identical(as.character(padded), c(
    left = "NNACG", right = "NNGG", both = "NNGGGGCCCCN", inside = "GGGGCCCC", left_minus = "ACGTN"
  ))
  expect_identical(
    as.character(S4Vectors::mcols(padded)$range), as.character(unname(regions))
  )
  # The first and the last base are within.
  edges <- GenomicRanges::GRanges(c("chr1:1-2", "chr1:25-26"))
  expect_identical(as.character(unname(sequences_from(edges, small_genome()))), c("AC", "TT"))
  outside <- GenomicRanges::GRanges("chr2:9-12")
  for (choice in c("drop", "pad")) {
    expect_error(sequences_from(outside, small_genome(), out_of_bounds = choice), "chr2:9-12",
      class = "seqlift_error_regions"
    )
  }
})

test_that("soft-masked and ambiguous letters become what a model can read", {
  skip_without_genomes("Rsamtools")
  fasta <- file.path(new_folder(), "masked.fa")
  writeLines(c(">chr1 with words", "acgtRYnNAC-T"), fasta)
  region <- GenomicRanges::GRanges(c("chr1:1-12:+", "chr1:1-12:-"))
  expected <- c("ACGTNNNNACNT", "ANGTNNNNACGT")
  expect_identical(as.character(unname(sequences_from(region, fasta))), expected)
  whole <- Biostrings::readDNAStringSet(fasta)
  taken <- sequences_from(region, whole)
  expect_identical(as.character(unname(taken)), expected)
  expect_identical(unname(decode_one_hot(taken)), expected)
})

test_that("other names and other assemblies of chromosomes are explained", {
  skip_without_genomes()
  plain <- GenomicRanges::GRanges("1:8-14")
  expect_error(sequences_from(plain, small_genome()), "seqlevelsStyle(regions) <- \"UCSC\"",
    fixed = TRUE, class = "seqlift_error_regions"
  )
  GenomeInfoDb::seqlevelsStyle(plain) <- "UCSC"
  expect_identical(as.character(unname(sequences_from(plain, small_genome()))), "GATTACA")
  ncbi <- stats::setNames(small_genome(), c("1", "MT"))
  expect_error(sequences_from(GenomicRanges::GRanges("chrM:1-2"), ncbi), "\"NCBI\"",
    class = "seqlift_error_regions"
  )
  error <- expect_error(sequences_from(GenomicRanges::GRanges("chrX:1-2"), small_genome()), "chrX",
    class = "seqlift_error_regions"
  )
  expect_no_match(conditionMessage(error), "seqlevelsStyle")
  other <- GenomicRanges::GRanges("chr1:8-14", seqlengths = c(chr1 = 27L))
  expect_error(sequences_from(other, small_genome()), "27 for .regions. and 26",
    class = "seqlift_error_regions"
  )
})

test_that("assemblies are told apart by their UCSC names alone", {
  skip_without_genomes()
  known <- GenomeInfoDb::Seqinfo("chr1", 26L, genome = "hg38")
  check <- function(genome) {
    regions <- GenomicRanges::GRanges("chr1:8-14")
    GenomeInfoDb::genome(regions) <- genome
    seqlift:::check_chromosomes(regions, known, "regions", "`genome`", NULL)
  }
  expect_error(check("hg19"), "is of hg19 for .regions. and hg38",
    class = "seqlift_error_regions"
  )
  for (genome in c("hg38", "GRCh38.p13", "b38", NA)) {
    expect_no_error(check(genome))
  }
})

test_that("wrong arguments are named", {
  skip_without_genomes()
  region <- GenomicRanges::GRanges("chr1:8-14")
  refused <- function(..., class) {
    expect_error(sequences_from(...), class = paste0("seqlift_error_", class))
  }
  refused(3, small_genome(), class = "regions")
  refused(region[0], small_genome(), class = "regions")
  refused(region, 3, class = "genome")
  refused(region, unname(small_genome()), class = "genome")
  refused(region, small_genome()[c(1, 1)], class = "genome")
  refused(region, small_genome(), width = 0, class = "argument")
  refused(region, small_genome(), out_of_bounds = "trim", class = "argument")
  refused("no_such.bed", small_genome(), class = "file")
  refused(region, "no_such.fa", class = "file")
  refused(GenomicRanges::resize(region, 0), small_genome(), class = "regions")
  S4Vectors::mcols(region) <- S4Vectors::DataFrame(signalValue = 1, peak = 7)
  refused(region, small_genome(), width = 3, class = "regions")
})

test_that("damaged files are refused with the line", {
  skip_without_genomes()
  folder <- new_folder()
  refused <- function(lines, message, class = "file") {
    path <- file.path(folder, "damaged.bed")
    writeLines(lines, path)
    expect_error(sequences_from(path, small_genome(), strict = TRUE), message,
      class = paste0("seqlift_error_", class)
    )
  }
  refused(c("chr1\t7\t14", "chr1\t7"), "Line 2 .* fewer than three")
  refused(c("# x", "chr1\t7\t14", "chr1\t7\t14\ta"), "Line 3 .* another number of columns")
  refused("chr1\tx\t14", "Line 1 .* no whole number as its start")
  refused("chr1\t7\t14.5", "no whole number as its end")
  refused("chr1\t14\t7", "ends before it starts")
  refused("chr1\t7\t14\ta\t0\tplus", "strand other than")
  refused("chr1\t7\t14\ta\t0\t+\t1\t1\t1\t7", "summit .* outside")
  refused(c("# nothing", ""), "at least one region", class = "regions")
})
