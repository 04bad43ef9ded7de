# What plotly::ggplotly() makes of the plots: every layer that draws something is there, as often as
# it is in the ggplot. The rows are all plots of the package.

made_plots <- function() {
  model <- load_model(model_path("tiny"))
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC", three = "TTGCAAGTCCAG")
  found <- deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0, standard_errors = TRUE)
  effects <- taylor_ism(model, X)
  site <- data.frame(start = 3L, end = 8L, name = "site")
  after <- marginalize(model, X, "GATA")
  spaced <- space_motifs(model, X, c("GATA", "CC"), 1:3)
  labelled <- data.frame(
    example = c(1L, 1L, 2L, 2L), annotation = c(1L, 2L, 1L, 2L), start = c(1L, 7L, 3L, 8L),
    end = c(4L, 9L, 6L, 10L)
  )
  weights <- list(a = 4 * diag(4L) + 0.1, b = 4 * diag(4L)[, 4:1] + 0.1)
  hits <- call_hits(found, weights)
  design <- greedy_substitution(
    model, X[1L], motifs = c("GATA", "CC"), max_iter = 2L, y = array(1, c(1L, 3L))
  )
  list(
    logo = plot_logo(found, sequence = 1L, annotations = site, info = TRUE),
    `logo of several` = plot_logo(effects, annotations = site),
    `logo as bars` = plot_logo(matrix(rep(c(1, 0, 0, -1), 400L), 4L)),
    global = plot_global(found, "G", flank = 3L),
    `global line` = plot_global(list(a = found, b = found), flank = NULL, letters = FALSE),
    heatmap = plot_heatmap(effects, sequence = 2L),
    `heatmap of several` = plot_heatmap(effects),
    deltas = plot_deltas(found),
    marginalization = plot(after),
    spacing = plot_spacing(spaced),
    map = plot(dependency_map(model, X[1L])),
    pisa = plot(pisa(model, X, n_shuffles = 2L)),
    design = plot(design),
    audit = plot(audit_model(model, X)),
    quality = plot(attribution_quality(model, X, found, steps = 4L, perturbed_width = 2L)),
    hits = plot(hits), `hits of sequences` = plot(hits, "sequences"), pairs = plot(hits, "pairs"),
    counts = plot_annotation_counts(labelled), `annotation pairs` = plot_annotation_pairs(labelled),
    `annotation spacing` = plot_annotation_spacing(labelled)
  )
}

# By the shoelace formula.
outline_area <- function(x, y) abs(sum(x * c(y[-1L], y[1L]) - c(x[-1L], x[1L]) * y)) / 2

# How many numbers and texts a plot has in plotly, NULL where it cannot be made; and warnings on the
# way.
drawn_in_plotly <- function(plot) {
  warned <- character()
  traces <- withCallingHandlers(
    tryCatch(plotly::plotly_build(plotly::ggplotly(plot))$x$data, error = function(error) NULL),
    warning = function(warning) {
      warned <<- c(warned, conditionMessage(warning))
      invokeRestart("muffleWarning")
    }
  )
  points <- vapply(traces, function(trace) {
    sum(is.finite(unlist(trace$x))) + length(unlist(trace$z)) + !is.null(trace$text)
  }, 0)
  list(points = if (!is.null(traces)) sum(points), warned = warned)
}

test_that("ggplotly drops no layer of any plot", {
  skip_if_not_installed("plotly")
  plots <- made_plots()
  for (name in names(plots)) {
    plot <- plots[[name]]
    expect_s3_class(plot, "ggplot")
    whole <- drawn_in_plotly(plot)
    expect_gt(whole$points, 0, label = name)
    expect_false(any(grepl("yet to be implemented|ignored|[Uu]nknown", whole$warned)), info = name)
    built <- ggplot2::ggplot_build(plot)$data
    # Those that only say how far the axes and panels reach.
    blank <- vapply(plot$layers, function(layer) inherits(layer$geom, "GeomBlank"), NA)
    for (i in seq_along(plot$layers)) {
      if (blank[i] || nrow(built[[i]]) == 0L) next
      part <- function(layers) {
        one <- plot
        one$layers <- plot$layers[layers]
        drawn_in_plotly(one)$points
      }
      # Alone, or, where the others have the panels and axes, by what is missing without it.
      own <- part(blank | seq_along(blank) == i) %||% (whole$points - part(seq_along(blank) != i))
      expect_gt(own, 0, label = paste(name, class(plot$layers[[i]]$geom)[1L], i))
    }
  }
})

test_that("letters keep their outlines in plotly, the hole of an A too", {
  skip_if_not_installed("plotly")
  plot <- plot_logo(matrix(c(1, 0, 0, 0), 4L))
  traces <- plotly::plotly_build(plotly::ggplotly(plot))$x$data
  letters <- Filter(function(trace) identical(trace$fill, "toself"), traces)
  expect_length(letters, 1L)
  outline <- letter_outline("A", logo_detail(1L))
  x <- letters[[1L]]$x
  y <- letters[[1L]]$y
  n <- length(outline$x)
  expect_equal(y[seq_len(n)], outline$y)
  expect_false(anyNA(x[seq_len(n)]))
  # The area inside by the shoelace formula is that without the hole.
  expect_equal(
    outline_area(outline$x, outline$y),
    outline_area(x[seq_len(n)], y[seq_len(n)]) / logo_letter_width(1L)
  )
})

test_that("everything is added to as to any ggplot", {
  for (plot in made_plots()) {
    changed <- plot + ggplot2::theme_bw() + ggplot2::labs(title = "another")
    expect_identical(changed$labels$title, "another")
  }
})
