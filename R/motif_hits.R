# The result of call_hits(): a table of hits that knows how it was made.

#' Hits of motifs
#'
#' What [call_hits()] returns: a data frame with a row for each hit, whose attribute `info` holds
#' the settings and what is known of each sequence and motif. Rows may be taken as of any data
#' frame; the attribute stays that of the whole call.
#'
#' `summary()` judges each motif: how many hits, in how many sequences, how much they explain, and
#' whether what lies below them is the motif. `plot()` draws that (`"motifs"`), how many hits
#' sequences have (`"sequences"`), or in how many sequences two motifs occur together (`"pairs"`,
#' see [plot_annotation_pairs()]).
#'
#' @param x,object A result of this class.
#' @param type What to draw: `"motifs"` (default), `"sequences"` or `"pairs"`.
#' @param n At most so many motifs are drawn, those of the most hits. Default 20.
#' @param i,j,drop As for any data frame.
#' @param row.names,optional,... Unused.
#' @return `summary()`: a data frame with a row for each motif and columns
#'   * `motif`; `hits`, their number; `sequences`, in how many there are any;
#'   * `share_explained`: the share of the squared contributions of all sequences that the motif's
#'     hits account for; those of all motifs add up;
#'   * `similarity`: the mean of its hits;
#'   * `cwm_similarity`: cosine of the motif and the mean contributions below its hits, those on the
#'     reverse strand turned around, over its whole width;
#'   * `seqlets` and `seqlet_recall`: the motif's seqlets in these sequences, and the share of them
#'     that are hits at exactly their place and strand. `NA` where the motifs have no seqlets, or
#'     the attributions are not those in which they were discovered (by the contributions there).
#'
#'   The last three are of the whole call. `as.data.frame()`: the same without class and attributes.
#'   `plot()`: a ggplot.
#' @section Errors: `seqlift_error_argument` for a plot of no hits, or another `type`.
#' @seealso [call_hits()], [hits_as_granges()], [export_bed()], [collapse_hits()]
#' @name seqlift_hits
#' @examples
#' set.seed(1)
#' motif <- rbind(A = c(0, 1.2, 0, 1.1, 0.8), C = 0, G = c(1, 0, 0, 0, 0), T = c(0, 0, 0.9, 0, 0))
#' X <- random_one_hot(c(20, 4, 60), random_state = 0)
#' scores <- array(rnorm(20 * 4 * 60, sd = 0.08), c(20, 4, 60))
#' for (i in 1:20) {
#'   at <- sample(55, 1) + 0:4
#'   X[i, , at] <- motif > 0
#'   scores[i, , at] <- motif
#' }
#' hits <- call_hits(scores, list(gata = motif), X)
#' summary(hits)
#' plot(hits)
#' head(attr(hits, "info")$sequences)
NULL

# `found`: what hits_of_block() gives, of each block.
new_hits <- function(found, task) {
  scores <- task$scores
  motifs <- task$motifs
  column <- function(group, name) unlist(lapply(found, function(one) one[[group]][[name]]))
  raw <- lapply(stats::setNames(nm = names(found[[1L]]$hits)), function(name) column("hits", name))
  if (!any(vapply(found, function(one) one$any, NA))) {
    abort_only_zeros(caller_env())
  }
  sequences <- lapply(stats::setNames(nm = names(found[[1L]]$regions)), function(name) {
    column("regions", name)
  })
  sequences$outcome <- c("converged", "out of steps", "diverged")[sequences$outcome]
  sequences <- data.frame(example = seq_len(scores$n), sequences)

  order <- order(raw$region, raw$start, raw$motif)
  raw <- lapply(raw, function(values) values[order])
  one <- (raw$motif + 1L) %/% 2L
  scale <- sequences$global_scale[raw$region]
  shift <- raw$start + (scores$first %||% 1L) - 2L
  hits <- data.frame(
    sequence = if (is.null(scores$names)) raw$region else scores$names[raw$region],
    start = shift + motifs$laid$firsts[raw$motif], end = shift + motifs$laid$ends[raw$motif],
    strand = c("-", "+")[1L + raw$motif %% 2L],
    motif = factor(motifs$table$motif[one], motifs$table$motif),
    coefficient = raw$coefficient, importance = raw$importance * scale,
    similarity = raw$similarity, importance_sq = raw$importance_sq * scale^2,
    coefficient_global = raw$coefficient * scale^2,
    explained = raw$explained / scores$length, lambda = motifs$table$lambda[one],
    start_untrimmed = shift + 1L, end_untrimmed = shift + motifs$table$width[one],
    example = raw$region
  )
  if (!is.null(scores$ranges)) {
    places <- hit_places(hits, scores$ranges, caller_env())
    names(places) <- c("seqnames", "genomic_start", "genomic_end", "genomic_strand")
    hits <- cbind(hits, places)
  }
  info <- list(
    settings = c(task$about, list(length = scores$length)), sequences = sequences,
    motifs = judge_motifs(motifs, raw, found)
  )
  structure(hits, class = c("seqlift_hits", "data.frame"), info = info, ranges = scores$ranges)
}

# What is known of the motifs, with seqlets, seqlets_found and cwm_similarity.
judge_motifs <- function(motifs, raw, found) {
  table <- motifs$table
  table$seqlets <- NA_integer_
  table$seqlets_found <- NA_integer_
  if (!is.null(motifs$patterns)) {
    counts <- Reduce(`+`, lapply(found, function(one) one$seqlets))
    known <- counts[1L, ] > 0 & counts[2L, ] >= most_seqlets_agree * counts[1L, ]
    table$seqlets[known] <- as.integer(counts[1L, known])
    table$seqlets_found[known] <- as.integer(counts[3L, known])
  }
  sums <- Reduce(`+`, lapply(found, function(one) one$sums))
  table$cwm_similarity <- vapply(seq_along(motifs$cwms), function(i) {
    cwm <- motifs$cwms[[i]]
    at <- seq_len(ncol(cwm))
    below <- sums[, at, 2L * i - 1L] + sums[n_bases:1, rev(at), 2L * i]
    size <- sqrt(sum(below^2))
    if (size > 0) sum(below * cwm) / size else NA_real_
  }, 0)
  table
}

# Attributions are those of the discovery if this share of the seqlets has the same contributions.
most_seqlets_agree <- 0.9

#' @rdname seqlift_hits
#' @export
`[.seqlift_hits` <- function(x, i, j, drop) {
  part <- NextMethod()
  if (inherits(part, "seqlift_hits")) {
    if (!all(hit_columns %in% names(part))) {
      return(structure(part, class = "data.frame"))
    }
    attr(part, "info") <- attr(x, "info", exact = TRUE)
    attr(part, "ranges") <- attr(x, "ranges", exact = TRUE)
  }
  part
}

# What the functions of hits go by.
hit_columns <- c("sequence", "start", "end", "strand", "motif", "coefficient", "importance",
  "similarity", "explained", "example")

#' @rdname seqlift_hits
#' @export
as.data.frame.seqlift_hits <- function(x, row.names = NULL, optional = FALSE, ...) {
  attr(x, "info") <- NULL
  attr(x, "ranges") <- NULL
  structure(x, class = "data.frame")
}

#' @rdname seqlift_hits
#' @export
print.seqlift_hits <- function(x, ...) {
  info <- attr(x, "info", exact = TRUE)
  count <- function(n, what) paste(n, if (n == 1L) what else paste0(what, "s"))
  cat_text("<seqlift_hits> ", count(nrow(x), "hit"), " of ", count(nlevels(x$motif), "motif"),
    " in ", count(nrow(info$sequences), "sequence"))
  sequences <- info$sequences
  gap <- if (info$settings$compatible) "dual_gap" else "exact_gap"
  cat_field("gap", paste0("largest ", format(max(sequences[[gap]]), digits = 2L), " of ",
    format(info$settings$tolerance), " allowed; true gap ",
    format(max(sequences$exact_gap), digits = 2L)))
  explained <- share_of_squares(sequences, sequences$explained)
  percent <- format(100 * explained, digits = 3L)
  cat_field("explained", paste0(percent, " % of the squared contributions"))
  odd <- sum(sequences$outcome != "converged")
  if (odd > 0L) {
    cat_field("unfinished", count(odd, "sequence"))
  }
  shown <- c("sequence", "start", "end", "strand", "motif", "coefficient", "importance",
    "similarity")
  print_table(as.data.frame(x)[shown], max_rows = 10L)
  invisible(x)
}

# Shares of the sequences' squared contributions as one of all.
share_of_squares <- function(sequences, shares) {
  squares <- sequences$global_scale^2
  sum(shares * squares) / sum(squares)
}

#' @rdname seqlift_hits
#' @export
summary.seqlift_hits <- function(object, ...) {
  info <- attr(object, "info", exact = TRUE)
  motif <- as.integer(object$motif)
  by_motif <- function(values) {
    as.vector(tapply(values, factor(motif, seq_len(nlevels(object$motif))), sum, default = 0))
  }
  hits <- as.integer(by_motif(rep(1, nrow(object))))
  squares <- info$sequences$global_scale^2
  first <- !duplicated(data.frame(motif, object$example))
  summary_table(
    motif = levels(object$motif), hits = hits, sequences = as.integer(by_motif(as.double(first))),
    share_explained = by_motif(object$explained * squares[object$example]) / sum(squares),
    similarity = ifelse(hits > 0L, by_motif(object$similarity) / hits, NA),
    cwm_similarity = info$motifs$cwm_similarity, seqlets = info$motifs$seqlets,
    seqlet_recall = info$motifs$seqlets_found / info$motifs$seqlets
  )
}

#' @rdname seqlift_hits
#' @export
plot.seqlift_hits <- function(x, type = c("motifs", "sequences", "pairs"), n = 20L, ...) {
  type <- check_choice(type, c("motifs", "sequences", "pairs"), "type")
  n <- check_count(n, "n")
  if (nrow(x) == 0L) {
    abort_argument("x", "at least one hit", "none")
  }
  switch(type,
    motifs = plot_hit_motifs(x, n), sequences = plot_hit_sequences(x),
    pairs = plot_annotation_pairs(hits_as_annotations(x), n)
  )
}

hits_as_annotations <- function(hits) {
  data.frame(example = hits$example, annotation = hits$motif, start = hits$start, end = hits$end)
}

plot_hit_motifs <- function(hits, n) {
  table <- summary(hits)
  table <- table[most_frequent(table$hits, n), ]
  labels <- short_labels(table$motif)
  measures <- c(hits = "Hits", share_explained = "Share explained",
    cwm_similarity = "Similarity of the mean", seqlet_recall = "Seqlets found")
  measures <- measures[vapply(names(measures), function(name) !all(is.na(table[[name]])), NA)]
  bars <- do.call(rbind, lapply(names(measures), function(name) {
    values <- table[[name]]
    data.frame(
      motif = factor(labels, rev(labels)), measure = measures[[name]], value = values,
      label = ifelse(is.na(values), "", format(values, digits = 2L))
    )
  }))
  bars$measure <- factor(bars$measure, measures)
  ggplot2::ggplot(bars, ggplot2::aes(.data$value, .data$motif)) +
    ggplot2::geom_col(fill = "#4477AA", width = 0.7, na.rm = TRUE) +
    ggplot2::geom_text(ggplot2::aes(label = paste0(" ", .data$label)),
      hjust = 0, size = 3, colour = "grey30", na.rm = TRUE
    ) +
    ggplot2::facet_wrap(ggplot2::vars(.data$measure), nrow = 1L, scales = "free_x") +
    ggplot2::scale_x_continuous(expand = ggplot2::expansion(c(0, 0.35)), n.breaks = 3) +
    ggplot2::labs(x = NULL, y = NULL) +
    ggplot2::theme_minimal() +
    ggplot2::theme(
      panel.grid.major.y = ggplot2::element_blank(), panel.spacing = ggplot2::unit(1.5, "lines")
    )
}

plot_hit_sequences <- function(hits) {
  counts <- tabulate(hits$example, nrow(attr(hits, "info", exact = TRUE)$sequences))
  bars <- as.data.frame(table(hits = counts))
  bars$hits <- as.integer(as.character(bars$hits))
  ggplot2::ggplot(bars, ggplot2::aes(.data$hits, .data$Freq)) +
    ggplot2::geom_col(fill = "#4477AA", width = 0.8) +
    ggplot2::scale_x_continuous(breaks = whole_breaks) +
    ggplot2::scale_y_continuous(breaks = whole_breaks) +
    ggplot2::labs(x = "Hits in a sequence", y = "Sequences") +
    ggplot2::theme_minimal() +
    ggplot2::theme(panel.grid.minor = ggplot2::element_blank())
}

# ---- places -------------------------------------------------------------------------------

#' Hits as genomic ranges
#'
#' Turns the places of hits in their sequences into places in the genome.
#'
#' @param hits A result of [call_hits()], or rows of it.
#' @param ranges A `GRanges` with the place of each sequence, in their order. Default `NULL`: those
#'   of the attributions. Where there are none, places stay those in the sequences, and their names,
#'   or numbers, stand for chromosomes.
#' @return A `GRanges`, one range a hit in their order. Its strand is that of the motif: the hit's
#'   own, turned around in a sequence from the minus strand. The other columns of the table are
#'   metadata.
#' @section Errors: `seqlift_error_argument` when `hits` are none, or `ranges` do not fit;
#'   `seqlift_error_package` without the GenomicRanges package.
#' @seealso [call_hits()], [export_bed()], [seqlets_as_granges()]
#' @export
#' @examplesIf requireNamespace("GenomicRanges", quietly = TRUE)
#' motif <- rbind(A = c(0, 1.2, 0, 1.1, 0.8), C = 0, G = c(1, 0, 0, 0, 0), T = c(0, 0, 0.9, 0, 0))
#' X <- random_one_hot(c(2, 4, 60), random_state = 0)
#' scores <- array(0.02, c(2, 4, 60))
#' X[, , 21:25] <- rep(motif > 0, each = 2)
#' scores[, , 21:25] <- rep(motif, each = 2)
#' hits <- call_hits(scores, list(gata = motif), X)
#' hits_as_granges(hits, GenomicRanges::GRanges(c("chr1:1001-1060:+", "chr1:2001-2060:-")))
hits_as_granges <- function(hits, ranges = NULL) {
  check_hits(hits)
  check_package("GenomicRanges", "Hits as ranges")
  ranges <- ranges %||% attr(hits, "ranges", exact = TRUE)
  places <- hit_places(hits, ranges, rlang::current_env())
  own <- as.data.frame(hits)
  placed <- c(names(places), "genomic_start", "genomic_end", "genomic_strand")
  extra <- own[setdiff(names(own), placed)]
  GenomicRanges::makeGRangesFromDataFrame(cbind(places, extra),
    keep.extra.columns = TRUE,
    seqinfo = if (!is.null(ranges)) GenomicRanges::seqinfo(ranges)
  )
}

# seqnames, start, end and strand of each hit.
hit_places <- function(hits, ranges, call) {
  if (is.null(ranges)) {
    return(data.frame(
      seqnames = as.character(hits$sequence), start = hits$start, end = hits$end,
      strand = hits$strand
    ))
  }
  places <- seqlet_places(as.data.frame(hits)[c("example", "start", "end")], ranges, call)
  turned <- places$strand == "-"
  data.frame(
    seqnames = places$seqnames, start = as.integer(places$start), end = as.integer(places$end),
    strand = ifelse(turned, c("+" = "-", "-" = "+")[hits$strand], hits$strand)
  )
}

check_hits <- function(hits, arg = "hits", call = caller_env()) {
  if (!inherits(hits, "seqlift_hits") || !all(hit_columns %in% names(hits))) {
    abort_argument(arg, "a result of call_hits() (class <seqlift_hits>), or rows of it",
      describe(hits),
      call = call
    )
  }
}
