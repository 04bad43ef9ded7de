# The small models that tests/models/make_models.py writes, and sequences for them.

model_path <- function(name) test_path("models", paste0(name, ".pt"))

test_model <- function(name) load_model(model_path(name))

# Twelve bases each, no two alike, every base present.
test_sequences <- function(n = 3L) {
  all <- c(
    one = "ACGTTGCAAGTC", two = "GGATTACAGATC", three = "TTGCAAGTCCAG", four = "CATGCATGGACT",
    five = "AGCTAGGTACCA"
  )
  all[rep_len(seq_along(all), n)]
}

# Numbers alone: no class, no attributes but the shape.
numbers_of <- function(x) array(as.vector(unclass(x)), dim(x))

largest_difference <- function(a, b) max(abs(as.vector(unclass(a)) - as.vector(unclass(b))))

# Paths and checksums differ between machines and builds.
without_paths <- function(lines) {
  # A checkout may lie in a folder with a space in its name.
  lines <- gsub("/[^\"'<]*/(models/|extdata/)?([^ /\"']+\\.(pt|so[.0-9]*))", "<path>/\\2", lines)
  gsub("[0-9a-f]{32}", "<md5>", lines)
}

# Runs `f` in a fresh R process that finds the same packages. Its arguments and its value travel
# as plain data.
in_new_session <- function(f, args = list()) {
  skip_if_not_installed("callr")
  callr::r(f, args = args, libpath = .libPaths())
}

# Evaluates `code` with so many threads, then sets back what there was.
with_threads <- function(n, code) {
  engine <- asNamespace("seqlift")$engine
  before <- engine$threads
  # NULL, too: workers have as many threads as this session has asked for, or one.
  on.exit(engine$threads <- before)
  seqlift_threads(n)
  force(code)
}

# Evaluates `code` in a new, empty folder, so that messages hold short paths.
in_empty_folder <- function(code) {
  folder <- tempfile()
  dir.create(folder)
  before <- setwd(folder)
  on.exit({
    setwd(before)
    unlink(folder, recursive = TRUE)
  })
  force(code)
}

# References in which nothing is at its place any more, one a sequence: [n, 1, 4, L].
reversed_references <- function(X) {
  reversed <- vapply(strsplit(X, ""), function(one) paste(rev(one), collapse = ""), "")
  X <- one_hot_encode(reversed)
  array(X, c(dim(X)[1L], 1L, dim(X)[-1L]))
}

# `tiny.pt` in R's arithmetic ------------------------------------------------------------

# The pattern of weights in tests/models/make_models.py, in LibTorch's (row-major) order.
pattern_weights <- function(shape) {
  index <- seq_len(prod(shape)) - 1
  aperm(array(((7 * index) %% 11 - 5) / 10 + 0.03, rev(shape)), rev(seq_along(shape)))
}

# What enters the ReLU, [2, 10], for one sequence [4, 12].
tiny_hidden <- function(x) {
  kernel <- pattern_weights(c(2L, 4L, 3L))
  bias <- pattern_weights(2L)
  hidden <- matrix(0, 2L, 10L)
  for (channel in 1:2) {
    for (position in 1:10) {
      hidden[channel, position] <- bias[channel] +
        sum(kernel[channel, , ] * x[, position + 0:2])
    }
  }
  hidden
}

# The three outputs for one sequence [4, 12].
tiny_by_hand <- function(x) {
  flat <- as.vector(t(pmax(tiny_hidden(x), 0)))
  as.vector(pattern_weights(c(3L, 20L)) %*% flat) + as.vector(pattern_weights(3L))
}

# DeepLIFT's multipliers of one pair: through the dense layer by its weights, through the ReLU by
# the ratio of differences (its slope where there is none), through the convolution by its weights.
tiny_multipliers_by_hand <- function(x, reference, target) {
  above <- tiny_hidden(x)
  below <- tiny_hidden(reference)
  change <- above - below
  ratio <- ifelse(abs(change) < 1e-12, as.numeric(above > 0),
    (pmax(above, 0) - pmax(below, 0)) / change
  )
  hidden <- matrix(pattern_weights(c(3L, 20L))[target, ], 2L, 10L, byrow = TRUE) * ratio
  kernel <- pattern_weights(c(2L, 4L, 3L))
  multipliers <- matrix(0, 4L, 12L)
  for (channel in 1:2) {
    for (position in 1:10) {
      window <- position + 0:2
      multipliers[, window] <- multipliers[, window] +
        kernel[channel, , ] * hidden[channel, position]
    }
  }
  multipliers
}

# Evaluates `code` with another value of something in the package.
with_replaced <- function(name, value, code) {
  space <- asNamespace("seqlift")
  before <- get(name, space)
  put <- function(value) {
    unlockBinding(name, space)
    assign(name, value, space)
    lockBinding(name, space)
  }
  on.exit(put(before))
  put(value)
  force(code)
}

# The standard errors of a result, in a file whose path is returned.
expect_errors_in_file <- function(result) {
  skip_if_not_installed("rhdf5")
  path <- tempfile(fileext = ".h5")
  export_h5(result, path)
  expect_equal(standard_errors(read_h5(path)), standard_errors(result))
  skip_if_not_installed("HDF5Array")
  invisible(path)
}

# Those of `stored`, whose numbers are still in a file, and of an experiment made of `result`.
expect_errors_in_parts <- function(result, stored) {
  expect_equal(standard_errors(stored), standard_errors(result))
  expect_equal(standard_errors(stored[2:3, , ]), standard_errors(result[2:3, , ]))
  skip_if_not_installed("SummarizedExperiment")
  experiment <- as_summarized_experiment(result)
  expect_equal(
    unname(SummarizedExperiment::assay(experiment, "standard_error")),
    unname(apply(standard_errors(result), c(1L, 3L), sum))
  )
  expect_equal(standard_errors(as_seqlift_attributions(experiment[2:3, ])),
    standard_errors(result[2:3, , ])
  )
}
