# What the ways of designing sequences share: the goal (`design_goal()`: target, loss, mask), the
# motifs, the scores of candidate edits, and the result. Every candidate edit is predicted by
# `predict_windows()`.

# Candidates whose predictions are held at a time, as R arrays.
design_chunk_edits <- 4096L

#' Results of sequence design
#'
#' [greedy_substitution()], [beam_substitution()], [greedy_marginalization()] and
#' [screen_sequences()] return a list of class `seqlift_design`. Printed, it shows the loss before
#' and after and the edits.
#'
#' @section Goal:
#' Without a target `y` the goal is a strong response: the loss is minus the mean of the model's
#' outputs. With one it is `loss(y, y_hat)`, averaged over the outputs. `y_hat` holds the
#' predictions `[m, ...]` of m candidates (the outputs that `output_mask` leaves), `y` the target
#' repeated to the same shape. A loss returns an array of that shape, one number for each output,
#' or m numbers. Smaller is better; the default is the squared error.
#'
#' @param x A result of one of these functions.
#' @param ... Must be empty.
#' @return `print()`: `x`, invisibly.
#' @name seqlift_design
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' start <- substr(demo_sequences()[1], 1, 60)
#' design <- greedy_substitution(model, start, motifs = "AGATAAG", max_iter = 1)
#' design
#' design$edits
NULL

#' @rdname seqlift_design
#' @export
print.seqlift_design <- function(x, ...) {
  check_no_dots(..., .fn = "print", .after = "x")
  n <- length(x$sequences)
  cat_text(
    "<seqlift_design> ", n, if (n == 1L) " sequence" else " sequences", " of ",
    nchar(x$sequences[1L]), " bp"
  )
  from <- if (!is.null(x$initial_loss)) paste0(format_loss(x$initial_loss), " to ")
  losses <- format_loss(utils::head(x$loss, design_shown))
  more <- if (length(x$loss) > design_shown) paste(", and", length(x$loss) - design_shown, "more")
  cat_field("loss", paste0(from, paste(losses, collapse = ", "), more))
  if (!is.null(x$construct)) {
    cat_field("construct", paste(x$construct, "at", x$start))
  }
  if (!is.null(x$edits)) {
    cat_field("edits", as.character(nrow(x$edits)))
    if (nrow(x$edits) > 0L) {
      print_table(x$edits, design_shown, digits = 4L, hint = "`$edits` has all")
    }
  }
  invisible(x)
}

# Losses and edits that are printed.
design_shown <- 20L

format_loss <- function(loss) format(loss, digits = 4L, trim = TRUE)

squared_error <- function(y, y_hat) (y - y_hat)^2

# ---- Arguments ---------------------------------------------------------------------------

# The model and how it is run.
design_runner <- function(model, args, batch_size, dtype, device, verbose, call) {
  check_model(model, call)
  outputs <- count_outputs(model)
  if (outputs != 1L) {
    abort_argument("model", "a model with one output", paste("one with", outputs),
      hint = "Choose one with {.fn select_output}, or score a profile with {.fn profile_score} or
              bins with {.fn select_bins}.",
      call = call
    )
  }
  list(
    model = model, args = args, batch_size = check_count(batch_size, "batch_size", call = call),
    dtype = check_dtype(dtype, call = call),
    device = check_device(if (is.null(device)) model$device else device, call = call),
    verbose = check_flag(verbose, "verbose", call = call)
  )
}

# One output array [n, ...] for whole sequences.
run_design_model <- function(runner, sequences, call) {
  run_predict(
    runner$model, sequences, runner$args, runner$batch_size, runner$dtype, runner$device, FALSE,
    call
  )[[1L]]
}

check_one_sequence <- function(sequences, call) {
  if (sequences$n != 1L) {
    abort_argument("X", "one sequence", paste(sequences$n, "sequences"),
      hint = "To score edits by their mean effect on many, use {.fn greedy_marginalization}.",
      call = call
    )
  }
  sequences
}

check_function <- function(x, arg, call) {
  if (!is.function(x)) {
    abort_argument(arg, "a function", describe(x), call = call)
  }
  x
}

check_max_iter <- function(max_iter, call) {
  check_count(max_iter, "max_iter", null = TRUE, call = call) %||% Inf
}

# TRUE where a motif may start.
check_input_mask <- function(mask, length, call) {
  if (is.null(mask)) {
    return(rep(TRUE, length))
  }
  if (!is.logical(mask) || length(mask) != length || anyNA(mask) || !any(mask)) {
    abort_argument("input_mask",
      paste("NULL or TRUE or FALSE for each of the", length, "positions, one of them TRUE"),
      describe(mask),
      call = call
    )
  }
  as.vector(mask)
}

# Motifs as a list of equally long vectors: name, strand, width, codes (a list of raw vectors).
# Reverse complements follow all others, as in tangermeme.
design_motifs <- function(motifs, reverse_complement, length, call) {
  check_flag(reverse_complement, "reverse_complement", call = call)
  if (is.null(motifs)) {
    motifs <- base_letters
    reverse_complement <- FALSE
  }
  if (is_biostrings(motifs)) {
    motifs <- letters_of_biostrings(motifs, "motifs", call)
  }
  if (is_motif_object(motifs) ||
    (is.list(motifs) && all(vapply(motifs, is_motif_object, logical(1L))))) {
    motifs <- consensus_of_objects(motifs, call)
  }
  if (!is.character(motifs) || length(motifs) == 0L) {
    abort_argument("motifs", "a character vector or a DNAStringSet", describe(motifs), call = call)
  }
  codes <- lapply(seq_along(motifs), function(i) {
    arg <- paste0("motifs[[", i, "]]")
    as.vector(sequence_codes(as_sequences(unname(motifs[i]), arg, call)))
  })
  widths <- lengths(codes)
  if (any(widths > length)) {
    first <- which(widths > length)[1L]
    abort_argument("motifs", paste("no longer than the sequence,", length, "bp"),
      paste0("one of ", widths[first], " bp (number ", first, ")"),
      call = call
    )
  }
  names <- names(motifs) %||% motifs
  names[!nzchar(names)] <- motifs[!nzchar(names)]
  strand <- rep("+", length(motifs))
  if (reverse_complement) {
    codes <- c(codes, lapply(codes, complement_codes))
    strand <- c(strand, rep("-", length(motifs)))
    names <- c(names, names)
  }
  list(name = unname(names), strand = strand, width = lengths(codes), codes = codes)
}

complement_codes <- function(codes) as.raw(c(3L, 2L, 1L, 0L, n_bases)[as.integer(rev(codes)) + 1L])

# ---- The goal ----------------------------------------------------------------------------

# What is known of the goal before the model is.
design_goal <- function(y, loss, output_mask, call) {
  check_function(loss, "loss", call)
  if (!is.null(y) && (!is.numeric(y) || length(y) == 0L || !all(is.finite(y)))) {
    abort_argument("y", "finite numbers in the shape of the model's output, or NULL", describe(y),
      call = call
    )
  }
  usable <- is.logical(output_mask) && !anyNA(output_mask) && any(output_mask)
  if (!is.null(output_mask) && !usable) {
    abort_argument("output_mask", "NULL or TRUE or FALSE for each output, one of them TRUE",
      describe(output_mask),
      call = call
    )
  }
  list(y = y, loss = loss, mask = output_mask, call = call)
}

# Fits the goal to the outputs, given one prediction [n, ...]: `y` becomes an array [1, ...] of the
# outputs that count.
fit_goal <- function(goal, predicted) {
  shape <- output_shape(predicted)
  if (is.null(goal$mask)) {
    goal$mask <- rep(TRUE, shape[1L])
  }
  if (length(goal$mask) != shape[1L]) {
    abort_argument("output_mask",
      paste("of length", shape[1L], "(the outputs, or the first dimension of a profile)"),
      paste("of length", length(goal$mask)),
      call = goal$call
    )
  }
  if (is.null(goal$y)) {
    return(goal)
  }
  given <- if (is.null(dim(goal$y))) length(goal$y) else dim(goal$y)
  fits <- length(goal$y) == 1L || identical(as.integer(given), shape) ||
    identical(as.integer(given), c(1L, shape))
  if (!fits) {
    abort_argument("y", paste("one number or of shape", paste(shape, collapse = " x ")),
      paste("of shape", paste(given, collapse = " x ")),
      call = goal$call
    )
  }
  goal$y <- counted_outputs(goal, array(as.double(goal$y), c(1L, shape)))
  goal
}

# Of one prediction, without the sequences; a model that returns [n] has one output.
output_shape <- function(predicted) {
  shape <- dim(predicted)[-1L]
  if (length(shape) == 0L) 1L else as.integer(shape)
}

# The outputs that the mask leaves, [m, k, ...].
counted_outputs <- function(goal, y_hat) {
  m <- dim(y_hat)[1L]
  shape <- output_shape(y_hat)
  flat <- array(y_hat, c(m, shape[1L], prod(shape[-1L])))
  array(flat[, goal$mask, ], c(m, sum(goal$mask), shape[-1L]))
}

# One loss for each row of predictions [m, ...].
goal_losses <- function(goal, y_hat) {
  y_hat <- counted_outputs(goal, y_hat)
  m <- dim(y_hat)[1L]
  if (is.null(goal$y)) {
    return(-rowMeans(matrix(y_hat, nrow = m)))
  }
  losses <- goal$loss(array(rep(goal$y, each = m), dim(y_hat)), y_hat)
  if (!is.numeric(losses) || length(losses) == 0L || !length(losses) %in% c(m, length(y_hat))) {
    abort_argument("loss",
      paste("a function that returns", m, "numbers for", m, "predictions, or one for each output"),
      paste("one that returned", describe(losses)),
      call = goal$call
    )
  }
  losses <- rowMeans(matrix(losses, nrow = m))
  if (anyNA(losses)) {
    abort_seqlift("argument", "{.arg loss} returned NA or NaN.", call = goal$call)
  }
  losses
}

# ---- Edits -------------------------------------------------------------------------------

# `sequences` with other bases, the columns of `codes` [L, n]: extra channels are those of the
# sequence, or of each of the n sequences.
with_codes <- function(sequences, codes) {
  n <- ncol(codes)
  if (sequences$channels == n_bases) {
    sequences$codes <- codes
    sequences["array"] <- list(NULL)
  } else {
    own <- if (sequences$n == n) seq_len(n) else rep(1L, n)
    sequences$array <- sequences$array[own, , , drop = FALSE]
    sequences["names"] <- list(NULL)
    sequences$array <- finish_one_hot(codes, sequences)
  }
  sequences$n <- n
  sequences["names"] <- list(NULL)
  sequences
}

set_motif <- function(codes, motif, start) {
  edited <- core_substitute_motif(codes, matrix(motif), as.integer(start))
  matrix(edited, nrow(codes))
}

# Codes [w, m] that each of m edits (motifs of one width) leaves in its window: an N of a motif
# leaves what is there.
window_codes <- function(codes, row, motif, start, motifs) {
  used <- unique(motif)
  written <- do.call(cbind, motifs$codes[used])[, match(motif, used), drop = FALSE]
  width <- nrow(written)
  kept <- codes[cbind(rep(start, each = width) + seq_len(width) - 1L, rep(row, each = width))]
  kept <- matrix(kept, width)
  leaves <- written == as.raw(n_bases)
  written[leaves] <- kept[leaves]
  list(written = written, changes = colSums(written != kept) > 0)
}

# Score of each candidate, a data frame of `row` (which sequence), `motif` and `start`. `score`
# turns predictions [m, ...] and the candidates' rows into m numbers. Candidates that change
# nothing get NA: there is nothing to predict.
score_edits <- function(runner, sequences, motifs, edits, score, call) {
  codes <- sequence_codes(sequences)
  scores <- rep(NA_real_, nrow(edits))
  widths <- motifs$width[edits$motif]
  for (width in unique(widths)) {
    of_width <- which(widths == width)
    for (chunk in split(of_width, (seq_along(of_width) - 1L) %/% design_chunk_edits)) {
      own <- edits[chunk, ]
      window <- window_codes(codes, own$row, own$motif, own$start, motifs)
      changes <- which(window$changes)
      if (length(changes) == 0L) {
        next
      }
      content <- codes_to_one_hot(window$written[, changes, drop = FALSE])
      y_hat <- predict_windows(
        runner$model, sequences, own$row[changes], own$start[changes], content, runner$args,
        runner$batch_size, runner$dtype, runner$device, runner$verbose, call
      )[[1L]]
      scores[chunk[changes]] <- score(y_hat, own$row[changes])
    }
  }
  scores
}

# Every motif at every position where it may start, motif by motif.
all_edits <- function(motifs, input_mask, row) {
  length <- length(input_mask)
  starts <- lapply(motifs$width, function(width) {
    which(input_mask[seq_len(length - width + 1L)])
  })
  data.frame(
    row = rep(row, sum(lengths(starts))),
    motif = rep(seq_along(starts), lengths(starts)),
    start = unlist(starts)
  )
}

# One row of a trace.
edit_row <- function(iteration, motifs, motif, start, loss, improvement) {
  data.frame(
    iteration = as.integer(iteration), motif = motifs$name[motif],
    start = as.integer(start), end = as.integer(start + motifs$width[motif] - 1L),
    strand = motifs$strand[motif], loss = loss, improvement = improvement
  )
}

no_edits <- data.frame(
  iteration = integer(), motif = character(), start = integer(), end = integer(),
  strand = character(), loss = numeric(), improvement = numeric()
)

tell_iteration <- function(runner, iteration, loss, improvement) {
  if (runner$verbose) {
    cli::cli_inform("Iteration {iteration}: loss {format_loss(loss)}, better by
                     {format_loss(improvement)}.")
  }
}
