# The score of chosen bins of a long-context model, as what is put around the model. The engine
# computes it (src/core/model/bin_score.cpp); here it is found which bins and tracks are meant, from
# numbers, names or exons, and how the model's output lies.

#' Score bins and tracks of a long-context model
#'
#' Turns an output `[n, bins, tracks]` (Enformer) or `[n, tracks, bins]` (Borzoi) into the one
#' number a sequence that is explained: the mean over chosen tracks, summed or averaged over chosen
#' bins, its logarithm if asked for. With `exons` and `transform = "log_sum"` that is the gene-level
#' score of Borzoi's authors: coverage of the exons' bins, summed, averaged over tracks, log.
#'
#' The squashing is undone first, then the mean over the tracks is taken, then the sum or the mean
#' over the bins, then the logarithm.
#'
#' The score is a module of class `BinScore` that holds an `Unsquash` and a `LogScore`, the only
#' parts of it that are not linear. Operator rules need nothing else. With `rules = "module"`
#' register them in [deep_lift_shap()]: `nonlinear_ops = c(LogScore = "rescale", Unsquash =
#' "rescale")`.
#'
#' # Exons
#'
#' Exons are places in the genome, so they say which bins are meant once it is known where the
#' sequence lies: `window`, as wide as the sequences that the model will be given. The bins are
#' taken to be `bin_size` positions wide and to lie side by side in the middle of the window, as
#' many positions cut off at both of its ends, which is how Enformer and Borzoi crop. Of a window on
#' the minus strand the first bin is the one at its end. The exons' own strand does not matter: bins
#' have none, choose tracks of the strand that is meant.
#'
#' A model with exons around it is a model of that window alone. Every sequence that it is given, a
#' reference, a mutant, an allele, is read as that window: so the score means the same for each, in
#' whatever batch it is, and every method explains it as any other number. Genes in other windows
#' are other models; they share the file and its weights, and making one costs nothing (see the
#' examples). Sequences that know where they lie (see [attribution_ranges()]) are refused where that
#' is another window, and so are sequences of another length.
#'
#' `bins` chosen by number may be given a `window` too: sequences are held to it in the same way.
#' `bin_ranges()` says where the scored bins lie; attributions lie where their sequences do.
#'
#' # How the output lies
#'
#' `order` is known for [enformer()], [borzoi()], and models of these classes from other files; of
#' other models it is found by trying sequences of several lengths, for four seconds at most: the
#' dimension that grows with the sequence is that of the bins. Where neither grows, as where the
#' model cuts out a fixed number of bins, it must be given. `print()` shows it. `bin_size` is found
#' in the same ways.
#'
#' # Both strands
#'
#' The bins of the reverse complement come in reverse order. So the mean over both strands is taken
#' of the output, before bins are chosen from it:
#' `reverse_complement_average(model, outputs = "bins") |> select_bins(...)` (`"positions"` for
#' `[n, tracks, bins]`). The other way round is an error.
#'
#' @param model A model, see [load_model()], with or without [select_output()], [with_args()],
#'   [ensemble()] and [reverse_complement_average()] around it.
#' @param bins Which bins, numbers from 1. Default `NULL`: those of `exons`, or all.
#' @param tracks Which tracks, numbers from 1, or names out of `track_names`. Default `NULL`: all.
#' @param transform What is made of them: `"sum"` (default) or `"mean"` over the bins of the mean
#'   over the tracks; `"log_sum"` and `"log_mean"`, the natural logarithm of that number and
#'   `pseudocount`; `"log1p_sum"` and `"log1p_mean"`, the logarithm of that number and 1.
#' @param exons A `GRanges` (or `GRangesList`) of the exons whose bins are chosen. Exons that
#'   overlap count once. Bins that are not predicted are left out with a warning.
#' @param window A `GRanges` with one range, needed with `exons`: where the sequences lie, on the
#'   strand that they are read from (`"*"` counts as `"+"`).
#' @param index Which output, of a model with several (heads): its number, from 1, or its name.
#' @param order `"bins_tracks"` for an output `[n, bins, tracks]`, `"tracks_bins"` for
#'   `[n, tracks, bins]`. Default `NULL`: found, see below.
#' @param bin_size How many positions a bin has; of use with `window`. Default `NULL`: found.
#' @param borders Which bins an exon has: `"nearest"` (default), those between its ends rounded to
#'   the nearest border of a bin, as Borzoi's authors choose them; `"touched"`, all that hold a
#'   position of it.
#' @param squashing How the model's targets were squashed before it was trained, to be undone:
#'   `c(scale = 0.01, clip = 384, power = 0.75)` for the RNA-seq tracks of the published Borzoi.
#'   Predictions are divided by `scale`, those above `clip` become `clip + (x - clip)^2`, then all
#'   are taken to the power `1 / power`; what is not named does not apply. Default `NULL`: as
#'   predicted.
#' @param pseudocount What is added before the logarithm of `"log_sum"` and `"log_mean"`.
#' @param track_names Names of all tracks of the output, in their order, as published beside the
#'   model; needed where `tracks` are names.
#' @return `select_bins()`: a `seqlift_model` that returns `[n, 1]`. `bin_ranges()`: a `GRanges`
#'   with the scored bins in ascending order of their numbers, which are its column `bin`.
#' @section Errors: `seqlift_error_argument` for bins or tracks that are not there, twice there or
#'   none, a name that is none of `track_names` or several, exons of which no bin is left, a
#'   `window` into which the bins do not fit, and an `order` or a `bin_size` that has to be given;
#'   `seqlift_error_output` for an output that has not three dimensions. What cannot be told before
#'   a sequence has been predicted is a `seqlift_error_evaluation` when the model is used.
#'   `seqlift_error_ranges` when it is used for sequences of another window;
#'   `seqlift_warning_exons` for exons that lie, in part or wholly, outside of what is predicted.
#' @source Linder et al. (2025), Nature Genetics 57:949, and its code for the exons' bins, the
#'   gradients of a gene's score and the squashed scale, github.com/calico/baskerville and
#'   github.com/calico/borzoi.
#' @seealso [profile_score()] for a profile of logits
#' @export
#' @examples
#' # An Enformer of random weights that predicts 8 bins of 4 bp and 3 tracks from 64 bp.
#' block <- function(prefix, inputs, outputs, width) {
#'   shapes <- list(
#'     `0.weight` = inputs, `0.bias` = inputs, `0.running_mean` = inputs, `0.running_var` = inputs,
#'     `2.weight` = c(outputs, inputs, width), `2.bias` = outputs
#'   )
#'   setNames(shapes, paste0(prefix, ".", names(shapes)))
#' }
#' attention <- list(
#'   rel_content_bias = c(1, 2, 1, 4), rel_pos_bias = c(1, 2, 1, 4), to_q.weight = c(8, 12),
#'   to_k.weight = c(8, 12), to_v.weight = c(12, 12), to_out.weight = c(12, 12), to_out.bias = 12,
#'   to_rel_k.weight = c(8, 6)
#' )
#' shapes <- c(
#'   list(stem.0.weight = c(6, 4, 15), stem.0.bias = 6), block("stem.1.fn", 6, 6, 1),
#'   list(stem.2.to_attn_logits.weight = c(6, 6, 1, 1)), block("conv_tower.0.0", 6, 12, 5),
#'   block("conv_tower.0.1.fn", 12, 12, 1),
#'   list(conv_tower.0.2.to_attn_logits.weight = c(12, 12, 1, 1)),
#'   list(transformer.0.0.fn.0.weight = 12, transformer.0.0.fn.0.bias = 12),
#'   setNames(attention, paste0("transformer.0.0.fn.1.", names(attention))),
#'   list(
#'     transformer.0.1.fn.0.weight = 12, transformer.0.1.fn.0.bias = 12,
#'     transformer.0.1.fn.1.weight = c(24, 12), transformer.0.1.fn.1.bias = 24,
#'     transformer.0.1.fn.4.weight = c(12, 24), transformer.0.1.fn.4.bias = 12
#'   ),
#'   block("final_pointwise.1", 12, 24, 1),
#'   list(`_heads.human.0.weight` = c(3, 24), `_heads.human.0.bias` = 3)
#' )
#' weights <- lapply(shapes, function(shape) array(runif(prod(shape), 0.01, 0.3), shape))
#' model <- enformer(weights, target_length = 8)
#' X <- random_one_hot(c(2, 4, 64), random_state = 1)
#' dim(predict(model, X))
#'
#' middle <- select_bins(model, bins = 4:5, tracks = c(1, 3), transform = "log1p_sum")
#' middle
#' predict(middle, X)
#' attribute(middle, X, "gradient_x_input")
#' liver <- select_bins(model, tracks = "CAGE:liver", track_names = c("DNASE", "CAGE:liver", "RNA"))
#' predict(liver, X)
#' @examplesIf requireNamespace("GenomicRanges", quietly = TRUE)
#' # Two genes, each scored in a window of its own.
#' windows <- GenomicRanges::GRanges(c("chr1:1001-1064:+", "chr2:5001-5064:-"))
#' exons <- GenomicRanges::GRanges(c("chr1:1021-1030", "chr1:1041-1047", "chr2:5030-5040"))
#' genes <- lapply(1:2, function(i) {
#'   own <- exons[GenomicRanges::seqnames(exons) == paste0("chr", i)]
#'   select_bins(model, exons = own, window = windows[i], transform = "log_sum")
#' })
#' bin_ranges(genes[[2]])
#' Map(function(gene, i) deep_lift_shap(gene, X[i, , , drop = FALSE], n_shuffles = 2L), genes, 1:2)
select_bins <- function(model, bins = NULL, tracks = NULL,
                        transform = c(
                          "sum", "mean", "log_sum", "log_mean", "log1p_sum", "log1p_mean"
                        ),
                        exons = NULL, window = NULL, index = 1L, order = NULL, bin_size = NULL,
                        borders = c("nearest", "touched"), squashing = NULL, pseudocount = 1e-6,
                        track_names = NULL) {
  call <- rlang::current_env()
  check_model(model)
  transform <- check_choice(transform, names(bin_transforms), "transform")
  borders <- check_choice(borders, c("nearest", "touched"), "borders")
  order <- check_choice(order, c("bins_tracks", "tracks_bins"), "order", null = TRUE)
  bin_size <- check_count(bin_size, "bin_size", null = TRUE)
  index <- check_output_index(output_number(index, model), model)
  squashing <- check_squashing(squashing, call)
  pseudocount <- check_number(pseudocount, "pseudocount", min = 0)
  if (!is.null(exons) && !is.null(bins)) {
    abort_argument("bins", "`NULL` where `exons` choose them", describe(bins))
  }
  output <- binned_output(model, index, order, call)
  score <- c(
    list(
      tracks_first = output$order == "tracks_bins",
      tracks = check_track_choice(tracks, track_names, output$tracks, call),
      tracks_in_all = length(track_names), squashing = squashing
    ),
    bin_transforms[[transform]][c("mean", "logarithm")],
    list(
      pseudocount = bin_transforms[[transform]]$pseudocount %||% pseudocount,
      transform = transform
    )
  )
  placed <- if (is.null(exons) && is.null(window)) {
    list(bins = check_bins(bins, output$bins, call), bins_in_all = 0L)
  } else {
    placed_bins(bins, exons, window, bin_size, borders, output, model, index, call)
  }
  score <- c(score, placed)
  model <- with_modules(model, bin_score_modules(score))
  add_wrapper(model, "select_bins", index, score)
}

# `pseudocount` where the name of the transform says it.
bin_transforms <- list(
  sum = list(mean = FALSE, logarithm = FALSE, pseudocount = 0),
  mean = list(mean = TRUE, logarithm = FALSE, pseudocount = 0),
  log_sum = list(mean = FALSE, logarithm = TRUE, pseudocount = NULL),
  log_mean = list(mean = TRUE, logarithm = TRUE, pseudocount = NULL),
  log1p_sum = list(mean = FALSE, logarithm = TRUE, pseudocount = 1),
  log1p_mean = list(mean = TRUE, logarithm = TRUE, pseudocount = 1)
)

# What the engine puts around the model, classes by paths.
bin_score_modules <- function(score) {
  c(
    "select_bins()" = "seqlift.BinScore",
    if (length(score$squashing) > 0L) c("select_bins().unsquash" = "seqlift.Unsquash"),
    if (score$logarithm) c("select_bins().log" = "seqlift.LogScore")
  )
}

# c(scale, clip, power), or none of them.
check_squashing <- function(squashing, call) {
  if (is.null(squashing)) {
    return(numeric())
  }
  plain <- c(scale = 1, clip = 0, power = 1)
  names <- names(squashing)
  good <- is.numeric(squashing) && length(squashing) > 0L && !is.null(names) &&
    all(names %in% names(plain)) && !anyDuplicated(names) && all(is.finite(squashing)) &&
    all(squashing > 0)
  if (!good) {
    abort_argument("squashing",
      "positive numbers named \"scale\", \"clip\" and \"power\", or some of them",
      describe(squashing),
      call = call
    )
  }
  plain[names] <- squashing
  unname(plain)
}

# ---- numbers and names -----------------------------------------------------------------------

# Ascending whole numbers without the same twice; `count`: how many there are, NA where not known.
check_bins <- function(bins, count, call) check_numbers(bins, "bins", count, call)

check_track_choice <- function(tracks, names, count, call) {
  if (!is.null(names)) {
    if (!is.character(names) || anyNA(names) || length(names) == 0L) {
      abort_argument("track_names", "a character vector with the name of each track",
        describe(names),
        call = call
      )
    }
    if (!is.na(count) && length(names) != count) {
      abort_argument("track_names", paste("the names of the", count, "tracks of the output"),
        paste(length(names), if (length(names) == 1L) "name" else "names"),
        call = call
      )
    }
    count <- length(names)
  }
  if (!is.character(tracks)) {
    return(check_numbers(tracks, "tracks", count, call))
  }
  if (is.null(names)) {
    abort_argument("tracks", "numbers, or names out of `track_names`", describe(tracks),
      hint = "A model's file does not name its tracks: give the names of all of them, in their
              order, as {.arg track_names}.",
      call = call
    )
  }
  odd <- Find(function(track) sum(names %in% track) != 1L, tracks)
  if (!is.null(odd)) {
    found <- sum(names %in% odd)
    abort_argument("tracks", "names that `track_names` has once",
      paste0(
        describe(odd), ", which it has ", if (found == 0L) "not" else paste(found, "times")
      ),
      hint = if (found > 1L) "Choose them by their numbers: {.code which(track_names == ...)}.",
      call = call
    )
  }
  check_numbers(match(tracks, names), "tracks", count, call)
}

check_numbers <- function(numbers, arg, count, call) {
  if (is.null(numbers)) {
    return(integer())
  }
  whole <- is.numeric(numbers) && length(numbers) > 0L && all(is.finite(numbers)) &&
    all(numbers == trunc(numbers)) && all(numbers >= 1)
  last <- if (is.na(count)) .Machine$integer.max else count
  wrong <- if (whole) numbers[numbers > last]
  if (!whole || length(wrong) > 0L || anyDuplicated(numbers)) {
    range <- if (is.na(count)) "of at least 1" else paste("from 1 to", count)
    abort_argument(arg, paste("different whole numbers", range),
      describe_numbers(numbers, whole, wrong),
      hint = if (has_zero(numbers)) "They are counted from 1, not from 0 as in Python.",
      call = call
    )
  }
  sort(as.integer(numbers))
}

# What is wrong with numbers, in words; `wrong`: those of whole ones that are too large.
describe_numbers <- function(numbers, whole, wrong) {
  if (length(numbers) == 0L) {
    "none"
  } else if (length(wrong) > 0L) {
    paste("number", wrong[1L])
  } else if (whole) {
    paste("number", numbers[anyDuplicated(numbers)], "twice")
  } else {
    describe(numbers)
  }
}

# ---- how the output lies ---------------------------------------------------------------------

# list(order, sizes = as text, bins, tracks = numbers or NA, bin_size or NULL).
binned_output <- function(model, index, order, call) {
  found <- describe_model(model)
  sizes <- found$outputs[[min(index, length(found$outputs))]]$shape
  if (length(sizes) > 0L && length(sizes) != 3L) {
    abort_seqlift("output",
      c("{.arg model} must have an output of three dimensions, {.code [n, bins, tracks]} or
         {.code [n, tracks, bins]}, not {.code {shape_text(sizes)}}.",
        i = if (length(found$outputs) > 1L) "Another output is chosen by {.arg index}."
      ),
      call = call
    )
  }
  known <- known_bins(model)
  grows <- if (length(sizes) == 3L) grepl("L", sizes[2:3], fixed = TRUE) else c(FALSE, FALSE)
  told <- if (sum(grows) == 1L) c("bins_tracks", "tracks_bins")[grows]
  if (!is.null(order) && !is.null(told) && order != told) {
    abort_argument("order", paste0("\"", told, "\" or left out"), describe(order),
      hint = paste0(
        "The output is ", shape_text(sizes), ": the dimension that grows with the sequence is ",
        "that of the bins."
      ),
      call = call
    )
  }
  order <- order %||% told %||% known$order
  if (is.null(order)) {
    abort_argument("order", "\"bins_tracks\" or \"tracks_bins\"", "`NULL`",
      hint = paste0(
        "The output is ", shape_text(sizes),
        ", which does not tell which of its dimensions is that of the bins."
      ),
      call = call
    )
  }
  at <- if (order == "bins_tracks") 2:3 else 3:2
  bins <- if (length(sizes) == 3L) sizes[at[1L]] else "?"
  list(
    order = order, sizes = sizes, bins_text = bins, bins = size_number(bins),
    tracks = if (length(sizes) == 3L) size_number(sizes[at[2L]]) else NA_integer_,
    bin_size = size_divisor(bins) %||% known$bin_size
  )
}

# A size that does not follow from the length; NA for others.
size_number <- function(size) if (grepl("^[0-9]+$", size)) as.integer(size) else NA_integer_

# How many positions there are for each of a dimension's; NULL where its text does not say.
size_divisor <- function(size) {
  if (grepl("^L / [0-9]+$", size)) {
    as.integer(sub("L / ", "", size, fixed = TRUE))
  } else if (grepl("^L( - [0-9]+)?$", size)) {
    1L
  }
}

# How many there are in sequences of `length`; NA where the text does not say.
size_at <- function(size, length) {
  if (size == "L") {
    length
  } else if (grepl("^L - [0-9]+$", size)) {
    length - as.integer(sub("L - ", "", size, fixed = TRUE))
  } else if (grepl("^L / [0-9]+$", size)) {
    length %/% size_divisor(size)
  } else {
    size_number(size)
  }
}

# list(order, bin_size) of published architectures, told by their class and modules; NULL of others.
# Each stage of Enformer's tower halves the length, and its stem; in Borzoi, whose way back doubles
# it as often as the last two poolings halve it, the stem and the poolings of the tower do.
known_bins <- function(model) {
  if (identical(model$origin$format, "ensemble")) {
    known <- unique(lapply(model$members, known_bins))
    return(if (length(known) == 1L) known[[1L]])
  }
  count <- function(pattern) sum(grepl(pattern, model$info$modules))
  class <- sub("^.*[.]", "", model$info$class)
  if (class == "Enformer" && count("^conv_tower[.][0-9]+$") > 0L && count("^_heads$") > 0L) {
    list(order = "bins_tracks", bin_size = 2L * 2L^count("^conv_tower[.][0-9]+$"))
  } else if (class == "Borzoi" && count("^final_joined_convs$") > 0L) {
    list(order = "tracks_bins", bin_size = 2L * 2L^count("^res_tower[.][0-9]*[13579]$"))
  }
}

# ---- in words --------------------------------------------------------------------------------

# "2-4, 7" of ascending numbers, the first few stretches.
numbers_text <- function(numbers, most = 4L) {
  starts <- numbers[c(TRUE, diff(numbers) != 1L)]
  ends <- numbers[c(diff(numbers) != 1L, TRUE)]
  stretches <- ifelse(starts == ends, starts, paste0(starts, "-", ends))
  more <- length(stretches) - most
  paste0(
    toString(stretches[seq_len(min(most, length(stretches)))]),
    if (more > 0L) paste0(", and ", more, " more stretch", if (more > 1L) "es")
  )
}

chosen_text <- function(numbers, what) {
  if (length(numbers) == 0L) {
    return(paste0("all ", what, "s"))
  }
  paste0(what, if (length(numbers) > 1L) "s", " ", numbers_text(numbers))
}

# "select_bins(1; bins 2-4; all tracks; log_sum)".
bins_call <- function(wrapper) {
  paste0(
    "select_bins(", wrapper$index, "; ", chosen_text(wrapper$bins, "bin"), "; ",
    chosen_text(wrapper$tracks, "track"), "; ", wrapper$transform, ")"
  )
}

# What print() says of the score beside its call.
scored_lines <- function(model) {
  unlist(lapply(model$wrappers, function(wrapper) {
    if (wrapper$kind != "select_bins") {
      return(NULL)
    }
    measure <- if (wrapper$mean) "mean" else "sum"
    text <- paste0(
      measure, " over ", chosen_text(wrapper$bins, "bin"), " of the mean of ",
      chosen_text(wrapper$tracks, "track")
    )
    if (wrapper$logarithm) {
      text <- paste0("log of (", wrapper$pseudocount, " + ", text, ")")
    }
    c(
      text,
      paste("of an output", if (wrapper$tracks_first) "[n, tracks, bins]" else "[n, bins, tracks]"),
      if (length(wrapper$squashing) > 0L) {
        squashing <- wrapper$squashing
        paste0(
          "squashing undone: scale ", squashing[1L],
          if (squashing[2L] > 0) paste0(", clip ", squashing[2L]), ", power ", squashing[3L]
        )
      },
      if (!is.null(wrapper$window)) paste("in the window", places_text(wrapper$window))
    )
  }))
}
