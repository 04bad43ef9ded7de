// What motifs are discovered in: sequences of one length with the hypothetical contributions of
// every letter at every position, and spans of them (seqlets), read in either direction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace seqlift {

constexpr std::size_t n_letters = 4;

// A span of a sequence on its own strand, from `start` (counted from 0) to before `end`.
struct MotifSeqlet {
  std::uint32_t example = 0;
  std::int32_t start = 0;
  std::int32_t end = 0;
  bool reversed = false;  // it is read as its reverse complement

  std::size_t length() const { return static_cast<std::size_t>(end - start); }
  bool same_place(const MotifSeqlet& other) const {
    return example == other.example && start == other.start && end == other.end;
  }
};

// Sequences come one by one; those without seqlets need not come at all. Scores are kept in single
// precision, as networks compute them.
class ScoredRegions {
 public:
  ScoredRegions(std::size_t examples, std::size_t length)
      : row_of_(examples, -1), length_(length) {}

  // `codes` has one byte a position (unknown letters: 4 or more), `scores` four numbers a position.
  void add(std::size_t example, const std::vector<std::uint8_t>& codes,
           const std::vector<float>& scores);

  std::size_t length() const { return length_; }
  std::size_t examples() const { return row_of_.size(); }
  bool holds(std::size_t example) const { return example < examples() && row_of_[example] >= 0; }
  bool contains(const MotifSeqlet& seqlet) const {
    return seqlet.start >= 0 && seqlet.end <= static_cast<std::int32_t>(length_);
  }

  // Letter at position `i` of the seqlet as it is read; 4 when it is not known.
  std::uint8_t letter(const MotifSeqlet& seqlet, std::size_t i) const {
    const std::uint8_t code = codes_[at(seqlet, i)];
    return code >= n_letters ? static_cast<std::uint8_t>(n_letters)
           : seqlet.reversed ? static_cast<std::uint8_t>(3 - code)
                             : code;
  }
  double hypothetical(const MotifSeqlet& seqlet, std::size_t i, std::size_t base) const {
    return static_cast<double>(
        hypothetical_[at(seqlet, i) * n_letters + (seqlet.reversed ? 3 - base : base)]);
  }
  // Of the letter that is there; 0 when it is not known.
  double contribution(const MotifSeqlet& seqlet, std::size_t i) const {
    const std::size_t place = at(seqlet, i);
    const std::uint8_t code = codes_[place];
    return code < n_letters ? static_cast<double>(hypothetical_[place * n_letters + code]) : 0;
  }
  // Sum of the sizes of the contributions.
  double importance(const MotifSeqlet& seqlet) const;

 private:
  std::size_t at(const MotifSeqlet& seqlet, std::size_t i) const {
    const auto row = static_cast<std::size_t>(row_of_[seqlet.example]);
    const std::size_t position = seqlet.reversed ? static_cast<std::size_t>(seqlet.end) - 1 - i
                                                 : static_cast<std::size_t>(seqlet.start) + i;
    return row * length_ + position;
  }

  std::vector<float> hypothetical_;  // [rows, length, 4]
  std::vector<std::uint8_t> codes_;  // [rows, length]
  std::vector<std::int32_t> row_of_;
  std::size_t length_;
};

// The other strand of the same place.
MotifSeqlet turned(MotifSeqlet seqlet);

// `left` and `right` positions more (or less, where negative) as the seqlet is read.
MotifSeqlet extended(MotifSeqlet seqlet, std::int32_t left, std::int32_t right);

// Seqlets in falling order of importance; equals stay in order.
std::vector<MotifSeqlet> by_importance(const ScoredRegions& regions,
                                       std::vector<MotifSeqlet> seqlets);

// The share of each letter among all positions of the seqlets.
std::vector<double> letter_shares(const ScoredRegions& regions,
                                  const std::vector<MotifSeqlet>& seqlets);

}  // namespace seqlift
