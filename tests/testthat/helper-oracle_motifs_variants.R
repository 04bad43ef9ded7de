# Handlers of the oracle's group variant_scores. A handler is a function of a call and its case (as
# read_oracle_case() gives it) that returns what is wrong, character(0) if nothing is.

resolve_variant_argument <- function(value, case) {
  if (is.list(value) && !is.null(value$input)) {
    return(case$inputs[[value$input]])
  }
  if (is.list(value) && !is.null(value$expected)) {
    return(case$expected[[value$expected]])
  }
  if (is.list(value)) unlist(value) else value
}

# "the expected values of \"scores\"": the arrays that another call of the case expects, by name.
expected_of_call <- function(text, case) {
  name <- sub(".*\"([^\"]+)\".*", "\\1", text)
  other <- Find(function(one) identical(one$name, name), case$calls)
  lapply(other$expected, function(key) case$expected[[key]])
}

oracle_variant_scores <- function(call, case) {
  given <- lapply(call$arguments, resolve_variant_argument, case)
  profile <- function(values) array(values, c(nrow(values), 1L, ncol(values)))
  n <- length(given$counts_1)
  sizes <- if (is.null(given$alleles)) matrix(1L, n, 2L) else given$alleles
  distances <- seqlift:::profile_distances(
    profile(given$profiles_1), profile(given$profiles_2), sizes
  )
  seqlift:::scores_of_model(
    as.vector(given$counts_1), as.vector(given$counts_2), distances$jsd, distances$original_jsd,
    if (!is.null(given$peak_counts)) as.vector(given$peak_counts)
  )
}

# The peer's two-sided p-values are not kept to 1.
oracle_variant_p_values <- function(call, case) {
  given <- call$arguments
  if (is.character(given$scores) && is.character(given$null)) {
    scores <- expected_of_call(given$scores, case)
    null <- expected_of_call(given$null, case)
    tail_of <- function(name) if (name %in% unlist(call$two_sided)) "both" else "right"
    names <- names(call$expected)
    return(Map(function(name) {
      seqlift:::empirical_p_values(scores[[name]], null[[name]], tail_of(name), cap = FALSE)
    }, stats::setNames(names, names)))
  }
  list(seqlift:::empirical_p_values(
    as.vector(resolve_variant_argument(given$scores, case)),
    as.vector(resolve_variant_argument(given$null, case)), given$tail,
    cap = FALSE
  ))
}

oracle_variant_summary <- function(call, case) {
  given <- lapply(call$arguments, resolve_variant_argument, case)
  list(if (is.null(given$p_values)) {
    seqlift:::mean_over_models(t(given$scores))
  } else {
    seqlift:::geometric_mean_over_models(t(given$p_values))
  })
}

# `expected`: a key for one array, or keys by the names of the results.
variant_problems <- function(results, call, case) {
  keys <- as.list(call$expected)
  if (is.null(names(keys))) {
    names(keys) <- names(results) <- "the result"
  }
  problems <- lapply(names(keys), function(name) {
    expected <- case$expected[[keys[[name]]]]
    got <- results[[name]]
    if (is.null(expected) || length(got) != length(expected)) {
      return(paste0(name, ": ", length(got), " numbers for ", length(expected)))
    }
    allowed <- call$atol + call$rtol * abs(expected)
    outside <- is.na(got) | abs(got - expected) > allowed
    if (any(outside)) {
      paste0(name, ": ", sum(outside), " of ", length(got), " differ, the first ",
        format(got[outside][1L], digits = 12), " instead of ",
        format(expected[outside][1L], digits = 12)
      )
    }
  })
  as.character(unlist(problems))
}

compared_variants <- function(run) {
  function(call, case) variant_problems(run(call, case), call, case)
}

oracle_motifs_variants <- list(
  variant_scores = compared_variants(oracle_variant_scores),
  variant_p_values = compared_variants(oracle_variant_p_values),
  variant_summary = compared_variants(oracle_variant_summary)
)
