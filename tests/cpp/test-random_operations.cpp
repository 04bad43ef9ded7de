// What LibTorch's registry says of random operations, and what is made of it.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <set>

#include "catch.h"
#include "core/model/random_operations.h"
#include "core/numeric/tensor_functions.h"
#include "nets.h"

using namespace nets;
using namespace seqlift;

namespace {

// A node of this operation, with inputs that are no more than names.
torch::jit::Node* node_of(torch::jit::Graph& graph, const torch::jit::Operator& operation) {
  const c10::FunctionSchema& schema = operation.schema();
  std::vector<torch::jit::Value*> inputs;
  for (const c10::Argument& argument : schema.arguments()) {
    inputs.push_back(graph.addInput()->setType(argument.type()));
  }
  torch::jit::Node* node =
      graph.create(c10::Symbol::fromQualString(schema.name()), inputs, schema.returns().size());
  for (size_t i = 0; i < schema.returns().size(); ++i) {
    node->outputs()[i]->setType(schema.returns()[i].type());
  }
  return graph.insertNode(node);
}

bool is_drawn(const char* name) {
  bool drawn = false;
  for (const auto& operation : torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(name))) {
    torch::jit::Graph graph;
    drawn = drawn || draws_random(node_of(graph, *operation));
  }
  return drawn;
}

}  // namespace

TEST_CASE("every operation that the registry calls random is told, unless a flag turns it off",
          "[random_operations]") {
  int count = 0;
  for (const auto& operation : torch::jit::getAllOperators()) {
    const c10::FunctionSchema& schema = operation->schema();
    const auto handle = c10::Dispatcher::singleton().findSchema(schema.operator_name());
    const bool tagged = handle && handle->hasTag(at::Tag::nondeterministic_seeded);
    const auto has = [&](const char* name) {
      return schema.argumentIndexWithName(name).has_value();
    };
    const bool flag = has("train") || has("training") || has("dropout_p");
    const bool generator = has("generator");
    if (schema.name().rfind("aten::", 0) != 0 || flag || schema.is_vararg() ||
        !(tagged || generator)) {
      continue;
    }
    INFO(schema);
    torch::jit::Graph graph;
    torch::jit::Node* node = node_of(graph, *operation);
    if (!node->maybeSchema()) {
      continue;
    }
    ++count;
    CHECK(draws_random(node));
  }
  CHECK(count > 30);
}

TEST_CASE("random operations are random by name, others are not", "[random_operations]") {
  for (const char* name :
       {"aten::rand", "aten::randn", "aten::rand_like", "aten::randn_like", "aten::randint",
        "aten::randint_like", "aten::randperm", "aten::normal", "aten::normal_", "aten::bernoulli",
        "aten::bernoulli_", "aten::uniform_", "aten::exponential_", "aten::multinomial",
        "aten::poisson", "aten::geometric_", "aten::log_normal_", "aten::cauchy_",
        "aten::random_"}) {
    INFO(name);
    CHECK(is_drawn(name));
  }
  // Dropout and its kind draw in training alone, which evaluation leaves.
  for (const char* name : {"aten::dropout", "aten::feature_alpha_dropout", "aten::rrelu",
                           "aten::conv1d", "aten::relu", "aten::median", "aten::zeros"}) {
    INFO(name);
    CHECK(!is_drawn(name));
  }
}

TEST_CASE("random numbers are refused before anything is computed", "[random_operations]") {
  const auto net = around("y = h * torch.bernoulli(torch.full([h.size(0), 1, 1], 0.5))");
  const std::string error = error_of([&]() { predicted(net, one_hot(3, 9, 1)); });
  CHECK(error.find("random: The model draws random numbers") == 0);
  CHECK(error.find("aten::bernoulli") != std::string::npos);
  const auto unused = around("r = torch.rand_like(h)\ny = h * float(r.size(1))");
  CHECK(error_of([&]() { predicted(unused, one_hot(3, 9, 1)); }).empty());
}
