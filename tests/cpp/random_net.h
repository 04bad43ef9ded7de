// Nets that nobody thought of: seeded random graphs of mixed operations with branches, reuse,
// views, writes in place, lists, modules and control flow, each written in two ways.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "nets.h"

namespace nets {

struct Variable {
  std::string name;
  int64_t channels;
  int64_t length;
};

class RandomNet {
 public:
  explicit RandomNet(uint32_t seed) : random_(seed) {
    whole_.parameters = {{"w_in", numbers({4, 4, 3}, seed)}};
    both("v0 = torch.conv1d(x, self.w_in, padding=1)");
    variables_.push_back({"v0", 4, 12});
  }

  void grow(int steps) {
    for (int i = 0; i < steps; ++i) {
      step(below(60));
    }
    // Several values reach the output, each with weights of its own.
    both("y = x.sum([1, 2]).unsqueeze(1) * 0.0");
    for (size_t i = variables_.size() < 4 ? 0 : variables_.size() - 4; i < variables_.size(); ++i) {
      const Variable& last = variables_[i];
      const std::string weight = parameter({last.channels * last.length, 2});
      both("y = y + torch.matmul(torch.tanh(" + last.name + ").flatten(1), " + weight + ")");
    }
    both("return y");
  }

  // The net written the first (0) or the second (1) way.
  ModelPointer make(int way) const {
    Part part = whole_;
    part.source = "def forward(self, x: Tensor):\n" + indented(lines_[way]);
    return model(part);
  }

  const std::string& text(int way) const { return lines_[way]; }

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

  at::Tensor weights(const std::vector<int64_t>& sizes) {
    const double width = 1.0 / std::sqrt(static_cast<double>(sizes[0]));
    return numbers(sizes, static_cast<int64_t>(random_()), -width, width);
  }

  std::string parameter(const std::vector<int64_t>& sizes) {
    const std::string name = "p" + std::to_string(whole_.parameters.size());
    whole_.parameters.emplace_back(name, weights(sizes));
    return "self." + name;
  }

  // A module of its own whose forward(x) is `expression`; returns what calls it.
  std::string module(const std::string& expression, const Tensors& parameters = {}) {
    Part part;
    part.class_name = "layers.Layer" + std::to_string(whole_.parts.size());
    part.source = "def forward(self, x: Tensor):\n    return " + expression + "\n";
    part.parameters = parameters;
    const std::string name = "m" + std::to_string(whole_.parts.size());
    whole_.parts.emplace_back(name, part);
    return "self." + name + ".forward";
  }

  void both(const std::string& line) { line_of_each(line, line); }

  void line_of_each(const std::string& first, const std::string& second) {
    lines_[0] += first + "\n";
    lines_[1] += second + "\n";
  }

  std::string fresh() { return "v" + std::to_string(++count_); }

  // A new value by an expression, or lines that end in "= " where it comes: the same two ways.
  void add(const std::string& first, const std::string& second, int64_t channels, int64_t length) {
    const std::string name = fresh();
    line_of_each(assigned(name, first), assigned(name, second));
    variables_.push_back({name, channels, length});
  }

  static std::string assigned(const std::string& name, const std::string& expression) {
    const size_t last = expression.rfind('\n');
    const size_t at = last == std::string::npos ? 0 : last + 1;
    return expression.substr(0, at) + name + " = " + expression.substr(at);
  }

  void step(int64_t kind) {
    const Variable a = pick();
    const Variable b = like(a);
    const std::string t = a.name;
    const std::string u = b.name;
    const int64_t channels = a.channels;
    const int64_t length = a.length;
    const auto same = [&](const std::string& first, const std::string& second) {
      add(first, second, channels, length);
    };
    if (kind < 14) {
      layer(kind, a, b);
    } else if (kind < 29) {
      arithmetic(kind, t, u, same, length);
    } else if (kind < 41) {
      structure(kind, a, b);
    } else if (kind < 50) {
      code(kind, a, b);
    } else if (kind < 55) {
      condition(kind, t, u, same, length);
    } else {
      layout(kind, a);
    }
  }

  // What depends on how a value lies in memory: beside it the same where nothing does.
  void layout(int64_t kind, const Variable& a) {
    const std::string& t = a.name;
    const int64_t c = a.channels;
    const int64_t l = a.length;
    const std::string n = t + ".size(0)";
    const std::string shape = "[" + n + ", " + std::to_string(c) + ", " + std::to_string(l) + "]";
    const std::string whole = t + ".contiguous()";
    switch (kind) {
      case 55:
        add("(" + whole + ".view(" + n + ", -1) * 0.9).view(" + shape + ")", t + " * 0.9", c, l);
        return;
      case 56:
        add(t + ".transpose(1, 2).contiguous().view(" + n + ", -1).view(" + n + ", " +
                std::to_string(l) + ", " + std::to_string(c) + ").transpose(1, 2) * 1.1",
            t + " * 1.1", c, l);
        return;
      case 57:
        add("torch.relu(" + t + ").as_strided(" + t + ".size(), torch.relu(" + t + ").stride())",
            "torch.relu(" + t + ")", c, l);
        return;
      case 58:
        // Windows of three, as memory lies.
        if (l >= 3) {
          const std::string cl = std::to_string(c * l);
          const std::string ls = std::to_string(l);
          add(whole + ".as_strided([" + n + ", " + std::to_string(c) + ", " +
                  std::to_string(l - 2) + ", 3], [" + cl + ", " + ls + ", 1, 1]).mean(3)",
              "torch.avg_pool1d(" + t + ", [3], [1])", c, l - 2);
        }
        return;
      default: {
        // A copy or not: by the layout.
        const std::string last = fresh();
        both(last + " = (" + t + " * 1.0).reshape(" + n + ", -1)");
        both(last + ".mul_(0.8)");
        add(last + ".view(" + shape + ")",
            last + ".unflatten(1, [" + std::to_string(c) + ", " + std::to_string(l) + "])", c, l);
      }
    }
  }

  // What depends on which of two values is larger.
  template <typename Same>
  void condition(int64_t kind, const std::string& t, const std::string& u, const Same& same,
                 int64_t length) {
    switch (kind) {
      case 50:
        same("torch.where(" + t + " > 0, " + t + ", torch.zeros_like(" + t + "))",
             "torch.relu(" + t + ")");
        return;
      case 51:
        same(t + " * (" + u + " > 0.1)",
             "torch.where(" + u + " > 0.1, " + t + ", torch.zeros_like(" + t + "))");
        return;
      case 52:
        same(t + ".masked_fill(" + u + " < -0.2, 0.3)",
             "torch.where(" + u + " < -0.2, torch.full_like(" + t + ", 0.3), " + t + ")");
        return;
      case 53:
        same("torch.sort(" + t + ", 2)[0]",
             "torch.topk(" + t + ", " + std::to_string(length) + ", 2, False)[0]");
        return;
      default:
        same("torch.where((" + t + " > 0) & (" + u + " < 0.5), " + t + ", " + u + ")",
             "torch.where(torch.logical_not((" + t + " <= 0) | (" + u + " >= 0.5)), " + t + ", " +
                 u + ")");
    }
  }

  // Convolutions, pools, normalisations, dense layers: beside them a module or what they stand for.
  void layer(int64_t kind, const Variable& a, const Variable& b) {
    const std::string& t = a.name;
    const std::string& u = b.name;
    const int64_t c = a.channels;
    const int64_t l = a.length;
    switch (kind) {
      case 0: {
        const int64_t out = 2 + below(4);
        const std::string d = std::to_string(1 + below(2));
        const at::Tensor w = weights({out, c, 3});
        const std::string p = "p" + std::to_string(whole_.parameters.size());
        whole_.parameters.emplace_back(p, w);
        const std::string rest = ", None, [1], [" + d + "], [" + d + "])";
        add("torch.conv1d(" + t + ", self." + p + rest,
            module("torch.conv1d(x, self.weight" + rest, {{"weight", w}}) + "(" + t + ")", out, l);
        return;
      }
      case 1: {
        const std::string w = parameter({2 * c, 1, 3});
        add("torch.conv1d(" + t + ", " + w + ", None, [1], [1], [1], " + std::to_string(c) + ")",
            "torch.conv2d(" + t + ".unsqueeze(3), " + w + ".unsqueeze(3), None, [1, 1], [1, 0], " +
                "[1, 1], " + std::to_string(c) + ").squeeze(3)",
            2 * c, l);
        return;
      }
      case 2: {
        const std::string w = parameter({c, 3, 4});
        add("torch.conv_transpose1d(" + t + ", " + w +
                ", None, [2], [1])[:, :, 0:" + std::to_string(l) + "]",
            "torch.conv_transpose2d(" + t + ".unsqueeze(2), " + w +
                ".unsqueeze(2), None, [1, 2], [0, 1]).squeeze(2)[:, :, 0:" + std::to_string(l) +
                "]",
            3, l);
        return;
      }
      case 3:
        add("torch.max_pool1d(" + t + ", [3], [1], [1])",
            "torch.max_pool2d(" + t + ".unsqueeze(2), [1, 3], [1, 1], [0, 1]).squeeze(2)", c, l);
        return;
      case 4:
        if (l % 2 == 0) {
          const bool max = below(2) == 0;
          add(std::string("torch.") + (max ? "max" : "avg") + "_pool1d(" + t + ", [2], [2])",
              t + ".reshape(" + t + ".size(0), " + std::to_string(c) + ", " +
                  std::to_string(l / 2) + ", 2)" + (max ? ".amax([3])" : ".mean([3])"),
              c, l / 2);
        }
        return;
      case 5: {
        const std::string dim = std::to_string(1 + below(2));
        add("torch.softmax(" + t + ", " + dim + ")",
            module("torch.softmax(x, " + dim + ")") + "(" + t + ")", c, l);
        return;
      }
      case 6: {
        const std::string dim = std::to_string(1 + below(2));
        add("torch.log_softmax(" + t + ", " + dim + ")",
            t + " - torch.logsumexp(" + t + ", [" + dim + "], True)", c, l);
        return;
      }
      case 7:
        add("torch.layer_norm(" + t + ", [" + std::to_string(l) + "], None, None, 0.01)",
            "c = " + t + " - " + t + ".mean(2, keepdim=True)\n" +
                "c * torch.rsqrt((c * c).mean(2, keepdim=True) + 0.01)",
            c, l);
        return;
      case 8:
        add("torch.group_norm(" + t + ", 1, None, None, 0.02)",
            "c = " + t + " - " + t + ".mean([1, 2], keepdim=True)\n" +
                "c * torch.rsqrt((c * c).mean([1, 2], keepdim=True) + 0.02)",
            c, l);
        return;
      case 9: {
        const std::string w = parameter({l, l});
        add("torch.matmul(" + t + ", " + w + ")", "torch.linear(" + t + ", " + w + ".t())", c, l);
        return;
      }
      case 10: {
        // Squeeze and excite.
        const std::string w = parameter({c, c});
        add(t + " * torch.sigmoid(torch.matmul(" + t + ".mean(2), " + w + ")).unsqueeze(2)",
            "g = torch.adaptive_avg_pool1d(" + t + ", [1]).squeeze(2)\n" +
                "torch.sigmoid(torch.matmul(g, " + w + ")).unsqueeze(2) * " + t,
            c, l);
        return;
      }
      case 11: {
        // Attention, written out.
        const std::string w = parameter({c, c});
        add("q = torch.matmul(" + t + ".transpose(1, 2), " + w + ")\n" + "torch.matmul(" + u +
                ", torch.softmax(torch.matmul(q, " + u + "), -1)" + ".transpose(1, 2))",
            "q = torch.einsum('ncl,cd->nld', [" + t + ", " + w + "])\n" +
                "torch.einsum('ncm,nlm->ncl', [" + u + ", torch.softmax(torch.bmm(q, " + u +
                "), -1)])",
            c, l);
        return;
      }
      case 12: {
        // A gated recurrent cell over the positions.
        const std::string w = parameter({c, c});
        const std::string start = "s = " + t + "[:, :, 0]\no = [s]\nfor i in range(1, " +
                                  std::to_string(l) + "):\n    z = torch.tanh(" + t +
                                  "[:, :, i])\n" + "    g = torch.sigmoid(torch.matmul(s, " + w +
                                  "))\n";
        const std::string end = "    o.append(s)\ntorch.stack(o, 2)";
        add(start + "    s = g * s + (1.0 - g) * z\n" + end,
            start + "    s = torch.lerp(z, s, g)\n" + end, c, l);
        return;
      }
      default: {
        // A long convolution by Fourier transforms, and directly.
        const std::string k = parameter({c, l});
        const std::string twice = std::to_string(2 * l);
        add("torch.fft_irfft(torch.fft_rfft(" + t + ", " + twice + ") * torch.fft_rfft(" + k +
                ", " + twice + "), " + twice + ")[:, :, 0:" + std::to_string(l) + "]",
            "torch.conv1d(" + t + ", " + k + ".flip([1]).unsqueeze(1), None, [1], [" +
                std::to_string(l - 1) + "], [1], " + std::to_string(c) +
                ")[:, :, 0:" + std::to_string(l) + "]",
            c, l);
      }
    }
  }

  template <typename Same>
  void arithmetic(int64_t kind, const std::string& t, const std::string& u, const Same& same,
                  int64_t length) {
    switch (kind) {
      case 14:
      case 15:
      case 16: {
        const std::array<const char*, 16> functions{
            "torch.relu(",       "torch.sigmoid(", "torch.tanh(",     "torch.gelu(",
            "torch.softplus(",   "torch.silu(",    "torch.abs(",      "torch.elu(",
            "torch.leaky_relu(", "torch.sin(",     "torch.hardtanh(", "torch.atan(",
            "torch.selu(",       "torch.mish(",    "torch.erf(",      "torch.hardswish("};
        const std::string function = functions[static_cast<size_t>(below(16))];
        same(function + t + ")", module(function + "x)") + "(" + t + ")");
        return;
      }
      case 17:
        same(t + " + " + u + " * 0.5", "torch.add(" + t + ", " + u + ", alpha=0.5)");
        return;
      case 18:
        same(t + " * " + u, "torch.einsum('ncl,ncl->ncl', [" + t + ", " + u + "])");
        return;
      case 19:
        same(t + " / (torch.abs(" + u + ") + 0.7)",
             "torch.reciprocal(torch.abs(" + u + ") + 0.7) * " + t);
        return;
      case 20:
        same("torch.maximum(" + t + ", " + u + ")", u + " + torch.relu(" + t + " - " + u + ")");
        return;
      case 21:
        same("torch.clamp(" + t + ", " + u + " - 0.3, " + u + " + 0.4)",
             "torch.minimum(torch.maximum(" + t + ", " + u + " - 0.3), " + u + " + 0.4)");
        return;
      case 22:
        same("torch.prod(torch.stack([" + t + ", " + u + "], 1), 1)", t + " * " + u);
        return;
      case 23:
        same("torch.logaddexp(" + t + ", " + u + ")",
             "torch.logsumexp(torch.stack([" + t + ", " + u + "], 0), [0])");
        return;
      case 24:
        // The absolute value of a complex number.
        same("torch.abs(torch.complex(" + t + ", " + u + " + 0.5))",
             "torch.hypot(" + t + ", " + u + " + 0.5)");
        return;
      case 25:
        same("torch.atan2(" + t + ", torch.exp(" + u + "))",
             "torch.angle(torch.complex(torch.exp(" + u + "), " + t + "))");
        return;
      case 26:
        same("torch.real(torch.complex(" + t + ", " + u + ") * torch.complex(" + u + ", " + t +
                 ".tanh()))",
             t + " * " + u + " - " + u + " * " + t + ".tanh()");
        return;
      case 27:
        same(t + " - " + u + ".mean(2, keepdim=True)",
             t + " - " + u + ".sum(2, keepdim=True) / " + std::to_string(length));
        return;
      default:
        same("torch.einsum('ncl,ncl,nkl->ncl', [" + t + ", " + u + ".tanh(), " + t +
                 ".sigmoid()]) * 0.2",
             "torch.einsum('nkl,ncl,ncl->ncl', [" + t + ".sigmoid(), " + t + ", " + u +
                 ".tanh()]) * 0.2");
    }
  }

  // Shapes, reductions, branches.
  void structure(int64_t kind, const Variable& a, const Variable& b) {
    const std::string& t = a.name;
    const std::string& u = b.name;
    const int64_t c = a.channels;
    const int64_t l = a.length;
    switch (kind) {
      case 29:
        if (c <= 8) {
          add("torch.cat([" + t + ", " + u + "], 1)",
              "o = [" + t + "]\no.append(" + u + ")\ntorch.cat(o, 1)", 2 * c, l);
        }
        return;
      case 30:
        if (c > 2) {
          add(t + "[:, 1:]", t + ".narrow(1, 1, " + std::to_string(c - 1) + ")", c - 1, l);
        }
        return;
      case 31:
        // A branch for the other strand.
        add("(torch.tanh(" + t + ") + torch.tanh(" + t + ".flip([1, 2])).flip([1, 2])) / 2.0",
            "r = torch.flip(torch.tanh(torch.flip(" + t + ", [1, 2])), [1, 2])\n" +
                "torch.stack([torch.tanh(" + t + "), r], 0).mean(0)",
            c, l);
        return;
      case 32:
        add(t + " * torch.logsumexp(" + u + ", [1, 2], True) * 0.3",
            t + " * torch.log(torch.exp(" + u + ").sum([1, 2], keepdim=True)) * 0.3", c, l);
        return;
      case 33:
        if (c % 2 == 0) {
          add("torch.glu(" + t + ", 1)",
              "k = torch.chunk(" + t + ", 2, 1)\nk[0] * torch.sigmoid(k[1])", c / 2, l);
        }
        return;
      case 34:
        add(t + " * torch.std(" + u + ", [2], True, True)",
            t + " * torch.sqrt(torch.var(" + u + ", [2], True, True))", c, l);
        return;
      case 35:
        add(t + " / torch.linalg_vector_norm(" + u + " + 0.1, 2, [1], True)",
            t + " / torch.sqrt(((" + u + " + 0.1) * (" + u + " + 0.1)).sum(1, keepdim=True))", c,
            l);
        return;
      case 36:
        add(t + " - " + u + ".amax([2], True)", t + " - torch.max(" + u + ", 2, True)[0]", c, l);
        return;
      case 37:
        add("torch.cumsum(" + t + ", 2) * 0.3",
            "torch.matmul(" + t + ", torch.ones([" + std::to_string(l) + ", " + std::to_string(l) +
                "], dtype=torch.float64).triu()) * 0.3",
            c, l);
        return;
      case 38:
        if (l >= 4) {
          add("torch.reflection_pad1d(" + t + ", [1, 1]).unfold(2, 3, 1).mean(3)",
              "torch.avg_pool1d(torch.reflection_pad1d(" + t + ", [1, 1]), [3], [1])", c, l);
        }
        return;
      case 39:
        if (l <= 12) {
          add("torch.upsample_nearest1d(" + t + ", [" + std::to_string(2 * l) +
                  "])[:, :, 1:" + std::to_string(l + 1) + "]",
              "torch.repeat_interleave(" + t + ", 2, 2)[:, :, 1:" + std::to_string(l + 1) + "]", c,
              l);
        }
        return;
      default:
        add(t + ".transpose(1, 2).reshape(" + t + ".size(0), " + std::to_string(c * l) +
                ").roll(1, 1).reshape(" + t + ".size(0), " + std::to_string(l) + ", " +
                std::to_string(c) + ").transpose(1, 2)",
            "f = " + t + ".permute([0, 2, 1]).flatten(1)\n" +
                "torch.cat([f[:, -1:], f[:, :-1]], 1)" + ".view([-1, " + std::to_string(l) + ", " +
                std::to_string(c) + "]).permute([0, 2, 1])",
            c, l);
    }
  }

  // Writes in place, loops, conditions, lists, modules used twice.
  void code(int64_t kind, const Variable& a, const Variable& b) {
    const std::string& t = a.name;
    const std::string& u = b.name;
    const int64_t c = a.channels;
    const int64_t l = a.length;
    switch (kind) {
      case 41: {
        // In place, on a value that others may still use or view.
        const std::array<const char*, 5> writes{".relu_()", ".tanh_()", ".add_(0.25)", ".mul_(0.5)",
                                                ".sigmoid_()"};
        both(t + writes[static_cast<size_t>(below(5))]);
        return;
      }
      case 42:
        both(t + " += " + u + ".tanh()");
        return;
      case 43:
        both(t + "[:, 0] = torch.tanh(" + u + "[:, -1])");
        return;
      case 44: {
        const std::string start = "w = " + t + "\n";
        const std::string turn = "w = torch.tanh(w) * 0.8 + " + u + " * ";
        add(start + "for i in range(3):\n    " + turn + "float(i)\nw * 1.0",
            start + turn + "0.0\n" + turn + "1.0\n" + turn + "2.0\nw * 1.0", c, l);
        return;
      }
      case 45: {
        const std::string limit = std::to_string(below(12));
        add("w = " + t + "\nif " + t + ".size(2) > " + limit + ":\n    w = " + t +
                ".exp().log1p()\nw * 1.0",
            (l > std::stoll(limit) ? "torch.log1p(torch.exp(" + t + "))" : t) + " * 1.0", c, l);
        return;
      }
      case 46:
        add("o = [" + t + ", " + u + "]\no.append(" + t + " * " + u + ")\n" +
                "torch.stack(o, 1).amax([1])",
            "torch.max(torch.stack([" + t + ", " + u + ", " + t + " * " + u + "], 1), 1)[0]", c, l);
        return;
      case 47: {
        // One module twice.
        const at::Tensor w = weights({c, c, 1});
        const std::string p = "p" + std::to_string(whole_.parameters.size());
        whole_.parameters.emplace_back(p, w);
        const std::string twice =
            module("torch.relu(torch.conv1d(x, self.w)) + 0.1 * x", {{"w", w}});
        const std::string conv = "torch.relu(torch.conv1d(";
        add(twice + "(" + twice + "(" + t + "))",
            "w = " + conv + t + ", self." + p + ")) + 0.1 * " + t + "\n" + conv + "w, self." + p +
                ")) + 0.1 * w",
            c, l);
        return;
      }
      case 48:
        add("d = {'a': " + t + ", 'b': " + u + "}\nd['b'] = d['a'] * 0.5 - d['b']\nd['b'].tanh()",
            "torch.tanh(torch.rsub(" + u + ", " + t + " * 0.5))", c, l);
        return;
      default:
        add(t + " * torch.rsqrt((" + u + " * " + u + ").mean(1, keepdim=True) + 0.1)",
            t + " / torch.sqrt((" + u + " * " + u + ").mean(1, keepdim=True) + 0.1)", c, l);
    }
  }

  std::mt19937 random_;
  Part whole_;
  std::array<std::string, 2> lines_;
  std::vector<Variable> variables_;
  int count_ = 0;
};

}  // namespace nets
