# One number for each base of the ranges, as rtracklayer reads them.
read_bigwig <- function(path) {
  track <- rtracklayer::import(path)
  wide <- as.data.frame(track)
  pos <- unlist(Map(seq, wide$start, wide$end))
  data.frame(
    seqnames = rep(as.character(wide$seqnames), wide$width), pos = pos,
    value = rep(wide$score, wide$width)
  )
}

# What is expected, from the table of the result: sorted as files are.
as_track <- function(frame) {
  frame <- frame[order(frame$seqnames, frame$pos), ]
  data.frame(seqnames = frame$seqnames, pos = frame$pos, value = frame$attribution)
}

# Floats have 24 bits.
expect_track <- function(path, expected) {
  read <- read_bigwig(path)
  expect_identical(read[1:2], expected[1:2])
  expect_equal(read$value, expected$value, tolerance = 1e-7)
}

new_path <- function(extension = ".bw", env = parent.frame()) {
  file.path(new_folder(env), paste0("track", extension))
}

test_that("every base has the number of its letter, on either strand", {
  skip_if_not_installed("rtracklayer")
  path <- new_path()
  x <- ranged_result()
  expect_identical(export_bigwig(x, path = path), path)
  expect_track(path, as_track(as.data.frame(x)))
  # By hand: position 1 of the minus strand is the last base of its range.
  read <- read_bigwig(path)
  one <- function(pos) read$value[read$seqnames == "chr1" & read$pos == pos]
  expect_equal(one(101), 1.01, tolerance = 1e-7)
  expect_equal(one(212), 2.01, tolerance = 1e-7)
  expect_equal(one(201), -2.12, tolerance = 1e-7)
  expect_length(one(100), 0L)
  expect_length(one(113), 0L)
  info <- GenomeInfoDb::seqlengths(rtracklayer::seqinfo(rtracklayer::BigWigFile(path)))
  expect_identical(info, c(chr1 = 1000L, chr2 = 500L))
  expect_identical(list.files(dirname(path), all.files = TRUE, no.. = TRUE), "track.bw")
})

test_that("of hypothetical attributions the observed letters are written", {
  skip_if_not_installed("rtracklayer")
  path <- new_path()
  export_bigwig(ranged_result(kind = "hypothetical"), path = path)
  expect_track(path, as_track(as.data.frame(ranged_result())))
})

test_that("arrays and scores of one's own are written at given ranges", {
  skip_if_not_installed("rtracklayer")
  path <- new_path()
  x <- ranged_result()
  expected <- as_track(as.data.frame(x))
  export_bigwig(as.array(x), sequence_places(), path)
  expect_track(path, expected)
  export_bigwig(10 * numbered_values(), sequence_places(), path)
  expect_track(path, transform(expected, value = 10 * value))
})

test_that("lengths of chromosomes come from the ranges or from a genome", {
  skip_if_not_installed("rtracklayer")
  path <- new_path()
  x <- ranged_result()
  bare <- sequence_places()
  GenomeInfoDb::seqlengths(bare) <- NA
  expect_error(export_bigwig(x, bare, path), "lengths of their chromosomes, not ranges without",
    class = "seqlift_error_argument"
  )
  expect_snapshot(error = TRUE, export_bigwig(x, bare, path))
  expect_false(file.exists(path))
  genomes <- list(
    c(chr2 = 500, chr1 = 1000, chrM = 7), GenomeInfoDb::Seqinfo(c("chr1", "chr2"), c(1000, 500)),
    sequence_places(),
    Biostrings::DNAStringSet(c(chr1 = strrep("A", 1000), chr2 = strrep("C", 500)))
  )
  if (requireNamespace("Rsamtools", quietly = TRUE)) {
    fasta <- file.path(dirname(path), "genome.fa")
    Biostrings::writeXStringSet(genomes[[4L]], fasta)
    Rsamtools::indexFa(fasta)
    genomes <- c(genomes, Rsamtools::FaFile(fasta))
  }
  for (genome in genomes) {
    export_bigwig(x, bare, path, genome = genome)
    expect_track(path, as_track(as.data.frame(x)))
    info <- GenomeInfoDb::seqlengths(rtracklayer::seqinfo(rtracklayer::BigWigFile(path)))
    expect_identical(info[c("chr1", "chr2")], c(chr1 = 1000L, chr2 = 500L))
  }
  refused <- function(genome, words) {
    expect_error(export_bigwig(x, bare, path, genome = genome), words,
      class = "seqlift_error_argument"
    )
  }
  refused(c(chr1 = 1000), "chr2")
  refused(c(`1` = 1000, `2` = 500), "is not `1`")
  refused(c(1000, 500), "names of the chromosomes")
  refused(c(chr1 = 1000, chr2 = NA), "names of the chromosomes")
  refused(c(chr1 = 150, chr2 = 500), "chr1:201-212:-")
  refused("hg38", "seqinfo")
})

test_that("what lies beside its chromosome is left out", {
  skip_if_not_installed("rtracklayer")
  path <- new_path()
  places <- GenomicRanges::GRanges(c("chr1:-3-8:-", "chr2:15-26:+"))
  export_bigwig(numbered_values(2L), places, path, genome = c(chr1 = 100, chr2 = 20))
  read <- read_bigwig(path)
  expect_identical(read$pos, c(1:8, 15:20))
  # Position 8 of the first is base 1, and position 1 base 8.
  expect_equal(read$value, c(numbered_values()[1, 8:1], numbered_values()[2, 1:6]),
    tolerance = 1e-7
  )
})

test_that("bases of several sequences are refused, averaged or those of the first", {
  skip_if_not_installed("rtracklayer")
  path <- new_path()
  places <- GenomicRanges::GRanges(c("chr1:21-32:+", "chr1:30-41:-", "chr1:1-12:+"))
  values <- numbered_values()
  write <- function(overlaps) {
    export_bigwig(values, places, path, genome = c(chr1 = 100), overlaps = overlaps)
    read <- read_bigwig(path)
    expect_identical(read$pos, c(1:12, 21:41))
    read$value[match(30:32, read$pos)]
  }
  expect_error(write("error"), "2 that do, chr1:21-32", class = "seqlift_error_argument")
  expect_error(
    export_bigwig(values, places, path, genome = c(chr1 = 100)), class = "seqlift_error_argument"
  )
  expect_false(file.exists(path))
  expect_equal(write("first"), values[1, 10:12], tolerance = 1e-7)
  expect_equal(write("mean"), (values[1, 10:12] + values[2, 12:10]) / 2, tolerance = 1e-7)
  expect_error(write("last"), "overlaps", class = "seqlift_error_argument")
})

test_that("what cannot be written is refused before the file is touched", {
  skip_if_not_installed("rtracklayer")
  path <- new_path()
  writeLines("old", path)
  refused <- function(code, words, class = "seqlift_error_argument") {
    expect_error(code, words, class = class)
  }
  refused(export_bigwig(ranged_result()), "path")
  refused(export_bigwig(ranged_result(ranges = FALSE), path = path), "attribution_ranges")
  refused(export_bigwig(ranged_result(), sequence_places()[1], path), "3 ranges")
  refused(export_bigwig(ranged_result(), path = file.path(path, "x")), "folder",
    class = "seqlift_error_file"
  )
  bad <- ranged_result(values = replace(numbered_values(), 3, NaN))
  refused(export_bigwig(bad, path = path), "finite")
  raw <- new_attributions(array(0, c(3, 2, 4, 12)), test_sequences(), matrix(0, 3, 2), NULL,
    "multipliers",
    ranges = sequence_places()
  )
  refused(export_bigwig(raw, path = path), "multipliers")
  two <- new_attributions(array(0, c(3, 4, 12, 2)), test_sequences(), array(0, c(3, 1, 2)), NULL,
    ranges = sequence_places()
  )
  refused(export_bigwig(two, path = path), "one target")
  expect_identical(readLines(path), "old")
})
