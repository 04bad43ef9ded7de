# attribute() from R's side. The gradients themselves are tested in tests/cpp and against the
# oracle.

in_double <- function(model, X, ...) attribute(model, X, ..., dtype = "float64")

# Central differences of predict() at an array X, [n, 4, L, targets].
slopes_by_differences <- function(model, X, ...) {
  f <- function(X) suppressWarnings(predict(model, X, ..., dtype = "float64"))
  step <- 1e-5
  shape <- dim(X)
  slopes <- array(0, c(shape, ncol(f(X))))
  for (base in seq_len(4L)) {
    for (position in seq_len(shape[3L])) {
      moved <- function(by) {
        X[, base, position] <- X[, base, position] + by
        f(X)
      }
      slopes[, base, position, ] <- (moved(step) - moved(-step)) / (2 * step)
    }
  }
  slopes
}

change_of <- function(model, X, baseline) {
  f <- function(X) suppressWarnings(predict(model, X, dtype = "float64"))
  f(X) - f(baseline)
}

# ---- the numbers -------------------------------------------------------------------------

test_that("saliency is the slope of the prediction, one target or all", {
  model <- test_model("tiny")
  X <- one_hot_encode(test_sequences())
  slopes <- slopes_by_differences(model, X)
  all <- in_double(model, X, "saliency", target = NULL)
  expect_lt(largest_difference(all, slopes), 1e-8)
  expect_identical(dim(all), c(3L, 4L, 12L, 3L))
  second <- in_double(model, X, "saliency", target = 2L)
  expect_lt(largest_difference(second, slopes[, , , 2L]), 1e-8)
  expect_identical(dim(second), c(3L, 4L, 12L))
  expect_equal(
    numbers_of(in_double(model, X, "saliency", target = 2L, absolute = TRUE)),
    abs(numbers_of(second))
  )
  two <- in_double(model, X, "saliency", target = c(3L, 1L))
  expect_equal(numbers_of(two), numbers_of(all)[, , , c(3L, 1L)])
})

test_that("gradient x input is the gradient at the letters that are there", {
  model <- test_model("tiny")
  X <- one_hot_encode(test_sequences())
  gradient <- in_double(model, X, "saliency", target = 1:2)
  result <- in_double(model, test_sequences(), "gradient_x_input", target = 1:2)
  expect_equal(numbers_of(result), numbers_of(gradient) * as.vector(X))
  expect_identical(dimnames(result)[[1L]], names(test_sequences()))
  expect_identical(dim(convergence_deltas(result)), c(3L, 0L, 2L))
})

test_that("integrated gradients sum to the change of the prediction from any kind of baseline", {
  model <- test_model("scaled")
  X <- one_hot_encode(test_sequences())
  shape <- dim(X)
  frequencies <- c(0.1, 0.2, 0.3, 0.4)
  own <- random_one_hot(shape, random_state = 3)
  one <- own[1L, , ]
  baselines <- list(
    list(0.25, array(0.25, shape)), list(NULL, array(0, shape)),
    list(frequencies, aperm(array(frequencies, shape[c(2L, 1L, 3L)]), c(2L, 1L, 3L))),
    list(one, aperm(array(one, shape[c(2L, 3L, 1L)]), c(3L, 1L, 2L))), list(own, own),
    list(array(own, c(shape[1L], 1L, shape[-1L])), own)
  )
  for (pair in baselines) {
    result <- in_double(model, X, "integrated_gradients", baseline = pair[[1L]], n_steps = 300L)
    sums <- apply(numbers_of(result), 1L, sum)
    change <- as.vector(change_of(model, X, pair[[2L]]))
    # The relu bends the line's slope: the quadrature converges as 1 / n there.
    expect_lt(max(abs(sums - change)), 1e-3)
    deltas <- convergence_deltas(result)
    expect_identical(dim(deltas), c(3L, 1L))
    expect_equal(as.vector(deltas), sums - change, tolerance = 1e-9)
    # (X - baseline) is a factor.
    expect_true(all(numbers_of(result)[X == pair[[2L]]] == 0))
  }
})

test_that("integrated gradients against references are the mean over them", {
  model <- test_model("scaled")
  X <- test_sequences()
  made <- array(0, c(3L, 2L, 4L, 12L))
  for (j in 1:2) {
    made[, j, , ] <- dinucleotide_shuffle(X, n = 1L, random_state = 4 + j)[, 1L, , ]
  }
  each <- lapply(1:2, \(j) in_double(model, X, "integrated_gradients", baseline = made[, j, , ]))
  both <- in_double(model, X, "integrated_gradients", baseline = made)
  expect_equal(numbers_of(both), (numbers_of(each[[1L]]) + numbers_of(each[[2L]])) / 2)
  expect_equal(
    convergence_deltas(both), do.call(cbind, lapply(each, convergence_deltas)),
    ignore_attr = TRUE
  )
})

test_that("a function as baseline makes the references of deep_lift_shap()", {
  model <- test_model("scaled")
  X <- test_sequences()
  references <- references(deep_lift_shap(model, X,
    n_shuffles = 3L, random_state = 5, return_references = TRUE
  ))
  by_function <- in_double(model, X, "integrated_gradients",
    baseline = dinucleotide_shuffle, n_shuffles = 3L, random_state = 5
  )
  by_array <- in_double(model, X, "integrated_gradients", baseline = unname(references))
  expect_equal(numbers_of(by_function), numbers_of(by_array))
})

test_that("Captum's trapezoid sums to (n - 1) / n of what the trapezoid sums to", {
  model <- test_model("scaled")
  run <- function(quadrature, n_steps = 50L) {
    in_double(model, test_sequences(), "integrated_gradients",
      quadrature = quadrature, n_steps = n_steps
    )
  }
  expect_equal(numbers_of(run("riemann_trapezoid")), 0.98 * numbers_of(run("trapezoid")))
  expect_lt(max(abs(convergence_deltas(run("trapezoid", 2000L)))), 1e-4)
  exact <- run("gausslegendre", 1000L)
  for (quadrature in c("riemann_left", "riemann_right", "riemann_middle", "trapezoid")) {
    expect_lt(largest_difference(run(quadrature, 1000L), exact), 5e-3)
    expect_gt(largest_difference(run(quadrature, 10L), exact), 1e-6)
  }
})

test_that("expected gradients approach the change of the prediction, and have a seed", {
  model <- test_model("scaled")
  X <- test_sequences()
  run <- function(...) in_double(model, X, "expected_gradients", ...)
  result <- run(n_shuffles = 2000L, random_state = 1)
  deltas <- convergence_deltas(result)
  expect_identical(dim(deltas), c(3L, 2000L))
  error <- apply(deltas, 1L, stats::sd) / sqrt(2000)
  expect_true(all(abs(rowMeans(deltas)) < 4 * error))
  few <- run(n_shuffles = 3L, random_state = 1)
  expect_equal(numbers_of(run(n_shuffles = 3L, random_state = 1, batch_size = 2L)), numbers_of(few))
  expect_gt(largest_difference(run(n_shuffles = 3L, random_state = 2), few), 1e-6)
  set.seed(1)
  drawn <- run(n_shuffles = 3L)
  set.seed(1)
  expect_identical(numbers_of(run(n_shuffles = 3L)), numbers_of(drawn))
})

test_that("smoothgrad without noise is the gradient, and with noise has a seed", {
  model <- test_model("scaled")
  X <- test_sequences()
  run <- function(...) in_double(model, X, "smoothgrad", ...)
  expect_equal(numbers_of(run(sd = 0, n_samples = 3L)), numbers_of(in_double(model, X, "saliency")))
  result <- run(random_state = 3)
  expect_equal(numbers_of(run(random_state = 3, batch_size = 7L)), numbers_of(result))
  expect_gt(largest_difference(run(random_state = 4), result), 1e-6)
  # A sequence has its noise wherever it stands.
  last <- in_double(model, X[3L], "smoothgrad", random_state = 5)
  expect_equal(numbers_of(last)[1L, , ], numbers_of(result)[3L, , ])
})

test_that("guided backpropagation and deconvolution act on every relu, module or function", {
  for (method in c("guided_backprop", "deconvnet")) {
    by_hand <- function(x, target) {
      hidden <- tiny_hidden(x)
      back <- matrix(pattern_weights(c(3L, 20L))[target, ], 2L, 10L, byrow = TRUE)
      back <- pmax(back, 0) * (if (method == "guided_backprop") hidden > 0 else 1)
      kernel <- pattern_weights(c(2L, 4L, 3L))
      gradient <- matrix(0, 4L, 12L)
      for (channel in 1:2) {
        for (position in 1:10) {
          window <- position + 0:2
          gradient[, window] <- gradient[, window] + kernel[channel, , ] * back[channel, position]
        }
      }
      gradient
    }
    X <- one_hot_encode(test_sequences())
    result <- in_double(test_model("tiny"), X, method, target = 2L)
    for (i in 1:3) {
      expect_equal(numbers_of(result)[i, , ], by_hand(X[i, , ], 2L), tolerance = 1e-6)
    }
  }
})

test_that("mean_normalise explains a target less the mean of all", {
  model <- test_model("tiny")
  X <- test_sequences()
  all <- numbers_of(in_double(model, X, "saliency", target = NULL))
  less <- in_double(model, X, "saliency", target = 2L, mean_normalise = TRUE)
  expect_equal(numbers_of(less), all[, , , 2L] - apply(all, 1:3, mean))
})

# ---- what must not matter ----------------------------------------------------------------

test_that("batches, threads and single sequences do not change a result", {
  model <- test_model("scaled")
  X <- test_sequences(5L)
  for (method in c("saliency", "integrated_gradients", "guided_backprop")) {
    whole <- numbers_of(in_double(model, X, method))
    for (batch_size in c(1L, 3L, 64L)) {
      part <- with_threads(2L, in_double(model, X, method, batch_size = batch_size))
      expect_equal(numbers_of(part), whole, tolerance = 1e-12)
    }
    expect_equal(numbers_of(in_double(model, X[2L], method))[1L, , ], whole[2L, , ])
  }
  squeezed <- test_model("squeezed")
  whole <- numbers_of(in_double(squeezed, X, "saliency"))
  expect_equal(numbers_of(in_double(squeezed, X, "saliency", batch_size = 1L)), whole)
})

# ---- what R users expect of the result ----------------------------------------------------

test_that("a result without references prints, sums up and indexes", {
  result <- in_double(test_model("tiny"), test_sequences(), "saliency", target = 1:2)
  text <- utils::capture.output(print(result))
  expect_match(text, "saliency", all = FALSE)
  expect_no_match(paste(text, collapse = " "), "reference|delta|Inf")
  table <- expect_silent(summary(result[, , , 1L]))
  expect_named(table, c("sequence", "sum", "position", "base", "attribution"))
  expect_identical(dim(convergence_deltas(result[2L, , , 1L])), c(1L, 0L))
  expect_s3_class(plot(result[1L, , , 1L]), "ggplot")
  expect_error(plot_deltas(result), class = "seqlift_error_argument")
})

# ---- errors --------------------------------------------------------------------------------

test_that("every wrong argument is an error of its own", {
  model <- test_model("tiny")
  X <- test_sequences()
  fails <- function(..., kind = "argument") {
    expect_error(attribute(model, X, ...), class = paste0("seqlift_error_", kind))
  }
  fails()
  fails("deep")
  fails("saliency", target = 0)
  fails("saliency", target = 4L, kind = "target")
  fails("saliency", absolute = NA)
  fails("saliency", batch_size = 0)
  fails("saliency", mean_normalise = 1)
  fails("saliency", layer = "nowhere", kind = "layer")
  fails("saliency", layer = 1)
  fails("saliency", layer = "conv", explain_args = TRUE)
  fails("saliency", target_layer = c("conv", "relu"))
  fails("saliency", target_layer = "conv", kind = "output")
  fails("integrated_gradients", baseline = c(1, 2))
  fails("integrated_gradients", baseline = array(0, c(4L, 5L)))
  fails("integrated_gradients", baseline = NA_real_)
  fails("integrated_gradients", baseline = array(0, c(3L, 2L, 4L, 5L)), kind = "references")
  fails("integrated_gradients", quadrature = "simpson")
  fails("integrated_gradients", quadrature = "trapezoid", n_steps = 1L)
  fails("integrated_gradients", args_baseline = list(1))
  fails("expected_gradients", references = 1)
  fails("smoothgrad", n_samples = 0)
  fails("smoothgrad", sd = -1)
  expect_error(attribute(model, X, "saliency", steps = 3), class = "seqlift_error_argument")
  expect_error(attribute(model, c("AC", "A"), "saliency"), class = "seqlift_error_sequence")
  expect_error(attribute("tiny", X, "saliency"), class = "seqlift_error_argument")
  expect_error(
    attribute(test_model("not_finite"), "AAAAAAAAAAAA", "saliency"),
    class = "seqlift_error_not_finite"
  )
})

test_that("a module that cannot be a layer is named", {
  expect_snapshot(error = TRUE, {
    attribute(test_model("tiny"), test_sequences(), "saliency", layer = "nowhere")
    attribute(test_model("tiny"), test_sequences(), "saliency", target_layer = "conv")
  })
})

test_that("an argument that the method does not look at is refused, its default is not", {
  model <- test_model("tiny")
  X <- test_sequences(2L)
  unused <- list(
    saliency = list(n_steps = 10L), gradient_x_input = list(absolute = TRUE),
    integrated_gradients = list(n_samples = 5L),
    expected_gradients = list(n_steps = 10L), smoothgrad = list(baseline = 0.25),
    guided_backprop = list(sd = 0.2),
    deconvnet = list(references = reversed_references(X)), tism = list(layer = "conv"),
    deep_lift_rescale = list(baseline = 0.25)
  )
  for (method in names(unused)) {
    arguments <- c(list(model, X, method), unused[[method]])
    error <- expect_error(do.call(attribute, arguments), class = "seqlift_error_argument")
    expect_match(
      conditionMessage(error), paste0("`", names(unused[[method]]), "` must be left out"),
      fixed = TRUE
    )
  }
  plain <- attribute(model, X, "saliency")
  expect_identical(
    numbers_of(attribute(model, X, "saliency", n_steps = 50L, layer = NULL, random_state = 7)),
    numbers_of(plain)
  )
})
