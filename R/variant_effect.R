#' See what substitutions, deletions and insertions do
#'
#' Applies a function, [predict()][predict.seqlift_model] by default, to sequences with and without
#' variants. All variants of a sequence are put into it together; to see them one by one, repeat
#' the sequence (`X[variants$example]`, and number `example` anew). Sequences without a variant come
#' back unchanged.
#'
#' A model takes sequences of one length. Deletions make sequences shorter, so both `before` and
#' `after` are for `L - d` positions, d the largest number of positions that any sequence loses:
#' give sequences that are longer than the model's by as much. What a sequence has too much after
#' its own deletions is cut off at the end, or with `left = TRUE` at the beginning. Insertions make
#' sequences longer, and they are cut to L in the same way: an insertion right at the end that is
#' cut has no effect.
#'
#' @inheritParams marginalize
#' @param X Sequences: a character vector, a `Biostrings::DNAStringSet`, or a one-hot array
#'   `[n, 4, L]`. Further channels of an array stay as they are, lose the deleted positions too, and
#'   are refused for insertions, which have no value for them.
#' @param substitutions,deletions,insertions Variants on the genome, in the forms that
#'   [variants_from()] takes (`VRanges`, VCF, `GRanges`), for an `X` of [sequences_from()]: all of
#'   the kind that the function is for, and none outside of `X`. Or a data frame with a row for each
#'   variant. Its columns:
#'   * `example`: number of the sequence in `X`, or its name;
#'   * `position`: from 1, in the sequence as given. Of a substitution the first base that changes;
#'     of an insertion the base before which it is put (`L + 1`: behind the last). Deletions have
#'     `position` for single bases or `start` and `end` (inclusive) for ranges;
#'   * `alt`: the new letters (not for deletions), one or several;
#'   * `ref`: optional, not for insertions: the letters that are there, checked against the
#'     sequence.
#'
#'   Several insertions at one position stand in the order of the rows.
#' @param variants Variants of all kinds, each apart from the others: on the genome, as above; or a
#'   data frame as [variants_from()] makes it, with the columns `example`, `position`, `ref` and
#'   `alt` (`""` where there are no letters) and, if there are names, `variant`.
#' @param left `TRUE` cuts at the beginning of the sequences, `FALSE` (default) at the end.
#' @param ... Arguments for `func`, by name: `args` (the model's other inputs, with a row for each
#'   sequence or one for all; inputs along the sequence in the length that is left), `target`, ...
#' @return A [seqlift_perturbation]: a list with `before` and `after`, each `[n, ...]` (lists of
#'   arrays for several outputs).
#' @section Errors: `seqlift_error_sequence` for sequences that cannot be read;
#'   `seqlift_error_variants` for a table that is empty or lacks a column, a sequence that is not
#'   there, a position outside of it, a letter that is no base, a `ref` that is not what the
#'   sequence has, two substitutions of one base, or deletions that leave nothing, and those of
#'   [variants_from()];
#'   `seqlift_error_args` for inputs with another number of rows. All of them come before `func` is
#'   called.
#' @source `substitution_effect`, `deletion_effect` and `insertion_effect` of tangermeme 1.4.0
#'   (Schreiber), which sets two bases where two substitutions meet and fails for deletions among
#'   the positions that are cut off.
#' @seealso `saturation_mutagenesis()` for all single substitutions
#' @name variant_effect
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()[c("fly_planted_AGATAAG", "fly_no_site")]
#' # AGATAAG stands at 250 to 256.
#' variants <- data.frame(example = "fly_planted_AGATAAG", position = 252, ref = "A", alt = "C")
#' substitution_effect(model, X, variants) |> as.data.frame()
#'
#' insertion_effect(model, X, data.frame(example = 2, position = 250, alt = "AGATAAG"))
#'
#' several <- data.frame(
#'   example = 1, position = 252, ref = c("A", "A"), alt = c("C", "T"), variant = c("to_C", "to_T")
#' )
#' variant_effect(model, X, several) |> as.data.frame()
NULL

#' @rdname variant_effect
#' @export
variant_effect <- function(model, X, variants, left = FALSE, func = predict, ...,
                           additional_func_kwargs = list()) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  check_flag(left, "left")
  sequences <- as_sequences(X)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call)
  codes <- sequence_codes(sequences)
  variants <- as_variant_table(variants, "variants", X, NULL, call)
  table <- check_all_variants(variants, sequences, codes, call)
  lost <- pmax(nchar(table$ref) - nchar(table$alt), 0L)
  size <- sequences$length - max(lost)
  window <- cut_to(seq_len(sequences$length), size, left)
  before <- codes[window, table$example, drop = FALSE]
  after <- before
  for (i in seq_len(nrow(table))) {
    own <- codes[, table$example[i]]
    behind <- table$position[i] + nchar(table$ref[i])
    whole <- c(
      utils::head(own, table$position[i] - 1L), codes_of_letters(table$alt[i]),
      utils::tail(own, sequences$length - behind + 1L)
    )
    after[, i] <- cut_to(whole, size, left)
  }
  plan$args <- args_of_rows(plan$args, table$example, sequences$n)
  run <- function(codes) {
    one_hot <- name_channels(codes_to_one_hot(codes), table$variant)
    call_func(plan, one_hot, call = call)
  }
  new_perturbation(run(before), run(after), "variant_effect",
    what = paste0(
      count_variants(table, "variant", table$example, sequences), ", one at a time",
      if (size < sequences$length) paste0(", cut to ", size, " bp")
    ),
    func = label, axes = list(before = "variant", after = "variant"),
    varied = list(
      axis = "variant",
      table = as.data.frame(c(
        table[c("variant", "example", "position", "ref", "alt")],
        genomic_positions(sequences$ranges, table$example, table$position)
      ))
    ),
    ranges = take_ranges(sequences$ranges, table$example, call), call = call
  )
}

check_variant_table <- function(variants, columns, expected, refuse) {
  if (!is.data.frame(variants) || !all(columns %in% names(variants))) {
    refuse(paste(expected, "with the columns", toString(columns)),
      if (is.data.frame(variants)) paste("one with", toString(names(variants))) else
        describe(variants)
    )
  }
  if (nrow(variants) == 0L) {
    refuse("at least one variant", "empty")
  }
}

# The table of variants of any kind: each replaces `ref` at `position` by `alt`.
check_all_variants <- function(variants, sequences, codes, call) {
  refuse <- function(expected, got) {
    abort_argument("variants", expected, got, kind = "variants", call = call)
  }
  columns <- c("example", "position", "ref", "alt")
  check_variant_table(variants, columns, "variants on the genome, or a data frame", refuse)
  example <- check_variant_examples(variants$example, sequences, refuse)
  ref <- check_variant_letters(variants$ref, "[ACGTN]*", "ref", refuse)
  alt <- check_variant_letters(variants$alt, "[ACGT]*", "alt", refuse)
  same <- which(ref == alt)
  if (length(same) > 0L) {
    refuse("such that `ref` and `alt` differ", paste0("equal in row ", same[1L]))
  }
  position <- variants$position
  end <- if (is.numeric(position)) position + pmax(nchar(ref), 1L) - 1L else position
  # Behind the last base is a place for insertions.
  check_variant_places(position, end, sequences$length + (nchar(ref) == 0L), refuse)
  table <- data.frame(
    variant = as.character(variants[["variant"]] %||% rownames(variants)), example = example,
    position = as.integer(position), end = as.integer(position) + nchar(ref) - 1L, ref = ref,
    alt = alt
  )
  check_reference_letters(table[nzchar(ref), ], codes, "variants", call)
  gone <- which(nchar(ref) == sequences$length & alt == "")
  if (length(gone) > 0L) {
    refuse("such that every sequence keeps a position", paste("all of one in row", gone[1L]))
  }
  table
}

#' @rdname variant_effect
#' @export
substitution_effect <- function(model, X, substitutions, func = predict, ...,
                                additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  sequences <- as_sequences(X, extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  codes <- sequence_codes(sequences)
  substitutions <- as_variant_table(substitutions, "substitutions", X, "substitution", call)
  variants <- check_variants(substitutions, "substitutions", sequences, "alt", call)
  variants <- one_base_a_row(variants, codes, "substitutions", call)
  codes[cbind(variants$position, variants$example)] <- variants$alt
  finish_variants(
    plan, one_hot_array(sequences), finish_one_hot(codes, sequences), "substitution_effect",
    count_variants(substitutions, "substitution", variants$example, sequences), label,
    sequences$ranges, call
  )
}

#' @rdname variant_effect
#' @export
deletion_effect <- function(model, X, deletions, left = FALSE, func = predict, ...,
                            additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  check_flag(left, "left")
  sequences <- as_sequences(X, extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  codes <- sequence_codes(sequences)
  deletions <- as_variant_table(deletions, "deletions", X, "deletion", call)
  variants <- check_variants(deletions, "deletions", sequences, character(), call)
  check_reference_letters(variants, codes, "deletions", call)
  deleted <- matrix(FALSE, sequences$length, sequences$n)
  for (i in seq_len(nrow(variants))) {
    deleted[variants$position[i]:variants$end[i], variants$example[i]] <- TRUE
  }
  most <- max(colSums(deleted))
  if (most == sequences$length) {
    abort_argument("deletions", "such that every sequence keeps a position",
      paste("all of sequence", which(colSums(deleted) == most)[1L]),
      kind = "variants", call = call
    )
  }
  # Of what a sequence keeps, as much as the one with the most deletions does.
  kept <- vapply(seq_len(sequences$n), function(i) {
    cut_to(which(!deleted[, i]), sequences$length - most, left)
  }, integer(sequences$length - most))
  kept <- matrix(kept, ncol = sequences$n)
  X <- one_hot_array(sequences)
  window <- cut_to(seq_len(sequences$length), sequences$length - most, left)
  after <- X[, , window, drop = FALSE]
  for (i in seq_len(sequences$n)) {
    after[i, , ] <- X[i, , kept[, i]]
  }
  finish_variants(plan, X[, , window, drop = FALSE], after, "deletion_effect",
    paste0(
      count_variants(deletions, "deletion", variants$example, sequences), ", cut to ",
      sequences$length - most, " bp"
    ), label, sequences$ranges, call
  )
}

#' @rdname variant_effect
#' @export
insertion_effect <- function(model, X, insertions, left = FALSE, func = predict, ...,
                             additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  check_flag(left, "left")
  sequences <- as_sequences(X)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  codes <- sequence_codes(sequences)
  insertions <- as_variant_table(insertions, "insertions", X, "insertion", call)
  variants <- check_variants(insertions, "insertions", sequences, "alt", call,
    last = sequences$length + 1L
  )
  inserted <- codes
  for (i in unique(variants$example)) {
    own <- variants[variants$example == i, ]
    # Each base of the sequence belongs behind what is inserted before it.
    pieces <- c(lapply(own$alt, codes_of_letters), list(codes[, i]))
    places <- c(
      rep(own$position, nchar(own$alt)) - 0.5, seq_len(sequences$length)
    )
    whole <- do.call(c, pieces)[order(places)]
    inserted[, i] <- cut_to(whole, sequences$length, left)
  }
  finish_variants(
    plan, one_hot_array(sequences), finish_one_hot(inserted, sequences), "insertion_effect",
    count_variants(insertions, "insertion", variants$example, sequences), label, sequences$ranges,
    call
  )
}

finish_variants <- function(plan, X_before, X_after, verb, what, label, ranges, call) {
  axes <- list(before = "sequence", after = "sequence")
  new_perturbation(
    call_func(plan, X_before, call = call), call_func(plan, X_after, call = call), verb,
    what = what, func = label, axes = axes, ranges = ranges, call = call
  )
}

count_variants <- function(table, name, examples, sequences) {
  n <- nrow(table)
  paste0(
    n, " ", name, if (n != 1L) "s", " in ", length(unique(examples)), " of ", sequences$n,
    " sequence", if (sequences$n != 1L) "s", " of ", sequences$length, " bp"
  )
}

# `size` of the elements of x: the last ones where the left is cut off.
cut_to <- function(x, size, left) if (left) utils::tail(x, size) else utils::head(x, size)

codes_of_letters <- function(letters) {
  as.raw(match(strsplit(letters, "", fixed = TRUE)[[1L]], base_letters) - 1L)
}

# ---- tables of variants --------------------------------------------------------------

# A data frame of example (number), position, end, and alt and ref in upper case where there are
# such.
check_variants <- function(variants, arg, sequences, needed, call, last = sequences$length) {
  refuse <- function(expected, got) {
    abort_argument(arg, expected, got, kind = "variants", call = call)
  }
  ranges <- arg == "deletions" && is.data.frame(variants) &&
    all(c("start", "end") %in% names(variants))
  columns <- c("example", if (ranges) c("start", "end") else "position", needed)
  check_variant_table(variants, columns, "a data frame", refuse)
  example <- check_variant_examples(variants$example, sequences, refuse)
  alt <- if ("alt" %in% needed) check_variant_letters(variants$alt, "[ACGT]+", "alt", refuse)
  ref <- if (arg != "insertions" && "ref" %in% names(variants)) {
    check_variant_letters(variants$ref, "[ACGTN]+", "ref", refuse)
  }
  position <- if (ranges) variants$start else variants$position
  end <- if (ranges) variants$end else position
  if (arg %in% c("substitutions", "variants") && is.numeric(position)) {
    end <- position + nchar(alt) - 1
  }
  check_variant_places(position, end, last, refuse)
  result <- data.frame(
    example = example, position = as.integer(position), end = as.integer(end)
  )
  result$alt <- alt
  result$ref <- ref
  odd <- which(nchar(ref) != result$end - result$position + 1L)
  if (length(odd) > 0L) {
    refuse("one whose `ref` has a letter for each base that changes",
      paste0("one with ref ", ref[odd[1L]], " for ", result$end[odd[1L]] -
        result$position[odd[1L]] + 1L, " (row ", odd[1L], ")")
    )
  }
  result
}

check_variant_examples <- function(given, sequences, refuse) {
  example <- match_examples(given, sequences)
  missing <- which(is.na(example))
  if (length(missing) > 0L) {
    refuse(examples_expected(sequences),
      paste0("one of sequence ", given[missing[1L]], " (row ", missing[1L], ")")
    )
  }
  example
}

check_variant_letters <- function(letters, pattern, column, refuse) {
  letters <- toupper(as.character(letters))
  odd <- which(is.na(letters) | !grepl(paste0("^", pattern, "$"), letters))
  if (length(odd) > 0L) {
    refuse(paste0("one whose `", column, "` holds bases"),
      paste0("one with ", describe(letters[odd[1L]]), " (row ", odd[1L], ")")
    )
  }
  letters
}

check_variant_places <- function(position, end, last, refuse) {
  if (!is.numeric(position) || !is.numeric(end)) {
    refuse("one with numbers as positions", describe(position))
  }
  within <- is.finite(position) & is.finite(end) & position == trunc(position) &
    end == trunc(end) & position >= 1 & position <= end & end <= last
  if (!all(within)) {
    bad <- which(!within)[1L]
    place <- if (identical(position[bad], end[bad])) position[bad] else
      paste(position[bad], "to", end[bad])
    refuse(paste("one with positions from 1 to", rep_len(last, bad)[bad]),
      paste0("one at ", place, " (row ", bad, ")")
    )
  }
}

check_reference_letters <- function(variants, codes, arg, call) {
  for (i in which(!is.na(variants$ref %||% NA))) {
    there <- core_decode(
      codes[variants$position[i]:variants$end[i], variants$example[i], drop = FALSE],
      paste(base_letters, collapse = "")
    )
    if (there != variants$ref[i]) {
      abort_argument(arg, "one whose `ref` is what the sequence has",
        paste0(
          "one with ref ", variants$ref[i], " where sequence ", variants$example[i], " has ", there,
          " at ", variants$position[i], " (row ", i, ")"
        ),
        kind = "variants", call = call
      )
    }
  }
}

# Substitutions of several bases as such of one; `alt` as codes.
one_base_a_row <- function(variants, codes, arg, call) {
  check_reference_letters(variants, codes, arg, call)
  size <- nchar(variants$alt)
  row <- rep(seq_along(size), size)
  bases <- data.frame(
    example = variants$example[row],
    position = variants$position[row] + sequence(size) - 1L
  )
  bases$alt <- do.call(c, lapply(variants$alt, codes_of_letters))
  twice <- which(duplicated(bases[c("example", "position")]))
  if (length(twice) > 0L) {
    abort_argument(arg, "at most one for each base",
      paste0(
        "two at position ", bases$position[twice[1L]], " of sequence ", bases$example[twice[1L]],
        " (the second in row ", row[twice[1L]], ")"
      ),
      kind = "variants", call = call
    )
  }
  bases
}
