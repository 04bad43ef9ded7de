// Operations on tensors that move numbers about.

#include "core/import/keras/operation.h"

namespace seqlift {
namespace keras {

using nlohmann::json;

// ---- shapes ---------------------------------------------------------------------------------

Built reshape_operation(Operation& op) {
  const int64_t x = op.input("x");
  const Shape& from = op.shape(x);
  const auto target = op.wholes("newshape");
  if (target.empty() || target[0] != -1) {
    op.refuse("has a new shape whose first size is not -1, that of the sequences");
  }
  int64_t given = 1;
  for (size_t i = 1; i < from.size(); ++i) {
    given = given < 0 || from[i] < 0 ? -1 : given * from[i];
  }
  int64_t made = 1;
  Shape shape{batch_size};
  std::string sizes = op.text(x) + ".size(0)";
  for (size_t i = 1; i < target.size(); ++i) {
    if (target[i] < 1 || made > (int64_t{1} << 40) / target[i]) {
      op.refuse("has a new shape with another -1 than that of the sequences");
    }
    made *= target[i];
    shape.push_back(target[i]);
    sizes += ", " + std::to_string(target[i]);
  }
  if (given >= 0 && given != made) {
    op.refuse("has a new shape of another number of entries");
  }
  return op.give(shape, "torch.reshape(" + op.text(x) + ", [" + sizes + "])");
}

namespace {

Built permuted(Operation& op, int64_t x, const std::vector<int64_t>& order) {
  const Shape& from = op.shape(x);
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  Shape shape;
  for (size_t i = 0; i < order.size(); ++i) {
    if (order.size() != from.size() || sorted[i] != static_cast<int64_t>(i)) {
      op.refuse("has no order of the dimensions of its input");
    }
    shape.push_back(from[static_cast<size_t>(order[i])]);
  }
  return op.give(shape, "torch.permute(" + op.text(x) + ", " + source_list(order) + ")");
}

}  // namespace

Built transpose_operation(Operation& op) {
  const int64_t x = op.input("x");
  const int64_t rank = static_cast<int64_t>(op.shape(x).size());
  std::vector<int64_t> order;
  if (op.name() == "Transpose") {
    order = op.wholes("axes");
  } else {
    for (int64_t i = 0; i < rank; ++i) {
      order.push_back(i);
    }
    std::swap(order[static_cast<size_t>(op.one_axis("axis1", rank))],
              order[static_cast<size_t>(op.one_axis("axis2", rank))]);
  }
  return permuted(op, x, order);
}

Built expand_operation(Operation& op) {
  const int64_t x = op.input("x");
  Shape shape = op.shape(x);
  const int64_t at = op.one_axis("axis", static_cast<int64_t>(shape.size()) + 1);
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(at), 1);
  return op.give(shape, "torch.unsqueeze(" + op.text(x) + ", " + std::to_string(at) + ")");
}

Built squeeze_operation(Operation& op) {
  const int64_t x = op.input("x");
  Shape shape = op.shape(x);
  const int64_t at = op.one_axis("axis", static_cast<int64_t>(shape.size()));
  if (shape[static_cast<size_t>(at)] != 1) {
    op.refuse("drops a dimension whose size is not 1");
  }
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(at));
  return op.give(shape, "torch.squeeze(" + op.text(x) + ", " + std::to_string(at) + ")");
}

Built join_operation(Operation& op) {
  const auto inputs = op.inputs("xs");
  const bool stack = op.name() == "Stack";
  Shape shape = op.shape(inputs[0]);
  const int64_t rank = static_cast<int64_t>(shape.size()) + (stack ? 1 : 0);
  const int64_t at = op.one_axis("axis", rank);
  std::string list;
  int64_t joined = 0;
  for (const int64_t input : inputs) {
    list += (list.empty() ? "" : ", ") + op.text(input);
    Shape other = op.shape(input);
    if (other.size() != shape.size()) {
      op.refuse("joins inputs of different shapes");
    }
    if (!stack) {
      const int64_t size = other[static_cast<size_t>(at)];
      joined = joined < 0 || size < 0 ? -1 : joined + size;
      other[static_cast<size_t>(at)] = shape[static_cast<size_t>(at)];
    }
    shape = broadcast(op, shape, other);
  }
  if (stack) {
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(at),
                 static_cast<int64_t>(inputs.size()));
  } else {
    shape[static_cast<size_t>(at)] = joined;
  }
  return op.give(shape, std::string(stack ? "torch.stack([" : "torch.cat([") + list + "], " +
                            std::to_string(at) + ")");
}

Built flip_operation(Operation& op) {
  const int64_t x = op.input("x");
  std::vector<int64_t> axes;
  for (const int64_t one : op.wholes("axis")) {
    axes.push_back(op.axis(one, static_cast<int64_t>(op.shape(x).size())));
  }
  return op.give(op.shape(x), "torch.flip(" + op.text(x) + ", " + source_list(axes) + ")");
}

Built repeat_operation(Operation& op) {
  const int64_t x = op.input("x");
  Shape shape = op.shape(x);
  const int64_t at = op.one_axis("axis", static_cast<int64_t>(shape.size()));
  const auto times = op.wholes("repeats");
  if (times.size() != 1 || times[0] < 1) {
    op.refuse("repeats its input by several numbers");
  }
  int64_t& size = shape[static_cast<size_t>(at)];
  size = size < 0 ? -1 : size * times[0];
  return op.give(shape, "torch.repeat_interleave(" + op.text(x) + ", " + std::to_string(times[0]) +
                            ", " + std::to_string(at) + ")");
}

Built tile_operation(Operation& op) {
  const int64_t x = op.input("x");
  Shape shape = op.shape(x);
  const auto times = op.wholes("repeats");
  if (times.size() != shape.size() || times[0] != 1) {
    op.refuse("repeats its input along the dimension of the sequences, which is not supported");
  }
  for (size_t i = 1; i < shape.size(); ++i) {
    if (times[i] < 1) {
      op.refuse("repeats its input less than once");
    }
    shape[i] = shape[i] < 0 ? -1 : shape[i] * times[i];
  }
  return op.give(shape, op.text(x) + ".repeat(" + source_list(times) + ")");
}

Built pad_operation(Operation& op) {
  const int64_t x = op.input("x");
  Shape shape = op.shape(x);
  const json* pairs = op.find("pad_width");
  const json* mode = op.find("mode");
  const bool plain = !mode || (mode->is_string() && (*mode == "constant" || *mode == "CONSTANT"));
  if (!plain || !pairs || !pairs->is_array() || pairs->size() != shape.size()) {
    op.refuse("pads its input otherwise than by a number");
  }
  std::vector<int64_t> widths;
  for (size_t i = shape.size(); i-- > 0;) {
    const json& pair = (*pairs)[i];
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_unsigned() ||
        !pair[1].is_number_unsigned() || pair[0] > 1000000000 || pair[1] > 1000000000) {
      op.refuse("pads its input otherwise than by pairs of whole numbers");
    }
    const int64_t before = pair[0].get<int64_t>();
    const int64_t after = pair[1].get<int64_t>();
    if (i == 0 && before + after > 0) {
      op.refuse("works along the dimension of the sequences, which is not supported");
    }
    if (i > 0) {
      widths.push_back(before);
      widths.push_back(after);
      shape[i] = shape[i] < 0 ? -1 : shape[i] + before + after;
    }
  }
  return op.give(shape, "torch.constant_pad_nd(" + op.text(x) + ", " + source_list(widths) + ", " +
                            source_number(op.number("constant_values", 0)) + ")");
}

namespace {

bool is_marked(const json& value, const char* what) {
  return value.is_object() && value.value("class_name", json()) == what;
}

}  // namespace

// numpy's indexing by whole numbers, slices, None and `...`.
Built item_operation(Operation& op) {
  const int64_t x = op.input("x");
  const Shape& from = op.shape(x);
  const json* given = op.find("key");
  if (!given) {
    op.refuse("lacks what it takes of its input");
  }
  json key = given->is_array() ? *given : json::array({*given});
  // Every dimension that is not named stays.
  size_t named = 0;
  size_t dots = key.size();
  for (size_t i = 0; i < key.size(); ++i) {
    if (is_marked(key[i], "__ellipsis__")) {
      dots = i;
    } else {
      named += key[i].is_null() ? 0 : 1;
    }
  }
  if (named > from.size()) {
    op.refuse("takes more dimensions of its input than that has");
  }
  json whole = json::array();
  for (size_t i = named; i < from.size(); ++i) {
    whole.push_back(json::object());
  }
  if (dots < key.size()) {
    key.erase(key.begin() + static_cast<std::ptrdiff_t>(dots));
  }
  key.insert(key.begin() + static_cast<std::ptrdiff_t>(dots), whole.begin(), whole.end());
  std::string expression = op.text(x);
  Shape shape;
  size_t dimension = 0;  // of `from`
  for (const json& one : key) {
    const std::string at = std::to_string(shape.size());
    if (one.is_null()) {
      expression = "torch.unsqueeze(" + expression + ", " + at + ")";
      shape.push_back(1);
      continue;
    }
    const int64_t size = from[dimension++];
    if (one.is_number_integer()) {
      const int64_t place = one.get<int64_t>();
      const bool outside = size >= 0 && (place < -size || place >= size);
      if (size == batch_size || outside || std::abs(place) > 1000000000) {
        op.refuse("takes an entry that its input does not have, or one sequence of all");
      }
      expression = "torch.select(" + expression + ", " + at + ", " + std::to_string(place) + ")";
      continue;
    }
    if (!one.is_object()) {
      op.refuse("takes something else of its input than entries and slices");
    }
    const json& slice = is_marked(one, "__slice__") ? one["config"] : one;
    const auto end = [&](const char* name, int64_t& number) {
      const auto found = slice.find(name);
      if (found == slice.end() || found->is_null()) {
        return false;
      }
      if (!found->is_number_integer() || std::abs(found->get<double>()) > 1e9) {
        op.refuse("takes a slice of its input whose ends are not whole numbers");
      }
      number = found->get<int64_t>();
      return true;
    };
    int64_t begin = 0;
    int64_t stop = 0;
    int64_t step = 1;
    const bool begins = end("start", begin);
    const bool stops = end("stop", stop);
    end("step", step);
    const bool whole_reversed = step == -1 && !begins && !stops;
    if (step < 1 && !whole_reversed) {
      op.refuse("takes a slice of its input backwards, which is supported for a whole one alone");
    }
    if (size == batch_size && (begins || stops || step != 1)) {
      op.refuse("takes some of the sequences, which is not supported");
    }
    if (whole_reversed) {
      expression = "torch.flip(" + expression + ", [" + at + "])";
    } else if (begins || stops || step != 1) {
      expression = "torch.slice(" + expression + ", " + at + ", " +
                   (begins ? std::to_string(begin) : "None") + ", " +
                   (stops ? std::to_string(stop) : "None") + ", " + std::to_string(step) + ")";
    }
    int64_t left = size;
    if (size >= 0) {
      const auto place = [&](int64_t number) {
        return std::clamp<int64_t>(number < 0 ? number + size : number, 0, size);
      };
      const int64_t first = begins ? place(begin) : 0;
      const int64_t last = stops ? place(stop) : size;
      const int64_t apart = std::abs(step);
      left = last > first ? (last - first + apart - 1) / apart : 0;
      if (left == 0) {
        op.refuse("takes nothing of its input");
      }
    }
    shape.push_back(left);
  }
  return op.give(shape, expression);
}

Built split_operation(Operation& op) {
  const int64_t x = op.input("x");
  const Shape& from = op.shape(x);
  const int64_t at = op.one_axis("axis", static_cast<int64_t>(from.size()));
  const int64_t size = from[static_cast<size_t>(at)];
  const json* how = op.find("indices_or_sections");
  const bool sizes_given = !how;  // TensorFlow's own list
  const auto given = op.wholes(how ? "indices_or_sections" : "num_or_size_splits");
  std::vector<int64_t> sizes;
  if (size < 0) {
    op.refuse("splits a dimension whose size the file does not say");
  }
  if (given.size() == 1 && (!how || !how->is_array())) {
    if (given[0] < 1 || given[0] > size || size % given[0] != 0) {
      op.refuse("splits its input into parts that do not fit");
    }
    sizes.assign(static_cast<size_t>(given[0]), size / given[0]);
  } else if (sizes_given) {
    sizes = given;
  } else {
    int64_t before = 0;
    for (const int64_t end : given) {
      sizes.push_back(end - before);
      before = end;
    }
    sizes.push_back(size - before);
  }
  int64_t total = 0;
  std::vector<Shape> shapes;
  std::string parts;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 1 || total + sizes[i] > size) {
      op.refuse("splits its input into parts that do not fit");
    }
    Shape shape = from;
    shape[static_cast<size_t>(at)] = sizes[i];
    shapes.push_back(shape);
    parts += (i ? ", " : "") + ("torch.slice(" + op.text(x)) + ", " + std::to_string(at) + ", " +
             std::to_string(total) + ", " + std::to_string(total + sizes[i]) + ")";
    total += sizes[i];
  }
  if (total != size) {
    op.refuse("splits its input into parts that do not fit");
  }
  return op.give_several(shapes, parts);
}

}  // namespace keras
}  // namespace seqlift
