# Seqlets, annotations, hits and variants as BED and bigBed files. Written here: the format is text,
# and its whole numbers must stay whole. What the columns are is in export_bed_tables.R.

#' Write seqlets, annotations, hits or variants as a BED or bigBed file
#'
#' Writes places in the genome for genome browsers and for tools such as bedtools. The ending of
#' `path` says as what: BED, or
#'
#' * `.bb` or `.bigBed`: bigBed, the compressed and indexed form that genome browsers read a window
#'   of, with all columns of the table's kind and their description (autoSql);
#' * `.narrowPeak` (seqlets only): narrowPeak, which has room for their attributions and p-values.
#'
#' The columns of BED are: chromosome; start, counted from 0, and end, not included, as the format
#' has it; name; score; strand. The score must be a whole number from 0 to 1000, by which browsers
#' shade the marks.
#'
#' | table | name | score | further columns |
#' |---|---|---|---|
#' | seqlets | column `name`, else `seqlet_1`, ... by row | 1000 times the absolute attribution over the largest of the table | in bigBed `attribution`, `p_value` (-1: none) |
#' | [annotate_seqlets()] | the motif, on its strand | -100 times log10 of the p-value, at most 1000 | `p_value` (-1: none), `rank` |
#' | [call_hits()] | the motif, on its strand in the genome | 1000 times the similarity | `coefficient`, `similarity`, `importance` |
#' | [score_variants()] | the variant | 1000 times the absolute `logfc` (else `jsd`) over the largest of the table | `ref`, `alt`, `logfc`, `jsd`, those that there are |
#'
#' A narrowPeak file has the attribution itself, with its sign, in column 7, and -log10 of the
#' p-value in column 8 (-1 where there is none, as the format has it). Where BED has further
#' columns, what they mean is written beside the file, for `hits.bed` as `hits.as` (autoSql), so
#' that UCSC's `bedToBigBed -type=bed6+3 -tab -as=hits.as hits.bed chrom.sizes hits.bb` takes it
#' too.
#'
#' Lines are sorted by chromosome and start, as bedtools and bedToBigBed want them. What lies before
#' the first base of a chromosome (of padded sequences) is cut off, and so is what lies behind its
#' last one, where the lengths of the chromosomes are known.
#'
#' @param seqlets A data frame with columns `example`, `start` and `end` and, where there are such,
#'   `attribution`, `p_value` and `name`: a result of [recursive_seqlets()] or
#'   [tfmodisco_seqlets()]; or of [annotate_seqlets()], [call_hits()] or [score_variants()]. Or a
#'   `GRanges` of seqlets or annotations, see [seqlets_as_granges()].
#' @param path Path of the file that is written. It is there when it is whole; a file of that name
#'   is replaced.
#' @param ranges A `GRanges` with the place of each sequence, as for [seqlets_as_granges()]. Default
#'   `NULL`: those that the table knows. Where it knows none, the places are those in the sequences,
#'   and the names of the sequences stand for chromosomes.
#' @param genome Lengths of the chromosomes, as for [export_bigwig()]; bigBed needs them. Default
#'   `NULL`: those of `ranges`, or of the table's own.
#' @return The path, invisibly; where there are two files that of the BED file.
#' @section Errors: As [seqlets_as_granges()]; `seqlift_error_argument` also for names with a tab or
#'   an end of line, what lies before its chromosome, lengths of chromosomes that are not known, and
#'   a bigBed file of an empty table; `seqlift_error_file` for a path that cannot be written.
#' @source Formats: <https://genome.ucsc.edu/FAQ/FAQformat.html>; Kent et al. (2010), BigWig and
#'   BigBed: enabling browsing of large distributed datasets.
#' @seealso [export_track_hub()], [seqlets_as_granges()], [export_bigwig()]
#' @export
#' @examplesIf requireNamespace("GenomicRanges", quietly = TRUE)
#' seqlets <- data.frame(
#'   example = c(1, 2), start = c(5, 5), end = c(8, 8), attribution = c(2.5, -1.5)
#' )
#' windows <- GenomicRanges::GRanges(c("chr1:1001-1100:+", "chr1:2001-2100:-"))
#' path <- tempfile(fileext = ".bed")
#' export_bed(seqlets, path, windows)
#' readLines(path)
#' export_bed(seqlets, sub("bed$", "bb", path), windows, genome = c(chr1 = 10000))
export_bed <- function(seqlets, path, ranges = NULL, genome = NULL) {
  call <- rlang::current_env()
  path <- check_output_path(path)
  table <- bed_table(seqlets, ranges, "seqlets", call)
  big <- grepl("\\.(bb|bigBed)$", path)
  sizes <- if (big || !is.null(genome)) bed_sizes(table, seqlets, ranges, genome, call)
  if (big) {
    check_not_empty(table, "seqlets", call)
    return(write_whole(path, function(temporary) write_bigbed_table(table, sizes, temporary)))
  }
  if (grepl("\\.narrowPeak$", path)) {
    if (table$kind != "seqlets") {
      abort_argument("path", paste("a path that does not end in .narrowPeak for", table$kind),
        quote_start(path),
        call = call
      )
    }
    n <- nrow(table$places)
    columns <- list(
      as.double(table$attribution %||% rep(0, n)), rep_len(log_p_values(table$p_value), n),
      rep("-1", n), rep("-1", n)
    )
    lines <- bed_lines(bed_records(table, columns, sizes))
    return(write_whole(path, function(temporary) write_text(lines, temporary)))
  }
  if (table$kind == "seqlets") {
    lines <- bed_lines(bed_records(table, list(), sizes))
    return(write_whole(path, function(temporary) write_text(lines, temporary)))
  }
  write_described_bed(table, sizes, path, call)
}

# Both files or none: the second is renamed when the first is whole.
write_described_bed <- function(table, sizes, path, call) {
  if (grepl("\\.as$", path)) {
    abort_argument("path", "a path that does not end in .as, as what the columns mean does",
      quote_start(path),
      call = call
    )
  }
  lines <- bed_lines(bed_records(table, table$columns, sizes))
  write_whole(path, function(temporary) {
    write_text(lines, temporary)
    columns <- sub("([.][^./\\\\]*)?$", ".as", path)
    write_whole(columns, function(described) {
      write_text(autosql_lines(table$kind, names(table$columns)), described)
    }, call = call)
  }, call = call)
}

write_bigbed_table <- function(table, sizes, path) {
  write_bigbed(bed_records(table, table$columns, sizes), sizes,
    autosql_lines(table$kind, names(table$columns)), 6L + length(table$columns), path
  )
}

check_not_empty <- function(table, arg, call) {
  if (nrow(table$places) == 0L) {
    abort_argument(arg, "a table with at least one row for a bigBed file", "an empty one",
      call = call
    )
  }
}
