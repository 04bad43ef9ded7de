# What files hold that editors, spreadsheets, browsers and other systems wrote.

write_lines <- function(lines, extension = ".txt", sep = "\n", last = TRUE, bom = FALSE,
                        how = "plain") {
  text <- paste0(paste(lines, collapse = sep), if (last) sep)
  bytes <- c(if (bom) as.raw(c(0xef, 0xbb, 0xbf)), charToRaw(text))
  path <- tempfile(fileext = extension)
  if (how == "plain") {
    writeBin(bytes, path)
    return(path)
  }
  if (how == "gzip") {
    connection <- gzfile(path, "wb")
    writeBin(bytes, connection)
    close(connection)
    return(path)
  }
  plain <- tempfile()
  writeBin(bytes, plain)
  Rsamtools::bgzip(plain, path, overwrite = TRUE)
}

# Each way of storing the same lines.
ways <- list(
  list(), list(sep = "\r\n"), list(sep = "\r"), list(last = FALSE), list(bom = TRUE),
  list(how = "gzip"), list(how = "bgzip"), list(sep = "\r\n", bom = TRUE, how = "gzip")
)

# In all of them, or for content number `turn` of a format in two: four contents come in all.
stored_ways <- function(lines, extension, turn = NULL) {
  chosen <- if (is.null(turn)) ways else ways[(turn + c(0L, 4L)) %% length(ways) + 1L]
  lapply(chosen, function(way) do.call(write_lines, c(list(lines, extension), way)))
}

expect_dropped <- function(code, words) {
  value <- NULL
  expect_message(value <- code, words, class = "seqlift_message_dropped")
  value
}

test_that("text is read whatever its ends of lines, mark of order and compression", {
  skip_without_genomes("Rsamtools")
  for (path in stored_ways(c("first", "second line"), ".txt")) {
    expect_identical(read_text(path, "path", "text"), c("first", "second line"))
  }
  latin <- tempfile()
  writeBin(c(charToRaw("b"), as.raw(0xfc), charToRaw("cher\n")), latin)
  expect_identical(read_text(latin, "path", "text"), "b\u00fccher")
})

test_that("a compressed file that is cut short or damaged is an error, not the part that is left", {
  skip_without_genomes("Rsamtools")
  lines <- paste("line", seq_len(3000))
  for (how in c("gzip", "bgzip")) {
    path <- write_lines(lines, ".gz", how = how)
    bytes <- readBin(path, "raw", file.size(path))
    cut <- tempfile(fileext = ".gz")
    for (left in c(28L, 500L, 4000L)) {
      writeBin(bytes[seq_len(length(bytes) - left)], cut)
      expect_no_warning(
        expect_error(read_text(cut, "path", "text"), class = "seqlift_error_file", info = how)
      )
    }
    flipped <- bytes
    flipped[2000L] <- xor(flipped[2000L], as.raw(8L))
    writeBin(flipped, cut)
    expect_no_warning(
      expect_error(read_text(cut, "path", "text"), class = "seqlift_error_file", info = how)
    )
  }
  # Members one after the other are one file.
  plain <- write_lines(lines, ".gz", how = "gzip")
  bytes <- readBin(plain, "raw", file.size(plain))
  writeBin(c(bytes, bytes), plain)
  expect_length(read_text(plain, "path", "text"), 6000L)
})

test_that("what is no text is told as it is", {
  path <- tempfile()
  writeBin(as.raw(c(65, 0, 66, 10)), path)
  expect_error(read_text(path, "path", "a BED file"), "no text", class = "seqlift_error_file")
  writeBin(as.raw(c(0xff, 0xfe, 65, 0)), path)
  expect_error(read_text(path, "path", "a BED file"), "UTF-16", class = "seqlift_error_file")
})

# ---- BED and narrowPeak ---------------------------------------------------------------------

regions_of <- function(path, ...) suppressMessages(as_regions(path, ...))
places_of <- function(path) {
  regions <- regions_of(path)
  paste0(
    GenomicRanges::seqnames(regions), ":", GenomicRanges::start(regions), "-",
    GenomicRanges::end(regions)
  )
}

test_that("BED files of every kind give their regions, from 0 and half open", {
  skip_without_genomes("Rsamtools")
  rows <- list(
    three = "chr1\t7\t14", four = "chr1\t7\t14\tname", six = "chr1\t7\t14\tname\t0\t-",
    spaces = "chr1 7 14", aligned = "  chr1   7     14",
    twelve = paste0("chr1\t7\t14\ta\t0\t+\t7\t14\t0\t1\t7\t0"),
    sixteen = paste(c("chr1\t7\t14\ta\t0\t+", rep("x", 10)), collapse = "\t"),
    scientific = "chr1\t7e0\t1.4e1", no_score = "chr1\t7\t14\ta\t.\t+",
    odd_score = "chr1\t7\t14\ta\tx\t+",
    spaced_name = "chr1\t7\t14\ta name\t0\t+", no_name = "chr1\t7\t14\t\t0\t+",
    trailing = "chr1\t7\t14\t",
    peak = "chr1\t7\t14\ta\t0\t.\t1\t-1\t-1\t2"
  )
  for (name in names(rows)) {
    around <- c("browser position chr1", "track name=x", "# a comment", "", rows[[name]], "   ", "")
    for (path in stored_ways(around, ".bed", match(name, names(rows)))) {
      expect_identical(places_of(path), "chr1:8-14", info = name)
    }
  }
})

test_that("lines of a BED file that cannot be used are dropped with one message, or refused", {
  skip_without_genomes()
  bad <- list(
    few = "chr1\t7", uneven = "chr1\t7\t14\tname", word = "chr1\tseven\t14", half = "chr1\t7.5\t14",
    missing = "chr1\tNA\t14", turned = "chr1\t14\t7", negative = "chr1\t-1\t7",
    huge = "chr1\t3000000000\t3000000100", hexadecimal = "chr1\t0x7\t0xe", infinite = "chr1\t7\tInf"
  )
  for (name in names(bad)) {
    path <- write_lines(c("chr1\t1\t3", bad[[name]], "chr1\t4\t6", bad[[name]]), ".bed")
    regions <- expect_dropped(as_regions(path), "2 of 4 regions.*\n?.*Line 2")
    expect_identical(GenomicRanges::start(regions), c(2L, 5L), info = name)
    expect_error(
      as_regions(path, strict = TRUE), "Line 2", class = "seqlift_error_file", info = name
    )
    alone <- write_lines(bad[[name]], ".bed")
    if (name != "uneven") {
      expect_error(as_regions(alone), "Line 1", class = "seqlift_error_file", info = name)
    }
  }
  strand <- write_lines(c("chr1\t1\t3\ta\t0\t+", "chr1\t1\t3\ta\t0\tplus"), ".bed")
  expect_length(expect_dropped(as_regions(strand), "strand other than"), 1L)
  summit <- write_lines(
    c("chr1\t1\t3\ta\t0\t+\t1\t1\t1\t1", "chr1\t1\t3\ta\t0\t+\t1\t1\t1\t2"), ".bed"
  )
  expect_length(expect_dropped(as_regions(summit), "summit"), 1L)
  for (empty in list(character(), "", c("# header", "track x"))) {
    expect_error(
      as_regions(write_lines(empty, ".bed")), "at least one region", class = "seqlift_error_regions"
    )
  }
})

test_that("regions without a base and on chromosomes that are not there are dropped where asked", {
  skip_without_genomes()
  path <- write_lines(c("chr1\t1\t3", "chr1\t4\t4", "chrUn\t1\t3"), ".bed")
  expect_error(sequences_from(path, small_genome()), "chrUn", class = "seqlift_error_regions")
  suppressMessages(X <- sequences_from(path, small_genome(), out_of_bounds = "drop"))
  expect_identical(as.character(X), c("chr1:2-3" = "CG"))
  suppressMessages(X <- sequences_from(path, small_genome(), width = 2, out_of_bounds = "drop"))
  expect_length(X, 2L)
})

# ---- FASTA ----------------------------------------------------------------------------------

test_that("FASTA files of every kind give their letters", {
  skip_without_genomes("Rsamtools")
  region <- GenomicRanges::GRanges("chr1:2-8")
  rows <- list(
    plain = c(">chr1", "ACGTACGTNN"), wrapped = c(">chr1", "ACGT", "ACGTNN"),
    uneven = c(">chr1", "ACG", "TACGTN", "N"),
    lower = c(">chr1", "acgtacgtnn"), rna = c(">chr1", "ACGUACGUNN"),
    described = c(">chr1 of >a genome", "ACGTACGTNN"),
    spaced = c("> chr1", "ACGT ACGT NN"), blank = c("", ">chr1", "", "ACGT", "", "ACGTNN", ""),
    ambiguous = c(">chr1", "ACGTACGTRX"), gaps = c(">chr1", "ACGTACGT-."),
    comment = c(";old", ">chr1", "ACGTACGTNN"),
    second = c(">chr0", "AAAA", ">chr1", "ACGTACGTNN")
  )
  for (name in names(rows)) {
    for (path in stored_ways(rows[[name]], ".fa", match(name, names(rows)))) {
      expect_identical(as.character(unname(sequences_from(region, path))), "CGTACGT", info = name)
    }
  }
})

test_that("sequences of a FASTA that cannot be used are dropped with one message, or refused", {
  skip_without_genomes()
  region <- GenomicRanges::GRanges("chr1:1-4")
  bad <- list(
    protein = c(">p", "MEEPQSDPSV"), stop = c(">s", "ACGT*"), twice = c(">chr1", "TTTT"),
    nothing = ">empty",
    nameless = c(">", "ACGT")
  )
  for (name in names(bad)) {
    path <- write_lines(c(">chr1", "ACGT", bad[[name]]), ".fa")
    X <- expect_dropped(sequences_from(region, path), "1 of 2 sequences")
    expect_identical(as.character(unname(X)), "ACGT", info = name)
    expect_error(
      sequences_from(region, path, strict = TRUE), "Sequence 2", class = "seqlift_error_file",
      info = name
    )
  }
  expect_error(
    sequences_from(region, write_lines(bad$protein, ".fa")), "letter E",
    class = "seqlift_error_file"
  )
  for (other in list("ACGT", character(), "chr1\t1\t4")) {
    expect_error(
      sequences_from(region, write_lines(other, ".fa")), "no FASTA", class = "seqlift_error_file"
    )
  }
})

test_that("a 2bit file is known by its content, its masks are letters", {
  skip_without_genomes("rtracklayer")
  path <- tempfile(fileext = ".2bit")
  rtracklayer::export(small_genome(), path)
  other <- tempfile()
  file.copy(path, other)
  expect_identical(
    as.character(unname(sequences_from(GenomicRanges::GRanges("chr1:10-16"), other))), "TTACAGG"
  )
})

# ---- VCF ------------------------------------------------------------------------------------

vcf_header <- c("##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
vcf_sequences <- function() {
  sequences_from(
    GenomicRanges::GRanges("chr1:101-140:+"),
    Biostrings::DNAStringSet(c(chr1 = strrep("ACGTTGCA", 100)))
  )
}
vcf_record <- function(..., rest = "\t.\tPASS\t.") paste0(paste(..., sep = "\t"), rest)

test_that("VCF files of every kind give their alleles", {
  skip_without_genomes("Rsamtools")
  X <- vcf_sequences()
  samples <- paste0(vcf_header[2L], "\tFORMAT\ta\tb")
  rows <- list(
    plain = c(vcf_header, vcf_record("chr1", 113, ".", "A", "C")),
    lower = c(vcf_header, vcf_record("chr1", 113, ".", "a", "c")),
    samples = c(
      vcf_header[1L], samples,
      vcf_record("chr1", 113, ".", "A", "C", rest = "\t.\t.\t.\tGT\t0/1\t1|1")
    ),
    contigs = c(
      vcf_header[1L], "##contig=<ID=chr1,length=800>", vcf_header[2L],
      vcf_record("chr1", 113, ".", "A", "C")
    ),
    five = c(vcf_header[1L], "#CHROM\tPOS\tID\tREF\tALT", "chr1\t113\t.\tA\tC"),
    blank = c(vcf_header, "", vcf_record("chr1", 113, ".", "A", "C"), "")
  )
  for (name in names(rows)) {
    for (path in stored_ways(rows[[name]], ".vcf.gz", match(name, names(rows)))) {
      table <- variants_from(path, X)
      expect_identical(
        table[c("variant", "position", "alt")],
        data.frame(variant = "chr1:113_A/C", position = 13L, alt = "C"), info = name
      )
    }
  }
})

test_that("every allele has its own name, and one that cannot be used takes no others with it", {
  skip_without_genomes()
  X <- vcf_sequences()
  read <- function(..., strict = FALSE) {
    variants_from(write_lines(c(vcf_header, ...), ".vcf"), X, strict = strict)
  }
  expect_identical(
    read(vcf_record("chr1", 113, ".", "A", "C,G,T"))$variant,
    paste0("chr1:113_A/", c("C", "G", "T"))
  )
  expect_identical(
    read(vcf_record("chr1", 113, "rs1", "A", "C,G"))$variant, c("rs1_A/C", "rs1_A/G")
  )
  expect_identical(read(vcf_record("chr1", 113, "rs1", "A", "C"))$variant, "rs1")
  unusable <- c(
    "*", "<NON_REF>", "<DEL>", ".", "R", "N", "A", "A[chr1:300[", "]chr1:300]A", ".TC", "TC."
  )
  for (alt in unusable) {
    record <- vcf_record("chr1", 113, ".", "A", paste0("C,", alt))
    expect_identical(
      expect_dropped(read(record), "1 of 2 alternative")$variant, "chr1:113_A/C", info = alt
    )
    expect_error(
      read(record, strict = TRUE), "chr1:113", class = "seqlift_error_variants", info = alt
    )
    expect_error(
      read(vcf_record("chr1", 113, ".", "A", alt)), "chr1:113", class = "seqlift_error_variants",
      info = alt
    )
  }
  fine <- vcf_record("chr1", 113, ".", "A", "C")
  lines <- c(
    "chr1\t113\t.\tA", "chr1 113 . A C", vcf_record("chr1", 0, ".", "A", "C"),
    vcf_record("chr1", "3e9", ".", "A", "C"), vcf_record("chr1", ".", ".", "A", "C"),
    vcf_record("chr1", 113, ".", ".", "C")
  )
  for (line in lines) {
    expect_identical(nrow(expect_dropped(read(fine, line), "1 of 2")), 1L, info = line)
  }
})

test_that("what is no VCF file, or holds no variant, is told as it is", {
  skip_without_genomes()
  X <- vcf_sequences()
  expect_error(
    variants_from(write_lines("chr1\t113\t.\tA\tC", ".vcf"), X), "no VCF file",
    class = "seqlift_error_file"
  )
  expect_error(
    variants_from(write_lines(vcf_header, ".vcf"), X), "at least one variant",
    class = "seqlift_error_variants"
  )
  bcf <- tempfile(fileext = ".bcf")
  writeBin(c(charToRaw("BCF"), as.raw(c(2, 2, 0, 0))), bcf)
  expect_error(variants_from(bcf, X), "bcftools view", class = "seqlift_error_file")
  other <- write_lines(c(vcf_header, vcf_record("1", 113, ".", "A", "C")), ".vcf")
  expect_error(variants_from(other, X), "seqlevelsStyle", class = "seqlift_error_variants")
  lengths <- write_lines(
    c(
      vcf_header[1L], "##contig=<ID=chr1,length=999>", vcf_header[2L],
      vcf_record("chr1", 113, ".", "A", "C")
    ),
    ".vcf"
  )
  expect_error(variants_from(lengths, X), "999", class = "seqlift_error_regions")
})

# ---- motifs ---------------------------------------------------------------------------------

gat <- rbind(A = c(0, 9, 0), C = c(0, 1, 0), G = c(10, 0, 2), T = c(0, 0, 8))

test_that("JASPAR, PFM and matrices of positions give one matrix, however they are written", {
  skip_if_not_installed("Rsamtools")
  rows <- list(
    brackets = c(">M1 g", "A [ 0 9 0 ]", "C [ 0 1 0 ]", "G [10 0 2]", "T [ 0 0 8 ]"),
    letters = c(">M1 g", "A 0 9 0", "C 0 1 0", "G 10 0 2", "T 0 0 8"),
    bars = c(">M1 g", "A | 0 9 0", "C | 0 1 0", "G | 10 0 2", "T | 0 0 8"),
    colons = c(">M1 g", "A: 0 9 0", "C: 0 1 0", "G: 10 0 2", "T: 0 0 8"),
    lower = c(">M1 g", "a 0 9 0", "c 0 1 0", "g 10 0 2", "t 0 0 8"),
    rna = c(">M1 g", "A 0 9 0", "C 0 1 0", "G 10 0 2", "U 0 0 8"),
    order = c(">M1 g", "T 0 0 8", "G 10 0 2", "C 0 1 0", "A 0 9 0"),
    bare = c(">M1 g", "0 9 0", "0 1 0", "10 0 2", "0 0 8"),
    commas = c(">M1 g", "0,9,0", "0,1,0", "10,0,2", "0,0,8"),
    transposed = c(">M1 g", "0 0 10 0", "9 1 0 0", "0 0 2 8"),
    headed = c(">M1 g", "A C G T", "0 0 10 0", "9 1 0 0", "0 0 2 8"),
    numbered = c(">M1 g", "Pos\tA\tC\tG\tT", "1\t0\t0\t10\t0", "2\t9\t1\t0\t0", "3\t0\t0\t2\t8")
  )
  for (name in names(rows)) {
    for (path in stored_ways(rows[[name]], ".pfm", match(name, names(rows)))) {
      expect_identical(read_motifs(path), list("M1 g" = gat), info = name)
    }
  }
  # Of four rows with four numbers the sums tell.
  square <- cbind(gat, c(10, 0, 0, 0))
  upright <- apply(square, 1L, paste, collapse = " ")
  turned <- apply(square, 2L, paste, collapse = " ")
  expect_identical(unname(read_motifs(write_lines(c(">a", upright)))[[1L]]), unname(square))
  expect_identical(unname(read_motifs(write_lines(c(">a", turned)))[[1L]]), unname(square))
})

test_that("MEME files of every kind give their probabilities", {
  skip_if_not_installed("Rsamtools")
  matrix <- c(" 0  0 1 0", "0.9\t0.1 0 0 ", "0 0 .25 7.5e-1")
  expected <- rbind(A = c(0, 0.9, 0), C = c(0, 0.1, 0), G = c(1, 0, 0.25), T = c(0, 0, 0.75))
  rows <- list(
    full = c("MEME version 5.5.0", "ALPHABET= ACGT", "strands: + -",
      "Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25",
      "MOTIF M1 a  name", "letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0", matrix,
      "URL http://x"),
    bare = c("MEME version 4", "MOTIF M1 a name", "letter-probability matrix:", matrix),
    tight = c(
      "MEME version 4.4", "ALPHABET= ACGT", "MOTIF   M1 a name",
      "letter-probability matrix: alength=4 w=3", "", matrix
    ),
    rna = c(
      "MEME version 4", "ALPHABET= ACGU", "MOTIF M1 a name", "letter-probability matrix: w= 3",
      matrix
    )
  )
  for (name in names(rows)) {
    for (path in stored_ways(rows[[name]], ".meme", match(name, names(rows)))) {
      expect_equal(read_motifs(path), list("M1 a name" = expected), info = name)
    }
  }
})

test_that("motifs that cannot be used are dropped with one message, or refused", {
  good <- c(">good", "A [1]", "C [0]", "G [0]", "T [0]")
  bad <- list(
    three = c(">b", "1 2", "1 2", "1 2"), ragged = c(">b", "1 2", "1", "1 2", "1 2"),
    word = c(">b", "1", "x", "1", "1"),
    negative = c(">b", "1", "-1", "1", "1"), missing = c(">b", "1", "NA", "1", "1"), none = ">b"
  )
  for (name in names(bad)) {
    path <- write_lines(c(good, bad[[name]]))
    expect_named(expect_dropped(read_motifs(path), "1 of 2 motifs"), "good")
    expect_error(
      read_motifs(path, strict = TRUE), "Line [0-9]+ of", class = "seqlift_error_file", info = name
    )
    expect_error(read_motifs(write_lines(bad[[name]])), class = "seqlift_error_file", info = name)
  }
  sums <- c(
    "MEME version 4", "MOTIF a", "letter-probability matrix: w= 1", "1 0 0 0", "MOTIF b",
    "letter-probability matrix: w= 1", "0.5 0.1 0.1 0.1"
  )
  expect_named(expect_dropped(read_motifs(write_lines(sums)), "do not sum to 1"), "a")
  expect_error(
    read_motifs(write_lines(c("MEME version 4", "MOTIF a", "log-odds matrix: w= 1", "1 -1 0 0"))),
    "log-odds", class = "seqlift_error_file"
  )
  expect_error(
    read_motifs(write_lines(c("<?xml version='1.0'?>", "<MEME>"))), "XML or HTML",
    class = "seqlift_error_file"
  )
})

# ---- bigWig ---------------------------------------------------------------------------------

test_that("a value that is not finite is 0 where it stands and changes nothing elsewhere", {
  skip_without_genomes("rtracklayer")
  path <- test_path("tracks", "not_finite.bw")
  regions <- GenomicRanges::GRanges(
    c("chr1:1001-1100", "chr1:5001-5100", "chr1:9001-9100", "chr1:7001-7100", "chr1:1051-1150")
  )
  signal <- expect_dropped(signal_from(regions, path), "200 bases.*NaN at chr1:5001-5100")
  expect_equal(rowMeans(signal[, 1L, ]), c(3, 0, 7, 0, 1.5))
  expect_identical(signal_from(regions[c(3, 1)], path)[, 1L, ], signal[c(3, 1), 1L, ])
  expect_error(
    signal_from(regions, path, strict = TRUE), "not finite", class = "seqlift_error_file"
  )
})
