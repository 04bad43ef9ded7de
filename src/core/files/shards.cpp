#include "core/files/shards.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.h"

namespace seqlift {

namespace {

using nlohmann::json;

constexpr size_t largest_index = size_t{1} << 26;
constexpr int deepest_index = 8;
constexpr size_t most_files = 10000;
const char* const map_name = "\"weight_map\"";

}  // namespace

bool is_shard_index(const Bytes& file) {
  if (file.size == 0 || file.size > largest_index) {
    return false;
  }
  const char* end = file.data + file.size;
  const char* first = std::find_if(file.data, end, [](char letter) {
    return letter != ' ' && letter != '\n' && letter != '\r' && letter != '\t';
  });
  const std::string name = map_name;
  return first != end && *first == '{' && std::search(first, end, name.begin(), name.end()) != end;
}

NamedTensors read_shards(const Bytes& file, const std::string& path,
                         const std::function<NamedTensors(const std::string& path)>& read) {
  const auto refuse = [&](const std::string& why) {
    throw Error("file", "\"" + path + "\" is no index of files of weights: " + why + ".");
  };
  bool deep = false;
  const json index = json::parse(
      file.data, file.data + file.size,
      [&](int depth, json::parse_event_t, json&) {
        deep = deep || depth > deepest_index;
        return !deep;
      },
      false);
  if (deep || index.is_discarded() || !index.is_object() || !index.contains("weight_map") ||
      !index["weight_map"].is_object()) {
    refuse("it is not JSON with a set of names as `weight_map`");
  }
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  std::set<std::string> files;
  std::set<std::string> missing;
  for (const auto& one : index["weight_map"].items()) {
    const std::string shard = one.value().is_string() ? one.value().get<std::string>() : "";
    if (shard.empty() || shard[0] == '.' || shard.find('/') != std::string::npos ||
        shard.find('\0') != std::string::npos) {
      refuse("it says that `" + printable(one.key()) + "` is in \"" + printable(shard) +
             "\", which is no file beside it");
    }
    files.insert(shard);
    missing.insert(one.key());
  }
  if (files.empty() || files.size() > most_files) {
    refuse("it names " + std::to_string(files.size()) + " files");
  }
  NamedTensors tensors;
  std::set<std::string> names;
  for (const std::string& shard : files) {
    for (auto& one : read(folder + shard)) {
      if (!names.insert(one.first).second) {
        refuse("`" + printable(one.first) + "` is in two of its files");
      }
      missing.erase(one.first);
      tensors.push_back(std::move(one));
    }
  }
  if (!missing.empty()) {
    refuse("`" + printable(*missing.begin()) + "` is in none of its files");
  }
  return tensors;
}

}  // namespace seqlift
