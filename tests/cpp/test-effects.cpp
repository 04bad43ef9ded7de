// Operations that do more than compute are refused before anything of a file runs.
#include <torch/csrc/jit/runtime/operator.h>

#include <set>

#include "catch.h"
#include "core/base/error.h"
#include "core/files/effects.h"
#include "nets.h"

using nets::error_of;
using seqlift::check_code;
using seqlift::check_pickled_classes;
using seqlift::effect_of;

namespace {

std::string problem(const std::string& body) {
  return error_of([&] { check_code("def forward(self, x: Tensor) -> Tensor:\n" + body, "here"); });
}

}  // namespace

TEST_CASE("every way that TorchScript has to say a name is seen", "[effects]") {
  for (const char* line : {"  torch.save(x, \"f\")\n",
                           "  torch . save(x, \"f\")\n",
                           "  (torch).save(x, \"f\")\n",
                           "  t = torch\n  t.save(x, \"f\")\n",
                           "  getattr(torch, \"save\")(x, \"f\")\n",
                           "  ops.aten.save(x, \"f\")\n",
                           "  t = ops.aten\n  t.save(x, \"f\")\n",
                           "  t = ops\n  t.aten.save(x, \"f\")\n",
                           "  torch.autograd.save(x, \"f\")\n",
                           "  f = torch.save\n",
                           "  f = fork(torch.save, x, \"f\")\n",
                           "  return torch.from_file(\"f\")\n",
                           "  a = \"\\\\\"\n  torch.save(x, \"f\")\n  b = \"\"\n",
                           "  a = 1 # \"\n  torch.save(x, \"f\")\n",
                           "  a = '\"'\n  torch.save(x, a)\n",
                           "  a = \"\"\"\n\"\"\"\n  torch.save(x, a)\n",
                           "  torch.manual_seed(1)\n",
                           "  t = ops.prim.TimePoint()\n",
                           "  ops.c10d.send(x)\n",
                           "  ops.image.write_file(\"f\", x)\n",
                           "  a = __torch__.torch.classes.dist_c10d.FileStore(\"f\", 1)\n"}) {
    INFO(line);
    CHECK(problem(line).rfind("code: ", 0) == 0);
  }
}

TEST_CASE("texts, comments and names of the model's own are no calls", "[effects]") {
  for (const char* line :
       {"  a = \"torch.save(x)\"\n", "  a = 'the torch of ops'\n", "  # torch.save(x)\n",
        "  a = \"\\\"torch.save\"\n", "  return (self.save).forward(x, )\n",
        "  return torch.relu(self.from_file)\n", "  a = self.torch\n  b = self.ops\n",
        "  a = __torch__.torch.nn.functional.relu(x, )\n", "  torch.warn(\"careful\")\n",
        "  _0 = __torch__.torch.classes.quantized.Conv2dPackedParamsBase\n",
        "  y = ops.quantized.linear(x, self.p, 1., 0)\n", "  print(\"a\")\n",
        "  h = ops.profiler._record_function_enter(\"a\", None)\n"}) {
    INFO(line);
    CHECK(problem(line) == "");
  }
}

TEST_CASE("objects of other libraries are not made from a pickle", "[effects]") {
  const auto refused = [](const std::string& pickle) {
    return error_of([&] { check_pickled_classes(pickle.data(), pickle.size(), "here"); });
  };
  CHECK(refused("c__torch__.torch.classes.dist_c10d\nFileStore\n").rfind("code: ", 0) == 0);
  CHECK(refused("c__torch__.torch.classes.quantized\nLinearPackedParamsBase\n") == "");
  CHECK(refused("c__torch__.torch.nn.modules.conv\nConv1d\n") == "");
}

TEST_CASE("a graph with an effect is refused whatever way it came", "[effects]") {
  const std::string error =
      error_of([] { nets::forward("torch.save(x, \"f\")\nreturn x.mean(2)"); });
  CHECK(error.rfind("code: ", 0) == 0);
  CHECK(error.find("torch.save, which writes a file") != std::string::npos);
}

// A namespace that a LibTorch newer than those known brings is refused until somebody looks at it:
// this test says that there is one.
TEST_CASE("every operator of LibTorch computes, or is known for what it does", "[effects]") {
  const std::set<std::string> refused_spaces{"c10d",
                                             "_test",
                                             "static_runtime",
                                             "rngprims",
                                             "dist",
                                             "cuda",
                                             "streams",
                                             "inductor",
                                             "symm_mem",
                                             "_c10d_functional",
                                             "_c10d_functional_autograd",
                                             "_dtensor"};
  // Words that names of operations with effects have.
  const std::vector<std::string> words{"save", "load",  "file",   "seed",      "time",
                                       "rpc",  "write", "thread", "cache_max", "clear_plan"};
  for (const auto& known : torch::jit::getAllOperators()) {
    const std::string whole = known->schema().name();
    const std::string space = whole.substr(0, whole.find("::"));
    const std::string name = whole.substr(whole.find("::") + 2);
    const std::string effect = effect_of(space, name);
    INFO(whole);
    if (effect.find("of its own") != std::string::npos && refused_spaces.count(space) == 0) {
      WARN(space << " is a namespace that nobody has looked at: refused");
    }
    for (const std::string& word : words) {
      if (effect.empty() && name.find(word) != std::string::npos) {
        WARN(whole << " sounds as if it did more than compute");
      }
    }
  }
  for (const char* name : {"save", "from_file", "manual_seed"}) {
    CHECK(torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString("aten::" + std::string(name)))
              .size() > 0);
    CHECK(effect_of("aten", name) != "");
  }
  CHECK(effect_of("aten", "conv1d") == "");
  CHECK(effect_of("aten", "save_to") == "");
}
