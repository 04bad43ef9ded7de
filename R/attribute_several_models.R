# Results of several models for the same sequences: side by side in a logo, as assays of one
# SummarizedExperiment, as experiments of a MultiAssayExperiment.

# A named list of results of the same sequences and positions; `alike = FALSE` lets windows differ.
check_models_results <- function(results, call, alike = TRUE) {
  check_named_results(results, call)
  first <- results[[1L]]
  for (name in names(results)) {
    one <- results[[name]]
    arg <- paste0("attributions$", name)
    check_attributions(one, arg, call)
    check_one_target(one, arg, call)
    if (alike) {
      check_same_sequences(one, first, arg, names(results)[1L], call)
    }
  }
  results
}

# ---- logos ----------------------------------------------------------------------------------

# list(attributions, annotations, info) of one sequence, with a row for each result and, where asked
# for, for each difference from the first.
stack_models <- function(results, sequence, annotations, difference, info, call) {
  check_models_results(results, call)
  if (difference && length(results) < 2L) {
    abort_argument("difference", "FALSE for one result", "TRUE", call = call)
  }
  first <- results[[1L]]
  values <- lapply(results, check_logo_values, call = call)
  row <- check_logo_sequence(sequence %||% 1L, values[[1L]], call)
  if (length(row) != 1L) {
    abort_argument("sequence", "one sequence for a list of results", length(row), call = call)
  }
  shape <- dim(first)
  one <- function(numbers) matrix(numbers[row, , ], shape[2L])
  parts <- lapply(values, one)
  others <- if (difference) names(parts)[-1L]
  changes <- lapply(parts[others], function(other) other - parts[[1L]])
  names(changes) <- sprintf("%s \u2212 %s", others, rep(names(parts)[1L], length(others)))
  lines <- model_info(results, row, info, length(changes), call)
  all <- c(parts, changes)
  stacked <- aperm(array(unlist(all), c(shape[2:3], length(all))), c(3L, 1L, 2L))
  dimnames(stacked) <- list(names(all), attribution_bases, NULL)
  known <- lapply(results, attr, "standard_errors", exact = TRUE)
  errors <- if (!any(vapply(known, is.null, NA))) {
    # Those of a difference are not known: the models' errors are not independent.
    own <- c(lapply(known, one), lapply(changes, function(change) change * NA))
    aperm(array(unlist(own), c(shape[2:3], length(all))), c(3L, 1L, 2L))
  }
  letters <- paste(observed_bases(first)[, row], collapse = "")
  ranges <- attr(first, "ranges", exact = TRUE)
  list(
    attributions = new_attributions(stacked, stats::setNames(rep(letters, length(all)), names(all)),
      matrix(0, length(all), 0L),
      kind = attr(first, "kind", exact = TRUE),
      info = list(start = first_position(first), sequence_length = sequence_length_of(first)),
      ranges = take_ranges(ranges, rep(row, length(all)), call), standard_errors = errors
    ),
    annotations = annotations_of_sequence(annotations, values[[1L]], first, row, call), info = lines
  )
}

# Lines of text, empty ones for differences; FALSE for none. Predictions: a list of those of each
# model.
model_info <- function(results, row, info, n_changes, call) {
  if (isFALSE(info)) {
    return(FALSE)
  }
  each <- if (is.list(info)) info else rep(list(info), length(results))
  if (!is.list(info) && !isTRUE(info) || length(each) != length(results)) {
    abort_argument("info", "TRUE, FALSE or a list with the predictions of each model",
      describe(info),
      call = call
    )
  }
  lines <- unlist(Map(logo_info, each, results, MoreArgs = list(rows = row, call = call)))
  I(c(unname(lines), rep("", n_changes)))
}

# Those of one sequence, to be drawn below each of its logos.
annotations_of_sequence <- function(annotations, values, result, row, call) {
  if (is.null(annotations)) {
    return(NULL)
  }
  first <- first_position(result)
  last <- first + dim(values)[3L] - 1L
  known <- check_annotations(annotations, values, annotated_length(result, first, last), call)
  own <- is.na(known$row) | known$row == row
  known <- known[own, ]
  data.frame(start = known$start, end = known$end, name = known$label)
}

# ---- Bioconductor ---------------------------------------------------------------------------

# The assays of one result and what they are called behind the name of a model.
assay_endings <- c(
  attribution = "", by_base = ".by_base", standard_error = ".standard_error",
  standard_error_by_base = ".standard_error_by_base"
)

experiment_of_models <- function(results, ranges, call) {
  check_models_results(results, call)
  own <- lapply(results, as_summarized_experiment, ranges = ranges)
  se <- own[[1L]]
  assays <- unlist(lapply(names(own), function(name) {
    one <- as.list(SummarizedExperiment::assays(own[[name]]))
    stats::setNames(one, paste0(name, assay_endings[names(one)]))
  }), recursive = FALSE)
  if (anyDuplicated(names(assays)) > 0L) {
    abort_argument("attributions", "a list whose names are not those of another's assays",
      toString(names(results)),
      call = call
    )
  }
  data <- SummarizedExperiment::rowData(se)
  first <- S4Vectors::metadata(se)$row_data
  data <- data[setdiff(names(data), setdiff(first, first["sequence"]))]
  models <- lapply(stats::setNames(nm = names(own)), function(name) {
    metadata <- S4Vectors::metadata(own[[name]])
    table <- SummarizedExperiment::rowData(own[[name]])
    kept <- c(sequence = metadata$row_data[["sequence"]])
    for (column in setdiff(names(metadata$row_data), "sequence")) {
      kept[[column]] <- utils::tail(make.unique(c(names(data), paste0(column, ".", name))), 1L)
      data[[kept[[column]]]] <<- table[[metadata$row_data[[column]]]]
    }
    list(kind = metadata$kind, info = metadata$info, row_data = kept)
  })
  experiment_placed_as(se, assays, data, list(models = models))
}

# With these rows' data, placed in the genome where `se` is.
experiment_placed_as <- function(se, assays, data, metadata) {
  columns <- SummarizedExperiment::colData(se)
  if (!methods::is(se, "RangedSummarizedExperiment")) {
    return(SummarizedExperiment::SummarizedExperiment(assays,
      rowData = data, colData = columns, metadata = metadata
    ))
  }
  placed <- SummarizedExperiment::rowRanges(se)
  S4Vectors::mcols(placed) <- data
  SummarizedExperiment::SummarizedExperiment(assays,
    rowRanges = placed, colData = columns, metadata = metadata
  )
}

# That of one model alone, as as_summarized_experiment() has it.
experiment_of_model <- function(se, name) {
  own <- S4Vectors::metadata(se)$models[[name]]
  all <- lapply(S4Vectors::metadata(se)$models, `[[`, "row_data")
  there <- SummarizedExperiment::assayNames(se)
  wanted <- paste0(name, assay_endings)
  keep <- wanted %in% there
  assays <- lapply(wanted[keep], function(assay) SummarizedExperiment::assay(se, assay))
  names(assays) <- names(assay_endings)[keep]
  data <- SummarizedExperiment::rowData(se)
  data <- data[setdiff(names(data), setdiff(unlist(all), own$row_data))]
  experiment_placed_as(se, assays, data, own)
}

#' @rdname as_summarized_experiment
#' @export
as_multi_assay_experiment <- function(attributions, ranges = NULL) {
  call <- rlang::current_env()
  check_models_results(attributions, call, alike = FALSE)
  check_package(c("MultiAssayExperiment", "SummarizedExperiment", "Biostrings"),
    "A MultiAssayExperiment"
  )
  experiments <- lapply(attributions, function(one) {
    se <- as_summarized_experiment(one, ranges)
    colnames(se) <- as.character(se$position)
    rownames(se) <- rownames(se) %||% paste0("sequence_", seq_len(nrow(se)))
    se
  })
  positions <- do.call(rbind, lapply(unname(experiments), function(se) {
    as.data.frame(SummarizedExperiment::colData(se))
  }))
  positions <- positions[!duplicated(positions$position), , drop = FALSE]
  positions <- positions[order(positions$position), , drop = FALSE]
  rownames(positions) <- as.character(positions$position)
  MultiAssayExperiment::MultiAssayExperiment(experiments, colData = S4Vectors::DataFrame(positions))
}
