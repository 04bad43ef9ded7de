#' See what the distance between motifs does
#'
#' Applies a function, [predict()][predict.seqlift_model] by default, to background sequences before
#' and after several motifs are written into them, at each of several spacings.
#'
#' @inheritParams marginalize
#' @param motifs The motifs from left to right, at least two: a list or character vector of them, in
#'   any form that [marginalize()] takes.
#' @param spacings The spacings to try, each the number of positions between the end of a motif and
#'   the start of the next: for two motifs a vector with one number for each arrangement, for more a
#'   matrix with a row for each arrangement and a column for each gap (motifs - 1).
#' @param start Position of the first motif's first letter, counted from 1. `NULL` (default) centres
#'   each arrangement as a whole.
#' @return A [seqlift_perturbation]: a list with `before`, `[n, ...]`, and `after`, `[n, spacings,
#'   ...]` (lists of arrays for several outputs).
#' @section Errors: as those of [marginalize()], and `seqlift_error_argument` for spacings that are
#'   not whole numbers of at least 0 in the shape above, or that make an arrangement longer than the
#'   sequences allow. All of them come before `func` is called.
#' @source `space` of tangermeme 1.4.0 (Schreiber).
#' @seealso [substitute_motifs()]
#' @concept space
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' backgrounds <- random_one_hot(c(5, 4, 500), random_state = 0)
#' result <- space_motifs(model, backgrounds, c("AGATAAG", "CTTATCT"), spacings = c(5, 20, 100))
#' summary(result)
space_motifs <- function(model, X, motifs, spacings, func = predict, ..., start = NULL,
                         additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  sequences <- as_sequences(X, extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  motifs <- as_motif_list(motifs, call, files = FALSE)
  if (length(motifs) < 2L) {
    abort_argument("motifs", "at least two motifs", "one alone", hint = "See {.fn marginalize}.")
  }
  motif_args <- paste0("motifs[[", seq_along(motifs), "]]")
  motif_codes <- Map(function(motif, arg) {
    as_motif_codes(motif, arg, sequences$n, call)
  }, unname(motifs), motif_args)
  codes <- sequence_codes(sequences)
  spacings <- check_spacings(spacings, length(motifs) - 1L, call)
  starts <- arrange_motifs(
    vapply(motif_codes, nrow, integer(1L)), spacings, start, sequences$length, call
  )
  arrange <- function(i) {
    arranged <- codes
    for (j in seq_along(motif_codes)) {
      arranged <- core_substitute_motif(arranged, motif_codes[[j]], starts[i, j])
    }
    arranged
  }
  done <- if (predicts_edits(plan, sequences)) {
    predict_motifs(plan, sequences, codes, nrow(spacings), call, arrange)
  } else {
    plan <- share_draws(plan, sequences, call)
    list(
      before = call_func(plan, one_hot_array(sequences), call = call),
      afters = lapply(seq_len(nrow(spacings)), function(i) {
        call_func(plan, finish_one_hot(arrange(i), sequences), call = call)
      })
    )
  }
  new_perturbation(done$before, stack_results(done$afters, axis = 2L), "space_motifs",
    what = paste(
      paste(motif_names(motifs, motif_codes), collapse = ", "), "at", nrow(spacings),
      if (nrow(spacings) == 1L) "spacing" else "spacings", "in", sequences$n,
      if (sequences$n == 1L) "sequence" else "sequences", "of", sequences$length, "bp"
    ),
    func = label, axes = list(before = "sequence", after = c("sequence", "spacing")),
    varied = list(axis = "spacing", table = spacing_table(spacings)), replicates = "sequence",
    ranges = sequences$ranges, call = call
  )
}

# Double matrix [arrangements, gaps].
check_spacings <- function(spacings, n_gaps, call) {
  expected <- paste0(
    "whole numbers of at least 0, ",
    if (n_gaps == 1L) "a vector or a matrix with one column" else
      paste("a matrix with", n_gaps, "columns, one for each gap")
  )
  is_plain_vector <- is.null(dim(spacings)) && n_gaps == 1L
  fits <- is.numeric(spacings) && length(spacings) > 0L &&
    (is_plain_vector || (is.matrix(spacings) && ncol(spacings) == n_gaps))
  if (!fits) {
    abort_argument("spacings", expected, describe(spacings), call = call)
  }
  odd <- which(!is.finite(spacings) | spacings != trunc(spacings) | spacings < 0)
  if (length(odd) > 0L) {
    abort_argument("spacings", expected, paste("such with", spacings[odd[1L]]), call = call)
  }
  matrix(as.numeric(spacings), ncol = n_gaps)
}

# Integer matrix [arrangements, motifs] of first positions.
arrange_motifs <- function(sizes, spacings, start, length, call) {
  totals <- sum(sizes) + rowSums(spacings)
  widest <- which.max(totals)
  if (totals[widest] > length) {
    abort_argument("spacings",
      paste("small enough for", length, "positions"),
      paste0(
        "up to an arrangement of ", totals[widest], " positions (spacing ",
        toString(spacings[widest, ]), ")"
      ),
      call = call
    )
  }
  first <- vapply(totals, function(total) {
    check_motif_start(start, total, length, call)
  }, integer(1L))
  offsets <- apply(spacings, 1L, function(gaps) cumsum(c(0, utils::head(sizes, -1L) + gaps)))
  matrix(as.integer(first + t(offsets)), ncol = base::length(sizes))
}

spacing_table <- function(spacings) {
  n_gaps <- ncol(spacings)
  names <- if (n_gaps == 1L) "spacing" else paste0("spacing_", seq_len(n_gaps))
  stats::setNames(as.data.frame(spacings), names)
}
