#include "edited.h"

#include "core/methods/predict_windows.h"
#include "core/model/model.h"
#include "core/numeric/tensor_functions.h"

namespace nets {

Edits all_substitutions(const at::Tensor& X) {
  Edits edits;
  std::vector<at::Tensor> content;
  const at::Tensor bases = at::eye(4, X.options());
  for (int64_t i = 0; i < X.size(0); ++i) {
    for (int64_t position = 0; position < X.size(2); ++position) {
      for (int64_t base = 0; base < 4; ++base) {
        if (X[i][base][position].item<double>() == 0) {
          edits.row.push_back(i);
          edits.start.push_back(position);
          content.push_back(bases[base].unsqueeze(1));
        }
      }
    }
  }
  edits.content = at::stack(content);
  return edits;
}

Edits random_edits(const at::Tensor& X, int64_t widest, int64_t count, int64_t seed) {
  Edits edits = random_windows(X, widest, count, seed);
  for (int64_t i = 0; i < count; ++i) {
    edits.width.push_back(1 + (i * 31 + seed) % widest);
    // At both ends, too.
    const int64_t last = X.size(2) - edits.width[i];
    edits.start[i] = i % 5 == 0 ? last : std::min(edits.start[i], last);
  }
  return edits;
}

Edits random_windows(const at::Tensor& X, int64_t width, int64_t count, int64_t seed) {
  Edits edits;
  edits.content = one_hot(count, width, seed).to(X.scalar_type());
  const int64_t last = X.size(2) - width;
  for (int64_t i = 0; i < count; ++i) {
    edits.row.push_back(i % X.size(0));
    edits.start.push_back(i < 2 ? 0 : i < 4 ? last : (i * 7919 + seed) % (last + 1));
  }
  return edits;
}

Edits all_shifts(const at::Tensor& X, int64_t seed) {
  Edits edits;
  std::vector<at::Tensor> content;
  const int64_t length = X.size(2);
  for (int64_t i = 0; i < X.size(0); ++i) {
    for (int64_t position = 0; position < length; ++position) {
      const int64_t own = length - position;
      const int64_t size = std::min<int64_t>(1 + (position + seed) % 3, own);
      const at::Tensor fresh = one_hot(1, size, seed + position).to(X.scalar_type())[0];
      const at::Tensor behind = X[i].narrow(1, position, own);
      const bool insertion = (position + seed) % 2 == 0;
      const at::Tensor after = insertion ? at::cat({fresh, behind.narrow(1, 0, own - size)}, 1)
                                         : at::cat({behind.narrow(1, size, own - size), fresh}, 1);
      edits.row.push_back(i);
      edits.start.push_back(position);
      edits.width.push_back(own);
      content.push_back(at::constant_pad_nd(after, {0, length - own}));
    }
  }
  edits.content = at::stack(content);
  return edits;
}

Edited edited(const ModelPointer& model, const at::Tensor& X, const Edits& edits,
              const std::vector<at::Tensor>& args, const Settings& settings) {
  seqlift::Constants constants(model->dtype, settings.dtype, at::Device(at::kCPU));
  seqlift::Sequences sequences;
  sequences.count = X.size(0);
  sequences.X = [X](int64_t begin, int64_t end) { return X.narrow(0, begin, end - begin); };
  sequences.args = args;
  seqlift::PredictWindowsOptions options;
  options.method = seqlift::PredictWindowsOptions::Method::incremental;
  options.batch_size = settings.batch_size;
  options.work.threads = settings.threads;
  options.originals = seqlift::PredictWindowsOptions::Originals::alone;
  const auto graph = seqlift::build_graph(model, {});
  const auto result = seqlift::predict_windows(
      *graph, constants, sequences, {edits.row, edits.start, edits.content, edits.width}, options);
  const auto count = static_cast<int64_t>(edits.row.size());
  const at::Tensor rows = at::tensor(edits.row, at::TensorOptions(at::kLong));
  const at::Tensor copies = X.index_select(0, rows);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t width = edits.width.empty() ? edits.content.size(2) : edits.width[i];
    copies[i]
        .narrow(0, 0, 4)
        .narrow(1, edits.start[i], width)
        .copy_(edits.content[i].narrow(1, 0, width));
  }
  std::vector<at::Tensor> copied_args;
  for (const at::Tensor& arg : args) {
    copied_args.push_back(arg.index_select(0, rows));
  }
  const std::vector<at::Tensor> expected = interpreted(model, copies, copied_args);
  // As many rows, so that a model that squeezes keeps them.
  const std::vector<at::Tensor> before = interpreted(model, X.index_select(0, rows), copied_args);
  seqlift::PredictOptions by_one;
  by_one.batch_size = 1;
  const std::vector<at::Tensor> predicted = seqlift::predict(*graph, constants, sequences, by_one);
  Edited found;
  found.share = result.done_work / std::max(result.whole_work, 1.0);
  found.whole = result.evaluated_whole;
  if (result.outputs.size() != expected.size() || result.originals.size() != expected.size()) {
    found.apart = 1e9;
    return found;
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    const at::Tensor there = expected[i].to(at::kDouble);
    const at::Tensor here = result.outputs[i].to(at::kDouble);
    if (!there.sizes().equals(here.sizes())) {
      found.apart = 1e9;
      return found;
    }
    // Of every edit what it gives, and what its sequence gives as it is.
    const at::Tensor original = before[i].to(at::kDouble);
    const at::Tensor own = result.originals[i].to(at::kDouble).index_select(0, rows);
    if (!own.sizes().equals(original.sizes())) {
      found.apart = 1e9;
      return found;
    }
    found.originals_as_predicted =
        found.originals_as_predicted && result.originals[i].equal(predicted[i]);
    const double size = std::max(1.0, there.abs().max().item<double>());
    for (const at::Tensor& apart : {here - there, own - original}) {
      const double largest = apart.abs().max().item<double>() / size;
      found.apart = largest <= 1e9 ? std::max(found.apart, largest) : 1e9;
    }
    const at::Tensor change = there - original;
    found.effect = std::max(found.effect, change.abs().max().item<double>());
  }
  return found;
}

}  // namespace nets
