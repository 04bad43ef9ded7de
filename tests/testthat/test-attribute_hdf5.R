# HDF5 files: written and read back, read by h5py, written by h5py as ChromBPNet does.

skip_without_hdf5 <- function() {
  for (package in c("rhdf5", "HDF5Array", "DelayedArray")) {
    skip_if_not_installed(package)
  }
}

# A Python with h5py, or the test is skipped. Returns a function that runs lines of Python.
h5py_or_skip <- function() {
  for (python in unique(c(unname(Sys.which("python3")), "/usr/bin/python3"))) {
    imports <- c("-c", shQuote("import h5py, numpy"))
    if (file.exists(python) && system2(python, imports, stdout = FALSE, stderr = FALSE) == 0L) {
      return(function(...) {
        script <- tempfile(fileext = ".py")
        writeLines(c("import h5py, numpy as np", "import sys", ...), script)
        on.exit(unlink(script))
        system2(python, script, stdout = TRUE)
      })
    }
  }
  skip("no Python with h5py")
}

explain <- function(X = test_sequences(4L), ...) {
  deep_lift_shap(test_model("tiny"), X, n_shuffles = 3L, random_state = 0, ...)
}

# The order of the settings, and those that are empty, say nothing.
comparable <- function(x) {
  info <- Filter(length, attr(x, "info"))
  attr(x, "info") <- info[order(names(info))]
  x
}

test_that("a float64 result comes back as it was, of every kind", {
  skip_without_hdf5()
  X <- c(test_sequences(3L), ambiguous = "NCGTTGCCGTGC")
  results <- list(
    explain(X, dtype = "float64"),
    explain(X, dtype = "float64", hypothetical = TRUE, return_references = TRUE),
    explain(unname(X), dtype = "float64", raw_outputs = TRUE),
    explain(X, dtype = "float64", hypothetical = TRUE, target = 1:3),
    explain(X[1], dtype = "float64", target = 2:3, raw_outputs = TRUE),
    taylor_ism(test_model("tiny"), X, dtype = "float64"),
    taylor_ism(test_model("tiny"), X, target = 1:2, output = "local", dtype = "float64")
  )
  path <- file.path(new_folder(), "scores.h5")
  for (result in results) {
    export_h5(result, path)
    expect_identical(comparable(read_h5(path)), comparable(result))
  }
  expect_identical(list.files(dirname(path), all.files = TRUE, no.. = TRUE), "scores.h5")
})

test_that("a float32 result comes back to float32, its deltas to the last bit", {
  skip_without_hdf5()
  result <- explain(hypothetical = TRUE)
  path <- file.path(new_folder(), "scores.h5")
  export_h5(result, path)
  back <- read_h5(path)
  expect_equal(as.array(back), as.array(result), tolerance = 1e-7)
  expect_identical(convergence_deltas(back), convergence_deltas(result))
})

test_that("numpy sees the arrays of ChromBPNet, and the rest where nobody looks", {
  skip_without_hdf5()
  run <- h5py_or_skip()
  result <- explain(hypothetical = TRUE)
  path <- file.path(new_folder(), "scores.h5")
  export_h5(result, path)
  seen <- run(
    sprintf("f = h5py.File('%s')", path),
    "print(sorted(f.keys()))",
    "for name in ('raw', 'shap', 'projected_shap'):",
    "    d = f[name]['seq']",
    "    print(name, d.shape, d.dtype)",
    "raw, shap, projected = (f[k]['seq'][:] for k in ('raw', 'shap', 'projected_shap'))",
    "print(np.array_equal(projected, shap * raw))",
    "print(''.join('ACGT'[i] for i in raw[1].argmax(0)))",
    "print(repr(float(shap[2, 3, 4])))",
    "print(f['seqlift/convergence_deltas'].shape, [n.decode() for n in f['seqlift/names'][:]])"
  )
  expect_identical(seen[1:5], c(
    "['projected_shap', 'raw', 'seqlift', 'shap']", "raw (4, 4, 12) int8",
    "shap (4, 4, 12) float32",
    "projected_shap (4, 4, 12) float32", "True"
  ))
  expect_identical(seen[6], unname(test_sequences()[2]))
  expect_equal(as.numeric(seen[7]), as.array(result)[3, 4, 5], tolerance = 1e-6)
  expect_identical(seen[8], "(4, 3) ['one', 'two', 'three', 'four']")
})

test_that("a file that ChromBPNet wrote, float16, is read as hypothetical scores", {
  skip_without_hdf5()
  run <- h5py_or_skip()
  path <- file.path(new_folder(), "peaks.counts_scores.h5")
  seen <- run(
    "raw = np.zeros((3, 4, 6), np.int8)",
    "for i, s in enumerate(['ACGTAC', 'GGATTA', 'NNCATG']):",
    "    for p, b in enumerate(s):",
    "        if b != 'N': raw[i, 'ACGT'.index(b), p] = 1",
    "shap = (np.arange(72).reshape(3, 4, 6) / 7 - 4).astype(np.float16)",
    sprintf("f = h5py.File('%s', 'w')", path),
    "f['raw/seq'] = raw; f['shap/seq'] = shap; f['projected_shap/seq'] = shap * raw",
    "f.close()",
    "print(float(shap[1, 2, 3])); print(float(shap[2, 3, 5]))"
  )
  scores <- read_h5(path)
  expect_s3_class(scores, "seqlift_attributions")
  expect_identical(dim(scores), c(3L, 4L, 6L))
  expect_identical(attr(scores, "kind"), "hypothetical")
  expect_identical(as.array(scores)[2, 3, 4][[1]], as.numeric(seen[1]))
  expect_identical(as.array(scores)[3, 4, 6][[1]], as.numeric(seen[2]))
  letters <- c("A", "C", "G", "T", "N")[as.integer(attr(scores, "X")[, 3]) + 1L]
  expect_identical(paste(letters, collapse = ""), "NNCATG")
  expect_identical(dim(convergence_deltas(scores)), c(3L, 0L))
  expect_output(print(scores), "hypothetical attributions of 3 sequences of 6 bp")
  # HDF5Array 1.34 (Debian 13) reads no float16, and says so.
  stored <- tryCatch(read_h5(path, in_memory = FALSE), seqlift_error_file = identity)
  if (inherits(stored, "error")) {
    expect_match(conditionMessage(stored$parent), "native type")
    expect_match(conditionMessage(stored), "in_memory = TRUE", fixed = TRUE)
  } else {
    expect_identical(stored[2:3, , ], scores[2:3, , ])
    expect_output(print(stored), "\\[3, 4, 6\\]")
  }
})

test_that("what ChromBPNet compresses with blosc is read, also where all scores are projected", {
  skip_without_hdf5()
  path <- file.path(new_folder(), "scores.h5")
  rhdf5::h5createFile(path)
  raw <- aperm(one_hot_encode(test_sequences(2L)), 3:1)
  for (name in c("raw", "projected_shap")) {
    rhdf5::h5createGroup(path, name)
    rhdf5::h5createDataset(
      path, paste0(name, "/seq"), dim(raw), filter = "BLOSC_BLOSCLZ", level = 9L
    )
    rhdf5::h5write(raw * if (name == "raw") 1 else 0.5, path, paste0(name, "/seq"))
  }
  scores <- read_h5(path)
  expect_identical(attr(scores, "kind"), "attributions")
  expect_identical(as.vector(as.array(scores)), as.vector(one_hot_encode(test_sequences(2L)) / 2))
})

test_that("a result in a file has shape, names and deltas, and gives ordinary results", {
  skip_without_hdf5()
  result <- explain(hypothetical = TRUE, dtype = "float64", target = 1:2, return_references = TRUE)
  path <- file.path(new_folder(), "scores.h5")
  export_h5(result, path)
  stored <- read_h5(path, in_memory = FALSE)
  expect_s4_class(stored$values, "DelayedArray")
  expect_identical(dim(stored), dim(result))
  expect_identical(dimnames(stored), dimnames(as.array(result)))
  expect_identical(convergence_deltas(stored), convergence_deltas(result))
  expect_identical(as.array(stored), as.array(result))
  same <- function(a, b) expect_identical(comparable(a), comparable(b))
  same(stored[c(4, 1, 4), , , ], result[c(4, 1, 4), , , ])
  same(stored["two", , , 2], result["two", , , 2])
  same(stored[c(TRUE, FALSE), , , ], result[c(TRUE, FALSE), , , ])
  expect_identical(stored[2, 3, 5:6, 1], result[2, 3, 5:6, 1])
  expect_identical(stored[2, , , , drop = TRUE], result[2, , , , drop = TRUE])
  expect_error(stored[5, , , ], "index of the 4 sequences", class = "seqlift_error_argument")
  expect_error(stored[1], "an index for each", class = "seqlift_error_argument")
  expect_output(print(stored), "largest \\|delta\\|")
})

test_that("what is no such file is refused", {
  skip_without_hdf5()
  folder <- new_folder()
  refused <- function(path, text) {
    expect_error(read_h5(path), text, class = "seqlift_error_file")
  }
  refused(file.path(folder, "none.h5"), "There is no file")
  text <- file.path(folder, "text.h5")
  writeLines("hello", text)
  refused(text, "is not an HDF5 file")
  path <- file.path(folder, "other.h5")
  rhdf5::h5createFile(path)
  rhdf5::h5write(1:3, path, "numbers")
  refused(path, "holds no attributions")
  rhdf5::h5createGroup(path, "raw")
  rhdf5::h5createGroup(path, "shap")
  rhdf5::h5write(array(0L, c(6, 4, 2)), path, "raw/seq")
  rhdf5::h5write(array(0, c(5, 4, 2)), path, "shap/seq")
  refused(path, "is \\(2, 4, 5\\)")
  expect_error(export_h5(array(0, c(1, 4, 3)), path), class = "seqlift_error_argument")
  expect_error(
    export_h5(explain(), file.path(folder, "none", "x.h5")), class = "seqlift_error_file"
  )
})
