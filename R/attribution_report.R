# A page that says what a model sees in sequences: everything is checked, then computed, then
# drawn by an R Markdown document (inst/rmarkdown/templates/attribution_report/resources). What
# the page says of the numbers is in report_findings.R, how it shows them in report_elements.R.

# How many shuffles of the sequences, at least, a motif is written into.
report_backgrounds <- 50L

# How many variants are drawn, and how many motifs are listed: those with the largest effects.
report_drawn_variants <- 3L
report_listed_motifs <- 20L

#' Write a report that a colleague can read
#'
#' Writes one HTML page that needs no other file and no network: what the model predicts for each
#' sequence, which letters made it say so (logos with seqlets), whether the attributions add up,
#' what motifs and variants do, how each operation of the model was handled, and how to
#' reproduce all of it. The text is for readers who do not know the method. Charts are drawn by the
#' functions that you can call yourself.
#'
#' @section What is computed:
#' Predictions, [deep_lift_shap()] unless `attributions` has its result, [recursive_seqlets()] of
#' either sign, [audit_model()]; with `motifs`, [marginalize()] of each motif in the middle of at
#' least 50 dinucleotide shuffles of the sequences; with `variants`, [substitution_effect()] of each
#' variant alone, and attributions with and without the three that change the prediction most.
#' Seqlets are listed if they are at least a tenth as strong as the strongest: each sign is called
#' against its own background, and that of the weaker one can be very low.
#'
#' @inheritParams deep_lift_shap
#' @param model A model, see [load_model()]; its output must be `[n, targets]`. Choose one of
#'   several outputs with [select_output()], explain a profile with [profile_score()].
#' @param X Sequences: a character vector, a `Biostrings::DNAStringSet`, or a one-hot array
#'   `[n, 4, L]`. Their names are used throughout; those without are numbered. Where they know their
#'   ranges (those of [sequences_from()], or `attributions` with [attribution_ranges()]), the page
#'   says where sequences, seqlets and variants lie in the genome.
#' @param output_file Path of the HTML file to write; its folder must exist. A file that is there is
#'   replaced when the new one is finished, not before.
#' @param target Which column of the output is explained, from 1. Default 1.
#' @param random_state A whole number; `NULL` (default) draws one from R's generator. The page says
#'   which it was.
#' @param ... Further arguments of [deep_lift_shap()], by name: `batch_size`, `rules`,
#'   `nonlinear_ops`, `fallback`, `warning_threshold`, `dtype`, `device`, `verbose`.
#' @param attributions Attributions of these sequences that are there already: a result of
#'   [deep_lift_shap()] or [attribute()] with kind `"attributions"` and one target. Default `NULL`:
#'   they are computed.
#' @param annotations What is known of the sequences, such as binding sites: a data frame with
#'   columns `start`, `end` and, if wanted, `name` and `sequence`, or a `GRanges`, see
#'   [plot_logo()]. Drawn under the logos and set beside the seqlets. Default `NULL`.
#' @param motifs Motifs to try: character vector, list or the path of a MEME or JASPAR file, see
#'   [marginalize()]. The 20 with the largest effects are shown. Default `NULL`.
#' @param variants Substitutions to try, each alone: a data frame with columns `example`,
#'   `position`, `alt` and, if wanted, `ref`, or for an `X` of [sequences_from()] variants on the
#'   genome, see [substitution_effect()]. Default `NULL`.
#' @param title Title of the page. Default: "Which letters drive the prediction?".
#' @param top How many sequences are drawn, those with the strongest seqlets first. Default 8. The
#'   tables list all sequences and seqlets.
#' @return The path, invisibly.
#' @section Errors: those of [deep_lift_shap()], [marginalize()] and [substitution_effect()];
#'   `seqlift_error_file` for an `output_file` that cannot be written; `seqlift_error_package`
#'   without rmarkdown or pandoc; `seqlift_error_attributions` for attributions of other sequences
#'   or another kind; `seqlift_error_annotations` as [plot_logo()]. All arguments are checked before
#'   anything is computed. No file is left behind by a report that fails or is interrupted.
#' @seealso In RStudio, File > New File > R Markdown > From Template has "Attribution report", a
#'   short document to edit.
#' @export
#' @examplesIf requireNamespace("rmarkdown", quietly = TRUE) && rmarkdown::pandoc_available("2.0")
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' X <- demo_sequences()[c("fly_no_site", "fly_planted_AGATAAG")]
#' path <- tempfile(fileext = ".html")
#' attribution_report(model, X, path,
#'   n_shuffles = 5, random_state = 0,
#'   variants = data.frame(example = "fly_planted_AGATAAG", position = 252, ref = "A", alt = "C")
#' )
#' file.size(path)
attribution_report <- function(model, X, output_file, args = NULL, target = 1L,
                               references = dinucleotide_shuffle, n_shuffles = 20L,
                               random_state = NULL, ..., attributions = NULL, annotations = NULL,
                               motifs = NULL, variants = NULL, title = NULL, top = 8L) {
  call <- rlang::current_env()
  check_model(model)
  sequences <- as_sequences(X, extra_channels = TRUE)
  output_file <- check_output_path(output_file, "output_file")
  check_report_tools(call)
  title <- check_string(title, "title", null = TRUE) %||% "Which letters drive the prediction?"
  top <- check_count(top, "top")
  target <- check_count(target, "target")
  n_shuffles <- check_count(n_shuffles, "n_shuffles")
  further <- check_report_dots(list(...), call)
  check_report_attributions(attributions, sequences, call)
  random_state <- random_state %||% attr(attributions, "info", exact = TRUE)$random_state
  random_state <- check_random_state(random_state)
  job <- list(
    model = model, sequences = sequences, X = one_hot_array(sequences), target = target,
    args = check_args_rows(args, sequences$n, call), references = references,
    settings = c(list(n_shuffles = n_shuffles, random_state = random_state), further),
    attributions = attributions, title = title, top = top,
    labels = sequences$names %||% paste("sequence", seq_len(sequences$n)),
    ranges = sequences$ranges %||% attr(attributions, "ranges", exact = TRUE),
    known = check_annotations(annotations, one_hot_array(sequences)),
    motifs = check_report_motifs(motifs, sequences, call),
    variants = check_report_variants(
      as_variant_table(variants, "variants", X, "substitution", call), sequences, call
    ),
    code = reproducing_code(match.call(), model, random_state)
  )
  job$labels <- make.unique(job$labels, sep = " ")
  report <- compute_report(job, call)
  write_whole(output_file, function(temporary) render_report(report, temporary), "output_file")
}

# ---- arguments -----------------------------------------------------------------------

check_report_tools <- function(call) {
  check_package(c("rmarkdown", "knitr"), "A report", call)
  if (!rmarkdown::pandoc_available("2.0")) {
    abort_seqlift("package",
      c("A report needs pandoc 2.0 or later, which is not installed.",
        i = "Install {.pkg pandoc} from your distribution, or from {.url https://pandoc.org}."
      ),
      call = call
    )
  }
}

report_dots <- c(
  "batch_size", "rules", "nonlinear_ops", "fallback", "warning_threshold", "dtype", "device",
  "verbose"
)

check_report_dots <- function(dots, call) {
  check_all_named(dots, "...", call)
  unknown <- setdiff(names(dots), report_dots)
  if (length(unknown) > 0L) {
    abort_argument("...", paste("arguments of deep_lift_shap():", toString(report_dots)),
      toString(unknown),
      call = call
    )
  }
  dots
}

check_report_attributions <- function(attributions, sequences, call) {
  if (is.null(attributions)) {
    return(invisible())
  }
  check_attributions(attributions, "attributions", call)
  refuse <- function(expected, got) {
    abort_argument("attributions", expected, got, kind = "attributions", call = call)
  }
  kind <- attr(attributions, "kind", exact = TRUE)
  if (kind != "attributions") {
    refuse("attributions of the observed bases", attribution_kinds[[kind]])
  }
  if (has_targets(attributions)) {
    refuse("the attributions of one target", paste("of", dim(attributions)[4L], "targets"))
  }
  if (!identical(dim(attributions)[-2L], c(sequences$n, sequences$length))) {
    refuse(paste(sequences$n, "sequences of", sequences$length, "bp, as `X` is"),
      paste(dim(attributions)[1L], "of", dim(attributions)[3L], "bp")
    )
  }
  letters <- matrix(c(base_letters, "N")[as.integer(sequence_letters(sequences)) + 1L],
    nrow = sequences$length
  )
  other <- which(colSums(letters != observed_bases(attributions)) > 0L)
  if (length(other) > 0L) {
    refuse("of the sequences in `X`", paste("of others, sequence", other[1L], "being the first"))
  }
}

# list(motifs, their names and letters), or NULL.
check_report_motifs <- function(motifs, sequences, call) {
  if (is.null(motifs)) {
    return(NULL)
  }
  motifs <- as_motif_list(motifs, call)
  arg <- paste0("motifs[[", seq_along(motifs), "]]")
  placed <- place_motifs(motifs, arg, sequences, NULL, call)
  several <- vapply(placed$codes, ncol, integer(1L)) > 1L
  if (any(several)) {
    abort_argument(arg[several][1L], "one motif for all sequences", "one for each", call = call)
  }
  letters <- vapply(placed$codes, core_decode, "", paste(base_letters, collapse = ""))
  list(motifs = unname(motifs), names = placed$names, letters = letters)
}

check_report_variants <- function(variants, sequences, call) {
  if (is.null(variants)) {
    return(NULL)
  }
  checked <- check_variants(variants, "variants", sequences, "alt", call)
  codes <- sequence_codes(sequences, call = call)
  check_reference_letters(checked, codes, "variants", call)
  checked$ref <- vapply(seq_len(nrow(checked)), function(i) {
    place <- checked$position[i]:checked$end[i]
    core_decode(codes[place, checked$example[i], drop = FALSE], paste(base_letters, collapse = ""))
  }, character(1L))
  checked
}

# ---- what is computed ----------------------------------------------------------------

compute_report <- function(job, call) {
  report <- job
  report$seconds <- numeric()
  if (is.null(job$attributions)) {
    report <- timed(report, "attributions", explain(job, job$X, seq_len(job$sequences$n)))
  }
  report <- timed(report, "predictions", predict_target(job)(job$model, job$X, job$args))
  report <- timed(report, "seqlets", find_report_seqlets(report))
  # How another method handles the operations is not what the audit tells.
  info <- attr(report$attributions, "info", exact = TRUE)
  if (identical(info$method, "DeepLIFT/SHAP")) {
    report <- timed(report, "audit", audit_report(job, info$rules))
  }
  if (!is.null(job$motifs)) {
    report <- timed(report, "marginalization", marginalize_report(job))
  }
  if (!is.null(job$variants)) {
    report <- timed(report, "variant_effects", variants_of_report(job))
    report <- timed(report, "variant_logos", explain_variants(job, report$variant_effects))
  }
  report
}

# The report with a field more, and how long that took.
timed <- function(report, field, value) {
  seconds <- system.time(value)[["elapsed"]]
  report[[field]] <- value
  report$seconds[[field]] <- seconds
  report
}

# Attributions of X, whose rows are those of the sequences: their further inputs, and references
# that were given, belong to them.
explain <- function(job, X, rows) {
  references <- job$references
  if (is.array(references) && length(dim(references)) == 4L &&
    dim(references)[1L] == job$sequences$n) {
    references <- references[rows, , , , drop = FALSE]
  }
  settings <- job$settings
  rlang::inject(deep_lift_shap(
    job$model, X,
    args = args_of_rows(job$args, rows, job$sequences$n), target = job$target,
    references = references, !!!settings
  ))
}

# A function of a model and sequences that gives one number a sequence.
predict_target <- function(job) {
  settings <- job$settings[intersect(names(job$settings), c("dtype", "device"))]
  function(model, X, args = NULL) {
    predicted <- rlang::inject(predict(model, X, args = args, !!!settings))
    if (is.list(predicted) || length(dim(predicted)) != 2L || ncol(predicted) < job$target) {
      abort_seqlift("output",
        c("The model must return one output {.code [n, targets]} with the column
           {.arg target} = {job$target}.",
          i = "Choose one of several outputs with {.fn select_output}, explain a profile with
               {.fn profile_score}."
        ),
        call = rlang::call2("attribution_report")
      )
    }
    stats::setNames(predicted[, job$target], rownames(predicted))
  }
}

audit_report <- function(job, rules) {
  settings <- job$settings[intersect(names(job$settings), c("nonlinear_ops", "fallback"))]
  rlang::inject(audit_model(job$model, job$X,
    args = job$args, rules = rules, target = job$target, !!!settings
  ))
}

# Motifs in shuffles of the sequences; a data frame of effects, and the result to draw.
marginalize_report <- function(job) {
  n <- min(job$sequences$n, report_backgrounds)
  rounds <- ceiling(report_backgrounds / n)
  rows <- rep(seq_len(n), rounds)
  backgrounds <- lapply(seq_len(rounds), function(round) {
    some <- job$X[seq_len(n), , , drop = FALSE]
    shuffled <- dinucleotide_shuffle(some, n = 1L, random_state = job$settings$random_state + round)
    array(shuffled, dim(some))
  })
  motifs <- stats::setNames(job$motifs$motifs, job$motifs$names)
  result <- marginalize(job$model, unname(bind_rows(backgrounds)),
    motifs = motifs, func = predict_target(job),
    args = args_of_rows(job$args, rows, job$sequences$n)
  )
  effects <- summary(result)
  effects$letters <- job$motifs$letters
  strongest <- order(-abs(effects$effect))
  strongest <- utils::head(strongest, report_listed_motifs)
  info <- attr(result, "info", exact = TRUE)
  info$varied$table <- info$varied$table[strongest, , drop = FALSE]
  drawn <- result
  drawn$after <- result$after[strongest, , drop = FALSE]
  attr(drawn, "info") <- info
  list(effects = effects[strongest, ], drawn = drawn, n_motifs = nrow(effects), n = length(rows))
}

# Each variant alone: a row each, those that change the prediction most first.
variants_of_report <- function(job) {
  variants <- job$variants
  effect <- one_by_one(job, variants, predict_target(job))
  variants$before <- as.vector(effect$before)
  variants$after <- as.vector(effect$after)
  variants$effect <- variants$after - variants$before
  variants[order(-abs(variants$effect)), ]
}

# Attributions with and without the largest variants.
explain_variants <- function(job, effects) {
  largest <- utils::head(effects, report_drawn_variants)
  one_by_one(job, largest, function(model, X, args = NULL) explain(job, X, largest$example))
}

one_by_one <- function(job, variants, func) {
  rows <- variants$example
  alone <- data.frame(
    example = seq_along(rows), position = variants$position, alt = variants$alt
  )
  substitution_effect(job$model, unname(job$X[rows, , , drop = FALSE]), alone,
    func = func, args = args_of_rows(job$args, rows, job$sequences$n)
  )
}

# ---- the page ------------------------------------------------------------------------

report_resource <- function(name) {
  system.file("rmarkdown", "templates", "attribution_report", "resources", name,
    package = "seqlift", mustWork = TRUE
  )
}

# Everything that R Markdown makes on its way is in a folder of its own.
render_report <- function(report, path) {
  folder <- tempfile("seqlift-report-")
  dir.create(folder)
  # A report may be made by a document that has chunks of the same names.
  before <- options(knitr.duplicate.label = "allow")
  on.exit({
    options(before)
    unlink(folder, recursive = TRUE)
  })
  file.copy(vapply(c("report.Rmd", "report.css"), report_resource, ""), folder)
  report$folder <- folder
  subtitle <- paste0(
    model_name(report$model), ", ", count_of(report$sequences$n, "sequence"), " of ",
    report$sequences$length, " bp, ", format(Sys.Date())
  )
  rmarkdown::render(
    file.path(folder, "report.Rmd"),
    output_file = "report.html", quiet = TRUE,
    # Given here they are words and no Markdown.
    output_options = list(pandoc_args = c(
      "--metadata", paste0("title=", report$title), "--metadata", paste0("subtitle=", subtitle)
    )),
    envir = rlang::env(rlang::ns_env("seqlift"), report = report)
  )
  if (!file.copy(file.path(folder, "report.html"), path, overwrite = TRUE)) {
    stop("cannot write ", path)
  }
}
