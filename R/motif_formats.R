# Readers of the less common text formats of motifs. As in R/motif_read.R each gives a list with,
# for each motif, title, line (where it begins) and matrix, or problem: why it cannot be used.

# Which reader the lines are for; "jaspar" for what all others leave, HOMER's with it.
motif_format <- function(lines) {
  if (any(grepl("^(MEME version|letter-probability matrix|log-odds matrix)", lines,
    ignore.case = TRUE
  ))) {
    return("meme")
  }
  titled <- any(startsWith(lines, ">"))
  if (!titled && any(grepl(transfac_header, lines)) &&
    any(grepl("^(AC|ID|NA|DE|XX|VV|BF|//)([[:space:]]|$)", lines))) {
    return("transfac")
  }
  if (!titled && any(grepl(cisbp_header, lines, ignore.case = TRUE))) "cisbp" else "jaspar"
}

transfac_header <- "^P[0O]([[:space:]]+[ACGTUacgtu])+[[:space:]]*$"
cisbp_header <- "^Pos([[:space:]]+[ACGTU])+$"

# The title of a line that begins with ">". HOMER's have, between tabs, the consensus, the name, and
# the threshold of detection.
title_of <- function(line) {
  fields <- trimws(strsplit(sub("^>", "", line), "\t", fixed = TRUE)[[1L]])
  is_homer <- length(fields) >= 3L && !is.na(parse_number(fields[3L])) && nzchar(fields[2L])
  if (is_homer) fields[2L] else trimws(sub("^>", "", line))
}

# Rows of positions below a line with the letters: the position, four numbers, and, in TRANSFAC, the
# letter of the consensus. `end`: the line behind the last that may be one.
position_rows <- function(lines, header, end) {
  letters <- strsplit(chartr("U", "T", toupper(lines[header])), "[[:space:]]+")[[1L]][-1L]
  if (length(letters) != n_bases || !setequal(letters, base_letters)) {
    return(list(line = header, problem = "is for another alphabet than ACGT"))
  }
  at <- seq_len(end - header - 1L) + header
  is_row <- grepl("^[0-9]", lines[at])
  n_rows <- if (length(at) > 0L && is_row[1L]) rle(is_row)$lengths[1L] else 0L
  if (n_rows == 0L) {
    return(list(line = header, problem = "has no rows of a matrix below"))
  }
  at <- at[seq_len(n_rows)]
  rows <- lapply(strsplit(lines[at], "[[:space:]]+"), function(fields) {
    fields <- fields[seq_len(min(length(fields), n_bases + 1L))][-1L]
    numbers <- parse_number(fields)
    ifelse(numbers < 0, NA, numbers)
  })
  bad <- which(lengths(rows) != n_bases | vapply(rows, anyNA, NA))
  if (length(bad) > 0L) {
    return(list(line = at[bad[1L]], problem = "must hold 4 numbers of at least 0"))
  }
  matrix <- do.call(cbind, rows)[match(base_letters, letters), ]
  list(line = header, matrix = motif_matrix(matrix))
}

read_transfac <- function(lines) {
  headers <- grep(transfac_header, lines)
  ends <- c(grep("^//", lines), length(lines) + 1L)
  lapply(headers, function(header) {
    end <- min(ends[ends > header])
    start <- max(0L, ends[ends < header])
    own <- lines[seq_len(header - start - 1L) + start]
    field <- function(name) {
      found <- grep(paste0("^", name, "[[:space:]]"), own, value = TRUE)
      if (length(found) > 0L) gsub("[[:space:]]+", " ", trimws(sub("^..", "", found[1L]))) else ""
    }
    # The accession and a name that says more.
    fields <- c(field("AC"), field("NA"), field("ID"))
    fields <- unique(fields[nzchar(fields)])
    title <- paste(utils::head(fields, 2L), collapse = " ")
    c(list(title = if (nzchar(title)) title else "motif"), position_rows(lines, header, end))
  })
}

read_cisbp <- function(lines, path) {
  headers <- grep(cisbp_header, lines, ignore.case = TRUE)
  is_alone <- length(headers) == 1L && all(headers == which(nzchar(lines))[1L])
  lapply(seq_along(headers), function(i) {
    header <- headers[i]
    end <- if (i < length(headers)) headers[i + 1L] else length(lines) + 1L
    start <- if (i > 1L) headers[i - 1L] else 0L
    own <- lines[seq_len(header - start - 1L) + start]
    field <- function(name) {
      found <- grep(paste0("^", name, "[[:space:]]+"), own, value = TRUE)
      if (length(found) > 0L) trimws(sub(paste0("^", name), "", utils::tail(found, 1L))) else ""
    }
    title <- trimws(paste(field("Motif"), field("TF Name")))
    if (is_alone && !nzchar(title)) {
      title <- sub("[.](txt|pwm)([.]gz)?$", "", basename(path))
    }
    c(list(title = if (nzchar(title)) title else "motif"), position_rows(lines, header, end))
  })
}
