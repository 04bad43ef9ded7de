#' Audit a model
#'
#' Tells of every operation that the sequences reach what it is, where it stands in the model, which
#' rule it gets, and how much it adds to the convergence delta: what to look at, or to send to a
#' colleague, when deltas are high.
#'
#' A convergence delta is a sum over the operations. Each adds its local delta: the contributions
#' that it passes on to its inputs, `sum(m * (x - reference))`, minus those that it received for
#' its output. An operation whose rule keeps summation-to-delta adds nothing but rounding.
#'
#' @inheritParams deep_lift_shap
#' @param X Sequences, see [deep_lift_shap()]; the first `n_sequences` are used.
#' @param rules `"operator"` (default) or `"module"`, see [deep_lift_shap()]. An audit in operator
#'   mode also measures what module mode, the way of tangermeme and Captum, would miss.
#' @param target Which column of the output the deltas are of, from 1. Default 1.
#' @param n_sequences,n_shuffles How many sequences, and dinucleotide shuffles of each, are
#'   evaluated in one batch. Default 2 and 2.
#' @param dtype `"float32"`, `"float64"`, or `NULL` (default) for the model's own.
#' @return A data frame of class `seqlift_audit`, one row per operation in the order of evaluation:
#'   `op`, `module` (path), `class`, `kind` (linear, elementwise, max, product, softmax,
#'   normalisation, recurrent, attention, condition, registered, integrated, random, unsupported,
#'   ...),
#'   `rule`, `source` (file:line where the file knows it), `supported` (`FALSE`:
#'   [deep_lift_shap()] refuses it), `faithful` (`FALSE`: its rule does not keep
#'   summation-to-delta), `delta` (mean over the pairs of the absolute local delta, in units of
#'   the output; `NA` where the model does not return `[n, targets]`), `share` (of the sum of
#'   `delta`), `refused` (what would mean nothing because of it and is therefore never given:
#'   `"all methods"` for random numbers, `"gradients and hypothetical attributions"` for what reads
#'   the sequence in steps, `"attributions"` for what has no rule; otherwise `""`) and, in operator
#'   mode, `module_delta`: the local delta that it has in module mode.
#'   `attr(x, "deltas")` and `attr(x, "changes")` are `[n_sequences, n_shuffles]`: the convergence
#'   deltas and the changes of the prediction. Printing shows the worst offender first and ends in
#'   a verdict and what to do.
#' @section Errors: as [predict.seqlift_model()]; `seqlift_error_registration` as
#'   [deep_lift_shap()].
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' audit_model(model, demo_sequences())
audit_model <- function(model, X, args = NULL, rules = "operator", nonlinear_ops = NULL,
                        target = 1L, n_sequences = 2L, n_shuffles = 2L,
                        fallback = c("none", "integrate"), dtype = NULL) {
  check_model(model)
  rules <- check_choice(rules, c("operator", "module"), "rules")
  fallback <- check_choice(fallback, c("none", "integrate"), "fallback")
  nonlinear_ops <- check_nonlinear_ops(nonlinear_ops, model)
  check_module_rules(rules, model)
  target <- check_count(target, "target")
  n_sequences <- check_count(n_sequences, "n_sequences")
  n_shuffles <- check_count(n_shuffles, "n_shuffles")
  dtype <- check_dtype(dtype)
  sequences <- as_sequences(X, extra_channels = TRUE, only_warn = TRUE)
  args <- complete_args(model, args, sequences)
  call <- rlang::current_env()
  audit <- function(rules) {
    run_audit(model, sequences, args, rules, nonlinear_ops,
      target = target, n_sequences = n_sequences, n_shuffles = n_shuffles,
      fallback = fallback, dtype = dtype, call = call
    )
  }
  found <- audit(rules)
  steps <- found$steps
  steps$refused <- refused_by(steps)
  steps$refusal <- steps$stepped <- NULL
  steps$delta[is.nan(steps$delta)] <- NA
  total <- sum(steps$delta)
  steps$share <- if (isTRUE(total > 0)) steps$delta / total else steps$delta
  peers <- NULL
  if (rules == "operator") {
    # Module mode may fail where operator mode does not: its hooks need one shape per module.
    peers <- tryCatch(audit("module"), seqlift_error = function(error) NULL)
    steps$module_delta <- match_deltas(steps, peers$steps)
  }
  structure(steps,
    class = c("seqlift_audit", "data.frame"), rules = rules, deltas = found$deltas,
    changes = found$changes, module_deltas = peers$deltas
  )
}

refused_for_steps <- "gradients and hypothetical attributions"

# What each operation makes meaningless.
refused_by <- function(steps) {
  ifelse(!steps$supported & steps$kind == "random", "all methods",
    ifelse(!steps$supported, "attributions",
      ifelse(steps$stepped, refused_for_steps, "")
    )
  )
}

run_audit <- function(model, sequences, args, rules, nonlinear_ops, target = 1L, n_sequences = 2L,
                      n_shuffles = 2L, fallback = "none", dtype = "native",
                      call = caller_env()) {
  some <- min(n_sequences, sequences$n)
  sequences <- pick_sequences(sequences, seq_len(some))
  args <- lapply(args, function(value) {
    shape <- dim(value)
    array(value[slice.index(value, 1L) <= some], c(some, shape[-1L]))
  })
  # What the shuffles are does not matter here, so that none can be made is no news.
  references <- suppressWarnings(
    if (isTRUE(sequences$one_hot) || !is.null(sequences$codes)) {
      reference_shuffles(sequences, n_shuffles, 0)
    } else {
      array(0, c(some, n_shuffles, n_bases, sequences$length))
    },
    classes = "seqlift_warning_shuffle"
  )
  options <- list(
    wrappers = model$wrappers, nonlinear_ops = nonlinear_ops, rules = rules, targets = target,
    fallback = fallback, dtype = dtype, device = check_device(model$device, call),
    threads = seqlift_threads(),
    memory = engine$memory, progress = NULL
  )
  found <- call_engine("audit", model_pointer(model, call), engine_input(sequences, args),
    references, options,
    call = call
  )
  found$steps <- as.data.frame(found$steps, stringsAsFactors = FALSE)
  found
}

# The operations of both modes are the same but for modules kept whole, which are one row there: an
# operation inside one takes the module's delta with it, once.
match_deltas <- function(steps, peers) {
  if (is.null(peers)) {
    return(rep(NA_real_, nrow(steps)))
  }
  key <- function(table) make.unique(paste(table$op, table$module, table$source, sep = "\r"))
  deltas <- peers$delta[match(key(steps), key(peers))]
  units <- peers$op == "module"
  first <- match(peers$module[units], steps$module)
  deltas[is.na(deltas)] <- 0
  deltas[first[!is.na(first)]] <- peers$delta[units][!is.na(first)]
  deltas[is.nan(deltas)] <- NA
  deltas
}

# A delta above this part of the prediction's change is worth a look; rounding in float32 is not.
audit_threshold <- 1e-4

#' @export
print.seqlift_audit <- function(x, ...) {
  needed <- c("op", "module", "class", "kind", "rule", "source", "supported", "faithful")
  if (!all(needed %in% names(x))) {
    # Some columns of an audit are a plain table.
    class(x) <- "data.frame"
    print_table(x)
    return(invisible(x))
  }
  shown <- data.frame(
    op = x$op, module = x$module, class = sub("^.*\\.", "", x$class), kind = x$kind,
    rule = sub(" (linear)", "", x$rule, fixed = TRUE), source = x$source
  )
  if (isTRUE(audit_error(x) > audit_threshold)) {
    # Rounding is not told apart, nor put in an order.
    counts <- x$delta > audit_threshold * max(abs(attr(x, "changes")))
    delta <- ifelse(counts, x$delta, 0)
    shown$delta <- ifelse(counts, format(signif(delta, 2L)), "0")
    shown$share <- paste0(round(100 * delta / sum(delta)), "%")
    shown <- shown[order(-delta), ]
  }
  # What has no rule says so in the column before.
  if (any(x$refused %in% c("all methods", refused_for_steps))) {
    shown$refused <- x$refused[match(rownames(shown), seq_len(nrow(x)))]
  }
  print_table(shown)
  cli::cat_line()
  for (line in audit_verdict(x)) {
    cat_text(line)
  }
  invisible(x)
}

# The largest convergence delta as a part of the largest change of the prediction.
audit_error <- function(x, deltas = attr(x, "deltas")) {
  changes <- attr(x, "changes")
  if (is.null(deltas) || is.null(changes)) NA_real_ else max(abs(deltas)) / max(abs(changes))
}

audit_verdict <- function(x) {
  n <- nrow(x)
  error <- audit_error(x)
  amount <- if (is.na(error)) {
    ""
  } else if (error <= audit_threshold) {
    " On these sequences the convergence deltas are rounding."
  } else {
    paste0(
      " Largest convergence delta here: ", format(signif(max(abs(attr(x, "deltas"))), 2L)),
      ", the prediction changing by up to ", format(signif(max(abs(attr(x, "changes"))), 2L)), "."
    )
  }
  drawn <- which(!x$supported & x$kind == "random")
  refused <- setdiff(which(!x$supported), drawn)
  unfaithful <- which(x$supported & !x$faithful)
  verdict <- if (length(drawn) > 0L && length(refused) == 0L) {
    paste0(
      length(drawn), " of ", n, " operations draw random numbers: every method refuses this ",
      "model. To do: `load_model(path, allow_random = TRUE, random_state = 0)` draws the same ",
      "numbers each time."
    )
  } else if (length(refused) > 0L) {
    paste0(
      if (length(drawn) > 0L) {
        paste0(length(drawn), " of ", n, " operations draw random numbers, which is refused; ")
      },
      length(refused), " of ", n, " operations have no rule: deep_lift_shap() will refuse this ",
      "model. To do: register the module around them in `nonlinear_ops`, or ask for ",
      "`fallback = \"integrate\"`."
    )
  } else if (length(unfaithful) > 0L) {
    modules <- setdiff(unique(x$class[unfaithful][order(-x$delta[unfaithful])]), "")
    modules <- unique(sub("^.*\\.", "", modules))
    paste0(
      length(unfaithful), " of ", n, " operations get their ordinary gradient although they are ",
      "not linear: the attributions will not add up to the difference in prediction.", amount,
      " To do: `rules = \"operator\"` needs nothing more",
      if (attr(x, "rules") == "module" && length(modules) > 0L) {
        paste0(
          "; in module mode register what keeps its shape and is not linear in `nonlinear_ops` ",
          "(they stand in ", paste(modules, collapse = ", "), ")"
        )
      }, "."
    )
  } else {
    paste0("All ", n, " operations have a rule that keeps summation-to-delta.", amount)
  }
  stepped <- which(x$refused == refused_for_steps)
  if (length(stepped) > 0L) {
    verdict <- c(verdict, paste0(
      length(stepped), " of ", n, " operations read the sequence in steps (", x$op[stepped[1L]],
      if (nzchar(x$module[stepped[1L]])) paste0(" in ", x$module[stepped[1L]]), "): gradients and ",
      "hypothetical attributions of this model would mean nothing and are refused. To do: ",
      "`saturation_mutagenesis()` needs no slopes, `deep_lift_shap(hypothetical = FALSE)` ",
      "explains the letters that are there."
    ))
  }
  missed <- audit_error(x, attr(x, "module_deltas"))
  if (isTRUE(missed > audit_threshold)) {
    worst <- which.max(x$module_delta)
    verdict <- c(verdict, paste0(
      "tangermeme and Captum (`rules = \"module\"`) would leave a delta of ",
      format(signif(max(abs(attr(x, "module_deltas"))), 2L)), ", most of it from ", x$op[worst],
      if (nzchar(x$module[worst])) paste0(" in ", x$module[worst]), "."
    ))
  }
  verdict
}
