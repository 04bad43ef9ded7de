"""Write torch.export archives of small networks, and the same networks in other forms, into
tests/testthat/models/export/ and inst/extdata/formats/ (BPNet in every form).

    python3 tests/models/export_models.py [DIRECTORY [DIRECTORY]]

Needs PyTorch 2.5 or later; the committed files were written by Debian testing's python3-torch
(2.14.1). Networks come as NAME.pt2, some with a TorchScript twin NAME.pt; the same
inputs go through all of them, and what PyTorch itself answered is in expected.tsv. The weights
follow a pattern, so the files can be made again. Files whose name ends in _core are decomposed to
core ATen, _fixed have a fixed batch dimension; _torch_2_6 are the files of the same name as Debian
13's PyTorch writes them, in the earlier format.
"""

import json
import os
import pathlib
import shutil
import struct
import sys
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim, export

warnings.filterwarnings("ignore")

HERE = pathlib.Path(__file__).resolve().parent
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "testthat/models/export"
FORMATS = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE.parents[1] / "inst/extdata/formats"
LARGE = os.environ.get("LARGE") == "yes"  # also what is too large to be committed
SEQUENCES = ["ACGTTGCATTAGCAGT", "TTTACGGATCCAGGCA", "GATTACAGATTACAGA"]
LENGTH = len(SEQUENCES[0])


def pattern(module):
    """Element i of a parameter or buffer that is a floating-point number is
    ((7 i) mod 11 - 5) / 10 + 0.03; variances are moved above zero."""
    with torch.no_grad():
        for name, tensor in list(module.named_parameters()) + list(module.named_buffers()):
            if not tensor.is_floating_point() or name.endswith("keep"):
                continue
            index = torch.arange(tensor.numel())
            values = ((7 * index) % 11 - 5) / 10 + 0.03
            tensor.copy_((values.abs() + 0.5 if "var" in name else values).reshape(tensor.shape))
    return module.eval()


class Net(nn.Module):
    """Convolution, batch norm, ReLU, max pooling, flatten, dense."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(4, 5, 5, padding=2), nn.BatchNorm1d(5), nn.ReLU(), nn.MaxPool1d(2)
        )
        self.dense = nn.Linear(5 * (LENGTH // 2), 6)
        self.act = nn.ReLU()
        self.out = nn.Linear(6, 2)

    def forward(self, x):
        h = torch.flatten(self.features(x), 1)
        return self.out(self.act(self.dense(h)))


class BPNet(nn.Module):
    """Residual dilated convolutions; a control track; a profile and a count."""

    def __init__(self):
        super().__init__()
        self.iconv = nn.Conv1d(4, 4, 3, padding=1)
        self.irelu = nn.ReLU()
        self.rconvs = nn.ModuleList(
            [nn.Conv1d(4, 4, 3, padding=2**i, dilation=2**i) for i in range(1, 3)]
        )
        self.rrelus = nn.ModuleList([nn.ReLU() for _ in range(2)])
        self.fconv = nn.Conv1d(6, 2, 3)
        self.linear = nn.Linear(5, 1)

    def forward(self, X, control):
        h = self.irelu(self.iconv(X))
        for conv, relu in zip(self.rconvs, self.rrelus):
            h = h + relu(conv(h))
        profile = self.fconv(torch.cat([h, control], dim=1))
        total = torch.log(torch.sum(control, dim=(1, 2)) + 1).unsqueeze(-1)
        counts = self.linear(torch.cat([h.mean(dim=2), total], dim=-1))
        return profile, counts


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(4, 4)
        self.k = nn.Linear(4, 4)
        self.v = nn.Linear(4, 4)

    def forward(self, h):
        n, length, _ = h.shape
        q = self.q(h).view(n, length, 2, 2).transpose(1, 2)
        k = self.k(h).reshape(n, length, 2, 2).transpose(1, 2)
        v = self.v(h).reshape(n, length, 2, 2).transpose(1, 2)
        weights = torch.softmax(torch.matmul(q, k.transpose(-2, -1)) / 2**0.5, dim=-1)
        y = F.scaled_dot_product_attention(q, k, torch.matmul(weights, v))
        return y.transpose(1, 2).reshape(n, length, 4)


class Transformer(nn.Module):
    """Positions from a buffer, layer norm, attention, GELU."""

    def __init__(self):
        super().__init__()
        self.register_buffer("positions", torch.zeros(1, LENGTH, 4))
        self.embed = nn.Conv1d(4, 4, 3, padding=1)
        self.norm = nn.LayerNorm(4)
        self.attention = Attention()
        self.ffn = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        h = self.embed(x).permute(0, 2, 1) + self.positions
        h = h + self.attention(self.norm(h))
        h = h + self.ffn(h)
        return self.head(h.mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.out = nn.Linear(6, 1)

    def forward(self, x):
        h, _ = self.lstm(x.transpose(1, 2))
        return self.out(h[:, -1])


class Shared(nn.Module):
    """One ReLU called three times, tied weights, a constant of the code, outputs in a dictionary
    of tuples, and gradients switched off in the middle."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(4, 4, 3, padding=1)
        self.conv2 = nn.Conv1d(4, 4, 3, padding=1)
        self.conv2.weight = self.conv1.weight
        self.act = nn.ReLU()
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        h = self.act(self.conv2(self.act(self.conv1(x))))
        h = self.act(h * torch.tensor([0.5, -1.0, 2.0, 1.5]).view(1, 4, 1))
        top, mean = h.max(dim=2).values, h.mean(dim=2)
        gate = torch.where(mean > 0.1, mean, torch.zeros_like(mean))
        with torch.no_grad():
            shift = torch.abs(self.out.bias) * 0.5
        return {"a": (self.out(top) + shift, gate), "b": torch.sigmoid(mean)}


class Heads(nn.Module):
    """Shapes with the batch written into them: merged with another dimension, and taken apart."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 4)
        self.register_buffer("start", torch.zeros(1, 1, 4))
        self.out = nn.Linear(4 * (LENGTH + 1), 1)

    def forward(self, x):
        n = x.shape[0]
        h = torch.cat([self.start.expand(n, 1, 4), self.embed(x.transpose(1, 2))], dim=1)
        heads = h.reshape(n, LENGTH + 1, 2, 2).transpose(1, 2).reshape(n * 2, LENGTH + 1, 2)
        weights = torch.softmax(torch.bmm(heads, heads.transpose(1, 2)), -1)
        h = torch.bmm(weights, heads).view(n, 2, LENGTH + 1, 2).transpose(1, 2)
        return self.out(torch.relu(h.reshape(n, -1)))


class OverTheBatch(nn.Module):
    """What a fixed batch dimension must not become a free one for: it weights sequence by
    sequence, by place."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(3, 1, 1))
        self.out = nn.Linear(4, 1)

    def forward(self, x):
        return self.out((x * self.weights).mean(2))


class Normalised(nn.Module):
    """rms_norm came with PyTorch 2.4."""

    def __init__(self):
        super().__init__()
        self.norm = nn.RMSNorm(4)

    def forward(self, x):
        return self.norm(x.transpose(1, 2)).sum((1, 2)).unsqueeze(1)


class Branching(nn.Module):
    """A branch that export keeps as an operation of a higher order."""

    def forward(self, x):
        y = torch.cond(x.sum() > 0, lambda a: a.sin(), lambda a: a.cos(), (x,))
        return y.sum((1, 2)).unsqueeze(1)


def one_hot(sequences):
    X = torch.zeros(len(sequences), 4, len(sequences[0]))
    for i, sequence in enumerate(sequences):
        for j, base in enumerate(sequence):
            X[i, "ACGT".index(base), j] = 1
    return X


def control(n):
    return (torch.arange(n * 2 * LENGTH) % 5).reshape(n, 2, LENGTH).float()


def flat(outputs):
    return torch.utils._pytree.tree_flatten(outputs)[0]


def save_safetensors(tensors, path):
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.detach().contiguous().numpy().tobytes()
        kind = {torch.float32: "F32", torch.int64: "I64"}[tensor.dtype]
        header[name] = {
            "dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


expected = []


def write(name, net, inputs, dynamic=True, core=False, twin=True):
    pattern(net)
    shapes = tuple({0: Dim("batch", max=4096)} for _ in inputs) if dynamic else None
    program = export(net, inputs, dynamic_shapes=shapes)
    if core:
        program = program.run_decompositions()
    torch.export.save(program, str(OUT / (name + ".pt2")))
    if twin:
        traced = torch.jit.trace(net, inputs, strict=False, check_trace=False)
        traced.save(str(OUT / (name + ".pt")))
    with torch.no_grad():
        for k, output in enumerate(flat(net(*inputs))):
            for i, value in enumerate(output.flatten().tolist()):
                expected.append("%s\t%d\t%d\t%.9g" % (name, k + 1, i + 1, value))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    X = one_hot(SEQUENCES)
    write("net", Net(), (X,))
    write("net_core", Net(), (X,), core=True, twin=False)
    net, inputs = BPNet(), (X, control(len(SEQUENCES)))
    write("bpnet", net, inputs, twin=False)
    # The same network in every form, which the vignette reads too.
    FORMATS.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(OUT / "bpnet.pt2"), str(FORMATS))
    torch.jit.trace(net, inputs).save(str(FORMATS / "bpnet.pt"))
    torch.save(net.state_dict(), str(FORMATS / "bpnet.pth"))
    save_safetensors(net.state_dict(), FORMATS / "bpnet.safetensors")
    write("transformer", Transformer(), (X,), twin=False)
    if LARGE:
        write("transformer_core", Transformer(), (X,), core=True, twin=False)
    write("recurrent", Recurrent(), (X,))
    write("shared", Shared(), (X,), twin=False)
    write("heads", Heads(), (X,))
    write("heads_fixed", Heads(), (X,), dynamic=False, twin=False)
    write("net_fixed", Net(), (X[:1],), dynamic=False, twin=False)
    write("batch_fixed", OverTheBatch(), (X,), dynamic=False, twin=False)
    if hasattr(nn, "RMSNorm"):
        write("rms_norm", Normalised(), (X,), twin=False)
    write("branching", Branching(), (X,), twin=False)
    (OUT / "expected.tsv").write_text(
        "model\toutput\tindex\tvalue\n" + "\n".join(expected) + "\n")


if __name__ == "__main__":
    main()
