# The statistics of score_variants(), on predictions that are there: what an allele changes, how
# that compares with peaks, with a null and between models. Those of variant-scorer (Kundaje lab),
# which takes natural logarithms of counts and logits of one profile.

# In the order of variant-scorer's tables.
change_scores <- c("logfc", "abs_logfc", "jsd", "original_jsd", "logfc_x_jsd", "abs_logfc_x_jsd")
quantile_scores <- c(
  "allele1_quantile", "allele2_quantile", "active_allele_quantile", "quantile_change",
  "abs_quantile_change", "logfc_x_active_allele_quantile", "abs_logfc_x_active_allele_quantile",
  "jsd_x_active_allele_quantile", "logfc_x_jsd_x_active_allele_quantile",
  "abs_logfc_x_jsd_x_active_allele_quantile"
)

# Scores with a sign are compared with both ends of the null, sizes with its right one. The others
# (a quantile of an allele, a distance before it is made comparable) are no effects and have none.
two_sided_scores <- c(
  "logfc", "logfc_x_jsd", "quantile_change", "logfc_x_active_allele_quantile",
  "logfc_x_jsd_x_active_allele_quantile"
)
untested_scores <- c("original_jsd", "allele1_quantile", "allele2_quantile")

tail_of_score <- function(score) if (score %in% two_sided_scores) "both" else "right"

# ---- one model ------------------------------------------------------------------------

# log2 of the second count over the first.
log2_fold_change <- function(counts_1, counts_2) log2(counts_2 / counts_1)

# Distances of profiles before and after both are cut to the positions that they share, of logits
# [n, strands, positions]. `sizes`: matrix [n, 2] of the alleles' lengths, 0 for none.
profile_distances <- function(logits_1, logits_2, sizes) {
  n <- dim(logits_1)[1L]
  whole <- jensen_shannon_distances(matrix(logits_1, n), matrix(logits_2, n))
  cut <- whole
  for (i in which(sizes[, 1L] != sizes[, 2L])) {
    kept <- shared_positions(dim(logits_1)[3L], sizes[i, ])
    cut[i] <- jensen_shannon_distances(
      matrix(logits_1[i, , kept[[1L]]], 1L), matrix(logits_2[i, , kept[[2L]]], 1L)
    )
  }
  list(jsd = cut, original_jsd = whole)
}

# Which positions of both profiles show the same bases, where an allele has more letters than the
# other: the longer one's first letters stand for the shorter one's, its others for nothing, and the
# shorter one's last positions show what the longer one has lost at its end.
shared_positions <- function(n_positions, sizes) {
  left <- n_positions %/% 2L
  right <- n_positions - left
  common <- min(sizes)
  # Of a longer allele that fills all of the right half, as much as there is room for.
  beyond <- max(right - max(sizes), 0L)
  common <- min(common, right)
  longer <- c(seq_len(left + common), n_positions - beyond + seq_len(beyond))
  shorter <- seq_len(left + common + beyond)
  if (sizes[1L] > sizes[2L]) list(longer, shorter) else list(shorter, longer)
}

# Square root of the Jensen-Shannon divergence in bits, of the softmax of each row. The largest
# logit is taken off first, so that none overflows; equal rows have a distance of exactly 0.
jensen_shannon_distances <- function(logits_1, logits_2) {
  p <- softmax_rows(logits_1)
  q <- softmax_rows(logits_2)
  middle <- (p + q) / 2
  bits <- function(a) {
    terms <- a * log2(a / middle)
    terms[a == 0] <- 0
    rowSums(terms)
  }
  sqrt(pmax((bits(p) + bits(q)) / 2, 0))
}

softmax_rows <- function(logits) {
  largest <- logits[cbind(seq_len(nrow(logits)), max.col(logits, "first"))]
  weights <- exp(logits - largest)
  weights / rowSums(weights)
}

# Share of the peaks with less, at least one peak's worth.
count_quantiles <- function(counts, peak_counts) {
  below <- findInterval(counts, sort(peak_counts), left.open = TRUE)
  pmax(below, 1) / length(peak_counts)
}

# All scores of one model, from counts and distances (either may be NULL); quantiles with
# `peak_counts`. A list of vectors.
scores_of_model <- function(counts_1, counts_2, jsd, original_jsd, peak_counts = NULL) {
  scores <- list()
  if (!is.null(counts_1)) {
    scores$logfc <- log2_fold_change(counts_1, counts_2)
    scores$abs_logfc <- abs(scores$logfc)
  }
  scores$jsd <- jsd
  scores$original_jsd <- original_jsd
  if (!is.null(counts_1) && !is.null(jsd)) {
    scores$logfc_x_jsd <- scores$logfc * jsd
    scores$abs_logfc_x_jsd <- scores$abs_logfc * jsd
  }
  if (!is.null(peak_counts)) {
    first <- count_quantiles(counts_1, peak_counts)
    second <- count_quantiles(counts_2, peak_counts)
    active <- pmax(first, second)
    scores$allele1_quantile <- first
    scores$allele2_quantile <- second
    scores$active_allele_quantile <- active
    scores$quantile_change <- second - first
    scores$abs_quantile_change <- abs(second - first)
    for (name in intersect(setdiff(change_scores, "original_jsd"), names(scores))) {
      scores[[paste0(name, "_x_active_allele_quantile")]] <- scores[[name]] * active
    }
  }
  scores[intersect(c(change_scores, quantile_scores), names(scores))]
}

# ---- a null ---------------------------------------------------------------------------

# Empirical p-values of `scores` among those of the null, each counted as one of its own. Twice the
# smaller side can exceed 1, which no probability does: `cap` keeps to it.
empirical_p_values <- function(scores, null, tail = c("right", "left", "both"), cap = TRUE) {
  tail <- match.arg(tail)
  ordered <- sort(null)
  n <- length(ordered)
  left <- (findInterval(scores, ordered) + 1) / (n + 1)
  right <- (n - findInterval(scores, ordered, left.open = TRUE) + 1) / (n + 1)
  both <- 2 * pmin(left, right)
  switch(tail, left = left, right = right, both = if (cap) pmin(both, 1) else both)
}

# ---- several models -------------------------------------------------------------------

# Mean and standard error (NA for one model) over the columns of [n, models].
mean_over_models <- function(values) rowMeans(values)

standard_error_over_models <- function(values) {
  n <- ncol(values)
  if (n < 2L) {
    return(rep(NA_real_, nrow(values)))
  }
  sqrt(rowSums((values - rowMeans(values))^2) / (n - 1) / n)
}

geometric_mean_over_models <- function(p_values) exp(rowMeans(log(p_values)))
