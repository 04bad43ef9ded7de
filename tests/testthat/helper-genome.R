# Two chromosomes of 26 and 8 letters; chr1:10-16 is TTACAGG.
small_genome <- function() {
  Biostrings::DNAStringSet(c(chr1 = "ACGTACGGATTACAGGCATNACGTTT", chr2 = "GGGGCCCC"))
}

skip_without_genomes <- function(...) {
  for (package in c("Biostrings", "GenomicRanges", "GenomeInfoDb", "IRanges", "S4Vectors", ...)) {
    testthat::skip_if_not_installed(package)
  }
}

# A random genome with GC contents that differ along it.
random_genome <- function(size = 50000) {
  at_rich <- random_one_hot(c(1, 4, size), probs = c(0.35, 0.15, 0.15, 0.35), random_state = 1)
  even <- random_one_hot(c(1, 4, size), random_state = 2)
  Biostrings::DNAStringSet(c(chr1 = decode_one_hot(at_rich), chr2 = decode_one_hot(even)))
}
