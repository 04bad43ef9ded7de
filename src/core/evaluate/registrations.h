// Which modules are treated as one unit: the classes that a user registers (`nonlinear_ops`), and
// in module mode the classes that tangermeme 1.4.0 and Captum override.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>

namespace seqlift {

// A rule written by the user: the multiplier of the unit's input from its inputs and outputs on
// both halves (rows matched) and the gradient of its output.
using UserRule =
    std::function<at::Tensor(const at::Tensor& x, const at::Tensor& x_ref, const at::Tensor& y,
                             const at::Tensor& y_ref, const at::Tensor& grad_output)>;

struct Registration {
  enum class Rule { rescale, softmax, max_pool, linear, gradient, integrate, function };
  Rule rule = Rule::rescale;
  UserRule function;
};

// Keys: a class ("ReLU", "models.LogitScaling") or the path of a module ("scaling").
using Registrations = std::map<std::string, Registration>;

// Which registration a module falls under, or nullptr.
const Registration* find_registration(const Registrations& registrations, const std::string& path,
                                      const std::string& class_name);

// The 20 classes that the peers override.
const Registrations& peer_registrations();

// The registration of a module in that mode: the user's, or the peers' of one of PyTorch's own.
const Registration* find_rule(const Registrations& registrations, bool module_mode,
                              const std::string& path, const std::string& class_name);

// Which modules the graph must leave whole, by their path and class.
std::function<bool(const std::string& path, const std::string& class_name)> whole_modules(
    const Registrations& registrations, bool module_mode);

}  // namespace seqlift
