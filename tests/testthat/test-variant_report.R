skip_if_no_variant_tools <- function() {
  skip_if_not_installed("rmarkdown")
  skip_if_not_installed("Biostrings")
  skip_if_not_installed("GenomicRanges")
  skip_if_not(rmarkdown::pandoc_available("2.0"), "pandoc is not installed")
}

# AGATAAG stands at 750 to 756.
reported_genome <- function() {
  flanks <- demo_sequences()[c("fly_no_site", "yeast_no_site")]
  Biostrings::DNAStringSet(c(
    chr1 = paste0(flanks[1L], demo_sequences()[["fly_planted_AGATAAG"]], flanks[2L])
  ))
}

reported_model <- function() with_args(demo_model(), list(control_track = 0))

breaking <- data.frame(chromosome = "chr1", position = 752, ref = "A", alt = "C", variant = "rs<1>")

variant_page <- function(variant, genome = reported_genome(), ..., n_shuffles = 3L) {
  path <- tempfile(fileext = ".html")
  on.exit(unlink(path))
  variant_report(reported_model(), variant, genome, path,
    width = 500, n_shuffles = n_shuffles, random_state = 0, ...
  )
  page <- paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
  gsub("[[:space:]]+", " ", page)
}

test_that("a variant's page is one file with its scores, both alleles and the motif it breaks", {
  skip_if_no_variant_tools()
  others <- lapply(1:40, function(i) random_one_hot(c(1L, 4L, 7L), random_state = i)[1L, , ])
  names(others) <- paste0("other", 1:40)
  page <- variant_page(breaking,
    motifs = c(list(GATA = one_hot_encode("AGATAAG")[1L, , ]), others)
  )
  sources <- regmatches(page, gregexpr("(src|href)=\"[^\"]*\"", page))[[1L]]
  expect_true(all(grepl("^(src=\"data:|href=\"(data:|#))", sources)))
  images <- regmatches(page, gregexpr("<img [^>]*>", page))[[1L]]
  expect_length(images, 2L)
  expect_true(all(grepl("alt=\"[^\"]{10,}\"", images)))
  expect_match(page, "rs&lt;1&gt;")
  expect_no_match(page, "rs<1>")
  scores <- score_variants(reported_model(), breaking, reported_genome(), width = 500)
  expect_match(page, report_number(scores$ref_counts), fixed = TRUE)
  expect_match(page, report_number(scores$jsd), fixed = TRUE)
  expect_match(page, "The variant breaks [ACGT]*GATAA[ACGT]* \\(like GATA\\)")
  expect_match(page, "variant_report(", fixed = TRUE)
  # The other way round the motif is made.
  letters <- as.character(reported_genome())
  substr(letters, 752, 752) <- "C"
  turned <- Biostrings::DNAStringSet(letters)
  made <- variant_page(transform(breaking, ref = "C", alt = "A"), turned)
  expect_match(made, "The variant makes [ACGT]*GATAA")
})

test_that("both alleles are compared with the same references", {
  skip_if_no_variant_tools()
  opened <- open_genome(reported_genome())
  record <- read_scored_variants(breaking, opened, 500L, "error", TRUE, rlang::current_env())
  report <- list(
    model = reported_model(), record = record, width = 500L, flank = 35L,
    references = dinucleotide_shuffle, heads = list(counts = 2L, profile = 1L, target = 1L),
    alleles = put_alleles(window_letters(record, opened, 500L, rlang::current_env()), record, 500L),
    settings = list(n_shuffles = 3L, random_state = 0)
  )
  report <- explain_alleles(report, list(), rlang::current_env())
  model <- select_output(reported_model(), 2)
  ref <- deep_lift_shap(model, report$alleles$ref,
    n_shuffles = 3L, random_state = 0, standard_errors = TRUE, return_references = TRUE
  )
  expect_lt(largest_difference(report$attributions[1L, , ], ref), 1e-6)
  expect_lt(largest_difference(standard_errors(report$attributions)[1L, , ],
    standard_errors(ref)), 1e-6)
  alt <- deep_lift_shap(model, report$alleles$alt, references = references(ref))
  expect_lt(largest_difference(report$attributions[2L, , ], alt), 1e-6)
})

test_that("positions of one allele are those of the same letters in the other", {
  # width 11, the variant at 6: left letters stay, right ones move.
  letters <- list(left = letters[1:5], right = letters[7:26])
  alleles <- list(c("x", "y"), c("xyz", "w"), c("w", "xyz"), c("w", "wxyz"))
  for (pair in alleles) {
    record <- list(ref = pair[1L], alt = pair[2L])
    sequence <- function(allele) {
      utils::head(c(letters$left, strsplit(allele, "")[[1L]], letters$right), 11L)
    }
    both <- lapply(pair, sequence)
    for (from in 1:2) {
      outside <- setdiff(seq_len(11L), 5L + seq_len(nchar(pair[from])))
      for (p in outside) {
        there <- other_span(record, 11L, from, c(p, p))
        kept <- there[1L] < 11L
        if (kept) {
          expect_identical(both[[3L - from]][there[1L]], both[[from]][p])
        }
        expect_true(all(there >= 1L & there <= 11L))
      }
    }
  }
})

test_that("a motif is made or broken where the other allele has less than half of it", {
  expect_identical(
    motif_verdict(c(1L, 1L, 1L, 2L, 2L, 1L), c(1, 1, -1, 0.1, 0.6, 1), c(0.4, 0.6, -0.2, 1, 1, -1)),
    c("broken", "kept", "broken", "made", "kept", "broken")
  )
})

test_that("more than one allele and arguments that do not fit are refused; nothing is written", {
  skip_if_no_variant_tools()
  path <- tempfile(fileext = ".html")
  refused <- function(..., class = "seqlift_error_argument") {
    expect_error(variant_report(reported_model(), ..., output_file = path, width = 500),
      class = class
    )
    expect_false(file.exists(path))
  }
  refused(rbind(breaking, breaking), reported_genome(), class = "seqlift_error_variants")
  refused(transform(breaking, alt = "C,G"), reported_genome(), class = "seqlift_error_variants")
  refused(transform(breaking, ref = "G"), reported_genome(), class = "seqlift_error_variants")
  refused(breaking, reported_genome(), n_shuffles = 1L)
  refused(breaking, reported_genome(), references = array(0, c(1, 1, 4, 500)))
  refused(breaking, reported_genome(), flank = 2)
  refused(breaking, reported_genome(), raw_outputs = TRUE)
})
