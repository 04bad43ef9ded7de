test_that("entropy is that of the letters, in bits", {
  motif <- cbind(c(0, 0, 1, 0), c(0.5, 0, 0, 0.5), c(1, 1, 1, 1), c(1, 2, 1, 0), 0)
  expect_equal(entropy(motif), c(0, 1, 2, 1.5, 0), tolerance = 1e-7)
  expect_equal(information_content(motif), c(2, 1, 0, 0.5, 0), tolerance = 1e-7)
  expect_equal(information_content(motif, alphabet_size = 8), c(3, 2, 1, 1.5, 0), tolerance = 1e-7)
  expect_equal(entropy(motif, eps = 0), c(0, 1, 2, 1.5, 0), tolerance = 1e-15)
  expect_equal(entropy(motif, eps = 1)[1L], -log2(2))
})

test_that("arrays give a row for each sequence, lists and files an element for each motif", {
  X <- array(0, c(2, 4, 3), list(c("a", "b"), c("A", "C", "G", "T"), NULL))
  X["a", "A", ] <- 1
  X["b", , ] <- 0.25
  expect_equal(entropy(X), rbind(a = c(0, 0, 0), b = c(2, 2, 2)), tolerance = 1e-7)
  expect_equal(information_content(X)["b", ], c(0, 0, 0), tolerance = 1e-7)
  both <- entropy(list(x = diag(4), y = matrix(5, 4, 2)))
  expect_equal(both, list(x = c(0, 0, 0, 0), y = c(2, 2)), tolerance = 1e-7)
  expect_equal(entropy(matrix(1, 20, 2)), rep(log2(20), 2), tolerance = 1e-6)
})

test_that("weights and missing numbers are errors", {
  for (X in list(matrix(-1, 4, 2), matrix(NA_real_, 4, 2), "none.meme", NULL, matrix(0, 4, 0))) {
    expect_error(entropy(X), class = "seqlift_error")
    expect_error(information_content(X), class = "seqlift_error")
  }
  expect_error(entropy(diag(4), eps = -1), class = "seqlift_error_argument")
})
