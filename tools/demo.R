# The main job, end to end, on what ships with the package: which letters of real genomic
# sequence drive the predictions of the demo model?
#
#   Rscript tools/demo.R [out_dir = demo]
#
# Writes out_dir/report.html, the attribution_report() of the counts, out_dir/profile.html, that of
# the profile, and out_dir/*.png, their logos. Everything is made in a temporary folder and moved at
# the end: an interrupted run leaves nothing half-written. seqlift must be installed.

# Bases on each side of the middle of a site in a logo.
flank <- 30L

report_files <- c(counts = "report.html", profile = "profile.html")

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
  if (!rmarkdown::pandoc_available("2.0")) {
    stop_plainly("pandoc is not installed, the report needs it. On Debian: apt-get install pandoc")
  }
}

# The number that each head gives. A site's label says its strand, and whether it was planted.
demo_heads <- function() {
  model <- with_args(demo_model(), list(control_track = 0))
  list(counts = select_output(model, 2), profile = profile_score(model))
}

demo_sites <- function(X) {
  sites <- attr(X, "sites")
  sites$name <- paste0(sites$name, " (", sites$strand, ifelse(sites$planted, ", planted)", ")"))
  sites
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

write_logos <- function(attributions, head, sites, windows, folder) {
  save <- function(plot, name, height) {
    ggplot2::ggsave(
      file.path(folder, paste0(name, ".png")), plot,
      width = 9, height = height, dpi = 150
    )
  }
  all <- plot_logo(attributions,
    annotations = sites, title = paste("All sequences,", head, "head")
  )
  save(all, paste0("all_", head), 1 + 1.1 * dim(attributions)[1L])
  for (i in seq_len(nrow(windows))) {
    window <- windows[i, ]
    plot <- plot_logo(attributions, window$start, window$end,
      annotations = sites, sequence = window$sequence,
      title = paste0(window$sequence, ", ", head, " head")
    )
    save(plot, paste(window$sequence, window$start, head, sep = "_"), 2.2)
  }
}

# Motifs: the full site, a weak one, and a broken one, which should do nothing. Variants: the same
# break in a planted site and in a site of the genome, and a change beside a site.
write_report <- function(model, head, X, sites, folder) {
  attribution_report(model, X, file.path(folder, report_files[[head]]),
    random_state = 0, annotations = sites,
    motifs = c("full site" = "AGATAAG", "weak site" = "GATAA", "broken site" = "AGCTAAG"),
    variants = data.frame(
      example = c("fly_planted_AGATAAG", "fly_one_site", "fly_planted_AGATAAG"),
      position = c(252, 170, 290), alt = c("C", "G", "C")
    ),
    title = paste0("Which letters drive the prediction? The demo model's ", head)
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

  X <- demo_sequences()
  sites <- demo_sites(X)
  message("demo: ", length(X), " sequences of ", nchar(X[[1L]]), " bp, 20 references each")
  heads <- demo_heads()
  windows <- NULL
  for (head in names(heads)) {
    attributions <- deep_lift_shap(heads[[head]], X, random_state = 0)
    windows <- if (is.null(windows)) logo_windows(sites, attributions) else windows
    message("demo: drawing the ", head, " head")
    write_logos(attributions, head, sites, windows, folder)
    write_report(heads[[head]], head, X, sites, folder)
  }

  finished <- list.files(folder, pattern = "[.](png|html)$")
  for (file in finished) {
    move(file.path(folder, file), file.path(out_dir, file))
  }
  place <- normalizePath(out_dir)
  cat(
    "\nWhat the demo model sees in ", length(X), " genomic sequences:\n",
    "  report  ", file.path(place, report_files[["counts"]]), "\n",
    "  profile ", file.path(place, report_files[["profile"]]), "\n",
    "  logos   ", file.path(place, "*.png"), " (", sum(grepl("png$", finished)), " files)\n",
    sep = ""
  )
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) > 1L) {
  stop_plainly("usage: Rscript tools/demo.R [out_dir = demo]")
}
do.call(main, as.list(arguments))
