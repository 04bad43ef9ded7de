# Predictions of sequences and of edited copies of them, for variants and perturbations. Where an
# edit replaces bases by as many others the engine computes of a copy only what the edit reaches,
# and the sequence itself but once for all of its edits; where that would take longer, copies are
# predicted whole (src/core/methods/predict_windows.cpp).

# Edits wider than this share of the sequence reach nearly all of it. Insertions and deletions move
# all bases behind them: in the middle they are half of the sequence wide, on the other strand those
# before.
widest_edit <- 0.8

# How many bases of edits go to the engine at a time, padded to the widest: it holds them one-hot.
edit_bases_at_once <- 1e7

# What tells copies from their sequences: `after` [L, m] are codes, column j of them an edit of
# column row[j] of `before` [L, n]. A list of row, start, width (0: nothing differs) and content, a
# raw matrix [widest, m]; of edits that are too wide the width is NA, and their columns are kept in
# `whole`.
edits_between <- function(before, after, row) {
  length <- nrow(before)
  # Column by column, positions in their order.
  differs <- which(after != before[, row, drop = FALSE])
  column <- (differs - 1L) %/% length + 1L
  position <- (differs - 1L) %% length + 1L
  first <- !duplicated(column)
  start <- rep(1L, ncol(after))
  width <- integer(ncol(after))
  start[column[first]] <- as.integer(position[first])
  width[column[first]] <- as.integer(
    position[!duplicated(column, fromLast = TRUE)] - position[first] + 1
  )
  width[width > max(1, widest_edit * length)] <- NA
  size <- max(1L, width, na.rm = TRUE)
  place <- outer(seq_len(size) - 1L, start, `+`)
  content <- after[cbind(as.vector(pmin(place, length)), rep(seq_along(row), each = size))]
  list(
    row = as.integer(row), start = start, width = width, content = matrix(content, size),
    whole = after[, is.na(width), drop = FALSE]
  )
}

# Several lists of edits as one.
join_edits <- function(edits) {
  size <- max(vapply(edits, function(own) nrow(own$content), 1L))
  content <- lapply(edits, function(own) {
    rbind(own$content, matrix(as.raw(0L), size - nrow(own$content), ncol(own$content)))
  })
  part <- function(name) do.call(c, lapply(edits, `[[`, name))
  list(
    row = part("row"), start = part("start"), width = part("width"),
    content = do.call(cbind, content), whole = do.call(cbind, lapply(edits, `[[`, "whole"))
  )
}

# list(before = output arrays [n, ...], after = those of the edits [m, ...]) for one-hot
# `sequences`, `args` theirs. `job`: list(method, batch_size, dtype, device, progress, call).
predict_edits <- function(model, sequences, edits, args, job, at_once = edit_bases_at_once) {
  args <- complete_args(model, args, sequences, job$call)
  blocks <- split(seq_len(sequences$n), edit_blocks(edits, sequences$n, at_once))
  done <- 0
  parts <- lapply(unname(blocks), function(rows) {
    progress <- scaled_progress(job$progress, done / sequences$n, length(rows) / sequences$n)
    done <<- done + length(rows)
    predict_edits_of_rows(model, sequences, edits, args, rows, job, progress)
  })
  if (length(parts) == 1L) {
    return(parts[[1L]])
  }
  place <- order(unlist(lapply(parts, `[[`, "edits")))
  after <- lapply(stack_outputs(parts, "after"), take_outputs, 1L, place)
  list(before = stack_outputs(parts, "before"), after = after)
}

# Sequences, in their order, whose edits go to the engine together.
edit_blocks <- function(edits, n, at_once) {
  bases <- as.double(nrow(edits$content)) * tabulate(edits$row, n)
  cumsum(bases) %/% at_once
}

predict_edits_of_rows <- function(model, sequences, edits, args, rows, job, progress) {
  own <- which(edits$row %in% rows)
  row <- match(edits$row[own], rows)
  width <- edits$width[own]
  some <- rows_of_sequences(sequences, rows)
  own_args <- if (length(rows) == sequences$n) args else lapply(args, take_outputs, 1L, rows)
  windows <- which(!is.na(width) & width > 0L)
  result <- window_batch(model, engine_input(some, own_args), row[windows],
    edits$start[own[windows]], edits$content[, own[windows], drop = FALSE], job$batch_size,
    job$dtype, job$device, job$method,
    progress = progress, call = job$call, width = width[windows], originals = "batched"
  )
  before <- result$originals
  # What changes nothing is the sequence itself.
  after <- lapply(before, take_outputs, 1L, row)
  after <- put_rows(after, windows, result$outputs)
  wide <- which(is.na(width))
  if (length(wide) > 0L) {
    codes <- edits$whole[, match(own[wide], which(is.na(edits$width))), drop = FALSE]
    whole_args <- lapply(own_args, take_outputs, 1L, row[wide])
    whole <- predict_whole_edits(model, some, codes, row[wide], whole_args, job)
    after <- put_rows(after, wide, whole)
  }
  list(before = before, after = after, edits = own)
}

put_rows <- function(values, rows, from) {
  if (length(rows) == 0L) {
    return(values)
  }
  Map(function(value, one) {
    shape <- dim(value)
    value <- matrix(value, shape[1L])
    value[rows, ] <- matrix(one, length(rows))
    array(value, shape)
  }, values, from)
}

# Equal copies are predicted once.
predict_whole_edits <- function(model, sequences, codes, row, args, job) {
  keys <- paste(column_keys(codes), row)
  first <- which(!duplicated(keys))
  copies <- rows_of_sequences(sequences, row[first])
  if (is.null(copies$array)) {
    copies$codes <- codes[, first, drop = FALSE]
  } else {
    copies$array <- finish_one_hot(codes[, first, drop = FALSE], copies)
  }
  options <- list(
    wrappers = model$wrappers, batch_size = job$batch_size, dtype = job$dtype, device = job$device,
    threads = seqlift_threads(),
    memory = engine$memory, progress = NULL
  )
  outputs <- call_engine("predict", model_pointer(model, job$call),
    engine_input(copies, lapply(args, take_outputs, 1L, first)), options,
    call = job$call
  )
  lapply(outputs, take_outputs, 1L, match(keys, keys[first]))
}

# Chosen or repeated ones of what as_sequences() returned.
rows_of_sequences <- function(sequences, rows) {
  if (length(rows) == sequences$n && all(rows == seq_len(sequences$n))) {
    return(sequences)
  }
  if (!is.null(sequences$codes)) {
    sequences$codes <- sequences$codes[, rows, drop = FALSE]
  }
  if (!is.null(sequences$array)) {
    sequences$array <- sequences$array[rows, , , drop = FALSE]
  }
  sequences$n <- length(rows)
  sequences$names <- sequences$names[rows]
  sequences
}

# ---- for the verbs that call a function before and after -----------------------------------

# Whether a plan of prepare_func() is a plain prediction, which needs no arrays of all copies.
predicts_edits <- function(plan, sequences) {
  known <- c("batch_size", "dtype", "device", "verbose")
  identical(plan$func, stats::predict) && inherits(plan$model, "seqlift_model") &&
    is.null(plan$BPPARAM) && all(names(plan$more) %in% known) &&
    !isTRUE(plan$model$conduct$joint) && isTRUE(sequences$one_hot)
}

# As call_func() on the sequences and on each of their edits: list(before, after), each an array or
# a list of several, the edits in their order. `names` are those of the edits.
call_on_edits <- function(plan, sequences, edits, names, call) {
  more <- plan$more
  job <- list(
    method = "auto", batch_size = check_count(more$batch_size %||% 32L, "batch_size", call = call),
    dtype = check_dtype(more$dtype), call = call,
    device = check_device(if (is.null(more$device)) plan$model$device else more$device),
    progress = progress_bar(check_flag(more$verbose %||% FALSE, "verbose", call), "Predicting")
  )
  predicted <- predict_edits(plan$model, sequences, edits, plan$args, job)
  finish <- function(outputs, names) {
    one_or_several(lapply(outputs, name_rows, names = names), plan$model)
  }
  list(
    before = finish(predicted$before, sequences$names), after = finish(predicted$after, names)
  )
}
