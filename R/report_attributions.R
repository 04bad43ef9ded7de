# A page that says what a model sees in sequences: everything is checked, then computed, then
# drawn by an R Markdown document (inst/rmarkdown/templates/attribution_report/resources). What
# the page says of the numbers is in report_findings.R, how it shows them in report_elements.R, how
# it is made again in report_code.R and report_inputs.R.

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
#' least 50 dinucleotide shuffles of the sequences; with `variants`, [variant_effect()] of each
#' variant alone (what a deletion lacks at the end of the sequence is N), and attributions with and
#' without the three that change the prediction most.
#' Seqlets are listed if they are at least a tenth as strong as the strongest: each sign is called
#' against its own background, and that of the weaker one can be very low. Where sequences overlap
#' in the genome, a seqlet that several of them hold is one.
#'
#' All logos have one scale, which reaches to a thousandth of the largest prediction at least, so
#' that what does not matter looks small.
#'
#' @section Making it again:
#' The page ends with code that makes it again. It reads the sequences and what else was given from
#' the page itself, see [report_inputs()], and the model from its file, which must be where it was.
#' A model that was made in R has to be kept with [save_model()]; the code says so.
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
#'   `nonlinear_ops`, `fallback`, `warning_threshold`, `dtype`, `device`, `standard_errors` (`TRUE`
#'   draws whiskers).
#' @param attributions Attributions of these sequences that are there already: a result of
#'   [deep_lift_shap()] or [attribute()] with kind `"attributions"` and one target. Default `NULL`:
#'   they are computed.
#' @param annotations What is known of the sequences, such as binding sites: a data frame with
#'   columns `start`, `end` and, if wanted, `name` and `sequence`, or a `GRanges`, see
#'   [plot_logo()]. Drawn under the logos and set beside the seqlets. Default `NULL`.
#' @param motifs Motifs to try: character vector, list or the path of a MEME or JASPAR file, see
#'   [marginalize()]. The 20 with the largest effects are shown. Patterns of [discover_motifs()] are
#'   tried by their consensus, and a section shows them. Default `NULL`.
#' @param variants Variants to try, each alone: a data frame with columns `example`, `position`,
#'   `alt`, and if wanted `variant` (a name such as an rs ID) and `ref` (needed for insertions and
#'   deletions: the letters that `alt` replaces, `""` for none), or for an `X` of [sequences_from()]
#'   variants on the genome, see [variant_effect()]. The 20 with the largest effects are in view,
#'   all are in the page. Default `NULL`.
#' @param strict What to do with variants that cannot be used, as in [variant_effect()]: `FALSE`
#'   (default) leaves them out with a message, `TRUE` is an error.
#' @param title Title of the page. Default: "Which letters drive the prediction?".
#' @param top How many sequences are drawn, those with the strongest seqlets first. Default 8. The
#'   tables list all sequences and seqlets.
#' @param interactive `TRUE` puts [view_attributions()] in the place of the logos on the screen:
#'   zoom and move from whole sequences to letters, with the numbers under the mouse. The logos are
#'   there in print. Needs the htmlwidgets package. Default `FALSE`.
#' @param verbose `TRUE` says what is being computed, with progress bars. Default: in an interactive
#'   session.
#' @return The path, invisibly.
#' @section Errors: those of [deep_lift_shap()], [marginalize()] and [variant_effect()];
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
                               motifs = NULL, variants = NULL, strict = FALSE, title = NULL,
                               top = 8L, verbose = base::interactive(), interactive = FALSE) {
  call <- rlang::current_env()
  check_model(model)
  sequences <- as_sequences(X, extra_channels = TRUE)
  output_file <- check_output_path(output_file, "output_file")
  check_report_tools(call)
  title <- check_string(title, "title", null = TRUE) %||% "Which letters drive the prediction?"
  top <- check_count(top, "top")
  check_flag(strict, "strict")
  check_flag(verbose, "verbose")
  if (check_flag(interactive, "interactive")) {
    check_package("htmlwidgets", "A report with `interactive = TRUE`")
  }
  target <- check_count(target, "target")
  n_shuffles <- check_count(n_shuffles, "n_shuffles")
  further <- check_report_dots(list(...), call)
  check_report_attributions(attributions, sequences, call)
  random_state <- random_state %||% attr(attributions, "info", exact = TRUE)$random_state
  random_state <- check_random_state(random_state)
  job <- list(
    model = model, sequences = sequences, X = one_hot_array(sequences), target = target,
    args = check_args_rows(args, sequences$n, call), references = stacked_references(references),
    settings = c(list(n_shuffles = n_shuffles, random_state = random_state), further),
    attributions = attributions, title = title, top = top, verbose = verbose,
    interactive = interactive,
    labels = sequences$names %||% paste("sequence", seq_len(sequences$n)),
    ranges = sequences$ranges %||% attr(attributions, "ranges", exact = TRUE),
    known = check_annotations(annotations, one_hot_array(sequences)),
    motifs = check_report_motifs(motifs, sequences, call),
    variants = check_report_variants(
      as_variant_table(variants, "variants", X, NULL, strict, call), sequences, strict, call
    )
  )
  job$inputs <- inputs_of_report(job)
  job$code <- reproducing_code(job, output_file)
  job$labels <- make.unique(job$labels, sep = " ")
  report <- compute_report(job, call)
  tell_step(verbose, "Figures and page")
  write_whole(output_file, function(temporary) render_report(report, temporary), "output_file")
}

# What is being done, until the function that says so returns.
tell_step <- function(verbose, step, .envir = parent.frame()) {
  if (verbose) {
    cli::cli_progress_step(step, .envir = .envir)
  }
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
    report <- timed(report, "variant_logos", explain_variants(job, report$variant_effects, call))
  }
  report
}

# The report with a field more, and how long that took.
timed <- function(report, field, value) {
  tell_step(report$verbose, report_steps[[field]])
  seconds <- system.time(value)[["elapsed"]]
  report[[field]] <- value
  report$seconds[[field]] <- seconds
  report
}

# Attributions of X, whose rows are those of the sequences: their further inputs, and references
# that were given, belong to them.
explain <- function(job, X, rows, references = NULL) {
  if (is.null(references)) {
    references <- rows_of_references(job$references, rows, job$sequences$n)
  }
  settings <- job$settings
  rlang::inject(deep_lift_shap(
    job$model, X,
    args = args_of_rows(job$args, rows, job$sequences$n), target = job$target,
    references = references, verbose = job$verbose, !!!settings
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
               {.fn profile_score} or {.fn select_bins}."
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

# Attributions with and without the largest variants, compared with the same references: those of
# the sequences without.
explain_variants <- function(job, effects, call) {
  largest <- utils::head(effects, report_drawn_variants)
  rows <- largest$example
  plan <- list(
    func = deep_lift_shap, n = length(rows),
    more = c(job$settings, list(
      references = rows_of_references(job$references, rows, job$sequences$n)
    ))
  )
  without <- as_sequences(job$X[rows, , , drop = FALSE], extra_channels = TRUE, only_warn = TRUE)
  shared <- share_draws(plan, without, call)$more$references
  one_by_one(job, largest, function(model, X, args = NULL) explain(job, X, rows, shared))
}

one_by_one <- function(job, variants, func) {
  rows <- variants$example
  X <- unname(job$X[rows, , , drop = FALSE])
  args <- args_of_rows(job$args, rows, job$sequences$n)
  variants$example <- seq_along(rows)
  if (job$sequences$channels > n_bases) {
    return(substitution_effect(job$model, X, variants, func = func, args = args))
  }
  variant_effect(job$model, X, variants, func = func, args = args)
}

# ---- the page ------------------------------------------------------------------------

report_resource <- function(name) {
  system.file("rmarkdown", "templates", "attribution_report", "resources", name,
    package = "seqlift", mustWork = TRUE
  )
}

render_report <- function(report, path) {
  subtitle <- paste0(
    model_name(report$model), ", ", count_of(report$sequences$n, "sequence"), " of ",
    report$sequences$length, " bp, ", format(Sys.Date())
  )
  render_page(report, report_resource("report.Rmd"), subtitle, path)
}

# Everything that R Markdown makes on its way is in a folder of its own. The document knows the
# `report`, its folder among it.
render_page <- function(report, document, subtitle, path) {
  folder <- tempfile("seqlift-report-")
  dir.create(folder)
  # A report may be made by a document that has chunks of the same names.
  before <- options(knitr.duplicate.label = "allow")
  on.exit({
    options(before)
    unlink(folder, recursive = TRUE)
  })
  file.copy(c(document, report_resource("report.css")), folder)
  report$folder <- folder
  rmarkdown::render(
    file.path(folder, basename(document)),
    output_file = "report.html", quiet = TRUE,
    # Given here they are words and no Markdown.
    output_options = list(pandoc_args = c(
      "--metadata", paste0("title=", report$title), "--metadata", paste0("subtitle=", subtitle)
    )),
    envir = rlang::env(rlang::ns_env("seqlift"), report = report)
  )
  copy_whole(file.path(folder, "report.html"), path)
}
