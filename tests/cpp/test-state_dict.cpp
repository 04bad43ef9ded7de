// The files of torch.save() and safetensors, made in memory; those that Python wrote are read in
// tests/testthat/test-model_state_dict.R.

#include <functional>

#include "catch.h"
#include "core/base/error.h"
#include "core/files/state_dict.h"
#include "core/numeric/tensor_functions.h"
#include "files.h"

using namespace seqlift;
using files::PickleWriter;
using files::says;

namespace {

StateDict read(const std::string& file, const std::string& prefix = "") {
  return read_state_dict(files::bytes_of(file), "a.pth", prefix);
}

std::string file_problem(const std::string& file) {
  return files::problem([&]() { read(file); });
}

// One tensor "x" that views storage "0" (1 to 6) of an archive.
std::string one_tensor(int64_t elements, int64_t offset, const std::vector<int64_t>& sizes,
                       const std::vector<int64_t>& strides) {
  return files::torch_zip(PickleWriter()
                              .raw("}")
                              .text("x")
                              .tensor("0", elements, offset, sizes, strides)
                              .raw("s")
                              .done());
}

std::string one_entry(const std::string& entry, const std::string& data = files::floats(6)) {
  return files::safetensors("{\"x\":" + entry + "}", data);
}

}  // namespace

TEST_CASE("one state dict is the same in every format") {
  const std::vector<std::pair<std::string, std::string>> formats{
      {"PyTorch", files::torch_zip(files::state_dict_pickle())},
      {"PyTorch pickle", files::torch_pickle(files::state_dict_pickle())},
      {"PyTorch tar", files::torch_tar()},
      {"safetensors", files::safetensors()}};
  for (const auto& format : formats) {
    INFO(format.first);
    const StateDict state_dict = read(format.second);
    CHECK(state_dict.format == format.first);
    REQUIRE(state_dict.tensors.size() == 2);
    CHECK(state_dict.tensors[0].first == "weight");
    CHECK(at::equal(state_dict.find("weight"), at::arange(1, 7, at::kFloat).view({2, 3})));
    CHECK(at::equal(state_dict.find("bias"), at::arange(1, 3, at::kFloat)));
    CHECK_FALSE(state_dict.find("weigh").defined());
  }
}

TEST_CASE("tensors outlive everything that was read, and may be written to") {
  at::Tensor weight;
  { weight = read(files::safetensors()).find("weight"); }
  weight.add_(1);
  CHECK(weight.sum().item<float>() == 27);
}

TEST_CASE("strides and offsets are those of the tensor") {
  const auto x = [](const std::string& file) { return read(file).find("x"); };
  const at::Tensor all = at::arange(1, 7, at::kFloat);
  CHECK(at::equal(x(one_tensor(6, 0, {3, 2}, {1, 3})), all.view({2, 3}).t()));
  CHECK(at::equal(x(one_tensor(6, 2, {2}, {3})), at::tensor({3.0f, 6.0f})));
  CHECK(x(one_tensor(6, 5, {}, {})).item<float>() == 6);
  CHECK(at::equal(x(one_tensor(6, 1, {1000}, {0})), at::full({1000}, 2.0f)));
  CHECK(x(one_tensor(6, 0, {0, 3}, {3, 1})).sizes() == at::IntArrayRef({0, 3}));
}

TEST_CASE("a tensor that leaves its storage is refused") {
  const int64_t most = INT64_MAX;
  CHECK(file_problem(one_tensor(6, 0, {6}, {1})).empty());
  CHECK(says(file_problem(one_tensor(6, 0, {7}, {1})), "\"x\" reaches beyond its data"));
  CHECK(says(file_problem(one_tensor(6, 1, {6}, {1})), "reaches beyond"));
  CHECK(says(file_problem(one_tensor(6, -1, {2}, {1})), "reaches beyond"));
  CHECK(says(file_problem(one_tensor(6, most, {2}, {1})), "reaches beyond"));
  CHECK(says(file_problem(one_tensor(6, 0, {2}, {-1})), "strides"));
  CHECK(
      says(file_problem(one_tensor(6, 0, {most, 2}, {1, 1})), "more elements than can be counted"));
  CHECK(says(file_problem(one_tensor(6, 0, {2, 3}, {most, most})), "strides"));
  CHECK(says(file_problem(one_tensor(6, 0, {2}, {most})), "strides"));
  CHECK(says(file_problem(one_tensor(6, 0, {2}, {most - 1})), "reaches beyond"));
  CHECK(says(file_problem(one_tensor(6, 0, {-2}, {1})), "negative"));
  CHECK(says(file_problem(one_tensor(6, 0, {most, most, 0}, {0, 0, 0})), "counted"));
  CHECK(says(file_problem(one_tensor(6, 0, {int64_t{1} << 40}, {0})), "repeats 6 numbers"));
  CHECK(says(file_problem(one_tensor(6, 0, {2}, {1, 1})), "strides of 2"));
  CHECK(
      says(file_problem(one_tensor(6, 0, std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1))),
           "65 dimensions"));
}

TEST_CASE("a storage that is missing or of another size is refused") {
  CHECK(says(file_problem(one_tensor(7, 0, {6}, {1})), "has 6 elements instead of 7"));
  const std::string pickle = files::state_dict_pickle();
  const std::string other =
      files::replaced(pickle, "X" + files::little(1, 4) + "1", "X" + files::little(1, 4) + "7");
  CHECK(says(file_problem(files::torch_zip(other)), "no member \"net/data/7\""));
  CHECK(says(file_problem(files::torch_pickle(other)), "used nowhere"));
  const std::string longer = files::torch_pickle(pickle);
  CHECK(says(file_problem(longer.substr(0, longer.size() - 1)), "cut short"));
  CHECK(says(file_problem(longer + "x"), "1 bytes are left over"));
}

TEST_CASE("a legacy storage may be a view of another") {
  // What a storage is a view of comes as (key of the view, first element, elements).
  const auto body = [](const PickleWriter& pickle) {
    const std::string whole = pickle.done();
    return whole.substr(2, whole.size() - 3);
  };
  const std::string view = body(PickleWriter().raw("(").text("v").integer(4).integer(2).raw("ttQ"));
  std::string pickle = files::state_dict_pickle();
  pickle = files::replaced(pickle, "tQ", view);
  pickle = files::replaced(pickle, body(PickleWriter().tuple({2, 3}).tuple({3, 1})),
                           body(PickleWriter().tuple({2}).tuple({1})));
  const StateDict state_dict = read(files::torch_pickle(pickle));
  CHECK(at::equal(state_dict.find("weight"), at::tensor({5.0f, 6.0f})));
  CHECK(at::equal(state_dict.find("bias"), at::tensor({1.0f, 2.0f})));
}

TEST_CASE("of a checkpoint the state dict is read; dicts inside dicts are joined by dots") {
  const auto names = [](const std::string& pickle) {
    std::vector<std::string> all;
    for (const auto& one : read(files::torch_zip(pickle)).tensors) {
      all.push_back(one.first);
    }
    return all;
  };
  const auto nested = [](const std::string& key) {
    PickleWriter pickle;
    pickle.raw("}(").text("epoch").integer(3).text("best").tensor("1", 2, 0, {2}, {1});
    pickle.text(key).raw("}(").text("a").tensor("0", 6, 0, {6}, {1});
    pickle.text("b").raw("](").tensor("1", 2, 0, {2}, {1}).raw("N").tensor("1", 2, 0, {1}, {1});
    return pickle.raw("euu").done();
  };
  const std::vector<std::string> inner{"a", "b.0", "b.2"};
  CHECK(names(nested("state_dict")) == inner);
  CHECK(names(nested("model_state_dict")) == inner);
  CHECK(names(nested("model")) == inner);
  CHECK(names(nested("net")) == inner);
  CHECK(names(nested("layers")) ==
        std::vector<std::string>{"best", "layers.a", "layers.b.0", "layers.b.2"});
}

namespace {

// {"key": {"a": tensor, "b": tensor}, ...}
std::string dicts(const std::vector<std::string>& keys, const std::string& name = "a") {
  PickleWriter pickle;
  pickle.raw("}(");
  for (const std::string& key : keys) {
    pickle.text(key).raw("}(").text(name).tensor("0", 6, 0, {6}, {1}).raw("u");
  }
  return files::torch_zip(pickle.raw("u").done());
}

std::vector<std::string> names_of(const StateDict& state_dict) {
  std::vector<std::string> names;
  for (const auto& one : state_dict.tensors) {
    names.push_back(one.first);
  }
  return names;
}

std::string kind_of(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    return error.kind() + ": " + error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("two state dicts of the same names are told of, and chosen by the prefix") {
  const std::string both = dicts({"model", "ema"});
  const std::string message = kind_of([&] { read(both); });
  CHECK(says(message, "state_dict: "));
  CHECK(says(message, "\"model\""));
  CHECK(says(message, "\"ema\""));
  for (const char* prefix : {"ema", "ema."}) {
    CHECK(names_of(read(both, prefix)) == std::vector<std::string>{"a"});
  }
  CHECK(says(kind_of([&] { read(both, "ema.b"); }), "state_dict: No name"));
  CHECK(says(kind_of([&] { read(dicts({"first", "second"}), "third"); }), "state_dict: No name"));
  // Parts of one model, by names that say nothing: all of it.
  CHECK(names_of(read(dicts({"first", "second"}))) ==
        std::vector<std::string>{"first.a", "second.a"});
  // An optimizer is no model.
  CHECK(names_of(read(dicts({"model", "optimizer", "lr_scheduler"}))) ==
        std::vector<std::string>{"a"});
}

TEST_CASE("what wrappers put into names is left out and told of") {
  const auto read_names = [](const std::vector<std::string>& keys, std::string& note) {
    PickleWriter pickle;
    pickle.raw("}(");
    for (const std::string& key : keys) {
      pickle.text(key).tensor("0", 6, 0, {6}, {1});
    }
    const StateDict found = read(files::torch_zip(pickle.raw("u").done()));
    note = found.notes.empty() ? "" : found.notes[0];
    return names_of(found);
  };
  using Names = std::vector<std::string>;
  std::string note;
  CHECK(read_names({"module.a", "module.b"}, note) == Names{"a", "b"});
  CHECK(note == "`module.` in the names is left out.");
  CHECK(read_names({"n_averaged", "module.a"}, note) == Names{"a"});
  CHECK(note == "`module.` in the names is left out, and so is `n_averaged`.");
  CHECK(read_names({"_orig_mod.a", "_orig_mod.b"}, note) == Names{"a", "b"});
  CHECK(read_names({"module._orig_mod.module.a"}, note) == Names{"a"});
  CHECK(read_names({"head._orig_mod.a", "body.b"}, note) == Names{"head.a", "body.b"});
  // Names that are one without it, and names that only look so, stay.
  CHECK(read_names({"_orig_mod.a", "a"}, note) == Names{"_orig_mod.a", "a"});
  CHECK(read_names({"module.a", "b"}, note) == Names{"module.a", "b"});
  CHECK(read_names({"my_orig_mod.a", "n_averaged"}, note) == Names{"my_orig_mod.a", "n_averaged"});
  CHECK(note.empty());
}

TEST_CASE(
    "unknown objects beside the weights are passed over, tensors of an unknown sort are not") {
  const auto with = [](const std::function<void(PickleWriter&)>& write) {
    PickleWriter pickle;
    pickle.raw("}(").text("a").tensor("0", 6, 0, {6}, {1}).text("note");
    write(pickle);
    return files::torch_zip(pickle.raw("u").done());
  };
  const StateDict found = read(
      with([](PickleWriter& pickle) { pickle.global("os", "system").text("ls").raw("\x85R"); }));
  CHECK(names_of(found) == std::vector<std::string>{"a"});
  REQUIRE(found.notes.size() == 1);
  CHECK(says(found.notes[0], "note (os.system)"));
  CHECK(says(file_problem(with([](PickleWriter& pickle) {
               pickle.global("torch._utils", "_rebuild_sparse_tensor").raw(")R");
             })),
             "_rebuild_sparse_tensor"));
  // Alone they are no weights.
  for (const std::string& pickle :
       {PickleWriter().global("net", "Net").raw(")\x81}b").done(),
        PickleWriter().raw("}").text("model").global("net", "Net").raw(")\x81}bs").done()}) {
    CHECK(says(file_problem(files::torch_zip(pickle)), "\"net.Net\""));
  }
  // Keys that no name can be made of, where no tensor is below.
  CHECK(names_of(read(with([](PickleWriter& pickle) { pickle.raw("}K\x01\x85}s"); }))) ==
        std::vector<std::string>{"a"});
  CHECK(says(file_problem(with([](PickleWriter& pickle) {
               pickle.raw("}K\x01\x85").tensor("0", 6, 0, {6}, {1}).raw("s");
             })),
             "neither text nor a number"));
}

TEST_CASE("of a whole module the state dict is read, with its classes and settings") {
  for (const std::string& file :
       {files::torch_zip(files::module_pickle()), files::torch_pickle(files::module_pickle())}) {
    const StateDict dict = read_state_dict(files::bytes_of(file), "a.pt", "");
    REQUIRE(dict.tensors.size() == 2);
    CHECK(dict.tensors[0].first == "weight");
    CHECK(dict.tensors[1].first == "inner.bias");
    REQUIRE(dict.modules.size() == 2);
    CHECK(dict.modules[0].class_name == "net.Net");
    CHECK(dict.modules[1].path == "inner");
    CHECK(find_number(dict.modules[0].settings, "trimming", 0) == 5);
    CHECK(find_module(dict.modules, {"inner"}, "") == &dict.modules[0]);
  }
}

TEST_CASE("a module that holds itself is refused") {
  PickleWriter itself;
  itself.global("net", "Net").raw(")\x81q\x01}(").text("_parameters").raw("}").text("_modules");
  itself.raw("}").text("inner").raw(
      "h\x01"
      "su"
      "b");
  CHECK(says(file_problem(files::torch_zip(itself.done())), "hold themselves"));
}

TEST_CASE("containers that hold themselves, or each other again and again, are refused") {
  CHECK(says(file_problem(files::torch_zip(PickleWriter()
                                               .raw("]q\x01h\x01"
                                                    "a")
                                               .done())),
             "hold themselves"));
  // Each list holds the one before it twice: 2^60 tensors.
  PickleWriter pickle;
  pickle.raw("]").tensor("0", 6, 0, {6}, {1}).raw("aq").raw("\x01");
  for (int i = 0; i < 60; ++i) {
    pickle.raw(
        "](h\x01h\x01"
        "eq\x01");
  }
  CHECK(says(file_problem(files::torch_zip(pickle.done())), "hold themselves"));
  std::string deep;
  for (int i = 0; i < 100000; ++i) {
    deep = "]" + deep + "a";
  }
  CHECK_FALSE(
      file_problem(files::torch_zip("\x80\x02" + deep.substr(0, deep.size() - 1) + ".")).empty());
}

TEST_CASE("other files are told apart") {
  CHECK(says(file_problem("\x89HDF\r\n\x1a\n and so on"), "load_keras_model()"));
  CHECK(says(file_problem(files::zip(
                 {files::stored("m/constants.pkl", ""), files::stored("m/data.pkl", "")})),
             "load_model()"));
  CHECK(says(file_problem(files::zip({files::stored("photo.jpg", "")})), "without \"data.pkl\""));
  CHECK(says(file_problem(files::zip({})), "empty"));
  CHECK(says(file_problem(""), "none of the files"));
  CHECK(says(file_problem("Some text that is longer than eight bytes."), "none of the files"));
  CHECK(says(file_problem(PickleWriter().raw("}").done()), "pickle of another kind"));
  CHECK(says(file_problem(files::torch_zip(PickleWriter().raw("}").done())), "holds no tensors"));
  CHECK(
      says(file_problem(files::torch_zip(PickleWriter().integer(3).done())), "no dict of tensors"));
  CHECK(says(file_problem(files::zip({files::stored("m/data.pkl", files::state_dict_pickle()),
                                      files::stored("m/byteorder", "big")})),
             "big-endian"));
  CHECK(says(file_problem(files::replaced(files::torch_pickle(files::state_dict_pickle()),
                                          "little_endian\x88", "little_endian\x89")),
             "big-endian"));
  CHECK_THROWS_AS(read_state_dict("no such file"), Error);
  CHECK_THROWS_AS(read_state_dict("/"), Error);
  CHECK_THROWS_AS(read_state_dict("/dev/zero"), Error);
}

TEST_CASE("safetensors whose header says what cannot be are refused") {
  const std::string good = "{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0,24]}";
  CHECK(file_problem(one_entry(good)).empty());
  CHECK(says(file_problem(one_entry(files::replaced(good, "[6]", "[7]"))), "reaches beyond"));
  CHECK(says(file_problem(one_entry(files::replaced(good, "[6]", "[5]"))), "do not fit its shape"));
  CHECK(says(file_problem(one_entry(files::replaced(good, "24", "20"))), "take 20 bytes of 24"));
  CHECK(says(file_problem(one_entry(files::replaced(good, "[0,", "[4,"))), "does not begin"));
  CHECK(
      says(file_problem(one_entry(files::replaced(good, "24", "9223372036854775807"))), "take 92"));
  CHECK(says(file_problem(one_entry(files::replaced(good, "F32", "F8_E4M3"))),
             "\"F8_E4M3\", which is not"));
  CHECK(says(file_problem(one_entry(files::replaced(good, "[6]", "[-6]"))), "negative"));
  CHECK(says(file_problem(one_entry(files::replaced(good, "[6]", "[6.5]"))), "fraction"));
  CHECK(says(file_problem(one_entry(files::replaced(good, "[6]", "[[6]]"))),
             "a list where there is none"));
  CHECK(says(file_problem(one_entry(files::replaced(good, ",\"shape\":[6]", ""))),
             "lacks type, shape"));
  CHECK(says(file_problem(one_entry("{\"a\":{\"b\":{}}}")), "an object where there is none"));
  CHECK(says(file_problem(one_entry("5")), "a number where there is none"));
  CHECK(says(
      file_problem(files::safetensors("{\"x\":" + good + ",\"x\":" + good + "}", files::floats(6))),
      "\"x\" twice"));
  CHECK(says(file_problem(files::safetensors("{\"x\":" + good, files::floats(6))), "no JSON"));
  CHECK(says(file_problem(files::safetensors("{" + std::string(1000, '['), "")), "no JSON"));
  CHECK(says(file_problem(files::safetensors("{}", "")), "no tensors"));
  std::string long_header = one_entry(good);
  long_header[2] = '\x7f';
  CHECK_FALSE(file_problem(long_header).empty());
  CHECK(says(file_problem(one_entry(files::replaced(good, "[6]", "[2,9223372036854775807]"))),
             "counted"));
}

TEST_CASE("tensors at odd places and of every byte value are read") {
  // Eight bytes of length and a header of an odd length: the data are not aligned.
  const std::string header =
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"b\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[8,11]}}";
  for (const char* spaces : {"", " ", "  "}) {
    const StateDict state_dict =
        read(files::safetensors(header + spaces, files::floats(2) + std::string("\0\1\7", 3)));
    CHECK(at::equal(state_dict.find("x"), at::tensor({1.0f, 2.0f})));
    CHECK(at::equal(state_dict.find("b").to(at::kLong), at::tensor({0, 1, 1}, at::kLong)));
  }
}

TEST_CASE("safetensors are known whatever the length of their header looks like") {
  const std::string header = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
  // As a pickle of protocol 1 or 2, a zip archive, text, a compressed file begins.
  for (const size_t length : {0x180, 0x280, 0x4b50, 0x0a58, 0x8b1f}) {
    const std::string file =
        files::safetensors(header + std::string(length - header.size(), ' '), files::floats(2));
    const StateDict state_dict = read(file);
    CHECK(state_dict.format == "safetensors");
    CHECK(at::equal(state_dict.find("x"), at::tensor({1.0f, 2.0f})));
  }
}

TEST_CASE("names that no model can have are refused") {
  const auto named = [](const std::string& name) {
    return file_problem(files::torch_zip(
        PickleWriter().raw("}").text(name).tensor("0", 6, 0, {6}, {1}).raw("s").done()));
  };
  CHECK(named("caf\xc3\xa9").empty());
  CHECK(named("\xf0\x9f\xa7\xac").empty());
  for (const std::string& name :
       {std::string("a\0b", 3), std::string("\xff"), std::string("\xc3"), std::string("\xc0\x80"),
        std::string("\xed\xa0\x80"), std::string("\xf4\x90\x80\x80"), std::string(1001, 'a')}) {
    CHECK(says(named(name), "not UTF-8 or too long"));
  }
}
