# One-hot array [2, 4, 3] written out by hand: ACN and TGG.
hand_made <- function() {
  X <- array(0, c(2L, 4L, 3L))
  X[1L, 1L, 1L] <- 1
  X[1L, 2L, 2L] <- 1
  X[2L, 4L, 1L] <- 1
  X[2L, 3L, 2:3] <- 1
  X
}

test_that("letters become one-hot columns in the order A, C, G, T and N a column of zeros", {
  X <- one_hot_encode(c(first = "ACN", second = "TGG"))
  expect_identical(unname(X), hand_made())
  expect_identical(dimnames(X), list(c("first", "second"), c("A", "C", "G", "T"), NULL))
})

test_that("another alphabet and other ignored letters are followed as written", {
  X <- one_hot_encode("ABBA-", alphabet = c("A", "B"), ignore = c("-", "N"))
  expect_identical(X[1L, , ], rbind(A = c(1, 0, 0, 1, 0), B = c(0, 1, 1, 0, 0)))
  expect_identical(decode_one_hot(X), "ABBAN")
})

test_that("an empty sequence is encoded as an array without positions", {
  expect_identical(dim(one_hot_encode("")), c(1L, 4L, 0L))
})

test_that("decoding inverts encoding, names included", {
  text <- c(a = "ACGTNTGCA", b = "NNNNAAAAA")
  expect_identical(decode_one_hot(one_hot_encode(text)), text)
  expect_identical(decode_one_hot(unname(one_hot_encode(text))), unname(text))
})

test_that("decoding leaves extra channels out", {
  X <- array(0.5, c(2L, 6L, 3L))
  X[, 1:4, ] <- hand_made()
  expect_identical(decode_one_hot(X), c("ACN", "TGG"))
})

test_that("a matrix is decoded as one sequence", {
  expect_identical(decode_one_hot(hand_made()[1L, , ]), "ACN")
  expect_identical(decode_one_hot(rbind(A = c(1, 0), B = c(0, 1))), "AB")
})

test_that("forced decoding takes the largest number, the first of equal ones", {
  pwm <- array(0, c(2L, 4L, 3L), list(c("a", "b"), NULL, NULL))
  pwm[1L, , 1L] <- c(0.1, 0.2, 0.3, 0.4)
  pwm[1L, , 2L] <- c(0.1, 0.4, 0.4, 0.1)
  pwm[2L, , 1L] <- c(-2, -1, -3, -4)
  pwm[2L, , 2L] <- c(0.25, 0.25, 0.25 + 1e-9, 0.25)
  pwm[2L, , 3L] <- 1 / 4
  expect_identical(decode_one_hot(pwm, force = TRUE), c(a = "TCA", b = "CGA"))
  expect_identical(decode_one_hot(pwm[2L, , ], force = TRUE), "CGA")
  expect_error(decode_one_hot(pwm), class = "seqlift_error_sequence")
  expect_identical(decode_one_hot(rbind(X = c(2, 5), Y = c(3, 4)), force = TRUE), "YX")
})

test_that("forced decoding makes an N the first letter, in letters and in arrays", {
  text <- c(a = "ACGTN", b = "NNTGC")
  forced <- c(a = "ACGTA", b = "AATGC")
  expect_identical(decode_one_hot(text, force = TRUE), forced)
  expect_identical(decode_one_hot(one_hot_encode(text), force = TRUE), forced)
})

test_that("forced decoding leaves extra channels out and refuses what is not finite", {
  X <- array(0.5, c(2L, 6L, 3L))
  X[, 1:4, ] <- hand_made()
  expect_identical(decode_one_hot(X, force = TRUE), c("ACA", "TGG"))
  X[1L, 2L, 2L] <- NaN
  expect_error(decode_one_hot(X, force = TRUE), "sequence 1 has NaN at position 2",
    class = "seqlift_error_sequence"
  )
  expect_error(decode_one_hot(X[, 1:3, ], force = TRUE), class = "seqlift_error_sequence")
  expect_error(decode_one_hot("ACGT", force = NA), class = "seqlift_error_argument")
})

test_that("one_hot_encode takes the alphabet's case at its word", {
  expect_error(one_hot_encode("acgt"), class = "seqlift_error_sequence")
  expect_identical(dim(one_hot_encode("acgt", alphabet = c("a", "c", "g", "t"))), c(1L, 4L, 4L))
})

test_that("a wrong alphabet is an error of arguments", {
  expect_error(one_hot_encode("AC", ignore = "A"), class = "seqlift_error_argument")
  expect_error(one_hot_encode("AC", alphabet = c("A", "A")), class = "seqlift_error_argument")
  expect_error(one_hot_encode("AC", alphabet = "ACGT"), class = "seqlift_error_argument")
  expect_error(one_hot_encode("AC", alphabet = character()), class = "seqlift_error_argument")
  expect_error(one_hot_encode("AC", ignore = NA_character_), class = "seqlift_error_argument")
})

test_that("as_sequences keeps letters as bytes and arrays as arrays", {
  text <- as_sequences(c(a = "acgtN", b = "TTTTT"))
  expect_identical(text$codes, matrix(as.raw(c(0:4, 3, 3, 3, 3, 3)), 5L))
  expect_null(text$array)
  expect_identical(
    text[c("n", "length", "channels", "names")],
    list(n = 2L, length = 5L, channels = 4L, names = c("a", "b"))
  )
  array <- as_sequences(hand_made())
  expect_null(array$codes)
  expect_identical(array$array, hand_made())
  expect_identical(
    array[c("n", "length", "channels")], list(n = 2L, length = 3L, channels = 4L)
  )
})

test_that("logical, integer and classed arrays are read as double ones", {
  X <- hand_made()
  for (other in list(X == 1, structure(as.integer(X), dim = dim(X)), structure(X, class = "k"))) {
    expect_identical(as_sequences(other)$array, X)
  }
})

test_that("letters, a DNAStringSet and an array give the same one-hot array and codes", {
  text <- c(a = "ACGTN", b = "TTGCA")
  from_text <- as_sequences(text)
  X <- one_hot_array(from_text)
  from_array <- as_sequences(X)
  expect_identical(one_hot_array(from_array), X)
  expect_identical(sequence_codes(from_array), from_text$codes)
  skip_if_not_installed("Biostrings")
  set <- Biostrings::DNAStringSet(text)
  expect_identical(as_sequences(set), from_text)
  expect_identical(as_sequences(set[[1L]])$codes, from_text$codes[, 1L, drop = FALSE])
  expect_identical(one_hot_encode(set), X)
})

test_that("codes with further dimensions become arrays with the bases before the positions", {
  codes <- array(as.raw(c(0, 1, 2, 3, 4, 0)), c(2L, 3L, 1L))
  X <- codes_to_one_hot(codes)
  expect_identical(dim(X), c(3L, 1L, 4L, 2L))
  for (i in 1:3) {
    for (position in 1:2) {
      expect_identical(X[i, 1L, , position], as.double(codes[position, i, 1L] == as.raw(0:3)))
    }
  }
})

test_that("extra channels are refused unless they are asked for, and then named", {
  X <- array(0.5, c(2L, 5L, 3L))
  X[, 1:4, ] <- hand_made()
  expect_error(as_sequences(X), class = "seqlift_error_sequence")
  sequences <- as_sequences(X, extra_channels = TRUE)
  expect_identical(sequences$channels, 5L)
  expect_identical(
    dimnames(one_hot_array(sequences))[[2L]], c("A", "C", "G", "T", "extra1")
  )
  expect_identical(unname(one_hot_array(sequences)), X)
})

test_that("an N is refused where none is allowed, in letters and in arrays", {
  expect_error(as_sequences("ACN", allow_n = FALSE), class = "seqlift_error_sequence")
  expect_error(as_sequences(hand_made(), allow_n = FALSE), "position 3",
    class = "seqlift_error_sequence"
  )
})

test_that("only_warn turns what is not one-hot into a warning, but no other fault", {
  X <- hand_made()
  X[2L, 1L, 1L] <- 0.5
  expect_warning(
    sequences <- as_sequences(X, only_warn = TRUE),
    class = "seqlift_warning_one_hot"
  )
  expect_identical(sequences$array, X)
  expect_false(sequences$one_hot)
  expect_error(sequence_codes(sequences), class = "seqlift_error_sequence")
  expect_error(as_sequences(X[1L, , ], only_warn = TRUE), class = "seqlift_error_sequence")
  X[1L, 2L, 3L] <- NaN
  expect_error(suppressWarnings(as_sequences(X, only_warn = TRUE)),
    class = "seqlift_error_sequence"
  )
})

test_that("the first wrong place is named: the first sequence, then the first position", {
  X <- hand_made()
  X[2L, 1L, 1L] <- 1
  X[1L, 4L, 2L] <- 1
  expect_error(as_sequences(X), "sequence 1 has 2 bases at position 2",
    class = "seqlift_error_sequence"
  )
  X <- hand_made()
  X[2L, 3L, 3L] <- -1
  expect_error(as_sequences(X), "sequence 2 has the value -1 at position 3",
    class = "seqlift_error_sequence"
  )
  for (odd in c(NA, NaN, Inf, -Inf)) {
    X <- hand_made()
    X[2L, 1L, 3L] <- odd
    expect_error(as_sequences(X), "sequence 2 has .* position 3", class = "seqlift_error_sequence")
  }
})

test_that("what is no sequence is an error of class seqlift_error_sequence", {
  wrong <- list(
    NULL, 1, list("ACGT"), factor("ACGT"), character(), "", NA_character_, c("ACG", NA),
    c("ACG", "AC"), "ACX", "AC T", "AC\u00e9", matrix(0, 4, 3), array(0, c(1, 3, 5)),
    array(0, c(0, 4, 5)), array(0, c(1, 4, 0)), array("A", c(1, 4, 2)),
    data.frame(x = "ACGT"), matrix("A", 1, 1)
  )
  for (X in wrong) {
    expect_error(as_sequences(X), class = "seqlift_error_sequence", info = deparse(X))
  }
})

test_that("messages name the argument, the sequence and the position", {
  expect_snapshot(error = TRUE, {
    decode_one_hot(c("ACGT", "ACG"))
    decode_one_hot(c("ACGT", "ACXT"))
    decode_one_hot(matrix(0, 3, 5))
    decode_one_hot(array(0.5, c(1, 4, 2)))
    decode_one_hot(5)
    one_hot_encode("acgt")
    one_hot_encode("AC", ignore = "C")
  })
})

test_that("RNA is told how it becomes DNA", {
  expect_error(one_hot_encode("ACGU"), "RNA: .*chartr", class = "seqlift_error_sequence")
  expect_error(as_sequences("acgu"), "RNA", class = "seqlift_error_sequence")
})
