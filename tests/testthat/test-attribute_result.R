# Results are made by hand here: two sequences of five positions, three references.

made_result <- function(kind = "attributions", targets = NULL, names = c("one", "two"),
                        X = c("ACGTN", "GGATA"), references = NULL) {
  codes <- matrix(match(unlist(strsplit(X, "")), c("A", "C", "G", "T")), 5L)
  observed <- cbind(rep(1:2, each = 5L), as.vector(codes), rep(1:5, 2L))
  observed <- observed[!is.na(observed[, 2L]), ]
  numbers <- c(1, -2, 3, 0.5, 0.1, 0.2, -4, 0.3, 0.4)
  values <- array(0, c(2L, 4L, 5L))
  values[observed] <- numbers
  if (kind == "hypothetical") {
    values[values == 0] <- 7
  }
  deltas <- matrix(c(1e-7, -3e-7, 0, 2e-7, 2e-7, 5e-7), 2L)
  if (!is.null(targets)) {
    deltas <- array(c(deltas, 10 * deltas), c(2L, 3L, targets))
    values <- array(c(values, 10 * values), c(dim(values), targets))
  }
  names(X) <- names
  info <- list(
    method = "DeepLIFT/SHAP", rules = "operator", target = seq_len(max(targets, 1L)),
    model = "model.pt", dtype = "float64", device = "cpu", random_state = 3, seconds = 0.25
  )
  new_attributions(values, X, deltas, references, kind, info)
}

made_multipliers <- function() {
  values <- array(as.double(seq_len(2 * 3 * 4 * 5)), c(2L, 3L, 4L, 5L))
  new_attributions(values, c(one = "ACGTN", two = "GGATA"), matrix(0, 2L, 3L), NULL, "multipliers")
}

made_references <- array(as.double(seq_len(2 * 3 * 4 * 5)), c(2L, 3L, 4L, 5L))

test_that("a result has the shape and the names of an ordinary array", {
  x <- made_result()
  expect_s3_class(x, c("seqlift_attributions", "array"), exact = TRUE)
  expect_equal(dim(x), c(2L, 4L, 5L))
  expect_equal(dimnames(x), list(c("one", "two"), c("A", "C", "G", "T"), NULL))
  expect_equal(x[["two", "A", 3L]], -4)
  expect_null(dimnames(made_result(names = NULL))[[1L]])
})

test_that("convergence deltas and references are read back as they were given", {
  x <- made_result(references = made_references)
  expect_equal(unname(convergence_deltas(x)), matrix(c(1e-7, -3e-7, 0, 2e-7, 2e-7, 5e-7), 2L))
  expect_equal(rownames(convergence_deltas(x)), c("one", "two"))
  expect_equal(references(x), made_references)
})

test_that("references that were not kept are an error that says how to keep them", {
  expect_error(references(made_result()), class = "seqlift_error_no_references")
  expect_snapshot(error = TRUE, references(made_result()))
})

test_that("only results have convergence deltas and references", {
  expect_error(convergence_deltas(array(0, c(2, 4, 5))), class = "seqlift_error_argument")
  expect_error(references(NULL), class = "seqlift_error_argument")
  expect_error(plot_deltas(1), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, convergence_deltas(array(0, c(2, 4, 5))))
})

test_that("taking sequences keeps a result, with its deltas, references and sequences", {
  x <- made_result(references = made_references)
  for (index in list(2L, "two", c(FALSE, TRUE), -1L)) {
    second <- x[index, , ]
    expect_s3_class(second, "seqlift_attributions")
    expect_equal(dim(second), c(1L, 4L, 5L))
    expect_equal(as.vector(second), as.vector(as.array(x)[2L, , ]))
    expect_equal(convergence_deltas(second), convergence_deltas(x)["two", , drop = FALSE])
    expect_equal(references(second), made_references[2L, , , , drop = FALSE])
    expect_equal(attr(second, "X"), c(two = "GGATA"))
  }
  expect_equal(x[2:1, , ][2:1, , ], x)
  expect_identical(x[], x)
  expect_identical(x[, , ], x)
  expect_identical(utils::head(x, 1L), x[1L, , ])
})

test_that("codes of one byte a base are as good as characters", {
  codes <- matrix(as.raw(c(0:4, 2L, 2L, 0L, 3L, 0L)), 5L, dimnames = list(NULL, c("one", "two")))
  text <- made_result()
  x <- new_attributions(as.array(text), codes, convergence_deltas(text), info = attr(text, "info"))
  expect_equal(summary(x), summary(text))
  expect_equal(as.data.frame(x["two", , ]), as.data.frame(text["two", , ]))
})

test_that("any other index gives plain numbers as for any array", {
  x <- made_result()
  plain <- as.array(x)
  expect_null(attr(plain, "X"))
  # Where positions are chosen their names say which.
  expect_identical(unname(x[, , 2:3]), unname(plain[, , 2:3]))
  expect_identical(dimnames(x[, , 2:3])[[3L]], c("2", "3"))
  expect_identical(x[1, 2, 3], plain[1, 2, 3])
  expect_identical(x[1, , , drop = TRUE], plain[1, , ])
  expect_identical(x[, 2, , drop = FALSE], plain[, 2, , drop = FALSE])
  expect_identical(x[3], plain[3])
  expect_identical(x[x > 1], plain[plain > 1])
  expect_identical(x[cbind(1, 2, 3)], plain[cbind(1, 2, 3)])
})

test_that("sequences that do not exist are an error by name", {
  x <- made_result()
  expect_error(x["three", , ], class = "seqlift_error_argument")
  expect_error(x[3, , ], class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, x["three", , ])
})

test_that("taking one of several targets gives its numbers and its deltas", {
  x <- made_result(targets = 2L)
  second <- x[, , , 2]
  expect_s3_class(second, "seqlift_attributions")
  expect_equal(as.array(second), 10 * as.array(made_result()))
  expect_equal(convergence_deltas(second), 10 * convergence_deltas(made_result()))
  expect_equal(attr(second, "info")$target, 2L)
  expect_equal(dim(x[1, , , 2]), c(1L, 4L, 5L))
  expect_equal(dim(x[, , , 2, drop = FALSE]), c(2L, 4L, 5L, 1L))
  expect_error(x[, , , 3], class = "seqlift_error_argument")
})

test_that("arithmetic and assignment give plain arrays", {
  x <- made_result()
  plain <- as.array(x)
  expect_identical(x * 2, plain * 2)
  expect_identical(2 - x, 2 - plain)
  expect_identical(x + x, plain + plain)
  expect_identical(-x, -plain)
  expect_identical(abs(x), abs(plain))
  expect_identical(round(x, 1), round(plain, 1))
  expect_equal(sum(x), sum(plain))
  expect_equal(apply(x, 1, sum), c(one = 2.5, two = -3))
  x[1, 1, 1] <- 5
  expect_false(inherits(x, "seqlift_attributions"))
  expect_equal(x[1, 1, 1], 5)
})

test_that("a result survives saveRDS", {
  file <- tempfile(fileext = ".rds")
  on.exit(unlink(file))
  x <- made_result(references = made_references)
  saveRDS(x, file)
  expect_identical(readRDS(file), x)
})

test_that("summary gives the sum, the largest delta and the strongest position by sequence", {
  # one: 1 - 2 + 3 + 0.5 = 2.5, deltas 1e-7, 0, 2e-7; two: 0.1 + 0.2 - 4 + 0.3 + 0.4 = -3
  result <- summary(made_result())
  expect_equal(result$sequence, c("one", "two"))
  expect_equal(result$sum, c(2.5, -3))
  expect_equal(result$output_change, c(2.5 - 1e-7, -3 - 4e-7 / 3), tolerance = 1e-14)
  expect_equal(result$max_delta, c(2e-7, 5e-7))
  expect_equal(result$position, c(3L, 3L))
  expect_equal(result$base, c("G", "A"))
  expect_equal(result$attribution, c(3, -4))
})

test_that("summary has a row for each target", {
  result <- summary(made_result(targets = 2L))
  expect_equal(result$target, c(1L, 1L, 2L, 2L))
  expect_equal(result$sum, c(2.5, -3, 25, -30))
  expect_equal(result$max_delta, c(2e-7, 5e-7, 2e-6, 5e-6))
})

test_that("summary of hypothetical attributions looks at the observed bases only", {
  result <- summary(made_result("hypothetical"))
  expect_equal(result$sum, c(2.5, -3))
  expect_null(result$output_change)
})

test_that("as.data.frame has a row for each position and the observed base", {
  frame <- as.data.frame(made_result())
  expect_named(frame, c("sequence", "position", "base", "attribution"))
  expect_equal(frame$sequence, rep(c("one", "two"), each = 5L))
  expect_equal(frame$position, rep(1:5, 2L))
  expect_equal(paste(frame$base, collapse = ""), "ACGTNGGATA")
  expect_equal(frame$attribution, c(1, -2, 3, 0.5, 0, 0.1, 0.2, -4, 0.3, 0.4))
  expect_equal(as.data.frame(made_result("hypothetical")), frame)
})

test_that("as.data.frame can have a row for each base", {
  x <- made_result("hypothetical")
  frame <- as.data.frame(x, all_bases = TRUE)
  expect_equal(nrow(frame), 40L)
  place <- cbind(match(frame$sequence, c("one", "two")), match(frame$base, dimnames(x)[[2L]]),
    frame$position)
  expect_equal(frame$attribution, x[place])
  expect_equal(anyDuplicated(place), 0L)
})

test_that("as.data.frame tells targets and references apart", {
  x <- made_result(targets = 2L)
  frame <- as.data.frame(x)
  expect_equal(frame$attribution[frame$target == 2L], 10 * frame$attribution[frame$target == 1L])
  m <- made_multipliers()
  frame <- as.data.frame(m, all_bases = TRUE)
  expect_named(frame, c("sequence", "reference", "position", "base", "multiplier"))
  place <- cbind(match(frame$sequence, c("one", "two")), frame$reference,
    match(frame$base, c("A", "C", "G", "T")), frame$position)
  expect_equal(frame$multiplier, as.array(m)[place])
  observed <- as.data.frame(m)
  expect_equal(nrow(observed), 2L * 3L * 5L)
  expect_equal(observed$multiplier[3L], m[1, 1, 3, 3])
})

test_that("sequences without names are numbered", {
  x <- made_result(names = NULL)
  expect_equal(unique(as.data.frame(x)$sequence), 1:2)
  expect_equal(summary(x)$sequence, 1:2)
})

test_that("print says what it is without printing the numbers", {
  expect_snapshot({
    made_result()
    made_result(names = NULL)[1, , ]
    made_result("hypothetical", targets = 2L)
    made_multipliers()
    summary(made_result())
  })
})

test_that("multipliers are no attributions to sum up or to draw", {
  expect_error(summary(made_multipliers()), class = "seqlift_error_argument")
  expect_error(plot(made_multipliers()), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, summary(made_multipliers()))
})

test_that("plot_deltas has a point for each pair, those above the threshold apart", {
  points <- ggplot2::layer_data(plot_deltas(made_result(), threshold = 2.5e-7), 2L)
  expect_equal(nrow(points), 6L)
  expect_equal(sort(10^points$x)[2:6], c(1e-7, 2e-7, 2e-7, 3e-7, 5e-7))
  expect_equal(sum(points$colour == "#D62839"), 2L)
  of_targets <- ggplot2::layer_data(plot_deltas(made_result(targets = 2L)), 2L)
  expect_equal(as.vector(table(of_targets$PANEL)), c(6L, 6L))
})

test_that("plot_deltas draws deltas of exactly zero", {
  x <- made_multipliers()
  points <- ggplot2::layer_data(plot_deltas(x), 2L)
  expect_true(all(is.finite(points$x)))
  expect_error(plot_deltas(x, threshold = 0), class = "seqlift_error_argument")
})

test_that("wrong indices and values are errors of the package", {
  model <- test_model("tiny")
  attributions <- deep_lift_shap(model, test_sequences(2L), n_shuffles = 2L, random_state = 0)
  influence <- pisa(model, test_sequences(2L), n_shuffles = 2L, random_state = 0)
  wrong <- list(
    function() attributions[list(1), , ], function() attributions[, , 99],
    function() attributions[sum],
    function() attributions[1, 1, 1, 1], function() attributions + "a",
    function() attributions + list(),
    function() attributions + matrix(1, 2, 2), function() influence[99, , , ],
    function() influence * sum,
    function() {
      attributions[1, , ] <- 1:7
      attributions
    }
  )
  for (one in wrong) {
    expect_error(one(), class = "seqlift_error_argument")
  }
  # What has the class alone is no result.
  bare <- structure(array(0, c(2, 4, 12)), class = "seqlift_attributions")
  for (use in list(plot_logo, plot_heatmap, recursive_seqlets, mean_effects, convergence_deltas)) {
    expect_error(use(bare), class = "seqlift_error")
  }
})

test_that("of many sequences the names of the worst stand where no point is, to the right", {
  n <- 60L
  deltas <- matrix(10^seq(-6, -2, length.out = 2L * n), n)
  x <- new_attributions(array(0, c(n, 4L, 4L)), rep("ACGT", n), deltas)
  plot <- plot_deltas(x)
  names <- Filter(function(layer) {
    inherits(layer$geom, "GeomText") && all(c("label", "delta") %in% names(layer$data))
  }, plot$layers)
  expect_length(names, 1L)
  expect_lt(names[[1L]]$aes_params$hjust, 0)
  drawn <- names[[1L]]$data
  expect_equal(drawn$delta, sort(deltas[, 2L], decreasing = TRUE)[seq_len(deltas_named)])
  # Where none is above the threshold, nothing is named, and the figure is drawn.
  sound <- new_attributions(array(0, c(n, 4L, 4L)), rep("ACGT", n), deltas / 1e6)
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_no_error(ggplot2::ggplotGrob(plot_deltas(sound)))
})
