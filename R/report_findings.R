# What a report says of its numbers: which seqlets there are, which sequences and windows are
# drawn, whether the attributions add up, how to make the page again.

# A seqlet is listed when it is at least this part of the strongest one.
report_seqlet_share <- 0.1

# Bases on each side of the middle of a window, and how many windows a sequence has.
report_flank <- 35L
report_windows <- 3L

# Deltas of more sequences than this are drawn for the worst ones only.
report_delta_rows <- 20L

# Seqlets of either sign, the strongest first, with their letters and what is known to be there.
find_report_seqlets <- function(report) {
  attributions <- as.array(report$attributions)
  min_len <- min(4L, dim(attributions)[3L])
  raising <- recursive_seqlets(attributions, min_len = min_len)
  lowering <- recursive_seqlets(-attributions, min_len = min_len)
  lowering$attribution <- -lowering$attribution
  seqlets <- rbind(raising, lowering)
  size <- abs(seqlets$attribution)
  seqlets <- seqlets[size > 0 & size >= report_seqlet_share * max(size, 0), ]
  seqlets <- seqlets[order(-abs(seqlets$attribution), seqlets$example, seqlets$start), ]
  rownames(seqlets) <- NULL
  letters <- core_decode(sequence_letters(report$sequences), paste(base_letters, collapse = ""))
  seqlets$letters <- substring(letters[seqlets$example], seqlets$start, seqlets$end)
  if (!is.null(report$known)) {
    seqlets$known <- vapply(seq_len(nrow(seqlets)), function(i) {
      toString(known_at(report$known, seqlets$example[i], seqlets$start[i], seqlets$end[i]))
    }, character(1L))
  }
  seqlets
}

# Where parts of sequences (or all of each) lie in the genome, as a reader or a genome browser takes
# it; NULL where that is not known.
genome_labels <- function(report, example = seq_along(report$labels), start = NULL, end = NULL) {
  if (is.null(report$ranges)) {
    return(NULL)
  }
  ranges <- report$ranges[example]
  if (!is.null(start)) {
    ranges <- window_ranges(ranges, start, end)
  }
  places <- range_places(ranges)
  first <- format(places$start, big.mark = ",", trim = TRUE, scientific = FALSE)
  last <- format(places$end, big.mark = ",", trim = TRUE, scientific = FALSE)
  paste0(
    places$seqnames, ":", first, ifelse(places$width > 1L, paste0("-", last), ""),
    ifelse(places$strand == "*", "", paste0(" (", sub("-", "\u2212", places$strand), ")"))
  )
}

# Names of the annotations that overlap a range of a sequence.
known_at <- function(known, example, start, end) {
  here <- (is.na(known$row) | known$row == example) & known$start <= end & known$end >= start
  unique(ifelse(known$label[here] == "", "yes", known$label[here]))
}

# The sequences to draw: all in their order, or if there are too many those with the strongest
# seqlet, then those with the strongest letter.
drawn_sequences <- function(report) {
  n <- report$sequences$n
  if (n <= report$top) {
    return(seq_len(n))
  }
  letters <- apply(abs(observed_values(report$attributions)), 1L, max)
  seqlets <- report$seqlets
  strongest <- vapply(seq_len(n), function(i) {
    max(abs(seqlets$attribution[seqlets$example == i]), 0)
  }, numeric(1L))
  utils::head(order(-strongest, -letters), report$top)
}

# Windows of a sequence, [start, end]: around its strongest seqlets, or its strongest letter.
report_windows_of <- function(report, i) {
  length <- report$sequences$length
  own <- report$seqlets[report$seqlets$example == i, ]
  middles <- (own$start + own$end) %/% 2L
  if (nrow(own) == 0L) {
    values <- abs(observed_values(report$attributions)[i, , 1L])
    middles <- if (any(values > 0)) which.max(values) else (length + 1L) %/% 2L
  }
  windows <- data.frame(start = integer(), end = integer())
  for (middle in middles) {
    covered <- any(windows$start + 5L <= middle & windows$end - 5L >= middle)
    if (nrow(windows) == report_windows || covered) next
    start <- max(1L, min(middle - report_flank, length - 2L * report_flank))
    windows[nrow(windows) + 1L, ] <- c(start, min(start + 2L * report_flank, length))
  }
  windows[order(windows$start), ]
}

# Seqlets and what is known, as the annotations of a logo.
report_marks <- function(report) {
  seqlets <- report$seqlets
  marks <- data.frame(
    example = seqlets$example, start = seqlets$start, end = seqlets$end,
    name = sprintf("seqlet %d", seq_len(nrow(seqlets)))
  )
  known <- report$known
  if (!is.null(known)) {
    everywhere <- is.na(known$row)
    repeated <- rep(which(everywhere), each = report$sequences$n)
    rows <- c(rep(seq_len(report$sequences$n), sum(everywhere)), known$row[!everywhere])
    known <- known[c(repeated, which(!everywhere)), ]
    marks <- rbind(marks, data.frame(
      example = rows, start = known$start, end = known$end, name = known$label
    ))
  }
  marks
}

# ---- do they add up? -----------------------------------------------------------------

# list(largest delta, largest change of the output, their ratio, level, verdict), or NULL for a
# method that compares with nothing.
judge_deltas <- function(attributions) {
  if (!has_references(attributions)) {
    return(NULL)
  }
  delta <- max(abs(convergence_deltas(attributions)))
  change <- attr(attributions, "info", exact = TRUE)$largest_output_change %||%
    max(abs(output_changes(attributions)))
  ratio <- if (change > 0) delta / change else if (delta > 0) Inf else 0
  level <- if (ratio <= audit_threshold) "good" else if (ratio <= 0.01) "fair" else "bad"
  verdict <- switch(level,
    good = "The attributions add up: what is missing is rounding of the computer's numbers.",
    fair = paste(
      "The attributions nearly add up: what is missing is more than rounding, but too little to",
      "change what the logos show."
    ),
    bad = paste(
      "The attributions do not add up. Do not trust the height of the letters before the cause is",
      "found; the section on the operations below names it."
    )
  )
  list(delta = delta, change = change, ratio = ratio, level = level, verdict = verdict)
}

delta_table <- function(report) {
  table <- as.data.frame(unclass(summary(report$attributions)))
  columns <- c("sum", if (has_references(report$attributions)) c("output_change", "max_delta"))
  cbind(Sequence = report$labels, stats::setNames(table[columns], c(
    "Sum of the letters", "Mean change of the prediction", "Largest miss"
  )[seq_along(columns)]))
}

# The result with the sequences whose deltas are largest, in their order.
worst_deltas <- function(attributions) {
  worst <- apply(abs(convergence_deltas(attributions)), 1L, max)
  attributions[sort(utils::head(order(-worst), report_delta_rows)), , ]
}

# ---- how to make it again ------------------------------------------------------------

# R code that makes the page again: the call as it was, with the seed, and the model.
reproducing_code <- function(call, model, random_state) {
  short <- function(value) {
    is.language(value) || is.null(value) || (is.atomic(value) && length(value) == 1L)
  }
  call[[1L]] <- as.name("attribution_report")
  # Values that came in place of names (from do.call()) would fill pages.
  for (arg in names(call)[-1L]) {
    if (!short(call[[arg]])) {
      call[[arg]] <- as.name(arg)
    }
  }
  call$random_state <- random_state
  code <- paste(rlang::expr_deparse(call, width = 80L), collapse = "\n")
  paste0("library(seqlift)\n", model_code(model), "\n", code)
}

model_code <- function(model) {
  steps <- vapply(model$wrappers, function(one) paste0(one$kind, "(", one$index, ")"), "")
  args <- model$args
  arrays <- args[lengths(args) > 1L]
  if (length(args) > 0L) {
    # An array stands for itself by its name.
    values <- ifelse(names(args) %in% names(arrays), names(args), as.character(args))
    filled <- paste(names(args), "=", values, collapse = ", ")
    steps <- c(paste0("with_args(list(", filled, "))"), steps)
  }
  shapes <- vapply(arrays, function(value) toString(dim(value) %||% length(value)), "")
  comments <- sprintf("# %s: an array [%s]\n", names(arrays), shapes)
  path <- model$path
  if (!is.null(model$origin)) {
    # Its file is in this session's temporary folder.
    path <- "model.pt"
    made_from <- paste("#", strwrap(paste0(
      "The model was made in R from ", origin_line(model), "; save_model(model, \"model.pt\") ",
      "keeps it."
    ), width = 78L))
    comments <- c(paste0(made_from, "\n"), comments)
  }
  first <- paste0("load_model(", encodeString(path, quote = "\""), ")")
  paste0(c(comments, "model <- ", paste(c(first, steps), collapse = " |>\n  ")), collapse = "")
}

# What was explained, by which model, with what: two columns of words.
report_facts <- function(report) {
  model <- report$model
  info <- attr(report$attributions, "info", exact = TRUE)
  libtorch <- engine$about$version %||% NA
  rows <- c(
    "Model file" = model_name(model),
    "Checksum of the model (md5)" = model$hash,
    "Model class" = paste0(
      model$info$class, ", ", format(model$info$parameters, big.mark = ",", scientific = FALSE),
      " parameters"
    ),
    "Explained output" = paste(c(
      vapply(model$wrappers, function(one) paste0(one$kind, "(", one$index, ")"), ""),
      paste("target", report$target)
    ), collapse = ", "),
    "Sequences" = paste0(report$sequences$n, " of ", report$sequences$length, " bp"),
    "Checksum of the sequences (md5)" = checksum_of(report$sequences),
    "Method" = method_line(report$attributions),
    "Numbers" = paste(c(info$dtype, info$device), collapse = ", "),
    "Seed (random_state)" = format(report$settings$random_state, scientific = FALSE),
    "seqlift" = as.character(utils::packageVersion("seqlift")),
    "LibTorch" = libtorch,
    "R" = paste0(R.version$major, ".", R.version$minor, ", ", R.version$platform),
    "Made" = format(Sys.time(), "%Y-%m-%d %H:%M %Z")
  )
  rows <- rows[!is.na(rows) & nzchar(rows)]
  data.frame(What = names(rows), Value = unname(rows))
}

# Of the letters, a sequence a line.
checksum_of <- function(sequences) {
  path <- tempfile()
  on.exit(unlink(path))
  letters <- core_decode(sequence_letters(sequences), paste(base_letters, collapse = ""))
  connection <- file(path, "wb")
  writeLines(letters, connection)
  close(connection)
  unname(tools::md5sum(path))
}

report_steps <- c(
  attributions = "Attributions", predictions = "Predictions", seqlets = "Seqlets",
  audit = "Audit of the operations", marginalization = "Motifs",
  variant_effects = "Effects of variants", variant_logos = "Attributions of variants"
)

time_table <- function(report) {
  seconds <- report$seconds
  pairs <- rep("", length(seconds))
  explained <- names(seconds) == "attributions"
  n_pairs <- length(convergence_deltas(report$attributions))
  pairs[explained] <- paste0(
    n_pairs, " pairs of a sequence and a reference, ",
    format(round(n_pairs / seconds[explained]), big.mark = ","), " a second"
  )
  data.frame(
    Step = unname(report_steps[names(seconds)]), Seconds = sprintf("%.2f", seconds), What = pairs
  )
}
