// How a graph is evaluated on two halves: containers, control flow, writes, the batch dimension.

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

// Completeness, the interpreter's predictions, and one batch or another alike.
void check_body(const std::string& lines, const Tensors& parameters = {}) {
  const Given pairs = given(3, 4, 9);
  const double change = check_case({"net", lines, parameters}, pairs);
  INFO(lines);
  CHECK(change > 1e-4);
}

Part with_parts(const std::string& source, const std::vector<std::pair<std::string, Part>>& parts) {
  Part whole;
  whole.source = source;
  whole.parts = parts;
  whole.parameters = {{"dtype_", numbers({1}, 0)}};
  return whole;
}

Part convolution(int64_t in, int64_t out, int64_t seed) {
  Part part;
  part.class_name = "torch.nn.modules.conv.Conv1d";
  part.parameters = {{"weight", numbers({out, in, 3}, seed)}, {"bias", numbers({out}, seed + 1)}};
  part.source =
      "def forward(self, x: Tensor):\n"
      "    return torch.conv1d(x, self.weight, self.bias, padding=1)\n";
  return part;
}

Part relu() {
  Part part;
  part.class_name = "torch.nn.modules.activation.ReLU";
  part.source = "def forward(self, x: Tensor):\n    return torch.relu(x)\n";
  return part;
}

}  // namespace

TEST_CASE("control flow is evaluated with the values at hand", "[evaluate]") {
  check_body("y = h\nif h.size(2) > 5:\n    y = torch.relu(h)\nelse:\n    y = h * 0.0");
  check_body("y = h\nfor i in range(3):\n    y = torch.tanh(y) + h * float(i)");
  check_body("y = h\ni = 0\nwhile i < 3:\n    y = torch.relu(y) - h * 0.3\n    i += 1");
  check_body("y = h\nfor i in range(10):\n    y = y.exp() * 0.5\n    if i == 2:\n        break");
  check_body("y = h\nif bool(torch.ones([1]).sum() > 0.5):\n    y = torch.sigmoid(h)");
  check_body("y = h\nif h.dim() == 3 and not self.training:\n    y = h.exp()");
}

TEST_CASE("lists, tuples and dictionaries keep the halves apart", "[evaluate]") {
  check_body(
      "p: List[Tensor] = []\nfor i in range(3):\n    p.append(torch.relu(h * float(i + 1)))\n"
      "y = torch.cat(p, 1)");
  check_body("p = [torch.relu(h), h.exp()]\np[0] = p[0] * p[1]\ny = torch.stack(p, 1)");
  check_body("p = (h.exp(), torch.relu(h), h)\na, b, c = p\ny = a * b + c");
  check_body("p = (h.exp(), (torch.relu(h), h))\ny = p[0] * p[1][0] + p[1][1]");
  check_body("p = (h.exp(), torch.relu(h), h)\nq = p[1:]\ny = q[0] * q[1]");
  check_body("d = {'a': h.exp()}\nd['b'] = torch.relu(h)\ny = d['a'] * d['b']");
  check_body("p = [a.exp() for a in [h, torch.relu(h)]]\ny = p[0] * p[1]");
  check_body("a = [h]\nb = a + [h.exp()]\ny = b[0] * b[1]");
  check_body(
      "p = [h, h.exp(), torch.relu(h)]\ny = torch.zeros_like(h)\n"
      "for i, v in enumerate(p):\n    y = y * 0.5 + v * float(i)");
  check_body(
      "p = [h, h.exp()]\nq = [h, torch.relu(h)]\ny = torch.zeros_like(h)\n"
      "for a, b in zip(p, q):\n    y = y + a * b");
  check_body("p = [h, h.exp(), torch.relu(h)]\nq = p[::-1]\ny = q[0] * q[1] + q[2]");
}

TEST_CASE("a list filled piece by piece is known to depend on X", "[evaluate]") {
  check_body(
      "p: List[Tensor] = []\np.append(h)\np.append(h.exp())\n"
      "y = torch.einsum('ncl,ncl->nl', p)");
}

TEST_CASE("writes into fresh tensors whose size is the batch are followed", "[evaluate]") {
  const std::string f64 = "dtype=torch.float64";
  check_body("y = torch.zeros([h.size(0), 9], " + f64 + ")\ny[:, 2:6] = torch.relu(h[:, 0, 2:6])");
  check_body("y = torch.zeros([h.size(0), 4, 9], " + f64 + ")\ny += h * h");
  check_body("y = h.new_zeros([h.size(0), 9])\ny[:, 0] = h.sum([1, 2]) ** 2");
  check_body("y = torch.ones_like(h)\ny[:, :, 1:3] *= h[:, :, 4:6]");
  check_body("y = torch.zeros([h.size(0), 4, 9], " + f64 +
             ")\n"
             "for i in range(9):\n    y[:, :, i] = torch.tanh(h[:, :, 8 - i])");
  // The same where the strands are stacked along the batch.
  check_body(
      "b = torch.cat([h, h.flip([1, 2])], 0)\n"
      "t = torch.zeros([b.size(0), 9], " +
      f64 +
      ")\nt[:, 2:6] = torch.relu(b[:, 0, 2:6])\n"
      "y = torch.cat(t.chunk(2, 0), 1)");
}

TEST_CASE("a buffer that the model writes to starts from its stored value in every call",
          "[evaluate]") {
  Part whole;
  whole.parameters = {{"w", numbers({4, 4, 3}, 1)}};
  whole.buffers = {{"count", at::zeros({1}, at::kDouble)}, {"memory", numbers({1, 4, 1}, 5)}};
  whole.source =
      "def forward(self, x: Tensor):\n"
      "    self.count.add_(1.0)\n"
      "    h = torch.conv1d(x, self.w) * self.count\n"
      "    self.memory = self.memory * 2.0\n"
      "    return (torch.relu(h) + h * self.memory).sum([1, 2]).unsqueeze(1)\n";
  const auto net = model(whole);
  const Given pairs = given(3, 4, 9);
  const Explained first = explain(net, pairs);
  const Explained second = explain(net, pairs);
  CHECK(worst_delta(first) < 1e-10);
  CHECK(at::equal(first.values, second.values));
  CHECK(distance(first.predictions, interpreted(net, pairs.X)[0]) < 1e-12);
}

TEST_CASE("a model that squeezes away its last dimensions is explained, one pair too",
          "[evaluate]") {
  const auto net = forward(
      "h = torch.relu(torch.conv1d(x, self.w))\nreturn h.sum(2).mean(1, keepdim=True).squeeze()",
      {{"w", numbers({3, 4, 3}, 1)}});
  for (const int64_t n : {1, 3}) {
    for (const int64_t r : {1, 4}) {
      INFO(n << " sequences, " << r << " references");
      const Given pairs = given(n, r, 9);
      const Explained result = explain(net, pairs);
      CHECK(worst_delta(result) < 1e-10);
      CHECK(largest_change(result) > 1e-4);
    }
  }
}

TEST_CASE("a model that moves the batch dimension away and back is explained", "[evaluate]") {
  for (const char* lines : {"y = torch.relu(h.transpose(0, 1)).transpose(0, 1)",
                            "t = h.permute(2, 0, 1)\nt = t.exp() * t\ny = t.permute(1, 2, 0)",
                            "t = torch.softmax(h.transpose(0, 2), 1)\ny = t.transpose(0, 2)",
                            "t = h.unsqueeze(0).expand(2, -1, -1, -1).reshape(-1, 4, 9)\n"
                            "y = torch.relu(t).view(2, -1, 4, 9).sum(0)"}) {
    check_body(lines);
  }
}

TEST_CASE("a model that goes through its batch one by one is explained", "[evaluate]") {
  check_body(
      "p: List[Tensor] = []\nfor i in range(h.size(0)):\n    p.append(torch.relu(h[i]))\n"
      "y = torch.stack(p)");
  check_body(
      "p: List[Tensor] = []\nfor v in torch.unbind(h, 0):\n    p.append(torch.tanh(v))\n"
      "y = torch.stack(p, 0)");
}

// 5 x 2 rows do not divide the 4 x 9 numbers of one: nothing may be counted by the batch's rows.
TEST_CASE("a value without the batch dimension is computed in full", "[evaluate]") {
  for (const int64_t r : {1, 2}) {
    const Given pairs = given(5, r, 9);
    for (const char* op :
         {"torch.relu(h[i])", "torch.tanh(h[i])", "torch.max_pool1d(h[i], [3], [1])",
          "torch.softmax(h[i], 0)", "h[i] * h[i].flip([1])"}) {
      const std::string lines = "p: List[Tensor] = []\nfor i in range(h.size(0)):\n    p.append(" +
                                std::string(op) + ")\ny = torch.stack(p)";
      check_case({"loop", lines, {}}, pairs);
    }
  }
}

TEST_CASE("strands that are stacked along the batch are explained", "[evaluate]") {
  for (const char* lines :
       {"b = torch.cat([h, h.flip([1, 2])], 0)\nb = torch.relu(b)\nf, r = torch.chunk(b, 2, 0)\n"
        "y = torch.maximum(f, r.flip([2]))",
        "b = torch.vstack([h, h.flip([1, 2])])\nb = b.exp()\nn = h.size(0)\ny = b[0:n] * b[n:]",
        "b = torch.stack([h, h.flip([1, 2])])\nb = torch.sigmoid(b)\ny = b[0] * b[1]",
        "b = h.repeat(2, 1, 1)\nb = torch.relu(b)\nn = h.size(0)\ny = b[0:n] + b[n:].exp()",
        "b = torch.tile(h, [2, 1, 1])\nb = b.exp()\nf, r = b.split(h.size(0))\ny = f * r",
        "b = torch.cat([h, h.flip([1, 2])])\nb = torch.relu(b)\n"
        "y = b.view(2, h.size(0), 4, 9).amax([0])"}) {
    check_body(lines);
  }
}

// Indices and permutations of a batch that stays where it is are ordinary in models of sequences:
// they must not cost the shared half of the sequences.
TEST_CASE("slices, permutations and reshapes that leave the batch alone keep the halves",
          "[evaluate]") {
  const Given pairs = given(3, 4, 9);
  for (const char* lines :
       {"y = h[:, 1:3, ::2]", "y = h[:, 0]", "y = h[:, :, 2:-2]", "y = h[..., 3]",
        "y = h.permute(0, 2, 1)", "y = h.transpose(1, 2)", "y = h.flip([2])",
        "y = torch.cat([h, h], 1)", "y = torch.stack([h, h], -1)", "y = h.reshape(-1, 36)",
        "y = h.flatten(0, 1).cumsum(1).view(-1, 4, 9)", "y = h.unsqueeze(1)",
        "y = h.sum([1, 2], True)", "y = h.unbind(1)[0]",
        "y = torch.zeros_like(h)\ny[:, 0] = h[:, 1]", "y = torch.softmax(h, 2)", "y = h.mean(2)"}) {
    INFO(lines);
    CHECK(keeps_halves(around(lines), pairs));
  }
}

TEST_CASE("a float32 model computed in float64 loses no digits on the way", "[evaluate]") {
  const Given pairs = given(3, 4, 9);
  for (const char* lines :
       {"y = torch.relu(h)", "y = h.float().exp()", "y = h.to(torch.float32) ** 2",
        "y = torch.softmax(h, 1, torch.float32)", "y = torch.log_softmax(h, 1, torch.float32)",
        "y = h.sum(2, dtype=torch.float32)", "y = h * torch.arange(9, dtype=torch.float32)",
        "y = torch.zeros([h.size(0), 4, 9], dtype=torch.float32)\ny += h.sigmoid()",
        "y = torch.cumsum(h, 2, dtype=torch.float32)", "y = h.type_as(self.w)",
        "y = torch.zeros([h.size(0), 9])\ny[:, 2:4] = torch.exp(h[:, 0, 2:4])"}) {
    INFO(lines);
    const auto net = forward(
        "h = torch.conv1d(x, self.w, padding=1)\n" + std::string(lines) +
            "\nreturn y.flatten(1).cumsum(1).mean(1, keepdim=True)",
        {{"dtype_", numbers({1}, 0).to(at::kFloat)}, {"w", numbers({4, 4, 3}, 1).to(at::kFloat)}});
    Explained result;
    CHECK(error_of([&]() { result = explain(net, pairs); }) == "");
    if (result.deltas.defined()) {
      CHECK(worst_delta(result) < 1e-12);
    }
  }
}

TEST_CASE("twin trunks and modules used twice are explained", "[evaluate]") {
  const std::string tail = "    return y.flatten(1).cumsum(1).mean(1, keepdim=True)\n";
  const auto twins = model(with_parts(
      "def forward(self, x: Tensor):\n"
      "    a = self.act.forward(self.conv.forward(x))\n"
      "    b = self.act.forward(self.conv.forward(x.flip([1, 2]))).flip([2])\n"
      "    y = torch.maximum(a, b) * a + self.act.forward(self.other.forward(a * b))\n" +
          tail,
      {{"conv", convolution(4, 5, 1)}, {"other", convolution(5, 5, 2)}, {"act", relu()}}));
  const Given pairs = given(3, 4, 9);
  const Explained result = explain(twins, pairs);
  CHECK(worst_delta(result) < 1e-10);
  CHECK(largest_change(result) > 1e-2);
  CHECK(distance(result.predictions, interpreted(twins, pairs.X)[0]) < 1e-12);
}

TEST_CASE("further inputs of the model belong to the sequences, not to the references",
          "[evaluate]") {
  Part whole;
  whole.parameters = {{"w", numbers({3, 5, 3}, 1)}};
  whole.source =
      "def forward(self, x: Tensor, control: Tensor, scale: float = 2.0):\n"
      "    h = torch.relu(torch.conv1d(torch.cat([x, control], 1), self.w))\n"
      "    return (h * scale).sum([1, 2]).unsqueeze(1) * torch.sigmoid(control.mean([1, 2])"
      ".unsqueeze(1))\n";
  const auto net = model(whole);
  for (const int64_t n : {1, 3}) {
    for (const int64_t r : {1, 4}) {
      Given pairs = given(n, r, 9);
      pairs.args = {numbers({n, 1, 9}, 4)};
      const Explained whole = explain(net, pairs);
      for (const int64_t batch_size : {1, 3, 100}) {
        INFO(n << " sequences, " << r << " references, batch size " << batch_size);
        Settings settings;
        settings.batch_size = batch_size;
        for (const bool modules : {false, true}) {
          settings.module_mode = modules;
          const Explained result = explain(net, pairs, settings);
          CHECK(distance(result.predictions, interpreted(net, pairs.X, pairs.args)[0]) < 1e-12);
          CHECK((modules || worst_delta(result) < 1e-10));
          CHECK((modules || distance(result.values, whole.values) < 1e-12));
        }
      }
    }
  }
}

TEST_CASE("a missing further input is an error of its own", "[evaluate]") {
  Part whole;
  whole.parameters = {{"w", numbers({1}, 1)}};
  whole.source =
      "def forward(self, x: Tensor, control: Tensor):\n    return x.sum(1) * control * self.w\n";
  const std::string error = error_of([&]() { predicted(model(whole), one_hot(2, 9, 1)); });
  CHECK(error == "args: The model's input `control` was not given.");
}

TEST_CASE("extra channels take part and get no multipliers", "[evaluate]") {
  const auto net =
      forward("h = torch.relu(torch.conv1d(x, self.w))\nreturn h.flatten(1).sum(1, keepdim=True)",
              {{"w", numbers({3, 6, 3}, 1)}});
  const at::Tensor extra = numbers({2, 2, 9}, 5);
  Given pairs = given(2, 3, 9);
  pairs.X = at::cat({pairs.X, extra}, 1);
  pairs.references =
      at::cat({pairs.references, extra.unsqueeze(1).expand({2, 3, 2, 9})}, 2).contiguous();
  const Explained result = explain(net, pairs);
  CHECK(result.values.sizes() == std::vector<int64_t>{2, 3, 4, 9, 1});
  CHECK(worst_delta(result) < 1e-10);
}

TEST_CASE("what the model cannot compute is an error that names the operation", "[evaluate]") {
  const auto net = forward("return torch.matmul(x, self.w)", {{"w", numbers({5, 2}, 1)}});
  const std::string error = error_of([&]() { predicted(net, one_hot(2, 9, 1)); });
  CHECK(error.find("evaluation: The operation aten::matmul of the model itself") == 0);
}

TEST_CASE("an output without X is refused", "[evaluate]") {
  const auto constant = forward("return self.w.expand(x.size(0), 1)", {{"w", numbers({1}, 1)}});
  CHECK(error_of([&]() { explain(constant, given(2, 2, 9)); }) ==
        "output: The model's output does not depend on the sequences.");
  const auto condition =
      forward("return torch.searchsorted(self.w, x.sum(2).contiguous()).sum(1, keepdim=True)",
              {{"w", numbers({1}, 1)}});
  CHECK(error_of([&]() { explain(condition, given(2, 2, 9)); }).find("unsupported_operation") == 0);
}

TEST_CASE("a model that mixes the sequences of a batch is not passed over", "[evaluate]") {
  const Given pairs = given(3, 4, 9);
  for (const char* lines : {"y = h - h.mean(0, keepdim=True)", "y = h / h.abs().sum()",
                            "y = h * torch.softmax(h, 0)"}) {
    INFO(lines);
    const auto net = around(lines);
    double delta = 0;
    const std::string error = error_of([&]() { delta = worst_delta(explain(net, pairs)); });
    CHECK((!error.empty() || delta > 1e-3));
  }
}

TEST_CASE("sequences are mixed even where shapes do not tell", "[evaluate]") {
  struct Mixing {
    const char* lines;
    int64_t n, r;
  };
  // Twelve rows that are not in front; four rows, as many as channels; nine, as many as positions.
  for (const Mixing& one : std::vector<Mixing>{
           {"t = h.transpose(0, 1)\nt = t - t.mean(1, keepdim=True)\ny = t.transpose(0, 1)", 3, 4},
           {"y = h - h.mean(0, keepdim=True)", 1, 4},
           {"y = h * torch.softmax(h, 0)", 3, 3},
           // One reference each: both halves have one shape.
           {"t = h.transpose(0, 1)\nt = t - t.mean(1, keepdim=True)\ny = t.transpose(0, 1)", 3, 1},
           {"t = h.transpose(0, 1)\ny = (t * t.sum(1, keepdim=True)).transpose(0, 1)", 4, 1},
           {"y = h - h.mean(0, keepdim=True)", 4, 1}}) {
    INFO(one.lines);
    const auto net = around(one.lines);
    const std::string error = error_of([&]() { explain(net, given(one.n, one.r, 9)); });
    INFO(error);
    CHECK(error.find("mixes the sequences of a batch") != std::string::npos);
  }
  // A batch dimension that is moved and left alone.
  const auto moved = around("t = h.transpose(0, 1)\ny = torch.relu(t - 0.1).transpose(0, 1)");
  for (const auto& size :
       std::vector<std::pair<int64_t, int64_t>>{{3, 4}, {1, 4}, {1, 1}, {1, 2}}) {
    const Given pairs = given(size.first, size.second, 9);
    CHECK(!keeps_halves(moved, given(3, 4, 9)));
    CHECK(worst_delta(explain(moved, pairs)) < 1e-10);
  }
}
