#include "core/motifs/tomtom_null.h"

#include <algorithm>

namespace seqlift {

namespace {

// Chances below this change no sum, and would cost more than all others once they are denormal.
constexpr double negligible = 1e-250;

// The distribution of the sum of two numbers, the second from x = `lowest` on, in space.next; `sum`
// is padded for it.
void convolve(std::vector<double>& sum, const double* share, std::size_t lowest, std::size_t n_bins,
              NullSpace& space) {
  std::size_t end = n_bins + 1;
  while (end > lowest && share[end - 1] == 0) {
    --end;
  }
  std::size_t begin = lowest;
  while (begin < end && share[begin] == 0) {
    ++begin;
  }
  const std::size_t n = sum.size();
  constexpr std::size_t taps = loops::tomtom_taps;
  const std::size_t padded = (n + taps - 1) / taps * taps;
  space.next.assign(padded + n_bins + taps, 0.0);
  for (double& chance : sum) {
    chance = chance < negligible ? 0 : chance;
  }
  sum.resize(padded, 0.0);
  if (begin < end) {
    const std::size_t m = end - begin;
    space.padded.assign(m + 2 * (taps - 1), 0.0);
    std::copy(share + begin, share + end, space.padded.begin() + (taps - 1));
    loops::convolve(sum.data(), padded, space.padded.data() + taps - 1, m,
                    space.next.data() + begin);
  }
  space.next.resize(n + n_bins);
}

}  // namespace

BestScoreNull::BestScoreNull(const QueryScores& query, const std::vector<std::size_t>& widths,
                             NullSpace& space)
    : width_(query.width),
      n_bins_(query.n_bins),
      offset_(static_cast<std::size_t>(query.offset)),
      spans_(query.width * query.width),
      larger_(widths.empty() ? 0 : widths.back() + 1) {
  find_spans(query, widths, space);
  // Nothing is larger than what has not begun.
  const std::vector<double> none(width_ * (n_bins_ + offset_) + 1, 0.0);
  const auto overhangs = [&](std::size_t k, std::vector<double>& largest) {
    take_in(span(0, k), largest);
    take_in(span(width_ - 1 - k, width_ - 1), largest);
  };
  // Targets at least as wide as the query: what sticks out on both sides, then the query inside
  // once, and once more for every further position.
  std::vector<double> inside = none;
  std::size_t times = 0;
  for (const std::size_t width : widths) {
    std::vector<double>& largest = larger_[width];
    if (width < width_) {
      largest = none;
      for (std::size_t k = 0; k + width <= width_; ++k) {
        take_in(span(k, k + width - 1), largest);
      }
      for (std::size_t k = 0; k + 1 < width; ++k) {
        overhangs(k, largest);
      }
      continue;
    }
    if (times == 0) {
      for (std::size_t k = 0; k + 1 < width_; ++k) {
        overhangs(k, inside);
      }
    }
    for (; times < width - width_ + 1; ++times) {
      take_in(span(0, width_ - 1), inside);
    }
    largest = inside;
  }
  spans_.clear();
}

double BestScoreNull::p_value(std::size_t width, std::int64_t score) const {
  if (score <= 0) {
    return 1;
  }
  const std::vector<double>& larger = larger_[width];
  return larger[std::min(static_cast<std::size_t>(score) - 1, larger.size() - 1)];
}

void BestScoreNull::find_spans(const QueryScores& query, const std::vector<std::size_t>& widths,
                               NullSpace& space) {
  // No target can be aligned with more.
  const std::size_t longest = std::min(width_, widths.empty() ? 0 : widths.back());
  for (std::size_t first = 0; first < width_; ++first) {
    space.sum.assign(1, 1.0);
    double missing = 0;
    for (std::size_t last = first; last < std::min(width_, first + longest); ++last) {
      convolve(space.sum, query.share(last), query.compatible ? 1 : 0, n_bins_, space);
      space.sum.swap(space.next);
      missing += query.compatible ? (1 - missing) * query.share(last)[0] : 0;
      const bool is_needed = first == 0 || last == width_ - 1 ||
                             std::binary_search(widths.begin(), widths.end(), last - first + 1);
      if (!is_needed) {
        continue;
      }
      Span& span = spans_[first * width_ + last];
      span.first = first;
      span.last = last;
      span.larger.resize(space.sum.size());
      // From the top, so that small chances are exact.
      double larger = missing;
      for (std::size_t x = space.sum.size(); x > 0; --x) {
        span.larger[x - 1] = larger;
        larger += space.sum[x - 1];
      }
    }
  }
}

void BestScoreNull::take_in(const Span& span, std::vector<double>& largest) const {
  const std::size_t columns = span.last - span.first + 1;
  // Query columns outside of the span score 0.
  const std::size_t shift = offset_ * (width_ - columns);
  // From here on memelite takes the span's distribution to be complete, and adds what is missing as
  // it was before.
  const std::size_t complete = shift + n_bins_ * (span.last + 1);
  const double missing = span.larger.back();
  const double others = 1 - largest[complete - 1];
  std::fill(largest.begin(), largest.begin() + static_cast<std::ptrdiff_t>(shift), 1.0);
  const std::size_t end = std::min(complete, shift + span.larger.size());
  for (std::size_t i = shift; i < end; ++i) {
    largest[i] += span.larger[i - shift] * (1 - largest[i]);
  }
  if (missing == 0) {
    return;
  }
  for (std::size_t i = end; i < complete; ++i) {
    largest[i] += missing * (1 - largest[i]);
  }
  for (std::size_t i = complete; i < largest.size(); ++i) {
    largest[i] += missing * others;
  }
}

}  // namespace seqlift
