#' Design a sequence by greedy substitution of motifs
#'
#' In each iteration every motif is tried at every position, and the one edit that brings the
#' model's output closest to the goal is kept. It ends when the best edit improves the loss by no
#' more than `tol` (that edit is kept, if it improves it at all), or after `max_iter` edits.
#'
#' @param model A model with one output, see [select_output()] and [profile_score()].
#' @param X The sequence to start from, one: a string, a `Biostrings::DNAStringSet` of length 1 or
#'   a one-hot array `[1, 4, L]` (extra channels stay as they are).
#' @param y The target: one number for all outputs, or numbers in the shape of the model's output
#'   of one sequence, in its units. `NULL` (default): the strongest response. See
#'   [seqlift_design] for the loss.
#' @param motifs Character vector (or `DNAStringSet`, or objects as [as_motif_matrices()] takes
#'   them, for their consensus) of the motifs to try; names are used in the trace. An N leaves the
#'   base that is there. `NULL` (default): the four bases, so that each edit changes one letter.
#' @param loss Function of `y` and predictions, see [seqlift_design]. Default: the squared error.
#' @param reverse_complement `TRUE` (default): try each motif on both strands, which takes twice as
#'   long. Of no effect without `motifs`.
#' @param input_mask `TRUE` for each of the L positions where a motif may start (it may reach
#'   beyond them). Default `NULL`: all.
#' @param output_mask `TRUE` for each output that enters the loss (for outputs of several
#'   dimensions along the first of them). Default `NULL`: all.
#' @param tol Smallest improvement of the loss to go on for, at least 0. Default 0.001.
#' @param max_iter Largest number of edits. Default `NULL`: no limit.
#' @param args List of the model's other inputs, with one row; see [with_args()]. Default `NULL`.
#' @param verbose `TRUE` shows the progress and the loss after each iteration. Default `FALSE`.
#' @inheritParams predict.seqlift_model
#' @return A list of class `seqlift_design`:
#'   \describe{
#'   \item{sequences}{the designed sequence, a string}
#'   \item{X}{the same as one-hot array `[1, 4, L]`}
#'   \item{loss, initial_loss}{its loss, and that of the sequence it started from}
#'   \item{prediction, initial_prediction}{the model's outputs `[1, ...]` for both}
#'   \item{edits}{data frame, one row an edit in their order: `design` (which of the sequences),
#'     `iteration`, `motif`, `start`, `end` (1-based, inclusive), `strand`, `loss` after it and
#'     `improvement`}
#'   }
#' @section Errors: `seqlift_error_argument` for a model with several outputs, several sequences,
#'   a motif longer than the sequence, a mask or target that does not fit, or another wrong
#'   argument; `seqlift_error_sequence` for sequences or motifs that cannot be read; those of
#'   [predict.seqlift_model()] besides.
#' @source `greedy_substitution` of tangermeme 1.4.0 (Schreiber), whose default of `max_iter`
#'   makes no edit. Of equally good edits it keeps the first: first motif, then first position.
#' @seealso [beam_substitution()], [greedy_marginalization()], [screen_sequences()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' start <- substr(demo_sequences()[1], 1, 60)
#' design <- greedy_substitution(model, start, motifs = c(GATA = "AGATAAG"), max_iter = 2)
#' design
#' design$sequences
greedy_substitution <- function(model, X, y = NULL, motifs = NULL, loss = squared_error,
                                reverse_complement = TRUE, input_mask = NULL, output_mask = NULL,
                                tol = 1e-3, max_iter = NULL, args = NULL, batch_size = 32L,
                                dtype = NULL, device = NULL, verbose = FALSE) {
  search_beam(
    model, X, y, motifs, loss, reverse_complement, input_mask, output_mask,
    beam_size = 1L, n_best = 1L, tol = tol, max_iter = max_iter, args = args,
    batch_size = batch_size, dtype = dtype, device = device, verbose = verbose
  )
}
