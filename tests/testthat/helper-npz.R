# A reader of numpy's .npy and .npz files in base R.
# Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
# A .npy file is a magic string, a version, the length of a header, the header (the
# text of a Python dictionary with dtype, order and shape) and the numbers. A .npz
# file is a zip archive of them.

npy_magic <- as.raw(c(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59))

# R's own readers of little-endian numbers, by numpy's dtype without the byte order.
npy_readers <- list(
  b1 = function(bytes, n) as.integer(bytes) != 0L,
  i1 = function(bytes, n) readBin(bytes, "integer", n, size = 1L, signed = TRUE),
  u1 = function(bytes, n) as.integer(bytes),
  i2 = function(bytes, n) readBin(bytes, "integer", n, size = 2L, endian = "little"),
  u2 = function(bytes, n) {
    readBin(bytes, "integer", n, size = 2L, signed = FALSE, endian = "little")
  },
  i4 = function(bytes, n) int32_words(bytes, n),
  u4 = function(bytes, n) int32_words(bytes, n) %% 2^32,
  i8 = function(bytes, n) int64_numbers(bytes, n, signed = TRUE),
  u8 = function(bytes, n) int64_numbers(bytes, n, signed = FALSE),
  f4 = function(bytes, n) readBin(bytes, "numeric", n, size = 4L, endian = "little"),
  f8 = function(bytes, n) readBin(bytes, "numeric", n, size = 8L, endian = "little")
)

# 32-bit words as doubles: R reads the smallest one as NA.
int32_words <- function(bytes, n) {
  words <- as.numeric(readBin(bytes, "integer", n, size = 4L, endian = "little"))
  words[is.na(words)] <- -2^31
  words
}

# R has no 64-bit integers: doubles are exact up to 2^53, and more is refused.
int64_numbers <- function(bytes, n, signed) {
  words <- matrix(int32_words(bytes, 2L * n), nrow = 2L)
  high <- if (signed) words[2L, ] else words[2L, ] %% 2^32
  numbers <- high * 2^32 + words[1L, ] %% 2^32
  if (any(abs(numbers) > 2^53)) {
    stop("npy: a 64-bit integer is too large for a double", call. = FALSE)
  }
  numbers
}

# numpy's unicode strings: `width` characters of four bytes each, filled up with zeros.
utf32_strings <- function(bytes, n, width) {
  words <- matrix(int32_words(bytes, n * width), nrow = width)
  vapply(seq_len(n), function(i) intToUtf8(words[words[, i] != 0, i]), character(1L))
}

npy_header <- function(bytes) {
  if (length(bytes) < 10L || !identical(bytes[1:6], npy_magic)) {
    stop("npy: not a npy file", call. = FALSE)
  }
  size_bytes <- if (bytes[7L] == as.raw(1L)) 2L else 4L
  size <- sum(as.integer(bytes[8L + seq_len(size_bytes)]) * 256^(seq_len(size_bytes) - 1L))
  start <- 8L + size_bytes
  if (length(bytes) < start + size) {
    stop("npy: the file is truncated within its header", call. = FALSE)
  }
  text <- rawToChar(bytes[start + seq_len(size)])
  field <- function(pattern) {
    found <- regmatches(text, regexec(pattern, text))[[1L]]
    if (length(found) != 2L) {
      stop("npy: the header cannot be read: ", text, call. = FALSE)
    }
    found[2L]
  }
  shape <- strsplit(gsub("[ L]", "", field("'shape': *\\(([^)]*)\\)")), ",")[[1L]]
  list(
    dtype = field("'descr': *'([^']+)'"),
    fortran_order = field("'fortran_order': *(True|False)") == "True",
    shape = as.integer(shape),
    data = start + size
  )
}

# The bytes of one .npy file as an R array of the same shape (a plain value where the
# shape is empty).
parse_npy <- function(bytes) {
  header <- npy_header(bytes)
  order <- substr(header$dtype, 1L, 1L)
  type <- substring(header$dtype, 2L)
  is_text <- substr(type, 1L, 1L) == "U"
  if (order == ">" || !(is_text || type %in% names(npy_readers))) {
    stop("npy: dtype ", header$dtype, " is not supported", call. = FALSE)
  }
  width <- as.integer(substring(type, 2L)) * if (is_text) 4L else 1L
  n <- prod(header$shape)
  available <- length(bytes) - header$data
  if (available != n * width) {
    stop(
      "npy: the file is ", if (available < n * width) "truncated" else "too long", ": ",
      available, " bytes of data where ", n * width, " belong",
      call. = FALSE
    )
  }
  data <- bytes[header$data + seq_len(n * width)]
  values <- if (is_text) {
    utf32_strings(data, n, width %/% 4L)
  } else {
    npy_readers[[type]](data, n)
  }
  rank <- length(header$shape)
  if (rank == 0L) {
    return(values)
  }
  if (header$fortran_order) {
    return(array(values, header$shape))
  }
  aperm(array(values, rev(header$shape)), rev(seq_len(rank)))
}

read_npy <- function(path) {
  parse_npy(readBin(path, "raw", file.size(path)))
}

# All arrays of an archive, by name.
read_npz <- function(path) {
  if (!file.exists(path)) {
    stop("npz: ", path, " does not exist", call. = FALSE)
  }
  members <- utils::unzip(path, list = TRUE)
  read_member <- function(name, size) {
    connection <- unz(path, name, open = "rb")
    on.exit(close(connection))
    bytes <- readBin(connection, "raw", size)
    if (length(bytes) != size) {
      stop("npz: ", name, " is truncated", call. = FALSE)
    }
    parse_npy(bytes)
  }
  Map(read_member, members$Name, members$Length) |>
    stats::setNames(sub("\\.npy$", "", members$Name))
}
