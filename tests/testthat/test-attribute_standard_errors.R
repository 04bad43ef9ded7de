# The scores of every reference, from the multipliers of every reference: what the standard errors
# are of.
scores_of_references <- function(model, X, seed, n_shuffles, target = 1L) {
  raw <- deep_lift_shap(model, X,
    n_shuffles = n_shuffles, random_state = seed, raw_outputs = TRUE, return_references = TRUE,
    dtype = "float64", target = target
  )
  array(hypothetical_attributions(as.array(raw), X, references(raw)), dim(raw))
}

error_of_mean <- function(scores) {
  apply(scores, c(1L, 3L, 4L), stats::sd) / sqrt(dim(scores)[2L])
}

explained <- function(model, X, ..., seed = 3) {
  deep_lift_shap(model, X, random_state = seed, dtype = "float64", ...)
}

test_that("standard errors are sd(per-reference scores) / sqrt(n), and change nothing else", {
  X <- test_sequences()
  letters <- one_hot_encode(X)
  for (name in c("tiny", "functional", "transformer")) {
    model <- test_model(name)
    for (n_shuffles in c(2L, 7L)) {
      expected <- error_of_mean(scores_of_references(model, X, 3, n_shuffles))
      for (batch_size in c(1L, 32L)) {
        for (hypothetical in c(TRUE, FALSE)) {
          call <- function(errors) {
            explained(model, X, n_shuffles = n_shuffles, hypothetical = hypothetical,
              batch_size = batch_size, standard_errors = errors
            )
          }
          with <- call(TRUE)
          shown <- if (hypothetical) expected else expected * as.vector(letters)
          expect_lt(largest_difference(standard_errors(with), shown), 1e-12)
          expect_identical(numbers_of(with), numbers_of(call(FALSE)))
          expect_identical(dimnames(standard_errors(with)), dimnames(with))
        }
      }
    }
  }
})

test_that("standard errors of several targets are those of one target each", {
  model <- test_model("functional")
  X <- test_sequences(2L)
  both <- explained(model, X, target = 1:2, n_shuffles = 4L, standard_errors = TRUE)
  for (target in 1:2) {
    one <- explained(model, X, target = target, n_shuffles = 4L, standard_errors = TRUE)
    expect_lt(largest_difference(standard_errors(both)[, , , target], standard_errors(one)), 1e-12)
    expect_identical(standard_errors(both[, , , target]), standard_errors(both)[, , , target])
  }
})

test_that("standard errors are kept in files and experiments", {
  model <- test_model("tiny")
  X <- test_sequences(4L)
  result <- explained(model, X, n_shuffles = 5L, standard_errors = TRUE)
  expect_errors_in_file(result)
  streamed <- tempfile(fileext = ".h5")
  stored <- explained(model, X, n_shuffles = 5L, standard_errors = TRUE, output = streamed)
  expect_errors_in_parts(result, stored)
})

test_that("references until stable are the first of a fixed number, which is told", {
  model <- test_model("functional")
  X <- test_sequences(5L)
  result <- explained(model, X,
    n_shuffles = c(3L, 20L), tolerance = 0.35, standard_errors = TRUE
  )
  used <- n_references(result)
  expect_named(used, names(X))
  expect_gt(length(unique(used)), 1L)
  expect_true(all(used >= 3L & used <= 20L & (used %% 3L == 0L | used == 20L)))
  for (i in seq_along(X)) {
    alone <- explained(model, X[i], n_shuffles = used[[i]], standard_errors = TRUE)
    expect_lt(largest_difference(alone, result[i, , ]), 1e-13)
    expect_lt(largest_difference(standard_errors(alone), standard_errors(result)[i, , ]), 1e-13)
    deltas <- convergence_deltas(result)[i, ]
    expect_identical(is.na(unname(deltas)), seq_len(20L) > used[[i]])
    expect_lt(max(abs(deltas[seq_len(used[[i]])] - convergence_deltas(alone))), 1e-13)
  }
  # Each stopped at the first block after which its ten largest were sure enough.
  ratio <- function(i, n) {
    scores <- explained(model, X[i], n_shuffles = n, standard_errors = TRUE)
    values <- abs(apply(as.array(scores), 3L, sum))
    errors <- apply(standard_errors(scores), 3L, sum)
    largest <- order(-values)[1:10]
    if (all(errors == 0)) 0 else sum(errors[largest]) / sum(values[largest])
  }
  for (i in seq_along(X)) {
    before <- seq(3L, used[[i]], by = 3L)
    before <- before[before < used[[i]]]
    expect_true(all(vapply(before, function(n) ratio(i, n), 0) > 0.35))
    expect_true(used[[i]] == 20L || ratio(i, used[[i]]) <= 0.35)
  }
  expect_output(print(result), "to [0-9]+ references a sequence")
  expect_identical(summary(result)$references, unname(used))
  expect_true(is.finite(max(summary(result)$max_delta)))
  expect_s3_class(plot_deltas(result), "ggplot")
})

test_that("references until stable do not depend on the other sequences, the batch or the file", {
  model <- test_model("functional")
  X <- test_sequences(5L)
  call <- function(...) {
    explained(model, ..., n_shuffles = c(2L, 15L), tolerance = 0.4, hypothetical = TRUE)
  }
  whole <- call(X)
  expect_error(standard_errors(whole), class = "seqlift_error_no_standard_errors")
  part <- call(X[4:5], batch_size = 3L)
  expect_identical(n_references(part), n_references(whole)[4:5])
  expect_lt(largest_difference(part, whole[4:5, , ]), 1e-13)
  skip_if_not_installed("HDF5Array")
  path <- tempfile(fileext = ".h5")
  stored <- call(X, output = path)
  expect_identical(n_references(stored), n_references(whole))
  expect_lt(largest_difference(as.array(stored), whole), 1e-13)
})

test_that("a function of references is asked for the same ones in blocks", {
  model <- test_model("tiny")
  X <- test_sequences(2L)
  asked <- list()
  draw <- function(X, n, random_state) {
    asked[[length(asked) + 1L]] <<- random_state
    random_one_hot(c(1L, 4L, 12L), random_state = random_state)
  }
  call <- function(n_shuffles, ...) {
    explained(model, X, references = draw, n_shuffles = n_shuffles, ...)
  }
  in_blocks <- call(c(2L, 7L), tolerance = 1e-6)
  expect_identical(sort(unlist(asked)), rep(3 + 0:6, each = 2L))
  expect_lt(largest_difference(in_blocks, call(7L)), 1e-13)
})

test_that("what has no standard error is refused before any work", {
  model <- test_model("tiny")
  X <- test_sequences(2L)
  refused <- function(...) {
    expect_error(explained(model, X, ...), class = "seqlift_error_argument")
  }
  refused(standard_errors = TRUE, n_shuffles = 1L)
  refused(standard_errors = TRUE, raw_outputs = TRUE)
  refused(standard_errors = TRUE, references = array(0.25, c(2L, 1L, 4L, 12L)))
  refused(standard_errors = TRUE, references = background_frequencies())
  refused(n_shuffles = c(2L, 5L), references = background_frequencies())
  refused(standard_errors = NA)
  refused(tolerance = 0.1)
  for (wrong in list(c(1L, 5L), c(6L, 5L), c(2.5, 5), c(NA, 5L))) {
    refused(n_shuffles = wrong)
  }
  refused(n_shuffles = 1:3)
  for (wrong in list(0, -1, NA, "a", c(0.1, 0.2), Inf)) {
    refused(n_shuffles = c(2L, 5L), tolerance = wrong)
  }
  refused(n_shuffles = c(2L, 5L), raw_outputs = TRUE)
  refused(n_shuffles = c(2L, 5L), return_references = TRUE)
  refused(n_shuffles = c(2L, 5L), rules = "module")
  refused(n_shuffles = c(2L, 5L), references = array(0.25, c(2L, 5L, 4L, 12L)))
})
