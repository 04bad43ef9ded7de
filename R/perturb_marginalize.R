#' See what a motif does in background sequences
#'
#' Applies a function, [predict()][predict.seqlift_model] by default, to background sequences before
#' and after a motif is written into them. Averaged over the backgrounds (see
#' [summary()][summary.seqlift_perturbation]), the difference is what the motif does on its own.
#'
#' With `motifs`, many motifs are tried on the same backgrounds, for which `func` is called once.
#'
#' @section How predictions are computed:
#' With `func = predict` each sequence is evaluated once, and of its edited copies only what an edit
#' reaches, as [saturation_mutagenesis()] does it, where that costs less than whole copies. The
#' numbers are those of whole copies to rounding (1e-12 in float64, of the size of the output); any
#' other `func`, also a function that calls `predict()`, gets whole copies.
#'
#' @param model A model, see [load_model()]; or what `func` takes as such.
#' @param X Background sequences: a character vector, a `Biostrings::DNAStringSet`, or a one-hot
#'   array `[n, 4, L]`. Further channels of an array stay as they are.
#' @param motif The motif: a string, whose N leave the background as it is; a `DNAString`; a one-hot
#'   array `[1, 4, m]`; a matrix `[4, m]` of counts, probabilities or weights, whose consensus is
#'   taken (see [motif_consensus()]), or an object of universalmotif or TFBSTools with such a matrix
#'   (see [as_motif_matrices()]); or one motif for each sequence, as a character vector,
#'   `DNAStringSet` or array `[n, 4, m]`.
#' @param start Position of the motif's first letter, counted from 1. `NULL` (default) centres it:
#'   after `L %/% 2 - m %/% 2` positions.
#' @param func What is applied: `predict` (default), [deep_lift_shap()],
#'   `saturation_mutagenesis()`, or any function `func(model, X, ...)` that returns an array with a
#'   row for each sequence or a list of such arrays. It gets `X` as an array `[n, 4, L]`.
#' @param ... Arguments for `func`, by name: `args` (the model's other inputs, with a row for each
#'   background or one for all), `target`, `batch_size`, `random_state`, ... A `func` that draws at
#'   random (that has an argument `random_state`) gets one seed for before and after, and
#'   [deep_lift_shap()], [pisa()] and [attribute()] the same references: those of the sequences as
#'   they were.
#' @param motifs Several motifs, instead of `motif`: a list or character vector of them, a
#'   `DNAStringSet`, a `PFMatrixList` or `PWMatrixList` of TFBSTools, an array `[k, 4, m]`, or the
#'   path of a file in the format of MEME or JASPAR (see [read_motifs()]). Motifs may differ in
#'   length. Default `NULL`.
#' @param additional_func_kwargs List of further arguments for `func`, by name: those that have the
#'   name of an argument of this function, such as `start`. Default: none.
#' @param BPPARAM Where `func` is called: `NULL` (default) in this session, or a parameter object of
#'   \pkg{BiocParallel}, such as `SnowParam(2)`, whose workers share the sequences. See
#'   [seqlift_parallel].
#' @return A [seqlift_perturbation]: a list with `before` and `after`, the results of `func`, each
#'   `[n, ...]` (a list of arrays for several outputs). With `motifs`, `before` is `[n, ...]`, as
#'   the backgrounds are the same for all, and `after` is `[k, n, ...]`: the motifs come first, with
#'   their names, or their letters where they have none.
#' @section Errors: `seqlift_error_sequence` for sequences or motifs that cannot be read;
#'   `seqlift_error_argument` for a motif that is longer than the sequences or does not fit at
#'   `start`, or another wrong argument; `seqlift_error_args` for inputs with another number of
#'   rows; `seqlift_error_file` for a file of motifs that cannot be read. All of them come before
#'   `func` is called. `seqlift_error_output` if what it returns has no row for each sequence.
#' @source `marginalize` of tangermeme 1.4.0 (Schreiber).
#' @seealso [marginalize_annotations()], [space_motifs()], [ablate()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' backgrounds <- random_one_hot(c(10, 4, 500), random_state = 0)
#' result <- marginalize(model, backgrounds, "AGATAAG")
#' result
#' summary(result)
#'
#' several <- marginalize(model, backgrounds, motifs = c(site = "AGATAAG", other = "AGCTAAG"))
#' summary(several)
marginalize <- function(model, X, motif, start = NULL, func = predict, ..., motifs = NULL,
                        additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  sequences <- as_sequences(X, extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  one_motif <- !missing(motif) && !is.null(motif)
  if (one_motif == !is.null(motifs)) {
    got <- if (one_motif) "given beside `motifs`" else "missing, as is `motifs`"
    abort_argument("motif", "one motif, or `motifs` several", got)
  }
  if (one_motif) {
    motifs <- list(motif)
    arg <- "motif"
  } else {
    motifs <- as_motif_list(motifs, call)
    arg <- paste0("motifs[[", seq_along(motifs), "]]")
  }
  placed <- place_motifs(motifs, arg, sequences, start, call)
  done <- marginalize_codes(plan, sequences, placed$codes, placed$starts, call)
  backgrounds <- paste(sequences$n, if (sequences$n == 1L) "sequence" else "sequences", "of",
    sequences$length, "bp"
  )
  if (one_motif) {
    end <- placed$starts + nrow(placed$codes[[1L]]) - 1L
    return(new_perturbation(done$before, done$afters[[1L]], "marginalize",
      what = paste0(
        placed$names, " at ", placed$starts, if (end > placed$starts) paste(" to", end), " of ",
        backgrounds
      ),
      func = label, axes = list(before = "sequence", after = "sequence"), replicates = "sequence",
      ranges = sequences$ranges, call = call
    ))
  }
  new_perturbation(done$before, stack_results(done$afters, labels = placed$names), "marginalize",
    what = paste(
      length(motifs), if (length(motifs) == 1L) "motif" else "motifs", "in", backgrounds
    ),
    func = label, axes = list(before = "sequence", after = c("motif", "sequence")),
    varied = list(axis = "motif", table = data.frame(motif = placed$names)),
    replicates = "sequence", ranges = sequences$ranges, call = call
  )
}

#' See what annotated regions do in background sequences
#'
#' Takes the sequence of each annotation out of `X`, writes it into the background sequences `X0`,
#' and applies a function before and after, as [marginalize()] does with a motif.
#'
#' @inheritParams marginalize
#' @param X Sequences that the annotations are on, in any of the three forms.
#' @param X0 Background sequences, in any of the three forms: n of them.
#' @param annotations Data frame with a row for each region and the columns `example` (number of the
#'   sequence in `X`, or its name; or `sequence`), `start` and `end` (positions from 1, inclusive),
#'   such as seqlets; or a `GRanges` whose sequence names are those of the sequences (their numbers
#'   where they have none). A column `name` gives the annotations their names; so do those of a
#'   `GRanges`.
#' @param start Position in `X0` of the region's first letter, counted from 1. `NULL` (default)
#'   centres it.
#' @return A [seqlift_perturbation]: a list with `before` and `after`, each `[annotations, n, ...]`
#'   (a list of such arrays for several outputs). `func` is called once for the backgrounds, so that
#'   `before` is the same for all annotations.
#' @section Errors: as those of [marginalize()], and `seqlift_error_annotations` for annotations
#'   that are empty, lack a column, name a sequence that is not there, or leave it.
#' @source `marginalize_annotations` of tangermeme 1.4.0 (Schreiber), which loses outputs of models
#'   with several.
#' @seealso [ablate_annotations()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' sequences <- demo_sequences()
#' sites <- attr(sequences, "sites")
#' backgrounds <- random_one_hot(c(5, 4, 500), random_state = 0)
#' marginalize_annotations(model, sequences, backgrounds, sites[1:3, ]) |> summary()
marginalize_annotations <- function(model, X, X0, annotations, start = NULL, func = predict, ...,
                                    additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  sequences <- as_sequences(X, extra_channels = TRUE)
  backgrounds <- as_sequences(X0, "X0", extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, backgrounds$n, call, BPPARAM)
  regions <- check_regions_of_examples(annotations, sequences, call)
  codes <- sequence_codes(sequences)
  motifs <- Map(
    function(example, start, end) codes[start:end, example, drop = FALSE],
    regions$example, regions$start, regions$end
  )
  starts <- Map(function(motif, i) {
    check_motif_fits(nrow(motif), backgrounds$length, paste0("annotations[", i, ", ]"), call)
    check_motif_start(start, nrow(motif), backgrounds$length, call)
  }, motifs, seq_along(motifs))
  done <- marginalize_codes(plan, backgrounds, motifs, unlist(starts), call)
  axes <- c("annotation", "sequence")
  new_perturbation(
    stack_results(rep(list(done$before), nrow(regions)), labels = regions$annotation),
    stack_results(done$afters, labels = regions$annotation), "marginalize_annotations",
    what = paste(
      nrow(regions), if (nrow(regions) == 1L) "annotation" else "annotations", "in", backgrounds$n,
      if (backgrounds$n == 1L) "background" else "backgrounds", "of", backgrounds$length, "bp"
    ),
    func = label, axes = list(before = axes, after = axes),
    varied = list(axis = "annotation", table = label_examples(regions, sequences$names)),
    replicates = "sequence", ranges = ranges_of_regions(regions, sequences, call), call = call
  )
}

# `func` once for the backgrounds and once for each motif: one at a time, so that only one copy of
# the backgrounds is there.
marginalize_codes <- function(plan, sequences, motifs, starts, call) {
  codes <- sequence_codes(sequences, call = call)
  if (predicts_edits(plan, sequences)) {
    return(predict_motifs(plan, sequences, codes, length(motifs), call, function(i) {
      core_substitute_motif(codes, motifs[[i]], starts[[i]])
    }))
  }
  plan <- share_draws(plan, sequences, call)
  before <- call_func(plan, one_hot_array(sequences), call = call)
  afters <- Map(function(motif, start) {
    edited <- core_substitute_motif(codes, motif, start)
    call_func(plan, finish_one_hot(edited, sequences), call = call)
  }, motifs, starts)
  list(before = before, afters = unname(afters))
}

# Predictions of the backgrounds and of `count` edited sets of them, each made by `edit`.
predict_motifs <- function(plan, sequences, codes, count, call, edit) {
  rows <- seq_len(sequences$n)
  edits <- join_edits(lapply(seq_len(count), function(i) edits_between(codes, edit(i), rows)))
  predicted <- call_on_edits(plan, sequences, edits, rep(sequences$names, count), call)
  afters <- lapply(seq_len(count), function(i) {
    map_outputs(predicted$after, take_outputs, 1L, (i - 1L) * sequences$n + rows)
  })
  list(before = predicted$before, afters = afters)
}

# Codes, places and names of motifs.
place_motifs <- function(motifs, arg, sequences, start, call) {
  # The sequences must be one-hot too.
  sequence_codes(sequences, call = call)
  codes <- Map(function(motif, one) {
    as_motif_codes(motif, one, sequences$n, call)
  }, unname(motifs), arg)
  starts <- Map(function(motif, one) {
    check_motif_fits(nrow(motif), sequences$length, one, call)
    check_motif_start(start, nrow(motif), sequences$length, call)
  }, codes, arg)
  list(
    codes = unname(codes), starts = unlist(starts, use.names = FALSE),
    names = motif_names(motifs, codes)
  )
}

# Raw matrix [m, 1 or n] of a motif in any of its forms, matrices among them.
as_motif_codes <- function(motif, arg, n, call) {
  if (is.matrix(motif) && is.numeric(motif)) {
    motif <- consensus_of_matrix(motif, arg, call)
  }
  motif_codes(motif, arg, n, call = call)
}

check_motif_fits <- function(size, length, arg, call) {
  if (size > length) {
    abort_argument(arg, paste("at most as long as the sequences,", length, "positions"),
      paste(size, "positions long"),
      call = call
    )
  }
}

# Several motifs, in any form, as a list.
as_motif_list <- function(motifs, call, arg = "motifs", files = TRUE) {
  if (is_motif_object(motifs)) {
    motifs <- motif_object_list(motifs)
  }
  if (is.list(motifs)) {
    motifs <- name_motif_objects(motifs)
  }
  if (is_biostrings(motifs)) {
    motifs <- letters_of_biostrings(motifs, arg, call)
  }
  if (files && is_motif_path(motifs)) {
    motifs <- rlang::try_fetch(
      read_motifs(motifs),
      seqlift_error_file = function(error) {
        abort_seqlift("file", "{.arg {arg}} is neither a motif nor a file of motifs.",
          parent = error, call = call
        )
      }
    )
  }
  if (is.array(motifs) && length(dim(motifs)) == 3L) {
    names <- dimnames(motifs)[[1L]]
    one_each <- function(i) motifs[i, , , drop = FALSE]
    motifs <- stats::setNames(lapply(seq_len(dim(motifs)[1L]), one_each), names)
  }
  plain <- is.list(motifs) || (is.character(motifs) && is.null(dim(motifs)))
  if (!plain || is.data.frame(motifs) || length(motifs) == 0L) {
    abort_argument(arg, "a list of motifs, a character vector or the path of a motif file",
      describe(motifs),
      call = call
    )
  }
  as.list(motifs)
}

# A word of bases is a motif, any other string the path of a file.
is_motif_path <- function(motifs) {
  is.character(motifs) && length(motifs) == 1L && !is.na(motifs) &&
    !grepl("^[ACGTNacgtn]+$", motifs)
}

# The names of motifs; of those without one their letters.
motif_names <- function(motifs, codes) {
  names <- if (is.null(names(motifs))) rep("", length(motifs)) else names(motifs)
  letters <- vapply(seq_along(codes), function(i) {
    own <- unique(core_decode(codes[[i]], paste(base_letters, collapse = "")))
    # Each sequence may have a motif of its own.
    if (length(own) == 1L) own else paste("motif", i)
  }, character(1L))
  make.unique(ifelse(names == "", letters, names), sep = " ")
}

# ---- annotations on sequences --------------------------------------------------------

# A data frame of annotation (its name), example (number of the sequence), start, end.
check_regions_of_examples <- function(annotations, sequences, call) {
  if (inherits(annotations, "GRanges")) {
    names <- names(annotations)
    annotations <- as.data.frame(unname(annotations))
    annotations$example <- as.character(annotations$seqnames)
    annotations$name <- annotations[["name"]] %||% names
  }
  if (is.data.frame(annotations) && !"example" %in% names(annotations)) {
    annotations$example <- annotations[["sequence"]]
  }
  columns <- c("example", "start", "end")
  refuse <- function(expected, got) {
    hint <- if (is.data.frame(annotations)) {
      count_hint_of_rows(annotations[["example"]], annotations[["start"]])
    }
    abort_argument("annotations", expected, got, hint, kind = "annotations", call = call)
  }
  if (!is.data.frame(annotations) || !all(columns %in% names(annotations))) {
    refuse("a data frame with columns example, start and end, or a GRanges",
      if (is.data.frame(annotations)) paste("one with", toString(names(annotations))) else
        describe(annotations)
    )
  }
  if (nrow(annotations) == 0L) {
    refuse("at least one annotation", "empty")
  }
  example <- match_examples(annotations$example, sequences)
  missing <- which(is.na(example))
  if (length(missing) > 0L) {
    refuse(examples_expected(sequences),
      paste0("one on sequence ", annotations$example[missing[1L]], " (row ", missing[1L], ")")
    )
  }
  start <- annotations$start
  end <- annotations$end
  if (!is.numeric(start) || !is.numeric(end)) {
    refuse("one with numbers in start and end", describe(annotations))
  }
  within <- is.finite(start) & is.finite(end) & start == trunc(start) & end == trunc(end) &
    start >= 1 & start <= end & end <= sequences$length
  if (!all(within)) {
    bad <- which(!within)[1L]
    refuse(paste0("ranges within the sequence (1 to ", sequences$length, " bp)"),
      paste0(start[bad], " to ", end[bad], " (row ", bad, ")")
    )
  }
  regions <- data.frame(example = example, start = as.integer(start), end = as.integer(end))
  labels <- if (is.null(sequences$names)) example else sequences$names[example]
  labels <- paste0(labels, ":", regions$start, "-", regions$end)
  own <- as.character(annotations[["name"]] %||% rep("", nrow(annotations)))
  own[is.na(own)] <- ""
  cbind(annotation = make.unique(ifelse(own == "", labels, own), sep = " "), regions)
}

# Numbers of the sequences that are given by number or name; NA where there is none.
match_examples <- function(example, sequences) {
  if (is.numeric(example)) {
    known <- is.finite(example) & example == trunc(example) & example >= 1 &
      example <= sequences$n
    return(ifelse(known, as.integer(example), NA_integer_))
  }
  example <- as.character(example)
  if (is.null(sequences$names)) {
    return(match(example, as.character(seq_len(sequences$n))))
  }
  match(example, sequences$names)
}

examples_expected <- function(sequences) {
  paste0(
    "on sequences of `X`, by number from 1 to ", sequences$n,
    if (!is.null(sequences$names)) " or by name"
  )
}

# Where the annotated regions lie in the genome.
ranges_of_regions <- function(regions, sequences, call) {
  own <- take_ranges(sequences$ranges, regions$example, call)
  window_ranges(own, regions$start, regions$end)
}

# The examples of a table by name where they have one.
label_examples <- function(regions, names) {
  if (!is.null(names)) {
    regions$example <- names[regions$example]
  }
  regions
}
