# How sure attributions are: their standard errors over references, and references until they are
# stable. The core forms both the mean and the squared deviations as the references pass by
# (collector.h); here blocks of references are added in the same way.

# Of each sequence as many attributions are looked at: about a motif's worth of letters.
largest_count <- 10L

# Where the user gives none.
default_tolerance <- 0.1

#' Read the standard errors of a result
#'
#' An attribution is a mean over references, and references are drawn at random. Its standard error,
#' the standard deviation over the references divided by the root of their number, says how far it
#' may be from what infinitely many of them would give. It says nothing of the model: for that
#' compare several models, [attribute_models()], whose standard errors are over models.
#'
#' With `n_shuffles = c(min, max)` a sequence has the more references the more they differ. The
#' first k are the same as of `n_shuffles = k` for the same `random_state`, and so are the numbers.
#' As the references end where the standard errors are small, these are a little too small then; the
#' lower `min`, the more so.
#'
#' @param attributions A result of [deep_lift_shap()] with `standard_errors = TRUE`, or of
#'   [attribute_models()]; for `n_references()` any result of [deep_lift_shap()] or another method
#'   that compares with references. Results in HDF5 files too.
#' @return `standard_errors()`: a double array of the shape of the attributions and in their unit,
#'   the unit of the model's output. `n_references()`: whole numbers, how many references each
#'   sequence was compared with, named as the sequences; 0 for methods that compare with none.
#' @section Errors: `seqlift_error_argument` when `attributions` is not such a result;
#'   `seqlift_error_no_standard_errors` when it was computed without them.
#' @references Welford (1962), Note on a method for calculating corrected sums of squares and
#'   products. Chan, Golub and LeVeque (1979), Updating formulae and a pairwise algorithm for
#'   computing sample variances.
#' @seealso [plot_logo()], which draws them; [attribution_quality()].
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2],
#'   n_shuffles = c(5, 40), tolerance = 0.2, standard_errors = TRUE, random_state = 0
#' )
#' n_references(attributions)
#' range(standard_errors(attributions))
#' plot(attributions, start = 230, end = 270)
standard_errors <- function(attributions) {
  errors <- if (inherits(attributions, "seqlift_h5_attributions")) {
    stored <- attributions[["stored"]]
    kept <- read_errors(stored, seq_len(dim(attributions)[1L]))
    if (!is.null(kept)) `dimnames<-`(kept, dimnames(attributions))
  } else {
    check_attributions(attributions, "attributions")
    attr(attributions, "standard_errors", exact = TRUE)
  }
  if (is.null(errors)) {
    abort_seqlift("no_standard_errors", c(
      "{.arg attributions} does not hold standard errors.",
      i = "Compute it with {.code deep_lift_shap(standard_errors = TRUE)}."
    ))
  }
  errors
}

#' @rdname standard_errors
#' @export
n_references <- function(attributions) {
  deltas <- convergence_deltas(attributions)
  stats::setNames(reference_counts(deltas), rownames(deltas))
}

# Of deltas [n, n_refs] or [n, n_refs, n_targets], NA where a sequence did not need a reference.
reference_counts <- function(deltas) {
  shape <- dim(deltas)
  first <- array(deltas, c(shape[1:2], prod(shape[-(1:2)])))[, , 1L, drop = FALSE]
  as.integer(rowSums(matrix(!is.na(first), shape[1L], shape[2L])))
}

# The standard error of each position, [n, L, n_targets], as observed_values() has the numbers; NULL
# where there are none. Of several bases at one position (a soft input) it is not known: NA.
observed_errors <- function(x) {
  errors <- attr(x, "standard_errors", exact = TRUE)
  if (is.null(errors)) {
    return(NULL)
  }
  shape <- dim(errors)
  errors <- array(errors, c(shape[1:3], if (has_targets(x)) shape[4L] else 1L))
  if (attr(x, "kind", exact = TRUE) == "attributions") {
    total <- colSums(aperm(errors, c(2L, 1L, 3L, 4L)))
    total[colSums(aperm(errors > 0, c(2L, 1L, 3L, 4L))) > 1L] <- NA
    return(total)
  }
  bases <- t(observed_bases(x))
  total <- array(0, dim(errors)[-2L])
  for (i in seq_along(attribution_bases)) {
    total <- total + array(errors[, i, , ], dim(total)) * as.vector(bases == attribution_bases[i])
  }
  total
}

errors_line <- function(x) {
  errors <- observed_errors(x)
  if (is.null(errors)) {
    return(NULL)
  }
  over <- attr(x, "info", exact = TRUE)$models
  strongest <- which.max(abs(observed_values(x)))
  paste0(
    "standard errors over ", if (is.null(over)) "references" else paste(over, "models"),
    ", that of the strongest ", format(errors[strongest], digits = 2L)
  )
}

# ---- arguments -----------------------------------------------------------------------

# list(n_shuffles: the most, block, tolerance) for two numbers of references, NULL for one.
check_stable <- function(n_shuffles, tolerance, given, rules, call = caller_env()) {
  if (length(n_shuffles) != 2L) {
    if (!is.null(tolerance)) {
      abort_argument("tolerance", "NULL unless `n_shuffles` are two numbers, c(min, max)",
        describe(tolerance),
        call = call
      )
    }
    return(NULL)
  }
  block <- check_count(n_shuffles[[1L]], "n_shuffles[1]", min = 2, call = call)
  most <- check_count(n_shuffles[[2L]], "n_shuffles[2]", min = block, call = call)
  tolerance <- tolerance %||% default_tolerance
  if (!is.numeric(tolerance) || length(tolerance) != 1L || !is.finite(tolerance) ||
    tolerance <= 0) {
    abort_argument("tolerance", "one number above 0", describe(tolerance), call = call)
  }
  refuse <- function(arg, expected) {
    abort_argument(arg, paste(expected, "where `n_shuffles` are two numbers"),
      describe(given[[arg]]),
      hint = "Sequences have different numbers of references then.", call = call
    )
  }
  for (flag in c("raw_outputs", "return_references")) {
    if (given[[flag]]) {
      refuse(flag, "FALSE")
    }
  }
  if (!is.function(given$references) || inherits(given$references, "seqlift_background")) {
    refuse("references", "a function that draws")
  }
  if (rules == "module") {
    # Its softmax rule looks at the whole batch.
    refuse("rules", "\"operator\"")
  }
  list(n_shuffles = most, block = block, tolerance = tolerance)
}

check_spread <- function(standard_errors, references, n_shuffles, raw_outputs,
                         call = caller_env()) {
  if (!standard_errors) {
    return(invisible())
  }
  if (raw_outputs) {
    abort_argument("standard_errors", "FALSE with `raw_outputs = TRUE`", "TRUE",
      hint = "The result has the numbers of every reference.", call = call
    )
  }
  shape <- dim(references)
  given <- length(shape) == 4L || inherits(references, "seqlift_background")
  n <- if (length(shape) == 4L) shape[2L] else if (given) 1L else n_shuffles
  if (n < 2L) {
    abort_argument(if (given) "references" else "n_shuffles",
      "at least two references with `standard_errors = TRUE`", n,
      call = call
    )
  }
}

# ---- references until stable -----------------------------------------------------------

# As explain_pairs(), of each sequence with as many references as it needs. `draw`: a function of
# sequences, a number and a seed that gives list(references). Deltas and predictions of references
# that a sequence did not need are NA.
explain_until_stable <- function(model, sequences, args, draw, seed, stable, options, call) {
  n <- sequences$n
  total <- NULL
  open <- seq_len(n)
  used <- 0L
  while (length(open) > 0L && used < stable$n_shuffles) {
    block <- min(stable$block, stable$n_shuffles - used)
    part <- pick_sequences(sequences, open)
    references <- draw(part, block, (seed + used) %% 2^32)$references
    found <- explain_pairs(model, part, args_of_rows(args, open, n), references, options, call)
    total <- if (is.null(total)) {
      first_references(found, block, stable$n_shuffles)
    } else {
      add_references(total, found, open, used, block)
    }
    used <- used + block
    unsure <- relative_errors(total, open, used, one_hot_array(part)) > stable$tolerance
    open <- open[unsure]
  }
  counts <- reference_counts(total$deltas)
  total$standard_errors <- sqrt(total$squares / (counts * (counts - 1)))
  total$squares <- NULL
  total
}

# The sum of squared deviations that a standard error of n references comes from.
squared_deviations <- function(errors, n) if (n > 1L) errors^2 * (n * (n - 1)) else errors * 0

# The result of a first block, with room for `most` references.
first_references <- function(found, block, most) {
  found$squares <- squared_deviations(found$standard_errors, block)
  for (name in c("deltas", "reference_predictions")) {
    wide <- array(NA_real_, c(dim(found[[name]])[1L], most, dim(found[[name]])[3L]))
    wide[, seq_len(block), ] <- found[[name]]
    found[[name]] <- wide
  }
  found
}

# `block` more references of the sequences `rows`, which have `used` of them: means and squared
# deviations of two groups become those of both (Chan, Golub and LeVeque 1979).
add_references <- function(total, found, rows, used, block) {
  n <- used + block
  # A last block of one reference has no deviations; the engine's standard error is NaN.
  squares <- if (block > 1L) squared_deviations(found$standard_errors, block) else 0
  change <- found$values - total$values[rows, , , , drop = FALSE]
  total$values[rows, , , ] <- total$values[rows, , , , drop = FALSE] + change * (block / n)
  total$squares[rows, , , ] <- total$squares[rows, , , , drop = FALSE] + squares +
    change^2 * (used * block / n)
  for (name in c("deltas", "reference_predictions")) {
    total[[name]][rows, used + seq_len(block), ] <- found[[name]]
  }
  total$integrated <- unique(c(total$integrated, found$integrated))
  total
}

# The standard errors of the largest attributions of sequences that have n references, as a part of
# these; of several targets the least sure one. X: the sequences, one-hot.
relative_errors <- function(total, rows, n, X) {
  there <- as.vector(X[, seq_len(n_bases), ] != 0)
  at_letters <- function(values) {
    values <- values[rows, , , , drop = FALSE]
    colSums(aperm(values * there, c(2L, 1L, 3L, 4L)))
  }
  values <- abs(at_letters(total$values))
  errors <- at_letters(sqrt(total$squares / (n * (n - 1))))
  shape <- dim(values)
  vapply(seq_len(shape[1L]), function(i) {
    of_targets <- vapply(seq_len(shape[3L]), function(t) {
      largest <- utils::head(order(-values[i, , t]), largest_count)
      error <- sum(errors[i, largest, t])
      if (error > 0) error / sum(values[i, largest, t]) else 0
    }, 0)
    max(of_targets)
  }, 0)
}

# Sequences by number.
pick_sequences <- function(sequences, rows) {
  if (is.null(sequences$codes)) {
    sequences$array <- take_outputs(sequences$array, 1L, rows)
  } else {
    sequences$codes <- sequences$codes[, rows, drop = FALSE]
  }
  sequences$n <- length(rows)
  sequences$names <- sequences$names[rows]
  sequences$ranges <- take_ranges(sequences$ranges, rows, caller_env())
  sequences
}
