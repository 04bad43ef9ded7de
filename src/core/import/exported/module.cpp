#include "core/import/exported/module.h"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>

#include <map>
#include <memory>

#include "core/base/error.h"
#include "core/files/save_module.h"
#include "core/files/zip_reader.h"
#include "core/import/exported/batch.h"
#include "core/import/exported/code.h"
#include "core/model/modules.h"

namespace seqlift {

namespace {

// Puts the places behind the markers on the operations, so that they are what a file of TorchScript
// says of where an operation comes from.
class SourceMarker {
 public:
  void mark(const torch::jit::Module& module) {
    for (const auto& inner : module.modules()) {
      for (const auto& method : inner.get_methods()) {
        mark(torch::jit::toGraphFunction(method.function()).graph()->block());
      }
    }
  }

 private:
  void mark(torch::jit::Block* block) {
    for (torch::jit::Node* node : block->nodes()) {
      const auto& range = node->sourceRange();
      if (range.source()) {
        const auto& source = *range.source();
        const std::string line = source.get_line(source.lineno_for_offset(range.start())).str();
        const size_t at = line.find(exported_marker);
        if (at != std::string::npos) {
          const auto place =
              place_at(line.substr(at + std::char_traits<char>::length(exported_marker)));
          node->setSourceRange(torch::jit::SourceRange(place, 0, place->size()));
        }
      }
    }
  }

  // "net.py:12:h = self.conv(x)"
  std::shared_ptr<torch::jit::Source> place_at(const std::string& text) {
    auto& place = places_[text];
    if (!place) {
      const size_t first = text.find(':');
      const size_t second = text.find(':', first + 1);
      const std::string code = text.substr(second + 1);
      place = std::make_shared<torch::jit::Source>(
          code, text.substr(0, first), std::strtoul(text.c_str() + first + 1, nullptr, 10));
    }
    return place;
  }

  std::map<std::string, std::shared_ptr<torch::jit::Source>> places_;
};

torch::jit::Module compile(const ExportedProgram& program) {
  try {
    torch::jit::Module module = build_module(write_exported(program));
    SourceMarker().mark(module);
    return module;
  } catch (const c10::Error& error) {
    const std::string why = error.what_without_backtrace();
    throw Error("model", "The graph of " + program.origin +
                             " cannot be TorchScript: " + why.substr(0, why.find('\n')));
  }
}

}  // namespace

torch::jit::Module make_exported_module(ExportedProgram program) {
  const bool freed = free_batch(program);
  torch::jit::Module module = compile(program);
  if (freed) {
    check_freed_batch(program, module);
  }
  return module;
}

bool is_exported_program(const std::string& path) {
  // What is wrong with a file is for whoever reads it to say.
  try {
    return is_exported_program(ZipReader(path));
  } catch (const Error&) {
    return false;
  }
}

void convert_exported_program(const std::string& path, const std::string& to) {
  save_module(make_exported_module(read_exported_program(path)), to);
}

}  // namespace seqlift
