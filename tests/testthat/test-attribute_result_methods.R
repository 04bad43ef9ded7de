profile_model <- function() demo_model() |> with_args(list(control_track = 0)) |> select_output(1)
counts_model <- function() demo_model() |> with_args(list(control_track = 0)) |> select_output(2)

test_that("influence on a profile is a table, a summary and a heatmap", {
  X <- demo_sequences()[1:2]
  influence <- pisa(profile_model(), X, outputs = 200:203, n_shuffles = 2, random_state = 0)
  table <- as.data.frame(influence)
  expect_identical(nrow(table), 2L * 4L * 500L)
  at <- table$sequence == names(X)[2L] & table$output == 202 & table$position == 300
  expect_equal(table$attribution[at], sum(as.array(influence)[2L, 3L, , 300L]))
  summed <- summary(influence)
  expect_equal(summed$sum[1L], sum(as.array(influence)[1L, 1L, , ]))
  expect_s3_class(plot(influence, sequence = names(X)[2L]), "ggplot")
  expect_error(plot(influence, sequence = 3), class = "seqlift_error_argument")
})

test_that("a dependency map is a table of pairs", {
  map <- dependency_map(counts_model(), demo_sequences()[1], start = 250, end = 255)
  table <- as.data.frame(map)
  expect_identical(nrow(table), 15L)
  expect_true(all(table$first < table$second))
  expect_equal(
    table$interaction[table$first == 251 & table$second == 254], unclass(map)[1L, 2L, 5L]
  )
  expect_equal(summary(map)$interaction, max(table$interaction))
})

test_that("an audit is a plain table, summed up by kind and rule, and drawn", {
  audit <- audit_model(counts_model(), demo_sequences()[1:2])
  expect_identical(class(as.data.frame(audit)), "data.frame")
  expect_identical(sum(summary(audit)$operations), nrow(audit))
  expect_s3_class(plot(audit), "ggplot")
})

test_that("attributions of a layer say what they are and compute as plain arrays", {
  model <- counts_model()
  layer <- attribute(model, demo_sequences()[1:2], "gradient_x_input", layer = "stem")
  expect_output(print(layer), "<seqlift_layer_attributions> of stem")
  expect_identical(nrow(as.data.frame(layer)), length(layer))
  expect_equal(summary(layer)$sum, unname(apply(as.array(layer), 1L, sum)))
  expect_identical(class(layer * 2), "array")
  expect_error(plot(layer), class = "seqlift_error_argument")
})

test_that("what has no figure or table says what to use instead", {
  model <- counts_model()
  expect_error(plot(model), "plot_logo", class = "seqlift_error_argument")
  expect_error(as.data.frame(model), "audit_model", class = "seqlift_error_argument")
  expect_identical(summary(model), model)
})

test_that("a design is drawn and is a table of its edits or its sequences", {
  design <- greedy_substitution(counts_model(), substr(demo_sequences()[1], 1, 60),
    motifs = "AGATAAG", max_iter = 2
  )
  expect_identical(as.data.frame(design), design$edits)
  drawn <- ggplot2::layer_data(plot(design), 1L)
  expect_equal(drawn$y, c(design$initial_loss, design$edits$loss))
  screened <- screen_sequences(counts_model(), 60, n_best = 3, max_iter = 1, random_state = 0)
  expect_identical(nrow(as.data.frame(screened)), 3L)
  expect_equal(ggplot2::layer_data(plot(screened), 1L)$y, screened$loss)
})
