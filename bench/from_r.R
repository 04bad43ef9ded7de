# What R adds to the core: deep_lift_shap() called from R, its part in the engine and the rest, and
# the memory of the result; calls on few sequences; then the same call with `output =`, a file,
# beside the one in memory.
#
#   R_LIBS=build/library Rscript bench/from_r.R [sequences] [length] [references] [file]
#
# The demo model, a BPNet of half the published width and two layers fewer, so that R's share is
# larger than with a real one; one thread; processor seconds. `file` 0 leaves the file out.
library(seqlift)
arguments <- as.integer(commandArgs(TRUE))
argument <- function(i, default) if (length(arguments) >= i) arguments[i] else default
n <- argument(1L, 2000L)
length <- argument(2L, 2114L)
references <- argument(3L, 20L)
invisible(seqlift_threads(1L))
model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
set.seed(1)
X <- vapply(
  seq_len(n), function(i) paste(sample(c("A", "C", "G", "T"), length, TRUE), collapse = ""), ""
)

cpu <- function() sum(proc.time()[c("user.self", "sys.self")])
resident <- function(field = "VmHWM") {
  line <- grep(field, readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
# The engine's part: what passes between R and the core is one call.
in_engine <- 0
space <- asNamespace("seqlift")
engine_call <- get("call_library", space)
unlockBinding("call_library", space)
assign("call_library", function(...) {
  start <- cpu()
  on.exit(in_engine <<- in_engine + cpu() - start)
  engine_call(...)
}, space)
# Chunks of a file as of many sequences: few are cut into more.
unlockBinding("chunks_of_few", space)
assign("chunks_of_few", 1L, space)
explain <- function(X, ...) {
  suppressWarnings(
    deep_lift_shap(model, X, n_shuffles = references, random_state = 0, ...)
  )
}
timed <- function(...) {
  in_engine <<- 0
  start <- cpu()
  result <- explain(...)
  list(result = result, cpu = cpu() - start, engine = in_engine)
}

invisible(explain(X[1:2]))
# Loading these takes seconds, once a session.
if (argument(4L, 1L) != 0L) invisible(lapply(c("rhdf5", "HDF5Array"), loadNamespace))
invisible(gc())
# From here on the largest resident size is this call's.
writeLines("5", "/proc/self/clear_refs")
before <- resident("VmRSS")
one <- timed(X)
rise <- resident() - before
size <- as.numeric(object.size(one$result)) / 2^20
cat(sprintf(
  paste0("%d sequences of %d bp, %d references: %.2f CPU s, %.2f of them in the engine: ",
    "R adds %.1f %%\n"),
  n, length, references, one$cpu, one$engine, 100 * (one$cpu / one$engine - 1)))
cat(sprintf("result %.0f MiB; resident size rose by %.0f MiB: %.2f times the result\n", size, rise,
  rise / size))

# Calls one after the other on few sequences, each with one reference: the median of five, by the
# clock.
for (k in Filter(function(k) k <= n, c(1L, 4L, 16L, 64L, 256L))) {
  seconds <- replicate(5L, system.time(suppressWarnings(
    deep_lift_shap(model, X[seq_len(k)], n_shuffles = 1L, random_state = 0)
  ))[["elapsed"]])
  cat(sprintf("%d sequences x 1 a call: %.3f s\n", k, stats::median(seconds)))
}

if (argument(4L, 1L) != 0L) {
  memory <- one$cpu
  expected <- one$result
  rm(one)
  file <- tempfile(fileext = ".h5")
  invisible(gc())
  writeLines("5", "/proc/self/clear_refs")
  before <- resident("VmRSS")
  elapsed <- system.time(streamed <- timed(X, output = file))[["elapsed"]]
  rise <- resident() - before
  cat(sprintf(paste0("into a file: %.2f CPU s, %.1f %% of the speed in memory (engine %.2f); ",
    "resident size rose by %.0f MiB\n"), streamed$cpu, 100 * memory / streamed$cpu, streamed$engine,
    rise))
  first <- seq_len(min(n, 50L))
  stored <- DelayedArray::extract_array(streamed$result, list(first, NULL, NULL))
  same <- max(abs(as.array(stored) - as.array(expected)[first, , ]))
  cat("largest difference of the first sequences:", format(same, digits = 2), "\n")
  unlink(file)
}
