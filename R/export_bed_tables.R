# Tables as BED: what the columns of each kind are, their values, and their description as autoSql.
# The only home of that; export_bed.R and export_track_hub.R write it.
#
# A kind has the six columns of BED and more of its own. `columns`: the own ones, name -> type and
# meaning; what the six mean is the same but for `start`, `name` and `score`.

bed_kinds <- list(
  seqlets = list(
    table = "seqlift_seqlets", title = "Seqlets: spans of high attribution, called by seqlift",
    start = "Start of the seqlet", name = "Seqlet",
    score = "1000 times the absolute attribution over the largest of the table",
    strand = "Strand of its sequence",
    columns = list(
      attribution = c("float", "Sum of the attributions, in units of the model's output"),
      p_value = c("float", "p-value; -1 where there is none")
    )
  ),
  annotations = list(
    table = "seqlift_annotations", title = "Seqlets named after motifs by seqlift",
    start = "Start of the seqlet", name = "Nearest motif",
    score = "-100 times log10 of the p-value, at most 1000", strand = "Strand of the motif",
    columns = list(
      p_value = c("float", "p-value of the match; -1 where there is none"),
      rank = c("int", "1: the nearest motif of the seqlet")
    )
  ),
  hits = list(
    table = "seqlift_hits", title = "Hits of motifs in attributions, called by seqlift",
    start = "Start of the trimmed motif", name = "Motif", score = "1000 times the similarity",
    strand = "Strand of the motif",
    columns = list(
      coefficient = c("float", "Coefficient of the motif, comparable within its sequence"),
      similarity = c("float", "Similarity of the motif and the contributions below it"),
      importance = c("float", "Sum of the absolute contributions below the motif")
    )
  ),
  variants = list(
    table = "seqlift_variants", title = "Effects of variants, scored by seqlift",
    start = "First reference base", name = "Variant",
    score = "1000 times the absolute effect over the largest of the table", strand = "None",
    columns = list(
      ref = c("lstring", "Reference allele"), alt = c("lstring", "Alternative allele"),
      logfc = c("float", "log2 of the alternative allele's counts over the reference's"),
      jsd = c("float", "Jensen-Shannon distance of the predicted profiles")
    )
  )
)

# The description of a kind; `columns`: names of its own columns that there are.
autosql_lines <- function(kind, columns) {
  kind <- bed_kinds[[kind]]
  line <- function(type, name, meaning) sprintf("    %s %s; \"%s\"", type, name, meaning)
  c(
    paste("table", kind$table), paste0("\"", kind$title, "\""), "    (",
    line("string", "chrom", "Chromosome"), line("uint", "chromStart", kind$start),
    line("uint", "chromEnd", "End, not included"), line("string", "name", kind$name),
    line("uint", "score", kind$score), line("char[1]", "strand", kind$strand),
    vapply(columns, function(name) {
      line(kind$columns[[name]][1L], name, kind$columns[[name]][2L])
    }, "", USE.NAMES = FALSE),
    "    )"
  )
}

bed_kind <- function(x) {
  columns <- if (inherits(x, "GRanges")) names(S4Vectors::mcols(x)) else names(x)
  if (inherits(x, "seqlift_hits")) {
    "hits"
  } else if (is.data.frame(x) && all(c("chromosome", "position", "ref", "alt") %in% columns)) {
    "variants"
  } else if ("annotation" %in% columns) {
    "annotations"
  } else {
    "seqlets"
  }
}

# list(kind, places, names, score, columns: of the kind, those that there are, with their values).
# `peaks`: what narrowPeak has of a seqlet.
bed_table <- function(x, ranges, arg, call) {
  kind <- bed_kind(x)
  if (kind == "hits") {
    check_hits(x, arg, call)
  } else {
    check_package("GenomicRanges", "Writing a table as BED", call)
  }
  if (inherits(x, "GRanges") && !is.null(ranges)) {
    abort_argument("ranges", "NULL for a table of ranges", describe(ranges), call = call)
  }
  table <- switch(kind,
    hits = hits_for_bed(x, ranges, call),
    variants = variants_for_bed(x, call),
    in_call(call, spans_for_bed(x, kind, ranges))
  )
  table$kind <- kind
  # The format's own word for none: an empty column moves the others for who splits at spaces.
  table$names <- ifelse(is.na(table$names) | !nzchar(table$names), ".", table$names)
  check_bed_places(table$places, arg, call)
  check_bed_names(c(table$names, table$places$seqnames), arg, call)
  table
}

# The errors of an exported function that is called on the way are those of the call.
in_call <- function(call, code) {
  rlang::try_fetch(code, seqlift_error = function(error) {
    error$call <- call
    rlang::cnd_signal(error)
  })
}

spans_for_bed <- function(x, kind, ranges) {
  if (!inherits(x, "GRanges")) {
    placed <- if (kind == "annotations") annotations_as_granges else seqlets_as_granges
    x <- placed(x, ranges)
  }
  own <- as.data.frame(S4Vectors::mcols(x))
  p_value <- own[["p_value"]]
  if (kind == "annotations") {
    columns <- list(p_value = known_or(p_value, -1), rank = own[["rank"]])
    score <- if (is.null(p_value)) 0 else round(pmin(1000, 100 * pmax(0, log_p_values(p_value))))
    names <- as.character(own$annotation)
  } else {
    attribution <- own[["attribution"]]
    columns <- list(attribution = attribution, p_value = known_or(p_value, -1))
    score <- shares_of_largest(attribution)
    names <- own[["name"]] %||% sprintf("seqlet_%d", seq_along(x))
  }
  list(
    places = range_places(x), names = as.character(names), score = rep_len(score, length(x)),
    columns = columns[lengths(columns) > 0L], p_value = p_value, attribution = own[["attribution"]]
  )
}

hits_for_bed <- function(hits, ranges, call) {
  list(
    places = hit_places(hits, ranges %||% attr(hits, "ranges", exact = TRUE), call),
    names = as.character(hits$motif), score = bed_score(hits$similarity),
    columns = as.list(as.data.frame(hits)[names(bed_kinds$hits$columns)])
  )
}

# An insertion stands at the base before it, which its reference allele has.
variants_for_bed <- function(scores, call) {
  start <- scores$position
  if (!is.numeric(start) || anyNA(start) || any(start < 1)) {
    abort_argument("seqlets", "a result of score_variants(), with positions from 1",
      "one with other positions",
      call = call
    )
  }
  ref <- as.character(scores$ref)
  effect <- scores[["logfc"]] %||% scores[["jsd"]]
  own <- as.list(scores[intersect(names(bed_kinds$variants$columns), names(scores))])
  own[c("ref", "alt")] <- lapply(own[c("ref", "alt")], as.character)
  list(
    places = data.frame(
      seqnames = as.character(scores$chromosome), start = as.integer(start),
      end = as.integer(start + pmax(nchar(ref), 1L) - 1L), strand = rep("*", length(start))
    ),
    names = as.character(scores[["variant"]] %||% paste0(ref, ">", scores$alt)),
    score = rep_len(shares_of_largest(effect), length(start)), columns = own
  )
}

known_or <- function(values, other) if (!is.null(values)) ifelse(is.na(values), other, values)

shares_of_largest <- function(values) {
  if (is.null(values)) {
    return(0)
  }
  sizes <- known_or(abs(values), 0)
  largest <- max(sizes, 0)
  if (largest > 0) round(1000 * sizes / largest) else sizes
}

bed_score <- function(shares) ifelse(is.na(shares), 0, round(1000 * pmin(pmax(shares, 0), 1)))

# -log10, as narrowPeak has it. A p-value of zero is smaller than any number that there is.
log_p_values <- function(p_values) {
  if (is.null(p_values)) {
    return(-1)
  }
  ifelse(is.na(p_values), -1, -log10(pmax(p_values, .Machine$double.xmin)))
}

number_text <- function(x) sprintf("%.7g", x)

column_text <- function(values) {
  if (is.integer(values)) {
    sprintf("%d", values)
  } else if (is.numeric(values)) {
    number_text(values)
  } else {
    as.character(values)
  }
}

# ---- records ------------------------------------------------------------------------------

# A data frame of chromosome, start (from 0), end and rest (columns 4 and on, with tabs), by
# chromosome (in the order of bytes), start and end. `columns`: values of those after the sixth.
# `sizes`: lengths of the chromosomes, at which ends are cut off; NULL where they are not known.
bed_records <- function(table, columns, sizes = NULL) {
  places <- table$places
  end <- as.integer(places$end)
  if (!is.null(sizes)) {
    end <- pmin(end, sizes[places$seqnames])
  }
  more <- c(
    list(
      table$names, sprintf("%d", as.integer(table$score)),
      sub("*", ".", places$strand, fixed = TRUE)
    ),
    lapply(unname(columns), column_text)
  )
  records <- data.frame(
    chromosome = places$seqnames, start = pmax(as.integer(places$start), 1L) - 1L,
    end = unname(end), rest = do.call(paste, c(more, sep = "\t"))
  )
  records[order(records$chromosome, places$start, places$end, method = "radix"), ]
}

bed_lines <- function(records) {
  sprintf("%s\t%d\t%d\t%s", records$chromosome, records$start, records$end, records$rest)
}

check_bed_places <- function(places, arg, call) {
  before <- which(places$end < 1L)
  if (length(before) > 0L) {
    abort_argument(arg, "on their chromosomes",
      paste(places_text(places[before[1L], ]), "before one"),
      call = call
    )
  }
}

check_bed_names <- function(names, arg, call) {
  odd <- grep("[\t\r\n]", names, value = TRUE)
  if (length(odd) > 0L) {
    abort_argument(arg, "a table whose names have no tab or end of line",
      encodeString(odd[1L], quote = "\""),
      call = call
    )
  }
}

# Lengths of the chromosomes that a table lies on.
bed_sizes <- function(table, x, ranges, genome, call, arg = "genome") {
  known <- if (inherits(x, "GRanges")) x else ranges %||% attr(x, "ranges", exact = TRUE)
  places <- table$places
  placed <- GenomicRanges::GRanges(
    places$seqnames, IRanges::IRanges(places$start, places$end)
  )
  if (is.null(genome) && !is.null(known)) {
    genome_known <- GenomeInfoDb::seqlengths(known)
    if (!anyNA(genome_known[unique(places$seqnames)])) {
      genome <- genome_known[!is.na(genome_known)]
    }
  }
  chromosome_lengths(placed, genome, call, arg)
}
