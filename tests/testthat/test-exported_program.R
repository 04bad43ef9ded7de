# Archives of torch.export that tests/models/export_models.py wrote.

export_path <- function(file) test_path("models", "export", file)

export_sequences <- c("ACGTTGCATTAGCAGT", "TTTACGGATCCAGGCA", "GATTACAGATTACAGA")

# What PyTorch predicted, output by output, as rows of numbers in its own order.
expected_outputs <- function(model) {
  all <- read.delim(export_path("expected.tsv"))
  split(all$value[all$model == model], all$output[all$model == model])
}

# Numbers of an array in the order of PyTorch: the last dimension runs fastest.
by_row <- function(x) as.vector(aperm(unclass(x), rev(seq_along(dim(x)))))

test_that("load_model() knows an archive of torch.export by its content", {
  copy <- tempfile(fileext = ".bin")
  file.copy(export_path("net.pt2"), copy)
  model <- load_model(copy)
  expect_s3_class(model, "seqlift_model")
  expect_identical(model$origin, list(format = "torch.export", path = copy))
  expect_identical(model$info$arguments, "x")
  expect_identical(model$info$modules, load_model(export_path("net.pt"))$info$modules)
})

test_that("networks predict what PyTorch predicts, in batches of any size", {
  for (name in c("net", "transformer", "recurrent", "heads", "heads_fixed", "net_core")) {
    model <- load_model(export_path(paste0(name, ".pt2")))
    for (batch_size in 1:3) {
      predicted <- predict(model, export_sequences, batch_size = batch_size)
      expect_lt(max(abs(by_row(predicted) - expected_outputs(name)[[1L]])), 1e-6)
    }
  }
})

test_that("several inputs and outputs keep their order", {
  model <- load_model(export_path("bpnet.pt2"))
  # torch.export writes the names of inputs in lower case.
  expect_identical(model$info$arguments, c("x", "control"))
  control <- aperm(array((seq_len(3 * 2 * 16) - 1) %% 5, c(16, 2, 3)))
  predicted <- predict(model, export_sequences, args = list(control))
  expected <- expected_outputs("bpnet")
  expect_length(predicted, 2L)
  for (i in 1:2) {
    expect_lt(max(abs(by_row(predicted[[i]]) - expected[[i]])), 1e-5)
  }
})

test_that("the keys of a dictionary name the outputs", {
  for (file in c("shared.pt2", "shared_torch_2_6.pt2")) {
    model <- load_model(export_path(file))
    expect_named(predict(model, export_sequences), c("a.1", "a.2", "b"))
    expect_named(predict(reverse_complement_average(model), export_sequences), c("a.1", "a.2", "b"))
  }
  expect_length(load_model(export_path("bpnet.pt2"))$info$output_names, 0L)
})

test_that("one network is explained alike as TorchScript and as both formats of torch.export", {
  explain <- function(file) {
    deep_lift_shap(load_model(export_path(file)), export_sequences,
      n_shuffles = 3L, random_state = 0L, dtype = "float64"
    )
  }
  script <- explain("net.pt")
  for (file in c("net.pt2", "net_torch_2_6.pt2", "net_core.pt2")) {
    exported <- explain(file)
    expect_lt(largest_difference(exported, script), 1e-10)
    expect_lt(max(abs(convergence_deltas(exported))), 1e-10)
  }
})

test_that("the audit names modules, classes and lines", {
  audit <- audit_model(load_model(export_path("net.pt2")), export_sequences[1])
  row <- audit[audit$module == "features.2", ]
  expect_identical(row$op, "relu")
  expect_identical(row$class, "torch.nn.modules.activation.ReLU")
  expect_match(audit$source[audit$module == "dense"], "^export_models\\.py:[0-9]+$")
})

test_that("what cannot be a model is refused by its name", {
  expect_error(load_model(export_path("branching.pt2")), "higher_order.cond.*export_models.py:",
    class = "seqlift_error_model"
  )
  expect_error(load_model(export_path("batch_fixed.pt2")), "dynamic batch dimension",
    class = "seqlift_error_model"
  )
  bytes <- readBin(export_path("net.pt2"), "raw", 1e6)
  damaged <- tempfile(fileext = ".pt2")
  bytes[20000L] <- xor(bytes[20000L], as.raw(1L))
  writeBin(bytes, damaged)
  expect_error(load_model(damaged), class = "seqlift_error_file")
  writeBin(bytes[1:20000], damaged)
  expect_error(load_model(damaged), class = "seqlift_error_file")
})
