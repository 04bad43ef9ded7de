read_scores <- function(path) {
  utils::read.delim(path, skip = 1, quote = "", check.names = FALSE)
}

test_that("a file holds the table, and the same call finds it", {
  skip_without_genomes()
  path <- tempfile(fileext = ".tsv")
  run <- function(..., models = two_models()) {
    score_variants(models, several_variants(), variant_genome(), width = 24, null = 8, ...)
  }
  set.seed(1)
  expect_identical(run(output = path, background = cbind(1:3, 2:4)), path)
  set.seed(1)
  expected <- run(background = cbind(1:3, 2:4))
  expect_equal(read_scores(path), expected, ignore_attr = TRUE, tolerance = 1e-12)
  expect_false(dir.exists(paste0(path, ".parts")))
  before <- file.mtime(path)
  # The seed of the first call was drawn, and is found again.
  expect_identical(run(output = path, background = cbind(1:3, 2:4)), path)
  expect_identical(file.mtime(path), before)
  expect_error(run(output = path), class = "seqlift_error_resume")
  expect_error(
    run(output = path, background = cbind(1:3, 2:4), random_state = 0),
    class = "seqlift_error_resume"
  )
  writeLines("mine", path)
  expect_error(run(output = path), class = "seqlift_error_resume")
  expect_identical(readLines(path), "mine")
})

test_that("killed, it goes on with what is there", {
  skip_without_genomes()
  genome <- Biostrings::DNAStringSet(c(
    chr1 = decode_one_hot(random_one_hot(c(1, 4, 3000), random_state = 3))
  ))
  position <- seq(1001, 1300)
  ref <- strsplit(as.character(Biostrings::subseq(genome[[1]], 1001, 1300)), "")[[1]]
  table <- data.frame(chromosome = "chr1", position = position, ref = ref, alt = chartr(
    "ACGT", "CGTA", ref
  ))
  path <- tempfile(fileext = ".tsv")
  folder <- paste0(path, ".parts")
  work <- function(path, table, genome, file) {
    model <- seqlift::with_args(seqlift::load_model(file), list(control_track = 0))
    seqlift::score_variants(model, table, genome, width = 60, null = 5, output = path)
  }
  skip_if_not_installed("callr")
  file <- normalizePath(model_path("two_heads"))
  child <- callr::r_bg(work, list(path, table, genome, file), libpath = .libPaths())
  while (!file.exists(file.path(folder, "chunk-000001.rds")) && child$is_alive()) {
    Sys.sleep(0.01)
  }
  child$kill()
  files <- list.files(folder, "^chunk.*rds$", full.names = TRUE)
  skip_if(length(files) %in% c(0L, 3L), "The child was too quick, or too slow.")
  # A damaged chunk is done again.
  seed <- read_checked(file.path(folder, "settings.rds"))$random_state
  writeLines("damaged", file.path(folder, "chunk-000003.rds"))
  expect_message(work(path, table, genome, file), class = "seqlift_message_restart")
  model <- with_args(load_model(file), list(control_track = 0))
  expected <- score_variants(model, table, genome, width = 60, null = 5, random_state = seed)
  expect_equal(read_scores(path), expected, ignore_attr = TRUE, tolerance = 1e-12)
})

test_that("a call goes on only with its own chunks", {
  skip_without_genomes()
  path <- tempfile(fileext = ".tsv")
  model <- heads_model()
  run <- function(...) {
    score_variants(model, several_variants(), variant_genome(), width = 24, output = path, ...)
  }
  # What a kill leaves while the file is written: every chunk, and no file.
  run(null = 4, random_state = 6)
  finished <- readLines(path)
  unlink(path)
  dir.create(path)
  expect_error(run(null = 4, random_state = 6), class = "seqlift_error_file")
  unlink(path, recursive = TRUE)
  dir.create(paste0(path, ".parts"))
  settings <- list(hashes = c(models = "other"), random_state = 6)
  write_checked(settings, file.path(paste0(path, ".parts"), "settings.rds"))
  expect_error(run(null = 4, random_state = 6), class = "seqlift_error_resume")
  unlink(paste0(path, ".parts"), recursive = TRUE)
  run(null = 4, random_state = 6)
  expect_identical(readLines(path), finished)
})

test_that("workers give the same numbers", {
  skip_without_genomes("BiocParallel")
  model <- heads_model()
  run <- function(...) {
    score_variants(model, several_variants(), variant_genome(),
      width = 24, null = 300, random_state = 1, ...
    )
  }
  expected <- run()
  workers <- BiocParallel::bpstart(BiocParallel::SnowParam(2))
  on.exit(BiocParallel::bpstop(workers))
  expect_identical(run(BPPARAM = workers), expected)
  path <- tempfile()
  run(BPPARAM = workers, output = path)
  expect_equal(read_scores(path), expected, ignore_attr = TRUE, tolerance = 1e-12)
})

test_that("a VCF file holds alleles, IDs and scores that others read", {
  skip_without_genomes("VariantAnnotation", "Rsamtools")
  table <- several_variants()
  table$variant[1] <- NA
  scores <- score_variants(stats::setNames(two_models(), c("fold 1", "2nd")), table,
    variant_genome(),
    width = 24
  )
  path <- export_vcf(scores, tempfile(fileext = ".vcf"))
  read <- VariantAnnotation::readVcf(path)
  expect_identical(as.character(VariantAnnotation::ref(read)), scores$ref)
  expect_identical(as.character(unlist(VariantAnnotation::alt(read))), scores$alt)
  expect_equal(VariantAnnotation::info(read)$logfc, scores$logfc, tolerance = 1e-8)
  expect_equal(VariantAnnotation::info(read)$fold_1.jsd, scores[["fold 1.jsd"]], tolerance = 1e-8)
  expect_equal(VariantAnnotation::info(read)$`_2nd.jsd`, scores[["2nd.jsd"]], tolerance = 1e-8)
  ids <- vapply(strsplit(grep("^[^#]", readLines(path), value = TRUE), "\t"), `[`, "", 3)
  expect_identical(ids, c(".", "rs2", "rs3", "rs4", "rs4"))
  compressed <- export_vcf(scores, tempfile(fileext = ".vcf.gz"))
  expect_true(is_bgzip(compressed))
  expect_identical(readLines(compressed), readLines(path))
  again <- score_variants(two_models(), compressed, variant_genome(), width = 24)
  expect_equal(again$logfc, scores$logfc)
})

test_that("a GRanges has the bases of the reference and the scores, also from the file", {
  skip_without_genomes()
  path <- tempfile()
  score_variants(heads_model(), several_variants(), variant_genome(), width = 24, output = path)
  scores <- score_variants(heads_model(), several_variants(), variant_genome(), width = 24)
  ranges <- variant_scores_as_granges(path)
  expect_identical(names(ranges), scores$variant)
  expect_identical(GenomicRanges::width(ranges), nchar(scores$ref))
  expect_identical(GenomicRanges::start(ranges), scores$position)
  expect_equal(ranges$abs_logfc_x_jsd, scores$abs_logfc_x_jsd, tolerance = 1e-12)
  expect_error(variant_scores_as_granges(data.frame(a = 1)), class = "seqlift_error_argument")
  other <- tempfile()
  writeLines("variant\tchromosome", other)
  expect_error(variant_scores_as_granges(other), class = "seqlift_error_argument")
})
