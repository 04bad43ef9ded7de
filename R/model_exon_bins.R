# Bins by their places in the genome: those of exons, those of a score, and whether sequences lie
# where a score says that they do. Windows are data frames of one row, see range_places().

# list(bins, bins_in_all, bin_size, window) of a score: of these bins, or of those of exons.
placed_bins <- function(bins, exons, window, bin_size, borders, output, model, index, call) {
  check_package("GenomicRanges", "Placing bins in the genome", call)
  if (!is.null(exons)) {
    exons <- check_exons(exons, call)
  }
  if (is.null(window)) {
    abort_argument("window", "a GRanges with the range of the sequences", "`NULL`",
      hint = "Exons are places in the genome: where the sequences lie tells which bins they have.",
      call = call
    )
  }
  window <- check_bins_window(window, call)
  bin_size <- bin_size %||% output$bin_size
  if (is.null(bin_size)) {
    abort_argument("bin_size", "how many positions a bin has", "`NULL`",
      hint = "The model does not tell it.", call = call
    )
  }
  count <- size_at(output$bins_text, window$width)
  if (is.na(count)) {
    count <- counted_bins(model, index, output$order, window$width, call)
  }
  cut <- window$width - as.double(count) * bin_size
  if (cut < 0 || cut %% 2 != 0) {
    abort_argument("window", "as wide as the sequences that the model takes",
      paste0(
        window$width, " bp, in the middle of which ", count, " bins of ", bin_size, " bp do not lie"
      ),
      hint = "Or {.arg bin_size} is another.", call = call
    )
  }
  chosen <- if (is.null(exons)) {
    check_bins(bins, count, call)
  } else {
    exon_bins(range_places(exons), window, cut %/% 2L, bin_size, count, borders, call)
  }
  list(
    bins = chosen, bins_in_all = as.integer(count), bin_size = as.integer(bin_size),
    window = window
  )
}

check_exons <- function(exons, call) {
  if (methods::is(exons, "GRangesList")) {
    exons <- unlist(exons, use.names = FALSE)
  }
  if (!inherits(exons, "GRanges") || length(exons) == 0L) {
    abort_argument("exons", "a GRanges with one range or more",
      if (inherits(exons, "GRanges")) "one with none" else describe(exons),
      call = call
    )
  }
  exons
}

# The window as a data frame of one row.
check_bins_window <- function(window, call) {
  if (!inherits(window, "GRanges") || length(window) != 1L) {
    abort_argument("window", "a GRanges with one range",
      if (inherits(window, "GRanges")) paste("one with", length(window)) else describe(window),
      hint = "A model with exons is one of its window: make one for each, they share the weights.",
      call = call
    )
  }
  range_places(window)
}

# What only a prediction tells.
counted_bins <- function(model, index, order, length, call) {
  alone <- if (count_outputs(model) > 1L) select_output(model, index) else model
  output <- predict(alone, random_one_hot(c(1, 4, length), random_state = 0))
  output <- if (is.list(output)) output[[1L]] else output
  if (length(dim(output)) != 3L) {
    abort_seqlift("output",
      "{.arg model} must have an output of three dimensions, not of shape {dim(output)}.",
      call = call
    )
  }
  dim(output)[if (order == "bins_tracks") 2L else 3L]
}

# `cut`: how many positions lie before the first bin. Places are counted from 0 from the first
# position that is predicted, in the sequence's direction, ends behind the last.
exon_bins <- function(exons, window, cut, bin_size, count, borders, call) {
  first <- if (window$strand == "-") window$end - exons$end else exons$start - window$start
  here <- exons$seqnames == window$seqnames
  begin <- first[here] - cut
  end <- begin + exons$width[here]
  predicted <- count * bin_size
  inside <- end > 0 & begin < predicted
  place <- paste0(
    "the ", predicted, " bp that the model predicts in the middle of ", places_text(window)
  )
  if (!any(inside)) {
    abort_seqlift("argument",
      c("None of {.arg exons} lies in {place}.",
        x = "The first of {nrow(exons)} is {places_text(exons[1L, ])}.",
        i = if (!any(here)) {
          "None is on {window$seqnames}: the names of the chromosomes must be those of
           {.arg window}."
        }
      ),
      call = call
    )
  }
  out <- sum(!inside) + sum(!here)
  partly <- sum(inside & (begin < 0 | end > predicted))
  if (out + partly > 0L) {
    warn_seqlift("exons",
      c("Not all of {.arg exons} is scored: {out} of {nrow(exons)} exon{?s} lie{?s/} outside of
         {place}, {partly} in part.",
        i = "The score is of the bins of the others alone."
      ),
      call = call
    )
  }
  # As Borzoi's authors round, halves to the even border.
  down <- if (borders == "nearest") round else floor
  up <- if (borders == "nearest") round else ceiling
  spans <- merged_spans(begin[inside], end[inside])
  starts <- pmin(pmax(down(spans$begin / bin_size), 0), count)
  ends <- pmin(pmax(up(spans$end / bin_size), 0), count)
  bins <- unlist(Map(function(from, to) from + seq_len(max(to - from, 0)), starts, ends))
  if (length(bins) == 0L) {
    abort_seqlift("argument",
      c("{.arg exons} have no bin: none reaches from before the middle of a bin of {bin_size} bp to
         behind it.",
        i = "{.code borders = \"touched\"} takes every bin that holds a position of an exon."
      ),
      call = call
    )
  }
  sort(unique(as.integer(bins)))
}

# Ranges that overlap or touch as one.
merged_spans <- function(begin, end) {
  order <- order(begin, end)
  begin <- begin[order]
  end <- end[order]
  reached <- c(-Inf, cummax(end)[-length(end)])
  group <- cumsum(begin > reached)
  list(
    begin = as.vector(tapply(begin, group, min)), end = as.vector(tapply(end, group, max))
  )
}

#' @rdname select_bins
#' @export
bin_ranges <- function(model) {
  call <- rlang::current_env()
  check_model(model)
  score <- Find(function(one) one$kind == "select_bins" && !is.null(one$window), model$wrappers)
  if (is.null(score)) {
    abort_argument("model", "one with select_bins() around it that was given a `window`",
      "one without",
      call = call
    )
  }
  check_package("GenomicRanges", "Placing bins", call)
  window <- score$window
  bins <- if (length(score$bins) > 0L) score$bins else seq_len(score$bins_in_all)
  cut <- (window$width - score$bins_in_all * score$bin_size) %/% 2L
  begin <- cut + (bins - 1L) * score$bin_size
  start <- if (window$strand == "-") {
    window$end - begin - score$bin_size + 1L
  } else {
    window$start + begin
  }
  GenomicRanges::GRanges(
    window$seqnames,
    IRanges::IRanges(as.integer(start), width = score$bin_size),
    strand = window$strand, bin = bins
  )
}

# ---- the sequences that a score is of --------------------------------------------------------

# The windows that the model and what it was made of were made for.
score_windows <- function(model) {
  own <- lapply(model$wrappers, function(one) one$window)
  inner <- lapply(model$members, score_windows)
  Filter(Negate(is.null), c(own, unlist(inner, recursive = FALSE)))
}

# Sequences are read as the model's window: those that say otherwise are refused.
check_window <- function(model, sequences, call) {
  for (window in score_windows(model)) {
    text <- places_text(window)
    if (sequences$length != window$width) {
      abort_seqlift("ranges",
        c("The model scores bins of {text}, {window$width} bp, but the sequences have
           {sequences$length} bp.",
          i = "Which bins are meant is known for that window alone, see {.fn select_bins}."
        ),
        call = call
      )
    }
    if (is.null(sequences$ranges)) {
      next
    }
    places <- range_places(sequences$ranges)
    same <- places$seqnames == window$seqnames & places$start == window$start &
      places$end == window$end & (places$strand == "-") == (window$strand == "-")
    if (!all(same)) {
      odd <- which(!same)[1L]
      abort_seqlift("ranges",
        c("The model scores bins of {text}, but sequence {odd} lies at
           {places_text(places[odd, ])}.",
          i = "Make a model for each window: {.code select_bins(model, exons = , window = )}."
        ),
        call = call
      )
    }
  }
}
