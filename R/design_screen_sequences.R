#' Design sequences by screening random ones
#'
#' Draws batches of sequences and keeps the best of all: the simplest way to design, and a
#' yardstick for the others.
#'
#' @inheritParams greedy_substitution
#' @param length Length of the sequences, in bp.
#' @param n_best Number of sequences to return. Default 1.
#' @param tol It ends when the worst of the `n_best` best sequences has a loss below this. Default
#'   0.001. Of no effect without `y`.
#' @param max_iter Largest number of batches. Default `NULL`: no limit, for which there must be a
#'   target `y`.
#' @param func Function that draws sequences: called as `func(shape, random_state = seed, ...)`
#'   with the shape `c(batch_size, 4, length)`, it returns sequences in any form that
#'   [predict.seqlift_model()] takes. Default: [random_one_hot()].
#' @param additional_func_kwargs Named list of further arguments of `func`. Default: none.
#' @param args List of the model's other inputs, with `batch_size` rows or one, the same for each
#'   batch; see [with_args()]. Default `NULL`.
#' @param batch_size Number of sequences in a batch, drawn and evaluated together. Default 32. As
#'   each batch has a seed of its own, other sizes draw other sequences.
#' @param random_state Whole number from 0 to 4294967295: batch i (from 1) is drawn with the seed
#'   `random_state + i - 1`. `NULL` (default) takes it from R's own generator, so that [set.seed()]
#'   governs the result.
#' @return A list of class `seqlift_design`, the lowest loss first (of equal ones the one drawn
#'   first):
#'   \describe{
#'   \item{sequences, X}{the best sequences: strings `[n_best]`, and one-hot `[n_best, 4, length]`}
#'   \item{loss}{their losses `[n_best]`}
#'   \item{prediction}{the model's outputs `[n_best, ...]`}
#'   \item{iterations}{the number of batches that were drawn}
#'   }
#' @section Errors: `seqlift_error_argument` for a model with several outputs, neither `y` nor
#'   `max_iter`, a target or mask that does not fit, a `func` that does not return `batch_size`
#'   sequences of this length, or another wrong argument; `seqlift_error_sequence` for sequences
#'   of `func` that cannot be read; those of [predict.seqlift_model()] besides.
#' @source `screen` of tangermeme 1.4.0 (Schreiber), which adds the losses of several outputs up
#'   where here they are averaged, and without a target aims at 9999999.
#' @seealso [greedy_substitution()], [beam_substitution()]
#' @concept screen
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' design <- screen_sequences(model, 60, n_best = 2, max_iter = 2, random_state = 0)
#' design
#' design$sequences
screen_sequences <- function(model, length, y = NULL, loss = squared_error, output_mask = NULL,
                             n_best = 1L, tol = 1e-3, max_iter = NULL, func = random_one_hot,
                             additional_func_kwargs = list(), args = NULL, batch_size = 32L,
                             dtype = NULL, device = NULL, random_state = NULL, verbose = FALSE) {
  call <- rlang::current_env()
  length <- check_count(length, "length")
  goal <- design_goal(y, loss, output_mask, call)
  n_best <- check_count(n_best, "n_best")
  tol <- check_number(tol, "tol", min = 0)
  max_iter <- check_max_iter(max_iter, call)
  if (is.null(y) && is.infinite(max_iter)) {
    abort_argument("max_iter", "a number where there is no target y", "`NULL`",
      hint = "Without a target there is always a stronger response to look for."
    )
  }
  check_function(func, "func", call)
  if (!is.list(additional_func_kwargs)) {
    abort_argument("additional_func_kwargs", "a list", describe(additional_func_kwargs))
  }
  additional_func_kwargs <- as.list(additional_func_kwargs)
  check_all_named(additional_func_kwargs, "additional_func_kwargs", call)
  check_takes(func, c("random_state", names(additional_func_kwargs)), call, 1L, "a shape")
  runner <- design_runner(model, args, batch_size, dtype, device, verbose, call)
  seed <- check_random_state(random_state)
  check_fits_memory(8 * as.double(runner$batch_size) * n_bases * length, "length", length)

  best <- NULL
  iteration <- 0L
  repeat {
    # Seeds are 32 bits wide.
    drawn <- draw_batch(
      func, c(runner$batch_size, n_bases, length), (seed + iteration) %% 2^32,
      additional_func_kwargs, call
    )
    predicted <- run_design_model(runner, drawn, call)
    if (is.null(best)) {
      goal <- fit_goal(goal, predicted)
    }
    batch <- list(
      X = one_hot_array(drawn), loss = goal_losses(goal, predicted), prediction = predicted
    )
    best <- keep_best(best, batch, n_best)
    iteration <- iteration + 1L
    tell_screened(runner, iteration, best$loss[1L])
    done <- !is.null(y) && length(best$loss) == n_best && best$loss[n_best] < tol
    if (done || iteration >= max_iter) {
      break
    }
  }
  X <- name_channels(best$X, NULL)
  structure(
    c(list(sequences = decode_one_hot(X), X = X), best[c("loss", "prediction")],
      iterations = iteration
    ),
    class = "seqlift_design"
  )
}

draw_batch <- function(func, shape, seed, kwargs, call) {
  X <- do.call(func, c(list(shape, random_state = seed), kwargs))
  sequences <- as_sequences(X, "func", call, extra_channels = TRUE)
  if (sequences$n != shape[1L] || sequences$length != shape[3L]) {
    abort_argument("func",
      paste("a function that returns", shape[1L], "sequences of", shape[3L], "bp"),
      paste("one that returned", sequences$n, "of", sequences$length, "bp"),
      call = call
    )
  }
  sequences["names"] <- list(NULL)
  sequences
}

keep_best <- function(best, batch, n_best) {
  if (is.null(best)) {
    all <- batch
  } else {
    all <- list(
      X = stack_rows(list(best$X, batch$X)), loss = c(best$loss, batch$loss),
      prediction = stack_rows(list(best$prediction, batch$prediction))
    )
  }
  rows <- utils::head(order(all$loss), n_best)
  list(
    X = array_rows(all$X, rows), loss = all$loss[rows],
    prediction = array_rows(all$prediction, rows)
  )
}

tell_screened <- function(runner, iteration, loss) {
  if (runner$verbose) {
    cli::cli_inform("Batch {iteration}: lowest loss {format_loss(loss)}.")
  }
}
