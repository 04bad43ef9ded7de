// Operations whose meaning or success depends on how tensors lie in memory, each behind each kind
// of layer. We keep activations in another layout than the model's own run does; every net here
// must predict what LibTorch's own run of the module predicts, or fail where that fails.

#include "catch.h"
#include "core/model/layout.h"
#include "core/numeric/tensor_functions.h"
#include "edited.h"
#include "own_run.h"

namespace nets {

namespace {

// `t` from h [n, 4, L].
struct Layer {
  std::string name;
  std::string lines;
};

Tensors layer_weights() {
  return {{"w", numbers({6, 4, 3}, 11)},        {"w2", numbers({4, 1, 2, 3}, 12)},
          {"w3", numbers({2, 1, 2, 2, 2}, 13)}, {"up", numbers({4, 6, 4}, 14)},
          {"mean", numbers({6}, 15)},           {"var", numbers({6}, 16, 0.5, 2)},
          {"dense", numbers({8, 12}, 17)},      {"b", numbers({8}, 18)},
          {"u", numbers({12, 4}, 19)},          {"v", numbers({12, 3}, 20)},
          {"q", numbers({4, 4}, 21)},           {"wide", numbers({4, 1, 5}, 22)}};
}

const std::vector<Layer>& layers() {
  static const std::string conv = "c = torch.conv1d(h, self.w, None, [1], [1])\n";
  static const std::vector<Layer> all{
      {"the input", "t = x * 1.0"},
      {"conv1d", conv + "t = c"},
      {"conv1d relu", conv + "t = torch.relu(c)"},
      {"conv1d relu_", conv + "t = c.relu_()"},
      {"dilated strided conv1d", "t = torch.conv1d(h, self.w, None, [2], [2], [2])"},
      {"grouped conv1d", "t = torch.conv1d(h, self.wide, None, [1], [2], [1], 4)"},
      {"conv2d", "t = torch.conv2d(h.unsqueeze(1), self.w2)"},
      {"conv2d over a line", "t = torch.conv2d(h.unsqueeze(2), self.w.unsqueeze(2)).squeeze(2)"},
      {"conv3d", "t = torch.conv3d(h.reshape(h.size(0), 1, 2, 2, 12), self.w3).squeeze(2)"},
      {"conv_transpose1d", "t = torch.conv_transpose1d(h, self.up, None, [2], [1])"},
      {"max_pool1d", conv + "t = torch.max_pool1d(torch.relu(c), [2])"},
      {"overlapping max_pool1d", conv + "t = torch.max_pool1d(c, [3], [2], [1])"},
      {"max_pool2d", conv + "t = torch.max_pool2d(c.unsqueeze(2), [1, 3]).squeeze(2)"},
      {"avg_pool1d", conv + "t = torch.avg_pool1d(torch.exp(c), [2], [2])"},
      {"batch_norm",
       conv + "t = torch.batch_norm(c, None, None, self.mean, self.var, False, 0.1, 1e-5, False)"},
      {"linear", conv + "t = torch.linear(c, self.dense, self.b)"},
      {"lstm over positions",
       "z = torch.zeros([1, h.size(0), 3], dtype=h.dtype)\n"
       "t, e, f = torch.lstm(h.transpose(1, 2), [z, z], [self.u, self.v], False, 1, 0.0, False, "
       "False, True)"},
      {"attention",
       "k = h.transpose(1, 2)\n"
       "t = torch.matmul(torch.softmax(torch.matmul(torch.matmul(k, self.q), h), -1), k)"},
      {"heads of attention",
       "k = h.transpose(1, 2)\n"
       "k = k.reshape(k.size(0), k.size(1), 2, 2).transpose(1, 2)\n"
       "k = torch.matmul(torch.softmax(torch.matmul(k, k.transpose(2, 3)), -1), k)\n"
       "t = k.transpose(1, 2).reshape(k.size(0), -1, 4)"},
      {"upsample", "t = torch.upsample_nearest1d(h, [24])"},
      {"residual add", conv + "t = c + torch.conv1d(torch.relu(c), self.w.repeat(1, 2, 1)[:, 0:6], "
                              "None, [1], [1])"},
      {"mixed add", conv + "t = c.transpose(1, 2).contiguous() + c.transpose(1, 2)"},
      {"add of a transposed", conv + "t = torch.linear(c, self.dense) + "
                                     "torch.linear(c.transpose(1, 2), self.dense[:, 0:6])"
                                     "[:, 0:8].transpose(1, 2)[:, 0:6, 0:8]"},
      {"cat", conv + "t = torch.cat([c, torch.tanh(c)], 1)"},
      {"cat of transposed", conv + "t = torch.cat([c.transpose(1, 2), c.transpose(1, 2)], 2)"},
      {"pad", conv + "t = torch.constant_pad_nd(c, [1, 2], 0)"},
      {"crop", conv + "t = c[:, :, 2:-2]"},
      {"transpose", conv + "t = torch.sigmoid(c).transpose(1, 2)"},
      {"layer_norm", conv + "t = torch.layer_norm(c.transpose(1, 2), [6], None, None, 1e-5)"},
      {"gelu of a transposed", conv + "t = torch.gelu(c.transpose(1, 2))"},
      {"glu", conv + "t = torch.glu(c, 1)"},
      {"einsum", "t = torch.einsum('ncl,cd->ndl', [h, self.q])"},
      {"two strands", conv + "t = (torch.relu(c) + torch.relu(torch.conv1d(h.flip([1, 2]), self.w, "
                             "None, [1], [1])).flip([2])) / 2.0"},
      {"channels last",
       "t = torch.conv2d(h.unsqueeze(1).contiguous(memory_format=2), self.w2)\nt = torch.relu(t)"}};
  return all;
}

// `y` from t, of whatever rank.
struct Use {
  std::string name;
  std::string lines;
  bool explained = true;  // has a rule
};

const std::vector<Use>& uses() {
  static const std::string row = "m = t.numel() // t.size(0)\n";
  static const std::vector<Use> all{
      {"view", "y = t.view(t.size(0), -1)"},
      {"view of rows", "y = torch.tanh(t.view(t.size(0) * t.size(1), -1)).view(t.size(0), -1)"},
      {"view_as", "y = t.view_as(torch.zeros_like(t).reshape(t.size(0), -1))"},
      {"contiguous, view", "y = t.contiguous().view(t.size(0), -1)"},
      {"reshape", "y = t.reshape(t.size(0), -1)"},
      {"flatten", "y = torch.flatten(t, 1)"},
      {"transpose, view", "y = t.transpose(1, -1).view(t.size(0), -1)"},
      {"transpose, contiguous, view", "y = t.transpose(1, -1).contiguous().view(t.size(0), -1)"},
      {"split by view", row + "y = t.view(t.size(0), -1, 2).cumsum(2)"},
      {"view of a slice", "y = t[:, 1:].view(t.size(0), -1)"},
      {"view of an expanded",
       "y = t.unsqueeze(1).expand([-1, 2] + t.shape[1:]).view(t.size(0), -1)"},
      {"as_strided", row + "y = t.as_strided([t.size(0), m // 2, 2], [m, 2, 1]).sum(2)"},
      {"as_strided windows", row + "y = t.as_strided([t.size(0), m - 2, 3], [m, 1, 1]).amax([2])"},
      {"as_strided with an offset", row + "y = t.as_strided([t.size(0), m - 3], [m, 1], 3)"},
      {"as_strided by stride()", "y = torch.relu(t.as_strided(t.size(), t.stride()))"},
      {"stride", "y = t * float(t.stride(1)) + float(t.stride(-1))"},
      {"strides of a relu", "r = torch.relu(t)\ny = t * float(r.stride(1) + 2 * r.stride(-1))"},
      {"is_contiguous",
       "y = torch.relu(t)\nif t.is_contiguous():\n    y = t * 2.0\nelse:\n    y = t * 3.0"},
      {"storage_offset", "s = t[:, 1:]\ny = s * (1.0 + float(s.storage_offset()))"},
      {"unfold", "y = t.flatten(1).unfold(1, 3, 2)"},
      {"view_as_complex",
       "y = torch.abs(torch.view_as_complex(t.contiguous().view(t.size(0), -1, 2)))"},
      {"view_as_complex as it lies",
       "u = t.unflatten(t.dim() - 1, [t.size(-1) // 2, 2])\ny = torch.view_as_complex(u).imag"},
      {"written through view", "v = t.view(t.size(0), -1)\nv.mul_(2.0)\ny = t * 1.0"},
      {"written through an entry of a view",
       "v = t.view(t.size(0), -1)\nv[:, 0] = torch.tanh(v[:, 1])\ny = t * 1.0"},
      {"written through reshape", "v = t.reshape(t.size(0), -1)\nv.add_(1.5)\ny = torch.relu(t)"},
      {"written through flatten", "v = torch.flatten(t, 1)\nv.tanh_()\ny = t * 2.0"},
      {"written through contiguous", "v = t.contiguous()\nv.mul_(3.0)\ny = t + v"},
      {"written through contiguous of a transposed",
       "v = t.transpose(1, -1).contiguous()\nv.mul_(3.0)\ny = t.flatten(1) + v.flatten(1)"},
      {"written in a loop",
       "y = t * 1.0\nfor i in range(2):\n    v = y.view(y.size(0), -1)\n    v.mul_(1.5)"},
      {"transpose_, view",
       "v = t * 1.0\nv.transpose_(1, -1)\ny = v.contiguous().view(v.size(0), -1)"},
      {"unsqueeze_, squeeze_",
       "v = t * 1.0\nv.unsqueeze_(1)\nv.squeeze_(1)\ny = v.reshape(v.size(0), -1)"},
      {"resize_", row + "v = t.clone()\nv.resize_([t.size(0), m])\ny = v * 1.0", false},
      {"list", "o = [t, t * 2.0]\ny = torch.cat(o, 1).view(t.size(0), -1)"},
      {"loop", "y = t * 1.0\nfor i in range(2):\n    y = torch.tanh(y.view(y.size(0), -1))"},
      {"branch",
       "w = t\nif t.size(1) > 1:\n    w = t.transpose(1, -1)\ny = w.contiguous().view(t.size(0), "
       "-1)"}};
  return all;
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  return distance(a, b) / std::max(1.0, b.abs().max().item<double>());
}

void check_own_run(const ModelPointer& net, at::ScalarType dtype) {
  const OwnRun run = own_run(net, one_hot(33, 12, 5), dtype);
  INFO(c10::toString(dtype) << ": " << run.error);
  CHECK(run.apart < (dtype == at::kDouble ? 1e-12 : 1e-5));
}

}  // namespace

TEST_CASE("what depends on layouts in memory predicts as the module's own run does, or fails alike",
          "[layout]") {
  int fine = 0;
  int failed = 0;
  size_t count = 0;
  for (const Layer& layer : layers()) {
    for (const Use& use : uses()) {
      INFO(layer.name << " | " << use.name << "\n" << layer.lines << "\n" << use.lines);
      const ModelPointer net = around(layer.lines + "\n" + use.lines, layer_weights());
      const at::Tensor X = one_hot(33, 12, 5);
      const auto three = interpreted_in(net, X.narrow(0, 0, 3), at::kDouble);
      const auto many = interpreted_in(net, X, at::kDouble);
      // Where the batch is no longer the outermost dimension in memory, what the model says of its
      // layout changes with the number of sequences.
      const auto single = interpreted_in(net, X.narrow(0, 0, 1), at::kDouble);
      if (!three.empty() && (relative(many[0].narrow(0, 0, 3), three[0]) > 1e-10 ||
                             relative(single[0], three[0].narrow(0, 0, 1)) > 1e-10)) {
        continue;
      }
      (three.empty() ? failed : fine) += 1;
      // What lies beside a slice in memory is refused.
      if (use.name.rfind("as_strided", 0) == 0 && use.name != "as_strided by stride()" &&
          layer.name == "crop") {
        const std::string error = error_of([&]() { predicted(net, X); });
        CHECK(error.find("does not belong to its input") != std::string::npos);
        continue;
      }
      check_own_run(net, at::kFloat);
      if (++count % 3 == 0) {
        check_own_run(net, at::kDouble);
      }
    }
  }
  // Neither side of it is empty.
  CHECK(fine > 700);
  CHECK(failed > 50);
}

TEST_CASE("what depends on layouts in memory keeps summation to delta, in edited copies too",
          "[layout]") {
  const Given pairs = given(2, 3, 12);
  const at::Tensor one = pairs.X.narrow(0, 0, 1);
  size_t count = 0;
  for (const Layer& layer : layers()) {
    for (const Use& use : uses()) {
      // Each use behind a fifth of the layers, each layer before a fifth of the uses.
      if (++count % 6 != 0) {
        continue;
      }
      INFO(layer.name << " | " << use.name << "\n" << layer.lines << "\n" << use.lines);
      const ModelPointer net = around(layer.lines + "\n" + use.lines, layer_weights());
      const auto own = interpreted_in(net, pairs.X, at::kDouble);
      const auto alone = interpreted_in(net, one, at::kDouble);
      const bool explained = use.explained && layer.name != "crop" && !own.empty();
      if (!explained || alone.empty() || relative(alone[0], own[0].narrow(0, 0, 1)) > 1e-10) {
        continue;
      }
      std::string error;
      try {
        const Explained result = explain(net, pairs);
        CHECK(worst_delta(result) < 1e-10);
        CHECK(relative(result.predictions, own[0]) < 1e-12);
        CHECK(largest_change(result) > 1e-6);
        Settings single;
        single.dtype = at::kFloat;
        CHECK(relative(explain(net, pairs, single).predictions, own[0]) < 1e-4);
        CHECK(edited(net, one, all_substitutions(one)).apart < 1e-10);
      } catch (const std::exception& caught) {
        error = std::string(caught.what()).substr(0, 400);
      }
      CHECK(error == "");
    }
  }
}

TEST_CASE("a layout is known for any number of rows", "[layout]") {
  using seqlift::Layout;
  using seqlift::with_sizes;
  // Rows outermost, rows inside of the positions, a slice, an expanded dimension.
  const at::Tensor rows = at::zeros({2, 3, 5});
  CHECK(with_sizes(seqlift::layout_of(rows), {7, 3, 5})->strides ==
        at::zeros({7, 3, 5}).strides().vec());
  const at::Tensor inside = at::zeros({5, 2, 3}).transpose(0, 1);
  CHECK(with_sizes(seqlift::layout_of(inside), {7, 5, 3})->strides ==
        at::zeros({5, 7, 3}).transpose(0, 1).strides().vec());
  const at::Tensor slice = rows.slice(2, 1, 4);
  const auto cut = with_sizes(seqlift::layout_of(slice), {7, 3, 3});
  CHECK(cut->strides == slice.strides().vec());
  CHECK(cut->offset == 1);
  CHECK(!with_sizes(seqlift::layout_of(rows), {7, 4, 5}));
  CHECK(!with_sizes(seqlift::layout_of(inside.slice(2, 1, 3)), {7, 5, 2}));
  const at::Tensor expanded = at::zeros({2, 1, 5}).expand({2, 4, 5});
  const Layout wide = *with_sizes(seqlift::layout_of(expanded), {3, 4, 5});
  const at::Tensor values = numbers({3, 1, 5}, 1).expand({3, 4, 5}).contiguous();
  const at::Tensor laid = seqlift::laid_out(values, wide);
  CHECK(laid.strides().vec() == std::vector<int64_t>{5, 0, 1});
  CHECK(distance(laid, values) == 0);
}

}  // namespace nets
