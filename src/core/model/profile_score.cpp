// The score of a profile of logits, one number a sequence (Avsec 2021; ProfileWrapper and
// _ProfileLogitScaling of bpnet-lite): all strands and positions flattened, centred, weighted by
// their softmax, summed. Only LogitScaling and what it holds is not linear, and it keeps its shape.
#include "core/model/profile_score.h"

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

}  // namespace seqlift
