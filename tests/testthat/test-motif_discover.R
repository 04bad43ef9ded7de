# Sequences with sites of two motifs, whose letters have positive (GATAAG) and negative (CACCTG)
# contributions, some as their reverse complement, and noise elsewhere.
planted <- function(n = 320L, length = 160L) {
  set.seed(7)
  sites <- list(c(3, 1, 4, 1, 1, 3), c(2, 1, 2, 2, 4, 3))
  codes <- matrix(sample.int(4L, n * length, replace = TRUE), n)
  scores <- array(rnorm(n * 4 * length, sd = 0.03), c(n, 4, length))
  for (i in seq_len(n)) {
    motif <- 1L + i %% 2L
    reverse <- i %% 3L == 0L
    letters <- if (reverse) rev(5 - sites[[motif]]) else sites[[motif]]
    at <- sample(60:95, 1L) + 0:5
    codes[i, at] <- letters
    scores[i, , at] <- scores[i, , at] - c(0.4, -0.4)[motif]
    scores[cbind(i, letters, at)] <- c(1, -1)[motif] * c(1, 0.9, 1.2, 1.1, 0.8, 1)
  }
  X <- array(0, dim(scores))
  X[cbind(rep(seq_len(n), length), c(codes), rep(seq_len(length), each = n))] <- 1
  list(X = X, scores = scores)
}

data <- planted()
motifs <- discover_motifs(data$scores, data$X, n_leiden_runs = 5L, random_state = 1)

test_that("both planted motifs are found, with their sign, letters and seqlets", {
  table <- as.data.frame(motifs)
  expect_setequal(table$sign, c("positive", "negative"))
  both <- function(site) paste0(site, "|", chartr("ACGT", "TGCA",
    paste(rev(strsplit(site, "")[[1L]]), collapse = "")))
  expect_match(table$consensus[table$sign == "positive"], both("GATAAG"), all = FALSE)
  expect_match(table$consensus[table$sign == "negative"], both("CACCTG"), all = FALSE)
  expect_gt(sum(table$seqlets[table$sign == "positive"]), 40)
})

test_that("a pattern's matrices are the means over its seqlets", {
  pattern <- motifs[[1L]]
  seqlets <- pattern$seqlets
  one <- function(values, i) {
    own <- values[seqlets$example[i], , seqlets$start[i]:seqlets$end[i]]
    if (seqlets$strand[i] == "-") t(own[4:1, rev(seq_len(ncol(own)))]) else t(own)
  }
  mean_of <- function(values) {
    Reduce(`+`, lapply(seq_len(nrow(seqlets)), function(i) one(values, i))) / nrow(seqlets)
  }
  expect_equal(unname(pattern$ppm), mean_of(data$X), tolerance = 1e-12)
  expect_equal(unname(pattern$hypothetical), mean_of(data$scores), tolerance = 1e-6)
  expect_equal(unname(pattern$contributions), mean_of(data$scores * data$X), tolerance = 1e-6)
  sums <- vapply(seq_len(nrow(seqlets)), function(i) sum(one(data$scores * data$X, i)), 1)
  expect_equal(seqlets$attribution, sums, tolerance = 1e-6)
  parts <- sum(vapply(pattern$subpatterns, function(part) nrow(part$seqlets), 1L))
  expect_identical(parts, nrow(seqlets))
})

test_that("the same seed gives the same, with any number of threads", {
  for (threads in 1:2) {
    found <- with_threads(threads, {
      discover_motifs(data$scores, data$X, n_leiden_runs = 5L, random_state = 1)
    })
    expect_identical(found, motifs)
  }
})

test_that("window sums in a file, and pieces of a few sequences, give the same", {
  with_replaced("held_window_sums", 1000, with_replaced("score_piece", 4 * 160 * 50, {
    found <- discover_motifs(data$scores, data$X, n_leiden_runs = 5L, random_state = 1)
    expect_identical(found, motifs)
    sums <- core_window_sums
    with_replaced("core_window_sums", function(...) sums(..1, ..2, ..3, "/no/such/folder"), {
      expect_error(
        discover_motifs(data$scores, data$X), "No such file", class = "seqlift_error_file"
      )
    })
  }))
})

test_that("of each sign the first seqlets are taken", {
  all <- attr(motifs, "settings")
  some <- discover_motifs(data$scores, data$X, max_seqlets = 110L, n_leiden_runs = 2L,
    random_state = 1)
  expect_identical(
    attr(some, "settings")[c("n_called", "n_seqlets")], all[c("n_called", "n_seqlets")]
  )
  expect_lte(sum(vapply(some, function(one) nrow(one$seqlets), 1L)), 220L)
  expect_gt(length(some), 0L)
  expect_length(discover_motifs(data$scores, data$X, max_seqlets = 1L, n_leiden_runs = 1L), 0L)
})

test_that("positions are those of the whole sequence where a window is searched", {
  some <- discover_motifs(data$scores, data$X, window = 140L, n_leiden_runs = 2L, random_state = 1)
  expect_gte(min(some[[1L]]$seqlets$start), 11L)
  expect_lte(max(some[[1L]]$seqlets$end), 150L)
  seqlets <- some[[1L]]$seqlets
  letters <- some[[1L]]$ppm[15L, ]
  expect_equal(sum(letters), 1)
})

test_that("results of a method are taken, and other kinds refused", {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  result <- deep_lift_shap(model, demo_sequences(),
    n_shuffles = 2L, hypothetical = TRUE, random_state = 0
  )
  few <- discover_motifs(result, n_leiden_runs = 1L)
  expect_length(few, 0L)
  expect_output(print(few), "0 patterns")
  observed <- deep_lift_shap(model, demo_sequences()[1], n_shuffles = 2L, random_state = 0)
  expect_error(discover_motifs(observed), "hypothetical", class = "seqlift_error_attributions")
  expect_error(discover_motifs(result, X = demo_sequences()), class = "seqlift_error_argument")
})

test_that("what cannot be used is refused before work starts", {
  refused <- function(..., class = "seqlift_error_argument") {
    expect_error(discover_motifs(...), class = class)
  }
  refused(data$scores)
  refused(data$scores, data$X[1:3, , ])
  refused(data$scores[, 1:3, ], data$X, class = "seqlift_error_attributions")
  refused(replace(data$scores, 5L, NaN), data$X, class = "seqlift_error_attributions")
  refused(0 * data$scores, data$X, class = "seqlift_error_attributions")
  refused(data$scores, data$X, flank_size = 75L)
  refused(data$scores, data$X, window = 161L)
  refused(data$scores, data$X, n_leiden_runs = 0L)
  refused(data$scores, data$X, random_state = "a")
  refused(data$scores, data$X, unknown = 1)
})

test_that("patterns are chosen, listed and drawn", {
  expect_s3_class(motifs[1L], "seqlift_motifs")
  expect_length(motifs[1L], 1L)
  expect_identical(names(motifs["pos_patterns.pattern_0"]), "pos_patterns.pattern_0")
  expect_error(motifs["none"], class = "seqlift_error_argument")
  expect_output(print(motifs), "pos_patterns.pattern_0")
  expect_false(is.unsorted(-summary(motifs)$seqlets))
  panels <- levels(ggplot2::layer_data(plot(motifs))$PANEL)
  expect_length(panels, 2L * length(motifs))
  # Beside many panels there is room for a name and its strand.
  many <- motifs[rep(1L, 5L)]
  names(many) <- paste0("pos_patterns.pattern_", 0:4)
  shown <- levels(suppressMessages(plot(many))$layers[[1L]]$data$panel)
  expect_identical(shorten(shown, 24L), shown)
  expect_setequal(shown, paste(rep(names(many), each = 2L), c("+", "-")))
})

test_that("patterns go to TF-MoDISco's file and back", {
  skip_if_not_installed("rhdf5")
  path <- withr::local_tempfile(fileext = ".h5")
  export_motifs(motifs, path)
  back <- read_motifs(path)
  expect_identical(names(back), names(motifs))
  expect_equal(back[[1L]]$contributions, motifs[[1L]]$contributions)
  columns <- c("example", "start", "end", "strand")
  expect_equal(back[[1L]]$seqlets[columns], motifs[[1L]]$seqlets[columns],
    ignore_attr = TRUE)
})
