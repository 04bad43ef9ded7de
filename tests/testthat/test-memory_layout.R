# Models whose code depends on how tensors lie in memory, or makes its numbers in forward. Written
# by tests/models/make_memory_models.py.

patterned_sequences <- function(n) {
  X <- array(0, c(n, 4L, 12L))
  for (i in seq_len(n)) {
    for (j in seq_len(12L)) {
      X[i, (i - 1L + 2L * (j - 1L) + (j - 1L)^2) %% 4L + 1L, j] <- 1
    }
  }
  X
}

test_that("models that flatten by view() or read memory by as_strided() work in every verb", {
  X <- one_hot_encode(test_sequences())
  for (name in c("flat_view", "rows_view", "strided")) {
    for (model in list(test_model(name), test_model(paste0(name, "_traced")))) {
      exact <- predict(model, X, dtype = "float64")
      expect_equal(numbers_of(predict(model, X)), numbers_of(exact), tolerance = 1e-5)
      expect_equal(
        as.vector(predict(model, X[2L, , , drop = FALSE], dtype = "float64")),
        as.vector(exact[2L, ]), tolerance = 1e-13
      )
      explained <- deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0, dtype = "float64")
      expect_lt(max(abs(convergence_deltas(explained))), 1e-12)
      expect_silent(deep_lift_shap(
        model, X, n_shuffles = 2L, random_state = 0, rules = "module", warning_threshold = 1e9
      ))
      full <- saturation_mutagenesis(model, X, method = "full", dtype = "float64")
      for (method in c("auto", "incremental")) {
        other <- saturation_mutagenesis(model, X, method = method, dtype = "float64")
        expect_lt(largest_difference(other, full), 1e-12)
      }
      expect_identical(dim(attribute(model, X, "saliency")), dim(X))
      expect_s3_class(audit_model(model, X), "data.frame")
    }
  }
})

test_that("float64 means float64 for positions and literals of the model's code", {
  X <- patterned_sequences(3L)
  # PyTorch's own numbers, with float64 as its default dtype.
  expected <- matrix(c(
    0.25313489525956157, 0.29972298753558785, 0.23150145336998174, 0.2788022464368034,
    0.16241784990033967, 0.2213213877087758
  ), 3L, byrow = TRUE)
  scripted <- test_model("positions")
  expect_lt(largest_difference(predict(scripted, X, dtype = "float64"), expected), 1e-15)
  for (model in list(scripted, test_model("positions_traced"))) {
    whole <- predict(model, X, dtype = "float64")
    full <- saturation_mutagenesis(
      model, X, method = "full", dtype = "float64", raw_outputs = TRUE
    )
    windows <- saturation_mutagenesis(
      model, X, method = "incremental", dtype = "float64", raw_outputs = TRUE
    )
    expect_lt(largest_difference(full$y0, whole), 1e-15)
    expect_lt(largest_difference(windows$y0, whole), 1e-15)
    expect_lt(largest_difference(windows$y_hat, full$y_hat), 1e-14)
    for (i in seq_len(3L)) {
      one <- predict(model, X[i, , , drop = FALSE], dtype = "float64")
      expect_lt(largest_difference(one, whole[i, ]), 1e-15)
    }
  }
})
