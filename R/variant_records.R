# Records of variants on a genome, in any form and from VCF files, checked allele by allele.

# `regions`, a GRanges of the records, and `records`, a data frame with a row for each alternative
# allele that can be used: variant, chromosome, start, ref, alt.
read_variants <- function(variants, arg, strict, call) {
  found <- find_variants(variants, arg, call)
  list(regions = found$regions, records = check_records(found, arg, strict, call))
}

# What is there, unchecked: list(regions, ref, alt, source (how a message calls it), problems (of
# lines that are no records, by their names)).
find_variants <- function(variants, arg, call) {
  source <- paste0("`", arg, "`")
  if (is.character(variants)) {
    source <- basename(variants)
    found <- read_vcf(variants, arg, call)
  } else if (methods::is(variants, "VCF") || methods::is(variants, "VRanges")) {
    check_package("VariantAnnotation", paste("Reading a", class(variants)[1L], "object"), call)
    is_vcf <- methods::is(variants, "VCF")
    found <- list(
      regions = if (is_vcf) SummarizedExperiment::rowRanges(variants) else variants,
      ref = VariantAnnotation::ref(variants), alt = VariantAnnotation::alt(variants)
    )
  } else {
    columns <- GenomicRanges::mcols(variants)
    found <- list(regions = variants, ref = columns$REF, alt = columns$ALT)
    if (is.null(found$ref) || is.null(found$alt)) {
      abort_argument(arg, "a GRanges with the columns REF and ALT",
        paste("one with", if (ncol(columns) > 0L) toString(names(columns)) else "no columns"),
        kind = "variants", call = call
      )
    }
  }
  if (length(found$regions) == 0L && length(found$problems) == 0L) {
    abort_argument(arg, "at least one variant", "empty", kind = "variants", call = call)
  }
  c(found, list(source = source))
}

read_vcf <- function(path, arg, call) {
  path <- check_file(path, arg, call)
  check_no_bcf(path, arg, call)
  lines <- read_text(path, arg, "a VCF file", call)
  if (!is_vcf_text(lines)) {
    abort_seqlift("file",
      "The file {.path {path}} ({.arg {arg}}) is no VCF file: it has no line
       {.code ##fileformat=VCF} and none that begins {.code #CHROM}.",
      call = call
    )
  }
  variants_of_lines(lines)
}

check_no_bcf <- function(path, arg, call) {
  if (identical(first_bytes(path, 3L), charToRaw("BCF"))) {
    abort_seqlift("file",
      c("The file {.path {path}} ({.arg {arg}}) is a BCF file.",
        i = "{.code bcftools view file.bcf > file.vcf} makes a VCF file of it."
      ),
      call = call
    )
  }
}

# Of the first lines of a file.
is_vcf_text <- function(lines) {
  any(grepl("^(##fileformat=VCF|#CHROM\\b)", utils::head(lines, 1000L)))
}

# Only what says where a variant is: not the genotypes. Lines of a VCF file behind `before` others,
# whose `##contig` lines are `contigs`: list(regions, ref, alt (a list), problems (of lines that are
# no records, by their names)).
variants_of_lines <- function(lines, before = 0, contigs = character()) {
  header <- startsWith(lines, "#")
  at <- which(!header & grepl("[^[:space:]]", lines))
  # The first five columns: those of the samples may be long.
  short <- regmatches(lines[at], regexpr("^[^\t]*(\t[^\t]*){0,4}", lines[at]))
  fields <- strsplit(short, "\t", fixed = TRUE)
  column <- function(i) trimws(vapply(fields, function(field) field[i], ""))
  start <- parse_whole(column(2L))
  few <- lengths(fields) < 5L
  place <- !is.na(start) & start >= 1 & start <= .Machine$integer.max
  problems <- ifelse(few,
    paste("has", lengths(fields), "columns, where five or more, separated by tabs, are needed"),
    ifelse(place, NA, paste("has", encodeString(column(2L), quote = "\""), "as its POS"))
  )
  labels <- paste("Line", format(at + before, scientific = FALSE, trim = TRUE))
  fine <- which(is.na(problems))
  ref <- column(4L)[fine]
  name <- column(3L)[fine]
  regions <- GenomicRanges::GRanges(
    factor(column(1L)[fine], unique(column(1L)[fine])),
    IRanges::IRanges(as.integer(start[fine]), width = 1L)
  )
  names(regions) <- if (length(fine) > 0L) name
  list(
    regions = with_contigs(regions, c(contigs, lines[header])), ref = ref,
    alt = strsplit(column(5L)[fine], ",", fixed = TRUE),
    problems = stats::setNames(problems[!is.na(problems)], labels[!is.na(problems)])
  )
}

# Chromosomes' lengths, as far as the header tells them.
with_contigs <- function(regions, header) {
  lines <- grep("^##contig=<", header, value = TRUE)
  field <- function(name) {
    found <- regmatches(lines, regexec(paste0("[<,]", name, "=\"?([^,>\"]+)"), lines))
    vapply(found, function(one) if (length(one) == 2L) one[2L] else NA_character_, "")
  }
  names <- field("ID")
  here <- GenomeInfoDb::seqlevels(regions)
  lengths <- suppressWarnings(as.integer(field("length")))[match(here, names)]
  # A record beyond the end that its own header tells is told by the genome's.
  if (length(here) > 0L) {
    suppressWarnings({
      GenomeInfoDb::seqlengths(regions) <- stats::setNames(lengths, here)
      GenomeInfoDb::genome(regions) <- field("assembly")[match(here, names)]
    })
  }
  regions
}

# `tally`: of one block of many (variant_blocks.R), whose findings are told when all are read.
check_records <- function(found, arg, strict, call, tally = NULL) {
  regions <- found$regions
  alleles <- allele_lists(found$alt)
  # A record without an alternative is told below, by its name.
  row <- rep(seq_along(regions), pmax(lengths(alleles), 1L))
  alleles[lengths(alleles) == 0L] <- list("")
  ref <- toupper(as.character(found$ref))[row]
  # What a genome does not say, sequences have as N.
  letters <- chartr("U", "T", ref)
  letters <- ifelse(grepl("^[ACGTMRWSYKVHDBN]+$", letters), gsub("[^ACGT]", "N", letters), ref)
  alt <- unlist(alleles, use.names = FALSE)
  # What is no letters is told as it is written.
  alt <- ifelse(grepl("^[acgtACGT]+$", alt), toupper(alt), alt)
  chromosome <- as.character(GenomicRanges::seqnames(regions))
  place <- paste0(chromosome, ":", GenomicRanges::start(regions))[row]
  label <- paste0(place, "_", ref, "/", alt)
  name <- (names(regions) %||% rep("", length(regions)))[row]
  # readVcf() names a record without an ID by its place and the first of its alleles.
  own <- !is.na(name) & nzchar(name) & name != "." & !startsWith(name, paste0(place, "_", ref, "/"))
  records <- data.frame(
    variant = ifelse(own, name, label), chromosome = chromosome[row],
    start = GenomicRanges::start(regions)[row], ref = letters, alt = alt
  )
  problems <- allele_problems(
    ref, letters, alt, as.logical(GenomicRanges::strand(regions) == "-")[row]
  )
  labels <- ifelse(own, paste0(name, " at ", place), label)
  problems <- c(unname(found$problems), problems)
  labels <- c(names(found$problems), labels)
  kept <- if (is.null(tally)) {
    usable_records(problems, labels, "alternative alleles", found$source, strict, "variants",
      call = call
    )
  } else {
    note_unusable(tally, problems, labels)
  }
  records <- records[kept - length(found$problems), ]
  own <- own[kept - length(found$problems)]
  if (is.null(tally)) {
    records <- tell_apart(records, own, alleles_of_one_name(records[own, ]))
  } else {
    # Which of all blocks have one name is known when all are read.
    records$named <- own
    note_names(tally, records$variant[own])
  }
  rownames(records) <- NULL
  records
}

# Names that several alleles have.
alleles_of_one_name <- function(records) {
  alike <- paste(records$chromosome, records$start, records$ref, records$alt)
  several <- records$variant %in% records$variant[duplicated(records$variant)]
  first <- !duplicated(paste(records$variant, alike)[several])
  names <- records$variant[several][first]
  unique(names[duplicated(names)])
}

# Records with their alleles in their names where others have these too. `own`: which have a name.
tell_apart <- function(records, own, shared) {
  own <- own & records$variant %in% shared
  records$variant[own] <- paste0(
    records$variant[own], "_", records$ref[own], "/", records$alt[own]
  )
  records
}

# Why an allele cannot be used, NA where it can.
allele_problems <- function(ref, letters, alt, minus) {
  problems <- rep(NA_character_, length(alt))
  say <- function(bad, text) {
    bad <- bad & is.na(problems)
    problems[bad] <<- rep_len(text, length(bad))[bad]
  }
  say(minus, "is on strand -: variants are told on the plus strand")
  say(
    is.na(letters) | !grepl("^[ACGTN]+$", letters), paste0("has REF ", ref, ", which are no bases")
  )
  say(is.na(alt) | alt %in% c("", "."), "has no ALT")
  say(alt == "*", "has ALT *, a base that another record deletes")
  say(grepl("^<", alt), paste0("has ALT ", alt, ", which is symbolic"))
  say(grepl("[][]|^[.]|[.]$", alt), paste0("has ALT ", alt, ", a breakend"))
  say(
    !grepl("^[ACGT]+$", alt), paste0("has ALT ", alt, ", which is not spelled out in A, C, G and T")
  )
  say(letters == alt, paste0("has ALT ", alt, ", which is its REF"))
  problems
}

# The alternative alleles of each record, from one each or several.
allele_lists <- function(alt) {
  one_each <- is.character(alt) || is.factor(alt) || methods::is(alt, "Rle") ||
    methods::is(alt, "XStringSet")
  if (one_each) as.list(as.character(alt)) else lapply(as.list(alt), as.character)
}
