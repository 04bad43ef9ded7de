# Tables of variants on sequences, checked: rows that cannot be used are dropped with one message,
# or refused where `strict`.

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
check_all_variants <- function(variants, sequences, codes, strict, call) {
  refuse <- function(expected, got) {
    abort_argument("variants", expected, got, kind = "variants", call = call)
  }
  columns <- c("example", "position", "ref", "alt")
  check_variant_table(variants, columns, "variants on the genome, or a data frame", refuse)
  position <- variants$position
  check_numbers_from_one(variants$example, position, position, refuse)
  # No bases are "-", as VEP writes it, too.
  letters <- function(column) sub("^-$", "", toupper(as.character(column)))
  ref <- letters(variants$ref)
  alt <- letters(variants$alt)
  example <- match_examples(variants$example, sequences)
  whole <- nchar(ref) == sequences$length & !nzchar(alt)
  problems <- first_problems(
    example_problems(variants$example, example, sequences),
    letter_problems(ref, "[ACGTN]*", "ref"), letter_problems(alt, "[ACGT]*", "alt"),
    ifelse(ref == alt, paste("has", alt, "as both ref and alt"), NA),
    # Behind the last base is a place for insertions.
    place_problems(
      position, position + pmax(nchar(ref), 1L) - 1, sequences$length + (nchar(ref) == 0L)
    ),
    ifelse(whole, "leaves nothing of its sequence", NA)
  )
  table <- data.frame(
    row = seq_len(nrow(variants)),
    variant = as.character(variants[["variant"]] %||% rownames(variants)), example = example,
    position = position, end = position + nchar(ref) - 1, ref = ref, alt = alt
  )
  table <- usable_rows(table, problems, "variants", strict, call)
  check_reference_letters(table[nzchar(table$ref), ], codes, "variants", call)
  table
}

# A data frame of row (in the table that was given), example (number), position, end, and alt and
# ref in upper case where there are such; of the rows that can be used.
check_variants <- function(variants, arg, sequences, needed, strict, call,
                           last = sequences$length) {
  refuse <- function(expected, got) {
    abort_argument(arg, expected, got, kind = "variants", call = call)
  }
  ranges <- arg == "deletions" && is.data.frame(variants) &&
    all(c("start", "end") %in% names(variants))
  columns <- c("example", if (ranges) c("start", "end") else "position", needed)
  check_variant_table(variants, columns, "a data frame", refuse)
  position <- if (ranges) variants$start else variants$position
  end <- if (ranges) variants$end else position
  check_numbers_from_one(variants$example, position, end, refuse)
  alt <- if ("alt" %in% needed) toupper(as.character(variants$alt))
  ref <- if (arg != "insertions" && "ref" %in% names(variants)) toupper(as.character(variants$ref))
  if (arg %in% c("substitutions", "variants")) {
    end <- position + nchar(alt) - 1
  }
  example <- match_examples(variants$example, sequences)
  size <- end - position + 1
  odd <- nchar(ref) != size
  problems <- first_problems(
    example_problems(variants$example, example, sequences),
    letter_problems(alt, "[ACGT]+", "alt"), letter_problems(ref, "[ACGTN]+", "ref"),
    place_problems(position, end, last),
    ifelse(odd, paste0("has ref ", ref, " for ", size, " base", ifelse(size == 1, "", "s")), NA)
  )
  result <- data.frame(
    row = seq_len(nrow(variants)), example = example, position = position, end = end
  )
  result$alt <- alt
  result$ref <- ref
  usable_rows(result, problems, arg, strict, call)
}

# ---- rows ----------------------------------------------------------------------------

# The rows that can be used, of a table of variants. Each has a problem or NA.
usable_rows <- function(table, problems, arg, strict, call) {
  labels <- paste0("Row ", table$row, " of `", arg, "`")
  table <- table[usable_records(problems, labels, "rows", paste0("`", arg, "`"), strict, "variants",
    call = call
  ), ]
  table$position <- as.integer(table$position)
  table$end <- as.integer(table$end)
  rownames(table) <- NULL
  table
}

# The first of several reasons for each row; NA where there is none.
first_problems <- function(...) {
  Reduce(
    function(first, second) ifelse(is.na(first), second, first), Filter(length, list(...))
  )
}

# Of a table that was counted from 0 no row is where it should be.
check_numbers_from_one <- function(example, position, end, refuse) {
  if (!is.numeric(position) || !is.numeric(end)) {
    refuse("one with numbers as positions", describe(position))
  }
  zero <- which(position == 0 | (is.numeric(example) & example == 0))
  if (length(zero) > 0L) {
    what <- if (position[zero[1L]] %in% 0) "position" else "example"
    refuse("counted from 1", paste0("from 0 as in Python (", what, " 0 in row ", zero[1L], ")"))
  }
}

example_problems <- function(given, example, sequences) {
  text <- paste0(
    "is of sequence ", given, ", where `X` has those from 1 to ", sequences$n,
    if (!is.null(sequences$names)) " and their names"
  )
  ifelse(is.na(example), text, NA)
}

letter_problems <- function(letters, pattern, column) {
  odd <- is.na(letters) | !grepl(paste0("^", pattern, "$"), letters)
  text <- vapply(letters, describe, "", USE.NAMES = FALSE)
  ifelse(odd, paste0("has ", text, " as ", column, ", which are no bases"), NA)
}

place_problems <- function(position, end, last) {
  within <- is.finite(position) & is.finite(end) & position == trunc(position) &
    end == trunc(end) & position >= 1 & position <= end & end <= last
  place <- ifelse(position == end | is.na(end), position, paste(position, "to", end))
  ifelse(within, NA, paste0("is at ", place, ", where positions are from 1 to ", last))
}

check_reference_letters <- function(variants, codes, arg, call) {
  letters_at <- function(i, beyond = 0L) {
    place <- seq.int(variants$position[i], variants$end[i]) + beyond
    if (max(place) > nrow(codes)) {
      return("")
    }
    core_decode(codes[place, variants$example[i], drop = FALSE], paste(base_letters, collapse = ""))
  }
  known <- which(!is.na(variants$ref %||% NA))
  for (i in known) {
    there <- letters_at(i)
    if (there != variants$ref[i]) {
      fit_behind <- vapply(known, function(k) letters_at(k, 1L) == variants$ref[k], NA)
      abort_argument(arg, "one whose `ref` is what the sequence has",
        paste0(
          "one with ref ", variants$ref[i], " where sequence ", variants$example[i], " has ", there,
          " at ", variants$position[i], " (row ", variants$row[i], ")"
        ),
        hint = if (all(fit_behind)) {
          "Every `ref` is there one position further on: positions are counted from 1, not from 0
           as in Python."
        },
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
        " (the second in row ", variants$row[row[twice[1L]]], ")"
      ),
      kind = "variants", call = call
    )
  }
  bases
}
