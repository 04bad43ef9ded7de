# Seqlets as BED files. Written here: the format is text, and its whole numbers must stay whole.

#' Write seqlets as a BED file
#'
#' Writes the places of seqlets for genome browsers and for tools such as bedtools: as BED with six
#' columns, or, where `path` ends in `.narrowPeak`, as narrowPeak, which has room for their
#' attributions and p-values.
#'
#' The columns of BED are: chromosome; start, counted from 0, and end, not included, as the format
#' has it; name; score; strand. The score must be a whole number from 0 to 1000, by which browsers
#' shade the seqlets: it is 1000 times the absolute attribution over the largest of the table. A
#' narrowPeak file has the attribution itself, with its sign, in column 7, and -log10 of the p-value
#' in column 8 (-1 where there is none, as the format has it).
#'
#' Lines are sorted by chromosome and start, as bedtools wants them. What a seqlet has before the
#' first base of a chromosome (of padded sequences) is cut off.
#'
#' @param seqlets A data frame with columns `example`, `start` and `end` and, where there are such,
#'   `attribution`, `p_value` and `name`: a result of [recursive_seqlets()] or
#'   [tfmodisco_seqlets()]. Or a `GRanges` of seqlets, see [seqlets_as_granges()].
#' @param path Path of the file that is written. It is there when it is whole; a file of that name
#'   is replaced.
#' @param ranges A `GRanges` with the place of each sequence, as for [seqlets_as_granges()]. Default
#'   `NULL`: those that the table knows. Where it knows none, the places are those in the sequences,
#'   and the names of the sequences stand for chromosomes.
#' @return The path, invisibly. Seqlets without a column `name` are called `seqlet_1`, `seqlet_2`,
#'   ... by their row; without `attribution` the score is 0.
#' @section Errors: As [seqlets_as_granges()]; `seqlift_error_argument` also for names with a tab or
#'   an end of line, and seqlets that lie before their chromosome; `seqlift_error_file` for a path
#'   that cannot be written.
#' @source Formats: <https://genome.ucsc.edu/FAQ/FAQformat.html>.
#' @seealso [seqlets_as_granges()], [export_bigwig()]
#' @export
#' @examplesIf requireNamespace("GenomicRanges", quietly = TRUE)
#' seqlets <- data.frame(
#'   example = c(1, 2), start = c(5, 5), end = c(8, 8), attribution = c(2.5, -1.5)
#' )
#' windows <- GenomicRanges::GRanges(c("chr1:1001-1100:+", "chr1:2001-2100:-"))
#' path <- tempfile(fileext = ".bed")
#' export_bed(seqlets, path, windows)
#' readLines(path)
export_bed <- function(seqlets, path, ranges = NULL) {
  path <- check_output_path(path)
  check_package("GenomicRanges", "Writing seqlets as BED")
  if (!inherits(seqlets, "GRanges")) {
    seqlets <- seqlets_as_granges(seqlets, ranges)
  } else if (!is.null(ranges)) {
    abort_argument("ranges", "NULL for seqlets that are ranges", describe(ranges))
  }
  lines <- bed_lines(seqlets, peaks = grepl("\\.narrowPeak$", path))
  write_whole(path, function(temporary) writeLines(lines, temporary))
}

bed_lines <- function(seqlets, peaks, call = caller_env()) {
  places <- range_places(seqlets)
  if (any(places$end < 1L)) {
    abort_argument("seqlets", "on their chromosomes",
      paste(range_text(seqlets[which(places$end < 1L)[1L]]), "before one"),
      call = call
    )
  }
  table <- as.data.frame(S4Vectors::mcols(seqlets))
  names <- table[["name"]] %||% sprintf("seqlet_%d", seq_along(seqlets))
  if (any(grepl("[\t\r\n]", names))) {
    abort_argument("seqlets", "a table whose names have no tab or end of line",
      encodeString(grep("[\t\r\n]", names, value = TRUE)[1L], quote = "\""),
      call = call
    )
  }
  attribution <- table[["attribution"]] %||% rep(0, length(seqlets))
  largest <- max(abs(attribution), 0)
  score <- if (largest > 0) round(1000 * abs(attribution) / largest) else attribution
  columns <- list(
    places$seqnames, sprintf("%d", pmax(as.integer(places$start), 1L) - 1L),
    sprintf("%d", as.integer(places$end)), names, sprintf("%d", as.integer(score)),
    sub("*", ".", places$strand, fixed = TRUE)
  )
  if (peaks) {
    columns <- c(columns, list(
      number_text(attribution), number_text(log_p_values(table[["p_value"]])), "-1", "-1"
    ))
  }
  sorted <- order(places$seqnames, places$start, places$end, method = "radix")
  do.call(paste, c(columns, sep = "\t"))[sorted]
}

# -log10, as narrowPeak has it. A p-value of zero is smaller than any number that there is.
log_p_values <- function(p_values) {
  if (is.null(p_values)) {
    return(-1)
  }
  ifelse(is.na(p_values), -1, -log10(pmax(p_values, .Machine$double.xmin)))
}

number_text <- function(x) formatC(x, digits = 7L, format = "g")
