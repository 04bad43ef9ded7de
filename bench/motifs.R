# discover_motifs() beside tfmodisco, in one run, on the same regions.
#
#   R_LIBS=build/library PYTHONPATH=<tfmodisco> Rscript bench/motifs.R [seqlets] [threads] [runs of
#   Leiden]
#
# tfmodisco (github.com/jmschrei/tfmodisco-lite) needs numba, leidenalg and igraph; without it only
# our time is printed. PEER=0 leaves it out.
library(seqlift)
arguments <- as.integer(commandArgs(TRUE))
argument <- function(i, default) if (length(arguments) >= i) arguments[i] else default
wanted <- argument(1L, 2600L)
threads <- argument(2L, 1L)
runs <- argument(3L, 10L)
seqlift_threads(threads)

# Two sites in each region of 200 bp, drawn from eight motifs that tolerate another letter, on
# either strand; noise elsewhere. The letters of a site matter by up to 1, noise by 0.03.
set.seed(1)
n <- wanted %/% 2L
length <- 200L
letters <- lapply(c(6, 7, 8, 8, 9, 10, 11, 12), function(width) sample.int(4L, width, TRUE))
codes <- matrix(sample.int(4L, n * length, TRUE), n)
scores <- array(rnorm(n * 4 * length, sd = 0.03), c(n, 4L, length))
for (i in seq_len(n)) {
  for (middle in c(60L, 140L)) {
    site <- letters[[sample.int(8L, 1L)]]
    changed <- runif(length(site)) < 0.04
    site[changed] <- sample.int(4L, sum(changed), TRUE)
    if (runif(1L) < 0.5) site <- rev(5L - site)
    at <- middle + sample.int(20L, 1L) - 10L + seq_along(site)
    codes[i, at] <- site
    scores[i, , at] <- scores[i, , at] - 0.3
    scores[cbind(i, site, at)] <- runif(length(site), 0.5, 1)
  }
}
X <- array(0, dim(scores))
X[cbind(rep(seq_len(n), length), c(codes), rep(seq_len(length), each = n))] <- 1

folder <- tempfile("motifs-")
dir.create(folder)
write_rows <- function(values, name) {
  connection <- file(file.path(folder, name), "wb")
  on.exit(close(connection))
  # numpy's order: sequence, position, letter, the last fastest.
  writeBin(as.vector(aperm(values, c(2L, 3L, 1L))), connection, size = 4L)
}
write_rows(scores, "scores.f32")
write_rows(X, "letters.f32")

resident <- function() {
  line <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
invisible(gc())
before <- resident()
time <- system.time(
  motifs <- discover_motifs(scores, X, n_leiden_runs = runs, random_state = 0)
)
ours <- c(time[["elapsed"]], sum(time[c("user.self", "sys.self")]), resident() - before)
show <- function(name, x, n_patterns) {
  cat(sprintf("%-9s %8.2f s, %8.2f s CPU, %6.0f MiB above the start, %d patterns\n",
    name, x[1L], x[2L], x[3L], as.integer(n_patterns)))
}
cat(attr(motifs, "settings")$n_called, "seqlets in", n, "regions of", length, "bp,", threads,
  "thread(s),", runs, "runs of Leiden\n")
show("seqlift", ours, length(motifs))

if (Sys.getenv("PEER") != "0") {
  script <- file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))),
    "peer_motifs.py")
  log <- tempfile()
  printed <- suppressWarnings(system2(Sys.getenv("PYTHON", "python3"),
    c(script, folder, n, length, runs), stdout = TRUE, stderr = log))
  if (is.null(attr(printed, "status"))) {
    peer <- as.numeric(strsplit(utils::tail(printed, 1L), " ")[[1L]])
    show("tfmodisco", peer, peer[4L])
    cat(sprintf("ratio     %8.2f    %8.2f\n", peer[1L] / ours[1L], peer[2L] / ours[2L]))
  } else {
    cat("tfmodisco was not run:", utils::tail(readLines(log), 1L), "\n")
  }
}
unlink(folder, recursive = TRUE)
