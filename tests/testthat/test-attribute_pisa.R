# Every output of a profile at once, against deep_lift_shap() of each.

local_tiny <- function() test_model("tiny_float64")

test_that("pisa() is deep_lift_shap() of every output", {
  model <- local_tiny()
  X <- test_sequences(3L)
  n_outputs <- dim(predict(model, X))[2L]
  expect_gt(n_outputs, 1L)
  for (output in c("attributions", "hypothetical", "raw")) {
    for (rules in c("operator", "module")) {
      arguments <- list(
        model = model, X = X, n_shuffles = 4L, random_state = 3L, rules = rules,
        hypothetical = output == "hypothetical", raw_outputs = output == "raw"
      )
      influence <- do.call(pisa, arguments)
      leading <- if (output == "raw") c(3L, 4L) else 3L
      expect_identical(dim(influence), c(leading, n_outputs, 4L, 12L))
      deltas <- convergence_deltas(influence)
      expect_identical(dim(deltas), c(3L, 4L, n_outputs))
      for (k in seq_len(n_outputs)) {
        one <- do.call(deep_lift_shap, c(arguments, target = k))
        of_k <- if (output == "raw") influence[, , k, , ] else influence[, k, , ]
        expect_lt(largest_difference(of_k, one), 1e-12)
        expect_lt(largest_difference(deltas[, , k], convergence_deltas(one)), 1e-12)
      }
    }
  }
})

test_that("a range of outputs, batch sizes and threads do not change the numbers", {
  model <- local_tiny()
  X <- test_sequences(2L)
  all <- pisa(model, X, n_shuffles = 5L, random_state = 0L)
  some <- pisa(model, X, n_shuffles = 5L, random_state = 0L, outputs = c(2L, 1L))
  expect_identical(dim(some), c(2L, 2L, 4L, 12L))
  expect_lt(largest_difference(some, all[, c(2L, 1L), , ]), 1e-13)
  for (batch_size in c(1L, 3L, 100L)) {
    part <- with_threads(1L, pisa(model, X,
      n_shuffles = 5L, random_state = 0L, batch_size = batch_size
    ))
    expect_lt(largest_difference(part, all), 1e-12)
  }
})

test_that("the attributions of each output sum to its mean change", {
  model <- local_tiny()
  X <- test_sequences(2L)
  references <- dinucleotide_shuffle(X, n = 3L, random_state = 1L)
  influence <- pisa(model, X, references = references, return_references = TRUE)
  expect_lt(max(abs(convergence_deltas(influence))), 1e-10)
  expect_equal(as.vector(references(influence)), as.vector(references))
  f_references <- vapply(
    seq_len(3L), \(j) predict(model, array(references[, j, , ], c(2L, 4L, 12L))),
    predict(model, X)
  )
  change <- predict(model, X) - apply(f_references, c(1L, 2L), mean)
  expect_lt(largest_difference(apply(influence, c(1L, 2L), sum), change), 1e-10)
})

test_that("a pisa result prints, has names, and gives plain numbers when computed with", {
  X <- test_sequences(2L)
  influence <- pisa(local_tiny(), X, outputs = 1:2, n_shuffles = 2L, random_state = 0L)
  expect_identical(dimnames(influence)[[1L]], names(X))
  expect_identical(dimnames(influence)[[3L]], c("A", "C", "G", "T"))
  expect_output(print(influence), "attributions of 2 outputs (1 to 2): [2, 2, 4, 12]", fixed = TRUE)
  expect_null(attr(influence[1, 1, , ], "convergence_deltas"))
  expect_false(inherits(influence * 2, "seqlift_pisa"))
})

test_that("pisa() refuses outputs that are not there", {
  model <- local_tiny()
  X <- test_sequences(1L)
  expect_error(pisa(model, X, outputs = 0L), class = "seqlift_error_argument")
  expect_error(pisa(model, X, outputs = 1000L), class = "seqlift_error_target")
  two_heads <- with_args(test_model("two_heads"), list(control_track = 0))
  expect_error(pisa(two_heads, X), class = "seqlift_error_output")
  expect_error(pisa(model, X, n = 3L), class = "seqlift_error_argument")
})

test_that("further inputs are those of the sequence, and strands are counted one after the other", {
  model <- select_output(demo_model(), 1L)
  X <- demo_sequences()[1:2]
  control <- array(stats::runif(2L * 2L * nchar(X[[1L]])), c(2L, 2L, nchar(X[[1L]])))
  profile <- predict(model, X, args = list(control), dtype = "float64")
  shape <- dim(profile)
  expect_identical(shape[2L], 2L)
  # The second strand's fifth position.
  influence <- pisa(model, X,
    args = list(control), outputs = c(7L, shape[3L] + 5L), n_shuffles = 2L, random_state = 0L,
    dtype = "float64", return_references = TRUE
  )
  expect_lt(max(abs(convergence_deltas(influence))), 1e-10)
  f_references <- vapply(1:2, \(j) {
    reference <- array(references(influence)[, j, , ], c(2L, 4L, nchar(X[[1L]])))
    predict(model, reference, args = list(control), dtype = "float64")[, 2L, 5L]
  }, numeric(2L))
  change <- profile[, 2L, 5L] - rowMeans(f_references)
  expect_lt(largest_difference(apply(influence[, 2L, , ], 1L, sum), change), 1e-10)
})

test_that("pisa() shows how far it is, and stops within a second of Ctrl-C", {
  skip_if_not_installed("callr")
  skip_on_os("windows")
  skip_if(ignores_interrupts(), "interrupts are ignored: started in the background")
  log <- tempfile()
  on.exit(unlink(log))
  # One sequence: there is one piece of work, which has to be stopped in its middle. Seconds of the
  # processor do not depend on what else a machine does.
  child <- callr::r_bg(function(log) {
    library(seqlift)
    seqlift_threads(1L)
    spent <- function() sum(proc.time()[c("user.self", "sys.self")])
    note <- function(...) cat(..., "\n", file = log, append = TRUE)
    own <- function(show, label) {
      if (show) function(share) note(share, spent()) else function(share) NULL
    }
    namespace <- asNamespace("seqlift")
    unlockBinding("progress_bar", namespace)
    assign("progress_bar", own, namespace)
    model <- with_args(demo_model(), list(control_track = 0)) |> select_output(1)
    tryCatch(
      pisa(model, demo_sequences()[1], n_shuffles = 400L, random_state = 0, verbose = TRUE),
      interrupt = function(condition) note("stopped", spent())
    )
  }, list(log), libpath = .libPaths())
  on.exit(child$kill(), add = TRUE)
  notes <- function() if (file.exists(log)) strsplit(trimws(readLines(log)), " ") else list()
  shares <- function() unique(as.numeric(vapply(notes(), `[`, "", 1L)))
  deadline <- Sys.time() + 120
  while (child$is_alive() && length(shares()) < 4L && Sys.time() < deadline) {
    Sys.sleep(0.05)
  }
  expect_true(child$is_alive())
  child$interrupt()
  child$wait(60000)
  expect_false(child$is_alive())
  said <- notes()
  expect_identical(said[[length(said)]][1L], "stopped")
  before <- as.numeric(vapply(said[-length(said)], `[`, "", 1L))
  expect_false(is.unsorted(before))
  expect_gte(length(unique(before)), 4L)
  expect_lt(max(before), 0.9)
  spent <- as.numeric(vapply(said, `[`, "", 2L))
  expect_lt(diff(utils::tail(spent, 2L)), 1)
})
