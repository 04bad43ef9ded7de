// Times both alleles of substitutions: in windows, and as whole sequences by predict(), the
// unchanged sequence once for every variant, as it is done without windows. In one process, in
// turn, on the same model file and sequences; processor time, medians.
//
//   variants MODEL.pt SEQUENCES.fa THREADS RUNS VARIANTS [WIDTH]
//
// For each number of VARIANTS a sequence (separated by commas) a line of JSON. WIDTH: bases that
// each variant replaces, default 1; "shift": all from its place to the end of the sequence, as an
// insertion or deletion does.
#include <cstdio>
#include <sstream>

#include "core/methods/predict_windows.h"
#include "timing.h"

using bench::Time;

namespace {

constexpr int64_t shift = 0;  // in place of a width

// Variants at places that look random, of all sequences; every base of the window another one.
seqlift::WindowEdits variants(const at::Tensor& X, int64_t each, int64_t width) {
  seqlift::WindowEdits edits;
  std::vector<at::Tensor> content;
  const int64_t length = X.size(2);
  const int64_t places = length - std::max<int64_t>(width, 1) + 1;
  for (int64_t row = 0; row < X.size(0); ++row) {
    for (int64_t i = 0; i < each; ++i) {
      const int64_t place = (row * 7919 + i * 104729 + 500) % places;
      const int64_t own = width == shift ? length - place : width;
      edits.row.push_back(row);
      edits.start.push_back(place);
      edits.width.push_back(own);
      const at::Tensor after = X[row].narrow(1, place, own);
      const int64_t filled = width == shift ? length - own : 0;
      content.push_back(at::constant_pad_nd(after.roll(1 + i % 3, 0), {0, filled}));
    }
  }
  edits.content = at::stack(content);
  return edits;
}

seqlift::Sequences sequences_of(const at::Tensor& X) {
  seqlift::Sequences sequences;
  sequences.count = X.size(0);
  sequences.X = [X](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
  return sequences;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "variants MODEL.pt SEQUENCES.fa THREADS RUNS VARIANTS [WIDTH]\n");
    return 2;
  }
  const std::string path = argv[1];
  const int runs = std::stoi(argv[4]);
  const std::string given = argc > 6 ? argv[6] : "1";
  const int64_t width = given == "shift" ? shift : std::stoll(given);
  const auto model = seqlift::load_model(path);
  const auto graph = seqlift::build_graph(model, {});
  seqlift::Constants constants(model->dtype, model->dtype, at::kCPU);
  seqlift::PredictWindowsOptions options;
  options.originals = seqlift::PredictWindowsOptions::Originals::batched;
  options.work.threads = std::stoi(argv[3]);
  seqlift::PredictOptions whole_options;
  whole_options.work.threads = options.work.threads;
  std::istringstream list(argv[5]);
  std::string number;
  while (std::getline(list, number, ',')) {
    const int64_t each = std::stoll(number);
    // About as many variants whatever their number a sequence: 100 in 2 sequences, or one in each
    // of 8.
    const int64_t count = std::clamp<int64_t>(100 / each, 2, 8);
    const at::Tensor X = bench::read_one_hot(argv[2], count);
    const seqlift::WindowEdits edits = variants(X, each, width);
    const auto total = static_cast<int64_t>(edits.row.size());
    const at::Tensor rows = at::tensor(edits.row, at::TensorOptions(at::kLong));
    const at::Tensor before = X.index_select(0, rows);
    at::Tensor after = before.clone();
    for (int64_t i = 0; i < total; ++i) {
      after[i]
          .narrow(1, edits.start[i], edits.width[i])
          .copy_(edits.content[i].narrow(1, 0, edits.width[i]));
    }
    std::vector<Time> windows;
    std::vector<Time> whole;
    double gap = 0;
    int64_t evaluated_whole = 0;
    for (int run = 0; run < runs; ++run) {
      seqlift::PredictWindowsResult here;
      std::vector<at::Tensor> there;
      windows.push_back(bench::seconds([&] {
        here = seqlift::predict_windows(*graph, constants, sequences_of(X), edits, options);
      }));
      whole.push_back(bench::seconds([&] {
        seqlift::predict(*graph, constants, sequences_of(before), whole_options);
        there = seqlift::predict(*graph, constants, sequences_of(after), whole_options);
      }));
      evaluated_whole = here.evaluated_whole;
      for (size_t i = 0; i < there.size(); ++i) {
        const at::Tensor apart = (here.outputs[i] - there[i]).abs().max();
        gap = std::max(gap, apart.item<double>());
      }
    }
    const double ours = median(windows, &Time::cpu);
    const double theirs = median(whole, &Time::cpu);
    std::printf(
        "{\"model\": \"%s\", \"sequences\": %lld, \"variants_each\": %lld, \"width\": \"%s\", "
        "\"threads\": %d, \"variants_cpu_s\": %.3f, \"both_alleles_cpu_s\": %.3f, \"ratio\": %.2f, "
        "\"evaluated_whole\": %lld, \"largest_gap\": %.2g}\n",
        path.substr(path.rfind('/') + 1).c_str(), static_cast<long long>(count),
        static_cast<long long>(each), given.c_str(), options.work.threads, ours, theirs,
        theirs / ours, static_cast<long long>(evaluated_whole), gap);
    std::fflush(stdout);
  }
  return 0;
}
