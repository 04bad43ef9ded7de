# Sequences are independent of each other, so a verb runs on contiguous chunks of them in other
# processes and the results are joined. How the sequences are cut depends on their number and on
# the arguments, never on the workers, and what is random is drawn or seeded here: any number of
# workers gives the same result.

#' Work in parallel and on a cluster
#'
#' The functions that take `BPPARAM` cut their sequences into contiguous chunks, run themselves on
#' each chunk in the workers of a \pkg{BiocParallel} parameter object, and join the results.
#'
#' @section Where the work is done:
#' * `BPPARAM = NULL` (default) or `BiocParallel::SerialParam()`: in this R session, on the threads
#'   that [seqlift_threads()] says.
#' * `BiocParallel::SnowParam(workers)`: R sessions on this machine, or on others that see the same
#'   files.
#' * `BiocParallel::BatchtoolsParam()`: the jobs of a cluster (Slurm, SGE, LSF, Torque).
#' * `BiocParallel::MulticoreParam()`: refused once a model was used in this session, because
#'   LibTorch does not survive a fork (`seqlift_error_fork`). A session that has only read a model
#'   with [readRDS()] and not used it yet may fork.
#'
#' On one machine threads do as much as workers and start at once: workers are for several machines,
#' and for functions of your own that run in R.
#'
#' @section What is the same:
#' The result is the same to the last bit for any number of workers, of any kind, and the same as
#' without `BPPARAM` up to rounding. `random_state = NULL` draws the seed in this session, so that
#' `set.seed()` governs it. Errors and warnings of workers are raised here, with their classes;
#' where they count sequences they say from which one. An error ends the chunks that have not begun,
#' unless `BPPARAM` says `stop.on.error = FALSE`. A function of your own (`func`,
#' `references`, `nonlinear_ops`) must treat each sequence on its own, take its randomness from
#' `random_state`, and hold what it needs: variables of your global environment are not sent.
#'
#' @section What a worker needs:
#' The model goes to the workers as the path and the checksum of its file: they must see the file
#' under the same path. Models that were made here ([ensemble()], [reverse_complement_average()],
#' converted from another format) lie in this session's temporary folder: for workers on other
#' machines, [save_model()] them where all see the file, and [load_model()] it. They look for
#' packages where this session does (`.libPaths()`). A worker uses one thread, unless this session
#' has called [seqlift_threads()] with a number: then as many.
#'
#' @section A cluster, step by step:
#' 1. Install seqlift where all nodes see it, and put the model's file there too.
#' 2. Copy the template `system.file("extdata", "slurm-simple.tmpl", package = "seqlift")` and add
#'    what your cluster asks for (a partition, an account).
#' 3. Say what a job needs and how many jobs there are, and call the verb:
#'
#' ```r
#' jobs <- BiocParallel::BatchtoolsParam(
#'   workers = 50, cluster = "slurm", template = "slurm-simple.tmpl",
#'   registryargs = BiocParallel::batchtoolsRegistryargs(file.dir = "jobs", work.dir = getwd()),
#'   resources = list(walltime = 3600, memory = 4000, ncpus = 1)
#' )
#' seqlift_threads(1)
#' deep_lift_shap(model, sequences, output = "scores.h5", BPPARAM = jobs)
#' ```
#'
#' The folder `jobs` must be on a disk that all nodes see. With `ncpus` above 1 set
#' `seqlift_threads()` to the same number. With `output`, every chunk is on the disk as soon as it
#' is done: when jobs are lost, the same call does only what is missing. With
#' `chunks.as.arrayjobs = TRUE` in `resources` and `workers = 1` all chunks are the tasks of one job
#' array, of which Slurm runs as many at a time as it has room for. `tools/slurm-array` in the
#' source repository starts a Slurm of its own on one host and runs this.
#'
#' @name seqlift_parallel
#' @seealso [deep_lift_shap()] for `output`.
#' @examplesIf requireNamespace("BiocParallel", quietly = TRUE)
#' model <- demo_model() |> with_args(list(control_track = 0)) |> select_output(2)
#' workers <- BiocParallel::SnowParam(2)
#' deep_lift_shap(model, demo_sequences(), n_shuffles = 5, random_state = 0, BPPARAM = workers)
NULL

# Whether the work goes to other processes.
is_parallel <- function(BPPARAM, call = caller_env()) {
  if (is.null(BPPARAM)) {
    return(FALSE)
  }
  if (!isS4(BPPARAM) || !methods::is(BPPARAM, "BiocParallelParam")) {
    abort_argument("BPPARAM", "NULL or a parameter object of BiocParallel, such as SnowParam(2)",
      describe(BPPARAM),
      call = call
    )
  }
  check_package("BiocParallel", "{.arg BPPARAM}", call)
  if (!is.null(engine$dll) && forks(BPPARAM)) {
    abort_seqlift("fork",
      c("{.arg BPPARAM} forks this session, in which a model was used: LibTorch's threads do not
         survive that, and the workers would wait for ever.",
        i = "Use {.code BiocParallel::SnowParam({BiocParallel::bpnworkers(BPPARAM)})}, or no
             {.arg BPPARAM}: seqlift uses all cores by itself."
      ),
      call = call
    )
  }
  !methods::is(BPPARAM, "SerialParam")
}

forks <- function(BPPARAM) {
  if (methods::is(BPPARAM, "BatchtoolsParam")) {
    return(identical(BiocParallel::bpbackend(BPPARAM), "multicore") ||
      identical(BPPARAM$cluster, "multicore"))
  }
  methods::is(BPPARAM, "MulticoreParam") ||
    (methods::is(BPPARAM, "SnowParam") && identical(BPPARAM$.clusterargs$type, "FORK"))
}

# Workers that are started once for several calls, until the function with the frame `env` ends.
keep_workers <- function(BPPARAM, env) {
  if (methods::is(BPPARAM, "SnowParam") && !BiocParallel::bpisup(BPPARAM)) {
    BPPARAM <- BiocParallel::bpstart(BPPARAM)
    stop_them <- function() BiocParallel::bpstop(BPPARAM)
    do.call(on.exit, list(as.call(list(stop_them)), add = TRUE), envir = env)
  }
  BPPARAM
}

# How many chunks there are at most: enough for the workers of a large cluster to be done at about
# the same time.
most_chunks <- 256L

# `verb` (the name of a function of seqlift, or a function) on the sequences in chunks.
# `arguments`: all of the verb's, by name, as the user gave them, `X` among them; `sequences` what
# as_sequences() made of X; `unit` how many sequences must not be torn apart.
over_sequences <- function(verb, arguments, sequences, BPPARAM, unit = 1L, call = caller_env()) {
  n <- sequences$n
  arguments <- shared_arguments(arguments, n, call)
  size <- unit * ceiling(n / (most_chunks * unit))
  chunks <- cut_chunks(n, size)
  if (isTRUE(arguments$verbose)) {
    cli::cli_inform("{length(chunks)} chunk{?s} of up to {size} sequence{?s} for
      {BiocParallel::bpnworkers(BPPARAM)} worker{?s}.")
  }
  jobs <- lapply(chunks, function(rows) serialize(chunk_job(verb, arguments, rows, n), NULL))
  done <- run_jobs(jobs, chunks, BPPARAM, call)
  values <- lapply(done, function(one) one$value)
  if (is.function(verb)) {
    values <- Map(function(value, rows) check_rows(value, length(rows), call), values, chunks)
  }
  result <- join_results(values)
  raise_warnings(done, chunks, call)
  report_joined_deltas(result, done, arguments, call)
  # What the workers did not see of the sequences: the regions that they come from.
  place_result(result, sequences$ranges)
}

# `func` of a perturbation. The functions of seqlift know best how to share their sequences; one of
# the user's own gets the sequences in chunks.
call_func_over_sequences <- function(plan, X, given, call) {
  BPPARAM <- keep_workers(plan$BPPARAM, call)
  func <- plan$func
  own <- names(formals(args(func)))
  arguments <- c(list(model = plan$model, X = X), given)
  if (identical(func, stats::predict) || "BPPARAM" %in% own) {
    if (identical(func, stats::predict)) {
      func <- predict.seqlift_model
      names(arguments)[1L] <- "object"
    }
    return(call_by_name(func, c(arguments, list(BPPARAM = BPPARAM))))
  }
  if ("random_state" %in% own && is.null(arguments$random_state)) {
    arguments$random_state <- check_random_state(NULL)
  }
  over_sequences(func, arguments, as_sequences(X, extra_channels = TRUE, only_warn = TRUE),
    BPPARAM, call = call
  )
}

# How many sequences the pairs of a batch belong to: module mode's rule of a softmax depends on the
# whole batch, so no batch is torn apart.
pairs_unit <- function(arguments, rules) {
  batch <- as.integer(arguments$batch_size)
  given <- if (is.numeric(arguments$references)) dim(arguments$references)
  n_refs <- if (length(given) == 4L) given[2L] else as.integer(max(arguments$n_shuffles))
  if (rules != "module") {
    return(max(1L, batch %/% n_refs))
  }
  sizes <- seq_len(batch)
  min(sizes[(sizes * n_refs) %% batch == 0])
}

# Contiguous numbers of sequences.
cut_chunks <- function(n, size) unname(split(seq_len(n), (seq_len(n) - 1L) %/% size))

# What all chunks share: the seed is drawn here, and inputs that fit no number of sequences are
# refused here.
shared_arguments <- function(arguments, n, call) {
  if ("random_state" %in% names(arguments)) {
    arguments$random_state <- check_random_state(arguments$random_state, call = call)
  }
  if (!is.null(arguments[["args"]])) {
    arguments$args <- check_args_rows(arguments[["args"]], n, call)
  }
  arguments[setdiff(names(arguments), "BPPARAM")]
}

# The part of a call that belongs to some of the n sequences.
chunk_job <- function(verb, arguments, rows, n) {
  of_rows <- function(value) rows_of(value, rows, n)
  arguments$X <- sequence_rows(arguments$X, rows)
  for (name in intersect(c("args", "args_baseline"), names(arguments))) {
    arguments[name] <- list(
      if (is.list(arguments[[name]])) lapply(arguments[[name]], of_rows) else
        of_rows(arguments[[name]])
    )
  }
  # A matrix is one baseline for all.
  for (name in intersect(c("references", "baseline"), names(arguments))) {
    if (inherits(arguments[[name]], "seqlift_reference_codes")) {
      arguments[[name]] <- take_reference_codes(arguments[[name]], rows)
    } else if (length(dim(arguments[[name]])) > 2L) {
      arguments[[name]] <- of_rows(arguments[[name]])
    }
  }
  arguments <- change_model(arguments, "args", function(model) lapply(model$args, of_rows))
  for (said_here in intersect(c("verbose", "print_convergence_deltas"), names(arguments))) {
    arguments[[said_here]] <- FALSE
  }
  list(
    verb = verb, arguments = arguments, first = rows[1L], threads = engine$threads %||% 1L
  )
}

# A field of the model among the arguments of a verb anew; predict() calls it `object`.
change_model <- function(arguments, field, f) {
  for (model in intersect(c("model", "object"), names(arguments))) {
    if (inherits(arguments[[model]], "seqlift_model")) {
      arguments[[model]][[field]] <- f(arguments[[model]])
    }
  }
  arguments
}

# Rows of what has one for each of the n sequences; anything else as it is.
rows_of <- function(value, rows, n) {
  if (is.null(dim(value))) {
    return(if (length(value) == n && n > 1L) value[rows] else value)
  }
  if (dim(value)[1L] == n) take_outputs(value, 1L, rows) else value
}

# Sequences in a form that holds no more than them: a part of a DNAStringSet refers to the whole.
sequence_rows <- function(X, rows) {
  if (is_biostrings(X)) {
    return(letters_of_biostrings(X[rows], "X", caller_env()))
  }
  if (is.array(X)) take_outputs(X, 1L, rows) else X[rows]
}

# ---- in the workers --------------------------------------------------------------------

# Their results, list(value, warnings) each, in order. A chunk that fails ends the others as soon as
# the backend can, and the first that did is raised.
run_jobs <- function(jobs, chunks, BPPARAM, call) {
  # Unpacked by the worker itself, when it knows where seqlift is.
  work <- function(job, libraries) {
    one <- tryCatch(
      {
        .libPaths(c(libraries, .libPaths()))
        getNamespace("seqlift")$run_job(unserialize(job))
      },
      error = function(error) list(warnings = list(), failed = conditionMessage(error))
    )
    if (is.null(one$failed) && is.null(one$error)) {
      return(one)
    }
    # BiocParallel keeps the fields of a condition, not its class.
    stop(structure(
      list(message = "A chunk of sequences failed.", call = NULL, failed_job = one),
      class = c("error", "condition")
    ))
  }
  environment(work) <- baseenv()
  libraries <- .libPaths()
  done <- tryCatch(
    BiocParallel::bplapply(jobs, work, libraries = libraries, BPPARAM = BPPARAM),
    bplist_error = function(error) attr(error, "result"),
    # Where a worker dies, some backends fail themselves, and say not where.
    error = function(error) abort_lost_worker(error, chunks, call)
  )
  failures <- lapply(done, function(one) if (is.list(one)) one$failed_job)
  for (i in which(lengths(failures) > 0L)) {
    one <- failures[[i]]
    if (!is.null(one$failed)) {
      abort_seqlift("worker",
        c("A worker could not begin with sequences {range_label(chunks[[i]])}: {one$failed}",
          i = "Workers need seqlift where this session has it: {.path {libraries}}."
        ),
        call = call
      )
    }
    raise_again(one$error, chunks[[i]], length(chunks), call)
  }
  # No chunk that was cut short by the failure of another comes here.
  for (i in seq_along(jobs)) {
    one <- if (i <= length(done)) done[[i]]
    if (!is.list(one) || is.null(one$warnings)) {
      abort_seqlift("worker",
        "A worker was lost: there is no result for sequences {range_label(chunks[[i]])}.",
        call = call
      )
    }
  }
  done
}

abort_lost_worker <- function(error, chunks, call) {
  abort_seqlift("worker",
    c("A worker was lost, or could not be spoken to: there is no result for sequences
       {range_label(unlist(chunks))}.",
      x = "BiocParallel says: {conditionMessage(error)}",
      i = "A worker that the system killed ran out of memory more often than not: fewer workers, or
           a smaller {.arg batch_size}, need less. {.fn BiocParallel::bpstop} ends what is left of
           them."
    ),
    call = call
  )
}

# One chunk; conditions are values, as the ways of BiocParallel's backends with them differ.
run_job <- function(job) {
  before <- engine$threads
  engine$threads <- job$threads
  engine$first_sequence <- job$first
  on.exit({
    engine$threads <- before
    engine$first_sequence <- NULL
  })
  arguments <- change_model(job$arguments, "cache", cache_here)
  warnings <- list()
  result <- tryCatch(
    withCallingHandlers(list(value = call_by_name(job$verb, arguments)),
      warning = function(warning) {
        warnings <<- c(warnings, list(without_trace(warning)))
        invokeRestart("muffleWarning")
      }
    ),
    error = function(error) list(error = without_trace(error))
  )
  if (!is.null(job$part) && is.null(result$error)) {
    save_part(result$value, job$part)
    result$value <- TRUE
  }
  c(result, list(warnings = warnings))
}

# The arguments go in as names, so that a condition holds a short call and no arrays.
call_by_name <- function(verb, arguments) {
  scope <- list2env(list(given = arguments), parent = environment(call_by_name))
  scope$func <- if (is.function(verb)) verb else get(verb, environment(call_by_name))
  names <- lapply(names(arguments), function(name) rlang::call2("$", quote(given), as.name(name)))
  eval(as.call(c(quote(func), stats::setNames(names, names(arguments)))), scope)
}

# What this process knows of the model: a worker that gets several chunks reads it once.
cache_here <- function(model) {
  if (!is.null(engine$token) && identical(model$cache$token, engine$token)) {
    return(model$cache)
  }
  key <- rlang::hash(list(model$hash, model$layout, model$conduct))
  known <- engine$caches[[key]]
  if (is.null(known)) {
    known <- model$cache
    engine$caches[[key]] <- known
  }
  known
}

without_trace <- function(condition) {
  condition$trace <- NULL
  condition["call"] <- list(NULL)
  if (!is.null(condition$parent)) {
    condition$parent <- without_trace(condition$parent)
  }
  condition
}

# Where a chunk begins, from 0: sequence i of all has the stream of random numbers i.
sequence_offset <- function() (engine$first_sequence %||% 1L) - 1L

# ---- conditions ------------------------------------------------------------------------

range_label <- function(rows) paste(rows[1L], "to", rows[length(rows)])

# A condition of a worker in the name of the function that the user called.
raise_again <- function(condition, rows, n_chunks, call) {
  condition["call"] <- list(rlang::error_call(call))
  if (n_chunks > 1L && inherits(condition, c("rlang_error", "rlang_warning"))) {
    condition$body <- c(condition$body,
      i = paste0("This is of sequences ", range_label(rows), ", counted from the first of them.")
    )
  }
  if (inherits(condition, "error")) stop(condition) else warning(condition)
}

# Each warning once. Those of convergence are of the whole and come anew; of sequences that are not
# one-hot this session has told already.
raise_warnings <- function(done, chunks, call) {
  told <- character()
  for (i in seq_along(done)) {
    for (one in done[[i]]$warnings) {
      again <- inherits(one, c("seqlift_warning_convergence", "seqlift_warning_one_hot"))
      text <- conditionMessage(one)
      if (!again && !text %in% told) {
        told <- c(told, text)
        raise_again(one, chunks[[i]], length(chunks), call)
      }
    }
  }
}

report_joined_deltas <- function(result, done, arguments, call) {
  warned <- any(vapply(done, function(one) {
    any(vapply(one$warnings, inherits, logical(1L), "seqlift_warning_convergence"))
  }, logical(1L)))
  prints <- isTRUE(arguments$print_convergence_deltas)
  if (warned || prints) {
    threshold <- arguments$warning_threshold %||% formals(deep_lift_shap)$warning_threshold
    report_deltas(result, threshold, prints, call)
  }
}
