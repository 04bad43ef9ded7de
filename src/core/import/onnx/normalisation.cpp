// Normalisations. Each is LibTorch's own operation where it has one, which has a rule of its own.
#include <algorithm>

#include "core/base/error.h"
#include "core/import/onnx/operators.h"

namespace seqlift {
namespace onnx {

namespace {

std::string with_dimensions(const std::string& class_name, int64_t rank) {
  return class_name + std::to_string(std::clamp<int64_t>(rank - 2, 1, 3)) + "d";
}

}  // namespace

void batch_normalisation(Operator& op) {
  const ProgramValue& x = op.in(0);
  op.ignore("momentum");
  if (op.whole("training_mode", 0) != 0) {
    op.refuse("was exported in training mode: call model.eval() before the export");
  }
  if (op.whole("spatial", 1) != 1) {
    op.refuse("has statistics for each position (`spatial`), which is not supported");
  }
  op.class_name = with_dimensions("torch.nn.modules.batchnorm.BatchNorm", x.rank());
  op.give(op.emit("batch_norm",
                  {{"input", x},
                   {"weight", op.in(1)},
                   {"bias", op.in(2)},
                   {"running_mean", op.in(3)},
                   {"running_var", op.in(4)},
                   {"training", false},
                   {"momentum", 0.1},
                   {"eps", op.real("epsilon", 1e-5)},
                   {"cudnn_enabled", false}},
                  x.sizes, x.dtype));
}

void instance_normalisation(Operator& op) {
  const ProgramValue& x = op.in(0);
  op.class_name = with_dimensions("torch.nn.modules.instancenorm.InstanceNorm", x.rank());
  op.give(op.emit("instance_norm",
                  {{"input", x},
                   {"weight", op.in(1)},
                   {"bias", op.in(2)},
                   {"running_mean", Argument()},
                   {"running_var", Argument()},
                   {"use_input_stats", true},
                   {"momentum", 0.1},
                   {"eps", op.real("epsilon", 1e-5)},
                   {"cudnn_enabled", false}},
                  x.sizes, x.dtype));
}

void layer_normalisation(Operator& op) {
  const ProgramValue& x = op.in(0);
  op.ignore("stash_type");  // the type that the mean is computed in
  const int64_t axis = op.axis(op.whole("axis", -1), x.rank());
  const Wholes all = op.build.sizes(x);
  const Wholes sizes(all.begin() + axis, all.end());
  const Sizes known(x.sizes.begin() + axis, x.sizes.end());
  const bool fits = product_of(known) >= 0 && op.in(1).sizes == known &&
                    (!op.given(2) || op.in(2).sizes == known);
  ProgramValue result = op.emit("layer_norm",
                                {{"input", x},
                                 {"normalized_shape", sizes},
                                 {"weight", fits ? Argument(op.in(1)) : Argument()},
                                 {"bias", fits && op.given(2) ? Argument(op.in(2)) : Argument()},
                                 {"eps", op.real("epsilon", 1e-5)},
                                 {"cudnn_enable", false}},
                                x.sizes, x.dtype);
  if (!fits) {
    result = op.multiply(result, op.in(1));
    result = op.given(2) ? op.add(result, op.in(2)) : result;
  }
  op.give(result);
}

// Version 18 has a factor for each group, version 21 one for each channel.
void group_normalisation(Operator& op) {
  const ProgramValue& x = op.in(0);
  op.ignore("stash_type");
  const int64_t groups = op.whole("num_groups", 0);
  const int64_t channels = x.rank() < 2 ? -1 : x.sizes[1];
  if (groups < 1 || channels < 0 || channels % groups != 0) {
    op.refuse("has " + std::to_string(groups) + " groups of " + std::to_string(channels) +
              " channels");
  }
  const auto by_channel = [&](const ProgramValue& given) {
    if (op.version >= 21 || product_of(given.sizes) == channels) {
      return given;
    }
    return op.emit("repeat_interleave.self_int", {{"self", given}, {"repeats", channels / groups}},
                   {channels}, given.dtype);
  };
  op.give(op.emit("group_norm",
                  {{"input", x},
                   {"num_groups", groups},
                   {"weight", by_channel(op.in(1))},
                   {"bias", by_channel(op.in(2))},
                   {"eps", op.real("epsilon", 1e-5)},
                   {"cudnn_enabled", false}},
                  x.sizes, x.dtype));
}

// x over the sum of |x|, or over the root of that of its squares.
void lp_normalisation(Operator& op) {
  const ProgramValue& x = op.in(0);
  const int64_t axis = op.axis(op.whole("axis", -1), x.rank());
  const int64_t p = op.whole("p", 2);
  if (p != 1 && p != 2) {
    op.refuse("has the norm " + std::to_string(p) + ", which is not supported");
  }
  Sizes sizes = x.sizes;
  sizes[static_cast<size_t>(axis)] = 1;
  ProgramValue norm = op.emit(
      "sum.dim_IntList",
      {{"self", op.same(p == 1 ? "abs" : "square", x)}, {"dim", Sizes{axis}}, {"keepdim", true}},
      sizes, x.dtype);
  norm = p == 1 ? norm : op.same("sqrt", norm);
  // Zeros stay zeros.
  norm = op.same("clamp_min", norm, {{"min", x.dtype == at::kDouble ? 1e-300 : 1e-37}});
  op.give(op.two("div.Tensor", x, norm));
}

// (x - mean) / (its deviation + 1e-9), as the operator is defined.
void mean_variance_normalisation(Operator& op) {
  const ProgramValue& x = op.in(0);
  Sizes axes = op.has("axes") ? op.wholes("axes") : Sizes{0, 2, 3};
  for (int64_t& axis : axes) {
    axis = op.axis(axis, x.rank());
    if (axis == 0) {
      op.refuse("takes a mean over all sequences, which no model of single ones has");
    }
  }
  Sizes sizes = x.sizes;
  for (const int64_t axis : axes) {
    sizes[static_cast<size_t>(axis)] = 1;
  }
  const auto mean = [&](const ProgramValue& of) {
    return op.emit("mean.dim", {{"self", of}, {"dim", axes}, {"keepdim", true}}, sizes, x.dtype);
  };
  const ProgramValue centred = op.two("sub.Tensor", x, mean(x));
  const ProgramValue deviation = op.same("sqrt", mean(op.same("square", centred)));
  op.give(op.two("div.Tensor", centred, op.shifted(deviation, 1e-9)));
}

}  // namespace onnx
}  // namespace seqlift
