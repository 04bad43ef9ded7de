several <- function(n = 3L, ranges = FALSE) {
  X <- test_sequences(n)
  base <- ranged_result(n, ranges = ranges)
  other <- ranged_result(n, values = 2 * numbered_values(n), ranges = ranges)
  list(K562 = base, HepG2 = other)
}

test_that("each model's result comes out as from the call alone", {
  models <- list(a = load_model(model_path("tiny")), b = load_model(model_path("tiny")))
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC")
  each <- attribute_models(models, X, n_shuffles = 2L, random_state = 3, each = TRUE)
  expect_named(each, c("a", "b"))
  alone <- deep_lift_shap(models$a, X, n_shuffles = 2L, random_state = 3)
  expect_equal(as.array(each$a), as.array(alone))
  expect_named(
    attribute_models(unname(models), X, n_shuffles = 2L, each = TRUE), c("model_1", "model_2")
  )
  expect_error(attribute_models(models, X, each = NA), "each", class = "seqlift_error_argument")
})

test_that("a logo of several models has a panel for each, and for differences from the first", {
  results <- several()
  plot <- plot_logo(results, sequence = 2L, difference = TRUE)
  built <- ggplot2::ggplot_build(plot)
  expect_identical(as.character(built$layout$layout$panel), c("K562", "HepG2", "HepG2 \u2212 K562"))
  letters <- Filter(function(layer) inherits(layer$geom, "GeomPolygon"), plot$layers)[[1L]]$data
  values <- numbered_values()[2L, ]
  heights <- function(panel) {
    own <- letters[letters$panel == panel, ]
    ends <- tapply(own$y, round(own$x - 0.01), function(y) y[which.max(abs(y))])
    unname(ends[as.character(1:12)])
  }
  expect_equal(as.vector(heights("K562")), values)
  expect_equal(as.vector(heights("HepG2")), 2 * values)
  expect_equal(as.vector(heights("HepG2 \u2212 K562")), values)
  expect_identical(nrow(ggplot2::ggplot_build(plot_logo(results))$layout$layout), 2L)
})

test_that("annotations, coordinates and lines of information are those of the sequence", {
  results <- several(ranges = TRUE)
  marks <- data.frame(
    start = c(2L, 4L), end = c(3L, 6L), example = c(1L, 2L), name = c("not here", "site")
  )
  plot <- plot_logo(results, sequence = 2L, annotations = marks, difference = TRUE, info = TRUE,
    coordinates = "genome")
  built <- ggplot2::ggplot_build(plot)
  texts <- unlist(lapply(built$data, `[[`, "label"))
  expect_identical(unique(texts), "site")
  expect_length(texts, 3L)
  expect_match(built$layout$panel_params[[1L]]$x$get_labels(), "^2[0-9]{2}$")
  stacked <- stack_models(results, 2L, NULL, TRUE, TRUE, NULL)
  expect_match(unclass(stacked$info)[1:2], "sum")
  expect_identical(unclass(stacked$info)[3L], "")
  expect_match(
    unclass(stack_models(results, 2L, NULL, FALSE, list(1:3, 4:6), NULL)$info), "prediction [25],"
  )
})

test_that("results of other sequences, targets or kinds of lists are no models", {
  results <- several()
  refused <- function(words, ...) {
    expect_error(plot_logo(...), words, class = "seqlift_error_argument")
  }
  refused("name of its own", unname(results))
  refused("sequences and positions", list(a = results[[1L]], b = results[[2L]][2:1, , ]))
  refused("one sequence", results, sequence = 1:2)
  refused("difference", results[1L], difference = TRUE)
  refused("difference", results[[1L]], difference = TRUE)
  refused("info", results, info = 1:3)
  refused("attributions\\$b", list(a = results[[1L]], b = 1))
})

test_that("results are assays of one SummarizedExperiment, and come back", {
  skip_if_not_installed("SummarizedExperiment")
  skip_if_not_installed("Biostrings")
  for (ranges in c(FALSE, TRUE)) {
    results <- several(ranges = ranges)
    se <- as_summarized_experiment(results)
    expect_identical(
      SummarizedExperiment::assayNames(se), c("K562", "K562.by_base", "HepG2", "HepG2.by_base")
    )
    expect_equal(unname(SummarizedExperiment::assay(se, "HepG2")), 2 * numbered_values())
    expect_true(
      all(
        c(
          "max_delta.K562", "convergence_deltas.HepG2"
        ) %in% names(SummarizedExperiment::rowData(se))
      )
    )
    expect_identical(methods::is(se, "RangedSummarizedExperiment"), ranges)
    back <- as_seqlift_attributions(se)
    alone <- lapply(results, function(one) as_seqlift_attributions(as_summarized_experiment(one)))
    expect_identical(back, alone)
    # Rows of it.
    expect_identical(as_seqlift_attributions(se[2:3, ])$HepG2, alone$HepG2[2:3, , ])
  }
})

test_that("standard errors are assays too", {
  skip_if_not_installed("SummarizedExperiment")
  skip_if_not_installed("Biostrings")
  model <- load_model(model_path("tiny"))
  one <- deep_lift_shap(
    model, c(a = "ACGTTGCAAGTC"), n_shuffles = 3L, random_state = 0, standard_errors = TRUE
  )
  se <- as_summarized_experiment(list(a = one, b = one))
  expect_true("b.standard_error" %in% SummarizedExperiment::assayNames(se))
  expect_equal(standard_errors(as_seqlift_attributions(se)$b), standard_errors(one))
  plot <- plot_logo(list(a = one, b = one), difference = TRUE)
  expect_true(any(vapply(plot$layers, function(layer) inherits(layer$geom, "GeomLinerange"), NA)))
})

test_that("results are experiments of a MultiAssayExperiment, joined by their positions", {
  skip_if_not_installed("MultiAssayExperiment")
  skip_if_not_installed("Biostrings")
  results <- several()
  both <- as_multi_assay_experiment(results)
  expect_true(methods::validObject(both))
  expect_identical(names(both), c("K562", "HepG2"))
  expect_identical(both$position, 1:12)
  middle <- both[, both$offset == 0L, ]
  expect_identical(
    unname(vapply(as.list(MultiAssayExperiment::experiments(middle)), ncol, 0L)), c(1L, 1L)
  )
  one <- MultiAssayExperiment::experiments(both)[["HepG2"]]
  expect_equal(unname(SummarizedExperiment::assay(one, "attribution")), 2 * numbered_values())
  expect_error(as_multi_assay_experiment(1), class = "seqlift_error_argument")
})
