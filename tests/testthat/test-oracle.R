# Every call of every case of the oracle folder, one test a case; then the count. First
# the runner itself, on networks and functions made up here, so that it is known to fail.

made_up_case <- function(call, ..., kind = "exact") {
  X <- array(0, c(1L, 4L, 3L))
  X[1, 1, ] <- 1
  references <- array(0, c(1L, 2L, 4L, 3L))
  references[, , 2, ] <- 1
  list(
    id = "made-up", group = "made up", folder = "made-up", kind = kind,
    "function" = "deep_lift_shap",
    property = list(tolerance = 1e-10, scaled_by = "max(1, |f_X - f_references|)"),
    models = list(net = list(script = list(file = "a.pt"), trace = list(file = "b.pt"))),
    inputs = list(X = X, references = references),
    expected = list(m = 2 * references, f_X = array(6, c(1L, 1L)), f_r = array(-6, c(1L, 2L, 1L))),
    calls = list(call), ...
  )
}

multipliers_call <- function(...) {
  utils::modifyList(list(
    name = "m", model = "net", expected = "m", atol = 0, rtol = 0, dtype = "float64",
    arguments = list(
      X = list(input = "X"), references = list(input = "references"), target = 0L,
      raw_outputs = TRUE
    )
  ), list(...))
}

# f(x) = 2 * sum(A) - 2 * sum(C), whose multipliers are exact.
made_up_api <- function(deep_lift_shap) {
  list(
    load_model = function(path, device) basename(path),
    deep_lift_shap = deep_lift_shap,
    convergence_deltas = function(x) array(0, dim(x)[1:2]),
    references = function(x) attr(x, "references")
  )
}

run_made_up <- function(call, deep_lift_shap, ...) {
  run_oracle_case(made_up_case(call, ...), made_up_api(deep_lift_shap))
}

doubled_references <- function(model, X, references, target, raw_outputs, dtype, rules, ...) {
  2 * references
}

test_that("a call passes within its tolerance, on both files of its network", {
  seen <- character()
  rows <- run_made_up(multipliers_call(), \(model, references, ...) {
    seen <<- c(seen, model)
    2 * references
  })
  expect_identical(rows$state, "passed")
  expect_identical(seen, c("a.pt", "b.pt"))
})

test_that("a call fails when one file gives another number, NaN or another shape", {
  state <- function(change) {
    run_made_up(multipliers_call(atol = 1e-3), \(model, references, ...) {
      if (model == "b.pt") change(2 * references) else 2 * references
    })
  }
  expect_identical(state(\(m) m + 0.9e-3)$state, "passed")
  expect_identical(state(\(m) m + 1.1e-3)$state, "failed")
  expect_match(state(\(m) m + 1.1e-3)$detail, "[trace] 24 of 24 numbers", fixed = TRUE)
  expect_identical(state(\(m) replace(m, 5, NaN))$state, "failed")
  expect_match(state(\(m) m[, 1, , , drop = FALSE])$detail, "shape (1, 1, 4, 3)", fixed = TRUE)
  expect_match(state(\(m) stop("lost"))$detail, "error <simpleError>: lost", fixed = TRUE)
})

test_that("targets, registered modules and rules are translated", {
  call <- multipliers_call()
  call$arguments$registered <- list("head.scaling")
  call$arguments$target <- list(slice = list(1L, 3L))
  got <- NULL
  run_made_up(call, \(references, ...) {
    got <<- list(...)
    2 * references
  })
  expect_identical(got$target, 2:3)
  expect_identical(got$nonlinear_ops, c(head.scaling = "rescale"))
  expect_identical(got$rules, "module")
  expect_identical(got$dtype, "float64")
})

test_that("regions count from 1 and include their end", {
  got <- NULL
  api <- list(shuffle_region = function(X, start, end, n) {
    got <<- c(start, end)
    X
  })
  region <- function(start, end) {
    call <- list(
      name = "region", "function" = "shuffle", expected = "X", atol = 0, rtol = 0,
      arguments = list(X = list(input = "X"), start = start, end = end, n = 1L)
    )
    case <- made_up_case(call)
    case$expected$X <- case$inputs$X
    expect_identical(run_oracle_case(case, api)$state, "passed")
    got
  }
  expect_identical(region(1L, 3L), c(2L, 3L))
  expect_identical(region(0L, -1L), c(1L, 3L))
  expect_identical(region(-1L, -2L), c(0L, 2L))
})

test_that("arguments are given the names they have here", {
  call <- list(
    name = "renamed", "function" = "reverse_complement", expected_value = "TTA",
    arguments = list(seq = "TAA")
  )
  got <- NULL
  api <- list(reverse_complement = function(X) {
    got <<- X
    "TTA"
  })
  expect_identical(run_oracle_case(made_up_case(call), api)$state, "passed")
  expect_identical(got, "TAA")
})

test_that("tables are compared row by row in any order, each column with its own tolerance", {
  state <- function(table) {
    call <- list(
      name = "table", "function" = "recursive_seqlets", expected = "t", arguments = list(),
      columns = list("example_idx", "start", "end", "attribution"), atol = list(attribution = 1e-3)
    )
    case <- made_up_case(call)
    case$expected$t <- cbind(c(0, 0), c(4, 9), c(8, 14), c(1, 2))
    run_oracle_case(case, list(recursive_seqlets = function(compatible) table))$state
  }
  table <- data.frame(example = 1, start = c(10, 5), end = c(14, 8), attribution = c(2, 1.0009))
  expect_identical(state(table), "passed")
  expect_identical(state(transform(table, attribution = attribution + 2e-3)), "failed")
  expect_identical(state(transform(table, end = end + 1)), "failed")
  expect_identical(state(table[1, ]), "failed")
})

test_that("calls on one generator go on where the calls before stopped", {
  draw <- function(k) {
    state <- list(generator = "g", seed = 5L, draw = k)
    list(
      name = paste0("draw-", k), "function" = "random_one_hot", expected_value = 5L + k,
      arguments = list(shape = list(1L, 4L, 3L), random_state = state)
    )
  }
  api <- list(
    random_generator = function(seed) list2env(list(state = seed)),
    random_one_hot = function(shape, random_state) {
      random_state$state <- random_state$state + 1L
      random_state$state
    }
  )
  case <- made_up_case(draw(1L))
  case$calls <- lapply(c(3L, 1L, 2L), draw)
  expect_identical(run_oracle_case(case, api)$state, rep("passed", 3L))
})

test_that("the folder is found beside a folder above, or where SEQLIFT_ORACLE says", {
  root <- tempfile()
  on.exit(unlink(root, recursive = TRUE))
  inner <- file.path(root, "repository", "tests", "testthat")
  folder <- file.path(root, "shared", "oracle")
  dir.create(inner, recursive = TRUE)
  dir.create(folder, recursive = TRUE)
  old <- Sys.getenv("SEQLIFT_ORACLE", NA)
  Sys.unsetenv("SEQLIFT_ORACLE")
  on.exit(
    if (is.na(old)) Sys.unsetenv("SEQLIFT_ORACLE") else Sys.setenv(SEQLIFT_ORACLE = old),
    add = TRUE
  )
  expect_null(oracle_folder(inner))
  writeLines("{}", file.path(folder, "index.json"))
  expect_identical(oracle_folder(inner), normalizePath(folder))
  Sys.setenv(SEQLIFT_ORACLE = file.path(root, "shared"))
  expect_error(oracle_folder(inner), "has no index.json")
  Sys.setenv(SEQLIFT_ORACLE = folder)
  expect_identical(oracle_folder(root), normalizePath(folder))
})

test_that("an argument the function lacks is counted as one that could not run", {
  call <- multipliers_call()
  call$arguments$only_warn <- TRUE
  rows <- run_made_up(call, \(model, X, references, target, raw_outputs, dtype, rules) references)
  expect_identical(rows$state, "could not run")
  expect_match(rows$detail, "takes no argument `only_warn`")
})

test_that("a function that is not there, or not translated, is counted with the reason", {
  call <- multipliers_call("function" = "pisa")
  expect_match(run_made_up(call, doubled_references)$detail, "pisa is not in this version")
  call <- multipliers_call("function" = "unheard_of")
  expect_match(run_made_up(call, doubled_references)$detail, "no translation of the function")
})

test_that("an expected error must be the package's own, and about the input", {
  call <- multipliers_call(error = list(type = "ValueError"))
  call$expected <- NULL
  raise <- function(class) {
    run_made_up(call, \(...) stop(errorCondition("no", class = class)))$state
  }
  expect_identical(raise(c("seqlift_error_sequence", "seqlift_error")), "passed")
  expect_identical(raise("other"), "failed")
  expect_identical(raise(c("seqlift_error_unsupported", "seqlift_error")), "failed")
  expect_identical(run_made_up(call, doubled_references)$state, "failed")
})

test_that("accepting a column without a base is told apart from accepting anything", {
  call <- multipliers_call(error = list(type = "ValueError"))
  case <- made_up_case(call)
  case$inputs$X[1, , 2] <- 0
  api <- made_up_api(doubled_references)
  expect_identical(run_oracle_case(case, api)$state, "N accepted")
  case$inputs$X[1, 1:2, 3] <- 1
  expect_identical(run_oracle_case(case, api)$state, "failed")
})

test_that("a network that cannot be loaded is never an expected error", {
  call <- multipliers_call(error = list(type = "ValueError"))
  api <- made_up_api(doubled_references)
  api$load_model <- \(...) stop(errorCondition("no file", class = "seqlift_error"))
  expect_identical(run_oracle_case(made_up_case(call), api)$state, "failed")
})

test_that("a sum that does not hold fails, and one that holds passes", {
  call <- multipliers_call(
    expected = list(f_X = "f_X", f_references = "f_r"), property = "summation_to_delta",
    column = 0L
  )
  exact <- \(references, ...) {
    m <- array(0, dim(references))
    m[, , 1, ] <- 2
    m[, , 2, ] <- -2
    m
  }
  expect_identical(run_made_up(call, exact, kind = "property")$state, "passed")
  off <- \(references, ...) exact(references) * (1 + 2e-10)
  expect_identical(run_made_up(call, off, kind = "property")$state, "failed")
  refuse <- \(...) {
    stop(errorCondition("aten::gru", class = c("seqlift_error_unsupported", "seqlift_error")))
  }
  expect_identical(run_made_up(call, refuse, kind = "property")$state, "could not run")
  expect_identical(run_made_up(call, refuse, kind = "exact")$state, "failed")
})

test_that("the report counts every call once", {
  rows <- rbind(
    run_made_up(multipliers_call(), doubled_references),
    run_made_up(multipliers_call(status = "informative"), \(...) 1),
    run_made_up(multipliers_call("function" = "pisa"), doubled_references)
  )
  report <- oracle_report(rows)
  all_calls <- report$table[report$table$group == "all", ]
  expect_identical(all_calls$calls, 3)
  expect_identical(sum(all_calls[-(1:2)]), 3)
  expect_identical(all_calls$`optional differs`, 1)
  expect_match(report$lines, "pisa is not in this version", all = FALSE)
})

# The folder -------------------------------------------------------------------------

oracle <- oracle_folder()

if (is.null(oracle)) {
  test_that("oracle", {
    skip("no oracle folder: set SEQLIFT_ORACLE, or put shared/oracle beside the repository")
  })
} else if (!requireNamespace("jsonlite", quietly = TRUE)) {
  test_that("oracle", {
    skip("jsonlite, which reads the oracle's cases, is not installed")
  })
} else {
  index <- read_oracle_index(oracle)
  oracle_rows <- list()

  for (entry in index) {
    test_that(paste0("oracle: ", entry$id, ": ", entry$title), {
      case <- read_oracle_case(oracle, entry$id)
      expect_identical(length(case$calls), as.integer(entry$calls))
      if (length(case$calls) == 0L) {
        skip(paste0("no calls, kind \"", case$kind, "\": no run of such a case is written yet"))
      }
      rows <- run_oracle_case(case)
      oracle_rows[[entry$id]] <<- rows
      failures <- oracle_failures(rows)
      summary <- paste(length(failures), "of", nrow(rows), "calls failed")
      expect(length(failures) == 0L, paste(c(summary, failures), collapse = "\n"))
      if (all(rows$state == "could not run")) {
        skip(paste("could not run yet:", paste(unique(rows$detail), collapse = "; ")))
      }
    })
  }

  test_that("every call of the oracle ran, or says why it could not", {
    rows <- do.call(rbind, oracle_rows)
    report <- oracle_report(rows)
    writeLines(c("", report$lines), stderr())
    calls <- sum(vapply(index, \(entry) entry$calls, numeric(1L)))
    ran <- rows$state %in% c("passed", "failed", "N accepted")
    expect_identical(sum(ran) + sum(rows$state == "could not run"), as.integer(calls))
    expect_true(all(nzchar(rows$detail[!ran])))
    # A function that is exported but not yet translated above must not stay unnoticed.
    expect_identical(grep("no translation", unique(rows$detail), value = TRUE), character())
  })
}
