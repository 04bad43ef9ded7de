// The archives that torch.export writes: where the graph is, and the weights.
#include <cstring>
#include <map>

#include "core/files/state_dict.h"
#include "core/files/zip_reader.h"
#include "core/import/exported/json.h"
#include "core/import/exported/program.h"

namespace seqlift {

namespace {

// Python's json writes Infinity, -Infinity and NaN bare. Outside of texts they can be nothing else.
std::string quote_numbers(const char* text, size_t size) {
  std::string result;
  result.reserve(size);
  bool inside = false;
  for (size_t i = 0; i < size; ++i) {
    const char letter = text[i];
    if (inside && letter == '\\' && i + 1 < size) {
      result.append(text + i++, 2);
      continue;
    }
    inside = letter == '"' ? !inside : inside;
    bool quoted = false;
    for (const char* word : {"-Infinity", "Infinity", "NaN"}) {
      const size_t length = std::char_traits<char>::length(word);
      if (!inside && !quoted && size - i >= length &&
          std::char_traits<char>::compare(text + i, word, length) == 0) {
        result.append("\"").append(word).append("\"");
        i += length - 1;
        quoted = true;
      }
    }
    if (!quoted) {
      result += letter;
    }
  }
  return result;
}

// One tensor out of raw bytes, by the sizes and strides that the archive gives it. Names that share
// a record share its memory (tied weights).
class RawWeights {
 public:
  RawWeights(const ZipReader& archive, std::string name)
      : archive_(archive), name_(std::move(name)) {}

  at::Tensor read(const std::string& member, at::ScalarType dtype,
                  const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides,
                  int64_t offset) {
    const Bytes bytes = archive_.read(member);
    const auto width = static_cast<int64_t>(c10::elementSize(dtype));
    const int64_t held = static_cast<int64_t>(bytes.size) / width;
    // The last element that is reached, and how many there are in all: a stride of zero shows one
    // number many times, which must not become memory.
    int64_t reached = offset;
    int64_t count = 1;
    bool fits = offset >= 0 && sizes.size() == strides.size() && sizes.size() <= 64;
    for (size_t i = 0; fits && i < sizes.size(); ++i) {
      fits = sizes[i] >= 0 && strides[i] >= 0 && sizes[i] <= most && strides[i] <= most &&
             (sizes[i] == 0 || count <= most / sizes[i]) &&
             (sizes[i] <= 1 || strides[i] == 0 || (sizes[i] - 1) <= (most - reached) / strides[i]);
      count *= fits ? sizes[i] : 0;
      reached += fits && sizes[i] > 1 ? (sizes[i] - 1) * strides[i] : 0;
    }
    fits = fits && (count == 0 || reached < held) && count <= std::max<int64_t>(held, 1 << 24);
    if (!fits) {
      throw Error("file", "\"" + name_ + "\" is damaged: \"" + printable(member) +
                              "\" does not hold the tensor that it should.");
    }
    const auto key = std::make_pair(member, dtype);
    for (const auto& [known, storage] : storages_) {
      if (known == key) {
        return storage.as_strided(sizes, strides, offset);
      }
    }
    // A copy, as the records are not aligned to the numbers' width in every archive.
    const at::Tensor storage = at::empty({held}, at::TensorOptions(dtype));
    if (held > 0) {
      std::memcpy(storage.data_ptr(), bytes.data, static_cast<size_t>(held * width));
    }
    storages_.emplace_back(key, storage);
    return storage.as_strided(sizes, strides, offset);
  }

 private:
  static constexpr int64_t most = int64_t{1} << 48;
  const ZipReader& archive_;
  const std::string name_;
  std::vector<std::pair<std::pair<std::string, at::ScalarType>, at::Tensor>> storages_;
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

const char* const first_graph = "serialized_exported_program.json";

// The folder that all members of a PT2 archive are in, with its slash; "" where there is none.
std::string root_of(const ZipReader& archive) {
  for (const std::string& name : archive.names()) {
    if (ends_with(name, "/archive_format")) {
      return name.substr(0, name.size() - 14);
    }
  }
  return "";
}

class ArchiveReader : ExportedJson {
 public:
  explicit ArchiveReader(const std::string& path)
      : ExportedJson(path), archive_(path), raw_(archive_, path) {}

  ExportedProgram read() {
    if (archive_.has(first_graph)) {
      ExportedProgram program = graph(first_graph);
      take_saved(program, "serialized_state_dict");
      take_saved(program, "serialized_constants");
      return program;
    }
    const std::string root = root_of(archive_);
    if (root.empty()) {
      throw Error("file", "\"" + name_ + "\" is not an archive of torch.export.");
    }
    const std::string byte_order = root + "byteorder";
    if (archive_.has(byte_order) && content(byte_order).rfind("little", 0) != 0) {
      throw Error("file", "\"" + name_ + "\" was written on a machine of another byte order.");
    }
    const std::string model = only_model(root);
    ExportedProgram program = graph(root + "models/" + model + ".json");
    take_payload(program, root + "data/weights/", model, "_weights_config.json");
    take_payload(program, root + "data/constants/", model, "_constants_config.json");
    return program;
  }

 private:
  std::string content(const std::string& member) const {
    const Bytes bytes = archive_.read(member);
    return std::string(bytes.data, bytes.size);
  }

  ExportedProgram graph(const std::string& member) const {
    const Bytes bytes = archive_.read(member);
    return parse_exported_program(bytes.data, bytes.size, name_);
  }

  std::string only_model(const std::string& root) const {
    std::vector<std::string> models;
    const std::string folder = root + "models/";
    for (const std::string& name : archive_.names()) {
      if (name.rfind(folder, 0) == 0 && ends_with(name, ".json")) {
        models.push_back(name.substr(folder.size(), name.size() - folder.size() - 5));
      }
    }
    if (models.size() != 1) {
      const std::string found = models.empty() ? "no model that torch.export.save() wrote (one "
                                                 "compiled for a device cannot be explained)"
                                               : std::to_string(models.size()) + " models";
      throw Error("model", "\"" + name_ + "\" holds " + found + ".");
    }
    return models[0];
  }

  // A state dict inside the archive, as torch.save() writes it: ".pt" since PyTorch 2.2, and
  // ".json" before, which is not JSON.
  void take_saved(ExportedProgram& program, const std::string& stem) const {
    for (const char* end : {".pt", ".json"}) {
      const std::string member = stem + end;
      if (archive_.has(member)) {
        take_state_dict(program, member);
      }
    }
  }

  void take_state_dict(ExportedProgram& program, const std::string& member) const {
    const Bytes bytes = archive_.read(member);
    bool needed = false;
    for (const ExportedInput& input : program.inputs) {
      needed = needed ||
               (input.kind != ExportedInput::Kind::user && program.weights.count(input.name) == 0);
    }
    // An empty state dict is a state dict without tensors.
    if (bytes.size == 0 || !needed) {
      return;
    }
    for (auto& [name, tensor] : read_tensors(bytes, name_ + ":" + member)) {
      program.weights.emplace(name, tensor);
    }
  }

  // PyTorch 2.8 wrote state dicts (<model>.pt), later ones a record for each tensor.
  void take_payload(ExportedProgram& program, const std::string& folder, const std::string& model,
                    const std::string& end) {
    if (archive_.has(folder + model + ".pt")) {
      take_state_dict(program, folder + model + ".pt");
    }
    const std::string config = folder + model + end;
    if (!archive_.has(config)) {
      return;
    }
    const std::string text = content(config);
    const json root = parse_exported_json(text.data(), text.size(), name_);
    for (const auto& entry : object(member(root, "config")).items()) {
      const json& payload = entry.value();
      const json* pickled = find(payload, "use_pickle");
      if (pickled && boolean(*pickled)) {
        throw Error("model", "The weight \"" + printable(entry.key()) + "\" in \"" + name_ +
                                 "\" is an object of Python, not a plain tensor.");
      }
      const json& meta = member(payload, "tensor_meta");
      const auto [kind, offset] = only(member(meta, "storage_offset"));
      program.weights[entry.key()] =
          raw_.read(folder + this->text(member(payload, "path_name")), dtype(member(meta, "dtype")),
                    sizes(member(meta, "sizes")), sizes(member(meta, "strides")),
                    kind == "as_int" ? integer(*offset) : -1);
    }
  }

  const ZipReader archive_;
  RawWeights raw_;
};

}  // namespace

json parse_exported_json(const char* text, size_t size, const std::string& name) {
  // An operation takes about a thousand bytes; what is parsed takes several times as much memory.
  if (size > (size_t{64} << 20)) {
    throw Error("file", "\"" + name + "\" holds a graph of " + std::to_string(size) +
                            " bytes, which is more than is read.");
  }
  try {
    return json::parse(quote_numbers(text, size));
  } catch (const json::exception&) {
    throw Error("file", "\"" + name + "\" is damaged: its graph is not JSON.");
  }
}

bool is_exported_program(const ZipReader& archive) {
  return archive.has(first_graph) || !root_of(archive).empty();
}

ExportedProgram read_exported_program(const std::string& path) {
  ExportedProgram program = ArchiveReader(path).read();
  for (const ExportedInput& input : program.inputs) {
    if (input.kind != ExportedInput::Kind::user && program.weights.count(input.name) == 0) {
      throw Error("file", "\"" + path + "\" has no weights for \"" + printable(input.name) + "\".");
    }
  }
  return program;
}

}  // namespace seqlift
