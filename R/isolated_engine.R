# The engine in an R session of its own, a child of this one, for processes that cannot load
# LibTorch: two different copies in one process abort it, and no way of loading them keeps them
# apart. The child runs the ordinary engine; what it holds of a model stays there. A call travels
# as a file, its value comes back as one; progress and questions come as messages on callr's pipe.

#' Where the engine runs
#'
#' The engine is the part of seqlift that is linked to LibTorch. It is loaded with the first model.
#' Two different copies of LibTorch in one process abort it, and R's torch brings a copy, which it
#' loads with `library(torch)`. So the engine runs
#'
#' * in this R process, where no other copy can come: R's torch is not installed, or uses the very
#'   LibTorch that seqlift was built with;
#' * else in an R session of its own, which the package callr starts. It ends with this one. A
#'   message says so once.
#'
#' With that `library(torch)` and seqlift work together in any order. The results are the same bit
#' for bit, progress bars and interrupts (Ctrl-C) pass through, and functions in `nonlinear_ops`
#' are called in this process. Every call takes some tens of milliseconds more, and a few seconds
#' more for each gigabyte of sequences, references and results. If the other session dies (killed, out
#' of memory), the call fails with a `seqlift_error_session`; the next one starts another.
#'
#' `options(seqlift.engine = )` chooses, before the first model is loaded:
#'
#' * `"auto"`, the default, as above;
#' * `"process"`: in this process, whatever is installed. Once the engine is loaded, loading
#'   R's torch with another LibTorch aborts R;
#' * `"session"`: in a session of its own.
#'
#' R's torch is looked for when the first model is loaded. After installing it in an R session in
#' which seqlift was used, restart R.
#'
#' @section Errors: `seqlift_error_libtorch` when another LibTorch is loaded already and the
#'   package callr is not installed or `options(seqlift.engine = "process")` is set;
#'   `seqlift_error_session` when the session cannot be started or ends during a call, or when a
#'   function in `nonlinear_ops` uses a model; `seqlift_error_argument` when the option is none of
#'   the three.
#' @name seqlift_engine
#' @aliases seqlift.engine
#' @examples
#' getOption("seqlift.engine", "auto")
NULL

# ---- in this process or not ------------------------------------------------------------------

# Why the engine must have a session of its own: the lines of a message and what they name. NULL if
# it may be loaded here. `own` is the LibTorch that it was built with.
why_session <- function(own, version, call) {
  choice <- check_choice(getOption("seqlift.engine", "auto"), c("auto", "process", "session"),
    "options(seqlift.engine = )",
    call = call
  )
  if (choice == "session") {
    return(list(lines = c(i = "{.code options(seqlift.engine = \"session\")} asks for it.")))
  }
  mapped <- other_than(own, mapped_libtorch())
  if (length(mapped) > 0L) {
    why <- list(
      lines = c(
        i = "Another LibTorch is loaded in this session: {.path {other}}.",
        x = "seqlift was built with LibTorch {version}, {.path {own}}; two copies in one process
             abort it."
      ),
      other = mapped[1L], own = own, version = version
    )
    if (choice == "process" || !requireNamespace("callr", quietly = TRUE)) {
      refuse_libtorch(why, choice, call)
    }
    return(why)
  }
  torch <- other_than(own, r_torch_libtorch())
  if (choice == "auto" && length(torch) > 0L) {
    list(
      lines = c(
        i = "R's torch is installed with another LibTorch, {.path {other}}; two copies in one
             process abort it."
      ),
      other = torch[1L]
    )
  }
}

refuse_libtorch <- function(why, choice, call) {
  way <- if (choice == "process") {
    "With {.code options(seqlift.engine = \"auto\")} seqlift runs its engine in an R session of its
     own."
  } else {
    "Install the package {.pkg callr}: with it, seqlift runs its engine in an R session of its own."
  }
  abort_seqlift("libtorch",
    c(
      unname(why$lines[1L]), why$lines[-1L],
      i = way, i = "Or reinstall seqlift with {.envvar LIBTORCH_HOME} set to the other copy."
    ),
    call = call, .envir = list2env(why)
  )
}

other_than <- function(own, paths) {
  paths[normalizePath(paths, mustWork = FALSE) != normalizePath(own, mustWork = FALSE)]
}

mapped_libtorch <- function() {
  maps <- "/proc/self/maps"
  if (!file.exists(maps)) {
    return(character())
  }
  lines <- grep("libtorch_cpu\\.so", readLines(maps, warn = FALSE), value = TRUE)
  unique(sub("^[^/]*", "", lines))
}

# The LibTorch that library(torch) would load, found without loading anything. It does so as the
# package is loaded, before any hook of ours could run: with our engine in the process, that would
# be the end of it. So it must not get there where R's torch is installed with another copy.
r_torch_libtorch <- function() {
  package <- system.file(package = "torch")
  if (package == "") {
    return(character())
  }
  # As torch::torch_install_path() and torch::torch_is_installed() look for it.
  home <- Sys.getenv("TORCH_HOME", package)
  found <- list.files(file.path(home, c("lib", "lib64", "bin")), "^libtorch_cpu\\.(so|dylib)$",
    full.names = TRUE
  )
  if (length(found) > 0L) {
    return(found[1L])
  }
  # Without one, library(torch) installs it before it goes on, if it may ask the user.
  answer <- Sys.getenv("TORCH_INSTALL")
  if (answer == "1" || (interactive() && answer != "0")) file.path(home, "lib") else character()
}

# ---- the session -----------------------------------------------------------------------------

start_session <- function(call) {
  check_package("callr", "An engine in an R session of its own", call)
  # No profile: it could load R's torch there.
  options <- callr::r_session_options(libpath = .libPaths(), user_profile = FALSE)
  tryCatch(
    {
      session <- callr::r_session$new(options, wait_timeout = session_patience)
      session$run(prepare_session, list(dirname(system.file(package = "seqlift"))))
    },
    error = function(error) {
      abort_seqlift("session", "The R session for the engine could not be started.",
        parent = error, call = call
      )
    }
  )
  engine$session <- session
  engine$handles <- list()
  engine$token <- new_token()
}

# How long a session may take to start on a busy machine, in milliseconds.
session_patience <- 60000L

# Runs in the new session, where nothing else is loaded.
prepare_session <- function(home) {
  options(seqlift.engine = "process")
  loadNamespace("seqlift", lib.loc = c(home, .libPaths()))
  invisible()
}

tell_of_session <- function(why) {
  inform_seqlift("session",
    c(
      "seqlift runs its engine in an R session of its own.", why$lines,
      i = "See {.code ?seqlift_engine}."
    ),
    .envir = list2env(why)
  )
}

# One that was killed is replaced; its models are loaded again as they are used.
keep_session <- function(call) {
  if (!engine$session$is_alive()) {
    start_session(call)
  }
}

end_session <- function() {
  if (!is.null(engine$session) && identical(engine$pid, Sys.getpid())) {
    engine$session$close()
    engine$session <- NULL
    engine$about <- NULL
  }
}

.onUnload <- function(libpath) end_session()

# ---- models in the session -------------------------------------------------------------------

# Here a model's "pointer" is an environment with the name that the session knows it by. What no
# handle points at any more is forgotten there with the next call.
new_handle <- function(name) {
  handle <- new.env(parent = emptyenv())
  handle$name <- name
  engine$handles[[name]] <- rlang::new_weakref(handle)
  handle
}

# A handle that came through readRDS() is a copy, which does not keep the model in the session.
is_live_handle <- function(handle) {
  known <- engine$handles[[handle$name]]
  !is.null(known) && identical(rlang::wref_key(known), handle)
}

live_handles <- function() {
  gone <- vapply(engine$handles, function(known) is.null(rlang::wref_key(known)), logical(1L))
  engine$handles <- engine$handles[!gone]
  names(engine$handles)
}

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
      live = live_handles(), folder = getwd(), parent = Sys.getpid()
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
  cat(message$stderr, file = stderr())
  if (message$code != 200L) {
    abort_seqlift("session",
      c("The R session that runs the engine ended in the middle of the call.",
        x = "{message$message}",
        i = "It was killed or ran out of memory (a smaller {.arg batch_size} needs less). The next
             call starts another one."
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

# Those of methods come last; "info" and "load" have none.
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
  if (request$name %in% c("info", "load")) {
    args <- request$args
  } else {
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
