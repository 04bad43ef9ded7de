#include "core/methods/collector.h"

#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Sequences are written into the result so many at a time: where those of one position lie together
// (R's arrays), one after the other would touch all of its memory for each.
constexpr int64_t together = 16;

}  // namespace

Collector::Collector(const Sequences& sequences, int64_t references,
                     const DeepLiftShapOptions& options, bool by_layer)
    : sequences_(sequences), references_(references), options_(options), by_layer_(by_layer) {
  const int64_t n = sequences.count;
  const auto targets = static_cast<int64_t>(options.targets.size());
  const auto in_double = at::TensorOptions().dtype(at::kDouble);
  result_.predictions = at::zeros({n, targets}, in_double);
  result_.reference_predictions = at::zeros({n, references, targets}, in_double);
  if (by_layer || n == 0) {
    return;
  }
  kept_.resize(1);
  std::vector<int64_t> sizes{n};
  if (raw()) {
    sizes.push_back(references);
  }
  sizes.insert(sizes.end(), {bases, sequences.X(0, 1).size(2)});
  sizes.insert(sizes.end() + target_dim() + 1, targets);
  kept_[0].whole.values = space_for(sizes);
  if (options.standard_errors && !raw()) {
    kept_[0].whole.squares = space_for(sizes);
  }
}

at::Tensor Collector::space_for(std::vector<int64_t> sizes) const {
  return options_.space && !by_layer_ ? options_.space(sizes) : at::empty(sizes, at::kDouble);
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
    int64_t& pairs = kept.pairs[piece.i_begin];
    pairs += n * r;
    if (pairs == n * references_) {
      kept.complete += n;
    }
  }
  place(result_.reference_predictions).copy_(f_ref.unflatten(0, {n, r}));
  result_.predictions.narrow(0, piece.i_begin, n).copy_(f_x.unflatten(0, {n, r}).select(1, 0));
}

void Collector::write_complete() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Kept& kept : kept_) {
    if (kept.complete >= together) {
      settle(kept);
    }
  }
}

DeepLiftShapResult Collector::finish() {
  for (Kept& kept : kept_) {
    settle(kept);
  }
  if (by_layer_) {
    for (const Kept& kept : kept_) {
      result_.layers.push_back(kept.whole.values);
      result_.layer_deltas.push_back(kept.deltas);
    }
    return result_;
  }
  result_.values = kept_[0].whole.values;
  result_.standard_errors = kept_[0].whole.squares;
  result_.deltas = kept_[0].deltas;
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

Sum Collector::joined(Kept& kept, int64_t begin) const {
  Sum rows;
  for (auto entry = kept.parts.lower_bound({begin, 0});
       entry != kept.parts.end() && entry->first.first == begin; entry = kept.parts.erase(entry)) {
    const Piece& piece = entry->second.first;
    const Sum& part = entry->second.second;
    if (raw()) {
      if (!rows.values.defined()) {
        std::vector<int64_t> sizes = part.values.sizes().vec();
        sizes[1] = references_;
        rows.values = at::empty(sizes, part.values.options());
      }
      rows.values.narrow(1, piece.j_begin, piece.references()).copy_(part.values);
    } else if (!rows.values.defined()) {
      rows = part;
    } else {
      rows.add(piece.j_begin, part, piece.references());
    }
  }
  return rows;
}

void Collector::finish_rows(Sum& rows, int64_t begin) const {
  if (raw()) {
    return;
  }
  const auto references = static_cast<double>(references_);
  rows.values.div_(references);
  if (rows.squares.defined()) {
    rows.squares.div_(references * (references - 1)).sqrt_();
  }
  if (by_layer_ || options_.output != DeepLiftShapOptions::Output::attributions) {
    return;
  }
  const at::Tensor x = sequences_.X(begin, begin + rows.values.size(0))
                           .narrow(1, 0, bases)
                           .to(at::kDouble)
                           .unsqueeze(target_dim());
  rows.values.mul_(x);
  if (rows.squares.defined()) {
    rows.squares.mul_(x.abs());
  }
}

void Collector::settle(Kept& kept) const {
  std::vector<at::Tensor> values;
  std::vector<at::Tensor> squares;
  int64_t begin = 0;  // of those that are gathered
  int64_t end = 0;
  const auto write = [&]() {
    const auto into = [&](at::Tensor& whole, const std::vector<at::Tensor>& rows) {
      if (rows.empty()) {
        return;
      }
      if (!whole.defined()) {
        std::vector<int64_t> sizes = rows[0].sizes().vec();
        sizes[0] = sequences_.count;
        whole = space_for(sizes);
      }
      whole.narrow(0, begin, end - begin).copy_(rows.size() == 1 ? rows[0] : at::cat(rows));
    };
    into(kept.whole.values, values);
    into(kept.whole.squares, squares);
    values.clear();
    squares.clear();
  };
  for (auto entry = kept.pairs.begin(); entry != kept.pairs.end();) {
    const int64_t first = entry->first;
    const int64_t rows = kept.parts.lower_bound({first, 0})->second.first.sequences();
    if (entry->second < rows * references_) {
      ++entry;
      continue;
    }
    if (first != end) {
      write();
      begin = first;
    }
    Sum one = joined(kept, first);
    finish_rows(one, first);
    values.push_back(one.values);
    if (one.squares.defined()) {
      squares.push_back(one.squares);
    }
    end = first + rows;
    entry = kept.pairs.erase(entry);
  }
  write();
  kept.complete = 0;
}

}  // namespace seqlift
