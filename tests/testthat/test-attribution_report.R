skip_if_no_report_tools <- function() {
  skip_if_not_installed("rmarkdown")
  skip_if_not(rmarkdown::pandoc_available("2.0"), "pandoc is not installed")
}

counts_model <- function() {
  demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
}

# The page of a report as one string.
report_page <- function(model, X, ..., n_shuffles = 2L, random_state = 0) {
  path <- tempfile(fileext = ".html")
  on.exit(unlink(path))
  attribution_report(model, X, path, n_shuffles = n_shuffles, random_state = random_state, ...)
  paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
}

# What a reader sees: no tags, no images.
report_text <- function(page) {
  text <- gsub("<(script|style)[^>]*>.*?</\\1>", "", page, perl = TRUE)
  gsub("[[:space:]]+", " ", gsub("<[^>]*>", "", text))
}

report_headings <- function(page) {
  found <- regmatches(page, gregexpr("<h2[^>]*>[^<]*</h2>", page))[[1L]]
  report_text(found)
}

test_that("a report is one page with everything in it", {
  skip_if_no_report_tools()
  X <- demo_sequences()[c("fly_planted_AGATAAG", "fly_no_site")]
  page <- report_page(counts_model(), X,
    annotations = attr(demo_sequences(), "sites")[5, ],
    motifs = c(site = "AGATAAG", broken = "AGCTAAG"),
    variants = data.frame(example = c(1, 1), position = c(100, 252), alt = c("G", "C")),
    title = "What <is> *here*"
  )
  expect_identical(report_headings(page), c(
    "What the model predicts", "What the letters mean", "Which letters matter", "Seqlets",
    "Do the attributions add up?", "What motifs do on their own", "What variants do",
    "How the operations were handled", "How to reproduce"
  ))
  # Nothing is asked of another file or of the network.
  sources <- regmatches(page, gregexpr("(src|href)=\"[^\"]*\"", page))[[1L]]
  expect_true(all(grepl("^(src=\"data:|href=\"(data:|#))", sources)))
  expect_no_match(page, "@import|url\\((?!data:)", perl = TRUE)
  # Every figure says what it shows.
  images <- regmatches(page, gregexpr("<img [^>]*>", page))[[1L]]
  expect_gt(length(images), 6L)
  expect_true(all(grepl("alt=\"[^\"]{10,}\"", images)))

  text <- report_text(page)
  expect_match(page, "What &lt;is&gt; *here*</h1>", fixed = TRUE)
  # The seqlet is the planted site, at 250 to 256.
  expect_match(text, "fly_planted_AGATAAG *24[0-9]–25[0-9] *[ACGT]*AGATAAG[ACGT]* *\\+0\\.")
  expect_match(text, "The attributions add up: what is missing is rounding")
  # The broken site does less; the variant that breaks it comes before the one beside it.
  expect_match(text, "site *AGATAAG *[0-9.]+ *[0-9.]+ *\\+[0-9.]+ *[0-9.]+ *broken *AGCTAAG")
  expect_match(text, "252 *A→C[^A-Z]*fly_planted_AGATAAG *100 *C→G")
  expect_match(text, tools::md5sum(system.file("extdata", "demo_model.pt", package = "seqlift")))
  expect_match(text, "random_state = 0", fixed = TRUE)
  expect_match(text, "LibTorch *[0-9.]+")
})

test_that("the numbers of a report are those of the functions", {
  skip_if_no_report_tools()
  X <- demo_sequences()["yeast_planted_two"]
  model <- counts_model()
  attributions <- deep_lift_shap(model, X, n_shuffles = 3, random_state = 7)
  text <- report_text(report_page(model, X, attributions = attributions, random_state = NULL))
  expect_match(text, paste0("yeast_planted_two *", report_number(predict(model, X)[1L])))
  total <- signed_number(sum(attributions))
  change <- signed_number(summary(attributions)$output_change)
  expect_match(text, paste("yeast_planted_two", total, change), fixed = TRUE)
  seqlets <- recursive_seqlets(attributions)
  strongest <- seqlets[which.max(seqlets$attribution), ]
  expect_match(text, paste0(strongest$start, "–", strongest$end), fixed = TRUE)
  expect_match(text, signed_number(strongest$attribution), fixed = TRUE)
  # The seed is that of the attributions.
  expect_match(text, "3 references a sequence, random_state 7")
  expect_match(text, "random_state = 7", fixed = TRUE)
})

test_that("a report says where sequences, seqlets and variants lie in the genome", {
  skip_if_no_report_tools()
  skip_without_genomes()
  letters <- demo_sequences()[c("fly_planted_AGATAAG", "fly_no_site")]
  genome <- Biostrings::DNAStringSet(c(
    chrA = strrep("N", 1000), chrB = strrep("N", 1000)
  ))
  # The first sequence is read from the minus strand of chrA, 201 to 700.
  Biostrings::subseq(genome[1L], 201, 700) <- Biostrings::reverseComplement(
    Biostrings::DNAStringSet(letters[1L])
  )
  Biostrings::subseq(genome[2L], 401, 900) <- Biostrings::DNAStringSet(letters[2L])
  X <- sequences_from(GenomicRanges::GRanges(
    c(planted = "chrA:201-700:-", none = "chrB:401-900:+")
  ), genome)
  # Position 252 of the first sequence is 700 - 252 + 1; the letters are those of the plus strand.
  variant <- GenomicRanges::GRanges("chrA:449", REF = "T", ALT = "G")
  text <- report_text(report_page(counts_model(), X, variants = variant, n_shuffles = 5L))
  expect_match(text, "planted *chrA:201-700 \\(\u2212\\) *[0-9.]+ *none *chrB:401-900 \\(\\+\\)")
  expect_match(text, "Prediction [0-9.]+[.] chrA:201-700 \\(\u2212\\)")
  expect_match(text, "planted *252 *chrA:449 \\(\u2212\\) *A\u2192C")
  # A seqlet at s to e lies at 700 - e + 1 to 700 - s + 1.
  pattern <- "planted *([0-9]+)\u2013([0-9]+) *chrA:([0-9]+)-([0-9]+) \\(\u2212\\) *[ACGT]+"
  found <- as.integer(regmatches(text, regexec(pattern, text))[[1L]][-1L])
  expect_identical(found[3:4], 701L - found[2:1])
  expect_no_match(report_text(report_page(counts_model(), letters)), "places of the genome")
})

test_that("a report says plainly that there is nothing to see", {
  skip_if_no_report_tools()
  X <- unname(demo_sequences()[1:2])
  themselves <- array(one_hot_encode(X), c(2, 1, 4, 500))
  text <- report_text(report_page(counts_model(), X, references = themselves))
  expect_match(text, "Every attribution is zero")
  expect_match(text, "No seqlets were found")
  expect_match(text, "sequence 1", fixed = TRUE)
})

test_that("names may hold anything, and be the same", {
  skip_if_no_report_tools()
  X <- test_sequences(3L)
  names(X) <- c("<b>*one*</b>", "two & \"a half\"", "two & \"a half\"")
  page <- report_page(test_model("tiny"), X, target = 2, motifs = c("<i>" = "ACG"))
  # In headings, in tables and in what is said of a figure.
  expect_match(page, "<h3>&lt;b&gt;*one*&lt;/b&gt;</h3>", fixed = TRUE)
  expect_match(page, "> *&lt;b&gt;\\*one\\*&lt;/b&gt; *</td>")
  expect_match(page, "alt=\"Logo of &lt;b&gt;*one*&lt;/b&gt;", fixed = TRUE)
  expect_no_match(page, "<em>one", fixed = TRUE)
  expect_identical(escape_markdown("a_b*[c]"), "a\\_b\\*\\[c\\]")
  expect_match(page, "two &amp; &quot;a half&quot; 1", fixed = TRUE)
  expect_match(page, "&lt;i&gt;", fixed = TRUE)
  expect_no_match(page, "<b>", fixed = TRUE)
  expect_match(report_text(page), "target 2", fixed = TRUE)
})

test_that("a method without references has no deltas to show", {
  skip_if_no_report_tools()
  X <- demo_sequences()[1:2]
  model <- counts_model()
  gradients <- attribute(model, X, method = "gradient_x_input")
  text <- report_text(report_page(model, X, attributions = gradients))
  expect_match(text, "compares with no reference")
  expect_match(text, "of another method than DeepLIFT/SHAP")
})

test_that("many long sequences are shown by the few that matter", {
  model <- counts_model()
  X <- demo_sequences()
  report <- list(
    sequences = as_sequences(X), top = 3L, known = NULL,
    attributions = deep_lift_shap(model, X, n_shuffles = 5, random_state = 0)
  )
  report$seqlets <- find_report_seqlets(report)
  drawn <- drawn_sequences(report)
  expect_identical(drawn, unique(report$seqlets$example)[1:3])
  report$top <- 8L
  expect_identical(drawn_sequences(report), 1:8)
  for (i in 1:8) {
    windows <- report_windows_of(report, i)
    expect_true(all(windows$start >= 1L & windows$end <= 500L))
    expect_true(all(windows$end - windows$start == 70L))
    strongest <- report$seqlets[report$seqlets$example == i, ][1L, ]
    if (!is.na(strongest$start)) {
      expect_true(any(windows$start <= strongest$start & windows$end >= strongest$end))
    }
  }
  # Weaker than a tenth of the strongest is not listed; both signs are called.
  size <- abs(report$seqlets$attribution)
  expect_true(all(size >= max(size) / 10) && !is.unsorted(rev(size)))
  turned <- report
  turned$attributions <- -as.array(report$attributions)
  expect_equal(find_report_seqlets(turned)$attribution, -report$seqlets$attribution)
})

test_that("the verdict follows the deltas", {
  one <- function(delta, change) {
    attributions <- new_attributions(array(0, c(1, 4, 5)), c(a = "ACGTA"), matrix(delta),
      kind = "attributions", info = list(largest_output_change = change)
    )
    judge_deltas(attributions)$level
  }
  expect_identical(one(1e-6, 1), "good")
  expect_identical(one(-1e-3, 1), "fair")
  expect_identical(one(-0.5, 1), "bad")
  expect_identical(one(1e-6, 1e-6), "bad")
  expect_identical(one(0, 0), "good")
})

test_that("the code to make a report again has the seed, the model and no data", {
  call <- quote(attribution_report(m, X, output_file = "a.html"))
  call$args <- list(array(0, c(2, 3)))
  model <- with_args(demo_model(), list(control_track = array(0, c(1, 2, 500))))
  code <- reproducing_code(call, profile_score(model), 5)
  expect_match(code, "random_state = 5", fixed = TRUE)
  expect_match(code, "args = args", fixed = TRUE)
  expect_match(code, "profile_score(1)", fixed = TRUE)
  expect_match(code, "# control_track: an array [1, 2, 500]", fixed = TRUE)
  expect_no_error(parse(text = code))
})

test_that("wrong arguments are told before anything is computed", {
  skip_if_no_report_tools()
  model <- counts_model()
  X <- demo_sequences()[1:2]
  path <- tempfile(fileext = ".html")
  refused <- function(class, ...) {
    given <- list(...)
    given <- c(given, list(model = model, X = X, output_file = path)[
      setdiff(c("model", "X", "output_file"), names(given))
    ])
    expect_error(do.call(attribution_report, given), class = paste0("seqlift_error_", class))
    expect_false(file.exists(path))
  }
  with_replaced("compute_report", function(...) stop("computed"), {
    refused("argument", model = 1)
    refused("sequence", X = c("ACGT", "ACG"))
    refused("file", output_file = file.path(tempdir(), "none", "report.html"))
    refused("file", output_file = tempdir())
    refused("argument", title = 1)
    refused("argument", top = 0)
    refused("argument", target = 1:2)
    refused("argument", n_shuffles = 0)
    refused("argument", random_state = -1)
    refused("argument", hypothetical = TRUE)
    refused("args", args = list(array(0, c(3, 2))))
    refused("annotations", annotations = data.frame(start = 1, end = 501))
    refused("file", motifs = "no/such/file.meme")
    refused("argument", motifs = strrep("A", 501))
    refused("argument", motifs = list(c("AC", "GT")))
    refused("variants", variants = data.frame(example = 1, position = 501, alt = "A"))
    refused("variants", variants = data.frame(example = 1, position = 1, ref = "N", alt = "A"))
    refused("argument", attributions = array(0, c(2, 4, 500)))
  })
})

test_that("attributions of something else are refused", {
  skip_if_no_report_tools()
  model <- counts_model()
  X <- demo_sequences()[1:2]
  attributions <- deep_lift_shap(model, X, n_shuffles = 2, random_state = 0)
  refused <- function(attributions) {
    expect_error(
      attribution_report(model, X, tempfile(), attributions = attributions),
      class = "seqlift_error_attributions"
    )
  }
  refused(attributions[1, , ])
  refused(attributions[2:1, , ])
  refused(deep_lift_shap(model, X, n_shuffles = 2, hypothetical = TRUE))
  refused(deep_lift_shap(model, X, n_shuffles = 2, target = c(1, 1)))
  expect_snapshot(error = TRUE, {
    attribution_report(model, X, tempfile(), attributions = attributions[2:1, , ])
    attribution_report(model, X, tempfile(), attributions = attributions[1, , ])
    attribution_report(model, X, tempfile(), colour = "red")
  })
})

test_that("a report that fails leaves the old file and nothing else", {
  skip_if_no_report_tools()
  folder <- new_folder()
  path <- file.path(folder, "report.html")
  writeLines("old", path)
  before <- list.files(tempdir(), pattern = "seqlift-report-")
  with_replaced("plot_deltas", function(...) stop("half way"), expect_error(
    attribution_report(counts_model(), demo_sequences()[1], path, n_shuffles = 2), "half way"
  ))
  expect_identical(readLines(path), "old")
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), "report.html")
  expect_identical(list.files(tempdir(), pattern = "seqlift-report-"), before)
})

test_that("a report can be made within a document", {
  skip_if_no_report_tools()
  folder <- new_folder()
  document <- file.path(folder, "outer.Rmd")
  path <- file.path(folder, "report.html")
  writeLines(c(
    "```{r setup}", "x <- 1", "```", "```{r}",
    "attribution_report(model, X, path, n_shuffles = 2, random_state = 0)", "x", "```"
  ), document)
  environment <- list2env(
    list(model = counts_model(), X = demo_sequences()[1], path = path),
    parent = globalenv()
  )
  rmarkdown::render(document, quiet = TRUE, envir = environment)
  expect_gt(file.size(path), 1e5)
  outer <- paste(readLines(file.path(folder, "outer.html")), collapse = "")
  expect_match(outer, "## [1] 1", fixed = TRUE)
  expect_match(outer, "<code>x</code>|<span[^>]*>x</span>|>x<")
})

test_that("the template of the menu runs as it is", {
  skip_if_no_report_tools()
  skip_if_not_installed("Biostrings")
  folder <- new_folder()
  document <- rmarkdown::draft(file.path(folder, "mine.Rmd"),
    template = "attribution_report", package = "seqlift", edit = FALSE
  )
  rmarkdown::render(document,
    quiet = TRUE, params = list(n_shuffles = 2), envir = new.env(parent = globalenv())
  )
  page <- paste(readLines(file.path(folder, "mine.html")), collapse = "\n")
  expect_match(page, "yeast_one_site", fixed = TRUE)
  expect_match(page, "Logos of the strongest seqlets", fixed = TRUE)
})

test_that("the code that makes a report again tells how to keep a model that was made in R", {
  model <- ensemble(counts_model(), counts_model())
  code <- gsub("\n# ", " ", model_code(model))
  expect_match(code, "# The model was made in R from ensemble(", fixed = TRUE)
  expect_match(code, "save_model(model, \"model.pt\") keeps it", fixed = TRUE)
  expect_match(code, "model <- load_model(\"model.pt\")", fixed = TRUE)
  expect_match(model_code(counts_model()), "load_model(\"/", fixed = TRUE)
})
