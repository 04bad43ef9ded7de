# Checks of plain arguments. Each returns its argument in the type that the core
# expects, or stops with an error of class `seqlift_error_argument` in the name of
# the function the user called.

describe <- function(x) {
  if (is.null(x)) {
    return("`NULL`")
  }
  if (is.atomic(x) && length(x) == 1L && is.null(dim(x))) {
    return(if (is.character(x)) encodeString(x, quote = "\"") else as.character(x))
  }
  shape <- if (is.null(dim(x))) length(x) else dim(x)
  paste0(
    "an object of class <", class(x)[1L], "> and ",
    if (is.null(dim(x))) "length " else "shape ", paste(shape, collapse = " x ")
  )
}

check_flag <- function(x, arg, call = caller_env()) {
  if (!is.logical(x) || length(x) != 1L || is.na(x)) {
    abort_argument(arg, "TRUE or FALSE", describe(x), call = call)
  }
  x
}

# One whole number from `min` to `max`; `null = TRUE` lets NULL through.
check_count <- function(x, arg, min = 1, max = .Machine$integer.max, null = FALSE,
                        call = caller_env()) {
  if (null && is.null(x)) {
    return(NULL)
  }
  whole <- is.numeric(x) && length(x) == 1L && is.finite(x) && x == trunc(x)
  if (!whole || x < min || x > max) {
    open <- max == .Machine$integer.max
    range <- if (open) paste("of at least", min) else paste("from", min, "to", max)
    abort_argument(arg, paste("one whole number", range), describe(x), call = call)
  }
  as.integer(x)
}

check_number <- function(x, arg, min = -Inf, max = Inf, call = caller_env()) {
  if (!is.numeric(x) || length(x) != 1L || is.na(x) || x < min || x > max) {
    range <- if (is.finite(min)) paste(" of at least", min) else ""
    abort_argument(arg, paste0("one number", range), describe(x), call = call)
  }
  as.numeric(x)
}

check_string <- function(x, arg, null = FALSE, call = caller_env()) {
  if (null && is.null(x)) {
    return(NULL)
  }
  if (!is.character(x) || length(x) != 1L || is.na(x)) {
    abort_argument(arg, "one string", describe(x), call = call)
  }
  x
}

check_choice <- function(x, choices, arg, null = FALSE, call = caller_env()) {
  if (null && is.null(x)) {
    return(NULL)
  }
  if (identical(x, choices)) {
    return(choices[1L])
  }
  if (!is.character(x) || length(x) != 1L || !x %in% choices) {
    abort_argument(arg, paste("one of", paste0("\"", choices, "\"", collapse = ", ")),
      describe(x),
      call = call
    )
  }
  x
}

# A seed as numpy's RandomState takes it (0 to 2^32 - 1), as a double. NULL draws one
# from R's own generator, so that set.seed() governs the result.
check_random_state <- function(x, arg = "random_state", call = caller_env()) {
  if (is.null(x)) {
    return(as.numeric(sample.int(.Machine$integer.max, 1L)))
  }
  whole <- is.numeric(x) && length(x) == 1L && is.finite(x) && x == trunc(x)
  if (!whole || x < 0 || x > 2^32 - 1) {
    abort_argument(arg, "one whole number from 0 to 4294967295, or NULL", describe(x), call = call)
  }
  as.numeric(x)
}

# A suggested package, or several, without which `purpose` ("Writing a bigWig file") cannot be.
check_package <- function(package, purpose, call = caller_env()) {
  missing <- package[!vapply(package, requireNamespace, logical(1L), quietly = TRUE)]
  if (length(missing) > 0L) {
    abort_seqlift("package",
      c("{purpose} needs the package{?s} {.pkg {missing}}, which
         {cli::qty(length(missing))}{?is/are} not installed.",
        i = "Install {cli::qty(length(missing))}{?it/them} with {.code BiocManager::install()} or
             from your distribution."
      ),
      call = call
    )
  }
}
