#include "core/import/architectures/modules.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "core/base/error.h"
#include "core/files/mapped_file.h"

namespace seqlift {

namespace {

const std::string pre_activation = "BasePairNet";

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

void note_class(const std::string& architecture, const std::string& class_name,
                StateDict& state_dict) {
  if (lower(last_part(class_name)) != architecture) {
    state_dict.notes.push_back("The file holds a module of the class `" + printable(class_name) +
                               "`, but not what it computes: that is taken to be what `" +
                               architecture + "()` describes.");
  }
}

// A number of bases, or -1.
int64_t bases(const PickledModule* module, const std::string& name) {
  const double value = module ? find_number(module->settings, name, -1.0) : -1.0;
  return value >= 0.0 && value < 1e9 ? static_cast<int64_t>(value) : -1;
}

}  // namespace

BpnetOptions with_module_settings(BpnetOptions options, const std::string& architecture,
                                  StateDict& state_dict, const std::string& prefix) {
  const auto& modules = state_dict.modules;
  if (modules.empty()) {
    return options;
  }
  const bool both = architecture == "chrombpnet";
  const auto below = [&](const std::string& part) {
    return find_module(modules, {"iconv", "fconv"}, prefix.empty() ? part : prefix + "." + part);
  };
  const PickledModule* whole =
      both ? find_module(modules, {"accessibility.iconv", "bias.iconv"}, prefix)
           : find_module(modules, {"iconv", "fconv"}, prefix);
  const PickledModule* body = both ? below("accessibility") : whole;
  const PickledModule* bias = both ? below("bias") : nullptr;
  if (options.trimming < 0) {
    options.trimming = bases(body, "trimming");
  }
  if (options.bias_trimming < 0) {
    options.bias_trimming = bases(bias, "trimming");
  }
  bool before = false;
  for (const PickledModule* module : {body, bias}) {
    before = before || (module && last_part(module->class_name) == pre_activation);
  }
  if (before && architecture != "bpnet") {
    throw Error("model", "The file holds a module of the class `" + pre_activation +
                             "`, whose layers have their activation before the convolution: `" +
                             architecture + "()` does not compute that, `bpnet()` does.");
  }
  options.activation_before = options.activation_before || before;
  if (whole && !before) {
    note_class(architecture, whole->class_name, state_dict);
  }
  return options;
}

CherimoyaOptions with_module_settings(CherimoyaOptions options, StateDict& state_dict,
                                      const std::string& prefix) {
  const PickledModule* module = find_module(state_dict.modules, {"iconv", "blocks.0"}, prefix);
  const auto known = [&](const std::string& name, const std::string& of_module, double otherwise) {
    double value = find_number(state_dict.settings, "config." + name, otherwise);
    for (const PickledModule& one : state_dict.modules) {
      const std::string path = module && !module->path.empty() ? module->path + "." : "";
      const bool meant =
          module && one.path == (of_module.empty() ? module->path : path + of_module);
      value = meant ? find_number(one.settings, name, value) : value;
    }
    return value;
  };
  if (options.trimming < 0) {
    const double trimming = known("trimming", "", -1.0);
    options.trimming = trimming >= 0.0 && trimming < 1e9 ? static_cast<int64_t>(trimming) : -1;
  }
  if (std::isnan(options.residual_scale)) {
    options.residual_scale = known("residual_scale", "blocks.0", CherimoyaOptions().residual_scale);
  }
  if (module) {
    note_class("cherimoya", module->class_name, state_dict);
  }
  return options;
}

void note_module_class(const std::string& architecture, StateDict& state_dict) {
  if (!state_dict.modules.empty()) {
    note_class(architecture, state_dict.modules[0].class_name, state_dict);
  }
}

}  // namespace seqlift
