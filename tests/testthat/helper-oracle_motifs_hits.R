# Handlers of the oracle's group hits (see helper-oracle_motifs_tomtom.R for what a handler is).

# The core's motifs from the peer's: weights (motifs, 4, width) of unit size, masks of the trimming.
oracle_laid_motifs <- function(cwms, masks, lambdas, sqrt_transform = FALSE) {
  laid <- aperm(cwms, c(2L, 3L, 1L)) * rep(t(masks), each = 4L)
  if (sqrt_transform) {
    laid <- sign(laid) * sqrt(abs(laid))
    laid <- laid / rep(sqrt(colSums(laid^2, dims = 2L)), each = prod(dim(laid)[1:2]))
  }
  bounds <- apply(masks == 1, 1L, function(inside) range(which(inside)))
  n <- dim(laid)[3L]
  list(
    weights = laid, widths = rep(dim(laid)[2L], n), firsts = bounds[1L, ], ends = bounds[2L, ],
    lambdas = rep_len(as.double(lambdas), n)
  )
}

oracle_hit_settings <- function(...) {
  utils::modifyList(list(
    hypothetical = FALSE, sqrt_transform = FALSE, post_filter = TRUE, float64 = FALSE,
    compatible = TRUE, tolerance = 0.0005, step_size = 3, step_size_min = 0.08, step_adjust = 0.7,
    max_steps = 10000L, threads = 2L
  ), list(...))
}

# Contributions (N, L) are projected already.
oracle_hit_scores <- function(contributions, X) {
  if (length(dim(contributions)) == 2L) {
    contributions <- aperm(array(contributions, c(dim(contributions), 4L)), c(1L, 3L, 2L))
  }
  array(as.double(contributions), dim(X))
}

oracle_codes <- function(X) {
  sequence_codes(as_sequences(array(as.double(X), dim(X))))
}

oracle_hits_motifs <- function(call, case) {
  checked_call(call, case, function(arguments) {
    raw <- arguments$raw_cwms
    motifs <- stats::setNames(lapply(seq_len(dim(raw)[1L]), function(i) raw[i, , ]),
      letters[seq_len(dim(raw)[1L])])
    prepared <- hit_motifs(motifs, "pp", 0.7, arguments$trim_threshold, FALSE,
      dim(raw)[3L], NULL)
    laid <- prepared$laid
    # The peer trims by a mask of its own; untrimmed weights are those of unit size.
    cwms <- array(0, c(2L * length(motifs), dim(raw)[2:3]))
    for (i in seq_along(motifs)) {
      cwm <- prepared$cwms[[i]]
      cwms[2L * i - 1L, , ] <- cwm
      cwms[2L * i, , ] <- cwm[4:1, ncol(cwm):1]
    }
    list(
      cwms = cwms, bounds = cbind(laid$firsts - 1, laid$ends),
      scales = rep(prepared$table$scale, each = 2L)
    )
  }, function(got, arguments) {
    unlist(lapply(names(call$expected), function(name) {
      expected <- case$expected[[call$expected[[name]]]]
      compare_motif_numbers(unname(got[[name]]), expected, name, call)
    }))
  })
}

oracle_called <- function(arguments, ...) {
  found <- core_call_hits(
    oracle_laid_motifs(arguments$cwms, arguments$masks, arguments$lambdas,
      isTRUE(arguments$sqrt_transform)),
    oracle_hit_scores(arguments$contributions, arguments$X), oracle_codes(arguments$X),
    oracle_hit_settings(
      hypothetical = endsWith(arguments$mode, "h"),
      sqrt_transform = isTRUE(arguments$sqrt_transform),
      post_filter = !isFALSE(arguments$post_filter),
      max_steps = as.integer(arguments$max_steps %||% 10000L),
      step_size = arguments$step_size_max %||% 3, ...
    )
  )
  found$key <- with(found$hits, paste(region - 1L, motif - 1L, start - 1L))
  found
}

# Hits of one side alone may only be tiny.
compare_hit_places <- function(found, expected, coefficients) {
  keys <- do.call(paste, as.data.frame(expected))
  alone <- c(found$hits$coefficient[!found$key %in% keys], coefficients[!keys %in% found$key])
  if (any(alone > 0.02)) paste(sum(alone > 0.02), "hits are on one side alone")
}

oracle_hits <- function(call, case) {
  checked_call(call, case, function(arguments) {
    list(single = oracle_called(arguments), double = oracle_called(arguments, float64 = TRUE))
  }, function(got, arguments) {
    expected <- lapply(call$expected, function(name) case$expected[[name]])
    columns <- function(name) unlist(call$columns[[name]])
    values <- expected$values
    at <- match(do.call(paste, as.data.frame(expected$hits)), got$single$key)
    one <- function(found, name, reference, as = name) {
      kept <- !is.na(at)
      compare_motif_numbers(found[at[kept]], reference[kept], as, call)
    }
    problems <- c(
      compare_hit_places(got$single, expected$hits, values[, 1L]),
      unlist(lapply(seq_along(columns("values")), function(k) {
        name <- columns("values")[k]
        one(got$single$hits[[name]], name, values[, k])
      })),
      unlist(lapply(2:6, function(k) {
        name <- columns("qc")[k]
        own <- got$single$regions[[if (name == "num_steps") "n_steps" else name]]
        # The peer's step sizes are products of float32.
        reference <- expected$qc[, k]
        if (name == "step_size") {
          own <- ifelse(abs(own - reference) < 1e-6, reference, own)
        }
        compare_motif_numbers(own, reference, name, call)
      }))
    )
    # float32 and float64 of the peer: the same rule in exact arithmetic, closer than the tolerance.
    if (!is.null(expected$f64_coefficients)) {
      in_double <- match(do.call(paste, as.data.frame(expected$hits)), got$double$key)
      off <- abs(got$double$hits$coefficient[in_double] - expected$f64_coefficients)
      if (!all(off < 1e-8)) {
        problems <- c(problems, paste("float64: coefficients differ by", max(off)))
      }
      if (!identical(got$double$regions$n_steps, as.integer(expected$f64_num_steps))) {
        problems <- c(problems, "float64: another number of steps")
      }
    }
    unfinished <- sum(got$single$regions$outcome != 1L)
    if ((unfinished > 0L) != (length(call$warnings) > 0L)) {
      problems <- c(problems, paste(unfinished, "regions have not converged"))
    }
    problems
  })
}

oracle_hit_steps <- function(call, case) {
  checked_call(call, case, function(arguments) {
    rows <- seq_len(arguments$regions)
    X <- arguments$X[rows, , , drop = FALSE]
    scores <- oracle_hit_scores(arguments$contributions[rows, , , drop = FALSE], X)
    core_hit_steps(
      oracle_laid_motifs(arguments$cwms, arguments$masks, arguments$lambda), scores,
      oracle_codes(X), as.integer(arguments$steps), oracle_hit_settings(
        step_size = arguments$step_size
      )
    )
  }, function(got, arguments) {
    n <- dim(arguments$cwms)[1L]
    by_region <- function(name) do.call(rbind, lapply(got, function(one) one[[name]]))
    scales <- lapply(got, function(one) matrix(one$scales, n))
    scales <- aperm(simplify2array(scales), c(3L, 1L, 2L))
    expected <- function(name) case$expected[[call$expected[[name]]]]
    compare <- function(own, name) compare_motif_numbers(own, expected(name), name, call)
    steps <- lapply(seq_along(arguments$steps), function(k) {
      rows <- do.call(rbind, lapply(seq_along(got), function(i) {
        x <- matrix(got[[i]]$coefficients[[k]], n)
        above <- which(x > 0, arr.ind = TRUE)
        above <- above[order(above[, 1L], above[, 2L]), , drop = FALSE]
        cbind(rep(i - 1, nrow(above)), above - 1, x[above])
      }))
      suffix <- arguments$steps[k]
      c(
        compare(unname(rows[, 1:3]), paste0("hits.", suffix)),
        compare(unname(rows[, 4L]), paste0("coefficients.", suffix))
      )
    })
    c(
      compare(by_region("gap"), "gap"), compare(by_region("nll"), "nll"),
      compare(scales, "importance_scale"), unlist(steps)
    )
  })
}

oracle_collapse_hits <- function(call, case) {
  checked_call(call, case, function(arguments) {
    hits <- arguments$hits
    as.numeric(primary_hits(list(hits[, 1L], hits[, 2L] + 1, hits[, 3L]),
      arguments$similarity, arguments$overlap_frac))
  }, function(got, arguments) {
    compare_motif_numbers(got, as.numeric(case$expected[[call$expected]]), call$name, call)
  })
}

oracle_motifs_hits <- list(
  hits_motifs = oracle_hits_motifs,
  hits = oracle_hits,
  hits_steps = oracle_hit_steps,
  collapse_hits = oracle_collapse_hits
)
