# Rows of an array in one of numpy's files, .npy or .npz, read piece by piece and in order: an entry
# of an archive unfolds from its beginning, so that going back means beginning again.
# Formats: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html; unz() reads the
# zip.

# Bytes of a number and what reads them, by numpy's dtype without the order of bytes.
npy_types <- list(
  b1 = list(1L, function(bytes, n) as.double(as.integer(bytes))),
  i1 = list(1L, function(bytes, n) as.double(readBin(bytes, "integer", n, size = 1L))),
  u1 = list(1L, function(bytes, n) as.double(as.integer(bytes))),
  i2 = list(2L, function(bytes, n) {
    as.double(readBin(bytes, "integer", n, size = 2L, endian = "little"))
  }),
  i4 = list(4L, function(bytes, n) as.double(readBin(bytes, "integer", n, endian = "little"))),
  i8 = list(8L, function(bytes, n) {
    words <- matrix(readBin(bytes, "integer", 2L * n, endian = "little"), 2L)
    words[2L, ] * 2^32 + (words[1L, ] %% 2^32)
  }),
  f2 = list(2L, function(bytes, n) {
    half_numbers(readBin(bytes, "integer", n, size = 2L, signed = FALSE, endian = "little"))
  }),
  f4 = list(4L, function(bytes, n) readBin(bytes, "numeric", n, size = 4L, endian = "little")),
  f8 = list(8L, function(bytes, n) readBin(bytes, "numeric", n, size = 8L, endian = "little"))
)

# IEEE 754 half precision: a sign, five bits of exponent, ten of fraction.
half_numbers <- function(bits) {
  exponent <- bits %/% 1024L %% 32L
  fraction <- bits %% 1024L
  size <- ifelse(exponent == 0L, fraction * 2^-24, (1024L + fraction) * 2^(exponent - 25))
  size[exponent == 31L] <- ifelse(fraction[exponent == 31L] == 0L, Inf, NaN)
  ifelse(bits >= 32768L, -size, size)
}

# Bytes that are passed over at a time.
npy_skip_bytes <- 2^22

# list(shape, read, close) of a file's array [n, 4, L]: `read(rows)` gives numbers [rows, 4, L] of
# rows in rising order.
open_npy_rows <- function(path, arg, call) {
  path <- check_file(path, arg, call)
  refuse <- function(problem, hint = NULL) {
    abort_seqlift("file",
      c(paste0("{.arg {arg}}, the file {.path {path}}, ", problem, "."), i = hint),
      call = call
    )
  }
  is_zip <- identical(readBin(path, "raw", 2L), charToRaw("PK"))
  entry <- if (is_zip) npz_entry(path, refuse) else list(size = file.size(path))
  connection <- NULL
  close_it <- function() {
    if (!is.null(connection)) {
      close(connection)
      connection <<- NULL
    }
  }
  bytes_of <- function(n) {
    bytes <- readBin(connection, "raw", n)
    if (length(bytes) != n) {
      refuse("is cut short or damaged")
    }
    bytes
  }
  restart <- function() {
    close_it()
    connection <<- suppressWarnings(if (is_zip) unz(path, entry$name, "rb") else file(path, "rb"))
    read_npy_header(bytes_of, refuse)
  }
  rlang::try_fetch(header <- restart(), error = function(error) {
    close_it()
    if (inherits(error, "seqlift_error")) rlang::zap() else refuse("cannot be read: it is damaged")
  })
  shape <- header$shape
  row_size <- prod(shape[-1L])
  type <- npy_types[[header$type]]
  if (entry$size != header$size + prod(shape) * type[[1L]]) {
    close_it()
    refuse(paste("holds", entry$size, "bytes, which are not those of its array: it is damaged"))
  }
  at <- 1L
  read_run <- function(first, n) {
    if (first < at || is.null(connection)) {
      restart()
      at <<- 1L
    }
    left <- (first - at) * row_size * type[[1L]]
    while (left > 0) {
      left <- left - length(bytes_of(min(left, npy_skip_bytes)))
    }
    at <<- first + n
    type[[2L]](bytes_of(n * row_size * type[[1L]]), n * row_size)
  }
  read <- function(rows) {
    runs <- split(rows, cumsum(c(1L, diff(rows) != 1L)))
    numbers <- lapply(runs, function(run) read_run(run[1L], length(run)))
    aperm(array(unlist(numbers, use.names = FALSE), c(shape[3:2], length(rows))), 3:1)
  }
  list(shape = shape, read = read, close = close_it)
}

# Name and size in bytes of an archive's array: the only one, or numpy.savez()'s first.
npz_entry <- function(path, refuse) {
  entries <- tryCatch(utils::unzip(path, list = TRUE),
    error = function(error) refuse("is a damaged archive"))
  arrays <- entries$Name[endsWith(entries$Name, ".npy")]
  if (length(arrays) > 1L && "arr_0.npy" %in% arrays) {
    arrays <- "arr_0.npy"
  }
  if (length(arrays) != 1L) {
    refuse(paste0("must hold one array, not ", length(arrays)),
      "{.code numpy.savez(path, x)} writes one, as {.field arr_0}.")
  }
  list(name = arrays, size = entries$Length[entries$Name == arrays])
}

read_npy_header <- function(bytes_of, refuse) {
  start <- bytes_of(8L)
  if (!identical(start[1:6], c(as.raw(0x93), charToRaw("NUMPY")))) {
    refuse("is neither an array of numpy (.npy, .npz) nor HDF5")
  }
  width <- if (start[7L] == as.raw(1L)) 2L else 4L
  size <- sum(as.integer(bytes_of(width)) * 256^(seq_len(width) - 1))
  # A dictionary of three short fields.
  if (size > 2^16) {
    refuse("has a header that is none")
  }
  bytes <- bytes_of(size)
  text <- rawToChar(bytes[bytes != as.raw(0L)])
  field <- function(pattern) {
    found <- regmatches(text, regexec(pattern, text))[[1L]]
    if (length(found) == 2L) found[2L] else refuse("has a header that cannot be read")
  }
  type <- field("'descr': *'([^']+)'")
  shape <- as.numeric(strsplit(gsub("[ L]", "", field("'shape': *\\(([0-9, L]*)\\)")), ",")[[1L]])
  if (startsWith(type, ">") || !substring(type, 2L) %in% names(npy_types)) {
    refuse(paste0("holds numbers of the type ", type, ", which is not read"),
      "{.code x.astype(\"float32\")} changes it.")
  }
  if (length(shape) != 3L || shape[2L] != n_bases || any(shape < 1) || any(shape >= 2^31)) {
    refuse(paste0("must hold an array (n, 4, L), not (", toString(shape), ")"),
      if (length(shape) == 3L && shape[3L] == n_bases) {
        "{.code numpy.transpose(x, (0, 2, 1))} turns it."
      })
  }
  if (field("'fortran_order': *(True|False)") == "True") {
    refuse("is in Fortran's order", "{.code numpy.ascontiguousarray(x)} turns it.")
  }
  list(type = substring(type, 2L), shape = as.integer(shape), size = 8 + width + size)
}
