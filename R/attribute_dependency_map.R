#' Which positions a prediction depends on together
#'
#' How much a substitution at one position changes the effect of a substitution at another: the
#' letters of one motif, and motifs that work together, depend on each other; letters that act
#' alone do not.
#'
#' For base b at position i and base c at position j the interaction is
#' `f(b and c) - f(b) - f(c) + f(X)`, f being the model's output (averaged over `target`). It is 0
#' where the effects of the two substitutions add up. The map holds the interaction of largest
#' absolute value over the nine pairs of bases that are not there, without its sign. Every pair of
#' substitutions is predicted, 9 l (l - 1) / 2 for l positions, each only where it differs from the
#' sequence with one of the two (see [saturation_mutagenesis()]).
#'
#' @inheritParams saturation_mutagenesis
#' @param raw_outputs `TRUE` gives the interactions of all bases, see Value. Default `FALSE`.
#' @param verbose `TRUE` shows a progress bar. Default `FALSE`.
#' @return A `seqlift_dependency_map`: a double array `[n, l, l]`, l = end - start + 1, symmetric,
#'   with a diagonal of zeros, in units of the model's output. The positions are the names of its
#'   second and third dimension where they do not begin with 1; the attributes `start` (the first
#'   position) and `X` (the letters of the window, one string a sequence) say where it is, and
#'   [attribution_ranges()] where in the genome. With
#'   `raw_outputs = TRUE` a double array `[n, 4, l, 4, l]` of the interactions, with their sign, 0
#'   for a base that is there already.
#' @section Errors: `seqlift_error_argument` for a window that is empty or leaves the sequence;
#'   `seqlift_error_target` for an output that does not exist; `seqlift_error_output` for a model
#'   with several outputs (see [select_output()]); otherwise as [predict.seqlift_model()].
#' @references Tomaz da Silva, Karollus, Hingerl, Galindez, Wagner, Hernandez-Alias, Incarnato and
#'   Gagneur (2024), Nucleotide dependency analysis of DNA language models reveals genomic
#'   functional elements; here for a model's predictions instead of a language model's letters.
#' @seealso [saturation_mutagenesis()], [plot_dependency_map()].
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' map <- dependency_map(model, demo_sequences()[1], start = 247, end = 253)
#' round(map[1, , ], 3)
dependency_map <- function(model, X, args = NULL, start = 1L, end = NULL, target = NULL,
                           raw_outputs = FALSE, method = c("auto", "incremental", "full"),
                           batch_size = 32L, dtype = NULL, device = NULL, verbose = FALSE,
                           BPPARAM = NULL) {
  given <- as.list(environment())
  call <- rlang::current_env()
  asked <- check_substitutions(given, call)
  if (is_parallel(BPPARAM)) {
    return(over_sequences("dependency_map", given, asked$sequences, BPPARAM))
  }
  job <- substitution_job(asked, given, call)
  sequences <- job$sequences
  window <- job$window
  check_one_output(model, call)

  job$args <- complete_args(model, args, sequences, call)
  substituted <- predict_substitutions(job, job$target)
  y0 <- substituted$originals[[1L]]
  singles <- single_effects(y0, substituted$outputs[[1L]], job$target)
  progress <- progress_bar(verbose, "Substituting pairs")
  interactions <- array(0, c(sequences$n, n_bases, length(window), n_bases, length(window)))
  for (i in seq_len(sequences$n)) {
    job$progress <- scaled_progress(progress, (i - 1) / sequences$n, 1 / sequences$n)
    interactions[i, , , , ] <- pair_interactions(
      job, i, mean_of_targets(y0, job$target)[i], array(singles[i, , ], dim(singles)[2:3])
    )
  }
  if (raw_outputs) {
    positions <- position_names(window[1L], length(window))
    dimnames(interactions) <- list(
      sequences$names, base_letters, positions, base_letters, positions
    )
    return(interactions)
  }
  map <- largest_interactions(interactions)
  positions <- position_names(window[1L], length(window))
  dimnames(map) <- if (!is.null(sequences$names) || !is.null(positions)) {
    list(sequences$names, positions, positions)
  }
  letters <- decode_one_hot(name_channels(codes_to_one_hot(job$codes), sequences$names))
  map <- structure(map,
    class = c("seqlift_dependency_map", "array"), start = window[1L],
    sequence_length = sequences$length, X = letters
  )
  place_result(map, sequences$ranges)
}

# Of interactions [n, 4, l, 4, l] the largest of any two bases, [n, l, l].
largest_interactions <- function(interactions) {
  shape <- dim(interactions)[c(1L, 3L, 5L)]
  map <- array(0, shape)
  for (first in seq_len(n_bases)) {
    for (second in seq_len(n_bases)) {
      map <- pmax(map, array(abs(interactions[, first, , second, ]), shape))
    }
  }
  map
}

# One number a row: the mean of the chosen outputs.
mean_of_targets <- function(y, target) {
  if (!is.null(target) && length(dim(y)) > 1L) {
    y <- take_outputs(y, 2L, target)
  }
  rowMeans(matrix(y, nrow = dim(y)[1L]))
}

# f(X with b at p) - f(X), [n, 4, l].
single_effects <- function(y0, y_hat, target) {
  shape <- dim(y_hat)[1:3]
  if (!is.null(target) && length(dim(y_hat)) > 3L) {
    y_hat <- take_outputs(y_hat, 4L, target)
  }
  array(rowMeans(matrix(y_hat, nrow = prod(shape))), shape) -
    array(mean_of_targets(y0, target), shape)
}

one_sequence <- function(sequences, i) {
  sequences$n <- 1L
  sequences$names <- NULL
  if (is.null(sequences$codes)) {
    sequences$array <- sequences$array[i, , , drop = FALSE]
  } else {
    sequences$codes <- sequences$codes[, i, drop = FALSE]
  }
  sequences
}

# The interactions of sequence number i, [4, l, 4, l]. The sequences with one substitution are the
# originals, and the substitutions at the positions behind it are their edits.
pair_interactions <- function(job, i, y0, singles) {
  sequence <- one_sequence(job$sequences, i)
  args <- lapply(job$args, take_outputs, axis = 1L, chosen = i)
  window <- job$window
  l <- length(window)
  result <- array(0, c(n_bases, l, n_bases, l))
  grid <- all_substitutions(job$codes[, i, drop = FALSE], 1L, window)
  later <- lapply(grid$start, function(position) which(grid$start > position))
  firsts <- which(lengths(later) > 0L)
  blocks <- split(firsts, cumsum(lengths(later[firsts])) %/% substitutions_at_once)
  for (block in blocks) {
    edits <- unlist(later[block])
    row <- rep(seq_along(block), lengths(later[block]))
    first <- block[row]
    originals <- with_bases(sequence, grid$start[block], grid$base[block])
    own_args <- lapply(args, take_outputs, axis = 1L, chosen = rep(1L, length(block)))
    progress <- scaled_progress(job$progress, match(block[1L], firsts) / length(firsts),
      length(block) / length(firsts)
    )
    batch <- window_batch(job$model, engine_input(originals, own_args), row, grid$start[edits],
      grid$content[edits, , , drop = FALSE], job$batch_size, job$dtype, job$device, job$method,
      progress = progress, call = job$call
    )
    p <- grid$start[first] - window[1L] + 1L
    q <- grid$start[edits] - window[1L] + 1L
    b <- grid$base[first]
    c <- grid$base[edits]
    both <- mean_of_targets(batch$outputs[[1L]], job$target) - y0
    values <- both - singles[cbind(b, p)] - singles[cbind(c, q)]
    result[cbind(b, p, c, q)] <- values
    result[cbind(c, q, b, p)] <- values
  }
  result
}

# A copy of one sequence for each of these substitutions.
with_bases <- function(sequence, positions, bases) {
  n <- length(positions)
  if (is.null(sequence$codes)) {
    sequence$array <- sequence$array[rep(1L, n), , , drop = FALSE]
    for (base in seq_len(n_bases)) {
      sequence$array[cbind(seq_len(n), base, positions)] <- as.double(bases == base)
    }
  } else {
    sequence$codes <- sequence$codes[, rep(1L, n), drop = FALSE]
    sequence$codes[cbind(positions, seq_len(n))] <- as.raw(bases - 1L)
  }
  sequence$n <- n
  sequence
}

#' @export
print.seqlift_dependency_map <- function(x, ...) {
  shape <- dim(x)
  last <- attr(x, "start") + shape[2L] - 1L
  cat_text(
    "<seqlift_dependency_map> of ", shape[1L], " sequence", if (shape[1L] != 1L) "s",
    ", positions ", attr(x, "start"), " to ", last
  )
  cat_field("largest", paste("interaction", format(max(x), digits = 3L)))
  cat_field("ranges", ranges_line(attr(x, "ranges", exact = TRUE)))
  invisible(x)
}
