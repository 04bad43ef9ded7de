#include "catch.h"
#include "core/base/error.h"
#include "core/files/inflate.h"
#include "core/files/zip_reader.h"
#include "files.h"

using namespace seqlift;
using files::little;
using files::says;
using files::stored;
using files::zip;

namespace {

std::string content(const Bytes& bytes) { return std::string(bytes.data, bytes.size); }

// What is wrong with an archive, or nothing.
std::string zip_problem(const std::string& file) {
  return files::problem([&] { ZipReader(files::bytes_of(file), "a.zip").check(); });
}

std::string last_replaced(std::string file, const std::string& from, const std::string& to) {
  const size_t at = file.rfind(from);
  REQUIRE(at != std::string::npos);
  return file.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("stored members are read where they lie, in zip archives and in zip64 ones") {
  for (const bool zip64 : {false, true}) {
    const Bytes file =
        files::bytes_of(zip({stored("net/a", "first"), stored("net/b", std::string(70000, 'b')),
                             stored("../../c", ""), stored("/etc/d", "d")},
                            {zip64, true}));
    const ZipReader reader(file, "a.zip");
    CHECK(reader.names() == std::vector<std::string>{"net/a", "net/b", "../../c", "/etc/d"});
    CHECK(content(reader.read("net/a")) == "first");
    CHECK(content(reader.read("net/b")) == std::string(70000, 'b'));
    CHECK(content(reader.read("../../c")).empty());
    CHECK(reader.read("net/a").data > file.data);
    CHECK(reader.read("net/a").data < file.data + file.size);
    CHECK(reader.has("net/b"));
    CHECK_FALSE(reader.has("net"));
    CHECK_THROWS_AS(reader.read("net"), Error);
    CHECK_NOTHROW(reader.check());
  }
}

TEST_CASE("members outlive the reader") {
  Bytes member;
  { member = ZipReader(files::bytes_of(zip({stored("a", "content")})), "a.zip").read("a"); }
  CHECK(content(member) == "content");
}

TEST_CASE("a member whose bytes have changed is refused by its name") {
  const std::string file = zip({stored("net/a", "first"), stored("net/b", "second")});
  CHECK(zip_problem(file).empty());
  CHECK(says(zip_problem(last_replaced(file, "second", "zecond")), "member \"net/b\" is damaged"));
  CHECK(says(zip_problem(zip({stored("a", "x")}, {false, false})), "set_crc32_options(False)"));
}

TEST_CASE("a compressed member is refused by its name, and checked without its content kept") {
  const std::string file = zip({stored("a", "x"), files::zeros("zeros", 100000)});
  const ZipReader reader(files::bytes_of(file), "a.zip");
  CHECK_NOTHROW(reader.check());
  CHECK(says(files::problem([&] { reader.read("zeros"); }), "member \"zeros\" is compressed"));
  auto wrong = files::zeros("zeros", 100000);
  wrong.crc ^= 1;
  CHECK(says(zip_problem(zip({wrong})), "member \"zeros\" is damaged"));
  auto longer = files::zeros("zeros", 100000);
  longer.size = 100001;
  CHECK(says(zip_problem(zip({longer})), "member \"zeros\" is damaged"));
  auto other = files::zeros("zeros", 10);
  other.method = 12;
  CHECK(says(zip_problem(zip({other})), "compressed in a way"));
}

TEST_CASE("an archive that would unfold to gigabytes is refused before it does") {
  auto bomb = files::zeros("bomb", 1000);
  bomb.size = uint64_t{1} << 32;
  CHECK(says(zip_problem(zip({bomb}, {true, true})), "would unfold to 4294967296 bytes"));
  // One that says it is small is not unfolded beyond what it says.
  auto hidden = files::zeros("bomb", 10000000);
  hidden.size = 1000;
  CHECK(says(zip_problem(zip({hidden})), "is damaged"));
  std::vector<files::ZipMember> many;
  for (int i = 0; i < 5; ++i) {
    many.push_back(files::zeros("bomb" + std::to_string(i), 1000));
    many.back().size = uint64_t{70} << 20;
  }
  CHECK_FALSE(zip_problem(zip(many)).empty());
}

TEST_CASE("an archive cut short anywhere is refused") {
  for (const bool zip64 : {false, true}) {
    const std::string file = zip({stored("a", "first"), stored("b", "second")}, {zip64, true});
    for (size_t size = 0; size < file.size(); ++size) {
      CHECK_FALSE(zip_problem(file.substr(0, size)).empty());
    }
  }
}

TEST_CASE("archives that contradict themselves are refused") {
  const std::string file = zip({stored("aaaa", "first"), stored("bbbb", "second")});
  CHECK(says(zip_problem(zip({stored("a", "1"), stored("a", "2")})), "two members named \"a\""));
  // The name in the list, then that of the member itself.
  CHECK(says(zip_problem(last_replaced(file, "bbbb", "cccc")), "has two names"));
  CHECK(says(zip_problem(last_replaced(file, "PK\x01\x02", "PK\x01\x03")),
             "list of members is damaged"));
  CHECK(says(zip_problem(last_replaced(file, "PK\x05\x06", "PK\x05\x07")), "end is missing"));
  CHECK(says(zip_problem(file + "more"), "end is missing"));
  std::string far = file;
  // The offset of the second member, in its entry of the list.
  far.replace(far.rfind("PK\x01\x02") + 42, 4, little(0xfffffff0, 4));
  CHECK(says(zip_problem(far), "is not where it says"));
  const std::string inner = zip({stored("b", "x")});
  // A member inside the data of another.
  const std::string nested = inner.substr(0, inner.find("PK\x01\x02"));
  std::string outer = zip({stored("a", nested), stored("b", "x")});
  outer.replace(outer.rfind("PK\x01\x02") + 42, 4, little(outer.find(nested), 4));
  CHECK(says(zip_problem(outer), "share bytes"));
}

TEST_CASE("names from a file come into messages as printable text") {
  const std::string name = "a\n\x1b[31m\xff" + std::string(500, 'x');
  const std::string message = zip_problem(zip({stored(name, "1"), stored(name, "2")}));
  CHECK(says(message, "two members named \"a??[31m?xxx"));
  CHECK(message.size() < 300);
}

TEST_CASE("deflated data are unfolded to what was there, and to no more") {
  // As zlib writes them: stored, with its fixed codes, and with codes of their own.
  const std::vector<std::pair<std::string, std::string>> examples{
      {"stored", std::string("\x01\x06\x00\xf9\xff\x73\x74\x6f\x72\x65\x64", 11)},
      {"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
       std::string("\x4b\x4c\x4a\x4e\xa4\x0d\x02\x00", 8)},
      {"CAGATTTTCATATTATGCAGAAAATCTACTTCGCCTGATACGAGTCGGTTATCTTCGGATACTGTATAGTCCCACCTGGTGATCCTATGCT"
       "TG"
       "TGAGTACCCAGAAAATAGCGACGGACC",
       std::string(
           "\x25\x8c\xc1\x11\x00\x30\x08\xc2\x66\xe3\xf2\x60\x01\xf6\x9f\xa5\x60\xfd\x28\x10"
           "\x41\x56\x3a\x28\xdd\x8a\xa9\xd1\x09\x11\xb5\x0d\x29\x21\x2c\x57\x79\xcc\xf9\x67"
           "\xc6\x95\x0b\x40\x03\x3d\xb6\xc7\x7a\x92\xa9\x02\x0b\x7f\xa7\xdc\x9a\xbd\xc2\x03",
           60)}};
  for (const auto& example : examples) {
    const std::string& data = example.second;
    const size_t size = example.first.size();
    std::string result;
    CHECK(inflate(data.data(), data.size(), size, result));
    CHECK(result == example.first);
    CHECK_FALSE(inflate(data.data(), data.size(), size - 1, result));
    CHECK_FALSE(inflate(data.data(), data.size(), size + 1, result));
    CHECK_FALSE(inflate(data.data(), data.size() - 1, size, result));
  }
  std::string result;
  CHECK_FALSE(inflate("\x4b\x4c", 2, size_t{1} << 30, result));
  CHECK(result.capacity() < 1000);
}
