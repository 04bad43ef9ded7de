# Which of a model's outputs is meant, and what is put around it.

# How many outputs the model has with what is put around it. One whose code fills a list, and that
# no input was found for to count them, has at least one.
count_outputs <- function(model) {
  if (length(model$wrappers) > 0L) 1L else max(1L, model$info$outputs)
}

# The number of an output that is given by its name.
output_number <- function(index, model, call = caller_env()) {
  if (!is.character(index)) {
    return(index)
  }
  names <- if (length(model$wrappers) == 0L) model$info$output_names
  place <- which(names %in% check_string(index, "index", call = call))
  if (length(place) != 1L) {
    abort_argument("index", if (length(names) > 0L) {
      paste(
        "the number of an output or one of its names,", paste0('"', names, '"', collapse = ", ")
      )
    } else {
      "the number of an output, as this model's have no names"
    }, describe(index), call = call)
  }
  place
}

# An output that is there, or, where they could not be counted, that may be.
check_output_index <- function(index, model, call = caller_env()) {
  known <- length(model$wrappers) > 0L || model$info$outputs > 0L
  most <- if (known) count_outputs(model) else .Machine$integer.max
  check_count(index, "index", max = most, call = call)
}

#' Choose one output of a model with several
#'
#' @param model A model, see [load_model()].
#' @param index Which output: its number, from 1, or its name, as `print()` shows it. BPNet's log
#'   counts are output 2, `"counts"`.
#' @return A `seqlift_model` whose only output is that one; what only the others need is not
#'   computed any more.
#' @section Errors: `seqlift_error_argument` when there is no such output.
#' @source `CountWrapper` of bpnet-lite (Schreiber).
#' @export
#' @examples
#' counts <- select_output(demo_model(), 2)
select_output <- function(model, index) {
  check_model(model)
  index <- check_output_index(output_number(index, model), model)
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
#' @param index Which output holds the logits: its number, from 1, or its name. Default 1, BPNet's
#'   profile.
#' @return A `seqlift_model` that returns `[n, 1]`.
#' @section Errors: `seqlift_error_argument` when there is no such output.
#' @source Avsec et al. (2021), Nature Genetics 53:354; `ProfileWrapper` of bpnet-lite (Schreiber).
#' @seealso [select_bins()] for chosen bins and tracks of a long-context model.
#' @export
#' @examples
#' profile <- profile_score(demo_model())
profile_score <- function(model, index = 1L) {
  check_model(model)
  index <- check_output_index(output_number(index, model), model)
  model <- with_modules(model, c(
    "profile_score()" = "seqlift.ProfileScore", "profile_score().scaling" = "seqlift.LogitScaling",
    "profile_score().scaling.softmax" = "torch.nn.modules.activation.Softmax"
  ))
  add_wrapper(model, "profile_score", index)
}

add_wrapper <- function(model, kind, index, fields = list()) {
  model$wrappers <- c(model$wrappers, list(c(list(kind = kind, index = index), fields)))
  model
}

# What the engine puts around the model can be registered like the model's own modules. `classes`:
# by their paths.
with_modules <- function(model, classes) {
  model$info$modules <- c(model$info$modules, names(classes))
  model$info$module_classes <- c(model$info$module_classes, unname(classes))
  if (!is.null(model$info$called)) {
    model$info$called <- c(model$info$called, names(classes))
    model$info$called_classes <- c(model$info$called_classes, unname(classes))
  }
  model
}
