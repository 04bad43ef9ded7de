// The accelerated proximal gradient steps of one region (hits.h), without most of their arithmetic.
//
// A step needs the gradient of every motif at every place, but a coefficient of zero stays zero
// where the gradient is below lambda, and the largest gradient / lambda matters only above 1. So
// gradients are computed everywhere at some steps alone. Between those, by Cauchy and Schwarz, the
// gradient of motif m at place p has grown by at most s[m, p] |W_m| |r - r0|, with r0 the residual
// then, r that of now, both below the motif; places where that leaves every motif below its lambda
// are passed over. Nothing is approximated: the numbers are those of steps in full.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "core/motifs/hits.h"
#include "core/motifs/hits_loops.h"

namespace seqlift {

template <class Number>
class HitSolver {
 public:
  HitSolver(const HitMotifs& motifs, std::size_t length, bool hypothetical);

  // A region's contributions [position][4] and bases, and coefficients of zero.
  void start(const std::vector<double>& contributions, const std::uint8_t* codes);
  void restart();
  // Goes on from the coefficients that there are.
  void forget_momentum();
  // Gap and nll are of the point before the step, as finemo has them.
  void step(double step_size);

  double gap() const { return gap_; }
  double nll() const { return nll_; }
  // The duality gap of the point before the step, a hint of whether exact_gap() is worth its time.
  double hint_of_exact_gap() const { return hint_; }
  std::size_t n_steps() const { return n_steps_; }
  double global_scale() const { return global_scale_; }

  // Of the coefficients: the duality gap by position, and |residual|^2 / |c|^2.
  double exact_gap();
  double share_left() const { return share_left_; }  // after exact_gap()

  std::size_t places() const { return places_; }
  double coefficient(std::size_t place, std::size_t motif) const {
    return static_cast<double>(x_[place * stride_ + motif]);
  }
  double scale(std::size_t place, std::size_t motif) const {
    return static_cast<double>(scale_[place * stride_ + motif]);
  }
  std::vector<Hit> hits(bool post_filter) const;  // after exact_gap()

 private:
  std::size_t channels() const { return hypothetical_ ? 4 : 1; }
  void set_scales();
  // residual_ = c - the prediction of coefficients; `value` gives that of an entry.
  template <class Value>
  double subtract_prediction(const Value& value);
  // The residual's sum of squares, and its product with the contributions.
  std::pair<double, double> residual_sums() const;
  void correlate(std::size_t place);
  // Marks the places to be computed; returns whether these are all, by which slacks become those
  // of this residual.
  bool choose_places();

  const HitMotifs& motifs_;
  std::size_t length_;
  bool hypothetical_;
  std::size_t n_;       // motifs
  std::size_t stride_;  // and with those of zeros that fill up the last lanes
  std::size_t places_;
  std::size_t first_;  // of all trimmed motifs
  std::size_t end_;
  std::vector<Number> rows_;      // [position][letter][motif]
  std::vector<Number> by_motif_;  // [motif][position][letter]
  std::vector<Number> lambdas_;
  std::vector<Number> norms_;

  std::vector<std::uint8_t> codes_;
  std::vector<Number> c_;  // [position][channel], as is the residual, zeros behind
  std::vector<Number> residual_;
  std::vector<Number> reference_;  // r0
  std::vector<double> sums_;       // of the first positions' c^2
  std::vector<double> sizes_;      // and |c|
  std::vector<double> changes_;    // and (r - r0)^2
  std::vector<Number> scale_;      // [place][motif], as are x and the x before it
  std::vector<Number> x_;
  std::vector<Number> before_;
  std::vector<Number> correlation_;  // of one place
  std::vector<Number> after_;
  std::vector<double> slack_;  // of each place, squared; negative: none
  std::vector<std::uint8_t> has_x_;
  std::vector<std::uint8_t> has_y_;
  std::vector<std::uint8_t> chosen_;
  std::size_t wasted_ = 0;
  double global_scale_ = 0;
  double size_sq_ = 0;  // |c|^2
  double momentum_ = 0;
  double gap_ = 0;
  double nll_ = 0;
  double hint_ = 0;
  double share_left_ = 1;
  std::size_t n_steps_ = 0;
  std::size_t n_since_ = 0;  // the momentum was forgotten
};

}  // namespace seqlift
