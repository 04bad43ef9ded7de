# ---- sequences -----------------------------------------------------------------------

# Positions at which two sequences of one length differ.
differing <- function(a, b) {
  which(strsplit(a, "")[[1L]] != strsplit(b, "")[[1L]])
}

reverse_complement <- function(text) {
  paste(rev(strsplit(chartr("ACGT", "TGCA", text), "")[[1L]]), collapse = "")
}

test_that("the demo sequences are eight named windows of 500 upper-case bases", {
  sequences <- demo_sequences()
  expect_length(sequences, 8L)
  expect_identical(anyDuplicated(names(sequences)), 0L)
  expect_identical(unname(nchar(sequences)), rep(500L, 8L))
  expect_false(any(grepl("[^ACGT]", sequences)))
  expect_named(attr(sequences, "origin"), names(sequences))
})

test_that("every site of the table reads its name on its strand", {
  sequences <- demo_sequences()
  sites <- attr(sequences, "sites")
  expect_named(sites, c("sequence", "start", "end", "strand", "name", "planted"))
  expect_true(all(sites$sequence %in% names(sequences)))
  read <- substring(sequences[sites$sequence], sites$start, sites$end)
  minus <- sites$strand == "-"
  read[minus] <- vapply(read[minus], reverse_complement, "")
  expect_identical(unname(read), sites$name)
})

test_that("the full site occurs where the table says and nowhere else", {
  sequences <- demo_sequences()
  sites <- attr(sequences, "sites")
  found <- lapply(names(sequences), function(name) {
    starts <- gregexpr("AGATAAG|CTTATCT", sequences[[name]])[[1L]]
    paste(rep(name, sum(starts > 0L)), starts[starts > 0L])
  })
  full <- sites[sites$name == "AGATAAG", ]
  expect_identical(unlist(found), paste(full$sequence, full$start))
})

test_that("planted windows differ from the untouched ones in their planted sites only", {
  sequences <- demo_sequences()
  sites <- attr(sequences, "sites")
  from <- c(
    fly_planted_AGATAAG = "fly_no_site", fly_planted_GATAA = "fly_no_site",
    yeast_planted_two = "yeast_no_site"
  )
  for (name in names(from)) {
    mine <- sites[sites$sequence == name & sites$planted, ]
    covered <- unlist(Map(seq.int, mine$start, mine$end))
    changed <- differing(sequences[[name]], sequences[[from[[name]]]])
    expect_gt(length(changed), 0L)
    expect_true(all(changed %in% covered), label = name)
  }
  expect_setequal(sites$sequence[sites$planted], names(from))
})

test_that("the untouched yeast windows are chromosome I as Biostrings has it", {
  skip_if_not_installed("Biostrings")
  sequences <- demo_sequences()
  data(yeastSEQCHR1, package = "Biostrings", envir = environment())
  for (name in c("yeast_one_site", "yeast_no_site")) {
    range <- sub(".*:([0-9]+-[0-9]+).*", "\\1", attr(sequences, "origin")[[name]])
    ends <- as.integer(strsplit(range, "-", fixed = TRUE)[[1L]])
    expect_identical(sequences[[name]], substring(yeastSEQCHR1, ends[1L], ends[2L]))
  }
})

test_that("the untouched fly windows are parts of the upstream regions that Biostrings has", {
  skip_if_not_installed("Biostrings")
  sequences <- demo_sequences()
  path <- system.file("extdata", "dm3_upstream2000.fa.gz", package = "Biostrings")
  regions <- Biostrings::readDNAStringSet(path)
  regions <- regions[grepl(" chr3R:", names(regions), fixed = TRUE)]
  for (name in c("fly_one_site", "fly_two_sites", "fly_no_site")) {
    expect_gt(sum(Biostrings::vcountPattern(sequences[[name]], regions)), 0L)
  }
})

# ---- model ---------------------------------------------------------------------------

predict_without_control <- function(model, sequences) {
  predict(model, sequences, args = list(array(0, c(length(sequences), 2L, 500L))))
}

test_that("the demo model gives a profile of both strands and log counts", {
  sequences <- demo_sequences()
  predictions <- predict_without_control(demo_model(), sequences)
  expect_length(predictions, 2L)
  expect_identical(dim(predictions[[1L]]), c(8L, 2L, 400L))
  expect_identical(dim(predictions[[2L]]), c(8L, 1L))
})

test_that("the demo model predicts more reads from more and stronger sites", {
  sequences <- demo_sequences()
  counts <- predict_without_control(demo_model(), sequences)[[2L]][, 1L]
  names(counts) <- names(sequences)
  expect_gt(counts[["fly_planted_GATAA"]], counts[["fly_no_site"]])
  expect_gt(counts[["fly_planted_AGATAAG"]], counts[["fly_planted_GATAA"]] + 0.2)
  expect_gt(counts[["yeast_planted_two"]], counts[["yeast_no_site"]] + 0.8)
  with_site <- c("fly_one_site", "fly_two_sites", "yeast_one_site", "fly_planted_AGATAAG")
  without_site <- c("fly_no_site", "yeast_no_site")
  expect_gt(min(counts[with_site]), max(counts[without_site]) + 0.2)
})

test_that("the predicted reads of a planted site lie 25 bp from it, upstream on each strand", {
  sequences <- demo_sequences()
  sites <- attr(sequences, "sites")
  site <- sites[sites$sequence == "fly_planted_AGATAAG" & sites$planted, ]
  centre <- (site$start + site$end) / 2
  profile <- predict_without_control(demo_model(), sequences["fly_planted_AGATAAG"])[[1L]]
  # The profile begins at base 51 of the window.
  peaks <- apply(profile[1L, , ], 1L, which.max) + 50L
  expect_lt(abs(peaks[1L] - (centre - 25)), 8)
  expect_lt(abs(peaks[2L] - (centre + 25)), 8)
})

test_that("control reads raise the predicted counts", {
  model <- demo_model()
  sequences <- demo_sequences()
  control <- array(0.2, c(length(sequences), 2L, 500L))
  with_control <- predict(model, sequences, args = list(control))[[2L]]
  without_control <- predict_without_control(model, sequences)[[2L]]
  expect_true(all(with_control > without_control))
})

test_that("the held-out performance is that of the model that ships, and it is good", {
  skip_if_not_installed("jsonlite")
  report <- jsonlite::read_json(
    system.file("extdata", "demo_model.json", package = "seqlift", mustWork = TRUE)
  )
  path <- system.file("extdata", "demo_model.pt", package = "seqlift", mustWork = TRUE)
  expect_identical(unname(tools::md5sum(path)), report$model$md5)
  expect_lt(file.size(path), 2 * 1024^2)
  for (genome in report$held_out) {
    expect_gt(genome$counts_pearson, 0.9)
    expect_gt(genome$site_auroc, genome$site_auroc_best - 0.02)
    expect_gt(genome$site_auroc_best, 0.9)
    expect_lt(genome$profile_jensen_shannon, genome$profile_jensen_shannon_flat / 2)
    expect_gt(genome$log_counts_gain_AGATAAG, genome$log_counts_gain_GATAA)
    expect_gt(genome$log_counts_gain_GATAA, 0)
  }
})

# ---- the model of four motifs --------------------------------------------------------

test_that("the sequences for the model of motifs are 600 of 200 upper-case bases", {
  sequences <- demo_sequences("motifs")
  expect_named(sequences, paste0("peak_", 1:600))
  expect_identical(unname(nchar(sequences)), rep(200L, 600L))
  expect_false(any(grepl("[^ACGT]", sequences)))
  expect_identical(anyDuplicated(unname(sequences)), 0L)
})

test_that("three motifs raise what the model of motifs predicts, one lowers it", {
  model <- demo_model("motifs")
  backgrounds <- random_one_hot(c(20, 4, 200), random_state = 0)
  gain <- vapply(c("AGATAAG", "TGACTCA", "CACGTG", "AAATCAC"), function(site) {
    result <- marginalize(model, backgrounds, site)
    mean(result$after - result$before)
  }, 0)
  expect_true(all(gain[1:3] > 0.4))
  expect_lt(gain[[4L]], -0.4)
})

test_that("GATA and E-box add more than alone at the distance that was planted, not farther", {
  backgrounds <- random_one_hot(c(20, 4, 200), random_state = 0)
  # Middles 16 and 30 bp apart.
  together <- motif_cooperativity(demo_model("motifs"), backgrounds, c("AGATAAG", "CACGTG"),
    c(10, 24), count_scale = "linear"
  ) |> suppressMessages()
  expect_gt(together$additive_interaction[1L], 0.4)
  expect_lt(abs(together$additive_interaction[2L]), 0.3)
})

test_that("the held-out performance is that of the model of motifs that ships, and it is good", {
  skip_if_not_installed("jsonlite")
  file <- function(name) system.file("extdata", name, package = "seqlift", mustWork = TRUE)
  report <- jsonlite::read_json(file("demo_motif_model.json"))
  expect_identical(unname(tools::md5sum(file("demo_motif_model.pt"))), report$model$md5)
  expect_gt(report$held_out$pearson, 0.9)
  expect_gt(report$held_out$more_than_alone_16_bp, 0.5)
})

test_that("another name of a demo model is an error that names the two", {
  for (f in list(demo_model, demo_sequences)) {
    for (name in list("ctcf", 1, NULL, c("motifs", "gata"))) {
      expect_error(f(name), "\"gata\", \"motifs\"", class = "seqlift_error_argument")
    }
  }
})
