#include "core/import/keras/lambda.h"

#include <nlohmann/json.hpp>

namespace seqlift {
namespace keras {

using nlohmann::json;

namespace {

// Empty for what is not base64.
std::string from_base64(const std::string& text) {
  static const std::string letters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t held = 0;
  int bits = 0;
  for (const char letter : text) {
    if (letter == '\n' || letter == '=') {
      continue;
    }
    const size_t value = letters.find(letter);
    if (value == std::string::npos) {
      return "";
    }
    held = held << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(held >> bits & 0xff);
    }
  }
  return bytes;
}

// Python's marshal format, as far as this one function needs it: each value begins with its type,
// whose highest bit says that it may be referred to later.
class Marshalled {
 public:
  Marshalled(const std::string& bytes, size_t at) : bytes_(bytes), at_(at) {}

  bool type(char expected) { return byte() == (static_cast<unsigned char>(expected) & 0x7f); }
  // A string of bytes.
  bool string(const std::string& expected) {
    return type('s') && number() == expected.size() && matches(expected);
  }
  // A short name, interned or not.
  bool name(const std::string& expected) {
    const int kind = byte();
    return (kind == 'z' || kind == 'Z') && byte_as_it_is() == static_cast<int>(expected.size()) &&
           matches(expected);
  }
  bool tuple(int size) { return type(')') && byte_as_it_is() == size; }
  bool whole(uint32_t expected) { return type('i') && number() == expected; }

 private:
  int byte_as_it_is() {
    return at_ < bytes_.size() ? static_cast<unsigned char>(bytes_[at_++]) : -1;
  }
  int byte() {
    const int value = byte_as_it_is();
    return value < 0 ? value : value & 0x7f;
  }
  uint32_t number() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const int next = byte_as_it_is();
      value |= static_cast<uint32_t>(next < 0 ? 0xff : next) << (8 * i);
    }
    return value;
  }
  bool matches(const std::string& expected) {
    const bool same = bytes_.compare(at_, expected.size(), expected) == 0;
    at_ += expected.size();
    return same && at_ <= bytes_.size();
  }

  const std::string& bytes_;
  size_t at_;
};

// load tf, .math, .reduce_logsumexp, x, -1, True, ("axis", "keepdims"); call; return.
const std::string& code_of_python_3_6_to_3_10() {
  static const std::string code("t\0j\1j\2|\0d\1d\2d\3\x8d\3S\0", 18);
  return code;
}

const std::string& code_of_python_3_11() {
  static const std::string code = [] {
    const auto with_cache = [](const std::string& operation, size_t entries) {
      return operation + std::string(2 * entries, '\0');
    };
    return std::string("\x97\0", 2) + with_cache(std::string("t\0", 2), 5) +
           with_cache(std::string("j\1", 2), 4) + with_cache(std::string("\xa0\2", 2), 10) +
           std::string("|\0d\1d\2\xac\3", 8) + with_cache(std::string("\xa6\3", 2), 1) +
           with_cache(std::string("\xab\3", 2), 4) + std::string("S\0", 2);
  }();
  return code;
}

bool is_log_sum_exp(const std::string& bytes, size_t header, const std::string& code) {
  if (bytes.empty() || (bytes[0] & 0x7f) != 'c') {
    return false;
  }
  Marshalled rest(bytes, 1 + header);
  return rest.string(code) && rest.tuple(4) && rest.type('N') && rest.whole(0xffffffff) &&
         rest.type('T') && rest.tuple(2) && rest.name("axis") && rest.name("keepdims") &&
         rest.tuple(3) && rest.name("tf") && rest.name("math") && rest.name("reduce_logsumexp");
}

// ["4wEAAA...", null, null], or Keras 3's {"class_name": "__lambda__", "config": {"code": ...}}.
const json* code_of(const json& options) {
  const auto found = options.is_object() ? options.find("function") : options.end();
  if (!options.is_object() || found == options.end()) {
    return nullptr;
  }
  const json* code = &*found;
  if (code->is_object() && code->contains("config") && (*code)["config"].is_object() &&
      (*code)["config"].contains("code")) {
    code = &(*code)["config"]["code"];
  } else if (code->is_array() && !code->empty()) {
    // Default values or a closure would be more than the code.
    for (size_t i = 1; i < code->size(); ++i) {
      if (!(*code)[i].is_null()) {
        return nullptr;
      }
    }
    code = &(*code)[0];
  }
  return code->is_string() ? code : nullptr;
}

}  // namespace

bool is_known_lambda(const json& options) {
  const json* code = code_of(options);
  if (!code) {
    return false;
  }
  const std::string bytes = from_base64(code->get<std::string>());
  // Five numbers come before the code, six of Python 3.8 to 3.10.
  return is_log_sum_exp(bytes, 20, code_of_python_3_6_to_3_10()) ||
         is_log_sum_exp(bytes, 24, code_of_python_3_6_to_3_10()) ||
         is_log_sum_exp(bytes, 20, code_of_python_3_11());
}

Built known_lambda(LayerCall& call) {
  for (const char* option :
       {"function", "function_type", "output_shape", "output_shape_type", "output_shape_module"}) {
    call.config.value(option);
  }
  const json* arguments = call.config.value("arguments");
  if (arguments && !arguments->empty()) {
    call.config.refuse("arguments", "is not supported");
  }
  if (call.inputs.size() != 1) {
    call.refuse("takes one input, not " + std::to_string(call.inputs.size()));
  }
  if (call.rank() == 0) {
    call.refuse("takes an input of at least 2 dimensions");
  }
  call.inputs.front().channels_first = false;
  Built built;
  built.output = call.inputs.front();
  built.output.shape.back() = 1;
  built.part = part_of("keras.LogSumExp", "torch.logsumexp(input, [-1], True)");
  return built;
}

}  // namespace keras
}  // namespace seqlift
