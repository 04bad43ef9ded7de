# Motifs against motifs. The twin below is the algorithm as its description has it, loop by loop.

random_motif <- function(width, sharpness = 0.5) {
  weights <- matrix(stats::rgamma(4 * width, sharpness), 4) + 1e-6
  weights / rep(colSums(weights), each = 4)
}

with_seed <- function(seed, code) {
  set.seed(seed)
  code
}

turned_round <- function(motif) motif[nrow(motif):1, ncol(motif):1, drop = FALSE]

# Minus the distances to all columns, less their binned median.
twin_scores <- function(query, columns, n_median_bins) {
  apply(query, 2L, function(q) {
    g <- -sqrt(pmax(0, colSums((columns - q)^2)))
    if (diff(range(g)) == 0) {
      return(g - g[1L])
    }
    bin <- trunc((g - min(g)) / diff(range(g)) * (n_median_bins - 1))
    counts <- cumsum(tabulate(bin + 1, n_median_bins))
    g - mean(g[bin == which(counts >= length(g) / 2)[1L] - 1])
  })
}

# The chance that the sum of the columns first .. last is at least `score`, by every combination;
# the shifted score 0 is left out, and what is missing is larger than all.
twin_span_tail <- function(shares, first, last, offset, score) {
  width <- ncol(shares)
  sums <- 0
  chances <- 1
  for (i in first:last) {
    x <- which(shares[, i] > 0) - 1
    x <- x[x > 0]
    chances <- as.vector(outer(chances, shares[x + 1, i]))
    sums <- as.vector(outer(sums, x, `+`))
  }
  outside <- offset * (width - (last - first + 1))
  sum(chances[sums + outside >= score]) + 1 - sum(chances)
}

twin_tomtom <- function(query, targets, n_score_bins = 100, n_median_bins = 1000, both = TRUE) {
  n <- length(targets)
  all <- if (both) c(targets, lapply(targets, turned_round)) else targets
  columns <- do.call(cbind, all)
  g <- twin_scores(query, columns, n_median_bins)
  lowest <- floor(min(g))
  scale <- floor(n_score_bins / (max(g) - lowest))
  offset <- -lowest * scale
  x <- floor((g - lowest) * scale + 0.5)
  shares <- apply(x, 2L, function(column) tabulate(column + 1, n_score_bins + 1) / nrow(x))
  nq <- ncol(query)
  tail_of <- function(nt, score) {
    spans <- if (nt < nq) {
      c(lapply(seq_len(nq - nt + 1), function(k) c(k, k + nt - 1)),
        lapply(seq_len(nt - 1), function(k) c(1, k)),
        lapply(seq_len(nt - 1), function(k) c(nq + 1 - k, nq)))
    } else {
      c(lapply(seq_len(nq - 1), function(k) c(1, k)),
        lapply(seq_len(nq - 1), function(k) c(nq + 1 - k, nq)),
        rep(list(c(1, nq)), nt - nq + 1))
    }
    p <- 0
    for (span in spans) {
      tail <- twin_span_tail(shares, span[1L], span[2L], offset, score)
      p <- p + tail - p * tail
    }
    p
  }
  starts <- cumsum(c(0, vapply(all, ncol, 1L)))
  best <- lapply(seq_along(all), function(t) {
    nt <- ncol(all[[t]])
    sums <- vapply(seq_len(nt + nq - 1) - nq, function(shift) {
      i <- seq_len(nq)
      j <- i + shift
      inside <- j >= 1 & j <= nt
      sum(x[cbind(starts[t] + j[inside], i[inside])] - offset) + nq * offset
    }, 0)
    list(score = max(sums), at = which(sums == max(sums)) - nq, nt = nt)
  })
  do.call(rbind, lapply(seq_len(n), function(t) {
    ours <- best[[t]]
    reverse <- both && best[[n + t]]$score >= ours$score
    if (reverse) ours <- best[[n + t]]
    p <- if (ours$score > 0) tail_of(ours$nt, ours$score) else 1
    data.frame(
      p_value = if (both) p * (2 - p) else p, score = ours$score,
      strand = if (reverse) "-" else "+", offsets = I(list(ours$at)),
      missing = any(shares[1L, ] > 0)
    )
  }))
}

test_that("p-values of single columns are those that are counted by hand", {
  # Distances of A to A, to half A and half C, and to C: 0, 0.7071, 1.4142; the median is the
  # second. Scores 0.7071, 0, -0.7071 in 58 steps a unit (100 / 1.7071), from -1 on: 99, 58, 17.
  targets <- list(a = cbind(c(1, 0, 0, 0)), half = cbind(c(0.5, 0.5, 0, 0)),
    c = cbind(c(0, 1, 0, 0)))
  found <- tomtom(targets["a"], targets, reverse_complement = FALSE)
  expect_identical(found$target, c("a", "half", "c"))
  expect_identical(found$score, c(99L, 58L, 17L))
  expect_equal(found$p_value, c(1, 2, 3) / 3, tolerance = 1e-15)
  expect_equal(found$q_value, c(1, 1, 1), tolerance = 1e-15)
  expect_identical(found$overlap, c(1L, 1L, 1L))
  expect_identical(found$strand, c("+", "+", "+"))
  # Two places, of which the better counts.
  wider <- c(targets[2], list(both = cbind(c(1, 0, 0, 0), c(0, 1, 0, 0))))
  found <- tomtom(targets["a"], wider, reverse_complement = FALSE)
  expect_equal(found$p_value[found$target == "both"], 1 - (2 / 3)^2, tolerance = 1e-15)
  expect_identical(found$offset[found$target == "both"], 0L)
})

test_that("all numbers are those of the algorithm done loop by loop", {
  set.seed(5)
  for (round in 1:6) {
    targets <- lapply(sample(1:5, 4, TRUE), random_motif, sharpness = c(0.3, 1, 3)[round %% 3 + 1])
    both <- round %% 2 == 0
    n_score_bins <- c(100, 30)[round %% 2 + 1]
    for (width in 1:4) {
      query <- random_motif(width)
      twin <- twin_tomtom(query, targets, n_score_bins, both = both)
      found <- tomtom(query, targets, reverse_complement = both, n_score_bins = n_score_bins,
        n_target_bins = NULL)
      found <- found[order(as.integer(found$target)), ]
      expect_equal(found$score, as.integer(twin$score))
      expect_identical(found$strand, twin$strand)
      expect_true(all(mapply(`%in%`, found$offset, twin$offsets)))
      # Where a share is missing, the order in which alignments are taken in counts.
      if (!any(twin$missing)) expect_equal(found$p_value, twin$p_value, tolerance = 1e-10)
    }
  }
})

test_that("the lowest score is missing as in memelite, or is not", {
  # Sequences against sequences: every column is at distance 0 or 1.4142, and the median is the
  # latter.
  words <- list(a = diag(4), b = diag(4)[, c(2, 2, 4, 1)], c = diag(4)[, c(3, 1, 1, 2)])
  compare <- function(...) tomtom(words["a"], words, reverse_complement = FALSE, ...)
  expect_identical(compare()$p_value, c(1, 1, 1))
  found <- compare(compatible = FALSE)
  # Of 12 columns 4, 4, 2 and 2 are A, C, G and T: the chance that all four fit is
  # (4 x 4 x 2 x 2) / 12^4 of the one full alignment; no other scores as much.
  expect_identical(found$target[1L], "a")
  expect_equal(found$p_value[1L], 64 / 12^4, tolerance = 1e-12)
  motifs <- with_seed(9, lapply(rep(8, 30), random_motif))
  both <- list(tomtom(motifs, motifs), tomtom(motifs, motifs, compatible = FALSE))
  expect_true(all(both[[2L]]$p_value <= both[[1L]]$p_value * (1 + 1e-9)))
})

test_that("a motif finds itself in its place, from either strand, and cut", {
  motifs <- with_seed(2, lapply(6:12, random_motif, sharpness = 0.2))
  names(motifs) <- letters[seq_along(motifs)]
  self <- tomtom(motifs, motifs, n_nearest = 1)
  expect_identical(self$query, names(motifs))
  expect_identical(self$target, names(motifs))
  expect_identical(self$offset, integer(7))
  expect_identical(self$overlap, 6:12)
  turned <- tomtom(lapply(motifs, turned_round), motifs, n_nearest = 1)
  expect_identical(turned$target, names(motifs))
  expect_identical(turned$strand, rep("-", 7))
  cut <- tomtom(list(part = motifs$g[, 4:10]), motifs, n_nearest = 1)
  expect_identical(cut$target, "g")
  expect_identical(c(cut$offset, cut$overlap), c(3L, 7L))
  wide <- tomtom(list(wide = cbind(random_motif(3, 5), motifs$a)), motifs["a"])
  expect_identical(wide$offset, -3L)
})

test_that("small chances are told apart, and none is negative", {
  wide <- with_seed(3, lapply(c(20, 25, 30), random_motif, sharpness = 0.2))
  others <- with_seed(4, lapply(rep(8, 40), random_motif))
  p <- tomtom(wide, c(wide, others), n_nearest = 1)$p_value
  expect_true(all(p > 0 & p < 1e-15))
  expect_true(all(diff(p) < 0))
  all <- tomtom(others, others)
  expect_true(all(all$p_value >= 0 & all$p_value <= 1))
})

test_that("q-values are those of Benjamini and Hochberg over all targets, whatever is kept", {
  motifs <- with_seed(6, lapply(rep(c(6, 9), 10), random_motif))
  all <- tomtom(motifs[1:4], motifs)
  for (own in split(all, all$query)) {
    expect_equal(own$q_value, stats::p.adjust(own$p_value, "BH"))
    expect_false(is.unsorted(own$p_value))
  }
  kept <- tomtom(motifs[1:4], motifs, n_nearest = 3)
  expect_identical(kept, do.call(rbind, lapply(split(all, all$query), utils::head, 3)) |>
    `rownames<-`(NULL))
  below <- tomtom(motifs[1:4], motifs, max_p_value = 0.2)
  expect_identical(below, all[all$p_value <= 0.2, ] |> `rownames<-`(NULL))
  expect_identical(nrow(tomtom(motifs[1], motifs, n_nearest = 100)), 20L)
})

test_that("the number of threads changes nothing", {
  motifs <- with_seed(7, lapply(sample(4:15, 40, TRUE), random_motif))
  one <- with_threads(1, tomtom(motifs, motifs))
  expect_identical(with_threads(3, tomtom(motifs, motifs)), one)
})

test_that("counts and their probabilities are the same motif; steps are found for large weights", {
  counts <- list(
    x = rbind(A = c(10, 0, 3), C = c(0, 10, 3), G = c(0, 0, 2), T = c(0, 0, 2)),
    y = rbind(A = c(1, 1, 9), C = c(0, 5, 0), G = c(9, 2, 1), T = c(0, 2, 0))
  )
  expect_identical(tomtom(counts, counts), tomtom(lapply(counts, `/`, 10), lapply(counts, `/`, 10)))
  raw <- tomtom(lapply(counts, `*`, 1000), counts, normalize = FALSE)
  expect_true(all(is.finite(raw$p_value) & raw$score >= 0))
  large <- lapply(counts, `*`, 1000)
  own <- tomtom(large, large, normalize = FALSE, n_nearest = 1)
  expect_identical(own$target, c("x", "y"))
  expect_identical(own$overlap, c(3L, 3L))
})

test_that("a column that says nothing scores nothing, others still do", {
  targets <- list(a = diag(4), b = diag(4)[, 4:1], c = diag(4)[, c(2, 2, 3, 1)])
  found <- tomtom(cbind(0.25, diag(4)), targets, n_nearest = 1, reverse_complement = FALSE)
  expect_identical(found$target, "a")
  expect_identical(found$offset, -1L)
})

test_that("another alphabet is compared when the strands are spoken for", {
  protein <- with_seed(8, lapply(1:3, function(i) {
    x <- matrix(stats::rgamma(100, 0.1), 20)
    x / rep(colSums(x), each = 20)
  }))
  expect_error(tomtom(protein, protein), "reverse_complement", class = "seqlift_error_argument")
  found <- tomtom(protein, protein, n_nearest = 1, reverse_complement = FALSE)
  expect_identical(found$target, c("1", "2", "3"))
  expect_identical(found$overlap, c(5L, 5L, 5L))
})

test_that("what cannot be compared is an error before work begins", {
  motif <- cbind(c(1, 0, 0, 0), c(0, 1, 0, 0))
  refused <- function(..., message) {
    expect_error(tomtom(...), message, class = "seqlift_error_argument")
  }
  refused(3, motif, message = "`query` must be")
  refused(motif, list(), message = "holds no motif")
  refused(list(motif, "GATA"), motif, message = "`query` must be")
  refused(motif, t(cbind(motif, motif[, 1])), message = "alphabet|Transpose|rows")
  refused(motif, list(motif, replace(motif, 1, NA)), message = "targets\\[\\[2\\]\\]")
  refused(motif, list(motif, motif * Inf), message = "finite")
  refused(list(a = motif, a = motif), motif, message = "two motifs named \"a\"")
  refused(motif * 0, motif, message = "only zeros")
  refused(motif, motif * 0, message = "only zeros")
  refused(matrix(0.25, 4, 3), motif, reverse_complement = FALSE,
    message = "as far from every")
  rna <- motif
  rownames(rna) <- c("A", "C", "G", "U")
  expect_identical(tomtom(rna, motif), tomtom(motif, motif))
  rownames(rna) <- c("A", "B", "C", "D")
  refused(rna, motif, message = "A, B, C, D")
  refused(matrix(1, 20, 2), motif, reverse_complement = FALSE, message = "`targets")
  refused(motif, motif, n_nearest = 0, message = "n_nearest")
  refused(motif, motif, max_p_value = 2, message = "max_p_value")
  refused(motif, motif, n_score_bins = 5, message = "n_score_bins")
  refused(motif, motif, n_target_bins = 1, message = "n_target_bins")
  refused(motif, motif, normalize = NA, message = "normalize")
  expect_error(tomtom("missing.meme", motif), class = "seqlift_error_file")
})

test_that("errors say what came, what was expected and what to do", {
  motif <- cbind(c(1, 0, 0, 0), c(0, 1, 0, 0))
  expect_snapshot(error = TRUE, {
    tomtom("GATA", motif)
    tomtom(motif, 1:3)
    tomtom(list(a = motif, a = motif), motif)
    tomtom(list(flat = matrix(0.25, 4, 3)), motif, reverse_complement = FALSE)
    tomtom(matrix(1, 20, 2), matrix(1, 20, 2))
    export_motifs(list(a = motif - 1), "a.meme")
  })
})
