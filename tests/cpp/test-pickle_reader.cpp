#include "catch.h"
#include "core/base/error.h"
#include "core/files/pickle_reader.h"
#include "files.h"

using namespace seqlift;
using files::little;
using files::PickleWriter;
using files::says;

namespace {

// The pickle's texts are views of `bytes`.
Pickle read(const std::string& bytes) { return read_pickle(bytes.data(), bytes.size(), "a.pth"); }

std::string pickle_problem(const std::string& bytes) {
  return files::problem([&]() { read(bytes); });
}

std::string repeated(const std::string& text, int n) {
  std::string all;
  for (int i = 0; i < n; ++i) {
    all += text;
  }
  return all;
}

}  // namespace

TEST_CASE("numbers, texts and constants are read as Python means them") {
  const std::string bytes = PickleWriter()
                                .raw(
                                    "(K\xff"
                                    "M\xff\xff"
                                    "J\xff\xff\xff\xff")
                                .raw(std::string("\x8a\x00\x8a\x01\x80\x8a\x02\xff\x00", 9))
                                .raw("\x8b" + little(9, 4) + std::string(9, '\x01'))
                                .raw(std::string("G\x3f\xf8\0\0\0\0\0\0", 9))
                                .raw("N\x88\x89")
                                .raw(
                                    "U\x02"
                                    "ab\x8c\x01"
                                    "c"
                                    "C\x02"
                                    "de")
                                .text("f\xc3\xa9")
                                .raw("t")
                                .done();
  const Pickle pickle = read(bytes);
  const auto& items = pickle.items(pickle.root());
  REQUIRE(items.size() == 15);
  const std::vector<int64_t> integers{255, 65535, -1, 0, -128, 255};
  for (size_t i = 0; i < integers.size(); ++i) {
    CHECK(pickle.is(items[i], PickleKind::integer));
    CHECK(pickle.value(items[i]).integer == integers[i]);
  }
  CHECK(pickle.is(items[6], PickleKind::long_integer));
  CHECK(pickle.text(items[6]) == std::string(9, '\x01'));
  CHECK(pickle.is(items[7], PickleKind::real));
  CHECK(pickle.value(items[7]).real == 1.5);
  CHECK(pickle.is(items[8], PickleKind::none));
  CHECK(pickle.is(items[9], PickleKind::boolean));
  CHECK(pickle.value(items[9]).integer == 1);
  CHECK(pickle.value(items[10]).integer == 0);
  CHECK(pickle.text(items[11]) == "ab");
  CHECK(pickle.text(items[12]) == "c");
  CHECK(pickle.is(items[13], PickleKind::bytes));
  CHECK(pickle.text(items[13]) == "de");
  CHECK(pickle.is(items[14], PickleKind::text));
  CHECK(pickle.text(items[14]) == "f\xc3\xa9");
  CHECK(pickle.size() == bytes.size());
}

TEST_CASE("containers, the memo and calls are read") {
  const std::string bytes = PickleWriter()
                                .raw("}(")
                                .text("list")
                                .raw(
                                    "]q\x01(K\x01K\x02"
                                    "eK\x03"
                                    "a")
                                .text("again")
                                .raw("h\x01")
                                .text("set")
                                .raw("\x8f(K\x05\x90")
                                .text("size")
                                .global("torch", "Size")
                                .raw("K\x07\x85\x85R")
                                .text("ordered")
                                .global("collections", "OrderedDict")
                                .raw(
                                    "]]K\x01"
                                    "aK\x02"
                                    "aa\x85Ru")
                                .done();
  const Pickle pickle = read(bytes);
  const auto& items = pickle.items(pickle.root());
  REQUIRE(items.size() == 10);
  CHECK(pickle.items(items[1]).size() == 3);
  CHECK(items[3] == items[1]);
  CHECK(pickle.is(items[5], PickleKind::set));
  CHECK(pickle.is(items[7], PickleKind::call));
  CHECK(pickle.text(pickle.items(items[7])[0]) == "torch.Size");
  CHECK(pickle.is(items[9], PickleKind::dict));
  REQUIRE(pickle.items(items[9]).size() == 2);
  CHECK(pickle.value(pickle.items(items[9])[1]).integer == 2);
}

TEST_CASE("what could run something is an unknown object of a name, whatever opcode asks for it") {
  const auto name_of = [](const std::string& bytes) {
    const Pickle pickle = read(bytes);
    REQUIRE(pickle.is(pickle.root(), PickleKind::unknown));
    return pickle.name_of(pickle.root());
  };
  const auto system = [] { return PickleWriter().global("os", "system"); };
  CHECK(name_of(system().text("ls").raw("\x85R").done()) == "os.system");
  CHECK(name_of(PickleWriter().text("posix").text("system").raw("\x93").done()) == "posix.system");
  CHECK(name_of(PickleWriter().raw("(ios\nsystem\n").done()) == "os.system");
  CHECK(name_of(PickleWriter().raw("(").global("os", "system").text("ls").raw("o").done()) ==
        "os.system");
  CHECK(name_of(system().raw(")}\x92").done()) == "os.system");
  CHECK(name_of(system().raw(")R)R").done()) == "os.system");
  CHECK(name_of(PickleWriter().global("builtins", "eval").done()) == "builtins.eval");
  CHECK(name_of(PickleWriter().global("torch", "FloatStorage").raw(")R").done()) ==
        "torch.FloatStorage");
  CHECK(name_of(PickleWriter().global("torch.storage", "_load_from_bytes").done()) ==
        "torch.storage._load_from_bytes");
  // Its state, its items and its entries have been read, and are of no use.
  for (const char* opcodes : {"}b", "(K\x01K\x02tb", "K\x01\x61", "(K\x01\x65", "K\x01K\x02s",
                              "(K\x01K\x02u", "(K\x01\x90"}) {
    INFO(opcodes);
    CHECK(name_of(system().raw(")R").raw(opcodes).done()) == "os.system");
  }
  // Of a name without end, the beginning.
  CHECK(name_of(PickleWriter().global("a", std::string(1000, 'b')).done()).size() < 300);
  // Attributes may only be set of dicts, where they are dropped, and of what is unknown.
  CHECK_FALSE(pickle_problem(PickleWriter().global("torch", "Tensor").raw("}b").done()).empty());
  CHECK(pickle_problem(PickleWriter().raw("}}b").done()).empty());
  // Extensions, and what is called though it cannot be.
  for (const char* opcodes : {"\x82\x01", "\x83\x01\x02", "(o", "(K\x01o", "I1\n", "S'a'\n", "P1\n",
                              "K\x01)R", "}\x92"}) {
    CHECK_FALSE(pickle_problem(PickleWriter().raw(opcodes).done()).empty());
  }
  CHECK_FALSE(pickle_problem(system().raw("K\x01R").done()).empty());
}

TEST_CASE("in a TorchScript archive, opcodes that LibTorch does not read are refused") {
  for (const char* opcodes : {"(ios\nsystem\n", "(o", "))}\x92"}) {
    const std::string bytes = PickleWriter().raw(opcodes).done();
    CHECK(says(
        files::problem([&] { read_pickle(bytes.data(), bytes.size(), "a.pt", PickleOf::script); }),
        "opcode"));
  }
}

TEST_CASE("a defaultdict is a dict") {
  const Pickle pickle = read(PickleWriter()
                                 .global("collections", "defaultdict")
                                 .global("builtins", "list")
                                 .raw("\x85R")
                                 .text("a")
                                 .raw("K\x01s")
                                 .done());
  REQUIRE(pickle.is(pickle.root(), PickleKind::dict));
  CHECK(pickle.items(pickle.root()).size() == 2);
}

TEST_CASE("a pickle cut short anywhere is refused") {
  const std::string bytes = files::state_dict_pickle();
  CHECK(pickle_problem(bytes).empty());
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(pickle_problem(bytes.substr(0, size)).empty());
  }
}

TEST_CASE("stacks that hold less than is taken are refused") {
  for (const char* opcodes : {"0",
                              "1",
                              "2",
                              "a",
                              "(a",
                              "](a",
                              "e",
                              "s",
                              "}K\x01s",
                              "u",
                              "}(K\x01u",
                              "R",
                              ")R",
                              "K\x01)R",
                              "b",
                              "Q",
                              "t",
                              "\x85",
                              "q\x01",
                              "(q\x01",
                              "h\x01",
                              "\x90",
                              "\x93",
                              "K\x01(0",
                              "d",
                              "(K\x01"
                              "d"}) {
    INFO(opcodes);
    CHECK_FALSE(pickle_problem(PickleWriter().raw(opcodes).done()).empty());
  }
  CHECK_FALSE(pickle_problem(PickleWriter().done()).empty());
}

TEST_CASE("sizes beyond the file are refused before anything is made of them") {
  for (const std::string& size :
       {std::string("X") + little(0xffffffff, 4), std::string("\x8d") + little(UINT64_MAX, 8),
        std::string("\x8d") + little(UINT64_MAX / 2, 8),
        std::string("\x8b") + little(0x7fffffff, 4),
        std::string("\x8e") + little(uint64_t{1} << 40, 8),
        std::string("r") + little(0xffffffff, 4)}) {
    CHECK_FALSE(pickle_problem(PickleWriter().raw(size).done()).empty());
  }
}

TEST_CASE("a million lists inside each other are read, walked through and given up again") {
  const int deep = 1000000;
  const std::string bytes =
      PickleWriter().raw(repeated("]", deep) + repeated("a", deep - 1)).done();
  const Pickle pickle = read(bytes);
  uint32_t at = pickle.root();
  int depth = 1;
  while (!pickle.items(at).empty()) {
    at = pickle.items(at)[0];
    ++depth;
  }
  CHECK(depth == deep);
  CHECK(
      pickle_problem(PickleWriter().raw(repeated("(", deep) + repeated("t", deep)).done()).empty());
}

TEST_CASE("a pickle that makes more objects than any state dict is refused") {
  CHECK(says(pickle_problem(PickleWriter().raw(repeated("]0", 6000000)).done()),
             "more than 5000000"));
  // One list of pairs, asked for again and again.
  const std::string pairs = "](" + repeated("K\x01K\x02\x86", 10000) +
                            "e\x85q\x02"
                            "0";
  const std::string again = repeated("ccollections\nOrderedDict\nh\x02R0", 1000);
  CHECK(says(pickle_problem(PickleWriter().raw(pairs + again).done()), "more than 5000000"));
}
