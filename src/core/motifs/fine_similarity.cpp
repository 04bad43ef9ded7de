#include "core/motifs/fine_similarity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/motifs/jaccard_loops.h"

namespace seqlift {

namespace {

template <class Number>
std::vector<Number> scaled(const std::vector<double>& hypothetical,
                           const std::vector<double>& contributions) {
  const auto size = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) {
      sum += std::abs(value);
    }
    return sum > 0 ? sum : 1;
  };
  const double of_hypothetical = size(hypothetical);
  const double of_contributions = size(contributions);
  std::vector<Number> tracks(2 * hypothetical.size());
  for (std::size_t i = 0; i < hypothetical.size(); ++i) {
    Number* const row = tracks.data() + i / n_letters * n_tracks;
    row[i % n_letters] = static_cast<Number>(hypothetical[i] / of_hypothetical);
    row[n_letters + i % n_letters] = static_cast<Number>(contributions[i] / of_contributions);
  }
  return tracks;
}

template <class Number>
std::vector<Number> scaled_seqlet(const ScoredRegions& regions, const MotifSeqlet& seqlet) {
  std::vector<double> hypothetical;
  std::vector<double> contributions;
  for (std::size_t i = 0; i < seqlet.length(); ++i) {
    const std::uint8_t letter = regions.letter(seqlet, i);
    for (std::size_t base = 0; base < n_letters; ++base) {
      hypothetical.push_back(regions.hypothetical(seqlet, i, base));
      contributions.push_back(letter == base ? hypothetical.back() : 0);
    }
  }
  return scaled<Number>(hypothetical, contributions);
}

// Sizes of the rows before each row, added up.
std::vector<float> sizes_before(const std::vector<float>& tracks) {
  std::vector<float> before{0};
  double sum = 0;
  for (std::size_t i = 0; i < tracks.size(); i += n_tracks) {
    for (std::size_t u = 0; u < n_tracks; ++u) {
      sum += std::abs(tracks[i + u]);
    }
    before.push_back(static_cast<float>(sum));
  }
  return before;
}

float similarity(float sum, float difference, float outside) {
  const float all = sum + difference + 2 * outside;
  return all > 0 ? (sum - difference) / all : 0;
}

// As slide(), with the sizes of the second's rows at hand; the best similarity and its offset.
float best_offset(const float* first, std::size_t n_first, const float* second,
                  std::size_t n_second, const float* before, std::size_t padding,
                  std::int32_t* offset) {
  float best = -std::numeric_limits<float>::infinity();
  const auto length = static_cast<std::ptrdiff_t>(n_first);
  const auto own = static_cast<std::ptrdiff_t>(n_second);
  const std::ptrdiff_t last = length + static_cast<std::ptrdiff_t>(padding) - own;
  for (std::ptrdiff_t o = -static_cast<std::ptrdiff_t>(padding); o <= last; ++o) {
    const std::ptrdiff_t from = std::max<std::ptrdiff_t>(0, -o);  // rows of the second on the first
    const std::ptrdiff_t to = std::max(from, std::min(own, length - o));
    float sum = 0;
    float difference = 0;
    if (to > from) {
      loops::add_absolute(first + (o + from) * static_cast<std::ptrdiff_t>(n_tracks),
                          second + from * static_cast<std::ptrdiff_t>(n_tracks),
                          static_cast<std::size_t>(to - from) * n_tracks, &sum, &difference);
    }
    const float outside = before[from] + (before[own] - before[to]);
    const float found = similarity(sum, difference, outside);
    if (found > best) {
      best = found;
      *offset = static_cast<std::int32_t>(o);
    }
  }
  return best;
}

// Ranks from 1, of equal numbers their mean.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t j = i;
    while (j < order.size() && values[order[j]] == values[order[i]]) {
      ++j;
    }
    for (std::size_t k = i; k < j; ++k) {
      ranks[order[k]] = static_cast<double>(i + j + 1) / 2;
    }
    i = j;
  }
  return ranks;
}

double correlation(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / n;
  const double mean_y = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::vector<float> scaled_tracks(const ScoredRegions& regions, const MotifSeqlet& seqlet) {
  return scaled_seqlet<float>(regions, seqlet);
}

std::vector<float> scaled_tracks(const std::vector<double>& hypothetical,
                                 const std::vector<double>& contributions) {
  return scaled<float>(hypothetical, contributions);
}

Alignment slide(const std::vector<float>& first, const std::vector<float>& second,
                std::size_t padding) {
  Alignment alignment;
  const std::vector<float> before = sizes_before(second);
  alignment.similarity =
      best_offset(first.data(), first.size() / n_tracks, second.data(), second.size() / n_tracks,
                  before.data(), padding, &alignment.offset);
  return alignment;
}

std::vector<float> neighbor_similarities(const ScoredRegions& regions,
                                         const std::vector<MotifSeqlet>& seqlets,
                                         const Neighbors& neighbors, double min_overlap,
                                         const WorkerOptions& workers) {
  struct Side {
    std::vector<float> tracks;
    std::vector<float> before;
  };
  const std::size_t n = seqlets.size();
  const std::size_t length = n == 0 ? 0 : seqlets.front().length();
  const auto padding = static_cast<std::size_t>(static_cast<double>(length) * (1 - min_overlap));
  std::vector<Side> sides(2 * n);
  run_workers(
      n,
      [&](std::size_t i, std::size_t) {
        for (std::size_t turn = 0; turn < 2; ++turn) {
          Side& side = sides[2 * i + turn];
          side.tracks = scaled_tracks(regions, turn == 0 ? seqlets[i] : turned(seqlets[i]));
          side.before = sizes_before(side.tracks);
        }
      },
      workers);
  std::vector<float> similarities(neighbors.index.size());
  run_workers(
      n,
      [&](std::size_t i, std::size_t) {
        for (std::size_t r = 0; r < neighbors.count; ++r) {
          const std::size_t entry = i * neighbors.count + r;
          float best = -std::numeric_limits<float>::infinity();
          for (std::size_t turn = 0; turn < 2; ++turn) {
            const Side& other = sides[2 * neighbors.index[entry] + turn];
            std::int32_t offset = 0;
            best =
                std::max(best, best_offset(sides[2 * i].tracks.data(), length, other.tracks.data(),
                                           length, other.before.data(), padding, &offset));
          }
          similarities[entry] = best;
        }
      },
      workers);
  return similarities;
}

std::vector<double> agreement(const Neighbors& neighbors, const std::vector<float>& similarities,
                              const WorkerOptions& workers) {
  std::vector<double> found(neighbors.rows());
  run_workers(
      found.size(),
      [&](std::size_t i, std::size_t) {
        std::vector<double> fine;
        std::vector<double> coarse;
        for (std::size_t e = i * neighbors.count; e < (i + 1) * neighbors.count; ++e) {
          if (similarities[e] != 0) {
            fine.push_back(similarities[e]);
            coarse.push_back(neighbors.cosine[e]);
          }
        }
        found[i] = correlation(ranks(fine), ranks(coarse));
      },
      workers);
  return found;
}

SeqletTracks::SeqletTracks(const ScoredRegions& regions, const std::vector<MotifSeqlet>& seqlets) {
  for (const MotifSeqlet& seqlet : seqlets) {
    tracks_.push_back(scaled_seqlet<double>(regions, seqlet));
  }
}

double SeqletTracks::similarity(std::size_t i, const SeqletTracks& others, std::size_t j) const {
  double sum = 0;
  double difference = 0;
  loops::add_absolute(tracks_[i].data(), others.tracks_[j].data(), tracks_[i].size(), &sum,
                      &difference);
  const double all = sum + difference;
  return all > 0 ? (sum - difference) / all : 0;
}

}  // namespace seqlift
