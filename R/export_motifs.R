#' Write motifs to a file
#'
#' Writes motifs in the format of MEME, of JASPAR, or in the HDF5 layout of TF-MoDISco, by the
#' ending of the path. [read_motifs()] reads all of them.
#'
#' * `.meme`: MEME's minimal format, probabilities with eight digits. Tomtom, FIMO and the other
#'   programs of the MEME suite read it.
#' * `.jaspar`, `.pfm`: whole counts, which for probabilities are `n_sites` times the probability,
#'   rounded so that every position has as many. `.pfm` leaves the letters out.
#' * `.h5`, `.hdf5`: what tfmodisco-lite writes and its reports, Fi-NeMo and the reports of
#'   ChromBPNet read: matrices and seqlets of every pattern and subpattern. Only for results of
#'   [discover_motifs()] and of `read_motifs()` from such a file. Patterns are numbered anew within
#'   each sign, and `is_revcomp` is 0 or 1. tfmodisco-lite itself also keeps the sequence and the
#'   scores of every seqlet; they are written when `attributions` are given.
#'
#' @param motifs Motifs, as [tomtom()] takes them.
#' @param path Path of the file, whose ending says the format. A file that is there is replaced when
#'   the new one is whole.
#' @param attributions For HDF5: the hypothetical attributions in which the patterns were found, a
#'   `seqlift_attributions`; or `NULL` (default).
#' @param n_sites For probabilities: of how many sequences they are said to be, a whole number.
#'   Default 1000; of patterns always the number of their seqlets.
#' @param trim_threshold For patterns in a text format: cut the ends whose contributions are below
#'   this share of the largest, 0 (nothing, default) to 1.
#' @return `path`, invisibly.
#' @section Errors: `seqlift_error_argument` for another ending, motifs that are neither
#'   probabilities nor counts in a text format, no patterns for HDF5, or attributions that do not
#'   hold the seqlets; `seqlift_error_file` for a path that cannot be written;
#'   `seqlift_error_package` for HDF5 without rhdf5.
#' @source <https://meme-suite.org/meme/doc/meme-format.html>, <https://jaspar.elixir.no/docs/>,
#'   `modiscolite/io.py` of tfmodisco-lite 2.6 (Schreiber).
#' @seealso [read_motifs()]
#' @export
#' @examples
#' motif <- cbind(c(0, 0, 1, 0), c(0.9, 0.1, 0, 0), c(0, 0, 0.25, 0.75))
#' path <- tempfile(fileext = ".meme")
#' export_motifs(list(GAT = motif), path)
#' writeLines(readLines(path))
#' read_motifs(path)
export_motifs <- function(motifs, path, attributions = NULL, n_sites = 1000L, trim_threshold = 0) {
  call <- rlang::current_env()
  path <- check_output_path(path, "path")
  ending <- tolower(sub("^.*[.]", "", basename(path)))
  format <- motif_endings[ending]
  if (!grepl(".", basename(path), fixed = TRUE) || is.na(format)) {
    abort_argument("path",
      paste("the path of a file that ends in", toString(paste0(".", names(motif_endings)))),
      describe(path),
      hint = "The ending says the format."
    )
  }
  n_sites <- check_count(n_sites, "n_sites")
  trim_threshold <- check_share(trim_threshold, "trim_threshold")
  if (format == "h5") {
    return(export_patterns(motifs, path, attributions, call))
  }
  matrices <- motif_inputs(motifs, "motifs", trim_threshold = trim_threshold, counts = "counts")
  sites <- rep(n_sites, length(matrices))
  if (inherits(motifs, "seqlift_motifs")) {
    sites <- vapply(unclass(motifs), function(pattern) max(1L, nrow(pattern$seqlets)), 1L)
  }
  for (i in seq_along(matrices)) {
    check_shares_or_counts(matrices[[i]], paste0("motifs[[", i, "]]"), call)
  }
  lines <- if (format == "meme") meme_lines(matrices, sites) else
    jaspar_lines(matrices, sites, lettered = format == "jaspar")
  write_whole(path, function(temporary) write_text(lines, temporary))
  invisible(path)
}

motif_endings <- c(meme = "meme", jaspar = "jaspar", pfm = "pfm", h5 = "h5", hdf5 = "h5")

check_shares_or_counts <- function(motif, label, call) {
  fits <- all(motif >= 0) && (is_counts(motif) || all(abs(colSums(motif) - 1) < 0.05))
  if (!fits) {
    abort_argument(label, "probabilities or counts",
      "a matrix with negative numbers, or positions that sum to something else",
      hint = "These formats hold no weights. Results of {.fn discover_motifs} go to {.file .h5}.",
      call = call
    )
  }
}

# One line, as the formats have it.
one_line <- function(names) trimws(gsub("[[:space:]]+", " ", names))

meme_lines <- function(matrices, sites) {
  head <- c(
    "MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", "", "Background letter frequencies",
    "A 0.25 C 0.25 G 0.25 T 0.25", ""
  )
  body <- Map(function(name, motif, n) {
    sums <- colSums(motif)
    n <- if (is_counts(motif)) max(1, round(max(sums))) else n
    shares <- motif / rep(sums, each = n_bases)
    c(
      paste("MOTIF", name),
      sprintf("letter-probability matrix: alength= 4 w= %d nsites= %d E= 0", ncol(motif),
        as.integer(n)),
      apply(shares, 2L, function(x) paste0(" ", paste(sprintf("%.8f", x), collapse = "  "))), ""
    )
  }, one_line(names(matrices)), matrices, sites)
  c(head, unlist(body, use.names = FALSE))
}

jaspar_lines <- function(matrices, sites, lettered) {
  body <- Map(function(name, motif, n) {
    counts <- if (is_counts(motif) && all(motif == trunc(motif))) motif else
      apply(motif / rep(colSums(motif), each = n_bases), 2L, whole_counts,
        n = if (is_counts(motif)) max(1, round(max(colSums(motif)))) else n)
    rows <- apply(matrix(sprintf("%d", as.integer(counts)), n_bases), 1L, paste, collapse = " ")
    c(paste0(">", name), if (lettered) paste0(base_letters, "  [ ", rows, " ]") else rows)
  }, one_line(names(matrices)), matrices, sites)
  unlist(body, use.names = FALSE)
}

# Whole numbers in these proportions that sum to n: what is left goes to the largest remainders.
whole_counts <- function(shares, n) {
  exact <- shares * n
  counts <- floor(exact + 1e-9)
  left <- round(n - sum(counts))
  most <- order(exact - counts, decreasing = TRUE)[seq_len(left)]
  counts[most] <- counts[most] + 1
  counts
}

# The file counts positions in the window that was searched; read from a file, they are there
# already.
positions_in_window <- function(motifs) {
  before <- (attr(motifs, "settings", exact = TRUE)$first %||% 1L) - 1L
  shifted <- function(pattern) {
    pattern$seqlets$start <- pattern$seqlets$start - before
    pattern$seqlets$end <- pattern$seqlets$end - before
    pattern$subpatterns <- lapply(pattern$subpatterns, shifted)
    pattern
  }
  new_motifs(lapply(unclass(motifs), shifted), attr(motifs, "settings"), attr(motifs, "ranges"))
}

export_patterns <- function(motifs, path, attributions, call) {
  if (!inherits(motifs, "seqlift_motifs") || length(motifs) == 0L) {
    abort_argument("motifs", "patterns of `discover_motifs()`, at least one, for an HDF5 file",
      describe(motifs),
      hint = "Motifs without contributions go to {.file .meme} or {.file .jaspar}.", call = call
    )
  }
  check_package("rhdf5", "Writing an HDF5 file", call)
  window <- attr(motifs, "settings", exact = TRUE)$window
  motifs <- positions_in_window(motifs)
  cut <- NULL
  if (!is.null(attributions)) {
    check_hypothetical(attributions, call)
    length <- dim(attributions)[3L]
    offset <- if (is.null(window)) 0L else as.integer(length %/% 2L - window %/% 2L)
    tables <- lapply(unclass(motifs), function(pattern) pattern$seqlets)
    last <- max(0L, unlist(lapply(tables, function(one) one$end)))
    examples <- max(0L, unlist(lapply(tables, function(one) one$example)))
    if (offset < 0L || last + offset > length || examples > dim(attributions)[1L]) {
      abort_argument("attributions", paste0("those in which the patterns were found: of at least ",
        examples, " sequences and ", last, " bp"), describe(attributions), call = call)
    }
    cut <- seqlet_arrays(attributions, offset)
  }
  write_whole(path, function(temporary) write_modisco_h5(motifs, temporary, window, cut))
  invisible(path)
}
