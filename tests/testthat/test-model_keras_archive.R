# Archives of Keras 3 (.keras) as its versions write them (tests/models/make_keras_archives.py),
# against what numpy computes for their models.

archive_path <- function(name) test_path("keras", "archives", paste0(name, ".keras"))

expected_of_archives <- function() {
  jsonlite::read_json(test_path("keras", "archives", "expected.json"), simplifyVector = TRUE)
}

# Weights are float32; in float64 nothing else is rounded.
expect_as_archived <- function(model, name) {
  expected <- expected_of_archives()
  found <- predict(model, expected$sequences, dtype = "float64")
  found <- if (is.list(found)) found else list(found)
  values <- expected[[name]]
  if (length(values) > 1L) expect_named(found, names(values))
  for (i in seq_along(values)) {
    expect_identical(dim(found[[i]]), dim(values[[i]]), label = name)
    expect_lt(largest_difference(found[[i]], values[[i]]), 1e-6, label = name)
  }
}

test_that("a chain and a graph of layers predict as numpy says, whichever Keras wrote them", {
  skip_without_keras()
  for (name in c("chain_2.13.1", "chain_3.3.3", "chain_3.9.2", "chain_3.13.1")) {
    expect_as_archived(read_in_process(load_keras_model(archive_path(name))), name)
  }
  for (name in c("graph_3.3.3", "graph_3.9.2")) {
    model <- read_in_process(load_model(archive_path(name)))
    expect_as_archived(model, name)
    expect_identical(model$origin$format, "Keras archive")
  }
})

test_that("every layer of these is explained without a remainder", {
  skip_without_keras()
  X <- random_one_hot(c(2, 4, 20), random_state = 1)
  models <- list(
    read_in_process(load_model(archive_path("chain_3.9.2"))),
    select_output(read_in_process(load_model(archive_path("graph_3.9.2"))), "counts")
  )
  for (model in models) {
    explained <- deep_lift_shap(model, X, n_shuffles = 3L, dtype = "float64", random_state = 1)
    expect_lt(max(abs(convergence_deltas(explained))), 1e-10)
    expect_gt(max(abs(explained)), 0)
  }
})

test_that("a layer that is not known is refused by its name and place", {
  skip_without_keras()
  error <- expect_error(read_in_process(load_model(archive_path("unknown"))),
    class = "seqlift_error_model"
  )
  expect_match(conditionMessage(error), "Mystery (\"puzzle\")", fixed = TRUE)
})

# The archive's members, changed; a NULL leaves one out.
changed_archive <- function(name, ...) {
  folder <- tempfile("archive")
  path <- normalizePath(archive_path(name))
  utils::unzip(path, exdir = folder)
  changes <- list(...)
  for (member in names(changes)) {
    if (is.null(changes[[member]])) {
      unlink(file.path(folder, member))
    } else {
      writeBin(changes[[member]], file.path(folder, member))
    }
  }
  to <- tempfile(fileext = ".keras")
  before <- setwd(folder)
  on.exit(setwd(before))
  utils::zip(to, list.files(), flags = "-q0X")
  to
}

test_that("an archive that lacks a part, or whose weights are of others, is refused", {
  skip_without_keras()
  skip_if(!nzchar(Sys.which("zip")), "zip is not installed")
  expect_error(load_keras_model(changed_archive("chain_3.9.2", model.weights.h5 = NULL)),
    "model.weights.h5",
    class = "seqlift_error_file"
  )
  half <- readBin(archive_path("chain_3.9.2"), "raw", 1e5)
  expect_error(
    read_in_process(load_keras_model(changed_archive("chain_3.9.2", model.weights.h5 = half))),
    class = "seqlift_error_file"
  )
  expect_error(
    read_in_process(load_keras_model(changed_archive("chain_3.9.2", config.json = charToRaw("{")))),
    class = "seqlift_error_file"
  )
  folder <- tempfile()
  utils::unzip(archive_path("graph_3.9.2"), "model.weights.h5", exdir = folder)
  others <- readBin(file.path(folder, "model.weights.h5"), "raw", 1e6)
  error <- expect_error(
    read_in_process(load_keras_model(changed_archive("chain_3.9.2", model.weights.h5 = others))),
    class = "seqlift_error_model"
  )
  expect_match(conditionMessage(error), "belongs to no layer|is missing|should be")
  # The version is a note.
  model <- read_in_process(load_keras_model(changed_archive("chain_3.9.2", metadata.json = NULL)))
  expect_as_archived(model, "chain_3.9.2")
})

test_that("an archive that is cut short or changed ends in an error of its own, or in a model", {
  skip_without_keras()
  skip_on_cran()
  path <- archive_path("chain_3.9.2")
  bytes <- readBin(path, "raw", file.size(path))
  folder <- tempfile()
  files <- utils::unzip(path, exdir = folder)
  members <- lapply(files, function(file) readBin(file, "raw", file.size(file)))
  names(members) <- basename(files)
  unlink(folder, recursive = TRUE)
  expect_setequal(names(members), c("metadata.json", "config.json", "model.weights.h5"))
  # Written anew it is the same model.
  again <- tempfile(fileext = ".keras")
  writeBin(zip_of(members), again)
  expect_as_archived(read_in_process(load_keras_model(again)), "chain_3.9.2")
  n <- as.integer(Sys.getenv("SEQLIFT_DAMAGED_FILES", "80"))
  # Cut short; bytes of the archive changed; bytes of one part changed and the checksums right
  # again.
  damage <- function(i) {
    if (i <= n / 10) {
      return(bytes[seq_len(round(length(bytes) * i / (n / 10 + 1)))])
    }
    set.seed(i)
    change <- function(bytes) {
      at <- sample(length(bytes), 1 + i %% 4)
      replace(bytes, at, as.raw(sample(0:255, length(at), replace = TRUE)))
    }
    if (i %% 4 == 0) {
      return(change(bytes))
    }
    part <- if (i %% 4 == 1) "config.json" else "model.weights.h5"
    members[[part]] <- change(members[[part]])
    zip_of(members)
  }
  environment(damage) <- list2env(
    list(bytes = bytes, members = members, n = n, zip_of = zip_of),
    parent = baseenv()
  )
  environment(damage)$zip_of <- `environment<-`(zip_of, baseenv())
  classes <- read_damaged(damage, n)
  expect_length(classes, n)
  expect_setequal(
    setdiff(classes, c("model", "died")), c("seqlift_error_file", "seqlift_error_model")
  )
  expect_gt(sum(classes == "seqlift_error_file"), n / 10)
  # What ends the process that reads it is an error to the user, who reads it in a session of its
  # own.
  for (i in which(classes == "died")) {
    writeBin(damage(i), again)
    expect_identical(outcome_of_file(again), "seqlift_error_file", label = i)
  }
})

test_that("an archive that would unfold to more than memory holds is refused", {
  skip_without_keras()
  path <- archive_path("chain_3.9.2")
  folder <- tempfile()
  files <- utils::unzip(path, exdir = folder)
  members <- lapply(files, function(file) readBin(file, "raw", file.size(file)))
  names(members) <- basename(files)
  unlink(folder, recursive = TRUE)
  archive <- zip_of(members)
  # The sizes that it says it has, in the directory: 4.2 GB of weights.
  name <- charToRaw("model.weights.h5")
  starts <- which(vapply(seq_len(length(archive) - 3L), function(i) {
    identical(archive[i + 0:3], c(charToRaw("PK"), as.raw(1:2)))
  }, NA))
  at <- Filter(function(i) identical(archive[i + 45L + seq_along(name)], name), starts)
  expect_length(at, 1L)
  archive[at + 20:27] <- as.raw(0xfe)
  damaged <- tempfile(fileext = ".keras")
  writeBin(archive, damaged)
  expect_error(load_keras_model(damaged), class = "seqlift_error_file")
})
