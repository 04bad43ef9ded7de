# Seqlets and hits as BED files. Written here: the format is text, and its whole numbers must stay whole.

#' Write seqlets or hits as a BED file
#'
#' Writes the places of seqlets, or of hits of motifs, for genome browsers and for tools such as bedtools: as BED with six
#' columns, or, where `path` ends in `.narrowPeak`, as narrowPeak, which has room for their
#' attributions and p-values.
#'
#' The columns of BED are: chromosome; start, counted from 0, and end, not included, as the format
#' has it; name; score; strand. The score must be a whole number from 0 to 1000, by which browsers
#' shade the seqlets: it is 1000 times the absolute attribution over the largest of the table. A
#' narrowPeak file has the attribution itself, with its sign, in column 7, and -log10 of the p-value
#' in column 8 (-1 where there is none, as the format has it).
#'
#' Hits of [call_hits()] are named by their motifs, on the strand that the motif has in the genome;
#' their score is 1000 times their similarity. Three columns follow: coefficient, similarity and
#' importance. UCSC's `bedToBigBed -type=bed6+3 -tab -as=hits.as hits.bed chrom.sizes hits.bb` makes a
#' bigBed file of it; what the columns mean is written beside the file, for `hits.bed` as `hits.as`
#' (autoSql).
#'
#' Lines are sorted by chromosome and start, as bedtools and bedToBigBed want them. What a seqlet has before the
#' first base of a chromosome (of padded sequences) is cut off.
#'
#' @param seqlets A data frame with columns `example`, `start` and `end` and, where there are such,
#'   `attribution`, `p_value` and `name`: a result of [recursive_seqlets()] or
#'   [tfmodisco_seqlets()]. Or a `GRanges` of seqlets, see [seqlets_as_granges()], or a result of
#'   [call_hits()].
#' @param path Path of the file that is written. It is there when it is whole; a file of that name
#'   is replaced.
#' @param ranges A `GRanges` with the place of each sequence, as for [seqlets_as_granges()]. Default
#'   `NULL`: those that the table knows. Where it knows none, the places are those in the sequences,
#'   and the names of the sequences stand for chromosomes.
#' @return The path, invisibly; of hits that of the BED file. Seqlets without a column `name` are called `seqlet_1`, `seqlet_2`,
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
  if (inherits(seqlets, "seqlift_hits")) {
    return(export_hits_bed(seqlets, path, ranges))
  }
  check_package("GenomicRanges", "Writing seqlets as BED")
  if (!inherits(seqlets, "GRanges")) {
    seqlets <- seqlets_as_granges(seqlets, ranges)
  } else if (!is.null(ranges)) {
    abort_argument("ranges", "NULL for seqlets that are ranges", describe(ranges))
  }
  lines <- bed_lines(seqlets, peaks = grepl("\\.narrowPeak$", path))
  write_whole(path, function(temporary) write_text(lines, temporary))
}

bed_lines <- function(seqlets, peaks, call = caller_env()) {
  places <- range_places(seqlets)
  check_bed_places(places, call)
  table <- as.data.frame(S4Vectors::mcols(seqlets))
  names <- table[["name"]] %||% sprintf("seqlet_%d", seq_along(seqlets))
  # The format's own word for none: an empty column moves the others for who splits at spaces.
  names <- ifelse(is.na(names) | !nzchar(names), ".", as.character(names))
  check_bed_names(names, call)
  attribution <- table[["attribution"]] %||% rep(0, length(seqlets))
  largest <- max(abs(attribution), 0)
  score <- if (largest > 0) round(1000 * abs(attribution) / largest) else attribution
  more <- if (peaks) {
    list(number_text(attribution), number_text(log_p_values(table[["p_value"]])), "-1", "-1")
  }
  sorted_bed_lines(places, names, score, more)
}

# The six columns of BED and `more`, by chromosome (in the order of bytes), start and end.
sorted_bed_lines <- function(places, names, score, more = list()) {
  columns <- list(
    places$seqnames, sprintf("%d", pmax(as.integer(places$start), 1L) - 1L),
    sprintf("%d", as.integer(places$end)), names, sprintf("%d", as.integer(score)),
    sub("*", ".", places$strand, fixed = TRUE)
  )
  sorted <- order(places$seqnames, places$start, places$end, method = "radix")
  do.call(paste, c(columns, more, sep = "\t"))[sorted]
}

check_bed_places <- function(places, call) {
  before <- which(places$end < 1L)
  if (length(before) > 0L) {
    abort_argument("seqlets", "on their chromosomes",
      paste(places_text(places[before[1L], ]), "before one"),
      call = call
    )
  }
}

check_bed_names <- function(names, call) {
  odd <- grep("[\t\r\n]", names, value = TRUE)
  if (length(odd) > 0L) {
    abort_argument("seqlets", "a table whose names have no tab or end of line",
      encodeString(odd[1L], quote = "\""),
      call = call
    )
  }
}

# ---- hits ---------------------------------------------------------------------------------

export_hits_bed <- function(hits, path, ranges, call = caller_env()) {
  check_hits(hits, "seqlets", call)
  if (grepl("\\.(narrowPeak|as)$", path)) {
    abort_argument("path", "a path that does not end in .narrowPeak or .as for hits",
      quote_start(path),
      call = call
    )
  }
  places <- hit_places(hits, ranges %||% attr(hits, "ranges", exact = TRUE), call)
  check_bed_places(places, call)
  names <- as.character(hits$motif)
  check_bed_names(c(levels(hits$motif), places$seqnames), call)
  lines <- sorted_bed_lines(places, names, bed_score(hits$similarity), list(
    number_text(hits$coefficient), number_text(hits$similarity), number_text(hits$importance)
  ))
  # Both files or none: the second is renamed when the first is whole.
  write_whole(path, function(temporary) {
    write_text(lines, temporary)
    columns <- sub("([.][^./\\\\]*)?$", ".as", path)
    write_whole(columns, function(described) write_text(hits_autosql, described), call = call)
  }, call = call)
}

bed_score <- function(shares) ifelse(is.na(shares), 0, round(1000 * pmin(pmax(shares, 0), 1)))

hits_autosql <- c(
  "table seqlift_hits",
  "\"Hits of motifs in attributions, called by seqlift\"",
  "    (",
  "    string chrom;       \"Chromosome\"",
  "    uint   chromStart;  \"Start of the trimmed motif\"",
  "    uint   chromEnd;    \"End of the trimmed motif\"",
  "    string name;        \"Motif\"",
  "    uint   score;       \"1000 times the similarity\"",
  "    char[1] strand;     \"Strand of the motif\"",
  "    float  coefficient; \"Coefficient of the motif, comparable within its sequence\"",
  "    float  similarity;  \"Similarity of the motif and the contributions below it\"",
  "    float  importance;  \"Sum of the absolute contributions below the motif\"",
  "    )"
)

# -log10, as narrowPeak has it. A p-value of zero is smaller than any number that there is.
log_p_values <- function(p_values) {
  if (is.null(p_values)) {
    return(-1)
  }
  ifelse(is.na(p_values), -1, -log10(pmax(p_values, .Machine$double.xmin)))
}

number_text <- function(x) formatC(x, digits = 7L, format = "g")
