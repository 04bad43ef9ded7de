# bigBed files against three readers: one written here from the format's description, rtracklayer's
# (Kent's library) and pyBigWig's (libBigWig).

# Everything that a bigBed file holds, read without any index.
parse_bigbed <- function(path) {
  bytes <- readBin(path, "raw", file.size(path))
  number <- function(at, n, size) {
    if (size == 8L) {
      words <- number(at, 2L * n, 4L)
      return(words[c(TRUE, FALSE)] %% 2^32 + words[c(FALSE, TRUE)] * 2^32)
    }
    readBin(bytes[at + seq_len(n * size)], "integer", n, size, endian = "little", signed = size == 4L)
  }
  stopifnot(identical(bytes[1:4], as.raw(c(0xeb, 0xf2, 0x89, 0x87))))
  head <- number(8, 3L, 8L)
  counts <- number(32, 2L, 2L)
  more <- number(36, 2L, 8L)
  described <- bytes[(more[1L] + 1):more[2L]]
  tree <- head[1L]
  key <- number(tree + 8, 1L, 4L)
  n <- number(tree + 16, 1L, 8L)
  leaf <- tree + 36
  names <- vapply(seq_len(n), function(i) {
    own <- bytes[leaf + (i - 1) * (key + 8) + seq_len(key)]
    rawToChar(own[own != as.raw(0L)])
  }, "")
  sizes <- vapply(seq_len(n), function(i) number(leaf + (i - 1) * (key + 8) + key, 2L, 4L)[2L], 0L)
  # The leaves of the tree of blocks, from its root.
  index <- head[3L]
  leaves <- function(at) {
    count <- number(at + 2, 1L, 2L)
    if (bytes[at + 1] == as.raw(1L)) {
      return(do.call(rbind, lapply(seq_len(count), function(i) {
        place <- at + 4 + (i - 1) * 32
        c(number(place, 4L, 4L), number(place + 16, 2L, 8L))
      })))
    }
    do.call(rbind, lapply(seq_len(count), function(i) {
      place <- at + 4 + (i - 1) * 24
      below <- leaves(number(place + 16, 1L, 8L))
      whole <- number(place, 4L, 4L)
      stopifnot(
        identical(whole[1:2], as.integer(below[1L, 1:2])), whole[3L] == max(below[, 3L]),
        whole[4L] == max(below[below[, 3L] == whole[3L], 4L])
      )
      below
    }))
  }
  blocks <- leaves(index + 48)
  records <- lapply(seq_len(nrow(blocks)), function(i) {
    plain <- memDecompress(bytes[blocks[i, 5L] + seq_len(blocks[i, 6L])], "gzip")
    at <- 0
    own <- list()
    while (at < length(plain)) {
      place <- readBin(plain[at + 1:12], "integer", 3L, 4L, endian = "little")
      end <- at + 12 + which(plain[(at + 13):length(plain)] == as.raw(0L))[1L]
      rest <- rawToChar(plain[seq.int(at + 13, length.out = end - at - 13)])
      own[[length(own) + 1L]] <- data.frame(
        chromosome = names[place[1L] + 1L], start = place[2L], end = place[3L], rest = rest
      )
      stopifnot(
        place[1L] == blocks[i, 1L], place[2L] >= blocks[i, 2L], place[3L] <= blocks[i, 4L]
      )
      at <- end
    }
    do.call(rbind, own)
  })
  list(
    records = do.call(rbind, records), sizes = stats::setNames(sizes, names),
    columns = counts, autosql = rawToChar(described[described != as.raw(0L)]),
    count = number(head[2L], 1L, 8L), blocks = nrow(blocks), end = utils::tail(bytes, 4L),
    summary = c(
      number(more[2L], 1L, 8L), readBin(bytes[more[2L] + 8 + 1:32], "double", 4L, endian = "little")
    )
  )
}

made_records <- function(n, sizes, widest = 60L) {
  set.seed(n)
  chromosome <- sample(names(sizes), n, TRUE)
  start <- as.integer(floor(stats::runif(n) * (sizes[chromosome] - widest)))
  records <- data.frame(
    chromosome = chromosome, start = start, end = start + sample.int(widest, n, TRUE),
    rest = sprintf("name %d\t%d\t%s\t%.7g", seq_len(n), sample(0:1000, n, TRUE), sample(c("+", "-", "."), n, TRUE), stats::rnorm(n))
  )
  records[order(records$chromosome, records$start, records$end, method = "radix"), ]
}

described <- c(
  "table made", "\"Made\"", "    (", "    string chrom; \"\"", "    uint chromStart; \"\"",
  "    uint chromEnd; \"\"", "    string name; \"\"", "    uint score; \"\"", "    char[1] strand; \"\"",
  "    float number; \"\"", "    )"
)

# Rows: one record; one chromosome; a block that is full; several chromosomes whose names differ in
# length; more blocks than a node has entries (two levels).
cases <- list(
  list(n = 1L, sizes = c(chr1 = 1000L), block = 512L, node = 256L),
  list(n = 512L, sizes = c(chr1 = 50000L), block = 512L, node = 256L),
  list(n = 513L, sizes = c(chr1 = 50000L), block = 512L, node = 256L),
  list(n = 900L, sizes = c(chr1 = 9000L, chr10 = 90000L, chr2 = 8000L, chrUn_a = 300L), block = 7L, node = 256L),
  list(n = 600L, sizes = c(chr1 = 9000L, chr2 = 8000L), block = 4L, node = 5L)
)

test_that("a parser of the format finds every record, whatever the sizes of blocks and nodes", {
  for (case in cases) {
    path <- file.path(new_folder(), "made.bb")
    records <- made_records(case$n, case$sizes)
    with_sizes(case, write_bigbed(records, case$sizes, described, 7L, path))
    found <- parse_bigbed(path)
    expect_equal(found$records, records, ignore_attr = "row.names")
    expect_identical(found$count, as.double(case$n))
    used <- sort(unique(records$chromosome), method = "radix")
    expect_identical(found$sizes, case$sizes[used])
    expect_identical(found$columns, c(7L, 6L))
    expect_identical(strsplit(found$autosql, "\n")[[1L]], described)
    expect_identical(found$end, as.raw(c(0xeb, 0xf2, 0x89, 0x87)))
    # By counting each base.
    depth <- unlist(lapply(used, function(one) {
      own <- records[records$chromosome == one, ]
      tabulate(unlist(Map(seq, own$start + 1L, own$end)), case$sizes[[one]])
    }))
    depth <- depth[depth > 0]
    expect_identical(found$summary, c(length(depth), min(depth), max(depth), sum(depth), sum(depth^2)))
  }
})

test_that("rtracklayer reads the records, and windows of them", {
  skip_if_not_installed("rtracklayer")
  skip_on_os("windows")
  case <- cases[[4L]]
  path <- file.path(new_folder(), "made.bb")
  records <- made_records(case$n, case$sizes)
  with_sizes(case, write_bigbed(records, case$sizes, described, 7L, path))
  # Of a start of 0, as below.
  read <- suppressWarnings(rtracklayer::import(path))
  expect_identical(as.character(GenomicRanges::seqnames(read)), records$chromosome)
  expect_identical(GenomicRanges::end(read), records$end)
  # rtracklayer before 1.62 gives starts as they are stored, from 0.
  shift <- unique(GenomicRanges::start(read) - records$start)
  expect_true(identical(shift, 0L) || identical(shift, 1L))
  expect_identical(paste(read$name, read$score, sep = "\t"), sub("^([^\t]*\t[^\t]*)\t.*", "\\1", records$rest))
  expect_identical(
    GenomeInfoDb::seqlengths(GenomeInfoDb::seqinfo(rtracklayer::BigBedFile(path))),
    case$sizes[unique(records$chromosome)]
  )
  window <- GenomicRanges::GRanges("chr10:30001-35000")
  inside <- records$chromosome == "chr10" & records$start < 35000 & records$end > 30000
  expect_gt(sum(inside), 2L)
  expect_length(rtracklayer::import(rtracklayer::BigBedFile(path), which = window), sum(inside))
})

test_that("pyBigWig reads the records, and windows of them", {
  python <- Sys.which("python3")
  for (one in c(python, "/usr/bin/python3")) {
    if (nzchar(one) && file.exists(one) && system2(one, c("-c", shQuote("import pyBigWig")), stderr = FALSE) == 0L) python <- one
  }
  known <- nzchar(python) && suppressWarnings(
    system2(python, c("-c", shQuote("import pyBigWig")), stdout = FALSE, stderr = FALSE)
  ) == 0L
  skip_if(!known, "python3 without pyBigWig")
  for (case in cases) {
    folder <- new_folder()
    path <- file.path(folder, "made.bb")
    records <- made_records(case$n, case$sizes)
    with_sizes(case, write_bigbed(records, case$sizes, described, 7L, path))
    script <- c(
      "import sys, pyBigWig", "b = pyBigWig.open(sys.argv[1])", "assert b.isBigBed()",
      "for name, size in sorted(b.chroms().items()):",
      "    for start, end, rest in b.entries(name, 0, size):",
      "        print(name, start, end, rest, sep='\\t')"
    )
    writeLines(script, file.path(folder, "read.py"))
    read <- system2(python, shQuote(c(file.path(folder, "read.py"), path)), stdout = TRUE)
    expect_setequal(read, bed_lines(records))
    expect_length(read, case$n)
  }
})
