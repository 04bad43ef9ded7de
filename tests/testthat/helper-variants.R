# What the tests of score_variants() share: a genome, variants on it, and what they do by hand.

# Read once: that takes longer than to score a few variants.
heads_file <- local({
  model <- NULL
  function() {
    if (is.null(model)) model <<- test_model("two_heads")
    model
  }
})

heads_model <- function() with_args(heads_file(), list(control_track = 0))

# 80 letters without N, and a chromosome with some.
variant_genome <- function() {
  Biostrings::DNAStringSet(c(
    chr1 = decode_one_hot(random_one_hot(c(1, 4, 80), random_state = 3)),
    chr2 = paste0("ACGTNNACGTTAGC", strrep("ACGGT", 10))
  ))
}

letters_at <- function(position, n = 1, chromosome = "chr1") {
  as.character(Biostrings::subseq(variant_genome()[[chromosome]], position, width = n))
}

other_base <- function(base) setdiff(c("A", "C", "G", "T"), base)[1]

# A substitution, an insertion, a deletion and two alleles at one place.
several_variants <- function() {
  at <- function(position, n = 1) letters_at(position, n)
  data.frame(
    chromosome = "chr1", position = c(30, 35, 41, 45),
    ref = c(at(30), at(35), at(41, 4), at(45)),
    alt = c(
      other_base(at(30)), paste0(at(35), "GATTA"), at(41),
      paste(setdiff(c("A", "C", "G", "T"), at(45))[1:2], collapse = ",")
    ),
    variant = c("rs1", "rs2", "rs3", "rs4")
  )
}

# Both alleles of a row of the result as strings of `width` letters.
alleles_by_hand <- function(row, width) {
  chromosome <- as.character(variant_genome()[[row$chromosome]])
  left <- substr(chromosome, row$position - width %/% 2, row$position - 1)
  right <- substr(chromosome, row$position + nchar(row$ref), nchar(chromosome))
  substr(paste0(left, c(row$ref, row$alt), right), 1, width)
}

turned_letters <- function(letters) {
  as.character(Biostrings::reverseComplement(Biostrings::DNAStringSet(letters)))
}

softmax_by_hand <- function(x) exp(x) / sum(exp(x))

distance_between <- function(a, b) {
  p <- softmax_by_hand(as.vector(a))
  q <- softmax_by_hand(as.vector(b))
  m <- (p + q) / 2
  sqrt(sum(p * log2(p / m) + q * log2(q / m)) / 2)
}

# counts of both alleles, logfc, jsd (for alleles of one length), of one model with both strands.
scores_by_hand <- function(model, row, width) {
  alleles <- alleles_by_hand(row, width)
  forward <- predict(model, alleles)
  backward <- predict(model, turned_letters(alleles))
  counts <- (exp(forward[[2]][, 1]) + exp(backward[[2]][, 1])) / 2
  size <- dim(forward[[1]])[3]
  profiles <- (forward[[1]] + backward[[1]][, 2:1, size:1]) / 2
  one_strand <- function(y) log2(exp(y[2, 1]) / exp(y[1, 1]))
  list(
    counts = counts, logfc = log2(counts[2] / counts[1]),
    original_jsd = distance_between(profiles[1, , ], profiles[2, , ]),
    strand_se = abs(one_strand(forward[[2]]) - one_strand(backward[[2]])) / 2
  )
}

two_models <- function() {
  list(first = heads_model(), second = with_args(heads_file(), list(control_track = 3)))
}
