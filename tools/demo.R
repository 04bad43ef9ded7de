# The main job, end to end, on what ships with the package: which letters of real genomic
# sequence drive the predictions of the demo model?
#
#   Rscript tools/demo.R [out_dir = demo]
#
# Writes out_dir/report.html (self-contained) and out_dir/*.png (the logos). Everything is
# made in a temporary folder and moved at the end: an interrupted run leaves no half-written
# report. seqlift must be installed.

# Bases on each side of the middle of a site in a logo.
flank <- 30L

stop_plainly <- function(...) {
  message("demo: ", ...)
  quit(save = "no", status = 1L)
}

check_tools <- function() {
  for (package in c("seqlift", "rmarkdown", "knitr", "ggplot2")) {
    if (!requireNamespace(package, quietly = TRUE)) {
      stop_plainly(
        "the R package ", package, " is not installed. ",
        if (package == "seqlift") {
          "Run `make demo`, or `R CMD INSTALL .` first."
        } else {
          paste0("On Debian: apt-get install r-cran-", package)
        }
      )
    }
  }
  if (!rmarkdown::pandoc_available("1.12.3")) {
    stop_plainly("pandoc is not installed, the report needs it. On Debian: apt-get install pandoc")
  }
}

# The value of an expression, and how long it took.
timed <- function(expression) {
  seconds <- system.time(value <- expression)[["elapsed"]]
  list(value = value, seconds = seconds)
}

# What was run, with what it gave. A site's label says its strand, and whether it was planted.
compute <- function() {
  X <- demo_sequences()
  sites <- attr(X, "sites")
  sites$name <- paste0(sites$name, " (", sites$strand, ifelse(sites$planted, ", planted)", ")"))

  load <- timed(with_args(demo_model(), list(control_track = 0)))
  model <- load$value
  counts_model <- select_output(model, 2)
  profile_model <- profile_score(model)
  message("demo: ", length(X), " sequences of ", nchar(X[[1L]]), " bp, 20 references each")
  predict <- timed(predict(counts_model, X))
  counts <- timed(deep_lift_shap(counts_model, X, random_state = 0))
  message("demo: counts head explained in ", round(counts$seconds, 1L), " s")
  profile <- timed(deep_lift_shap(profile_model, X, random_state = 0))
  message("demo: profile head explained in ", round(profile$seconds, 1L), " s")
  counts_audit <- timed(audit_model(counts_model, X[1L]))
  profile_audit <- timed(audit_model(profile_model, X[1L]))

  steps <- list(
    "load the model" = load, "predict counts" = predict,
    "attributions, counts head" = counts, "attributions, profile head" = profile,
    "audit, counts head" = counts_audit, "audit, profile head" = profile_audit
  )
  list(
    X = X,
    sites = sites,
    predicted_counts = as.vector(predict$value),
    attributions = list(counts = counts$value, profile = profile$value),
    audits = list(counts = counts_audit$value, profile = profile_audit$value),
    seconds = vapply(steps, function(step) step$seconds, numeric(1L))
  )
}

# The windows to draw: one around each site, and for a sequence without any, one around its
# strongest letter.
logo_windows <- function(sites, attributions) {
  strongest <- summary(attributions)
  strongest <- strongest[!strongest$sequence %in% sites$sequence, ]
  windows <- data.frame(
    sequence = c(sites$sequence, strongest$sequence),
    middle = c((sites$start + sites$end) %/% 2L, strongest$position)
  )
  windows$start <- pmax(windows$middle - flank, 1L)
  windows$end <- pmin(windows$middle + flank, dim(attributions)[3L])
  order <- order(match(windows$sequence, dimnames(attributions)[[1L]]), windows$start)
  windows[order, c("sequence", "start", "end")]
}

write_logos <- function(results, folder) {
  save <- function(plot, name, height) {
    ggplot2::ggsave(
      file.path(folder, paste0(name, ".png")), plot,
      width = 9, height = height, dpi = 150
    )
  }
  for (head in names(results$attributions)) {
    attributions <- results$attributions[[head]]
    all <- plot_logo(attributions,
      annotations = results$sites, title = paste("All sequences,", head, "head")
    )
    save(all, paste0("all_", head), 1 + 1.1 * dim(attributions)[1L])
    for (i in seq_len(nrow(results$windows))) {
      window <- results$windows[i, ]
      plot <- plot_logo(attributions, window$start, window$end,
        annotations = results$sites, sequence = window$sequence,
        title = paste0(window$sequence, ", ", head, " head")
      )
      save(plot, paste(window$sequence, window$start, head, sep = "_"), 2.2)
    }
  }
}

write_report <- function(results, folder) {
  # A copy, because knitr writes beside its input.
  template <- file.path(folder, "report.Rmd")
  file.copy(system.file("report", "report.Rmd", package = "seqlift", mustWork = TRUE), template)
  rmarkdown::render(
    template,
    output_file = "report.html", quiet = TRUE,
    envir = list2env(list(results = results), parent = globalenv())
  )
}

# Put a finished file in its place in one step.
move <- function(from, to) {
  part <- paste0(to, ".part")
  if (!file.copy(from, part, overwrite = TRUE) || !file.rename(part, to)) {
    stop_plainly("cannot write ", to)
  }
}

main <- function(out_dir = "demo") {
  check_tools()
  suppressPackageStartupMessages(library(seqlift))
  if (!dir.exists(out_dir) && !dir.create(out_dir, recursive = TRUE, showWarnings = FALSE)) {
    stop_plainly("cannot make the folder ", out_dir)
  }
  folder <- tempfile("seqlift-demo-")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))

  results <- compute()
  results$windows <- logo_windows(results$sites, results$attributions$counts)
  message("demo: drawing")
  write_logos(results, folder)
  write_report(results, folder)

  finished <- list.files(folder, pattern = "[.](png|html)$")
  for (file in finished) {
    move(file.path(folder, file), file.path(out_dir, file))
  }
  place <- normalizePath(out_dir)
  cat(
    "\nWhat the demo model sees in ", length(results$X), " genomic sequences:\n",
    "  report  ", file.path(place, "report.html"), "\n",
    "  logos   ", file.path(place, "*.png"), " (", sum(grepl("png$", finished)), " files)\n",
    sep = ""
  )
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) > 1L) {
  stop_plainly("usage: Rscript tools/demo.R [out_dir = demo]")
}
do.call(main, as.list(arguments))
