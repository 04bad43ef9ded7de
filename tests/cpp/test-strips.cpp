// The first part of a graph in strips of positions: what they give together must be what the whole
// gives, wherever they begin; where a piece of X goes another way than the whole, the whole is
// evaluated.

#include <torch/csrc/autograd/autograd.h>

#include <random>

#include "catch.h"
#include "core/base/memory.h"
#include "core/evaluate/recompute.h"
#include "core/numeric/tensor_functions.h"
#include "counted_memory.h"
#include "inputs.h"

using namespace nets;
using namespace seqlift;

namespace {

Tensors parameters() {
  const auto weights = [](const std::vector<int64_t>& sizes, int64_t seed) {
    return numbers(sizes, seed, -0.4, 0.4);
  };
  return {{"a", weights({6, 4, 5}, 1)},     {"b", weights({6, 6, 3}, 2)},
          {"c", weights({6, 12, 1}, 3)},    {"d", weights({12, 6, 1}, 4)},
          {"l", weights({6, 6, 1, 1}, 5)},  {"u", weights({6, 6}, 6)},
          {"i", weights({6, 6, 1, 3}, 7)},  {"s", numbers({6}, 8, 0.5, 1.5)},
          {"j", weights({6, 6, 3, 1}, 12)}, {"m", weights({6}, 9)},
          {"head", weights({2, 6}, 10)},    {"place", weights({1, 6, 96}, 11)}};
}

const std::string begins = "h = torch.conv1d(x, self.a, padding=2)\n";
const std::string ends = "return torch.linear(torch.tanh(h).mean(2), self.head, None)\n";

// Lines that make h [n, 6, l] from such an h; by how much it is shorter, and whether l must be
// even.
struct Lines {
  std::string text;
  int64_t shorter = 0;
  int64_t divided = 1;
};

std::vector<Lines> followed_lines() {
  return {{"h = torch.relu(torch.conv1d(h, self.b, padding=1))\n"},
          {"h = h + torch.gelu(torch.conv1d(h, self.b, padding=2, dilation=2))\n"},
          {"h = torch.conv1d(torch.sigmoid(h) * h, self.b)\n", 2},
          {"h = torch.tanh(torch.conv1d(h, self.b, None, 2, 1))\n", 0, 2},
          {"h = torch.elu(torch.conv1d(h, self.b, None, [1], 'same', [3]))\n"},
          {"h = h[:, :, 1:-1] + torch.relu(torch.conv1d(h, self.b))\n", 2},
          {"h = h[:, :, 2:h.size(2) - 2] * torch.conv1d(h, self.b, dilation=2)\n", 4},
          {"h = torch.conv2d(torch.relu(h).unsqueeze(2), self.i, padding=[0, 1]).squeeze(2)\n"},
          {"h = torch.conv2d(h.unsqueeze(3), self.j, padding=[1, 0]).squeeze(3)\n"},
          {"t = torch.layer_norm(h.transpose(1, 2), [6], self.s, self.m)\n"
           "h = h + torch.linear(torch.silu(t), self.u, None).permute([0, 2, 1])\n"},
          {"h = torch.matmul(torch.softplus(h).transpose(1, 2), self.u).transpose(1, 2)\n"},
          {"h = torch.matmul(self.u, h)\n"},
          {"h = torch.batch_norm(h, self.s, self.m, self.m, self.s, False, 0.1, 1e-5, False)\n"},
          {"p = h.reshape([h.size(0), h.size(1), h.size(2) // 2, 2])\n"
           "h = torch.sum(p * torch.softmax(torch.conv2d(p, self.l), -1), [-1])\n",
           0, 2},
          {"p = h[:, :, :h.size(2) // 2 * 2].view([-1, 6, h.size(2) // 2, 2])\n"
           "h = torch.logsumexp(p, [3])\n",
           0, 2},
          {"p = h.reshape([h.size(0), 6, h.size(2) // 2, 2])\n"
           "h = h + torch.tanh(p).reshape([h.size(0), 6, -1])\n",
           0, 1},
          {"h = torch.max_pool1d(h, 2)\n", 0, 2},
          {"h = torch.max_pool1d(h, 3, 1, 1)\n"},
          {"h = torch.max_pool2d(h.unsqueeze(2), [1, 2]).squeeze(2)\n", 0, 2},
          {"h = torch.avg_pool1d(h, 3, 1, 1)\n"},
          {"h = torch.conv1d(torch.cat([h, torch.tanh(h)], 1), self.c)\n"},
          {"h = torch.glu(torch.conv1d(h, self.d), 1)\n"},
          {"h = torch.softmax(h, 1) * h\n"},
          {"h = torch.stack([h, torch.relu(h)], 1).mean(1)\n"},
          {"h = torch.stack([h, torch.relu(h)], -1).amax(3)\n"},
          {"h = torch.conv1d(torch.constant_pad_nd(h, [2, 0]), self.b)\n"},
          {"h = torch.constant_pad_nd(torch.relu(h), [-1, -1])\n", 2},
          {"h = h / (1.5 + torch.sigmoid(h)) - self.m.unsqueeze(1) * 0.5\n"},
          {"h = torch.clamp(h, -1.0, 1.0).abs().pow(2)\n"},
          {"if h.size(1) > 3:\n    h = torch.relu(h)\n"},
          {"for i in range(2):\n    h = torch.relu(torch.conv1d(h, self.b, padding=1))\n"},
          {"h = h.narrow(2, 1, h.size(2) - 2)\n", 2},
          {"h = torch.relu_(torch.conv1d(h, self.b, padding=1))\n"},
          {"h = torch.conv1d(h, self.b, padding=1)\nh.relu_()\n"}};
}

struct Evaluated {
  at::Tensor prediction;
  at::Tensor multipliers;
  int64_t first = 0;  // how often the first convolution was evaluated
};

Evaluated evaluated(const ModelPointer& net, const Given& pairs, bool halves, at::ScalarType dtype,
                    const std::shared_ptr<const Strips>& strips) {
  const auto graph = graph_of(net);
  Constants constants(at::kDouble, dtype, at::Device(at::kCPU));
  const at::AutoGradMode enabled(true);
  const at::Tensor X = pairs.X.to(dtype);
  const at::Tensor leaf =
      (halves ? pairs.references.select(1, 0) : pairs.X).to(dtype).clone().requires_grad_();
  Value input;
  input.x = halves ? X.clone() : fresh_copy(leaf);
  input.depends = true;
  EvaluateOptions options;
  options.mode = EvaluateOptions::Gradients();
  if (halves) {
    input.set_ref(fresh_copy(leaf));
    options.mode = EvaluateOptions::Pairs{{X.size(0), 1, nullptr}};
  }
  if (strips) {
    options.cuts = {strips->end};
    options.strips = strips;
  }
  Evaluated result;
  const auto first = std::make_shared<std::pair<const void*, int64_t>>(nullptr, 0);
  options.before = [first](const torch::jit::Node* node, const std::vector<Value>&) {
    if (std::string(node->kind().toUnqualString()) == "conv1d") {
      first->first = first->first ? first->first : node;
      first->second += first->first == node ? 1 : 0;
    }
  };
  const std::vector<Value> outputs = evaluate(*graph, constants, {input}, options);
  const at::Tensor y = outputs[0].half(halves).toTensor();
  result.prediction = y.detach();
  result.multipliers = torch::autograd::grad({y.select(1, y.size(1) - 1).sum()}, {leaf})[0];
  result.first = first->second;
  return result;
}

// The part in strips of this width, or nothing.
std::shared_ptr<const Strips> strips_for(const ModelPointer& net, const Given& pairs, int64_t width,
                                         at::ScalarType dtype) {
  const auto graph = graph_of(net);
  Constants constants(at::kDouble, dtype, at::Device(at::kCPU));
  Value X;
  X.x = pairs.X.to(dtype);
  const Footprint footprint = footprint_of(*graph, constants, {X});
  const CutPlan plan =
      plan_strips(*graph, footprint, cut_places(*graph), {X.x.toTensor().size(0), 1, true}, 1e18);
  if (!plan.strips) {
    return nullptr;
  }
  auto strips = std::make_shared<Strips>(*plan.strips);
  int64_t unit = 1;
  for (const auto& entry : strips->positions) {
    unit = std::max(unit, entry.second.step);
  }
  // Wide enough for a piece by itself to have values.
  width = std::max(width, 2 * (strips->before + strips->behind));
  strips->width = (width + unit - 1) / unit * unit;
  return strips;
}

bool followed_up_to_the_last_relu(const ModelPointer& net, const Given& pairs) {
  const auto graph = graph_of(net);
  Constants constants(at::kDouble, at::kDouble, at::Device(at::kCPU));
  Value X;
  X.x = pairs.X.to(at::kDouble);
  const Footprint footprint = footprint_of(*graph, constants, {X});
  bool so_far = true;
  bool at_relu = false;
  for (const Footprint::Node& node : footprint.nodes) {
    so_far = so_far && node.steps.followed;
    at_relu = node.steps.text.rfind("relu ", 0) == 0 ? so_far : at_relu;
  }
  return at_relu;
}

// Returns how many strips there were.
size_t check_same(const ModelPointer& net, const Given& pairs, int64_t width, bool halves,
                  at::ScalarType dtype) {
  const auto strips = strips_for(net, pairs, width, dtype);
  REQUIRE(strips);
  const Evaluated whole = evaluated(net, pairs, halves, dtype, nullptr);
  const Evaluated parts = evaluated(net, pairs, halves, dtype, strips);
  const size_t count = strips_of(*strips).size();
  INFO("width " << strips->width << ", looks at " << strips->before << " and " << strips->behind);
  CHECK(parts.first == static_cast<int64_t>(2 * count));
  const double near = dtype == at::kDouble ? 1e-12 : 2e-5;
  CHECK(distance(parts.prediction, whole.prediction) < near);
  CHECK(distance(parts.multipliers, whole.multipliers) < near);
  CHECK(whole.multipliers.abs().max().item<double>() > 1e-6);
  return count;
}

}  // namespace

TEST_CASE("each operation that positions are followed through gives in strips what it gives whole",
          "[strips]") {
  const Given pairs = given(2, 1, 96);
  for (const Lines& lines : followed_lines()) {
    const ModelPointer net =
        forward(begins + lines.text + "h = torch.relu(h) * 2.0\n" + ends, parameters());
    INFO(lines.text);
    CHECK(followed_up_to_the_last_relu(net, pairs));
    for (const bool halves : {true, false}) {
      CHECK(check_same(net, pairs, 16, halves, at::kDouble) > 4);
      CHECK(check_same(net, pairs, 40, halves, at::kDouble) == 2);
    }
  }
}

TEST_CASE("random nets of such operations give in strips what they give whole", "[strips]") {
  const std::vector<Lines> all = followed_lines();
  size_t strips = 0;
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const int64_t whole = 96 + 8 * static_cast<int64_t>(random() % 5);
    int64_t length = whole;
    std::string body = begins;
    for (int i = 0; i < 3 + static_cast<int>(random() % 6); ++i) {
      const Lines& lines = all[random() % all.size()];
      if ((length - lines.shorter) >= 8 && length % 2 == 0 &&
          (lines.divided == 1 || length / lines.divided % 2 == 0)) {
        body += lines.text;
        length = (length - lines.shorter) / lines.divided;
      }
    }
    const ModelPointer net = forward(body + "h = torch.relu(h) * 2.0\n" + ends, parameters());
    INFO("seed " << seed << ", " << whole << " positions\n" << body);
    const int64_t width = 8 + static_cast<int64_t>(random() % 60);
    strips += check_same(net, given(2, 1, whole, seed), width, seed % 3 != 0,
                         seed % 4 == 0 ? at::kFloat : at::kDouble);
  }
  CHECK(strips > 900);
}

TEST_CASE("every operation with a rule gives in strips, or not in strips, what it gives whole",
          "[strips]") {
  const Given pairs = given(2, 1, 9);
  int in_strips = 0;
  for (const Case& one : all_cases()) {
    INFO(one.op << "\n" << one.lines);
    const ModelPointer net = around(one.lines, one.parameters);
    const auto planned = strips_for(net, pairs, 4, at::kDouble);
    if (!planned) {
      continue;
    }
    auto strips = std::make_shared<Strips>(*planned);
    strips->width = 3 * ((2 + strips->before) / 3 + 1);
    const Evaluated whole = evaluated(net, pairs, true, at::kDouble, nullptr);
    const Evaluated parts = evaluated(net, pairs, true, at::kDouble, strips);
    CHECK(distance(parts.prediction, whole.prediction) < 1e-12);
    CHECK(distance(parts.multipliers, whole.multipliers) < 1e-12);
    in_strips += parts.first == 2 * static_cast<int64_t>(strips_of(*strips).size()) ? 1 : 0;
  }
  CHECK(in_strips > 40);
}

TEST_CASE("what goes another way for a piece is evaluated as a whole", "[strips]") {
  const Given pairs = given(2, 1, 96);
  // All of it can be followed, or seems to be; a piece gives itself away.
  for (const std::string lines :
       {"h = h * h.size(2)\n", "h = h[:, :, :40]\n", "h = torch.relu(h)[:, :, 8:-8][:, :, :64]\n",
        "if h.size(2) > 60:\n    h = torch.relu(h)\nelse:\n    h = torch.tanh(h)\n",
        "for i in range(h.size(2) // 30):\n    h = torch.relu(h + 0.1)\n",
        "h = h * torch.ones([1], dtype=h.dtype) / h.size(2)\n"}) {
    const ModelPointer net =
        forward(begins + lines + "h = torch.relu(h) * 2.0\n" + ends, parameters());
    INFO(lines);
    const auto planned = strips_for(net, pairs, 32, at::kDouble);
    REQUIRE(planned);
    const auto strips = std::make_shared<Strips>(*planned);
    strips->width = 32;
    const Evaluated whole = evaluated(net, pairs, true, at::kDouble, nullptr);
    const Evaluated parts = evaluated(net, pairs, true, at::kDouble, strips);
    CHECK(parts.first == 3);  // the first piece; then as a part, and once more
    CHECK(distance(parts.prediction, whole.prediction) == 0);
    CHECK(distance(parts.multipliers, whole.multipliers) == 0);
  }
}

TEST_CASE("positions are not followed through what mixes or counts them", "[strips]") {
  const Given pairs = given(2, 1, 96);
  for (const std::string lines :
       {"h = h + self.place\n", "h = h + self.place[:, :, :h.size(2)]\n", "h = h.flip([2])\n",
        "h = torch.cumsum(h, 2)\n", "h = h - h.mean(2, True)\n", "h = torch.softmax(h, 2)\n",
        "h = h + torch.arange(h.size(2), dtype=h.dtype)\n", "h = torch.roll(h, [1], [2])\n",
        "h = torch.cat([h, h], 2)[:, :, :96]\n", "h = h[:, :, 0:96:2]\n",
        "h = torch.matmul(h, torch.matmul(h.transpose(1, 2), h)) * 0.01\n",
        "h = h.reshape([h.size(0), 12, 48])\nh = torch.conv1d(h, self.c)\n",
        "h = h.transpose(1, 2).reshape([h.size(0), 6, 96])\n",
        "h = torch.layer_norm(h, [96], None, None)\n",
        "h = torch.batch_norm(h, None, None, None, None, True, 0.1, 1e-5, False)\n",
        "h = torch.narrow(h, 2, torch.tensor(4), 60)\n",
        "h = h.reshape([h.size(0), h.size(1), 2, 48]).sum(2)\n",
        "h = torch.linear(h, torch.zeros([96, 96], dtype=h.dtype) + 0.1, None)\n"}) {
    const ModelPointer net = forward(begins + lines + "h = torch.relu(h)\n" + ends, parameters());
    INFO(lines);
    CHECK(!followed_up_to_the_last_relu(net, pairs));
  }
}

TEST_CASE("where cuts are not enough, strips take less memory and give the same numbers",
          "[strips]") {
  const auto weights = [](const std::vector<int64_t>& sizes, int64_t seed) {
    return numbers(sizes, seed, -0.2, 0.2);
  };
  const ModelPointer net = forward(
      "h = torch.conv1d(x, self.a, padding=7)\n"
      "h = torch.max_pool1d(h + torch.conv1d(torch.gelu(h), self.b), 2)\n"
      "h = torch.max_pool1d(torch.relu(torch.conv1d(h, self.c, padding=2)), 4)\n"
      "h = torch.max_pool1d(torch.relu(torch.conv1d(h, self.c, padding=2)), 4)\n"
      "return torch.linear(h.mean(2), self.d, None)\n",
      {{"a", weights({96, 4, 15}, 1)},
       {"b", weights({96, 96, 1}, 2)},
       {"c", weights({96, 96, 5}, 3)},
       {"d", weights({2, 96}, 4)}});
  const Given pairs = given(1, 1, 16384);
  Settings settings;
  settings.dtype = at::kFloat;
  const auto graph = graph_of(net);
  Constants constants(at::kDouble, at::kFloat, at::Device(at::kCPU));
  Value X;
  X.x = pairs.X.to(at::kFloat);
  const Footprint footprint = footprint_of(*graph, constants, {X});
  // explain() has two references of a sequence in a batch.
  const BatchRows rows{1, 2, true};
  const double by_cuts = plan_cuts(footprint, cut_places(*graph), rows, 0).bytes;
  const double budget = 0.5 * by_cuts;
  const CutPlan plan = plan_strips(*graph, footprint, cut_places(*graph), rows, budget);
  REQUIRE(plan.strips);
  CHECK(plan.bytes < budget);
  CHECK(strips_of(*plan.strips).size() > 1);
  explain(net, pairs, settings);
  const Explained whole = explain(net, pairs, settings);
  set_memory_budget(static_cast<int64_t>(budget));
  double most = 0;
  Explained parts;
  try {
    const CountedMemory memory;
    parts = explain(net, pairs, settings);
    most = static_cast<double>(memory.most());
  } catch (...) {
    set_memory_budget({});
    throw;
  }
  set_memory_budget({});
  INFO(most << " bytes, expected " << plan.bytes << ", by cuts " << by_cuts);
  CHECK(most < 1.2 * plan.bytes);
  CHECK(distance(parts.values, whole.values) <
        1e-5 * whole.values.abs().max().item<double>() + 1e-7);
  CHECK(distance(parts.deltas, whole.deltas) < 1e-5);
}
