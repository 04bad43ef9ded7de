#include "core/files/pickle_stack.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/files/mapped_file.h"
#include "core/files/pickle_names.h"

namespace seqlift {

namespace {

constexpr size_t longest_pickle = size_t{64} << 20;
// A state dict has about twelve for each tensor.
constexpr size_t most_values = 5'000'000;
// No name that is known is longer; a file may give one of any length any number of times.
constexpr size_t longest_name = 200;
constexpr size_t name_parts = 2;  // of an unknown object: module and name

}  // namespace

PickleStack::PickleStack(const char* data, size_t size, const std::string& name, PickleOf what)
    : data_(data), size_(std::min(size, longest_pickle)), name_(name), what_(what) {
  // Which there is one of each.
  for (const int64_t value : {int64_t{-1}, int64_t{0}, int64_t{1}}) {
    PickleValue one;
    one.kind = value < 0 ? PickleKind::none : PickleKind::boolean;
    one.integer = std::max<int64_t>(value, 0);
    pickle_.values_.push_back(one);
  }
}

void PickleStack::fail(const std::string& why) const {
  throw Error("file", "\"" + name_ + "\" could not be read: its pickle " + why);
}

void PickleStack::fail_opcode(unsigned char opcode) const {
  fail("has an opcode (" + std::to_string(opcode) + ") that no state dict needs.");
}

void PickleStack::check_weights(unsigned char opcode) const {
  if (what_ == PickleOf::script) {
    fail_opcode(opcode);
  }
}

std::string Pickle::name_of(uint32_t id) const {
  std::string name;
  for (size_t i = 0; i < name_parts; ++i) {
    const std::string part(text(items(id)[i]).substr(0, longest_name));
    name += (name.empty() ? "" : ".") + part;
  }
  return name;
}

std::vector<uint32_t> Pickle::given(uint32_t id) const {
  return {items(id).begin() + name_parts, items(id).end()};
}

const char* PickleStack::take(uint64_t n) {
  if (n > size_ - at_) {
    fail("is cut short.");
  }
  const char* from = data_ + at_;
  at_ += n;
  return from;
}

uint64_t PickleStack::number(int n) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(take(n));
  uint64_t value = 0;
  for (int i = n - 1; i >= 0; --i) {
    value = value << 8 | bytes[i];
  }
  return value;
}

std::string_view PickleStack::line() {
  const auto* end = static_cast<const char*>(std::memchr(data_ + at_, '\n', size_ - at_));
  if (!end) {
    fail("is cut short.");
  }
  const std::string_view text(data_ + at_, end - (data_ + at_));
  at_ += text.size() + 1;
  return text;
}

void PickleStack::push(const PickleValue& value) {
  if (pickle_.values_.size() == most_values) {
    fail("holds more than " + std::to_string(most_values) + " objects.");
  }
  push(static_cast<uint32_t>(pickle_.values_.size()));
  pickle_.values_.push_back(value);
}

void PickleStack::push_integer(int64_t integer) {
  PickleValue value;
  value.kind = PickleKind::integer;
  value.integer = integer;
  push(value);
}

void PickleStack::push_span(PickleKind kind, const char* start, uint64_t length) {
  PickleValue value;
  value.kind = kind;
  value.start = start;
  value.length = length;
  push(value);
}

void PickleStack::push_items(PickleKind kind, std::vector<uint32_t> items) {
  PickleValue value;
  value.kind = kind;
  value.items = static_cast<uint32_t>(pickle_.containers_.size());
  push(value);
  pickle_.containers_.push_back(std::move(items));
}

void PickleStack::push_long(uint64_t n) {
  const char* bytes = take(n);
  if (n > 8) {
    push_span(PickleKind::long_integer, bytes, n);
    return;
  }
  // Two's complement of any length.
  uint64_t value = n > 0 && (bytes[n - 1] & 0x80) ? ~uint64_t{0} : 0;
  for (uint64_t i = n; i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  }
  push_integer(static_cast<int64_t>(value));
}

void PickleStack::push_real() {
  const auto* bytes = reinterpret_cast<const unsigned char*>(take(8));
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) {
    bits = bits << 8 | bytes[i];
  }
  PickleValue value;
  value.kind = PickleKind::real;
  std::memcpy(&value.real, &bits, sizeof bits);
  push(value);
}

void PickleStack::push_global(std::string_view module, std::string_view name) {
  if (what_ == PickleOf::weights && module.size() + name.size() > longest_name) {
    push_unknown(module, name);
    return;
  }
  const std::string full = std::string(module) + "." + std::string(name);
  const std::string_view known = known_name(full);
  if (!known.empty()) {
    push_span(PickleKind::global, known.data(), known.size());
  } else if (what_ == PickleOf::script) {
    push_span(PickleKind::global, name.data(), name.size());
  } else {
    push_unknown(module, name);
  }
}

void PickleStack::push_persistent() {
  const uint32_t id = pop();
  if (what_ == PickleOf::weights && pickle_.is(id, PickleKind::tuple)) {
    const std::vector<uint32_t>& given = pickle_.items(id);
    if (given.size() > 1 && pickle_.is(given[0], PickleKind::text) &&
        pickle_.text(given[0]) == "module") {
      push(given[1]);
      return;
    }
  }
  push_items(PickleKind::persistent, {id});
}

void PickleStack::push_unknown(std::string_view module, std::string_view name) {
  std::vector<uint32_t> parts;
  for (const std::string_view part : {module, name}) {
    push_span(PickleKind::text, part.data(), part.size());
    parts.push_back(pop());
  }
  push_items(PickleKind::unknown, std::move(parts));
}

// With a container of its own; a class that was itself given something hands none of it on.
void PickleStack::push_object_of(uint32_t maker) {
  const std::vector<uint32_t>& parts = pickle_.items(maker);
  push_items(PickleKind::unknown, {parts[0], parts[1]});
}

void PickleStack::push_copy() {
  push(pop());
  push(stack_.back());
}

void PickleStack::mark() { marks_.push_back(static_cast<uint32_t>(stack_.size())); }

uint32_t PickleStack::pop() {
  if (stack_.size() <= floor()) {
    fail("takes more than there is.");
  }
  const uint32_t id = stack_.back();
  stack_.pop_back();
  return id;
}

uint32_t PickleStack::top(PickleKind kind) const {
  if (stack_.size() <= floor() || !pickle_.is(stack_.back(), kind)) {
    fail("puts something where it cannot be.");
  }
  return stack_.back();
}

std::vector<uint32_t> PickleStack::pop_to_mark() {
  if (marks_.empty()) {
    fail("takes more than there is.");
  }
  std::vector<uint32_t> items(stack_.begin() + marks_.back(), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

void PickleStack::push_tuple(size_t n) {
  std::vector<uint32_t> items(n);
  for (size_t i = n; i > 0; --i) {
    items[i - 1] = pop();
  }
  push_items(PickleKind::tuple, std::move(items));
}

void PickleStack::append(PickleKind kind, const std::vector<uint32_t>& added) {
  if (kind == PickleKind::dict && added.size() % 2 != 0) {
    fail("has a key without a value.");
  }
  if (stack_.size() > floor() && pickle_.is(stack_.back(), PickleKind::unknown)) {
    if (kind == PickleKind::dict) {
      push_items(kind, added);
      const uint32_t items = pop();
      pickle_.containers_[pickle_.value(stack_.back()).items].push_back(items);
    }
    return;
  }
  auto& items = pickle_.containers_[pickle_.values_[top(kind)].items];
  items.insert(items.end(), added.begin(), added.end());
}

std::string_view PickleStack::pop_text() {
  const uint32_t id = pop();
  if (!pickle_.is(id, PickleKind::text)) {
    fail("names something by no text.");
  }
  return pickle_.text(id);
}

void PickleStack::reduce() {
  const uint32_t arguments = pop();
  const uint32_t function = pop();
  const bool unknown = pickle_.is(function, PickleKind::unknown);
  if ((!unknown && !pickle_.is(function, PickleKind::global)) ||
      !pickle_.is(arguments, PickleKind::tuple)) {
    fail("calls what cannot be called.");
  }
  if (unknown) {
    push_object_of(function);
    return;
  }
  const std::string_view name = pickle_.text(function);
  if (what_ == PickleOf::script) {
    push_items(PickleKind::call, {function, arguments});
  } else if (!may_be_called(name)) {
    push_unknown({}, name);
  } else if (name == "collections.OrderedDict") {
    push_ordered_dict(arguments);
  } else if (name == "collections.defaultdict") {
    push_items(PickleKind::dict, {});
  } else if (name == "builtins.set" || name == "__builtin__.set" || name == "builtins.frozenset") {
    push_items(PickleKind::set, {arguments});
  } else {
    push_items(PickleKind::call, {function, arguments});
  }
}

void PickleStack::reduce_with_keywords() {
  pop();
  reduce();
}

void PickleStack::push_object() {
  const std::vector<uint32_t> items = pop_to_mark();
  if (items.empty() || what_ == PickleOf::script) {
    fail("makes an object of no class.");
  }
  const uint32_t maker = items[0];
  if (pickle_.is(maker, PickleKind::unknown)) {
    push_object_of(maker);
  } else if (pickle_.is(maker, PickleKind::global)) {
    push_unknown({}, pickle_.text(maker));
  } else {
    fail("calls what cannot be called.");
  }
}

void PickleStack::push_ordered_dict(uint32_t arguments) {
  const std::vector<uint32_t>& given = pickle_.items(arguments);
  std::vector<uint32_t> items;
  if (!given.empty()) {
    if (given.size() > 1 || !pickle_.is(given[0], PickleKind::list)) {
      fail("makes an OrderedDict of something else than pairs.");
    }
    for (const uint32_t pair : pickle_.items(given[0])) {
      const bool sequence =
          pickle_.is(pair, PickleKind::list) || pickle_.is(pair, PickleKind::tuple);
      if (!sequence || pickle_.items(pair).size() != 2) {
        fail("makes an OrderedDict of something else than pairs.");
      }
      items.insert(items.end(), pickle_.items(pair).begin(), pickle_.items(pair).end());
    }
  }
  // One list of pairs may be asked for any number of times.
  copied_ += items.size();
  if (copied_ > most_values) {
    fail("holds more than " + std::to_string(most_values) + " objects.");
  }
  push_items(PickleKind::dict, std::move(items));
}

void PickleStack::build() {
  const uint32_t state = pop();
  if (what_ == PickleOf::script) {
    top(PickleKind::call);
  } else if (stack_.size() > floor() && pickle_.is(stack_.back(), PickleKind::unknown)) {
    pickle_.containers_[pickle_.value(stack_.back()).items].push_back(state);
  } else {
    top(PickleKind::dict);
  }
}

void PickleStack::get(uint64_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) {
    fail("refers to what it does not hold.");
  }
  push(found->second);
}

void PickleStack::put(uint64_t key) {
  if (stack_.size() <= floor()) {
    fail("takes more than there is.");
  }
  // LibTorch keeps a place for every number below.
  if (key >= size_) {
    fail("counts further than it is long.");
  }
  memo_[key] = stack_.back();
  if (memo_.size() > most_values) {
    fail("holds more than " + std::to_string(most_values) + " objects.");
  }
}

void PickleStack::put() { put(memo_.size()); }

void PickleStack::stop() {
  pickle_.root_ = pop();
  stopped_ = true;
}

Pickle PickleStack::result() {
  pickle_.size_ = at_;
  return std::move(pickle_);
}

}  // namespace seqlift
