// Devices other than the CPU give what the CPU gives. The section [cuda] runs where there is CUDA;
// the same comparisons run everywhere on a device that stands in for one.

#include <string>
#include <utility>
#include <vector>

#include "catch.h"
#include "core/methods/audit.h"
#include "core/methods/deep_lift.h"
#include "core/methods/gradients.h"
#include "core/methods/path_gradients.h"
#include "core/methods/predict_windows.h"
#include "core/model/model.h"
#include "core/numeric/device.h"
#include "core/numeric/tensor_functions.h"
#include "edited.h"
#include "inputs.h"
#include "limited_memory.h"
#include "skip.h"
#include "stand_in_device.h"

using namespace nets;

namespace {

using Numbers = std::vector<std::pair<std::string, at::Tensor>>;

struct Place {
  at::Device device;
  at::ScalarType dtype = at::kDouble;
};

seqlift::Constants constants_at(const ModelPointer& net, const Place& place) {
  return {net->dtype, place.dtype, place.device};
}

Numbers explained_at(const ModelPointer& net, const Given& given, const Place& place,
                     bool module_mode = false) {
  seqlift::Constants constants = constants_at(net, place);
  seqlift::DeepLiftShapOptions options;
  options.output = seqlift::DeepLiftShapOptions::Output::contributions;
  options.module_mode = module_mode;
  options.batch_size = 5;
  options.work.threads = place.device.is_cpu() ? 1 : 2;
  const auto result =
      seqlift::deep_lift_shap(*graph_of(net), constants, sequences_of(given.X, given.args),
                              references_of(given.references), options);
  return {{"predictions", result.predictions},
          {"reference predictions", result.reference_predictions},
          {"multipliers", result.values},
          {"deltas", result.deltas}};
}

Numbers predicted_at(const ModelPointer& net, const Given& given, const Place& place) {
  seqlift::Constants constants = constants_at(net, place);
  seqlift::PredictOptions options;
  options.batch_size = 8;
  options.work.threads = place.device.is_cpu() ? 1 : 2;
  Numbers numbers;
  for (const at::Tensor& output :
       seqlift::predict(*graph_of(net), constants, sequences_of(given.X, given.args), options)) {
    numbers.emplace_back("output", output);
  }
  return numbers;
}

Numbers mutated_at(const ModelPointer& net, const Given& given, const Place& place,
                   seqlift::PredictWindowsOptions::Method method) {
  seqlift::Constants constants = constants_at(net, place);
  const Edits all = all_substitutions(given.X);
  const seqlift::WindowEdits edits{all.row, all.start, all.content};
  seqlift::PredictWindowsOptions options;
  options.method = method;
  const auto result = seqlift::predict_windows(*graph_of(net), constants,
                                               sequences_of(given.X, given.args), edits, options);
  return {{"edited copies", result.outputs[0]}};
}

Numbers gradients_at(const ModelPointer& net, const Given& given, const Place& place) {
  seqlift::Constants constants = constants_at(net, place);
  const auto sequences = sequences_of(given.X, given.args);
  seqlift::GradientOptions options;
  options.batch_size = 4;
  seqlift::NoiseOptions noise;
  noise.samples = 3;
  seqlift::PathOptions path;
  path.quadrature = seqlift::quadrature(seqlift::QuadratureRule::gauss_legendre, 4);
  path.gradients = options;
  const auto integrated = seqlift::path_gradients(*graph_of(net), constants, sequences,
                                                  references_of(given.references), path);
  return {
      {"gradients", seqlift::gradients(*graph_of(net), constants, sequences, options).values[0]},
      {"smooth gradients",
       seqlift::smooth_gradients(*graph_of(net), constants, sequences, noise, options).values[0]},
      {"integrated gradients", integrated.values[0]},
      {"deltas of integrated gradients", integrated.deltas[0]}};
}

Numbers deep_lifted_at(const ModelPointer& net, const Given& given, const Place& place) {
  seqlift::Constants constants = constants_at(net, place);
  seqlift::DeepLiftOptions options;
  options.batch_size = 5;
  const auto result =
      seqlift::deep_lift(*graph_of(net), constants, sequences_of(given.X, given.args),
                         references_of(given.references), options);
  return {{"DeepLIFT contributions", result.values}, {"DeepLIFT deltas", result.deltas}};
}

Numbers audited_at(const ModelPointer& net, const Given& given, const Place& place) {
  seqlift::Constants constants = constants_at(net, place);
  const auto result = seqlift::audit(*graph_of(net), constants, sequences_of(given.X, given.args),
                                     references_of(given.references), {});
  return {{"audited changes", result.changes}, {"audited deltas", result.deltas}};
}

// max |a - b| by max(1, |a|).
double apart(const at::Tensor& a, const at::Tensor& b) {
  return distance(a / a.abs().clamp_min(1), b / a.abs().clamp_min(1));
}

void compare(const Numbers& expected, const Numbers& found, double most) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    INFO(expected[i].first);
    CHECK(found[i].second.is_cpu());
    CHECK(apart(expected[i].second.to(at::kDouble), found[i].second.to(at::kDouble)) < most);
  }
}

// Two convolutions, batch normalisation, an overlapping max pool and a dense layer.
ModelPointer convolutional() {
  return forward(
      "h = torch.relu(torch.conv1d(x, self.a, self.b, padding=2))\n"
      "h = torch.batch_norm(h, self.g, self.b, self.m, self.v, False, 0.1, 1e-5, True)\n"
      "h = torch.max_pool1d(h, [3], [2], [1])\n"
      "h = torch.gelu(torch.conv1d(h, self.c, padding=1))\n"
      "return torch.matmul(h.mean([2]), self.d)",
      {{"a", numbers({6, 4, 5}, 1)},
       {"b", numbers({6}, 2)},
       {"g", numbers({6}, 3, 0.5, 1.5)},
       {"m", numbers({6}, 4)},
       {"v", numbers({6}, 5, 0.5, 1.5)},
       {"c", numbers({8, 6, 3}, 6)},
       {"d", numbers({8, 2}, 7)}});
}

// What a trace holds: another device written in, a table made on the way, a single number.
ModelPointer with_places() {
  return forward(
      "n = x.size(2)\n"
      "place = torch.arange(n, dtype=x.dtype, device=torch.device('cpu')) * 0.1\n"
      "other = torch.zeros([4, 1])\n"
      "scale = torch.tensor([0.5, 1.0, 1.5, 2.0])\n"
      "h = x * (place + other).to(x.dtype) * scale.to(x.dtype).unsqueeze(1)\n"
      "h = torch.where(h > 0.3, h, torch.zeros_like(h) + 0.1)\n"
      "return torch.tanh(h.flatten(1)).sum(1, True)");
}

// A control track beside X.
ModelPointer with_control() {
  Part whole;
  whole.parameters = {{"w", numbers({3, 4, 3}, 1)}};
  whole.source =
      "def forward(self, x: Tensor, control: Tensor):\n"
      "    h = torch.sigmoid(torch.conv1d(x, self.w, padding=1)) * control\n"
      "    return h.flatten(1).exp().sum(1, True)\n";
  return model(whole);
}

std::vector<Case> whole_table() {
  std::vector<Case> all;
  for (const auto& cases :
       {linear_cases(), convolution_cases(), elementwise_cases(), product_cases(), max_cases(),
        softmax_cases(), normalisation_cases(), norm_cases(), reduce_cases(), several_cases(),
        loss_cases(), condition_cases(), order_cases(), recurrent_cases(), attention_cases()}) {
    all.insert(all.end(), cases.begin(), cases.end());
  }
  return all;
}

void check_table(const at::Device& device) {
  const Given pairs = given(3, 4, 9);
  for (const Case& one : whole_table()) {
    INFO(one.op << ": " << one.lines);
    const auto net = around(one.lines, one.parameters);
    const Numbers expected = explained_at(net, pairs, {at::kCPU});
    CHECK(error_of([&]() { compare(expected, explained_at(net, pairs, {device}), 1e-10); }) == "");
  }
}

// All that the core computes, in float64.
void check_whole_nets(const at::Device& device) {
  using Method = seqlift::PredictWindowsOptions::Method;
  Given pairs = given(3, 4, 12);
  const Place there{device};
  for (const auto& net : {convolutional(), with_places()}) {
    compare(predicted_at(net, pairs, {at::kCPU}), predicted_at(net, pairs, there), 1e-10);
    compare(explained_at(net, pairs, {at::kCPU}), explained_at(net, pairs, there), 1e-10);
    compare(explained_at(net, pairs, {at::kCPU}, true), explained_at(net, pairs, there, true),
            1e-10);
    for (const Method method : {Method::incremental, Method::full}) {
      compare(mutated_at(net, pairs, {at::kCPU}, method), mutated_at(net, pairs, there, method),
              1e-10);
    }
    compare(gradients_at(net, pairs, {at::kCPU}), gradients_at(net, pairs, there), 1e-10);
    compare(audited_at(net, pairs, {at::kCPU}), audited_at(net, pairs, there), 1e-10);
  }
  compare(deep_lifted_at(convolutional(), pairs, {at::kCPU}),
          deep_lifted_at(convolutional(), pairs, there), 1e-10);
  pairs.args = {numbers({3, 1, 12}, 9)};
  const auto controlled = with_control();
  compare(predicted_at(controlled, pairs, {at::kCPU}), predicted_at(controlled, pairs, there),
          1e-10);
  compare(explained_at(controlled, pairs, {at::kCPU}), explained_at(controlled, pairs, there),
          1e-10);
  compare(gradients_at(controlled, pairs, {at::kCPU}), gradients_at(controlled, pairs, there),
          1e-10);
}

// What is asked of CUDA, or false with a word on why not.
bool found_cuda() {
  if (at::hasCUDA()) {
    return true;
  }
  skip("no CUDA device");
  return false;
}

bool found_stand_in() {
  if (has_stand_in()) {
    return true;
  }
  skip("the stand-in for a device is written for LibTorch 1.13");
  return false;
}

}  // namespace

TEST_CASE("every operation of the table gives on CUDA what it gives on the CPU", "[device][cuda]") {
  if (found_cuda()) {
    check_table(seqlift::device_of("cuda"));
  }
}

TEST_CASE("whole nets give on CUDA what they give on the CPU", "[device][cuda]") {
  if (found_cuda()) {
    check_whole_nets(seqlift::device_of("cuda"));
  }
}

TEST_CASE("float32 on CUDA keeps summation to delta to five digits", "[device][cuda]") {
  if (!found_cuda()) {
    return;
  }
  const Given pairs = given(3, 4, 12);
  const Place there{seqlift::device_of("cuda"), at::kFloat};
  for (const auto& net : {convolutional(), with_places()}) {
    const Numbers expected = explained_at(net, pairs, {at::kCPU});
    compare(expected, explained_at(net, pairs, there), 1e-4);
  }
}

TEST_CASE("free memory of CUDA is told and batches are sized to it", "[device][cuda]") {
  if (!found_cuda()) {
    return;
  }
  const at::Device device = seqlift::device_of("cuda");
  const auto free = seqlift::free_memory(device);
  REQUIRE(free);
  CHECK(*free > 0);
  seqlift::BatchOptions options;
  options.most = 1024;
  seqlift::Batches batches(device, options);
  CHECK(batches.limit() == 1);
  batches.run(0, 2048, [&](int64_t begin, int64_t end) {
    // A sixteenth of what is free for each row: no thousand of them fit.
    at::zeros({end - begin, *free / 16}, at::TensorOptions(at::kByte).device(device));
  });
  CHECK(batches.limit() >= 1);
  CHECK(batches.limit() < 16);
}

TEST_CASE("an operation on the stand-in device and the CPU together fails", "[device]") {
  if (!found_stand_in()) {
    return;
  }
  const at::Tensor there = at::ones({2, 3}, at::TensorOptions(at::kDouble)).to(stand_in());
  CHECK_FALSE(there.is_cpu());
  CHECK(distance((there * 2).to(at::kCPU), 2 * at::ones({2, 3}, at::kDouble)) == 0);
  CHECK_THROWS(there + at::ones({2, 3}, at::kDouble));
  CHECK_THROWS(there.index_select(0, at::zeros({1}, at::kLong)));
}

TEST_CASE("every operation of the table runs where X is, with nothing left on the CPU",
          "[device]") {
  if (!found_stand_in()) {
    return;
  }
  const long before = stand_in_operations();
  check_table(stand_in());
  CHECK(stand_in_operations() > before + 10000);
}

TEST_CASE("whole nets run where X is, with nothing left on the CPU", "[device]") {
  if (!found_stand_in()) {
    return;
  }
  const long before = stand_in_operations();
  check_whole_nets(stand_in());
  CHECK(stand_in_operations() > before + 1000);
}

TEST_CASE("a batch that runs out of memory is run again in halves, and the rest no larger",
          "[device]") {
  seqlift::BatchOptions options;
  options.most = 16;
  seqlift::Batches batches(at::kCPU, options);
  std::vector<std::pair<int64_t, int64_t>> done;
  std::vector<int64_t> tried;
  const auto run = [&](int64_t begin, int64_t end) {
    tried.push_back(end - begin);
    if (end - begin > 5) {
      throw std::runtime_error("CUDA out of memory. Tried to allocate 2.00 GiB");
    }
    done.emplace_back(begin, end);
  };
  batches.run(0, 10, run);
  CHECK(tried == std::vector<int64_t>{10, 5, 5});
  CHECK(done == std::vector<std::pair<int64_t, int64_t>>{{0, 5}, {5, 10}});
  CHECK(batches.limit() == 5);
  tried.clear();
  batches.run(10, 22, run);
  CHECK(tried == std::vector<int64_t>{5, 5, 2});
}

TEST_CASE("only want of memory is tried again", "[device]") {
  seqlift::Batches batches(at::kCPU, {});
  int calls = 0;
  const auto failing = [&](const char* message) {
    return error_of([&]() {
      batches.attempt(8, [&]() {
        ++calls;
        throw seqlift::Error("evaluation", message);
      });
    });
  };
  CHECK(failing("something else") == "evaluation: something else");
  CHECK(failing("words that quote: out of memory") ==
        "evaluation: words that quote: out of memory");
  CHECK(calls == 2);
  CHECK(batches.limit() == 32);
  CHECK_FALSE(seqlift::is_out_of_memory(std::runtime_error("cuDNN error: CUDNN_STATUS_BAD_PARAM")));
  CHECK(seqlift::is_out_of_memory(std::runtime_error("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")));
  CHECK(seqlift::is_out_of_memory(std::bad_alloc()));
}

TEST_CASE("where the smallest batch does not fit the error names place, rows and what to do",
          "[device]") {
  const auto failing = [](int64_t rows, int64_t least) {
    seqlift::BatchOptions options;
    options.least = least;
    return error_of([&]() {
      seqlift::Batches batches(at::kCPU, options);
      while (!batches.attempt(std::min(batches.limit(), rows), []() { throw std::bad_alloc(); })) {
      }
    });
  };
  CHECK(failing(8, 1).find("memory: There is not enough memory on cpu for a batch of 1: ") == 0);
  const std::string whole = failing(8, 8);
  CHECK(whole.find("memory: There is not enough memory on cpu for a batch of 8: ") == 0);
  CHECK(whole.find("choose a smaller `batch_size`") != std::string::npos);
}

TEST_CASE("on a device batches are sized by what the first one takes of the free memory",
          "[device]") {
  int64_t free = 1000;
  seqlift::BatchOptions options;
  options.most = 64;
  options.free = [&]() { return std::optional<int64_t>(free); };
  seqlift::Batches batches(stand_in(), options);
  std::vector<int64_t> rows;
  const auto run = [&](int64_t begin, int64_t end) {
    rows.push_back(end - begin);
    // A row takes 20, which LibTorch's cache keeps.
    free = std::min(free, 1000 - 20 * (end - begin));
  };
  batches.run(0, 100, run);
  CHECK(rows == std::vector<int64_t>{1, 45, 45, 9});
  // Where rows take nothing that can be seen, batches are as large as was asked for.
  seqlift::Batches cached(stand_in(), options);
  rows.clear();
  cached.run(0, 100, [&](int64_t begin, int64_t end) { rows.push_back(end - begin); });
  CHECK(rows == std::vector<int64_t>{1, 64, 35});
}

TEST_CASE("what the core computes does not depend on how much memory there is", "[device]") {
  using Method = seqlift::PredictWindowsOptions::Method;
  const auto net = convolutional();
  Given pairs = given(6, 7, 24);  // more than the check of batches takes
  const Place here{at::kCPU};
  const std::vector<std::function<Numbers()>> all{
      [&]() { return predicted_at(net, pairs, here); },
      [&]() { return explained_at(net, pairs, here); },
      [&]() { return mutated_at(net, pairs, here, Method::full); },
      [&]() { return mutated_at(net, pairs, here, Method::incremental); },
      [&]() { return gradients_at(net, pairs, here); },
      [&]() { return deep_lifted_at(net, pairs, here); }};
  for (size_t i = 0; i < all.size(); ++i) {
    INFO("method " << i);
    all[i]();  // the model's weights in other layouts are not counted
    int64_t most = 0;
    Numbers expected;
    {
      const LimitedMemory memory;
      expected = all[i]();
      most = memory.most();
    }
    Numbers found;
    int64_t refused = 0;
    {
      const LimitedMemory memory(most - most / 8);
      found = all[i]();
      refused = memory.refused();
    }
    compare(expected, found, 1e-12);
    CHECK(refused > 0);
  }
}

TEST_CASE("an evaluation without enough memory for one sequence says so", "[device]") {
  const auto net = convolutional();
  const Given pairs = given(3, 4, 12);
  std::string error;
  {
    const LimitedMemory memory(512);
    error = error_of([&]() { predicted_at(net, pairs, {at::kCPU}); });
  }
  CHECK(error.find("memory: There is not enough memory on cpu for a batch of 2") == 0);
}
