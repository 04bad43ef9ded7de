# Hit calling: the scores come in blocks, the core (src/core/motifs/hits) solves each sequence by
# itself.

#' Find where motifs act in sequences
#'
#' Explains the attributions of each sequence as a sum of motifs, each at some places and of some
#' height, with as few of them as will do: the algorithm of Fi-NeMo. Unlike a scan of the sequence
#' it finds the sites that the model uses, and neighbours do not count twice what belongs to one.
#'
#' With the contributions of a sequence divided by their root mean square, motifs of unit size and
#' their reverse complements are laid at all places with coefficients of at least 0. The
#' coefficients minimise half the squared difference to the contributions plus `lambda` times their
#' sum. A coefficient counts in units that the contributions below the motif set, so that weak and
#' strong sites are found alike. The problem is convex, and each sequence is solved by itself:
#' neither threads, nor workers, nor how sequences are read change a result.
#'
#' Contribution weights are trimmed at both ends (`cwm_trim_threshold`); an untrimmed motif must lie
#' in the sequence, and `start` and `end` of a hit are those of the trimmed one. Motifs of counts or
#' probabilities are weighted by their information content, with a message.
#'
#' An HDF5 file is read block by block; with `output` a call that is killed can be taken up again.
#'
#' @section Where Fi-NeMo differs:
#' Steps, stopping and numbers are those of finemo 0.41, with these exceptions. Its motifs are
#' rounded to 11 bits (float16), ours are not. What it calls the duality gap lacks a factor: with
#' s = min(1, 1 / (largest gradient / lambda)) the product of residual and contributions must be
#' multiplied by s. It also belongs to a point beside the coefficients that are returned. The
#' coefficients are therefore further from the optimum than `tolerance` says, ten times and more.
#' `compatible = TRUE` stops there all the same, for the same hits; the true gap is given beside it
#' (`exact_gap`), and `compatible = FALSE` goes on until that is below the tolerance, for about a
#' tenth more time. Where all gradients are negative it never stops by itself; no hit is the optimum
#' there, and found in one step. Motifs may be of different widths. See [collapse_hits()] for hits
#' that overlap.
#'
#' @param attributions Attributions of one target, hypothetical or of the observed bases: a result
#'   of [deep_lift_shap()] or another method, one in an HDF5 file ([seqlift_h5_attributions]), or an
#'   array `[n, 4, L]`, with `X`. Any unit.
#' @param motifs A result of [discover_motifs()]; the path of a file ([read_motifs()]); or matrices
#'   `[4, width]` of contribution weights, objects of universalmotif or TFBSTools, or a list of
#'   such.
#' @param X The sequences of an array: anything that [deep_lift_shap()] takes. `NULL` (default) for
#'   results, which hold theirs.
#' @param ... Unused.
#' @param mode What is laid on what: two letters, `"p"` for contributions of the observed bases,
#'   `"h"` for hypothetical ones, first of the motifs (where they have both), then of the sequences.
#'   `"pp"` (default), `"ph"`, `"hp"` or `"hh"`; the second letter `"h"` needs hypothetical
#'   attributions.
#' @param lambda Penalty of the coefficients, above 0: one number, or one for each motif, in their
#'   order or named by them. Larger gives fewer hits. It is also the least similarity of a hit
#'   (`post_filter`). Default 0.7.
#' @param sqrt_transform `TRUE` takes signed square roots of contributions and motifs first, so that
#'   strong positions count less. Default `FALSE`.
#' @param cwm_trim_threshold Positions at the ends of a motif whose contributions (absolute, summed
#'   over the bases) are below this share of the largest are cut off, 0 (nothing) to 1. Default 0.3.
#' @param post_filter `TRUE` (default) keeps hits whose similarity is at least `lambda`.
#' @param tolerance The duality gap, divided by the length of the sequence, at which a sequence is
#'   done. Default 0.0005.
#' @param compatible `TRUE` (default) stops where finemo does; `FALSE` at the true duality gap. See
#'   below.
#' @param max_steps At most how many steps for a sequence. Default 10000.
#' @param step_size,step_size_min Length of the steps, and the least to which it is cut down, by
#'   0.7 at a time, where they diverge. Default 3 and 0.08.
#' @param dtype `"float32"` (default) or `"float64"`: the precision of the steps.
#' @param output Path of a file that the result is written to, for [readRDS()], as well as returned;
#'   `NULL` (default): none. What is done until the call is killed is kept beside it, in the folder
#'   `output`.parts, and the same call goes on from there; another is refused
#'   (`seqlift_error_resume`). A file that holds the result of the call is read.
#' @param verbose `TRUE` shows a progress bar. Default `FALSE`.
#' @param BPPARAM A parameter object of BiocParallel, which shares the sequences among its workers,
#'   or `NULL` (default). One process uses as many threads as [seqlift_threads()] says.
#' @return A data frame of class [seqlift_hits], a row for each hit, by sequence and start, with
#'   columns
#'   * `sequence`: its name, or number where there are none;
#'   * `start`, `end`: of the trimmed motif, in the sequence, 1-based and inclusive;
#'   * `strand`: `"-"` where the motif's reverse complement lies on the sequence;
#'   * `motif`: a factor;
#'   * `coefficient`: above 0, comparable within the sequence;
#'   * `importance`: sum of the absolute contributions below the trimmed motif;
#'   * `similarity`: of the motif and the contributions below it, at most 1;
#'   * `importance_sq`: sum of their squares;
#'   * `coefficient_global`: coefficient times the mean square of the sequence's contributions,
#'     comparable between sequences;
#'   * `explained`: the share of the sequence's squared contributions that the hit accounts for;
#'   * `lambda`: of the motif;
#'   * `start_untrimmed`, `end_untrimmed`: of the whole motif;
#'   * `example`: number of the sequence;
#'   * `seqnames`, `genomic_start`, `genomic_end`, `genomic_strand`: the place in the genome, where
#'     the attributions have ranges.
#'
#'   Attribute `info` is a list with `settings`; `sequences`, a data frame with `nll` (squared
#'   difference / 2 by position), `dual_gap` and `exact_gap` by position, `explained` (share of the
#'   squared contributions, hits below `post_filter` included), `n_steps`, `step_size`,
#'   `global_scale` (root mean square of the contributions) and `outcome` (`"converged"`,
#'   `"out of steps"` or `"diverged"`); and `motifs`, a data frame with their widths, trimming,
#'   `scale` (size before it was made 1), `lambda`, `seqlets`, `seqlets_found` and `cwm_similarity`
#'   (see [summary()][seqlift_hits]).
#' @section Errors: `seqlift_error_attributions` for attributions of another kind or shape, with
#'   numbers that are not finite, or all zero; `seqlift_error_argument` for what are no motifs,
#'   none, two of one name, one longer than the sequences, or another wrong argument;
#'   `seqlift_error_file` for a file of motifs that cannot be read. A `seqlift_warning_hits` tells
#'   how many sequences ended without reaching the tolerance.
#' @source Fi-NeMo (Wang, Patel and Kundaje), <https://github.com/kundajelab/Fi-NeMo>, finemo 0.41.
#'   Steps: Beck and Teboulle (2009), SIAM Journal on Imaging Sciences 2, 183-202. Duality gap: Kim
#'   et al. (2007), IEEE Journal of Selected Topics in Signal Processing 1, 606-617.
#' @seealso [seqlift_hits] for the result, [hits_as_granges()], [export_bed()], [collapse_hits()],
#'   [discover_motifs()]
#' @export
#' @examples
#' # Noise with a motif planted in each sequence, on either strand.
#' set.seed(1)
#' motif <- rbind(A = c(0, 1.2, 0, 1.1, 0.8), C = 0, G = c(1, 0, 0, 0, 0), T = c(0, 0, 0.9, 0, 0))
#' turned <- motif[4:1, 5:1]
#' X <- random_one_hot(c(20, 4, 60), random_state = 0)
#' scores <- array(rnorm(20 * 4 * 60, sd = 0.08), c(20, 4, 60))
#' for (i in 1:20) {
#'   laid <- if (i %% 2 == 0) turned else motif
#'   at <- sample(55, 1) + 0:4
#'   X[i, , at] <- laid > 0
#'   scores[i, , at] <- laid
#' }
#' hits <- call_hits(scores, list(gata = motif), X)
#' hits
#' summary(hits)
call_hits <- function(attributions, motifs, X = NULL, ..., mode = c("pp", "ph", "hp", "hh"),
                      lambda = 0.7, sqrt_transform = FALSE, cwm_trim_threshold = 0.3,
                      post_filter = TRUE, tolerance = 0.0005, compatible = TRUE,
                      max_steps = 10000L, step_size = 3, step_size_min = 0.08,
                      dtype = c("float32", "float64"), output = NULL, verbose = FALSE,
                      BPPARAM = NULL) {
  call <- rlang::current_env()
  check_no_dots(..., .fn = "call_hits", .after = "X")
  mode <- check_choice(mode, c("pp", "ph", "hp", "hh"), "mode")
  dtype <- check_choice(dtype, c("float32", "float64"), "dtype")
  for (flag in c("sqrt_transform", "post_filter", "compatible", "verbose")) {
    check_flag(get(flag), flag)
  }
  trim <- check_share(cwm_trim_threshold, "cwm_trim_threshold")
  settings <- list(
    hypothetical = endsWith(mode, "h"), sqrt_transform = sqrt_transform, post_filter = post_filter,
    float64 = dtype == "float64", compatible = compatible,
    tolerance = check_above_zero(tolerance, "tolerance"),
    step_size = check_above_zero(step_size, "step_size"),
    step_size_min = check_above_zero(step_size_min, "step_size_min"), step_adjust = 0.7,
    max_steps = check_count(max_steps, "max_steps")
  )
  if (!is.null(output)) {
    output <- follow_links(check_output_path(output, "output"))
  }
  parallel <- is_parallel(BPPARAM)
  scores <- motif_scores(attributions, X, kinds = if (settings$hypothetical) "hypothetical" else
    c("hypothetical", "attributions"))
  on.exit(scores$close())
  if (!inherits(attributions, "seqlift_h5_attributions")) {
    scores$first <- first_position(attributions, axis = 3L)
  }
  motifs <- hit_motifs(motifs, mode, lambda, trim, sqrt_transform, scores$length, call)
  check_hit_scores(scores, call)
  task <- list(
    scores = scores, motifs = motifs, settings = settings, verbose = verbose,
    BPPARAM = if (parallel) keep_workers(BPPARAM, call)
  )
  kept <- c("sqrt_transform", "post_filter", "tolerance", "compatible", "max_steps", "step_size",
    "step_size_min")
  task$about <- c(list(mode = mode, cwm_trim_threshold = trim, dtype = dtype), settings[kept])
  hits <- if (is.null(output)) new_hits(hits_of_blocks(task, call), task) else
    stream_hits(task, output, call)
  warn_unfinished(attr(hits, "info")$sequences$outcome, call)
  hits
}

check_above_zero <- function(x, arg, call = caller_env()) {
  if (!is.numeric(x) || length(x) != 1L || !is.finite(x) || x <= 0) {
    abort_argument(arg, "one number above 0", describe(x), call = call)
  }
  as.double(x)
}

# What is in memory is looked at before the work begins, a file as it is read.
check_hit_scores <- function(scores, call) {
  if (is.null(scores$values)) {
    return(invisible())
  }
  refuse_odd_scores(scores$values, call)
  if (all(scores$values == 0)) {
    abort_only_zeros(call)
  }
}

refuse_odd_scores <- function(values, call) {
  if (!all(is.finite(values))) {
    abort_argument("attributions", "of finite numbers", "one with NA, NaN or Inf",
      kind = "attributions", call = call
    )
  }
}

abort_only_zeros <- function(call) {
  abort_argument("attributions", "of numbers that are not all 0", "zeros",
    kind = "attributions", call = call
  )
}

# Numbers that are read at a time: 8 MB of them.
hit_block <- 1e6

blocks_of_hits <- function(scores) {
  cut_chunks(scores$n, max(1, hit_block %/% (n_bases * scores$length)))
}

# A list with what hits_of_block() gives for each block of sequences. With `files` each is written
# to its own, and those that are there are not computed again.
hits_of_blocks <- function(task, call, files = NULL) {
  scores <- task$scores
  blocks <- blocks_of_hits(scores)
  open <- if (is.null(files)) seq_along(blocks) else which(!chunks_are_whole(files))
  progress <- progress_bar(task$verbose, "Calling hits")
  arguments_of <- function(rows) {
    own <- list(values = scores$read(rows), codes = scores$codes(rows))
    refuse_odd_scores(own$values, call)
    list(
      values = array(as.double(own$values), dim(own$values)), codes = own$codes, first = rows[1L],
      laid = task$motifs$laid, settings = task$settings,
      patterns = seqlets_in(task$motifs$patterns, rows)
    )
  }
  done <- 0
  report <- function(n) {
    done <<- done + n
    if (task$verbose) {
      progress(done / length(open))
    }
  }
  if (is.null(task$BPPARAM)) {
    found <- lapply(open, function(i) {
      own <- do.call(hits_of_block, arguments_of(blocks[[i]]), quote = TRUE)
      report(1)
      if (is.null(files)) own else save_part(own, files[i])
    })
  } else {
    # A few for each worker at a time, so that no more scores are held than that.
    each <- 2L * BiocParallel::bpnworkers(task$BPPARAM)
    groups <- unname(split(open, (seq_along(open) - 1L) %/% each))
    found <- unlist(lapply(groups, function(some) {
      jobs <- lapply(some, function(i) {
        serialize(list(
          verb = "hits_of_block", arguments = arguments_of(blocks[[i]]), first = 1L,
          threads = engine$threads %||% 1L, part = files[i]
        ), NULL)
      })
      values <- run_jobs(jobs, blocks[some], task$BPPARAM, call)
      report(length(some))
      lapply(values, function(one) one$value)
    }), recursive = FALSE)
  }
  if (is.null(files)) found else unname(Map(read_hit_part, files, blocks, list(call)))
}

# ---- a file that a kill does not lose -----------------------------------------------------

# Blocks are files in the folder `path`.parts until all are there (see attribute_streaming.R);
# `path` is then the whole result, as saveRDS() would write it.
stream_hits <- function(task, path, call) {
  folder <- paste0(path, ".parts")
  hashes <- hashes_of_hits(task)
  if (file.exists(path)) {
    hits <- tryCatch(readRDS(path), error = function(error) NULL)
    if (!inherits(hits, "seqlift_hits") || !identical(attr(hits, "info")$call, hashes)) {
      abort_seqlift("resume",
        c("{.path {path}} ({.arg output}) is there and does not hold the results of this call.",
          i = "Choose another {.arg output}, or remove it."
        ),
        call = call
      )
    }
    unlink(folder, recursive = TRUE)
    return(hits)
  }
  # Nothing is drawn at random.
  open_parts(folder, list(hashes = hashes, random_state = 0), path, call)
  n <- length(blocks_of_hits(task$scores))
  files <- file.path(folder, sprintf("chunk-%06d.rds", seq_len(n)))
  hits <- new_hits(hits_of_blocks(task, call, files), task)
  info <- attr(hits, "info")
  info$call <- hashes
  attr(hits, "info") <- info
  write_whole(path, function(temporary) write_r_value(hits, temporary), "output", call)
  unlink(folder, recursive = TRUE)
  hits
}

# What the hits depend on. A file is known by its shape and by its first and last sequences.
hashes_of_hits <- function(task) {
  scores <- task$scores
  blocks <- blocks_of_hits(scores)
  ends <- blocks[unique(c(1L, length(blocks)))]
  values <- scores$values %||% lapply(ends, scores$read)
  codes <- if (is.null(scores$values)) lapply(ends, scores$codes) else
    scores$codes(seq_len(scores$n))
  about <- list(
    attributions = list(scores$n, scores$length, unname(scores$names), values, codes),
    ranges = if (!is.null(scores$ranges)) range_text(scores$ranges),
    motifs = list(task$motifs$laid, task$motifs$table, lapply(task$motifs$patterns, function(one) {
      one$seqlets
    })),
    settings = task$settings
  )
  vapply(about, rlang::hash, "")
}

read_hit_part <- function(file, rows, call) {
  read_part(file, function(part) is.list(part) && length(part$regions$nll) == length(rows), call)
}

# Hits of some sequences, numbered from `first`: the core's columns, and for each pattern how many
# of its seqlets (`patterns`: tables) are there (the sum of contributions is theirs) and how many of
# these are hits.
hits_of_block <- function(values, codes, first, laid, settings, patterns) {
  found <- core_call_hits(laid, values, codes, c(settings, list(threads = motif_threads())))
  if (!is.null(found$error)) {
    rlang::interrupt()
  }
  found$hits$region <- found$hits$region + first - 1L
  c(found, list(any = any(values != 0), seqlets = count_seqlets(patterns, found$hits, values, codes,
    first)))
}

seqlets_in <- function(patterns, rows) {
  lapply(patterns, function(pattern) {
    seqlets <- pattern$seqlets
    seqlets[seqlets$example >= rows[1L] & seqlets$example <= rows[length(rows)], , drop = FALSE]
  })
}

# Columns: seqlets, those whose contributions are those of the discovery, those that are hits.
count_seqlets <- function(patterns, hits, values, codes, first) {
  place <- function(motif, example, start) paste(motif, example, start)
  called <- place(hits$motif, hits$region, hits$start)
  track <- observed_track(values, codes)
  counts <- vapply(seq_along(patterns), function(i) {
    own <- patterns[[i]]
    own <- own[!duplicated(own[c("example", "start", "strand")]), , drop = FALSE]
    own <- own[own$start >= 1L & own$end <= nrow(track), , drop = FALSE]
    column <- own$example - first + 1L
    sums <- vapply(seq_along(column), function(k) {
      sum(track[seq(own$start[k], own$end[k]), column[k]])
    }, 0)
    # Single precision, as files hold them.
    same <- is.na(own$attribution) |
      abs(sums - own$attribution) <= 1e-2 * abs(own$attribution) + 1e-6
    wanted <- place(2L * i - (own$strand != "-"), own$example, own$start)
    c(nrow(own), sum(same), sum(wanted %in% called))
  }, c(0, 0, 0))
  matrix(counts, 3L)
}

# [L, n]
observed_track <- function(values, codes) {
  track <- matrix(0, nrow(codes), ncol(codes))
  for (base in seq_len(n_bases)) {
    own <- codes == as.raw(base - 1L)
    track[own] <- t(matrix(values[, base, ], ncol(codes)))[own]
  }
  track
}

warn_unfinished <- function(outcome, call) {
  odd <- which(outcome != "converged")
  if (length(odd) > 0L) {
    warn_seqlift("hits",
      c("{length(odd)} of {length(outcome)} sequence{?s} ended without reaching {.arg tolerance},
         the first: {odd[1L]} ({outcome[odd[1L]]}).",
        i = "Allow more {.arg max_steps}, or a smaller {.arg step_size};
             {.code attr(x, \"info\")$sequences} has the gaps."
      ),
      call = call
    )
  }
}
