#include "core/motifs/hits.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/motifs/hit_solver.h"

namespace seqlift {

namespace {

// Contributions [position][4] of a region, zero where its sequence does not count.
void read_region(const HitRegions& regions, std::size_t i, bool hypothetical,
                 std::vector<double>& contributions) {
  contributions.resize(regions.length * 4);
  const std::uint8_t* codes = regions.codes + i * regions.length;
  for (std::size_t l = 0; l < regions.length; ++l) {
    for (std::size_t base = 0; base < 4; ++base) {
      const bool counts = hypothetical || codes[l] == base;
      contributions[l * 4 + base] = counts ? regions.scores[i + regions.n * (base + 4 * l)] : 0;
    }
  }
}

template <class Number>
void start_region(HitSolver<Number>& solver, const HitRegions& regions, std::size_t i,
                  const HitOptions& options, std::vector<double>& contributions) {
  read_region(regions, i, options.hypothetical, contributions);
  if (options.sqrt_transform) {
    for (double& value : contributions) {
      value = std::copysign(std::sqrt(std::fabs(value)), value);
    }
  }
  solver.start(contributions, regions.codes + i * regions.length);
}

// Steps that are too long may neither converge nor diverge: where it is ours to say, they are made
// shorter after so many. Hard regions take some hundred.
constexpr std::size_t patience = 500;

template <class Number>
RegionFit solve(HitSolver<Number>& solver, const HitOptions& options) {
  RegionFit fit;
  fit.step_size = options.step_size;
  for (;;) {
    solver.step(fit.step_size);
    if (!std::isfinite(solver.gap())) {
      solver.restart();
      fit.step_size *= options.step_adjust;
    } else if (options.compatible ? solver.gap() <= options.tolerance
                                  : solver.hint_of_exact_gap() <= options.tolerance &&
                                        solver.exact_gap() <= options.tolerance) {
      break;
    } else if (!options.compatible && solver.n_steps() % patience == 0 &&
               fit.step_size * options.step_adjust >= options.step_size_min) {
      fit.step_size *= options.step_adjust;
      solver.forget_momentum();
    }
    if (solver.n_steps() > options.max_steps) {
      fit.outcome = HitOutcome::out_of_steps;
      break;
    }
    if (fit.step_size < options.step_size_min) {
      fit.outcome = HitOutcome::diverged;
      break;
    }
  }
  fit.nll = solver.nll();
  fit.gap = solver.gap();
  fit.n_steps = solver.n_steps();
  fit.global_scale = solver.global_scale();
  fit.exact_gap = solver.exact_gap();
  fit.explained = 1 - solver.share_left();
  fit.hits = solver.hits(options.post_filter);
  return fit;
}

template <class Number>
void solve_all(const HitMotifs& motifs, const HitRegions& regions, const HitOptions& options,
               std::vector<RegionFit>& fits) {
  struct Space {
    std::unique_ptr<HitSolver<Number>> solver;
    std::vector<double> contributions;
  };
  std::vector<Space> spaces(worker_count(regions.n, options.workers));
  run_workers(
      regions.n,
      [&](std::size_t i, std::size_t worker) {
        Space& space = spaces[worker];
        if (!space.solver) {
          space.solver =
              std::make_unique<HitSolver<Number>>(motifs, regions.length, options.hypothetical);
        }
        start_region(*space.solver, regions, i, options, space.contributions);
        fits[i] = solve(*space.solver, options);
      },
      options.workers);
}

}  // namespace

HitResults call_hits(const HitMotifs& motifs, const HitRegions& regions,
                     const HitOptions& options) {
  HitResults results;
  results.regions.resize(regions.n);
  if (options.float64) {
    solve_all<double>(motifs, regions, options, results.regions);
  } else {
    solve_all<float>(motifs, regions, options, results.regions);
  }
  results.sums.assign(motifs.size() * motifs.width * 4, 0);
  std::vector<double> contributions;
  for (std::size_t i = 0; i < regions.n; ++i) {
    if (results.regions[i].hits.empty()) {
      continue;
    }
    read_region(regions, i, options.hypothetical, contributions);
    for (const Hit& hit : results.regions[i].hits) {
      double* sums = results.sums.data() + hit.motif * motifs.width * 4;
      const double* below = contributions.data() + hit.start * std::size_t{4};
      for (std::size_t k = 0; k < motifs.widths[hit.motif] * 4; ++k) {
        sums[k] += below[k];
      }
    }
  }
  return results;
}

HitSteps hit_steps(const HitMotifs& motifs, const HitRegions& regions, std::size_t region,
                   const std::vector<std::size_t>& kept, const HitOptions& options) {
  HitSolver<double> solver(motifs, regions.length, options.hypothetical);
  std::vector<double> contributions;
  start_region(solver, regions, region, options, contributions);
  const auto all_places = [&](const auto& value) {
    std::vector<double> values;
    for (std::size_t place = 0; place < solver.places(); ++place) {
      for (std::size_t m = 0; m < motifs.size(); ++m) {
        values.push_back(value(place, m));
      }
    }
    return values;
  };
  HitSteps steps;
  steps.scales = all_places([&](auto place, auto m) { return solver.scale(place, m); });
  for (const std::size_t until : kept) {
    while (solver.n_steps() < until) {
      solver.step(options.step_size);
      steps.gaps.push_back(solver.gap());
      steps.nlls.push_back(solver.nll());
    }
    steps.coefficients.push_back(
        all_places([&](auto place, auto m) { return solver.coefficient(place, m); }));
  }
  return steps;
}

std::vector<bool> collapse_hits(const std::vector<HitPlace>& hits, double overlap_fraction) {
  struct Span {
    std::int64_t sequence;
    std::int64_t start;
    std::int64_t end;
    std::size_t hit;
  };
  std::vector<Span> spans;
  for (std::size_t i = 0; i < hits.size(); ++i) {
    const HitPlace& own = hits[i];
    const auto cut =
        static_cast<std::int64_t>(overlap_fraction * static_cast<double>(own.end - own.start));
    spans.push_back({own.sequence, 2 * own.start + cut, 2 * own.end - cut, i});
  }
  std::sort(spans.begin(), spans.end(), [](const Span& x, const Span& y) {
    if (x.sequence != y.sequence) {
      return x.sequence < y.sequence;
    }
    return x.start != y.start ? x.start < y.start : x.hit < y.hit;
  });
  std::vector<bool> stays(hits.size(), true);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    // No later span begins before this one, and none that begins after its end meets it.
    for (std::size_t j = i + 1; j < spans.size() && spans[j].sequence == spans[i].sequence &&
                                spans[j].start <= spans[i].end;
         ++j) {
      if (spans[j].end < spans[i].start) {
        continue;
      }
      const std::size_t first = std::min(spans[i].hit, spans[j].hit);
      const std::size_t second = std::max(spans[i].hit, spans[j].hit);
      const bool second_wins = hits[second].similarity > hits[first].similarity;
      stays[second_wins ? first : second] = false;
    }
  }
  return stays;
}

}  // namespace seqlift
