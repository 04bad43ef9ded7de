# attribute(method = "deep_lift_reveal_cancel") beside innsight's DeepLift(rule_name =
# "reveal_cancel"), the same network and sequences, one thread each, a session for each:
#
#   R_LIBS=build/library Rscript bench/reveal_cancel.R [sequences] [length] [runs]
#
# Two convolutions and two dense layers with ReLU (what innsight's converter takes), random weights,
# references of zeros. Processor seconds, median of the runs, and the rise of the peak resident size
# over what the session held before the first. Needs R's torch and innsight (CRAN), whose LibTorch
# writes the network, too.
options(warn = 1)
missing <- Filter(function(package) !requireNamespace(package, quietly = TRUE),
  c("callr", "torch", "innsight", "seqlift"))
if (length(missing) > 0L) {
  message("Not measured: ", paste(missing, collapse = ", "), " not installed.")
  quit(status = 0L)
}
given <- as.integer(commandArgs(TRUE))
n <- if (length(given) > 0L) given[1L] else 64L
length <- if (length(given) > 1L) given[2L] else 2000L
runs <- if (length(given) > 2L) given[3L] else 3L
folder <- tempfile("reveal_cancel")
dir.create(folder)

network <- function(folder, length) {
  torch::torch_manual_seed(1)
  net <- torch::nn_sequential(
    torch::nn_conv1d(4, 32, 15), torch::nn_relu(), torch::nn_conv1d(32, 32, 9), torch::nn_relu(),
    torch::nn_flatten(), torch::nn_linear(32 * (length - 22), 16), torch::nn_relu(),
    torch::nn_linear(16, 1)
  )
  torch::torch_save(net, file.path(folder, "net.rt"))
  traced <- torch::jit_trace(net$eval(), torch::torch_zeros(1, 4, length))
  torch::jit_save(traced, file.path(folder, "net.pt"))
  NULL # a module does not survive the way back
}

# Each of `runs` calls of `call()` in a session of its own.
measured <- function(prepare, call, ...) {
  callr::r(
    function(prepare, call, runs, ...) {
      peak <- function() {
        line <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
        as.numeric(gsub("[^0-9]", "", line)) / 1024
      }
      environment(prepare) <- environment(call) <- globalenv()
      ready <- prepare(...)
      invisible(gc())
      before <- peak()
      seconds <- vapply(seq_len(runs), function(i) {
        start <- proc.time()
        value <<- call(ready)
        sum((proc.time() - start)[1:2])
      }, 0)
      list(seconds = stats::median(seconds), mib = peak() - before, value = value)
    },
    list(prepare = prepare, call = call, runs = runs, ...)
  )
}

invisible(callr::r(network, list(folder = folder, length = length)))
set.seed(1)
letters <- vapply(seq_len(n), function(i) {
  paste(sample(c("A", "C", "G", "T"), length, TRUE), collapse = "")
}, "")
X <- unclass(seqlift::one_hot_encode(letters))
dimnames(X) <- NULL

ours <- measured(
  function(folder, X) {
    seqlift::seqlift_threads(1)
    model <- seqlift::load_model(file.path(folder, "net.pt"))
    predict(model, X[1, , , drop = FALSE])
    list(model = model, X = X, references = array(0, c(dim(X)[1L], 1L, dim(X)[-1L])))
  },
  function(ready) {
    values <- seqlift::attribute(ready$model, ready$X,
      method = "deep_lift_reveal_cancel",
      references = ready$references
    )
    rowSums(unclass(values))
  },
  folder, X
)
peer <- measured(
  function(folder, X) {
    torch::torch_set_num_threads(1)
    net <- torch::torch_load(file.path(folder, "net.rt"))
    list(converter = innsight::convert(net$eval(), input_dim = dim(X)[2:3]), X = X)
  },
  function(ready) {
    run <- innsight::run_deeplift(ready$converter, ready$X,
      rule_name = "reveal_cancel", verbose = FALSE
    )
    rowSums(innsight::get_result(run))
  },
  folder, X
)

table <- data.frame(
  tool = c("seqlift", "innsight"), cpu_seconds = round(c(ours$seconds, peer$seconds), 2),
  MiB = round(c(ours$mib, peer$mib))
)
print(table, row.names = FALSE)
cat(sprintf(
  "%d x %d bp: %.2f of innsight's CPU time, %.2f of its memory; sums differ by %.1e of %.1e\n",
  n, length, ours$seconds / peer$seconds, ours$mib / peer$mib,
  max(abs(ours$value - peer$value)), max(abs(peer$value))
))
unlink(folder, recursive = TRUE)
