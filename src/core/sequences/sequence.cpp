#include "core/sequences/sequence.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <tuple>

namespace seqlift {

namespace {

// Keeps the earlier of two places, sequences first.
void keep_first(std::optional<OneHotViolation>& first, const OneHotViolation& found) {
  const auto place = [](const OneHotViolation& v) { return std::tie(v.sequence, v.position); };
  if (!first || place(found) < place(*first)) {
    first = found;
  }
}

}  // namespace

Alphabet::Alphabet(const std::string& letters, const std::string& ignored, bool fold_case) {
  code_of_.fill(foreign);
  const auto set = [&](char letter, Code code) {
    const auto byte = static_cast<unsigned char>(letter);
    code_of_[byte] = code;
    if (fold_case) {
      code_of_[static_cast<unsigned char>(std::tolower(byte))] = code;
      code_of_[static_cast<unsigned char>(std::toupper(byte))] = code;
    }
  };
  for (std::size_t i = 0; i < letters.size(); ++i) {
    set(letters[i], static_cast<Code>(i));
  }
  for (const char letter : ignored) {
    set(letter, static_cast<Code>(letters.size()));
  }
}

std::size_t Alphabet::encode(const char* text, std::size_t length, Code* codes) const {
  for (std::size_t i = 0; i < length; ++i) {
    codes[i] = code_of_[static_cast<unsigned char>(text[i])];
    if (codes[i] == foreign) {
      return i;
    }
  }
  return length;
}

std::string decode(const Code* codes, std::size_t length, const std::string& letters,
                   char unknown) {
  std::string text(length, unknown);
  for (std::size_t i = 0; i < length; ++i) {
    if (codes[i] < letters.size()) {
      text[i] = letters[codes[i]];
    }
  }
  return text;
}

OneHotReport check_one_hot(const double* values, const OneHotOptions& options) {
  const std::size_t n = options.n_sequences;
  OneHotReport report;
  std::vector<double> sums(n);
  for (std::size_t position = 0; position < options.length; ++position) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t channel = 0; channel < options.n_channels; ++channel) {
      const double* const row = values + n * (channel + options.n_channels * position);
      const bool checked = channel < options.n_checked;
      for (std::size_t i = 0; i < n; ++i) {
        const double value = row[i];
        if (!std::isfinite(value)) {
          keep_first(report.not_finite, {i, position, value});
        } else if (checked && value != 0.0 && value != 1.0) {
          keep_first(report.not_binary, {i, position, value});
        }
        sums[i] += checked ? value : 0.0;
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      const bool right = sums[i] == 1.0 || (options.allow_unknown && sums[i] == 0.0);
      if (!right && std::isfinite(sums[i])) {
        keep_first(report.wrong_sum, {i, position, sums[i]});
      }
    }
  }
  return report;
}

void codes_from_one_hot(const double* values, const OneHotOptions& options, Code* codes) {
  const std::size_t n = options.n_sequences;
  std::fill_n(codes, n * options.length, static_cast<Code>(options.n_checked));
  for (std::size_t position = 0; position < options.length; ++position) {
    for (std::size_t channel = 0; channel < options.n_checked; ++channel) {
      const double* const row = values + n * (channel + options.n_channels * position);
      for (std::size_t i = 0; i < n; ++i) {
        if (row[i] == 1.0) {
          codes[i * options.length + position] = static_cast<Code>(channel);
        }
      }
    }
  }
}

void one_hot_from_codes(const CodesView& sequences, std::size_t n_channels, double* values) {
  // Neighbours in the output are different sequences, neighbours in the input are positions of
  // one sequence: blocks of sequences keep the input's cache lines until they are used up.
  constexpr std::size_t block = 256;
  const std::size_t n = sequences.count;
  for (std::size_t first = 0; first < n; first += block) {
    const std::size_t last = std::min(n, first + block);
    for (std::size_t position = 0; position < sequences.length; ++position) {
      double* const column = values + n * n_channels * position;
      for (std::size_t i = first; i < last; ++i) {
        const Code code = sequences.sequence(i)[position];
        if (code < n_channels) {
          column[i + n * code] = 1.0;
        }
      }
    }
  }
}

}  // namespace seqlift
