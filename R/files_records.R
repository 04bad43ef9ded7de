# What every reader of a text file does alike: lines without what editors and other systems leave in
# them, and one choice for records that cannot be used.

# The lines of a text file, plain or compressed (gzip, bgzip, bzip2, xz), with any ends of lines, in
# UTF-8. `what` names what the file should be ("a BED file").
read_text <- function(path, arg, what, call = caller_env()) {
  lines <- NULL
  read_lines(path, arg, what, function(all) lines <<- all, call = call)
  lines
}

# The same, handed to `visit` so many lines at a time; -1: all of them at once, also none.
read_lines <- function(path, arg, what, visit, at_once = -1L, call = caller_env()) {
  refuse <- function(problem, hint = NULL) {
    abort_seqlift("file",
      c(paste0("The file {.path {path}} ({.arg {arg}}) ", problem, "."), i = hint),
      call = call
    )
  }
  start <- readBin(path, "raw", 4L)
  if (length(start) >= 2L && list(start[1:2]) %in% utf16_marks) {
    refuse("is text in UTF-16", "Save it as plain text (UTF-8 or ASCII).")
  }
  if (any(first_bytes(path) == as.raw(0L))) {
    refuse(paste("is no text, and so not", what))
  }
  if (is_gzip(start) && at_once > 0L) {
    check_gzip_end(path, refuse)
  }
  connection <- gzfile(path, "rt", encoding = "native.enc")
  on.exit(close(connection))
  is_first <- TRUE
  repeat {
    lines <- tryCatch(readLines(connection, at_once, warn = FALSE, skipNul = FALSE),
      warning = function(warning) {
        refuse(paste("could not be read to its end:", escape_braces(conditionMessage(warning))))
      },
      error = function(error) {
        refuse(paste("could not be read:", escape_braces(conditionMessage(error))))
      }
    )
    if (is_gzip(start) && at_once < 0L) {
      check_gzip_end(path, refuse)
    }
    if (at_once < 0L || length(lines) > 0L) {
      visit(clean_lines(lines, is_first))
    }
    if (at_once < 0L || length(lines) < at_once) {
      return(invisible())
    }
    is_first <- FALSE
  }
}

clean_lines <- function(lines, is_first) {
  bad <- which(!validUTF8(lines))
  lines[bad] <- iconv(lines[bad], "latin1", "UTF-8")
  Encoding(lines) <- "UTF-8"
  if (is_first && length(lines) > 0L) {
    lines[1L] <- sub("^\ufeff", "", lines[1L])
  }
  sub("\r+$", "", lines)
}

# Of a compressed file those that were compressed, as far as they can be had: R warns of damaged
# data, which reading to the end refuses.
first_bytes <- function(path, n = 2^16) {
  connection <- gzfile(path, "rb")
  on.exit(close(connection))
  suppressWarnings(readBin(connection, "raw", n))
}

utf16_marks <- list(as.raw(c(0xff, 0xfe)), as.raw(c(0xfe, 0xff)))

is_gzip <- function(start) length(start) >= 2L && identical(start[1:2], as.raw(c(0x1f, 0x8b)))

# R reads a gzip file that was cut short without a word, as far as it goes. A whole one ends with
# the number of bytes that were compressed (of its last member, where it has several); one of bgzip
# with an empty block.
check_gzip_end <- function(path, refuse) {
  size <- file.size(path)
  end <- read_bytes_at(path, max(0, size - length(bgzip_end)), length(bgzip_end))
  whole <- if (is_bgzip(path)) {
    identical(end, bgzip_end)
  } else {
    announced <- sum(as.integer(utils::tail(end, 4L)) * 256^(0:3))
    there <- count_unzipped(path)
    there %% 2^32 == announced || (announced < there && has_several_members(path))
  }
  if (!whole) {
    refuse("is cut short: its compressed data have no end")
  }
}

bgzip_end <- as.raw(c(
  0x1f, 0x8b, 8L, 4L, 0L, 0L, 0L, 0L, 0L, 0xff, 6L, 0L, 0x42, 0x43, 2L, 0L, 0x1b, 0L, 3L,
  rep(0L, 9L)
))

# The blocks of bgzip mark themselves with the bytes "BC".
is_bgzip <- function(path) {
  start <- readBin(path, "raw", 14L)
  is_gzip(start) && identical(start[13:14], charToRaw("BC"))
}

read_bytes_at <- function(path, at, n) {
  connection <- file(path, "rb")
  on.exit(close(connection))
  seek(connection, at)
  readBin(connection, "raw", n)
}

count_unzipped <- function(path) {
  connection <- gzfile(path, "rb")
  on.exit(close(connection))
  total <- 0
  repeat {
    n <- length(suppressWarnings(readBin(connection, "raw", 2^22)))
    if (n == 0L) {
      return(total)
    }
    total <- total + n
  }
}

has_several_members <- function(path) {
  bytes <- readBin(path, "raw", file.size(path))
  length(grepRaw(as.raw(c(0x1f, 0x8b, 8L)), bytes, fixed = TRUE, all = TRUE)) > 1L
}

# Which records stay. `problems`: a text for each record, NA for those that can be used; `labels`:
# what the record is called in a message ("Line 3", "chr1:5_A/G"); `records`: what they are, in the
# plural; `source`: where they are from. The rest is dropped with one message that counts and names
# the first, or refused where `strict`, or where nothing would be left.
usable_records <- function(problems, labels, records, source, strict, kind, hint = NULL,
                           call = caller_env()) {
  bad <- which(!is.na(problems))
  if (length(bad) == 0L) {
    return(seq_along(problems))
  }
  first <- paste0(labels[bad[1L]], " ", problems[bad[1L]])
  first <- escape_braces(first)
  n <- length(bad)
  of <- length(problems)
  if (strict || n == of) {
    more <- if (n > 1L) paste0(n, " of ", of, " ", records, " cannot be used.")
    abort_seqlift(kind,
      c(paste0(first, "."), x = more, i = hint,
        i = if (strict && n < of) "{.code strict = FALSE} leaves such out, with a message."
      ),
      call = call
    )
  }
  inform_unusable(n, of, first, records, source)
  setdiff(seq_along(problems), bad)
}

# `first` with its braces escaped.
inform_unusable <- function(n, of, first, records, source) {
  inform_dropped(c(
    paste0(
      "Dropped ", n, " of ", of, " ", records, " of ", escape_braces(source),
      ", which cannot be used."
    ),
    i = paste0(if (n > 1L) "The first: ", first, ".")
  ))
}

# Whole numbers as files write them, also as 1e6; NA for anything else.
parse_whole <- function(text) {
  numbers <- parse_number(text)
  ifelse(!is.na(numbers) & numbers == trunc(numbers), numbers, NA)
}

# as.numeric() takes more than files mean: hexadecimal, "NA", "Inf".
parse_number <- function(text) {
  is_number <- grepl("^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$", text)
  numbers <- rep(NA_real_, length(text))
  numbers[is_number] <- as.numeric(text[is_number])
  numbers
}
