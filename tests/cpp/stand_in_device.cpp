#include "stand_in_device.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#include <torch/version.h>

#include <atomic>
#include <utility>
#include <vector>

#include "core/numeric/tensor_functions.h"

namespace nets {

namespace {

std::atomic<long> operations{0};

}  // namespace

c10::Device stand_in() { return {c10::DeviceType::PrivateUse1, 0}; }
long stand_in_operations() { return operations; }

#if TORCH_VERSION_MAJOR == 1

bool has_stand_in() { return true; }

namespace {

bool is_ours(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().type() == c10::DeviceType::PrivateUse1;
}

char* base_of(const at::Tensor& tensor) {
  return static_cast<char*>(tensor.storage().data_ptr().get());
}

at::Tensor with_storage(c10::Storage storage, const caffe2::TypeMeta& type, at::IntArrayRef sizes,
                        at::IntArrayRef strides, int64_t offset) {
  const c10::DispatchKeySet keys{c10::DispatchKey::PrivateUse1,
                                 c10::DispatchKey::AutogradPrivateUse1};
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), keys, type);
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset);
  return tensor;
}

at::Tensor with_storage(c10::Storage storage, const at::Tensor& like, int64_t offset) {
  return with_storage(std::move(storage), like.dtype(), like.sizes(), like.strides(), offset);
}

// The memory of a tensor of the CPU as one of the device, which keeps it alive.
at::Tensor to_ours(const at::Tensor& given) {
  // Zeros without memory, which some gradients are.
  const at::Tensor tensor =
      given._is_zerotensor() ? at::zeros(given.sizes(), given.scalar_type()) : given;
  auto* owner = new at::Tensor(tensor);
  c10::Storage storage(c10::Storage::use_byte_size_t(), tensor.storage().nbytes(),
                       at::DataPtr(
                           base_of(tensor), owner,
                           [](void* kept) { delete static_cast<at::Tensor*>(kept); }, stand_in()),
                       nullptr, false);
  return with_storage(std::move(storage), tensor, tensor.storage_offset());
}

// The other way round.
at::Tensor to_cpu(const at::Tensor& tensor) {
  char* data = base_of(tensor) + tensor.storage_offset() * tensor.element_size();
  return at::from_blob(
      data, tensor.sizes(), tensor.strides(), [tensor](void*) {},
      at::TensorOptions(tensor.scalar_type()));
}

// Over all tensors of an operation's arguments; lists are taken apart and put together again.
template <typename Change>
void change_tensors(c10::IValue& value, const Change& change) {
  if (value.isTensor()) {
    value = change(value.toTensor());
  } else if (value.isList()) {
    const c10::impl::GenericList list = value.toList();
    c10::impl::GenericList changed(list.elementType());
    for (c10::IValue element : list.vec()) {
      change_tensors(element, change);
      changed.push_back(element);
    }
    value = changed;
  } else if (value.isDevice()) {
    value = c10::Device(at::kCPU);
  }
}

// Any operation: the CPU's, on the same memory.
void run_on_cpu(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  ++operations;
  const c10::FunctionSchema& schema = operation.schema();
  const size_t count = schema.arguments().size();
  const std::vector<c10::IValue> given(stack->end() - static_cast<int64_t>(count), stack->end());
  std::vector<at::Tensor> ours;
  // LibTorch drops an operation's arguments before it reads its results out of some of them.
  std::vector<at::Tensor> kept;
  std::vector<std::pair<at::Tensor, at::Tensor>> grown;
  for (size_t i = 0; i < count; ++i) {
    const auto* alias = schema.arguments()[i].alias_info();
    const bool written = alias && alias->isWrite();
    change_tensors((*stack)[stack->size() - count + i], [&](const at::Tensor& tensor) {
      if (is_ours(tensor) && written && tensor.numel() == 0) {
        // The operation gives it its size.
        grown.emplace_back(tensor, at::empty({0}, at::TensorOptions(tensor.scalar_type())));
        return grown.back().second;
      }
      if (is_ours(tensor)) {
        ours.push_back(tensor);
        kept.push_back(to_cpu(tensor));
        return kept.back();
      }
      TORCH_CHECK(!tensor.defined() || tensor.dim() == 0, schema.name(),
                  " takes tensors of two devices");
      return tensor;
    });
  }
  operation.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  for (const auto& pair : grown) {
    c10::TensorImpl* tensor = pair.first.unsafeGetTensorImpl();
    tensor->set_storage_keep_dtype(to_ours(pair.second).storage());
    tensor->set_sizes_and_strides(pair.second.sizes(), pair.second.strides(), 0);
  }
  const auto back = [&](const at::Tensor& tensor) {
    if (!tensor.defined() || is_ours(tensor)) {
      return tensor;
    }
    // A view stays one.
    for (const at::Tensor& one : ours) {
      const auto* data = static_cast<const char*>(tensor.data_ptr());
      const int64_t at = data - base_of(one);
      if (tensor.numel() > 0 && at >= 0 && at < static_cast<int64_t>(one.storage().nbytes())) {
        return with_storage(one.storage(), tensor, at / tensor.element_size());
      }
    }
    return to_ours(tensor);
  };
  const size_t first = stack->size() - schema.returns().size();
  for (size_t i = 0; i < schema.returns().size(); ++i) {
    const auto* alias = schema.returns()[i].alias_info();
    bool written = false;
    for (size_t j = 0; alias && alias->isWrite() && j < count; ++j) {
      const auto* own = schema.arguments()[j].alias_info();
      if (own && *own == *alias) {
        (*stack)[first + i] = given[j];
        written = true;
      }
    }
    if (!written) {
      change_tensors((*stack)[first + i], back);
    }
  }
}

at::Tensor empty(at::IntArrayRef sizes, c10::optional<at::ScalarType> type,
                 c10::optional<at::Layout>, c10::optional<at::Device>, c10::optional<bool>,
                 c10::optional<at::MemoryFormat> format) {
  return to_ours(at::empty(sizes, at::TensorOptions(type.value_or(at::kFloat)), format));
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides,
                         c10::optional<at::ScalarType> type, c10::optional<at::Layout>,
                         c10::optional<at::Device>, c10::optional<bool>) {
  return to_ours(at::empty_strided(sizes, strides, at::TensorOptions(type.value_or(at::kFloat))));
}

const at::Tensor& resize(const at::Tensor& self, at::IntArrayRef sizes,
                         c10::optional<at::MemoryFormat> format) {
  const at::Tensor sized = empty(sizes, self.scalar_type(), {}, {}, {}, format);
  if (!self.sizes().equals(sizes)) {
    self.unsafeGetTensorImpl()->set_storage_keep_dtype(sized.storage());
    self.unsafeGetTensorImpl()->set_sizes_and_strides(sized.sizes(), sized.strides(), 0);
  }
  return self;
}

at::Tensor as_strided(const at::Tensor& self, at::IntArrayRef sizes, at::IntArrayRef strides,
                      c10::optional<int64_t> offset) {
  return with_storage(self.storage(), self.dtype(), sizes, strides,
                      offset.value_or(self.storage_offset()));
}

at::Tensor& copy(at::Tensor& self, const at::Tensor& source, bool) {
  at::Tensor to = is_ours(self) ? to_cpu(self) : self;
  to.copy_(is_ours(source) ? to_cpu(source) : source);
  return self;
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight,
                       const c10::optional<at::Tensor>& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, int64_t groups) {
  ++operations;
  const at::Tensor added = bias && bias->defined() ? to_cpu(*bias) : at::Tensor();
  return to_ours(at::convolution(to_cpu(x), to_cpu(weight), added, stride, padding, dilation,
                                 transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, int64_t groups, std::array<bool, 3> wanted) {
  ++operations;
  const std::vector<int64_t> bias{weight.size(transposed ? 1 : 0) * (transposed ? groups : 1)};
  const auto found = at::convolution_backward(
      to_cpu(grad), to_cpu(x), to_cpu(weight), at::OptionalIntArrayRef(at::IntArrayRef(bias)),
      stride, padding, dilation, transposed, output_padding, groups, wanted);
  const auto ours = [](const at::Tensor& tensor) {
    return tensor.defined() ? to_ours(tensor) : tensor;
  };
  return {ours(std::get<0>(found)), ours(std::get<1>(found)), ours(std::get<2>(found))};
}

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", TORCH_FN(empty));
  library.impl("empty_strided", TORCH_FN(empty_strided));
  library.impl("as_strided", TORCH_FN(as_strided));
  library.impl("copy_", TORCH_FN(copy));
  library.impl("resize_", TORCH_FN(resize));
  library.impl("convolution_overrideable", TORCH_FN(convolution));
  library.impl("convolution_backward_overrideable", TORCH_FN(convolution_backward));
}

C10_REGISTER_GUARD_IMPL(PrivateUse1, c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::PrivateUse1>);

#else

bool has_stand_in() { return false; }

#endif

}  // namespace nets
