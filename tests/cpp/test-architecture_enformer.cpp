// Enformer against its arithmetic, written here position by position.
#include <cmath>

#include "core/import/architectures/architectures.h"
#include "core/model/model.h"
#include "state_dicts.h"

using namespace seqlift;
using nets::StateDict;

namespace {

constexpr int64_t heads = 2;
constexpr int64_t key_width = 3;

void add_block(StateDict& dict, const std::string& prefix, int64_t in, int64_t out, int64_t width) {
  dict.batch_norm(prefix + ".0", in);
  dict.layer(prefix + ".2", {out, in, width});
}

// 24 channels, two transformer blocks, 12 positional features.
StateDict tiny_enformer() {
  StateDict dict;
  dict.layer("stem.0", {12, 4, 5});
  add_block(dict, "stem.1.fn", 12, 12, 1);
  dict.add("stem.2.to_attn_logits.weight", {12, 12, 1, 1});
  add_block(dict, "conv_tower.0.0", 12, 24, 3);
  add_block(dict, "conv_tower.0.1.fn", 24, 24, 1);
  dict.add("conv_tower.0.2.to_attn_logits.weight", {24, 24, 1, 1});
  for (const std::string block : {"transformer.0.", "transformer.1."}) {
    dict.layer(block + "0.fn.0", {24});
    dict.add(block + "0.fn.1.rel_content_bias", {1, heads, 1, key_width});
    dict.add(block + "0.fn.1.rel_pos_bias", {1, heads, 1, key_width});
    for (const std::string name : {"to_q", "to_k"}) {
      dict.add(block + "0.fn.1." + name + ".weight", {heads * key_width, 24});
    }
    dict.add(block + "0.fn.1.to_v.weight", {heads * 4, 24});
    dict.layer(block + "0.fn.1.to_out", {24, heads * 4});
    dict.add(block + "0.fn.1.to_rel_k.weight", {heads * key_width, 12});
    dict.layer(block + "1.fn.0", {24});
    dict.layer(block + "1.fn.1", {48, 24});
    dict.layer(block + "1.fn.4", {24, 48});
  }
  add_block(dict, "final_pointwise.1", 24, 48, 1);
  dict.layer("_heads.human.0", {3, 48});
  dict.layer("_heads.mouse.0", {2, 48});
  return dict;
}

at::Tensor quick_gelu(const at::Tensor& h) { return h * at::sigmoid(1.702 * h); }

at::Tensor block(const StateDict& dict, const std::string& prefix, const at::Tensor& h) {
  const std::string norm = prefix + ".0.";
  const at::Tensor normed =
      at::batch_norm(h, dict[norm + "weight"], dict[norm + "bias"], dict[norm + "running_mean"],
                     dict[norm + "running_var"], false, 0.1, 1e-5, false);
  const at::Tensor weight = dict[prefix + ".2.weight"];
  return at::conv1d(quick_gelu(normed), weight, dict[prefix + ".2.bias"], 1,
                    at::IntArrayRef{weight.size(2) / 2});
}

at::Tensor pool(const StateDict& dict, const std::string& prefix, const at::Tensor& h) {
  const at::Tensor weight = dict[prefix + ".to_attn_logits.weight"].flatten(1);
  const at::Tensor logits = at::einsum("dc,bcn->bdn", {weight, h});
  std::vector<at::Tensor> columns;
  for (int64_t i = 0; i + 1 < h.size(2); i += 2) {
    const at::Tensor share = at::sigmoid(logits.select(2, i) - logits.select(2, i + 1));
    columns.push_back(share * h.select(2, i) + (1 - share) * h.select(2, i + 1));
  }
  if (h.size(2) % 2 == 1) {
    columns.push_back(h.select(2, h.size(2) - 1));
  }
  return at::stack(columns, 2);
}

double gamma_density(double x, double shape, double rate) {
  if (x == 0) {
    return 0;  // every shape here is above one
  }
  return std::exp((shape - 1) * std::log(x) - rate * x - std::lgamma(shape) +
                  shape * std::log(rate));
}

double gamma_feature(double far, int64_t n, int64_t f) {
  const double mean = n / 2.0 * static_cast<double>(f + 1);
  const double deviation = static_cast<double>(n) / 4;
  return gamma_density(far, mean * mean / (deviation * deviation), mean / (deviation * deviation)) +
         1e-8;
}

// [12] for one distance of n bins: two functions of each family, then the same with a sign.
at::Tensor features(int64_t distance, int64_t n, bool use_tf_gamma) {
  const double far = std::abs(static_cast<double>(distance));
  std::vector<double> values;
  for (const double half_life : {8.0, static_cast<double>(n)}) {
    values.push_back(std::pow(0.5, far / half_life));
  }
  values.push_back(far < 1);
  values.push_back(far < 3);
  for (int64_t f = 0; f < 2; ++f) {
    double largest = 0;
    for (int64_t other = 0; other < n && use_tf_gamma; ++other) {
      largest = std::max(largest, gamma_feature(static_cast<double>(other), n, f));
    }
    for (int64_t g = 0; g < 2 && !use_tf_gamma; ++g) {
      largest = std::max(largest, gamma_feature(far, n, g));
    }
    values.push_back(gamma_feature(far, n, f) / largest);
  }
  const double sign = distance > 0 ? 1 : distance < 0 ? -1 : 0;
  for (int i = 0; i < 6; ++i) {
    values.push_back(sign * values[static_cast<size_t>(i)]);
  }
  return nets::vector_of(values);
}

at::Tensor layer_normed(const StateDict& dict, const std::string& prefix, const at::Tensor& h) {
  return at::layer_norm(h, {24}, dict[prefix + ".weight"], dict[prefix + ".bias"], 1e-5);
}

// h [n, bins, 24]
at::Tensor attended(const StateDict& dict, const std::string& prefix, const at::Tensor& h,
                    bool use_tf_gamma) {
  const int64_t n = h.size(1);
  const at::Tensor q = at::linear(h, dict[prefix + "to_q.weight"]) / std::sqrt(1.0 * key_width);
  const at::Tensor k = at::linear(h, dict[prefix + "to_k.weight"]);
  const at::Tensor v = at::linear(h, dict[prefix + "to_v.weight"]);
  std::vector<at::Tensor> mixed;
  for (int64_t head = 0; head < heads; ++head) {
    const auto part = [&](const at::Tensor& all, int64_t width) {
      return all.narrow(-1, head * width, width);
    };
    const at::Tensor content = dict[prefix + "rel_content_bias"][0][head][0];
    const at::Tensor position = dict[prefix + "rel_pos_bias"][0][head][0];
    at::Tensor logits = at::zeros({h.size(0), n, n}, at::kDouble);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const at::Tensor r =
            part(at::linear(features(j - i, n, use_tf_gamma), dict[prefix + "to_rel_k.weight"]),
                 key_width);
        const at::Tensor own = part(q, key_width).select(1, i);
        logits.select(1, i).select(1, j).copy_(
            ((own + content) * part(k, key_width).select(1, j)).sum(1) +
            ((own + position) * r).sum(1));
      }
    }
    mixed.push_back(at::bmm(at::softmax(logits, 2), part(v, 4)));
  }
  return at::linear(at::cat(mixed, 2), dict[prefix + "to_out.weight"],
                    dict[prefix + "to_out.bias"]);
}

// All bins [n, bins, 48] before the heads.
at::Tensor trunk(const StateDict& dict, const at::Tensor& X, bool use_tf_gamma) {
  at::Tensor h = at::conv1d(X, dict["stem.0.weight"], dict["stem.0.bias"], 1, at::IntArrayRef{2});
  h = pool(dict, "stem.2", h + block(dict, "stem.1.fn", h));
  h = block(dict, "conv_tower.0.0", h);
  h = pool(dict, "conv_tower.0.2", h + block(dict, "conv_tower.0.1.fn", h)).transpose(1, 2);
  for (const std::string one : {"transformer.0.", "transformer.1."}) {
    h = h + attended(dict, one + "0.fn.1.", layer_normed(dict, one + "0.fn.0", h), use_tf_gamma);
    const at::Tensor inner =
        at::relu(at::linear(layer_normed(dict, one + "1.fn.0", h), dict[one + "1.fn.1.weight"],
                            dict[one + "1.fn.1.bias"]));
    h = h + at::linear(inner, dict[one + "1.fn.4.weight"], dict[one + "1.fn.4.bias"]);
  }
  return quick_gelu(block(dict, "final_pointwise.1", h.transpose(1, 2)).transpose(1, 2));
}

at::Tensor head(const StateDict& dict, const std::string& name, const at::Tensor& h) {
  return at::softplus(
      at::linear(h, dict["_heads." + name + ".0.weight"], dict["_heads." + name + ".0.bias"]));
}

EnformerOptions keeping(int64_t bins) {
  EnformerOptions options;
  options.target_length = bins;
  return options;
}

}  // namespace

TEST_CASE("enformer() is a tower, a transformer with relative positions, and a head a species") {
  const StateDict dict = tiny_enformer();
  const nets::Given input = nets::given(2, 2, 24);
  const at::Tensor h = trunk(dict, input.X, true);
  CHECK(h.size(1) == 6);
  nets::check_architecture(enformer(dict.tensors, keeping(-1)),
                           {head(dict, "human", h), head(dict, "mouse", h)}, input);
  const at::Tensor centre = h.narrow(1, 1, 4);
  nets::check_architecture(enformer(dict.tensors, keeping(4)),
                           {head(dict, "human", centre), head(dict, "mouse", centre)}, input);
}

TEST_CASE("enformer() keeps one head, scales gamma features over features, and takes odd lengths") {
  const StateDict dict = tiny_enformer();
  EnformerOptions options = keeping(-1);
  options.head = "mouse";
  options.use_tf_gamma = false;
  const nets::Given input = nets::given(2, 2, 19);
  const at::Tensor h = trunk(dict, input.X, false);
  CHECK(h.size(1) == 5);
  nets::check_architecture(enformer(dict.tensors, options), {head(dict, "mouse", h)}, input);
  options.head = "fly";
  CHECK(nets::error_of([&] { enformer(dict.tensors, options); }) ==
        "model: The state dict does not fit Enformer.\nThere is no head `fly`.");
}

TEST_CASE("the second names under which a state dict holds the trunk are taken or passed over") {
  const StateDict dict = tiny_enformer();
  const at::Tensor X = nets::one_hot(1, 24, 4);
  const at::Tensor expected =
      nets::interpreted(nets::model(enformer(dict.tensors, keeping(2))), X)[0];
  const std::vector<std::pair<std::string, std::string>> stages{{"stem.", "_trunk.1."},
                                                                {"conv_tower.", "_trunk.2."},
                                                                {"transformer.", "_trunk.4."},
                                                                {"final_pointwise.", "_trunk.6."}};
  for (const bool both : {false, true}) {
    nets::Tensors renamed;
    for (const auto& entry : dict.tensors) {
      std::string name = entry.first;
      for (const auto& stage : stages) {
        if (name.rfind(stage.first, 0) == 0) {
          name = stage.second + name.substr(stage.first.size());
        }
      }
      if (both && name != entry.first) {
        renamed.push_back(entry);
      }
      renamed.emplace_back(name, entry.second);
    }
    const auto model = nets::model(enformer(renamed, keeping(2)));
    CHECK(at::equal(nets::interpreted(model, X)[0], expected));
    CHECK(model->module_paths[1] == "stem");
  }
}

TEST_CASE("sequences of fewer bins than are kept are an error, and so are odd numbers of heads") {
  StateDict dict = tiny_enformer();
  const auto model = nets::model(enformer(dict.tensors, keeping(7)));
  CHECK(nets::error_of([&] { nets::predicted(model, nets::one_hot(1, 24, 4)); }) != "");
  dict.replace("transformer.0.0.fn.1.to_v.weight", nets::numbers({7, 24}, 1));
  dict.replace("transformer.0.0.fn.1.to_rel_k.weight", nets::numbers({6, 10}, 1));
  const std::string message = nets::error_of([&] { enformer(dict.tensors); });
  CHECK(message.find("gives 7 values, not a multiple of the 2 heads.") != std::string::npos);
  CHECK(message.find("takes 10 positional features, not a multiple of 6.") != std::string::npos);
}
