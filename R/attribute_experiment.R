# Results as a SummarizedExperiment: a row for each sequence, a column for each position.

#' Turn attributions into a SummarizedExperiment, and back
#'
#' A `SummarizedExperiment` keeps the numbers of all regions beside their places in the genome and
#' whatever is known of them, through subsetting by overlaps, joining and saving.
#'
#' @section Layout:
#' Rows are the sequences, columns the positions within them, so that `se[overlaps, ]` takes regions
#' and `se[, abs(se$offset) <= 50]` the 101 bp around their centres.
#'
#' * Assay `"attribution"`, `[n, L]`: the number of the letter that is there.
#' * Assay `"by_base"`, `[n, L, 4]`: the numbers of all four bases, as the result has them; of a
#'   hypothetical result the hypothetical attributions.
#' * Assays `"standard_error"`, `[n, L]`, and `"standard_error_by_base"`, `[n, L, 4]`, of a result
#'   that has [standard_errors()].
#' * `rowRanges()`: the ranges of the result with their metadata columns; without ranges there are
#'   no `rowRanges()`, and the object is a plain `SummarizedExperiment`.
#' * `rowData()`: `sequence`, a `DNAStringSet`, and, where the method compares with references,
#'   `convergence_deltas`, a matrix `[n, n_refs]`, and `max_delta`, the largest absolute one. Names
#'   that the ranges' own columns have are followed by `.1`.
#' * `colData()`: `position` (1-based) and `offset` from the centre: 0 at position `L %/% 2 + 1`,
#'   negative before it (towards 5').
#' * `metadata()`: `kind` (as `print()` of the result tells it); `info`, a list of what is known of
#'   the computation (method, rules, model, target, seed, ...); and `row_data`, the names of the
#'   columns `sequence`, `convergence_deltas` and `max_delta` in `rowData()`.
#'
#' Of a list of results, those of the models of several folds or cell types for example, each has
#' two assays: `"<name>"`, its `"attribution"`, and `"<name>.by_base"`; with standard errors also
#' `"<name>.standard_error"` and `"<name>.standard_error_by_base"`. `rowData()` has
#' `convergence_deltas.<name>` and `max_delta.<name>` of each; `metadata()$models` is a list of
#' `kind`, `info` and `row_data` of each. In a `MultiAssayExperiment` each result is an experiment
#' of its own, laid out as above; they may be of different windows of the sequences. Its `colData()`
#' has a row for each position, by which the experiments are joined.
#'
#' References that a result holds (`return_references = TRUE`) are not kept.
#'
#' @param attributions A result of an attribution method (class `seqlift_attributions`) of one
#'   target, other than multipliers; or a named list of several, of the same sequences and positions
#'   ([attribute_models()] with `each = TRUE`).
#' @param ranges A `GRanges` with the place of each sequence, in their order, each as wide as the
#'   sequences. Default `NULL`: those of the result, if it has some (see [attribution_ranges()]).
#' @param se A `SummarizedExperiment` made by `as_summarized_experiment()`, or rows of one.
#' @return `as_summarized_experiment()`: a `SummarizedExperiment::RangedSummarizedExperiment`, or a
#'   `SummarizedExperiment` where there are no ranges, with n rows, named as the sequences, and L
#'   columns. `as_seqlift_attributions()`: the result that it was made of, without references, its
#'   ranges named as its sequences; of several a named list. `as_multi_assay_experiment()`: a
#'   `MultiAssayExperiment::MultiAssayExperiment`.
#' @section Errors: `seqlift_error_argument` for multipliers, several targets, ranges that do not
#'   fit, or an `se` that was not made here or has lost positions; `seqlift_error_package` without
#'   the packages SummarizedExperiment and Biostrings.
#' @seealso [attribution_ranges()], [export_bigwig()]
#' @export
#' @examplesIf requireNamespace("SummarizedExperiment", quietly = TRUE)
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- deep_lift_shap(model, demo_sequences()[1:2], n_shuffles = 5, random_state = 0)
#' attribution_ranges(attributions) <- GenomicRanges::GRanges(
#'   c("chr1:1001-1500:+", "chr1:4001-4500:-")
#' )
#' se <- as_summarized_experiment(attributions)
#' se
#' # The 21 bp around the centres.
#' dim(SummarizedExperiment::assay(se[, abs(se$offset) <= 10], "attribution"))
#' as_seqlift_attributions(se[2, ])
as_summarized_experiment <- function(attributions, ranges = NULL) {
  if (is.list(attributions)) {
    return(experiment_of_models(attributions, ranges, rlang::current_env()))
  }
  check_some_sequences(attributions)
  check_one_target(attributions, "attributions")
  check_package(c("SummarizedExperiment", "Biostrings"), "A SummarizedExperiment")
  shape <- dim(attributions)
  if (is.null(ranges)) {
    ranges <- attr(attributions, "ranges", exact = TRUE)
  } else {
    ranges <- check_ranges(
      ranges_of_window(ranges, attributions), shape[1L], shape[3L], "ranges"
    )
  }
  names <- whole_names(sequence_names(attributions))
  values <- matrix(observed_values(attributions), shape[1L], dimnames = list(names, NULL))
  by_base <- function(numbers) {
    turned <- aperm(numbers, c(1L, 3L, 2L))
    # Positions are a column of the table of columns.
    dimnames(turned)[2L] <- list(NULL)
    turned
  }
  assays <- list(attribution = values, by_base = by_base(as.array(attributions)))
  errors <- attr(attributions, "standard_errors", exact = TRUE)
  if (!is.null(errors)) {
    assays$standard_error <- matrix(observed_errors(attributions), shape[1L],
      dimnames = dimnames(values)
    )
    assays$standard_error_by_base <- by_base(errors)
  }
  data <- sequence_table(attributions)
  position <- seq_len(shape[3L]) + first_position(attributions) - 1L
  whole <- sequence_length_of(attributions)
  middle <- if (is.na(whole)) position[1L] - 1L + shape[3L] %/% 2L else whole %/% 2L
  columns <- S4Vectors::DataFrame(position = position, offset = position - middle - 1L)
  own <- if (!is.null(ranges)) S4Vectors::mcols(ranges)
  columns_of <- names(data)
  names(data) <- utils::tail(make.unique(c(names(own), columns_of)), length(data))
  metadata <- list(
    kind = attr(attributions, "kind", exact = TRUE),
    info = attr(attributions, "info", exact = TRUE),
    row_data = stats::setNames(names(data), columns_of)
  )
  if (is.null(ranges)) {
    rownames(data) <- names
    return(SummarizedExperiment::SummarizedExperiment(
      assays, rowData = data, colData = columns, metadata = metadata
    ))
  }
  S4Vectors::mcols(ranges) <- cbind(own, data)
  names(ranges) <- names
  SummarizedExperiment::SummarizedExperiment(
    assays, rowRanges = ranges, colData = columns, metadata = metadata
  )
}

#' @rdname as_summarized_experiment
#' @export
as_seqlift_attributions <- function(se) {
  check_package(c("SummarizedExperiment", "Biostrings"), "A SummarizedExperiment")
  if (methods::is(se, "SummarizedExperiment") && !is.null(S4Vectors::metadata(se)$models)) {
    names <- names(S4Vectors::metadata(se)$models)
    return(lapply(stats::setNames(nm = names), function(name) {
      as_seqlift_attributions(experiment_of_model(se, name))
    }))
  }
  check_experiment(se)
  letters <- stats::setNames(as.character(row_column(se, "sequence")), rownames(se))
  deltas <- row_column(se, "convergence_deltas")
  metadata <- S4Vectors::metadata(se)
  ranges <- if (methods::is(se, "RangedSummarizedExperiment")) without_sequence_table(se)
  by_base <- function(name) {
    aperm(as.array(SummarizedExperiment::assay(se, name)), c(1L, 3L, 2L))
  }
  has_errors <- "standard_error_by_base" %in% SummarizedExperiment::assayNames(se)
  new_attributions(
    by_base("by_base"), letters,
    if (is.null(deltas)) matrix(0, nrow(se), 0L) else unname(as.matrix(deltas)),
    kind = metadata$kind, info = metadata$info, ranges = ranges,
    standard_errors = if (has_errors) by_base("standard_error_by_base")
  )
}

# What a result knows of each sequence.
sequence_table <- function(attributions) {
  deltas <- unname(convergence_deltas(attributions))
  letters <- core_decode(result_codes(attributions), paste(base_letters, collapse = ""))
  data <- S4Vectors::DataFrame(sequence = Biostrings::DNAStringSet(letters))
  if (ncol(deltas) > 0L) {
    data$convergence_deltas <- deltas
    data$max_delta <- apply(abs(deltas), 1L, max, na.rm = TRUE)
  }
  data
}

# A column of `sequence_table()` in the rows of an experiment, NULL if it has none.
row_column <- function(se, name) {
  column <- S4Vectors::metadata(se)$row_data[name]
  if (!is.na(column)) SummarizedExperiment::rowData(se)[[column]]
}

without_sequence_table <- function(se) {
  ranges <- SummarizedExperiment::rowRanges(se)
  data <- S4Vectors::mcols(ranges)
  S4Vectors::mcols(ranges) <- data[setdiff(names(data), S4Vectors::metadata(se)$row_data)]
  ranges
}

check_experiment <- function(se, call = caller_env()) {
  if (!methods::is(se, "SummarizedExperiment") ||
    !"by_base" %in% SummarizedExperiment::assayNames(se) ||
    !all(c("kind", "row_data") %in% names(S4Vectors::metadata(se)))) {
    abort_argument("se", "a SummarizedExperiment made by as_summarized_experiment()",
      describe(se),
      call = call
    )
  }
  letters <- row_column(se, "sequence")
  if (is.null(letters) || any(Biostrings::width(letters) != ncol(se))) {
    abort_argument("se", "one with all its positions",
      paste("one with", ncol(se)),
      hint = "Take rows of it, not columns.", call = call
    )
  }
}
