#include "core/motifs/patterns.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace seqlift {

namespace {

// Places are compared whichever way a seqlet is read. Lengths are the same in one pattern.
std::uint64_t place_of(const MotifSeqlet& seqlet) {
  return (static_cast<std::uint64_t>(seqlet.example) << 32) |
         static_cast<std::uint32_t>(seqlet.start);
}

std::vector<double> turned_over(const std::vector<double>& matrix) {
  return std::vector<double>(matrix.rbegin(), matrix.rend());
}

// Less its mean, of norm 1.
std::vector<double> centred(std::vector<double> values) {
  double sum = 0;
  for (const double value : values) {
    sum += value;
  }
  double squares = 0;
  for (double& value : values) {
    value -= sum / static_cast<double>(values.size());
    squares += value * value;
  }
  for (double& value : values) {
    value /= std::sqrt(squares) + 1e-7;
  }
  return values;
}

double norm(const double* values, std::size_t n) {
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i) {
    squares += values[i] * values[i];
  }
  return std::sqrt(squares);
}

// `second` slides over `first` with zeros around it; the cosine at each offset.
Alignment slide_cosine(const std::vector<double>& first, const std::vector<double>& second,
                       std::size_t padding) {
  std::vector<double> padded(padding * n_letters, 0.0);
  padded.insert(padded.end(), first.begin(), first.end());
  padded.insert(padded.end(), padding * n_letters, 0.0);
  Alignment best;
  best.similarity = -std::numeric_limits<double>::infinity();
  const double own = norm(second.data(), second.size());
  for (std::size_t o = 0; o + second.size() <= padded.size(); o += n_letters) {
    double product = 0;
    for (std::size_t i = 0; i < second.size(); ++i) {
      product += padded[o + i] * second[i];
    }
    const double sizes = own * norm(padded.data() + o, second.size());
    const double found = sizes > 0 ? product / sizes : 0;
    if (found > best.similarity) {
      best.similarity = found;
      best.offset = static_cast<std::int32_t>(o / n_letters) - static_cast<std::int32_t>(padding);
    }
  }
  return best;
}

std::size_t padding_for(std::size_t length, double min_overlap) {
  return static_cast<std::size_t>(std::ceil(static_cast<double>(length) * (1 - min_overlap)));
}

Alignment better(const Alignment& forward, Alignment reverse) {
  reverse.reversed = true;
  return reverse.similarity > forward.similarity ? reverse : forward;
}

Alignment align_means(const Pattern& first, const std::vector<double>& hypothetical,
                      const std::vector<double>& contributions, Likeness likeness,
                      double min_overlap) {
  const std::size_t padding = padding_for(contributions.size() / n_letters, min_overlap);
  if (likeness == Likeness::correlation) {
    const std::vector<double> along = centred(first.contributions());
    const std::vector<double> second = centred(contributions);
    return better(slide_cosine(along, second, padding),
                  slide_cosine(along, turned_over(second), padding));
  }
  const std::vector<float> along = scaled_tracks(first.hypothetical(), first.contributions());
  const std::vector<float> ahead = scaled_tracks(hypothetical, contributions);
  const std::vector<float> behind =
      scaled_tracks(turned_over(hypothetical), turned_over(contributions));
  return better(slide(along, ahead, padding), slide(along, behind, padding));
}

}  // namespace

Pattern::Pattern(const ScoredRegions& regions, const std::vector<MotifSeqlet>& seqlets)
    : regions_(&regions) {
  rebuild(seqlets);
}

std::vector<double> Pattern::mean(const std::vector<double>& sums) const {
  std::vector<double> means = sums;
  for (double& value : means) {
    value /= static_cast<double>(seqlets_.size());
  }
  return means;
}

std::vector<double> Pattern::sums() const {
  std::vector<double> sums;
  for (const MotifSeqlet& seqlet : seqlets_) {
    double sum = 0;
    for (std::size_t i = 0; i < seqlet.length(); ++i) {
      sum += regions_->contribution(seqlet, i);
    }
    sums.push_back(sum);
  }
  return sums;
}

bool Pattern::insert(const MotifSeqlet& seqlet) {
  const std::uint64_t place = place_of(seqlet);
  const auto at = std::lower_bound(places_.begin(), places_.end(), place);
  if (at != places_.end() && *at == place) {
    return false;
  }
  places_.insert(at, place);
  seqlets_.push_back(seqlet);
  const std::size_t length = seqlet.length();
  letters_.resize(length * n_letters, 0.0);
  hypothetical_.resize(length * n_letters, 0.0);
  contributions_.resize(length * n_letters, 0.0);
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint8_t letter = regions_->letter(seqlet, i);
    for (std::size_t base = 0; base < n_letters; ++base) {
      hypothetical_[i * n_letters + base] += regions_->hypothetical(seqlet, i, base);
    }
    if (letter < n_letters) {
      letters_[i * n_letters + letter] += 1;
      contributions_[i * n_letters + letter] += regions_->hypothetical(seqlet, i, letter);
    }
  }
  return true;
}

void Pattern::rebuild(const std::vector<MotifSeqlet>& seqlets) {
  const std::vector<MotifSeqlet> all = seqlets;  // may be our own
  seqlets_.clear();
  places_.clear();
  letters_.clear();
  hypothetical_.clear();
  contributions_.clear();
  for (const MotifSeqlet& seqlet : all) {
    insert(seqlet);
  }
}

void Pattern::extend(std::int32_t left, std::int32_t right) {
  if (left == 0 && right == 0) {
    return;
  }
  std::vector<MotifSeqlet> wider;
  for (const MotifSeqlet& seqlet : seqlets_) {
    const MotifSeqlet one = extended(seqlet, left, right);
    if (regions_->contains(one)) {
      wider.push_back(one);
    }
  }
  rebuild(wider);
}

void Pattern::add(MotifSeqlet seqlet, std::int32_t offset) {
  const auto own = static_cast<std::int32_t>(length());
  const std::int32_t end = offset + static_cast<std::int32_t>(seqlet.length());
  seqlet = extended(seqlet, std::max(offset, 0), std::max(own - end, 0));
  if (!regions_->contains(seqlet)) {
    return;
  }
  const std::int32_t left = std::max(-offset, 0);
  const std::int32_t right = std::max(end - own, 0);
  if (left > 0 || right > 0) {
    const std::vector<MotifSeqlet> before = seqlets_;
    extend(left, right);
    if (seqlets_.empty()) {
      rebuild(before);
      return;
    }
  }
  insert(seqlet);
}

Alignment align(const Pattern& first, const Pattern& second, Likeness likeness,
                double min_overlap) {
  return align_means(first, second.hypothetical(), second.contributions(), likeness, min_overlap);
}

void add_seqlets(const ScoredRegions& regions, Pattern& pattern,
                 const std::vector<MotifSeqlet>& seqlets, Likeness likeness, double min_overlap) {
  std::vector<double> hypothetical;
  std::vector<double> contributions;
  for (const MotifSeqlet& seqlet : seqlets) {
    leave_if_cancelled();
    hypothetical.clear();
    contributions.clear();
    for (std::size_t i = 0; i < seqlet.length(); ++i) {
      const std::uint8_t letter = regions.letter(seqlet, i);
      for (std::size_t base = 0; base < n_letters; ++base) {
        hypothetical.push_back(regions.hypothetical(seqlet, i, base));
        contributions.push_back(base == letter ? hypothetical.back() : 0);
      }
    }
    const Alignment place =
        align_means(pattern, hypothetical, contributions, likeness, min_overlap);
    pattern.add(place.reversed ? turned(seqlet) : seqlet, place.offset);
  }
}

std::vector<double> information_of(const std::vector<double>& letters,
                                   const std::vector<double>& background, double pseudocount) {
  double of_background = 0;
  for (const double share : background) {
    of_background += share > 0 ? share * std::log2(share) : 0;
  }
  std::vector<double> information;
  for (std::size_t i = 0; i + n_letters <= letters.size(); i += n_letters) {
    double sum = 0;
    for (std::size_t base = 0; base < n_letters; ++base) {
      sum += letters[i + base];
    }
    const double scale = std::abs(sum - 1) > 1e-5 && sum > 0 ? sum : 1;
    double bits = -of_background;
    for (std::size_t base = 0; base < n_letters; ++base) {
      const double share = letters[i + base] / scale;
      bits += share * std::log2((share + pseudocount) / (1 + n_letters * pseudocount));
    }
    information.push_back(bits);
  }
  return information;
}

void polish(Pattern& pattern, const std::vector<double>& background,
            const PatternOptions& options) {
  const auto flank = static_cast<std::int32_t>(options.flank);
  pattern.extend(flank, flank);
  if (pattern.size() == 0) {
    return;
  }
  const std::vector<double> information =
      information_of(pattern.letters(), background, options.pseudocount);
  const std::size_t window = std::min(options.trim_to_window, information.size());
  // Kept up by differences: of windows that are equal but for rounding the peer takes the same.
  double sum = 0;
  for (std::size_t i = 0; i < window; ++i) {
    sum += information[i];
  }
  double most = sum;
  std::size_t best = 0;
  for (std::size_t k = window; k < information.size(); ++k) {
    sum += information[k] - information[k - window];
    if (sum > most) {
      most = sum;
      best = k - window + 1;
    }
  }
  pattern.extend(-static_cast<std::int32_t>(best),
                 -static_cast<std::int32_t>(information.size() - best - window));
  pattern.extend(flank, flank);
}

std::vector<Pattern> patterns_of(const ScoredRegions& regions,
                                 const std::vector<MotifSeqlet>& seqlets,
                                 const std::vector<std::uint32_t>& membership, int sign,
                                 const std::vector<double>& background,
                                 const PatternOptions& options, const WorkerOptions& workers) {
  std::uint32_t clusters = 0;
  for (const std::uint32_t cluster : membership) {
    clusters = std::max(clusters, cluster + 1);
  }
  std::vector<std::vector<MotifSeqlet>> members(clusters);
  for (std::size_t i = 0; i < seqlets.size(); ++i) {
    members[membership[i]].push_back(seqlets[i]);
  }
  std::vector<Pattern> built(clusters, Pattern(regions));
  run_workers(
      clusters,
      [&](std::size_t i, std::size_t) {
        const std::vector<MotifSeqlet> own = by_importance(regions, members[i]);
        built[i] = Pattern(regions, {own.front()});
        add_seqlets(regions, built[i], {own.begin() + 1, own.end()}, Likeness::jaccard,
                    options.min_overlap);
        polish(built[i], background, options);
      },
      workers);
  std::vector<Pattern> patterns;
  for (Pattern& pattern : built) {
    if (pattern.size() == 0) {
      continue;
    }
    double sum = 0;
    for (const double value : pattern.contributions()) {
      sum += value;
    }
    if (sign * sum > 0) {
      patterns.push_back(std::move(pattern));
    }
  }
  return patterns;
}

}  // namespace seqlift
