// Edits evaluated in windows give what LibTorch's own interpreter gives of the edited sequences.

#include <atomic>
#include <random>

#include "catch.h"
#include "core/base/error.h"
#include "core/methods/edited_copies.h"
#include "core/methods/predict_windows.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "edited.h"

using namespace nets;

namespace {

constexpr double rounding = 1e-12;

// A net of operations that keep windows, in layers of random kinds and sizes.
struct Layers {
  explicit Layers(uint32_t seed) : random(seed) {}

  int64_t below(int64_t limit) {
    return static_cast<int64_t>(random() % static_cast<uint32_t>(limit));
  }

  std::string parameter(const std::vector<int64_t>& sizes) {
    double inputs = 1;
    for (size_t d = 1; d < sizes.size(); ++d) {
      inputs *= static_cast<double>(sizes[d]);
    }
    const std::string name = "p" + std::to_string(static_cast<int64_t>(parameters.size()));
    const double width = 2 / std::sqrt(inputs);
    parameters.emplace_back(name, numbers(sizes, static_cast<int64_t>(random()), -width, width));
    return "self." + name;
  }

  void line(const std::string& text) { body += text + "\n"; }

  void convolution() {
    const int64_t kernel = 1 + below(6);
    const int64_t dilation = 1 + below(3);
    const int64_t reach = dilation * (kernel - 1);
    const int64_t padding = below(3) == 0 ? 0 : below(reach + 2);
    const int64_t stride = below(4) == 0 ? 2 : 1;
    const int64_t after = (length + 2 * padding - reach - 1) / stride + 1;
    if (length + 2 * padding - reach < 1 || after < 4) {
      return;
    }
    const int64_t groups = channels % 2 == 0 && below(4) == 0 ? 2 : 1;
    const int64_t out = 2 * (1 + below(3));
    const std::string w = parameter({out, channels / groups, kernel});
    const std::string b = parameter({out});
    const std::string rest = std::to_string(stride) + "], [" + std::to_string(padding) + "], [" +
                             std::to_string(dilation) + "], " + std::to_string(groups) + ")";
    if (below(3) == 0) {
      line("h = torch.conv2d(h.unsqueeze(2), " + w + ".unsqueeze(2), " + b + ", [1, " +
           std::to_string(stride) + "], [0, " + std::to_string(padding) + "], [1, " +
           std::to_string(dilation) + "], " + std::to_string(groups) + ").squeeze(2)");
    } else {
      line("h = torch.conv1d(h, " + w + ", " + b + ", [" + rest);
    }
    channels = out;
    length = after;
  }

  void residual() {
    const int64_t dilation = 1 << below(4);
    const std::string w = parameter({channels, channels, 3});
    line("h = h + torch.relu(torch.conv1d(h, " + w + ", None, [1], [" + std::to_string(dilation) +
         "], [" + std::to_string(dilation) + "]))");
  }

  void pool() {
    const int64_t kernel = 2 + below(3);
    const int64_t stride = 1 + below(3);
    const int64_t padding = below(2) * (kernel / 2);
    if (length + 2 * padding < kernel + 4 * stride) {
      return;
    }
    const bool ceil = below(3) == 0;
    const bool largest = below(2) == 0;
    const int64_t span = length + 2 * padding - kernel + (ceil ? stride - 1 : 0);
    int64_t after = span / stride + 1;
    after -= ceil && (after - 1) * stride >= length + padding ? 1 : 0;
    const std::string rest = "[" + std::to_string(kernel) + "], [" + std::to_string(stride) +
                             "], [" + std::to_string(padding) + "], ";
    line(largest ? "h = torch.max_pool1d(h, " + rest + "[1], " + (ceil ? "True)" : "False)")
                 : "h = torch.avg_pool1d(h, " + rest + (ceil ? "True)" : "False)"));
    length = after;
  }

  void step() {
    const std::string c = std::to_string(channels);
    switch (below(22)) {
      case 0:
      case 1:
      case 2:
        return convolution();
      case 3:
      case 4:
        return residual();
      case 5:
      case 6:
        return pool();
      case 7:
        return line("h = torch.relu(h)");
      case 8:
        return line("h = torch.gelu(h) + 0.3");
      case 9:
        return line("h = torch.batch_norm(h, " + parameter({channels}) + ", " +
                    parameter({channels}) + ", " + parameter({channels}) + ", torch.abs(" +
                    parameter({channels}) + ") + 0.5, False, 0.1, 1e-5, False)");
      case 10:
        line("h = torch.cat([h, torch.tanh(h)], 1)[:, 1:]");
        channels = 2 * channels - 1;
        return;
      case 11:
        if (length > 8) {
          const int64_t crop = 1 + below(3);
          line("h = h[:, :, " + std::to_string(crop) + ":-" + std::to_string(crop) + "]");
          length -= 2 * crop;
        }
        return;
      case 12:
        return line("h = (torch.tanh(h) + torch.sin(h.flip([1, 2])).flip([1, 2])) / 2.0");
      case 13:
        line("h = torch.constant_pad_nd(h, [2, 1], 0.7)");
        length += 3;
        return;
      case 14:
        return line("h = torch.softmax(h, 1) * h");
      case 15:
        return line("h = torch.layer_norm(h.transpose(1, 2), [" + c + "]).transpose(1, 2)");
      case 16:
        if (channels % 2 == 0) {
          line("a, b = torch.chunk(h, 2, 1)\nh = a * torch.sigmoid(b)");
          channels /= 2;
        }
        return;
      case 17:
        return line("h = torch.matmul(h.transpose(1, 2), " + parameter({channels, channels}) +
                    ").transpose(1, 2)");
      case 18:
        // Positions that the code tells apart.
        return line("h = h * " + parameter({1, 1, length}) + " + " + parameter({channels, length}));
      case 19:
        // Every position reaches every other: no windows from here on.
        return below(3) == 0 ? line("h = h * torch.sigmoid(h.mean(2, keepdim=True))") : residual();
      case 20:
        line("h = torch.cat([h, h * 0.5], 2)");
        length *= 2;
        return;
      default:
        return line("h = torch.maximum(h, 0.2 * h) - torch.relu(h - 0.4)");
    }
  }

  ModelPointer make(int64_t input_length) {
    channels = 4;
    length = input_length;
    const int64_t steps = 3 + below(8);
    line("h = x");
    convolution();
    for (int64_t i = 0; i < steps; ++i) {
      step();
      while (length > 60) {
        line("h = torch.max_pool1d(h, [2])");
        length /= 2;
      }
    }
    switch (below(6)) {
      case 0:
        line("y = torch.matmul(h.mean(2), " + parameter({channels, 3}) + ")");
        break;
      case 1:
        line("y = torch.linear(h.flatten(1), " + parameter({3, channels * length}) + ")");
        break;
      case 2:
        line("y = torch.relu(h).flatten(1)\ny = torch.linear(y, " +
             parameter({5, channels * length}) + ", " + parameter({5}) + ")");
        break;
      case 3:
        line("y = torch.max(h, 2)[0]");
        break;
      case 4:
        line("y = torch.adaptive_avg_pool1d(h, [1]).squeeze(2)");
        break;
      default:
        line("y = h[:, 0] + h[:, -1]");
    }
    line("return y");
    Part part;
    part.source = "def forward(self, x: Tensor):\n" + indented(body);
    part.parameters = parameters;
    return model(part);
  }

  std::mt19937 random;
  Tensors parameters;
  std::string body;
  int64_t channels = 4;
  int64_t length = 0;
};

}  // namespace

TEST_CASE("random layers: windows equal whole copies at every position", "[predict_windows]") {
  int64_t in_windows = 0;
  double most = 0;
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    Layers layers(seed);
    const int64_t length = 17 + static_cast<int64_t>(seed % 40);
    std::string error;
    Edited found;
    Edited wide;
    Edited several;
    try {
      const ModelPointer net = layers.make(length);
      const at::Tensor X = one_hot(1 + seed % 2, length, seed).to(at::kDouble);
      found = edited(net, X, all_substitutions(X));
      wide = edited(net, X, random_windows(X, 1 + seed % 9, 12, seed));
      several = edited(net, X, random_edits(X, 1 + seed % 17, 10, seed));
    } catch (const std::exception& caught) {
      error = std::string(caught.what()).substr(0, 400);
    }
    INFO("seed " << seed << ", " << length << " bp\n" << layers.body);
    CHECK(error == "");
    CHECK(found.apart < rounding);
    CHECK(wide.apart < rounding);
    CHECK(several.apart < rounding);
    CHECK(found.originals_as_predicted);
    CHECK(several.originals_as_predicted);
    CHECK(found.whole == 0);
    in_windows += found.share < 0.7 ? 1 : 0;
    most = std::max(most, found.effect);
  }
  // Most of these nets have something to save, and edits change what they predict.
  CHECK(in_windows > 100);
  CHECK(most > 0.1);
}

TEST_CASE("random layers: insertions and deletions equal whole copies at every position",
          "[predict_windows]") {
  double share = 0;
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    Layers layers(seed);
    // Longer ones come in several sizes of wide edits.
    const int64_t length = seed % 5 == 0 ? 150 : 17 + static_cast<int64_t>(seed % 40);
    std::string error;
    Edited found;
    try {
      const ModelPointer net = layers.make(length);
      const at::Tensor X = one_hot(1 + seed % 2, length, seed).to(at::kDouble);
      found = edited(net, X, all_shifts(X, seed));
    } catch (const std::exception& caught) {
      error = std::string(caught.what()).substr(0, 400);
    }
    INFO("seed " << seed << ", " << length << " bp\n" << layers.body);
    CHECK(error == "");
    CHECK(found.apart < rounding);
    CHECK(found.whole == 0);
    share += found.share / 150;
  }
  // What is before the first changed base is left out.
  CHECK(share < 0.9);
}

namespace {

// [n, 4, L] in float64, where the numbers can be compared to rounding.
at::Tensor sequences(int64_t n, int64_t length, int64_t seed) {
  return one_hot(n, length, seed).to(at::kDouble);
}

}  // namespace

TEST_CASE("a dense layer moves by the columns of the changed positions", "[predict_windows]") {
  // y = sum over bases and positions of w x, w = 0, 1, 2, ... : base b at position p for base a
  // changes y by w[b, p] - w[a, p] = 5 (b - a).
  const at::Tensor w = at::arange(20, at::kDouble).view({1, 20});
  const ModelPointer net = forward("return torch.linear(x.flatten(1), self.w)", {{"w", w}});
  const at::Tensor X = at::zeros({1, 4, 5}, at::kDouble);
  X.select(1, 0).fill_(1);
  const Edited found = edited(net, X, all_substitutions(X));
  CHECK(found.apart < rounding);
  CHECK(found.effect == 15);
  CHECK(found.whole == 0);
}

TEST_CASE("a crop leaves out what it does not look at", "[predict_windows]") {
  const Tensors parameters{{"a", numbers({8, 4, 5}, 1)}, {"b", numbers({8, 8, 5}, 2)}};
  const std::string layers =
      "h = torch.relu(torch.conv1d(x, self.a, None, [1], [2]))\n"
      "h = torch.relu(torch.conv1d(h, self.b, None, [1], [2]))\n";
  const at::Tensor X = sequences(1, 200, 5);
  const auto share = [&](const std::string& end) {
    const ModelPointer net = forward(layers + end, parameters);
    const Edited found = edited(net, X, all_substitutions(X));
    CHECK(found.apart < rounding);
    return found.share;
  };
  const double all = share("return h.mean(2)");
  const double cropped = share("return h[:, :, 90:110].mean(2)");
  CHECK(all < 0.1);
  CHECK(cropped < 0.6 * all);
}

TEST_CASE("values that another input makes are the same for every copy", "[predict_windows]") {
  Part part;
  part.source =
      "def forward(self, x: Tensor, track: Tensor, kind: Tensor):\n"
      "    t = torch.relu(track) * 2.0\n"
      "    h = torch.relu(torch.conv1d(x, self.w, None, [1], [1])) * torch.sigmoid(t)\n"
      "    h = torch.cat([h, t], 1)\n"
      "    return torch.cat([h.mean(2), kind * kind], 1)\n";
  part.parameters = {{"w", numbers({3, 4, 3}, 4)}};
  const ModelPointer net = model(part);
  const at::Tensor X = sequences(3, 30, 6);
  const std::vector<at::Tensor> args{numbers({3, 1, 30}, 7), numbers({3, 2}, 8)};
  const Edited found = edited(net, X, all_substitutions(X), args);
  CHECK(found.apart < rounding);
  CHECK(found.share < 0.5);
  CHECK(found.whole == 0);
}

TEST_CASE("a model that writes into what it still looks at is evaluated whole",
          "[predict_windows]") {
  const ModelPointer net =
      forward("h = torch.conv1d(x, self.w)\nv = h[:, 0]\nv += h[:, 1].tanh()\nreturn h.sum([1, 2])",
              {{"w", numbers({3, 4, 3}, 4)}});
  const at::Tensor X = sequences(1, 20, 6);
  const Edited found = edited(net, X, all_substitutions(X));
  CHECK(found.apart < rounding);
  CHECK(found.whole > 0);
}

TEST_CASE("infinite activations have no differences and are evaluated whole", "[predict_windows]") {
  // log(0) at every position that is not an A; masked later.
  const ModelPointer net = forward(
      "h = torch.log(x[:, 0:1])\nh = torch.where(h > -10.0, h + 1.0, torch.zeros_like(h))\n"
      "return torch.conv1d(h, self.w).tanh().sum(2)",
      {{"w", numbers({2, 1, 3}, 4)}});
  const at::Tensor X = sequences(2, 20, 6);
  const Edited found = edited(net, X, all_substitutions(X));
  CHECK(found.apart < rounding);
  CHECK(found.effect > 0.1);
}

TEST_CASE("a model that squeezes keeps a single copy's row", "[predict_windows]") {
  const ModelPointer net = forward("h = torch.conv1d(x, self.w).mean(2)\nreturn h.squeeze()",
                                   {{"w", numbers({1, 4, 3}, 4)}});
  const at::Tensor X = sequences(1, 12, 6);
  const Edits one = random_windows(X, 2, 1, 3);
  CHECK(edited(net, X, one).apart == 1e9);  // LibTorch's own answer has no row
  const Edits two = random_windows(X, 2, 2, 3);
  CHECK(edited(net, X, two).apart < rounding);
}

TEST_CASE("sequences without an edit are predicted as they are", "[predict_windows]") {
  Layers layers(11);
  const ModelPointer net = layers.make(50);
  const at::Tensor X = sequences(5, 50, 6);
  using Method = seqlift::PredictWindowsOptions::Method;
  seqlift::Constants constants(net->dtype, at::kDouble, at::Device(at::kCPU));
  seqlift::Sequences all;
  all.count = 5;
  all.X = [X](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
  const auto graph = seqlift::build_graph(net, {});
  const at::Tensor expected = interpreted(net, X)[0];
  for (const Method method : {Method::automatic, Method::incremental, Method::full}) {
    for (const int threads : {1, 2}) {
      seqlift::PredictWindowsOptions options;
      options.method = method;
      options.originals = seqlift::PredictWindowsOptions::Originals::batched;
      options.work.threads = threads;
      // Sequences 2 and 5 have edits, none, and one alone.
      const at::Tensor content = one_hot(3, 2, 5).to(at::kDouble);
      for (const auto& rows : {std::vector<int64_t>{1, 4, 1}, std::vector<int64_t>{}}) {
        seqlift::WindowEdits edits;
        edits.row = rows;
        edits.start.assign(rows.size(), 7);
        edits.content = content.narrow(0, 0, static_cast<int64_t>(rows.size()));
        const auto result = seqlift::predict_windows(*graph, constants, all, edits, options);
        REQUIRE(result.originals.size() == 1);
        CHECK((result.originals[0] - expected).abs().max().item<double>() < rounding);
        CHECK(result.outputs.size() == (rows.empty() ? 0 : 1));
      }
    }
  }
}

TEST_CASE("sequences predicted alone are what a batch of one gives, to the last bit",
          "[predict_windows]") {
  Layers layers(11);
  const ModelPointer net = layers.make(50);
  const at::Tensor X = sequences(5, 50, 6);
  using Options = seqlift::PredictWindowsOptions;
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    seqlift::Constants constants(net->dtype, dtype, at::Device(at::kCPU));
    seqlift::Sequences all;
    all.count = 5;
    all.X = [X](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
    const auto graph = seqlift::build_graph(net, {});
    seqlift::PredictOptions by_one;
    by_one.batch_size = 1;
    const at::Tensor expected = seqlift::predict(*graph, constants, all, by_one)[0];
    for (const auto method :
         {Options::Method::automatic, Options::Method::incremental, Options::Method::full}) {
      for (const int threads : {1, 2}) {
        Options options;
        options.method = method;
        options.originals = Options::Originals::alone;
        options.work.threads = threads;
        seqlift::WindowEdits edits;
        edits.row = {1, 4, 1};  // the others have none
        edits.start = {7, 7, 30};
        edits.content = one_hot(3, 2, 5).to(at::kDouble);
        const auto result = seqlift::predict_windows(*graph, constants, all, edits, options);
        REQUIRE(result.originals.size() == 1);
        CHECK(at::equal(result.originals[0], expected));
      }
    }
  }
}

TEST_CASE("a target that is not there is told of the first prediction", "[predict_windows]") {
  Layers layers(11);
  const ModelPointer net = layers.make(50);
  const at::Tensor X = sequences(1, 50, 6);
  seqlift::Constants constants(net->dtype, at::kDouble, at::Device(at::kCPU));
  seqlift::Sequences one;
  one.count = 1;
  one.X = [X](int64_t, int64_t) { return X; };
  const auto graph = seqlift::build_graph(net, {});
  const Edits all = all_substitutions(X);
  seqlift::PredictWindowsOptions options;
  const auto predicted = [&]() {
    return seqlift::predict_windows(*graph, constants, one, {all.row, all.start, all.content, {}},
                                    options);
  };
  const auto columns =
      static_cast<int64_t>(predicted().outputs[0].numel()) / static_cast<int64_t>(all.row.size());
  options.targets = {0, columns - 1};
  CHECK(predicted().outputs.size() == 1);
  options.targets = {columns};
  try {
    predicted();
    FAIL("nothing was thrown");
  } catch (const seqlift::Error& error) {
    CHECK(error.kind() == "target");
  }
}

TEST_CASE("an edit that changes nothing gives what the sequence gives, to the last bit",
          "[predict_windows]") {
  Layers layers(11);
  const ModelPointer net = layers.make(50);
  const at::Tensor X = sequences(1, 50, 6);
  seqlift::Constants constants(net->dtype, at::kFloat, at::Device(at::kCPU));
  seqlift::Sequences one;
  one.count = 1;
  one.X = [X](int64_t, int64_t) { return X; };
  seqlift::PredictWindowsOptions options;
  options.method = seqlift::PredictWindowsOptions::Method::incremental;
  options.originals = seqlift::PredictWindowsOptions::Originals::batched;
  seqlift::WindowEdits edits;
  edits.row = {0, 0, 0};
  edits.start = {3, 20, 44};
  edits.content = at::cat({X.narrow(2, 3, 4), X.narrow(2, 20, 4), X.narrow(2, 44, 4)});
  const auto graph = seqlift::build_graph(net, {});
  const auto result = seqlift::predict_windows(*graph, constants, one, edits, options);
  CHECK((result.outputs[0] == result.originals[0]).all().item<bool>());
}

TEST_CASE("threads and batches leave the numbers as they are, float32 to its rounding",
          "[predict_windows]") {
  Layers layers(11);
  const ModelPointer net = layers.make(50);
  const at::Tensor X = sequences(3, 50, 6);
  Settings settings;
  settings.threads = 2;
  settings.batch_size = 5;
  CHECK(edited(net, X, all_substitutions(X), {}, settings).apart < rounding);
  settings.dtype = at::kFloat;
  CHECK(edited(net, X, all_substitutions(X), {}, settings).apart < 1e-5);
}

namespace {

std::string operations_of(const seqlift::ChangeLog& log) {
  std::string text;
  for (const seqlift::CountedOperation& operation : log.operations()) {
    for (const auto& work : {operation.whole, operation.done}) {
      text += std::to_string(work.products) + " " + std::to_string(work.numbers) + " " +
              std::to_string(work.weights) + (operation.in_windows ? " w, " : ", ");
    }
  }
  return text + std::to_string(log.widest);
}

}  // namespace

TEST_CASE("shapes alone tell of the work what numbers tell", "[predict_windows]") {
  int64_t by_shapes = 0;
  const std::atomic<bool> cancelled{false};
  for (uint32_t seed = 1; seed <= 150; ++seed) {
    Layers layers(seed);
    const int64_t length = 17 + static_cast<int64_t>(seed % 40);
    const ModelPointer net = layers.make(length);
    const at::Tensor X = one_hot(1, length, seed).to(at::kDouble);
    const Edits edits = random_edits(X, 1 + seed % 17, 10, seed);
    seqlift::Constants constants(net->dtype, at::kDouble, at::Device(at::kCPU));
    seqlift::Sequences given;
    given.count = 1;
    given.X = [X](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
    const auto graph = seqlift::build_graph(net, {});
    const seqlift::WindowEdits all{edits.row, edits.start, edits.content, edits.width};
    seqlift::Batches batches(constants.device(), {});
    const seqlift::EditedCall call{*graph, constants, given, all, edits.content, batches, batches};
    for (const int64_t edit : {0, 4, 7}) {
      INFO("seed " << seed << ", " << length << " bp, edit " << edit << "\n" << layers.body);
      seqlift::EditedCopies shapes(call, 0);
      const bool measured = shapes.scout_by_shapes(edit, cancelled);
      seqlift::EditedCopies numbers(call, 0);
      numbers.scout_by_numbers(edit, cancelled);
      by_shapes += measured ? 1 : 0;
      if (measured) {
        CHECK(shapes.local() == numbers.local());
        CHECK(operations_of(shapes.log()) == operations_of(numbers.log()));
      }
      CHECK(numbers.original().empty());
    }
  }
  CHECK(by_shapes == 450);
}

TEST_CASE("code that asks for numbers is scouted by them", "[predict_windows]") {
  // Of each sequence by itself.
  const auto by_row = [](const std::string& lines) {
    return "rows: List[Tensor] = []\nfor i in range(h.size(0)):\n  r = h[i]\n" + lines +
           "  rows.append(r)\nh = torch.stack(rows)\n";
  };
  const std::vector<std::string> asking{
      by_row("  if bool(r[0, 0] > 0.1):\n    r = r * 2.0\n"),
      by_row("  r = r * float(r[1, 3])\n"),
      by_row("  r = r * torch.nonzero(r[0] > 0.2).size(0)\n"),
      by_row("  r = r + r[r > 0.1].sum()\n"),
  };
  for (const std::string& line : asking) {
    const ModelPointer net = forward(
        "h = torch.conv1d(x, self.w, None, [1], [2])\n" + line + "return torch.relu(h).mean(2)",
        {{"w", numbers({6, 4, 5}, 1)}});
    const at::Tensor X = sequences(1, 40, 3);
    INFO(line);
    const Edited found = edited(net, X, random_windows(X, 1, 12, 5));
    CHECK(found.apart < rounding);
  }
}

TEST_CASE("results do not depend on the order of sequences, to the last bit", "[predict_windows]") {
  using Method = seqlift::PredictWindowsOptions::Method;
  const Tensors parameters{
      {"a", numbers({8, 4, 5}, 1)}, {"d", numbers({16, 8 * 60}, 2)}, {"l", numbers({2, 16}, 3)}};
  const std::string head = "h = torch.relu(torch.conv1d(x, self.a, None, [1], [2]))\n";
  const std::vector<ModelPointer> nets{
      forward(head + "return h.mean(2)", {parameters[0]}),
      forward(head + "h = torch.relu(torch.linear(h.flatten(1), self.d))\n"
                     "return torch.linear(h, self.l)",
              parameters)};
  const at::Tensor X = one_hot(8, 60, 4);
  for (const ModelPointer& net : nets) {
    for (const int64_t count : {8, 40}) {
      // Of each sequence as many, in the same places.
      Edits edits = random_windows(X, 1, count, 5);
      for (int64_t i = 0; i < count; ++i) {
        edits.start[i] = (i / 8 * 13 + 5) % 60;
      }
      const auto predicted = [&](bool turned) {
        seqlift::Constants constants(net->dtype, at::kFloat, at::Device(at::kCPU));
        seqlift::Sequences given;
        given.count = 8;
        const at::Tensor own = turned ? X.flip({0}) : X;
        given.X = [own](int64_t begin, int64_t end) { return own.narrow(0, begin, end - begin); };
        seqlift::WindowEdits all{edits.row, edits.start, edits.content, {}};
        for (int64_t& row : all.row) {
          row = turned ? 7 - row : row;
        }
        seqlift::PredictWindowsOptions options;
        options.method = Method::automatic;
        options.originals = seqlift::PredictWindowsOptions::Originals::batched;
        options.work.threads = 1;
        const auto graph = seqlift::build_graph(net, {});
        const auto result = seqlift::predict_windows(*graph, constants, given, all, options);
        return std::make_pair(result.outputs[0],
                              turned ? result.originals[0].flip({0}) : result.originals[0]);
      };
      const auto one = predicted(false);
      const auto other = predicted(true);
      INFO(count << " edits");
      CHECK(at::equal(one.first, other.first));
      CHECK(at::equal(one.second, other.second));
    }
  }
}
