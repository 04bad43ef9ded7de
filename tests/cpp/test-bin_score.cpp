// The score of bins, put around a model: by hand, beside the same written into the model, as the
// file that it becomes, and in windows.

#include <algorithm>
#include <cstdio>

#include "catch.h"
#include "core/model/bin_score.h"
#include "core/model/compose.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "edited.h"
#include "nets.h"

using namespace nets;
using seqlift::BinScoreOptions;
using seqlift::Wrapper;

namespace {

// Three tracks of bins of two positions.
ModelPointer bins_net(bool tracks_first) {
  Part part;
  part.parameters = {{"a", numbers({5, 4, 3}, 1)}, {"b", numbers({3, 5, 1}, 2)}};
  part.source =
      "def forward(self, x: Tensor):\n"
      "    h = torch.relu(torch.conv1d(x, self.a, None, 1, 1))\n"
      "    y = torch.softplus(torch.conv1d(torch.avg_pool1d(h, 2), self.b))\n";
  part.source += tracks_first ? "    return y\n" : "    return y.transpose(1, 2)\n";
  return model(part);
}

ModelPointer saved_bins(const torch::jit::Module& module) {
  const std::string path = "bins-" + std::to_string(reinterpret_cast<uintptr_t>(&module)) + ".pt";
  module.save(path);
  const auto model = seqlift::load_model(path);
  std::remove(path.c_str());
  return model;
}

ModelPointer scored_bins(const ModelPointer& net, const BinScoreOptions& options) {
  Wrapper wrapper;
  wrapper.kind = Wrapper::Kind::select_bins;
  wrapper.bins = options;
  return saved_bins(seqlift::wrapped_module(net, {wrapper}, {}));
}

at::Tensor bins_by_hand(at::Tensor output, const BinScoreOptions& options) {
  output = options.tracks_first ? output.transpose(1, 2) : output;
  const auto choose = [](const at::Tensor& values, int64_t dim,
                         const std::vector<int64_t>& chosen) {
    return chosen.empty() ? values : values.index_select(dim, at::tensor(chosen, at::kLong));
  };
  at::Tensor values = choose(choose(output, 1, options.bins), 2, options.tracks);
  const seqlift::Squashing& squashing = options.squashing;
  values = values / squashing.scale;
  if (squashing.clip > 0) {
    const at::Tensor above = values - squashing.clip;
    values = at::where(above > 0, above * above + squashing.clip, values);
  }
  values = values.pow(1 / squashing.power).mean(2);
  const at::Tensor score = options.mean ? values.mean(1, true) : values.sum(1, true);
  return options.logarithm ? (score + options.pseudocount).log() : score;
}

std::vector<BinScoreOptions> bin_cases(bool tracks_first) {
  std::vector<BinScoreOptions> all;
  for (const std::vector<int64_t>& bins :
       {std::vector<int64_t>{}, std::vector<int64_t>{2}, std::vector<int64_t>{0, 2, 3}}) {
    for (const std::vector<int64_t>& tracks :
         {std::vector<int64_t>{}, std::vector<int64_t>{1, 2}, std::vector<int64_t>{0, 2}}) {
      for (const bool mean : {false, true}) {
        for (const double pseudocount : {-1.0, 1e-6, 1.0}) {
          BinScoreOptions one;
          one.tracks_first = tracks_first;
          one.bins = bins;
          one.tracks = tracks;
          one.mean = mean;
          one.logarithm = pseudocount > 0;
          one.pseudocount = pseudocount > 0 ? pseudocount : 0;
          if (mean) {
            one.squashing = {0.5, 1.5, 0.75};
          }
          all.push_back(one);
        }
      }
    }
  }
  return all;
}

}  // namespace

TEST_CASE("a score of bins is what it says, in the engine and in LibTorch's own interpreter",
          "[bin_score]") {
  const Given pairs = given(3, 2, 10);
  for (const bool tracks_first : {false, true}) {
    const ModelPointer net = bins_net(tracks_first);
    const at::Tensor output = predicted(net, pairs.X)[0];
    for (const BinScoreOptions& options : bin_cases(tracks_first)) {
      INFO(seqlift::key_of(options));
      const ModelPointer score = scored_bins(net, options);
      const at::Tensor expected = bins_by_hand(output, options);
      CHECK(expected.sizes() == at::IntArrayRef{3, 1});
      CHECK(distance(predicted(score, pairs.X)[0], expected) < 1e-12);
      CHECK(distance(interpreted(score, pairs.X)[0], expected) < 1e-12);
    }
  }
}

TEST_CASE("scores of bins are explained without a remainder", "[bin_score]") {
  const Given pairs = given(2, 3, 10);
  for (const bool tracks_first : {false, true}) {
    const ModelPointer net = bins_net(tracks_first);
    for (const BinScoreOptions& options : bin_cases(tracks_first)) {
      INFO(seqlift::key_of(options));
      const Explained found = explain(scored_bins(net, options), pairs);
      CHECK(worst_delta(found) < 1e-12);
      CHECK(largest_change(found) > 1e-3);
    }
  }
}

TEST_CASE("scores of bins are the same in windows as of whole copies", "[bin_score]") {
  const at::Tensor X = one_hot(2, 24, 3);
  for (const bool tracks_first : {false, true}) {
    const ModelPointer net = bins_net(tracks_first);
    for (const BinScoreOptions& options : bin_cases(tracks_first)) {
      INFO(seqlift::key_of(options));
      const Edited found = edited(scored_bins(net, options), X, all_substitutions(X));
      CHECK(found.apart < 1e-12);
      CHECK(found.whole == 0);
      CHECK(found.effect > 1e-4);
      // Few bins look at few positions: chosen tracks do not widen that.
      if (!options.bins.empty()) {
        CHECK(found.share < 0.6);
      }
    }
  }
}

TEST_CASE("an output of another rank or size is refused in words", "[bin_score]") {
  const ModelPointer net = bins_net(false);
  BinScoreOptions options;
  options.bins = {6};
  const ModelPointer seventh = scored_bins(net, options);
  CHECK(error_of([&]() {
          predicted(seventh, one_hot(1, 12, 1));
        }).find("select_bins() was given number 7 of the bins, the output has 6") !=
        std::string::npos);
  CHECK(predicted(seventh, one_hot(1, 14, 1))[0].numel() == 1);
  options = {};
  options.bins_in_all = 6;
  options.tracks_in_all = 4;
  const ModelPointer counted = scored_bins(net, options);
  CHECK(error_of([&]() {
          predicted(counted, one_hot(1, 14, 1));
        }).find("select_bins() was made for 6 bins, the output has 7") != std::string::npos);
  CHECK(error_of([&]() {
          predicted(counted, one_hot(1, 12, 1));
        }).find("select_bins() was made for 4 tracks, the output has 3") != std::string::npos);
  options = {};
  const ModelPointer twice = scored_bins(scored_bins(net, options), options);
  CHECK(error_of([&]() {
          predicted(twice, one_hot(1, 12, 1));
        }).find("an output of three dimensions") != std::string::npos);
}

TEST_CASE("different choices have different keys", "[bin_score]") {
  std::vector<std::string> keys;
  for (const bool tracks_first : {false, true}) {
    for (const BinScoreOptions& options : bin_cases(tracks_first)) {
      keys.push_back(seqlift::key_of(options));
    }
  }
  std::sort(keys.begin(), keys.end());
  CHECK(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
}
