#include "core/evaluate/registrations.h"

#include "core/model/model.h"

namespace seqlift {

namespace {

Registrations make_peer_registrations() {
  Registrations classes;
  for (const char* name :
       {"ReLU", "ReLU6", "RReLU", "SELU", "CELU", "GELU", "SiLU", "Mish", "GLU", "ELU", "LeakyReLU",
        "Sigmoid", "Tanh", "Softplus", "Softshrink", "LogSigmoid", "PReLU"}) {
    classes[name].rule = Registration::Rule::rescale;
  }
  classes["MaxPool1d"].rule = Registration::Rule::max_pool;
  classes["MaxPool2d"].rule = Registration::Rule::max_pool;
  classes["Softmax"].rule = Registration::Rule::softmax;
  return classes;
}

}  // namespace

const Registration* find_registration(const Registrations& registrations, const std::string& path,
                                      const std::string& class_name) {
  for (const std::string& key : {path, class_name, short_class_name(class_name)}) {
    const auto found = registrations.find(key);
    if (!key.empty() && found != registrations.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

const Registrations& peer_registrations() {
  static const Registrations classes = make_peer_registrations();
  return classes;
}

const Registration* find_rule(const Registrations& registrations, bool module_mode,
                              const std::string& path, const std::string& class_name) {
  const Registration* own = find_registration(registrations, path, class_name);
  const bool builtin = class_name.rfind("torch.nn.modules.", 0) == 0;
  if (own || !module_mode || !builtin) {
    return own;
  }
  return find_registration(peer_registrations(), "", class_name);
}

// In operator mode what a "softmax" or "maxpool" class does inside has exact rules of its own, and
// a max-pooling is recognised by its operation in either mode.
std::function<bool(const std::string&, const std::string&)> whole_modules(
    const Registrations& registrations, bool module_mode) {
  return [registrations, module_mode](const std::string& path, const std::string& class_name) {
    const Registration* rule = find_rule(registrations, module_mode, path, class_name);
    return rule && rule->rule != Registration::Rule::max_pool &&
           (module_mode || rule->rule != Registration::Rule::softmax);
  };
}

}  // namespace seqlift
