# Inner layers, several inputs and channels that are held fixed, in the methods on gradients.

in_double <- function(model, X, ...) attribute(model, X, ..., dtype = "float64")

test_that("the output of a module is explained, or explains", {
  model <- test_model("tiny")
  X <- test_sequences()
  hidden <- pmax(vapply(X, \(x) tiny_hidden(one_hot_encode(x)[1L, , ]), matrix(0, 2L, 10L)), 0)
  weights <- matrix(pattern_weights(c(3L, 20L))[2L, ], 2L, 10L, byrow = TRUE)
  layer <- in_double(model, X, "gradient_x_input", target = 2L, layer = "relu")
  expect_identical(dim(layer), c(3L, 2L, 10L))
  expect_identical(dimnames(layer)[[1L]], names(X))
  for (i in 1:3) {
    expect_equal(unname(layer[i, , ]), hidden[, , i] * weights, tolerance = 1e-6)
  }
  # From the relu's output on the model is linear: the sum is the change from an output of zeros.
  both <- in_double(model, X, "integrated_gradients",
    target = 2L, layer = c("conv", "relu"), n_steps = 1L
  )
  expect_named(both, c("conv", "relu"))
  expect_lt(max(abs(convergence_deltas(both$relu))), 1e-10)
})

test_that("a target layer takes the place of the model and of what is around it", {
  model <- test_model("two_heads") |> with_args(list(control_track = 0))
  X <- test_sequences()
  counts <- in_double(model |> select_output(2), X, "saliency")
  expect_equal(
    numbers_of(in_double(model, X, "saliency", target_layer = "counts")), numbers_of(counts)
  )
  expect_equal(
    numbers_of(in_double(profile_score(model), X, "saliency", target_layer = "counts")),
    numbers_of(counts)
  )
})

test_that("several inputs are explained at once", {
  model <- test_model("two_inputs")
  X <- test_sequences()
  args <- list(
    track = array(stats::qnorm(seq_len(36) / 37), c(3L, 1L, 12L)),
    cell_type = matrix(c(0.3, 0.1, 2), 3L, 3L)
  )
  result <- in_double(model, X, "integrated_gradients",
    args = args, explain_args = TRUE, args_baseline = list(cell_type = 1), baseline = 0.25,
    n_steps = 200L
  )
  expect_named(result, c("X", "track", "cell_type"))
  expect_identical(dim(result$track), c(3L, 1L, 12L))
  total <- apply(numbers_of(result$X), 1L, sum) + apply(result$track, 1L, sum) +
    rowSums(result$cell_type)
  at_baseline <- list(track = 0 * args$track, cell_type = 1 + 0 * args$cell_type)
  flat <- array(0.25, c(3L, 4L, 12L))
  change <- predict(model, X, args, dtype = "float64") -
    suppressWarnings(predict(model, flat, at_baseline, dtype = "float64"))
  expect_lt(max(abs(total - change)), 1e-4)
  expect_equal(as.vector(convergence_deltas(result$X)), as.vector(total - change))
  expect_identical(rownames(result$cell_type), names(X))
  held <- in_double(model, X, "saliency", args = args)
  expect_s3_class(held, "seqlift_attributions")
})

test_that("channels beyond the bases are held fixed", {
  X <- one_hot_encode(test_sequences())
  model <- test_model("extra_channels")
  wide <- array(0.5, c(3L, 6L, 12L))
  wide[, 1:4, ] <- X
  result <- in_double(model, wide, "integrated_gradients", baseline = 0.25)
  expect_identical(dim(result), c(3L, 4L, 12L))
  f <- function(X) suppressWarnings(predict(model, X, dtype = "float64"))
  flat <- wide
  flat[, 1:4, ] <- 0.25
  expect_equal(
    apply(numbers_of(result), 1L, sum) - as.vector(convergence_deltas(result)),
    as.vector(f(wide) - f(flat))
  )
})

test_that("the simplex correction takes the mean over bases from every gradient, at every point", {
  model <- test_model("functional")
  X <- test_sequences(3L)
  bases <- one_hot_encode(X)
  call <- function(method, ..., simplex = TRUE) {
    attribute(model, X, method, ..., simplex = simplex, dtype = "float64")
  }
  centred <- function(g) sweep(numbers_of(g), c(1L, 3L), apply(g, c(1L, 3L), mean))
  for (method in c("saliency", "guided_backprop", "deconvnet")) {
    expect_lt(
      largest_difference(call(method), centred(call(method, simplex = FALSE))), 1e-14
    )
  }
  noise <- function(...) call("smoothgrad", n_samples = 3L, random_state = 1, ...)
  expect_lt(largest_difference(noise(), centred(noise(simplex = FALSE))), 1e-14)
  corrected <- call("saliency")
  expect_identical(numbers_of(call("saliency", absolute = TRUE)), abs(numbers_of(corrected)))
  expect_lt(largest_difference(call("gradient_x_input"), numbers_of(corrected) * bases), 1e-14)
  expect_lt(
    largest_difference(corrected, taylor_ism(model, X, output = "corrected", dtype = "float64")),
    1e-14
  )
  # Along a line: from sequences to sequences the sums of positions stay, and so do the deltas.
  for (method in c("integrated_gradients", "expected_gradients")) {
    path <- function(simplex) {
      given <- list(method, simplex = simplex, random_state = 1, n_shuffles = 2L)
      given[[if (method == "integrated_gradients") "baseline" else "references"]] <-
        dinucleotide_shuffle
      do.call(call, given)
    }
    with <- path(TRUE)
    without <- path(FALSE)
    expect_gt(largest_difference(with, without), 1e-6)
    sums <- function(x) apply(numbers_of(x), c(1L, 3L), sum)
    expect_lt(largest_difference(sums(with), sums(without)), 1e-13)
    expect_lt(largest_difference(convergence_deltas(with), convergence_deltas(without)), 1e-13)
  }
  # One point, at the sequence itself: (X - baseline) times the corrected gradient.
  at_end <- call(
    "integrated_gradients", baseline = 0.25, n_steps = 2L, quadrature = "riemann_right"
  )
  middle <- attribute(model, 0.5 * (bases + 0.25), "saliency", simplex = TRUE, dtype = "float64") |>
    suppressWarnings(classes = "seqlift_warning_one_hot")
  expect_lt(
    largest_difference(at_end, (bases - 0.25) * (numbers_of(middle) + numbers_of(corrected)) / 2),
    1e-13
  )
  expect_error(call("saliency", simplex = NA), class = "seqlift_error_argument")
  expect_error(call("tism"), class = "seqlift_error_argument")
  expect_error(call("saliency", layer = "conv"), class = "seqlift_error")
})
