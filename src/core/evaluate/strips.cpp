// The first part of a graph in strips of positions (recompute.h): a piece of X after the other.
// What each gives is put in its place among what crosses the cut; the backward pass evaluates every
// piece once more and adds up what overlapping pieces say of a position.

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "core/base/error.h"
#include "core/evaluate/evaluation.h"
#include "core/evaluate/positions.h"
#include "core/evaluate/recompute.h"
#include "core/halves/joined.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

using torch::jit::Node;

namespace {

// Thrown where a piece goes another way than the whole, or gives something else than positions.
struct NotInStrips {};

// Numbers for all positions, in the memory order of what one strip gives.
at::Tensor for_all(const at::Tensor& strip, int64_t axis, int64_t length) {
  std::vector<int64_t> order(strip.dim());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return strip.stride(a) < strip.stride(b); });
  std::vector<int64_t> sizes = strip.sizes().vec();
  sizes[axis] = length;
  std::vector<int64_t> strides(strip.dim());
  int64_t stride = 1;
  for (const int64_t dim : order) {
    strides[dim] = stride;
    stride *= sizes[dim];
  }
  return at::empty_strided(sizes, strides, strip.options());
}

// Where the results of a strip stand in what it gave and in the whole.
struct Stretch {
  int64_t from = 0;
  int64_t to = 0;
  int64_t count = 0;
};

Stretch stretch_of(const Strip& strip, const Positions& whole, bool last) {
  Stretch stretch;
  stretch.from = (strip.begin - strip.from) / whole.step;
  stretch.to = strip.begin / whole.step;
  const int64_t end = last ? whole.length : std::min(strip.end / whole.step, whole.length);
  stretch.count = std::max<int64_t>(end - stretch.to, 0);
  return stretch;
}

}  // namespace

std::vector<Strip> strips_of(const Strips& strips) {
  std::vector<Strip> all;
  for (int64_t begin = 0; begin < strips.length;) {
    Strip strip;
    strip.begin = begin;
    // A rest of less than half a strip goes with the last one.
    strip.end = begin + strips.width + strips.width / 2 < strips.length ? begin + strips.width
                                                                        : strips.length;
    strip.from = std::max<int64_t>(begin - strips.before, 0);
    strip.to = std::min(strip.end + strips.behind, strips.length);
    all.push_back(strip);
    begin = strip.end;
  }
  return all;
}

struct Evaluation::StripPart {
  std::shared_ptr<const Evaluation> before;
  std::vector<const Node*> nodes;
  std::shared_ptr<const Strips> plan;
  bool recording = true;
};

// How an evaluation stands behind the part, of one piece of X.
struct Evaluation::StripRun {
  std::shared_ptr<Evaluation> evaluation;
  at::Tensor leaf;                   // the piece
  int64_t axis = 0;                  // its dimension of positions
  std::vector<at::Tensor> results;   // what crosses the cut, of both halves, each tensor once
  std::vector<Positions> positions;  // of the whole's
};

Evaluation::StripRun Evaluation::run_strip(const StripPart& part, const Strip& strip) {
  StripRun run;
  run.evaluation = std::make_shared<Evaluation>(*part.before);
  Evaluation& own = *run.evaluation;
  const torch::jit::Block* block = own.graph_.graph->block();
  Value& X = own.values_.at(block->inputs()[1]);
  Positions piece = positions_of(X.x.toTensor());
  const int64_t axis = run.axis = piece.axis;
  X.each_half([&](c10::IValue& half) {
    const at::Tensor whole = half.toTensor();
    at::Tensor taken = whole.detach().narrow(axis, strip.from, strip.to - strip.from).clone();
    if (has_gradient(whole)) {
      const PartEntry entry = part_entry({taken});
      run.leaf = entry.leaves[0];
      taken = entry.stand_ins[0];
    }
    half = taken;
  });
  own.positions_ = std::make_shared<PositionLog>();
  piece.length = strip.to - strip.from;
  own.positions_->given(X.x.toTensor(), piece);
  for (size_t i = 0; i <= part.plan->end; ++i) {
    own.run_and_free(part.nodes[i]);
    const PositionLog::Steps steps = own.positions_->take();
    if (!steps.followed || steps.text != part.plan->steps[i]) {
      throw NotInStrips();
    }
  }
  own.forget(block, part.plan->end + 1);
  if (!own.can_be_cut()) {
    throw NotInStrips();
  }
  std::vector<std::pair<size_t, const torch::jit::Value*>> names;
  for (const auto& entry : own.values_) {
    names.emplace_back(entry.first->unique(), entry.first);
  }
  std::sort(names.begin(), names.end());
  std::set<const void*> seen;
  for (const auto& name : names) {
    const auto whole = part.plan->positions.find(name.first);
    const Value& value = own.values_.at(name.second);
    const bool follows = value.x.isTensor() && own.positions_->find(value.x.toTensor()) != nullptr;
    if (follows != (whole != part.plan->positions.end())) {
      throw NotInStrips();
    }
    if (!follows) {
      continue;
    }
    value.each_half([&](const c10::IValue& half) {
      if (seen.insert(half.toTensor().unsafeGetTensorImpl()).second) {
        run.results.push_back(half.toTensor());
        run.positions.push_back(whole->second);
      }
    });
  }
  return run;
}

// Goes on where another evaluation of the same graph stands.
void Evaluation::stand_behind(const Evaluation& other) {
  values_ = other.values_;
  attributes_ = other.attributes_;
  copies_of_x_ = other.copies_of_x_;
  copies_of_ref_ = other.copies_of_ref_;
  grad_enabled_ = other.grad_enabled_;
  emptied_ = other.emptied_;
  objects_ = other.objects_;
  visits_ = other.visits_;
  row_by_row_ = other.row_by_row_;
  usual_ = other.usual_;
  exact_ = other.exact_;
  steps_ = other.steps_;
  step_visits_ = other.step_visits_;
  drawn_ = other.drawn_;
}

bool Evaluation::run_in_strips(const std::vector<const Node*>& nodes) {
  const std::vector<at::Tensor> given = crossing();
  // Gradients with respect to X alone.
  if (given.size() != 1) {
    return false;
  }
  StripPart part;
  part.before = std::make_shared<const Evaluation>(*this);
  part.nodes = nodes;
  part.plan = options_.strips;
  part.recording = at::GradMode::is_enabled();
  const std::vector<Strip> strips = strips_of(*part.plan);
  std::vector<at::Tensor> whole;
  StripRun run;
  try {
    for (const Strip& strip : strips) {
      // Slopes are formed when it is evaluated again.
      const Draft draft(options_.two_halves());
      run = StripRun();
      run = run_strip(part, strip);
      for (size_t i = 0; i < run.results.size(); ++i) {
        const at::Tensor values = run.results[i].detach();
        const Positions& positions = run.positions[i];
        if (whole.size() <= i) {
          whole.push_back(for_all(values, positions.axis, positions.length));
        }
        const Stretch stretch = stretch_of(strip, positions, &strip == &strips.back());
        if (run.results.size() != whole.size() && &strip != &strips.front()) {
          throw NotInStrips();
        }
        if (stretch.from + stretch.count > values.size(positions.axis)) {
          throw NotInStrips();
        }
        whole[i]
            .narrow(positions.axis, stretch.to, stretch.count)
            .copy_(values.narrow(positions.axis, stretch.from, stretch.count));
      }
    }
  } catch (const NotInStrips&) {
    return false;
  } catch (const Error& error) {
    // Of the whole it will be said again.
    if (error.kind() == "memory" || error.kind() == "interrupt") {
      throw;
    }
    return false;
  }
  std::vector<at::Tensor> plain;
  for (size_t i = 0; i < whole.size(); ++i) {
    if (has_gradient(run.results[i])) {
      plain.push_back(whole[i]);
    }
  }
  const auto kept = std::make_shared<const StripPart>(std::move(part));
  const std::vector<at::Tensor> joined = attach_together(
      plain, given,
      [kept](const std::vector<at::Tensor>& grads) { return run_strips_again(*kept, grads); });
  size_t next = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    whole[i] = has_gradient(run.results[i]) ? joined[next++] : whole[i];
  }
  stand_behind(*run.evaluation);
  replace(run.results, whole);
  return true;
}

// The backward pass of the part.
std::vector<at::Tensor> Evaluation::run_strips_again(const StripPart& part,
                                                     const std::vector<at::Tensor>& grads) {
  const at::AutoGradMode mode(part.recording);
  const Draft recorded(false);
  at::Tensor sum;
  const std::vector<Strip> strips = strips_of(*part.plan);
  for (const Strip& strip : strips) {
    std::vector<at::Tensor> roots;
    std::vector<at::Tensor> gradients;
    at::Tensor leaf;
    int64_t axis_of_X = 0;
    {
      StripRun run = run_strip(part, strip);
      leaf = run.leaf;
      axis_of_X = run.axis;
      size_t next = 0;
      for (size_t i = 0; i < run.results.size(); ++i) {
        if (!has_gradient(run.results[i])) {
          continue;
        }
        const at::Tensor grad = grads.at(next++);
        const int64_t axis = run.positions[i].axis;
        const Stretch stretch = stretch_of(strip, run.positions[i], &strip == &strips.back());
        if (grad.defined() && stretch.count > 0) {
          roots.push_back(run.results[i].narrow(axis, stretch.from, stretch.count));
          gradients.push_back(grad.narrow(axis, stretch.to, stretch.count));
        }
      }
    }
    if (roots.empty()) {
      continue;
    }
    const at::Tensor own = torch::autograd::grad(roots, {leaf}, gradients, {}, false, true)[0];
    if (!own.defined()) {
      continue;
    }
    if (!sum.defined()) {
      std::vector<int64_t> sizes = own.sizes().vec();
      sizes[axis_of_X] = part.plan->length;
      sum = at::zeros(sizes, own.options());
    }
    sum.narrow(axis_of_X, strip.from, strip.to - strip.from).add_(own.detach());
  }
  return {sum};
}

}  // namespace seqlift
