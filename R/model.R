# Models. A `seqlift_model` is plain data: the file, its content hash, what has been put around
# the model (an output selected, a profile scored, arguments filled in). What the engine holds
# of it lives in `cache` and is loaded again where it is missing: in another process, or after
# readRDS().

#' Load a model
#'
#' Opens a file that holds a model, whatever its name is: its content says what it is.
#'
#' | the file | what is done |
#' |---|---|
#' | TorchScript: `torch.jit.script(model).save()` or `torch.jit.trace(...).save()`, in training or evaluation mode, from LibTorch 1.13 or later | opened |
#' | an archive of `torch.export` (`.pt2`) | opened, see below |
#' | Keras: HDF5 (`.h5`) and archive (`.keras`) | opened, as by [load_keras_model()] |
#' | a whole model that `torch.save(model, path)` wrote | opened where its class is bpnet-lite's `BPNet`, `BasePairNet` or `ChromBPNet`, as by [bpnet()] and [chrombpnet()]; else refused by its class |
#' | Cherimoya: weights with their configuration | opened, as by [cherimoya()] |
#' | a state dict, a checkpoint, safetensors, also in several files with their index | weights without their computation: refused, with the call that takes them |
#' | Keras's weights in several files (`.weights.json`) | weights without their computation: refused, with the call that takes them |
#' | a folder of Hugging Face's (`model.safetensors`, `pytorch_model.bin`, or their `.index.json`), of Keras's (`model.save(zipped = False)`) | as the files in it |
#' | ONNX (`.onnx`) | opened, as by [load_onnx_model()] |
#' | a SavedModel of TensorFlow, `torch_save()` of R's torch | refused, with what to do instead |
#'
#' A model of TorchScript is used in evaluation mode and is never changed. It may return a tensor,
#' or several in a tuple, a NamedTuple, a list, or a dictionary (as Enformer does) that its code
#' writes down at once; keys and fields name the outputs in [predict()] and `print()`.
#'
#' # What a model's code may do
#'
#' TorchScript is code. It runs when the model is used, and `__setstate__` of its classes when the
#' file is loaded. It may compute with what is in memory. A file is refused
#' (`seqlift_error_code`), before anything in it runs, where any method of any class in it calls an
#' operation of LibTorch that does more: reads or writes files (`torch.save`, `torch.from_file`),
#' talks to other processes, reads the clock, sets the random numbers of the whole process
#' (`torch.manual_seed`), or belongs to another library. What cannot be told beforehand is how long
#' code runs and how much memory it asks for: a file made to do harm can still keep R busy. What the
#' model's code prints is shown, its warnings are not.
#'
#' What the code writes into the model's attributes (counters, caches, lists, buffers) lasts for one
#' evaluation of one batch: the model stays as it is in the file.
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
#' @param path Path of the file, or its address on the web (`https://`, `http://`, `ftp://`). That
#'   is fetched once, by the package BiocFileCache into `tools::R_user_dir("seqlift", "cache")`; a
#'   transfer that breaks off leaves nothing.
#' @param device Where to run it: `"cpu"`, `"cuda"`, `"cuda:1"`, or `NULL` (default) for cuda when
#'   the LibTorch in use has it, else cpu. Each call can choose another, see the section on devices.
#' @param layout How the model takes its sequences. `NULL` (default): what its first layers have
#'   weights for, `"NCL"` where these do not tell. Else one of the words, or the numbers, that the
#'   section on layouts describes.
#' @param batch `"independent"` (default): what the model gives for a sequence must not depend on
#'   the others of its batch. `"joint"`: the sequences of a batch belong together, see the section
#'   on batches.
#' @param allow_random `TRUE` lets the model draw random numbers. Default `FALSE`: a model whose
#'   output depends on random numbers is refused, with the operations that draw them.
#' @param random_state The seed of these numbers, a whole number; `NULL` (default) draws one from
#'   R's generator. Every call gives the same numbers, and every sequence gets the same draws, in
#'   whatever batch it is.
#' @param checksum MD5 or SHA-256 of the file, as hexadecimal digits; another file is refused.
#'   Default `NULL`: any.
#' @section Batches: A model is evaluated on batches of sequences, but gives each what it gives it
#'   alone, so that no result depends on `batch_size` or on the order of `X`. A few sequences are
#'   evaluated to make sure of that when a model is first used with a length; a model that mixes
#'   them (attention or an LSTM without `batch_first`, batch normalisation by the batch's own
#'   statistics, a mean over everything) is refused by `seqlift_error_batch`, which names the
#'   operation. `batch = "joint"` gives its predictions for batches of `batch_size` as they are. A
#'   single sequence of a model that treats one specially (`squeeze()` without a dimension) is
#'   evaluated as a batch of two.
#' @return A `seqlift_model`.
#' @section Layouts:
#' Sequences and attributions are `[n, 4, L]` for every model. A model that was written for another
#' layout of its input is given that, and what is explained remains `[n, 4, L]`:
#'
#' * `"NCL"`: `[n, 4, L]`, as PyTorch's `Conv1d` takes it;
#' * `"NLC"`: `[n, L, 4]`, as models that came from Keras and enformer-pytorch take it;
#' * `"NC1L"`, `"N1CL"`, `"NCL1"`, `"N1LC"`, ...: `N`, `C` and `L` once each and a `1` for a
#'   dimension of one entry, for models of two-dimensional convolutions;
#' * `"tokens"`: whole numbers `[n, L]`, 0 to 3 for A, C, G, T, and 4 for N where the model's table
#'   has five rows. Other numbers are given by name: `layout = c(A = 7, C = 8, G = 9, T = 10,
#'   N = 11)`. Looking tokens up in a table is computed as the product of one-hot sequences with the
#'   table, which is the same and linear, so that attributions are those of `[n, 4, L]` sequences.
#'   Without a token for N, a column of zeros is looked up as zeros.
#'
#' The layout is found from the layers that the sequences reach first: `Conv1d(4, ...)` behind
#' `permute(0, 2, 1)` can only be `"NLC"`, an embedding `"tokens"`. Where several would do, or a
#' model begins with `flatten()`, nothing tells: then it is `"NCL"` unless `layout` says otherwise.
#' `print()` shows the layout. [save_model()] writes a model that takes `[n, 4, L]`.
#' @section Errors: `seqlift_error_argument` when `layout` is none of these;
#'   `seqlift_error_file` when the file is missing, a directory, truncated, holds no model (see the
#'   table), is another than `checksum` says, or cannot be fetched; `seqlift_error_code` when its
#'   code would do more than compute, see above; `seqlift_error_output` when it returns no tensor;
#'   `seqlift_error_model` when it has no `forward` method, outputs that are computed from weights
#'   that are not finite, or what an archive of `torch.export` or a file of ONNX is refused for;
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
#' @seealso [select_output()], [profile_score()], [select_bins()], [with_args()] to choose what is
#'   explained;
#'   [ensemble()], [reverse_complement_average()] for means; [save_model()] to keep a model.
#' @export
#' @examples
#' model <- load_model(system.file("extdata", "demo_model.pt", package = "seqlift"))
#' model
load_model <- function(path, device = NULL, layout = NULL,
                       batch = c("independent", "joint"), allow_random = FALSE,
                       random_state = NULL, checksum = NULL) {
  call <- rlang::current_env()
  path <- path.expand(check_string(path, "path"))
  refuse_special_file(path)
  device <- if (is.null(device)) NULL else check_device(device)
  layout <- check_layout(layout, call)
  conduct <- check_conduct(batch, allow_random, random_state, call)
  source <- path
  path <- file_of_folder(local_file(path, checksum, call))
  refuse_r_torch_file(path, call)
  kind <- model_file_kind(path, call)
  refuse_model_file(path, kind, call)
  if (kind == "weights") {
    refuse_layout(layout, call)
  }
  model <- switch(kind,
    export = converted_model(
      function(to) call_engine("convert_exported_program", path, to, call = call),
      origin = list(format = "torch.export", path = path), device = device, call = call,
      layout = layout, conduct = conduct
    ),
    hdf5 = ,
    keras = open_keras_model(path, NULL, device, call, layout, conduct),
    onnx = open_onnx_model(path, device, call, layout, conduct),
    weights = open_weights(path, device, call),
    open_model(path, device, origin = NULL, call, layout, conduct)
  )
  if (source != path) {
    model$source <- source
  }
  model
}

# `origin`: for a model that was made here, list(format, path) of what it was made from, and
# `sources` where that is other models: their files. `layout`: as check_layout() gives it. `hash`:
# of the file, where it is known.
open_model <- function(path, device, origin, call, layout = own_layout, conduct = NULL,
                       hash = unname(tools::md5sum(path))) {
  by_table <- anyNA(layout$tokens)
  asked <- if (!by_table) layout
  loaded <- call_engine("load", list(path = path, layout = asked), call = call)
  if (is.null(asked)) {
    layout <- if (by_table) table_tokens(loaded$found$vocabulary) else layout_from(loaded$found)
    if (!identical(layout, own_layout)) {
      loaded <- call_engine("load", list(path = path, layout = layout), call = call)
    }
  }
  check_weights(loaded$info, origin$path %||% path, call)
  own <- dtype_name(loaded$info$dtype)
  if (own %in% c("float16", "bfloat16")) {
    inform_seqlift("half_precision", "The model's weights are {own}; it is computed in float32.")
  }
  cache <- new.env(parent = emptyenv())
  cache$pointer <- allow_conduct(loaded$pointer, conduct, call)
  cache$token <- engine$token
  path <- normalizePath(path)
  structure(
    list(
      path = path, hash = hash, info = loaded$info, device = device,
      wrappers = list(), args = list(), origin = origin, layout = layout, conduct = conduct,
      cache = cache
    ),
    class = "seqlift_model"
  )
}

# A model that was not TorchScript: `write(path)` makes the engine write it as TorchScript, into the
# session's temporary folder. Its name is its content, so that the same model is one file. `layout`
# may be a function, which is asked once the file is written.
converted_model <- function(write, origin, device = NULL, call = caller_env(),
                            layout = own_layout, conduct = NULL) {
  part <- tempfile("seqlift-model-", fileext = ".part")
  on.exit(unlink(part))
  write_script(write, part)
  hash <- unname(tools::md5sum(part))
  path <- file.path(tempdir(), paste0("seqlift-model-", hash, ".pt"))
  file.rename(part, path)
  layout <- if (is.function(layout)) layout() else layout
  open_model(path, device, origin, call, layout, conduct, hash)
}

# LibTorch writes a file's own name into it. Under one name, the same model is the same bytes.
write_script <- function(write, path) {
  folder <- tempfile(".seqlift-model-", tmpdir = dirname(path))
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  part <- file.path(folder, "model.pt")
  write(part)
  check_zip_end(part)
  file.rename(part, path)
}

# The last bytes of a zip archive say where its directory lies: one that was cut short has not got
# them.
check_zip_end <- function(path) {
  bytes <- file.size(path)
  connection <- file(path, "rb")
  on.exit(close(connection))
  seek(connection, max(bytes - zip_end_bytes, 0))
  end <- readBin(connection, "raw", zip_end_bytes)
  if (length(end) < zip_end_bytes || !identical(end[1:4], as.raw(c(0x50, 0x4b, 5L, 6L)))) {
    stop("its end is missing")
  }
}

zip_end_bytes <- 22L

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
#' another session. The same module gives the same file each time, and the user's random numbers, of
#' R and of torch, go on as if nothing had been converted.
#'
#' A trace holds the operations that ran for the example, and calls no modules inside the model:
#' `if` and lengths that R code read from the input are fixed, and neither `rules = "module"` nor
#' `nonlinear_ops` in [deep_lift_shap()] finds a class. The default, operator rules, needs none.
#'
#' The number of sequences is not fixed. R code that asks for it (`x$size(1)`, as `nn_lstm`,
#' `nn_gru` and `nn_multihead_attention` do) gets a number, which the trace holds; so the module is
#' traced for 2, 3 and 5 sequences, and the numbers that follow are read from the input in the
#' model. What the model gives for 5 sequences is compared with the module itself, and the
#' conversion refused where it differs.
#'
#' The inputs have the names of the arguments of the module's `forward`, with `_` for what
#' TorchScript does not take in a name; the outputs those of the list that it returns.
#'
#' R's torch brings a LibTorch of its own. See [seqlift_engine] for how both work in one R session.
#'
#' @param x A path to a TorchScript file, a module of R's torch (an `nn_module`, a module fitted by
#'   luz, or a `script_module` from `torch::jit_trace()`, `torch::jit_load()`, whose number of
#'   sequences stays what it was traced for), or a `seqlift_model` (returned as it is).
#' @param example For an `nn_module`: an example input, as sequences (see
#'   [predict.seqlift_model()]), a numeric array `[n, 4, L]` or a torch tensor; for a module with
#'   several inputs a list with one for each, in their order or named as the arguments of its
#'   `forward`. Its first dimension is that of the sequences. Its values do not matter, its shape
#'   does. Not used otherwise; default `NULL`.
#' @param layout How the model takes its sequences, see [load_model()].
#' @return A `seqlift_model`.
#' @section Errors: `seqlift_error_argument` for a class that has no method, a generator of modules
#'   in place of a module, or an `example` that is not as above; `seqlift_error_package` when R's
#'   torch or its LibTorch is not installed; `seqlift_error_trace` when the module fails on the
#'   example, its code does something else for another number of sequences than an operation on
#'   tensors could, or the converted model does not give what the module gives; else those of
#'   [load_model()].
#' @export
#' @examples
#' as_seqlift_model(system.file("extdata", "demo_model.pt", package = "seqlift"))
#' @examplesIf requireNamespace("torch", quietly = TRUE) && torch::torch_is_installed()
#' net <- torch::nn_sequential(
#'   torch::nn_conv1d(4, 8, 5), torch::nn_relu(), torch::nn_flatten(), torch::nn_linear(8 * 16, 1)
#' )
#' model <- as_seqlift_model(net, example = array(0, c(1, 4, 20)))
#' predict(model, c("ACGTACGTACGTACGTACGT", "TTTTTTTTTTTTTTTTTTTT"))
as_seqlift_model <- function(x, example = NULL, layout = NULL) {
  UseMethod("as_seqlift_model")
}

#' @export
as_seqlift_model.default <- function(x, example = NULL, layout = NULL) {
  abort_argument("x", "a path, a module of R's torch or a seqlift_model", describe(x))
}

#' @export
as_seqlift_model.character <- function(x, example = NULL, layout = NULL) {
  load_model(x, layout = layout)
}

#' @export
as_seqlift_model.seqlift_model <- function(x, example = NULL, layout = NULL) {
  if (!is.null(layout) && !identical(check_layout(layout, rlang::current_env()), x$layout)) {
    abort_argument("layout", "NULL for a model that has been loaded", describe(layout),
      hint = "The layout is given where the model is loaded: {.code load_model(path, layout = )}."
    )
  }
  x
}

check_model <- function(model, call = caller_env()) {
  whole <- inherits(model, "seqlift_model") && is.list(model) && is.environment(model$cache)
  if (!whole) {
    abort_argument("model", "a model from load_model()", describe(model), call = call)
  }
  model
}

# The engine's handle of the model, loaded again where this process does not have it.
model_pointer <- function(model, call = caller_env()) {
  load_engine(call)
  cache <- model$cache
  if (!identical(cache$token, engine$token) || !is_live_pointer(cache$pointer)) {
    file <- list(path = model_file(model, call), layout = model$layout)
    pointer <- call_engine("load", file, call = call)$pointer
    cache$pointer <- allow_conduct(pointer, model$conduct, call)
    cache$token <- engine$token
  }
  tell_of_training(model)
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

# What a model computes in where nothing else is asked for: half precision is for storage.
own_dtype <- function(model) {
  name <- dtype_name(model$info$dtype)
  if (name %in% c("float16", "bfloat16")) "float32" else name
}

# LibTorch's own names of the types are those of C.
dtype_name <- function(dtype) {
  known <- c(Float = "float32", Double = "float64", BFloat16 = "bfloat16", Half = "float16")
  if (dtype %in% names(known)) known[[dtype]] else dtype
}
