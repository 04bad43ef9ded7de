# The part of the package that is linked to LibTorch. It is loaded with the first model, not
# with the package: two different LibTorch copies in one process abort it, and R's torch
# brings its own.

# What is loaded in this process: its pid, a token that tells one engine from another, what it says
# of itself, and how many threads the user asked for. Its library is `dll`; where that cannot be
# loaded here, `session` is the R session that runs it (engine_isolated.R).
engine <- new.env(parent = emptyenv())

load_engine <- function(call = caller_env()) {
  if (!is.null(engine$about)) {
    check_not_forked(call)
    if (!is.null(engine$session)) {
      keep_session(call)
    }
    return(invisible())
  }
  built_with <- read.dcf(system.file("libtorch.dcf", package = "seqlift"))[1L, ]
  why <- why_session(built_with[["Library"]], built_with[["Version"]], call)
  if (is.null(why)) {
    load_library(built_with, call)
  } else {
    start_session(call)
    tell_of_session(why)
  }
  engine$pid <- Sys.getpid()
  engine$about <- route_call("info", call = call)
  invisible()
}

load_library <- function(built_with, call) {
  home <- dirname(system.file(package = "seqlift"))
  engine$dll <- tryCatch(
    library.dynam("seqlift_torch", "seqlift", lib.loc = home),
    error = function(error) {
      abort_seqlift("libtorch",
        c("The engine could not be loaded: {conditionMessage(error)}",
          i = "It was built with LibTorch {built_with[['Version']]} at
               {.path {built_with[['Library']]}}; reinstall seqlift if that moved."
        ),
        call = call
      )
    }
  )
  engine$token <- new_token()
}

new_token <- function() paste(Sys.getpid(), format(Sys.time(), "%s%OS6"))

# A fork copies the engine's memory but not its threads: the first parallel step would wait
# for ever. It would also share the pipes to an engine in a session of its own.
check_not_forked <- function(call) {
  if (engine$pid != Sys.getpid()) {
    abort_seqlift("fork",
      c("This process was forked after a model was used, which LibTorch does not survive.",
        i = "Use socket workers (BiocParallel::SnowParam(), parallel::makePSOCKcluster())."
      ),
      call = call
    )
  }
}

# One call of the engine. Its errors come back as values and are raised here, in the name of
# the function that the user called.
call_engine <- function(name, ..., call = caller_env()) {
  result <- ask_engine(name, ..., call = call)
  if (is_engine_error(result)) {
    result <- with_fixed_batch(result, ..., call = call)
    raise_engine_error(result, shape_of_input(...), call)
  }
  result
}

# Of a model that failed: whether it does for any number of sequences but the one that it was traced
# with.
with_fixed_batch <- function(result, handle = NULL, input = NULL, ..., call) {
  options <- Find(function(x) is.list(x) && is.list(x$wrappers), list(...))
  possible <- result$error %in% c("evaluation", "output", "internal") && is.numeric(input$n)
  if (!possible || is.null(options)) {
    return(result)
  }
  fixed <- ask_engine("fixed_batch", handle, input, options, call = call)
  if (is_engine_error(fixed) || fixed == 0L) {
    return(result)
  }
  list(error = "batch", message = paste0(
    "The model takes ", fixed, if (fixed == 1L) " sequence" else " sequences",
    " at a time and no other number: it was traced with so many, and its code has kept the number ",
    "(", sub("[.]$", "", result$message), ")."
  ))
}

ask_engine <- function(name, ..., call = caller_env()) {
  load_engine(call)
  route_call(name, ..., call = call)
}

route_call <- function(name, ..., call) {
  if (is.null(engine$session)) call_library(name, ...) else ask_session(name, list(...), call)
}

# R CMD check looks .Call()'s routines up in seqlift.so; these are the other library's.
call_routine <- .Call

call_library <- function(name, ...) {
  routine <- getNativeSymbolInfo(paste0("seqlift_torch_", name), engine$dll)$address
  call_routine(routine, ...)
}

is_engine_error <- function(result) is.list(result) && identical(names(result)[1L], "error")

# Every method of a model takes its handle, then engine_input(): "20 bp and 4 channels".
shape_of_input <- function(handle = NULL, input = NULL, ...) {
  channels <- if (is.null(input$array)) n_bases else dim(input$array)[2L]
  length <- if (is.null(input$array)) nrow(input$codes) else dim(input$array)[3L]
  paste(length, "bp and", channels, "channels")
}

raise_engine_error <- function(result, shape, call) {
  if (result$error == "interrupt") {
    rlang::interrupt()
  }
  message <- escape_braces(result$message)
  hint <- switch(result$error,
    file = hint_for_file(message),
    evaluation =
      "Check that the model takes the length and the channels of {.arg X}, here {shape}, and the
       shapes in {.arg args}. A layout other than [n, 4, L] is said when it is loaded:
       {.code load_model(path, layout = \"NLC\")}.",
    length = "{.arg X} has {shape}: give sequences of the length that the model was made for.",
    batch = hint_for_batch(message),
    code =
      "TorchScript is code that runs when a model is used; {.fn load_model} says what it may do.",
    random =
      "{.code load_model(path, allow_random = TRUE, random_state = 0)} draws the same numbers in
       every call and for every sequence.",
    discrete =
      "{.fn saturation_mutagenesis} needs no slopes, and {.fn deep_lift_shap} with
       {.code hypothetical = FALSE} explains the bases that are there.",
    unsupported_operation =
      "See {.fn audit_model} for every operation; {.arg nonlinear_ops} can give a rule.",
    internal = "This is a fault of seqlift or of the model's code; please report it."
  )
  abort_seqlift(result$error, c(message, i = hint), call = call)
}

# What to do with a file that is no TorchScript, or none that can be read.
hint_for_file <- function(message) {
  if (grepl("is not a TorchScript file: it is an HDF5 file", message, fixed = TRUE)) {
    return("{.fn load_keras_model} reads Keras models from HDF5 files.")
  }
  if (grepl("could not be read as TorchScript|it is a Python pickle", message)) {
    "It is damaged, or written by torch.save(). Weights alone (a state dict) are read by
     {.fn read_state_dict}, and {.fn bpnet}, {.fn chrombpnet}, {.fn procapnet}, {.fn beluga},
     {.fn basset}, {.fn deepsea} and {.fn enformer} make a model of them; of other models
     {.code torch.jit.script(model).save(path)} in Python writes TorchScript."
  }
}

#' See or set how many threads seqlift uses
#'
#' The default is all cores of the machine. Sequences are worked on in parallel, one thread
#' each, so more threads never change a result.
#'
#' @param n `NULL` to leave the number as it is, or a whole number of threads.
#' @return The number of threads, invisibly when it was set.
#' @section Errors: `seqlift_error_argument` when `n` is not a whole number of at least 1.
#' @export
#' @examples
#' seqlift_threads()
seqlift_threads <- function(n = NULL) {
  n <- check_count(n, "n", null = TRUE)
  if (!is.null(n)) {
    engine$threads <- n
    return(invisible(n))
  }
  if (!is.null(engine$threads)) {
    return(engine$threads)
  }
  load_engine()
  max(1L, engine$about$cores)
}

# Called by the engine where the system gives it fewer threads than were asked for.
tell_of_threads <- function(threads, wanted) {
  if (is.null(engine$told_of_threads)) {
    engine$told_of_threads <- TRUE
    inform_seqlift("threads",
      c("The system lets this process start {threads} thread{?s}, not {wanted}: the results are the
         same, later.",
        i = "A limit on processes is reached ({.code ulimit -u}); {.fn seqlift_threads} sets how
             many are asked for."
      )
    )
  }
}

# A progress bar for one call of the engine: a function of the share that is done, or NULL. No
# condition may jump out of it through the engine; an interrupt waits until the engine asks.
progress_bar <- function(verbose, name, env = parent.frame()) {
  if (!verbose) {
    return(NULL)
  }
  # The engine may say "all done" more than once; the bar ends with the function that made it.
  bar <- cli::cli_progress_bar(name, total = 100, auto_terminate = FALSE, .envir = env)
  function(share) {
    suspendInterrupts(
      cli::cli_progress_update(set = floor(100 * share), id = bar, .envir = env)
    )
  }
}
