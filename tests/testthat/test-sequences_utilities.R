random_text <- function(lengths, letters = c("A", "C", "G", "T", "N")) {
  text <- lapply(lengths, \(n) paste(sample(letters, n, replace = TRUE), collapse = ""))
  unlist(text)
}

test_that("the reverse complement reads the other strand, N and names kept", {
  text <- c(a = "AGATAAG", b = "ACGTTNA", c = "", d = "C")
  expect_identical(
    reverse_complement(text), c(a = "CTTATCT", b = "TNAACGT", c = "", d = "G")
  )
})

test_that("letters, arrays and a DNAStringSet have the same reverse complements", {
  set.seed(1)
  text <- stats::setNames(random_text(c(30, 30, 30)), c("a", "b", "c"))
  reversed <- reverse_complement(text)
  X <- one_hot_encode(text)
  expect_identical(reverse_complement(X), one_hot_encode(reversed))
  expect_identical(reverse_complement(X[2L, , ]), one_hot_encode(reversed)[2L, , ])
  expect_identical(reverse_complement(unname(X[2L, , ])), unname(one_hot_encode(reversed)[2L, , ]))
  skip_if_not_installed("Biostrings")
  set <- Biostrings::DNAStringSet(text)
  expect_s4_class(reverse_complement(set), "DNAStringSet")
  expect_identical(as.character(reverse_complement(set)), reversed)
  expect_identical(as.character(reverse_complement(set[[1L]])), reversed[["a"]])
})

test_that("the reverse complement of the reverse complement is the input, numbers included", {
  set.seed(2)
  numbers <- array(rnorm(2 * 4 * 7), c(2L, 4L, 7L), list(c("a", "b"), base_letters, NULL))
  expect_identical(reverse_complement(reverse_complement(numbers)), numbers)
  expect_identical(reverse_complement(numbers)["b", "A", 1L], numbers["b", "T", 7L])
  expect_identical(reverse_complement(numbers)["b", "C", 3L], numbers["b", "G", 5L])
})

test_that("extra channels are reversed and keep their order, and a class is dropped", {
  X <- array(seq_len(2 * 6 * 3), c(2L, 6L, 3L))
  reversed <- reverse_complement(structure(X, class = "other"))
  expect_identical(reversed[, 5:6, ], X[, 5:6, 3:1])
  expect_identical(reversed[, 1L, ], X[, 4L, 3:1])
  expect_null(attr(reversed, "class"))
})

test_that("what has no reverse complement is an error of class seqlift_error_sequence", {
  rows <- list(c("A", "C", "T", "G"), NULL)
  wrong <- list(
    "acgt", "ACGX", c("A", NA), "AC\u00e9", NULL, list("A"), 1, matrix(0, 3, 2),
    array(0, c(1, 3, 5)), array(0, c(1, 1, 4, 5)), matrix("A", 4, 2), matrix(0, 4, 2, FALSE, rows)
  )
  for (X in wrong) {
    expect_error(reverse_complement(X), class = "seqlift_error_sequence", info = deparse(X))
  }
})

test_that("the share of G and C is that of the known bases, and 0 where there is none", {
  text <- c(half = "ACGT", n = "GGNA", all = "CCGG", none = "ATTA", unknown = "NNNN")
  share <- c(half = 0.5, n = 2 / 3, all = 1, none = 0, unknown = 0)
  expect_identical(gc_content(text), share)
  expect_identical(gc_content(tolower(text)), share)
  expect_identical(gc_content(one_hot_encode(text)), share)
  X <- array(7, c(5L, 5L, 4L))
  X[, 1:4, ] <- one_hot_encode(text)
  expect_identical(gc_content(X), unname(share))
  expect_error(gc_content(c("ACG", "A")), class = "seqlift_error_sequence")
  expect_error(gc_content(matrix(0, 4, 3)), class = "seqlift_error_sequence")
})

test_that("the consensus has the largest probability, the first of equal ones, and zeros stay", {
  pwm <- cbind(
    c(0.1, 0.2, 0.3, 0.4), c(0.1, 0.4, 0.4, 0.1), c(0, 0, 0, 0), c(0.25, 0.25, 0.25, 0.25)
  )
  expected <- cbind(c(0, 0, 0, 1), c(0, 1, 0, 0), c(0, 0, 0, 0), c(1, 0, 0, 0))
  rownames(expected) <- base_letters
  expect_identical(pwm_consensus(pwm), expected)
  expect_identical(decode_one_hot(pwm_consensus(pwm)), "TCNA")
})

test_that("consensus of a batch is that of each matrix, with its dimnames", {
  set.seed(3)
  labels <- list(c("x", "y", "z"), c("p", "q"), c("one", "two"))
  pwms <- array(runif(12), c(3L, 2L, 2L), labels)
  pwms["y", , "two"] <- 0
  consensus <- pwm_consensus(pwms)
  expect_identical(dimnames(consensus), labels)
  for (i in seq_len(3L)) {
    expect_identical(consensus[i, , ], pwm_consensus(pwms[i, , ]))
  }
  expect_identical(sum(consensus), 5)
})

test_that("a consensus of what are no probabilities is an error of arguments", {
  wrong <- list(
    matrix(c(3, 1, 0, 0), 4), matrix(c(-1, 1, 0, 0), 4), matrix(c(NaN, 1, 0, 0), 4), c(1, 0),
    NULL, matrix("A", 4, 1), matrix(0, 4, 0), array(0, c(1, 1, 4, 1))
  )
  for (X in wrong) {
    expect_error(pwm_consensus(X), class = "seqlift_error_argument", info = deparse(X))
  }
})

test_that("chunks tile each sequence and leave out what does not fill one", {
  X <- c(a = "AACCGGTTAC", b = "GATTACA")
  expect_identical(
    chunk_sequences(X, size = 3),
    c(
      "a:1-3" = "AAC", "a:4-6" = "CGG", "a:7-9" = "TTA", "b:1-3" = "GAT", "b:4-6" = "TAC"
    )
  )
  expect_identical(
    chunk_sequences(unname(X), size = 4, overlap = 1),
    c("AACC", "CGGT", "TTAC", "GATT", "TACA")
  )
  expect_identical(chunk_sequences(X[["b"]], size = 7), X[["b"]])
})

test_that("1024 positions without overlap are the default", {
  set.seed(4)
  X <- random_text(3000)
  expect_identical(chunk_sequences(X), substring(X, c(1, 1025), c(1024, 2048)))
})

test_that("letters, arrays and a DNAStringSet are cut alike", {
  set.seed(5)
  text <- stats::setNames(random_text(c(25, 13, 40)), c("a", "b", "c"))
  arrays <- lapply(text, \(one) one_hot_encode(one)[1L, , ])
  for (overlap in 0:6) {
    chunks <- chunk_sequences(text, size = 7, overlap = overlap)
    expect_identical(
      chunk_sequences(arrays, size = 7, overlap = overlap), one_hot_encode(chunks)
    )
  }
  same_length <- one_hot_encode(substr(text, 1, 13))
  expect_identical(
    chunk_sequences(same_length, size = 5, overlap = 2),
    one_hot_encode(chunk_sequences(substr(text, 1, 13), size = 5, overlap = 2))
  )
  skip_if_not_installed("Biostrings")
  set <- chunk_sequences(Biostrings::DNAStringSet(text), size = 7, overlap = 3)
  expect_s4_class(set, "DNAStringSet")
  expect_identical(as.character(set), chunk_sequences(text, size = 7, overlap = 3))
})

test_that("merged chunks are the sequences up to the last full chunk", {
  set.seed(6)
  lengths <- c(a = 50, b = 67, c = 23)
  tracks <- lapply(lengths, \(n) matrix(rnorm(3 * n), 3L))
  for (size in c(1L, 4L, 9L, 23L)) {
    for (overlap in unique(c(0L, size %/% 3L, size %/% 2L, size - 1L))) {
      chunks <- chunk_sequences(tracks, size = size, overlap = overlap)
      merged <- unchunk_sequences(chunks, lengths, overlap = overlap)
      stride <- size - overlap
      covered <- (lengths - size) %/% stride * stride + size
      expect_identical(merged, Map(\(track, n) track[, seq_len(n)], tracks, covered))
    }
  }
})

test_that("shared positions are read from the chunk whose end is farther away", {
  # Three chunks of 8 positions that share 3: the left gives 1, the right 2.
  X <- array(rep(1:3, 8), c(3L, 1L, 8L))
  merged <- unchunk_sequences(X, lengths = 18, overlap = 3)
  expect_identical(merged, list(matrix(rep(1:3, c(6, 5, 7)), 1L)))
})

test_that("any number of dimensions stays between chunks and positions, with its names", {
  X <- array(seq_len(4 * 2 * 3 * 5), c(4L, 2L, 3L, 5L), list(NULL, c("p", "q"), NULL, NULL))
  merged <- unchunk_sequences(X, c(10, 12), overlap = 0)
  expect_identical(dim(merged[[2L]]), c(2L, 3L, 10L))
  expect_identical(dimnames(merged[[2L]]), list(c("p", "q"), NULL, NULL))
  expect_identical(unname(merged[[2L]][, , 6:10]), unname(X[4L, , , ]))
})

test_that("wrong chunks are errors by class", {
  short <- c(a = "ACGTACGT", b = "ACG")
  expect_error(chunk_sequences(short, size = 4), "sequence 2 \\(b\\)",
    class = "seqlift_error_sequence"
  )
  wrong <- list(
    NULL, character(), list(), c("ACGT", NA), 1, matrix(0, 4, 9), list(1:9), list("ACGTACGT"),
    list(matrix(0, 4, 9), matrix(0, 3, 9)), array(0, c(0L, 4L, 9L))
  )
  for (X in wrong) {
    expect_error(chunk_sequences(X, size = 4), class = "seqlift_error_sequence", info = deparse(X))
  }
  for (size in list(0, 1.5, -1, "4", c(4, 5))) {
    expect_error(chunk_sequences("ACGTACGT", size), class = "seqlift_error_argument")
  }
  for (overlap in list(-1, 4, 0.5, NULL)) {
    expect_error(chunk_sequences("ACGTACGT", 4, overlap), class = "seqlift_error_argument")
  }
})

test_that("chunks that are not those of the lengths are errors of arguments", {
  X <- array(0, c(3L, 2L, 4L))
  expect_length(unchunk_sequences(X, c(11, 4)), 2L)
  for (lengths in list(8, c(12, 4), c(12, 3), c(8.5, 4), NULL, "12", NA, numeric())) {
    expect_error(unchunk_sequences(X, lengths), class = "seqlift_error_argument")
  }
  expect_error(unchunk_sequences(X, 12, overlap = 4), class = "seqlift_error_argument")
  expect_error(unchunk_sequences(X[1L, , ], 4), class = "seqlift_error_argument")
  expect_error(unchunk_sequences("ACGT", 4), class = "seqlift_error_argument")
})

test_that("messages say what was wrong and what to do", {
  expect_snapshot(error = TRUE, {
    reverse_complement(c("ACGT", "ACXT"))
    reverse_complement("acgt")
    reverse_complement(5)
    pwm_consensus(matrix(c(3, 1, 0, 0), 4))
    chunk_sequences(c("ACGT", "A", "C"), size = 3)
    chunk_sequences(list(matrix(0, 4, 9), matrix(0, 3, 9)), size = 3)
    unchunk_sequences(array(0, c(3, 2, 4)), lengths = 8)
  })
})
