// Ten thousand damaged files of each format: each is read, or refused by an error of kind "file".
// Nothing else may happen, and no more memory be asked for than the file accounts for.
#include <sys/resource.h>
#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>
#include <vector>

#include "catch.h"
#include "core/base/error.h"
#include "core/files/state_dict.h"
#include "core/files/zip_reader.h"
#include "core/model/model.h"
#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"
#include "files.h"

using namespace seqlift;

namespace {

constexpr int n_files = 10000;

// The most this process has held, in bytes.
int64_t peak_memory() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

struct Outcome {
  int read = 0;
  int refused = 0;
  std::string other;  // an error of another kind
};

template <typename Body>
void count(Outcome& outcome, const Body& body) {
  try {
    body();
    ++outcome.read;
  } catch (const Error& error) {
    if (error.kind() == "file" || error.kind() == "model") {
      ++outcome.refused;
    } else {
      outcome.other = error.what();
    }
  } catch (const std::exception& error) {
    outcome.other = error.what();
  }
}

// `damage(draws)` makes one file.
template <typename Damage>
Outcome outcome_of(const Damage& damage) {
  files::Draws draws(6);
  Outcome outcome;
  for (int i = 0; i < n_files && outcome.other.empty(); ++i) {
    const Bytes file = files::bytes_of(damage(draws));
    count(outcome, [&] {
      for (const auto& one : read_state_dict(file, "a.pth", "").tensors) {
        // Every number can be looked at.
        if (one.second.numel() < 1000) {
          one.second.to(at::kComplexDouble).sum();
        }
      }
    });
  }
  return outcome;
}

std::string saved_model() {
  const auto numbers = [](at::IntArrayRef sizes) {
    return at::arange(at::prod(at::tensor(sizes)).item<int64_t>(), at::kFloat).view(sizes);
  };
  const ModulePart part = sequential({convolution_layer(numbers({2, 4, 3}), numbers({2})),
                                      activation_layer("ReLU", "torch.relu(input)"),
                                      pool_layer({"max", {2}, {}, {0}})});
  std::ostringstream stream;
  build_module(part).save(stream);
  return stream.str();
}

struct TemporaryFile {
  std::string path = "/tmp/seqlift-damaged-XXXXXX";
  TemporaryFile() { close(mkstemp(&path[0])); }
  ~TemporaryFile() { std::remove(path.c_str()); }
  void write(const std::string& content) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  }
};

}  // namespace

TEST_CASE("damaged files of state dicts are read or refused") {
  struct Format {
    const char* name;
    std::function<std::string(files::Draws&)> damage;
    int read;     // more than these are read for all the damage,
    int refused;  // and more than these refused
  };
  const auto damaged = [](const std::string& whole) {
    return [whole](files::Draws& draws) { return files::damaged(whole, draws); };
  };
  const std::string pickle = files::state_dict_pickle();
  const std::vector<Format> formats{
      // The CRC finds nearly all.
      {"zip", damaged(files::torch_zip(pickle)), -1, n_files / 2},
      {"zip with the CRC of the damaged pickle",
       [&](files::Draws& draws) { return files::torch_zip(files::damaged(pickle, draws)); }, 10,
       n_files / 2},
      {"zip of a checkpoint with objects that are not known",
       [&](files::Draws& draws) {
         return files::torch_zip(files::damaged(files::checkpoint_pickle(), draws));
       },
       10, n_files / 10},
      {"zip of a whole module",
       [&](files::Draws& draws) {
         return files::torch_zip(files::damaged(files::module_pickle(), draws));
       },
       10, n_files / 10},
      {"pickle of a whole module", damaged(files::torch_pickle(files::module_pickle())), 10,
       n_files / 2},
      {"pickle", damaged(files::torch_pickle(pickle)), 10, n_files / 2},
      {"tar", damaged(files::torch_tar()), 10, n_files / 10},
      {"safetensors", damaged(files::safetensors()), 10, n_files / 2}};
  for (const Format& format : formats) {
    INFO(format.name);
    const int64_t before = peak_memory();
    const Outcome outcome = outcome_of(format.damage);
    CHECK(outcome.other.empty());
    CHECK(outcome.read > format.read);
    CHECK(outcome.refused > format.refused);
    CHECK(peak_memory() - before < int64_t{256} << 20);
  }
}

TEST_CASE("damaged TorchScript files are loaded or refused") {
  const std::string whole = saved_model();
  const TemporaryFile file;
  file.write(whole);
  REQUIRE(load_model(file.path)->parameters == 26);
  const int64_t before = peak_memory();
  files::Draws draws(6);
  Outcome outcome;
  for (int i = 0; i < n_files && outcome.other.empty(); ++i) {
    file.write(files::damaged(whole, draws));
    count(outcome, [&] { load_model(file.path); });
  }
  CHECK(outcome.other.empty());
  CHECK(outcome.refused > n_files / 2);
  CHECK(peak_memory() - before < int64_t{256} << 20);
}

TEST_CASE("TorchScript files whose pickles are damaged, their CRCs right, are loaded or refused") {
  const ZipReader archive(files::bytes_of(saved_model()), "a.pt");
  std::vector<std::string> members;
  for (const std::string& name : archive.names()) {
    const Bytes bytes = archive.read_unfolded(name);
    members.emplace_back(bytes.data, bytes.size);
  }
  // Code is LibTorch's to parse.
  std::vector<size_t> pickles;
  for (size_t i = 0; i < members.size(); ++i) {
    if (archive.names()[i].find("pkl") != std::string::npos) {
      pickles.push_back(i);
    }
  }
  const TemporaryFile file;
  const auto write = [&](const std::vector<std::string>& contents) {
    std::vector<files::ZipMember> stored;
    for (size_t i = 0; i < contents.size(); ++i) {
      stored.push_back(files::stored(archive.names()[i], contents[i]));
    }
    file.write(files::zip(stored));
  };
  write(members);
  REQUIRE(load_model(file.path)->parameters == 26);
  const int64_t before = peak_memory();
  files::Draws draws(6);
  Outcome outcome;
  for (int i = 0; i < n_files && outcome.other.empty(); ++i) {
    std::vector<std::string> contents = members;
    const size_t which = pickles[draws.below(pickles.size())];
    contents[which] = files::damaged(contents[which], draws);
    write(contents);
    count(outcome, [&] { load_model(file.path); });
  }
  CHECK(outcome.other.empty());
  CHECK(outcome.refused > n_files / 2);
  CHECK(outcome.read > 10);
  CHECK(peak_memory() - before < int64_t{256} << 20);
}
