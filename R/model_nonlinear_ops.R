# Registrations: classes or paths of modules that are treated as one unit, and their rules.

nonlinear_rules <- c("rescale", "softmax", "maxpool", "linear", "gradient", "integrate")

check_nonlinear_ops <- function(nonlinear_ops, model, call = caller_env()) {
  if (is.null(nonlinear_ops)) {
    return(list())
  }
  given <- as.list(nonlinear_ops)
  if (is.null(names(given)) || any(names(given) == "")) {
    abort_argument("nonlinear_ops", "named with module classes or paths",
      describe(nonlinear_ops),
      call = call
    )
  }
  for (name in names(given)) {
    rule <- given[[name]]
    if (!is.function(rule) && !(is.character(rule) && length(rule) == 1L &&
      rule %in% nonlinear_rules)) {
      abort_argument(paste0("nonlinear_ops$", name),
        paste("a function or one of", paste0("\"", nonlinear_rules, "\"", collapse = ", ")),
        describe(rule),
        call = call
      )
    }
  }
  classes <- model$info$module_classes
  known <- c(classes, sub("^.*\\.", "", classes), model$info$modules)
  unknown <- setdiff(names(given), known)
  if (length(unknown) > 0L) {
    abort_seqlift("registration",
      c("The model has no module of class or at path {.val {unknown}}.",
        i = "Its classes are {.val {unique(sub('^.*[.]', '', classes))}}."
      ),
      call = call
    )
  }
  check_called(names(given), model, call)
  given
}

# A module that the model holds but never calls is no operation, and what is registered for it would
# do nothing. Models that were saved as R objects by earlier versions do not tell.
check_called <- function(names, model, call) {
  called <- model$info$called
  classes <- model$info$called_classes
  if (is.null(called)) {
    return(invisible())
  }
  matched <- names %in% c(called, classes, sub("^.*\\.", "", classes))
  if (all(matched)) {
    return(invisible())
  }
  names <- names[!matched]
  them <- if (length(names) == 1L) "it" else "them"
  abort_seqlift("registration",
    c("The model has {.val {names}}, but its code never calls {them}.",
      i = if (length(called) == 0L) no_calls else
        "It calls {.val {unique(sub('^.*[.]', '', classes))}}.",
      i = if (length(called) == 0L) {
        "Leave {.arg nonlinear_ops} out: the operator rules, the default, go by the operations
         themselves."
      }
    ),
    call = call
  )
}

no_calls <- "It is a trace that holds the modules' operations and calls none of them, as those of
  R's torch do."

# Module rules go by modules. Without any call of one, they are the ordinary gradient throughout.
check_module_rules <- function(rules, model, call = caller_env()) {
  called <- model$info$called
  if (rules == "module" && !is.null(called) && length(called) == 0L) {
    warn_seqlift("module_rules",
      c("{.code rules = \"module\"} finds no module that the model's code calls: every operation
         keeps its ordinary gradient.",
        i = if (length(model$info$modules) > 1L) no_calls,
        i = "Use {.code rules = \"operator\"}, the default."
      ),
      call = call
    )
  }
}

# The engine calls a user's rule from C++, through which no R condition may jump: an error is kept
# in `failures`, the engine gets an array that it refuses, and an interrupt waits.
guard_rules <- function(nonlinear_ops, failures) {
  guard <- function(name) {
    rule <- nonlinear_ops[[name]]
    if (!is.function(rule)) {
      return(rule)
    }
    function(x, x_ref, y, y_ref, grad_output) {
      suspendInterrupts(tryCatch(
        as_multiplier(rule(x, x_ref, y, y_ref, grad_output)),
        error = function(error) {
          failures$name <- name
          failures$error <- error
          double()
        }
      ))
    }
  }
  stats::setNames(lapply(names(nonlinear_ops), guard), names(nonlinear_ops))
}

as_multiplier <- function(value) {
  if (!is.numeric(value)) {
    stop("It returned ", describe(value), ", not numbers.", call. = FALSE)
  }
  value
}

abort_rule <- function(error, failures, call) {
  if (is.null(failures$error)) {
    rlang::cnd_signal(error)
  }
  abort_seqlift("registration",
    c("The function in {.arg nonlinear_ops} for {.val {failures$name}} failed.",
      i = "It is called as {.code f(x, x_ref, y, y_ref, grad_output)} and returns the multiplier,
           of the shape of {.arg x}."
    ),
    parent = failures$error, call = call
  )
}
