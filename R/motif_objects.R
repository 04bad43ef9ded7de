# Motifs in the classes of universalmotif and TFBSTools as matrices of probabilities.

#' Motifs as matrices
#'
#' Turns motifs of every kind, those of the universalmotif and TFBSTools packages among them, into
#' matrices of probabilities. [tomtom()], [marginalize()], [motif_consensus()] and the other
#' functions that take motifs take these objects as they are.
#'
#' Counts (`PFMatrix`, universalmotif type PCM) are divided by the sums of their columns. Weights
#' (`PWMatrix`, type PWM) are log2 of probability over background and are turned back with the
#' object's own background; where the probabilities then do not sum to 1 they are of another kind,
#' and refused. A `PWMatrix` that holds probabilities (`TFBSTools::toPWM(type = "prob")`) is taken
#' as it is. Pseudocounts that are in weights or probabilities stay in. Information content is
#' refused.
#'
#' Plain matrices of counts are divided, too: of whole numbers, or of numbers that sum to the same,
#' and to more than 1, at every position. Other matrices stay as they are, and so do contributions
#' (universalmotif type CWM), which [motif_consensus()] refuses.
#'
#' @param motifs A `universalmotif`, `PFMatrix`, `PWMatrix`, `PFMatrixList` or `PWMatrixList`, a
#'   matrix `[4, width]`, a list of such, the path of a file ([read_motifs()]), or a result of
#'   [discover_motifs()]. All for DNA.
#' @param matrix Which matrix of a pattern of [discover_motifs()]: `"ppm"` (default, probabilities),
#'   `"contributions"` or `"hypothetical"`.
#' @param trim_threshold Of patterns, cut the ends whose contributions (absolute, summed over the
#'   bases) are below this share of the largest, 0 (nothing) to 1. Default 0.3.
#' @return A list with a double matrix `[4, width]` for each motif, rows A, C, G and T; of objects
#'   and counts, columns that sum to 1 (of type CWM, its contributions). Names are those of the
#'   list, or the motifs' own: identifier and name (`"MA0036.3 GATA2"`) of TFBSTools, name of
#'   universalmotif; made unique.
#' @section Errors: `seqlift_error_argument` for anything else, other alphabets, information
#'   content, negative or missing counts, an empty column, or weights that are not log2 of
#'   probability over background.
#' @source Tremblay (2024), Journal of Open Source Software 9, 7012 (universalmotif); Tan and
#'   Lenhard (2016), Bioinformatics 32, 1555-1556 (TFBSTools).
#' @seealso [read_motifs()] for files, [export_motifs()]
#' @export
#' @examplesIf interactive() && requireNamespace("TFBSTools", quietly = TRUE)
#' # TFBSTools takes some ten seconds to load, which is why automatic checks pass this over.
#' counts <- TFBSTools::PFMatrix(
#'   ID = "MA0000.1", name = "short_GATA",
#'   profileMatrix = matrix(c(1, 1, 8, 0, 9, 0, 0, 1, 0, 0, 0, 10, 9, 0, 0, 1), 4,
#'     dimnames = list(c("A", "C", "G", "T"), NULL)
#'   )
#' )
#' as_motif_matrices(counts)
#' motif_consensus(TFBSTools::toPWM(counts))
as_motif_matrices <- function(motifs, matrix = c("ppm", "contributions", "hypothetical"),
                              trim_threshold = 0.3) {
  matrix <- check_choice(matrix, c("ppm", "contributions", "hypothetical"), "matrix")
  trim_threshold <- check_share(trim_threshold, "trim_threshold")
  if (is_motif_object(motifs)) {
    motifs <- motif_object_list(motifs)
  }
  if (is.list(motifs) && !inherits(motifs, "seqlift_motifs") && length(motifs) > 0L) {
    motifs <- name_motif_objects(motifs)
    names <- names(motifs) %||% rep("", length(motifs))
    names[names == ""] <- as.character(which(names == ""))
    motifs <- stats::setNames(motifs, make.unique(names, sep = " "))
  }
  motif_inputs(motifs, "motifs", matrix, trim_threshold)
}

# The classes by name: none of their packages has to be loaded to tell.
motif_object_classes <- c("universalmotif", "PFMatrix", "PWMatrix", "ICMatrix")
motif_list_classes <- c("PFMatrixList", "PWMatrixList", "ICMatrixList")

is_motif_object <- function(x) {
  isS4(x) && class(x)[1L] %in% c(motif_object_classes, motif_list_classes)
}

motif_object_list <- function(x) {
  if (!class(x)[1L] %in% motif_list_classes) {
    return(list(x))
  }
  # A list of S4Vectors, whose elements and names are slots.
  stats::setNames(x@listData, names(x@listData))
}

# Elements of a list without a name get that of their object.
name_motif_objects <- function(motifs) {
  names <- names(motifs) %||% rep("", length(motifs))
  for (i in which(names == "" & vapply(motifs, is_motif_object, logical(1L)))) {
    names[i] <- motif_object_name(motifs[[i]])
  }
  if (any(nzchar(names))) stats::setNames(motifs, names) else motifs
}

motif_object_name <- function(motif) {
  parts <- if (inherits(motif, "universalmotif")) motif@name else c(motif@ID, motif@name)
  parts <- parts[!is.na(parts) & nzchar(parts) & parts != "Unknown"]
  paste(unique(parts), collapse = " ")
}

consensus_of_objects <- function(motifs, call) {
  motifs <- name_motif_objects(if (is_motif_object(motifs)) motif_object_list(motifs) else motifs)
  labels <- paste0("motifs[[", seq_along(motifs), "]]")
  consensus <- Map(consensus_of_matrix, unname(motifs), labels, list(call))
  stats::setNames(as.character(unlist(consensus)), names(motifs))
}

# The probabilities of one object, [4, width], or its contributions, which have no consensus.
matrix_of_motif <- function(motif, arg, call, contributions = TRUE) {
  class <- class(motif)[1L]
  if (class %in% motif_list_classes) {
    abort_argument(arg, "one motif", describe(motif), call = call)
  }
  is_universal <- class == "universalmotif"
  numbers <- if (is_universal) motif@motif else motif@profileMatrix
  type <- if (is_universal) motif@type else
    c(PFMatrix = "PCM", PWMatrix = "PWM", ICMatrix = "ICM")[[class]]
  background <- if (is_universal) motif@bkg else motif@bg
  rows <- rownames(numbers)
  if (!is.numeric(numbers) || !setequal(rows, base_letters) || length(rows) != n_bases ||
    ncol(numbers) == 0L) {
    abort_argument(arg, "a motif of DNA, with the rows A, C, G and T", if (is.null(rows))
      "one without names of rows" else paste("one of", toString(rows)), call = call)
  }
  numbers <- motif_matrix(as.double(numbers[base_letters, ]))
  switch(type,
    PCM = , PPM = shares_of_columns(numbers, arg, call),
    PWM = {
      is_share <- all(is.finite(numbers)) && all(numbers >= 0) && sums_to_one(numbers)
      if (is_share) numbers else shares_of_weights(numbers, background, arg, call)
    },
    CWM = {
      if (!contributions) {
        abort_argument(arg, "counts, probabilities or weights", "contributions (type CWM)",
          hint = "Take {.code matrix = \"ppm\"} of the patterns that they come from.", call = call
        )
      }
      check_contributions(numbers, arg, call)
    },
    abort_argument(arg, "counts, probabilities, weights or contributions", paste("of type", type),
      hint = "Convert it, for example with {.fn universalmotif::convert_type}.", call = call
    )
  )
}

check_contributions <- function(numbers, arg, call) {
  if (!all(is.finite(numbers)) || any(abs(numbers) >= largest_weight)) {
    abort_argument(arg, "contributions that are finite numbers", "one with others", call = call)
  }
  numbers
}

shares_of_columns <- function(numbers, arg, call) {
  if (anyNA(numbers) || any(numbers < 0) || any(colSums(numbers) == 0) ||
    !all(is.finite(numbers))) {
    abort_argument(arg, "counts or probabilities of at least 0, not all 0 at a position",
      "one with others",
      call = call
    )
  }
  numbers / rep(colSums(numbers), each = nrow(numbers))
}

# Weights are log2(probability / background).
shares_of_weights <- function(numbers, background, arg, call) {
  # Without one, each base is as likely.
  if (length(background) == 0L) {
    background <- rep(1 / n_bases, n_bases)
  }
  background <- if (is.null(names(background))) background[seq_len(n_bases)] else
    background[base_letters]
  shares <- 2^numbers * unname(background)
  if (anyNA(shares) || !sums_to_one(shares)) {
    abort_argument(arg, "weights that are log2 of probability over background",
      "others: the probabilities do not sum to 1",
      hint = "Give counts or probabilities, or the matrix of weights alone for its consensus.",
      call = call
    )
  }
  shares
}

# As exact as numbers printed with four digits.
sums_to_one <- function(shares) all(abs(colSums(shares) - 1) < 1e-3)
