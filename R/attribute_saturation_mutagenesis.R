#' Saturation mutagenesis in silico
#'
#' Predicts every sequence with every base in place of the one that is there, at every position of a
#' window. Unlike a gradient it asks the model itself what each substitution does.
#'
#' @section Scores:
#' The score of base b at position p is what the substitution changes, less the mean over the four
#' bases: `d[b, p] = f(X with b at p) - f(X)`, then `d[b, p] - mean(d[, p])`, averaged over the
#' outputs in `target`. With `hypothetical = FALSE` the score of the base that is there is kept and
#' the others are 0. Substituting a base by itself changes nothing and is not predicted. A column of
#' zeros (N) has four true substitutions.
#'
#' @section How it is computed:
#' A substitution reaches only some of a layer's activations: a convolution widens the window that
#' changed, pooling shrinks it, and the rest is as in the original sequence. `"incremental"` keeps
#' the original's activations and computes the windows alone, leaving out what the output does not
#' look at; operations that spread a change everywhere (attention, recurrent layers) are computed in
#' full from there on. `"full"` predicts every substituted sequence as a whole. Both give the same
#' numbers to rounding (1e-12 in float64, of the size of the output). `"auto"` estimates from one
#' trial substitution what either takes, by the products, by the numbers that are read and written,
#' and by how many substitutions there are, and takes the cheaper one: windows where a change
#' reaches little, whole sequences where attention over a long context is most of the work. Beside
#' the activations of the original, which are kept where [seqlift_memory()] has room for them, a
#' batch of windows holds at most about a million numbers of each activation, or one window, on each
#' thread.
#'
#' @inheritParams predict.seqlift_model
#' @param model A model, see [load_model()].
#' @param start,end First and last position of the window, from 1, inclusive. Default: the whole
#'   sequence (`end = NULL`).
#' @param target Which outputs are averaged, from 1: one or several, of the first dimension behind
#'   the sequences. Default `NULL`: all of them.
#' @param hypothetical `TRUE` gives the scores of all bases, `FALSE` (default) those of the bases
#'   that are there.
#' @param raw_outputs `TRUE` gives the predictions themselves, see Value. Default `FALSE`.
#' @param method `"auto"` (default), `"incremental"` or `"full"`, see above.
#' @param batch_size How many whole sequences are evaluated at a time where they are. Default 32.
#'   The result does not depend on it; windows are batched by their size.
#' @param verbose `TRUE` shows a progress bar and says what share of the work was done. Default
#'   `FALSE`.
#' @return A `seqlift_attributions` array `[n, 4, end - start + 1]` in the units of the model's
#'   output, of kind `"attributions"` or `"hypothetical"`. Of a window the names of the third
#'   dimension are its positions in the sequence, by which it is printed, drawn and searched. With
#'   `raw_outputs = TRUE` a list: `y0`, the predictions `[n, ...]`, and `y_hat` `[n, 4, end - start
#'   + 1, ...]`, the predictions of all substitutions (`y0` itself where the base is there already);
#'   both are lists of such arrays for a model with several outputs.
#' @section Errors: `seqlift_error_argument` for a window that is empty or leaves the sequence, or a
#'   target that does not exist; `seqlift_error_output` for a model with several outputs unless
#'   `raw_outputs = TRUE`; otherwise as [predict.seqlift_model()].
#' @source The scores are those of `saturation_mutagenesis` in tangermeme 1.4.0 (Schreiber).
#'   Recomputing only what changed follows fastISM (Nair, Shrikumar, Schreiber and Kundaje 2022,
#'   Bioinformatics 38:2397) in its idea.
#' @seealso [taylor_ism()] for the approximation by one gradient, [dependency_map()].
#' @concept ISM
#' @concept in silico mutagenesis
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()[1]
#' scores <- saturation_mutagenesis(model, X, start = 240, end = 260)
#' dim(scores)
saturation_mutagenesis <- function(model, X, args = NULL, start = 1L, end = NULL, target = NULL,
                                   hypothetical = FALSE, raw_outputs = FALSE,
                                   method = c("auto", "incremental", "full"), batch_size = 32L,
                                   dtype = NULL, device = NULL, verbose = FALSE,
                                   BPPARAM = NULL) {
  given <- as.list(environment())
  call <- rlang::current_env()
  began <- proc.time()[["elapsed"]]
  asked <- check_substitutions(given, call)
  check_flag(hypothetical, "hypothetical")
  if (is_parallel(BPPARAM)) {
    return(over_sequences("saturation_mutagenesis", given, asked$sequences, BPPARAM))
  }
  job <- substitution_job(asked, given, call)
  sequences <- job$sequences
  window <- job$window

  if (!raw_outputs) {
    check_one_output(model, call, " or ask for {.code raw_outputs = TRUE}")
  }
  job$args <- complete_args(model, args, sequences, call)
  job$progress <- progress_bar(verbose, "Substituting")
  mutants <- predict_substitutions(job, target = if (!raw_outputs) job$target)
  if (verbose) {
    share <- format(100 * mutants$work, digits = 2)
    cli::cli_inform("{share} % of the work of predicting every substituted sequence as a whole.")
  }
  y0 <- lapply(mutants$originals, name_rows, names = sequences$names)
  if (raw_outputs) {
    y_hat <- lapply(mutants$outputs, name_substitutions, names = sequences$names, window = window)
    return(list(y0 = one_or_several(y0, model), y_hat = one_or_several(y_hat, model)))
  }
  scores <- centred_effects(y0[[1L]], mutants$outputs[[1L]], job$target)
  codes <- job$codes
  if (!hypothetical) {
    scores <- scores * as.vector(codes_to_one_hot(codes))
  }
  colnames(codes) <- sequences$names
  result <- new_attributions(scores,
    X = codes, convergence_deltas = matrix(0, sequences$n, 0L),
    kind = if (hypothetical) "hypothetical" else "attributions",
    info = list(
      method = paste0("saturation mutagenesis (", job$method, ")"), start = window[1L],
      sequence_length = sequences$length,
      target = job$target, dtype = job$dtype, device = job$device, model = model$name,
      seconds = proc.time()[["elapsed"]] - began
    )
  )
  place_result(result, sequences$ranges)
}

# The arguments that substitutions in a window have in common, of saturation_mutagenesis() and
# dependency_map(): list(sequences, window, method, batch_size, target).
check_substitutions <- function(given, call) {
  check_model(given$model, call)
  sequences <- as_sequences(given$X, call = call, extra_channels = TRUE)
  region <- check_region(given$start, given$end, sequences$length, call)
  check_flag(given$raw_outputs, "raw_outputs", call)
  list(
    sequences = sequences, window = seq(region[1L], region[2L]),
    method = check_choice(given$method, window_methods, "method", call = call),
    batch_size = check_count(given$batch_size, "batch_size", call = call),
    target = if (!is.null(given$target)) check_targets(given$target, call)
  )
}

# The same with what the engine is to do: of sequences also `codes`, the letters in the window
# [positions, n]. `args` and `progress` come later.
substitution_job <- function(asked, given, call) {
  device <- given$device %||% given$model$device
  check_flag(given$verbose, "verbose", call)
  c(asked, list(
    model = given$model, codes = sequence_codes(asked$sequences)[asked$window, , drop = FALSE],
    dtype = check_dtype(given$dtype, call), device = check_device(device, call), call = call
  ))
}

# How many substitutions go to the engine at a time: an array of them is held here.
substitutions_at_once <- 2e5

# Predictions of the sequences and of all substitutions in the window, the sequence's in the place
# of those that change nothing: list(originals = arrays [n, ...], outputs = arrays [n, 4, l, ...],
# work). The sequences are predicted one by one, as the substitutions are: in a batch the last bits
# depend on the other sequences. `target`: which outputs must be there.
predict_substitutions <- function(job, target) {
  n <- job$sequences$n
  each <- max(1L, as.integer(substitutions_at_once %/% (3L * length(job$window))))
  blocks <- unname(split(seq_len(n), (seq_len(n) - 1L) %/% each))
  parts <- lapply(blocks, function(rows) {
    progress <- scaled_progress(job$progress, (rows[1L] - 1) / n, length(rows) / n)
    predict_substitutions_of_rows(job, rows, target, progress)
  })
  work <- vapply(parts, `[[`, 1, "work")
  list(
    originals = stack_outputs(parts, "originals"), outputs = stack_outputs(parts, "outputs"),
    work = sum(work * lengths(blocks)) / n
  )
}

predict_substitutions_of_rows <- function(job, rows, target, progress) {
  n <- length(rows)
  window <- job$window
  l <- length(window)
  edits <- all_substitutions(job$codes[, rows, drop = FALSE], seq_len(n), window)
  args <- if (n == job$sequences$n) job$args else lapply(job$args, take_outputs, 1L, rows)
  result <- window_batch(job$model, engine_input(rows_of_sequences(job$sequences, rows), args),
    edits$row, edits$start, edits$content, job$batch_size, job$dtype, job$device, job$method,
    progress = progress, call = job$call, originals = "alone", target = target
  )
  place <- edits$row + n * (edits$base - 1L) + n * n_bases * (edits$start - window[1L])
  outputs <- Map(function(y, changed) {
    # Rows (sequence, base, position), columns the numbers of an output.
    values <- matrix(y, nrow = n)[rep(seq_len(n), n_bases * l), , drop = FALSE]
    values[place, ] <- matrix(changed, nrow = length(place))
    array(values, c(n, n_bases, l, dim(y)[-1L]))
  }, result$originals, result$outputs)
  list(
    originals = result$originals, outputs = unname(outputs),
    work = work_share(result, length(place))
  )
}

# Every base that is not there, for the positions of `codes` [l, n] in these rows.
all_substitutions <- function(codes, rows, window) {
  grid <- expand.grid(base = seq_len(n_bases), position = seq_along(window), row = rows)
  there <- as.integer(codes[cbind(grid$position, grid$row)]) + 1L
  grid <- grid[grid$base != there, ]
  content <- array(0, c(nrow(grid), n_bases, 1L))
  content[cbind(seq_len(nrow(grid)), grid$base, 1L)] <- 1
  list(row = grid$row, start = window[grid$position], base = grid$base, content = content)
}

# A part of a progress bar, for one of several calls.
scaled_progress <- function(progress, from, share) {
  if (is.null(progress)) {
    return(NULL)
  }
  function(done) progress(min(1, from + share * done))
}

# y_hat - y0, centred over the bases and averaged over the chosen outputs: [n, 4, l].
centred_effects <- function(y0, y_hat, target) {
  n <- dim(y_hat)[1L]
  shape <- dim(y_hat)[1:3]
  if (!is.null(target) && length(dim(y0)) > 1L) {
    y0 <- take_outputs(y0, 2L, target)
    y_hat <- take_outputs(y_hat, 4L, target)
  }
  effects <- matrix(y_hat, nrow = prod(shape)) -
    matrix(y0, nrow = n)[rep(seq_len(n), prod(shape[-1L])), , drop = FALSE]
  effects <- array(rowMeans(effects), shape)
  means <- sum_over_bases(effects) / n_bases
  effects - as.vector(aperm(array(means, shape[c(1L, 3L, 2L)]), c(1L, 3L, 2L)))
}

# Entries `chosen` of dimension `axis`.
take_outputs <- function(x, axis, chosen) {
  index <- rep(list(TRUE), length(dim(x)))
  index[[axis]] <- chosen
  do.call(`[`, c(list(x), index, list(drop = FALSE)))
}

name_substitutions <- function(values, names, window) {
  labels <- vector("list", length(dim(values)))
  labels[1L] <- list(names)
  labels[[2L]] <- base_letters
  labels[3L] <- list(position_names(window[1L], length(window)))
  dimnames(values) <- labels
  values
}
