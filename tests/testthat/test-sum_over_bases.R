test_that("sums over bases are those of apply(), with names, of any shape", {
  set.seed(1)
  shapes <- list(c(3L, 4L, 5L), c(1L, 4L, 7L), c(2L, 4L, 1L), c(1L, 4L, 1L), c(2L, 4L, 3L, 2L))
  for (shape in shapes) {
    x <- array(rnorm(prod(shape)), shape)
    dimnames(x) <- lapply(shape, function(size) letters[seq_len(size)])
    kept <- seq_along(shape)[-2L]
    expect_equal(seqlift:::sum_over_bases(x), apply(x, kept, sum), tolerance = 1e-14)
  }
})

test_that("the largest interaction of two positions is that of apply(), of any shape", {
  set.seed(2)
  for (shape in list(c(3L, 4L, 5L, 4L, 5L), c(1L, 4L, 3L, 4L, 3L), c(2L, 4L, 1L, 4L, 1L))) {
    x <- array(rnorm(prod(shape)), shape)
    expect_identical(
      seqlift:::largest_interactions(x),
      array(apply(abs(x), c(1L, 3L, 5L), max), shape[c(1L, 3L, 5L)])
    )
  }
})

test_that("letters of an array are those of its columns, N where there is not one base", {
  columns <- cbind(
    c(1, 0, 0, 0), c(0, 1, 0, 0), c(0, 0, 1, 0), c(0, 0, 0, 1), c(0, 0, 0, 0), c(0.5, 0.5, 0, 0),
    c(1, 1, 0, 0), c(1, 1, -1, 0), c(0.25, 0.25, 0.25, 0.25), c(1, 0.5, -0.5, 0), c(2, 0, -1, 0)
  )
  two <- rbind(seq_len(ncol(columns)), rev(seq_len(ncol(columns))))
  array <- array(0, c(2L, 4L, ncol(columns)))
  for (i in 1:2) {
    array[i, , ] <- columns[, two[i, ]]
  }
  letters <- c(0L, 1L, 2L, 3L, 4L, 4L, 4L, 4L, 4L, 0L, 4L)
  codes <- seqlift:::sequence_letters(
    list(array = array, codes = NULL, length = ncol(columns), n = 2L, names = c("a", "b"))
  )
  expect_identical(dimnames(codes)[[2L]], c("a", "b"))
  expect_identical(matrix(as.integer(codes), ncol = 2L), t(matrix(letters[two], 2L)))
})
