text <- c(first = "ACGATTACAGATTACGACCA", second = "GGCATTACGCATCATGGCAT")

# How often each pair of neighbours occurs in each string.
pair_counts <- function(x) {
  lapply(x, function(one) {
    n <- nchar(one)
    table(substring(one, seq_len(n - 1L), seq_len(n - 1L) + 1L))
  })
}

# Letters [sequence, shuffle] of an array of shuffles.
letters_of <- function(shuffled) {
  apply(shuffled, 2L, function(one) {
    decode_one_hot(array(one, dim(shuffled)[-2L]))
  }, simplify = FALSE) |> do.call(what = cbind)
}

test_that("a dinucleotide shuffle keeps the pairs, the first and the last base", {
  shuffled <- letters_of(dinucleotide_shuffle(text, n = 10, random_state = 0))
  expect_identical(dim(shuffled), c(2L, 10L))
  for (i in seq_along(text)) {
    expect_identical(
      unique(unname(pair_counts(shuffled[i, ]))), unname(pair_counts(text[i]))
    )
    expect_identical(unique(substr(shuffled[i, ], 1, 1)), substr(text[[i]], 1, 1))
    expect_identical(unique(substr(shuffled[i, ], 20, 20)), substr(text[[i]], 20, 20))
    expect_gt(length(unique(shuffled[i, ])), 5)
  }
})

test_that("dinucleotide shuffles are those of tangermeme 1.4.0 for the same random_state", {
  shuffled <- dinucleotide_shuffle("ACGTACGTTGCA", n = 3, random_state = 5)
  expect_identical(
    c(letters_of(shuffled)), c("ACGTACGTTGCA", "ACGTTACGTGCA", "ACGTACGTTGCA")
  )
})

test_that("twenty shuffles are the default, of the whole sequence", {
  expect_identical(dim(dinucleotide_shuffle(text)), c(2L, 20L, 4L, 20L))
  expect_identical(
    dinucleotide_shuffle(text, random_state = 1),
    dinucleotide_shuffle(text, start = 1, end = 20, n = 20, random_state = 1)
  )
})

test_that("names are kept and the bases named", {
  for (shuffle in list(dinucleotide_shuffle, shuffle_region)) {
    expect_identical(
      dimnames(shuffle(text, n = 2)),
      list(c("first", "second"), NULL, c("A", "C", "G", "T"), NULL)
    )
  }
})

test_that("letters, a DNAStringSet and an array are shuffled alike", {
  X <- one_hot_encode(text)
  for (shuffle in list(dinucleotide_shuffle, shuffle_region)) {
    expected <- shuffle(text, n = 3, random_state = 4)
    expect_identical(shuffle(tolower(text), n = 3, random_state = 4), expected)
    expect_identical(shuffle(X, n = 3, random_state = 4), expected)
    expect_identical(shuffle(X == 1, n = 3, random_state = 4), expected)
    skip_if_not_installed("Biostrings")
    expect_identical(
      shuffle(Biostrings::DNAStringSet(text), n = 3, random_state = 4), expected
    )
  }
})

test_that("sequence i is shuffled as if alone under random_state + i - 1", {
  both <- dinucleotide_shuffle(text, n = 4, random_state = 10)
  second <- dinucleotide_shuffle(text[2L], n = 4, random_state = 11)
  expect_identical(both[2L, , , , drop = FALSE], second)
})

test_that("seeds beyond the largest start again from zero", {
  last <- dinucleotide_shuffle(text, n = 2, random_state = 2^32 - 1)
  zero <- dinucleotide_shuffle(text[2L], n = 2, random_state = 0)
  expect_identical(last[2L, , , , drop = FALSE], zero)
})

test_that("only the region is shuffled", {
  for (shuffle in list(dinucleotide_shuffle, shuffle_region)) {
    shuffled <- letters_of(shuffle(text, start = 4, end = 17, n = 10, random_state = 3))
    for (i in seq_along(text)) {
      expect_identical(unique(substr(shuffled[i, ], 1, 3)), substr(text[[i]], 1, 3))
      expect_identical(unique(substr(shuffled[i, ], 18, 20)), substr(text[[i]], 18, 20))
      expect_gt(length(unique(shuffled[i, ])), 3)
    }
  }
})

test_that("an N stays in place and the stretches around it keep their own pairs", {
  X <- "ACAGATACTCNNGGTGAGCGTAN"
  shuffled <- c(letters_of(dinucleotide_shuffle(X, n = 20, random_state = 0)))
  expect_identical(unique(gsub("[ACGT]", ".", shuffled)), "..........NN..........N")
  for (part in list(c(1, 10), c(13, 22))) {
    cut <- function(x) substr(x, part[1L], part[2L])
    expect_identical(unique(pair_counts(cut(shuffled))), pair_counts(cut(X)))
  }
  expect_gt(length(unique(shuffled)), 5)
})

test_that("a region's shuffle keeps its letters, N among them, and moves all sequences alike", {
  X <- c("ACGTNACGTN", "AAAAACCCCC")
  shuffled <- letters_of(shuffle_region(X, n = 30, random_state = 1))
  sorted <- vapply(strsplit(shuffled[1L, ], ""), function(x) paste(sort(x), collapse = ""), "")
  expect_identical(unique(sorted), "AACCGGNNTT")
  # The first sequence's A stands where its first or sixth letter went: one A, one C below it.
  below_a <- Map(
    function(one, two) sort(strsplit(two, "")[[1L]][strsplit(one, "")[[1L]] == "A"]),
    shuffled[1L, ], shuffled[2L, ]
  )
  expect_true(all(vapply(below_a, identical, TRUE, c("A", "C"))))
})

test_that("a region's shuffles are numpy's: RandomState(0).permutation(10)", {
  # 2 8 4 9 1 6 7 3 0 5, read on ten letters of an alphabet of four.
  X <- "ACGTACGTAC"
  order <- c(2, 8, 4, 9, 1, 6, 7, 3, 0, 5) + 1
  expect_identical(
    c(letters_of(shuffle_region(X, random_state = 0))),
    paste(strsplit(X, "")[[1L]][order], collapse = "")
  )
})

test_that("every order of a small region is reached equally often", {
  shuffled <- c(letters_of(shuffle_region("ACGT", n = 4800, random_state = 2)))
  counts <- table(shuffled)
  expect_length(counts, 24L)
  # 200 each; five standard deviations are 70.
  expect_true(all(abs(counts - 200) < 70))
})

test_that("extra channels of an array stay where they are in every shuffle", {
  X <- array(0, c(2L, 6L, 20L))
  X[, 1:4, ] <- one_hot_encode(text)
  X[, 5:6, ] <- seq_len(80) / 7
  for (shuffle in list(dinucleotide_shuffle, shuffle_region)) {
    shuffled <- shuffle(X, n = 3, random_state = 4)
    expect_identical(dim(shuffled), c(2L, 3L, 6L, 20L))
    expect_identical(
      shuffled[, , 1:4, ], unname(shuffle(text, n = 3, random_state = 4)),
      ignore_attr = TRUE
    )
    for (j in 1:3) {
      expect_identical(unname(shuffled[, j, 5:6, ]), X[, 5:6, ])
    }
  }
})

test_that("set.seed() governs the shuffles without a random_state", {
  for (shuffle in list(dinucleotide_shuffle, shuffle_region)) {
    set.seed(1)
    first <- shuffle(text, n = 3)
    second <- shuffle(text, n = 3)
    set.seed(1)
    expect_identical(shuffle(text, n = 3), first)
    expect_false(identical(second, first))
  }
})

test_that("a single shuffle of a sequence that no shuffle can change is itself, with a warning", {
  X <- c(fine = "ACGATTACAG", poly = "AAAAAAAAAA", two = "ACACACACAC")
  expect_warning(
    shuffled <- dinucleotide_shuffle(X, n = 1, random_state = 0),
    "sequences 2 \\(poly\\) and 3 \\(two\\)",
    class = "seqlift_warning_shuffle"
  )
  expect_identical(letters_of(shuffled)[2:3, ], unname(X[2:3]))
  expect_warning(shuffle_region(X, n = 3), "sequence 2 \\(poly\\)",
    class = "seqlift_warning_shuffle"
  )
  expect_warning(shuffle_region(text, 3, 3), class = "seqlift_warning_shuffle")
  expect_silent(dinucleotide_shuffle(X["fine"]))
})

test_that("several shuffles of a sequence that no shuffle can change are an error naming it", {
  X <- c(fine = "ACGATTACAG", poly = "AAAAAAAAAA", two = "ACACACACAC")
  error <- expect_error(dinucleotide_shuffle(X, n = 2), class = "seqlift_error_shuffle")
  expect_identical(error$sequences, 2:3)
  expect_error(dinucleotide_shuffle(one_hot_encode(X[3L]), n = 2), "sequence 1 \\(two\\)",
    class = "seqlift_error_shuffle"
  )
  # A region, or the stretches between N, may be too short where the whole is not.
  expect_silent(dinucleotide_shuffle(X["fine"], n = 2))
  expect_error(dinucleotide_shuffle(X["fine"], 4, 6, n = 2), class = "seqlift_error_shuffle")
  expect_error(dinucleotide_shuffle("ACGNTTACNG", n = 2), class = "seqlift_error_shuffle")
})

test_that("reference shuffles are each sequence's first shuffle under consecutive seeds", {
  references <- reference_shuffles(as_sequences(text), n = 5L, random_state = 30)
  expect_identical(dim(references), c(20L, 5L, 2L))
  X <- codes_to_one_hot(references)
  for (i in seq_along(text)) {
    for (j in seq_len(5L)) {
      alone <- dinucleotide_shuffle(text[i], n = 1, random_state = 30 + j - 1)
      expect_identical(X[j, i, , ], unname(alone[1L, 1L, , ]))
    }
  }
  expect_identical(
    reference_shuffles(as_sequences(one_hot_encode(text)), n = 5L, random_state = 30), references
  )
  for (n in c(1L, 20L)) {
    expect_warning(reference_shuffles(as_sequences("AAAA"), n, 0),
      class = "seqlift_warning_shuffle"
    )
  }
})

test_that("a generator continues region shuffles but cannot seed dinucleotide shuffles", {
  generator <- random_generator(3)
  first <- shuffle_region(text, n = 2, random_state = generator)
  second <- shuffle_region(text, n = 1, random_state = generator)
  whole <- shuffle_region(text, n = 3, random_state = 3)
  expect_identical(whole[, 1:2, , ], first, ignore_attr = TRUE)
  expect_identical(whole[, 3L, , ], second[, 1L, , ])
  expect_error(dinucleotide_shuffle(text, random_state = generator),
    class = "seqlift_error_argument"
  )
})

test_that("wrong arguments are errors by class", {
  for (shuffle in list(dinucleotide_shuffle, shuffle_region)) {
    for (X in list("ACXT", c("AC", "A"), matrix(0, 4, 3), 1, NULL)) {
      expect_error(shuffle(X), class = "seqlift_error_sequence")
    }
    for (region in list(c(0, 5), c(5, 4), c(1, 21), c(21, 21), c(1.5, 4), c(NA, 4), c(1, -1))) {
      expect_error(shuffle(text, region[1L], region[2L]), class = "seqlift_error_argument")
    }
    expect_error(shuffle(text, n = 0), class = "seqlift_error_argument")
    expect_error(shuffle(text, random_state = -1), class = "seqlift_error_argument")
  }
})

test_that("messages say what was expected", {
  expect_snapshot(error = TRUE, {
    dinucleotide_shuffle(text, start = 5, end = 4)
    shuffle_region(text, end = 21)
    dinucleotide_shuffle(text, n = 0)
    dinucleotide_shuffle(1)
  })
  expect_snapshot(invisible(dinucleotide_shuffle(c("ACGATTACAG", "AAAAAAAAAA"), n = 1)))
  expect_snapshot(error = TRUE, {
    dinucleotide_shuffle(c("ACGATTACAG", "AAAAAAAAAA"))
    dinucleotide_shuffle(c(a = "ACACACACAC", b = "AAAAAAAAAA"), n = 2)
  })
})

test_that("more than memory holds is refused before anything is drawn", {
  X <- "ACGTTGCAACGT"
  refused <- function(code, arg) {
    error <- with_replaced(
      "free_memory", function() 1e6, expect_error(code, class = "seqlift_error_argument")
    )
    expect_match(conditionMessage(error), paste0("`", arg, "`"), fixed = TRUE)
    expect_match(conditionMessage(error), "0.001 GB are free", fixed = TRUE)
  }
  most <- .Machine$integer.max
  refused(dinucleotide_shuffle(X, n = most), "n")
  refused(shuffle_region(X, n = most), "n")
  refused(randomize_region(X, 1, 4, n = most), "n")
  refused(random_one_hot(c(most, 4, 100)), "shape")
  refused(screen_sequences(demo_model() |> with_args(list(control_track = 0)) |> select_output(2),
    most,
    max_iter = 1
  ), "length")
  # Where the system does not say what is free, R does.
  with_replaced(
    "free_memory", function() NA_real_,
    expect_identical(dim(shuffle_region(X, n = 2)), c(1L, 2L, 4L, 12L))
  )
  expect_true(is.na(free_memory()) || free_memory() > 0)
})
