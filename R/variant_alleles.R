# Variants as pairs of sequences of one length with the variant in the middle, and what models
# predict for both: the work of score_variants(), chunk by chunk.

# ---- reading and checking -------------------------------------------------------------

# A data frame with a row for each alternative allele that can be scored: variant, chromosome,
# start, ref, alt. All of them are checked against the genome here.
read_scored_variants <- function(variants, genome, width, out_of_bounds, strict, call) {
  if (is_table_file(variants, call)) {
    variants <- read_variant_table(variants, call)
  }
  if (is.data.frame(variants)) {
    variants <- variants_of_table(variants, genome, call)
  }
  if (!holds_variants(variants)) {
    abort_argument("variants",
      "a VRanges, a VCF, the path of a VCF file, a GRanges with REF and ALT, or a data frame",
      describe(variants),
      call = call
    )
  }
  found <- find_variants(variants, "variants", call)
  records_on_genome(found, genome, width, out_of_bounds, strict, call)
}

# `found`: see find_variants(); `tally`: see check_records().
records_on_genome <- function(found, genome, width, out_of_bounds, strict, call, tally = NULL) {
  records <- check_records(found, "variants", strict, call, tally)
  known <- GenomeInfoDb::seqnames(genome$seqinfo)
  unknown <- which(!records$chromosome %in% known)
  regions <- found$regions
  some_left <- length(unknown) < nrow(records) || !is.null(tally)
  if (out_of_bounds == "drop" && length(unknown) > 0L && some_left) {
    names <- unique(records$chromosome[unknown])
    if (is.null(tally)) {
      inform_unknown(length(unknown), nrow(records), first_few(names), genome)
    } else {
      note_dropped(tally, "unknown", length(unknown), names)
    }
    records <- records[-unknown, ]
    here <- as.character(GenomicRanges::seqnames(regions)) %in% known
    regions <- GenomeInfoDb::keepSeqlevels(
      regions[here], unique(as.character(GenomicRanges::seqnames(regions))[here])
    )
  }
  if (!is.null(tally)) {
    tally$on_genome <- tally$on_genome + nrow(records)
  }
  if (nrow(records) > 0L) {
    check_chromosomes(regions, genome$seqinfo, "variants", genome$label, call)
    check_letters_of_genome(records, genome, call)
    records <- within_chromosomes(records, genome, width, out_of_bounds, call, tally)
  }
  rownames(records) <- NULL
  records
}

inform_unknown <- function(n, of, named, genome) {
  inform_dropped("Dropped {n} of {of} variants, on chromosomes that {genome$label} does not have:
    {named}.")
}

inform_out_of_bounds <- function(n, of, named, width) {
  inform_dropped("Dropped {n} of {of} variants, whose {width} bp reach over an end of their
    chromosome: {named}.")
}

# Columns of tables, by the names that are usual.
names_of_columns <- list(
  chromosome = c("chromosome", "chrom", "chr", "seqnames", "#chrom"),
  position = c("position", "pos", "start"), ref = c("ref", "reference"),
  alt = c("alt", "alternate"),
  end = "end", variant = c("variant", "id", "rsid", "name", "variant_id")
)

# `genome`: see open_genome().
variants_of_table <- function(table, genome, call) {
  given <- tolower(names(table))
  column <- function(name) {
    at <- match(names_of_columns[[name]], given)
    at <- at[!is.na(at)][1L]
    if (!is.na(at)) table[[at]]
  }
  columns <- lapply(stats::setNames(names(names_of_columns), names(names_of_columns)), column)
  needed <- c("chromosome", "position", "ref", "alt")
  missing <- Filter(function(name) is.null(columns[[name]]), needed)
  refuse <- function(expected, got) {
    abort_argument("variants", expected, got, kind = "variants", call = call)
  }
  if (length(missing) > 0L) {
    refuse("a data frame with the columns chromosome, position, ref and alt",
      paste0("one with ", toString(names(table)), " (without ", toString(missing), ")")
    )
  }
  if (nrow(table) == 0L) {
    refuse("at least one variant", "empty")
  }
  position <- columns$position
  whole <- if (is.numeric(position)) {
    is.finite(position) & position == trunc(position) & position >= 1 &
      position <= .Machine$integer.max
  } else {
    rep(FALSE, nrow(table))
  }
  odd <- which(!whole | is.na(columns$chromosome))
  if (length(odd) > 0L) {
    refuse("a data frame with a chromosome and a position from 1 in each row",
      paste0(
        "one with ", encodeString(as.character(columns$chromosome[odd[1L]])), ":",
        as.character(position[odd[1L]]), " in row ", odd[1L]
      )
    )
  }
  columns$chromosome <- as.character(columns$chromosome)
  columns$ref <- as.character(columns$ref)
  columns$alleles <- split_alleles(as.character(columns$alt))
  columns <- add_base_before(columns, genome, refuse, call)
  chromosome <- columns$chromosome
  regions <- GenomicRanges::GRanges(
    factor(chromosome, unique(chromosome)),
    IRanges::IRanges(as.integer(columns$position), width = 1L)
  )
  regions$REF <- columns$ref
  alleles <- columns$alleles
  # A list: VCF's comma between alternative alleles is one here too.
  regions$ALT <- methods::as(alleles, "CharacterList")
  names(regions) <- if (!is.null(columns$variant)) {
    ifelse(is.na(columns$variant), "", as.character(columns$variant))
  }
  regions
}

# Alternative alleles by commas; none where it is missing, an empty one where it is "".
split_alleles <- function(alt) {
  alleles <- strsplit(paste0(alt, ","), ",", fixed = TRUE)
  alleles[is.na(alt)] <- list(character())
  alleles
}

# Insertions and deletions as VEP writes them ("-", or nothing, for no bases; the position is that
# of the first base that is deleted, or of the base behind the insertion) as VCF does, with the base
# before them, or behind them at the start of a chromosome.
add_base_before <- function(columns, genome, refuse, call) {
  is_none <- function(letters) letters %in% c("-", "")
  none <- lapply(columns$alleles, is_none)
  no_ref <- !is.na(columns$ref) & is_none(columns$ref)
  bare <- which(no_ref | vapply(none, any, NA))
  if (length(bare) == 0L) {
    return(columns)
  }
  both <- bare[no_ref[bare] & vapply(none[bare], any, NA)]
  if (length(both) > 0L) {
    refuse("such that `ref` or `alt` has bases", paste0("without any in row ", both[1L]))
  }
  start <- as.integer(columns$position)
  size <- ifelse(no_ref, 0L, nchar(columns$ref))
  check_vep_ends(columns$end, start, size, bare, refuse)
  last <- GenomeInfoDb::seqlengths(genome$seqinfo)[columns$chromosome]
  first <- start == 1L
  at <- ifelse(first, start + size, start - 1L)
  known <- bare[!is.na(last[bare]) & at[bare] <= last[bare]]
  base <- rep("N", length(start))
  if (length(known) > 0L) {
    base[known] <- as.character(read_genome(genome, GenomicRanges::GRanges(
      columns$chromosome[known], IRanges::IRanges(at[known], width = 1L)
    ), call))
  }
  with_base <- function(letters, i) {
    letters <- ifelse(is_none(letters), "", letters)
    if (first[i]) paste0(letters, base[i]) else paste0(base[i], letters)
  }
  for (i in bare) {
    columns$ref[i] <- with_base(columns$ref[i], i)
    columns$alleles[[i]] <- with_base(columns$alleles[[i]], i)
  }
  columns$position[bare] <- pmax(start[bare] - 1L, 1L)
  columns
}

# VEP's end of an insertion is the base before its start. MAF and ANNOVAR write the base before the
# insertion as its start, which would be silently another place.
check_vep_ends <- function(end, start, size, rows, refuse) {
  if (is.null(end)) {
    return(invisible())
  }
  odd <- rows[is.na(end[rows]) | end[rows] != start[rows] + size[rows] - 1L]
  if (length(odd) > 0L) {
    first <- odd[1L]
    refuse(
      paste(
        "of insertions and deletions as VEP writes them (an insertion from the base behind it to",
        "the base before it, a deletion from its first to its last base), or as VCF does, with the",
        "base before in both alleles"
      ),
      paste0("one from ", start[first], " to ", end[first], " with ", size[first],
        " bases of `ref` in row ", first)
    )
  }
}

check_letters_of_genome <- function(records, genome, call) {
  last <- GenomeInfoDb::seqlengths(genome$seqinfo)[records$chromosome]
  end <- records$start + nchar(records$ref) - 1L
  beyond <- which(records$start < 1L | end > last)
  if (length(beyond) > 0L) {
    first <- beyond[1L]
    abort_seqlift("variants",
      c("{length(beyond)} of the {nrow(records)} {.arg variants} {cli::qty(length(beyond))}{?is/are}
         beyond the end of {?its/their} chromosome.",
        x = "{records$variant[first]}: {records$chromosome[first]} has {last[first]} bp."
      ),
      call = call
    )
  }
  there <- as.character(read_genome(genome, GenomicRanges::GRanges(
    records$chromosome, IRanges::IRanges(records$start, end)
  ), call))
  wrong <- which(there != records$ref)
  if (length(wrong) > 0L) {
    first <- wrong[1L]
    abort_seqlift("variants",
      c("{.arg variants} must have the reference letters of {genome$label}; {length(wrong)} of
         {nrow(records)} {cli::qty(length(wrong))}{?has/have} others.",
        x = "{records$variant[first]} at {records$chromosome[first]}:{records$start[first]}: REF is
             {records$ref[first]}, the genome has {there[first]}.",
        i = "Are both of one assembly? Letters are those of the plus strand."
      ),
      call = call
    )
  }
}

# The place of each pair on the genome: `width` bases, those that a deletion moves in, and all of
# the reference allele.
windows_of <- function(records, width) {
  size <- nchar(records$ref)
  before <- width %/% 2L
  list(
    start = records$start - before,
    end = records$start - before - 1L + pmax(
      width + pmax(size - nchar(records$alt), 0L), before + size
    )
  )
}

within_chromosomes <- function(records, genome, width, out_of_bounds, call, tally = NULL) {
  window <- windows_of(records, width)
  last <- GenomeInfoDb::seqlengths(genome$seqinfo)[records$chromosome]
  out <- which(window$start < 1L | window$end > last)
  if (length(out) == 0L || out_of_bounds == "pad") {
    return(records)
  }
  named <- first_few(records$variant[out])
  if (out_of_bounds == "error" || (length(out) == nrow(records) && is.null(tally))) {
    abort_seqlift("variants",
      c("{length(out)} of the {nrow(records)} {.arg variants} {cli::qty(length(out))}{?lies/lie} so
         near to an end of {?its/their} chromosome that {width} bp around {?it/them} reach over
         it.",
        x = "Out of bounds: {named}.",
        i = "{.code out_of_bounds = \"drop\"} leaves such out, {.code \"pad\"} fills up with N."
      ),
      call = call
    )
  }
  if (is.null(tally)) {
    inform_out_of_bounds(length(out), nrow(records), named, width)
  } else {
    note_dropped(tally, "outside", length(out), records$variant[out])
  }
  records[-out, ]
}

# ---- pairs of sequences ---------------------------------------------------------------

# The windows' letters, with N beyond the ends of chromosomes.
window_letters <- function(records, genome, width, call) {
  window <- windows_of(records, width)
  taken <- GenomicRanges::GRanges(
    records$chromosome, IRanges::IRanges(window$start, window$end)
  )
  last <- unname(GenomeInfoDb::seqlengths(genome$seqinfo)[records$chromosome])
  place <- list(left = pmax(1L - window$start, 0L), right = pmax(window$end - last, 0L))
  as.character(fetch_letters(genome, taken, place, call))
}

# Both alleles in the letters of their windows: list(ref, alt), of `width` letters each. What is
# left of the variant stays, what is right of it is filled up or cut off.
put_alleles <- function(letters, records, width) {
  before <- width %/% 2L
  left <- substr(letters, 1L, before)
  right <- substr(letters, before + nchar(records$ref) + 1L, nchar(letters))
  list(
    ref = substr(paste0(left, records$ref, right), 1L, width),
    alt = substr(paste0(left, records$alt, right), 1L, width)
  )
}

# The letters around each variant in another order that keeps dinucleotides, each row with its own
# seed.
shuffle_windows <- function(letters, seeds, call) {
  unchanged <- 0L
  shuffled <- vapply(seq_along(letters), function(i) {
    codes <- matrix(codes_of_letters(letters[i]))
    drawn <- core_dinucleotide_shuffle(codes, 1L, nrow(codes), 1L, seeds[i])
    unchanged <<- unchanged + !drawn$can_change
    core_decode(matrix(drawn$codes), paste(base_letters, collapse = ""))
  }, "")
  if (unchanged > 0L) {
    warn_seqlift("shuffle",
      "No shuffle can change {unchanged} of {length(letters)} sequences around variants.",
      call = call
    )
  }
  shuffled
}

# ---- predictions ----------------------------------------------------------------------

# Codes [L, n] as as_sequences() has them.
code_sequences <- function(codes) {
  list(
    codes = codes, array = NULL, n = ncol(codes), length = nrow(codes), channels = n_bases,
    names = NULL, one_hot = TRUE
  )
}

reverse_complement_codes <- function(codes) {
  turned <- as.raw(c(3L, 2L, 1L, 0L, n_bases))[as.integer(codes) + 1L]
  matrix(turned, nrow(codes))[rev(seq_len(nrow(codes))), , drop = FALSE]
}

encode_letters <- function(letters) {
  core_encode(letters, nchar(letters[1L]), paste(base_letters, collapse = ""), "N", TRUE)$codes
}

# The outputs of one strand for pairs `alleles` (list(ref, alt) of letters): list(ref, alt), each a
# list of arrays. Pairs of one reference sequence share its evaluation.
predict_pairs <- function(model, alleles, reverse, job) {
  turn <- if (reverse) reverse_complement_codes else identity
  ref <- turn(encode_letters(alleles$ref))
  alt <- turn(encode_letters(alleles$alt))
  keys <- column_keys(ref)
  first <- !duplicated(keys)
  wholes <- ref[, first, drop = FALSE]
  row <- match(keys, keys[first])
  predicted <- predict_edits(
    model, code_sequences(wholes), edits_between(wholes, alt, row), NULL, job
  )
  list(ref = lapply(predicted$before, take_outputs, 1L, row), alt = predicted$after)
}

# Equal columns have equal keys. Codes are bytes from 0, which no string holds.
column_keys <- function(codes) {
  apply(codes, 2L, function(column) rawToChar(as.raw(as.integer(column) + 1L)))
}

# ---- heads ----------------------------------------------------------------------------

# Counts [n] and logits [n, strands, positions] of one strand; the profile of the other strand is
# turned back. `heads`: list(counts, profile, target, log_counts).
read_heads <- function(outputs, heads, reverse) {
  counts <- if (!is.null(heads$counts)) {
    values <- outputs[[heads$counts]]
    values <- matrix(values, dim(values)[1L])[, heads$target]
    if (heads$log_counts) exp(values) else values
  }
  logits <- if (!is.null(heads$profile)) {
    values <- outputs[[heads$profile]]
    if (length(dim(values)) == 2L) {
      values <- array(values, c(dim(values)[1L], 1L, dim(values)[2L]))
    }
    if (reverse) {
      values <- values[, rev(seq_len(dim(values)[2L])), rev(seq_len(dim(values)[3L])), drop = FALSE]
    }
    values
  }
  list(counts = counts, logits = logits)
}

mean_of <- function(values) Reduce(`+`, values) / length(values)

# Numbers of one model for pairs of sequences, as a data frame: counts of both alleles, distances,
# and half of the difference between both strands, the standard error of their mean.
score_pairs <- function(model, alleles, sizes, heads, strands, job) {
  seen <- lapply(strands, function(reverse) {
    pair <- predict_pairs(model, alleles, reverse, job)
    lapply(pair, read_heads, heads, reverse)
  })
  one <- function(allele, what) lapply(seen, function(strand) strand[[allele]][[what]])
  numbers <- list()
  halved <- function(values) abs(values[[1L]] - values[[2L]]) / 2
  if (!is.null(heads$counts)) {
    numbers$ref_counts <- mean_of(one("ref", "counts"))
    numbers$alt_counts <- mean_of(one("alt", "counts"))
    if (length(strands) == 2L) {
      numbers$logfc_strand_se <- halved(
        Map(log2_fold_change, one("ref", "counts"), one("alt", "counts"))
      )
    }
  }
  if (!is.null(heads$profile)) {
    distances <- profile_distances(
      mean_of(one("ref", "logits")), mean_of(one("alt", "logits")), sizes
    )
    numbers$jsd <- distances$jsd
    numbers$original_jsd <- distances$original_jsd
    if (length(strands) == 2L) {
      numbers$jsd_strand_se <- halved(Map(
        function(ref, alt) profile_distances(ref, alt, sizes)$jsd,
        one("ref", "logits"), one("alt", "logits")
      ))
    }
  }
  as.data.frame(numbers)
}

# The counts of sequences by themselves, of peaks.
count_sequences <- function(model, letters, heads, strands, job) {
  mean_of(lapply(strands, function(reverse) {
    codes <- encode_letters(letters)
    codes <- if (reverse) reverse_complement_codes(codes) else codes
    outputs <- run_predict(model, code_sequences(codes), NULL, job$batch_size, job$dtype,
      job$device, FALSE, job$call
    )
    read_heads(outputs, list(
      counts = heads$counts, target = heads$target, log_counts = heads$log_counts
    ), reverse)$counts
  }))
}

# One chunk of pairs for all models, in this process or a worker: a list of data frames.
score_chunk <- function(models, alleles, sizes, heads, strands, settings, call = caller_env()) {
  job <- c(settings, list(call = call))
  Map(function(model, own) {
    model$cache <- cache_here(model)
    score_pairs(model, alleles, sizes, own, strands, job)
  }, models, heads)
}
