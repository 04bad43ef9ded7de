# Two patterns as discover_motifs() gives them, built by hand: AGATAAG, with seqlets on both
# strands, and CACCTG, which lowers.
built_pattern <- function(site, sign, name, seqlets) {
  letters <- t(one_hot_encode(site)[1L, , ])
  noise <- matrix(0.25, 3L, 4L)
  flanked <- function(noise, values) {
    matrix(rbind(noise, values, noise), ncol = 4L, dimnames = list(NULL, c("A", "C", "G", "T")))
  }
  contributions <- (if (sign == "positive") 1 else -1) * letters
  list(
    name = name, sign = sign, ppm = flanked(noise, letters),
    contributions = flanked(0 * noise, contributions), hypothetical = flanked(0 * noise, letters),
    seqlets = seqlets, subpatterns = list()
  )
}

built_motifs <- function(...) {
  seqlets <- data.frame(
    example = c(1L, 2L, 2L, 5L), start = c(11L, 30L, 71L, 40L), end = c(23L, 42L, 83L, 52L),
    attribution = c(2, 4, 3, 1), strand = c("+", "-", "+", "+")
  )
  patterns <- list(
    pos_patterns.pattern_0 = built_pattern(
      "AGATAAG", "positive", "pos_patterns.pattern_0", seqlets
    ),
    neg_patterns.pattern_0 = built_pattern("CACCTG", "negative", "neg_patterns.pattern_0",
      transform(seqlets[1:2, ], attribution = -attribution, end = end - 1L))
  )
  seqlift:::new_motifs(
    patterns, list(n_sequences = 9L, length = 100L, window = 90L, first = 6L, ...)
  )
}

known_motifs <- function() {
  motif <- function(site) one_hot_encode(site)[1L, , ] * 0.9 + 0.025
  others <- c("CCGCGCCC", "TTTCCCAA", "ACACACAC", "GGTTGGTT", "CAATTGAA", "GTGTCAGT")
  c(
    list("reversed <GATA>" = motif("GGCTTATCTCC"), Ebox = motif("TTCACCTGT")),
    stats::setNames(lapply(others, motif), paste0("other", seq_along(others)))
  )
}

motif_page <- function(...) {
  path <- file.path(new_folder(), "motifs.html")
  motif_report(..., output_file = path)
  paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
}

test_that("a page of motifs is one file with everything in it", {
  skip_if_no_report_tools()
  hits <- data.frame(
    sequence = c("a", "a", "b"), start = c(14, 20, 90), end = c(20, 26, 96),
    strand = c("+", "-", "+"),
    motif = "pos_patterns.pattern_0"
  )
  page <- motif_page(built_motifs(), database = known_motifs(), hits = hits, title = "Which <b>?")
  expect_identical(report_headings(page), c(
    "How to read this page", "All patterns", "The patterns one by one", "How to reproduce"
  ))
  sources <- regmatches(page, gregexpr("(src|href)=\"[^\"]*\"", page))[[1L]]
  expect_true(all(grepl("^(src=\"data:|href=\"(data:|#))", sources)))
  images <- regmatches(page, gregexpr("<img [^>]*>", page))[[1L]]
  # In the list, forward, reverse, beside known motifs, positions.
  expect_length(images, 10L)
  expect_true(all(grepl("alt=\"[^\"]{10,}\"", images)))
  # Every link within the page leads somewhere.
  links <- sub("href=\"#", "", grep("href=\"#", sources, value = TRUE), fixed = TRUE)
  expect_true(all(vapply(sub("\"", "", links), function(id) {
    grepl(paste0("id=\"", id, "\""), page, fixed = TRUE)
  }, NA)))
  expect_no_match(page, "<b>?", fixed = TRUE)
  expect_no_match(page, "<GATA>", fixed = TRUE)

  text <- report_text(page)
  expect_match(text, "2 patterns: 1 raises the prediction, 1 lowers the prediction.", fixed = TRUE)
  expect_match(text, "AGATAAG, with 4 seqlets in 3 sequences; it resembles reversed &lt;GATA&gt;",
    fixed = TRUE)
  expect_match(text, "Pattern 1: AGATAAG, like reversed &lt;GATA&gt;", fixed = TRUE)
  expect_match(text, paste(
    "It raises the prediction, by 2.50 for a seqlet on average. 4 seqlets in 3 sequences of 9.",
    "Found 3 times (hits) in 2 sequences."
  ), fixed = TRUE)
  expect_match(text, "It lowers the prediction, by 3 for a seqlet")
  best <- tomtom(built_motifs(), known_motifs(), n_nearest = 3L)
  expect_identical(best$target[1L], "reversed <GATA>")
  expect_match(text, paste("reversed &lt;GATA&gt;", report_number(best$p_value[1L])), fixed = TRUE)
  # The strongest seqlet first.
  expect_match(text, "2 *30\u201342 *\u2212 *\\+4(\\.00)? *2 *71\u201383")
})

test_that("known motifs lie along the pattern where tomtom() found them", {
  motifs <- built_motifs()
  query <- as_motif_matrices(motifs)[[1L]]
  known <- known_motifs()
  best <- tomtom(motifs[1L], known, n_nearest = 1L)
  expect_identical(best$strand, "-")
  laid <- lay_along(query, known[best$target], best$offset, best$strand)
  # GGAGATAAGCC, the reverse complement, and the pattern within it.
  expect_identical(decode_one_hot((laid[2L, , , drop = FALSE] > 0.5) * 1), "GGAGATAAGCC")
  expect_identical(which(colSums(laid[1L, , ]) > 0), 3:9)
  # Before, inside and behind, on either strand: the letters agree.
  for (site in c("AAGCC", "TTTAGATAAG", "GATA", "AGATAAG", "GGCTT", "CTTATCTAAA")) {
    target <- one_hot_encode(site)[1L, , ]
    rownames(target) <- c("A", "C", "G", "T")
    best <- tomtom(motifs[1L], c(list(x = target), known), n_nearest = NULL)
    best <- best[best$target == "x", ]
    laid <- lay_along(query, list(target), best$offset, best$strand)
    both <- colSums(laid[1L, , ]) > 0 & colSums(laid[2L, , ]) > 0
    expect_identical(sum(both), best$overlap)
    expect_equal(laid[1L, , both], laid[2L, , both], ignore_attr = TRUE)
    expect_identical(dim(laid)[3L], 7L + nchar(site) - best$overlap)
  }
})

test_that("bars count the middles of seqlets and hits, by strand", {
  seqlets <- built_motifs()[[1L]]$seqlets
  counts <- function(plot) ggplot2::layer_data(plot, 1L)
  bars <- counts(plot_positions(seqlets, NULL, c(6, 95)))
  # 2 bp wide: 17 in 16.5 to 17.5 ... of the 90 bp.
  expect_equal(unique(bars$xmax - bars$xmin), 2)
  inside <- function(x, bars) any(bars$xmin <= x & x < bars$xmax)
  up <- bars[bars$ymax > 0, ]
  expect_true(all(vapply(c(17, 77, 46), inside, NA, up)) && sum(up$ymax) == 3)
  down <- bars[bars$ymax < 0, ]
  expect_true(inside(36, down) && sum(down$ymax) == -1)
  hits <- data.frame(start = 90, end = 95, strand = "+")
  expect_identical(nlevels(counts(plot_positions(seqlets, hits, c(6, 95)))$PANEL), 2L)
})

test_that("the code on a page makes the page again", {
  skip_if_no_report_tools()
  set.seed(5)
  n <- 250L
  length <- 120L
  codes <- matrix(sample.int(4L, n * length, replace = TRUE), n)
  attributions <- array(rnorm(n * 4L * 80L, sd = 0.1), c(n, 4L, length))
  site <- c(3, 1, 4, 1, 1, 3)
  for (i in seq_len(n)) {
    at <- sample(50:65, 1L) + 0:5
    codes[i, at] <- site
    attributions[i, , at] <- -0.4
    attributions[cbind(i, site, at)] <- 1
  }
  X <- array(0, dim(attributions))
  X[cbind(rep(seq_len(n), length), c(codes), rep(seq_len(length), each = n))] <- 1
  motifs <- discover_motifs(attributions, X, window = 116L, n_leiden_runs = 2L, random_state = 3)
  expect_gt(length(motifs), 0L)
  database <- known_motifs()
  folder <- new_folder()
  path <- file.path(folder, "motifs.html")
  motif_report(motifs[1L], path, database = database, n_matches = 2L)
  page <- paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
  code <- regmatches(page, regexpr("(?s)<pre><code>library.*?</code></pre>", page, perl = TRUE))
  code <- gsub("&quot;", "\"", gsub("&lt;", "<", gsub("<[^>]*>", "", code)), fixed = TRUE)
  unlink(path)
  withr::with_dir(folder, eval(parse(text = code), list(
    attributions = attributions, X = X, database = database
  ), globalenv()))
  again <- paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
  # All but the time of day.
  untimed <- function(page) sub("Made *</td>\\s*<td[^>]*>[^<]*", "", page)
  expect_identical(untimed(again), untimed(page))
})

test_that("a page of motifs from a file says which, and reads it again", {
  skip_if_not_installed("rhdf5")
  motifs <- read_motifs(test_path("motifs", "modisco.h5"))
  code <- motif_report_code(motifs[1L], "x/y.html", "a.meme", data.frame(), "It's \"q\"", 3L)
  steps <- as.list(parse(text = code))
  expect_identical(steps[[2L]], quote(motifs <- read_motifs(PATH)) |>
    (\(step) { step[[3L]][[2L]] <- test_path("motifs", "modisco.h5"); step })())
  kept <- eval(steps[[3L]][[3L]], list(motifs = motifs))
  expect_identical(names(kept), names(motifs)[1L])
  expect_identical(steps[[4L]], quote(
    motif_report(
      motifs, "y.html", database = "a.meme", hits = hits, title = "It's \"q\"", n_matches = 3L
    )
  ))
})

test_that("no pattern, or no database, is said plainly", {
  skip_if_no_report_tools()
  text <- report_text(motif_page(built_motifs()[0L], database = known_motifs()))
  expect_match(text, "No pattern was found")
  expect_match(text, "More sequences help")
  text <- report_text(motif_page(built_motifs()))
  expect_no_match(text, "Known motif p-value|Hits")
})

test_that("what is no motif or hit is refused before anything is written", {
  skip_if_no_report_tools()
  path <- file.path(new_folder(), "motifs.html")
  hits <- data.frame(
    sequence = 1, start = 1, end = 2, strand = "+", motif = "neg_patterns.pattern_0"
  )
  refused <- function(..., class = "seqlift_error_argument", message = NULL) {
    given <- list(motifs = built_motifs(), output_file = path)
    given[...names()] <- list(...)
    expect_error(do.call(motif_report, given), message, class = class)
    expect_false(file.exists(path))
  }
  refused(motifs = known_motifs(), message = "motifs")
  refused(output_file = tempdir(), class = "seqlift_error_file")
  refused(database = 3, message = "database")
  refused(database = "no/such.meme", class = "seqlift_error_file")
  refused(database = list(flat = matrix(0.25, 4L, 5L)), message = "database")
  refused(hits = hits[-5L], message = "without motif")
  refused(hits = list(1), message = "data frame")
  refused(hits = transform(hits, motif = "x{y}"), message = "x\\{y\\}")
  refused(hits = transform(hits, start = 0), message = "start")
  refused(hits = transform(hits, strand = "forward"), message = "strands")
  refused(title = 1)
  refused(n_matches = 0)
})

test_that("a page that fails leaves the old file and nothing else", {
  skip_if_no_report_tools()
  path <- file.path(new_folder(), "motifs.html")
  writeLines("old", path)
  with_replaced("plot_positions", function(...) stop("half way"), expect_error(
    motif_report(built_motifs(), path), "half way"
  ))
  expect_identical(readLines(path), "old")
  expect_identical(list.files(dirname(path), all.files = TRUE, no.. = TRUE), "motifs.html")
})

test_that("a report of attributions shows patterns and tries them", {
  skip_if_no_report_tools()
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  path <- file.path(new_folder(), "report.html")
  attribution_report(model, demo_sequences()[1:2], path,
    n_shuffles = 2L, random_state = 0, motifs = built_motifs()
  )
  page <- paste(readLines(path, encoding = "UTF-8"), collapse = "\n")
  expect_true("Motifs that the model uses" %in% report_headings(page))
  text <- report_text(page)
  expect_match(text, "pos_patterns.pattern_0 *rises *4 *neg_patterns.pattern_0 *falls *2")
  expect_match(text, "pos_patterns.pattern_0 *AGATAAG *[0-9.]+ *[0-9.]+ *\\+[0-9.]+")
  expect_match(page, "alt=\"Logo of the pattern AGATAAG\"", fixed = TRUE)
  expect_error(
    attribution_report(model, demo_sequences()[1:2], path, motifs = built_motifs()[0L]),
    "at least one pattern", class = "seqlift_error_argument"
  )
})
