#' Draw random sequences
#'
#' Every position of every sequence is drawn independently of all others.
#'
#' @param shape Three whole numbers: sequences, letters of the alphabet (4 for DNA, at most
#'   255), positions.
#' @param probs Probabilities of the letters: `NULL` for equal ones (default), a vector with one
#'   number a letter, or a matrix with one row for all sequences or one for each. Each row sums
#'   to 1.
#' @param random_state Whole number from 0 to 4294967295: the draws are those of numpy's
#'   `RandomState(random_state)`. `NULL` (default) takes a seed from R's own generator, so that
#'   [set.seed()] governs the result. A [random_generator()] is continued.
#' @return Double array of the given shape, `[n, letters, L]`, a single 1 in every column. An
#'   alphabet of four letters has the names A, C, G, T on its second dimension.
#' @section Errors: `seqlift_error_argument` for a shape, probabilities or a random state that
#'   are not as described.
#' @source The draws of `random_one_hot` of tangermeme 1.4.0 (Schreiber), bit for bit. Without
#'   `probs` a position takes one bounded integer of the stream, with `probs` one uniform number.
#' @seealso [randomize_region()], [shuffle_region()], [dinucleotide_shuffle()]
#' @export
#' @examples
#' X <- random_one_hot(c(2, 4, 10), random_state = 0)
#' decode_one_hot(X)
#' at_rich <- random_one_hot(c(1, 4, 30), probs = c(0.4, 0.1, 0.1, 0.4), random_state = 0)
#' decode_one_hot(at_rich)
random_one_hot <- function(shape, probs = NULL, random_state = NULL) {
  shape <- check_random_shape(shape)
  check_fits_memory(8 * prod(shape), "shape", paste(shape, collapse = " x "))
  probs <- check_probabilities(probs, "probs", n_letters = shape[2L], n = shape[1L])
  generator <- as_generator(random_state)
  drawn <- if (is.null(probs)) {
    core_random_letters(generator$state, shape[2L], shape[3L], shape[1L])
  } else {
    core_weighted_letters(generator$state, probs, shape[3L], shape[1L])
  }
  generator$state <- drawn$state
  one_hot <- codes_to_one_hot(drawn$codes, shape[2L])
  if (shape[2L] == n_bases) name_channels(one_hot, NULL) else one_hot
}

#' Start a random stream that goes on from call to call
#'
#' [random_one_hot()], [randomize_region()] and [shuffle_region()] start the stream of an
#' integer `random_state` anew in every call. Given a generator they continue where the call
#' before stopped, as the Python tools do with a `RandomState` object. A generator is changed by
#' its use and holds nothing but its state, so it can be saved.
#'
#' @param random_state Whole number from 0 to 4294967295, the seed, or `NULL` (default) for one
#'   taken from R's own generator.
#' @return An object of class `seqlift_random_generator`.
#' @section Errors: `seqlift_error_argument` for another seed.
#' @source MT19937 (Matsumoto and Nishimura 1998, ACM TOMACS 8:3) as seeded and read by numpy's
#'   `RandomState`.
#' @export
#' @examples
#' generator <- random_generator(7)
#' decode_one_hot(random_one_hot(c(1, 4, 10), random_state = generator))
#' decode_one_hot(random_one_hot(c(1, 4, 10), random_state = generator))
random_generator <- function(random_state = NULL) {
  seed <- check_random_state(random_state)
  generator <- new.env(parent = emptyenv())
  generator$state <- core_seed_generator(seed)
  structure(generator, class = "seqlift_random_generator")
}

#' @export
print.seqlift_random_generator <- function(x, ...) {
  cat_text("<seqlift_random_generator> (MT19937, as numpy's RandomState)")
  invisible(x)
}

as_generator <- function(random_state, call = caller_env()) {
  if (inherits(random_state, "seqlift_random_generator")) {
    return(random_state)
  }
  random_generator(check_random_state(random_state, call = call))
}

check_random_shape <- function(shape, call = caller_env()) {
  largest_alphabet <- 255L # codes are bytes, and one is left for no letter
  whole <- is.numeric(shape) && length(shape) == 3L && all(is.finite(shape)) &&
    all(shape == trunc(shape))
  if (!whole || any(shape < 1) || shape[2L] > largest_alphabet ||
    any(shape > .Machine$integer.max)) {
    got <- if (is.numeric(shape)) paste0("c(", paste(shape, collapse = ", "), ")") else
      describe(shape)
    abort_argument("shape",
      paste("three whole numbers of at least 1 (sequences, letters up to 255, positions)"),
      got,
      call = call
    )
  }
  as.integer(shape)
}

# Matrix of probabilities with one row, or one for each of `n` sequences; NULL stays NULL.
check_probabilities <- function(probs, arg, n_letters, n, call = caller_env()) {
  if (is.null(probs)) {
    return(NULL)
  }
  rows <- if (is.numeric(probs) && is.null(dim(probs))) matrix(probs, nrow = 1L) else probs
  shaped <- is.numeric(rows) && is.matrix(rows) && ncol(rows) == n_letters &&
    nrow(rows) %in% c(1L, n)
  if (!shaped) {
    abort_argument(arg,
      paste0("a vector of ", n_letters, " numbers, or a matrix of ", n_letters,
        " columns with one row for all sequences or one for each (", n, ")"),
      describe(probs),
      call = call
    )
  }
  if (anyNA(rows) || any(rows < 0)) {
    abort_argument(arg, "probabilities of at least 0", "one that is negative or NA", call = call)
  }
  # numpy's own tolerance for the sum: the square root of the double's epsilon.
  off <- which(abs(rowSums(rows) - 1) > sqrt(.Machine$double.eps))
  if (length(off) > 0L) {
    abort_argument(arg, "probabilities that sum to 1",
      paste0("a row (", off[1L], ") with sum ", format(sum(rows[off[1L], ]))),
      call = call
    )
  }
  storage.mode(rows) <- "double"
  unname(rows)
}
