#' See what substitutions, deletions and insertions do
#'
#' Applies a function, [predict()][predict.seqlift_model] by default, to sequences with and without
#' variants. All variants of a sequence are put into it together; to see them one by one, repeat
#' the sequence (`X[variants$example]`, and number `example` anew). Sequences without a variant come
#' back unchanged.
#'
#' @section Lengths:
#' A model takes sequences of one length, and deletions and insertions change it. No variant has a
#' say in what becomes of another.
#'
#' `variant_effect()`: `before` and `after` are for `length` positions, all of `X` by default. They
#' are the first ones of each sequence, with `left = TRUE` the last ones. What a sequence has too
#' much after an insertion is cut off at the end (with `left = TRUE` at the beginning); an insertion
#' right at the end that is cut has no effect. What it lacks after a deletion is added there: what
#' `X` has beyond `length`; then the bases that follow in the `genome`, for an `X` that knows its
#' ranges; then N, columns of zeros, as no base is known.
#'
#' `insertion_effect()` cuts in the same way. `deletion_effect()` follows tangermeme unless `length`
#' is given: `before` and `after` are for `L - d` positions, d the largest number of positions that
#' any sequence loses, so that sequences must be longer than the model's by as much. With `length`
#' it does what `variant_effect()` does without a genome.
#'
#' @section How predictions are computed:
#' With `func = predict`, `variant_effect()` and `substitution_effect()` evaluate a sequence once
#' for all of its variants, and of substitutions (a `ref` by an `alt` of its length) only what they
#' reach, see [marginalize()]. Insertions and deletions are evaluated as whole sequences.
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
#' @param left `TRUE` cuts and adds at the beginning of the sequences, `FALSE` (default) at the end.
#' @param length How many positions the model takes, from 1 to L; see Lengths. Default `NULL`: L,
#'   of `deletion_effect()` what the sequence with the most deletions has left.
#' @param genome Where bases beyond the sequences come from, for an `X` of [sequences_from()]: a
#'   genome in any of its forms. Its letters must be those of `X` where `X` is. Default `NULL`:
#'   none.
#' @param strict What to do with rows, or alleles of variants on the genome (see [variants_from()]),
#'   that cannot be used: of a sequence that is not in `X`, outside of it, with letters that are no
#'   bases, with a `ref` of another size, or that change nothing. `FALSE` (default) drops them with
#'   one message, which counts them and names the first; `TRUE` is an error. Where nothing would be
#'   left it is an error. A `ref` that is not what the sequence has, or a 0 as a position, means
#'   that the table belongs to other sequences or counts from 0, and is always an error.
#' @param ... Arguments for `func`, by name: `args` (the model's other inputs, with a row for each
#'   sequence or one for all; inputs along the sequence in the length that the model gets),
#'   `target`, ... Random numbers and references are the same before and after, see [marginalize()].
#' @return A [seqlift_perturbation]: a list with `before` and `after`, each `[n, ...]` (lists of
#'   arrays for several outputs).
#' @section Errors: `seqlift_error_sequence` for sequences that cannot be read;
#'   `seqlift_error_variants` for a table that is empty or lacks a column, rows that cannot be used
#'   (with `strict = TRUE`, or where no other is left), positions that count from 0, a `ref` that is
#'   not what the sequence has, two substitutions of one base, or deletions that leave nothing, and
#'   those of [variants_from()]; the messages about dropped rows have the class
#'   `seqlift_message_dropped`; `seqlift_error_genome` for a `genome` that cannot be used, `X`
#'   without ranges, or with other letters than the genome has there;
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
                           length = NULL, genome = NULL, strict = FALSE,
                           additional_func_kwargs = list()) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  check_flag(left, "left")
  check_flag(strict, "strict")
  sequences <- as_sequences(X)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call)
  codes <- sequence_codes(sequences)
  variants <- as_variant_table(variants, "variants", X, NULL, strict, call)
  table <- check_all_variants(variants, sequences, codes, strict, call)
  size <- check_count(length, "length", max = sequences$length, null = TRUE) %||% sequences$length
  lacking <- pmax(size - sequences$length + nchar(table$ref) - nchar(table$alt), 0L)
  beyond <- bases_beyond(genome, sequences, codes, table$example, lacking, left, call)
  cut <- codes[cut_to(seq_len(sequences$length), size, left), , drop = FALSE]
  after <- cut[, table$example, drop = FALSE]
  for (i in seq_len(nrow(table))) {
    own <- codes[, table$example[i]]
    behind <- table$position[i] + nchar(table$ref[i])
    whole <- c(
      utils::head(own, table$position[i] - 1L), codes_of_letters(table$alt[i]),
      utils::tail(own, sequences$length - behind + 1L)
    )
    whole <- if (left) c(beyond[[i]], whole) else c(whole, beyond[[i]])
    after[, i] <- cut_to(whole, size, left)
  }
  done <- both_alleles(plan, cut, after, table, call)
  unknown <- sum(after_lacks(beyond))
  new_perturbation(done$before, done$after, "variant_effect",
    what = paste0(
      count_variants(table, "variant", table$example, sequences), ", one at a time",
      if (size < sequences$length) paste0(", cut to ", size, " bp"),
      if (unknown > 0L) {
        paste0(", ", unknown, if (unknown == 1L) " deletion" else " deletions", " filled up with N")
      }
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

# `func` of the sequences `cut` [length, n] and of those with a variant of the table each, `after`
# [length, variants].
both_alleles <- function(plan, cut, after, table, call) {
  sequences <- code_sequences(cut)
  if (predicts_edits(plan, sequences)) {
    edits <- edits_between(cut, after, table$example)
    predicted <- call_on_edits(plan, sequences, edits, table$variant, call)
    before <- map_outputs(predicted$before, function(values) {
      name_rows(take_outputs(values, 1L, table$example), table$variant)
    })
    return(list(before = before, after = predicted$after))
  }
  plan <- rows_of_plan(plan, table$example)
  before <- name_channels(codes_to_one_hot(cut[, table$example, drop = FALSE]), table$variant)
  after <- name_channels(codes_to_one_hot(after), table$variant)
  plan <- share_draws(plan, as_sequences(before), call)
  list(before = call_func(plan, before, call = call), after = call_func(plan, after, call = call))
}

# What each variant needs beyond its sequence, `lacking` bases each, as codes in the order in which
# they are read: of the genome, or N.
bases_beyond <- function(genome, sequences, codes, example, lacking, left, call) {
  unknown <- lapply(lacking, function(count) rep(as.raw(n_bases), count))
  if (is.null(genome)) {
    return(unknown)
  }
  ranges <- sequences$ranges
  if (is.null(ranges)) {
    abort_argument("X", "a DNAStringSet that knows its ranges, where `genome` is given",
      "sequences without",
      hint = "{.fn sequences_from} makes such sequences.", kind = "genome", call = call
    )
  }
  needy <- which(lacking > 0L)
  if (length(needy) == 0L) {
    return(unknown)
  }
  own <- ranges[example[needy]]
  # Beyond the end of a chromosome there is nothing.
  wide <- suppressWarnings(GenomicRanges::resize(own, sequences$length + lacking[needy],
    fix = if (left) "end" else "start"
  ))
  fetched <- as.character(sequences_from(wide, genome, out_of_bounds = "pad"))
  for (i in seq_along(needy)) {
    letters <- codes_of_letters(toupper(fetched[[i]]))
    there <- cut_to(letters, sequences$length, left)
    other <- which(there != codes[, example[needy[i]]])
    if (length(other) > 0L) {
      abort_argument("genome", "the one that `X` was taken from",
        paste("one with another letter at position", other[1L], "of sequence", example[needy[i]]),
        kind = "genome", call = call
      )
    }
    unknown[[needy[i]]] <- cut_to(letters, lacking[needy[i]], !left)
  }
  unknown
}

# Which of the flanks have bases that are not known.
after_lacks <- function(beyond) {
  vapply(beyond, function(own) any(own == as.raw(n_bases)), logical(1L))
}

#' @rdname variant_effect
#' @export
substitution_effect <- function(model, X, substitutions, func = predict, ..., strict = FALSE,
                                additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  check_flag(strict, "strict")
  sequences <- as_sequences(X, extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  codes <- sequence_codes(sequences)
  substitutions <- as_variant_table(substitutions, "substitutions", X, "substitution", strict, call)
  variants <- check_variants(substitutions, "substitutions", sequences, "alt", strict, call)
  what <- count_variants(variants, "substitution", variants$example, sequences)
  variants <- one_base_a_row(variants, codes, "substitutions", call)
  before <- codes
  codes[cbind(variants$position, variants$example)] <- variants$alt
  if (predicts_edits(plan, sequences)) {
    edits <- edits_between(before, codes, seq_len(sequences$n))
    predicted <- call_on_edits(plan, sequences, edits, sequences$names, call)
    return(variants_perturbation(
      predicted$before, predicted$after, "substitution_effect", what, label, sequences$ranges, call
    ))
  }
  finish_variants(
    share_draws(plan, sequences, call), one_hot_array(sequences),
    finish_one_hot(codes, sequences), "substitution_effect",
    what, label, sequences$ranges, call
  )
}

#' @rdname variant_effect
#' @export
deletion_effect <- function(model, X, deletions, left = FALSE, func = predict, ...,
                            length = NULL, strict = FALSE, additional_func_kwargs = list(),
                            BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  check_flag(left, "left")
  check_flag(strict, "strict")
  sequences <- as_sequences(X, extra_channels = TRUE)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  codes <- sequence_codes(sequences)
  deletions <- as_variant_table(deletions, "deletions", X, "deletion", strict, call)
  variants <- check_variants(deletions, "deletions", sequences, character(), strict, call)
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
  size <- check_count(length, "length", max = sequences$length, null = TRUE) %||%
    (sequences$length - most)
  X <- one_hot_array(sequences)
  before <- X[, , cut_to(seq_len(sequences$length), size, left), drop = FALSE]
  after <- array(0, dim(before), dimnames(before))
  for (i in seq_len(sequences$n)) {
    kept <- cut_to(which(!deleted[, i]), size, left)
    # What is lacking stays zero, an N.
    after[i, , cut_to(seq_len(size), length(kept), left)] <- X[i, , kept]
  }
  plan <- share_draws(plan, as_sequences(before, extra_channels = TRUE, only_warn = TRUE), call)
  finish_variants(plan, before, after, "deletion_effect",
    paste0(
      count_variants(variants, "deletion", variants$example, sequences),
      if (size < sequences$length) paste0(", cut to ", size, " bp")
    ), label, sequences$ranges, call
  )
}

#' @rdname variant_effect
#' @export
insertion_effect <- function(model, X, insertions, left = FALSE, func = predict, ...,
                             strict = FALSE, additional_func_kwargs = list(), BPPARAM = NULL) {
  call <- rlang::current_env()
  label <- func_label(substitute(func))
  check_flag(left, "left")
  check_flag(strict, "strict")
  sequences <- as_sequences(X)
  plan <- prepare_func(func, model, list(...), additional_func_kwargs, sequences$n, call, BPPARAM)
  codes <- sequence_codes(sequences)
  insertions <- as_variant_table(insertions, "insertions", X, "insertion", strict, call)
  variants <- check_variants(insertions, "insertions", sequences, "alt", strict, call,
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
    share_draws(plan, sequences, call), one_hot_array(sequences),
    finish_one_hot(inserted, sequences), "insertion_effect",
    count_variants(variants, "insertion", variants$example, sequences), label, sequences$ranges,
    call
  )
}

finish_variants <- function(plan, X_before, X_after, verb, what, label, ranges, call) {
  variants_perturbation(
    call_func(plan, X_before, call = call), call_func(plan, X_after, call = call), verb, what,
    label, ranges, call
  )
}

variants_perturbation <- function(before, after, verb, what, label, ranges, call) {
  new_perturbation(before, after, verb,
    what = what, func = label, axes = list(before = "sequence", after = "sequence"),
    ranges = ranges, call = call
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

# Any letter that is no base is an N.
codes_of_letters <- function(letters) {
  as.raw(match(strsplit(letters, "", fixed = TRUE)[[1L]], base_letters, n_bases + 1L) - 1L)
}
