# tomtom() against memelite 0.2, in one run: 2000 motifs of the size of JASPAR's against themselves.
#
#   R_LIBS=build/library PYTHONPATH=<memelite> Rscript bench/tomtom.R [motifs] [threads]
#
# memelite (github.com/jmschrei/memesuite-lite) needs numba; without it only our time is printed.
library(seqlift)
arguments <- as.integer(commandArgs(TRUE))
n <- if (length(arguments) > 0L) arguments[1L] else 2000L
threads <- if (length(arguments) > 1L) arguments[2L] else 1L
seqlift_threads(threads)

# Widths and sharpness as in JASPAR's vertebrates: 6 to 30, most of them 8 to 14, counts of some
# hundred sequences, half of the positions nearly fixed.
set.seed(1)
make_motif <- function() {
  width <- min(30L, max(6L, 6L + rpois(1L, 3) + if (runif(1L) < 0.15) rpois(1L, 8) else 0L))
  counts <- vapply(seq_len(width), function(i) {
    sharp <- runif(1L) < 0.5
    weights <- rgamma(4L, if (sharp) 0.08 else 0.8) + 1e-9
    as.double(rmultinom(1L, sample(c(20L, 100L, 500L, 2000L), 1L), weights / sum(weights)))
  }, numeric(4L))
  t(t(counts) / colSums(counts))
}
motifs <- stats::setNames(replicate(n, make_motif(), simplify = FALSE), seq_len(n))

folder <- tempfile("tomtom-")
dir.create(folder)
writeLines(vapply(motifs, function(motif) {
  paste(c(ncol(motif), format(t(motif), digits = 17, trim = TRUE)), collapse = " ")
}, ""), file.path(folder, "motifs.txt"))

resident <- function(field) {
  line <- grep(field, readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
invisible(tomtom(motifs[1:2], motifs[1:2]))
invisible(gc())
before <- resident("VmHWM")
time <- system.time(table <- tomtom(motifs, motifs))
ours <- c(time[["elapsed"]], sum(time[c("user.self", "sys.self")]), resident("VmHWM") - before)
show <- function(name, x) {
  cat(sprintf("%-8s %7.2f s, %7.2f s CPU, %6.0f MiB above the start\n", name, x[1L], x[2L], x[3L]))
}
cat(n, "x", n, "motifs,", sum(vapply(motifs, ncol, 1L)), "columns,", threads, "thread(s)\n")
show("seqlift", ours)

python <- Sys.getenv("PYTHON", "python3")
script <- file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))),
  "peer_tomtom.py")
printed <- suppressWarnings(
  system2(python, c(script, folder, threads), stdout = TRUE, stderr = FALSE)
)
if (is.null(attr(printed, "status"))) {
  peer <- as.numeric(strsplit(utils::tail(printed, 1L), " ")[[1L]])
  show("memelite", peer)
  cat(sprintf("ratio    %7.2f    %7.2f\n", peer[1L] / ours[1L], peer[2L] / ours[2L]))
  connection <- file(file.path(folder, "peer.npy"), "rb")
  readBin(connection, "raw", 8L)
  readBin(connection, "raw", readBin(connection, "integer", 1L, 2L, endian = "little"))
  values <- array(readBin(connection, "numeric", 5 * n * n, endian = "little"), c(n, n, 5L))
  close(connection)
  # numpy's order is (5, queries, targets), the last fastest.
  at <- cbind(as.integer(table$target), as.integer(table$query))
  compared <- list(
    p_value = abs(values[cbind(at, 1L)] - table$p_value) > 1e-11 + 1e-8 * table$p_value,
    score = values[cbind(at, 2L)] != table$score, offset = values[cbind(at, 3L)] != table$offset,
    overlap = values[cbind(at, 4L)] != table$overlap,
    strand = values[cbind(at, 5L)] != (table$strand == "-")
  )
  cat("pairs that differ:", paste(names(compared), vapply(compared, sum, 1L)), "\n", sep = "  ")
}
unlink(folder, recursive = TRUE)
