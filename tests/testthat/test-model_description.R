# What print() says of a model. Nets worked out by hand are in tests/cpp/test-model_description.cpp.

printed <- function(model) {
  lines <- utils::capture.output(print(model))
  keys <- trimws(substr(lines, 1L, 19L))
  split(substring(lines, 20L),
    factor(rep(keys[nzchar(keys)], diff(c(which(nzchar(keys)), length(lines) + 1L))),
    levels = keys[nzchar(keys)]
  ))
}

test_that("shapes and receptive fields of the demo model", {
  found <- printed(demo_model())
  expect_identical(found$inputs, c("X [n, 4, L]", "control_track [n, 2, L]"))
  expect_identical(found$outputs, c("[n, 2, L - 100]", "[n, 1]"))
  # What substitutions change in the profile's middle, in one of the sequences at least (a ReLU can
  # be in the way), and no further.
  width <- as.integer(sub(" bp", "", found[["receptive field"]][1L]))
  X <- one_hot_encode(demo_sequences())
  model <- with_args(select_output(demo_model(), 1), list(control_track = 0))
  reached <- vapply(251L - (width - 1L) %/% 2L - 1:0, function(at) {
    other <- X
    other[, , at] <- X[, 4:1, at]
    any(predict(model, other, dtype = "float64")[, 1L, 201L] !=
      predict(model, X, dtype = "float64")[, 1L, 201L])
  }, NA)
  expect_identical(reached, c(FALSE, TRUE))
  expect_lt(width, 500L)
})

test_that("what is put around a model changes what is printed", {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  found <- printed(model)
  expect_identical(found$inputs[2L], "control_track [n, 2, L], filled in")
  expect_identical(found$outputs, "[n, 1]")
  expect_identical(found[["put around it"]], "select_output(2)")
  average <- printed(reverse_complement_average(model))
  expect_identical(average$inputs, found$inputs)
  expect_identical(
    average[["made from"]], "reverse_complement_average(demo_model.pt |> select_output(2))"
  )
  both <- printed(ensemble(model, reverse_complement_average(model)))
  expect_identical(both$inputs[-1L], paste0(
    "model_", 1:2, "_control_track [n, 2, L], filled in"
  ))
  expect_identical(paste(both[["made from"]], collapse = " "), paste0(
    "ensemble(demo_model.pt |> select_output(2), ",
    "reverse_complement_average(demo_model.pt |> select_output(2)))"
  ))
})

test_that("a length that the model fixes is found", {
  expect_identical(printed(test_model("tiny"))$inputs, "x [n, 4, 12]")
  expect_identical(printed(test_model("extra_channels"))$inputs, "x [n, 6, L]")
})

test_that("outputs are printed with their names", {
  expect_identical(printed(test_model("heads"))$outputs, c("profile [n, L]", "counts [n, 1]"))
})

test_that("what is unknown is said to be, and is no error", {
  found <- printed(test_model("looped_heads"))
  expect_identical(found$outputs, "[n, ...]")
  expect_identical(found[["receptive field"]], "unknown")
  gone <- unserialize(serialize(test_model("tiny"), NULL))
  gone$path <- "gone.pt"
  expect_identical(printed(gone)$outputs, "[n, ...]")
  expect_identical(printed(gone)[["made from"]], "gone.pt")
})

test_that("a model is tried once", {
  model <- test_model("two_heads")
  first <- printed(model)
  no_engine <- function(...) stop("the model is tried again")
  expect_identical(with_replaced("call_engine", no_engine, printed(model)), first)
})
