# A plain prediction of edited copies is done in windows; any other function gets every copy as a
# sequence of its own. The second is the first one's oracle.
as_whole_copies <- function(model, X, ...) predict(model, X, ...)

same_numbers <- function(a, b, tolerance = 1e-12) {
  a <- unlist(a[c("before", "after")])
  b <- unlist(b[c("before", "after")])
  expect_identical(length(a), length(b))
  expect_lt(max(abs(a - b)) / max(1, abs(b)), tolerance)
}

edit_models <- c(
  "constructs", "functional", "recurrent", "scaled", "squeezed", "tiny", "tiny_traced",
  "transformer", "two_heads"
)

edit_model <- function(name) {
  model <- test_model(name)
  if (name == "two_heads") with_args(model, list(control_track = 0.5)) else model
}

test_that("variants in windows equal whole copies at every position and edge, for every model", {
  X <- test_sequences(2L)
  length <- nchar(X[[1L]])
  single <- expand.grid(example = 1:2, position = seq_len(length))
  single$ref <- substr(X[single$example], single$position, single$position)
  single$alt <- chartr("ACGT", "CGTA", single$ref)
  several <- data.frame(example = c(1, 1, 2, 2), position = c(1, length - 2, 3, 1))
  several$ref <- substr(X[several$example], several$position, several$position + 2)
  several$alt <- chartr("ACGT", "TGAC", several$ref)
  indels <- data.frame(
    example = c(1, 2, 1, 2), position = c(2, 5, length, length + 1),
    ref = c(substr(X[[1L]], 2, 3), "", substr(X[[1L]], length, length), ""),
    alt = c("", "GA", "", "T")
  )
  variants <- rbind(single, several, indels)
  for (name in edit_models) {
    model <- edit_model(name)
    run <- function(func) {
      variant_effect(model, X, variants, func = func, dtype = "float64", batch_size = 5)
    }
    windows <- run(predict)
    whole <- run(as_whole_copies)
    same_numbers(windows, whole)
    expect_identical(lapply(windows, dimnames), lapply(whole, dimnames), label = name)
    expect_identical(
      lapply(unlist(windows[1:2], FALSE), dim), lapply(unlist(whole[1:2], FALSE), dim)
    )
  }
})

test_that("the verbs of perturbation give what whole copies give", {
  X <- test_sequences(3L)
  for (name in c("tiny", "two_heads", "transformer")) {
    model <- edit_model(name)
    run <- function(func) {
      list(
        marginalize(model, X, "GAT", func = func, dtype = "float64"),
        marginalize(model, X, motifs = c(a = "GAT", b = "CC", c = "N"), func = func,
          dtype = "float64"
        ),
        space_motifs(model, X, c("GA", "TT"), c(0, 3, 6), func = func, dtype = "float64"),
        ablate(model, X, 3, 9, n = 4, shuffle = randomize_region_of, func = func,
          random_state = 1, dtype = "float64"
        ),
        ablate_annotations(model, X,
          data.frame(example = c(3, 1, 3), start = c(1, 4, 5), end = c(8, 12, 12)), n = 3,
          shuffle = shuffle_region, func = func, random_state = 1, dtype = "float64"
        ),
        ablate(model, X, 1, nchar(X[[1L]]), n = 2, shuffle = randomize_region_of, func = func,
          random_state = 1, dtype = "float64"
        ),
        substitution_effect(model, X,
          data.frame(example = c(1, 1, 3), position = c(1, 7, 12), alt = c("T", "A", "A")),
          func = func, dtype = "float64"
        )
      )
    }
    randomize_region_of <- function(X, start, end, n, random_state) {
      randomize_region(X, start, end, n = n, random_state = random_state)
    }
    windows <- run(predict)
    whole <- run(as_whole_copies)
    for (i in seq_along(windows)) {
      same_numbers(windows[[i]], whole[[i]])
      expect_identical(
        lapply(unlist(windows[[i]][1:2], FALSE), dimnames),
        lapply(unlist(whole[[i]][1:2], FALSE), dimnames)
      )
    }
  }
})

test_that("wrapped, averaged and turned models are predicted in windows", {
  X <- test_sequences(2L)
  length <- nchar(X[[1L]])
  variants <- data.frame(example = rep(1:2, each = length), position = rep(seq_len(length), 2))
  variants$ref <- substr(X[variants$example], variants$position, variants$position)
  variants$alt <- chartr("ACGT", "CGTA", variants$ref)
  heads <- edit_model("two_heads")
  tiny <- test_model("tiny")
  models <- list(
    profile_score(heads, 1), select_output(heads, 2), ensemble(tiny, tiny, weights = c(1, 3)),
    reverse_complement_average(tiny)
  )
  for (model in models) {
    run <- function(func) variant_effect(model, X, variants, func = func, dtype = "float64")
    same_numbers(run(predict), run(as_whole_copies))
  }
})

test_that("the model's other inputs stay with their sequence", {
  X <- test_sequences(3L)
  args <- list(track = array(seq_len(36) / 20 - 1, c(3L, 1L, 12L)), cell_type = diag(3))
  variants <- data.frame(example = c(3, 1, 2, 3, 3), position = c(1, 5, 12, 7, 12))
  variants$ref <- substr(X[variants$example], variants$position, variants$position)
  variants$alt <- chartr("ACGT", "CGTA", variants$ref)
  run <- function(func) {
    variant_effect(test_model("two_inputs"), X, variants, func = func, args = args,
      dtype = "float64"
    )
  }
  same_numbers(run(predict), run(as_whole_copies))
})

test_that("edits are the smallest windows that hold what differs", {
  before <- matrix(as.raw(c(0, 1, 2, 3, 0, 1, 2, 3)), 8L, 2L)
  after <- before[, c(1L, 2L, 2L, 1L)]
  after[3L, 1L] <- as.raw(0L)
  after[c(2L, 4L), 2L] <- as.raw(c(3L, 4L))
  after[, 4L] <- rev(after[, 4L])
  edits <- edits_between(before, after, c(1L, 2L, 2L, 1L))
  expect_identical(edits$start[1:3], c(3L, 2L, 1L))
  expect_identical(edits$width, c(1L, 3L, 0L, NA))
  expect_identical(edits$content[, 2L], as.raw(c(3L, 2L, 4L)))
  expect_identical(edits$whole, after[, 4L, drop = FALSE])
})

test_that("blocks of sequences do not change the order", {
  X <- test_sequences(3L)
  codes <- sequence_codes(as_sequences(X))
  row <- c(3L, 1L, 2L, 3L, 1L)
  after <- codes[, row]
  for (j in seq_along(row)) after[j + 2L, j] <- as.raw((as.integer(after[j + 2L, j]) + 1L) %% 4L)
  edits <- edits_between(codes, after, row)
  job <- list(
    method = "auto", batch_size = 2L, dtype = "float64", device = "cpu", call = rlang::current_env()
  )
  model <- test_model("tiny")
  together <- predict_edits(model, as_sequences(X), edits, NULL, job)
  apart <- predict_edits(model, as_sequences(X), edits, NULL, job, at_once = 1)
  expect_equal(apart$before, together$before, tolerance = 1e-12)
  expect_equal(apart$after, together$after, tolerance = 1e-12)
})
