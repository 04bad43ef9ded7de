write_motifs <- function(..., envir = parent.frame()) {
  path <- tempfile()
  cleaning <- as.call(list(quote(unlink), path))
  do.call(on.exit, list(cleaning, add = TRUE), envir = envir)
  writeLines(c(...), path)
  path
}

gata <- matrix(
  c(0, 0, 1, 0, 0.9, 0.1, 0, 0, 0, 0, 0.25, 0.75), 4L,
  dimnames = list(c("A", "C", "G", "T"), NULL)
)

test_that("motifs of a minimal MEME file are read as probabilities", {
  path <- write_motifs(
    "MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", "",
    "MOTIF MA1.1 GAT", "letter-probability matrix: alength= 4 w= 3 nsites= 20 E= 0",
    " 0.0 0.0 1.0 0.0", " 9e-1 0.1 0 0", "0 0  0.25\t0.75", "URL http://example.org", "",
    "MOTIF second", "letter-probability matrix:", "", "1 0 0 0", "0 1 0 0"
  )
  motifs <- read_motifs(path)
  expect_named(motifs, c("MA1.1 GAT", "second"))
  expect_equal(motifs[[1L]], gata)
  expect_identical(unname(motifs[[2L]]), cbind(c(1, 0, 0, 0), c(0, 1, 0, 0)))
})

test_that("the full format's matrices have the names that stand above them", {
  path <- write_motifs(
    "MEME version 5.5.0 (Release date)", "ALPHABET \"DNA\" DNA-LIKE",
    "MOTIF GATA MEME-1\twidth =   2  sites =  17  llr = 1", "log-odds matrix: alength= 4 w= 2",
    "-5 3 1 2", "1 1 1 1", "-----", "letter-probability matrix: alength= 4 w= 2 nsites= 17",
    "0 1 0 0", "0 0 0 1", "-----"
  )
  motifs <- read_motifs(path)
  expect_named(motifs, "GATA MEME-1")
  expect_identical(motif_consensus(motifs), c("GATA MEME-1" = "CT"))
})

test_that("motifs of JASPAR's formats are read as counts", {
  with_letters <- write_motifs(
    ">MA0036.3\tGATA2", "A  [ 0 9 0 ]", "C  [ 0 1 0 ]", "G  [10 0 2]", "T  [ 0 0 8 ]",
    ">other", "T [1]", "G [0]", "C [0]", "A [0]"
  )
  motifs <- read_motifs(with_letters)
  expect_named(motifs, c("MA0036.3 GATA2", "other"))
  expect_identical(
    motifs[[1L]], rbind(A = c(0, 9, 0), C = c(0, 1, 0), G = c(10, 0, 2), T = c(0, 0, 8))
  )
  expect_identical(motif_consensus(motifs[[2L]]), "T")
  rows_alone <- write_motifs(
    ">MA0036.3 GATA2", "0 9 0", "0 1 0", "10 0 2", "0 0 8", "", ">other", "0", "0", "0", "1"
  )
  expect_identical(read_motifs(rows_alone), motifs)
  untitled <- write_motifs("0 9 0", "0 1 0", "10 0 2", "0 0 8")
  expect_identical(read_motifs(untitled), stats::setNames(motifs[1L], basename(untitled)))
})

test_that("equal names are told apart", {
  path <- write_motifs(">a", "1", "0", "0", "0", ">a", "0", "1", "0", "0")
  expect_named(read_motifs(path), c("a", "a 1"))
})

test_that("a damaged file is an error that names the line", {
  refused <- list(
    no_motif = character(), text = "This is no motif.",
    three_rows = c(">a", "1 2", "1 2", "1 2"), five_rows = c(">a", "1", "2", "3", "4", "5"),
    ragged = c(">a", "1 2", "1", "1 2", "1 2"),
    letters = c(">a", "A [1]", "A [1]", "G [1]", "T [1]"),
    some_letters = c(">a", "A [1]", "[1]", "[1]", "[1]"), word = c(">a", "1", "x", "1", "1"),
    negative = c(">a", "1", "-1", "1", "1"),
    width = c("MEME version 4", "MOTIF a", "letter-probability matrix: w= 2", "1 0 0 0"),
    columns = c("MEME version 4", "MOTIF a", "letter-probability matrix: w= 1", "1 0 0"),
    no_rows = c("MEME version 4", "MOTIF a", "letter-probability matrix: w= 1"),
    protein = c(
      "MEME version 4", "ALPHABET= ACDEFGHIKLMNPQRSTVWY", "MOTIF a",
      "letter-probability matrix: w= 1", "1 0 0 0"
    )
  )
  for (name in names(refused)) {
    path <- write_motifs(refused[[name]])
    error <- expect_error(read_motifs(path), class = "seqlift_error_file", info = name)
    expect_match(conditionMessage(error), "`path` must be a motif file", info = name)
  }
  expect_match(
    conditionMessage(expect_error(read_motifs(write_motifs(refused$negative)))), "^Line 3 of"
  )
  expect_error(read_motifs("missing.meme"), class = "seqlift_error_file")
  expect_error(read_motifs(tempdir()), class = "seqlift_error_file")
  expect_error(read_motifs(1), class = "seqlift_error_argument")
})

test_that("the consensus has the letter of the largest number of each position", {
  counts <- cbind(c(1, 0, 9, 0), c(8, 1, 0, 1), c(0, 0, 0, 10), c(5, 5, 5, 5), c(0, 3, 3, 0))
  expect_identical(motif_consensus(counts), "GATNC")
  expect_identical(motif_consensus(log2((counts + 1) / 6)), "GATNC")
  expect_identical(motif_consensus(list(a = counts, counts[, 1:2])), c(a = "GATNC", "GA"))
  turned <- counts[4:1, ]
  rownames(turned) <- c("t", "g", "c", "a")
  expect_identical(motif_consensus(turned), "GATNC")
  expect_identical(motif_consensus(list()), character())
})

test_that("what is no matrix of a motif is an error", {
  for (motif in list("GATA", 1:4, matrix(0, 3, 4), matrix(NA_real_, 4, 2), matrix("a", 4, 2), NULL,
    matrix(0, 4, 0), matrix(0, 4, 2, dimnames = list(c("A", "C", "G", "U"), NULL))
  )) {
    expect_error(motif_consensus(motif), class = "seqlift_error_argument")
  }
  error <- expect_error(motif_consensus(list(diag(4), 1)), class = "seqlift_error_argument")
  expect_match(conditionMessage(error), "motifs[[2]]", fixed = TRUE)
})
