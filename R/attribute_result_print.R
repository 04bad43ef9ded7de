# Results for the eye and as tables: print, summary, data frame, plot. What a result is:
# attribute_result.R.

#' @rdname seqlift_attributions
#' @export
print.seqlift_attributions <- function(x, ...) {
  shape <- dim(x)
  kind <- attr(x, "kind", exact = TRUE)
  sequences <- if (shape[1L] == 1L) "sequence" else "sequences"
  length <- shape[if (kind == "multipliers") 4L else 3L]
  cat_text(
    "<seqlift_attributions> ", attribution_kinds[[kind]], " of ", shape[1L], " ", sequences, " ",
    positions_phrase(x, length), ": [", toString(shape), "]"
  )
  cat_field("method", method_line(x))
  cat_field("model", model_line(x))
  cat_field("ranges", ranges_line(attr(x, "ranges", exact = TRUE)))
  cat_field("convergence", convergence_line(x))
  cat_field("errors", errors_line(x))
  cat_field("integrated", paste(attr(x, "info", exact = TRUE)$integrated, collapse = "; "))
  if (kind != "multipliers" && shape[1L] > 0L) {
    cat_field("strongest", strongest_line(x))
  }
  invisible(x)
}

method_line <- function(x) {
  info <- attr(x, "info", exact = TRUE)
  n_refs <- reference_counts(attr(x, "convergence_deltas", exact = TRUE))
  # A file knows how many there are at most.
  at_most <- !is.null(info$tolerance) && is.null(attr(x, "X", exact = TRUE))
  parts <- c(
    info$method,
    if (!is.null(info$rules)) paste(info$rules, "rules"),
    if (any(n_refs > 0L)) {
      paste(
        paste0(if (at_most) "up to ", paste(unique(range(n_refs)), collapse = " to ")),
        if (all(n_refs == 1L)) "reference" else "references", "a sequence"
      )
    },
    if (!is.null(info$random_state)) {
      paste("random_state", format(info$random_state, scientific = FALSE))
    }
  )
  paste(parts, collapse = ", ")
}

model_line <- function(x) {
  info <- attr(x, "info", exact = TRUE)
  n_targets <- length(info$target)
  paste(c(
    info$model,
    if (n_targets > 0L) {
      paste(if (n_targets == 1L) "target" else "targets", paste(info$target, collapse = ", "))
    },
    info$dtype, info$device,
    if (!is.null(info$seconds)) paste(format(info$seconds, digits = 2L), "s")
  ), collapse = ", ")
}

# Whether the method compares with references at all.
has_references <- function(x) dim(attr(x, "convergence_deltas", exact = TRUE))[2L] > 0L

convergence_line <- function(x) {
  if (!has_references(x) || dim(x)[1L] == 0L) {
    return(NULL)
  }
  largest <- max(abs(attr(x, "convergence_deltas", exact = TRUE)), na.rm = TRUE)
  change <- attr(x, "info", exact = TRUE)$largest_output_change
  what <- "largest change of the output"
  if (is.null(change) && attr(x, "kind", exact = TRUE) == "attributions") {
    change <- max(abs(output_changes(x)))
    what <- "largest mean change of the output"
  }
  paste0(
    "largest |delta| ", format(largest, digits = 2L),
    if (!is.null(change)) paste0(", ", what, " ", format(change, digits = 3L))
  )
}

# Positions of the largest numbers, over all sequences (and targets).
strongest_line <- function(x, count = 3L) {
  values <- observed_values(x)
  top <- utils::head(order(abs(values), decreasing = TRUE), count)
  place <- arrayInd(top, dim(values))
  bases <- observed_bases(x)[place[, 2:1, drop = FALSE]]
  names <- sequence_names(x)
  label <- if (is.null(names)) paste("sequence", place[, 1L]) else names[place[, 1L]]
  paste0(
    label, " ", bases, place[, 2L] + first_position(x) - 1L, " ", sprintf("%+.3g", values[top]),
    collapse = ", "
  )
}

#' @rdname seqlift_attributions
#' @export
summary.seqlift_attributions <- function(object, ...) {
  check_not_multipliers(object, "object")
  values <- observed_values(object)
  shape <- dim(values)
  deltas <- attr(object, "convergence_deltas", exact = TRUE)
  deltas <- array(deltas, c(dim(deltas)[1:2], shape[3L]))
  strongest <- apply(abs(values), c(1L, 3L), which.max)
  row <- rep(seq_len(shape[1L]), shape[3L])
  target <- rep(seq_len(shape[3L]), each = shape[1L])
  names <- sequence_names(object)
  result <- data.frame(
    sequence = if (is.null(names)) row else names[row],
    target = target,
    sum = as.vector(apply(values, c(1L, 3L), sum)),
    output_change = as.vector(output_changes(object)),
    max_delta = as.vector(apply(abs(deltas), c(1L, 3L), max, -Inf, na.rm = TRUE)),
    references = rep(reference_counts(deltas), shape[3L]),
    position = as.vector(strongest) + first_position(object) - 1L,
    base = observed_bases(object)[cbind(as.vector(strongest), row)],
    attribution = values[cbind(row, as.vector(strongest), target)]
  )
  errors <- observed_errors(object)
  result$standard_error <- errors[cbind(row, as.vector(strongest), target)]
  if (length(unique(result$references)) < 2L) {
    result$references <- NULL
  }
  if (!has_targets(object)) {
    result$target <- NULL
  }
  if (attr(object, "kind", exact = TRUE) != "attributions" || !has_references(object)) {
    result$output_change <- NULL
  }
  if (!has_references(object)) {
    result$max_delta <- NULL
  }
  structure(
    result,
    class = c("seqlift_attributions_summary", "data.frame"),
    kind = attr(object, "kind", exact = TRUE)
  )
}

# Of a summary of many sequences the first are printed.
summary_rows <- 20L

#' @export
print.seqlift_attributions_summary <- function(x, digits = 3L, ...) {
  cat_text("Attributions by sequence (`position`, `base`, `attribution`: the strongest position)")
  print_table(as.data.frame(unclass(x)), summary_rows, digits)
  invisible(x)
}

#' @rdname seqlift_attributions
#' @export
as.data.frame.seqlift_attributions <- function(x, row.names = NULL, optional = FALSE, ...,
                                               all_bases = FALSE) {
  check_flag(all_bases, "all_bases")
  if (attr(x, "kind", exact = TRUE) == "effects" && !all_bases) {
    x <- mean_effects(x)
  }
  shape <- dim(x)
  multipliers <- attr(x, "kind", exact = TRUE) == "multipliers"
  n_refs <- if (multipliers) shape[2L] else 1L
  n_targets <- if (has_targets(x)) shape[length(shape)] else 1L
  bases <- observed_bases(x)
  by_base <- function(values) {
    array(values, c(shape[1L], n_refs, 4L, nrow(bases), n_targets)) |> aperm(c(3L, 4L, 2L, 5L, 1L))
  }
  values <- by_base(as.array(x))
  errors <- attr(x, "standard_errors", exact = TRUE)
  errors <- if (!is.null(errors)) {
    # [n, L, targets] as [L, 1, targets, n], as `values` have them.
    if (all_bases) by_base(errors) else aperm(observed_errors(x), c(2L, 3L, 1L))
  }
  if (!all_bases) {
    values <- if (attr(x, "kind", exact = TRUE) == "attributions") {
      array(colSums(values), c(1L, dim(values)[-1L]))
    } else {
      pick_observed(values, bases)
    }
  }
  place <- lapply(seq_along(dim(values)), function(i) as.vector(slice.index(values, i)))
  names <- sequence_names(x)
  genome <- genomic_positions(attr(x, "ranges", exact = TRUE), place[[5L]], place[[2L]])
  result <- list(
    sequence = if (is.null(names)) place[[5L]] else names[place[[5L]]],
    target = if (n_targets > 1L) place[[4L]],
    reference = if (multipliers) place[[3L]],
    position = place[[2L]] + first_position(x) - 1L,
    seqnames = genome$seqnames, pos = genome$pos, strand = genome$strand,
    base = if (all_bases) {
      attribution_bases[place[[1L]]]
    } else {
      bases[cbind(place[[2L]], place[[5L]])]
    }
  )
  result[[if (multipliers) "multiplier" else "attribution"]] <- as.vector(values)
  result$standard_error <- if (!is.null(errors)) as.vector(errors)
  result <- as.data.frame(Filter(Negate(is.null), result), optional = optional)
  if (!is.null(row.names)) {
    row.names(result) <- row.names
  }
  result
}

# Of values [4, L, n_refs, n_targets, n] those of the observed base, [1, L, ...]; an N
# has no observed base: zero.
pick_observed <- function(values, bases) {
  shape <- dim(values)
  picked <- array(0, shape[-1L])
  for (i in seq_along(attribution_bases)) {
    shown <- as.vector(bases == attribution_bases[i])
    shown <- array(shown, c(shape[c(2L, 5L)], shape[3:4])) |> aperm(c(1L, 3L, 4L, 2L))
    picked <- picked + array(values[i, , , , ], shape[-1L]) * shown
  }
  dim(picked) <- c(1L, shape[-1L])
  picked
}

#' @rdname seqlift_attributions
#' @export
plot.seqlift_attributions <- function(x, sequence = 1L, start = NULL, end = NULL, ...) {
  plot_logo(x, start = start, end = end, sequence = sequence, ...)
}
