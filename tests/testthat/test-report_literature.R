# The help page `name` as text: of the source tree, else of the installed package.
help_text <- function(name) {
  file <- test_path("..", "..", "man", paste0(name, ".Rd"))
  page <- if (file.exists(file)) {
    tools::parse_Rd(file)
  } else {
    tools::Rd_db("seqlift")[[paste0(name, ".Rd")]]
  }
  if (is.null(page)) skip("The package is installed without help pages")
  paste(gsub("_\b", "", utils::capture.output(tools::Rd2txt(page))), collapse = " ")
}

test_that("each paper is cited in the help page of its method", {
  literature <- literature()
  expect_identical(anyDuplicated(literature$key), 0L)
  for (i in seq_len(nrow(literature))) {
    text <- gsub("[[:space:]]+", " ", help_text(literature$page[i]))
    surname <- sub(" [A-Z-]+(,.*| and .*)?$", "", sub(",.*", "", literature$authors[i]))
    expect_match(text, paste0(surname, ".{0,120}", literature$year[i]), info = literature$key[i])
  }
})

test_that("every method of attribution is in the table, and every key is a paper", {
  methods <- c(
    "DeepLIFT/SHAP", attribution_methods, paste("DeepLIFT", c("attributions", "multipliers")),
    "saturation mutagenesis (incremental)", "saturation mutagenesis (full)"
  )
  for (method in methods) {
    expect_true(any(startsWith(method, names(literature_of_methods))), info = method)
  }
  literature <- literature()
  expect_true(all(unlist(literature_of_methods) %in% literature$key))
  # Those in the code of the function, too.
  code <- unlist(strsplit(deparse(papers_of), "[^a-z0-9]+"))
  expect_true(all(grep("^[a-z]+(19|20)[0-9]{2}$", code, value = TRUE) %in% literature$key))
})

# CONTRIBUTING.md: a new method of attribution is its own files and no code of other verbs.
test_that("a result of an unknown method is joined, shown, kept and cited by what it says", {
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC")
  new_result <- function(X) {
    codes <- seqlift:::sequence_codes(seqlift:::as_sequences(X))
    colnames(codes) <- names(X)
    seqlift:::new_attributions(array(seq_len(48L * length(X)) / 7, c(length(X), 4L, 12L)), codes,
      matrix(0, length(X), 0L), kind = "effects",
      info = list(method = "Zzz", target = 1L, seconds = 1, papers = "majdandzic2023")
    )
  }
  joined <- seqlift:::join_results(lapply(names(X), function(name) new_result(X[name])))
  expect_s3_class(joined, "seqlift_attributions")
  expect_identical(dim(joined), c(2L, 4L, 12L))
  expect_identical(attr(joined, "info")$seconds, 2)
  expect_output(print(joined), "effects of substitutions.*Zzz")
  expect_identical(methods_references(joined)$key, "majdandzic2023")
  expect_identical(nrow(as.data.frame(joined)), 24L)
  skip_if_not_installed("rhdf5")
  path <- tempfile(fileext = ".h5")
  export_h5(joined, path)
  expect_identical(methods_references(read_h5(path))$key, "majdandzic2023")
})

test_that("results name the papers of what was run", {
  model <- load_model(model_path("tiny"))
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC")
  keys <- function(...) methods_references(...)$key
  shap <- deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0)
  expect_identical(keys(shap), c("shrikumar2017", "lundberg2017", "altschul1985"))
  expect_identical(
    keys(deep_lift_shap(model, X, n_shuffles = 3L, random_state = 0, standard_errors = TRUE))[4L],
    "welford1962"
  )
  expect_identical(
    keys(deep_lift_shap(model, X, references = background_frequencies())),
    c("shrikumar2017", "lundberg2017")
  )
  rows <- list(
    saliency = "simonyan2014", gradient_x_input = "shrikumar2017",
    integrated_gradients = "sundararajan2017",
    expected_gradients = "erion2021", smoothgrad = "smilkov2017",
    guided_backprop = "springenberg2015",
    deconvnet = "zeiler2014", tism = "sasse2024", deep_lift_rescale = "shrikumar2017"
  )
  expect_setequal(names(rows), setdiff(c(names(attribution_methods), names(deep_lift_methods)),
    c("deep_lift_reveal_cancel", "deep_lift_genomics")))
  for (method in names(rows)) {
    expect_identical(keys(attribute(model, X, method))[1L], rows[[method]], info = method)
  }
  expect_true("majdandzic2023" %in% keys(taylor_ism(model, X, output = "corrected")))
  expect_identical(keys(saturation_mutagenesis(model, X, method = "incremental")), "nair2022")
  expect_identical(keys(saturation_mutagenesis(model, X, method = "full")), character())
  expect_identical(keys(dependency_map(model, X[1L])), "dasilva2024")
  expect_identical(keys(pisa(model, X, n_shuffles = 2L)), c("mcanany2025", "shrikumar2017"))
  motifs <- list(a = 4 * diag(4L) + 0.1, b = 4 * diag(4L)[, 4:1] + 0.1)
  expect_identical(keys(suppressMessages(call_hits(shap, motifs))), c("beck2009", "kim2007"))
  pwms <- lapply(motifs, function(motif) motif / 4.4)
  expect_identical(keys(tomtom(pwms, pwms)), c("gupta2007", "tanaka2011"))
  expect_identical(keys(tfmodisco_seqlets(shap, window_size = 5L, flank = 1L)), "shrikumar2018")
  expect_identical(keys(recursive_seqlets(shap)), character())
  scored <- data.frame(chromosome = "chr1", position = 1L, ref = "A", alt = "C", logfc = 1)
  expect_identical(keys(scored), character())
  expect_identical(keys(transform(scored, logfc.p_value = 0.1)), c("phipson2010", "benjamini1995"))
  # Several, and lists: each paper once.
  both <- methods_references(list(a = shap, b = shap), attribute(model, X, "saliency"))
  expect_identical(both$key, c("shrikumar2017", "lundberg2017", "altschul1985", "simonyan2014"))
  expect_identical(both$used_for[3:4], c("references", "attributions"))
})

test_that("the list is printed, and becomes BibTeX that names every author", {
  model <- load_model(model_path("tiny"))
  found <- methods_references(
    attribute(model, "ACGTTGCAAGTC", "expected_gradients", n_shuffles = 2L)
  )
  printed <- utils::capture.output(print(found))
  expect_match(paste(printed, collapse = " "), "Erion G, Janizek JD", fixed = TRUE)
  expect_match(paste(printed, collapse = " "), "doi:10.1038/s42256-021-00343-w", fixed = TRUE)
  bibtex <- utils::toBibtex(found)
  expect_s3_class(bibtex, "Bibtex")
  authors <- "  author = {Erion, G and Janizek, JD and Sturmfels, P and Lundberg, SM and Lee, S-I},"
  expect_true(authors %in% bibtex)
  expect_output(
    print(methods_references(data.frame(example = 1L, start = 1L, end = 2L))), "No paper"
  )
})

test_that("what is no result has no papers", {
  expect_error(methods_references(), "at least one result", class = "seqlift_error_argument")
  for (wrong in list(1, "a", NULL, list(), data.frame(a = 1), list(1), mean)) {
    expect_error(
      methods_references(wrong), "results of this package", class = "seqlift_error_argument"
    )
  }
})

test_that("the package says how it is cited, with its own version", {
  cited <- utils::citation("seqlift")
  expect_length(cited, 1L)
  expect_match(cited$title, "seqlift: Explain")
  version <- as.character(utils::packageVersion("seqlift"))
  expect_match(cited$note, version, fixed = TRUE)
  expect_match(cited$year, "^20[0-9]{2}$")
  file <- test_path("..", "..", "CITATION.cff")
  skip_if(!file.exists(file), "not in the source tree")
  lines <- readLines(file)
  expect_true(paste("version:", version) %in% lines)
  expect_true("cff-version: 1.2.0" %in% lines)
})
