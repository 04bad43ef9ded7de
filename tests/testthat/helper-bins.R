# Scores of bins in R's arithmetic, from what a model predicts.

# Twenty-four bases each, which the models of bins read as six bins of four.
binned_sequences <- function(n = 3L) {
  c(
    one = "ACGTTGCAAGTCGGATTACAGATC", two = "TTGCAAGTCCAGCATGCATGGACT",
    three = "AGCTAGGTACCAACGTTGCATGAC"
  )[seq_len(n)]
}

# The raw output as [n, bins, tracks].
bins_of_output <- function(model, X, tracks_first, ...) {
  output <- numbers_of(predict(model, X, dtype = "float64", ...))
  if (tracks_first) aperm(output, c(1L, 3L, 2L)) else output
}

# `output` [n, bins, tracks]; `bins`, `tracks` NULL: all.
bin_score_by_hand <- function(output, bins, tracks, transform, squashing = NULL,
                              pseudocount = 1e-6) {
  bins <- if (is.null(bins)) seq_len(dim(output)[2L]) else bins
  tracks <- if (is.null(tracks)) seq_len(dim(output)[3L]) else tracks
  values <- output[, bins, tracks, drop = FALSE]
  if (!is.null(squashing)) {
    values <- values / squashing[["scale"]]
    high <- values > squashing[["clip"]]
    values[high] <- (values[high] - squashing[["clip"]])^2 + squashing[["clip"]]
    values <- values^(1 / squashing[["power"]])
  }
  profile <- apply(values, 1:2, mean)
  score <- if (grepl("mean$", transform)) rowMeans(profile) else rowSums(profile)
  score <- if (grepl("^log1p", transform)) {
    log(1 + score)
  } else if (grepl("^log_", transform)) {
    log(score + pseudocount)
  } else {
    score
  }
  array(score, c(length(score), 1L))
}

bin_transform_names <- c("sum", "mean", "log_sum", "log_mean", "log1p_sum", "log1p_mean")

# Models by how their output lies, sequences that they take. Made once: two are whole architectures.
binned_cases <- local({
  made <- NULL
  function() {
    if (is.null(made)) {
      made <<- make_binned_cases()
    }
    made
  }
})

make_binned_cases <- function() {
  small <- binned_sequences()
  list(
    "tracks, bins" = list(model = test_model("tracks_of_bins"), X = small, tracks_first = TRUE),
    "bins, tracks" = list(model = test_model("bins_of_tracks"), X = small, tracks_first = FALSE),
    enformer = list(
      model = enformer(enformer_dict(), head = "human", target_length = 6),
      X = random_one_hot(c(2, 4, 32), random_state = 1), tracks_first = FALSE
    ),
    borzoi = list(
      model = borzoi(test_path("architectures", "borzoi_small.pth"),
        head = "human", target_length = 20
      ),
      X = random_one_hot(c(2, 4, 128), random_state = 1), tracks_first = TRUE
    )
  )
}
