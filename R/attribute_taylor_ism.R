#' Approximate saturation mutagenesis by the gradient
#'
#' The first-order Taylor expansion of the model at a sequence says what each substitution would
#' do, from one gradient g in place of 3 L predictions: replacing the base that is there by base b
#' changes the output by about `g_b - g_(base that is there)`. It is exact for a model that is
#' linear in X.
#'
#' @section Outputs:
#' * `"tism"`: g - sum(X g): the approximate effect of every substitution, 0 at the base that is
#'   there.
#' * `"local"`: g.
#' * `"global"`: g (X - baseline), baseline 0 by default: gradient times input.
#' * `"corrected"`: g less its mean over the four bases (Majdandzic 2023).
#' * `"hypothetical"`: g - sum(baseline g), baseline 0.25 by default: what each base would be
#'   worth against the baseline.
#'
#' sum() runs over the four bases of a position. `"tism"` less its mean over the bases,
#' `"corrected"` and `"hypothetical"` for a uniform baseline are the same numbers.
#' [mean_effects()] turns `"tism"`, and the effects of saturation mutagenesis likewise, into one
#' number for each position.
#'
#' @inheritParams attribute
#' @param output Which of these, default `"tism"`.
#' @param baseline For `"global"` and `"hypothetical"`: a number, four frequencies (A, C, G, T),
#'   an array `[4, L]` or `[n, 4, L]`. Default `NULL`: 0 and 0.25.
#' @return A `seqlift_attributions` array `[n, 4, L]`, in units of the model's output, sequences
#'   named as in `X`; several targets add a dimension last.
#' @section Errors: As [attribute()].
#' @references Sasse, Chikina and Mostafavi (2024), Quick and effective approximation of in silico
#'   saturation mutagenesis experiments with first-order Taylor expansion (TISM). Majdandzic,
#'   Rajesh and Koo (2023), Correcting gradient-based interpretations of deep neural networks for
#'   genomics.
#' @seealso [attribute()], [mean_effects()].
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' effects <- taylor_ism(model, demo_sequences()[1:2])
#' mean_effects(effects)
taylor_ism <- function(model, X, target = 1L,
                       output = c("tism", "local", "global", "corrected", "hypothetical"),
                       baseline = NULL, args = NULL, target_layer = NULL, mean_normalise = FALSE,
                       batch_size = 32L, dtype = NULL, device = NULL, verbose = FALSE,
                       BPPARAM = NULL) {
  given <- as.list(environment())
  call <- rlang::current_env()
  check_model(model)
  output <- check_choice(
    output, c("tism", "local", "global", "corrected", "hypothetical"), "output"
  )
  if (!is.null(baseline) && !output %in% c("global", "hypothetical")) {
    abort_argument("baseline", "NULL unless `output` is \"global\" or \"hypothetical\"",
      describe(baseline)
    )
  }
  if (is_parallel(BPPARAM)) {
    sequences <- as_sequences(X, extra_channels = TRUE, only_warn = TRUE)
    return(over_sequences("taylor_ism", given, sequences, BPPARAM,
      unit = check_count(batch_size, "batch_size")
    ))
  }
  job <- gradient_job(model, X, target, args,
    target_layer = target_layer, mean_normalise = mean_normalise, batch_size = batch_size,
    dtype = dtype, device = device, verbose = verbose, call = call
  )
  bases <- one_hot_array(job$sequences)[, seq_len(n_bases), , drop = FALSE]
  baseline <- baseline_array(baseline, job$sequences,
    default = if (output == "global") 0 else 1 / n_bases, call = call
  )
  job$info$method <- paste0(attribution_methods[["tism"]], " (", output, ")")
  job$kind <- switch(output,
    tism = "effects", local = "gradients", global = "attributions", "hypothetical"
  )
  job$change <- function(values) {
    gradient <- first_bases(values)
    switch(output,
      tism = gradient - over_bases(gradient, bases),
      local = gradient,
      global = gradient * as.vector(bases - baseline),
      corrected = gradient - over_bases(gradient, array(1 / n_bases, dim(bases))),
      hypothetical = gradient - over_bases(gradient, baseline)
    )
  }
  run_gradients(job, call)
}

cited_by_taylor_ism <- function() {
  paper("sasse2024", "taylor_ism", "Sasse A, Chikina M, Mostafavi S", 2024L,
    paste("Quick and effective approximation of in silico saturation mutagenesis experiments",
      "with first-order Taylor expansion"), "iScience 27, 110807"
  )
}

# sum over bases of weights [n, 4, L] times values [n, 4, L] or [n, 4, L, targets], at every base.
over_bases <- function(values, weights) {
  rank <- length(dim(values))
  order <- c(2L, seq_len(rank)[-2L])
  sums <- colSums(aperm(values * as.vector(weights), order))
  aperm(array(rep(sums, each = n_bases), dim(values)[order]), order(order))
}

#' Turn effects of substitutions into attributions
#'
#' A base is worth what the model loses on average when one of the three others takes its place.
#'
#' @param effects Effects of all substitutions, `[n, 4, L]` (with several targets one more
#'   dimension), 0 at the base that is there: of [taylor_ism()], or of saturation mutagenesis.
#' @param X The sequences, where `effects` is a plain array; a result of [taylor_ism()] knows its
#'   own.
#' @return A `seqlift_attributions` array of the shape of `effects`: minus the mean of the three
#'   effects of a position, at the base that is there, 0 elsewhere. An N has no base and gets
#'   none.
#' @section Errors: `seqlift_error_argument` for effects of another shape or kind;
#'   `seqlift_error_sequence` for sequences that cannot be read.
#' @source The mean-effect maps of TISM (Sasse, Chikina and Mostafavi 2024).
#' @seealso [taylor_ism()], [plot_logo()].
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' mean_effects(taylor_ism(model, demo_sequences()[1:2]))
mean_effects <- function(effects, X = NULL) {
  check_if_attributions(effects, "effects")
  known <- inherits(effects, "seqlift_attributions")
  if (known && attr(effects, "kind", exact = TRUE) != "effects") {
    abort_argument("effects", "effects of substitutions, as taylor_ism() gives them",
      attribution_kinds[[attr(effects, "kind", exact = TRUE)]]
    )
  }
  values <- plain_numbers(effects)
  shape <- dim(values)
  if (!is.numeric(values) || !length(shape) %in% 3:4 || shape[2L] != n_bases) {
    abort_argument("effects", "an array [n, 4, L] or [n, 4, L, targets]", describe(effects))
  }
  if (is.null(X) && !known) {
    abort_argument("X", "the sequences of `effects`", describe(X))
  }
  if (is.null(X)) {
    letters <- attr(effects, "X", exact = TRUE)
    ranges <- attr(effects, "ranges", exact = TRUE)
  } else {
    sequences <- as_sequences(X, extra_channels = TRUE)
    letters <- sequence_letters(sequences)
    ranges <- sequences$ranges
  }
  if (!identical(dim(letters), shape[c(3L, 1L)])) {
    abort_argument("X", paste(shape[1L], "sequences of length", shape[3L]),
      paste(ncol(letters), "of length", nrow(letters))
    )
  }
  bases <- codes_to_one_hot(letters)
  means <- over_bases(values, array(1 / (n_bases - 1L), shape[1:3])) * as.vector(bases)
  info <- if (known) attr(effects, "info", exact = TRUE) else list()
  info$method <- paste(c(info$method, "mean effect of substitutions"), collapse = ", ")
  new_attributions(array(-means, shape), letters,
    array(0, c(shape[1L], 0L, if (length(shape) == 4L) shape[4L])),
    kind = "attributions", info = info, ranges = ranges
  )
}
