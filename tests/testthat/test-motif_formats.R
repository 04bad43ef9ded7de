# Files of motifs as programs and people write them.

motif_file <- function(lines, name = "motifs.txt", envir = parent.frame()) {
  path <- file.path(new_folder(envir), name)
  writeLines(lines, path)
  path
}

gata_shares <- rbind(A = c(0, 0.9, 0), C = c(0, 0.1, 0), G = c(1, 0, 0.25), T = c(0, 0, 0.75))

test_that("TRANSFAC files are read, records of several motifs with all their lines", {
  path <- motif_file(c(
    "VV  TRANSFAC MATRIX TABLE", "XX", "//", "AC  M00001", "XX", "ID  V$GATA_01", "XX",
    "DT  1992", "NA  GATA", "DE  a factor", "BF  T00526; MyoD; Species: mouse.",
    "P0      A      C      G      T",
    "01      0      0     10      0      G", "02      9      1      0      0      A",
    "03    0.0      0    2.5    7.5      T", "XX", "BA  10 sites", "//",
    "AC MA0001.1", "ID AGL3", "PO\tA\tC\tG\tT", "1\t1\t2\t3\t4", "//"
  ))
  motifs <- read_motifs(path)
  expect_named(motifs, c("M00001 GATA", "MA0001.1 AGL3"))
  expect_equal(motifs[[1L]], gata_shares * 10)
  expect_equal(unname(motifs[[2L]]), cbind(c(1, 2, 3, 4)))
  # Another order of letters, RNA, and no names.
  motifs <- read_motifs(motif_file(c(
    "ID x", "P0 U G C A", "01 4 3 2 1", "//", "XX", "P0 A C G U", "01 1 2 3 4"
  )))
  expect_named(motifs, c("x", "motif"))
  expect_identical(motifs[[1L]], motifs[[2L]])
})

test_that("HOMER's motifs have their names, not the numbers beside them", {
  path <- motif_file(c(
    ">ATGACTCATC\tAP-1(bZIP)/ThioMac-PU.1-ChIP-Seq(GSE21512)/Homer\t6.049537\t-1782.996\t0\t9805.3",
    "0.419\t0.275\t0.277\t0.028", "0.001\t0.001\t0.001\t0.997", "0.010\t0.002\t0.965\t0.023",
    ">NNN\tshort\t1.5", "0.1\t0.2\t0.3\t0.4", "0.4\t0.3\t0.2\t0.1", "0.25\t0.25\t0.25\t0.25",
    "0.7\t0.1\t0.1\t0.1"
  ))
  motifs <- read_motifs(path)
  expect_named(motifs, c("AP-1(bZIP)/ThioMac-PU.1-ChIP-Seq(GSE21512)/Homer", "short"))
  expect_identical(motif_consensus(motifs)[[1L]], "ATG")
  expect_identical(motifs[["short"]][, 1L], c(A = 0.1, C = 0.2, G = 0.3, T = 0.4))
})

test_that("CIS-BP's tables are read, alone and many in a file", {
  rows <- c("1\t0\t0\t1\t0", "2\t0.9\t0.1\t0\t0", "3\t0\t0\t0.25\t0.75")
  alone <- read_motifs(motif_file(c("Pos\tA\tC\tG\tT", rows), "M0111_1.02.txt"))
  expect_identical(alone, list("M0111_1.02" = gata_shares))
  many <- motif_file(c(
    "TF\tT000001_1.02", "TF Name\tGATA1", "Gene\tENSG1", "Motif\tM001_0.6", "Family\tGATA",
    "Species\tHomo_sapiens", "Pos\tA\tC\tG\tU", rows, "", "TF\tT2", "TF Name\tX", "Motif\tM002_0.6",
    "Pos\tA\tC\tG\tU", "", "TF\tT3", "TF Name\tY", "Motif\tM003_0.6",
    "Pos\tA\tC\tG\tU", "1\t1\t0\t0\t0"
  ))
  expect_message(motifs <- read_motifs(many), "Line 15 .*no rows")
  expect_named(motifs, c("M001_0.6 GATA1", "M003_0.6 Y"))
  expect_identical(motifs[[1L]], gata_shares)
  expect_error(read_motifs(many, strict = TRUE), class = "seqlift_error_file")
})

test_that("MEME files are read as people write them", {
  rows <- c("0 0 1 0", "0.9 0.1 0 0", "0 0 .25 7.5E-1")
  here <- environment()
  read <- function(...) read_motifs(motif_file(c(...), envir = here))[[1L]]
  expect_equal(read("MOTIF x", "letter-probability matrix:", rows), gata_shares)
  expect_equal(read("meme version 5", "MOTIF x", "Letter-probability matrix: alength=4 w=3", rows),
    gata_shares)
  expect_equal(read("MEME version 4\r", "\r", "  MOTIF x  \r", "letter-probability matrix: w= 3\r",
    paste0("\t", rows, "\r")), gata_shares)
  # Counts and per cent.
  expect_equal(read("MOTIF x", "letter-probability matrix: nsites= 20", "0 0 20 0", "18 2 0 0",
    "0 0 5 15"), gata_shares)
  expect_equal(read("MOTIF x", "letter-probability matrix:", "0,0,100,0", "90,10,0,0", "0,0,25,75"),
    gata_shares)
  # Letters in another order, or of RNA.
  expect_equal(read("ALPHABET= TGCA", "MOTIF x", "letter-probability matrix:", "0 1 0 0",
    "0 0 0.1 0.9", "0.75 0.25 0 0"), gata_shares)
  expect_equal(read("ALPHABET= ACGU", "MOTIF x", "letter-probability matrix:", rows), gata_shares)
  expect_equal(read("ALPHABET \"RNA\" RNA-LIKE", "A \"Adenine\" CC0000", "END ALPHABET", "MOTIF x",
    "letter-probability matrix:", rows, "URL http://example.org"), gata_shares)
  expect_error(read("ALPHABET= ACGTX", "MOTIF x", "letter-probability matrix:", rows),
    class = "seqlift_error_file")
  expect_error(read("MOTIF x", "letter-probability matrix:", "0 0 2 0", "1 0 0 0"),
    "do not sum to 1", class = "seqlift_error_file")
})

test_that("damaged tables are errors that name the line", {
  for (lines in list(
    c("AC x", "P0 A C G T", "01 1 2 3", "//"), c("AC x", "P0 A C G T", "01 1 2 3 -4", "//"),
    c("AC x", "P0 A C G T", "01 1 2 3 word", "//"), c("AC x", "P0 A A G T", "01 1 2 3 4", "//"),
    c("Pos A C G T"), c("Pos A C G T", "1 a b c d")
  )) {
    expect_error(read_motifs(motif_file(lines)), "Line [0-9]+ of", class = "seqlift_error_file")
  }
})

# ---- TF-MoDISco ---------------------------------------------------------------------------------

test_that("patterns that h5py wrote in the layout of tfmodisco-lite are read", {
  skip_if_not_installed("rhdf5")
  motifs <- read_motifs(test_path("motifs", "modisco.h5"))
  expect_s3_class(motifs, "seqlift_motifs")
  # By number: 10 comes after 9.
  expect_identical(names(motifs),
    c(paste0("pos_patterns.pattern_", 0:10), "neg_patterns.pattern_0"))
  patterns <- unclass(motifs)
  signs <- vapply(patterns, function(one) one$sign, "", USE.NAMES = FALSE)
  expect_identical(signs, rep(c("positive", "negative"), c(11, 1)))
  third <- patterns[["pos_patterns.pattern_2"]]
  expect_identical(dimnames(third$contributions), list(NULL, c("A", "C", "G", "T")))
  expect_equal(unname(third$contributions), outer(2 + 0.25 * 0:5, 0.01 * 0:3, `+`))
  expect_equal(unname(third$hypothetical), outer(2.5 + 0.25 * 0:5, 0.01 * 0:3, `+`))
  expect_identical(unname(third$ppm), matrix(0.25, 6, 4))
  expect_equal(unname(patterns[["neg_patterns.pattern_0"]]$contributions),
    -outer(3 + 0.25 * 0:3, 0.01 * 0:3, `+`))
  # Counted from 1, ends inclusive; the sum of each seqlet's scores.
  expect_equal(third$seqlets, data.frame(
    example = c(1L, 3L, 6L), start = c(1L, 8L, 31L), end = c(6L, 13L, 36L),
    attribution = c(6, 12, 18), p_value = NA_real_, strand = c("+", "-", "+")
  ))
  parts <- patterns[[1L]]$subpatterns
  expect_named(parts, c("subpattern_0", "subpattern_1"))
  expect_identical(parts[[2L]]$seqlets$start, c(8L, 31L))
  # tomtom() takes them, between their trimmed ends.
  # Sums over the bases are 0.06, 1.06, ..., 4.06 in the first pattern: 0.3 of the last is 1.218.
  widths <- vapply(as_motif_matrices(motifs, "contributions", 0.3), ncol, 1L)
  expect_identical(unname(widths), c(3L, rep(6L, 10), 4L))
  whole <- as_motif_matrices(motifs, "contributions", 0)[[1L]]
  expect_equal(unname(whole), t(outer(0.25 * 0:4, 0.01 * 0:3, `+`)))
})

test_that("what we write is read again, by us and by h5py", {
  skip_if_not_installed("rhdf5")
  motifs <- read_motifs(test_path("motifs", "modisco.h5"))
  path <- file.path(new_folder(), "patterns.h5")
  expect_identical(withVisible(export_motifs(motifs, path))$visible, FALSE)
  forget <- function(pattern) {
    pattern$seqlets$attribution <- NULL
    pattern$subpatterns <- lapply(pattern$subpatterns, forget)
    pattern
  }
  back <- read_motifs(path)
  expect_equal(lapply(unclass(back), forget), lapply(unclass(motifs), forget),
    ignore_attr = "settings")
  run <- NULL
  for (python in unique(c(unname(Sys.which("python3")), "/usr/bin/python3"))) {
    imports <- c("-c", shQuote("import h5py, numpy"))
    if (file.exists(python) &&
      system2(python, imports, stdout = FALSE, stderr = FALSE) == 0L) {
      run <- python
    }
  }
  skip_if(is.null(run), "no Python with h5py")
  script <- tempfile(fileext = ".py")
  on.exit(unlink(script))
  writeLines(c(
    "import h5py, numpy as np, sys",
    "ours, theirs = (h5py.File(path, 'r') for path in sys.argv[1:])",
    "assert ours.attrs['window_size'] == 400",
    "seen = []",
    "def same(name, node):",
    "    if isinstance(node, h5py.Dataset) and not ('seqlets/' in name and node.ndim == 3):",
    "        other = ours[name]",
    "        assert other.shape == node.shape, name",
    "        values = [np.asarray(one).astype(float) for one in (other, node)]",
    "        assert np.array_equal(*values), name",
    "        seen.append(name)",
    "theirs.visititems(same)",
    "reverse = ours['pos_patterns/pattern_0/seqlets/is_revcomp'][:].astype(bool)",
    "assert reverse.tolist() == [False, True, False]",
    "assert sorted(ours['pos_patterns']) == sorted(theirs['pos_patterns'])",
    "print(len(seen))"
  ), script)
  printed <- system2(run, c(script, path, test_path("motifs", "modisco.h5")), stdout = TRUE)
  expect_identical(printed, as.character(14 * 8))
})

test_that("with attributions every seqlet's own matrices are written, turned round where it is", {
  skip_if_not_installed("rhdf5")
  X <- c(one = "ACGTTGCAAC", two = "TTGACCATGA")
  hypothetical <- array(seq_len(80) / 8, c(2L, 4L, 10L))
  attributions <- seqlift:::new_attributions(hypothetical,
    seqlift:::sequence_codes(seqlift:::as_sequences(X)), array(0, c(2L, 0L)), kind = "hypothetical")
  pattern <- list(
    name = "pos_patterns.pattern_0", sign = "positive", ppm = matrix(0.25, 3, 4),
    contributions = matrix(1, 3, 4), hypothetical = matrix(1, 3, 4),
    seqlets = data.frame(example = c(1L, 2L), start = c(2L, 3L), end = c(4L, 5L),
      attribution = 0, p_value = NA_real_, strand = c("+", "-")), subpatterns = list()
  )
  motifs <- seqlift:::new_motifs(list(pos_patterns.pattern_0 = pattern), list(window = 8L))
  path <- file.path(new_folder(), "patterns.h5")
  export_motifs(motifs, path, attributions)
  read <- function(name) {
    rhdf5::h5read(path, paste0("pos_patterns/pattern_0/seqlets/", name))
  }
  # The window begins at the second position: seqlets lie at 3 to 5 and 4 to 6.
  expect_equal(read("hypothetical_contribs")[, , 1L], hypothetical[1, , 3:5])
  expect_equal(read("hypothetical_contribs")[, , 2L], hypothetical[2, 4:1, 6:4])
  # GTT, and ACC turned round.
  expect_identical(max.col(t(read("sequence")[, , 1L])), c(3L, 4L, 4L))
  expect_identical(max.col(t(read("sequence")[, , 2L])), c(3L, 3L, 4L))
  expect_equal(read("contrib_scores"), read("sequence") * read("hypothetical_contribs"))
  sums <- apply(read("contrib_scores"), 3L, sum)
  expect_equal(unclass(read_motifs(path))[[1L]]$seqlets$attribution, sums)
  expect_error(export_motifs(motifs, path, attributions[1, , , drop = FALSE]),
    class = "seqlift_error_argument")
})

test_that("HDF5 files without patterns, or with damaged ones, are errors", {
  skip_if_not_installed("rhdf5")
  damaged <- function(change) {
    path <- file.path(new_folder(), "patterns.h5")
    export_motifs(read_motifs(test_path("motifs", "modisco.h5")), path)
    change(path)
    expect_error(read_motifs(path), class = "seqlift_error_file")
  }
  at <- "pos_patterns/pattern_3/"
  replaced <- function(name, values) {
    function(path) {
      rhdf5::h5delete(path, paste0(at, name))
      rhdf5::h5write(values, path, paste0(at, name))
    }
  }
  damaged(function(path) rhdf5::h5delete(path, paste0(at, "contrib_scores")))
  damaged(replaced("sequence", matrix(0.25, 5, 6)))
  damaged(replaced("sequence", matrix(0.25, 4, 5)))
  damaged(replaced("contrib_scores", matrix(NaN, 4, 6)))
  damaged(replaced("seqlets/start", c(-1, 7, 30)))
  damaged(replaced("seqlets/start", c(0, 7)))
  damaged(replaced("seqlets/end", c(0, 7, 30)))
  damaged(function(path) {
    rhdf5::h5delete(path, "pos_patterns")
    rhdf5::h5delete(path, "neg_patterns")
  })
  truncated <- file.path(new_folder(), "patterns.h5")
  bytes <- readBin(test_path("motifs", "modisco.h5"), "raw", 5000)
  writeBin(bytes, truncated)
  expect_error(read_motifs(truncated), class = "seqlift_error_file")
})

# ---- export -------------------------------------------------------------------------------------

test_that("MEME and JASPAR files hold what was written", {
  motifs <- list("MA1.1 GAT" = gata_shares, third = cbind(c(1, 1, 1, 0) / 3))
  folder <- new_folder()
  meme <- export_motifs(motifs, file.path(folder, "a.meme"))
  expect_equal(lapply(read_motifs(meme), unname), lapply(motifs, unname), tolerance = 1e-7)
  jaspar <- read_motifs(export_motifs(motifs, file.path(folder, "a.jaspar"), n_sites = 100))
  expect_equal(jaspar[[1L]], gata_shares * 100)
  expect_identical(unname(jaspar[[2L]][, 1L]), c(34, 33, 33, 0))
  pfm <- read_motifs(export_motifs(motifs, file.path(folder, "a.pfm"), n_sites = 100))
  expect_identical(pfm, jaspar)
  # Counts stay.
  counts <- list(x = rbind(A = c(3, 1), C = c(0, 1), G = c(7, 0), T = c(0, 8)))
  expect_identical(read_motifs(export_motifs(counts, file.path(folder, "b.jaspar"))), counts)
  expect_equal(read_motifs(export_motifs(counts, file.path(folder, "b.meme")))[[1L]],
    counts$x / 10)
  expect_match(readLines(file.path(folder, "b.meme")), "w= 2 nsites= 10 ", all = FALSE)
})

test_that("what a format cannot hold is an error, and leaves no file", {
  folder <- new_folder()
  refused <- function(motifs, name, message = "") {
    path <- file.path(folder, name)
    expect_error(export_motifs(motifs, path), message, class = "seqlift_error_argument")
    expect_false(file.exists(path))
  }
  refused(list(a = gata_shares), "a.txt", "ending says the format")
  refused(list(a = gata_shares), "a", "ending says the format")
  refused(list(a = gata_shares - 0.5), "a.meme", "probabilities or counts")
  refused(list(a = gata_shares), "a.h5", "discover_motifs")
  refused(list(a = gata_shares, a = gata_shares), "a.meme", "two motifs named")
  expect_error(export_motifs(list(a = gata_shares), file.path(folder, "none", "a.meme")),
    class = "seqlift_error_file")
})
