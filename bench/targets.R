# Many targets in one call beside one call for each: how much of the work they share.
#
#   R_LIBS=build/library Rscript bench/targets.R [runs] [targets ...]
#
# A Basset of a third of the width with random weights and 1000 outputs, 600 bp, one thread.
# `targets` (default 19 and 1000) are explained in one call; a call for one target is timed beside
# it, in turn, and taken that many times. CPU seconds, medians of `runs` (default 3). Three of the
# targets are compared with what their own calls give.

library(seqlift)

arguments <- as.integer(commandArgs(TRUE))
runs <- if (length(arguments) > 0L) arguments[1L] else 3L
counts <- if (length(arguments) > 1L) arguments[-1L] else c(19L, 1000L)
outputs <- 1000L
invisible(seqlift_threads(1L))

random <- function(...) array(rnorm(prod(...), sd = 0.05), c(...))
layer <- function(name, ...) {
  stats::setNames(list(random(...), random(c(...)[1L])), paste0(name, c(".weight", ".bias")))
}
norm <- function(name, channels) {
  values <- list(1 + random(channels), random(channels), random(channels), 1 + random(channels)^2)
  stats::setNames(values, paste0(name, c(".weight", ".bias", ".running_mean", ".running_var")))
}
model <- basset(c(
  layer("0", 100, 4, 19, 1), norm("1", 100), layer("4", 66, 100, 11, 1), norm("5", 66),
  layer("8", 66, 66, 7, 1), norm("9", 66), layer("13.1", 333, 660), norm("14", 333),
  layer("17.1", 333, 333), norm("18", 333), layer("21.1", outputs, 333)
), logits = TRUE)
X <- random_one_hot(c(1L, 4L, 600L), random_state = 1)

# Mutagenesis predicts all outputs of every substitution: those of the targets are taken from them.
substitutions <- function(targets) {
  raw <- saturation_mutagenesis(model, X, start = 291L, end = 310L, raw_outputs = TRUE)
  raw$y_hat[, , , targets, drop = FALSE]
}
verbs <- list(
  deep_lift_shap = function(targets) {
    deep_lift_shap(model, X, target = targets, n_shuffles = 5L, random_state = 0)
  },
  saliency = function(targets) attribute(model, X, "saliency", targets),
  gradient_x_input = function(targets) attribute(model, X, "gradient_x_input", targets),
  integrated_gradients = function(targets) {
    attribute(model, X, "integrated_gradients", targets, n_steps = 5L)
  },
  smoothgrad = function(targets) {
    attribute(model, X, "smoothgrad", targets, n_samples = 5L, random_state = 0)
  },
  deep_lift_genomics = function(targets) {
    attribute(model, X, "deep_lift_genomics", targets, n_shuffles = 5L, random_state = 0)
  },
  taylor_ism = function(targets) taylor_ism(model, X, targets),
  saturation_mutagenesis = substitutions
)

cpu <- function(code) {
  before <- proc.time()
  force(code)
  sum((proc.time() - before)[c("user.self", "sys.self")])
}

numbers <- function(x) as.vector(unclass(x))

cat(sprintf(
  "%-23s %7s  %9s %9s %13s %12s %10s\n", "", "targets", "one, s", "all, s", "all/separate",
  "ms a target", "difference"
))
for (name in names(verbs)) {
  verb <- verbs[[name]]
  invisible(verb(1L))
  for (count in counts) {
    targets <- seq_len(count)
    one <- all <- numeric(runs)
    for (run in seq_len(runs)) {
      one[run] <- cpu(verb(run))
      all[run] <- cpu(result <- verb(targets))
    }
    last <- matrix(numbers(result), ncol = count)
    sampled <- unique(c(1L, count %/% 2L, count))
    apart <- max(vapply(sampled, function(target) {
      alone <- numbers(verb(target))
      max(abs(alone - last[, target])) / max(abs(alone))
    }, 0))
    one <- median(one)
    all <- median(all)
    cat(sprintf(
      "%-23s %7d  %9.3f %9.3f %13.4f %12.2f %10.1e\n", name, count, one, all, all / (count * one),
      1000 * (all - one) / (count - 1), apart
    ))
  }
}
