# Scores of bins and tracks: what they are, what explains them, and where they are refused.

squashed <- c(scale = 0.5, clip = 2, power = 0.75)

test_that("a score is what R computes from the raw output", {
  choices <- list(
    list(bins = NULL, tracks = NULL), list(bins = 2:4, tracks = 2L),
    list(bins = c(5L, 1L, 2L), tracks = c(3L, 1L)), list(bins = 3L, tracks = 1:2)
  )
  for (name in names(binned_cases())) {
    case <- binned_cases()[[name]]
    output <- bins_of_output(case$model, case$X, case$tracks_first)
    for (choice in choices) {
      for (transform in bin_transform_names) {
        for (squashing in list(NULL, squashed)) {
          model <- select_bins(case$model, choice$bins, choice$tracks, transform,
            squashing = squashing
          )
          expected <- bin_score_by_hand(output, choice$bins, choice$tracks, transform, squashing)
          given <- numbers_of(predict(model, case$X, dtype = "float64"))
          expect_identical(dim(given), dim(expected))
          expect_lt(largest_difference(given, expected), 1e-12)
        }
      }
    }
    # The choices differ, and so do the sequences.
    one <- predict(select_bins(case$model, 2:4, 2L), case$X, dtype = "float64")
    expect_gt(abs(one[1L] - one[2L]), 1e-4)
    expect_gt(largest_difference(one, predict(select_bins(case$model, 3:5, 2L), case$X)), 1e-4)
    expect_gt(largest_difference(one, predict(select_bins(case$model, 2:4, 1L), case$X)), 1e-4)
  }
})

test_that("some squashed predictions lie above the clip and some below", {
  output <- bins_of_output(test_model("bins_of_tracks"), binned_sequences(), FALSE) / 0.5
  expect_true(any(output > 2) && any(output < 2))
})

test_that("a pseudocount is added before the logarithm of log_sum and log_mean alone", {
  model <- test_model("bins_of_tracks")
  X <- binned_sequences()
  output <- bins_of_output(model, X, FALSE)
  for (transform in bin_transform_names) {
    given <- predict(select_bins(model, 2:3, 1L, transform, pseudocount = 3), X, dtype = "float64")
    expected <- bin_score_by_hand(output, 2:3, 1L, transform, pseudocount = 3)
    expect_lt(largest_difference(given, expected), 1e-12)
  }
})

test_that("tracks are chosen by their names", {
  model <- test_model("bins_of_tracks")
  X <- binned_sequences()
  names <- c("DNASE", "CAGE", "RNA", "RNA")
  expect_identical(
    predict(select_bins(model, tracks = c("CAGE", "DNASE"), track_names = names), X),
    predict(select_bins(model, tracks = 1:2), X)
  )
  wrong <- function(tracks, track_names = names) {
    expect_error(select_bins(model, tracks = tracks, track_names = track_names),
      class = "seqlift_error_argument"
    )
  }
  wrong("RNA")
  wrong("ATAC")
  wrong(NA_character_)
  wrong("DNASE", NULL)
  wrong("DNASE", names[-1L])
  wrong("DNASE", 1:4)
  wrong(c("DNASE", "DNASE"))
})

# ---- what explains it ------------------------------------------------------------------------

test_that("attributions by DeepLIFT add up to the change of the score", {
  for (name in names(binned_cases())) {
    case <- binned_cases()[[name]]
    for (transform in c("sum", "log_sum", "log1p_mean")) {
      for (squashing in list(NULL, squashed)) {
        model <- select_bins(case$model, c(1:2, 5L), c(1L, 3L), transform, squashing = squashing)
        given <- deep_lift_shap(model, case$X,
          n_shuffles = 3L, random_state = 0, dtype = "float64", raw_outputs = FALSE
        )
        expect_lt(max(abs(convergence_deltas(given))), 1e-10)
        expect_gt(max(abs(given)), 1e-5)
      }
    }
  }
})

test_that("module mode adds up where the parts that are not linear are registered", {
  model <- select_bins(test_model("bins_of_tracks"), 2:4, 1:2, "log_sum", squashing = squashed)
  explain <- function(...) {
    deep_lift_shap(model, binned_sequences(),
      rules = "module", n_shuffles = 3L, random_state = 0, dtype = "float64", ...
    )
  }
  by_class <- c(LogScore = "rescale", Unsquash = "rescale")
  by_path <- c("select_bins().log" = "rescale", "select_bins().unsquash" = "rescale")
  suppressWarnings({
    plain <- explain()
    registered <- explain(nonlinear_ops = by_class)
    expect_identical(numbers_of(registered), numbers_of(explain(nonlinear_ops = by_path)))
  })
  expect_gt(largest_difference(plain, registered), 1e-3)
  audit <- audit_model(model, binned_sequences())
  expect_true(all(c("seqlift.BinScore", "seqlift.LogScore", "seqlift.Unsquash") %in% audit$class))
})

test_that("gradients are those of finite differences", {
  case <- binned_cases()$enformer
  model <- select_bins(case$model, c(2L, 4L), c(1L, 3L), "log_sum", squashing = squashed)
  X <- case$X[1L, , , drop = FALSE]
  gradient <- attribute(model, X, "saliency", absolute = FALSE, dtype = "float64")
  f <- function(X) predict(model, X, dtype = "float64")[1L]
  for (at in list(c(1L, 3L), c(2L, 11L), c(4L, 16L), c(3L, 25L))) {
    step <- 1e-5
    up <- down <- X
    up[1L, at[1L], at[2L]] <- up[1L, at[1L], at[2L]] + step
    down[1L, at[1L], at[2L]] <- down[1L, at[1L], at[2L]] - step
    expected <- suppressWarnings(f(up) - f(down)) / (2 * step)
    expect_equal(gradient[1L, at[1L], at[2L]], expected, tolerance = 1e-5)
  }
})

test_that("every method explains it", {
  case <- binned_cases()[["bins, tracks"]]
  model <- select_bins(case$model, 2:4, c(1L, 3L), "log1p_sum")
  methods <- names(c(attribution_methods, deep_lift_methods))
  expect_gt(length(methods), 9L)
  for (method in methods) {
    given <- attribute(model, case$X, method, random_state = 0)
    expect_true(all(is.finite(given)), info = method)
    expect_gt(max(abs(given)), 0, label = method)
  }
  expect_identical(dim(taylor_ism(model, case$X)), c(3L, 4L, 24L))
  expect_identical(dim(pisa(model, case$X, random_state = 0)), c(3L, 1L, 4L, 24L))
})

test_that("mutagenesis in windows is that of whole copies", {
  for (name in names(binned_cases())) {
    case <- binned_cases()[[name]]
    for (choice in list(list(2:4, 2L), list(c(1L, 4L, 5L), c(1L, 3L)), list(NULL, NULL))) {
      model <- select_bins(case$model, choice[[1L]], choice[[2L]], "log_sum",
        squashing = squashed
      )
      raw <- function(method) {
        saturation_mutagenesis(model, case$X,
          method = method, raw_outputs = TRUE, dtype = "float64"
        )$y_hat
      }
      full <- raw("full")
      expect_lt(largest_difference(raw("incremental"), full), 1e-12)
      expect_gt(max(abs(full - mean(full))), 1e-5)
    }
  }
})

# ---- with what else can be put around a model ------------------------------------------------

test_that("an output that is chosen, or one of several by its number or name, is scored", {
  X <- random_one_hot(c(2, 4, 32), random_state = 1)
  both <- enformer(enformer_dict(), target_length = 4)
  mouse <- predict(select_bins(enformer(enformer_dict(), head = "mouse", target_length = 4), 2L), X)
  expect_identical(predict(select_bins(both, 2L, index = 2L), X), mouse)
  expect_identical(predict(select_bins(both, 2L, index = "mouse"), X), mouse)
  expect_identical(predict(select_bins(select_output(both, 2), 2L), X), mouse)
  expect_identical(predict(select_output(select_bins(both, 2L, index = 2L), 1), X), mouse)
  expect_error(select_bins(both, 2L, index = 3L), class = "seqlift_error_argument")
  expect_error(select_bins(both, 2L, tracks = 3L, index = 2L), class = "seqlift_error_argument")
})

test_that("an ensemble of scores is their mean, a score of an ensemble that of the mean", {
  X <- binned_sequences()
  model <- test_model("bins_of_tracks")
  a <- select_bins(model, 2:3, 1L, "log_sum")
  b <- select_bins(model, c(1L, 4L), 2:4, "mean")
  both <- ensemble(a, b, weights = c(3, 1))
  in_double <- function(model) predict(model, X, dtype = "float64")
  expect_equal(in_double(both), 0.75 * in_double(a) + 0.25 * in_double(b), tolerance = 1e-12)
  explained <- deep_lift_shap(both, X, n_shuffles = 2L, random_state = 0, dtype = "float64")
  expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
  other <- test_model("bins_of_tracks")
  of_mean <- select_bins(ensemble(model, other), 2:3, 1L, "log_sum")
  expect_equal(in_double(of_mean), in_double(a), tolerance = 1e-12)
  enformers <- ensemble(binned_cases()$enformer$model, binned_cases()$enformer$model)
  expect_false(select_bins(enformers, 1L)$wrappers[[1L]]$tracks_first)
})

test_that("bins are chosen from the mean over both strands, not the other way round", {
  X <- one_hot_encode(binned_sequences())
  turned <- X[, 4:1, 24:1]
  for (tracks_first in c(FALSE, TRUE)) {
    model <- test_model(if (tracks_first) "tracks_of_bins" else "bins_of_tracks")
    word <- if (tracks_first) "positions" else "bins"
    strands <- reverse_complement_average(model, outputs = word)
    given <- predict(select_bins(strands, c(1L, 2L, 4L), 1:2, "log_sum"), X, dtype = "float64")
    ahead <- bins_of_output(model, X, tracks_first)
    back <- bins_of_output(model, turned, tracks_first)[, 6:1, ]
    expected <- bin_score_by_hand((ahead + back) / 2, c(1L, 2L, 4L), 1:2, "log_sum")
    expect_lt(largest_difference(given, expected), 1e-12)
    expect_gt(largest_difference(ahead, back), 1e-2)
    around <- select_bins(model, 1:2)
    expect_error(reverse_complement_average(around), class = "seqlift_error_argument")
    expect_error(reverse_complement_average(ensemble(around)), class = "seqlift_error_argument")
    path <- tempfile(fileext = ".pt")
    save_model(around, path)
    expect_error(reverse_complement_average(load_model(path)), class = "seqlift_error_argument")
  }
})

test_that("a saved score predicts and is explained as before", {
  for (name in names(binned_cases())) {
    case <- binned_cases()[[name]]
    model <- select_bins(case$model, c(1L, 3L), c(1L, 3L), "log_sum", squashing = squashed)
    path <- tempfile(fileext = ".pt")
    save_model(model, path)
    again <- load_model(path)
    expect_identical(predict(again, case$X), predict(model, case$X))
    explain <- function(model) {
      numbers_of(deep_lift_shap(model, case$X, n_shuffles = 2L, random_state = 0))
    }
    expect_equal(explain(again), explain(model), tolerance = 1e-6)
    expect_true("select_bins.log" %in% again$info$modules)
    rds <- tempfile(fileext = ".rds")
    saveRDS(model, rds)
    expect_identical(predict(readRDS(rds), case$X), predict(model, case$X))
  }
})

# ---- how the output lies ---------------------------------------------------------------------

test_that("the dimension of the bins is found, or must be given", {
  first <- function(model, ...) select_bins(model, 1L, ...)$wrappers[[1L]]$tracks_first
  expect_true(first(test_model("tracks_of_bins")))
  expect_false(first(test_model("bins_of_tracks")))
  expect_false(first(binned_cases()$enformer$model))
  expect_true(first(binned_cases()$borzoi$model))
  # Files keep the class.
  path <- tempfile(fileext = ".pt")
  save_model(binned_cases()$enformer$model, path)
  expect_false(first(load_model(path)))
  expect_error(first(test_model("tracks_of_bins"), order = "bins_tracks"),
    "grows with the sequence", class = "seqlift_error_argument"
  )
  expect_true(first(test_model("tracks_of_bins"), order = "tracks_bins"))
  middle <- test_model("middle_bins")
  expect_error(select_bins(middle, 1L), "order", class = "seqlift_error_argument")
  X <- paste0(binned_sequences(), "ACGTTGCATTGA")
  output <- bins_of_output(middle, X, FALSE)
  expect_lt(largest_difference(
    predict(select_bins(middle, 2:3, 2L, order = "bins_tracks"), X, dtype = "float64"),
    bin_score_by_hand(output, 2:3, 2L, "sum")
  ), 1e-12)
  expect_lt(largest_difference(
    predict(select_bins(middle, 2:3, 2L, order = "tracks_bins"), X, dtype = "float64"),
    bin_score_by_hand(aperm(output, c(1L, 3L, 2L)), 2:3, 2L, "sum")
  ), 1e-12)
})

test_that("print() says what is scored", {
  expect_snapshot(transform = without_paths, {
    select_bins(test_model("bins_of_tracks"), c(2, 3, 5), c(1, 3), "log_sum", squashing = squashed)
    select_bins(test_model("tracks_of_bins"), tracks = 2)
  })
  expect_identical(
    model_label(select_bins(test_model("bins_of_tracks"), 2:4, 1, "mean")),
    "bins_of_tracks.pt |> select_bins(1; bins 2-4; track 1; mean)"
  )
  expect_identical(
    numbers_text(c(1:3, 5L, 7:8, 10L, 12L, 14L)), "1-3, 5, 7-8, 10, and 2 more stretches"
  )
})

test_that("the code in a report puts the same score around a model", {
  X <- binned_sequences()
  for (model in list(
    select_bins(test_model("bins_of_tracks"), c(2, 3, 5), c(1, 3), "log_mean",
      squashing = c(scale = 0.3, power = 0.7), pseudocount = 0.1
    ),
    select_bins(test_model("tracks_of_bins"), squashing = squashed),
    profile_score(test_model("tiny"))
  )) {
    whole <- model
    whole$wrappers <- list()
    for (code in vapply(model$wrappers, wrapper_code, "")) {
      whole <- eval(str2lang(sub("(", "(whole, ", code, fixed = TRUE)))
    }
    expect_identical(whole$wrappers, model$wrappers)
  }
})

# ---- what is refused -------------------------------------------------------------------------

test_that("bins and tracks that are not there, twice there or none are errors", {
  model <- enformer(enformer_dict(), head = "human", target_length = 6)
  for (wrong in list(0, 7, 1.5, NA, numeric(), c(1, 1), "1", -1, list(1), Inf)) {
    expect_error(select_bins(model, bins = wrong), class = "seqlift_error_argument")
  }
  for (wrong in list(0, 4, 1.5, NA, numeric(), c(1, 1), -1, list(1))) {
    expect_error(select_bins(model, tracks = wrong), class = "seqlift_error_argument")
  }
  expect_snapshot(error = TRUE, {
    select_bins(model, bins = c(3, 7))
    select_bins(model, bins = 0)
    select_bins(model, tracks = c(2, 2))
    select_bins(model, tracks = numeric())
    select_bins(model, tracks = "CAGE")
    select_bins(model, tracks = "CAGE", track_names = c("RNA", "CAGE", "CAGE"))
    select_bins(model, squashing = c(scale = 0))
    select_bins(test_model("middle_bins"), 1)
    select_bins(test_model("tiny"), 1)
    reverse_complement_average(select_bins(model, 1))
  })
})

test_that("an output of another rank or too short is refused at the latest when it is predicted", {
  expect_error(select_bins(test_model("tiny"), 1), class = "seqlift_error_output")
  expect_error(select_bins(select_bins(test_model("bins_of_tracks"), 1), 1),
    class = "seqlift_error_output"
  )
  model <- select_bins(test_model("bins_of_tracks"), 7)
  expect_error(predict(model, binned_sequences()), "number 7 of the bins, the output has 6",
    class = "seqlift_error_evaluation"
  )
  expect_error(deep_lift_shap(model, binned_sequences()), class = "seqlift_error_evaluation")
  expect_identical(dim(predict(model, paste0(binned_sequences(), "ACGT"))), c(3L, 1L))
})

test_that("other arguments are checked", {
  model <- test_model("bins_of_tracks")
  refused <- function(...) expect_error(select_bins(model, ...), class = "seqlift_error_argument")
  refused(transform = "median")
  refused(order = "tracks")
  refused(index = 2)
  refused(bin_size = 0)
  refused(borders = "all")
  refused(pseudocount = -1)
  for (wrong in list(
    c(0.5, 384), c(scale = -1), c(other = 2), c(scale = 1, scale = 2), "a", numeric(), NA
  )) {
    refused(squashing = wrong)
  }
  expect_error(select_bins("model.pt"), class = "seqlift_error_argument")
  expect_error(bin_ranges(select_bins(model, 1)), class = "seqlift_error_argument")
})
