# call_hits() against finemo, in one run: 2000 made-up regions of 400 bp, 20 motifs of 30 bp.
#
#   R_LIBS=build/library PYTHONPATH=<finemo> Rscript bench/hits.R [regions] [threads] [buffers]
#
# finemo (github.com/austintwang/finemo_gpu) needs torch and polars; without them only our time is
# printed. `buffers`: its buffer sizes, separated by commas; the default is its own and the best of
# those tried.
library(seqlift)
arguments <- commandArgs(TRUE)
n <- if (length(arguments) > 0L) as.integer(arguments[1L]) else 2000L
threads <- if (length(arguments) > 1L) as.integer(arguments[2L]) else 1L
buffers <- if (length(arguments) > 2L) arguments[3L] else "32,2000"
seqlift_threads(threads)

# Motifs with a core of 6 to 16 bp, four of them negative; up to some copies in each region.
set.seed(1)
length <- 400L
width <- 30L
make_motif <- function(i) {
  core <- sample(6:16, 1L)
  at <- sample.int(width - core + 1L, 1L) - 1L + seq_len(core)
  motif <- matrix(rnorm(4L * width, sd = 0.002), 4L)
  motif[, at] <- -abs(rnorm(4L * core, sd = 0.01))
  motif[cbind(sample.int(4L, core, TRUE), at)] <- rgamma(core, 2, 8) + 0.02
  motif * if (i > 16L) -1 else 1
}
motifs <- stats::setNames(lapply(1:20, make_motif), sprintf("motif_%02d", 1:20))
codes <- matrix(sample.int(4L, n * length, TRUE), n)
scores <- array(rnorm(n * 4 * length, sd = 0.02), c(n, 4L, length))
for (i in seq_len(n)) {
  for (k in seq_len(rpois(1L, 3))) {
    motif <- motifs[[sample.int(20L, 1L)]] * runif(1L, 0.5, 2)
    laid <- if (runif(1L) < 0.5) motif[4:1, width:1] else motif
    at <- sample.int(length - width + 1L, 1L) - 1L + seq_len(width)
    strong <- colSums(abs(laid)) >= 0.3 * max(colSums(abs(laid)))
    codes[i, at[strong]] <- max.col(t(abs(laid)))[strong]
    scores[i, , at] <- scores[i, , at] + laid
  }
}
X <- array(0, dim(scores))
X[cbind(rep(seq_len(n), length), c(codes), rep(seq_len(length), each = n))] <- 1

resident <- function(field) {
  line <- grep(field, readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
invisible(call_hits(scores[1:2, , ], motifs, X[1:2, , ]))
invisible(gc())
before <- resident("VmHWM")
time <- system.time(hits <- call_hits(scores, motifs, X))
ours <- c(time[["elapsed"]], sum(time[c("user.self", "sys.self")]), resident("VmHWM") - before)
show <- function(name, x) {
  cat(sprintf("%-14s %7.2f s, %7.2f s CPU, %6.0f MiB above the start\n", name, x[1L], x[2L], x[3L]))
}
info <- attr(hits, "info")
cat(n, " regions of ", length, " bp, ", length(motifs), " motifs, ", threads, " thread(s): ",
  nrow(hits), " hits, ", sum(info$sequences$n_steps), " steps\n", sep = "")
show("seqlift", ours)
cat(sprintf("%.0f MiB in all at the most\n", resident("VmHWM")))

folder <- tempfile("hits-")
dir.create(folder)
write <- function(values, name, size) {
  connection <- file(file.path(folder, name), "wb")
  on.exit(close(connection))
  # The first dimension is the slowest in numpy.
  values <- aperm(values, rev(seq_along(dim(values))))
  writeBin(if (size == 1L) as.integer(values) else as.double(values), connection, size = size)
}
laid <- seqlift:::hit_motifs(motifs, "pp", 0.7, 0.3, FALSE, length, NULL)$laid
masks <- t(mapply(function(first, end) seq_len(width) %in% first:end, laid$firsts, laid$ends))
write(scores, "contributions", 4L)
write(X, "sequences", 1L)
write(aperm(laid$weights, c(3L, 1L, 2L)), "cwms", 4L)
write(masks, "masks", 1L)
script <- file.path(dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE))),
  "peer_hits.py")
for (buffer in strsplit(buffers, ",")[[1L]]) {
  printed <- suppressWarnings(system2(Sys.getenv("PYTHON", "python3"),
    c(script, folder, n, length, 40L, width, buffer, threads),
    stdout = TRUE, stderr = FALSE
  ))
  if (!is.null(attr(printed, "status"))) {
    break
  }
  peer <- as.numeric(strsplit(utils::tail(printed, 1L), " ")[[1L]])
  show(paste("finemo,", buffer), peer)
  cat(sprintf("ratio          %7.2f    %7.2f\n", peer[1L] / ours[1L], peer[2L] / ours[2L]))
  table <- utils::read.table(file.path(folder, "hits.txt"))
  key <- paste(hits$example, as.integer(hits$motif), hits$strand, hits$start_untrimmed)
  peer_key <- paste(table$V1 + 1, table$V2 %/% 2 + 1, c("+", "-")[table$V2 %% 2 + 1], table$V3 + 1)
  both <- match(peer_key, key)
  off <- abs(hits$coefficient[both] - table$V4)
  regions <- utils::read.table(file.path(folder, "regions.txt"))
  steps <- regions$V2[match(hits$example[both], regions$V1 + 1)]
  odd <- which(off > 1e-3 * table$V4)
  other <- steps[odd] != info$sequences$n_steps[hits$example[both][odd]]
  cat(nrow(table), " hits, ", sum(!is.na(both)), " of them here, ", sum(!key %in% peer_key),
    " here alone; coefficients differ by ", format(max(off, na.rm = TRUE), digits = 2), " of ",
    format(max(table$V4), digits = 3), " at the most; ", length(odd),
    " by more than 1e-3 of them, ",
    sum(other), " of these in regions that ended after another number of steps\n", sep = "")
}
unlink(folder, recursive = TRUE)
