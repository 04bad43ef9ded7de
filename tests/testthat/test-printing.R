widths_of <- function(code, width) {
  old <- options(width = width)
  on.exit(options(old))
  nchar(capture.output(code), "width")
}

test_that("text is broken between words, and within a word that no line holds", {
  old <- options(width = 20)
  on.exit(options(old))
  expect_identical(fold_text("one two three four five", 4L, 0L), c("one two three four", "five"))
  expect_identical(fold_text(strrep("a", 25), 0L), c(strrep("a", 20), strrep("a", 5)))
  expect_identical(fold_text("", 0L), "")
})

test_that("no line of a table is wider than the console", {
  table <- data.frame(
    name = paste0(strrep("long_", 12), 1:3), place = strrep("x", 50), number = c(1.5, 22.25, pi),
    count = 1:3
  )
  for (width in c(40L, 60L, 80L, 200L)) {
    expect_lte(max(widths_of(print_table(table), width)), width)
  }
  # Every name can be told from the others.
  old <- options(width = 60)
  on.exit(options(old))
  lines <- capture.output(print_table(table))
  expect_identical(anyDuplicated(lines), 0L)
})

test_that("a long table shows its first rows and says how many more there are", {
  lines <- capture.output(print_table(data.frame(a = 1:100), 5L))
  expect_length(lines, 7L)
  expect_match(lines[7L], "and 95 more rows")
})

test_that("nothing that is returned prints beyond the console's width", {
  model <- demo_model() |> with_args(list(control_track = 0))
  counts <- select_output(model, 2)
  X <- demo_sequences()[1:2]
  names(X) <- paste0(strrep("a_long_name_", 6), 1:2)
  results <- list(
    model, deep_lift_shap(counts, X, n_shuffles = 2, random_state = 0), audit_model(counts, X),
    marginalize(counts, X, motifs = c(a_name_of_a_motif = "AGATAAG", another_name = "GATTACA")),
    summary(deep_lift_shap(counts, X, n_shuffles = 2, random_state = 0))
  )
  for (width in c(40L, 80L)) {
    for (result in results) {
      expect_lte(max(widths_of(print(result), width)), width)
    }
  }
})

test_that("print() and summary() of every class keep to the width, and to the top rows", {
  model <- demo_model() |> with_args(list(control_track = 0))
  counts <- select_output(model, 2)
  X <- demo_sequences()[1:2]
  names(X) <- paste0(strrep("a_long_name_", 6), 1:2)
  path <- tempfile(fileext = ".h5")
  on.exit(unlink(path))
  results <- list(
    model = counts,
    attributions = deep_lift_shap(counts, X, n_shuffles = 2, random_state = 0),
    on_disk = deep_lift_shap(counts, X, n_shuffles = 2, random_state = 0, output = path),
    pisa = pisa(select_output(model, 1), X, outputs = 200:230, n_shuffles = 2, random_state = 0),
    map = dependency_map(counts, X, start = 250, end = 253), audit = audit_model(counts, X),
    layer = attribute(counts, X, "gradient_x_input", layer = "stem"),
    perturbation = marginalize(counts, X, motifs = c(a_name_of_a_motif = "AGATAAG", b = "GATTACA")),
    design = greedy_substitution(counts, substr(X[1], 1, 60), motifs = "AGATAAG", max_iter = 2)
  )
  for (name in names(results)) {
    result <- results[[name]]
    expect_lte(max(widths_of(print(result), 60L)), 60L, label = name)
    # What may not fit into memory has no summary.
    if (name != "on_disk") {
      expect_lte(
        max(widths_of(print(summary(result)), 60L)), 60L, label = paste("summary of", name)
      )
    }
  }
  expect_identical(nrow(summary(results$pisa)), 62L)
  expect_match(utils::tail(capture.output(print(summary(results$pisa))), 1L), "and 42 more rows")
})

# An object of every class that has a print() of ours, with names that no line holds.
printed_results <- function() {
  model <- demo_model() |> with_args(list(control_track = 0))
  counts <- select_output(model, 2)
  long <- strrep("a_long_\u6f22\u5b57_name_", 10)
  X <- demo_sequences()[1:2]
  names(X) <- paste0(long, 1:2)
  explained <- deep_lift_shap(counts, X, n_shuffles = 2, random_state = 0)
  path <- tempfile(long, fileext = ".h5")
  pwms <- stats::setNames(list(4 * diag(4L) + 0.1, 4 * diag(4L)[, 4:1] + 0.1), paste0(long, 1:2))
  pattern <- list(
    name = long, sign = "positive", ppm = t(pwms[[1L]]) / 4.4, contributions = t(pwms[[1L]]),
    hypothetical = t(pwms[[1L]]), subpatterns = list(),
    seqlets = data.frame(example = 1L, start = 2L, end = 5L, attribution = 1, strand = "+")
  )
  patterns <- stats::setNames(list(pattern, pattern), paste0(long, 1:2)) |>
    new_motifs(list(method = long))
  results <- list(
    seqlift_model = load_model({
      file.copy(model_path("two_heads"), at <- tempfile(long, fileext = ".pt"))
      at
    }),
    seqlift_attributions = explained, seqlift_pisa = pisa(select_output(model, 1), X,
      outputs = 200:230, n_shuffles = 2, random_state = 0
    ),
    seqlift_dependency_map = dependency_map(counts, X, start = 250, end = 253),
    seqlift_audit = audit_model(counts, X),
    seqlift_layer_attributions = attribute(counts, X, "gradient_x_input", layer = "stem"),
    seqlift_perturbation = marginalize(counts, X,
      motifs = stats::setNames(c("AGATAAG", "GATTACA"), paste0(long, 1:2))
    ),
    seqlift_design = greedy_substitution(counts, substr(X[1], 1, 60),
      motifs = stats::setNames("AGATAAG", long), max_iter = 2
    ),
    seqlift_hits = call_hits(explained, pwms), seqlift_motifs = patterns,
    seqlift_motif_cooperativity = motif_cooperativity(counts, X,
      stats::setNames(c("AGATAAG", "GATTACA"), paste0(long, 1:2)), c(0, 5)
    ),
    seqlift_attribution_quality = attribution_quality(counts, X,
      stats::setNames(list(explained), long), steps = 4L, n_masks = 2L, n_perturbations = 2L,
      mutagenesis = FALSE, random_state = 0
    ),
    seqlift_random_generator = random_generator(0),
    seqlift_literature = methods_references(explained),
    seqlift_state_dict = read_state_dict(test_path("state_dicts", "net.safetensors"))
  )
  if (requireNamespace("HDF5Array", quietly = TRUE)) {
    results$seqlift_h5_attributions <- deep_lift_shap(counts, X,
      n_shuffles = 2, random_state = 0, output = path
    )
  }
  results$seqlift_attributions_summary <- summary(explained)
  results$seqlift_summary <- summary(results$seqlift_audit)
  results
}

test_that("whatever the names are, print() and summary() keep to 40, 60 and 80 columns", {
  results <- printed_results()
  exported <- readLines(system.file("NAMESPACE", package = "seqlift"))
  methods <- grep("^S3method[(]print,", exported, value = TRUE)
  classes <- sub("^S3method[(]print,([a-z0-9_]+)[)]$", "\\1", methods)
  without <- if (!"seqlift_h5_attributions" %in% names(results)) "seqlift_h5_attributions"
  expect_setequal(names(results), setdiff(classes, without))
  for (name in names(results)) {
    expect_true(inherits(results[[name]], name), info = name)
    said <- list(print = results[[name]])
    if (!name %in% c("seqlift_h5_attributions", "seqlift_random_generator")) {
      said$summary <- summary(results[[name]])
    }
    # The identifier of a paper stays whole.
    for (width in if (name == "seqlift_literature") c(60L, 80L) else c(40L, 60L, 80L)) {
      for (what in names(said)) {
        expect_lte(max(widths_of(print(said[[what]]), width)), width,
          label = paste(what, "of", name)
        )
      }
    }
  }
})

test_that("names that differ in their middle can be told apart when they are short", {
  names <- paste0("sequence_with_a_long_name_chr", 1:12, ":1000000-1002114(+)")
  short <- shorten_each(names, 24L)
  expect_identical(
    short[c(1, 12)], c("\u2026chr1:1000000-1002114(+)", "\u2026chr12:10000\u2026-1002114(+)")
  )
  expect_identical(anyDuplicated(short), 0L)
  # The same name stays the same, and short names stay as they are.
  expect_identical(shorten_each(c(names[c(1, 1, 2)], "x"), 24L), c(short[c(1, 1, 2)], "x"))
  expect_identical(shorten_each(strrep("ab", 10), 5L), "ab\u2026ab")
  expect_identical(shorten(character(), 5L), character())
  # What takes two columns a letter is cut at columns.
  expect_identical(cut_middle(strrep("\u6f22\u5b57", 5), 9L), "\u6f22\u5b57\u2026\u6f22\u5b57")
})
