# Published networks from state dicts: predictions against R's own arithmetic, attributions that add
# up, and what is said of a state dict that does not fit.

X <- random_one_hot(c(2, 4, 100), random_state = 1)

# Every target is explained in float64 and leaves nothing over.
expect_explained <- function(model, X, targets = 1L) {
  audit <- audit_model(model, X)
  expect_true(all(audit$supported))
  explained <- deep_lift_shap(model, X,
    target = targets, n_shuffles = 4L, dtype = "float64", random_state = 1
  )
  expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
  expect_gt(max(abs(explained)), 0)
}

# `f(x)` for each sequence [4, L], stacked as the model stacks them.
each_sequence <- function(X, f) {
  rows <- lapply(seq_len(dim(X)[1L]), function(i) f(matrix(X[i, , ], 4L)))
  aperm(array(unlist(rows), c(dim(as.array(rows[[1L]])), length(rows))), c(
    length(dim(as.array(rows[[1L]]))) + 1L, seq_along(dim(as.array(rows[[1L]])))
  ))
}

in_double <- function(model, X, ...) {
  outputs <- predict(model, X, dtype = "float64", ...)
  if (is.list(outputs)) lapply(outputs, numbers_of) else numbers_of(outputs)
}

test_that("bpnet() computes profile and counts with its control track", {
  dict <- bpnet_dict(tracks = 2L)
  model <- bpnet(dict, trimming = 40)
  expect_identical(model$info$arguments, c("X", "control_track"))
  control <- array(seq_len(400) %% 5 / 4, c(2, 2, 100))
  outputs <- in_double(model, X, args = list(control))
  by_hand <- lapply(1:2, function(i) bpnet_by_hand(matrix(X[i, , ], 4L), dict, control[i, , ]))
  for (i in 1:2) {
    expect_equal(outputs[[1L]][i, , ], by_hand[[i]]$profile, tolerance = 1e-12)
    expect_equal(outputs[[2L]][i, 1L], by_hand[[i]]$counts, tolerance = 1e-12)
  }
  filled <- with_args(model, list(control_track = 0))
  expect_explained(select_output(filled, 2), X)
  expect_explained(profile_score(filled), X)
})

test_that("procapnet() pools what its head sees, chrombpnet() adds two of bpnet()'s networks", {
  dict <- bpnet_dict(tracks = 0L, strands = 1L)
  model <- procapnet(dict, trimming = 40)
  for (output in 1:2) {
    by_hand <- each_sequence(X, function(x) bpnet_by_hand(x, dict, beyond = 2L)[[output]])
    expect_equal(as.vector(in_double(model, X)[[output]]), as.vector(by_hand), tolerance = 1e-12)
  }
  expect_explained(profile_score(model), X)

  halves <- stats::setNames(lapply(dict, function(w) w / 2), paste0("bias.", names(dict)))
  both <- c(stats::setNames(dict, paste0("accessibility.", names(dict))), halves)
  model <- chrombpnet(both, trimming = 40, bias_trimming = 40)
  outputs <- in_double(model, X)
  for (i in 1:2) {
    bias <- bpnet_by_hand(matrix(X[i, , ], 4L), both, prefix = "bias.")
    own <- bpnet_by_hand(matrix(X[i, , ], 4L), dict)
    expect_equal(outputs[[1L]][i, , ], as.vector(own$profile + bias$profile), tolerance = 1e-12)
    expect_equal(outputs[[2L]][i, 1L], log(exp(own$counts) + exp(bias$counts)), tolerance = 1e-12)
  }
  expect_explained(select_output(model, 2), X)
  expect_explained(profile_score(model), X)
})

# What Python computes: tests/models/make_architectures.py.
python_architectures <- list(
  bpnet_wide = function(path) bpnet(path), bpnet_narrow = function(path) bpnet(path),
  bpnet_narrow_control = function(path) bpnet(path, trimming = 50),
  chrombpnet_depths = function(path) chrombpnet(path),
  chrombpnet_same = function(path) chrombpnet(path, trimming = 61, bias_trimming = 61),
  chrombpnet_widths = function(path) chrombpnet(path, trimming = 70),
  procapnet_counts = function(path) procapnet(path),
  procapnet_narrow = function(path) procapnet(path, trimming = 30),
  borzoi_small = function(path) borzoi(path, target_length = 20),
  flashzoi_whole = function(path) borzoi(path, target_length = 20, heads = 2L),
  # Published heads have 192 channels, 128 of which turn: a smaller part of a smaller head.
  flashzoi_part = function(path) {
    options <- list(head = "", target_length = 20L, heads = 4L, rotated = 2L)
    build_architecture("borzoi", path, options, NULL, NULL, rlang::current_env())
  },
  deepsea_effects = function(path) suppressMessages(deepsea(path)),
  deepsea_predict = function(path) suppressMessages(deepsea(path))
)

test_that("networks of unequal depths, widths and trimmings are what Python computes", {
  path <- function(name) test_path("architectures", paste0(name, ".pth"))
  for (name in names(python_architectures)) {
    expected <- as.list(read_state_dict(path(paste0(name, "_expected"))))
    model <- python_architectures[[name]](path(name))
    args <- if (!is.null(expected$control)) list(expected$control)
    outputs <- predict(model, expected$X, args = args)
    outputs <- if (is.list(outputs)) outputs else list(outputs)
    for (i in seq_along(outputs)) {
      expect_equal(numbers_of(outputs[[i]]), expected[[paste0("output_", i)]],
        tolerance = 1e-12, info = name
      )
    }
  }
})

test_that("print() tells which trimming was taken", {
  path <- test_path("architectures", "chrombpnet_depths.pth")
  expect_match(capture.output(print(chrombpnet(path))), "bias's counts by the number", all = FALSE)
  expect_match(
    capture.output(print(chrombpnet(path, trimming = 61, bias_trimming = 61))),
    "bias's counts 61 bp", all = FALSE
  )
})

test_that("as many bins are cut at both ends of Enformer, and heads may have any name", {
  dict <- enformer_dict()
  names(dict) <- sub("_heads.mouse", "_heads.K562 ATAC-seq", names(dict), fixed = TRUE)
  names(dict) <- sub("_heads.human", "_heads.1", names(dict), fixed = TRUE)
  X <- random_one_hot(c(2, 4, 32), random_state = 1)
  whole <- predict(enformer(dict, target_length = NULL), X)
  expect_named(whole, c("1", "K562 ATAC-seq"))
  # 8 bins, 3 to cut: 2 go at each end.
  cut <- predict(enformer(dict, target_length = 5), X)
  expect_identical(dim(cut[[1L]]), c(2L, 4L, 3L))
  expect_lt(largest_difference(cut[[1L]], whole[[1L]][, 3:6, ]), 1e-6)
  one <- enformer(dict, target_length = 5, head = "K562 ATAC-seq")
  expect_lt(largest_difference(predict(one, X), cut[[2L]]), 1e-6)
  wrapped <- stats::setNames(dict, paste0("module.", names(dict)))
  expect_message(
    model <- enformer(wrapped, target_length = 5), class = "seqlift_message_state_dict"
  )
  expect_equal(predict(model, X), cut)
})

test_that("the default trimming is bpnet-lite's", {
  dict <- bpnet_dict(tracks = 0L, strands = 1L)
  long <- random_one_hot(c(1, 4, 120), random_state = 1)
  expect_identical(dim(predict(bpnet(dict), long)[[1L]]), c(1L, 1L, 120L - 2L * (47L + 2L + 4L)))
})

test_that("basset() gives logits, or probabilities as published", {
  dict <- state_dict_of(c(
    layer_shapes("0", c(3L, 4L, 5L, 1L)), norm_shapes("1", 3L),
    layer_shapes("4", c(4L, 3L, 3L, 1L)), norm_shapes("5", 4L),
    layer_shapes("8", c(5L, 4L, 2L, 1L)), norm_shapes("9", 5L),
    layer_shapes("13.1", c(6L, 5L)), norm_shapes("14", 6L),
    layer_shapes("17.1", c(4L, 6L)), norm_shapes("18", 4L), layer_shapes("21.1", c(2L, 4L))
  ))
  dict[["1.num_batches_tracked"]] <- 12
  by_hand <- function(x) {
    for (i in 1:3) {
      x <- convolved(x, dict, as.character(4L * (i - 1L)))
      x <- max_pooled(relu(batch_normed(x, dict, as.character(4L * i - 3L))), c(3L, 4L, 4L)[i])
    }
    h <- relu(batch_normed(as.vector(dense(flattened(x), dict, "13.1")), dict, "14"))
    h <- relu(batch_normed(as.vector(dense(h, dict, "17.1")), dict, "18"))
    as.vector(dense(h, dict, "21.1"))
  }
  X <- random_one_hot(c(2, 4, 76), random_state = 1)
  logits <- each_sequence(X, by_hand)
  model <- basset(dict, logits = TRUE)
  expect_equal(in_double(model, X), logits, tolerance = 1e-12)
  expect_equal(in_double(basset(dict), X), sigmoid(logits), tolerance = 1e-12)
  expect_explained(model, X, 1:2)
})

test_that("deepsea() and beluga() read weights that were trained with A, G, C, T", {
  agct <- c(1L, 3L, 2L, 4L)
  dict <- state_dict_of(c(
    layer_shapes("0", c(3L, 4L, 1L, 4L)), layer_shapes("4", c(4L, 3L, 1L, 3L)),
    layer_shapes("8", c(5L, 4L, 1L, 1L)), layer_shapes("12.1", c(6L, 5L)),
    layer_shapes("14.1", c(2L, 6L))
  ))
  threshold <- function(x) ifelse(x > 0, x, 1e-6)
  deepsea_by_hand <- function(x) {
    h <- max_pooled(threshold(convolved(x[agct, ], dict, "0")), 4L)
    h <- max_pooled(threshold(convolved(h, dict, "4")), 4L)
    h <- flattened(threshold(convolved(h, dict, "8")))
    as.vector(dense(threshold(dense(h, dict, "12.1")), dict, "14.1"))
  }
  X <- random_one_hot(c(2, 4, 27), random_state = 1)
  model <- deepsea(dict, logits = TRUE)
  expect_equal(in_double(model, X), each_sequence(X, deepsea_by_hand), tolerance = 1e-12)
  expect_explained(model, X, 1:2)
  expect_equal(
    in_double(deepsea(dict, alphabet = "ACGT"), X), in_double(deepsea(dict), X[, agct, ]),
    tolerance = 1e-12
  )

  dict <- state_dict_of(c(
    layer_shapes("model.0.0", c(3L, 4L, 1L, 4L)), layer_shapes("model.0.2", c(3L, 3L, 1L, 2L)),
    layer_shapes("model.0.6", c(4L, 3L, 1L, 2L)), layer_shapes("model.0.8", c(4L, 4L, 1L, 2L)),
    layer_shapes("model.0.12", c(5L, 4L, 1L, 2L)), layer_shapes("model.0.14", c(5L, 5L, 1L, 1L)),
    layer_shapes("model.1.2.1", c(6L, 5L)), layer_shapes("model.1.4.1", c(2L, 6L))
  ))
  beluga_by_hand <- function(x) {
    h <- x[agct, ]
    for (i in c(0L, 6L, 12L)) {
      h <- relu(convolved(h, dict, paste0("model.0.", i)))
      h <- relu(convolved(h, dict, paste0("model.0.", i + 2L)))
      h <- if (i < 12L) max_pooled(h, 4L) else h
    }
    as.vector(dense(relu(dense(flattened(h), dict, "model.1.2.1")), dict, "model.1.4.1"))
  }
  X <- random_one_hot(c(2, 4, 44), random_state = 1)
  model <- beluga(dict, logits = TRUE)
  expect_equal(in_double(model, X), each_sequence(X, beluga_by_hand), tolerance = 1e-12)
  expect_explained(model, X, 1:2)
})

test_that("enformer() gives a head for each species, and every operation has a rule", {
  dict <- enformer_dict()
  X <- random_one_hot(c(2, 4, 32), random_state = 1)
  outputs <- in_double(enformer(dict, target_length = 4), X)
  human <- each_sequence(X, function(x) enformer_by_hand(x, dict, "human")[3:6, ])
  mouse <- each_sequence(X, function(x) enformer_by_hand(x, dict, "mouse")[3:6, ])
  expect_equal(outputs[[1L]], human, tolerance = 1e-12)
  expect_equal(outputs[[2L]], mouse, tolerance = 1e-12)
  model <- enformer(dict, head = "mouse", target_length = NULL)
  expect_identical(dim(predict(model, X)), c(2L, 8L, 2L))
  expect_explained(profile_score(model), X)
  other <- enformer(dict, head = "mouse", target_length = NULL, use_tf_gamma = FALSE)
  expect_gt(largest_difference(in_double(other, X), in_double(model, X)), 1e-6)
})

test_that("modules have the names of the weights and PyTorch's classes, and can be registered", {
  dict <- bpnet_dict(tracks = 0L)
  model <- bpnet(dict, trimming = 40)
  classes <- stats::setNames(model$info$module_classes, model$info$modules)
  expect_identical(classes[["rconvs.1"]], "torch.nn.modules.conv.Conv1d")
  expect_identical(model$info$class, "BPNet")
  counts <- select_output(model, 2)
  explain <- function(...) {
    numbers_of(deep_lift_shap(counts, X, n_shuffles = 3L, random_state = 1, ...))
  }
  expect_equal(explain(rules = "module"), explain(), tolerance = 1e-5)
  expect_warning(
    as_gradients <- explain(rules = "module", nonlinear_ops = c(ReLU = "gradient")),
    class = "seqlift_warning_convergence"
  )
  expect_gt(largest_difference(as_gradients, explain()), 1e-4)

  both <- c(
    stats::setNames(bpnet_dict(0L, 1L), paste0("bias.", names(dict))),
    stats::setNames(bpnet_dict(0L, 1L), paste0("accessibility.", names(dict)))
  )
  counts <- select_output(chrombpnet(both, trimming = 40, bias_trimming = 40), 2)
  registered <- c("_Exp" = "rescale", "_Log" = "rescale")
  expect_equal(
    explain(rules = "module", nonlinear_ops = registered), explain(),
    tolerance = 1e-5
  )
})

test_that("a state dict that does not fit is told of all at once", {
  dict <- bpnet_dict(tracks = 2L)
  dict$linear.weight <- matrix(0, 1, 3)
  dict$dense.weight <- matrix(0, 2, 2)
  dict[["iconv.bias"]] <- NULL
  dict[["rconvs.0.weight"]] <- NULL
  expect_snapshot(bpnet(dict), error = TRUE)
  expect_error(bpnet(dict), class = "seqlift_error_model")
  expect_snapshot(error = TRUE, {
    enformer(bpnet_dict(tracks = 2L))
    enformer(enformer_dict(), head = "fly")
    beluga(bpnet_dict(tracks = 2L))
  })
})

test_that("other arguments are checked before any work", {
  dict <- bpnet_dict(tracks = 0L)
  expect_snapshot(error = TRUE, {
    bpnet(list(1, 2))
    bpnet(c(dict, dict["iconv.bias"]))
    bpnet(c(dict, list(name = "BPNet")))
    bpnet(dict, trimming = 1)
    bpnet(dict, trimming = -1)
    basset(dict, alphabet = "ACGU")
    deepsea(dict, logits = NA)
  })
  # Only where the counts are asked for.
  dict$linear.bias <- NaN
  counts <- select_output(bpnet(dict), 2)
  expect_error(predict(counts, strrep("ACGT", 100)), "linear.bias", class = "seqlift_error_model")
})

test_that("a state dict from a file is read by its path, or as read_state_dict() gives it", {
  path <- test_path("state_dicts", "net.pth")
  expect_error(bpnet(path), class = "seqlift_error_model")
  expect_identical(
    conditionMessage(expect_error(bpnet(path))),
    conditionMessage(expect_error(bpnet(read_state_dict(path))))
  )
  expect_error(bpnet("no_such_file.pth"), class = "seqlift_error_file")
})

test_that("the model is a TorchScript file that can be kept", {
  model <- bpnet(bpnet_dict(tracks = 0L), trimming = 40)
  path <- tempfile(fileext = ".pt")
  file.copy(model$path, path)
  expect_equal(predict(load_model(path), X), predict(model, X))
})

test_that("borzoi() keeps the head that is asked for, and is explained without a remainder", {
  path <- test_path("architectures", "borzoi_small.pth")
  X <- random_one_hot(c(1, 4, 128), random_state = 1)
  both <- predict(borzoi(path, target_length = 20), X)
  expect_named(both, c("human", "mouse"))
  mouse <- borzoi(path, head = "mouse", target_length = 20)
  expect_identical(numbers_of(predict(mouse, X)), numbers_of(both$mouse))
  expect_identical(
    dim(predict(borzoi(path, head = "human", target_length = NULL), X)), c(1L, 3L, 32L)
  )
  explained <- deep_lift_shap(profile_score(mouse), X, n_shuffles = 2L, random_state = 1)
  expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
  error <- expect_error(
    borzoi(list(conv_dna.conv_layer.weight = array(1, c(2, 4, 3)))),
    class = "seqlift_error_model"
  )
  expect_match(conditionMessage(error), "human_head", fixed = TRUE)
  flash <- test_path("architectures", "flashzoi_whole.pth")
  mouse <- borzoi(flash, head = "mouse", target_length = 20, heads = 2)
  explained <- deep_lift_shap(profile_score(mouse), X, n_shuffles = 2L, random_state = 1)
  expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
  for (heads in c(3L, 16L)) {
    error <- expect_error(borzoi(flash, heads = heads), class = "seqlift_error_model")
    expect_match(conditionMessage(error), "even number of heads", fixed = TRUE)
  }
})
