#' Draw the effect of motifs by their spacing
#'
#' The effect (after - before) of motifs at each of the spacings of [space_motifs()]: the mean over
#' the backgrounds with its standard error.
#'
#' @param perturbation A result of [space_motifs()] for outputs `[n, targets]`.
#' @param ... Not used; must be empty.
#' @param output Which output of a model with several: number (from 1) or name. `NULL` (default):
#'   the first that has one number a target.
#' @param target Which targets to draw, up to seven numbers from 1. `NULL` (default): all.
#' @param target_names Names of all targets of the output, a character vector. `NULL` (default):
#'   those that the output has, else numbers.
#' @param title Title of the plot. Default: none.
#' @return A ggplot. The effects have the unit of the output; spacings are in bp, between the end of
#'   a motif and the start of the next. Where several gaps vary together, the arrangements stand
#'   side by side instead.
#' @section Errors: `seqlift_error_argument` for anything but a result of [space_motifs()], outputs
#'   along the sequence (see [plot_marginalization()] for those), an output or target that does not
#'   exist, or more than seven targets.
#' @seealso [plot_marginalization()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' backgrounds <- random_one_hot(c(10, 4, 500), random_state = 0)
#' result <- space_motifs(model, backgrounds, c("AGATAAG", "CTTATCT"), spacings = c(2, 5, 10, 40))
#' plot_spacing(result)
plot_spacing <- function(perturbation, ..., output = NULL, target = NULL, target_names = NULL,
                         title = NULL) {
  check_no_dots(..., .fn = "plot_spacing", .after = "perturbation")
  check_perturbation(perturbation)
  varied <- attr(perturbation, "info", exact = TRUE)$varied
  if (!identical(varied$axis, "spacing")) {
    abort_argument("perturbation", "a result of space_motifs()",
      paste0("one of ", attr(perturbation, "info", exact = TRUE)$verb, "()"),
      hint = "See {.fn plot_marginalization}."
    )
  }
  check_string(title, "title", null = TRUE)
  arranged <- spacing_output(perturbation, output) |>
    arrange_output() |>
    name_targets(target_names) |>
    drop_not_finite()
  picked <- check_shown_targets(target, arranged)
  if (length(picked) > length(series_colours)) {
    abort_argument("target", paste("at most", length(series_colours), "targets for one plot"),
      paste("all", length(picked)),
      hint = "Choose some, for example {.code target = 1:3}."
    )
  }
  effect <- (arranged$after - arranged$before)[, , picked, drop = FALSE]
  means <- mean_over(effect, 2L, na.rm = TRUE)
  points <- data.frame(
    arrangement = as.vector(row(means)),
    target = factor(arranged$targets[picked][col(means)], levels = arranged$targets[picked]),
    effect = as.vector(means), std_error = as.vector(standard_error(effect, 2L, na.rm = TRUE))
  )
  gaps <- Filter(function(gap) length(unique(gap)) > 1L, as.list(varied$table))
  points$spacing <- if (length(gaps) == 1L) {
    gaps[[1L]][points$arrangement]
  } else {
    factor(arranged$conditions[points$arrangement], arranged$conditions)
  }
  spacing_ggplot(points, dim(effect)[2L]) + ggplot2::labs(title = title)
}

# The output to draw; profiles have no effect that is one number.
spacing_output <- function(perturbation, output, call = caller_env()) {
  rlang::try_fetch(
    choose_output(perturbation, output, "scatter", call = call),
    seqlift_error_argument = function(error) {
      outputs <- flatten_outputs(perturbation$after)
      if (!is.null(output)) {
        check_output(output, outputs, call)
      }
      abort_argument("output", "one with a number for each target",
        "one along the sequence",
        hint = "See {.code plot_marginalization(type = \"profile\")}.", call = call
      )
    }
  )
}

spacing_ggplot <- function(points, n_backgrounds) {
  several <- nlevels(points$target) > 1L
  colours <- if (several) series_colours else stage_colours[["after"]]
  along <- is.numeric(points$spacing)
  many <- length(unique(points$spacing)) > 40L
  plot <- ggplot2::ggplot(
    points, ggplot2::aes(.data$spacing, .data$effect, colour = .data$target, group = .data$target)
  )
  if (near_zero(points)) {
    plot <- plot + ggplot2::geom_hline(yintercept = 0, linewidth = 0.3, colour = "grey60")
  }
  if (n_backgrounds > 1L) {
    limits <- ggplot2::aes(
      ymin = .data$effect - .data$std_error, ymax = .data$effect + .data$std_error
    )
    plot <- plot + if (along) {
      ggplot2::geom_ribbon(
        utils::modifyList(limits, ggplot2::aes(fill = .data$target)),
        alpha = 0.25, colour = NA, show.legend = FALSE
      )
    } else {
      ggplot2::geom_errorbar(limits, width = 0.15, linewidth = 0.4, show.legend = several)
    }
  }
  if (along) {
    plot <- plot + ggplot2::geom_line(linewidth = 0.5, na.rm = TRUE, show.legend = several)
  }
  if (!many || !along) {
    plot <- plot + ggplot2::geom_point(size = 1.5, na.rm = TRUE, show.legend = several)
  }
  plot <- plot +
    line_and_fill_colours(values = unname(colours), name = "Output") +
    ggplot2::labs(
      x = if (along) "Spacing (bp)" else "Spacings (bp)",
      y = if (n_backgrounds > 1L) "Mean effect \u00b1 standard error" else "Effect"
    ) +
    logo_theme()
  if (along) plot + ggplot2::scale_x_continuous(breaks = whole_breaks) else plot
}

# An axis that reaches to a zero far away hides how the effect changes with the spacing.
near_zero <- function(points) {
  error <- ifelse(is.na(points$std_error), 0, points$std_error)
  low <- min(points$effect - error, na.rm = TRUE)
  high <- max(points$effect + error, na.rm = TRUE)
  low == high || low <= 0 && high >= 0 || min(abs(c(low, high))) <= high - low
}
