// Norms and distances.
#include "catch.h"
#include "nets.h"

namespace nets {

std::vector<Case> norm_cases() {
  std::vector<Case> cases;
  for (const char* order :
       {"0.5", "1.0", "2.0", "3.0", "2.5", "float('inf')", "-float('inf')", "-1.0"}) {
    const std::string text = order;
    cases.push_back(
        {"linalg_vector_norm", "y = torch.linalg_vector_norm(h + 0.1, " + text + ", [1])"});
    cases.push_back({"norm", "y = torch.norm(h + 0.1, " + text + ", [1, 2], True)"});
  }
  const std::vector<Case> more{
      {"norm", "y = torch.norm(torch.relu(h), 0, [1])"},
      {"linalg_norm", "y = torch.linalg_norm(h, None, [1, 2]).unsqueeze(1)"},
      {"linalg_norm", "y = torch.linalg_norm(h, 1, [1, 2]).unsqueeze(1)"},
      {"linalg_norm", "y = torch.linalg_norm(h, -1, [2, 1], True)"},
      {"linalg_norm", "y = torch.linalg_norm(h, float('inf'), [1, 2], True)"},
      {"linalg_norm", "y = torch.linalg_norm(h, 3.0, [2])"},
      {"linalg_norm", "y = torch.linalg_norm(h, 'fro', [1, 2]).unsqueeze(1)"},
      {"linalg_matrix_norm", "y = torch.linalg_matrix_norm(h).unsqueeze(1)"},
      {"linalg_matrix_norm", "y = torch.linalg_matrix_norm(h, 1.0).unsqueeze(1)"},
      {"linalg_matrix_norm", "y = torch.linalg_matrix_norm(h, -float('inf'), [1, 2], True)"},
      {"frobenius_norm", "y = torch.frobenius_norm(h, [1, 2], True)"},
      {"pairwise_distance", "y = torch.pairwise_distance(h, h.flip([2]).exp())"},
      {"pairwise_distance",
       "y = torch.pairwise_distance(h, self.a, 1.0, 0.0, True)",
       {{"a", numbers({4, 9}, 71)}}},
      {"cdist", "y = torch.cdist(h, h.flip([2]).exp())"},
      {"cdist", "y = torch.cdist(h, self.a, 1.0)", {{"a", numbers({3, 9}, 72)}}},
      {"cdist", "y = torch.cdist(h.transpose(1, 2), h.exp().transpose(1, 2), 3.0)"},
      {"cosine_similarity", "y = torch.cosine_similarity(h, h.exp(), 1)"},
      {"cosine_similarity",
       "y = torch.cosine_similarity(h, self.a, 2, 0.5)",
       {{"a", numbers({4, 9}, 73)}}},
      {"renorm", "y = torch.renorm(h, 2, 0, 1.5)"},
      {"renorm", "y = torch.renorm(h, 1, 0, 100.0)"},
      {"normalize", "y = h / torch.linalg_vector_norm(h, 2, [1], True).clamp_min(1e-12)"},
      {"local_response",
       "s = torch.avg_pool2d((h * h).unsqueeze(1), [3, 1], [1, 1], [1, 0]).squeeze(1)\n"
       "y = h / (s * 0.1 + 1.0) ** 0.75"},
      {"lp_pool",
       "p = torch.avg_pool1d(h ** 2.0, [3], [2])\n"
       "y = (torch.sign(p) * torch.relu(torch.abs(p)) * 3.0) ** 0.5"},
      {"std", "y = torch.std(h, [1, 2], True, True)"},
      {"var", "y = torch.var(h, [2], False)"},
  };
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

}  // namespace nets

using namespace nets;

TEST_CASE("norms and distances of every order keep summation to delta", "[rules]") {
  check_cases(norm_cases());
}

TEST_CASE("the largest absolute value has the multipliers of the maximum", "[rules]") {
  const Given pairs = given(3, 4, 9);
  CHECK(
      distance(explain(around("y = torch.linalg_vector_norm(h, float('inf'), [1])"), pairs).values,
               explain(around("y = h.abs().amax([1])"), pairs).values) < 1e-12);
  CHECK(distance(explain(around("y = torch.cosine_similarity(h, h.exp(), 1)"), pairs).values,
                 explain(around("a = h / torch.linalg_vector_norm(h, 2, [1], True)\n"
                                "b = h.exp() / torch.linalg_vector_norm(h.exp(), 2, [1], True)\n"
                                "y = (a * b).sum(1)"),
                         pairs)
                     .values) < 1e-12);
}

TEST_CASE("matrix norms of singular values are refused", "[rules]") {
  for (const char* lines :
       {"y = torch.linalg_norm(h, 2, [1, 2])", "y = torch.linalg_norm(h, 'nuc', [1, 2])",
        "y = torch.linalg_matrix_norm(h, 2)", "y = torch.nuclear_norm(h, [1, 2])"}) {
    INFO(lines);
    const std::string error = error_of([&]() { explain(around(lines), given(2, 2, 9)); });
    CHECK(error.find("unsupported_operation: The operation aten::") == 0);
  }
}

TEST_CASE("norms over the sequences of a batch are refused", "[rules]") {
  for (const char* lines : {"y = h * torch.linalg_vector_norm(h)", "y = torch.renorm(h, 2, 1, 1.5)",
                            "y = h * torch.linalg_vector_norm(h, 2, [0])"}) {
    INFO(lines);
    const std::string error = error_of([&]() { explain(around(lines), given(2, 3, 9)); });
    CHECK(error.find("unsupported_operation: The operation aten::") == 0);
  }
}
