# The three ways in which plot_marginalization() draws one output as arranged there.

# Before and after.
stage_colours <- c(before = "grey60", after = "#255C99")

# Okabe and Ito's colours for colour-blind readers, without the yellow, which is faint on white.
series_colours <- c(
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"
)

# Labels are left out where there are more rows or columns than this.
heatmap_max_labels <- 50L

check_panels <- function(n, what, hint, call = caller_env()) {
  if (n > logo_max_panels) {
    abort_argument("perturbation",
      paste("one with at most", logo_max_panels, what, "for one plot"), paste("one with", n),
      hint = hint, call = call
    )
  }
}

# ---- heatmap -------------------------------------------------------------------------

plot_effect_heatmap <- function(arranged, picked, k) {
  effect <- (arranged$after - arranged$before)[, , picked, drop = FALSE]
  names <- arranged$targets[picked]
  by_background <- dim(effect)[3L] == 1L || dim(effect)[1L] == 1L
  means <- mean_over(effect, 2L, na.rm = TRUE)
  ends <- if (dim(effect)[3L] > 1L) {
    ends_of_targets(replace(means, is.na(means), 0), k)
  } else {
    list(index = 1L, group = factor("all"))
  }
  if (!by_background) {
    cells <- cells_of(means[, ends$index, drop = FALSE], arranged$conditions, names[ends$index])
    cells$group <- ends$group[cells$column_number]
    return(effect_heatmap(cells, varied_label(arranged$varied), "Output", "Mean effect", "columns"))
  }
  values <- matrix(effect, nrow = dim(effect)[1L] * dim(effect)[2L])
  if (dim(effect)[1L] == 1L) {
    values <- t(values[, ends$index, drop = FALSE])
    rows <- names[ends$index]
    row_label <- if (length(rows) > 1L) "Output"
  } else {
    values <- matrix(values, nrow = dim(effect)[1L])
    ends <- list(index = seq_len(nrow(values)), group = factor(rep("all", nrow(values))))
    rows <- arranged$conditions
    row_label <- varied_label(arranged$varied)
  }
  if (length(rows) == 1L) {
    rows <- ""
  }
  cells <- cells_of(values, rows, arranged$replicates)
  cells$group <- ends$group[cells$row_number]
  effect_heatmap(cells, row_label, capitalise(arranged$replicate), "Effect", "rows")
}

# The k targets with the highest and the k with the lowest effects of any condition, from high to
# low; all of them by their mean where there are few, as they are where `k` is NULL.
ends_of_targets <- function(means, k) {
  n_targets <- ncol(means)
  if (is.null(k) || n_targets <= 2L * k) {
    index <- if (is.null(k)) seq_len(n_targets) else order(-colMeans(means))
    return(list(index = index, group = factor(rep("all", n_targets))))
  }
  highest <- utils::head(order(-apply(means, 2L, max)), k)
  lowest <- setdiff(order(apply(means, 2L, min)), highest)[seq_len(k)]
  groups <- paste(c("highest", "lowest"), k)
  list(index = c(highest, rev(lowest)), group = factor(rep(groups, each = k), levels = groups))
}

# A row for each number of a matrix; rows run from the top.
cells_of <- function(values, rows, columns) {
  rows <- rows %||% as.character(seq_len(nrow(values)))
  columns <- columns %||% as.character(seq_len(ncol(values)))
  data.frame(
    row = factor(rows[row(values)], levels = rev(rows)),
    column = factor(columns[col(values)], levels = columns),
    row_number = as.vector(row(values)), column_number = as.vector(col(values)),
    value = as.vector(values)
  )
}

effect_heatmap <- function(cells, row_label, column_label, fill_label, grouped) {
  columns <- levels(cells$column)
  plot <- ggplot2::ggplot(cells, ggplot2::aes(.data$column, .data$row, fill = .data$value)) +
    ggplot2::geom_tile() +
    diverging_fill(cells$value, fill_label) +
    ggplot2::scale_x_discrete(breaks = sparse_labels(columns), expand = c(0, 0)) +
    ggplot2::scale_y_discrete(
      breaks = if (nlevels(cells$row) <= heatmap_max_labels) levels(cells$row), expand = c(0, 0)
    ) +
    ggplot2::labs(x = column_label, y = row_label) +
    logo_theme() +
    ggplot2::theme(axis.line = ggplot2::element_blank())
  # At about 90 characters side by side they meet in a figure of 7 inches.
  if (sum(nchar(sparse_labels(columns)) + 1L) > 90L) {
    plot <- plot +
      ggplot2::theme(axis.text.x = ggplot2::element_text(angle = 90, hjust = 1, vjust = 0.5))
  }
  if (identical(levels(cells$row), "")) {
    plot <- plot + ggplot2::theme(axis.ticks.y = ggplot2::element_blank())
  }
  if (nlevels(cells$group) == 1L) {
    return(plot)
  }
  facets <- if (grouped == "rows") {
    ggplot2::facet_grid(rows = ggplot2::vars(.data$group), scales = "free_y", space = "free_y")
  } else {
    ggplot2::facet_grid(cols = ggplot2::vars(.data$group), scales = "free_x", space = "free_x")
  }
  plot + facets + ggplot2::theme(strip.text = ggplot2::element_text(hjust = 0.5))
}

# Of many columns that are counted, every few; of those with names all or none.
sparse_labels <- function(labels) {
  if (length(labels) > 12L && identical(labels, as.character(seq_along(labels)))) {
    return(as.character(whole_breaks(c(1, length(labels)))))
  }
  if (length(labels) <= heatmap_max_labels) labels
}

capitalise <- function(word) paste0(toupper(substr(word, 1L, 1L)), substring(word, 2L))

varied_label <- function(varied) if (is.null(varied)) NULL else capitalise(varied)

# ---- scatter -------------------------------------------------------------------------

plot_before_after <- function(arranged, picked) {
  check_panels(dim(arranged$after)[1L], "motifs", "Use {.code type = \"heatmap\"}.")
  before <- arranged$before[, , picked, drop = FALSE]
  names <- arranged$targets[picked]
  points <- data.frame(
    before = as.vector(before),
    after = as.vector(arranged$after[, , picked, drop = FALSE]),
    target = factor(names[slice.index(before, 3L)], levels = names),
    condition = as.vector(slice.index(before, 1L))
  )
  coloured <- length(names) > 1L && length(names) <= length(series_colours)
  colours <- if (coloured) series_colours else stage_colours[["after"]]
  points$colour <- if (coloured) points$target else factor("all")
  if (!is.null(arranged$conditions)) {
    points$condition <- factor(arranged$conditions[points$condition], levels = arranged$conditions)
  }
  limits <- range(points$before, points$after, na.rm = TRUE)
  plot <- ggplot2::ggplot(points, ggplot2::aes(.data$before, .data$after)) +
    ggplot2::geom_abline(linewidth = 0.4, linetype = "dashed", colour = "grey50") +
    ggplot2::geom_point(
      ggplot2::aes(colour = .data$colour),
      size = if (nrow(points) <= 500L) 1.6 else 0.8,
      alpha = if (nrow(points) <= 500L) 0.75 else 0.4, na.rm = TRUE, show.legend = coloured
    ) +
    ggplot2::scale_colour_manual(values = unname(colours), name = "Output") +
    ggplot2::coord_fixed(xlim = limits, ylim = limits) +
    ggplot2::labs(x = "Before", y = "After") +
    logo_theme()
  if (is.null(arranged$conditions)) {
    return(plot)
  }
  plot + ggplot2::facet_wrap("condition") +
    ggplot2::theme(panel.spacing.x = ggplot2::unit(18, "pt"))
}

# ---- profile -------------------------------------------------------------------------

plot_profiles <- function(arranged, picked, softmax) {
  names <- arranged$targets[picked]
  n_conditions <- dim(arranged$after)[1L]
  check_panels(n_conditions * length(names), "profiles", "Choose tracks with {.arg target}.")
  stages <- lapply(list(before = arranged$before, after = arranged$after), function(values) {
    values <- values[, , picked, , drop = FALSE]
    mean_over(if (softmax) softmax_over_last(values) else values, 2L, na.rm = TRUE)
  })
  place <- function(axis) as.vector(slice.index(stages$after, axis))
  lines <- data.frame(
    condition = place(1L), track = place(2L), position = place(3L) + arranged$first - 1L,
    value = c(stages$before, stages$after),
    stage = factor(rep(names(stages), lengths(stages)), levels = names(stages))
  )
  if (!identical(names, "1")) {
    labels <- if (identical(names, as.character(picked))) paste("track", names) else names
    lines$track <- factor(labels[lines$track], levels = labels)
  }
  conditions <- arranged$conditions
  if (!is.null(conditions)) {
    lines$condition <- factor(conditions[lines$condition], levels = conditions)
  }
  value_label <- if (softmax) {
    "Mean probability"
  } else if ("base" %in% arranged$places) {
    "Mean attribution"
  } else {
    "Mean output"
  }
  by_base <- "base" %in% arranged$places
  plot <- ggplot2::ggplot(lines, ggplot2::aes(.data$position, .data$value)) +
    ggplot2::geom_line(ggplot2::aes(colour = .data$stage), linewidth = 0.5, na.rm = TRUE) +
    ggplot2::scale_colour_manual(values = stage_colours, name = NULL) +
    ggplot2::scale_x_continuous(breaks = whole_breaks, expand = c(0.01, 0)) +
    ggplot2::labs(
      x = if (by_base) "Position (bp)" else "Position in the output", y = value_label
    ) +
    logo_theme() +
    ggplot2::theme(
      legend.position = "top", legend.justification = "right",
      legend.margin = ggplot2::margin(0, 0, -4, 0)
    )
  by_track <- is.factor(lines$track)
  if (by_track && !is.null(conditions)) {
    plot + ggplot2::facet_grid(
      rows = ggplot2::vars(.data$condition), cols = ggplot2::vars(.data$track)
    ) + ggplot2::theme(panel.spacing.x = ggplot2::unit(14, "pt"))
  } else if (by_track) {
    plot + ggplot2::facet_wrap("track", ncol = 1L)
  } else if (!is.null(conditions)) {
    plot + ggplot2::facet_wrap("condition", ncol = if (n_conditions <= 4L) 1L)
  } else {
    plot
  }
}

# Softmax over the last axis of an array.
softmax_over_last <- function(values) {
  shape <- dim(values)
  rows <- matrix(values, ncol = shape[length(shape)])
  rows <- exp(rows - apply(rows, 1L, max))
  array(rows / rowSums(rows), shape)
}
