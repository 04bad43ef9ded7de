#include "core/motifs/coarse_similarity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/motifs/affinity.h"
#include "core/motifs/sort_values.h"

namespace seqlift {

namespace {

// 2^17 places hold the 80 000 k-mers that twenty positions have at most with room to spare.
constexpr std::size_t table_bits = 17;

// Sums by key that remember the order in which keys came.
class KmerTable {
 public:
  KmerTable() : places_(std::size_t{1} << table_bits, 0) {}

  void clear() {
    for (const Entry& entry : entries_) {
      places_[entry.place] = 0;
    }
    entries_.clear();
  }

  void add(std::uint64_t key, double score) {
    if (2 * entries_.size() >= places_.size()) {
      grow();
    }
    const std::size_t place = find(key);
    if (places_[place] == 0) {
      entries_.push_back({key, 0, place});
      places_[place] = static_cast<std::uint32_t>(entries_.size());
    }
    entries_[places_[place] - 1].score += score;
  }

  // The `most` largest sums by size, of equals those that came first; sorted by key.
  std::vector<GappedKmer> largest(std::size_t most) const {
    std::vector<std::uint32_t> order(entries_.size());
    std::iota(order.begin(), order.end(), 0);
    const auto before = [&](std::uint32_t a, std::uint32_t b) {
      const double left = std::abs(entries_[a].score);
      const double right = std::abs(entries_[b].score);
      return left != right ? left > right : a < b;
    };
    if (order.size() > most) {
      std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most),
                       order.end(), before);
      order.resize(most);
    }
    std::vector<GappedKmer> kmers;
    for (const std::uint32_t i : order) {
      if (entries_[i].score != 0) {
        kmers.push_back({entries_[i].key, entries_[i].score});
      }
    }
    std::sort(kmers.begin(), kmers.end(),
              [](const GappedKmer& a, const GappedKmer& b) { return a.key < b.key; });
    return kmers;
  }

 private:
  struct Entry {
    std::uint64_t key;
    double score;
    std::size_t place;
  };

  std::size_t find(std::uint64_t key) const {
    const std::size_t mask = places_.size() - 1;
    // Multiplicative hashing (Knuth) by 2^64 over the golden ratio.
    std::size_t place = (key * 0x9E3779B97F4A7C15ULL >> 20) & mask;
    while (places_[place] != 0 && entries_[places_[place] - 1].key != key) {
      place = (place + 1) & mask;
    }
    return place;
  }

  void grow() {
    places_.assign(2 * places_.size(), 0);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const std::size_t place = find(entries_[i].key);
      entries_[i].place = place;
      places_[place] = static_cast<std::uint32_t>(i + 1);
    }
  }

  std::vector<std::uint32_t> places_;  // number of an entry, from 1; 0 where there is none
  std::vector<Entry> entries_;
};

struct Position {
  std::size_t place;
  double importance;
  std::uint64_t digit;  // letter + 1
};

// The most important positions, in their order; of equals the first.
std::vector<Position> important_positions(const ScoredRegions& regions, const MotifSeqlet& seqlet,
                                          int sign, std::size_t most) {
  std::vector<Position> positions;
  for (std::size_t i = 0; i < seqlet.length(); ++i) {
    // An unknown letter counts as A, as an array of zeros does where its largest is looked for.
    const std::uint8_t letter = regions.letter(seqlet, i);
    const std::uint64_t digit = letter < n_letters ? letter + 1U : 1U;
    positions.push_back({i, sign * regions.contribution(seqlet, i), digit});
  }
  std::stable_sort(positions.begin(), positions.end(), [](const Position& a, const Position& b) {
    return a.importance > b.importance;
  });
  positions.resize(std::min(most, positions.size()));
  std::sort(positions.begin(), positions.end(),
            [](const Position& a, const Position& b) { return a.place < b.place; });
  return positions;
}

struct Partial {
  std::uint64_t key;
  double sum;
};

class KmerCounter {
 public:
  std::vector<GappedKmer> count(const std::vector<Position>& positions,
                                const GappedKmerOptions& options) {
    table_.clear();
    std::vector<std::uint64_t> powers(options.max_length, 1);
    for (std::size_t i = 1; i < powers.size(); ++i) {
      powers[i] = 5 * powers[i - 1];
    }
    const std::size_t n = positions.size();
    // By first position, then by last: the k-mers of the current k.
    std::vector<std::vector<std::vector<Partial>>> now(n);
    for (std::size_t first = 0; first < n; ++first) {
      now[first].resize(n);
      now[first][first].push_back({positions[first].digit, positions[first].importance});
    }
    // Which of equally large sums are kept depends on the order in which they come: by k, first
    // position, last position, the one before the last, and so on.
    for (std::size_t k = 2; k <= options.max_k; ++k) {
      for (std::size_t first = 0; first < n; ++first) {
        std::vector<std::vector<Partial>> longer(n);
        for (std::size_t last = first + 1; last < n; ++last) {
          const std::size_t distance = positions[last].place - positions[first].place;
          if (distance >= options.max_length) {
            break;
          }
          const std::uint64_t digit = positions[last].digit * powers[distance];
          for (std::size_t before = first; before < last; ++before) {
            for (const Partial& part : now[first][before]) {
              longer[last].push_back({part.key + digit, part.sum + positions[last].importance});
            }
          }
          if (k >= options.min_k) {
            for (const Partial& kmer : longer[last]) {
              table_.add(kmer.key, kmer.sum / static_cast<double>(k));
            }
          }
        }
        now[first] = std::move(longer);
      }
    }
    return table_.largest(options.max_kmers);
  }

 private:
  KmerTable table_;
};

void scale(std::vector<GappedKmer>& kmers) {
  double squares = 0;
  for (const GappedKmer& kmer : kmers) {
    squares += kmer.score * kmer.score;
  }
  const double norm = std::sqrt(squares);
  if (norm > 0) {
    for (GappedKmer& kmer : kmers) {
      kmer.score /= norm;
    }
  }
}

std::vector<GappedKmer> kmers_with(KmerCounter& counter, const ScoredRegions& regions,
                                   const MotifSeqlet& seqlet, int sign,
                                   const GappedKmerOptions& options) {
  std::vector<GappedKmer> kmers =
      counter.count(important_positions(regions, seqlet, sign, options.n_positions), options);
  scale(kmers);
  return kmers;
}

// Rows of k-mers with a number for each key, and for each number the rows that have it.
struct Embedding {
  std::vector<std::size_t> row_begin{0};
  std::vector<std::uint32_t> key;
  std::vector<double> score;
};

struct Inverted {
  std::vector<std::size_t> begin;
  std::vector<std::uint32_t> row;
  std::vector<double> score;
};

Inverted inverted(const Embedding& embedding, std::size_t n_keys) {
  Inverted lists;
  lists.begin.assign(n_keys + 1, 0);
  for (const std::uint32_t key : embedding.key) {
    ++lists.begin[key + 1];
  }
  std::partial_sum(lists.begin.begin(), lists.begin.end(), lists.begin.begin());
  lists.row.resize(embedding.key.size());
  lists.score.resize(embedding.key.size());
  std::vector<std::size_t> next(lists.begin.begin(), lists.begin.end() - 1);
  for (std::size_t row = 0; row + 1 < embedding.row_begin.size(); ++row) {
    for (std::size_t e = embedding.row_begin[row]; e < embedding.row_begin[row + 1]; ++e) {
      const std::size_t place = next[embedding.key[e]]++;
      lists.row[place] = static_cast<std::uint32_t>(row);
      lists.score[place] = embedding.score[e];
    }
  }
  return lists;
}

// Of k-mers by row, which are given up; `keys` has all of them, sorted.
Embedding embedding_of(std::vector<std::vector<GappedKmer>>& rows,
                       const std::vector<std::uint64_t>& keys, const WorkerOptions& workers) {
  Embedding embedding;
  for (const std::vector<GappedKmer>& row : rows) {
    embedding.row_begin.push_back(embedding.row_begin.back() + row.size());
  }
  embedding.key.resize(embedding.row_begin.back());
  embedding.score.resize(embedding.row_begin.back());
  run_workers(
      rows.size(),
      [&](std::size_t i, std::size_t) {
        std::size_t next = embedding.row_begin[i];
        for (const GappedKmer& kmer : rows[i]) {
          const auto found = std::lower_bound(keys.begin(), keys.end(), kmer.key);
          embedding.key[next] = static_cast<std::uint32_t>(found - keys.begin());
          embedding.score[next++] = kmer.score;
        }
        std::vector<GappedKmer>().swap(rows[i]);
      },
      workers);
  return embedding;
}

}  // namespace

std::vector<GappedKmer> seqlet_kmers(const ScoredRegions& regions, const MotifSeqlet& seqlet,
                                     int sign, const GappedKmerOptions& options) {
  return KmerCounter().count(important_positions(regions, seqlet, sign, options.n_positions),
                             options);
}

Neighbors kmer_neighbors(const ScoredRegions& regions, const std::vector<MotifSeqlet>& seqlets,
                         int sign, std::size_t count, const GappedKmerOptions& options,
                         const WorkerOptions& workers) {
  const std::size_t n = seqlets.size();
  std::vector<std::vector<GappedKmer>> forward(n);
  std::vector<std::vector<GappedKmer>> reverse(n);
  std::vector<KmerCounter> counters(worker_count(n, workers));
  run_workers(
      n,
      [&](std::size_t i, std::size_t worker) {
        forward[i] = kmers_with(counters[worker], regions, seqlets[i], sign, options);
        reverse[i] = kmers_with(counters[worker], regions, turned(seqlets[i]), sign, options);
      },
      workers);

  std::vector<std::uint64_t> keys;
  for (const auto* const side : {&forward, &reverse}) {
    for (const auto& row : *side) {
      for (const GappedKmer& kmer : row) {
        keys.push_back(kmer.key);
      }
    }
  }
  sort_values(keys, workers);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  const Embedding ahead = embedding_of(forward, keys, workers);
  Embedding behind = embedding_of(reverse, keys, workers);
  const std::size_t n_keys = keys.size();
  std::vector<std::uint64_t>().swap(keys);
  Inverted same;
  Inverted other;
  run_workers(
      2,
      [&](std::size_t turn, std::size_t) {
        (turn == 0 ? same : other) = inverted(turn == 0 ? ahead : behind, n_keys);
      },
      workers);
  behind = Embedding();

  Neighbors neighbors;
  neighbors.count = std::min(count, n);
  neighbors.index.resize(n * neighbors.count);
  neighbors.cosine.resize(n * neighbors.count);
  struct Sums {
    std::vector<double> same;
    std::vector<double> other;
  };
  std::vector<Sums> sums(worker_count(n, workers));
  run_workers(
      n,
      [&](std::size_t i, std::size_t worker) {
        Sums& own = sums[worker];
        own.same.assign(n, 0.0);
        own.other.assign(n, 0.0);
        for (std::size_t e = ahead.row_begin[i]; e < ahead.row_begin[i + 1]; ++e) {
          const std::size_t key = ahead.key[e];
          const double score = ahead.score[e];
          for (std::size_t k = same.begin[key]; k < same.begin[key + 1]; ++k) {
            own.same[same.row[k]] += score * same.score[k];
          }
          for (std::size_t k = other.begin[key]; k < other.begin[key + 1]; ++k) {
            own.other[other.row[k]] += score * other.score[k];
          }
        }
        for (std::size_t j = 0; j < n; ++j) {
          own.same[j] = std::max(own.same[j], own.other[j]);
        }
        const std::vector<std::uint32_t> order = largest(own.same, neighbors.count);
        for (std::size_t r = 0; r < neighbors.count; ++r) {
          neighbors.index[i * neighbors.count + r] = order[r];
          neighbors.cosine[i * neighbors.count + r] = own.same[order[r]];
        }
      },
      workers);
  return neighbors;
}

}  // namespace seqlift
