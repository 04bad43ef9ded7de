// Recurrent networks, unrolled over time.
#include <cmath>

#include "catch.h"
#include "nets.h"

namespace nets {

namespace {

struct Shape {
  std::string cell;  // lstm, gru, rnn_tanh, rnn_relu
  int layers = 1;
  bool bidirectional = false;
  bool batch_first = true;
  bool biases = true;
  int projection = 0;
  int hidden = 3;

  int directions() const { return bidirectional ? 2 : 1; }
  int gates() const { return cell == "lstm" ? 4 : cell == "gru" ? 3 : 1; }
  int output() const { return projection > 0 ? projection : hidden; }
};

// The layers' weights, and their names in the order of the operation.
Tensors weights_of(const Shape& shape, std::string* names) {
  Tensors weights;
  int64_t input = 4;
  for (int i = 0; i < shape.layers * shape.directions(); ++i) {
    if (i == shape.directions()) {
      input = shape.output() * shape.directions();
    }
    const int64_t rows = shape.gates() * shape.hidden;
    std::vector<std::pair<std::string, std::vector<int64_t>>> sizes{
        {"w_ih", {rows, input}}, {"w_hh", {rows, shape.output()}}};
    if (shape.biases) {
      sizes.push_back({"b_ih", {rows}});
      sizes.push_back({"b_hh", {rows}});
    }
    if (shape.projection > 0) {
      sizes.push_back({"w_hr", {shape.projection, shape.hidden}});
    }
    for (const auto& size : sizes) {
      const std::string name = size.first + std::to_string(i);
      weights.emplace_back(name, numbers(size.second, 11 + weights.size()));
      *names += (names->empty() ? "self." : ", self.") + name;
    }
  }
  return weights;
}

const char* truth(bool value) { return value ? "True" : "False"; }

// The operation on h, results in o, a (and b), from initial states that `states` defines as z (and
// c for lstm).
std::string call_of(const Shape& shape, const std::string& names, const std::string& states) {
  const std::string input = shape.batch_first ? "h.transpose(1, 2)" : "h.permute([2, 0, 1])";
  const std::string initial = shape.cell == "lstm" ? "[z, c]" : "z";
  return states + (shape.cell == "lstm" ? "o, a, b" : "o, a") + " = torch." + shape.cell + "(" +
         input + ", " + initial + ", [" + names + "], " + truth(shape.biases) + ", " +
         std::to_string(shape.layers) + ", 0.5, False, " + truth(shape.bidirectional) + ", " +
         truth(shape.batch_first) + ")\n";
}

// [layers x directions, n, size] of zeros.
std::string zeros(const Shape& shape) {
  const std::string rows = std::to_string(shape.layers * shape.directions());
  const auto of = [&](const std::string& name, int size) {
    return name + " = torch.zeros([" + rows + ", h.size(0), " + std::to_string(size) +
           "], dtype=torch.float64)\n";
  };
  return of("z", shape.output()) + of("c", shape.hidden);
}

Case one(const Shape& shape, const std::string& states, const std::string& result) {
  std::string names;
  Case made{shape.cell, "", weights_of(shape, &names)};
  made.lines = call_of(shape, names, states) + result;
  return made;
}

std::string rows_first(const Shape& shape) {
  return shape.batch_first ? "y = o" : "y = o.transpose(0, 1)";
}

// Everything that the operation returns, rows first.
std::string all_results(const Shape& shape) {
  const std::string sequence = shape.batch_first ? "o" : "o.transpose(0, 1)";
  const std::string last = shape.cell == "lstm" ? "[a, b]" : "[a]";
  return "l = [" + sequence + ".flatten(1)]\nfor s in " + last +
         ":\n    l.append(s.transpose(0, 1).flatten(1))\ny = torch.cat(l, 1)";
}

const std::vector<std::string> cells{"lstm", "gru", "rnn_tanh", "rnn_relu"};

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const std::string& cell : cells) {
    for (const bool bidirectional : {false, true}) {
      for (const bool batch_first : {false, true}) {
        for (const bool biases : {false, true}) {
          all.push_back({cell, 1, bidirectional, batch_first, biases});
          all.push_back({cell, 2, bidirectional, batch_first, biases});
          if (cell == "lstm") {
            all.push_back({cell, 2, bidirectional, batch_first, biases, 2});
          }
        }
      }
    }
  }
  return all;
}

// The weights of one cell by itself.
Tensors cell_weights(int64_t gates) {
  return {{"w", numbers({gates * 3, 4}, 31)},
          {"u", numbers({gates * 3, 3}, 32)},
          {"bw", numbers({gates * 3}, 33)},
          {"bu", numbers({gates * 3}, 34)}};
}

// The same recurrence in TorchScript, operation by operation: layer over layer, one direction.
const char* const written_out =
    "def step(self, x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, bw: Tensor, bu: "
    "Tensor):\n"
    "    a = torch.linear(x, w, bw)\n"
    "    b = torch.linear(h, u, bu)\n"
    "    if w.size(0) == 12:\n"
    "        i, f, g, o = (a + b).chunk(4, 1)\n"
    "        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)\n"
    "        h = torch.sigmoid(o) * torch.tanh(c)\n"
    "    elif w.size(0) == 9:\n"
    "        ar, az, an = a.chunk(3, 1)\n"
    "        br, bz, bn = b.chunk(3, 1)\n"
    "        n = torch.tanh(an + torch.sigmoid(ar + br) * bn)\n"
    "        z = torch.sigmoid(az + bz)\n"
    "        h = n + z * (h - n)\n"
    "    else:\n"
    "        h = torch.tanh(a + b) if self.bounded else torch.relu(a + b)\n"
    "    return h, c\n"
    "def run(self, x: Tensor, w: Tensor, u: Tensor, bw: Tensor, bu: Tensor, back: bool):\n"
    "    h = torch.zeros([x.size(0), 3], dtype=torch.float64)\n"
    "    c = torch.zeros([x.size(0), 3], dtype=torch.float64)\n"
    "    steps: List[Tensor] = []\n"
    "    for t in range(x.size(1)):\n"
    "        s = x.size(1) - 1 - t if back else t\n"
    "        h, c = self.step(x[:, s], h, c, w, u, bw, bu)\n"
    "        steps.append(h)\n"
    "    if back:\n"
    "        steps = steps[::-1]\n"
    "    return torch.stack(steps, 1)\n";

ModelPointer network(const Shape& shape, bool operation) {
  std::string names;
  Part part;
  part.parameters = weights_of(shape, &names);
  part.parameters.emplace_back("bound", at::Tensor(numbers({1}, 1)));
  std::string text = written_out;
  const std::string bounded = "self.bounded";
  text.replace(text.find(bounded), bounded.size(), truth(shape.cell == "rnn_tanh"));
  part.source = text + "def forward(self, h: Tensor):\n";
  std::string lines;
  if (operation) {
    lines = call_of(shape, names, zeros(shape));
  } else {
    lines = "o = h.transpose(1, 2)\n";
    for (int layer = 0; layer < shape.layers; ++layer) {
      std::string joined;
      for (int d = 0; d < shape.directions(); ++d) {
        const std::string k = std::to_string(layer * shape.directions() + d);
        joined += "self.run(o, self.w_ih" + k + ", self.w_hh" + k + ", self.b_ih" + k +
                  ", self.b_hh" + k + ", " + truth(d == 1) + "), ";
      }
      lines += "o = torch.cat([" + joined + "], 2)\n";
    }
  }
  lines +=
      "f = o.flatten(1)\nreturn (f * torch.linspace(-1, 1, f.size(1)).double())"
      ".sum(1, keepdim=True)";
  part.source += indented(lines);
  return model(part);
}

}  // namespace

std::vector<Case> recurrent_cases() {
  std::vector<Case> all;
  for (const Shape& shape : shapes()) {
    all.push_back(one(shape, zeros(shape), rows_first(shape)));
  }
  const std::string step = "x = h[:, :, 0]\nz = h[:, :3, 1]\nc = torch.exp(h[:, 1:, 2])\n";
  all.push_back({"lstm_cell",
                 step + "y, b = torch.lstm_cell(x, [z, c], self.w, self.u, self.bw, self.bu)\n"
                        "y = torch.cat([y, b], 1)",
                 cell_weights(4)});
  all.push_back({"lstm_cell",
                 step + "for t in range(9):\n"
                        "    z, c = torch.lstm_cell(h[:, :, t], [z, c], self.w, self.u)\ny = z",
                 cell_weights(4)});
  all.push_back({"gru_cell", step + "y = torch.gru_cell(x, z, self.w, self.u, self.bw, self.bu)",
                 cell_weights(3)});
  all.push_back(
      {"rnn_tanh_cell", step + "y = torch.rnn_tanh_cell(x, z, self.w, self.u)", cell_weights(1)});
  all.push_back({"rnn_relu_cell",
                 step + "y = torch.rnn_relu_cell(x, z, self.w, self.u, self.bw, self.bu)",
                 cell_weights(1)});
  return all;
}

}  // namespace nets

using namespace nets;

TEST_CASE("every recurrent operation keeps summation to delta and predicts as LibTorch",
          "[rules][recurrent]") {
  check_cases(recurrent_cases());
}

TEST_CASE("the last states of a recurrent network keep summation to delta", "[rules][recurrent]") {
  const Given pairs = given(3, 4, 9);
  for (const Shape& shape : shapes()) {
    check_case(one(shape, zeros(shape), all_results(shape)), pairs);
  }
}

TEST_CASE("initial states may be constant or depend on X", "[rules][recurrent]") {
  const Given pairs = given(3, 4, 9);
  const std::string same =
      "z = torch.full([1, 1, 3], 0.7, dtype=torch.float64).expand([2, h.size(0), 3])\nc = -z\n";
  const std::string of_x =
      "z = torch.stack([h[:, :3, 2], h[:, 1:, 4]], 0)\nc = torch.exp(z) * h[:, :1, 0]\n";
  for (const std::string& cell : cells) {
    for (const std::string& states : {same, of_x}) {
      for (const Shape& shape : {Shape{cell, 1, true}, Shape{cell, 2, false, false}}) {
        check_case(one(shape, states, rows_first(shape)), pairs);
        check_case(one(shape, states, all_results(shape)), pairs);
      }
    }
  }
  // Only the initial state depends on X.
  Case decoder = one({"gru"}, "z = h[:, :3, 2].unsqueeze(0)\n", "y = o");
  const std::string input = "h.transpose(1, 2)";
  decoder.lines.replace(decoder.lines.find(input), input.size(),
                        "torch.ones([h.size(0), 5, 4], dtype=torch.float64)");
  CHECK(check_case(decoder, pairs) > 1e-3);
}

// relu(1 x_t + 0.5 h), h_0 = 0. x = (2, -1): h_1 = 2, h_2 = relu(-1 + 1) = 0; reference (-1, 1):
// h_1 = 0, h_2 = 1. Slopes: second step (0 - 1) / (0 - 1) = 1, first (2 - 0) / (2 + 1) = 2/3.
// Multipliers of h_2: 1 for the second input, 1 x 0.5 x 2/3 = 1/3 for the first.
// Sum: 1/3 (2 + 1) + 1 (-1 - 1) = -1 = 0 - 1.
TEST_CASE("a network of one unit gives the multipliers worked out by hand", "[rules][recurrent]") {
  const auto net = forward(
      "z = torch.zeros([1, x.size(0), 1], dtype=torch.float64)\n"
      "o, a = torch.rnn_relu(x[:, :1].transpose(1, 2), z, [self.w, self.u], False, 1, 0.0, False, "
      "False, True)\nreturn o[:, 1]",
      {{"w", vector_of({1}).view({1, 1})}, {"u", vector_of({0.5}).view({1, 1})}});
  const auto m = multipliers_by_hand(net, {2, -1}, {-1, 1});
  CHECK(m[0] == Approx(1.0 / 3).epsilon(1e-12));
  CHECK(m[1] == Approx(1.0).epsilon(1e-12));
}

TEST_CASE("a recurrent operation has the multipliers of the same network written out",
          "[rules][recurrent]") {
  const Given pairs = given(2, 3, 7);
  for (const std::string& cell : cells) {
    for (const Shape& shape : {Shape{cell}, Shape{cell, 2, true}}) {
      INFO(cell << ", " << shape.layers << " layers");
      const Explained fused = explain(network(shape, true), pairs);
      const Explained steps = explain(network(shape, false), pairs);
      CHECK(distance(fused.predictions, steps.predictions) < 1e-12);
      CHECK(distance(fused.values, steps.values) < 1e-9);
      CHECK(steps.values.abs().max().item<double>() > 1e-2);
    }
  }
}

TEST_CASE("recurrent multipliers in float32 are those of float64 for close references",
          "[rules][recurrent]") {
  // References that differ from X in one letter: nearly all differences are tiny.
  Given pairs = given(2, 3, 40);
  pairs.references.copy_(pairs.X.unsqueeze(1).expand_as(pairs.references));
  for (int64_t j = 0; j < 3; ++j) {
    const at::Tensor column = pairs.references.select(1, j).select(2, 5 * j);
    column.copy_(column.roll({1}, {1}));
  }
  Settings in_float;
  in_float.dtype = at::kFloat;
  for (const std::string& cell : cells) {
    const Shape shape{cell, 2, true};
    const auto net = around(one(shape, zeros(shape), "y = o").lines,
                            one(shape, zeros(shape), "y = o").parameters);
    const Explained exact = explain(net, pairs);
    const Explained fast = explain(net, pairs, in_float);
    INFO(cell);
    CHECK(distance(fast.values, exact.values) < 1e-4 * exact.values.abs().max().item<double>());
    CHECK(worst_delta(fast) < 1e-4);
  }
}

TEST_CASE("references may come in blocks of any size", "[rules][recurrent]") {
  const Given pairs = given(1, 6, 9);
  for (const std::string& cell : cells) {
    const Shape shape{cell, 2, true};
    const Case made = one(shape, zeros(shape), "y = o");
    const auto net = around(made.lines, made.parameters);
    Settings small;
    small.batch_size = 2;
    CHECK(distance(explain(net, pairs, small).values, explain(net, pairs).values) < 1e-12);
  }
}

TEST_CASE("the sequences' half is shared unless the last states are used", "[rules][recurrent]") {
  const Given pairs = given(3, 4, 9);
  for (const std::string& cell : cells) {
    const Shape shape{cell, 2, true};
    const auto net = [&](const std::string& result) {
      const Case made = one(shape, zeros(shape), result);
      return around(made.lines, made.parameters);
    };
    CHECK(keeps_halves(net("y = o"), pairs));
    CHECK(keeps_halves(net("p = (o, a)\nif h.size(2) > 3:\n    q = p\nelse:\n    q = (a, o)\n"
                           "y = o"),
                       pairs));
    CHECK_FALSE(keeps_halves(net("y = a.transpose(0, 1)"), pairs));
  }
}

TEST_CASE("rows behind the batch are matched", "[rules][recurrent]") {
  // Each sequence's four channels run through the network as rows of their own.
  const Given pairs = given(3, 4, 9);
  for (const std::string& cell : cells) {
    Shape shape{cell};
    Case made = one(shape, zeros(shape), "y = o.reshape(h.size(0), 4, -1)");
    std::string& lines = made.lines;
    lines =
        "g = h\nh = g.reshape(-1, 1, 9).expand([-1, 4, -1]) * self.w_in[:, :1, :1].view(1, 4, "
        "1)\n" +
        lines;
    lines.replace(lines.find("y = o.reshape(h"), 15, "y = o.reshape(g");
    CHECK(check_case(made, pairs) > 1e-4);
    CHECK(keeps_halves(around(made.lines, made.parameters), pairs));
  }
}

TEST_CASE("what has no meaning sequence by sequence is refused", "[rules][recurrent]") {
  const Given pairs = given(3, 4, 9);
  const Tensors weights{{"a", numbers({9, 4}, 1)}, {"b", numbers({9, 3}, 2)}};
  const auto error = [&](const std::string& lines) {
    const auto net = around(lines, weights);
    return error_of([&]() { explain(net, pairs); });
  };
  const auto refused = [](const std::string& message, const std::string& why) {
    INFO(message);
    CHECK(message.find("unsupported_operation: The operation aten::gru of the model itself") == 0);
    CHECK(message.find(why) != std::string::npos);
  };
  const std::string options = "False, 1, 0.0, False, False";
  const std::string zero = "z = torch.zeros([1, h.size(0), 3], dtype=torch.float64)\n";
  refused(error("z = torch.zeros([1, 9, 3], dtype=torch.float64)\n"
                "o, a = torch.gru(h.transpose(1, 2), z, [self.a, self.b], " +
                options + ", False)\ny = o"),
          "takes the sequences of a batch for steps in time");
  refused(error(zero +
                "s = torch.full([9], h.size(0), dtype=torch.long)\n"
                "o, a = torch.gru(h.permute([2, 0, 1]).flatten(0, 1), s, z, [self.a, self.b], " +
                options + ")\ny = o.view(9, -1, 3).transpose(0, 1)"),
          "runs over a packed sequence");
  refused(error(zero +
                "w = self.a * h[0, 0, 0]\n"
                "o, a = torch.gru(h.transpose(1, 2), z, [w, self.b], " +
                options + ", True)\ny = o"),
          "has weights that depend on X");
}
