# Predictions of sequences in which one window has been written over: what design asks of a model,
# many times. Each edit is built in full and predicted, batch by batch.

# `sequences` is what `as_sequences()` returned, n of them. Edit i writes the columns
# `content[i, , ]` of `content` [m, 4, w] over positions start[i], ... of sequence row[i]. `args`
# are those of the n sequences. Value: a list of output arrays [m, ...].
predict_windows <- function(model, sequences, row, start, content, args, batch_size, dtype,
                            device, verbose, call = caller_env()) {
  args <- complete_args(model, args, sequences, call)
  names(args) <- model$info$arguments[-1L][seq_along(args)]
  originals <- one_hot_array(sequences)
  m <- length(row)
  progress <- progress_bar(verbose, "Predicting edits")
  predict_batch <- function(batch) {
    edited <- sequences
    edited["codes"] <- list(NULL)
    edited["names"] <- list(NULL)
    edited$array <- write_windows(
      rows_of(originals, row[batch]), start[batch], content[batch, , , drop = FALSE]
    )
    edited$n <- length(batch)
    own_args <- lapply(args, rows_of, rows = row[batch])
    outputs <- run_predict(model, edited, own_args, batch_size, dtype, device, FALSE, call)
    if (!is.null(progress)) progress(batch[length(batch)] / m)
    outputs
  }
  batches <- split(seq_len(m), (seq_len(m) - 1L) %/% batch_size)
  outputs <- lapply(unname(batches), predict_batch)
  lapply(seq_along(outputs[[1L]]), function(k) stack_rows(lapply(outputs, `[[`, k)))
}

# Writes content[i, , ] into the bases of X[i, , ], from start[i] on.
write_windows <- function(X, start, content) {
  shape <- dim(content)
  index <- expand.grid(
    row = seq_len(shape[1L]), base = seq_len(shape[2L]), position = seq_len(shape[3L])
  )
  X[cbind(index$row, index$base, start[index$row] + index$position - 1L)] <- content
  X
}

# Rows of an array of any rank, without names.
rows_of <- function(x, rows) {
  shape <- dim(x)
  array(matrix(x, nrow = shape[1L])[rows, ], c(length(rows), shape[-1L]))
}

# Arrays of one shape, but for their first dimension, one under the other.
stack_rows <- function(arrays) {
  rest <- dim(arrays[[1L]])[-1L]
  rows <- do.call(rbind, lapply(arrays, function(x) matrix(x, nrow = dim(x)[1L])))
  array(rows, c(nrow(rows), rest))
}
