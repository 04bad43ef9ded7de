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
#' more for each gigabyte of sequences, references and results. If the other session dies (killed,
#' out of memory, crashed), the call fails with a `seqlift_error_session`; the next one starts
#' another.
#'
#' A session of its own is also a way to open files that you do not trust: what ends LibTorch there
#' (code in a TorchScript file that was damaged on purpose, its checksum made right again) is an
#' error here.
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
  home <- Sys.getenv("TORCH_HOME")
  home <- if (nzchar(home)) home else package
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
