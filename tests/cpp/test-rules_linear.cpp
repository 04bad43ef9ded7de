// Operations that are linear in X: the ordinary gradient is the multiplier, whatever the shapes.
#include "catch.h"
#include "nets.h"

namespace nets {

// h is [N, 4, L] with L = 9 (12 for the pooling grid below).
std::vector<Case> linear_cases() {
  const std::string index = "i = torch.tensor([2, 0, 2, 3], dtype=torch.long)\n";
  const std::string mask = "m = torch.arange(9, dtype=torch.float64) > 4.5\n";
  const std::string square_image = "q = h[:, :, 0:8].reshape(h.size(0), 4, 2, 4)\n";
  const std::string cube = "q = h[:, :, 0:8].reshape(h.size(0), 4, 2, 2, 2)\n";
  return {
      {"add", "y = h + h.flip([2])"},
      {"channel_shuffle", "y = torch.channel_shuffle(h, 2)"},
      {"native_channel_shuffle", "y = torch.native_channel_shuffle(h.unsqueeze(3), 2)"},
      {"add", "y = torch.add(h, 2.5, alpha=0.5)"},
      {"sub", "y = h - h[:, 0:1] * 0.25"},
      {"subtract", "y = torch.subtract(h, h.mean(2, keepdim=True))"},
      {"rsub", "y = 1.5 - h"},
      {"neg", "y = -h"},
      {"negative", "y = torch.negative(h)"},
      {"positive", "y = torch.positive(h)"},
      {"sum", "y = h.sum(1)"},
      {"sum", "y = h.sum([1, 2], keepdim=True)"},
      {"mean", "y = h.mean(-1, keepdim=True)"},
      {"mean", "y = h.mean([1, 2]).unsqueeze(1)"},
      {"nansum", "y = torch.nansum(h, 2)"},
      {"cumsum", "y = torch.cumsum(h, 2)"},
      {"cumsum", "y = torch.cumsum(h, -2)"},
      {"view", "y = h.contiguous().view(h.size(0), 2, 18) * 2"},
      {"view", "y = h.contiguous().view(-1, 9).cumsum(1).view(h.size(0), 4, 9)"},
      {"reshape", "y = h.reshape(-1, 36)"},
      {"_reshape_alias", "y = torch._reshape_alias(h.contiguous(), [h.size(0), 36], [36, 1])"},
      {"flatten", "y = torch.flatten(h, 1)"},
      {"flatten", "y = torch.flatten(h, 0, 1).cumsum(1).view(h.size(0), 4, 9)"},
      {"unflatten", "y = h.unflatten(1, [2, 2]).sum(1)"},
      {"permute", "y = h.permute(0, 2, 1).cumsum(1)"},
      {"transpose", "y = h.transpose(1, 2).cumsum(1)"},
      {"t", "y = torch.matmul(self.a, h.sum(2).t()).t()", {{"a", numbers({3, 4}, 1)}}},
      {"numpy_T", "y = torch.matmul(self.a, h.sum(2).T).T", {{"a", numbers({3, 4}, 1)}}},
      {"mT", "y = torch.matmul(h.mT, self.a)", {{"a", numbers({4, 2}, 1)}}},
      {"mH", "y = torch.matmul(h.mH, self.a)", {{"a", numbers({4, 2}, 1)}}},
      {"matrix_H", "y = torch.matmul(self.a, h.sum(2).H).H", {{"a", numbers({3, 4}, 1)}}},
      {"as_strided", "y = h.contiguous().as_strided([h.size(0), 4, 9], [36, 9, 1])"},
      {"adjoint", "y = torch.matmul(torch.adjoint(h), self.a)", {{"a", numbers({4, 2}, 1)}}},
      {"swapaxes", "y = torch.swapaxes(h, 1, 2)"},
      {"swapdims", "y = torch.swapdims(h, 1, 2)"},
      {"movedim", "y = torch.movedim(h, 1, 2).cumsum(1)"},
      {"moveaxis", "y = torch.moveaxis(h, 2, 1).cumsum(1)"},
      {"squeeze", "y = h.sum(1, keepdim=True).squeeze(1)"},
      {"squeeze", "y = h.sum(2, keepdim=True).squeeze()"},
      {"unsqueeze", "y = h.unsqueeze(1).cumsum(2)"},
      {"unsqueeze", "y = h.unsqueeze(0).cumsum(2).squeeze(0)"},
      {"expand", "y = h.sum(1, keepdim=True).expand(-1, 4, 9) * h.detach().size(2)"},
      {"expand_as", "y = h.sum(2, keepdim=True).expand_as(h)"},
      {"broadcast_to", "y = torch.broadcast_to(h.sum(2, keepdim=True), [h.size(0), 4, 5])"},
      {"view_as", "y = h.contiguous().view_as(x)"},
      {"reshape_as", "y = h.reshape_as(x)"},
      {"sum_to_size", "y = h.sum_to_size([h.size(0), 1, 9])"},
      {"repeat", "y = h.repeat(1, 2, 1)"},
      {"repeat", "y = h.repeat(2, 1, 1)[0:h.size(0)]"},
      {"repeat_interleave", "y = torch.repeat_interleave(h, 3, 1)"},
      {"repeat_interleave", "y = torch.repeat_interleave(h, 2, 0)[::2]"},
      {"tile", "y = torch.tile(h, [1, 1, 2])"},
      {"cat", "y = torch.cat([h, h.flip([2])], 1)"},
      {"cat", "y = torch.cat((h, torch.ones_like(h)), dim=-1)"},
      {"concat", "y = torch.concat([h, h * 2.0], 2)"},
      {"concatenate", "y = torch.concatenate([h, h * 2.0], 2)"},
      {"stack", "y = torch.stack([h, h.flip([1])], 1)"},
      {"stack", "y = torch.stack([h, h.flip([1])], 0).sum(0)"},
      {"hstack", "y = torch.hstack([h, h.flip([2])])"},
      {"vstack", "y = torch.vstack([h, h * 2.0]).view(2, h.size(0), 36).sum(0)"},
      {"row_stack", "y = torch.row_stack([h, h * 2.0]).view(2, h.size(0), 36).sum(0)"},
      {"dstack", "y = torch.dstack([h, h.flip([1])])"},
      {"column_stack", "y = torch.column_stack([h, h.flip([1])])"},
      {"broadcast_tensors", "y = torch.broadcast_tensors([h, h.sum(2, keepdim=True)])[1]"},
      {"meshgrid",
       "y = torch.meshgrid([h.flatten(), torch.ones([2], dtype=torch.float64)])[0]"
       ".sum(1).view(h.size(0), 36)"},
      {"split", "a, b = torch.split(h, 2, 1)\ny = a - b * 0.5"},
      {"split_with_sizes", "a, b = torch.split_with_sizes(h, [4, 5], 2)\ny = a - b[:, :, 0:4]"},
      {"chunk", "a, b = torch.chunk(h, 2, 1)\ny = a - b * 0.5"},
      {"tensor_split", "y = torch.tensor_split(h, 3, 2)[1]"},
      {"hsplit", "y = torch.hsplit(h, 2)[1]"},
      {"vsplit", "y = torch.vsplit(h.transpose(0, 1), 2)[1].transpose(0, 1)"},
      {"dsplit", "y = torch.dsplit(h, 3)[2]"},
      {"unsafe_chunk", "y = torch.unsafe_chunk(h, 2, 1)[1]"},
      {"unsafe_split", "y = torch.unsafe_split(h, 3, 2)[1]"},
      {"unbind", "y = torch.unbind(h, 1)[2]"},
      {"unbind", "a, b, c, d = torch.unbind(h, 1)\ny = a + b * 2.0 - c + d"},
      {"select", "y = h.select(1, 2)"},
      {"select", "y = h[:, :, -1]"},
      {"slice", "y = h[:, 1:3, ::2]"},
      {"narrow", "y = h.narrow(2, 3, 4)"},
      {"index", index + "y = h[:, i]"},
      {"index", index + "y = h[:, :, i]"},
      {"index", mask + "y = h[:, :, m]"},
      {"index_select", index + "y = torch.index_select(h, 2, i)"},
      {"gather", index + "y = torch.gather(h, 2, i.expand(h.size(0), 4, 4))"},
      {"take_along_dim", index + "y = torch.take_along_dim(h, i.view(1, 1, 4), 2)"},
      {"take",
       "i = torch.arange(36).flip([0]).repeat(h.size(0)) + "
       "torch.arange(h.size(0)).repeat_interleave(36) * 36\n"
       "y = torch.take(h, i).view(h.size(0), 36)"},
      {"masked_select", mask + "y = torch.masked_select(h, m).view(h.size(0), 4, 4)"},
      {"masked_fill", mask + "y = h.masked_fill(m, 0.5)"},
      {"masked_scatter", mask + "y = h.masked_scatter(m.expand(h.size(0), 4, 9), "
                                "torch.ones_like(h))"},
      {"scatter", index + "y = h.scatter(2, i.expand(h.size(0), 4, 4), 0.7)"},
      {"scatter_add", index + "y = torch.zeros_like(h).scatter_add("
                              "2, i.expand(h.size(0), 4, 4), h[:, :, 0:4])"},
      {"index_add", index + "y = torch.zeros_like(h).index_add(1, i, h)"},
      {"index_copy", "y = torch.zeros_like(h).index_copy(1, torch.tensor([3, 1]), h[:, 0:2])"},
      {"index_put",
       "y = torch.zeros_like(h).permute(1, 0, 2).index_put("
       "[torch.tensor([3, 1])], h.permute(1, 0, 2)[0:2]).permute(1, 0, 2)"},
      {"index_fill", "y = h.index_fill(2, torch.tensor([1, 4]), 0.5)"},
      {"select_scatter", "y = torch.select_scatter(h, h[:, :, 2] * 2.0, 2, 5)"},
      {"slice_scatter", "y = torch.slice_scatter(h, h[:, :, 0:3] * 2.0, 2, 4, 7)"},
      {"diagonal_scatter", "y = torch.diagonal_scatter(h, h[:, :, 5] * 2.0, 0, 1, 2)"},
      {"where", mask + "y = torch.where(m, h, h.flip([2]) * 0.5)"},
      {"copy", "y = torch.zeros_like(h)\ny[:, 1:3].copy_(h[:, 0:2])"},
      {"copy", "y = torch.zeros_like(h)\ny[:, :, 2] = h[:, :, 5]"},
      {"clone", "y = h.clone()"},
      {"contiguous", "y = h.transpose(1, 2).contiguous()"},
      {"to", "y = h.to(torch.float64)"},
      {"type_as", "y = h.type_as(x)"},
      {"float", "y = h.double()"},
      {"double", "y = h.double()"},
      {"_to_copy", "y = torch._to_copy(h)"},
      {"detach", "y = h.detach()"},
      {"alias", "y = torch.alias(h)"},
      {"lift", "y = torch.lift(h)"},
      {"lift_fresh", "y = torch.lift_fresh(h)"},
      {"requires_grad", "y = h.clone().requires_grad_(True)"},
      {"real", "y = torch.real(h)"},
      {"dropout", "y = torch.dropout(h, 0.5, False)"},
      {"feature_dropout", "y = torch.feature_dropout(h, 0.5, False)"},
      {"alpha_dropout", "y = torch.alpha_dropout(h, 0.5, False)"},
      {"feature_alpha_dropout", "y = torch.feature_alpha_dropout(h, 0.5, False)"},
      {"flip", "y = torch.flip(h, [1, 2])"},
      {"fliplr", "y = torch.fliplr(h)"},
      {"flipud", "y = torch.flipud(h.transpose(0, 1)).transpose(0, 1)"},
      {"roll", "y = torch.roll(h, 2, 2)"},
      {"rot90", "y = torch.rot90(h, 1, [1, 2])"},
      {"diagonal", "y = torch.diagonal(h, 1, 1, 2)"},
      {"diag_embed", "y = torch.diag_embed(h)"},
      {"tril", "y = torch.tril(h)"},
      {"triu", "y = torch.triu(h, 1)"},
      {"diff", "y = torch.diff(h, 1, 2)"},
      {"unfold", "y = h.unfold(2, 4, 3)"},
      {"im2col", "y = torch.im2col(h.unsqueeze(2), [1, 3], [1, 1], [0, 1], [1, 2])"},
      {"col2im", "y = torch.col2im(h.repeat(1, 3, 1), [1, 11], [1, 3], [1, 1], [0, 0], [1, 1])"},
      {"avg_pool1d", "y = torch.avg_pool1d(h, [3], [2], [1], True, False)"},
      {"avg_pool2d", square_image + "y = torch.avg_pool2d(q, [2, 2], [1, 2], [1, 0])"},
      {"avg_pool3d", cube + "y = torch.avg_pool3d(q, [2, 2, 1])"},
      {"adaptive_avg_pool1d", "y = torch.adaptive_avg_pool1d(h, [4])"},
      {"adaptive_avg_pool2d", square_image + "y = torch.adaptive_avg_pool2d(q, [1, 3])"},
      {"adaptive_avg_pool3d", cube + "y = torch.adaptive_avg_pool3d(q, [1, 2, 1])"},
      {"upsample_nearest1d", "y = torch.upsample_nearest1d(h, [14])"},
      {"upsample_nearest2d", square_image + "y = torch.upsample_nearest2d(q, [3, 7])"},
      {"upsample_nearest3d", cube + "y = torch.upsample_nearest3d(q, [3, 2, 4])"},
      {"_upsample_nearest_exact1d", "y = torch._upsample_nearest_exact1d(h, [14])"},
      {"_upsample_nearest_exact2d",
       square_image + "y = torch._upsample_nearest_exact2d(q, [3, 7])"},
      {"_upsample_nearest_exact3d", cube + "y = torch._upsample_nearest_exact3d(q, [3, 2, 4])"},
      {"upsample_linear1d", "y = torch.upsample_linear1d(h, [14], False)"},
      {"upsample_bilinear2d", square_image + "y = torch.upsample_bilinear2d(q, [3, 7], True)"},
      {"upsample_trilinear3d", cube + "y = torch.upsample_trilinear3d(q, [3, 2, 4], False)"},
      {"upsample_bicubic2d", square_image + "y = torch.upsample_bicubic2d(q, [3, 7], False)"},
      {"constant_pad_nd", "y = torch.constant_pad_nd(h, [2, -1], 0.5)"},
      {"pad", "y = torch.pad(h, [2, 1], 'reflect')"},
      {"pad", "y = torch.pad(h, [3, 0, 0, 1], 'constant', 0.25)"},
      {"reflection_pad1d", "y = torch.reflection_pad1d(h, [2, 3])"},
      {"reflection_pad2d", square_image + "y = torch.reflection_pad2d(q, [1, 2, 1, 0])"},
      {"reflection_pad3d", cube + "y = torch.reflection_pad3d(q, [1, 1, 1, 0, 1, 1])"},
      {"replication_pad1d", "y = torch.replication_pad1d(h, [2, 3])"},
      {"replication_pad2d", square_image + "y = torch.replication_pad2d(q, [1, 2, 1, 0])"},
      {"replication_pad3d", cube + "y = torch.replication_pad3d(q, [1, 1, 1, 0, 1, 1])"},
      {"pixel_shuffle", square_image + "y = torch.pixel_shuffle(q, 2)"},
      {"pixel_unshuffle", square_image + "y = torch.pixel_unshuffle(q, 2)"},
      {"atleast_1d", "y = torch.atleast_1d(h)"},
      {"atleast_2d", "y = torch.atleast_2d(h)"},
      {"atleast_3d", "y = torch.atleast_3d(h)"},
      {"ravel", "y = torch.ravel(h).view(h.size(0), 36)"},
      {"resolve_conj", "y = torch.resolve_conj(h)"},
      {"resolve_neg", "y = torch.resolve_neg(h)"},
      {"conj", "y = torch.conj(h)"},
      {"_adaptive_avg_pool2d", "y = torch._adaptive_avg_pool2d(h, [2, 3])"},
      {"_adaptive_avg_pool3d", "y = torch._adaptive_avg_pool3d(h.unsqueeze(1), [2, 2, 3])"},
      {"_upsample_bilinear2d_aa",
       "y = torch._upsample_bilinear2d_aa(h.unsqueeze(1), [3, 4], False, None)"},
      {"_upsample_bicubic2d_aa",
       "y = torch._upsample_bicubic2d_aa(h.unsqueeze(1), [3, 4], False, None)"},
      {"_unsafe_view", "y = torch._unsafe_view(h.contiguous(), [h.size(0), 36])"},
      {"unsafe_split_with_sizes", "y = torch.unsafe_split_with_sizes(h, [4, 5], 2)[1]"},
      {"nanmean", "y = torch.nanmean(h, [2])"},
      {"linalg_diagonal", "y = torch.linalg_diagonal(h)"},
      {"_pad_circular", "y = torch._pad_circular(h, [2, 2])"},
      {"_pad_enum", "y = torch._pad_enum(h, [1, 1], 2)"},
      {"affine_grid_generator",
       "y = torch.affine_grid_generator(h[:, 0:2, 0:3], [h.size(0), 1, 2, 2], False)"},
      {"gradient", "y = torch.gradient(h, dim=[2])[0]"},
      {"_cast_Double", "y = torch._cast_Double(h)"},
      {"grid_sampler",
       "y = torch.grid_sampler(h.unsqueeze(2), self.g.expand([h.size(0), 1, 5, 2]), 0, 0, False)",
       {{"g", numbers({1, 5, 2}, 31)}}},
      {"grid_sampler_2d",
       "y = torch.grid_sampler_2d(h.unsqueeze(2), self.g.expand([h.size(0), 1, 5, 2]), 0, 1, True)",
       {{"g", numbers({1, 5, 2}, 32)}}},
      {"grid_sampler_3d",
       "y = torch.grid_sampler_3d(h.unsqueeze(2).unsqueeze(2), "
       "self.g.expand([h.size(0), 1, 1, 5, 3]), 0, 0, False)",
       {{"g", numbers({1, 1, 5, 3}, 33)}}},
      {"max_unpool2d",
       "i = torch.arange(4).reshape(2, 2).expand([h.size(0), 4, 2, 2]) * 4\n"
       "y = torch.max_unpool2d(h[:, :, 0:4].reshape([h.size(0), 4, 2, 2]), i, [4, 4])"},
      {"max_unpool3d",
       "i = torch.arange(4).reshape(1, 2, 2).expand([h.size(0), 4, 1, 2, 2]) * 4\n"
       "y = torch.max_unpool3d(h[:, :, 0:4].reshape([h.size(0), 4, 1, 2, 2]), i, [1, 4, 4], "
       "[1, 2, 2], [0, 0, 0])"},
      {"linalg_solve", "y = torch.linalg_solve(self.a, h)", {{"a", numbers({4, 4}, 34)}}},
      {"linalg_solve_triangular",
       "y = torch.linalg_solve_triangular(self.a, h, upper=True)",
       {{"a", numbers({4, 4}, 35, 0.5, 1.5)}}},
      {"triangular_solve",
       "y, a = torch.triangular_solve(h, self.a)",
       {{"a", numbers({4, 4}, 36, 0.5, 1.5)}}},
      {"cholesky_solve",
       "y = torch.cholesky_solve(h, self.a)",
       {{"a", numbers({4, 4}, 37, 0.5, 1.5)}}},
      {"linalg_lu_solve",
       "a, p = torch.linalg_lu_factor(self.a)\ny = torch.linalg_lu_solve(a, p, h)",
       {{"a", numbers({4, 4}, 38)}}},
      {"lu_solve",
       "a, p = torch.linalg_lu_factor(self.a)\ny = torch.lu_solve(h, a, p)",
       {{"a", numbers({4, 4}, 39)}}},
      {"data", "y = h.data"},
      {"__getitem__", "p = [h, h * 2.0]\ny = p[1] - p[0] * 0.5"},
      {"append", "p = [h]\np.append(h.flip([2]))\ny = torch.cat(p, 1)"},
      {"extend", "p = [h]\np.extend([h * 2.0, h.flip([2])])\ny = torch.cat(p, 1)"},
      {"insert", "p = [h]\np.insert(0, h.flip([2]))\ny = p[0] + h"},
      {"pop", "p = [h, h.flip([2])]\nq = p.pop()\ny = q + p[0] * 2.0"},
      {"reverse", "p = [h, h.flip([2])]\np.reverse()\ny = p[0] + h * 2.0"},
      {"clear", "p = [h]\np.clear()\np.append(h.flip([2]))\ny = p[0]"},
      {"Delete", "p = [h, h.flip([2])]\ndel p[0]\ny = p[0]"},
      {"dict", "d = dict([('a', h)])\ny = d['a'] * 2.0"},
      {"setdefault", "d = {'a': h}\nv = d.setdefault('b', h.flip([2]))\ny = v - d['b'] * 2.0"},
      {"update", "d = {'a': h}\nd.update({'b': h.flip([2])})\ny = d['a'] - d['b']"},
      {"popitem", "d = {'a': h}\nk, v = d.popitem()\ny = v * 2.0"},
      {"list", "p = [h, h.flip([2])]\nq = list(p)\ny = q[1]"},
      {"_set_item", "p = [h, h]\np[1] = h.flip([2])\ny = p[0] - p[1]"},
      {"_set_item", "d = {'a': h}\nd['b'] = h.flip([2])\ny = d['a'] - d['b']"},
      {"values",
       "d = {'a': h, 'b': h.flip([2])}\ny = torch.zeros_like(h)\n"
       "for v in d.values():\n    y = y * 0.5 + v"},
      {"items",
       "d = {'a': h, 'b': h.flip([2])}\ny = torch.zeros_like(h)\n"
       "for k, v in d.items():\n    y = y * 0.5 + v"},
      {"keys",
       "d = {'a': h, 'b': h.flip([2])}\ny = torch.zeros_like(h)\n"
       "for k in d.keys():\n    y = y * 0.5 + d[k]"},
      {"get", "d = {'a': h}\nv = d.get('a')\nassert v is not None\ny = v * 2.0"},
      {"__contains__", "d = {'a': h}\ny = h\nif 'a' in d:\n    y = d['a'] * 2.0"},
      {"TupleIndex", "p = (h, h.flip([2]))\ny = p[1]"},
      {"unchecked_unwrap_optional", "v: Optional[Tensor] = h\nassert v is not None\ny = v * 2.0"},
  };
}

}  // namespace nets

using namespace nets;

TEST_CASE("every linear operation keeps summation to delta", "[rules]") {
  check_cases(linear_cases());
}

TEST_CASE("a linear operation's multiplier is its weight, whatever the reference", "[rules]") {
  // y = 3 x1 - 2 x2 + 7
  const auto net =
      forward("return (x[:, 0] * self.w).sum(1, keepdim=True) + 7", {{"w", vector_of({3, -2})}});
  CHECK(multipliers_by_hand(net, {1, 1}, {0, 5}) == std::vector<double>{3, -2});
  CHECK(multipliers_by_hand(net, {0, 0}, {0, 0}) == std::vector<double>{3, -2});
}

TEST_CASE("detach does not cut what the prediction depends on", "[rules]") {
  const auto net = forward("return x[:, 0].detach() * 5");
  CHECK(multipliers_by_hand(net, {1}, {0}) == std::vector<double>{5});
}

TEST_CASE("dropout drops nothing, even where a trace says training", "[rules]") {
  const Given pairs = given(2, 3, 9);
  const auto with = around("y = torch.dropout(h, 0.5, True)");
  const auto without = around("y = h");
  const Explained result = explain(with, pairs);
  CHECK(worst_delta(result) < 1e-12);
  CHECK(distance(result.values, explain(without, pairs).values) < 1e-14);
}

TEST_CASE("average pools of every kernel, stride and padding keep summation to delta", "[rules]") {
  const Given pairs = given(2, 3, 12);
  for (const int kernel : {1, 2, 3, 5}) {
    for (const int stride : {1, 2, 3}) {
      for (const int padding : {0, kernel / 2}) {
        for (const char* rest : {"False, True", "True, True", "True, False"}) {
          const std::string call = "y = torch.avg_pool1d(h, [" + std::to_string(kernel) + "], [" +
                                   std::to_string(stride) + "], [" + std::to_string(padding) +
                                   "], " + rest + ")";
          check_case({"avg_pool1d", call, {}}, pairs);
        }
      }
    }
  }
}
