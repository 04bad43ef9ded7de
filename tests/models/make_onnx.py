"""Write small networks as ONNX files, and what they predict, into tests/testthat/onnx/.

    python3 tests/models/make_onnx.py [DIRECTORY [DIRECTORY]]

The BPNet of inst/extdata/formats/ (bpnet.pt, see export_models.py) is written there as bpnet.onnx too.

The committed files were written by Debian 12's python3-torch (1.13) and python3-onnx (1.12).

Networks that PyTorch exports (`exports`): NAME_OPSET.onnx with a dynamic batch dimension,
NAME_OPSET_fixed.onnx with one of the example; what the module itself predicts for SEQUENCES is in
expected.tsv. Single operators (onnx_operators.py, onnx_fused.py): many small graphs, made with onnx.helper, in one
file, operators.bin.gz, whose parts operators.tsv.gz tells with what torch or numpy says of them.
Unusual files and those to be refused (onnx_odd.py): odd/, bad/ and their expected.tsv. Weights
a pattern, so the files can be made again.
"""

import gzip
import pathlib
import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn

import onnx_fused  # more rows of onnx_operators
import onnx_odd
import onnx_operators

warnings.filterwarnings("ignore")

HERE = pathlib.Path(__file__).resolve().parent
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "testthat/onnx"
FORMATS = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE.parents[1] / "inst/extdata/formats"
SEQUENCES = [
    "ACGTTGCATTAGCAGTCCATGGATACGTTAGC",
    "TTTACGGATCCAGGCATTTAACCGGATATGCA",
    "GATTACAGATTACAGAACGTGGGCATTCAATC",
]
LENGTH = len(SEQUENCES[0])


def one_hot(sequences):
    x = torch.zeros(len(sequences), 4, len(sequences[0]))
    for i, sequence in enumerate(sequences):
        for j, letter in enumerate(sequence):
            x[i, "ACGT".index(letter), j] = 1
    return x


def pattern(module):
    with torch.no_grad():
        for name, tensor in list(module.named_parameters()) + list(module.named_buffers()):
            if not tensor.is_floating_point():
                continue
            index = torch.arange(tensor.numel(), dtype=torch.float64)
            values = torch.sin(1.7 * index + 0.3) / 3 + 0.03  # no two alike, so that no maximum is a tie
            tensor.copy_((values.abs() + 0.5 if "var" in name else values).reshape(tensor.shape))
    return module.eval()


class BPNet(nn.Module):
    def __init__(self, filters=6, layers=3):
        super().__init__()
        self.iconv = nn.Conv1d(4, filters, 7, padding=3)
        self.rconvs = nn.ModuleList(
            [nn.Conv1d(filters, filters, 3, padding=2**i, dilation=2**i) for i in range(1, layers + 1)]
        )
        self.fconv = nn.Conv1d(filters, 2, 5)
        self.linear = nn.Linear(filters, 1)

    def forward(self, x):
        h = F.relu(self.iconv(x))
        for conv in self.rconvs:
            h = h + F.relu(conv(h))
        profile = self.fconv(h)
        counts = self.linear(h[:, :, 3:-3].mean(dim=2))
        return profile, counts


class Basset(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(4, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(3),
            nn.Conv1d(8, 6, 3, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2),
        )
        self.head = nn.Sequential(
            nn.Linear(6 * 4, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Dropout(0.3), nn.Linear(10, 3),
            nn.Sigmoid(),
        )

    def forward(self, x):
        h = self.body(x)
        return self.head(h.view(h.size(0), -1))


class Beluga(nn.Module):
    """Two-dimensional convolutions over [n, 4, 1, L]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(4, 5, (1, 4)), nn.ReLU(), nn.MaxPool2d((1, 2)), nn.Conv2d(5, 4, (1, 3)),
            nn.ReLU(), nn.AvgPool2d((1, 2)),
        )
        self.fc = nn.Linear(4 * 6, 2)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


class Last(nn.Module):
    """[n, L, 4], as networks that came from Keras take it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.dense = nn.Linear(6, 2)

    def forward(self, x):
        h = F.elu(self.conv(x.permute(0, 2, 1))).permute(0, 2, 1)
        return F.softmax(self.dense(h).mean(1), dim=-1)


class Attention(nn.Module):
    """Pooling, positions, multi-head attention by hand, layer norm, GELU."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        self.heads = heads
        self.stem = nn.Conv1d(4, width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(1, LENGTH // 2, width))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Linear(12, width))
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        h = F.avg_pool1d(F.gelu(self.stem(x)), 2).transpose(1, 2) + self.position
        n, length, width = h.shape
        q, k, v = self.qkv(self.norm(h)).chunk(3, dim=-1)
        q, k, v = [t.reshape(n, length, self.heads, -1).transpose(1, 2) for t in (q, k, v)]
        a = torch.softmax(q @ k.transpose(-1, -2) / 2.0, dim=-1)
        h = h + self.out((a @ v).transpose(1, 2).reshape(n, length, width))
        h = h + self.mlp(self.norm(h))
        return F.softplus(self.head(h.mean(1)))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.conv = nn.Conv1d(4, 5, 3)
        layer = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind]
        self.layer = layer(5, 4, batch_first=True, bidirectional=True, num_layers=1)
        self.dense = nn.Linear(8, 2)

    def forward(self, x):
        h = F.max_pool1d(torch.tanh(self.conv(x)), 3).transpose(1, 2)
        return self.dense(self.layer(h)[0].mean(1))


class Upsampled(nn.Module):
    """A U-Net's way down and up, with transposed convolution and interpolation."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv1d(4, 6, 5, stride=2, padding=2)
        self.up = nn.ConvTranspose1d(6, 4, 4, stride=2, padding=1)
        self.norm = nn.GroupNorm(2, 6)
        self.last = nn.Conv1d(8 + 6, 2, 1)

    def forward(self, x):
        h = F.silu(self.norm(self.down(x)))
        wide = F.interpolate(h, scale_factor=2.0, mode="nearest")
        return self.last(torch.cat([x, self.up(h), wide], dim=1))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 6)
        self.conv = nn.Conv1d(6, 4, 5)
        self.dense = nn.Linear(4, 2)

    def forward(self, x):
        h = F.relu(self.conv(self.table(x).transpose(1, 2)))
        return self.dense(h.amax(2))


class Activations(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 12, 3)
        self.prelu = nn.PReLU(12)
        self.acts = nn.ModuleList(
            [nn.ELU(0.7), nn.SELU(), nn.CELU(0.8), nn.LeakyReLU(0.1), nn.Hardsigmoid(), nn.Hardswish(),
             nn.Softplus(), nn.Softsign(), nn.Tanh(), nn.Mish(), nn.ReLU6(), nn.Hardtanh(-0.4, 0.6)]
        )
        self.dense = nn.Linear(12, 2)

    def forward(self, x):
        h = self.prelu(self.conv(x))
        h = torch.stack([act(h[:, i]) for i, act in enumerate(self.acts)], dim=1)
        h = F.instance_norm(h, eps=1e-3)
        return self.dense(h[:, :, ::2].flip(-1).cumsum(-1).mean(-1))


class Strands(nn.Module):
    """Both strands through one network, as models that average them do."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.dense = nn.Linear(6, 2)

    def one(self, x):
        return self.dense(F.relu(self.conv(x)).logsumexp(-1))

    def forward(self, x):
        return (self.one(x) + self.one(torch.flip(x, [1, 2]))) / 2


class ClassToken(nn.Module):
    """A token of its own before those of each sequence."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 3, 5)
        self.token = nn.Parameter(torch.zeros(1, 1, 3))
        self.dense = nn.Linear(3, 2)

    def forward(self, x):
        h = self.conv(x).transpose(1, 2)
        h = torch.cat([self.token.expand(h.shape[0], -1, -1), h], dim=1)
        return self.dense(torch.tanh(h.cumsum(1))[:, -1])


class Heads(nn.Module):
    """PyTorch's own attention, which has positions before sequences."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5, padding=2)
        self.attention = nn.MultiheadAttention(8, 2)
        self.dense = nn.Linear(8, 2)

    def forward(self, x):
        h = self.conv(x).permute(2, 0, 1)
        return self.dense((self.attention(h, h, h, need_weights=False)[0] + h).mean(0))


class Control(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 5, padding=2)
        self.mixed = nn.Conv1d(6, 2, 3, padding=1)
        self.dense = nn.Linear(5, 1)

    def forward(self, control, x):
        h = F.relu(self.conv(x))
        counts = torch.cat([h.mean(2), torch.log(1 + control.sum((1, 2)).unsqueeze(1))], dim=1)
        return self.mixed(torch.cat([h, control], dim=1)), self.dense(counts)


expected = []


def record(name, outputs, names=None):
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for i, output in enumerate(outputs):
        for value in output.detach().double().reshape(-1).tolist():
            expected.append(f"{name}\t{i + 1}\t{value!r}\n")


def export(name, module, inputs, opsets, fixed=(13,), double=False, names=None, outputs=None):
    module = pattern(module.double() if double else module)
    inputs = tuple(x if not x.is_floating_point() else x.double() if double else x.float() for x in inputs)
    with torch.no_grad():
        record(name, module.double()(*[x.double() if x.is_floating_point() else x for x in inputs]))
    module = module if double else module.float()
    names = names or ["x"]
    for opset in opsets:
        common = dict(opset_version=opset, input_names=names, output_names=outputs)
        dynamic = {one: {0: "batch"} for one in names}
        torch.onnx.export(module, inputs, str(OUT / f"{name}_{opset}.onnx"), dynamic_axes=dynamic, **common)
        if opset in fixed:
            torch.onnx.export(module, tuple(x[:1] for x in inputs), str(OUT / f"{name}_{opset}_fixed.onnx"),
                              **common)


def exports():
    x = one_hot(SEQUENCES)
    export("bpnet", BPNet(), (x,), [9, 13, 17], outputs=["profile", "counts"])
    export("basset", Basset(), (x,), [9, 11, 17], fixed=(11,))
    export("double", Basset(), (x,), [13], double=True)
    export("beluga", Beluga(), (x.unsqueeze(2),), [13])
    export("last", Last(), (x.transpose(1, 2),), [9, 13])
    export("attention", Attention(), (x,), [13, 17])
    export("lstm", Recurrent("lstm"), (x,), [9, 14])
    export("gru", Recurrent("gru"), (x,), [13])
    export("rnn", Recurrent("rnn"), (x,), [13])
    export("upsampled", Upsampled(), (x,), [9, 13])
    export("tokens", Tokens(), (x.argmax(1),), [13])
    export("activations", Activations(), (x,), [14])
    export("strands", Strands(), (x,), [13])
    export("token", ClassToken(), (x,), [13])
    export("heads", Heads(), (x,), [13])
    control = torch.arange(3 * 2 * LENGTH).reshape(3, 2, LENGTH) % 5 / 4
    export("control", Control(), (control, x), [13], names=["control.1", "x"], outputs=["a/b", "counts"])
    for name, module in {"bpnet": BPNet(), "basset": Basset(), "double": Basset().double()}.items():
        example = x.double() if name == "double" else x
        torch.jit.trace(pattern(module), example).save(str(OUT / f"{name}.pt"))


def formats():
    module = torch.jit.load(str(HERE.parents[1] / "inst/extdata/formats/bpnet.pt"))
    names = ["X", "control"]
    torch.onnx.export(module, (torch.zeros(2, 4, 16), torch.ones(2, 2, 16)), str(FORMATS / "bpnet.onnx"),
                      opset_version=17, input_names=names, output_names=["profile", "counts"],
                      dynamic_axes={name: {0: "batch"} for name in names})


def operators():
    """name, form, where its bytes begin and how many they are, and what it gives, number by number."""
    everything = b""
    lines = []
    x = one_hot([sequence[: onnx_operators.LENGTH] for sequence in SEQUENCES]).double()
    for one in onnx_operators.rows:
        for form in one["forms"]:
            made = onnx_operators.model(one, form)
            given = one["expected"](onnx_operators.h_of(x, form)).double().reshape(-1).tolist()
            # As in the form before, where it is the same.
            numbers = "" if form == "f" and "d" in one["forms"] else ",".join(f"{value:.14g}" for value in given)
            lines.append(f"{one['name']}\t{form}\t{len(everything)}\t{len(made)}\t{numbers}\n")
            everything += made
    lines.insert(0, "name\tform\tbegin\tbytes\tvalues\n")
    for name, content in {"operators.bin.gz": everything, "operators.tsv.gz": "".join(lines).encode()}.items():
        (OUT / name).write_bytes(gzip.compress(content, mtime=0))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    exports()
    formats()
    assert onnx_fused.row is onnx_operators.row
    operators()
    onnx_odd.write(OUT, one_hot([sequence[: onnx_odd.LENGTH] for sequence in SEQUENCES]))
    (OUT / "expected.tsv").write_text("model\toutput\tvalue\n" + "".join(expected))
