# Sequences come as a character vector, a DNAStringSet or a one-hot array. `as_sequences()`
# brings them into one form, a list of
#   codes     raw matrix [L, n], 0 to 3 for A, C, G, T and 4 for N; NULL for an array
#   array     double array [n, channels, L]; NULL for letters
#   n, length, channels, names
#   ranges    GRanges with the place of each sequence in the genome; absent where it is not known
#   one_hot   FALSE for an array that is not one-hot and was let through with a warning
# Letters stay one byte a base; `one_hot_array()` makes the array when one is needed.

base_letters <- c("A", "C", "G", "T")
n_bases <- length(base_letters)

# Sums over the second dimension, [n, 4, L, ...] to [n, L, ...], without a call for each position.
sum_over_bases <- function(x) {
  colSums(aperm(x, c(2L, 1L, seq_along(dim(x))[-(1:2)])))
}

as_sequences <- function(X, arg = "X", call = caller_env(), extra_channels = FALSE,
                         allow_n = TRUE, only_warn = FALSE) {
  ranges <- NULL
  X <- from_torch(X)
  if (is_biostrings(X)) {
    ranges <- ranges_of_biostrings(X, arg, call)
    X <- letters_of_biostrings(X, arg, call)
  }
  if (is.character(X) && is.null(dim(X))) {
    sequences <- sequences_from_text(X, arg, call, allow_n)
    sequences$ranges <- ranges
    sequences$names <- whole_names(sequences$names)
    return(sequences)
  }
  if (is.array(X) && (is.numeric(X) || is.logical(X))) {
    sequences <- sequences_from_array(X, arg, call, extra_channels, allow_n, only_warn)
    sequences$names <- whole_names(sequences$names)
    return(sequences)
  }
  abort_argument(arg, "a character vector, a DNAStringSet or a one-hot array [n, 4, L]",
    describe(X),
    kind = "sequence", call = call
  )
}

# Double array [n, channels, L] of what `as_sequences()` returned.
one_hot_array <- function(sequences) {
  array <- sequences$array
  if (is.null(array)) {
    array <- codes_to_one_hot(sequences$codes)
  }
  name_channels(array, sequences$names)
}

# Raw array [L, ...] of codes to double array [..., channels, L]; codes of `channels` and
# above give a column of zeros.
codes_to_one_hot <- function(codes, channels = n_bases) {
  core_codes_to_one_hot(codes, as.integer(channels))
}

# Raw matrix [L, n] of what `as_sequences()` returned; extra channels do not enter it.
sequence_codes <- function(sequences, arg = "X", call = caller_env()) {
  if (!is.null(sequences$codes)) {
    return(sequences$codes)
  }
  if (!sequences$one_hot) {
    abort_seqlift("sequence",
      c("{.arg {arg}} is not one-hot, so it cannot be shuffled.",
        i = "Give {.arg references} as an array instead."
      ),
      call = call
    )
  }
  core_codes_from_one_hot(sequences$array, n_bases)
}

# One-hot array [n, ..., 4, L] of new bases for `sequences`: the names are kept and the extra
# channels of an array follow the bases, as they are in every copy.
finish_one_hot <- function(codes, sequences) {
  bases <- codes_to_one_hot(codes)
  if (sequences$channels == n_bases) {
    return(name_channels(bases, sequences$names))
  }
  shape <- dim(bases)
  channel_axis <- length(shape) - 1L
  shape[channel_axis] <- sequences$channels
  extra <- seq(n_bases + 1L, sequences$channels)
  held <- sequences$array[, extra, , drop = FALSE]
  all <- array(0, shape)
  if (channel_axis == 2L) {
    all[, seq_len(n_bases), ] <- bases
    all[, extra, ] <- held
  } else {
    all[, , seq_len(n_bases), ] <- bases
    for (j in seq_len(shape[2L])) {
      all[, j, extra, ] <- held
    }
  }
  name_channels(all, sequences$names)
}

# Names of the sequences on the first axis, of the bases on the last but one.
name_channels <- function(one_hot, names, alphabet = base_letters) {
  rank <- length(dim(one_hot))
  labels <- vector("list", rank)
  labels[1L] <- list(names)
  n_extra <- dim(one_hot)[rank - 1L] - length(alphabet)
  labels[[rank - 1L]] <- c(alphabet, if (n_extra > 0L) paste0("extra", seq_len(n_extra)))
  if (!identical(dimnames(one_hot), labels)) {
    dimnames(one_hot) <- labels
  }
  one_hot
}

#' Encode sequences as one-hot arrays
#'
#' Each letter becomes a column with a one in the row of that letter. Letters in `ignore`
#' become a column of zeros. The alphabet is taken as it is written: lower-case letters are
#' refused here and by [reverse_complement()] (use [toupper()] on soft-masked sequence), whereas
#' every other function that takes sequences as letters reads them in either case.
#'
#' @param x Character vector of sequences of one length, or a `Biostrings::DNAStringSet`.
#' @param alphabet Character vector of single letters, the rows of the encoding in this order.
#'   Default: the four bases.
#' @param ignore Character vector of single letters that become a column of zeros. Default
#'   `"N"`.
#' @return Double array `[n, length(alphabet), L]` of zeros and ones. The names of `x` are the
#'   names of its first dimension, the alphabet those of its second.
#' @section Errors: `seqlift_error_sequence` for sequences of different lengths or a letter
#'   that is neither in the alphabet nor ignored, `seqlift_error_argument` for an alphabet
#'   with a letter twice or ignored as well.
#' @source The same encoding as `one_hot_encode` of tangermeme 1.4.0 (Schreiber), with a
#'   first dimension for the sequences.
#' @seealso [decode_one_hot()]
#' @export
#' @examples
#' X <- one_hot_encode(c(first = "ACGTN", second = "TTACA"))
#' dim(X)
#' X["first", , ]
one_hot_encode <- function(x, alphabet = c("A", "C", "G", "T"), ignore = "N") {
  alphabet <- check_letters(alphabet, "alphabet", min = 1L)
  ignore <- check_letters(ignore, "ignore", min = 0L)
  both <- intersect(alphabet, ignore)
  if (length(both) > 0L) {
    abort_argument("ignore", "letters outside the alphabet", describe(both[1L]))
  }
  if (is_biostrings(x)) {
    x <- letters_of_biostrings(x, "x", environment())
  }
  if (!is.character(x) || !is.null(dim(x))) {
    abort_argument("x", "a character vector or a DNAStringSet", describe(x), kind = "sequence")
  }
  codes <- encode_text(x, "x", environment(), alphabet, ignore, fold_case = FALSE)
  name_channels(codes_to_one_hot(codes, length(alphabet)), names(x), alphabet)
}

#' Decode one-hot arrays to letters
#'
#' The inverse of [one_hot_encode()]. Columns of zeros become `"N"`.
#'
#' @param X One-hot array `[n, 4, L]` or matrix `[4, L]`, or one over another alphabet whose
#'   letters are the names of its rows (the last dimension but one). Channels beyond the four
#'   bases are left out. Character vectors and `Biostrings::DNAStringSet`s come back as
#'   upper-case letters.
#' @param force `TRUE` takes the letter of the largest number of every column, the first of
#'   several equal ones: X need not be one-hot then (probabilities, for example), and an N, all
#'   of whose numbers are equal, becomes the first letter of the alphabet. Default `FALSE`.
#' @return Character vector of length n (1 for a matrix), each of L letters, with the names of
#'   the first dimension of `X`.
#' @section Errors: `seqlift_error_sequence` if `X` is not one-hot, or with `force` not finite;
#'   `seqlift_error_argument` if `force` is not TRUE or FALSE.
#' @source As `characters(allow_N = True)` of tangermeme 1.4.0 (Schreiber), with `force` as its
#'   `characters(force = True)`.
#' @seealso [one_hot_encode()], [pwm_consensus()]
#' @concept characters
#' @concept one_hot_to_fasta
#' @export
#' @examples
#' decode_one_hot(one_hot_encode(c(first = "ACGTN", second = "TTACA")))
#' pwm <- cbind(c(0.7, 0.1, 0.1, 0.1), c(0.1, 0.4, 0.4, 0.1))
#' decode_one_hot(pwm, force = TRUE)
decode_one_hot <- function(X, force = FALSE) {
  force <- check_flag(force, "force")
  if (is.matrix(X) && (nrow(X) >= n_bases || !is.null(rownames(X)))) {
    X <- array(X, c(1L, dim(X)), list(NULL, rownames(X), NULL))
  }
  alphabet <- alphabet_of(X)
  is_numbers <- is.array(X) && (is.numeric(X) || is.logical(X))
  if (is_numbers && (force || !identical(alphabet, base_letters))) {
    codes <- codes_of_array(X, length(alphabet), force)
    names <- dimnames(X)[[1L]]
  } else {
    sequences <- as_sequences(X, extra_channels = TRUE)
    codes <- sequence_codes(sequences)
    names <- sequences$names
    if (force) {
      codes[codes == as.raw(n_bases)] <- as.raw(0L)
    }
  }
  text <- core_decode(codes, paste(alphabet, collapse = ""))
  names(text) <- names
  text
}

# Raw matrix [L, n] of the codes of an array over any alphabet.
codes_of_array <- function(X, n_letters, force, arg = "X", call = caller_env()) {
  storage.mode(X) <- "double"
  if (!force) {
    check_one_hot(X, arg, call, n_checked = n_letters)
    return(core_codes_from_one_hot(X, n_letters))
  }
  check_channels(X, arg, call, n_checked = n_letters, extra_channels = n_letters == n_bases)
  check_finite(core_check_one_hot(X, n_letters, TRUE), arg, call)
  largest_letters(X[, seq_len(n_letters), , drop = FALSE])
}

# Raw matrix [L, n] of the code of the largest number of each column of X [n, letters, L], the
# first of several.
largest_letters <- function(X) {
  shape <- dim(X)
  columns <- matrix(aperm(X, c(3L, 1L, 2L)), ncol = shape[2L])
  matrix(as.raw(max.col(columns, ties.method = "first") - 1L), shape[3L], shape[1L])
}

# The letters a one-hot array names as its rows; the four bases if it names none.
alphabet_of <- function(X) {
  rows <- if (length(dim(X)) == 3L) dimnames(X)[[2L]]
  own <- !is.null(rows) && all(nchar(rows, "bytes") == 1L) && !anyDuplicated(rows)
  if (own) rows else base_letters
}

sequences_from_text <- function(X, arg, call, allow_n) {
  codes <- encode_text(X, arg, call, base_letters, if (allow_n) "N", fold_case = TRUE)
  if (nrow(codes) == 0L) {
    abort_empty(arg, call)
  }
  list(
    codes = codes, array = NULL, n = ncol(codes), length = nrow(codes), channels = n_bases,
    names = names(X), one_hot = TRUE
  )
}

# Raw matrix [L, n] of codes.
encode_text <- function(text, arg, call, alphabet, ignore, fold_case) {
  if (length(text) == 0L) {
    abort_empty(arg, call)
  }
  check_no_na(text, arg, call)
  lengths <- nchar(text, "bytes")
  odd <- which(lengths != lengths[1L])
  if (length(odd) > 0L) {
    abort_seqlift("sequence",
      c("All sequences of {.arg {arg}} must have one length.",
        x = "Sequence 1 has {lengths[1L]} letter{?s}, sequence {odd[1L]} has {lengths[odd[1L]]}."
      ),
      call = call
    )
  }
  encoded <- core_encode(
    unname(text), lengths[1L], paste(alphabet, collapse = ""), paste(ignore, collapse = ""),
    fold_case
  )
  if (is.null(encoded$codes)) {
    abort_letter(text, encoded$sequence, encoded$position, c(alphabet, ignore), arg, call)
  }
  encoded$codes
}

check_no_na <- function(text, arg, call) {
  if (anyNA(text)) {
    first <- which(is.na(text))[1L]
    abort_seqlift("sequence", "Sequence {first} of {.arg {arg}} is NA.", call = call)
  }
}

abort_letter <- function(text, i, at, known, arg, call) {
  # Bytes, because a letter outside ASCII may be several of them.
  letter <- rawToChar(charToRaw(text[i])[at])
  letter <- if (validUTF8(letter)) letter else "a letter outside ASCII"
  abort_seqlift("sequence",
    c("Sequence {i} of {.arg {arg}} has {.val {letter}} at position {at}.",
      i = "Its letters must be among {.val {known}}.",
      i = if (toupper(letter) %in% known) "Lower-case letters: use {.fn toupper} first.",
      i = if (letter %in% c("U", "u")) {
        "RNA: {.code chartr(\"Uu\", \"Tt\", {arg})} writes it as DNA."
      }
    ),
    call = call
  )
}

sequences_from_array <- function(X, arg, call, extra_channels, allow_n, only_warn) {
  one_hot <- check_one_hot(X, arg, call,
    n_checked = n_bases, extra_channels = extra_channels, allow_n = allow_n,
    only_warn = only_warn
  )
  names <- dimnames(X)[[1L]]
  keep <- c("dim", "dimnames")
  if (!is.double(X) || length(setdiff(names(attributes(X)), keep)) > 0L) {
    X <- array(as.double(X), dim(X))
  }
  shape <- dim(X)
  list(
    codes = NULL, array = X, n = shape[1L], length = shape[3L], channels = shape[2L],
    names = names, one_hot = one_hot
  )
}

# Whether the first `n_checked` channels are one-hot; FALSE comes back only with `only_warn`.
check_one_hot <- function(X, arg, call, n_checked, extra_channels = FALSE, allow_n = TRUE,
                          only_warn = FALSE) {
  check_channels(X, arg, call, n_checked, extra_channels)
  storage.mode(X) <- "double"
  report <- core_check_one_hot(X, n_checked, allow_n)
  check_finite(report, arg, call)
  problem <- describe_not_one_hot(report)
  if (is.null(problem)) {
    return(TRUE)
  }
  message <- c("{.arg {arg}} must be one-hot, but {problem}.",
    i = if (allow_n) "Every column holds a single 1, or zeros for an N." else
      "Every column holds a single 1; an N (a column of zeros) is not allowed here."
  )
  if (!only_warn) {
    abort_seqlift("sequence", message, call = call)
  }
  warn_seqlift("one_hot", message, call = call)
  FALSE
}

check_channels <- function(X, arg, call, n_checked, extra_channels) {
  shape <- dim(X)
  fits <- length(shape) == 3L &&
    (shape[2L] == n_checked || (extra_channels && shape[2L] > n_checked))
  if (!fits) {
    channels <- paste(c(n_checked, if (extra_channels) "(or more)"), collapse = " ")
    abort_argument(arg, paste0("a one-hot array of shape [n, ", channels, ", L]"),
      paste("of shape", paste(shape, collapse = " x ")),
      kind = "sequence", call = call
    )
  }
  if (any(shape == 0L)) {
    abort_empty(arg, call)
  }
}

# `report` is that of `core_check_one_hot()`.
check_finite <- function(report, arg, call) {
  if (!is.null(report$not_finite)) {
    abort_seqlift("sequence", paste(
      "{.arg {arg}} must be finite, but sequence {report$not_finite$sequence} has",
      "{report$not_finite$value} at position {report$not_finite$position}."
    ), call = call)
  }
}

describe_not_one_hot <- function(report) {
  if (!is.null(report$not_binary)) {
    found <- report$not_binary
    what <- paste("the value", format(found$value))
  } else if (!is.null(report$wrong_sum)) {
    found <- report$wrong_sum
    what <- paste(format(found$value), "bases")
  } else {
    return(NULL)
  }
  paste("sequence", found$sequence, "has", what, "at position", found$position)
}

abort_empty <- function(arg, call) {
  abort_seqlift("sequence",
    "{.arg {arg}} must hold at least one sequence of at least one letter.",
    call = call
  )
}

check_letters <- function(x, arg, min, call = caller_env()) {
  if (is.null(x) && min == 0L) {
    return(character())
  }
  single <- is.character(x) && !anyNA(x) && all(nchar(x, "bytes") == 1L)
  if (!single || length(x) < min || anyDuplicated(x)) {
    abort_argument(arg, "a character vector of different single letters", describe(x),
      call = call
    )
  }
  x
}

is_biostrings <- function(X) {
  isS4(X) && (methods::is(X, "XStringSet") || methods::is(X, "XString"))
}

is_dna <- function(X) isS4(X) && (methods::is(X, "DNAStringSet") || methods::is(X, "DNAString"))

# Biostrings' own as.character(): its methods must be loaded, as they may not be for an object
# that was read from a file.
letters_of_biostrings <- function(X, arg, call) {
  require_biostrings(X, arg, call)
  as.character(X)
}

require_biostrings <- function(X, arg, call) {
  if (!requireNamespace("Biostrings", quietly = TRUE)) {
    abort_argument(arg, "letters or an array where Biostrings is not installed", describe(X),
      hint = "Install Biostrings (Debian: r-bioc-biostrings).", kind = "sequence", call = call
    )
  }
}
