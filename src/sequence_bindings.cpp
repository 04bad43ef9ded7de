// R's door to the sequence core: codes are raw matrices [length, n], generators integer vectors
// (624 words and the position). Arguments arrive checked; the wording of errors is R's.
#include <Rcpp.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/sequences/edits.h"
#include "core/sequences/random.h"
#include "core/sequences/sequence.h"
#include "core/sequences/shuffle.h"

namespace {

using Rcpp::Named;

seqlift::CodesView view(const Rcpp::RawMatrix& codes) {
  return {RAW(codes), static_cast<std::size_t>(codes.nrow()),
          static_cast<std::size_t>(codes.ncol())};
}

// First and last position (from 1, inclusive) to our half-open range.
seqlift::Region region(int start, int end) {
  return {static_cast<std::size_t>(start - 1), static_cast<std::size_t>(end)};
}

std::uint32_t seed_word(double seed) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(seed));
}

Rcpp::RawVector raw_array(const std::vector<int>& shape) {
  R_xlen_t size = 1;
  for (const int extent : shape) {
    size *= extent;
  }
  Rcpp::RawVector codes(size);
  codes.attr("dim") = Rcpp::wrap(shape);
  return codes;
}

seqlift::RandomState generator_from(const Rcpp::IntegerVector& state) {
  seqlift::RandomSnapshot snapshot;
  std::copy_n(state.begin(), snapshot.words.size(), snapshot.words.begin());
  snapshot.position = static_cast<std::size_t>(state[seqlift::RandomSnapshot::n_words]);
  return seqlift::RandomState(snapshot);
}

Rcpp::IntegerVector state_of(const seqlift::RandomState& random) {
  const seqlift::RandomSnapshot& snapshot = random.snapshot();
  Rcpp::IntegerVector state(seqlift::RandomSnapshot::n_words + 1);
  std::copy(snapshot.words.begin(), snapshot.words.end(), state.begin());
  state[seqlift::RandomSnapshot::n_words] = static_cast<int>(snapshot.position);
  return state;
}

// One row of probabilities for all sequences, or one for each.
std::vector<std::vector<double>> cumulative_rows(const Rcpp::NumericMatrix& probabilities) {
  std::vector<std::vector<double>> rows;
  for (int i = 0; i < probabilities.nrow(); ++i) {
    const Rcpp::NumericVector row = probabilities.row(i);
    rows.push_back(seqlift::cumulative_shares(row.begin(), row.size()));
  }
  return rows;
}

seqlift::OneHotOptions one_hot_options(const Rcpp::NumericVector& values, int n_checked) {
  const Rcpp::IntegerVector shape = values.attr("dim");
  seqlift::OneHotOptions options;
  options.n_sequences = shape[0];
  options.n_channels = shape[1];
  options.n_checked = n_checked;
  options.length = shape[2];
  return options;
}

SEXP place(const std::optional<seqlift::OneHotViolation>& violation) {
  if (!violation) {
    return R_NilValue;
  }
  return Rcpp::List::create(Named("sequence") = violation->sequence + 1.0,
                            Named("position") = violation->position + 1.0,
                            Named("value") = violation->value);
}

}  // namespace

// Codes of the sequences, or the place of the first letter outside the alphabet.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_encode(Rcpp::CharacterVector text, int length, std::string letters,
                       std::string ignored, bool fold_case) {
  const seqlift::Alphabet alphabet(letters, ignored, fold_case);
  const auto count = static_cast<int>(text.size());
  Rcpp::RawVector codes = raw_array({length, count});
  for (int i = 0; i < count; ++i) {
    const auto n = static_cast<std::size_t>(length);
    const std::size_t good = alphabet.encode(CHAR(STRING_ELT(text, i)), n, RAW(codes) + n * i);
    if (good < n) {
      return Rcpp::List::create(Named("sequence") = i + 1, Named("position") = good + 1.0);
    }
  }
  return Rcpp::List::create(Named("codes") = codes);
}

// [[Rcpp::export(rng = false)]]
Rcpp::CharacterVector core_decode(Rcpp::RawMatrix codes, std::string letters) {
  const seqlift::CodesView sequences = view(codes);
  Rcpp::CharacterVector text(codes.ncol());
  for (int i = 0; i < codes.ncol(); ++i) {
    text[i] = seqlift::decode(sequences.sequence(i), sequences.length, letters);
  }
  return text;
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_check_one_hot(Rcpp::NumericVector values, int n_checked, bool allow_unknown) {
  seqlift::OneHotOptions options = one_hot_options(values, n_checked);
  options.allow_unknown = allow_unknown;
  const seqlift::OneHotReport report = seqlift::check_one_hot(values.begin(), options);
  return Rcpp::List::create(Named("not_finite") = place(report.not_finite),
                            Named("not_binary") = place(report.not_binary),
                            Named("wrong_sum") = place(report.wrong_sum));
}

// [[Rcpp::export(rng = false)]]
Rcpp::RawVector core_codes_from_one_hot(Rcpp::NumericVector values, int n_checked) {
  const seqlift::OneHotOptions options = one_hot_options(values, n_checked);
  Rcpp::RawVector codes =
      raw_array({static_cast<int>(options.length), static_cast<int>(options.n_sequences)});
  seqlift::codes_from_one_hot(values.begin(), options, RAW(codes));
  return codes;
}

// raw [length, ...] to double [..., n_channels, length].
// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector core_codes_to_one_hot(Rcpp::RawVector codes, int n_channels) {
  const Rcpp::IntegerVector shape = codes.attr("dim");
  std::vector<int> out_shape(shape.begin() + 1, shape.end());
  out_shape.push_back(n_channels);
  out_shape.push_back(shape[0]);
  std::size_t count = 1;
  for (auto extent = shape.begin() + 1; extent != shape.end(); ++extent) {
    count *= *extent;
  }
  const seqlift::CodesView sequences{RAW(codes), static_cast<std::size_t>(shape[0]), count};
  Rcpp::NumericVector values(codes.size() * static_cast<R_xlen_t>(n_channels));
  seqlift::one_hot_from_codes(sequences, n_channels, values.begin());
  values.attr("dim") = Rcpp::wrap(out_shape);
  return values;
}

// [[Rcpp::export(rng = false)]]
Rcpp::IntegerVector core_seed_generator(double seed) {
  return state_of(seqlift::RandomState(seed_word(seed)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_random_letters(Rcpp::IntegerVector state, int n_letters, int length, int count) {
  seqlift::RandomState random = generator_from(state);
  Rcpp::RawVector codes = raw_array({length, count});
  seqlift::random_letters(random, n_letters, codes.size(), RAW(codes));
  return Rcpp::List::create(Named("codes") = codes, Named("state") = state_of(random));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_weighted_letters(Rcpp::IntegerVector state, Rcpp::NumericMatrix probabilities,
                                 int length, int count) {
  seqlift::RandomState random = generator_from(state);
  const std::vector<std::vector<double>> cumulative = cumulative_rows(probabilities);
  Rcpp::RawVector codes = raw_array({length, count});
  for (int i = 0; i < count; ++i) {
    seqlift::random_letters(random, cumulative[cumulative.size() == 1 ? 0 : i], length,
                            RAW(codes) + static_cast<R_xlen_t>(length) * i);
  }
  return Rcpp::List::create(Named("codes") = codes, Named("state") = state_of(random));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_randomize_region(Rcpp::RawMatrix codes, int start, int end, int n,
                                 Rcpp::NumericMatrix probabilities, Rcpp::IntegerVector state) {
  seqlift::RandomState random = generator_from(state);
  Rcpp::RawVector randomized = raw_array({codes.nrow(), codes.ncol(), n});
  seqlift::randomize_region(view(codes), region(start, end), n, cumulative_rows(probabilities),
                            random, RAW(randomized));
  return Rcpp::List::create(Named("codes") = randomized, Named("state") = state_of(random));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_shuffle_region(Rcpp::RawMatrix codes, int start, int end, int n,
                               Rcpp::IntegerVector state) {
  seqlift::RandomState random = generator_from(state);
  const seqlift::CodesView sequences = view(codes);
  Rcpp::RawVector shuffled = raw_array({codes.nrow(), codes.ncol(), n});
  seqlift::shuffle_region(sequences, region(start, end), n, random, RAW(shuffled));
  Rcpp::LogicalVector can_change(codes.ncol());
  for (int i = 0; i < codes.ncol(); ++i) {
    can_change[i] = seqlift::shuffle_can_change(sequences.sequence(i), region(start, end));
  }
  return Rcpp::List::create(Named("codes") = shuffled, Named("can_change") = can_change,
                            Named("state") = state_of(random));
}

// Shuffles [length, n_sequences, n]: sequence i (from 0) has its own generator, seeded with
// seed + i.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_dinucleotide_shuffle(Rcpp::RawMatrix codes, int start, int end, int n,
                                     double seed) {
  const seqlift::CodesView sequences = view(codes);
  Rcpp::RawVector shuffled = raw_array({codes.nrow(), codes.ncol(), n});
  Rcpp::LogicalVector can_change(codes.ncol());
  seqlift::DinucleotideShuffleOptions options;
  options.region = region(start, end);
  options.n = n;
  options.out_stride = sequences.length * sequences.count;
  for (int i = 0; i < codes.ncol(); ++i) {
    Rcpp::checkUserInterrupt();
    options.seed = seed_word(seed + i);
    can_change[i] = seqlift::dinucleotide_shuffle(sequences.sequence(i), sequences.length, options,
                                                  RAW(shuffled) + sequences.length * i)
                        .can_change;
  }
  return Rcpp::List::create(Named("codes") = shuffled, Named("can_change") = can_change);
}

// References [length, n, n_sequences]: reference j (from 0) of every sequence is its first
// shuffle under seed + j.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_reference_shuffles(Rcpp::RawMatrix codes, int n, double seed) {
  const seqlift::CodesView sequences = view(codes);
  Rcpp::RawVector shuffled = raw_array({codes.nrow(), n, codes.ncol()});
  Rcpp::LogicalVector can_change(codes.ncol());
  seqlift::DinucleotideShuffleOptions options;
  options.region = {0, sequences.length};
  options.n = n;
  options.seed = seed_word(seed);
  options.reseed_each = true;
  options.out_stride = sequences.length;
  for (int i = 0; i < codes.ncol(); ++i) {
    Rcpp::checkUserInterrupt();
    can_change[i] = seqlift::dinucleotide_shuffle(sequences.sequence(i), sequences.length, options,
                                                  RAW(shuffled) + sequences.length * n * i)
                        .can_change;
  }
  return Rcpp::List::create(Named("codes") = shuffled, Named("can_change") = can_change);
}

// [[Rcpp::export(rng = false)]]
Rcpp::RawVector core_substitute_motif(Rcpp::RawMatrix codes, Rcpp::RawMatrix motif, int start) {
  Rcpp::RawVector edited = raw_array({codes.nrow(), codes.ncol()});
  seqlift::substitute_motif(view(codes), view(motif), start - 1, RAW(edited));
  return edited;
}

// [[Rcpp::export(rng = false)]]
Rcpp::RawVector core_insert_motif(Rcpp::RawMatrix codes, Rcpp::RawMatrix motif, int start) {
  Rcpp::RawVector edited = raw_array({codes.nrow() + motif.nrow(), codes.ncol()});
  seqlift::insert_motif(view(codes), view(motif), start - 1, RAW(edited));
  return edited;
}

// [[Rcpp::export(rng = false)]]
Rcpp::RawVector core_delete_region(Rcpp::RawMatrix codes, int start, int end) {
  Rcpp::RawVector edited = raw_array({codes.nrow() - (end - start + 1), codes.ncol()});
  seqlift::delete_region(view(codes), region(start, end), RAW(edited));
  return edited;
}
