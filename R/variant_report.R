# A page about one variant: what is scored is score_variants()'s, the pairs of sequences are those
# of variant_alleles.R, the letters deep_lift_shap()'s; drawn by inst/rmarkdown/variant_report.Rmd
# with the elements of the attribution report.

#' Write a page about a variant
#'
#' Writes one HTML page that needs no other file and no network: what the variant does to the
#' prediction, the predicted profiles of both alleles, which letters the model reads in each (logos
#' on one scale, with standard errors), and which motifs the variant makes or breaks.
#'
#' @section What is computed:
#' The scores of [score_variants()]. [deep_lift_shap()] of the counts (of the profile where the
#' model has no counts, see [profile_score()]) for both alleles, with the same references, those of
#' the reference allele, so that the letters differ by the variant alone. [recursive_seqlets()] of
#' both alleles and either sign; those within `flank` bases of the variant are listed with what the
#' same stretch of letters is worth in the other allele. A motif is *made* where a seqlet of the
#' alternative allele is worth less than half as much, or of the other sign, in the reference
#' allele, and *broken* the other way round. With `motifs` each seqlet is compared with the database
#' by [annotate_seqlets()].
#'
#' @inheritParams score_variants
#' @param model A model, see [load_model()]. Other inputs than the sequence must be filled in
#'   ([with_args()]).
#' @param variant One variant with one alternative allele, in any of the forms that
#'   [score_variants()] takes.
#' @param output_file Path of the HTML file to write; its folder must exist. A file that is there is
#'   replaced when the new one is finished, not before.
#' @param ... Further arguments of [deep_lift_shap()], by name: `batch_size`, `rules`,
#'   `nonlinear_ops`, `fallback`, `warning_threshold`, `dtype`, `device`, `verbose`.
#' @param references A function that makes references, see [deep_lift_shap()].
#' @param n_shuffles How many references, at least 2. Default 20.
#' @param random_state A whole number; `NULL` (default) draws one from R's generator. The page says
#'   which it was.
#' @param motifs A database to name the motifs by: a path or motifs, see [annotate_seqlets()].
#'   A seqlet is called by the motif that it is most like where the match has a p-value of at most
#'   0.05. Default `NULL`: they are told by their letters.
#' @param flank How many bases to either side of the variant are drawn and searched for motifs.
#'   Default 35.
#' @param title Title of the page. Default: the variant's name.
#' @return The path, invisibly.
#' @section Errors: those of [score_variants()], [deep_lift_shap()] and [annotate_seqlets()];
#'   `seqlift_error_variants` for more than one allele; `seqlift_error_file` for an `output_file`
#'   that cannot be written; `seqlift_error_package` without rmarkdown or pandoc. No file is left
#'   behind by a page that fails or is interrupted.
#' @seealso [score_variants()] for many variants, [attribution_report()] for sequences.
#' @export
#' @examplesIf all(vapply(c("rmarkdown", "Biostrings", "GenomicRanges"), requireNamespace, TRUE, quietly = TRUE)) && rmarkdown::pandoc_available("2.0")
#' model <- demo_model() |> with_args(list(control_track = 0))
#' site <- demo_sequences()[["fly_planted_AGATAAG"]]
#' flanks <- demo_sequences()[c("fly_no_site", "yeast_no_site")]
#' genome <- Biostrings::DNAStringSet(c(chr1 = paste0(flanks[1], site, flanks[2])))
#' variant <- data.frame(chromosome = "chr1", position = 752, ref = "A", alt = "C")
#' path <- tempfile(fileext = ".html")
#' variant_report(model, variant, genome, path, width = 500, n_shuffles = 5, random_state = 0)
#' file.size(path)
variant_report <- function(model, variant, genome, output_file, ..., width = NULL, counts = NULL,
                           profile = NULL, target = NULL, count_scale = c("log", "linear"),
                           references = dinucleotide_shuffle, n_shuffles = 20L,
                           random_state = NULL, motifs = NULL, flank = 35L, title = NULL) {
  call <- rlang::current_env()
  check_model(model)
  output_file <- check_output_path(output_file, "output_file")
  check_report_tools(call)
  check_package(region_packages, "A page about a variant on a genome")
  further <- check_report_dots(list(...), call)
  count_scale <- check_choice(count_scale, c("log", "linear"), "count_scale")
  n_shuffles <- check_count(n_shuffles, "n_shuffles", min = 2)
  flank <- check_count(flank, "flank", min = 5)
  title <- check_string(title, "title", null = TRUE)
  if (!is.function(references)) {
    abort_argument("references", "a function", describe(references))
  }
  if (!is.null(motifs)) {
    motif_inputs(motifs, "motifs")
  }
  random_state <- check_random_state(random_state)
  models <- list(model = model)
  width <- check_width(width, models, call)
  opened <- open_genome(genome, FALSE, call)
  record <- read_scored_variants(variant, opened, width, "error", TRUE, call)
  if (nrow(record) != 1L) {
    abort_argument("variant", "one variant with one alternative allele",
      paste(nrow(record), "alleles"),
      hint = "A row of a data frame, {.code variants[1, ]}, is one.", kind = "variants", call = call
    )
  }
  used <- intersect(names(further), c("batch_size", "dtype", "device"))
  asked <- list(width = width, counts = counts, profile = profile, target = target,
    count_scale = count_scale
  )
  report <- list(
    model = model, record = record, width = width, flank = flank,
    title = title %||% record$variant, motifs = motifs, references = references,
    alleles = put_alleles(window_letters(record, opened, width, call), record, width),
    settings = c(list(n_shuffles = n_shuffles, random_state = random_state), further),
    code = variant_report_code(match.call(), model, random_state)
  )
  report$scores <- rlang::inject(
    score_variants(model, variant, genome, !!!asked, !!!further[used], strict = TRUE)
  )
  report <- predict_alleles(report, asked, further[used], call)
  report <- explain_alleles(report, further, call)
  report$seqlets <- seqlets_of_alleles(report)
  write_whole(output_file, function(temporary) render_variant(report, temporary), "output_file")
}

# The call as it was written, with the seed that was drawn.
variant_report_code <- function(asked, model, random_state) {
  short <- function(value) {
    is.language(value) || is.null(value) || (is.atomic(value) && length(value) == 1L)
  }
  asked[[1L]] <- as.name("variant_report")
  # Values that came in place of names (from do.call()) would fill pages.
  for (arg in names(asked)[-1L]) {
    if (!short(asked[[arg]])) {
      asked[[arg]] <- as.name(arg)
    }
  }
  asked$random_state <- random_state
  code <- paste(rlang::expr_deparse(asked, width = 80L), collapse = "\n")
  paste0("library(seqlift)\n", model_code(model), "\n", code)
}

# ---- what is computed ------------------------------------------------------------------

# A seqlet is called by the motif that it is most like where chance gives as good a match less
# often.
named_match <- 0.05

# Adds heads, and both alleles' counts and logits [2, strands, positions], mean over the strands of
# the sequence, as they are scored.
predict_alleles <- function(report, asked, settings, call) {
  device <- settings$device %||% report$model$device
  job <- list(
    method = "full", batch_size = check_count(settings$batch_size %||% 32L, "batch_size"),
    dtype = check_dtype(settings$dtype), device = check_device(device, call), call = call
  )
  heads <- settle_heads(list(model = report$model), report$alleles$ref,
    list(
      counts = asked$counts, profile = asked$profile, target = asked$target,
      log_counts = asked$count_scale == "log"
    ),
    job, call
  )[[1L]]
  seen <- lapply(c(FALSE, TRUE), function(reverse) {
    lapply(predict_pairs(report$model, report$alleles, reverse, job), read_heads, heads, reverse)
  })
  of_allele <- function(allele, what) {
    mean_of(lapply(seen, function(strand) strand[[allele]][[what]]))
  }
  if (!is.null(heads$profile)) {
    report$logits <- stack_rows(lapply(c("ref", "alt"), of_allele, "logits"))
  }
  report$heads <- heads
  report
}

# The model whose one output is explained: counts, or else the profile.
explained_head <- function(model, heads) {
  if (is.null(heads$counts)) {
    return(profile_score(model, heads$profile))
  }
  if (count_outputs(model) > 1L) select_output(model, heads$counts) else model
}

# Adds attributions of both alleles with the same references, and how the page names them.
explain_alleles <- function(report, further, call) {
  letters <- c(ref = report$alleles$ref, alt = report$alleles$alt)
  own <- as_sequences(unname(letters[1L]))
  made <- make_references(report$references, own, report$settings$n_shuffles,
    report$settings$random_state,
    allow_n = !identical(further$rules, "module"), only_warn = FALSE, call = call
  )
  references <- if (is.raw(made$references)) {
    structure(made$references[, , c(1L, 1L), drop = FALSE],
      class = "seqlift_reference_codes", seed = made$random_state
    )
  } else {
    take_outputs(made$references, 1L, c(1L, 1L))
  }
  report$explained <- explained_head(report$model, report$heads)
  report$target <- if (is.null(report$heads$counts)) 1L else report$heads$target
  report$attributions <- rlang::inject(deep_lift_shap(report$explained, letters,
    target = report$target, references = references, n_shuffles = report$settings$n_shuffles,
    random_state = report$settings$random_state, standard_errors = TRUE, !!!further
  ))
  report$sequences <- as_sequences(letters)
  report
}

# Seqlets near the variant: allele, start, end, letters, `ref` and `alt` (what the stretch is worth
# in either allele), verdict, and with a database `nearest` (the motif that it is most like),
# match_p_value, and `motif`, the nearest where the match is good enough to call it so. One stretch
# that both alleles have as a seqlet is listed once, as the stronger.
seqlets_of_alleles <- function(report) {
  found <- find_report_seqlets(report)
  place <- variant_places(report)
  near <- found$end >= place$start[found$example] - report$flank &
    found$start <= place$end[found$example] + report$flank
  found <- found[near, ]
  if (nrow(found) == 0L) {
    return(found)
  }
  values <- matrix(observed_values(report$attributions), 2L)
  worth <- function(allele, span) sum(values[allele, seq(span[1L], span[2L])])
  spans <- lapply(seq_len(nrow(found)), function(i) {
    own <- c(found$start[i], found$end[i])
    other <- other_span(report$record, report$width, found$example[i], own)
    if (found$example[i] == 1L) list(own, other) else list(other, own)
  })
  found$allele <- c("reference", "alternative")[found$example]
  found$ref <- vapply(spans, function(one) worth(1L, one[[1L]]), 0)
  found$alt <- vapply(spans, function(one) worth(2L, one[[2L]]), 0)
  found$verdict <- motif_verdict(found$example, found$ref, found$alt)
  # In the letters of the reference allele.
  low <- vapply(spans, function(one) one[[1L]][1L], 0)
  high <- vapply(spans, function(one) one[[1L]][2L], 0)
  kept <- integer()
  for (i in order(-pmax(abs(found$ref), abs(found$alt)))) {
    if (!any(low[kept] <= high[i] & high[kept] >= low[i])) {
      kept <- c(kept, i)
    }
  }
  found <- found[kept, ]
  if (!is.null(report$motifs)) {
    matches <- annotate_seqlets(c(report$alleles$ref, report$alleles$alt), found, report$motifs)
    best <- match(seq_len(nrow(found)), matches$seqlet)
    found$nearest <- as.character(matches$annotation)[best]
    found$match_p_value <- matches$p_value[best]
    found$motif <- ifelse(found$match_p_value <= named_match, found$nearest, NA)
  }
  rownames(found) <- NULL
  found
}

# What is lost in the other allele was made or broken by the variant.
motif_verdict <- function(example, ref, alt) {
  own <- ifelse(example == 1L, ref, alt)
  other <- ifelse(example == 1L, alt, ref)
  lost <- other * sign(own) < abs(own) / 2
  ifelse(!lost, "kept", ifelse(example == 1L, "broken", "made"))
}

# First and last position of the allele's own letters in its sequence; without letters the position
# before.
variant_places <- function(report) {
  before <- report$width %/% 2L
  size <- nchar(c(report$record$ref, report$record$alt))
  data.frame(start = rep(before + 1L, 2L), end = before + pmax(size, 1L))
}

# Where a stretch of one allele (1 or 2) lies in the other: left of the variant at the same
# positions, right of it moved by the difference of the alleles; kept within the sequence.
other_span <- function(record, width, allele, span) {
  size <- nchar(c(record$ref, record$alt))
  if (allele == 2L) {
    size <- rev(size)
  }
  before <- width %/% 2L
  moved <- ifelse(span <= before, span,
    ifelse(span > before + size[1L], span + size[2L] - size[1L], pmin(span, before + size[2L]))
  )
  pmin(pmax(moved, 1), width)
}

# ---- what the page says and draws --------------------------------------------------------

allele_labels <- function(record, most = 12L) {
  short <- function(letters) {
    ifelse(nchar(letters) > most, paste0(substr(letters, 1L, most - 1L), "\u2026"), letters)
  }
  paste(c("reference", "alternative"), short(c(record$ref, record$alt)))
}

# What the variant does to counts and profile, in a sentence each.
variant_sentences <- function(scores) {
  sentences <- character()
  if (!is.null(scores$logfc)) {
    fold <- 2^scores$logfc
    sentences <- c(sentences, paste0(
      "The predicted counts go from ", report_number(scores$ref_counts), " to ",
      report_number(scores$alt_counts), ", by a factor of ", report_number(fold), " (log2 ",
      signed_number(scores$logfc), ")."
    ))
  }
  if (!is.null(scores$jsd)) {
    sentences <- c(sentences, paste0(
      "The Jensen-Shannon distance of the predicted profiles is ", report_number(scores$jsd),
      " (0: the same, 1: nothing in common)."
    ))
  }
  sentences
}

motif_sentence <- function(seqlets) {
  changed <- seqlets[seqlets$verdict != "kept", ]
  if (nrow(changed) == 0L) {
    return("No motif near the variant is made or broken.")
  }
  named <- ifelse(is.na(changed$motif %||% NA), changed$letters,
    paste0(changed$letters, " (like ", changed$motif, ")")
  )
  verbs <- c(broken = "breaks", made = "makes")
  paste0("The variant ", paste(paste(verbs[changed$verdict], named), collapse = "; it "), ".")
}

# Profiles of both alleles: counts where the model has some, else shares, at positions counted from
# the variant.
plot_alleles <- function(report) {
  logits <- report$logits
  shape <- dim(logits)
  scores <- report$scores
  counts <- if (is.null(scores$ref_counts)) c(1, 1) else c(scores$ref_counts, scores$alt_counts)
  labels <- allele_labels(report$record)
  offset <- (report$width - shape[3L]) %/% 2L - report$width %/% 2L - 1L
  tables <- lapply(1:2, function(allele) {
    own <- array(logits[allele, , ], shape[2:3])
    shares <- exp(own - max(own))
    shares <- shares / sum(shares)
    data.frame(
      position = as.vector(col(shares)) + offset, value = as.vector(shares) * counts[allele],
      strand = if (shape[2L] == 2L) c("+", "-")[as.vector(row(shares))] else "",
      allele = factor(labels[allele], labels)
    )
  })
  table <- do.call(rbind, tables)
  # The strands to either side of the axis.
  table$value <- ifelse(table$strand == "-", -table$value, table$value)
  ggplot2::ggplot(table, ggplot2::aes(.data$position, .data$value,
    colour = .data$allele, group = interaction(.data$allele, .data$strand)
  )) +
    ggplot2::geom_hline(yintercept = 0, linewidth = 0.25, colour = "grey60") +
    ggplot2::geom_vline(xintercept = 0, linewidth = 0.3, linetype = "dashed", colour = "grey40") +
    ggplot2::geom_line(linewidth = 0.4) +
    ggplot2::scale_colour_manual(values = unname(series_colours[2:1]), name = NULL) +
    ggplot2::scale_x_continuous(expand = c(0, 0)) +
    ggplot2::labs(
      x = "Position from the variant (bp)",
      y = if (is.null(scores$ref_counts)) "Share of the profile" else "Predicted counts"
    ) +
    logo_theme() +
    ggplot2::theme(legend.position = "top")
}

# Logos of both alleles on one scale with the variant and the seqlets of each.
plot_allele_logos <- function(report) {
  attributions <- report$attributions
  dimnames(attributions)[[1L]] <- allele_labels(report$record)
  places <- variant_places(report)
  marks <- data.frame(
    sequence = 1:2, start = places$start, end = places$end, name = "variant"
  )
  seqlets <- report$seqlets
  if (nrow(seqlets) > 0L) {
    named <- if (is.null(seqlets$motif)) seqlets$letters else
      ifelse(is.na(seqlets$motif), seqlets$letters, seqlets$motif)
    marks <- rbind(marks, data.frame(
      sequence = seqlets$example, start = seqlets$start, end = seqlets$end,
      name = paste0(named, " (", seqlets$verdict, ")")
    ))
  }
  first <- max(1L, min(places$start) - report$flank)
  last <- min(report$width, max(places$end) + report$flank)
  plot_logo(attributions, first, last, annotations = marks)
}

seqlet_table <- function(report) {
  seqlets <- report$seqlets
  offset <- report$width %/% 2L + 1L
  table <- data.frame(
    Allele = seqlets$allele,
    "From the variant" = paste0(seqlets$start - offset, " to ", seqlets$end - offset),
    Letters = seqlets$letters, Reference = seqlets$ref, Alternative = seqlets$alt,
    Motif = seqlets$verdict, check.names = FALSE
  )
  table[["Most like"]] <- seqlets$nearest
  table[["p-value of the match"]] <- seqlets$match_p_value
  table
}

variant_resource <- function(name) {
  system.file("rmarkdown", name, package = "seqlift", mustWork = TRUE)
}

render_variant <- function(report, path) {
  record <- report$record
  subtitle <- paste0(
    record$chromosome, ":", format(record$start, big.mark = ",", scientific = FALSE), " ",
    paste(sub("^[a-z]+ ", "", allele_labels(record)), collapse = "\u2192"), ", ",
    model_name(report$model), ", ", format(Sys.Date())
  )
  render_page(report, variant_resource("variant_report.Rmd"), subtitle, path)
}
