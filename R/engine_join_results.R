# Results of chunks of sequences become the result of all of them: of workers (engine_parallel.R),
# and of the chunks of a file (attribute_streaming.R).

# Results of chunks, lists in lists or arrays with a row a sequence, as one.
join_results <- function(parts) {
  first <- parts[[1L]]
  if (length(parts) == 1L) {
    return(first)
  }
  if (is_output_list(first)) {
    joined <- lapply(seq_along(first), function(i) {
      join_results(lapply(parts, function(part) part[[i]]))
    })
    attributes(joined) <- attributes(first)
    return(joined)
  }
  join_arrays(parts)
}

# What an array says of itself is joined too: row by row where it has a row a sequence.
join_arrays <- function(parts) {
  joined <- bind_rows(parts)
  about <- attributes(parts[[1L]])
  for (name in setdiff(names(about), c("dim", "dimnames", "names"))) {
    own <- lapply(parts, attr, name, exact = TRUE)
    attr(joined, name) <- switch(name,
      convergence_deltas = , references = , standard_errors = bind_rows(own),
      X = if (is.raw(own[[1L]])) do.call(cbind, own) else do.call(c, own),
      info = join_info(own),
      own[[1L]]
    )
  }
  joined
}

# How the chunks of one call were computed: their time adds up, the largest change is of all.
join_info <- function(own) {
  info <- own[[1L]]
  of_each <- function(name) unlist(lapply(own, function(one) one[[name]]))
  info$seconds <- if (!is.null(info$seconds)) sum(of_each("seconds"))
  info$largest_output_change <- if (!is.null(info$largest_output_change)) {
    max(of_each("largest_output_change"))
  }
  info$integrated <- unique(of_each("integrated"))
  info
}
