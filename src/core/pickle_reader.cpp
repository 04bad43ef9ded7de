// A pickle's opcodes work on a stack. The source for each: Lib/pickletools.py of CPython.
#include "pickle_reader.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "error.h"
#include "mapped_file.h"
#include "pickle_names.h"

namespace seqlift {

namespace {

constexpr size_t longest_pickle = size_t{64} << 20;
// A state dict has about twelve for each tensor.
constexpr size_t most_values = 5'000'000;

}  // namespace

class PickleReader {
 public:
  PickleReader(const char* data, size_t size, const std::string& name, PickleOf what)
      : data_(data), size_(std::min(size, longest_pickle)), name_(name), what_(what) {}

  Pickle run() {
    // Which there is one of each.
    for (const int64_t value : {int64_t{-1}, int64_t{0}, int64_t{1}}) {
      PickleValue one;
      one.kind = value < 0 ? PickleKind::none : PickleKind::boolean;
      one.integer = std::max<int64_t>(value, 0);
      pickle_.values_.push_back(one);
    }
    while (!done_) {
      step();
    }
    pickle_.size_ = at_;
    return std::move(pickle_);
  }

 private:
  using Kind = PickleKind;

  [[noreturn]] void fail(const std::string& why) const {
    throw Error("file", "\"" + name_ + "\" could not be read: its pickle " + why);
  }

  [[noreturn]] void refuse(const std::string& global) const {
    throw Error("file", "\"" + name_ + "\" holds the Python object \"" + printable(global) +
                            "\", which is not run here: seqlift reads weights, which are tensors, "
                            "containers, numbers and text. In Python, save the weights with "
                            "torch.save(model.state_dict(), path), or the whole model with "
                            "torch.jit.script(model).save(path) for load_model().");
  }

  // ---- bytes ----

  const char* take(uint64_t n) {
    if (n > size_ - at_) {
      fail("is cut short.");
    }
    const char* from = data_ + at_;
    at_ += n;
    return from;
  }

  uint64_t number(int n) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(take(n));
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; --i) {
      value = value << 8 | bytes[i];
    }
    return value;
  }

  std::string_view line() {
    const auto* end = static_cast<const char*>(std::memchr(data_ + at_, '\n', size_ - at_));
    if (!end) {
      fail("is cut short.");
    }
    const std::string_view text(data_ + at_, end - (data_ + at_));
    at_ += text.size() + 1;
    return text;
  }

  // ---- values ----

  void push(uint32_t id) { stack_.push_back(id); }

  void push(const PickleValue& value) {
    if (pickle_.values_.size() == most_values) {
      fail("holds more than " + std::to_string(most_values) + " objects.");
    }
    push(static_cast<uint32_t>(pickle_.values_.size()));
    pickle_.values_.push_back(value);
  }

  void push_integer(int64_t integer) {
    PickleValue value;
    value.kind = Kind::integer;
    value.integer = integer;
    push(value);
  }

  void push_span(Kind kind, const char* start, uint64_t length) {
    PickleValue value;
    value.kind = kind;
    value.start = start;
    value.length = length;
    push(value);
  }

  void push_items(Kind kind, std::vector<uint32_t> items) {
    PickleValue value;
    value.kind = kind;
    value.items = static_cast<uint32_t>(pickle_.containers_.size());
    push(value);
    pickle_.containers_.push_back(std::move(items));
  }

  void push_long(uint64_t n) {
    const char* bytes = take(n);
    if (n > 8) {
      push_span(Kind::long_integer, bytes, n);
      return;
    }
    // Two's complement of any length.
    uint64_t value = n > 0 && (bytes[n - 1] & 0x80) ? ~uint64_t{0} : 0;
    for (uint64_t i = n; i > 0; --i) {
      value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
    }
    push_integer(static_cast<int64_t>(value));
  }

  void push_real() {
    const auto* bytes = reinterpret_cast<const unsigned char*>(take(8));
    uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) {
      bits = bits << 8 | bytes[i];
    }
    PickleValue value;
    value.kind = Kind::real;
    std::memcpy(&value.real, &bits, sizeof bits);
    push(value);
  }

  void push_global(std::string_view module, std::string_view name) {
    const std::string full = std::string(module) + "." + std::string(name);
    const std::string_view known = known_name(full);
    if (!known.empty()) {
      push_span(Kind::global, known.data(), known.size());
    } else if (what_ == PickleOf::script) {
      push_span(Kind::global, name.data(), name.size());
    } else {
      refuse(full);
    }
  }

  // What lies above the last mark belongs to the opcode that closes it.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  uint32_t pop() {
    if (stack_.size() <= floor()) {
      fail("takes more than there is.");
    }
    const uint32_t id = stack_.back();
    stack_.pop_back();
    return id;
  }

  uint32_t top(Kind kind) const {
    if (stack_.size() <= floor() || !pickle_.is(stack_.back(), kind)) {
      fail("puts something where it cannot be.");
    }
    return stack_.back();
  }

  std::vector<uint32_t> pop_to_mark() {
    if (marks_.empty()) {
      fail("takes more than there is.");
    }
    std::vector<uint32_t> items(stack_.begin() + marks_.back(), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  void push_tuple(size_t n) {
    std::vector<uint32_t> items(n);
    for (size_t i = n; i > 0; --i) {
      items[i - 1] = pop();
    }
    push_items(Kind::tuple, std::move(items));
  }

  void append(Kind kind, const std::vector<uint32_t>& added) {
    if (kind == Kind::dict && added.size() % 2 != 0) {
      fail("has a key without a value.");
    }
    auto& items = pickle_.containers_[pickle_.values_[top(kind)].items];
    items.insert(items.end(), added.begin(), added.end());
  }

  std::string_view pop_text() {
    const uint32_t id = pop();
    if (!pickle_.is(id, Kind::text)) {
      fail("names something by no text.");
    }
    return pickle_.text(id);
  }

  // ---- calls ----

  void reduce() {
    const uint32_t arguments = pop();
    const uint32_t function = pop();
    if (!pickle_.is(function, Kind::global) || !pickle_.is(arguments, Kind::tuple)) {
      fail("calls what cannot be called.");
    }
    const std::string_view name = pickle_.text(function);
    if (what_ == PickleOf::script) {
      push_items(Kind::call, {function, arguments});
      return;
    }
    if (!may_be_called(name)) {
      refuse(std::string(name));
    }
    if (name == "collections.OrderedDict") {
      push_ordered_dict(arguments);
    } else if (name == "builtins.set" || name == "__builtin__.set" ||
               name == "builtins.frozenset") {
      push_items(Kind::set, {arguments});
    } else {
      push_items(Kind::call, {function, arguments});
    }
  }

  // OrderedDict(), and Python 2's OrderedDict([[key, value], ...]).
  void push_ordered_dict(uint32_t arguments) {
    const std::vector<uint32_t>& given = pickle_.items(arguments);
    std::vector<uint32_t> items;
    if (!given.empty()) {
      if (given.size() > 1 || !pickle_.is(given[0], Kind::list)) {
        fail("makes an OrderedDict of something else than pairs.");
      }
      for (const uint32_t pair : pickle_.items(given[0])) {
        const bool sequence = pickle_.is(pair, Kind::list) || pickle_.is(pair, Kind::tuple);
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
    push_items(Kind::dict, std::move(items));
  }

  // Attributes of an OrderedDict (a state dict's _metadata) are left out, and so are those of a
  // TorchScript object: what they hold has been read.
  void build() {
    pop();
    if (what_ == PickleOf::script) {
      top(Kind::call);
    } else {
      top(Kind::dict);
    }
  }

  void get(uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) {
      fail("refers to what it does not hold.");
    }
    push(found->second);
  }

  void put(uint64_t key) {
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

  // ---- opcodes ----

  void step() {
    const auto opcode = static_cast<unsigned char>(*take(1));
    switch (opcode) {
      case 0x80: {  // PROTO
        const uint64_t protocol = number(1);
        if (protocol < 2 || protocol > 5) {
          fail("is of protocol " + std::to_string(protocol) + "; 2 to 5 are read.");
        }
        break;
      }
      case 0x95:  // FRAME
        number(8);
        break;
      case '.':  // STOP
        pickle_.root_ = pop();
        done_ = true;
        break;
      case '(':  // MARK
        marks_.push_back(static_cast<uint32_t>(stack_.size()));
        break;
      case '0':  // POP
        pop();
        break;
      case '1':  // POP_MARK
        pop_to_mark();
        break;
      case '2':  // DUP
        push(pop());
        push(stack_.back());
        break;
      case 'N':  // NONE
        push(0);
        break;
      case 0x89:  // NEWFALSE
        push(1);
        break;
      case 0x88:  // NEWTRUE
        push(2);
        break;
      case 'J':  // BININT
        push_integer(static_cast<int32_t>(static_cast<uint32_t>(number(4))));
        break;
      case 'K':  // BININT1
        push_integer(static_cast<int64_t>(number(1)));
        break;
      case 'M':  // BININT2
        push_integer(static_cast<int64_t>(number(2)));
        break;
      case 0x8a:  // LONG1
        push_long(number(1));
        break;
      case 0x8b:  // LONG4
        push_long(number(4));
        break;
      case 'G':  // BINFLOAT
        push_real();
        break;
      case 'U':   // SHORT_BINSTRING, Python 2's text
      case 0x8c:  // SHORT_BINUNICODE
        push_text(Kind::text, number(1));
        break;
      case 'T':  // BINSTRING
      case 'X':  // BINUNICODE
        push_text(Kind::text, number(4));
        break;
      case 0x8d:  // BINUNICODE8
        push_text(Kind::text, number(8));
        break;
      case 'C':  // SHORT_BINBYTES
        push_text(Kind::bytes, number(1));
        break;
      case 'B':  // BINBYTES
        push_text(Kind::bytes, number(4));
        break;
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        push_text(Kind::bytes, number(8));
        break;
      default:
        step_container(opcode);
    }
  }

  void push_text(Kind kind, uint64_t length) { push_span(kind, take(length), length); }

  void step_container(unsigned char opcode) {
    switch (opcode) {
      case ')':  // EMPTY_TUPLE
        push_tuple(0);
        break;
      case 0x85:  // TUPLE1 to TUPLE3
      case 0x86:
      case 0x87:
        push_tuple(opcode - 0x84);
        break;
      case 't':  // TUPLE
        push_items(Kind::tuple, pop_to_mark());
        break;
      case ']':  // EMPTY_LIST
        push_items(Kind::list, {});
        break;
      case 'l':  // LIST
        push_items(Kind::list, pop_to_mark());
        break;
      case 'a': {  // APPEND
        const uint32_t item = pop();
        append(Kind::list, {item});
        break;
      }
      case 'e': {  // APPENDS
        const auto items = pop_to_mark();
        append(Kind::list, items);
        break;
      }
      case '}':  // EMPTY_DICT
        push_items(Kind::dict, {});
        break;
      case 'd': {  // DICT
        const auto items = pop_to_mark();
        push_items(Kind::dict, {});
        append(Kind::dict, items);
        break;
      }
      case 's': {  // SETITEM
        const uint32_t value = pop();
        const uint32_t key = pop();
        append(Kind::dict, {key, value});
        break;
      }
      case 'u': {  // SETITEMS
        const auto items = pop_to_mark();
        append(Kind::dict, items);
        break;
      }
      case 0x8f:  // EMPTY_SET
        push_items(Kind::set, {});
        break;
      case 0x90: {  // ADDITEMS
        const auto items = pop_to_mark();
        append(Kind::set, items);
        break;
      }
      case 0x91:  // FROZENSET
        push_items(Kind::set, pop_to_mark());
        break;
      default:
        step_reference(opcode);
    }
  }

  void step_reference(unsigned char opcode) {
    switch (opcode) {
      case 'c': {  // GLOBAL
        const std::string_view module = line();
        push_global(module, line());
        break;
      }
      case 0x93: {  // STACK_GLOBAL
        const std::string_view name = pop_text();
        push_global(pop_text(), name);
        break;
      }
      case 'R':   // REDUCE
      case 0x81:  // NEWOBJ
        reduce();
        break;
      case 'b':  // BUILD
        build();
        break;
      case 'Q': {  // BINPERSID
        const uint32_t id = pop();
        push_items(Kind::persistent, {id});
        break;
      }
      case 'q':  // BINPUT
        put(number(1));
        break;
      case 'r':  // LONG_BINPUT
        put(number(4));
        break;
      case 0x94:  // MEMOIZE
        put(memo_.size());
        break;
      case 'h':  // BINGET
        get(number(1));
        break;
      case 'j':  // LONG_BINGET
        get(number(4));
        break;
      case 'i': {  // INST
        const std::string_view module = line();
        refuse(std::string(module) + "." + std::string(line()));
      }
      default:
        fail("has an opcode (" + std::to_string(opcode) + ") that no state dict needs.");
    }
  }

  const char* data_;
  size_t size_;
  std::string name_;
  PickleOf what_;
  size_t at_ = 0;
  bool done_ = false;
  size_t copied_ = 0;
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::vector<uint32_t> marks_;
  std::unordered_map<uint64_t, uint32_t> memo_;
};

Pickle read_pickle(const char* data, size_t size, const std::string& name, PickleOf what) {
  return PickleReader(data, size, name, what).run();
}

}  // namespace seqlift
