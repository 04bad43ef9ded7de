# score_variants(output = ): the table of the call in memory, block by block, whatever ends it.

same_table <- function(path, expected) {
  read <- if (is_hdf5_path(path)) {
    read_hdf5_table(path)
  } else {
    utils::read.delim(path, skip = 1, quote = "", check.names = FALSE, colClasses = vapply(
      expected, function(column) class(column)[1L], ""
    ))
  }
  attr(expected, "settings") <- NULL
  expect_identical(read, expected)
}

# Chunks of 2 alleles, blocks of 4, files and tables 3 rows at a time.
in_small_blocks <- function(code) {
  with_replaced("most_in_chunk", 2L, {
    with_replaced("alleles_in_block", 4L, with_replaced("lines_at_once", 3L, code))
  })
}

# `n` substitutions of a chromosome of its own, some with the names of others.
many_variants <- function(n, first = 1001L) {
  letters <- decode_one_hot(random_one_hot(c(1, 4, n + 2L * first), random_state = 3))
  ref <- substring(letters, seq(first, length.out = n), seq(first, length.out = n))
  list(
    genome = Biostrings::DNAStringSet(c(chr1 = letters)),
    table = data.frame(
      chromosome = "chr1", position = seq(first, length.out = n), ref = ref,
      alt = chartr("ACGT", "CGTA", ref), variant = paste0("rs", seq_len(n) %% (n - 2L))
    )
  )
}

write_variant_lines <- function(path, table, tail = "\t.\t.\t.") {
  open <- if (grepl("gz$", path)) gzfile(path, "wb") else file(path, "wb")
  writeLines(c(
    "##fileformat=VCFv4.2", "##contig=<ID=chr1>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    paste0(
      paste(table$chromosome, table$position, table$variant, table$ref, table$alt, sep = "\t"), tail
    )
  ), open)
  close(open)
  path
}

test_that("text, compressed text and HDF5 hold the numbers of memory to the last bit", {
  skip_without_genomes("rhdf5")
  folder <- new_folder()
  data <- many_variants(11L)
  run <- function(variants, ...) {
    score_variants(two_models(), variants, data$genome,
      width = 60, null = 7, random_state = 4, background = cbind(1:3, 2:4), ...
    )
  }
  expected <- run(data$table)
  expect_identical(sum(duplicated(data$table$variant)), 2L)
  expect_identical(sum(grepl("_", expected$variant)), 4L)
  table <- file.path(folder, "table.txt")
  utils::write.table(data$table, table, sep = "\t", row.names = FALSE, quote = FALSE)
  sources <- list(
    data$table, write_variant_lines(file.path(folder, "v.vcf"), data$table),
    write_variant_lines(file.path(folder, "v.vcf.gz"), data$table), table
  )
  expect_identical(run(table), expected)
  expect_identical(run(sources[[3L]]), expected)
  for (end in c("tsv", "tsv.gz", "h5")) {
    paths <- file.path(folder, paste0(seq_along(sources), ".", end))
    in_small_blocks(for (i in seq_along(sources)) {
      expect_identical(run(sources[[i]], output = paths[i]), paths[i])
      same_table(paths[i], expected)
      # The same call by another way finds it.
      before <- file.mtime(paths[i])
      expect_identical(run(sources[[length(sources) - i + 1L]], output = paths[i]), paths[i])
      expect_identical(file.mtime(paths[i]), before)
    })
    expect_error(score_variants(heads_model(), data$table, data$genome,
      width = 60, output = paths[1L]
    ), class = "seqlift_error_resume")
  }
  expect_equal(variant_scores_as_granges(paths[1L])$logfc, expected$logfc)
  ends <- rep(c("tsv", "tsv.gz", "h5"), each = 4)
  expect_identical(
    sort(setdiff(list.files(folder, all.files = TRUE), c(".", ".."))),
    sort(c(basename(unlist(sources[-1L])), paste0(1:4, ".", ends)))
  )
})

test_that("h5py reads columns, text and the signature", {
  skip_without_genomes("rhdf5")
  python <- Sys.which("python3")
  skip_if(system2(python, c("-c", shQuote("import h5py")), stderr = FALSE) != 0, "no h5py")
  data <- many_variants(5L)
  data$table$variant <- c("a", "\u00e4", "rs3", "long name", "z")
  path <- tempfile(fileext = ".h5")
  expected <- score_variants(heads_model(), data$table, data$genome, width = 60)
  score_variants(heads_model(), data$table, data$genome, width = 60, output = path)
  script <- tempfile(fileext = ".py")
  writeLines(c(
    "import h5py, sys", "f = h5py.File(sys.argv[1], 'r')",
    "print('\\t'.join(c if isinstance(c, str) else c.decode() for c in f.attrs['columns']))",
    "print('\\t'.join(v.decode('utf8') for v in f['variant'][:]))",
    "print('\\t'.join(v.decode() for v in f['alt'][:]))",
    "print('\\t'.join('%d' % v for v in f['position'][:]))",
    "print('\\t'.join(repr(float(v)) for v in f['jsd'][:]))"
  ), script)
  said <- withr::with_envvar(
    c(PYTHONIOENCODING = "utf8"), system2(python, c(script, path), stdout = TRUE)
  )
  Encoding(said) <- "UTF-8"
  fields <- strsplit(said, "\t", fixed = TRUE)
  expect_identical(fields[[1L]], names(expected))
  expect_identical(fields[[2L]], data$table$variant)
  expect_identical(fields[[3L]], expected$alt)
  expect_identical(as.integer(fields[[4L]]), expected$position)
  expect_identical(as.numeric(fields[[5L]]), expected$jsd)
})

test_that("killed at random moments it goes on where it was", {
  skip_without_genomes("rhdf5")
  skip_if_not_installed("callr")
  skip_on_os("windows")
  folder <- new_folder()
  data <- many_variants(24L)
  variants <- write_variant_lines(file.path(folder, "v.vcf"), data$table)
  genome <- file.path(folder, "genome.fa")
  Biostrings::writeXStringSet(data$genome, genome)
  file <- normalizePath(model_path("two_heads"))
  # In the child, each chunk is noted and waits a little.
  work <- function(path, variants, genome, file, log) {
    replace <- function(name, value) utils::assignInNamespace(name, value, "seqlift")
    replace("most_in_chunk", 2L)
    replace("alleles_in_block", 4L)
    replace("lines_at_once", 5L)
    score <- utils::getFromNamespace("score_chunk", "seqlift")
    replace("score_chunk", function(models, alleles, ...) {
      cat(paste(alleles$alt, collapse = " "), "\n", file = log, append = TRUE)
      Sys.sleep(0.02)
      score(models, alleles, ...)
    })
    model <- seqlift::with_args(seqlift::load_model(file), list(control_track = 0))
    seqlift::score_variants(model, variants, genome,
      width = 60, null = 5, random_state = 2, output = path
    )
  }
  for (end in c("tsv", "h5")) {
    path <- file.path(folder, paste0("scores.", end))
    log <- file.path(folder, paste0("log-", end))
    lines <- function() if (file.exists(log)) length(readLines(log)) else 0L
    for (kill in 1:3) {
      before <- lines()
      child <- callr::r_bg(work, list(path, variants, genome, file, log), libpath = .libPaths())
      while (child$is_alive() && lines() < before + 3L) {
        Sys.sleep(0.005)
      }
      Sys.sleep(stats::runif(1L, 0, 0.03))
      tools::pskill(child$get_pid(), tools::SIGKILL)
      child$wait(20000)
      expect_false(file.exists(path))
    }
    callr::r(work, list(path, variants, genome, file, log), libpath = .libPaths())
    # 15 chunks; what a kill interrupted is done twice.
    noted <- readLines(log)
    expect_length(unique(noted), 15L)
    expect_lte(length(noted), 15L + 3L)
    model <- with_args(load_model(file), list(control_track = 0))
    same_table(path, score_variants(model, data$table, data$genome,
      width = 60, null = 5, random_state = 2
    ))
    expect_false(dir.exists(paste0(path, ".parts")))
  }
})

test_that("messages and errors are those of all variants together", {
  skip_without_genomes()
  data <- many_variants(12L)
  table <- data$table
  table$alt[c(2, 11)] <- "<DEL>"
  table$chromosome[c(4, 5)] <- "chrQ"
  run <- function(table, ...) {
    caught <- list()
    tryCatch(
      withCallingHandlers(score_variants(heads_model(), table, data$genome, width = 60, ...),
        message = function(message) {
          caught[[length(caught) + 1L]] <<- conditionMessage(message)
          invokeRestart("muffleMessage")
        }
      ),
      error = function(error) caught[[length(caught) + 1L]] <<- conditionMessage(error)
    )
    caught
  }
  compare <- function(table, n, ...) {
    whole <- run(table, ...)
    expect_length(whole, n)
    path <- tempfile(fileext = ".tsv")
    expect_identical(in_small_blocks(run(table, output = path, ...)), whole)
    path
  }
  path <- compare(table, 2L, out_of_bounds = "drop")
  expect_identical(nrow(utils::read.delim(path, skip = 1)), 8L)
  expect_false(file.exists(compare(table, 2L)))
  compare(table, 1L, strict = TRUE)
  table$alt <- "<DEL>"
  compare(table, 1L)
  near <- data$table
  near$variant <- paste0("near", 1:12)
  near$position[c(1, 12)] <- c(3L, 2008L)
  near$ref[c(1, 12)] <- vapply(c(3L, 2008L), function(at) {
    as.character(Biostrings::subseq(data$genome[[1]], at, width = 1L))
  }, "")
  near$alt <- chartr("ACGT", "CGTA", near$ref)
  compare(near, 1L, out_of_bounds = "drop")
  compare(near, 1L)
  wrong <- data$table
  wrong$ref[9] <- wrong$alt[9]
  wrong$alt[9] <- data$table$ref[9]
  compare(wrong, 1L)
  compare(wrong[0, ], 1L)
  compare("no such file", 1L)
  compare(1:3, 1L)
})

test_that("q-values of counts are those of all p-values", {
  set.seed(2)
  for (n in c(2, 7, 300)) {
    p <- round(stats::runif(n), 2)
    p[n %/% 2] <- NA
    counts <- count_p_values(list(), data.frame(a.p_value = p[-1], a.q_value = 0))
    counts <- count_p_values(counts, data.frame(a.p_value = p[1], a.q_value = 0))$a.p_value
    found <- q_values_of_counts(counts)
    expect_identical(
      found$q_value[match(p, found$p_value)], stats::p.adjust(p, "BH")
    )
  }
})

test_that("the null's rows are those of all numbers drawn at once", {
  for (n in c(5, 64, 1000)) {
    expected <- order(random_uniform(random_generator(3), n))[seq_len(4)]
    expect_identical(rows_with_lowest(random_generator(3), n, 4L), expected)
    expect_identical(rows_with_lowest(random_generator(3), n, 4L, at_once = 64), expected)
  }
})
