// The gene-level score of long-context models (Linder 2025: the mean of tracks, summed over the
// bins of a gene's exons, log): squashing undone, mean over tracks, sum or mean over bins, log.
// Bins are cut out as one stretch with the gaps in it weighted 0, so that windows of positions stay
// windows.
#include "core/model/bin_score.h"

#include <algorithm>
#include <sstream>

#include "core/model/standard_layers.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Of numbers in ascending order.
int64_t span_of(const std::vector<int64_t>& chosen) { return chosen.back() - chosen.front() + 1; }

bool has_gaps(const std::vector<int64_t>& chosen) {
  return !chosen.empty() && span_of(chosen) != static_cast<int64_t>(chosen.size());
}

std::string statement(const std::string& code) { return "    " + code + "\n"; }

// Refuses an output whose size in `dim` is not what was chosen from.
std::string check_size(const char* what, const std::string& dim, const std::vector<int64_t>& chosen,
                       int64_t in_all) {
  const std::string size = "output.size(" + dim + ")";
  if (in_all > 0) {
    const std::string wanted = std::to_string(in_all);
    return statement("assert " + size + " == " + wanted + ", \"select_bins() was made for " +
                     wanted + " " + what + ", the output has {}\".format(" + size + ")");
  }
  if (chosen.empty()) {
    return "";
  }
  const std::string last = std::to_string(chosen.back() + 1);
  return statement("assert " + size + " >= " + last + ", \"select_bins() was given number " + last +
                   " of the " + what + ", the output has {}\".format(" + size + ")");
}

ModulePart unsquash_part(const Squashing& squashing) {
  std::string source = "def forward(self, squashed):\n    values = squashed\n";
  if (squashing.scale != 1) {
    source += statement("values = values / " + source_number(squashing.scale));
  }
  if (squashing.clip > 0) {
    // The same as a condition on the values, without one.
    const std::string clip = source_number(squashing.clip);
    source += statement("above = torch.relu(values - " + clip + ")");
    source += statement("values = torch.clamp_max(values, " + clip + ") + above * above");
  }
  if (squashing.power != 1) {
    source += statement("values = torch.pow(values, " + source_number(1 / squashing.power) + ")");
  }
  ModulePart part;
  part.class_name = "seqlift.Unsquash";
  part.source = source + statement("return values");
  return part;
}

ModulePart log_part(double pseudocount) {
  ModulePart part;
  part.class_name = "seqlift.LogScore";
  part.source =
      "def forward(self, total):\n" +
      statement(pseudocount == 1 ? "return torch.log1p(total)"
                                 : "return torch.log(total + " + source_number(pseudocount) + ")");
  return part;
}

}  // namespace

ModulePart bin_score_part(const BinScoreOptions& options) {
  const std::string bins = options.tracks_first ? "2" : "1";
  const std::string tracks = options.tracks_first ? "1" : "2";
  ModulePart part;
  part.class_name = "seqlift.BinScore";
  std::string& source = part.source;
  source = "def forward(self, output: Tensor):\n";
  source += statement(
      "assert output.dim() == 3, \"select_bins() takes an output of three dimensions, a sequence's "
      "bins and tracks, this one has {}\".format(output.dim())");
  source += check_size("bins", bins, options.bins, options.bins_in_all);
  source += check_size("tracks", tracks, options.tracks, options.tracks_in_all);
  source += statement("values = output");
  const auto cut = [&source](const std::string& dim, const std::vector<int64_t>& chosen) {
    source +=
        statement("values = torch.narrow(values, " + dim + ", " + std::to_string(chosen.front()) +
                  ", " + std::to_string(span_of(chosen)) + ")");
  };
  if (!options.bins.empty()) {
    cut(bins, options.bins);
  }
  if (has_gaps(options.tracks)) {
    part.buffers.emplace_back("tracks", at::tensor(options.tracks, at::kLong));
    source += statement("values = torch.index_select(values, " + tracks + ", self.tracks)");
  } else if (!options.tracks.empty()) {
    cut(tracks, options.tracks);
  }
  if (options.squashing.any()) {
    part.parts.emplace_back("unsquash", unsquash_part(options.squashing));
    source += statement("values = self.unsquash.forward(values)");
  }
  source += statement("values = torch.mean(values, [" + tracks + "])");
  if (has_gaps(options.bins)) {
    const double share = options.mean ? 1.0 / static_cast<double>(options.bins.size()) : 1;
    at::Tensor weights = at::zeros({span_of(options.bins)}, at::kDouble);
    for (const int64_t bin : options.bins) {
      weights[bin - options.bins.front()] = share;
    }
    part.buffers.emplace_back("weights", weights);
    source += statement("values = values * self.weights.to(values.dtype)");
  }
  const bool by_weights = has_gaps(options.bins);
  source += statement(std::string("score = torch.") +
                      (options.mean && !by_weights ? "mean" : "sum") + "(values, [1], True)");
  if (options.logarithm) {
    part.parts.emplace_back("log", log_part(options.pseudocount));
    source += statement("score = self.log.forward(score)");
  }
  source += statement("return score");
  return part;
}

std::string key_of(const BinScoreOptions& options) {
  std::ostringstream text;
  text.precision(17);
  text << options.tracks_first << options.mean << options.logarithm << "," << options.pseudocount
       << "," << options.bins_in_all << "," << options.tracks_in_all << ","
       << options.squashing.scale << "," << options.squashing.clip << ","
       << options.squashing.power;
  for (const auto* chosen : {&options.bins, &options.tracks}) {
    text << "|";
    for (const int64_t number : *chosen) {
      text << number << ",";
    }
  }
  return text.str();
}

}  // namespace seqlift
