# BPPARAM: the numbers, conditions and seeds of workers are those of this session. Workers are
# started once for the whole file.

has_biocparallel <- requireNamespace("BiocParallel", quietly = TRUE)
workers <- if (has_biocparallel) BiocParallel::bpstart(BiocParallel::SnowParam(2L))

# One worker, in this process. It must not set this session's options, as they were written to a
# file, again: the testing package keeps its own state in one.
alone <- function() {
  skip_if_not_installed("batchtools")
  registry <- BiocParallel::batchtoolsRegistryargs(
    file.dir = tempfile("registry-"), work.dir = tempdir()
  )
  BiocParallel::BatchtoolsParam(1L,
    cluster = "interactive", registryargs = registry, exportglobals = FALSE
  )
}

without_seconds <- function(x) {
  if (is.list(x)) {
    x[] <- lapply(x, without_seconds)
  } else if (!is.null(attr(x, "info"))) {
    info <- Filter(length, attr(x, "info"))
    attr(x, "info") <- info[setdiff(names(info), "seconds")]
  }
  x
}

# `run(BPPARAM)` in this session and by two workers.
expect_same_by_workers <- function(run) {
  here <- without_seconds(run(NULL))
  there <- without_seconds(run(workers))
  expect_identical(there, here)
}

heads <- function() with_args(test_model("two_heads"), list(control_track = 0.3))

test_that("attributions, predictions and maps of workers are those of this session", {
  skip_if_not(has_biocparallel)
  X <- test_sequences(5L)
  tiny <- test_model("tiny")
  exactly <- function(f, model, ...) {
    expect_same_by_workers(function(BPPARAM) {
      f(model, X, ..., dtype = "float64", BPPARAM = BPPARAM)
    })
  }
  exactly(deep_lift_shap, tiny, n_shuffles = 3L, random_state = 7, return_references = TRUE)
  exactly(deep_lift_shap, tiny,
    n_shuffles = 3L, random_state = 7, raw_outputs = TRUE, target = 1:2
  )
  exactly(deep_lift_shap, tiny, references = reversed_references(X), hypothetical = TRUE)
  exactly(pisa, tiny, n_shuffles = 2L, random_state = 1, return_references = TRUE)
  exactly(taylor_ism, tiny, output = "hypothetical", baseline = array(0.3, c(5, 4, 12)))
  exactly(saturation_mutagenesis, tiny, start = 3, end = 6)
  exactly(saturation_mutagenesis, tiny, raw_outputs = TRUE, end = 2)
  exactly(dependency_map, tiny, start = 4, end = 7)
  exactly(predict, tiny)
  exactly(predict, heads())
  # A model that was made in this session, whose file is in its temporary folder.
  both <- reverse_complement_average(ensemble(tiny, tiny, weights = c(1, 3)))
  exactly(predict, both)
  exactly(deep_lift_shap, both, n_shuffles = 2L, random_state = 3)
})

test_that("attribute() gives each sequence the random numbers of its place", {
  skip_if_not(has_biocparallel)
  X <- test_sequences(5L)
  tiny <- test_model("tiny")
  for (method in c("smoothgrad", "expected_gradients", "saliency", "tism", "deep_lift_rescale")) {
    own <- if (method %in% c("expected_gradients", "deep_lift_rescale")) list(n_shuffles = 2L)
    expect_same_by_workers(function(BPPARAM) {
      do.call(attribute, c(list(tiny, X, method,
        random_state = 3, dtype = "float64", BPPARAM = BPPARAM
      ), own))
    })
  }
  baseline <- array(seq_len(5 * 4 * 12) / 1000, c(5, 4, 12))
  expect_same_by_workers(function(BPPARAM) {
    attribute(tiny, X, "integrated_gradients",
      baseline = baseline, n_steps = 4, layer = tiny$info$modules[2], dtype = "float64",
      BPPARAM = BPPARAM
    )
  })
  expect_same_by_workers(function(BPPARAM) {
    attribute(select_output(test_model("two_heads"), 2), X, "integrated_gradients",
      args = list(control_track = array(seq_len(5 * 2 * 12) / 100, c(5, 2, 12))), n_steps = 4,
      explain_args = TRUE, args_baseline = list(control_track = array(1:120 / 200, c(5, 2, 12))),
      dtype = "float64", BPPARAM = BPPARAM
    )
  })
})

test_that("perturbations call func in the workers, their own functions and others", {
  skip_if_not(has_biocparallel)
  X <- test_sequences(5L)
  tiny <- test_model("tiny")
  outside <- 2
  # Holds what it needs.
  mine <- local({
    factor <- outside
    function(model, X, args, random_state) {
      noise <- dinucleotide_shuffle(X, n = 2L, random_state = random_state)[, 1, 1, 1]
      factor * predict(model, X, dtype = "float64") + args[[1L]][, 1] + noise
    }
  })
  shift <- list(array(1:5, c(5, 1)))
  expect_same_by_workers(function(BPPARAM) {
    marginalize(tiny, X, motifs = c("GATA", "TT"), func = deep_lift_shap,
      n_shuffles = 2L, random_state = 0, dtype = "float64", BPPARAM = BPPARAM
    )
  })
  expect_same_by_workers(function(BPPARAM) {
    marginalize(tiny, X, "GATA", func = mine, args = shift, random_state = 4, BPPARAM = BPPARAM)
  })
  sites <- data.frame(example = c(1, 3), start = 2, end = 9)
  expect_same_by_workers(function(BPPARAM) {
    marginalize_annotations(tiny, X, X, sites, dtype = "float64", BPPARAM = BPPARAM)
  })
  expect_same_by_workers(function(BPPARAM) {
    ablate(tiny, X, 2, 10,
      n = 3, shuffle = shuffle_region, random_state = 5, dtype = "float64", BPPARAM = BPPARAM
    )
  })
  expect_same_by_workers(function(BPPARAM) {
    ablate_annotations(heads(), X, sites,
      n = 3, shuffle = shuffle_region, random_state = 5, dtype = "float64", BPPARAM = BPPARAM
    )
  })
  expect_same_by_workers(function(BPPARAM) {
    space_motifs(tiny, X, c("GA", "TC"), 1:3, dtype = "float64", BPPARAM = BPPARAM)
  })
  expect_same_by_workers(function(BPPARAM) {
    substitution_effect(tiny, X, data.frame(example = 4, position = 3, alt = "G"),
      dtype = "float64", BPPARAM = BPPARAM
    )
  })
  expect_same_by_workers(function(BPPARAM) {
    insertion_effect(tiny, X, data.frame(example = 4, position = 3, alt = "G"),
      dtype = "float64", BPPARAM = BPPARAM
    )
  })
  expect_same_by_workers(function(BPPARAM) {
    apply_pairwise(predict, select_output(test_model("two_heads"), 2), X,
      args = list(array(1:72 / 50, c(3, 2, 12))), dtype = "float64", BPPARAM = BPPARAM
    )
  })
})

test_that("inputs with a row a sequence go with their sequences", {
  skip_if_not(has_biocparallel)
  X <- test_sequences(5L)
  control <- array(seq_len(5 * 2 * 12) / 100, c(5, 2, 12))
  model <- select_output(test_model("two_heads"), 2)
  expect_same_by_workers(function(BPPARAM) {
    deep_lift_shap(with_args(model, list(control_track = control)), X,
      n_shuffles = 2L, random_state = 0, dtype = "float64", BPPARAM = BPPARAM
    )
  })
  expect_error(
    predict(model, X, args = list(control[1:3, , ]), BPPARAM = workers),
    "must be 5",
    class = "seqlift_error_args"
  )
})

test_that("any number of workers of any kind gives the same bits, and set.seed() the same seed", {
  skip_if_not(has_biocparallel)
  X <- test_sequences(5L)
  run <- function(BPPARAM) {
    set.seed(11)
    without_seconds(deep_lift_shap(test_model("scaled"), X, n_shuffles = 4L, BPPARAM = BPPARAM))
  }
  two <- run(workers)
  expect_identical(run(alone()), two)
  expect_identical(attr(run(NULL), "info")$random_state, attr(two, "info")$random_state)
  expect_identical(run(BiocParallel::SerialParam()), run(NULL))
})

test_that("in single precision too, no bit depends on the workers", {
  skip_if_not(has_biocparallel)
  # One more than a batch of the default size.
  X <- unname(rep(demo_sequences(), length.out = 33L))
  model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  # Workers have as many threads as were asked for here, for fewer sequences.
  for (threads in 1:2) {
    with_threads(threads, {
      expect_same_by_workers(function(BPPARAM) predict(model, X, BPPARAM = BPPARAM))
      expect_same_by_workers(function(BPPARAM) {
        saturation_mutagenesis(model, X[1:3], start = 240, end = 250, BPPARAM = BPPARAM)
      })
      expect_same_by_workers(function(BPPARAM) {
        deep_lift_shap(model, X[1:3], n_shuffles = 2L, random_state = 1, BPPARAM = BPPARAM)
      })
      expect_same_by_workers(function(BPPARAM) {
        attribute(model, X[1:3], "saliency", BPPARAM = BPPARAM)
      })
    })
  }
})

test_that("a worker that is killed is told of with its sequences", {
  skip_if_not(has_biocparallel)
  own <- BiocParallel::bpstart(BiocParallel::SnowParam(1L))
  on.exit(try(BiocParallel::bpstop(own), silent = TRUE))
  dying <- function(model, X) tools::pskill(Sys.getpid(), tools::SIGKILL)
  error <- expect_error(
    marginalize(test_model("tiny"), test_sequences(3L), "GA", func = dying, BPPARAM = own),
    class = "seqlift_error_worker"
  )
  expect_match(conditionMessage(error), "sequence(s)? 1")
})

test_that("batchtools' sockets give the same", {
  skip_if_not(has_biocparallel)
  skip_if_not_installed("batchtools")
  skip_if_not_installed("snow")
  registry <- BiocParallel::batchtoolsRegistryargs(
    file.dir = tempfile("registry-"), work.dir = tempdir()
  )
  jobs <- BiocParallel::BatchtoolsParam(2L, cluster = "socket", registryargs = registry)
  X <- test_sequences(4L)
  run <- function(BPPARAM) {
    deep_lift_shap(test_model("tiny"), X, n_shuffles = 2L, random_state = 1, BPPARAM = BPPARAM)
  }
  expect_identical(without_seconds(run(jobs)), without_seconds(run(workers)))
})

test_that("how sequences are cut depends on their number and the batches alone", {
  expect_identical(cut_chunks(5L, 2), list(1:2, 3:4, 5L))
  arguments <- list(batch_size = 32, n_shuffles = 20L)
  expect_identical(pairs_unit(arguments, "module"), 8L)
  expect_identical(pairs_unit(arguments, "operator"), 1L)
  arguments$references <- array(0, c(2, 3, 4, 5))
  expect_identical(pairs_unit(arguments, "module"), 32L)
  expect_identical(pairs_unit(arguments, "operator"), 10L)
})

test_that("an error of a worker has its class and says which sequences it is of", {
  skip_if_not(has_biocparallel)
  error <- expect_error(
    predict(test_model("tiny"), rep("ACGTA", 70), BPPARAM = workers),
    class = "seqlift_error_evaluation"
  )
  expect_match(conditionMessage(error), "sequences 1 to 32", fixed = TRUE)
  expect_match(deparse(error$call)[1], "^predict")
  bad <- c(test_sequences(3L), "ACGTTGCAAGTX")
  expect_error(predict(test_model("tiny"), bad, BPPARAM = workers), "Sequence 4",
    class = "seqlift_error_sequence"
  )
  failing <- function(model, X) stop("no luck")
  expect_error(
    marginalize(test_model("tiny"), test_sequences(), "GA", func = failing, BPPARAM = workers),
    "no luck"
  )
})

test_that("an error ends the chunks that have not begun", {
  skip_if_not(has_biocparallel)
  folder <- new_folder()
  # Every sequence is a chunk, ten for each of the two workers; all leave a trace and fail.
  failing <- local({
    folder <- folder
    function(model, X) {
      file.create(tempfile("begun-", folder))
      stop("no luck")
    }
  })
  error <- expect_error(
    marginalize(test_model("tiny"), test_sequences(20L), "GA", func = failing, BPPARAM = workers),
    "no luck"
  )
  expect_lte(length(list.files(folder)), 2L)
  # The workers are there for the next call.
  expect_length(predict(test_model("tiny"), test_sequences(4L), BPPARAM = workers), 12L)
})

test_that("a worker that cannot begin is told of", {
  skip_if_not(has_biocparallel)
  expect_error(
    run_jobs(list(as.raw(1:4)), list(1:3), workers, environment()),
    "could not begin with sequences 1 to 3",
    class = "seqlift_error_worker"
  )
})

test_that("warnings of workers come once, and that of convergence is of all sequences", {
  skip_if_not(has_biocparallel)
  X <- test_sequences(4L)
  told <- function(BPPARAM) {
    messages <- character()
    withCallingHandlers(
      deep_lift_shap(test_model("scaled"), X,
        rules = "module", n_shuffles = 4L, random_state = 0, batch_size = 4L, BPPARAM = BPPARAM
      ),
      seqlift_warning_convergence = function(warning) {
        messages <<- c(messages, conditionMessage(warning))
        invokeRestart("muffleWarning")
      }
    )
    messages
  }
  expect_length(told(workers), 1L)
  expect_identical(told(workers), told(NULL))
  seen <- 0
  withCallingHandlers(
    marginalize(test_model("tiny"), X, "GA",
      func = function(model, X) {
        warning("careful")
        X[, , 1, drop = FALSE]
      }, BPPARAM = workers
    ),
    warning = function(warning) {
      seen <<- seen + 1
      invokeRestart("muffleWarning")
    }
  )
  # One of `before`, one of `after`.
  expect_identical(seen, 2)
})

test_that("a worker uses one thread, or as many as this session was told", {
  skip_if_not(has_biocparallel)
  own <- seqlift:::engine
  before <- own$threads
  on.exit(own$threads <- before)
  threads <- function() {
    marginalize(test_model("tiny"), test_sequences(2L), "GA",
      func = function(model, X) rep(seqlift::seqlift_threads(), dim(X)[1]), BPPARAM = workers
    )$before
  }
  own$threads <- NULL
  expect_equal(as.vector(threads()), c(1, 1))
  seqlift_threads(3)
  expect_equal(as.vector(threads()), c(3, 3))
})

test_that("a fork is refused where a model was used, and works where none was", {
  skip_if_not(has_biocparallel)
  skip_on_os("windows")
  model <- test_model("tiny")
  X <- test_sequences()
  for (forking in list(
    BiocParallel::MulticoreParam(2L), BiocParallel::SnowParam(2L, type = "FORK"),
    if (requireNamespace("batchtools", quietly = TRUE)) {
      BiocParallel::BatchtoolsParam(2L, cluster = "multicore")
    }
  )) {
    if (is.null(forking)) next
    expect_error(predict(model, X, BPPARAM = forking), "SnowParam(2)",
      fixed = TRUE, class = "seqlift_error_fork"
    )
  }
  file <- file.path(new_folder(), "model.rds")
  saveRDS(model, file)
  cold <- in_new_session(function(file, X) {
    seqlift::deep_lift_shap(readRDS(file), X,
      n_shuffles = 2L, random_state = 0, BPPARAM = BiocParallel::MulticoreParam(2L)
    )
  }, list(file, X))
  warm <- deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0)
  expect_equal(without_seconds(cold), without_seconds(warm), tolerance = 1e-6)
})

test_that("BPPARAM must be a parameter object", {
  for (wrong in list(2, "SnowParam", list())) {
    expect_error(predict(test_model("tiny"), test_sequences(), BPPARAM = wrong),
      "parameter object of BiocParallel",
      class = "seqlift_error_argument"
    )
  }
})

if (has_biocparallel) {
  BiocParallel::bpstop(workers)
}
