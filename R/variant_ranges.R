# Variants on a genome as variants on sequences that know where they are from.

#' Place genomic variants on sequences
#'
#' Finds the sequences that hold each variant and gives its position and letters there, with the
#' reference letters checked. [substitution_effect()], [deletion_effect()], [insertion_effect()] and
#' [variant_effect()] take variants in these forms as they are; the table is for seeing and choosing
#' before.
#'
#' A variant with several alternative alleles has a row for each. Letters that the reference and the
#' alternative allele share at their ends are left out, so that `CA` to `C` is the deletion of the
#' A. A variant belongs to every sequence that has all of its bases, an insertion to every sequence
#' that has the base before it and the one behind it. On sequences from the minus strand the letters
#' are the complementary ones, and positions count from the end of the range.
#'
#' Files are read by their first five columns: samples and annotations are not looked at, an index
#' is not needed, and gzip does as well as bgzip. A header that tells the lengths of chromosomes is
#' compared with the genome's.
#'
#' @param variants A `VRanges` or `VCF` object of the VariantAnnotation package; the path of a VCF
#'   file, plain or compressed (gzip, bgzip; not BCF); or a `GRanges` with the metadata columns
#'   `REF` and `ALT`, whose starts count.
#' @param X A `Biostrings::DNAStringSet` with a `GRanges` as its metadata column `range`, as
#'   [sequences_from()] makes it.
#' @param outside What to do with variants that no sequence holds as a whole: `"error"` (default),
#'   or `"drop"` them with a message.
#' @param strict What to do with alleles that cannot be used: those that are not spelled out in A,
#'   C, G and T (symbolic such as `<DEL>` and `<NON_REF>`, `*`, breakends, IUPAC codes, none at
#'   all), that are the reference, or on the minus strand, and lines of a file that are no records.
#'   `FALSE` (default) drops them with one message, which counts them and names the first; `TRUE` is
#'   an error. Other alleles of the same record stay. Where nothing would be left it is an error.
#' @return A data frame with a row for each variant, alternative allele and sequence, in the order
#'   of the variants. Columns:
#'   * `variant`: its name, or its place and alleles (`"chr1:105_A/G"`) where it has none; where
#'     several alleles have one name, the alleles are added (`"rs1_A/G"`);
#'   * `kind`: `"substitution"` of as many letters as there were, `"deletion"`, `"insertion"`, or
#'     `"replacement"` of letters by another number of letters;
#'   * `example`: number of the sequence in `X`;
#'   * `position`: from 1, of the first base that changes; of an insertion the base before which it
#'     is put;
#'   * `start`, `end`: first and last base that changes (`end` is `start - 1` for insertions);
#'   * `ref`, `alt`: the letters in the sequence and those that take their place; one of both is
#'     `""` for insertions and deletions.
#' @section Errors: `seqlift_error_variants` for variants that are empty, of which none can be used
#'   (with `strict = TRUE`: not all), that are in no sequence, or whose reference letters the
#'   sequence does not have; the message names the variant. `seqlift_error_regions` for an `X`
#'   without `range`, or where chromosomes have other lengths; `seqlift_error_file` for a file that
#'   cannot be read, is cut short, or is no VCF; `seqlift_error_argument` for other arguments. The
#'   messages about dropped variants have the class `seqlift_message_dropped`.
#' @source VCF: <https://samtools.github.io/hts-specs/>.
#' @seealso [sequences_from()]
#' @concept read_vcf
#' @export
#' @examplesIf all(vapply(c("Biostrings", "GenomicRanges"), requireNamespace, TRUE, quietly = TRUE))
#' genome <- Biostrings::DNAStringSet(c(chr1 = "ACGTACGGATTACAGGCATCACGTTT"))
#' X <- sequences_from(GenomicRanges::GRanges(c("chr1:5-16:+", "chr1:8-19:-")), genome)
#' variants <- GenomicRanges::GRanges(c(snv = "chr1:10", deletion = "chr1:16-17"),
#'   REF = c("T", "GC"), ALT = c("C", "G")
#' )
#' variants_from(variants, X)
variants_from <- function(variants, X, outside = c("error", "drop"), strict = FALSE) {
  call <- rlang::current_env()
  check_flag(strict, "strict")
  outside <- check_choice(outside, c("error", "drop"), "outside")
  if (!is_dna(X) || !holds_variants(variants)) {
    wrong <- if (is_dna(X)) "variants" else "X"
    expected <- c(
      variants = "a VRanges, a VCF, the path of a VCF file, or a GRanges with REF and ALT",
      X = "a DNAStringSet as sequences_from() makes it"
    )
    abort_argument(wrong, expected[[wrong]], describe(get(wrong)))
  }
  place_variants(variants, "variants", X, outside, strict, call)
}

# What can be placed on sequences, unlike a table of places on them.
holds_variants <- function(variants) {
  (is.character(variants) && length(variants) == 1L) ||
    (isS4(variants) && (methods::is(variants, "GRanges") || methods::is(variants, "VCF")))
}

# The argument of a verb as a data frame; what is none is left for the verb's own checks.
as_variant_table <- function(variants, arg, X, kind, strict, call) {
  if (!holds_variants(variants)) {
    return(variants)
  }
  if (!is_dna(X)) {
    abort_argument("X", paste0("a DNAStringSet that knows its ranges, as `", arg, "` are genomic"),
      describe(X),
      hint = "{.fn sequences_from} makes such sequences.", kind = "variants", call = call
    )
  }
  table <- place_variants(variants, arg, X, "error", strict, call)
  other <- if (!is.null(kind)) which(table$kind != kind)
  if (length(other) > 0L) {
    abort_argument(arg, paste0(kind, "s alone"),
      paste0("one with a ", table$kind[other[1L]], " (", table$variant[other[1L]], ")"),
      hint = "{.fn variants_from} tells them apart, {.fn variant_effect} takes all kinds.",
      kind = "variants", call = call
    )
  }
  table
}

place_variants <- function(variants, arg, X, outside, strict, call) {
  check_package(region_packages, "Placing variants on sequences", call)
  ranges <- sequence_ranges(X, "X", call)
  check_sequence_widths(X, ranges, call)
  found <- read_variants(variants, arg, strict, call)
  check_assembly(
    found$regions, GenomeInfoDb::seqinfo(ranges), arg, "`X`",
    intersect(
      as.character(unique(GenomicRanges::seqnames(found$regions))),
      GenomeInfoDb::seqnames(GenomeInfoDb::seqinfo(ranges))
    ),
    call
  )
  records <- trim_alleles(found$records)
  hits <- variants_in_ranges(records, ranges)
  outer <- setdiff(seq_len(nrow(records)), hits$variant)
  if (length(outer) > 0L) {
    report_outside(records, outer, ranges, arg, outside, call)
  }
  check_genomic_reference(found$records, hits, X, ranges, arg, call)
  variants_on_sequences(records[hits$variant, ], hits$example, ranges)
}

check_sequence_widths <- function(X, ranges, call) {
  odd <- which(Biostrings::width(X) != GenomicRanges::width(ranges))
  if (length(odd) > 0L) {
    first <- odd[1L]
    abort_argument("X", "as long as its ranges", paste0(
      Biostrings::width(X)[first], " bp where the range has ", GenomicRanges::width(ranges)[first],
      " (sequence ", first, ")"
    ), kind = "regions", call = call)
  }
}

# ---- placing --------------------------------------------------------------------------

# Without the letters that both alleles end on, then without those that they begin with.
trim_alleles <- function(records) {
  # One letter for one is what most are.
  for (i in which(nchar(records$ref) > 1L | nchar(records$alt) > 1L)) {
    ref <- strsplit(records$ref[i], "", fixed = TRUE)[[1L]]
    alt <- strsplit(records$alt[i], "", fixed = TRUE)[[1L]]
    size <- min(length(ref), length(alt))
    n_last <- count_equal(rev(ref)[seq_len(size)], rev(alt)[seq_len(size)])
    size <- size - n_last
    n_first <- count_equal(ref[seq_len(size)], alt[seq_len(size)])
    between <- function(letters) {
      paste(letters[seq_len(length(letters) - n_last - n_first) + n_first], collapse = "")
    }
    records$ref[i] <- between(ref)
    records$alt[i] <- between(alt)
    records$start[i] <- records$start[i] + n_first
  }
  records
}

# How many elements are equal before the first that differs.
count_equal <- function(x, y) sum(cumprod(x == y))

# Pairs of variant (row of `records`) and example whose range has all of its bases.
variants_in_ranges <- function(records, ranges) {
  size <- nchar(records$ref)
  # An insertion is between two bases, and needs both.
  places <- GenomicRanges::GRanges(records$chromosome, IRanges::IRanges(
    records$start - (size == 0L),
    width = ifelse(size == 0L, 2L, size)
  ))
  bare <- GenomicRanges::GRanges(
    as.character(GenomicRanges::seqnames(ranges)), unname(GenomicRanges::ranges(ranges))
  )
  # It warns of chromosomes that only one side has, which is expected here.
  hits <- suppressWarnings(GenomicRanges::findOverlaps(places, bare, type = "within"))
  pairs <- data.frame(variant = S4Vectors::queryHits(hits), example = S4Vectors::subjectHits(hits))
  pairs[order(pairs$variant, pairs$example), ]
}

report_outside <- function(records, outer, ranges, arg, outside, call) {
  n <- length(unique(outer))
  named <- first_few(records$variant[outer])
  hint <- style_hint(
    unique(records$chromosome[outer]), as.character(unique(GenomicRanges::seqnames(ranges))), arg,
    reader = "VariantAnnotation::readVcf"
  )
  if (outside == "drop" && n < nrow(records)) {
    inform_dropped("Dropped {n} of {nrow(records)} variants, which no sequence holds: {named}.")
    return(invisible())
  }
  abort_seqlift("variants",
    c("{n} of the {nrow(records)} {.arg {arg}} {cli::qty(n)}{?is/are} in no sequence of {.arg X}.",
      x = "Outside: {named}.",
      i = hint,
      i = if (outside == "error") {
        "{.code variants_from(outside = \"drop\")} leaves them out."
      }
    ),
    call = call
  )
}

# The reference letters as they were given, as far as the sequence reaches.
check_genomic_reference <- function(given, hits, X, ranges, arg, call) {
  first <- GenomicRanges::start(ranges)[hits$example]
  last <- GenomicRanges::end(ranges)[hits$example]
  from <- given$start[hits$variant]
  to <- from + nchar(given$ref[hits$variant]) - 1L
  expected <- substr(
    given$ref[hits$variant], pmax(first - from, 0L) + 1L, pmin(to, last) - from + 1L
  )
  from <- pmax(from, first)
  to <- pmin(to, last)
  minus <- as.logical(GenomicRanges::strand(ranges) == "-")[hits$example]
  start <- ifelse(minus, last - to, from - first) + 1L
  there <- Biostrings::subseq(unname(X)[hits$example], start, start + to - from)
  there[minus] <- Biostrings::reverseComplement(there[minus])
  there <- as.character(there)
  wrong <- which(there != expected)
  if (length(wrong) > 0L) {
    bad <- wrong[1L]
    n <- length(unique(hits$variant[wrong]))
    record <- given[hits$variant[bad], ]
    abort_seqlift("variants",
      c("{.arg {arg}} must have the reference letters of the sequences; {n} of {nrow(given)}
         {cli::qty(n)}{?has/have} others.",
        x = "{record$variant} at {record$chromosome}:{from[bad]}: REF is {expected[bad]}, sequence
             {hits$example[bad]} has {there[bad]}.",
        i = "Are both of one assembly? Letters are those of the plus strand."
      ),
      call = call
    )
  }
}

variants_on_sequences <- function(records, example, ranges) {
  size <- nchar(records$ref)
  minus <- as.logical(GenomicRanges::strand(ranges) == "-")[example]
  # The last base that changes is the first one when read from the other end.
  start <- ifelse(minus,
    GenomicRanges::end(ranges)[example] - (records$start + size - 1L),
    records$start - GenomicRanges::start(ranges)[example]
  ) + 1L
  kind <- ifelse(size == nchar(records$alt), "substitution",
    ifelse(size == 0L, "insertion", ifelse(records$alt == "", "deletion", "replacement"))
  )
  data.frame(
    variant = records$variant, kind = kind, example = as.integer(example),
    position = as.integer(start), start = as.integer(start),
    end = as.integer(start + size - 1L),
    ref = ifelse(minus, complement_letters(records$ref), records$ref),
    alt = ifelse(minus, complement_letters(records$alt), records$alt)
  )
}

complement_letters <- function(letters) {
  vapply(
    strsplit(chartr("ACGT", "TGCA", letters), "", fixed = TRUE),
    function(one) paste(rev(one), collapse = ""), character(1L)
  )
}
