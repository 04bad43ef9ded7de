# discover_motifs() from an HDF5 file of many regions: peak memory and processor time.
#
#   R_LIBS=build/library Rscript bench/motifs_stream.R [regions] [length] [max_seqlets] [threads]
#   [runs of Leiden]
#
# Made-up attributions: noise, and in each region a site of one of four motifs on either strand. The
# file is written first, in chunks of 64 regions, by a process of its own.
library(seqlift)
arguments <- as.integer(commandArgs(TRUE))
argument <- function(i, default) if (length(arguments) >= i) arguments[i] else default
n <- argument(1L, 50000L)
length <- argument(2L, 1000L)
most <- argument(3L, 2000L)
seqlift_threads(argument(4L, 1L))
runs <- argument(5L, 5L)
file <- file.path(Sys.getenv("BENCH_FILES", tempdir()), sprintf("motifs-%d-%d.h5", n, length))

write_file <- function(file, n, length) {
  invisible(rhdf5::h5createFile(file))
  for (group in c("raw", "shap")) {
    rhdf5::h5createGroup(file, group)
    # rhdf5 turns the dimensions around: (n, 4, length) in the file.
    rhdf5::h5createDataset(file, paste0(group, "/seq"), c(length, 4L, n),
      storage.mode = "double",
      H5type = if (group == "raw") "H5T_NATIVE_INT8" else "H5T_NATIVE_FLOAT",
      chunk = c(length, 4L, 64L), level = 1L
    )
  }
  set.seed(1)
  sites <- lapply(c(7, 8, 9, 10), function(width) sample.int(4L, width, TRUE))
  # Noise is drawn once and laid down from another place for each region.
  noise <- round(rnorm(1e6, sd = 0.03), 3)
  for (first in seq(1L, n, 64L)) {
    rows <- seq(first, min(n, first + 63L))
    scores <- array(noise[sample.int(1e6, 4L * length * length(rows), TRUE)],
      c(length, 4L, length(rows)))
    codes <- matrix(sample.int(4L, length * length(rows), TRUE), length)
    for (i in seq_along(rows)) {
      site <- sites[[sample.int(4L, 1L)]]
      if (runif(1L) < 0.5) site <- rev(5L - site)
      at <- sample.int(length - 100L, 1L) + 50L + seq_along(site)
      codes[at, i] <- site
      scores[at, , i] <- scores[at, , i] - 0.3
      scores[cbind(at, site, i)] <- runif(length(site), 0.5, 1)
    }
    letters <- array(0, dim(scores))
    position <- rep(seq_len(length), length(rows))
    letters[cbind(position, c(codes), rep(seq_along(rows), each = length))] <- 1
    place <- list(NULL, NULL, rows)
    rhdf5::h5write(letters, file, "raw/seq", index = place)
    rhdf5::h5write(scores, file, "shap/seq", index = place)
  }
  rhdf5::h5closeAll()
}

if (!file.exists(file)) {
  write <- parallel::mcparallel(write_file(file, n, length))
  invisible(parallel::mccollect(write))
}
resident <- function() {
  line <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
invisible(gc())
before <- resident()
time <- system.time(
  motifs <- discover_motifs(file, max_seqlets = most, n_leiden_runs = runs, random_state = 0)
)
settings <- attr(motifs, "settings")
cat(sprintf(
  paste0("%d regions of %d bp, file of %.0f MB: %d seqlets called, ",
    "%d motifs of at most %d of each sign\n"),
  n, length, file.size(file) / 1e6, as.integer(settings$n_called), length(motifs), most))
cat(sprintf("%.1f s, %.1f s CPU, %.0f MiB in all at the most, %.0f above the start\n",
  time[["elapsed"]], sum(time[c("user.self", "sys.self")]), resident(), resident() - before))
