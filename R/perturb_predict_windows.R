# Predictions for edited copies of sequences: in each, one window of positions is rewritten.
# Saturation mutagenesis, dependency maps, motif screens and design are lists of such edits.

# The methods, in words for messages.
window_methods <- c("auto", "incremental", "full")

# `sequences` is what `as_sequences()` returned, n of them. Edit i writes the columns
# `content[i, , ]` of `content` [m, 4, w] over positions start[i], ... of sequence row[i]. `args`
# are those of the n sequences. Value: a list of output arrays [m, ...].
predict_windows <- function(model, sequences, row, start, content, args, batch_size, dtype,
                            device, verbose, call = caller_env(), method = "auto") {
  args <- complete_args(model, args, sequences, call)
  window_batch(model, engine_input(sequences, args), row, start, content, batch_size, dtype,
    device, method,
    progress = progress_bar(verbose, "Predicting edits"), call = call
  )$outputs
}

# The bare call: complete arguments in, the engine's list out. `content` may be codes [w, m], each
# edit having a `width` of its own. With `originals` the sequences are predicted as they are, too:
# "batched" with whole copies, or "alone", as predict() does in batches of one. `target`: which
# entries the first output must have.
window_batch <- function(model, input, row, start, content, batch_size, dtype, device, method,
                         progress, call, width = NULL, originals = "none",
                         target = NULL) {
  options <- list(
    wrappers = model$wrappers, batch_size = batch_size, dtype = dtype, device = device,
    threads = seqlift_threads(),
    memory = engine$memory, progress = progress, method = method, originals = originals,
    targets = as.integer(target)
  )
  if (!is.raw(content)) {
    storage.mode(content) <- "double"
  }
  edits <- list(
    row = as.integer(row), start = as.integer(start), content = content,
    width = as.integer(width %||% integer())
  )
  call_engine("predict_windows", model_pointer(model, call), input, edits, options, call = call)
}

# The share of the work of whole predictions that was done: all of it for edits that were evaluated
# as whole sequences.
work_share <- function(result, edits) {
  if (result$evaluated_whole >= edits || result$whole_work == 0) {
    return(1)
  }
  in_windows <- result$done_work / result$whole_work
  whole <- result$evaluated_whole / edits
  whole + (1 - whole) * in_windows
}

# Of results of parts of the sequences, in their order, the outputs that go by a name.
stack_outputs <- function(parts, name) {
  if (length(parts) == 1L) {
    return(parts[[1L]][[name]])
  }
  lapply(seq_along(parts[[1L]][[name]]), function(k) {
    stack_rows(lapply(parts, function(part) part[[name]][[k]]))
  })
}

# Arrays of one shape, but for their first dimension, one under the other.
stack_rows <- function(arrays) {
  rest <- dim(arrays[[1L]])[-1L]
  rows <- do.call(rbind, lapply(arrays, function(x) matrix(x, nrow = dim(x)[1L])))
  array(rows, c(nrow(rows), rest))
}
