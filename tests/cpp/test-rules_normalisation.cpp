// Normalisations, taken apart into mean, square, inverse root and product.
#include <cmath>

#include "catch.h"
#include "nets.h"

namespace nets {

namespace {

Tensors affine(int64_t size) {
  return {{"g", numbers({size}, 41, 0.5, 1.5)}, {"s", numbers({size}, 42)}};
}

Tensors statistics() {
  Tensors all = affine(4);
  all.emplace_back("mean", numbers({4}, 43));
  all.emplace_back("var", numbers({4}, 44, 0.5, 1.5));
  return all;
}

}  // namespace

std::vector<Case> normalisation_cases() {
  return {
      {"batch_norm",
       "y = torch.batch_norm(h, self.g, self.s, self.mean, self.var, False, 0.1, 1e-5, False)",
       statistics()},
      {"batch_norm",
       "y = torch.batch_norm(h.sum(2), None, None, self.mean, self.var, False, 0.1, 0.01, True)",
       statistics()},
      {"native_batch_norm",
       "y, a, b = torch.native_batch_norm(h, self.g, self.s, self.mean, self.var, False, 0.1, "
       "1e-5)",
       statistics()},
      {"_batch_norm_impl_index",
       "y, a, b, c, d = torch._batch_norm_impl_index(h, self.g, self.s, self.mean, self.var, "
       "False, 0.1, 1e-5, False)",
       statistics()},
      {"layer_norm", "y = torch.layer_norm(h, [9], self.g, self.s, 1e-5)", affine(9)},
      {"layer_norm", "y = torch.layer_norm(h, [4, 9])"},
      {"layer_norm", "y = torch.layer_norm(h.transpose(1, 2), [4], self.g, None, 0.1)", affine(4)},
      {"native_layer_norm", "y, a, b = torch.native_layer_norm(h, [9], self.g, self.s, 1e-5)",
       affine(9)},
      {"group_norm", "y = torch.group_norm(h, 2, self.g, self.s, 1e-5)", affine(4)},
      {"group_norm", "y = torch.group_norm(h, 1)"},
      {"group_norm", "y = torch.group_norm(h.view(h.size(0), 4, 3, 3), 4)"},
      {"native_group_norm",
       "y, a, b = torch.native_group_norm(h.contiguous(), self.g, self.s, h.size(0), 4, 9, 2, "
       "1e-5)",
       affine(4)},
      {"instance_norm",
       "y = torch.instance_norm(h, self.g, self.s, None, None, True, 0.1, 1e-5, False)", affine(4)},
      {"instance_norm",
       "y = torch.instance_norm(h, self.g, self.s, self.mean, self.var, False, 0.1, 1e-5, False)",
       statistics()},
      {"var", "y = torch.var(h, [2])"},
      {"var", "y = torch.var(h, [1, 2], False, True)"},
      {"var", "y = h.var(1, unbiased=False)"},
      {"var", "y = torch.var(h, [-1], correction=2)"},
      {"std", "y = torch.std(h, [2], keepdim=True)"},
      {"std", "y = h.std(-1)"},
      {"var_mean", "a, b = torch.var_mean(h, [2])\ny = torch.cat([a, b], 1)"},
      {"std_mean", "a, b = torch.std_mean(h, [1], keepdim=True)\ny = (h - b) / (a + 0.1)"},
      {"norm", "y = torch.norm(h, 2, [1])"},
      {"norm", "y = torch.norm(h, 1, [1, 2], True)"},
      {"linalg_norm", "y = torch.linalg_norm(h, None, [1])"},
      {"linalg_vector_norm", "y = torch.linalg_vector_norm(h, 2, [1, 2], True)"},
      {"linalg_vector_norm", "y = torch.linalg_vector_norm(h, 1, [-1])"},
      {"frobenius_norm", "y = torch.frobenius_norm(h, [2], True)"},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("every normalisation keeps summation to delta", "[rules]") {
  check_cases(normalisation_cases());
}

TEST_CASE("normalisations written out keep summation to delta", "[rules]") {
  const Given pairs = given(3, 4, 9);
  for (const char* lines :
       {"y = h * torch.rsqrt((h ** 2).mean(1, keepdim=True) + 1e-6)",
        "y = h / torch.sqrt(torch.mean(h * h, -1, keepdim=True) + 1e-5)",
        "c = h - h.mean(2, keepdim=True)\ny = c / (c.pow(2).mean(2, keepdim=True) + 1e-5).sqrt()",
        "y = (h - h.mean(1, keepdim=True)) / (h.std(1, keepdim=True) + 0.01)",
        "y = h / torch.norm(h, 2, [1], True).clamp_min(1e-12)"}) {
    check_case({"norm", lines, {}}, pairs);
  }
}

TEST_CASE("a layer norm of two numbers by hand", "[rules]") {
  // (a, b) normalises to (s, -s) with s = d / sqrt(d^2 + eps) and d = (a - b) / 2, so the output
  // is a function of d alone. With eps = 1, (3, 1) against (0, 0): d = 1, s = 1 / sqrt 2.
  // Steps: variance v = d^2 = 1, square's slope (1 + 0) for the centred values +-1, mean: the
  // change of v is 1; inverse root q = 1 / sqrt(v + 1) from 1 to 1 / sqrt 2; product d q: d gets
  // the mean of q and q' = (1 + s) / 2, q the mean of d and 0, which is 1/2. m_d = (1 + s) / 2 +
  // 1/2 (s - 1) / (1 - 0) * (1 + 0) = s, and d = (a - b) / 2.
  const auto net = forward("return torch.layer_norm(x[:, 0], [2], None, None, 1.0)[:, 0:1]");
  const auto m = multipliers_by_hand(net, {3, 1}, {0, 0});
  const double s = 1 / std::sqrt(2.0);
  CHECK(m[0] == Approx(s / 2).epsilon(1e-12));
  CHECK(m[1] == Approx(-s / 2).epsilon(1e-12));
}

TEST_CASE("a batch norm is its scale", "[rules]") {
  // (x - 1) / sqrt(3 + 1) x 5 + 2.
  const auto net = forward(
      "return torch.batch_norm(x[:, 0], self.g, self.s, self.m, self.v, False, 0.1, 1.0, False)",
      {{"g", vector_of({5})}, {"s", vector_of({2})}, {"m", vector_of({1})}, {"v", vector_of({3})}});
  CHECK(multipliers_by_hand(net, {1}, {0})[0] == Approx(2.5).epsilon(1e-14));
}

TEST_CASE("a batch norm in training mode by a trace uses its running statistics", "[rules]") {
  const Given pairs = given(2, 3, 9);
  const auto call = [](const std::string& training) {
    return around("y = torch.batch_norm(h, self.g, self.s, self.mean, self.var, " + training +
                      ", 0.1, 1e-5, False)",
                  statistics());
  };
  const Explained training = explain(call("True"), pairs);
  const Explained plain = explain(call("False"), pairs);
  CHECK(distance(training.values, plain.values) < 1e-14);
  CHECK(worst_delta(training) < 1e-10);
}

TEST_CASE("a batch norm without running statistics is refused", "[rules]") {
  const auto net =
      around("y = torch.batch_norm(h, None, None, None, None, True, 0.1, 1e-5, False)");
  const std::string error = error_of([&]() { explain(net, given(2, 2, 9)); });
  CHECK(error.find("unsupported_operation: The operation aten::batch_norm") == 0);
  CHECK(error.find("running statistics") != std::string::npos);
}

TEST_CASE("statistics that pool all sequences of a batch are refused", "[rules]") {
  for (const char* lines : {"y = h / torch.var(h)", "y = h / h.std()", "y = h / torch.norm(h)"}) {
    INFO(lines);
    const std::string error = error_of([&]() { explain(around(lines), given(2, 2, 9)); });
    CHECK(error.find("unsupported_operation") == 0);
  }
}

TEST_CASE("weights of a normalisation that depend on X are refused", "[rules]") {
  // They have no dimension for the sequences: those of one sequence would scale all others.
  for (const char* lines : {"y = torch.layer_norm(h, [9], h[0].mean(0), None, 0.1)",
                            "y = torch.group_norm(h, 2, None, h[0].amax(1), 0.1)"}) {
    INFO(lines);
    const std::string error = error_of([&]() { explain(around(lines), given(2, 3, 9)); });
    CHECK(error.find("unsupported_operation: The operation aten::") == 0);
  }
}
