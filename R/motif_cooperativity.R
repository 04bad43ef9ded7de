# Two motifs at distances: what both do together and each alone, at the same places of the same
# backgrounds.

#' Measure how two motifs act together, by distance
#'
#' Writes two motifs into backgrounds at each of several distances, both together as
#' [space_motifs()] does and each of them alone at the same place, and compares what both do with
#' what they would do independently of each other.
#'
#' With c the predicted counts of a background, with no motif (0), one (A, B) or both (AB):
#'
#' * additive expectation `A + B - 0`; the interaction is `AB - A - B + 0`, in counts;
#' * multiplicative expectation `A * B / 0`; the interaction is `log2(AB * 0 / (A * B))`: 1 is twice
#'   as much as expected.
#'
#' Both are taken for each background; the mean and its standard error (standard deviation over
#' backgrounds by the root of their number) are returned. Which expectation is that of independence
#' is a question of mechanism: for occupancies of a rate-limited step rather the first, for energies
#' and for models whose last layer is exponential the second.
#'
#' @param model A model with one output `[n]` or `[n, targets]`, see [load_model()].
#' @param X Backgrounds, at least two: sequences of one length, see [deep_lift_shap()]; shuffles of
#'   real sequences, for example.
#' @param motifs Two motifs, as for [space_motifs()].
#' @param spacings Distances in bp between the end of the first and the start of the second motif,
#'   whole numbers from 0.
#' @param ... Must be empty; what follows is given by name.
#' @param start First position of the arrangement, from 1. Default `NULL`: in the middle.
#' @param args List of the model's other inputs, first dimension n. Default `NULL`.
#' @param target Which column of the output, from 1. Default 1.
#' @param count_scale `"log"` (default) for models that predict natural logarithms of counts,
#'   `"linear"` for counts (or anything else, of which the additive interaction is of use).
#' @inheritParams predict.seqlift_model
#' @return A data frame of class `seqlift_motif_cooperativity`, a row for each spacing: `spacing`;
#'   `before`, `first`, `second`, `both`: mean counts with no motif, either and both; `additive` and
#'   `multiplicative`: mean expectations, in counts; `additive_interaction`, `additive_se`,
#'   `multiplicative_interaction`, `multiplicative_se`. With counts that are not all above 0 the
#'   multiplicative ones are `NA`, with a message. [plot()][plot.seqlift_motif_cooperativity] draws
#'   the interactions.
#' @section Errors: `seqlift_error_argument` for fewer than two backgrounds, other than two motifs,
#'   spacings that do not fit, and other wrong arguments; `seqlift_error_motif`,
#'   `seqlift_error_target`, `seqlift_error_output` and others as [space_motifs()] and
#'   [predict()][predict.seqlift_model].
#' @source Avsec et al. (2021), Nature Genetics 53:354 (motif pairs in silico). Bliss (1939) for the
#'   multiplicative expectation.
#' @seealso [space_motifs()] for any function and more motifs; [pairwise_interactions()] within
#'   sequences as they are.
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' backgrounds <- dinucleotide_shuffle(demo_sequences()["fly_no_site"], n = 5, random_state = 0)
#' backgrounds <- decode_one_hot(backgrounds[1, , , ])
#' together <- motif_cooperativity(model, backgrounds, c("AGATAAG", "AGATAAG"), c(0, 5, 20))
#' together
#' plot(together)
motif_cooperativity <- function(model, X, motifs, spacings, ..., start = NULL, args = NULL,
                                target = 1L, count_scale = c("log", "linear"), batch_size = 32L,
                                dtype = NULL, device = NULL, verbose = FALSE) {
  call <- rlang::current_env()
  check_no_dots(..., .fn = "motif_cooperativity", .after = "spacings")
  check_model(model)
  check_one_output(model, call)
  count_scale <- check_choice(count_scale, c("log", "linear"), "count_scale")
  check_flag(verbose, "verbose")
  sequences <- as_sequences(X)
  if (sequences$n < 2L) {
    abort_argument("X", "at least two backgrounds", "one", hint = "Standard errors are over them.")
  }
  motifs <- as_motif_list(motifs, call, files = FALSE)
  if (length(motifs) != 2L) {
    abort_argument(
      "motifs", "two motifs", length(motifs), hint = "See {.fn space_motifs} for more."
    )
  }
  motif_codes <- Map(function(motif, arg) {
    as_motif_codes(motif, arg, sequences$n, call)
  }, unname(motifs), paste0("motifs[[", 1:2, "]]"))
  spacings <- check_spacings(spacings, 1L, call)
  starts <- arrange_motifs(
    vapply(motif_codes, nrow, integer(1L)), spacings, start, sequences$length, call
  )
  job <- list(
    model = model, args = check_args_rows(args, sequences$n, call), n = sequences$n,
    target = check_count(target, "target"), batch_size = check_count(batch_size, "batch_size"),
    dtype = check_dtype(dtype),
    device = check_device(if (is.null(device)) model$device else device),
    call = call
  )
  codes <- sequence_codes(sequences)
  rows <- seq_len(sequences$n)
  counts <- function(codes) {
    y <- predict_codes(job, codes, rows)
    if (count_scale == "log") exp(y) else y
  }
  bar <- progress_bar(verbose, "Motifs at distances")
  none <- counts(codes)
  table <- lapply(seq_len(nrow(starts)), function(i) {
    with_first <- core_substitute_motif(codes, motif_codes[[1L]], starts[i, 1L])
    with_second <- core_substitute_motif(codes, motif_codes[[2L]], starts[i, 2L])
    with_both <- core_substitute_motif(with_first, motif_codes[[2L]], starts[i, 2L])
    row <- interactions_of(none, counts(with_first), counts(with_second), counts(with_both))
    if (verbose) {
      bar(i / nrow(starts))
    }
    data.frame(spacing = as.integer(spacings[i, 1L]), row)
  })
  table <- do.call(rbind, table)
  if (anyNA(table$multiplicative)) {
    inform_seqlift("counts",
      "Some predictions are not above 0: there are no multiplicative expectations of them."
    )
  }
  structure(table,
    class = c("seqlift_motif_cooperativity", "data.frame"),
    motifs = motif_names(motifs, motif_codes),
    backgrounds = sequences$n
  )
}

# Counts of each background with no motif, either and both: means, expectations, interactions and
# their standard errors.
interactions_of <- function(none, first, second, both) {
  over <- function(values) c(mean(values), stats::sd(values) / sqrt(length(values)))
  additive <- over(both - first - second + none)
  positive <- all(c(none, first, second, both) > 0)
  multiplicative <- if (positive) {
    over(log2(both) + log2(none) - log2(first) - log2(second))
  } else {
    c(NA_real_, NA_real_)
  }
  data.frame(
    before = mean(none), first = mean(first), second = mean(second), both = mean(both),
    additive = mean(first + second - none),
    multiplicative = if (positive) mean(first * second / none) else NA_real_,
    additive_interaction = additive[1L], additive_se = additive[2L],
    multiplicative_interaction = multiplicative[1L], multiplicative_se = multiplicative[2L]
  )
}

#' @export
print.seqlift_motif_cooperativity <- function(x, ...) {
  motifs <- attr(x, "motifs", exact = TRUE)
  cat_text(
    "What ", paste(motifs, collapse = " and "), " do together beyond each alone, mean of ",
    attr(x, "backgrounds", exact = TRUE), " backgrounds:"
  )
  print_table(as.data.frame(unclass(x)))
  invisible(x)
}

#' @export
summary.seqlift_motif_cooperativity <- function(object, ...) object

#' Draw how two motifs act together
#'
#' @param x A result of [motif_cooperativity()].
#' @param ... Not used; must be empty.
#' @return A ggplot: the interactions by distance, one panel for each expectation, with bars of one
#'   standard error to either side. At 0 the motifs act independently.
#' @section Errors: `seqlift_error_argument` for columns that are missing.
#' @export
#' @examples
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' backgrounds <- dinucleotide_shuffle(demo_sequences()["fly_no_site"], n = 5, random_state = 0)
#' backgrounds <- decode_one_hot(backgrounds[1, , , ])
#' plot(motif_cooperativity(model, backgrounds, c("AGATAAG", "AGATAAG"), c(0, 5, 20)))
plot.seqlift_motif_cooperativity <- function(x, ...) {
  check_no_dots(..., .fn = "plot")
  kinds <- c(additive = "Additive (counts)", multiplicative = "Multiplicative (log2)")
  needed <- c("spacing", paste0(names(kinds), "_interaction"), paste0(names(kinds), "_se"))
  if (!all(needed %in% names(x))) {
    abort_argument("x", paste("a table with the columns", toString(needed)),
      paste("one with", toString(names(x)))
    )
  }
  points <- do.call(rbind, lapply(names(kinds), function(kind) {
    data.frame(
      spacing = x$spacing, kind = factor(kinds[[kind]], kinds),
      value = x[[paste0(kind, "_interaction")]], error = x[[paste0(kind, "_se")]]
    )
  }))
  points <- points[is.finite(points$value), ]
  ggplot2::ggplot(points, ggplot2::aes(.data$spacing, .data$value)) +
    ggplot2::geom_hline(yintercept = 0, linewidth = 0.25, colour = "grey60") +
    ggplot2::geom_linerange(
      ggplot2::aes(ymin = .data$value - .data$error, ymax = .data$value + .data$error),
      colour = "grey40", linewidth = 0.4
    ) +
    ggplot2::geom_line(colour = stage_colours[["after"]], linewidth = 0.4) +
    ggplot2::geom_point(colour = stage_colours[["after"]], size = 1.2) +
    ggplot2::facet_wrap("kind", ncol = 1L, scales = "free_y") +
    ggplot2::scale_x_continuous(breaks = whole_breaks) +
    ggplot2::labs(x = "Distance (bp)", y = "Interaction") +
    logo_theme()
}
