counts <- matrix(
  c(1, 1, 8, 0, 9, 0, 0, 1, 0, 0, 0, 10, 9, 0, 0, 1), 4L,
  dimnames = list(c("A", "C", "G", "T"), NULL)
)
background <- c(A = 0.3, C = 0.2, G = 0.2, T = 0.3)

gata_object <- function(id = "MA0000.1") {
  TFBSTools::PFMatrix(ID = id, name = "GATA", profileMatrix = counts, bg = background)
}

test_that("counts and weights of TFBSTools become the probabilities that it has itself", {
  skip_if_not_installed("TFBSTools")
  object <- gata_object()
  expect_equal(as_motif_matrices(object), list("MA0000.1 GATA" = counts / 10))
  shares <- TFBSTools::toPWM(object, type = "prob", pseudocounts = 0.8)
  expected <- list("MA0000.1 GATA" = TFBSTools::Matrix(shares))
  expect_equal(as_motif_matrices(shares), expected)
  # By hand: (8 + 0.2 * 0.8) / (10 + 0.8).
  expect_equal(expected[[1L]]["G", 1L], c(G = 8.16 / 10.8))
  for (bg in list(background, c(A = 0.25, C = 0.25, G = 0.25, T = 0.25))) {
    weights <- TFBSTools::toPWM(object, pseudocounts = 0.8, bg = bg)
    shares <- TFBSTools::toPWM(object, type = "prob", pseudocounts = 0.8, bg = bg)
    expect_equal(as_motif_matrices(weights)[[1L]], TFBSTools::Matrix(shares))
  }
  # Zero counts without pseudocounts weigh minus infinity.
  weights <- TFBSTools::toPWM(object, pseudocounts = 0)
  expect_equal(as_motif_matrices(weights)[[1L]], counts / 10)
})

test_that("lists keep their names, or have those of the motifs", {
  skip_if_not_installed("TFBSTools")
  list <- TFBSTools::PFMatrixList(gata_object(), gata_object("MA0000.2"), gata_object())
  names <- c("MA0000.1 GATA", "MA0000.2 GATA", "MA0000.1 GATA 1")
  expect_named(as_motif_matrices(list), names)
  expect_named(as_motif_matrices(list(a = gata_object(), gata_object())), c("a", "MA0000.1 GATA"))
  expect_identical(
    motif_consensus(list[1:2]), c("MA0000.1 GATA" = "GATA", "MA0000.2 GATA" = "GATA")
  )
  expect_identical(
    motif_consensus(TFBSTools::toPWM(gata_object())), c("MA0000.1 GATA" = "GATA")
  )
})

test_that("motif objects are taken wherever motifs are", {
  skip_if_not_installed("TFBSTools")
  object <- gata_object()
  X <- c("CCCCCCCCCCCC", "TTTTTTTTTTTT")
  written <- c("CCCCGATACCCC", "TTTTGATATTTT")
  expect_identical(decode_one_hot(substitute_motif(X, object)), written)
  expect_identical(
    decode_one_hot(substitute_motifs(X, TFBSTools::PFMatrixList(object, object), spacing = 1)),
    c("CCGATACGATAC", "TTGATATGATAT")
  )
  after <- function(...) {
    watch <- letters_seen()
    list(result = marginalize(NULL, X, ..., func = watch$func), seen = watch$seen()[-1L])
  }
  expect_identical(after(object)$seen, list(written))
  many <- after(motifs = TFBSTools::PFMatrixList(object, gata_object("MA0000.2")))
  expect_identical(many$seen, list(written, written))
  expect_identical(
    dimnames(many$result$after)[[1L]], c("MA0000.1 GATA", "MA0000.2 GATA")
  )
  watch <- letters_seen()
  space_motifs(NULL, X, list(object, "CC"), spacings = 2, func = watch$func)
  expect_identical(watch$seen()[[2L]], c("CCGATACCCCCC", "TTGATATTCCTT"))
  compared <- tomtom(TFBSTools::PFMatrixList(object, gata_object("MA0000.2")), list(a = counts))
  expect_identical(compared$query, c("MA0000.1 GATA", "MA0000.2 GATA"))
  expect_identical(compared$p_value, rep(tomtom(counts / 10, counts / 10)$p_value, 2L))
  motifs <- seqlift:::design_motifs(list(object), TRUE, 12L, NULL)
  expect_identical(motifs$name, rep("MA0000.1 GATA", 2L))
  expect_identical(motifs$codes[[1L]], as.raw(c(2, 0, 3, 0)))
})

# universalmotif has these slots, as its manual says (class "universalmotif"); this stands in for it
# where it is not installed.
universal <- function(motif, type, bkg = background, name = "GATA") {
  if (requireNamespace("universalmotif", quietly = TRUE)) {
    return(universalmotif::create_motif(motif, type = type, bkg = bkg, name = name))
  }
  where <- new.env()
  methods::setClass("universalmotif",
    slots = c(
      name = "character", alphabet = "character", type = "character", motif = "matrix",
      bkg = "numeric", pseudocount = "numeric"
    ),
    where = where
  )
  alphabet <- if ("U" %in% rownames(motif)) "RNA" else "DNA"
  methods::new(methods::getClass("universalmotif", where = where),
    name = name, alphabet = alphabet, type = type, motif = motif, bkg = bkg, pseudocount = 0
  )
}

test_that("motifs of universalmotif become probabilities", {
  expected <- list(GATA = counts / 10)
  expect_equal(as_motif_matrices(universal(counts, "PCM")), expected)
  expect_equal(as_motif_matrices(list(universal(counts / 10, "PPM"))), expected)
  pseudo <- (counts + background) / 11
  weights <- log2(pseudo / background)
  expect_equal(as_motif_matrices(universal(weights, "PWM")), list(GATA = pseudo), tolerance = 1e-6)
  expect_identical(motif_consensus(list(universal(counts, "PCM"))), c(GATA = "GATA"))
})

test_that("motifs of another kind are refused with the reason", {
  refused <- function(x, message) {
    expect_error(as_motif_matrices(x), message, class = "seqlift_error_argument")
  }
  refused(3, "universalmotif or TFBSTools")
  refused(list(), "universalmotif or TFBSTools")
  refused(list(counts, 3), "universalmotif or TFBSTools")
  # Contributions stay as they are; their largest number is no letter.
  contributions <- (counts - 5) / 3
  object <- universal(contributions, "CWM")
  expect_equal(as_motif_matrices(object), list(GATA = contributions))
  expect_error(motif_consensus(object), "not contributions", class = "seqlift_error_argument")
  expect_error(substitute_motif("CCCCCCCC", object), "not contributions",
    class = "seqlift_error_argument")
  object@motif[1L] <- NaN
  refused(object, "finite numbers")
  skip_if_not_installed("TFBSTools")
  refused(TFBSTools::toICM(gata_object()), "not of type ICM")
  weights <- TFBSTools::toPWM(gata_object())
  weights@profileMatrix <- weights@profileMatrix * log(2)
  refused(weights, "do not sum to 1")
  empty <- gata_object()
  empty@profileMatrix[, 2L] <- 0
  refused(empty, "not all 0")
  rna <- gata_object()
  rownames(rna@profileMatrix) <- c("A", "C", "G", "U")
  refused(list(gata_object(), rna), "motifs\\[\\[2\\]\\].*A, C, G, U")
})
