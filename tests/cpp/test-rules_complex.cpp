// Complex numbers and Fourier transforms.
#include "catch.h"
#include "nets.h"

namespace nets {

namespace {

// z [N, 4, 9], complex, both parts of which depend on X.
const char* const z = "z = torch.complex(h, h.flip([2]) * 0.7 + 0.2)\n";

std::vector<Case> with_z(const std::vector<Case>& cases) {
  std::vector<Case> all = cases;
  for (Case& one : all) {
    one.lines = z + one.lines;
  }
  return all;
}

}  // namespace

std::vector<Case> complex_cases() {
  const Tensors filter{{"k", numbers({4, 9}, 61)}};
  std::vector<Case> cases{
      {"view_as_complex", "y = torch.view_as_complex(torch.stack([h, h.exp()], -1)).abs()"},
      {"view_as_complex",
       "y = torch.view_as_complex(torch.reshape(h[:, :, 0:8], [h.size(0), 4, 4, "
       "2]).contiguous()).abs()"},
      {"fft_fft", "y = torch.view_as_real(torch.fft_fft(h))"},
      {"fft_fft", "y = torch.fft_fft(h, None, 1).abs()"},
      {"fft_rfft", "y = torch.fft_rfft(h, 18).abs()"},
      {"fft_rfft", "y = torch.real(torch.fft_rfft(h, None, -1, 'ortho'))"},
      {"fft_irfft", "y = torch.fft_irfft(torch.fft_rfft(h, 18) * torch.fft_rfft(self.k, 18), 18)",
       filter},
      {"fft_irfft",
       "y = torch.fft_irfft(torch.fft_rfft(h, 18) * torch.fft_rfft(h.flip([1]).tanh(), 18), 18)"},
      {"fft_hfft", "y = torch.fft_hfft(torch.complex(h, h.exp()))"},
      {"fft_ihfft", "y = torch.fft_ihfft(h).abs()"},
      {"fft_ihfft2", "y = torch.fft_ihfft2(h).abs()"},
      {"fft_ihfftn", "y = torch.fft_ihfftn(h, None, [2]).abs()"},
      {"fft_fft2", "y = torch.fft_fft2(h).abs()"},
      {"fft_rfft2", "y = torch.fft_rfft2(h).abs()"},
      {"fft_irfft2", "y = torch.fft_irfft2(torch.fft_rfft2(h) * 0.5, None, [1, 2])"},
      {"fft_fftn", "y = torch.fft_fftn(h, None, [1, 2]).abs()"},
      {"fft_fftn", "y = torch.fft_fftn(h, [6]).abs()"},
      {"fft_rfftn", "y = torch.fft_rfftn(h, None, [1, 2]).abs()"},
      {"fft_irfftn", "y = torch.fft_irfftn(torch.fft_rfftn(h, None, [1, 2]), None, [1, 2])"},
      {"fft_fftshift", "y = torch.fft_fftshift(h, [2])"},
      {"fft_ifftshift", "y = torch.fft_ifftshift(h, [2])"},
      {"_fft_r2c", "y = torch._fft_r2c(h, [2], 0, True).abs()"},
      {"stft", "y = torch.stft(h.flatten(1), 8, 4, 8, None, False, True, True).abs()"},
      {"polar", "y = torch.view_as_real(torch.polar(h.exp(), h.flip([2])))"},
      {"polar", "y = torch.real(torch.polar(self.k, h))", filter},
      {"angle", "y = torch.angle(h - 0.1)"},
      {"scan",
       "a = torch.complex(torch.cos(self.k[:, 0]) * 0.9, torch.sin(self.k[:, 0]) * 0.9)\n"
       "s = torch.zeros([h.size(0), 4], dtype=torch.float64) * a\n"
       "for i in range(9):\n"
       "    s = s * a * torch.sigmoid(h[:, :, i]) + h[:, :, i]\n"
       "y = torch.cat([torch.real(s), torch.imag(s)], 1)",
       filter}};
  const std::vector<Case> with_numbers = with_z({
      {"complex", "y = torch.view_as_real(z * z)"},
      {"mul", "y = torch.view_as_real(z * z.flip([1]) * h)"},
      {"mul", "y = torch.real(z * torch.conj(z.flip([2])))"},
      {"abs", "y = z.abs()"},
      {"angle", "y = torch.angle(z * 0.2 + 2.0)"},
      {"real", "y = torch.real(z) + torch.imag(z) * 2.0"},
      {"conj", "y = torch.view_as_real(torch.resolve_conj(torch.conj(z)))"},
      {"conj_physical", "y = torch.view_as_real(torch.conj_physical(z))"},
      {"exp", "y = torch.view_as_real(torch.exp(z))"},
      {"tanh", "y = torch.view_as_real(torch.tanh(z * 0.3))"},
      {"reciprocal", "y = torch.view_as_real(torch.reciprocal(z + 3.0))"},
      {"div", "y = torch.view_as_real(z / (z.flip([2]) + 3.0))"},
      {"matmul", "y = torch.matmul(z, torch.conj(z).transpose(1, 2)).abs()"},
      {"einsum", "y = torch.view_as_real(torch.einsum('ncl,ncl->nl', [z, z]))"},
      {"sgn", "y = torch.view_as_real(torch.sgn(z))"},
      {"square", "y = torch.view_as_real(torch.square(z))"},
      {"pow", "y = torch.view_as_real(z ** 3)"},
      {"norm", "y = torch.linalg_vector_norm(z, 2, [1])"},
      {"norm", "y = torch.linalg_vector_norm(z, 3, [1])"},
      {"fft_ifft", "y = torch.fft_ifft(z).abs()"},
      {"fft_ifft2", "y = torch.fft_ifft2(z).abs()"},
      {"fft_ifftn", "y = torch.fft_ifftn(z, None, [2]).abs()"},
      {"fft_hfft2", "y = torch.fft_hfft2(z, None, [1, 2])"},
      {"fft_hfftn", "y = torch.fft_hfftn(z, None, [2])"},
      {"_fft_c2c", "y = torch._fft_c2c(z, [2], 0, True).abs()"},
      {"_fft_c2r", "y = torch._fft_c2r(z, [2], 0, 16)"},
      {"istft",
       "s = torch.stft(h.flatten(1), 8, 4, 8, None, False, True, True)\n"
       "y = torch.istft(s * 0.5, 8, 4, 8, None, True, False, True)"},
      {"cumprod", "y = torch.cumprod(z, 2).abs()"},
      {"prod", "y = torch.view_as_real(torch.prod(z, 1))"},
      {"softmax", "y = torch.real(z) * torch.softmax(z.abs(), 2)"},
  });
  cases.insert(cases.end(), with_numbers.begin(), with_numbers.end());
  return cases;
}

}  // namespace nets

using namespace nets;

TEST_CASE("complex numbers and Fourier transforms keep summation to delta", "[rules]") {
  check_cases(complex_cases());
}

TEST_CASE("a complex product has the multipliers of its real parts", "[rules]") {
  // (a + ib)(c + id) written with real numbers.
  const std::string parts = "a = h\nb = h.flip([2])\nc = h.exp()\nd = h.tanh()\n";
  const auto complex =
      around(parts + "y = torch.view_as_real(torch.complex(a, b) * torch.complex(c, d))");
  const auto real = around(parts + "y = torch.stack([a * c - b * d, a * d + b * c], -1)");
  const Given pairs = given(3, 4, 9);
  CHECK(distance(explain(complex, pairs).values, explain(real, pairs).values) < 1e-12);
  const auto conjugate =
      around(parts + "y = torch.real(torch.complex(a, b) * torch.conj(torch.complex(c, d)))");
  const auto written = around(parts + "y = a * c + b * d");
  CHECK(distance(explain(conjugate, pairs).values, explain(written, pairs).values) < 1e-12);
}

TEST_CASE("a convolution by Fourier transforms has the multipliers of the convolution", "[rules]") {
  const Tensors filter{{"k", numbers({4, 9}, 62)}};
  const auto fourier = around(
      "y = torch.fft_irfft(torch.fft_rfft(h, 18) * torch.fft_rfft(self.k, 18), 18)[:, :, 0:9]",
      filter);
  const auto direct = around(
      "y = torch.conv1d(h, self.k.flip([1]).unsqueeze(1), None, [1], [8], [1], 4)[:, :, 0:9]",
      filter);
  const Given pairs = given(3, 4, 9);
  CHECK(distance(explain(fourier, pairs).values, explain(direct, pairs).values) < 1e-12);
  // The filter made from X: each product of frequencies at its midpoint.
  const std::string made = "k = torch.tanh(h.flip([1]))\n";
  const auto both = around(
      made + "y = torch.fft_irfft(torch.fft_rfft(h, 18) * torch.fft_rfft(k, 18), 18)[:, :, 0:9]");
  const auto summed = around(made +
                             "p = torch.constant_pad_nd(k, [8, 8])\n"
                             "y = torch.zeros_like(h)\n"
                             "for i in range(9):\n"
                             "    y = y + h[:, :, i:i + 1] * p[:, :, 8 - i:17 - i]");
  CHECK(distance(explain(both, pairs).values, explain(summed, pairs).values) < 1e-12);
}

TEST_CASE("transforms over the last dimensions alone need no second reference", "[rules]") {
  check_case({"fft_fftn", "y = torch.fft_fftn(h, [6]).abs()", {}}, given(2, 1, 9));
  check_case({"fft_fftn", "y = torch.fft_fftn(h, [4, 6]).abs()", {}}, given(2, 1, 9));
}

TEST_CASE("a Fourier transform over the sequences of a batch is refused", "[rules]") {
  const auto net = around("y = torch.fft_fftn(h).abs()");
  const std::string error = error_of([&]() { explain(net, given(3, 2, 9)); });
  CHECK(error.find("unsupported_operation: The operation aten::fft_fftn") == 0);
}
