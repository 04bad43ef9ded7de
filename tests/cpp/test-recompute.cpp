// Memory by recomputation. What is evaluated in parts must be what is evaluated at once to the last
// bit, wherever the graph is cut, and take less memory.

#include <random>

#include "catch.h"
#include "core/base/memory.h"
#include "core/evaluate/recompute.h"
#include "core/methods/gradients.h"
#include "core/methods/path_gradients.h"
#include "core/numeric/tensor_functions.h"
#include "counted_memory.h"
#include "inputs.h"
#include "random_net.h"

using namespace nets;
using namespace seqlift;

namespace {

// Cuts wherever `cut` says, as long as it lives.
class Cuts {
 public:
  explicit Cuts(std::function<bool(size_t place)> cut) {
    force_cuts([this, cut](const std::vector<bool>& places) {
      std::vector<size_t> cuts;
      for (size_t i = 0; i < places.size(); ++i) {
        if (places[i] && cut(i)) {
          cuts.push_back(i);
        }
      }
      places_ = places.size();
      most_ = std::max(most_, cuts.size());
      return cuts;
    });
  }
  ~Cuts() { force_cuts({}); }
  Cuts(const Cuts&) = delete;
  Cuts& operator=(const Cuts&) = delete;

  size_t most() const { return most_; }      // cuts of an evaluation
  size_t places() const { return places_; }  // nodes of the last graph

 private:
  size_t most_ = 0;
  size_t places_ = 0;
};

struct Result {
  std::vector<at::Tensor> tensors;
  std::string error;
};

bool same(const Result& a, const Result& b) {
  bool equal = a.error == b.error && a.tensors.size() == b.tensors.size();
  for (size_t i = 0; equal && i < a.tensors.size(); ++i) {
    equal = a.tensors[i].sizes() == b.tensors[i].sizes() &&
            at::allclose(a.tensors[i], b.tensors[i], 0, 0, true);
  }
  return equal;
}

using Method = std::function<std::vector<at::Tensor>(const ModelPointer& net, at::ScalarType)>;

Result result_of(const Method& method, const ModelPointer& net, at::ScalarType dtype) {
  Result result;
  try {
    result.tensors = method(net, dtype);
  } catch (const std::exception& error) {
    result.error = error.what();
  }
  return result;
}

std::vector<at::Tensor> parts_of(const Explained& result) {
  return {result.values, result.deltas, result.predictions, result.reference_predictions};
}

std::vector<std::pair<std::string, Method>> methods(const Given& pairs) {
  const auto settings_of = [](at::ScalarType dtype) {
    Settings settings;
    settings.dtype = dtype;
    settings.targets = {0, 1};
    return settings;
  };
  const auto constants_of = [](const ModelPointer&, at::ScalarType dtype) {
    return std::make_shared<Constants>(at::kDouble, dtype, at::Device(at::kCPU));
  };
  const auto gradient_options = []() {
    GradientOptions options;
    options.targets = {0, 1};
    return options;
  };
  const auto lifted = [=](const std::string& rule) -> Method {
    return [=](const ModelPointer& net, at::ScalarType dtype) {
      return parts_of(deep_lifted(net, pairs, rule, settings_of(dtype)));
    };
  };
  return {{"operator mode",
           [=](const ModelPointer& net, at::ScalarType dtype) {
             return parts_of(explain(net, pairs, settings_of(dtype)));
           }},
          {"module mode",
           [=](const ModelPointer& net, at::ScalarType dtype) {
             Settings settings = settings_of(dtype);
             settings.module_mode = true;
             settings.registered = {{"Layer0", "rescale"}, {"Layer1", "rescale"}};
             return parts_of(explain(net, pairs, settings));
           }},
          {"integrated operations",
           [=](const ModelPointer& net, at::ScalarType dtype) {
             Settings settings = settings_of(dtype);
             settings.integrate = true;
             settings.registered = {{"Layer0", "integrate"}};
             return parts_of(explain(net, pairs, settings));
           }},
          {"gradients",
           [=](const ModelPointer& net, at::ScalarType dtype) {
             const auto constants = constants_of(net, dtype);
             const GradientResult result =
                 gradients(*graph_of(net), *constants, sequences_of(pairs.X), gradient_options());
             return std::vector<at::Tensor>{result.values[0], result.predictions};
           }},
          {"path gradients",
           [=](const ModelPointer& net, at::ScalarType dtype) {
             const auto constants = constants_of(net, dtype);
             PathOptions options;
             options.gradients = gradient_options();
             options.quadrature = quadrature(QuadratureRule::gauss_legendre, 3);
             const PathResult result =
                 path_gradients(*graph_of(net), *constants, sequences_of(pairs.X),
                                references_of(pairs.references), options);
             return std::vector<at::Tensor>{result.values[0], result.deltas[0]};
           }},
          {"rescale in blocks", lifted("rescale")},
          {"RevealCancel", lifted("reveal_cancel")},
          {"the genomics default", lifted("genomics_default")}};
}

// Convolutions with residual sums and what is not linear, `blocks` times.
ModelPointer deep_net(int blocks) {
  std::string body = "h = torch.conv1d(x, self.w, padding=1)\n";
  Tensors parameters{{"w", numbers({16, 4, 3}, 1, -0.5, 0.5)}};
  for (int i = 0; i < blocks; ++i) {
    const std::string name = "w" + std::to_string(i);
    parameters.emplace_back(name, numbers({16, 16, 3}, i, -0.25, 0.25));
    body += "h = h + torch.gelu(torch.conv1d(torch.relu(h), self." + name + ", padding=1))\n";
  }
  return forward(body + "return h.mean(2)\n", parameters);
}

}  // namespace

TEST_CASE("random nets in parts give what they give at once to the last bit", "[recompute]") {
  const Given pairs = given(2, 3, 12);
  const auto all = methods(pairs);
  size_t most = 0;
  std::vector<int> explained(all.size());
  for (uint32_t seed = 1; seed <= 120; ++seed) {
    RandomNet generator(seed);
    generator.grow(4 + static_cast<int>(seed % 14));
    const auto net = generator.make(0);
    std::mt19937 random(seed);
    for (size_t m = 0; m < all.size(); ++m) {
      const at::ScalarType dtype = (seed + m) % 2 == 0 ? at::kDouble : at::kFloat;
      const Result whole = result_of(all[m].second, net, dtype);
      explained[m] += whole.error.empty() ? 1 : 0;
      // Everywhere, or wherever chance has it.
      std::vector<bool> chosen(1000, true);
      for (size_t i = 0; seed % 4 != 0 && i < chosen.size(); ++i) {
        chosen[i] = random() % (seed % 4 + 1) == 0;
      }
      const Cuts cuts([&](size_t place) { return chosen.at(place); });
      INFO("seed " << seed << ", " << all[m].first << ", " << c10::toString(dtype) << "\n"
                   << generator.text(0) << "\n"
                   << whole.error);
      CHECK(same(result_of(all[m].second, net, dtype), whole));
      most = std::max(most, cuts.most());
    }
  }
  CHECK(most > 50);
  // RevealCancel refuses more than the others.
  for (size_t m = 0; m < all.size(); ++m) {
    INFO(all[m].first);
    CHECK(explained[m] > (m < 5 ? 30 : 0));
  }
}

TEST_CASE("a cut at any one place changes no bit", "[recompute]") {
  const Given pairs = given(2, 3, 12);
  int cuts = 0;
  for (uint32_t seed = 1; seed <= 24; ++seed) {
    RandomNet generator(seed);
    generator.grow(4 + static_cast<int>(seed % 14));
    const auto net = generator.make(0);
    const auto all = methods(pairs);
    const auto& method = all[seed % all.size()];
    const at::ScalarType dtype = seed % 2 == 0 ? at::kDouble : at::kFloat;
    const Result whole = result_of(method.second, net, dtype);
    for (size_t place = 0, places = 1; place < places; ++place) {
      const Cuts one([&](size_t i) { return i == place; });
      INFO("seed " << seed << ", " << method.first << ", behind node " << place << "\n"
                   << generator.text(0));
      CHECK(same(result_of(method.second, net, dtype), whole));
      places = one.places();
      cuts += static_cast<int>(one.most());
    }
  }
  CHECK(cuts > 200);
}

TEST_CASE("a small budget takes less memory and gives the same numbers", "[recompute]") {
  const auto net = deep_net(24);
  const Given pairs = given(1, 1, 4096);
  const auto graph = graph_of(net);
  Constants constants(at::kDouble, at::kFloat, at::Device(at::kCPU));
  Value X;
  X.x = pairs.X.to(at::kFloat);
  const Footprint footprint = footprint_of(*graph, constants, {X});
  // Of each method: a pair on halves (twice, as nets::explain() has it), both in one batch, a
  // sequence, three points of a path, blocks.
  const std::vector<BatchRows> rows{{1, 2}, {0, 2}, {1, 2}, {0, 1}, {0, 3}, {0, 5}, {0, 5}, {0, 5}};
  const auto all = methods(pairs);
  for (size_t m = 0; m < all.size(); ++m) {
    const auto run = [&]() {
      const CountedMemory memory;
      const Result result = result_of(all[m].second, net, at::kFloat);
      return std::make_pair(result, static_cast<double>(memory.most()));
    };
    run();  // the model is looked at for the first time
    const auto whole = run();
    const double expected = plan_cuts(footprint, {}, rows[m], 1e18).bytes;
    const double least = plan_cuts(footprint, cut_places(*graph), rows[m], 0).bytes;
    const Budget budget(static_cast<int64_t>(least) + 1);
    const auto parts = run();
    INFO(all[m].first << ": " << whole.second << " bytes, expected " << expected << "; in parts "
                      << parts.second << ", expected " << least);
    CHECK(whole.first.error == "");
    CHECK(parts.first.error == "");
    CHECK(same(parts.first, whole.first));
    CHECK(parts.second < 0.7 * whole.second);
    // What is expected decides what is cut and what is refused.
    CHECK(whole.second < 1.2 * expected);
    CHECK(whole.second > 0.25 * expected);
    CHECK(parts.second < 1.5 * least);
  }
}

TEST_CASE("what does not fit is refused with what it needs", "[recompute]") {
  const auto net = deep_net(4);
  const Given pairs = given(1, 1, 4096);
  const Budget budget(100000);
  const std::string error = error_of([&]() { explain(net, pairs); });
  CHECK(error.rfind("memory: ", 0) == 0);
  CHECK(error.find("it needs about") != std::string::npos);
  CHECK(error.find("Shorter sequences") != std::string::npos);
}

TEST_CASE("a batch that fits is not cut", "[recompute]") {
  const auto net = deep_net(24);
  const auto graph = graph_of(net);
  Constants constants(at::kDouble, at::kFloat, at::Device(at::kCPU));
  Value X;
  X.x = one_hot(1, 512, 1).to(at::kFloat);
  const Footprint footprint = footprint_of(*graph, constants, {X});
  const std::vector<bool> places = cut_places(*graph);
  const CutPlan whole = plan_cuts(footprint, places, {1, 1}, 1e12);
  CHECK(whole.cuts.empty());
  double before = whole.bytes;
  for (const double share : {0.8, 0.6}) {
    const CutPlan plan = plan_cuts(footprint, places, {1, 1}, share * whole.bytes);
    CHECK(!plan.cuts.empty());
    CHECK(plan.bytes <= share * whole.bytes);
    CHECK(plan.bytes <= before);
    before = plan.bytes;
  }
}
