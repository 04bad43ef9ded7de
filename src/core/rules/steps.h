// What rules are composed of: an operation's arguments as plain numbers, and the steps that several
// rules share.
#pragma once

#include <string>
#include <vector>

#include "core/model/operation.h"

namespace seqlift {

// A list of numbers, or one number as a list of one.
std::vector<int64_t> int_list(const c10::IValue& value);
// The argument `name`, or `otherwise` where the operation has no such argument or it is None.
std::vector<int64_t> int_list(const Call& call, const char* name);
double number(const Call& call, const char* name, double otherwise);
bool flag(const Call& call, const char* name);
// The first input in the type that the argument `dtype` names, if it does.
Halves in_dtype(const Call& call, const Halves& input);

Halves add(const Halves& a, const Halves& b);
Halves subtract(const Halves& a, const Halves& b);
Halves multiply(const Halves& a, const Halves& b, const BatchShape& batch);
// a / b as a (1 / b), the rescaled reciprocal.
Halves divide(const Halves& a, const Halves& b, const BatchShape& batch);
Halves square(const Halves& a, const BatchShape& batch);
Halves square_root(const Halves& a, const BatchShape& batch);
// |a|; of a complex number, the root of the sum of its parts' squares.
Halves magnitude(const Halves& a, const BatchShape& batch);

// (sum |a|^order)^(1 / order) over `dims`, the largest |a| for an infinite order.
Halves norm(const Halves& a, double order, const std::vector<int64_t>& dims, bool keep,
            const BatchShape& batch);  // rules/norm.cpp
// The largest (or smallest) of each row over `dims`.
Halves maximum_over(const Halves& a, const std::vector<int64_t>& dims, bool keep, bool minimum,
                    const BatchShape& batch);  // rules/max.cpp
// Where an order put its element: indices (whole numbers) into the last dimension of `a`, as
// numbers with a gradient.
Halves index_of(const Halves& a, const Halves& indices,
                const BatchShape& batch);  // rules/order.cpp
Halves logsumexp(const Halves& a, const std::vector<int64_t>& dims, bool keep,
                 const BatchShape& batch);                                  // rules/softmax.cpp
Halves log_softmax(const Halves& a, int64_t dim, const BatchShape& batch);  // rules/softmax.cpp
// What is masked with -Inf on both halves gets zero.
Halves softmax(const Halves& a, int64_t dim, const BatchShape& batch);  // rules/softmax.cpp
// Over the last `dims` dimensions. Weight and bias may be undefined.
Halves layer_norm(const Halves& a, int64_t dims, const at::Tensor& weight, const at::Tensor& bias,
                  double eps, const BatchShape& batch);  // rules/normalisation.cpp
// An elementwise function of several values that depend on X.
Halves shapley(const OnHalves<Nary>& function, const std::vector<Halves>& operands,
               Smoothness smoothness,
               const BatchShape& batch);  // rules/several.cpp
// y_i = a_1 o a_2 o ... o a_i along `dim`, for an associative o.
using Combine = std::function<Halves(const Halves& a, const Halves& b)>;
Halves scan(const Halves& a, int64_t dim, const Combine& combine);  // rules/reduce.cpp

}  // namespace seqlift
