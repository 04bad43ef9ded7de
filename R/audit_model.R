#' Audit a model
#'
#' Evaluates the model on the first sequences and tells of every operation that they reach what it is,
#' where it stands in the model, and which rule it gets.
#'
#' @inheritParams deep_lift_shap
#' @param X Sequences, see [deep_lift_shap()]; the first two are used, with two shuffles each.
#' @param rules `"operator"` (default) or `"module"`, see [deep_lift_shap()].
#' @return A data frame of class `seqlift_audit`, one row per operation in the order of evaluation:
#'   `op`, `module` (path), `class`, `kind` (linear, elementwise, max, product, softmax, normalisation,
#'   registered, condition, unsupported, ...), `rule`, `source` (file:line where the file knows it),
#'   `supported` (`FALSE`: [deep_lift_shap()] refuses it) and `faithful` (`FALSE`: its rule does not
#'   keep summation-to-delta). Printing it ends in a verdict.
#' @section Errors: as [predict.seqlift_model()]; `seqlift_error_registration` as [deep_lift_shap()].
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' audit_model(model, demo_sequences())
audit_model <- function(model, X, args = NULL, rules = "operator", nonlinear_ops = NULL) {
  check_model(model)
  rules <- check_choice(rules, c("operator", "module"), "rules")
  nonlinear_ops <- check_nonlinear_ops(nonlinear_ops, model)
  sequences <- as_sequences(X, extra_channels = TRUE, only_warn = TRUE)
  args <- complete_args(model, args, sequences)
  steps <- run_audit(model, sequences, args, rules, nonlinear_ops)
  steps$refusal <- NULL
  structure(steps, class = c("seqlift_audit", "data.frame"), rules = rules)
}

run_audit <- function(model, sequences, args, rules, nonlinear_ops, call = caller_env()) {
  some <- min(2L, sequences$n)
  sequences <- take_rows(sequences, some)
  args <- lapply(args, function(value) {
    shape <- dim(value)
    array(value[slice.index(value, 1L) <= some], c(some, shape[-1L]))
  })
  # What the shuffles are does not matter here, so that none can be made is no news.
  references <- suppressWarnings(
    if (isTRUE(sequences$one_hot) || !is.null(sequences$codes)) {
      reference_shuffles(sequences, 2L, 0)
    } else {
      array(0, c(some, 2L, n_bases, sequences$length))
    },
    classes = "seqlift_warning_shuffle"
  )
  options <- list(
    wrappers = model$wrappers, nonlinear_ops = nonlinear_ops, rules = rules, dtype = "native",
    device = check_device(model$device, call), threads = seqlift_threads(), progress = NULL
  )
  steps <- call_engine("audit", model_pointer(model, call), engine_input(sequences, args),
    references, options,
    call = call
  )
  as.data.frame(steps, stringsAsFactors = FALSE)
}

take_rows <- function(sequences, n) {
  if (is.null(sequences$codes)) {
    sequences$array <- sequences$array[seq_len(n), , , drop = FALSE]
  } else {
    sequences$codes <- sequences$codes[, seq_len(n), drop = FALSE]
  }
  sequences$n <- n
  sequences$names <- sequences$names[seq_len(n)]
  sequences
}

escape_braces <- function(text) {
  gsub("}", "}}", gsub("{", "{{", text, fixed = TRUE), fixed = TRUE)
}

#' @export
print.seqlift_audit <- function(x, ...) {
  needed <- c("op", "module", "class", "kind", "rule", "source", "supported", "faithful")
  if (!all(needed %in% names(x))) {
    # Some columns of an audit are a plain table.
    class(x) <- "data.frame"
    print(x, right = FALSE, row.names = FALSE)
    return(invisible(x))
  }
  shown <- data.frame(
    op = x$op, module = x$module, class = sub("^.*\\.", "", x$class), kind = x$kind,
    rule = x$rule, source = x$source
  )
  print(shown, right = FALSE, row.names = FALSE)
  cli::cat_line()
  cli::cat_line(audit_verdict(x))
  invisible(x)
}

audit_verdict <- function(x) {
  refused <- sum(!x$supported)
  unfaithful <- sum(x$supported & !x$faithful)
  if (refused > 0L) {
    paste0(
      refused, " of ", nrow(x), " operations have no rule: deep_lift_shap() will refuse this model."
    )
  } else if (unfaithful > 0L) {
    paste0(
      unfaithful, " of ", nrow(x), " operations get their ordinary gradient although they are not ",
      "linear: the attributions will not add up to the difference in prediction."
    )
  } else {
    paste0("All ", nrow(x), " operations have a rule that keeps summation-to-delta.")
  }
}
