#' Explain several models and how much they differ
#'
#' The mean of the attributions of several models, the folds or seeds of an ensemble, with the
#' standard error over the models. Models that predict alike may do so for different reasons: where
#' they do, the whiskers of the letters are long. The mean is that of [ensemble()]'s mean output,
#' which knows nothing of the spread.
#'
#' All models see the same sequences and, as each is called with the same `random_state`, the same
#' references. Only the mean and the squared deviations are kept (Welford 1962), not the results,
#' unless `each = TRUE` asks for them: models of several cell types are compared rather than
#' averaged.
#'
#' @param models A list of models, see [load_model()], at least two; `func` must give results of one
#'   shape for all.
#' @param X Sequences, see [deep_lift_shap()].
#' @param func A function of a model and sequences that returns attributions, such as
#'   [deep_lift_shap()] (default), [attribute()] or [saturation_mutagenesis()].
#' @param ... Further arguments of `func`, by name; one number of references only, and no
#'   `raw_outputs`, `output` or `standard_errors`.
#' @param random_state A whole number, the seed of every call; `NULL` (default) draws one from R's
#'   generator. Given to `func` where it takes one.
#' @param each `FALSE` (default): the mean over the models. `TRUE`: the result of each model, which
#'   [plot_logo()] draws below each other, [view_attributions()] compares, and
#'   [as_summarized_experiment()] takes as assays.
#' @return With `each = TRUE` a list of the models' results, named as `models` (`model_1`, ...
#'   without names). Else a [seqlift_attributions] of the means, whose [standard_errors()] are the
#'   standard deviation over models divided by the root of their number. Its [convergence_deltas()]
#'   are the means of the models', so that it adds up as theirs do.
#' @section Errors: `seqlift_error_argument` for fewer than two models, or a `func` that returns no
#'   attributions or such of different shapes; those of `func`.
#' @seealso [standard_errors()], [ensemble()].
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0))
#' # Two outputs of one model stand for two models here.
#' models <- list(select_output(model, 2), profile_score(model, 1))
#' both <- attribute_models(models, demo_sequences()[1], n_shuffles = 5, random_state = 0)
#' both
#' each <- attribute_models(models, demo_sequences()[1],
#'   n_shuffles = 5, random_state = 0, each = TRUE
#' )
#' plot_logo(each, start = 200, end = 260, difference = TRUE)
attribute_models <- function(models, X, func = deep_lift_shap, ..., random_state = NULL,
                             each = FALSE) {
  call <- rlang::current_env()
  check_several_models(models, call)
  check_flag(each, "each")
  if (!is.function(func)) {
    abort_argument("func", "a function that returns attributions", describe(func))
  }
  more <- list(...)
  check_all_named(more, "...", call)
  refused <- intersect(names(more), c("raw_outputs", "output", "standard_errors", "tolerance"))
  if (length(refused) > 0L || length(more$n_shuffles) > 1L) {
    abort_argument(c(refused, "n_shuffles")[1L],
      if (length(refused) > 0L) "left out" else "one number",
      describe(more[[c(refused, "n_shuffles")[1L]]]),
      hint = "Models are compared by attributions in memory, of the same references.", call = call
    )
  }
  if ("random_state" %in% names(formals(args(func)))) {
    more$random_state <- check_random_state(random_state)
  }
  check_takes(func, names(more), call)
  if (each) {
    return(attribute_each(models, X, func, more, call))
  }
  mean <- NULL
  for (k in seq_along(models)) {
    one <- call_by_name(func, c(list(model = models[[k]], X = X), more))
    check_one_of_models(one, mean, k, call)
    mean <- if (is.null(mean)) one else mean_of_models(mean, one, k)
  }
  count <- length(models)
  attr(mean, "standard_errors") <- sqrt(attr(mean, "squares", exact = TRUE) / (count * (count - 1)))
  attr(mean, "squares") <- NULL
  info <- attr(mean, "info", exact = TRUE)
  info$models <- count
  info$model <- toString(unique(vapply(models, model_name, "")))
  attr(mean, "info") <- info
  mean
}

attribute_each <- function(models, X, func, more, call) {
  models <- check_models(models, call)
  first <- NULL
  lapply(stats::setNames(seq_along(models), names(models)), function(k) {
    one <- call_by_name(func, c(list(model = models[[k]], X = X), more))
    check_one_of_models(one, first, k, call)
    first <<- first %||% one
    one
  })
}

check_several_models <- function(models, call) {
  expected <- "a list of at least two models"
  if (!is.list(models) || inherits(models, "seqlift_model") || length(models) < 2L) {
    abort_argument("models", expected, describe(models), call = call)
  }
  for (model in models) {
    check_model(model, call = call)
  }
}

check_one_of_models <- function(one, mean, k, call) {
  fits <- inherits(one, "seqlift_attributions") && is_whole_result(one) &&
    attr(one, "kind", exact = TRUE) != "multipliers"
  if (!fits) {
    abort_argument("func", "a function that returns attributions",
      paste("one that returned", describe(one)),
      call = call
    )
  }
  if (!is.null(mean) && !identical(dim(one), dim(mean))) {
    abort_argument("models", "models whose attributions have one shape",
      paste0("[", toString(dim(one)), "] of model ", k, " beside [", toString(dim(mean)), "]"),
      call = call
    )
  }
}

# The mean of k results of k - 1 and one more; attribute `squares`: the squared deviations from it.
mean_of_models <- function(mean, one, k) {
  squares <- attr(mean, "squares", exact = TRUE) %||% 0
  change <- as.array(one) - as.array(mean)
  deltas <- convergence_deltas(mean)
  result <- mean
  result[] <- as.vector(as.array(mean) + change / k)
  attributes(result) <- attributes(mean)
  attr(result, "squares") <- squares + change^2 * ((k - 1) / k)
  attr(result, "convergence_deltas") <- deltas + (convergence_deltas(one) - deltas) / k
  info <- attr(result, "info", exact = TRUE)
  of_both <- list(info, attr(one, "info", exact = TRUE))
  attr(result, "info") <- join_info(of_both)
  result
}
