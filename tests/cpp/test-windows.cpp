// Every output of a profile at once (PISA): equal to one target after the other, whether its
// gradient is formed in windows or whole.

#include <numeric>

#include "catch.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;

namespace {

// A stem, dilated residual layers, a cropped profile: BPNet in small.
//
//   x -conv5- relu -+-conv3 d2- relu -+-conv3 d4- relu -+- conv5 - squeeze - crop
//                   +-----------------+-----------------+
ModelPointer profile(const std::string& head, at::ScalarType dtype = at::kDouble) {
  const auto weights = [&](const std::vector<int64_t>& sizes, int64_t seed) {
    return numbers(sizes, seed).to(dtype);
  };
  return forward(
      "h = torch.relu(torch.conv1d(x, self.a, self.b, padding=2))\n"
      "h = h + torch.relu(torch.conv1d(h, self.c, self.b, padding=2, dilation=2))\n"
      "h = torch.add(h, torch.tanh(torch.conv1d(h, self.d, self.b, padding=4, dilation=4)))\n" +
          head,
      {{"dtype_", weights({1}, 0)},
       {"a", weights({9, 4, 5}, 1)},
       {"b", weights({9}, 2)},
       {"c", weights({9, 9, 3}, 3)},
       {"d", weights({9, 9, 3}, 4)},
       {"e", weights({1, 9, 5}, 5)},
       {"f", weights({1, 11, 5}, 6)}});
}

const char* const cropped =
    "y = torch.conv1d(h, self.e, None, padding=2).squeeze(1)\nreturn y[:, 12:48]";

void check_equal(const ModelPointer& net, const Given& pairs, const std::vector<int64_t>& targets,
                 double tolerance = 1e-12, at::ScalarType dtype = at::kDouble) {
  for (const std::string output : {"multipliers", "hypothetical", "attributions"}) {
    for (const int64_t batch_size : {1, 4, 100}) {
      INFO(output << ", batch size " << batch_size);
      Settings settings;
      settings.dtype = dtype;
      settings.output = output;
      settings.targets = targets;
      settings.batch_size = batch_size;
      const Explained one_by_one = explain(net, pairs, settings);
      settings.profile = true;
      const Explained together = explain(net, pairs, settings);
      CHECK(distance(together.values, one_by_one.values.movedim(-1, -3)) < tolerance);
      CHECK(distance(together.deltas, one_by_one.deltas) < 10 * tolerance);
      CHECK(largest_change(together) > 1e-3);
    }
  }
}

std::vector<int64_t> up_to(int64_t count) {
  std::vector<int64_t> targets(count);
  std::iota(targets.begin(), targets.end(), 0);
  return targets;
}

}  // namespace

TEST_CASE("every output of a profile has the attributions of that target", "[windows]") {
  const auto net = profile(cropped);
  const Given pairs = given(2, 5, 60);
  check_equal(net, pairs, up_to(36));
  check_equal(net, pairs, {30, 3, 4, 5, 4, 35});
  // Each needs 21 positions, from 12 - 10 at the first output to 47 + 10 at the last.
  CHECK(outputs_in_windows(net, pairs, 36) == 36);
}

TEST_CASE("outputs that reach over an end of the sequence go the ordinary way", "[windows]") {
  const auto net = profile("return torch.conv1d(h, self.e, None, padding=2).squeeze(1)");
  const Given pairs = given(2, 3, 60);
  check_equal(net, pairs, up_to(60));
  // 10 positions on either side are needed.
  CHECK(outputs_in_windows(net, pairs, 60) == 40);
}

TEST_CASE("profiles in float32 go through windows in their fast layout", "[windows]") {
  const auto net = profile(cropped, at::kFloat);
  Given pairs = given(2, 5, 60);
  check_equal(net, pairs, up_to(36), 2e-5, at::kFloat);
}

TEST_CASE("windows pass crops, joined channels and strides of one", "[windows]") {
  const Given pairs = given(2, 3, 60);
  const std::vector<std::string> heads{
      "h = torch.cat([h, x[:, 0:2]], 1)[:, :, 4:56]\n"
      "return torch.conv1d(h, self.f).flatten(1)[:, 10:38]",
      "h = torch.conv1d(h[:, :, 5:-5], self.e)[:, 0]\nreturn h * 2.0",
      "h = torch.relu(torch.conv1d(h.clone(), self.e))\nreturn h.squeeze(1)[:, 15:40]"};
  for (const std::string& head : heads) {
    INFO(head);
    const auto net = profile(head);
    const int64_t outputs = interpreted(net, pairs.X)[0].size(1);
    // Ten of them go together.
    check_equal(net, pairs, up_to(std::min<int64_t>(outputs, 24)));
  }
}

TEST_CASE("what is not local is not taken for it", "[windows]") {
  const Given pairs = given(2, 3, 60);
  const std::vector<std::string> heads{
      "y = torch.conv1d(h, self.e, None, padding=2).squeeze(1)\nreturn torch.softmax(y, 1)",
      "y = torch.conv1d(h * h.mean(2, keepdim=True), self.e).squeeze(1)\nreturn y[:, 14:44]",
      "y = torch.conv1d(h + h.mean(2, keepdim=True), self.e).squeeze(1)\nreturn y[:, 14:44]",
      "y = torch.conv1d(torch.cat([h[:, :, 0:30], h[:, :, 30:60].flip([2])], 2), self.e)\n"
      "return y[:, 0, 14:44]",
      "y = torch.conv1d(h, self.e).squeeze(1)\nreturn y - y.mean(1, keepdim=True)",
      "y = torch.conv1d(h, self.e, None, stride=2).squeeze(1)\nreturn y.cumsum(1)",
      "y = torch.max_pool1d(h, [2])\nreturn torch.conv1d(y, self.e).squeeze(1)[:, 8:16]",
      "y = torch.conv1d(h, self.e).squeeze(1)\nreturn y.flip([1])"};
  for (const std::string& head : heads) {
    INFO(head);
    const auto net = profile(head);
    const int64_t outputs = interpreted(net, pairs.X)[0].size(1);
    check_equal(net, pairs, up_to(std::min<int64_t>(outputs, 12)));
  }
}

TEST_CASE("the outputs of several strands are counted strand by strand", "[windows]") {
  const Given pairs = given(2, 3, 60);
  const std::string strands =
      "y = torch.cat([torch.conv1d(h, self.e), torch.conv1d(-h, self.e)], 1)\n";
  const auto two = profile(strands + "return y[:, :, 10:46]");
  const auto flat = profile(strands + "return y[:, :, 10:46].flatten(1)");
  Settings settings;
  settings.targets = {12, 34, 35, 36, 37, 71};
  const Explained one_by_one = explain(flat, pairs, settings);
  settings.profile = true;
  const Explained together = explain(two, pairs, settings);
  CHECK(distance(together.values, one_by_one.values.movedim(-1, -3)) < 1e-12);
  CHECK(distance(together.predictions, one_by_one.predictions) < 1e-12);
  settings.profile = false;
  CHECK(error_of([&] { explain(two, pairs, settings); }).find("output: ") == 0);
}
