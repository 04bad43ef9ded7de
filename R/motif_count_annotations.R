#' Count annotations, and pairs of them
#'
#' `count_annotations()` counts each annotation in each sequence, `pairwise_annotations()` how often
#' two of them occur in the same sequence, `pairwise_annotation_spacing()` how often at which
#' distance.
#'
#' The distance of two annotations is the number of bases between the end of the left one and the
#' start of the right one. Pairs that overlap have none and are not counted (tangermeme counts them
#' at a wrong distance, or stops). Counts do not wrap: tangermeme's do at 256 by default.
#'
#' @param annotations A result of [annotate_seqlets()] or another data frame with columns `example`
#'   (number of the sequence, from 1), `annotation` (a factor, names, or numbers from 1) and, for
#'   the spacing, `start` and `end` (1-based, inclusive); or a matrix with these columns in this
#'   order.
#' @param dim `NULL` (default) counts for every sequence and annotation, 1 sums over the sequences
#'   (counts of each annotation), 2 over the annotations (counts of each sequence).
#' @param shape How many there are, when more than occur: of `count_annotations()` sequences and
#'   annotations (two numbers), of the others annotations (one). Default `NULL`: up to the largest
#'   number that occurs, of a factor its levels.
#' @param unique `TRUE` (default) counts a pair once in a sequence, and no annotation with itself;
#'   `FALSE` counts every pair of rows.
#' @param symmetric `TRUE` (default) gives the same counts to both orders. `FALSE` counts a pair in
#'   one order: with `unique = TRUE` the smaller number first, otherwise as the rows of the table
#'   are, and of the spacing the left one first.
#' @param max_distance Distances are counted below this one, in bp. Default 100.
#' @return `count_annotations()`: an integer matrix `[sequences, annotations]`, or a vector with
#'   `dim`. `pairwise_annotations()`: an integer matrix `[annotations, annotations]`.
#'   `pairwise_annotation_spacing()`: an integer array `[annotations, annotations, max_distance]`,
#'   whose first layer is the distance 0. Annotations that have names give them to the result.
#' @section Errors: `seqlift_error_argument` for another table, numbers that do not count from 1, no
#'   annotation at all, or a `shape` that is too small.
#' @source `count_annotations`, `pairwise_annotations` and `pairwise_annotations_spacing` of
#'   tangermeme 1.4.0 (Schreiber).
#' @seealso [annotate_seqlets()], [plot_annotation_counts()], [plot_annotation_pairs()],
#'   [plot_annotation_spacing()]
#' @export
#' @examples
#' annotations <- data.frame(
#'   example = c(1, 1, 1, 2, 2), annotation = factor(c("GATA", "Ebox", "GATA", "Ebox", "GATA")),
#'   start = c(5, 20, 40, 11, 30), end = c(10, 25, 45, 16, 35)
#' )
#' count_annotations(annotations)
#' pairwise_annotations(annotations)
#' which(pairwise_annotation_spacing(annotations, symmetric = FALSE) > 0, arr.ind = TRUE)
count_annotations <- function(annotations, dim = NULL, shape = NULL) {
  table <- annotation_table(annotations, c("example", "annotation"))
  dim <- check_count(dim, "dim", max = 2, null = TRUE)
  size <- annotation_shape(table, shape, 2L)
  cell <- table$example + (table$annotation - 1) * size[1L]
  counts <- matrix(tabulate(cell, prod(size)), size[1L], size[2L])
  dimnames(counts) <- if (!is.null(table$names)) list(NULL, labels_of_table(table, size[2L]))
  if (is.null(dim)) {
    return(counts)
  }
  sums <- if (dim == 1L) colSums(counts) else rowSums(counts)
  stats::setNames(as.integer(sums), names(sums))
}

#' @rdname count_annotations
#' @export
pairwise_annotations <- function(annotations, unique = TRUE, symmetric = TRUE, shape = NULL) {
  table <- annotation_table(annotations, c("example", "annotation"))
  check_flag(unique, "unique")
  check_flag(symmetric, "symmetric")
  size <- annotation_shape(table, shape, 1L)
  rows <- data.frame(table[c("example", "annotation")])
  if (unique) {
    rows <- rows[!duplicated(rows), ]
    rows <- rows[order(rows$example, rows$annotation), ]
  }
  counts <- matrix(0L, size, size)
  over_pairs(rows$example, function(first, second) {
    add_pairs(counts, rows$annotation[first], rows$annotation[second], NULL, symmetric)
  }, function(changed) counts <<- changed)
  name_pairs(counts, table, size)
}

#' @rdname count_annotations
#' @export
pairwise_annotation_spacing <- function(annotations, max_distance = 100L, symmetric = TRUE,
                                        shape = NULL) {
  columns <- c("example", "annotation", "start", "end")
  table <- annotation_table(annotations, columns)
  max_distance <- check_count(max_distance, "max_distance")
  check_flag(symmetric, "symmetric")
  size <- annotation_shape(table, shape, 1L)
  counts <- array(0L, c(size, size, max_distance))
  over_pairs(table$example, function(first, second) {
    turned <- table$start[second] <= table$start[first]
    left <- ifelse(turned, second, first)
    right <- ifelse(turned, first, second)
    distance <- table$start[right] - table$end[left] - 1
    near <- distance >= 0 & distance < max_distance
    add_pairs(counts, table$annotation[left[near]], table$annotation[right[near]],
      distance[near] + 1, symmetric)
  }, function(changed) counts <<- changed)
  name_pairs(counts, table, size, as.character(seq_len(max_distance) - 1L))
}

# Calls `count(first, second)` for every pair of rows of the same sequence, the earlier row first,
# many pairs at a time, and hands what it gives to `keep`.
over_pairs <- function(example, count, keep) {
  order <- order(example)
  example <- example[order]
  longest <- max(rle(example)$lengths)
  for (lag in seq_len(longest - 1L)) {
    at <- seq_len(length(example) - lag)
    at <- at[example[at] == example[at + lag]]
    keep(count(order[at], order[at + lag]))
  }
}

# `layer`: the third index, or NULL of a matrix.
add_pairs <- function(counts, from, to, layer, symmetric) {
  size <- nrow(counts)
  cell <- function(a, b) a + (b - 1) * size + (if (is.null(layer)) 0 else (layer - 1) * size^2)
  cells <- cell(from, to)
  if (symmetric) {
    cells <- c(cells, cell(to, from)[from != to])
  }
  found <- table(cells)
  at <- as.numeric(names(found))
  counts[at] <- counts[at] + as.integer(found)
  counts
}

name_pairs <- function(counts, table, size, layers = NULL) {
  names <- if (!is.null(table$names)) labels_of_table(table, size)
  if (!is.null(names) || !is.null(layers)) {
    dimnames(counts) <- c(list(names, names), if (!is.null(layers)) list(layers))
  }
  counts
}

labels_of_table <- function(table, size) {
  c(table$names, as.character(seq_len(size)))[c(
    seq_along(table$names), length(table$names) + setdiff(seq_len(size), seq_along(table$names))
  )]
}

# Columns as numbers from 1, and `names` of the annotations where they have some.
annotation_table <- function(annotations, columns, call = caller_env()) {
  if (is.matrix(annotations) && is.numeric(annotations) &&
    ncol(annotations) == length(columns)) {
    annotations <- stats::setNames(as.data.frame(unname(annotations)), columns)
  }
  if (!is.data.frame(annotations) || !all(columns %in% names(annotations))) {
    abort_argument("annotations",
      paste("a data frame or a matrix with the columns", toString(columns)),
      describe(annotations),
      call = call
    )
  }
  table <- as.list(annotations[columns])
  names <- NULL
  if (is.character(table$annotation)) {
    table$annotation <- factor(table$annotation, unique(table$annotation))
  }
  if (is.factor(table$annotation)) {
    names <- levels(table$annotation)
    table$annotation <- as.integer(table$annotation)
  }
  whole <- function(x) is.numeric(x) && all(is.finite(x)) && all(x == trunc(x)) && all(x >= 1)
  if (!all(vapply(table, whole, NA))) {
    abort_argument("annotations", "of whole numbers from 1", "a table with others",
      hint = "Sequences, annotations and positions count from 1, not from 0 as in Python.",
      call = call
    )
  }
  if (length(table$example) == 0L) {
    abort_argument("annotations", "a table with at least one annotation", "one without rows",
      call = call
    )
  }
  if ("end" %in% columns && any(table$end < table$start)) {
    abort_argument("annotations", "of annotations that end where they start or behind",
      "a table with others",
      call = call
    )
  }
  c(table, list(names = names))
}

# How many sequences and annotations, or (`n` = 1) annotations.
annotation_shape <- function(table, shape, n, call = caller_env()) {
  observed <- c(max(table$example), max(table$annotation, length(table$names)))
  seen <- c(max(table$example), max(table$annotation))
  if (n == 1L) {
    observed <- observed[2L]
    seen <- seen[2L]
  }
  if (is.null(shape)) {
    return(observed)
  }
  fits <- is.numeric(shape) && length(shape) == n && all(is.finite(shape)) &&
    all(shape == trunc(shape)) && all(shape >= seen)
  if (!fits) {
    what <- if (n == 2L) "two whole numbers, of sequences and of annotations, of at least" else
      "one whole number, of annotations, of at least"
    abort_argument("shape", paste(what, paste(seen, collapse = " and ")),
      if (is.numeric(shape)) paste(shape, collapse = " and ") else describe(shape),
      call = call
    )
  }
  as.integer(shape)
}
