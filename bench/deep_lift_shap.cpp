// Times deep_lift_shap() of the core against the floor: what plain LibTorch needs for the bare
// model's own passes over the same pairs, n (1 + 1/r) forwards and n input gradients for n pairs
// with r references a sequence. Both in one process, in turn, on the same model file and sequences.
//
//   deep_lift_shap MODEL.pt SEQUENCES.fa COUNT REFERENCES THREADS RUNS [BATCH]
//
// Prints one line of JSON with the medians.
#include "core/deep_lift_shap.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>

#include "core/shuffle.h"

namespace {

std::vector<std::string> read_fasta(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> sequences;
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty() && line[0] == '>') {
      sequences.emplace_back();
    } else if (!sequences.empty()) {
      sequences.back() += line;
    }
  }
  return sequences;
}

at::Tensor one_hot(const std::string& letters) {
  const std::string bases = "ACGT";
  at::Tensor result = at::zeros({4, static_cast<int64_t>(letters.size())});
  auto cells = result.accessor<float, 2>();
  for (size_t i = 0; i < letters.size(); ++i) {
    const auto base = bases.find(letters[i]);
    if (base != std::string::npos) {
      cells[static_cast<int64_t>(base)][static_cast<int64_t>(i)] = 1;
    }
  }
  return result;
}

double peak_megabytes() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

struct Time {
  double wall;
  double cpu;  // of all threads: a busy machine does not change it much
};

template <typename Work>
Time seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return {taken.count(), static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

double median(const std::vector<Time>& times, double Time::*clock) {
  std::vector<double> values;
  for (const Time& time : times) {
    values.push_back(time.*clock);
  }
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
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
  std::vector<at::Tensor> rows;
  for (const std::string& letters : read_fasta(argv[2])) {
    rows.push_back(one_hot(letters));
  }
  const at::Tensor X = at::stack(rows).narrow(0, 0, count);
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
