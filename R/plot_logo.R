# Logos of attributions. One polygon layer holds all letters (R/letters.R draws them);
# annotations lie below the lowest letter (R/logo_annotations.R).

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

# Panels beyond this are a mistake more often than a wish.
logo_max_panels <- 30L

#' Draw attributions as a sequence logo
#'
#' Draws each base as a letter as high as its attribution: what raises the output
#' stands on the axis, what lowers it hangs below it, upright too. Where several bases
#' of a position have a number (hypothetical attributions) they are stacked, the
#' largest outermost. Letters lower than a thousandth of the drawn range are left out.
#'
#' The colours are the field's convention (green A, blue C, orange G, red T, as in
#' WebLogo and logomaker). The green and the red differ in lightness too, and the
#' letters themselves say what the colours say; `colours` takes others.
#'
#' @param attributions A matrix `[4, L]` (rows A, C, G, T), an array `[n, 4, L]`, or a
#'   result of [deep_lift_shap()]. Any unit; usually that of the model's output.
#' @param start,end First and last position to draw, 1-based and inclusive, in bp.
#'   Default: the whole sequence.
#' @param annotations What to mark below the letters: a data frame with columns `start`
#'   and `end` (1-based, inclusive) and, if wanted, `name`, `score` and `sequence`
#'   (name or number of the sequence it belongs to; `example` is understood too, so the
#'   result of `recursive_seqlets()` can be given as it is); or a `GRanges`, whose
#'   `seqnames` are the names of the sequences. Without `sequence`, they are drawn under
#'   every sequence. Those outside the window are not drawn; where they would need more
#'   than eight tracks, only their bars are. Default: none.
#' @param sequence Which sequences to draw, one panel each: numbers (1-based) or names.
#'   Default: all, up to 30.
#' @param ... Not used; must be empty.
#' @param colours Colours of the letters: a vector named by base (those not named keep
#'   theirs), or one colour for all.
#' @param free_y `FALSE` (default): all panels have one scale, so that they can be
#'   compared. `TRUE`: each has its own.
#' @param limits Lowest and highest number that the axis must reach, in the unit of the
#'   attributions, so that several plots have one scale; letters beyond them are drawn too.
#'   Default `NULL`: as far as the letters go.
#' @param title Title of the plot. Default: none.
#' @return A ggplot; add themes, titles and scales as to any other.
#' @section Errors: `seqlift_error_argument` for an argument of the wrong kind or shape,
#'   a window outside the sequence, a sequence that does not exist, or numbers that are
#'   not finite; `seqlift_error_annotations` for annotations without `start` and `end`,
#'   outside the sequence, or of a sequence that does not exist.
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
#' @export
plot_logo <- function(attributions, start = NULL, end = NULL, annotations = NULL,
                      sequence = NULL, ..., colours = NULL, free_y = FALSE, limits = NULL,
                      title = NULL) {
  check_no_dots(...)
  values <- check_logo_values(attributions)
  length <- dim(values)[3L]
  start <- check_count(start, "start", 1, length, null = TRUE) %||% 1L
  end <- check_count(end, "end", start, length, null = TRUE) %||% length
  colours <- check_logo_colours(colours)
  check_flag(free_y, "free_y")
  limits <- check_logo_limits(limits)
  check_string(title, "title", null = TRUE)
  rows <- check_logo_sequence(sequence, values)
  labels <- panel_labels(values, rows)
  marks <- check_annotations(annotations, values) |>
    place_annotations(rows, labels, start, end)

  letters <- logo_letters(values[rows, , start:end, drop = FALSE], labels, start)
  ranges <- logo_ranges(letters, labels, free_y, limits)
  letters <- letters[abs(letters$height) >= logo_min_height * ranges$height[letters$panel], ]
  n_positions <- end - start + 1L
  outlines <- trace_letters(letters, logo_letter_width(n_positions), logo_detail(n_positions))
  logo_ggplot(outlines, marks, ranges, colours, start, end, free_y) +
    ggplot2::labs(title = title, x = "Position (bp)", y = logo_y_label(attributions))
}

# ---- arguments -----------------------------------------------------------------------

check_no_dots <- function(..., .fn = "plot_logo", .after = "sequence", call = caller_env()) {
  if (...length() > 0L) {
    names <- ...names() %||% ""
    names <- ifelse(is.na(names) | names == "", "one without a name", names)
    abort_seqlift("argument", c(
      "{.fn {(.fn)}} got {length(names)} argument{?s} it does not know: {.val {names}}.",
      i = "Arguments after {.arg {(.after)}} must be named in full."
    ), call = call)
  }
}

# All kinds of input as numbers [n, 4, L].
check_logo_values <- function(attributions, call = caller_env()) {
  if (inherits(attributions, "seqlift_attributions")) {
    check_not_multipliers(attributions, "attributions", call = call)
    if (has_targets(attributions)) {
      abort_argument("attributions", "the attributions of one target",
        paste("of", dim(attributions)[4L], "targets"),
        hint = "Choose one, for example {.code attributions[, , , 1]}.", call = call
      )
    }
  }
  shape <- dim(attributions)
  rank <- length(shape)
  right_shape <- is.numeric(attributions) && rank %in% 2:3 &&
    shape[max(rank - 1L, 1L)] == 4L && all(shape > 0L)
  if (!right_shape) {
    abort_argument("attributions",
      "a numeric matrix [4, L], an array [n, 4, L] or a result of deep_lift_shap()",
      describe(attributions),
      call = call
    )
  }
  values <- plain_numbers(attributions)
  if (rank == 2L) {
    values <- array(values, c(1L, shape))
  }
  if (!all(is.finite(values))) {
    place <- arrayInd(which(!is.finite(values))[1L], dim(values))
    abort_argument("attributions", "finite numbers only",
      paste0(
        values[place], " (sequence ", place[1L], ", ", attribution_bases[place[2L]],
        " at position ", place[3L], ")"
      ),
      call = call
    )
  }
  values
}

check_logo_colours <- function(colours, call = caller_env()) {
  if (is.null(colours)) {
    return(logo_colours)
  }
  expected <- "one colour, or colours named by A, C, G and T"
  if (!is.character(colours) || length(colours) == 0L) {
    abort_argument("colours", expected, describe(colours), call = call)
  }
  if (is.null(names(colours)) && length(colours) == 1L) {
    colours <- stats::setNames(rep(colours, 4L), attribution_bases)
  }
  named <- names(colours)
  if (is.null(named) || !all(named %in% attribution_bases)) {
    got <- if (is.null(named)) paste(length(colours), "without names") else toString(named)
    abort_argument("colours", expected, got, call = call)
  }
  known <- vapply(colours, is_colour, logical(1L))
  if (!all(known)) {
    abort_argument("colours", "colours that R knows", toString(colours[!known]), call = call)
  }
  result <- logo_colours
  result[named] <- colours
  result
}

# Zero is always on the axis.
check_logo_limits <- function(limits, call = caller_env()) {
  if (is.null(limits)) {
    return(c(0, 0))
  }
  if (!is.numeric(limits) || length(limits) != 2L || !all(is.finite(limits)) ||
    limits[1L] > limits[2L]) {
    abort_argument("limits", "two numbers, the lower first", describe(limits), call = call)
  }
  limits
}

is_colour <- function(colour) {
  tryCatch(is.matrix(grDevices::col2rgb(colour)), error = function(condition) FALSE)
}

check_logo_sequence <- function(sequence, values, call = caller_env()) {
  n <- dim(values)[1L]
  names <- dimnames(values)[[1L]]
  if (is.null(sequence)) {
    rows <- seq_len(n)
  } else {
    rows <- if (is.character(sequence)) match(sequence, names) else match(sequence, seq_len(n))
    if (length(rows) == 0L || anyNA(rows)) {
      abort_argument("sequence", paste("numbers from 1 to", n, "or names of sequences"),
        toString(utils::head(sequence[is.na(rows)], 3L)),
        call = call
      )
    }
  }
  if (length(rows) > logo_max_panels) {
    abort_argument("sequence", paste("at most", logo_max_panels, "sequences for one plot"),
      length(rows),
      hint = "Choose some, for example {.code sequence = 1:8}.", call = call
    )
  }
  rows
}

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

# Lowest and highest point of the letters of each panel, around the axis at zero, and
# the height between them; the same for all panels unless each has its own scale. They reach
# to the `limits` at least.
logo_ranges <- function(letters, labels, free_y, limits = c(0, 0)) {
  panel <- if (free_y) letters$panel else rep(labels[1L], nrow(letters))
  panel <- factor(panel, levels = if (free_y) labels else labels[1L])
  low <- vapply(split(letters$y, panel), function(y) min(y, 0, limits[1L]), 0)
  high <- vapply(split(letters$y + letters$height, panel), function(y) max(y, 0, limits[2L]), 0)
  flat <- high - low == 0
  high[flat] <- 1
  ranges <- data.frame(
    panel = factor(labels, levels = labels), low = unname(low), high = unname(high)
  )
  ranges$height <- ranges$high - ranges$low
  ranges
}

# ---- the plot ------------------------------------------------------------------------

logo_ggplot <- function(outlines, marks, ranges, colours, start, end, free_y) {
  aes <- ggplot2::aes
  plot <- ggplot2::ggplot() +
    ggplot2::geom_blank(aes(y = .data$low), ranges) +
    ggplot2::geom_blank(aes(y = .data$high), ranges) +
    ggplot2::geom_hline(yintercept = 0, linewidth = 0.25, colour = "grey60") +
    ggplot2::geom_polygon(
      aes(.data$x, .data$y,
        fill = .data$base, colour = .data$base, group = .data$letter, subgroup = .data$ring
      ),
      outlines,
      linewidth = logo_outline_width,
      show.legend = FALSE
    ) +
    # Limits of its own: with no letter to draw there is nothing the names could be found in.
    ggplot2::scale_fill_manual(
      values = colours, limits = names(colours), aesthetics = c("fill", "colour")
    ) +
    ggplot2::scale_x_continuous(breaks = whole_breaks, expand = c(0, 0)) +
    ggplot2::scale_y_continuous(
      breaks = function(limits) letter_breaks(limits, ranges),
      expand = ggplot2::expansion(mult = 0.03)
    ) +
    ggplot2::coord_cartesian(xlim = c(start - 0.5, end + 0.5)) +
    logo_theme()
  if (!is.null(marks) && nrow(marks) > 0L) {
    plot <- plot + annotation_layers(marks, ranges)
  }
  if (nrow(ranges) > 1L) {
    scales <- if (free_y) "free_y" else "fixed"
    plot <- plot + ggplot2::facet_wrap("panel", ncol = 1L, scales = scales)
  }
  plot
}

whole_breaks <- function(limits) {
  breaks <- pretty(limits, 7L)
  breaks[breaks == trunc(breaks) & breaks >= limits[1L] & breaks <= limits[2L]]
}

# The axis of the letters does not go on beside the annotations.
letter_breaks <- function(limits, ranges) {
  breaks <- pretty(c(max(limits[1L], min(ranges$low)), limits[2L]), 4L)
  breaks[breaks >= min(ranges$low)]
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
