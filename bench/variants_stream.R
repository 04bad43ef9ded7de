# score_variants(output = ) of many substitutions of a VCF file: time and peak memory, which must
# not grow with their number. A session for each number, as its peak is that of all that it did.
#
#   R_LIBS=build/library Rscript bench/variants_stream.R MODEL.pt WIDTH VARIANTS[,VARIANTS...] [END]
#
# END: "tsv" (default), "tsv.gz" or "h5". For each number of VARIANTS a line of JSON: processor
# seconds, and the peak resident memory beside that of the session with the model and the genome.
arguments <- commandArgs(TRUE)
if (length(arguments) < 3L) {
  stop("variants_stream.R MODEL.pt WIDTH VARIANTS[,VARIANTS...] [END]")
}
width <- as.integer(arguments[2L])
end <- if (length(arguments) > 3L) arguments[4L] else "tsv"
numbers <- as.numeric(strsplit(arguments[3L], ",", fixed = TRUE)[[1L]])

if (length(numbers) > 1L) {
  for (n in numbers) {
    own <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
    system2(file.path(R.home("bin"), "Rscript"),
      c(own, arguments[1:2], format(n, scientific = FALSE), end)
    )
  }
  quit()
}

status <- function(what) {
  line <- grep(paste0("^", what, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
cpu <- function() sum(proc.time()[c(1, 2)])

library(seqlift)
seqlift_threads(1L)
n <- numbers
folder <- tempfile("variants-")
dir.create(folder)
# A genome of random letters, and its variants line by line, so that writing them takes no memory.
set.seed(1)
letters <- paste(sample(c("A", "C", "G", "T"), 1e5, TRUE), collapse = "")
genome <- Biostrings::DNAStringSet(c(chr1 = letters))
vcf <- file(file.path(folder, "variants.vcf"), "w")
writeLines(c("##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"), vcf)
for (first in seq(1, n, by = 10000)) {
  i <- seq(first, min(n, first + 9999))
  position <- width + (i * 7919) %% (1e5 - 2 * width)
  ref <- substring(letters, position, position)
  alt <- chartr("ACGT", "CGTA", ref)
  lines <- sprintf(
    "chr1\t%d\trs%d\t%s\t%s\t.\t.\t.", as.integer(position), as.integer(i), ref, alt
  )
  writeLines(lines, vcf)
}
close(vcf)
model <- load_model(arguments[1L])
# The smallest model with both heads is one of the tests' (tests/testthat/models).
if (basename(arguments[1L]) == "two_heads.pt") {
  model <- with_args(model, list(control_track = 0))
}
invisible(gc())
# Linux forgets the peak so far.
writeLines("5", "/proc/self/clear_refs")
before <- status("VmRSS")
path <- file.path(folder, paste0("scores.", end))
started <- cpu()
score_variants(model, file.path(folder, "variants.vcf"), genome, width = width, output = path)
cat(sprintf(
  paste0(
    "{\"variants\": %.0f, \"width\": %d, \"end\": \"%s\", \"cpu_s\": %.1f, ",
    "\"start_mb\": %.0f, \"peak_mb\": %.0f}\n"
  ),
  n, width, end, cpu() - started, before, status("VmHWM")
))
unlink(folder, recursive = TRUE)
