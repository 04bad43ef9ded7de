#include "onnx.h"

#include <torch/csrc/jit/api/module.h>

#include "exported_module.h"
#include "exported_operations.h"
#include "onnx_build.h"
#include "save_module.h"

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
