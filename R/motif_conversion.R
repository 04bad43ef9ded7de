# Patterns as objects of universalmotif and TFBSTools; the way back is as_motif_matrices().

#' Motifs for other packages
#'
#' Turns the patterns of [discover_motifs()] into the objects of Bioconductor's packages for motifs:
#' `motifs_as_universalmotif()` for universalmotif, `motifs_as_pfmatrix()` for TFBSTools. The way
#' back is [as_motif_matrices()].
#'
#' Contributions are no probabilities. universalmotif has a type for them, CWM, since its version
#' 1.32; TFBSTools has none.
#'
#' @inheritParams as_motif_matrices
#' @param motifs A result of [discover_motifs()], or of [read_motifs()] of a file of TF-MoDISco.
#' @param matrix Which matrix: `"ppm"` (default; type PPM), `"contributions"` or `"hypothetical"`
#'   (type CWM).
#' @return `motifs_as_universalmotif()`: a list of `universalmotif` objects with the names of the
#'   patterns, of which each has the number of seqlets (`nsites`), both strands, and the sign of its
#'   contributions (`extrainfo`). `motifs_as_pfmatrix()`: a `PFMatrixList` with counts: the
#'   probabilities times the number of seqlets (of a file without seqlets, times 1000), in whole
#'   numbers that sum to the same at every position; `tags` have the sign and the consensus.
#' @section Errors: `seqlift_error_argument` for motifs that are no patterns, or none; and
#'   `seqlift_error_package` without the package, or for contributions with a universalmotif that
#'   has no type for them.
#' @source Tremblay (2024), Journal of Open Source Software 9, 7012 (universalmotif); Tan and
#'   Lenhard (2016), Bioinformatics 32, 1555-1556 (TFBSTools).
#' @seealso [as_motif_matrices()], [export_motifs()]
#' @export
#' @examplesIf interactive() && requireNamespace("TFBSTools", quietly = TRUE)
#' # TFBSTools takes some ten seconds to load, which is why automatic checks pass this over.
#' site <- t(one_hot_encode("AGATAAG")[1, , ])
#' pattern <- list(
#'   name = "pos_patterns.pattern_0", sign = "positive", ppm = site, contributions = site,
#'   hypothetical = site, subpatterns = list(),
#'   seqlets = data.frame(example = 1:4, start = 40, end = 46, attribution = 7, strand = "+")
#' )
#' motifs <- structure(list(pos_patterns.pattern_0 = pattern), class = "seqlift_motifs")
#' motifs_as_pfmatrix(motifs)
motifs_as_universalmotif <- function(motifs, matrix = c("ppm", "contributions", "hypothetical"),
                                     trim_threshold = 0.3) {
  check_patterns(motifs)
  matrix <- check_choice(matrix, c("ppm", "contributions", "hypothetical"), "matrix")
  trim_threshold <- check_share(trim_threshold, "trim_threshold")
  check_package("universalmotif", "Motifs for universalmotif")
  type <- if (matrix == "ppm") "PPM" else "CWM"
  if (type == "CWM") {
    check_contribution_type(utils::packageVersion("universalmotif"))
  }
  Map(function(pattern, values) {
    universalmotif::create_motif(values,
      alphabet = "DNA", type = type, name = pattern$name, nsites = pattern_sites(pattern),
      strand = "+-", extrainfo = c(sign = pattern$sign)
    )
  }, unclass(motifs), pattern_matrices(motifs, matrix, trim_threshold))
}

#' @rdname motifs_as_universalmotif
#' @export
motifs_as_pfmatrix <- function(motifs, trim_threshold = 0.3) {
  check_patterns(motifs)
  trim_threshold <- check_share(trim_threshold, "trim_threshold")
  check_package("TFBSTools", "Motifs for TFBSTools")
  matrices <- Map(function(pattern, shares) {
    shares <- shares / rep(colSums(shares), each = n_bases)
    counts <- apply(shares, 2L, whole_counts, n = pattern_sites(pattern))
    TFBSTools::PFMatrix(
      ID = pattern$name, name = pattern$name, profileMatrix = motif_matrix(as.integer(counts)),
      tags = list(sign = pattern$sign, consensus = pattern_consensus(pattern))
    )
  }, unclass(motifs), pattern_matrices(motifs, "ppm", trim_threshold))
  do.call(TFBSTools::PFMatrixList, matrices)
}

check_patterns <- function(motifs, any = TRUE, call = caller_env()) {
  if (!inherits(motifs, "seqlift_motifs") || (any && length(motifs) == 0L)) {
    abort_argument("motifs", "a result of discover_motifs(), or of read_motifs() of its file",
      if (inherits(motifs, "seqlift_motifs")) "one without a pattern" else describe(motifs),
      call = call
    )
  }
}

# Files that were converted have no seqlets.
pattern_sites <- function(pattern) {
  n <- nrow(pattern$seqlets)
  if (n > 0L) n else sites_of_unknown
}

# As many as export_motifs() takes.
sites_of_unknown <- 1000L

# Signed weights that are neither probabilities nor log-odds came with this version.
contribution_type_version <- "1.31.46"

check_contribution_type <- function(version, call = caller_env()) {
  if (version < contribution_type_version) {
    abort_seqlift("package",
      c("universalmotif {format(version)} has no type of motif for contributions.",
        i = "Version 1.32 of Bioconductor has. {.code matrix = \"ppm\"} gives the probabilities."
      ),
      call = call
    )
  }
}
