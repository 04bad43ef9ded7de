# A writer of numpy's .npz files: a zip archive of .npy files, here of one array, `arr_0`, as
# numpy.savez() calls the first.
# Formats: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html and PKWARE's
# APPNOTE.TXT, zip64 for arrays of 4 GiB and more.
#
# The array is written piece by piece, so that it need not be in memory as numpy's bytes. R's own
# gzip connection deflates it: a gzip file is ten bytes, the deflated stream, its CRC-32 and its
# length, which is what an entry of a zip archive is made of.

npz_numbers <- list(
  "|i1" = function(values, connection) writeBin(as.raw(values), connection),
  "<f4" = function(values, connection) {
    writeBin(as.double(values), connection, size = 4L, endian = "little")
  }
)

# `piece(i)` gives the numbers of the i-th of `n_pieces` parts, in numpy's order: the last dimension
# runs fastest. `zip64 = TRUE` writes the long form whatever the size.
write_npz <- function(path, descr, shape, n_pieces, piece, zip64 = FALSE) {
  header <- npy_header(descr, shape)
  size <- length(header) + prod(shape) * as.integer(substring(descr, 3L))
  gzipped <- tempfile(".arr_0-", dirname(path), fileext = ".gz")
  on.exit(unlink(gzipped))
  connection <- gzfile(gzipped, "wb", compression = 4L)
  full <- rlang::try_fetch(
    {
      writeBin(header, connection)
      for (i in seq_len(n_pieces)) {
        npz_numbers[[descr]](piece(i), connection)
      }
      close(connection)
      gzip_to_zip(gzipped, path, "arr_0.npy", size, zip64)
    },
    # What R makes of a full disk.
    warning = function(warning) FALSE
  )
  if (!full) {
    try(close(connection), silent = TRUE)
    stop("not all bytes were written")
  }
}

npy_header <- function(descr, shape) {
  text <- paste0(
    "{'descr': '", descr, "', 'fortran_order': False, 'shape': (",
    paste0(sprintf("%d", as.integer(shape)), ",", collapse = " "), "), }"
  )
  # Magic string, version and length are 10 bytes; the numbers start at a multiple of 64.
  padding <- -(10L + nchar(text) + 1L) %% 64L
  text <- paste0(text, strrep(" ", padding), "\n")
  c(
    as.raw(0x93), charToRaw("NUMPY"), as.raw(c(1L, 0L)), little_endian(nchar(text), 2L),
    charToRaw(text)
  )
}

# Whole numbers as bytes, the lowest first.
little_endian <- function(numbers, size) {
  as.raw(unlist(lapply(numbers, function(x) x %/% 256^(seq_len(size) - 1L) %% 256)))
}

# A zip archive with one entry, the `size` bytes that were gzipped. FALSE if they are not all there.
gzip_to_zip <- function(gzipped, path, name, size, zip64) {
  around <- c(before = 10L, after = 8L)
  deflated <- file.size(gzipped) - sum(around)
  from <- file(gzipped, "rb")
  on.exit(close(from))
  seek(from, around[["before"]] + deflated)
  trailer <- readBin(from, "raw", around[["after"]])
  if (!identical(trailer[5:8], little_endian(size, 4L))) {
    return(FALSE)
  }
  entry <- zip_records(name, trailer[1:4], deflated, size, zip64)
  to <- file(path, "wb")
  on.exit(if (!is.null(to)) close(to), add = TRUE)
  writeBin(entry$before, to)
  seek(from, around[["before"]])
  left <- deflated
  while (left > 0) {
    bytes <- readBin(from, "raw", min(left, npz_copy_bytes))
    writeBin(bytes, to)
    left <- left - length(bytes)
  }
  writeBin(entry$after, to)
  close(to)
  to <- NULL
  file.size(path) == length(entry$before) + deflated + length(entry$after)
}

npz_copy_bytes <- 2^24

# What stands before and after the deflated bytes. Long sizes are written as 2^32 - 1, and the true
# ones in an extra field (zip64).
zip_records <- function(name, crc, deflated, size, zip64) {
  highest <- 2^32 - 1
  zip64 <- zip64 || max(deflated, size) >= highest
  extra <- if (zip64) c(little_endian(c(1, 16), 2L), little_endian(c(size, deflated), 8L))
  version <- little_endian(if (zip64) 45 else 20, 2L)
  common <- c(
    # No flags, deflated, at midnight of the first day there is: files do not tell when.
    version, little_endian(c(0, 8, 0, 33), 2L), crc,
    little_endian(if (zip64) c(highest, highest) else c(deflated, size), 4L),
    little_endian(c(nchar(name), length(extra)), 2L)
  )
  before <- c(as.raw(c(0x50, 0x4b, 3, 4)), common, charToRaw(name), extra)
  directory <- c(
    as.raw(c(0x50, 0x4b, 1, 2)), version, common,
    # No comment, first disk, no attributes, at the beginning of the archive.
    little_endian(c(0, 0, 0), 2L), little_endian(c(0, 0), 4L), charToRaw(name), extra
  )
  at <- length(before) + deflated
  end <- c(
    as.raw(c(0x50, 0x4b, 5, 6)), little_endian(c(0, 0, 1, 1), 2L),
    little_endian(c(length(directory), if (zip64) highest else at), 4L), raw(2L)
  )
  if (zip64) {
    end <- c(
      as.raw(c(0x50, 0x4b, 6, 6)), little_endian(44, 8L), version, version,
      little_endian(c(0, 0), 4L), little_endian(c(1, 1, length(directory), at), 8L),
      as.raw(c(0x50, 0x4b, 6, 7)), little_endian(0, 4L),
      little_endian(at + length(directory), 8L), little_endian(1, 4L), end
    )
  }
  list(before = before, after = c(directory, end))
}
