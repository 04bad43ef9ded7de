# Logos of attributions. One polygon layer holds all letters (R/plot_letters.R draws them);
# annotations lie below the lowest letter (R/plot_logo_annotations.R).

# Letters lower than this part of the drawn range are left out: less than a pixel in a
# figure of 1000 pixels, and most of a long sequence.
logo_min_height <- 1e-3

# Points a curve, by the number of positions: what is narrower than a few pixels needs
# no smooth curve.
logo_detail <- function(n_positions) {
  if (n_positions <= 200L) 8L else if (n_positions <= 600L) 4L else 2L
}

# Width of a letter in positions: a small gap between letters, none where it would be
# below a pixel.
logo_letter_width <- function(n_positions) {
  if (n_positions <= 300L) 0.94 else 1
}

# Letters have a fine outline of their own colour, in mm: it smooths their edges on devices
# that do not (R's cairo png draws fills without anti-aliasing), and keeps a letter visible
# that is narrower than a pixel.
logo_outline_width <- 0.12

# Whiskers, in mm: a letter is wider than its whisker.
whisker_width <- function(n_positions) {
  if (n_positions <= 100L) 0.4 else if (n_positions <= logo_max_letters) 0.2 else 0.1
}

# Wider windows are drawn as bars: in a figure of 600 pixels their letters would have less than
# two, and be paler the narrower they are. A bar keeps two pixels there, however many positions
# share them.
logo_max_letters <- 300L

# Panels beyond this are a mistake more often than a wish.
logo_max_panels <- 30L
# More panels than this have their names at the side and need a higher figure than usual.
logo_roomy_panels <- 8L

#' Draw attributions as a sequence logo
#'
#' Draws each base as a letter as high as its attribution: what raises the output
#' stands on the axis, what lowers it hangs below it, upright too. Where several bases
#' of a position have a number (hypothetical attributions) they are stacked, the
#' largest outermost. Letters lower than a thousandth of the drawn range are left out.
#' Windows of more than 300 positions have no room for letters in a usual figure: each is a bar of
#' its colour there, wide enough to be seen, low ones in front of high ones.
#'
#' The colours are the field's convention (green A, blue C, orange G, red T, as in
#' WebLogo and logomaker). The green and the red differ in lightness too, and the
#' letters themselves say what the colours say; `colours` takes others.
#'
#' @param attributions A matrix `[4, L]` (rows A, C, G, T), an array `[n, 4, L]`, or a
#'   result of [deep_lift_shap()]. Any unit; usually that of the model's output. Or a named list of
#'   results of the same sequences, of several models or methods: one of their sequences is drawn, a
#'   panel each.
#' @param start,end First and last position to draw, 1-based and inclusive, in bp of the whole
#'   sequence. Default: all that there is.
#' @param annotations What to mark below the letters: a data frame with columns `start`
#'   and `end` (1-based, inclusive) and, if wanted, `name`, `score` and `sequence`
#'   (name or number of the sequence it belongs to; `example` is understood too, so the
#'   result of `recursive_seqlets()` can be given as it is); or a `GRanges`, whose
#'   `seqnames` are the names of the sequences. Without `sequence`, they are drawn under
#'   every sequence. Those outside the window are not drawn; where they would need more
#'   than eight tracks, only their bars are. Default: none.
#' @param sequence Which sequences to draw, one panel each: numbers (1-based) or names.
#'   Default: all, up to 30; of a list of results one, by default the first.
#' @param ... Not used; must be empty.
#' @param colours Colours of the letters: a vector named by base (those not named keep
#'   theirs), or one colour for all.
#' @param free_y `FALSE` (default): all panels have one scale, so that they can be
#'   compared. `TRUE`: each has its own.
#' @param limits Lowest and highest number that the axis must reach, in the unit of the
#'   attributions, so that several plots have one scale; letters beyond them are drawn too.
#'   Default `NULL`: as far as the letters go.
#' @param standard_errors `TRUE` draws whiskers of one standard error to either side of the height
#'   of each letter, for a result that has [standard_errors()]; `FALSE` does not. Default `NULL`:
#'   where the result has them and they are of the letters that are there (hypothetical attributions
#'   are stacks of letters, which have none).
#' @param title Title of the plot. Default: none.
#' @param info `TRUE` writes above each logo what is known of its sequence: the mean change of the
#'   output from the references to the sequence (prediction less the references' mean), the sum of
#'   the attributions of the whole sequence, and the largest absolute convergence delta. Predictions
#'   of the sequences instead, a number each in their order such as `predict(model, X)`, are written
#'   too, and with them the mean of the references' predictions. Default `FALSE`.
#' @param difference Of a list of results: `TRUE` draws below them what each of the others has more
#'   (or less) than the first, base by base. Default `FALSE`.
#' @param coordinates What the axis counts: `"sequence"` (default), the positions of the sequence,
#'   or `"genome"`, those of the chromosome, for a result that knows its ranges
#'   ([attribution_ranges()]) and one sequence. `start`, `end` and `annotations` are positions of
#'   the sequence in any case.
#' @return A ggplot; add themes, titles and scales as to any other. `plotly::ggplotly()` makes an
#'   interactive chart of it, as of the other plots of this package; [view_attributions()] is made
#'   for that, and for long sequences.
#' @section Errors: `seqlift_error_argument` for an argument of the wrong kind or shape,
#'   a window outside the sequence, a sequence that does not exist, or numbers that are
#'   not finite; `seqlift_error_annotations` for annotations without `start` and `end`,
#'   outside the sequence, or of a sequence that does not exist;
#'   `seqlift_error_no_standard_errors` for `standard_errors = TRUE` without any.
#' @references Schneider and Stephens (1990), Sequence logos: a new way to display
#'   consensus sequences. Tareen and Kinney (2020), Logomaker. The letters are our own.
#' @examples
#' # A GATA site whose letters raise the output, and two that lower it.
#' attributions <- matrix(0, 4, 12, dimnames = list(c("A", "C", "G", "T"), NULL))
#' observed <- cbind(c(3, 1, 4, 1, 3, 1, 1, 3, 2, 4, 2, 3), 1:12)
#' attributions[observed] <- c(.1, .7, .9, 1.6, 1.9, 1.7, 1.4, .8, -.3, .1, -.2, .05)
#' site <- data.frame(start = 2, end = 8, name = "GATA")
#' plot_logo(attributions, annotations = site)
#' @importFrom rlang %||% .data
#' @concept plot_attributions
#' @export
plot_logo <- function(attributions, start = NULL, end = NULL, annotations = NULL,
                      sequence = NULL, ..., colours = NULL, free_y = FALSE, limits = NULL,
                      title = NULL, coordinates = c("sequence", "genome"),
                      standard_errors = NULL, info = FALSE, difference = FALSE) {
  check_no_dots(...)
  check_flag(difference, "difference")
  if (is.list(attributions) && !is.data.frame(attributions)) {
    stacked <- stack_models(
      attributions, sequence, annotations, difference, info, rlang::current_env()
    )
    return(plot_logo(stacked$attributions, start, end, stacked$annotations,
      colours = colours, free_y = free_y, limits = limits, title = title,
      coordinates = coordinates, standard_errors = standard_errors, info = stacked$info
    ))
  }
  if (difference) {
    abort_argument("difference", "FALSE for one result", "TRUE",
      hint = "It is that between results of several models: give a named list."
    )
  }
  values <- check_logo_values(attributions)
  coordinates <- check_choice(coordinates, c("sequence", "genome"), "coordinates")
  first <- first_position(attributions, axis = length(dim(attributions)))
  last <- first + dim(values)[3L] - 1L
  start <- check_count(start, "start", first, last, null = TRUE) %||% first
  end <- check_count(end, "end", start, last, null = TRUE) %||% last
  colours <- check_logo_colours(colours)
  check_flag(free_y, "free_y")
  limits <- check_logo_limits(limits)
  check_string(title, "title", null = TRUE)
  errors <- check_drawn_errors(standard_errors, attributions)
  rows <- check_logo_sequence(sequence, values)
  labels <- panel_labels(values, rows)
  info <- logo_info(info, attributions, rows)
  axis <- position_scale(coordinates, attributions, rows)
  marks <- check_annotations(annotations, values, annotated_length(attributions, first, last)) |>
    place_annotations(rows, labels, start, end)

  shown <- seq(start, end) - first + 1L
  letters <- logo_letters(values[rows, , shown, drop = FALSE], labels, start)
  whiskers <- if (!is.null(errors)) {
    logo_whiskers(values, errors, rows, shown, labels, start)
  }
  ranges <- logo_ranges(letters, labels, free_y, limits, whiskers)
  letters <- letters[abs(letters$height) >= logo_min_height * ranges$height[letters$panel], ]
  outlines <- draw_letters(letters, end - start + 1L)
  suggest_height(length(rows))
  logo_ggplot(outlines, marks, ranges, colours, start, end, free_y, axis, whiskers, info) +
    ggplot2::labs(title = title, y = logo_y_label(attributions))
}

# Annotations may lie on any part of the sequence, whose end is not always known.
annotated_length <- function(attributions, first, last) {
  whole <- sequence_length_of(attributions)
  if (!is.na(whole)) whole else if (first > 1L) Inf else last
}

# ---- labels --------------------------------------------------------------------------

panel_labels <- function(values, rows) {
  names <- dimnames(values)[[1L]]
  labels <- if (is.null(names)) paste("sequence", rows) else names[rows]
  make.unique(labels, sep = " ")
}

logo_y_label <- function(attributions) {
  hypothetical <- inherits(attributions, "seqlift_attributions") &&
    attr(attributions, "kind", exact = TRUE) == "hypothetical"
  if (hypothetical) "Hypothetical attribution" else "Attribution"
}

# ---- letters -------------------------------------------------------------------------

# One row a letter that is not zero: base, x (its position), y (its lower edge), height
# (positive), panel. In a position the positive ones are stacked up from the axis and the
# negative ones down from it, small ones first.
logo_letters <- function(values, labels, start) {
  shown <- which(values != 0)
  place <- arrayInd(shown, dim(values))
  letters <- data.frame(
    base = attribution_bases[place[, 2L]],
    x = place[, 3L] + start - 1L,
    value = values[shown],
    panel = factor(labels[place[, 1L]], levels = labels)
  )
  letters <- letters[order(letters$panel, letters$x, letters$value < 0, abs(letters$value)), ]
  stack <- paste(letters$panel, letters$x, letters$value < 0)
  top <- if (anyDuplicated(stack) > 0L) {
    stats::ave(letters$value, stack, FUN = cumsum)
  } else {
    letters$value
  }
  letters$y <- ifelse(letters$value > 0, top - letters$value, top)
  letters$height <- abs(letters$value)
  letters
}

# Whiskers of the letters in the window: x, low, high, panel. Where a position has no letter (an N)
# or its error is not known there is none.
logo_whiskers <- function(values, errors, rows, shown, labels, start) {
  heights <- sum_over_bases(values[rows, , shown, drop = FALSE])
  errors <- errors[rows, shown, drop = FALSE]
  whiskers <- data.frame(
    x = as.vector(col(heights)) + start - 1L, low = as.vector(heights - errors),
    high = as.vector(heights + errors), panel = factor(labels[row(heights)], levels = labels)
  )
  whiskers[is.finite(whiskers$low) & whiskers$high > whiskers$low, ]
}

# Lowest and highest point of the letters (and whiskers) of each panel, around the axis at zero, and
# the height between them; the same for all panels unless each has its own scale. They reach
# to the `limits` at least.
logo_ranges <- function(letters, labels, free_y, limits = c(0, 0), whiskers = NULL) {
  drawn <- data.frame(
    panel = letters$panel, low = letters$y, high = letters$y + letters$height
  )
  drawn <- rbind(drawn, whiskers[c("panel", "low", "high")])
  panel <- if (free_y) drawn$panel else rep(labels[1L], nrow(drawn))
  panel <- factor(panel, levels = if (free_y) labels else labels[1L])
  low <- vapply(split(drawn$low, panel), function(y) min(y, 0, limits[1L]), 0)
  high <- vapply(split(drawn$high, panel), function(y) max(y, 0, limits[2L]), 0)
  flat <- high - low == 0
  high[flat] <- 1
  ranges <- data.frame(
    panel = factor(labels, levels = labels), low = unname(low), high = unname(high)
  )
  ranges$height <- ranges$high - ranges$low
  ranges
}

# Letters where there is room for them, else bars.
draw_letters <- function(letters, n_positions) {
  if (n_positions <= logo_max_letters) {
    return(trace_letters(letters, logo_letter_width(n_positions), logo_detail(n_positions)))
  }
  letters <- letters[order(letters$panel, -letters$height), ]
  trace_bars(letters, n_positions / logo_max_letters)
}

# A figure of the usual height has no room for many panels, which a plot cannot know.
suggest_height <- function(n_panels) {
  if (n_panels > logo_roomy_panels) {
    height <- ceiling(2 + 0.6 * n_panels)
    inform_seqlift("figure", c(
      i = "{n_panels} panels need a figure of about {height} inches:
           {.code ggsave(path, height = {height})}, or {.code fig.height = {height}} in a report."
    ))
  }
}

# ---- the plot ------------------------------------------------------------------------

logo_ggplot <- function(outlines, marks, ranges, colours, start, end, free_y, axis,
                        whiskers = NULL, info = NULL) {
  aes <- ggplot2::aes
  plot <- ggplot2::ggplot() +
    ggplot2::geom_blank(aes(y = .data$low), ranges) +
    ggplot2::geom_blank(aes(y = .data$high), ranges) +
    ggplot2::geom_hline(yintercept = 0, linewidth = 0.25, colour = "grey60") +
    polygon_layer(outlines, colours) +
    axis +
    ggplot2::scale_y_continuous(
      breaks = function(limits) letter_breaks(limits, ranges),
      expand = ggplot2::expansion(mult = 0.03)
    ) +
    ggplot2::coord_cartesian(xlim = c(start - 0.5, end + 0.5)) +
    logo_theme()
  if (!is.null(whiskers)) {
    plot <- plot + ggplot2::geom_linerange(
      aes(.data$x, ymin = .data$low, ymax = .data$high), whiskers,
      linewidth = whisker_width(end - start + 1L), colour = "grey15"
    )
  }
  if (!is.null(marks) && nrow(marks) > 0L) {
    plot <- plot + annotation_layers(marks, ranges)
  }
  if (nrow(ranges) > 1L) {
    plot <- plot + logo_panels(nrow(ranges), if (free_y) "free_y" else "fixed", info)
  } else if (!is.null(info)) {
    plot <- plot + ggplot2::labs(subtitle = info) +
      ggplot2::theme(plot.subtitle = ggplot2::element_text(size = 8, colour = "grey30"))
  }
  plot
}

# One panel below the other. Names stand above their panel; of many panels beside it, where they
# take no height.
logo_panels <- function(n, scales, info = NULL) {
  label <- ggplot2::as_labeller(function(names) {
    short <- shorten(names, if (n > logo_roomy_panels) 24L else 80L)
    if (is.null(info)) short else paste0(short, "\n", info[seq_along(names)])
  })
  if (n <= logo_roomy_panels) {
    return(list(
      ggplot2::facet_wrap("panel", ncol = 1L, scales = scales, labeller = label),
      ggplot2::theme(strip.clip = "off")
    ))
  }
  list(
    ggplot2::facet_wrap("panel",
      ncol = 1L, scales = scales, labeller = label, strip.position = "left"
    ),
    ggplot2::theme(
      strip.placement = "outside",
      strip.clip = "off",
      strip.text.y.left = ggplot2::element_text(
        angle = 0, hjust = 1, size = 6.5, face = "plain"
      ),
      axis.text.y = ggplot2::element_text(size = 5),
      panel.spacing = ggplot2::unit(2, "pt")
    )
  )
}

# The axis of positions. Sequences have one each; in the genome, one sequence has one.
position_scale <- function(coordinates, attributions, rows, call = caller_env()) {
  if (coordinates == "sequence") {
    return(ggplot2::scale_x_continuous("Position (bp)", breaks = whole_breaks, expand = c(0, 0)))
  }
  ranges <- attr(attributions, "ranges", exact = TRUE)
  if (is.null(ranges)) {
    abort_argument("coordinates", "\"sequence\" for numbers that do not know their ranges",
      "\"genome\"",
      hint = "Set them with {.code attribution_ranges(x) <- ranges}.", call = call
    )
  }
  places <- whole_places(ranges, first_position(attributions), NA)[rows, ]
  place <- unique(places[c("seqnames", "start", "strand")])
  if (length(rows) > 1L && nrow(place) > 1L) {
    abort_argument("sequence", "one sequence where the axis is that of the genome",
      paste(length(rows), "of several places"),
      call = call
    )
  }
  minus <- places$strand[1L] == "-"
  # Its own inverse: a position of the sequence as one of the chromosome, and back.
  turn <- if (minus) {
    function(position) places$end[1L] - position + 1
  } else {
    function(position) places$start[1L] + position - 1
  }
  back <- if (minus) turn else function(pos) pos - places$start[1L] + 1
  ggplot2::scale_x_continuous(
    paste0(places$seqnames[1L], " (bp", if (minus) ", minus strand", ")"),
    breaks = function(limits) sort(back(whole_breaks(sort(turn(limits))))),
    labels = function(breaks) format(turn(breaks), big.mark = ",", trim = TRUE, scientific = FALSE),
    expand = c(0, 0)
  )
}

whole_breaks <- function(limits) {
  breaks <- pretty(limits, 7L)
  breaks[breaks == trunc(breaks) & breaks >= limits[1L] & breaks <= limits[2L]]
}

# The axis of the letters does not go on beside the annotations.
letter_breaks <- function(limits, ranges) {
  breaks <- pretty(c(max(limits[1L], min(ranges$low)), limits[2L]), 4L)
  breaks <- breaks[breaks >= min(ranges$low)]
  if (nrow(ranges) <= logo_roomy_panels) {
    return(breaks)
  }
  # Low panels have room for two numbers: zero and the one that is farthest from it.
  inside <- breaks[breaks <= limits[2L]]
  unique(c(0, inside[which.max(abs(inside))]))
}

logo_theme <- function() {
  ggplot2::theme_minimal(base_size = 10) +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(),
      axis.line = ggplot2::element_line(linewidth = 0.3, colour = "grey40"),
      axis.ticks = ggplot2::element_line(linewidth = 0.3, colour = "grey40"),
      strip.text = ggplot2::element_text(hjust = 0, face = "bold"),
      plot.background = ggplot2::element_rect(fill = "white", colour = NA),
      plot.title.position = "plot",
      plot.margin = ggplot2::margin(5.5, 9, 5.5, 5.5)
    )
}
