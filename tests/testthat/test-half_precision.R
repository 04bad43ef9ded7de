# Weights of half precision: tests/models/make_half.py. What they give in float64 is the right
# answer, which float32 comes near.

half_path <- function(file) test_path("models", "half", file)

test_that("weights of half precision are computed with in float32, by every method", {
  expected <- suppressMessages(as.list(read_state_dict(half_path("expected.pth"))))
  X <- expected$X
  for (name in c("float16", "bfloat16", "mixed")) {
    load <- function() load_model(half_path(paste0(name, ".pt")))
    if (name != "mixed") {
      expect_message(load(), "computed in float32", class = "seqlift_message_half_precision")
    }
    model <- suppressMessages(load())
    near <- function(a, b, tolerance = 1e-6) {
      expect_lt(largest_difference(a, b), tolerance, label = name)
    }
    near(predict(model, X), expected[[name]])
    near(predict(model, X, dtype = "float64"), expected[[name]], 1e-12)
    explained <- deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0)
    exact <- deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0, dtype = "float64")
    near(explained, exact)
    expect_gt(max(abs(exact)), 1e-3)
    expect_lt(max(abs(convergence_deltas(exact))), 1e-12)
    expect_identical(attr(explained, "info")$dtype, "float32")
    full <- saturation_mutagenesis(model, X, target = 1L, method = "full", dtype = "float64")
    expect_gt(max(abs(full)), 1e-3)
    for (dtype in list(NULL, "float64")) {
      near(
        saturation_mutagenesis(model, X, target = 1L, method = "incremental", dtype = dtype), full
      )
    }
    slopes <- function(...) attribute(model, X, method = "saliency", ...)
    near(slopes(), slopes(dtype = "float64"))
    expect_true(all(audit_model(model, X)$supported))
  }
})

test_that("state dicts of half precision make networks of float32", {
  expected <- suppressMessages(as.list(read_state_dict(half_path("expected.pth"))))
  for (file in c("bpnet.pth", "bpnet.safetensors")) {
    model <- bpnet(half_path(file))
    expect_identical(dtype_name(model$info$dtype), "float32")
    outputs <- predict(model, expected$X_bpnet)
    expect_equal(numbers_of(outputs[[1L]]), expected$profile, tolerance = 1e-6, info = file)
    expect_equal(numbers_of(outputs[[2L]]), expected$counts, tolerance = 1e-6, info = file)
  }
})
