# Where discover_motifs() and call_hits() take their numbers from: results in memory or in a file,
# arrays, and files of numpy and of ChromBPNet.

# A list of n, length, `read(rows)` (numbers [rows, 4, L]) and `codes(rows)` (raw codes [L, rows])
# for rows in rising order, names and ranges of the sequences or NULL, `values`, all numbers where
# they are in memory, `close()`, and what the result says of them: `about`, and `source`, the first
# arguments of the call. `kinds`: of results that are taken.
motif_scores <- function(attributions, X, kinds = "hypothetical", call = caller_env()) {
  is_path <- is.character(attributions) && length(attributions) == 1L
  if (is_path && is_hdf5_file(check_file(attributions, "attributions", call))) {
    check_no_sequences(X, call)
    return(stored_scores(open_h5(attributions, call), list(attributions), kinds, call))
  }
  if (inherits(attributions, "seqlift_attributions") ||
    inherits(attributions, "seqlift_h5_attributions")) {
    check_no_sequences(X, call)
    if (inherits(attributions, "seqlift_h5_attributions")) {
      return(stored_scores(attributions$stored, list(quote(attributions)), kinds, call))
    }
    check_some_sequences(attributions, call = call)
    check_score_kind(attr(attributions, "kind", exact = TRUE), dim(attributions), kinds, call)
    return(list(
      n = dim(attributions)[1L], length = dim(attributions)[3L],
      read = function(rows) as.array(take_sequences(attributions, rows)),
      codes = function(rows) result_codes(take_sequences(attributions, rows)),
      names = sequence_names(attributions), ranges = attr(attributions, "ranges", exact = TRUE),
      values = attributions, close = function() NULL,
      about = method_line(attributions), source = list(quote(attributions))
    ))
  }
  arrays <- if (!is_path) score_rows(attributions, call)
  if (is.null(X)) {
    abort_argument("X", "the sequences of the array", "NULL", call = call)
  }
  scores <- if (is_path) open_npy_rows(attributions, "attributions", call) else arrays
  rlang::try_fetch(
    letters <- letter_rows(X, scores$shape, call),
    error = function(error) {
      scores$close()
      rlang::zap()
    }
  )
  list(
    n = scores$shape[1L], length = scores$shape[3L], read = scores$read, codes = letters$codes,
    names = (if (!is_path) dimnames(attributions)[[1L]]) %||% letters$names,
    ranges = letters$ranges,
    values = if (!is_path) attributions,
    about = if (is_path) basename(attributions) else "an array",
    source = list(if (is_path) attributions else quote(attributions), letters$source),
    close = function() {
      scores$close()
      letters$close()
    }
  )
}

check_no_sequences <- function(X, call) {
  if (!is.null(X)) {
    abort_argument("X", "NULL: results hold their sequences", describe(X), call = call)
  }
}

check_score_kind <- function(kind, shape, kinds, call) {
  if (!kind %in% kinds || length(shape) != 3L) {
    abort_argument("attributions",
      paste(paste(attribution_kinds[kinds], collapse = " or "), "of one target"),
      paste0(attribution_kinds[[kind]], if (length(shape) != 3L) " of several"),
      hint = "Compute them with {.code hypothetical = TRUE}.", kind = "attributions", call = call
    )
  }
}

# Both callers ask for the numbers and the letters of the same rows, one after the other.
stored_scores <- function(stored, source, kinds, call) {
  check_score_kind(stored$kind, stored$shape, kinds, call)
  last <- list()
  part <- function(rows) {
    if (!identical(last$rows, rows)) {
      last <<- list(rows = rows, part = read_h5_rows(stored, rows, call))
    }
    last$part
  }
  list(
    n = stored$shape[1L], length = stored$shape[3L],
    read = function(rows) as.array(part(rows)), codes = function(rows) result_codes(part(rows)),
    names = stored$names, ranges = read_ranges(stored, seq_len(stored$shape[1L])),
    close = function() NULL,
    about = basename(stored$path), source = source
  )
}

score_rows <- function(attributions, call) {
  shape <- dim(attributions)
  if (!is.numeric(attributions) || length(shape) != 3L || shape[2L] != n_bases ||
    any(shape == 0L)) {
    abort_argument("attributions",
      "hypothetical attributions, an array [n, 4, L] or the path of a file",
      describe(attributions),
      kind = "attributions", call = call
    )
  }
  list(shape = shape, read = function(rows) attributions[rows, , , drop = FALSE],
    close = function() NULL)
}

# The letters of an array of this shape.
letter_rows <- function(X, shape, call) {
  is_path <- is.character(X) && length(X) == 1L && grepl("[.]np[yz]$", X)
  refuse <- function(n, length) {
    abort_argument("X", paste(shape[1L], "sequences of", shape[3L], "bp, as `attributions`"),
      paste(n, "of", length, "bp"),
      call = call
    )
  }
  if (!is_path) {
    sequences <- as_sequences(X, call = call)
    codes <- sequence_codes(sequences)
    if (!identical(dim(codes), as.integer(shape[c(3L, 1L)]))) {
      refuse(ncol(codes), nrow(codes))
    }
    return(list(
      codes = function(rows) codes[, rows, drop = FALSE], names = sequences$names,
      ranges = sequences$ranges, close = function() NULL, source = quote(X)
    ))
  }
  letters <- open_npy_rows(X, "X", call)
  if (!identical(letters$shape, as.integer(shape))) {
    letters$close()
    refuse(letters$shape[1L], letters$shape[3L])
  }
  list(
    codes = function(rows) sequence_codes(as_sequences(letters$read(rows), "X", call)),
    close = letters$close, source = X
  )
}
