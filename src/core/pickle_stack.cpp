#include "pickle_stack.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "error.h"
#include "mapped_file.h"
#include "pickle_names.h"

namespace seqlift {

namespace {

constexpr size_t longest_pickle = size_t{64} << 20;
// A state dict has about twelve for each tensor.
constexpr size_t most_values = 5'000'000;

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

void PickleStack::refuse(const std::string& global) const {
  throw Error("file", "\"" + name_ + "\" holds the Python object \"" + printable(global) +
                          "\", which is not run here: seqlift reads weights, which are tensors, "
                          "containers, numbers and text. In Python, save the weights with "
                          "torch.save(model.state_dict(), path), or the whole model with "
                          "torch.jit.script(model).save(path) for load_model().");
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
  const std::string full = std::string(module) + "." + std::string(name);
  const std::string_view known = known_name(full);
  if (!known.empty()) {
    push_span(PickleKind::global, known.data(), known.size());
  } else if (what_ == PickleOf::script) {
    push_span(PickleKind::global, name.data(), name.size());
  } else {
    refuse(full);
  }
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
  if (!pickle_.is(function, PickleKind::global) || !pickle_.is(arguments, PickleKind::tuple)) {
    fail("calls what cannot be called.");
  }
  const std::string_view name = pickle_.text(function);
  if (what_ == PickleOf::script) {
    push_items(PickleKind::call, {function, arguments});
    return;
  }
  if (!may_be_called(name)) {
    refuse(std::string(name));
  }
  if (name == "collections.OrderedDict") {
    push_ordered_dict(arguments);
  } else if (name == "builtins.set" || name == "__builtin__.set" || name == "builtins.frozenset") {
    push_items(PickleKind::set, {arguments});
  } else {
    push_items(PickleKind::call, {function, arguments});
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
  pop();
  if (what_ == PickleOf::script) {
    top(PickleKind::call);
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
