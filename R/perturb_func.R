# The verbs of perturbation call a function `func(model, X, ...)` before and after they change the
# sequences. It returns an array with a row a sequence, or a list of such arrays (a model with
# several outputs, the raw results of mutagenesis), lists within lists too. Here is how it is
# called, and how the results of several calls become one.

# What the calls have in common: `func`, `model`, the rows of `args` that belong to the sequences,
# and all `more` that was given for `func`. Checked here, so before the first call.
prepare_func <- function(func, model, dots, additional, n, call = caller_env(), BPPARAM = NULL) {
  if (!is.function(func)) {
    abort_argument("func", "a function of a model and sequences", describe(func), call = call)
  }
  if (identical(func, stats::predict)) {
    # The generic has no method for anything else.
    check_model(model, call)
  }
  check_all_named(dots, "...", call)
  if (!is.list(additional)) {
    abort_argument("additional_func_kwargs", "a list", describe(additional), call = call)
  }
  additional <- as.list(additional)
  check_all_named(additional, "additional_func_kwargs", call)
  more <- c(dots, additional)
  check_takes(func, names(more), call)
  twice <- names(more)[duplicated(names(more))]
  if (length(twice) > 0L) {
    abort_argument("additional_func_kwargs",
      "free of what is given beside it", paste0("one with `", twice[1L], "` again"),
      call = call
    )
  }
  args <- check_args_rows(more$args, n, call)
  plan <- list(func = func, model = model, args = args, more = more[names(more) != "args"], n = n)
  plan$BPPARAM <- if (is_parallel(BPPARAM, call)) BPPARAM
  plan
}

# That `func` can be called as it will be: `first` arguments that it is "a function of" by their
# places, the rest by name.
check_takes <- function(func, names, call, first = 2L, of = "a model and sequences") {
  takes <- names(formals(args(func)))
  if (is.null(takes) && !is.function(args(func)) || "..." %in% takes) {
    return()
  }
  if (length(takes) < first) {
    abort_argument("func", paste("a function of", of),
      paste("one of", length(takes), if (length(takes) == 1L) "argument" else "arguments"),
      call = call
    )
  }
  unknown <- names[is.na(pmatch(names, takes[-seq_len(first)]))]
  if (length(unknown) > 0L) {
    abort_argument("func",
      paste0("a function with the argument `", unknown[1L], "`, which is given for it"),
      paste("one of", toString(paste0("`", utils::head(takes, 8L), "`"))),
      call = call
    )
  }
}

check_all_named <- function(x, arg, call) {
  unnamed <- length(x) > 0L && (is.null(names(x)) || any(names(x) == ""))
  if (unnamed || any(names(x) %in% c("model", "X"))) {
    abort_argument(arg, "named arguments of `func` other than `model` and `X`",
      if (unnamed) "arguments without a name" else toString(intersect(names(x), c("model", "X"))),
      call = call
    )
  }
}

check_arg_values <- function(value, label, call) {
  if (!(is.numeric(value) || is.logical(value)) || length(value) == 0L || anyNA(value)) {
    abort_seqlift("args",
      "{.code {label}} must be a numeric array without missing values, not {describe(value)}.",
      call = call
    )
  }
}

arg_label <- function(args, i) {
  name <- names(args)[i]
  if (is.null(name) || name == "") paste0("args[[", i, "]]") else paste0("args$", name)
}

count_rows <- function(value) if (is.null(dim(value))) length(value) else dim(value)[1L]

# The rows of `args` for sequences that are chosen or repeated. What has one row for all sequences
# stays.
args_of_rows <- function(args, rows, n) {
  if (is.null(args)) {
    return(NULL)
  }
  lapply(args, function(value) {
    is_number <- is.null(dim(value)) && length(value) == 1L
    if (is_number || count_rows(value) != n) value else array_rows(value, rows)
  })
}

array_rows <- function(value, rows) {
  value <- unclass(value)
  take_outputs(if (is.null(dim(value))) array(value) else value, 1L, rows)
}

# The part of a plan for sequences that are chosen or repeated: their inputs, their references.
rows_of_plan <- function(plan, rows) {
  plan$args <- args_of_rows(plan$args, rows, plan$n)
  for (name in intersect(c("references", "baseline"), names(plan$more))) {
    plan$more[[name]] <- rows_of_references(plan$more[[name]], rows, plan$n)
  }
  plan$n <- length(rows)
  plan
}

# ---- the same draws before and after -------------------------------------------------

# Two states are compared with the same references, made of the sequences as they were, and with the
# same random numbers: the difference would hold that of two draws otherwise. `sequences` are those
# of the plan. A function that only has an argument `random_state` gets one seed for all calls.
share_draws <- function(plan, sequences, call) {
  if ("random_state" %in% names(formals(args(plan$func)))) {
    plan$more$random_state <- check_random_state(plan$more$random_state, call = call)
  }
  field <- reference_field(plan)
  if (is.null(field)) {
    return(plan)
  }
  more <- plan$more
  n_shuffles <- check_count(more$n_shuffles %||% formals(plan$func)$n_shuffles, "n_shuffles",
    call = call
  )
  allow_n <- !identical(more$rules, "module")
  made <- make_references(more[[field]] %||% dinucleotide_shuffle, sequences, n_shuffles,
    more$random_state, allow_n,
    only_warn = isTRUE(more$only_warn), call = call
  )
  plan$more[[field]] <- if (is.raw(made$references)) {
    structure(made$references, class = "seqlift_reference_codes", seed = made$random_state)
  } else {
    made$references
  }
  plan
}

# The argument of seqlift's own functions that says what they compare with, where that is a function
# that makes it; NULL for all others.
reference_field <- function(plan) {
  same <- function(...) any(vapply(list(...), identical, logical(1L), plan$func))
  method <- plan$more$method
  field <- if (same(deep_lift_shap, pisa)) {
    "references"
  } else if (same(attribute) && is.character(method) && length(method) == 1L) {
    switch(method,
      integrated_gradients = "baseline",
      if (method %in% c("expected_gradients", names(deep_lift_methods))) "references"
    )
  }
  given <- if (!is.null(field)) plan$more[[field]]
  if (is.function(given) || (is.null(given) && identical(field, "references"))) field
}

# References, in any form that has a place for each of the n sequences, of some of them.
rows_of_references <- function(references, rows, n) {
  if (inherits(references, "seqlift_reference_codes")) {
    return(take_reference_codes(references, rows))
  }
  has_rows <- is.array(references) && length(dim(references)) > 2L && dim(references)[1L] == n
  if (has_rows) take_outputs(references, 1L, rows) else references
}

# Shuffles as raw codes [L, n_refs, n], one byte a base, with their seed.
take_reference_codes <- function(references, rows) {
  structure(unclass(references)[, , rows, drop = FALSE],
    class = "seqlift_reference_codes", seed = attr(references, "seed", exact = TRUE)
  )
}

# ---- calls ---------------------------------------------------------------------------

# One call. The arguments go in as names, so that a condition holds a short call and no arrays.
call_func <- function(plan, X, args = plan$args, call = caller_env()) {
  given <- plan$more
  if (!is.null(args)) {
    given <- c(list(args = args), given)
  }
  if (!is.null(plan$BPPARAM)) {
    return(check_rows(call_func_over_sequences(plan, X, given, call), dim(X)[1L], call))
  }
  names <- lapply(names(given), function(name) rlang::call2("$", quote(given), as.name(name)))
  names(names) <- names(given)
  scope <- list(func = plan$func, model = plan$model, X = X, given = given)
  result <- eval(as.call(c(quote(func), quote(model), quote(X), names)), scope, globalenv())
  check_rows(result, dim(X)[1L], call)
}

# Lists of arrays with a row a sequence; a vector of n numbers is an array of one dimension.
check_rows <- function(result, n, call) {
  if (is.list(result) && length(result) > 0L) {
    result[] <- lapply(result, check_rows, n, call)
    return(result)
  }
  if (!(is.numeric(result) || is.logical(result)) || count_rows(result) != n) {
    abort_seqlift("output",
      "{.arg func} must return an array with a row for each of the {n} sequence{?s}, or a list of
       such arrays, not {describe(result)}.",
      call = call
    )
  }
  if (is.null(dim(result))) {
    result <- array(result, n, if (!is.null(names(result))) list(names(result)))
  }
  result
}

# ---- results, lists in lists or one array --------------------------------------------

is_output_list <- function(x) is.list(x)

map_outputs <- function(x, f, ...) {
  if (is_output_list(x)) lapply(x, map_outputs, f, ...) else f(x, ...)
}

# `f` on the list of the arrays that several results have at the same place.
combine_outputs <- function(results, f) {
  first <- results[[1L]]
  if (!is_output_list(first)) {
    return(f(results))
  }
  combined <- lapply(seq_along(first), function(i) {
    combine_outputs(lapply(results, function(one) one[[i]]), f)
  })
  names(combined) <- names(first)
  combined
}

# Results of several calls as one, the calls as a new axis at place `axis`.
stack_results <- function(results, axis = 1L, labels = NULL) {
  combine_outputs(results, function(arrays) stack_arrays(arrays, axis, labels))
}

stack_arrays <- function(arrays, axis, labels) {
  shape <- dim(arrays[[1L]])
  rank <- length(shape)
  names <- dimnames(arrays[[1L]])
  stacked <- array(
    unlist(lapply(arrays, function(one) as.vector(unclass(one)))), c(shape, length(arrays))
  )
  stacked <- aperm(stacked, append(seq_len(rank), rank + 1L, after = axis - 1L))
  if (!is.null(names) || !is.null(labels)) {
    names <- if (is.null(names)) vector("list", rank) else names
    dimnames(stacked) <- append(names, list(labels), after = axis - 1L)
  }
  stacked
}

# [n * k, ...], the sequences running faster, as [n, k, ...].
split_rows <- function(result, n, k) {
  map_outputs(result, function(value) {
    shape <- dim(value)
    labels <- dimnames(value)
    values <- array(as.vector(unclass(value)), c(n, k, shape[-1L]))
    if (!is.null(labels)) {
      dimnames(values) <- c(
        list(labels[[1L]][seq_len(n)]), list(NULL), labels[-1L]
      )
    }
    values
  })
}

# Every array of a result by its place: the only one, or "1", "y0", "y_hat.2".
flatten_outputs <- function(x) {
  if (!is_output_list(x)) {
    return(list(x))
  }
  keys <- if (is.null(names(x))) rep("", length(x)) else names(x)
  keys[keys == ""] <- as.character(seq_along(x))[keys == ""]
  parts <- Map(function(part, key) {
    inner <- flatten_outputs(part)
    names(inner) <- if (is.null(names(inner))) key else paste(key, names(inner), sep = ".")
    inner
  }, unname(x), keys)
  do.call(c, unname(parts))
}
