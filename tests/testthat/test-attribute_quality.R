# tiny.pt: convolution, ReLU, dense layer, [n, 4, 12] to [n, 3].
judge <- function(attributions, X = test_sequences(), model = test_model("tiny"), ...) {
  given <- list(
    target = 2, steps = 4, n_masks = 2, n_perturbations = 6, perturbed_width = 3,
    mutagenesis = FALSE, random_state = 7
  )
  given[names(list(...))] <- list(...)
  do.call(attribution_quality, c(list(model, X, attributions), given))
}

some_attributions <- function(X = test_sequences()) {
  set.seed(3)
  one_hot_encode(X) * rnorm(length(X) * 48)
}

scores_of <- function(values) apply(unclass(values), c(1, 3), sum)

test_that("curves are predictions of sequences whose best positions are shuffled or put back", {
  X <- test_sequences()
  model <- test_model("tiny")
  values <- some_attributions(X)
  found <- judge(values)
  curves <- attr(found, "curves")
  expect_identical(curves$share, rep(c(0, 3, 6, 9, 12) / 12, 3))
  for (i in seq_along(X)) {
    order <- order(scores_of(values)[i, ], decreasing = TRUE)
    own <- strsplit(X[[i]], "")[[1]]
    by_hand <- function(k, deletes) {
      mean(vapply(7:8, function(seed) {
        shuffled <- dinucleotide_shuffle(X[i], n = 1, random_state = seed)
        other <- strsplit(decode_one_hot(array(shuffled, c(1, 4, 12))), "")[[1]]
        letters <- if (deletes) own else other
        best <- order[seq_len(k)]
        letters[best] <- if (deletes) other[best] else own[best]
        predict(model, paste(letters, collapse = ""))[1, 2]
      }, 1))
    }
    deletion <- vapply(c(0, 3, 6, 9, 12), by_hand, 1, deletes = TRUE)
    insertion <- vapply(c(0, 3, 6, 9, 12), by_hand, 1, deletes = FALSE)
    own_curves <- curves[curves$sequence == names(X)[i], ]
    expect_equal(own_curves$deletion, deletion, tolerance = 1e-6)
    expect_equal(own_curves$insertion, insertion, tolerance = 1e-6)
    area <- function(y) sum((y[-1] + y[-5]) / 2) / 4
    expect_equal(found$deletion_area[i], area(deletion), tolerance = 1e-6)
    expect_equal(found$insertion_area[i], area(insertion), tolerance = 1e-6)
    # Everything gone is nothing put in yet.
    expect_equal(own_curves$deletion[5], own_curves$insertion[1], tolerance = 1e-6)
    expect_equal(own_curves$deletion[1], predict(model, X[i])[[1, 2]], tolerance = 1e-6)
  }
})

# Captum 0.7, infidelity(), as its code has it: sums over perturbations of products.
captum_infidelity <- function(attributions, perturbations, changes, normalize) {
  said <- apply(perturbations * rep(attributions, each = nrow(perturbations)), 1, sum)
  sums <- c(sum(said^2), sum(said * changes), sum(changes^2))
  beta <- if (normalize) sums[2] / sums[1] else 1
  (beta^2 * sums[1] - 2 * beta * sums[2] + sums[3]) / length(changes)
}

perturbed_sequences <- function() {
  set.seed(8)
  array(
    one_hot_encode(vapply(1:15, function(i) {
      letters <- strsplit(test_sequences()[[(i - 1) %% 3 + 1]], "")[[1]]
      letters[sample(12, 4)] <- sample(c("A", "C", "G", "T"), 4, TRUE)
      paste(letters, collapse = "")
    }, "")),
    c(3, 5, 4, 12)
  )
}

test_that("infidelity is Captum's, of attributions and of hypothetical ones", {
  X <- test_sequences()
  model <- test_model("tiny")
  perturbed <- perturbed_sequences()
  values <- some_attributions(X)
  gradients <- attribute(model, X, "saliency", target = 2)
  found <- judge(list(values = values, gradients = gradients), perturbed = perturbed)
  original <- one_hot_encode(X)
  for (i in seq_along(X)) {
    other <- matrix(perturbed[i, , , ], 5)
    own <- matrix(rep(original[i, , ], each = 5), 5)
    changes <- predict(model, X[i])[1, 2] -
      predict(model, array(perturbed[i, , , ], c(5, 4, 12)))[, 2]
    # Captum's decorator divides by the input where it is not 0.
    divided <- own - other
    of_gradients <- unclass(gradients)[i, , ]
    for (normalize in c(FALSE, TRUE)) {
      column <- if (normalize) "infidelity_normalized" else "infidelity"
      expect_equal(
        found[[column]][i],
        captum_infidelity(as.vector(values[i, , ]), divided, changes, normalize),
        tolerance = 1e-5
      )
      expect_equal(
        found[[column]][3 + i],
        captum_infidelity(as.vector(of_gradients), divided, changes, normalize),
        tolerance = 1e-5
      )
    }
  }
  expect_true(all(found$infidelity_normalized <= found$infidelity))
})

test_that("attributions that foretell every change have no infidelity", {
  said <- c(1, -2, 0.5)
  expect_identical(infidelity_of(said, said), c(infidelity = 0, normalized = 0))
  expect_equal(infidelity_of(said, 3 * said)[["normalized"]], 0)
  expect_identical(infidelity_of(c(0, 0), c(1, 3)), c(infidelity = 5, normalized = 5))
})

test_that("windows of the default perturbations have a shuffle's bases, and the rest stays", {
  sequences <- as_sequences(test_sequences())
  counts <- list(masks = 2L, perturbations = 20L, substitutions = 4L, width = 3L)
  drawn <- draw_perturbations(sequences, sequences$codes, counts, NULL, 7, environment())
  for (i in 1:3) {
    changed <- drawn$perturbed[, , i] != sequences$codes[, i]
    at <- apply(changed, 2, which, simplify = FALSE)
    expect_true(all(vapply(at[lengths(at) > 0], function(one) diff(range(one)) <= 2, NA)))
    expect_gt(length(unique(unlist(at))), 5)
  }
  expect_identical(dim(drawn$substitutions), c(4L, 3L))
  steps <- vapply(drawn$substitutions, `[`, 1, 2)
  expect_true(all(steps %in% 1:3))
})

test_that("completeness is the sum of attributions less the change from the references", {
  X <- test_sequences()
  model <- test_model("tiny")
  result <- suppressWarnings(deep_lift_shap(model, X,
    target = 2, n_shuffles = 4, random_state = 1, return_references = TRUE
  ))
  found <- judge(list(complete = result, none = some_attributions()))
  for (i in seq_along(X)) {
    f_references <- predict(model, array(references(result)[i, , , ], c(4, 4, 12)))[, 2]
    missing <- sum(result[i, , ]) - (predict(model, X[i])[1, 2] - mean(f_references))
    expect_lt(abs(found$completeness[i] - missing), 1e-5)
  }
  expect_true(all(abs(found$completeness[1:3]) < 1e-5))
  expect_identical(found$completeness[4:6], rep(NA_real_, 3))
  # A path of few steps does not add up.
  path <- suppressWarnings(attribute(model, X, "integrated_gradients", target = 2, n_steps = 2))
  missing <- rowSums(unclass(path)) -
    (predict(model, X)[, 2] - predict(model, array(0, c(1, 4, 12)))[, 2])
  expect_equal(judge(path)$completeness, unname(missing), tolerance = 1e-4)
  expect_gt(max(abs(missing)), 1e-3)
})

test_that("agreement with mutagenesis is the rank correlation over positions", {
  X <- test_sequences()
  model <- test_model("tiny")
  values <- some_attributions(X)
  exact <- saturation_mutagenesis(model, X, target = 2)
  found <- judge(list(random = values, exact = exact), mutagenesis = TRUE)
  for (i in seq_along(X)) {
    expected <- cor(rank(scores_of(values)[i, ]), rank(scores_of(exact)[i, ]))
    expect_equal(found$mutagenesis_correlation[i], expected)
  }
  expect_equal(found$mutagenesis_correlation[4:6], c(1, 1, 1))
  expect_equal(judge(values, mutagenesis = exact), found[1:3, ] |> transform(
    method = "attributions"
  ), ignore_attr = TRUE)
})

test_that("sensitivity is Captum's largest relative change over substituted sequences", {
  X <- test_sequences()
  weights <- rnorm(48)
  seen <- list()
  explain <- function(X) {
    seen[[length(seen) + 1L]] <<- X
    X * rep(weights, each = dim(X)[1L]) + 1
  }
  values <- explain(one_hot_encode(X))
  seen <- list()
  found <- judge(values, explain = explain, n_substitutions = 5)
  expect_length(seen, 3L)
  for (i in seq_along(X)) {
    expect_identical(dim(seen[[i]]), c(5L, 4L, 12L))
    letters <- strsplit(c(X[[i]], decode_one_hot(seen[[i]])), "")
    expect_identical(vapply(letters[-1], function(one) sum(one != letters[[1]]), 1L), rep(1L, 5))
    norm <- function(x) sqrt(sum(x^2))
    others <- explain(seen[[i]])
    own <- values[i, , ]
    relative <- vapply(1:5, function(k) norm(others[k, , ] - own) / norm(own), 1)
    expect_equal(found$sensitivity[i], max(relative))
    seen <- seen[1:3]
  }
  first <- function(X) array(rep(values[1, , ], each = dim(X)[1]), dim(X))
  constant <- judge(values, explain = first)
  expect_identical(constant$sensitivity[1], 0)
})

test_that("consistency is the mean correlation with other results", {
  X <- test_sequences()
  values <- some_attributions(X)
  set.seed(9)
  others <- list(some_attributions(X) + one_hot_encode(X) * rnorm(144), 2 * values)
  found <- judge(values, repeats = others)
  for (i in seq_along(X)) {
    expected <- mean(vapply(others, function(other) {
      cor(scores_of(values)[i, ], scores_of(other)[i, ])
    }, 1))
    expect_equal(found$consistency[i], expected)
  }
  both <- judge(list(a = values, b = values), repeats = list(b = others))
  expect_equal(both$consistency, c(NA, NA, NA, found$consistency))
})

test_that("methods are judged on the same shuffles, alone or together, the same for a seed", {
  X <- test_sequences()
  values <- some_attributions(X)
  together <- judge(list(first = -values, second = values))
  expect_identical(together$method, rep(c("first", "second"), each = 3))
  expect_identical(together$sequence, rep(names(X), 2))
  alone <- judge(values)
  expect_equal(together[4:6, -1], alone[, -1], ignore_attr = TRUE)
  expect_identical(judge(values), alone)
  expect_false(identical(judge(values, random_state = 8)$infidelity, alone$infidelity))
  expect_equal(judge(values, batch_size = 1), alone, tolerance = 1e-6)
})

test_that("other inputs of the model go with their sequence", {
  X <- test_sequences()
  model <- select_output(test_model("two_heads"), 2)
  track <- array(abs(sin(1:72)), c(3, 2, 12))
  values <- some_attributions(X)
  given <- judge(values, model = model, args = list(control_track = track), target = 1)
  filled <- judge(values, model = with_args(model, list(control_track = track)), target = 1)
  expect_equal(given, filled)
  one <- judge(values[2, , , drop = FALSE],
    X = X[2], model = model, args = list(control_track = track[2, , , drop = FALSE]), target = 1
  )
  expect_equal(attr(one, "curves")$deletion[1], attr(given, "curves")$deletion[6], tolerance = 1e-6)
})

test_that("wrong input is told by name", {
  X <- test_sequences()
  model <- test_model("tiny")
  values <- some_attributions(X)
  raw <- suppressWarnings(deep_lift_shap(model, X, n_shuffles = 2, raw_outputs = TRUE))
  window <- saturation_mutagenesis(model, X, target = 2, start = 3, end = 6)
  expect_snapshot(error = TRUE, {
    judge(values[1:2, , ])
    judge("saliency")
    judge(list(values))
    judge(list(a = values, a = values))
    judge(raw)
    judge(window)
    judge(replace(values, 5, NA))
    judge(saturation_mutagenesis(model, rev(X), target = 2))
    judge(values, target = 4)
    judge(values, steps = 13)
    judge(values, perturbed_width = 13)
    judge(values, perturbed = values)
    judge(values, explain = values)
    judge(values, explain = function(X) 1)
    judge(values, repeats = values)
    judge(list(a = values), repeats = list(b = list(values)))
    judge(values, mutagenesis = NA)
    judge(values, model = test_model("two_heads"))
  })
})

test_that("the plot has the means of the curves, for all or one sequence", {
  found <- judge(list(first = some_attributions(), second = -some_attributions()))
  curves <- attr(found, "curves")
  drawn <- ggplot2::ggplot_build(plot(found))
  lines <- drawn$data[[2]]
  deletion <- lines[lines$PANEL == 1 & lines$group == 1, ]
  own <- curves[curves$method == "first", ]
  expect_equal(deletion$y, as.vector(tapply(own$deletion, own$share, mean)))
  one <- ggplot2::ggplot_build(plot(found, sequence = "two"))
  lines <- one$data[[1]]
  expect_equal(
    lines$y[lines$PANEL == 2 & lines$group == 2],
    curves$insertion[curves$method == "second" & curves$sequence == "two"]
  )
  expect_error(plot(found, sequence = "six"), class = "seqlift_error_argument")
  expect_error(plot(found, sequence = 4), class = "seqlift_error_argument")
})
