#include "catch.h"
#include "core/files/script_archive.h"
#include "files.h"

using files::PickleWriter;
using files::says;

namespace {

// Of an archive with this pickle and one storage of six floats.
std::string script_problem(const std::string& pickle) {
  const std::string file = files::zip(
      {files::stored("net/constants.pkl", PickleWriter().raw(")").done()),
       files::stored("net/data.pkl", pickle), files::stored("net/data/0", files::floats(6))});
  return files::problem([&] { seqlift::check_script_archive({files::bytes_of(file), "a.pt"}); });
}

// An object with one attribute, as LibTorch pickles a module.
std::string module_with(const std::string& key, int64_t elements, int64_t offset,
                        const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  return PickleWriter()
      .global("__torch__", "Net")
      .raw(")\x81}(")
      .text("weight")
      .tensor(key, elements, offset, sizes, strides)
      .raw("ub")
      .done();
}

}  // namespace

TEST_CASE("a module's tensors lie within their storages") {
  CHECK(script_problem(module_with("0", 6, 0, {2, 3}, {3, 1})).empty());
  CHECK(script_problem(module_with("0", 6, 2, {2, 2}, {2, 1})).empty());
  CHECK(script_problem(module_with("0", 0, 0, {0, 3}, {3, 1})).empty());
  // Expanded: each number stands there once.
  CHECK(script_problem(module_with("0", 3, 0, {100, 3}, {0, 1})).empty());

  CHECK(says(script_problem(module_with("0", 6, 0, {3, 3}, {3, 1})), "reaches beyond its data"));
  CHECK(says(script_problem(module_with("0", 6, 1, {2, 3}, {3, 1})), "reaches beyond its data"));
  CHECK(says(script_problem(module_with("0", 6, -1, {2}, {1})), "reaches beyond its data"));
  CHECK(says(script_problem(module_with("0", 6, 0, {2}, {-1})), "strides that lead out"));
  CHECK(says(script_problem(module_with("0", 6, 0, {-2}, {1})), "negative size"));
  CHECK(says(script_problem(module_with("0", 7, 0, {2, 3}, {3, 1})),
             "wants 7 numbers of the storage \"0\", which holds 6"));
  CHECK(says(script_problem(module_with("1", 6, 0, {2, 3}, {3, 1})), "no member \"net/data/1\""));
}

TEST_CASE("a module's pickle puts nothing where nothing can be") {
  const auto object = [](const std::string& opcodes) {
    return PickleWriter().global("__torch__", "Net").raw(")\x81" + opcodes).done();
  };
  CHECK(script_problem(object("}b")).empty());
  CHECK(says(script_problem(object("}(K\x01ub")), "a key without a value"));
  CHECK(says(script_problem(object("bb")), "where it cannot be"));
  CHECK(says(script_problem(object("tb")), "takes more than there is"));
  // LibTorch would make room for four thousand million objects.
  CHECK(says(script_problem(object("}r" + files::little(0xffffffff, 4) + "b")), "counts further"));
  CHECK(says(script_problem(PickleWriter().raw("K\x01)R").done()), "calls what cannot be called"));
  CHECK(says(script_problem(PickleWriter().raw("(").text("a").raw("tQ").done()),
             "a tensor is made of"));
}

TEST_CASE("what torch.save() wrote is no TorchScript") {
  const std::string file = files::torch_zip(files::state_dict_pickle());
  CHECK(says(files::problem([&] {
               seqlift::check_script_archive({files::bytes_of(file), "a.pth"});
             }),
             "no \"constants.pkl\""));
}
