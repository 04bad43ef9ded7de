# Where sequences lie in the genome: a GRanges with a range for each sequence, on the strand that
# the sequence was read from. It comes in as the column `range` of `S4Vectors::mcols()` of a
# DNAStringSet, is carried by `as_sequences()` and by results (attribute `ranges`), and goes out
# with them. Position p of a sequence from the minus strand lies at `end - p + 1`.

#' Read or set where the sequences of a result lie in the genome
#'
#' Results keep the regions that their sequences were taken from: those of a
#' `Biostrings::DNAStringSet` whose `S4Vectors::mcols()` have a `GRanges` as the column `range`. For
#' sequences that came as letters or as an array, set them.
#'
#' The ranges follow when sequences are taken (`x[i, , ]`), and those of
#' [saturation_mutagenesis()] and [dependency_map()] are those of the window; their column
#' `position_in_sequence` says where in the sequences the window begins, as all positions are those
#' of the whole sequences. They are what
#' [as_summarized_experiment()], [export_bigwig()], [seqlets_as_granges()] and `as.data.frame()`
#' place a result by. Arithmetic gives plain arrays, which have none, and so do functions that
#' return plain arrays ([predict()][predict.seqlift_model], `raw_outputs = TRUE` of mutagenesis).
#'
#' Of a [seqlift_perturbation] they are those of the first axis of `before`: the sequences as they
#' were given; for each variant of [variant_effect()] that of its sequence; for each annotation the
#' annotated region.
#'
#' @param x A result of an attribution method (class `seqlift_attributions`, in memory or in a
#'   file, or what [attribute()] returns for a layer), of [pisa()], of [dependency_map()], or a
#'   [seqlift_perturbation].
#' @param value A `GRanges` with one range for each sequence of `x` (for what else is said above),
#'   in their order, each as wide as the sequences (of a window those of the sequences or of the
#'   window), on the strand that the sequence was read from
#'   (`"*"` counts as `"+"`); its metadata columns are kept. `NULL` takes the ranges away. Ranges of
#'   a file are its own.
#' @return `attribution_ranges()`: the `GRanges`, in the order of the sequences, or `NULL` where
#'   they are not known. The assignment: `x` with these ranges.
#' @section Errors: `seqlift_error_argument` when `x` is no such result, or `value` is not a
#'   `GRanges` with a range of the right width for each sequence; `seqlift_error_package` without
#'   the GenomicRanges package (assignment only). Sequences whose own ranges are not as wide as they
#'   are (as after `Biostrings::subseq()`) are explained without ranges, with a
#'   `seqlift_warning_ranges`.
#' @seealso [as_summarized_experiment()], [export_bigwig()]
#' @export
#' @examplesIf requireNamespace("GenomicRanges", quietly = TRUE)
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- attribute(model, demo_sequences()[1:2], "gradient_x_input")
#' attribution_ranges(attributions) <- GenomicRanges::GRanges(
#'   c("chr1:1001-1500:+", "chr1:4001-4500:-")
#' )
#' attributions
#' attribution_ranges(attributions[2, , ])
attribution_ranges <- function(x) {
  if (inherits(x, "seqlift_h5_attributions")) {
    return(read_ranges(x$stored, seq_len(dim(x)[1L])))
  }
  check_placed(x)
  attr(x, "ranges", exact = TRUE)
}

#' @rdname attribution_ranges
#' @export
`attribution_ranges<-` <- function(x, value) {
  check_placed(x)
  if (!is.null(value)) {
    check_package("GenomicRanges", "Setting ranges")
    value <- ranges_of_window(value, x)
    check_ranges(value, n_placed(x), n_positions(x), "value")
    value <- windowed_ranges(value, first_position(x))
  }
  attr(x, "ranges") <- value
  x
}

# Results know their convergence deltas, those of perturbation what they are.
is_placed <- function(x) {
  !is.null(attr(x, "convergence_deltas", exact = TRUE)) ||
    inherits(x, c("seqlift_dependency_map", "seqlift_perturbation"))
}

check_placed <- function(x, call = caller_env()) {
  if (!is_placed(x)) {
    abort_argument("x", "a result of an attribution method or of a perturbation", describe(x),
      call = call
    )
  }
}

# A result with the places of its sequences, `ranges`: those of a window where it has no more.
place_result <- function(x, ranges) {
  if (is.null(ranges)) {
    return(x)
  }
  if (is_output_list(x)) {
    x[] <- lapply(x, place_result, ranges)
  } else if (is_placed(x)) {
    width <- n_positions(x)
    if (!is.null(width)) {
      first <- first_position(x)
      ranges <- windowed_ranges(window_ranges(ranges, first, first + width - 1L), first)
    }
    attr(x, "ranges") <- ranges
  }
  x
}

# Those of a window where ranges of the whole sequences are given for a result.
ranges_of_window <- function(ranges, x) {
  width <- n_positions(x)
  whole <- sequence_length_of(x)
  is_whole <- inherits(ranges, "GRanges") && !is.null(width) && !is.na(whole) && width != whole &&
    all(GenomicRanges::width(ranges) == whole)
  if (!is_whole) {
    return(ranges)
  }
  first <- first_position(x)
  window_ranges(ranges, first, first + width - 1L)
}

# One range for each of n sequences, as wide as they are (`width` NULL: not known).
check_ranges <- function(ranges, n, width, arg, call = caller_env()) {
  if (!inherits(ranges, "GRanges") || length(ranges) != n) {
    abort_argument(arg, paste("a GRanges with", n, if (n == 1L) "range" else "ranges"),
      describe(ranges),
      hint = "It holds one range for each sequence, in their order.", call = call
    )
  }
  widths <- GenomicRanges::width(ranges)
  odd <- if (!is.null(width)) which(widths != width)
  if (length(odd) > 0L) {
    abort_argument(arg, paste0("of ranges as wide as the sequences, ", width, " bp"),
      paste0("of ", widths[odd[1L]], " bp (range ", odd[1L], ")"),
      call = call
    )
  }
  ranges
}

# The ranges to place a result by: those given, or else its own.
ranges_for <- function(ranges, attributions, n, width, call = caller_env()) {
  if (is.null(ranges)) {
    ranges <- attr(attributions, "ranges", exact = TRUE)
  }
  if (is.null(ranges)) {
    abort_argument("ranges", "a GRanges", "`NULL`",
      hint = "The result does not know where its sequences lie: give their ranges here, or set them
              with {.code attribution_ranges(x) <- ranges}.",
      call = call
    )
  }
  check_ranges(ranges_of_window(ranges, attributions), n, width, "ranges", call)
}

# The ranges that a DNAStringSet brings along.
ranges_of_biostrings <- function(X, arg, call) {
  if (!methods::is(X, "XStringSet") || !requireNamespace("S4Vectors", quietly = TRUE)) {
    return(NULL)
  }
  ranges <- S4Vectors::mcols(X)$range
  if (!inherits(ranges, "GRanges") || !requireNamespace("GenomicRanges", quietly = TRUE)) {
    return(NULL)
  }
  odd <- which(GenomicRanges::width(ranges) != GenomicRanges::width(X))
  if (length(odd) > 0L) {
    first <- odd[1L]
    warn_seqlift("ranges",
      c("The ranges of {.arg {arg}} are left out, because they are not those of its sequences:
         sequence {first} has {GenomicRanges::width(X)[first]} bp, its range
         {GenomicRanges::width(ranges)[first]}.",
        i = "Set the right ones as {.code S4Vectors::mcols({arg})$range}."
      ),
      call = call
    )
    return(NULL)
  }
  ranges
}

take_ranges <- function(ranges, rows, call) {
  if (is.null(ranges)) {
    return(NULL)
  }
  check_package("GenomicRanges", "Taking sequences with their ranges", call)
  ranges[rows]
}

# The ranges of positions `start` to `end` of the sequences, one pair for all or one for each.
window_ranges <- function(ranges, start, end) {
  if (is.null(ranges)) {
    return(NULL)
  }
  # A range that was padded beyond its chromosome is known to be there.
  suppressWarnings({
    from_start <- GenomicRanges::resize(ranges, GenomicRanges::width(ranges) - start + 1L,
      fix = "end"
    )
    GenomicRanges::resize(from_start, end - start + 1L, fix = "start")
  })
}

# Where positions of sequences lie: list of seqnames, pos and strand, NULL without ranges.
genomic_positions <- function(ranges, sequence, position) {
  if (is.null(ranges)) {
    return(NULL)
  }
  check_package("GenomicRanges", "Placing a result in the genome")
  places <- range_places(ranges)[sequence, ]
  list(
    seqnames = places$seqnames,
    pos = ifelse(places$strand == "-", places$end - position + 1L, places$start + position - 1L),
    strand = places$strand
  )
}

# Ranges as a plain data frame: seqnames, start, end, width, strand.
range_places <- function(ranges) {
  data.frame(
    seqnames = as.character(GenomicRanges::seqnames(ranges)),
    start = GenomicRanges::start(ranges), end = GenomicRanges::end(ranges),
    width = GenomicRanges::width(ranges),
    strand = as.character(GenomicRanges::strand(ranges))
  )
}

# Ranges as text in a column of a table, and back. GenomicRanges' own text leaves out what it can,
# and cannot be read where a name has a colon or a start lies before the chromosome.
range_text <- function(ranges) places_text(range_places(ranges))

places_text <- function(places) {
  with(places, sprintf("%s:%d-%d:%s", seqnames, as.integer(start), as.integer(end), strand))
}

# NULL where some are no such text.
parse_range_text <- function(text) {
  parts <- regmatches(text, regexec("^(.+):(-?[0-9]+)-(-?[0-9]+):([-+*])$", text))
  if (!all(lengths(parts) == 5L)) {
    return(NULL)
  }
  parts <- matrix(unlist(parts), ncol = 5L, byrow = TRUE)
  start <- as.integer(parts[, 3L])
  end <- as.integer(parts[, 4L])
  data.frame(
    seqnames = parts[, 2L], start = start, end = end, width = end - start + 1L, strand = parts[, 5L]
  )
}

# How many sequences (annotations, variants) of a result have a place.
n_placed <- function(x) {
  dim(if (inherits(x, "seqlift_perturbation")) flatten_outputs(x$before)[[1L]] else x)[1L]
}

# How many positions the sequences of a result have; NULL where it does not know (the units of a
# layer, perturbations).
n_positions <- function(x) {
  shape <- dim(x)
  if (inherits(x, c("seqlift_pisa", "seqlift_dependency_map"))) {
    return(shape[length(shape)])
  }
  if (inherits(x, "seqlift_attributions")) {
    shape[if (attr(x, "kind", exact = TRUE) == "multipliers") 4L else 3L]
  }
}

# For print(): the first ranges in words.
ranges_line <- function(ranges, count = 2L) {
  if (is.null(ranges) || !requireNamespace("GenomicRanges", quietly = TRUE)) {
    return(NULL)
  }
  n <- length(ranges)
  genome <- unique(GenomeInfoDb::genome(ranges))
  genome <- genome[!is.na(genome)]
  paste0(
    toString(range_text(ranges[seq_len(min(n, count))])), if (n > count) ", ...",
    if (length(genome) > 0L) paste0(" (", toString(genome), ")")
  )
}
