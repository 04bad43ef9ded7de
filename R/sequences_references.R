# References beside dinucleotide_shuffle(): functions that make functions f(X, n, random_state),
# which deep_lift_shap() and the other methods take as `references` or `baseline`. Each sequence and
# each reference is asked for by itself, so that nothing depends on the other sequences.

#' Make references
#'
#' Functions that return what `references =` of [deep_lift_shap()] and [attribute()] takes (and
#' `baseline =` for integrated gradients): a function `f(X, n, random_state)`. [references()] says
#' which to choose when.
#'
#' * `local_shuffles()` shuffles within windows along the sequence, dinucleotides kept, so that the
#'   composition of each stretch stays where it is. With `step` below `window` the windows overlap
#'   and are shuffled one after the other, from the left.
#' * `shuffles_around()` keeps annotated sites as they are and shuffles what lies between them: what
#'   is left is what the sequence has beside the known sites.
#' * `references_from()` draws sequences of a set, for each sequence among those whose share of G
#'   and C differs by at most `tolerance`, with replacement.
#' * `background_frequencies()` is the same frequencies of bases at each position (uniform, or
#'   given, for all positions or each of them), no sequence; with `sample = TRUE` letters drawn from
#'   them.
#' * `references_within()` takes other references in a window only and holds the rest at the
#'   sequence: attributions of the window, all else as it is.
#'
#' An N of the sequence is an N in every reference, so that it makes no difference.
#'
#' @param window,step Length of the windows in bp, at least 2, and how far the next one begins.
#'   Defaults: 50, and the windows' length (they do not overlap).
#' @param sites What to keep: a data frame with columns `start` and `end` (1-based, inclusive) and,
#'   if sites are of certain sequences, `example` (name or number in `X`).
#' @param X The sequences that `example` counts, in any of the forms that [deep_lift_shap()] takes.
#'   Default `NULL`: the sites are at the same positions in all sequences.
#' @param pool Sequences of the same length to draw from, in the same forms.
#' @param tolerance Largest difference of the share of G and C among known letters, from 0 to 1.
#'   Default 0.02; 1 draws from all.
#' @param frequencies A number, four (of A, C, G, T) or a matrix `[4, L]`; each position sums to 1.
#'   Default 0.25.
#' @param sample `TRUE` draws letters. Default `FALSE`: the frequencies themselves, one reference
#'   whatever `n_shuffles` is.
#' @param references A function that makes references, such as [dinucleotide_shuffle()] or one of
#'   these.
#' @param start,end First and last position of the window.
#' @return A function of sequences `X`, `n` and `random_state` that returns an array `[n, 4, L]`,
#'   for `references =`.
#' @section Errors: `seqlift_error_argument` for arguments of the wrong kind; when references are
#'   made `seqlift_error_references`, for a sequence that `X` lacks, without one in the pool that is
#'   like it, or of another length than the frequencies.
#' @source Altschul and Erickson (1985) for the shuffles; Shrikumar et al. (2017) for backgrounds of
#'   frequencies; Avsec et al. (2021) and Prakash et al. (2022) for what references do to
#'   attributions of genomic models.
#' @seealso [references()], which says what to choose; [matched_regions()] draws regions of a genome
#'   to make a pool of; [dinucleotide_shuffle()], [shuffle_region()].
#' @name reference_functions
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()["fly_planted_AGATAAG"]
#' around <- function(references) {
#'   found <- deep_lift_shap(model, X, references = references, n_shuffles = 3, random_state = 0)
#'   sum(found[, , 245:260])
#' }
#' around(local_shuffles(window = 100))
#' around(background_frequencies())
#' around(references_within(dinucleotide_shuffle, 240, 265))
#' # What the rest of the sequence does, the site held.
#' around(shuffles_around(data.frame(start = 250, end = 256)))
NULL

#' @rdname reference_functions
#' @export
local_shuffles <- function(window = 50L, step = NULL) {
  window <- check_count(window, "window", min = 2)
  step <- check_count(step, "step", max = window, null = TRUE) %||% window
  one_by_one_references(function(codes, seed) {
    length <- nrow(codes)
    starts <- seq.int(1L, max(1L, length - window + step), by = step)
    seeds <- seeds_from(seed, length(starts))
    for (k in seq_along(starts)) {
      codes <- shuffled_codes(codes, starts[k], min(starts[k] + window - 1L, length), seeds[k])
    }
    codes
  })
}

#' @rdname reference_functions
#' @export
shuffles_around <- function(sites, X = NULL) {
  known <- check_kept_sites(sites, X)
  one_by_one_references(function(codes, seed) {
    kept <- kept_positions(known, codes)
    # Breaks for the shuffle: what lies between them is shuffled apart.
    broken <- codes
    broken[kept] <- as.raw(n_bases)
    broken <- shuffled_codes(broken, 1L, nrow(codes), seed)
    broken[kept] <- codes[kept]
    broken
  })
}

#' @rdname reference_functions
#' @export
references_from <- function(pool, tolerance = 0.02) {
  own <- as_sequences(pool, "pool")
  letters <- sequence_codes(own)
  tolerance <- check_share(tolerance, "tolerance")
  shares <- gc_of_codes(letters)
  one_by_one_references(function(codes, seed) {
    if (nrow(codes) != nrow(letters)) {
      abort_seqlift("references",
        "The sequences of {.arg pool} have {nrow(letters)} bp, that to explain {nrow(codes)}."
      )
    }
    distance <- abs(shares - gc_of_codes(codes))
    fitting <- which(distance <= tolerance)
    if (length(fitting) == 0L) {
      abort_seqlift("references", c(
        "No sequence of {.arg pool} has the share of G and C of a sequence,
         {format(gc_of_codes(codes), digits = 3)}, within {tolerance}: the nearest differs by
         {format(min(distance), digits = 3)}.",
        i = "Give a larger pool ({.fn matched_regions} draws one) or {.arg tolerance}."
      ))
    }
    drawn <- floor(random_uniform(random_generator(seed), 1L) * length(fitting)) + 1L
    letters[, fitting[drawn], drop = FALSE]
  })
}

#' @rdname reference_functions
#' @export
background_frequencies <- function(frequencies = 0.25, sample = FALSE) {
  check_flag(sample, "sample")
  shares <- check_frequencies(frequencies)
  at_positions <- function(length) {
    if (ncol(shares) != 1L && ncol(shares) != length) {
      abort_seqlift("references",
        "{.arg frequencies} are of {ncol(shares)} positions, the sequences have {length} bp."
      )
    }
    shares[, rep_len(seq_len(ncol(shares)), length), drop = FALSE]
  }
  if (!sample) {
    return(structure(
      function(X, n = 1L, random_state = NULL) {
        there <- sum_over_bases(X[, seq_len(n_bases), , drop = FALSE]) > 0
        own <- at_positions(dim(X)[3L])
        result <- X
        for (base in seq_len(n_bases)) {
          result[, base, ] <- sweep(there, 2L, own[base, ], `*`)
        }
        result
      },
      class = c("seqlift_background", "function")
    ))
  }
  one_by_one_references(function(codes, seed) {
    own <- at_positions(nrow(codes))
    below <- apply(own, 2L, cumsum)
    drawn <- random_uniform(random_generator(seed), nrow(codes))
    matrix(as.raw(pmin(colSums(t(drawn >= t(below))), n_bases - 1L)))
  })
}

#' @rdname reference_functions
#' @export
references_within <- function(references, start, end) {
  if (!is.function(references)) {
    abort_argument("references", "a function", describe(references))
  }
  start <- check_count(start, "start")
  end <- check_count(end, "end", min = start)
  inner <- function(X, n = 1L, random_state = NULL) {
    if (end > dim(X)[3L]) {
      abort_seqlift("references",
        "The window ends at {end} ({.arg end}), the sequences have {dim(X)[3]} bp."
      )
    }
    made <- from_torch(references(X, n = 1L, random_state = random_state))
    window <- seq.int(start, end)
    result <- X
    result[, , window] <- array(made, dim(X))[, , window]
    result
  }
  if (inherits(references, "seqlift_background")) {
    class(inner) <- class(references)
  }
  inner
}

# ---- arguments -----------------------------------------------------------------------

# A matrix [4, 1] or [4, L] whose columns sum to 1.
check_frequencies <- function(frequencies, call = caller_env()) {
  expected <- "0.25, four numbers or a matrix [4, L], each column summing to 1"
  if (!is.numeric(frequencies)) {
    abort_argument("frequencies", expected, describe(frequencies), call = call)
  }
  shares <- if (is.null(dim(frequencies))) matrix(rep_len(frequencies, n_bases)) else frequencies
  fits <- length(frequencies) %in% c(1L, n_bases, length(shares)) &&
    is.matrix(shares) && nrow(shares) == n_bases && ncol(shares) > 0L && all(is.finite(shares)) &&
    all(shares >= 0) && all(abs(colSums(shares) - 1) < 1e-6)
  if (!fits) {
    abort_argument("frequencies", expected, describe(frequencies), call = call)
  }
  unname(shares)
}

# list(sites: start, end and example (NA for all), keys: the letters of each sequence of X).
check_kept_sites <- function(sites, X, call = caller_env()) {
  refuse <- function(expected, got) abort_argument("sites", expected, got, call = call)
  if (!is.data.frame(sites) || !all(c("start", "end") %in% names(sites)) || nrow(sites) == 0L) {
    refuse("a data frame with the columns start and end", describe(sites))
  }
  whole <- function(x) is.numeric(x) && all(is.finite(x) & x == trunc(x) & x >= 1)
  if (!whole(sites$start) || !whole(sites$end) || any(sites$start > sites$end)) {
    refuse("of whole numbers from 1, no start after its end", "a table with others")
  }
  known <- data.frame(start = sites$start, end = sites$end, example = NA_integer_)
  if (is.null(sites$example)) {
    return(list(sites = known))
  }
  if (is.null(X)) {
    abort_argument("X", "the sequences that `example` counts", "NULL", call = call)
  }
  sequences <- as_sequences(X, "X", call)
  known$example <- match_examples(sites$example, sequences)
  if (anyNA(known$example)) {
    refuse(examples_expected(sequences),
      paste("one of sequence", sites$example[which(is.na(known$example))[1L]])
    )
  }
  keys <- column_keys(sequence_codes(sequences))
  list(sites = known, keys = keys)
}

kept_positions <- function(known, codes, call = caller_env()) {
  own <- known$sites
  if (!is.null(known$keys)) {
    # Sequences are known by their letters, wherever they stand in a call.
    rows <- which(known$keys == column_keys(codes))
    if (length(rows) == 0L) {
      abort_seqlift("references",
        "A sequence is none of {.arg X}, so that its {.arg sites} are not known.", call = call
      )
    }
    own <- own[own$example %in% rows, ]
  }
  if (any(own$end > nrow(codes))) {
    abort_seqlift("references",
      "A site of {.arg sites} ends at {max(own$end)}, the sequences have {nrow(codes)} bp.",
      call = call
    )
  }
  unique(unlist(Map(seq.int, own$start, own$end)))
}

# ---- one reference of one sequence -----------------------------------------------------

# `draw`: a function of codes [L, 1] and a seed. N stays, as do channels beyond the bases.
one_by_one_references <- function(draw) {
  function(X, n = 1L, random_state = NULL) {
    sequences <- as_sequences(X, extra_channels = TRUE)
    codes <- sequence_codes(sequences)
    seed <- check_random_state(random_state)
    for (i in seq_len(ncol(codes))) {
      unknown <- codes[, i] == as.raw(n_bases)
      made <- draw(codes[, i, drop = FALSE], (seed + i - 1) %% 2^32)
      codes[!unknown, i] <- made[!unknown]
    }
    finish_one_hot(codes, sequences)
  }
}

# Where no shuffle can change a window it stays as it is.
shuffled_codes <- function(codes, start, end, seed) {
  shuffled <- core_dinucleotide_shuffle(codes, start, end, 1L, seed)$codes
  matrix(shuffled, nrow(codes))
}

seeds_from <- function(seed, n) floor(random_uniform(random_generator(seed), n) * 2^32)

# The share of G and C among the letters of each column.
gc_of_codes <- function(codes) {
  gc <- colSums(codes == as.raw(1L) | codes == as.raw(2L))
  gc / pmax(colSums(codes != as.raw(n_bases)), 1L)
}
