#include <ATen/core/Tensor.h>

#include <unordered_map>

#include "core/evaluate/operation_properties.h"
#include "core/rules/rules.h"

namespace seqlift {

namespace {

// One row an operation. In-place variants share the row of their plain name.
// clang-format off
std::vector<Operation> make_operations() {
  std::vector<Operation> table;
  const auto add = [&](Kind kind, Rule rule, const char* described,
                       const std::vector<const char*>& names) {
    for (const char* name : names) {
      Operation row;
      row.name = name;
      row.kind = kind;
      row.rule = rule;
      row.described = described;
      table.push_back(row);
    }
  };

  // The value says nothing of X but its shape, type or place.
  add(Kind::shape, nullptr, "constant",
      {"size", "sizes", "dim", "numel", "len", "ndim", "shape", "is_floating_point", "is_complex",
       "dtype", "device", "layout", "is_cuda", "is_sparse", "is_contiguous",
       "__is__", "__isnot__", "isinstance", "is_nonzero_shape", "stride", "storage_offset",
       "is_nested",
       "_shape_as_tensor", "_size_as_tensor",
       "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full",
       "new_empty", "zero", "fill", "result_type", "can_cast"});

  // Linear (or affine) in everything that depends on X: ordinary gradient.
  add(Kind::linear, rules::linear, "gradient (linear)",
      {"add", "sub", "subtract", "rsub", "neg", "negative", "positive", "sum", "mean", "nansum",
       "cumsum", "view", "as_strided", "reshape", "_reshape_alias", "flatten", "unflatten", "permute",
       "transpose", "t", "numpy_T", "mT", "mH", "matrix_H", "adjoint", "swapaxes", "swapdims",
       "movedim", "moveaxis", "squeeze", "unsqueeze", "expand", "expand_as", "broadcast_to",
       "view_as", "reshape_as", "sum_to_size", "repeat", "repeat_interleave", "tile", "cat",
       "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "row_stack",
       "broadcast_tensors", "meshgrid", "split", "split_with_sizes", "chunk", "tensor_split",
       "hsplit", "vsplit", "dsplit", "unsafe_chunk", "unsafe_split", "unbind", "select", "narrow",
       "index_select", "take", "masked_select", "masked_scatter", "scatter",
       "scatter_add", "index_add", "index_copy", "index_fill", "select_scatter", "slice_scatter",
       "diagonal_scatter", "copy", "clone", "contiguous", "float", "double", "detach",
       "alias", "lift", "lift_fresh", "requires_grad", "view_as_real", "real", "imag",
       "dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "flip", "fliplr",
       "flipud", "roll", "rot90", "diag", "diagonal", "diag_embed", "tril", "triu", "trace",
       "diff", "unfold", "im2col", "col2im", "avg_pool1d", "avg_pool2d", "avg_pool3d",
       "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
       "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_upsample_bicubic2d_aa",
       "_upsample_bilinear2d_aa", "upsample_nearest1d",
       "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
       "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "upsample_linear1d",
       "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d", "__interpolate",
       "upsample", "__upsample", "__upsample_nearest", "__upsample_bilinear", "constant_pad_nd",
       "pad", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
       "replication_pad2d", "replication_pad3d", "pixel_shuffle", "pixel_unshuffle",
       "atleast_1d", "atleast_2d", "atleast_3d", "ravel", "fold",
       "__getitem__", "append", "extend", "insert", "pop", "TupleIndex", "list", "values", "get",
       "keys", "items", "_set_item", "__contains__", "reverse", "clear", "Delete", "dict",
       "setdefault", "update", "popitem", "unchecked_cast", "unchecked_unwrap_optional",
       "data", "resolve_conj", "resolve_neg", "conj", "_conj", "conj_physical", "_conj_physical",
       "_neg_view", "identity", "complex", "_unsafe_view", "unsafe_split_with_sizes",
       "_index_put_impl", "nanmean", "linalg_diagonal",
       "_pad_circular", "_pad_enum", "native_channel_shuffle", "channel_shuffle",
       "affine_grid_generator", "gradient", "_cast_Float", "_cast_Double"});
  add(Kind::linear, rules::slice, "gradient (linear)", {"slice"});
  // Linear unless a condition or an index depends on X.
  add(Kind::linear, rules::cast, "gradient (linear)", {"to", "type_as", "_to_copy"});
  add(Kind::linear, rules::where, "gradient (linear)", {"where"});
  add(Kind::linear, rules::masked_fill, "gradient (linear)", {"masked_fill"});
  add(Kind::linear, rules::index_put, "gradient (linear)", {"index_put"});
  add(Kind::linear, rules::lookup, "gradient (linear)",
      {"index", "gather", "take_along_dim", "embedding"});
  add(Kind::linear, rules::linear_in_one, "gradient (linear)",
      {"grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "max_unpool2d", "max_unpool3d",
       "linalg_solve", "linalg_solve_triangular",
       "triangular_solve", "cholesky_solve", "linalg_lu_solve", "lu_solve"});
  add(Kind::linear, rules::as_complex, "gradient (linear)", {"view_as_complex"});
  add(Kind::linear, rules::fourier, "gradient (linear)",
      {"fft_fft", "fft_ifft", "fft_rfft", "fft_irfft", "fft_hfft", "fft_ihfft", "fft_fft2",
       "fft_ifft2", "fft_rfft2", "fft_irfft2", "fft_hfft2", "fft_ihfft2", "fft_fftn", "fft_ifftn",
       "fft_rfftn", "fft_irfftn", "fft_hfftn", "fft_ihfftn", "fft_fftshift", "fft_ifftshift",
       "_fft_r2c", "_fft_c2r", "_fft_c2c", "stft", "istft"});
  add(Kind::linear, rules::convolution, "gradient (linear)",
      {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
       "_convolution", "convolution", "_convolution_mode"});
  add(Kind::linear, rules::batch_norm, "gradient (linear)",
      {"batch_norm", "_batch_norm_impl_index", "native_batch_norm", "cudnn_batch_norm"});

  // Elementwise functions of one input: rescale (Shrikumar 2017, section 3.3).
  add(Kind::elementwise, rules::relu, "rescale", {"relu"});
  add(Kind::elementwise, rules::elementwise, "rescale",
      {"gelu", "silu", "mish", "softplus", "sigmoid", "log_sigmoid", "tanh", "exp", "exp2",
       "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "square", "sin",
       "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "arcsin",
       "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "erf", "erfc", "erfinv", "logit",
       "sinc", "digamma", "lgamma", "i0", "special_erf", "special_erfc", "special_expit",
       "special_expm1", "special_log1p", "special_entr", "special_ndtr", "special_log_ndtr",
       "special_logit", "special_sinc", "special_erfcx", "special_i0", "special_i0e",
       "special_i1", "special_i1e", "special_exp2", "deg2rad", "rad2deg", "polygamma",
       "special_polygamma", "mvlgamma", "special_multigammaln", "special_digamma", "special_psi",
       "special_gammaln", "special_erfinv", "special_ndtri"});
  add(Kind::elementwise, rules::piecewise, "rescale",
      {"relu6", "leaky_relu", "elu", "selu", "celu", "hardtanh",
       "hardsigmoid", "hardswish", "hardshrink", "softshrink", "threshold", "rrelu",
       "nan_to_num", "softsign", "sign", "sgn", "floor", "ceil", "round", "special_round", "trunc",
       "fix", "frac"});
  add(Kind::elementwise, rules::absolute, "rescale", {"abs", "absolute"});
  add(Kind::elementwise, rules::clamp, "rescale", {"clamp", "clip", "clamp_min", "clamp_max"});
  // Elementwise functions of several inputs: rescale, shared by Shapley's value.
  add(Kind::elementwise, rules::several, "rescale",
      {"atan2", "arctan2", "xlogy", "special_xlogy", "special_xlog1py"});
  add(Kind::elementwise, rules::several_piecewise, "rescale",
      {"fmod", "remainder", "floor_divide", "copysign", "ldexp", "prelu", "_prelu_kernel"});
  add(Kind::elementwise, rules::hypot, "square, root", {"hypot"});
  add(Kind::elementwise, rules::squared_loss, "rescale", {"mse_loss"});
  add(Kind::elementwise, rules::loss_of_difference, "rescale",
      {"l1_loss", "smooth_l1_loss", "huber_loss"});
  add(Kind::elementwise, rules::loss, "rescale",
      {"kl_div", "binary_cross_entropy", "binary_cross_entropy_with_logits", "soft_margin_loss",
       "poisson_nll_loss", "hinge_embedding_loss", "margin_ranking_loss"});
  add(Kind::elementwise, rules::angle, "rescale", {"angle"});
  add(Kind::elementwise, rules::polar, "rescale and product", {"polar"});
  add(Kind::elementwise, rules::glu, "product and rescale", {"glu"});
  add(Kind::elementwise, rules::power, "rescale", {"pow", "float_power"});

  // Products of values that depend on X: gradient at the midpoint of x and reference.
  add(Kind::product, rules::times, "midpoint", {"mul", "multiply"});
  add(Kind::product, rules::product, "midpoint",
      {"matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "outer", "ger",
       "linear", "addmm", "baddbmm", "addbmm", "addmv", "addr", "addcmul", "einsum", "tensordot",
       "kron", "lerp", "cross", "linalg_cross", "bilinear", "linalg_matmul", "linalg_vecdot",
       "chain_matmul", "linalg_multi_dot", "trapezoid", "trapz", "cumulative_trapezoid"});
  add(Kind::product, rules::conv_tbc, "midpoint", {"conv_tbc"});
  add(Kind::product, rules::prod, "midpoints of pairs", {"prod"});
  add(Kind::product, rules::cumprod, "midpoints of pairs", {"cumprod"});
  add(Kind::product, rules::quotient, "midpoint and rescale",
      {"div", "divide", "true_divide", "addcdiv"});

  add(Kind::max, rules::max_pool, "maximum of x and reference",
      {"max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices",
       "max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool1d",
       "adaptive_max_pool2d", "adaptive_max_pool3d"});
  add(Kind::max, rules::max_over_dims, "maximum of x and reference",
      {"max", "min", "amax", "amin", "aminmax"});
  add(Kind::max, rules::maximum, "rescale of the difference",
      {"maximum", "minimum", "fmax", "fmin"});

  add(Kind::softmax, rules::softmax, "exact softmax",
      {"softmax", "log_softmax", "logsumexp", "_softmax", "_log_softmax", "softmin",
       "special_softmax", "special_log_softmax", "special_logsumexp"});
  add(Kind::softmax, rules::logaddexp, "exact softmax", {"logaddexp", "logaddexp2"});
  add(Kind::softmax, rules::logcumsumexp, "exact softmax", {"logcumsumexp", "_logcumsumexp"});
  add(Kind::softmax, rules::class_loss, "exact softmax",
      {"nll_loss", "nll_loss2d", "nll_loss_nd"});
  add(Kind::softmax, rules::cross_entropy, "exact softmax", {"cross_entropy_loss"});

  add(Kind::normalisation, rules::layer_norm, "mean, square, rsqrt, product",
      {"layer_norm", "native_layer_norm"});
  add(Kind::normalisation, rules::group_norm, "mean, square, rsqrt, product",
      {"group_norm", "native_group_norm"});
  add(Kind::normalisation, rules::instance_norm, "mean, square, rsqrt, product",
      {"instance_norm"});
  add(Kind::normalisation, rules::rms_norm, "square, rsqrt, product", {"rms_norm"});
  add(Kind::normalisation, rules::variance, "mean, square", {"var", "std", "var_mean", "std_mean"});
  add(Kind::normalisation, rules::vector_norm, "power, sum, root",
      {"norm", "linalg_norm", "linalg_vector_norm", "linalg_matrix_norm", "frobenius_norm"});
  add(Kind::normalisation, rules::distance, "power, sum, root", {"pairwise_distance", "cdist"});
  add(Kind::normalisation, rules::similarity, "norm, reciprocal, product", {"cosine_similarity"});
  add(Kind::normalisation, rules::renorm, "norm, rescale, product", {"renorm"});

  // Steps: their difference over the difference of what they look at.
  add(Kind::condition, rules::comparison, "rescale of the difference",
      {"gt", "ge", "lt", "le", "eq", "ne", "greater", "greater_equal", "less", "less_equal",
       "not_equal", "isclose", "heaviside"});
  add(Kind::condition, rules::logic, "midpoint",
      {"logical_and", "logical_or", "logical_not", "logical_xor", "__and__", "__or__", "__xor__",
       "__iand__", "__ior__", "__ixor__", "bitwise_and", "bitwise_or", "bitwise_xor",
       "bitwise_not"});
  add(Kind::condition, rules::any_or_all, "maximum of x and reference", {"any", "all"});
  add(Kind::condition, rules::step, "rescale",
      {"isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit", "bucketize"});
  add(Kind::condition, rules::cast, "rescale", {"long", "int"});
  add(Kind::condition, rules::lookup, "rescale", {"one_hot"});
  add(Kind::condition, rules::order, "change of the order", {"argmax", "argmin", "argsort"});
  add(Kind::max, rules::order, "order statistic of x and reference",
      {"sort", "topk", "kthvalue", "median", "cummax", "cummin"});

  add(Kind::recurrent, rules::recurrent, "unrolled: rescale and product",
      {"lstm", "gru", "rnn_tanh", "rnn_relu"});
  add(Kind::recurrent, rules::recurrent_cell, "rescale and product",
      {"lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"});

  add(Kind::attention, rules::scaled_dot_product_attention, "product and exact softmax",
      {"scaled_dot_product_attention", "_scaled_dot_product_attention"});
  // In the model's graph these are taken apart (fused_attention.h), but for nested tensors.
  add(Kind::attention, nullptr, "none",
      {"_native_multi_head_attention", "_transformer_encoder_layer_fwd"});

  // Conditions of the code itself, and what has no rule: refused by name.
  add(Kind::condition, nullptr, "none",
      {"nonzero", "searchsorted", "Bool", "Int", "Float", "item", "Scalar"});
  add(Kind::max, nullptr, "none", {"mode", "msort", "fractional_max_pool2d",
                                  "fractional_max_pool3d"});
  add(Kind::random, nullptr, "none",
      {"rand_like", "randn_like", "randint_like", "bernoulli", "multinomial", "normal",
       "poisson", "uniform", "exponential", "cauchy", "geometric", "log_normal", "random",
       "binomial", "rand", "randn", "randint", "randperm", "_standard_gamma",
       "_sample_dirichlet"});

  // What has no rule of its own, but of which something else is known.
  add(Kind::other, nullptr, "none",
      {"zeros", "ones", "empty", "eye", "linspace", "logspace", "full", "arange", "range",
       "scalar_tensor", "tensor", "as_tensor", "hann_window", "hamming_window", "blackman_window",
       "bartlett_window", "kaiser_window", "fft_fftfreq", "fft_rfftfreq", "empty_strided",
       "view_copy", "resize", "resize_as", "as_strided_scatter", "as_strided_copy",
       "view_as_complex_copy", "set", "_resize_output", "is_non_overlapping_and_dense",
       "is_strides_like_format", "nanmedian", "nanquantile"});
  set_properties(table);
  return table;
}
// clang-format on

}  // namespace

const std::vector<Operation>& operations() {
  static const std::vector<Operation> table = make_operations();
  return table;
}

const Operation* find_operation(const std::string& name) {
  static const std::unordered_map<std::string, const Operation*> index = [] {
    std::unordered_map<std::string, const Operation*> rows;
    for (const Operation& operation : operations()) {
      rows.emplace(operation.name, &operation);
    }
    return rows;
  }();
  const auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

const Operation& operation_of(const std::string& name) {
  static const Operation unknown;
  const Operation* row = find_operation(name);
  return row ? *row : unknown;
}

}  // namespace seqlift
