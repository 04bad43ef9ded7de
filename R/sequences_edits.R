#' Substitute a motif into sequences
#'
#' The motif replaces what stands at its place, so the length stays. Letters of the motif that
#' are in `ignore`, and columns of zeros in a motif given as an array, leave the sequence as
#' it is there: `"ACNNGT"` sets two pairs around two bases that stay.
#'
#' @param X Sequences: character vector, `Biostrings::DNAStringSet` or one-hot array
#'   `[n, 4, L]`. Extra channels of an array stay as they are.
#' @param motif The motif: one for all sequences or one for each, in any of these three forms; or an
#'   object of universalmotif or TFBSTools (see [as_motif_matrices()]), whose consensus is taken.
#' @param start Position of the motif's first letter, counted from 1. `NULL` (default) centres
#'   it: after `L %/% 2 - m %/% 2` positions for a motif of length m.
#' @param ignore Character vector of single letters of a motif that leave the sequence as it
#'   is. Default `"N"`. Of no effect for a motif given as an array.
#' @return Double array `[n, 4, L]` with the names of the sequences.
#' @section Errors: `seqlift_error_sequence` if `X` or the motif is not one of the three forms
#'   or has a letter of no meaning, `seqlift_error_argument` for a motif that does not fit at
#'   `start` or in the sequence, or another wrong argument.
#' @source `substitute` of tangermeme 1.4.0 (Schreiber).
#' @seealso [substitute_motifs()], [insert_motif()], [randomize_region()]
#' @concept substitute
#' @export
#' @examples
#' X <- c(first = "AAAAAAAAAAAA", second = "CCCCCCCCCCCC")
#' decode_one_hot(substitute_motif(X, "GATA"))
#' decode_one_hot(substitute_motif(X, "GNNG", start = 2))
substitute_motif <- function(X, motif, start = NULL, ignore = "N") {
  sequences <- as_sequences(X, extra_channels = TRUE)
  motif <- motif_codes(motif, "motif", sequences$n, ignore = ignore)
  start <- check_motif_start(start, nrow(motif), sequences$length)
  codes <- core_substitute_motif(sequence_codes(sequences), motif, start)
  finish_one_hot(codes, sequences)
}

#' Substitute several motifs at given distances
#'
#' @inheritParams substitute_motif
#' @param motifs List of motifs (or a character vector of them), from left to right, each one
#'   for all sequences or one for each. N and columns of zeros leave the sequence as it is.
#' @param spacing Number of positions between the end of each motif and the start of the next:
#'   one for all gaps, or one for each gap (motifs - 1).
#' @param start Position of the first motif's first letter, counted from 1. `NULL` (default)
#'   centres the whole arrangement, as [substitute_motif()] centres a motif.
#' @return Double array `[n, 4, L]` with the names of the sequences.
#' @inheritSection substitute_motif Errors
#' @source `multisubstitute` of tangermeme 1.4.0 (Schreiber).
#' @seealso [substitute_motif()]
#' @concept multisubstitute
#' @export
#' @examples
#' decode_one_hot(substitute_motifs("AAAAAAAAAAAAAAAA", c("GATA", "CC"), spacing = 3))
substitute_motifs <- function(X, motifs, spacing, start = NULL) {
  sequences <- as_sequences(X, extra_channels = TRUE)
  if (is_motif_object(motifs)) {
    motifs <- motif_object_list(motifs)
  }
  if (!(is.list(motifs) || is.character(motifs)) || length(motifs) == 0L) {
    abort_argument("motifs", "a list of motifs or a character vector", describe(motifs))
  }
  call <- environment()
  motifs <- Map(
    function(motif, i) motif_codes(motif, paste0("motifs[[", i, "]]"), sequences$n, call = call),
    motifs, seq_along(motifs)
  )
  lengths <- vapply(motifs, nrow, integer(1))
  spacing <- check_spacing(spacing, length(motifs) - 1L, sequences$length)
  # As doubles: the sum of many spacings may be beyond the integers.
  start <- check_motif_start(start, sum(as.numeric(c(lengths, spacing))), sequences$length)
  starts <- start + cumsum(c(0, lengths[-length(lengths)] + spacing))
  codes <- sequence_codes(sequences)
  for (i in seq_along(motifs)) {
    codes <- core_substitute_motif(codes, motifs[[i]], as.integer(starts[i]))
  }
  finish_one_hot(codes, sequences)
}

#' Insert a motif into sequences
#'
#' All of the sequence stays, in two parts with the motif between them, so the result is longer
#' by the motif's length.
#'
#' @param X Sequences: character vector, `Biostrings::DNAStringSet` or one-hot array
#'   `[n, 4, L]`. Extra channels are refused: an inserted position has no value for them.
#' @param motif The motif, without N: one for all sequences or one for each.
#' @param start Position before which the motif is put, counted from 1: `1` puts it first and
#'   `L + 1` last. `NULL` (default) puts it after the first `L %/% 2` positions.
#' @return Double array `[n, 4, L + m]` with the names of the sequences.
#' @inheritSection substitute_motif Errors
#' @source `insert` of tangermeme 1.4.0 (Schreiber), which refuses positions beyond L - m + 1.
#' @seealso [delete_region()], [substitute_motif()]
#' @concept insert
#' @export
#' @examples
#' decode_one_hot(insert_motif("AAAACCCC", "GATA"))
insert_motif <- function(X, motif, start = NULL) {
  sequences <- as_sequences(X)
  motif <- motif_codes(motif, "motif", sequences$n, allow_n = FALSE)
  start <- if (is.null(start)) sequences$length %/% 2L + 1L else start
  start <- check_count(start, "start", max = sequences$length + 1L)
  codes <- core_insert_motif(sequence_codes(sequences), motif, start)
  finish_one_hot(codes, sequences)
}

#' Delete a region from sequences
#'
#' @param X Sequences: character vector, `Biostrings::DNAStringSet` or one-hot array
#'   `[n, 4, L]`. Extra channels of an array lose the region too.
#' @param start,end First and last position to delete, counted from 1, inclusive.
#' @return Double array `[n, 4, L - (end - start + 1)]` with the names of the sequences.
#' @section Errors: `seqlift_error_sequence` if `X` is not one of the three forms,
#'   `seqlift_error_argument` for a region outside the sequence.
#' @source `delete` of tangermeme 1.4.0 (Schreiber).
#' @seealso [insert_motif()]
#' @concept delete
#' @export
#' @examples
#' decode_one_hot(delete_region("AAAAGATACCCC", start = 5, end = 8))
delete_region <- function(X, start, end) {
  sequences <- as_sequences(X, extra_channels = TRUE)
  region <- check_region(start, end, sequences$length)
  codes <- core_delete_region(sequence_codes(sequences), region[1L], region[2L])
  if (sequences$channels > n_bases) {
    sequences$array <- sequences$array[, , -seq(region[1L], region[2L]), drop = FALSE]
  }
  finish_one_hot(codes, sequences)
}

#' Draw a region of sequences anew
#'
#' Replaces the region with random bases, for each sequence and each of the `n` repetitions
#' apart. To keep the composition of the region see [shuffle_region()] and
#' [dinucleotide_shuffle()].
#'
#' @inheritParams shuffle_region
#' @param X Sequences: character vector, `Biostrings::DNAStringSet` or one-hot array
#'   `[n_seq, 4, L]`. Extra channels of an array stay as they are.
#' @param start,end First and last position of the region, counted from 1, inclusive.
#' @param probs Probabilities of A, C, G and T: `NULL` for equal ones (default), a vector of
#'   four, or a matrix with four columns and one row for all sequences or one for each. Each row
#'   sums to 1.
#' @param n Number of repetitions. Default 1.
#' @return Double array `[n_seq, n, 4, L]` with the names of the sequences.
#' @inheritSection shuffle_region Errors
#' @source The draws of `randomize` of tangermeme 1.4.0 (Schreiber), bit for bit.
#' @concept randomize
#' @export
#' @examples
#' X <- c(first = "AAAAAAAAAAAA", second = "CCCCCCCCCCCC")
#' decode_one_hot(randomize_region(X, start = 4, end = 9, random_state = 0)[, 1, , ])
randomize_region <- function(X, start, end, probs = NULL, n = 1L, random_state = NULL) {
  sequences <- as_sequences(X, extra_channels = TRUE)
  region <- check_region(start, end, sequences$length)
  probs <- check_probabilities(probs, "probs", n_letters = n_bases, n = sequences$n)
  n <- check_copies(n, sequences)
  if (is.null(probs)) {
    # Not NULL as in random_one_hot(), which would read the stream in another way.
    probs <- matrix(1 / n_bases, 1L, n_bases)
  }
  generator <- as_generator(random_state)
  codes <- sequence_codes(sequences)
  drawn <- core_randomize_region(codes, region[1L], region[2L], n, probs, generator$state)
  generator$state <- drawn$state
  finish_one_hot(drawn$codes, sequences)
}

# Raw matrix [m, 1 or n] of the codes of a motif.
motif_codes <- function(motif, arg, n, ignore = "N", allow_n = TRUE, call = caller_env()) {
  if (is_motif_object(motif)) {
    motif <- consensus_of_matrix(motif, arg, call)
  }
  if (is_biostrings(motif)) {
    motif <- letters_of_biostrings(motif, arg, call)
  }
  if (is.character(motif) && is.null(dim(motif)) && !identical(ignore, "N")) {
    codes <- encode_motif(motif, arg, ignore, call)
  } else {
    sequences <- as_sequences(motif, arg, call, allow_n = allow_n)
    codes <- sequence_codes(sequences, arg, call)
  }
  if (!ncol(codes) %in% c(1L, n)) {
    abort_argument(arg, paste("one motif, or one for each of the", n, "sequences"),
      paste(ncol(codes), "motifs"),
      call = call
    )
  }
  codes
}

# A motif's letters where others than N are to be ignored: those, in either case, are not bases.
encode_motif <- function(motif, arg, ignore, call) {
  ignore <- check_letters(ignore, "ignore", min = 0L, call = call)
  both <- intersect(toupper(ignore), base_letters)
  if (length(both) > 0L) {
    abort_argument("ignore", "letters other than the bases", describe(both[1L]), call = call)
  }
  codes <- encode_text(motif, arg, call, base_letters, ignore, fold_case = TRUE)
  if (nrow(codes) == 0L) {
    abort_empty(arg, call)
  }
  codes
}

check_spacing <- function(spacing, n_gaps, length, call = caller_env()) {
  whole <- is.numeric(spacing) && is.null(dim(spacing)) && all(is.finite(spacing)) &&
    all(spacing == trunc(spacing)) && all(spacing >= 0) && all(spacing < length)
  if (!whole || !length(spacing) %in% c(1L, n_gaps)) {
    got <- if (is.numeric(spacing)) paste0("c(", paste(spacing, collapse = ", "), ")") else
      describe(spacing)
    abort_argument("spacing",
      paste0("whole numbers from 0 to ", length - 1L, ", one for all gaps or one for each (",
        n_gaps, ")"),
      got,
      call = call
    )
  }
  rep_len(as.numeric(spacing), n_gaps)
}
