# Runs the cases of an oracle folder: the calls of its case.json files, translated to
# this package's functions, with their numbers compared at the tolerances given there.
#
# The format is described in the folder's own README.md. A call has one of these states:
#   passed            the numbers (or the error) are those expected
#   failed            they are not
#   N accepted        the peer refuses a column without a base, this package documents
#                     that it takes it as an N
#   could not run     the function, one of its arguments or an operation of the network is
#                     not in this version; the detail says which
# Nothing here looks at the name of a case: a folder with other cases of the same format
# runs the same way.

# Finding and reading ---------------------------------------------------------------

# SEQLIFT_ORACLE names the folder; else `shared/oracle` is looked for beside the
# repository and beside every folder above the working directory. NULL if there is none.
oracle_folder <- function(start = getwd(), variable = "SEQLIFT_ORACLE", name = "oracle") {
  named <- Sys.getenv(variable)
  if (nzchar(named)) {
    if (!file.exists(file.path(named, "index.json"))) {
      stop(variable, " is ", named, ", which has no index.json", call. = FALSE)
    }
    return(normalizePath(named))
  }
  folder <- normalizePath(start)
  repeat {
    candidate <- file.path(folder, "shared", name)
    if (file.exists(file.path(candidate, "index.json"))) {
      return(candidate)
    }
    if (dirname(folder) == folder) {
      return(NULL)
    }
    folder <- dirname(folder)
  }
}

read_oracle_index <- function(folder) {
  jsonlite::read_json(file.path(folder, "index.json"))$cases
}

read_oracle_case <- function(folder, id) {
  case <- jsonlite::read_json(file.path(folder, id, "case.json"))
  arrays <- function(name) {
    path <- file.path(folder, id, name)
    if (file.exists(path)) read_npz(path) else list()
  }
  case$folder <- file.path(folder, id)
  case$inputs <- arrays("inputs.npz")
  case$expected <- arrays("expected.npz")
  case
}

# The functions a user sees.
oracle_api <- function() {
  mget(getNamespaceExports("seqlift"), asNamespace("seqlift"), inherits = TRUE)
}

# Arguments --------------------------------------------------------------------------

find_array <- function(arrays, key) {
  if (is.null(arrays[[key]])) {
    stop("the case has no array named ", key, call. = FALSE)
  }
  arrays[[key]]
}

# A JSON value as R has it: {"input": k} and {"expected": k} become the array, lists of
# numbers or strings become vectors, lists of equally long lists of numbers matrices.
resolve_argument <- function(value, case) {
  if (!is.list(value)) {
    return(value)
  }
  key <- if (length(value) == 1L) names(value) else ""
  if (identical(key, "input")) {
    return(find_array(case$inputs, value$input))
  }
  if (identical(key, "expected")) {
    return(find_array(case$expected, value$expected))
  }
  if (identical(key, "float64")) {
    return(resolve_argument(value$float64, case))
  }
  if (identical(key, "slice")) {
    first <- if (is.null(value$slice[[1L]])) 0 else value$slice[[1L]]
    return(structure(c(first, value$slice[[2L]]), class = "oracle_slice"))
  }
  value <- lapply(value, resolve_argument, case)
  is_scalar <- vapply(value, \(x) is.atomic(x) && length(x) == 1L, logical(1L))
  if (is.null(names(value)) && length(value) > 0L) {
    if (all(is_scalar)) {
      return(unlist(value))
    }
    is_row <- vapply(value, \(x) is.numeric(x) && is.null(dim(x)), logical(1L))
    if (all(is_row) && length(unique(lengths(value))) == 1L) {
      return(do.call(rbind, value))
    }
  }
  value
}

# Positions and outputs count from 0 there and from 1 here; ends are exclusive there and
# inclusive here, so that their number stays the same. A negative end counts from L + 1.
one_based <- function(index) {
  if (inherits(index, "oracle_slice")) {
    return(as.integer(seq.int(index[1L] + 1, length.out = index[2L] - index[1L])))
  }
  if (is.null(index)) NULL else as.integer(index) + 1L
}

inclusive_end <- function(end, X) {
  length_x <- dim(X)[length(dim(X))]
  if (is.null(end)) NULL else if (end < 0) length_x + 1L + as.integer(end) else as.integer(end)
}

# Drops the arguments that the case left out (their defaults are the same here).
given <- function(...) Filter(Negate(is.null), list(...))

without <- function(arguments, names) arguments[setdiff(names(arguments), names)]

# Calling ----------------------------------------------------------------------------

could_not_run <- function(...) {
  stop(structure(
    class = c("oracle_could_not_run", "error", "condition"),
    list(message = paste0(...), call = NULL)
  ))
}

# Calls an exported function by name. The arguments go in as symbols, so that a condition
# holds a short call and not the arrays.
call_api <- function(api, name, arguments) {
  parameters <- names(formals(args(api[[name]])))
  unknown <- setdiff(names(arguments), parameters)
  if (length(unknown) > 0L && !"..." %in% parameters) {
    could_not_run(name, "() takes no argument `", unknown[1L], "` in this version")
  }
  symbols <- lapply(stats::setNames(names(arguments), names(arguments)), as.name)
  scope <- list2env(c(arguments, api[name]), parent = globalenv())
  withCallingHandlers(
    eval(as.call(c(as.name(name), symbols)), scope),
    seqlift_warning = \(w) invokeRestart("muffleWarning")
  )
}

# Translations -----------------------------------------------------------------------
# Each takes the resolved arguments and `context` (api, model, dtype, case, call) and
# returns the results by the names that the cases use, or one result.

run_deep_lift_shap <- function(arguments, context) {
  same <- c(
    "X", "references", "args", "batch_size", "n_shuffles", "return_references",
    "hypothetical", "raw_outputs", "warning_threshold", "only_warn", "random_state"
  )
  unknown <- setdiff(names(arguments), c(same, "target", "registered"))
  if (length(unknown) > 0L) {
    could_not_run("no translation of deep_lift_shap's argument `", unknown[1L], "`")
  }
  registered <- arguments$registered
  translated <- c(
    list(model = context$model),
    arguments[intersect(names(arguments), same)],
    given(
      target = one_based(arguments$target),
      nonlinear_ops = if (!is.null(registered)) {
        stats::setNames(rep("rescale", length(registered)), registered)
      },
      dtype = context$dtype
    ),
    rules = if (identical(context$case$kind, "property")) "operator" else "module"
  )
  result <- call_api(context$api, "deep_lift_shap", translated)
  results <- list(
    attributions = result, hypothetical = result, multipliers = result,
    deltas = context$api$convergence_deltas(result)
  )
  if (isTRUE(arguments$return_references)) {
    results$references <- context$api$references(result)
  }
  results
}

# Captum averages multipliers * (X - reference) itself; hypothetical scores are those of
# the projection onto every base.
run_captum <- function(arguments, context) {
  what <- arguments$what
  if (!what %in% c("attributions", "hypothetical", "deltas")) {
    could_not_run("no translation of what = \"", what, "\"")
  }
  raw <- c(without(arguments, "what"), raw_outputs = TRUE)
  results <- run_deep_lift_shap(raw, context)
  multipliers <- as_numbers(results$multipliers)
  references <- arguments$references
  X <- repeat_for_references(arguments$X, dim(references)[2L])
  switch(what,
    attributions = mean_over_references(multipliers * (X - references)),
    hypothetical = call_api(context$api, "hypothetical_attributions", list(
      multipliers = multipliers, X = arguments$X, references = references
    )) |> as_numbers() |> mean_over_references(),
    deltas = results$deltas
  )
}

# Every output of a profile; the peer's rules are those of the module classes.
run_pisa <- function(arguments, context) {
  same <- c(
    "X", "references", "args", "batch_size", "n_shuffles", "hypothetical", "raw_outputs",
    "warning_threshold", "random_state"
  )
  unknown <- setdiff(names(arguments), same)
  if (length(unknown) > 0L) {
    could_not_run("no translation of pisa's argument `", unknown[1L], "`")
  }
  call_api(context$api, "pisa", c(
    list(model = context$model, dtype = context$dtype, rules = "module"), arguments
  ))
}

deeplift_methods <- c(
  Rescale = "deep_lift_rescale", RevealCancel = "deep_lift_reveal_cancel",
  DeepLIFT_GenomicsDefault = "deep_lift_genomics", Gradient = "saliency",
  GuidedBackprop = "guided_backprop", DeconvNet = "deconvnet"
)

# The package returns multipliers or contributions of every pair. Those of the gradient methods are
# the same for all references.
run_deeplift <- function(arguments, context) {
  if (!arguments$rule %in% names(deeplift_methods)) {
    could_not_run("no translation of the rule ", arguments$rule)
  }
  method <- deeplift_methods[[arguments$rule]]
  contributions <- identical(arguments$what, "contributions")
  common <- list(
    model = context$model, X = arguments$X, method = method,
    target = one_based(arguments$target), dtype = context$dtype
  )
  if (startsWith(method, "deep_lift_")) {
    return(call_api(context$api, "attribute", c(common, list(
      references = arguments$references, only_warn = TRUE,
      what = if (contributions) "contributions" else "multipliers"
    ))))
  }
  gradient <- as_numbers(call_api(context$api, "attribute", common))
  multipliers <- repeat_for_references(gradient, dim(arguments$references)[2L])
  if (!contributions) {
    return(multipliers)
  }
  X <- repeat_for_references(arguments$X, dim(arguments$references)[2L])
  multipliers * (X - arguments$references)
}

repeat_for_references <- function(X, n_references) {
  aperm(array(X, c(dim(X), n_references)), c(1L, 4L, 2L, 3L))
}

mean_over_references <- function(x) colMeans(aperm(x, c(2L, 1L, 3L, 4L)))

run_one_hot_encode <- function(arguments, context) {
  translated <- c(list(x = arguments$sequence), without(arguments, "sequence"))
  drop_sequence_axis(call_api(context$api, "one_hot_encode", translated))
}

# The peer's `allow_N = True` is how decode_one_hot() works without `force`.
run_characters <- function(arguments, context) {
  pwm <- arguments$pwm
  X <- if (length(dim(pwm)) == 2L) array(pwm, c(1L, dim(pwm))) else pwm
  translated <- c(list(X = X), without(arguments, c("pwm", "allow_N")))
  unname(call_api(context$api, "decode_one_hot", translated))
}

drop_sequence_axis <- function(x) array(as.vector(x), dim(x)[-1L])

same_arguments <- function(to) renamed_arguments(to, character())

# `names`: the peer's name of an argument -> ours.
renamed_arguments <- function(to, names) {
  force(to)
  force(names)
  function(arguments, context) {
    known <- names(arguments) %in% names(names)
    names(arguments)[known] <- names[names(arguments)[known]]
    call_api(context$api, to, arguments)
  }
}

# {"generator": g, "seed": s, "draw": k} is one stream that several calls of the case go
# on with: the calls before the k-th are made again, so that each call stands alone.
share_generator <- function(arguments, context) {
  state <- arguments$random_state
  if (!is.list(state)) {
    return(arguments)
  }
  if (is.null(context$api$random_generator)) {
    could_not_run("random_generator is not in this version")
  }
  generator <- context$api$random_generator(state$seed)
  is_earlier <- function(call) {
    other <- call$arguments$random_state
    is.list(other) && identical(other$generator, state$generator) && other$draw < state$draw
  }
  earlier <- Filter(is_earlier, context$case$calls)
  draws <- vapply(earlier, \(call) call$arguments$random_state$draw, integer(1L))
  for (call in earlier[order(draws)]) {
    before <- lapply(call$arguments, resolve_argument, context$case)
    before$random_state <- generator
    find_translation(function_of(call, context$case), context$api)$run(before, context)
  }
  arguments$random_state <- generator
  arguments
}

# For functions of a region or a position. `sequence`, the letters of X, is there for the
# reader only.
region_call <- function(to) {
  force(to)
  function(arguments, context) {
    translated <- c(without(arguments, c("start", "end", "sequence")), given(
      start = one_based(arguments$start), end = inclusive_end(arguments$end, arguments$X)
    ))
    call_api(context$api, to, translated)
  }
}

# Captum's names of methods -> ours.
gradient_methods <- c(
  saliency = "saliency", input_x_gradient = "gradient_x_input",
  integrated_gradients = "integrated_gradients", guided_backprop = "guided_backprop",
  deconvolution = "deconvnet"
)

run_gradients_case <- function(arguments, context) {
  if (!arguments$method %in% names(gradient_methods)) {
    could_not_run("no translation of method = \"", arguments$method, "\"")
  }
  translated <- c(
    list(model = context$model, method = gradient_methods[[arguments$method]]),
    without(arguments, c("method", "target")),
    list(target = one_based(arguments$target), dtype = context$dtype)
  )
  result <- call_api(context$api, "attribute", translated)
  list(attributions = result, delta = as.vector(context$api$convergence_deltas(result)))
}

# Every output there, as the second dimension; here the last.
run_gradient_transformations <- function(arguments, context) {
  translated <- c(
    list(model = context$model), arguments, list(target = NULL, dtype = context$dtype)
  )
  aperm(as_numbers(call_api(context$api, "taylor_ism", translated)), c(1L, 4L, 2L, 3L))
}

# Perturbation: `func` is named, its arguments stand beside those of the verb or in
# `additional_func_kwargs`. They are translated as for a call of their own.
oracle_functions <- c(
  predict = "predict", deep_lift_shap = "deep_lift_shap",
  saturation_mutagenesis = "saturation_mutagenesis"
)

# `own`: names of the verb's arguments, which may have the names of arguments of `func` too.
func_arguments <- function(arguments, context, own) {
  name <- if (is.null(arguments$func)) "predict" else arguments$func$`function`
  if (!name %in% names(oracle_functions)) {
    could_not_run("no translation of func = ", name)
  }
  func <- if (name == "predict") stats::predict else context$api[[oracle_functions[[name]]]]
  if (is.null(func)) {
    could_not_run(name, " is not in this version")
  }
  beside <- without(arguments, c(own, "func", "additional_func_kwargs"))
  additional <- arguments$additional_func_kwargs
  translate <- function(more) {
    more$target <- one_based(more$target)
    more$start <- one_based(more$start)
    if (!is.null(more$end)) {
      more$end <- inclusive_end(more$end, arguments$X)
    }
    more
  }
  c(
    list(func = func, dtype = context$dtype), translate(beside),
    if (name == "deep_lift_shap") list(rules = "module"),
    if (!is.null(additional)) list(additional_func_kwargs = translate(additional))
  )
}

# The outputs of a result by the names of a case: "y_before", or "y_before.0" of several.
name_perturbation <- function(result, names) {
  numbered <- function(part, name) {
    if (!is.list(part)) {
      return(stats::setNames(list(part), name))
    }
    stats::setNames(part, paste0(name, ".", seq_along(part) - 1L))
  }
  c(numbered(result$before, names[1L]), numbered(result$after, names[2L]))
}

# `rename`: the verb's arguments as they are called here, by how they are called there.
# `convert`: functions of (value, arguments) for those whose values differ.
perturbation_call <- function(to, rename, convert = list(), defaults = list(),
                              names = c("y_before", "y_after")) {
  force(to)
  force(rename)
  force(convert)
  force(defaults)
  force(names)
  function(arguments, context) {
    own <- intersect(names(arguments), names(rename))
    translated <- arguments[own]
    for (name in intersect(own, names(convert))) {
      translated[[name]] <- convert[[name]](translated[[name]], arguments, context)
    }
    names(translated) <- rename[own]
    added <- without(lapply(defaults, function(get) get(context)), names(translated))
    translated <- c(translated, added)
    result <- call_api(context$api, to, c(
      list(model = context$model), translated, func_arguments(arguments, context, own)
    ))
    name_perturbation(result, names)
  }
}

keep_names <- function(...) stats::setNames(c(...), c(...))

start_from_one <- function(value, arguments, context) one_based(value)

end_inclusive <- function(value, arguments, context) inclusive_end(value, arguments$X)

regions_from_one <- function(value, arguments, context) {
  data.frame(example = value[, 1L] + 1L, start = value[, 2L] + 1L, end = value[, 3L])
}

variants_from_one <- function(value, arguments, context) {
  table <- data.frame(example = value[, 1L] + 1L, position = value[, 2L] + 1L)
  if (ncol(value) == 3L) {
    table$alt <- c("A", "C", "G", "T")[value[, 3L] + 1L]
  }
  table
}

named_shuffle <- function(value, arguments, context) context$api[[value$`function`]]

# The shuffle of the peer's `ablate` where none is named.
peer_shuffle <- list(shuffle = function(context) context$api$shuffle_region)

# Rows of arrangements, as the case has them: a row of one gap would be taken for a number. A list
# of numbers is an array of one axis there, and not the vector that is taken here.
spacings_as_given <- function(value, arguments, context) {
  rows <- context$call$arguments$spacing
  if (all(vapply(rows, is.list, logical(1L)))) {
    return(do.call(rbind, lapply(rows, unlist)))
  }
  array(value, length(value))
}

run_mutagenesis <- function(arguments, context) {
  translated <- c(without(arguments, c("start", "end", "target")), given(
    start = one_based(arguments$start), end = inclusive_end(arguments$end, arguments$X),
    target = one_based(arguments$target), dtype = context$dtype
  ))
  translated <- c(list(model = context$model), translated)
  result <- call_api(context$api, "saturation_mutagenesis", translated)
  if (isTRUE(arguments$raw_outputs)) result else list(attributions = result)
}

product_call <- function(to) {
  force(to)
  function(arguments, context) {
    own <- c("X", "args")
    result <- call_api(context$api, to, c(
      list(model = context$model), arguments[own], func_arguments(arguments, context, own)
    ))
    if (!is.list(result)) {
      return(list(y = result))
    }
    stats::setNames(result, paste0("y.", seq_along(result) - 1L))
  }
}

# A table of seqlets with the peer's columns: positions from 0, ends exclusive.
run_seqlets <- function(to, more = list()) {
  names <- c(X = "attributions", min_seqlet_len = "min_len", max_seqlet_len = "max_len")
  force(to)
  function(arguments, context) {
    seqlets <- renamed_arguments(to, names)(c(arguments, more), context)
    list(
      example_idx = seqlets$example - 1, start = seqlets$start - 1, end = seqlets$end,
      attribution = seqlets$attribution, "p-value" = seqlets$p_value
    )
  }
}

# Function of a case -> function of this package, and how to call it. Without a `run`
# the call is counted as one that could not run, with the reason.
translation <- function(to, run = NULL) list(to = to, run = run)

oracle_translations <- list(
  deep_lift_shap = translation("deep_lift_shap", run_deep_lift_shap),
  captum.DeepLiftShap = translation("deep_lift_shap", run_captum),
  one_hot_encode = translation("one_hot_encode", run_one_hot_encode),
  characters = translation("decode_one_hot", run_characters),
  random_one_hot = translation("random_one_hot", same_arguments("random_one_hot")),
  shuffle = translation("shuffle_region", region_call("shuffle_region")),
  dinucleotide_shuffle = translation("dinucleotide_shuffle", region_call("dinucleotide_shuffle")),
  substitute = translation("substitute_motif", region_call("substitute_motif")),
  multisubstitute = translation("substitute_motifs", region_call("substitute_motifs")),
  insert = translation("insert_motif", region_call("insert_motif")),
  delete = translation("delete_region", region_call("delete_region")),
  randomize = translation("randomize_region", region_call("randomize_region")),
  reverse_complement = translation(
    "reverse_complement", renamed_arguments("reverse_complement", c(seq = "X"))
  ),
  pwm_consensus = translation("pwm_consensus", same_arguments("pwm_consensus")),
  gc_content = translation("gc_content", same_arguments("gc_content")),
  chunk = translation("chunk_sequences", same_arguments("chunk_sequences")),
  unchunk = translation("unchunk_sequences", same_arguments("unchunk_sequences")),
  saturation_mutagenesis = translation("saturation_mutagenesis", run_mutagenesis),
  marginalize = translation("marginalize", perturbation_call(
    "marginalize", keep_names("X", "motif", "start"), list(start = start_from_one)
  )),
  marginalize_annotations = translation("marginalize_annotations", perturbation_call(
    "marginalize_annotations", keep_names("X", "X0", "annotations", "start"),
    list(annotations = regions_from_one, start = start_from_one),
    names = c("y_befores", "y_afters")
  )),
  ablate = translation("ablate", perturbation_call(
    "ablate", c(keep_names("X", "start", "end", "n", "random_state"), shuffle_fn = "shuffle"),
    list(start = start_from_one, end = end_inclusive, shuffle_fn = named_shuffle), peer_shuffle
  )),
  ablate_annotations = translation("ablate_annotations", perturbation_call(
    "ablate_annotations",
    c(keep_names("X", "annotations", "n", "random_state"), shuffle_fn = "shuffle"),
    list(annotations = regions_from_one, shuffle_fn = named_shuffle), peer_shuffle,
    names = c("y_befores", "y_afters")
  )),
  space = translation("space_motifs", perturbation_call(
    "space_motifs", c(keep_names("X", "motifs", "start"), spacing = "spacings"),
    list(start = start_from_one, spacing = spacings_as_given), names = c("y_before", "y_afters")
  )),
  substitution_effect = translation("substitution_effect", perturbation_call(
    "substitution_effect", keep_names("X", "substitutions"),
    list(substitutions = variants_from_one)
  )),
  deletion_effect = translation("deletion_effect", perturbation_call(
    "deletion_effect", keep_names("X", "deletions", "left"), list(deletions = variants_from_one)
  )),
  insertion_effect = translation("insertion_effect", perturbation_call(
    "insertion_effect", keep_names("X", "insertions", "left"), list(insertions = variants_from_one)
  )),
  pisa = translation("pisa", run_pisa),
  recursive_seqlets = translation(
    "recursive_seqlets", run_seqlets("recursive_seqlets", list(compatible = TRUE))
  ),
  tfmodisco_seqlets = translation("tfmodisco_seqlets", run_seqlets("tfmodisco_seqlets")),
  apply_pairwise = translation("apply_pairwise", product_call("apply_pairwise")),
  apply_product = translation("apply_product", product_call("apply_product")),
  gradients = translation("attribute", run_gradients_case),
  gradient_transformations = translation("taylor_ism", run_gradient_transformations),
  deeplift = translation("attribute", run_deeplift)
)

function_of <- function(call, case) {
  if (is.null(call$`function`)) case$`function` else call$`function`
}

find_translation <- function(name, api) {
  found <- oracle_translations[[name]]
  if (is.null(found)) {
    could_not_run("no translation of the function ", name)
  }
  if (!is.function(api[[found$to]])) {
    could_not_run(found$to, " is not in this version")
  }
  if (is.null(found$run)) {
    could_not_run("no translation of calls to ", found$to)
  }
  found
}

# Comparing --------------------------------------------------------------------------

as_numbers <- function(x) {
  x <- unclass(x)
  shape <- if (is.null(dim(x))) length(x) else dim(x)
  array(as.numeric(x), shape)
}

show_shape <- function(shape) paste0("(", paste(shape, collapse = ", "), ")")

# NULL where every number is within atol + rtol * |expected|, else what is wrong.
# A NaN is never within.
compare_numbers <- function(result, expected, atol, rtol) {
  if (!is.numeric(result) && !is.logical(result)) {
    return(paste("the result is not numeric but a", class(result)[1L]))
  }
  result <- as_numbers(result)
  expected <- as_numbers(expected)
  if (!identical(dim(result), dim(expected))) {
    return(paste("shape", show_shape(dim(result)), "where", show_shape(dim(expected)), "belongs"))
  }
  difference <- abs(result - expected)
  allowed <- atol + rtol * abs(expected)
  outside <- is.na(difference) | difference > allowed
  if (!any(outside)) {
    return(NULL)
  }
  excess <- difference - allowed
  worst <- if (anyNA(excess)) which(is.na(excess))[1L] else which.max(excess)
  sprintf(
    "%d of %d numbers differ, most by %.3g where %.3g is allowed",
    sum(outside), length(outside), difference[worst], allowed[worst]
  )
}

# Tables are compared as sets of rows: the peer's order is not defined where p-values tie.
# A column without a tolerance is exact.
compare_table <- function(columns, call, case) {
  expected <- find_array(case$expected, call$expected)
  result <- do.call(cbind, columns[unlist(call$columns)])
  if (!identical(dim(result), dim(expected))) {
    return(paste(
      "shape", show_shape(dim(result)), "where", show_shape(dim(expected)), "belongs"
    ))
  }
  in_order <- function(table) {
    table[do.call(order, lapply(seq_len(ncol(table)), \(j) table[, j])), , drop = FALSE]
  }
  result <- in_order(result)
  expected <- in_order(expected)
  problems <- Map(function(column, j) {
    tolerance <- function(field) {
      if (is.null(call[[field]][[column]])) 0 else call[[field]][[column]]
    }
    problem <- compare_numbers(result[, j], expected[, j], tolerance("atol"), tolerance("rtol"))
    if (!is.null(problem)) paste0(column, ": ", problem)
  }, unlist(call$columns), seq_along(call$columns))
  problems <- unlist(problems)
  if (length(problems) > 0L) paste(problems, collapse = "; ")
}

# `expected` is one key, a list of keys in order, or keys by the name of the result.
compare_results <- function(results, call, case) {
  if (!is.null(call$expected_value)) {
    same <- identical(as.character(results), as.character(unlist(call$expected_value)))
    return(if (!same) paste("got", toString(results), "for", toString(call$expected_value)))
  }
  if (!is.null(call$columns)) {
    return(compare_table(results, call, case))
  }
  keys <- call$expected
  tolerance <- function(field, name) {
    value <- if (is.list(call[[field]])) call[[field]][[name]] else call[[field]]
    if (is.null(value)) {
      stop("the call has no ", field, " for ", name, call. = FALSE)
    }
    value
  }
  if (length(keys) == 1L && is.null(names(keys))) {
    result <- if (is.list(results)) results[[1L]] else results
    return(compare_numbers(
      result, find_array(case$expected, keys[[1L]]), tolerance("atol", 1L), tolerance("rtol", 1L)
    ))
  }
  names_or_places <- if (is.null(names(keys))) seq_along(keys) else names(keys)
  problems <- Map(function(key, name) {
    if (is.character(name) && !name %in% names(results)) {
      return(paste0("no result is named ", name))
    }
    problem <- compare_numbers(
      results[[name]], find_array(case$expected, key),
      tolerance("atol", name), tolerance("rtol", name)
    )
    if (!is.null(problem)) paste0(name, ": ", problem)
  }, keys, names_or_places)
  problems <- unlist(problems)
  if (length(problems) > 0L) paste(problems, collapse = "; ")
}

# sum((X - reference) * multipliers) = f(X) - f(reference) for every pair, within a
# tolerance that grows with the change of the output; and convergence_deltas() says so.
check_summation <- function(results, arguments, call, case) {
  property <- case$property
  if (!identical(call$property, "summation_to_delta") ||
    !property$scaled_by %in% c("max(1, |f_X - f_references|)")) {
    could_not_run("no check of the property ", call$property, " scaled by ", property$scaled_by)
  }
  multipliers <- as_numbers(results$multipliers)
  references <- arguments$references
  if (!identical(dim(multipliers), dim(references))) {
    return(paste(
      "shape", show_shape(dim(multipliers)), "where", show_shape(dim(references)), "belongs"
    ))
  }
  X <- repeat_for_references(arguments$X, dim(references)[2L])
  sums <- rowSums((X - references) * multipliers, dims = 2L)
  column <- call$column + 1L
  f_X <- find_array(case$expected, call$expected$f_X)[, column]
  f_references <- find_array(case$expected, call$expected$f_references)
  change <- f_X - array(f_references[, , column], dim(f_references)[1:2])
  scale <- pmax(1, abs(change))
  problems <- c(
    sums = compare_numbers((sums - change) / scale, 0 * change, property$tolerance, 0),
    convergence_deltas = compare_numbers(
      as_numbers(results$deltas) / scale, 0 * change, property$tolerance, 0
    )
  )
  if (length(problems) > 0L) paste0(names(problems), ": ", problems, collapse = "; ")
}

# Running ----------------------------------------------------------------------------

# The network files of a call: one run for each, "" where the call needs no network.
model_files <- function(call, case) {
  if (is.null(call$model)) {
    return(c(none = ""))
  }
  files <- Filter(\(entry) is.list(entry) && !is.null(entry$file), case$models[[call$model]])
  if (length(files) == 0L) {
    stop("the case has no files of the network ", call$model, call. = FALSE)
  }
  vapply(files, \(entry) {
    other <- if (identical(call$dtype, "float64")) entry$float64_file
    if (is.null(other)) entry$file else other
  }, character(1L))
}

# Whether a one-hot array has columns without a base and nothing else that is unusual.
has_only_n_columns <- function(x) {
  if (!is.numeric(x) || length(dim(x)) < 2L || !all(x %in% c(0, 1))) {
    return(FALSE)
  }
  rank <- length(dim(x))
  sums <- colSums(aperm(x, c(rank - 1L, seq_len(rank)[-(rank - 1L)])))
  all(sums <= 1) && any(sums == 0)
}

has_class_prefix <- function(condition, prefix) any(startsWith(class(condition), prefix))

outcome <- function(state, detail = "") list(state = state, detail = detail)

one_line <- function(condition) {
  text <- gsub("[[:space:]]+", " ", cli::ansi_strip(conditionMessage(condition)))
  substr(text, 1L, 300L)
}

describe_error <- function(condition) {
  paste0("error <", class(condition)[1L], ">: ", one_line(condition))
}

# An expected error is one of the package's own that speaks of the input.
judge_error <- function(result, arguments) {
  if (!inherits(result, "error")) {
    is_defined <- !anyNA(unlist(result))
    if (is_defined && any(vapply(arguments, has_only_n_columns, logical(1L)))) {
      return(outcome("N accepted", "columns without a base are taken as N"))
    }
    return(outcome("failed", "no error was raised"))
  }
  ours <- inherits(result, "seqlift_error") &&
    !has_class_prefix(result, "seqlift_error_unsupported") &&
    !inherits(result, "seqlift_error_internal")
  if (ours) {
    return(outcome("passed"))
  }
  outcome("failed", describe_error(result))
}

# `load` is called outside of the tryCatch: a network that cannot be loaded is no
# expected error.
run_call_on_model <- function(call, case, api, load, file) {
  found <- find_translation(function_of(call, case), api)
  model <- if (nzchar(file)) load(file)
  context <- list(api = api, model = model, dtype = call$dtype, case = case, call = call)
  arguments <- lapply(call$arguments, resolve_argument, case)
  arguments <- share_generator(arguments, context)
  result <- tryCatch(found$run(arguments, context), error = identity)
  if (inherits(result, "oracle_could_not_run")) {
    return(outcome("could not run", conditionMessage(result)))
  }
  if (!is.null(call$error)) {
    return(judge_error(result, arguments))
  }
  if (inherits(result, "error")) {
    # A refusal is honest where the sum must hold; where peers give numbers it is a failure.
    refused <- has_class_prefix(result, "seqlift_error_unsupported")
    if (refused && identical(case$kind, "property")) {
      return(outcome("could not run", one_line(result)))
    }
    return(outcome("failed", describe_error(result)))
  }
  problem <- if (is.null(call$property)) {
    compare_results(result, call, case)
  } else {
    check_summation(result, arguments, call, case)
  }
  if (is.null(problem)) outcome("passed") else outcome("failed", problem)
}

# The worst of the runs on the files of a network is what the call is worth.
call_states <- c("failed", "could not run", "N accepted", "passed")

run_oracle_call <- function(call, case, api, load) {
  run <- function(kind, file) {
    result <- tryCatch(
      run_call_on_model(call, case, api, load, file),
      oracle_could_not_run = \(e) outcome("could not run", conditionMessage(e)),
      error = \(e) outcome("failed", describe_error(e))
    )
    if (nzchar(file) && result$state == "failed") {
      result$detail <- paste0("[", kind, "] ", result$detail)
    }
    result
  }
  files <- model_files(call, case)
  results <- Map(run, names(files), files)
  states <- vapply(results, \(r) r$state, character(1L))
  state <- call_states[min(match(states, call_states))]
  details <- vapply(results[states == state], \(r) r$detail, character(1L))
  data.frame(
    case = case$id, group = case$group, call = call$name,
    required = is.null(call$status), state = state,
    detail = paste(unique(details), collapse = " | "), row.names = NULL
  )
}

# One row per call. A network's file is loaded at its first use and dropped with the case.
run_oracle_case <- function(case, api = oracle_api()) {
  loaded <- new.env()
  load <- function(file) {
    if (is.null(api$load_model)) {
      could_not_run("load_model is not in this version")
    }
    if (is.null(loaded[[file]])) {
      loaded[[file]] <- api$load_model(file.path(case$folder, file), device = "cpu")
    }
    loaded[[file]]
  }
  rows <- lapply(case$calls, run_oracle_call, case, api, load)
  do.call(rbind, rows)
}

# Reporting --------------------------------------------------------------------------

oracle_failures <- function(rows) {
  failed <- rows[rows$required & rows$state == "failed", ]
  sprintf("%s: %s", failed$call, failed$detail)
}

count_reasons <- function(rows, prefix) {
  counts <- table(sprintf("%s: %s", rows$group, rows$detail))
  sprintf("%s, %d calls: %s", prefix, as.integer(counts), names(counts))
}

print_wide <- function(table) {
  old <- options(width = 200L)
  on.exit(options(old))
  utils::capture.output(print(table, row.names = FALSE))
}

# The table by group, and under it every call that did not simply pass, with the reason.
oracle_report <- function(rows) {
  groups <- unique(rows$group)
  count <- function(required, state) {
    chosen <- rows$required == required & rows$state == state
    vapply(groups, \(group) sum(chosen & rows$group == group), integer(1L))
  }
  any_state <- function(state) count(TRUE, state) + count(FALSE, state)
  table <- data.frame(
    group = groups,
    calls = vapply(groups, \(group) sum(rows$group == group), integer(1L)),
    passed = count(TRUE, "passed"), failed = count(TRUE, "failed"),
    "N accepted" = count(TRUE, "N accepted"), "could not run" = any_state("could not run"),
    "optional same" = count(FALSE, "passed"),
    "optional differs" = count(FALSE, "failed") + count(FALSE, "N accepted"),
    check.names = FALSE
  )
  total <- as.data.frame(as.list(colSums(table[-1L])), check.names = FALSE)
  table <- rbind(table, cbind(group = "all", total))
  pick <- function(required, state) {
    rows[rows$required %in% required & rows$state %in% state, ]
  }
  listed <- function(chosen) sprintf("%s %s: %s", chosen$case, chosen$call, chosen$detail)
  list(
    table = table,
    lines = c(
      "Oracle calls by group (optional: calls whose numbers are not required)",
      print_wide(table),
      count_reasons(pick(c(TRUE, FALSE), "could not run"), "could not run yet"),
      count_reasons(pick(TRUE, "N accepted"), "N accepted"),
      sprintf("failed: %s", listed(pick(TRUE, "failed"))),
      sprintf("optional, differs: %s", listed(pick(FALSE, c("failed", "N accepted"))))
    )
  )
}
