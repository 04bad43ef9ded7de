// Times pisa() of the core (every output of a profile at once) against deep_lift_shap() of one
// output after the other. Both in one process, in turn, on the same model file and sequences; of
// the second, `SAMPLED` outputs are timed and taken for all.
//
//   pisa MODEL.pt LENGTH OUTPUTS COUNT REFERENCES THREADS RUNS SAMPLED
//
// Prints one line of JSON with the medians.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdio>
#include <string>

#include "core/methods/deep_lift_shap.h"
#include "timing.h"

using bench::median;
using bench::seconds;
using bench::Time;

namespace {

at::Tensor random_one_hot(const std::vector<int64_t>& sizes) {
  const at::Tensor letters = at::one_hot(at::randint(4, sizes), 4).to(at::kFloat);
  return letters.transpose(-1, -2).contiguous();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 9) {
    std::fprintf(stderr, "pisa MODEL.pt LENGTH OUTPUTS COUNT REFERENCES THREADS RUNS SAMPLED\n");
    return 2;
  }
  const auto number = [&](int i) { return std::stoll(argv[i]); };
  const int64_t outputs = number(3);
  const int64_t count = number(4);
  const int64_t r = number(5);
  const int64_t sampled = std::min<int64_t>(number(8), outputs);
  at::manual_seed(0);
  at::set_num_threads(1);
  const at::Tensor X = random_one_hot({count, number(2)});
  const at::Tensor refs = random_one_hot({count, r, number(2)});

  const auto model = seqlift::load_model(argv[1]);
  const auto graph = seqlift::build_graph(model, {});
  seqlift::Constants constants(model->dtype, model->dtype, at::Device(at::kCPU));
  seqlift::Sequences sequences;
  sequences.count = count;
  sequences.X = [&](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
  seqlift::References references;
  references.count = r;
  references.get = [&](int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    return refs.narrow(0, i0, i1 - i0).narrow(1, j0, j1 - j0).flatten(0, 1);
  };
  seqlift::DeepLiftShapOptions options;
  options.work.threads = static_cast<int>(number(6));

  std::vector<Time> together;
  std::vector<Time> one_by_one;
  double worst = 0;
  for (int64_t run = 0; run < number(7); ++run) {
    options.profile = true;
    options.targets.clear();
    for (int64_t k = 0; k < outputs; ++k) {
      options.targets.push_back(k);
    }
    seqlift::DeepLiftShapResult all;
    together.push_back(seconds(
        [&] { all = seqlift::deep_lift_shap(*graph, constants, sequences, references, options); }));
    options.profile = false;
    Time some{0, 0};
    for (int64_t s = 0; s < sampled; ++s) {
      const int64_t k = (2 * s + 1) * outputs / (2 * sampled);
      options.targets = {k};
      const Time one_output = seconds([&] {
        const auto one = seqlift::deep_lift_shap(*graph, constants, sequences, references, options);
        const at::Tensor gap = all.values.select(1, k) - one.values.squeeze(-1);
        worst = std::max(worst, gap.abs().max().item<double>());
      });
      some.wall += one_output.wall * static_cast<double>(outputs) / static_cast<double>(sampled);
    }
    one_by_one.push_back(some);
  }
  std::printf(
      "{\"model\": \"%s\", \"outputs\": %lld, \"pairs\": %lld, \"threads\": %lld, "
      "\"pisa\": %.3f, \"deep_lift_shap\": %.3f, \"ratio\": %.2f, \"largest_gap\": %.2g}\n",
      argv[1], static_cast<long long>(outputs), static_cast<long long>(count * r), number(6),
      median(together, &Time::wall), median(one_by_one, &Time::wall),
      median(one_by_one, &Time::wall) / median(together, &Time::wall), worst);
  return 0;
}
