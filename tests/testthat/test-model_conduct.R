# Models that are refused, or treated specially, as a whole. The files are written by
# tests/models/make_conduct_models.py, whose tables say what each does.

conduct_path <- function(name) test_path("models", "conduct", paste0(name, ".pt"))

# All files of a table.
conduct_names <- function(table) {
  files <- list.files(test_path("models", "conduct"), paste0("^", table, "_.*[.]pt$"))
  sub("[.]pt$", "", files)
}

conduct_model <- function(name, ...) load_model(conduct_path(name), ...)

conduct_sequences <- function(n = 3L) {
  decode_one_hot(random_one_hot(c(n, 4, 24), random_state = 7))
}

read_again <- function(model) {
  path <- tempfile(fileext = ".rds")
  on.exit(unlink(path))
  saveRDS(model, path)
  readRDS(path)
}

references_of <- function(X) dinucleotide_shuffle(X, n = 3L, random_state = 1)

expect_no_message <- function(code) expect_message(code, NA)

# Every method that asks the model for numbers.
conduct_calls <- function(model, X) {
  list(
    predict = function() predict(model, X),
    predict_one = function() predict(model, X[1L]),
    predict_singly = function() predict(model, X, batch_size = 1L),
    full = function() saturation_mutagenesis(model, X, end = 2L, method = "full"),
    incremental = function() saturation_mutagenesis(model, X, end = 2L, method = "incremental"),
    saliency = function() attribute(model, X, "saliency"),
    integrated = function() attribute(model, X, "integrated_gradients", n_steps = 3L),
    taylor = function() taylor_ism(model, X),
    deep_lift_shap = function() deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0),
    module_mode = function() {
      deep_lift_shap(model, X,
        n_shuffles = 2L, random_state = 0, rules = "module", warning_threshold = Inf
      )
    },
    reveal_cancel = function() {
      attribute(model, X, "deep_lift_reveal_cancel", n_shuffles = 1L, random_state = 0)
    },
    pisa = function() pisa(model, X, n_shuffles = 1L, random_state = 0),
    marginalize = function() marginalize(model, X, "ACGT")
  )
}

test_that("models that mix the sequences of a batch are refused by every method", {
  X <- conduct_sequences()
  for (name in conduct_names("mixing")) {
    calls <- conduct_calls(conduct_model(name), X)
    calls$audit <- function() audit_model(conduct_model(name), X)
    for (call in names(calls)) {
      expect_error(calls[[call]](), class = "seqlift_error_batch", label = paste(name, call))
    }
  }
})

test_that("the operation that mixes is named with its line", {
  X <- conduct_sequences()
  named <- c(
    mixing_batch_norm = "aten::batch_norm", mixing_softmax = "aten::softmax",
    mixing_cumsum = "aten::cumsum", mixing_maximum = "aten::max", mixing_mean = "aten::mean",
    mixing_small = "aten::mean"
  )

  for (name in names(named)) {
    error <- expect_error(predict(conduct_model(name), X), class = "seqlift_error_batch")
    expect_match(conditionMessage(error), paste0(named[[name]], ".*", name, "[.]py:[0-9]+"))
  }
})

test_that("models that mix nothing are not refused, in any precision", {
  X <- conduct_sequences()
  for (name in conduct_names("apart")) {
    model <- conduct_model(name)
    all <- predict(model, X, dtype = "float64")
    for (dtype in c("float32", "float64", "bfloat16")) {
      fresh <- conduct_model(name)
      tolerance <- c(float32 = 1e-4, float64 = 1e-12, bfloat16 = 0.1)[[dtype]]
      expect_lt(largest_difference(predict(fresh, X, dtype = dtype), all), tolerance)
    }
    for (i in 1:3) {
      expect_lt(
        largest_difference(predict(model, X[i], dtype = "float64"), all[i, , drop = FALSE]), 1e-12
      )
    }
  }
})

test_that("a batch that belongs together is predicted as it is, if asked for", {
  X <- conduct_sequences()
  model <- conduct_model("mixing_batch_mean", batch = "joint")
  together <- predict(model, X)
  alone <- predict(model, X, batch_size = 1L)
  expect_gt(largest_difference(together, alone), 1e-3)
  # Of one sequence the mean over the batch is itself, whatever it is.
  expect_lt(max(abs(diff(alone))), 1e-6)
  averaged <- reverse_complement_average(model)
  expect_true(averaged$conduct$joint)
  expect_error(predict(averaged, X), NA)
})

test_that("a single sequence gets what it gets among others", {
  X <- conduct_sequences(5L)
  for (name in conduct_names("alone")) {
    model <- conduct_model(name)
    all <- predict(model, X, dtype = "float64")
    close <- function(found, expected) expect_lt(largest_difference(found, expected), 1e-10)
    close(predict(model, X, batch_size = 2L, dtype = "float64"), all)
    close(predict(model, X, batch_size = 1L, dtype = "float64"), all)
    close(predict(model, X[2L], dtype = "float64"), all[2L, , drop = FALSE])
    one <- X[2L]
    compare <- function(f) {
      several <- f(model, X)
      close(f(model, one), unclass(several)[2L, , , drop = FALSE])
    }
    for (method in c("full", "incremental", "auto")) {
      compare(function(model, X) {
        saturation_mutagenesis(model, X, end = 3L, method = method, dtype = "float64")
      })
    }
    compare(function(model, X) attribute(model, X, "saliency", dtype = "float64"))
    for (r in c(1L, 3L)) {
      compare(function(model, X) {
        references <- array(0.25, c(length(X), r, 4L, 24L))
        suppressWarnings(deep_lift_shap(model, X,
          references = references, only_warn = TRUE, dtype = "float64", warning_threshold = Inf
        ))
      })
    }
    audit <- audit_model(model, one, n_shuffles = 1L, dtype = "float64")
    expect_identical(dim(attr(audit, "deltas")), c(1L, 1L))
  }
})

test_that("a number of sequences written into a trace is told", {
  X <- conduct_sequences()
  for (name in conduct_names("fixed")) {
    error <- expect_error(predict(conduct_model(name), X), class = "seqlift_error_batch")
    expect_match(conditionMessage(error), "at a time")
    expect_error(
      deep_lift_shap(conduct_model(name), X, n_shuffles = 2L), class = "seqlift_error_batch"
    )
  }
})

test_that("random numbers are refused by every method, with the operation and its line", {
  X <- conduct_sequences()
  for (name in conduct_names("random")) {
    calls <- conduct_calls(conduct_model(name), X)
    for (call in names(calls)) {
      error <- expect_error(calls[[call]](),
        class = "seqlift_error_random", label = paste(name, call)
      )
    }
    expect_match(conditionMessage(error), "[.]py:[0-9]+")
  }
})

test_that("random numbers that reach no output are no matter", {
  X <- conduct_sequences()
  for (name in conduct_names("harmless")) {
    model <- conduct_model(name)
    expect_identical(predict(model, X), predict(model, X))
    expect_error(audit_model(model, X), NA)
  }
})

test_that("an audit lists random operations as such", {
  X <- conduct_sequences()
  for (name in conduct_names("random")) {
    audit <- audit_model(conduct_model(name), X)
    drawn <- audit[audit$kind == "random", ]
    expect_gt(nrow(drawn), 0L)
    expect_false(any(drawn$supported))
    expect_output(print(audit), "random numbers")
  }
})

test_that("random numbers that are allowed are those of the seed, in each call and batch", {
  X <- conduct_sequences(5L)
  for (name in conduct_names("random")) {
    model <- conduct_model(name, allow_random = TRUE, random_state = 3)
    first <- predict(model, X, dtype = "float64")
    expect_identical(predict(model, X, dtype = "float64"), first)
    expect_identical(predict(read_again(model), X, dtype = "float64"), first)
    for (batch_size in c(1L, 2L, 3L)) {
      expect_equal(predict(model, X, batch_size = batch_size, dtype = "float64"), first,
        tolerance = 1e-12, label = paste(name, batch_size)
      )
    }
    # What is drawn may be one of two numbers.
    others <- vapply(4:12, function(seed) {
      other <- conduct_model(name, allow_random = TRUE, random_state = seed)
      largest_difference(predict(other, X, dtype = "float64"), first)
    }, 0)
    expect_gt(max(others), 0)
    full <- saturation_mutagenesis(model, X[1L], end = 2L, method = "full", dtype = "float64")
    auto <- saturation_mutagenesis(model, X[1L], end = 2L, dtype = "float64")
    expect_equal(numbers_of(auto), numbers_of(full), tolerance = 1e-10)
  }
  # What does not depend on X is explained exactly.
  for (name in c("random_bernoulli", "random_rand_like", "random_uniform", "random_randperm")) {
    model <- conduct_model(name, allow_random = TRUE, random_state = 3)
    found <- deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0, dtype = "float64")
    expect_lt(max(abs(convergence_deltas(found))), 1e-10)
    again <- deep_lift_shap(model, X[2L],
      references = references_of(X[2L]), dtype = "float64"
    )
    expect_lt(max(abs(convergence_deltas(again))), 1e-10)
  }
})

test_that("the seed is refused where nothing draws from it", {
  expect_error(conduct_model("plain_letters", random_state = 1), class = "seqlift_error_argument")
  expect_error(conduct_model("plain_letters", allow_random = NA), class = "seqlift_error_argument")
  expect_error(conduct_model("plain_letters", batch = "all"), class = "seqlift_error_argument")
})

test_that("what the model keeps in training mode is turned off, with one message", {
  X <- conduct_sequences()
  for (name in conduct_names("training")) {
    model <- conduct_model(name)
    message <- expect_message(first <- predict(model, X), class = "seqlift_message_training")
    expect_match(conditionMessage(message), "aten::.*[.]py:[0-9]+")
    expect_no_message(second <- predict(model, X))
    expect_identical(first, second)
  }
})

test_that("letters that are read by steps are explained as the letters that they are", {
  X <- conduct_sequences()
  X[3L] <- sub("^(.{5}).{3}", "\\1NNN", X[3L])
  plain <- conduct_model("plain_letters")
  shuffles <- dinucleotide_shuffle(X, n = 3L, random_state = 1)
  explained <- function(model, ...) {
    numbers_of(deep_lift_shap(model, X, references = shuffles, dtype = "float64", ...))
  }
  gradients <- function(model, ...) numbers_of(attribute(model, X, ..., dtype = "float64"))
  for (name in conduct_names("exact")) {
    model <- conduct_model(name)
    # What does not know N takes it for a letter.
    aware <- name %in% paste0("exact_", c(
      "comparison", "rounded", "where", "aware", "truth", "sign", "clamped"
    ))
    rows <- if (aware) 1:3 else 1:2
    of <- function(values) values[rows, , , drop = FALSE]
    expect_lt(largest_difference(of(explained(model)), of(explained(plain))), 1e-12)
    expect_lt(
      largest_difference(
        of(explained(model, hypothetical = TRUE)), of(explained(plain, hypothetical = TRUE))
      ), 1e-12
    )
    if (aware) {
      # The baseline is N.
      expect_lt(
        largest_difference(
          gradients(model, "integrated_gradients", n_steps = 5L),
          gradients(plain, "integrated_gradients", n_steps = 5L)
        ), 1e-8
      )
    }
    # Without N: gradients are those of one-hot columns up to a number for each position.
    centred <- function(values) sweep(values, c(1L, 3L), apply(values, c(1L, 3L), mean))
    expect_lt(
      largest_difference(
        centred(gradients(model, "saliency"))[rows, , ],
        centred(gradients(plain, "saliency"))[rows, , ]
      ), 1e-12
    )
  }
})

test_that("steps without anything exact are refused where slopes are asked for, and nowhere else", {
  X <- conduct_sequences()
  for (name in conduct_names("steps")) {
    model <- conduct_model(name)
    calls <- list(
      function() {
        deep_lift_shap(model, X,
          hypothetical = TRUE, n_shuffles = 2L, random_state = 0, warning_threshold = Inf
        )
      },
      function() {
        deep_lift_shap(model, X,
          raw_outputs = TRUE, n_shuffles = 2L, random_state = 0, warning_threshold = Inf
        )
      },
      function() attribute(model, X, "saliency"),
      function() attribute(model, X, "gradient_x_input"),
      function() attribute(model, X, "integrated_gradients", n_steps = 3L),
      function() taylor_ism(model, X)
    )
    for (call in calls) {
      error <- expect_error(call(), class = "seqlift_error_discrete", label = name)
      expect_match(conditionMessage(error), "aten::.*[.]py:[0-9]+")
    }
    expect_error(saturation_mutagenesis(model, X, end = 2L), NA)
    found <- deep_lift_shap(model, X,
      n_shuffles = 2L, random_state = 0, dtype = "float64", warning_threshold = Inf
    )
    expect_lt(max(abs(convergence_deltas(found))), 1e-8)
  }
})

test_that("steps that choose among slopes are explained as ever", {
  X <- conduct_sequences()
  for (name in conduct_names("choices")) {
    model <- conduct_model(name)
    expect_error(
      deep_lift_shap(model, X, hypothetical = TRUE, n_shuffles = 2L, warning_threshold = Inf), NA
    )
    expect_gt(max(abs(attribute(model, X, "saliency"))), 0)
  }
})
