# Attributions of many places laid over each other: mean and spread at each offset.

# What a base is called on the other strand, IUPAC's codes for several bases too.
iupac_bases <- c(
  A = "A", C = "C", G = "G", T = "T", R = "AG", Y = "CT", S = "CG", W = "AT", K = "GT", M = "AC",
  B = "CGT", D = "AGT", H = "ACT", V = "ACG", N = "ACGT"
)
iupac_complement <- function(motif) chartr("ACGTRYKMBVDH", "TGCAYRMKVBHD", motif)

# Wider windows are drawn as a line: their letters would be too narrow to be read.
global_max_letters <- 101L

#' Draw the mean of attributions over many places
#'
#' Lays the attributions of many sequences over each other, at their centres, at the places of a
#' motif or at annotations (seqlets, hits), and draws their mean at each position around, with a
#' band of their spread. What all places share stands out; what is particular to one of them
#' averages out.
#'
#' The number of a position is that of the letter that is there. The letters show how the mean is
#' made up: each base is as high as its attributions over all places, divided by the number of
#' places that reach there; their sum is the mean. Places on the reverse strand are turned around.
#' Positions beyond the end of a sequence are left out of the mean there.
#'
#' @param attributions A result of an attribution method of one target (class
#'   `seqlift_attributions`), an array `[n, 4, L]` of attributions of the letters that are there; or
#'   a named list of several, a panel each.
#' @param align What to align on: `NULL` (default), the centres of the sequences (position
#'   `L %/% 2 + 1`); a motif in letters such as `"TGASTCA"` (IUPAC codes), wherever the sequences
#'   have it, on both strands; or a table of places: a data frame with columns `start` and `end`
#'   (1-based, inclusive), `example` or `sequence` (number or name of the sequence) and, if known,
#'   `strand`, as of [recursive_seqlets()], [annotate_seqlets()] and [call_hits()]; or a `GRanges`,
#'   see [view_attributions()]. Of a motif or place with an even number of bases the position left
#'   of the middle is aligned.
#' @param flank How many positions to draw to either side, in bp. Default 25; `NULL`: as far as the
#'   sequences go, for alignment on their centres.
#' @param ... Not used; must be empty.
#' @param spread The band: `"standard_deviation"` (default) and `"standard_error"` to either side of
#'   the mean, or from the first to the third of the `"quartiles"`.
#' @param X The sequences, for arrays, where `align` is a motif. Default `NULL`: those of the
#'   result.
#' @param letters `TRUE` draws the mean as letters, `FALSE` as a line. Default `NULL`: letters for
#'   up to 101 positions.
#' @param colours Colours of the letters, as for [plot_logo()].
#' @param title Title of the plot. Default: none.
#' @return A ggplot; add themes, titles and scales as to any other. Its data frame has a row for
#'   each position and panel: `offset` from the aligned position (bp), `mean`, `low`, `high`,
#'   `places` (how many reach there), `panel`.
#' @section Errors: `seqlift_error_argument` for an argument of the wrong kind or shape, a motif
#'   that the sequences have less than twice, or less than two places; `seqlift_error_annotations`
#'   for places outside the sequences.
#' @source As the averaged profiles of motif instances in Avsec et al. (2021), Base-resolution
#'   models of transcription-factor binding reveal soft motif syntax.
#' @seealso [plot_logo()] for one sequence, [discover_motifs()], which finds what to align on
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' attributions <- attribute(model, demo_sequences(), "gradient_x_input")
#' plot_global(attributions, "GATA", flank = 12)
#' plot_global(attributions, flank = NULL)
plot_global <- function(attributions, align = NULL, flank = 25L, ...,
                        spread = c("standard_deviation", "standard_error", "quartiles"), X = NULL,
                        letters = NULL, colours = NULL, title = NULL) {
  check_no_dots(..., .fn = "plot_global", .after = "flank")
  call <- rlang::current_env()
  spreads <- c("standard_deviation", "standard_error", "quartiles")
  spread <- check_choice(spread, spreads, "spread")
  flank <- check_count(flank, "flank", min = 0, null = TRUE)
  if (is.null(flank) && !is.null(align)) {
    abort_argument("flank", "a number of positions where `align` is given", "`NULL`")
  }
  if (!is.null(letters)) {
    check_flag(letters, "letters")
  }
  colours <- check_logo_colours(colours)
  check_string(title, "title", null = TRUE)
  several <- is.list(attributions) && !is.data.frame(attributions)
  results <- if (several) check_named_results(attributions, call) else list(all = attributions)
  panels <- Map(function(one, name) {
    global_panel(one, align, flank, X, spread, factor(name, names(results)), call)
  }, results, names(results))
  table <- do.call(rbind, unname(lapply(panels, `[[`, "table")))
  bases <- do.call(rbind, unname(lapply(panels, `[[`, "bases")))
  counts <- vapply(panels, `[[`, 0L, "places")
  reach <- range(table$offset)
  letters <- letters %||% (diff(reach) < global_max_letters)
  labs <- ggplot2::labs(
    title = title, y = "Attribution", x = paste0("Position (bp) from ", aligned_words(align)),
    caption = paste0(
      "Mean of ", paste(unique(range(counts)), collapse = " to "), " places; band: ",
      spread_words[[spread]]
    )
  )
  global_ggplot(table, bases, letters, colours, reach, several) + labs
}

check_named_results <- function(results, call) {
  named <- length(results) > 0L && !is.null(names(results)) && all(nzchar(names(results))) &&
    !anyNA(names(results)) && anyDuplicated(names(results)) == 0L
  if (!named || length(results) > logo_max_panels) {
    abort_argument("attributions",
      paste("a result, or a list of at most", logo_max_panels, "with a name of its own each"),
      describe(results),
      call = call
    )
  }
  results
}

spread_words <- c(
  standard_deviation = "one standard deviation to either side",
  standard_error = "one standard error to either side", quartiles = "first to third quartile"
)

aligned_words <- function(align) {
  if (is.null(align)) {
    "the centre of the sequences"
  } else if (is.character(align)) {
    paste("the middle of", toupper(align))
  } else {
    "the middle of the places"
  }
}

# ---- numbers ------------------------------------------------------------------------------

# list(table: mean and spread at each offset; bases: what each base has of the mean, [4, W];
# places: how many).
global_panel <- function(attributions, align, flank, X, spread, panel, call) {
  values <- check_logo_values(attributions, call)
  first <- first_position(attributions, axis = length(dim(attributions)))
  bases <- heatmap_bases(attributions, X, values, call)
  values <- observed_by_base(attributions, values, bases)
  sites <- aligned_sites(align, attributions, values, bases, first, call)
  shape <- dim(values)
  if (nrow(sites) < 2L) {
    abort_argument("align", "of at least two places in the sequences",
      paste(nrow(sites), if (nrow(sites) == 1L) "place" else "places"),
      call = call
    )
  }
  offset <- if (is.null(flank)) seq_len(shape[3L]) - sites$anchor[1L] else seq.int(-flank, flank)
  windows <- aligned_windows(values, sites, offset)
  total <- sum_over_bases(windows)
  places <- colSums(!is.na(total))
  kept <- places > 0L
  mean <- colMeans(total, na.rm = TRUE)
  band <- spread_band(total, mean, places, spread)
  by_base <- apply(windows, 2:3, mean, na.rm = TRUE)
  rownames(by_base) <- attribution_bases
  table <- data.frame(
    offset = offset, mean = mean, low = band$low, high = band$high, places = as.integer(places),
    panel = panel
  )[kept, ]
  drawn <- logo_letters(array(by_base[, kept], c(1L, n_bases, sum(kept))), panel, 1L)
  drawn$x <- offset[kept][drawn$x]
  list(table = table, places = nrow(sites), bases = drawn)
}

spread_band <- function(total, mean, places, spread) {
  if (spread == "quartiles") {
    quartiles <- apply(total, 2L, stats::quantile, c(0.25, 0.75), na.rm = TRUE, names = FALSE)
    return(list(low = quartiles[1L, ], high = quartiles[2L, ]))
  }
  width <- apply(total, 2L, stats::sd, na.rm = TRUE)
  if (spread == "standard_error") {
    width <- width / sqrt(places)
  }
  list(low = mean - width, high = mean + width)
}

# The numbers of the letters that are there, zero at the other bases, [n, 4, L].
observed_by_base <- function(attributions, values, bases) {
  if (!inherits(attributions, "seqlift_attributions") ||
    attr(attributions, "kind", exact = TRUE) == "attributions") {
    return(values)
  }
  observed <- array(observed_values(attributions), dim(values)[c(1L, 3L)])
  for (i in seq_len(n_bases)) {
    values[, i, ] <- observed * (t(bases) == attribution_bases[i])
  }
  values
}

# Windows [places, 4, W] on the strand of each place; NA beyond the sequences.
aligned_windows <- function(values, sites, offset) {
  shape <- dim(values)
  position <- outer(sites$anchor, offset * 1L, function(anchor, offset) anchor + offset)
  minus <- sites$strand == "-"
  position[minus, ] <- outer(sites$anchor[minus], offset, `-`)
  outside <- position < 1L | position > shape[3L]
  position[outside] <- 1L
  windows <- array(NA_real_, c(nrow(sites), n_bases, length(offset)))
  for (i in seq_len(n_bases)) {
    base <- ifelse(minus, n_bases + 1L - i, i)
    index <- cbind(as.vector(row(position)), as.vector(position))
    own <- values[cbind(sites$row[index[, 1L]], base[index[, 1L]], index[, 2L])]
    own[as.vector(outside)] <- NA
    windows[, i, ] <- own
  }
  windows
}

# ---- places -------------------------------------------------------------------------------

# A data frame of row (sequence), anchor (column of `values`) and strand.
aligned_sites <- function(align, attributions, values, bases, first, call) {
  n <- dim(values)[1L]
  if (is.null(align)) {
    middle <- dim(values)[3L] %/% 2L + 1L
    return(data.frame(row = seq_len(n), anchor = rep(middle, n), strand = rep("+", n)))
  }
  if (is.character(align)) {
    return(motif_sites(align, bases, call))
  }
  if (!is.data.frame(align) && !inherits(align, "GRanges")) {
    abort_argument("align", "NULL, a motif in letters, or a table of places", describe(align),
      call = call
    )
  }
  if (inherits(align, "GRanges")) {
    align <- ranges_on_sequences(align, attributions, first)
  }
  align <- as.data.frame(align)
  last <- first + dim(values)[3L] - 1L
  table <- check_annotations(align, values, annotated_length(attributions, first, last), call)
  strand <- as.character(align$strand %||% rep("+", nrow(table)))
  centre <- anchor_of(table$start, table$end, strand) - first + 1L
  row <- table$row
  if (anyNA(row)) {
    abort_argument("align", "a table with a column `example` or `sequence`", "one without",
      call = call
    )
  }
  # Of a window some places may lie outside.
  inside <- centre >= 1L & centre <= dim(values)[3L]
  data.frame(row = row, anchor = centre, strand = strand)[inside, ]
}

# Of an even number of positions that left of the middle, as read on the strand.
anchor_of <- function(start, end, strand) {
  half <- (end - start) %/% 2L
  ifelse(strand == "-", end - half, start + half)
}

motif_sites <- function(motif, bases, call) {
  check_string(motif, "align", call = call)
  motif <- toupper(motif)
  codes <- strsplit(motif, "", fixed = TRUE)[[1L]]
  if (length(codes) == 0L || !all(codes %in% names(iupac_bases))) {
    abort_argument("align", "a motif in letters (A, C, G, T and IUPAC's for several of them)",
      describe(motif),
      call = call
    )
  }
  if (is.null(bases)) {
    abort_argument("X", "the sequences of `attributions`, which are plain numbers", "NULL",
      call = call
    )
  }
  turned <- paste(rev(strsplit(iupac_complement(motif), "", fixed = TRUE)[[1L]]), collapse = "")
  letters <- apply(bases, 2L, paste, collapse = "")
  of_strand <- function(motif, strand) {
    codes <- strsplit(motif, "", fixed = TRUE)[[1L]]
    # Behind a look ahead the next match may overlap.
    pattern <- paste0("(?=", paste0("[", iupac_bases[codes], "]", collapse = ""), ")")
    found <- gregexpr(pattern, letters, perl = TRUE)
    row <- rep(seq_along(found), lengths(found))
    start <- unlist(found)
    keep <- start > 0L
    end <- start + nchar(motif) - 1L
    data.frame(
      row = row, anchor = anchor_of(start, end, rep(strand, length(start))),
      strand = rep(strand, length(start))
    )[keep, ]
  }
  both <- of_strand(motif, "+")
  # A palindrome stands on both strands at one place.
  if (turned != motif) {
    both <- rbind(both, of_strand(turned, "-"))
  }
  both
}

# ---- the plot -----------------------------------------------------------------------------

global_ggplot <- function(table, bases, letters, colours, reach, several) {
  aes <- ggplot2::aes
  plot <- ggplot2::ggplot(table, aes(.data$offset)) +
    ggplot2::geom_ribbon(aes(ymin = .data$low, ymax = .data$high), fill = "grey85", na.rm = TRUE) +
    ggplot2::geom_hline(yintercept = 0, linewidth = 0.25, colour = "grey60")
  if (letters) {
    n_positions <- diff(reach) + 1L
    plot <- plot + polygon_layer(draw_letters(bases, n_positions), colours)
  } else {
    plot <- plot + ggplot2::geom_line(aes(y = .data$mean), linewidth = 0.4, colour = "#255C99")
  }
  plot <- plot +
    ggplot2::scale_x_continuous(breaks = whole_breaks, expand = c(0, 0)) +
    ggplot2::scale_y_continuous(expand = ggplot2::expansion(mult = 0.03)) +
    ggplot2::coord_cartesian(xlim = reach + c(-0.5, 0.5)) +
    logo_theme()
  if (several) plot + logo_panels(nlevels(table$panel), "fixed") else plot
}
