// The operation table as a whole: every row is proved by a net, refused by name, or said to be
// constant; and what is refused is named with its module.
#include <algorithm>
#include <set>

#include "catch.h"
#include "core/model/operation_table.h"
#include "nets.h"

using namespace nets;

namespace {

// Rows that no net here reaches, with the reason. TorchScript's compiler replaces aliases by the
// operation that they stand for, so a row for an alias is only a precaution.
const std::set<std::string>& unreachable() {
  static const std::set<std::string> names{
      // of newer versions of LibTorch, or of a GPU
      "_prelu_kernel",
      "concatenate",
      "cudnn_batch_norm",
      "_conj",
      // one value from vectors without a batch dimension
      "dot",
      "vdot",
      "outer",
      "ger",
      "addr",
      "addbmm",
      "trace",
      "diag",
      // Python's own names in scripted code
      "__interpolate",
      "__upsample",
      "__upsample_nearest",
      "__upsample_bilinear",
      "upsample",
      "identity",
      "fold",
      "softmin",
      "softsign",
      "rms_norm",
      "float",
      // what other operations call
      "_conj_physical",
      "_neg_view",
      "_index_put_impl",
      "_logcumsumexp",
      "_cast_Float",
  };
  return names;
}

// Nets whose operation has no rule, and the name under which it must be refused.
std::vector<Case> refused() {
  return {
      {"bernoulli", "y = torch.bernoulli(torch.sigmoid(h))"},
      {"rand_like", "y = h * torch.rand_like(h)"},
      {"batch_norm", "y = torch.batch_norm(h, None, None, None, None, True, 0.1, 1e-5, False)"},
      {"linalg_inv", "y = torch.linalg_inv(torch.matmul(h, h.transpose(1, 2)))"},
  };
}

// Whether the text of a case calls `op`, in place or not.
bool writes(const Case& one, const std::string& op) {
  return one.op == op || one.lines.find("." + op + "(") != std::string::npos ||
         one.lines.find("." + op + "_(") != std::string::npos;
}

}  // namespace

TEST_CASE("every row of the operation table is proved, refused or constant", "[rules]") {
  std::set<std::string> reached;
  const std::vector<Case> cases = all_cases();
  const Given pairs = given(1, 2, 9);
  for (const Case& one : cases) {
    INFO(one.op << ": " << one.lines);
    try {
      for (const nets::Step& step : audited(around(one.lines, one.parameters), pairs)) {
        reached.insert(step.operation);
      }
    } catch (const std::exception& error) {
      FAIL_CHECK(std::string(error.what()).substr(0, 300));
    }
  }
  for (const seqlift::Operation& operation : seqlift::operations()) {
    const std::string name = operation.name;
    if (operation.rule == nullptr) {
      continue;  // constants, and what is refused: below
    }
    const bool written =
        std::any_of(cases.begin(), cases.end(), [&](const Case& one) { return writes(one, name); });
    // Fused attention has another name in each LibTorch.
    const bool missing = operation.kind == seqlift::Kind::attention && !has_operation(name);
    const bool excused = unreachable().count(name) > 0 || missing;
    INFO(name << ", reached " << reached.count(name) << ", excused " << excused);
    CHECK((reached.count(name) > 0 || written || excused));
    CHECK(!(reached.count(name) > 0 && excused));
  }
}

TEST_CASE("a row stands in the table once", "[rules]") {
  std::set<std::string> names;
  for (const seqlift::Operation& operation : seqlift::operations()) {
    INFO(operation.name);
    CHECK(names.insert(operation.name).second);
    CHECK(seqlift::find_operation(operation.name) == &operation);
  }
  CHECK(seqlift::find_operation("no_such_operation") == nullptr);
}

TEST_CASE("rows without a rule are constants or of a kind that is refused", "[rules]") {
  using seqlift::Kind;
  const std::set<Kind> without{Kind::shape,  Kind::condition, Kind::max,
                               Kind::random, Kind::attention, Kind::other};
  for (const seqlift::Operation& operation : seqlift::operations()) {
    INFO(operation.name);
    CHECK((operation.rule != nullptr || without.count(operation.kind) > 0));
    CHECK((operation.rule == nullptr || operation.kind != Kind::shape));
  }
}

TEST_CASE("an operation without a rule is refused by name, module and place", "[rules]") {
  const Given pairs = given(2, 3, 9);
  for (const Case& one : refused()) {
    INFO(one.lines);
    std::string error;
    try {
      const auto net = around(one.lines, one.parameters);
      error = error_of([&]() { explain(net, pairs); });
    } catch (const std::exception& other) {
      error = std::string("not an error of ours: ") + other.what();
    }
    const auto* operation = seqlift::find_operation(one.op);
    const bool random = operation && operation->kind == seqlift::Kind::random;
    const std::string expected =
        random ? std::string("random: ") : "unsupported_operation: The operation aten::" + one.op;
    CHECK(error.substr(0, expected.size()) == expected);
    CHECK(error.find("aten::" + one.op) != std::string::npos);
    CHECK(error.find(" of the model itself") != std::string::npos);
  }
}

TEST_CASE("a refusal names the module, its class and the line of its code", "[rules]") {
  Part inner;
  inner.class_name = "models.Voting";
  inner.source = "def forward(self, x: Tensor):\n    return torch.mode(x, 2)[0]\n";
  Part body;
  body.class_name = "models.Body";
  body.source = "def forward(self, x: Tensor):\n    return self.order.forward(x)\n";
  body.parts = {{"order", inner}};
  Part whole;
  whole.parameters = {{"w", numbers({1}, 1)}};
  whole.source =
      "def forward(self, x: Tensor):\n    return self.body.forward(x * self.w).sum([2])\n";
  whole.parts = {{"body", body}};
  const std::string error = error_of([&]() { explain(model(whole), given(2, 2, 9)); });
  INFO(error);
  CHECK(error.find("aten::mode in body.order (Voting)") != std::string::npos);
  CHECK(error.find("models.py:") != std::string::npos);
}

TEST_CASE("a comparison whose result goes nowhere harms nobody", "[rules]") {
  check_case({"gt", "m = h > 0.0\ny = h.exp()", {}}, given(2, 3, 9));
}

TEST_CASE("values that say only something of X's shape are constants", "[rules]") {
  const Given pairs = given(2, 3, 9);
  for (const char* lines :
       {"y = h * h.size(2)", "y = h * float(h.shape[1])", "y = h + torch.ones_like(h)",
        "y = h * torch.full_like(h, 2.0)", "y = h * h.new_full([4, 9], 0.5)",
        "y = h * h.numel() / h.size(0)", "y = h * float(h.dim())", "y = h + torch.zeros_like(h)",
        "y = h * float(h.stride(2))", "y = h * float(len(h[0]))",
        "y = h + torch.empty_like(h).fill_(0.5)", "y = h + h.new_zeros([4, 1])",
        "y = h + h.new_ones([4, 1])",
        "if h.is_floating_point():\n    y = h\nelse:\n    y = h * 0.0",
        "y = h + torch.zeros([4, 9], dtype=h.dtype, device=h.device)"}) {
    check_case({"shape", lines, {}}, pairs);
  }
}
