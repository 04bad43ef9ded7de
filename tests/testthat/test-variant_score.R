test_that("scores are those of both alleles' predictions, averaged over strands", {
  skip_without_genomes()
  model <- heads_model()
  for (width in c(24, 25)) {
    found <- score_variants(model, several_variants(), variant_genome(), width = width)
    expect_identical(nrow(found), 5L)
    for (i in seq_len(nrow(found))) {
      expected <- scores_by_hand(model, found[i, ], width)
      expect_equal(c(found$ref_counts[i], found$alt_counts[i]), expected$counts, tolerance = 1e-5)
      # The rounding of float32's log counts, of which this is a difference.
      expect_lt(abs(found$logfc[i] - expected$logfc), 5e-7)
      expect_equal(found$original_jsd[i], expected$original_jsd, tolerance = 1e-4)
      expect_equal(found$logfc.strand_se[i], expected$strand_se, tolerance = 1e-4)
    }
    same_length <- nchar(found$ref) == nchar(found$alt)
    expect_identical(found$jsd[same_length], found$original_jsd[same_length])
    expect_true(all(found$jsd[!same_length] != found$original_jsd[!same_length]))
    expect_identical(found$abs_logfc_x_jsd, abs(found$logfc) * found$jsd)
  }
})

test_that("names, places and alleles are as given, in their order", {
  skip_without_genomes()
  found <- score_variants(heads_model(), several_variants()[4:1, ], variant_genome(), width = 24)
  expect_identical(sub("_.*", "", found$variant), c("rs4", "rs4", "rs3", "rs2", "rs1"))
  expect_identical(found$position, c(45L, 45L, 41L, 35L, 30L))
  expect_identical(nchar(found$ref), c(1L, 1L, 4L, 1L, 1L))
  expect_identical(attr(found, "settings")$width, 24L)
})

test_that("one strand is the sequence alone", {
  skip_without_genomes()
  model <- heads_model()
  found <- score_variants(model, several_variants(), variant_genome(),
    width = 24, both_strands = FALSE
  )
  expect_false(any(grepl("strand_se", names(found))))
  y <- predict(model, alleles_by_hand(found[1, ], 24))[[2]]
  expect_equal(found$logfc[1], unname(y[2, 1] - y[1, 1]) / log(2), tolerance = 1e-5)
})

test_that("windows give what whole sequences give, and no change where there is none", {
  skip_without_genomes()
  model <- heads_model()
  find <- function(method, dtype) {
    score_variants(model, several_variants(), variant_genome(),
      width = 24, method = method, dtype = dtype
    )
  }
  expect_equal(find("incremental", "float64"), find("full", "float64"), tolerance = 1e-10)
  expect_equal(find("auto", NULL), find("full", NULL), tolerance = 1e-4)
})

test_that("models that count, models of profiles and several tasks are told apart", {
  skip_without_genomes()
  model <- heads_model()
  all <- score_variants(model, several_variants(), variant_genome(), width = 24)
  of_output <- function(k) {
    score_variants(select_output(model, k), several_variants(), variant_genome(), width = 24)
  }
  counts <- of_output(2)
  profile <- of_output(1)
  expect_identical(counts$logfc, all$logfc)
  expect_false(any(grepl("jsd", names(counts))))
  expect_equal(profile$jsd, all$jsd)
  expect_false(any(grepl("logfc|counts", names(profile))))
  expect_named(
    score_variants(model, several_variants(), variant_genome(), width = 24, profile = 0),
    names(counts)
  )
  # tiny.pt has three numbers a sequence, which here are counts as they are.
  tiny <- test_model("tiny")
  found <- score_variants(tiny, several_variants()[1, ], variant_genome(),
    width = 12, target = 3, count_scale = "linear"
  )
  alleles <- alleles_by_hand(found[1, ], 12)
  both <- (predict(tiny, alleles) + predict(tiny, turned_letters(alleles)))[, 3] / 2
  expect_equal(c(found$ref_counts, found$alt_counts), unname(both), tolerance = 1e-5)
})

test_that("the only length that a model takes is found", {
  skip_without_genomes()
  run <- function(models, ...) {
    score_variants(models, several_variants()[1, ], variant_genome(),
      target = 1, count_scale = "linear", ...
    )
  }
  tiny <- test_model("tiny")
  expect_identical(run(tiny), run(tiny, width = 12))
  expect_error(run(tiny, width = 13), class = "seqlift_error")
})

test_that("a profile without a dimension for strands is told from counts by its width", {
  y <- list(array(0, c(1, 20)), array(0, c(1, 1)))
  heads <- function(outputs, ...) choose_heads(outputs, list(log_counts = TRUE, ...), "m", NULL)
  expect_identical(heads(y)[c("counts", "profile")], list(counts = 2L, profile = 1L))
  expect_identical(heads(rev(y))[c("counts", "profile")], list(counts = 1L, profile = 2L))
  expect_error(heads(y[c(1, 1)]), class = "seqlift_error_output")
  expect_error(heads(y[c(2, 2)]), class = "seqlift_error_output")
  expect_identical(heads(y[c(2, 2)], counts = 2, profile = 0)$counts, 2L)
  expect_identical(heads(y, counts = 0)["profile"], list(profile = 1L))
  expect_identical(heads(y[1], target = 20)[c("counts", "target")], list(counts = 1L, target = 20L))
  expect_error(heads(y, counts = 1, profile = 1), class = "seqlift_error_output")
})

# ---- several models, peaks, null ---------------------------------------------------------

test_that("several models give their own scores, means and standard errors", {
  skip_without_genomes()
  models <- two_models()
  run <- function(models, ...) {
    score_variants(models, several_variants(), variant_genome(), width = 24, null = 7,
      random_state = 1, ...
    )
  }
  both <- run(models)
  first <- run(models$first)
  second <- run(models$second)
  for (score in c("logfc", "jsd", "abs_logfc_x_jsd")) {
    expect_identical(both[[paste0("first.", score)]], first[[score]])
    expect_identical(both[[paste0("second.", score)]], second[[score]])
    expect_equal(both[[score]], (first[[score]] + second[[score]]) / 2)
    expect_equal(both[[paste0(score, ".se")]], abs(first[[score]] - second[[score]]) / 2)
    p <- paste0(score, ".p_value")
    expect_identical(both[[paste0("first.", p)]], first[[p]])
    expect_equal(both[[paste0(p, "_geometric")]], sqrt(first[[p]] * second[[p]]))
    expect_equal(both[[paste0(score, ".q_value")]], stats::p.adjust(both[[p]], "BH"))
  }
  expect_false(any(grepl("[.]se$|geometric", names(first))))
  expect_false(isTRUE(all.equal(first$logfc, second$logfc)))
})

test_that("peaks are predicted like alleles, or their counts are given", {
  skip_without_genomes()
  model <- heads_model()
  peaks <- GenomicRanges::GRanges("chr1", IRanges::IRanges(c(20, 30, 40, 50), width = 4))
  found <- score_variants(model, several_variants(), variant_genome(),
    width = 24, background = peaks
  )
  letters <- as.character(sequences_from(peaks, variant_genome(), width = 24))
  of_strand <- function(letters) exp(predict(model, letters)[[2]])
  counts <- (of_strand(letters) + of_strand(turned_letters(letters))) / 2
  share <- function(x) vapply(x, function(one) max(mean(counts < one), 1 / 4), 1)
  expect_identical(found$allele1_quantile, share(found$ref_counts))
  expect_identical(found$allele2_quantile, share(found$alt_counts))
  given <- score_variants(model, several_variants(), variant_genome(),
    width = 24, background = as.vector(counts)
  )
  expect_equal(given$jsd_x_active_allele_quantile, found$jsd_x_active_allele_quantile)
})

count_pairs <- function(letters) {
  pairs <- substring(letters, seq_len(nchar(letters) - 1), seq_len(nchar(letters) - 1) + 1)
  table(factor(pairs, outer(c("A", "C", "G", "T"), c("A", "C", "G", "T"), paste0)))
}

test_that("the null has both alleles in the middle of shuffles of the variant's own sequence", {
  skip_without_genomes()
  genome <- open_genome(variant_genome())
  records <- read_scored_variants(several_variants(), genome, 24L, "error", FALSE, environment())
  task <- list(
    held = held_records(records), genome = genome, width = 24L, null = 9L, random_state = 5
  )
  drawn <- draw_null_rows(task)
  expect_length(drawn, 9L)
  expect_true(all(drawn %in% seq_len(nrow(records))))
  own <- records[drawn, ]
  task$null_records <- draw_null_records(task)
  expect_identical(task$null_records, own)
  pairs <- pairs_of_chunk(list(null = TRUE, first = 1L, n = 9L), task, environment())
  letters <- window_letters(own, genome, 24L, environment())
  shuffled <- shuffle_windows(letters, 5 + 1:9, environment())
  expect_true(all(shuffled != letters))
  for (i in 1:9) {
    expect_identical(count_pairs(shuffled[i]), count_pairs(letters[i]))
    row <- own[i, ]
    expect_identical(substr(pairs$alleles$ref[i], 1, 12), substr(shuffled[i], 1, 12))
    expect_identical(substr(pairs$alleles$ref[i], 13, 12 + nchar(row$ref)), row$ref)
    expect_identical(substr(pairs$alleles$alt[i], 13, 12 + nchar(row$alt)), row$alt)
  }
  expect_identical(nchar(unlist(pairs$alleles, use.names = FALSE)), rep(24L, 18))
  # With more variants than the null needs, each at most once.
  task$null <- 3L
  expect_identical(anyDuplicated(draw_null_rows(task)), 0L)
})

test_that("p-values are those of the null's scores, the same for a seed", {
  skip_without_genomes()
  model <- heads_model()
  run <- function(seed) {
    score_variants(model, several_variants(), variant_genome(),
      width = 24, null = 19, random_state = seed
    )
  }
  found <- run(2)
  expect_identical(found, run(2))
  expect_false(identical(found$logfc.p_value, run(3)$logfc.p_value))
  p <- unlist(found[grep("p_value$", names(found))])
  expect_equal(p * 20, round(p * 20))
  expect_true(all(p >= 1 / 20 & p <= 1))
  set.seed(9)
  drawn <- score_variants(model, several_variants(), variant_genome(), width = 24, null = 19)
  set.seed(9)
  again <- score_variants(model, several_variants(), variant_genome(), width = 24, null = 19)
  expect_identical(drawn, again)
})

# ---- inputs ---------------------------------------------------------------------------

vcf_of <- function(table, path) {
  writeLines(c(
    "##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    paste(table$chromosome, table$position, table$variant, table$ref, table$alt, ".", ".", ".",
      sep = "\t"
    )
  ), path)
  path
}

test_that("files, Bioconductor's objects and tables say the same", {
  skip_without_genomes("VariantAnnotation", "Rsamtools")
  model <- heads_model()
  run <- function(variants) score_variants(model, variants, variant_genome(), width = 24)
  table <- several_variants()
  expected <- run(table)
  path <- vcf_of(table, tempfile(fileext = ".vcf"))
  expect_identical(run(path), expected)
  gzip <- paste0(path, ".gz")
  connection <- gzfile(gzip, "wb")
  writeLines(readLines(path), connection)
  close(connection)
  expect_identical(run(gzip), expected)
  expect_identical(run(Rsamtools::bgzip(path, tempfile(fileext = ".vcf.gz"))), expected)
  expect_identical(run(VariantAnnotation::readVcf(path)), expected)
  expect_equal(run(variant_scores_as_granges(expected))$logfc, expected$logfc)
  names(table) <- c("CHROM", "POS", "REF", "ALT", "ID")
  expect_identical(run(table), expected)
})

test_that("variants near ends are refused, dropped or padded", {
  skip_without_genomes()
  model <- heads_model()
  table <- rbind(several_variants()[1, ], data.frame(
    chromosome = "chr1", position = 4, ref = letters_at(4), alt = other_base(letters_at(4)),
    variant = "near"
  ), data.frame(
    chromosome = "elsewhere", position = 4, ref = "A", alt = "C", variant = "unknown"
  ))
  run <- function(table, ...) score_variants(model, table, variant_genome(), width = 24, ...)
  expect_error(run(table[1:2, ]), class = "seqlift_error_variants")
  expect_message(
    expect_message(found <- run(table, out_of_bounds = "drop"), "elsewhere"), "near"
  )
  expect_identical(found, run(table[1, ]))
  padded <- run(table[2, ], out_of_bounds = "pad")
  alleles <- paste0(strrep("N", 9), substr(as.character(variant_genome()[["chr1"]]), 1, 15))
  alleles <- c(alleles, paste0(substr(alleles, 1, 12), table$alt[2], substr(alleles, 14, 24)))
  y <- exp(predict(model, alleles)[[2]]) + exp(predict(model, turned_letters(alleles))[[2]])
  expect_lt(abs(padded$logfc - log2(y[2] / y[1])), 1e-6)
  # A deletion needs the bases behind as well.
  deletion <- data.frame(
    chromosome = "chr1", position = 67, ref = letters_at(67, 4), alt = letters_at(67)
  )
  expect_error(run(deletion), class = "seqlift_error_variants")
  deletion$position <- 66
  deletion$ref <- letters_at(66, 4)
  deletion$alt <- letters_at(66)
  expect_identical(nrow(run(deletion)), 1L)
})

test_that("N in the genome and variants in both cases of letters are scored", {
  skip_without_genomes()
  table <- data.frame(
    chromosome = "chr2", position = c(14, 15), ref = tolower(letters_at(14, 2, "chr2")), alt = "g"
  )
  table$ref[2] <- letters_at(15, 1, "chr2")
  found <- score_variants(heads_model(), table, variant_genome(), width = 24)
  for (i in 1:2) {
    expect_equal(
      found$logfc[i], scores_by_hand(heads_model(), found[i, ], 24)$logfc,
      tolerance = 1e-5
    )
  }
})

test_that("wrong input is told before anything is predicted", {
  skip_without_genomes()
  model <- heads_model()
  genome <- variant_genome()
  table <- several_variants()
  run <- function(models = model, variants = table, ...) {
    score_variants(models, variants, genome, ..., width = 24)
  }
  changed <- function(...) utils::modifyList(table, list(...))
  expect_snapshot(error = TRUE, {
    run(models = list())
    run(models = stats::setNames(two_models(), c("a", "a")))
    run(variants = 1:3)
    run(variants = table[0, ])
    run(variants = table[-3])
    run(variants = changed(position = c(0, 35, 41, 45)))
    run(variants = changed(ref = c("C", "C", "C", "C")))
    run(variants = changed(position = c(30, 35, 41, 450)))
    run(variants = changed(alt = rep("<DEL>", 4)))
    run(profile = 3)
    run(target = 2)
    run(counts = 0, profile = 0)
    run(counts = 1, profile = 2)
    run(null = 0)
    run(background = c(1, NA))
    run(models = two_models(), background = 1:4)
    run(models = select_output(model, 1), background = 1:4)
    run(models = list(model, select_output(model, 1)))
    score_variants(model, table, genome)
    score_variants(test_model("tiny"), table, genome, width = 12)
    score_variants(model, table, genome, 24)
    score_variants(test_model("two_heads"), table, genome, width = 24)
  })
})

test_that("indels as VEP writes them are those of VCF, and other places are refused", {
  skip_if_not_installed("Biostrings")
  skip_if_not_installed("GenomicRanges")
  at <- function(position, n = 1) letters_at(position, n)
  records <- function(...) {
    genome <- open_genome(variant_genome())
    read_scored_variants(data.frame(chromosome = "chr1", ...), genome, 10L, "pad", TRUE,
      rlang::current_env()
    )[c("start", "ref", "alt")]
  }
  vcf <- records(
    position = c(39, 39, 39, 39, 1),
    ref = c(at(39, 3), at(39, 3), at(39), at(39, 3), at(1, 3)),
    alt = c(at(39), at(39), paste0(at(39), "GAT"), paste0(at(39), "T"), at(3))
  )
  # Deletions, an insertion before base 40, one of two alleles, and one at the chromosome's start.
  vep <- records(
    position = c(40, 40, 40, 40, 1), ref = c(at(40, 2), at(40, 2), "-", at(40, 2), at(1, 2)),
    alt = c("-", "", "GAT", "T", "-")
  )
  expect_identical(vep[c(1:3, 5L), ], vcf[c(1:3, 5L), ], ignore_attr = TRUE)
  two <- records(position = 40, ref = at(40, 2), alt = "T,-")
  expect_identical(two, vcf[c(4L, 1L), ], ignore_attr = TRUE)
  with_end <- records(
    position = c(40, 40), end = c(41, 39), ref = c(at(40, 2), "-"), alt = c("-", "GAT")
  )
  expect_identical(with_end, vcf[c(1L, 3L), ], ignore_attr = TRUE)
  # As MAF has it, from the base before the insertion to the base behind it.
  refused <- function(...) expect_error(records(...), class = "seqlift_error_variants")
  refused(position = 39, end = 40, ref = "-", alt = "GAT")
  refused(position = 40, ref = "-", alt = "-")
  refused(position = 40, ref = "", alt = "")
  refused(position = 40, ref = other_base(at(40)), alt = "-")
  # No alternative is none.
  refused(position = 40, ref = at(40), alt = NA)
})
