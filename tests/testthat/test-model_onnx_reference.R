# The numbers that test-model_onnx.R holds the reader to are PyTorch's and numpy's. ONNX has an
# evaluator of its own (from version 1.13 on), which is asked here.

# What it does not do, or not as the standard says (1.17), by the names of files and graphs.
evaluator_lacks <- c(
  "^Softmax_(9|11)$" = "before version 13 all dimensions from the axis on are one",
  "^BatchNormalization$|^(basset|double)_(9|11|13)" =
    "before version 14 a single output means that the running statistics are used",
  "^MeanVarianceNormalization$" = "written as a function of float32",
  "^LpNormalization_1$" = "sums numbers, not their absolute values",
  "^Conv_(valid|same_strides)" = "auto_pad takes the batch for the first dimension in space",
  "^ConvTranspose_(groups|shape)$" = "groups of several outputs, and output_shape",
  "^MaxPool_same_lower$|^GlobalMaxPool$" = "of lines, not of images",
  "^AveragePool_ceil$" = "counts positions behind the end in the last window",
  "^(GlobalLpPool|Scatter|DequantizeLinear)$" = "not there in this version",
  "^Resize_(10|linear_sizes)$" = "scales of version 10, and sizes of some axes",
  "^Pad_negative$" = "does not crop",
  "^(LSTM|GRU|RNN)_(reverse|bidirectional|resets_before|peepholes)$|^(lstm|gru|rnn)_" =
    "one direction, forwards",
  "^(LSTM|GRU|RNN)_(layout|initial|initial_layout)$|^RNN_bare$" = "layouts and states",
  "^(LSTM|GRU|RNN)_(activations|relu)$" = "the default activations"
)

onnx_reference <- function() {
  has_reference <- function(python) {
    nzchar(python) && file.exists(python) && identical(0L, suppressWarnings(
      system2(python, c("-c", shQuote("import onnx.reference")), stdout = FALSE, stderr = FALSE)
    ))
  }
  known <- c(Sys.getenv("PYTHON"), Sys.which("python3"), "/usr/bin/python3")
  python <- Find(has_reference, unique(known))
  skip_if(is.null(python), "no python3 with onnx.reference (onnx 1.13 or later)")
  lines <- system2(python, shQuote(normalizePath(onnx_path("reference.py"))),
    stdout = TRUE, stderr = FALSE
  )
  read.delim(text = lines, quote = "", colClasses = "character")
}

network_names <- function() sub("[.]onnx$", "", list.files(onnx_path(), "[.]onnx$"))

test_that("what the reader is held to is what ONNX's own evaluator gives", {
  found <- onnx_reference()
  expect_setequal(
    setdiff(unique(paste(found$name, found$form)), paste(network_names(), "network")),
    unique(paste(onnx_operators()$name, onnx_operators()$form))
  )
  expect_setequal(found$name[found$form == "network"], network_names())
  lacks <- grepl(paste(names(evaluator_lacks), collapse = "|"), found$name)
  # Attributes are float32 in the file's format, and so are the networks.
  tolerance <- ifelse(found$form == "network", 2e-6, 1e-7)
  apart <- suppressWarnings(as.numeric(found$apart))
  agrees <- !is.na(apart) & apart < tolerance
  expect_identical(found$name[!agrees & !lacks], character())
  expect_gt(sum(agrees), 700L)
  expect_gt(length(unique(found$name[agrees])), 250L)
})
