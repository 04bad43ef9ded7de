#' Draw the convergence deltas of a result
#'
#' One point for each pair of a sequence and a reference: the absolute convergence delta
#' (see [convergence_deltas()]) on a logarithmic scale, beside the warning threshold.
#' A delta of exactly zero is drawn at the lower edge. Of more than 50 sequences, those with the
#' largest deltas are at the top, and the names of the worst above the threshold beside their
#' points.
#'
#' @param attributions A result of [deep_lift_shap()] (class `seqlift_attributions`).
#' @param threshold The line to draw, in units of the model's output. Default: the
#'   `warning_threshold` the result was computed with, 1e-3 where it is not known.
#' @return A ggplot, with one panel a target.
#' @section Errors: `seqlift_error_argument` when `attributions` is not a result of
#'   [deep_lift_shap()] or `threshold` is not a positive number.
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2], n_shuffles = 5, random_state = 0)
#' plot_deltas(attributions)
#' @export
plot_deltas <- function(attributions, threshold = NULL) {
  check_some_sequences(attributions)
  if (!has_references(attributions)) {
    abort_argument("attributions", "the result of a method that compares with references",
      "one without convergence deltas"
    )
  }
  info <- attr(attributions, "info", exact = TRUE)
  threshold <- threshold %||% info$warning_threshold %||% 1e-3
  check_number(threshold, "threshold", min = .Machine$double.xmin)
  points <- delta_points(attributions)
  above <- points$delta > threshold
  points$verdict <- factor(ifelse(above, "above", "below"), levels = c("below", "above"))
  plot <- ggplot2::ggplot(points, ggplot2::aes(.data$delta, .data$sequence)) +
    ggplot2::geom_vline(xintercept = threshold, linetype = "dashed", colour = "grey40") +
    ggplot2::geom_point(
      ggplot2::aes(colour = .data$verdict),
      size = 1.4, alpha = 0.6, show.legend = FALSE
    ) +
    ggplot2::scale_colour_manual(values = c(below = "#255C99", above = "#D62839")) +
    ggplot2::labs(x = "|convergence delta| (units of the output)", y = NULL) +
    logo_theme()
  plot <- plot + delta_names(points, threshold)
  if (!is.null(points$target)) {
    plot <- plot + ggplot2::facet_wrap("target")
  }
  plot
}

# How many of many sequences are named.
deltas_named <- 12L

# The axis of deltas, and the names of sequences at the other; of many those of the worst beside
# their largest deltas, where nothing else is: to the right.
delta_names <- function(points, threshold) {
  names <- levels(points$sequence)
  threshold_at <- function(...) {
    ggplot2::annotate("text", x = threshold, ..., size = 2.6, colour = "grey40")
  }
  deltas <- function(...) {
    ggplot2::scale_x_log10(labels = function(x) format(x, digits = 1L), ...)
  }
  if (length(names) <= heatmap_max_labels) {
    return(list(
      deltas(),
      # The upper edge; at an infinite place plotly draws nothing.
      threshold_at(y = length(names) + 0.6, label = "warning threshold ", hjust = 1, vjust = 1.5),
      ggplot2::scale_y_discrete(
        limits = rev, labels = function(names) shorten(names, heatmap_name_width)
      )
    ))
  }
  largest <- tapply(points$delta, points$sequence, max)
  worst <- points[points$verdict == "above" & points$delta == largest[points$sequence], ]
  worst <- utils::head(worst[order(-worst$delta), ], deltas_named)
  worst$label <- shorten(as.character(worst$sequence), heatmap_name_width)
  list(
    deltas(expand = ggplot2::expansion(mult = c(0.05, 0.35))),
    threshold_at(y = 1, label = " warning threshold", hjust = 0, vjust = -0.5),
    ggplot2::scale_y_discrete(
      limits = names(sort(largest)), labels = NULL, breaks = NULL,
      expand = ggplot2::expansion(mult = 0.02)
    ),
    ggplot2::geom_text(
      ggplot2::aes(label = .data$label), worst,
      hjust = -0.08, size = 2.4, colour = "grey20", check_overlap = TRUE
    ),
    ggplot2::labs(y = paste(length(names), "sequences, the largest deltas at the top"))
  )
}

# One row a pair (and target). Zero has no logarithm: it is drawn where the smallest
# other delta is, but not above the rounding of a double.
delta_points <- function(attributions) {
  deltas <- attr(attributions, "convergence_deltas", exact = TRUE)
  names <- sequence_names(attributions)
  labels <- if (is.null(names)) paste("sequence", seq_len(dim(deltas)[1L])) else names
  labels <- make.unique(labels, sep = " ")
  delta <- as.vector(abs(deltas))
  positive <- delta[is.finite(delta) & delta > 0]
  points <- data.frame(
    sequence = factor(labels[slice.index(deltas, 1L)], levels = labels),
    delta = pmax(delta, min(positive, .Machine$double.eps))
  )
  if (length(dim(deltas)) == 3L) {
    points$target <- as.vector(slice.index(deltas, 3L))
  }
  points[!is.na(delta), ]
}
