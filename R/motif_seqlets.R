# Seqlets: tables of the spans of attribution tracks that stand out. The core finds them
# (src/core/seqlets); here are the tracks that go in and the table that comes out, which knows
# the names of its sequences as attribute `sequences`. Where its sequences lie is a column, as
# text: it goes with its row wherever tables are cut, sorted and put together; an attribute would
# not.

#' Call seqlets: spans of high attribution
#'
#' `recursive_seqlets()` calls spans whose attributions sum up to more than chance allows, as do
#' those of all spans in them. `tfmodisco_seqlets()` calls windows as TF-MoDISco does, for the
#' discovery of motifs: longer, with their surroundings, and of either sign.
#'
#' @section Recursive seqlets:
#' Positions are taken to be independent draws from the histogram (1000 bins) of all tracks. The sum
#' of a span of m positions then follows the m-fold convolution of the histogram; its p-value is the
#' chance of a larger sum, in bins, and 1 for a sum in the lowest bin. A span is a seqlet when its
#' p-value, and that of every span of at least `min_len` positions in it, is below `threshold`. They
#' are called from the longest to the shortest, of one length the smallest p-value first, and never
#' overlap before `additional_flanks` are added. Only positive seqlets are called: give
#' `-attributions` for negative ones, or `abs(attributions)` for both. The last `min_len` positions
#' of a sequence enter no seqlet, and flanks do not reach its last position.
#'
#' @section TF-MoDISco seqlets:
#' Sums over windows are compared with draws from a Laplace distribution that is fitted to each
#' side of their mode. An isotonic regression finds, for each sign, the sum beyond which at most
#' `target_fdr` of the windows are background (the threshold is the first window, in the order of
#' the sequences, that is beyond it, or else the last window); it moves when fewer than
#' `min_passing_frac` or more than `max_passing_frac` of the windows pass. From the strongest
#' window on, each one that passes is a seqlet and suppresses those around it. Where no window is
#' negative (or none positive) that sign has no seqlets.
#'
#' A track of one number only has no seqlet. Positions are those of the whole sequence, also where
#' the result is of a window or the numbers were taken of a result; see [seqlift_attributions].
#'
#' @param attributions A result of [deep_lift_shap()] or another method with kind
#'   `"attributions"` or `"effects"` (`[n, 4, L]`), an array `[n, 4, L]`, or a matrix of tracks
#'   `[n, L]`. Arrays are summed over the bases, so they should hold the attributions of the
#'   observed bases. Any unit.
#' @param threshold The p-value below which spans are called, above 0 and at most 1. Default
#'   0.01.
#' @param min_len,max_len Shortest and longest seqlet, in bp, without flanks. Default 4 and 25.
#' @param additional_flanks How many positions to add on both sides of a called seqlet, in bp.
#'   Default 0. Changes which positions a row covers and its attribution, not its p-value.
#' @param compatible `TRUE` gives the p-values of tangermeme 1.4.0, to which the chance of the
#'   lowest bin is added: next to nothing for tracks of both signs, but no seqlet is found in a
#'   track whose lowest number is its most frequent, such as `abs(attributions)`. Default `FALSE`.
#' @param window_size Length of the windows that are summed, in bp. Default 21.
#' @param flank How many positions to add on both sides of a window, in bp. Default 10.
#' @param target_fdr Share of background among the windows that pass, 0 to 1. Default 0.2.
#' @param min_passing_frac,max_passing_frac Smallest and largest share of all windows that
#'   passes, 0 to 1. Default 0.03 and 0.2.
#' @return A data frame with one row a seqlet and columns `example` (number of the sequence, from
#'   1), `start`, `end` (1-based, inclusive), `attribution` (sum over the positions of the row;
#'   of `tfmodisco_seqlets()` over the window without its flanks) and `p_value` (the largest of
#'   the spans of at least `min_len` positions that start there; `NA` of `tfmodisco_seqlets()`). For
#'   a result with ranges (see [attribution_ranges()]) also `range`, the place of the whole sequence
#'   in the genome, such as `"chr1:1001-1500:+"`: [seqlets_as_granges()] and [export_bed()] read it.
#'   `recursive_seqlets()` sorts by `p_value`, then `example` and `start`; `tfmodisco_seqlets()` by
#'   `example`, the strongest window first. [plot_logo()] takes the table as `annotations`.
#' @section Errors: `seqlift_error_attributions` for attributions of another shape or kind, or
#'   with numbers that are not finite; `seqlift_error_argument` for another wrong argument, or
#'   sequences shorter than `min_len` or `window_size + 2 flank`.
#' @source `recursive_seqlets` (with `compatible = TRUE`) and `tfmodisco_seqlets` of tangermeme
#'   1.4.0 (Schreiber), to the same numbers. Beyond it: tracks of one number, tracks of one sign,
#'   and `min_len = 1`. TF-MoDISco: Shrikumar et al. (2018), arXiv:1811.00416.
#' @seealso [seqlets_as_granges()], [export_bed()], [plot_logo()]
#' @concept tfmodisco_seqlets
#' @export
#' @examples
#' # Two tracks of noise, one with a site at positions 41 to 48.
#' tracks <- rbind(one = sin(1:100) / 10, two = cos(1:100) / 10)
#' tracks["one", 41:48] <- c(0.6, 0.9, 1.1, 1.2, 1.2, 1, 0.8, 0.7)
#' recursive_seqlets(tracks)
#' tfmodisco_seqlets(tracks, window_size = 9, flank = 2)
#'
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1], n_shuffles = 5, random_state = 0)
#' recursive_seqlets(attributions)
recursive_seqlets <- function(attributions, threshold = 0.01, min_len = 4L, max_len = 25L,
                              additional_flanks = 0L, compatible = FALSE) {
  tracks <- attribution_tracks(attributions)
  threshold <- check_share(threshold, "threshold", above_zero = TRUE)
  min_len <- check_count(min_len, "min_len", max = nrow(tracks))
  max_len <- check_count(max_len, "max_len", min = min_len)
  additional_flanks <- check_count(additional_flanks, "additional_flanks", min = 0)
  check_flag(compatible, "compatible")
  found <- core_recursive_seqlets(
    tracks, threshold, min_len, min(max_len, nrow(tracks)), additional_flanks, compatible
  )
  seqlets <- as_seqlet_table(found, tracks, attributions)
  seqlets <- seqlets[order(seqlets$p_value, seqlets$example, seqlets$start), ]
  rownames(seqlets) <- NULL
  seqlets
}

#' @rdname recursive_seqlets
#' @export
tfmodisco_seqlets <- function(attributions, window_size = 21L, flank = 10L, target_fdr = 0.2,
                              min_passing_frac = 0.03, max_passing_frac = 0.2) {
  tracks <- attribution_tracks(attributions)
  flank <- check_count(flank, "flank", min = 0)
  window_size <- check_count(window_size, "window_size", max = nrow(tracks))
  if (window_size + 2 * flank > nrow(tracks)) {
    abort_argument("flank", paste0("so short that a window of ", window_size,
      " bp with its flanks fits into the sequence (", nrow(tracks), " bp)"), flank)
  }
  target_fdr <- check_share(target_fdr, "target_fdr")
  min_passing_frac <- check_share(min_passing_frac, "min_passing_frac")
  max_passing_frac <- check_share(max_passing_frac, "max_passing_frac")
  if (min_passing_frac > max_passing_frac) {
    abort_argument("min_passing_frac",
      paste0("at most max_passing_frac (", max_passing_frac, ")"), min_passing_frac)
  }
  found <- core_tfmodisco_seqlets(
    tracks, window_size, flank, target_fdr, min_passing_frac, max_passing_frac
  )
  as_seqlet_table(found, tracks, attributions)
}

#' Seqlets as genomic ranges
#'
#' Turns positions in sequences into positions in the genome, or keeps those in the sequences.
#'
#' Seqlets that were called on a result with ranges carry them as the column `range`. Those of
#' `-attributions` do not, because arithmetic gives plain arrays: give
#' `ranges = attribution_ranges(attributions)`.
#'
#' @param seqlets A data frame with columns `example` (number of the sequence), `start` and `end`
#'   (1-based, inclusive), such as the result of [recursive_seqlets()].
#' @param ranges A `GRanges` with the place of each sequence, in their order: seqlets of a sequence
#'   from the minus strand are turned around. `NULL` (default): the column `range` of `seqlets`.
#'   Without one, positions stay those in the sequences, and `seqnames` are the names of the
#'   sequences, their numbers where there are none.
#' @return A `GRanges`, one range a seqlet in the order of the table, with the strand of the
#'   sequence's range (`"*"` without one) and the other columns of the table, `example` among
#'   them, as metadata. Lengths of chromosomes and the genome's name are those of `ranges`.
#' @section Errors: `seqlift_error_argument` when `seqlets` is no such table, when a seqlet has no
#'   range, one that cannot be read, or does not fit into it; `seqlift_error_package` without the
#'   GenomicRanges package.
#' @seealso [recursive_seqlets()], [export_bed()]
#' @export
#' @examplesIf requireNamespace("GenomicRanges", quietly = TRUE)
#' seqlets <- data.frame(
#'   example = c(1, 2), start = c(5, 5), end = c(8, 8), attribution = c(2.5, 1.5)
#' )
#' windows <- GenomicRanges::GRanges(c("chr1:1001-1100:+", "chr1:2001-2100:-"))
#' seqlets_as_granges(seqlets, windows)
#' seqlets_as_granges(seqlets)
seqlets_as_granges <- function(seqlets, ranges = NULL) {
  check_seqlets(seqlets)
  check_package("GenomicRanges", "Seqlets as ranges")
  place <- seqlet_places(seqlets, ranges)
  extra <- seqlets[setdiff(names(seqlets), names(place))]
  GenomicRanges::makeGRangesFromDataFrame(cbind(place, extra),
    keep.extra.columns = TRUE,
    seqinfo = if (!is.null(ranges)) GenomicRanges::seqinfo(ranges)
  )
}

# Columns seqnames, start, end and strand of the seqlets.
seqlet_places <- function(seqlets, ranges, call = caller_env()) {
  own <- sequence_places(seqlets, ranges, call)
  if (is.null(own)) {
    names <- attr(seqlets, "sequences", exact = TRUE)
    return(data.frame(
      seqnames = if (is.null(names)) seqlets$example else names[seqlets$example],
      start = seqlets$start, end = seqlets$end, strand = rep("*", nrow(seqlets))
    ))
  }
  beyond <- which(seqlets$end > own$width)
  if (length(beyond) > 0L) {
    first <- beyond[1L]
    abort_argument("ranges", "as wide as the sequences", paste0(
      own$width[first], " bp for a sequence with a seqlet that ends at ", seqlets$end[first]
    ), call = call)
  }
  minus <- own$strand == "-"
  data.frame(
    seqnames = own$seqnames,
    start = ifelse(minus, own$end - seqlets$end, own$start + seqlets$start - 2) + 1,
    end = ifelse(minus, own$end - seqlets$start, own$start + seqlets$end - 2) + 1,
    strand = own$strand
  )
}

# Where the sequence of each seqlet lies, by `ranges` or by the table itself; NULL if neither knows.
sequence_places <- function(seqlets, ranges, call) {
  if (is.null(ranges)) {
    text <- seqlets[["range"]]
    if (!is.character(text)) {
      return(NULL)
    }
    places <- parse_range_text(text)
    if (is.null(places)) {
      abort_argument("seqlets",
        "a table whose column range has a place such as chr1:1001-1500:+ in every row",
        "one with another text",
        hint = "Take the column out, or give {.arg ranges}.", call = call
      )
    }
    return(places)
  }
  if (!inherits(ranges, "GRanges")) {
    abort_argument("ranges", "a GRanges or NULL", describe(ranges), call = call)
  }
  if (any(seqlets$example > length(ranges))) {
    abort_argument("ranges", paste("one range for each of", max(seqlets$example), "sequences"),
      paste(length(ranges), "ranges"),
      call = call
    )
  }
  whole_places(ranges, range_offsets(ranges), NA)[seqlets$example, ]
}

check_seqlets <- function(seqlets, call = caller_env()) {
  columns <- c("example", "start", "end")
  if (!is.data.frame(seqlets) || !all(columns %in% names(seqlets))) {
    abort_argument("seqlets", "a data frame with columns example, start and end",
      describe(seqlets),
      call = call
    )
  }
  whole <- function(x) is.numeric(x) && all(is.finite(x)) && all(x == trunc(x)) && all(x >= 1)
  if (!all(vapply(seqlets[columns], whole, logical(1L))) || any(seqlets$start > seqlets$end)) {
    abort_argument("seqlets", "of whole numbers from 1, no start after its end",
      "a table with other numbers",
      call = call
    )
  }
}

# Tracks as the core takes them: a matrix [L, n], the names of the sequences on its columns.
attribution_tracks <- function(attributions, arg = "attributions", call = caller_env()) {
  check_if_attributions(attributions, arg, call)
  kind <- attr(attributions, "kind", exact = TRUE)
  if (inherits(attributions, "seqlift_attributions") && !kind %in% c("attributions", "effects")) {
    abort_argument(arg, "attributions of the observed bases", attribution_kinds[[kind]],
      hint = "Compute them with {.code hypothetical = FALSE} and {.code raw_outputs = FALSE}.",
      kind = "attributions", call = call
    )
  }
  shape <- dim(attributions)
  fits <- is.numeric(attributions) &&
    (length(shape) == 2L || (length(shape) == 3L && shape[2L] == n_bases))
  if (!fits || any(shape == 0L)) {
    abort_argument(arg, "an array [n, 4, L] or a matrix [n, L]", describe(attributions),
      hint = "Choose one of several targets with {.code attributions[, , , k]}.",
      kind = "attributions", call = call
    )
  }
  # The largest sum of the core is that of all numbers.
  if (!is.finite(sum(abs(attributions)))) {
    abort_seqlift("attributions",
      "{.arg {arg}} must hold finite numbers, with a finite sum, but it holds NA, NaN, Inf or
       numbers beyond that.",
      call = call
    )
  }
  names <- dimnames(attributions)[[1L]]
  values <- array(as.double(attributions), shape)
  tracks <- if (length(shape) == 3L) colSums(aperm(values, c(2L, 3L, 1L))) else t(values)
  matrix(tracks, ncol = shape[1L], dimnames = list(NULL, names))
}

as_seqlet_table <- function(found, tracks, attributions) {
  seqlets <- as.data.frame(found)
  first <- first_position(attributions, axis = length(dim(attributions)))
  seqlets$start <- seqlets$start + first - 1L
  seqlets$end <- seqlets$end + first - 1L
  ranges <- attr(attributions, "ranges", exact = TRUE)
  if (!is.null(ranges)) {
    check_package("GenomicRanges", "A result with ranges")
    whole <- whole_places(ranges, first, sequence_length_of(attributions))
    seqlets$range <- places_text(whole)[seqlets$example]
  }
  structure(seqlets, sequences = colnames(tracks))
}
