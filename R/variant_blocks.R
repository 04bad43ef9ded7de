# Many variants, a block at a time: score_variants(output = ) holds one block of them, wherever they
# are from, and the rest is in a file of this session. What one call says of all variants together
# (how many were dropped, which alleles have one name) is gathered over the blocks and told at the
# end, in the same words. What is wrong is an error of one block; the variants are then read as a
# whole for its numbers.

# Alleles in a block: whole chunks.
alleles_in_block <- 16L * most_in_chunk

# Lines of a file, or rows of a table, that are read at a time.
lines_at_once <- 4096L

# ---- reading --------------------------------------------------------------------------

# Each part of the variants, as find_variants() returns them, is handed to `visit`.
visit_variants <- function(variants, genome, visit, call) {
  if (is_variant_path(variants)) {
    return(visit_variant_lines(variants, genome, visit, call))
  }
  n <- if (is.data.frame(variants)) nrow(variants) else length(variants)
  for (first in seq(1, max(n, 1), by = lines_at_once)) {
    rows <- seq(first, length.out = min(lines_at_once, n - first + 1))
    part <- if (is.data.frame(variants)) {
      variants_of_table(variants[rows, , drop = FALSE], genome, call)
    } else {
      variants[rows]
    }
    visit(find_variants(part, "variants", call))
  }
}

is_variant_path <- function(variants) is.character(variants) && length(variants) == 1L

visit_variant_lines <- function(path, genome, visit, call) {
  table <- is_table_file(path, call)
  path <- check_file(path, "variants", call)
  before <- 0
  header <- character()
  read_lines(path, "variants", "a VCF file", function(lines) {
    if (table) {
      rows <- lines[nzchar(lines)]
      if (before == 0) {
        header <<- rows[1L]
        rows <- rows[-1L]
      }
      if (length(rows) > 0L) {
        part <- variants_of_table(table_of_lines(rows, header), genome, call)
        visit(find_variants(part, "variants", call))
      }
    } else {
      found <- variants_of_lines(lines, before, header)
      if (length(found$regions) + length(found$problems) > 0L) {
        visit(c(found, list(source = basename(path))))
      }
      header <<- c(header, grep("^##contig=<", lines, value = TRUE))
    }
    before <<- before + length(lines)
  }, lines_at_once, call)
}

# Whether `variants` is the path of a table: text whose first line names the columns that are
# needed, separated by tabs. Anything else is read, or refused, as a VCF file.
is_table_file <- function(variants, call) {
  if (!is_variant_path(variants)) {
    return(FALSE)
  }
  path <- check_file(variants, "variants", call)
  check_no_bcf(path, "variants", call)
  connection <- gzfile(path, "rt", encoding = "native.enc")
  on.exit(close(connection))
  first <- tryCatch(
    suppressWarnings(readLines(connection, 1L)),
    error = function(error) character()
  )
  if (length(first) == 0L || !all(validUTF8(first)) || is_vcf_text(first)) {
    return(FALSE)
  }
  names <- columns_of_header(clean_lines(first, TRUE))
  all(c("chromosome", "position", "ref", "alt") %in% names)
}

# The columns of a table as they are called here, NA for those that are not known.
columns_of_header <- function(header) {
  given <- tolower(trimws(strsplit(header, "\t", fixed = TRUE)[[1L]]))
  known <- rep(names(names_of_columns), lengths(names_of_columns))
  known[match(given, unlist(names_of_columns))]
}

read_variant_table <- function(path, call) {
  lines <- read_text(check_file(path, "variants", call), "variants", "a table of variants", call)
  lines <- lines[nzchar(lines)]
  table_of_lines(lines[-1L], lines[1L])
}

# Rows of a table file as a data frame. An empty field of `alt` is no bases, as VEP writes them.
table_of_lines <- function(lines, header) {
  names <- strsplit(header, "\t", fixed = TRUE)[[1L]]
  # A field at the end that is empty counts, too.
  fields <- strsplit(paste0(lines, "\t"), "\t", fixed = TRUE)
  columns <- lapply(stats::setNames(seq_along(names), trimws(names)), function(i) {
    vapply(fields, function(own) own[i], "")
  })
  table <- as.data.frame(columns, optional = TRUE, stringsAsFactors = FALSE)
  for (i in which(columns_of_header(header) %in% c("position", "end"))) {
    table[[i]] <- parse_whole(trimws(table[[i]]))
  }
  table
}

# ---- what all blocks tell together ----------------------------------------------------

new_tally <- function() {
  tally <- new.env(parent = emptyenv())
  tally$alleles <- 0
  tally$on_genome <- 0
  tally$keys <- list()
  tally$unusable <- list(n = 0, first = NULL)
  tally$unknown <- tally$outside <- list(n = 0, named = character())
  tally
}

# Which of a block can be used.
note_unusable <- function(tally, problems, labels) {
  bad <- which(!is.na(problems))
  if (length(bad) > 0L && tally$unusable$n == 0) {
    tally$unusable$first <- escape_braces(paste0(labels[bad[1L]], " ", problems[bad[1L]]))
  }
  tally$unusable$n <- tally$unusable$n + length(bad)
  tally$alleles <- tally$alleles + length(problems)
  which(is.na(problems))
}

# `named`: chromosomes, of which each is told once, or variants.
note_dropped <- function(tally, what, n, named) {
  own <- tally[[what]]
  own$n <- own$n + n
  own$named <- if (what == "unknown") {
    unique(c(own$named, named))
  } else {
    utils::head(c(own$named, named), 5L)
  }
  tally[[what]] <- own
}

# Numbers that equal names share: four bytes a variant, so that names need not be held.
note_names <- function(tally, names) {
  tally$keys[[length(tally$keys) + 1L]] <- keys_of_names(names)
}

keys_of_names <- function(names) {
  hashes <- vapply(names, rlang::hash, "", USE.NAMES = FALSE)
  strtoi(substr(hashes, 1L, 7L), 16L)
}

# Whether all together are an error where a block alone was none.
tally_refuses <- function(tally, strict) {
  unusable <- tally$unusable$n
  after <- tally$alleles - unusable
  (strict && unusable > 0) || after == 0 || tally$unknown$n == after ||
    (tally$outside$n > 0 && tally$outside$n == tally$on_genome)
}

inform_tally <- function(tally, source, genome, width) {
  unusable <- tally$unusable
  if (unusable$n > 0) {
    inform_unusable(unusable$n, tally$alleles, unusable$first, "alternative alleles", source)
  }
  if (tally$unknown$n > 0) {
    inform_unknown(tally$unknown$n, tally$alleles - unusable$n, first_few(tally$unknown$named),
      genome
    )
  }
  outside <- tally$outside
  if (outside$n > 0) {
    named <- first_few(outside$named, of = outside$n)
    inform_out_of_bounds(outside$n, tally$on_genome, named, width)
  }
}

# ---- the records ----------------------------------------------------------------------

# All records of `variants` that can be scored, in files of the session's temporary folder:
# list(n, blocks (the files), rows(rows), a function that reads some). Any number of them takes the
# memory of one block.
block_records <- function(variants, genome, width, out_of_bounds, strict, output, call) {
  as_a_whole <- function() {
    read_scored_variants(variants, genome, width, out_of_bounds, strict, call)
  }
  if (!is.data.frame(variants) && !holds_variants(variants)) {
    as_a_whole()
  }
  tally <- new_tally()
  source <- NULL
  blocks <- new_blocks(output, call)
  tryCatch(
    visit_variants(variants, genome, function(found) {
      source <<- found$source
      add_to_blocks(blocks, records_on_genome(
        found, genome, width, out_of_bounds, strict, call, tally
      ))
    }, call),
    seqlift_error = function(error) {
      if (!blocks$full) {
        as_a_whole()
      }
      stop(error)
    }
  )
  if (tally_refuses(tally, strict)) {
    as_a_whole()
  }
  inform_tally(tally, source, genome, width)
  write_block(blocks, blocks$pending)
  blocks$pending <- NULL
  shared <- shared_names(variants, genome, unlist(tally$keys), call)
  for (file in if (length(shared) > 0L) blocks$files) {
    records <- read_checked(file)
    keep_block(blocks, tell_apart(records, records$named, shared), file)
  }
  list(
    n = blocks$n, blocks = blocks$files,
    rows = function(rows) rows_of_blocks(blocks, rows)
  )
}

# Records that are there as a data frame, in the same form.
held_records <- function(records) {
  list(n = nrow(records), rows = function(rows) records[rows, ])
}

new_blocks <- function(output, call) {
  blocks <- new.env(parent = emptyenv())
  blocks$output <- output
  blocks$call <- call
  blocks$full <- FALSE
  blocks$folder <- tempfile("seqlift-variants-")
  dir.create(blocks$folder)
  reg.finalizer(blocks, function(own) unlink(own$folder, recursive = TRUE), onexit = TRUE)
  blocks$files <- character()
  blocks$n <- 0
  blocks$held <- 0L
  blocks
}

add_to_blocks <- function(blocks, records) {
  records <- rbind(blocks$pending, records)
  while (nrow(records) > alleles_in_block) {
    first <- seq_len(alleles_in_block)
    write_block(blocks, records[first, ])
    records <- records[-first, ]
  }
  blocks$pending <- records
}

write_block <- function(blocks, records) {
  rownames(records) <- NULL
  file <- file.path(blocks$folder, sprintf("block-%06d.rds", length(blocks$files) + 1L))
  keep_block(blocks, records, file)
  blocks$files <- c(blocks$files, file)
  blocks$n <- blocks$n + nrow(records)
}

# The user knows the file that was asked for, and may know the folder that has no room. A file of
# this session need not outlive a crash.
keep_block <- function(blocks, records, file) {
  tryCatch(write_checked(records, file), error = function(error) {
    blocks$full <- TRUE
    abort_seqlift("file",
      c("{.path {blocks$output}} could not be begun: there is no room for its variants.",
        i = "Until they are scored they are kept in R's temporary folder, {.path {tempdir()}}. \
          The environment variable TMPDIR names another one before R starts."
      ),
      parent = error, call = blocks$call
    )
  })
}

rows_of_blocks <- function(blocks, rows) {
  block <- (rows - 1L) %/% alleles_in_block + 1L
  parts <- lapply(sort(unique(block)), function(i) {
    if (blocks$held != i) {
      blocks$records <- read_checked(blocks$files[i])
      blocks$records$named <- NULL
      blocks$held <- i
    }
    blocks$records[rows[block == i] - (i - 1L) * alleles_in_block, ]
  })
  records <- do.call(rbind, parts)[order(order(block)), ]
  rownames(records) <- NULL
  records
}

# The names that several alleles have, of `keys` that more than one name has: those are read again.
shared_names <- function(variants, genome, keys, call) {
  twice <- unique(keys[duplicated(keys)])
  if (length(twice) == 0L) {
    return(character())
  }
  again <- list()
  tally <- new_tally()
  visit_variants(variants, genome, function(found) {
    records <- check_records(found, "variants", FALSE, call, tally)
    records <- records[records$named, ]
    own <- records[keys_of_names(records$variant) %in% twice, ]
    again[[length(again) + 1L]] <<- own
  }, call)
  alleles_of_one_name(do.call(rbind, again))
}
