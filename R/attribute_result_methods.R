# What plot(), summary() and as.data.frame() say of results that have no page of their own for
# them, or why they say nothing.

#' Tables and figures of results
#'
#' `plot()`, `summary()` and `as.data.frame()` of what the package returns. Where a result has no
#' figure or table that would mean something, they are errors that say what to use.
#'
#' | class | `as.data.frame()` | `summary()` | `plot()` |
#' |---|---|---|---|
#' | `seqlift_pisa` | a row for each sequence, output and position | a row for each output | a heatmap of outputs by positions |
#' | `seqlift_dependency_map` | a row for each pair of positions | a row for each sequence | see [plot_dependency_map()] |
#' | `seqlift_audit` | the table, plain | a row for each kind and rule | the operations' shares of the delta |
#' | `seqlift_design` | the edits, or the sequences with their losses | the same as `print()` | the loss after each edit |
#' | `seqlift_h5_attributions` | of the sequences that are read, `x[i, , ]` | none | a logo of one sequence |
#' | `seqlift_layer_attributions` | a row for each number | a row for each sequence | none |
#' | `seqlift_literature` | the table, plain | a row for each use | none |
#' | `seqlift_state_dict` | a row for each tensor | the same as `print()` | none |
#' | `seqlift_model` | none | the same as `print()` | none |
#'
#' @param x,object A result.
#' @param row.names,optional As in [base::as.data.frame()].
#' @param sequence Which sequence to draw: a number (1-based) or a name. Default: the first.
#' @param ... Not used; for `plot()` of HDF5 attributions what [plot_logo()] takes.
#' @return `as.data.frame()` and `summary()`: a data frame, or for what prints itself `object`.
#'   Attributions have the unit of the model's output, positions count from 1. `plot()`: a ggplot.
#' @section Errors: `seqlift_error_argument` where there is no such figure or table, or a `sequence`
#'   that does not exist.
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0))
#' influence <- pisa(select_output(model, 1), demo_sequences()[1],
#'   outputs = 200:230, n_shuffles = 2, random_state = 0
#' )
#' head(summary(influence))
#' plot(influence)
#' @name seqlift_results
NULL

refuse_method <- function(what, x, hint, call = caller_env()) {
  abort_seqlift("argument", c(
    "There is no {what} of an object of class {.cls {class(x)[1L]}}.",
    i = hint
  ), call = call)
}

# Names of rows, or their numbers.
sequence_labels_of <- function(x) dimnames(x)[[1L]] %||% seq_len(dim(x)[1L])

# A data frame whose print() keeps to the console's width, and to the top rows of a long one.
summary_table <- function(...) {
  table <- data.frame(..., row.names = NULL)
  class(table) <- c("seqlift_summary", class(table))
  table
}

#' @export
print.seqlift_summary <- function(x, digits = 3L, ...) {
  print_table(as.data.frame(unclass(x)), summary_rows, digits)
  invisible(x)
}

with_row_names <- function(table, row.names) {
  if (!is.null(row.names)) {
    row.names(table) <- row.names
  }
  table
}

check_shown_row <- function(sequence, x, call = caller_env()) {
  n <- dim(x)[1L]
  names <- dimnames(x)[[1L]]
  row <- if (is.character(sequence)) match(sequence, names) else match(sequence, seq_len(n))
  if (length(row) != 1L || is.na(row)) {
    abort_argument("sequence", paste("one number from 1 to", n, "or a name"), describe(sequence),
      hint = count_hint(sequence, "sequence"), call = call
    )
  }
  row
}

# ---- PISA ----------------------------------------------------------------------------

# What is there at each position, [n, outputs, L].
pisa_positions <- function(x, call = caller_env()) {
  if (attr(x, "kind", exact = TRUE) == "multipliers") {
    abort_argument("x", "attributions", "multipliers (the result of `raw_outputs = TRUE`)",
      call = call
    )
  }
  values <- as.array(x)
  positions <- colSums(aperm(values, c(3L, 1L, 2L, 4L)))
  array(positions, dim(values)[-3L], dimnames(values)[-3L])
}

#' @rdname seqlift_results
#' @export
as.data.frame.seqlift_pisa <- function(x, row.names = NULL, optional = FALSE, ...) {
  values <- pisa_positions(x)
  outputs <- attr(x, "outputs", exact = TRUE)
  with_row_names(data.frame(
    sequence = sequence_labels_of(x)[as.vector(slice.index(values, 1L))],
    output = outputs[as.vector(slice.index(values, 2L))],
    position = as.vector(slice.index(values, 3L)),
    attribution = as.vector(values)
  ), row.names)
}

#' @rdname seqlift_results
#' @export
summary.seqlift_pisa <- function(object, ...) {
  values <- pisa_positions(object)
  strongest <- apply(abs(values), 1:2, which.max)
  row <- as.vector(row(strongest))
  output <- as.vector(col(strongest))
  summary_table(
    sequence = sequence_labels_of(object)[row],
    output = attr(object, "outputs", exact = TRUE)[output],
    sum = as.vector(apply(values, 1:2, sum)),
    max_delta = as.vector(apply(abs(convergence_deltas(object)), c(1L, 3L), max)),
    position = as.vector(strongest),
    attribution = values[cbind(row, output, as.vector(strongest))]
  )
}

#' @rdname seqlift_results
#' @export
plot.seqlift_pisa <- function(x, sequence = 1L, ...) {
  check_no_dots(..., .fn = "plot")
  row <- check_shown_row(sequence, x)
  values <- pisa_positions(x)
  values <- matrix(values[row, , ], nrow = dim(values)[2L])
  outputs <- attr(x, "outputs", exact = TRUE)
  cells <- data.frame(
    position = as.vector(col(values)), output = outputs[as.vector(row(values))],
    value = as.vector(values)
  )
  ggplot2::ggplot(cells, ggplot2::aes(.data$position, .data$output, fill = .data$value)) +
    ggplot2::geom_tile(width = 1, height = 1) +
    diverging_fill(values, "Attribution") +
    ggplot2::scale_x_continuous(breaks = whole_breaks, expand = c(0, 0)) +
    ggplot2::scale_y_continuous(breaks = whole_breaks, expand = c(0, 0)) +
    ggplot2::labs(
      x = "Position (bp)", y = "Output", title = as.character(sequence_labels_of(x)[row])
    ) +
    logo_theme()
}

# ---- dependency maps -----------------------------------------------------------------

#' @rdname seqlift_results
#' @export
as.data.frame.seqlift_dependency_map <- function(x, row.names = NULL, optional = FALSE, ...) {
  values <- unclass(x)
  start <- attr(x, "start", exact = TRUE)
  first <- as.vector(slice.index(values, 2L))
  second <- as.vector(slice.index(values, 3L))
  table <- data.frame(
    sequence = sequence_labels_of(x)[as.vector(slice.index(values, 1L))],
    first = first + start - 1L, second = second + start - 1L, interaction = as.vector(values)
  )
  # The map is symmetric.
  with_row_names(`rownames<-`(table[first < second, ], NULL), row.names)
}

#' @rdname seqlift_results
#' @export
summary.seqlift_dependency_map <- function(object, ...) {
  pairs <- as.data.frame(object)
  strongest <- lapply(split(pairs, factor(pairs$sequence, unique(pairs$sequence))), function(own) {
    own[which.max(own$interaction), ]
  })
  table <- do.call(rbind, strongest)
  summary_table(
    table,
    mean = vapply(split(pairs$interaction, factor(pairs$sequence, unique(pairs$sequence))), mean, 0)
  )
}

# ---- audits --------------------------------------------------------------------------

#' @rdname seqlift_results
#' @export
as.data.frame.seqlift_audit <- function(x, row.names = NULL, optional = FALSE, ...) {
  attributes(x) <- attributes(x)[c("names", "row.names")]
  class(x) <- "data.frame"
  with_row_names(x, row.names)
}

#' @rdname seqlift_results
#' @export
summary.seqlift_audit <- function(object, ...) {
  table <- as.data.frame(object)
  key <- paste(table$kind, table$rule, sep = "\r")
  groups <- split(table, factor(key, unique(key)))
  summary_table(
    kind = vapply(groups, function(own) own$kind[1L], ""),
    rule = vapply(groups, function(own) own$rule[1L], ""),
    operations = vapply(groups, nrow, 1L),
    supported = vapply(groups, function(own) all(own$supported), NA),
    faithful = vapply(groups, function(own) all(own$faithful), NA),
    delta = vapply(groups, function(own) sum(own$delta), 0)
  )
}

#' @rdname seqlift_results
#' @export
plot.seqlift_audit <- function(x, ...) {
  check_no_dots(..., .fn = "plot")
  table <- as.data.frame(x)
  table$label <- trimws(paste(table$op, table$module))
  table$label <- factor(make.unique(table$label, sep = " "))
  table <- utils::head(table[order(-table$delta), ], 30L)
  table$label <- factor(table$label, levels = rev(as.character(table$label)))
  ggplot2::ggplot(table, ggplot2::aes(.data$delta, .data$label)) +
    ggplot2::geom_col(fill = stage_colours[["after"]]) +
    ggplot2::scale_y_discrete(labels = function(names) shorten(names, heatmap_name_width)) +
    ggplot2::labs(x = "Mean |local delta| (units of the output)", y = NULL) +
    logo_theme()
}

# ---- designs -------------------------------------------------------------------------

#' @rdname seqlift_results
#' @export
as.data.frame.seqlift_design <- function(x, row.names = NULL, optional = FALSE, ...) {
  table <- x$edits
  if (is.null(table)) {
    table <- data.frame(sequence = unname(x$sequences), loss = x$loss)
  }
  with_row_names(table, row.names)
}

#' @rdname seqlift_results
#' @export
summary.seqlift_design <- function(object, ...) object

#' @rdname seqlift_results
#' @export
plot.seqlift_design <- function(x, ...) {
  check_no_dots(..., .fn = "plot")
  if (is.null(x$edits) || is.null(x$initial_loss) || is.null(x$edits$loss)) {
    table <- data.frame(step = seq_along(x$loss), loss = x$loss)
    label <- "Sequence, the best first"
  } else {
    table <- data.frame(step = seq(0L, nrow(x$edits)), loss = c(x$initial_loss, x$edits$loss))
    label <- "Edits made"
  }
  ggplot2::ggplot(table, ggplot2::aes(.data$step, .data$loss)) +
    ggplot2::geom_line(linewidth = 0.5, colour = stage_colours[["after"]]) +
    ggplot2::geom_point(size = 1.5, colour = stage_colours[["after"]]) +
    ggplot2::scale_x_continuous(breaks = whole_breaks) +
    ggplot2::labs(x = label, y = "Loss") +
    logo_theme()
}

# ---- attributions on disk ------------------------------------------------------------

#' @rdname seqlift_results
#' @export
plot.seqlift_h5_attributions <- function(x, sequence = 1L, ...) {
  row <- check_shown_row(sequence, x)
  rest <- rep(list(TRUE), length(dim(x)) - 1L)
  plot(do.call(`[`, c(list(x, row), rest, list(drop = FALSE))), ...)
}

#' @rdname seqlift_results
#' @export
summary.seqlift_h5_attributions <- function(object, ...) {
  refuse_method("summary", object,
    "The file may hold more than memory does. Read some first, {.code summary(x[1:10, , ])}."
  )
}

#' @rdname seqlift_results
#' @export
as.data.frame.seqlift_h5_attributions <- function(x, row.names = NULL, optional = FALSE, ...) {
  refuse_method("data frame", x,
    "The file may hold more than memory does. Read some first,
     {.code as.data.frame(x[1:10, , ])}."
  )
}

# ---- layers --------------------------------------------------------------------------

#' @rdname seqlift_results
#' @export
print.seqlift_layer_attributions <- function(x, ...) {
  cat_text(
    "<seqlift_layer_attributions> of ", attr(x, "layer", exact = TRUE), ": [", toString(dim(x)), "]"
  )
  cat_field("ranges", ranges_line(attr(x, "ranges", exact = TRUE)))
  deltas <- convergence_deltas(x)
  if (length(deltas) > 0L) {
    cat_field("convergence", paste("largest |delta|", format(max(abs(deltas)), digits = 2L)))
  }
  values <- as.array(x)
  cat_field("numbers", paste(
    "from", format(min(values), digits = 3L), "to", format(max(values), digits = 3L)
  ))
  invisible(x)
}

#' @rdname seqlift_results
#' @export
as.data.frame.seqlift_layer_attributions <- function(x, row.names = NULL, optional = FALSE, ...) {
  values <- as.array(x)
  places <- lapply(seq_along(dim(values))[-1L], function(axis) as.vector(slice.index(values, axis)))
  names(places) <- if (length(places) == 1L) {
    "unit"
  } else {
    c("channel", "position", paste0("index_", seq_along(places)))[seq_along(places)]
  }
  table <- data.frame(
    sequence = sequence_labels_of(x)[as.vector(slice.index(values, 1L))], places,
    attribution = as.vector(values)
  )
  with_row_names(table, row.names)
}

#' @rdname seqlift_results
#' @export
summary.seqlift_layer_attributions <- function(object, ...) {
  values <- as.array(object)
  rows <- matrix(values, nrow = dim(values)[1L])
  summary_table(
    sequence = sequence_labels_of(object), sum = rowSums(rows), lowest = apply(rows, 1L, min),
    highest = apply(rows, 1L, max)
  )
}

#' @rdname seqlift_results
#' @export
plot.seqlift_layer_attributions <- function(x, ...) {
  refuse_method("figure", x, "{.code as.data.frame(x)} is a table to draw from.")
}

# ---- models and weights --------------------------------------------------------------

#' @rdname seqlift_results
#' @export
as.data.frame.seqlift_state_dict <- function(x, row.names = NULL, optional = FALSE, ...) {
  fields <- unclass(x)
  with_row_names(data.frame(
    name = fields$names, type = fields$dtypes,
    shape = vapply(fields$shapes, paste, "", collapse = " x "),
    numbers = vapply(fields$shapes, prod, 0)
  ), row.names)
}

#' @rdname seqlift_results
#' @export
summary.seqlift_state_dict <- function(object, ...) object

#' @rdname seqlift_results
#' @export
plot.seqlift_state_dict <- function(x, ...) {
  refuse_method("figure", x, "{.code x$name} is a tensor, an array to draw from.")
}

#' @rdname seqlift_results
#' @export
summary.seqlift_model <- function(object, ...) object

#' @rdname seqlift_results
#' @export
as.data.frame.seqlift_model <- function(x, row.names = NULL, optional = FALSE, ...) {
  refuse_method("data frame", x,
    "{.code audit_model(model, X)} is a table of its operations, {.code model$info$modules} the
     paths of its modules."
  )
}

#' @rdname seqlift_results
#' @export
plot.seqlift_model <- function(x, ...) {
  refuse_method("figure", x,
    "Explain it first: {.code plot_logo(deep_lift_shap(model, X))}; {.code print(model)} describes
     it."
  )
}
