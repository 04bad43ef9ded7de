#include "catch.h"
#include "core/error.h"
#include "core/pickle_reader.h"
#include "files.h"

using namespace seqlift;
using files::little;
using files::PickleWriter;
using files::says;
using Kind = PickleKind;

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
    CHECK(pickle.is(items[i], Kind::integer));
    CHECK(pickle.value(items[i]).integer == integers[i]);
  }
  CHECK(pickle.is(items[6], Kind::long_integer));
  CHECK(pickle.text(items[6]) == std::string(9, '\x01'));
  CHECK(pickle.is(items[7], Kind::real));
  CHECK(pickle.value(items[7]).real == 1.5);
  CHECK(pickle.is(items[8], Kind::none));
  CHECK(pickle.is(items[9], Kind::boolean));
  CHECK(pickle.value(items[9]).integer == 1);
  CHECK(pickle.value(items[10]).integer == 0);
  CHECK(pickle.text(items[11]) == "ab");
  CHECK(pickle.text(items[12]) == "c");
  CHECK(pickle.is(items[13], Kind::bytes));
  CHECK(pickle.text(items[13]) == "de");
  CHECK(pickle.is(items[14], Kind::text));
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
  CHECK(pickle.is(items[5], Kind::set));
  CHECK(pickle.is(items[7], Kind::call));
  CHECK(pickle.text(pickle.items(items[7])[0]) == "torch.Size");
  CHECK(pickle.is(items[9], Kind::dict));
  REQUIRE(pickle.items(items[9]).size() == 2);
  CHECK(pickle.value(pickle.items(items[9])[1]).integer == 2);
}

TEST_CASE("what could run something is refused by its name, whatever opcode asks for it") {
  CHECK(says(pickle_problem(PickleWriter().global("os", "system").text("ls").raw("\x85R").done()),
             "\"os.system\""));
  CHECK(says(pickle_problem(PickleWriter().text("posix").text("system").raw("\x93").done()),
             "\"posix.system\""));
  CHECK(says(pickle_problem(PickleWriter().raw("(ios\nsystem\n").done()), "\"os.system\""));
  CHECK(
      says(pickle_problem(PickleWriter().global("builtins", "eval").done()), "\"builtins.eval\""));
  CHECK(says(pickle_problem(PickleWriter().global("builtins", "getattr").done()), "getattr"));
  CHECK(says(pickle_problem(PickleWriter().global("torch.storage", "_load_from_bytes").done()),
             "\"torch.storage._load_from_bytes\""));
  CHECK(says(pickle_problem(PickleWriter().global("torch", "FloatStorage").raw(")R").done()),
             "\"torch.FloatStorage\""));
  CHECK(says(pickle_problem(PickleWriter().global("os\n", "system").done()), "\"os.\""));
  CHECK(says(
      pickle_problem(PickleWriter().global("torch.nn.modules.conv", "Conv1d").raw(")\x81").done()),
      "torch.save(model.state_dict(), path)"));
  // Attributes may only be set of dicts, where they are dropped.
  CHECK_FALSE(pickle_problem(PickleWriter().global("torch", "Tensor").raw("}b").done()).empty());
  CHECK(pickle_problem(PickleWriter().raw("}}b").done()).empty());
  // Extensions, and objects of old protocols.
  for (const char* opcodes : {"\x82\x01", "\x83\x01\x02", "(o", "I1\n", "S'a'\n", "P1\n"}) {
    CHECK_FALSE(pickle_problem(PickleWriter().raw(opcodes).done()).empty());
  }
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
