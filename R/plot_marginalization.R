# Figures of perturbations: effects of many outputs (heatmap), one number before against after
# (scatter), what is along the sequence (profile). All of them draw one output of the model, as
# arrays [conditions, replicates, ...]: conditions are what was varied (motifs, annotations,
# spacings), replicates what means are taken over (backgrounds).

# More conditions than this are compared in a heatmap rather than in panels.
marginalization_max_panels <- 6L

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
#' @concept plot_categorical_scatter
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
  arranged <- name_targets(arranged, target_names) |> drop_not_finite()
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
  whole <- inherits(perturbation, "seqlift_perturbation") && is.list(perturbation) &&
    all(c("before", "after") %in% names(perturbation)) &&
    !is.null(attr(perturbation, "info", exact = TRUE))
  if (!whole) {
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
  number <- if (is.character(output)) {
    match(output, names)
  } else if (is.numeric(output)) {
    match(output, seq_along(outputs))
  }
  if (length(number) != 1L || is.na(number)) {
    known <- paste("a number from 1 to", length(outputs))
    if (length(outputs) == 1L) {
      known <- "1 (there is one output)"
    } else if (!identical(names, as.character(seq_along(outputs)))) {
      known <- paste0(known, " or one of ", toString(names))
    }
    abort_argument("output", known, describe(output),
      hint = count_hint(output, "output"), call = call
    )
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
    varied = varied, places = places, targets = dimnames(after)[[3L]],
    first = if (!"position" %in% places) 1L else
      first_position(after, 2L + match("position", places))
  )
}

# What a model gives where it overflows (NaN, Inf) is left out of the figure, and said.
drop_not_finite <- function(arranged) {
  bad <- !is.finite(arranged$before) | !is.finite(arranged$after)
  if (any(bad)) {
    if (all(bad)) {
      abort_argument("perturbation", "one with numbers to draw", "one with NaN or Inf alone",
        call = caller_env()
      )
    }
    inform_seqlift("figure", c(
      "!" = "{sum(bad)} of {length(bad)} numbers are left out of the figure: NaN or Inf
             {cli::qty(sum(bad))}before or after."
    ))
    arranged$before[bad] <- NA_real_
    arranged$after[bad] <- NA_real_
  }
  arranged
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
      if (is.numeric(target)) toString(utils::head(target, 5L)) else describe(target),
      hint = count_hint(target, "target"), call = call
    )
  }
  as.integer(target)
}
