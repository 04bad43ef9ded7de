# Models that take other layouts than [n, 4, L]: tests/models/make_layouts.py. Each has a twin for
# [n, 4, L] with the same weights; whatever is asked of one is what the other says.

layout_path <- function(name) test_path("models", "layouts", paste0(name, ".pt"))

layouts_expected <- function() {
  as.list(read_state_dict(test_path("models", "layouts", "expected.pth")))
}

layouts_of_models <- list(
  nlc = "NLC", nlc_traced = "NLC", nlc_dense = "NLC", nlc_lstm = "NLC", nc1l = "NC1L",
  n1cl = "N1CL", ncl1 = "NCL1", n1lc = "N1LC", tokens4 = "tokens", tokens5 = "tokens",
  tokens_one_hot = "tokens"
)

quietly_loaded <- function(...) suppressMessages(load_model(...))

test_that("the layout is found from the first layers, and said", {
  expected <- layouts_expected()
  for (name in names(layouts_of_models)) {
    layout <- layouts_of_models[[name]]
    expect_message(model <- load_model(layout_path(name)), class = "seqlift_message_layout")
    expect_identical(model$layout$dimensions, layout, info = name)
    given <- load_model(layout_path(name), layout = layout)
    for (one in list(model, given)) {
      expect_equal(numbers_of(predict(one, expected$X, dtype = "float64")), expected[[name]],
        tolerance = 1e-12, info = name
      )
    }
    expect_match(capture.output(print(model)), "given to the model as", all = FALSE)
    expect_silent(twin <- load_model(layout_path(paste0(name, "_ncl"))))
    expect_identical(twin$layout$dimensions, "NCL", info = name)
  }
})

test_that("what no layer tells is said by the argument", {
  expected <- layouts_expected()
  expect_silent(flat <- load_model(layout_path("flat")))
  expect_identical(flat$layout$dimensions, "NCL")
  flat <- load_model(layout_path("flat"), layout = "NLC")
  expect_equal(numbers_of(predict(flat, expected$X, dtype = "float64")), expected$flat,
    tolerance = 1e-12
  )
  expect_message(load_model(layout_path("tokens12")), "12", class = "seqlift_message_layout")
  codes <- c(A = 7, C = 8, G = 9, T = 10, N = 11)
  model <- load_model(layout_path("tokens12"), layout = codes)
  expect_equal(numbers_of(predict(model, expected$X, dtype = "float64")), expected$tokens12,
    tolerance = 1e-12
  )
})

test_that("every method gives [n, 4, L] and what the twin gives", {
  X <- layouts_expected()$X
  verbs <- list(
    deep_lift_shap = function(model) {
      deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0, dtype = "float64")
    },
    hypothetical = function(model) {
      deep_lift_shap(model, X,
        n_shuffles = 3L, random_state = 0, dtype = "float64", hypothetical = TRUE
      )
    },
    incremental = function(model) {
      saturation_mutagenesis(model, X, method = "incremental", dtype = "float64")
    },
    full = function(model) saturation_mutagenesis(model, X, method = "full", dtype = "float64"),
    saliency = function(model) attribute(model, X, method = "saliency", dtype = "float64"),
    integrated = function(model) {
      attribute(model, X, method = "integrated_gradients", dtype = "float64", n_steps = 4L)
    },
    pisa = function(model) pisa(model, X, n_shuffles = 2L, random_state = 0, dtype = "float64")
  )
  for (name in c(names(layouts_of_models), "tokens12", "flat")) {
    layout <- switch(name,
      flat = "NLC", tokens12 = c(A = 7, C = 8, G = 9, T = 10, N = 11), layouts_of_models[[name]]
    )
    model <- load_model(layout_path(name), layout = layout)
    twin <- load_model(layout_path(paste0(name, "_ncl")))
    for (verb in names(verbs)) {
      seen <- verbs[[verb]](model)
      expect_lt(largest_difference(seen, verbs[[verb]](twin)), 1e-10, label = paste(name, verb))
      if (verb == "deep_lift_shap") {
        expect_lt(max(abs(convergence_deltas(seen))), 1e-10)
        expect_gt(max(abs(seen)), 1e-4)
      }
    }
    expect_true(all(audit_model(model, X)$supported), info = name)
  }
})

test_that("N is its token's row where it has one, and zeros where it has none", {
  X <- c("ACGTNACGTTGACCNNTGCA", "NCGTNACGTTGACCNNTGCN")
  for (name in c("tokens4", "tokens5")) {
    expect_equal(
      predict(quietly_loaded(layout_path(name)), X),
      predict(load_model(layout_path(paste0(name, "_ncl"))), X),
      tolerance = 1e-6, info = name
    )
  }
})

test_that("the layout stays with the model: in files, in other sessions, in what is made of it", {
  X <- layouts_expected()$X
  for (name in c("nlc", "n1cl", "tokens5")) {
    model <- quietly_loaded(layout_path(name))
    seen <- predict(model, X)
    explained <- deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0)
    again <- unserialize(serialize(model, NULL))
    expect_equal(predict(again, X), seen, info = name)
    path <- tempfile(fileext = ".pt")
    save_model(model, path)
    expect_silent(saved <- load_model(path))
    expect_equal(predict(saved, X), seen, tolerance = 1e-6, info = name)
    expect_equal(
      numbers_of(deep_lift_shap(saved, X, n_shuffles = 2L, random_state = 0)),
      numbers_of(explained), tolerance = 1e-5, info = name
    )
    twin <- load_model(layout_path(paste0(name, "_ncl")))
    expect_equal(numbers_of(predict(ensemble(model, twin), X)), numbers_of(seen),
      tolerance = 1e-6, info = name
    )
    both <- reverse_complement_average(model)
    expect_equal(predict(both, X), predict(reverse_complement_average(twin), X), tolerance = 1e-6)
    two <- load_model(layout_path(name), layout = "NCL")
    expect_false(identical(two$layout, model$layout))
  }
})

test_that("a wrong layout is an error with the way out", {
  model <- load_model(layout_path("nlc"), layout = "NCL")
  error <- expect_error(predict(model, "ACGTACGTACGTACGTACGT"), class = "seqlift_error_evaluation")
  expect_match(conditionMessage(error), "layout = \"NLC\"", fixed = TRUE)
  wrong <- list(
    "NLCX", "NL", "NCL11", "ncl", NA_character_, c("NLC", "NCL"), c(A = 0, C = 1, G = 2),
    c(A = 0, C = 1, G = 2, T = 2), c(A = 0, C = 1, G = 2, T = -1), c(0, 1, 2, 3), TRUE
  )
  for (layout in wrong) {
    expect_error(load_model(layout_path("nlc"), layout = layout), class = "seqlift_error_argument")
  }
  expect_error(as_seqlift_model(model, layout = "NLC"), class = "seqlift_error_argument")
  expect_identical(as_seqlift_model(layout_path("nlc"), layout = "NLC")$layout$dimensions, "NLC")
})
