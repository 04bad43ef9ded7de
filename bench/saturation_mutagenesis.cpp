// Times all single substitutions of one sequence: in windows, and every copy as a whole. Both in
// one process, in turn, on the same model file and sequence. Of the whole copies `SAMPLED`
// positions are timed and taken for all.
//
//   saturation_mutagenesis MODEL.pt SEQUENCES.fa THREADS RUNS SAMPLED
//
// Prints one line of JSON with the medians.
#include <cstdio>

#include "core/methods/predict_windows.h"
#include "timing.h"

using bench::Time;

namespace {

// Three substitutions a position.
seqlift::WindowEdits substitutions(const at::Tensor& X, int64_t step) {
  seqlift::WindowEdits edits;
  std::vector<at::Tensor> content;
  const at::Tensor bases = at::eye(4);
  for (int64_t position = 0; position < X.size(2); position += step) {
    for (int64_t base = 0; base < 4; ++base) {
      if (X[0][base][position].item<float>() == 0) {
        edits.row.push_back(0);
        edits.start.push_back(position);
        content.push_back(bases[base].unsqueeze(1));
      }
    }
  }
  edits.content = at::stack(content);
  return edits;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "saturation_mutagenesis MODEL.pt SEQUENCES.fa THREADS RUNS SAMPLED\n");
    return 2;
  }
  const std::string path = argv[1];
  const int runs = std::stoi(argv[4]);
  const int64_t sampled = std::stoll(argv[5]);
  const at::Tensor X = bench::read_one_hot(argv[2], 1);
  const auto model = seqlift::load_model(path);
  const auto graph = seqlift::build_graph(model, {});
  seqlift::Constants constants(model->dtype, model->dtype, at::kCPU);
  seqlift::Sequences sequences;
  sequences.count = 1;
  sequences.X = [&](int64_t, int64_t) { return X; };
  seqlift::PredictWindowsOptions options;
  options.work.threads = std::stoi(argv[3]);
  using Method = seqlift::PredictWindowsOptions::Method;
  const seqlift::WindowEdits all = substitutions(X, 1);
  const int64_t step = std::max<int64_t>(1, X.size(2) / sampled);
  const seqlift::WindowEdits some = substitutions(X, step);
  const double part = static_cast<double>(all.row.size()) / static_cast<double>(some.row.size());
  std::vector<Time> windows;
  std::vector<Time> whole;
  double share = 0;
  double gap = 0;
  for (int run = 0; run < runs; ++run) {
    seqlift::PredictWindowsResult in_windows;
    seqlift::PredictWindowsResult as_a_whole;
    options.method = Method::incremental;
    windows.push_back(bench::seconds([&] {
      in_windows = seqlift::predict_windows(*graph, constants, sequences, all, options);
    }));
    options.method = Method::full;
    whole.push_back(bench::seconds([&] {
      as_a_whole = seqlift::predict_windows(*graph, constants, sequences, some, options);
    }));
    whole.back().wall *= part;
    whole.back().cpu *= part;
    share = in_windows.done_work / in_windows.whole_work;
    for (size_t i = 0, j = 0; i < some.row.size(); ++i) {
      while (all.start[j] != some.start[i]) {
        ++j;
      }
      const at::Tensor difference = in_windows.outputs[0][j + i % 3] - as_a_whole.outputs[0][i];
      gap = std::max(gap, difference.abs().max().item<double>());
    }
  }
  const double wall = median(windows, &Time::wall);
  const double full = median(whole, &Time::wall);
  std::printf(
      "{\"model\": \"%s\", \"copies\": %lld, \"threads\": %d, \"incremental_s\": %.3f, "
      "\"full_s\": %.3f, \"ratio\": %.2f, \"incremental_cpu_s\": %.3f, \"full_cpu_s\": %.3f, "
      "\"share_of_work\": %.4f, \"largest_gap\": %.2g}\n",
      path.substr(path.rfind('/') + 1).c_str(), static_cast<long long>(all.row.size()),
      options.work.threads, wall, full, full / wall, median(windows, &Time::cpu),
      median(whole, &Time::cpu), share, gap);
  return 0;
}
