# Results as tracks for genome browsers. rtracklayer writes the bigWig file.

#' Write attributions as a bigWig file
#'
#' One number for each base of the genome that a result covers, for genome browsers and for tools
#' that read signal tracks. The number of a base is that of the letter that is there: what
#' [as.data.frame()][seqlift_attributions] gives.
#'
#' Sequences from the minus strand are turned around: their first letter is the last base of their
#' range. A bigWig file has no strands, so that numbers of both strands lie in one track; write two
#' files, of `x[strand == "+", , ]` and the rest, to keep them apart. Positions before the first or
#' after the last base of a chromosome (of padded sequences) are left out. Numbers are stored in
#' float32, as the format has it.
#'
#' With one number for each base the file is also what the genome browsers' dynseq display reads,
#' which draws each base of the genome as a letter of that height: in the UCSC browser a bigWig
#' track with `logo on`, in the WashU browser a track of type `dynseq`, in igv.js `graphType:
#' "dynseq"`. [export_track_hub()] writes these settings.
#'
#' @param attributions A result of an attribution method (class `seqlift_attributions`) of one
#'   target; an array `[n, 4, L]`, which is summed over the bases; or a matrix `[n, L]` of any score
#'   of every position.
#' @param ranges A `GRanges` with the place of each sequence, in their order, each of L bp (of a
#'   window that of the sequence, or of the window). Default
#'   `NULL`: those of the result, see [attribution_ranges()].
#' @param path Path of the file that is written, usually ending in `.bw`. It is there when it is
#'   whole; a file of that name is replaced.
#' @param genome Lengths of the chromosomes, where `ranges` do not know them: a named vector of
#'   numbers in bp, or an object with a `seqinfo()`: a `Seqinfo`, `BSgenome`, `DNAStringSet` with
#'   names, or `Rsamtools::FaFile` with an index. Default `NULL`: those of `ranges`.
#' @param overlaps What a base gets that several sequences cover: `"error"` (default) refuses such
#'   ranges, `"mean"` takes the mean of their numbers, `"first"` the number of the first of them in
#'   the order of the result.
#' @param what `"attributions"` (default), or the `"standard_errors"` of a result that has them, see
#'   [standard_errors()].
#' @return The path, invisibly.
#' @section Errors: `seqlift_error_argument` for another wrong argument, ranges that overlap where
#'   they must not, or lengths of chromosomes that are not known; `seqlift_error_file` for a path
#'   that cannot be written; `seqlift_error_package` without the packages rtracklayer and
#'   GenomicRanges. All come before anything is written.
#' @source Format: Kent et al. (2010), BigWig and BigBed: enabling browsing of large distributed
#'   datasets; written by rtracklayer (Lawrence et al. 2009).
#' @seealso [export_track_hub()] for genome browsers, [export_bed()] for seqlets,
#'   [as_summarized_experiment()], [export_modisco()]
#' @export
#' @examplesIf requireNamespace("rtracklayer", quietly = TRUE) && .Platform$OS.type != "windows"
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- attribute(model, demo_sequences()[1:2], "gradient_x_input")
#' attribution_ranges(attributions) <- GenomicRanges::GRanges(
#'   c("chr1:1001-1500:+", "chr1:4001-4500:-")
#' )
#' path <- tempfile(fileext = ".bw")
#' export_bigwig(attributions, path = path, genome = c(chr1 = 10000))
#' rtracklayer::import(path)
export_bigwig <- function(attributions, ranges = NULL, path, genome = NULL,
                          overlaps = c("error", "mean", "first"),
                          what = c("attributions", "standard_errors")) {
  path <- check_output_path(if (!missing(path)) path)
  check_package(c("rtracklayer", "GenomicRanges"), "Writing a bigWig file")
  overlaps <- check_choice(overlaps, c("error", "mean", "first"), "overlaps")
  what <- check_choice(what, c("attributions", "standard_errors"), "what")
  values <- if (what == "attributions") {
    position_values(attributions)
  } else {
    position_errors(attributions, overlaps)
  }
  track <- bigwig_track(values, attributions, ranges, genome, overlaps)
  write_whole(path, function(temporary) write_bigwig(track, temporary))
}

# The numbers [n, L] of a result as a GRanges of single bases.
bigwig_track <- function(values, attributions, ranges, genome, overlaps, call = caller_env(),
                         arg = "genome") {
  ranges <- ranges_for(ranges, attributions, nrow(values), ncol(values), call)
  lengths <- chromosome_lengths(ranges, genome, call, arg)
  if (overlaps == "error") {
    check_disjoint(ranges, call)
  }
  track <- merge_positions(
    place_values(values, range_places(ranges), lengths), overlaps
  )
  GenomicRanges::GRanges(
    # A factor of numbers, not of as many strings as there are bases.
    structure(track$chromosome, levels = names(lengths), class = "factor"),
    IRanges::IRanges(track$pos, width = 1L),
    score = track$value, seqlengths = lengths
  )
}

write_bigwig <- function(track, path) {
  rtracklayer::export.bw(track, path)
  check_bigwig_end(path)
}

# The format ends as it begins, with four bytes in the writer's order: a file that was cut short
# does not.
check_bigwig_end <- function(path) {
  bytes <- file.size(path)
  connection <- file(path, "rb")
  on.exit(close(connection))
  first <- readBin(connection, "raw", 4L)
  seek(connection, bytes - 4)
  last <- readBin(connection, "raw", 4L)
  if (length(first) < 4L || !identical(first, last)) {
    stop("its end is missing")
  }
}

# The number of each position, [n, L].
position_values <- function(attributions, arg = "attributions", call = caller_env()) {
  if (!inherits(attributions, "seqlift_attributions")) {
    return(t(attribution_tracks(attributions, arg, call)))
  }
  check_some_sequences(attributions, arg, call)
  check_one_target(attributions, arg, call)
  values <- observed_values(attributions)
  values <- matrix(values, dim(values)[1L])
  if (!all(is.finite(values))) {
    abort_argument(arg, "finite numbers", "one with NA, NaN or Inf", call = call)
  }
  values
}

# The standard error of each position, [n, L]. That of a mean of overlapping regions would depend on
# how these go together, which is not known.
position_errors <- function(attributions, overlaps, call = caller_env()) {
  check_attributions(attributions, "attributions", call)
  check_one_target(attributions, "attributions", call)
  standard_errors(attributions)
  if (overlaps == "mean") {
    abort_argument("overlaps", "\"error\" or \"first\" for standard errors", "\"mean\"",
      call = call
    )
  }
  errors <- observed_errors(attributions)
  errors <- matrix(errors, dim(errors)[1L])
  if (anyNA(errors)) {
    abort_argument("attributions", "one with a standard error at every position",
      "one of a soft input, where it is not known",
      call = call
    )
  }
  errors
}

# Lengths of the chromosomes that `ranges` lie on, named, in bp; `genome` is the argument `arg`.
chromosome_lengths <- function(ranges, genome, call = caller_env(), arg = "genome") {
  known <- lengths_of_genome(if (is.null(genome)) ranges else genome, call, arg)
  used <- unique(as.character(GenomicRanges::seqnames(ranges)))
  unknown <- used[is.na(known[used])]
  if (length(unknown) > 0L) {
    shown <- toString(utils::head(unknown, 3L))
    if (is.null(genome)) {
      abort_argument("ranges", "ranges that know the lengths of their chromosomes",
        paste("ranges without that of", shown),
        hint = paste0("Give them as {.arg ", arg, "}: a BSgenome, a Seqinfo, or numbers such as
                {.code c(chr1 = 248956422)}."),
        call = call
      )
    }
    abort_argument(arg, paste("one that has", shown),
      paste("one with", toString(utils::head(names(known), 3L))),
      hint = "Names of chromosomes must be those of the ranges: {.code chr1} is not {.code 1}.",
      call = call
    )
  }
  places <- range_places(ranges)
  lengths <- known[used]
  outside <- which(places$end < 1L | places$start > lengths[places$seqnames])
  if (length(outside) > 0L) {
    first <- outside[1L]
    abort_argument(if (is.null(genome)) "ranges" else arg,
      "such that all ranges lie on their chromosomes", paste0(
        range_text(ranges[first]), " beside one of ", lengths[[places$seqnames[first]]], " bp"
      ),
      call = call
    )
  }
  lengths
}

lengths_of_genome <- function(genome, call, arg = "genome") {
  if (is.numeric(genome)) {
    whole <- !is.null(names(genome)) && !anyDuplicated(names(genome)) &&
      all(is.finite(genome)) && all(genome >= 1) && all(genome <= .Machine$integer.max)
    if (!whole) {
      abort_argument(arg, "lengths in bp with the names of the chromosomes",
        describe(genome),
        call = call
      )
    }
    return(vapply(genome, as.integer, integer(1L)))
  }
  # A class that has none, or an index that is missing.
  lengths <- tryCatch(GenomeInfoDb::seqlengths(genome), error = function(error) NULL)
  if (is.null(lengths)) {
    abort_argument(arg, "lengths of chromosomes, or an object with a seqinfo()",
      describe(genome),
      call = call
    )
  }
  lengths
}

check_disjoint <- function(ranges, call = caller_env()) {
  hits <- GenomicRanges::countOverlaps(ranges, ranges, ignore.strand = TRUE) > 1L
  if (any(hits)) {
    first <- which(hits)[1L]
    abort_argument("ranges", "ranges that do not overlap",
      paste(sum(hits), "that do,", range_text(ranges[first]), "among them"),
      hint = "Say what such a base gets: {.code overlaps = \"mean\"} or {.code \"first\"}.",
      call = call
    )
  }
}

# Values [n, L] at their places in the genome, in the order of the sequences: list of chromosome
# (number in `lengths`), pos and value. What lies beside the chromosomes is left out.
place_values <- function(values, places, lengths) {
  shape <- dim(values)
  offset <- rep(seq_len(shape[2L]) - 1L, shape[1L])
  row <- rep(seq_len(shape[1L]), each = shape[2L])
  pos <- ifelse(places$strand == "-", places$end, places$start)[row] +
    ifelse(places$strand == "-", -1L, 1L)[row] * offset
  chromosome <- match(places$seqnames, names(lengths))[row]
  there <- pos >= 1L & pos <= lengths[chromosome]
  list(
    chromosome = chromosome[there], pos = pos[there], value = as.vector(t(values))[there]
  )
}

# One value a base, sorted.
merge_positions <- function(track, overlaps) {
  sorted <- order(track$chromosome, track$pos, method = "radix")
  track <- lapply(track, function(column) column[sorted])
  n <- length(sorted)
  # Radix sorting is stable: the first of equal ones is that of the first sequence.
  first <- c(TRUE, track$pos[-1L] != track$pos[-n] | track$chromosome[-1L] != track$chromosome[-n])
  if (overlaps == "mean" && !all(first)) {
    group <- cumsum(first)
    means <- as.vector(rowsum(track$value, group, reorder = FALSE)) / tabulate(group)
    track$value[first] <- means
  }
  lapply(track, function(column) column[first])
}
