// What a call is expected to take of memory, by which it is cut into parts or refused, against what
// LibTorch is asked for: never less, whatever the model is made of, and not much more.

#include "catch.h"
#include "core/base/memory.h"
#include "core/evaluate/recompute.h"
#include "core/methods/gradients.h"
#include "core/numeric/tensor_functions.h"
#include "counted_memory.h"
#include "inputs.h"

using namespace nets;
using namespace seqlift;

namespace {

struct Sized {
  std::string what;
  int64_t length;
  std::string body;  // from x, [n, 4, length]
  Tensors parameters;
};

Tensors weights_of(const std::vector<std::pair<std::string, std::vector<int64_t>>>& sizes) {
  Tensors tensors;
  int64_t seed = 1;
  for (const auto& one : sizes) {
    double inputs = 1;
    for (size_t d = 1; d < one.second.size(); ++d) {
      inputs *= static_cast<double>(one.second[d]);
    }
    const double most = one.second.size() > 1 ? 1 / std::sqrt(inputs) : 1;
    tensors.emplace_back(one.first, numbers(one.second, seed++, -most, most).to(at::kFloat));
  }
  return tensors;
}

std::vector<Sized> sized_nets() {
  const std::string sigmoid_gelu = "h = torch.sigmoid(1.702 * h) * h\n";
  const std::string norm =
      "h = torch.batch_norm(h, self.s, self.m, self.m, self.s, False, 0.1, 1e-5, False)\n";
  const std::string layer_norm = "h = torch.layer_norm(h, [32], self.m, self.s)\n";
  const std::string attention =
      "q = torch.linear(h, self.q, None).reshape([h.size(0), h.size(1), 4, 8]).transpose(1, 2)\n"
      "k = torch.linear(h, self.k, None).reshape([h.size(0), h.size(1), 4, 8]).transpose(1, 2)\n"
      "v = torch.linear(h, self.v, None).reshape([h.size(0), h.size(1), 4, 8]).transpose(1, 2)\n"
      "a = torch.softmax(torch.matmul(q, k.transpose(2, 3)), -1)\n"
      "h = h + torch.matmul(a, v).transpose(1, 2).reshape([h.size(0), h.size(1), 32])\n";
  const std::string pool =
      "p = h.reshape([h.size(0), h.size(1), h.size(2) // 2, 2])\n"
      "h = torch.sum(p * torch.softmax(torch.conv2d(p, self.l), -1), [-1])\n";
  std::vector<Sized> nets;
  const auto add = [&](const std::string& what, int64_t length, const std::string& body,
                       const std::vector<std::pair<std::string, std::vector<int64_t>>>& sizes) {
    nets.push_back({what, length, body, weights_of(sizes)});
  };
  add("convolutions, relu and max-pools", 4096,
      "h = torch.relu(torch.conv1d(x, self.a, padding=7))\n"
      "h = torch.relu(torch.max_pool1d(torch.conv1d(h, self.b, padding=2), 2))\n"
      "h = torch.relu(torch.max_pool1d(torch.conv1d(h, self.c, padding=2), 2))\n"
      "return h.mean(2)\n",
      {{"a", {64, 4, 15}}, {"b", {64, 64, 5}}, {"c", {64, 64, 5}}});
  add("dilated residual layers", 2048,
      "h = torch.relu(torch.conv1d(x, self.a, padding=7))\n"
      "h = h + torch.relu(torch.conv1d(h, self.b, padding=2, dilation=2))\n"
      "h = h + torch.relu(torch.conv1d(h, self.c, padding=4, dilation=4))\n"
      "h = h + torch.relu(torch.conv1d(h, self.d, padding=8, dilation=8))\n"
      "return h.mean(2)\n",
      {{"a", {64, 4, 15}}, {"b", {64, 64, 3}}, {"c", {64, 64, 3}}, {"d", {64, 64, 3}}});
  add("convolutions in transformed tiles", 1024,
      "h = torch.relu(torch.conv1d(x, self.a, padding=7))\n"
      "h = h + torch.relu(torch.conv1d(h, self.b, padding=4, dilation=4))\n"
      "h = torch.relu(torch.conv1d(h, self.c, padding=5))\n"
      "return h.mean(2)\n",
      {{"a", {384, 4, 15}}, {"b", {384, 384, 3}}, {"c", {128, 384, 11}}});
  std::string tower = "h = torch.conv1d(x, self.a, padding=7)\n";
  for (int i = 0; i < 3; ++i) {
    tower += "g = h\n" + norm + sigmoid_gelu + "h = g + torch.conv1d(h, self.b)\n" + pool;
  }
  add("batch norm, a product with a sigmoid, attention pools", 4096, tower + "return h.mean(2)\n",
      {{"a", {64, 4, 15}}, {"b", {64, 64, 1}}, {"l", {64, 64, 1, 1}}, {"m", {64}}, {"s", {64}}});
  for (Sized& net : nets) {
    for (auto& entry : net.parameters) {
      entry.second = entry.first == "s" ? entry.second.abs().add(0.5) : entry.second;
    }
  }
  add("a transformer", 512,
      "h = torch.conv1d(x, self.a, padding=7).transpose(1, 2)\n" + attention + layer_norm +
          attention + layer_norm +
          "h = h + torch.linear(torch.relu(torch.linear(h, self.u, None)), self.d, None)\n" +
          "return h.mean(1)\n",
      {{"a", {32, 4, 15}},
       {"q", {32, 32}},
       {"k", {32, 32}},
       {"v", {32, 32}},
       {"u", {64, 32}},
       {"d", {32, 64}},
       {"m", {32}},
       {"s", {32}}});
  add("smooth functions and quotients", 4096,
      "h = torch.conv1d(x, self.a, padding=7)\n"
      "h = torch.exp(torch.tanh(h)) / (1.5 + torch.sigmoid(h))\n"
      "h = torch.log(1.0 + torch.softplus(torch.gelu(h)))\n"
      "h = torch.cat([h, torch.elu(h), torch.avg_pool1d(h, 3, 1, 1)], 1)\n"
      "return h.sum(2)\n",
      {{"a", {32, 4, 15}}});
  add("dense layers", 1024,
      "h = torch.relu(torch.conv1d(x, self.a, padding=7)).flatten(1)\n"
      "h = torch.relu(torch.linear(h, self.b, None))\n"
      "return torch.linear(h, self.c, None)\n",
      {{"a", {16, 4, 15}}, {"b", {64, 16 * 1024}}, {"c", {2, 64}}});
  add("group norm", 4096,
      "h = torch.group_norm(torch.conv1d(x, self.a, padding=7), 4, self.m, self.s)\n"
      "h = torch.group_norm(torch.conv1d(torch.relu(h), self.b, padding=1), 4, self.m, self.s)\n"
      "return torch.relu(h).mean(2)\n",
      {{"a", {32, 4, 15}}, {"b", {32, 32, 3}}, {"m", {32}}, {"s", {32}}});
  return nets;
}

// The most that is in use at once, of a call that is not the first.
double most_of(const std::function<void()>& call) {
  call();
  const CountedMemory memory;
  call();
  return static_cast<double>(memory.most());
}

struct Watched {
  std::string method;
  BatchRows rows;
  std::function<void()> call;
};

}  // namespace

TEST_CASE("what is expected of memory is taken at the most", "[recompute][footprint]") {
  class Budget {
   public:
    explicit Budget(double bytes) { set_memory_budget(static_cast<int64_t>(bytes)); }
    ~Budget() { set_memory_budget({}); }
  };
  for (const Sized& net : sized_nets()) {
    const auto graph = graph_of(forward(net.body, net.parameters));
    const Given pair = given(1, 1, net.length);
    const Given four = given(2, 2, net.length);
    // Of a call of its own: weights are prepared anew.
    const auto fresh = [] { return Constants(at::kFloat, at::kFloat, at::Device(at::kCPU)); };
    const auto lifted = [&](const Given& pairs) {
      DeepLiftShapOptions options;
      options.targets = {0};
      Constants constants = fresh();
      deep_lift_shap(*graph, constants, sequences_of(pairs.X), references_of(pairs.references),
                     options);
    };
    const std::vector<Watched> all{
        {"a pair on halves", {1, 1}, [&]() { lifted(pair); }},
        {"two sequences by two references", {2, 4}, [&]() { lifted(four); }},
        {"gradients", {0, 1}, [&]() {
           GradientOptions options;
           options.targets = {0};
           Constants constants = fresh();
           gradients(*graph, constants, sequences_of(pair.X), options);
         }}};
    Value X;
    X.x = pair.X.to(at::kFloat);
    Constants constants = fresh();
    const Footprint footprint = footprint_of(*graph, constants, {X});
    for (const Watched& one : all) {
      const CutPlan whole = plan_cuts(footprint, {}, one.rows, 1e18);
      const CutPlan least = plan_cuts(footprint, cut_places(*graph), one.rows, 0);
      // Several pairs remember the sequences' half.
      const double memo = one.rows.plain > 1 ? memo_bytes(footprint, one.rows) : 0;
      const double expected = whole.bytes + memo;
      const double taken = most_of(one.call);
      const Budget budget(1.001 * least.bytes);
      const double in_parts = most_of(one.call);
      INFO(net.what << ", " << one.method << ": " << taken << " bytes, expected " << expected
                    << "; in " << least.cuts.size() + 1 << " parts " << in_parts << ", expected "
                    << least.bytes);
      constexpr double small = 1 << 16;
      CHECK(taken < expected + small);
      CHECK(taken > 0.35 * expected);
      CHECK(in_parts < least.bytes + small);
      CHECK(in_parts > 0.35 * least.bytes);
    }
  }
}
