# The files are written here by hand, byte by byte, as numpy writes them.

npy_bytes <- function(descr, shape, data, fortran_order = FALSE, version = 1L) {
  comma <- if (length(shape) == 1L) "," else ""
  header <- paste0(
    "{'descr': '", descr, "', 'fortran_order': ", if (fortran_order) "True" else "False",
    ", 'shape': (", paste(shape, collapse = ", "), comma, "), }"
  )
  size_bytes <- if (version == 1L) 2L else 4L
  padding <- -(8L + size_bytes + nchar(header) + 1L) %% 64L
  header <- paste0(header, strrep(" ", padding), "\n")
  size <- as.raw(nchar(header) %/% 256^(seq_len(size_bytes) - 1L) %% 256)
  c(npy_magic, as.raw(c(version, 0L)), size, charToRaw(header), data)
}

float64 <- function(x) writeBin(as.numeric(x), raw(), size = 8L, endian = "little")
float32 <- function(x) writeBin(as.numeric(x), raw(), size = 4L, endian = "little")
integers <- function(x, size) writeBin(as.integer(x), raw(), size = size, endian = "little")

# gzip ends with the CRC-32 and the length that zip wants, and holds the deflated bytes.
gzip_parts <- function(bytes) {
  path <- tempfile()
  on.exit(unlink(path))
  connection <- gzfile(path, "wb")
  writeBin(bytes, connection)
  close(connection)
  zipped <- readBin(path, "raw", file.size(path))
  n <- length(zipped)
  list(deflated = zipped[11:(n - 8L)], crc = zipped[(n - 7L):(n - 4L)])
}

write_zip <- function(members, deflate = FALSE) {
  body <- raw()
  directory <- raw()
  for (name in names(members)) {
    parts <- gzip_parts(members[[name]])
    data <- if (deflate) parts$deflated else members[[name]]
    common <- c(
      integers(c(20L, 0L, if (deflate) 8L else 0L, 0L, 33L), 2L), parts$crc,
      integers(c(length(data), length(members[[name]])), 4L), integers(c(nchar(name), 0L), 2L)
    )
    directory <- c(
      directory, as.raw(c(0x50, 0x4b, 1, 2, 20, 0)), common, integers(c(0L, 0L, 0L), 2L),
      integers(c(0L, length(body)), 4L), charToRaw(name)
    )
    body <- c(body, as.raw(c(0x50, 0x4b, 3, 4)), common, charToRaw(name), data)
  }
  end <- c(
    as.raw(c(0x50, 0x4b, 5, 6)), integers(c(0L, 0L, length(members), length(members)), 2L),
    integers(c(length(directory), length(body)), 4L), integers(0L, 2L)
  )
  path <- tempfile(fileext = ".npz")
  writeBin(c(body, directory, end), path)
  path
}

test_that("an array in C order keeps its indices", {
  # numpy: [[[0, 1], [2, 3], [4, 5]]]
  array_read <- parse_npy(npy_bytes("<f8", c(1, 3, 2), float64(0:5)))
  expect_identical(dim(array_read), c(1L, 3L, 2L))
  expect_identical(array_read[1, 2, 1], 2)
  expect_identical(array_read[1, 3, 2], 5)
  expect_identical(array_read[1, , ], rbind(c(0, 1), c(2, 3), c(4, 5)))
})

test_that("an array in Fortran order keeps its indices", {
  array_read <- parse_npy(npy_bytes("<f8", c(2, 3), float64(1:6), fortran_order = TRUE))
  expect_identical(array_read, matrix(as.numeric(1:6), 2L))
})

test_that("signed and unsigned integers of every width come with their sign", {
  expect_identical(c(parse_npy(npy_bytes("|i1", 3, as.raw(c(1, 255, 128))))), c(1L, -1L, -128L))
  expect_identical(c(parse_npy(npy_bytes("|u1", 2, as.raw(c(1, 255))))), c(1L, 255L))
  expect_identical(c(parse_npy(npy_bytes("<i2", 2, integers(c(-2, 300), 2L)))), c(-2L, 300L))
  expect_identical(c(parse_npy(npy_bytes("<u2", 1, integers(-1, 2L)))), 65535L)
  expect_identical(c(parse_npy(npy_bytes("<i4", 2, integers(c(-7, 70000), 4L)))), c(-7, 70000))
  expect_identical(c(parse_npy(npy_bytes("<u4", 1, integers(-1, 4L)))), 4294967295)
  eight <- c(integers(c(-1, -1), 4L), integers(c(5, 1), 4L), integers(c(-1, 0), 4L))
  expect_identical(c(parse_npy(npy_bytes("<i8", 3, eight))), c(-1, 4294967301, 4294967295))
  smallest <- as.raw(c(0, 0, 0, 128))
  expect_identical(c(parse_npy(npy_bytes("<i4", 1, smallest))), -2147483648)
})

test_that("a 64-bit integer that a double cannot hold is refused", {
  expect_error(parse_npy(npy_bytes("<i8", 1, integers(c(1, 2^22), 4L))), "too large")
})

test_that("booleans, floats and strings are read", {
  expect_identical(c(parse_npy(npy_bytes("|b1", 3, as.raw(c(0, 1, 1))))), c(FALSE, TRUE, TRUE))
  expect_identical(c(parse_npy(npy_bytes("<f4", 2, float32(c(0.5, NaN))))), c(0.5, NaN))
  letters_32 <- integers(c(65, 67, 0, 71, 0, 0), 4L)
  expect_identical(c(parse_npy(npy_bytes("<U3", 2, letters_32))), c("AC", "G"))
})

test_that("an empty array keeps its shape, and an array without axes is one value", {
  expect_identical(dim(parse_npy(npy_bytes("|i1", c(4, 0), raw()))), c(4L, 0L))
  expect_identical(parse_npy(npy_bytes("<f8", integer(), float64(3))), 3)
})

test_that("a header of version 2 is read", {
  expect_identical(c(parse_npy(npy_bytes("<f8", 2, float64(1:2), version = 2L))), c(1, 2))
})

test_that("a truncated file is an error, wherever it was cut", {
  whole <- npy_bytes("<f8", c(2, 2), float64(1:4))
  for (kept in c(0L, 5L, 9L, 40L, length(whole) - 1L)) {
    expect_error(parse_npy(whole[seq_len(kept)]), "npy: (not a npy|the file is truncated)")
  }
  expect_error(parse_npy(c(whole, as.raw(0))), "too long")
})

test_that("another dtype or byte order is an error that names it", {
  expect_error(parse_npy(npy_bytes(">f8", 1, float64(1))), "dtype >f8 is not supported")
  expect_error(parse_npy(npy_bytes("<c8", 1, float64(1))), "dtype <c8 is not supported")
})

test_that("archives are read stored and deflated, every array by its name", {
  members <- list(
    "X.npy" = npy_bytes("|i1", c(2, 2), as.raw(1:4)),
    "t0.f_X.f64.npy" = npy_bytes("<f8", 300, float64(rep(1.5, 300)))
  )
  for (deflate in c(FALSE, TRUE)) {
    path <- write_zip(members, deflate)
    arrays <- read_npz(path)
    unlink(path)
    expect_named(arrays, c("X", "t0.f_X.f64"))
    expect_identical(arrays$X, rbind(1:2, 3:4))
    expect_identical(c(arrays$t0.f_X.f64), rep(1.5, 300))
  }
})

test_that("a truncated or missing archive is an error", {
  path <- write_zip(list("X.npy" = npy_bytes("<f8", 4, float64(1:4))))
  bytes <- readBin(path, "raw", file.size(path))
  writeBin(bytes[seq_len(length(bytes) - 30L)], path)
  expect_error(suppressWarnings(read_npz(path)))
  unlink(path)
  expect_error(read_npz(path), "does not exist")
})

test_that("a .npy file is read from disk", {
  path <- tempfile(fileext = ".npy")
  writeBin(npy_bytes("<f8", 2, float64(c(1, 2))), path)
  expect_identical(c(read_npy(path)), c(1, 2))
  unlink(path)
})
