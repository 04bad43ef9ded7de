#' Read motifs from a file
#'
#' Reads motifs as matrices from the text formats of MEME (minimal or full, the sections
#' "letter-probability matrix") and of JASPAR (`.jaspar`, with a letter before each row, and `.pfm`,
#' with the rows alone).
#'
#' @param path Path of the file; its content tells the format.
#' @return A list with a double matrix `[4, width]` for each motif, in the order of the file, rows
#'   A, C, G and T: probabilities from MEME files, counts from JASPAR files. The names are those of
#'   the file, identifier and other name (`"MA0036.3 GATA2"`), made unique; the file's own name for
#'   a `.pfm` without one.
#' @section Errors: `seqlift_error_file` if the file is missing, has no motif, is damaged, or is for
#'   another alphabet than that of DNA; the message names the line.
#' @source The formats: <https://meme-suite.org/meme/doc/meme-format.html>,
#'   <https://jaspar.elixir.no/docs/>.
#' @seealso [motif_consensus()], [marginalize()], which takes such a list as `motifs`
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
read_motifs <- function(path) {
  call <- rlang::current_env()
  path <- path.expand(check_string(path, "path"))
  if (!file.exists(path) || dir.exists(path)) {
    abort_seqlift("file", "There is no file {.path {path}} ({.arg path}).")
  }
  lines <- trimws(readLines(path, warn = FALSE))
  is_meme <- any(grepl("^(MEME version|letter-probability matrix)", lines))
  motifs <- if (is_meme) read_meme(lines, path, call) else read_jaspar(lines, path, call)
  if (length(motifs) == 0L) {
    abort_motif_file(path, NULL, "has no motif", call)
  }
  names(motifs) <- make.unique(names(motifs), sep = " ")
  motifs
}

read_meme <- function(lines, path, call) {
  alphabet <- grep("^ALPHABET", lines)
  if (length(alphabet) > 0L && !grepl("^ALPHABET *= *ACGT$|\"?DNA\"?", lines[alphabet[1L]])) {
    abort_motif_file(path, alphabet[1L], "is for another alphabet than ACGT", call)
  }
  headers <- grep("^letter-probability matrix", lines)
  titles <- grep("^MOTIF[[:space:]]", lines)
  motifs <- lapply(headers, function(header) {
    width <- regmatches(lines[header], regexec("\\bw *= *([0-9]+)", lines[header]))[[1L]]
    after <- utils::tail(lines, -header)
    is_row <- grepl("^[-+]?[.0-9]", after)
    first <- which(nzchar(after))[1L]
    if (is.na(first) || !is_row[first]) {
      abort_motif_file(path, header, "has no rows of a matrix below", call)
    }
    n_rows <- rle(is_row[seq(first, length(after))])$lengths[1L]
    if (length(width) == 2L && n_rows != as.integer(width[2L])) {
      abort_motif_file(path, header,
        paste("announces", width[2L], "rows, but", n_rows, "follow"), call
      )
    }
    at <- header + first - 1L + seq_len(n_rows)
    rows <- lapply(at, function(line) parse_numbers(lines[line], path, line, call, size = n_bases))
    motif_matrix(do.call(cbind, rows))
  })
  names(motifs) <- vapply(headers, function(header) {
    title <- titles[titles < header]
    if (length(title) == 0L) {
      return("motif")
    }
    # The full format writes more behind the name.
    name <- sub("[[:space:]]+width *=.*$", "", lines[max(title)])
    gsub("[[:space:]]+", " ", sub("^MOTIF[[:space:]]+", "", name))
  }, character(1L))
  motifs
}

read_jaspar <- function(lines, path, call) {
  filled <- which(nzchar(lines) & !startsWith(lines, "#"))
  is_title <- startsWith(lines[filled], ">")
  group <- cumsum(is_title)
  lapply(split(seq_along(filled), group), function(part) {
    titled <- is_title[part[1L]]
    at <- filled[if (titled) part[-1L] else part]
    title <- if (titled) sub("^>[[:space:]]*", "", lines[filled[part[1L]]]) else basename(path)
    if (length(at) != n_bases) {
      abort_motif_file(path, filled[part[1L]],
        paste("must be followed by four rows of numbers, not", length(at)), call
      )
    }
    first <- regexpr("^[ACGTacgt](?=[[:space:]\\[])", lines[at], perl = TRUE)
    letters <- regmatches(lines[at], first)
    if (!length(letters) %in% c(0L, n_bases) ||
      (length(letters) > 0L && !setequal(toupper(letters), base_letters))) {
      abort_motif_file(path, at[1L], "must begin rows that are those of A, C, G and T", call)
    }
    numbers <- lapply(at, function(line) {
      bare <- gsub("^[ACGTacgt]?[[:space:]]*\\[?|\\]$", "", lines[line], perl = TRUE)
      parse_numbers(bare, path, line, call)
    })
    if (length(unique(lengths(numbers))) != 1L) {
      abort_motif_file(path, at[1L], "begins rows of different lengths", call)
    }
    rows <- if (length(letters) == 0L) seq_len(n_bases) else match(base_letters, toupper(letters))
    list(title = gsub("[[:space:]]+", " ", title), matrix = do.call(rbind, numbers[rows]))
  }) |>
    name_motifs()
}

name_motifs <- function(motifs) {
  motifs <- unname(motifs)
  stats::setNames(
    lapply(motifs, function(motif) motif_matrix(motif$matrix)),
    vapply(motifs, function(motif) motif$title, character(1L))
  )
}

motif_matrix <- function(numbers) {
  matrix(numbers, n_bases, dimnames = list(base_letters, NULL))
}

parse_numbers <- function(text, path, line, call, size = NULL) {
  words <- strsplit(trimws(text), "[[:space:],]+")[[1L]]
  numbers <- suppressWarnings(as.numeric(words))
  fits <- length(numbers) > 0L && all(is.finite(numbers)) && all(numbers >= 0)
  if (!fits || !(is.null(size) || length(numbers) == size)) {
    expected <- if (is.null(size)) "numbers" else paste(size, "numbers")
    abort_motif_file(path, line, paste("must hold", expected, "of at least 0"), call)
  }
  numbers
}

abort_motif_file <- function(path, line, problem, call) {
  place <- if (is.null(line)) "" else paste0("Line ", line, " of ")
  abort_seqlift("file",
    c("{place}{.path {path}} {problem}.",
      i = "{.arg path} must be a motif file in the format of MEME or JASPAR."
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
    motif <- matrix_of_motif(motif, arg, call)
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
