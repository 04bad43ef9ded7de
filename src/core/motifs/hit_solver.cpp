#include "core/motifs/hit_solver.h"

namespace seqlift {

namespace {

// Of each lambda, for rounding: gradients of float have errors of some 1e-6.
constexpr double rounding_margin = 1e-4;

// Of the sum over a whole region, which steps that diverge may make large at one place.
constexpr double rounding_of_sums = 1e-12;

}  // namespace

template <class Number>
HitSolver<Number>::HitSolver(const HitMotifs& motifs, std::size_t length, bool hypothetical)
    : motifs_(motifs),
      length_(length),
      hypothetical_(hypothetical),
      n_(motifs.size()),
      stride_((n_ + loops::hit_lanes - 1) / loops::hit_lanes * loops::hit_lanes),
      places_(length - *std::min_element(motifs.widths.begin(), motifs.widths.end()) + 1),
      first_(*std::min_element(motifs.firsts.begin(), motifs.firsts.end())),
      end_(*std::max_element(motifs.ends.begin(), motifs.ends.end())) {
  rows_.resize(motifs.width * loops::hit_letters * stride_);
  by_motif_.resize(n_ * motifs.width * loops::hit_letters);
  lambdas_.assign(stride_, 1);
  norms_.assign(stride_, 1);
  for (std::size_t m = 0; m < n_; ++m) {
    double sum = 0;
    for (std::size_t k = 0; k < motifs.width; ++k) {
      for (std::size_t base = 0; base < 4; ++base) {
        const double weight = motifs.weights[(m * motifs.width + k) * 4 + base];
        const std::size_t row = k * loops::hit_letters + base;
        rows_[row * stride_ + m] = static_cast<Number>(weight);
        by_motif_[m * motifs.width * loops::hit_letters + row] = static_cast<Number>(weight);
        sum += weight * weight;
      }
    }
    lambdas_[m] = static_cast<Number>(motifs.lambdas[m]);
    norms_[m] = static_cast<Number>(std::sqrt(sum));
  }
  // Wide motifs may reach behind the last places of narrow ones, where they have no coefficient.
  const std::size_t padded = length + motifs.width;
  codes_.assign(padded, 4);
  c_.assign(padded * channels(), 0);
  residual_ = c_;
  reference_ = c_;
  sums_.assign(padded + 1, 0);
  sizes_ = sums_;
  changes_ = sums_;
  scale_.resize(places_ * stride_);
  x_ = scale_;
  before_ = scale_;
  correlation_.resize(stride_);
  after_.resize(stride_);
  slack_.resize(places_);
  has_x_.resize(places_);
  has_y_.resize(places_);
  chosen_.resize(places_);
}

template <class Number>
void HitSolver<Number>::start(const std::vector<double>& contributions, const std::uint8_t* codes) {
  double sum = 0;
  for (const double value : contributions) {
    sum += value * value;
  }
  global_scale_ = std::sqrt(sum / static_cast<double>(length_));
  size_sq_ = 0;
  for (std::size_t l = 0; l < length_; ++l) {
    codes_[l] = std::min<std::uint8_t>(codes[l], 4);
    double square = 0;
    double size = 0;
    for (std::size_t base = 0; base < 4; ++base) {
      const double value = global_scale_ > 0 ? contributions[l * 4 + base] / global_scale_ : 0;
      square += value * value;
      size += std::fabs(value);
      if (hypothetical_) {
        c_[l * 4 + base] = static_cast<Number>(value);
      }
    }
    if (!hypothetical_) {
      c_[l] = codes_[l] < 4 ? static_cast<Number>(contributions[l * 4 + codes_[l]] /
                                                  (global_scale_ > 0 ? global_scale_ : 1))
                            : 0;
    }
    sums_[l + 1] = sums_[l] + square;
    sizes_[l + 1] = sizes_[l] + size;
    size_sq_ += square;
  }
  std::fill(sums_.begin() + static_cast<std::ptrdiff_t>(length_) + 1, sums_.end(), sums_[length_]);
  std::fill(sizes_.begin() + static_cast<std::ptrdiff_t>(length_) + 1, sizes_.end(),
            sizes_[length_]);
  set_scales();
  restart();
}

template <class Number>
void HitSolver<Number>::set_scales() {
  for (std::size_t place = 0; place < places_; ++place) {
    Number* scale = scale_.data() + place * stride_;
    for (std::size_t m = 0; m < n_; ++m) {
      const bool fits = place + motifs_.widths[m] <= length_;
      const double below = sums_[place + motifs_.ends[m]] - sums_[place + motifs_.firsts[m]];
      scale[m] = fits ? static_cast<Number>(1 / std::sqrt(below + 1)) : 0;
    }
  }
}

template <class Number>
void HitSolver<Number>::restart() {
  std::fill(x_.begin(), x_.end(), Number(0));
  std::fill(before_.begin(), before_.end(), Number(0));
  std::fill(has_x_.begin(), has_x_.end(), std::uint8_t(0));
  std::fill(has_y_.begin(), has_y_.end(), std::uint8_t(0));
  // No place may be passed over at first.
  std::fill(slack_.begin(), slack_.end(), -1.0);
  wasted_ = places_;
  n_steps_ = 0;
  forget_momentum();
}

template <class Number>
void HitSolver<Number>::forget_momentum() {
  momentum_ = 0;
  n_since_ = 0;
}

template <class Number>
template <class Value>
double HitSolver<Number>::subtract_prediction(const Value& value) {
  std::copy(c_.begin(), c_.end(), residual_.begin());
  double penalty = 0;
  for (std::size_t place = 0; place < places_; ++place) {
    if (has_y_[place] == 0) {
      continue;
    }
    for (std::size_t m = 0; m < n_; ++m) {
      const std::size_t entry = place * stride_ + m;
      const Number own = value(entry);
      if (own == 0) {
        continue;
      }
      penalty += std::fabs(static_cast<double>(own)) * static_cast<double>(lambdas_[m]);
      const Number height = own * scale_[entry];
      const Number* weights = by_motif_.data() + m * motifs_.width * loops::hit_letters;
      for (std::size_t k = motifs_.firsts[m]; k < motifs_.ends[m]; ++k) {
        const Number* letters = weights + k * loops::hit_letters;
        if (hypothetical_) {
          Number* residual = residual_.data() + 4 * (place + k);
          for (std::size_t base = 0; base < 4; ++base) {
            residual[base] -= height * letters[base];
          }
        } else {
          residual_[place + k] -= height * letters[codes_[place + k]];
        }
      }
    }
  }
  return penalty;
}

template <class Number>
void HitSolver<Number>::correlate(std::size_t place) {
  if (hypothetical_) {
    loops::correlate_all(residual_.data() + 4 * place, rows_.data(), stride_, first_, end_,
                         correlation_.data());
  } else {
    loops::correlate_observed(residual_.data() + place, codes_.data() + place, rows_.data(),
                              stride_, first_, end_, correlation_.data());
  }
}

template <class Number>
bool HitSolver<Number>::choose_places() {
  if (wasted_ < places_) {
    for (std::size_t l = 0; l < length_; ++l) {
      double change = 0;
      for (std::size_t k = l * channels(); k < (l + 1) * channels(); ++k) {
        const double apart = static_cast<double>(residual_[k]) - static_cast<double>(reference_[k]);
        change += apart * apart;
      }
      changes_[l + 1] = changes_[l] + change;
    }
    std::fill(changes_.begin() + static_cast<std::ptrdiff_t>(length_) + 1, changes_.end(),
              changes_[length_]);
    const double rounding = rounding_of_sums * changes_[length_];
    for (std::size_t place = 0; place < places_; ++place) {
      const double change = changes_[place + end_] - changes_[place + first_] + rounding;
      chosen_[place] = has_y_[place] != 0 || !(change < slack_[place]) ? 1 : 0;
      wasted_ += chosen_[place] != 0 && has_y_[place] == 0 ? 1 : 0;
    }
  }
  if (wasted_ < places_) {
    return false;
  }
  std::fill(chosen_.begin(), chosen_.end(), std::uint8_t(1));
  reference_ = residual_;
  wasted_ = 0;
  return true;
}

template <class Number>
std::pair<double, double> HitSolver<Number>::residual_sums() const {
  double residual_sq = 0;
  double with_c = 0;
  for (std::size_t k = 0; k < length_ * channels(); ++k) {
    const double own = static_cast<double>(residual_[k]);
    residual_sq += own * own;
    with_c += own * static_cast<double>(c_[k]);
  }
  return {residual_sq, with_c};
}

template <class Number>
void HitSolver<Number>::step(double step_size) {
  const auto momentum = static_cast<Number>(momentum_);
  const double penalty = subtract_prediction(
      [&](std::size_t entry) { return x_[entry] + momentum * (x_[entry] - before_[entry]); });
  const auto [residual_sq, with_c] = residual_sums();
  const bool all = choose_places();
  double largest = 0;
  for (std::size_t place = 0; place < places_; ++place) {
    if (chosen_[place] == 0) {
      continue;
    }
    correlate(place);
    Number* x = x_.data() + place * stride_;
    Number* before = before_.data() + place * stride_;
    const Number* scale = scale_.data() + place * stride_;
    bool any = false;
    const Number share =
        loops::step_at(correlation_.data(), scale, lambdas_.data(), x, before, momentum,
                       static_cast<Number>(step_size), stride_, after_.data(), &any);
    largest = std::max(largest, static_cast<double>(share));
    if (has_x_[place] != 0) {
      std::copy(x, x + stride_, before);
    } else if (has_y_[place] != 0) {
      std::fill(before, before + stride_, Number(0));
    }
    if (any || has_x_[place] != 0) {
      std::copy(after_.begin(), after_.end(), x);
    }
    has_y_[place] = any || has_x_[place] != 0 ? 1 : 0;
    has_x_[place] = any ? 1 : 0;
    if (all) {
      const Number least = loops::least_slack(correlation_.data(), scale, lambdas_.data(),
                                              norms_.data(), Number(1 - rounding_margin), stride_);
      slack_[place] = least > 0 ? static_cast<double>(least) * static_cast<double>(least) : -1;
    }
  }
  const double shrink = largest > 1 ? 1 / largest : 1;
  const auto length = static_cast<double>(length_);
  ++n_since_;
  const double scaled = residual_sq * (shrink * shrink + 1) / 2;
  // A factor `shrink` of the middle term is missing in finemo's.
  gap_ = std::fabs(scaled - with_c + penalty) / length;
  hint_ = (scaled - shrink * with_c + penalty) / length;
  nll_ = residual_sq / (2 * length);
  if (!std::isfinite(static_cast<Number>(residual_sq))) {
    gap_ = std::numeric_limits<double>::quiet_NaN();
  }
  momentum_ = static_cast<double>(n_since_ - 1) / (static_cast<double>(n_since_) + 2);
  ++n_steps_;
}

template <class Number>
double HitSolver<Number>::exact_gap() {
  const double penalty = subtract_prediction([&](std::size_t entry) { return x_[entry]; });
  const auto [residual_sq, with_c] = residual_sums();
  double largest = 0;
  for (std::size_t place = 0; place < places_; ++place) {
    correlate(place);
    largest = std::max(largest, static_cast<double>(loops::largest_share(
                                    correlation_.data(), scale_.data() + place * stride_,
                                    lambdas_.data(), stride_)));
  }
  share_left_ = size_sq_ > 0 ? residual_sq / size_sq_ : 0;
  const double shrink = largest > 1 ? 1 / largest : 1;
  return std::max(0.0, residual_sq * (shrink * shrink + 1) / 2 - shrink * with_c + penalty) /
         static_cast<double>(length_);
}

template <class Number>
std::vector<Hit> HitSolver<Number>::hits(bool post_filter) const {
  std::vector<Hit> found;
  for (std::size_t place = 0; place < places_; ++place) {
    if (has_x_[place] == 0) {
      continue;
    }
    for (std::size_t m = 0; m < n_; ++m) {
      Hit hit;
      hit.coefficient = coefficient(place, m);
      if (!(hit.coefficient > 0)) {
        continue;
      }
      hit.motif = static_cast<std::uint32_t>(m);
      hit.start = static_cast<std::uint32_t>(place);
      const std::size_t from = place + motifs_.firsts[m];
      const std::size_t to = place + motifs_.ends[m];
      hit.importance = sizes_[to] - sizes_[from];
      hit.importance_sq = sums_[to] - sums_[from];
      double product = 0;
      double left = 0;
      for (std::size_t l = from; l < to; ++l) {
        const Number* letters =
            by_motif_.data() + (m * motifs_.width + l - place) * loops::hit_letters;
        if (hypothetical_) {
          for (std::size_t base = 0; base < 4; ++base) {
            const auto weight = static_cast<double>(letters[base]);
            product += static_cast<double>(c_[4 * l + base]) * weight;
            left += static_cast<double>(residual_[4 * l + base]) * weight;
          }
        } else {
          const auto weight = static_cast<double>(letters[codes_[l]]);
          product += static_cast<double>(c_[l]) * weight;
          left += static_cast<double>(residual_[l]) * weight;
        }
      }
      // |c|^2 - |r|^2 = <c - r, c + r>, and c - r is the sum of the predictions.
      hit.explained = hit.coefficient * scale(place, m) * (product + left);
      hit.similarity = hit.importance_sq > 0 ? product / std::sqrt(hit.importance_sq)
                                             : std::numeric_limits<double>::quiet_NaN();
      if (!post_filter || hit.similarity >= motifs_.lambdas[m]) {
        found.push_back(hit);
      }
    }
  }
  return found;
}

template class HitSolver<float>;
template class HitSolver<double>;

}  // namespace seqlift
