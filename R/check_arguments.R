# Checks of plain arguments. Each returns its argument in the type that the core
# expects, or stops with an error of class `seqlift_error_argument` in the name of
# the function the user called.

describe <- function(x) {
  if (is.null(x)) {
    return("`NULL`")
  }
  if (is.atomic(x) && length(x) == 1L && is.null(dim(x))) {
    return(if (is.character(x)) quote_start(x) else as.character(x))
  }
  shape <- if (is.null(dim(x))) length(x) else dim(x)
  paste0(
    "an object of class <", class(x)[1L], "> and ",
    if (is.null(dim(x))) "length " else "shape ", paste(shape, collapse = " x ")
  )
}

# Of a long string its beginning; bytes that are no text as escapes.
quote_start <- function(x, most = 100L) {
  if (is.na(x)) {
    return("NA")
  }
  x <- if (validUTF8(x)) x else iconv(x, "latin1", "UTF-8")
  encodeString(if (nchar(x) > most) paste0(substr(x, 1L, most), "...") else x, quote = "\"")
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
    abort_argument(arg, paste("one whole number", range), describe(x), count_hint(x, arg),
      call = call
    )
  }
  as.integer(x)
}

# What is asked for must fit into the memory that is free; R's own words for it name no argument.
check_fits_memory <- function(bytes, arg, got, call = caller_env()) {
  free <- free_memory()
  if (!is.na(free) && bytes > free) {
    gigabytes <- function(x) paste(format(x / 1e9, digits = 2L, scientific = FALSE), "GB")
    abort_argument(arg, paste("as much as fits into memory, where", gigabytes(free), "are free"),
      paste0(got, ", which takes ", gigabytes(bytes)),
      hint = "Ask for less at a time.", call = call
    )
  }
}

# In bytes; NA where the system does not say.
free_memory <- function() {
  lines <- tryCatch(readLines("/proc/meminfo", warn = FALSE), error = function(error) character(),
    warning = function(warning) character()
  )
  free <- grep("^MemAvailable:", lines, value = TRUE)
  if (length(free) == 1L) 1024 * as.numeric(gsub("[^0-9]", "", free)) else NA_real_
}

# Places and outputs are counted from 0 in Python.
counted_from_one <- c("target", "start", "end", "index", "output", "outputs", "sequence", "first")

count_hint <- function(x, arg) {
  if (arg %in% counted_from_one && has_zero(x)) {
    "It is counted from 1, not from 0 as in Python."
  }
}

# The same for the columns of a table of regions.
count_hint_of_rows <- function(example, start) {
  if (has_zero(example) || has_zero(start)) {
    "Sequences and positions are counted from 1, not from 0 as in Python; ranges hold their last
     position."
  }
}

has_zero <- function(x) is.numeric(x) && any(x %in% 0)

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

check_no_dots <- function(..., .fn = "plot_logo", .after = "sequence", call = caller_env()) {
  if (...length() > 0L) {
    names <- ...names() %||% ""
    names <- ifelse(is.na(names) | names == "", "one without a name", names)
    abort_seqlift("argument", c(
      "{.fn {(.fn)}} got {length(names)} argument{?s} it does not know: {.val {names}}.",
      i = "Arguments after {.arg {(.after)}} must be named in full."
    ), call = call)
  }
}

# R names by NA what was not given a name when others were; tables and files know "" alone.
whole_names <- function(names) {
  if (anyNA(names)) ifelse(is.na(names), "", names) else names
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

check_share <- function(x, arg, above_zero = FALSE, call = caller_env()) {
  number <- is.numeric(x) && length(x) == 1L && is.finite(x) && x >= 0 && x <= 1
  if (!number || (above_zero && x == 0)) {
    range <- if (above_zero) "above 0 and at most 1" else "from 0 to 1"
    abort_argument(arg, paste("one number", range), describe(x), call = call)
  }
  as.numeric(x)
}
