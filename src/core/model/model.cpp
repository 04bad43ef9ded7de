#include "core/model/model.h"

#include <sys/stat.h>
#include <torch/csrc/jit/serialization/import.h>

#include <fstream>

#include "core/base/error.h"
#include "core/files/script_archive.h"
#include "core/model/modules.h"
#include "core/model/trace_letters.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// TorchScript is a zip archive with a `constants.pkl` and a `code/` folder. PyTorch's own save
// writes zips too, so the beginning of the file is told apart here for a message that helps.
void check_file(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    throw Error("file", "There is no file \"" + path + "\".");
  }
  if (S_ISDIR(status.st_mode)) {
    throw Error("file", "\"" + path + "\" is a directory, not a TorchScript file.");
  }
  std::ifstream file(path, std::ios::binary);
  char head[4] = {0, 0, 0, 0};
  file.read(head, 4);
  if (!file) {
    throw Error("file", "\"" + path + "\" is too short to be a TorchScript file.");
  }
  const bool zip = head[0] == 'P' && head[1] == 'K';
  if (!zip) {
    const bool pickle = static_cast<unsigned char>(head[0]) == 0x80;
    const bool hdf5 = static_cast<unsigned char>(head[0]) == 0x89 && head[1] == 'H';
    throw Error("file", "\"" + path + "\" is not a TorchScript file" +
                            (pickle ? ": it is a Python pickle (write the model with "
                                      "torch.jit.script(model).save() or torch.jit.trace())."
                             : hdf5 ? ": it is an HDF5 file (a Keras model?)."
                                    : "."));
  }
  // LibTorch may crash on a damaged archive, so it is given none.
  check_script_archive(ZipReader(path));
}

// expand() repeats numbers that stand there once.
at::Tensor without_repeats(at::Tensor tensor) {
  for (int64_t d = 0; tensor.layout() == at::kStrided && d < tensor.dim(); ++d) {
    if (tensor.stride(d) == 0 && tensor.size(d) > 1) {
      tensor = tensor.narrow(d, 0, 1);
    }
  }
  return tensor;
}

// Functional code calls a module's parameters through attributes, so the sum over all of them is
// looked at once, at loading, instead of in every call.
void inspect_parameters(Model& model) {
  bool seen = false;
  for (const auto& parameter : model.module.named_parameters()) {
    if (!seen && at::isFloatingType(parameter.value.scalar_type())) {
      model.dtype = parameter.value.scalar_type();
      seen = true;
    }
    model.parameters += parameter.value.numel();
    if (!at::isfinite(without_repeats(parameter.value)).all().item<bool>()) {
      model.not_finite.push_back(parameter.name);
    }
  }
  for (const auto& buffer : model.module.named_buffers()) {
    const bool floating = at::isFloatingType(buffer.value.scalar_type());
    // A buffer may hold -Inf on purpose (attention masks), never NaN.
    if (floating && at::isnan(without_repeats(buffer.value)).any().item<bool>()) {
      model.not_finite.push_back(buffer.name);
    }
  }
}

}  // namespace

std::string plain_class_name(const std::string& qualified) {
  std::string name;
  std::string part;
  const auto flush = [&]() {
    const bool drop = part == "__torch__" || part.rfind("___torch_mangle_", 0) == 0;
    if (!drop && !part.empty()) {
      name += (name.empty() ? "" : ".") + without_trace_letters(part);
    }
    part.clear();
  };
  for (const char letter : qualified) {
    if (letter == '.') {
      flush();
    } else {
      part += letter;
    }
  }
  flush();
  return name;
}

std::string short_class_name(const std::string& qualified) {
  const std::string name = plain_class_name(qualified);
  const auto dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

std::shared_ptr<const Model> load_model(const std::string& path) {
  check_file(path);
  auto model = std::make_shared<Model>();
  try {
    model->module = torch::jit::load(path, at::Device(at::kCPU));
  } catch (const c10::Error& error) {
    const std::string why = error.what_without_backtrace();
    throw Error("file", "\"" + path + "\" could not be read as TorchScript: " +
                            why.substr(0, why.find('\n')));
  } catch (const std::exception& error) {
    const std::string why = error.what();
    throw Error("file", "\"" + path + "\" could not be read as TorchScript: " +
                            why.substr(0, why.find('\n')));
  }
  const auto method = model->module.find_method("forward");
  // R torch's jit_trace writes `evalforward` and `trainforward` unless told otherwise.
  if (!method && !model->module.find_method("evalforward")) {
    throw Error("model", "The model in \"" + path + "\" has no `forward` method.");
  }
  model->module.eval();
  const auto forward = method ? *method : model->module.get_method("evalforward");
  const auto& arguments = forward.function().getSchema().arguments();
  if (arguments.size() < 2) {
    throw Error("model", "The model's `forward` takes no input.");
  }
  for (size_t i = 1; i < arguments.size(); ++i) {
    model->argument_names.push_back(arguments[i].name());
    const auto& otherwise = arguments[i].default_value();
    model->argument_has_default.push_back(otherwise.has_value());
    model->argument_defaults.push_back(otherwise ? *otherwise : c10::IValue());
  }
  model->output_names = output_names(model->module);
  model->class_name = plain_class_name(model->module.type()->name()->qualifiedName());
  for (const auto& inner : model->module.named_modules()) {
    model->module_paths.push_back(inner.name);
    model->module_classes.push_back(plain_class_name(inner.value.type()->name()->qualifiedName()));
  }
  inspect_parameters(*model);
  return model;
}

}  // namespace seqlift
