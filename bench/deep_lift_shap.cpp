// Times deep_lift_shap() of the core against the floor: what plain LibTorch needs for the bare
// model's own passes over the same pairs, n (1 + 1/r) forwards and n input gradients for n pairs
// with r references a sequence. Both in one process, in turn, on the same model file and sequences.
//
//   deep_lift_shap MODEL.pt SEQUENCES.fa COUNT REFERENCES THREADS RUNS [BATCH]
//
// Prints one line of JSON with the medians.
#include "core/methods/deep_lift_shap.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>
#include <string>

#include "timing.h"

using bench::median;
using bench::seconds;
using bench::Time;

namespace {

double peak_megabytes() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// The bare model: every sequence once, every reference once, and the references' input gradients.
void floor_pass(torch::jit::Module& module, const at::Tensor& X, const at::Tensor& references) {
  for (int64_t i = 0; i < X.size(0); ++i) {
    {
      const at::NoGradGuard guard;
      module.forward({X.narrow(0, i, 1)});
    }
    const at::AutoGradMode enabled(true);
    at::Tensor leaf = references[i].detach().requires_grad_();
    const at::Tensor y = module.forward({leaf}).toTensor();
    torch::autograd::grad({y.select(1, 0).sum()}, {leaf});
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr,
                 "deep_lift_shap MODEL.pt SEQUENCES.fa COUNT REFERENCES THREADS RUNS [BATCH]\n");
    return 2;
  }
  const std::string path = argv[1];
  const int64_t count = std::stoll(argv[3]);
  const int64_t r = std::stoll(argv[4]);
  const int threads = std::stoi(argv[5]);
  const int runs = std::stoi(argv[6]);
  const at::Tensor X = bench::read_one_hot(argv[2], count);
  // Any other sequence is as good a reference for the clock: the order of positions, turned.
  std::vector<at::Tensor> turned;
  for (int64_t j = 0; j < r; ++j) {
    turned.push_back(X.roll({37 * (j + 1)}, {2}));
  }
  const at::Tensor references = at::stack(turned, 1).contiguous();

  const auto model = seqlift::load_model(path);
  const auto graph = seqlift::build_graph(model, {});
  seqlift::Constants constants(model->dtype, model->dtype, at::kCPU);
  seqlift::Sequences sequences;
  sequences.count = count;
  sequences.X = [&](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
  seqlift::References given;
  given.count = r;
  given.get = [&](int64_t i, int64_t i_end, int64_t j, int64_t j_end) {
    return references.narrow(0, i, i_end - i).narrow(1, j, j_end - j).flatten(0, 1);
  };
  seqlift::DeepLiftShapOptions options;
  options.work.threads = threads;
  options.batch_size = argc > 7 ? std::stoll(argv[7]) : 32;

  torch::jit::Module plain = model->module.copy();
  for (const auto& parameter : plain.parameters()) {
    parameter.set_requires_grad(false);
  }
  std::vector<Time> ours;
  std::vector<Time> floor;
  double largest = 0;
  const double before = peak_megabytes();
  double peak = 0;
  for (int run = 0; run < runs; ++run) {
    ours.push_back(seconds([&]() {
      const auto result = seqlift::deep_lift_shap(*graph, constants, sequences, given, options);
      largest = result.deltas.abs().max().item<double>();
    }));
    if (run == 0) {
      peak = peak_megabytes();
    }
    at::set_num_threads(threads);
    floor.push_back(seconds([&]() { floor_pass(plain, X, references); }));
  }
  const double wall = median(ours, &Time::wall);
  const double floor_wall = median(floor, &Time::wall);
  const double cpu = median(ours, &Time::cpu);
  const double floor_cpu = median(floor, &Time::cpu);
  std::printf(
      "{\"model\": \"%s\", \"sequences\": %lld, \"references\": %lld, \"threads\": %d, "
      "\"seqlift_s\": %.3f, \"floor_s\": %.3f, \"ratio\": %.2f, \"seqlift_cpu_s\": %.3f, "
      "\"floor_cpu_s\": %.3f, \"ratio_cpu\": %.2f, \"peak_rise_mb\": %.0f, "
      "\"largest_delta\": %.2g}\n",
      path.substr(path.rfind('/') + 1).c_str(), static_cast<long long>(count),
      static_cast<long long>(r), threads, wall, floor_wall, wall / floor_wall, cpu, floor_cpu,
      cpu / floor_cpu, peak - before, largest);
  return 0;
}
