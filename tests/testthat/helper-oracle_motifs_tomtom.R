# Handlers of the oracle's groups tomtom and annotate. A handler is a function of a call and its
# case (as read_oracle_case() gives it) that returns what is wrong, character(0) if nothing is.

# ---- shared -------------------------------------------------------------------------------------

motif_call_arguments <- function(call, case) {
  lapply(call$arguments, function(value) {
    if (is.list(value) && !is.null(value$input)) return(case$inputs[[value$input]])
    if (is.list(value) && !is.null(value$expected)) return(case$expected[[value$expected]])
    if (is.list(value) && length(value) > 0L) unlist(value) else value
  })
}

# Motifs laid side by side (rows, sum of widths) as a list of matrices.
motifs_side_by_side <- function(values, widths) {
  ends <- cumsum(widths)
  lapply(seq_along(widths), function(i) {
    unname(values[, seq(ends[i] - widths[i] + 1, ends[i]), drop = FALSE])
  })
}

tolerance_of <- function(call, result, kind) {
  value <- call[[kind]]
  if (is.list(value)) value <- value[[result]]
  if (is.numeric(value)) value else 0
}

# Entries of -1 in results that say so are undefined.
compare_motif_numbers <- function(got, expected, name, call) {
  shapes <- lapply(list(got, expected), function(x) as.numeric(dim(x) %||% length(x)))
  if (!identical(shapes[[1L]], shapes[[2L]])) {
    return(paste0(name, ": shape ", toString(shapes[[1L]]), " instead of ", toString(shapes[[2L]])))
  }
  limit <- tolerance_of(call, name, "atol") + tolerance_of(call, name, "rtol") * abs(expected)
  wrong <- is.na(got) != is.na(expected) | abs(got - expected) > limit
  if (!is.null(call$undefined)) wrong <- wrong & expected != -1
  # The peer's are 1 minus a sum, whose rounding reaches 2e-12 for wide motifs; ours are sums of
  # tails.
  if (name == "p_values") wrong <- wrong & !(expected < 2e-12 & got >= 0 & got < expected)
  wrong <- which(wrong | is.na(wrong))
  if (length(wrong) == 0L) {
    return(character())
  }
  paste0(name, ": ", length(wrong), " of ", length(got), " differ, first ", got[wrong[1L]],
    " instead of ", expected[wrong[1L]])
}

expected_error <- function(run) {
  error <- tryCatch({
    run()
    "no error"
  }, seqlift_error = function(error) character(), error = function(error) {
    paste("an error without a class of ours:", conditionMessage(error))
  })
  error
}

checked_call <- function(call, case, run, compare) {
  arguments <- motif_call_arguments(call, case)
  if (!is.null(call$error)) {
    return(expected_error(function() run(arguments)))
  }
  tryCatch(compare(run(arguments), arguments), error = function(error) {
    paste("error:", conditionMessage(error))
  })
}

renamed_from <- function(arguments, from, to = from) {
  given <- intersect(from, names(arguments))
  stats::setNames(arguments[given], to[match(given, from)])
}

# ---- tomtom -------------------------------------------------------------------------------------

# The peer takes both strands of any alphabet, where we ask.
tomtom_settings <- function(arguments) {
  settings <- c("reverse_complement", "n_target_bins", "n_score_bins", "n_median_bins")
  given <- renamed_from(arguments, settings)
  if (is.null(given$reverse_complement)) c(given, list(reverse_complement = TRUE)) else given
}

tomtom_matrices <- function(table, n_query, n_targets) {
  columns <- c(p_values = "p_value", scores = "score", offsets = "offset", overlaps = "overlap")
  at <- cbind(as.integer(table$query), as.integer(table$target))
  fill <- function(values) {
    all <- matrix(NA_real_, n_query, n_targets)
    all[at] <- values
    all
  }
  c(lapply(columns, function(column) fill(table[[column]])),
    list(strands = fill(as.numeric(table$strand == "-"))))
}

run_tomtom_motifs <- function(arguments) {
  query <- motifs_side_by_side(arguments$queries, arguments$query_lengths)
  targets <- motifs_side_by_side(arguments$targets, arguments$target_lengths)
  table <- do.call(tomtom, c(
    list(query, targets, normalize = FALSE), tomtom_settings(arguments)
  ))
  tomtom_matrices(table, length(query), length(targets))
}

# With n_nearest the peer's targets are looked up among all of ours: equal p-values, to the
# tolerance, come in any order.
compare_nearest <- function(all, expected, n_nearest, call) {
  picked <- expected$indices + 1
  at <- cbind(c(row(picked)), c(picked))
  names <- setdiff(names(expected), "indices")
  wrong <- unlist(lapply(names, function(name) {
    compare_motif_numbers(array(all[[name]][at], dim(picked)), expected[[name]], name, call)
  }))
  nearest <- t(apply(all$p_values, 1L, function(p) sort(p)[seq_len(n_nearest)]))
  c(wrong, compare_motif_numbers(array(nearest, dim(picked)), expected$p_values, "p_values", call))
}

oracle_tomtom <- function(call, case) {
  checked_call(call, case, run_tomtom_motifs, function(all, arguments) {
    expected <- lapply(call$expected, function(name) case$expected[[name]])
    if (is.null(arguments$n_nearest)) {
      return(unlist(lapply(names(expected), function(name) {
        compare_motif_numbers(all[[name]], expected[[name]], name, call)
      })))
    }
    table <- do.call(tomtom, c(
      list(motifs_side_by_side(arguments$queries, arguments$query_lengths),
        motifs_side_by_side(arguments$targets, arguments$target_lengths),
        n_nearest = arguments$n_nearest, normalize = FALSE),
      tomtom_settings(arguments)
    ))
    kept <- matrix(table$p_value, ncol = arguments$n_nearest, byrow = TRUE)
    c(
      compare_nearest(all, expected, arguments$n_nearest, call),
      compare_motif_numbers(kept, expected$p_values, "p_values", call)
    )
  })
}

# ---- annotations --------------------------------------------------------------------------------

oracle_annotate_seqlets <- function(call, case) {
  run <- function(arguments, n_nearest) {
    seqlets <- data.frame(
      example = arguments$seqlets[, 1L] + 1, start = arguments$seqlets[, 2L] + 1,
      end = arguments$seqlets[, 3L]
    )
    do.call(annotate_seqlets, c(
      list(arguments$X, seqlets, motifs_side_by_side(arguments$motifs, arguments$motif_lengths),
        n_nearest = n_nearest, normalize = FALSE),
      tomtom_settings(arguments)
    ))
  }
  checked_call(call, case, function(arguments) run(arguments, arguments$n_nearest %||% 1L),
    function(got, arguments) {
      expected <- lapply(call$expected, function(name) case$expected[[name]])
      all <- run(arguments, length(arguments$motif_lengths))
      p <- tomtom_matrices(
        data.frame(query = all$seqlet, target = as.integer(all$annotation),
          all[c("p_value", "score", "offset", "overlap", "strand")]),
        nrow(arguments$seqlets), length(arguments$motif_lengths)
      )
      n_nearest <- ncol(expected$indices)
      kept <- matrix(got$p_value, ncol = n_nearest, byrow = TRUE)
      c(
        compare_nearest(p["p_values"], expected, n_nearest, call),
        compare_motif_numbers(kept, expected$p_values, "p_values", call)
      )
    }
  )
}

annotations_from_one <- function(rows) {
  rows <- if (length(rows) == 0L) matrix(0, 0L, 2L) else unname(rows)
  change <- c(1, 1, 1, 0)[seq_len(ncol(rows))]
  rows + rep(change, each = nrow(rows))
}

# `to`: the name here; `more`: arguments besides the table, from those of the call.
counting_call <- function(to, more) {
  function(call, case) {
    checked_call(call, case,
      function(arguments) {
        do.call(to, c(list(annotations_from_one(arguments$annotations)), more(arguments)))
      },
      function(got, arguments) {
        expected <- case$expected[[call$expected]]
        compare_motif_numbers(unname(got), expected, call$name, call)
      }
    )
  }
}

oracle_kmers <- function(call, case) {
  run <- function(arguments) {
    # "the first three positions of X"
    X <- if (is.character(arguments$X)) case$inputs$X[, , 1:3] else arguments$X
    kmers(X, arguments$k, arguments$scores)
  }
  checked_call(call, case, run, function(got, arguments) {
    compare_motif_numbers(unname(got), case$expected[[call$expected]], call$name, call)
  })
}

# A word's key in the peer's sparse matrix: digits in base 5, the first letter the lowest.
gkmer_keys <- function(words) {
  vapply(strsplit(words, ""), function(letters) {
    sum((match(letters, c(".", "A", "C", "G", "T")) - 1) * 5^(seq_along(letters) - 1))
  }, 0)
}

oracle_gapped_kmers <- function(call, case) {
  checked_call(call, case, function(arguments) do.call(gapped_kmers, arguments),
    function(got, arguments) {
      table <- cbind(got$example - 1, gkmer_keys(got$gkmer), got$score)
      table <- table[table[, 3L] != 0, ]
      table <- table[order(table[, 1L], table[, 2L]), ]
      compare_motif_numbers(table, case$expected[[call$expected]], call$name, call)
    }
  )
}

oracle_columns <- function(to) {
  function(call, case) {
    checked_call(call, case, function(arguments) do.call(to, arguments), function(got, arguments) {
      compare_motif_numbers(got, case$expected[[call$expected]], call$name, call)
    })
  }
}

oracle_motifs_tomtom <- list(
  tomtom = oracle_tomtom,
  annotate_seqlets = oracle_annotate_seqlets,
  count_annotations = counting_call("count_annotations", function(arguments) {
    list(dim = if (!is.null(arguments$dim)) arguments$dim + 1, shape = arguments$shape)
  }),
  pairwise_annotations = counting_call("pairwise_annotations", function(arguments) {
    arguments[intersect(names(arguments), c("unique", "symmetric", "shape"))]
  }),
  pairwise_annotations_spacing = counting_call("pairwise_annotation_spacing", function(arguments) {
    arguments[intersect(names(arguments), c("max_distance", "symmetric", "shape"))]
  }),
  kmers = oracle_kmers,
  gapped_kmers = oracle_gapped_kmers,
  entropy = oracle_columns("entropy"),
  information_content = oracle_columns("information_content")
)
