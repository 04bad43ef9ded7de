# Motifs of every kind that users have, as a named list of matrices [rows, width]: what functions
# that compare and export motifs work on.

# `trim_threshold` is for the patterns of discover_motifs(), `matrix` which of their matrices;
# `counts`: what counts become, "probabilities" or themselves; `any_alphabet`: whether matrices
# without names of rows may have another number of rows than four.
motif_inputs <- function(motifs, arg, matrix = "ppm", trim_threshold = 0.3,
                         counts = "probabilities", any_alphabet = FALSE, call = caller_env()) {
  if (is.character(motifs)) {
    motifs <- read_motifs(check_file(motifs, arg, call))
  }
  if (inherits(motifs, "seqlift_motifs")) {
    check_some_motifs(motifs, arg, call)
    return(pattern_matrices(motifs, matrix, trim_threshold))
  }
  if (is_motif_object(motifs)) {
    motifs <- motif_object_list(motifs)
  }
  if (is.matrix(motifs)) {
    motifs <- list(motifs)
  }
  fits <- is.list(motifs) && !is.data.frame(motifs) && length(motifs) > 0L &&
    all(vapply(motifs, function(motif) is_motif_object(motif) || is.matrix(motif), NA))
  if (!fits) {
    abort_argument(arg,
      paste(
        "a file of motifs, matrices with a column for each position, motif objects of",
        "universalmotif or TFBSTools, a list of such, or a result of `discover_motifs()`"
      ),
      describe(motifs),
      hint = if (is.list(motifs) && length(motifs) == 0L) "It holds no motif.", call = call
    )
  }
  motifs <- name_motif_objects(motifs)
  labels <- paste0(arg, "[[", seq_along(motifs), "]]")
  matrices <- Map(
    function(motif, label) motif_input(motif, label, counts, any_alphabet, call),
    unname(motifs), labels
  )
  check_same_alphabet(matrices, arg, call)
  stats::setNames(unname(matrices), names_of_inputs(names(motifs), length(motifs), arg, call))
}

# Of discovered ones `x[i]` may have chosen none, and few seqlets make none.
check_some_motifs <- function(motifs, arg, call) {
  if (length(motifs) == 0L) {
    abort_argument(arg, "of at least one motif", "a result without a pattern", call = call)
  }
}

motif_input <- function(motif, label, counts, any_alphabet, call) {
  if (is_motif_object(motif)) {
    return(matrix_of_motif(motif, label, call))
  }
  fits <- is.numeric(motif) && all(dim(motif) > 0L) && all(is.finite(motif)) &&
    all(abs(motif) < largest_weight) && (any_alphabet || nrow(motif) == n_bases)
  if (!fits) {
    abort_argument(label,
      paste0("a matrix of finite numbers, with ", if (!any_alphabet) "the rows A, C, G and T and ",
        "a column for each position"),
      describe(motif),
      hint = if (ncol(motif) == n_bases && nrow(motif) != n_bases) "Transpose it with {.fn t}.",
      call = call
    )
  }
  names <- rownames(motif)
  if (nrow(motif) == n_bases) {
    motif <- rows_by_base(motif, label, call)
    names <- base_letters
  }
  motif <- matrix(as.double(motif), nrow(motif), dimnames = list(names, NULL))
  if (counts == "counts" || !is_counts(motif)) motif else shares_of_columns(motif, label, call)
}

# The rows in the order of the bases, where they have names.
rows_by_base <- function(motif, label, call) {
  letters <- chartr("U", "T", toupper(rownames(motif)))
  if (length(letters) == 0L) {
    return(motif)
  }
  if (!setequal(letters, base_letters)) {
    abort_argument(label, "a motif of DNA or RNA, with the rows A, C, G and T",
      paste("one of", toString(rownames(motif))),
      call = call
    )
  }
  motif[match(base_letters, letters), , drop = FALSE]
}

# Squares of larger numbers are not finite, and no weight is of that size.
largest_weight <- 1e100

# Numbers of sequences: whole ones, or any that sum to the same beyond 1 at every position.
# One-hot motifs are both counts and probabilities, and stay.
is_counts <- function(motif) {
  sums <- colSums(motif)
  if (any(motif < 0) || any(sums == 0) || all(sums < 1.05)) {
    return(FALSE)
  }
  all(motif == trunc(motif)) || (all(sums > 1.05) && diff(range(sums)) < 0.01 * max(sums))
}

names_of_inputs <- function(names, n, arg, call) {
  names <- names %||% rep("", n)
  unnamed <- is.na(names) | names == ""
  names[unnamed] <- as.character(seq_len(n))[unnamed]
  twice <- anyDuplicated(names)
  if (twice > 0L) {
    abort_argument(arg, "motifs with a name each", paste0("two motifs named \"",
      escape_braces(names[twice]), "\""),
      hint = "Make them differ, for example with {.fn make.unique}.", call = call
    )
  }
  names
}

check_same_alphabet <- function(matrices, arg, call) {
  first <- matrices[[1L]]
  for (i in seq_along(matrices)) {
    one <- matrices[[i]]
    if (nrow(one) != nrow(first) || !identical(rownames(one), rownames(first))) {
      abort_argument(paste0(arg, "[[", i, "]]"),
        paste("a motif of the alphabet of the first,", alphabet_text(first)), alphabet_text(one),
        call = call
      )
    }
  }
}

alphabet_text <- function(motif) {
  if (is.null(rownames(motif))) {
    return(paste("with", nrow(motif), "rows"))
  }
  paste0("with the rows ", toString(rownames(motif)))
}

# ---- patterns of discover_motifs() -------------------------------------------------------------

# [4, width] of each pattern, between the first and the last position whose contributions are at
# least `trim_threshold` of the largest.
pattern_matrices <- function(motifs, matrix = "ppm", trim_threshold = 0.3) {
  lapply(stats::setNames(seq_along(motifs), names(motifs)), function(i) {
    pattern <- unclass(motifs)[[i]]
    kept <- trimmed_positions(pattern$contributions, trim_threshold)
    t(pattern[[matrix]][kept, , drop = FALSE])
  })
}

# Of contributions [width, 4].
trimmed_positions <- function(contributions, threshold) {
  weight <- rowSums(abs(contributions))
  kept <- range(which(weight >= threshold * max(weight)))
  seq(kept[1L], kept[2L])
}
