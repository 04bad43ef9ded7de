# How much memory a call of the engine may use. The number is R's: the engine is told with each
# call.

#' See or set how much memory seqlift uses
#'
#' What an attribution keeps of a model's layers for its backward pass is weighed before the work
#' starts, from one prediction. Where it would be more than this, the model is cut into parts, only
#' what passes from part to part is kept, and each part is evaluated once more when its turn comes
#' in the backward pass. That takes longer and changes no bit of any result, but for [pisa()],
#' whose last digits may change. What fits is not cut.
#'
#' Where parts are not enough, [deep_lift_shap()] and the methods of [attribute()] that go by
#' gradients evaluate the first layers in strips: pieces of the sequence with as many neighbours as
#' are looked at, up to the first layer that looks at all positions (attention, a mean over all).
#' Each position is computed as it is in the whole, so that results are the same up to rounding.
#' Layers are followed by what each operation does with positions; a model whose code goes another
#' way for a piece than for the whole sequence is not evaluated in strips.
#'
#' [saturation_mutagenesis()], [variant_effect()] and what else evaluates edits in windows keeps the
#' layers of the unchanged sequence from one batch of edits to the next. Where there is no room for
#' them, that sequence is evaluated again with each batch, or the edits as whole sequences,
#' whichever costs less; where there is room for a few sequences, no more of them are worked on at a
#' time.
#'
#' The default is half of what the machine has free when a call starts, or half of what is left of
#' the limit of a container or batch job, if that is less. The model's weights and the results are
#' not counted. Threads divide it among them. Up to 256 MB that a call took are kept for the next
#' one, or for R.
#'
#' @param bytes `NULL` to leave it as it is, a number of bytes, `Inf` for no limit, or `NA` for the
#'   default.
#' @return The number of bytes, invisibly when it was set. `Inf` where there is no limit, or where
#'   nobody can say what is free.
#' @section Errors: `seqlift_error_argument` when `bytes` is no number of at least 1.
#'   Attributions raise `seqlift_error_memory` where parts and strips do not help either: if a
#'   number was set and more is needed, or if more is needed than the machine has free. The message
#'   says how much; shorter sequences, `dtype = "float32"` and fewer threads
#'   ([seqlift_threads()]) take less.
#' @references Chen T, Xu B, Zhang C, Guestrin C (2016). Training deep nets with sublinear memory
#'   cost. <https://arxiv.org/abs/1604.06174>
#' @seealso [seqlift_threads()]
#' @export
#' @examples
#' seqlift_memory()
#'
#' # Two gigabytes for the calls that follow, then the default again.
#' seqlift_memory(2e9)
#' seqlift_memory(NA)
seqlift_memory <- function(bytes = NULL) {
  if (is.null(bytes)) {
    return(memory_in_use())
  }
  if (length(bytes) == 1L && is.atomic(bytes) && is.na(bytes)) {
    engine$memory <- NULL
  } else {
    engine$memory <- check_number(bytes, "bytes", min = 1)
  }
  invisible(memory_in_use())
}

memory_in_use <- function() {
  if (!is.null(engine$memory)) {
    return(engine$memory)
  }
  half <- core_memory_budget()
  if (is.na(half)) Inf else half
}
