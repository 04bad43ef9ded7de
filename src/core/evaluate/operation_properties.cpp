#include "core/evaluate/operation_properties.h"

#include <ATen/core/Tensor.h>

#include "core/base/error.h"
#include "core/changes/change.h"
#include "core/rules/rules.h"

namespace seqlift {

RowsByName::RowsByName(std::vector<Operation>& rows) {
  for (Operation& row : rows) {
    if (!rows_.emplace(row.name, &row).second) {
      throw Error("internal", "The operation table has `" + std::string(row.name) + "` twice.");
    }
  }
}

Operation& RowsByName::at(const char* name) const {
  const auto found = rows_.find(name);
  if (found == rows_.end()) {
    throw Error("internal", "The operation table has no row `" + std::string(name) +
                                "`, of which it says something.");
  }
  return *found->second;
}

namespace {

using Names = std::vector<const char*>;

// Sets one thing in the rows of these names.
class Setter {
 public:
  explicit Setter(std::vector<Operation>& rows) : rows_(rows) {}

  void operator()(Trait trait, const Names& names) const {
    for (const char* name : names) {
      rows_.at(name).traits.set(static_cast<size_t>(trait));
    }
  }
  template <typename T>
  void operator()(T Operation::*property, T value, const Names& names) const {
    for (const char* name : names) {
      rows_.at(name).*property = value;
    }
  }

 private:
  RowsByName rows_;
};

// clang-format off

// What it does with the numbers that it is given.
void set_computations(const Setter& set) {
  set(Trait::combines,
      {"sum", "mean", "nansum", "nanmean", "cumsum", "prod", "cumprod", "var", "std", "var_mean",
       "std_mean", "norm", "linalg_norm", "linalg_vector_norm", "linalg_matrix_norm",
       "frobenius_norm", "cosine_similarity", "linalg_vecdot", "linalg_cross",
       "trapezoid", "trapz", "cumulative_trapezoid", "diff", "gradient", "glu",
       "amax", "amin", "max", "min", "aminmax", "median", "nanmedian", "nanquantile", "mode",
       "sort", "topk", "kthvalue", "cummax", "cummin", "argmax", "argmin", "argsort", "any", "all",
       "softmax", "log_softmax", "logsumexp", "_softmax", "_log_softmax", "softmin",
       "special_softmax", "special_log_softmax", "special_logsumexp", "logcumsumexp",
       "_logcumsumexp",
       "fft_fft", "fft_ifft", "fft_rfft", "fft_irfft", "fft_hfft", "fft_ihfft", "fft_fft2",
       "fft_ifft2", "fft_rfft2", "fft_irfft2", "fft_hfft2", "fft_ihfft2", "fft_fftn", "fft_ifftn",
       "fft_rfftn", "fft_irfftn", "fft_hfftn", "fft_ihfftn", "_fft_r2c", "_fft_c2r", "_fft_c2c"});
  set(Trait::permutes, {"permute"});
  set(Trait::adds_dimension, {"unsqueeze", "stack"});
  set(Trait::slices, {"slice"});
  set(Trait::element, {"__getitem__"});
  set(Trait::takes_apart,
      {"cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "__getitem__",
       "TupleIndex"});
  const Names convolutions{"conv1d",           "conv2d",           "conv3d",
                           "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
                           "_convolution",     "convolution",      "_convolution_mode"};
  set(Trait::convolves, convolutions);
  set(Trait::onednn_gradient, convolutions);
  set(Trait::onednn_gradient, {"conv_tbc"});
  set(Trait::transposed, {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"});
  set(Trait::drops, {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"});
  set(Trait::detaches, {"detach", "data"});
  set(Trait::chooses_by_x,
      {"where", "masked_fill", "index_put", "index", "gather", "take_along_dim", "embedding"});
  set(Trait::quadratic, {"lerp", "mse_loss"});
  set(Trait::powers, {"prod", "cumprod", "mse_loss"});
  set(Trait::divides, {"div", "divide", "true_divide", "addcdiv"});
  set(Trait::bitwise,
      {"__and__", "__or__", "__xor__", "__iand__", "__ior__", "__ixor__", "bitwise_and",
       "bitwise_or", "bitwise_xor", "bitwise_not"});
  set(Trait::finds_places, {"argmax", "argmin", "argsort"});
  set(Trait::rectifies, {"relu"});
  set(Trait::looks_for_nan,
      {"isnan", "isfinite", "isinf", "nan_to_num", "nansum", "nanmean", "nanmedian",
       "nanquantile"});
  set(Trait::looks_up,
      {"embedding", "one_hot", "index", "index_select", "gather", "take", "scatter"});
  set(Trait::draws_like, {"rand_like", "randn_like", "randint_like"});

  const auto inputs = &Operation::linear_in;
  set(inputs, "input", {"grid_sampler", "grid_sampler_2d", "grid_sampler_3d"});
  set(inputs, "self",
      {"max_unpool2d", "max_unpool3d", "triangular_solve", "cholesky_solve", "lu_solve"});
  set(inputs, "B", {"linalg_solve", "linalg_solve_triangular", "linalg_lu_solve"});
  const auto added = &Operation::added;
  set(added, int8_t{0}, {"addmm", "baddbmm", "addbmm", "addmv", "addr", "addcmul", "addcdiv"});
  set(added, int8_t{2},
      {"linear", "conv_tbc", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
       "conv_transpose3d", "_convolution", "convolution", "_convolution_mode"});
  set(added, int8_t{3}, {"bilinear"});
  const auto spatial = &Operation::spatial;
  set(spatial, int8_t{1}, {"max_pool1d", "max_pool1d_with_indices", "adaptive_max_pool1d"});
  set(spatial, int8_t{2}, {"max_pool2d", "max_pool2d_with_indices", "adaptive_max_pool2d"});
  set(spatial, int8_t{3}, {"max_pool3d", "max_pool3d_with_indices", "adaptive_max_pool3d"});
  const auto derivative = &Operation::derivative;
  set(derivative, Compute{derivatives::nll_loss}, {"nll_loss2d", "nll_loss_nd"});
  set(derivative, Compute{derivatives::channel_shuffle},
      {"channel_shuffle", "native_channel_shuffle"});
  set(derivative, Compute{derivatives::aminmax}, {"aminmax"});
  set(derivative, Compute{derivatives::floor_divide}, {"floor_divide"});
  set(derivative, Compute{derivatives::heaviside}, {"heaviside"});
  set(derivative, Compute{derivatives::conv_tbc}, {"conv_tbc"});
  set(derivative, Compute{derivatives::masked_select}, {"masked_select"});
  set(derivative, Compute{derivatives::remainder}, {"remainder"});
}

// Which of the operations that share a rule it is.
void set_forms(const Setter& set) {
  const auto form = [&](Form form, const Names& names) { set(&Operation::form, form, names); };
  form(Form::minimum, {"min", "amin", "minimum", "fmin", "argmin", "all"});
  form(Form::both_extremes, {"aminmax"});
  form(Form::sorted, {"sort", "argsort"});
  form(Form::largest_few, {"topk"});
  form(Form::nth, {"kthvalue"});
  form(Form::median, {"median"});
  form(Form::running_maximum, {"cummax"});
  form(Form::running_minimum, {"cummin"});
  form(Form::difference, {"sub", "subtract"});
  form(Form::reversed_difference, {"rsub"});
  form(Form::mean, {"mean"});
  form(Form::root, {"std", "std_mean"});
  form(Form::log, {"log_softmax", "_log_softmax", "special_log_softmax"});
  form(Form::sum, {"logsumexp", "special_logsumexp"});
  form(Form::negative, {"softmin"});
  form(Form::base_two, {"logaddexp2"});
  form(Form::greater, {"gt", "greater"});
  form(Form::greater_equal, {"ge", "greater_equal"});
  form(Form::less, {"lt", "less"});
  form(Form::less_equal, {"le", "less_equal"});
  form(Form::equal, {"eq"});
  form(Form::not_equal, {"ne", "not_equal"});
  form(Form::close, {"isclose"});
  form(Form::heaviside, {"heaviside"});
  form(Form::conjunction, {"logical_and", "__and__", "__iand__", "bitwise_and"});
  form(Form::disjunction, {"logical_or", "__or__", "__ior__", "bitwise_or"});
  form(Form::exclusive, {"logical_xor", "__xor__", "__ixor__", "bitwise_xor"});
  form(Form::negation, {"logical_not", "bitwise_not"});
  form(Form::count, {"bucketize"});
  form(Form::sign, {"signbit"});
  form(Form::matrix, {"linalg_matrix_norm"});
  form(Form::matrix_or_vector, {"linalg_norm"});
  form(Form::all_pairs, {"cdist"});
  form(Form::lstm, {"lstm", "lstm_cell"});
  form(Form::gru, {"gru", "gru_cell"});
  form(Form::rnn_tanh, {"rnn_tanh", "rnn_tanh_cell"});
  form(Form::rnn_relu, {"rnn_relu", "rnn_relu_cell"});
}

// How it is evaluated, and in which type.
void set_evaluation(const Setter& set) {
  set(Trait::low_precision,
      {"linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "conv1d", "conv2d", "conv3d",
       "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "_convolution", "convolution",
       "_convolution_mode"});
  set(Trait::gradient_as_laid_out, {"gelu", "affine_grid_generator"});
  set(&Operation::fast, FastPath::dense_layer, {"linear"});
  set(&Operation::fast, FastPath::line_as_image, {"batch_norm"});
  set(&Operation::fast, FastPath::line_pool, {"max_pool1d"});
  set(&Operation::peer_pool, PeerPool::line, {"max_pool1d"});
  set(&Operation::peer_pool, PeerPool::image, {"max_pool2d"});

  const auto typing = &Operation::typing;
  set(typing, Typing::default_type,
      {"zeros", "ones", "empty", "eye", "linspace", "logspace", "rand", "randn", "hann_window",
       "hamming_window", "blackman_window", "bartlett_window", "kaiser_window", "fft_fftfreq",
       "fft_rfftfreq", "empty_strided"});
  set(typing, Typing::default_type_if_real, {"full", "arange", "range", "scalar_tensor"});
  set(typing, Typing::of_data, {"tensor", "as_tensor"});
  set(typing, Typing::single, {"float", "_cast_Float"});
  set(typing, Typing::of_choice, {"where"});
  set(typing, Typing::of_bytes, {"view", "view_copy"});

  const auto cost = &Operation::cost;
  set(cost, Cost::dear_numbers,
      {"softmax", "log_softmax", "gelu", "silu", "exp", "log", "sigmoid", "tanh", "erf",
       "softplus", "mish", "layer_norm", "logsumexp", "pow"});
  set(cost, Cost::product, {"matmul", "bmm", "mm", "baddbmm", "addmm", "mv"});
  set(cost, Cost::attention, {"scaled_dot_product_attention", "_scaled_dot_product_attention"});

  const auto shape = &Operation::shape;
  set(shape, ShapeBy::input,
      {"relu", "relu6", "hardtanh", "batch_norm", "layer_norm", "group_norm", "instance_norm",
       "prelu", "flip", "roll", "dropout", "threshold"});
  // An operation that LibTorch has not for tensors without memory throws, which takes milliseconds.
  set(shape, ShapeBy::meta,
      {"linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "softmax", "log_softmax",
       "gelu", "silu", "elu", "softplus", "sigmoid", "tanh", "exp", "leaky_relu", "mish", "glu",
       "clamp", "mean", "sum", "amax", "cumsum", "add", "sub", "mul", "div", "pow", "rsqrt",
       "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "scaled_dot_product_attention"});
  set(shape, ShapeBy::numbers,
      {"nonzero", "masked_select"});
}

// How it sees memory (layout.h).
void set_layouts(const Setter& set) {
  const auto layout = &Operation::layout;
  set(layout, LayoutUse::numbers,
      {"view", "view_as", "_unsafe_view", "_reshape_alias", "as_strided", "view_copy", "resize",
       "resize_as", "as_strided_scatter", "as_strided_copy", "view_as_complex",
       "view_as_complex_copy", "set", "_resize_output", "kron"});
  set(layout, LayoutUse::answer,
      {"stride", "is_contiguous", "storage_offset", "is_non_overlapping_and_dense",
       "is_strides_like_format"});
  const auto view = &Operation::view;
  set(view, View::t, {"t"});
  set(view, View::transpose, {"transpose", "swapaxes", "swapdims"});
  set(view, View::unsqueeze, {"unsqueeze"});
  set(view, View::squeeze, {"squeeze"});
  set(view, View::as_strided, {"as_strided"});
  set(view, View::memory, {"resize", "resize_as", "set"});
  set(Trait::strided, {"as_strided"});
  set(Trait::copies_in_order, {"contiguous", "clone"});
  set(Trait::views,
      {"view", "_reshape_alias", "unflatten", "permute", "transpose", "t", "swapaxes", "swapdims",
       "movedim", "moveaxis", "squeeze", "unsqueeze", "expand", "expand_as", "slice", "narrow",
       "select", "chunk", "split", "unbind", "detach", "alias", "split_with_sizes"});
  set(Trait::shares_by_layout,
      {"view", "view_as", "_reshape_alias", "as_strided", "reshape", "reshape_as", "flatten",
       "ravel", "contiguous", "to", "unflatten", "type_as", "expand_as", "atleast_3d",
       "view_as_complex"});
  set(Trait::keeps_numbers,
      {"to", "contiguous", "detach", "clone", "alias", "squeeze", "view", "reshape", "unsqueeze",
       "permute", "transpose", "slice"});
  set(Trait::casts, {"to", "contiguous", "detach", "alias", "clone", "lift_fresh", "round"});
  const auto layer = &Operation::layer;
  set(layer, LayerKind::convolution, {"conv1d", "conv2d", "convolution", "_convolution"});
  set(layer, LayerKind::linear, {"linear"});
  set(layer, LayerKind::matmul, {"matmul"});
  set(layer, LayerKind::lookup, {"embedding", "one_hot"});
  set(layer, LayerKind::recurrent, {"lstm", "gru"});
  set(layer, LayerKind::norm, {"batch_norm"});
  set(layer, LayerKind::layer_norm, {"layer_norm"});
  // Made anew.
  set(Trait::keeps_order,
      {"zeros", "ones", "full", "empty", "arange", "linspace", "eye", "tensor", "scalar_tensor",
       "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full"});
  // Layers.
  set(Trait::keeps_order,
      {"conv1d", "conv2d", "conv3d", "_convolution", "convolution", "conv_transpose1d",
       "conv_transpose2d", "conv_transpose3d", "linear", "max_pool1d", "max_pool2d", "max_pool3d",
       "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
       "adaptive_max_pool1d", "adaptive_max_pool2d", "batch_norm", "layer_norm", "group_norm",
       "softmax", "log_softmax", "dropout", "feature_dropout", "alpha_dropout",
       "feature_alpha_dropout", "upsample_nearest1d", "upsample_nearest2d", "upsample_linear1d",
       "upsample_bilinear2d", "constant_pad_nd", "embedding"});
  // One number for each.
  set(Trait::keeps_order,
      {"relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus",
       "sigmoid", "tanh", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "reciprocal", "square",
       "abs", "neg", "sin", "cos", "erf", "pow", "clamp", "clamp_min", "clamp_max", "hardtanh",
       "hardsigmoid", "hardswish", "hardshrink", "softshrink", "threshold", "softsign", "add",
       "sub", "mul", "div", "rsub", "maximum", "minimum", "where", "masked_fill", "float",
       "double", "to", "type_as", "detach", "alias", "glu"});
  // Joined, or merged and split.
  set(Trait::keeps_order,
      {"cat", "concat", "stack", "view", "view_as", "_unsafe_view", "_reshape_alias", "reshape",
       "reshape_as", "flatten", "unflatten", "ravel", "unsqueeze", "squeeze", "sum", "mean",
       "amax", "amin"});
}

// What it makes of a step of X (evaluate/letters.cpp).
void set_steps(const Setter& set, std::vector<Operation>& rows) {
  set(Trait::rounds,
      {"floor", "ceil", "round", "special_round", "trunc", "fix", "sign", "sgn", "int", "long",
       "heaviside", "floor_divide"});
  for (Operation& row : rows) {
    if (row.kind == Kind::elementwise || row.kind == Kind::condition) {
      set(Trait::hands_on, {row.name});
    }
  }
  set(Trait::hands_on,
      {"add", "sub", "subtract", "rsub", "mul", "multiply", "div", "divide", "true_divide", "neg",
       "negative", "where", "masked_fill", "maximum", "minimum", "view", "reshape", "flatten",
       "unflatten", "permute", "transpose", "t", "mT", "numpy_T", "swapaxes", "swapdims",
       "movedim", "moveaxis", "squeeze", "unsqueeze", "expand", "expand_as", "broadcast_to",
       "contiguous", "clone", "to", "type_as", "float", "double", "detach", "alias",
       "index_select", "index", "gather", "take_along_dim", "embedding", "unbind", "dropout",
       "feature_dropout", "view_as", "_to_copy", "__getitem__", "unchecked_cast"});
  set(Trait::chooses,
      {"mul", "multiply", "div", "divide", "true_divide", "where", "masked_fill", "index",
       "gather", "take_along_dim", "index_select", "masked_select", "max_unpool2d",
       "max_unpool3d", "scatter", "index_put", "copysign", "matmul", "bmm", "einsum",
       "__getitem__"});
}

// What RevealCancel does with it. Linear operations hand each part on by itself, but for these.
void set_reveal(const Setter& set, std::vector<Operation>& rows) {
  for (Operation& row : rows) {
    row.reveal = row.kind == Kind::linear        ? Reveal::parts
                 : row.kind == Kind::elementwise ? Reveal::elementwise
                                                 : Reveal::shared;
  }
  const auto reveal = [&](Reveal reveal, const Names& names) {
    set(&Operation::reveal, reveal, names);
  };
  reveal(Reveal::passes,
         {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "detach",
          "data"});
  reveal(Reveal::negates, {"neg", "negative", "_neg_view"});
  reveal(Reveal::adds, {"add"});
  reveal(Reveal::subtracts, {"sub", "subtract"});
  reveal(Reveal::subtracts_first, {"rsub"});
  reveal(Reveal::scales, {"mul", "multiply", "div", "divide", "true_divide", "batch_norm"});
  reveal(Reveal::weighs,
         {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
          "_convolution", "convolution", "_convolution_mode", "linear", "addmm", "addbmm",
          "baddbmm", "addmv", "addr", "matmul", "mm", "bmm", "mv", "inner", "outer", "ger", "kron",
          "linalg_matmul", "tensordot", "einsum"});
  // Of several inputs, or with statistics of its own.
  reveal(Reveal::shared,
         {"glu", "_batch_norm_impl_index", "native_batch_norm", "cudnn_batch_norm"});
  // Linear, with factors of both signs.
  reveal(Reveal::shared,
         {"diff", "gradient", "upsample_bicubic2d", "_upsample_bicubic2d_aa", "__interpolate",
          "upsample", "__upsample", "affine_grid_generator", "linalg_solve",
          "linalg_solve_triangular", "triangular_solve", "cholesky_solve", "linalg_lu_solve",
          "lu_solve"});
  set(&Operation::signed_by, SignedBy::alpha, {"index_add"});
  set(&Operation::signed_by, SignedBy::interpolation, {"grid_sampler", "grid_sampler_2d"});
}

// How a change in a window of the input spreads; the other rows spread it everywhere.
void set_changes(const Setter& set, std::vector<Operation>& rows) {
  const auto spread = [&](ChangeRule rule, const Names& names) {
    set(&Operation::change, rule, names);
  };
  for (Operation& row : rows) {
    const bool one_input = row.rule == rules::elementwise || row.rule == rules::piecewise;
    row.change = one_input ? changes::elementwise : nullptr;
  }
  spread(changes::relu, {"relu"});
  spread(changes::elementwise,
         {"mul", "multiply", "div", "divide", "true_divide", "pow", "float_power", "clamp", "clip",
          "clamp_min", "clamp_max", "abs", "absolute", "maximum", "minimum", "fmax", "fmin",
          "atan2", "xlogy", "addcmul", "addcdiv", "lerp", "where", "masked_fill", "neg",
          "negative", "prelu", "_prelu_kernel", "logaddexp", "hypot", "copysign", "fmod",
          "remainder"});
  spread(changes::sum, {"add", "sub", "subtract", "rsub"});
  spread(changes::pass,
         {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "contiguous",
          "clone", "detach", "alias", "to", "type_as", "float", "double", "positive",
          "requires_grad", "identity"});
  spread(changes::batch_norm, {"batch_norm"});
  spread(changes::over_channels,
         {"softmax", "log_softmax", "_softmax", "_log_softmax", "layer_norm", "glu", "rms_norm"});
  spread(changes::convolution,
         {"conv1d", "conv2d", "conv3d", "_convolution", "convolution", "_convolution_mode"});
  spread(changes::max_pool, {"max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices",
                             "max_pool2d_with_indices", "max_pool3d_with_indices"});
  spread(changes::avg_pool, {"avg_pool1d", "avg_pool2d", "avg_pool3d"});
  spread(changes::dense, {"linear", "addmm"});
  spread(changes::matmul, {"matmul"});
  spread(changes::reduce, {"sum", "mean", "adaptive_avg_pool1d", "adaptive_avg_pool2d"});
  spread(changes::maximum, {"max", "min", "amax", "amin", "adaptive_max_pool1d"});
  spread(changes::view, {"view", "reshape", "_reshape_alias", "flatten", "unflatten"});
  spread(changes::permute, {"permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis",
                            "squeeze", "unsqueeze", "mT"});
  spread(changes::slice, {"slice", "narrow", "select", "index_select"});
  spread(changes::split, {"split", "split_with_sizes", "chunk", "unbind"});
  spread(changes::join, {"cat", "concat", "concatenate", "stack"});
  spread(changes::flip, {"flip"});
  spread(changes::pad, {"constant_pad_nd", "pad"});
}

// How positions follow those of the input; of the other rows it is not known.
void set_positions(const Setter& set, std::vector<Operation>& rows) {
  for (Operation& row : rows) {
    const bool one_input = row.rule == rules::elementwise || row.rule == rules::piecewise;
    row.along = one_input ? Along::each : Along::not_known;
  }
  const auto follow = [&](Along along, const Names& names) {
    set(&Operation::along, along, names);
  };
  follow(Along::each,
         {"relu", "abs", "absolute", "clamp", "clip", "clamp_min", "clamp_max", "pow",
          "float_power", "add", "sub", "subtract", "rsub", "neg", "negative", "positive", "mul",
          "multiply", "div", "divide", "true_divide", "addcmul", "addcdiv", "lerp", "maximum",
          "minimum", "fmax", "fmin", "logaddexp", "dropout", "feature_dropout", "alpha_dropout",
          "feature_alpha_dropout", "contiguous", "clone", "detach", "alias", "to", "type_as",
          "float", "double", "_to_copy", "requires_grad", "identity"});
  // Of all numbers together.
  follow(Along::not_known, {"mvlgamma", "special_multigammaln", "rrelu"});
  follow(Along::channels, {"batch_norm", "prelu", "_prelu_kernel"});
  follow(Along::slides,
         {"conv1d", "conv2d", "_convolution", "convolution", "max_pool1d", "max_pool2d",
          "avg_pool1d", "avg_pool2d"});
  follow(Along::pads, {"constant_pad_nd"});
  follow(Along::combines,
         {"sum", "mean", "amax", "amin", "softmax", "_softmax", "log_softmax", "_log_softmax",
          "logsumexp", "glu"});
  follow(Along::lasts, {"layer_norm"});
  follow(Along::products, {"linear", "matmul"});
  follow(Along::views,
         {"view", "reshape", "_reshape_alias", "_unsafe_view", "flatten", "unflatten"});
  follow(Along::reorders,
         {"permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "squeeze",
          "unsqueeze", "mT"});
  follow(Along::slices, {"slice", "narrow", "select"});
  follow(Along::joins, {"cat", "concat", "concatenate", "stack"});
}

// clang-format on

}  // namespace

void set_properties(std::vector<Operation>& rows) {
  const Setter set(rows);
  set_computations(set);
  set_forms(set);
  set_evaluation(set);
  set_layouts(set);
  set_steps(set, rows);
  set_reveal(set, rows);
  set_changes(set, rows);
  set_positions(set, rows);
}

}  // namespace seqlift
