# Made once: finding the shape of the control track takes time.
counts_model <- local({
  model <- NULL
  function() {
    if (is.null(model)) {
      model <<- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
    }
    model
  }
})

# Of the demo's sequences the part around what was planted, at 101 to 107.
short_sequences <- function(names) {
  X <- demo_sequences()[names]
  stats::setNames(substr(X, 150, 349), names)
}

# What a page is made of as one string, without its figures and without pandoc: most tests need no
# more, and it takes a fraction of the time.
report_page <- function(model, X, ..., n_shuffles = 2L, random_state = 0) {
  path <- tempfile(fileext = ".html")
  on.exit(unlink(path))
  with_replaced("render_report", knit_without_figures, {
    attribution_report(model, X, path, n_shuffles = n_shuffles, random_state = random_state, ...)
  })
  read_page(path)
}

knit_without_figures <- function(report, path) {
  no_figure <- function(folder, plot, height, alt) {
    cat("<img alt=\"", escape_html(alt), "\">", sep = "")
  }
  envir <- rlang::env(rlang::ns_env("seqlift"), report = report, report_figure = no_figure)
  knitr::knit(report_resource("report.Rmd"), output = path, quiet = TRUE, envir = envir)
}

read_page <- function(path) paste(readLines(path, encoding = "UTF-8"), collapse = "\n")

# The code that a page prints, as a reader would copy it.
printed_code <- function(page) {
  code <- regmatches(page, regexpr("(?s)<pre><code>library.*?</code></pre>", page, perl = TRUE))
  code <- gsub("<[^>]*>", "", code)
  marks <- c("&lt;" = "<", "&gt;" = ">", "&quot;" = "\"", "&amp;" = "&")
  for (mark in names(marks)) code <- gsub(mark, marks[[mark]], code, fixed = TRUE)
  code
}

test_that("a report is one page with everything in it, and its code makes it again", {
  skip_if_no_report_tools()
  folder <- new_folder()
  X <- short_sequences(c("fly_planted_AGATAAG", "fly_no_site"))
  names(X)[2] <- "<b>*none*</b> & \"half\""
  path <- file.path(folder, "report.html")
  # What is being done is told.
  told <- capture_messages(attribution_report(counts_model(), X, path,
    annotations = data.frame(start = 101, end = 107, sequence = 1, name = "AGATAAG"),
    n_shuffles = 2L, random_state = 0,
    motifs = c(site = "AGATAAG", broken = "AGCTAAG"),
    variants = data.frame(
      example = 1, position = c(10, 103, 103, 101), ref = c(substr(X[1], 10, 10), "A", "ATAAG", ""),
      alt = c(chartr("ACGT", "TGCA", substr(X[1], 10, 10)), "C", "", "GGGG"),
      variant = paste0("rs", 1:4)
    ),
    title = "What <is> *here*", verbose = TRUE
  ))
  for (step in c(report_steps, "Figures and page")) {
    expect_true(any(grepl(step, told, fixed = TRUE)), info = step)
  }
  page <- read_page(path)
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
  expect_no_match(text, "places of the genome")
  expect_match(page, "What &lt;is&gt; *here*</h1>", fixed = TRUE)
  expect_match(page, "<h3>&lt;b&gt;*none*&lt;/b&gt; &amp; ", fixed = TRUE)
  expect_no_match(page, "<b>", fixed = TRUE)
  # The seqlet is the planted site.
  expect_match(text,
    "fly_planted_AGATAAG *(9[0-9]|10[01])–1[01][0-9] *[ACGT]*GATAA[ACGT]* *\\+1\\.0"
  )
  expect_match(text, "The attributions add up: what is missing is rounding")
  # The broken site does less; the variants that break it come before the one beside it.
  expect_match(text, "site *AGATAAG *[0-9.]+ *[0-9.]+ *\\+[0-9.]+ *[0-9.]+ *broken *AGCTAAG")
  expect_match(text, paste0(
    "rs3 *fly_planted_AGATAAG *103 *deletion of ATAAG[^A-Z]*",
    "rs2 *fly_planted_AGATAAG *103 *A→C"
  ))
  expect_match(text, "rs4 *fly_planted_AGATAAG *101 *insertion of GGGG")
  expect_match(page,
    "<h3>rs3, fly_planted_AGATAAG, 103 deletion of ATAAG: effect \u2212[0-9.]*</h3>"
  )
  expect_match(text, tools::md5sum(system.file("extdata", "demo_model.pt", package = "seqlift")))
  expect_match(text, "LibTorch *[0-9.]+")

  # As it is printed, in the folder of the page and in a document that has chunks of the same names.
  writeLines(
    c("```{r setup}", "x <- 1", "```", "```{r}", printed_code(page), "x", "```"),
    file.path(folder, "outer.Rmd")
  )
  old <- setwd(folder)
  on.exit(setwd(old))
  no_image <- function(folder, plot, width, height, alt) {
    paste0("<img alt=\"", escape_html(alt), "\">")
  }
  outer <- with_replaced("report_image", no_image, {
    knitr::knit("outer.Rmd", quiet = TRUE, envir = new.env(parent = globalenv()))
  })
  expect_true(any(readLines(outer) == "## [1] 1"))
  # Figures are drawn from the numbers, which are the same.
  before_code <- function(page) {
    page <- sub("(?s)<h2[^>]*>How to reproduce.*", "", page, perl = TRUE)
    gsub("\\s+", " ", gsub("<img [^>]*(alt=\"[^\"]*\")[^>]*>", "<img \\1>", page))
  }
  expect_identical(before_code(read_page("report-again.html")), before_code(page))
  expect_gt(nchar(before_code(page)), 1e4)
  inputs <- report_inputs("report.html")
  expect_identical(inputs$X, X)
  expect_identical(inputs$motifs, c(site = "AGATAAG", broken = "AGCTAAG"))
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
  letters <- short_sequences(c("fly_planted_AGATAAG", "fly_no_site"))
  genome <- Biostrings::DNAStringSet(c(chrA = strrep("N", 500), chrB = letters[[2L]]))
  # The first sequence is read from the minus strand of chrA, 201 to 400.
  Biostrings::subseq(genome[1L], 201, 400) <- Biostrings::reverseComplement(
    Biostrings::DNAStringSet(letters[1L])
  )
  X <- sequences_from(GenomicRanges::GRanges(
    c(planted = "chrA:201-400:-", none = "chrB:1-200:+")
  ), genome)
  # Position 103 of the first sequence is 400 - 103 + 1; the letters are those of the plus strand.
  variant <- GenomicRanges::GRanges("chrA:298", REF = "T", ALT = "G")
  text <- report_text(report_page(counts_model(), X, variants = variant))
  expect_match(text, "planted *chrA:201-400 \\(\u2212\\) *[0-9.]+ *none *chrB:1-200 \\(\\+\\)")
  expect_match(text, "Prediction [0-9.]+[.] chrA:201-400 \\(\u2212\\)")
  expect_match(text, "planted *103 *chrA:298 \\(\u2212\\) *A\u2192C")
  # A seqlet at s to e lies at 400 - e + 1 to 400 - s + 1.
  pattern <- "planted *([0-9]+)\u2013([0-9]+) *chrA:([0-9]+)-([0-9]+) \\(\u2212\\) *[ACGT]+"
  found <- as.integer(regmatches(text, regexec(pattern, text))[[1L]][-1L])
  expect_identical(found[3:4], 401L - found[2:1])
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
  expect_identical(escape_markdown("a_b*[c]"), "a\\_b\\*\\[c\\]")
  expect_match(page, "two &amp; &quot;a half&quot; 1", fixed = TRUE)
  expect_match(page, "&lt;i&gt;", fixed = TRUE)
  expect_no_match(page, "<(b|i)>")
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

# A job as attribution_report() checks it, with what reproducing_code() needs.
job_of <- function(model, X, ...) {
  caught <- NULL
  with_replaced("compute_report", function(job, call) {
    caught <<- job
    stop("caught")
  }, try(
    attribution_report(model, X, tempfile(fileext = ".html"), random_state = 5, ...),
    silent = TRUE
  ))
  caught
}

test_that("the code to make a report again has every setting, and the page every input", {
  skip_if_no_report_tools()
  X <- test_sequences(2L)
  model <- with_args(test_model("two_heads"), list(array(1:24, c(1, 2, 12)))) |> select_output(2)
  references <- one_hot_encode(X)[, c(4, 3, 2, 1), ]
  dim(references) <- c(2, 1, 4, 12)
  job <- job_of(model, X,
    references = references, dtype = "float64", title = "a \"title\"",
    nonlinear_ops = list(ReLU = function(x, x_ref, y, y_ref, grad_output) grad_output),
    variants = data.frame(example = "two", position = 4, alt = "C", variant = "rs1"),
    annotations = data.frame(start = 2, end = 3, sequence = "two", name = "here")
  )
  expect_match(job$code, "random_state = 5", fixed = TRUE)
  expect_match(job$code, "select_output(2)", fixed = TRUE)
  # Everything but the model, from the inputs of a page, is what was given.
  read <- function(job) {
    path <- tempfile(fileext = ".html")
    on.exit(unlink(path))
    writeLines(c("<html>", inputs_element(job$inputs), "</html>"), path)
    report_inputs(path)
  }
  inputs <- read(job)
  expect_identical(inputs$X, X)
  expect_identical(inputs$references, references)
  expect_identical(inputs$model_args[[1L]], array(1:24, c(1, 2, 12)))
  expect_equal(inputs$variants[1:4], data.frame(example = 2L, position = 4L, ref = "T", alt = "C"))
  call <- parse(text = job$code)
  given <- as.list(call[[length(call)]])
  again <- NULL
  with_replaced("attribution_report", function(...) again <<- list(...), {
    eval(call[[length(call)]], list(model = model, inputs = inputs), asNamespace("seqlift"))
  })
  again <- do.call(job_of, again[setdiff(names(again), c("", "random_state"))] |>
    c(list(model = model, X = inputs$X)), quote = TRUE)
  for (field in setdiff(names(job), c("code", "labels", "settings", "known", "inputs", "model"))) {
    expect_equal(again[[field]], job[[field]], info = field)
  }
  expect_equal(again$known$label, job$known$label)
  expect_identical(again$settings[c("dtype", "n_shuffles")], job$settings[c("dtype", "n_shuffles")])
  rule_of <- function(job) deparse(job$settings$nonlinear_ops$ReLU)
  expect_identical(rule_of(again), rule_of(job))
})

test_that("inputs of every kind come back to the bit, and nothing else is read as inputs", {
  skip_if_not_installed("jsonlite")
  values <- list(
    a = c(x = 1 / 3, y = NA, z = -Inf), b = c("é", NA, "\"</script>\""), c = NULL, d = TRUE,
    e = array(rnorm(8), c(2, 2, 2), list(c("r", "s"), NULL, NULL)), f = as.raw(0:3),
    g = data.frame(n = 1:2, t = c("a", "b")), h = list(1L, list("x")),
    i = character(), j = numeric()
  )
  element <- inputs_element(values)
  path <- tempfile(fileext = ".html")
  writeLines(element, path)
  expect_identical(report_inputs(path), values)
  # Attributions with their deltas and places.
  attributions <- deep_lift_shap(test_model("tiny"), test_sequences(2L),
    n_shuffles = 2, random_state = 1
  )
  writeLines(inputs_element(list(attributions = attributions)), path)
  back <- report_inputs(path)$attributions
  expect_identical(as.array(back), as.array(attributions))
  expect_identical(convergence_deltas(back), convergence_deltas(attributions))
  refused <- function(lines) {
    writeLines(lines, path)
    expect_error(report_inputs(path), class = "seqlift_error_file")
  }
  refused("<html></html>")
  refused(sub(">.", ">!", element))
  refused(substr(element, 1L, nchar(element) - 40L))
  refused(paste0("<script id=\"", report_inputs_mark, "\">AAAA</script>"))
  odd <- jsonlite::base64_enc(memCompress(charToRaw("{\"type\":\"closure\"}"), "gzip"))
  refused(paste0("<script id=\"", report_inputs_mark, "\">", odd, "</script>"))
  expect_error(report_inputs(tempfile()), class = "seqlift_error_file")
})

test_that("the code says how load_model() was called", {
  model <- counts_model()
  model$layout <- layout_of("NLC")
  model$conduct <- list(joint = TRUE, random_state = 3)
  expect_match(model_code(model),
    "batch = \"joint\", allow_random = TRUE, random_state = 3, layout = \"NLC\")",
    fixed = TRUE
  )
  model$layout <- layout_of("tokens", c(7, 8, 9, 10, -1))
  expect_match(model_code(model), "layout = c(A = 7, C = 8, G = 9, T = 10))", fixed = TRUE)
  expect_identical(value_code(list(a = "x", 2)), "list(a = \"x\", 2)")
})

test_that("seqlets that overlapping sequences share are one", {
  skip_if_not_installed("GenomicRanges")
  seqlets <- data.frame(
    example = c(1, 2, 3, 1, 2, 3), start = c(11, 6, 5, 30, 26, 1), end = c(18, 13, 12, 37, 33, 8),
    attribution = c(5, 4, 3, -2, 1, 0.5)
  )
  # The second sequence begins 5 bp behind the first; the third is elsewhere.
  ranges <- GenomicRanges::GRanges(c("chr1:101-150:+", "chr1:106-155:+", "chr2:101-150:+"))
  expect_identical(number_seqlets(seqlets, ranges), c(1L, 1L, 2L, 3L, 4L, 5L))
  expect_identical(number_seqlets(seqlets, NULL), 1:6)
  # On the other strand positions count from the other end.
  minus <- seqlets[1:2, ]
  minus$start[2] <- 55 - 18 + 1
  minus$end[2] <- 55 - 11 + 1
  turned <- GenomicRanges::GRanges(c("chr1:101-150:+", "chr1:106-155:-"))
  expect_identical(number_seqlets(minus, turned), c(1L, 1L))
  expect_identical(number_seqlets(seqlets[0, ], ranges), integer())
})

test_that("logos have one scale with a floor, the heatmap the strongest rows", {
  values <- array(0, c(60, 4, 5))
  values[, 1, 3] <- seq_len(60) / 1e6
  attributions <- new_attributions(values, rep("AAAAA", 60), matrix(0, 60, 1),
    kind = "attributions"
  )
  report <- list(
    attributions = attributions, predictions = c(-2, 1), sequences = list(n = 60L),
    variant_logos = NULL
  )
  expect_identical(report_limits(report), c(-0.002, 0.002))
  report$variant_logos <- list(before = attributions[1:2, , ], after = attributions[1:2, , ])
  report$variant_logos$after <- new_attributions(values[1:2, , ] - 0.5 * (values[1:2, , ] > 0),
    rep("AAAAA", 2), matrix(0, 2, 1), kind = "attributions"
  )
  expect_equal(report_limits(report), c(-0.5 + 1e-6, 0.002))
  expect_identical(heatmap_sequences(report), 60L - rev(seq_len(heatmap_max_labels)) + 1L)
})

test_that("a report shows the 20 variants with the largest effects and folds the rest", {
  skip_if_no_report_tools()
  X <- test_sequences(1L)
  variants <- data.frame(example = 1, position = rep(1:12, each = 3), alt = c("A", "C", "G"))
  expect_message(
    page <- report_page(test_model("tiny"), X, variants = variants), "as both ref and alt",
    class = "seqlift_message_dropped"
  )
  expect_no_match(report_text(page), "([ACGT])→\\1")
  table <- regmatches(page, gregexpr("(?s)<table>.*?</table>", page, perl = TRUE))[[1L]]
  of_variants <- table[grepl("Effect", table)]
  rows <- lengths(regmatches(of_variants, gregexpr("<tr>", of_variants))) - 1L
  expect_identical(rows[1L], report_table_rows)
  expect_match(page, paste0("<summary>All ", rows[2L], " variants</summary>"))
  expect_error(
    attribution_report(test_model("tiny"), X, tempfile(), variants = variants, strict = TRUE),
    class = "seqlift_error_variants"
  )
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
  with_replaced("plot_heatmap", function(...) stop("half way"), expect_error(
    attribution_report(test_model("tiny"), test_sequences(2L), path, n_shuffles = 2), "half way"
  ))
  expect_identical(readLines(path), "old")
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), "report.html")
  expect_identical(list.files(tempdir(), pattern = "seqlift-report-"), before)
})

test_that("the template of the menu runs as it is", {
  skip_if_no_report_tools()
  skip_if_not_installed("Biostrings")
  folder <- new_folder()
  one_sequence <- file.path(folder, "one.fa")
  writeLines(c(">yeast_one_site", demo_sequences()[["yeast_one_site"]]), one_sequence)
  document <- rmarkdown::draft(file.path(folder, "mine.Rmd"),
    template = "attribution_report", package = "seqlift", edit = FALSE
  )
  rmarkdown::render(document,
    quiet = TRUE, envir = new.env(parent = globalenv()), run_pandoc = FALSE, clean = FALSE,
    params = list(n_shuffles = 2, sequences = one_sequence)
  )
  page <- paste(readLines(file.path(folder, "mine.knit.md")), collapse = "\n")
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

test_that("an interactive report has the viewer on the screen and the logos in print", {
  skip_if_no_report_tools()
  skip_if_not_installed("htmlwidgets")
  model <- load_model(model_path("tiny"))
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC")
  path <- file.path(new_folder(), "page.html")
  write <- function(...) {
    attribution_report(model, X, path, n_shuffles = 2L, random_state = 0, ...)
    read_page(path)
  }
  known <- data.frame(start = 3L, end = 6L, name = "known site", sequence = "two")
  page <- write(interactive = TRUE, annotations = known)
  static <- write(annotations = known)
  images <- function(page) lengths(regmatches(page, gregexpr("<img ", page)))
  expect_identical(images(page), images(static))
  expect_match(page, "<div class=\"print-only\">", fixed = TRUE)
  expect_no_match(static, "<div class=\"print-only\">", fixed = TRUE)
  expect_no_match(static, "view_attributions html-widget", fixed = TRUE)
  expect_no_match(page, "{=html}", fixed = TRUE)
  expect_no_match(page, "<(script|link)[^>]* (src|href)=\"(?!data:)", perl = TRUE)
  # The code that makes it again says so, too.
  expect_match(printed_code(page), "interactive = TRUE", fixed = TRUE)

  browser <- find_browser()
  skip_if(is.na(browser), "No Chromium or Chrome is installed")
  write(interactive = TRUE, annotations = known)
  dom <- dom_of_page(browser, path, new_folder())
  # Only the page's script makes these.
  expect_match(dom, "seqlift-viewer", fixed = TRUE)
  expect_match(dom, "<select", fixed = TRUE)
  expect_match(dom, ">two</option>", fixed = TRUE)
})

test_that("`interactive` is TRUE or FALSE", {
  expect_error(
    attribution_report(load_model(model_path("tiny")), "ACGTTGCAAGTC", "x.html", interactive = NA),
    "interactive", class = "seqlift_error_argument"
  )
})
