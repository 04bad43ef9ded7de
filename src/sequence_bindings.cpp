// R's door to the sequence core: codes are raw matrices [length, n], generators integer vectors
// (624 words and the position). Arguments arrive checked; the wording of errors is R's.
#include <Rcpp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/disk.h"
#include "core/base/error.h"
#include "core/base/memory.h"
#include "core/sequences/edits.h"
#include "core/sequences/random.h"
#include "core/sequences/seqlets.h"
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

// Columns of R's table, positions from 1 and ends inclusive.
Rcpp::List seqlet_columns(const std::vector<seqlift::Seqlet>& seqlets) {
  const auto count = static_cast<R_xlen_t>(seqlets.size());
  Rcpp::IntegerVector example(count), start(count), end(count);
  Rcpp::NumericVector attribution(count), p_value(count);
  for (R_xlen_t i = 0; i < count; ++i) {
    const seqlift::Seqlet& seqlet = seqlets[i];
    example[i] = static_cast<int>(seqlet.example) + 1;
    start[i] = static_cast<int>(seqlet.start) + 1;
    end[i] = static_cast<int>(seqlet.end);
    attribution[i] = seqlet.attribution;
    p_value[i] = std::isnan(seqlet.p_value) ? NA_REAL : seqlet.p_value;
  }
  return Rcpp::List::create(Named("example") = example, Named("start") = start, Named("end") = end,
                            Named("attribution") = attribution, Named("p_value") = p_value);
}

using Sums = Rcpp::XPtr<seqlift::WindowSums>;

// A matrix [length, n].
seqlift::TracksView tracks_view(const Rcpp::NumericMatrix& tracks) {
  return {tracks.begin(), static_cast<std::size_t>(tracks.nrow()),
          static_cast<std::size_t>(tracks.ncol())};
}

SEXP place(const std::optional<seqlift::OneHotViolation>& violation) {
  if (!violation) {
    return R_NilValue;
  }
  return Rcpp::List::create(Named("sequence") = violation->sequence + 1.0,
                            Named("position") = violation->position + 1.0,
                            Named("value") = violation->value);
}

seqlift::TfModiscoSeqletOptions tfmodisco_options(int window_size, int flank, double target_fdr,
                                                  double min_passing_frac,
                                                  double max_passing_frac) {
  seqlift::TfModiscoSeqletOptions options;
  options.window_size = window_size;
  options.flank = flank;
  options.target_fdr = target_fdr;
  options.min_passing_frac = min_passing_frac;
  options.max_passing_frac = max_passing_frac;
  return options;
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

// [[Rcpp::export(rng = false)]]
Rcpp::List core_recursive_seqlets(Rcpp::NumericMatrix tracks, double threshold, int min_length,
                                  int max_length, int additional_flanks, bool compatible) {
  const seqlift::TracksView view = tracks_view(tracks);
  seqlift::RecursiveSeqletOptions options;
  options.threshold = threshold;
  options.min_length = min_length;
  options.max_length = max_length;
  options.additional_flanks = additional_flanks;
  options.compatible = compatible;
  const seqlift::SpanDistribution null(view, options.max_length, options);
  std::vector<seqlift::Seqlet> all;
  for (std::size_t i = 0; i < view.count; ++i) {
    Rcpp::checkUserInterrupt();
    const auto own = seqlift::recursive_seqlets(view, i, null, options);
    all.insert(all.end(), own.begin(), own.end());
  }
  return seqlet_columns(all);
}

// [[Rcpp::export(rng = false)]]
Rcpp::List core_tfmodisco_seqlets(Rcpp::NumericMatrix tracks, int window_size, int flank,
                                  double target_fdr, double min_passing_frac,
                                  double max_passing_frac) {
  return seqlet_columns(seqlift::tfmodisco_seqlets(
      tracks_view(tracks),
      tfmodisco_options(window_size, flank, target_fdr, min_passing_frac, max_passing_frac)));
}

// Sums of the windows of tracks that come in pieces; those beyond `held` numbers go to a file in
// `folder`.
// [[Rcpp::export(rng = false)]]
SEXP core_window_sums(int length, int window_size, double held, std::string folder) {
  return Sums(new seqlift::WindowSums(static_cast<std::size_t>(length),
                                      static_cast<std::size_t>(window_size),
                                      static_cast<std::size_t>(held), folder));
}

// Tracks [length, n]; what went wrong, or nothing.
// [[Rcpp::export(rng = false)]]
Rcpp::CharacterVector core_add_tracks(SEXP sums, Rcpp::NumericMatrix tracks) {
  try {
    Sums(sums)->add(tracks_view(tracks));
    return Rcpp::CharacterVector();
  } catch (const seqlift::Error& error) {
    return Rcpp::CharacterVector::create(error.what());
  }
}

// As tfmodisco 2.6 calls them, with `sign` (1, -1, or 0: too weak for one). Of each sign the first
// `most` are returned, and those without one if `all`. Beside them `n` of all and of each
// sign, and `thresholds`: of the signs of seqlets, of positive windows and of negative ones.
// [[Rcpp::export(rng = false)]]
Rcpp::List core_tfmodisco_calls(SEXP sums, int window_size, int flank, double target_fdr,
                                double min_passing_frac, double max_passing_frac,
                                double weak_quantile, double most, bool all) {
  seqlift::TfModiscoSeqletOptions options =
      tfmodisco_options(window_size, flank, target_fdr, min_passing_frac, max_passing_frac);
  options.n_quantiles = 19;
  options.sorted = true;
  std::vector<seqlift::Seqlet> kept;
  std::vector<int> signs;
  double n = 0;
  double n_positive = 0;
  double n_negative = 0;
  seqlift::TfModiscoThresholds thresholds;
  try {
    const auto found = seqlift::tfmodisco_thresholds(*Sums(sums), options, weak_quantile);
    if (found) {
      thresholds = *found;
      seqlift::call_windows(*Sums(sums), options, thresholds, [&](const seqlift::Seqlet& seqlet) {
        const int sign = seqlet.attribution > thresholds.sign    ? 1
                         : seqlet.attribution < -thresholds.sign ? -1
                                                                 : 0;
        double& of_sign = sign > 0 ? n_positive : n_negative;
        ++n;
        of_sign += sign == 0 ? 0 : 1;
        if (sign == 0 ? all : of_sign <= most) {
          kept.push_back(seqlet);
          signs.push_back(sign);
        }
      });
    }
  } catch (const seqlift::Error& error) {
    return Rcpp::List::create(Named("error") = error.what());
  }
  Rcpp::List columns = seqlet_columns(kept);
  columns["sign"] = Rcpp::IntegerVector(signs.begin(), signs.end());
  columns["n"] = Rcpp::NumericVector::create(n, n_positive, n_negative);
  columns["thresholds"] =
      Rcpp::NumericVector::create(thresholds.sign, thresholds.positive, -thresholds.negative);
  return columns;
}

// [[Rcpp::export(rng = false)]]
Rcpp::CharacterVector core_file_kinds(Rcpp::CharacterVector paths) {
  using seqlift::FileKind;
  const auto name = [](FileKind kind) {
    switch (kind) {
      case FileKind::absent:
        return "absent";
      case FileKind::file:
        return "file";
      case FileKind::folder:
        return "folder";
      case FileKind::pipe:
        return "pipe";
      case FileKind::socket:
        return "socket";
      case FileKind::device:
        return "device";
      default:
        return "unknown";
    }
  };
  Rcpp::CharacterVector kinds(paths.size());
  for (R_xlen_t i = 0; i < paths.size(); ++i) {
    kinds[i] = name(seqlift::file_kind(Rcpp::as<std::string>(paths[i])));
  }
  return kinds;
}

// Gives values their attributes in place, where R would copy them: only for values that nothing
// else holds, such as what the engine has just returned.
// [[Rcpp::export(rng = false)]]
SEXP core_own_attributes(SEXP values, Rcpp::List attributes) {
  const Rcpp::CharacterVector names = attributes.names();
  for (R_xlen_t i = 0; i < attributes.size(); ++i) {
    Rf_setAttrib(values, Rf_install(names[i]), attributes[i]);
  }
  return values;
}

// [[Rcpp::export(rng = false)]]
std::string core_flush_to_disk(std::string path) { return seqlift::flush_to_disk(path); }

// [[Rcpp::export(rng = false)]]
std::string core_ask_for_room(std::string path, double bytes) {
  return seqlift::ask_for_room(path, static_cast<std::int64_t>(bytes));
}

// Of a process that has set none; NA where the system does not tell.
// [[Rcpp::export(rng = false)]]
double core_memory_budget() {
  const auto bytes = seqlift::memory_budget();
  return bytes ? static_cast<double>(*bytes) : NA_REAL;
}
