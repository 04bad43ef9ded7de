// Time and memory of deep_lift_shap() and gradient x input in long context, beside the bare model:
// Enformer of random weights, or Borzoi (MODEL=borzoi in the environment), one sequence, one
// reference. One measurement a process, so that its peak is its own:
//
//   long_context LENGTH bare|gradients|deep_lift THREADS [BUDGET in GB [WIDTH DEPTH: a smaller
//   net]]
//
// prints a line of JSON: time and processor time of a first call, which looks at the model on three
// predictions, and with AGAIN=1 in the environment of a second one; the resident size before it and
// the highest since, which the making of the model is no part of. DTYPE=float64 in the environment
// computes in double. bench/long_context.sh sweeps lengths and budgets. README.md here says how it
// is built.

#include <ATen/Parallel.h>
#include <malloc.h>
#include <sys/resource.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/script.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "core/base/memory.h"
#include "core/evaluate/recompute.h"
#include "core/import/architectures/architectures.h"
#include "core/methods/deep_lift_shap.h"
#include "core/methods/gradients.h"
#include "core/model/model.h"
#include "core/model/modules.h"
#include "long_models.h"
#include "timing.h"

namespace {

// GB behind a key of /proc/self/status.
double status_gb(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kilobytes = 0;
    if (word == key && status >> kilobytes) {
      return kilobytes / (1 << 20);
    }
  }
  return 0;
}

// From here on the highest resident size is counted anew.
void forget_peak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

struct Cost {
  double wall = 0;
  double user = 0;
  double kernel = 0;
};

Cost cost_of(const std::function<void()>& call) {
  struct rusage before;
  struct rusage after;
  getrusage(RUSAGE_SELF, &before);
  Cost cost;
  cost.wall = bench::seconds(call).wall;
  getrusage(RUSAGE_SELF, &after);
  const auto since = [](const timeval& start, const timeval& end) {
    return static_cast<double>(end.tv_sec - start.tv_sec) +
           1e-6 * static_cast<double>(end.tv_usec - start.tv_usec);
  };
  cost.user = since(before.ru_utime, after.ru_utime);
  cost.kernel = since(before.ru_stime, after.ru_stime);
  return cost;
}

at::Tensor sequence_of(int64_t length, uint64_t seed) {
  at::manual_seed(seed);
  return at::one_hot(at::randint(4, {length}, at::kLong), 4)
      .t()
      .unsqueeze(0)
      .to(at::kFloat)
      .contiguous();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "long_context LENGTH bare|gradients|deep_lift THREADS [BUDGET [WIDTH DEPTH]]\n");
    return 2;
  }
  const int64_t length = std::stoll(argv[1]);
  const std::string what = argv[2];
  const int threads = std::stoi(argv[3]);
  const double budget = argc > 4 ? std::stod(argv[4]) : 0;
  const int64_t width = argc > 6 ? std::stoll(argv[5]) : 1536;
  const char* named = std::getenv("MODEL");
  const bool is_borzoi = named && std::string(named) == "borzoi";
  const int64_t depth = argc > 6 ? std::stoll(argv[6]) : is_borzoi ? 8 : 11;
  at::manual_seed(1);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("enformer-" + std::to_string(getpid()) + ".pt"))
          .string();
  {
    seqlift::EnformerOptions enformer;
    seqlift::BorzoiOptions borzoi;
    enformer.target_length = -1;
    borzoi.target_length = -1;
    seqlift::build_module(is_borzoi
                              ? seqlift::borzoi(bench::borzoi_weights(width, depth), borzoi)
                              : seqlift::enformer(bench::enformer_weights(width, depth), enformer))
        .save(path);
  }
  const auto model = seqlift::load_model(path);
  std::filesystem::remove(path);
  const at::Tensor X = sequence_of(length, 2);
  const at::Tensor reference = sequence_of(length, 3);
  seqlift::GraphOptions wrapped;
  wrapped.wrappers.emplace_back();
  wrapped.wrappers.back().kind = seqlift::Wrapper::Kind::select_bins;
  const auto graph = seqlift::build_graph(model, wrapped);
  const char* dtype = std::getenv("DTYPE");
  const bool wide = dtype && std::string(dtype) == "float64";
  seqlift::Constants constants(model->dtype, wide ? at::kDouble : model->dtype, at::kCPU);
  seqlift::Sequences sequences;
  sequences.count = 1;
  sequences.X = [&](int64_t, int64_t) { return X; };
  seqlift::References references;
  references.count = 1;
  references.get = [&](int64_t, int64_t, int64_t, int64_t) { return reference; };
  if (budget > 0) {
    seqlift::set_memory_budget(static_cast<int64_t>(budget * (1 << 30)));
  }
  double delta = 0;
  double change = 1;
  double prediction = 1;
  const auto call = [&]() {
    if (what == "bare") {
      at::set_num_threads(threads);
      torch::jit::Module plain = model->module.copy();
      for (const auto& parameter : plain.parameters()) {
        parameter.set_requires_grad(false);
      }
      const at::Tensor leaf = reference.detach().clone().requires_grad_();
      const at::Tensor y = plain.forward({leaf}).toTensor();
      torch::autograd::grad({y.sum()}, {leaf});
    } else if (what == "gradients") {
      seqlift::GradientOptions options;
      options.work.threads = threads;
      options.times_input = true;
      seqlift::gradients(*graph, constants, sequences, options);
    } else {
      seqlift::DeepLiftShapOptions options;
      options.work.threads = threads;
      const auto result =
          seqlift::deep_lift_shap(*graph, constants, sequences, references, options);
      delta = result.deltas.abs().max().item<double>();
      prediction = result.predictions.abs().max().item<double>();
      change = (result.predictions - result.reference_predictions[0]).abs().max().item<double>();
    }
  };
  forget_peak();
  const double start = status_gb("VmRSS:");
  const Cost first = cost_of(call);
  const double peak = status_gb("VmHWM:");
  forget_peak();
  const Cost again = std::getenv("AGAIN") ? cost_of(call) : Cost();
  // How the pair was planned: what is known of the graph's memory by now is used again.
  seqlift::Value row;
  row.x = X;
  const seqlift::BatchMemory plan =
      what == "bare" ? seqlift::BatchMemory()
                     : seqlift::within_memory(*graph, constants, {row},
                                              {what == "gradients" ? 0 : 1, 1, true});
  const size_t strips = plan.strips ? seqlift::strips_of(*plan.strips).size() : 0;
  std::printf(
      "{\"length\": %lld, \"what\": \"%s\", \"threads\": %d, \"budget_gb\": %.2f, \"wall_s\": "
      "%.2f, \"user_s\": %.2f, \"kernel_s\": %.2f, \"again_user_s\": %.2f, \"again_kernel_s\": "
      "%.2f, \"again_peak_gb\": %.2f, \"start_gb\": %.2f, \"peak_gb\": %.2f, \"weights_gb\": %.2f, "
      "\"delta_of_change\": "
      "%.2g, \"delta_of_prediction\": %.2g, \"cuts\": %zu, \"strips\": %zu}\n",
      static_cast<long long>(length), what.c_str(), threads, budget, first.wall, first.user,
      first.kernel, again.user, again.kernel, std::getenv("AGAIN") ? status_gb("VmHWM:") : 0, start,
      peak, 4 * static_cast<double>(model->parameters) / (1 << 30), delta / change,
      delta / prediction, plan.cuts.size(), strips);
  return 0;
}
