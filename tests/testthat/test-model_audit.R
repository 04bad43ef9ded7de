# audit_model(): what it tells of the models of tests/models/make_models.py.

columns <- c(
  "op", "module", "class", "kind", "rule", "source", "supported", "faithful", "delta", "refused",
  "share",
  "module_delta"
)
# What an audit says of the model alone, whatever the sequences.
of_model <- function(audit) as.data.frame(audit)[columns[1:8]]

test_that("an audit has one row an operation, in the order of evaluation", {
  audit <- audit_model(test_model("tiny"), test_sequences())
  expect_s3_class(audit, c("seqlift_audit", "data.frame"), exact = TRUE)
  expect_named(audit, columns)
  expect_identical(audit$op, c("conv1d", "relu", "flatten", "linear"))
  expect_identical(audit$module, c("conv", "relu", "", "dense"))
  expect_identical(audit$kind, c("linear", "elementwise", "linear", "linear"))
  expect_identical(audit$rule[2L], "rescale")
  expect_true(all(audit$supported))
  expect_true(all(audit$faithful))
})

test_that("paths of modules are full and sources are lines of the author's file", {
  audit <- audit_model(test_model("scaled"), test_sequences())
  expect_true(all(c("trunk.body", "trunk.body_relu", "scaling") %in% audit$module))
  in_scaling <- audit[audit$module == "scaling", ]
  expect_identical(in_scaling$op, c("softmax", "mul"))
  expect_identical(in_scaling$class, c("LogitScaling", "LogitScaling"))
  expect_match(in_scaling$source, "^make_models\\.py:[0-9]+$")
})

test_that("the source is the line that calls a module of PyTorch's, and none of PyTorch's own", {
  sources <- function(model) {
    audit <- suppressWarnings(audit_model(model, test_sequences()))
    stats::setNames(audit$source, audit$op)
  }
  for (name in c("tiny", "tiny_traced", "recurrent_traced", "transformer_traced")) {
    expect_match(sources(test_model(name)), "^make_models\\.py:[0-9]+$", all = TRUE, info = name)
  }
  # Its forward() is one line.
  expect_length(unique(sources(test_model("tiny"))), 1L)
  # Of operators such as `3 * x` a script keeps the line of its own code.
  scaled <- sources(test_model("scaled"))
  expect_match(scaled[names(scaled) != "mul"], "^make_models\\.py:[0-9]+$", all = TRUE)
  expect_gt(length(unique(scaled)), 3L)
  demo <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
  expect_match(audit_model(demo, demo_sequences()[1])$source, "^bpnet\\.py:[0-9]+$", all = TRUE)
})

test_that("in operator mode functions and products have rules, wherever they are written", {
  audit <- audit_model(test_model("functional"), test_sequences())
  kinds <- audit$kind
  names(kinds) <- audit$op
  expect_identical(kinds[["relu"]], "elementwise")
  expect_identical(kinds[["sigmoid"]], "elementwise")
  expect_identical(kinds[["mul"]], "product")
  expect_identical(kinds[["max_pool1d"]], "max")
  expect_true(all(audit$faithful))
})

test_that("module mode marks what gets its ordinary gradient although it is not linear", {
  audit <- audit_model(test_model("functional"), test_sequences(), rules = "module")
  expect_identical(audit$op[!audit$faithful], c("relu", "sigmoid", "mul", "max_pool1d"))
  expect_true(all(audit$supported))
  scaled <- audit_model(test_model("scaled"), test_sequences(), rules = "module")
  expect_identical(scaled$module[!scaled$faithful], c("scaling", "scaling"))
  expect_identical(scaled$kind[scaled$module == "trunk.relu"], "registered")
})

test_that("the audit's word agrees with the deltas", {
  X <- test_sequences()
  for (name in c("tiny", "scaled", "functional", "training", "squeezed")) {
    model <- test_model(name)
    for (rules in c("operator", "module")) {
      result <- suppressWarnings(
        deep_lift_shap(model, X, rules = rules, random_state = 0, dtype = "float64"),
        classes = "seqlift_warning_convergence"
      )
      faithful <- all(audit_model(model, X, rules = rules)$faithful)
      expect_identical(max(abs(convergence_deltas(result))) < 1e-10, faithful)
    }
  }
})

test_that("a registered class is one row", {
  audit <- audit_model(test_model("scaled"), test_sequences(),
    rules = "module", nonlinear_ops = c(LogitScaling = "rescale")
  )
  unit <- audit[audit$module == "scaling", ]
  expect_identical(nrow(unit), 1L)
  expect_identical(unit$kind, "registered")
  expect_identical(unit$rule, "rescale")
  expect_true(all(audit$faithful))
  own <- audit_model(test_model("scaled"), test_sequences(),
    nonlinear_ops = list(scaling = function(x, x_ref, y, y_ref, grad_output) grad_output)
  )
  expect_identical(own$rule[own$module == "scaling"], "your function")
})

test_that("what deep_lift_shap() refuses is marked", {
  audit <- audit_model(test_model("unsupported"), test_sequences())
  expect_identical(audit$op[!audit$supported], c("mode", "linalg_inv"))
  expect_identical(audit$module[!audit$supported], c("voting", ""))
})

test_that("only what the chosen output needs is audited", {
  model <- with_args(test_model("two_heads"), list(control_track = 0))
  X <- test_sequences()
  counts <- audit_model(select_output(model, 2), X)
  profile <- audit_model(profile_score(model), X)
  expect_true("counts" %in% counts$module)
  expect_false("profile" %in% counts$module)
  expect_true("profile" %in% profile$module)
  expect_false("counts" %in% profile$module)
  expect_true("profile_score()" %in% profile$module)
})

test_that("an audit ends in a verdict", {
  X <- test_sequences()
  model <- test_model("scaled")
  expect_snapshot({
    audit_model(model, X)
    audit_model(model, X, rules = "module")
    audit_model(model, X, rules = "module", nonlinear_ops = c(LogitScaling = "rescale"))
    audit_model(test_model("unsupported"), X)
  })
})

test_that("letters, an array, an N and one sequence are audited alike", {
  X <- test_sequences()
  model <- test_model("functional")
  expected <- audit_model(model, X)
  expect_equal(audit_model(model, one_hot_encode(X)), expected)
  expect_identical(of_model(audit_model(model, X[1L])), of_model(expected))
  expect_identical(of_model(audit_model(model, "ACGTTGCANGTC")), of_model(expected))
})

test_that("local deltas name the operations to blame, and add up", {
  X <- test_sequences()
  model <- test_model("scaled")
  module <- audit_model(model, X, rules = "module", dtype = "float64")
  expect_gt(max(abs(attr(module, "deltas"))), 1e-3)
  expect_true(all(module$delta[module$faithful] < 1e-12))
  expect_gt(sum(module$share[module$module == "scaling"]), 0.999)
  expect_gte(sum(module$delta), mean(abs(attr(module, "deltas"))))
  expect_output(print(module), "LogitScaling")
  operator <- audit_model(model, X, dtype = "float64")
  expect_true(all(operator$delta < 1e-12))
  # What module mode would miss stands beside the operations that it would miss.
  expect_equal(
    operator$module_delta[operator$module == "scaling"],
    module$delta[module$module == "scaling"]
  )
  expect_identical(dim(attr(operator, "deltas")), c(2L, 2L))
  more <- audit_model(model, X, n_sequences = 1L, n_shuffles = 3L)
  expect_identical(dim(attr(more, "changes")), c(1L, 3L))
})

test_that("deltas of several outputs are of the chosen one, and of none where there is no number", {
  X <- test_sequences()
  model <- with_args(test_model("two_heads"), list(control_track = 0))
  profile <- audit_model(select_output(model, 1), X)
  expect_true(all(is.na(profile$delta)))
  expect_null(attr(profile, "deltas"))
  expect_output(print(profile), "have a rule")
  expect_error(
    audit_model(select_output(model, 2), X, target = 9L),
    class = "seqlift_error_target"
  )
})

test_that("what is integrated is told", {
  audit <- audit_model(test_model("inverse"), test_sequences(), fallback = "integrate")
  expect_identical(audit$kind[audit$op == "linalg_inv"], "integrated")
  expect_true(all(audit$supported))
  refused <- audit_model(test_model("inverse"), test_sequences())
  expect_false(refused$supported[refused$op == "linalg_inv"])
})

test_that("wrong arguments are errors", {
  model <- test_model("tiny")
  X <- test_sequences()
  expect_error(audit_model("tiny.pt", X), class = "seqlift_error_argument")
  expect_error(audit_model(model, X, rules = "x"), class = "seqlift_error_argument")
  expect_error(audit_model(model, "ACGX"), class = "seqlift_error_sequence")
  expect_error(
    audit_model(model, X, nonlinear_ops = c(Nope = "rescale")),
    class = "seqlift_error_registration"
  )
  expect_error(audit_model(model, X, args = list(1)), class = "seqlift_error_args")
})

test_that("some columns of an audit print as a plain table", {
  audit <- audit_model(test_model("tiny"), test_sequences())
  printed <- utils::capture.output(print(audit[, c("op", "rule")]))
  expect_length(printed, nrow(audit) + 1L)
})

# Written by tests/models/make_audit_models.py.
audit_path <- function(name) normalizePath(test_path("models", "audit", paste0(name, ".pt")))

test_that("scripted attention, which asks whether gradients are taken, is audited as explained", {
  model <- load_model(audit_path("scripted_attention"))
  X <- random_one_hot(c(3, 4, 40), random_state = 1)
  explained <- deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0, dtype = "float64")
  expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
  audit <- audit_model(model, X, dtype = "float64")
  expect_true(all(audit$supported))
  expect_true(any(grepl("attention", audit$module, fixed = TRUE)))
  expect_lt(max(abs(audit$delta), na.rm = TRUE), 1e-10)
})

test_that("an audit takes no more memory than the attribution", {
  skip_if_not(file.exists("/proc/self/status"), "there is no /proc on this system")
  # In kB; 10 maps of 8 x 64 x 64 numbers, 2.6 MB a sequence and half, at 8 pairs.
  peak <- function(verb) {
    in_new_session(function(path, verb) {
      library(seqlift)
      seqlift_threads(1)
      model <- load_model(path)
      X <- random_one_hot(c(8, 4, 64), random_state = 1)
      used <- function() {
        line <- grep("^VmHWM", readLines("/proc/self/status"), value = TRUE)
        as.numeric(gsub("[^0-9]", "", line))
      }
      predict(model, X[1L, , , drop = FALSE])
      before <- used()
      switch(verb,
        attribution = deep_lift_shap(
          model, X, n_shuffles = 1L, random_state = 0, dtype = "float64"
        ),
        audit = audit_model(model, X, dtype = "float64")
      )
      used() - before
    }, list(audit_path("contact_map"), verb))
  }
  attribution <- peak("attribution")
  # What is measured is there at all.
  expect_gt(attribution, 10000)
  expect_lt(peak("audit"), 1.5 * attribution)
})
