// Layers that move numbers about and layers of several inputs.

#include <algorithm>

#include "core/base/error.h"
#include "core/import/keras/layers.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {
namespace keras {

namespace {

struct Positions {
  size_t dimensions;
  size_t first;  // of them in Keras's shape
};

Positions positions_of(LayerCall& call) {
  const size_t dimensions = call.class_name.find("2D") != std::string::npos ? 2 : 1;
  call.demand_rank(dimensions + 1);
  const bool last = call.config.text("data_format", "channels_last") != "channels_first";
  call.inputs.front().channels_first = last;
  return {dimensions, last ? 0u : 1u};
}

// All in one order: channels first where one comes so and all have positions.
bool order_alike(LayerCall& call) {
  bool first = false;
  for (const Described& input : call.inputs) {
    if (input.shape.size() != call.rank()) {
      call.refuse("joins inputs of different numbers of dimensions, which is not supported");
    }
    first = first || input.channels_first;
  }
  for (Described& input : call.inputs) {
    input.channels_first = first;
  }
  return first;
}

ModulePart joining(const std::string& class_name, size_t inputs, const std::string& expression) {
  ModulePart part;
  part.class_name = class_name;
  part.source = "def forward(self";
  for (size_t i = 0; i < inputs; ++i) {
    part.source += ", input_" + std::to_string(i) + ": Tensor";
  }
  part.source += "):\n    return " + expression + "\n";
  return part;
}

}  // namespace

// ---- shapes -------------------------------------------------------------------------------------

// In Keras's order, positions before channels.
Built flatten(LayerCall& call) {
  Described& input = call.inputs.front();
  const bool first = call.config.text("data_format", "channels_last") == "channels_first";
  const Described output{{entries(call, input.shape)}, false};
  input.channels_first = false;
  if (first && call.rank() > 1) {
    std::vector<int64_t> order{0};
    for (size_t i = 1; i < call.rank(); ++i) {
      order.push_back(static_cast<int64_t>(i) + 1);
    }
    order.push_back(1);
    return with_part(output,
                     part_of("torch.nn.modules.flatten.Flatten",
                             "torch.flatten(torch.permute(input, " + source_list(order) + "), 1)"));
  }
  if (call.rank() == 0) {
    call.refuse("takes an input of at least 2 dimensions");
  }
  return with_part(output, part_of("torch.nn.modules.flatten.Flatten", "torch.flatten(input, 1)"));
}

Built reshape(LayerCall& call) {
  call.inputs.front().channels_first = false;
  Shape target = call.config.list("target_shape");
  const int64_t given = entries(call, call.shape());
  int64_t known = 1;
  int64_t open = -1;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] == -1 && open < 0) {
      open = static_cast<int64_t>(i);
    } else if (target[i] < 1) {
      call.config.refuse("target_shape", "is not a shape");
    } else if (known > (int64_t{1} << 40) / target[i]) {
      call.config.refuse("target_shape", "is too large");
    } else {
      known *= target[i];
    }
  }
  const bool fits = given < 0 || (open < 0 ? given == known : given % known == 0);
  if (!fits) {
    call.config.refuse("target_shape",
                       "does not hold the " + std::to_string(given) + " numbers of its input");
  }
  if (open >= 0 && given >= 0) {
    target[static_cast<size_t>(open)] = given / known;
  }
  std::string sizes = "input.size(0)";
  for (const int64_t size : target) {
    sizes += ", " + std::to_string(size);
  }
  return with_part({target, false},
                   part_of("keras.Reshape", "torch.reshape(input, [" + sizes + "])"));
}

Built permute(LayerCall& call) {
  call.inputs.front().channels_first = false;
  const std::vector<int64_t> order = call.config.list("dims");
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool whole = sorted.size() == call.rank();
  for (size_t i = 0; whole && i < sorted.size(); ++i) {
    whole = sorted[i] == static_cast<int64_t>(i) + 1;
  }
  if (!whole) {
    call.config.refuse("dims", "is not an order of the dimensions of its input");
  }
  Described output;
  std::vector<int64_t> dimensions{0};
  for (const int64_t one : order) {
    output.shape.push_back(call.shape()[static_cast<size_t>(one) - 1]);
    dimensions.push_back(one);
  }
  return with_part(
      output, part_of("keras.Permute", "torch.permute(input, " + source_list(dimensions) + ")"));
}

Built repeat_vector(LayerCall& call) {
  call.demand_rank(1);
  const int64_t n = call.config.whole("n", 1);
  return with_part({{n, call.shape()[0]}, false},
                   part_of("keras.RepeatVector", "torch.expand(torch.unsqueeze(input, 1), [-1, " +
                                                     std::to_string(n) + ", -1])"));
}

Built cropping(LayerCall& call) {
  const Positions at = positions_of(call);
  const auto crops = call.config.pairs("cropping", at.dimensions);
  Described output = call.inputs.front();
  std::string expression = "input[:, :";
  for (size_t i = 0; i < at.dimensions; ++i) {
    int64_t& length = output.shape[at.first + i];
    if (length >= 0) {
      length -= crops[i][0] + crops[i][1];
      if (length < 1) {
        call.config.refuse("cropping", "leaves nothing of its input");
      }
    }
    expression += ", " + std::to_string(crops[i][0]) + ":";
    expression += crops[i][1] > 0 ? std::to_string(-crops[i][1]) : "";
  }
  return with_part(output, part_of("keras." + call.class_name, expression + "]"));
}

Built zero_padding(LayerCall& call) {
  const Positions at = positions_of(call);
  const auto zeros = call.config.pairs("padding", at.dimensions);
  Described output = call.inputs.front();
  std::vector<int64_t> widths;
  for (size_t i = at.dimensions; i-- > 0;) {
    int64_t& length = output.shape[at.first + i];
    length += length >= 0 ? zeros[i][0] + zeros[i][1] : 0;
    widths.insert(widths.end(), zeros[i].begin(), zeros[i].end());
  }
  return with_part(output, part_of("torch.nn.modules.padding.ConstantPad",
                                   "torch.constant_pad_nd(input, " + source_list(widths) + ", 0)"));
}

Built up_sampling(LayerCall& call) {
  const Positions at = positions_of(call);
  const auto sizes =
      call.config.numbers("size", at.dimensions, 1, std::vector<int64_t>(at.dimensions, 2));
  if (call.config.text("interpolation", "nearest") != "nearest") {
    call.config.refuse("interpolation", "is not supported");
  }
  Described output = call.inputs.front();
  std::string lengths;
  for (size_t i = 0; i < at.dimensions; ++i) {
    int64_t& length = output.shape[at.first + i];
    length *= length >= 0 ? sizes[i] : 1;
    lengths += (i ? ", " : "") + ("input.size(" + std::to_string(i + 2)) + ") * " +
               std::to_string(sizes[i]);
  }
  const std::string suffix = std::to_string(at.dimensions) + "d";
  return with_part(output,
                   part_of("torch.nn.modules.upsampling.Upsample",
                           "torch.upsample_nearest" + suffix + "(input, [" + lengths + "], None)"));
}

// ---- several inputs -----------------------------------------------------------------------------

Built merge(LayerCall& call) {
  if (call.inputs.size() < 2) {
    call.refuse("joins at least two inputs, not one");
  }
  const bool first = order_alike(call);
  Described output{call.shape(), first};
  for (const Described& input : call.inputs) {
    for (size_t i = 0; i < output.shape.size(); ++i) {
      int64_t& size = output.shape[i];
      const int64_t other = input.shape[i];
      if (size >= 0 && other >= 0 && size != other && size != 1 && other != 1) {
        call.refuse("joins inputs of different shapes: " + std::to_string(size) + " and " +
                    std::to_string(other) + " in dimension " + std::to_string(i + 1));
      }
      size = size < 0 || other < 0 ? -1 : std::max(size, other);
    }
  }
  const std::string& kind = call.class_name;
  const bool maximum = kind == "Maximum";
  std::string expression = "input_0";
  if (kind == "Subtract" && call.inputs.size() != 2) {
    call.refuse("joins two inputs, not " + std::to_string(call.inputs.size()));
  }
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    const std::string next = "input_" + std::to_string(i);
    if (maximum || kind == "Minimum") {
      expression = std::string(maximum ? "torch.maximum(" : "torch.minimum(") + expression + ", " +
                   next + ")";
    } else {
      expression += (kind == "Subtract" ? " - " : kind == "Multiply" ? " * " : " + ") + next;
    }
  }
  if (kind == "Average") {
    expression = "(" + expression + ") / " + std::to_string(call.inputs.size());
  }
  return with_part(output, joining("keras." + kind, call.inputs.size(), expression));
}

Built concatenate(LayerCall& call) {
  const bool first = order_alike(call);
  const int64_t axis = plain_axis(call, one_axis(call, -1), call.rank());
  const size_t at = static_cast<size_t>(axis);
  Described output{call.shape(), first};
  output.shape[at] = 0;
  std::string list;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Shape& shape = call.inputs[i].shape;
    for (size_t k = 0; k < shape.size(); ++k) {
      int64_t& size = output.shape[k];
      if (k == at) {
        size = size < 0 || shape[k] < 0 ? -1 : size + shape[k];
      } else if (size < 0) {
        size = shape[k];
      } else if (shape[k] >= 0 && shape[k] != size) {
        call.refuse("joins inputs of different shapes: " + std::to_string(size) + " and " +
                    std::to_string(shape[k]) + " in dimension " + std::to_string(k + 1));
      }
    }
    list += (i ? ", input_" : "input_") + std::to_string(i);
  }
  const std::string dimension = std::to_string(module_dimension(output, axis));
  return with_part(output, joining("keras.Concatenate", call.inputs.size(),
                                   "torch.cat([" + list + "], " + dimension + ")"));
}

}  // namespace keras
}  // namespace seqlift
