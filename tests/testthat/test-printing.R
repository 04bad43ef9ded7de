widths_of <- function(code, width) {
  old <- options(width = width)
  on.exit(options(old))
  nchar(capture.output(code))
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
      expect_lte(max(widths_of(print(summary(result)), 60L)), 60L, label = paste("summary of", name))
    }
  }
  expect_identical(nrow(summary(results$pisa)), 62L)
  expect_match(utils::tail(capture.output(print(summary(results$pisa))), 1L), "and 42 more rows")
})

test_that("names that differ in their middle can be told apart when they are short", {
  names <- paste0("sequence_with_a_long_name_chr", 1:12, ":1000000-1002114(+)")
  short <- shorten_each(names, 24L)
  expect_identical(short[c(1, 12)], c("\u2026chr1:1000000-1002114(+)", "\u2026chr12:10000\u2026-1002114(+)"))
  expect_identical(anyDuplicated(short), 0L)
  # The same name stays the same, and short names stay as they are.
  expect_identical(shorten_each(c(names[c(1, 1, 2)], "x"), 24L), c(short[c(1, 1, 2)], "x"))
  expect_identical(shorten_each(strrep("ab", 10), 5L), "ab\u2026ab")
})
