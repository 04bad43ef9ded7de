# Regions of a genome as a GRanges, from whatever holds them: a GRanges, a file in the format of BED
# or narrowPeak, or sequences that remember where they are from.

region_packages <- c("Biostrings", "GenomeInfoDb", "GenomicRanges", "IRanges", "S4Vectors")

as_regions <- function(regions, arg = "regions", call = caller_env()) {
  if (is.character(regions)) {
    regions <- read_regions(regions, arg, call)
  } else if (is_dna(regions)) {
    regions <- sequence_ranges(regions, arg, call)
  }
  if (!(isS4(regions) && methods::is(regions, "GRanges"))) {
    abort_argument(arg, "a GRanges, or the path of a BED or narrowPeak file", describe(regions),
      kind = "regions", call = call
    )
  }
  if (length(regions) == 0L) {
    abort_argument(arg, "at least one region", "empty", kind = "regions", call = call)
  }
  regions
}

# Where the sequences of a DNAStringSet are from: its column `range`.
sequence_ranges <- function(X, arg, call) {
  ranges <- S4Vectors::mcols(X)$range
  if (!(isS4(ranges) && methods::is(ranges, "GRanges"))) {
    abort_argument(arg, "sequences whose metadata columns have a GRanges `range`",
      "a DNAStringSet without it",
      hint = "{.fn sequences_from} makes such sequences.", kind = "regions", call = call
    )
  }
  names(ranges) <- names(X)
  ranges
}

# Whether regions carry summits as narrowPeak files do: offsets from the start, -1 for none. These
# are the columns that rtracklayer gives such a file.
has_summits <- function(regions) {
  all(c("signalValue", "peak") %in% names(S4Vectors::mcols(regions)))
}

# ---- files ----------------------------------------------------------------------------

# The columns of a BED file that are read, and those of a narrowPeak file, which has ten columns: a
# number of columns that no BED file may have, so that it tells the format whatever the file's name.
bed_columns <- c("chromosome", "start", "end", "name", "score", "strand")
narrow_peak_columns <- c(bed_columns, "signalValue", "pValue", "qValue", "peak")

read_regions <- function(path, arg, call) {
  path <- path.expand(check_string(path, arg, call = call))
  if (!file.exists(path) || dir.exists(path)) {
    abort_seqlift("file", "There is no file {.path {path}} ({.arg {arg}}).", call = call)
  }
  lines <- sub("\r$", "", readLines(path, warn = FALSE))
  kept <- which(grepl("[^[:space:]]", lines) & !grepl("^(#|track\\b|browser\\b)", lines))
  if (length(kept) == 0L) {
    abort_argument(arg, "a file with at least one region", encodeString(path, quote = "\""),
      kind = "regions", call = call
    )
  }
  separator <- if (grepl("\t", lines[kept[1L]], fixed = TRUE)) "\t" else "[[:space:]]+"
  fields <- strsplit(lines[kept], separator)
  refuse <- function(bad, problem) {
    if (any(bad)) {
      line <- kept[which(bad)[1L]]
      abort_seqlift("file",
        c("Line {line} of {.path {path}} {problem}.",
          i = "{.arg {arg}} must be a file in the format of BED or narrowPeak."
        ),
        call = call
      )
    }
  }
  refuse(lengths(fields) < 3L, "has fewer than three columns")
  refuse(lengths(fields) != lengths(fields)[1L], "has another number of columns than those before")
  columns <- if (lengths(fields)[1L] == length(narrow_peak_columns)) narrow_peak_columns else
    utils::head(bed_columns, lengths(fields)[1L])
  table <- lapply(seq_along(columns), function(i) vapply(fields, `[`, character(1L), i))
  names(table) <- columns
  finish_bed(table, refuse)
}

finish_bed <- function(table, refuse) {
  number <- function(column, whole = FALSE) {
    values <- suppressWarnings(as.numeric(table[[column]]))
    is_missing <- column == "score" & table[[column]] == "."
    wrong <- is.na(values) & !is_missing
    if (whole) {
      wrong <- wrong | values != trunc(values)
    }
    refuse(wrong, paste("has no", if (whole) "whole", "number as its", column))
    values
  }
  start <- number("start", whole = TRUE)
  end <- number("end", whole = TRUE)
  refuse(start < 0 | end < start, "has a region that ends before it starts, or starts before 0")
  strand <- table$strand %||% rep("*", length(start))
  refuse(!strand %in% c("+", "-", ".", "*"), "has a strand other than +, - and .")
  extra <- table[setdiff(names(table), c("chromosome", "start", "end", "strand"))]
  measured <- setdiff(names(extra), "name")
  extra[measured] <- lapply(measured, number, whole = FALSE)
  if (!is.null(extra$peak)) {
    wrong <- extra$peak != trunc(extra$peak) | extra$peak < -1 | extra$peak >= end - start
    refuse(wrong, "has a summit (column 10) outside of its region")
    extra$peak <- as.integer(extra$peak)
  }
  regions <- GenomicRanges::GRanges(
    # In the order of the file, not that of the alphabet.
    factor(table$chromosome, unique(table$chromosome)),
    IRanges::IRanges(start + 1, end), ifelse(strand == ".", "*", strand)
  )
  GenomicRanges::mcols(regions) <- S4Vectors::DataFrame(extra)
  if (!is.null(table$name) && !anyDuplicated(table$name)) {
    names(regions) <- table$name
  }
  regions
}

# ---- checks against a genome ----------------------------------------------------------

# Regions must be on chromosomes that `known` (a Seqinfo, that of `owner`) has, in the same assembly
# as far as both say which.
check_chromosomes <- function(regions, known, arg, owner, call) {
  here <- as.character(unique(GenomicRanges::seqnames(regions)))
  there <- GenomeInfoDb::seqnames(known)
  unknown <- setdiff(here, there)
  if (length(unknown) > 0L) {
    n <- length(unknown)
    shown <- first_few(unknown)
    abort_seqlift("regions",
      c("{owner} has no chromosome{cli::qty(n)}{?s} {shown}, which {.arg {arg}} name.",
        i = "{owner} has {first_few(there)}.",
        i = style_hint(unknown, there, arg)
      ),
      call = call
    )
  }
  check_assembly(regions, known, arg, owner, here, call)
}

check_assembly <- function(regions, known, arg, owner, here, call) {
  own <- GenomeInfoDb::seqinfo(regions)
  compare <- function(read, what) {
    ours <- read(own)[here]
    theirs <- read(known)[here]
    differs <- which(!is.na(ours) & !is.na(theirs) & ours != theirs)
    if (length(differs) > 0L) {
      first <- differs[1L]
      abort_seqlift("regions",
        c("{.arg {arg}} and {owner} must be of one assembly.",
          x = "{here[first]} {what} {ours[first]} for {.arg {arg}} and {theirs[first]} for {owner}."
        ),
        call = call
      )
    }
  }
  # One assembly has several names (GRCh38, hg38), but UCSC gives it one.
  ucsc_name <- function(seqinfo) {
    genome <- GenomeInfoDb::genome(seqinfo)
    replace(genome, !grepl("^[a-z]{2,3}([A-Z][a-z]{2})?[0-9]+$", genome), NA)
  }
  compare(ucsc_name, "is of")
  compare(GenomeInfoDb::seqlengths, "has a length of")
}

# "1" against "chr1": what to run, or NULL if that is not it.
style_hint <- function(unknown, known, arg, reader = "rtracklayer::import") {
  plain <- sub("^M$", "MT", sub("^chr", "", unknown))
  ucsc <- sub("^chrMT$", "chrM", paste0("chr", plain))
  style <- if (any(setdiff(ucsc, unknown) %in% known)) "UCSC" else
    if (any(setdiff(plain, unknown) %in% known)) "NCBI"
  if (!is.null(style)) {
    paste0(
      "The names differ in style: run {.code GenomeInfoDb::seqlevelsStyle(", arg, ") <- \"", style,
      "\"} first (a file: read it with {.fn ", reader, "})."
    )
  }
}

# The first few of many, for a message.
first_few <- function(x, n = 5L) {
  more <- length(x) - n
  paste0(toString(utils::head(x, n)), if (more > 0L) paste(" and", more, "more"))
}

# Places such as "chr1:101-200:-", which GRanges() reads.
place_labels <- function(regions) {
  strand <- as.character(GenomicRanges::strand(regions))
  paste0(
    as.character(GenomicRanges::seqnames(regions)), ":", GenomicRanges::start(regions), "-",
    GenomicRanges::end(regions), ifelse(strand == "*", "", paste0(":", strand))
  )
}
