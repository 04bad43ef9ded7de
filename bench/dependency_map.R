# Times dependency_map() in windows beside whole copies, on the model that the package ships (BPNet
# with 32 filters and 6 dilated layers, 500 bp).
#
#   Rscript bench/dependency_map.R LENGTH SAMPLED THREADS
#
# LENGTH positions in windows, from the middle; SAMPLED of them as whole copies, whose time for a
# pair is taken for all. Seconds of the processor beside those of the clock: where they differ at
# one thread, the machine was not quiet.
library(seqlift)
args <- as.integer(commandArgs(TRUE))
model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
X <- demo_sequences()[1]
seqlift_threads(args[3])
pairs_of <- function(length) 9 * length * (length - 1) / 2
measure <- function(length, method) {
  start <- (nchar(X) - length) %/% 2L + 1L
  time <- system.time(
    map <- dependency_map(model, X, start = start, end = start + length - 1L, method = method)
  )
  seconds <- unname(c(time[["user.self"]] + time[["sys.self"]], time[["elapsed"]]))
  list(map = map, seconds = seconds, each = 1000 * seconds / pairs_of(length))
}
invisible(measure(4L, "incremental"))
windows <- measure(args[1], "incremental")
whole <- measure(args[2], "full")
# The same pairs both times.
part <- measure(args[2], "incremental")
cat(sprintf(
  paste0("%d bp, %.0f pairs, %d thread(s)\n",
    "windows: %.1f s processor, %.1f s clock, %.3f ms a pair\n",
    "whole:   %.3f ms a pair (of the processor), ratio %.1f\nlargest difference %.1e of %.2f\n"),
  args[1], pairs_of(args[1]), args[3], windows$seconds[1], windows$seconds[2], windows$each[1],
  whole$each[1], whole$each[1] / windows$each[1], max(abs(whole$map - part$map)), max(whole$map)
))
