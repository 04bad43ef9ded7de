# The engine in an R session of its own: why, and that nothing else differs.

# ---- another LibTorch ----------------------------------------------------------------------

# What a user would do, in a fresh process; `torch` is when R's torch (its stand-in) is loaded.
main_job <- function(library, torch, paths) {
  .libPaths(c(library, .libPaths()))
  if (torch == "before") {
    library("torch", character.only = TRUE)
  }
  library(seqlift)
  told <- list()
  mapped <- function() {
    lines <- grep("libtorch_cpu", readLines("/proc/self/maps"), value = TRUE)
    unique(dirname(sub("^[^/]*", "", lines)))
  }
  withCallingHandlers(
    {
      models <- lapply(paths, load_model)
      if (torch == "after") {
        library("torch", character.only = TRUE)
      }
      X <- random_one_hot(c(3, 4, 12), random_state = 1)
      results <- list(
        predictions = lapply(models, predict, X),
        attributions = deep_lift_shap(models[[1L]], X, random_state = 0),
        substituted = saturation_mutagenesis(models[[2L]], X, raw_outputs = TRUE)
      )
    },
    seqlift_message_session = function(message) {
      told <<- c(told, list(conditionMessage(message)))
      invokeRestart("muffleMessage")
    }
  )
  # How long it took differs.
  attr(results$attributions, "info") <- NULL
  list(results = results, told = told, mapped = mapped())
}

test_that("R's torch with another LibTorch, before or after: the same numbers, said once", {
  library <- torch_stand_in()
  paths <- normalizePath(model_path(c("tiny", "functional")))
  alone <- in_new_session(main_job, list(NULL, "never", paths))
  skip_if(length(alone$told) > 0L, "R's torch is installed")
  own <- read.dcf(system.file("libtorch.dcf", package = "seqlift"))[1L, "Library"]
  expect_identical(alone$mapped, dirname(normalizePath(own)))
  for (torch in c("before", "after")) {
    both <- in_new_session(main_job, list(library, torch, paths))
    expect_identical(both$results, alone$results)
    expect_length(both$told, 1L)
    expect_match(both$told[[1L]], "an R session of its own", fixed = TRUE)
    expect_match(
      gsub("\\s+", " ", both$told[[1L]]), file.path(library, "torch", "lib", "libtorch_cpu.so"),
      fixed = TRUE
    )
    # One LibTorch in the process, and it is torch's.
    expect_identical(both$mapped, file.path(library, "torch", "lib"))
  }
})

test_that("another LibTorch in this process is an error where the engine may not leave it", {
  library <- torch_stand_in()
  refused <- in_new_session(function(library, path) {
    library(seqlift)
    loadNamespace("torch", lib.loc = library)
    try_load <- function() tryCatch(load_model(path), error = identity)
    options(seqlift.engine = "process")
    by_choice <- try_load()
    options(seqlift.engine = "auto")
    # Where only R's own packages are found; those of seqlift are loaded already.
    .libPaths(character(), include.site = FALSE)
    has_callr <- requireNamespace("callr", quietly = TRUE)
    list(
      errors = lapply(list(by_choice, if (!has_callr) try_load()), function(error) {
        list(class = class(error), message = if (!is.null(error)) conditionMessage(error))
      }),
      alive = dim(one_hot_encode("ACGT"))
    )
  }, list(library, normalizePath(model_path("tiny"))))
  expect_true("seqlift_error_libtorch" %in% refused$errors[[1L]]$class)
  expect_match(refused$errors[[1L]]$message, file.path(library, "torch", "lib"), fixed = TRUE)
  expect_match(refused$errors[[1L]]$message, "options(seqlift.engine = \"auto\")", fixed = TRUE)
  expect_identical(refused$alive, c(1L, 4L, 4L))
  skip_if(is.null(refused$errors[[2L]]$message), "callr is among R's own packages")
  expect_true("seqlift_error_libtorch" %in% refused$errors[[2L]]$class)
  expect_match(refused$errors[[2L]]$message, "Install the package callr", fixed = TRUE)
})

test_that("the reason for a session: R's torch by its LibTorch, the option, or none", {
  library <- tempfile()
  lib <- file.path(library, "torch", "lib")
  dir.create(lib, recursive = TRUE)
  writeLines(c("Package: torch", "Version: 0.0.1"), file.path(library, "torch", "DESCRIPTION"))
  home <- tempfile()
  dir.create(file.path(home, "lib64"), recursive = TRUE)
  paths <- .libPaths()
  choice <- options(seqlift.engine = "auto")
  variables <- Sys.getenv(c("TORCH_HOME", "TORCH_INSTALL"), NA)
  on.exit({
    .libPaths(paths)
    options(choice)
    Sys.unsetenv(names(variables)[is.na(variables)])
    lapply(names(variables)[!is.na(variables)], function(name) {
      do.call(Sys.setenv, as.list(variables[name]))
    })
    unlink(c(library, home), recursive = TRUE)
  })
  Sys.unsetenv(names(variables))
  own <- read.dcf(system.file("libtorch.dcf", package = "seqlift"))[1L, "Library"]
  why <- function() why_session(own, "1.13.1", rlang::current_env())
  skip_if_not_installed("callr")
  skip_if(nzchar(system.file(package = "torch")), "R's torch is installed")
  expect_null(why())
  .libPaths(c(library, paths))
  # R's torch without a LibTorch may install one as it is loaded.
  expect_identical(is.null(why()), !interactive())
  Sys.setenv(TORCH_INSTALL = "1")
  expect_identical(why()$other, lib)
  Sys.setenv(TORCH_INSTALL = "0")
  expect_null(why())
  file.create(file.path(lib, "libtorch_cpu.so"))
  expect_identical(why()$other, file.path(lib, "libtorch_cpu.so"))
  # TORCH_HOME is where it looks, if that is set. There it has the very LibTorch of the engine.
  Sys.setenv(TORCH_HOME = home)
  expect_null(why())
  file.symlink(own, file.path(home, "lib64", "libtorch_cpu.so"))
  expect_null(why())
  unlink(file.path(home, "lib64", "libtorch_cpu.so"))
  file.create(file.path(home, "lib64", "libtorch_cpu.so"))
  expect_identical(why()$other, file.path(home, "lib64", "libtorch_cpu.so"))
  options(seqlift.engine = "process")
  expect_null(why())
  options(seqlift.engine = "session")
  expect_match(why()$lines, "options(seqlift.engine = \"session\")", fixed = TRUE)
  options(seqlift.engine = "elsewhere")
  expect_error(why(), class = "seqlift_error_argument")
  expect_snapshot(error = TRUE, why())
})

# ---- nothing else differs ------------------------------------------------------------------

test_that("every method gives the same numbers in a session of its own", {
  all_methods <- function() {
    X <- test_sequences()
    heads <- with_args(test_model("two_heads"), list(control_track = 0))
    counts <- select_output(heads, 2)
    explained <- deep_lift_shap(counts, X, random_state = 0, return_references = TRUE)
    list(
      heads$info, predict(heads, X), numbers_of(explained), convergence_deltas(explained),
      references(explained),
      numbers_of(attribute(counts, X, "integrated_gradients")),
      numbers_of(attribute(counts, X, "deep_lift_reveal_cancel", random_state = 0)),
      numbers_of(attribute(counts, X, "smoothgrad", random_state = 0)),
      saturation_mutagenesis(counts, X, raw_outputs = TRUE),
      numbers_of(pisa(profile_score(heads), X, random_state = 0)),
      as.list(audit_model(counts, X)), seqlift_threads()
    )
  }
  here <- all_methods()
  there <- with_isolated_engine(all_methods())
  expect_identical(there, here)
})

test_that("errors are the same in a session of its own, by class and by word", {
  all_errors <- function() {
    X <- test_sequences()
    caught <- function(code) {
      error <- tryCatch(code, error = identity)
      list(class(error), conditionMessage(error), rlang::expr_deparse(conditionCall(error))[1L])
    }
    in_empty_folder({
      writeLines("This is no model.", "text.pt")
      file_errors <- lapply(c("missing.pt", "text.pt", "."), function(path) {
        caught(load_model(path))
      })
    })
    c(file_errors, list(
      caught(test_model("no_forward")), caught(test_model("nan_weights")),
      caught(predict(test_model("tiny"), "ACGT")),
      caught(predict(test_model("tiny"), X, device = "cuda:99")),
      caught(deep_lift_shap(test_model("unsupported"), X)),
      caught(deep_lift_shap(test_model("tiny"), X, nonlinear_ops = list(relu = function(...) 1:3))),
      caught(deep_lift_shap(test_model("tiny"), X, nonlinear_ops = list(relu = function(x) x)))
    ))
  }
  here <- all_errors()
  expect_true(all(vapply(here, function(one) "seqlift_error" %in% one[[1L]], logical(1L))))
  expect_identical(with_isolated_engine(all_errors()), here)
})

test_that("a user's rule is called in this process and sees what is there", {
  X <- test_sequences()
  calls <- 0L
  rescale <- function(x, x_ref, y, y_ref, grad_output) {
    calls <<- calls + 1L
    change <- x - x_ref
    ratio <- ifelse(abs(change) < 1e-6, x_ref > 0, (y - y_ref) / change)
    array(ratio * grad_output, dim(x))
  }
  model <- test_model("tiny")
  explain <- function(rule) {
    numbers_of(deep_lift_shap(model, X, nonlinear_ops = list(relu = rule), random_state = 0))
  }
  here <- explain(rescale)
  calls_here <- calls
  there <- with_isolated_engine(explain(rescale))
  expect_identical(there, here)
  expect_gt(calls_here, 0L)
  expect_identical(calls, 2L * calls_here)
  # The engine is busy with the call that asks for the rule.
  nested <- with_isolated_engine({
    error <- tryCatch(explain(function(...) predict(model, X)), error = identity)
    list(error, explain(rescale))
  })
  expect_s3_class(nested[[1L]], "seqlift_error_registration")
  expect_s3_class(nested[[1L]]$parent, "seqlift_error_session")
  expect_identical(nested[[2L]], here)
})

test_that("progress passes through", {
  X <- random_one_hot(c(40, 4, 200), random_state = 0)
  shares_of <- function(batch_size) {
    shares <- numeric()
    options <- list(
      wrappers = list(), batch_size = batch_size, dtype = "native", device = "cpu", threads = 1L,
      progress = function(share) shares <<- c(shares, share)
    )
    sequences <- engine_input(as_sequences(X), list())
    call_engine("predict", model_pointer(test_model("slow")), sequences, options)
    shares
  }
  shares <- with_isolated_engine(shares_of(1L))
  expect_gt(length(shares), 2L)
  expect_false(is.unsorted(shares))
  expect_identical(shares[length(shares)], 1)
})

test_that("threads, saved models and the folder of the user are those of this process", {
  X <- test_sequences()
  with_isolated_engine({
    model <- test_model("tiny")
    expected <- predict(model, X)
    with_threads(2L, expect_identical(predict(model, X), expected))
    file <- tempfile()
    saveRDS(model, file)
    copy <- readRDS(file)
    expect_identical(predict(copy, X), expected)
    # The copy does not lean on the model that it was made of.
    rm(model)
    gc()
    expect_identical(predict(copy, X), expected)
    file.copy(model_path("tiny"), tempdir())
    before <- setwd(tempdir())
    on.exit(setwd(before))
    expect_identical(predict(load_model("tiny.pt"), X), expected)
  })
})

test_that("what no model here refers to is forgotten there", {
  with_isolated_engine({
    held <- function() {
      engine$session$run(function() ls(asNamespace("seqlift")$served_models))
    }
    kept <- test_model("tiny")
    X <- test_sequences()
    use <- function() for (i in seq_len(5L)) predict(test_model("tiny"), X)
    use()
    expect_length(held(), 6L)
    gc()
    predict(kept, X)
    # R may not have let go of the last one.
    expect_lte(length(held()), 2L)
  })
})

# ---- its life ------------------------------------------------------------------------------

test_that("a session that was killed is an error that says so, and the next call starts another", {
  with_isolated_engine({
    X <- test_sequences()
    model <- test_model("tiny")
    before <- predict(model, X)
    # Between two calls nobody needs to know.
    first <- engine$session$get_pid()
    tools::pskill(first, tools::SIGKILL)
    engine$session$wait(5000)
    expect_silent(expect_identical(predict(model, X), before))
    second <- engine$session$get_pid()
    expect_false(first == second)
    # In the middle of one: a rule is asked for while the session works.
    kill <- function(x, x_ref, y, y_ref, grad_output) {
      tools::pskill(engine$session$get_pid(), tools::SIGKILL)
      0 * x
    }
    error <- tryCatch(
      deep_lift_shap(model, X, nonlinear_ops = list(relu = kill)),
      error = identity
    )
    expect_s3_class(error, "seqlift_error_session")
    expect_match(conditionMessage(error), "ended in the middle of the call", fixed = TRUE)
    expect_identical(rlang::call_name(conditionCall(error)), "deep_lift_shap")
    expect_identical(predict(model, X), before)
    expect_false(engine$session$get_pid() == second)
    # Of a crash the first words are shown, and not R's list of every call.
    crash <- function(x, x_ref, y, y_ref, grad_output) {
      tools::pskill(engine$session$get_pid(), 11L)
      0 * x
    }
    said <- capture.output(type = "message", {
      expect_error(deep_lift_shap(model, X, nonlinear_ops = list(relu = crash)),
        class = "seqlift_error_session"
      )
    })
    expect_match(paste(said, collapse = "\n"), "caught segfault", fixed = TRUE)
    expect_lt(length(said), 10L)
    expect_identical(predict(model, X), before)
  })
})

test_that("backtraces are cut out of what a session said, and nothing else", {
  crashed <- paste0(
    "a warning\n[host:1] Caught signal 11\n==== backtrace (tid: 1) ====\n 0 /usr/lib/libucs.so\n",
    "=================\n\n *** caught segfault ***\nTraceback:\n 1: f()\n"
  )
  expect_identical(
    without_backtraces(crashed),
    "a warning\n[host:1] Caught signal 11\n\n *** caught segfault ***\n"
  )
  expect_identical(without_backtraces("a warning\n"), "a warning\n")
  # As R 4.2 prints it where the signal came during a collection of garbage.
  collecting <- paste0(
    "\n *** caught segfault ***\naddress 0x5df, cause 'unknown'\n",
    strrep("*** recursive gc invocation\n", 4000L), "\nTraceback:\n 1: f()\n"
  )
  expect_identical(
    without_backtraces(collecting), "\n *** caught segfault ***\naddress 0x5df, cause 'unknown'\n\n"
  )
})

test_that("leaving a call by any way stops it there and keeps the session", {
  with_isolated_engine({
    X <- test_sequences()
    model <- test_model("tiny")
    before <- predict(model, X)
    pid <- engine$session$get_pid()
    options <- list(
      wrappers = list(), batch_size = 1L, dtype = "native", device = "cpu", threads = 1L,
      progress = function(share) stop("enough")
    )
    sequences <- engine_input(as_sequences(X), list())
    expect_error(call_engine("predict", model_pointer(model), sequences, options), "enough")
    expect_identical(predict(model, X), before)
    expect_identical(engine$session$get_pid(), pid)
  })
})

test_that("an interrupt stops the call in the other session too, which stays", {
  skip_if_not_installed("callr")
  skip_on_os("windows")
  skip_if(ignores_interrupts(), "interrupts are ignored: started in the background")
  user <- callr::r_session$new(
    callr::r_session_options(libpath = .libPaths()), wait_timeout = 60000
  )
  on.exit(user$close())
  pid <- user$run(function(path) {
    options(seqlift.engine = "session")
    library(seqlift)
    model <<- load_model(path)
    X <<- random_one_hot(c(400, 4, 200), random_state = 0)
    before <<- predict(model, X[1:2, , ])
    asNamespace("seqlift")$engine$session$get_pid()
  }, list(normalizePath(model_path("slow"))))
  working <- function() {
    fields <- strsplit(readLines(file.path("/proc", pid, "stat")), " ")[[1L]]
    sum(as.numeric(fields[14:15]))
  }
  skip_if_not(file.exists("/proc/self/stat"), "there is no /proc on this system")
  idle <- working()
  user$call(function() deep_lift_shap(model, X))
  # In the middle of it: a second of work, in hundredths.
  for (i in seq_len(600)) {
    if (working() > idle + 100) break
    Sys.sleep(0.1)
  }
  expect_identical(user$poll_process(0), "timeout")
  user$interrupt()
  expect_identical(user$poll_process(60000), "ready")
  expect_s3_class(user$read()$error, "callr_timeout_error")
  after <- user$run(function() {
    list(
      same = identical(predict(model, X[1:2, , ]), before),
      pid = asNamespace("seqlift")$engine$session$get_pid()
    )
  })
  expect_true(after$same)
  expect_identical(after$pid, pid)
})

test_that("the session ends with R, however R ends, and with the package", {
  skip_if_not_installed("callr")
  skip_on_os("windows")
  ends <- list(
    quit = function(user, pid) user$close(),
    killed = function(user, pid) tools::pskill(user$get_pid(), tools::SIGKILL),
    unloaded = function(user, pid) user$run(function() unloadNamespace("seqlift"))
  )
  for (end in names(ends)) {
    user <- callr::r_session$new(
      callr::r_session_options(libpath = .libPaths()),
      wait_timeout = 60000
    )
    pid <- user$run(function(path) {
      options(seqlift.engine = "session")
      suppressMessages(seqlift::load_model(path))
      asNamespace("seqlift")$engine$session$get_pid()
    }, list(normalizePath(model_path("tiny"))))
    expect_true(tools::pskill(pid, 0L), label = end)
    ends[[end]](user, pid)
    for (i in seq_len(100)) {
      if (!tools::pskill(pid, 0L)) break
      Sys.sleep(0.1)
    }
    expect_false(tools::pskill(pid, 0L), label = end)
    user$kill()
  }
})
