#' Read motifs from a file
#'
#' Reads motifs as matrices from the text formats of MEME, JASPAR, TRANSFAC, HOMER and CIS-BP, and
#' the patterns of TF-MoDISco from its HDF5 files. The content tells the format, not the name.
#'
#' * MEME (minimal or full): the sections "letter-probability matrix". Where every position of a
#'   motif sums to the same number above 1 (counts, or per cent) it is divided by it. Columns are in
#'   the order of the file's alphabet.
#' * JASPAR: `.jaspar`, with a letter before each row, and `.pfm`, with the rows alone. A plain
#'   matrix may also be transposed, with a row for each position: that is known by a line of letters
#'   above it or by its shape, and of four rows with four numbers by the sums, which are those of
#'   the positions.
#' * TRANSFAC (also JASPAR's `.transfac`): records with a line `P0` or `PO` of letters.
#' * HOMER: `.motif`, a row for each position below the consensus, the name and the thresholds.
#' * CIS-BP (also CISBP-RNA): a table below `Pos A C G T`, alone or one of many with lines
#'   that begin with `Motif` and `TF Name`.
#' * TF-MoDISco: HDF5 as tfmodisco-lite writes it, with contribution scores and seqlets.
#'
#' U is read as T.
#'
#' @param path Path of the file, plain or compressed; its content tells the format.
#' @param strict What to do with motifs that cannot be used, such as matrices with other numbers of
#'   rows than announced, negative or missing numbers, or probabilities that do not sum to 1:
#'   `FALSE` (default) drops them with one message, which counts them and names the first line;
#'   `TRUE` is an error. Where no motif would be left it is an error.
#' @return Of a text file a list with a double matrix `[4, width]` for each motif, in the order of
#'   the file, rows A, C, G and T: probabilities from MEME, HOMER and CIS-BP files, the numbers of
#'   the file (counts, usually) from JASPAR and TRANSFAC. The names are those of the file,
#'   identifier and other name (`"MA0036.3 GATA2"`), made unique; the file's own name for a table
#'   without one.
#'
#'   Of a file of TF-MoDISco the patterns as [discover_motifs()] gives them, named
#'   `"pos_patterns.pattern_0"` and so on, each with its probabilities, contributions, hypothetical
#'   contributions, seqlets and subpatterns. Positions of seqlets count from 1 in the window that
#'   was searched; where the file says how wide that was, it is the setting `window`.
#' @section Errors: `seqlift_error_file` if the file is missing, has no motif, is damaged, or is for
#'   another alphabet than that of DNA or RNA; the message names the line or the HDF5 object.
#'   `seqlift_error_package` for HDF5 without rhdf5.
#' @source The formats: <https://meme-suite.org/meme/doc/meme-format.html>,
#'   <https://jaspar.elixir.no/docs/>,
#'   <http://homer.ucsd.edu/homer/motif/creatingCustomMotifs.html>,
#'   <http://cisbp.ccbr.utoronto.ca/>, <https://github.com/jmschrei/tfmodisco-lite>.
#' @seealso [export_motifs()] writes them; [motif_consensus()], [tomtom()], [marginalize()] take
#'   them
#' @concept read_meme
#' @export
#' @examples
#' path <- tempfile(fileext = ".jaspar")
#' writeLines(c(
#'   ">MA0000.1 short_GATA",
#'   "A  [ 1 9 0 9 8 ]", "C  [ 1 0 0 0 1 ]", "G  [ 8 0 0 0 1 ]", "T  [ 0 1 10 1 0 ]"
#' ), path)
#' motifs <- read_motifs(path)
#' motifs
#' motif_consensus(motifs)
read_motifs <- function(path, strict = FALSE) {
  call <- rlang::current_env()
  check_flag(strict, "strict")
  path <- check_file(path)
  if (is_hdf5_file(path)) {
    return(read_modisco_h5(path, call))
  }
  lines <- trimws(read_text(path, "path", "a file of motifs", call))
  refuse_other_motif_formats(lines, path, call)
  motifs <- switch(motif_format(lines),
    meme = read_meme(lines, path, call),
    transfac = read_transfac(lines),
    cisbp = read_cisbp(lines, path),
    read_jaspar(lines, path)
  )
  if (length(motifs) == 0L) {
    abort_motif_file(path, NULL, "has no motif", call)
  }
  labels <- vapply(motifs, function(motif) {
    paste0("Line ", motif$line, " of ", basename(path))
  }, "")
  problems <- vapply(motifs, function(motif) motif$problem %||% NA_character_, "")
  kept <- usable_records(problems, labels, "motifs", basename(path), strict, "file",
    hint = motif_file_hint, call = call
  )
  stats::setNames(
    lapply(motifs[kept], function(motif) motif$matrix),
    make.unique(vapply(motifs[kept], function(motif) motif$title, ""), sep = " ")
  )
}

motif_file_hint <- "{.arg path} must be a motif file in the format of MEME, JASPAR, TRANSFAC, HOMER
  or CIS-BP, or one of TF-MoDISco (HDF5)."

refuse_other_motif_formats <- function(lines, path, call) {
  first <- utils::head(lines[nzchar(lines)], 5L)
  if (any(grepl("^(<\\?xml|<!DOCTYPE|<html)", first, ignore.case = TRUE))) {
    abort_motif_file(path, NULL, "is XML or HTML, which is for the eye: MEME writes the same motifs
      as text, in {.path meme.txt}", call)
  }
}

# Both readers give a list with, for each motif, title, line (where it begins) and matrix, or
# problem: why it cannot be used.

read_meme <- function(lines, path, call) {
  letters <- meme_letters(lines, path, call)
  headers <- grep(meme_header, lines, ignore.case = TRUE)
  log_odds <- grep("^log-odds matrix", lines, ignore.case = TRUE)
  if (length(headers) == 0L && length(log_odds) > 0L) {
    abort_motif_file(path, log_odds[1L], "begins a matrix of log-odds, and there is none of
      probabilities (letter-probability matrix)", call)
  }
  titles <- grep("^MOTIF([[:space:]]|$)", lines)
  lapply(headers, function(header) {
    title <- titles[titles < header]
    # The full format writes more behind the name.
    name <- if (length(title) > 0L) sub("[[:space:]]+width *=.*$", "", lines[max(title)]) else ""
    name <- gsub("[[:space:]]+", " ", trimws(sub("^MOTIF", "", name)))
    c(list(title = if (nzchar(name)) name else "motif"), meme_matrix(lines, header, letters))
  })
}

meme_header <- "^letter-probability matrix"

# The order of the columns. An RNA motif is that of the DNA it is written from.
meme_letters <- function(lines, path, call) {
  at <- grep("^ALPHABET", lines)
  if (length(at) == 0L) {
    return(base_letters)
  }
  value <- trimws(sub("^ALPHABET[[:space:]]*=?", "", lines[at[1L]]))
  if (grepl("^\"?[DR]NA\"?\\b", value)) {
    return(base_letters)
  }
  letters <- strsplit(chartr("U", "T", toupper(sub("[[:space:]].*$", "", value))), "")[[1L]]
  if (length(letters) != n_bases || !setequal(letters, base_letters)) {
    abort_motif_file(path, at[1L], "is for another alphabet than ACGT", call)
  }
  letters
}

meme_matrix <- function(lines, header, letters) {
  width <- regmatches(lines[header], regexec("\\bw *= *([0-9]+)", lines[header]))[[1L]]
  after <- utils::tail(lines, -header)
  is_row <- grepl("^[-+]?[.0-9]", after)
  first <- which(nzchar(after))[1L]
  if (is.na(first) || !is_row[first]) {
    return(list(line = header, problem = "has no rows of a matrix below"))
  }
  n_rows <- rle(is_row[seq(first, length(after))])$lengths[1L]
  if (length(width) == 2L && n_rows != as.numeric(width[2L])) {
    return(list(
      line = header, problem = paste("announces", width[2L], "rows, but", n_rows, "follow")
    ))
  }
  at <- header + first - 1L + seq_len(n_rows)
  rows <- lapply(lines[at], numbers_of_row)
  bad <- which(lengths(rows) != n_bases | vapply(rows, anyNA, NA))
  if (length(bad) > 0L) {
    return(list(line = at[bad[1L]], problem = "must hold 4 numbers of at least 0"))
  }
  matrix <- do.call(cbind, rows)
  sums <- colSums(matrix)
  # Counts, or per cent.
  if (all(sums > 1.05) && diff(range(sums)) <= 0.02 * max(sums)) {
    matrix <- matrix / rep(sums, each = n_bases)
  } else if (any(abs(sums - 1) > 0.05)) {
    return(list(
      line = at[which(abs(sums - 1) > 0.05)[1L]], problem = "has probabilities that do not sum to 1"
    ))
  }
  list(line = header, matrix = motif_matrix(matrix[match(base_letters, letters), ]))
}

read_jaspar <- function(lines, path) {
  filled <- which(nzchar(lines) & !startsWith(lines, "#"))
  is_title <- startsWith(lines[filled], ">")
  parts <- split(filled, cumsum(is_title))
  unname(lapply(parts, function(part) {
    titled <- startsWith(lines[part[1L]], ">")
    title <- if (titled) title_of(lines[part[1L]]) else basename(path)
    title <- gsub("[[:space:]]+", " ", title)
    at <- if (titled) part[-1L] else part
    read <- jaspar_matrix(lines, at, part[1L])
    c(list(title = if (nzchar(title)) title else "motif"), read)
  }))
}

# Rows of bases, with their letters or without, or (transposed) rows of positions, with a line of
# letters above them or without.
jaspar_matrix <- function(lines, at, title_line) {
  named <- jaspar_letters(lines, at)
  if (!is.null(named$problem)) {
    return(named)
  }
  rows <- lapply(gsub("[][|:]", " ", named$text), numbers_of_row)
  # A column of positions' numbers.
  if (named$transposed && length(rows) > 0L && all(lengths(rows) == n_bases + 1L)) {
    rows <- lapply(rows, `[`, -1L)
  }
  problem <- problem_of_rows(rows, named, title_line)
  if (!is.null(problem)) {
    return(problem)
  }
  matrix <- do.call(rbind, rows)
  if (named$transposed || (length(named$letters) == 0L && is_transposed(matrix))) {
    matrix <- t(matrix)
  }
  if (nrow(matrix) != n_bases) {
    return(not_four_rows(rows, title_line))
  }
  if (length(named$letters) > 0L) {
    matrix <- matrix[match(base_letters, named$letters), , drop = FALSE]
  }
  list(line = title_line, matrix = motif_matrix(matrix))
}

# Which base a row, or (transposed) a column is, where that is said: `letters`, NULL where it is
# not, with the lines `at` of numbers and their `text` without letters. A list(line, problem) where
# the letters are not those of four rows.
jaspar_letters <- function(lines, at) {
  header <- if (length(at) > 0L) strsplit(toupper(lines[at[1L]]), "[[:space:],|]+")[[1L]]
  header <- chartr("U", "T", header[!header %in% c("", "P0", "PO", "POS", "POSITION")])
  if (length(header) == n_bases && setequal(header, base_letters)) {
    return(list(letters = header, transposed = TRUE, at = at[-1L], text = lines[at[-1L]]))
  }
  text <- lines[at]
  own <- regmatches(text, regexpr("^[ACGTUacgtu](?=[[:space:]:|\\[])", text, perl = TRUE))
  own <- chartr("U", "T", toupper(own))
  if (length(own) == 0L) {
    return(list(letters = NULL, transposed = FALSE, at = at, text = text))
  }
  if (length(own) != length(at) || length(own) != n_bases || !setequal(own, base_letters)) {
    return(list(line = at[1L], problem = "must begin rows that are those of A, C, G and T"))
  }
  list(letters = own, transposed = FALSE, at = at, text = sub("^[A-Za-z]", "", text))
}

# list(line, problem) of rows of numbers that are no matrix of four bases, else NULL.
problem_of_rows <- function(rows, named, title_line) {
  unnamed <- !named$transposed && length(named$letters) == 0L
  if (length(rows) == 0L ||
    (unnamed && length(rows) != n_bases && !all(lengths(rows) == n_bases))) {
    return(not_four_rows(rows, title_line))
  }
  bad <- which(vapply(rows, anyNA, NA))
  if (length(bad) > 0L) {
    return(list(line = named$at[bad[1L]], problem = "must hold numbers of at least 0"))
  }
  if (length(unique(lengths(rows))) != 1L) {
    list(line = named$at[1L], problem = "begins rows of different lengths")
  }
}

not_four_rows <- function(rows, title_line) {
  problem <- paste("must be followed by four rows of numbers, not", length(rows))
  list(line = title_line, problem = problem)
}

# Four numbers a row are a position each where there are not four rows. Of four rows with four
# numbers the sums tell: the numbers of one position have the same sum at each.
is_transposed <- function(matrix) {
  if (ncol(matrix) != n_bases || nrow(matrix) != n_bases) {
    return(nrow(matrix) != n_bases && ncol(matrix) == n_bases)
  }
  even <- function(sums) diff(range(sums)) <= 0.02 * max(sums)
  even(rowSums(matrix)) && !even(colSums(matrix))
}

# NA for what is no number of at least 0.
numbers_of_row <- function(text) {
  numbers <- parse_number(strsplit(trimws(text), "[[:space:],;]+")[[1L]])
  if (length(numbers) == 0L) NA_real_ else ifelse(numbers < 0, NA, numbers)
}

motif_matrix <- function(numbers) {
  matrix(numbers, n_bases, dimnames = list(base_letters, NULL))
}

abort_motif_file <- function(path, line, problem, call) {
  place <- if (is.null(line)) "" else paste0("Line ", line, " of ")
  abort_seqlift("file",
    c("{place}{.path {path}} {problem}.",
      i = motif_file_hint
    ),
    call = call
  )
}

#' Take the consensus of motif matrices
#'
#' The letter of the largest number of each position, the first of several equal ones; a position
#' whose four numbers are equal says nothing and becomes N.
#'
#' @param motifs A motif as a matrix `[4, width]`, rows A, C, G and T (in another order if they are
#'   named): counts, probabilities or weights (log-odds); or as an object of universalmotif or
#'   TFBSTools (see [as_motif_matrices()]); or a list of such, as [read_motifs()] returns.
#' @return A character vector with the consensus of each motif, in A, C, G, T and N, and the names
#'   of the list; objects without one have their own.
#' @section Errors: `seqlift_error_argument` for anything else, or for numbers that are missing.
#' @source [pwm_consensus()] with N, for weights too.
#' @seealso [pwm_consensus()] for one-hot arrays
#' @export
#' @examples
#' counts <- cbind(c(1, 0, 9, 0), c(8, 1, 0, 1), c(0, 0, 0, 10), c(5, 5, 5, 5))
#' motif_consensus(counts)
motif_consensus <- function(motifs) {
  call <- rlang::current_env()
  if (is_motif_object(motifs)) {
    motifs <- motif_object_list(motifs)
  }
  if (!is.list(motifs) || is.data.frame(motifs)) {
    return(consensus_of_matrix(motifs, "motifs", call))
  }
  motifs <- name_motif_objects(motifs)
  labels <- paste0("motifs[[", seq_along(motifs), "]]")
  consensus <- Map(consensus_of_matrix, unname(motifs), labels, list(call))
  stats::setNames(as.character(unlist(consensus)), names(motifs))
}

consensus_of_matrix <- function(motif, arg, call) {
  if (is_motif_object(motif)) {
    motif <- matrix_of_motif(motif, arg, call, contributions = FALSE)
  }
  rows <- if (is.matrix(motif)) toupper(rownames(motif))
  fits <- is.matrix(motif) && is.numeric(motif) && nrow(motif) == n_bases && ncol(motif) > 0L &&
    !anyNA(motif) && (length(rows) == 0L || setequal(rows, base_letters))
  if (!fits) {
    abort_argument(arg, "a numeric matrix with the rows A, C, G, T and a column for each position",
      describe(motif),
      hint = if (is.matrix(motif) && ncol(motif) == n_bases) "Transpose it with {.fn t}.",
      call = call
    )
  }
  if (length(rows) > 0L) {
    motif <- motif[match(base_letters, rows), , drop = FALSE]
  }
  letters <- base_letters[max.col(t(motif), ties.method = "first")]
  letters[apply(motif, 2L, function(column) all(column == column[1L]))] <- "N"
  paste(letters, collapse = "")
}
