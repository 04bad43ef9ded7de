#include "collector.h"

#include "tensor_functions.h"

namespace seqlift {

Collector::Collector(int64_t sequences, int64_t references, const DeepLiftShapOptions& options,
                     bool by_layer)
    : references_(references), options_(options), by_layer_(by_layer) {
  const auto targets = static_cast<int64_t>(options.targets.size());
  const auto in_double = at::TensorOptions().dtype(at::kDouble);
  result_.predictions = at::zeros({sequences, targets}, in_double);
  result_.reference_predictions = at::zeros({sequences, references, targets}, in_double);
}

void Collector::add(const Piece& whole, const Piece& piece, const at::Tensor& X,
                    const at::Tensor& references, const PairResult& given) {
  std::vector<Part> parts;
  if (given.layers.empty()) {
    parts.push_back(of_sequences(piece, X, references, given));
  }
  for (const LayerPairs& layer : given.layers) {
    parts.push_back(of_layer(piece, layer));
  }
  const int64_t n = piece.sequences();
  const int64_t r = piece.references();
  const at::Tensor f_x = given.f_x.cpu();
  const at::Tensor f_ref = given.f_ref.cpu();
  const at::Tensor change = f_x - f_ref;
  const std::lock_guard<std::mutex> lock(mutex_);
  result_.integrated.insert(given.integrated.begin(), given.integrated.end());
  const auto place = [&](const at::Tensor& whole) {
    return whole.narrow(0, piece.i_begin, n).narrow(1, piece.j_begin, r);
  };
  kept_.resize(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    Kept& kept = kept_[i];
    if (!kept.deltas.defined()) {
      kept.deltas = at::zeros_like(result_.reference_predictions);
    }
    place(kept.deltas).copy_((parts[i].sums - change).unflatten(0, {n, r}));
    // Sums over references grow in place; multipliers each have theirs.
    const Piece& place_of = raw() ? piece : whole;
    auto& part = kept.parts[{place_of.i_begin, place_of.j_begin}];
    if (part.second.defined()) {
      part.second.add_(parts[i].values);
    } else {
      part = {place_of, parts[i].values};
    }
  }
  place(result_.reference_predictions).copy_(f_ref.unflatten(0, {n, r}));
  result_.predictions.narrow(0, piece.i_begin, n).copy_(f_x.unflatten(0, {n, r}).select(1, 0));
}

DeepLiftShapResult Collector::finish(const Sequences& sequences) {
  const int64_t n = sequences.count;
  std::vector<at::Tensor> wholes;
  for (const Kept& kept : kept_) {
    wholes.push_back(join(kept, n));
  }
  if (by_layer_) {
    result_.layers = wholes;
    for (const Kept& kept : kept_) {
      result_.layer_deltas.push_back(kept.deltas);
    }
    return result_;
  }
  result_.values = wholes[0];
  result_.deltas = kept_[0].deltas;
  if (options_.output == DeepLiftShapOptions::Output::attributions) {
    for (int64_t i = 0; i < n; ++i) {
      const at::Tensor x = sequences.X(i, i + 1).narrow(1, 0, bases).to(at::kDouble);
      result_.values.narrow(0, i, 1).mul_(x.unsqueeze(target_dim()));
    }
  }
  return result_;
}

Collector::Part Collector::of_sequences(const Piece& piece, const at::Tensor& X,
                                        const at::Tensor& references,
                                        const PairResult& given) const {
  const std::vector<int64_t> pairs{piece.sequences(), piece.references()};
  const at::Tensor x = X.narrow(1, 0, bases);
  const at::Tensor ref = references.narrow(1, 0, bases);
  std::vector<at::Tensor> sums;
  std::vector<at::Tensor> values;
  for (size_t t = 0; t < options_.targets.size(); ++t) {
    const at::Tensor m = given.multipliers(t).narrow(1, 0, bases);
    const at::Tensor contributions = m.to(at::kDouble) * (x - ref).to(at::kDouble);
    sums.push_back(contributions.sum({1, 2}));
    if (raw()) {
      values.push_back(raw_values(m, contributions).unflatten(0, pairs).cpu());
      continue;
    }
    const at::Tensor hypothetical = hypothetical_attributions(m, ref).to(at::kDouble);
    values.push_back(hypothetical.unflatten(0, pairs).sum(1).cpu());
  }
  return {at::stack(values, target_dim()), at::stack(sums, 1).cpu()};
}

Collector::Part Collector::of_layer(const Piece& piece, const LayerPairs& layer) const {
  const std::vector<int64_t> pairs{piece.sequences(), piece.references()};
  const at::Tensor change = layer.x.to(at::kDouble) - layer.ref.to(at::kDouble);
  std::vector<at::Tensor> sums;
  std::vector<at::Tensor> values;
  for (const at::Tensor& m : layer.multipliers) {
    const at::Tensor contributions = m.to(at::kDouble) * change;
    sums.push_back(contributions.flatten(1).sum(1));
    values.push_back(raw() ? raw_values(m, contributions).unflatten(0, pairs).cpu()
                           : contributions.unflatten(0, pairs).sum(1).cpu());
  }
  return {at::stack(values, -1), at::stack(sums, 1).cpu()};
}

at::Tensor Collector::join(const Kept& kept, int64_t n) const {
  at::Tensor whole;
  for (const auto& entry : kept.parts) {
    const Piece& piece = entry.second.first;
    const at::Tensor& values = entry.second.second;
    if (!whole.defined()) {
      std::vector<int64_t> sizes = values.sizes().vec();
      sizes[0] = n;
      if (raw()) {
        sizes[1] = references_;
      }
      whole = at::zeros(sizes, values.options());
    }
    at::Tensor rows = whole.narrow(0, piece.i_begin, piece.sequences());
    if (raw()) {
      rows.narrow(1, piece.j_begin, piece.references()).copy_(values);
    } else {
      rows.add_(values);
    }
  }
  return raw() ? whole : whole.div_(static_cast<double>(references_));
}

}  // namespace seqlift
