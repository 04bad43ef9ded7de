# Calls of every exported function that work, and what becomes of them with hostile values in one or
# two arguments. A new export comes in by itself: an argument that it needs has the value of its own
# name below, or 1.

# Names of arguments and of whole objects -> values that work. Made when first asked for, in the
# current folder.
working_values <- function() {
  scope <- new.env(parent = asNamespace("seqlift"))
  for (name in names(working_code)) {
    delayed(name, working_code[[name]], scope)
  }
  scope
}

delayed <- function(name, code, scope) {
  eval(bquote(delayedAssign(.(name), .(code))), scope)
}

working_code <- alist(
  X = c(one = "ACGTTGCAAGTC", two = "GGATTACAGATC", three = "TTGCAAGTCCAG"),
  X0 = rev(X), x = X, start = 2L, end = 8L, n = 2L, motif = "GATA",
  motifs = c(a = "GATA", b = "CC"), spacing = 1L,
  spacings = 1:2, index = 1L, target = 1L, method = "saliency", length = 12L, lengths = 12L,
  shape = c(2L, 4L, 8L), args = list(), func = predict, n_shuffles = 2L, batch_size = 4L,
  random_state = 0,
  output_file = "report.html", path = "out.file", ohe_path = "ohe.npz", shap_path = "shap.npz",
  annotations = data.frame(example = 1L, start = 1L, end = 12L, name = "a"), seqlets = annotations,
  deletions = data.frame(example = 1L, position = 2L, ref = "C"),
  insertions = data.frame(example = 1L, position = 2L, alt = "GG"),
  substitutions = data.frame(example = 1L, position = 2L, ref = "C", alt = "G"),
  variants = substitutions, state_dict = read_state_dict("net.safetensors"),
  model = load_model("tiny.pt"), two_heads = load_model("two_heads.pt"),
  binned = load_model("bins_of_tracks.pt"),
  attributions = deep_lift_shap(model, X,
    n_shuffles = 2L, random_state = 0, hypothetical = TRUE, return_references = TRUE
  ),
  perturbation = marginalize(model, X, "GATA"), spaced = space_motifs(model, X, motifs, spacings),
  map = dependency_map(model, X[1L]), influence = pisa(model, X, n_shuffles = 2L),
  design = greedy_substitution(
    model, X[1L], motifs = motifs, max_iter = 1L, y = array(1, c(1L, 3L))
  ),
  audit = audit_model(model, X), multipliers = array(1, c(3L, 2L, 4L, 12L)),
  pwm = matrix(0.25, 4L, 3L, dimnames = list(c("A", "C", "G", "T"), NULL)), y = array(1, c(1L, 3L)),
  regions = GenomicRanges::GRanges("chr1:11-20:+"),
  genome = Biostrings::DNAStringSet(c(chr1 = strrep("ACGTTGCA", 20L))),
  observed = deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0),
  mutants = taylor_ism(model, X),
  places = GenomicRanges::GRanges(c("chr1:11-22", "chr1:31-42", "chr1:51-62"),
    seqinfo = GenomeInfoDb::Seqinfo("chr1", 160L)
  ),
  sequences = sequences_from(regions, genome),
  allele = GenomicRanges::GRanges("chr1:11", REF = "G", ALT = "T"),
  paths = {
    rtracklayer::export(
      GenomicRanges::GRanges("chr1:3-9", score = 2, seqinfo = GenomeInfoDb::Seqinfo("chr1", 160L)),
      "signal.bw"
    )
    "signal.bw"
  }, count_all = function(model, X, ...) rep(1, dim(X)[1L]),
  models = list(one = model, two = model),
  pwms = list(a = 4 * diag(4L) + 0.1, b = 4 * diag(4L)[, 4:1] + 0.1),
  labelled = data.frame(
    example = c(1L, 1L, 2L), annotation = c(1L, 2L, 1L), start = c(1L, 7L, 3L), end = c(4L, 9L, 6L)
  ),
  patterns = new_motifs(list(pos_1 = list(
    name = "pos_1", sign = "positive", ppm = t(pwms$a) / 4.4, contributions = t(pwms$a),
    hypothetical = t(pwms$a),
    seqlets = data.frame(example = 1L, start = 2L, end = 5L, attribution = 1, strand = "+"),
    subpatterns = list()
  )), list(first = 1L), NULL),
  page = {
    attribution_report(model, X, "own.html", attributions = observed, top = 1L)
    "own.html"
  }, called = call_hits(attributions, pwms),
  scored = score_variants(model, allele, genome, target = 1L),
  with_errors = deep_lift_shap(model, X, n_shuffles = 2L, random_state = 0, standard_errors = TRUE)
)

# Functions -> what they need other than by the names of their arguments.
own_values <- list(
  `attribution_ranges<-` = alist(x = attributions, value = NULL),
  attribution_ranges = alist(x = attributions),
  apply_product = alist(func = count_all, args = list(matrix(1:4, 2L))),
  apply_pairwise = alist(func = count_all, args = list(matrix(1:6, 3L))),
  as_motif_matrices = alist(motifs = list(a = pwm)), as_seqlift_model = alist(x = model),
  as_seqlift_attributions = alist(se = as_summarized_experiment(attributions)),
  decode_one_hot = alist(X = one_hot_encode(X)), ensemble = alist(first = model, second = model),
  hypothetical_attributions = alist(references = references(attributions)),
  load_keras_model = alist(path = "fixed.h5"),
  load_onnx_model = alist(path = "bpnet.onnx", random_state = NULL),
  mean_effects = alist(effects = mutants), motif_consensus = alist(motifs = list(a = pwm)),
  plot_spacing = alist(perturbation = spaced), profile_score = alist(model = two_heads),
  pwm_consensus = alist(X = pwm),
  read_h5 = alist(path = { export_h5(attributions, "attributions.h5"); "attributions.h5" }),
  read_motifs = alist(
    path = { writeLines(c(">a", "1 0", "0 1", "0 0", "0 0"), "motifs.pfm"); "motifs.pfm" }
  ),
  ablate = alist(start = 1L, end = 12L), bpnet = alist(state_dict = "bpnet_narrow.pth"),
  chrombpnet = alist(state_dict = "chrombpnet_same.pth"),
  basset = alist(state_dict = basset_weights()), beluga = alist(state_dict = beluga_weights()),
  enformer = alist(state_dict = enformer_weights()),
  borzoi = alist(state_dict = "borzoi_small.pth"),
  cherimoya = alist(state_dict = "cherimoya.torch"),
  discover_motifs = alist(sliding_window_size = 5L, flank_size = 1L, n_leiden_runs = 1L),
  deepsea = alist(state_dict = "deepsea_predict.pth"),
  procapnet = alist(state_dict = "procapnet_narrow.pth"),
  chunk_sequences = alist(size = 6L), deletion_effect = alist(model = NULL, func = count_all),
  as_multi_assay_experiment = alist(attributions = list(a = attributions, b = attributions)),
  export_bigwig = alist(ranges = places), export_bed = alist(ranges = places),
  export_track_hub = alist(folder = "hub", genome = "made", ranges = places, lengths = NULL),
  load_model = alist(path = "tiny.pt", random_state = NULL),
  select_bins = alist(model = binned),
  bin_ranges = alist(model = select_bins(binned, window = GenomicRanges::GRanges("chr1:1-24"))),

  recursive_seqlets = alist(attributions = observed),
  tfmodisco_seqlets = alist(attributions = observed, window_size = 5L, flank = 1L),
  seqlets_as_granges = alist(ranges = places), variant_effect = alist(genome = NULL),
  variants_from = alist(variants = allele, X = sequences), sequences_from = alist(),
  read_state_dict = alist(path = "net.safetensors"), screen_sequences = alist(max_iter = 1L, y = y),
  substitute_motif = alist(motif = "GATA"), unchunk_sequences = alist(X = array(0, c(1L, 4L, 12L))),
  beam_substitution = alist(X = X[1L], max_iter = 1L, y = y, motifs = motifs),
  greedy_substitution = alist(X = X[1L], max_iter = 1L, y = y, motifs = motifs),
  annotate_seqlets = alist(motifs = pwms), attribute_models = alist(n_shuffles = 2L),
  attribution_quality = alist(steps = 4L, perturbed_width = 2L),
  call_hits = alist(motifs = pwms), collapse_hits = alist(hits = called),
  hits_as_granges = alist(hits = called, ranges = places),
  count_annotations = alist(annotations = labelled, shape = NULL),
  pairwise_annotations = alist(annotations = labelled, shape = NULL),
  pairwise_annotation_spacing = alist(annotations = labelled, shape = NULL),
  plot_annotation_counts = alist(annotations = labelled),
  plot_annotation_pairs = alist(annotations = labelled),
  plot_annotation_spacing = alist(annotations = labelled),
  entropy = alist(X = pwm), information_content = alist(X = pwm),
  export_motifs = alist(motifs = pwms, path = "out.meme"),
  motif_report = alist(motifs = patterns), motifs_as_pfmatrix = alist(motifs = patterns),
  motifs_as_universalmotif = alist(motifs = patterns),
  pairwise_interactions = alist(first = 2L, second = 9L, null = 2L),
  references_from = alist(pool = X),
  references_within = alist(references = dinucleotide_shuffle, start = 2L, end = 8L),
  shuffles_around = alist(sites = annotations, X = X),
  standard_errors = alist(attributions = with_errors), tomtom = alist(query = pwms, targets = pwms),
  score_variants = alist(models = models, variants = allele, target = 1L),
  variant_report = alist(variant = allele, target = 1L), export_vcf = alist(scores = scored),
  variant_scores_as_granges = alist(scores = scored),
  view_attributions_output = alist(output_id = "a"),
  render_view_attributions = alist(expr = view_attributions(attributions)), kmers = alist(k = 2L),
  report_inputs = alist(path = page), methods_references = alist(attributions),
  greedy_marginalization = alist(max_iter = 1L, y = y),
  attribution_report = alist(attributions = observed, n_shuffles = 2L, top = 1L),
  deep_lift_shap = alist(n_shuffles = 2L), pisa = alist(n_shuffles = 2L),
  attribute = alist(method = "expected_gradients", n_shuffles = 2L)
)

# Weights of networks that no file here has, by their shapes. Variances are positive.
small_weights <- function(layers = list(), norms = list(), others = list()) {
  shapes <- c(
    unlist(unname(Map(function(name, shape) {
      stats::setNames(list(shape, shape[1L]), paste0(name, c(".weight", ".bias")))
    }, names(layers), layers)), recursive = FALSE),
    unlist(unname(Map(function(name, channels) {
      fields <- c(".weight", ".bias", ".running_mean", ".running_var")
      stats::setNames(rep(list(channels), 4L), paste0(name, fields))
    }, names(norms), norms)), recursive = FALSE), others
  )
  lapply(shapes, function(shape) array(((seq_len(prod(shape)) * 7L) %% 11L + 1) / 16, shape))
}

basset_weights <- function() {
  small_weights(
    list("0" = c(3L, 4L, 5L, 1L), "4" = c(4L, 3L, 3L, 1L), "8" = c(5L, 4L, 2L, 1L),
      "13.1" = c(6L, 5L), "17.1" = c(4L, 6L), "21.1" = c(2L, 4L)
    ),
    list("1" = 3L, "5" = 4L, "9" = 5L, "14" = 6L, "18" = 4L)
  )
}

beluga_weights <- function() {
  small_weights(list(
    model.0.0 = c(3L, 4L, 1L, 4L), model.0.2 = c(3L, 3L, 1L, 2L), model.0.6 = c(4L, 3L, 1L, 2L),
    model.0.8 = c(4L, 4L, 1L, 2L), model.0.12 = c(5L, 4L, 1L, 2L), model.0.14 = c(5L, 5L, 1L, 1L),
    model.1.2.1 = c(6L, 5L), model.1.4.1 = c(2L, 6L)
  ))
}

# One stage and one block.
enformer_weights <- function() {
  attention <- list(
    rel_content_bias = c(1L, 2L, 1L, 3L), rel_pos_bias = c(1L, 2L, 1L, 3L),
    to_q.weight = c(6L, 12L), to_k.weight = c(6L, 12L), to_v.weight = c(8L, 12L),
    to_out.weight = c(12L, 8L), to_out.bias = 12L, to_rel_k.weight = c(6L, 12L)
  )
  names(attention) <- paste0("transformer.0.0.fn.1.", names(attention))
  small_weights(
    list(stem.0 = c(6L, 4L, 5L), stem.1.fn.2 = c(6L, 6L, 1L), conv_tower.0.0.2 = c(12L, 6L, 3L),
      conv_tower.0.1.fn.2 = c(12L, 12L, 1L), transformer.0.0.fn.0 = 12L, transformer.0.1.fn.0 = 12L,
      transformer.0.1.fn.1 = c(24L, 12L), transformer.0.1.fn.4 = c(12L, 24L),
      final_pointwise.1.2 = c(24L, 12L, 1L), "_heads.human.0" = c(3L, 24L),
      "_heads.mouse.0" = c(2L, 24L)
    ),
    list(stem.1.fn.0 = 6L, conv_tower.0.0.0 = 6L, conv_tower.0.1.fn.0 = 12L,
      final_pointwise.1.0 = 12L
    ),
    c(attention, list(
      stem.2.to_attn_logits.weight = c(6L, 6L, 1L, 1L),
      conv_tower.0.2.to_attn_logits.weight = c(12L, 12L, 1L, 1L)
    ))
  )
}

# What is no export: operators and methods. The first argument is theirs, and is not tried.
method_calls <- list(
  `[ rows` = function(attributions, i) attributions[i, , ],
  `[ positions` = function(attributions, i) attributions[, , i],
  `[ vector` = function(attributions, i) attributions[i],
  `[ drop` = function(attributions, drop) attributions[1L, , , drop = drop],
  `[<-` = function(attributions, value) {
    attributions[1L, , ] <- value
    attributions
  },
  `+` = function(attributions, value) attributions + value,
  `[ pisa` = function(influence, i) influence[i, , , ],
  predict = function(
    model, X, args = NULL, batch_size = 32L, dtype = NULL, device = NULL, verbose = FALSE
  ) {
    predict(
      model, X, args = args, batch_size = batch_size, dtype = dtype, device = device,
      verbose = verbose
    )
  },
  plot = function(attributions, ...) plot(attributions, ...),
  `plot perturbation` = function(perturbation, ...) plot(perturbation, ...),
  `plot map` = function(map, ...) plot(map, ...),
  `plot pisa` = function(influence, ...) plot(influence, ...),
  `plot design` = function(design, ...) plot(design, ...),
  as.data.frame = function(attributions, ...) as.data.frame(attributions, ...),
  `as.data.frame perturbation` = function(perturbation, ...) as.data.frame(perturbation, ...),
  print = function(attributions, ...) print(attributions, ...),
  summary = function(attributions, ...) summary(attributions, ...)
)

# Arguments that are not given, although their name has a value above: the default is right, or they
# exclude others.
not_given <- c(
  "X", "X0", "x", "start", "end", "n", "index", "length", "motifs", "spacing", "func", "args",
  "target", "y", "method", "variants", "annotations", "seqlets"
)

every_function <- function() {
  exports <- sort(getNamespaceExports("seqlift"))
  exports <- exports[!startsWith(exports, ".__")]
  functions <- lapply(stats::setNames(exports, exports), getExportedValue, ns = "seqlift")
  c(Filter(is.function, functions), method_calls)
}

# The arguments of a call that works: expressions, evaluated where the working values are.
working_call <- function(name, f) {
  given <- own_values[[name]]
  for (arg in setdiff(names(formals(f)), c("...", names(given)))) {
    needed <- identical(formals(f)[[arg]], quote(expr = ))
    if (needed || (arg %in% names(working_code) && !arg %in% not_given)) {
      given[[arg]] <- if (arg %in% names(working_code)) as.name(arg) else 1
    }
  }
  given
}

# Where hostile values go: the arguments, `...` under a name that nothing has.
places_of <- function(name, f) {
  places <- names(formals(f))
  if (name %in% names(method_calls)) {
    places <- places[-1L]
  }
  replace(places, places == "...", "no_such_argument")
}

# Every argument with every value, and each once more with another of the function's arguments and
# some value. What is drawn for a function does not depend on the others. Columns: call, func,
# place, value, second, second_value ("" where there is one).
hostile_calls <- function() {
  values <- names(hostile_values())
  functions <- every_function()
  of_function <- function(name) {
    places <- places_of(name, functions[[name]])
    if (length(places) == 0L) {
      return(NULL)
    }
    single <- expand.grid(value = values, place = places, func = name, second = "",
      second_value = "",
      stringsAsFactors = FALSE
    )
    if (length(places) < 2L) {
      return(single)
    }
    set.seed(seed_of(name))
    twice <- single
    other <- sample.int(length(places) - 1L, nrow(twice), replace = TRUE)
    at <- match(twice$place, places)
    twice$second <- places[(at + other - 1L) %% length(places) + 1L]
    twice$second_value <- sample(values, nrow(twice), replace = TRUE)
    rbind(single, twice)
  }
  all <- do.call(rbind, lapply(names(functions), of_function))
  # Of an operator between two classes that both have one R asks neither, and fails in its own
  # words.
  all <- all[!(all$func == "+" & all$value %in% names(hostile_tables())), ]
  all$call <- seq_len(nrow(all))
  all
}

# So many of each function's.
some_hostile_calls <- function(each) {
  all <- hostile_calls()
  chosen <- lapply(split(all$call, all$func), function(calls) {
    set.seed(seed_of(all$func[calls[1L]]) + 1)
    calls[sample.int(length(calls), min(each, length(calls)))]
  })
  all[sort(unlist(chosen)), ]
}

# Calls that ended in an error of R's own before they were mended.
once_failed <- function() {
  rows <- rbind(
    c("screen_sequences", "additional_func_kwargs", "lists", "", ""),
    c("tomtom", "targets", "matrix", "", ""),
    c("view_attributions_output", "height", "path", "", ""),
    c("discover_motifs", "attributions", "bare_attributions", "window", "numbers"),
    c("background_frequencies", "frequencies", "failing", "", ""),
    c("load_model", "batch", "na_text", "layout", "stripped_attributions"),
    c("matched_regions", "chromosomes", "bare_attributions", "exclude", "no_list")
  )
  all <- hostile_calls()
  key <- function(x) paste(x$func, x$place, x$value, x$second, x$second_value)
  given <- as.data.frame(rows)
  names(given) <- c("func", "place", "value", "second", "second_value")
  # The pairs of arguments are drawn anew when a function gets another one.
  given$call <- max(all$call) + seq_len(nrow(given))
  known <- match(key(given), key(all))
  given$call[!is.na(known)] <- known[!is.na(known)]
  given[names(all)]
}

# Each function's call without anything hostile, after those.
working_calls <- function(after) {
  functions <- names(every_function())
  data.frame(
    value = "", place = "", func = functions, second = "", second_value = "",
    call = after + seq_along(functions)
  )
}

seed_of <- function(name) sum(utf8ToInt(name) * seq_len(nchar(name)))

# ---- one call ----------------------------------------------------------------------------------

# What became of it: list(outcome, message, warned, left). Outcomes: "value"; "classed", an error of
# seqlift's; "package", that of a package which is not installed; "mine", the error of a hostile
# function; else the class of another condition. `warned`:
# a warning that is not seqlift's; `left`: files of a call that failed, hidden ones of any.
outcome_of_call <- function(one, functions, values, scope) {
  given <- lapply(working_call(one$func, functions[[one$func]]), eval, scope)
  if (one$func == "ensemble") {
    names(given) <- NULL
  }
  if (nzchar(one$place)) {
    given[one$place] <- values[one$value]
  }
  if (nzchar(one$second)) {
    given[one$second] <- values[one$second_value]
  }
  # By name, as users have them: a condition would print the values otherwise.
  local <- list2env(list(f = functions[[one$func]], given = given), parent = scope)
  arguments <- lapply(seq_along(given), function(i) bquote(given[[.(i)]]))
  call <- as.call(c(quote(f), stats::setNames(arguments, names(given))))
  there <- list.files(all.files = TRUE, recursive = TRUE)
  warned <- ""
  result <- tryCatch(
    withCallingHandlers(
      {
        draw(eval(call, local))
        list(outcome = "value", message = "")
      },
      warning = function(warning) {
        if (!inherits(warning, "seqlift_warning")) warned <<- conditionMessage(warning)
        invokeRestart("muffleWarning")
      },
      message = function(message) invokeRestart("muffleMessage")
    ),
    error = function(error) {
      mine <- conditionMessage(error) == "mine"
      outcome <- if (inherits(error, "seqlift_error_package")) {
        "package"
      } else if (inherits(error, "seqlift_error")) {
        "classed"
      } else if (mine) {
        "mine"
      } else {
        class(error)[1L]
      }
      list(outcome = outcome, message = conditionMessage(error))
    }
  )
  new <- setdiff(list.files(all.files = TRUE, recursive = TRUE), there)
  unlink(new)
  left <- if (result$outcome == "value") grep("(^|/)[.]", new, value = TRUE) else new
  c(result, warned = warned, left = toString(left))
}

# As at the prompt, where plots fail when they are drawn.
draw <- function(value) {
  if (inherits(value, c("ggplot", "seqlift_plots"))) print(value)
}
