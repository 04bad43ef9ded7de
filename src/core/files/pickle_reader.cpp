// A pickle's opcodes. The source for each: Lib/pickletools.py of CPython.
#include "core/files/pickle_reader.h"

#include "core/files/pickle_stack.h"

namespace seqlift {

namespace {

class PickleReader : PickleStack {
 public:
  using PickleStack::PickleStack;

  Pickle run() {
    while (!stopped()) {
      step();
    }
    return result();
  }

 private:
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
        stop();
        break;
      case '(':  // MARK
        mark();
        break;
      case '0':  // POP
        pop();
        break;
      case '1':  // POP_MARK
        pop_to_mark();
        break;
      case '2':  // DUP
        push_copy();
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
        push_text(PickleKind::text, number(1));
        break;
      case 'T':  // BINSTRING
      case 'X':  // BINUNICODE
        push_text(PickleKind::text, number(4));
        break;
      case 0x8d:  // BINUNICODE8
        push_text(PickleKind::text, number(8));
        break;
      case 'C':  // SHORT_BINBYTES
        push_text(PickleKind::bytes, number(1));
        break;
      case 'B':  // BINBYTES
        push_text(PickleKind::bytes, number(4));
        break;
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        push_text(PickleKind::bytes, number(8));
        break;
      default:
        step_container(opcode);
    }
  }

  void push_text(PickleKind kind, uint64_t length) { push_span(kind, take(length), length); }

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
        push_items(PickleKind::tuple, pop_to_mark());
        break;
      case ']':  // EMPTY_LIST
        push_items(PickleKind::list, {});
        break;
      case 'l':  // LIST
        push_items(PickleKind::list, pop_to_mark());
        break;
      case 'a': {  // APPEND
        const uint32_t item = pop();
        append(PickleKind::list, {item});
        break;
      }
      case 'e': {  // APPENDS
        const auto items = pop_to_mark();
        append(PickleKind::list, items);
        break;
      }
      case '}':  // EMPTY_DICT
        push_items(PickleKind::dict, {});
        break;
      case 'd': {  // DICT
        const auto items = pop_to_mark();
        push_items(PickleKind::dict, {});
        append(PickleKind::dict, items);
        break;
      }
      case 's': {  // SETITEM
        const uint32_t value = pop();
        const uint32_t key = pop();
        append(PickleKind::dict, {key, value});
        break;
      }
      case 'u': {  // SETITEMS
        const auto items = pop_to_mark();
        append(PickleKind::dict, items);
        break;
      }
      case 0x8f:  // EMPTY_SET
        push_items(PickleKind::set, {});
        break;
      case 0x90: {  // ADDITEMS
        const auto items = pop_to_mark();
        append(PickleKind::set, items);
        break;
      }
      case 0x91:  // FROZENSET
        push_items(PickleKind::set, pop_to_mark());
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
      case 0x92:  // NEWOBJ_EX
        check_weights(opcode);
        reduce_with_keywords();
        break;
      case 'o':  // OBJ
        check_weights(opcode);
        push_object();
        break;
      case 'b':  // BUILD
        build();
        break;
      case 'Q':  // BINPERSID
        push_persistent();
        break;
      case 'q':  // BINPUT
        put(number(1));
        break;
      case 'r':  // LONG_BINPUT
        put(number(4));
        break;
      case 0x94:  // MEMOIZE
        put();
        break;
      case 'h':  // BINGET
        get(number(1));
        break;
      case 'j':  // LONG_BINGET
        get(number(4));
        break;
      case 'i': {  // INST
        check_weights(opcode);
        const std::string_view module = line();
        const std::string_view name = line();
        pop_to_mark();
        push_unknown(module, name);
        break;
      }
      default:
        fail_opcode(opcode);
    }
  }
};

}  // namespace

Pickle read_pickle(const char* data, size_t size, const std::string& name, PickleOf what) {
  return PickleReader(data, size, name, what).run();
}

}  // namespace seqlift
