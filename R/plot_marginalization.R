# Figures of perturbations: effects of many outputs (heatmap), one number before against after
# (scatter), what is along the sequence (profile). All of them draw one output of the model, as
# arrays [conditions, replicates, ...]: conditions are what was varied (motifs, annotations,
# spacings), replicates what means are taken over (backgrounds).

# Before and after.
stage_colours <- c(before = "grey60", after = "#255C99")

# Okabe and Ito's colours for colour-blind readers, without the yellow, which is faint on white.
series_colours <- c(
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"
)

# More conditions than this are compared in a heatmap rather than in panels.
marginalization_max_panels <- 6L

# Labels are left out where there are more rows or columns than this.
heatmap_max_labels <- 50L

#' Draw what a perturbation changed
#'
#' Draws the result of [marginalize()] and its kin in one of three ways:
#'
#' * `"heatmap"`: the effects (after - before) of outputs `[n, targets]`: a row for each target, a
#'   column for each background, or with several motifs (annotations, spacings) a row for each
#'   motif, a column for each target, averaged over the backgrounds. Of more than `2 * k` targets,
#'   the `k` with the highest and the `k` with the lowest mean effect (with several motifs: of any
#'   of them) are drawn. One target of several motifs: a column for each background.
#' * `"scatter"`: before against after, a point for each background and target, beside the line
#'   where nothing changes. A panel for each motif.
#' * `"profile"`: outputs along the sequence, `[n, positions]` or `[n, tracks, positions]`, before
#'   and after, averaged over the backgrounds. A panel for each track and motif. Attributions are
#'   summed over the bases.
#'
#' Shuffles of one sequence ([ablate()]) are averaged first.
#'
#' @param perturbation A result of [marginalize()] or another verb of perturbation (class
#'   [seqlift_perturbation]).
#' @param type `"heatmap"`, `"scatter"` or `"profile"`. `NULL` (default): profile for what lies
#'   along the sequence, else scatter for one target of up to six motifs, else heatmap.
#' @param ... For `plot()`: passed on. Otherwise not used; must be empty.
#' @param output Which output of a model with several: number (from 1) or name. `NULL` (default):
#'   the first that fits `type`.
#' @param target Which targets (or tracks of a profile) to draw, numbers from 1. `NULL` (default):
#'   all, or the `k` highest and lowest in a heatmap.
#' @param target_names Names of all targets (or tracks) of the output, a character vector. `NULL`
#'   (default): those that the output has, else numbers.
#' @param k How many targets with the highest and with the lowest effects a heatmap shows. Default
#'   10.
#' @param softmax `TRUE` turns each profile from logits into probabilities (softmax over the
#'   positions of a track) before the mean is taken. Default `FALSE`.
#' @param title Title of the plot. Default: none.
#' @return A ggplot; add themes, titles and scales as to any other. Effects have the unit of the
#'   output.
#' @section Errors: `seqlift_error_argument` for a `type` that does not fit the output (it says
#'   which do), an output or target that does not exist, names that are not one for each target, or
#'   more than 30 panels.
#' @seealso [plot_spacing()] for effects by distance.
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0))
#' backgrounds <- random_one_hot(c(20, 4, 500), random_state = 0)
#' result <- marginalize(model, backgrounds, "AGATAAG")
#' plot_marginalization(result, softmax = TRUE)
#' plot_marginalization(result, "scatter")
plot_marginalization <- function(perturbation, type = NULL, ..., output = NULL, target = NULL,
                                 target_names = NULL, k = 10L, softmax = FALSE, title = NULL) {
  check_no_dots(..., .fn = "plot_marginalization", .after = "type")
  check_perturbation(perturbation)
  type <- check_choice(type, c("heatmap", "scatter", "profile"), "type", null = TRUE)
  k <- check_count(k, "k")
  check_flag(softmax, "softmax")
  check_string(title, "title", null = TRUE)
  chosen <- choose_output(perturbation, output, type)
  arranged <- arrange_output(chosen)
  type <- type %||% default_type(arranged)
  if (softmax && (type != "profile" || "base" %in% arranged$places)) {
    abort_argument("softmax", "FALSE for anything but the profiles that a model predicts", "TRUE")
  }
  if (type == "profile") {
    arranged <- as_tracks(arranged)
  }
  arranged <- name_targets(arranged, target_names)
  picked <- check_shown_targets(target, arranged)
  plot <- switch(type,
    heatmap = plot_effect_heatmap(arranged, picked, if (is.null(target)) k),
    scatter = plot_before_after(arranged, picked),
    profile = plot_profiles(arranged, picked, softmax)
  )
  plot + ggplot2::labs(title = title)
}

#' @rdname plot_marginalization
#' @param x A result of a verb of perturbation. `plot()` draws those of [space_motifs()] with
#'   [plot_spacing()], unless a `type` is given.
#' @export
plot.seqlift_perturbation <- function(x, type = NULL, ...) {
  if (is.null(type) && attr(x, "info", exact = TRUE)$verb == "space_motifs") {
    return(plot_spacing(x, ...))
  }
  plot_marginalization(x, type, ...)
}

# ---- one output, in order ------------------------------------------------------------

check_perturbation <- function(perturbation, call = caller_env()) {
  if (!inherits(perturbation, "seqlift_perturbation")) {
    abort_argument("perturbation",
      "a result of marginalize() or its kin (class <seqlift_perturbation>)", describe(perturbation),
      call = call
    )
  }
}

# The perturbation with one of its outputs alone.
choose_output <- function(x, output, type = NULL, call = caller_env()) {
  outputs <- flatten_outputs(x$after)
  n_axes <- length(attr(x, "info", exact = TRUE)$axes$after)
  number <- check_output(output, outputs, call)
  types <- lapply(outputs, fitting_types, n_axes)
  if (is.null(number)) {
    fits <- vapply(types, function(own) is.null(type) || type %in% own, logical(1L))
    number <- if (any(fits)) which(fits)[1L] else 1L
  }
  if (!is.null(type) && !type %in% types[[number]]) {
    shape <- dim(outputs[[number]])[-seq_len(n_axes)]
    abort_argument("type",
      paste0(
        paste0("\"", types[[number]], "\"", collapse = " or "), " for an output of ",
        if (length(shape) == 0L) "one number" else paste0("shape [", toString(shape), "]"),
        " a sequence"
      ),
      describe(type),
      call = call
    )
  }
  x$before <- flatten_outputs(x$before)[[number]]
  x$after <- outputs[[number]]
  x
}

check_output <- function(output, outputs, call) {
  if (is.null(output)) {
    return(NULL)
  }
  names <- names(outputs)
  number <- if (is.character(output)) match(output, names) else match(output, seq_along(outputs))
  if (length(number) != 1L || is.na(number)) {
    known <- paste("a number from 1 to", length(outputs))
    if (length(outputs) == 1L) {
      known <- "1 (there is one output)"
    } else if (!identical(names, as.character(seq_along(outputs)))) {
      known <- paste0(known, " or one of ", toString(names))
    }
    abort_argument("output", known, describe(output), call = call)
  }
  number
}

# One number a target is for heatmap and scatter; a profile needs positions.
fitting_types <- function(values, n_axes) {
  shape <- dim(values)[-seq_len(n_axes)]
  if (length(shape) == 0L || identical(shape, 1L)) {
    return(c("heatmap", "scatter"))
  }
  if (length(shape) == 1L) c("heatmap", "scatter", "profile") else "profile"
}

default_type <- function(arranged) {
  if (length(arranged$places) > 1L) {
    return("profile")
  }
  shape <- dim(arranged$after)
  if (shape[3L] == 1L && shape[1L] <= marginalization_max_panels) "scatter" else "heatmap"
}

# list(before, after: arrays [conditions, replicates, places...]; conditions, replicates: their
# labels, NULL for none; replicate: what they are; places: names of the other axes).
arrange_output <- function(x) {
  info <- attr(x, "info", exact = TRUE)
  arrays <- table_of_outputs(x, function(before, after, effect) {
    list(before = before, after = after)
  })
  axes <- info$axes$after
  replicate <- info$replicates %||% "sequence"
  varied <- info$varied$axis
  places <- name_places(dimnames(arrays$after), length(axes), length(dim(arrays$after)))
  arrange <- function(values) {
    kept <- axes %in% c(varied, replicate)
    for (axis in rev(which(!kept))) {
      values <- mean_over(values, axis)
    }
    left <- axes[kept]
    if (is.null(varied)) {
      labels <- dimnames(values)
      return(array(values, c(1L, dim(values)), if (!is.null(labels)) c(list(NULL), labels)))
    }
    rest <- length(left) + seq_along(places)
    aperm(values, c(match(c(varied, replicate), left), rest))
  }
  after <- arrange(arrays$after)
  list(
    before = arrange(arrays$before), after = after,
    conditions = condition_labels(info$varied), replicates = unique_names(dimnames(after)[[2L]]),
    replicate = if (startsWith(info$verb, "marginalize") || info$verb == "space_motifs") {
      "background"
    } else {
      replicate
    },
    varied = varied, places = places, targets = dimnames(after)[[3L]]
  )
}

unique_names <- function(names) if (!is.null(names)) make.unique(names, sep = " ")

condition_labels <- function(varied) {
  if (is.null(varied)) {
    return(NULL)
  }
  table <- varied$table
  if (varied$axis %in% names(table)) {
    table <- table[varied$axis]
  }
  unique_names(do.call(paste, c(unname(as.list(table)), sep = ", ")))
}

# [conditions, replicates, places...] as [conditions, replicates, tracks, positions].
as_tracks <- function(arranged) {
  places <- arranged$places
  as_four <- function(values) {
    if ("base" %in% places) {
      values <- mean_over(values, 3L) * n_bases
    }
    shape <- dim(values)
    if ("base" %in% places && "target" %in% places) {
      return(aperm(values, c(1L, 2L, 4L, 3L)))
    }
    rank <- length(shape)
    array(values, c(shape[1:2], prod(shape[-c(1L, 2L, rank)]), shape[rank]))
  }
  arranged$targets <- if (length(places) == 2L && !"base" %in% places) {
    dimnames(arranged$after)[[3L]]
  }
  arranged$before <- as_four(arranged$before)
  arranged$after <- as_four(arranged$after)
  arranged
}

name_targets <- function(arranged, target_names, call = caller_env()) {
  n_targets <- dim(arranged$after)[3L]
  if (!is.null(target_names)) {
    if (!is.character(target_names) || length(target_names) != n_targets) {
      abort_argument("target_names", paste(n_targets, "names, one for each target"),
        describe(target_names),
        call = call
      )
    }
    arranged$targets <- target_names
  }
  arranged$targets <- unique_names(arranged$targets) %||% as.character(seq_len(n_targets))
  arranged
}

check_shown_targets <- function(target, arranged, call = caller_env()) {
  known <- seq_len(dim(arranged$after)[3L])
  if (is.null(target)) {
    return(known)
  }
  if (!is.numeric(target) || length(target) == 0L || !all(target %in% known) ||
    anyDuplicated(target) > 0L) {
    abort_argument("target", paste("different numbers from 1 to", length(known)),
      toString(utils::head(target, 5L)),
      call = call
    )
  }
  as.integer(target)
}

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
  means <- mean_over(effect, 2L)
  ends <- if (dim(effect)[3L] > 1L) {
    ends_of_targets(means, k)
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
  limits <- range(points$before, points$after)
  plot <- ggplot2::ggplot(points, ggplot2::aes(.data$before, .data$after)) +
    ggplot2::geom_abline(linewidth = 0.4, linetype = "dashed", colour = "grey50") +
    ggplot2::geom_point(
      ggplot2::aes(colour = .data$colour),
      size = if (nrow(points) <= 500L) 1.6 else 0.8,
      alpha = if (nrow(points) <= 500L) 0.75 else 0.4, show.legend = coloured
    ) +
    ggplot2::scale_colour_manual(values = unname(colours), name = "Output") +
    ggplot2::coord_fixed(xlim = limits, ylim = limits) +
    ggplot2::labs(x = "Before", y = "After") +
    logo_theme()
  if (is.null(arranged$conditions)) plot else plot + ggplot2::facet_wrap("condition")
}

# ---- profile -------------------------------------------------------------------------

plot_profiles <- function(arranged, picked, softmax) {
  names <- arranged$targets[picked]
  n_conditions <- dim(arranged$after)[1L]
  check_panels(n_conditions * length(names), "profiles", "Choose tracks with {.arg target}.")
  stages <- lapply(list(before = arranged$before, after = arranged$after), function(values) {
    values <- values[, , picked, , drop = FALSE]
    mean_over(if (softmax) softmax_over_last(values) else values, 2L)
  })
  place <- function(axis) as.vector(slice.index(stages$after, axis))
  lines <- data.frame(
    condition = place(1L), track = place(2L), position = place(3L),
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
    ggplot2::geom_line(ggplot2::aes(colour = .data$stage), linewidth = 0.5) +
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
