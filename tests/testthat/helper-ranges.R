# Sequences of known places, and results made by hand.

# Twelve bases each; the second is read from the minus strand.
ranged_sequences <- function(n = 3L) {
  skip_if_not_installed("GenomicRanges")
  skip_if_not_installed("Biostrings")
  X <- Biostrings::DNAStringSet(test_sequences(n))
  S4Vectors::mcols(X)$range <- sequence_places(n)
  X
}

sequence_places <- function(n = 3L) {
  GenomicRanges::GRanges(
    c("chr1", "chr1", "chr2")[seq_len(n)], IRanges::IRanges(c(101L, 201L, 5L)[seq_len(n)],
      width = 12L
    ),
    c("+", "-", "*")[seq_len(n)],
    score = c(0.5, 1.5, 2.5)[seq_len(n)],
    seqinfo = GenomeInfoDb::Seqinfo(c("chr1", "chr2"), c(1000L, 500L), genome = "made")
  )
}

# Every position has a number of its own: sequence i, position p: i + p / 100, negative for even p.
numbered_values <- function(n = 3L, length = 12L) {
  outer(seq_len(n), seq_len(length), function(i, p) (i + p / 100) * (-1)^(p + 1))
}

# A result whose letters have these values; what else there is of a position is 7 when hypothetical.
ranged_result <- function(n = 3L, kind = "attributions", X = test_sequences(n), ranges = TRUE,
                          values = numbered_values(n, nchar(X[1L]))) {
  one_hot <- one_hot_encode(X)
  numbers <- array(if (kind == "hypothetical") 7 else 0, dim(one_hot))
  for (base in 1:4) {
    here <- one_hot[, base, ] == 1
    numbers[, base, ][here] <- values[here]
  }
  skip_if_not_installed("GenomicRanges")
  new_attributions(numbers, X, matrix(seq_len(2L * n) / 1e6, n), NULL, kind,
    info = list(method = "DeepLIFT/SHAP", target = 1L, model = "model.pt"),
    ranges = if (ranges) sequence_places(n)
  )
}
