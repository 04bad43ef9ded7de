# Checks of inputs that mean the same to verbs of several kinds: sequences' regions, targets,
# results, references, a model's other inputs, and where it computes. Plain arguments are checked in
# check_arguments.R.

# First and last position of a region, as integers.
check_region <- function(start, end, length, call = caller_env()) {
  start <- check_count(start, "start", max = length, call = call)
  end <- if (is.null(end)) length else end
  c(start, check_count(end, "end", min = start, max = length, call = call))
}

# Where a motif of `size` positions starts, counted from 1.
check_motif_start <- function(start, size, length, call = caller_env()) {
  if (size > length) {
    abort_seqlift("argument",
      c("The motif must fit into the sequence.",
        x = "It takes {size} position{?s} and the sequence has {length}."
      ),
      call = call
    )
  }
  if (is.null(start)) {
    return(as.integer(length %/% 2 - size %/% 2 + 1))
  }
  check_count(start, "start", max = length - size + 1, call = call)
}

check_targets <- function(target, call = caller_env()) {
  whole <- is.numeric(target) && length(target) >= 1L && all(is.finite(target)) &&
    all(target == trunc(target)) && all(target >= 1)
  if (!whole) {
    abort_argument("target", "one or several whole numbers of at least 1", describe(target),
      hint = count_hint(target, "target"), call = call
    )
  }
  as.integer(target)
}

# Targets are entries of the first dimension behind the sequences; a model that gives one number a
# sequence has one.
check_targets_exist <- function(target, y, call) {
  available <- if (length(dim(y)) > 1L) dim(y)[2L] else 1L
  if (any(target > available)) {
    abort_seqlift("target",
      "{.arg target} is {max(target)}, but the model's output has {available}
       entr{?y/ies} per sequence.",
      call = call
    )
  }
}

# `otherwise`: what else can be done, the end of a sentence.
check_one_output <- function(model, call, otherwise = "") {
  if (count_outputs(model) > 1L) {
    hint <- paste0("Choose one with {.fn select_output}", otherwise, ".")
    abort_seqlift("output",
      c("The model has {count_outputs(model)} outputs, which have no common score.", i = hint),
      call = call
    )
  }
}

# What has something to write: `x[i, , ]` may have chosen none.
check_some_sequences <- function(x, arg = "attributions", call = caller_env()) {
  check_attributions(x, arg, call)
  if (dim(x)[1L] == 0L) {
    abort_argument(arg, "of at least one sequence", "a result without any", call = call)
  }
  x
}

check_one_target <- function(attributions, arg, call = caller_env()) {
  check_not_multipliers(attributions, arg, call)
  if (has_targets(attributions)) {
    abort_argument(arg, "the attributions of one target",
      paste("of", dim(attributions)[4L], "targets"),
      hint = "Choose one, for example {.code attributions[, , , 1]}.", call = call
    )
  }
  attributions
}

check_not_multipliers <- function(x, arg, call = caller_env()) {
  if (attr(x, "kind", exact = TRUE) == "multipliers") {
    abort_argument(arg, "attributions", "multipliers (the result of `raw_outputs = TRUE`)",
      hint = "Project them first: see {.fn hypothetical_attributions}.", call = call
    )
  }
  x
}

# The model's other inputs, each with a row per sequence, one row, or a single number.
check_args_rows <- function(args, n, call) {
  if (is.null(args)) {
    return(NULL)
  }
  if (!is.list(args)) {
    args <- list(args)
  }
  for (i in seq_along(args)) {
    check_arg_values(args[[i]], arg_label(args, i), call)
    rows <- count_rows(args[[i]])
    if (!rows %in% c(1L, n)) {
      abort_seqlift("args",
        "The first dimension of {.code {arg_label(args, i)}} must be {n}, the number of sequences,
         or 1, not {rows}.",
        call = call
      )
    }
  }
  args
}

check_device <- function(device, call = caller_env()) {
  load_engine(call)
  check_string(device, "device", null = TRUE, call = call)
  if (is.null(device)) {
    return(if (engine$about$cuda) "cuda" else "cpu")
  }
  if (!grepl("^(cpu|cuda(:(0|[1-9][0-9]*))?)$", device)) {
    abort_argument("device", "\"cpu\", \"cuda\", \"cuda:1\" or NULL", describe(device), call = call)
  }
  number <- suppressWarnings(as.numeric(sub("^cuda:?", "", device)))
  missing <- if (is.na(number)) 0L else number
  if (device != "cpu" && missing >= engine$about$devices) {
    abort_seqlift("device",
      c("{.arg device} is {.val {device}}, but this LibTorch sees {engine$about$devices} CUDA
         device{?s}.",
        i = "Use {.code device = \"cpu\"}."
      ),
      call = call
    )
  }
  device
}

check_dtype <- function(dtype, call = caller_env()) {
  choice <- check_choice(dtype, c("float32", "float64", "bfloat16"), "dtype",
    null = TRUE, call = call
  )
  if (is.null(choice)) "native" else choice
}
