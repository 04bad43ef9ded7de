# An interactive page of attributions, as an htmlwidget: inst/htmlwidgets draws it,
# report_view_payload.R packs what it draws.

#' View attributions interactively
#'
#' A page to zoom and move in, from the whole sequence to its letters: logos of one method or
#' several, every base's hypothetical scores as a heatmap, predicted profiles, and annotations
#' (seqlets, hits, variants) under one axis, with the numbers under the mouse. It is an htmlwidget:
#' it shows in a browser or RStudio's viewer when it is printed, stands in R Markdown documents and
#' Shiny apps, and `htmlwidgets::saveWidget()` writes it to a file that needs no network.
#'
#' Drag to move. Click into the picture, then turn the wheel to zoom (elsewhere it scrolls the
#' document; with Ctrl it always zooms); two fingers zoom too. The keys: left and right move, plus
#' and minus zoom, 0 shows the whole sequence, Page Up and Page Down change the sequence, H shows
#' and hides every base, G changes between positions of the sequence and of the genome, C changes
#' the colours. `SVG` and `PNG` save what is seen, rows that are scrolled out of sight included.
#'
#' The height of a letter is the attribution of the base that is there; where substitutions were
#' scored ([saturation_mutagenesis()]), minus their mean effect. In windows so wide that a pixel
#' holds several positions the largest and the lowest of them are drawn. Numbers are packed with 16
#' significant bits (an error of at most 1.6e-5 of each): about 9 bytes a position, and 20 more
#' where every base has a score.
#'
#' @param attributions A result of [deep_lift_shap()], [attribute()], [saturation_mutagenesis()] or
#'   [taylor_ism()] of one target (class `seqlift_attributions`), or a named list of several, of
#'   the same sequences and positions, to be compared: one logo each, all with one window.
#' @param tracks Predicted profiles or other signals along the sequences, in any unit: a named list.
#'   Each is an array `[n, bins]` or `[n, series, bins]` (both strands of a profile, for example;
#'   the series' names are its dimnames), or a list of `values`, such an array, `start`, the
#'   position (bp, from 1) at which its first bin begins, and `bin_width` in bp. Without them a bin
#'   is one position and a track shorter than the sequences lies in their middle, as models crop
#'   their profiles. An array without a list around it is one track. Default: none.
#' @param annotations What to mark: a data frame with columns `start` and `end` (1-based, inclusive,
#'   positions of the sequence) and, if wanted, `name` (or `motif`, `variant`), `strand` and
#'   `sequence` or `example` (name or number of the sequence; without it they are drawn for every
#'   sequence); or a `GRanges` whose `seqnames` are names of sequences, or chromosomes where the
#'   result knows its ranges ([attribution_ranges()]). Further columns are shown under the mouse. Or
#'   a named list of several such tables, one row of marks each. Default: none.
#' @param ... Not used; must be empty.
#' @param sequence Which sequences: numbers (from 1) or names. Default: all.
#' @param start,end Window that is shown first, in bp of the whole sequence, 1-based and inclusive.
#'   Default: all that there is.
#' @param every_base `TRUE`: heatmaps of every base's score are shown at first, where there are such
#'   scores (results of kind hypothetical, gradients or effects). Default `FALSE`: after a click.
#' @param together `TRUE`: all sequences at first, below each other. Default `FALSE`: one at a time,
#'   chosen from a list.
#' @param colours Colours of the letters: a vector named by base (those not named keep theirs), or
#'   one colour for all. Default: green A, blue C, orange G, red T. The button for colours changes
#'   to those of Okabe and Ito (2008), which any colour vision tells apart.
#' @param theme `"auto"` (default, as the reader's system asks), `"light"` or `"dark"`.
#' @param width,height Size in pixels, or CSS sizes such as `"100%"`. Default: as wide as there is
#'   room, and as high as one sequence needs.
#' @param element_id Name of the HTML element. Default: one that is made up.
#' @return An htmlwidget of class `view_attributions`.
#' @section Errors: `seqlift_error_argument` for an argument of the wrong kind or shape, results of
#'   different sequences or of several targets; `seqlift_error_annotations` for annotations without
#'   `start` and `end`, outside the sequences, or of a sequence that does not exist;
#'   `seqlift_error_package` without the htmlwidgets package.
#' @source Our own; what it shows is what [plot_logo()] and [plot_heatmap()] draw. The colours:
#'   Okabe and Ito (2008), Color Universal Design.
#' @seealso [plot_logo()] for figures in print, [attribution_report()]
#' @export
#' @examplesIf requireNamespace("htmlwidgets", quietly = TRUE)
#' model <- demo_model() |> with_args(list(control_track = 0))
#' X <- demo_sequences()[1:3]
#' scores <- attribute(select_output(model, 2), X, "gradient_x_input")
#' profile <- predict(model, X)[[1]]
#' page <- view_attributions(scores,
#'   tracks = list(profile = profile), annotations = recursive_seqlets(scores)
#' )
#' if (interactive()) page
view_attributions <- function(attributions, tracks = NULL, annotations = NULL, ..., sequence = NULL,
                              start = NULL, end = NULL, every_base = FALSE, together = FALSE,
                              colours = NULL, theme = c("auto", "light", "dark"), width = NULL,
                              height = NULL, element_id = NULL) {
  check_no_dots(..., .fn = "view_attributions", .after = "annotations")
  check_package("htmlwidgets", "view_attributions()")
  call <- rlang::current_env()
  views <- check_views(attributions, call)
  one <- views[[1L]]
  first <- first_position(one)
  last <- first + dim(one)[3L] - 1L
  start <- check_count(start, "start", first, last, null = TRUE) %||% first
  end <- check_count(end, "end", start, last, null = TRUE) %||% last
  check_flag(every_base, "every_base")
  check_flag(together, "together")
  colours <- check_logo_colours(colours)
  theme <- check_choice(theme, c("auto", "light", "dark"), "theme")
  check_string(element_id, "element_id", null = TRUE)
  check_css_size(width, "width", null = TRUE)
  check_css_size(height, "height", null = TRUE)
  rows <- check_viewed_sequences(sequence, one, call)
  tracks <- check_tracks(tracks, dim(one)[1L], first, last, call)
  marks <- check_marks(annotations, one, first, last, call)

  payload <- list(
    first = first, last = last, from = start, to = end, heatmap = every_base, together = together,
    theme = theme, file = "attributions",
    sequences = pack_sequences(one, rows, first),
    views = unname(Map(pack_view, views, names(views), MoreArgs = list(rows = rows))),
    tracks = lapply(tracks, pack_track, rows = rows),
    annotations = lapply(marks, pack_marks, rows = rows),
    palettes = list(as.list(colours), as.list(colour_blind_colours)),
    outlines = lapply(stats::setNames(nm = names(letter_rings)), letter_path)
  )
  shown <- if (together) length(rows) else 1L
  htmlwidgets::createWidget(
    "view_attributions", payload,
    width = width, height = height, package = "seqlift", elementId = element_id,
    sizingPolicy = htmlwidgets::sizingPolicy(
      defaultWidth = "100%", defaultHeight = viewer_height(payload, shown),
      viewer.defaultHeight = "100%", browser.defaultHeight = "95vh", browser.fill = FALSE,
      knitr.figure = FALSE, knitr.defaultWidth = "100%",
      knitr.defaultHeight = viewer_height(payload, shown)
    )
  )
}

#' Use interactive attributions in Shiny
#'
#' The pair of functions that puts [view_attributions()] into a Shiny app.
#'
#' @param output_id Name of the output in the app, a string.
#' @param width,height CSS sizes. Default: `"100%"` and `"480px"`.
#' @param expr An expression that gives the result of [view_attributions()].
#' @param env,quoted As in `htmlwidgets::shinyRenderWidget()`.
#' @return The output's element for the app's page, and a render function for its server.
#' @section Errors: `seqlift_error_package` without the htmlwidgets package.
#' @source The htmlwidgets package.
#' @seealso [view_attributions()]
#' @export
#' @examplesIf requireNamespace("shiny", quietly = TRUE) && requireNamespace("htmlwidgets", quietly = TRUE)
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' scores <- attribute(model, demo_sequences()[1:3], "gradient_x_input")
#' app <- shiny::shinyApp(
#'   ui = shiny::fluidPage(view_attributions_output("scores")),
#'   server = function(input, output) {
#'     output$scores <- render_view_attributions(view_attributions(scores))
#'   }
#' )
#' if (interactive()) app
view_attributions_output <- function(output_id, width = "100%", height = "480px") {
  check_package("htmlwidgets", "view_attributions_output()")
  check_string(output_id, "output_id")
  for (arg in c("width", "height")) {
    check_css_size(get(arg), arg)
  }
  htmlwidgets::shinyWidgetOutput(output_id, "view_attributions", width, height, package = "seqlift")
}

#' @rdname view_attributions_output
#' @export
render_view_attributions <- function(expr, env = parent.frame(), quoted = FALSE) {
  check_package("htmlwidgets", "render_view_attributions()")
  check_flag(quoted, "quoted")
  if (!is.environment(env)) {
    abort_argument("env", "an environment", describe(env))
  }
  expr <- if (quoted) expr else substitute(expr)
  htmlwidgets::shinyRenderWidget(expr, view_attributions_output, env, quoted = TRUE)
}

# A size as a page has it; a number counts pixels.
check_css_size <- function(x, arg, null = FALSE, call = caller_env()) {
  fits <- if (is.character(x)) grepl(css_size, x) else is.numeric(x) && all(is.finite(x) & x >= 0)
  if (!(null && is.null(x)) && (length(x) != 1L || !isTRUE(as.vector(fits)))) {
    abort_argument(arg, "a size as CSS has it, such as \"480px\" or \"100%\"", describe(x),
      call = call
    )
  }
  x
}

# As htmltools takes them.
css_size <- paste0(
  "^(auto|inherit|fit-content|calc\\(.*\\)|",
  "([.][0-9]+|[0-9]+([.][0-9]+)?)(%|in|cm|mm|ch|em|ex|rem|pt|pc|px|vh|vw|vmin|vmax))$"
)

# ---- arguments -------------------------------------------------------------------------------

# The results as a named list, of the same sequences and positions.
check_views <- function(attributions, call) {
  if (inherits(attributions, "seqlift_attributions")) {
    attributions <- list(attributions)
    names(attributions) <- attr(attributions[[1L]], "info", exact = TRUE)$method %||% "attributions"
  }
  expected <- "a result of deep_lift_shap() or another method, or a named list of several"
  named <- is.list(attributions) && length(attributions) > 0L && !is.data.frame(attributions) &&
    !is.null(names(attributions)) && all(nzchar(names(attributions)))
  if (!named || anyDuplicated(names(attributions)) > 0L) {
    hint <- if (is.numeric(attributions)) {
      "Plain numbers do not say which bases are there; {.fn plot_logo} draws them."
    }
    abort_argument("attributions", expected, describe(attributions), hint = hint, call = call)
  }
  for (name in names(attributions)) {
    one <- attributions[[name]]
    arg <- if (length(attributions) > 1L) paste0("attributions$", name) else "attributions"
    check_some_sequences(one, arg, call)
    check_not_multipliers(one, arg, call = call)
    if (has_targets(one)) {
      abort_argument(arg, "the attributions of one target", paste("of", dim(one)[4L], "targets"),
        hint = "Choose one, for example {.code attributions[, , , 1]}.", call = call
      )
    }
    if (!all(is.finite(one))) {
      abort_argument(arg, "finite numbers only", "NaN or infinite ones", call = call)
    }
    check_same_sequences(one, attributions[[1L]], arg, names(attributions)[1L], call)
  }
  attributions
}

check_same_sequences <- function(one, other, arg, name, call) {
  same <- identical(dim(one), dim(other)) && first_position(one) == first_position(other) &&
    identical(observed_bases(one), observed_bases(other))
  if (!same) {
    abort_argument(arg, paste0("of the sequences and positions of \"", name, "\""),
      paste("others, of shape", paste(dim(one), collapse = " x ")),
      call = call
    )
  }
}

check_viewed_sequences <- function(sequence, x, call) {
  n <- dim(x)[1L]
  if (is.null(sequence)) {
    return(seq_len(n))
  }
  known <- if (is.character(sequence)) sequence_names(x) else seq_len(n)
  rows <- if (is.character(sequence) || is.numeric(sequence)) match(sequence, known)
  if (length(rows) == 0L || anyNA(rows) || anyDuplicated(rows) > 0L) {
    abort_argument("sequence", paste("numbers from 1 to", n, "or names of sequences, each once"),
      if (is.null(rows)) describe(sequence) else toString(utils::head(sequence[is.na(rows)], 3L)),
      call = call
    )
  }
  rows
}

# Every kind of tracks as a list of name, values [n, series, bins], series, start, bin_width.
check_tracks <- function(tracks, n, first, last, call) {
  if (is.null(tracks)) {
    return(list())
  }
  if (is.numeric(tracks)) {
    tracks <- list(signal = tracks)
  }
  if (!is.list(tracks) || length(tracks) == 0L || is.null(names(tracks)) ||
    !all(nzchar(names(tracks)))) {
    abort_argument("tracks", "a named list of arrays [n, bins] or [n, series, bins]",
      describe(tracks),
      call = call
    )
  }
  unname(Map(check_track, tracks, names(tracks), MoreArgs = list(n, first, last, call)))
}

check_track <- function(track, name, n, first, last, call) {
  arg <- paste0("tracks$", name)
  given <- if (is.list(track)) track else list(values = track)
  values <- given$values
  shape <- dim(values)
  right <- is.numeric(values) && length(shape) %in% 2:3 && shape[1L] == n && all(shape > 0L)
  if (!right) {
    abort_argument(arg, paste0("numbers [n, bins] or [n, series, bins] of the ", n, " sequence(s)"),
      describe(values),
      call = call
    )
  }
  if (!all(is.finite(values))) {
    abort_argument(arg, "finite numbers only", "NaN or infinite ones", call = call)
  }
  if (length(shape) == 2L) {
    values <- array(values, c(shape[1L], 1L, shape[2L]))
  }
  series <- dimnames(values)[[2L]] %||% paste("series", seq_len(dim(values)[2L]))
  bins <- dim(values)[3L]
  width <- check_count(given$bin_width %||% 1L, paste0(arg, "$bin_width"), call = call)
  room <- last - first + 1L
  if (is.null(given$start) && bins * width > room) {
    abort_argument(arg, paste("at most", room, "positions, as the sequences have"), bins * width,
      hint = "Say where it begins: {.code list(values = , start = )}.", call = call
    )
  }
  start <- given$start %||% (first + (room - bins * width) %/% 2L)
  if (!is.numeric(start) || length(start) != 1L || !is.finite(start) || start != trunc(start)) {
    abort_argument(paste0(arg, "$start"), "one whole number", describe(start), call = call)
  }
  list(name = name, values = values, start = start, bin_width = width, series = series)
}

# Every kind of annotations as a list of name, table (start, end, label, row, strand), notes.
check_marks <- function(annotations, x, first, last, call) {
  if (is.null(annotations)) {
    return(list())
  }
  if (is.data.frame(annotations) || inherits(annotations, "GRanges")) {
    annotations <- list(annotations = annotations)
  }
  if (!is.list(annotations) || is.null(names(annotations)) || !all(nzchar(names(annotations)))) {
    abort_argument("annotations", "a data frame, a GRanges, or a named list of such",
      describe(annotations),
      kind = "annotations", call = call
    )
  }
  values <- array(0, c(dim(x)[1L], 1L, 1L), list(sequence_names(x), NULL, NULL))
  unname(Map(function(one, name) {
    if (inherits(one, "GRanges")) {
      one <- ranges_on_sequences(one, x, first)
    }
    length <- annotated_length(x, first, last)
    table <- check_annotations(one, values, length, call)
    label <- one$name %||% one$motif %||% one$variant %||% one$annotation
    table$label <- if (is.null(label)) rep("", nrow(table)) else as.character(label)
    table$strand <- as.character(one$strand %||% rep("", nrow(table)))
    list(name = name, table = table, notes = mark_notes(one))
  }, annotations, names(annotations)))
}

# Ranges of the genome as positions of the sequences that they lie in; ranges that are named by
# sequences as they are.
ranges_on_sequences <- function(ranges, x, first) {
  own <- attr(x, "ranges", exact = TRUE)
  table <- as.data.frame(unname(ranges))
  table$name <- table$name %||% names(ranges)
  seqnames <- as.character(table$seqnames)
  drop <- c("seqnames", "width")
  if (is.null(own) || all(seqnames %in% sequence_names(x))) {
    table$sequence <- seqnames
    return(table[setdiff(names(table), drop)])
  }
  places <- whole_places(own, first, sequence_length_of(x))
  parts <- lapply(seq_len(nrow(places)), function(i) {
    place <- places[i, ]
    inside <- seqnames == place$seqnames & table$start >= place$start & table$end <= place$end
    part <- table[inside, setdiff(names(table), drop), drop = FALSE]
    minus <- place$strand == "-"
    ends <- part[c("start", "end")]
    part$start <- if (minus) place$end - ends$end + 1L else ends$start - place$start + 1L
    part$end <- if (minus) place$end - ends$start + 1L else ends$end - place$start + 1L
    strand <- as.character(part$strand)
    part$strand <- if (minus) c("+" = "-", "-" = "+", "*" = "*")[strand] else strand
    part$sequence <- rep(i, nrow(part))
    part
  })
  do.call(rbind, parts)
}
