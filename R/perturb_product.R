#' Apply a function to every pair of sequences and further inputs
#'
#' For models that take more than sequences, such as the state of a cell: `apply_pairwise()` pairs
#' every sequence with every row of `args`, whose elements belong together row by row (a cell's
#' state and its read depth); `apply_product()` combines every sequence with every row of each
#' element of `args`.
#'
#' `func` is called with all sequences and as many rows of `args` at a time as its `batch_size`
#' holds, at least one.
#'
#' @param func What is applied: `predict`, [deep_lift_shap()], [marginalize()], or any function
#'   `func(model, X, args, ...)` that returns an array with a row for each sequence or a list of
#'   such arrays.
#' @param model A model, see [load_model()]; or what `func` takes as such.
#' @param X Sequences: a character vector, a `Biostrings::DNAStringSet`, or a one-hot array
#'   `[n, 4, L]`.
#' @param args List of the model's other inputs, by name or in the model's order: arrays whose first
#'   dimension is what is combined. A single number is the same everywhere (and one row in
#'   `apply_product()`).
#' @param ... Arguments for `func`, by name: `target`, `batch_size`, ...
#' @param additional_func_kwargs List of further arguments for `func`, by name: those that have the
#'   name of an argument of this function. Default: none.
#' @param BPPARAM Where `func` is called: `NULL` (default) in this session, or a parameter object of
#'   \pkg{BiocParallel}, such as `SnowParam(2)`, whose workers share the sequences. See
#'   [seqlift_parallel].
#' @return What `func` returns, with the rows of `args` as new dimensions behind the sequences:
#'   `[n, rows, ...]` for `apply_pairwise()`, `[n, rows of the first, rows of the second, ..., ...]`
#'   for `apply_product()`; a list of such arrays where `func` returns a list.
#' @section Errors: `seqlift_error_sequence` for sequences that cannot be read;
#'   `seqlift_error_args` for `args` that are empty or, in `apply_pairwise()`, differ in their
#'   number of rows, before `func` is called; `seqlift_error_argument` for another wrong argument;
#'   `seqlift_error_output` if what `func` returns has no row for each sequence.
#' @source `apply_pairwise` and `apply_product` of tangermeme 1.4.0 (Schreiber).
#' @export
#' @examples
#' model <- select_output(demo_model(), 2)
#' # Two control tracks, none and one read a position.
#' control <- array(rep(0:1, 2 * 500), c(2, 2, 500))
#' apply_pairwise(predict, model, demo_sequences()[1:3], args = list(control))
apply_pairwise <- function(func, model, X, args, ..., additional_func_kwargs = list(),
                           BPPARAM = NULL) {
  call <- rlang::current_env()
  sequences <- as_sequences(X, extra_channels = TRUE)
  args <- check_product_args(args, call)
  rows <- vapply(args, count_rows, integer(1L))
  rows <- rows[!vapply(args, is_single_number, logical(1L))]
  if (length(unique(rows)) > 1L) {
    abort_seqlift("args",
      c("The elements of {.arg args} must have the same number of rows, not {rows}.",
        i = "{.fn apply_product} combines every row of each with every row of the others."
      )
    )
  }
  grid <- rep(list(seq_len(max(rows, 1L))), length(args))
  result <- apply_grid(func, model, sequences, args, grid, list(...), additional_func_kwargs, call,
    BPPARAM
  )
  shape_product(result, sequences$n, length(grid[[1L]]), list(row_labels(args[[1L]])))
}

#' @rdname apply_pairwise
#' @export
apply_product <- function(func, model, X, args, ..., additional_func_kwargs = list(),
                          BPPARAM = NULL) {
  call <- rlang::current_env()
  sequences <- as_sequences(X, extra_channels = TRUE)
  args <- check_product_args(args, call)
  rows <- vapply(args, count_rows, integer(1L), USE.NAMES = FALSE)
  # The first element's rows run fastest, as the dimensions of an array do.
  grid <- expand.grid(lapply(rows, seq_len), KEEP.OUT.ATTRS = FALSE)
  result <- apply_grid(func, model, sequences, args, grid, list(...), additional_func_kwargs, call,
    BPPARAM
  )
  shape_product(result, sequences$n, rows, lapply(unname(args), row_labels))
}

is_single_number <- function(value) is.null(dim(value)) && length(value) == 1L

row_labels <- function(value) if (is.null(dim(value))) names(value) else dimnames(value)[[1L]]

check_product_args <- function(args, call) {
  if (!is.list(args) || length(args) == 0L) {
    abort_argument("args", "a list with at least one array", describe(args),
      kind = "args", call = call
    )
  }
  for (i in seq_along(args)) {
    check_arg_values(args[[i]], arg_label(args, i), call)
  }
  args
}

# `func` for every sequence and every combination of rows, `grid[[k]][j]` the row of `args[[k]]` in
# the j-th. Gives results [n * combinations, ...], the sequences running faster.
apply_grid <- function(func, model, sequences, args, grid, dots, additional, call, BPPARAM) {
  if ("args" %in% names(c(dots, additional))) {
    abort_argument("additional_func_kwargs", "free of `args`", "one with it", call = call)
  }
  plan <- prepare_func(func, model, dots, additional, sequences$n, call, BPPARAM)
  n <- sequences$n
  batch_size <- plan$more$batch_size %||% product_batch_size
  block <- max(1L, check_count(batch_size, "batch_size", call = call) %/% n)
  n_combinations <- length(grid[[1L]])
  X <- one_hot_array(sequences)
  blocks <- split(seq_len(n_combinations), (seq_len(n_combinations) - 1L) %/% block)
  results <- lapply(unname(blocks), function(at) {
    part <- Map(function(value, rows) {
      if (is_single_number(value)) value else array_rows(value, rep(rows[at], each = n))
    }, args, unname(as.list(grid)))
    call_func(plan, X[rep(seq_len(n), length(at)), , , drop = FALSE], part, call)
  })
  combine_outputs(results, bind_rows)
}

# As in the functions that are applied.
product_batch_size <- 32L

bind_rows <- function(arrays) {
  shape <- dim(arrays[[1L]])
  flat <- lapply(arrays, function(one) matrix(as.vector(unclass(one)), nrow = dim(one)[1L]))
  bound <- do.call(rbind, flat)
  labels <- dimnames(arrays[[1L]])
  array(bound, c(nrow(bound), shape[-1L]), if (!is.null(labels)) {
    c(list(unlist(lapply(arrays, rownames))), labels[-1L])
  })
}

# [n * combinations, ...] as [n, rows of the first, rows of the second, ..., ...].
shape_product <- function(result, n, rows, labels) {
  map_outputs(result, function(value) {
    names <- dimnames(value)
    shaped <- array(as.vector(value), c(n, rows, dim(value)[-1L]))
    if (is.null(names)) {
      names <- vector("list", length(dim(value)))
    }
    label_array(shaped, c(list(names[[1L]][seq_len(n)]), labels, names[-1L]))
  })
}
