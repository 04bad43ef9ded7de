// One operation on tensors as it is called, and the functions that build them by kind. Used by
// operations.cpp and the files beside it alone.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/files/mapped_file.h"
#include "core/import/keras/layers.h"
#include "core/import/keras/operations.h"
#include "core/model/standard_layers.h"

namespace seqlift {
namespace keras {

constexpr int64_t batch_size = -2;  // of the dimension of the sequences

// One operation as it is called: its arguments by their names in Keras 3.
class Operation {
 public:
  Operation(LayerCall& call, const std::string& name, const nlohmann::json& arguments)
      : call_(call), name_(name), arguments_(arguments) {
    for (Described& input : call.inputs) {
      input.channels_first = false;
      Shape shape{batch_size};
      shape.insert(shape.end(), input.shape.begin(), input.shape.end());
      shapes_.push_back(shape);
    }
  }

  const std::string& name() const { return name_; }

  [[noreturn]] void refuse(const std::string& because) const { call_.refuse(because); }

  const nlohmann::json* find(const char* argument) {
    read_.insert(argument);
    const auto found = arguments_.find(argument);
    return found == arguments_.end() || found->is_null() ? nullptr : &*found;
  }

  // The input that the argument is; -1 where it is none.
  int64_t tensor(const char* argument) {
    const nlohmann::json* found = find(argument);
    return found ? tensor_of(*found) : -1;
  }

  // Its name in forward().
  std::string text(int64_t input) const { return "input_" + std::to_string(input); }

  // An argument that has to be an input.
  int64_t input(const char* argument) {
    const int64_t found = tensor(argument);
    if (found < 0) {
      refuse("is called with something else than another's output as `" + std::string(argument) +
             "`");
    }
    return found;
  }

  const Shape& shape(int64_t input) const { return shapes_[static_cast<size_t>(input)]; }

  // An input or a number.
  std::string operand(const char* argument, Shape& shape) {
    const nlohmann::json* found = find(argument);
    const int64_t at = found ? tensor_of(*found) : -1;
    if (at >= 0) {
      shape = shapes_[static_cast<size_t>(at)];
      return text(at);
    }
    if (!found || !found->is_number()) {
      refuse("is called with something else than another's output or a number as `" +
             std::string(argument) + "`");
    }
    shape = {};
    return source_number(found->get<double>());
  }

  std::vector<int64_t> inputs(const char* argument) {
    const nlohmann::json* found = find(argument);
    std::vector<int64_t> all;
    for (const nlohmann::json& one :
         found && found->is_array() ? *found : nlohmann::json::array()) {
      all.push_back(tensor_of(one));
    }
    if (all.empty() || std::count(all.begin(), all.end(), -1) > 0) {
      refuse("is called with something else than other layers' outputs");
    }
    return all;
  }

  double number(const char* argument, double otherwise) {
    const nlohmann::json* found = find(argument);
    if (found && !found->is_number()) {
      refuse("has an argument `" + std::string(argument) + "` that is no number");
    }
    return found ? found->get<double>() : otherwise;
  }

  bool flag(const char* argument, bool otherwise) {
    const nlohmann::json* found = find(argument);
    if (found && !found->is_boolean()) {
      refuse("has an argument `" + std::string(argument) + "` that is neither true nor false");
    }
    return found ? found->get<bool>() : otherwise;
  }

  // One whole number or several.
  std::vector<int64_t> wholes(const char* argument) {
    const nlohmann::json* found = find(argument);
    if (!found) {
      refuse("lacks its argument `" + std::string(argument) + "`");
    }
    std::vector<int64_t> all;
    for (const nlohmann::json& one : found->is_array() ? *found : nlohmann::json::array({*found})) {
      if (!one.is_number_integer() || std::abs(one.get<double>()) > 1e9) {
        refuse("has an argument `" + std::string(argument) + "` that is not of whole numbers");
      }
      all.push_back(one.get<int64_t>());
    }
    return all;
  }

  // A dimension from 0; that of the sequences is none that may be touched.
  int64_t axis(int64_t given, int64_t rank) const {
    const int64_t at = given < 0 ? given + rank : given;
    if (at < 1 || at >= rank) {
      refuse(at == 0 ? "works along the dimension of the sequences, which is not supported"
                     : "works along a dimension that its input does not have");
    }
    return at;
  }

  int64_t one_axis(const char* argument, int64_t rank) {
    const auto all = wholes(argument);
    if (all.size() != 1) {
      refuse("has not one dimension as `" + std::string(argument) + "`");
    }
    return axis(all[0], rank);
  }

  Built give(const Shape& shape, const std::string& expression, const char* class_name = nullptr) {
    return give_several({shape}, expression, class_name);
  }

  Built give_several(const std::vector<Shape>& shapes, const std::string& expression,
                     const char* class_name = nullptr) {
    Built built;
    for (const Shape& shape : shapes) {
      if (shape.empty() || shape[0] != batch_size) {
        refuse("moves the dimension of the sequences, which is not supported");
      }
      built.outputs.push_back({Shape(shape.begin() + 1, shape.end()), false});
    }
    built.output = built.outputs[0];
    built.part.class_name = class_name ? class_name : "keras." + name_;
    built.part.source = "def forward(self";
    for (size_t i = 0; i < shapes_.size(); ++i) {
      built.part.source += ", " + text(static_cast<int64_t>(i)) + ": Tensor";
    }
    built.part.source += "):\n    return " + expression + "\n";
    return built;
  }

  void finish() const {
    static const std::set<std::string> ignored = {"name", "dtype", "training"};
    for (const auto& one : arguments_.items()) {
      const nlohmann::json& value = one.value();
      const bool off = value.is_null() || (value.is_boolean() && !value.get<bool>());
      if (!off && read_.count(one.key()) == 0 && ignored.count(one.key()) == 0) {
        refuse("has an argument `" + printable(one.key()) + "`, which is not known");
      }
    }
  }

 private:
  int64_t tensor_of(const nlohmann::json& value) const {
    if (!value.is_object() || !value.contains(input_mark)) {
      return -1;
    }
    return value[input_mark].get<int64_t>();
  }

  LayerCall& call_;
  std::string name_;
  const nlohmann::json& arguments_;
  std::vector<Shape> shapes_;
  std::set<std::string> read_;
};

// As numpy broadcasts them.
Shape broadcast(const Operation& op, const Shape& one, const Shape& other);

using OperationBuilder = Built (*)(Operation&);

struct Elementwise {
  const char* expression;  // of @
  const char* class_name = nullptr;
};

const std::map<std::string, Elementwise>& unary_operations();
const std::map<std::string, const char*>& binary_operations();  // of @ and %

Built unary(Operation& op);
Built binary(Operation& op);
Built clip(Operation& op);
Built gelu(Operation& op);
Built leaky(Operation& op);
Built softmax_operation(Operation& op);
Built where_operation(Operation& op);
Built cast_operation(Operation& op);
Built reduction(Operation& op);
Built matmul_operation(Operation& op);
Built einsum_operation(Operation& op);

Built reshape_operation(Operation& op);
Built transpose_operation(Operation& op);
Built expand_operation(Operation& op);
Built squeeze_operation(Operation& op);
Built join_operation(Operation& op);
Built flip_operation(Operation& op);
Built repeat_operation(Operation& op);
Built tile_operation(Operation& op);
Built pad_operation(Operation& op);
Built item_operation(Operation& op);
Built split_operation(Operation& op);

}  // namespace keras
}  // namespace seqlift
