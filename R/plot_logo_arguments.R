# The arguments of plot_logo(), checked, in the form that it draws.

# All kinds of input as numbers [n, 4, L].
check_logo_values <- function(attributions, call = caller_env()) {
  check_if_attributions(attributions, "attributions", call)
  if (inherits(attributions, "seqlift_attributions")) {
    check_not_multipliers(attributions, "attributions", call = call)
    if (has_targets(attributions)) {
      abort_argument("attributions", "the attributions of one target",
        paste("of", dim(attributions)[4L], "targets"),
        hint = "Choose one, for example {.code attributions[, , , 1]}.", call = call
      )
    }
  }
  shape <- dim(attributions)
  rank <- length(shape)
  right_shape <- is.numeric(attributions) && rank %in% 2:3 &&
    shape[max(rank - 1L, 1L)] == 4L && all(shape > 0L)
  if (!right_shape) {
    abort_argument("attributions",
      "a numeric matrix [4, L], an array [n, 4, L] or a result of deep_lift_shap()",
      describe(attributions),
      call = call
    )
  }
  values <- plain_numbers(attributions)
  if (rank == 2L) {
    values <- array(values, c(1L, shape))
  }
  if (!all(is.finite(values))) {
    place <- arrayInd(which(!is.finite(values))[1L], dim(values))
    abort_argument("attributions", "finite numbers only",
      paste0(
        values[place], " (sequence ", place[1L], ", ", attribution_bases[place[2L]],
        " at position ", place[3L] + first_position(attributions, axis = rank) - 1L, ")"
      ),
      call = call
    )
  }
  values
}

check_logo_colours <- function(colours, call = caller_env()) {
  if (is.null(colours)) {
    return(logo_colours)
  }
  expected <- "one colour, or colours named by A, C, G and T"
  if (!is.character(colours) || length(colours) == 0L) {
    abort_argument("colours", expected, describe(colours), call = call)
  }
  if (is.null(names(colours)) && length(colours) == 1L) {
    colours <- stats::setNames(rep(colours, 4L), attribution_bases)
  }
  named <- names(colours)
  if (is.null(named) || !all(named %in% attribution_bases)) {
    got <- if (is.null(named)) paste(length(colours), "without names") else toString(named)
    abort_argument("colours", expected, got, call = call)
  }
  known <- vapply(colours, is_colour, logical(1L))
  if (!all(known)) {
    abort_argument("colours", "colours that R knows", toString(colours[!known]), call = call)
  }
  result <- logo_colours
  result[named] <- colours
  result
}

# Zero is always on the axis.
check_logo_limits <- function(limits, call = caller_env()) {
  if (is.null(limits)) {
    return(c(0, 0))
  }
  if (!is.numeric(limits) || length(limits) != 2L || !all(is.finite(limits)) ||
    limits[1L] > limits[2L]) {
    abort_argument("limits", "two numbers, the lower first", describe(limits), call = call)
  }
  limits
}

# The standard errors [n, L] to draw, NULL for none.
check_drawn_errors <- function(standard_errors, attributions, call = caller_env()) {
  if (!is.null(standard_errors)) {
    check_flag(standard_errors, "standard_errors", call = call)
  }
  known <- inherits(attributions, "seqlift_attributions")
  errors <- if (known) observed_errors(attributions)
  of_letters <- known && attr(attributions, "kind", exact = TRUE) == "attributions"
  if (isTRUE(standard_errors) && is.null(errors)) {
    abort_seqlift("no_standard_errors", c(
      "{.arg attributions} does not hold standard errors that could be drawn.",
      i = "Compute it with {.code deep_lift_shap(standard_errors = TRUE)}."
    ), call = call)
  }
  if (isTRUE(standard_errors) && !of_letters) {
    abort_argument("standard_errors", "FALSE for hypothetical attributions, stacks of letters",
      "TRUE",
      call = call
    )
  }
  if (of_letters && !is.null(errors) && !isFALSE(standard_errors)) {
    matrix(errors, dim(errors)[1L])
  }
}

# A line of text for each sequence drawn, NULL for none.
logo_info <- function(info, attributions, rows, call = caller_env()) {
  if (isFALSE(info)) {
    return(NULL)
  }
  # Of several models the lines are there.
  if (inherits(info, "AsIs") && is.character(info)) {
    return(unclass(info)[rows])
  }
  n <- if (length(dim(attributions)) == 2L) 1L else dim(attributions)[1L]
  predictions <- check_logo_predictions(info, n, call)
  if (!inherits(attributions, "seqlift_attributions")) {
    abort_argument("attributions", "a result of an attribution method where `info` is asked for",
      describe(attributions),
      call = call
    )
  }
  part <- function(words, values, form = "%.3g") paste(words, sprintf(form, values[rows]))
  sums <- rowSums(matrix(observed_values(attributions), n))
  kind <- attr(attributions, "kind", exact = TRUE)
  compared <- has_references(attributions)
  change <- if (compared && kind == "attributions") as.vector(output_changes(attributions))
  deltas <- if (compared) {
    apply(abs(attr(attributions, "convergence_deltas", exact = TRUE)), 1L, max, na.rm = TRUE)
  }
  parts <- list(
    if (!is.null(predictions)) part("prediction", predictions),
    if (!is.null(predictions) && !is.null(change)) part("references", predictions - change),
    if (!is.null(change)) part("change", change, "%+.3g"),
    part("sum", sums, "%+.3g"), if (!is.null(deltas)) part("largest |delta|", deltas, "%.1e")
  )
  do.call(paste, c(Filter(Negate(is.null), parts), sep = ", "))
}

# One number for each of `n` sequences, or NULL where `info` asks for what is there alone.
check_logo_predictions <- function(info, n, call) {
  if (isTRUE(info)) {
    return(NULL)
  }
  if (!is.numeric(info) || length(info) != n || !all(is.finite(info))) {
    abort_argument("info", paste("TRUE, FALSE or", n, if (n == 1L) "prediction" else "predictions"),
      describe(info),
      call = call
    )
  }
  as.vector(info)
}

is_colour <- function(colour) {
  tryCatch(is.matrix(grDevices::col2rgb(colour)), error = function(condition) FALSE)
}

check_logo_sequence <- function(sequence, values, call = caller_env()) {
  n <- dim(values)[1L]
  names <- dimnames(values)[[1L]]
  if (is.null(sequence)) {
    rows <- seq_len(n)
  } else {
    if (!is.character(sequence) && !is.numeric(sequence)) {
      abort_argument("sequence", paste("numbers from 1 to", n, "or names of sequences"),
        describe(sequence),
        call = call
      )
    }
    rows <- if (is.character(sequence)) match(sequence, names) else match(sequence, seq_len(n))
    if (length(rows) == 0L || anyNA(rows)) {
      abort_argument("sequence", paste("numbers from 1 to", n, "or names of sequences"),
        toString(utils::head(sequence[is.na(rows)], 3L)),
        hint = count_hint(sequence, "sequence"), call = call
      )
    }
  }
  if (length(rows) > logo_max_panels) {
    abort_argument("sequence", paste("at most", logo_max_panels, "sequences for one plot"),
      length(rows),
      hint = "Choose some, for example {.code sequence = 1:8}.", call = call
    )
  }
  rows
}
