# The result of the attribution methods: a plain array that remembers where it came
# from. Class c("seqlift_attributions", "array"); first dimension = sequence.
#
#   kind            values               one more dimension, last, with several targets
#   attributions    [n, 4, L]            of what is there: zero at other bases, unless a
#                                        reference has them
#   hypothetical    [n, 4, L]            every base at every position
#   multipliers     [n, n_refs, 4, L]    before they are projected and averaged
#   gradients       [n, 4, L]            of every base at every position
#   effects         [n, 4, L]            of substitutions: zero at the observed bases
#
# Attributes: `X` (the sequences at one byte a base: a character vector, or a raw
# matrix [L, n] of codes 0 to 3 = A, C, G, T and 4 = N), `convergence_deltas`
# ([n, n_refs], with several targets [n, n_refs, n_targets]; n_refs is 0 for methods that
# compare with nothing; NA for references that a sequence did not need), `references`
# ([n, n_refs, 4, L] or NULL), `standard_errors` (over references, of the shape of the values, or
# NULL; see attribute_standard_errors.R), `kind`, `info` (list; every field is optional:
# method, rules, target, random_state, dtype, device, model, seconds,
# warning_threshold, largest_output_change, of a window also start and sequence_length; see
# attribute_positions.R), `ranges` (a GRanges with the place of each sequence
# in the genome, or NULL; see sequences_ranges.R). `shape`: of the values, where theirs has a
# dimension of 1 more. `own`: nothing else holds the values, which are not copied.
#
# What changes the numbers (arithmetic, assignment) gives a plain array, because the
# convergence deltas would no longer be those of the numbers beside them.

attribution_bases <- c("A", "C", "G", "T")

# The kinds in words.
attribution_kinds <- c(
  attributions = "attributions",
  hypothetical = "hypothetical attributions",
  multipliers = "multipliers",
  gradients = "gradients",
  effects = "effects of substitutions"
)

new_attributions <- function(values, X, convergence_deltas, references = NULL,
                             kind = names(attribution_kinds), info = list(), ranges = NULL,
                             standard_errors = NULL, shape = dim(values), own = FALSE) {
  kind <- match.arg(kind)
  base_dim <- if (kind == "multipliers") 3L else 2L
  stopifnot(
    is.double(values), length(shape) %in% (base_dim + 1:2),
    shape[base_dim] == length(attribution_bases),
    is.character(X) || is.raw(X),
    dim(convergence_deltas)[1L] == shape[1L],
    is.null(ranges) || inherits(ranges, "GRanges"),
    is.null(standard_errors) || identical(dim(standard_errors), shape)
  )
  names <- if (is.character(X)) names(X) else colnames(X)
  labels <- dimnames(values)
  if (is.null(labels)) {
    labels <- vector("list", length(shape))
  }
  if (!is.null(names)) {
    labels[[1L]] <- names
  }
  labels[[base_dim]] <- attribution_bases
  labels[base_dim + 1L] <- list(position_names(info$start, shape[base_dim + 1L]))
  if (!is.null(names)) {
    rownames(convergence_deltas) <- names
  }
  if (!is.null(standard_errors)) {
    dimnames(standard_errors) <- labels
  }
  about <- list(
    dim = shape, dimnames = labels, class = c("seqlift_attributions", "array"),
    X = X, convergence_deltas = convergence_deltas, references = references,
    kind = kind, info = info, ranges = ranges, standard_errors = standard_errors
  )
  about <- about[!vapply(about, is.null, NA)]
  if (own) {
    return(core_own_attributes(values, about))
  }
  attributes(values) <- about
  values
}

#' Read the convergence deltas of a result
#'
#' DeepLIFT promises that the attributions of a sequence add up to the change of the
#' model's output from the reference to the sequence. The convergence delta is what is
#' missing: for each pair of a sequence and a reference,
#' `sum(multipliers * (X - reference)) - (f(X) - f(reference))`, taken before anything
#' is averaged. It is zero up to rounding when every operation had a rule that keeps
#' summation-to-delta (about 1e-6 of the output in float32, 1e-14 in float64; in float32 on a CUDA
#' device looser than on the CPU, as its kernels add in other orders); a large one says that the
#' attributions do not explain the prediction.
#'
#' @param attributions A result of [deep_lift_shap()], [attribute()] (class
#'   `seqlift_attributions`, or what it returns for a layer) or [pisa()].
#' @return A numeric matrix `[n, n_refs]`, in units of the model's output, sequences in
#'   the order of the result; with several targets an array `[n, n_refs, n_targets]`, of
#'   [pisa()] `[n, n_refs, n_outputs]`. No columns for methods that compare with no reference; `NA`
#'   for references that a sequence did not need (`n_shuffles = c(min, max)`).
#' @section Errors: `seqlift_error_argument` when `attributions` is not such a result.
#' @references Shrikumar, Greenside and Kundaje (2017), Learning important features
#'   through propagating activation differences, section 3.1 (summation-to-delta).
#' @seealso [plot_deltas()]
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2], n_shuffles = 5, random_state = 0)
#' max(abs(convergence_deltas(attributions)))
#' @export
convergence_deltas <- function(attributions) {
  if (inherits(attributions, "seqlift_h5_attributions")) {
    return(read_deltas(attributions$stored, seq_len(dim(attributions)[1L])))
  }
  check_has_deltas(attributions, "attributions")
  attr(attributions, "convergence_deltas", exact = TRUE)
}

#' References: which to choose, and those of a result
#'
#' Attributions say which letters make a sequence's prediction differ from that of its references,
#' so the references are half of the question. `references()` reads those that a result was compared
#' with.
#'
#' @section Which to choose:
#' | question | `references =` (or `baseline =`) |
#' |---|---|
#' | which letters make this sequence more than its composition? The usual one | [dinucleotide_shuffle()], the default |
#' | the same where composition changes along the sequence (promoters in open country, long contexts) | [local_shuffles()] |
#' | what makes it differ from the rest of the genome, its composition included? | [references_from()] other regions, `tolerance = 1` |
#' | the same, composition taken out, with sequences that a genome has | [references_from()] regions matched by GC, see [matched_regions()] |
#' | what does the sequence have beside the sites that are known? | [shuffles_around()] the sites |
#' | which letters of one element matter, its surroundings as they are? | [references_within()] the element |
#' | one fast, repeatable baseline, to compare with other tools | [background_frequencies()], uniform or of the genome |
#' | the model's answer to nothing | zeros (`baseline = 0` of [attribute()], integrated gradients) |
#'
#' - Shuffles are sequences, on which the model was trained or nearly so. Frequencies and zeros are
#'   not: what the model says of them, and on the way to them, was never trained. They are cheap
#'   (one reference) and can mislead (Jha et al. 2020; Prakash et al. 2022).
#' - A motif that a shuffle makes by chance counts against the sequence. With 20 shuffles this
#'   averages out in most genomic models; [standard_errors()] say whether it has, and
#'   `n_shuffles = c(min, max)` of [deep_lift_shap()] goes on until it has.
#' - Shuffles keep how often the bases follow each other. What the model reads from composition
#'   alone (CpG islands) is then in no letter: compare with other regions for that.
#' - Extra channels beyond the bases, and N, are in every reference as in the sequence.
#'
#' To take one's own: a function `f(X, n, random_state)` or an array, see [deep_lift_shap()].
#'
#' @param attributions A result of [deep_lift_shap()] (class `seqlift_attributions`)
#'   computed with `return_references = TRUE`.
#' @return A numeric array `[n, n_refs, 4, L]`: the one-hot encoded references of each
#'   sequence.
#' @section Errors: `seqlift_error_argument` when `attributions` is not such a result;
#'   `seqlift_error_no_references` when its references were not kept.
#' @references Shrikumar, Greenside and Kundaje (2017), Learning important features through
#'   propagating activation differences (choosing a reference). Eraslan, Avsec, Gagneur
#'   and Theis (2019), Deep learning: new computational modelling techniques for genomics. Jha,
#'   Aicher, Gazzara, Singh and Barash (2020), Enhanced Integrated Gradients: improving
#'   interpretability of deep learning models using splicing codes as a case study. Avsec et al.
#'   (2021), Base-resolution models of transcription-factor binding reveal soft motif syntax.
#'   Prakash, Shrikumar and Kundaje (2022), Towards more realistic simulated datasets for
#'   benchmarking deep learning models in regulatory genomics. Majdandzic et al. (2023), Correcting
#'   gradient-based interpretations of deep neural networks for genomics.
#' @seealso [reference_functions]
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(
#'   model, demo_sequences()[1:2],
#'   n_shuffles = 5, random_state = 0, return_references = TRUE
#' )
#' dim(references(attributions))
#' @export
references <- function(attributions) {
  check_has_deltas(attributions, "attributions")
  kept <- attr(attributions, "references", exact = TRUE)
  if (is.null(kept)) {
    abort_seqlift("no_references", c(
      "{.arg attributions} does not hold the references it was computed with.",
      i = "Compute it with {.code return_references = TRUE}."
    ))
  }
  kept
}

# The attributions of a layer are plain arrays that know their deltas.
check_has_deltas <- function(x, arg, call = caller_env()) {
  own <- !is.null(attr(x, "convergence_deltas", exact = TRUE))
  if (own || inherits(x, "seqlift_pisa")) x else check_attributions(x, arg, call)
}

check_attributions <- function(x, arg, call = caller_env()) {
  if (!inherits(x, "seqlift_attributions") || !is_whole_result(x)) {
    abort_argument(arg, "a result of deep_lift_shap() (class <seqlift_attributions>)",
      describe(x),
      call = call
    )
  }
  x
}

# ---- an array like any other ---------------------------------------------------------

#' Results of attribution methods
#'
#' The methods of attribution return a plain numeric array with class
#' `seqlift_attributions` on top. It is indexed, reshaped and computed with like any
#' array, and it carries what is needed to judge and to draw it: the sequences, the
#' convergence deltas, the references if asked for, their places in the genome where they are known
#' ([attribution_ranges()]), and how it was computed.
#'
#' - `x[i, , ]` takes sequences, by number, name or condition, and remains a result:
#'   deltas, references, sequences and ranges follow, and a single sequence stays `[1, 4, L]`.
#'   With several targets `x[, , , k]` takes targets in the same way (one target gives
#'   `[n, 4, L]`). Any other index, or `drop = TRUE`, gives plain numbers.
#' - Positions are those of the whole sequence, also of a result of
#'   [saturation_mutagenesis()] for a window and of what is taken of a result: `x[, , 160:180]` and
#'   the result for `start = 160, end = 180` both have the positions as names, `"160"` to `"180"`,
#'   arithmetic keeps them, and [recursive_seqlets()], [plot_logo()] and [plot_heatmap()] go by
#'   them. Numbers in `x[, , j]` are R's, that of the first column is 1; `x[, , "165"]` takes the
#'   position 165 of a window.
#' - Arithmetic and assignment give plain arrays: the convergence deltas would not be
#'   those of the new numbers.
#' - `print()` shows shape, method, the largest convergence delta beside the largest
#'   change of the output, and the strongest positions, never the numbers themselves.
#' - With `standard_errors = TRUE` they go with the numbers, also into files and tables, and
#'   `plot()` draws them; see [standard_errors()].
#' - `summary()` has one row a sequence (and target).
#' - `as.data.frame()` has one row a position, or with `all_bases = TRUE` one a base.
#' - `plot()` draws the logo of one sequence, see [plot_logo()].
#'
#' @param x,object A result of [deep_lift_shap()] (class `seqlift_attributions`).
#' @param ... Indices in `[`; passed to [plot_logo()] by `plot()`; otherwise unused.
#' @param drop `TRUE` gives plain numbers with dimensions of extent one dropped, as for
#'   any array. Default: a result stays a result, plain numbers are dropped as usual.
#' @param row.names,optional As in [base::as.data.frame()].
#' @param all_bases `FALSE` (default): one row a position, the observed base.
#'   `TRUE`: four rows a position.
#' @param sequence Which sequence to draw: number (1-based) or name. Default: the first.
#' @param start,end Positions to draw, 1-based and inclusive, in bp. Default: all.
#' @return
#' - `x[i, , ]`: a result; plain numbers for other indices.
#' - `summary()`: a data frame of class `seqlift_attributions_summary` with columns
#'   `sequence`, `target` (with several targets), `sum` (of the attributions),
#'   `output_change` (mean change of the output from reference to sequence;
#'   attributions only), `max_delta` (largest absolute convergence delta), `references` (how many,
#'   where the sequences had different numbers), and `position`, `base`, `attribution` and, where
#'   there is one, `standard_error` of the strongest position.
#' - `as.data.frame()`: columns `sequence` (name, or number where there are none),
#'   `target` (with several targets), `reference` (for multipliers), `position`
#'   (1-based), `base`, `attribution` or `multiplier`, and `standard_error` where there are
#'   standard errors (`NA` where that of a position is not known: several bases of a soft input);
#'   where the result has ranges also
#'   `seqnames`, `pos` (position in the genome, 1-based, counted down on the minus strand) and
#'   `strand`, after `position`.
#' - `plot()`: a ggplot.
#' @section Errors: `seqlift_error_argument` for sequences that do not exist, and for
#'   `summary()` or `plot()` of multipliers.
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2], n_shuffles = 5, random_state = 0)
#' attributions
#' summary(attributions)
#' head(as.data.frame(attributions[1, , ]))
#' plot(attributions, sequence = 1, start = 201, end = 260)
#' @name seqlift_attributions
NULL

#' @rdname seqlift_attributions
#' @export
`[.seqlift_attributions` <- function(x, ..., drop) {
  if (!is_whole_result(x)) {
    # The class alone, set by hand: numbers like any other.
    return(NextMethod())
  }
  quoted <- eval(substitute(alist(...)))
  given <- !vapply(quoted, function(index) identical(index, quote(expr = )), logical(1L))
  if (!any(given)) {
    return(x)
  }
  index <- lapply(seq_along(quoted), function(i) if (given[i]) ...elt(i) else quote(expr = ))
  rank <- length(dim(x))
  keeps <- c(1L, if (has_targets(x)) rank)
  if (length(index) != rank || any(given[-keeps]) || isTRUE(if (!missing(drop)) drop)) {
    options <- if (!missing(drop)) list(drop = drop)
    numbers <- as.array(x)
    if (length(index) == rank && given[position_axis(x)]) {
      numbers <- name_positions(numbers, position_axis(x), first_position(x))
    }
    return(with_plain(do.call(`[`, c(list(numbers), index, options)), dim(x)))
  }
  if (given[1L]) {
    x <- take_sequences(x, index[[1L]])
  }
  if (has_targets(x) && given[rank]) {
    x <- take_targets(x, index[[rank]], drop = missing(drop))
  }
  x
}

take_sequences <- function(x, index, call = caller_env()) {
  rows <- resolve_index(index, dim(x)[1L], dimnames(x)[[1L]], "sequences", call)
  part <- function(array) {
    blanks <- rep(list(quote(expr = )), length(dim(array)) - 1L)
    do.call(`[`, c(list(array, rows), blanks, list(drop = FALSE)))
  }
  X <- attr(x, "X", exact = TRUE)
  kept <- attr(x, "references", exact = TRUE)
  errors <- attr(x, "standard_errors", exact = TRUE)
  new_attributions(
    part(as.array(x)),
    standard_errors = if (!is.null(errors)) part(errors),
    X = if (is.character(X)) X[rows] else X[, rows, drop = FALSE],
    convergence_deltas = part(attr(x, "convergence_deltas", exact = TRUE)),
    references = if (!is.null(kept)) part(kept),
    kind = attr(x, "kind", exact = TRUE),
    info = attr(x, "info", exact = TRUE),
    ranges = take_ranges(attr(x, "ranges", exact = TRUE), rows, call)
  )
}

# Several targets are the last dimension of the values and of the deltas.
take_targets <- function(x, index, drop, call = caller_env()) {
  shape <- dim(x)
  columns <- resolve_index(
    index, shape[length(shape)], dimnames(x)[[length(shape)]], "targets", call
  )
  part <- function(array) {
    rank <- length(dim(array))
    blanks <- rep(list(quote(expr = )), rank - 1L)
    taken <- do.call(`[`, c(list(array), blanks, list(columns, drop = FALSE)))
    if (length(columns) > 1L || !drop) {
      return(taken)
    }
    array(taken, dim(taken)[-rank], dimnames(taken)[-rank])
  }
  info <- attr(x, "info", exact = TRUE)
  if (length(info$target) == shape[length(shape)]) {
    info$target <- info$target[columns]
  }
  errors <- attr(x, "standard_errors", exact = TRUE)
  new_attributions(
    part(as.array(x)),
    standard_errors = if (!is.null(errors)) part(errors),
    X = attr(x, "X", exact = TRUE),
    convergence_deltas = part(attr(x, "convergence_deltas", exact = TRUE)),
    references = attr(x, "references", exact = TRUE),
    kind = attr(x, "kind", exact = TRUE),
    info = info,
    ranges = attr(x, "ranges", exact = TRUE)
  )
}

# An index by number, name or condition as numbers of 1 to n.
resolve_index <- function(index, n, names, what, call) {
  if (!is.numeric(index) && !is.character(index) && !is.logical(index)) {
    abort_argument("i", paste("an index of the", n, what), describe(index), call = call)
  }
  numbers <- if (is.character(index)) match(index, names) else seq_len(n)[index]
  if (anyNA(numbers)) {
    abort_argument(
      "i", paste("an index of the", n, what), paste(utils::head(index[is.na(numbers)], 3L)),
      call = call
    )
  }
  numbers
}

# What else than its class a result has: a class alone is set by hand, or left by what knows no
# more.
is_whole_result <- function(x) {
  kind <- attr(x, "kind", exact = TRUE)
  known <- is.character(kind) && length(kind) == 1L && kind %in% names(attribution_kinds)
  is.numeric(x) && known && length(dim(x)) %in% (if (kind == "multipliers") 4:5 else 3:4) &&
    !is.null(attr(x, "X", exact = TRUE)) && !is.null(attr(x, "convergence_deltas", exact = TRUE))
}

# Plain numbers, or a result that is one.
check_if_attributions <- function(x, arg, call = caller_env()) {
  if (inherits(x, "seqlift_attributions")) check_attributions(x, arg, call)
}

has_targets <- function(x) {
  length(dim(x)) == if (attr(x, "kind", exact = TRUE) == "multipliers") 5L else 4L
}

# ---- what is in a result -------------------------------------------------------------

sequence_names <- function(x) {
  dimnames(x)[[1L]]
}

# The bases of the sequences as characters, [L, n].
observed_bases <- function(x) {
  X <- attr(x, "X", exact = TRUE)
  if (is.raw(X)) {
    return(matrix(c(attribution_bases, "N")[as.integer(X) + 1L], nrow = nrow(X)))
  }
  letters <- strsplit(toupper(unname(X)), "", fixed = TRUE)
  matrix(unlist(letters), ncol = length(X))
}

# The number of each position, [n, L, n_targets]: of the observed base; zero at an N.
# Attributions to what is there are summed over the bases: most are zero at all others, but a
# reference that has another base at a position may get a share too. An effect of
# substitutions is zero there: what counts is minus the mean of the three others.
observed_values <- function(x) {
  if (attr(x, "kind", exact = TRUE) == "effects") {
    x <- mean_effects(x)
  }
  shape <- dim(x)
  n_targets <- if (has_targets(x)) shape[4L] else 1L
  values <- array(as.array(x), c(shape[1:3], n_targets))
  bases <- if (attr(x, "kind", exact = TRUE) == "attributions") NULL else t(observed_bases(x))
  total <- array(0, c(shape[1L], shape[3L], n_targets))
  for (i in seq_along(attribution_bases)) {
    part <- array(values[, i, , ], dim(total))
    shown <- if (is.null(bases)) 1 else as.vector(bases == attribution_bases[i])
    total <- total + part * shown
  }
  total
}

# The mean change of the output from the references to each sequence, [n, n_targets]:
# what the attributions sum to, less what the deltas say is missing.
output_changes <- function(x) {
  deltas <- attr(x, "convergence_deltas", exact = TRUE)
  shape <- dim(deltas)
  deltas <- array(deltas, c(shape[1:2], if (length(shape) == 3L) shape[3L] else 1L))
  apply(observed_values(x), c(1L, 3L), sum) - apply(deltas, c(1L, 3L), mean, na.rm = TRUE)
}
