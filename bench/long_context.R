# Draws what bench/long_context.sh has measured: seconds and peak memory over the length.
#
#   bench/long_context.sh PROGRAM > build/sweep.json
#   Rscript bench/long_context.R build/sweep.json man/figures/README-long-context.png
library(ggplot2)

paths <- commandArgs(TRUE)
stopifnot("usage: long_context.R SWEEP.json PICTURE.png" = length(paths) == 2L)
rows <- lapply(readLines(paths[1L]), jsonlite::fromJSON)
rows <- Filter(function(row) is.null(row$fits), rows) # what does not fit has no point
of <- function(name) vapply(rows, function(row) as.numeric(row[[name]]), numeric(1L))
shown <- c(
  bare = "bare model, one sequence\nforward and backward",
  gradients = "gradient x input",
  deep_lift = "deep_lift_shap(),\none reference"
)
what <- factor(shown[vapply(rows, `[[`, "", "what")], levels = shown)
quantities <- c("seconds", "peak memory, GB (weights 0.9)")
measured <- data.frame(
  length = rep(of("length"), 2L), what = rep(what, 2L),
  value = c(of("wall_s"), of("peak_gb")),
  quantity = factor(rep(quantities, each = length(rows)), levels = quantities)
)

lengths <- 2^(12:19)
picture <- ggplot(measured, aes(length, value, colour = what, shape = what)) +
  geom_line() +
  geom_point(size = 1.8) +
  facet_wrap(~quantity, scales = "free_y", strip.position = "left") +
  scale_x_continuous(
    trans = "log2", breaks = lengths, labels = format(lengths, big.mark = " ", trim = TRUE)
  ) +
  scale_y_continuous(
    trans = "log10",
    breaks = c(1, 2, 3, 5, 10, 20, 30, 60, 100, 200, 300, 600, 1000, 2000)
  ) +
  scale_colour_manual(values = c("grey45", "#0072B2", "#D55E00")) +
  labs(x = "length of the sequence, bp", y = NULL, colour = NULL, shape = NULL) +
  theme_bw(base_size = 10) +
  theme(
    strip.placement = "outside", strip.background = element_blank(),
    strip.text = element_text(size = 10), panel.grid.minor = element_blank(),
    legend.position = "top", axis.text.x = element_text(angle = 30, hjust = 1)
  )
ggsave(paths[2L], picture, width = 7.5, height = 3.6, dpi = 120)
