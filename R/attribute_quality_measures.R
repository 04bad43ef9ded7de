# The measures of attribution_quality(), on scores and predictions that are there.

# Shares of positions, from none to all, of a curve with so many steps: how many positions each.
curve_counts <- function(steps, length) {
  as.integer(round(seq(0, 1, length.out = steps + 1L) * length))
}

# Sequences in which the first positions of an order are another's: a raw matrix [L, counts] of
# `from` with the first counts[k] positions of `order` as in `to`.
exchange_positions <- function(from, to, order, counts) {
  rank <- integer(length(order))
  rank[order] <- seq_along(order)
  taken <- outer(rank, counts, "<=")
  codes <- matrix(from, length(from), length(counts))
  codes[taken] <- matrix(to, length(to), length(counts))[taken]
  codes
}

# Mean height of a curve whose points are at the shares `at`, from 0 to 1.
area_under <- function(values, at) sum(diff(at) * (utils::head(values, -1L) + values[-1L]) / 2)

# Yeh et al. 2019, as Captum's infidelity(): the mean squared difference of what the attributions
# say of each perturbation and of the change of the output, and the same for attributions multiplied
# by the factor that makes it smallest.
infidelity_of <- function(said, changes) {
  factor <- if (any(said != 0)) sum(said * changes) / sum(said^2) else 1
  c(infidelity = mean((said - changes)^2), normalized = mean((factor * said - changes)^2))
}

# Yeh et al. 2019, as Captum's sensitivity_max(): the largest change of an explanation, by its own
# size. `others`: a row for each perturbed sequence.
sensitivity_of <- function(own, others) {
  size <- sqrt(sum(own^2))
  if (size == 0) {
    return(NA_real_)
  }
  max(sqrt(rowSums((others - rep(own, each = nrow(others)))^2))) / size
}

# NA where one of both is constant.
correlation_of <- function(a, b, method) {
  if (length(unique(a)) < 2L || length(unique(b)) < 2L) {
    return(NA_real_)
  }
  stats::cor(a, b, method = method)
}
