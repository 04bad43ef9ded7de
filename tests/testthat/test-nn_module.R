# Modules of R's torch.

# ---- with R's torch ------------------------------------------------------------------------

skip_without_r_torch <- function() {
  # Not even looked for in this process, which may hold another LibTorch.
  installed <- in_new_session(function() {
    requireNamespace("torch", quietly = TRUE) && torch::torch_is_installed()
  })
  skip_if_not(installed, "R's torch or its LibTorch is not installed")
}

test_that("a module of R's torch gives the same numbers in seqlift, whichever comes first", {
  skip_without_r_torch()
  explain <- function(first) {
    if (first == "seqlift") {
      seqlift::demo_model()
    }
    net_of <- torch::nn_module(
      initialize = function() {
        self$conv <- torch::nn_conv1d(4, 6, 5)
        self$drop <- torch::nn_dropout(0.5)
        self$dense <- torch::nn_linear(6, 2)
      },
      forward = function(x, track) {
        h <- torch::nnf_relu(self$conv(x))
        self$dense(torch::torch_mean(self$drop(h), 3) * track)
      }
    )
    net <- net_of()
    net$drop$eval()
    X <- seqlift::random_one_hot(c(3, 4, 20), random_state = 0)
    track <- array(seq(0.5, 1.5, length.out = 18), c(3, 6))
    as_list <- function(model) {
      list(
        predictions = predict(model, X, list(track)),
        deltas = seqlift::convergence_deltas(
          seqlift::deep_lift_shap(model, X, list(track), random_state = 0)
        )
      )
    }
    model <- seqlift::as_seqlift_model(net, list(X[1:2, , ], torch::torch_tensor(track[1:2, ])))
    modes <- c(net$training, net$drop$training, net$conv$training)
    net$eval()
    two_modes <- torch::jit_trace(net, torch::torch_tensor(X), torch::torch_tensor(track))
    expected <- net(torch::torch_tensor(X), torch::torch_tensor(track))
    list(
      traced = as_list(model), script = as_list(seqlift::as_seqlift_model(two_modes)),
      expected = torch::as_array(expected$detach()), modes = modes,
      error = class(tryCatch(seqlift::as_seqlift_model(net, X), error = identity))
    )
  }
  for (first in c("torch", "seqlift")) {
    result <- in_new_session(explain, list(first))
    expect_equal(result$traced$predictions, result$expected, tolerance = 1e-5)
    expect_equal(result$script$predictions, result$expected, tolerance = 1e-5)
    expect_lt(max(abs(result$traced$deltas)), 1e-5)
    expect_identical(result$modes, c(TRUE, FALSE, TRUE))
    expect_true("seqlift_error_trace" %in% result$error)
  }
})

# ---- without -------------------------------------------------------------------------------

test_that("a model that has `evalforward` and `trainforward` but no `forward` is evaluated", {
  # As R's torch writes it when it traces both modes.
  X <- test_sequences()
  model <- test_model("eval_forward")
  expect_identical(predict(model, X), predict(test_model("tiny"), X))
  explained <- deep_lift_shap(model, X, random_state = 0)
  expect_identical(
    numbers_of(explained),
    numbers_of(deep_lift_shap(test_model("tiny"), X, random_state = 0))
  )
  expect_lt(max(abs(convergence_deltas(explained))), 1e-5)
})

test_that("without R's torch its modules are an error that names it", {
  skip_if(nzchar(system.file(package = "torch")), "R's torch is installed")
  for (class in list(c("net", "nn_module"), c("script_module", "nn_module"))) {
    module <- structure(function(x) x, class = class)
    expect_error(as_seqlift_model(module), class = "seqlift_error_package")
  }
  expect_snapshot(error = TRUE, as_seqlift_model(module))
})

# What as_seqlift_model() asks of R's torch, written down: a package of that name without LibTorch,
# whose tracer notes what it is given and saves a file of these tests.
torch_double <- function(folder, tracer) {
  dir.create(file.path(folder, "torch", "R"), recursive = TRUE)
  dir.create(file.path(folder, "library"))
  writeLines(
    c("Package: torch", "Version: 0.0.2", "Title: Double", "Description: A double.", "License: MIT"),
    file.path(folder, "torch", "DESCRIPTION")
  )
  writeLines("exportPattern(\".\")", file.path(folder, "torch", "NAMESPACE"))
  writeLines(c(
    "torch_is_installed <- function() !isTRUE(getOption(\"no_libtorch\"))",
    "torch_float <- function() \"float\"",
    "torch_tensor <- function(data, dtype = NULL, device = NULL) {",
    "  structure(new.env(), class = \"torch_tensor\", data = data, dtype = dtype, device = device)",
    "}",
    "jit_save <- function(obj, path) file.copy(obj$saved, path)",
    tracer
  ), file.path(folder, "torch", "R", "torch.R"))
  library <- paste0("--library=", file.path(folder, "library"))
  log <- callr::rcmd("INSTALL", c("--no-test-load", library, file.path(folder, "torch")))
  stopifnot(log$status == 0L)
  file.path(folder, "library")
}

use_double <- function(library, path) {
  .libPaths(c(library, .libPaths()))
  library(seqlift)
  # As testthat sets them for snapshots.
  options(cli.unicode = FALSE, cli.width = 80L, width = 80L)
  make_module <- function(children = list(), training = TRUE) {
    self <- new.env()
    self$training <- training
    self$train <- function(mode) {
      self$training <- mode
      for (child in children) child$train(mode)
    }
    self$eval <- function() self$train(FALSE)
    self$modules <- c(list(self), unlist(lapply(children, function(child) child$modules)))
    self$parameters <- list(list(dtype = "double", device = "cuda"))
    self$saved <- path
    structure(self, class = c("net", "nn_module"))
  }
  frozen <- make_module(training = FALSE)
  net <- make_module(list(make_module(), frozen))
  caught <- function(...) {
    error <- tryCatch(as_seqlift_model(...), error = identity)
    list(class = class(error), message = conditionMessage(error))
  }
  model <- as_seqlift_model(net, list("ACGT", a = torch::torch_tensor(1), array(1:6, 1:3)))
  traced <- getOption("traced")
  generator <- structure(function() NULL, class = c("net", "nn_module", "nn_module_generator"))
  script <- structure(new.env(), class = c("script_module", "nn_module"))
  script$saved <- path
  result <- list(
    predictions = predict(model, "ACGTTGCAAGTC"), modes = traced$modes, mode = traced$mode,
    values = lapply(traced$inputs, attr, "data"), dtype = attr(traced$inputs[[1L]], "dtype"),
    device = attr(traced$inputs[[1L]], "device"), names = names(traced$inputs),
    modes_after = vapply(net$modules, function(module) module$training, TRUE),
    script = predict(as_seqlift_model(script), "ACGTTGCAAGTC"),
    generator = caught(generator, "ACGT"), none = caught(net), empty = caught(net, list()),
    text = caught(net, "ACGX"), missing = caught(net, array(NA_real_, c(1, 4, 4))),
    data = caught(net, mtcars), fails = caught(net, "AAAA")
  )
  options(no_libtorch = TRUE)
  c(result, list(no_libtorch = caught(net, "ACGT")))
}

test_that("a module is traced in evaluation mode with the example's tensors and left as it was", {
  skip_if_not_installed("callr")
  expected <- predict(test_model("tiny"), "ACGTTGCAAGTC")
  body <- c(
    "  modes <- vapply(func$modules, function(module) module$training, TRUE)",
    "  if (all(attr(list(...)[[1]], \"data\")[1, 1, ] == 1)) stop(\"I cannot\")",
    "  options(traced = list(inputs = list(...), modes = modes, mode = mode))", "  func", "}"
  )
  tracers <- list(
    new = c("jit_trace <- function(func, ..., strict = TRUE, respect_mode = TRUE) {",
      "  mode <- respect_mode", body),
    old = c("jit_trace <- function(func, ..., strict = TRUE) {", "  mode <- NA", body)
  )
  for (name in names(tracers)) {
    folder <- tempfile()
    library <- torch_double(folder, tracers[[name]])
    result <- in_new_session(use_double, list(library, normalizePath(model_path("tiny"))))
    expect_identical(result$predictions, expected)
    expect_identical(result$script, expected)
    expect_identical(result$modes, c(FALSE, FALSE, FALSE))
    expect_identical(result$mode, if (name == "new") FALSE else NA)
    expect_identical(result$modes_after, c(TRUE, TRUE, FALSE))
    expect_null(result$names)
    expect_identical(result$values[[1L]], unname(one_hot_encode("ACGT")))
    expect_identical(result$values[2:3], list(1, array(1:6, 1:3)))
    expect_identical(c(result$dtype, result$device), c("double", "cuda"))
    errors <- c(
      generator = "argument", none = "argument", empty = "argument", text = "sequence",
      missing = "argument", data = "argument", fails = "trace", no_libtorch = "package"
    )
    for (case in names(errors)) {
      expect_true(paste0("seqlift_error_", errors[[case]]) %in% result[[case]]$class, label = case)
    }
    unlink(folder, recursive = TRUE)
  }
  messages <- lapply(result[names(errors)], `[[`, "message")
  expect_snapshot(cat(unlist(messages), sep = "\n\n"))
})
