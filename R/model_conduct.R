# What a model does that its results could not be trusted for: it mixes the sequences of a batch,
# or draws random numbers. load_model() allows either by name; the engine is told once for a model.

# What a model does that makes it refused as a whole, in every method: it mixes the sequences of a
# batch, draws random numbers, reads the sequence in steps. Kinds of errors, which are also
# `seqlift_error_unsupported_operation`.
refused_models <- c("batch", "random", "discrete")

# What the user allows the model to do, as the engine takes it; NULL for nothing beyond the usual.
check_conduct <- function(batch, allow_random, random_state, call) {
  batch <- check_choice(batch, c("independent", "joint"), "batch", call = call)
  check_flag(allow_random, "allow_random", call = call)
  if (!allow_random && !is.null(random_state)) {
    abort_argument("random_state", "NULL unless `allow_random = TRUE`", describe(random_state),
      call = call
    )
  }
  if (batch == "independent" && !allow_random) {
    return(NULL)
  }
  list(
    joint = batch == "joint",
    random_state = if (allow_random) check_random_state(random_state, call = call)
  )
}

# That of a model made of models.
joint_conduct <- function(models) {
  all <- Filter(Negate(is.null), lapply(models, function(model) model$conduct))
  if (length(all) == 0L) {
    return(NULL)
  }
  list(
    joint = any(vapply(all, function(one) one$joint, logical(1L))),
    random_state = Find(Negate(is.null), lapply(all, function(one) one$random_state))
  )
}

allow_conduct <- function(pointer, conduct, call) {
  if (!is.null(conduct)) {
    call_engine("conduct", pointer, conduct, call = call)
  }
  pointer
}

# Dropout that the model's code keeps on, once for a model before its first numbers.
tell_of_training <- function(model) {
  kept <- unique(model$info$training)
  if (length(kept) == 0L || isTRUE(model$cache$told_of_training)) {
    return(invisible())
  }
  model$cache$told_of_training <- TRUE
  inform_seqlift("training", c(
    "The model's code keeps {length(kept)} operation{?s} in training mode; {?it is/they are}
     evaluated in evaluation mode, without dropping out anything.",
    stats::setNames(escape_braces(kept), rep("x", length(kept)))
  ))
}

hint_for_batch <- function(message) {
  if (!grepl("mixes the sequences", message, fixed = TRUE)) {
    return("Export it again so that the number follows the input: with {.code x.size(0)} or
            {.code x.shape[0]} where the code has it as a plain number, or by
            {.code torch.jit.script(model)}.")
  }
  "Its results would depend on how the batches fall. Attention and LSTM layers take [n, L, C] with
   {.code batch_first = True}; means and norms must leave the first dimension alone.
   {.code load_model(path, batch = \"joint\")} predicts whole batches as they are."
}
