# What results print never reaches beyond the console's width.

# Columns that text takes: letters of some scripts take two. fold_text() holds spaces by "\r".
columns_of <- function(text) nchar(gsub("\r", " ", text, fixed = TRUE), "width")

# Lines of at most that width: broken between words, and within a word that is longer than a line
# (a path). `exdent`: columns that the lines after the first are indented by.
fold_text <- function(text, exdent = 0L, first = exdent) {
  width <- max(getOption("width"), exdent + 10L)
  # A shape, [8, 4, 500], stays in one piece.
  text <- gsub(", (?=[^\\[\\]]*\\])", ",\r", text, perl = TRUE)
  words <- strsplit(text, " ", fixed = TRUE)[[1L]]
  room <- width - max(exdent, first)
  words <- unlist(lapply(words, function(word) {
    pieces <- character()
    while (columns_of(word) > room) {
      piece <- strtrim(word, room)
      pieces <- c(pieces, piece)
      word <- substring(word, nchar(piece) + 1L)
    }
    c(pieces, word)
  }))
  lines <- character()
  line <- ""
  at <- first
  for (word in words) {
    wider <- if (nzchar(line)) paste(line, word) else word
    if (nzchar(line) && at + columns_of(wider) > width) {
      lines <- c(lines, line)
      line <- word
      at <- exdent
    } else {
      line <- wider
    }
  }
  gsub("\r", " ", c(lines, line), fixed = TRUE)
}

# A paragraph.
cat_text <- function(...) {
  cli::cat_line(fold_text(paste0(...)))
}

# The name of a field, then what it holds.
cat_field <- function(name, value) {
  if (length(value) > 0L && nzchar(value)) {
    indent <- 15L
    label <- formatC(paste0("  ", name, ":"), width = -indent)
    lines <- fold_text(value, exdent = indent, first = max(nchar(label), indent))
    cli::cat_line(c(label, rep(strrep(" ", indent), length(lines) - 1L)), lines)
  }
}

# A name, then its lines one below the other.
print_rows <- function(name, lines) {
  indent <- 19L
  lines <- unlist(lapply(lines, fold_text, exdent = indent))
  names <- c(name, rep("", length(lines) - 1L))
  cli::cat_line("  ", format(names, width = 17L), lines)
}

# Columns of text are not cut below this.
narrowest_column <- 10L

# A data frame as it is printed: at most `max_rows` rows, said if there are more, and columns of
# text shortened in their middles, to one width for the widest, so that a row fits a line.
print_table <- function(table, max_rows = Inf, digits = 3L, hint = "as.data.frame() has all") {
  n <- nrow(table)
  shown <- utils::head(table, max_rows)
  text <- vapply(shown, function(column) is.character(column) || is.factor(column), logical(1L))
  columns <- lapply(shown, function(column) {
    if (is.character(column) || is.factor(column)) {
      # NA is not shown as a name.
      ifelse(is.na(column), "", as.character(column))
    } else {
      format(column, digits = digits)
    }
  })
  widths <- vapply(names(columns), function(name) max(columns_of(c(name, columns[[name]]))), 0)
  widest <- max(c(widths[text], narrowest_column))
  while (widest > narrowest_column &&
    sum(ifelse(text, pmin(widths, widest), widths) + 1L) > getOption("width")) {
    widest <- widest - 1
  }
  columns[text] <- lapply(columns[text], shorten_each, width = widest)
  # Text on the left of its column, numbers on the right.
  padded <- Map(function(name, column, is_text) {
    cells <- c(name, column)
    room <- strrep(" ", max(columns_of(cells)) - columns_of(cells))
    if (is_text) paste0(cells, room) else paste0(room, cells)
  }, names(columns), columns, text)
  for (block in column_blocks(vapply(padded, function(column) columns_of(column[1L]), 0) + 1L)) {
    lines <- do.call(paste, c(list(""), unname(padded[block])))
    cli::cat_line(trimws(lines, "right"))
  }
  if (n > nrow(shown)) {
    cat_text("and ", n - nrow(shown), " more rows (", hint, ")")
  }
}

# Which columns stand side by side: as many as fit a line.
column_blocks <- function(widths) {
  block <- integer(length(widths))
  at <- 0
  number <- 1L
  for (i in seq_along(widths)) {
    if (at > 0 && at + widths[i] > getOption("width")) {
      number <- number + 1L
      at <- 0
    }
    at <- at + widths[i]
    block[i] <- number
  }
  split(seq_along(widths), block)
}

# Text of at most `width` characters: the middle goes, as the ends of names tell more (a
# chromosome, a strand). Where names could no longer be told apart, what they begin with alike goes
# first.
shorten_each <- function(text, width) {
  short <- cut_middle(text, width)
  different <- !duplicated(text)
  if (anyDuplicated(short[different]) == 0L) {
    return(short)
  }
  long <- columns_of(text) > width
  alike <- common_start(text[long])
  text[long] <- paste0(if (alike > 0L) "\u2026", substring(text[long], alike + 1L))
  cut_middle(text, width)
}

# How many characters all of these names begin with, up to the last that ends a word of theirs.
common_start <- function(names) {
  names <- unique(names)
  letters <- strsplit(names, "")
  shortest <- min(lengths(letters))
  same <- vapply(seq_len(shortest), function(i) {
    length(unique(vapply(letters, `[`, "", i))) == 1L
  }, NA)
  alike <- letters[[1L]][seq_len(match(FALSE, same, shortest + 1L) - 1L)]
  max(0L, which(!grepl("[[:alnum:]]", alike)))
}

cut_middle <- function(text, width) {
  text <- as.character(text)
  long <- which(columns_of(text) > width)
  left <- ceiling((width - 1L) / 2)
  text[long] <- paste0(
    strtrim(text[long], left), "\u2026", turned(strtrim(turned(text[long]), width - 1L - left))
  )
  text
}

# Read from its end.
turned <- function(text) {
  vapply(strsplit(text, ""), function(letters) paste(rev(letters), collapse = ""), "")
}

# The same for names that must stay different from each other.
shorten <- function(names, width) {
  # plotly asks for the labels of numbers, too.
  make.unique(shorten_each(as.character(names), width), sep = " ")
}
