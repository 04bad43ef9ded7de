# One network in every form that PyTorch writes (tests/models/export_models.py): the same
# predictions, the same attributions.

formats <- list(
  TorchScript = function() load_model(format_path("bpnet.pt")),
  torch.export = function() load_model(format_path("bpnet.pt2")),
  `state dict` = function() bpnet(format_path("bpnet.pth"), trimming = 1),
  safetensors = function() bpnet(format_path("bpnet.safetensors"), trimming = 1)
)

format_path <- function(file) system.file("extdata", "formats", file, package = "seqlift")

test_that("one network is the same model from every file", {
  X <- c("ACGTTGCATTAGCAGT", "TTTACGGATCCAGGCA", "GATTACAGATTACAGA")
  control <- aperm(array((seq_len(3 * 2 * 16) - 1) %% 5, c(16, 2, 3)))
  seen <- lapply(formats, function(load) {
    model <- load()
    counts <- with_args(select_output(model, 2L), list(control))
    explained <- deep_lift_shap(counts, X, n_shuffles = 4L, random_state = 0L, dtype = "float64")
    list(
      predicted = unname(predict(model, X, args = list(control), dtype = "float64")),
      explained = explained, deltas = convergence_deltas(explained),
      profile = deep_lift_shap(profile_score(model), X,
        args = list(control), n_shuffles = 4L, random_state = 0L, dtype = "float64"
      ),
      classes = model$info$module_classes
    )
  })
  for (name in names(formats)[-1L]) {
    for (output in 1:2) {
      expect_equal(seen[[name]]$predicted[[output]], seen$TorchScript$predicted[[output]],
        tolerance = 1e-13, label = name
      )
    }
    expect_lt(largest_difference(seen[[name]]$explained, seen$TorchScript$explained), 1e-12)
    expect_lt(largest_difference(seen[[name]]$profile, seen$TorchScript$profile), 1e-12)
    expect_lt(max(abs(seen[[name]]$deltas)), 1e-12)
  }
  # Which the module classes of PyTorch are known by, too.
  for (name in names(formats)) {
    expect_equal(sum(seen[[name]]$classes == "torch.nn.modules.conv.Conv1d"), 4L)
  }
})

test_that("a model made from a file has the same content hash in every session, and saved twice", {
  here <- lapply(formats, function(load) load()$hash)
  expect_length(unique(c(here, lapply(formats, function(load) load()$hash))), length(unique(here)))
  average <- function() reverse_complement_average(load_model(format_path("bpnet.pt2")))
  there <- in_new_session(function(format_path, formats, average) {
    library(seqlift)
    list(alone = lapply(formats, function(load) load()$hash), average = average()$hash)
  }, list(format_path, formats, average))
  expect_identical(there, list(alone = here, average = average()$hash))
  files <- tempfile(c("first", "second"), fileext = ".pt")
  for (file in files) {
    save_model(select_output(load_model(format_path("bpnet.pt")), 2L), file)
  }
  expect_length(unique(unname(tools::md5sum(files))), 1L)
})
