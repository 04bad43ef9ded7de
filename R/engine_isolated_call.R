# One call of the engine where it runs in a session of its own (engine_isolated.R): what this
# session sends and waits for, and what that session does.

# ---- one call --------------------------------------------------------------------------------

ask_session <- function(name, args, call) {
  session <- engine$session
  if (session$get_state() == "busy") {
    abort_seqlift("session",
      c("The engine is in the middle of another call.",
        i = "It runs in an R session of its own, where functions in {.arg nonlinear_ops} cannot use
             a model."
      ),
      call = call
    )
  }
  folder <- tempfile("seqlift-call-")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  callbacks <- callbacks_of(args)
  engine$calls <- (engine$calls %||% 0L) + 1L
  write_native(
    list(
      name = name, args = without_callbacks(args), load_as = paste0("model", engine$calls),
      live = live_handles(), folder = getwd(), parent = Sys.getpid(),
      of_model = length(args) > 0L && is.environment(args[[1L]])
    ),
    file.path(folder, "request")
  )
  # An interrupt, or whatever else leaves this function, stops the call there too.
  running <- TRUE
  on.exit(if (running) stop_session_call(session, folder), add = TRUE, after = FALSE)
  suspendInterrupts(
    session$call(function(folder) asNamespace("seqlift")$serve_call(folder), list(folder))
  )
  message <- wait_for_session(session, callbacks, folder)
  running <- FALSE
  value <- value_of_call(message, folder, call)
  if (name == "load" && !is_engine_error(value)) {
    value$pointer <- new_handle(value$pointer)
  }
  value
}

value_of_call <- function(message, folder, call) {
  cat(message$stdout)
  cat(without_backtraces(message$stderr), file = stderr())
  if (message$code != 200L) {
    abort_seqlift("session",
      c("The R session that runs the engine ended in the middle of the call.",
        x = "{message$message}",
        i = "It was killed, ran out of memory (a smaller {.arg batch_size} needs less), or crashed,
             as LibTorch can at a damaged file. The next call starts another one."
      ),
      call = call
    )
  }
  if (!is.null(message$error)) {
    abort_seqlift("session", "The R session that runs the engine failed.",
      parent = message$error, call = call
    )
  }
  value <- read_native(file.path(folder, "value"))
  if (inherits(value, "condition")) {
    rlang::cnd_signal(value)
  }
  value
}

# Where the session crashed R lists every call, of callr's too, over hundreds of lines, and UCX,
# which LibTorch 2.6 loads in Debian 13, every frame. Where it crashed while R collected garbage,
# making that list asks for more collections, and R says of each that it cannot: thousands of lines.
without_backtraces <- function(text) {
  text <- gsub("*** recursive gc invocation\n", "", text, fixed = TRUE)
  text <- gsub("(?s)==== backtrace .*?\n=+\n", "", text, perl = TRUE)
  sub("\nTraceback:\n.*", "\n", text)
}

# Waits for the end of the call, shows its progress, answers its questions. Interrupts get in only
# between messages. NULL if there is no end after `patience` seconds.
wait_for_session <- function(session, callbacks, folder, patience = Inf) {
  began <- proc.time()[["elapsed"]]
  while (proc.time()[["elapsed"]] - began < patience) {
    # Sooner after an interrupt: processx looks for one every 200 ms.
    if (session$poll_process(1000L) != "ready") {
      next
    }
    message <- suspendInterrupts(read_message(session, callbacks, folder))
    if (!is.null(message)) {
      return(message)
    }
  }
}

read_message <- function(session, callbacks, folder) {
  message <- session$read()
  if (is.null(message) || message$code != 301L) {
    return(message)
  }
  said <- message$message
  if (identical(said$about, "progress")) {
    callbacks$progress(said$value)
  } else if (identical(said$about, "rule")) {
    values <- read_native(file.path(folder, "question"))
    write_native(do.call(callbacks$rules[[said$value]], values), file.path(folder, "part"))
    file.rename(file.path(folder, "part"), file.path(folder, "answer"))
  }
  NULL
}

# A call that does not stop, and a second Ctrl-C, end the session: the next call starts another.
stop_session_call <- function(session, folder) {
  stopped <- tryCatch(
    interrupt_session(session, folder),
    interrupt = function(condition) FALSE,
    error = function(error) FALSE
  )
  if (!stopped) {
    session$kill()
  }
}

interrupt_session <- function(session, folder) {
  ignored <- list(progress = function(share) NULL)
  for (attempt in seq_len(6L)) {
    session$interrupt()
    if (!is.null(wait_for_session(session, ignored, folder, patience = 10))) {
      # An interrupt that came as the call ended waits for the next one: this.
      session$call(function() Sys.sleep(0.01))
      return(!is.null(wait_for_session(session, ignored, folder, patience = 10)))
    }
  }
  FALSE
}

# The functions among a call's options stay here: they see what the user sees.
callbacks_of <- function(args) {
  options <- options_of(args)
  list(progress = options$progress, rules = options$nonlinear_ops)
}

# Those of methods come last; what is no method of a model has none.
options_of <- function(args) {
  last <- if (length(args) > 0L) args[[length(args)]]
  if (is.list(last)) last
}

without_callbacks <- function(args) {
  if (length(args) > 0L && is.environment(args[[1L]])) {
    args[[1L]] <- args[[1L]]$name
  }
  options <- options_of(args)
  if (!is.null(options$progress)) {
    options$progress <- TRUE
  }
  if (!is.null(options$nonlinear_ops)) {
    options$nonlinear_ops <- lapply(options$nonlinear_ops, function(rule) {
      if (!is.function(rule)) rule
    })
  }
  if (!is.null(options)) {
    args[[length(args)]] <- options
  }
  args
}

# R's own format in this machine's byte order: with arrays it takes half the time of saveRDS().
write_native <- function(value, path) {
  file <- file(path, "wb")
  on.exit(close(file))
  serialize(value, file, xdr = FALSE)
}

read_native <- function(path) {
  file <- file(path, "rb")
  on.exit(close(file))
  unserialize(file)
}

# ---- in the session --------------------------------------------------------------------------

served_models <- new.env(parent = emptyenv())

serve_call <- function(folder) {
  request <- read_native(file.path(folder, "request"))
  unlink(file.path(folder, "request"))
  # Paths may be relative to where the user is.
  setwd(request$folder)
  rm(list = setdiff(ls(served_models), request$live), envir = served_models)
  args <- with_callbacks(request$args, folder, request$parent)
  if (request$of_model) {
    args[[1L]] <- served_models[[request$args[[1L]]]]
  }
  value <- tryCatch(do.call(ask_engine, c(request$name, args), quote = TRUE), error = identity)
  if (request$name == "load" && !is_engine_error(value) && !inherits(value, "condition")) {
    served_models[[request$load_as]] <- value$pointer
    value$pointer <- request$load_as
  }
  write_native(value, file.path(folder, "value"))
}

with_callbacks <- function(args, folder, parent) {
  options <- options_of(args)
  if (isTRUE(options$progress)) {
    options$progress <- function(share) tell_parent("progress", share)
  }
  for (i in which(vapply(options$nonlinear_ops, is.null, logical(1L)))) {
    options$nonlinear_ops[[i]] <- ask_parent(i, folder, parent)
  }
  if (!is.null(options)) {
    args[[length(args)]] <- options
  }
  args
}

# callr sends conditions of this class to the parent.
tell_parent <- function(about, value) {
  signalCondition(structure(
    class = c("seqlift_news", "callr_message", "condition"),
    list(message = about, about = about, value = value)
  ))
}

# A function of the parent's as a function here. Nothing jumps out of it through the engine: an
# interrupt while it waits is an array that the engine refuses, and so is the silence of a parent
# that was killed.
ask_parent <- function(rule, folder, parent) {
  force(rule)
  function(...) {
    suspendInterrupts(tryCatch(
      allowInterrupts({
        write_native(list(...), file.path(folder, "question"))
        tell_parent("rule", rule)
        answer <- file.path(folder, "answer")
        while (!file.exists(answer)) {
          if (!tools::pskill(parent, 0L)) {
            return(double())
          }
          Sys.sleep(0.001)
        }
        value <- read_native(answer)
        unlink(answer)
        value
      }),
      interrupt = function(condition) double()
    ))
  }
}
