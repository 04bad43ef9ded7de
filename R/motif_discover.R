# Motif discovery: the scores come in pieces, windows are summed here, the core does the rest
# (src/core/motifs/discover).

#' Discover the motifs that a model uses
#'
#' TF-MoDISco: finds the spans (seqlets) of high attribution, clusters those that look alike, and
#' lays the seqlets of each cluster on top of each other. No Python is needed.
#'
#' Seqlets are called as by [tfmodisco_seqlets()], but for two details in which tfmodisco 2.6
#' differs from tangermeme (quantiles up to 95 %, and windows looked at from zero outwards), and
#' split by the sign of their contributions; a sign with 100 seqlets or fewer has no motifs. Their
#' similarity is first that of their gapped k-mers, which chooses 500 neighbours of each, then the
#' continuous Jaccard similarity of contributions and hypothetical contributions over offsets and
#' strands. The graph of neighbours, adapted to its density, is clustered by the Leiden algorithm
#' from `n_leiden_runs` orders of the seqlets; the best clustering is taken. Seqlets of a cluster
#' are aligned one by one, the pattern is cut to the 30 bp of most information with 10 bp on both
#' sides. All this is done twice; then patterns are split into clusters, those that look alike and
#' whose seqlets mix are merged, and those of at least 20 seqlets are kept. All other numbers are
#' those of tfmodisco-lite 2.6.
#'
#' The same `random_state` gives the same motifs, with any number of threads ([seqlift_threads()]).
#' Memory holds the scores of the sequences whose seqlets are taken (`max_seqlets`), in single
#' precision; of an HDF5 file no more is read at a time than a piece, and sums over the windows of
#' many sequences are kept in a file in [tempdir()], 8 bytes a position, so that memory does not
#' grow with the sequences.
#'
#' @param attributions Hypothetical attributions of one target: a result of [deep_lift_shap()] or
#'   another method of kind `"hypothetical"`, one in an HDF5 file ([seqlift_h5_attributions]), or an
#'   array `[n, 4, L]`, with `X`. Or the path of a file: HDF5 in the layout of ChromBPNet (`raw/seq`
#'   and `shap/seq`, see [read_h5()]), or numpy's `.npz` or `.npy` with an array `(n, 4, L)`, with
#'   `X`. Files are read in pieces. Any unit.
#' @param X The sequences of an array: anything that [deep_lift_shap()] takes, or the path of an
#'   `.npz` or `.npy` file with a one-hot array `(n, 4, L)`. `NULL` (default) for results and HDF5
#'   files, which hold theirs.
#' @param ... Unused.
#' @param max_seqlets At most how many seqlets of each sign, in the order of the sequences. Default
#'   20000.
#' @param window How many positions around the centre are searched, in bp. Default `NULL`: all.
#' @param sliding_window_size,flank_size Length of the windows that are summed and how much is added
#'   on both sides of them, in bp. Default 21 and 10. (tfmodisco-lite's command line has 20 and 5.)
#' @param target_seqlet_fdr Share of background among the windows that pass, 0 to 1. Default 0.2.
#' @param n_leiden_runs From how many orders of the seqlets clusters are looked for. Default 50.
#' @param random_state Seed of these orders, a whole number. Default `NULL`: drawn from R's
#'   generator.
#' @param verbose `TRUE` says which step begins. Default `FALSE`.
#' @return A [seqlift_motifs], of length 0 where there is no motif. Positions of seqlets are those
#'   of the whole sequence; attribute `settings` has the arguments, the number of seqlets of each
#'   sign and the positions searched.
#' @section Errors: `seqlift_error_attributions` for attributions of another kind or shape, or with
#'   numbers that are not finite, or all zero; `seqlift_error_argument` for another wrong argument,
#'   or sequences shorter than a seqlet; `seqlift_error_file` for a file that cannot be read or
#'   holds something else; `seqlift_error_package` for HDF5 without rhdf5.
#' @source Shrikumar et al. (2018), arXiv:1811.00416; its lite version, tfmodisco 2.6 (Schreiber),
#'   <https://github.com/jmschrei/tfmodisco-lite>. Clusters: Traag, Waltman and van Eck (2019),
#'   Scientific Reports 9:5233. `flank_size = 0` and sequences whose windows are all of one sign
#'   work here.
#' @seealso [seqlift_motifs] for the result, [tomtom()] for names, [export_motifs()]
#' @export
#' @examples
#' # 250 sequences with a site whose letters matter, and noise elsewhere.
#' set.seed(1)
#' site <- c(G = 3, A = 1, T = 4, A = 1, A = 1, G = 3)
#' codes <- matrix(sample(4, 250 * 120, replace = TRUE), 250)
#' scores <- array(rnorm(250 * 4 * 120, sd = 0.1), c(250, 4, 120))
#' for (i in 1:250) {
#'   at <- sample(50:65, 1) + 0:5
#'   codes[i, at] <- site
#'   scores[i, , at] <- -0.4
#'   scores[cbind(i, site, at)] <- 1
#' }
#' X <- array(0, dim(scores))
#' X[cbind(rep(1:250, 120), c(codes), rep(1:120, each = 250))] <- 1
#' motifs <- discover_motifs(scores, X, n_leiden_runs = 5, random_state = 0)
#' motifs
discover_motifs <- function(attributions, X = NULL, ..., max_seqlets = 20000L, window = NULL,
                            sliding_window_size = 21L, flank_size = 10L, target_seqlet_fdr = 0.2,
                            n_leiden_runs = 50L, random_state = NULL, verbose = FALSE) {
  check_no_dots(..., .fn = "discover_motifs", .after = "X")
  scores <- motif_scores(attributions, X)
  on.exit(scores$close())
  max_seqlets <- check_count(max_seqlets, "max_seqlets")
  window <- check_count(window, "window", max = scores$length, null = TRUE) %||% scores$length
  sliding <- check_count(sliding_window_size, "sliding_window_size", max = window)
  flank <- check_count(flank_size, "flank_size", min = 0)
  if (sliding + 2 * flank > window) {
    abort_argument("flank_size", paste0("so short that a seqlet of ", sliding,
      " bp with its flanks fits into ", window, " bp"), flank)
  }
  fdr <- check_share(target_seqlet_fdr, "target_seqlet_fdr")
  runs <- check_count(n_leiden_runs, "n_leiden_runs")
  check_flag(verbose, "verbose")
  seed <- check_random_state(random_state) %||% sample.int(.Machine$integer.max, 1L)

  first <- scores$length %/% 2L - window %/% 2L
  called <- call_motif_seqlets(scores, first + seq_len(window), sliding, flank, fdr, max_seqlets)
  regions <- scored_regions(scores, unique(called$seqlets[, 1L]) + 1L, first + seq_len(window))
  settings <- list(
    method = "discover_motifs()", source = scores$source, attributions = scores$about,
    n_sequences = scores$n, length = scores$length, window = window, first = first + 1L,
    n_called = called$n, n_seqlets = called$n_of_sign,
    sliding_window_size = sliding, flank_size = flank, target_seqlet_fdr = fdr,
    max_seqlets = max_seqlets, n_leiden_runs = runs, random_state = seed
  )
  patterns <- unlist(lapply(c(positive = 1L, negative = -1L), function(sign) {
    own <- called$seqlets[called$sign == sign, , drop = FALSE]
    if (nrow(own) == 0L) {
      return(list())
    }
    found <- core_discover(regions, own, sign, runs, seed, motif_threads(), function(step) {
      if (verbose) {
        what <- if (sign > 0L) "positive" else "negative"
        inform_seqlift("progress", paste0("Motifs of ", what, " contributions: ", step))
      }
    })
    if (identical(found$error, "interrupt")) {
      rlang::interrupt()
    }
    as_patterns(found$patterns, sign, first, scores$ranges)
  }), recursive = FALSE, use.names = FALSE)
  names(patterns) <- vapply(patterns, function(one) one$name, "")
  settings$n_patterns <- length(patterns)
  new_motifs(patterns, settings, scores$ranges)
}

# A sign has motifs if it has more seqlets than this.
min_seqlets_of_sign <- 100L

# Numbers of a piece of scores that is read at a time.
score_piece <- 4e6

score_pieces <- function(scores, rows) {
  split(rows, (seq_along(rows) - 1L) %/% max(1, score_piece %/% (n_bases * scores$length)))
}

# Sums of windows that are kept in memory, 32 MB; more go to a temporary file, so that memory does
# not grow with the sequences.
held_window_sums <- 4e6

# Seqlets that motifs are looked for in, at most `max_seqlets` of each sign and none of a sign with
# few: a list of `seqlets`, an integer matrix with rows (example, start, end) that counts from 0 in
# `positions`, their `sign`, and how many were called: `n`, `n_of_sign`.
call_motif_seqlets <- function(scores, positions, window, flank, fdr, max_seqlets,
                               call = caller_env()) {
  sums <- core_window_sums(length(positions), window, held_window_sums, tempdir())
  only_zeros <- TRUE
  for (rows in score_pieces(scores, seq_len(scores$n))) {
    values <- scores$read(rows)[, , positions, drop = FALSE]
    refuse_odd_scores(values, call)
    tracks <- observed_track(values, scores$codes(rows)[positions, , drop = FALSE])
    only_zeros <- only_zeros && all(tracks == 0)
    stop_without_room(core_add_tracks(sums, tracks), call)
  }
  if (only_zeros) {
    abort_only_zeros(call)
  }
  found <- core_tfmodisco_calls(sums, window, flank, fdr, 0.03, 0.2, 0.8, max_seqlets, FALSE)
  stop_without_room(found$error, call)
  n_of_sign <- c(positive = found$n[2L], negative = found$n[3L])
  kept <- found$sign %in% c(1L, -1L)[n_of_sign > min_seqlets_of_sign]
  list(
    seqlets = cbind(found$example - 1L, found$start - 1L, found$end)[kept, , drop = FALSE],
    sign = found$sign[kept], n = found$n[1L], n_of_sign = n_of_sign
  )
}

stop_without_room <- function(problem, call) {
  if (length(problem) > 0L) {
    abort_seqlift("file",
      c("The sums of windows could not be kept: {problem}.",
        i = "Set the environment variable {.envvar TMPDIR} to a folder with room before R starts."
      ),
      call = call
    )
  }
}

scored_regions <- function(scores, rows, positions) {
  regions <- core_scored_regions(scores$n, length(positions))
  for (own in score_pieces(scores, rows)) {
    core_add_regions(regions, own - 1L, scores$codes(own)[positions, , drop = FALSE],
      as.double(scores$read(own)[, , positions, drop = FALSE]))
  }
  regions
}

as_patterns <- function(found, sign, first, ranges) {
  group <- if (sign > 0L) "pos_patterns" else "neg_patterns"
  one <- function(pattern, name) {
    matrices <- lapply(pattern[c("ppm", "contributions", "hypothetical")], function(values) {
      dimnames(values) <- list(NULL, base_letters)
      values
    })
    c(
      list(name = name, sign = if (sign > 0L) "positive" else "negative"), matrices,
      list(
        seqlets = pattern_seqlets(pattern$seqlets, pattern$attribution, first, ranges),
        subpatterns = named_patterns(pattern$subpatterns, "subpattern_", function(part, own) {
          one(part, paste0(name, ".", own))
        })
      )
    )
  }
  named_patterns(found, "pattern_", function(pattern, own) one(pattern, paste0(group, ".", own)))
}

named_patterns <- function(patterns, prefix, f) {
  names <- if (length(patterns) > 0L) paste0(prefix, seq_along(patterns) - 1L)
  stats::setNames(Map(f, patterns, names), names)
}

# The core counts from 0 in the positions searched.
pattern_seqlets <- function(table, attribution, first, ranges) {
  seqlets <- data.frame(
    example = table[, 1L] + 1L, start = table[, 2L] + 1L + first, end = table[, 3L] + first,
    attribution = attribution,
    strand = ifelse(table[, 4L] == 1L, "-", "+")
  )
  if (!is.null(ranges)) {
    seqlets$range <- range_text(ranges)[seqlets$example]
  }
  seqlets
}
