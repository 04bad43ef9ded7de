// What is ordered by its size: sort, topk, kthvalue, median, cumulative maxima, their indices, and
// what is looked up by an index that depends on X.
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {

namespace {

at::Tensor at_places(const at::Tensor& values, const at::Tensor& indices) {
  return values.gather(-1, indices);
}

}  // namespace

// The index moved from p' to p because value p came to lie beyond value p': the change p - p' is
// shared out over the change of their difference, D = v_p - v_p'. Where D did not change the order
// moved because of another value; the one that changed most in its row takes the credit.
Halves index_of(const Halves& input, const Halves& indices, const BatchShape& batch) {
  const at::NoGradGuard guard;
  const at::Tensor ref = input.ref.detach();
  const at::Tensor change_in = repeat_x(input.x, ref, batch) - ref;
  const at::Tensor at_ref = indices.ref;
  const at::Tensor at_x = repeat_x(indices.x, at_ref, batch);
  const at::Tensor moved = (at_x - at_ref).to(ref.scalar_type());
  const at::Tensor difference = at_places(change_in, at_x) - at_places(change_in, at_ref);
  const at::Tensor by_difference =
      at::where(difference == 0, at::zeros_like(moved), moved / difference);
  const at::Tensor largest = change_in.abs().argmax(-1, true).expand_as(at_x);
  const at::Tensor largest_change = at_places(change_in, largest);
  const at::Tensor by_largest = at::where((difference == 0).logical_and(largest_change != 0),
                                          moved / largest_change, at::zeros_like(moved));
  Halves output{indices.x.to(ref.scalar_type()), at_ref.to(ref.scalar_type())};
  output.ref = attach(output.ref, {input.ref}, [=](const at::Tensor& grad) {
    at::Tensor result = at::zeros_like(change_in);
    result.scatter_add_(-1, at_x, grad * by_difference);
    result.scatter_add_(-1, at_ref, -grad * by_difference);
    result.scatter_add_(-1, largest, grad * by_largest);
    return std::vector<at::Tensor>{result};
  });
  return output;
}

namespace rules {

namespace {

struct Ordered {
  at::Tensor values;   // [..., k]
  at::Tensor indices;  // into the last dimension of the input, [..., k]
};

using Sorter = std::function<Ordered(const at::Tensor& input)>;

// Each output is an order statistic of its row: the k-th largest for some k. If it rises from o' to
// o, at least k values of x are as large as o and fewer than k of the reference are larger than o',
// so some position q has x_q >= o and ref_q <= o': it rose by at least o - o', and takes the credit
// with a multiplier (o - o') / (x_q - ref_q) in (0, 1]. A fall likewise. Of several such positions
// the one that changed most is taken. Maxima (cumulative ones are maxima of prefixes, where not
// every position counts) credit their own position in x for a rise and in the reference for a fall,
// minima the other way round; see rules/max.cpp.
enum class Statistic { any, maximum, minimum };

Halves statistics_of(const Ordered& of_x, const Ordered& of_ref, const Halves& input,
                     Statistic statistic, const BatchShape& batch) {
  const at::NoGradGuard guard;
  const at::Tensor ref = input.ref.detach();
  const at::Tensor x = repeat_x(input.x, ref, batch);
  const at::Tensor change_in = x - ref;
  const at::Tensor y = repeat_x(of_x.values, of_ref.values, batch);
  const at::Tensor at_x = repeat_x(of_x.indices, of_ref.indices, batch);
  const at::Tensor change = y - of_ref.values;
  const at::Tensor position = at_x.clone();
  const bool any = statistic == Statistic::any;
  if (!any) {
    const at::Tensor own = statistic == Statistic::maximum ? change < 0 : change > 0;
    position.copy_(at::where(own, of_ref.indices, at_x));
  }
  for (int64_t k = 0; any && k < y.size(-1); ++k) {
    const at::Tensor o = y.narrow(-1, k, 1);
    const at::Tensor o_ref = of_ref.values.narrow(-1, k, 1);
    const at::Tensor rose = (x >= o).logical_and(ref <= o_ref).logical_and(o > o_ref);
    const at::Tensor fell = (x <= o).logical_and(ref >= o_ref).logical_and(o < o_ref);
    const at::Tensor size =
        at::where(rose.logical_or(fell), change_in.abs(), at::full({}, -1.0, x.options()));
    const at::Tensor found = size.argmax(-1, true);
    position.narrow(-1, k, 1).copy_(at::where(o == o_ref, at_x.narrow(-1, k, 1), found));
  }
  const at::Tensor moved = at_places(change_in, position);
  const at::Tensor weight = at::where(moved == 0, at::ones_like(moved), change / moved);
  Halves output{of_x.values, of_ref.values};
  output.ref = attach(output.ref, {input.ref}, [=](const at::Tensor& grad) {
    at::Tensor result = at::zeros_like(change_in);
    return std::vector<at::Tensor>{result.scatter_add_(-1, position, grad * weight)};
  });
  return output;
}

// The operation on a tensor whose ordered dimension is the last.
Sorter sorter_of(const Call& call) {
  const auto flag = [&](const char* name, bool otherwise) {
    const int position = call.find(name);
    return position >= 0 && !call.constant(position).isNone() ? call.constant(position).toBool()
                                                              : otherwise;
  };
  const auto pair = [](std::tuple<at::Tensor, at::Tensor> found) {
    return Ordered{std::get<0>(found), std::get<1>(found)};
  };
  switch (call.row->form) {
    case Form::sorted: {
      const bool descending = flag("descending", false);
      return [=](const at::Tensor& value) { return pair(value.sort(true, -1, descending)); };
    }
    case Form::largest_few: {
      const int64_t k = call.constant(1).toInt();
      const bool largest = flag("largest", true);
      return [=](const at::Tensor& value) { return pair(value.topk(k, -1, largest, true)); };
    }
    case Form::nth: {
      const int64_t k = call.constant(1).toInt();
      return [=](const at::Tensor& value) { return pair(value.kthvalue(k, -1, true)); };
    }
    case Form::median:
      return [=](const at::Tensor& value) { return pair(value.median(-1, true)); };
    case Form::running_maximum:
      return [=](const at::Tensor& value) { return pair(value.cummax(-1)); };
    case Form::running_minimum:
      return [=](const at::Tensor& value) { return pair(value.cummin(-1)); };
    case Form::minimum:
      return [=](const at::Tensor& value) { return pair(value.min(-1, true)); };
    default:
      return [=](const at::Tensor& value) { return pair(value.max(-1, true)); };
  }
}

}  // namespace

// sort, topk, kthvalue, median, cummax, cummin, max and min with their indices, argmax, argmin,
// argsort.
std::vector<Value> order(Call& call) {
  const Form form = call.row->form;
  const bool places_alone = call.is(Trait::finds_places);
  const int dim_position = call.find("dim");
  const bool given = dim_position >= 0 && !call.constant(dim_position).isNone();
  if (!given && (form == Form::median || places_alone)) {
    throw Error("unsupported_operation",
                call.where() + " orders all sequences of a batch together.");
  }
  const Halves input = call.halves(0);
  const int64_t rank = input.ref.dim();
  const int64_t asked = given ? call.constant(dim_position).toInt() : -1;
  const int64_t dim = counted_from_front(asked, rank);
  const bool ordered_all = form == Form::sorted || form == Form::largest_few ||
                           form == Form::running_maximum || form == Form::running_minimum;
  const int keep_position = call.find("keepdim");
  const bool keep = ordered_all || (keep_position >= 0 && call.constant(keep_position).toBool());
  const Halves last =
      seqlift::linear([&](const at::Tensor& value) { return value.transpose(dim, -1); }, input);
  const auto back = [&](const Halves& result) {
    return seqlift::linear(
        [&](const at::Tensor& value) {
          const at::Tensor placed = value.transpose(dim, -1);
          return keep ? placed : placed.squeeze(dim);
        },
        result);
  };
  const Sorter sorter = sorter_of(call);
  Ordered of_x;
  Ordered of_ref;
  {
    const at::NoGradGuard guard;
    of_x = sorter(last.x);
    of_ref = sorter(last.ref.detach());
  }
  check_rows(input.x, input.ref, call.batch);
  std::vector<Value> outputs;
  if (!places_alone) {
    const bool largest = form == Form::running_maximum || form == Form::plain;
    const bool smallest = form == Form::running_minimum || form == Form::minimum;
    const Statistic statistic = largest    ? Statistic::maximum
                                : smallest ? Statistic::minimum
                                           : Statistic::any;
    outputs.push_back(to_value(back(statistics_of(of_x, of_ref, last, statistic, call.batch))));
  }
  if (outputs.size() < call.node->outputs().size()) {
    const Halves places = index_of(last, {of_x.indices, of_ref.indices}, call.batch);
    outputs.push_back(to_value(back(places), at::kLong));
  }
  return outputs;
}

// What is found under an index: o = v[i]. From (v', i') to (v, i) it changes by the mean over both
// orders of the steps: the values' part ((v - v')[i] + (v - v')[i']) / 2 is linear in v, the
// index's part ((v[i] - v[i']) + (v'[i] - v'[i'])) / 2 is shared out over the change of the index.
std::vector<Value> lookup(Call& call) {
  // one_hot() has no values: it looks up rows of an identity.
  const int named = std::max(call.find("indices"), call.find("index"));
  const int index_position = std::max(named, 0);
  const int value_position = named < 0 ? -1 : 0;
  const Value& index = call.inputs[index_position];
  const bool in_list = index.x.isList();
  if (!index.depends) {
    return linear(call);
  }
  const auto refuse = [&](const char* why) {
    throw Error("unsupported_operation", call.where() + why);
  };
  // Which element of a list of indices it is.
  int64_t element = -1;
  if (in_list) {
    const c10::List<c10::IValue> list = index.ref().toList();
    for (int64_t i = 0; i < static_cast<int64_t>(list.size()); ++i) {
      const c10::IValue entry = list.get(i);
      if (entry.isTensor() && has_gradient(entry.toTensor())) {
        if (element >= 0) {
          refuse(" looks up by several indices that depend on X, which has no rule.");
        }
        element = i;
      }
    }
  }
  if (index.shown == at::kBool || (element < 0 && in_list)) {
    refuse(" selects by a mask that depends on X: how much it selects does, too.");
  }
  const auto index_of_half = [&](const c10::IValue& half) {
    return in_list ? half.toListRef()[element].toTensor() : half.toTensor();
  };
  const at::Tensor i_ref = index_of_half(index.ref());
  const at::Tensor i_x = index_of_half(index.x);
  const auto evaluate = [call, in_list, element, index_position, value_position](
                            bool ref, const at::Tensor& values, const at::Tensor& where) {
    std::vector<c10::IValue> stack = call.stack(ref);
    const at::Tensor whole = where.detach().to(at::kLong);
    if (in_list) {
      c10::impl::GenericList list(stack[index_position].toList().elementType());
      const c10::ArrayRef<c10::IValue> entries = stack[index_position].toListRef();
      for (size_t i = 0; i < entries.size(); ++i) {
        list.push_back(static_cast<int64_t>(i) == element ? c10::IValue(whole) : entries[i]);
      }
      stack[index_position] = list;
    } else {
      stack[index_position] = whole;
    }
    if (value_position >= 0) {
      stack[value_position] = values;
    }
    return call.evaluate(std::move(stack))[0].toTensor().to(
        value_position >= 0 ? values.scalar_type() : where.scalar_type());
  };
  const Halves values = value_position >= 0 ? call.halves(value_position) : Halves{i_x, i_ref};
  const at::NoGradGuard guard;
  const at::Tensor v_ref = values.ref.detach();
  Halves output{evaluate(false, values.x, i_x), evaluate(true, v_ref, i_ref)};
  const at::Tensor from = i_ref.detach();
  const at::Tensor to = repeat_x(i_x, from, call.batch);
  const at::Tensor v_x = repeat_x(values.x, v_ref, call.batch);
  if (output.ref.dim() < from.dim() || output.ref.sizes().slice(0, from.dim()) != from.sizes()) {
    refuse(" looks up by an index whose places are not those of the result.");
  }
  const at::Tensor part = (evaluate(true, v_x, to) - evaluate(true, v_x, from) +
                           evaluate(true, v_ref, to) - evaluate(true, v_ref, from)) /
                          2;
  const at::Tensor moved = to - from;
  const int64_t rank = from.dim();
  const bool values_depend = value_position >= 0 && call.depends(value_position);
  const auto backward = [=](const at::Tensor& grad) {
    at::Tensor share = grad * part;
    share = share.dim() > rank ? share.flatten(rank).sum(-1) : share;
    std::vector<at::Tensor> grads{at::where(moved == 0, at::zeros_like(share), share / moved)};
    if (values_depend) {
      const at::AutoGradMode enabled(true);
      const at::Tensor point = v_ref.detach().requires_grad_();
      const at::Tensor both = (evaluate(true, point, to) + evaluate(true, point, from)) / 2;
      grads.push_back(torch::autograd::grad({both}, {point}, {grad})[0]);
    }
    return grads;
  };
  std::vector<at::Tensor> inputs{i_ref};
  if (values_depend) {
    inputs.push_back(values.ref);
  }
  output.ref = attach(output.ref, inputs, backward);
  // one_hot counts in whole numbers.
  return {value_position >= 0 ? to_value(output) : to_value(output, at::kLong)};
}

}  // namespace rules
}  // namespace seqlift
