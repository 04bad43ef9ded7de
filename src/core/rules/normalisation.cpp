// Normalisations, taken apart into steps that have rules: mean (linear), centring (linear), square
// (elementwise), mean (linear), 1 / sqrt(v + eps) (elementwise), product. Batch norm in evaluation
// mode is linear.

#include "core/base/error.h"
#include "core/halves/tiles.h"
#include "core/numeric/tensor_functions.h"
#include "core/rules/rules.h"
#include "core/rules/steps.h"

namespace seqlift {
namespace rules {

namespace {

Halves mean(const Halves& input, const std::vector<int64_t>& dims) {
  return seqlift::linear([&](const at::Tensor& value) { return value.mean(dims, true); }, input);
}

Halves inverse_root(const Halves& variance, double eps, const BatchShape& batch) {
  const Unary function = [eps](const at::Tensor& value) { return (value + eps).rsqrt(); };
  return rescale_each(function, variance, Smoothness::smooth, batch);
}

// x / sqrt(mean(x^2) + eps), or the same of the centred x.
Halves standardise(const Halves& input, const std::vector<int64_t>& dims, double eps, bool centre,
                   const BatchShape& batch) {
  const Halves centred = centre ? subtract(input, mean(input, dims)) : input;
  const Halves variance = mean(square(centred, batch), dims);
  return multiply(centred, inverse_root(variance, eps, batch), batch);
}

at::Tensor optional_tensor(const Call& call, const char* name) {
  const int position = call.find(name);
  if (position < 0 || !call.constant(position).isTensor()) {
    return {};
  }
  if (call.depends(position)) {
    throw Error("unsupported_operation",
                call.where() + " takes a " + name +
                    " that depends on X and has no dimension for the sequences of a batch.");
  }
  return call.constant(position).toTensor();
}

// a x + b for constants of one number a channel, in one pass over x.
Halves scale_and_shift(const Halves& input, const at::Tensor& scale, const at::Tensor& shift) {
  const at::NoGradGuard guard;
  Halves output{at::addcmul(shift, input.x, scale), at::addcmul(shift, input.ref.detach(), scale)};
  output.ref = attach(output.ref, {input.ref}, [scale](const at::Tensor& grad) {
    return std::vector<at::Tensor>{grad * scale};
  });
  return output;
}

Halves affine(const Halves& input, const at::Tensor& weight, const at::Tensor& bias) {
  return seqlift::linear(
      [&](const at::Tensor& value) {
        at::Tensor result = weight.defined() ? value * weight : value;
        return bias.defined() ? result + bias : result;
      },
      input);
}

// Dimensions from `first` to the last.
std::vector<int64_t> dims_from(int64_t first, int64_t rank) {
  std::vector<int64_t> dims;
  for (int64_t d = first; d < rank; ++d) {
    dims.push_back(d);
  }
  return dims;
}

// [1, C, 1, ...] for a tensor of C channels.
at::Tensor per_channel(const at::Tensor& values, int64_t rank) {
  std::vector<int64_t> sizes(rank, 1);
  sizes[1] = -1;
  return values.defined() ? values.reshape(sizes) : values;
}

// The statistics that some normalisations return beside their result; whoever uses them is refused.
std::vector<Value> with_statistics(const Call& call, const Halves& output) {
  std::vector<Value> outputs{to_value(output)};
  for (size_t i = 1; i < call.node->outputs().size(); ++i) {
    Value statistic;
    statistic.x = at::Tensor();
    statistic.tainted = true;
    outputs.push_back(statistic);
  }
  return outputs;
}

}  // namespace
}  // namespace rules

Halves layer_norm(const Halves& input, int64_t dims, const at::Tensor& weight,
                  const at::Tensor& bias, double eps, const BatchShape& batch) {
  const int64_t rank = input.ref.dim();
  const std::vector<int64_t> over = rules::dims_from(rank - dims, rank);
  return rules::affine(rules::standardise(input, over, eps, true, batch), weight, bias);
}

namespace rules {

std::vector<Value> batch_norm(Call& call) {
  const Halves input = call.halves(0);
  const at::Tensor mean = optional_tensor(call, "running_mean");
  const at::Tensor variance = optional_tensor(call, "running_var");
  if (!mean.defined() || !variance.defined()) {
    throw Error("unsupported_operation",
                call.where() +
                    " normalises by the batch it is given (no running statistics): what "
                    "it says of a sequence depends on the sequences beside it.");
  }
  at::Tensor scale = (variance + number(call, "eps", 1e-5)).rsqrt();
  const at::Tensor weight = optional_tensor(call, "weight");
  scale = weight.defined() ? scale * weight : scale;
  at::Tensor shift = -mean * scale;
  const at::Tensor bias = optional_tensor(call, "bias");
  shift = bias.defined() ? shift + bias : shift;
  const int64_t rank = input.ref.dim();
  return with_statistics(
      call, scale_and_shift(input, per_channel(scale, rank).to(input.ref.scalar_type()),
                            per_channel(shift, rank).to(input.ref.scalar_type())));
}

std::vector<Value> layer_norm(Call& call) {
  const auto dims =
      static_cast<int64_t>(call.constant(call.find("normalized_shape")).toIntVector().size());
  const Halves output =
      seqlift::layer_norm(call.halves(0), dims, optional_tensor(call, "weight"),
                          optional_tensor(call, "bias"), number(call, "eps", 1e-5), call.batch);
  return with_statistics(call, output);
}

std::vector<Value> rms_norm(Call& call) {
  const Halves input = call.halves(0);
  const int64_t rank = input.ref.dim();
  const auto shape =
      static_cast<int64_t>(call.constant(call.find("normalized_shape")).toIntVector().size());
  // Without eps the operation takes the smallest step of its type.
  const double step =
      input.ref.scalar_type() == at::kDouble ? 2.220446049250313e-16 : 1.1920928955078125e-07;
  const Halves output = standardise(input, dims_from(rank - shape, rank), number(call, "eps", step),
                                    false, call.batch);
  return {to_value(affine(output, optional_tensor(call, "weight"), {}))};
}

// Groups of channels with all their positions: [n, C, ...] seen as [n, groups, everything else].
std::vector<Value> group_norm(Call& call) {
  const Halves input = call.halves(0);
  const bool native = call.find("group") >= 0;
  const int64_t groups = call.constant(call.find(native ? "group" : "num_groups")).toInt();
  const std::vector<int64_t> sizes = input.ref.sizes().vec();
  const Halves grouped = seqlift::linear(
      [&](const at::Tensor& value) {
        return value.reshape({value.size(0), groups, -1});
      },
      input);
  const Halves normalised = standardise(grouped, {2}, number(call, "eps", 1e-5), true, call.batch);
  const Halves output = seqlift::linear(
      [&](const at::Tensor& value) {
        std::vector<int64_t> shape = sizes;
        shape[0] = value.size(0);
        return value.reshape(shape);
      },
      normalised);
  const auto rank = static_cast<int64_t>(sizes.size());
  return with_statistics(call, affine(output, per_channel(optional_tensor(call, "weight"), rank),
                                      per_channel(optional_tensor(call, "bias"), rank)));
}

std::vector<Value> instance_norm(Call& call) {
  // With running statistics (evaluation mode) it is a batch norm, whatever a trace has written in.
  if (optional_tensor(call, "running_mean").defined()) {
    return batch_norm(call);
  }
  const Halves input = call.halves(0);
  const int64_t rank = input.ref.dim();
  const Halves output =
      standardise(input, dims_from(2, rank), number(call, "eps", 1e-5), true, call.batch);
  return {to_value(affine(output, per_channel(optional_tensor(call, "weight"), rank),
                          per_channel(optional_tensor(call, "bias"), rank)))};
}

// var, std, var_mean, std_mean over dimensions: the mean of the centred square, times n / (n - 1).
std::vector<Value> variance(Call& call) {
  const Halves input = call.halves(0);
  const int dim = call.find("dim");
  std::vector<int64_t> dims;
  if (dim >= 0 && call.constant(dim).isIntList()) {
    dims = call.constant(dim).toIntVector();
  } else if (dim >= 0 && call.constant(dim).isInt()) {
    dims = {call.constant(dim).toInt()};
  }
  if (dims.empty()) {
    throw Error("unsupported_operation", call.where() + " pools all sequences of a batch.");
  }
  const int unbiased = call.find("unbiased");
  const int correction = call.find("correction");
  double lost = 1;
  if (unbiased >= 0) {
    lost = call.constant(unbiased).toBool() ? 1 : 0;
  } else if (correction >= 0 && !call.constant(correction).isNone()) {
    lost = call.constant(correction).toScalar().toDouble();
  }
  double count = 1;
  for (const int64_t d : dims) {
    count *= static_cast<double>(input.ref.size(d));
  }
  const int keepdim = call.find("keepdim");
  const bool keep = keepdim >= 0 && call.constant(keepdim).toBool();
  const auto drop = [&](const Halves& value) {
    return seqlift::linear(
        [&](const at::Tensor& whole) { return keep ? whole : whole.mean(dims, false); }, value);
  };
  const Halves average = mean(input, dims);
  const Halves centred = subtract(input, average);
  Halves result =
      seqlift::linear([&](const at::Tensor& value) { return value * (count / (count - lost)); },
                      mean(square(centred, call.batch), dims));
  if (call.row->form == Form::root) {
    result = square_root(result, call.batch);
  }
  std::vector<Value> outputs{to_value(drop(result))};
  if (call.node->outputs().size() > 1) {
    outputs.push_back(to_value(drop(average)));
  }
  return outputs;
}

}  // namespace rules
}  // namespace seqlift
