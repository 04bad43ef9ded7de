# Files of tests/models/make_keras_files.py: one model, whose prediction is the GC content, in the
# ways in which h5py and Keras store it.

keras_file <- function(name) test_path("keras", name)

predict_gc <- function(name, apart = FALSE) {
  load <- function() load_keras_model(keras_file(name))
  model <- if (apart) load() else read_in_process(load())
  as.vector(predict(model, c("GATTACAGATTACAGATTAC", "GCGCGCGCGCGCGCGCGCGC")))
}

test_that("what Keras and h5py write is read, whatever way their strings and data are stored", {
  skip_without_keras()
  skip_if_not_installed("rhdf5filters")
  names <- c(
    "variable_text", "variable_bytes", "fixed", "null_padded", "null_terminated", "space_padded",
    "utf8_name", "latest", "earliest", "tracked", "userblock", "gzip", "lzf", "chunked",
    "many_layers"
  )
  for (name in names) {
    expect_equal(predict_gc(paste0(name, ".h5")), c(0.3, 1), tolerance = 1e-6, info = name)
  }
  expect_equal(predict_gc("variable_text.h5", apart = TRUE), c(0.3, 1), tolerance = 1e-6)
})

test_that("links, external storage and virtual data are refused: they lead to other files", {
  skip_without_keras()
  expected <- c(
    soft_link = "a link in place of", external_link = "a link in place of",
    linked_group = "a link in place of", external_storage = "external storage",
    virtual = "are virtual"
  )
  for (name in names(expected)) {
    expect_error(predict_gc(paste0(name, ".h5")), expected[[name]],
      class = "seqlift_error_file", info = name
    )
  }
  # In a session of its own the error is the same.
  expect_error(predict_gc("virtual.h5", apart = TRUE), "are virtual", class = "seqlift_error_file")
})

test_that("external files are found by the message that names them; nothing else is taken for it", {
  skip_without_keras()
  files <- list.files(test_path("keras"), "\\.(h5|keras|hdf5)$")
  for (name in setdiff(files, "external_storage.h5")) {
    expect_false(scan_external_files(keras_file(name)), info = name)
  }
  expect_true(scan_external_files(keras_file("external_storage.h5")))
})

test_that("read_h5() refuses what leads to other files", {
  skip_without_keras()
  folder <- new_folder()
  secret <- file.path(folder, "secret.h5")
  rhdf5::h5createFile(secret)
  rhdf5::h5write(array(1, c(3, 4, 2)), secret, "seq")
  path <- file.path(folder, "scores.h5")
  rhdf5::h5createFile(path)
  rhdf5::h5createGroup(path, "raw")
  rhdf5::h5createGroup(path, "shap")
  rhdf5::h5write(array(1, c(3, 4, 2)), path, "raw/seq")
  file <- rhdf5::H5Fopen(path)
  group <- rhdf5::H5Gopen(file, "shap")
  rhdf5::H5Lcreate_external(secret, "seq", group, "seq")
  rhdf5::H5Gclose(group)
  rhdf5::H5Fclose(file)
  expect_error(read_h5(path), "a link in place of", class = "seqlift_error_file")
})
