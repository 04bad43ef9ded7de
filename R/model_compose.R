# Models made of models. The engine writes each as a TorchScript file of its own, with its members
# in it (src/core/model/compose.cpp), so that it is saved, sent to workers and explained like any
# other.

# ---- several models --------------------------------------------------------------------------

#' Average models
#'
#' The mean of several models' predictions, as one model: folds of a cross-validation, replicates,
#' other architectures for the same task. Explanations are of the mean: its attributions are the
#' mean of the models' attributions.
#'
#' Each model takes part with what was put around it ([select_output()], [profile_score()],
#' [select_bins()], [with_args()]). The inputs that were filled in are the model's own; the ensemble
#' holds them as inputs of its own, `model_1_control_track`, filled in as before. All other inputs
#' are the same for all models, and must have the same names. The models are the modules `model_1`,
#' `model_2`, ... of the ensemble: `nonlinear_ops = list("model_1.body.act" = "rescale")` in
#' [deep_lift_shap()].
#'
#' @param ... Models, see [load_model()], or one list of models.
#' @param weights One number of at least 0 for each model, its weight in the mean. `NULL` (default):
#'   all the same.
#' @return A `seqlift_model` with the outputs of one model, each the (weighted) mean over the
#'   models. Its file lies in the session's temporary folder; [save_model()] keeps it.
#' @section Errors: `seqlift_error_argument` when there is no model, something is not a model, or
#'   the models differ in the inputs that are open, in the number of outputs or in the type of their
#'   weights (float32, float64); `seqlift_error_model` for a model that returns something else than
#'   tensors. Outputs of different shapes are a `seqlift_error_evaluation` when the ensemble is
#'   used.
#' @source Means over folds are what ChromBPNet (Pampari et al. 2025) and other published models
#'   report.
#' @seealso [reverse_complement_average()], [save_model()]
#' @export
#' @examples
#' counts <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' both <- ensemble(counts, reverse_complement_average(counts), weights = c(2, 1))
#' predict(both, demo_sequences())
ensemble <- function(..., weights = NULL) {
  call <- rlang::current_env()
  members <- list(...)
  alone <- if (length(members) == 1L) members[[1L]]
  if (is.list(alone) && !inherits(alone, "seqlift_model")) {
    members <- members[[1L]]
  }
  check_members(members, call)
  weights <- check_weights_of_members(weights, length(members), call)
  plan <- list(
    kind = "ensemble",
    members = Map(function(member, weight) {
      list(
        path = model_file(member, call), layout = member$layout, wrappers = member$wrappers,
        own_inputs = as.character(names(member$args)), weight = weight
      )
    }, unname(members), weights)
  )
  labels <- vapply(members, model_label, "")
  origin <- list(
    format = "ensemble", path = paste0("ensemble(", paste(labels, collapse = ", "), ")"),
    sources = unlist(lapply(members, model_sources))
  )
  model <- composed_model(plan, origin, members[[1L]]$device, call, joint_conduct(members))
  own <- list()
  for (i in seq_along(members)) {
    args <- members[[i]]$args
    names <- sprintf("model_%d_%s", rep(i, length(args)), names(args))
    model$args[names] <- args
    own[names] <- lapply(names(args), function(name) list(member = i, name = name))
  }
  with_members(model, unname(members), own)
}

check_members <- function(members, call) {
  if (length(members) == 0L) {
    abort_argument("...", "one model or more", "nothing", call = call)
  }
  wrong <- Find(function(member) !inherits(member, "seqlift_model"), members)
  if (!is.null(wrong) || any(vapply(members, is.null, NA))) {
    abort_argument("...", "models from load_model(), or one list of them", describe(wrong),
      call = call
    )
  }
  differ <- function(what, of) {
    values <- vapply(members, of, "")
    other <- which(values != values[1L])
    if (length(other) > 0L) {
      abort_seqlift("argument",
        c("The models of an ensemble must have the same {what}.",
          x = "Model 1 has {values[1]}, model {other[1]} has {values[other[1]]}."
        ),
        call = call
      )
    }
  }
  differ("inputs beside the sequences", function(model) {
    open <- setdiff(model$info$arguments[-1L], names(model$args))
    if (length(open) == 0L) "none" else paste(open, collapse = ", ")
  })
  differ("number of outputs", function(model) as.character(count_outputs(model)))
  differ("type of weights", function(model) own_dtype(model))
}

check_weights_of_members <- function(weights, count, call) {
  if (is.null(weights)) {
    return(rep(1 / count, count))
  }
  good <- is.numeric(weights) && length(weights) == count && all(is.finite(weights)) &&
    all(weights >= 0) && sum(weights) > 0
  if (!good) {
    abort_argument("weights",
      paste(count, "numbers of at least 0, one for each model and not all of them 0"),
      if (is.numeric(weights)) paste0("c(", toString(weights), ")") else describe(weights),
      call = call
    )
  }
  as.double(weights) / sum(weights)
}

# ---- both strands ----------------------------------------------------------------------------

#' Average a model over both strands
#'
#' The mean of the model's predictions for a sequence and for its reverse complement, as one model.
#' Its attributions are the mean of the model's attributions for the sequence and those for the
#' reverse complement, turned back.
#'
#' The reverse complement of one-hot sequences is their first four channels, and their positions, in
#' reverse order. Channels beyond the four bases are read in reverse too, each remaining the channel
#' that it is. What becomes of other inputs and of outputs is said by a word for each:
#'
#' * `"strands"`: `[n, strands, positions]`, such as BPNet's control tracks and profiles: strands
#'   and positions are both put in reverse order (outputs are turned back);
#' * `"positions"`: the last dimension is positions, and is put in reverse order; what is before it
#'   is not about strands (the tracks of Basenji-like models, `[n, tracks, positions]`);
#' * `"bins"`: the second dimension is positions, and is put in reverse order (`[n, bins, tracks]`
#'   of Enformer-like models);
#' * `"none"`: the same on both strands (counts, classes, cell types).
#'
#' By default, three dimensions with one or two strands are `"strands"` and anything that is not
#' three-dimensional is `"none"`. Three dimensions with more than two strands are an error when the
#' model is used: there is no telling strands from tracks.
#'
#' @param model A model, see [load_model()], with or without [select_output()], [profile_score()]
#'   and [with_args()] around it, but not [select_bins()]: bins are chosen from the mean over the
#'   strands, `reverse_complement_average(model, outputs = "bins") |> select_bins(...)`.
#' @param inputs `NULL` (default), or a character vector with such words for some of the inputs
#'   beside the sequences, by name: `c(control_track = "strands")`.
#' @param outputs `NULL` (default), or a character vector with one such word for each output.
#' @return A `seqlift_model` with the model's inputs and outputs. Its file lies in the session's
#'   temporary folder; [save_model()] keeps it.
#' @section Errors: `seqlift_error_argument` for words or names that are none of these, and for a
#'   model with [select_bins()] in it;
#'   `seqlift_error_model` for a model that returns something else than tensors;
#'   `seqlift_error_evaluation`, when the model is used, for more than two strands.
#' @source BPNet (Avsec et al. 2021) and its successors average over both strands this way.
#' @seealso [ensemble()], [save_model()]
#' @export
#' @examples
#' model <- reverse_complement_average(demo_model()) |> with_args(list(control_track = 0))
#' predict(select_output(model, 2), demo_sequences())
reverse_complement_average <- function(model, inputs = NULL, outputs = NULL) {
  call <- rlang::current_env()
  check_model(model)
  if (any(grepl("seqlift[.](.*[.])?BinScore$", model$info$module_classes))) {
    abort_argument("model", "one without select_bins()", "one with it",
      hint = "The bins of the reverse complement come in reverse order: average the strands first,
              {.code reverse_complement_average(model, outputs = \"bins\") |> select_bins(...)}.",
      call = call
    )
  }
  inputs <- check_input_reversals(inputs, model, call)
  outputs <- check_output_reversals(outputs, count_outputs(model), call)
  plan <- list(
    kind = "reverse_complement",
    members = list(list(
      path = model_file(model, call), layout = model$layout, wrappers = model$wrappers
    )),
    inputs = as.character(names(inputs)), input_reversals = as.character(inputs),
    outputs = outputs, given = as.character(names(model$args))
  )
  origin <- list(
    format = "both strands",
    path = paste0("reverse_complement_average(", model_label(model), ")"),
    sources = model_sources(model)
  )
  result <- composed_model(plan, origin, model$device, call, joint_conduct(list(model)))
  result$args <- model$args
  with_members(result, list(model), list())
}

reversals <- c("strands", "positions", "bins", "none")

check_input_reversals <- function(inputs, model, call) {
  known <- model$info$arguments[-1L]
  good <- is.null(inputs) || (is.character(inputs) && !is.null(names(inputs)) &&
    all(inputs %in% reversals) && all(names(inputs) %in% known))
  if (!good) {
    abort_argument("inputs",
      paste0(
        paste(
          "a character vector of \"strands\", \"positions\", \"bins\" and \"none\", named by",
          "inputs of the model"
        ),
        if (length(known) > 0L) paste0(" (", paste(known, collapse = ", "), ")")
      ),
      describe(inputs),
      call = call
    )
  }
  inputs
}

check_output_reversals <- function(outputs, count, call) {
  if (is.null(outputs)) {
    return(rep("automatic", count))
  }
  if (!is.character(outputs) || length(outputs) != count || !all(outputs %in% reversals)) {
    abort_argument("outputs",
      paste0(
        "\"strands\", \"positions\", \"bins\" or \"none\" for each of the ", count, " output",
        if (count > 1L) "s"
      ),
      describe(outputs),
      call = call
    )
  }
  unname(outputs)
}

# ---- files -----------------------------------------------------------------------------------

#' Save a model
#'
#' Writes a TorchScript file of what the model is: the file that it came from, with everything that
#' was put around it ([select_output()], [profile_score()], [select_bins()], [with_args()],
#' [ensemble()], [reverse_complement_average()]). [load_model()] opens it, and so do LibTorch and
#' PyTorch (`torch.jit.load()`); predictions and attributions are the same. A model that was
#' converted from another format is written as TorchScript too.
#'
#' Modules of the model keep their paths and classes, so that `nonlinear_ops` in [deep_lift_shap()]
#' finds them. The score of [profile_score()] becomes the module `profile_score` of the file, that
#' of [select_bins()] `select_bins`, which keeps its bins but not the window that they lie in.
#' Inputs that were filled in are held by the file and are no inputs any more. An optional input
#' whose default is a tensor keeps its default and is no input any more either, if something was put
#' around the model. A model with nothing around it is copied byte for byte. The names of a Keras
#' model's outputs stay with it, as the attribute `seqlift_output_names` of the module.
#'
#' @param model A model, see [load_model()].
#' @param path Path of the file to write. A file that is there is replaced once the new one is
#'   whole, but never a file that the model was made from.
#' @return `path`, invisibly.
#' @section Errors: `seqlift_error_argument` when `path` is a file that the model came from;
#'   `seqlift_error_file` when it cannot be written; `seqlift_error_args` when an input is filled
#'   in with one row for each of several sequences, or with a single number where the shape that the
#'   model takes cannot be found; `seqlift_error_model` for a model that returns something else than
#'   tensors.
#' @seealso [load_model()]
#' @export
#' @examples
#' counts <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' path <- file.path(tempdir(), "counts.pt")
#' save_model(counts, path)
#' load_model(path)
save_model <- function(model, path) {
  call <- rlang::current_env()
  check_model(model)
  path <- check_output_path(path, call = call)
  sources <- normalizePath(model_sources(model), mustWork = FALSE)
  if (normalizePath(path, mustWork = FALSE) %in% sources) {
    abort_argument("path", "a file that the model was not made from",
      encodeString(path, quote = "\""),
      hint = "Models are never overwritten: choose another name.", call = call
    )
  }
  file <- model_file(model, call)
  as_it_is <- length(model$wrappers) == 0L && length(model$args) == 0L &&
    identical(model$layout %||% own_layout, own_layout)
  if (as_it_is) {
    return(write_whole(path, function(temporary) copy_whole(file, temporary), call = call))
  }
  plan <- list(
    kind = "wrapped",
    members = list(list(path = file, layout = model$layout, wrappers = model$wrappers)),
    filled = filled_inputs(model, call)
  )
  write <- function(part) {
    # The engine knows neither the name that the file will have nor that there was none before.
    rlang::try_fetch(call_engine("compose", part, plan, call = call),
      seqlift_error_file = function(error) stop(conditionMessage(error), call. = FALSE)
    )
  }
  write_whole(path, function(temporary) write_script(write, temporary), call = call)
}

# The inputs that are filled in as arrays [1, ...]; those that were single numbers with the shape
# that the model takes, all positions as one.
filled_inputs <- function(model, call) {
  shapes <- NULL
  Map(function(name, value) {
    if (is.null(dim(value)) && length(value) == 1L) {
      shapes <<- shapes %||% describe_model(model)$args
      shape <- shapes[[name]]
      if (length(shape) == 0L) {
        abort_seqlift("args",
          c("A single number does not tell the shape of the model's input {.val {name}}.",
            i = "Fill it in with an array whose first dimension is 1, then save the model."
          ),
          call = call
        )
      }
      size <- c(1L, as.integer(shape[2L]), if (length(shape) == 3L) 1L)
      return(list(
        name = name, value = array(as.double(value), size), every_position = length(size) == 3L
      ))
    }
    rows <- if (is.null(dim(value))) length(value) else dim(value)[1L]
    if (rows != 1L) {
      abort_seqlift("args",
        c("The model's input {.val {name}} is filled in with {rows} rows, for as many sequences.",
          i = "A file holds one for all sequences: an array whose first dimension is 1, or a single
               number."
        ),
        call = call
      )
    }
    value <- if (is.null(dim(value))) array(value) else value
    storage.mode(value) <- "double"
    list(name = name, value = value, every_position = FALSE)
  }, names(model$args), model$args, USE.NAMES = FALSE)
}

composed_model <- function(plan, origin, device, call, conduct) {
  converted_model(function(path) call_engine("compose", path, plan, call = call), origin, device,
    call,
    conduct = conduct
  )
}

# ---- members ---------------------------------------------------------------------------------

# Which member each input of a composed model belongs to, and by which name: `own` says it of those
# that are one member's; all others are all members' and have the same name there.
with_members <- function(model, members, own) {
  inputs <- model$info$arguments[-1L]
  model$members <- members
  model$owners <- stats::setNames(lapply(inputs, function(name) {
    owner <- own[[name]]
    if (is.null(owner)) list(member = 1L, name = name, shared = TRUE) else c(owner, shared = FALSE)
  }), inputs)
  model
}

# A single number in an input fills the shape that the member takes by itself: what the composition
# leaves of the member may not tell it. list(model, name), or NULL for a model with no members.
owner_of <- function(model, name, given = model$args) {
  owner <- model$owners[[name]]
  if (is.null(owner)) {
    return(NULL)
  }
  member <- model$members[[owner$member]]
  for (input in names(given)) {
    other <- model$owners[[input]]
    if (other$shared || other$member == owner$member) {
      member$args[other$name] <- given[input]
    }
  }
  list(model = member, name = owner$name)
}

# ---- what a model is called ------------------------------------------------------------------

# A model's file or, of one that was made here, what it was made of.
model_name <- function(model) {
  made_of <- model$origin$path
  if (composed(model)) made_of else basename(if (is.null(made_of)) model$path else made_of)
}

composed <- function(model) length(model$origin$sources) > 0L

# The same with what was put around it: "fold_1.pt |> select_output(2)".
model_label <- function(model) {
  paste(c(model_name(model), wrapper_calls(model)), collapse = " |> ")
}

wrapper_calls <- function(model) {
  vapply(model$wrappers, function(one) {
    if (one$kind == "select_bins") bins_call(one) else paste0(one$kind, "(", one$index, ")")
  }, "")
}

# All files that the model was made from: those that must not be written to.
model_sources <- function(model) {
  c(model$path, model$origin$sources, if (!composed(model)) model$origin$path)
}
