# Models of R's torch. They are traced there, saved as TorchScript and read like any other file, so
# nothing of theirs enters the engine.
#
# A trace fixes the number of sequences: size() gives R's own numbers there. So a module is traced
# with three numbers of them; the engine finds the numbers in the traces that follow it
# (src/core/import/traced/traced_batch.h), and the result must give what the module gives.

# Numbers of sequences that no other number of a module is likely to follow by chance.
trace_sizes <- c(2L, 3L, 5L)

#' @rdname as_seqlift_model
#' @export
as_seqlift_model.nn_module <- function(x, example = NULL, layout = NULL) {
  convert_nn_module(x, example, layout, rlang::current_env())
}

#' @rdname as_seqlift_model
#' @export
as_seqlift_model.luz_module_fitted <- function(x, example = NULL, layout = NULL) {
  module <- x$model %||% x$ctx$model
  if (!inherits(module, "nn_module")) {
    abort_argument("x", "a fitted module of luz that holds its model", describe(x))
  }
  convert_nn_module(module, example, layout, rlang::current_env())
}

#' @rdname as_seqlift_model
#' @export
as_seqlift_model.script_module <- function(x, example = NULL, layout = NULL) {
  call <- rlang::current_env()
  layout <- check_layout(layout, call)
  check_r_torch(call)
  part <- tempfile("seqlift-script-", fileext = ".pt")
  on.exit(unlink(part))
  torch::jit_save(x, part)
  write <- function(path) call_engine("convert_script_module", part, path, call = call)
  converted_model(write, r_torch_origin, layout = layout, call = call)
}

# The model's file stays with the R session.
r_torch_origin <- list(format = "a module of R's torch")

convert_nn_module <- function(x, example, layout, call) {
  layout <- check_layout(layout, call)
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
  folder <- tempfile("seqlift-traces-")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE), add = TRUE)
  plan <- with_own_random(trace_module(x, inputs, folder, call))
  write <- function(path) call_engine("convert_traces", plan, path, call = call)
  rlang::try_fetch(
    converted_model(write, r_torch_origin, layout = layout, call = call),
    seqlift_error_trace = function(error) {
      abort_seqlift("trace",
        c("The module could not be converted: {error$message}",
          batch_hint(inputs),
          i = "Let tensors count the sequences in its {.code forward}: {.code view(c(-1, k))},
               {.code torch_zeros_like()}, {.code torch_mean()} in place of sums over
               {.code x$size(1)}."
        ),
        call = call
      )
    }
  )
}

# What the engine converts: the traces, the names in them, and what the module itself gives for the
# last number of sequences.
trace_module <- function(x, inputs, folder, call) {
  # What the module writes to in evaluation mode is put back.
  buffers <- x$buffers
  before <- lapply(buffers, function(buffer) buffer$clone())
  on.exit(torch::with_no_grad(Map(function(buffer, value) {
    if (!torch::torch_equal(buffer, value)) buffer$copy_(value)
  }, buffers, before)))
  paths <- file.path(folder, paste0("trace", trace_sizes, ".pt"))
  for (i in seq_along(trace_sizes)) {
    rows <- lapply(inputs, example_rows, n = trace_sizes[i], first = inputs[[1L]])
    torch::jit_save(trace_once(x, rows, inputs, call), paths[i])
  }
  last <- lapply(inputs, example_rows, n = trace_sizes[length(trace_sizes)], first = inputs[[1L]])
  output <- plain_torch_errors(torch::with_no_grad(do.call(x, last, quote = TRUE)), inputs, call)
  classes <- module_classes(x)
  list(
    paths = paths, sequences = trace_sizes, arguments = argument_names(x, length(inputs)),
    modules = names(classes), classes = unname(classes), inputs = lapply(last, tensor_record),
    outputs = lapply(flat_tensors(output), tensor_record)
  )
}

trace_once <- function(x, rows, inputs, call) {
  # Lists and named lists of outputs are traced only if `strict` is FALSE.
  arguments <- c(list(x), rows, list(strict = FALSE))
  # Versions that trace both modes write two methods and no `forward`, unless they are told to trace
  # the one that the module is in. Those before had no such argument.
  if ("respect_mode" %in% names(formals(torch::jit_trace))) {
    arguments$respect_mode <- FALSE
  }
  plain_torch_errors(do.call(torch::jit_trace, arguments, quote = TRUE), inputs, call)
}

plain_torch_errors <- function(code, inputs, call) {
  tryCatch(
    code,
    error = function(error) {
      plain <- without_native_frames(conditionMessage(error))
      abort_seqlift("trace",
        c("The module could not be traced with {.arg example}.",
          batch_hint(inputs),
          i = "{.arg example} must be what the module takes, for any number of sequences:
               {.code x(example)}, or each element of a list for a module with several inputs."
        ),
        parent = rlang::error_cnd(message = plain), call = call
      )
    }
  )
}

# An example [4, L] in place of [1, 4, L].
batch_hint <- function(inputs) {
  shape <- inputs[[1L]]$shape
  if (length(shape) == 2L) {
    c(x = paste0(
      "Its first input has the shape ", paste(shape, collapse = " x "), ", without a batch ",
      "dimension: give ", paste(c(1L, shape), collapse = " x "), "."
    ))
  }
}

# R's torch hands on LibTorch's messages with the frames of its own C++.
without_native_frames <- function(text) {
  text <- sub("^Error in the R function execution\\.:\\s*", "", text)
  text <- sub("\n?Exception raised from .*$", "", text)
  lines <- strsplit(text, "\n", fixed = TRUE)[[1L]]
  lines <- lines[!grepl("^\\s*(frame #[0-9]+:|<omitting python frames>)", lines)]
  trimws(paste(lines, collapse = "\n"))
}

# `n` rows of an example: its own over and over, each turned by another number of positions, so that
# no two need be alike and all hold what the example holds. An example of one number throughout,
# which tells nothing apart, gets others. An input that has no row for each sequence stays.
example_rows <- function(input, n, first) {
  own <- input$shape
  if (length(own) == 0L || own[1L] != first$shape[1L]) {
    return(input)
  }
  values <- tensor_values(input)
  if (length(unique(as.vector(values))) == 1L && is_floating(input)) {
    values <- varied(own)
  }
  per_row <- prod(own[-1L])
  # With the rows last, one row is one column, and its last dimension but the rows is turned.
  order <- c(seq_along(own)[-1L], 1L)
  columns <- matrix(aperm(array(values, own), order), per_row, own[1L])
  turned <- vapply(seq_len(n), function(i) {
    column <- columns[, (i - 1L) %% own[1L] + 1L]
    inner <- if (length(own) > 1L) per_row / own[length(own)] else per_row
    shift <- ((i - 1L) * inner) %% per_row
    if (shift == 0L) column else c(utils::tail(column, shift), utils::head(column, -shift))
  }, numeric(per_row))
  rows <- aperm(array(turned, c(own[-1L], n)), c(length(own), seq_along(own)[-length(own)]))
  torch::torch_tensor(array(rows, c(n, own[-1L])), dtype = input$dtype, device = input$device)
}

is_floating <- function(tensor) {
  as.character(tensor$dtype) %in% c("Float", "Double", "Half", "BFloat16")
}

# One-hot sequences where the shape is theirs, else numbers between 0 and 1.
varied <- function(shape) {
  if (length(shape) != 3L || shape[2L] != n_bases) {
    return(array(stats::runif(prod(shape)), shape))
  }
  letters <- sample.int(n_bases, shape[1L] * shape[3L], replace = TRUE)
  one_hot <- array(0, shape)
  one_hot[cbind(
    rep(seq_len(shape[1L]), shape[3L]), letters, rep(seq_len(shape[3L]), each = shape[1L])
  )] <- 1
  one_hot
}

# Names of forward()'s arguments, as far as there are inputs.
argument_names <- function(x, count) {
  names <- names(formals(x$forward))
  before <- match("...", names, nomatch = length(names) + 1L) - 1L
  utils::head(names[seq_len(before)], count)
}

# Classes by path. R's torch makes up another name for each trace.
module_classes <- function(x, path = "") {
  classes <- stats::setNames(class(x)[1L], path)
  children <- x$children
  for (name in names(children)) {
    if (!inherits(children[[name]], "script_module")) {
      inside <- if (path == "") name else paste(path, name, sep = ".")
      classes <- c(classes, module_classes(children[[name]], inside))
    }
  }
  classes
}

flat_tensors <- function(output) {
  if (inherits(output, "torch_tensor")) {
    return(list(output))
  }
  if (is.list(output)) {
    return(unlist(lapply(unname(output), flat_tensors), recursive = FALSE))
  }
  list()
}

tensor_record <- function(tensor) {
  list(
    values = tensor_values(tensor), shape = as.double(tensor$shape),
    dtype = as.character(tensor$dtype)
  )
}

# Conversion draws random numbers (R's torch makes names of them, a module may too), but the user's
# go on as if it had not been. R starts a generator anew where there is none, so that two
# conversions after one set.seed() get different names.
with_own_random <- function(code) {
  seed <- get0(".Random.seed", globalenv(), inherits = FALSE)
  state <- torch::torch_get_rng_state()
  cuda <- if (torch::cuda_is_available()) torch::cuda_get_rng_state()
  on.exit({
    if (!is.null(seed)) {
      assign(".Random.seed", seed, globalenv())
    } else if (exists(".Random.seed", globalenv(), inherits = FALSE)) {
      rm(".Random.seed", envir = globalenv())
    }
    torch::torch_set_rng_state(state)
    if (!is.null(cuda)) torch::cuda_set_rng_state(cuda)
  })
  if (!is.null(seed)) {
    rm(".Random.seed", envir = globalenv())
  }
  force(code)
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
  known <- names(formals(module$forward))
  if (!is.null(names(inputs)) && all(names(inputs) %in% known)) {
    inputs <- inputs[order(match(names(inputs), known))]
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

# ---- tensors of R's torch as arguments -------------------------------------------------------

# A double array of what may be a tensor of R's torch; anything else as it is.
from_torch <- function(x) if (inherits(x, "torch_tensor")) tensor_values(x) else x

tensor_values <- function(tensor) {
  shape <- tensor$shape
  values <- torch::as_array(tensor$detach()$cpu()$to(dtype = torch::torch_double()))
  if (length(shape) == 0L) as.double(values) else array(as.double(values), shape)
}

# ---- files of torch_save() -------------------------------------------------------------------

# What torch::torch_save() writes is R's: an RDS file before version 0.12, later safetensors whose
# metadata say so.
refuse_r_torch_file <- function(path, call, refused = c("rds", "safetensors")) {
  kind <- if (!file.exists(path) || dir.exists(path)) "none" else r_torch_file_kind(path)
  kind <- if (kind %in% refused) kind else "none"
  what <- switch(kind,
    rds = "an R file (RDS), as {.code torch::torch_save()} writes it",
    safetensors = "a file of {.code torch::torch_save()}: weights and an R object",
    return(invisible())
  )
  abort_seqlift("file",
    c(paste0("{.path {path}} is ", what, ", not a TorchScript file."),
      i = "A module: {.code as_seqlift_model(torch::torch_load(path), example)}.",
      i = if (kind == "safetensors") "Its weights alone are read by {.fn read_state_dict}."
    ),
    call = call
  )
}

r_torch_file_kind <- function(path) {
  head <- readBin(path, "raw", 4096L)
  # gzip, bzip2, xz, or not compressed.
  magic <- list(c(0x1f, 0x8b), c(0x42, 0x5a, 0x68), c(0xfd, 0x37, 0x7a), c(0x58, 0x0a))
  starts <- function(bytes) identical(head[seq_along(bytes)], as.raw(bytes))
  tensors <- is_safetensors_head(head)
  if (!tensors && any(vapply(magic, starts, logical(1L)))) {
    file <- gzfile(path, "rb")
    on.exit(close(file))
    inside <- tryCatch(readBin(file, "raw", 2L), error = function(error) raw())
    if (identical(inside, charToRaw("X\n")) || identical(inside, charToRaw("A\n"))) {
      return("rds")
    }
  }
  if (tensors) {
    # The length of the header is a whole number of eight bytes, of which the last are zero.
    length <- sum(as.integer(head[1:4]) * 256^(0:3))
    header <- readBin(path, "raw", min(length, 1e8) + 8)[-seq_len(8L)]
    if (length(grepRaw("\"__r__\"|\"__robj__\"", header)) > 0L) {
      return("safetensors")
    }
  }
  "none"
}

# The length of the header, below 2^32, and the header. The length may look like anything else:
# what it begins with is looked at first.
is_safetensors_head <- function(head) {
  length(head) > 9L && all(head[5:8] == 0L) && head[9L] == charToRaw("{")
}
