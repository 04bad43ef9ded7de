// ONNX: the wire format byte by byte, and the sizes that are worked out before anything runs
// against those that come out. What networks and operators compute is held against PyTorch in
// tests/testthat/test-model_onnx.R.
#include <sys/resource.h>
#include <torch/csrc/jit/api/module.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "catch.h"
#include "core/base/error.h"
#include "core/import/exported/module.h"
#include "core/import/onnx/model.h"
#include "core/import/onnx/onnx.h"
#include "core/import/onnx/operators.h"
#include "core/import/onnx/tensor.h"
#include "core/import/onnx/wire.h"
#include "core/numeric/tensor_functions.h"
#include "files.h"

using namespace seqlift;

namespace {

onnx::Span span_of(const std::string& bytes) { return {bytes.data(), bytes.size()}; }

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) {
    bytes += static_cast<char>(value & 127 | 128);
  }
  return bytes + static_cast<char>(value);
}

std::string part(int field, const std::string& content) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(content.size()) + content;
}

std::string whole(int field, uint64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(value);
}

std::string kind_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.kind();
  }
  return "";
}

// All fields of a message, or an error.
int fields(const std::string& bytes) {
  onnx::WireReader reader(span_of(bytes));
  onnx::Field field;
  int count = 0;
  while (reader.next(field)) {
    ++count;
  }
  return count;
}

at::Tensor tensor_of(const std::string& bytes) {
  return onnx::read_tensor(span_of(bytes), "").second;
}

}  // namespace

TEST_CASE("fields of the wire format are read to the last bit, and none beyond the end", "[onnx]") {
  onnx::Field field;
  const std::string largest = whole(5, ~uint64_t{0});
  onnx::WireReader reader(span_of(largest));
  REQUIRE(reader.next(field));
  CHECK(field.number == 5);
  CHECK(field.whole() == -1);
  CHECK_FALSE(reader.next(field));
  CHECK(fields("") == 0);
  CHECK(fields(whole(1, 3) + part(2, "ab") + std::string("\x1d\0\0\x80\x3f", 5)) == 3);
  for (const std::string& bad :
       {std::string("\x08"),                        // no value
        std::string("\x08\x80"),                    // that does not end
        "\x08" + std::string(11, '\x80') + '\x01',  // of too many bytes
        std::string("\x12\x03"
                    "ab"),                                       // a part beyond the end
        "\x12" + varint(~uint64_t{0}) + "ab",                    // far beyond
        std::string("\x1d\0\0", 3), std::string("\x09\0\0", 3),  // numbers cut short
        std::string("\x0b"), std::string("\x0e"), std::string("\0\0", 2)}) {
    CHECK(kind_of([&] { fields(bad); }) == "file");
  }
}

TEST_CASE("repeated numbers come packed or one by one", "[onnx]") {
  std::vector<int64_t> wholes;
  onnx::Field field;
  const std::string packed = part(7, varint(1) + varint(300) + varint(~uint64_t{0}));
  const std::string apart = whole(7, 1) + whole(7, 300) + whole(7, ~uint64_t{0});
  for (const std::string& bytes : {packed, apart}) {
    onnx::WireReader reader(span_of(bytes));
    while (reader.next(field)) {
      onnx::add_wholes(field, wholes);
    }
  }
  CHECK(wholes == std::vector<int64_t>{1, 300, -1, 1, 300, -1});
  const std::string cut = part(7, "\x80");
  onnx::WireReader reader(span_of(cut));
  reader.next(field);
  CHECK(kind_of([&] { onnx::add_wholes(field, wholes); }) == "file");
  std::vector<float> floats;
  const std::string odd = part(4, "abc");
  onnx::WireReader second(span_of(odd));
  second.next(field);
  CHECK(kind_of([&] { onnx::add_floats(field, floats); }) == "file");
}

TEST_CASE("a tensor has as many numbers as its sizes make up", "[onnx]") {
  const std::string two =
      whole(1, 2) + whole(2, 1) + part(9, std::string("\0\0\x80\x3f\0\0\0\x40", 8));
  CHECK(at::equal(tensor_of(two), at::tensor({1.f, 2.f})));
  const std::string halves = whole(1, 2) + whole(2, 10) + part(5, varint(0x3c00) + varint(0xc000));
  CHECK(at::equal(tensor_of(halves).to(at::kFloat), at::tensor({1.f, -2.f})));
  for (const uint64_t size : {uint64_t{1}, uint64_t{3}, uint64_t{1} << 40, ~uint64_t{0}}) {
    CHECK(kind_of([&] { tensor_of(whole(1, size) + two.substr(2)); }) == "file");
  }
  CHECK(kind_of([&] { tensor_of(whole(1, 1) + whole(2, 8) + part(6, "a")); }) == "model");
}

TEST_CASE("an attribute is the shortest decimal of its 32 bits", "[onnx]") {
  for (const double number : {0.01, 0.1, 1e-5, 1.0507, -3.25, 0., 1e20, 0.33333334}) {
    const auto bits = static_cast<float>(number);
    std::string fixed(4, '\0');
    std::memcpy(&fixed[0], &bits, 4);
    const std::string attribute = part(1, "alpha") + std::string("\x15") + fixed + whole(20, 1);
    const std::string graph = part(1, part(4, "Elu") + part(5, attribute));
    const std::string bytes = part(7, graph);
    const onnx::Model model = onnx::read_model(files::bytes_of(bytes), "");
    CHECK(model.graph.nodes.at(0).attributes.at(0).number == number);
  }
}

TEST_CASE("the table of operators names each one once", "[onnx]") {
  std::set<std::string> names;
  for (const auto& row : onnx::operator_rows()) {
    CHECK(names.insert(std::string(row.domain) + ":" + row.name).second);
    CHECK(onnx::find_operator(row.name, row.domain)->build == row.build);
  }
  CHECK(names.size() > 115);
  CHECK(onnx::find_operator("SequenceMap") == nullptr);
  CHECK(onnx::find_operator("FusedConv") == nullptr);
}

#ifdef SEQLIFT_SOURCE
namespace {

const std::string folder = std::string(SEQLIFT_SOURCE) + "/tests/testthat/onnx/";

std::string unfolded(const std::string& path) {
  std::string content;
  const gzFile file = gzopen(path.c_str(), "rb");
  char buffer[1 << 16];
  int read = 0;
  while (file && (read = gzread(file, buffer, sizeof(buffer))) > 0) {
    content.append(buffer, static_cast<size_t>(read));
  }
  gzclose(file);
  return content;
}

// Every tensor that the program computes becomes an output; their sizes are those that the builder
// worked out, where it did.
void check_sizes(const std::string& bytes, const std::string& name) {
  INFO(name);
  ExportedProgram program =
      onnx_program(onnx::read_model(files::bytes_of(bytes), folder), name, bytes.size()).program;
  std::vector<std::string> values;
  for (const ExportedNode& node : program.nodes) {
    for (const std::string& output : node.outputs) {
      if (program.sizes.count(output) > 0) {
        values.push_back(output);
      }
    }
  }
  if (values.empty()) {
    return;
  }
  const auto sizes = program.sizes;
  std::vector<c10::IValue> inputs;
  for (const ExportedInput& input : program.inputs) {
    if (input.kind == ExportedInput::Kind::user) {
      std::vector<int64_t> own = sizes.at(input.value);
      if (own[0] >= 0) {
        return;  // a fixed number of sequences, which the sizes hold
      }
      own[0] = 3;
      std::replace(own.begin(), own.end(), int64_t{-1}, int64_t{12});
      inputs.push_back(at::ones(own, at::TensorOptions(program.dtypes.at(input.value))));
    }
  }
  program.outputs = values;
  program.output_names.clear();
  torch::jit::Module module = make_exported_module(std::move(program));
  const c10::IValue result = module.forward(inputs);
  for (size_t i = 0; i < values.size(); ++i) {
    const at::Tensor tensor =
        values.size() == 1 ? result.toTensor() : result.toTupleRef().elements()[i].toTensor();
    const auto& known = sizes.at(values[i]);
    REQUIRE(known.size() == static_cast<size_t>(tensor.dim()));
    for (size_t d = 0; d < known.size(); ++d) {
      CHECK((known[d] < 0 || known[d] == tensor.size(static_cast<int64_t>(d))));
    }
  }
}

}  // namespace

TEST_CASE("sizes that are worked out are those that come out, operator by operator", "[onnx]") {
  const std::string all = unfolded(folder + "operators.bin.gz");
  std::istringstream index(unfolded(folder + "operators.tsv.gz"));
  std::string line;
  std::getline(index, line);
  int seen = 0;
  while (std::getline(index, line)) {
    std::istringstream fields(line);
    std::string name, form;
    size_t begin = 0;
    size_t bytes = 0;
    fields >> name >> form >> begin >> bytes;
    check_sizes(all.substr(begin, bytes), name + " " + form);
    ++seen;
  }
  CHECK(seen > 700);
  for (const char* name : {"bpnet_13", "basset_11", "attention_17", "lstm_14", "upsampled_13"}) {
    std::ifstream file(folder + name + ".onnx", std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    check_sizes(content.str(), name);
  }
}

// What R's test of damaged files does with fewer of them. Each is read and built; some are compiled
// and, where they have a fixed number of sequences, run.
TEST_CASE("damaged files are built, or refused by an error of their own", "[onnx]") {
  const std::string all = unfolded(folder + "operators.bin.gz");
  std::istringstream index(unfolded(folder + "operators.tsv.gz"));
  std::string line;
  std::getline(index, line);
  std::vector<std::string> whole;
  while (std::getline(index, line)) {
    std::istringstream fields(line);
    std::string name, form;
    size_t begin = 0;
    size_t bytes = 0;
    fields >> name >> form >> begin >> bytes;
    whole.push_back(all.substr(begin, bytes));
  }
  struct rusage before;
  getrusage(RUSAGE_SELF, &before);
  files::Draws draws(21);
  int built = 0;
  int refused = 0;
  std::string other;
  for (int i = 0; i < 10000 && other.empty(); ++i) {
    const std::string bytes = files::damaged(whole[static_cast<size_t>(i) % whole.size()], draws);
    try {
      ExportedProgram program =
          onnx_program(onnx::read_model(files::bytes_of(bytes), ""), "a", bytes.size()).program;
      if (i % 20 == 0) {
        make_exported_module(std::move(program));
      }
      ++built;
    } catch (const Error& error) {
      ++refused;
      other = error.kind() == "file" || error.kind() == "model" ? "" : error.what();
    } catch (const std::exception& error) {
      other = error.what();
    }
  }
  CHECK(other == "");
  CHECK(built > 500);
  CHECK(refused > 1000);
  struct rusage after;
  getrusage(RUSAGE_SELF, &after);
  CHECK(after.ru_maxrss - before.ru_maxrss < (1 << 20));  // in kilobytes: less than a gigabyte
}
#endif
