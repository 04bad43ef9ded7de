# Loading models, and what is put around them.

test_that("a model says what it is, what it takes and where it comes from", {
  expect_snapshot(transform = without_paths, {
    test_model("tiny")
    test_model("tiny_float64")
    test_model("two_inputs") |> with_args(list(track = array(0, c(1, 1, 12))))
    test_model("two_heads") |> select_output(2)
    test_model("two_heads") |> profile_score()
  })
})

test_that("a file that is not there, a folder and a wrong path are errors", {
  expect_error(load_model("missing.pt"), class = "seqlift_error_file")
  expect_error(load_model("models"), class = "seqlift_error_file")
  for (path in list(NA_character_, c("a.pt", "b.pt"), 3, NULL)) {
    expect_error(load_model(path), class = "seqlift_error_argument")
  }
  expect_snapshot(error = TRUE, {
    load_model("missing.pt")
    load_model("models")
    load_model(c("a.pt", "b.pt"))
  })
})

test_that("an empty file, text, a pickle and an HDF5 file are told apart", {
  in_empty_folder({
    file.create("empty.pt")
    writeLines("This is no model.", "text.pt")
    # As torch.save() and pickle write them, and Keras.
    writeBin(as.raw(c(0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9)), "pickle.pt")
    writeBin(as.raw(c(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a)), "keras.h5")
    for (path in c("empty.pt", "text.pt", "pickle.pt")) {
      expect_error(load_model(path), class = "seqlift_error_file")
    }
    # What is said is the HDF5 library's.
    if (requireNamespace("rhdf5", quietly = TRUE) && requireNamespace("callr", quietly = TRUE)) {
      expect_error(load_model("keras.h5"), "keras.h5", class = "seqlift_error_file")
    }
    expect_snapshot(error = TRUE, {
      load_model("empty.pt")
      load_model("text.pt")
      load_model("pickle.pt")
    })
  })
})

test_that("a file cut short anywhere is an error that says it cannot be read", {
  whole <- readBin(model_path("tiny"), "raw", 1e6)
  in_empty_folder({
    for (size in c(100, 4000, length(whole) - 1000, length(whole) - 1)) {
      writeBin(whole[seq_len(size)], "cut.pt")
      expect_error(load_model("cut.pt"), class = "seqlift_error_file")
      expect_error(load_model("cut.pt"), "\"cut.pt\" could not be read", fixed = TRUE)
    }
  })
})

test_that("weights saved without their model are an error that says how to save a model", {
  expect_error(test_model("state_dict"), class = "seqlift_error_file")
  expect_error(test_model("state_dict"), "torch.jit.trace(model.eval(), example).save(path)",
    fixed = TRUE)
})

test_that("a model without forward, or with weights that are not finite, is an error", {
  expect_error(test_model("no_forward"), class = "seqlift_error_model")
  expect_error(test_model("nan_weights"), class = "seqlift_error_model")
  expect_snapshot(error = TRUE, {
    load_model(model_path("no_forward"))
    load_model(model_path("nan_weights"))
  })
})

test_that("as_seqlift_model() takes a path or a model, and nothing else", {
  model <- as_seqlift_model(model_path("tiny"))
  expect_s3_class(model, "seqlift_model")
  expect_identical(as_seqlift_model(model), model)
  expect_error(as_seqlift_model(3), class = "seqlift_error_argument")
  expect_error(predict(structure(list(), class = "lm"), "ACGT"))
  expect_error(deep_lift_shap("tiny.pt", test_sequences()), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, {
    as_seqlift_model(3)
    deep_lift_shap("tiny.pt", test_sequences())
  })
})

# ---- outputs -------------------------------------------------------------------------------

test_that("select_output() leaves one output of several", {
  X <- test_sequences()
  model <- with_args(test_model("two_heads"), list(control_track = 0))
  both <- predict(model, X)
  expect_equal(predict(select_output(model, 1), X), both[[1L]])
  expect_equal(predict(select_output(model, 2), X), both[[2L]])
  expect_equal(predict(model, X), both)
  expect_equal(
    predict(select_output(test_model("tiny"), 1), X),
    predict(test_model("tiny"), X)
  )
})

test_that("profile_score() is the sum of the centred logits, each times its softmax", {
  X <- test_sequences()
  model <- with_args(test_model("two_heads"), list(control_track = 0.5))
  logits <- predict(select_output(model, 1), X, dtype = "float64")
  expected <- apply(logits, 1L, function(one) {
    centred <- one - mean(one)
    sum(centred * exp(centred) / sum(exp(centred)))
  })
  given <- predict(profile_score(model), X, dtype = "float64")
  expect_identical(dim(given), c(3L, 1L))
  expect_equal(given[, 1L], expected, tolerance = 1e-12)
  expect_gt(min(abs(expected)), 1e-5)
})

test_that("profile_score() may follow select_output()", {
  X <- test_sequences()
  model <- with_args(test_model("two_heads"), list(control_track = 0))
  expect_identical(
    predict(profile_score(select_output(model, 1)), X),
    predict(profile_score(model, 1), X)
  )
})

test_that("the modules of profile_score() can be registered, by class and by path", {
  X <- test_sequences()
  model <- profile_score(with_args(test_model("two_heads"), list(control_track = 0)))
  in_module_mode <- function(nonlinear_ops = NULL) {
    deep_lift_shap(model, X,
      rules = "module", n_shuffles = 4L, random_state = 0, dtype = "float64",
      nonlinear_ops = nonlinear_ops
    )
  }
  expect_warning(high <- in_module_mode(), class = "seqlift_warning_convergence")
  expect_gt(max(abs(convergence_deltas(high))), 1e-2)
  by_class <- in_module_mode(c(LogitScaling = "rescale"))
  expect_lt(max(abs(convergence_deltas(by_class))), 1e-9)
  for (path in setdiff(model$info$modules, test_model("two_heads")$info$modules)) {
    # Every path that is offered is known to the engine: a rule of one's own is called.
    called <- FALSE
    rule <- function(x, x_ref, y, y_ref, grad_output) {
      called <<- TRUE
      0 * x
    }
    suppressWarnings(in_module_mode(stats::setNames(list(rule), path)))
    expect_true(called, info = path)
  }
  expect_identical(
    as.array(in_module_mode(list("profile_score().scaling" = "rescale"))), as.array(by_class)
  )
  expect_error(
    in_module_mode(c(ProfileScore = "rescale")),
    "turns 2 x 8 into 1 per", class = "seqlift_error_registration"
  )
  expect_error(
    deep_lift_shap(test_model("tiny"), X, nonlinear_ops = c(ProfileScore = "rescale")),
    class = "seqlift_error_registration"
  )
})

test_that("an output that does not exist is an error", {
  model <- test_model("two_heads")
  for (index in list(0, 3, 1.5, "counts", NA, NULL, c(1, 2))) {
    expect_error(select_output(model, index), class = "seqlift_error_argument")
    expect_error(profile_score(model, index), class = "seqlift_error_argument")
  }
  expect_error(select_output(select_output(model, 2), 2), class = "seqlift_error_argument")
  expect_error(select_output("model.pt", 1), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, {
    select_output(model, 3)
    profile_score(test_model("tiny"), 2)
  })
})

# ---- saving --------------------------------------------------------------------------------

test_that("a model survives saveRDS() and readRDS(), with what was put around it", {
  X <- test_sequences()
  model <- select_output(with_args(test_model("two_heads"), list(control_track = 0)), 2)
  before <- predict(model, X)
  path <- tempfile(fileext = ".rds")
  saveRDS(model, path)
  expect_identical(predict(readRDS(path), X), before)
  unlink(path)
})

test_that("a saved model works in another process", {
  skip_if_not_installed("callr")
  X <- test_sequences()
  model <- with_args(test_model("two_heads"), list(control_track = 0))
  path <- tempfile(fileext = ".rds")
  saveRDS(model, path)
  there <- in_new_session(function(path, X) {
    library(seqlift)
    predict(readRDS(path), X)
  }, list(path, X))
  expect_equal(there, predict(model, X))
  unlink(path)
})

test_that("a saved model whose file has changed or is gone is an error", {
  path <- normalizePath(model_path("tiny"))
  other <- normalizePath(model_path("scaled"))
  X <- test_sequences()
  in_empty_folder({
    file.copy(path, "model.pt")
    saved <- serialize(load_model("model.pt"), NULL)
    expect_identical(dim(predict(unserialize(saved), X)), c(3L, 3L))
    model <- unserialize(saved)
    file.copy(other, "model.pt", overwrite = TRUE)
    expect_error(predict(model, X), class = "seqlift_error_file")
    unlink("model.pt")
    expect_error(predict(model, X), class = "seqlift_error_file")
    expect_snapshot(predict(model, X), error = TRUE, transform = without_paths)
  })
})
