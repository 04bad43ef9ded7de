# Pictures of counted annotations: bars, a heatmap of pairs, a histogram of distances.

#' Plot counted annotations
#'
#' `plot_annotation_counts()` draws how often each annotation occurs, `plot_annotation_pairs()` how
#' often two occur together, `plot_annotation_spacing()` at which distances.
#'
#' @param annotations A result of [annotate_seqlets()] or another table of annotations, as
#'   [count_annotations()] takes it.
#' @param n At most so many annotations are drawn, those that occur most often. Default 20.
#' @param pair For the spacing: two annotations, by name or number. Default `NULL`: the two that lie
#'   within `max_distance` of each other most often.
#' @param max_distance Distances are drawn below this one, in bp. Default 100.
#' @param unique For pairs: `TRUE` (default) counts a pair once in a sequence, see
#'   [pairwise_annotations()].
#' @return A ggplot.
#' @section Errors: `seqlift_error_argument` for another table, or a `pair` that is not in it.
#' @seealso [count_annotations()]
#' @export
#' @examples
#' set.seed(1)
#' annotations <- data.frame(
#'   example = rep(1:40, each = 3),
#'   annotation = factor(rep(c("GATA", "Ebox", "CTCF"), 40), c("GATA", "Ebox", "CTCF")),
#'   start = c(rbind(10, 26 + rpois(40, 2), sample(60:90, 40, TRUE)))
#' )
#' annotations$end <- annotations$start + 5
#' annotations <- annotations[-sample(120, 30), ]
#' plot_annotation_counts(annotations)
#' plot_annotation_pairs(annotations)
#' plot_annotation_spacing(annotations, c("GATA", "Ebox"), max_distance = 40)
plot_annotation_counts <- function(annotations, n = 20L) {
  n <- check_count(n, "n")
  counts <- count_annotations(annotations)
  shown <- most_frequent(colSums(counts), n)
  labels <- annotation_axis(counts, shown)
  bars <- data.frame(
    annotation = factor(labels, rev(labels)), count = colSums(counts)[shown],
    sequences = colSums(counts > 0)[shown]
  )
  ggplot2::ggplot(bars, ggplot2::aes(.data$count, .data$annotation)) +
    ggplot2::geom_col(fill = "#4477AA", width = 0.7) +
    ggplot2::geom_text(
      ggplot2::aes(label = paste0(" ", .data$count, " in ", .data$sequences)),
      hjust = 0, size = 3, colour = "grey30"
    ) +
    ggplot2::scale_x_continuous(expand = ggplot2::expansion(c(0, 0.2))) +
    ggplot2::labs(x = "Annotations (and in how many sequences)", y = NULL) +
    ggplot2::theme_minimal() +
    ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
}

#' @rdname plot_annotation_counts
#' @export
plot_annotation_pairs <- function(annotations, n = 20L, unique = TRUE) {
  n <- check_count(n, "n")
  pairs <- pairwise_annotations(annotations, unique = unique)
  counts <- count_annotations(annotations)
  shown <- most_frequent(colSums(counts), n)
  labels <- annotation_axis(counts, shown)
  cells <- expand.grid(y = seq_along(shown), x = seq_along(shown))
  cells$count <- as.vector(pairs[shown, shown])
  cells$first <- factor(labels[cells$x], labels)
  cells$second <- factor(labels[cells$y], rev(labels))
  # An annotation with itself is not counted there.
  if (unique) {
    cells$count[cells$x == cells$y] <- NA
  }
  cells$dark <- !is.na(cells$count) & cells$count > max(cells$count, 1, na.rm = TRUE) / 2
  ggplot2::ggplot(cells, ggplot2::aes(.data$first, .data$second, fill = .data$count)) +
    ggplot2::geom_tile(colour = "white") +
    ggplot2::geom_text(
      ggplot2::aes(label = ifelse(is.na(.data$count), "", .data$count), colour = .data$dark),
      size = 3, show.legend = FALSE
    ) +
    ggplot2::scale_colour_manual(values = c("FALSE" = "grey20", "TRUE" = "white")) +
    ggplot2::scale_fill_gradient(
      low = "#F3F7FB", high = "#204A7A", na.value = "grey92", limits = c(0, NA)
    ) +
    ggplot2::coord_equal() +
    ggplot2::labs(x = NULL, y = NULL, fill = if (unique) "Sequences" else "Pairs") +
    ggplot2::theme_minimal() +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(),
      axis.text.x = ggplot2::element_text(angle = 45, hjust = 1)
    )
}

#' @rdname plot_annotation_counts
#' @export
plot_annotation_spacing <- function(annotations, pair = NULL, max_distance = 100L) {
  call <- rlang::current_env()
  max_distance <- check_count(max_distance, "max_distance")
  spacing <- pairwise_annotation_spacing(annotations, max_distance, symmetric = FALSE)
  labels <- dimnames(spacing)[[1L]] %||% as.character(seq_len(dim(spacing)[1L]))
  if (is.null(pair)) {
    totals <- rowSums(spacing, dims = 2L)
    totals <- totals + t(totals) * (row(totals) != col(totals))
    pair <- as.vector(arrayInd(which.max(totals), dim(totals)))
  } else {
    pair <- annotation_pair(pair, labels, call)
  }
  labels <- short_labels(labels)
  orders <- if (pair[1L] == pair[2L]) list(pair) else list(pair, rev(pair))
  bars <- do.call(rbind, lapply(orders, function(order) {
    data.frame(
      distance = seq_len(max_distance) - 1L, count = spacing[order[1L], order[2L], ],
      order = paste(labels[order[1L]], "before", labels[order[2L]])
    )
  }))
  bars$order <- factor(bars$order, unique(bars$order))
  ggplot2::ggplot(bars, ggplot2::aes(.data$distance, .data$count, fill = .data$order)) +
    ggplot2::geom_col(width = 0.9, show.legend = FALSE) +
    ggplot2::facet_wrap(ggplot2::vars(.data$order), ncol = 1L) +
    ggplot2::scale_fill_manual(values = c("#4477AA", "#CC6677")) +
    ggplot2::scale_y_continuous(breaks = whole_breaks) +
    ggplot2::labs(x = "Bases between the two", y = "Pairs") +
    ggplot2::theme_minimal() +
    ggplot2::theme(panel.grid.minor = ggplot2::element_blank())
}

most_frequent <- function(totals, n) {
  totals <- unname(totals)
  order <- order(totals, decreasing = TRUE)
  utils::head(order[totals[order] > 0], n)
}

annotation_axis <- function(counts, shown) {
  short_labels((colnames(counts) %||% as.character(seq_len(ncol(counts))))[shown])
}

short_labels <- function(labels) {
  make.unique(ifelse(nchar(labels) > 30L, paste0(substr(labels, 1L, 29L), "\u2026"), labels))
}

annotation_pair <- function(pair, labels, call) {
  at <- if (is.character(pair)) match(pair, labels) else pair
  fits <- is.numeric(at) && length(at) == 2L && all(at %in% seq_along(labels))
  if (!fits) {
    abort_argument("pair", "two annotations, by name or number",
      if (is.character(pair)) paste0("\"", escape_braces(pair), "\"", collapse = ", ") else
        describe(pair),
      hint = paste("There are", escape_braces(toString(utils::head(labels, 10L)))), call = call
    )
  }
  as.integer(at)
}
