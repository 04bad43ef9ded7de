// What a state dict lacks, has beside, or has of another shape.
#include "core/import/architectures/architectures.h"
#include "core/model/model.h"
#include "state_dicts.h"

using namespace seqlift;
using nets::StateDict;

namespace {

StateDict small() {
  StateDict dict;
  dict.layer("iconv", {3, 4, 5});
  dict.layer("rconvs.0", {3, 3, 3});
  dict.layer("fconv", {1, 3, 5});
  dict.layer("linear", {1, 3});
  return dict;
}

std::string complaint(const StateDict& dict) {
  return nets::error_of([&] { bpnet(dict.tensors); });
}

}  // namespace

TEST_CASE("all that does not fit is said in one error of kind model") {
  StateDict dict = small();
  CHECK(complaint(dict) == "");
  dict.remove("iconv.bias");
  dict.remove("rconvs.0.weight");
  dict.add("dense.weight", {2});
  dict.replace("linear.weight", nets::numbers({1, 5}, 1));
  CHECK(complaint(dict) ==
        "model: The state dict does not fit BPNet.\n"
        "Missing: `iconv.bias`, `rconvs.0.weight`.\n"
        "Left over: `dense.weight`.\n"
        "Of the wrong shape: `linear.weight` is [1, 5], expected [1, 3].");
}

TEST_CASE("sizes that no tensor decides are any, and long lists are cut") {
  StateDict dict = small();
  dict.replace("iconv.weight", nets::numbers({3, 5}, 1));
  for (int i = 0; i < 10; ++i) {
    dict.add("other." + std::to_string(i), {1});
  }
  const std::string message = complaint(dict);
  CHECK(message.find("`iconv.weight` is [3, 5], expected [3, 4, any]") != std::string::npos);
  CHECK(message.find("`other.7` and 2 more.") != std::string::npos);
  CHECK(nets::error_of([] { bpnet({}); }).find("Missing: `iconv.weight`") != std::string::npos);
}

TEST_CASE(
    "a gap between numbered layers is a missing layer, a number out of all order is not one") {
  StateDict dict = small();
  dict.layer("rconvs.2", {3, 3, 3});
  CHECK(complaint(dict) ==
        "model: The state dict does not fit BPNet.\n"
        "Missing: `rconvs.1.weight`, `rconvs.1.bias`.");
  dict = small();
  dict.layer("rconvs.1000000000", {3, 3, 3});
  CHECK(complaint(dict) ==
        "model: The state dict does not fit BPNet.\n"
        "Left over: `rconvs.1000000000.weight`, `rconvs.1000000000.bias`.");
}

TEST_CASE("an even width, more tracks than fit, and complex weights are refused by name") {
  StateDict dict = small();
  dict.replace("rconvs.0.weight", nets::numbers({3, 3, 2}, 1));
  CHECK(complaint(dict).find("`rconvs.0.weight` is 2 wide, not an odd number.") !=
        std::string::npos);
  dict = small();
  dict.replace("fconv.weight", nets::numbers({1, 2, 5}, 1));
  CHECK(complaint(dict).find("`fconv.weight` is [1, 2, 5], expected [1, 3, 5].") !=
        std::string::npos);
  dict = small();
  dict.replace("fconv.bias", at::zeros({1}, at::kComplexDouble));
  CHECK(complaint(dict).find("not a tensor of numbers.") != std::string::npos);
}

TEST_CASE("names of any bytes and sizes that no memory holds are complaints, nothing more") {
  StateDict dict;
  dict.add("iconv.weight", {1 << 20, 1, 1});
  dict.add("fconv.weight", {1 << 20, 1, 1});
  dict.add(std::string("a\xff\nb"), {1});
  const std::string message = complaint(dict);
  CHECK(message.find("Left over: `a??b`.") != std::string::npos);
  CHECK(message.find("`iconv.weight` is [1048576, 1, 1], expected [1048576, 4, 1]") !=
        std::string::npos);
}

TEST_CASE("the name that DataParallel puts before all keys is left out") {
  const StateDict dict = small();
  StateDict wrapped;
  for (const auto& entry : dict.tensors) {
    wrapped.tensors.emplace_back("module." + entry.first, entry.second);
  }
  const at::Tensor X = nets::one_hot(2, 110, 1);
  CHECK(at::equal(nets::interpreted(nets::model(bpnet(wrapped.tensors)), X)[0],
                  nets::interpreted(nets::model(bpnet(dict.tensors)), X)[0]));
  wrapped.tensors[0].first = "iconv.weight";
  CHECK(complaint(wrapped).find("Left over: `module.iconv.bias`") != std::string::npos);
}

TEST_CASE("weights of several types become the widest, and a view is written alone") {
  StateDict dict = small();
  for (auto& entry : dict.tensors) {
    entry.second = entry.second.to(at::kFloat);
  }
  dict.replace("linear.bias", at::ones({1}, at::kLong));
  dict.replace("iconv.bias", at::zeros({1000}, at::kFloat).narrow(0, 0, 3));
  const ModulePart part = bpnet(dict.tensors);
  const at::Tensor bias = part.parts[0].second.parameters[1].second;
  CHECK(bias.storage().nbytes() == 3 * sizeof(float));
  CHECK(nets::model(part)->dtype == at::kFloat);
  dict.replace("linear.bias", at::ones({1}, at::kDouble));
  CHECK(nets::model(bpnet(dict.tensors))->dtype == at::kDouble);
}
