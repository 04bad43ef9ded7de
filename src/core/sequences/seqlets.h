// Seqlets: spans of an attribution track that stand out from the rest of it. Both ways of finding
// them are those of tangermeme 1.4.0 (Schreiber).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/base/number_store.h"

namespace seqlift {

// `count` tracks of one length, one number a position; track i starts at values + i * length.
struct TracksView {
  const double* values;
  std::size_t length;
  std::size_t count;

  const double* track(std::size_t i) const { return values + i * length; }
};

// Positions start, ..., end - 1 of a track, counted from 0.
struct Seqlet {
  std::size_t example;
  std::size_t start;
  std::size_t end;
  double attribution;  // sum over the span, in the unit of the track
  // Recursive seqlets only: the largest of the spans of at least min_length that start there.
  double p_value = std::numeric_limits<double>::quiet_NaN();
};

struct RecursiveSeqletOptions {
  double threshold = 0.01;            // p-values of a seqlet and of all spans in it are below this
  std::size_t min_length = 4;         // of a seqlet, and of the spans in it that are looked at
  std::size_t max_length = 25;        // of a seqlet, before its flanks are added
  std::size_t additional_flanks = 0;  // positions added on both sides of a called seqlet
  std::size_t n_bins = 1000;          // of the histogram behind the null distributions
  bool compatible = false;            // p-values of tangermeme 1.4.0, see SpanDistribution
};

// How large the sum of a span of independent positions is by chance: positions are drawn from the
// histogram of all tracks, sums of m positions follow its m-fold convolution.
class SpanDistribution {
 public:
  SpanDistribution(const TracksView& tracks, std::size_t max_length,
                   const RecursiveSeqletOptions& options);

  // Whether the tracks hold one number only, so that no span stands out.
  bool is_constant() const { return !(bin_width_ > 0); }
  // The chance of a higher bin than that of `sum` (from m positions); 1 in the lowest bin, whose
  // spans are never surprising, however rare the others are. `compatible`: the chance of the lowest
  // bin comes on top, which is next to nothing in tracks of both signs, and most of all in tracks
  // whose minimum is their mode, where nothing is ever called.
  double p_value(double sum, std::size_t m) const;

 private:
  double lowest_ = 0;
  double bin_width_ = 0;
  std::vector<std::vector<double>> tails_;  // by m, then by bin
};

// The recursive seqlets of one track, longest first, and by p-value among those of one length. A
// span is one if its p-value, and those of all spans of at least min_length in it, are below the
// threshold, and it meets no seqlet that was called before it. The last min_length positions of
// the track enter no span; flanks may reach into them, but not to the last position.
std::vector<Seqlet> recursive_seqlets(const TracksView& tracks, std::size_t example,
                                      const SpanDistribution& null,
                                      const RecursiveSeqletOptions& options);

struct TfModiscoSeqletOptions {
  std::size_t window_size = 21;    // positions whose sum is looked at
  std::size_t flank = 10;          // positions added on both sides of a window
  double target_fdr = 0.2;         // share of false windows among those beyond the threshold
  double min_passing_frac = 0.03;  // at least this share of windows passes
  double max_passing_frac = 0.2;   // and at most this
  // As tangermeme 1.4.0; tfmodisco 2.6 looks at 19 and goes from the window nearest zero on.
  int n_quantiles = 18;  // of each side of the windows, 5 % apart, that its distribution may have
  bool sorted = false;   // else the first window in the order of the tracks is the threshold
};

// Seqlets of all tracks, track by track, the strongest window first. The attribution is that of
// the window without its flanks. Windows pass whose sum is beyond a threshold, one for each sign,
// which an isotonic regression finds against Laplace distributions fitted to both sides.
std::vector<Seqlet> tfmodisco_seqlets(const TracksView& tracks,
                                      const TfModiscoSeqletOptions& options);

struct TfModiscoThresholds {
  double positive = 0;  // windows of at least this pass
  double negative = 0;  // and those of at most minus this
  // Of the signs of seqlets: a little below the weaker of the two, but no higher than the given
  // quantile of the sizes of all windows.
  double sign = 0;
};

// The sums of all windows of tracks of one length, which come in pieces: for tracks that are too
// many to be held. At most `held` sums are in memory, others in a file in `folder`.
class WindowSums {
 public:
  WindowSums(std::size_t track_length, std::size_t window_size, std::size_t held,
             const std::string& folder);

  void add(const TracksView& tracks);
  std::size_t windows() const { return windows_; }  // of a track
  const NumberStore& sums() const { return sums_; }

 private:
  std::size_t window_size_;
  std::size_t windows_;
  NumberStore sums_;
};

// None where all windows are equal, so that none stands out. `weak_quantile`: share of the windows
// below the threshold of signs, at most.
std::optional<TfModiscoThresholds> tfmodisco_thresholds(const WindowSums& sums,
                                                        const TfModiscoSeqletOptions& options,
                                                        double weak_quantile);

// Tells of each seqlet, in the order of tfmodisco_seqlets().
void call_windows(const WindowSums& sums, const TfModiscoSeqletOptions& options,
                  const TfModiscoThresholds& thresholds,
                  const std::function<void(const Seqlet&)>& found);

}  // namespace seqlift
