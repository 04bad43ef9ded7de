# The files that tests/models/make_onnx.py wrote, and what they give.

onnx_path <- function(...) test_path("onnx", ...)

onnx_sequences <- c(
  "ACGTTGCATTAGCAGTCCATGGATACGTTAGC", "TTTACGGATCCAGGCATTTAACCGGATATGCA",
  "GATTACAGATTACAGAACGTGGGCATTCAATC"
)

# Numbers of an array in the order of PyTorch: the last dimension runs fastest.
numbers_by_row <- function(x) as.vector(aperm(unclass(x), rev(seq_along(dim(x)))))

load_onnx <- function(path, ...) suppressMessages(load_model(path, ...))

# Network by network, output by output.
expected_onnx <- function(...) {
  all <- read.delim(onnx_path(...))
  lapply(split(all, all$model), function(one) split(one$value, one$output))
}

# The other inputs of a network.
onnx_args <- function(model, n = 3L) {
  if (length(model$info$arguments) > 1L) {
    list(
      aperm(
        array(((seq_len(3L * 2L * 32L) - 1) %% 5) / 4, c(32, 2, 3))
      )[seq_len(n), , , drop = FALSE]
    )
  }
}

# Small graphs of one operator each: data frame of name, form, file (written here) and values.
onnx_operators <- function() {
  index <- read.delim(gzfile(onnx_path("operators.tsv.gz")),
    colClasses = c("character", "character", "integer", "integer", "character")
  )
  connection <- gzfile(onnx_path("operators.bin.gz"), "rb")
  on.exit(close(connection))
  all <- readBin(connection, "raw", 2^24)
  index$values <- strsplit(index$values, ",")
  # As in the form before, where it is the same.
  for (i in which(lengths(index$values) == 0L)) {
    index$values[[i]] <- index$values[[i - 1L]]
  }
  index$bytes <- Map(function(begin, bytes) all[begin + seq_len(bytes)], index$begin, index$bytes)
  index
}
