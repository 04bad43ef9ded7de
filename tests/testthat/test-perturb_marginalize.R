backgrounds <- c(first = "AAAAAAAAAAAA", second = "CCCCCCCCCCCC")

test_that("a function is called with the backgrounds and with the motif in them", {
  watch <- letters_seen()
  result <- marginalize(NULL, backgrounds, "GATA", func = watch$func)
  expect_identical(watch$seen(), list(unname(backgrounds), c("AAAAGATAAAAA", "CCCCGATACCCC")))
  expect_identical(unname(result$before), rbind(c(12, 0, 0, 0), c(0, 12, 0, 0)))
  expect_identical(unname(result$after), rbind(c(10, 0, 1, 1), c(2, 8, 1, 1)))
  expect_s3_class(result, "seqlift_perturbation")
  expect_named(result, c("before", "after"))
})

test_that("the predictions are those of the sequences with the motif written into them", {
  X <- test_sequences()
  model <- test_model("tiny")
  result <- marginalize(model, X, "GANTA", start = 3, dtype = "float64")
  edited <- substitute_motif(X, "GANTA", start = 3)
  expect_equal(result$before, predict(model, X, dtype = "float64"))
  expect_equal(numbers_of(result$after), unname(t(apply(edited, 1L, tiny_by_hand))),
    tolerance = 1e-7
  )
  expect_gt(largest_difference(result$before, result$after), 1e-3)
})

test_that("a motif in any form gives the same", {
  counts <- cbind(c(0, 0, 7, 1), c(9, 0, 0, 0), c(0, 0, 0, 3), c(4, 2, 2, 1))
  forms <- list(
    "gata", one_hot_encode("GATA"), counts, log2((counts + 1) / 5), one_hot_encode("GATA")[1, , ],
    c("GATA", "GATA"), one_hot_encode(c("GATA", "GATA"))
  )
  if (requireNamespace("Biostrings", quietly = TRUE)) {
    forms <- c(forms, Biostrings::DNAString("GATA"), Biostrings::DNAStringSet(c("GATA", "GATA")))
  }
  expected <- marginalize(NULL, backgrounds, "GATA", func = count_bases)
  for (motif in forms) {
    expect_identical(marginalize(NULL, backgrounds, motif, func = count_bases), expected)
  }
})

test_that("each sequence can have a motif of its own", {
  watch <- letters_seen()
  marginalize(NULL, backgrounds, c("GG", "TN"), start = 1, func = watch$func)
  expect_identical(watch$seen()[[2L]], c("GGAAAAAAAAAA", "TCCCCCCCCCCC"))
})

test_that("many motifs share the backgrounds, which are evaluated once", {
  watch <- letters_seen()
  motifs <- list(site = "GATA", "TTTTTT", weights = rbind(0, 0, c(1, 1), 0))
  result <- marginalize(NULL, backgrounds, motifs = motifs, func = watch$func)
  expect_length(watch$seen(), 4L)
  expect_identical(dim(result$before), c(2L, 4L))
  expect_identical(dim(result$after), c(3L, 2L, 4L))
  expect_identical(
    dimnames(result$after)[1:2], list(c("site", "TTTTTT", "weights"), names(backgrounds))
  )
  for (i in seq_along(motifs)) {
    alone <- marginalize(NULL, backgrounds, motifs[[i]], func = count_bases)
    expect_identical(result$after[i, , ], alone$after)
    expect_identical(result$before, alone$before)
  }
})

test_that("motifs come as a vector, a set, an array or a file", {
  expected <- marginalize(NULL, backgrounds, motifs = list("GATA", "TTAA"), func = count_bases)
  path <- tempfile(fileext = ".pfm")
  on.exit(unlink(path))
  writeLines(c(
    ">GATA", "0 9 0 9", "0 0 0 0", "9 0 0 0", "0 0 9 0",
    ">TTAA", "0 0 1 1", "0 0 0 0", "0 0 0 0", "1 1 0 0"
  ), path)
  forms <- list(c("GATA", "TTAA"), one_hot_encode(c("GATA", "TTAA")), path)
  if (requireNamespace("Biostrings", quietly = TRUE)) {
    forms <- c(forms, Biostrings::DNAStringSet(c("GATA", "TTAA")))
  }
  for (motifs in forms) {
    expect_identical(
      marginalize(NULL, backgrounds, motifs = motifs, func = count_bases), expected
    )
  }
})

test_that("all outputs of a model with several are kept, for any number of motifs", {
  X <- test_sequences(2L)
  model <- with_args(test_model("two_heads"), list(control_track = 1))
  for (motifs in list("GATA", c("GATA", "TTTT", "CC"))) {
    result <- marginalize(model, X, motifs = motifs)
    expect_identical(lapply(result$before, dim), list(c(2L, 2L, 8L), c(2L, 1L)))
    k <- length(motifs)
    expect_identical(lapply(result$after, dim), list(c(k, 2L, 2L, 8L), c(k, 2L, 1L)))
    last <- predict(model, substitute_motif(X, motifs[k]))
    expect_equal(numbers_of(result$after[[1L]][k, , , ]), numbers_of(last[[1L]]), tolerance = 1e-6)
    expect_equal(as.vector(result$after[[2L]][k, , ]), as.vector(last[[2L]]), tolerance = 1e-6)
  }
})

test_that("the model's other inputs keep their rows", {
  X <- test_sequences()
  model <- select_output(test_model("two_heads"), 2)
  track <- array(seq_len(72) / 72, c(3, 2, 12))
  result <- marginalize(model, X, "GATA", args = list(control_track = track))
  expect_equal(result$before, predict(model, X, args = list(track)), tolerance = 1e-6)
  expect_equal(result$after, predict(model, substitute_motif(X, "GATA"), args = list(track)),
    tolerance = 1e-6
  )
})

test_that("attributions can be marginalized, with all their arguments", {
  X <- test_sequences()
  model <- test_model("tiny")
  references <- reversed_references(X)
  result <- marginalize(model, X, "GATA",
    func = deep_lift_shap, target = 2L, references = references, hypothetical = TRUE
  )
  after <- deep_lift_shap(model, substitute_motif(X, "GATA"),
    target = 2L, references = references, hypothetical = TRUE
  )
  expect_equal(numbers_of(result$after), numbers_of(after))
  # An argument by the name of one of the verb's goes in the list.
  echo <- function(model, X, start, n = 0) array(start + n, c(dim(X)[1L], 1L))
  result <- marginalize(NULL, X, "GATA",
    start = 2, func = echo, n = 0.5, additional_func_kwargs = list(start = 7)
  )
  expect_identical(as.vector(result$after), rep(7.5, 3L))
})

test_that("annotated regions are written into the backgrounds, stacked per annotation", {
  X <- c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC")
  annotations <- data.frame(
    example = c("two", "one", "two"), start = c(2, 1, 9), end = c(6, 2, 12),
    name = c("site", NA, "")
  )
  watch <- letters_seen()
  result <- marginalize_annotations(NULL, X, backgrounds, annotations, func = watch$func)
  expect_identical(watch$seen(), list(
    unname(backgrounds), c("AAAAGATTAAAA", "CCCCGATTACCC"), c("AAAAAACAAAAA", "CCCCCACCCCCC"),
    c("AAAAGATCAAAA", "CCCCGATCCCCC")
  ))
  expect_identical(dim(result$after), c(3L, 2L, 4L))
  expect_identical(dimnames(result$after)[[1L]], c("site", "one:1-2", "two:9-12"))
  for (i in 1:3) {
    expect_identical(unname(result$before[i, , ]), rbind(c(12, 0, 0, 0), c(0, 12, 0, 0)))
  }
  by_number <- transform(annotations, example = c(2, 1, 2))
  expect_identical(
    marginalize_annotations(NULL, X, backgrounds, by_number, func = count_bases)$after,
    result$after
  )
  # Another name of the column; one that only begins like it tells nothing.
  by_sequence <- stats::setNames(annotations, c("sequence", "start", "end", "name_of_it"))
  result_by_sequence <- marginalize_annotations(NULL, X, backgrounds, by_sequence,
    func = count_bases
  )
  expect_identical(unname(result_by_sequence$after), unname(result$after))
  expect_identical(rownames(result_by_sequence$after)[1L], "two:2-6")
  skip_if_not_installed("GenomicRanges")
  ranges <- GenomicRanges::GRanges(
    annotations$example, IRanges::IRanges(annotations$start, annotations$end),
    name = c("site", NA, NA)
  )
  expect_identical(
    marginalize_annotations(NULL, X, backgrounds, ranges, func = count_bases), {
      attr(result, "info")$func <- "count_bases"
      result
    }
  )
})

test_that("no output is lost when the numbers of annotations and outputs differ", {
  X <- test_sequences()
  annotations <- data.frame(example = 1:3, start = 1:3, end = 4:6)
  for (n in 1:3) {
    result <- marginalize_annotations(NULL, X, backgrounds, annotations[seq_len(n), ],
      func = two_outputs
    )
    expect_identical(lapply(result$after, dim), list(c(n, 2L, 4L, 12L), c(n, 2L, 4L)))
    expect_identical(lapply(result$before, dim), list(c(n, 2L, 4L, 12L), c(n, 2L, 4L)))
    for (i in seq_len(n)) {
      region <- substr(X[i], annotations$start[i], annotations$end[i])
      edited <- substitute_motif(backgrounds, unname(region))
      expect_identical(result$after[[1L]][i, , , ], edited)
    }
  }
})

test_that("letters, a DNAStringSet and an array give the same", {
  expected <- marginalize(NULL, backgrounds, "GATA", func = count_bases)
  forms <- list(one_hot_encode(backgrounds), tolower(backgrounds))
  if (requireNamespace("Biostrings", quietly = TRUE)) {
    forms <- c(forms, Biostrings::DNAStringSet(backgrounds))
  }
  for (X in forms) {
    expect_identical(marginalize(NULL, X, "GATA", func = count_bases), expected)
  }
})

test_that("an error of the function is told as it is, without the arrays of its call", {
  error <- expect_error(marginalize(test_model("two_heads"), backgrounds, "GATA"),
    class = "seqlift_error_args"
  )
  expect_match(conditionMessage(error), "control_track")
  expect_lt(nchar(paste(deparse(conditionCall(error)), collapse = "")), 200L)
})

test_that("extra channels stay as they are", {
  X <- array(0, c(2L, 5L, 12L))
  X[, 1:4, ] <- one_hot_encode(backgrounds)
  X[, 5L, ] <- seq_len(24)
  result <- marginalize(NULL, X, "GATA", func = function(model, X) X)
  expect_identical(unname(result$after[, 5L, ]), X[, 5L, ])
  expect_identical(unname(decode_one_hot(result$after)), c("AAAAGATAAAAA", "CCCCGATACCCC"))
})

test_that("what does not fit is an error before the model is called", {
  one <- function(...) function(func) marginalize(NULL, backgrounds, ..., func = func)
  expect_match(
    conditionMessage(expect_error_before_call(one(strrep("G", 13)))), "`motif` must be at most"
  )
  error <- expect_error_before_call(one(motifs = c("GATA", strrep("G", 13))))
  expect_match(conditionMessage(error), "motifs[[2]]", fixed = TRUE)
  for (start in list(0, 10, 1.5, NA, "a")) {
    expect_match(
      conditionMessage(expect_error_before_call(one("GATA", start = start))), "`start`"
    )
  }
  expect_error_before_call(one())
  expect_error_before_call(one("GATA", motifs = "GATA"))
  expect_error_before_call(one(motifs = list()))
  expect_error_before_call(one(c("G", "G", "G")))
  expect_error_before_call(one(matrix(0, 3, 4)))
  expect_error_before_call(one("GAXA"), "seqlift_error_sequence")
  expect_error_before_call(one(list("GATA")), "seqlift_error_sequence")
  expect_error_before_call(one(motifs = "no/such/file.meme"), "seqlift_error_file")
  expect_error_before_call(one("GATA", args = list(matrix(0, 3, 2))), "seqlift_error_args")
  expect_error_before_call(one("GATA", args = list("a")), "seqlift_error_args")
  expect_error_before_call(one("GATA", target = 1, additional_func_kwargs = list(target = 2)))
  expect_error_before_call(one("GATA", additional_func_kwargs = list(2)))
  expect_error_before_call(one("GATA", additional_func_kwargs = 2))
  expect_error_before_call(function(func) marginalize(NULL, "AX", "A", func = func),
    "seqlift_error_sequence"
  )
  expect_error(marginalize(NULL, backgrounds, "GATA"), class = "seqlift_error_argument")
  expect_error(marginalize(NULL, backgrounds, "GATA", func = 1), class = "seqlift_error_argument")
})

test_that("annotations that cannot be are an error before the model is called", {
  X <- test_sequences(2L)
  good <- data.frame(example = 1, start = 2, end = 5)
  refused <- list(
    empty = good[0L, ], columns = good[c("start", "end")], list = as.list(good),
    number = transform(good, example = 3), fraction = transform(good, example = 1.5),
    name = transform(good, example = "three"), before = transform(good, start = 0),
    behind = transform(good, end = 13), turned = transform(good, start = 6),
    half = transform(good, start = 2.5), missing = transform(good, start = NA_real_),
    text = transform(good, start = "2")
  )
  for (annotations in refused) {
    error <- expect_error_before_call(function(func) {
      marginalize_annotations(NULL, X, backgrounds, annotations, func = func)
    }, "seqlift_error_annotations")
    expect_match(conditionMessage(error), "`annotations` must be")
  }
  # Longer than the backgrounds, or off their end.
  expect_error_before_call(function(func) {
    marginalize_annotations(NULL, X, "ACG", good, func = func)
  })
  expect_error_before_call(function(func) {
    marginalize_annotations(NULL, X, backgrounds, good, start = 10, func = func)
  })
})

test_that("a result without a row for each sequence is an error that says so", {
  for (result in list(1, matrix(0, 3, 1), "a", NULL, list(matrix(0, 2, 1), 1))) {
    expect_error(marginalize(NULL, backgrounds, "GATA", func = function(model, X) result),
      class = "seqlift_error_output"
    )
  }
  # One number a sequence is enough.
  result <- marginalize(NULL, backgrounds, "GG", func = function(model, X) X[, 3L, 6L])
  expect_identical(as.vector(result$after), c(1, 1))
})

test_that("the demo model answers to its own site", {
  skip_on_cran()
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  X <- random_one_hot(c(5, 4, 500), random_state = 0)
  effects <- summary(marginalize(model, X, motifs = c("AGATAAG", "AGCTAAG")))
  expect_gt(effects$effect[1L], 0.5)
  expect_lt(abs(effects$effect[2L]), 0.1)
  expect_gt(effects$effect[1L], 5 * effects$std_error[1L])
})

test_that("messages name the argument and what was expected", {
  X <- test_sequences(2L)
  expect_snapshot(error = TRUE, {
    marginalize(NULL, X, strrep("G", 13), func = count_bases)
    marginalize(NULL, X, "GATA", start = 10, func = count_bases)
    marginalize(NULL, X, "GATA", func = count_bases, args = list(track = matrix(0, 3, 2)))
    marginalize(NULL, X, motifs = "missing.meme", func = count_bases)
    marginalize(NULL, X, "GATA", func = function(model, X) 1)
    marginalize(NULL, X, "GATA")
    marginalize_annotations(test_model("tiny"), X, X, data.frame(example = 3, start = 1, end = 2))
    marginalize_annotations(test_model("tiny"), X, X, data.frame(example = 1, start = 1, end = 20))
  })
})
