# How to make a page again: code that runs as it is printed, and what was explained by which model.

# R code that makes the page again: it reads the inputs from the page (report_inputs.R), and the
# model from its file.
reproducing_code <- function(job, output_file) {
  file <- basename(output_file)
  given <- setdiff(names(job$inputs), c("X", "model_args", "references"))
  arguments <- c(
    list(target = job$target),
    if (is.function(job$references)) list(references = job$references),
    job$settings, list(title = job$title, top = job$top),
    if (isTRUE(job$interactive)) list(interactive = TRUE)
  )
  arguments <- vapply(arguments, value_code, "")
  references <- if (is.array(job$references)) c(references = "inputs$references")
  arguments <- c(
    stats::setNames(paste0("inputs$", given), given), references, arguments
  )
  paste0(
    "library(seqlift)\n",
    "# Run this in the folder of the page, which holds the inputs.\n",
    "inputs <- report_inputs(", encodeString(file, quote = "\""), ")\n",
    model_code(job$model), "\n",
    "attribution_report(model, inputs$X, ",
    encodeString(sub("([.][^.]*)?$", "-again\\1", file), quote = "\""), ",\n  ",
    paste0(names(arguments), " = ", arguments, collapse = ",\n  "), "\n)"
  )
}

# A setting as R code: functions of the package by their names, others as they were written.
value_code <- function(value) {
  if (is.function(value)) {
    exports <- getNamespaceExports("seqlift")
    known <- Filter(function(name) identical(getExportedValue("seqlift", name), value), exports)
    return(if (length(known) > 0L) known[1L] else paste(deparse(value), collapse = "\n  "))
  }
  if (is.list(value)) {
    own <- names(value) %||% rep("", length(value))
    names <- ifelse(nzchar(own), paste0(quoted_names(own), " = "), "")
    return(paste0("list(", paste0(names, vapply(value, value_code, ""), collapse = ", "), ")"))
  }
  if (is.integer(value)) {
    storage.mode(value) <- "double"
  }
  paste(deparse(value, control = c("keepNA", "digits17", "niceNames")), collapse = " ")
}

quoted_names <- function(names) {
  vapply(names, function(name) {
    if (nzchar(name)) deparse(as.name(name), backtick = TRUE) else ""
  }, "", USE.NAMES = FALSE)
}

# The call that puts a wrapper around a model; bins by their numbers, wherever they came from.
wrapper_code <- function(wrapper) {
  if (wrapper$kind != "select_bins") {
    return(paste0(wrapper$kind, "(", wrapper$index, ")"))
  }
  arguments <- list(
    bins = if (length(wrapper$bins) > 0L) wrapper$bins,
    tracks = if (length(wrapper$tracks) > 0L) wrapper$tracks, transform = wrapper$transform,
    index = wrapper$index, order = if (wrapper$tracks_first) "tracks_bins" else "bins_tracks",
    squashing = if (length(wrapper$squashing) > 0L) {
      squashing <- stats::setNames(wrapper$squashing, c("scale", "clip", "power"))
      squashing[squashing > 0]
    },
    pseudocount = if (grepl("^log_", wrapper$transform)) wrapper$pseudocount
  )
  arguments <- Filter(Negate(is.null), arguments)
  values <- vapply(arguments, value_code, "")
  paste0("select_bins(", paste(names(values), "=", values, collapse = ", "), ")")
}

model_code <- function(model) {
  steps <- vapply(model$wrappers, wrapper_code, "")
  args <- model$args
  if (length(args) > 0L) {
    values <- ifelse(lengths(args) > 1L,
      paste0("inputs$model_args$", quoted_names(names(args))),
      vapply(args, value_code, "")
    )
    filled <- paste(quoted_names(names(args)), "=", values, collapse = ", ")
    steps <- c(paste0("with_args(list(", filled, "))"), steps)
  }
  path <- model$path
  comment <- NULL
  if (identical(model$origin$format, "torch.export")) {
    path <- model$origin$path
  } else if (!is.null(model$origin)) {
    # Its file is in this session's temporary folder.
    path <- "model.pt"
    comment <- paste("#", strwrap(paste0(
      "The model was made in R from ", origin_line(model), "; save_model(model, \"model.pt\") ",
      "keeps it."
    ), width = 78L))
    steps <- NULL
  }
  first <- paste0("load_model(", encodeString(path, quote = "\""), conduct_code(model), ")")
  steps <- paste(c(first, steps), collapse = " |>\n  ")
  paste0(c(paste0(comment, "\n", recycle0 = TRUE), "model <- ", steps), collapse = "")
}

# What load_model() was told beside the path; save_model() writes models that take [n, 4, L].
conduct_code <- function(model) {
  told <- list(
    batch = if (isTRUE(model$conduct$joint)) "joint",
    allow_random = if (!is.null(model$conduct$random_state)) TRUE,
    random_state = model$conduct$random_state
  )
  if (is.null(model$origin)) {
    layout <- model$layout %||% own_layout
    tokens <- stats::setNames(layout$tokens, c(base_letters, "N"))
    told$layout <- if (identical(layout$dimensions, "tokens")) tokens[tokens >= 0L] else
      if (!identical(layout, own_layout)) layout$dimensions
  }
  told <- told[lengths(told) > 0L]
  paste0(", ", names(told), " = ", vapply(told, value_code, ""), recycle0 = TRUE, collapse = "")
}

# What was explained, by which model, with what: two columns of words.
report_facts <- function(report) {
  model <- report$model
  info <- attr(report$attributions, "info", exact = TRUE)
  libtorch <- engine$about$version %||% NA
  rows <- c(
    "Model file" = model_name(model),
    "Checksum of the model (md5)" = model$hash,
    "Model class" = paste0(
      model$info$class, ", ", format(model$info$parameters, big.mark = ",", scientific = FALSE),
      " parameters"
    ),
    "Explained output" = paste(c(
      wrapper_calls(model),
      paste("target", report$target)
    ), collapse = ", "),
    "Sequences" = paste0(report$sequences$n, " of ", report$sequences$length, " bp"),
    "Checksum of the sequences (md5)" = checksum_of(report$sequences),
    "Method" = method_line(report$attributions),
    "Numbers" = paste(c(info$dtype, info$device), collapse = ", "),
    "Seed (random_state)" = format(report$settings$random_state, scientific = FALSE),
    "seqlift" = as.character(utils::packageVersion("seqlift")),
    "LibTorch" = libtorch,
    "R" = paste0(R.version$major, ".", R.version$minor, ", ", R.version$platform),
    "Made" = format(Sys.time(), "%Y-%m-%d %H:%M %Z")
  )
  rows <- rows[!is.na(rows) & nzchar(rows)]
  data.frame(What = names(rows), Value = unname(rows))
}

# Of the letters, a sequence a line.
checksum_of <- function(sequences) {
  path <- tempfile()
  on.exit(unlink(path))
  letters <- core_decode(sequence_letters(sequences), paste(base_letters, collapse = ""))
  connection <- file(path, "wb")
  writeLines(letters, connection)
  close(connection)
  unname(tools::md5sum(path))
}

report_steps <- c(
  attributions = "Attributions", predictions = "Predictions", seqlets = "Seqlets",
  audit = "Audit of the operations", marginalization = "Motifs",
  variant_effects = "Effects of variants", variant_logos = "Attributions of variants"
)

time_table <- function(report) {
  seconds <- report$seconds
  pairs <- rep("", length(seconds))
  explained <- names(seconds) == "attributions"
  n_pairs <- sum(!is.na(convergence_deltas(report$attributions)))
  pairs[explained] <- paste0(
    n_pairs, " pairs of a sequence and a reference, ",
    format(round(n_pairs / seconds[explained]), big.mark = ","), " a second"
  )
  data.frame(
    Step = unname(report_steps[names(seconds)]), Seconds = sprintf("%.2f", seconds), What = pairs
  )
}
