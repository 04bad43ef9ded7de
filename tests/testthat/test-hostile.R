# Every exported function with what no help page asks for (hostile/values.R): it ends in a value or
# in an error of seqlift's own, leaves no file of a call that failed, and loses no process. A few
# calls of each function here; SEQLIFT_HOSTILE_CALLS=all makes all of them, which takes hours, a
# number so many of each function. The calls are made as a user without rights, in a folder of its
# own.

# One list(call, outcome, message, warned, left) for each call; "lost" where the process ended or
# hung.
outcomes_of_calls <- function(calls) {
  # Beside this session's own folder, which nobody else may enter.
  folder <- tempfile("seqlift-hostile-", dirname(tempdir()))
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  for (name in c("code", "work", "temporary")) {
    dir.create(file.path(folder, name))
  }
  file.copy(list.files(test_path("hostile"), full.names = TRUE), file.path(folder, "code"))
  files <- c(
    model_path("tiny"), model_path("two_heads"), model_path("bins_of_tracks"),
    test_path("state_dicts", "net.safetensors"), test_path("keras", "fixed.h5"),
    system.file("extdata", "formats", "bpnet.onnx", package = "seqlift"),
    test_path("architectures", paste0(c(
      "bpnet_narrow", "chrombpnet_same", "deepsea_predict", "procapnet_narrow", "borzoi_small"
    ), ".pth")),
    test_path("whole_models", "cherimoya.torch")
  )
  file.copy(files, file.path(folder, "work"))
  open_to_nobody(folder)
  log <- file.path(folder, "log")
  rscript <- file.path(R.home("bin"), "Rscript")
  left <- calls
  lost <- integer()
  while (nrow(left) > 0L && length(lost) < 20L) {
    saveRDS(left, file.path(folder, "calls.rds"))
    run_as_nobody(
      c("timeout", 120 + 2 * nrow(left), rscript, file.path(folder, "code", "run.R"), folder),
      file.path(folder, "temporary"), stdout = FALSE, stderr = FALSE
    )
    lines <- strsplit(readLines(log), "\t")
    begun <- as.integer(vapply(Filter(function(line) line[1L] == "start", lines), `[`, "", 2L))
    ended <- as.integer(vapply(Filter(function(line) line[1L] == "end", lines), `[`, "", 2L))
    lost <- setdiff(begun, ended)
    left <- if (length(begun) == 0L) calls[0L, ] else left[left$call > max(begun), ]
  }
  ends <- Filter(function(line) line[1L] == "end", lines)
  fields <- lapply(ends, function(line) c(line[-1L], rep("", 6L))[1:5])
  table <- as.data.frame(do.call(rbind, fields))
  names(table) <- c("call", "outcome", "message", "warned", "left")
  if (length(lost) > 0L) {
    table <- rbind(
      table, data.frame(call = lost, outcome = "lost", message = "", warned = "", left = "")
    )
  }
  table
}

label_of_call <- function(calls) {
  second <- ifelse(
    nzchar(calls$second), sprintf(", %s = <%s>", calls$second, calls$second_value), ""
  )
  sprintf("%s(%s = <%s>%s)", calls$func, calls$place, calls$value, second)
}

test_that("every exported function has a call that works, made of what it needs", {
  generator <- new.env()
  for (file in c("values.R", "calls.R")) {
    sys.source(test_path("hostile", file), generator)
  }
  exports <- getNamespaceExports("seqlift")
  exported <- Filter(function(name) is.function(getExportedValue("seqlift", name)), exports)
  functions <- generator$every_function()
  expect_setequal(setdiff(names(functions), names(generator$method_calls)), exported)
  expect_identical(generator$working_calls(0L)$func, names(functions))
  # An argument that is needed has a value of its own, not the 1 of what nobody thought of.
  by_chance <- lapply(stats::setNames(nm = exported), function(name) {
    given <- generator$working_call(name, functions[[name]])
    needed <- names(Filter(function(x) identical(x, quote(expr = )), formals(functions[[name]])))
    setdiff(needed, c("...", names(generator$own_values[[name]]), names(generator$working_code)))
  })
  expect_length(unlist(by_chance), 0L)
})

test_that("hostile arguments end in an error of seqlift's own or in a value, and leave nothing", {
  skip_on_os("windows")
  generator <- new.env()
  for (file in c("values.R", "calls.R")) {
    sys.source(test_path("hostile", file), generator)
  }
  each <- Sys.getenv("SEQLIFT_HOSTILE_CALLS", "2")
  hostile <- if (each == "all") {
    generator$hostile_calls()
  } else {
    generator$some_hostile_calls(as.integer(each))
  }
  earlier <- generator$once_failed()
  hostile <- rbind(hostile, earlier[!earlier$call %in% hostile$call, ])
  hostile <- hostile[order(hostile$call), ]
  working <- generator$working_calls(after = max(hostile$call))
  found <- outcomes_of_calls(rbind(hostile, working))
  expect_setequal(found$call, c(hostile$call, working$call))
  # Calls that fail without anything hostile in them say nothing of what is.
  base <- found[match(working$call, found$call), ]
  failing <- !base$outcome %in% c("value", "package")
  expect_identical(
    sprintf("%s() -> %s %s", working$func, base$outcome, base$message)[failing], character()
  )
  expect_gt(mean(base$outcome == "value"), 0.75)

  found <- cbind(hostile[match(found$call, hostile$call), ], found[c("outcome", "message", "left")])
  found <- found[!is.na(found$call), ]
  bad <- found[!found$outcome %in% c("value", "classed", "package", "mine") | nzchar(found$left), ]
  expect_identical(
    sprintf("%s -> %s %s %s", label_of_call(bad), bad$outcome, bad$message, bad$left), character()
  )
})
