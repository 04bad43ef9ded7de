#include "core/halves/kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <functional>

#include "core/halves/joined.h"
#include "core/numeric/loops.h"
#include "core/numeric/tensor_functions.h"

namespace seqlift {

namespace {

// Rows lie one after the other, each without holes, and both halves order a row alike.
bool same_rows(const at::Tensor& x, const at::Tensor& ref) {
  if (!x.is_non_overlapping_and_dense() || !ref.is_non_overlapping_and_dense() || x.dim() < 1) {
    return false;
  }
  for (int64_t d = 1; d < x.dim(); ++d) {
    if (x.size(d) != ref.size(d) || (x.size(d) > 1 && x.stride(d) != ref.stride(d))) {
      return false;
    }
  }
  const auto row = [](const at::Tensor& t) { return t.numel() / std::max<int64_t>(t.size(0), 1); };
  return (x.size(0) == 1 || x.stride(0) == row(x)) &&
         (ref.size(0) == 1 || ref.stride(0) == row(ref));
}

// Numbers that a thread takes at once, where there are several.
constexpr int64_t stretch = 1 << 15;

// `pass(from_x, from_ref, count)` for stretches of the references' half and what belongs to them of
// the x half, by the places of their first numbers; on LibTorch's threads.
void in_stretches(const at::Tensor& ref, const BatchShape& batch,
                  const std::function<void(int64_t x, int64_t ref, int64_t count)>& pass) {
  // With one reference a sequence the halves have one shape, and the batch may lie anywhere in it.
  const bool alike = batch.references == 1;
  const int64_t rows = alike ? 1 : batch.sequences * batch.references;
  const int64_t row = ref.numel() / std::max<int64_t>(rows, 1);
  for (int64_t i = 0; i < rows; ++i) {
    at::parallel_for(0, row, stretch, [&](int64_t begin, int64_t end) {
      pass((i / batch.references) * row + begin, i * row + begin, end - begin);
    });
  }
}

template <typename T>
void relu_pass(const at::Tensor& x, const at::Tensor& ref, at::Tensor& y, at::Tensor& m,
               const BatchShape& batch) {
  const T* from_x = x.data_ptr<T>();
  const T* from_ref = ref.data_ptr<T>();
  T* to_y = y.data_ptr<T>();
  T* to_m = m.data_ptr<T>();
  in_stretches(ref, batch, [=](int64_t of_x, int64_t of_ref, int64_t count) {
    loops::relu_rescale(from_x + of_x, from_ref + of_ref, to_y + of_ref, to_m + of_ref, count);
  });
}

template <typename T>
void halfway_pass(const at::Tensor& x, const at::Tensor& ref, at::Tensor& out,
                  const BatchShape& batch) {
  const T* from_x = x.data_ptr<T>();
  const T* from_ref = ref.data_ptr<T>();
  T* to = out.data_ptr<T>();
  in_stretches(ref, batch, [=](int64_t of_x, int64_t of_ref, int64_t count) {
    loops::halfway(from_x + of_x, from_ref + of_ref, to + of_ref, count);
  });
}

}  // namespace

bool lie_alike(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch) {
  const bool type = x.scalar_type() == ref.scalar_type() &&
                    (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble);
  const bool rows = x.dim() == ref.dim() && x.numel() * batch.references == ref.numel();
  return type && rows && x.is_cpu() && ref.is_cpu() && same_rows(x, ref);
}

at::Tensor halfway(const at::Tensor& x, const at::Tensor& ref, const BatchShape& batch) {
  if (!lie_alike(x, ref, batch)) {
    return (repeat_x(x, ref, batch) + ref) / 2;
  }
  check_rows(x, ref, batch);
  at::Tensor middle = at::empty_like(ref);
  if (ref.scalar_type() == at::kFloat) {
    halfway_pass<float>(x, ref, middle, batch);
  } else {
    halfway_pass<double>(x, ref, middle, batch);
  }
  return middle;
}

std::tuple<at::Tensor, at::Tensor> relu_rescale(const at::Tensor& x, const at::Tensor& ref,
                                                const BatchShape& batch) {
  at::Tensor y = at::empty_like(ref);
  at::Tensor m = at::empty_like(ref);
  if (ref.scalar_type() == at::kFloat) {
    relu_pass<float>(x, ref, y, m, batch);
  } else {
    relu_pass<double>(x, ref, y, m, batch);
  }
  return {y, m};
}

namespace {

// [n, C, L] or [n, C, H, W] as rows [n (H), positions, C], channels last.
at::Tensor to_rows(const at::Tensor& value) {
  const at::Tensor last =
      value.dim() == 3 ? value.permute({0, 2, 1}) : value.permute({0, 2, 3, 1}).flatten(0, 1);
  return last.contiguous();
}

at::Tensor from_rows(const at::Tensor& rows, const std::vector<int64_t>& like) {
  if (like.size() == 3) {
    return rows.permute({0, 2, 1});
  }
  return rows.unflatten(0, {rows.size(0) / like[2], like[2]}).permute({0, 3, 1, 2});
}

// ATen's: in ceil mode a last window must begin inside the input or its left padding.
loops::Window window_of(const Pooling& pooling, const at::Tensor& rows) {
  loops::Window window;
  window.kernel = pooling.kernel.back();
  window.stride = pooling.stride.back();
  window.padding = pooling.padding.back();
  window.dilation = pooling.dilation.back();
  window.length = rows.size(1);
  window.channels = rows.size(2);
  const int64_t room =
      window.length + 2 * window.padding - window.dilation * (window.kernel - 1) - 1;
  window.length_out = (room + (pooling.ceil ? window.stride - 1 : 0)) / window.stride + 1;
  if (pooling.ceil && (window.length_out - 1) * window.stride >= window.length + window.padding) {
    --window.length_out;
  }
  return window;
}

struct Maxima {
  at::Tensor values;     // [rows, length_out, C]
  at::Tensor positions;  // int32
};

Maxima maxima_of(const loops::Window& window, const at::Tensor& rows) {
  Maxima maxima{at::empty({rows.size(0), window.length_out, window.channels}, rows.options()), {}};
  maxima.positions = at::empty_like(maxima.values, rows.options().dtype(at::kInt));
  const int64_t in = window.length * window.channels;
  const int64_t out = window.length_out * window.channels;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    loops::window_maximum(window, rows.data_ptr<float>() + i * in,
                          maxima.values.data_ptr<float>() + i * out,
                          maxima.positions.data_ptr<int32_t>() + i * out);
  }
  return maxima;
}

}  // namespace

bool pooling_is_fast(const Pooling& pooling, const at::Tensor& x, const at::Tensor& ref) {
  const bool flat =
      x.dim() == 3 || (x.dim() == 4 && pooling.kernel.size() == 2 && pooling.kernel[0] == 1 &&
                       pooling.stride[0] == 1 && pooling.padding[0] == 0);
  return flat && x.is_cpu() && ref.is_cpu() && x.scalar_type() == at::kFloat &&
         ref.scalar_type() == at::kFloat && x.dim() == ref.dim() && x.numel() > 0 &&
         pooling.kernel.size() + 2 == static_cast<size_t>(x.dim());
}

Halves pool_with_credit(const Pooling& pooling, const Halves& input, const BatchShape& batch) {
  const at::Tensor ref = input.ref.detach();
  check_rows(input.x, ref, batch);
  const at::Tensor rows_ref = to_rows(ref);
  const loops::Window window = window_of(pooling, rows_ref);
  Maxima of_x;
  const at::Tensor rows_x =
      once_tensor(batch.memo, "pooling rows", [&]() { return to_rows(input.x); });
  const auto results = once(batch.memo, "pooling maxima", [&]() {
    const Maxima maxima = maxima_of(window, rows_x);
    return Memo::Results{maxima.values, maxima.positions};
  });
  of_x = {results[0].toTensor(), results[1].toTensor()};
  const Maxima of_ref = maxima_of(window, rows_ref);
  const std::vector<int64_t> shape = ref.sizes().vec();
  Halves output{from_rows(of_x.values, input.x.sizes().vec()), from_rows(of_ref.values, shape)};
  if (Draft::drafts()) {
    output.ref = Draft::without_slope(output.ref, {input.ref});
    return output;
  }
  const at::Tensor credit = at::empty_like(of_ref.positions);
  const at::Tensor share = at::empty_like(of_ref.values);
  const int64_t in = window.length * window.channels;
  const int64_t out = window.length_out * window.channels;
  // Rows of one sequence: its height times however many rows the batch holds of it.
  const int64_t height =
      std::max<int64_t>(1, rows_ref.size(0) / (batch.sequences * batch.references));
  for (int64_t i = 0; i < rows_ref.size(0); ++i) {
    const int64_t own =
        batch.references == 1 ? i : i / (batch.references * height) * height + i % height;
    loops::credit_maximum(
        window, rows_x.data_ptr<float>() + own * in, of_x.values.data_ptr<float>() + own * out,
        of_x.positions.data_ptr<int32_t>() + own * out, rows_ref.data_ptr<float>() + i * in,
        of_ref.values.data_ptr<float>() + i * out, of_ref.positions.data_ptr<int32_t>() + i * out,
        credit.data_ptr<int32_t>() + i * out, share.data_ptr<float>() + i * out);
  }
  output.ref = attach(output.ref, {input.ref}, [=](const at::Tensor& grad) {
    const at::Tensor rows = to_rows(grad);
    const at::Tensor result =
        at::zeros({rows.size(0), window.length, window.channels}, rows.options());
    for (int64_t i = 0; i < rows.size(0); ++i) {
      loops::spread_maximum(window, rows.data_ptr<float>() + i * out,
                            credit.data_ptr<int32_t>() + i * out, share.data_ptr<float>() + i * out,
                            result.data_ptr<float>() + i * in);
    }
    return std::vector<at::Tensor>{from_rows(result, shape)};
  });
  return output;
}

namespace {

// Below this many products the call itself costs more than the slower kernel. Above it oneDNN
// brings all weights into its layout first, for few rows of them too: by BLAS the last bits of
// results came to depend on the order of sequences.
constexpr int64_t few_products = 1 << 16;

}  // namespace

at::Tensor times_weights(const at::Tensor& x, const at::Tensor& weight) {
  const int64_t in = weight.size(1);
  const int64_t rows = x.numel() / std::max<int64_t>(in, 1);
  const bool floats = x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat;
  const bool plain =
      floats && x.is_cpu() && at::hasMKLDNN() && in > 0 && rows * weight.numel() > few_products;
  if (!plain) {
    return at::matmul(x, weight.t());
  }
  // A convolution of width one over an image that is one row of positions, channels last.
  const at::Tensor image = x.reshape({1, 1, rows, in}).contiguous().permute({0, 3, 1, 2});
  const at::Tensor kernel = weight.contiguous().view({weight.size(0), in, 1, 1});
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return at::mkldnn_convolution(image, kernel, {}, {0, 0}, {1, 1}, {1, 1}, 1)
      .permute({0, 2, 3, 1})
      .reshape(sizes);
}

}  // namespace seqlift
