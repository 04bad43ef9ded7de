// LSTM, GRU and RNN, each direction for itself. With the usual activations they are LibTorch's own;
// with others, with peepholes, and for a GRU that resets before its matrix product, a loop over
// positions. ONNX's gates: input, output, forget, cell of an LSTM (LibTorch: input, forget, cell,
// output); update, reset, candidate of a GRU (LibTorch: reset, update, candidate).
#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace onnx {

namespace {

struct Direction {
  bool backwards = false;
  std::vector<std::string> activations;  // as expressions of {x}
  bool usual = true;
  at::Tensor kernel, recurrent, bias, recurrent_bias, peepholes;  // the gates as in LibTorch
};

struct Recurrence {
  std::string kind;
  int64_t gates = 1;
  int64_t units = 0;
  int64_t time = 0;  // the dimension of positions in X
  bool resets_after = false;
  bool biased = false;
  std::vector<Direction> directions;

  std::string rows() const { return "torch.size({0}, " + std::to_string(1 - time) + ")"; }
};

void read_activations(Operator& op, Recurrence& net) {
  const std::vector<std::string> usual =
      net.kind == "LSTM"  ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
      : net.kind == "GRU" ? std::vector<std::string>{"Sigmoid", "Tanh"}
                          : std::vector<std::string>{"Tanh"};
  std::vector<std::string> given = op.texts("activations");
  const std::vector<double> alphas = op.reals("activation_alpha");
  const std::vector<double> betas = op.reals("activation_beta");
  if (given.empty()) {
    for (size_t i = 0; i < net.directions.size(); ++i) {
      given.insert(given.end(), usual.begin(), usual.end());
    }
  }
  if (given.size() != usual.size() * net.directions.size()) {
    op.refuse("has another number of activations than it needs");
  }
  size_t alpha = 0;
  size_t beta = 0;
  for (size_t d = 0; d < net.directions.size(); ++d) {
    Direction& direction = net.directions[d];
    for (size_t i = 0; i < usual.size(); ++i) {
      const std::string& name = given[d * usual.size() + i];
      direction.usual =
          direction.usual && (name == usual[i] || (net.kind == "RNN" && name == "Relu"));
      direction.activations.push_back(activation_expression(op, name, alphas, betas, alpha, beta));
    }
  }
  // Lists that also have places for activations without parameters would be read wrongly.
  if ((!alphas.empty() && alpha != alphas.size()) || (!betas.empty() && beta != betas.size())) {
    op.refuse("has another number of parameters of activations than these take");
  }
}

at::Tensor in_order(const Recurrence& net, const at::Tensor& weight) {
  const auto parts = weight.chunk(net.gates, 0);
  if (net.kind == "LSTM") {
    return at::cat({parts[0], parts[2], parts[3], parts[1]}, 0);
  }
  return net.kind == "GRU" ? at::cat({parts[1], parts[0], parts[2]}, 0) : weight;
}

void read_weights(Operator& op, Recurrence& net) {
  const at::Tensor kernel = op.known(1, "weights");
  const at::Tensor recurrent = op.known(2, "weights");
  const auto count = static_cast<int64_t>(net.directions.size());
  if (recurrent.dim() != 3 || kernel.dim() != 3 || recurrent.size(2) < 1) {
    op.refuse("has weights of another number of dimensions than 3");
  }
  net.units = recurrent.size(2);
  const int64_t wide = net.gates * net.units;
  const int64_t hidden = op.whole("hidden_size", net.units);
  const int64_t channels = op.in(0).sizes[2];
  if (kernel.size(0) != count || kernel.size(1) != wide || recurrent.size(0) != count ||
      recurrent.size(1) != wide || hidden != net.units ||
      (channels >= 0 && kernel.size(2) != channels)) {
    op.refuse("has weights of sizes that do not go together");
  }
  net.biased = op.given(3);
  const at::Tensor bias = net.biased ? op.known(3, "a bias") : at::Tensor();
  const at::Tensor peepholes = op.given(7) ? op.known(7, "peepholes") : at::Tensor();
  if ((net.biased && (bias.dim() != 2 || bias.size(0) != count || bias.size(1) != 2 * wide)) ||
      (peepholes.defined() && (net.kind != "LSTM" || peepholes.dim() != 2 ||
                               peepholes.size(0) != count || peepholes.size(1) != 3 * net.units))) {
    op.refuse("has weights of sizes that do not go together");
  }
  for (int64_t d = 0; d < count; ++d) {
    Direction& direction = net.directions[static_cast<size_t>(d)];
    direction.kernel = in_order(net, kernel[d]).contiguous();
    direction.recurrent = in_order(net, recurrent[d]).contiguous();
    if (net.biased) {
      direction.bias = in_order(net, bias[d].narrow(0, 0, wide)).contiguous();
      direction.recurrent_bias = in_order(net, bias[d].narrow(0, wide, wide)).contiguous();
    }
    if (peepholes.defined() && peepholes.ne(0).any().item<bool>()) {
      direction.peepholes = peepholes[d].contiguous();
      direction.usual = false;
    }
  }
}

// [directions, n, units], that of every sequence alike where it is known: the number of sequences
// in the file is not that of the batch then.
ProgramValue initial(Operator& op, const Recurrence& net, size_t index) {
  ProgramValue state = op.in(index);
  if (state.rank() != 3) {
    op.refuse("has an initial state of " + std::to_string(state.rank()) + " dimensions");
  }
  if (net.time == 1) {
    state = op.permuted(state, {1, 0, 2});
  }
  const at::Tensor known = op.build.known(state);
  if (known.defined()) {
    const at::Tensor one = known.narrow(1, 0, 1);
    if (!at::equal(one.expand_as(known), known)) {
      op.refuse("begins with another state for each sequence");
    }
    return op.build.constant(one.contiguous());
  }
  return state;
}

std::string active(const std::string& expression, const std::string& of) {
  std::string text = expression;
  for (size_t at = text.find("{x}"); at != std::string::npos; at = text.find("{x}", at)) {
    text.replace(at, 3, of);
    at += of.size();
  }
  return text;
}

std::string part(const std::string& of, int64_t index, int64_t units) {
  return "torch.narrow(" + of + ", 1, " + std::to_string(index * units) + ", " +
         std::to_string(units) + ")";
}

// One position of the loop; `weights`: the placeholders of the direction's weights.
std::vector<std::string> one_step(const Recurrence& net, const Direction& direction,
                                  const std::map<std::string, std::string>& weights) {
  const int64_t u = net.units;
  std::vector<std::string> lines;
  const auto apply = [&](const std::string& to, size_t which, const std::string& input) {
    lines.push_back(to + "_in = " + input);
    lines.push_back(to + " = " + active(direction.activations[which], to + "_in"));
  };
  const std::string product = "torch.linear(hidden, " + weights.at("recurrent") + ", None)";
  if (net.kind == "RNN") {
    apply("hidden", 0, "x + " + product);
    return lines;
  }
  if (net.kind == "LSTM") {
    lines.push_back("z = x + " + product);
    const auto peephole = [&](int64_t which, const std::string& cell) {
      return direction.peepholes.defined()
                 ? " + torch.narrow(" + weights.at("peepholes") + ", 0, " +
                       std::to_string(which * u) + ", " + std::to_string(u) + ") * " + cell
                 : std::string();
    };
    apply("input_gate", 0, part("z", 0, u) + peephole(0, "cell"));
    apply("forget_gate", 0, part("z", 1, u) + peephole(2, "cell"));
    apply("candidate", 1, part("z", 2, u));
    lines.push_back("cell = forget_gate * cell + input_gate * candidate");
    apply("output_gate", 0, part("z", 3, u) + peephole(1, "cell"));
    apply("shown", 2, "cell");
    lines.push_back("hidden = output_gate * shown");
    return lines;
  }
  const std::string bias = net.biased ? weights.at("recurrent_bias") : "None";
  const auto gate = [&](int64_t which) {
    const std::string range = ", 0, " + std::to_string(which * u) + ", " + std::to_string(u) + ")";
    const std::string own = net.biased ? "torch.narrow(" + bias + range : "None";
    return std::make_pair("torch.narrow(" + weights.at("recurrent") + range, own);
  };
  const auto linear = [&](const std::string& of, int64_t which) {
    const auto [matrix, own] = gate(which);
    return "torch.linear(" + of + ", " + matrix + ", " + own + ")";
  };
  apply("reset", 0, part("x", 0, u) + " + " + linear("hidden", 0));
  apply("update", 0, part("x", 1, u) + " + " + linear("hidden", 1));
  apply("candidate", 1,
        part("x", 2, u) + " + " +
            (net.resets_after ? "reset * " + linear("hidden", 2) : linear("reset * hidden", 2)));
  lines.push_back("hidden = (1 - update) * candidate + update * hidden");
  return lines;
}

// Lines that make output_d, hidden_d and cell_d of one direction, of arguments from `arguments` on.
class DirectionWriter {
 public:
  DirectionWriter(Operator& op, const Recurrence& net, std::vector<std::string>& lines,
                  std::vector<Argument>& arguments)
      : op_(op), net_(net), lines_(lines), arguments_(arguments) {}

  void write(size_t index, const std::string& hidden, const std::string& cell) {
    const Direction& direction = net_.directions[index];
    const std::string d = std::to_string(index);
    const std::string time = std::to_string(net_.time);
    const bool own = direction.usual && (net_.kind != "GRU" || net_.resets_after);
    std::map<std::string, std::string> weights;
    weights["kernel"] = add(direction.kernel);
    weights["recurrent"] = add(direction.recurrent);
    if (own) {
      std::string names = weights["kernel"] + ", " + weights["recurrent"];
      if (net_.biased) {
        names += ", " + add(direction.bias) + ", " + add(direction.recurrent_bias);
      }
      const bool lstm = net_.kind == "LSTM";
      const std::string function = lstm                 ? "lstm"
                                   : net_.kind == "GRU" ? "gru"
                                   : direction.activations[0].find("relu") != std::string::npos
                                       ? "rnn_relu"
                                       : "rnn_tanh";
      lines_.push_back("x_" + d + " = " +
                       (direction.backwards ? "torch.flip({0}, [" + time + "])" : "{0}"));
      lines_.push_back("output_" + d + ", state_" + d + (lstm ? ", memory_" + d : "") +
                       " = torch." + function + "(x_" + d + ", " +
                       (lstm ? "[" + hidden + ", " + cell + "]" : hidden) + ", [" + names + "], " +
                       (net_.biased ? "True" : "False") + ", 1, 0., False, False, " +
                       (net_.time == 1 ? "True)" : "False)"));
      lines_.push_back("hidden_" + d + " = torch.squeeze(state_" + d + ", 0)");
      if (lstm) {
        lines_.push_back("cell_" + d + " = torch.squeeze(memory_" + d + ", 0)");
      }
    } else {
      loop(index, hidden, cell, weights);
    }
    if (direction.backwards) {
      lines_.push_back("output_" + d + " = torch.flip(output_" + d + ", [" + time + "])");
    }
  }

 private:
  std::string add(const at::Tensor& tensor) {
    arguments_.emplace_back(op_.build.constant(tensor, true));
    return "{" + std::to_string(arguments_.size() - 1) + "}";
  }

  void loop(size_t index, const std::string& hidden, const std::string& cell,
            std::map<std::string, std::string>& weights) {
    const Direction& direction = net_.directions[index];
    const std::string d = std::to_string(index);
    const std::string time = std::to_string(net_.time);
    std::string bias = "None";
    if (net_.biased && net_.kind == "GRU") {
      bias = add(direction.bias);
      weights["recurrent_bias"] = add(direction.recurrent_bias);
    } else if (net_.biased) {
      bias = add(direction.bias + direction.recurrent_bias);
    }
    if (direction.peepholes.defined()) {
      weights["peepholes"] = add(direction.peepholes);
    }
    lines_.push_back("products_" + d + " = torch.linear({0}, " + weights["kernel"] + ", " + bias +
                     ")");
    lines_.push_back("hidden = torch.squeeze(" + hidden + ", 0)");
    if (net_.kind == "LSTM") {
      lines_.push_back("cell = torch.squeeze(" + cell + ", 0)");
    }
    lines_.push_back("outputs_" + d + " = annotate(List[Tensor], [])");
    lines_.push_back("for t in range(torch.size({0}, " + time + ")):");
    lines_.push_back("    x = torch.select(products_" + d + ", " + time + ", " +
                     (direction.backwards ? "torch.size({0}, " + time + ") - 1 - t)" : "t)"));
    for (const std::string& line : one_step(net_, direction, weights)) {
      lines_.push_back("    " + line);
    }
    lines_.push_back("    outputs_" + d + ".append(hidden)");
    lines_.push_back("output_" + d + " = torch.stack(outputs_" + d + ", " + time + ")");
    lines_.push_back("hidden_" + d + " = hidden");
    if (net_.kind == "LSTM") {
      lines_.push_back("cell_" + d + " = cell");
    }
  }

  Operator& op_;
  const Recurrence& net_;
  std::vector<std::string>& lines_;
  std::vector<Argument>& arguments_;
};

Recurrence read_recurrence(Operator& op) {
  Recurrence net;
  net.kind = op.node.operation;
  net.gates = net.kind == "LSTM" ? 4 : net.kind == "GRU" ? 3 : 1;
  net.time = op.whole("layout", 0) != 0 ? 1 : 0;
  net.resets_after = net.kind == "GRU" && op.whole("linear_before_reset", 0) != 0;
  const std::string direction = op.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    op.refuse("has the direction \"" + printable(direction) + "\", which is not known here");
  }
  net.directions.resize(direction == "bidirectional" ? 2 : 1);
  net.directions.back().backwards = direction != "forward";
  if (op.has("clip")) {
    op.refuse("has an attribute `clip`, which is not supported");
  }
  if (net.kind == "LSTM" && op.whole("input_forget", 0) != 0) {
    op.refuse("has an attribute `input_forget`, which is not supported");
  }
  if (op.in(0).rank() != 3) {
    op.refuse("has an input of " + std::to_string(op.in(0).rank()) + " dimensions, not 3");
  }
  read_activations(op, net);
  read_weights(op, net);
  return net;
}

// How many positions of each sequence there are: -1 for all. Sequences of different lengths would
// each be another model.
int64_t read_length(Operator& op, const Recurrence& net) {
  if (!op.given(4)) {
    return -1;
  }
  const int64_t length = op.in(0).sizes[static_cast<size_t>(net.time)];
  const at::Tensor known = op.build.known(op.in(4));
  if (!known.defined() || known.numel() < 1 || length < 0 ||
      known.ne(known.max()).any().item<bool>()) {
    op.refuse(
        "has lengths of the sequences (`sequence_lens`), which are not supported where they "
        "are not known, or not the same for all");
  }
  const int64_t wanted = known.max().to(at::kLong).item<int64_t>();
  if (wanted < 1 || wanted > length) {
    op.refuse("has sequences of " + std::to_string(wanted) +
              " positions (`sequence_lens`), and an " + "input of " + std::to_string(length));
  }
  return wanted == length ? -1 : wanted;
}

}  // namespace

void recurrent(Operator& op) {
  const Recurrence net = read_recurrence(op);
  const int64_t shorter = read_length(op, net);
  const ProgramValue x = shorter < 0 ? op.in(0) : op.sliced(op.in(0), net.time, 0, shorter);
  const bool lstm = net.kind == "LSTM";
  const auto count = static_cast<int64_t>(net.directions.size());
  std::vector<std::string> lines;
  std::vector<Argument> arguments{x};
  const std::string units = std::to_string(net.units);
  const auto begin = [&](const std::string& name, size_t index) {
    const std::string sizes = "[" + std::to_string(count) + ", " + net.rows() + ", " + units + "]";
    if (op.given(index)) {
      arguments.emplace_back(initial(op, net, index));
      lines.push_back(name + " = torch.expand({" + std::to_string(arguments.size() - 1) + "}, " +
                      sizes + ")");
    } else {
      lines.push_back(name + " = torch.zeros(" + sizes + ", dtype={0}.dtype, device={0}.device)");
    }
  };
  begin("first_hidden", 5);
  if (lstm) {
    begin("first_cell", 6);
  }
  DirectionWriter writer(op, net, lines, arguments);
  std::string outputs;
  std::string hiddens;
  std::string cells;
  for (int64_t d = 0; d < count; ++d) {
    const std::string number = std::to_string(d);
    writer.write(static_cast<size_t>(d), "torch.narrow(first_hidden, 0, " + number + ", 1)",
                 "torch.narrow(first_cell, 0, " + number + ", 1)");
    outputs += (d ? ", output_" : "output_") + number;
    hiddens += (d ? ", hidden_" : "hidden_") + number;
    cells += (d ? ", cell_" : "cell_") + number;
  }
  const int64_t length = x.sizes[static_cast<size_t>(net.time)];
  const int64_t rows = x.sizes[static_cast<size_t>(1 - net.time)];
  const bool first = net.time == 1;
  lines.push_back("{=0} = torch.stack([" + outputs + "], " + (first ? "2)" : "1)"));
  lines.push_back("{=1} = torch.stack([" + hiddens + "], " + (first ? "1)" : "0)"));
  const Sizes states = first ? Sizes{rows, count, net.units} : Sizes{count, rows, net.units};
  std::vector<Result> results{
      {first ? Sizes{rows, length, count, net.units} : Sizes{length, count, rows, net.units},
       x.dtype},
      {states, x.dtype}};
  if (lstm) {
    lines.push_back("{=2} = torch.stack([" + cells + "], " + (first ? "1)" : "0)"));
    results.push_back({states, x.dtype});
  }
  std::vector<ProgramValue> made = op.build.write(lines, arguments, results);
  if (shorter >= 0) {
    // Zeros behind the end. Y's dimensions behind that of positions are 2 or 3.
    Sizes widths(2 * static_cast<size_t>(4 - net.time), 0);
    widths.back() = op.in(0).sizes[static_cast<size_t>(net.time)] - shorter;
    Sizes sizes = made[0].sizes;
    sizes[static_cast<size_t>(net.time)] += widths.back();
    made[0] = op.emit("constant_pad_nd", {{"self", made[0]}, {"pad", widths}, {"value", 0}}, sizes,
                      x.dtype);
  }
  for (size_t i = 0; i < made.size(); ++i) {
    op.give(made[i], i);
  }
}

}  // namespace onnx
}  // namespace seqlift
