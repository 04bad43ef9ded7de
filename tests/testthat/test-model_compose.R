# Models made of models: means over models and strands, and files of them.

# Numbers alone of predict(), a list of outputs in any case.
outputs_of <- function(model, X, ...) {
  given <- predict(model, X, dtype = "float64", ...)
  lapply(if (is.list(given)) given else list(given), numbers_of)
}

expect_same_outputs <- function(given, expected, tolerance = 1e-12) {
  expect_length(given, length(expected))
  for (i in seq_along(expected)) {
    expect_identical(dim(given[[i]]), dim(expected[[i]]))
    expect_lt(largest_difference(given[[i]], expected[[i]]), tolerance)
  }
}

# [n, channels, L]: the first four channels and the positions in reverse order.
reverse_complement_of <- function(X) {
  channels <- c(4:1, seq_len(dim(X)[2L])[-(1:4)])
  X[, channels, rev(seq_len(dim(X)[3L])), drop = FALSE]
}

both_reversed <- function(x) x[, rev(seq_len(dim(x)[2L])), rev(seq_len(dim(x)[3L])), drop = FALSE]

# f at the reverse complement of `x`, profiles turned back: what the average adds to f itself.
turned <- function(outputs) {
  lapply(outputs, function(one) if (length(dim(one)) == 3L) both_reversed(one) else one)
}

mean_of <- function(lists, weights = rep(1 / length(lists), length(lists))) {
  lapply(seq_along(lists[[1L]]), function(i) {
    Reduce(`+`, Map(function(one, weight) one[[i]] * weight, lists, weights))
  })
}

track_of <- function(n = 1L) array(seq(-0.4, 0.9, length.out = n * 24L), c(n, 2L, 12L))

two_heads <- function(control_track = track_of()) {
  with_args(test_model("two_heads"), list(control_track = control_track))
}

explained <- function(model, X, references, ...) {
  deep_lift_shap(model, X, references = references, dtype = "float64", ...)
}

expect_small_deltas <- function(attributions) {
  expect_lt(max(abs(convergence_deltas(attributions))), 1e-10)
}

# ---- ensemble() ----------------------------------------------------------------------------

test_that("an ensemble predicts the mean of its members, weighted or not", {
  X <- test_sequences()
  a <- test_model("tiny")
  b <- test_model("scaled")
  c <- test_model("tiny_traced")
  members <- lapply(list(a, c, a), function(model) outputs_of(model, X))
  expect_same_outputs(outputs_of(ensemble(a, c, a), X), mean_of(members), 1e-7)
  expect_identical(outputs_of(ensemble(list(a, c)), X), outputs_of(ensemble(a, c), X))
  expect_same_outputs(
    outputs_of(ensemble(a, c, weights = c(3, 1)), X), mean_of(members[1:2], c(0.75, 0.25)), 1e-7
  )
  expect_s3_class(ensemble(a), "seqlift_model")
  expect_false(identical(numbers_of(predict(a, X)), numbers_of(predict(b, X))))
})

test_that("members keep what was put around them, and their own inputs", {
  X <- test_sequences()
  one <- select_output(two_heads(), 2)
  two <- select_output(two_heads(0.5), 2)
  three <- profile_score(two_heads(track_of(3L)))
  model <- ensemble(one, two, three)
  expect_same_outputs(
    outputs_of(model, X),
    mean_of(lapply(list(one, two, three), function(model) outputs_of(model, X)))
  )
  whole <- ensemble(two_heads(), two_heads(1))
  expect_same_outputs(
    outputs_of(whole, X), mean_of(list(outputs_of(two_heads(), X), outputs_of(two_heads(1), X)))
  )
  open <- ensemble(test_model("two_heads"), test_model("two_heads"))
  expect_same_outputs(outputs_of(open, X, args = list(track_of())), outputs_of(two_heads(), X))
})

test_that("attributions of an ensemble are the mean of its members', and add up", {
  X <- test_sequences()
  references <- reversed_references(X)
  members <- list(
    select_output(two_heads(), 2), profile_score(two_heads(0.5)), select_output(two_heads(1), 2)
  )
  weights <- c(2, 1, 1)
  given <- explained(ensemble(members, weights = weights), X, references)
  each <- lapply(members, function(model) explained(model, X, references))
  expected <- Reduce(`+`, Map(function(one, w) numbers_of(one) * w / 4, each, weights))
  expect_lt(largest_difference(given, expected), 1e-10)
  expect_gt(max(abs(expected)), 1e-3)
  expect_small_deltas(given)
})

test_that("modules of the members are found by path and by class", {
  X <- test_sequences()
  model <- ensemble(test_model("tiny"), test_model("tiny"))
  expect_true(all(c("model_1.relu", "model_2.relu") %in% model$info$modules))
  called <- FALSE
  rule <- function(x, x_ref, y, y_ref, grad_output) {
    called <<- TRUE
    0 * x
  }
  suppressWarnings(explained(model, X, reversed_references(X),
    nonlinear_ops = list("model_1.relu" = rule)
  ))
  expect_true(called)
})

test_that("models that do not go together are refused", {
  a <- test_model("tiny")
  expect_error(ensemble(), class = "seqlift_error_argument")
  expect_error(ensemble(list()), class = "seqlift_error_argument")
  expect_error(ensemble(a, "tiny.pt"), class = "seqlift_error_argument")
  expect_error(ensemble(a, NULL), class = "seqlift_error_argument")
  expect_error(ensemble(a, test_model("tiny_float64")), class = "seqlift_error_argument")
  expect_error(ensemble(a, test_model("two_heads")), class = "seqlift_error_argument")
  expect_error(ensemble(a, two_heads()), class = "seqlift_error_argument")
  for (weights in list(1, c(1, -1), c(0, 0), c(1, NA), "a", c(1, Inf))) {
    expect_error(ensemble(a, a, weights = weights), class = "seqlift_error_argument")
  }
  # Shapes are known when the model is used.
  profile <- select_output(two_heads(), 1)
  counts <- select_output(two_heads(), 2)
  expect_error(predict(ensemble(profile, counts), test_sequences()),
    class = "seqlift_error_evaluation"
  )
  expect_error(ensemble(test_model("looped_heads")), class = "seqlift_error_model")
  expect_snapshot(error = TRUE, {
    ensemble()
    ensemble(a, "tiny.pt")
    ensemble(a, test_model("tiny_float64"))
    ensemble(a, test_model("two_heads"))
    ensemble(a, two_heads())
    ensemble(a, a, weights = 1)
    ensemble(test_model("looped_heads"))
  })
})

# ---- reverse_complement_average() --------------------------------------------------------------

test_that("the average over both strands turns tracks and profiles round", {
  X <- test_sequences()
  model <- two_heads()
  average <- reverse_complement_average(model)
  one_hot <- one_hot_encode(X)
  back <- with_args(test_model("two_heads"), list(control_track = both_reversed(track_of())))
  expected <- mean_of(list(
    outputs_of(model, X), turned(outputs_of(back, reverse_complement_of(one_hot)))
  ))
  expect_same_outputs(outputs_of(average, X), expected)
  # Open inputs, a row for each sequence, and a single number.
  rows <- track_of(3L)
  open <- reverse_complement_average(test_model("two_heads"))
  there <- outputs_of(test_model("two_heads"), reverse_complement_of(one_hot),
    args = list(both_reversed(rows))
  )
  expect_same_outputs(
    outputs_of(open, X, args = list(rows)),
    mean_of(list(outputs_of(test_model("two_heads"), X, args = list(rows)), turned(there)))
  )
  expect_same_outputs(
    outputs_of(with_args(open, list(control_track = 0.5)), X),
    outputs_of(reverse_complement_average(two_heads(0.5)), X)
  )
  # It does not matter which strand is given.
  expect_same_outputs(
    outputs_of(reverse_complement_average(two_heads(0)), reverse_complement_of(one_hot)),
    turned(outputs_of(reverse_complement_average(two_heads(0)), X))
  )
})

test_that("the attributions of the average are the mean over both strands", {
  X <- one_hot_encode(test_sequences())
  references <- reversed_references(test_sequences())
  there <- array(0, dim(references))
  there[, 1, , ] <- reverse_complement_of(array(references, dim(references)[-2L]))
  for (model in list(select_output(two_heads(0.5), 2), test_model("tiny_float64"))) {
    given <- explained(reverse_complement_average(model), X, references)
    ahead <- numbers_of(explained(model, X, references))
    back <- numbers_of(explained(model, reverse_complement_of(X), there))
    expect_lt(largest_difference(given, (ahead + reverse_complement_of(back)) / 2), 1e-10)
    expect_gt(largest_difference(ahead, reverse_complement_of(back)), 1e-3)
    expect_small_deltas(given)
  }
})

test_that("channels beyond the four bases stay the channels that they are", {
  model <- test_model("extra_channels")
  X <- array(0, c(3L, 6L, 12L))
  X[, 1:4, ] <- one_hot_encode(test_sequences())
  X[, 5:6, ] <- seq(-1, 1, length.out = 72L)
  expect_same_outputs(
    outputs_of(reverse_complement_average(model), X),
    mean_of(list(outputs_of(model, X), turned(outputs_of(model, reverse_complement_of(X)))))
  )
})

test_that("inputs and outputs can be said to be read otherwise", {
  X <- test_sequences()
  one_hot <- one_hot_encode(X)
  positions_reversed <- function(x) x[, , rev(seq_len(dim(x)[3L])), drop = FALSE]
  track <- track_of()
  average <- reverse_complement_average(two_heads(track),
    inputs = c(control_track = "positions"), outputs = c("positions", "none")
  )
  there <- outputs_of(two_heads(positions_reversed(track)), reverse_complement_of(one_hot))
  expected <- mean_of(list(
    outputs_of(two_heads(track), X), list(positions_reversed(there[[1L]]), there[[2L]])
  ))
  expect_same_outputs(outputs_of(average, X), expected)
  as_is <- reverse_complement_average(two_heads(track),
    inputs = c(control_track = "none"), outputs = c("none", "none")
  )
  expect_same_outputs(outputs_of(as_is, X), mean_of(list(
    outputs_of(two_heads(track), X), outputs_of(two_heads(track), reverse_complement_of(one_hot))
  )))
  for (outputs in list("none", c("none", "other"), 1, c("none", NA))) {
    expect_error(reverse_complement_average(two_heads(), outputs = outputs),
      class = "seqlift_error_argument"
    )
  }
  for (inputs in list("none", c(other = "none"), c(control_track = "both"), list(1))) {
    expect_error(reverse_complement_average(two_heads(), inputs = inputs),
      class = "seqlift_error_argument"
    )
  }
  expect_snapshot(error = TRUE, {
    reverse_complement_average(two_heads(), inputs = c(control_track = "both"))
    reverse_complement_average(two_heads(), outputs = "none")
  })
})

test_that("more than two strands must be said to be strands or not", {
  X <- test_sequences()
  # It takes the mean over the batch of what it is given beside the sequences.
  model <- load_model(model_path("any_shape"), batch = "joint")
  average <- reverse_complement_average(model)
  wide <- array(seq(0, 1, length.out = 36L), c(1L, 3L, 12L))
  expect_error(predict(average, X, args = list(wide)), "more than two strands",
    class = "seqlift_error_evaluation"
  )
  told <- reverse_complement_average(model, inputs = c(extra = "positions"))
  expect_type(predict(told, X, args = list(wide)), "double")
})

# ---- save_model() ------------------------------------------------------------------------------

test_that("a saved model is the model, with everything that was put around it", {
  X <- test_sequences()
  references <- reversed_references(X)
  saved <- function(model) {
    path <- tempfile(fileext = ".pt")
    expect_identical(save_model(model, path), path)
    load_model(path)
  }
  models <- list(
    test_model("tiny"), test_model("eval_forward"), test_model("functional"),
    select_output(two_heads(), 2), profile_score(two_heads(0.25)),
    profile_score(select_output(two_heads(0), 1)),
    reverse_complement_average(profile_score(two_heads(0.25))),
    ensemble(select_output(two_heads(0.1), 2), select_output(two_heads(), 2))
  )
  for (model in models) {
    again <- saved(model)
    expect_length(again$wrappers, 0L)
    expect_length(again$args, 0L)
    expect_identical(again$info$arguments, again$info$arguments[1L])
    expect_same_outputs(outputs_of(again, X), outputs_of(model, X))
    expect_lt(
      largest_difference(explained(again, X, references), explained(model, X, references)), 1e-12
    )
  }
  both <- saved(two_heads())
  expect_same_outputs(outputs_of(both, X), outputs_of(two_heads(), X))
  open <- saved(select_output(test_model("two_heads"), 2))
  expect_same_outputs(
    outputs_of(with_args(open, list(control_track = track_of())), X),
    outputs_of(select_output(two_heads(), 2), X)
  )
})

test_that("a number that is filled in fills every length", {
  model <- select_output(with_args(demo_model(), list(control_track = 0.25)), 2)
  path <- tempfile(fileext = ".pt")
  save_model(model, path)
  again <- load_model(path)
  X <- substr(demo_sequences(), 1, 480)[1:2]
  expect_equal(predict(again, X), predict(model, X), tolerance = 1e-6)
  expect_equal(predict(again, demo_sequences()), predict(model, demo_sequences()), tolerance = 1e-6)
})

test_that("the model's own modules keep their paths and classes in a saved file", {
  model <- profile_score(two_heads())
  path <- tempfile(fileext = ".pt")
  save_model(model, path)
  again <- load_model(path)
  own <- test_model("two_heads")$info
  at <- match(own$modules, again$info$modules)
  expect_false(anyNA(at))
  expect_identical(again$info$module_classes[at], own$module_classes)
  expect_identical(again$info$class, own$class)
  expect_true("profile_score.scaling" %in% again$info$modules)
  in_module_mode <- function(model, path) {
    rules <- stats::setNames(list("rescale", "rescale"), path)
    numbers_of(explained(model, test_sequences(), reversed_references(test_sequences()),
      rules = "module", nonlinear_ops = rules, warning_threshold = Inf
    ))
  }
  expect_equal(
    in_module_mode(again, c("trunk.relu", "profile_score.scaling")),
    in_module_mode(model, c("trunk.relu", "profile_score().scaling"))
  )
})

test_that("a model with nothing around it is copied, and its own file is never written to", {
  path <- normalizePath(model_path("tiny"))
  in_empty_folder({
    file.copy(path, "tiny.pt")
    model <- load_model("tiny.pt")
    save_model(model, "copy.pt")
    expect_identical(unname(tools::md5sum("copy.pt")), model$hash)
    wrapped <- reverse_complement_average(select_output(model, 1))
    for (one in list(model, select_output(model, 1), wrapped, ensemble(wrapped, model))) {
      expect_error(save_model(one, "tiny.pt"), class = "seqlift_error_argument")
    }
    expect_identical(unname(tools::md5sum("tiny.pt")), model$hash)
    expect_snapshot(save_model(model, "tiny.pt"), error = TRUE)
    expect_error(save_model(model, "no/folder.pt"), class = "seqlift_error_file")
    expect_error(save_model("tiny.pt", "b.pt"), class = "seqlift_error_argument")
    # Replaced where it is another one.
    save_model(wrapped, "copy.pt")
    expect_false(unname(tools::md5sum("copy.pt")) == model$hash)
    expect_identical(sort(list.files(all.files = TRUE, no.. = TRUE)), c("copy.pt", "tiny.pt"))
  })
})

test_that("inputs that no file can hold are errors", {
  path <- tempfile(fileext = ".pt")
  expect_error(save_model(two_heads(track_of(3L)), path), class = "seqlift_error_args")
  expect_error(save_model(with_args(test_model("any_shape"), list(extra = 1)), path),
    class = "seqlift_error_args"
  )
  expect_false(file.exists(path))
  expect_snapshot(error = TRUE, {
    save_model(two_heads(track_of(3L)), path)
    save_model(with_args(test_model("any_shape"), list(extra = 1)), path)
  })
})

test_that("a composed model works in another process as long as its file is there", {
  skip_if_not_installed("callr")
  X <- test_sequences()
  model <- ensemble(test_model("tiny"), reverse_complement_average(test_model("tiny")))
  there <- in_new_session(function(model, X) {
    library(seqlift)
    predict(model, X)
  }, list(model, X))
  expect_equal(there, predict(model, X))
  alone <- unserialize(serialize(model, NULL))
  alone$path <- file.path(tempdir(), "gone.pt")
  expect_error(predict(alone, X), class = "seqlift_error_file")
  expect_snapshot(predict(alone, X), error = TRUE, transform = without_paths)
})

# ---- any order -----------------------------------------------------------------------------

# A model, and a function that gives its outputs by R's arithmetic on predictions of the files.
plain <- function(name, track) {
  model <- if (is.null(track)) test_model(name) else two_heads(track)
  list(model = model, of = function(X, flip) {
    if (is.null(track)) {
      return(outputs_of(model, X))
    }
    outputs_of(two_heads(if (flip) both_reversed(track) else track), X)
  })
}

scores_of <- function(logits) {
  array(apply(logits, 1L, function(one) {
    centred <- one - mean(one)
    sum(centred * exp(centred) / sum(exp(centred)))
  }), c(dim(logits)[1L], 1L))
}

put_around <- function(one, step) {
  switch(step,
    reverse = list(
      model = reverse_complement_average(one$model),
      of = function(X, flip) {
        mean_of(list(one$of(X, flip), turned(one$of(reverse_complement_of(X), !flip))))
      }
    ),
    select = {
      index <- sample.int(count_outputs(one$model), 1L)
      list(
        model = select_output(one$model, index), of = function(X, flip) one$of(X, flip)[index]
      )
    },
    score = list(
      model = profile_score(one$model, 1L),
      of = function(X, flip) list(scores_of(one$of(X, flip)[[1L]]))
    )
  )
}

random_composition <- function(depth) {
  if (depth == 0L) {
    return(plain("two_heads", track_of() * sample(5L, 1L) / 5))
  }
  step <- sample(c("reverse", "select", "score", "ensemble"), 1L)
  if (step != "ensemble") {
    return(put_around(random_composition(depth - 1L), step))
  }
  members <- list(random_composition(depth - 1L))
  weights <- stats::runif(2L)
  # The second has the same outputs: the first with other things in the same order is another
  # composition of the same kind.
  first <- members[[1L]]
  second <- put_around(first, "reverse")
  list(
    model = ensemble(first$model, second$model, weights = weights),
    of = function(X, flip) {
      mean_of(list(first$of(X, flip), second$of(X, flip)), weights / sum(weights))
    }
  )
}

test_that("any composition predicts what R's arithmetic gives, and its attributions add up", {
  X <- one_hot_encode(test_sequences(2L))
  references <- reversed_references(test_sequences(2L))
  seen <- 0L
  for (seed in 1:16) {
    set.seed(seed)
    one <- random_composition(sample(2:4, 1L))
    expect_same_outputs(outputs_of(one$model, X), one$of(X, FALSE), 1e-12)
    last <- select_output(one$model, count_outputs(one$model))
    if (length(dim(predict(last, X))) == 2L) {
      attributions <- explained(last, X, references)
      expect_small_deltas(attributions)
      seen <- seen + (max(abs(attributions)) > 1e-6)
    }
  }
  expect_gt(seen, 8L)
})

test_that("where the engine has a session of its own, compositions are the same", {
  skip_if_not_installed("callr")
  X <- test_sequences()
  compose <- function(path, X) {
    options(seqlift.engine = "session")
    model <- suppressMessages(seqlift::load_model(path))
    both <- seqlift::ensemble(model, seqlift::reverse_complement_average(model))
    saved <- tempfile(fileext = ".pt")
    seqlift::save_model(seqlift::select_output(both, 1), saved)
    list(predict(seqlift::load_model(saved), X), utils::capture.output(print(model)))
  }
  there <- in_new_session(compose, list(normalizePath(model_path("tiny")), X))
  tiny <- test_model("tiny")
  expect_identical(there[[1L]], predict(ensemble(tiny, reverse_complement_average(tiny)), X))
  expect_identical(there[[2L]], utils::capture.output(print(tiny)))
})
