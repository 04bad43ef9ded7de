#include "core/methods/collector.h"

#include "core/numeric/tensor_functions.h"

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
    if (part.second.values.defined()) {
      part.second.add(piece.j_begin - whole.j_begin, parts[i].values, r);
    } else {
      part = {place_of, parts[i].values};
    }
  }
  place(result_.reference_predictions).copy_(f_ref.unflatten(0, {n, r}));
  result_.predictions.narrow(0, piece.i_begin, n).copy_(f_x.unflatten(0, {n, r}).select(1, 0));
}

DeepLiftShapResult Collector::finish(const Sequences& sequences) {
  const int64_t n = sequences.count;
  if (by_layer_) {
    for (const Kept& kept : kept_) {
      result_.layers.push_back(join(kept, n).values);
      result_.layer_deltas.push_back(kept.deltas);
    }
    return result_;
  }
  const Sum whole = join(kept_[0], n);
  result_.values = whole.values;
  result_.standard_errors = whole.squares;
  result_.deltas = kept_[0].deltas;
  if (options_.output == DeepLiftShapOptions::Output::attributions) {
    for (int64_t i = 0; i < n; ++i) {
      const at::Tensor x = sequences.X(i, i + 1).narrow(1, 0, bases).to(at::kDouble);
      result_.values.narrow(0, i, 1).mul_(x.unsqueeze(target_dim()));
      if (result_.standard_errors.defined()) {
        result_.standard_errors.narrow(0, i, 1).mul_(x.abs().unsqueeze(target_dim()));
      }
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
  std::vector<at::Tensor> squares;
  for (size_t t = 0; t < options_.targets.size(); ++t) {
    const at::Tensor m = given.multipliers(t).narrow(1, 0, bases);
    const at::Tensor contributions = m.to(at::kDouble) * (x - ref).to(at::kDouble);
    sums.push_back(contributions.sum({1, 2}));
    if (raw()) {
      values.push_back(raw_values(m, contributions).unflatten(0, pairs).cpu());
      continue;
    }
    const at::Tensor hypothetical =
        hypothetical_attributions(m, ref).to(at::kDouble).unflatten(0, pairs);
    const at::Tensor sum = hypothetical.sum(1);
    values.push_back(sum.cpu());
    if (options_.standard_errors) {
      const at::Tensor mean = (sum / static_cast<double>(pairs[1])).unsqueeze(1);
      squares.push_back((hypothetical - mean).square_().sum(1).cpu());
    }
  }
  const at::Tensor of_targets = squares.empty() ? at::Tensor() : at::stack(squares, target_dim());
  return {{at::stack(values, target_dim()), of_targets}, at::stack(sums, 1).cpu()};
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
  return {{at::stack(values, -1), at::Tensor()}, at::stack(sums, 1).cpu()};
}

void Sum::add(int64_t count, const Sum& other, int64_t more) {
  if (squares.defined()) {
    const auto own = static_cast<double>(count);
    const auto others = static_cast<double>(more);
    const at::Tensor difference = other.values / others - values / own;
    squares.add_(other.squares);
    squares.add_(difference.square_(), own * others / (own + others));
  }
  values.add_(other.values);
}

Sum Collector::join(const Kept& kept, int64_t n) const {
  Sum whole;
  for (const auto& entry : kept.parts) {
    const Piece& piece = entry.second.first;
    const Sum& part = entry.second.second;
    const auto zeros_for_all = [&](const at::Tensor& values) {
      std::vector<int64_t> sizes = values.sizes().vec();
      sizes[0] = n;
      if (raw()) {
        sizes[1] = references_;
      }
      return at::zeros(sizes, values.options());
    };
    if (!whole.values.defined()) {
      whole.values = zeros_for_all(part.values);
      whole.squares = part.squares.defined() ? zeros_for_all(part.squares) : at::Tensor();
    }
    const auto rows_of = [&](const at::Tensor& all) {
      return all.defined() ? all.narrow(0, piece.i_begin, piece.sequences()) : all;
    };
    Sum rows{rows_of(whole.values), rows_of(whole.squares)};
    if (raw()) {
      rows.values.narrow(1, piece.j_begin, piece.references()).copy_(part.values);
    } else if (piece.j_begin == 0) {
      rows.values.add_(part.values);
      if (rows.squares.defined()) {
        rows.squares.copy_(part.squares);
      }
    } else {
      rows.add(piece.j_begin, part, piece.references());
    }
  }
  if (!raw()) {
    const auto references = static_cast<double>(references_);
    whole.values.div_(references);
    if (whole.squares.defined()) {
      whole.squares.div_(references * (references - 1)).sqrt_();
    }
  }
  return whole;
}

}  // namespace seqlift
