#' Design sequences by beam search over substitutions of motifs
#'
#' As [greedy_substitution()], but the `beam_size` best sequences are kept in each iteration and
#' all of them are edited further, so that edits which only pay off together are found.
#'
#' Candidates of an iteration are the sequences of the beam, unchanged, and every edit of each of
#' them. The best `beam_size` are the next beam, which can therefore never get worse. Equal
#' sequences among them are kept once, so that a beam can be smaller than `beam_size`. It ends when
#' the best sequence improves by no more than `tol`, or after `max_iter` iterations.
#'
#' @inheritParams greedy_substitution
#' @param beam_size Number of sequences that are kept, and the factor in time. 1 is
#'   [greedy_substitution()]. Default 4.
#' @param n_best Number of sequences to return, at most those of the last beam. Default 1.
#' @param max_iter Largest number of iterations, so also of edits of a sequence. Default `NULL`: no
#'   limit.
#' @return A list of class `seqlift_design` as [greedy_substitution()] returns it, with up to
#'   `n_best` sequences, the lowest loss first: `sequences` `[k]`, `X` `[k, 4, L]`, `loss` `[k]`,
#'   `prediction` `[k, ...]`; `edits` has the trace of each (`design`).
#' @inheritSection greedy_substitution Errors
#' @source `beam_substitution` of tangermeme 1.4.0 (Schreiber). Of equally good candidates the first
#'   ones are kept: by sequence of the beam, unchanged before edited, then by motif and position.
#' @seealso [greedy_substitution()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' start <- substr(demo_sequences()[1], 1, 60)
#' design <- beam_substitution(model, start,
#'   motifs = c(GATA = "AGATAAG"), beam_size = 2, n_best = 2, max_iter = 2
#' )
#' design$loss
#' design$edits
beam_substitution <- function(model, X, y = NULL, motifs = NULL, loss = squared_error,
                              reverse_complement = TRUE, input_mask = NULL, output_mask = NULL,
                              beam_size = 4L, n_best = 1L, tol = 1e-3, max_iter = NULL,
                              args = NULL, batch_size = 32L, dtype = NULL, device = NULL,
                              verbose = FALSE) {
  search_beam(
    model, X, y, motifs, loss, reverse_complement, input_mask, output_mask,
    beam_size = check_count(beam_size, "beam_size"), n_best = check_count(n_best, "n_best"),
    tol = tol, max_iter = max_iter, args = args, batch_size = batch_size, dtype = dtype,
    device = device, verbose = verbose
  )
}

search_beam <- function(model, X, y, motifs, loss, reverse_complement, input_mask, output_mask,
                        beam_size, n_best, tol, max_iter, args, batch_size, dtype, device,
                        verbose, call = caller_env()) {
  origin <- check_one_sequence(as_sequences(X, call = call, extra_channels = TRUE), call)
  goal <- design_goal(y, loss, output_mask, call)
  motifs <- design_motifs(motifs, reverse_complement, origin$length, call)
  input_mask <- check_input_mask(input_mask, origin$length, call)
  tol <- check_number(tol, "tol", min = 0, call = call)
  max_iter <- check_max_iter(max_iter, call)
  runner <- design_runner(model, args, batch_size, dtype, device, verbose, call)

  initial <- run_design_model(runner, origin, call)
  goal <- fit_goal(goal, initial)
  initial_loss <- goal_losses(goal, initial)
  beam <- list(
    codes = matrix(sequence_codes(origin), ncol = 1L), loss = initial_loss,
    edits = list(no_edits)
  )
  iteration <- 0L
  repeat {
    if (iteration >= max_iter) {
      break
    }
    iteration <- iteration + 1L
    before <- beam$loss[1L]
    beam <- advance_beam(beam, origin, goal, motifs, input_mask, runner, beam_size, iteration, call)
    improvement <- before - beam$loss[1L]
    tell_iteration(runner, iteration, beam$loss[1L], improvement)
    if (improvement <= tol) {
      break
    }
  }
  finish_beam(beam, n_best, origin, initial, initial_loss, runner, call)
}

# The next beam: the best of the beam's own sequences and all edits of each, the first of equally
# good ones.
advance_beam <- function(beam, origin, goal, motifs, input_mask, runner, beam_size, iteration,
                         call) {
  sequences <- with_codes(origin, beam$codes)
  edits <- lapply(seq_along(beam$loss), function(row) {
    rbind(data.frame(row = row, motif = NA, start = NA), all_edits(motifs, input_mask, row))
  })
  edits <- do.call(rbind, edits)
  unchanged <- is.na(edits$motif)
  loss <- numeric(nrow(edits))
  loss[unchanged] <- beam$loss
  loss[!unchanged] <- score_edits(
    runner, sequences, motifs, edits[!unchanged, ], function(y_hat, row) goal_losses(goal, y_hat),
    call
  )
  # An edit that changes nothing is the sequence without it.
  same <- is.na(loss)
  loss[same] <- beam$loss[edits$row[same]]
  best <- utils::head(order(loss), beam_size)
  members <- lapply(best, function(i) {
    parent <- edits$row[i]
    codes <- beam$codes[, parent, drop = FALSE]
    trace <- beam$edits[[parent]]
    if (!unchanged[i]) {
      codes <- set_motif(codes, motifs$codes[[edits$motif[i]]], edits$start[i])
      trace <- rbind(trace, edit_row(
        iteration, motifs, edits$motif[i], edits$start[i], loss[i], beam$loss[parent] - loss[i]
      ))
    }
    list(codes = codes, edits = trace)
  })
  codes <- do.call(cbind, lapply(members, `[[`, "codes"))
  distinct <- which(!duplicated(codes, MARGIN = 2L))
  list(
    codes = codes[, distinct, drop = FALSE], loss = loss[best[distinct]],
    edits = lapply(members[distinct], `[[`, "edits")
  )
}

finish_beam <- function(beam, n_best, origin, initial, initial_loss, runner, call) {
  best <- seq_len(min(n_best, length(beam$loss)))
  sequences <- with_codes(origin, beam$codes[, best, drop = FALSE])
  X <- one_hot_array(sequences)
  edits <- lapply(best, function(i) {
    cbind(design = rep(i, nrow(beam$edits[[i]])), beam$edits[[i]])
  })
  structure(
    list(
      sequences = decode_one_hot(X), X = X, loss = beam$loss[best], initial_loss = initial_loss,
      edits = do.call(rbind, edits), prediction = run_design_model(runner, sequences, call),
      initial_prediction = initial
    ),
    class = "seqlift_design"
  )
}
