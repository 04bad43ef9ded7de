# The letters of a sequence logo as polygons. Each is drawn here, once, in the unit
# square (both sides filled from edge to edge, so that a letter's height is its
# value), as rings of points joined by lines and cubic Bezier curves: a heavy
# sans-serif whose stems are a quarter of the width and whose bars are a sixth of
# the height, so that the four letters look equally heavy when they are stretched.

# The field's convention (WebLogo, logomaker, ggseqlogo): green A, blue C, orange G,
# red T. A and T are the pair that red-green colour blindness brings together; they
# differ in lightness here, and the shapes say the same as the colours.
logo_colours <- c(A = "#109648", C = "#255C99", G = "#F7B32B", T = "#D62839")

# A ring is a list of steps: c(x, y) is a line to that point, and
# c(x1, y1, x2, y2, x, y) a curve to (x, y) with two control points. The first step
# is the starting point. A second ring of a letter is a hole, and runs the other way.
letter_rings <- list(
  A = list(
    list(
      c(0, 0), c(0.365, 1), c(0.635, 1), c(1, 0), c(0.745, 0), c(0.674, 0.215),
      c(0.326, 0.215), c(0.255, 0)
    ),
    list(c(0.376, 0.37), c(0.624, 0.37), c(0.5, 0.765))
  ),
  C = list(
    list(
      c(0.985, 0.645),
      c(0.955, 0.865, 0.78, 1, 0.52, 1),
      c(0.205, 1, 0, 0.805, 0, 0.5),
      c(0, 0.195, 0.205, 0, 0.52, 0),
      c(0.79, 0, 0.975, 0.145, 1, 0.375),
      c(0.735, 0.375),
      c(0.715, 0.24, 0.635, 0.168, 0.52, 0.168),
      c(0.36, 0.168, 0.262, 0.29, 0.262, 0.5),
      c(0.262, 0.71, 0.36, 0.832, 0.52, 0.832),
      c(0.63, 0.832, 0.705, 0.765, 0.725, 0.645)
    )
  ),
  G = list(
    list(
      c(0.98, 0.665),
      c(0.945, 0.87, 0.78, 1, 0.52, 1),
      c(0.205, 1, 0, 0.805, 0, 0.5),
      c(0, 0.195, 0.205, 0, 0.52, 0),
      c(0.72, 0, 0.885, 0.055, 1, 0.165),
      c(1, 0.55), c(0.51, 0.55), c(0.51, 0.39), c(0.75, 0.39), c(0.75, 0.24),
      c(0.69, 0.195, 0.615, 0.168, 0.53, 0.168),
      c(0.365, 0.168, 0.262, 0.29, 0.262, 0.5),
      c(0.262, 0.71, 0.36, 0.832, 0.52, 0.832),
      c(0.625, 0.832, 0.7, 0.775, 0.72, 0.665)
    )
  ),
  T = list(
    list(
      c(0, 1), c(1, 1), c(1, 0.83), c(0.628, 0.83), c(0.628, 0), c(0.372, 0),
      c(0.372, 0.83), c(0, 0.83)
    )
  )
)

# Points of one ring: `detail` points a curve.
trace_ring <- function(steps, detail) {
  points <- matrix(steps[[1L]], nrow = 1L)
  t <- seq_len(detail) / detail
  for (step in steps[-1L]) {
    from <- points[nrow(points), ]
    to <- if (length(step) == 2L) {
      matrix(step, nrow = 1L)
    } else {
      outer((1 - t)^3, from) + outer(3 * t * (1 - t)^2, step[1:2]) +
        outer(3 * t^2 * (1 - t), step[3:4]) + outer(t^3, step[5:6])
    }
    points <- rbind(points, to)
  }
  points
}

# The outline of a letter, x and y, as one line: through a cut to the hole, around it the other way,
# and back. Not everything that draws polygons knows holes (plotly does not).
letter_outline <- function(letter, detail) {
  rings <- lapply(letter_rings[[letter]], trace_ring, detail = detail)
  points <- Reduce(join_hole, rings[-1L], rings[[1L]])
  list(x = points[, 1L], y = points[, 2L])
}

# The cut is between the two points that are nearest to each other.
join_hole <- function(outer, hole) {
  away <- outer(outer[, 1L], hole[, 1L], `-`)^2 + outer(outer[, 2L], hole[, 2L], `-`)^2
  nearest <- arrayInd(which.min(away), dim(away))
  turned <- hole[c(seq.int(nearest[2L], nrow(hole)), seq_len(nearest[2L])), , drop = FALSE]
  before <- seq_len(nearest[1L])
  behind <- seq.int(nearest[1L], nrow(outer))
  rbind(outer[before, , drop = FALSE], turned, outer[behind, , drop = FALSE])
}

# The points of many letters as columns of one data frame, for one polygon layer.
# `letters` has one row a letter: base, x (its centre), y (its lower edge), height,
# panel.
trace_letters <- function(letters, width, detail) {
  outlines <- lapply(stats::setNames(nm = names(letter_rings)), letter_outline, detail = detail)
  sizes <- vapply(outlines, function(outline) length(outline$x), 1L)
  row <- rep(seq_len(nrow(letters)), sizes[letters$base])
  points <- function(part) {
    as.double(unlist(lapply(outlines, `[[`, part)[letters$base], use.names = FALSE))
  }
  data.frame(
    x = letters$x[row] + (points("x") - 0.5) * width,
    y = letters$y[row] + points("y") * letters$height[row],
    base = letters$base[row],
    panel = letters$panel[row],
    letter = row
  )
}

# The letters of a plot as its layer and the scale of their colours; those of `outlines` may be
# none.
polygon_layer <- function(outlines, colours) {
  list(
    ggplot2::geom_polygon(
      ggplot2::aes(.data$x, .data$y, fill = .data$base, colour = .data$base, group = .data$letter),
      outlines,
      linewidth = logo_outline_width, show.legend = FALSE
    ),
    # Limits of its own: with no letter to draw there is nothing the names could be found in.
    line_and_fill_colours(values = colours, limits = names(colours))
  )
}

# Colours of lines and of areas. One scale for both is not known to plotly.
line_and_fill_colours <- function(...) {
  list(ggplot2::scale_colour_manual(...), ggplot2::scale_fill_manual(...))
}

# The same for bars, which are drawn in the order of their rows.
trace_bars <- function(letters, width) {
  corner <- function(values) as.vector(t(values))
  half <- width / 2
  top <- letters$y + letters$height
  row <- rep(seq_len(nrow(letters)), each = 4L)
  data.frame(
    x = corner(cbind(letters$x - half, letters$x - half, letters$x + half, letters$x + half)),
    y = corner(cbind(letters$y, top, top, letters$y)),
    base = letters$base[row],
    panel = letters$panel[row],
    letter = row
  )
}
