#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "catch.h"
#include "core/motifs/hit_solver.h"
#include "core/motifs/hits.h"
#include "core/sequences/random.h"

using seqlift::HitMotifs;
using seqlift::HitOptions;
using seqlift::HitOutcome;
using seqlift::HitPlace;
using seqlift::HitRegions;
using seqlift::HitResults;
using seqlift::HitSolver;
using seqlift::RandomState;
using seqlift::RegionFit;

namespace {

// Regions of random contributions, a stronger stretch in each, and what they point to.
struct MadeRegions {
  std::vector<double> scores;
  std::vector<std::uint8_t> codes;
  HitRegions view;
};

MadeRegions random_regions(std::uint32_t seed, std::size_t n, std::size_t length) {
  RandomState random(seed);
  MadeRegions made;
  made.scores.resize(n * 4 * length);
  for (std::size_t i = 0; i < n; ++i) {
    const auto strong = static_cast<std::size_t>(random.uniform() * (length - 5));
    for (std::size_t l = 0; l < length; ++l) {
      made.codes.push_back(static_cast<std::uint8_t>(random.uniform() * 4.1));
      const double height = l >= strong && l < strong + 5 ? 4 : 0.7;
      for (std::size_t base = 0; base < 4; ++base) {
        made.scores[i + n * (base + 4 * l)] = height * (2 * random.uniform() - 0.8);
      }
    }
  }
  made.view = {n, length, made.scores.data(), made.codes.data()};
  return made;
}

HitMotifs random_hit_motifs(std::uint32_t seed, const std::vector<std::size_t>& widths) {
  RandomState random(seed);
  HitMotifs motifs;
  motifs.widths = widths;
  motifs.width = *std::max_element(widths.begin(), widths.end());
  motifs.weights.assign(widths.size() * motifs.width * 4, 0);
  for (std::size_t m = 0; m < widths.size(); ++m) {
    motifs.firsts.push_back(m % 2);
    motifs.ends.push_back(widths[m] - m % 3 / 2);
    motifs.lambdas.push_back(0.3 + 0.1 * static_cast<double>(m % 4));
    double sum = 0;
    for (std::size_t k = motifs.firsts[m]; k < motifs.ends[m]; ++k) {
      for (std::size_t base = 0; base < 4; ++base) {
        const double weight = 2 * random.uniform() - 0.8;
        motifs.weights[(m * motifs.width + k) * 4 + base] = weight;
        sum += weight * weight;
      }
    }
    for (std::size_t k = 0; k < motifs.width * 4; ++k) {
      motifs.weights[m * motifs.width * 4 + k] /= std::sqrt(sum);
    }
  }
  return motifs;
}

// The problem written out: columns of S W s for every motif and place that fits.
struct DenseProblem {
  std::vector<double> c;
  std::vector<std::vector<double>> columns;
  std::vector<double> lambdas;
  std::vector<std::size_t> places;
  std::vector<std::size_t> motifs;
};

DenseProblem written_out(const HitMotifs& motifs, const MadeRegions& made, std::size_t i,
                         bool hypothetical) {
  const std::size_t length = made.view.length;
  DenseProblem problem;
  const std::uint8_t* codes = made.codes.data() + i * length;
  double sum = 0;
  std::vector<double> mask(length * 4);
  problem.c.resize(length * 4);
  for (std::size_t l = 0; l < length; ++l) {
    for (std::size_t base = 0; base < 4; ++base) {
      mask[l * 4 + base] = hypothetical || codes[l] == base ? 1 : 0;
      problem.c[l * 4 + base] = mask[l * 4 + base] * made.scores[i + made.view.n * (base + 4 * l)];
      sum += problem.c[l * 4 + base] * problem.c[l * 4 + base];
    }
  }
  for (double& value : problem.c) {
    value /= std::sqrt(sum / static_cast<double>(length));
  }
  for (std::size_t m = 0; m < motifs.size(); ++m) {
    for (std::size_t place = 0; place + motifs.widths[m] <= length; ++place) {
      double below = 1;
      for (std::size_t l = (place + motifs.firsts[m]) * 4; l < (place + motifs.ends[m]) * 4; ++l) {
        below += problem.c[l] * problem.c[l];
      }
      std::vector<double> column(length * 4, 0);
      for (std::size_t k = 0; k < motifs.widths[m] * 4; ++k) {
        column[place * 4 + k] =
            mask[place * 4 + k] * motifs.weights[m * motifs.width * 4 + k] / std::sqrt(below);
      }
      problem.columns.push_back(column);
      problem.lambdas.push_back(motifs.lambdas[m]);
      problem.places.push_back(place);
      problem.motifs.push_back(m);
    }
  }
  return problem;
}

double product_of(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += x[i] * y[i];
  }
  return sum;
}

std::vector<double> coefficients_of(const DenseProblem& problem, const RegionFit& fit) {
  std::vector<double> x(problem.columns.size(), 0);
  for (const seqlift::Hit& hit : fit.hits) {
    for (std::size_t j = 0; j < x.size(); ++j) {
      if (problem.motifs[j] == hit.motif && problem.places[j] == hit.start) {
        x[j] = hit.coefficient;
      }
    }
  }
  return x;
}

std::vector<double> residual_of(const DenseProblem& problem, const std::vector<double>& x) {
  std::vector<double> residual = problem.c;
  for (std::size_t j = 0; j < x.size(); ++j) {
    for (std::size_t l = 0; l < residual.size(); ++l) {
      residual[l] -= x[j] * problem.columns[j][l];
    }
  }
  return residual;
}

}  // namespace

TEST_CASE("one motif that is the contributions gets the coefficient of the closed form") {
  // c = a W at one place: the minimum over x of 1/2 (a - s x)^2 + lambda x, c of mean square 1.
  HitMotifs motifs;
  motifs.width = 2;
  motifs.widths = {2};
  motifs.firsts = {0};
  motifs.ends = {2};
  motifs.lambdas = {0.5};
  motifs.weights = {0.6, 0, 0, 0, 0, 0.8, 0, 0};
  const std::size_t length = 8;
  MadeRegions made;
  made.scores.assign(4 * length, 0);
  made.codes.assign(length, 3);
  made.codes[3] = 0;
  made.codes[4] = 1;
  made.scores[0 + 4 * 3] = 6;
  made.scores[1 + 4 * 4] = 8;
  made.view = {1, length, made.scores.data(), made.codes.data()};
  HitOptions options;
  options.float64 = true;
  options.compatible = false;
  options.tolerance = 1e-12;
  const HitResults results = seqlift::call_hits(motifs, made.view, options);
  const RegionFit& fit = results.regions[0];
  REQUIRE(fit.hits.size() == 1);
  const double a = std::sqrt(8.0);  // |c|, as its mean square over 8 positions is 1
  const double s = 1 / std::sqrt(1 + a * a);
  CHECK(fit.hits[0].start == 3);
  CHECK(std::fabs(fit.hits[0].coefficient - (a * s - 0.5) / (s * s)) < 1e-5);
  CHECK(std::fabs(fit.hits[0].similarity - 1) < 1e-12);
  CHECK(std::fabs(fit.hits[0].importance_sq - 8) < 1e-12);
  CHECK(std::fabs(fit.hits[0].importance - a * 1.4) < 1e-12);
  CHECK(std::fabs(fit.global_scale - 10 / a) < 1e-12);
  CHECK(results.sums == std::vector<double>{6, 0, 0, 0, 0, 8, 0, 0});
}

TEST_CASE("coefficients meet the conditions of the optimum, and the gap is the one written out") {
  for (const bool hypothetical : {false, true}) {
    const HitMotifs motifs = random_hit_motifs(1, {4, 4, 6, 6, 3});
    const MadeRegions made = random_regions(2, 6, 40);
    HitOptions options;
    options.hypothetical = hypothetical;
    options.float64 = true;
    options.compatible = false;
    options.post_filter = false;
    options.tolerance = 1e-9;
    options.max_steps = 100000;
    const HitResults results = seqlift::call_hits(motifs, made.view, options);
    std::size_t n_hits = 0;
    for (std::size_t i = 0; i < made.view.n; ++i) {
      const RegionFit& fit = results.regions[i];
      CHECK(fit.outcome == HitOutcome::converged);
      CHECK(fit.exact_gap <= options.tolerance);
      const DenseProblem problem = written_out(motifs, made, i, hypothetical);
      const std::vector<double> x = coefficients_of(problem, fit);
      const std::vector<double> residual = residual_of(problem, x);
      double worst = 0;
      for (std::size_t j = 0; j < x.size(); ++j) {
        const double slope = product_of(residual, problem.columns[j]) - problem.lambdas[j];
        worst = std::max(worst, x[j] > 0 ? std::fabs(slope) : slope);
        n_hits += x[j] > 0 ? 1 : 0;
      }
      CHECK(worst < 2e-3);
      const double left = product_of(residual, residual) / product_of(problem.c, problem.c);
      CHECK(std::fabs(1 - left - fit.explained) < 1e-9);
      double sum = 0;
      for (const seqlift::Hit& hit : fit.hits) {
        sum += hit.explained;
      }
      CHECK(std::fabs(sum / 40 - fit.explained) < 1e-9);
    }
    CHECK(n_hits > 20);
    // The filter takes some of these, and those alone.
    options.post_filter = true;
    const HitResults filtered = seqlift::call_hits(motifs, made.view, options);
    std::size_t n_taken = 0;
    for (std::size_t i = 0; i < made.view.n; ++i) {
      std::vector<double> kept;
      for (const seqlift::Hit& hit : results.regions[i].hits) {
        if (hit.similarity >= motifs.lambdas[hit.motif]) {
          kept.push_back(hit.coefficient);
        } else {
          ++n_taken;
        }
      }
      REQUIRE(filtered.regions[i].hits.size() == kept.size());
      for (std::size_t k = 0; k < kept.size(); ++k) {
        CHECK(filtered.regions[i].hits[k].coefficient == kept[k]);
      }
    }
    CHECK(n_taken > 0);
  }
}

TEST_CASE("the exact gap is primal less dual of the coefficients returned, also far from the end") {
  const HitMotifs motifs = random_hit_motifs(3, {5, 5, 7});
  const MadeRegions made = random_regions(4, 4, 50);
  HitOptions options;
  options.float64 = true;
  options.post_filter = false;
  options.max_steps = 5;
  const HitResults results = seqlift::call_hits(motifs, made.view, options);
  for (std::size_t i = 0; i < made.view.n; ++i) {
    const RegionFit& fit = results.regions[i];
    const DenseProblem problem = written_out(motifs, made, i, false);
    const std::vector<double> x = coefficients_of(problem, fit);
    const std::vector<double> residual = residual_of(problem, x);
    double largest = 1;
    double primal = product_of(residual, residual) / 2;
    for (std::size_t j = 0; j < x.size(); ++j) {
      largest = std::max(largest, product_of(residual, problem.columns[j]) / problem.lambdas[j]);
      primal += problem.lambdas[j] * x[j];
    }
    // The dual at the residual made feasible.
    const double dual = product_of(residual, problem.c) / largest -
                        product_of(residual, residual) / (2 * largest * largest);
    CHECK(std::fabs(fit.exact_gap - (primal - dual) / 50) < 1e-9);
  }
}

TEST_CASE("places that are passed over change nothing: steps are those of all gradients") {
  const HitMotifs motifs = random_hit_motifs(5, {4, 9, 9, 5});
  const MadeRegions made = random_regions(6, 3, 60);
  for (const bool hypothetical : {false, true}) {
    for (std::size_t i = 0; i < made.view.n; ++i) {
      const DenseProblem problem = written_out(motifs, made, i, hypothetical);
      std::vector<double> x(problem.columns.size(), 0);
      std::vector<double> y = x;
      HitOptions options;
      options.hypothetical = hypothetical;
      std::vector<std::size_t> kept;
      for (std::size_t k = 1; k <= 60; ++k) {
        kept.push_back(k);
      }
      const seqlift::HitSteps steps = seqlift::hit_steps(motifs, made.view, i, kept, options);
      for (std::size_t k = 0; k < kept.size(); ++k) {
        const std::vector<double> residual = residual_of(problem, y);
        const std::vector<double> before = x;
        double worst = 0;
        for (std::size_t j = 0; j < x.size(); ++j) {
          const double slope = product_of(residual, problem.columns[j]) - problem.lambdas[j];
          x[j] = std::max(0.0, y[j] + options.step_size * slope);
        }
        for (std::size_t j = 0; j < x.size(); ++j) {
          y[j] = x[j] + static_cast<double>(k) / static_cast<double>(k + 3) * (x[j] - before[j]);
          const double own =
              steps.coefficients[k][problem.places[j] * motifs.size() + problem.motifs[j]];
          worst = std::max(worst, std::fabs(own - x[j]) / (1 + std::fabs(x[j])));
        }
        CHECK(worst < 1e-8);
        CHECK(std::fabs(steps.nlls[k] - product_of(residual, residual) / 120) <
              1e-9 * (1 + steps.nlls[k]));
      }
    }
  }
}

TEST_CASE("hits do not depend on threads, or on which regions are given together") {
  const HitMotifs motifs = random_hit_motifs(7, {6, 6, 8, 8});
  const MadeRegions made = random_regions(8, 9, 70);
  HitOptions options;
  const HitResults all = seqlift::call_hits(motifs, made.view, options);
  options.workers.threads = 3;
  const HitResults threaded = seqlift::call_hits(motifs, made.view, options);
  CHECK(all.sums == threaded.sums);
  for (std::size_t i = 0; i < made.view.n; ++i) {
    std::vector<double> scores;
    for (std::size_t k = 0; k < 4 * 70; ++k) {
      scores.push_back(made.scores[i + made.view.n * k]);
    }
    const HitRegions one{1, 70, scores.data(), made.codes.data() + i * 70};
    const HitResults alone = seqlift::call_hits(motifs, one, options);
    for (const RegionFit* fit : {&threaded.regions[i], &alone.regions[0]}) {
      REQUIRE(fit->hits.size() == all.regions[i].hits.size());
      CHECK(fit->gap == all.regions[i].gap);
      for (std::size_t k = 0; k < fit->hits.size(); ++k) {
        CHECK(fit->hits[k].coefficient == all.regions[i].hits[k].coefficient);
        CHECK(fit->hits[k].start == all.regions[i].hits[k].start);
      }
    }
  }
}

TEST_CASE("steps that diverge are begun again with shorter ones, down to the least") {
  const HitMotifs motifs = random_hit_motifs(9, {6, 6});
  const MadeRegions made = random_regions(10, 2, 40);
  HitOptions options;
  options.step_size = 1000;
  const HitResults results = seqlift::call_hits(motifs, made.view, options);
  for (const RegionFit& fit : results.regions) {
    CHECK(fit.outcome == HitOutcome::converged);
    CHECK(fit.step_size < 1000);
    CHECK(fit.gap <= options.tolerance);
  }
  options.step_size_min = 900;
  for (const RegionFit& fit : seqlift::call_hits(motifs, made.view, options).regions) {
    CHECK(fit.outcome == HitOutcome::diverged);
  }
  options.step_size = 0.01;
  options.step_size_min = 0.001;
  options.max_steps = 3;
  for (const RegionFit& fit : seqlift::call_hits(motifs, made.view, options).regions) {
    CHECK(fit.outcome == HitOutcome::out_of_steps);
    CHECK(fit.n_steps == 4);
  }
}

TEST_CASE("zeros and contributions against every motif have no hits, after one step") {
  HitMotifs motifs = random_hit_motifs(11, {5, 5});
  for (double& weight : motifs.weights) {
    weight = std::fabs(weight);
  }
  MadeRegions made = random_regions(12, 2, 30);
  for (std::size_t k = 0; k < made.scores.size(); ++k) {
    made.scores[k] = k % 2 == 0 ? 0 : -std::fabs(made.scores[k]);
  }
  for (const RegionFit& fit : seqlift::call_hits(motifs, made.view, {}).regions) {
    CHECK(fit.hits.empty());
    CHECK(fit.n_steps == 1);
    CHECK(fit.exact_gap == 0);
  }
}

TEST_CASE("overlapping hits collapse as each pair by itself says") {
  RandomState random(13);
  for (const double overlap : {0.0, 0.2, 0.5, 1.0}) {
    std::vector<HitPlace> hits;
    for (int i = 0; i < 300; ++i) {
      const auto start = static_cast<std::int64_t>(random.uniform() * 400);
      hits.push_back({i % 3, start, start + 1 + static_cast<std::int64_t>(random.uniform() * 40),
                      std::floor(random.uniform() * 20) / 20});
    }
    const std::vector<bool> stays = seqlift::collapse_hits(hits, overlap);
    std::size_t n_left = 0;
    for (std::size_t i = 0; i < hits.size(); ++i) {
      bool wins = true;
      for (std::size_t j = 0; j < hits.size(); ++j) {
        const auto inner = [&](const HitPlace& hit, bool end) {
          const auto cut =
              static_cast<std::int64_t>(overlap * static_cast<double>(hit.end - hit.start));
          return end ? 2 * hit.end - cut : 2 * hit.start + cut;
        };
        const bool meet = i != j && hits[i].sequence == hits[j].sequence &&
                          inner(hits[i], true) >= inner(hits[j], false) &&
                          inner(hits[j], true) >= inner(hits[i], false);
        const bool loses = hits[j].similarity > hits[i].similarity ||
                           (hits[j].similarity == hits[i].similarity && j < i);
        wins = wins && !(meet && loses);
      }
      CHECK(stays[i] == wins);
      n_left += wins ? 1 : 0;
    }
    CHECK(n_left > 3);
    CHECK(n_left < hits.size());
  }
}
