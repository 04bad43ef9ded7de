# Regions of a genome as a GRanges, from whatever holds them: a GRanges, a file in the format of BED
# or narrowPeak, or sequences that remember where they are from.

region_packages <- c("Biostrings", "GenomeInfoDb", "GenomicRanges", "IRanges", "S4Vectors")

as_regions <- function(regions, arg = "regions", strict = FALSE, call = caller_env()) {
  if (is.character(regions)) {
    regions <- read_regions(regions, arg, strict, call)
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

read_regions <- function(path, arg, strict, call) {
  path <- check_file(path, arg, call)
  lines <- read_text(path, arg, "a BED or narrowPeak file", call)
  kept <- which(
    grepl("[^[:space:]]", lines) & !grepl("^[[:space:]]*(#|track\\b|browser\\b)", lines)
  )
  if (length(kept) == 0L) {
    abort_argument(arg, "a file with at least one region", encodeString(path, quote = "\""),
      kind = "regions", call = call
    )
  }
  # Names may hold spaces where columns are separated by tabs.
  tabbed <- grepl("\t", lines[kept], fixed = TRUE)
  fields <- vector("list", length(kept))
  fields[tabbed] <- lapply(strsplit(lines[kept[tabbed]], "\t", fixed = TRUE), trimws)
  fields[!tabbed] <- strsplit(trimws(lines[kept[!tabbed]]), "[[:space:]]+")
  size <- number_of_columns(lengths(fields))
  # A last column that is empty.
  open <- which(lengths(fields) < size & lengths(fields) >= 3L & grepl("\t$", lines[kept]))
  fields[open] <- lapply(fields[open], function(one) c(one, rep("", size - length(one))))
  columns <- if (size == length(narrow_peak_columns)) narrow_peak_columns else
    utils::head(bed_columns, size)
  table <- lapply(seq_along(columns), function(i) vapply(fields, `[`, character(1L), i))
  names(table) <- columns
  problems <- bed_problems(table, lengths(fields), size)
  usable <- usable_records(problems, paste0("Line ", kept, " of ", basename(path)), "regions",
    basename(path), strict, "file",
    hint = "`{arg}` must be a file in the format of BED or narrowPeak." |>
      sub(pattern = "{arg}", replacement = arg, fixed = TRUE),
    call = call
  )
  finish_bed(lapply(table, `[`, usable))
}

# All lines of a file have as many columns; the number that most have, of several the first.
number_of_columns <- function(counts) {
  counts <- counts[counts >= 3L]
  if (length(counts) == 0L) {
    return(3L)
  }
  known <- unique(counts)
  known[which.max(tabulate(match(counts, known)))]
}

# Why a line cannot be used, NA where it can.
bed_problems <- function(table, counts, size) {
  problems <- rep(NA_character_, length(counts))
  say <- function(bad, text) {
    bad <- is.na(problems) & !is.na(bad) & bad
    problems[bad] <<- rep_len(text, length(bad))[bad]
  }
  say(counts < 3L, "has fewer than three columns")
  say(counts != size,
    paste0("has ", counts, " columns, another number of columns than the others (",
    size, ")"
  ))
  start <- parse_whole(table$start)
  end <- parse_whole(table$end)
  say(is.na(start), "has no whole number as its start")
  say(is.na(end), "has no whole number as its end")
  say(start < 0 | end < start, "has a region that ends before it starts, or starts before 0")
  # Positions that R's ranges can hold.
  say(end > .Machine$integer.max - 1, "has a region beyond any chromosome's end (2^31)")
  if (!is.null(table$strand)) {
    say(!table$strand %in% c("+", "-", ".", "*"), "has a strand other than +, - and .")
  }
  if (!is.null(table$peak)) {
    for (column in c("signalValue", "pValue", "qValue")) {
      say(is.na(parse_number(table[[column]])), paste("has no number as its", column))
    }
    peak <- parse_whole(table$peak)
    say(is.na(peak), "has no whole number as its peak")
    say(peak < -1 | peak >= end - start, "has a summit (column 10) outside of its region")
  }
  problems
}

finish_bed <- function(table) {
  start <- parse_whole(table$start)
  strand <- table$strand %||% rep("*", length(start))
  extra <- table[setdiff(names(table), c("chromosome", "start", "end", "strand"))]
  # Where the fifth column is no score it says nothing of where the region is.
  measured <- setdiff(names(extra), "name")
  extra[measured] <- lapply(extra[measured], parse_number)
  if (!is.null(extra$peak)) {
    extra$peak <- as.integer(extra$peak)
  }
  regions <- GenomicRanges::GRanges(
    # In the order of the file, not that of the alphabet.
    factor(table$chromosome, unique(table$chromosome)),
    IRanges::IRanges(start + 1, parse_whole(table$end)), ifelse(strand == ".", "*", strand)
  )
  GenomicRanges::mcols(regions) <- S4Vectors::DataFrame(extra, row.names = NULL) |>
    with_rows(length(regions))
  if (!is.null(table$name) && !anyDuplicated(table$name) && all(nzchar(table$name)) &&
    !"." %in% table$name) {
    names(regions) <- table$name
  }
  regions
}

# A table without columns has no rows by itself.
with_rows <- function(table, n) if (ncol(table) > 0L) table else S4Vectors::make_zero_col_DFrame(n)

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
first_few <- function(x, n = 5L, of = length(x)) {
  more <- of - n
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
