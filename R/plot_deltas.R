#' Draw the convergence deltas of a result
#'
#' One point for each pair of a sequence and a reference: the absolute convergence delta
#' (see [convergence_deltas()]) on a logarithmic scale, beside the warning threshold.
#' A delta of exactly zero is drawn at the lower edge.
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
  check_attributions(attributions, "attributions")
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
    ggplot2::annotate("text",
      x = threshold, y = Inf, label = "warning threshold ", hjust = 1, vjust = 1.5,
      size = 2.6, colour = "grey40"
    ) +
    ggplot2::scale_colour_manual(values = c(below = "#255C99", above = "#D62839")) +
    ggplot2::scale_x_log10(labels = function(x) format(x, digits = 1L)) +
    ggplot2::scale_y_discrete(limits = rev) +
    ggplot2::labs(x = "|convergence delta| (units of the output)", y = NULL) +
    logo_theme()
  if (!is.null(points$target)) {
    plot <- plot + ggplot2::facet_wrap("target")
  }
  plot
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
  points
}
