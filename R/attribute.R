#' Explain predictions with gradients
#'
#' The methods that share out a prediction by the model's gradients, beside [deep_lift_shap()].
#' They run on the model's own graph, so that it does not matter how the model is written.
#'
#' @section Methods:
#' g is the gradient of the explained output with respect to the four bases of every position.
#'
#' * `"saliency"`: g, or its absolute value with `absolute = TRUE` (Simonyan 2014).
#' * `"gradient_x_input"`: X g (Shrikumar 2017).
#' * `"integrated_gradients"`: (X - baseline) times the mean of g on the straight line from the
#'   baseline to X (Sundararajan 2017).
#' * `"expected_gradients"`: mean over references of (X - reference) g at one random point of the
#'   line from the reference to X (Erion 2021).
#' * `"smoothgrad"`: mean of g over `n_samples` copies of X with normal noise of standard
#'   deviation `sd` (Smilkov 2017).
#' * `"guided_backprop"`: g, where a relu passes back what is positive there and came from a
#'   positive input (Springenberg 2015).
#' * `"deconvnet"`: g, where a relu passes back what is positive (Zeiler 2014).
#' * `"tism"`: g less g of the base that is there: [taylor_ism()] (Sasse 2024).
#' * `"deep_lift_rescale"`: contributions to f(X) - f(reference), mean over references, by the
#'   rescale rule: those of [deep_lift_shap()] summed over the bases of a position (Shrikumar
#'   2017).
#' * `"deep_lift_reveal_cancel"`: the same by RevealCancel at every nonlinear operation (Shrikumar
#'   2017).
#' * `"deep_lift_genomics"`: the same by rescale behind convolutions and RevealCancel behind dense
#'   layers (Shrikumar 2017).
#'
#' Guided backpropagation and deconvolution act on every `relu` of the graph, whether it is a
#' module, a function or a method. Captum acts on `ReLU` modules alone; where all are modules the
#' numbers are the same.
#'
#' Integrated gradients sum to f(X) - f(baseline) as far as the quadrature is exact:
#' [convergence_deltas()] says how far. With `"riemann_trapezoid"`, Captum's rule of that name,
#' they do not: it gives every point the weight 1 / n and half of it to both ends, which sums to
#' (n - 1) / n, 0.98 for 50 points. It is here for comparison; `"trapezoid"` has the weights that
#' sum to 1. Expected gradients are an estimate: the mean of their deltas shrinks with the number
#' of references.
#'
#' @section Layers:
#' With `layer` the outputs of inner modules are explained instead of the sequences: gradients
#' with respect to them, times them, or integrated on the line between their values at the
#' baseline and at X; or contributions by the rules of DeepLIFT. They do not add up to the change
#' of the output unless the layer is all that carries it. `model$info$modules` lists the paths.
#' By RevealCancel a unit of a layer has a part d+ that raises it above its reference and a part
#' d- that lowers it, both at once; its contribution is d+ times the multiplier of positive
#' differences plus d- times that of negative ones, as in the DeepLIFT package.
#'
#' With `target_layer` the output of a module is explained in place of the model's, the last linear
#' layer before a sigmoid for example; what [select_output()] or [profile_score()] put around the
#' model is then left out.
#'
#' @param model A model, see [load_model()]; its output must be `[n, targets]`. Choose one of
#'   several outputs with [select_output()], explain a profile with [profile_score()].
#' @param X Sequences: a character vector, a `Biostrings::DNAStringSet`, or an array `[n, 4, L]`;
#'   further channels of an array are held fixed. An array that is not one-hot is taken with a
#'   warning.
#' @param method One of the methods below.
#' @param target Which column of the output is explained, from 1; several, or `NULL` for all of
#'   them (not for DeepLIFT's methods), give one more dimension, the last. Default 1.
#' @param args List of the model's other inputs, first dimension n. See [with_args()]. Default
#'   `NULL`.
#' @param ... For `"tism"`, `output` of [taylor_ism()]. For the methods of DeepLIFT, `what`:
#'   `"attributions"` (default), or of every reference `"contributions"`, `"multipliers"`,
#'   `"positive_multipliers"`, `"negative_multipliers"` (`[n, n_refs, 4, L]`; of a layer
#'   `[n, n_refs, ...]`, and `"multipliers"` by the rescale rule alone), and `return_references`,
#'   `warning_threshold`, `only_warn` as for [deep_lift_shap()]. Otherwise must be empty.
#' @param baseline What X is compared with (integrated gradients): a number for every base, four
#'   numbers (frequencies of A, C, G, T), an array `[4, L]`, `[n, 4, L]` or, for several baselines
#'   of each sequence, `[n, n_refs, 4, L]`; or a function that makes `n_shuffles` references, as
#'   [dinucleotide_shuffle()]. The mean over several is returned. Default `NULL`: zeros. For
#'   `"tism"` as in [taylor_ism()].
#' @param n_steps Points on the line, default 50; at least 2 for the trapezoids.
#' @param quadrature Where they are and what each counts: `"gausslegendre"` (default, exact for
#'   polynomials of degree 2 n - 1), `"riemann_left"`, `"riemann_right"`, `"riemann_middle"`,
#'   `"trapezoid"`, or Captum's `"riemann_trapezoid"`.
#' @param references,n_shuffles References for `"expected_gradients"` and DeepLIFT's methods, as
#'   for [deep_lift_shap()]; `n_shuffles` also for a `baseline` that is a function. Defaults
#'   [dinucleotide_shuffle()] and 20.
#' @param absolute `TRUE` gives the absolute value (`"saliency"` only). Default `FALSE`.
#' @param n_samples,sd Copies with noise, and the noise's standard deviation in units of a one-hot
#'   entry (`"smoothgrad"`). Defaults 50 and 0.1.
#' @param simplex `TRUE` takes from every gradient, at each position, its mean over the four bases
#'   (Majdandzic 2023): sequences are one-hot, and a model is free in how it changes when all four
#'   bases of a position rise together, which no sequence does. Sums over a position stay the same
#'   where X and the baseline both sum to 1. `"tism"` and DeepLIFT's methods do not depend on that
#'   part. Default `FALSE`.
#' @param layer Paths of modules that are explained in place of the sequences. Default `NULL`.
#' @param target_layer Path of the module whose output is explained. Default `NULL`: the model.
#' @param mean_normalise `TRUE` explains the target less the mean of all columns. For logits that
#'   a softmax follows this is what DeepLIFT's authors advise (Shrikumar 2017): a
#'   softmax does not change when the same number is added to all of them. Use it with a
#'   `target_layer` in front of the softmax. Default `FALSE`.
#' @param explain_args `TRUE` explains the model's other inputs too. Default `FALSE`.
#' @param args_baseline The other inputs at the baseline, as `args` (integrated gradients with
#'   `explain_args = TRUE`). Default `NULL`: zeros.
#' @param batch_size How many sequences, or points on a line, are evaluated at a time. Default 32.
#'   The result does not depend on it.
#' @param dtype `"float32"`, `"float64"`, `"bfloat16"` (matrix products only), or `NULL` (default)
#'   for the model's own.
#' @param device `"cpu"`, `"cuda"`, `"cuda:1"`, or `NULL` (default), see [load_model()].
#' @param random_state A whole number, or `NULL` (default) to draw one from R's generator. For the
#'   noise, the random points and the references; sequence i has a stream of its own.
#' @param verbose `TRUE` shows a progress bar. Default `FALSE`.
#' @param BPPARAM Where the work is done: `NULL` (default) in this session, or a parameter object of
#'   \pkg{BiocParallel}, such as `SnowParam(2)`, whose workers share the sequences. See
#'   [seqlift_parallel].
#' @return A `seqlift_attributions` array `[n, 4, L]`, in units of the model's output, sequences
#'   named as in `X`; several targets add a dimension last. [convergence_deltas()] of integrated
#'   and expected gradients is `[n, n_refs]`; other methods compare with no reference and have
#'   none (`[n, 0]`).
#'
#'   With `layer` an array `[n, ...]` of the shape of the module's output, class
#'   `seqlift_layer_attributions` (a list of them for several modules), which
#'   [convergence_deltas()] and [attribution_ranges()] read too. With
#'   `explain_args = TRUE` a list: `X`, and an array of the shape of each other input by its name.
#' @section Errors: `seqlift_error_argument` for an argument that is not as described, or belongs to
#'   other methods and differs from its default;
#'   `seqlift_error_sequence`, `seqlift_error_references`, `seqlift_error_target`,
#'   `seqlift_error_args` and `seqlift_error_output` as [deep_lift_shap()]; `seqlift_error_layer`
#'   for a module that does not exist, is called more than once or returns no row for each
#'   sequence; `seqlift_error_not_finite` when predictions or gradients are NaN.
#' @references Simonyan, Vedaldi and Zisserman (2014), Deep inside convolutional networks.
#'   Shrikumar, Greenside and Kundaje (2017), Learning important features through propagating
#'   activation differences. Sundararajan, Taly and Yan (2017), Axiomatic attribution for deep
#'   networks. Erion, Janizek, Sturmfels, Lundberg and Lee (2021), Improving performance of deep
#'   learning models with axiomatic attribution priors and expected gradients. Smilkov et al.
#'   (2017), SmoothGrad. Springenberg et al. (2015), Striving for simplicity. Zeiler and Fergus
#'   (2014), Visualizing and understanding convolutional networks. Names of quadratures follow
#'   Captum 0.8.
#' @seealso [deep_lift_shap()], [taylor_ism()], [plot_logo()].
#' @concept saliency
#' @concept integrated gradients
#' @concept Captum
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()[1:2]
#' attribute(model, X, "gradient_x_input")
#' attributions <- attribute(model, X, "integrated_gradients", baseline = 0.25, n_steps = 10)
#' convergence_deltas(attributions)
attribute <- function(model, X, method, target = 1L, args = NULL, ..., baseline = NULL,
                      n_steps = 50L,
                      quadrature = c(
                        "gausslegendre", "riemann_left", "riemann_right", "riemann_middle",
                        "trapezoid", "riemann_trapezoid"
                      ),
                      references = dinucleotide_shuffle, n_shuffles = 20L, absolute = FALSE,
                      n_samples = 50L, sd = 0.1, layer = NULL, target_layer = NULL,
                      mean_normalise = FALSE, explain_args = FALSE, args_baseline = NULL,
                      batch_size = 32L, dtype = NULL, device = NULL, random_state = NULL,
                      verbose = FALSE, BPPARAM = NULL, simplex = FALSE) {
  given <- as.list(environment())
  call <- rlang::current_env()
  check_model(model)
  method <- check_choice(
    if (!missing(method)) method, names(c(attribution_methods, deep_lift_methods)), "method"
  )
  check_used_arguments(method, given, call)
  if (is_parallel(BPPARAM)) {
    sequences <- as_sequences(X, extra_channels = TRUE, only_warn = TRUE)
    return(over_sequences("attribute", c(given, list(...)), sequences, BPPARAM,
      unit = gradient_unit(method, given)
    ))
  }
  if (method == "tism") {
    return(taylor_ism(model, X, target,
      args = args, ..., baseline = baseline, target_layer = target_layer,
      mean_normalise = mean_normalise,
      batch_size = batch_size, dtype = dtype, device = device, verbose = verbose
    ))
  }
  if (method %in% names(deep_lift_methods)) {
    return(deep_lift_attribution(model, X, deep_lift_methods[[method]],
      args = args, target = target, references = references, n_shuffles = n_shuffles, ...,
      batch_size = batch_size, layer = layer, target_layer = target_layer,
      mean_normalise = mean_normalise, dtype = dtype, device = device,
      random_state = random_state, verbose = verbose, call = call
    ))
  }
  check_no_dots(..., .fn = "attribute", .after = "args")
  check_flag(absolute, "absolute")
  check_flag(simplex, "simplex")
  if (simplex && length(layer) > 0L) {
    abort_argument("simplex", "FALSE where `layer` is given", "TRUE")
  }
  job <- gradient_job(model, X, target, args,
    layer = layer, target_layer = target_layer, mean_normalise = mean_normalise,
    explain_args = explain_args, batch_size = batch_size, dtype = dtype, device = device,
    verbose = verbose, call = call
  )
  job$options$simplex <- simplex
  job$info$method <- paste0(attribution_methods[[method]], if (simplex) ", simplex correction")
  if (method %in% c("integrated_gradients", "expected_gradients")) {
    quadrature <- check_choice(quadrature, quadratures, "quadrature")
    n_steps <- check_count(n_steps, "n_steps", min = if (grepl("trapezoid", quadrature)) 2 else 1)
    n_shuffles <- check_count(n_shuffles, "n_shuffles")
    random <- method == "expected_gradients"
    made <- line_starts(
      if (random) references else baseline, random, job$sequences, n_shuffles, random_state, call
    )
    reference_args <- reference_args_of(args_baseline, explain_args, job, model, call)
    return(run_path(job, made, n_steps, quadrature, random, reference_args, call))
  }
  if (method == "smoothgrad") {
    job$options$n_samples <- check_count(n_samples, "n_samples")
    job$options$sd <- check_number(sd, "sd", min = 0)
    job$info$random_state <- check_random_state(random_state)
    job$options$random_state <- (job$info$random_state + sequence_offset()) %% 2^32
  }
  job$options$times_input <- method == "gradient_x_input"
  job$options$relu <- switch(method,
    guided_backprop = "guided", deconvnet = "deconvolution", "ordinary"
  )
  job$kind <- if (method == "gradient_x_input") "attributions" else "gradients"
  job$change <- if (absolute && method == "saliency") abs else identity
  run_gradients(job, call)
}

# Arguments that belong to some methods -> which. The rest is for all; `random_state` too, as verbs
# that compare two states give one to whatever they call.
arguments_of_methods <- local({
  deep_lift <- c("deep_lift_rescale", "deep_lift_reveal_cancel", "deep_lift_genomics")
  paths <- c("integrated_gradients", "expected_gradients")
  gradients <- c(
    "saliency", "gradient_x_input", paths, "smoothgrad", "guided_backprop", "deconvnet"
  )
  list(
    baseline = c("integrated_gradients", "tism"), n_steps = "integrated_gradients",
    quadrature = "integrated_gradients", references = c("expected_gradients", deep_lift),
    n_shuffles = c(paths, deep_lift), absolute = "saliency", n_samples = "smoothgrad",
    sd = "smoothgrad",
    layer = c(gradients, deep_lift), simplex = gradients, explain_args = gradients,
    args_baseline = paths
  )
})

# An argument that the method does not look at would be silently without effect. Those that have
# their default say nothing.
check_used_arguments <- function(method, given, call) {
  defaults <- formals(attribute)
  for (arg in names(arguments_of_methods)) {
    methods <- arguments_of_methods[[arg]]
    default <- eval(defaults[[arg]], environment(attribute))
    if (!method %in% methods && !identical(given[[arg]], default)) {
      abort_argument(arg, paste0("left out for the method \"", method, "\""),
        describe(given[[arg]]),
        hint = paste("It belongs to", toString(paste0("\"", methods, "\""))), call = call
      )
    }
  }
}

attribution_methods <- c(
  saliency = "saliency", gradient_x_input = "gradient x input",
  integrated_gradients = "integrated gradients", expected_gradients = "expected gradients",
  smoothgrad = "SmoothGrad", guided_backprop = "guided backpropagation",
  deconvnet = "deconvolution", tism = "Taylor ISM"
)

# Methods of the DeepLIFT package -> their rules.
deep_lift_methods <- c(
  deep_lift_rescale = "rescale", deep_lift_reveal_cancel = "reveal_cancel",
  deep_lift_genomics = "genomics_default"
)

quadratures <- c(
  "gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "trapezoid",
  "riemann_trapezoid"
)

run_gradients <- function(job, call) {
  result <- call_engine("gradients", model_pointer(job$model),
    engine_input(job$sequences, job$args), job$options,
    call = call
  )
  finish_gradients(job, result, call)
}

run_path <- function(job, made, n_steps, quadrature, random, reference_args, call) {
  seed <- if (is.null(made$random_state)) 0 else made$random_state
  # The points have a stream that the references do not share.
  points_seed <- (seed + 2^31 + sequence_offset()) %% 2^32
  job$options <- c(
    job$options[names(job$options) != "random_state"],
    list(
      random_state = points_seed, random_points = random, n_steps = n_steps,
      quadrature = quadrature, reference_args = reference_args
    )
  )
  job$info$random_state <- made$random_state
  result <- call_engine("path_gradients", model_pointer(job$model),
    engine_input(job$sequences, job$args), made$references, job$options,
    call = call
  )
  finish_gradients(job, result, call)
}

# How many sequences are evaluated together, which workers must not tear apart: the last bits of a
# gradient depend on what else is in its batch.
gradient_unit <- function(method, given) {
  batch_size <- check_count(given$batch_size, "batch_size")
  if (method %in% names(deep_lift_methods)) {
    return(pairs_unit(given, "operator"))
  }
  references <- dim(given$references)
  copies <- switch(method,
    smoothgrad = given$n_samples, integrated_gradients = given$n_steps,
    expected_gradients = if (length(references) == 4L) references[2L] else given$n_shuffles, 1L
  )
  if (!is.numeric(copies) || length(copies) != 1L || is.na(copies)) {
    # Refused where the method looks at it.
    return(1L)
  }
  max(1L, as.integer(batch_size %/% max(1, copies)))
}
