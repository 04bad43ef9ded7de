# All conditions of the package: every error is a `seqlift_error_<kind>` and a
# `seqlift_error`, every warning a `seqlift_warning_<kind>` and a
# `seqlift_warning`, every message that tells of a choice a `seqlift_message_<kind>`
# and a `seqlift_message`. The first line of a message states the problem and names the
# argument; an "i" line says what was expected or what to do.

abort_seqlift <- function(kind, message, ..., call = caller_env(), .envir = parent.frame()) {
  cli::cli_abort(
    message,
    class = c(
      paste0("seqlift_error_", kind),
      if (kind %in% refused_models) "seqlift_error_unsupported_operation",
      "seqlift_error"
    ),
    ...,
    call = call,
    .envir = .envir
  )
}

warn_seqlift <- function(kind, message, ..., call = caller_env(), .envir = parent.frame()) {
  cli::cli_warn(
    message,
    class = c(paste0("seqlift_warning_", kind), "seqlift_warning"),
    ...,
    call = call,
    .envir = .envir
  )
}

inform_seqlift <- function(kind, message, ..., .envir = parent.frame()) {
  cli::cli_inform(
    message,
    class = c(paste0("seqlift_message_", kind), "seqlift_message"),
    ...,
    .envir = .envir
  )
}

# Every wrong argument is reported the same way: its name, what came, what was expected.
abort_argument <- function(arg, expected, got, hint = NULL, kind = "argument",
                           call = caller_env()) {
  got <- cut_long(got)
  message <- c("{.arg {arg}} must be {expected}, not {got}.", i = hint)
  abort_seqlift(kind, message, call = call)
}

# A value may be as long as a chromosome: its beginning tells which it is.
cut_long <- function(text, most = 200L) {
  text <- paste(text, collapse = ", ")
  if (nchar(text, "bytes") <= most) text else paste0(substr(text, 1L, most), "...")
}

# Words of a file or of another package, which cli must not read as its own.
escape_braces <- function(text) gsub("}", "}}", gsub("{", "{{", text, fixed = TRUE), fixed = TRUE)
