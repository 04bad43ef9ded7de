number_file <- function(name) test_path("motifs", "numbers", name)

read_numbers <- function(name, rows = 1:2) {
  reader <- open_npy_rows(number_file(name), "attributions", NULL)
  on.exit(reader$close())
  expect_identical(reader$shape, c(2L, 4L, 3L))
  reader$read(rows)
}

test_that("numpy's types are read as numpy sees them", {
  values <- aperm(array((0:23 - 10) / 2, c(3L, 4L, 2L)), 3:1)
  for (name in c("float16.npy", "float32.npy", "float64.npy", "stored.npz", "named.npz")) {
    expect_identical(read_numbers(name), values, info = name)
  }
  for (name in c("int8.npy", "int16.npy", "int32.npy", "int64.npy")) {
    expect_identical(read_numbers(name), trunc(values), info = name)
  }
  expect_identical(read_numbers("uint8.npy"), trunc(abs(values)))
  expect_identical(read_numbers("bool.npy"), (values > 0) * 1)
  reader <- open_npy_rows(number_file("special.npy"), "X", NULL)
  special <- as.vector(aperm(reader$read(1L)))
  reader$close()
  expect_identical(special[1:7], c(0, 0, 2^-24, 1023 * 2^-24, 65504, Inf, -Inf), tolerance = 1e-3)
  expect_identical(special[3L], 2^-24)
  expect_true(is.nan(special[8L]))
})

test_that("rows are read in any pieces, and again from the beginning", {
  path <- test_path("motifs", "scores.npz")
  whole <- read_npz(path)$arr_0
  reader <- open_npy_rows(path, "attributions", NULL)
  expect_identical(reader$read(1:3), whole[1:3, , ])
  expect_identical(reader$read(c(5L, 6L, 100L, 250L)), whole[c(5, 6, 100, 250), , ])
  expect_identical(reader$read(2L), whole[2L, , , drop = FALSE])
  before <- nrow(showConnections())
  reader$close()
  expect_identical(nrow(showConnections()), before - 1L)
})

test_that("the same scores give the same motifs from a result, arrays and every kind of file", {
  skip_if_not_installed("rhdf5")
  h5 <- test_path("motifs", "scores.h5")
  npz <- test_path("motifs", "scores.npz")
  letters <- test_path("motifs", "sequences.npz")
  find <- function(...) {
    motifs <- discover_motifs(..., n_leiden_runs = 2L, random_state = 3)
    attr(motifs, "settings")[c("source", "attributions")] <- NULL
    motifs
  }
  scores <- read_npz(npz)$arr_0
  X <- read_npz(letters)$arr_0
  expected <- find(scores, X)
  expect_match(as.data.frame(expected)$consensus[1L], "GATAAG|CTTATC")
  before <- nrow(showConnections())
  # Pieces smaller than the whole.
  with_replaced("score_piece", 4 * 100 * 7, {
    expect_identical(find(h5), expected)
    expect_identical(find(npz, letters), expected)
  })
  expect_identical(find(read_h5(h5)), expected)
  expect_identical(find(scores, letters), expected)
  expect_identical(find(npz, X), expected)
  expect_identical(nrow(showConnections()), before)
  found <- discover_motifs(h5, n_leiden_runs = 1L, random_state = 3)
  expect_identical(attr(found, "settings")$source, list(h5))
})

test_that("an HDF5 file is not read whole", {
  skip_if_not_installed("rhdf5")
  rows <- list()
  read <- read_h5_rows
  read_and_tell <- function(stored, which, ...) {
    rows[[length(rows) + 1L]] <<- which
    read(stored, which, ...)
  }
  with_replaced("score_piece", 4 * 100 * 30, with_replaced("read_h5_rows", read_and_tell,
    discover_motifs(test_path("motifs", "scores.h5"), n_leiden_runs = 1L, random_state = 3)))
  expect_true(all(lengths(rows) <= 30L))
  expect_setequal(unlist(rows[1:9]), 1:250)
})

test_that("files of something else are refused, and nothing stays open", {
  folder <- new_folder()
  X <- array(rep(c(1, 0, 0, 0), 3), c(1L, 4L, 3L))[c(1, 1), , ]
  before <- nrow(showConnections())
  refused <- function(path, message, X. = X, class = "seqlift_error_file") {
    expect_error(discover_motifs(path, X.), message, class = class)
    expect_identical(nrow(showConnections()), before)
  }
  refused(file.path(folder, "none.npz"), "no file")
  refused(number_file("fortran.npy"), "ascontiguousarray")
  refused(number_file("big_endian.npy"), ">f4")
  refused(number_file("complex.npy"), "<c16")
  refused(number_file("transposed.npy"), "transpose")
  refused(number_file("flat.npy"), "\\(n, 4, L\\), not \\(24\\)")
  refused(number_file("two.npz"), "one array, not 2")
  text <- file.path(folder, "text.npy")
  writeLines("no array at all, and longer than a header", text)
  refused(text, "neither an array of numpy")
  bytes <- readBin(number_file("float64.npy"), "raw", 1e4)
  for (size in c(1, 7, 20, 100, length(bytes) - 1)) {
    cut <- file.path(folder, "cut.npy")
    writeBin(utils::head(bytes, size), cut)
    refused(cut, "cut short|neither|damaged")
  }
  zip <- readBin(test_path("motifs", "scores.npz"), "raw", 1e6)
  cut <- file.path(folder, "cut.npz")
  writeBin(utils::head(zip, 2000L), cut)
  refused(cut, "archive|damaged|cut short")
  refused(
    test_path("motifs", "scores.npz"), "250 sequences of 100 bp", class = "seqlift_error_argument"
  )
  refused(test_path("motifs", "scores.npz"), "250 sequences of 100 bp",
    X. = number_file("bool.npy"), class = "seqlift_error_argument")
  refused(number_file("float32.npy"), "X", X. = NULL, class = "seqlift_error_argument")
  skip_if_not_installed("rhdf5")
  refused(test_path("motifs", "scores.h5"), "NULL", class = "seqlift_error_argument")
  refused(test_path("motifs", "modisco.h5"), "raw/seq", X. = NULL)
})
