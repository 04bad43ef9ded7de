# Scores that mean nothing are never given: of models that draw random numbers or read the sequence
# in steps, by any function that takes a model. The files are those of test-model_conduct.R.

meaning_model <- function(name, ...) {
  load_model(test_path("models", "conduct", paste0(name, ".pt")), ...)
}

meaning_names <- function(table) {
  files <- list.files(test_path("models", "conduct"), paste0("^", table, "_.*[.]pt$"))
  sub("[.]pt$", "", files)
}

meaning_sequences <- decode_one_hot(random_one_hot(c(2, 4, 24), random_state = 7))

# Functions whose numbers come from predictions alone.
predicting_calls <- function(model, X) {
  list(
    score_variants = function() {
      skip_if_not_installed("Biostrings")
      skip_if_not_installed("GenomicRanges")
      genome <- Biostrings::DNAStringSet(c(chr1 = paste0(X[1L], X[2L])))
      at <- data.frame(chromosome = "chr1", position = 20, ref = substr(X[1L], 20, 20))
      at$alt <- setdiff(c("A", "C", "G", "T"), at$ref)[1L]
      score_variants(model, at, genome, width = 24, counts = 1, profile = 0, target = 1)
    },
    quality = function() {
      attribution_quality(model, X, array(one_hot_encode(X), c(2L, 4L, 24L)),
        steps = 2, n_masks = 1, n_perturbations = 2, mutagenesis = FALSE, random_state = 0
      )
    },
    interactions = function() {
      pairwise_interactions(model, X[1L], 3:4, 10:11, dfim = FALSE, random_state = 0)
    },
    dependency = function() dependency_map(model, X[1L], start = 2L, end = 4L),
    variant_effect = function() {
      substitution_effect(model, X, data.frame(example = 1, position = 5, alt = "A"))
    },
    ablate = function() ablate(model, X, 2, 22, n = 2L, random_state = 0),
    space = function() space_motifs(model, X, c("ACG", "TTA"), matrix(2:3))
  )
}

# Functions that need slopes, or all four bases.
sloping_calls <- function(model, X) {
  list(
    hypothetical = function() {
      deep_lift_shap(model, X, hypothetical = TRUE, n_shuffles = 2L, random_state = 0)
    },
    module_mode = function() {
      deep_lift_shap(model, X,
        hypothetical = TRUE, n_shuffles = 2L, random_state = 0, rules = "module",
        warning_threshold = Inf
      )
    },
    streamed = function() {
      skip_if_not_installed("HDF5Array")
      deep_lift_shap(model, X,
        hypothetical = TRUE, n_shuffles = 2L, random_state = 0, output = tempfile(fileext = ".h5")
      )
    },
    models = function() {
      attribute_models(list(model, model), X, hypothetical = TRUE, n_shuffles = 2L)
    },
    marginalize = function() {
      marginalize(model, X, "ACG", func = deep_lift_shap,
        additional_func_kwargs = list(hypothetical = TRUE, n_shuffles = 2L)
      )
    },
    saliency = function() attribute_models(list(model, model), X, attribute, method = "saliency"),
    expected = function() {
      attribute(model, X, "expected_gradients", n_shuffles = 2L, random_state = 0)
    },
    smooth = function() attribute(model, X, "smoothgrad", n_samples = 2L, random_state = 0)
  )
}

test_that("no function that takes a model gives scores of random numbers, unless asked for", {
  for (name in meaning_names("random")) {
    model <- meaning_model(name)
    calls <- predicting_calls(model, meaning_sequences)
    if (name == meaning_names("random")[1L]) {
      calls <- c(calls, sloping_calls(model, meaning_sequences))
    }
    for (call in names(calls)) {
      error <- expect_error(calls[[call]](), class = "seqlift_error_random",
        label = paste(name, call)
      )
      expect_match(conditionMessage(error), "aten::.*[.]py:[0-9]+.*allow_random")
    }
  }
  allowed <- meaning_model("random_bernoulli", allow_random = TRUE, random_state = 3)
  for (call in predicting_calls(allowed, meaning_sequences)) {
    expect_identical(call(), call())
  }
})

test_that("no function gives slopes of steps, and what needs none is given", {
  for (name in meaning_names("steps")) {
    model <- meaning_model(name)
    calls <- sloping_calls(model, meaning_sequences)
    for (call in names(calls)) {
      error <- expect_error(calls[[call]](), class = "seqlift_error_discrete",
        label = paste(name, call)
      )
      expect_match(conditionMessage(error), "aten::.*[.]py:[0-9]+.*saturation_mutagenesis")
    }
    for (call in predicting_calls(model, meaning_sequences)) {
      expect_error(call(), NA)
    }
    # Motifs need the scores that were refused above.
    found <- deep_lift_shap(model, meaning_sequences,
      n_shuffles = 2L, random_state = 0, warning_threshold = Inf
    )
    expect_error(discover_motifs(found), class = "seqlift_error_attributions")
    expect_error(
      export_modisco(found, tempfile(fileext = ".npz"), tempfile(fileext = ".npz")),
      class = "seqlift_error_argument"
    )
  }
})

test_that("an audit says what is refused because of which operation", {
  refused <- function(name) {
    audit <- audit_model(meaning_model(name), meaning_sequences)
    list(audit = audit, said = audit[nzchar(audit$refused), ])
  }
  for (name in meaning_names("random")) {
    expect_true(all(refused(name)$said$refused == "all methods"), label = name)
    expect_gt(nrow(refused(name)$said), 0L)
  }
  for (name in meaning_names("steps")) {
    found <- refused(name)
    expect_identical(unique(found$said$refused), "gradients and hypothetical attributions",
      label = name
    )
    # The operation and line of the error.
    error <- tryCatch(attribute(meaning_model(name), meaning_sequences, "saliency"),
      error = conditionMessage
    )
    expect_true(any(vapply(found$said$source, grepl, NA, x = error, fixed = TRUE)), label = name)
    expect_output(print(found$audit), "read the sequence in steps")
  }
  for (name in c(meaning_names("exact"), meaning_names("choices"), "plain_letters")) {
    expect_identical(nrow(refused(name)$said), 0L, label = name)
  }
})
