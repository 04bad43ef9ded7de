// Hit calling: which motifs, where and how strongly, make up the contributions of a sequence
// (Fi-NeMo, Wang, Patel and Kundaje). Of each region by itself, over coefficients x >= 0,
//
//   minimise 1/2 |c - S sum_m (x_m s_m) * W_m|^2 + sum_m lambda_m sum_p x[m, p]
//
// with c the contributions divided by their root mean square, W_m the trimmed motifs, (x s) * W
// motifs laid at places p, S the sequence (1 with hypothetical contributions), and s[m, p] =
// (1 + sum of c^2 below the trimmed motif)^-1/2. Solved by accelerated proximal gradient steps; the
// numbers after each step are those of finemo 0.41 (see hit_solver.h for how few are computed).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/motifs/workers.h"

namespace seqlift {

// Motifs in the orientation in which they are laid, so that a motif and its reverse complement are
// two. A motif covers `widths` positions of a region, of which those from `firsts` to before `ends`
// are trimmed to and the weights of others zero.
struct HitMotifs {
  std::size_t width = 0;        // the largest of the widths
  std::vector<double> weights;  // [motif][width][4]
  std::vector<std::size_t> widths;
  std::vector<std::size_t> firsts;
  std::vector<std::size_t> ends;
  std::vector<double> lambdas;  // penalty of each motif, above 0

  std::size_t size() const { return widths.size(); }
};

// Regions of one length, `scores` with the region first and the position last, so that the number
// of base b (of A, C, G, T) at position l of region i is scores[i + n (b + 4 l)]; `codes` with the
// bases of one region after another, 0 to 3, above for unknown ones.
struct HitRegions {
  std::size_t n = 0;
  std::size_t length = 0;
  const double* scores = nullptr;
  const std::uint8_t* codes = nullptr;
};

struct HitOptions {
  bool hypothetical = false;    // all bases count, not those of the sequence alone
  bool sqrt_transform = false;  // contributions become their signed square roots
  bool post_filter = true;      // hits need a similarity of at least their motif's lambda
  bool float64 = false;         // the precision of the solution
  double tolerance = 0.0005;    // of the duality gap for each position
  // Stop at finemo's gap, which lacks a factor and is that of a point beside the one returned
  // (RegionFit::gap); otherwise at the duality gap of what is returned.
  bool compatible = true;
  double step_size = 3;           // and when the steps diverge, `step_adjust` of it, down to
  double step_adjust = 0.7;       // `step_size_min`
  double step_size_min = 0.08;    // see above
  std::size_t max_steps = 10000;  // of a region; the outcome is then `out_of_steps`
  WorkerOptions workers;
};

struct Hit {
  std::uint32_t motif;
  std::uint32_t start;   // of the untrimmed motif
  double coefficient;    // x
  double similarity;     // of the motif and the contributions below it; NaN where those are zero
  double importance;     // sum of |c| below the trimmed motif
  double importance_sq;  // and of c^2
  double explained;      // its part of |c|^2 - |c - prediction|^2: they add up
};

enum class HitOutcome { converged, out_of_steps, diverged };

struct RegionFit {
  std::vector<Hit> hits;  // by start, then by motif
  double nll = 0;         // |c - prediction|^2 / (2 length), before the last step
  double gap = 0;         // as finemo has it, before the last step
  double exact_gap = 0;   // of the coefficients returned: at least what they are from the optimum
  double explained = 0;   // 1 - |c - prediction|^2 / |c|^2 of the coefficients returned
  double step_size = 0;
  double global_scale = 0;  // root mean square of the contributions
  std::size_t n_steps = 0;
  HitOutcome outcome = HitOutcome::converged;
};

struct HitResults {
  std::vector<RegionFit> regions;
  // [motif][width][4]: contributions below each motif's hits, added up, in their own unit.
  std::vector<double> sums;
};

// The same for any number of threads, and for regions given together or one by one.
HitResults call_hits(const HitMotifs& motifs, const HitRegions& regions, const HitOptions& options);

// The first steps of the first region, in double precision: gap and nll at each, coefficients
// [place][motif] after each of `kept` (counted from 1, ascending), and s [place][motif].
struct HitSteps {
  std::vector<double> gaps;
  std::vector<double> nlls;
  std::vector<std::vector<double>> coefficients;
  std::vector<double> scales;
};

HitSteps hit_steps(const HitMotifs& motifs, const HitRegions& regions, std::size_t region,
                   const std::vector<std::size_t>& kept, const HitOptions& options);

// Which hits stay where hits overlap. Two of one sequence compete if, with s = 2 start + trunc(f
// width) and e = 2 end - trunc(f width), e1 >= s2 and e2 >= s1 (start from 0, end exclusive); the
// one of the higher similarity wins, the earlier of equals, and what wins against all it meets
// stays. Losers compete, too.
struct HitPlace {
  std::int64_t sequence;
  std::int64_t start;
  std::int64_t end;
  double similarity;
};

std::vector<bool> collapse_hits(const std::vector<HitPlace>& hits, double overlap_fraction);

}  // namespace seqlift
