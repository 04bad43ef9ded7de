test_that("write_whole() puts a file in its place when it is whole, with the extension it asks", {
  folder <- new_folder()
  path <- file.path(folder, "scores.tar.gz")
  seen <- NULL
  write_whole(path, function(temporary) {
    seen <<- temporary
    writeLines("new", temporary)
    expect_false(file.exists(path))
  })
  expect_identical(readLines(path), "new")
  expect_match(seen, "\\.tar\\.gz$")
  expect_identical(dirname(seen), folder)
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), "scores.tar.gz")
})

test_that("write_whole() leaves the old file and nothing else when writing fails", {
  folder <- new_folder()
  path <- file.path(folder, "scores.txt")
  writeLines("old", path)
  expect_error(
    write_whole(path, function(temporary) {
      writeLines("half", temporary)
      stop("the disk is full")
    }),
    "the disk is full"
  )
  expect_identical(readLines(path), "old")
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), "scores.txt")
})

test_that("write_whole() refuses a path that cannot be written before any work", {
  called <- FALSE
  writer <- function(temporary) called <<- TRUE
  expect_error(write_whole(tempdir(), writer), "is a folder", class = "seqlift_error_file")
  expect_error(write_whole(file.path(tempdir(), "none", "x"), writer), "does not exist",
    class = "seqlift_error_file"
  )
  expect_error(write_whole(1, writer), "path", class = "seqlift_error_argument")
  expect_false(called)
})
