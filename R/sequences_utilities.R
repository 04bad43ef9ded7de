#' Take reverse complements
#'
#' The other strand of each sequence: the positions in reverse order, A and T as well as C and
#' G exchanged. An N stays an N.
#'
#' @param X Character vector of upper-case sequences of any lengths, a
#'   `Biostrings::DNAStringSet`, or an array `[n, 4, L]` or matrix `[4, L]` with the rows A, C,
#'   G, T. The numbers of an array are moved as they are, so that it may hold probabilities or
#'   attributions as well. Extra channels of an array are reversed and keep their order: a track
#'   for each strand must be exchanged by hand.
#' @return The reverse complements in the form of `X`, with its names.
#' @section Errors: `seqlift_error_sequence` for a letter other than A, C, G, T and N, for
#'   another shape or other rows, or if `X` is none of these.
#' @source As `reverse_complement` of tangermeme 1.4.0 (Schreiber), which takes one sequence at
#'   a time. For a `DNAStringSet`: `Biostrings::reverseComplement()`.
#' @export
#' @examples
#' reverse_complement(c(site = "AGATAAG", unknown = "ACNN"))
#' decode_one_hot(reverse_complement(one_hot_encode("AGATAAG")))
reverse_complement <- function(X) {
  if (is_dna(X)) {
    require_biostrings(X, "X", environment())
    return(Biostrings::reverseComplement(X))
  }
  if (is.character(X) && is.null(dim(X))) {
    return(reverse_complement_text(X))
  }
  if (is.array(X) && (is.numeric(X) || is.logical(X))) {
    return(reverse_complement_array(X))
  }
  abort_argument("X", "a character vector, a DNAStringSet or an array [n, 4, L] or [4, L]",
    describe(X),
    kind = "sequence"
  )
}

reverse_complement_text <- function(X, arg = "X", call = caller_env()) {
  check_no_na(X, arg, call)
  at <- regexpr("[^ACGTN]", X, useBytes = TRUE)
  odd <- which(at > 0L)
  if (length(odd) > 0L) {
    abort_letter(X, odd[1L], at[odd[1L]], c(base_letters, "N"), arg, call)
  }
  complement <- chartr("ACGT", "TGCA", X)
  X[] <- vapply(complement, \(one) rawToChar(rev(charToRaw(one))), character(1L))
  X
}

reverse_complement_array <- function(X, arg = "X", call = caller_env()) {
  shape <- dim(X)
  rank <- length(shape)
  if (!rank %in% c(2L, 3L) || shape[rank - 1L] < n_bases) {
    abort_argument(arg, "of shape [n, 4 (or more), L] or [4 (or more), L]",
      paste("of shape", paste(shape, collapse = " x ")),
      kind = "sequence", call = call
    )
  }
  rows <- dimnames(X)[[rank - 1L]]
  if (!is.null(rows) && !identical(rows[seq_len(n_bases)], base_letters)) {
    abort_argument(arg, "an array with the rows A, C, G, T",
      paste("one with the rows", paste(rows, collapse = ", ")),
      kind = "sequence", call = call
    )
  }
  X <- plain_array(X)
  complement <- c(rev(seq_len(n_bases)), seq_len(shape[rank - 1L])[-seq_len(n_bases)])
  positions <- rev(seq_len(shape[rank]))
  if (rank == 2L) {
    reversed <- X[complement, positions, drop = FALSE]
  } else {
    reversed <- X[, complement, positions, drop = FALSE]
  }
  if (!is.null(rows)) {
    dimnames(reversed)[[rank - 1L]] <- rows
  }
  reversed
}

# An array with dimnames, or without where no dimension has names.
label_array <- function(X, labels) {
  if (any(lengths(labels) > 0L)) {
    dimnames(X) <- labels
  }
  X
}

# An array without its class and other attributes.
plain_array <- function(X) {
  attributes(X) <- attributes(X)[intersect(c("dim", "dimnames"), names(attributes(X)))]
  X
}

#' Count the share of G and C
#'
#' @param X Sequences: character vector, `Biostrings::DNAStringSet` or one-hot array
#'   `[n, 4, L]`.
#' @return Numeric vector of length n, with the names of the sequences: for each sequence the
#'   share, from 0 to 1, of G and C among its known bases. An N counts neither as a base nor
#'   as a position; a sequence of nothing but N has 0.
#' @section Errors: `seqlift_error_sequence` if `X` is not one of the three forms.
#' @source As `gc_content` of tangermeme 1.4.0 (Schreiber).
#' @export
#' @examples
#' gc_content(c(balanced = "ACGTACGT", with_n = "GGNNNNAT", unknown = "NNNNNNNN"))
gc_content <- function(X) {
  sequences <- as_sequences(X, extra_channels = TRUE)
  codes <- sequence_codes(sequences)
  # as.raw(1:2): C and G, as they stand in `base_letters`.
  n_gc <- colSums(codes == as.raw(1L) | codes == as.raw(2L))
  n_known <- colSums(codes != as.raw(n_bases))
  share <- n_gc / pmax(n_known, 1)
  names(share) <- sequences$names
  share
}

#' Take the consensus of position weight matrices
#'
#' Of each column the letter of the largest probability, the first of several equal ones. A
#' column of zeros stays so: it is an N.
#'
#' @param X Matrix `[letters, L]` or array `[n, letters, L]` of probabilities. Divide counts by
#'   their column sums first.
#' @return Double array of the shape of `X`, one-hot, with its dimnames; four rows without names
#'   are named A, C, G, T.
#' @section Errors: `seqlift_error_argument` if `X` is not of this shape or has a number outside
#'   of 0 to 1.
#' @source As `pwm_consensus` of tangermeme 1.4.0 (Schreiber), which takes one matrix.
#' @seealso [decode_one_hot()], whose `force = TRUE` goes to letters at once
#' @export
#' @examples
#' pwm <- cbind(c(0.1, 0.1, 0.7, 0.1), c(0.4, 0.1, 0.1, 0.4), c(0, 0, 0, 0))
#' consensus <- pwm_consensus(pwm)
#' consensus
#' decode_one_hot(consensus)
pwm_consensus <- function(X) {
  check_probability_array(X)
  shape <- dim(X)
  labels <- dimnames(X)
  batch <- if (length(shape) == 2L) c(1L, shape) else shape
  n_letters <- batch[2L]
  X <- array(as.double(X), batch)
  codes <- largest_letters(X)
  is_unknown <- t(rowSums(aperm(X, c(1L, 3L, 2L)), dims = 2L) == 0)
  codes[is_unknown] <- as.raw(n_letters)
  consensus <- array(codes_to_one_hot(codes, n_letters), shape, labels)
  rows <- length(shape) - 1L
  if (n_letters == n_bases && is.null(labels[[rows]])) {
    labels <- if (is.null(labels)) vector("list", length(shape)) else labels
    labels[[rows]] <- base_letters
    dimnames(consensus) <- labels
  }
  consensus
}

check_probability_array <- function(X, arg = "X", call = caller_env()) {
  largest_alphabet <- 255L # codes are bytes, and one is left for no letter
  shape <- dim(X)
  rank <- length(shape)
  fits <- is.numeric(X) && rank %in% c(2L, 3L) && all(shape > 0L) &&
    shape[rank - 1L] <= largest_alphabet
  if (!fits) {
    abort_argument(arg, "a matrix [letters, L] or an array [n, letters, L] of probabilities",
      describe(X),
      call = call
    )
  }
  odd <- which(is.na(X) | X < 0 | X > 1)
  if (length(odd) > 0L) {
    abort_argument(arg, "probabilities from 0 to 1", paste("one with", format(X[odd[1L]])),
      hint = "Divide counts by their column sums.", call = call
    )
  }
}

#' Cut long sequences into chunks of one size
#'
#' Tiles sequences of different lengths, such as chromosomes, with chunks of the length a model
#' takes. What is left at the end of a sequence and does not fill a chunk is left out. Results on
#' the chunks are put together again by [unchunk_sequences()].
#'
#' @param X Character vector or `Biostrings::DNAStringSet` of sequences of any lengths, or a list
#'   of arrays `[channels, L]` with the same number of channels each, or one array
#'   `[n, channels, L]`. The numbers of arrays are moved as they are, so that tracks can be cut
#'   like the sequences they belong to.
#' @param size Length of a chunk in positions. Default 1024.
#' @param overlap Number of positions that a chunk shares with the next, from 0 (default) to
#'   `size - 1`.
#' @return The chunks, all of the first sequence before those of the second: letters as letters,
#'   a `DNAStringSet` as such, arrays as one array `[n_chunks, channels, size]`. Where the
#'   sequences have names, those of the chunks have the form `name:first-last`, in positions
#'   from 1.
#' @section Errors: `seqlift_error_sequence` if `X` is none of these or a sequence is shorter than
#'   a chunk, `seqlift_error_argument` for another size or overlap.
#' @source As `chunk` of tangermeme 1.4.0 (Schreiber).
#' @seealso [unchunk_sequences()]
#' @concept chunk
#' @export
#' @examples
#' chunk_sequences(c(chr1 = "AACCGGTTAC", chr2 = "GATTACA"), size = 4, overlap = 1)
chunk_sequences <- function(X, size = 1024L, overlap = 0L) {
  size <- check_count(size, "size")
  overlap <- check_count(overlap, "overlap", min = 0, max = size - 1L)
  if (is_dna(X)) {
    return(chunk_dna(X, size, overlap))
  }
  if (is.character(X) && is.null(dim(X))) {
    return(chunk_text(X, size, overlap))
  }
  if (is.list(X) || (is.array(X) && length(dim(X)) == 3L)) {
    return(chunk_arrays(X, size, overlap))
  }
  abort_argument("X",
    paste(
      "a character vector, a DNAStringSet, a list of arrays [channels, L] or an array",
      "[n, channels, L]"
    ),
    describe(X),
    kind = "sequence"
  )
}

# Where the chunks are: for each the number of its sequence and its first position; and names.
plan_chunks <- function(lengths, names, size, overlap, call) {
  if (length(lengths) == 0L) {
    abort_empty("X", call)
  }
  short <- which(lengths < size)
  if (length(short) > 0L) {
    labels <- label_sequences(short, names)
    abort_seqlift("sequence",
      c("Too short for a chunk: {cli::qty(length(labels))}sequence{?s} {labels} of {.arg X}.",
        x = "A chunk has {size} position{?s}, but sequence {labels[1L]} has {lengths[short[1L]]}.",
        i = "Choose a smaller {.arg size}, or leave {cli::qty(length(labels))}{?it/them} out."
      ),
      call = call
    )
  }
  counts <- count_chunks(lengths, size, overlap)
  of <- rep(seq_along(lengths), counts)
  first <- (sequence(counts) - 1L) * (size - overlap) + 1L
  labels <- if (!is.null(names)) sprintf("%s:%d-%d", names[of], first, first + size - 1L)
  list(sequence = of, first = first, names = labels)
}

count_chunks <- function(lengths, size, overlap) (lengths - size) %/% (size - overlap) + 1L

chunk_dna <- function(X, size, overlap, call = caller_env()) {
  require_biostrings(X, "X", call)
  X <- Biostrings::DNAStringSet(X)
  plan <- plan_chunks(Biostrings::width(X), names(X), size, overlap, call)
  chunks <- Biostrings::DNAStringSet(X[plan$sequence], start = plan$first, width = size)
  names(chunks) <- plan$names
  chunks
}

chunk_text <- function(X, size, overlap, call = caller_env()) {
  check_no_na(X, "X", call)
  plan <- plan_chunks(nchar(X, "bytes"), names(X), size, overlap, call)
  first <- split(plan$first, factor(plan$sequence, seq_along(X)))
  chunks <- Map(function(one, first) {
    bytes <- charToRaw(one) # substring() would look for the end of the string for each chunk
    vapply(first, \(from) rawToChar(bytes[seq.int(from, length.out = size)]), character(1L))
  }, X, first)
  chunks <- unlist(chunks, use.names = FALSE)
  names(chunks) <- plan$names
  chunks
}

chunk_arrays <- function(X, size, overlap, call = caller_env()) {
  X <- as_track_list(X, call)
  plan <- plan_chunks(vapply(X, ncol, integer(1L)), names(X), size, overlap, call)
  n_channels <- nrow(X[[1L]])
  n_chunks <- length(plan$first)
  first <- split(plan$first, factor(plan$sequence, seq_along(X)))
  chunks <- Map(function(one, first) {
    as.double(one[, sequence(rep(size, length(first)), first)])
  }, X, first)
  chunks <- array(unlist(chunks, use.names = FALSE), c(n_channels, size, n_chunks))
  label_array(aperm(chunks, c(3L, 1L, 2L)), list(plan$names, rownames(X[[1L]]), NULL))
}

# List of numeric matrices with the same number of rows.
as_track_list <- function(X, call) {
  if (is.array(X)) {
    all <- plain_array(X)
    shape <- dim(all)
    rows <- dimnames(all)[[2L]]
    X <- lapply(seq_len(shape[1L]), function(i) {
      label_array(array(all[i, , ], shape[-1L]), list(rows, NULL))
    })
    names(X) <- dimnames(all)[[1L]]
  }
  if (length(X) == 0L) {
    abort_empty("X", call)
  }
  is_track <- vapply(X, function(one) {
    is.matrix(one) && (is.numeric(one) || is.logical(one)) && nrow(one) > 0L &&
      nrow(one) == NROW(X[[1L]])
  }, logical(1L))
  if (!all(is_track)) {
    first <- which(!is_track)[1L]
    abort_argument(paste0("X[[", first, "]]"),
      "a numeric array [channels, L] with as many channels as all others", describe(X[[first]]),
      kind = "sequence", call = call
    )
  }
  X
}

#' Put chunks together again
#'
#' Merges what a model gave for the chunks of [chunk_sequences()], position by position, into one
#' array for each sequence. Of the positions that two neighbouring chunks share, the first half
#' comes from the left chunk and the second half from the right (of an odd number the right chunk
#' gives one more), so that every position is read as far from a chunk's end as it can be.
#' Positions that chunk_sequences() left out at a sequence's end are missing here, too.
#'
#' @param X Numeric array `[n_chunks, ..., size]`: any number of dimensions between the chunks and
#'   the positions, at least one.
#' @param lengths Whole numbers: the lengths of the sequences before they were cut.
#' @param overlap Number of positions that neighbouring chunks share, as given to
#'   chunk_sequences(). Default 0.
#' @return List of one array `[..., length]` for each sequence, with the names of `lengths`. Its
#'   last dimension is that of the covered part of the sequence.
#' @section Errors: `seqlift_error_argument` if `X` is not such an array, or if sequences of these
#'   lengths do not give as many chunks.
#' @source As `unchunk` of tangermeme 1.4.0 (Schreiber), except for a sequence of one chunk: it is
#'   returned whole, where tangermeme cuts off half of the overlap at both ends.
#' @seealso [chunk_sequences()]
#' @concept unchunk
#' @export
#' @examples
#' X <- list(chr1 = one_hot_encode("AACCGGTTAC")[1, , ], chr2 = one_hot_encode("GATTACA")[1, , ])
#' chunks <- chunk_sequences(X, size = 4, overlap = 1)
#' merged <- unchunk_sequences(chunks, lengths = c(chr1 = 10, chr2 = 7), overlap = 1)
#' decode_one_hot(merged$chr1)
unchunk_sequences <- function(X, lengths, overlap = 0L) {
  if (!is.array(X) || length(dim(X)) < 3L || !(is.numeric(X) || is.logical(X))) {
    abort_argument("X", "a numeric array [n_chunks, ..., size]", describe(X))
  }
  shape <- dim(X)
  rank <- length(shape)
  if (any(shape == 0L)) {
    abort_argument("X", "an array with at least one number", describe(X))
  }
  size <- shape[rank]
  overlap <- check_count(overlap, "overlap", min = 0, max = size - 1L)
  counts <- check_chunk_counts(lengths, shape[1L], size, overlap)
  place <- sequence(counts)
  of_left <- overlap - overlap %/% 2L # positions that a chunk leaves to the one on its right
  from <- ifelse(place == 1L, 1L, overlap %/% 2L + 1L)
  to <- ifelse(place == rep(counts, counts), size, size - of_left)
  # Columns of [..., size * n_chunks].
  inner <- shape[-c(1L, rank)]
  columns <- matrix(aperm(plain_array(X), c(seq_len(rank)[-1L], 1L)), prod(inner))
  labels <- dimnames(X)[-c(1L, rank)]
  last <- cumsum(counts)
  merged <- Map(function(first, last) {
    chunks <- seq.int(first, last)
    n_kept <- to[chunks] - from[chunks] + 1L
    kept <- rep((chunks - 1) * size + from[chunks] - 1, n_kept) + sequence(n_kept)
    label_array(array(columns[, kept], c(inner, length(kept))), c(labels, list(NULL)))
  }, last - counts + 1L, last)
  names(merged) <- names(lengths)
  merged
}

# Number of chunks of each sequence.
check_chunk_counts <- function(lengths, n_chunks, size, overlap, call = caller_env()) {
  whole <- is.numeric(lengths) && length(lengths) > 0L && all(is.finite(lengths)) &&
    all(lengths == trunc(lengths)) && all(lengths >= size)
  if (!whole) {
    abort_argument("lengths", paste("whole numbers of at least the chunks' size,", size),
      if (is.numeric(lengths)) paste0("c(", paste(lengths, collapse = ", "), ")") else
        describe(lengths),
      call = call
    )
  }
  counts <- count_chunks(unname(lengths), size, overlap)
  if (sum(counts) != n_chunks) {
    abort_seqlift("argument",
      c("{.arg X} must hold the chunks of all sequences.",
        x = "Sequences of these {.arg lengths} give {sum(counts)} chunk{?s} of {size} position{?s}
             that share {overlap}; {.arg X} holds {n_chunks}."
      ),
      call = call
    )
  }
  counts
}
