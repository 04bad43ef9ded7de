# deep_lift_shap(output = ): attributions chunk by chunk into an HDF5 file.
#
# A process can be killed at any moment. An HDF5 file that is open for writing then may be lost as a
# whole, so each chunk is written as a file of its own (R's, in the folder `output`.parts) under
# another name first, closed and renamed: a chunk is done when its file has its name. The HDF5 file
# is put together when all are there, in that folder too, and renamed to `output` when it is whole;
# the folder goes last. Every step can be done again without harm, and a worker on another machine
# does a chunk by itself, so that no result passes through this session.

# Sequences in a chunk, at most: what a kill can cost is the time for one chunk.
most_in_chunk <- 256L

# Few sequences are cut into so many chunks, for as many workers.
chunks_of_few <- 64L

# `given`: the arguments of deep_lift_shap(), checked there as far as they do not look at X.
stream_attributions <- function(given, allow_n, call) {
  # The file that a symbolic link leads to: the chunks must lie on its disk.
  path <- follow_links(check_output_path(given$output, "output", call))
  check_package(c("rhdf5", "HDF5Array", "DelayedArray"), "{.arg output}", call)
  parallel <- is_parallel(given$BPPARAM, call)
  for (choice in c("rules", "fallback")) {
    given[[choice]] <- given[[choice]][1L]
  }
  X <- scan_sequences(given$X, allow_n, given$only_warn, call)
  chunks <- cut_chunks(X$n, stream_chunk_size(given, X))
  settings <- describe_call(given, X, call)
  folder <- paste0(path, ".parts")
  if (file.exists(path)) {
    return(finished_file(path, settings, folder, call))
  }
  check_args_rows(given$args, X$n, call)
  settings <- open_parts(folder, settings, path, call)
  given$random_state <- settings$random_state
  arguments <- shared_arguments(given, X$n, call)
  arguments$output <- NULL

  files <- file.path(folder, sprintf("chunk-%06d.rds", seq_along(chunks)))
  open <- which(!chunks_are_whole(files))
  if (given$verbose) {
    cli::cli_inform("{length(open)} of {length(chunks)} chunk{?s} of sequences to do.")
  }
  job_of <- function(i) {
    c(chunk_job("deep_lift_shap", arguments, chunks[[i]], X$n), list(part = files[i]))
  }
  done <- if (parallel && length(open) > 0L) {
    jobs <- lapply(open, function(i) serialize(job_of(i), NULL))
    run_jobs(jobs, chunks[open], given$BPPARAM, call)
  } else {
    run_here(job_of, open, chunks, given$verbose, call)
  }
  raise_warnings(done, chunks[open], call)
  assemble_parts(path, folder, files, chunks, settings, X, call)
  result <- new_h5_attributions(open_h5(path, call), call)
  report_deltas(result, given$warning_threshold, given$print_convergence_deltas, call)
  result
}

# Number, length, channels, names and checksum of the sequences, read and checked part by part.
scan_sequences <- function(X, allow_n, only_warn, call, at_once = 4096L) {
  read <- function(part, call) {
    as_sequences(part, "X", call, extra_channels = TRUE, allow_n = allow_n, only_warn = only_warn)
  }
  n <- if (is.array(X)) dim(X)[1L] else if (is.character(X) || is_biostrings(X)) length(X) else 0L
  if (n <= at_once) {
    read(X, call)
  }
  parts <- lapply(cut_chunks(n, at_once), function(rows) {
    part <- sequence_rows(X, rows)
    one <- tryCatch(suppressWarnings(read(part, call)), seqlift_error = function(error) {
      # The whole is read for the number of the sequence that is wrong.
      read(X, call)
      stop(error)
    })
    list(hash = rlang::hash(part), length = one$length, channels = one$channels)
  })
  lengths <- vapply(parts, function(part) part$length, integer(1L))
  if (any(lengths != lengths[1L])) {
    read(X, call)
  }
  list(
    n = n, length = lengths[1L], channels = parts[[1L]]$channels,
    names = if (is.array(X)) dimnames(X)[[1L]] else names(X), ranges = ranges_of_sequences(X),
    hash = rlang::hash(lapply(parts, function(part) part$hash))
  )
}

# The regions that sequences_from() noted.
ranges_of_sequences <- function(X) {
  if (is_biostrings(X) && requireNamespace("S4Vectors", quietly = TRUE)) {
    S4Vectors::mcols(X)[["range"]]
  }
}

# A few 64 MB of numbers, and whole batches.
stream_chunk_size <- function(given, X) {
  shape <- dim(given$references)
  n_refs <- if (length(shape) == 4L) shape[2L] else max(given$n_shuffles)
  numbers <- n_bases * X$length * length(given$target) * (if (given$raw_outputs) n_refs else 1) +
    (if (given$return_references) n_refs * X$channels * X$length else 0)
  size <- min(most_in_chunk, ceiling(X$n / chunks_of_few), doubles_at_once %/% numbers)
  unit <- pairs_unit(given, given$rules)
  unit * max(1, size %/% unit)
}

# ---- what the call is --------------------------------------------------------------------

# Arguments without which the numbers would be the same.
of_no_effect <- c(
  "model", "X", "verbose", "print_convergence_deltas", "warning_threshold", "BPPARAM", "output",
  "random_state"
)

# Checksums by name, and the seed, NULL where it is left to the first call.
describe_call <- function(given, X, call) {
  model <- given$model
  others <- given[sort(setdiff(names(given), of_no_effect))]
  list(
    hashes = c(
      model = rlang::hash(list(
        model$hash, model$layout, model$wrappers, lapply(model$args, unname)
      )),
      X = X$hash,
      vapply(others, function(value) rlang::hash(describe_value(value)), character(1L))
    ),
    random_state = if (!is.null(given$random_state)) {
      check_random_state(given$random_state, call = call)
    }
  )
}

# Whole numbers are the same whether R holds them as integers or not; a function is its code and
# what it holds.
describe_value <- function(value, depth = 3L) {
  if (is.function(value)) {
    return(describe_function(value, depth))
  }
  if (is.list(value)) {
    return(lapply(value, describe_value, depth))
  }
  if (is.numeric(value)) array(as.double(value), dim(value) %||% length(value)) else value
}

describe_function <- function(f, depth) {
  if (is.primitive(f) || isNamespace(environment(f)) || depth == 0L) {
    return(deparse(f))
  }
  held <- environment(f)
  names <- sort(unique(c(all.names(body(f)), all.names(as.call(c(quote(f), formals(f)))))))
  own <- Filter(function(name) {
    exists(name, envir = held, inherits = FALSE) && !identical(get(name, envir = held), f)
  }, names)
  c(
    list(deparse(args(f)), deparse(body(f))),
    lapply(stats::setNames(own, own), function(name) {
      describe_value(get(name, envir = held), depth - 1L)
    })
  )
}

# The seed may be left open; everything else must be the same.
check_same_call <- function(stored, settings, place, call) {
  hashes <- settings$hashes
  names <- union(names(hashes), names(stored$hashes))
  differing <- names[!mapply(identical, unname(hashes[names]), unname(stored$hashes[names]))]
  seed <- settings$random_state
  if (!is.null(seed) && !identical(as.numeric(seed), as.numeric(stored$random_state))) {
    differing <- c(differing, "random_state")
  }
  if (length(differing) > 0L) {
    abort_seqlift("resume",
      c("{.path {place}} holds the results of another call: {.arg {differing}} differ{?s/}.",
        i = "Give the same arguments to go on with it, choose another {.arg output}, or remove it."
      ),
      call = call
    )
  }
}

# The settings with the seed; a new folder has them before anything else.
open_parts <- function(folder, settings, path, call) {
  file <- file.path(folder, "settings.rds")
  # The folder of a call that was killed at once, or whose disk was full, has settings that say
  # nothing; without them no chunk can be trusted.
  stored <- if (file.exists(file)) read_checked(file)
  if (is.list(stored) && !is.null(stored$hashes)) {
    check_same_call(stored, settings, folder, call)
    return(stored)
  }
  if (file.exists(file)) {
    unlink(list.files(folder, "^chunk-[0-9]+[.]rds$", full.names = TRUE))
    inform_seqlift("restart", "{.path {file}} is damaged: all chunks are computed anew.")
  }
  if (!dir.exists(folder) && !dir.create(folder, showWarnings = FALSE)) {
    abort_seqlift("file", "The folder {.path {folder}} could not be made.", call = call)
  }
  settings$random_state <- check_random_state(settings$random_state, call = call)
  write_whole(file, function(temporary) write_checked(settings, temporary), call = call)
  settings
}

# The file of an earlier call, whole; killed after its last step it left the folder.
finished_file <- function(path, settings, folder, call) {
  stored <- open_h5(path, call)
  own_call <- settings_under(stored, "call")
  seed <- own_call$random_state
  check_same_call(
    list(hashes = unlist(own_call[names(own_call) != "random_state"]), random_state = seed),
    settings, path, call
  )
  unlink(folder, recursive = TRUE)
  new_h5_attributions(stored, call)
}

# ---- chunks --------------------------------------------------------------------------------

# In this session, an error at once.
run_here <- function(job_of, open, chunks, verbose, call) {
  progress <- progress_bar(verbose, "Attributing")
  lapply(seq_along(open), function(k) {
    job <- job_of(open[k])
    job$threads <- engine$threads
    one <- run_job(job)
    if (!is.null(one$error)) {
      raise_again(one$error, chunks[[open[k]]], length(chunks), call)
    }
    if (verbose) {
      progress(k / length(open))
    }
    one
  })
}

# Closed before it gets its name.
save_part <- function(value, file) {
  write_whole(file, function(temporary) write_checked(value, temporary))
}

# A value with the checksum of its bytes before them: disks and copies flip bits.
write_checked <- function(value, path) {
  bytes <- serialize(value, NULL, xdr = FALSE)
  write_bytes(bytes, path, before = charToRaw(rlang::hash(bytes)))
}

checksum_bytes <- 32L

# NULL where the file is not whole.
checked_bytes <- function(path) {
  size <- file.size(path)
  if (size <= checksum_bytes) {
    return(NULL)
  }
  connection <- file(path, "rb")
  on.exit(close(connection))
  checksum <- readBin(connection, "raw", checksum_bytes)
  bytes <- readBin(connection, "raw", size - checksum_bytes)
  if (identical(charToRaw(rlang::hash(bytes)), checksum)) bytes
}

read_checked <- function(path) {
  bytes <- checked_bytes(path)
  if (!is.null(bytes)) unserialize(bytes)
}

# Which chunks need not be computed: those that are there and whole. Damaged ones are removed.
chunks_are_whole <- function(files) {
  there <- file.exists(files)
  damaged <- files[there][vapply(files[there], function(file) is.null(checked_bytes(file)), NA)]
  if (length(damaged) > 0L) {
    unlink(damaged)
    inform_seqlift("restart",
      "{length(damaged)} chunk{?s} {?is/are} damaged and computed anew, the first:
       {.path {damaged[1L]}}."
    )
  }
  there & !files %in% damaged
}

# A chunk that is done, of which `is_good()` knows what it should be; else it is removed.
read_part <- function(file, is_good, call) {
  part <- tryCatch(read_checked(file), error = function(error) NULL)
  if (is.null(part) || !is_good(part)) {
    unlink(file)
    abort_seqlift("file",
      c("The chunk {.path {file}} is damaged and was removed.",
        i = "The same call again computes it anew and goes on."
      ),
      call = call
    )
  }
  part
}

read_attributions_part <- function(file, rows, call) {
  read_part(file, function(part) {
    inherits(part, "seqlift_attributions") && dim(part)[1L] == length(rows)
  }, call)
}

# The HDF5 file, one chunk in memory at a time.
assemble_parts <- function(path, folder, files, chunks, settings, X, call) {
  whole <- file.path(folder, "whole.h5")
  unlink(whole)
  on.exit(unlink(whole))
  in_words_of(path, whole, call, {
    about <- list()
    largest <- 0
    for (i in seq_along(chunks)) {
      part <- read_attributions_part(files[i], chunks[[i]], call)
      if (i == 1L) {
        create_h5(whole, part, X$n, X$names)
      }
      fill_h5(whole, part, chunks[[i]])
      about[[i]] <- attr(part, "info", exact = TRUE)
      largest <- max(largest, largest_of(part))
    }
    finish_h5(whole, join_info(about), largest, X$ranges)
    of_call <- c(as.list(settings$hashes), list(random_state = settings$random_state))
    write_settings(whole, settings_named(of_call, "call"))
    check_h5_whole(whole)
    check_on_disk(whole)
  })
  if (!suppressWarnings(file.rename(whole, path))) {
    abort_seqlift("file", "The file {.path {path}} could not be put in its place.", call = call)
  }
  unlink(folder, recursive = TRUE)
}
