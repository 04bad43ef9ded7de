# score_variants(output = ): a table as text or HDF5, made of chunks that are on the disk, so that a
# kill loses one chunk at most. In memory is one chunk, whatever the number of variants.

# What was done stays done. The table's path, invisibly.
stream_variants <- function(task, path, seed, call) {
  folder <- paste0(path, ".parts")
  check_table_format(task, path, call)
  described <- list(hashes = hashes_of_task(task, call), random_state = seed)
  if (file.exists(path)) {
    check_finished_table(path, described, task, call)
    unlink(folder, recursive = TRUE)
    return(invisible(path))
  }
  kept <- open_parts(folder, described, path, call)
  task$random_state <- kept$random_state
  task$null_records <- draw_null_records(task)
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

is_hdf5_path <- function(path) grepl("[.](h5|hdf5)$", path, ignore.case = TRUE)

is_gzip_path <- function(path) grepl("[.]gz$", path, ignore.case = TRUE)

check_table_format <- function(task, path, call) {
  if (!is_hdf5_path(path)) {
    return(invisible())
  }
  check_package("rhdf5", "Writing an HDF5 file", call)
  odd <- grep("/", names(task$models), fixed = TRUE, value = TRUE)
  if (length(odd) > 0L && length(task$models) > 1L) {
    abort_argument("models", "named without `/`, which separates groups in HDF5 files",
      encodeString(odd[1L], quote = "\""),
      call = call
    )
  }
}

# What the numbers depend on. Of the genome it is the letters around the variants.
hashes_of_task <- function(task, call) {
  blocks <- lapply(task$held$blocks, function(file) {
    records <- read_checked(file)
    records$named <- NULL
    letters <- lapply(cut_chunks(nrow(records), most_in_chunk), function(rows) {
      rlang::hash(window_letters(records[rows, ], task$genome, task$width, call))
    })
    c(variants = rlang::hash(as.list(records)), genome = rlang::hash(letters))
  })
  of_blocks <- function(what) rlang::hash(lapply(blocks, `[[`, what))
  settings <- task$settings[setdiff(names(task$settings), "batch_size")]
  c(
    models = rlang::hash(lapply(task$models, function(model) {
      list(model$hash, model$layout, model$wrappers, lapply(model$args, unname))
    })),
    variants = of_blocks("variants"), genome = of_blocks("genome"),
    vapply(
      c(
        task[c("width", "null", "background")], settings,
        list(outputs = unname(task$heads), both_strands = length(task$strands) == 2L)
      ),
      function(value) rlang::hash(describe_value(value)), ""
    )
  )
}

# ---- finished files -------------------------------------------------------------------

# The first line of a text, the attribute `seqlift` of an HDF5 file: the checksum of the call and
# the seed.
signature_line <- function(described, task) {
  seed <- if (is.null(task$null)) "none" else sprintf("%.0f", described$random_state)
  paste0("# seqlift score_variants, call ", rlang::hash(described$hashes), ", random_state ", seed)
}

signature_pattern <- "^# seqlift score_variants, call ([0-9a-f]+), random_state ([0-9]+|none)$"

# Nothing for a file that is not ours.
read_signature <- function(path) {
  if (!is_hdf5_path(path)) {
    return(readLines(path, 1L, warn = FALSE))
  }
  tryCatch(
    as.character(rhdf5::h5readAttributes(path, "/")$seqlift),
    error = function(error) character()
  )
}

check_finished_table <- function(path, described, task, call) {
  first <- read_signature(path)
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

# ---- putting chunks together ----------------------------------------------------------

# Twice over the chunks: q-values need the p-values of all, which are few numbers, as there are no
# more of them than numbers in the null.
write_score_table <- function(task, chunks, files, path, described, call) {
  is_null <- vapply(chunks, function(chunk) chunk$null, NA)
  read <- function(i) read_scored_chunk(files[i], chunks[[i]], task, call)
  null <- if (any(is_null)) {
    numbers <- join_numbers(lapply(which(is_null), read), chunks[is_null])$null
    scores_of_models(numbers, task$background)
  }
  table_of <- function(i) score_table(read(i), null, records_of_chunk(chunks[[i]], task), task)
  counts <- list()
  for (i in if (any(is_null)) which(!is_null)) {
    counts <- count_p_values(counts, table_of(i))
  }
  q_values <- lapply(counts, q_values_of_counts)
  write_whole(path, function(temporary) {
    table <- NULL
    on.exit(if (!is.null(table)) table$close())
    for (i in which(!is_null)) {
      rows <- table_of(i)
      for (name in names(q_values)) {
        own <- q_values[[name]]
        rows[[sub("p_value$", "q_value", name)]] <-
          own$q_value[match(rows[[name]], own$p_value)]
      }
      if (is.null(table)) {
        open_table <- if (is_hdf5_path(path)) open_hdf5_table else open_text_table
        table <- open_table(temporary, rows, signature_line(described, task), task)
      }
      table$add(rows)
    }
    finish <- table$close
    table <- NULL
    finish()
  }, "output", call)
}

read_scored_chunk <- function(file, chunk, task, call) {
  read_part(file, function(part) {
    is.list(part) && length(part) == length(task$models) &&
      all(vapply(part, function(own) NROW(own) == chunk$n, NA))
  }, call)
}

# How often each p-value is there, by column: list(p_value, n).
count_p_values <- function(counts, table) {
  for (name in grep("[.]p_value$", names(table), value = TRUE)) {
    if (!sub("p_value$", "q_value", name) %in% names(table)) {
      next  # of one model
    }
    own <- c(counts[[name]]$p_value, table[[name]])
    times <- c(counts[[name]]$n, rep(1, nrow(table)))[!is.na(own)]
    own <- own[!is.na(own)]
    p_value <- sort(unique(own))
    n <- vapply(split(times, factor(match(own, p_value), seq_along(p_value))), sum, 1)
    counts[[name]] <- list(p_value = p_value, n = unname(n))
  }
  counts
}

# As stats::p.adjust(method = "BH") has them, operation by operation: of equal p-values the last
# rank decides.
q_values_of_counts <- function(counts) {
  rank <- cumsum(counts$n)
  total <- sum(counts$n)
  q_value <- pmin(1, rev(cummin(rev(total / rank * counts$p_value))))
  list(p_value = counts$p_value, q_value = q_value)
}

# ---- forms of a table -----------------------------------------------------------------
#
# list(add, close): rows are added in their order.

open_text_table <- function(path, rows, signature, task) {
  compressed <- is_gzip_path(path)
  connection <- if (compressed) gzfile(path, "wb") else file(path, "wb")
  bytes <- 0
  put <- function(lines) {
    raw <- charToRaw(paste0(enc2utf8(lines), "\n", collapse = ""))
    writeBin(raw, connection)
    bytes <<- bytes + length(raw)
  }
  put(signature)
  put(paste(names(rows), collapse = "\t"))
  list(
    add = function(rows) put(do.call(paste, c(lapply(rows, text_of_column), list(sep = "\t")))),
    close = function() {
      close(connection)
      if (!compressed) {
        check_size(path, bytes)
      } else if (count_unzipped(path) != bytes) {
        stop("not all bytes were written")
      }
    }
  )
}

# So many digits as give the same number when they are read.
text_of_column <- function(values) {
  if (is.double(values)) {
    text <- sprintf("%.15g", values)
    more <- which(is.finite(values) & as.numeric(text) != values)
    text[more] <- sprintf("%.17g", values[more])
    return(ifelse(is.na(values), "NA", text))
  }
  gsub("[\t\r\n]", " ", as.character(values))
}

# A data set for each column, whose order is the attribute `columns` of the file. Text is UTF-8 of
# one size, filled up with zeros; missing numbers are not-a-number.
open_hdf5_table <- function(path, rows, signature, task) {
  n <- task$held$n
  is_text <- vapply(rows, is.character, NA)
  sizes <- bytes_of_text(task$held, names(rows)[is_text])
  check_room(path, h5_overhead)
  rhdf5::h5createFile(path)
  block <- min(n, alleles_in_block)
  for (name in names(rows)) {
    type <- typeof(rows[[name]])
    rhdf5::h5createDataset(path, name, n,
      storage.mode = type, size = if (is_text[[name]]) sizes[[name]], chunk = block, level = 1L,
      encoding = if (is_text[[name]]) "UTF-8"
    )
  }
  write_root_attributes(path, list(seqlift = signature, columns = names(rows)))
  done <- 0
  pending <- NULL
  flush <- function() {
    # As many bytes as there would be without compression.
    check_room(path, nrow(pending) * sum(8, sizes, 8 * ncol(pending)) + h5_overhead)
    file <- rhdf5::H5Fopen(path)
    on.exit(rhdf5::H5Fclose(file))
    index <- list(done + seq_len(nrow(pending)))
    for (name in names(pending)) {
      values <- pending[[name]]
      rhdf5::h5write(if (is.character(values)) enc2utf8(values) else values, file, name,
        index = index
      )
    }
    done <<- done + nrow(pending)
    pending <<- NULL
  }
  list(
    add = function(rows) {
      pending <<- rbind(pending, rows)
      if (nrow(pending) >= block) flush()
    },
    close = function() {
      if (NROW(pending) > 0L) flush()
      check_hdf5_table(path, names(rows), n)
    }
  )
}

write_root_attributes <- function(path, values) {
  file <- rhdf5::H5Fopen(path)
  on.exit(rhdf5::H5Fclose(file))
  for (name in names(values)) {
    rhdf5::h5writeAttribute(values[[name]], file, name, asScalar = length(values[[name]]) == 1L)
  }
}

# The most bytes of a column of text, with the zero behind them.
bytes_of_text <- function(held, columns) {
  sizes <- lapply(held$blocks, function(file) {
    records <- read_checked(file)
    vapply(columns, function(name) max(1L, nchar(enc2utf8(records[[name]]), "bytes")), 1L)
  })
  do.call(pmax, sizes) + 1L
}

# Blocks that did not fit the disk cannot be unfolded, see check_h5_whole().
check_hdf5_table <- function(path, columns, n) {
  file <- rhdf5::H5Fopen(path, "H5F_ACC_RDONLY")
  on.exit(rhdf5::H5Fclose(file))
  for (name in columns) {
    for (first in seq(1, n, by = alleles_in_block)) {
      rhdf5::h5read(file, name, index = list(seq(first, min(n, first + alleles_in_block - 1))))
    }
  }
}

# A finished HDF5 table as a data frame.
read_hdf5_table <- function(path) {
  columns <- as.vector(rhdf5::h5readAttributes(path, "/")$columns)
  values <- lapply(stats::setNames(columns, columns), function(name) {
    column <- as.vector(rhdf5::h5read(path, name))
    if (is.character(column)) Encoding(column) <- "UTF-8"
    column
  })
  as.data.frame(values, optional = TRUE, stringsAsFactors = FALSE)
}
