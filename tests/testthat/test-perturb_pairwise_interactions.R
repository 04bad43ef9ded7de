# tiny.pt: convolution of three bases, ReLU, dense layer, [n, 4, 12] to [n, 3]. Parts that no three
# bases in a row hold both of do not interact.
interact <- function(first, second, X = test_sequences(), model = test_model("tiny"), ...) {
  given <- list(target = 2, n = 3, dfim = FALSE, random_state = 4)
  given[names(list(...))] <- list(...)
  do.call(pairwise_interactions, c(list(model, X, first, second), given))
}

shuffle_of <- function(X, seed) {
  shuffled <- dinucleotide_shuffle(X, n = 1, random_state = seed)
  decode_one_hot(array(shuffled, dim(shuffled)[-2]))
}

replaced <- function(letters, by, positions) {
  for (p in positions) {
    substr(letters, p, p) <- substr(by, p, p)
  }
  letters
}

test_that("interactions are second differences of predictions with shuffled parts", {
  X <- test_sequences()
  model <- test_model("tiny")
  first <- data.frame(start = c(2, 8), end = c(3, 8))
  second <- data.frame(start = c(4, 9), end = c(5, 11))
  found <- interact(first, second)
  expect_identical(nrow(found), 12L)
  expect_identical(found$sequence, rep(names(X), each = 4))
  f <- function(letters) predict(model, letters)[[1, 2]]
  for (row in seq_len(nrow(found))) {
    one <- found[row, ]
    letters <- X[[one$sequence]]
    a <- one$first_start:one$first_end
    b <- one$second_start:one$second_end
    effects <- vapply(4:6, function(seed) {
      other <- shuffle_of(X[one$sequence], seed)
      f(letters) - c(
        f(replaced(letters, other, a)), f(replaced(letters, other, b)),
        f(replaced(letters, other, c(a, b)))
      )
    }, numeric(3))
    expect_equal(
      c(one$first_effect, one$second_effect, one$joint_effect), rowMeans(effects),
      tolerance = 1e-5
    )
    interaction <- effects[1, ] + effects[2, ] - effects[3, ]
    expect_lt(abs(one$interaction - mean(interaction)), 1e-6)
    expect_lt(abs(one$interaction.se - sd(interaction) / sqrt(3)), 1e-6)
  }
  # Of these, 8 and 9 to 11 alone meet in a convolution.
  near <- found$first_start == 8 & found$second_start == 9
  expect_lt(max(abs(found$interaction[!near])), 1e-6)
  expect_gt(min(abs(found$interaction[near])), 1e-3)
})

test_that("DFIM is the change of the attributions of the second part", {
  X <- test_sequences(2)
  model <- test_model("tiny")
  found <- interact(8, data.frame(start = c(4, 9), end = c(5, 11)),
    X = X, dfim = TRUE, n_shuffles = 6, n = 2
  )
  scores <- function(letters, references) {
    found <- suppressWarnings(
      deep_lift_shap(model, letters, target = 2, references = references)
    )
    apply(unclass(found), 3, sum)
  }
  for (i in 1:2) {
    references <- array(one_hot_encode(vapply(4:9, function(seed) shuffle_of(X[i], seed), "")),
      c(1, 6, 4, 12)
    )
    there <- scores(X[i], references)
    gone <- rowMeans(vapply(4:5, function(seed) {
      scores(replaced(X[[i]], shuffle_of(X[i], seed), 8), references)
    }, numeric(12)))
    own <- found[found$sequence == names(X)[i], ]
    expect_equal(own$dfim, c(sum((there - gone)[4:5]), sum((there - gone)[9:11])), tolerance = 1e-4)
  }
  expect_lt(max(abs(found$dfim[c(1, 3)])), 1e-6)
  expect_gt(max(abs(found$dfim)), 1e-3)
})

test_that("p-values compare with the same positions in shuffled sequences", {
  X <- test_sequences(2)
  second <- data.frame(start = c(9, 9), end = c(11, 9))
  found <- interact(8, second, X = X, null = 9)
  for (row in seq_len(nrow(found))) {
    one <- found[row, ]
    own <- X[one$sequence]
    masks <- vapply(4:6, function(seed) shuffle_of(own, seed), "")
    null <- vapply(7:15, function(seed) {
      letters <- shuffle_of(own, seed)
      b <- one$second_start:one$second_end
      f <- function(letters) predict(test_model("tiny"), letters)[[1, 2]]
      mean(vapply(masks, function(other) {
        f(letters) - f(replaced(letters, other, 8)) - f(replaced(letters, other, b)) +
          f(replaced(letters, other, c(8, b)))
      }, 1))
    }, 1)
    side <- min(sum(null <= one$interaction), sum(null >= one$interaction))
    expect_equal(one$p_value, min(1, 2 * (side + 1) / 10))
  }
  expect_equal(found$q_value, p.adjust(found$p_value, "BH"))
})

test_that("parts belong to their sequences, and overlapping pairs are left out", {
  first <- data.frame(example = c("two", "one"), start = c(3, 5), end = c(4, 6))
  second <- data.frame(example = c(1, 2, 2), start = c(5, 4, 8), end = c(5, 9, 9))
  second <- rbind(second, data.frame(example = 1, start = 9, end = 9))
  found <- interact(first, second)
  expect_identical(found$sequence, c("one", "two"))
  expect_identical(found$first_start, c(5L, 3L))
  expect_identical(found$second_start, c(9L, 8L))
  # Alone or with others, the numbers are the same.
  alone <- interact(data.frame(start = 5, end = 6), 9, X = test_sequences()[1])
  expect_equal(found[1, ], alone, ignore_attr = TRUE, tolerance = 1e-6)
  expect_identical(interact(first, second), found)
})

test_that("wrong parts are told by name", {
  expect_snapshot(error = TRUE, {
    interact("motif", 3)
    interact(data.frame(start = 1), 3)
    interact(numeric(), 3)
    interact(0, 3)
    interact(2, 13)
    interact(2, data.frame(start = 5, end = 4))
    interact(2, data.frame(start = 5, end = 6, example = "nine"))
    interact(2, 2)
    interact(2, 4, n = 0)
    interact(2, 4, target = 5)
    interact(2, 4, model = test_model("two_heads"))
  })
})
