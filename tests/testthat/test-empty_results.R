# What is empty goes through every pair of writer and reader: a result that says nothing of itself,
# names that are missing or "", tables without rows, results without sequences or motifs. It comes
# back as it was, or is refused by a classed error, and no file is left of it.

X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC", three = "TTGCAAGTCCAG")
explained <- function(names = base::names(X), ...) {
  deep_lift_shap(test_model("tiny"), stats::setNames(X, names),
    n_shuffles = 2L, random_state = 0, hypothetical = TRUE, dtype = "float64", ...
  )
}
places <- function() {
  GenomicRanges::GRanges(c("chr1:11-22", "chr1:31-42", "chr1:51-62"),
    seqinfo = GenomeInfoDb::Seqinfo("chr1", 160L)
  )
}
no_seqlets <- data.frame(
  example = integer(), start = integer(), end = integer(), attribution = numeric(),
  p_value = numeric()
)
pwms <- list(a = 4 * diag(4L) + 0.1, b = 4 * diag(4L)[, 4:1] + 0.1)
no_patterns <- new_motifs(list(), list(), NULL)

# Back from HDF5, and from a SummarizedExperiment.
round_trips <- list(
  h5 = list(c("rhdf5", "HDF5Array"), function(x) {
    path <- tempfile(fileext = ".h5")
    on.exit(unlink(path))
    export_h5(x, path)
    read_h5(path)
  }),
  experiment = list(c("SummarizedExperiment", "Biostrings"), function(x) {
    as_seqlift_attributions(as_summarized_experiment(x))
  })
)

test_that("a result that says little of itself is written and read, and is printed", {
  infos <- list(
    empty = list(), none = NULL, without_names = list(1, "a"),
    odd = list(method = "", x = character(), y = NA, z = list()), `half named` = list(
      method = "own", 3
    )
  )
  for (name in names(infos)) {
    x <- explained()
    attr(x, "info") <- infos[[name]]
    for (trip in round_trips) {
      if (all(vapply(trip[[1L]], requireNamespace, NA, quietly = TRUE))) {
        back <- trip[[2L]](x)
        expect_identical(as.array(back), as.array(x), info = name)
        expect_identical(convergence_deltas(back), convergence_deltas(x), info = name)
      }
    }
    expect_output(print(x), "attributions of 3 sequences", info = name)
    expect_identical(nrow(summary(x)), 3L, info = name)
  }
  skip_if_not_installed("rhdf5")
  x <- explained()
  attr(x, "info") <- infos$odd
  expect_identical(attr(round_trips$h5[[2L]](x), "info"), list(method = ""))
})

test_that("names that are empty, missing, alike or of other letters come back; NA is no name", {
  given <- list(
    empty = c("", "", ""), missing = c(NA, "b", NA), alike = c("a", "a", "b"),
    letters = c("\u00e9", "\U1F9EC", "a b"), none = NULL
  )
  for (name in names(given)) {
    x <- explained(given[[name]])
    expected <- given[[name]]
    if (anyNA(expected)) {
      expected[is.na(expected)] <- ""
    }
    expect_identical(dimnames(x)[[1L]], expected, info = name)
    for (trip in round_trips) {
      if (all(vapply(trip[[1L]], requireNamespace, NA, quietly = TRUE))) {
        expect_identical(dimnames(trip[[2L]](x))[[1L]], expected, info = name)
      }
    }
  }
  skip_if_not_installed("rhdf5")
  path <- tempfile(fileext = ".h5")
  on.exit(unlink(path))
  rhdf5::h5createFile(path)
  write_strings(path, "names", c(NA, "b", ""))
  expect_identical(read_strings(path, "names"), c("", "b", ""))
})

test_that("a result without sequences prints, has tables without rows, and is not written", {
  x <- explained()[integer(), , ]
  expect_no_warning(said <- capture.output(print(x)))
  expect_match(said, "of 0 sequences", all = FALSE)
  expect_false(any(grepl("Inf|NA", said)))
  expect_identical(dim(as.data.frame(x)), c(0L, 4L))
  expect_identical(names(as.data.frame(x)), names(as.data.frame(explained())))
  expect_identical(nrow(summary(x)), 0L)
  folder <- new_folder()
  at <- function(name) file.path(folder, name)
  refused <- function(code, needed = character()) {
    if (all(vapply(needed, requireNamespace, NA, quietly = TRUE))) {
      expect_error(code, "at least one sequence", class = "seqlift_error_argument")
    }
  }
  refused(export_h5(x, at("a.h5")), "rhdf5")
  refused(export_modisco(x, at("a.npz"), at("b.npz")))
  refused(export_bigwig(x, places()[0], at("a.bw")), c("rtracklayer", "GenomicRanges"))
  refused(plot_deltas(x))
  refused(view_attributions(x), "htmlwidgets")
  refused(as_summarized_experiment(x), c("SummarizedExperiment", "Biostrings"))
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), character())
})

test_that("a file of no sequence is told as that, in memory and not", {
  skip_if_not_installed("rhdf5")
  skip_if_not_installed("HDF5Array")
  path <- tempfile(fileext = ".h5")
  on.exit(unlink(path))
  rhdf5::h5createFile(path)
  for (group in c("raw", "shap")) {
    rhdf5::h5createGroup(path, group)
    name <- paste0(group, "/seq")
    suppressMessages(suppressWarnings(rhdf5::h5createDataset(path, name, c(12, 4, 0),
      maxdims = c(12, 4, 10), chunk = c(12, 4, 1)
    )))
  }
  for (in_memory in c(TRUE, FALSE)) {
    expect_error(read_h5(path, in_memory = in_memory), "holds no sequence",
      class = "seqlift_error_file"
    )
  }
})

test_that("no seqlets, no hits and no scores are files without records, and tables without rows", {
  skip_if_not_installed("GenomicRanges")
  folder <- new_folder()
  at <- function(name) file.path(folder, name)
  for (name in c("a.bed", "a.narrowPeak")) {
    export_bed(no_seqlets, at(name), places())
    expect_identical(file.size(at(name)), 0)
    export_bed(places()[0], at(name))
    expect_identical(file.size(at(name)), 0)
  }
  suppressMessages(hits <- call_hits(explained(), pwms)[0L, ])
  export_bed(hits, at("hits.bed"), places())
  expect_identical(file.size(at("hits.bed")), 0)
  expect_length(hits_as_granges(hits, places()), 0L)
  expect_identical(nrow(collapse_hits(hits)), 0L)
  expect_length(seqlets_as_granges(no_seqlets, places()), 0L)
  skip_if_not_installed("Biostrings")
  expect_error(sequences_from(at("a.bed"), Biostrings::DNAStringSet(c(chr1 = strrep("ACGT", 40L)))),
    "at least one region",
    class = "seqlift_error_regions"
  )
  none <- data.frame(variant = character(), chromosome = character(), position = integer(),
    ref = character(), alt = character(), logfc = numeric()
  )
  export_vcf(none, at("none.vcf"))
  lines <- readLines(at("none.vcf"))
  expect_true(all(startsWith(lines, "#")))
  expect_identical(sum(grepl("^##INFO=<ID=logfc,", lines)), 1L)
  expect_length(variant_scores_as_granges(none), 0L)
  sequences <- sequences_from(GenomicRanges::GRanges("chr1:11-20:+"),
    Biostrings::DNAStringSet(c(chr1 = strrep("ACGT", 40L)))
  )
  expect_error(variants_from(at("none.vcf"), sequences), class = "seqlift_error_variants")
})

test_that("names and columns that a format has no word for are written as it says none", {
  skip_if_not_installed("GenomicRanges")
  folder <- new_folder()
  path <- file.path(folder, "a.bed")
  seqlets <- places()
  seqlets$name <- c("", NA, "a")
  export_bed(seqlets, path)
  expect_identical(vapply(strsplit(readLines(path), "\t"), `[`, "", 4L), c(".", ".", "a"))
  scores <- data.frame(variant = c("", NA), chromosome = "chr1", position = c(1e5, 2e5), ref = "A",
    alt = "C", note = "mine"
  )
  export_vcf(scores, file.path(folder, "a.vcf"))
  lines <- readLines(file.path(folder, "a.vcf"))
  expect_identical(grep("^chr1", lines, value = TRUE),
    paste("chr1", c("100000", "200000"), ".", "A", "C", ".", ".", ".", sep = "\t")
  )
  expect_false(any(grepl("INFO=<", lines)))
})

test_that("motifs without names get numbers or words, and no motif is refused everywhere", {
  folder <- new_folder()
  expected <- list(
    list(c("", ""), c("1", "2")), list(c(NA, "a"), c("1", "a")), list(NULL, c("1", "2")),
    list(c(" ", "  "), c("motif", "motif 1"))
  )
  for (ending in c("meme", "jaspar", "pfm")) {
    path <- file.path(folder, paste0("a.", ending))
    for (one in expected) {
      export_motifs(stats::setNames(unname(pwms), one[[1L]]), path)
      expect_named(read_motifs(path), one[[2L]], info = paste(ending, toString(one[[1L]])))
    }
    unlink(path)
    for (none in list(list(), no_patterns)) {
      expect_error(export_motifs(none, path), "no motif|at least one motif",
        class = "seqlift_error_argument"
      )
    }
    file.create(path)
    expect_error(read_motifs(path), "has no motif", class = "seqlift_error_file")
    unlink(path)
  }
  expect_error(export_motifs(no_patterns, file.path(folder, "a.h5")),
    class = "seqlift_error_argument"
  )
  expect_error(as_motif_matrices(no_patterns), class = "seqlift_error_argument")
  expect_error(tomtom(no_patterns, pwms), class = "seqlift_error_argument")
  expect_error(tomtom(pwms, no_patterns), class = "seqlift_error_argument")
  expect_error(call_hits(explained(), no_patterns), class = "seqlift_error_argument")
  expect_output(print(no_patterns), "0 patterns")
  expect_identical(nrow(summary(no_patterns)), 0L)
  expect_identical(list.files(folder), character())
})

test_that("patterns without seqlets go through their file", {
  skip_if_not_installed("rhdf5")
  ppm <- t(pwms$a) / 4.3
  pattern <- list(
    name = "one", sign = "positive", ppm = ppm, contributions = t(pwms$a), hypothetical = t(pwms$a),
    seqlets = modisco_seqlet_table(integer(), integer(), integer(), logical(), numeric()),
    subpatterns = list()
  )
  path <- tempfile(fileext = ".h5")
  on.exit(unlink(path))
  export_motifs(new_motifs(list(one = pattern), list(), NULL), path)
  back <- read_motifs(path)
  expect_identical(nrow(back[[1L]]$seqlets), 0L)
  expect_equal(unname(back[[1L]]$ppm), unname(ppm))
})
