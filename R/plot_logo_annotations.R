# Annotations under a logo: bars with their labels underneath, below the lowest letter, in
# as many tracks as it takes for none to meet another.

# Height of a track and width of a label's character, as parts of the range of the
# letters and of the window (at the 6 to 8 inches of a report).
logo_track_height <- 0.17
logo_labelled_tracks <- 8L
logo_character_width <- 0.011

# Every kind of annotations as a data frame: start, end, label, row (number of its
# sequence, or NA for all).
check_annotations <- function(annotations, values, length = dim(values)[3L],
                              call = caller_env()) {
  if (is.null(annotations)) {
    return(NULL)
  }
  if (inherits(annotations, "GRanges")) {
    names <- names(annotations)
    annotations <- as.data.frame(unname(annotations))
    annotations$sequence <- as.character(annotations$seqnames)
    annotations$name <- annotations$name %||% names
  }
  if (!is.data.frame(annotations) || !all(c("start", "end") %in% names(annotations))) {
    got <- if (is.data.frame(annotations)) {
      paste("one with", toString(names(annotations)))
    } else {
      describe(annotations)
    }
    abort_argument("annotations", "a data frame with columns start and end, or a GRanges", got,
      kind = "annotations", call = call
    )
  }
  within <- is.finite(annotations$start) & is.finite(annotations$end) &
    annotations$start >= 1 & annotations$start <= annotations$end & annotations$end <= length
  if (!all(within)) {
    bad <- which(!within)[1L]
    abort_argument(
      "annotations", paste0("ranges within the sequence (1 to ", length, " bp)"),
      paste0(annotations$start[bad], " to ", annotations$end[bad], " (row ", bad, ")"),
      hint = count_hint_of_rows(NULL, annotations$start), kind = "annotations", call = call
    )
  }
  data.frame(
    start = annotations$start,
    end = annotations$end,
    label = annotation_labels(annotations),
    row = annotation_rows(annotations$sequence %||% annotations$example, values, call)
  )
}

annotation_labels <- function(annotations) {
  name <- annotations$name %||% rep("", nrow(annotations))
  score <- annotations$score %||% annotations$attribution
  parts <- if (is.null(score)) name else paste(name, format(score, digits = 2L, trim = TRUE))
  trimws(as.character(parts))
}

annotation_rows <- function(sequence, values, call) {
  if (is.null(sequence)) {
    return(NA_integer_)
  }
  if (is.factor(sequence)) {
    sequence <- as.character(sequence)
  }
  known <- if (is.character(sequence)) dimnames(values)[[1L]] else seq_len(dim(values)[1L])
  rows <- match(sequence, known)
  if (anyNA(rows)) {
    abort_argument("annotations", "of the sequences drawn",
      toString(utils::head(unique(sequence[is.na(rows)]), 3L)),
      hint = "Its {.field sequence} must hold names or numbers of sequences.",
      kind = "annotations", call = call
    )
  }
  rows
}

# The annotations that reach into the window, with their panel and track: each goes into
# the uppermost track where neither its bar nor its label meets another's.
place_annotations <- function(annotations, rows, labels, start, end) {
  if (is.null(annotations)) {
    return(NULL)
  }
  character_width <- logo_character_width * (end - start + 1L)
  place_panel <- function(i) {
    mine <- is.na(annotations$row) | annotations$row == rows[i]
    marks <- annotations[mine & annotations$end >= start & annotations$start <= end, ]
    marks <- marks[order(marks$start, marks$end), ]
    marks$left <- pmax(marks$start, start) - 0.5
    marks$right <- pmin(marks$end, end) + 0.5
    marks$label <- shorten_labels(marks$label)
    marks <- place_mark_labels(marks, start, end, character_width)
    marks$track <- pack_tracks(
      pmin(marks$left, marks$text_left), pmax(marks$right, marks$text_right) + character_width
    )
    if (any(marks$track > logo_labelled_tracks)) {
      marks$label <- ""
      marks$track <- pack_tracks(marks$left, marks$right)
    }
    marks$panel <- factor(rep(labels[i], nrow(marks)), levels = labels)
    marks
  }
  do.call(rbind, lapply(seq_along(rows), place_panel))
}

# A label is centred under its bar, and begins or ends at the window's edge where it would be cut
# there in a narrow figure.
place_mark_labels <- function(marks, start, end, character_width) {
  width <- nchar(marks$label) * character_width
  centre <- (marks$left + marks$right) / 2
  first <- start - 0.5
  last <- end + 0.5
  at_left <- centre - width / 2 < first
  at_right <- !at_left & centre + width / 2 > last
  marks$hjust <- ifelse(at_left, 0, ifelse(at_right, 1, 0.5))
  marks$text_x <- ifelse(at_left, first, ifelse(at_right, last, centre))
  marks$text_left <- marks$text_x - marks$hjust * width
  marks$text_right <- marks$text_left + width
  marks
}

# A label longer than this would not fit into the plot at all.
annotation_label_width <- 40L

shorten_labels <- function(labels) {
  long <- nchar(labels) > annotation_label_width
  ifelse(long, paste0(substr(labels, 1L, annotation_label_width - 1L), "\u2026"), labels)
}

# First-fit packing of intervals that are sorted by their start.
pack_tracks <- function(left, right) {
  track <- integer(length(left))
  ends <- numeric(0)
  for (i in seq_along(left)) {
    free <- which(ends <= left[i])
    track[i] <- if (length(free) > 0L) free[1L] else length(ends) + 1L
    ends[track[i]] <- right[i]
  }
  track
}

# Bars with their labels underneath, below the lowest letter.
annotation_layers <- function(marks, ranges) {
  aes <- ggplot2::aes
  range <- ranges[match(marks$panel, ranges$panel), ]
  # never more room for the annotations than for the letters and half as much again
  step <- min(logo_track_height, 1.5 / max(marks$track)) * range$height
  marks$top <- range$low - (marks$track - 0.75) * step
  marks$bottom <- marks$top - 0.16 * step
  marks$text_y <- marks$bottom - 0.1 * step
  # room for the label of the lowest track
  marks$floor <- marks$bottom - 0.65 * step
  list(
    ggplot2::geom_blank(aes(y = .data$floor), marks),
    ggplot2::geom_rect(
      aes(xmin = .data$left, xmax = .data$right, ymin = .data$bottom, ymax = .data$top),
      marks,
      fill = "grey25"
    ),
    ggplot2::geom_text(
      aes(.data$text_x, .data$text_y, label = .data$label, hjust = .data$hjust), marks,
      size = 2.6, vjust = 1, colour = "grey15"
    )
  )
}
