# What a report says of its numbers: which seqlets there are, which sequences, windows and variants
# are drawn on which scale, whether the attributions add up.

# A seqlet is listed when it is at least this part of the strongest one.
report_seqlet_share <- 0.1

# Bases on each side of the middle of a window, and how many windows a sequence has.
report_flank <- 35L
report_windows <- 3L

# Deltas of more sequences than this are drawn for the worst ones only.
report_delta_rows <- 20L

# The letters of a logo are drawn on a scale of at least this part of the largest prediction.
report_floor <- 1e-3

# Seqlets of either sign, the strongest first, with their letters and what is known to be there.
find_report_seqlets <- function(report) {
  attributions <- as.array(report$attributions)
  min_len <- min(4L, dim(attributions)[3L])
  raising <- recursive_seqlets(attributions, min_len = min_len)
  lowering <- recursive_seqlets(-attributions, min_len = min_len)
  lowering$attribution <- -lowering$attribution
  seqlets <- rbind(raising, lowering)
  size <- abs(seqlets$attribution)
  seqlets <- seqlets[size > 0 & size >= report_seqlet_share * max(size, 0), ]
  seqlets <- seqlets[order(-abs(seqlets$attribution), seqlets$example, seqlets$start), ]
  rownames(seqlets) <- NULL
  seqlets$number <- number_seqlets(seqlets, report$ranges)
  letters <- core_decode(sequence_letters(report$sequences), paste(base_letters, collapse = ""))
  seqlets$letters <- substring(letters[seqlets$example], seqlets$start, seqlets$end)
  if (!is.null(report$known)) {
    seqlets$known <- vapply(seq_len(nrow(seqlets)), function(i) {
      toString(known_at(report$known, seqlets$example[i], seqlets$start[i], seqlets$end[i]))
    }, character(1L))
  }
  seqlets
}

# Seqlets, the strongest first, by number. Where sequences overlap in the genome, what they have of
# one sign at one place is one seqlet, with the number of the strongest: each overlaps it by more
# than half of the shorter one.
number_seqlets <- function(seqlets, ranges) {
  n <- nrow(seqlets)
  if (is.null(ranges) || n == 0L) {
    return(seq_len(n))
  }
  places <- window_ranges(ranges[seqlets$example], seqlets$start, seqlets$end)
  hits <- GenomicRanges::findOverlaps(unname(places), ignore.strand = TRUE)
  pairs <- data.frame(weak = S4Vectors::queryHits(hits), strong = S4Vectors::subjectHits(hits))
  lies <- range_places(places)
  shared <- with(pairs, pmin(lies$end[weak], lies$end[strong]) -
    pmax(lies$start[weak], lies$start[strong]) + 1)
  same <- with(pairs, strong < weak & seqlets$example[strong] != seqlets$example[weak] &
    (seqlets$attribution[strong] > 0) == (seqlets$attribution[weak] > 0) &
    shared > pmin(lies$width[weak], lies$width[strong]) / 2)
  stronger <- split(pairs$strong[same], factor(pairs$weak[same], seq_len(n)))
  # The first of a number is its head; others join a head, not each other.
  head <- integer(n)
  for (i in seq_len(n)) {
    heads <- stronger[[i]][head[stronger[[i]]] == stronger[[i]]]
    head[i] <- if (length(heads) > 0L) min(heads) else i
  }
  match(head, unique(head))
}

# Where parts of sequences (or all of each) lie in the genome, as a reader or a genome browser takes
# it; NULL where that is not known.
genome_labels <- function(report, example = seq_along(report$labels), start = NULL, end = NULL) {
  if (is.null(report$ranges)) {
    return(NULL)
  }
  ranges <- report$ranges[example]
  if (!is.null(start)) {
    ranges <- window_ranges(ranges, start, end)
  }
  places <- range_places(ranges)
  first <- format(places$start, big.mark = ",", trim = TRUE, scientific = FALSE)
  last <- format(places$end, big.mark = ",", trim = TRUE, scientific = FALSE)
  paste0(
    places$seqnames, ":", first, ifelse(places$width > 1L, paste0("-", last), ""),
    ifelse(places$strand == "*", "", paste0(" (", sub("-", "\u2212", places$strand), ")"))
  )
}

# Names of the annotations that overlap a range of a sequence.
known_at <- function(known, example, start, end) {
  here <- (is.na(known$row) | known$row == example) & known$start <= end & known$end >= start
  unique(ifelse(known$label[here] == "", "yes", known$label[here]))
}

# The sequences to draw: all in their order, or if there are too many those with the strongest
# seqlet, then those with the strongest letter.
drawn_sequences <- function(report) {
  n <- report$sequences$n
  if (n <= report$top) {
    return(seq_len(n))
  }
  letters <- apply(abs(observed_values(report$attributions)), 1L, max)
  seqlets <- report$seqlets
  strongest <- vapply(seq_len(n), function(i) {
    max(abs(seqlets$attribution[seqlets$example == i]), 0)
  }, numeric(1L))
  utils::head(order(-strongest, -letters), report$top)
}

# The sequences of the heatmap: as many as it has names for, those with the strongest letters, in
# their order.
heatmap_sequences <- function(report) {
  letters <- apply(abs(observed_values(report$attributions)), 1L, max)
  sort(utils::head(order(-letters), heatmap_max_labels))
}

# The scale of all logos: what is drawn, and a thousandth of the largest prediction in any case.
report_limits <- function(report, drawn = seq_len(report$sequences$n)) {
  logos <- report$variant_logos
  values <- c(
    observed_values(report$attributions)[drawn, , ],
    unlist(lapply(logos[c("before", "after")], observed_values))
  )
  floor <- report_floor * max(abs(report$predictions))
  range(values, floor, -floor)
}

# Windows of a sequence, [start, end]: around its strongest seqlets, or its strongest letter.
report_windows_of <- function(report, i) {
  length <- report$sequences$length
  own <- report$seqlets[report$seqlets$example == i, ]
  middles <- (own$start + own$end) %/% 2L
  if (nrow(own) == 0L) {
    values <- abs(observed_values(report$attributions)[i, , 1L])
    middles <- if (any(values > 0)) which.max(values) else (length + 1L) %/% 2L
  }
  windows <- data.frame(start = integer(), end = integer())
  for (middle in middles) {
    covered <- any(windows$start + 5L <= middle & windows$end - 5L >= middle)
    if (nrow(windows) == report_windows || covered) next
    start <- max(1L, min(middle - report_flank, length - 2L * report_flank))
    windows[nrow(windows) + 1L, ] <- c(start, min(start + 2L * report_flank, length))
  }
  windows[order(windows$start), ]
}

# The sequences of the logos, to zoom and move in.
report_viewer <- function(report, drawn) {
  attributions <- report$attributions
  dimnames(attributions)[[1L]] <- report$labels
  marks <- report_marks(report)
  seqlets <- seq_len(nrow(report$seqlets))
  # Numbers of the seqlets under the mouse.
  found <- cbind(marks[seqlets, ], report$seqlets[setdiff(names(report$seqlets), names(marks))])
  rows <- list(seqlets = found, known = marks[-seqlets, ])
  if (length(seqlets) == 0L) {
    rows$known <- marks
  }
  rows <- Filter(function(table) nrow(table) > 0L, rows)
  view_attributions(attributions,
    annotations = if (length(rows) > 0L) rows, sequence = drawn, theme = "light"
  )
}

# Seqlets and what is known, as the annotations of a logo.
report_marks <- function(report) {
  seqlets <- report$seqlets
  marks <- data.frame(
    example = seqlets$example, start = seqlets$start, end = seqlets$end,
    name = sprintf("seqlet %d", seqlets$number)
  )
  known <- report$known
  if (!is.null(known)) {
    everywhere <- is.na(known$row)
    repeated <- rep(which(everywhere), each = report$sequences$n)
    rows <- c(rep(seq_len(report$sequences$n), sum(everywhere)), known$row[!everywhere])
    known <- known[c(repeated, which(!everywhere)), ]
    marks <- rbind(marks, data.frame(
      example = rows, start = known$start, end = known$end, name = known$label
    ))
  }
  marks
}

# ---- do they add up? -----------------------------------------------------------------

# list(largest delta, largest change of the output, their ratio, level, verdict), or NULL for a
# method that compares with nothing.
judge_deltas <- function(attributions) {
  if (!has_references(attributions)) {
    return(NULL)
  }
  delta <- max(abs(convergence_deltas(attributions)), na.rm = TRUE)
  change <- attr(attributions, "info", exact = TRUE)$largest_output_change %||%
    max(abs(output_changes(attributions)))
  ratio <- if (change > 0) delta / change else if (delta > 0) Inf else 0
  level <- if (ratio <= audit_threshold) "good" else if (ratio <= 0.01) "fair" else "bad"
  verdict <- switch(level,
    good = "The attributions add up: what is missing is rounding of the computer's numbers.",
    fair = paste(
      "The attributions nearly add up: what is missing is more than rounding, but too little to",
      "change what the logos show."
    ),
    bad = paste(
      "The attributions do not add up. Do not trust the height of the letters before the cause is",
      "found; the section on the operations below names it."
    )
  )
  list(delta = delta, change = change, ratio = ratio, level = level, verdict = verdict)
}

delta_table <- function(report) {
  table <- as.data.frame(unclass(summary(report$attributions)))
  columns <- c("sum", if (has_references(report$attributions)) c("output_change", "max_delta"))
  cbind(Sequence = report$labels, stats::setNames(table[columns], c(
    "Sum of the letters", "Mean change of the prediction", "Largest miss"
  )[seq_along(columns)]))
}

# The result with the sequences whose deltas are largest, in their order.
worst_deltas <- function(attributions) {
  worst <- apply(abs(convergence_deltas(attributions)), 1L, max, na.rm = TRUE)
  attributions[sort(utils::head(order(-worst), report_delta_rows)), , ]
}

# ---- variants ------------------------------------------------------------------------

# What changes, in words; long alleles are cut.
variant_changes <- function(variants) {
  ref <- shorten_each(variants$ref, report_allele_width)
  alt <- shorten_each(variants$alt, report_allele_width)
  ifelse(ref == "", paste("insertion of", alt),
    ifelse(alt == "", paste("deletion of", ref), paste0(ref, "\u2192", alt))
  )
}

report_allele_width <- 16L

# The table of variants, those that change the prediction most first.
variant_report_table <- function(report) {
  variants <- report$variant_effects
  table <- data.frame(row.names = seq_len(nrow(variants)))
  # Rows that were not named have numbers.
  if (!all(variants$variant == variants$row)) {
    table$Name <- variants$variant
  }
  table$Sequence <- report$labels[variants$example]
  table$Position <- variants$position
  last <- pmin(pmax(variants$end, variants$position), report$sequences$length)
  table$Genome <- genome_labels(report, variants$example, pmin(variants$position, last), last)
  table$Variant <- variant_changes(variants)
  table[c("Before", "After", "Effect")] <- variants[c("before", "after", "effect")]
  table
}

# The k-th variant that is drawn: list(heading, change, both (attributions without and with it),
# marks, window).
variant_picture <- function(report, k) {
  variant <- report$variant_effects[k, ]
  table <- variant_report_table(report)[k, ]
  length <- report$sequences$length
  both <- bind_rows(lapply(report$variant_logos[c("before", "after")], function(logos) {
    as.array(logos)[k, , , drop = FALSE]
  }))
  dimnames(both) <- list(c("without the variant", "with the variant"), base_letters, NULL)
  # Where letters are missing the mark spans the two beside the place.
  spans <- function(size) {
    first <- variant$position - (size == 0L)
    last <- variant$position + max(size - 1L, 0L)
    c(max(1L, min(first, length)), max(1L, min(last, length)))
  }
  places <- rbind(spans(nchar(variant$ref)), spans(nchar(variant$alt)))
  name <- paste(c(table$Name, table$Sequence), collapse = ", ")
  start <- max(1L, min(variant$position - report_flank, length - 2L * report_flank))
  list(
    heading = paste0(
      name, ", ", variant$position, " ", table$Variant, ": effect ", signed_number(variant$effect)
    ),
    change = table$Variant, both = both,
    marks = data.frame(
      sequence = 1:2, start = places[, 1L], end = places[, 2L], name = table$Variant
    ),
    window = c(start, min(start + 2L * report_flank, length))
  )
}
