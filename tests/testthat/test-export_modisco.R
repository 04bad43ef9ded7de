modisco_paths <- function(env = parent.frame()) {
  folder <- new_folder(env)
  file.path(folder, c("ohe.npz", "shap.npz"))
}

# A hypothetical result whose numbers are all different, with an N in the second sequence.
hypothetical_result <- function(n = 3L) {
  X <- test_sequences(n)
  substr(X[2], 3, 3) <- "N"
  values <- array(as.double(seq_len(n * 4L * 12L)) / 7, c(n, 4L, 12L))
  new_attributions(values, X, matrix(0, n, 2L), kind = "hypothetical")
}

python_with_numpy <- function() {
  known <- c(Sys.getenv("PYTHON"), Sys.which("python3"), "/usr/bin/python3")
  has_numpy <- function(python) {
    nzchar(python) && file.exists(python) && identical(0L, suppressWarnings(
      system2(python, c("-c", shQuote("import numpy")), stdout = FALSE, stderr = FALSE)
    ))
  }
  python <- Find(has_numpy, known)
  skip_if(is.null(python), "python3 with numpy is not there")
  python
}

# What numpy says of the array in a file: type, order, shape, a sum, and all numbers in its order.
numpy_reads <- function(path) {
  lines <- system2(python_with_numpy(), c("-c", shQuote(paste(
    "import numpy, sys",
    "files = numpy.load(sys.argv[1])",
    "a = files['arr_0']",
    "print(files.files, a.dtype.str, a.flags.c_contiguous, a.shape, sep='|')",
    "print(*[repr(float(x)) for x in a.ravel()])",
    sep = "\n"
  )), shQuote(path)), stdout = TRUE)
  list(header = lines[1], numbers = as.numeric(strsplit(lines[2], " ")[[1]]))
}

test_that("the files hold sequences and attributions as (n, 4, L)", {
  paths <- modisco_paths()
  x <- hypothetical_result()
  expect_identical(export_modisco(x, paths[1], paths[2]), paths)
  ohe <- read_npz(paths[1])
  expect_named(ohe, "arr_0")
  expect_equal(ohe$arr_0, unname(one_hot_encode(attr(x, "X"))), ignore_attr = "dimnames")
  expect_identical(sum(ohe$arr_0[2, , 3]), 0L)
  shap <- read_npz(paths[2])
  expect_named(shap, "arr_0")
  expect_equal(shap$arr_0, numbers_of(x), tolerance = 1e-7)
  expect_identical(list.files(dirname(paths[1]), all.files = TRUE, no.. = TRUE), basename(paths))
})

test_that("numpy reads the same numbers in its own order", {
  paths <- modisco_paths()
  x <- hypothetical_result()
  export_modisco(x, paths[1], paths[2])
  in_order <- function(array) as.vector(aperm(array, 3:1))
  ohe <- numpy_reads(paths[1])
  expect_identical(ohe$header, "['arr_0']||i1|True|(3, 4, 12)")
  expect_identical(ohe$numbers, in_order(unname(one_hot_encode(attr(x, "X")))))
  shap <- numpy_reads(paths[2])
  expect_identical(shap$header, "['arr_0']|<f4|True|(3, 4, 12)")
  expect_equal(shap$numbers, in_order(numbers_of(x)), tolerance = 1e-7)
})

test_that("a width takes the window that tfmodisco-lite would", {
  paths <- modisco_paths()
  x <- hypothetical_result()
  for (width in c(1L, 4L, 5L, 12L)) {
    export_modisco(x, paths[1], paths[2], width = width)
    # Its own: from L // 2 - width // 2, counted from 0.
    window <- 12 %/% 2 - width %/% 2 + seq_len(width)
    expect_equal(
      read_npz(paths[2])$arr_0, numbers_of(x)[, , window, drop = FALSE],
      tolerance = 1e-7
    )
    expect_equal(
      read_npz(paths[1])$arr_0, unname(one_hot_encode(substring(
        attr(x, "X"), window[1], window[width]
      ))),
      ignore_attr = "dimnames"
    )
  }
  expect_error(export_modisco(x, paths[1], paths[2], width = 13), "width",
    class = "seqlift_error_argument"
  )
})

test_that("it does not matter in how many pieces an array is written", {
  paths <- modisco_paths()
  x <- hypothetical_result(5L)
  export_modisco(x, paths[1], paths[2])
  whole <- lapply(paths, function(path) readBin(path, "raw", file.size(path)))
  with_replaced("modisco_piece", 4 * 12 * 2, export_modisco(x, paths[1], paths[2]))
  in_pieces <- lapply(paths, function(path) readBin(path, "raw", file.size(path)))
  expect_identical(in_pieces, whole)
})

test_that("a model's own hypothetical attributions come out as they are", {
  paths <- modisco_paths()
  X <- test_sequences()
  x <- deep_lift_shap(test_model("tiny"), X,
    n_shuffles = 2L, hypothetical = TRUE, random_state = 0
  )
  export_modisco(x, paths[1], paths[2])
  expect_equal(read_npz(paths[2])$arr_0, numbers_of(x), tolerance = 1e-6)
  expect_equal(read_npz(paths[1])$arr_0, unname(one_hot_encode(X)), ignore_attr = "dimnames")
  # Attributions of the letters are the product of both files.
  of_letters <- deep_lift_shap(test_model("tiny"), X, n_shuffles = 2L, random_state = 0)
  product <- read_npz(paths[1])$arr_0 * read_npz(paths[2])$arr_0
  expect_equal(
    apply(product, c(1, 3), sum), unname(apply(as.array(of_letters), c(1, 3), sum)),
    tolerance = 1e-5
  )
})

test_that("what is not hypothetical is refused with the way to make it", {
  paths <- modisco_paths()
  expect_snapshot(error = TRUE, {
    export_modisco(ranged_result(), "ohe.npz", "shap.npz")
  })
  expect_error(export_modisco(array(0, c(1, 4, 5)), paths[1], paths[2]),
    class = "seqlift_error_argument"
  )
  two <- new_attributions(array(0, c(3, 4, 12, 2)), test_sequences(), array(0, c(3, 1, 2)),
    kind = "hypothetical"
  )
  expect_error(export_modisco(two, paths[1], paths[2]), "one target",
    class = "seqlift_error_argument"
  )
  bad <- new_attributions(array(NaN, c(3, 4, 12)), test_sequences(), matrix(0, 3, 1),
    kind = "hypothetical"
  )
  expect_error(export_modisco(bad, paths[1], paths[2]), "finite", class = "seqlift_error_argument")
  expect_length(list.files(dirname(paths[1]), all.files = TRUE, no.. = TRUE), 0L)
})

test_that("paths are checked before anything is written", {
  paths <- modisco_paths()
  x <- hypothetical_result()
  refused <- function(ohe, shap, words, class = "seqlift_error_argument") {
    expect_error(export_modisco(x, ohe, shap), words, class = class)
  }
  refused(paths[1], paths[1], "another path")
  refused(file.path(dirname(paths[1]), "ohe.h5"), paths[2], "ends in .npz")
  refused(paths[1], file.path(dirname(paths[1]), "shap"), "ends in .npz")
  refused(paths[1], file.path(dirname(paths[1]), "none", "shap.npz"), "folder",
    "seqlift_error_file"
  )
  expect_length(list.files(dirname(paths[1]), all.files = TRUE, no.. = TRUE), 0L)
})

test_that("either both files appear or none", {
  paths <- modisco_paths()
  writeLines("old", paths[1])
  writer <- write_npz
  fails <- function(path, descr, ...) {
    writer(path, descr, ...)
    if (descr == "<f4") stop("the disk is full")
  }
  with_replaced("write_npz", fails, {
    expect_error(export_modisco(hypothetical_result(), paths[1], paths[2]), "the disk is full")
  })
  expect_identical(readLines(paths[1]), "old")
  expect_identical(list.files(dirname(paths[1]), all.files = TRUE, no.. = TRUE), "ohe.npz")
})

test_that("arrays of 4 GiB have the long form of the archive, which numpy reads", {
  path <- modisco_paths()[1]
  values <- array(as.double(seq_len(2 * 4 * 3)), c(2, 4, 3))
  pieces <- function(i) aperm(values[i, , , drop = FALSE], 3:1)
  write_npz(path, "<f4", c(2, 4, 3), 2L, pieces, zip64 = TRUE)
  read <- numpy_reads(path)
  expect_identical(read$header, "['arr_0']|<f4|True|(2, 4, 3)")
  expect_identical(read$numbers, as.vector(aperm(values, 3:1)))
})

test_that("a zip archive's records are those of the format", {
  # Sizes, places and the long form of an entry of 5 GiB that deflates to 4.5 GiB.
  records <- zip_records("arr_0.npy", as.raw(1:4), 4.5 * 2^30, 5 * 2^30, FALSE)
  expect_identical(records$before[5:6], as.raw(c(45, 0)))
  expect_identical(records$before[15:26], as.raw(c(1:4, rep(255, 8))))
  number <- function(bytes) sum(as.integer(bytes) * 256^(seq_along(bytes) - 1))
  extra <- utils::tail(records$before, 20)
  expect_identical(number(extra[5:12]), 5 * 2^30)
  expect_identical(number(extra[13:20]), 4.5 * 2^30)
  short <- zip_records("arr_0.npy", as.raw(1:4), 1000, 5000, FALSE)
  expect_identical(c(number(short$before[19:22]), number(short$before[23:26])), c(1000, 5000))
  expect_identical(short$before[5:6], as.raw(c(20, 0)))
  end <- utils::tail(short$after, 22)
  # The directory begins behind the deflated bytes.
  expect_identical(number(end[17:20]), length(short$before) + 1000)
})

test_that("a disk that is full is an error, and leaves nothing behind", {
  skip_if_not(file.exists("/dev/full"))
  expect_error(
    write_npz("/dev/full", "|i1", c(1, 4, 5), 1L, function(i) rep(0L, 20)),
    "not all bytes were written"
  )
})
