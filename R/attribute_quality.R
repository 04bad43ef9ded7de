#' Judge attributions
#'
#' How faithful attributions are to the model, by measures that need nothing but predictions: do
#' they add up, does the prediction fall when the positions they call important are taken away, do
#' they foretell changes, do they agree with exact mutagenesis, do they stay where the sequence
#' hardly changes, and do they come out again. For one method or several to compare.
#'
#' @section Measures:
#' A position's score is the sum of its attributions over the bases; of hypothetical attributions
#' and gradients that of the base that is there.
#'
#' * `completeness`: the sum of all attributions less the change of the output from the references
#'   to the sequence (the mean of its [convergence_deltas()]), in units of the output; 0 is
#'   complete. `NA` for results without references.
#' * `deletion_area`: positions, those with the highest scores first, get the bases of a
#'   dinucleotide shuffle of the sequence; the mean prediction over `n_masks` shuffles at 0, 1, ...
#'   `steps` steps is the curve, and its area over the share of positions (0 to 1) is the mean
#'   prediction on the way, in units of the output. Attributions that find what raises the output
#'   make it fall at once: low is good.
#' * `insertion_area`: the same from the shuffles towards the sequence: high is good.
#' * `infidelity`, `infidelity_normalized`: a window of `perturbed_width` positions gets the bases
#'   of a shuffle; the mean over `n_perturbations` of the squared difference between what the
#'   attributions say the output loses and what it does lose. What they say is the sum of the scores
#'   of the positions that changed; of hypothetical attributions and gradients, the product with the
#'   difference of both sequences. Normalized: with attributions multiplied by the best factor, so
#'   that methods of different units can be compared. Low is good.
#' * `mutagenesis_correlation`: Spearman's correlation of the scores with those of
#'   [saturation_mutagenesis()], over positions.
#' * `sensitivity`: the largest change of the attributions (Euclidean norm, by their own) when one
#'   random base is substituted, over `n_substitutions`. Needs `explain`.
#' * `consistency`: the mean of Pearson's correlations of the scores with those of `repeats`.
#'
#' The same shuffles and windows serve all methods.
#'
#' @param model A model, see [load_model()].
#' @param X The sequences that were explained: a character vector, a `Biostrings::DNAStringSet`, or
#'   a one-hot array `[n, 4, L]`.
#' @param attributions A result of [deep_lift_shap()], [attribute()], [taylor_ism()] or
#'   [saturation_mutagenesis()] for the whole sequences and one target, a numeric array `[n, 4, L]`
#'   of attributions; or a named list of such, methods to compare.
#' @param ... Must be empty; what follows is given by name.
#' @param args The model's other inputs, see [predict()][predict.seqlift_model].
#' @param target The output that was explained, from 1. Default 1.
#' @param steps Steps of the curves. Default 20.
#' @param n_masks Shuffles of each sequence for the curves. Default 5.
#' @param n_perturbations Perturbed sequences for infidelity, for each sequence. Default 50.
#' @param perturbed_width Positions of a perturbation. Default 10.
#' @param perturbed Perturbed sequences to take instead, a one-hot array `[n, m, 4, L]`. Default
#'   `NULL`.
#' @param mutagenesis `TRUE` (default) compares with exact mutagenesis, which predicts 3 L sequences
#'   for each; a result of [saturation_mutagenesis()] is taken as it is; `FALSE` leaves it out.
#' @param explain How the attributions were made, for their sensitivity: a function of one-hot
#'   sequences `[m, 4, L]` that returns attributions of as many; for several methods a list of
#'   functions by their names. For models with other inputs than the sequence these must be filled
#'   in. Default `NULL`: left out.
#' @param n_substitutions Substituted sequences for sensitivity, for each sequence. Default 10.
#' @param repeats More results for the same sequences, of other seeds, references or models: a list;
#'   for several methods a list of lists by their names. Default `NULL`: left out.
#' @param random_state Whole number from 0 to 4294967295, the seed of all that is drawn. `NULL`
#'   (default) takes one from R's own generator.
#' @inheritParams predict.seqlift_model
#' @return A data frame of class `seqlift_attribution_quality` with a row for each method and
#'   sequence: `method`, `sequence` (name or number) and the measures above, those left out `NA`.
#'   Its attribute `curves` is a data frame with `method`, `sequence`, `share` (0 to 1), `deletion`
#'   and `insertion`. [plot()][plot.seqlift_attribution_quality] draws them.
#' @section Errors: `seqlift_error_argument` for attributions of another shape, of a window, of
#'   several targets, not of `X`, or raw multipliers, and other wrong arguments;
#'   `seqlift_error_sequence`, `seqlift_error_target`, `seqlift_error_args`, `seqlift_error_output`
#'   as for other functions.
#' @source Infidelity and sensitivity: Yeh C-K et al. (2019), On the (in)fidelity and sensitivity of
#'   explanations, NeurIPS 32, by the formulas of Captum 0.7 (`infidelity`, with its decorator for
#'   attributions that are multiplied by inputs; `sensitivity_max`). Curves: Petsiuk V, Das A,
#'   Saenko K (2018), RISE, BMVC.
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()["fly_planted_AGATAAG"]
#' methods <- list(
#'   deep_lift_shap = deep_lift_shap(model, X, n_shuffles = 5, random_state = 0),
#'   gradient_x_input = attribute(model, X, "gradient_x_input")
#' )
#' quality <- attribution_quality(model, X, methods,
#'   steps = 10, n_masks = 2, n_perturbations = 10, mutagenesis = FALSE, random_state = 0
#' )
#' quality
#' plot(quality)
attribution_quality <- function(model, X, attributions, ..., args = NULL, target = 1L, steps = 20L,
                                n_masks = 5L, n_perturbations = 50L, perturbed_width = 10L,
                                perturbed = NULL, mutagenesis = TRUE, explain = NULL,
                                n_substitutions = 10L, repeats = NULL, batch_size = 32L,
                                dtype = NULL, device = NULL, random_state = NULL,
                                verbose = FALSE) {
  call <- rlang::current_env()
  check_no_dots(..., .fn = "attribution_quality", .after = "attributions")
  check_model(model)
  check_one_output(model, call)
  sequences <- as_sequences(X)
  codes <- sequence_codes(sequences)
  steps <- check_count(steps, "steps", max = sequences$length)
  target <- check_count(target, "target")
  check_flag(verbose, "verbose")
  counts <- list(
    masks = check_count(n_masks, "n_masks"),
    perturbations = check_count(n_perturbations, "n_perturbations"),
    substitutions = check_count(n_substitutions, "n_substitutions"),
    width = check_count(perturbed_width, "perturbed_width", max = sequences$length)
  )
  one_method <- !is.list(attributions)
  methods <- as_methods(attributions, "attributions", sequences, codes, call)
  explain <- by_method(explain, "explain", names(methods), one_method, is.function,
    "a function of sequences", call
  )
  repeats <- by_method(repeats, "repeats", names(methods), one_method, is.list,
    "a list of results", call
  )
  repeats <- lapply(repeats, function(own) {
    as_methods(stats::setNames(own, seq_along(own)), "repeats", sequences, codes, call)
  })
  exact <- mutagenesis_scores(mutagenesis, sequences, codes, call)
  given <- perturbed_codes(perturbed, sequences, call)
  job <- list(
    model = model, args = check_args_rows(args, sequences$n, call), n = sequences$n,
    target = target, batch_size = check_count(batch_size, "batch_size"), dtype = check_dtype(dtype),
    device = check_device(if (is.null(device)) model$device else device), call = call
  )
  seed <- check_random_state(random_state)
  drawn <- draw_perturbations(sequences, codes, counts, given, seed, call)
  y <- predict_codes(job, codes, seq_len(sequences$n))
  if (isTRUE(mutagenesis)) {
    found <- saturation_mutagenesis(model, X, args = args, target = target,
      batch_size = batch_size, dtype = dtype, device = device
    )
    exact <- position_scores(found, codes)$scores
  }
  bar <- progress_bar(verbose, "Judging attributions")
  done <- 0
  rows <- list()
  curves <- list()
  for (i in seq_len(sequences$n)) {
    changes <- y[i] - predict_codes(job, drawn$perturbed[, , i], rep(i, dim(drawn$perturbed)[2L]))
    for (name in names(methods)) {
      own <- methods[[name]]
      curve <- curves_of(job, own$scores[i, ], codes[, i], drawn$masks[, , i], i, steps)
      said <- foretold(own, i, codes[, i], drawn$perturbed[, , i])
      infidelity <- infidelity_of(said, changes)
      rows[[length(rows) + 1L]] <- data.frame(
        method = name, sequence = i,
        completeness = if (is.null(own$deltas)) NA_real_ else mean(own$deltas[i, ], na.rm = TRUE),
        deletion_area = area_under(curve$deletion, curve$share),
        insertion_area = area_under(curve$insertion, curve$share),
        infidelity = infidelity[[1L]], infidelity_normalized = infidelity[[2L]],
        mutagenesis_correlation = if (is.null(exact)) NA_real_ else
          correlation_of(own$scores[i, ], exact[i, ], "spearman"),
        sensitivity = if (is.null(explain[[name]])) NA_real_ else
          explained_sensitivity(explain[[name]], own$values[i, , ], codes[, i],
            drawn$substitutions[, i], call
          ),
        consistency = if (is.null(repeats[[name]])) NA_real_ else
          mean(vapply(repeats[[name]], function(other) {
            correlation_of(own$scores[i, ], other$scores[i, ], "pearson")
          }, 1))
      )
      curves[[length(curves) + 1L]] <- data.frame(method = name, sequence = i, curve)
      done <- done + 1
      if (verbose) {
        bar(done / (sequences$n * length(methods)))
      }
    }
  }
  label <- function(parts) {
    table <- do.call(rbind, parts)
    table <- table[order(match(table$method, names(methods)), table$sequence), ]
    table$sequence <- (sequences$names %||% as.character(seq_len(sequences$n)))[table$sequence]
    rownames(table) <- NULL
    table
  }
  structure(label(rows),
    class = c("seqlift_attribution_quality", "data.frame"), curves = label(curves)
  )
}

#' @export
print.seqlift_attribution_quality <- function(x, ...) {
  print_table(as.data.frame(x), summary_rows)
  invisible(x)
}

# ---- what is judged -------------------------------------------------------------------

# A list by method of list(values [n, 4, L], scores [n, L], deltas [n, n_refs] or NULL,
# of_all_bases).
as_methods <- function(attributions, arg, sequences, codes, call) {
  if (!is.list(attributions)) {
    attributions <- list(attributions = attributions)
  }
  names <- names(attributions)
  if (length(attributions) == 0L || is.null(names) || anyDuplicated(names) || !all(nzchar(names))) {
    abort_argument(arg, "one result, or a list of results with names of their own",
      if (length(attributions) == 0L) "empty" else "a list without such names",
      call = call
    )
  }
  lapply(attributions, function(one) {
    check_judged(one, arg, sequences, codes, call)
    position_scores(one, codes)
  })
}

check_judged <- function(one, arg, sequences, codes, call) {
  refuse <- function(got, hint = NULL) {
    abort_argument(arg,
      paste0(
        "attributions of ", sequences$n, " sequence", if (sequences$n > 1L) "s", " [", sequences$n,
        ", 4, ", sequences$length, "]"
      ),
      got, hint,
      call = call
    )
  }
  if (!is.numeric(one) || !is.array(one)) {
    refuse(describe(one))
  }
  if (identical(attr(one, "kind", exact = TRUE), "multipliers")) {
    refuse("raw multipliers", "{.fn hypothetical_attributions} makes attributions of them.")
  }
  if (!identical(as.integer(dim(one)), c(sequences$n, n_bases, sequences$length))) {
    refuse(paste0("of shape [", toString(dim(one)), "]"),
      "Results for one target and the whole sequences."
    )
  }
  if (!all(is.finite(one))) {
    refuse("one with values that are not finite")
  }
  if (inherits(one, "seqlift_attributions")) {
    other <- which(colSums(matrix(observed_codes(one) != codes, sequences$length)) > 0L)
    if (length(other) > 0L) {
      refuse(paste("of another sequence than number", other[1L], "of `X`"))
    }
  }
}

# The sequences of a result as codes [L, n].
observed_codes <- function(one) {
  X <- attr(one, "X", exact = TRUE)
  if (is.character(X)) encode_letters(X) else unname(X)
}

position_scores <- function(one, codes) {
  kind <- attr(one, "kind", exact = TRUE) %||% "attributions"
  values <- plain_numbers(one)
  dimnames(values) <- NULL
  of_all_bases <- kind %in% c("hypothetical", "gradients")
  own <- if (of_all_bases) values * as.vector(codes_to_one_hot(codes)) else values
  deltas <- attr(one, "convergence_deltas", exact = TRUE)
  list(
    values = values, scores = sum_over_bases(own), of_all_bases = of_all_bases,
    deltas = if (!is.null(deltas) && ncol(deltas) > 0L && kind == "attributions") deltas
  )
}

# Arguments that go with methods: bare for one, by name for several.
by_method <- function(given, arg, names, one_method, fits, expected, call) {
  if (is.null(given)) {
    return(NULL)
  }
  if (one_method) {
    given <- stats::setNames(list(given), names)
  }
  good <- is.list(given) && !is.null(names(given)) && all(names(given) %in% names) &&
    all(vapply(given, function(one) fits(one) && length(one) > 0L, NA))
  if (!good) {
    abort_argument(arg,
      if (one_method) expected else paste0(expected, " for methods, by their names (",
        toString(names), ")"
      ),
      describe(if (one_method) given[[1L]] else given),
      call = call
    )
  }
  given
}

mutagenesis_scores <- function(mutagenesis, sequences, codes, call) {
  if (is.logical(mutagenesis) && !is.array(mutagenesis)) {
    check_flag(mutagenesis, "mutagenesis", call)
    return(NULL)
  }
  check_judged(mutagenesis, "mutagenesis", sequences, codes, call)
  position_scores(mutagenesis, codes)$scores
}

# ---- what is drawn --------------------------------------------------------------------

# Codes [L, m, n] of perturbed sequences that were given.
perturbed_codes <- function(perturbed, sequences, call) {
  if (is.null(perturbed)) {
    return(NULL)
  }
  shape <- dim(perturbed)
  if (!is.numeric(perturbed) || length(shape) != 4L || shape[1L] != sequences$n || shape[2L] < 1L ||
    shape[3L] != n_bases || shape[4L] != sequences$length) {
    abort_argument("perturbed",
      paste0("a one-hot array [", sequences$n, ", m, 4, ", sequences$length, "]"),
      describe(perturbed),
      call = call
    )
  }
  flat <- array(perturbed, c(shape[1L] * shape[2L], shape[3:4]))
  codes <- sequence_codes(as_sequences(flat, "perturbed", call))
  aperm(array(codes, c(shape[4L], shape[1L], shape[2L])), c(1L, 3L, 2L))
}

# list(masks [L, n_masks, n], perturbed [L, m, n], substitutions: a list matrix [m, n] of
# c(position, step to another base)).
draw_perturbations <- function(sequences, codes, counts, given, seed, call) {
  masks <- reference_shuffles(sequences, counts$masks, seed, call)
  generator <- random_generator(seed)
  perturbed <- given
  if (is.null(given)) {
    others <- suppressWarnings(reference_shuffles(
      sequences, counts$perturbations, (seed + counts$masks) %% 2^32, call
    ))
    perturbed <- others
    for (i in seq_len(sequences$n)) {
      perturbed[, , i] <- codes[, i]
      first <- floor(random_uniform(generator, counts$perturbations) *
        (sequences$length - counts$width + 1L))
      for (k in seq_len(counts$perturbations)) {
        window <- first[k] + seq_len(counts$width)
        perturbed[window, k, i] <- others[window, k, i]
      }
    }
  }
  m <- counts$substitutions
  position <- floor(random_uniform(generator, m * sequences$n) * sequences$length) + 1
  step <- floor(random_uniform(generator, m * sequences$n) * (n_bases - 1L)) + 1
  substitutions <- matrix(Map(c, position, step), m, sequences$n)
  list(masks = masks, perturbed = perturbed, substitutions = substitutions)
}

# ---- predictions ----------------------------------------------------------------------

# The target's output for codes [L, m], each with the inputs of sequence row[i].
predict_codes <- function(job, codes, row) {
  model <- job$model
  model$args <- args_of_rows(model$args, row, job$n)
  codes <- matrix(codes, ncol = length(row))
  y <- run_predict(model, code_sequences(codes), args_of_rows(job$args, row, job$n),
    job$batch_size, job$dtype, job$device, FALSE, job$call
  )[[1L]]
  check_targets_exist(job$target, y, job$call)
  as.vector(mean_of_targets(y, job$target))
}

curves_of <- function(job, scores, own, masks, i, steps) {
  masks <- matrix(masks, length(own))
  counts <- curve_counts(steps, length(own))
  order <- order(-scores)
  n <- ncol(masks)
  changed <- lapply(seq_len(n), function(j) {
    cbind(
      exchange_positions(own, masks[, j], order, counts),
      exchange_positions(masks[, j], own, order, counts)
    )
  })
  codes <- do.call(cbind, changed)
  y <- predict_codes(job, codes, rep(i, ncol(codes)))
  means <- rowMeans(array(y, c(length(counts), 2L, n)), dims = 2L)
  data.frame(share = counts / length(own), deletion = means[, 1L], insertion = means[, 2L])
}

# What attributions say that the output loses by each perturbation [L, m].
foretold <- function(method, i, own, perturbed) {
  perturbed <- matrix(perturbed, length(own))
  if (!method$of_all_bases) {
    return(colSums((perturbed != own) * method$scores[i, ]))
  }
  values <- method$values[i, , ]
  difference <- array(codes_to_one_hot(matrix(own)), c(1L, n_bases * length(own)))[
    rep(1L, ncol(perturbed)), , drop = FALSE] - matrix(codes_to_one_hot(perturbed), ncol(perturbed))
  as.vector(difference %*% as.vector(values))
}

explained_sensitivity <- function(explain, own, codes, substitutions, call) {
  others <- vapply(substitutions, function(one) {
    # An N becomes any base.
    codes[one[1L]] <- as.raw((as.integer(codes[one[1L]]) + one[2L]) %% n_bases)
    codes
  }, codes)
  X <- name_channels(codes_to_one_hot(others), NULL)
  values <- explain(X)
  if (!is.numeric(values) || !identical(dim(values), dim(X))) {
    abort_argument("explain", paste0("a function that returns attributions of shape [",
      toString(dim(X)), "]"
    ), paste("one that returned", describe(values)), call = call)
  }
  sensitivity_of(as.vector(own), matrix(plain_numbers(values), dim(X)[1L]))
}
