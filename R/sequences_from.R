#' Take the sequences of genomic regions
#'
#' Reads the letters of regions from a genome, centred and resized if `width` is given. Regions on
#' the minus strand come as the reverse complement, as they are read.
#'
#' @section Centre and width:
#' With `width`, every region is resized around its centre as [GenomicRanges::resize()] does with
#' `fix = "center"`. The centre is the middle of the region; of regions with summits it is the
#' summit, the base that the tenth column of a narrowPeak file counts from the start (from 0), or
#' the middle where that is -1. The bases to take do not depend on the strand: `width %/% 2` to the
#' left of the summit and as many to its right, one fewer for an even width. So the summit is letter
#' 251 of 501; of 500 it is letter 251 on the plus strand and 250 on the minus strand. Summits are
#' read from narrowPeak files (files with ten columns, whatever their name) and from a `GRanges`
#' with the columns `signalValue` and `peak`, as `rtracklayer::import()` makes it from such a file.
#'
#' @param regions A `GRanges`; or the path of a file in the format of BED (three columns or more;
#'   columns 4 to 6 become name, score and strand, further ones are left out) or narrowPeak, plain
#'   or compressed with gzip or bgzip. Comments and lines for browsers are passed over. Strand `*`
#'   is read as the plus strand.
#' @param genome Where the letters are: a `BSgenome`, an `Rsamtools::FaFile`, an
#'   `rtracklayer::TwoBitFile`, a `Biostrings::DNAStringSet` with the chromosomes' names (up to the
#'   first space), or the path of a FASTA (also compressed) or 2bit file. Nothing is written beside
#'   a FASTA: without an index (`Rsamtools::indexFa()` makes one to keep) it is indexed for the
#'   session.
#' @param width Length of each sequence in bases. `NULL` (default) takes the regions as they are,
#'   which may have different widths; models and most functions of this package need one length.
#' @param out_of_bounds What to do with regions that reach over an end of their chromosome:
#'   `"error"` (default), `"drop"` them with a message, or `"pad"` them with N. `"drop"` also leaves
#'   out regions on chromosomes that the genome does not have, where it has others of them.
#' @param strict What to do with records of a file that cannot be used: lines of `regions` with too
#'   few columns, another number of them than most, or places that are none; sequences of a FASTA
#'   that are not of DNA or have the name of one before; regions without a base. `FALSE` (default)
#'   drops them with one message, which counts them and names the first; `TRUE` is an error. Where
#'   nothing would be left it is an error.
#' @return A `Biostrings::DNAStringSet` in the order of the regions, in upper-case A, C, G, T and N:
#'   other letters of the genome become N. Its names are those of the regions (of a file the names
#'   in it where all differ), else their places (`"chr1:101-600:+"`). Its metadata columns are those
#'   of the regions and `range`, a `GRanges` of the regions that were taken, resized, with the
#'   genome's `seqinfo`, in place of any column of that name. Padded regions reach over the ends
#'   there too.
#' @section Errors: `seqlift_error_regions` for regions that are empty, on chromosomes that the
#'   genome lacks, of another assembly (where both name it or have lengths of chromosomes), of no
#'   base, with a summit outside, out of bounds with `"error"`, wholly out of bounds with `"pad"`,
#'   or all dropped; `seqlift_error_genome` for another genome; `seqlift_error_file` for a file that
#'   is not there, cannot be read, is cut short, or has no line that can be used, with the line;
#'   `seqlift_error_argument` for another width or choice; `seqlift_error_package` where the
#'   Bioconductor packages are not installed. The message about dropped records has the class
#'   `seqlift_message_dropped`.
#' @source narrowPeak and BED: <https://genome.ucsc.edu/FAQ/FAQformat.html>.
#' @seealso [matched_regions()] for regions to compare with, [signal_from()] for control tracks,
#'   [variants_from()] for variants on the sequences
#' @concept extract_loci
#' @export
#' @examplesIf requireNamespace("Rsamtools", quietly = TRUE)
#' genome <- Biostrings::DNAStringSet(c(chr1 = "ACGTACGGATTACAGGCATNACGTTT", chr2 = "GGGGCCCC"))
#' regions <- GenomicRanges::GRanges(c(first = "chr1:8-14:+", second = "chr1:8-14:-"))
#' sequences_from(regions, genome)
#' taken <- sequences_from(regions, genome, width = 4)
#' taken
#' S4Vectors::mcols(taken)$range
#'
#' # The same with files.
#' bed <- tempfile(fileext = ".bed")
#' writeLines(c("chr1\t7\t14\tfirst\t0\t+", "chr2\t0\t3\tsecond\t0\t-"), bed)
#' fasta <- tempfile(fileext = ".fa")
#' Biostrings::writeXStringSet(genome, fasta)
#' sequences_from(bed, fasta, width = 4, out_of_bounds = "pad")
sequences_from <- function(regions, genome, width = NULL,
                           out_of_bounds = c("error", "drop", "pad"), strict = FALSE) {
  call <- rlang::current_env()
  check_flag(strict, "strict")
  out_of_bounds <- check_choice(out_of_bounds, c("error", "drop", "pad"), "out_of_bounds")
  width <- check_count(width, "width", null = TRUE)
  check_package(region_packages, "Taking sequences from a genome")
  regions <- as_regions(regions, strict = strict, call = call)
  genome <- open_genome(genome, strict, call)
  if (out_of_bounds == "drop") {
    regions <- drop_unknown_chromosomes(regions, genome)
  }
  check_chromosomes(regions, genome$seqinfo, "regions", genome$label, call)
  if (is.null(width)) {
    regions <- drop_empty_regions(regions, strict, call)
  }
  taken <- resize_regions(regions, width, call)
  place <- bound_regions(taken, genome$seqinfo, out_of_bounds, call)
  taken <- taken[place$kept]
  sequences <- fetch_letters(genome, taken, place, call)
  columns <- GenomicRanges::mcols(regions)[place$kept, , drop = FALSE]
  rownames(columns) <- NULL
  columns$range <- on_genome(taken, genome$seqinfo)
  names(sequences) <- names(regions)[place$kept] %||% place_labels(taken)
  S4Vectors::mcols(sequences) <- columns
  sequences
}

# Regions on chromosomes that the genome lacks, where it has some of the others.
drop_unknown_chromosomes <- function(regions, genome) {
  chromosome <- as.character(GenomicRanges::seqnames(regions))
  unknown <- !chromosome %in% GenomeInfoDb::seqnames(genome$seqinfo)
  if (!any(unknown) || all(unknown)) {
    return(regions)
  }
  n <- sum(unknown)
  named <- first_few(unique(chromosome[unknown]))
  inform_dropped("Dropped {n} of {length(regions)} regions, on chromosomes that {genome$label} does
    not have: {named}.")
  GenomeInfoDb::keepSeqlevels(regions[!unknown], unique(chromosome[!unknown]))
}

# A region without a base has no sequence, unless it is resized.
drop_empty_regions <- function(regions, strict, call) {
  empty <- GenomicRanges::width(regions) == 0L
  problems <- ifelse(empty, "has no base: regions must be of at least one base", NA)
  labels <- paste0("Number ", seq_along(regions), " (", place_labels(regions), ")")
  kept <- usable_records(problems, labels, "regions", "`regions`", strict, "regions",
    hint = "With {.arg width} they are resized.", call = call
  )
  regions[kept]
}

# The regions to take: bare ranges without names and lengths of chromosomes, as they may reach over
# the ends.
resize_regions <- function(regions, width, call) {
  bare <- GenomicRanges::GRanges(
    as.character(GenomicRanges::seqnames(regions)), unname(GenomicRanges::ranges(regions)),
    GenomicRanges::strand(regions)
  )
  if (is.null(width)) {
    empty <- which(GenomicRanges::width(bare) == 0L)
    if (length(empty) > 0L) {
      abort_argument("regions", "of at least one base",
        paste0("one of none (", place_labels(bare[empty[1L]]), ", number ", empty[1L], ")"),
        hint = "With {.arg width} they are resized.", kind = "regions", call = call
      )
    }
    return(bare)
  }
  if (has_summits(regions)) {
    bare <- to_summits(bare, GenomicRanges::mcols(regions)$peak, call)
  }
  GenomicRanges::resize(bare, width, fix = "center")
}

# Regions with a summit become it, one base wide.
to_summits <- function(regions, peak, call) {
  inside <- is.numeric(peak) & !is.na(peak) & peak >= -1 & peak < GenomicRanges::width(regions)
  if (!all(inside)) {
    first <- which(!inside)[1L]
    abort_argument("regions", "such that column `peak` counts bases from the start of the region",
      paste0(
        "one with ", describe(peak[first]), " for ", place_labels(regions[first]), " (number ",
        first, ")"
      ),
      kind = "regions", call = call
    )
  }
  has_one <- peak >= 0
  summit <- GenomicRanges::start(regions)[has_one] + peak[has_one]
  GenomicRanges::ranges(regions)[has_one] <- IRanges::IRanges(summit, width = 1L)
  regions
}

# Which regions to take (`kept`, their numbers) and for each how many bases its chromosome lacks to
# the left and to the right.
bound_regions <- function(regions, known, out_of_bounds, call) {
  last <- GenomeInfoDb::seqlengths(known)[as.character(GenomicRanges::seqnames(regions))]
  left <- pmax(1L - GenomicRanges::start(regions), 0L)
  right <- pmax(GenomicRanges::end(regions) - unname(last), 0L)
  out <- which(left > 0L | right > 0L)
  kept <- seq_along(regions)
  places <- first_few(paste0(
    place_labels(regions[out]), " (number ", out, ", of ", last[out], " bp)"
  ))
  if (length(out) > 0L && out_of_bounds == "error") {
    abort_seqlift("regions",
      c("{.arg regions} must lie within their chromosomes; {length(out)} of {length(regions)} reach
         over an end.",
        x = "Out of bounds: {places}.",
        i = "{.code out_of_bounds = \"drop\"} leaves them out, {.code \"pad\"} fills them with N."
      ),
      call = call
    )
  }
  if (length(out) > 0L && out_of_bounds == "drop") {
    if (length(out) == length(regions)) {
      abort_seqlift("regions",
        c("None of {.arg regions} lies within its chromosome.", x = "Out of bounds: {places}."),
        call = call
      )
    }
    inform_dropped(
      "Dropped {length(out)} of {length(regions)} regions, which reach over an end of their
       chromosome: {places}."
    )
    kept <- kept[-out]
  }
  outside <- which(left + right >= GenomicRanges::width(regions))
  if (out_of_bounds == "pad" && length(outside) > 0L) {
    first <- outside[1L]
    abort_argument("regions", "such that each has a base on its chromosome",
      paste0("one at ", place_labels(regions[first]), " of ", last[first], " bp"),
      kind = "regions", call = call
    )
  }
  list(kept = kept, left = left[kept], right = right[kept])
}

inform_dropped <- function(message, .envir = parent.frame()) {
  cli::cli_inform(message,
    class = c("seqlift_message_dropped", "seqlift_message"), .envir = .envir
  )
}

# What a model can read: the ambiguous letters and gaps of a genome become N.
letters_to_n <- "MRWSYKVHDB-+."

fetch_letters <- function(genome, regions, place, call) {
  on_chromosome <- GenomicRanges::GRanges(
    GenomicRanges::seqnames(regions),
    IRanges::IRanges(
      GenomicRanges::start(regions) + place$left, GenomicRanges::end(regions) - place$right
    )
  )
  letters <- read_genome(genome, on_chromosome, call)
  padded <- place$left + place$right > 0L
  if (any(padded)) {
    unknown <- function(n) Biostrings::DNAStringSet(strrep("N", n))
    letters[padded] <- Biostrings::xscat(
      unknown(place$left[padded]), letters[padded], unknown(place$right[padded])
    )
  }
  minus <- as.logical(GenomicRanges::strand(regions) == "-")
  letters[minus] <- Biostrings::reverseComplement(letters[minus])
  letters
}

# The plus strand of regions, in A, C, G, T and N.
read_genome <- function(genome, regions, call) {
  letters <- rlang::try_fetch(genome$fetch(regions), error = function(error) {
    abort_seqlift("genome", "{.arg genome} cannot be read.", parent = error, call = call)
  })
  Biostrings::chartr(letters_to_n, strrep("N", nchar(letters_to_n)), letters)
}

# Ranges with the genome's seqinfo. Padded ones are out of its bounds, of which GenomicRanges warns.
on_genome <- function(regions, seqinfo) {
  suppressWarnings(GenomicRanges::GRanges(
    as.character(GenomicRanges::seqnames(regions)), GenomicRanges::ranges(regions),
    GenomicRanges::strand(regions),
    seqinfo = seqinfo
  ))
}
