"""Write the state dicts of published architectures, and what these architectures give, for the R
tests: tests/testthat/architectures/<name>.pth and <name>_expected.pth.

    /usr/bin/python3 tests/models/make_architectures.py

Debian: python3-torch. The networks are written down here from what their papers and their public
classes say (bpnet-lite 1.0.0, ProCapNet, Kipoi's DeepSEA), in float64, at sizes that the published
ones do not have: unequal depths, other widths, other trimmings.
"""

import math
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "architectures"


def one_hot(n, length, seed):
    generator = torch.Generator().manual_seed(seed)
    bases = torch.randint(0, 4, (n, length), generator=generator)
    return F.one_hot(bases, 4).permute(0, 2, 1).double()


class Trunk(nn.Module):
    """iconv, then residual layers whose dilation doubles."""

    def __init__(self, filters, layers, strands, width, tracks=0, counts=1):
        super().__init__()
        self.iconv = nn.Conv1d(4, filters, 21, padding=10)
        self.rconvs = nn.ModuleList(
            nn.Conv1d(filters, filters, 3, padding=2 ** i, dilation=2 ** i)
            for i in range(1, layers + 1))
        self.fconv = nn.Conv1d(filters + tracks, strands, width)
        self.linear = nn.Linear(filters + (tracks > 0), counts)
        self.width = width

    def body(self, x):
        h = self.iconv(x).relu()
        for convolution in self.rconvs:
            h = h + convolution(h).relu()
        return h


class BPNet(Trunk):
    """The profile is the padded convolution, cut; counts are pooled 37 bases further on each side,
    whatever the width of fconv."""

    def default_trimming(self):
        return 10 + 37 + sum(2 ** (i + 1) for i in range(len(self.rconvs)))

    def forward(self, x, control=None, trimming=None):
        cut = self.default_trimming() if trimming is None else trimming
        end = x.shape[2] - cut
        h = self.body(x)
        both = h if control is None else torch.cat([h, control], 1)
        profile = F.conv1d(both, self.fconv.weight, self.fconv.bias, padding=self.width // 2)
        pooled = h[:, :, cut - 37:end + 37].mean(2)
        if control is not None:
            total = control[:, :, cut - 37:end + 37].sum((1, 2))
            pooled = torch.cat([pooled, (total + 1).log()[:, None]], 1)
        return profile[:, :, cut:end], self.linear(pooled)


class ProCapNet(Trunk):
    """The window is cut before the head, which is not padded; counts are pooled over that window."""

    def forward(self, x, trimming=557):
        margin = self.width // 2
        h = self.body(x)[:, :, trimming - margin:x.shape[2] - trimming + margin]
        return self.fconv(h), self.linear(h.mean(2))


class ChromBPNet(nn.Module):
    """Each model has its own window: counts are the logarithm of the sum, the bias's profile is cut
    to the accessibility's."""

    def __init__(self, accessibility, bias):
        super().__init__()
        self.accessibility = accessibility
        self.bias = bias

    def forward(self, x, trimming=None, bias_trimming=None):
        profile, counts = self.accessibility(x, trimming=trimming)
        bias_profile, bias_counts = self.bias(x, trimming=bias_trimming)
        cut = (bias_profile.shape[2] - profile.shape[2]) // 2
        kept = bias_profile[:, :, cut:bias_profile.shape[2] - cut]
        return profile + kept, torch.logaddexp(counts, bias_counts)


def deepsea_layers(filters, tasks):
    a, b, c, d = filters
    threshold = lambda: nn.Threshold(0, 1e-6)
    flatten = type("Flat", (nn.Module,), {"forward": lambda self, x: x.reshape(len(x), -1)})
    passed = nn.Identity
    return nn.Sequential(
        nn.Conv2d(4, a, (1, 4)), threshold(), nn.MaxPool2d((1, 4)), nn.Dropout(0.2),
        nn.Conv2d(a, b, (1, 3)), threshold(), nn.MaxPool2d((1, 4)), nn.Dropout(0.2),
        nn.Conv2d(b, c, (1, 2)), threshold(), nn.Dropout(0.5), flatten(),
        nn.Sequential(passed(), nn.Linear(c * 1, d)), threshold(),
        nn.Sequential(passed(), nn.Linear(d, tasks)), nn.Sigmoid())


class FirstBases(nn.Module):
    """A, C, G, T to A, G, C, T."""

    def forward(self, x):
        return x[:, [0, 2, 1, 3]]


class Unwired(nn.Module):
    """A step without weights, for its place in the numbering."""

    def forward(self, x):
        return x


# ---- Borzoi: borzoi-pytorch, pytorch_borzoi_model.py and pytorch_borzoi_transformer.py ----------


class ConvBlock(nn.Module):
    def __init__(self, inputs, outputs, width=1):
        super().__init__()
        self.norm = nn.BatchNorm1d(inputs, eps=0.001)
        self.activation = nn.GELU(approximate="tanh")
        self.conv_layer = nn.Conv1d(inputs, outputs, width, padding="same")

    def forward(self, x):
        return self.conv_layer(self.activation(self.norm(x)))


class SeparableBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv_layer = nn.Sequential(
            nn.Conv1d(channels, channels, 3, groups=channels, padding="same", bias=False),
            nn.Conv1d(channels, channels, 1))

    def forward(self, x):
        return self.conv_layer(x)


class ConvDna(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv_layer = nn.Conv1d(4, channels, 15, padding="same")
        self.max_pool = nn.MaxPool1d(2)

    def forward(self, x):
        return self.max_pool(self.conv_layer(x))


class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return self.fn(x) + x


class Attention(nn.Module):
    """Logits of positions pair by pair, where the original shifts a matrix."""

    def __init__(self, dim, heads, key, value, features):
        super().__init__()
        self.heads, self.features = heads, features
        self.to_q = nn.Linear(dim, key * heads, bias=False)
        self.to_k = nn.Linear(dim, key * heads, bias=False)
        self.to_v = nn.Linear(dim, value * heads, bias=False)
        self.to_out = nn.Linear(value * heads, dim)
        self.to_rel_k = nn.Linear(features, key * heads, bias=False)
        self.rel_content_bias = nn.Parameter(torch.randn(1, heads, 1, key))
        self.rel_pos_bias = nn.Parameter(torch.randn(1, heads, 1, key))

    def positions(self, n):
        distances = torch.arange(-n + 1, n)
        basis = self.features // 2
        rate = math.exp(math.log(n + 1) / basis)
        # Of whole numbers: single precision.
        widths = torch.pow(rate, torch.arange(1, basis + 1)).float() - 1
        inside = (widths[None] > distances.abs()[:, None]).double()
        return torch.cat([inside, distances.sign()[:, None] * inside], 1)

    def forward(self, x):
        n = x.shape[1]
        split = lambda t: t.reshape(len(x), n, self.heads, -1).transpose(1, 2)
        q, k, v = split(self.to_q(x)), split(self.to_k(x)), split(self.to_v(x))
        q = q * (q.shape[3] ** -0.5)
        content = torch.einsum("bhid,bhjd->bhij", q + self.rel_content_bias, k)
        r = self.to_rel_k(self.positions(n)).reshape(2 * n - 1, self.heads, -1)
        apart = torch.arange(n)[None] - torch.arange(n)[:, None] + n - 1
        position = torch.einsum("bhid,ijhd->bhij", q + self.rel_pos_bias, r[apart])
        mixed = (content + position).softmax(-1) @ v
        return self.to_out(mixed.transpose(1, 2).reshape(len(x), n, -1))


class Mha(nn.Module):
    """MHA of flash-attention: every two heads of queries share keys and values, and the first
    channels of queries and keys turn with the position (rotary, not interleaved). As complex numbers
    here, head by head."""

    def __init__(self, dim, heads, rotated):
        super().__init__()
        self.dim, self.heads, self.rotated = dim, heads, rotated
        self.Wqkv = nn.Linear(dim, 2 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def turn(self, x):
        half = self.rotated // 2
        rates = 1 / 20000 ** (torch.arange(0, self.rotated, 2).double() / self.rotated)
        angles = torch.outer(torch.arange(x.shape[1]).double(), rates)
        turned = torch.complex(x[..., :half], x[..., half:2 * half]) * torch.exp(1j * angles)
        return torch.cat([turned.real, turned.imag, x[..., 2 * half:]], -1)

    def forward(self, x):
        width = self.dim // self.heads
        parts = self.Wqkv(x).split(width, -1)
        mixed = []
        for head in range(self.heads):
            q = self.turn(parts[head])
            k = self.turn(parts[self.heads + head // 2])
            v = parts[self.heads + self.heads // 2 + head // 2]
            mixed.append((q @ k.transpose(1, 2) * width**-0.5).softmax(-1) @ v)
        return self.out_proj(torch.cat(mixed, -1))


class FlashAttention(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.mha = Mha(*sizes)

    def forward(self, x):
        return self.mha(x)


class Borzoi(nn.Module):
    def __init__(self, stem, tower, dim, depth, heads, key, value, features, last, tracks, crop,
                 rotated=None):
        super().__init__()
        self.crop = crop
        self.conv_dna = ConvDna(stem)
        self._max_pool = nn.MaxPool1d(2)
        blocks, channels = [], stem
        for width in tower:
            blocks += ([self._max_pool] if blocks else []) + [ConvBlock(channels, width, 5)]
            channels = width
        self.res_tower = nn.Sequential(*blocks)
        self.unet1 = nn.Sequential(self._max_pool, ConvBlock(channels, dim, 5))
        self.transformer = nn.Sequential(*[nn.Sequential(
            Residual(nn.Sequential(nn.LayerNorm(dim, eps=0.001),
                                   FlashAttention(dim, heads, rotated) if rotated else
                                   Attention(dim, heads, key, value, features), nn.Dropout(0.2))),
            Residual(nn.Sequential(nn.LayerNorm(dim, eps=0.001), nn.Linear(dim, dim * 2),
                                   nn.Dropout(0.2), nn.ReLU(), nn.Linear(dim * 2, dim),
                                   nn.Dropout(0.2)))) for _ in range(depth)])
        self.horizontal_conv0 = ConvBlock(channels, dim)
        self.horizontal_conv1 = ConvBlock(dim, dim)
        self.upsample = nn.Upsample(scale_factor=2)
        self.upsampling_unet1 = nn.Sequential(ConvBlock(dim, dim), self.upsample)
        self.separable1 = SeparableBlock(dim)
        self.upsampling_unet0 = nn.Sequential(ConvBlock(dim, dim), self.upsample)
        self.separable0 = SeparableBlock(dim)
        self.final_joined_convs = nn.Sequential(ConvBlock(dim, last), nn.Dropout(0.1),
                                                nn.GELU(approximate="tanh"))
        self.human_head = nn.Conv1d(last, tracks[0], 1)
        self.mouse_head = nn.Conv1d(last, tracks[1], 1)

    def forward(self, x):
        x_unet0 = self.res_tower(self.conv_dna(x))
        x_unet1 = self.unet1(x_unet0)
        x = self.transformer(self._max_pool(x_unet1).permute(0, 2, 1)).permute(0, 2, 1)
        x = self.separable1(self.upsampling_unet1(x) + self.horizontal_conv1(x_unet1))
        x = self.separable0(self.upsampling_unet0(x) + self.horizontal_conv0(x_unet0))
        trim = (self.crop - x.shape[2]) // 2
        x = self.final_joined_convs(x[:, :, -trim:trim])
        return F.softplus(self.human_head(x)), F.softplus(self.mouse_head(x))


def save(name, net, x, outputs, wrap=lambda keys: keys, **more):
    weights = net.state_dict()
    torch.save(wrap(weights), OUT / f"{name}.pth")
    named = {f"output_{i + 1}": output.detach() for i, output in enumerate(outputs)}
    torch.save({"X": x.char(), **more, **named}, OUT / f"{name}_expected.pth")


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(1)
    for name, size, length, trimming, tracks in [
            ("bpnet_wide", (3, 2, 2, 75), 140, None, 2), ("bpnet_narrow", (3, 1, 1, 25), 130, None, 0),
            ("bpnet_narrow_control", (4, 2, 2, 21), 150, 50, 1)]:
        net = BPNet(*size, tracks=tracks).double().eval()
        x = one_hot(2, length, 1)
        control = torch.rand(2, tracks, length).double() * 3 if tracks else None
        more = {"control": control} if tracks else {}
        save(name, net, x, net(x, control, trimming), **more)
    for name, sizes, length, trimming, bias_trimming in [
            ("chrombpnet_depths", ((3, 3, 1, 75), (2, 1, 1, 75)), 180, None, None),
            ("chrombpnet_same", ((3, 3, 1, 75), (2, 1, 1, 75)), 180, 61, 61),
            ("chrombpnet_widths", ((3, 2, 1, 75), (2, 1, 1, 25)), 200, 70, None)]:
        net = ChromBPNet(BPNet(*sizes[0]), BPNet(*sizes[1])).double().eval()
        x = one_hot(2, length, 2)
        save(name, net, x, net(x, trimming, bias_trimming))
    for name, size, counts, length, trimming in [
            ("procapnet_counts", (2, 2, 2, 75), 2, 1200, 557), ("procapnet_narrow", (2, 1, 2, 9), 1, 90, 30)]:
        net = ProCapNet(*size, counts=counts).double().eval()
        x = one_hot(1, length, 3)
        save(name, net, x, net(x, trimming))
    # conv 4, pool 4, conv 3, pool 4, conv 2: one position is left of 47.
    for name, steps in [("deepsea_effects", 1), ("deepsea_predict", 2)]:
        layers = deepsea_layers((3, 4, 5, 6), 3).double().eval()
        inside = [FirstBases()] + [Unwired() for _ in range(steps - 1)]
        net = nn.Sequential(*inside, layers).eval()
        x = one_hot(2, 47, 4)
        save(name, net, x, [net(x[:, :, None])])
    # Of Flashzoi's heads of three channels one pair turns, or of four both.
    for name, dim, heads, rotated in [("borzoi_small", 8, 2, None), ("flashzoi_part", 12, 4, 2),
                                      ("flashzoi_whole", 8, 2, 4)]:
        net = Borzoi(6, (6, 8), dim, 2, heads, 4, 6, 8, 10, (3, 2), 20, rotated).double()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d):
                nn.init.uniform_(module.running_mean, -1, 1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
        net.eval()
        x = one_hot(2, 128, 5)
        save(name, net, x, net(x))


if __name__ == "__main__":
    sys.exit(main())
