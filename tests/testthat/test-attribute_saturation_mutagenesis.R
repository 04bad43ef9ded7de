# The slow twin: every substituted sequence is written out in letters and predicted.
predict_every_substitution <- function(model, X, ..., window = seq_len(nchar(X[1L]))) {
  predictions <- lapply(seq_along(X), function(i) {
    one <- lapply(window, function(position) {
      sequences <- vapply(c("A", "C", "G", "T"), function(base) {
        substr(X[i], position, position) <- base
        unname(X[i])
      }, "")
      predict(model, sequences, dtype = "float64", ...)
    })
    array(unlist(one), c(4L, dim(one[[1L]])[-1L], length(window)))
  })
  shape <- dim(predictions[[1L]])
  all <- array(unlist(predictions), c(shape, length(X)))
  # [4, outputs, window, n] to [n, 4, window, outputs]
  aperm(all, c(4L, 1L, 3L, 2L))
}

test_that("raw outputs are the predictions of all substitutions, in windows and in full", {
  model <- test_model("tiny_float64")
  X <- test_sequences(2L)
  expected <- predict_every_substitution(model, X)
  for (method in c("incremental", "full", "auto")) {
    raw <- saturation_mutagenesis(model, X, raw_outputs = TRUE, method = method)
    expect_identical(names(raw), c("y0", "y_hat"))
    expect_lt(largest_difference(raw$y0, predict(model, X)), 1e-12)
    expect_identical(dim(raw$y_hat), dim(expected))
    expect_lt(largest_difference(raw$y_hat, expected), 1e-12)
  }
  expect_identical(dimnames(raw$y_hat)[1:2], list(names(X), c("A", "C", "G", "T")))
})

test_that("the sequences are what predict() gives of each by itself, to the last bit", {
  X <- test_sequences(3L)
  for (name in c("tiny", "heads", "transformer", "recurrent", "positions", "squeezed")) {
    model <- test_model(name)
    expected <- predict(model, X, batch_size = 1L)
    for (method in c("incremental", "full", "auto")) {
      raw <- saturation_mutagenesis(model, X, raw_outputs = TRUE, method = method, start = 3L)
      expect_identical(raw$y0, expected, label = paste(name, method))
    }
  }
})

test_that("a sequence is evaluated once for itself and for its substitutions", {
  skip_if_not_installed("callr")
  # The model's code says that it is evaluated where R does not see it.
  evaluations <- function(verb, n, ...) {
    file <- tempfile()
    on.exit(unlink(file))
    callr::r(function(verb, path, X, ...) {
      options(seqlift.engine = "process")
      getExportedValue("seqlift", verb)(seqlift::load_model(path), X, ...)
    }, list(verb, normalizePath(model_path("counted")), test_sequences(n), ...),
    stdout = file, libpath = .libPaths()
    )
    sum(readLines(file) == "evaluated")
  }
  # 36 substitutions of 12 letters are one evaluation; whole, they are another beside the sequence's.
  for (method in c("incremental", "full")) {
    each <- if (method == "full") 2L else 1L
    one <- evaluations("saturation_mutagenesis", 1L, method = method, batch_size = 36L)
    three <- evaluations("saturation_mutagenesis", 3L, method = method, batch_size = 36L)
    expect_identical(three - one, 2L * each, label = method)
  }
})

test_that("scores are centred over the bases and averaged over the outputs", {
  # One sequence, two positions, two outputs; y0 = (1, 2).
  y0 <- array(c(1, 2), c(1L, 2L))
  y_hat <- array(0, c(1L, 4L, 2L, 2L))
  y_hat[1, , 1, 1] <- c(1, 3, 5, 7) # changes 0 2 4 6, mean 3
  y_hat[1, , 1, 2] <- c(2, 2, 2, 6) # changes 0 0 0 4, mean 1
  y_hat[1, , 2, 1] <- 1
  y_hat[1, , 2, 2] <- 2
  expect_identical(centred_effects(y0, y_hat, 1L)[1, , 1], c(-3, -1, 1, 3))
  expect_identical(centred_effects(y0, y_hat, 2L)[1, , 1], c(-1, -1, -1, 3))
  expect_identical(centred_effects(y0, y_hat, NULL)[1, , 1], c(-2, -1, 0, 3))
  expect_identical(centred_effects(y0, y_hat, 2:1)[1, , ], cbind(c(-2, -1, 0, 3), 0))
})

test_that("scores follow from the raw outputs, hypothetical or of the bases that are there", {
  model <- test_model("tiny_float64")
  X <- test_sequences(3L)
  raw <- saturation_mutagenesis(model, X, raw_outputs = TRUE)
  scores <- saturation_mutagenesis(model, X, target = 1L, hypothetical = TRUE)
  expect_s3_class(scores, "seqlift_attributions")
  expect_identical(attr(scores, "kind"), "hypothetical")
  effects <- raw$y_hat[, , , 1] - as.vector(raw$y0[, 1])
  expected <- effects -
    aperm(array(apply(effects, c(1, 3), mean), dim(effects)[c(1, 3, 2)]), c(1, 3, 2))
  expect_lt(largest_difference(scores, expected), 1e-14)
  observed <- saturation_mutagenesis(model, X, target = 1L)
  expect_lt(largest_difference(observed, expected * one_hot_encode(X)), 1e-14)
  expect_identical(dim(convergence_deltas(observed)), c(3L, 0L))
})

test_that("a window holds the same numbers as the whole", {
  model <- test_model("tiny")
  X <- test_sequences(2L)
  whole <- saturation_mutagenesis(model, X, hypothetical = TRUE)
  part <- saturation_mutagenesis(model, X, start = 3, end = 7, hypothetical = TRUE)
  expect_identical(dim(part), c(2L, 4L, 5L))
  expect_lt(largest_difference(part, whole[, , 3:7]), 1e-6)
  expect_identical(unname(attr(part, "X")), unname(attr(whole, "X")[3:7, ]))
})

test_that("windows equal whole sequences for every model of the tests", {
  X <- test_sequences(2L)
  for (name in c(
    "constructs", "functional", "inverse", "recurrent", "recurrent_traced", "scaled", "squeezed",
    "tiny", "tiny_traced", "training",
    "transformer", "transformer_traced", "two_heads"
  )) {
    model <- test_model(name)
    if (name == "two_heads") model <- with_args(model, list(control_track = 0.5))
    run <- function(method) {
      saturation_mutagenesis(model, X, raw_outputs = TRUE, method = method, dtype = "float64")
    }
    windows <- run("incremental")
    full <- run("full")
    size <- max(1, abs(unlist(full$y_hat)))
    gap <- max(abs(unlist(windows$y_hat) - unlist(full$y_hat))) / size
    expect_lt(gap, 1e-12, label = name)
  }
})

test_that("the other inputs go with their sequence", {
  model <- test_model("two_inputs")
  X <- test_sequences(3L)
  args <- list(track = array(seq_len(36) / 20 - 1, c(3L, 1L, 12L)), cell_type = diag(3))
  windows <- saturation_mutagenesis(model, X, args = args, raw_outputs = TRUE, dtype = "float64")
  rows <- lapply(1:3, function(i) {
    own <- lapply(args, take_outputs, axis = 1L, chosen = i)
    saturation_mutagenesis(model, X[i], args = own, raw_outputs = TRUE, method = "full",
      dtype = "float64"
    )$y_hat
  })
  for (i in 1:3) {
    expect_lt(largest_difference(take_outputs(windows$y_hat, 1L, i), rows[[i]]), 1e-12)
  }
})

test_that("several outputs are given by their names", {
  X <- test_sequences(2L)
  raw <- saturation_mutagenesis(test_model("heads"), X, raw_outputs = TRUE)
  expect_named(raw$y0, c("profile", "counts"))
  expect_named(raw$y_hat, c("profile", "counts"))
  expect_equal(raw$y0, predict(test_model("heads"), X))
})

test_that("an N has four substitutions, and extra channels stay as they are", {
  model <- test_model("tiny_float64")
  X <- c(one = "ACGTNGCAAGTC")
  raw <- saturation_mutagenesis(model, X, raw_outputs = TRUE)
  expect_lt(largest_difference(raw$y_hat, predict_every_substitution(model, X)), 1e-12)
  expect_gt(min(abs(raw$y_hat[1, , 5, 1] - raw$y0[1, 1])), 1e-8)
  scores <- saturation_mutagenesis(model, X, target = 1L)
  expect_identical(unname(scores[1, , 5]), c(0, 0, 0, 0))

  extra <- test_model("extra_channels")
  bases <- one_hot_encode(test_sequences(2L))
  array <- array(0.3, c(2L, 6L, 12L))
  array[, 1:4, ] <- bases
  full <- saturation_mutagenesis(
    extra, array, raw_outputs = TRUE, method = "full", dtype = "float64"
  )
  windows <- saturation_mutagenesis(extra, array,
    raw_outputs = TRUE, method = "incremental", dtype = "float64"
  )
  expect_lt(largest_difference(full$y_hat, windows$y_hat), 1e-12)
})

test_that("threads, batches and the number of sequences leave the numbers as they are", {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  X <- demo_sequences()[1:2]
  one <- with_threads(1L, saturation_mutagenesis(model, X, start = 240, end = 260))
  two <- with_threads(2L, saturation_mutagenesis(model, X, start = 240, end = 260, batch_size = 7))
  expect_lt(largest_difference(one, two), 1e-5)
  alone <- saturation_mutagenesis(model, X[2], start = 240, end = 260, method = "full")
  expect_lt(largest_difference(one[2, , ], alone), 1e-5)
})

test_that("a profile comes in windows, too, and several outputs side by side", {
  model <- demo_model() |> with_args(list(control_track = 0))
  X <- demo_sequences()[3]
  raw <- function(method) {
    saturation_mutagenesis(model, X, start = 248, end = 252, raw_outputs = TRUE, method = method)
  }
  windows <- raw("incremental")
  full <- raw("full")
  expect_length(windows$y_hat, 2L)
  for (k in 1:2) {
    expect_identical(dim(windows$y_hat[[k]]), dim(full$y_hat[[k]]))
    expect_lt(largest_difference(windows$y_hat[[k]], full$y_hat[[k]]), 1e-5)
  }
})

test_that("verbose says how much work was done", {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  said <- character()
  withCallingHandlers(
    saturation_mutagenesis(model, demo_sequences()[1], start = 240, end = 250, verbose = TRUE),
    message = function(m) {
      said <<- c(said, conditionMessage(m))
      invokeRestart("muffleMessage")
    }
  )
  line <- grep("of the work", said, value = TRUE)
  expect_length(line, 1L)
  share <- as.numeric(sub("^[^0-9]*([0-9.]+) %.*$", "\\1", line))
  expect_true(share > 0 && share < 50)
})

test_that("bad arguments are told before anything is predicted", {
  model <- test_model("tiny")
  X <- test_sequences(2L)
  expect_error(
    saturation_mutagenesis(model, X, start = 6, end = 5), class = "seqlift_error_argument"
  )
  expect_error(saturation_mutagenesis(model, X, end = 13), class = "seqlift_error_argument")
  expect_error(saturation_mutagenesis(model, X, start = 0), class = "seqlift_error_argument")
  expect_error(saturation_mutagenesis(model, X, target = 99), class = "seqlift_error_target")
  expect_error(saturation_mutagenesis(model, X, target = 0), class = "seqlift_error_argument")
  expect_error(saturation_mutagenesis(model, X, method = "fast"), class = "seqlift_error_argument")
  expect_error(saturation_mutagenesis(model, "ACGU"), class = "seqlift_error_sequence")
  heads <- with_args(test_model("two_heads"), list(control_track = 0))
  expect_error(saturation_mutagenesis(heads, X), class = "seqlift_error_output")
  twice <- one_hot_encode(X)
  twice[1, 1:2, 3] <- 1
  expect_error(saturation_mutagenesis(model, twice), class = "seqlift_error_sequence")
})
