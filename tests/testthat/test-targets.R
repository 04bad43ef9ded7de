# Several targets in one call: the numbers of their own calls, and one forward pass for all of them.

# Verb -> a function of a model, sequences and targets.
target_verbs <- function() {
  methods <- setdiff(names(c(attribution_methods, deep_lift_methods)), "tism")
  verbs <- lapply(stats::setNames(methods, methods), function(method) {
    function(model, X, target) {
      attribute(model, X, method, target, dtype = "float64", random_state = 0)
    }
  })
  c(verbs, list(
    deep_lift_shap = function(model, X, target) {
      deep_lift_shap(model, X,
        target = target, n_shuffles = 3L, random_state = 0, dtype = "float64"
      )
    },
    `deep_lift_shap by module` = function(model, X, target) {
      deep_lift_shap(model, X,
        target = target, n_shuffles = 3L, random_state = 0, dtype = "float64", rules = "module"
      )
    },
    taylor_ism = function(model, X, target) taylor_ism(model, X, target, dtype = "float64"),
    saturation_mutagenesis = function(model, X, target) {
      raw <- saturation_mutagenesis(model, X, raw_outputs = TRUE, dtype = "float64")
      raw$y_hat[, , , target, drop = length(target) == 1L]
    }
  ))
}

test_that("the targets of a call have the numbers of their own calls, whatever the verb", {
  X <- test_sequences()
  model <- test_model("tiny")
  targets <- c(3L, 1L, 2L)
  verbs <- target_verbs()
  expect_gt(length(verbs), 12L)
  for (name in names(verbs)) {
    together <- numbers_of(verbs[[name]](model, X, targets))
    expect_identical(dim(together), c(3L, 4L, 12L, 3L))
    for (i in seq_along(targets)) {
      alone <- numbers_of(verbs[[name]](model, X, targets[i]))
      expect_lt(largest_difference(together[, , , i], alone), 1e-12)
    }
    expect_gt(largest_difference(together[, , , 1L], together[, , , 2L]), 1e-4)
  }
})

test_that("the model is evaluated as often for five targets as for one", {
  skip_if_not_installed("callr")
  # The model's code says that it is evaluated where R does not see it.
  evaluations <- function(target) {
    file <- tempfile()
    on.exit(unlink(file))
    callr::r(function(verbs, path, X, target) {
      options(seqlift.engine = "process")
      model <- seqlift::load_model(path)
      for (verb in verbs) {
        environment(verb) <- list2env(as.list(environment(verb)), parent = asNamespace("seqlift"))
        verb(model, X, target)
      }
    }, list(target_verbs(), normalizePath(model_path("counted")), test_sequences(), target),
    stdout = file, libpath = .libPaths()
    )
    sum(readLines(file) == "evaluated")
  }
  one <- evaluations(1L)
  expect_gt(one, 20L)
  expect_identical(evaluations(1:5), one)
})
