# Results that are arrays and know more: what changes their numbers gives plain arrays, as deltas,
# references and the rest would not be theirs any more.

plain_classes <- c("seqlift_attributions", "seqlift_layer_attributions", "seqlift_pisa")

plain_numbers <- function(x) if (inherits(x, plain_classes)) strip_result(x) else x

strip_result <- function(x, ...) {
  attributes(x) <- list(dim = dim(x), dimnames = dimnames(x))
  x
}

#' @export
as.array.seqlift_attributions <- strip_result

#' @export
as.array.seqlift_layer_attributions <- strip_result

#' @export
as.array.seqlift_pisa <- strip_result

# R's own errors of indices and arithmetic, as the package's.
with_plain <- function(code, shape, call = caller_env()) {
  tryCatch(code, error = function(error) {
    if (inherits(error, "seqlift_error")) {
      stop(error)
    }
    abort_seqlift("argument",
      c(paste0("The numbers could not be taken or changed: ",
          escape_braces(conditionMessage(error)), "."),
        i = "They are an array of the shape [{toString(shape)}]."
      ),
      parent = error, call = call
    )
  })
}

take_plain <- function(x, ...) with_plain(strip_result(x)[...], dim(x))

#' @export
`[.seqlift_layer_attributions` <- take_plain

#' @export
`[.seqlift_pisa` <- take_plain

#' @export
`[<-.seqlift_attributions` <- function(x, ..., value) {
  with_plain(
    {
      x <- strip_result(x)
      x[...] <- value
      x
    },
    dim(x)
  )
}

# One function for all of them, so that R finds no two methods for one operation.
plain_operation <- function(e1, e2) {
  operation <- get(.Generic, mode = "function")
  shape <- if (inherits(e1, plain_classes)) dim(e1) else dim(e2)
  with_plain(
    if (missing(e2)) operation(plain_numbers(e1)) else
      operation(plain_numbers(e1), plain_numbers(e2)),
    shape
  )
}

#' @export
Ops.seqlift_attributions <- plain_operation

#' @export
Ops.seqlift_layer_attributions <- plain_operation

#' @export
Ops.seqlift_pisa <- plain_operation

#' @export
Math.seqlift_attributions <- function(x, ...) {
  operation <- get(.Generic, mode = "function")
  with_plain(operation(strip_result(x), ...), dim(x))
}
