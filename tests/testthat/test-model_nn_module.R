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

# What as_seqlift_model() asks of R's torch, written down: a package of that name without LibTorch.
# Its tensors are R arrays; its tracer notes what it is given and takes a file of these tests, the
# trace that was made with that number of sequences.
torch_double <- function(folder, tracer) {
  dir.create(file.path(folder, "torch", "R"), recursive = TRUE)
  dir.create(file.path(folder, "library"))
  writeLines(
    c(
      "Package: torch", "Version: 0.0.2", "Title: Double", "Description: A double.", "License: MIT"
    ),
    file.path(folder, "torch", "DESCRIPTION")
  )
  writeLines(
    c("exportPattern(\"^[a-z]\")", "S3method(\"$\", nn_module)"),
    file.path(folder, "torch", "NAMESPACE")
  )
  writeLines(c(
    "torch_is_installed <- function() !isTRUE(getOption(\"no_libtorch\"))",
    "torch_float <- function() \"Float\"",
    "torch_double <- function() \"Double\"",
    "torch_tensor <- function(data, dtype = \"Float\", device = \"cpu\") {",
    "  self <- new.env()",
    "  self$shape <- if (is.null(dim(data))) length(data) else dim(data)",
    "  self$data <- data; self$dtype <- dtype; self$device <- device",
    "  self$detach <- self$cpu <- self$clone <- function() self",
    "  self$to <- function(dtype) self",
    "  self$copy_ <- function(other) { self$data <- other$data; self }",
    "  structure(self, class = \"torch_tensor\")",
    "}",
    "as_array <- function(x) x$data",
    "torch_equal <- function(a, b) identical(a$data, b$data)",
    "with_no_grad <- function(code) force(code)",
    "torch_get_rng_state <- function() getOption(\"torch_state\")",
    "torch_set_rng_state <- function(state) options(torch_state = state)",
    "cuda_is_available <- function() FALSE",
    "`$.nn_module` <- function(x, name) attr(x, \"self\")[[name]]",
    "jit_save <- function(obj, path) file.copy(obj$saved, path)",
    tracer
  ), file.path(folder, "torch", "R", "torch.R"))
  library <- paste0("--library=", file.path(folder, "library"))
  log <- callr::rcmd("INSTALL", c("--no-test-load", library, file.path(folder, "torch")))
  stopifnot(log$status == 0L)
  file.path(folder, "library")
}

use_double <- function(library, models) {
  .libPaths(c(library, .libPaths()))
  library(seqlift)
  loadNamespace("torch")
  # As testthat sets them for snapshots.
  options(cli.unicode = FALSE, cli.width = 80L, width = 80L, torch_state = "the user's")
  file_for <- function(name) function(n) file.path(models, paste0(name, n, ".pt"))
  # A module whose traces are the files of `name` and whose outputs those of the file for the
  # sequences that it is given, `times` as large.
  make_module <- function(children = list(), training = TRUE, name = "traced_", times = 1,
                          class = "net") {
    self <- new.env()
    self$training <- training
    self$train <- function(mode) {
      self$training <- mode
      for (child in children) child$train(mode)
    }
    self$eval <- function() self$train(FALSE)
    self$parameters <- list(list(dtype = "Float", device = "cpu"))
    self$buffers <- list()
    self$children <- children
    self$file <- file_for(name)
    self$forward <- function(sequences, control.track, ...) {
      stats::runif(3)
      X <- sequences$data
      outputs <- predict(load_model(self$file(dim(X)[1L])), X, list(control.track$data))
      lapply(outputs, function(values) torch::torch_tensor(times * values))
    }
    module <- structure(function(...) self$forward(...), class = c(class, "nn_module"), self = self)
    self$modules <- c(list(module), unlist(lapply(children, function(child) child$modules)))
    module
  }
  inner <- list(
    conv = make_module(class = "nn_conv1d"), lstm = make_module(training = FALSE, class = "nn_lstm")
  )
  net <- make_module(inner)
  caught <- function(...) {
    error <- tryCatch(as_seqlift_model(...), error = identity)
    list(class = class(error), message = if (inherits(error, "error")) conditionMessage(error))
  }
  track <- array(c(1, 2, 3, 5), c(2, 2))
  example <- list(c("ACGTTGCAAGTC", "GGATTACAGATC"), torch::torch_tensor(track))
  set.seed(3)
  drawn <- stats::runif(2)
  set.seed(3)
  first <- stats::runif(1)
  model <- as_seqlift_model(net, example)
  second <- stats::runif(1)
  traced <- getOption("traced")
  set.seed(3)
  again <- as_seqlift_model(net, example)
  X <- random_one_hot(c(4L, 4L, 12L), random_state = 1)
  four <- list(array(1:8 / 8, c(4, 2)))
  meant <- load_model(file.path(models, "traced_4.pt"))
  generator <- structure(function() NULL, class = c("net", "nn_module", "nn_module_generator"))
  script <- structure(list(),
    class = c("script_module", "nn_module"),
    self = list(saved = file.path(models, "traced_4.pt"))
  )
  fitted <- structure(list(model = net), class = "luz_module_fitted")
  result <- list(
    predictions = predict(model, X, four), expected = predict(meant, X, four),
    from_tensors = predict(
      model, torch::torch_tensor(X), list(control_track = torch::torch_tensor(four[[1L]]))
    ),
    classes = model$info$module_classes, arguments = model$info$arguments,
    called = model$info$called, files = c(model$hash, again$hash),
    fitted = as_seqlift_model(fitted, example)$hash,
    draws = list(drawn, c(first, second)), torch_state = getOption("torch_state"),
    modes = traced$modes, strict = traced$strict, mode = traced$mode,
    shapes = lapply(traced$inputs, `[[`, "shape"), names = names(traced$inputs),
    modes_after = vapply(net$modules, function(module) module$training, TRUE),
    generator = caught(generator, "ACGT"), none = caught(net), empty = caught(net, list()),
    text = caught(net, "ACGX"), missing = caught(net, array(NA_real_, c(1, 4, 4))),
    data = caught(net, mtcars), fails = caught(net, list(array(0:1, c(1, 5, 12)), track)),
    matrix = caught(net, list(array(0, c(4, 12)), track)),
    odd = caught(make_module(inner, name = "traced_odd_"), example),
    other = caught(make_module(inner, times = 2), example)
  )
  warned <- NULL
  references <- array(rep(X, each = 1), c(4, 1, 4, 12))
  withCallingHandlers(
    deep_lift_shap(select_output(model, 1), X, four, references = references, rules = "module"),
    seqlift_warning_module_rules = function(warning) {
      warned <<- conditionMessage(warning)
      invokeRestart("muffleWarning")
    },
    warning = function(warning) invokeRestart("muffleWarning")
  )
  registered <- tryCatch(
    deep_lift_shap(select_output(model, 1), X, four, nonlinear_ops = c(nn_lstm = "rescale")),
    error = identity
  )
  by_references <- lapply(
    list(
      references, torch::torch_tensor(references),
      lapply(1:4, function(i) torch::torch_tensor(array(references[i, , , ], c(1, 4, 12))))
    ),
    function(references) {
      unclass(deep_lift_shap(select_output(model, 1), X, four, references = references))[, , ]
    }
  )
  plain <- as_seqlift_model(script)
  options(no_libtorch = TRUE)
  c(result, list(
    no_libtorch = caught(net, "ACGT"), warned = warned, by_references = by_references,
    registered = list(class = class(registered), message = conditionMessage(registered)),
    script = predict(plain, X, four), script_classes = plain$info$module_classes
  ))
}

test_that("a module is converted for any number of sequences and left as it was", {
  skip_if_not_installed("callr")
  body <- c(
    "  modes <- vapply(func$modules, function(module) module$training, TRUE)",
    "  if (list(...)[[1]]$shape[2] == 5) {",
    "    stop(\"I cannot\\nException raised from f at g.cpp:1 (most recent call first):\\n\",",
    "      \"frame #0: h\")",
    "  }",
    "  options(traced = list(inputs = list(...), modes = modes, mode = mode, strict = strict))",
    "  name <- paste(sample(letters, 24, replace = TRUE), collapse = \"\")",
    "  if (name %in% getOption(\"names\")) stop(\"class \", name, \" is there already\")",
    "  options(names = c(getOption(\"names\"), name))",
    "  list(saved = func$file(list(...)[[1]]$shape[1]))", "}"
  )
  tracers <- list(
    new = c("jit_trace <- function(func, ..., strict = TRUE, respect_mode = TRUE) {",
      "  mode <- respect_mode", body),
    old = c("jit_trace <- function(func, ..., strict = TRUE) {", "  mode <- NA", body)
  )
  for (name in names(tracers)) {
    folder <- tempfile()
    library <- torch_double(folder, tracers[[name]])
    result <- in_new_session(use_double, list(library, normalizePath(test_path("models"))))
    expect_identical(result$predictions, result$expected)
    expect_identical(result$from_tensors, result$expected)
    expect_identical(names(result$predictions), c("main", "other"))
    expect_identical(result$script, result$expected)
    expect_identical(result$classes[1:3], c("net", "nn_conv1d", "nn_lstm"))
    expect_identical(result$script_classes, c("Net", "nn_conv1d", "nn_lstm", "nn_linear"))
    expect_identical(result$arguments, c("sequences", "control_track"))
    expect_length(result$called, 0L)
    expect_identical(result$files[1L], result$files[2L])
    expect_identical(result$fitted, result$files[1L])
    expect_identical(result$draws[[1L]], result$draws[[2L]])
    expect_identical(result$torch_state, "the user's")
    expect_identical(unname(result$modes), c(FALSE, FALSE, FALSE))
    expect_false(result$strict)
    expect_identical(result$mode, if (name == "new") FALSE else NA)
    expect_identical(unname(result$modes_after), c(TRUE, TRUE, FALSE))
    expect_null(result$names)
    expect_equal(result$shapes, list(c(5, 4, 12), c(5, 2)))
    expect_identical(result$by_references[[2L]], result$by_references[[1L]])
    expect_identical(result$by_references[[3L]], result$by_references[[1L]])
    errors <- c(
      generator = "argument", none = "argument", empty = "argument", text = "sequence",
      missing = "argument", data = "argument", fails = "trace", matrix = "trace", odd = "trace",
      other = "trace", no_libtorch = "package", registered = "registration"
    )
    for (case in names(errors)) {
      expect_true(paste0("seqlift_error_", errors[[case]]) %in% result[[case]]$class, label = case)
    }
    unlink(folder, recursive = TRUE)
  }
  expect_match(result$other$message, "For 5 sequences the converted module\\s+gives")
  stable <- setdiff(names(errors), "other")
  messages <- c(lapply(result[stable], `[[`, "message"), result$warned)
  expect_snapshot(cat(unlist(messages), sep = "\n\n"))
})

test_that("rows of an example are its own, turned, and an example of zeros gets others", {
  skip_if(nzchar(system.file(package = "torch")), "R's torch is installed")
  expect_identical(dim(varied(c(2L, 4L, 7L))), c(2L, 4L, 7L))
  expect_true(all(apply(varied(c(3L, 4L, 9L)), c(1L, 3L), sum) == 1))
  expect_identical(dim(varied(c(3L, 5L))), c(3L, 5L))
})

test_that("LibTorch's frames are cut out of what R's torch says", {
  text <- paste0(
    "Error in the R function execution.:  The size must match (7)\n",
    "Exception raised from infer_size at ../aten/src/ATen/ExpandUtils.cpp:35 ",
    "(most recent call first):\n",
    "frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x57 (0x7f in libc10.so)\n"
  )
  expect_identical(without_native_frames(text), "The size must match (7)")
  expect_identical(without_native_frames("two\nlines"), "two\nlines")
})

test_that("a file of torch_save() is told from TorchScript, and what to do with it", {
  folder <- tempfile()
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  for (compress in list(TRUE, FALSE, "bzip2", "xz")) {
    path <- file.path(folder, "net.pt")
    saveRDS(list(module = "net", type = "module"), path, compress = compress)
    expect_error(load_model(path), "as_seqlift_model", class = "seqlift_error_file")
    expect_error(read_state_dict(path), "torch_load", class = "seqlift_error_file")
  }
  header <- paste0(
    "{\"weight\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},",
    "\"__robj__\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]},",
    "\"__metadata__\":{\"__r__\":\"{}\"}}"
  )
  path <- file.path(folder, "net.safetensors")
  writeBin(
    c(
      writeBin(c(nchar(header), 0L), raw(), endian = "little"), charToRaw(header),
      writeBin(c(1, 2), raw(), size = 4L, endian = "little"), as.raw(1:3)
    ),
    path
  )
  expect_error(load_model(path), "read_state_dict", class = "seqlift_error_file")
  expect_identical(names(read_state_dict(path)), "weight")
  expect_equal(as.vector(read_state_dict(path)[["weight"]]), c(1, 2))
})
