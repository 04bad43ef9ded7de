made_seqlets <- function() {
  data.frame(
    example = c(3L, 2L, 1L), start = c(2L, 1L, 5L), end = c(4L, 6L, 8L),
    attribution = c(1, -4, 2.5), p_value = c(0.01, 0, NA)
  )
}

bed_path <- function(extension = ".bed", env = parent.frame()) {
  file.path(new_folder(env), paste0("seqlets", extension))
}

test_that("BED has starts from 0, ends that are not included, and scores from 0 to 1000", {
  skip_if_not_installed("GenomicRanges")
  path <- bed_path()
  expect_identical(export_bed(made_seqlets(), path, sequence_places()), path)
  # Sequence 2 is the minus strand of 201 to 212: positions 1 to 6 are bases 207 to 212.
  expect_identical(readLines(path), c(
    "chr1\t104\t108\tseqlet_3\t625\t+", "chr1\t206\t212\tseqlet_2\t1000\t-",
    "chr2\t5\t8\tseqlet_1\t250\t."
  ))
  expect_identical(list.files(dirname(path), all.files = TRUE, no.. = TRUE), "seqlets.bed")
})

test_that("rtracklayer reads back the ranges", {
  skip_if_not_installed("rtracklayer")
  path <- bed_path()
  export_bed(made_seqlets(), path, sequence_places())
  read <- rtracklayer::import(path)
  ranges <- seqlets_as_granges(made_seqlets(), sequence_places())[3:1]
  expect_identical(as.character(read), as.character(ranges))
  expect_identical(read$name, c("seqlet_3", "seqlet_2", "seqlet_1"))
  expect_identical(read$score, c(625, 1000, 250))
})

test_that("narrowPeak has the attributions and the p-values, and rtracklayer reads them", {
  skip_if_not_installed("rtracklayer")
  path <- bed_path(".narrowPeak")
  export_bed(made_seqlets(), path, sequence_places())
  read <- rtracklayer::import(path)
  ranges <- seqlets_as_granges(made_seqlets(), sequence_places())[3:1]
  expect_identical(as.character(read), as.character(ranges))
  expect_equal(read$signalValue, c(2.5, -4, 1))
  expect_equal(read$pValue, c(-1, -log10(.Machine$double.xmin), 2), tolerance = 1e-6)
  expect_identical(read$score, c(625, 1000, 250))
})

test_that("places of seqlets of a result come with them, names and ranges are taken as given", {
  skip_if_not_installed("GenomicRanges")
  path <- bed_path()
  expected <- {
    export_bed(made_seqlets(), path, sequence_places())
    readLines(path)
  }
  known <- transform(made_seqlets(), range = range_text(sequence_places())[example])
  export_bed(known, path)
  expect_identical(readLines(path), expected)
  export_bed(seqlets_as_granges(known), path)
  expect_identical(readLines(path), expected)
  export_bed(transform(known, name = c("GATA", "TAL", "CTCF")), path)
  expect_identical(readLines(path)[1], "chr1\t104\t108\tCTCF\t625\t+")
  expect_error(export_bed(transform(known, name = "a\tb"), path), "tab",
    class = "seqlift_error_argument"
  )
  expect_error(export_bed(seqlets_as_granges(known), path, sequence_places()), "ranges",
    class = "seqlift_error_argument"
  )
})

test_that("whole numbers stay whole, and tables without attributions have no score", {
  skip_if_not_installed("GenomicRanges")
  path <- bed_path()
  far <- GenomicRanges::GRanges("chr1:100001-400000:+")
  export_bed(data.frame(example = 1, start = 1, end = 100000), path, far)
  expect_identical(readLines(path), "chr1\t100000\t200000\tseqlet_1\t0\t+")
  export_bed(made_seqlets()[0, ], path, sequence_places())
  expect_identical(readLines(path), character())
  export_bed(transform(made_seqlets(), attribution = 0), path, sequence_places())
  expect_match(readLines(path), "\t0\t")
})

test_that("what lies before a chromosome is cut off, or refused if it is all of a seqlet", {
  skip_if_not_installed("GenomicRanges")
  path <- bed_path()
  padded <- GenomicRanges::GRanges("chr1:-4-7:+")
  export_bed(data.frame(example = 1L, start = 4L, end = 8L), path, padded)
  expect_identical(readLines(path), "chr1\t0\t3\tseqlet_1\t0\t+")
  expect_error(export_bed(data.frame(example = 1L, start = 1L, end = 2L), path, padded),
    "chr1:-4--3", class = "seqlift_error_argument"
  )
})

test_that("a table that is none, or a path that is none, leaves nothing behind", {
  skip_if_not_installed("GenomicRanges")
  path <- bed_path()
  expect_error(export_bed(1, path), "seqlets", class = "seqlift_error_argument")
  expect_error(export_bed(made_seqlets(), file.path(path, "x")), class = "seqlift_error_file")
  expect_length(list.files(dirname(path), all.files = TRUE, no.. = TRUE), 0L)
})

test_that("annotations are named by their motifs and described, variants by their names", {
  skip_if_not_installed("GenomicRanges")
  path <- bed_path()
  annotations <- transform(
    made_seqlets(), annotation = c("GATA", "TAL", "CTCF"), strand = "+", rank = 1L
  )
  export_bed(annotations, path, sequence_places())
  expect_identical(readLines(path), c(
    "chr1\t104\t108\tCTCF\t0\t+\t-1\t1", "chr1\t206\t212\tTAL\t1000\t-\t0\t1",
    "chr2\t5\t8\tGATA\t200\t+\t0.01\t1"
  ))
  described <- grep(";", readLines(sub("bed$", "as", path)), value = TRUE)
  expect_identical(sub("^ *[^ ]+ ([A-Za-z_]+);.*", "\\1", described), c(
    "chrom", "chromStart", "chromEnd", "name", "score", "strand", "p_value", "rank"
  ))
  variants <- data.frame(
    variant = c("rs2", "rs1"), chromosome = "chr1", position = c(20, 10), ref = c("A", "ACG"),
    alt = c("AT", "A"), logfc = c(0.25, -1), jsd = c(0.1, 0.2)
  )
  export_bed(variants, path)
  expect_identical(readLines(path), c(
    "chr1\t9\t12\trs1\t1000\t.\tACG\tA\t-1\t0.2", "chr1\t19\t20\trs2\t250\t.\tA\tAT\t0.25\t0.1"
  ))
  expect_error(export_bed(variants, sub("bed$", "narrowPeak", path)), "variants",
    class = "seqlift_error_argument")
  expect_error(export_bed(variants, sub("bed$", "bb", path)), "lengths of their chromosomes",
    class = "seqlift_error_argument")
})

test_that("ends are cut where the chromosome's length is known, in bigBed always", {
  skip_if_not_installed("rtracklayer")
  path <- bed_path()
  padded <- GenomicRanges::GRanges("chr1:91-102:+")
  seqlet <- data.frame(example = 1L, start = 4L, end = 12L)
  export_bed(seqlet, path, padded)
  expect_identical(readLines(path), "chr1\t93\t102\tseqlet_1\t0\t+")
  export_bed(seqlet, path, padded, genome = c(chr1 = 100))
  expect_identical(readLines(path), "chr1\t93\t100\tseqlet_1\t0\t+")
  skip_on_os("windows")
  big <- sub("bed$", "bb", path)
  export_bed(seqlet, big, padded, genome = c(chr1 = 100))
  expect_identical(GenomicRanges::end(rtracklayer::import(big)), 100L)
  expect_error(export_bed(seqlet[0L, ], big, padded, genome = c(chr1 = 100)), "at least one row",
    class = "seqlift_error_argument")
  expect_error(export_bed(seqlet, big, padded, genome = c(chr2 = 100)), "chr1",
    class = "seqlift_error_argument")
})
