# The figures of a page of motifs: logos of one size for each letter, a pattern with the motifs
# that resemble it, and where seqlets and hits lie.

# Inches of a letter in the small logos of a list, and how high those are.
report_letter_inches <- 0.11
report_small_inches <- 0.42

# Inches of a figure that stands beside another one.
report_half_inches <- 4.6

# Bars of the positions are at least so wide, in bp, and at most so many.
report_position_bars <- 60

# [4, width], where contributions are large.
pattern_logo_matrix <- function(pattern, reverse = FALSE) {
  kept <- trimmed_positions(pattern$contributions, 0.3)
  values <- unname(t(pattern$contributions[kept, , drop = FALSE]))
  rownames(values) <- base_letters
  if (reverse) turn_motif(values) else values
}

turn_motif <- function(values) {
  turned <- values[rev(seq_len(nrow(values))), rev(seq_len(ncol(values))), drop = FALSE]
  rownames(turned) <- rownames(values)
  turned
}

# Without axes, for a list.
small_logo <- function(pattern) {
  plot_logo(pattern_logo_matrix(pattern)) + ggplot2::theme_void() +
    ggplot2::theme(plot.background = ggplot2::element_rect(fill = "white", colour = NA))
}

# On one scale, so that the two strands compare.
pattern_logo <- function(pattern, reverse = FALSE) {
  plot_logo(pattern_logo_matrix(pattern, reverse),
    title = if (reverse) "the same, read from the other strand" else "as found"
  ) +
    ggplot2::labs(y = "Contribution")
}

# Probabilities as bits; of weights, the weights.
letter_heights <- function(motif) {
  is_share <- all(motif >= 0) && all(abs(colSums(motif) - 1) < 0.05)
  if (!is_share) {
    return(motif)
  }
  motif * rep(pmax(information_content(motif), 0), each = nrow(motif))
}

# The matrices of a pattern (the first) and of motifs in the places that tomtom() found for them, as
# an array [motifs, 4, width]. `offset` and `strand` as there.
lay_along <- function(query, targets, offset, strand) {
  targets <- Map(function(target, strand) if (strand == "-") turn_motif(target) else target,
    targets, strand)
  all <- c(list(query), targets)
  starts <- c(0, -offset)
  ends <- starts + vapply(all, ncol, 1L)
  laid <- array(0, c(length(all), n_bases, max(ends) - min(starts)),
    dimnames = list(NULL, base_letters, NULL)
  )
  for (i in seq_along(all)) {
    laid[i, , seq_len(ncol(all[[i]])) + starts[i] - min(starts)] <- all[[i]]
  }
  laid
}

# A pattern and below it the motifs of the database, where they fit best.
match_logos <- function(pattern, matches, known) {
  targets <- lapply(known[matches$target], letter_heights)
  query <- pattern_matrices(list(pattern))[[1L]]
  laid <- lay_along(letter_heights(query), targets, matches$offset, matches$strand)
  labels <- paste0(matches$target, ifelse(matches$strand == "-", ", reverse complement", ""))
  dimnames(laid)[[1L]] <- make.unique(c("this pattern", labels), sep = " ")
  plot_logo(laid, free_y = TRUE) +
    ggplot2::labs(y = "Information (bits)") +
    ggplot2::theme(
      axis.text.x = ggplot2::element_blank(), axis.ticks.x = ggplot2::element_blank(),
      axis.title.x = ggplot2::element_blank()
    )
}

match_logos_height <- function(n) 0.4 + 0.85 * (n + 1L)

# Middles of seqlets and of hits along the sequences: upwards on the forward strand, downwards on
# the other one.
plot_positions <- function(seqlets, hits, extent) {
  middles <- function(table, what) {
    data.frame(
      position = (table$start + table$end) / 2,
      up = ifelse(table$strand == "-", -1, 1), what = rep(what, nrow(table))
    )
  }
  places <- rbind(middles(seqlets, "Seqlets"), if (!is.null(hits)) middles(hits, "Hits"))
  width <- max(1, ceiling((extent[2L] - extent[1L] + 1) / report_position_bars))
  bar <- floor((places$position - extent[1L] + 0.5) / width)
  counts <- stats::aggregate(
    list(n = places$up), list(bar = bar, up = places$up, what = places$what),
    function(x) sum(abs(x))
  )
  counts$what <- factor(counts$what, c("Seqlets", "Hits"))
  counts$middle <- extent[1L] - 0.5 + (counts$bar + 0.5) * width
  counts$strand <- factor(ifelse(counts$up > 0, "as drawn", "reverse complement"),
    c("as drawn", "reverse complement"))
  plot <- ggplot2::ggplot(counts) +
    ggplot2::geom_rect(ggplot2::aes(
      xmin = .data$middle - width / 2, xmax = .data$middle + width / 2, ymin = 0,
      ymax = .data$n * .data$up, fill = .data$strand
    )) +
    ggplot2::geom_hline(yintercept = 0, linewidth = 0.3, colour = "grey40") +
    ggplot2::scale_fill_manual(
      values = c("as drawn" = "#4477AA", "reverse complement" = "#CC6677"), drop = FALSE
    ) +
    ggplot2::scale_y_continuous(breaks = whole_breaks, labels = abs) +
    ggplot2::coord_cartesian(xlim = extent + c(-0.5, 0.5)) +
    ggplot2::labs(x = "Position in the sequence (bp)", y = "Number", fill = NULL) +
    ggplot2::theme_minimal(base_size = 10) +
    ggplot2::theme(
      legend.position = "top", legend.justification = "left",
      panel.grid.minor = ggplot2::element_blank(),
      strip.text = ggplot2::element_text(hjust = 0, face = "bold"),
      plot.background = ggplot2::element_rect(fill = "white", colour = NA)
    )
  if (is.null(hits)) plot else plot + ggplot2::facet_wrap("what", ncol = 1L, scales = "free_y")
}
