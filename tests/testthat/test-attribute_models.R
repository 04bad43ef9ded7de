test_that("the mean and standard error over models are those of their results", {
  models <- lapply(c("tiny", "functional", "tiny_float64"), test_model)
  X <- test_sequences(3L)
  call <- function(model, ...) {
    deep_lift_shap(model, X, n_shuffles = 3L, dtype = "float64", random_state = 5, ...)
  }
  for (hypothetical in c(TRUE, FALSE)) {
    each <- lapply(models, call, hypothetical = hypothetical)
    numbers <- vapply(each, function(one) as.vector(as.array(one)), numeric(3L * 4L * 12L))
    both <- attribute_models(models, X,
      n_shuffles = 3L, dtype = "float64", random_state = 5, hypothetical = hypothetical
    )
    expect_s3_class(both, "seqlift_attributions")
    expect_equal(as.vector(as.array(both)), rowMeans(numbers), tolerance = 1e-12)
    expect_equal(as.vector(standard_errors(both)), apply(numbers, 1L, stats::sd) / sqrt(3),
      tolerance = 1e-10
    )
    deltas <- vapply(each, convergence_deltas, matrix(0, 3L, 3L))
    expect_equal(unname(convergence_deltas(both)), unname(apply(deltas, 1:2, mean)))
  }
  expect_output(print(both), "standard errors over 3 models")
  expect_identical(standard_errors(both[2, , ]), standard_errors(both)[2, , , drop = FALSE])
  # A method without references.
  mutated <- attribute_models(models, X, func = saturation_mutagenesis)
  expect_equal(dim(standard_errors(mutated)), c(3L, 4L, 12L))
})

test_that("models that cannot be compared are refused", {
  models <- list(test_model("tiny"), test_model("functional"))
  X <- test_sequences(2L)
  refused <- function(...) expect_error(attribute_models(...), class = "seqlift_error_argument")
  refused(models[1L], X)
  refused(models[[1L]], X)
  refused(list(models[[1L]], "model"), X)
  refused(models, X, func = predict)
  refused(models, X, func = "deep_lift_shap")
  refused(models, X, raw_outputs = TRUE)
  refused(models, X, n_shuffles = c(2L, 5L))
  refused(models, X, output = tempfile())
  refused(models, X, standard_errors = TRUE)
})

# A result with standard errors, of the letters that are there or of all four bases.
spread_result <- function(X = test_sequences(3L), ...) {
  attribute_models(list(test_model("tiny"), test_model("functional")), X,
    n_shuffles = 3L, dtype = "float64", random_state = 5, ...
  )
}

test_that("standard errors follow the sequences that are taken, and arithmetic leaves them", {
  all <- spread_result()
  some <- all[c("three", "one"), , ]
  expect_identical(standard_errors(some), standard_errors(all)[c("three", "one"), , ])
  expect_identical(dimnames(standard_errors(all)), dimnames(all))
  expect_error(standard_errors(2 * all), class = "seqlift_error_argument")
  without <- deep_lift_shap(test_model("tiny"), test_sequences(2L), n_shuffles = 2L)
  expect_error(standard_errors(without), class = "seqlift_error_no_standard_errors")
  expect_identical(n_references(without), c(one = 2L, two = 2L))
})

test_that("tables have the standard error of the letter that is there", {
  X <- test_sequences(2L)
  letters <- one_hot_encode(X) == 1
  for (hypothetical in c(TRUE, FALSE)) {
    result <- spread_result(X, hypothetical = hypothetical)
    observed <- apply(standard_errors(result) * letters, c(1L, 3L), sum)
    expect_equal(as.data.frame(result)$standard_error, as.vector(t(observed)))
    by_base <- as.data.frame(result, all_bases = TRUE)
    expect_equal(by_base$standard_error, as.vector(aperm(standard_errors(result), c(2L, 3L, 1L))))
    strongest <- summary(result)
    expect_equal(strongest$standard_error, observed[cbind(1:2, strongest$position)])
  }
})

test_that("standard errors are kept in files and experiments", {
  result <- spread_result(test_sequences(4L))
  path <- expect_errors_in_file(result)
  stored <- read_h5(path, in_memory = FALSE)
  expect_errors_in_parts(result, stored)
})

test_that("tracks of standard errors have those of the letters that are there", {
  skip_if_not_installed("rtracklayer")
  result <- spread_result(test_sequences(2L))
  attribution_ranges(result) <- GenomicRanges::GRanges(c("chr1:11-22:+", "chr1:31-42:-"))
  path <- tempfile(fileext = ".bw")
  write <- function(x, ...) {
    export_bigwig(x, path = path, genome = c(chr1 = 100), what = "standard_errors", ...)
  }
  write(result)
  track <- as.data.frame(rtracklayer::import(path))
  table <- as.data.frame(result)
  expect_equal(rep(track$score, track$width), table$standard_error[order(table$pos)],
    tolerance = 1e-6
  )
  expect_error(write(result, overlaps = "mean"), class = "seqlift_error_argument")
  without <- deep_lift_shap(test_model("tiny"), test_sequences(2L), n_shuffles = 2L)
  expect_error(write(without), class = "seqlift_error_no_standard_errors")
})

test_that("whiskers are one standard error to either side of the letter", {
  result <- spread_result(test_sequences(2L))
  whiskers <- function(plot) {
    is_range <- vapply(plot$layers, function(one) inherits(one$geom, "GeomLinerange"), NA)
    if (any(is_range)) ggplot2::layer_data(plot, which(is_range))
  }
  drawn <- whiskers(plot(result, sequence = 2L, start = 3L, end = 9L))
  values <- unname(colSums(as.array(result)[2L, , 3:9]))
  errors <- unname(colSums(standard_errors(result)[2L, , 3:9]))
  kept <- errors > 0
  expect_equal(as.numeric(drawn$x), (3:9)[kept])
  expect_equal(drawn$ymin, (values - errors)[kept])
  expect_equal(drawn$ymax, (values + errors)[kept])
  expect_null(whiskers(plot_logo(result, standard_errors = FALSE)))
  hypothetical <- spread_result(test_sequences(2L), hypothetical = TRUE)
  expect_null(whiskers(plot_logo(hypothetical)))
  expect_error(plot_logo(hypothetical, standard_errors = TRUE), class = "seqlift_error_argument")
  expect_error(plot_logo(as.array(result), standard_errors = TRUE),
    class = "seqlift_error_no_standard_errors"
  )
})
