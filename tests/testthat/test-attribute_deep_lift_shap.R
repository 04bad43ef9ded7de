# deep_lift_shap() from R's side: what goes in, what comes out, what does not matter, and every
# error. The rules themselves are tested in tests/cpp and against the oracle.

attribute_exactly <- function(model, X, ..., n_shuffles = 4L, random_state = 0) {
  deep_lift_shap(model, X, ...,
    n_shuffles = n_shuffles, random_state = random_state, dtype = "float64"
  )
}

largest_delta <- function(result) max(abs(convergence_deltas(result)))

# ---- the numbers ---------------------------------------------------------------------------

test_that("multipliers are those worked out by hand", {
  X <- test_sequences(4L)
  result <- attribute_exactly(test_model("tiny"), X,
    target = 2L, raw_outputs = TRUE, return_references = TRUE
  )
  one_hot <- one_hot_encode(X)
  for (i in seq_along(X)) {
    for (j in 1:4) {
      expected <- tiny_multipliers_by_hand(one_hot[i, , ], references(result)[i, j, , ], 2L)
      expect_equal(unname(as.array(result)[i, j, , ]), expected, tolerance = 1e-6)
    }
  }
})

test_that("convergence deltas are sum(m (x - ref)) minus f(x) - f(ref), with their sign", {
  X <- test_sequences()
  model <- test_model("scaled")
  # Ordinary gradients, so that the deltas are far from zero.
  expect_warning(
    result <- attribute_exactly(model, X,
      rules = "module", raw_outputs = TRUE, return_references = TRUE
    ),
    class = "seqlift_warning_convergence"
  )
  one_hot <- one_hot_encode(X)
  expected <- matrix(0, 3L, 4L)
  for (j in 1:4) {
    reference <- array(references(result)[, j, , ], dim(one_hot))
    multipliers <- array(as.array(result)[, j, , ], dim(one_hot))
    change <- predict(model, X, dtype = "float64") - predict(model, reference, dtype = "float64")
    expected[, j] <- apply(multipliers * (one_hot - reference), 1L, sum) - change[, 1L]
  }
  expect_equal(unname(convergence_deltas(result)), expected, tolerance = 1e-9)
  expect_gt(max(abs(expected)), 0.01)
})

test_that("in operator mode the deltas of every model are zero up to rounding", {
  X <- test_sequences(5L)
  extra <- array(0.5, c(5, 6, 12))
  extra[, 1:4, ] <- one_hot_encode(X)
  heads <- with_args(test_model("two_heads"), list(control_track = 0.3))
  for (name in c("tiny", "tiny_traced", "tiny_float64", "scaled", "functional", "training")) {
    expect_lt(largest_delta(attribute_exactly(test_model(name), X)), 1e-10)
  }
  expect_lt(largest_delta(attribute_exactly(test_model("extra_channels"), extra)), 1e-10)
  expect_lt(largest_delta(attribute_exactly(select_output(heads, 2), X)), 1e-10)
  expect_lt(largest_delta(attribute_exactly(profile_score(heads), X)), 1e-10)
})

test_that("recurrent and attention modules have one result, scripted or traced", {
  # Scripted, the encoder is one operation a layer; traced, it is dozens.
  X <- test_sequences()
  for (name in c("recurrent", "transformer")) {
    scripted <- attribute_exactly(test_model(name), X)
    traced <- attribute_exactly(test_model(paste0(name, "_traced")), X)
    expect_lt(largest_delta(scripted), 1e-10)
    expect_lt(largest_delta(traced), 1e-10)
    expect_equal(numbers_of(scripted), numbers_of(traced), tolerance = 1e-9)
    expect_gt(max(abs(scripted)), 1e-4)
  }
})

test_that("multipliers projected, averaged and multiplied by X are the attributions", {
  X <- test_sequences()
  model <- test_model("functional")
  raw <- attribute_exactly(model, X, raw_outputs = TRUE, return_references = TRUE)
  projected <- hypothetical_attributions(raw, X, references(raw))
  hypothetical <- apply(projected, c(1L, 3L, 4L), mean)
  expect_equal(
    numbers_of(attribute_exactly(model, X, hypothetical = TRUE)), unname(hypothetical),
    tolerance = 1e-12
  )
  expect_equal(
    numbers_of(attribute_exactly(model, X)), unname(hypothetical * one_hot_encode(X)),
    tolerance = 1e-12
  )
})

test_that("a result has the documented shape and names", {
  X <- test_sequences()
  model <- test_model("tiny")
  shape <- function(...) dim(attribute_exactly(model, X, ...))
  expect_identical(shape(), c(3L, 4L, 12L))
  expect_identical(shape(hypothetical = TRUE), c(3L, 4L, 12L))
  expect_identical(shape(raw_outputs = TRUE), c(3L, 4L, 4L, 12L))
  expect_identical(shape(target = c(3L, 1L)), c(3L, 4L, 12L, 2L))
  expect_identical(shape(target = c(3L, 1L), raw_outputs = TRUE), c(3L, 4L, 4L, 12L, 2L))
  result <- attribute_exactly(model, X, return_references = TRUE)
  expect_s3_class(result, "seqlift_attributions")
  expect_identical(dimnames(result), list(names(X), c("A", "C", "G", "T"), NULL))
  expect_identical(dim(convergence_deltas(result)), c(3L, 4L))
  expect_identical(rownames(convergence_deltas(result)), names(X))
  expect_identical(dim(references(result)), c(3L, 4L, 4L, 12L))
  expect_error(references(attribute_exactly(model, X)), class = "seqlift_error_no_references")
})

test_that("several targets in one call are those of single calls, in their order", {
  X <- test_sequences()
  model <- test_model("tiny")
  together <- attribute_exactly(model, X, target = c(3L, 1L, 2L))
  for (i in 1:3) {
    alone <- attribute_exactly(model, X, target = c(3L, 1L, 2L)[i])
    expect_equal(numbers_of(together)[, , , i], numbers_of(alone), tolerance = 1e-12)
    expect_equal(
      convergence_deltas(together)[, , i], convergence_deltas(alone),
      tolerance = 1e-12
    )
  }
  expect_gt(largest_difference(together[, , , 1L], together[, , , 2L]), 1e-3)
})

# ---- what does not matter --------------------------------------------------------------------

test_that("batch size does not matter", {
  X <- test_sequences(5L)
  for (name in c("functional", "scaled")) {
    model <- test_model(name)
    all <- attribute_exactly(model, X, raw_outputs = TRUE)
    for (batch_size in c(1L, 3L, 4L, 7L, 20L, 1000L)) {
      result <- attribute_exactly(model, X, raw_outputs = TRUE, batch_size = batch_size)
      expect_equal(numbers_of(result), numbers_of(all), tolerance = 1e-12)
      expect_lt(largest_delta(result), 1e-10)
    }
  }
})

test_that("the number of threads does not matter", {
  X <- test_sequences(5L)
  model <- test_model("functional")
  one <- with_threads(1L, attribute_exactly(model, X))
  for (n in c(2L, 5L)) {
    result <- with_threads(n, attribute_exactly(model, X))
    expect_equal(numbers_of(result), numbers_of(one), tolerance = 1e-12)
  }
  # The pieces of work are the same ones however often they are done.
  again <- with_threads(2L, attribute_exactly(model, X))
  expect_identical(numbers_of(with_threads(2L, attribute_exactly(model, X))), numbers_of(again))
})

test_that("the multipliers of a pair do not depend on how many references there are", {
  X <- test_sequences()
  model <- test_model("functional")
  many <- attribute_exactly(model, X, n_shuffles = 50L, raw_outputs = TRUE)
  few <- attribute_exactly(model, X, n_shuffles = 3L, raw_outputs = TRUE)
  expect_equal(numbers_of(many)[, 1:3, , ], numbers_of(few), tolerance = 1e-12)
})

test_that("the order of the sequences and those beside a sequence do not matter", {
  X <- test_sequences(5L)
  model <- test_model("functional")
  all <- attribute_exactly(model, X)
  order <- c(4L, 1L, 5L, 3L, 2L)
  expect_equal(
    numbers_of(attribute_exactly(model, X[order])), numbers_of(all)[order, , ],
    tolerance = 1e-12
  )
  expect_equal(
    numbers_of(attribute_exactly(model, X[3L]))[1L, , ], numbers_of(all)[3L, , ],
    tolerance = 1e-12
  )
})

test_that("letters, a DNAStringSet and an array give the same attributions", {
  X <- test_sequences()
  model <- test_model("functional")
  letters <- numbers_of(attribute_exactly(model, X))
  expect_identical(numbers_of(attribute_exactly(model, one_hot_encode(X))), letters)
  expect_identical(numbers_of(attribute_exactly(model, unname(X))), letters)
  skip_if_not_installed("Biostrings")
  strings <- attribute_exactly(model, Biostrings::DNAStringSet(X))
  expect_identical(numbers_of(strings), letters)
  expect_identical(rownames(strings), names(X))
})

test_that("float32 is close to float64, bfloat16 less so, and each says what it is", {
  X <- test_sequences()
  model <- test_model("functional")
  in_dtype <- function(dtype) {
    deep_lift_shap(model, X,
      n_shuffles = 4L, random_state = 0, dtype = dtype, warning_threshold = 1
    )
  }
  exact <- in_dtype("float64")
  single <- in_dtype("float32")
  coarse <- in_dtype("bfloat16")
  scale <- max(abs(exact))
  expect_lt(largest_difference(single, exact), 1e-5 * scale)
  expect_lt(largest_difference(coarse, exact), 0.05 * scale)
  expect_gt(largest_difference(coarse, single), 1e-5 * scale)
  expect_identical(numbers_of(in_dtype(NULL)), numbers_of(single))
  expect_identical(attr(coarse, "info")$dtype, "bfloat16")
})

test_that("verbose shows a progress bar and changes nothing", {
  X <- test_sequences()
  model <- test_model("tiny")
  shown <- suppressMessages(attribute_exactly(model, X, verbose = TRUE))
  expect_identical(numbers_of(shown), numbers_of(attribute_exactly(model, X)))
})

test_that("a model that squeezes is explained for a single pair too", {
  model <- test_model("squeezed")
  all <- attribute_exactly(model, test_sequences(), n_shuffles = 1L)
  alone <- attribute_exactly(model, test_sequences()[2L], n_shuffles = 1L)
  expect_equal(numbers_of(alone)[1L, , ], numbers_of(all)[2L, , ], tolerance = 1e-12)
  expect_lt(largest_delta(alone), 1e-10)
})

# ---- references ------------------------------------------------------------------------------

test_that("references that are given equal those that are made for the same random_state", {
  X <- test_sequences()
  model <- test_model("functional")
  made <- attribute_exactly(model, X, random_state = 5, return_references = TRUE)
  # Reference j of each sequence is its first shuffle for random_state + j - 1.
  shuffles <- array(0, c(3, 4, 4, 12))
  for (i in 1:3) {
    for (j in 1:4) {
      shuffles[i, j, , ] <- dinucleotide_shuffle(X[i], n = 1L, random_state = 4 + j)
    }
  }
  expect_identical(numbers_of(references(made)), shuffles)
  given <- attribute_exactly(model, X, references = shuffles, return_references = TRUE)
  expect_identical(numbers_of(given), numbers_of(made))
  expect_identical(numbers_of(references(given)), numbers_of(references(made)))
  own_function <- function(X, n, random_state) dinucleotide_shuffle(X, 1L, NULL, n, random_state)
  expect_identical(
    numbers_of(attribute_exactly(model, X, random_state = 5, references = own_function)),
    numbers_of(made)
  )
})

test_that("other functions make references: shuffle_region() and the user's own", {
  X <- test_sequences()
  model <- test_model("tiny")
  shuffled <- attribute_exactly(model, X,
    return_references = TRUE,
    references = function(X, n, random_state) {
      shuffle_region(X, start = 4L, end = 9L, n = n, random_state = random_state)
    }
  )
  one_hot <- one_hot_encode(X)
  for (j in 1:4) {
    reference <- references(shuffled)[, j, , ]
    expect_equal(reference[, , c(1:3, 10:12)], one_hot[, , c(1:3, 10:12)], ignore_attr = TRUE)
  }
  expect_equal(apply(references(shuffled), c(1L, 2L, 3L), sum)[, 2L, ], apply(one_hot, 1:2, sum),
    ignore_attr = TRUE
  )
  expect_lt(largest_delta(shuffled), 1e-10)
  # A background of zeros is a reference of nothing but N.
  zeros <- attribute_exactly(model, X,
    references = function(X, n, random_state) 0 * X, n_shuffles = 1L
  )
  expect_lt(largest_delta(zeros), 1e-10)
})

test_that("a function that makes references is called once a pair, with a seed for each", {
  seeds <- NULL
  shapes <- list()
  references <- function(X, n, random_state) {
    seeds <<- c(seeds, random_state)
    shapes <<- c(shapes, list(c(dim(X), n)))
    shuffle_region(X, n = n, random_state = random_state)
  }
  attribute_exactly(test_model("tiny"), test_sequences(2L),
    references = references, n_shuffles = 3L, random_state = 7
  )
  expect_equal(seeds, c(7, 8, 9, 7, 8, 9))
  expect_equal(unique(shapes), list(c(1, 4, 12, 1)))
})

test_that("set.seed() governs what random_state = NULL draws", {
  X <- test_sequences()
  model <- test_model("tiny")
  seeded <- function(seed) {
    set.seed(seed)
    numbers_of(deep_lift_shap(model, X, n_shuffles = 3L))
  }
  first <- seeded(1)
  expect_identical(seeded(1), first)
  expect_false(identical(seeded(2), first))
  expect_identical(
    numbers_of(deep_lift_shap(model, X, n_shuffles = 3L, random_state = 4)),
    numbers_of(deep_lift_shap(model, X, n_shuffles = 3L, random_state = 4))
  )
})

test_that("a call with a random_state leaves R's generator where it was", {
  set.seed(3)
  expected <- stats::runif(1L)
  set.seed(3)
  deep_lift_shap(test_model("tiny"), test_sequences(), n_shuffles = 2L, random_state = 0)
  expect_identical(stats::runif(1L), expected)
})

test_that("an N is accepted, stays in place, and has no attribution", {
  X <- c(with_n = "ACGTTGCANNGTCATTGCAA", without = "ACGTTGCAAGGTCATTGCAA")
  model <- select_output(with_args(test_model("two_heads"), list(control_track = 0)), 2)
  result <- attribute_exactly(model, X, return_references = TRUE)
  expect_lt(largest_delta(result), 1e-10)
  expect_identical(sum(abs(as.array(result)["with_n", , 9:10])), 0)
  expect_identical(sum(references(result)["with_n", , , 9:10]), 0)
  expect_gt(sum(abs(as.array(result)["without", , 9:10])), 0)
  expect_error(attribute_exactly(model, X, rules = "module"), class = "seqlift_error_sequence")
})

test_that("channels behind the bases are held at the value of X in every reference", {
  X <- array(0, c(3, 6, 12))
  X[, 1:4, ] <- one_hot_encode(test_sequences())
  X[, 5:6, ] <- seq(-1, 1, length.out = 72)
  result <- attribute_exactly(test_model("extra_channels"), X, return_references = TRUE)
  expect_identical(dim(result), c(3L, 4L, 12L))
  # Only the bases are shared out over, and they explain the whole change.
  expect_lt(largest_delta(result), 1e-10)
  bases <- references(result)[, , 1:4, ]
  given <- array(0, c(3, 4, 6, 12))
  given[, , 1:4, ] <- bases
  for (j in 1:4) {
    given[, j, 5:6, ] <- X[, 5:6, ]
  }
  with_all <- attribute_exactly(test_model("extra_channels"), X, references = given)
  expect_equal(numbers_of(with_all), numbers_of(result), tolerance = 1e-12)
})

# ---- rules -----------------------------------------------------------------------------------

test_that("module mode warns of a layer that it does not know, until the layer is registered", {
  X <- test_sequences()
  model <- test_model("scaled")
  in_module_mode <- function(...) attribute_exactly(model, X, rules = "module", ...)
  expect_warning(unregistered <- in_module_mode(), class = "seqlift_warning_convergence")
  expect_gt(largest_delta(unregistered), 0.01)
  by_class <- in_module_mode(nonlinear_ops = c(LogitScaling = "rescale"))
  by_path <- in_module_mode(nonlinear_ops = list(scaling = "rescale"))
  expect_lt(largest_delta(by_class), 1e-10)
  expect_identical(numbers_of(by_path), numbers_of(by_class))
  expect_gt(largest_difference(by_class, unregistered), 1e-3)
})

test_that("operator mode needs no registration, and takes one", {
  X <- test_sequences()
  model <- test_model("scaled")
  free <- attribute_exactly(model, X)
  unit <- attribute_exactly(model, X, nonlinear_ops = c(LogitScaling = "rescale"))
  expect_lt(largest_delta(free), 1e-10)
  expect_lt(largest_delta(unit), 1e-10)
  # As one unit the layer shares out the change in its own way.
  expect_gt(largest_difference(free, unit), 1e-3)
  expect_equal(
    numbers_of(unit),
    numbers_of(attribute_exactly(model, X,
      rules = "module", nonlinear_ops = c(LogitScaling = "rescale")
    )),
    tolerance = 1e-9
  )
})

test_that("a rule written in R equals the built-in rule", {
  X <- test_sequences()
  # Every unit of the ReLU; where x and its reference are equal the slope of the ReLU.
  rescale <- function(x, x_ref, y, y_ref, grad_output) {
    change <- x - x_ref
    ratio <- ifelse(abs(change) < 1e-6, x_ref > 0, (y - y_ref) / change)
    array(ratio * grad_output, dim(x))
  }
  model <- test_model("tiny")
  for (rules in c("operator", "module")) {
    own <- attribute_exactly(model, X, rules = rules, nonlinear_ops = list(ReLU = rescale))
    expect_equal(
      numbers_of(own), numbers_of(attribute_exactly(model, X, rules = rules)),
      tolerance = 1e-6
    )
    expect_lt(largest_delta(own), 1e-10)
  }
})

test_that("a rule of the user's own decides, right or wrong", {
  X <- test_sequences()
  zero <- function(x, x_ref, y, y_ref, grad_output) 0 * x
  expect_warning(
    result <- attribute_exactly(test_model("tiny"), X, nonlinear_ops = list(relu = zero)),
    class = "seqlift_warning_convergence"
  )
  expect_identical(sum(abs(result)), 0)
})

test_that("\"gradient\" takes the ordinary gradient, which module mode takes for what it misses", {
  X <- test_sequences()
  model <- test_model("scaled")
  suppressWarnings(classes = "seqlift_warning_convergence", {
    registered <- attribute_exactly(model, X, nonlinear_ops = c(LogitScaling = "gradient"))
    module <- attribute_exactly(model, X, rules = "module")
  })
  # Module mode takes the gradient at X, operator mode at the reference.
  expect_gt(largest_delta(registered), 0.01)
  expect_gt(largest_delta(module), 0.01)
})

test_that("module mode explains a module that is called at several shapes, each call by itself", {
  X <- test_sequences()
  for (name in c("shared_modules", "shared_modules_traced")) {
    model <- test_model(name)
    for (target in 1:2) {
      module <- attribute_exactly(model, X, rules = "module", target = target)
      expect_lt(largest_delta(module), 1e-10)
      expect_equal(
        numbers_of(module), numbers_of(attribute_exactly(model, X, target = target)),
        tolerance = 1e-9
      )
    }
    expect_lt(max(abs(attr(audit_model(model, X, rules = "module"), "deltas"))), 1e-4)
  }
})

test_that("the warning counts the deltas above the threshold and goes with it", {
  X <- test_sequences()
  model <- test_model("scaled")
  in_module_mode <- function(...) attribute_exactly(model, X, rules = "module", ...)
  result <- suppressWarnings(in_module_mode())
  high <- sum(abs(convergence_deltas(result)) > 0.05)
  expect_warning(
    in_module_mode(warning_threshold = 0.05), paste(high, "of 12 convergence deltas"),
    class = "seqlift_warning_convergence"
  )
  expect_silent(in_module_mode(warning_threshold = largest_delta(result)))
  expect_snapshot(shown <- in_module_mode())
})

test_that("print_convergence_deltas prints them", {
  X <- test_sequences()
  expect_output(
    result <- attribute_exactly(test_model("tiny"), X, print_convergence_deltas = TRUE),
    "three"
  )
  expect_silent(attribute_exactly(test_model("tiny"), X))
})

# ---- errors ----------------------------------------------------------------------------------

test_that("sequences that cannot be read are errors of class seqlift_error_sequence", {
  model <- test_model("tiny")
  bad <- list(
    "ACGTTGCAAGTX", c("ACGTTGCAAGTC", "ACG"), character(), NA_character_, array(NaN, c(1, 4, 12)),
    array(Inf, c(1, 4, 12)), array(0.25, c(1, 4, 12)), array(1, c(1, 4, 12)),
    array(0, c(1, 3, 12)), array(0, c(0, 4, 12)), matrix(0, 4, 12), 5, NULL
  )
  for (X in bad) {
    expect_error(deep_lift_shap(model, X), class = "seqlift_error_sequence")
  }
  expect_snapshot(error = TRUE, {
    deep_lift_shap(model, "ACGTTGCAAGTX")
    deep_lift_shap(model, c("ACGTTGCAAGTC", "ACG"))
    deep_lift_shap(model, character())
    deep_lift_shap(model, array(NaN, c(1, 4, 12)))
    deep_lift_shap(model, "ACGTTGCAANTC", rules = "module")
  })
})

test_that("a target that does not exist is an error", {
  model <- test_model("tiny")
  X <- test_sequences()
  for (target in list(0, -1, 1.5, "a", NA, NULL, c(1, 0), integer())) {
    expect_error(deep_lift_shap(model, X, target = target), class = "seqlift_error_argument")
  }
  expect_error(deep_lift_shap(model, X, target = 4L), class = "seqlift_error_target")
  expect_error(deep_lift_shap(model, X, target = c(1L, 9L)), class = "seqlift_error_target")
  expect_snapshot(error = TRUE, {
    deep_lift_shap(model, X, target = 0)
    deep_lift_shap(model, X, target = 1.5)
    deep_lift_shap(model, X, target = 4L)
  })
})

test_that("arguments of a wrong kind are errors of class seqlift_error_argument", {
  model <- test_model("tiny")
  X <- test_sequences()
  bad <- list(
    list(batch_size = 0), list(batch_size = 1.5), list(n_shuffles = 0), list(n_shuffles = NA),
    list(warning_threshold = -1), list(warning_threshold = "high"), list(rules = "x"),
    list(rules = c("module", "operator")), list(dtype = "int8"), list(random_state = -1),
    list(random_state = 0.5), list(hypothetical = NA), list(raw_outputs = 1),
    list(return_references = "yes"), list(verbose = NULL), list(print_convergence_deltas = NA)
  )
  for (arguments in bad) {
    expect_error(
      do.call(deep_lift_shap, c(list(model, X), arguments)),
      class = "seqlift_error_argument"
    )
  }
  expect_snapshot(error = TRUE, {
    deep_lift_shap(model, X, batch_size = 0)
    deep_lift_shap(model, X, rules = "x")
    deep_lift_shap(model, X, dtype = "int8")
    deep_lift_shap(model, X, random_state = -1)
    deep_lift_shap(model, X, hypothetical = NA)
  })
})

test_that("references of a wrong shape are errors of class seqlift_error_references", {
  model <- test_model("tiny")
  X <- test_sequences()
  shapes <- list(
    c(3, 2, 4, 11), c(2, 2, 4, 12), c(3, 2, 5, 12), c(3, 4, 12), c(3, 0, 4, 12), c(3, 2, 12, 4)
  )
  for (shape in shapes) {
    expect_error(
      deep_lift_shap(model, X, references = array(0, shape)),
      class = "seqlift_error_references"
    )
  }
  expect_error(
    deep_lift_shap(model, X, references = "dinucleotide_shuffle"),
    class = "seqlift_error_argument"
  )
  # Which sequence and which reference is wrong is said.
  second <- array(0, c(3, 2, 4, 12))
  second[3, 2, 1, 7] <- 2
  expect_error(
    deep_lift_shap(model, X, references = second),
    "references[, 2, , ]` must be one-hot, but sequence 3 has the value 2 at position 7",
    class = "seqlift_error_sequence", fixed = TRUE
  )
  for (value in c(0.25, NaN)) {
    expect_error(
      deep_lift_shap(model, X, references = array(value, c(3, 2, 4, 12))),
      class = "seqlift_error_sequence"
    )
  }
  expect_snapshot(error = TRUE, {
    deep_lift_shap(model, X, references = array(0, c(3, 2, 4, 11)))
    deep_lift_shap(model, X, references = array(0.25, c(3, 2, 4, 12)))
    deep_lift_shap(model, X, references = "dinucleotide_shuffle")
  })
})

test_that("only_warn accepts a flat background, with one warning", {
  X <- test_sequences()
  flat <- array(0.25, c(3, 2, 4, 12))
  warned <- 0L
  result <- withCallingHandlers(
    attribute_exactly(test_model("tiny"), X, references = flat, only_warn = TRUE),
    seqlift_warning_one_hot = function(warning) {
      warned <<- warned + 1L
      invokeRestart("muffleWarning")
    }
  )
  expect_identical(warned, 1L)
  expect_lt(largest_delta(result), 1e-10)
})

test_that("a function that makes no references is an error that says how it is called", {
  model <- test_model("tiny")
  X <- test_sequences()
  bad <- list(
    function(X, n, random_state) "junk", function(X, n, random_state) NULL,
    function(X, n, random_state) aperm(X, c(1, 3, 2)),
    function(X, n, random_state) as.vector(X), function(X, n, random_state) stop("no data"),
    function(X) X
  )
  for (references in bad) {
    expect_error(
      deep_lift_shap(model, X, references = references),
      class = "seqlift_error_references"
    )
  }
  expect_error(
    deep_lift_shap(model, X, references = function(X, n, random_state) X / 2),
    class = "seqlift_error_sequence"
  )
  expect_snapshot(error = TRUE, {
    deep_lift_shap(model, X, references = function(X, n, random_state) "junk")
    deep_lift_shap(model, X,
      references = function(X, n, random_state) stop("no data"), random_state = 0
    )
  })
})

test_that("an output that is no row of targets is an error that says what to do", {
  X <- test_sequences()
  heads <- with_args(test_model("two_heads"), list(control_track = 0))
  expect_error(deep_lift_shap(heads, X), class = "seqlift_error_output")
  expect_error(deep_lift_shap(select_output(heads, 1), X), class = "seqlift_error_output")
  # It adds up all sequences of a batch.
  expect_error(deep_lift_shap(test_model("whole_batch"), X),
    class = "seqlift_error_unsupported_operation"
  )
  expect_snapshot(error = TRUE, {
    deep_lift_shap(heads, X)
    deep_lift_shap(select_output(heads, 1), X)
    deep_lift_shap(test_model("whole_batch"), X)
  })
})

test_that("a model that returns no finite number is an error", {
  # No G: the logarithm of zero.
  X <- "ACTTTACTTACT"
  expect_error(deep_lift_shap(test_model("not_finite"), X), class = "seqlift_error_not_finite")
  expect_snapshot(error = TRUE, {
    deep_lift_shap(test_model("not_finite"), X, n_shuffles = 4L, random_state = 0)
  })
})

test_that("operations without a rule are all named before anything is computed", {
  X <- test_sequences()
  model <- test_model("unsupported")
  error <- expect_error(
    deep_lift_shap(model, X),
    class = "seqlift_error_unsupported_operation"
  )
  message <- conditionMessage(error)
  expect_match(message, "aten::mode in voting (Voting), make_models.py:", fixed = TRUE)
  expect_match(message, "aten::linalg_inv of the model itself, make_models.py:", fixed = TRUE)
  expect_snapshot(error = TRUE, deep_lift_shap(model, X))
  # What the message advises works.
  expect_warning(
    deep_lift_shap(model, X, rules = "module", n_shuffles = 4L, random_state = 0),
    class = "seqlift_warning_convergence"
  )
})

test_that("what has no rule but a gradient is integrated on request, and the result says where", {
  X <- test_sequences()
  model <- test_model("inverse")
  expect_error(
    deep_lift_shap(model, X, n_shuffles = 2L),
    class = "seqlift_error_unsupported_operation"
  )
  result <- deep_lift_shap(model, X,
    fallback = "integrate", n_shuffles = 4L, random_state = 0, dtype = "float64"
  )
  expect_lt(max(abs(convergence_deltas(result))), 1e-10)
  expect_match(attr(result, "info")$integrated, "aten::linalg_inv of the model itself",
    fixed = TRUE
  )
  expect_output(print(result), "integrated")
  expect_length(attr(deep_lift_shap(test_model("tiny"), X,
    fallback = "integrate", n_shuffles = 2L
  ), "info")$integrated, 0L)
  expect_error(
    deep_lift_shap(model, X, fallback = "guess"),
    class = "seqlift_error_argument"
  )
})

test_that("a branch that a sequence takes and its reference does not is an error", {
  X <- test_sequences()[1L]
  branching <- load_model(model_path("branching"), batch = "joint")
  expect_error(
    deep_lift_shap(branching, X, references = reversed_references(X)),
    class = "seqlift_error_unsupported_operation"
  )
  # A dinucleotide shuffle keeps the first letter: both take the same branch.
  expect_lt(largest_delta(attribute_exactly(branching, X)), 1e-10)
  # The first sequence chooses the branch of the whole batch.
  expect_error(deep_lift_shap(test_model("branching"), X), class = "seqlift_error_batch")
})

test_that("an operation over all sequences of a batch is an error or at least a warning", {
  X <- test_sequences()
  error <- expect_error(
    deep_lift_shap(test_model("batch_maximum"), X, random_state = 0),
    class = "seqlift_error_unsupported_operation"
  )
  expect_match(conditionMessage(error), "max", fixed = TRUE)
  expect_match(conditionMessage(error), "make_models.py:", fixed = TRUE)
  told <- tryCatch(
    deep_lift_shap(test_model("centred"), X, target = 2L, random_state = 0),
    seqlift_warning_convergence = identity, seqlift_error = identity
  )
  expect_s3_class(told, "condition")
})

test_that("registrations that do not fit are errors", {
  model <- test_model("tiny")
  X <- test_sequences()
  expect_error(
    deep_lift_shap(model, X, nonlinear_ops = c(Nope = "rescale")),
    class = "seqlift_error_registration"
  )
  expect_error(
    deep_lift_shap(model, X, nonlinear_ops = c(Conv1d = "rescale")),
    class = "seqlift_error_registration"
  )
  for (bad in list(c(ReLU = "bad"), "rescale", 3, list(ReLU = 3), list(ReLU = NULL))) {
    expect_error(deep_lift_shap(model, X, nonlinear_ops = bad), class = "seqlift_error_argument")
  }
  expect_snapshot(error = TRUE, {
    deep_lift_shap(model, X, nonlinear_ops = c(Nope = "rescale"))
    deep_lift_shap(model, X, nonlinear_ops = c(ReLU = "bad"))
    deep_lift_shap(model, X, nonlinear_ops = "rescale")
    deep_lift_shap(model, X, nonlinear_ops = c(Conv1d = "rescale"))
  })
})

test_that("a rule of the user's own that fails is an error and leaves the model usable", {
  model <- test_model("scaled")
  X <- test_sequences()
  bad <- list(
    function(x, x_ref, y, y_ref, grad_output) stop("I cannot"), function(x) x,
    function(x, x_ref, y, y_ref, grad_output) "a", function(x, x_ref, y, y_ref, grad_output) 1,
    function(x, x_ref, y, y_ref, grad_output) NULL
  )
  for (rule in bad) {
    for (rules in c("operator", "module")) {
      expect_error(
        deep_lift_shap(model, X, rules = rules, nonlinear_ops = list(LogitScaling = rule)),
        class = "seqlift_error_registration"
      )
    }
  }
  expect_snapshot(error = TRUE, {
    deep_lift_shap(model, X, nonlinear_ops = list(LogitScaling = bad[[1L]]))
    deep_lift_shap(model, X, nonlinear_ops = list(LogitScaling = bad[[2L]]))
  })
  expect_lt(largest_delta(attribute_exactly(model, X)), 1e-10)
})
