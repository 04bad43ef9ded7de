#' Shuffle a region, base by base
#'
#' Moves the positions of a region at random, which keeps the number of each base but not
#' that of neighbouring pairs (for that see [dinucleotide_shuffle()]). The j-th shuffle moves
#' the positions of every sequence in the same way. An N moves like a base; extra channels of
#' an array stay where they are.
#'
#' @param X Sequences: character vector, `Biostrings::DNAStringSet` or one-hot array
#'   `[n_seq, 4, L]`.
#' @param start,end First and last position of the region, counted from 1, inclusive. Default:
#'   the whole sequence (`end = NULL` is L).
#' @param n Number of shuffles of each sequence. Default 1.
#' @inheritParams random_one_hot
#' @return Double array `[n_seq, n, 4, L]` with the names of the sequences.
#' @section Errors: `seqlift_error_sequence` if `X` is not one of the three,
#'   `seqlift_error_argument` for a region outside the sequence or another wrong argument.
#' @section Warnings: `seqlift_warning_shuffle` names the sequences that no shuffle of this
#'   region can change.
#' @source The shuffles of `shuffle` of tangermeme 1.4.0 (Schreiber), bit for bit.
#' @concept shuffle
#' @export
#' @examples
#' X <- c(first = "AACCGGTTAACC", second = "ACGTACGTACGT")
#' shuffled <- shuffle_region(X, start = 3, end = 10, n = 2, random_state = 0)
#' decode_one_hot(shuffled[, 1, , ])
shuffle_region <- function(X, start = 1L, end = NULL, n = 1L, random_state = NULL) {
  sequences <- as_sequences(X, extra_channels = TRUE)
  region <- check_region(start, end, sequences$length)
  n <- check_copies(n, sequences)
  generator <- as_generator(random_state)
  codes <- sequence_codes(sequences)
  shuffled <- core_shuffle_region(codes, region[1L], region[2L], n, generator$state)
  generator$state <- shuffled$state
  warn_unchangeable(shuffled$can_change, sequences$names)
  finish_one_hot(shuffled$codes, sequences)
}

#' Shuffle sequences and keep their dinucleotides
#'
#' Draws sequences with the same number of every pair of neighbouring bases (and so of every
#' base), the same first and the same last base: the usual reference of [deep_lift_shap()].
#'
#' The pairs of a sequence form a walk over the four bases. For each base the order in which the
#' walk leaves it is permuted, except for the last exit, which stays the original's; every
#' sequence with the same pairs and the same last exits is then equally likely. Sequences with
#' the same pairs and other last exits are not drawn.
#'
#' An N (in an array: a column of zeros) is a fixed break. It stays in place, and the stretches
#' between such breaks are shuffled apart, each keeping its own pairs and its own first and last
#' base. Sequences without N are shuffled exactly as by tangermeme. Extra channels of an array
#' stay where they are.
#'
#' Sequence i (from 1) has a generator of its own, with the seed `random_state + i - 1`: a
#' sequence's shuffles depend on its place in `X` and on nothing else in `X`.
#'
#' @inheritParams shuffle_region
#' @param n Number of shuffles of each sequence. Default 20.
#' @param random_state Whole number from 0 to 4294967295: the shuffles are those of tangermeme
#'   with this `random_state`. `NULL` (default) takes a seed from R's own generator, so that
#'   [set.seed()] governs the result.
#' @return Double array `[n_seq, n, 4, L]` with the names of the sequences.
#' @section Errors: `seqlift_error_shuffle` if `n` is above 1 and no shuffle of this region can
#'   change a sequence, such as a run of one base: its shuffles would be n copies of it. The
#'   field `sequences` of the condition holds the numbers of these sequences.
#'   `seqlift_error_sequence` if `X` is not one of the three, `seqlift_error_argument` for a
#'   region outside the sequence or another wrong argument.
#' @section Warnings: `seqlift_warning_shuffle` names, for `n = 1`, the sequences that no shuffle
#'   of this region can change; they come back as they are.
#' @source Altschul and Erickson (1985), Mol Biol Evol 2:526, as varied by
#'   `dinucleotide_shuffle` of tangermeme 1.4.0 (Schreiber): bit for bit the same shuffles.
#' @export
#' @examples
#' X <- c(first = "ACGATTACAGATTACGACCA", second = "GGCATTACGCATCATGGCAT")
#' shuffled <- dinucleotide_shuffle(X, n = 3, random_state = 0)
#' decode_one_hot(shuffled["first", , , ])
dinucleotide_shuffle <- function(X, start = 1L, end = NULL, n = 20L, random_state = NULL) {
  sequences <- as_sequences(X, extra_channels = TRUE)
  region <- check_region(start, end, sequences$length)
  n <- check_copies(n, sequences)
  seed <- check_random_state(random_state)
  codes <- sequence_codes(sequences)
  shuffled <- core_dinucleotide_shuffle(codes, region[1L], region[2L], n, seed)
  if (n > 1L) {
    stop_unchangeable(shuffled$can_change, sequences$names)
  } else {
    warn_unchangeable(shuffled$can_change, sequences$names)
  }
  finish_one_hot(shuffled$codes, sequences)
}

# References for attributions: raw array [L, n, n_seq] of codes in which reference j of every
# sequence is `dinucleotide_shuffle(X[i], n = 1, random_state = random_state + j - 1)`. The
# place of a sequence in X does not enter its seed.
reference_shuffles <- function(sequences, n, random_state, call = caller_env()) {
  seed <- check_random_state(random_state, call = call)
  n <- check_count(n, "n", call = call)
  check_fits_memory(as.double(n) * sequences$n * sequences$length, "n_shuffles", n, call)
  shuffled <- core_reference_shuffles(sequence_codes(sequences, call = call), n, seed)
  warn_unchangeable(shuffled$can_change, sequences$names, call)
  shuffled$codes
}

# How many copies of each sequence are drawn, as one-hot arrays.
check_copies <- function(n, sequences, call = caller_env()) {
  n <- check_count(n, "n", call = call)
  check_fits_memory(8 * as.double(n) * sequences$n * n_bases * sequences$length, "n", n, call)
  n
}

warn_unchangeable <- function(can_change, names, call = caller_env()) {
  if (all(can_change)) {
    return(invisible())
  }
  labels <- label_sequences(which(!can_change), names)
  warn_seqlift("shuffle",
    c("No shuffle can change {cli::qty(length(labels))}sequence{?s} {labels}.",
      i = "Every shuffle equals the sequence itself, as it has too few different bases."
    ),
    call = call
  )
}

stop_unchangeable <- function(can_change, names, call = caller_env()) {
  if (all(can_change)) {
    return(invisible())
  }
  fixed <- which(!can_change)
  labels <- label_sequences(fixed, names)
  abort_seqlift("shuffle",
    c("No shuffle can change {cli::qty(length(labels))}sequence{?s} {labels}.",
      x = "Every shuffle would equal the sequence itself, as it has too few different bases.",
      i = "Leave {cli::qty(length(labels))}{?it/them} out or shuffle a wider region;
           {.code n = 1} returns {?it/them} unchanged, with a warning."
    ),
    sequences = fixed, call = call
  )
}

# "2", or "2 (its name)".
label_sequences <- function(i, names) {
  if (is.null(names)) as.character(i) else paste0(i, " (", names[i], ")")
}
