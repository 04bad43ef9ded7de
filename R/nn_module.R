# Models of R's torch. They are traced there, saved as TorchScript and read like any other file, so
# nothing of theirs enters the engine.

#' @rdname as_seqlift_model
#' @export
as_seqlift_model.nn_module <- function(x, example = NULL) {
  call <- rlang::current_env()
  check_r_torch(call)
  if (inherits(x, "nn_module_generator")) {
    abort_argument("x", "a module that was made", "a generator of modules",
      hint = "Make one first: {.code net <- Net(...)}, {.code as_seqlift_model(net, example)}.",
      call = call
    )
  }
  inputs <- example_inputs(example, x, call)
  # Outer modules come first: train() sets the modules inside as well.
  modules <- x$modules
  modes <- lapply(modules, function(module) module$training)
  on.exit(Map(function(module, mode) module$train(mode), modules, modes))
  x$eval()
  # Versions that trace both modes write two methods and no `forward`, unless they are told to trace
  # the one that the module is in. Those before had no such argument.
  if ("respect_mode" %in% names(formals(torch::jit_trace))) {
    inputs <- c(inputs, list(respect_mode = FALSE))
  }
  traced <- tryCatch(
    do.call(torch::jit_trace, c(list(x), inputs), quote = TRUE),
    error = function(error) {
      abort_seqlift("trace",
        c("The module could not be traced with {.arg example}.",
          i = "{.arg example} must be what the module takes: {.code x(example)}, or each element of
               a list for a module with several inputs."
        ),
        parent = error, call = call
      )
    }
  )
  load_script_module(traced)
}

#' @rdname as_seqlift_model
#' @export
as_seqlift_model.script_module <- function(x, example = NULL) {
  check_r_torch(rlang::current_env())
  load_script_module(x)
}

# The model's file stays with the R session.
load_script_module <- function(module) {
  write <- function(path) torch::jit_save(module, path)
  converted_model(write, list(format = "a module of R's torch"))
}

check_r_torch <- function(call) {
  check_package("torch", "A module of R's torch", call)
  if (!torch::torch_is_installed()) {
    abort_seqlift("package",
      c("R's torch is here without its LibTorch.", i = "Run {.code torch::install_torch()}."),
      call = call
    )
  }
}

# The inputs as unnamed tensors, of the type and on the device of the module's weights.
example_inputs <- function(example, module, call) {
  inputs <- if (is.list(example) && is.null(attr(example, "class"))) example else list(example)
  if (length(inputs) == 0L) {
    abort_example(example, call)
  }
  weights <- module$parameters
  like <- if (length(weights) > 0L) weights[[1L]]
  lapply(unname(inputs), function(input) {
    if (inherits(input, "torch_tensor")) {
      return(input)
    }
    if (is.character(input) || is_biostrings(input)) {
      input <- one_hot_array(as_sequences(input, "example", call))
    }
    if (!(is.numeric(input) || is.logical(input)) || anyNA(input)) {
      abort_example(input, call)
    }
    torch::torch_tensor(unname(input), dtype = like$dtype %||% torch::torch_float(),
      device = like$device
    )
  })
}

abort_example <- function(got, call) {
  abort_argument("example",
    "sequences, a numeric array without missing values, a torch tensor, or a list of these, one for
     each input of the module",
    describe(got),
    call = call
  )
}
