# Models. A `seqlift_model` is plain data: the file, its content hash, what has been put around
# the model (an output selected, a profile scored, arguments filled in). What the engine holds
# of it lives in `cache` and is loaded again where it is missing: in another process, or after
# readRDS().

#' Load a model
#'
#' Reads a TorchScript file (`torch.jit.script(model).save()` or `torch.jit.trace(...).save()` in
#' Python), saved in training or evaluation mode, from LibTorch 1.13 or later, or an archive of
#' `torch.export` (`.pt2`); the file's content says which. The model is used in evaluation mode and
#' is never changed. It may return a tensor, or several in a tuple, a NamedTuple, a list, or a
#' dictionary (as Enformer does) that its code writes down at once; keys and fields name the outputs
#' in [predict()] and `print()`.
#'
#' # Archives of torch.export
#'
#' `torch.export.save(torch.export.export(model.eval(), (x,), dynamic_shapes = ({0:
#' torch.export.Dim("batch")},)), "model.pt2")`, by PyTorch 2.1 or later, in both of its formats,
#' decomposed (`run_decompositions()`) or not. The operations of its graph become a TorchScript
#' module in R's temporary folder, by the engine alone, which is explained as any other: rules,
#' [audit_model()] and `rules = "module"` find the paths and classes of the modules and the lines
#' of the code where the archive tells them. A module that the export has taken apart into other
#' operations (a `MaxPool1d` after `run_decompositions()`) has its class, but module rules, which
#' look for the module's own operation, may not find it; operator rules need none of this.
#'
#' The inputs are the tensors that the model takes, the outputs those that it returns, in their
#' order; where outputs are nested in tuples or dictionaries, in the order of PyTorch's own
#' flattening, and the keys of a dictionary name them (`"a.1"`, `"a.2"` of a tuple in it). The
#' batch dimension may be dynamic. One that is fixed is set free where every size that it makes up
#' can be told, and the result is tried with other numbers of sequences; else the model is refused,
#' with what to write in the export.
#'
#' An operation that the LibTorch in use does not have (a model from a newer PyTorch) is refused by
#' its name and line, as is control flow (`torch.cond`) and a model that was exported in training
#' mode.
#'
#' @param path Path of the file.
#' @param device Where to run it: `"cpu"`, `"cuda"`, `"cuda:1"`, or `NULL` (default) for cuda when
#'   the LibTorch in use has it, else cpu. Each call can choose another, see the section on devices.
#' @return A `seqlift_model`.
#' @section Errors: `seqlift_error_file` when the file is missing, a directory, truncated or neither
#'   TorchScript nor of `torch.export`; `seqlift_error_model` when it has no `forward` method,
#'   weights that are not finite, or what an archive of `torch.export` is refused for, see above;
#'   `seqlift_error_device` when there is no such device; `seqlift_error_libtorch` when another
#'   LibTorch is loaded already and the engine cannot have a session of its own, see
#'   [seqlift_engine].
#' @section Devices: On a CUDA device predictions, attributions and mutagenesis are computed there
#'   and the results come back to R. Batches are made as large as fits the memory that is free, at
#'   most `batch_size`; a batch that runs out of memory all the same is run again in halves, which
#'   changes results by rounding alone. `seqlift_error_memory` says when not even one sequence fits,
#'   or, with `rules = "module"`, whose batches belong together, the whole batch. TF32 is off while
#'   seqlift computes. In float32 results differ from the CPU's in the last digits, and
#'   [convergence_deltas()] are looser; in float64 they are equal to rounding.
#' @seealso [select_output()], [profile_score()], [with_args()] to choose what is explained;
#'   [ensemble()], [reverse_complement_average()] for means; [save_model()] to keep a model.
#' @export
#' @examples
#' model <- load_model(system.file("extdata", "demo_model.pt", package = "seqlift"))
#' model
load_model <- function(path, device = NULL) {
  call <- rlang::current_env()
  path <- path.expand(check_string(path, "path"))
  device <- if (is.null(device)) NULL else check_device(device)
  if (call_engine("is_exported_program", path, call = call)) {
    return(converted_model(
      function(to) call_engine("convert_exported_program", path, to, call = call),
      origin = list(format = "torch.export", path = path), device = device, call = call
    ))
  }
  open_model(path, device, origin = NULL, call)
}

# `origin`: for a model that was made here, list(format, path) of what it was made from, and
# `sources` where that is other models: their files.
open_model <- function(path, device, origin, call) {
  loaded <- call_engine("load", path, call = call)
  check_weights(loaded$info, origin$path %||% path, call)
  cache <- new.env(parent = emptyenv())
  cache$pointer <- loaded$pointer
  cache$token <- engine$token
  path <- normalizePath(path)
  structure(
    list(
      path = path, hash = unname(tools::md5sum(path)), info = loaded$info, device = device,
      wrappers = list(), args = list(), origin = origin, cache = cache
    ),
    class = "seqlift_model"
  )
}

# A model that was not TorchScript: `write(path)` makes the engine write it as TorchScript, into the
# session's temporary folder. Its name is its content, so that the same model is one file.
converted_model <- function(write, origin, device = NULL, call = caller_env()) {
  part <- tempfile("seqlift-model-", fileext = ".part")
  on.exit(unlink(part))
  write_script(write, part)
  path <- file.path(tempdir(), paste0("seqlift-model-", unname(tools::md5sum(part)), ".pt"))
  file.rename(part, path)
  open_model(path, device, origin, call)
}

# LibTorch writes a file's own name into it. Under one name, the same model is the same bytes.
write_script <- function(write, path) {
  folder <- tempfile(".seqlift-model-", tmpdir = dirname(path))
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  part <- file.path(folder, "model.pt")
  write(part)
  file.rename(part, path)
}

check_weights <- function(info, path, call) {
  if (length(info$not_finite) > 0L) {
    abort_seqlift("model",
      c("The model in {.path {path}} has weights that are not finite (NaN or Inf).",
        x = "In {.val {info$not_finite}}.",
        i = "Its predictions would be NaN: the training diverged or the file is damaged."
      ),
      call = call
    )
  }
}

#' Turn something into a seqlift model
#'
#' A module of R's torch is traced with an example input, in evaluation mode, and written to a
#' TorchScript file in the session's temporary folder, which becomes the model's file. Its weights
#' are copied: what is trained later does not change the model. [save_model()] keeps the model for
#' another session.
#'
#' A trace holds the operations that ran for the example, and no modules inside the model: `if` and
#' lengths that R code read from the input are fixed, and neither `rules = "module"` nor
#' `nonlinear_ops` in [deep_lift_shap()] finds a class. The default, operator rules, needs none.
#'
#' R's torch brings a LibTorch of its own. See [seqlift_engine] for how both work in one R session.
#'
#' @param x A path to a TorchScript file, a module of R's torch (an `nn_module`, or a
#'   `script_module` from `torch::jit_trace()`, `torch::jit_load()`), or a `seqlift_model`
#'   (returned as it is).
#' @param example For an `nn_module`: an example input, as sequences (see
#'   [predict.seqlift_model()]), a numeric array `[n, 4, L]` or a torch tensor; for a module with
#'   several inputs a list with one for each. Its values do not matter, its shape does. Not used
#'   otherwise; default `NULL`.
#' @return A `seqlift_model`.
#' @section Errors: `seqlift_error_argument` for a class that has no method, a generator of modules
#'   in place of a module, or an `example` that is not as above; `seqlift_error_package` when R's
#'   torch or its LibTorch is not installed; `seqlift_error_trace` when the module fails on the
#'   example; else those of [load_model()].
#' @export
#' @examples
#' as_seqlift_model(system.file("extdata", "demo_model.pt", package = "seqlift"))
#' @examplesIf requireNamespace("torch", quietly = TRUE) && torch::torch_is_installed()
#' net <- torch::nn_sequential(
#'   torch::nn_conv1d(4, 8, 5), torch::nn_relu(), torch::nn_flatten(), torch::nn_linear(8 * 16, 1)
#' )
#' model <- as_seqlift_model(net, example = array(0, c(1, 4, 20)))
#' predict(model, c("ACGTACGTACGTACGTACGT", "TTTTTTTTTTTTTTTTTTTT"))
as_seqlift_model <- function(x, example = NULL) {
  UseMethod("as_seqlift_model")
}

#' @export
as_seqlift_model.default <- function(x, example = NULL) {
  abort_argument("x", "a path, a module of R's torch or a seqlift_model", describe(x))
}

#' @export
as_seqlift_model.character <- function(x, example = NULL) load_model(x)

#' @export
as_seqlift_model.seqlift_model <- function(x, example = NULL) x

check_model <- function(model, call = caller_env()) {
  if (!inherits(model, "seqlift_model")) {
    abort_argument("model", "a model from load_model()", describe(model), call = call)
  }
  model
}

# The engine's handle of the model, loaded again where this process does not have it.
model_pointer <- function(model, call = caller_env()) {
  load_engine(call)
  cache <- model$cache
  if (!identical(cache$token, engine$token) || !is_live_pointer(cache$pointer)) {
    cache$pointer <- call_engine("load", model_file(model, call), call = call)$pointer
    cache$token <- engine$token
  }
  cache$pointer
}

# The path of the model's file, which must still be what it was.
model_file <- function(model, call = caller_env()) {
  if (file.exists(model$path) && unname(tools::md5sum(model$path)) == model$hash) {
    return(model$path)
  }
  advice <- if (is.null(model$origin)) {
    c(i = "Load the model again with {.fn load_model}.")
  } else {
    c(
      x = "It lay in the temporary folder of the R session that made the model,
           {origin_line(model)}.",
      i = "Make the model again, and keep it with {.code save_model(model, path)}: {.fn load_model}
           opens that file in any session."
    )
  }
  abort_seqlift("file",
    c("The model's file {.path {model$path}} is gone or has changed since it was loaded.", advice),
    call = call
  )
}

# readRDS() gives an external pointer back as a null pointer, in the same process too. Where the
# engine has a session of its own, it gives a copy of the handle.
is_live_pointer <- function(pointer) {
  if (is.environment(pointer)) {
    is_live_handle(pointer)
  } else {
    !identical(pointer, methods::new("externalptr"))
  }
}

# How many outputs the model has with what is put around it.
count_outputs <- function(model) if (length(model$wrappers) > 0L) 1L else model$info$outputs

#' Choose one output of a model with several
#'
#' @param model A model, see [load_model()].
#' @param index Which output, from 1. BPNet's log counts are output 2.
#' @return A `seqlift_model` whose only output is that one; what only the others need is not
#'   computed any more.
#' @section Errors: `seqlift_error_argument` when there is no such output.
#' @source `CountWrapper` of bpnet-lite (Schreiber).
#' @export
#' @examples
#' counts <- select_output(demo_model(), 2)
select_output <- function(model, index) {
  check_model(model)
  index <- check_count(index, "index", max = count_outputs(model))
  add_wrapper(model, "select_output", index)
}

#' Turn a profile into one number
#'
#' The number that is explained for a profile head (Avsec 2021): the logits of all strands and
#' positions, centred, each weighted by its softmax, summed. The gradient flows through the
#' weights too.
#'
#' The score is a module of class `ProfileScore` that holds a `LogitScaling` (logits to logits x
#' softmax), the only part of it that is not linear. Operator rules need nothing else. With
#' `rules = "module"` register it in [deep_lift_shap()]: `nonlinear_ops = c(LogitScaling =
#' "rescale")`.
#'
#' @param model A model, see [load_model()].
#' @param index Which output holds the logits, from 1. Default 1, BPNet's profile.
#' @return A `seqlift_model` that returns `[n, 1]`.
#' @section Errors: `seqlift_error_argument` when there is no such output.
#' @source Avsec et al. (2021), Nature Genetics 53:354; `ProfileWrapper` of bpnet-lite (Schreiber).
#' @export
#' @examples
#' profile <- profile_score(demo_model())
profile_score <- function(model, index = 1L) {
  check_model(model)
  index <- check_count(index, "index", max = count_outputs(model))
  # What the engine puts around the model can be registered like the model's own modules.
  model$info$modules <- c(
    model$info$modules, "profile_score()", "profile_score().scaling",
    "profile_score().scaling.softmax"
  )
  model$info$module_classes <- c(
    model$info$module_classes, "seqlift.ProfileScore", "seqlift.LogitScaling",
    "torch.nn.modules.activation.Softmax"
  )
  add_wrapper(model, "profile_score", index)
}

add_wrapper <- function(model, kind, index) {
  model$wrappers <- c(model$wrappers, list(list(kind = kind, index = index)))
  model
}

# LibTorch's own names of the types are those of C.
dtype_name <- function(dtype) {
  known <- c(Float = "float32", Double = "float64", BFloat16 = "bfloat16", Half = "float16")
  if (dtype %in% names(known)) known[[dtype]] else dtype
}
