#' Score variants by what they do to predictions
#'
#' For every variant (one base for another, insertions, deletions, several alternative alleles) the
#' change of predicted counts, the distance of predicted profiles, how active the alleles are among
#' peaks, and products of these; for each of several models (the folds of a cross-validation), as
#' mean and standard error, with empirical p-values against shuffled sequences.
#'
#' @section What is scored:
#' Both alleles stand in the middle of `width` bases of the genome, `width %/% 2` of them to the
#' left of the variant's position as it is written. An insertion pushes bases out to the right, a
#' deletion is filled up from there. Predictions of the sequence and of its reverse complement are
#' averaged, counts as counts and profiles as logits.
#'
#' * `logfc`: log2 of the alternative allele's counts over the reference's; `abs_logfc`.
#' * `jsd`: the Jensen-Shannon distance (square root of the divergence in bits) of both profiles,
#'   the softmax over all strands and positions. Where an allele is longer, both profiles are cut to
#'   the positions that show the same bases before; `original_jsd` is without the cut.
#' * `allele1_quantile` (reference), `allele2_quantile`: the share of the peaks of `background` with
#'   lower counts, at least one peak's share; `active_allele_quantile`, the higher of both;
#'   `quantile_change`, second minus first; `abs_quantile_change`.
#' * Products: `logfc_x_jsd`, `abs_logfc_x_jsd`, and each of `logfc`, `abs_logfc`, `jsd` and these
#'   two `_x_active_allele_quantile`.
#'
#' Scores are those of every model for itself; the mean is the mean of the models' scores, not the
#' score of mean predictions.
#'
#' @section p-values:
#' With `null`, so many variants are drawn from `variants` (with replacement if these are fewer).
#' The bases around each are shuffled so that dinucleotides stay, both alleles are put in the middle
#' of the same shuffle and scored like variants. The p-value is the share of the null that is as
#' extreme or more, the variant counted as one more of the null: to the right for sizes, for scores
#' with a sign twice the smaller of both sides, at most 1 (variant-scorer lets it exceed 1).
#'
#' With several models the p-value is that of the mean among the means of the same null pairs. The
#' geometric mean of the models' own p-values, which variant-scorer gives, is `p_value_geometric`;
#' as the models agree and disagree with each other on the null too, it is not uniform where there
#' is no effect. `q_value` is `p_value` after Benjamini and Hochberg over all variants.
#'
#' @section Files of results:
#' With `output` the table is written to a file, and any number of variants takes the same memory:
#' they are read block by block, a VCF file or a table as it lies on the disk, and what is in memory
#' is one block, one chunk and the null. The numbers are those of the call without `output`, to the
#' last bit. Each chunk of 256 variants is a file in the folder `output`.parts as soon as it is
#' done, and the same call after a kill does only what is missing. The finished file knows the call:
#' the same call again returns at once, another one is an error.
#'
#' * Text (tab-separated, as many digits as tell the number; compressed where the name ends in
#'   `.gz`): the first line is a comment (`#`) with the checksum of the call.
#'   `utils::read.delim(path, skip = 1, quote = "")` reads the table.
#' * HDF5 (a name that ends in `.h5` or `.hdf5`): a data set for each column. The attribute
#'   `columns` of the file has their order, `seqlift` the checksum. In Python
#'   `pandas.DataFrame({c: f[c][:] for c in f.attrs["columns"]})` is the table.
#'
#' @param models A model, see [load_model()], or a list of several (folds), whose names are used in
#'   the result. Other inputs than the sequence must be filled in ([with_args()]).
#' @param variants Variants on the genome: a `VRanges` or `VCF` object of the VariantAnnotation
#'   package; the path of a VCF file (plain, gzip, bgzip); a `GRanges` with the columns `REF` and
#'   `ALT`; or a data frame with the columns `chromosome`, `position` (from 1), `ref`, `alt`
#'   (several alleles separated by commas) and, for names such as rsIDs, `variant` (usual other
#'   names, `chr`, `pos`, `id`, are understood), or the path of such a table as text, separated by
#'   tabs, with the names in its first line. Alleles as in VCF: an insertion or deletion has the
#'   base before it. In a data frame also as VEP writes them, with `"-"` or nothing for no bases, at
#'   the first base that is deleted or the base behind the insertion (a column `end`, where there is
#'   one, must agree); the result has them as in VCF.
#' @param genome As in [sequences_from()].
#' @param ... Must be empty; what follows is given by name.
#' @param width Length of the sequences in bases. `NULL` (default) takes the only length that the
#'   models take; models that take many need it, as it is the length that they were trained on.
#' @param counts,profile Which outputs are the counts (`[n]` or `[n, tasks]`) and the logits of the
#'   profile (`[n, positions]` or `[n, strands, positions]`), from 1. `NULL` (default): the output
#'   with three dimensions is the profile, another one the counts; of two without such, the one with
#'   one number a sequence the counts and the other the profile. `0` leaves one out.
#' @param target Which column of the counts, from 1, where there are several tasks. Default `NULL`:
#'   the only one.
#' @param count_scale `"log"` (default) for models that predict natural logarithms of counts, as
#'   BPNet and ChromBPNet do, `"linear"` for counts.
#' @param null How many shuffled pairs make the null of the p-values; p-values are at least
#'   `1 / (null + 1)`. Default `NULL`: no p-values.
#' @param background Peaks to compare alleles with: a `GRanges` or the path of a BED or narrowPeak
#'   file, of which `width` bases around the centre or summit are predicted; or counts that the
#'   model predicted for peaks, a vector, for several models a matrix `[peaks, models]`. Default
#'   `NULL`: no quantiles.
#' @param output Path of a file for the table, see below: text, or HDF5 where it ends in `.h5`.
#'   Default `NULL`: the table is returned.
#' @param both_strands `TRUE` (default) averages over the reverse complement.
#' @param random_state Whole number from 0 to 4294967295: the seed of the null. `NULL` (default)
#'   takes one from R's own generator.
#' @param method `"auto"` (default), `"incremental"` or `"full"`: whether the models compute for
#'   substitutions only what these reach, see [saturation_mutagenesis()].
#' @param out_of_bounds What to do with variants so near to an end of their chromosome that the
#'   sequence reaches over it: `"error"` (default), `"drop"` them with a message (also those on
#'   chromosomes that the genome lacks), or `"pad"` with N.
#' @param strict What to do with alleles that cannot be scored (symbolic, `*`, without `ALT`), see
#'   [variants_from()].
#' @inheritParams predict.seqlift_model
#' @return A data frame with a row for each variant and alternative allele, in the order of the
#'   variants, for `output` its path, invisibly. Columns:
#'   * `variant` (name, or place and alleles), `chromosome`, `position`, `ref`, `alt`, as given;
#'   * `ref_counts`, `alt_counts`: predicted counts, means over models;
#'   * the scores, means over models; with several models each followed by its standard error, `.se`
#'     (standard deviation over models by the square root of their number); with `null` by
#'     `.p_value`, `.q_value` and, with several models, `.p_value_geometric`;
#'   * `logfc.strand_se`, `jsd.strand_se`: half of the absolute difference between the score of the
#'     sequence and that of its reverse complement (the standard error of the mean of two), averaged
#'     over models;
#'   * with several models the scores of each, `<model>.<score>`, and their p-values.
#'
#'   The attribute `settings` is a list of the models' names, `width`, `null` and `random_state`.
#' @section Errors: `seqlift_error_variants` for variants that are empty, cannot be used, have other
#'   reference letters than the genome, or lie too near to the end of a chromosome;
#'   `seqlift_error_regions` and `seqlift_error_genome` as for [sequences_from()];
#'   `seqlift_error_output` where models do not return what `counts` and `profile` say;
#'   `seqlift_error_length`, `seqlift_error_args` and others of [predict()][predict.seqlift_model];
#'   `seqlift_error_resume` for an `output` of another call; `seqlift_error_argument` for others.
#'   All variants are checked before the first is scored.
#' @source Scores and p-values: variant-scorer (Kundaje lab,
#'   <https://github.com/kundajelab/variant-scorer>). Benjamini Y, Hochberg Y (1995), J R Stat Soc B
#'   57:289. Phipson B, Smyth GK (2010), Stat Appl Genet Mol Biol 9:39, for p-values that are never
#'   0.
#' @seealso [variant_scores_as_granges()], [export_vcf()]; [variant_effect()] for any function of
#'   both alleles
#' @export
#' @examplesIf all(vapply(c("Biostrings", "GenomicRanges"), requireNamespace, TRUE, quietly = TRUE))
#' model <- demo_model() |> with_args(list(control_track = 0))
#' # AGATAAG stands at 250 to 256 of this sequence, which serves as a genome.
#' site <- demo_sequences()[["fly_planted_AGATAAG"]]
#' flanks <- demo_sequences()[c("fly_no_site", "yeast_no_site")]
#' genome <- Biostrings::DNAStringSet(c(chr1 = paste0(flanks[1], site, flanks[2])))
#' variants <- data.frame(
#'   chromosome = "chr1", position = c(752, 753), ref = c("A", "TAAG"), alt = c("C,G", "T"),
#'   variant = c("in_the_site", "its_end")
#' )
#' scores <- score_variants(model, variants, genome,
#'   width = 500, null = 20, random_state = 0
#' )
#' scores[c("variant", "ref", "alt", "logfc", "logfc.strand_se", "jsd", "abs_logfc.p_value")]
score_variants <- function(models, variants, genome, ..., width = NULL, counts = NULL,
                           profile = NULL, target = NULL, count_scale = c("log", "linear"),
                           null = NULL, background = NULL, output = NULL, both_strands = TRUE,
                           random_state = NULL, method = c("auto", "incremental", "full"),
                           out_of_bounds = c("error", "drop", "pad"), strict = FALSE,
                           batch_size = 32L, dtype = NULL, device = NULL, verbose = FALSE,
                           BPPARAM = NULL) {
  call <- rlang::current_env()
  check_no_dots(..., .fn = "score_variants", .after = "genome")
  models <- check_models(models, call)
  for (flag in c("both_strands", "strict", "verbose")) {
    check_flag(get(flag), flag)
  }
  settings <- list(
    method = check_choice(method, window_methods, "method"),
    batch_size = check_count(batch_size, "batch_size"), dtype = check_dtype(dtype),
    device = check_device(if (is.null(device)) models[[1L]]$device else device)
  )
  out_of_bounds <- check_choice(out_of_bounds, c("error", "drop", "pad"), "out_of_bounds")
  count_scale <- check_choice(count_scale, c("log", "linear"), "count_scale")
  null <- check_count(null, "null", null = TRUE)
  given_seed <- if (!is.null(random_state)) check_random_state(random_state)
  if (!is.null(output)) {
    output <- follow_links(check_output_path(output, "output"))
  }
  parallel <- is_parallel(BPPARAM)
  check_package(region_packages, "Scoring variants on a genome")
  width <- check_width(width, models, call)
  genome <- open_genome(genome, strict, call)
  held <- if (is.null(output)) {
    held_records(read_scored_variants(variants, genome, width, out_of_bounds, strict, call))
  } else {
    block_records(variants, genome, width, out_of_bounds, strict, output, call)
  }
  strands <- if (both_strands) c(FALSE, TRUE) else FALSE
  record <- held$rows(1L)
  first <- put_alleles(window_letters(record, genome, width, call), record, width)
  heads <- settle_heads(models, first$ref,
    list(counts = counts, profile = profile, target = target, log_counts = count_scale == "log"),
    settings, call
  )
  task <- list(
    models = models, held = held, genome = genome, width = width, heads = heads,
    strands = strands, settings = settings, null = null, verbose = verbose,
    BPPARAM = if (parallel) keep_workers(BPPARAM, call)
  )
  task$background <- settle_background(background, task, strict, call)
  if (!is.null(output)) {
    return(stream_variants(task, output, if (!is.null(null)) given_seed, call))
  }
  task$random_state <- if (!is.null(null)) check_random_state(given_seed)
  task$null_records <- draw_null_records(task)
  numbers <- score_all(task, call)
  table <- finish_scores(numbers$variants, numbers$null, task)
  attr(table, "settings") <- settings_of_task(task)
  table
}

settings_of_task <- function(task) {
  list(
    models = names(task$models), width = task$width, null = task$null,
    random_state = task$random_state
  )
}

# ---- checks ---------------------------------------------------------------------------

# A list of models with names.
check_models <- function(models, call) {
  if (inherits(models, "seqlift_model")) {
    models <- list(models)
  }
  good <- is.list(models) && length(models) > 0L &&
    all(vapply(models, inherits, NA, "seqlift_model"))
  if (!good) {
    abort_argument("models", "a model from load_model(), or a list of them", describe(models),
      call = call
    )
  }
  if (is.null(names(models))) {
    names(models) <- paste0("model_", seq_along(models))
  }
  if (anyDuplicated(names(models)) || any(is.na(names(models)) | !nzchar(names(models)))) {
    abort_argument("models", "a list with a name of its own for each model, or without names",
      paste0("one with the names ", toString(encodeString(names(models), quote = "\""))),
      call = call
    )
  }
  models
}

check_width <- function(width, models, call) {
  if (!is.null(width)) {
    return(check_count(width, "width", min = 2, call = call))
  }
  lengths <- lapply(models, function(model) describe_model(model)$lengths)
  known <- unlist(lapply(lengths, function(one) {
    if (length(one) == 2L && one[1L] == one[2L] && one[1L] > 0) one[1L]
  }))
  if (length(known) != length(models) || length(unique(known)) > 1L) {
    abort_argument("width", "given for models that take sequences of several lengths", "`NULL`",
      hint = "It is the length that the models were trained on.", call = call
    )
  }
  as.integer(known[1L])
}

# Which outputs of each model are what, found by one prediction: a list of list(counts, profile,
# target, log_counts).
settle_heads <- function(models, letters, asked, settings, call) {
  heads <- Map(function(model, name) {
    outputs <- run_predict(model, code_sequences(encode_letters(letters)), NULL, 1L,
      settings$dtype, settings$device, FALSE, call
    )
    choose_heads(outputs, asked, name, call)
  }, models, names(models))
  same <- function(what) {
    length(unique(vapply(heads, function(own) is.null(own[[what]]), NA))) == 1L
  }
  if (!same("counts") || !same("profile")) {
    abort_argument("models", "alike: all with counts or none, all with a profile or none",
      "of both kinds",
      call = call
    )
  }
  heads
}

choose_heads <- function(outputs, asked, name, call) {
  shapes <- toString(vapply(outputs, function(output) {
    paste0("[", paste(c("n", dim(output)[-1L]), collapse = ", "), "]")
  }, ""))
  refuse <- function(problem, hint = NULL) {
    abort_seqlift("output",
      c(paste0("The outputs of {.val {name}} are {shapes}: ", problem), i = hint),
      call = call
    )
  }
  ranks <- vapply(outputs, function(output) length(dim(output)), 1L)
  columns <- vapply(outputs, function(output) prod(dim(output)[-1L]), 1)
  given <- list(counts = asked$counts, profile = asked$profile)
  for (arg in names(given)) {
    if (!is.null(given[[arg]])) {
      given[[arg]] <- check_count(given[[arg]], arg, min = 0, max = length(outputs), call = call)
    }
  }
  heads <- fill_heads(given, ranks, columns)
  if (is.null(heads$counts) || is.null(heads$profile)) {
    refuse("there is no telling which are counts and profile.",
      "Say it by {.arg counts} and {.arg profile}."
    )
  }
  if (heads$counts == 0L && heads$profile == 0L) {
    refuse("none is left for counts or a profile.",
      "{.arg counts} and {.arg profile} are numbers of outputs."
    )
  }
  if (heads$counts == heads$profile) {
    refuse("one cannot be both counts and profile.")
  }
  if (heads$profile > 0L) {
    check_profile_shape(dim(outputs[[heads$profile]]), refuse)
  }
  target <- 1L
  if (heads$counts > 0L) {
    if (ranks[heads$counts] > 2L) {
      refuse("counts are [n] or [n, tasks].")
    }
    if (is.null(asked$target) && columns[heads$counts] > 1L) {
      refuse(paste0("counts have ", columns[heads$counts], " columns."),
        "Choose one by {.arg target}."
      )
    }
    target <- check_count(asked$target %||% 1L, "target", max = columns[heads$counts], call = call)
  }
  list(
    counts = if (heads$counts > 0L) heads$counts,
    profile = if (heads$profile > 0L) heads$profile, target = target,
    log_counts = asked$log_counts
  )
}

check_profile_shape <- function(shape, refuse) {
  if (!length(shape) %in% 2:3) {
    refuse("a profile is [n, positions] or [n, strands, positions].")
  }
  if (length(shape) == 3L && shape[2L] > 2L) {
    refuse("a profile has one or two strands; several tracks cannot be told from strands.")
  }
}

# What was left open, by the shapes of the outputs; NULL where these do not tell.
fill_heads <- function(given, ranks, columns) {
  counts <- given$counts
  profile <- given$profile
  open <- setdiff(seq_along(ranks), c(counts, profile))
  flat <- open[ranks[open] < 3L]
  if (is.null(profile)) {
    deep <- open[ranks[open] == 3L]
    wide <- flat[columns[flat] > 1]
    counted <- length(flat) - length(wide) == 1L || (!is.null(counts) && counts > 0L)
    profile <- if (length(deep) == 1L) {
      deep
    } else if (length(deep) == 0L && length(wide) == 1L && counted) {
      wide
    } else if (length(deep) == 0L && length(wide) < 2L) {
      0L
    }
  }
  if (is.null(counts)) {
    flat <- setdiff(flat, profile)
    counts <- if (length(flat) == 1L) flat else if (length(flat) == 0L) 0L
  }
  list(counts = counts, profile = profile)
}

# Counts of peaks, [peaks, models].
settle_background <- function(background, task, strict, call) {
  if (is.null(background)) {
    return(NULL)
  }
  n <- length(task$models)
  if (is.null(task$heads[[1L]]$counts)) {
    abort_argument("background", "NULL for models without counts", describe(background),
      call = call
    )
  }
  if (is.numeric(background)) {
    values <- if (is.null(dim(background))) matrix(background, ncol = 1L) else background
    if (!is.matrix(values) || ncol(values) != n || nrow(values) == 0L || !all(is.finite(values))) {
      abort_argument("background",
        if (n == 1L) "a vector of finite counts" else
          paste("a matrix of finite counts with a column for each of the", n, "models"),
        describe(background),
        call = call
      )
    }
    return(unname(values))
  }
  regions <- as_regions(background, "background", strict, call)
  regions <- drop_unknown_chromosomes(regions, task$genome)
  check_chromosomes(regions, task$genome$seqinfo, "background", task$genome$label, call)
  taken <- resize_regions(regions, task$width, call)
  place <- bound_regions(taken, task$genome$seqinfo, "drop", call)
  letters <- unname(as.character(fetch_letters(task$genome, taken[place$kept], place, call)))
  job <- c(task$settings, list(call = call))
  chunks <- cut_chunks(length(letters), most_in_chunk)
  progress <- progress_bar(task$verbose, "Predicting peaks")
  counts <- lapply(seq_along(chunks), function(i) {
    own <- letters[chunks[[i]]]
    counts <- Map(function(model, heads) {
      count_sequences(model, own, heads, task$strands, job)
    }, task$models, task$heads)
    if (task$verbose) {
      progress(i / length(chunks))
    }
    do.call(cbind, unname(counts))
  })
  do.call(rbind, counts)
}
