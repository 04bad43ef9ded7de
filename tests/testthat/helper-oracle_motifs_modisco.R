# Handlers of the oracle's group modisco: functions of a call and its case that return what is
# wrong, character(0) if nothing is. The steps of the discovery are the core's own, called one by
# one.

modisco_core <- function(name) getFromNamespace(paste0("core_", name), "seqlift")

modisco_arguments <- function(call, case) {
  lapply(call$arguments, function(value) {
    if (is.list(value) && !is.null(value$input)) return(case$inputs[[value$input]])
    if (is.list(value) && !is.null(value$expected)) return(case$expected[[value$expected]])
    value
  })
}

modisco_codes <- function(X) {
  codes <- apply(X, c(3L, 1L), function(column) {
    if (sum(column) == 0) 4L else which.max(column) - 1L
  })
  matrix(as.raw(codes), dim(X)[3L])
}

modisco_regions <- function(arguments) {
  shape <- dim(arguments$X)
  regions <- modisco_core("scored_regions")(shape[1L], shape[3L])
  modisco_core("add_regions")(regions, seq_len(shape[1L]) - 1L, modisco_codes(arguments$X),
    as.numeric(arguments$hypothetical))
  regions
}

# All seqlets with their signs. The tracks come in two pieces and go to a file.
modisco_calls <- function(arguments, window, ...) {
  tracks <- colSums(aperm(arguments$X * arguments$hypothetical, c(2L, 3L, 1L)))
  sums <- modisco_core("window_sums")(nrow(tracks), window, 1000, tempdir())
  for (piece in split(seq_len(ncol(tracks)), seq_len(ncol(tracks)) > 7L)) {
    modisco_core("add_tracks")(sums, tracks[, piece, drop = FALSE])
  }
  modisco_core("tfmodisco_calls")(sums, window, ..., most = Inf, all = TRUE)
}

modisco_matrix <- function(x) {
  matrix(as.integer(x), nrow(x), dimnames = NULL)
}

# Expected arrays of a call by the names of its results.
modisco_expected <- function(call, case) {
  lapply(if (is.list(call$expected)) call$expected else list(result = call$expected),
    function(key) case$expected[[key]])
}

modisco_differ <- function(got, expected, name, atol = 1e-9, rtol = 0) {
  if (length(got) != length(expected)) {
    return(paste0(name, ": ", length(got), " numbers instead of ", length(expected)))
  }
  got <- as.numeric(got)
  expected <- as.numeric(expected)
  wrong <- which(is.na(got) | abs(got - expected) > atol + rtol * abs(expected))
  if (length(wrong) == 0L) {
    return(character())
  }
  paste0(name, ": ", length(wrong), " of ", length(got), " differ, first ", got[wrong[1L]],
    " instead of ", expected[wrong[1L]])
}

modisco_table <- function(patterns) {
  do.call(rbind, lapply(seq_along(patterns), function(i) {
    cbind(i - 1L, patterns[[i]]$seqlets)
  }))
}

modisco_tables <- function(table) {
  lapply(unname(split(seq_len(nrow(table)), table[, 1L])), function(rows) {
    modisco_matrix(table[rows, -1L, drop = FALSE])
  })
}

compare_patterns_with <- function(patterns, call, case) {
  expected <- modisco_expected(call, case)
  means <- c(sequence = "ppm", contrib = "contributions", hypothetical = "hypothetical")
  problems <- modisco_differ(modisco_table(patterns), expected[[1L]], "seqlets", 0)
  for (name in intersect(names(means), names(expected))) {
    got <- lapply(patterns, function(one) t(one[[means[[name]]]]))
    got <- aperm(array(unlist(got), c(dim(got[[1L]]), length(got))), c(3L, 1L, 2L))
    problems <- c(problems, modisco_differ(got, expected[[name]], name, 1e-9))
  }
  problems
}

# Some cases hold these rows of a matrix alone, counted from 0.
modisco_rows <- function(arguments, n) {
  if (is.null(arguments$rows)) seq_len(n) else arguments$rows + 1
}

modisco_neighbors <- function(arguments) {
  modisco_core("kmer_neighbors")(modisco_regions(arguments), modisco_matrix(arguments$seqlets),
    arguments$sign %||% 1L, 501L, 1L)
}

# The steps up to what a call starts with, where the case does not hold it.
modisco_similarities <- function(arguments, call, sign) {
  regions <- modisco_regions(arguments)
  seqlets <- modisco_matrix(arguments$seqlets)
  found <- modisco_core("kmer_neighbors")(regions, seqlets, sign, 501L, 1L)
  c(found, modisco_core("neighbor_similarities")(regions, seqlets, found$index, found$cosine, 0.7,
    1L))
}

# Stored, or to be made of the seqlets that a sentence names.
modisco_graph <- function(call, case) {
  graph <- call$arguments$graph
  if (is.list(graph)) {
    prefix <- sub("\\.data$", "", graph$expected)
    parts <- lapply(c(begin = "indptr", index = "indices", value = "data"), function(part) {
      as.numeric(case$expected[[paste0(prefix, ".", part)]])
    })
    parts$index <- as.integer(parts$index)
    return(parts)
  }
  seqlets <- case$expected[[sub("^affinity of the seqlets ", "", graph)]]
  regions <- modisco_regions(case$inputs)
  modisco_core("subcluster_affinities")(regions, modisco_matrix(seqlets), 50, 1L)
}

# Contributions (4, width): the largest cosine over offsets and strands, zero outside.
modisco_cosine_of <- function(a, b) {
  best <- -1
  for (turn in 1:2) {
    if (turn == 2L) b <- b[4:1, rev(seq_len(ncol(b)))]
    for (offset in seq(1L - ncol(b), ncol(a) - 1L)) {
      at <- intersect(seq_len(ncol(a)), offset + seq_len(ncol(b)))
      product <- sum(a[, at] * b[, at - offset])
      best <- max(best, product / sqrt(sum(a^2) * sum(b^2)))
    }
  }
  best
}

# Each pattern that every run of the peer finds has its partner here.
compare_discovery <- function(motifs, call, case) {
  criterion <- call$criterion
  unlist(lapply(c(pos = "positive", neg = "negative"), function(sign) {
    key <- substr(sign, 1L, 3L)
    needed <- unlist(criterion$patterns_every_run_of_the_peer_finds[[key]])
    contributions <- case$expected[[call$expected[[paste0(key, ".contrib")]]]]
    table <- case$expected[[call$expected[[paste0(key, ".seqlets")]]]]
    own <- Filter(function(one) one$sign == sign, unclass(motifs))
    exact <- isTRUE(criterion$exact)
    limit <- if (exact) 0.998 else criterion$cosine_at_least
    ratios <- if (exact) c(0.97, 1.03) else unlist(criterion$seqlets_ratio_within)
    unlist(lapply(needed, function(k) {
      peer <- contributions[k + 1, , ]
      cosines <- vapply(own, function(one) modisco_cosine_of(peer, t(one$contributions)), 1)
      best <- which.max(cosines)
      ratio <- nrow(own[[best]]$seqlets) / sum(table[, 1L] == k)
      c(
        if (max(cosines) < limit) paste(key, k, "cosine", max(cosines)),
        if (ratio < ratios[1L] || ratio > ratios[2L]) paste(key, k, "ratio of seqlets", ratio)
      )
    }))
  }))
}

modisco_sign <- function(call) if (startsWith(call$name, "neg")) -1L else 1L

oracle_motifs_modisco <- list(
  modisco = function(call, case) {
    arguments <- modisco_arguments(call, case)
    one_hot <- arguments$X
    run <- function() {
      settings <- intersect(names(arguments), c("sliding_window_size", "flank_size",
        "target_seqlet_fdr", "n_leiden_runs"))
      do.call(discover_motifs, c(list(arguments$hypothetical, one_hot, random_state = 0),
        arguments[settings]))
    }
    if (!is.null(call$error)) {
      return(tryCatch({
        run()
        "no error"
      }, seqlift_error = function(error) character()))
    }
    if (!is.null(call$criterion)) {
      return(compare_discovery(run(), call, case))
    }
    if (any(c("min_passing_windows_frac", "max_passing_windows_frac") %in% names(arguments))) {
      tracks <- colSums(aperm(one_hot * arguments$hypothetical, c(2L, 3L, 1L)))
      found <- tfmodisco_seqlets(t(tracks),
        min_passing_frac = arguments$min_passing_windows_frac %||% 0.03,
        max_passing_frac = arguments$max_passing_windows_frac %||% 0.2)
      got <- cbind(found$example - 1, found$start - 1, found$end)
      return(modisco_differ(got, modisco_expected(call, case)$seqlets, "seqlets", 0))
    }
    motifs <- run()
    n <- sum(attr(motifs, "settings")$n_called)
    c(
      if (length(motifs) > 0L) "there are motifs",
      modisco_differ(n, nrow(modisco_expected(call, case)$seqlets), "number of seqlets", 0)
    )
  },
  modisco_seqlets = function(call, case) {
    arguments <- modisco_arguments(call, case)
    found <- modisco_calls(arguments, arguments$window, arguments$flank, arguments$target_fdr,
      arguments$min_passing_windows_frac, arguments$max_passing_windows_frac,
      arguments$weak_threshold_for_counting_sign)
    expected <- modisco_expected(call, case)
    got <- cbind(found$example - 1, found$start - 1, found$end)
    c(
      modisco_differ(got, expected$seqlets, "seqlets", 0),
      modisco_differ(found$thresholds[1:3], expected$thresholds[1:3], "thresholds", 1e-9, 1e-9)
    )
  },
  modisco_metaclusters = function(call, case) {
    arguments <- modisco_arguments(call, case)
    found <- modisco_calls(arguments, 21L, 10L, 0.2, 0.03, 0.2, 0.8)
    place <- function(table) paste(table[, 1L], table[, 2L], table[, 3L])
    at <- match(
      place(arguments$seqlets), place(cbind(found$example - 1, found$start - 1, found$end))
    )
    c(
      modisco_differ(found$thresholds[1L], arguments$threshold[1L], "threshold", 1e-9, 1e-9),
      modisco_differ(found$sign[at], modisco_expected(call, case)[[1L]], "signs", 0)
    )
  },
  modisco_sort = function(call, case) {
    arguments <- modisco_arguments(call, case)
    own <- arguments$seqlets[arguments$signs == arguments$sign, , drop = FALSE]
    got <- modisco_core("sorted_seqlets")(modisco_regions(arguments), modisco_matrix(own))
    modisco_differ(got, modisco_expected(call, case)[[1L]], "seqlets", 0)
  },
  modisco_gapped_kmers = function(call, case) {
    arguments <- modisco_arguments(call, case)
    expected <- modisco_expected(call, case)
    regions <- modisco_regions(arguments)
    own <- modisco_matrix(arguments$seqlets)[arguments$of + 1, , drop = FALSE]
    unlist(lapply(c("forward", "reverse"), function(side) {
      if (side == "reverse") own[, 4L] <- 1L - own[, 4L]
      rows <- modisco_core("seqlet_kmers")(regions, own, arguments$sign, arguments$topn,
        arguments$min_k, arguments$max_k, arguments$max_len, arguments$max_entries)
      name <- function(what) paste0(side, ".", what)
      c(
        modisco_differ(unlist(lapply(rows, `[[`, "key")), expected[[name("indices")]],
          name("indices"), 0),
        modisco_differ(unlist(lapply(rows, `[[`, "score")), expected[[name("data")]], name("data"))
      )
    }))
  },
  modisco_cosine = function(call, case) {
    arguments <- modisco_arguments(call, case)
    expected <- modisco_expected(call, case)
    got <- modisco_neighbors(arguments)
    rows <- modisco_rows(arguments, ncol(got$index))
    cosine <- t(got$cosine[, rows, drop = FALSE])
    # Equal values may come in another order.
    other <- t(got$index[, rows, drop = FALSE]) != expected$neighbors
    swapped <- other & abs(cosine - expected$values) > 1e-6
    c(
      modisco_differ(cosine, expected$values, "values", 1e-7),
      if (any(swapped)) paste("neighbors:", sum(swapped), "differ")
    )
  },
  modisco_jaccard = function(call, case) {
    arguments <- modisco_arguments(call, case)
    expected <- modisco_expected(call, case)[[1L]]
    regions <- modisco_regions(arguments)
    seqlets <- modisco_matrix(arguments$seqlets)
    n <- nrow(seqlets)
    rows <- modisco_rows(arguments, n)
    index <- matrix(0L, ncol(arguments$neighbors), n)
    index[, rows] <- as.integer(t(arguments$neighbors))
    got <- modisco_core("neighbor_similarities")(regions, seqlets, index, index + 0, 0.7, 1L)
    modisco_differ(t(got$similarity[, rows, drop = FALSE]), expected, "similarities", 2e-6)
  },
  modisco_filter = function(call, case) {
    arguments <- modisco_arguments(call, case)
    expected <- modisco_expected(call, case)
    got <- modisco_similarities(arguments, call, modisco_sign(call))$agreement
    got[is.na(got)] <- -2
    near <- abs(expected$correlation - arguments$threshold) < 1e-4
    c(
      modisco_differ(got, expected$correlation, "correlation", 1e-4),
      if (any((got > arguments$threshold) != (expected$kept == 1) & !near)) "kept: others"
    )
  },
  modisco_density = function(call, case) {
    arguments <- modisco_arguments(call, case)
    expected <- modisco_expected(call, case)
    found <- modisco_similarities(arguments, call, modisco_sign(call))
    kept <- if (is.null(arguments$kept)) rep(TRUE, ncol(found$index)) else arguments$kept == 1
    got <- modisco_core("adapted_affinities")(found$index, found$similarity, kept,
      arguments$perplexity)
    c(
      modisco_differ(got$begin, expected$indptr, "indptr", 0),
      modisco_differ(got$betas, expected$betas, "betas", 1e-6, 1e-4),
      if (identical(as.numeric(got$index), as.numeric(expected$indices))) {
        modisco_differ(got$value, expected$data, "data", 1e-6, 1e-4)
      } else {
        "indices: others"
      }
    )
  },
  modisco_leiden = function(call, case) {
    graph <- modisco_graph(call, case)
    got <- modisco_core("leiden")(graph, 50L, 0, 1L)
    expected <- modisco_expected(call, case)
    own <- modisco_core("modularity")(graph, as.integer(expected$membership))
    goal <- call$criterion$best_of_50_at_least %||% (max(expected$quality) - 1e-9)
    c(
      if (got$modularity < goal) paste("modularity", got$modularity, "below", goal),
      if (abs(own - max(expected$quality)) > 1e-9) "modularity is not that of the definition"
    )
  },
  modisco_patterns = function(call, case) {
    arguments <- modisco_arguments(call, case)
    patterns <- modisco_core("cluster_patterns")(modisco_regions(arguments),
      modisco_matrix(arguments$seqlets), as.integer(arguments$membership), arguments$sign,
      arguments$background)
    compare_patterns_with(patterns, call, case)
  },
  modisco_subcluster_affinity = function(call, case) {
    arguments <- modisco_arguments(call, case)
    expected <- modisco_expected(call, case)
    got <- modisco_core("subcluster_affinities")(modisco_regions(arguments),
      modisco_matrix(arguments$seqlets), arguments$perplexity, 1L)
    c(
      modisco_differ(t(got$similarity), expected$values, "values", 1e-6),
      if (identical(as.numeric(got$begin), as.numeric(expected$indptr)) &&
        identical(as.numeric(got$index), as.numeric(expected$indices))) {
        modisco_differ(got$value, expected$data, "data", 1e-6, 1e-4)
      } else {
        "indices: others"
      }
    )
  },
  modisco_similarity = function(call, case) {
    arguments <- modisco_arguments(call, case)
    expected <- modisco_expected(call, case)[[1L]]
    got <- modisco_core("pattern_pairs")(modisco_regions(arguments),
      modisco_tables(arguments$patterns), 1L)
    at <- match(paste(expected[, 1L], expected[, 2L]), paste(got[, 1L], got[, 2L]))
    modisco_differ(got[at, ], expected, "pairs", 1e-6)
  },
  modisco_collapse = function(call, case) {
    arguments <- modisco_arguments(call, case)
    patterns <- modisco_core("collapse_patterns")(modisco_regions(arguments),
      modisco_tables(arguments$patterns), arguments$background, 1L)
    compare_patterns_with(patterns, call, case)
  },
  modisco_final_filter = function(call, case) {
    arguments <- modisco_arguments(call, case)
    tables <- modisco_tables(arguments$patterns)
    kept <- modisco_core("are_motifs")(modisco_regions(arguments), tables, arguments$background,
      arguments$min_seqlets, arguments$window, arguments$min_ic, arguments$pseudocount)
    got <- modisco_table(lapply(tables[kept], function(table) list(seqlets = table)))
    modisco_differ(got %||% matrix(0, 0L, 5L), modisco_expected(call, case)[[1L]], "seqlets", 0)
  }
)
