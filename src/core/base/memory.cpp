#include "core/base/memory.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <sstream>
#include <string>

namespace seqlift {

namespace {

// The number behind `key` in a file of lines "key value ...".
std::optional<int64_t> number_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string word;
    int64_t number = 0;
    if (words >> word >> number && word == key) {
      return number;
    }
  }
  return std::nullopt;
}

// The only number of a file; nothing where it says "max".
std::optional<int64_t> number_of(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? std::optional<int64_t>(number) : std::nullopt;
}

// The control group of this process for memory, "" where there is none: version 2 has one line
// "0::/path", version 1 one for each controller.
std::string control_group(bool second) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const size_t first = line.find(':');
    const size_t next = line.find(':', first + 1);
    if (next == std::string::npos) {
      continue;
    }
    const std::string controllers = "," + line.substr(first + 1, next - first - 1) + ",";
    const bool own = second ? controllers == ",," : controllers.find(",memory,") < line.size();
    if (own) {
      return line.substr(next + 1);
    }
  }
  return "";
}

// What is left of the limits of the group and of those that it is in. Memory that holds files can
// be had again.
std::optional<int64_t> left_of_limits(bool second) {
  const std::string root = second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  const std::string limit_name = second ? "/memory.max" : "/memory.limit_in_bytes";
  const std::string usage_name = second ? "/memory.current" : "/memory.usage_in_bytes";
  const std::string files_name = second ? "inactive_file" : "total_inactive_file";
  std::optional<int64_t> least;
  std::string group = control_group(second);
  while (true) {
    const std::string folder = root + (group == "/" ? "" : group);
    const auto limit = number_of(folder + limit_name);
    const auto usage = number_of(folder + usage_name);
    if (limit && usage) {
      const int64_t files = number_in(folder + "/memory.stat", files_name).value_or(0);
      const int64_t left = std::max<int64_t>(*limit - (*usage - files), 0);
      least = least ? std::min(*least, left) : left;
    }
    if (group.empty() || group == "/") {
      return least;
    }
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

// Negative where it was not set.
std::atomic<int64_t> budget{-1};

}  // namespace

std::optional<int64_t> available_memory() {
  std::optional<int64_t> least;
  if (const auto kilobytes = number_in("/proc/meminfo", "MemAvailable:")) {
    least = *kilobytes * 1024;
  }
  for (const bool second : {true, false}) {
    if (const auto left = left_of_limits(second)) {
      least = least ? std::min(*least, *left) : *left;
    }
  }
  return least;
}

std::optional<int64_t> memory_budget() {
  const int64_t set = budget;
  if (set >= 0) {
    return set;
  }
  const auto available = available_memory();
  return available ? std::optional<int64_t>(*available / 2) : std::nullopt;
}

void set_memory_budget(std::optional<int64_t> bytes) { budget = bytes.value_or(-1); }

namespace {

std::optional<MemoryShare>& own_share() {
  static thread_local std::optional<MemoryShare> share;
  return share;
}

}  // namespace

// A budget that was set is what may be used; without one there is all that the system has.
MemoryShare divide_memory(int threads) {
  const auto part = [&](std::optional<int64_t> bytes) {
    return bytes ? std::optional<int64_t>(*bytes / std::max(threads, 1)) : bytes;
  };
  return {part(memory_budget()), part(budget >= 0 ? memory_budget() : available_memory())};
}

MemoryShareGuard::MemoryShareGuard(const MemoryShare& share) : before_(own_share()) {
  own_share() = share;
}

MemoryShareGuard::~MemoryShareGuard() { own_share() = before_; }

MemoryShare memory_share() { return own_share() ? *own_share() : divide_memory(1); }

}  // namespace seqlift
