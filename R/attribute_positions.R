# Where the columns of a result are in its sequences. Positions are those of the whole sequence,
# from 1: a result for a window knows the first one as `info$start` (dependency maps: attribute
# `start`) and the length of its sequences as `info$sequence_length`. Plain numbers that were taken
# of a result, or computed with it, have the positions as names of that axis, which arithmetic,
# apply() and the like keep. Without either, the first column is position 1.

# Names of the positions of a window; NULL for one that begins with the sequence, which needs none.
position_names <- function(first, length) {
  if (!is.null(first) && first > 1L) as.character(seq.int(first, length.out = length))
}

# The axis of a result that positions are on.
position_axis <- function(x) if (attr(x, "kind", exact = TRUE) == "multipliers") 4L else 3L

name_positions <- function(values, axes, first) {
  labels <- dimnames(values)
  if (is.null(labels)) {
    labels <- vector("list", length(dim(values)))
  }
  for (axis in axes) {
    labels[[axis]] <- as.character(seq.int(first, length.out = dim(values)[axis]))
  }
  dimnames(values) <- labels
  values
}

# The position of the first column of a result, or of plain numbers with positions on the axis
# `axis`. Those that are not one behind the other have no place in a sequence.
first_position <- function(x, axis = NULL, arg = "attributions", call = caller_env()) {
  known <- attr(x, "info", exact = TRUE)$start %||% attr(x, "start", exact = TRUE)
  if (!is.null(known)) {
    return(as.integer(known))
  }
  names <- if (!is.null(axis) && !inherits(x, "seqlift_attributions")) dimnames(x)[[axis]]
  if (is.null(names) || !all(grepl("^[1-9][0-9]{0,8}$", names))) {
    return(1L)
  }
  positions <- as.integer(names)
  if (any(diff(positions) != 1L)) {
    odd <- which(diff(positions) != 1L)[1L]
    abort_argument(arg, "of positions one behind the other",
      paste("of position", positions[odd + 1L], "behind", positions[odd]),
      hint = "Names of the positions say where they are; {.code dimnames(x) <- NULL} takes them
              away.",
      call = call
    )
  }
  positions[1L]
}

# How long the sequences of a result are, of a window too; NA where that is not known.
sequence_length_of <- function(x) {
  info <- attr(x, "info", exact = TRUE)
  own <- info$sequence_length %||% attr(x, "sequence_length", exact = TRUE)
  if (!is.null(own)) {
    return(as.integer(own))
  }
  known <- info$start %||% attr(x, "start", exact = TRUE)
  if (is.null(known) || known == 1L) n_positions(x) %||% NA_integer_ else NA_integer_
}

# "of 500 bp", or for a window "at positions 160 to 180 of 500".
positions_phrase <- function(x, length) {
  first <- first_position(x)
  whole <- sequence_length_of(x)
  if (first == 1L && (is.na(whole) || whole == length)) {
    return(paste("of", length, "bp"))
  }
  paste0(
    "at positions ", first, " to ", first + length - 1L,
    if (!is.na(whole)) paste0(" of ", whole)
  )
}

# ---- and in the genome -----------------------------------------------------------------

# Ranges of windows remember which position of the sequence their first base is, as
# `position_in_sequence`, so that positions of the sequence can be placed by them.
windowed_ranges <- function(ranges, first) {
  if (!is.null(ranges) && first > 1L) {
    S4Vectors::mcols(ranges)$position_in_sequence <- rep(as.integer(first), length(ranges))
  }
  ranges
}

# The position of the sequence that each range begins with (read on its strand).
range_offsets <- function(ranges) {
  position <- S4Vectors::mcols(ranges)$position_in_sequence
  whole <- is.numeric(position) && all(is.finite(position)) && all(position == trunc(position))
  if (whole) as.integer(position) else rep(1L, length(ranges))
}

# Where the position 1 and the last one of the sequences lie whose window, `ranges`, begins with
# `first`; as places (see range_places()). The last one is that of the window where the length of
# the sequences is not known.
whole_places <- function(ranges, first, length) {
  places <- range_places(ranges)
  before <- first - 1L
  after <- if (is.na(length)) 0L else length - before - places$width
  minus <- places$strand == "-"
  places$start <- places$start - ifelse(minus, after, before)
  places$end <- places$end + ifelse(minus, before, after)
  places$width <- places$end - places$start + 1L
  places
}
