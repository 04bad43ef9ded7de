#include <algorithm>
#include <string>
#include <vector>

#include "catch.h"
#include "core/sequences/edits.h"

using seqlift::Code;
using seqlift::CodesView;

namespace {

// Sequences of one length, as codes, that live as long as the test needs them.
struct Sequences {
  explicit Sequences(const std::vector<std::string>& texts)
      : length(texts.front().size()), count(texts.size()), codes(length * count) {
    const seqlift::Alphabet alphabet("ACGT", "N", false);
    for (std::size_t i = 0; i < count; ++i) {
      REQUIRE(alphabet.encode(texts[i].data(), length, codes.data() + i * length) == length);
    }
  }
  CodesView view() const { return {codes.data(), length, count}; }

  std::size_t length;
  std::size_t count;
  std::vector<Code> codes;
};

std::vector<std::string> texts_of(const std::vector<Code>& codes, std::size_t length) {
  std::vector<std::string> texts;
  for (std::size_t first = 0; first < codes.size(); first += length) {
    texts.push_back(seqlift::decode(codes.data() + first, length, "ACGT"));
  }
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a substituted motif replaces, and its unknown bases keep, what stands there") {
  const Sequences sequences({"AAAAAAA", "CCNCCCC"});
  std::vector<Code> edited(14);
  seqlift::substitute_motif(sequences.view(), Sequences({"GNT"}).view(), 2, edited.data());
  CHECK(texts_of(edited, 7) == Texts{"AAGATAA", "CCGCTCC"});
}

TEST_CASE("each sequence can have a motif of its own") {
  const Sequences sequences({"AAAA", "CCCC"});
  const Sequences motifs({"GG", "TN"});
  std::vector<Code> edited(8);
  seqlift::substitute_motif(sequences.view(), motifs.view(), 1, edited.data());
  CHECK(texts_of(edited, 4) == Texts{"AGGA", "CTCC"});
  std::vector<Code> longer(12);
  seqlift::insert_motif(sequences.view(), motifs.view(), 1, longer.data());
  CHECK(texts_of(longer, 6) == Texts{"AGGAAA", "CTNCCC"});
}

TEST_CASE("an insertion can stand first and last, and a deletion takes it out again") {
  const Sequences sequences({"ACGT", "TTNA"});
  const Sequences motif({"GGG"});
  for (const std::size_t start : {0U, 2U, 4U}) {
    std::vector<Code> longer(14);
    seqlift::insert_motif(sequences.view(), motif.view(), start, longer.data());
    CHECK(texts_of(longer, 7)[0] == std::string("ACGT").insert(start, "GGG"));
    std::vector<Code> back(8);
    seqlift::delete_region({longer.data(), 7, 2}, {start, start + 3}, back.data());
    CHECK(texts_of(back, 4) == Texts{"ACGT", "TTNA"});
  }
}

TEST_CASE("a deletion of everything leaves nothing and writes nothing") {
  const Sequences sequences({"ACGT"});
  Code guard = 77;
  seqlift::delete_region(sequences.view(), {0, 4}, &guard);
  CHECK(guard == 77);
}

TEST_CASE("a randomised region follows its sequence's own probabilities, the rest stays") {
  const Sequences sequences({"AAAAAAAA", "NCCCCCCN"});
  const std::vector<std::vector<double>> cumulative{{0.0, 0.0, 1.0, 1.0}, {0.0, 0.0, 0.0, 1.0}};
  std::vector<Code> out(2 * 2 * 8);
  seqlift::RandomState random(1);
  seqlift::randomize_region(sequences.view(), {2, 5}, 2, cumulative, random, out.data());
  CHECK(texts_of(out, 8) == Texts{"AAGGGAAA", "NCTTTCCN", "AAGGGAAA", "NCTTTCCN"});
}

TEST_CASE("a randomised region takes the stream repetition by repetition") {
  const Sequences sequences({"AAAA", "CCCC"});
  const std::vector<std::vector<double>> cumulative{{0.25, 0.5, 0.75, 1.0}};
  std::vector<Code> out(3 * 2 * 4);
  seqlift::RandomState random(9);
  seqlift::randomize_region(sequences.view(), {0, 4}, 3, cumulative, random, out.data());
  std::vector<Code> expected(out.size());
  seqlift::RandomState again(9);
  seqlift::random_letters(again, cumulative[0], expected.size(), expected.data());
  CHECK(out == expected);
}
