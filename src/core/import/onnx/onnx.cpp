#include "core/import/onnx/onnx.h"

#include <torch/csrc/jit/api/module.h>

#include "core/files/save_module.h"
#include "core/import/exported/module.h"
#include "core/import/exported/operations.h"
#include "core/import/onnx/build.h"

namespace seqlift {

OnnxProgram onnx_program(const onnx::Model& model, const std::string& file, size_t file_size) {
  onnx::Builder builder(model, file, file_size);
  ExportedProgram program = builder.build();
  return {std::move(program), builder.layout()};
}

std::string convert_onnx(const std::string& path, const std::string& to) {
  const size_t size = map_file(path).size;
  OnnxProgram read = onnx_program(onnx::read_model(path), file_name(path), size);
  save_module(make_exported_module(std::move(read.program)), to);
  return read.layout;
}

}  // namespace seqlift
