# The work of score_variants(), in chunks, and its table.

# ---- chunks ---------------------------------------------------------------------------

# The variants that make the null.
draw_null_records <- function(task) {
  if (!is.null(task$null)) task$held$rows(draw_null_rows(task))
}

# Of few variants some several times.
draw_null_rows <- function(task) {
  generator <- random_generator(task$random_state)
  n <- task$held$n
  if (n > task$null) {
    return(rows_with_lowest(generator, n, task$null))
  }
  as.integer(floor(random_uniform(generator, task$null) * n)) + 1L
}

# Those rows of n that draw the lowest numbers, in the order of these.
rows_with_lowest <- function(generator, n, most, at_once = 2^16) {
  rows <- integer()
  numbers <- numeric()
  for (first in seq(1, n, by = at_once)) {
    own <- seq(first, min(n, first + at_once - 1))
    rows <- c(rows, own)
    numbers <- c(numbers, random_uniform(generator, length(own)))
    kept <- utils::head(order(numbers), most)
    rows <- rows[kept]
    numbers <- numbers[kept]
  }
  as.integer(rows)
}

# list(null =, first =, n =) each: chunks of the null come first, as those of the variants need it.
chunks_of_task <- function(task) {
  cut <- function(n, null) {
    lapply(seq(1, n, by = most_in_chunk), function(first) {
      list(
        null = null, first = as.integer(first), n = as.integer(min(most_in_chunk, n - first + 1))
      )
    })
  }
  c(if (!is.null(task$null)) cut(task$null, TRUE), cut(task$held$n, FALSE))
}

rows_of_chunk <- function(chunk) seq.int(chunk$first, length.out = chunk$n)

records_of_chunk <- function(chunk, task) {
  rows <- rows_of_chunk(chunk)
  if (chunk$null) task$null_records[rows, ] else task$held$rows(rows)
}

# The pairs of a chunk: list(alleles, sizes).
pairs_of_chunk <- function(chunk, task, call) {
  records <- records_of_chunk(chunk, task)
  letters <- window_letters(records, task$genome, task$width, call)
  if (chunk$null) {
    letters <- shuffle_windows(letters, (task$random_state + rows_of_chunk(chunk)) %% 2^32, call)
  }
  list(
    alleles = put_alleles(letters, records, task$width),
    sizes = cbind(nchar(records$ref), nchar(records$alt))
  )
}

# `chunks[open]`, each handed to `keep(i, value)` as it is done, or written by who does it to
# `parts[i]`.
score_chunks <- function(task, chunks, open, keep, parts, call) {
  progress <- progress_bar(task$verbose, "Scoring variants")
  arguments_of <- function(i) {
    c(list(models = task$models), pairs_of_chunk(chunks[[i]], task, call), list(
      heads = task$heads, strands = task$strands, settings = task$settings
    ))
  }
  if (is.null(task$BPPARAM)) {
    for (k in seq_along(open)) {
      value <- do.call(score_chunk, c(arguments_of(open[k]), list(call = call)), quote = TRUE)
      if (is.null(parts)) keep(open[k], value) else save_part(value, parts[open[k]])
      if (task$verbose) {
        progress(k / length(open))
      }
    }
    return(invisible())
  }
  # A few for each worker at a time, so that no more sequences are held than that.
  each <- 4L * BiocParallel::bpnworkers(task$BPPARAM)
  done <- 0
  for (some in split(open, (seq_along(open) - 1L) %/% each)) {
    jobs <- lapply(some, function(i) {
      serialize(list(
        verb = "score_chunk", arguments = arguments_of(i), first = 1L,
        threads = engine$threads %||% 1L, part = parts[i]
      ), NULL)
    })
    rows <- lapply(chunks[some], rows_of_chunk)
    values <- run_jobs(jobs, rows, task$BPPARAM, call)
    raise_warnings(values, rows, call)
    if (is.null(parts)) {
      Map(keep, some, lapply(values, function(one) one$value))
    }
    done <- done + length(some)
    if (task$verbose) {
      progress(done / length(open))
    }
  }
}

# Everything in memory: list(variants, null), of each a list of a data frame for each model.
score_all <- function(task, call) {
  chunks <- chunks_of_task(task)
  parts <- vector("list", length(chunks))
  score_chunks(task, chunks, seq_along(chunks), function(i, value) parts[[i]] <<- value, NULL, call)
  join_numbers(parts, chunks)
}

join_numbers <- function(parts, chunks) {
  null <- vapply(chunks, function(chunk) chunk$null, NA)
  join <- function(parts) if (length(parts) > 0L) do.call(Map, c(list(rbind), parts))
  list(variants = join(parts[!null]), null = join(parts[null]))
}

# ---- the table ------------------------------------------------------------------------

# Matrices [n, models] of each score, by name.
scores_of_models <- function(numbers, background) {
  scores <- lapply(seq_along(numbers), function(m) {
    own <- numbers[[m]]
    scores_of_model(own$ref_counts, own$alt_counts, own$jsd, own$original_jsd,
      if (!is.null(background)) background[, m]
    )
  })
  lapply(stats::setNames(names(scores[[1L]]), names(scores[[1L]])), function(name) {
    do.call(cbind, lapply(scores, function(own) own[[name]]))
  })
}

finish_scores <- function(numbers, null, task) {
  null <- if (!is.null(null)) scores_of_models(null, task$background)
  with_q_values(score_table(numbers, null, task$held$rows(seq_len(task$held$n)), task))
}

# Everything but q-values, whose columns are there. `null`: scores of the null's models.
score_table <- function(numbers, null, records, task) {
  several <- length(task$models) > 1L
  scores <- scores_of_models(numbers, task$background)
  columns <- list(
    variant = records$variant, chromosome = records$chromosome, position = records$start,
    ref = records$ref, alt = records$alt
  )
  over_models <- function(what) mean_over_models(do.call(cbind, lapply(numbers, `[[`, what)))
  if (!is.null(scores$logfc)) {
    columns$ref_counts <- over_models("ref_counts")
    columns$alt_counts <- over_models("alt_counts")
  }
  of_models <- list()
  for (name in names(scores)) {
    values <- scores[[name]]
    columns[[name]] <- mean_over_models(values)
    if (several) {
      columns[[paste0(name, ".se")]] <- standard_error_over_models(values)
      of_models[paste0(names(task$models), ".", name)] <- as.data.frame(values)
    }
    strand_se <- paste0(name, "_strand_se")
    if (!is.null(numbers[[1L]][[strand_se]])) {
      columns[[paste0(name, ".strand_se")]] <- over_models(strand_se)
    }
    if (is.null(null) || name %in% untested_scores) {
      next
    }
    tail <- tail_of_score(name)
    columns[[paste0(name, ".p_value")]] <- empirical_p_values(
      mean_over_models(values), mean_over_models(null[[name]]), tail
    )
    columns[[paste0(name, ".q_value")]] <- rep(NA_real_, nrow(records))
    if (several) {
      own <- do.call(cbind, lapply(seq_along(task$models), function(m) {
        empirical_p_values(values[, m], null[[name]][, m], tail)
      }))
      columns[[paste0(name, ".p_value_geometric")]] <- geometric_mean_over_models(own)
      of_models[paste0(names(task$models), ".", name, ".p_value")] <- as.data.frame(own)
    }
  }
  as.data.frame(c(columns, of_models), optional = TRUE, stringsAsFactors = FALSE)
}

with_q_values <- function(table) {
  for (q in grep("[.]q_value$", names(table), value = TRUE)) {
    table[[q]] <- stats::p.adjust(table[[sub("q_value$", "p_value", q)]], "BH")
  }
  table
}
