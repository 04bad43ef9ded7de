#' Design a construct of motifs by greedy marginalization
#'
#' Builds an arrangement of motifs whose mean effect, over many background sequences, comes
#' closest to a goal: what the motifs do by themselves, and not in one sequence.
#'
#' The first motif is set into the middle of all backgrounds, at position L %/% 2. Each further
#' one may start wherever it ends up at most `max_spacing` positions beside what there is of the
#' construct (and of the middle), and may overwrite parts of it. Kept is the motif and position
#' with the lowest loss of the effect, the model's output with the construct minus that of the bare
#' backgrounds, averaged over the backgrounds. It ends when the best motif improves the loss by no
#' more than `tol` (it is kept, if it improves it at all), or after `max_iter` motifs.
#'
#' @inheritParams greedy_substitution
#' @param X Background sequences: character vector, `Biostrings::DNAStringSet` or one-hot array
#'   `[n, 4, L]` (extra channels stay as they are).
#' @param y The target effect, the change of the output: one number for all outputs, or numbers in
#'   the shape of the model's output of one sequence, in its units. `NULL` (default): the strongest
#'   increase. See [seqlift_design] for the loss.
#' @param motifs Character vector (or `DNAStringSet`, or objects as [as_motif_matrices()] takes
#'   them, for their consensus) of the motifs to try; names are used in the trace. An N leaves the
#'   base that is there. No longer than L - L %/% 2 + 1.
#' @param max_spacing Largest number of positions between a motif and the construct. Default 12.
#' @param max_iter Largest number of motifs. Default `NULL`: no limit.
#' @param args List of the model's other inputs, with n rows or one; see [with_args()]. Default
#'   `NULL`.
#' @return A list of class `seqlift_design`:
#'   \describe{
#'   \item{construct}{the motifs in their arrangement, a string with N for the background between
#'     them; `""` if no motif improves the loss}
#'   \item{start}{position of its first letter in the backgrounds, counted from 1; `NA` if there is
#'     none}
#'   \item{sequences, X}{the backgrounds with the construct: strings, and `[n, 4, L]`}
#'   \item{loss, initial_loss}{mean loss of the effect, and that of no effect}
#'   \item{before, after}{the model's outputs `[n, ...]` without and with the construct}
#'   \item{edits}{data frame, one row a motif in the order they were set: `iteration`, `motif`,
#'     `start`, `end` (1-based, inclusive), `strand`, `loss` after it and `improvement`}
#'   }
#' @section Errors: `seqlift_error_argument` for a model with several outputs, a motif that does
#'   not fit into the right half of the backgrounds, a mask or target that does not fit, or another
#'   wrong argument; `seqlift_error_sequence` for sequences or motifs that cannot be read; those of
#'   [predict.seqlift_model()] besides.
#' @source `greedy_marginalize` of tangermeme 1.4.0 (Schreiber). Beyond it: positions that would
#'   lead off the sequence are left out, and `y = NULL`.
#' @seealso [greedy_substitution()]
#' @concept greedy_marginalize
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' backgrounds <- random_one_hot(c(3, 4, 60), random_state = 0)
#' design <- greedy_marginalization(model, backgrounds,
#'   motifs = c(GATA = "AGATAAG"), max_spacing = 3, max_iter = 2
#' )
#' design
#' colMeans(design$after - design$before)
greedy_marginalization <- function(model, X, y = NULL, motifs, loss = squared_error,
                                   max_spacing = 12L, reverse_complement = TRUE,
                                   output_mask = NULL, tol = 1e-3, max_iter = NULL, args = NULL,
                                   batch_size = 32L, dtype = NULL, device = NULL,
                                   verbose = FALSE) {
  call <- rlang::current_env()
  backgrounds <- as_sequences(X, extra_channels = TRUE)
  goal <- design_goal(y, loss, output_mask, call)
  if (is.null(motifs)) {
    abort_argument("motifs", "a character vector or a DNAStringSet", "`NULL`")
  }
  middle <- backgrounds$length %/% 2L
  motifs <- design_motifs(motifs, reverse_complement, backgrounds$length - middle + 1L, call)
  max_spacing <- check_count(max_spacing, "max_spacing", min = 0)
  tol <- check_number(tol, "tol", min = 0)
  max_iter <- check_max_iter(max_iter, call)
  runner <- design_runner(model, args, batch_size, dtype, device, verbose, call)

  before <- run_design_model(runner, backgrounds, call)
  goal <- fit_goal(goal, before)
  # No effect, for any background.
  initial_loss <- goal_losses(goal, array_rows(before, 1L) * 0)
  codes <- sequence_codes(backgrounds)
  found <- list(loss = initial_loss, edits = no_edits, construct = rep("N", backgrounds$length))
  edge <- c(middle + 1L, middle)
  while (nrow(found$edits) < max_iter) {
    starts <- construct_starts(motifs, edge, max_spacing, backgrounds$length, nrow(found$edits))
    best <- best_effect(
      runner, with_codes(backgrounds, codes), motifs, starts, before, goal, call
    )
    improvement <- found$loss - best$loss
    tell_iteration(runner, nrow(found$edits) + 1L, best$loss, improvement)
    if (improvement > 0) {
      written <- motifs$codes[[best$motif]]
      edit <- edit_row(
        nrow(found$edits) + 1L, motifs, best$motif, best$start, best$loss, improvement
      )
      found$edits <- rbind(found$edits, edit)
      found$loss <- best$loss
      codes <- core_substitute_motif(codes, matrix(written), best$start)
      is_base <- written != as.raw(n_bases)
      found$construct[seq(edit$start, edit$end)[is_base]] <-
        base_letters[as.integer(written[is_base]) + 1L]
      edge <- c(min(edge[1L], edit$start), max(edge[2L], edit$end))
    }
    if (improvement <= tol) {
      break
    }
  }
  finish_construct(found, backgrounds, codes, before, initial_loss, runner, call)
}

# Candidates (motif, start) around a construct from edge[1] to edge[2].
construct_starts <- function(motifs, edge, max_spacing, length, n_set) {
  starts <- lapply(motifs$width, function(width) {
    if (n_set == 0L) {
      return(max(1L, length %/% 2L))
    }
    first <- max(1, edge[1L] - max_spacing - width)
    last <- min(length - width + 1, edge[2L] + max_spacing + 1)
    as.integer(seq(first, last))
  })
  data.frame(motif = rep(seq_along(starts), lengths(starts)), start = unlist(starts))
}

# The candidate whose effect has the lowest mean loss over the backgrounds, the first of several.
best_effect <- function(runner, sequences, motifs, starts, before, goal, call) {
  n <- sequences$n
  edits <- starts[rep(seq_len(nrow(starts)), each = n), ]
  edits$row <- rep(seq_len(n), nrow(starts))
  effect_losses <- function(y_hat, row) goal_losses(goal, y_hat - array_rows(before, row))
  losses <- score_edits(runner, sequences, motifs, edits, effect_losses, call)
  # Where a motif is there already its effect is that of the construct so far.
  same <- is.na(losses)
  if (any(same)) {
    now <- run_design_model(runner, sequences, call)
    losses[same] <- effect_losses(now, seq_len(n))[edits$row[same]]
  }
  losses <- colMeans(matrix(losses, nrow = n))
  best <- which.min(losses)
  list(motif = starts$motif[best], start = starts$start[best], loss = losses[best])
}

finish_construct <- function(found, backgrounds, codes, before, initial_loss, runner, call) {
  sequences <- with_codes(backgrounds, matrix(codes, backgrounds$length))
  X <- name_channels(one_hot_array(sequences), backgrounds$names)
  is_set <- which(found$construct != "N")
  whole <- if (length(is_set) > 0L) seq(min(is_set), max(is_set)) else integer()
  structure(
    list(
      construct = paste(found$construct[whole], collapse = ""),
      start = if (length(whole) > 0L) whole[1L] else NA_integer_,
      sequences = decode_one_hot(X), X = X, loss = found$loss, initial_loss = initial_loss,
      before = name_rows(before, backgrounds$names),
      after = name_rows(run_design_model(runner, sequences, call), backgrounds$names),
      edits = found$edits
    ),
    class = "seqlift_design"
  )
}
