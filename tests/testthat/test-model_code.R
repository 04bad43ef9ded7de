# What a model's code may do beside calling layers. The models are written by
# tests/models/make_code_models.py.

code_path <- function(name) test_path("models", "code", paste0(name, ".pt"))

code_model <- function(name) load_model(code_path(name))

test_that("with blocks of scripted models predict and are explained", {
  X <- test_sequences(3L)
  plain <- code_model("with_autocast_off")
  expected <- predict(plain, X)
  scores <- deep_lift_shap(plain, X, n_shuffles = 4L, random_state = 0)
  for (name in c("with_no_grad", "with_autocast_elsewhere")) {
    model <- code_model(name)
    expect_equal(predict(model, X), expected, info = name)
    # A block without gradients is seen through: the prediction still moves with the sequence.
    found <- deep_lift_shap(model, X, n_shuffles = 4L, random_state = 0)
    expect_equal(numbers_of(found), numbers_of(scores), tolerance = 1e-6, info = name)
    expect_equal(
      numbers_of(saturation_mutagenesis(model, X[1])),
      numbers_of(saturation_mutagenesis(plain, X[1])),
      tolerance = 1e-6, info = name
    )
  }
})

test_that("what the model's code asks of gradients is answered as in a prediction", {
  # One of these models would double its activations where gradients are recorded.
  X <- test_sequences(2L)
  expect_equal(
    predict(code_model("with_record_function"), X),
    predict(code_model("with_autocast_off"), X),
    tolerance = 1e-5
  )
})

test_that("context managers of the model's own enter and leave", {
  model <- code_model("with_own_context")
  X <- test_sequences(3L)
  result <- deep_lift_shap(model, X, n_shuffles = 4L, random_state = 0, dtype = "float64")
  expect_lt(max(abs(convergence_deltas(result))), 1e-10)
  # What it counted up is counted down again: three calls, one answer.
  expect_equal(predict(model, X), predict(model, X))
})

test_that("mixed precision that would be used is refused by name", {
  model <- code_model("with_autocast_on")
  expect_error(predict(model, test_sequences(1L)), "autocast.*bfloat16 on cpu",
    class = "seqlift_error_model"
  )
})

test_that("outputs in a list that the code fills are counted by running it", {
  model <- code_model("list_appended")
  X <- test_sequences(3L)
  both <- predict(model, X)
  expect_length(both, 2L)
  expect_equal(both[[2L]], 2 * both[[1L]], tolerance = 1e-6)
  expect_output(print(model), "outputs +\\[n, 1\\]")
  for (index in 1:2) {
    one <- select_output(model, index)
    expect_equal(predict(one, X), both[[index]])
    result <- deep_lift_shap(one, X, n_shuffles = 4L, random_state = 0, batch_size = 3L)
    expect_lt(max(abs(convergence_deltas(result))), 1e-4)
    expect_equal(
      numbers_of(saturation_mutagenesis(one, X, method = "incremental")),
      numbers_of(saturation_mutagenesis(one, X, method = "full")),
      tolerance = 1e-5
    )
  }
  expect_error(select_output(model, 3L), "from 1 to 2", class = "seqlift_error_argument")
})

test_that("a model that returns nothing is refused when it is loaded", {
  for (name in c("nothing_tuple", "nothing_list", "nothing_none")) {
    expect_error(code_model(name), "returns no tensor", class = "seqlift_error_output", info = name)
  }
})

test_that("a list that stays empty is an error of every method, and prints", {
  model <- code_model("nothing_yet")
  X <- test_sequences(2L)
  refused <- function(code) expect_error(code, "an empty list", class = "seqlift_error_output")
  refused(predict(model, X))
  refused(deep_lift_shap(model, X))
  refused(saturation_mutagenesis(model, X))
  refused(attribute(model, X, method = "saliency"))
  refused(audit_model(model, X))
  expect_output(print(model), "outputs")
})

test_that("code that does more than compute is refused before it runs", {
  dir.create(folder <- tempfile("code"))
  paths <- normalizePath(vapply(
    c("writes_on_load", "writes_elsewhere", "reads_file", "hides_what_it_calls"), code_path, ""
  ))
  before <- setwd(folder)
  on.exit(setwd(before))
  for (path in paths) {
    expect_error(load_model(path), "nothing of this one was run", class = "seqlift_error_code",
      info = path
    )
  }
  expect_identical(dir(folder), character())
})

test_that("__setstate__ may compute", {
  X <- test_sequences(2L)
  expect_equal(predict(code_model("computes_on_load"), X), array(6 / 4, c(2L, 1L)),
    ignore_attr = TRUE, tolerance = 1e-6
  )
})

test_that("weights that nothing reads may be anything", {
  X <- test_sequences(2L)
  model <- code_model("leftover_nan")
  expect_true(all(is.finite(predict(model, X))))
})

test_that("an output is refused for weights that are not finite, the others are not", {
  X <- test_sequences(2L)
  model <- code_model("bad_head")
  expect_true(all(is.finite(predict(select_output(model, 1L), X))))
  expect_error(predict(select_output(model, 2L), X), "bad.weight", class = "seqlift_error_model")
})

test_that("a number of sequences that a trace has kept is named", {
  X <- test_sequences(3L)
  one <- code_model("fixed_batch_1")
  expect_error(predict(one, X[1L]), "takes 1 sequence at a time", class = "seqlift_error_batch")
  expect_error(predict(one, X), "takes 1 sequence at a time", class = "seqlift_error_batch")
  five <- code_model("fixed_batch_5")
  expect_error(predict(five, X), "takes 5 sequences at a time", class = "seqlift_error_batch")
  expect_error(deep_lift_shap(five, X), "takes 5 sequences at a time",
    class = "seqlift_error_batch"
  )
})
