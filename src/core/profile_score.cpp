// The score of a profile of logits, one number a sequence (Avsec 2021; ProfileWrapper and
// _ProfileLogitScaling of bpnet-lite): all strands and positions flattened, centred, weighted by
// their softmax, summed. Only LogitScaling and what it holds is not linear, and it keeps its shape.
#include "profile_score.h"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/module.h>

#include <memory>

namespace seqlift {

namespace {

const char* const softmax_source =
    "def forward(self, logits):\n"
    "    return torch.softmax(logits, -1)\n";

const char* const scaling_source =
    "def forward(self, logits):\n"
    "    return logits * self.softmax.forward(logits)\n";

const char* const score_source =
    "def forward(self, logits):\n"
    "    flat = torch.flatten(logits, 1, -1)\n"
    "    centred = flat - torch.mean(flat, [-1], True)\n"
    "    return torch.sum(self.scaling.forward(centred), [-1], True)\n";

}  // namespace

ModulePart profile_score_part() {
  ModulePart softmax;
  // PyTorch's own class, which the peers override.
  softmax.class_name = "torch.nn.modules.activation.Softmax";
  softmax.source = softmax_source;
  ModulePart scaling;
  scaling.class_name = "seqlift.LogitScaling";
  scaling.source = scaling_source;
  scaling.parts = {{"softmax", softmax}};
  ModulePart score;
  score.class_name = "seqlift.ProfileScore";
  score.source = score_source;
  score.parts = {{"scaling", scaling}};
  return score;
}

// A graph takes no module for a constant. It does take an object of another class, so the module is
// an attribute of one.
torch::jit::Value* call_profile_score(torch::jit::Graph& graph, torch::jit::Value* logits,
                                      torch::jit::Value*& holder) {
  const auto unit = std::make_shared<torch::jit::CompilationUnit>();
  const torch::jit::Module score = build_module(profile_score_part());
  const auto type = c10::ClassType::create(c10::QualifiedName("__torch__.seqlift.Wrapper"), unit);
  type->addAttribute(profile_score_path, score.type());
  const auto object = c10::ivalue::Object::create(c10::StrongTypePtr(unit, type), 1);
  object->setSlot(0, score._ivalue());

  torch::jit::Node* constant = graph.create(c10::prim::Constant);
  constant->ival_(c10::attr::value, object);
  constant->output()->setType(type);
  holder = graph.insertNode(constant)->output();
  torch::jit::Value* module = graph.insertGetAttr(holder, profile_score_path);
  torch::jit::Node* call = graph.create(c10::prim::CallMethod, {module, logits});
  call->s_(c10::attr::name, "forward");
  call->output()->setType(c10::TensorType::get());
  return graph.insertNode(call)->output();
}

}  // namespace seqlift
