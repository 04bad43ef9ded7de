#include "core/import/exported/names.h"

#include <algorithm>
#include <cctype>

#include "core/base/error.h"
#include "core/import/exported/operations.h"

namespace seqlift {

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= path.size() && !path.empty()) {
    const size_t end = std::min(path.find('.', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

void check_part(const std::string& part) {
  const bool number = !part.empty() && part.size() < 9 &&
                      std::all_of(part.begin(), part.end(),
                                  [](unsigned char letter) { return std::isdigit(letter); });
  if (!number && !is_identifier(part)) {
    throw Error("model", "The model has a module or weight named \"" + printable(part) +
                             "\", which cannot be a name in TorchScript.");
  }
}

std::string plain_class(const std::string& given) {
  std::string name = given.rfind("__main__.", 0) == 0 ? given.substr(9) : given;
  std::string result;
  for (const std::string& part : split_path(name.substr(0, 256))) {
    std::string clean;
    for (const char letter : part) {
      clean += std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
    }
    const bool digit = !clean.empty() && std::isdigit(static_cast<unsigned char>(clean[0]));
    result += (result.empty() ? "" : ".") + std::string(clean.empty() || digit ? "_" : "") + clean;
  }
  return result.empty() ? "Module" : result;
}

bool is_inside(const std::string& path, const std::string& outer) {
  return outer.empty() || (path.size() > outer.size() + 1 && path[outer.size()] == '.' &&
                           path.compare(0, outer.size(), outer) == 0);
}

std::string access(const std::string& object, const std::string& name) {
  return is_identifier(name) ? object + "." + name : "getattr(" + object + ", \"" + name + "\")";
}

std::string with_commas(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : ", ") + text;
  }
  return all;
}

}  // namespace seqlift
