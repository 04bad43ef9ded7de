#' Draw how faithful attributions are
#'
#' The deletion and insertion curves of [attribution_quality()]: the mean prediction as positions
#' get the bases of shuffles, highest scores first, and as shuffles get those of the sequence.
#' Methods are colours; several sequences are averaged, with their standard error as a band.
#'
#' @param x A result of [attribution_quality()].
#' @param sequence Which sequence, by number or name. `NULL` (default): the mean over all.
#' @param ... Not used; must be empty.
#' @return A ggplot with two panels, predictions in units of the output.
#' @section Errors: `seqlift_error_argument` for a sequence that is not there, or more than seven
#'   methods.
#' @seealso [attribution_quality()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()[c("fly_planted_AGATAAG", "yeast_planted_two")]
#' quality <- attribution_quality(model, X, attribute(model, X, "gradient_x_input"),
#'   steps = 10, n_masks = 2, n_perturbations = 2, mutagenesis = FALSE, random_state = 0
#' )
#' plot(quality)
plot.seqlift_attribution_quality <- function(x, sequence = NULL, ...) {
  check_no_dots(..., .fn = "plot", .after = "x")
  call <- rlang::current_env()
  curves <- attr(x, "curves", exact = TRUE)
  methods <- unique(curves$method)
  if (length(methods) > length(series_colours)) {
    abort_argument("x", paste("of at most", length(series_colours), "methods"),
      paste("of", length(methods)),
      call = call
    )
  }
  known <- unique(curves$sequence)
  if (!is.null(sequence)) {
    chosen <- if (is.character(sequence)) match(sequence, known) else sequence
    if (length(chosen) != 1L || is.na(chosen) || !chosen %in% seq_along(known)) {
      abort_argument("sequence", paste0("one of ", first_few(known), ", or its number"),
        describe(sequence),
        call = call
      )
    }
    curves <- curves[curves$sequence == known[chosen], ]
  }
  panels <- c(
    deletion = "Deletion: highest scores go first",
    insertion = "Insertion: highest scores come first"
  )
  points <- do.call(rbind, lapply(names(panels), function(panel) {
    groups <- split(curves[[panel]], list(curves$share, curves$method), drop = TRUE, sep = "\r")
    key <- do.call(rbind, strsplit(names(groups), "\r", fixed = TRUE))
    data.frame(
      panel = panels[[panel]], share = as.numeric(key[, 1L]),
      method = factor(key[, 2L], methods), y = vapply(groups, mean, 1),
      se = vapply(groups, function(own) stats::sd(own) / sqrt(length(own)), 1)
    )
  }))
  plot <- ggplot2::ggplot(points, ggplot2::aes(.data$share, .data$y, colour = .data$method))
  if (!anyNA(points$se)) {
    plot <- plot + ggplot2::geom_ribbon(
      ggplot2::aes(
        ymin = .data$y - .data$se, ymax = .data$y + .data$se, fill = .data$method
      ),
      alpha = 0.2, colour = NA, show.legend = FALSE
    )
  }
  colours <- stats::setNames(series_colours[seq_along(methods)], methods)
  plot +
    ggplot2::geom_line(linewidth = 0.5, show.legend = length(methods) > 1L) +
    line_and_fill_colours(values = colours, name = NULL) +
    ggplot2::facet_wrap("panel") +
    ggplot2::labs(
      x = "share of positions", y = "prediction",
      subtitle = if (is.null(sequence)) {
        if (length(known) > 1L) paste("mean of", length(known), "sequences")
      } else {
        known[chosen]
      }
    ) +
    logo_theme()
}
