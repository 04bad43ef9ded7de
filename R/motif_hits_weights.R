# Motifs as hit calling lays them: weights of unit size, trimmed, each followed by its reverse
# complement.

# list(weights [4, width, 2 n], widths, firsts, ends, lambdas: what the core takes; table: a row for
# each motif; cwms [[n]]: its whole weights [4, width] of unit size; patterns: where they come from,
# or NULL).
hit_motifs <- function(motifs, mode, lambda, trim_threshold, sqrt_transform, length, call) {
  motifs <- if (is.character(motifs)) read_motifs(check_file(motifs, "motifs", call)) else motifs
  patterns <- if (inherits(motifs, "seqlift_motifs")) unclass(motifs)
  if (!is.null(patterns) && length(patterns) == 0L) {
    abort_argument("motifs", "at least one motif", "none", call = call)
  }
  # The ends are cut by the contributions, whichever weights are laid.
  trimmed_by <- hit_weights(motifs, "contributions", call)
  weights <- if (startsWith(mode, "h") && !is.null(patterns)) {
    hit_weights(motifs, "hypothetical", call)
  } else {
    trimmed_by
  }
  names <- names_of_inputs(names(weights), length(weights), "motifs", call)
  widths <- vapply(weights, ncol, 1L, USE.NAMES = FALSE)
  check_hit_motifs(trimmed_by, names, widths, length, call)
  lambda <- hit_lambdas(lambda, names, call)
  scales <- vapply(weights, function(motif) sqrt(sum(motif^2)), 0, USE.NAMES = FALSE)
  bounds <- vapply(trimmed_by, function(motif) {
    range(trimmed_positions(t(motif), trim_threshold))
  }, c(1, 1), USE.NAMES = FALSE)
  cwms <- Map(function(motif, scale) motif / scale, unname(weights), scales)
  laid <- array(0, c(n_bases, max(widths), 2L * length(cwms)))
  for (i in seq_along(cwms)) {
    kept <- seq(bounds[1L, i], bounds[2L, i])
    cut <- cwms[[i]]
    cut[, -kept] <- 0
    if (sqrt_transform) {
      cut <- sign(cut) * sqrt(abs(cut))
      cut <- cut / sqrt(sum(cut^2))
    }
    at <- seq_len(widths[i])
    laid[, at, 2L * i - 1L] <- cut
    laid[, at, 2L * i] <- cut[n_bases:1, rev(at)]
  }
  twice <- rep(seq_along(cwms), each = 2L)
  reverse <- rep(c(FALSE, TRUE), length(cwms))
  turned <- function(bound) widths[twice] + 1L - bound
  firsts <- ifelse(reverse, turned(bounds[2L, twice]), bounds[1L, twice])
  ends <- ifelse(reverse, turned(bounds[1L, twice]), bounds[2L, twice])
  list(
    laid = list(
      weights = laid, widths = widths[twice], firsts = as.integer(firsts), ends = as.integer(ends),
      lambdas = lambda[twice]
    ),
    table = data.frame(
      motif = names, width = widths, trim_start = as.integer(bounds[1L, ]),
      trim_end = as.integer(bounds[2L, ]), scale = scales, lambda = lambda
    ),
    cwms = cwms, patterns = patterns
  )
}

# A named list of matrices [4, width].
hit_weights <- function(motifs, matrix, call) {
  weights <- motif_inputs(motifs, "motifs", matrix, trim_threshold = 0, counts = "counts",
    call = call)
  if (inherits(motifs, "seqlift_motifs")) {
    return(weights)
  }
  shares <- vapply(weights, is_of_letters, NA)
  if (any(shares)) {
    inform_seqlift("motif_weights", c(
      "{sum(shares)} motif{?s} of {.arg motifs} hold{?s/} counts or probabilities of letters, not
       contributions: each position is weighted by its information content.",
      i = "Give contribution weights, such as a result of {.fn discover_motifs}, where there
           are some."
    ))
    weights[shares] <- lapply(weights[shares], function(motif) {
      motif <- shares_of_columns(motif, "motifs", call)
      motif * rep(information_content(motif), each = n_bases)
    })
  }
  weights
}

is_of_letters <- function(motif) all(motif >= 0) && (is_counts(motif) || sums_to_one(motif))

check_hit_motifs <- function(weights, names, widths, length, call) {
  wide <- which(widths > length)
  if (length(wide) > 0L) {
    abort_argument("motifs", paste("no longer than the sequences,", length, "bp"),
      paste0(widths[wide[1L]], " bp (\"", escape_braces(names[wide[1L]]), "\")"),
      call = call
    )
  }
  empty <- which(vapply(weights, function(motif) all(motif == 0), NA))
  if (length(empty) > 0L) {
    abort_argument("motifs", "of weights that are not all 0",
      paste0("zeros (\"", escape_braces(names[empty[1L]]), "\")"),
      call = call
    )
  }
}

# One for all, or one for each: in the order of the motifs, or named by them.
hit_lambdas <- function(lambda, names, call) {
  fits <- is.numeric(lambda) && length(lambda) %in% c(1L, length(names)) &&
    all(is.finite(lambda)) && all(lambda > 0)
  given <- names(lambda)
  if (fits && length(lambda) > 1L && !is.null(given)) {
    fits <- setequal(given, names)
    lambda <- lambda[match(names, given)]
  }
  if (!fits) {
    abort_argument("lambda", paste("one number above 0, or one for each of the", length(names),
      "motifs (by their names, if it has any)"), describe(lambda), call = call)
  }
  as.double(rep_len(unname(lambda), length(names)))
}
