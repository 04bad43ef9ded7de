# A bigWig file of chr1 (1000 bp) and chr2 (8 bp) with the given numbers.
write_track <- function(folder, name, places, score) {
  reads <- GenomicRanges::GRanges(places, score = score)
  GenomeInfoDb::seqlevels(reads) <- c("chr1", "chr2")
  GenomeInfoDb::seqlengths(reads) <- c(1000L, 8L)
  path <- file.path(folder, paste0(name, ".bw"))
  rtracklayer::export(reads, path)
  path
}

test_that("tracks are read base by base, backwards on the minus strand, with zeros for nothing", {
  skip_without_genomes("rtracklayer")
  folder <- new_folder()
  paths <- c(
    first = write_track(
      folder, "first", c("chr1:101-103", "chr1:106", "chr2:1-2"), c(5, 2.5, 4)
    ),
    second = write_track(folder, "second", c("chr1:99-100", "chr1:300-310", "chr2:7-8"), c(7, 1, 3))
  )
  regions <- GenomicRanges::GRanges(c(
    a = "chr1:100-107:+", b = "chr2:1-8", c = "chr1:100-107:-", d = "chr2:5-12", e = "chr1:-6-1"
  ))
  signal <- signal_from(regions, paths)
  expect_identical(dim(signal), c(5L, 2L, 8L))
  expect_identical(dimnames(signal), list(letters[1:5], c("first", "second"), NULL))
  first <- c(0, 5, 5, 5, 0, 0, 2.5, 0)
  expect_identical(signal["a", "first", ], first)
  expect_identical(signal["c", "first", ], rev(first))
  expect_identical(signal["a", "second", ], c(7, rep(0, 7)))
  expect_identical(signal["c", "second", ], c(rep(0, 7), 7))
  expect_identical(signal["b", , ], rbind(
    first = c(4, 4, 0, 0, 0, 0, 0, 0), second = c(0, 0, 0, 0, 0, 0, 3, 3)
  ))
  # Bases 5 to 8, then what the chromosome does not have.
  expect_identical(signal["d", "second", ], c(0, 0, 3, 3, 0, 0, 0, 0))
  expect_identical(signal["e", , ], signal["e", , ] * 0)

  stranded <- signal_from(regions, paths, stranded = TRUE)
  expect_identical(stranded[c("a", "b", "d", "e"), , ], signal[c("a", "b", "d", "e"), , ])
  expect_identical(stranded["c", "first", ], signal["c", "second", ])
  expect_identical(stranded["c", "second", ], signal["c", "first", ])
})

test_that("the numbers are those of rtracklayer, region by region", {
  skip_without_genomes("rtracklayer")
  path <- write_track(new_folder(), "many", paste0("chr1:", seq(1, 991, by = 3)), seq_len(331) / 4)
  start <- c(1, 500, 981, 250, 255)
  regions <- GenomicRanges::GRanges("chr1", IRanges::IRanges(start, width = 20))
  signal <- signal_from(regions, path)
  for (i in seq_along(start)) {
    own <- rtracklayer::import(path, which = regions[i], as = "NumericList")[[1L]]
    expect_identical(signal[i, 1, ], as.numeric(own))
  }
})

test_that("tracks go with sequences to a model", {
  skip_without_genomes("rtracklayer")
  path <- write_track(new_folder(), "control", "chr1:101-200", 1)
  genome <- Biostrings::DNAStringSet(c(chr1 = decode_one_hot(
    random_one_hot(c(1, 4, 1000), random_state = 0)
  )))
  X <- sequences_from(GenomicRanges::GRanges(c("chr1:51-550:+", "chr1:51-550:-")), genome)
  control <- signal_from(X, c(plus = path, minus = path), stranded = TRUE)
  expect_identical(dimnames(control)[[1L]], names(X))
  predicted <- predict(demo_model(), X, args = list(control_track = control))
  expect_identical(dim(predicted[[2L]]), c(2L, 1L))
})

test_that("wrong files and regions are named before anything is read", {
  skip_without_genomes("rtracklayer")
  folder <- new_folder()
  path <- write_track(folder, "one", "chr1:100-101", 1)
  region <- GenomicRanges::GRanges("chr1:3-4")
  refused <- function(..., message = NULL, class = "regions") {
    expect_error(signal_from(...), message, class = paste0("seqlift_error_", class))
  }
  refused(GenomicRanges::GRanges("1:3-4"), path, message = "one.bw has no chromosome 1.*UCSC")
  refused(GenomicRanges::GRanges(c("chr1:3-4", "chr1:5-5")), path, message = "one width")
  refused(GenomicRanges::GRanges("chr1:1001-1002"), path, message = "chr1:1001-1002")
  refused(GenomicRanges::GRanges("chr1:3-4", seqlengths = c(chr1 = 999L)), path,
    message = "999 for .regions. and 1000"
  )
  refused(region[0], path)
  refused(region, path, stranded = TRUE, message = "pairs of files", class = "argument")
  refused(region, 3, class = "argument")
  refused(region, character(), class = "argument")
  refused(region, c(path, "no_such.bw"), message = "no_such.bw", class = "file")
  text <- file.path(folder, "text.bw")
  writeLines("no bigWig", text)
  expect_no_warning(refused(region, c(path, text), message = "cannot be read", class = "file"))
  plain <- Biostrings::DNAStringSet(c(a = "ACGT"))
  refused(plain, path, message = "sequences_from")
})
