# Heatmaps of scores. Of one sequence: four rows of bases below the logo of the bases that are
# there. Of several: a row for each, without the bases.

# From ColorBrewer's RdBu, which colour-blind readers can tell apart: blue below zero, red above.
diverging_colours <- c(
  "#2166AC", "#67A9CF", "#D1E5F0", "#F7F7F7", "#FDDBC7", "#EF8A62", "#B2182B"
)

# Height of the four rows, and of the gap above them, as parts of the height of the letters.
heatmap_rows_height <- 0.95
heatmap_gap_height <- 0.08

# Longer names would leave the colours no room.
heatmap_name_width <- 28L

# Bases of wider windows are not marked: so many marks would hide the colours.
heatmap_max_marked <- 250L

#' Draw scores as a heatmap
#'
#' Draws one sequence as four rows of bases by positions, under the logo of the bases that are
#' there, as is usual for saturation mutagenesis; what the sequence has is marked by a dark spot (in
#' windows of up to 250 bp). Several sequences are drawn as a row each, with the scores of what is
#' there.
#'
#' Scores of all four bases are those of [saturation_mutagenesis()] or [deep_lift_shap()] with
#' `hypothetical = TRUE`, and of [taylor_ism()]. Where only the bases that are there have scores,
#' the other cells are empty. The letters of effects of substitutions, which are zero for these
#' bases, are as high as [mean_effects()].
#'
#' @param attributions A result of [saturation_mutagenesis()], [deep_lift_shap()], [attribute()] or
#'   [taylor_ism()], `[n, 4, L]`, or such an array or matrix `[4, L]` of numbers.
#' @param start,end First and last position to draw, counted as on the axis (see `first`),
#'   inclusive, in bp. Default: all.
#' @param sequence Which sequences to draw: numbers (1-based) or names. Default: all.
#' @param ... Not used; must be empty.
#' @param X The sequences, for numbers that do not carry them: a character vector, `DNAStringSet` or
#'   one-hot array. Default `NULL`: those of the result. Needed for one sequence only.
#' @param first Position in the sequence of the first column of `attributions`, for scores of a
#'   window. Default `NULL`: what a result of [saturation_mutagenesis()] and numbers that were taken
#'   of one know, otherwise 1.
#' @param limit Number at which the colours end, on both sides of zero; what is beyond it has the
#'   last colour. Default `NULL`: the largest number that is drawn.
#' @param title Title of the plot. Default: none.
#' @param coordinates `"sequence"` (default) or `"genome"`, as for [plot_logo()].
#' @return A ggplot; add themes, titles and scales as to any other. Colours and letters have the
#'   unit of the scores, usually that of the model's output.
#' @section Errors: `seqlift_error_argument` for an argument of the wrong kind or shape, a window
#'   outside the sequence, a sequence that does not exist, numbers that are not finite, or one
#'   sequence of plain numbers without `X`; `seqlift_error_sequence` for an `X` that cannot be read.
#' @seealso [plot_logo()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()
#' effects <- taylor_ism(model, X)
#' plot_heatmap(effects, 235, 275, sequence = "fly_planted_AGATAAG")
#' plot_heatmap(effects, 200, 300)
plot_heatmap <- function(attributions, start = NULL, end = NULL, sequence = NULL, ..., X = NULL,
                         first = NULL, limit = NULL, title = NULL,
                         coordinates = c("sequence", "genome")) {
  check_no_dots(..., .fn = "plot_heatmap")
  values <- check_logo_values(attributions)
  coordinates <- check_choice(coordinates, c("sequence", "genome"), "coordinates")
  first <- check_count(first, "first", null = TRUE) %||%
    first_position(attributions, axis = length(dim(attributions)))
  last <- first + dim(values)[3L] - 1L
  start <- check_count(start, "start", first, last, null = TRUE) %||% first
  end <- check_count(end, "end", start, last, null = TRUE) %||% last
  if (!is.null(limit)) {
    check_number(limit, "limit", min = .Machine$double.xmin)
  }
  check_string(title, "title", null = TRUE)
  rows <- check_heatmap_sequence(sequence, values)
  axis <- position_scale(coordinates, attributions, rows)
  bases <- heatmap_bases(attributions, X, values)
  if (length(rows) == 1L && is.null(bases)) {
    abort_argument("X", "the sequences of `attributions`, which are plain numbers", "NULL")
  }
  shown <- seq(start, end) - first + 1L
  scores <- observed_scores(attributions, values, bases)[rows, shown, drop = FALSE]
  plot <- if (length(rows) == 1L) {
    base_heatmap(matrix(values[rows, , shown], nrow = n_bases), scores[1L, ], bases[shown, rows],
      start, end, limit, axis
    )
  } else {
    sequence_heatmap(scores, panel_labels(values, rows), start, end, limit, axis)
  }
  effects <- inherits(attributions, "seqlift_attributions") &&
    attr(attributions, "kind", exact = TRUE) == "effects"
  legend <- if (effects && length(rows) == 1L) "Effect" else "Score"
  plot + ggplot2::labs(title = title, fill = legend)
}

# Rows can be many; panels of a logo cannot.
check_heatmap_sequence <- function(sequence, values, call = caller_env()) {
  if (is.null(sequence)) {
    return(seq_len(dim(values)[1L]))
  }
  if (length(sequence) <= logo_max_panels) {
    return(check_logo_sequence(sequence, values, call))
  }
  vapply(sequence, check_logo_sequence, integer(1L), values, call, USE.NAMES = FALSE)
}

# The letters of the sequences, [L, n], or NULL.
heatmap_bases <- function(attributions, X, values, call = caller_env()) {
  if (is.null(X)) {
    return(if (inherits(attributions, "seqlift_attributions")) observed_bases(attributions))
  }
  sequences <- as_sequences(X, extra_channels = TRUE)
  if (sequences$n != dim(values)[1L] || sequences$length != dim(values)[3L]) {
    abort_argument("X", paste(dim(values)[1L], "sequences of length", dim(values)[3L]),
      paste(sequences$n, "of length", sequences$length),
      call = call
    )
  }
  codes <- sequence_codes(sequences, call = call)
  matrix(c(attribution_bases, "N")[as.integer(codes) + 1L], nrow = nrow(codes))
}

# One number a position, [n, L].
observed_scores <- function(attributions, values, bases) {
  if (inherits(attributions, "seqlift_attributions")) {
    scores <- observed_values(attributions)
    return(array(scores, dim(scores)[1:2]))
  }
  total <- array(0, dim(values)[c(1L, 3L)])
  for (i in seq_len(n_bases)) {
    part <- array(values[, i, ], dim(total))
    total <- total + if (is.null(bases)) part else part * (t(bases) == attribution_bases[i])
  }
  total
}

# ---- one sequence --------------------------------------------------------------------

# Letters above the axis of zero and below it, then the four rows: all in one panel, so that
# positions are aligned. `values` [4, l], `scores` and `bases` of l positions.
base_heatmap <- function(values, scores, bases, start, end, limit, axis) {
  aes <- ggplot2::aes
  positions <- seq(start, end)
  drawn <- array(0, c(1L, n_bases, length(positions)))
  known <- match(bases, attribution_bases)
  place <- cbind(1L, known, seq_along(positions))[!is.na(known), , drop = FALSE]
  drawn[place] <- scores[!is.na(known)]
  letters <- logo_letters(drawn, "all", start)
  range <- logo_ranges(letters, "all", FALSE)
  letters <- letters[letters$height >= logo_min_height * range$height, ]
  n_positions <- length(positions)
  outlines <- draw_letters(letters, n_positions)

  row_height <- heatmap_rows_height / n_bases * range$height
  centres <- range$low - heatmap_gap_height * range$height - (seq_len(n_bases) - 0.5) * row_height
  cells <- data.frame(
    x = positions[col(values)], y = centres[row(values)], value = as.vector(values)
  )
  marks <- data.frame(x = positions, y = centres[known])[!is.na(known), ]
  breaks <- pretty(c(range$low, range$high), 3L)
  breaks <- breaks[breaks >= range$low & breaks <= range$high]
  bottom <- centres[n_bases] - row_height / 2
  middle_of_letters <- ((range$low + range$high) / 2 - bottom) / (range$high - bottom)
  plot <- ggplot2::ggplot() +
    ggplot2::geom_tile(aes(.data$x, .data$y, fill = .data$value), cells,
      width = 1, height = row_height
    ) +
    diverging_fill(values, limit = limit) +
    ggplot2::annotate("segment",
      x = start - 0.5, xend = end + 0.5, y = 0, yend = 0, linewidth = 0.25, colour = "grey60"
    ) +
    ggplot2::annotate("segment",
      x = start - 0.5, xend = start - 0.5, y = range$low, yend = range$high,
      linewidth = 0.6, colour = "grey40"
    )
  if (n_positions <= heatmap_max_marked) {
    plot <- plot + ggplot2::geom_tile(aes(.data$x, .data$y), marks,
      width = 0.32, height = 0.2 * row_height, fill = "grey10"
    )
  }
  plot +
    ggplot2::geom_polygon(
      aes(.data$x, .data$y, colour = .data$base, group = .data$letter),
      outlines,
      fill = logo_colours[outlines$base], linewidth = logo_outline_width, show.legend = FALSE
    ) +
    ggplot2::scale_colour_manual(values = logo_colours, limits = names(logo_colours)) +
    axis +
    ggplot2::scale_y_continuous(
      breaks = c(centres, breaks), labels = c(attribution_bases, format(breaks)),
      expand = ggplot2::expansion(mult = c(0.01, 0.03))
    ) +
    ggplot2::coord_cartesian(xlim = c(start - 0.5, end + 0.5)) +
    ggplot2::labs(y = "Score") +
    logo_theme() +
    ggplot2::theme(
      axis.line = ggplot2::element_blank(),
      axis.title.y = ggplot2::element_text(hjust = middle_of_letters)
    )
}

# ---- several sequences ---------------------------------------------------------------

# `scores` [n, l]; the first sequence is at the top.
sequence_heatmap <- function(scores, labels, start, end, limit, axis) {
  n <- nrow(scores)
  cells <- data.frame(
    x = seq(start, end)[col(scores)], y = as.vector(row(scores)), value = as.vector(scores)
  )
  named <- n <= heatmap_max_labels
  ggplot2::ggplot(cells, ggplot2::aes(.data$x, .data$y, fill = .data$value)) +
    ggplot2::geom_raster() +
    diverging_fill(scores, limit = limit) +
    axis +
    ggplot2::scale_y_reverse(
      breaks = if (named) seq_len(n) else reversed_breaks,
      labels = if (named) shorten(labels, heatmap_name_width) else ggplot2::waiver(),
      expand = c(0, 0)
    ) +
    ggplot2::labs(y = if (named) NULL else "Sequence") +
    logo_theme() +
    ggplot2::theme(axis.line = ggplot2::element_blank())
}

# whole_breaks() for an axis that runs downwards.
reversed_breaks <- function(limits) whole_breaks(range(limits))

# ---- colours -------------------------------------------------------------------------

# The same colours on both sides of zero, which is in the middle.
diverging_fill <- function(values, name = ggplot2::waiver(), limit = NULL) {
  largest <- limit %||% max(abs(values[is.finite(values)]), 0)
  if (largest == 0) {
    largest <- 1
  }
  ggplot2::scale_fill_gradientn(
    colours = diverging_colours, limits = c(-largest, largest), name = name, na.value = "grey80",
    oob = function(x, range) pmin(pmax(x, range[1L]), range[2L]),
    guide = ggplot2::guide_colourbar(barwidth = 0.6, barheight = 5, ticks.colour = "grey30")
  )
}
