# Files of ONNX that tests/models/make_onnx.py wrote: networks by PyTorch's exporter, single
# operators by onnx.helper, with what PyTorch says of both.

exported <- function() list.files(onnx_path(), "[.]onnx$")

network_of <- function(file) sub("_.*", "", sub("[.]onnx$", "", file))

test_that("networks predict what PyTorch predicts, in batches of any size", {
  expected <- expected_onnx("expected.tsv")
  for (file in exported()) {
    model <- load_onnx(onnx_path(file))
    for (batch_size in c(1L, 3L)) {
      for (dtype in c("float32", "float64")) {
        found <- predict(model, onnx_sequences,
          args = onnx_args(model), batch_size = batch_size, dtype = dtype
        )
        found <- if (is.list(found)) found else list(found)
        wanted <- expected[[network_of(file)]]
        expect_length(found, length(wanted))
        # The exporter folds batch norms, and writes constants, in float32.
        tolerance <- if (dtype == "float32") {
          1e-6
        } else if (network_of(file) %in% c("basset", "attention", "activations")) {
          1e-8
        } else {
          1e-12
        }
        for (i in seq_along(wanted)) {
          apart <- max(abs(numbers_by_row(found[[i]]) - wanted[[i]])) / max(1, abs(wanted[[i]]))
          expect_lt(apart, tolerance, label = paste(file, dtype, batch_size))
        }
      }
    }
  }
})

test_that("33 sequences at once and one by one are the same", {
  X <- random_one_hot(c(33, 4, 32), random_state = 1)
  fixed <- c(
    "basset_11_fixed", "attention_13_fixed", "gru_13_fixed", "upsampled_13_fixed", "heads_13_fixed"
  )
  for (file in c("basset_11", fixed)) {
    model <- load_onnx(onnx_path(paste0(file, ".onnx")))
    all <- predict(model, X, batch_size = 33L, dtype = "float64")
    one <- predict(model, X, batch_size = 1L, dtype = "float64")
    expect_lt(largest_difference(all, one), 1e-12)
  }
})

test_that("attributions of every network add up", {
  for (file in setdiff(exported(), grep("upsampled", exported(), value = TRUE))) {
    model <- load_onnx(onnx_path(file))
    args <- onnx_args(model)
    if (model$info$outputs > 1L) {
      model <- select_output(model, 2L)
    }
    attributions <- deep_lift_shap(model, onnx_sequences,
      args = args, n_shuffles = 2L, random_state = 0L, dtype = "float64"
    )
    expect_lt(max(abs(convergence_deltas(attributions))), 1e-10, label = file)
  }
})

test_that("one network is the same from TorchScript and from ONNX, by every rule", {
  for (name in c("bpnet", "basset")) {
    script <- load_model(onnx_path(paste0(name, ".pt")))
    models <- lapply(grep(paste0("^", name, "_"), exported(), value = TRUE), function(file) {
      load_onnx(onnx_path(file))
    })
    target <- function(model) if (name == "bpnet") select_output(model, 2L) else model
    # basset's batch norms are folded into its convolutions, in float32.
    tolerance <- if (name == "basset") 1e-8 else 1e-12
    explain <- function(model, ...) {
      deep_lift_shap(target(model), onnx_sequences,
        n_shuffles = 3L, random_state = 0L, dtype = "float64", ...
      )
    }
    for (model in models) {
      expect_lt(largest_difference(explain(model), explain(script)), tolerance)
    }
  }
  # A ReLU of the file is a module of PyTorch's class.
  double <- load_onnx(onnx_path("double_13.onnx"))
  module <- function(model) {
    deep_lift_shap(model, onnx_sequences,
      n_shuffles = 3L, random_state = 0L, rules = "module", dtype = "float64",
      warning_threshold = Inf
    )
  }
  expect_lt(largest_difference(module(double), module(load_model(onnx_path("double.pt")))), 1e-12)
})

test_that("every operator gives what PyTorch gives, with any number of sequences and any length", {
  X <- substr(onnx_sequences, 1L, 12L)
  operators <- onnx_operators()
  expect_gt(length(unique(operators$name)), 250L)
  for (i in seq_len(nrow(operators))) {
    label <- paste(operators$name[i], operators$form[i])
    file <- tempfile(fileext = ".onnx")
    writeBin(operators$bytes[[i]], file)
    model <- load_onnx(file)
    unlink(file)
    found <- predict(model, X)[[1L]]
    apart <- numbers_by_row(found) - as.numeric(operators$values[[i]])
    expect_lt(max(abs(apart)), 1e-12, label = label)
    if (operators$form[i] == "d") {
      deltas <- convergence_deltas(
        deep_lift_shap(select_output(model, 2L), X, n_shuffles = 2L, random_state = 0L)
      )
      # A cast to float32 rounds.
      tolerance <- if (startsWith(operators$name[i], "Cast")) 1e-7 else 1e-10
      expect_lt(max(abs(deltas)), tolerance, label = label)
    }
  }
})

test_that("layouts come from the sizes that the file declares", {
  expect_message(last <- load_model(onnx_path("last_13.onnx")), "[n, L, 4]", fixed = TRUE)
  expect_identical(last$layout$dimensions, "NLC")
  expect_identical(load_onnx(onnx_path("beluga_13.onnx"))$layout$dimensions, "NC1L")
  expect_identical(load_onnx(onnx_path("tokens_13.onnx"))$layout$dimensions, "tokens")
  expect_identical(load_onnx(onnx_path("bpnet_13.onnx"))$layout, own_layout)
})

test_that("names are those of the file, and sequences come first", {
  model <- load_onnx(onnx_path("control_13.onnx"))
  expect_identical(model$info$arguments, c("x", "control_1"))
  expect_named(predict(model, onnx_sequences, args = onnx_args(model)), c("a/b", "counts"))
  expect_identical(model$origin$format, "ONNX")
  expect_match(paste(utils::capture.output(print(model)), collapse = "\n"), "ONNX")
  audit <- audit_model(select_output(load_onnx(onnx_path("bpnet_13.onnx")), 2L), onnx_sequences[1L])
  relu <- audit[audit$op == "relu", ]
  expect_identical(unique(relu$class), "torch.nn.modules.activation.ReLU")
  expect_match(relu$source, "^bpnet_13[.]onnx:[0-9]+$")
  odd <- load_onnx(onnx_path("odd", "names.onnx"))
  expect_identical(odd$info$arguments, "serving_default_x_0")
  expect_identical(odd$info$output_names, c("Identity:0", "out/put:1"))
  expect_setequal(odd$info$modules, c("", "layer_1_MatMul", "layer_for"))
})

test_that("unusual files are read", {
  expected <- expected_onnx("odd", "expected.tsv")
  for (name in names(expected)) {
    model <- load_onnx(onnx_path("odd", paste0(name, ".onnx")))
    # A second output may be no row per sequence.
    model <- if (model$info$outputs > 1L) select_output(model, 1L) else model
    found <- predict(model, substr(onnx_sequences, 1L, 12L), dtype = "float64")
    expect_lt(max(abs(numbers_by_row(found) - expected[[name]][[1L]])), 1e-12, label = name)
  }
})

test_that("load_onnx_model() takes the layout, and keeps what load_model() says", {
  path <- onnx_path("last_13.onnx")
  given <- load_onnx_model(path, layout = "NLC")
  expect_identical(predict(given, onnx_sequences), predict(load_onnx(path), onnx_sequences))
  expect_error(load_onnx_model(onnx_path("absent.onnx")), class = "seqlift_error_file")
  expect_error(load_onnx_model(onnx_path("bpnet.pt")), class = "seqlift_error_file")
  expect_error(load_onnx_model(path, checksum = strrep("0", 32L)), class = "seqlift_error_file")
  copy <- tempfile("model")
  file.copy(onnx_path("bpnet_9.onnx"), copy)
  expect_identical(load_model(copy)$origin, list(format = "ONNX", path = copy))
})

test_that("what cannot be a model is refused by its name", {
  folder <- tempfile()
  dir.create(file.path(folder, "sub"), recursive = TRUE)
  writeBin(raw(8L), file.path(folder, "short.bin"))
  writeBin(raw(200L), file.path(dirname(folder), "weights.bin"))
  file.symlink(file.path(dirname(folder), "weights.bin"), file.path(folder, "link"))
  if (nzchar(Sys.which("mkfifo"))) {
    system2("mkfifo", file.path(folder, "pipe"))
  }
  bad <- read.delim(onnx_path("bad", "expected.tsv"), quote = "")
  expect_gt(nrow(bad), 45L)
  for (i in seq_len(nrow(bad))) {
    file <- file.path(folder, paste0(bad$name[i], ".onnx"))
    file.copy(onnx_path("bad", basename(file)), file)
    error <- tryCatch(load_onnx_model(file), error = identity)
    expect_s3_class(error, bad$class[i])
    expect_match(gsub("\\s+", " ", conditionMessage(error)), bad$message[i], label = bad$name[i])
  }
  unlink(folder, recursive = TRUE)
})

test_that("a damaged file ends in an error of its own, or in a model", {
  skip_on_cran()
  n <- as.integer(Sys.getenv("SEQLIFT_DAMAGED_FILES", "300"))
  operators <- onnx_operators()
  whole <- c(operators$bytes, lapply(onnx_path(exported()), readBin, "raw", 1e6))
  X <- random_one_hot(c(1, 4, 12), random_state = 1)
  file <- tempfile(fileext = ".onnx")
  with_seed <- function(i) {
    set.seed(i)
    bytes <- whole[[sample(length(whole), 1L)]]
    if (i %% 10L == 0L) {
      return(bytes[seq_len(sample(length(bytes), 1L))])
    }
    at <- sample(length(bytes), 1L + i %% 4L)
    replace(bytes, at, as.raw(sample(0:255, length(at), replace = TRUE)))
  }
  outcomes <- vapply(seq_len(n), function(i) {
    writeBin(with_seed(i), file)
    tryCatch(
      {
        model <- suppressMessages(load_onnx_model(file))
        tryCatch(
          {
            predict(model, X)
            "predicted"
          },
          seqlift_error = function(error) "loaded"
        )
      },
      seqlift_error_file = function(error) "file",
      seqlift_error_model = function(error) "model"
    )
  }, "")
  expect_setequal(outcomes, c("predicted", "loaded", "file", "model"))
})
