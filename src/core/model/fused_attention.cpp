// The operations that fused attention stands for (ATen's native/transformers), in their order. A
// mask of numbers other than zero counts as true, as the fused operation has it, and a row of which
// everything is blocked gives NaN.
#include "core/model/fused_attention.h"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/operator.h>
#include <torch/jit.h>

#include <set>

#include "core/model/graph_passes.h"

namespace seqlift {

using torch::jit::Node;

namespace {

// 11 is the number of torch.bool. The weights of a call that asks for none are an empty tensor.
const char* const attention_source = R"(
def attention(query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_head: int,
              qkv_weight: Tensor, qkv_bias: Tensor, proj_weight: Tensor, proj_bias: Tensor,
              mask: Optional[Tensor], need_weights: bool, average_attn_weights: bool,
              mask_type: Optional[int]) -> Tuple[Tensor, Tensor]:
    width = embed_dim // num_head
    weight_q, weight_k, weight_v = torch.chunk(qkv_weight, 3, 0)
    bias_q, bias_k, bias_v = torch.chunk(qkv_bias, 3, 0)
    q = torch.linear(query, weight_q, bias_q) * (float(width) ** -0.5)
    k = torch.linear(key, weight_k, bias_k)
    v = torch.linear(value, weight_v, bias_v)
    q = torch.reshape(q, [query.size(0), query.size(1), num_head, width]).transpose(1, 2)
    k = torch.reshape(k, [key.size(0), key.size(1), num_head, width]).transpose(1, 2)
    v = torch.reshape(v, [value.size(0), value.size(1), num_head, width]).transpose(1, 2)
    scores = torch.matmul(q, k.transpose(-2, -1))
    if mask is not None:
        blocked = mask.to(11)
        if blocked.dim() == 2:
            padding = False
            if mask_type is not None:
                padding = mask_type == 1
            if padding:
                blocked = blocked.unsqueeze(1).unsqueeze(1)
            else:
                blocked = blocked.unsqueeze(0).unsqueeze(0)
        scores = torch.masked_fill(scores, blocked, float('-inf'))
    weights = torch.softmax(scores, -1)
    heads = torch.matmul(weights, v).transpose(1, 2)
    output = torch.linear(torch.reshape(heads, [query.size(0), query.size(1), embed_dim]),
                          proj_weight, proj_bias)
    if not need_weights:
        weights = output.new_zeros([0])
    elif average_attn_weights:
        weights = weights.mean(1)
    return output, weights

def encoder_layer(src: Tensor, embed_dim: int, num_heads: int, qkv_weight: Tensor,
                  qkv_bias: Tensor, proj_weight: Tensor, proj_bias: Tensor, use_gelu: bool,
                  norm_first: bool, eps: float, norm_weight_1: Tensor, norm_bias_1: Tensor,
                  norm_weight_2: Tensor, norm_bias_2: Tensor, ffn_weight_1: Tensor,
                  ffn_bias_1: Tensor, ffn_weight_2: Tensor, ffn_bias_2: Tensor,
                  mask: Optional[Tensor], mask_type: Optional[int]) -> Tensor:
    first = src
    if norm_first:
        first = torch.layer_norm(src, [embed_dim], norm_weight_1, norm_bias_1, eps)
    attended, weights = attention(first, first, first, embed_dim, num_heads, qkv_weight, qkv_bias,
                                  proj_weight, proj_bias, mask, False, False, mask_type)
    attended = attended + src
    if not norm_first:
        attended = torch.layer_norm(attended, [embed_dim], norm_weight_1, norm_bias_1, eps)
    second = attended
    if norm_first:
        second = torch.layer_norm(attended, [embed_dim], norm_weight_2, norm_bias_2, eps)
    wide = torch.linear(second, ffn_weight_1, ffn_bias_1)
    if use_gelu:
        wide = torch.gelu(wide)
    else:
        wide = torch.relu(wide)
    result = torch.linear(wide, ffn_weight_2, ffn_bias_2) + attended
    if not norm_first:
        result = torch.layer_norm(result, [embed_dim], norm_weight_2, norm_bias_2, eps)
    return result

def padding_of(kept: Tensor) -> Tensor:
    return torch.logical_not(kept)

def unpadded(padded: Tensor, blocked: Tensor, padding: float) -> Tensor:
    longest = int(torch.logical_not(blocked).sum(1).max())
    filled = torch.masked_fill(padded, blocked.unsqueeze(2), padding)
    return filled[:, :longest]
)";

class Opener {
 public:
  explicit Opener(Graph& graph) : graph_(graph) {}

  void run() {
    const std::vector<c10::Symbol> kinds{
        symbol("_nested_tensor_from_mask"),
        symbol("_native_multi_head_attention"),
        symbol("_transformer_encoder_layer_fwd"),
        symbol("to_padded_tensor"),
        symbol("nested_to_padded_tensor"),
        symbol("_scaled_dot_product_attention_math"),
        symbol("_scaled_dot_product_flash_attention"),
        symbol("_scaled_dot_product_flash_attention_for_cpu"),
        symbol("_scaled_dot_product_efficient_attention"),
        symbol("_scaled_dot_product_cudnn_attention"),
        symbol("_scaled_dot_product_fused_attention_overrideable")};
    std::vector<Node*> found;
    collect_nodes(graph_.graph->block(), kinds, found);
    for (Node* node : found) {
      if (node->maybeSchema()) {
        unit_ = unit_ ? unit_ : torch::jit::compile(attention_source);
        open(node);
      }
    }
  }

 private:
  static c10::Symbol symbol(const std::string& name) {
    return c10::Symbol::fromQualString("aten::" + name);
  }

  static torch::jit::Value* input(const Node* node, const std::string& name) {
    const auto position = node->schema().argumentIndexWithName(name);
    return position ? node->input(*position) : nullptr;
  }

  static bool is_any(const Node* node, const std::set<std::string>& names) {
    return names.count(node->kind().toUnqualString()) > 0;
  }

  void open(Node* node) {
    const torch::jit::WithInsertPoint guard(node);
    if (is_any(node, {"_nested_tensor_from_mask"})) {
      open_nested(node);
    } else if (is_any(node, {"to_padded_tensor", "nested_to_padded_tensor"})) {
      const auto mask = masks_.find(node->input(0));
      if (mask != masks_.end()) {
        replace(node, insert(node, "unpadded", {node->input(0), mask->second, node->input(1)}));
      }
    } else if (is_any(node, {"_native_multi_head_attention"})) {
      std::vector<torch::jit::Value*> inputs = node->inputs().vec();
      if (!is_nested(inputs[0])) {
        replace(node, insert(node, "attention", inputs));
      }
    } else if (is_any(node, {"_transformer_encoder_layer_fwd"})) {
      open_layer(node);
    } else {
      open_kernel(node);
    }
  }

  // A nested tensor is taken for the padded one whose mask is known, where nothing else than the
  // layers of an encoder looks at it.
  void open_nested(Node* node) {
    if (!only_in_layers(node->output())) {
      nested_.insert(node->output());
      return;
    }
    torch::jit::Value* padded = graph_.graph->insert(c10::aten::alias, {node->input(0)});
    note(padded->node(), graph_.provenance[node]);
    masks_[padded] = insert(node, "padding_of", {node->input(1)})[0];
    replace(node, {padded});
  }

  static bool only_in_layers(const torch::jit::Value* value) {
    for (const auto& use : value->uses()) {
      const bool layer = is_any(use.user, {"_transformer_encoder_layer_fwd"}) && use.offset == 0 &&
                         input(use.user, "mask")->mustBeNone() &&
                         only_in_layers(use.user->output());
      const bool end = is_any(use.user, {"to_padded_tensor", "nested_to_padded_tensor"}) &&
                       use.offset == 0 && input(use.user, "output_size")->mustBeNone();
      if (!layer && !end) {
        return false;
      }
    }
    return true;
  }

  bool is_nested(const torch::jit::Value* value) const { return nested_.count(value) > 0; }

  void open_layer(Node* node) {
    std::vector<torch::jit::Value*> inputs = node->inputs().vec();
    if (is_nested(inputs[0])) {
      nested_.insert(node->output());
      return;
    }
    const auto mask = masks_.find(inputs[0]);
    const bool padded = mask != masks_.end() && inputs[18]->mustBeNone();
    if (padded) {
      inputs[18] = mask->second;
      inputs[19] = graph_.graph->insertConstant(1);
    }
    const auto outputs = insert(node, "encoder_layer", inputs);
    if (padded) {
      masks_[outputs[0]] = mask->second;
    }
    replace(node, outputs);
  }

  // The first output of a kernel of scaled dot products: that of the operation that chooses one.
  void open_kernel(Node* node) {
    for (size_t i = 1; i < node->outputs().size(); ++i) {
      if (node->output(i)->hasUses()) {
        return;
      }
    }
    const c10::Symbol product = symbol("scaled_dot_product_attention");
    if (torch::jit::getAllOperatorsFor(product).empty()) {
      return;
    }
    torch::jit::Value* mask = input(node, "attn_mask");
    mask = mask ? mask : input(node, "attn_bias");
    std::vector<torch::jit::NamedValue> options;
    if (mask) {
      options.emplace_back("attn_mask", mask);
    }
    options.emplace_back("dropout_p", 0.0);
    for (const char* name : {"is_causal", "scale", "enable_gqa"}) {
      if (torch::jit::Value* given = input(node, name)) {
        options.emplace_back(name, given);
      }
    }
    torch::jit::Value* output =
        graph_.graph->insert(product, {node->input(0), node->input(1), node->input(2)}, options);
    note(node);
    node->output(0)->replaceAllUsesWith(output);
    node->destroy();
  }

  std::vector<torch::jit::Value*> insert(Node* node, const std::string& name,
                                         const std::vector<torch::jit::Value*>& inputs) {
    const auto body = torch::jit::toGraphFunction(unit_->get_function(name)).graph()->copy();
    torch::jit::Inline(*body);
    std::unordered_map<torch::jit::Value*, torch::jit::Value*> values;
    Node* before = node->prev();
    std::vector<torch::jit::Value*> outputs =
        torch::jit::insertGraph(*graph_.graph, *body, inputs, values);
    for (Node* made = before->next(); made != node; made = made->next()) {
      note(made, graph_.provenance[node]);
    }
    if (outputs[0]->node()->kind() == c10::prim::TupleConstruct) {
      outputs = outputs[0]->node()->inputs().vec();
    }
    return outputs;
  }

  // What was put in front of a node stands where that stands.
  void note(Node* node) {
    for (Node* made = node->prev();
         graph_.provenance.count(made) == 0 && made != node->owningBlock()->param_node();
         made = made->prev()) {
      note(made, graph_.provenance[node]);
    }
  }

  void note(Node* node, const Provenance& place) {
    graph_.provenance[node] = place;
    for (torch::jit::Block* inner : node->blocks()) {
      for (Node* deeper : inner->nodes()) {
        note(deeper, place);
      }
    }
  }

  void replace(Node* node, const std::vector<torch::jit::Value*>& outputs) {
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      node->output(i)->replaceAllUsesWith(outputs[i]);
    }
    graph_.provenance.erase(node);
    node->destroy();
  }

  Graph& graph_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  // Of padded tensors that were nested: true where they are padding.
  std::unordered_map<const torch::jit::Value*, torch::jit::Value*> masks_;
  std::unordered_set<const torch::jit::Value*> nested_;  // left as they are
};

}  // namespace

void open_fused_attention(Graph& graph) { Opener(graph).run(); }

}  // namespace seqlift
