# The result of the verbs of perturbation: list(before =, after =), class
# `seqlift_perturbation`. Both hold what `func` returned, an array or a list of arrays. `after` may
# have one axis more than `before`, for what was varied (motifs, annotations, spacings, shuffles).
#
# Attribute `info`, a list:
#   verb         the function that made it
#   what         what was done, in words
#   func         name of the function that was called
#   axes         list(before =, after =): names of the leading axes of every array ("sequence",
#                "motif", "annotation", "spacing", "shuffle"; NA for one that says nothing)
#   varied       NULL, or list(axis =, table =): a data frame with a row for each place on that axis
#   replicates   the axis that means and standard errors are taken over; NULL for none
#
# Attribute `ranges`: a GRanges with a place for each entry of the first axis of `before`, or NULL;
# see sequences_ranges.R.

new_perturbation <- function(before, after, verb, what, func, axes, varied = NULL,
                             replicates = NULL, ranges = NULL, call = caller_env()) {
  check_same_outputs(before, after, axes, call)
  structure(
    list(before = before, after = after),
    class = "seqlift_perturbation",
    info = list(
      verb = verb, what = what, func = func, axes = axes, varied = varied, replicates = replicates
    ),
    ranges = ranges
  )
}

# The name of `func` as the user wrote it.
func_label <- function(expression) {
  if (is.symbol(expression)) as.character(expression) else "a function"
}

check_same_outputs <- function(before, after, axes, call) {
  shapes <- function(x, n_axes) {
    lapply(unname(flatten_outputs(x)), function(one) dim(one)[-seq_len(n_axes)])
  }
  if (!identical(shapes(before, length(axes$before)), shapes(after, length(axes$after)))) {
    abort_seqlift("output",
      "{.arg func} must return results of the same shape before and after.",
      call = call
    )
  }
}

#' Results of perturbations
#'
#' What [marginalize()], [marginalize_annotations()], [ablate()], [ablate_annotations()],
#' [space_motifs()], [substitution_effect()], [deletion_effect()], [insertion_effect()] and
#' [variant_effect()] return: a list with `before` and `after`, the results of `func` for the
#' sequences as they were and as they became, in the units of `func` (of the model's
#' output for [predict()][predict.seqlift_model]).
#'
#' An effect is `after - before`. `as.data.frame()` has every one of them, `summary()` their mean
#' and standard error over the backgrounds:
#'
#' | made by | axes of `before` | axes of `after` | mean over |
#' |---|---|---|---|
#' | `marginalize()` | sequence | sequence | sequences |
#' | `marginalize(motifs = )` | sequence | motif, sequence | sequences |
#' | `marginalize_annotations()` | annotation, sequence | annotation, sequence | sequences |
#' | `ablate()` | sequence | sequence, shuffle | shuffles, then sequences |
#' | `ablate_annotations()` | annotation, 1 | annotation, 1, shuffle | shuffles |
#' | `space_motifs()` | sequence | sequence, spacing | sequences |
#' | variants | sequence | sequence | nothing |
#' | `variant_effect()` | variant | variant | nothing |
#'
#' The axes of what `func` returns for a sequence follow. If it returns a list of arrays, `before`
#' and `after` are such lists. Results that had to be stacked are plain arrays; others keep the
#' class that `func` gave them.
#'
#' @param x,object A result of one of these functions (class `seqlift_perturbation`).
#' @param row.names,optional As in [base::as.data.frame()].
#' @param ... Unused.
#' @return
#' - `as.data.frame()`: a data frame with a row for each number of `after`. Columns: what was varied
#'   (`motif`; `annotation`, `example`, `start`, `end`; `spacing`, or `spacing_1`, `spacing_2` for
#'   several gaps), `sequence` (name, or number where there are none) and `shuffle` where they
#'   apply, where the sequences have places in the genome ([attribution_ranges()]) `range`, that of
#'   the sequence as it was given or of the annotated region, such as `"chr1:1001-1500:+"`, and for
#'   [variant_effect()] `seqnames`, `pos` and `strand`, the place of the first letter of the variant
#'   as it is read; `output` (of several), then the place within the output (`target` in
#'   one `[n, targets]`,
#'   `base` and `position` in attributions, else `index_1`, `index_2`, ...), `before`, `after`,
#'   `effect`.
#' - `summary()`: a data frame with a row for each combination of what was varied, output and
#'   target. Columns: as above without what the mean is over, `n` (over how many), the means
#'   `before`, `after` and `effect`, and `std_error`, that of the mean effect (`NA` for `n = 1`).
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' result <- marginalize(model, demo_sequences()[1:5], motifs = c("AGATAAG", "AGATTAG"))
#' result
#' summary(result)
#' head(as.data.frame(result))
#' @name seqlift_perturbation
NULL

#' @rdname seqlift_perturbation
#' @export
print.seqlift_perturbation <- function(x, ...) {
  info <- attr(x, "info", exact = TRUE)
  cat_text("<seqlift_perturbation> ", info$verb, "(): ", info$what)
  cat_field("function", info$func)
  cat_field("ranges", ranges_line(attr(x, "ranges", exact = TRUE)))
  for (part in c("before", "after")) {
    cat_field(part, shapes_line(x[[part]]))
  }
  cat_field("effect", strongest_effects(summary(x)))
  invisible(x)
}

shapes_line <- function(x) {
  outputs <- flatten_outputs(x)
  shapes <- vapply(outputs, function(one) paste0("[", toString(dim(one)), "]"), character(1L))
  toString(if (is.null(names(outputs))) shapes else paste(names(outputs), shapes))
}

# The largest mean effects with what they belong to.
strongest_effects <- function(effects, count = 3L) {
  top <- utils::head(order(abs(effects$effect), decreasing = TRUE), count)
  rows <- effects[top, , drop = FALSE]
  keys <- setdiff(names(effects), c(
    "n", "before", "after", "effect", "std_error", "start", "end", "range", "seqnames", "pos",
    "strand"
  ))
  # What is the same everywhere tells nothing apart.
  keys <- Filter(function(key) length(unique(effects[[key]])) > 1L, keys)
  labels <- vapply(seq_len(nrow(rows)), function(i) {
    own <- Filter(function(key) !is.na(rows[[key]][i]), keys)
    toString(vapply(own, function(key) paste(key, rows[[key]][i]), character(1L)))
  }, character(1L))
  errors <- ifelse(is.na(rows$std_error), "", sprintf(" (standard error %.2g)", rows$std_error))
  numbers <- sprintf("%+.3g%s", rows$effect, errors)
  paste(if (length(keys) > 0L) paste0(labels, ": ", numbers) else numbers, collapse = "; ")
}

#' @rdname seqlift_perturbation
#' @export
summary.seqlift_perturbation <- function(object, ...) {
  info <- attr(object, "info", exact = TRUE)
  summary_table(table_of_outputs(object, function(before, after, effect) {
    axes <- info$axes$after
    values <- list(before = before, after = after, effect = effect)
    if ("shuffle" %in% axes && !identical(info$replicates, "shuffle")) {
      values <- lapply(values, mean_over, match("shuffle", axes))
      axes <- setdiff(axes, "shuffle")
    }
    if (is.null(info$replicates)) {
      values$std_error <- array(NA_real_, dim(values$effect))
      n <- 1L
    } else {
      axis <- match(info$replicates, axes)
      n <- dim(values$effect)[axis]
      std_error <- standard_error(values$effect, axis)
      values <- c(lapply(values, mean_over, axis), list(std_error = std_error))
      axes <- axes[-axis]
    }
    cbind_before(tidy_arrays(values, axes, info$varied, axis_ranges(object)), "before", list(n = n))
  }))
}

#' @rdname seqlift_perturbation
#' @export
as.data.frame.seqlift_perturbation <- function(x, row.names = NULL, optional = FALSE, ...) {
  info <- attr(x, "info", exact = TRUE)
  result <- table_of_outputs(x, function(before, after, effect) {
    tidy_arrays(
      list(before = before, after = after, effect = effect), info$axes$after, info$varied,
      axis_ranges(x)
    )
  })
  if (!is.null(row.names)) {
    row.names(result) <- row.names
  }
  result
}

# `f(before, after, effect)` for each output, arrays of one shape in, tables out, one above the
# other.
table_of_outputs <- function(x, f) {
  axes <- attr(x, "info", exact = TRUE)$axes
  before <- flatten_outputs(x$before)
  after <- flatten_outputs(x$after)
  tables <- Map(function(one_before, one_after) {
    one_before <- with_target(plain_array(one_before), axes$before)
    one_after <- with_target(plain_array(one_after), axes$after)
    one_before <- spread_before(one_before, one_after, axes)
    f(one_before, one_after, one_after - one_before)
  }, unname(before), unname(after))
  if (length(tables) == 1L) {
    return(tables[[1L]])
  }
  names <- if (is.null(names(after))) as.character(seq_along(after)) else names(after)
  # A number where the outputs are told apart by their place only.
  if (!anyNA(suppressWarnings(as.integer(names)))) {
    names <- as.integer(names)
  }
  tables <- Map(output_column, tables, names)
  columns <- unique(unlist(lapply(tables, names)))
  places <- grep(place_columns, columns, value = TRUE)
  values <- c("n", "before", "after", "effect", "std_error")
  columns <- c(setdiff(columns, c(places, values)), sort(places), intersect(values, columns))
  tables <- lapply(tables, function(table) {
    table[setdiff(columns, names(table))] <- NA
    table[columns]
  })
  do.call(rbind, tables)
}

# The columns that tell the place within an output.
place_columns <- "^(base|position|target|index_[0-9]+)$"

output_column <- function(table, name) {
  first_place <- grep(place_columns, names(table), value = TRUE)[1L]
  cbind_before(table, first_place, list(output = name))
}

cbind_before <- function(table, column, new) {
  at <- match(column, names(table))
  cbind(table[seq_len(at - 1L)], new, table[seq(at, length(table))])
}

# `before` in the shape of `after`: the same for everything along the axes that it does not have.
spread_before <- function(before, after, axes) {
  own <- match(axes$before, axes$after)
  n_axes <- length(axes$after)
  rank <- length(dim(after))
  order <- c(own, seq_len(rank)[-seq_len(n_axes)], setdiff(seq_len(n_axes), own))
  spread <- array(as.vector(before), dim(after)[order])
  result <- aperm(spread, order(order))
  dimnames(result) <- dimnames(after)
  result
}

# One number a sequence is an output with one target.
with_target <- function(x, axes) {
  if (length(dim(x)) > length(axes)) {
    return(x)
  }
  labels <- dimnames(x)
  array(x, c(dim(x), 1L), if (!is.null(labels)) c(labels, list(NULL)))
}

mean_over <- function(x, axis, na.rm = FALSE) {
  kept <- seq_len(length(dim(x)))[-axis]
  means <- colMeans(matrix(aperm(x, c(axis, kept)), nrow = dim(x)[axis]), na.rm = na.rm)
  label_array(array(means, dim(x)[kept]), dimnames(x)[kept])
}

# Of the numbers that are there, with `na.rm`; NA for fewer than two.
standard_error <- function(x, axis, na.rm = FALSE) {
  n <- dim(x)[axis]
  kept <- seq_len(length(dim(x)))[-axis]
  if (n == 1L) {
    return(array(NA_real_, dim(x)[kept]))
  }
  deviation <- matrix(aperm(x, c(axis, kept)), nrow = n)
  deviation <- deviation - rep(colMeans(deviation, na.rm = na.rm), each = n)
  if (na.rm) {
    n <- colSums(!is.na(deviation))
    n[n < 2L] <- NA
  }
  array(sqrt(colSums(deviation^2, na.rm = na.rm) / (n - 1) / n), dim(x)[kept])
}

# Names of the axes behind the leading ones: targets, or bases and positions, or numbered.
name_places <- function(labels, n_axes, rank) {
  n_places <- rank - n_axes
  if (n_places == 1L) {
    return("target")
  }
  if (n_places %in% 2:3 && identical(labels[[n_axes + 1L]], base_letters)) {
    return(c("base", "position", "target")[seq_len(n_places)])
  }
  paste0("index_", seq_len(n_places))
}

# The places in the genome, as text, and the axis along which they are.
axis_ranges <- function(x) {
  ranges <- attr(x, "ranges", exact = TRUE)
  if (is.null(ranges)) {
    return(NULL)
  }
  check_package("GenomicRanges", "A result with ranges")
  list(axis = attr(x, "info", exact = TRUE)$axes$before[1L], text = range_text(ranges))
}

# A data frame of arrays of one shape, the last axis running fastest: leading axes by their names,
# then the place within an output, then the values.
tidy_arrays <- function(values, axes, varied, ranges = NULL) {
  shape <- dim(values[[1L]])
  labels <- dimnames(values[[1L]])
  rank <- length(shape)
  places <- name_places(labels, length(axes), rank)
  columns <- lapply(seq_len(rank), function(axis) {
    name <- c(axes, places)[axis]
    index <- as.vector(aperm(slice.index(values[[1L]], axis), rev(seq_len(rank))))
    if (is.na(name)) {
      return(NULL)
    }
    names <- labels[[axis]]
    if (identical(name, "position") && !is.null(names)) {
      # Those of a window are its names.
      names <- seq.int(first_position(values[[1L]], axis), length.out = length(names))
    }
    column <- if (identical(name, varied$axis)) {
      as.list(varied$table[index, , drop = FALSE])
    } else {
      stats::setNames(list(if (is.null(names)) index else names[index]), name)
    }
    c(column, if (identical(name, ranges$axis)) list(range = ranges$text[index]))
  })
  columns <- do.call(c, columns)
  values <- lapply(values, function(one) as.vector(aperm(one, rev(seq_len(rank)))))
  as.data.frame(c(columns, values), optional = TRUE)
}
