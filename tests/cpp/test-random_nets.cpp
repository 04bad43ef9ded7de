// Nets that nobody thought of: seeded random graphs of mixed operations with branches, reuse,
// views, writes in place, lists and control flow. Each must predict what LibTorch's own
// interpreter predicts, and keep summation to delta in float64.
#include <ATen/ATen.h>

#include <random>

#include "catch.h"
#include "nets.h"

using namespace nets;

namespace {

struct Variable {
  std::string name;
  int64_t channels;
  int64_t length;
};

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {
    parameters_.emplace_back("w_in", numbers({4, 4, 3}, seed));
    lines_ = "v0 = torch.conv1d(x, self.w_in, padding=1)\n";
    variables_.push_back({"v0", 4, 12});
  }

  ModelPointer make(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
    }
    // Several values reach the output, each with weights of its own.
    std::string body = lines_ + "y = x.sum([1, 2]).unsqueeze(1) * 0.0\n";
    for (size_t i = variables_.size() < 4 ? 0 : variables_.size() - 4; i < variables_.size(); ++i) {
      const Variable& last = variables_[i];
      const std::string weight = parameter({last.channels * last.length, 2});
      body += "y = y + torch.matmul(torch.tanh(" + last.name + ").flatten(1), " + weight + ")\n";
    }
    text_ = body + "return y";
    return forward(text_, parameters_);
  }

  const std::string& text() const { return text_; }

 private:
  int64_t below(int64_t limit) {
    return static_cast<int64_t>(random_() % static_cast<uint32_t>(limit));
  }

  const Variable& pick() {
    return variables_[static_cast<size_t>(below(static_cast<int64_t>(variables_.size())))];
  }

  // A value of the same shape, itself at worst.
  Variable like(const Variable& one) {
    for (int tries = 0; tries < 8; ++tries) {
      const Variable& other = pick();
      if (other.channels == one.channels && other.length == one.length) {
        return other;
      }
    }
    return one;
  }

  std::string parameter(const std::vector<int64_t>& sizes) {
    const std::string name = "p" + std::to_string(parameters_.size());
    const double width = 1.0 / std::sqrt(static_cast<double>(sizes[0]));
    parameters_.emplace_back(name, numbers(sizes, static_cast<int64_t>(random_()), -width, width));
    return "self." + name;
  }

  void add(const std::string& expression, int64_t channels, int64_t length) {
    const std::string name = "v" + std::to_string(++count_);
    lines_ += name + " = " + expression + "\n";
    variables_.push_back({name, channels, length});
  }

  void step() {
    const Variable a = pick();
    const Variable b = like(a);
    const std::string text = a.name;
    const auto number = [](int64_t value) { return std::to_string(value); };
    switch (below(26)) {
      case 0: {
        const int64_t out = 2 + below(4);
        const int64_t dilation = 1 + below(2);
        add("torch.conv1d(" + text + ", " + parameter({out, a.channels, 3}) + ", " +
                parameter({out}) + ", [1], [" + number(dilation) + "], [" + number(dilation) + "])",
            out, a.length);
        return;
      }
      case 1:
      case 2: {
        const std::vector<std::string> functions{
            "torch.relu(",       "torch.sigmoid(", "torch.tanh(",     "torch.gelu(",
            "torch.softplus(",   "torch.silu(",    "torch.abs(",      "torch.elu(",
            "torch.leaky_relu(", "torch.sin(",     "torch.hardtanh(", "torch.atan("};
        add(functions[static_cast<size_t>(below(12))] + text + ")", a.channels, a.length);
        return;
      }
      case 3:
        add(text + " + " + b.name + " * 0.5", a.channels, a.length);
        return;
      case 4:
        add(text + " * " + b.name, a.channels, a.length);
        return;
      case 5:
        add(text + " / (torch.abs(" + b.name + ") + 0.7)", a.channels, a.length);
        return;
      case 6:
        add("torch." + std::string(below(2) == 0 ? "maximum" : "minimum") + "(" + text + ", " +
                b.name + ")",
            a.channels, a.length);
        return;
      case 7:
        add("torch.max_pool1d(" + text + ", [3], [1], [1])", a.channels, a.length);
        return;
      case 8:
        if (a.length >= 4) {
          const std::string kind = below(2) == 0 ? "max" : "avg";
          add("torch." + kind + "_pool1d(" + text + ", [2], [2])", a.channels, a.length / 2);
        }
        return;
      case 9:
        add("torch." + std::string(below(2) == 0 ? "softmax" : "log_softmax") + "(" + text + ", " +
                number(1 + below(2)) + ")",
            a.channels, a.length);
        return;
      case 10:
        add("torch.layer_norm(" + text + ", [" + number(a.length) + "], None, None, 0.01)",
            a.channels, a.length);
        return;
      case 11:
        if (a.channels <= 8) {
          add("torch.cat([" + text + ", " + b.name + "], 1)", 2 * a.channels, a.length);
        }
        return;
      case 12:
        if (a.channels > 2) {
          add(text + "[:, 1:]", a.channels - 1, a.length);
        }
        return;
      case 13:
        add("torch.flip(" + text + ", [" + number(1 + below(2)) + "])", a.channels, a.length);
        return;
      case 14:
        add("torch.matmul(" + text + ", torch.softmax(torch.matmul(" + text + ".transpose(1, 2), " +
                b.name + ") * 0.3, -1))",
            a.channels, a.length);
        return;
      case 15:
        add(text + " - " + b.name + ".mean(2, keepdim=True)", a.channels, a.length);
        return;
      case 16:
        add(text + " * torch.logsumexp(" + b.name + ", [1, 2], True) * 0.3", a.channels, a.length);
        return;
      case 17: {
        // In place, on a value that others may still use or view.
        const std::vector<std::string> writes{".relu_()", ".tanh_()", ".add_(0.25)", ".mul_(0.5)",
                                              ".sigmoid_()"};
        lines_ += text + writes[static_cast<size_t>(below(5))] + "\n";
        return;
      }
      case 18:
        lines_ += text + " += " + b.name + ".tanh()\n";
        return;
      case 19:
        lines_ += text + "[:, 0] = torch.tanh(" + b.name + "[:, -1])\n";
        return;
      case 20:
        if (a.channels % 2 == 0) {
          add("torch.glu(" + text + ", 1)", a.channels / 2, a.length);
        }
        return;
      case 21: {
        const std::string weight = parameter({a.length, a.length});
        add("torch.matmul(" + text + ", " + weight + ")", a.channels, a.length);
        return;
      }
      case 22: {
        const std::string name = "v" + std::to_string(++count_);
        lines_ += name + " = " + text + "\nfor i in range(" + number(1 + below(3)) + "):\n    " +
                  name + " = torch.tanh(" + name + ") * 0.8 + " + b.name + " * float(i)\n";
        variables_.push_back({name, a.channels, a.length});
        return;
      }
      case 23: {
        const std::string name = "v" + std::to_string(++count_);
        lines_ += name + " = " + text + "\nif " + text + ".size(2) > " + number(below(12)) +
                  ":\n    " + name + " = " + text + ".exp().log1p()\n";
        variables_.push_back({name, a.channels, a.length});
        return;
      }
      case 24: {
        const std::string list = "l" + std::to_string(++count_);
        lines_ += list + " = [" + text + ", " + b.name + "]\n" + list + ".append(" + text + " * " +
                  b.name + ")\n";
        add("torch.stack(" + list + ", 1).amax([1])", a.channels, a.length);
        return;
      }
      default:
        add(text + " * torch.rsqrt((" + b.name + " ** 2).mean(1, keepdim=True) + 0.1)", a.channels,
            a.length);
    }
  }

  std::mt19937 random_;
  std::string lines_;
  std::string text_;
  Tensors parameters_;
  std::vector<Variable> variables_;
  int count_ = 0;
};

}  // namespace

TEST_CASE("random nets predict as LibTorch does, keep summation to delta and ignore batches",
          "[random_nets]") {
  const Given pairs = given(2, 3, 12);
  Settings settings;
  settings.targets = {0, 1};
  double most = 0;
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    Generator generator(seed);
    std::string error;
    double delta = 0;
    double apart = 0;
    double between = 0;
    try {
      const auto net = generator.make(4 + static_cast<int>(seed % 14));
      const Explained result = explain(net, pairs, settings);
      delta = worst_delta(result);
      apart = distance(result.predictions, interpreted(net, pairs.X)[0]);
      // A sequence's references in several blocks, which share what is known of the sequence.
      Settings blocks = settings;
      blocks.batch_size = 1 + seed % 5;
      const Explained parts = explain(net, pairs, blocks);
      between = std::max(distance(parts.values, result.values),
                         distance(parts.predictions, result.predictions));
      most = std::max(most, largest_change(result));
    } catch (const std::exception& caught) {
      error = std::string(caught.what()).substr(0, 400);
    }
    INFO("seed " << seed << "\n" << generator.text());
    CHECK(error == "");
    CHECK(delta < 1e-9);
    CHECK(apart < 1e-10);
    CHECK(between < 1e-9);
  }
  CHECK(most > 0.1);
}
