// What each operation of a graph needs of memory (recompute.h), told by its kind and what it is
// given.

#include <algorithm>
#include <set>

#include "core/evaluate/evaluation.h"
#include "core/evaluate/positions.h"
#include "core/evaluate/recompute.h"
#include "core/model/operation_table.h"
#include "core/numeric/transformed_convolution.h"
#include "core/numeric/visit_tensors.h"

namespace seqlift {

namespace {

double storage_bytes(const at::Tensor& tensor) {
  return static_cast<double>(tensor.storage().nbytes());
}

// Memory that is an operation's own, and of its inputs, without the model's weights.
class Storages {
 public:
  explicit Storages(Constants& constants) : constants_(constants) {}

  void add(const c10::IValue& value) {
    visit_tensors(value, [&](const at::Tensor& tensor) {
      const bool counts = tensor.defined() && tensor.has_storage() && !constants_.keeps(tensor);
      if (counts && seen_.insert(tensor.storage().unsafeGetStorageImpl()).second) {
        tensors_.push_back(tensor);
        bytes_ += storage_bytes(tensor);
      }
    });
  }
  double bytes() const { return bytes_; }
  // A tensor of each.
  const std::vector<at::Tensor>& tensors() const { return tensors_; }

 private:
  Constants& constants_;
  std::set<const void*> seen_;
  std::vector<at::Tensor> tensors_;
  double bytes_ = 0;
};

// The model's own tensors among an operation's inputs. oneDNN reorders weights for each call.
double weight_bytes(const Call& call, Constants& constants) {
  double bytes = 0;
  for (const Value& input : call.inputs) {
    const bool weights = input.x.isTensor() && input.x.toTensor().defined() &&
                         input.x.toTensor().dim() > 1 && constants.keeps(input.x.toTensor());
    bytes += weights ? storage_bytes(input.x.toTensor()) : 0;
  }
  return bytes;
}

// What a convolution in transformed tiles works on at once, and what is kept of its weights.
struct ConvolutionNeed {
  double at_once = 0;
  double prepared = 0;
};

// The last number of an argument that is one or several.
int64_t last_of(const Call& call, const char* name) {
  const int position = call.find(name);
  if (position < 0) {
    return 1;
  }
  const c10::IValue& value = call.constant(position);
  return value.isInt() ? value.toInt() : value.toIntVector().back();
}

ConvolutionNeed need_of_convolution(const Call& call, double data) {
  const at::Tensor weight = call.constant(call.find("weight")).toTensor();
  const int64_t input = call.inputs[0].x.toTensor().numel();
  const double bytes = storage_bytes(weight);
  const int64_t width = weight.dim() > 2 ? weight.size(-1) : 1;
  ConvolutionNeed need;
  // Both ways: in the memory order of the activations, and turned around.
  need.prepared = keeps_weights(input, weight.numel(), false) ? (width > 1 ? 2 : 1) * bytes : 0;
  if (weight.dim() < 3) {
    return need;
  }
  // A long input stands for the many rows of a batch, of which more are worth a transform.
  constexpr int64_t longest = 1 << 20;
  LineConvolution line;
  line.in = weight.size(1);
  line.out = weight.size(0);
  line.kernel = width;
  line.dilation = last_of(call, "dilation");
  line.rows = 1;
  line.length = longest;
  const TileTransform transform = cheapest_transform(line);
  if (transform.any()) {
    const auto weights = static_cast<double>(transformed_weight_bytes(line, transform));
    const bool kept = keeps_weights(input, weight.numel(), true);
    need.at_once = std::min<double>(most_transformed_at_once, 4 * data) + (kept ? 0 : weights);
    need.prepared += kept ? 2 * weights : 0;
  }
  return need;
}

// Number by number with a tensor beside it, its slope is formed of a dozen tensors in double.
bool goes_whole(const Call& call) {
  int64_t tensors = 0;
  for (const Value& input : call.inputs) {
    tensors += input.x.isTensor() && input.x.toTensor().numel() > 1 ? 1 : 0;
  }
  return tensors > 1;
}

// What an operation needs by its rule, of `made` and `given` bytes of results and inputs. Measured
// on networks of each kind (tests/cpp/test-footprint.cpp).
Footprint::Need need_of_rule(const Call& call, double made, double given, bool several) {
  constexpr double in_double = 2;
  switch (call.row->kind) {
    case Kind::shape:
      return {};
    case Kind::linear:
      // Layouts are changed on the way, at times.
      return {0, call.is(Trait::convolves) ? given : 0, 2 * given};
    case Kind::elementwise:
      return {made, goes_whole(call) ? 10 * in_double * made : 0, made};
    case Kind::product:
      if (call.is(Trait::divides) && several) {
        return {given + made, made, made + given};
      }
      // The factors halfway; one that depends on X is linear.
      return several ? Footprint::Need{given, 0, made + given} : Footprint::Need{0, 0, given};
    case Kind::softmax:
      return {2 * made, made, made};
    case Kind::max:
      return {3 * made, 2 * given + made, made + given};
    case Kind::normalisation:
      return {3 * made, 6 * made, 2 * made};
    case Kind::attention:
      return {2 * made + given, made + given, made + given};
    default:
      return {2 * made + given, 2 * (made + given), 2 * (made + given)};
  }
}

// LibTorch's gradients refer to inputs and results, of which some are no longer needed otherwise.
Footprint::Need need_of_gradient(const Call& call, double made, double given) {
  const double copied = call.is(Trait::convolves) ? made + given : 0;
  switch (call.row->kind) {
    case Kind::shape:
      return {};
    case Kind::max:
      return {2 * made, 0, given};
    case Kind::linear:
      return {0, copied, copied + 2 * given};
    default:
      return {0, 0, made + given};
  }
}

}  // namespace

void Evaluation::weigh(const Call& call, const std::vector<Value>& outputs) {
  Storages storages(constants_);
  int64_t factors = 0;
  for (const Value& input : call.inputs) {
    storages.add(input.x);
    visit_tensors(input.x, [&](const at::Tensor& tensor) {
      factors += tensor.defined() && tensor.dim() > 0 && !constants_.keeps(tensor) ? 1 : 0;
    });
  }
  const double given = storages.bytes();
  const bool several = factors > 1 || call.is(Trait::powers);
  for (const Value& output : outputs) {
    storages.add(output.x);
  }
  const double made = storages.bytes() - given;
  if (made <= 0) {
    return;
  }
  const auto add = [](Footprint::Need& sum, const Footprint::Need& one) {
    sum.kept += one.kept;
    sum.forward = std::max(sum.forward, one.forward);
    sum.backward = std::max(sum.backward, one.backward);
    sum.once = std::max(sum.once, one.once);
  };
  Footprint::Node& now = options_.footprint->now;
  now.made += made;
  Footprint::Need by_rule = need_of_rule(call, made, given, several);
  Footprint::Need by_gradient = need_of_gradient(call, made, given);
  by_rule.once = weight_bytes(call, constants_);
  if (call.is(Trait::convolves)) {
    by_gradient.once = by_rule.once;
    const ConvolutionNeed need = need_of_convolution(call, made + given);
    by_rule.once += need.at_once;
    const void* weights = call.constant(call.find("weight")).toTensor().unsafeGetTensorImpl();
    if (options_.footprint->weights.insert(weights).second) {
      options_.footprint->prepared += need.prepared;
    }
  }
  add(now.halves, by_rule);
  add(now.gradients, by_gradient);
}

void Evaluation::weigh_alive(const Node* node) {
  Storages storages(constants_);
  for (const auto& entry : values_) {
    storages.add(entry.second.x);
  }
  Footprint& footprint = *options_.footprint;
  for (const at::Tensor& tensor : storages.tensors()) {
    const c10::Storage storage = tensor.storage();
    auto known = footprint.met.find(storage.unsafeGetStorageImpl());
    // An address is used again where what had it is gone.
    if (known != footprint.met.end() && known->second.first.expired()) {
      footprint.met.erase(known);
      known = footprint.met.end();
    }
    if (known == footprint.met.end()) {
      known = footprint.met
                  .emplace(storage.unsafeGetStorageImpl(),
                           std::make_pair(storage.getWeakStorageImpl(), ++footprint.count))
                  .first;
    }
    footprint.now.alive.push_back({known->second.second, storage_bytes(tensor)});
  }
  if (positions_) {
    footprint.now.steps = positions_->take();
    for (const torch::jit::Value* output : node->outputs()) {
      const auto own = values_.find(output);
      const bool tensor = own != values_.end() && own->second.x.isTensor();
      const Positions* positions = tensor ? positions_->find(own->second.x.toTensor()) : nullptr;
      if (positions) {
        footprint.positions[output->unique()] = *positions;
      }
    }
  }
  footprint.nodes.push_back(std::move(footprint.now));
  footprint.now = {};
}

}  // namespace seqlift
