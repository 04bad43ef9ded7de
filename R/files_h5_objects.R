# Objects of an HDF5 file that lie in the file itself. A file can name others: links to objects of
# another file, data sets that are made of those of others (virtual), data in a file beside it
# (external storage). The library opens them without a word, so that a file from somewhere reads any
# file of this machine, or waits for ever for a pipe. Here all of that is refused: an object is
# reached by hard links alone, and its data are in the file.

stop_h5 <- function(...) {
  stop(structure(
    list(message = paste0(...), call = NULL), class = c("seqlift_h5_refused", "error", "condition")
  ))
}

# Whether there is an object; links that are not hard are refused before anything follows them.
has_h5_object <- function(at, path) {
  parts <- strsplit(path, "/+")[[1L]]
  parts <- parts[nzchar(parts) & parts != "."]
  prefix <- if (startsWith(path, "/")) "/" else ""
  for (i in seq_along(parts)) {
    name <- paste0(prefix, paste(parts[seq_len(i)], collapse = "/"))
    if (!rhdf5::H5Lexists(at, name)) {
      return(FALSE)
    }
    kind <- rhdf5::H5Lget_info(at, name)$type
    if (!identical(as.character(kind), "H5L_TYPE_HARD")) {
      stop_h5("holds a link in place of ", encodeString(name, quote = "\""),
        ", which may lead to other files"
      )
    }
  }
  length(parts) > 0L
}

check_h5_object <- function(at, path) {
  if (!has_h5_object(at, path)) {
    stop_h5("has no object ", encodeString(path, quote = "\""))
  }
}

open_h5_group <- function(at, path) {
  check_h5_object(at, path)
  rhdf5::H5Gopen(at, path)
}

# `where` is the path of the file.
open_h5_data <- function(at, path, where) {
  check_h5_object(at, path)
  data <- rhdf5::H5Dopen(at, path)
  layout <- rhdf5::H5Dget_create_plist(data)
  kind <- as.character(rhdf5::H5Pget_layout(layout))
  rhdf5::H5Pclose(layout)
  known <- c("H5D_COMPACT", "H5D_CONTIGUOUS", "H5D_CHUNKED")
  problem <- if (!kind %in% known) {
    "are virtual: they lie in other files"
  } else if (kind == "H5D_CONTIGUOUS" && uses_external_files(where)) {
    "may lie in other files (external storage)"
  }
  if (!is.null(problem)) {
    rhdf5::H5Dclose(data)
    stop_h5("holds data, ", encodeString(path, quote = "\""), ", that ", problem)
  }
  data
}

# Whether anything in the file keeps its data in another one. rhdf5 has no call that tells. The
# format's "external data files" message is found by its form: a byte 1, seven others, and the
# address of a local heap, in which the names of the files are. (HDF5 File Format Specification 3.0,
# IV.A.2.h and III.D.)
uses_external_files <- function(path) {
  stamp <- paste(path, file.size(path), as.numeric(file.mtime(path)))
  if (is.null(scanned_h5[[stamp]])) {
    scanned_h5[[stamp]] <- scan_external_files(path)
  }
  scanned_h5[[stamp]]
}

scanned_h5 <- new.env(parent = emptyenv())

# Bytes that are looked at together, and how many of them again with the next ones.
h5_scan_bytes <- 2^23
h5_scan_overlap <- 64

scan_external_files <- function(path) {
  over_blocks <- function(f) {
    connection <- file(path, "rb")
    on.exit(close(connection))
    before <- raw(0)
    at <- 0
    repeat {
      bytes <- c(before, readBin(connection, "raw", h5_scan_bytes))
      if (length(bytes) <= length(before)) {
        return(FALSE)
      }
      if (isTRUE(f(bytes, at))) {
        return(TRUE)
      }
      at <- at + length(bytes) - min(length(bytes), h5_scan_overlap)
      before <- utils::tail(bytes, h5_scan_overlap)
    }
  }
  base <- NULL
  heaps <- numeric(0)
  over_blocks(function(bytes, at) {
    if (is.null(base)) {
      base <<- h5_base(bytes)
    }
    heaps <<- c(heaps, at + grepRaw("HEAP", bytes, fixed = TRUE, all = TRUE) - 1)
    FALSE
  })
  if (length(heaps) == 0L) {
    return(FALSE)
  }
  heaps <- unique(heaps) - base$offset
  over_blocks(function(bytes, at) {
    first <- which(bytes == as.raw(1L))
    first <- first[first + 7L + base$width <= length(bytes)]
    # Addresses begin with their lowest byte: most that is none has a high one.
    for (k in rev(seq_len(base$width))) {
      if (256^(k - 1) > max(heaps)) {
        first <- first[bytes[first + 7L + k] == as.raw(0L)]
      }
    }
    address <- 0
    for (k in seq_len(base$width)) {
      address <- address + as.integer(bytes[first + 7L + k]) * 256^(k - 1)
    }
    any(address %in% heaps)
  })
}

# Where the file's own addresses count from, and how many bytes one has.
h5_base <- function(bytes) {
  signature <- as.raw(c(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a))
  for (offset in c(0, 512 * 2^(0:12))) {
    here <- bytes[offset + seq_along(signature)]
    if (identical(here, signature)) {
      version <- as.integer(bytes[offset + 9L])
      return(list(
        offset = offset, width = as.integer(bytes[offset + (if (version < 2L) 14L else 10L)])
      ))
    }
  }
  list(offset = 0, width = 8L)
}

# ---- strings --------------------------------------------------------------------------------

# The strings of an attribute, whether their length is fixed or not and however it is filled; NULL
# where there is none. `most`: bytes of text, more of which no sound file has.
string_attribute <- function(at, name, most) {
  if (!rhdf5::H5Aexists(at, name)) {
    return(NULL)
  }
  attribute <- rhdf5::H5Aopen(at, name)
  type <- rhdf5::H5Aget_type(attribute)
  space <- rhdf5::H5Aget_space(attribute)
  on.exit({
    rhdf5::H5Sclose(space)
    rhdf5::H5Aclose(attribute)
  })
  # None where there is nothing at all (a null space) and in an empty list.
  texts <- as.numeric(rhdf5::H5Sget_select_npoints(space))
  if (texts == 0) {
    return(character(0))
  }
  variable <- isTRUE(rhdf5::H5Tis_variable_str(type))
  # Of those of variable length the file holds a reference each, of 16 bytes.
  bytes <- if (variable) 16 else as.numeric(rhdf5::H5Tget_size(type))
  if (texts * bytes > most) {
    stop_h5("declares texts, ", encodeString(name, quote = "\""), ", larger than the file itself")
  }
  text <- as.vector(rhdf5::H5Aread(attribute))
  if (!is.character(text)) {
    stop_h5("holds no text as ", encodeString(name, quote = "\""))
  }
  # The library's own number of H5T_STR_SPACEPAD, which rhdf5 gives as it is.
  if (!variable && as.character(rhdf5::H5Tget_strpad(type)) %in% c("2", "H5T_STR_SPACEPAD")) {
    text <- sub(" +$", "", text, useBytes = TRUE)
  }
  Encoding(text) <- "UTF-8"
  text
}

# Lists of more than 64 kB are cut into attributes with numbers: `layer_names0`, `layer_names1`.
string_attributes <- function(at, name, most) {
  whole <- string_attribute(at, name, most)
  if (!is.null(whole)) {
    return(whole)
  }
  pieces <- list()
  repeat {
    piece <- string_attribute(at, paste0(name, length(pieces)), most)
    if (is.null(piece)) {
      return(if (length(pieces) > 0L) unlist(pieces))
    }
    pieces <- c(pieces, list(piece))
  }
}

# For reading. Where another package has turned off HDF5's own errors, rhdf5 gives FALSE for a file
# that it cannot open.
open_h5_file <- function(path) {
  file <- suppressMessages(rhdf5::H5Fopen(path, flags = "H5F_ACC_RDONLY"))
  if (!methods::is(file, "H5IdComponent")) {
    stop("HDF5 cannot open the file: it is cut short, damaged or no HDF5 file", call. = FALSE)
  }
  file
}
