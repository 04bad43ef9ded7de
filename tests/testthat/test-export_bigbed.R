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
    readBin(
      bytes[at + seq_len(n * size)], "integer", n, size, endian = "little", signed = size == 4L
    )
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
    rest = sprintf(
      "name %d\t%d\t%s\t%.7g", seq_len(n), sample(0:1000, n, TRUE),
      sample(c("+", "-", "."), n, TRUE), stats::rnorm(n)
    )
  )
  records[order(records$chromosome, records$start, records$end, method = "radix"), ]
}

described <- c(
  "table made", "\"Made\"", "    (", "    string chrom; \"\"", "    uint chromStart; \"\"",
  "    uint chromEnd; \"\"", "    string name; \"\"", "    uint score; \"\"",
  "    char[1] strand; \"\"",
  "    float number; \"\"", "    )"
)

# Rows: one record; one chromosome; a block that is full; several chromosomes whose names differ in
# length; more blocks than a node has entries (two levels).
cases <- list(
  list(n = 1L, sizes = c(chr1 = 1000L), block = 512L, node = 256L),
  list(n = 512L, sizes = c(chr1 = 50000L), block = 512L, node = 256L),
  list(n = 513L, sizes = c(chr1 = 50000L), block = 512L, node = 256L),
  list(
    n = 900L, sizes = c(chr1 = 9000L, chr10 = 90000L, chr2 = 8000L, chrUn_a = 300L), block = 7L,
    node = 256L
  ),
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
    expect_identical(
      found$summary, c(length(depth), min(depth), max(depth), sum(depth), sum(depth^2))
    )
  }
})

# The levels of summaries, each by way of its own tree: list(window, rows).
parse_summaries <- function(path) {
  bytes <- readBin(path, "raw", file.size(path))
  u4 <- function(at, n = 1L) {
    readBin(bytes[at + seq_len(4L * n)], "integer", n, 4L, endian = "little")
  }
  u2 <- function(at) readBin(bytes[at + 1:2], "integer", 1L, 2L, endian = "little", signed = FALSE)
  u8 <- function(at) sum(u4(at, 2L) %% 2^32 * c(1, 2^32))
  blocks <- function(at) {
    leaf <- bytes[at + 1] == as.raw(1L)
    do.call(rbind, lapply(seq_len(u2(at + 2)), function(i) {
      place <- at + 4 + (i - 1) * if (leaf) 32 else 24
      if (leaf) c(u4(place, 4L), u8(place + 16), u8(place + 24)) else blocks(u8(place + 16))
    }))
  }
  lapply(seq_len(u2(6)), function(level) {
    place <- 64 + (level - 1) * 24
    data_at <- u8(place + 8)
    index_at <- u8(place + 16)
    stopifnot(identical(bytes[index_at + 1:4], as.raw(c(0xe0, 0xac, 0x68, 0x24))))
    own <- blocks(index_at + 48)
    rows <- lapply(seq_len(nrow(own)), function(i) {
      plain <- memDecompress(bytes[own[i, 5L] + seq_len(own[i, 6L])], "gzip")
      stopifnot(length(plain) <= u4(52))
      plain <- matrix(plain, 32L)
      whole <- matrix(
        readBin(as.vector(plain[1:16, ]), "integer", 4L * ncol(plain), 4L, endian = "little"), 4L
      )
      real <- matrix(
        readBin(as.vector(plain[17:32, ]), "double", 4L * ncol(plain), 4L, endian = "little"), 4L
      )
      stopifnot(
        whole[1L, ] == own[i, 1L], min(whole[2L, ]) == own[i, 2L], max(whole[3L, ]) == own[i, 4L]
      )
      data.frame(
        id = whole[1L, ], start = whole[2L, ], end = whole[3L, ], covered = whole[4L, ],
        min = real[1L, ], max = real[2L, ], sum = real[3L, ], squares = real[4L, ]
      )
    })
    rows <- do.call(rbind, rows)
    stopifnot(u4(data_at) == nrow(rows), own[1L, 5L] == data_at + 4)
    list(window = u4(place), rows = rows)
  })
}

# Depth of each base, a vector for each chromosome that has any.
depths_of <- function(records, sizes) {
  used <- sort(unique(records$chromosome), method = "radix")
  lapply(stats::setNames(used, used), function(one) {
    own <- records[records$chromosome == one, ]
    tabulate(unlist(Map(seq, own$start + 1L, own$end)), sizes[[one]])
  })
}

test_that("each level of summaries says of its windows what counting each base says", {
  levels_of <- c(0L, 1L, 1L, 3L, 3L)
  for (k in seq_along(cases)) {
    case <- cases[[k]]
    path <- file.path(new_folder(), "made.bb")
    records <- made_records(case$n, case$sizes)
    with_sizes(case, write_bigbed(records, case$sizes, described, 7L, path))
    levels <- parse_summaries(path)
    expect_gte(length(levels), levels_of[k])
    windows <- vapply(levels, `[[`, 0L, "window")
    expect_true(all(windows >= 10 * mean(records$end - records$start)))
    rows <- vapply(levels, function(level) nrow(level$rows), 0L)
    expect_true(all(rows <= c(case$n, rows)[seq_along(rows)] / 2))
    depths <- depths_of(records, case$sizes)
    for (level in levels) {
      expected <- lapply(seq_along(depths), function(i) {
        depth <- depths[[i]]
        number <- (seq_along(depth) - 1L) %/% level$window
        parts <- lapply(split(depth, number), function(own) {
          own <- own[own > 0L]
          c(length(own), range(own, -Inf[length(own) == 0L]), sum(own), sum(own^2))
        })
        parts <- do.call(rbind, parts)
        start <- as.integer(rownames(parts)) * level$window
        kept <- parts[, 1L] > 0
        cbind(i - 1L, start, pmin(start + level$window, length(depth)), parts)[kept, , drop = FALSE]
      })
      expect_equal(unname(as.matrix(level$rows)), unname(do.call(rbind, expected)))
    }
  }
})

test_that("records as long as a chromosome, and as short as a base, have summaries", {
  sizes <- c(chr1 = 2147483647, chr2 = 10)
  records <- data.frame(
    chromosome = rep(c("chr1", "chr2"), c(3L, 6L)), start = c(0, 0, 2147483646, rep(0, 6L)),
    end = c(2147483647, 1, 2147483647, rep(1, 6L)), rest = "a\t0\t."
  )
  path <- file.path(new_folder(), "made.bb")
  write_bigbed(records, sizes, described[-9L], 6L, path)
  expect_identical(parse_bigbed(path)$count, 9)
  # Windows would be wider than numbers of 32 bits.
  expect_length(parse_summaries(path), 0L)
  short <- records[4:9, ]
  write_bigbed(short, sizes, described[-9L], 6L, path)
  level <- parse_summaries(path)[[1L]]
  expect_identical(level$window, 10L)
  expect_equal(
    unlist(level$rows),
    c(id = 0, start = 0, end = 10, covered = 1, min = 6, max = 6, sum = 6, squares = 36)
  )
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
  expect_identical(
    paste(read$name, read$score, sep = "\t"), sub("^([^\t]*\t[^\t]*)\t.*", "\\1", records$rest)
  )
  expect_identical(
    GenomeInfoDb::seqlengths(GenomeInfoDb::seqinfo(rtracklayer::BigBedFile(path))),
    case$sizes[unique(records$chromosome)]
  )
  window <- GenomicRanges::GRanges("chr10:30001-35000")
  inside <- records$chromosome == "chr10" & records$start < 35000 & records$end > 30000
  expect_gt(sum(inside), 2L)
  expect_length(rtracklayer::import(rtracklayer::BigBedFile(path), which = window), sum(inside))
})

python_with_pybigwig <- function() {
  for (python in unique(c(Sys.which("python3"), "/usr/bin/python3"))) {
    known <- nzchar(python) && file.exists(python) && suppressWarnings(
      system2(python, c("-c", shQuote("import pyBigWig")), stdout = FALSE, stderr = FALSE)
    ) == 0L
    if (known) {
      return(python)
    }
  }
  testthat::skip("python3 without pyBigWig")
}

test_that("pyBigWig reads the records, and windows of them", {
  python <- python_with_pybigwig()
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

# libBigWig has no statistics of bigBed files; but their summaries are those of bigWig files, so
# with the magic number of a bigWig file it reads them. `exact = False` takes a level where one
# fits.
test_that("pyBigWig reads the summaries of wide windows", {
  python <- python_with_pybigwig()
  for (case in cases[-1L]) {
    folder <- new_folder()
    path <- file.path(folder, "made.bb")
    records <- made_records(case$n, case$sizes)
    with_sizes(case, write_bigbed(records, case$sizes, described, 7L, path))
    levels <- parse_summaries(path)
    bytes <- readBin(path, "raw", file.size(path))
    bytes[1:4] <- as.raw(c(0x26, 0xfc, 0x8f, 0x88))
    writeBin(bytes, path)
    script <- c(
      "import sys, pyBigWig", "b = pyBigWig.open(sys.argv[1])",
      "assert b.header()['nLevels'] == int(sys.argv[2]), b.header()",
      "width = int(sys.argv[3])",
      "for name, size in sorted(b.chroms().items()):",
      "    for k in range(size // width):",
      "        print(name, k, *[b.stats(name, k * width, (k + 1) * width, type=t, exact=False)[0]",
      "            for t in ('min', 'max', 'mean', 'coverage', 'std')], sep='\\t')"
    )
    writeLines(script, file.path(folder, "read.py"))
    width <- 4L * levels[[1L]]$window
    read <- system2(
      python, shQuote(c(file.path(folder, "read.py"), path, length(levels), width)), stdout = TRUE
    )
    read <- utils::read.table(text = read, sep = "\t", na.strings = "None")
    expect_gt(nrow(read), 2L)
    depths <- depths_of(records, case$sizes)
    expected <- do.call(rbind, Map(function(name, k) {
      own <- depths[[name]][k * width + seq_len(width)]
      covered <- own[own > 0L]
      c(min(covered), max(covered), mean(covered), mean(own > 0L), stats::sd(covered))
    }, read[[1L]], read[[2L]]))
    expect_equal(unname(as.matrix(read[3:7])), unname(expected), tolerance = 1e-6)
  }
})
