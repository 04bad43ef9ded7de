#include "own_run.h"

#include <torch/csrc/jit/api/module.h>

#include <algorithm>

#include "core/evaluate/evaluation.h"
#include "core/numeric/tensor_functions.h"
#include "core/numeric/visit_tensors.h"

namespace nets {

namespace {

std::vector<at::Tensor> own_tensors_of(const c10::IValue& value) {
  std::vector<at::Tensor> tensors;
  seqlift::visit_tensors(value, [&](const at::Tensor& tensor) { tensors.push_back(tensor); });
  return tensors;
}

}  // namespace

std::vector<at::Tensor> interpreted_in(const ModelPointer& model, const at::Tensor& X,
                                       at::ScalarType dtype, const std::vector<at::Tensor>& args) {
  const at::NoGradGuard guard;
  torch::jit::Module module = model->module.deepcopy();
  module.to(dtype);
  std::vector<c10::IValue> inputs{X.to(dtype).clone()};
  for (const at::Tensor& arg : args) {
    inputs.push_back(at::isFloatingType(arg.scalar_type()) ? arg.to(dtype) : arg);
  }
  try {
    return own_tensors_of(module.forward(inputs));
  } catch (const std::exception&) {
    return {};
  }
}

namespace {

double relative(const std::vector<at::Tensor>& found, const std::vector<at::Tensor>& expected) {
  double worst = found.size() == expected.size() ? 0 : 1e9;
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    const at::Tensor own = expected[i].to(at::kDouble);
    const double size = own.numel() > 0 ? std::max(1.0, own.abs().max().item<double>()) : 1.0;
    worst = std::max(worst, distance(found[i], own) / size);
  }
  return worst;
}

}  // namespace

OwnRun own_run(const ModelPointer& model, const at::Tensor& X, at::ScalarType dtype,
               const std::vector<at::Tensor>& args) {
  Settings settings;
  settings.dtype = dtype;
  OwnRun result;
  const auto first = [](const std::vector<at::Tensor>& all, int64_t rows) {
    std::vector<at::Tensor> some;
    for (const at::Tensor& tensor : all) {
      some.push_back(tensor.narrow(0, 0, rows));
    }
    return some;
  };
  const std::vector<at::Tensor> three =
      interpreted_in(model, X.narrow(0, 0, 3), dtype, first(args, 3));
  result.runs = !three.empty();
  for (const int64_t rows : {int64_t{1}, int64_t{3}, X.size(0)}) {
    std::vector<at::Tensor> expected =
        interpreted_in(model, X.narrow(0, 0, rows), dtype, first(args, rows));
    // Of a single sequence LibTorch cannot tell some layouts apart; and squeeze() takes its row.
    // Then it is right as it is among others.
    if (rows == 1 && result.runs) {
      expected = first(three, 1);
    }
    std::vector<at::Tensor> found;
    try {
      found = predicted(model, X.narrow(0, 0, rows), first(args, rows), settings);
    } catch (const std::exception& caught) {
      result.error += std::string(caught.what()).substr(0, 300) + "\n";
    }
    const bool fails = !result.runs && found.empty();
    result.apart = std::max(result.apart, fails ? 0 : relative(found, expected));
  }
  return result;
}

}  // namespace nets
