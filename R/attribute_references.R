# What sequences are compared with, made from the argument `references` of attribution methods:
# functions, arrays, tensors of R's torch, codes.

# References as the engine takes them, raw codes [L, n_refs, n] or an array [n, n_refs, C, L],
# and the seed that they come from.
make_references <- function(references, sequences, n_shuffles, random_state, allow_n, only_warn,
                            call = caller_env()) {
  if (inherits(references, "seqlift_reference_codes")) {
    codes <- array(as.raw(references), dim(references))
    return(list(references = codes, random_state = attr(references, "seed", exact = TRUE)))
  }
  references <- stacked_references(references)
  if (is.array(references)) {
    return(list(
      references = check_references(references, sequences, allow_n, only_warn, call),
      random_state = NULL
    ))
  }
  if (!is.function(references)) {
    abort_argument("references", "a function or an array [n, n_refs, 4, L]",
      describe(references),
      call = call
    )
  }
  seed <- check_random_state(random_state, call = call)
  made <- if (identical(references, dinucleotide_shuffle)) {
    reference_shuffles(sequences, n_shuffles, seed, call = call)
  } else {
    # Frequencies are one reference, which is no sequence.
    flat <- inherits(references, "seqlift_background")
    drawn <- draw_references(references, sequences, if (flat) 1L else n_shuffles, seed, call)
    if (flat) {
      suppressWarnings(check_references(drawn, sequences, allow_n, TRUE, call),
        classes = "seqlift_warning_one_hot"
      )
    } else {
      check_references(drawn, sequences, allow_n, only_warn, call)
    }
  }
  list(references = made, random_state = seed)
}

# A tensor of R's torch, or a list of an array or tensor [n_refs, 4, L] for each sequence, as the
# array [n, n_refs, 4, L]; anything else as it is.
stacked_references <- function(references) {
  if (!is.list(references)) {
    return(from_torch(references))
  }
  each <- lapply(references, from_torch)
  shapes <- lapply(each, dim)
  alike <- length(each) > 0L && all(vapply(each, is.numeric, logical(1L))) &&
    length(unique(shapes)) == 1L && length(shapes[[1L]]) == 3L
  if (!alike) {
    return(references)
  }
  all <- array(unlist(each), c(shapes[[1L]], length(each)))
  aperm(all, c(4L, 1L, 2L, 3L))
}

# Each reference of each sequence has a seed of its own, so that neither the batch nor the order
# of the sequences matters.
draw_references <- function(references, sequences, n_shuffles, seed, call) {
  X <- one_hot_array(sequences)
  drawn <- array(0, c(sequences$n, n_shuffles, dim(X)[2L], sequences$length))
  for (i in seq_len(sequences$n)) {
    for (j in seq_len(n_shuffles)) {
      one <- from_torch(
        call_references(references, X[i, , , drop = FALSE], seed + j - 1, call)
      )
      if (!is.numeric(one) || !identical(utils::tail(dim(one), 2L), dim(X)[-1L]) ||
        length(one) != prod(dim(X)[-1L])) {
        abort_seqlift("references",
          "The function in {.arg references} must return an array of shape
           {paste(c(1, 1, dim(X)[-1]), collapse = ' x ')} for one sequence and {.code n = 1}, not
           {describe(one)}.",
          call = call
        )
      }
      drawn[i, j, , ] <- as.vector(one)
    }
  }
  drawn
}

call_references <- function(references, X, random_state, call) {
  rlang::try_fetch(
    references(X, n = 1L, random_state = random_state),
    error = function(error) {
      abort_seqlift("references",
        c("The function in {.arg references} failed.",
          i = "It is called as {.code f(X, n = 1, random_state = {random_state})} with {.arg X} of
               shape {paste(dim(X), collapse = ' x ')}."
        ),
        parent = error, call = call
      )
    }
  )
}

check_references <- function(references, sequences, allow_n, only_warn, call) {
  shape <- dim(references)
  channels <- unique(c(4L, sequences$channels))
  fits <- length(shape) == 4L && shape[1L] == sequences$n && shape[2L] >= 1L &&
    shape[3L] %in% channels && shape[4L] == sequences$length && is.numeric(references)
  if (!fits) {
    abort_seqlift("references",
      c("{.arg references} must be an array [n, n_refs, 4, L] = {sequences$n} x n_refs x 4 x
         {sequences$length} for these sequences, not {describe(references)}."),
      call = call
    )
  }
  for (j in seq_len(shape[2L])) {
    one <- as_sequences(array(references[, j, , ], shape[-2L]), paste0("references[, ", j, ", , ]"),
      call,
      extra_channels = TRUE, allow_n = allow_n, only_warn = only_warn
    )
    # One warning says it.
    if (!one$one_hot) break
  }
  storage.mode(references) <- "double"
  references
}

reference_array <- function(references, sequences) {
  if (is.raw(references)) {
    return(name_channels(aperm(codes_to_one_hot(references), c(2L, 1L, 3L, 4L)), sequences$names))
  }
  name_channels(references, sequences$names)
}

# What the references are, in a word that a result keeps.
reference_label <- function(references) {
  if (identical(references, dinucleotide_shuffle)) {
    "dinucleotide_shuffle"
  } else if (inherits(references, "seqlift_background")) {
    "background_frequencies"
  } else {
    if (is.function(references)) "function" else "array"
  }
}
