# Whole models that Python pickled, and checkpoints of Lightning: tests/models/make_whole_models.py.
# Damaged ones by the thousand are in tests/cpp/test-damaged_files.cpp.

whole_path <- function(name) test_path("whole_models", name)

expect_as_saved <- function(model, name) {
  expected <- as.list(read_state_dict(whole_path(paste0(name, "_expected.pth"))))
  outputs <- predict(model, expected$X,
    args = if (!is.null(expected$control)) list(expected$control)
  )
  for (i in 1:2) {
    expect_equal(numbers_of(outputs[[i]]), numbers_of(expected[[1L + i]]), tolerance = 1e-12)
  }
}

test_that("a whole model is a state dict with the names of its classes", {
  dict <- read_state_dict(whole_path("bpnet.torch"))
  expect_identical(names(dict)[1:4], c("iconv.weight", "iconv.bias", "rconvs.0.weight",
    "rconvs.0.bias"))
  modules <- unclass(dict)$modules
  expect_identical(modules[1L], stats::setNames("bpnetlite.bpnet.BPNet", ""))
  expect_identical(modules[["rconvs.1"]], "torch.nn.modules.conv.Conv1d")
  shown <- paste(capture.output(print(dict)), collapse = " ")
  expect_match(shown, "bpnetlite.bpnet.BPNet", fixed = TRUE)
  expect_match(shown, "trimming = 60", fixed = TRUE)
  for (file in c("bpnet_legacy.torch", "bpnet_protocol4.torch")) {
    expect_identical(as.list(read_state_dict(whole_path(file))), as.list(dict), info = file)
  }
  suppressMessages(inside <- read_state_dict(whole_path("inside.torch")))
  expect_identical(as.list(inside), as.list(dict))
})

test_that("a whole model has the names that its own state dict has", {
  for (file in c("odd.torch", "odd_legacy.torch")) {
    dict <- read_state_dict(whole_path(file))
    expect_identical(names(dict), c(
      "scale", "kept", "layer.weight", "same.weight", "norm.weight", "norm.bias",
      "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"
    ))
    expect_identical(dict$scale, array(c(2, 3)))
    expect_identical(dict$same.weight, dict$layer.weight)
  }
})

test_that("bpnet() and chrombpnet() take whole models, with what their settings say", {
  model <- bpnet(whole_path("bpnet.torch"))
  expect_as_saved(model, "bpnet")
  expect_match(model$origin$trimming, "60 bp, as the file says")
  expect_as_saved(bpnet(whole_path("bpnet_legacy.torch")), "bpnet")
  expect_as_saved(bpnet(whole_path("bpnet_control.torch")), "bpnet_control")
  expect_as_saved(chrombpnet(whole_path("chrombpnet.torch")), "chrombpnet")
  expect_identical(dim(predict(model, random_one_hot(c(1, 4, 180)))[[1L]]), c(1L, 2L, 60L))
  # What is given counts.
  wider <- bpnet(whole_path("bpnet.torch"), trimming = 50)
  expect_identical(dim(predict(wider, random_one_hot(c(1, 4, 180)))[[1L]]), c(1L, 2L, 80L))
  shown <- gsub("\\s+", " ", paste(capture.output(print(model)), collapse = " "))
  expect_match(shown, "whole module of the class bpnetlite.bpnet.BPNet", fixed = TRUE)
})

test_that("a model with the activation before the convolution is told by its class or the user", {
  path <- whole_path("base_pair_net.torch")
  model <- bpnet(path)
  expect_as_saved(model, "base_pair_net")
  expect_identical(model$info$class, "BasePairNet")
  weights <- as.list(read_state_dict(path))
  same <- bpnet(weights, trimming = 50, activation = "before")
  expected <- as.list(read_state_dict(whole_path("base_pair_net_expected.pth")))
  expect_equal(
    numbers_of(predict(same, expected$X, args = list(expected$control))[[1L]]),
    numbers_of(expected$profile),
    tolerance = 1e-5
  )
  filled <- with_args(model, list(control_track = 0))
  for (target in list(select_output(filled, 2), profile_score(filled))) {
    explained <- deep_lift_shap(target, expected$X, n_shuffles = 3L, random_state = 1)
    expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
  }
  expect_error(procapnet(path), "BasePairNet", class = "seqlift_error_model")
})

test_that("wrappers around a model are left out, and classes that are not the verb's are said", {
  expected <- predict(
    bpnet(whole_path("bpnet.torch")), random_one_hot(c(2, 4, 180), random_state = 1)
  )
  for (file in c("wrapped.torch", "parallel.torch", "inside.torch")) {
    expect_message(model <- bpnet(whole_path(file)), class = "seqlift_message_state_dict")
    found <- predict(model, random_one_hot(c(2, 4, 180), random_state = 1))
    expect_identical(lapply(found, numbers_of), lapply(expected, numbers_of), info = file)
  }
  expect_message(
    model <- bpnet(whole_path("chrombpnet.torch"), prefix = "bias"),
    NA
  )
  # 47 + 2 of its own single layer.
  expect_identical(dim(predict(model, random_one_hot(c(1, 4, 180)))[[1L]]), c(1L, 1L, 82L))
  expect_message(
    procapnet(whole_path("chrombpnet.torch"), trimming = 60, prefix = "accessibility"),
    "class `bpnetlite.bpnet.BPNet`",
    fixed = TRUE
  )
})

test_that("nothing in a whole model is run", {
  for (file in c("hostile.torch", "hostile_legacy.torch", "lightning.ckpt")) {
    path <- normalizePath(whole_path(file))
    in_empty_folder({
      suppressMessages(dict <- read_state_dict(path))
      capture.output(print(dict))
      suppressMessages(as.list(dict))
      expect_identical(list.files(), character())
    })
  }
})

test_that("a checkpoint of Lightning shows its hyperparameters, and its names are the network's", {
  path <- whole_path("lightning.ckpt")
  expect_message(dict <- read_state_dict(path), "`model.`", fixed = TRUE)
  expect_identical(names(dict), names(read_state_dict(whole_path("bpnet.torch"))))
  shown <- paste(capture.output(print(dict)), collapse = " ")
  for (text in c("hyper_parameters.lr = 0.001", "hyper_parameters.sizes = [4, 8]",
    "hyper_parameters.args.seed = 3", "hyper_parameters.more.loss = \"poisson\"",
    "hyper_parameters.note = <posix.system>")) {
    expect_match(gsub("\\s+", " ", shown), text, fixed = TRUE)
  }
  suppressMessages(model <- bpnet(path, trimming = 60))
  expect_as_saved(model, "bpnet")
})

test_that("cherimoya() computes what Cherimoya does, with the configuration of its file", {
  for (name in c("cherimoya", "cherimoya_control")) {
    path <- whole_path(paste0(name, ".torch"))
    suppressMessages({
      expect_as_saved(cherimoya(path), name)
      model <- load_model(path)
    })
    expect_as_saved(model, name)
    filled <- if (name == "cherimoya") model else with_args(model, list(control_track = 0))
    X <- random_one_hot(c(2, 4, 130), random_state = 1)
    for (target in list(select_output(filled, "counts"), profile_score(filled, "profile"))) {
      explained <- deep_lift_shap(target, X, n_shuffles = 3L, random_state = 1)
      expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
    }
  }
  # What no weight says is 0.15 and 46 + 1 + 2 + 4 unless it is given; a whole model says it itself.
  suppressMessages({
    weights <- as.list(read_state_dict(whole_path("cherimoya_control.torch")))
    given <- cherimoya(weights, trimming = 40, residual_scale = 0.3)
    whole <- cherimoya(whole_path("cherimoya_whole.torch"))
  })
  expected <- as.list(read_state_dict(whole_path("cherimoya_control_expected.pth")))
  outputs <- predict(given, expected$X, args = list(expected$control), dtype = "float64")
  expect_equal(numbers_of(outputs$profile), numbers_of(expected$profile), tolerance = 1e-6)
  expect_as_saved(whole, "cherimoya")
  expect_match(given$origin$trimming, "40 bp, as given|blocks times 0.3")
})

test_that("cherimoya() has the published number of parameters at full size", {
  zeros <- function(...) array(0.01, c(...))
  blocks <- lapply(0:8, function(i) {
    stats::setNames(
      list(zeros(3, 128), zeros(256, 128), zeros(128, 256)),
      paste0("blocks.", i, c(".conv_weight", ".linear1.weight", ".linear2.weight"))
    )
  })
  dict <- c(
    list(iconv.weight = zeros(128, 4, 21), iconv.bias = zeros(128)), unlist(blocks, FALSE),
    list(
      fconv.weight = zeros(1, 128, 75), fconv.bias = zeros(1), linear.weight = zeros(1, 128),
      linear.bias = zeros(1)
    )
  )
  model <- cherimoya(dict)
  # "Roughly 610K": docs/architecture.rst. Without lw0 and lw1, which no prediction needs.
  expect_identical(as.numeric(model$info$parameters), 613890)
  outputs <- predict(model, random_one_hot(c(1, 4, 2114), random_state = 1))
  expect_identical(lapply(outputs, dim), list(profile = c(1L, 1L, 1000L), counts = c(1L, 1L)))
})
