// Losses that a model uses as layers.
#include "catch.h"
#include "nets.h"

namespace nets {

std::vector<Case> loss_cases() {
  const Tensors t{{"t", numbers({4, 9}, 95, 0, 1)}};
  const std::string classes = "c = torch.arange(9).remainder(4).expand([h.size(0), 9])\n";
  return {
      {"mse_loss", "y = torch.mse_loss(h, h.flip([2]), 0)"},
      {"l1_loss", "y = torch.l1_loss(h, h.flip([2]), 0)"},
      {"l1_loss", "y = torch.l1_loss(h, self.t.expand_as(h), 0)", t},
      {"smooth_l1_loss", "y = torch.smooth_l1_loss(h, h.flip([2]), 0, 0.5)"},
      {"huber_loss", "y = torch.huber_loss(h, h.flip([2]), 0, 0.5)"},
      {"kl_div", "y = torch.kl_div(h, torch.sigmoid(h.flip([2])), 0)"},
      {"kl_div", "y = torch.kl_div(h, h.flip([2]), 0, log_target=True)"},
      {"binary_cross_entropy",
       "y = torch.binary_cross_entropy(torch.sigmoid(h), torch.sigmoid(h.flip([2])), None, 0)"},
      {"binary_cross_entropy",
       "y = torch.binary_cross_entropy(torch.sigmoid(h), self.t.expand_as(h), None, 0)", t},
      {"binary_cross_entropy_with_logits",
       "y = torch.binary_cross_entropy_with_logits(h, torch.sigmoid(h.flip([2])), None, None, 0)"},
      {"soft_margin_loss", "y = torch.soft_margin_loss(h, h.flip([2]), 0)"},
      {"poisson_nll_loss", "y = torch.poisson_nll_loss(h, h.exp(), True, False, 1e-8, 0)"},
      {"hinge_embedding_loss", "y = torch.hinge_embedding_loss(h, torch.ones_like(h), 1.0, 0)"},
      {"margin_ranking_loss",
       "y = torch.margin_ranking_loss(h, h.flip([2]), torch.ones_like(h), 0.1, 0)"},
      {"nll_loss_nd", classes + "y = torch.nll_loss_nd(torch.log_softmax(h, 1), c, None, 0)"},
      {"nll_loss2d",
       classes + "y = torch.nll_loss2d(h.unsqueeze(2), c.unsqueeze(1), None, 0, -100)"},
      {"nll_loss", classes + "y = torch.nll_loss(h[:, :, 0], c[:, 1], None, 0, -100)\n"
                             "y = y.unsqueeze(1)"},
      {"cross_entropy_loss", classes + "y = torch.cross_entropy_loss(h, c, None, 0)"},
      {"cross_entropy_loss",
       classes + "y = torch.cross_entropy_loss(h, c, self.w, 0, 2)",
       {{"w", numbers({4}, 96, 0.5, 1)}}},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("losses without reduction keep summation to delta", "[rules]") {
  check_cases(loss_cases());
}

TEST_CASE("a loss has the multipliers of what it stands for", "[rules]") {
  const Given pairs = given(3, 4, 9);
  const auto same = [&](const std::string& loss, const std::string& written) {
    INFO(loss << "\n" << written);
    CHECK(distance(explain(around(loss), pairs).values, explain(around(written), pairs).values) <
          1e-12);
  };
  same("y = torch.l1_loss(h, h.flip([2]), 0)", "y = torch.abs(h - h.flip([2]))");
  const std::string classes = "c = torch.arange(9).remainder(4).expand([h.size(0), 9])\n";
  same(classes + "y = torch.cross_entropy_loss(h, c, None, 0)",
       classes + "y = -torch.log_softmax(h, 1).gather(1, c.unsqueeze(1)).squeeze(1)");
}

TEST_CASE("losses that pool a batch or compare with what X chooses are refused", "[rules]") {
  for (const char* lines :
       {"y = h * torch.l1_loss(h, h.flip([2]), 1)", "y = h * torch.mse_loss(h, h.flip([2]), 2)",
        "y = torch.cross_entropy_loss(h, torch.softmax(h.flip([2]), 1), None, 0)",
        "y = torch.cross_entropy_loss(h, torch.ones_like(h), None, 0)"}) {
    INFO(lines);
    const std::string error = error_of([&]() { explain(around(lines), given(2, 3, 9)); });
    CHECK(error.find("unsupported_operation: The operation aten::") == 0);
  }
}
