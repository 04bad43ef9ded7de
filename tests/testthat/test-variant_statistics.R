random_logits <- function(n, strands, positions, seed) {
  set.seed(seed)
  array(rnorm(n * strands * positions, sd = 2), c(n, strands, positions))
}

# One number at a time.
distance_by_hand <- function(a, b) {
  p <- exp(a) / sum(exp(a))
  q <- exp(b) / sum(exp(b))
  divergence <- 0
  for (i in seq_along(p)) {
    m <- (p[i] + q[i]) / 2
    divergence <- divergence + p[i] * log2(p[i] / m) / 2 + q[i] * log2(q[i] / m) / 2
  }
  sqrt(divergence)
}

test_that("the distance of profiles is that of both softmaxes, over strands and positions", {
  a <- random_logits(4, 2, 9, 1)
  b <- random_logits(4, 2, 9, 2)
  found <- profile_distances(a, b, matrix(1L, 4, 2))
  expect_equal(found$jsd, vapply(1:4, function(i) distance_by_hand(a[i, , ], b[i, , ]), 1))
  expect_identical(found$jsd, found$original_jsd)
  # Of (1/2, 1/2) and (1, 0): entropy of (3/4, 1/4) less half a bit.
  entropy <- -(0.75 * log2(0.75) + 0.25 * log2(0.25))
  half <- array(0, c(1, 1, 2))
  one <- array(c(0, -Inf), c(1, 1, 2))
  expect_equal(profile_distances(half, one, matrix(1L, 1, 2))$jsd, sqrt(entropy - 0.5))
})

test_that("equal profiles have a distance of 0, other ones up to 1, whatever the size of logits", {
  a <- random_logits(3, 1, 7, 3)
  expect_identical(profile_distances(a, a, matrix(1L, 3, 2))$jsd, c(0, 0, 0))
  expect_equal(
    profile_distances(a + 800, a - 800, matrix(1L, 3, 2))$jsd, c(0, 0, 0),
    tolerance = 1e-7
  )
  apart <- array(c(800, 0, 0, 800), c(2, 1, 2))
  other <- apart[2:1, , , drop = FALSE]
  expect_equal(profile_distances(apart, other, matrix(1L, 2, 2))$jsd, c(1, 1))
})

test_that("profiles of alleles of two lengths are compared where they show the same bases", {
  # The profile is the base itself, so that positions that show the same base are equal.
  positions <- 20L
  genome <- 100 + seq_len(60)
  profile_of <- function(left, allele, right) {
    array(c(left, allele, right)[seq_len(positions)], c(1L, 1L, positions))
  }
  left <- genome[1:10]
  for (sizes in list(
    c(1L, 4L), c(4L, 1L), c(0L, 3L), c(3L, 0L), c(2L, 5L), c(1L, 9L), c(10L, 1L)
  )) {
    # Both alleles begin alike.
    alleles <- lapply(sizes, function(size) seq_len(size))
    behind <- 20L + seq_len(40)
    first <- profile_of(left, alleles[[1]], behind)
    second <- profile_of(left, alleles[[2]], behind)
    kept <- shared_positions(positions, sizes)
    expect_identical(first[1, 1, kept[[1]]], second[1, 1, kept[[2]]])
    expect_length(kept[[1]], positions - abs(diff(sizes)))
    expect_identical(profile_distances(first, second, matrix(sizes, 1))$jsd, 0)
    expect_gt(profile_distances(first, second, matrix(sizes, 1))$original_jsd, 0)
  }
  # What is longer than half of the profile is cut with it.
  for (sizes in list(c(1L, 30L), c(30L, 1L), c(15L, 30L))) {
    kept <- shared_positions(positions, sizes)
    expect_identical(lengths(kept)[1], lengths(kept)[2])
    expect_true(all(unlist(kept) %in% seq_len(positions)))
  }
})

test_that("quantiles are shares of the peaks with less, at least one peak's", {
  peaks <- c(5, 1, 3, 3)
  expect_identical(count_quantiles(c(0, 1, 2, 3, 4, 9), peaks), c(1, 1, 1, 1, 3, 4) / 4)
})

test_that("scores are products of their parts", {
  set.seed(4)
  first <- rexp(6)
  second <- rexp(6)
  jsd <- runif(6)
  peaks <- rexp(11)
  found <- scores_of_model(first, second, jsd, jsd / 2, peaks)
  logfc <- log(second / first) / log(2)
  share <- function(x) max(mean(peaks < x), 1 / 11)
  q1 <- vapply(first, share, 1)
  q2 <- vapply(second, share, 1)
  expect_equal(found, list(
    logfc = logfc, abs_logfc = abs(logfc), jsd = jsd, original_jsd = jsd / 2,
    logfc_x_jsd = logfc * jsd, abs_logfc_x_jsd = abs(logfc * jsd),
    allele1_quantile = q1, allele2_quantile = q2, active_allele_quantile = pmax(q1, q2),
    quantile_change = q2 - q1, abs_quantile_change = abs(q2 - q1),
    logfc_x_active_allele_quantile = logfc * pmax(q1, q2),
    abs_logfc_x_active_allele_quantile = abs(logfc) * pmax(q1, q2),
    jsd_x_active_allele_quantile = jsd * pmax(q1, q2),
    logfc_x_jsd_x_active_allele_quantile = logfc * jsd * pmax(q1, q2),
    abs_logfc_x_jsd_x_active_allele_quantile = abs(logfc * jsd) * pmax(q1, q2)
  ))
  expect_named(scores_of_model(first, second, NULL, NULL), c("logfc", "abs_logfc"))
  expect_named(scores_of_model(NULL, NULL, jsd, jsd), c("jsd", "original_jsd"))
})

test_that("p-values count the null on each side, with ties, and are probabilities", {
  null <- c(0, 1, 1, 2, 5, -3, -3)
  scores <- c(-4, -3, 0, 1, 1.5, 5, 6)
  left <- vapply(scores, function(x) (sum(null <= x) + 1) / 8, 1)
  right <- vapply(scores, function(x) (sum(null >= x) + 1) / 8, 1)
  expect_identical(empirical_p_values(scores, null, "left"), left)
  expect_identical(empirical_p_values(scores, null, "right"), right)
  expect_identical(empirical_p_values(scores, null, "both"), pmin(2 * pmin(left, right), 1))
  expect_gt(max(empirical_p_values(scores, null, "both", cap = FALSE)), 1)
})

test_that("p-values of the null's own distribution are uniform", {
  set.seed(5)
  null <- rnorm(999)
  for (tail in c("left", "right", "both")) {
    p <- empirical_p_values(rnorm(4000), null, tail)
    expect_gt(stats::ks.test(p + runif(4000, 0, 1e-3), "punif")$p.value, 1e-4)
  }
})

test_that("means, standard errors and geometric means are over models", {
  values <- cbind(c(1, 2), c(3, 2), c(8, 2))
  expect_identical(mean_over_models(values), c(4, 2))
  expect_equal(standard_error_over_models(values), c(sd(c(1, 3, 8)) / sqrt(3), 0))
  expect_identical(standard_error_over_models(values[, 1, drop = FALSE]), c(NA_real_, NA_real_))
  expect_equal(geometric_mean_over_models(values), c(24^(1 / 3), 2))
})
