#include "core/model/relative_attention.h"

#include <utility>
#include <vector>

namespace seqlift {

std::string with_numbers(std::string source,
                         const std::vector<std::pair<std::string, int64_t>>& numbers) {
  for (const auto& number : numbers) {
    for (size_t at = source.find(number.first); at != std::string::npos;
         at = source.find(number.first, at)) {
      source.replace(at, number.first.size(), std::to_string(number.second));
    }
  }
  return source;
}

namespace {

// [2 n - 1, 6 F]: how far away, in three families of F functions, then the same with the sign of
// the distance. Worked out in float64: the gamma densities are differences of large logarithms.
// The maximum is over distances (dimension 0) or over functions (1).
const char* const positions_source = R"(
def relative_positions(self, n: int):
    at = self.rel_pos_bias.device
    distances = torch.arange(1 - n, n, dtype=7, device=at).unsqueeze(1)
    far = torch.abs(distances)
    octaves = torch.linspace(3.0, torch.log(n) / 0.6931471805599453, FUNCTIONS, dtype=7, device=at)
    exponential = torch.exp(far * -0.6931471805599453 / torch.pow(2.0, octaves))
    widths = torch.pow(2.0, torch.arange(1, FUNCTIONS + 1, dtype=7, device=at)) - 1.0
    central = (widths > far).to(7)
    mean = torch.linspace(n / FUNCTIONS, float(n), FUNCTIONS, dtype=7, device=at)
    deviation = n / (2 * FUNCTIONS)
    shape = torch.pow(mean / deviation, 2)
    rate = mean / (deviation * deviation)
    log_scale = shape * torch.log(rate) - torch.lgamma(shape)
    gamma = torch.exp(torch.xlogy(shape - 1.0, far) - rate * far + log_scale) + 1e-08
    gamma = gamma / torch.amax(gamma, [MAXIMUM], True)
    features = torch.cat([exponential, central, gamma], 1)
    features = torch.cat([features, torch.sign(distances) * features], 1)
    return features.to(self.rel_pos_bias.dtype)
)";

const char* const attention_source = R"(
def split(self, values: Tensor):
    return values.reshape([values.size(0), values.size(1), HEADS, -1]).transpose(1, 2)

def forward(self, input: Tensor):
    n = input.size(1)
    q = self.split(self.to_q.forward(input)) * (float(WIDTH) ** -0.5)
    k = self.split(self.to_k.forward(input))
    v = self.split(self.to_v.forward(input))
    content = torch.matmul(q + self.rel_content_bias, k.transpose(2, 3))
    r = self.to_rel_k.forward(self.relative_positions(n))
    r = r.reshape([2 * n - 1, HEADS, -1]).permute([1, 2, 0])
    position = torch.matmul(q + self.rel_pos_bias, r)
    position = torch.cat([torch.zeros_like(position[:, :, :, :1]), position], 3)
    position = position.reshape([input.size(0), HEADS, 2 * n, n])[:, :, 1:]
    position = position.reshape([input.size(0), HEADS, n, 2 * n - 1])[:, :, :, :n]
    shares = torch.softmax(content + position, -1)
    mixed = torch.matmul(shares, v).transpose(1, 2).reshape([input.size(0), n, -1])
    return self.to_out.forward(mixed)
)";

// Borzoi's one family: whether a distance is below each of F widths, which grow up to the length.
// In single precision, as there: it decides where a width is a whole number but for rounding.
const char* const central_source = R"(
def relative_positions(self, n: int):
    at = self.rel_pos_bias.device
    distances = torch.arange(1 - n, n, dtype=7, device=at).unsqueeze(1)
    growth = torch.exp(torch.log(n + 1) / FUNCTIONS)
    widths = torch.pow(growth, torch.arange(1, FUNCTIONS + 1, dtype=6, device=at)) - 1.0
    features = (widths > torch.abs(distances).to(6)).to(7)
    features = torch.cat([features, torch.sign(distances) * features], 1)
    return features.to(self.rel_pos_bias.dtype)
)";

}  // namespace

// The logits of positions are worked out for all distances; laid out with one more column and cut
// at another width, each row stands one to the left of the row before.
std::string relative_attention_source(const RelativeAttention& options) {
  return with_numbers(attention_source, {{"HEADS", options.heads}, {"WIDTH", options.width}}) +
         with_numbers(
             options.three_families ? positions_source : central_source,
             {{"FUNCTIONS", options.functions}, {"MAXIMUM", options.use_tf_gamma ? 0 : 1}});
}

}  // namespace seqlift
