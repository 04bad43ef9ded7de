# What view_attributions() sends to the page: numbers as the upper three bytes of float32, base64.
# inst/htmlwidgets/lib/seqlift/decode.js reads it.

# Okabe and Ito (2008).
colour_blind_colours <- c(A = "#009E73", C = "#0072B2", G = "#E69F00", T = "#D55E00")

# Rounded to 16 significant bits, which are what the upper three bytes of a float32 hold.
pack_viewed <- function(values) {
  values <- as.double(values)
  exponent <- ifelse(values == 0, 0, floor(log2(abs(values))))
  unit <- 2^(exponent - 15)
  bytes <- writeBin(round(values / unit) * unit, raw(), size = 4L, endian = "little")
  gsub("\n", "", jsonlite::base64_enc(as.vector(matrix(bytes, 4L)[2:4, ])), fixed = TRUE)
}

pack_sequences <- function(x, rows, first) {
  bases <- observed_bases(x)
  names <- sequence_names(x) %||% paste("sequence", seq_len(dim(x)[1L]))
  ranges <- attr(x, "ranges", exact = TRUE)
  places <- if (!is.null(ranges)) whole_places(ranges, first, sequence_length_of(x))
  lapply(rows, function(row) {
    place <- if (!is.null(places)) {
      with(places[row, ], list(
        name = seqnames, start = start, end = end, strand = strand,
        text = paste0(
          seqnames, ":", format(start, big.mark = ","), "-", format(end, big.mark = ","),
          if (strand != "*") paste0(" (", strand, ")")
        )
      ))
    }
    list(name = names[row], letters = paste(bases[, row], collapse = ""), place = place)
  })
}

# The base that is there, and where every base has a score those of all four.
pack_view <- function(x, name, rows) {
  observed <- observed_values(x)[rows, , 1L, drop = FALSE]
  kind <- attr(x, "kind", exact = TRUE)
  view <- list(
    name = name, kind = kind, observed = pack_viewed(aperm(observed, c(2L, 1L, 3L))),
    low = min(observed), high = max(observed)
  )
  if (kind != "attributions") {
    all <- plain_numbers(x)[rows, , , drop = FALSE]
    view$all <- pack_viewed(aperm(all, c(2L, 3L, 1L)))
    view$all_low <- min(all)
    view$all_high <- max(all)
  }
  view
}

pack_track <- function(track, rows) {
  values <- track$values[rows, , , drop = FALSE]
  list(
    name = track$name, series = as.list(track$series), start = track$start,
    bin_width = track$bin_width, bins = dim(values)[3L], low = min(values), high = max(values),
    values = pack_viewed(aperm(values, c(3L, 2L, 1L)))
  )
}

# Marks of sequences that are not shown are left out; those of every sequence have none.
pack_marks <- function(marks, rows) {
  table <- marks$table
  kept <- which(is.na(table$row) | table$row %in% rows)
  items <- lapply(kept, function(i) {
    row <- match(table$row[i], rows)
    list(
      start = table$start[i], end = table$end[i], label = table$label[i],
      strand = if (table$strand[i] %in% c("+", "-")) table$strand[i] else "",
      sequence = if (is.na(row)) NULL else row - 1L, notes = as.list(marks$notes[[i]])
    )
  })
  list(name = marks$name, items = items)
}

# What else the table says of each mark, for the mouse.
mark_notes <- function(table) {
  known <- c(
    "start", "end", "name", "motif", "variant", "annotation", "strand", "sequence", "example"
  )
  columns <- table[vapply(table, is.atomic, NA) & !names(table) %in% known]
  lapply(seq_len(nrow(table)), function(i) {
    vapply(names(columns), function(column) {
      value <- columns[[column]][i]
      paste0(column, ": ", if (is.numeric(value)) format(value, digits = 4L) else value)
    }, "", USE.NAMES = FALSE)
  })
}

# A letter's rings as an SVG path in the unit square, y downwards.
letter_path <- function(letter) {
  point <- function(values) {
    flip <- rep(c(FALSE, TRUE), length(values) / 2L)
    paste(ifelse(flip, 1 - values, values), collapse = " ")
  }
  rings <- vapply(letter_rings[[letter]], function(steps) {
    moves <- vapply(steps[-1L], function(step) {
      paste0(if (length(step) == 2L) "L" else "C", point(step))
    }, "")
    paste0("M", point(steps[[1L]]), paste(moves, collapse = ""), "Z")
  }, "")
  paste(rings, collapse = "")
}

# What one sequence's rows need (the heights of rows.js), with the bar of buttons.
viewer_height <- function(payload, n_sequences) {
  all <- sum(vapply(payload$views, function(view) !is.null(view$all), NA))
  one <- 24 + length(payload$views) * (if (n_sequences > 1L) 76 else 120) +
    (if (payload$heatmap) 60 * all else 0) + 64 * length(payload$tracks) +
    48 * length(payload$annotations)
  min(900, 110 + n_sequences * one)
}
