// The rules, by file. Every rule keeps sum(m * (x - ref)) = f(x) - f(ref) exactly and has its
// derivation beside it.
#pragma once

#include <vector>

#include "core/model/operation.h"
#include "core/model/operation_table.h"

namespace seqlift {

namespace rules {
std::vector<Value> linear(Call& call);         // rules/linear.cpp
std::vector<Value> slice(Call& call);          // rules/linear.cpp
std::vector<Value> linear_in_one(Call& call);  // rules/linear.cpp
std::vector<Value> convolution(Call& call);    // rules/convolution.cpp
std::vector<Value> batch_norm(Call& call);     // rules/normalisation.cpp
std::vector<Value> elementwise(Call& call);    // rules/elementwise.cpp
std::vector<Value> piecewise(Call& call);      // rules/elementwise.cpp
std::vector<Value> relu(Call& call);           // rules/elementwise.cpp
std::vector<Value> glu(Call& call);            // rules/elementwise.cpp
std::vector<Value> product(Call& call);        // rules/product.cpp
std::vector<Value> times(Call& call);          // rules/product.cpp
std::vector<Value> quotient(Call& call);       // rules/product.cpp
std::vector<Value> conv_tbc(Call& call);       // rules/product.cpp
std::vector<Value> power(Call& call);          // rules/product.cpp
bool is_one_factor(const Call& call);          // rules/product.cpp
std::vector<Value> max_pool(Call& call);       // rules/max.cpp
std::vector<Value> max_over_dims(Call& call);  // rules/max.cpp
std::vector<Value> maximum(Call& call);        // rules/max.cpp
std::vector<Value> clamp(Call& call);          // rules/max.cpp
std::vector<Value> softmax(Call& call);        // rules/softmax.cpp
std::vector<Value> logaddexp(Call& call);      // rules/softmax.cpp
std::vector<Value> logcumsumexp(Call& call);   // rules/softmax.cpp
std::vector<Value> layer_norm(Call& call);     // rules/normalisation.cpp
std::vector<Value> group_norm(Call& call);     // rules/normalisation.cpp
std::vector<Value> instance_norm(Call& call);  // rules/normalisation.cpp
std::vector<Value> rms_norm(Call& call);       // rules/normalisation.cpp
std::vector<Value> variance(Call& call);       // rules/normalisation.cpp
std::vector<Value> comparison(Call& call);     // rules/condition.cpp
std::vector<Value> logic(Call& call);          // rules/condition.cpp
std::vector<Value> any_or_all(Call& call);     // rules/condition.cpp
std::vector<Value> step(Call& call);           // rules/condition.cpp
std::vector<Value> cast(Call& call);           // rules/condition.cpp
std::vector<Value> where(Call& call);          // rules/condition.cpp
std::vector<Value> masked_fill(Call& call);    // rules/condition.cpp
std::vector<Value> index_put(Call& call);      // rules/condition.cpp
std::vector<Value> order(Call& call);          // rules/order.cpp
std::vector<Value> lookup(Call& call);         // rules/order.cpp
std::vector<Value> integral(Call& call);       // rules/integrate.cpp

std::vector<Value> recurrent(Call& call);                     // rules/recurrent.cpp
std::vector<Value> recurrent_cell(Call& call);                // rules/recurrent.cpp
std::vector<Value> scaled_dot_product_attention(Call& call);  // rules/attention.cpp
std::vector<Value> vector_norm(Call& call);                   // rules/norm.cpp
std::vector<Value> distance(Call& call);                      // rules/norm.cpp
std::vector<Value> similarity(Call& call);                    // rules/norm.cpp
std::vector<Value> renorm(Call& call);                        // rules/norm.cpp
std::vector<Value> prod(Call& call);                          // rules/reduce.cpp
std::vector<Value> cumprod(Call& call);                       // rules/reduce.cpp
std::vector<Value> several(Call& call);                       // rules/several.cpp
std::vector<Value> several_piecewise(Call& call);             // rules/several.cpp
std::vector<Value> hypot(Call& call);                         // rules/several.cpp
std::vector<Value> loss(Call& call);                          // rules/loss.cpp
std::vector<Value> squared_loss(Call& call);                  // rules/loss.cpp
std::vector<Value> loss_of_difference(Call& call);            // rules/loss.cpp
std::vector<Value> cross_entropy(Call& call);                 // rules/loss.cpp
std::vector<Value> class_loss(Call& call);                    // rules/loss.cpp
std::vector<Value> fourier(Call& call);                       // rules/complex.cpp
std::vector<Value> as_complex(Call& call);                    // rules/complex.cpp
std::vector<Value> absolute(Call& call);                      // rules/complex.cpp
std::vector<Value> angle(Call& call);                         // rules/complex.cpp
std::vector<Value> polar(Call& call);                         // rules/complex.cpp
}  // namespace rules

}  // namespace seqlift
