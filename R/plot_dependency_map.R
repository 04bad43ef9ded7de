# Letters along the axes are left out of wider maps: they would be too small to read.
dependency_max_letters <- 60L

# One hue from white to near black: the map has no negative numbers.
sequential_colours <- c("#FFFFFF", "#D6E4F2", "#8FB8DC", "#3B7FBC", "#1B4B86", "#0A1F44")

#' Draw a dependency map
#'
#' Draws which positions of a sequence depend on each other: a square of positions by positions,
#' symmetric, the darker the more a substitution at one of them changes what one at the other does.
#' The letters stand along both axes where they fit (up to 60 positions). The diagonal is grey.
#'
#' @param map A result of [dependency_map()] (class `seqlift_dependency_map`), `[n, l, l]`.
#' @param sequence Which sequences to draw, one panel each: numbers (1-based) or names. Default: the
#'   first.
#' @param start,end First and last position to draw, 1-based and inclusive, in bp of the whole
#'   sequence. Default: the window of the map.
#' @param ... Not used; must be empty.
#' @param limit Number at which the colours end; what is beyond it has the last colour. Default
#'   `NULL`: the largest number that is drawn.
#' @param title Title of the plot. Default: none.
#' @return A ggplot; colours have the unit of the model's output.
#' @section Errors: `seqlift_error_argument` for anything but a dependency map, a sequence that does
#'   not exist or a window outside that of the map.
#' @references Tomaz da Silva et al. (2024), Nucleotide dependency analysis of DNA language models
#'   reveals genomic functional elements.
#' @seealso [dependency_map()]
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' map <- dependency_map(model, demo_sequences()["fly_planted_AGATAAG"], start = 247, end = 259)
#' plot_dependency_map(map)
plot_dependency_map <- function(map, sequence = 1L, start = NULL, end = NULL, ..., limit = NULL,
                                title = NULL) {
  check_no_dots(..., .fn = "plot_dependency_map", .after = "end")
  whole <- inherits(map, "seqlift_dependency_map") && is.numeric(map) && length(dim(map)) == 3L &&
    !is.null(attr(map, "X", exact = TRUE)) && !is.null(attr(map, "start", exact = TRUE))
  if (!whole) {
    abort_argument("map", "a result of dependency_map() (class <seqlift_dependency_map>)",
      describe(map)
    )
  }
  first <- attr(map, "start", exact = TRUE)
  last <- first + dim(map)[2L] - 1L
  start <- check_count(start, "start", first, last, null = TRUE) %||% first
  end <- check_count(end, "end", start, last, null = TRUE) %||% last
  if (!is.null(limit)) {
    check_number(limit, "limit", min = .Machine$double.xmin)
  }
  check_string(title, "title", null = TRUE)
  rows <- check_logo_sequence(sequence, map)
  labels <- panel_labels(map, rows)
  shown <- seq(start, end) - first + 1L
  values <- array(as.vector(map), dim(map))[rows, shown, shown, drop = FALSE]
  letters <- substr(attr(map, "X", exact = TRUE)[rows], shown[1L], shown[length(shown)])
  dependency_ggplot(values, letters, labels, start, limit) + ggplot2::labs(title = title)
}

#' @rdname plot_dependency_map
#' @param x A dependency map.
#' @export
plot.seqlift_dependency_map <- function(x, ...) {
  plot_dependency_map(x, ...)
}

dependency_ggplot <- function(values, letters, labels, start, limit) {
  l <- dim(values)[2L]
  place <- arrayInd(seq_along(values), dim(values))
  cells <- data.frame(
    x = place[, 3L] + start - 1L, y = place[, 2L] + start - 1L,
    panel = factor(labels[place[, 1L]], levels = labels), value = as.vector(values)
  )
  cells$value[cells$x == cells$y] <- NA
  largest <- limit %||% max(values)
  breaks <- whole_breaks(c(start, start + l - 1L))
  plot <- ggplot2::ggplot(cells, ggplot2::aes(.data$x, .data$y)) +
    ggplot2::geom_raster(ggplot2::aes(fill = .data$value)) +
    ggplot2::scale_fill_gradientn(
      colours = sequential_colours, limits = c(0, if (largest > 0) largest else 1),
      na.value = "grey85", name = "Dependency",
      oob = function(x, range) pmin(pmax(x, range[1L]), range[2L]),
      guide = ggplot2::guide_colourbar(barwidth = 0.6, barheight = 5, ticks.colour = "grey60")
    ) +
    ggplot2::scale_x_continuous(breaks = breaks, expand = c(0, 0)) +
    ggplot2::scale_y_reverse(breaks = breaks, expand = c(0, 0)) +
    ggplot2::labs(x = "Position (bp)", y = "Position (bp)") +
    logo_theme() +
    ggplot2::theme(axis.line = ggplot2::element_blank())
  edge <- start + l - 0.5
  if (l <= dependency_max_letters) {
    outlines <- axis_letters(letters, labels, start)
    plot <- plot + ggplot2::geom_polygon(
      ggplot2::aes(group = .data$letter), outlines,
      fill = logo_colours[outlines$base]
    )
  }
  margin <- if (l <= dependency_max_letters) axis_letter_room else 0
  plot <- plot + ggplot2::coord_fixed(
    xlim = c(start - 0.5 - margin, edge), ylim = c(edge + margin, start - 0.5)
  )
  if (length(labels) > 1L) plot + ggplot2::facet_wrap("panel") else plot
}

# Room for the letters between the axis and the map, in positions.
axis_letter_room <- 1.3

# The letters of the window as outlines, left of the map and below it. The y axis runs downwards,
# so heights are negative.
axis_letters <- function(letters, labels, start) {
  l <- nchar(letters[1L])
  bases <- unlist(strsplit(toupper(letters), "", fixed = TRUE), use.names = FALSE)
  both <- data.frame(
    base = rep(bases, 2L),
    x = c(rep(seq_len(l), length(letters)) + start - 1, rep(start - 1.15, length(bases))),
    y = c(rep(start + l + 0.6, length(bases)), rep(seq_len(l), length(letters)) + start - 0.55),
    height = -0.9,
    panel = factor(rep(rep(labels, each = l), 2L), levels = labels)
  )
  trace_letters(both[both$base %in% attribution_bases, ], 0.9, logo_detail(l))
}
