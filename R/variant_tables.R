# The work of score_variants(), in chunks, and its table: in memory, or as a file that a kill does
# not lose.

# ---- chunks ---------------------------------------------------------------------------

# Which variants make the null; of few variants some several times.
draw_null_rows <- function(task) {
  if (is.null(task$null)) {
    return(NULL)
  }
  generator <- random_generator(task$random_state)
  n <- nrow(task$records)
  if (n > task$null) {
    return(order(random_uniform(generator, n))[seq_len(task$null)])
  }
  as.integer(floor(random_uniform(generator, task$null) * n)) + 1L
}

# list(null =, rows =) each: chunks of the null come first, as those of the variants need it.
chunks_of_task <- function(task) {
  cut <- function(n, null) {
    lapply(cut_chunks(n, most_in_chunk), function(rows) list(null = null, rows = rows))
  }
  c(if (!is.null(task$null)) cut(task$null, TRUE), cut(nrow(task$records), FALSE))
}

# The pairs of a chunk: list(alleles, sizes).
pairs_of_chunk <- function(chunk, task, call) {
  rows <- if (chunk$null) task$null_rows[chunk$rows] else chunk$rows
  records <- task$records[rows, ]
  letters <- window_letters(records, task$genome, task$width, call)
  if (chunk$null) {
    letters <- shuffle_windows(letters, (task$random_state + chunk$rows) %% 2^32, call)
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
    rows <- lapply(chunks[some], function(chunk) chunk$rows)
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
  with_q_values(score_table(numbers, null, task$records, task))
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

# ---- files ----------------------------------------------------------------------------

# A text file made of chunks that are on the disk: what was done stays done. Its path, invisibly.
stream_variants <- function(task, path, seed, call) {
  folder <- paste0(path, ".parts")
  described <- list(hashes = hashes_of_task(task, call), random_state = seed)
  if (file.exists(path)) {
    check_finished_table(path, described, task, call)
    unlink(folder, recursive = TRUE)
    return(invisible(path))
  }
  kept <- open_parts(folder, described, path, call)
  task$random_state <- kept$random_state
  task$null_rows <- draw_null_rows(task)
  chunks <- chunks_of_task(task)
  files <- file.path(folder, sprintf("chunk-%06d.rds", seq_along(chunks)))
  open <- which(!chunks_are_whole(files))
  if (task$verbose) {
    cli::cli_inform("{length(open)} of {length(chunks)} chunk{?s} of variants to do.")
  }
  score_chunks(task, chunks, open, NULL, files, call)
  write_score_table(task, chunks, files, path, kept, call)
  unlink(folder, recursive = TRUE)
  invisible(path)
}

# What the numbers depend on. Of the genome it is the letters around the variants.
hashes_of_task <- function(task, call) {
  letters <- lapply(cut_chunks(nrow(task$records), most_in_chunk), function(rows) {
    rlang::hash(window_letters(task$records[rows, ], task$genome, task$width, call))
  })
  settings <- task$settings[setdiff(names(task$settings), "batch_size")]
  c(
    models = rlang::hash(lapply(task$models, function(model) {
      list(model$hash, model$layout, model$wrappers, lapply(model$args, unname))
    })),
    variants = rlang::hash(as.list(task$records)), genome = rlang::hash(letters),
    vapply(
      c(
        task[c("width", "null", "background")], settings,
        list(outputs = unname(task$heads), both_strands = length(task$strands) == 2L)
      ),
      function(value) rlang::hash(describe_value(value)), ""
    )
  )
}

# The first line of a finished file, and what it says: the checksum of the call and the seed.
signature_line <- function(described, task) {
  seed <- if (is.null(task$null)) "none" else sprintf("%.0f", described$random_state)
  paste0("# seqlift score_variants, call ", rlang::hash(described$hashes), ", random_state ", seed)
}

signature_pattern <- "^# seqlift score_variants, call ([0-9a-f]+), random_state ([0-9]+|none)$"

check_finished_table <- function(path, described, task, call) {
  first <- readLines(path, 1L, warn = FALSE)
  said <- unlist(regmatches(first, regexec(signature_pattern, first)))
  # A seed that is left open is that of the file.
  seed <- described$random_state
  same <- length(said) == 3L && said[2L] == rlang::hash(described$hashes) &&
    (is.null(seed) || said[3L] == sprintf("%.0f", seed))
  if (!same) {
    abort_seqlift("resume",
      c("{.path {path}} ({.arg output}) is there and does not hold the results of this call.",
        i = "Choose another {.arg output}, or remove it."
      ),
      call = call
    )
  }
}

# Twice over the chunks: q-values need the p-values of all.
write_score_table <- function(task, chunks, files, path, described, call) {
  is_null <- vapply(chunks, function(chunk) chunk$null, NA)
  read <- function(i) {
    part <- read_checked(files[i])
    good <- is.list(part) && length(part) == length(task$models) &&
      all(vapply(part, function(own) NROW(own) == length(chunks[[i]]$rows), NA))
    if (!good) {
      unlink(files[i])
      abort_seqlift("file",
        c("The chunk {.path {files[i]}} is damaged and was removed.",
          i = "The same call again computes it anew and goes on."
        ),
        call = call
      )
    }
    part
  }
  null <- if (any(is_null)) {
    numbers <- join_numbers(lapply(which(is_null), read), chunks[is_null])$null
    scores_of_models(numbers, task$background)
  }
  table_of <- function(i) score_table(read(i), null, task$records[chunks[[i]]$rows, ], task)
  tested <- function(table) table[grep("[.][pq]_value$", names(table))]
  p_values <- if (any(is_null)) {
    with_q_values(do.call(rbind, lapply(which(!is_null), function(i) tested(table_of(i)))))
  }
  write_whole(path, function(temporary) {
    connection <- file(temporary, "wb")
    on.exit(if (!is.null(connection)) close(connection))
    bytes <- 0
    put <- function(lines) {
      raw <- charToRaw(paste0(enc2utf8(lines), "\n", collapse = ""))
      writeBin(raw, connection)
      bytes <<- bytes + length(raw)
    }
    put(signature_line(described, task))
    for (i in which(!is_null)) {
      table <- table_of(i)
      for (name in grep("[.]q_value$", names(table), value = TRUE)) {
        table[[name]] <- p_values[[name]][chunks[[i]]$rows]
      }
      if (i == which(!is_null)[1L]) {
        put(paste(names(table), collapse = "\t"))
      }
      put(do.call(paste, c(lapply(table, text_of_column), list(sep = "\t"))))
    }
    close(connection)
    connection <- NULL
    check_size(temporary, bytes)
  }, "output", call)
}

text_of_column <- function(values) {
  if (is.double(values)) {
    return(ifelse(is.na(values), "NA", sprintf("%.15g", values)))
  }
  gsub("[\t\r\n]", " ", as.character(values))
}
