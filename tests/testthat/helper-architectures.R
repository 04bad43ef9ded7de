# State dicts of tiny networks, and the layers of those networks in R's arithmetic, for one
# sequence at a time: x is [channels, length].

# Seeded weights that single precision holds exactly.
exact_weights <- function(shape, seed, from = -0.5, to = 0.5) {
  index <- seq_len(prod(shape)) + 31 * seed
  values <- from + (to - from) * ((index * 7919 + index^2 * 104729) %% 1009) / 1008
  array(round(values * 1024) / 1024, shape)
}

# `shapes`: list(name = c(...)). Variances are positive.
state_dict_of <- function(shapes) {
  dict <- lapply(seq_along(shapes), function(i) {
    variance <- grepl("running_var$", names(shapes)[i])
    exact_weights(shapes[[i]], i, if (variance) 0.5 else -0.5, if (variance) 2 else 0.5)
  })
  names(dict) <- names(shapes)
  dict
}

layer_shapes <- function(name, shape) {
  stats::setNames(list(shape, shape[1L]), paste0(name, c(".weight", ".bias")))
}

norm_shapes <- function(name, channels) {
  fields <- c("weight", "bias", "running_mean", "running_var")
  stats::setNames(rep(list(channels), 4L), paste0(name, ".", fields))
}

convolved <- function(x, dict, name, dilation = 1L, same = FALSE) {
  weight <- dict[[paste0(name, ".weight")]]
  bias <- dict[[paste0(name, ".bias")]]
  weight <- array(weight, c(dim(weight)[1:2], prod(dim(weight)[-(1:2)])))
  width <- dim(weight)[3L]
  if (same) {
    margin <- matrix(0, nrow(x), dilation * (width %/% 2L))
    x <- cbind(margin, x, margin)
  }
  length <- ncol(x) - dilation * (width - 1L)
  y <- matrix(if (is.null(bias)) 0 else bias, dim(weight)[1L], length)
  for (k in seq_len(width)) {
    y <- y + matrix(weight[, , k], dim(weight)[1L]) %*%
      x[, seq_len(length) + dilation * (k - 1L), drop = FALSE]
  }
  y
}

# Vectors, or a vector in each row.
dense <- function(x, dict, name) {
  x <- if (is.matrix(x)) x else matrix(x, 1L)
  y <- x %*% t(dict[[paste0(name, ".weight")]])
  bias <- dict[[paste0(name, ".bias")]]
  if (is.null(bias)) y else sweep(y, 2L, bias, "+")
}

batch_normed <- function(x, dict, name) {
  at <- function(field) as.vector(dict[[paste0(name, ".", field)]])
  (x - at("running_mean")) / sqrt(at("running_var") + 1e-5) * at("weight") + at("bias")
}

max_pooled <- function(x, size) {
  starts <- size * (seq_len(ncol(x) %/% size) - 1L)
  windows <- lapply(seq_len(size), function(k) x[, starts + k, drop = FALSE])
  do.call(pmax, windows)
}

relu <- function(x) pmax(x, 0)

# PyTorch lays out the last dimension first.
flattened <- function(x) as.vector(t(x))

# BPNet with two layers -------------------------------------------------------------------

bpnet_dict <- function(tracks, strands = 2L, prefix = "") {
  shapes <- c(
    layer_shapes("iconv", c(3L, 4L, 5L)), layer_shapes("rconvs.0", c(3L, 3L, 3L)),
    layer_shapes("rconvs.1", c(3L, 3L, 3L)), layer_shapes("fconv", c(strands, 3L + tracks, 5L)),
    layer_shapes("linear", c(1L, 3L + (tracks > 0L)))
  )
  dict <- state_dict_of(shapes)
  stats::setNames(dict, paste0(prefix, names(dict)))
}

# Profile and counts of all bases but `trimming` at each end; counts are of `beyond` bases more.
bpnet_by_hand <- function(x, dict, control = NULL, prefix = "", trimming = 40L, beyond = 37L) {
  h <- relu(convolved(x, dict, paste0(prefix, "iconv"), same = TRUE))
  h <- h + relu(convolved(h, dict, paste0(prefix, "rconvs.0"), 2L, same = TRUE))
  h <- h + relu(convolved(h, dict, paste0(prefix, "rconvs.1"), 4L, same = TRUE))
  window <- function(more) (trimming - more + 1L):(ncol(x) - trimming + more)
  pooled <- rowMeans(h[, window(beyond)])
  if (!is.null(control)) {
    pooled <- c(pooled, log(1 + sum(control[, window(beyond)])))
  }
  list(
    profile = convolved(rbind(h, control)[, window(2L)], dict, paste0(prefix, "fconv")),
    counts = as.vector(dense(pooled, dict, paste0(prefix, "linear")))
  )
}

# Enformer with one stage and one block ----------------------------------------------------

block_shapes <- function(name, inputs, outputs, width) {
  c(
    norm_shapes(paste0(name, ".0"), inputs),
    layer_shapes(paste0(name, ".2"), c(outputs, inputs, width))
  )
}

enformer_dict <- function() {
  attention <- list(
    rel_content_bias = c(1L, 2L, 1L, 3L), rel_pos_bias = c(1L, 2L, 1L, 3L),
    to_q.weight = c(6L, 12L), to_k.weight = c(6L, 12L), to_v.weight = c(8L, 12L),
    to_out.weight = c(12L, 8L), to_out.bias = 12L, to_rel_k.weight = c(6L, 12L)
  )
  names(attention) <- paste0("transformer.0.0.fn.1.", names(attention))
  state_dict_of(c(
    layer_shapes("stem.0", c(6L, 4L, 5L)), block_shapes("stem.1.fn", 6L, 6L, 1L),
    list(stem.2.to_attn_logits.weight = c(6L, 6L, 1L, 1L)),
    block_shapes("conv_tower.0.0", 6L, 12L, 3L), block_shapes("conv_tower.0.1.fn", 12L, 12L, 1L),
    list(conv_tower.0.2.to_attn_logits.weight = c(12L, 12L, 1L, 1L)),
    layer_shapes("transformer.0.0.fn.0", 12L), attention,
    layer_shapes("transformer.0.1.fn.0", 12L),
    layer_shapes("transformer.0.1.fn.1", c(24L, 12L)),
    layer_shapes("transformer.0.1.fn.4", c(12L, 24L)),
    block_shapes("final_pointwise.1", 12L, 24L, 1L),
    layer_shapes("_heads.human.0", c(3L, 24L)), layer_shapes("_heads.mouse.0", c(2L, 24L))
  ))
}

sigmoid <- function(x) 1 / (1 + exp(-x))

quick_gelu <- function(x) x * sigmoid(1.702 * x)

block_by_hand <- function(x, dict, name) {
  convolved(quick_gelu(batch_normed(x, dict, paste0(name, ".0"))), dict, paste0(name, ".2"),
    same = TRUE
  )
}

pooled_by_hand <- function(x, dict, name) {
  logits <- convolved(x, dict, paste0(name, ".to_attn_logits"))
  first <- seq(1L, ncol(x), 2L)
  share <- sigmoid(logits[, first] - logits[, first + 1L])
  share * x[, first] + (1 - share) * x[, first + 1L]
}

# [12] of one distance between n bins, as in the published weights.
position_features <- function(distance, n) {
  gamma <- vapply(1:2, function(f) {
    shape <- (f * n / 2 / (n / 4))^2
    density <- stats::dgamma(0:(n - 1), shape, f * n / 2 / (n / 4)^2) + 1e-8
    density[abs(distance) + 1L] / max(density)
  }, 0)
  features <- c(0.5^(abs(distance) / c(8, n)), abs(distance) < c(1, 3), gamma)
  c(features, sign(distance) * features)
}

layer_normed <- function(h, dict, name) {
  t(apply(h, 1L, function(row) {
    spread <- sqrt(mean((row - mean(row))^2) + 1e-5)
    (row - mean(row)) / spread * dict[[paste0(name, ".weight")]] + dict[[paste0(name, ".bias")]]
  }))
}

# h [bins, channels].
attention_by_hand <- function(h, dict, name) {
  at <- function(field) paste0(name, ".", field)
  n <- nrow(h)
  mixed <- lapply(1:2, function(head) {
    own <- 3L * (head - 1L) + 1:3
    q <- dense(h, dict, at("to_q"))[, own] / sqrt(3)
    k <- dense(h, dict, at("to_k"))[, own]
    logits <- matrix(0, n, n)
    for (i in seq_len(n)) {
      for (j in seq_len(n)) {
        r <- dense(position_features(j - i, n), dict, at("to_rel_k"))[own]
        logits[i, j] <- sum((q[i, ] + dict[[at("rel_content_bias")]][1L, head, 1L, ]) * k[j, ]) +
          sum((q[i, ] + dict[[at("rel_pos_bias")]][1L, head, 1L, ]) * r)
      }
    }
    shares <- exp(logits) / rowSums(exp(logits))
    shares %*% dense(h, dict, at("to_v"))[, 4L * (head - 1L) + 1:4]
  })
  dense(do.call(cbind, mixed), dict, at("to_out"))
}

# [bins, tracks] of one head.
enformer_by_hand <- function(x, dict, head) {
  h <- convolved(x, dict, "stem.0", same = TRUE)
  h <- pooled_by_hand(h + block_by_hand(h, dict, "stem.1.fn"), dict, "stem.2")
  h <- block_by_hand(h, dict, "conv_tower.0.0")
  h <- pooled_by_hand(h + block_by_hand(h, dict, "conv_tower.0.1.fn"), dict, "conv_tower.0.2")
  h <- t(h)
  h <- h + attention_by_hand(layer_normed(h, dict, "transformer.0.0.fn.0"), dict,
    "transformer.0.0.fn.1"
  )
  hidden <- relu(dense(layer_normed(h, dict, "transformer.0.1.fn.0"), dict, "transformer.0.1.fn.1"))
  h <- h + dense(hidden, dict, "transformer.0.1.fn.4")
  h <- quick_gelu(block_by_hand(t(h), dict, "final_pointwise.1"))
  log1p(exp(dense(t(h), dict, paste0("_heads.", head, ".0"))))
}
