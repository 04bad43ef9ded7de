#' See what a region is needed for
#'
#' Applies a function, [predict()][predict.seqlift_model] by default, to sequences before and after
#' a region of them is shuffled, several times: the counterpart of [marginalize()], which says how
#' predictions are computed.
#'
#' @inheritParams marginalize
#' @param X Sequences: a character vector, a `Biostrings::DNAStringSet`, or a one-hot array
#'   `[n_seq, 4, L]`. Further channels of an array stay as they are.
#' @param start,end First and last position of the region, counted from 1, inclusive.
#' @param n Number of shuffles of each sequence. Default 20.
#' @param shuffle How the region is shuffled: [dinucleotide_shuffle()] (default), which keeps the
#'   pairs of neighbouring bases, [shuffle_region()], [randomize_region()], or any function
#'   `f(X, start, end, n, random_state)` that returns an array `[n_seq, n, 4, L]`.
#' @param ... Arguments for `func`, by name: `args` (the model's other inputs, with a row for each
#'   sequence, which its shuffles share, or one for all), `target`, `batch_size`, ...
#' @param random_state Whole number that `shuffle` gets, and `func` too if it has an argument
#'   `random_state` that is not given in `additional_func_kwargs`: then the numbers are those of
#'   tangermeme, whose [deep_lift_shap()] compares the shuffled sequences with shuffles of their
#'   own. `NULL` (default): `set.seed()` governs both, and the references of the sequences as they
#'   were serve before and after.
#' @return A [seqlift_perturbation]: a list with `before`, `[n_seq, ...]`, and `after`,
#'   `[n_seq, n, ...]` (lists of arrays for several outputs).
#' @section Errors: `seqlift_error_sequence` for sequences that cannot be read;
#'   `seqlift_error_argument` for a region outside the sequences or another wrong argument;
#'   `seqlift_error_shuffle` for a region that no dinucleotide shuffle can change;
#'   `seqlift_error_args` for inputs with another number of rows. All of them come before `func` is
#'   called. `seqlift_error_output` if what it returns has no row for each sequence.
#' @source `ablate` of tangermeme 1.4.0 (Schreiber), whose default shuffle is [shuffle_region()].
#' @seealso [ablate_annotations()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' # Around the GATA site that was planted at 250 to 256.
#' result <- ablate(model, demo_sequences()["fly_planted_AGATAAG"], start = 240, end = 266,
#'   n = 5, random_state = 0
#' )
#' summary(result)
ablate <- function(model, X, start, end, n = 20L, shuffle = dinucleotide_shuffle, func = predict,
                   ..., random_state = NULL, additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  sequences <- as_sequences(X, extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  plan <- pass_random_state(plan, random_state)
  region <- check_region(start, end, sequences$length)
  n <- check_count(n, "n")
  X <- one_hot_array(sequences)
  shuffled <- call_shuffle(shuffle, X, region[1L], region[2L], n, random_state, call)
  done <- predict_shuffles(plan, sequences, list(shuffled), list(seq_len(sequences$n)), call)
  if (is.null(done)) {
    plan <- if (is.null(random_state)) share_draws(plan, sequences, call) else plan
    done <- list(
      before = call_func(plan, X, call = call),
      afters = list(call_on_shuffles(plan, shuffled, call))
    )
  }
  new_perturbation(done$before, done$afters[[1L]], "ablate",
    what = paste0(
      region[1L], " to ", region[2L], " of ", sequences$n,
      if (sequences$n == 1L) " sequence of " else " sequences of ", sequences$length, " bp, ",
      count_shuffles(n)
    ),
    func = label, axes = list(before = "sequence", after = c("sequence", "shuffle")),
    replicates = "sequence", ranges = sequences$ranges, call = call
  )
}

#' See what annotated regions are needed for
#'
#' Shuffles each annotated region on its own, in the sequence that it is on, and applies a function
#' before and after, as [ablate()] does.
#'
#' @inheritParams ablate
#' @inheritParams marginalize_annotations
#' @param X Sequences that the annotations are on, in any of the three forms.
#' @return A [seqlift_perturbation]: a list with `before`, `[annotations, 1, ...]`, and `after`,
#'   `[annotations, 1, n, ...]` (lists of arrays for several outputs): each annotation has one
#'   sequence.
#' @section Errors: as those of [ablate()], and `seqlift_error_annotations` for annotations that are
#'   empty, lack a column, name a sequence that is not there, or leave it.
#' @source `ablate_annotations` of tangermeme 1.4.0 (Schreiber), which loses outputs of models with
#'   several and fails with the model's other inputs.
#' @seealso [marginalize_annotations()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' sequences <- demo_sequences()
#' sites <- attr(sequences, "sites")[1:3, ]
#' # Ten positions more on either side of each site.
#' regions <- data.frame(
#'   sequence = sites$sequence, start = sites$start - 10, end = sites$end + 10
#' )
#' ablate_annotations(model, sequences, regions, n = 5, random_state = 0) |> summary()
ablate_annotations <- function(model, X, annotations, n = 20L, shuffle = dinucleotide_shuffle,
                               func = predict, ..., random_state = NULL,
                               additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  sequences <- as_sequences(X, extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  plan <- pass_random_state(plan, random_state)
  regions <- check_regions_of_examples(annotations, sequences, call)
  n <- check_count(n, "n")
  X <- one_hot_array(sequences)
  # All before the first call, as some regions cannot be shuffled.
  shuffled <- Map(function(example, start, end) {
    one <- X[example, , , drop = FALSE]
    call_shuffle(shuffle, one, start, end, n, random_state, call)
  }, regions$example, regions$start, regions$end)
  used <- unique(regions$example)
  row <- match(regions$example, used)
  done <- predict_shuffles(
    rows_of_plan(plan, used), rows_of_sequences(sequences, used), shuffled, row, call
  )
  if (is.null(done)) {
    plan <- if (is.null(random_state)) share_draws(plan, sequences, call) else plan
    done <- list(
      before = call_func(rows_of_plan(plan, used), X[used, , , drop = FALSE], call = call),
      afters = Map(function(one, example) {
        call_on_shuffles(plan, one, call, rows = example)
      }, shuffled, regions$example)
    )
  }
  befores <- lapply(row, function(row) map_outputs(done$before, array_rows, row))
  new_perturbation(
    stack_results(befores, labels = regions$annotation),
    stack_results(unname(done$afters), labels = regions$annotation), "ablate_annotations",
    what = paste0(
      nrow(regions), if (nrow(regions) == 1L) " annotation" else " annotations", " on ",
      length(used), " of ", sequences$n, if (sequences$n == 1L) " sequence, " else " sequences, ",
      count_shuffles(n)
    ),
    func = label,
    axes = list(before = c("annotation", NA), after = c("annotation", NA, "shuffle")),
    varied = list(axis = "annotation", table = label_examples(regions, sequences$names)),
    replicates = "shuffle", ranges = ranges_of_regions(regions, sequences, call), call = call
  )
}

count_shuffles <- function(n) paste(n, if (n == 1L) "shuffle" else "shuffles of each")

# A function that draws at random gets the seed of the shuffles too.
pass_random_state <- function(plan, random_state) {
  takes_it <- "random_state" %in% names(formals(args(plan$func)))
  if (takes_it && !"random_state" %in% names(plan$more)) {
    plan$more["random_state"] <- list(random_state)
  }
  plan
}

# An array [n_seq, n, channels, L] from the user's function, or ours.
call_shuffle <- function(shuffle, X, start, end, n, random_state, call) {
  if (!is.function(shuffle)) {
    abort_argument("shuffle", "a function of (X, start, end, n, random_state)", describe(shuffle),
      call = call
    )
  }
  shuffled <- shuffle(X, start = start, end = end, n = n, random_state = random_state)
  expected <- c(dim(X)[1L], n, dim(X)[-1L])
  if (!is.numeric(shuffled) || !identical(dim(shuffled), as.integer(expected))) {
    abort_argument("shuffle",
      paste("a function that returns an array of shape", paste(expected, collapse = " x ")),
      paste("one that returns", describe(shuffled)),
      call = call
    )
  }
  shuffled
}

# Plain predictions of the sequences and of all shuffles [rows, n, 4, L] of some of their `rows`:
# list(before, afters), or nothing where the shuffles are no letters or change more than these.
predict_shuffles <- function(plan, sequences, shuffled, rows, call) {
  if (!predicts_edits(plan, sequences) || sequences$channels != n_bases) {
    return(NULL)
  }
  codes <- sequence_codes(sequences)
  edits <- vector("list", length(shuffled))
  for (i in seq_along(shuffled)) {
    shape <- dim(shuffled[[i]])
    flat <- array(as.double(shuffled[[i]]), c(shape[1L] * shape[2L], shape[3:4]))
    flat <- as_sequences(flat, call = call, only_warn = TRUE)
    if (!flat$one_hot) {
      return(NULL)
    }
    edits[[i]] <- edits_between(codes, sequence_codes(flat), rep(rows[[i]], shape[2L]))
  }
  all <- join_edits(edits)
  done <- call_on_edits(plan, sequences, all, sequences$names[all$row], call)
  last <- cumsum(vapply(edits, function(own) length(own$row), 1L))
  afters <- Map(function(one, own, end) {
    after <- map_outputs(done$after, take_outputs, 1L, end - length(own$row) +
      seq_along(own$row))
    split_rows(after, dim(one)[1L], dim(one)[2L])
  }, shuffled, edits, last)
  list(before = done$before, afters = unname(afters))
}

# `func` on all shuffles at once, [n_seq, n, ...]. `rows`: whose sequences these are.
call_on_shuffles <- function(plan, shuffled, call, rows = seq_len(plan$n)) {
  shape <- dim(shuffled)
  labels <- dimnames(shuffled)
  flat <- array(shuffled, c(shape[1L] * shape[2L], shape[3:4]))
  names <- if (!is.null(labels[[1L]])) rep(labels[[1L]], shape[2L])
  dimnames(flat) <- list(names, labels[[3L]], NULL)
  plan <- rows_of_plan(plan, rep(rows, shape[2L]))
  split_rows(call_func(plan, flat, call = call), shape[1L], shape[2L])
}
