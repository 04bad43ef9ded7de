#' Read control tracks of regions
#'
#' Reads bigWig files, such as the reads of a control experiment, as an array with a row for each
#' region and a channel for each file: what BPNet and its kin take as `args` beside the sequences.
#'
#' @param regions A `GRanges`, the `DNAStringSet` of [sequences_from()], whose ranges are taken, or
#'   the path of a BED or narrowPeak file. All of one width. Regions on the minus strand are read
#'   from their end to their start, as their sequences are.
#' @param paths Character vector with the path of a bigWig file for each track. Its names, if any,
#'   become those of the tracks.
#' @param stranded `TRUE` if the files are those of the two strands in turn: plus, minus, and again
#'   if there are more (their number is even then). Regions on the minus strand get the two of each
#'   pair swapped, as the plus strand of their sequence is the minus strand of the genome. `FALSE`
#'   (default) leaves the order.
#' @param strict What to do with what a file says that is no finite number (NaN, Inf), and with
#'   lines of a file of `regions` that cannot be used: `FALSE` (default) reads such bases as 0 and
#'   drops such lines, each with one message, which counts them and names the first (the lines that
#'   [sequences_from()] drops too); `TRUE` is an error.
#' @return Double array `[n, tracks, L]`, with the names of the regions. Bases of which a file says
#'   nothing or no finite number, and bases beyond the ends of a chromosome, are 0.
#' @section Errors: `seqlift_error_regions` for regions that are empty, of different widths, of no
#'   base, on chromosomes that a file lacks or of another assembly (other lengths of chromosomes);
#'   `seqlift_error_file` for a file that is not there or cannot be read;
#'   `seqlift_error_argument` for other paths, or an odd number of them with `stranded = TRUE`;
#'   `seqlift_error_package` where the Bioconductor packages are not installed.
#' @source Avsec et al. (2021), Nature Genetics 53, 354-366: both strands of the control are swapped
#'   and reversed with the sequence.
#' @seealso [sequences_from()], [with_args()] for inputs that are the same for all sequences
#' @export
#' @examplesIf .Platform$OS.type != "windows" && requireNamespace("rtracklayer", quietly = TRUE)
#' reads <- GenomicRanges::GRanges(c("chr1:101-103", "chr1:106"), score = c(5, 2))
#' GenomeInfoDb::seqlengths(reads) <- c(chr1 = 1000)
#' path <- tempfile(fileext = ".bw")
#' rtracklayer::export(reads, path)
#' regions <- GenomicRanges::GRanges(c(plus = "chr1:100-107:+", minus = "chr1:100-107:-"))
#' signal_from(regions, c(control = path))
signal_from <- function(regions, paths, stranded = FALSE, strict = FALSE) {
  call <- rlang::current_env()
  check_flag(strict, "strict")
  check_flag(stranded, "stranded")
  check_package(c(region_packages, "rtracklayer"), "Reading a bigWig file")
  paths <- check_track_paths(paths, stranded, call)
  regions <- as_regions(regions, strict = strict, call = call)
  names <- names(regions)
  bare <- resize_regions(regions, NULL, call)
  widths <- GenomicRanges::width(bare)
  odd <- which(widths != widths[1L])
  if (length(odd) > 0L) {
    abort_argument("regions", "of one width",
      paste0(widths[1L], " bp wide at first and ", widths[odd[1L]], " as number ", odd[1L]),
      hint = "{.fn GenomicRanges::resize} or {.fn sequences_from} with {.arg width} makes them so.",
      kind = "regions", call = call
    )
  }
  # All files are looked at before any is read.
  known <- lapply(paths, function(path) {
    # Its library warns before it fails.
    found <- suppressWarnings(read_file_of("paths", path,
      GenomeInfoDb::seqinfo(rtracklayer::BigWigFile(path)), call
    ))
    check_chromosomes(regions, found, "regions", basename(path), call)
    # Bases beyond the ends are zeros, but not whole regions.
    bound_regions(bare, found, "pad", call)
    found
  })
  signal <- array(0, c(length(bare), length(paths), widths[1L]))
  for (i in seq_along(paths)) {
    signal[, i, ] <- read_track(paths[[i]], known[[i]], bare, strict, call)
  }
  turn_signal(signal, bare, stranded, names, names(paths))
}

check_track_paths <- function(paths, stranded, call) {
  if (!is.character(paths) || length(paths) == 0L || anyNA(paths)) {
    abort_argument("paths", "the paths of bigWig files", describe(paths), call = call)
  }
  if (stranded && length(paths) %% 2L != 0L) {
    abort_argument("paths", "pairs of files, plus and minus strand, as `stranded` is TRUE",
      paste(length(paths), "of them"),
      call = call
    )
  }
  labels <- names(paths)
  paths <- vapply(unname(paths), check_file, "", arg = "paths", call = call)
  stats::setNames(unname(paths), labels)
}

# Matrix [n, L] of a file along the plus strand.
read_track <- function(path, known, regions, strict, call) {
  inside <- on_genome(regions, known)
  GenomicRanges::strand(inside) <- "*"
  selection <- rtracklayer::BigWigSelection(
    GenomicRanges::reduce(GenomicRanges::trim(inside))
  )
  stored <- read_file_of("paths", path,
    rtracklayer::import(rtracklayer::BigWigFile(path), selection = selection, as = "GRanges"), call
  )
  stored <- finite_records(stored, path, strict, call)
  width <- GenomicRanges::width(regions)[1L]
  values <- matrix(0, length(regions), width)
  chromosome <- as.character(GenomicRanges::seqnames(regions))
  there <- split(seq_along(stored), as.character(GenomicRanges::seqnames(stored)))
  # Each base is looked up by itself: a sum along the chromosome, which Rle and coverage() take,
  # carries what is wrong in one place to all behind it.
  for (one in intersect(unique(chromosome), names(there))) {
    own <- which(chromosome == one)
    records <- there[[one]][order(GenomicRanges::start(stored)[there[[one]]])]
    first <- GenomicRanges::start(stored)[records]
    last <- GenomicRanges::end(stored)[records]
    positions <- outer(GenomicRanges::start(regions)[own], seq_len(width) - 1L, `+`)
    at <- findInterval(positions, first)
    covered <- which(at > 0L)
    covered <- covered[positions[covered] <= last[at[covered]]]
    found <- numeric(length(positions))
    found[covered] <- GenomicRanges::score(stored)[records[at[covered]]]
    values[own, ] <- found
  }
  values
}

# NaN and Inf are no reads: their bases are those of which the file says nothing.
finite_records <- function(stored, path, strict, call) {
  bad <- which(!is.finite(GenomicRanges::score(stored)))
  if (length(bad) == 0L) {
    return(stored)
  }
  n <- sum(GenomicRanges::width(stored)[bad])
  first <- paste(GenomicRanges::score(stored)[bad[1L]], "at", place_labels(stored[bad[1L]]))
  if (strict) {
    abort_seqlift("file",
      c("{.path {path}} ({.arg paths}) has values that are not finite at {n} base{?s} of
         {.arg regions}, the first: {first}.",
        i = "{.code strict = FALSE} reads them as 0."
      ),
      call = call
    )
  }
  inform_dropped("{n} base{?s} of {.arg regions} whose value in {.path {path}} is not finite
    {cli::qty(n)}{?is/are} read as 0, the first: {first}.")
  stored[-bad]
}

# As the sequences are read: backwards on the minus strand, and with the strands' tracks swapped.
turn_signal <- function(signal, regions, stranded, names, tracks) {
  minus <- as.logical(GenomicRanges::strand(regions) == "-")
  channels <- seq_len(dim(signal)[2L])
  if (stranded) {
    channels <- channels + c(1L, -1L)
  }
  signal[minus, , ] <- signal[minus, channels, rev(seq_len(dim(signal)[3L])), drop = FALSE]
  if (!is.null(names) || !is.null(tracks)) {
    dimnames(signal) <- list(names, tracks, NULL)
  }
  signal
}
