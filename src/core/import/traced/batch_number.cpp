#include "core/import/traced/batch_number.h"

#include <algorithm>
#include <cmath>

namespace seqlift {

namespace {

double form_at(BatchNumber::Form form, double n) {
  switch (form) {
    case BatchNumber::Form::linear:
      return n;
    case BatchNumber::Form::inverse:
      return 1 / n;
    case BatchNumber::Form::root:
      return std::sqrt(n);
    case BatchNumber::Form::inverse_root:
      return 1 / std::sqrt(n);
    case BatchNumber::Form::square:
      break;
  }
  return n * n;
}

// Coefficients come from numbers that were rounded, to float32 at worst.
double plain(double value) {
  const double scale = 1e6;
  const double rounded = std::round(value * scale) / scale;
  return std::abs(value - rounded) <= 1e-6 * std::max(1.0, std::abs(value)) ? rounded : value;
}

}  // namespace

double BatchNumber::at(int64_t sequences) const {
  return a * form_at(form, static_cast<double>(sequences)) + b;
}

std::optional<BatchNumber> find_batch_number(const std::vector<int64_t>& sequences,
                                             const std::vector<double>& values, bool whole,
                                             double tolerance) {
  using Form = BatchNumber::Form;
  const std::vector<Form> forms = whole ? std::vector<Form>{Form::linear, Form::square}
                                        : std::vector<Form>{Form::linear, Form::inverse, Form::root,
                                                            Form::inverse_root, Form::square};
  const auto fits = [&](const BatchNumber& number) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double found = number.at(sequences[i]);
      if (!(std::abs(found - values[i]) <= tolerance * std::max(std::abs(values[i]), 1e-30))) {
        return false;
      }
    }
    return true;
  };
  for (const bool offset : {false, true}) {
    for (const Form form : forms) {
      const double first = form_at(form, static_cast<double>(sequences[0]));
      const double second = form_at(form, static_cast<double>(sequences[1]));
      const double a = offset ? (values[1] - values[0]) / (second - first) : values[0] / first;
      const double b = offset ? values[0] - a * first : 0;
      const BatchNumber exact{form, a, b};
      const BatchNumber rounded{form, whole ? std::round(a) : plain(a),
                                whole ? std::round(b) : plain(b)};
      for (const BatchNumber& number : {rounded, exact}) {
        const bool usable =
            !whole || (number.a == std::round(number.a) && number.b == std::round(number.b));
        if (usable && fits(number)) {
          return number;
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace seqlift
