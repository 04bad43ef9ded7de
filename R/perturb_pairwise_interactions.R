#' Measure interactions between parts of sequences
#'
#' What two parts of a sequence, such as two motif instances, do together beyond what each does
#' alone: second differences of predictions, exact, and their first-order approximation by
#' attributions (deep feature interaction maps), with p-values against shuffled sequences.
#'
#' @section What is measured:
#' A part is taken away by giving its positions the bases of a dinucleotide shuffle of the sequence,
#' the same shuffle for both parts; all is averaged over `n` shuffles. With f the model's output,
#' A the first part and B the second:
#'
#' * `first_effect`: `f(X) - f(X without A)`, `second_effect` and `joint_effect` (without both)
#'   alike;
#' * `interaction`: `f(X) - f(X without A) - f(X without B) + f(X without both)`, what A adds in the
#'   presence of B more than in its absence; 0 where the effects add up. `interaction.se` is its
#'   standard error over shuffles;
#' * `dfim`: the attributions of B in the sequence less those in the sequence without A, summed over
#'   the positions of B, with the same references for both ([deep_lift_shap()]). It needs no pair of
#'   parts to be taken away, and is not the same when A and B change places.
#'
#' With `null`, the sequence as a whole is shuffled so often, and the interaction of the same
#' positions measured with the same shuffles put in; `p_value` is two-sided and empirical, as in
#' [score_variants()], `q_value` after Benjamini and Hochberg over all pairs.
#'
#' @param model A model, see [load_model()].
#' @param X Sequences: a character vector, a `Biostrings::DNAStringSet` or a one-hot array `[n, 4,
#'   L]`.
#' @param first,second Parts of the sequences: a data frame with the columns `start` and `end` (from
#'   1, inclusive) and, for parts of some sequences, `example` (number or name); further columns are
#'   kept out. Or whole numbers, positions by themselves. Without `example` they are parts of every
#'   sequence. Every first part is paired with every second one of its sequence, but for pairs that
#'   overlap.
#' @param ... Must be empty; what follows is given by name.
#' @param args The model's other inputs, see [predict()][predict.seqlift_model].
#' @param target The output to look at, from 1. Default 1.
#' @param n Shuffles to average over. Default 10.
#' @param dfim `TRUE` (default) gives the column `dfim`, which takes `n` times as many attributions
#'   as there are first parts; `FALSE` leaves it out.
#' @param n_shuffles References of a sequence for `dfim`. Default 20.
#' @param null How many shuffled sequences make the null. Default `NULL`: no p-values.
#' @param random_state Whole number from 0 to 4294967295, the seed of all shuffles. `NULL` (default)
#'   takes one from R's own generator.
#' @inheritParams predict.seqlift_model
#' @return A data frame with a row for each pair: `sequence` (name or number), `first_start`,
#'   `first_end`, `second_start`, `second_end`, the columns above in units of the output, and with
#'   `null` `p_value` and `q_value`.
#' @section Errors: `seqlift_error_argument` for parts that are none, lie outside of the sequence,
#'   or of which no pair is left, and other wrong arguments; `seqlift_error_sequence`,
#'   `seqlift_error_target`, `seqlift_error_args`, `seqlift_error_output` as for other functions;
#'   those of [deep_lift_shap()] for `dfim`.
#' @source Greenside P, Shimko T, Fordyce P, Kundaje A (2018), Discovering epistatic feature
#'   interactions from neural network models of regulatory DNA sequences, Bioinformatics 34:i629.
#' @seealso [dependency_map()] for every pair of positions, [space_motifs()] for distances
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()["yeast_planted_two"]
#' sites <- subset(attr(demo_sequences(), "sites"), sequence == names(X) & planted)
#' pairwise_interactions(model, X, sites[1, ], sites[2, ],
#'   n = 3, n_shuffles = 5, null = 10, random_state = 0
#' )
pairwise_interactions <- function(model, X, first, second, ..., args = NULL, target = 1L, n = 10L,
                                  dfim = TRUE, n_shuffles = 20L, null = NULL, batch_size = 32L,
                                  dtype = NULL, device = NULL, random_state = NULL,
                                  verbose = FALSE) {
  call <- rlang::current_env()
  check_no_dots(..., .fn = "pairwise_interactions", .after = "second")
  check_model(model)
  check_one_output(model, call)
  sequences <- as_sequences(X)
  codes <- sequence_codes(sequences)
  for (flag in c("dfim", "verbose")) {
    check_flag(get(flag), flag)
  }
  n <- check_count(n, "n")
  n_shuffles <- check_count(n_shuffles, "n_shuffles")
  null <- check_count(null, "null", null = TRUE)
  pairs <- pair_parts(
    as_parts(first, "first", sequences, call), as_parts(second, "second", sequences, call), call
  )
  job <- list(
    model = model, args = check_args_rows(args, sequences$n, call), n = sequences$n,
    target = check_count(target, "target"), batch_size = check_count(batch_size, "batch_size"),
    dtype = check_dtype(dtype),
    device = check_device(if (is.null(device)) model$device else device), call = call
  )
  given <- list(dtype = dtype, device = device)
  seed <- check_random_state(random_state)
  masks <- reference_shuffles(sequences, n, seed, call)
  shuffled <- if (!is.null(null)) {
    suppressWarnings(reference_shuffles(sequences, null, (seed + n) %% 2^32, call))
  }
  references <- if (dfim) {
    suppressWarnings(reference_shuffles(sequences, n_shuffles, seed, call))
  }
  bar <- progress_bar(verbose, "Pairing")
  examples <- unique(pairs$example)
  tables <- lapply(seq_along(examples), function(k) {
    i <- examples[k]
    own <- pairs[pairs$example == i, ]
    own_masks <- matrix(masks[, , i], sequences$length)
    table <- cbind(own, second_differences(job, codes[, i], i, own, own_masks))
    if (dfim) {
      table$dfim <- attribution_differences(job, codes[, i], i, own, own_masks,
        matrix(references[, , i], sequences$length), given
      )
    }
    if (!is.null(null)) {
      nulls <- vapply(seq_len(null), function(s) {
        second_differences(job, shuffled[, s, i], i, own, own_masks)$interaction
      }, numeric(nrow(own)))
      nulls <- matrix(nulls, nrow(own))
      table$p_value <- vapply(seq_len(nrow(own)), function(row) {
        empirical_p_values(table$interaction[row], nulls[row, ], "both")
      }, 1)
    }
    if (verbose) {
      bar(k / length(examples))
    }
    table
  })
  table <- do.call(rbind, tables)
  if (!is.null(null)) {
    table$q_value <- stats::p.adjust(table$p_value, "BH")
  }
  labels <- sequences$names %||% as.character(seq_len(sequences$n))
  rownames(table) <- NULL
  cbind(sequence = labels[table$example], table[names(table) != "example"])
}

# ---- parts ----------------------------------------------------------------------------

# A data frame of example, start, end.
as_parts <- function(parts, arg, sequences, call) {
  refuse <- function(expected, got) {
    hint <- if (is.data.frame(parts)) count_hint_of_rows(parts[["example"]], parts[["start"]])
    abort_argument(arg, expected, got, hint, call = call)
  }
  if (is.numeric(parts) && is.null(dim(parts))) {
    parts <- data.frame(start = parts, end = parts)
  }
  if (!is.data.frame(parts) || !all(c("start", "end") %in% names(parts))) {
    refuse("a data frame with the columns start and end, or positions",
      if (is.data.frame(parts)) paste("one with", toString(names(parts))) else describe(parts)
    )
  }
  if (nrow(parts) == 0L) {
    refuse("at least one part", "empty")
  }
  start <- parts$start
  end <- parts$end
  within <- is.numeric(start) & is.numeric(end)
  within <- within & is.finite(start) & is.finite(end) & start == trunc(start) & end == trunc(end) &
    start >= 1 & start <= end & end <= sequences$length
  if (!all(within)) {
    bad <- which(!within)[1L]
    refuse(paste("of positions from 1 to", sequences$length),
      paste0("one of ", start[bad], " to ", end[bad], " (number ", bad, ")")
    )
  }
  if (is.null(parts[["example"]])) {
    example <- rep(seq_len(sequences$n), each = nrow(parts))
    return(data.frame(example = example, start = as.integer(start), end = as.integer(end)))
  }
  example <- match_examples(parts$example, sequences)
  if (anyNA(example)) {
    bad <- which(is.na(example))[1L]
    refuse(examples_expected(sequences),
      paste0("one of sequence ", parts$example[bad], " (number ", bad, ")")
    )
  }
  data.frame(example = example, start = as.integer(start), end = as.integer(end))
}

pair_parts <- function(first, second, call) {
  names(first)[2:3] <- c("first_start", "first_end")
  names(second)[2:3] <- c("second_start", "second_end")
  first$row <- seq_len(nrow(first))
  second$other <- seq_len(nrow(second))
  pairs <- merge(first, second, by = "example")
  pairs <- pairs[order(pairs$example, pairs$row, pairs$other), ]
  apart <- pairs$first_end < pairs$second_start | pairs$second_end < pairs$first_start
  if (!any(apart)) {
    abort_argument("second", "such that a pair of parts lies in one sequence and does not overlap",
      "without one",
      call = call
    )
  }
  pairs[apart, setdiff(names(pairs), c("row", "other"))]
}

# ---- differences ----------------------------------------------------------------------

# Copies [L, masks] of a sequence without some positions.
without_positions <- function(own, masks, positions) {
  copies <- matrix(own, length(own), ncol(masks))
  copies[positions, ] <- masks[positions, ]
  copies
}

second_differences <- function(job, own, i, pairs, masks) {
  n <- ncol(masks)
  keys <- list(
    first = paste(pairs$first_start, pairs$first_end),
    second = paste(pairs$second_start, pairs$second_end)
  )
  singles <- unique(data.frame(
    key = unlist(keys), start = c(pairs$first_start, pairs$second_start),
    end = c(pairs$first_end, pairs$second_end)
  ))
  alone <- lapply(seq_len(nrow(singles)), function(k) {
    without_positions(own, masks, singles$start[k]:singles$end[k])
  })
  both <- lapply(seq_len(nrow(pairs)), function(k) {
    without_positions(own, masks, c(
      pairs$first_start[k]:pairs$first_end[k], pairs$second_start[k]:pairs$second_end[k]
    ))
  })
  codes <- do.call(cbind, c(list(matrix(own)), alone, both))
  y <- predict_codes(job, codes, rep(i, ncol(codes)))
  # [masks, copies]
  lost <- y[1L] - matrix(y[-1L], n)
  of_first <- lost[, match(keys$first, singles$key), drop = FALSE]
  of_second <- lost[, match(keys$second, singles$key), drop = FALSE]
  of_both <- lost[, nrow(singles) + seq_len(nrow(pairs)), drop = FALSE]
  interaction <- of_first + of_second - of_both
  data.frame(
    first_effect = colMeans(of_first), second_effect = colMeans(of_second),
    joint_effect = colMeans(of_both), interaction = colMeans(interaction),
    interaction.se = standard_error_over_models(t(interaction))
  )
}

# Attributions of the second parts in the sequence less those without the first parts.
attribution_differences <- function(job, own, i, pairs, masks, references, given) {
  firsts <- unique(pairs[c("first_start", "first_end")])
  changed <- lapply(seq_len(nrow(firsts)), function(k) {
    without_positions(own, masks, firsts$first_start[k]:firsts$first_end[k])
  })
  codes <- do.call(cbind, c(list(matrix(own)), changed))
  m <- ncol(codes)
  model <- job$model
  model$args <- args_of_rows(model$args, rep(i, m), job$n)
  refs <- codes_to_one_hot(references)
  refs <- aperm(array(refs, c(dim(refs), m)), c(4L, 1L, 2L, 3L))
  scores <- deep_lift_shap(model, name_channels(codes_to_one_hot(codes), NULL),
    args = args_of_rows(job$args, rep(i, m), job$n), target = job$target,
    batch_size = job$batch_size, references = refs, dtype = given$dtype, device = given$device
  )
  # [L, m]
  scores <- t(sum_over_bases(plain_numbers(scores)))
  of_first <- match(
    paste(pairs$first_start, pairs$first_end), paste(firsts$first_start, firsts$first_end)
  )
  vapply(seq_len(nrow(pairs)), function(k) {
    second <- pairs$second_start[k]:pairs$second_end[k]
    without <- 1L + (of_first[k] - 1L) * ncol(masks) + seq_len(ncol(masks))
    sum(scores[second, 1L]) - sum(scores[second, without]) / ncol(masks)
  }, 1)
}
