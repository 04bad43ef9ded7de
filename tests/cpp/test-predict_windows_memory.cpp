// Edits of long sequences within what a call may use of memory: where the original's activations do
// not fit they are not kept, and windows are taken as long as they still cost less than whole
// copies.
#include <string>

#include "catch.h"
#include "core/methods/predict_windows.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "counted_memory.h"
#include "edited.h"

using namespace nets;

namespace {

constexpr int64_t edited_length = 8192;
constexpr int64_t edited_channels = 16;
constexpr int64_t edited_layers = 24;
// Of a sequence, in double; and of all that is kept of it, at least a convolution and a sum a
// layer.
constexpr int64_t one_activation = 8 * edited_channels * edited_length;
constexpr int64_t kept_bytes = 2 * edited_layers * one_activation;

// Layers that look at two neighbours each: windows stay narrow, while activations are many.
ModelPointer many_layers() {
  std::string body = "h = torch.conv1d(x, self.stem, None, [1], [1])\n";
  for (int64_t i = 0; i < edited_layers; ++i) {
    body += "h = h + torch.conv1d(h, self.w, None, [1], [1]).tanh()\n";
  }
  return forward(body + "return h.mean(2)",
                 {{"stem", numbers({edited_channels, 4, 3}, 1)},
                  {"w", numbers({edited_channels, edited_channels, 3}, 2) * 0.1}});
}

struct CalledOnce {
  seqlift::PredictWindowsResult result;
  int64_t most = 0;  // bytes of LibTorch's at once
};

class WindowCalls {
 public:
  using Options = seqlift::PredictWindowsOptions;

  WindowCalls() {
    sequences_.count = X_.size(0);
    sequences_.X = [this](int64_t begin, int64_t end) { return X_.narrow(0, begin, end - begin); };
    edits_ = random_windows(X_, 1, 1200, 4);
    run(Options::Method::full, 1, 2);  // so that the check of the batch is done
  }

  // Of the first `count` edits.
  CalledOnce run(Options::Method method, int threads, int64_t count) {
    Options options;
    options.method = method;
    options.batch_size = 1;
    options.work.threads = threads;
    const auto first = [&](const std::vector<int64_t>& all) {
      return std::vector<int64_t>(all.begin(), all.begin() + count);
    };
    const CountedMemory counted;
    CalledOnce called;
    called.result = seqlift::predict_windows(
        *graph_, constants_, sequences_,
        {first(edits_.row), first(edits_.start), edits_.content.narrow(0, 0, count), {}}, options);
    called.most = counted.most();
    return called;
  }

 private:
  const at::Tensor X_ = sequences(2, edited_length, 6);
  const ModelPointer net_ = many_layers();
  std::shared_ptr<const seqlift::Graph> graph_ = seqlift::build_graph(net_, {});
  seqlift::Constants constants_{net_->dtype, at::kDouble, at::Device(at::kCPU)};
  seqlift::Sequences sequences_;
  Edits edits_;
};

double largest_gap(const CalledOnce& a, const CalledOnce& b) {
  return (a.result.outputs.at(0) - b.result.outputs.at(0)).abs().max().item<double>();
}

}  // namespace

TEST_CASE(
    "the original of windows is kept where there is memory for it, else evaluated with each batch",
    "[predict_windows]") {
  using Method = WindowCalls::Options::Method;
  WindowCalls calls;
  constexpr int64_t edits = 1200;
  const CalledOnce plenty = calls.run(Method::automatic, 1, edits);
  CHECK(plenty.result.evaluated_whole == 0);
  CHECK(plenty.most > kept_bytes);
  const Budget budget(kept_bytes / 2);
  for (const Method method : {Method::automatic, Method::incremental}) {
    const CalledOnce little = calls.run(method, 1, edits);
    // Batches of several windows cost less than as many copies, with the original in each.
    CHECK(little.result.evaluated_whole == 0);
    CHECK(little.most < kept_bytes / 2);
    CHECK(largest_gap(little, plenty) < 1e-12);
    CHECK(little.result.done_work == plenty.result.done_work);  // of the windows
  }
}

TEST_CASE("threads share what there is memory for", "[predict_windows]") {
  using Method = WindowCalls::Options::Method;
  WindowCalls calls;
  constexpr int64_t edits = 1200;
  const CalledOnce plenty = calls.run(Method::automatic, 3, edits);
  const Budget budget(3 * kept_bytes / 2);  // for one original, not for two
  const CalledOnce one = calls.run(Method::automatic, 3, edits);
  CHECK(one.most < 3 * kept_bytes / 2);
  CHECK(plenty.most > 3 * kept_bytes / 2);
  CHECK(largest_gap(one, plenty) == 0);
  CHECK(one.result.done_work == plenty.result.done_work);
}
