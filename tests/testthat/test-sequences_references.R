long_sequences <- function(n = 3L, length = 120L) {
  X <- decode_one_hot(random_one_hot(c(n, 4L, length), random_state = 5))
  names(X) <- letters[seq_len(n)]
  if (n > 1L) {
    substr(X[2L], 31L, 34L) <- "NNNN"
  }
  X
}

drawn_letters <- function(make, X, seed = 1) {
  made <- make(one_hot_encode(X), n = 1L, random_state = seed)
  expect_identical(dim(made), c(1L, 4L, unname(nchar(X))))
  unname(decode_one_hot(made))
}

pairs_in <- function(letters) {
  split <- strsplit(letters, "")[[1L]]
  table(factor(paste0(utils::head(split, -1L), split[-1L]), outer(
    c("A", "C", "G", "T", "N"), c("A", "C", "G", "T", "N"), paste0
  )))
}

known_positions <- function(letters) which(strsplit(letters, "")[[1L]] == "N")

all_makers <- function(X) {
  sites <- data.frame(example = c("a", "b", "c"), start = c(5, 50, 90), end = c(12, 60, 99))
  list(
    local = local_shuffles(30L), sliding = local_shuffles(30L, 10L),
    around = shuffles_around(sites, X), same = shuffles_around(data.frame(start = 4, end = 9)),
    pool = references_from(X[c(1L, 3L)], tolerance = 1),
    flat = background_frequencies(), drawn = background_frequencies(c(0.1, 0.2, 0.3, 0.4), TRUE),
    within = references_within(dinucleotide_shuffle, 20, 60),
    flat_within = references_within(background_frequencies(), 20, 60)
  )
}

test_that("references are those of the seed, depend on no other sequence, and keep N", {
  X <- long_sequences()
  makers <- all_makers(X)
  for (name in names(makers)) {
    for (i in seq_along(X)) {
      bases <- one_hot_encode(X[i])
      made <- makers[[name]](bases, n = 1L, random_state = 4)
      expect_identical(
        numbers_of(makers[[name]](bases, n = 1L, random_state = 4)), numbers_of(made)
      )
      unknown <- known_positions(X[i])
      expect_true(all(made[1L, , unknown] == 0), label = name)
      if (!name %in% c("pool", "flat", "flat_within")) {
        others <- numbers_of(makers[[name]](bases, n = 1L, random_state = 5))
        expect_false(identical(others, numbers_of(made)))
      }
      if (!grepl("flat", name) && i != 2L) {
        expect_true(all(colSums(made[1L, , ]) == 1))
      }
    }
  }
})

test_that("local shuffles keep the dinucleotides of each window", {
  X <- long_sequences(1L)
  for (seed in 1:5) {
    made <- drawn_letters(local_shuffles(40L), X, seed)
    for (start in c(1, 41, 81)) {
      window <- function(letters) substr(letters, start, start + 39)
      expect_identical(pairs_in(window(made)), pairs_in(window(X)))
    }
    expect_false(made == unname(X))
  }
  # Windows that overlap let letters go farther than a window, the whole sequence keeps its bases.
  slid <- drawn_letters(local_shuffles(40L, 20L), X)
  expect_identical(sort(strsplit(slid, "")[[1L]]), sort(strsplit(X, "")[[1L]]))
  # A window as long as the sequence is the shuffle of the whole.
  whole <- drawn_letters(local_shuffles(120L), X)
  expect_identical(pairs_in(whole), pairs_in(X))
})

test_that("annotated sites stay as they are and what is between them is shuffled", {
  X <- long_sequences()
  sites <- data.frame(example = c("a", "a", "c"), start = c(10, 60, 30), end = c(20, 70, 55))
  make <- shuffles_around(sites, X)
  made <- drawn_letters(make, X["a"])
  for (site in list(c(10, 20), c(60, 70))) {
    expect_identical(substr(made, site[1L], site[2L]), substr(unname(X["a"]), site[1L], site[2L]))
  }
  for (gap in list(c(1, 9), c(21, 59), c(71, 120))) {
    expect_identical(
      pairs_in(substr(made, gap[1L], gap[2L])), pairs_in(substr(X["a"], gap[1L], gap[2L]))
    )
  }
  expect_false(made == X["a"])
  # Without sites of its own all of a sequence is shuffled.
  none <- drawn_letters(make, X["b"])
  expect_identical(pairs_in(none), pairs_in(X["b"]))
  expect_error(make(one_hot_encode(strrep("ACGT", 30L)), 1L, 0), class = "seqlift_error_references")
})

test_that("sequences of a pool are drawn by their share of G and C", {
  gc <- function(letters) nchar(gsub("[^GC]", "", letters)) / nchar(letters)
  pool <- decode_one_hot(random_one_hot(c(60L, 4L, 40L), random_state = 8))
  X <- decode_one_hot(random_one_hot(c(1L, 4L, 40L), random_state = 9))
  make <- references_from(pool, tolerance = 0.06)
  found <- vapply(1:30, function(seed) drawn_letters(make, X, seed), "")
  expect_true(all(found %in% pool))
  expect_true(all(abs(gc(found) - gc(X)) <= 0.06 + 1e-12))
  # All that fit can be drawn.
  many <- unique(vapply(1:400, function(seed) drawn_letters(make, X, seed), ""))
  expect_setequal(many, unique(pool[abs(gc(pool) - gc(X)) <= 0.06]))
  rich <- references_from(strrep("GC", 20L), tolerance = 0.1)
  expect_error(rich(one_hot_encode(strrep("AT", 20L)), 1L, 0), class = "seqlift_error_references")
  expect_error(rich(one_hot_encode("ACGT"), 1L, 0), class = "seqlift_error_references")
})

test_that("backgrounds are the frequencies at each position, or letters drawn from them", {
  X <- "ACGTNACGTA"
  flat <- background_frequencies(c(0.4, 0.3, 0.2, 0.1))(one_hot_encode(X), 1L, 0)
  expect_equal(flat[1L, , 1L], c(0.4, 0.3, 0.2, 0.1), ignore_attr = TRUE)
  expect_true(all(flat[1L, , 5L] == 0))
  own <- matrix(c(1, 0, 0, 0), 4L, 10L)
  own[, 3L] <- c(0, 0.25, 0, 0.75)
  at_positions <- background_frequencies(own)(one_hot_encode(X), 1L, 0)
  expect_equal(at_positions[1L, , -5L], own[, -5L], ignore_attr = TRUE)
  drawn <- vapply(1:400, function(seed) {
    drawn_letters(background_frequencies(own, sample = TRUE), X, seed)
  }, "")
  expect_true(all(grepl("^AA[CT]ANAAAAA$", drawn)))
  # 100 of 400 expected, with a standard deviation of 8.7.
  expect_lt(abs(sum(substr(drawn, 3L, 3L) == "C") - 100), 45)
})

test_that("methods take them, and a background is one reference without a warning", {
  model <- test_model("functional")
  X <- test_sequences(2L)
  explain <- function(references, ...) {
    deep_lift_shap(model, X,
      references = references, n_shuffles = 3L, random_state = 2, dtype = "float64", ...
    )
  }
  for (make in list(
    local_shuffles(6L), shuffles_around(data.frame(start = 4, end = 8)),
    references_from(test_sequences(5L), 1), background_frequencies(sample = TRUE)
  )) {
    result <- explain(make, return_references = TRUE)
    expect_identical(dim(references(result)), c(2L, 3L, 4L, 12L))
    expect_lt(max(abs(convergence_deltas(result))), 1e-10)
    # Reference j is that of the seed and j.
    expect_identical(
      unname(references(result)[2L, 3L, , ]), unname(make(one_hot_encode(X[2L]), 1L, 4)[1L, , ])
    )
  }
  flat <- expect_warning(explain(background_frequencies()), NA)
  expect_identical(dim(convergence_deltas(flat)), c(2L, 1L))
  given <- suppressWarnings(
    explain(array(0.25, c(2L, 1L, 4L, 12L)), only_warn = TRUE),
    classes = "seqlift_warning_one_hot"
  )
  expect_identical(numbers_of(flat), numbers_of(given))
})

test_that("a window is explained with the rest held at the sequence", {
  model <- test_model("functional")
  X <- test_sequences(2L)
  inside <- references_within(dinucleotide_shuffle, 4, 9)
  calls <- list(
    deep_lift = function(references) {
      deep_lift_shap(model, X,
        references = references, n_shuffles = 3L, random_state = 2, dtype = "float64"
      )
    },
    integrated = function(references) {
      attribute(model, X, "integrated_gradients",
        baseline = references, n_shuffles = 3L, n_steps = 40L, random_state = 2, dtype = "float64"
      )
    }
  )
  # The references by hand: those of the whole sequence, in the window alone.
  by_hand <- array(0, c(2L, 3L, 4L, 12L))
  for (i in 1:2) {
    for (j in 1:3) {
      by_hand[i, j, , ] <- one_hot_encode(X[i])
      shuffled <- dinucleotide_shuffle(X[i], n = 1L, random_state = 2 + j - 1)
      by_hand[i, j, , 4:9] <- shuffled[1L, 1L, , 4:9]
    }
  }
  for (call in calls) {
    result <- call(inside)
    expect_true(all(as.array(result)[, , c(1:3, 10:12)] == 0))
    expect_lt(largest_difference(result, call(by_hand)), 1e-12)
  }
  deltas <- convergence_deltas(calls$deep_lift(inside))
  expect_lt(max(abs(deltas)), 1e-10)
})

test_that("arguments that do not fit are refused", {
  refused <- function(...) expect_error(..., class = "seqlift_error_argument")
  X <- long_sequences()
  refused(local_shuffles(1L))
  refused(local_shuffles(10L, 11L))
  refused(shuffles_around(list()))
  refused(shuffles_around(data.frame(start = 1)))
  refused(shuffles_around(data.frame(start = 3, end = 2)))
  refused(shuffles_around(data.frame(start = 1, end = 2, example = "a")))
  refused(shuffles_around(data.frame(start = 1, end = 2, example = "d"), X))
  refused(references_from(X, tolerance = 2))
  expect_error(references_from(1:3), class = "seqlift_error_sequence")
  for (wrong in list(0.3, 1:4, "a", matrix(0.25, 3L, 2L), c(0.5, 0.6, -0.1, 0), numeric())) {
    refused(background_frequencies(wrong))
  }
  refused(background_frequencies(sample = NA))
  refused(references_within("a", 1, 2))
  refused(references_within(dinucleotide_shuffle, 3, 2))
  model <- test_model("tiny")
  for (make in list(
    references_within(dinucleotide_shuffle, 5, 13), background_frequencies(matrix(0.25, 4L, 11L)),
    shuffles_around(data.frame(start = 5, end = 13))
  )) {
    expect_error(deep_lift_shap(model, test_sequences(), references = make, n_shuffles = 2L),
      class = "seqlift_error_references"
    )
  }
})
