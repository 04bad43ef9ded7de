// What a model takes and returns, on nets whose answer is worked out by hand.

#include "catch.h"
#include "core/methods/model_description.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;
using seqlift::ModelDescription;
using seqlift::Sizes;

namespace {

ModelDescription described(const ModelPointer& model, std::vector<seqlift::DescribedArg> args = {},
                           double seconds = 20) {
  seqlift::Constants constants(model->dtype, model->dtype, at::kCPU);
  seqlift::DescribeOptions options;
  options.args = std::move(args);
  options.seconds = seconds;
  return seqlift::describe_model(model, constants, options);
}

const Tensors pooled{{"a", numbers({6, 4, 8}, 1)}, {"dense", numbers({3, 6 * 10}, 2)}};

}  // namespace

TEST_CASE("a dense layer fixes the length of X", "[model_description]") {
  // 15 - 6 + 1 = 10 positions of 6 channels.
  const ModelDescription found =
      described(forward("h = torch.relu(torch.conv1d(x, self.a)).flatten(1)\n"
                        "return torch.linear(h, self.b)",
                        {{"a", numbers({6, 4, 6}, 1)}, {"b", numbers({3, 60}, 2)}}));
  CHECK(found.known);
  CHECK(found.X == Sizes{"n", "4", "15"});
  CHECK(found.shortest == 15);
  CHECK(found.longest == 15);
  REQUIRE(found.outputs.size() == 1);
  CHECK(found.outputs[0].sizes == Sizes{"n", "3"});
  CHECK(found.outputs[0].receptive_field == "L");
}

TEST_CASE("pooling leaves a stretch of lengths", "[model_description]") {
  // floor((L - 7) / 4) = 10 for L from 47 to 50.
  const ModelDescription found =
      described(forward("h = torch.max_pool1d(torch.relu(torch.conv1d(x, self.a)), 4).flatten(1)\n"
                        "return torch.linear(h, self.dense)",
                        pooled));
  CHECK(found.known);
  CHECK(found.shortest == 47);
  CHECK(found.longest == 50);
  CHECK(found.X == Sizes{"n", "4", "L"});
}

TEST_CASE("rows that become positions are noticed", "[model_description]") {
  const ModelDescription found = described(
      forward("h = torch.max_pool1d(torch.relu(torch.conv1d(x, self.a)), 4).reshape(-1, 60)\n"
              "return torch.linear(h, self.dense)",
              pooled));
  CHECK(found.known);
  CHECK(found.shortest == 47);
  CHECK(found.longest == 50);
}

TEST_CASE("sizes and receptive fields in terms of the length", "[model_description]") {
  // 5, then 3 with a dilation of 4 (8 more), of which the outer 6 positions on both sides are cut.
  const ModelDescription found = described(forward(
      "h = torch.relu(torch.conv1d(x, self.a, padding=2))\n"
      "h = h + torch.relu(torch.conv1d(h, self.b, padding=4, dilation=4))\n"
      "p = torch.conv1d(h, self.c)[:, :, 6:-6]\n"
      "return p, p.mean([1, 2]).unsqueeze(1), torch.avg_pool1d(h, 4)",
      {{"a", numbers({3, 4, 5}, 1)}, {"b", numbers({3, 3, 3}, 2)}, {"c", numbers({2, 3, 1}, 3)}}));
  CHECK(found.known);
  CHECK(found.X == Sizes{"n", "4", "L"});
  CHECK(found.shortest == 0);
  REQUIRE(found.outputs.size() == 3);
  CHECK(found.outputs[0].sizes == Sizes{"n", "2", "L - 12"});
  CHECK(found.outputs[0].receptive_field == "13");
  CHECK(found.outputs[1].sizes == Sizes{"n", "1"});
  CHECK(found.outputs[1].receptive_field == "L");
  CHECK(found.outputs[2].sizes == Sizes{"n", "3", "L / 4"});
  CHECK(found.outputs[2].receptive_field == "16");
}

TEST_CASE("inputs beside the sequences", "[model_description]") {
  Part part;
  part.parameters = {{"a", numbers({3, 4, 5}, 1)}, {"b", numbers({1, 5, 1}, 2)}};
  part.source =
      "def forward(self, x: Tensor, track: Tensor):\n"
      "    h = torch.relu(torch.conv1d(x, self.a, padding=2))\n"
      "    return torch.conv1d(torch.cat([h, track], 1), self.b)\n";
  const ModelPointer net = model(part);
  const ModelDescription open = described(net, {{}});
  CHECK(open.known);
  REQUIRE(open.args.size() == 1);
  CHECK(open.args[0] == Sizes{"n", "2", "L"});
  CHECK(open.outputs.at(0).receptive_field == "5");
  CHECK(described(net, {{{}, 2, true}}).args.at(0) == Sizes{"n", "2", "L"});
  CHECK_FALSE(described(net, {{{}, 3, true}}).known);
  const ModelDescription given = described(net, {{at::zeros({1, 2, 30}, at::kDouble)}});
  CHECK(given.X == Sizes{"n", "4", "30"});
  CHECK(given.args.at(0) == Sizes{"n", "2", "30"});
}

TEST_CASE("a model that takes nothing, and no time, are unknown and no errors",
          "[model_description]") {
  const ModelDescription none = described(forward("return x.view([3, 3, 3, 3, 3]).sum()"));
  CHECK_FALSE(none.known);
  REQUIRE(none.outputs.size() == 1);
  CHECK(none.outputs[0].receptive_field == "?");
  CHECK_FALSE(described(forward("return x.sum([1, 2])"), {}, 0).known);
}
