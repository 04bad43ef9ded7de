# Attributions that stay in their HDF5 file: what deep_lift_shap(output = ) returns. The object
# holds where the file is and what is in it (open_h5() in attribute_hdf5.R), and the values as a
# DelayedArray.

#' Results in an HDF5 file
#'
#' What [deep_lift_shap()] with `output` and [read_h5()] with `in_memory = FALSE` return:
#' attributions of any number of sequences, whose numbers stay in the file until they are asked for.
#'
#' - `x[i, , ]` reads sequences, by number, name or condition, and gives an ordinary result
#'   ([seqlift_attributions]), with deltas, sequences and all that is done with it. Further indices
#'   are taken of that.
#' - `x$values` is the whole as a `DelayedArray` `[n, 4, L]` backed by the file (package HDF5Array),
#'   for computations block by block.
#' - [convergence_deltas()] reads the deltas, and nothing else; [standard_errors()] reads all
#'   standard errors, `standard_errors(x[i, , ])` those of some sequences.
#' - `dim()`, `dimnames()` and `print()` read no scores; `as.array()` reads all.
#'
#' @section The file while it is being written:
#' `deep_lift_shap(output = "scores.h5")` works in the folder `scores.h5.parts`. Every chunk of
#' sequences is a file of its own there, which gets its name when it is whole, so that a kill at any
#' moment can cost the chunks in the making and nothing else: an HDF5 file that is killed in the
#' middle of writing may be lost as a whole. When all chunks are there they are put together, one
#' after the other, the file gets its name in one step, and the folder is removed. Until then the
#' disk must hold the results twice.
#'
#' The same call again goes on with the chunks that are missing. The folder also holds what the call
#' was: the model, the sequences, all arguments that matter to the result, and the seed, so that
#' `random_state = NULL` goes on with the seed that was drawn first. Another call is refused
#' (`seqlift_error_resume`) and told what differs. A call whose file is there already, whole and of
#' the same settings, returns it. The number of workers, threads and sequences at a time may differ.
#'
#' @param x A result of this class.
#' @param ... Indices in `[`; otherwise unused.
#' @param drop As for [seqlift_attributions].
#' @return `x[i, , ]`: a [seqlift_attributions]; `as.array()`: a plain array.
#' @section Errors: `seqlift_error_argument` for sequences that do not exist; `seqlift_error_file`
#'   when the file is gone.
#' @name seqlift_h5_attributions
#' @examplesIf requireNamespace("HDF5Array", quietly = TRUE)
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' path <- tempfile(fileext = ".h5")
#' stored <- deep_lift_shap(model, demo_sequences(),
#'   n_shuffles = 5, random_state = 0, hypothetical = TRUE, output = path
#' )
#' stored
#' stored["fly_one_site", , ]
#' max(abs(convergence_deltas(stored)))
#' range(stored$values)  # read block by block
NULL

new_h5_attributions <- function(stored, call = caller_env()) {
  array <- rlang::try_fetch(
    HDF5Array::HDF5Array(stored$path, stored$dataset),
    error = function(error) {
      abort_seqlift("file",
        c("The data {.field {stored$dataset}} in {.path {stored$path}} could not be read.",
          i = "Not every version of HDF5Array reads every type of number (float16, which ChromBPNet
               writes, is not read by 1.34): {.code read_h5(path, in_memory = TRUE)} does."
        ),
        parent = error, call = call
      )
    }
  )
  rank <- length(stored$shape)
  values <- DelayedArray::aperm(array, rev(seq_len(rank)))
  labels <- vector("list", rank)
  labels[[if (stored$kind == "multipliers") 3L else 2L]] <- attribution_bases
  if (!is.null(stored$names)) {
    labels[[1L]] <- stored$names
  }
  axis <- if (stored$kind == "multipliers") 4L else 3L
  labels[axis] <- list(position_names(info_of_stored(stored)$start, stored$shape[axis]))
  dimnames(values) <- labels
  structure(list(path = stored$path, values = values, stored = stored),
    class = "seqlift_h5_attributions"
  )
}

#' @rdname seqlift_h5_attributions
#' @export
print.seqlift_h5_attributions <- function(x, ...) {
  stored <- x$stored
  info <- info_of_stored(stored)
  n <- stored$shape[1L]
  length <- stored$datasets[["raw/seq"]][3L]
  cat_text(
    "<seqlift_h5_attributions> ", attribution_kinds[[stored$kind]], " of ", n,
    if (n == 1L) " sequence " else " sequences ",
    positions_phrase(structure(list(), info = info), length), ": [", toString(stored$shape), "]"
  )
  cat_field("file", x$path)
  about <- structure(list(), info = info,
    convergence_deltas = matrix(0, 1L, stored$settings$n_refs %||% 0L)
  )
  cat_field("method", method_line(about))
  cat_field("model", model_line(about))
  if (isTRUE(stored$settings$n_refs > 0L)) {
    largest <- format(stored$settings$largest_delta, digits = 2L)
    cat_field("convergence", paste("largest |delta|", largest))
  }
  cat_field("sequences", "x[i, , ] reads them, x$values is a DelayedArray of all")
  invisible(x)
}

#' @export
dim.seqlift_h5_attributions <- function(x) x[["stored"]]$shape

#' @export
dimnames.seqlift_h5_attributions <- function(x) dimnames(x[["values"]])

#' @rdname seqlift_h5_attributions
#' @export
`[.seqlift_h5_attributions` <- function(x, ..., drop) {
  quoted <- eval(substitute(alist(...)))
  given <- !vapply(quoted, function(index) identical(index, quote(expr = )), logical(1L))
  shape <- dim(x)
  if (length(quoted) != length(shape)) {
    abort_argument("...", paste("an index for each of the", length(shape), "dimensions"),
      paste(length(quoted), "of them")
    )
  }
  rows <- if (given[1L]) ...elt(1L) else seq_len(shape[1L])
  rows <- resolve_index(rows, shape[1L], x[["stored"]]$names, "sequences", rlang::current_env())
  part <- read_h5_rows(x[["stored"]], rows)
  rest <- lapply(seq_along(quoted)[-1L], function(i) if (given[i]) ...elt(i) else quote(expr = ))
  options <- if (!missing(drop)) list(drop = drop)
  do.call(`[`, c(list(part, TRUE), rest, options))
}

#' @rdname seqlift_h5_attributions
#' @export
as.array.seqlift_h5_attributions <- function(x, ...) as.array(x[["values"]])
