# The part of the package that is linked to LibTorch: when it is loaded, and what it survives.

skip_without_proc <- function() {
  skip_if_not(file.exists("/proc/self/maps"), "there is no /proc on this system")
}

# ---- loading -------------------------------------------------------------------------------

test_that("library(seqlift) maps no LibTorch, the first model does", {
  skip_without_proc()
  mapped <- in_new_session(function(path) {
    library(seqlift)
    torch_is_mapped <- function() any(grepl("libtorch|libc10", readLines("/proc/self/maps")))
    one_hot_encode("ACGT")
    before <- torch_is_mapped()
    load_model(path)
    c(before = before, after = torch_is_mapped())
  }, list(normalizePath(model_path("tiny"))))
  expect_identical(mapped, c(before = FALSE, after = TRUE))
})

test_that("a process forked after a model was used gets an error and does not hang", {
  skip_on_os("windows")
  model <- test_model("tiny")
  X <- test_sequences()
  predict(model, X)
  job <- parallel::mcparallel(tryCatch(predict(model, X), error = identity))
  result <- parallel::mccollect(job, wait = FALSE, timeout = 60)
  if (is.null(result)) {
    tools::pskill(job$pid, tools::SIGKILL)
    parallel::mccollect(job)
  }
  expect_s3_class(result[[1L]], "seqlift_error_fork")
  expect_match(conditionMessage(result[[1L]]), "makePSOCKcluster", fixed = TRUE)
  expect_identical(dim(predict(model, X)), c(3L, 3L))
})

# ---- devices and threads -------------------------------------------------------------------

test_that("a device that is not there is an error", {
  model <- test_model("tiny")
  X <- test_sequences()
  expect_error(predict(model, X, device = "cuda:99"), class = "seqlift_error_device")
  expect_error(load_model(model_path("tiny"), device = "cuda:99"), class = "seqlift_error_device")
  expect_error(predict(model, X, device = "cuda:99999999999"), class = "seqlift_error_device")
  for (device in list("tpu", "cuda:", "cuda:01", "CPU", 1, NA, c("cpu", "cpu"))) {
    expect_error(deep_lift_shap(model, X, device = device), class = "seqlift_error_argument")
  }
  skip_if(read.dcf(system.file("libtorch.dcf", package = "seqlift"))[1L, "Cuda"] != "no")
  expect_error(deep_lift_shap(model, X, device = "cuda"), class = "seqlift_error_device")
  expect_snapshot(error = TRUE, {
    deep_lift_shap(model, X, device = "cuda")
    deep_lift_shap(model, X, device = "tpu")
  })
})

test_that("the device of a model is that of its calls", {
  model <- load_model(model_path("tiny"), device = "cpu")
  result <- deep_lift_shap(model, test_sequences(), n_shuffles = 2L)
  expect_identical(attr(result, "info")$device, "cpu")
})

test_that("seqlift_threads() says and sets the number of threads", {
  before <- seqlift_threads()
  expect_gte(before, 1L)
  with_threads(3L, expect_identical(seqlift_threads(), 3L))
  expect_identical(seqlift_threads(), before)
  for (n in list(0, -1, 1.5, "all", NA, c(1, 2))) {
    expect_error(seqlift_threads(n), class = "seqlift_error_argument")
  }
  expect_snapshot(error = TRUE, seqlift_threads(0))
})

# ---- long calls ----------------------------------------------------------------------------

test_that("a progress bar may be told of the end more than once", {
  told <- function(shares) {
    progress <- progress_bar(TRUE, "Predicting")
    for (share in shares) {
      progress(share)
    }
    "done"
  }
  expect_identical(suppressMessages(told(c(0, 0.5, 1, 1, 1))), "done")
  expect_null(progress_bar(FALSE, "Predicting"))
})

test_that("an interrupted call returns at once and leaves the model usable", {
  skip_if_not_installed("callr")
  skip_on_os("windows")
  skip_if(ignores_interrupts(), "interrupts are ignored: started in the background")
  session <- callr::r_session$new(callr::r_session_options(libpath = .libPaths()))
  on.exit(session$close())
  session$run(function(path) {
    library(seqlift)
    model <<- load_model(path)
    X <<- random_one_hot(c(400, 4, 200), random_state = 0)
    before <<- predict(model, X[1:2, , ])
  }, list(normalizePath(model_path("slow"))))
  started <- tempfile()
  session$call(function(started) {
    file.create(started)
    deep_lift_shap(model, X)
  }, list(started))
  # On a busy machine the session may take its time to begin. The call itself is long enough to be
  # in the middle of it: a minute on two cores.
  for (i in seq_len(300)) {
    if (file.exists(started)) break
    Sys.sleep(0.1)
  }
  Sys.sleep(2)
  expect_identical(session$poll_process(0), "timeout")
  session$interrupt()
  expect_identical(session$poll_process(30000), "ready")
  expect_s3_class(session$read()$error, "callr_timeout_error")
  after <- session$run(function() {
    list(
      same = identical(predict(model, X[1:2, , ]), before),
      deltas = max(abs(convergence_deltas(deep_lift_shap(model, X[1:2, , ], n_shuffles = 2L))))
    )
  })
  expect_true(after$same)
  expect_lt(after$deltas, 1e-4)
})

test_that("memory does not grow over 200 calls", {
  skip_without_proc()
  kilobytes <- in_new_session(function(paths, X) {
    library(seqlift)
    seqlift_threads(2)
    models <- lapply(paths, load_model)
    resident <- function() {
      gc()
      line <- grep("^VmRSS", readLines("/proc/self/status"), value = TRUE)
      as.numeric(gsub("[^0-9]", "", line))
    }
    twenty_calls <- function() {
      for (i in seq_len(4)) {
        for (model in models) {
          deep_lift_shap(model, X, n_shuffles = 20L, random_state = 0)
        }
        suppressWarnings(deep_lift_shap(models[[1L]], X, rules = "module", random_state = 0))
        predict(models[[1L]], X)
        try(deep_lift_shap(models[[1L]], X, target = 99L), silent = TRUE)
      }
      resident()
    }
    # The first calls load code and fill caches.
    vapply(seq_len(13), function(i) twenty_calls(), 1)
  }, list(normalizePath(model_path(c("functional", "scaled"))), unname(test_sequences(20L))))
  # 200 calls. The pairs' activations are 100 kB in one layer: a call that kept them would show.
  expect_lt(kilobytes[13L] - kilobytes[3L], 4096)
})

test_that("memory does not grow with the number of lengths", {
  skip_without_proc()
  measured <- in_new_session(function() {
    library(seqlift)
    seqlift_threads(1)
    model <- with_args(demo_model(), list(control_track = 0))
    X <- strrep("ACGTTGCAAGTC", 60L)
    resident_after <- function(lengths) {
      for (length in lengths) {
        predict(model, substr(X, 1L, length))
      }
      gc()
      line <- grep("^VmRSS", readLines("/proc/self/status"), value = TRUE)
      as.numeric(gsub("[^0-9]", "", line))
    }
    # Ten layers: the first forty lengths fill what is kept.
    c(resident_after(400:439), resident_after(440:479), nzchar(Sys.getenv("LRU_CACHE_CAPACITY")))
  })
  # What LibTorch and oneDNN prepare for a length is 10 to 20 MB of this model.
  expect_lt(measured[2L] - measured[1L], 150 * 1024)
  expect_identical(measured[3L], as.numeric(nzchar(Sys.getenv("LRU_CACHE_CAPACITY"))))
})

test_that("a word that the engine does not know is a fault of ours, not a default", {
  path <- tempfile(fileext = ".pt")
  plan <- list(kind = "sum", members = list())
  error <- expect_error(
    seqlift:::call_engine("compose", path, plan),
    class = "seqlift_error_internal"
  )
  expect_match(conditionMessage(error), "\"sum\" came from R", fixed = TRUE)
  expect_false(file.exists(path))
})
