# Searches of the package against slow ones that predict every candidate on whole sequences.

design_model <- function() test_model("tiny")

strongest <- function(predicted) -rowMeans(matrix(predicted, nrow = dim(predicted)[1L]))

# All sequences one substitution of a motif away from `x`, motif by motif.
slow_edits <- function(x, motifs, starts = seq_len(nchar(x))) {
  edits <- expand.grid(start = starts, motif = motifs, stringsAsFactors = FALSE)
  edits <- edits[edits$start + nchar(edits$motif) - 1L <= nchar(x), ]
  edits$sequence <- unlist(Map(function(motif, start) {
    substr(x, start, start + nchar(motif) - 1L) <- motif
    x
  }, edits$motif, edits$start))
  edits
}

slow_greedy <- function(model, x, motifs, loss, n_edits, ...) {
  losses <- loss(predict(model, x, dtype = "float64"))
  for (i in seq_len(n_edits)) {
    edits <- slow_edits(x, motifs, ...)
    all <- loss(predict(model, edits$sequence, dtype = "float64"))
    if (min(all) >= losses[i] - 1e-12) break
    x <- edits$sequence[which.min(all)]
    losses <- c(losses, min(all))
  }
  list(sequence = x, losses = losses)
}

test_that("greedy substitution takes the best edit of all each time", {
  model <- design_model()
  x <- unname(test_sequences(1L))
  slow <- slow_greedy(model, x, base_letters, strongest, 3)
  expect_length(slow$losses, 4L)
  design <- greedy_substitution(model, x, max_iter = 3, dtype = "float64")
  expect_identical(design$sequences, slow$sequence)
  expect_equal(c(design$initial_loss, design$edits$loss), slow$losses)
  expect_equal(design$edits$improvement, -diff(slow$losses))
  expect_equal(design$loss, strongest(design$prediction))
  expect_equal(design$prediction, predict(model, design$sequences, dtype = "float64"))
  expect_identical(decode_one_hot(design$X), design$sequences)
})

test_that("greedy substitution follows a target, a loss, masks, and both strands of motifs", {
  model <- design_model()
  x <- unname(test_sequences(1L))
  motifs <- c("GAT", "CA", "TTGC")
  both <- c(motifs, reverse_complement(motifs))
  y <- c(0.5, -2, 1)
  absolute <- function(y, y_hat) abs(y - y_hat)
  loss <- function(p) rowMeans(abs(p[, c(1, 3), drop = FALSE] - rep(y[c(1, 3)], each = nrow(p))))
  mask <- seq_len(12) %in% c(2, 5, 6, 9, 11)
  slow <- slow_greedy(model, x, both, loss, 2, starts = which(mask))
  design <- greedy_substitution(model, x,
    y = y, motifs = motifs, loss = absolute, input_mask = mask, output_mask = c(TRUE, FALSE, TRUE),
    max_iter = 2, tol = 0, dtype = "float64"
  )
  expect_gt(length(slow$losses), 1L)
  expect_identical(design$sequences, slow$sequence)
  expect_equal(c(design$initial_loss, design$edits$loss), slow$losses)
  expect_true(all(design$edits$start %in% which(mask)))
  # The trace, applied to the start, gives the design.
  again <- one_hot_encode(x)
  for (i in seq_len(nrow(design$edits))) {
    edit <- design$edits[i, ]
    motif <- if (edit$strand == "-") reverse_complement(edit$motif) else edit$motif
    again <- substitute_motif(again, motif, edit$start)
  }
  expect_identical(decode_one_hot(again), design$sequences)
})

test_that("a loss may give one number a prediction, and y may be one number", {
  model <- design_model()
  x <- test_sequences(1L)
  rows <- function(y, y_hat) rowMeans((y - y_hat)^2)
  a <- greedy_substitution(model, x, y = 1, max_iter = 2)
  b <- greedy_substitution(model, x, y = c(1, 1, 1), loss = rows, max_iter = 2)
  expect_equal(a$loss, b$loss)
  expect_identical(a$edits, b$edits)
})

test_that("a beam that holds every sequence finds the best pair of edits", {
  model <- design_model()
  x <- "ACGTTGCAAGTC"
  mask <- seq_len(12) %in% c(4, 5, 7)
  first <- slow_edits(x, base_letters, which(mask))$sequence
  pairs <- unlist(lapply(first, function(one) slow_edits(one, base_letters, which(mask))$sequence))
  y <- c(0.3, -0.4, 0.2)
  all <- rowMeans((predict(model, pairs, dtype = "float64") - rep(y, each = length(pairs)))^2)
  design <- beam_substitution(model, x,
    y = y, input_mask = mask, beam_size = 1000, n_best = 5, max_iter = 2, tol = 0,
    dtype = "float64"
  )
  expect_equal(design$loss, sort(unique(round(all, 12)))[1:5], tolerance = 1e-10)
  expect_identical(design$sequences[1], pairs[which.min(all)])
  expect_identical(anyDuplicated(design$sequences), 0L)
  expect_lte(max(table(design$edits$design)), 2L)
})

test_that("a beam of one is the greedy search, and no beam ends worse than it started", {
  model <- design_model()
  for (x in test_sequences(5L)) {
    run <- function(size) {
      beam_substitution(model, x, motifs = c("GC", "TTA"), beam_size = size, max_iter = 3)
    }
    slow <- slow_greedy(
      model, x, c("GC", "TTA", reverse_complement(c("GC", "TTA"))), strongest, 3
    )
    expect_equal(run(1)$loss, slow$losses[length(slow$losses)], tolerance = 1e-5)
    expect_lte(run(3)$loss, run(3)$initial_loss)
  }
})

test_that("a search ends when an edit is not worth more than tol", {
  model <- design_model()
  x <- unname(test_sequences(1L))
  free <- greedy_substitution(model, x, tol = 0, dtype = "float64")
  expect_true(all(free$edits$improvement > 0))
  expect_gt(nrow(free$edits), 2L)
  # No single letter makes it better.
  neighbours <- slow_edits(free$sequences, base_letters)$sequence
  expect_gte(min(strongest(predict(model, neighbours, dtype = "float64"))), free$loss - 1e-12)
  # The edit at which it ends is kept.
  tol <- free$edits$improvement[2]
  short <- greedy_substitution(model, x, tol = tol, dtype = "float64")
  expect_identical(short$edits$improvement[nrow(short$edits)] <= tol, TRUE)
  expect_true(all(short$edits$improvement[-nrow(short$edits)] > tol))
})

test_that("the site that the demo model knows is preferred to others", {
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  x <- paste(rep("ACCTGTCAGC", 6), collapse = "")
  motifs <- c(decoy = "CCGTGCA", GATA = "AGATAAG", other = "TTCCGGA")
  design <- greedy_substitution(model, x, motifs = motifs, max_iter = 1)
  expect_identical(design$edits$motif, "GATA")
  backgrounds <- random_one_hot(c(4, 4, 80), random_state = 3)
  effect <- greedy_marginalization(model, backgrounds, motifs = motifs, max_iter = 1)
  expect_identical(effect$edits$motif, "GATA")
  expect_gt(mean(effect$after - effect$before), 0.3)
})

test_that("an N of a motif leaves what is there, and extra channels stay", {
  x <- unname(test_sequences(1L))
  model <- design_model()
  design <- greedy_substitution(model, x,
    motifs = "GNNT", reverse_complement = FALSE, input_mask = seq_len(12) == 4, max_iter = 1,
    y = predict(model, "ACGGTGTAAGTC"), tol = 0
  )
  expect_identical(design$sequences, "ACGGTGTAAGTC")
  expect_lt(design$loss, 1e-10)

  extra <- test_model("extra_channels")
  bases <- one_hot_encode(x)
  X <- array(0.25, c(1, 6, 12))
  X[, 1:4, ] <- bases
  design <- greedy_substitution(extra, X, max_iter = 1)
  expect_identical(unname(design$X[, -(1:4), ]), X[, -(1:4), ])
  expect_equal(design$prediction, predict(extra, design$X))
})

test_that("a construct is built from the middle, by its mean effect on the backgrounds", {
  model <- design_model()
  X <- test_sequences(4L)
  motifs <- c("GAT", "CA")
  before <- predict(model, X, dtype = "float64")
  effect_loss <- function(motif, start, onto) {
    after <- predict(model, substitute_motif(onto, motif, start), dtype = "float64")
    mean(rowMeans((unname(after - before) - 0.4)^2))
  }
  both <- c(motifs, reverse_complement(motifs))
  first <- vapply(both, effect_loss, numeric(1), start = 6, onto = X)
  design <- greedy_marginalization(model, X,
    y = 0.4, motifs = motifs, max_spacing = 1, max_iter = 2, tol = 0, dtype = "float64"
  )
  expect_identical(design$edits$start[1], 6L)
  expect_equal(design$edits$loss[1], unname(min(first)))
  expect_equal(design$initial_loss, 0.4^2)
  kept <- both[which.min(first)]
  with_first <- substitute_motif(X, kept, 6)
  right <- max(6, 6 + nchar(kept) - 1)
  second <- lapply(both, function(motif) {
    starts <- seq(max(1, 6 - 1 - nchar(motif)), min(12 - nchar(motif) + 1, right + 2))
    vapply(starts, function(start) effect_loss(motif, start, onto = with_first), numeric(1))
  })
  expect_lt(min(unlist(second)), min(first))
  expect_equal(design$edits$loss[2], min(unlist(second)))
  expect_equal(design$loss, mean(rowMeans((unname(design$after - design$before) - 0.4)^2)))
  expect_identical(design$before, before)
  expect_identical(names(design$sequences), names(X))
  at <- design$start + seq_len(nchar(design$construct)) - 1L
  letters <- strsplit(design$construct, "")[[1]]
  for (sequence in design$sequences) {
    there <- strsplit(sequence, "")[[1]][at]
    expect_identical(there[letters != "N"], letters[letters != "N"])
  }
})

test_that("a further motif is at most max_spacing away from the construct, on the sequence", {
  # The construct covers 6 to 8 of 12; one position may lie between it and motifs of 3 and 2.
  starts <- construct_starts(list(width = c(3L, 2L)), c(6, 8), 1L, 12L, n_set = 1L)
  expect_identical(split(starts$start, starts$motif), list("1" = 2:10, "2" = 3:10))
  clipped <- construct_starts(list(width = 3L), c(2, 11), 5L, 12L, n_set = 1L)
  expect_identical(clipped$start, 1:10)
  first <- construct_starts(list(width = c(3L, 2L)), c(7, 6), 5L, 12L, n_set = 0L)
  expect_identical(first$start, c(6L, 6L))
})

test_that("a construct of nothing is empty", {
  design <- greedy_marginalization(design_model(), test_sequences(2L),
    y = 0, motifs = "GAT", max_iter = 3
  )
  expect_identical(design$construct, "")
  expect_identical(design$start, NA_integer_)
  expect_identical(nrow(design$edits), 0L)
  expect_equal(design$after, design$before)
})

test_that("screening keeps the best of all batches, drawn with successive seeds", {
  model <- design_model()
  all <- unlist(lapply(7:9, function(seed) {
    decode_one_hot(random_one_hot(c(10, 4, 12), random_state = seed))
  }))
  losses <- strongest(predict(model, all))
  best <- order(losses)[1:4]
  design <- screen_sequences(model, 12,
    n_best = 4, max_iter = 3, batch_size = 10, random_state = 7
  )
  expect_identical(design$sequences, all[best])
  expect_equal(design$loss, losses[best])
  expect_equal(design$prediction, predict(model, design$sequences))
  expect_identical(design$iterations, 3L)

  # Towards a target it ends with the worst kept one below tol.
  y <- predict(model, all[14])
  design <- screen_sequences(model, 12,
    y = y, batch_size = 10, random_state = 7, max_iter = 50, tol = 1e-8
  )
  expect_identical(design$sequences, all[14])
  expect_identical(design$iterations, 2L)
})

test_that("screening draws with the user's function and with set.seed()", {
  seen <- NULL
  draw <- function(shape, random_state, base) {
    seen <<- c(seen, random_state)
    rep(strrep(base, shape[3]), shape[1])
  }
  design <- screen_sequences(design_model(), 12,
    func = draw, additional_func_kwargs = list(base = "C"), max_iter = 2, batch_size = 3,
    random_state = 4294967295
  )
  expect_identical(design$sequences, strrep("C", 12))
  expect_identical(seen, c(4294967295, 0))
  run <- function() {
    set.seed(5)
    screen_sequences(design_model(), 12, max_iter = 1)$sequences
  }
  expect_identical(run(), run())
})

test_that("wrong arguments are named before the model is called", {
  model <- design_model()
  x <- test_sequences(1L)
  refused <- function(code, name) {
    expect_error(code, name, class = "seqlift_error_argument")
  }
  two <- with_args(test_model("two_heads"), list(control_track = 0))
  refused(greedy_substitution(two, x), "select_output")
  refused(greedy_substitution("model", x), "model")
  refused(greedy_substitution(model, test_sequences(2L)), "one sequence")
  refused(greedy_substitution(model, x, y = NA), "y")
  refused(greedy_substitution(model, x, y = c(1, 2)), "`y` must be")
  refused(greedy_substitution(model, x, motifs = strrep("A", 13)), "no longer than")
  refused(greedy_substitution(model, x, motifs = 3), "motifs")
  refused(greedy_substitution(model, x, loss = 3), "loss")
  refused(greedy_substitution(model, x, y = 1, loss = function(y, y_hat) 1:2), "loss")
  refused(greedy_substitution(model, x, y = 1, loss = function(y, y_hat) y_hat * NA), "NaN")
  refused(greedy_substitution(model, x, input_mask = TRUE), "input_mask")
  refused(greedy_substitution(model, x, input_mask = rep(FALSE, 12)), "input_mask")
  refused(greedy_substitution(model, x, output_mask = c(TRUE, TRUE)), "output_mask")
  refused(greedy_substitution(model, x, tol = -1), "tol")
  refused(greedy_substitution(model, x, max_iter = 0), "max_iter")
  refused(greedy_substitution(model, x, reverse_complement = NA), "reverse_complement")
  refused(beam_substitution(model, x, beam_size = 0), "beam_size")
  refused(beam_substitution(model, x, n_best = 0), "n_best")
  refused(greedy_marginalization(model, x, motifs = NULL), "motifs")
  refused(greedy_marginalization(model, x, motifs = strrep("A", 8)), "no longer than")
  refused(greedy_marginalization(model, x, motifs = "A", max_spacing = -1), "max_spacing")
  refused(screen_sequences(model, 12), "max_iter")
  refused(screen_sequences(model, 0, max_iter = 1), "length")
  refused(screen_sequences(model, 12, max_iter = 1, func = 3), "func")
  refused(screen_sequences(model, 12, max_iter = 1, func = function(shape, ...) "ACGT"), "func")
  expect_error(greedy_substitution(model, x, motifs = "AXA"), class = "seqlift_error_sequence")
  expect_error(greedy_substitution(model, 5), class = "seqlift_error_sequence")
})

test_that("a design prints what was reached and how", {
  design <- greedy_substitution(design_model(), test_sequences(1L), max_iter = 2)
  expect_output(print(design), "1 sequence of 12 bp")
  expect_output(print(design), "edits:       2")
  screened <- screen_sequences(design_model(), 12, n_best = 2, max_iter = 1, random_state = 0)
  expect_output(print(screened), "2 sequences of 12 bp")
  expect_message(
    greedy_substitution(design_model(), test_sequences(1L), max_iter = 1, verbose = TRUE),
    "Iteration 1"
  )
})
