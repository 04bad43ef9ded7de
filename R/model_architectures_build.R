# From weights to a published architecture: what the functions of model_architectures.R share.

# `name`: of the function that the user called, and of the engine's architecture.
build_architecture <- function(name, state_dict, options, device, prefix, call) {
  device <- if (is.null(device)) NULL else check_device(device, call = call)
  prefix <- check_string(prefix, "prefix", null = TRUE, call = call) %||% ""
  weights <- weights_of(state_dict, prefix, call)
  from_file <- is.character(weights$path)
  # A file's own `prefix` leads to the weights as the file has them.
  options$prefix <- if (is.character(state_dict)) "" else prefix
  origin <- list(
    format = "PyTorch state dict", path = if (from_file) weights$path else "state_dict"
  )
  built <- NULL
  write <- function(to) {
    result <- ask_engine("build_architecture", name, weights, options, to, call = call)
    if (is_engine_error(result)) {
      raise_architecture_error(result, name, call)
    }
    built <<- result
  }
  model <- converted_model(write, origin, device, call)
  if (nzchar(built$class)) {
    model$origin$format <- paste("whole module of the class", built$class)
  }
  model$origin$trimming <- trimming_line(name, options, built$options)
  inform_of_notes(built$notes, if (from_file) weights$path)
  model
}

# What no weight tells, for print(). `known`: `options` with what a whole module's file tells.
trimming_line <- function(name, options, known) {
  said <- function(field, otherwise) {
    if (options[[field]] >= 0L) {
      paste(options[[field]], "bp, as given")
    } else if (!is.null(known[[field]]) && known[[field]] >= 0L) {
      paste(known[[field]], "bp, as the file says")
    } else {
      otherwise
    }
  }
  layers <- if (isTRUE(known$activation_before)) {
    "by the number of its layers (basepairmodels)"
  } else {
    "by the number of its layers (bpnet-lite)"
  }
  switch(name,
    bpnet = paste("profile", said("trimming", layers)),
    cherimoya = c(
      paste("profile", said("trimming", "by the number of its blocks (Cherimoya)")),
      paste("blocks times", format(known$residual_scale))
    ),
    procapnet = paste("profile", said("trimming", "557 bp (ProCapNet)")),
    chrombpnet = c(
      paste("profile", said("trimming", layers)),
      paste("bias's counts", said("bias_trimming", paste(layers, "1.0.0")))
    )
  )
}

# What was left out of a state dict. `path`: of its file, or NULL.
inform_of_notes <- function(notes, path = NULL) {
  if (length(notes) > 0L) {
    notes <- gsub("}", "}}", gsub("{", "{{", notes, fixed = TRUE), fixed = TRUE)
    place <- if (is.null(path)) "{.arg state_dict}" else "{.path {path}}"
    inform_seqlift("state_dict", c(
      paste0("Of ", place, " not everything is read."),
      stats::setNames(notes, rep("*", length(notes)))
    ))
  }
}

# What the engine reads them from: list(path, prefix), or a named list of arrays.
weights_of <- function(state_dict, prefix, call) {
  if (inherits(state_dict, "seqlift_state_dict")) {
    # Stops where the file has changed since.
    state_dict_values(state_dict, integer(), call)
    return(unclass(state_dict)[c("path", "prefix")])
  }
  if (is.character(state_dict)) {
    path <- file_of_folder(path.expand(check_string(state_dict, "state_dict", call = call)))
    return(list(path = path, prefix = prefix))
  }
  names <- names(state_dict)
  expected <- "a path, a state dict from read_state_dict() or a named list of numeric arrays"
  if (!is.list(state_dict) || is.null(names) || anyNA(names) || any(names == "")) {
    abort_argument("state_dict", expected, describe(state_dict), call = call)
  }
  twice <- names[duplicated(names)]
  if (length(twice) > 0L) {
    abort_seqlift("argument", "{.arg state_dict} has {.val {twice}} more than once.", call = call)
  }
  for (name in names) {
    if (!is.numeric(state_dict[[name]])) {
      abort_argument(paste0("state_dict$", name), "a numeric array", describe(state_dict[[name]]),
        call = call
      )
    }
  }
  lapply(state_dict, unclass)
}

# What does not fit comes in lines: one for each sort.
raise_architecture_error <- function(result, name, call) {
  if (result$error == "state_dict") {
    raise_state_dict_error(result, call)
  }
  if (result$error != "model") {
    raise_engine_error(result, NULL, call)
  }
  lines <- strsplit(result$message, "\n", fixed = TRUE)[[1L]]
  lines <- gsub("}", "}}", gsub("{", "{{", lines, fixed = TRUE), fixed = TRUE)
  names(lines) <- c("", rep("x", length(lines) - 1L))
  abort_seqlift("model", c(lines, i = "See {.help {name}} for the names that are expected."),
    call = call
  )
}
