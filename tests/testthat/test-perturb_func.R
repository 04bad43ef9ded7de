# Two states are compared with the same references and the same random numbers.

same_references <- function(result) {
  refs <- function(x) unname(references(x))
  expect_identical(refs(result$before), refs(result$after))
}

test_that("references are the same before and after, with and without a seed", {
  model <- test_model("tiny")
  X <- test_sequences()
  table <- data.frame(example = 2:1, position = 4, ref = c("T", "TT"), alt = c("C", ""))
  single <- data.frame(example = 1, position = 4, ref = "T", alt = "C")
  for (seed in list(NULL, 3)) {
    explain <- function(verb, ...) {
      verb(model, X, ...,
        func = deep_lift_shap, n_shuffles = 3, return_references = TRUE, random_state = seed
      )
    }
    same_references(explain(marginalize, motif = "GAT"))
    same_references(explain(substitution_effect, single))
    same_references(explain(insertion_effect, single))
    same_references(explain(deletion_effect, single[-4L], length = 12L))
    same_references(explain(variant_effect, table))
  }
  # A seed gives the references of deep_lift_shap() for the sequences as they were.
  given <- explain(marginalize, motif = "GAT")$before
  expected <- deep_lift_shap(model, X, n_shuffles = 3, return_references = TRUE, random_state = 3)
  expect_identical(references(given), references(expected))
  expect_equal(as.array(given), as.array(expected))
})

test_that("what a motif does not touch does not differ by the draw of references", {
  # The output is a sum over positions: attributions of a position depend on nothing else.
  model <- test_model("tiny")
  X <- test_sequences()
  unchanged <- substitution_effect(model, X,
    data.frame(example = 1, position = 1, alt = "A"),
    func = deep_lift_shap, n_shuffles = 3
  )
  expect_identical(as.array(unchanged$before), as.array(unchanged$after))
  for (method in c("expected_gradients", "smoothgrad", "deep_lift_rescale")) {
    unchanged <- substitution_effect(model, X,
      data.frame(example = 1, position = 1, alt = "A"),
      func = attribute, method = method,
      additional_func_kwargs = if (method != "smoothgrad") list(n_shuffles = 3) else list()
    )
    expect_identical(as.array(unchanged$before), as.array(unchanged$after))
  }
})

test_that("shuffles are compared with the references of the sequences as they were", {
  model <- test_model("tiny")
  X <- test_sequences()
  refs <- dinucleotide_shuffle(X, n = 3, random_state = 0)
  explain <- function(...) {
    ablate(model, X, 3, 9, n = 2, shuffle = shuffle_region, func = deep_lift_shap, ...)
  }
  given <- explain(references = refs, random_state = 1)
  by_hand <- deep_lift_shap(model, shuffle_region(X, 3, 9, n = 2, random_state = 1)[, 2, , ],
    references = refs
  )
  expect_equal(unname(given$after[, 2, , ]), unname(as.array(by_hand)))
  set.seed(4)
  first <- explain()
  set.seed(4)
  again <- explain()
  expect_identical(as.array(again$before), as.array(first$before))
  expect_identical(unclass(again$after), unclass(first$after))
})

test_that("a function with an argument random_state gets one seed for both states", {
  seeds <- NULL
  draw <- function(model, X, random_state = NULL) {
    seeds <<- c(seeds, random_state)
    rowSums(X)
  }
  marginalize(NULL, test_sequences(), motifs = c("GAT", "ACA"), func = draw)
  expect_length(seeds, 3L)
  expect_identical(unique(seeds), seeds[1L])
  seeds <- NULL
  marginalize(NULL, test_sequences(), "GAT", func = draw, random_state = 7)
  expect_identical(as.numeric(seeds), c(7, 7))
})
