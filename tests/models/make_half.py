"""Write networks whose weights are of half precision, and what the same weights give in float64:
tests/testthat/models/half/.

    /usr/bin/python3 tests/models/make_half.py

Debian: python3-torch.
"""

import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

from make_architectures import BPNet, one_hot
from make_state_dicts import save_safetensors

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "models" / "half"


class Net(nn.Module):
    """Casts to the type of its weights, as models do that are trained in half precision."""
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.norm = nn.BatchNorm1d(6)
        self.dense = nn.Linear(6, 2)

    def forward(self, x):
        h = self.norm(self.conv(x.to(self.conv.weight.dtype))).relu()
        return self.dense(h.mean(-1)).softmax(-1)


class Casts(Net):
    """Weights of both types, casts written down."""
    def forward(self, x):
        h = self.norm(self.conv(x.half()).float()).relu()
        return self.dense(h.mean(-1).to(torch.float16)).float()


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(5)
    X = one_hot(3, 20, 6)
    expected = {"X": X.char()}
    for name, dtype in [("float16", torch.float16), ("bfloat16", torch.bfloat16)]:
        net = Net().eval()
        net.norm.running_mean.uniform_(-0.2, 0.2)
        net.conv.weight.data *= 0.97
        net = net.to(dtype)
        torch.jit.script(net).save(str(OUT / f"{name}.pt"))
        # Of trained weights in the type that they are held in.
        expected[name] = net.double()(X).detach()
        # No unit at its kink, where float32 and float64 may differ.
        assert net.norm(net.conv(X)).abs().min() > 1e-5
    net = Casts().eval()
    net.conv.half(), net.dense.half()
    torch.jit.script(net).save(str(OUT / "mixed.pt"))
    net.double()
    expected["mixed"] = net.dense(net.norm(net.conv(X)).relu().mean(-1)).detach()
    net = BPNet(3, 1, 1, 25).eval().half()
    torch.save(net.state_dict(), OUT / "bpnet.pth")
    save_safetensors(net.state_dict(), OUT / "bpnet.safetensors")
    long = one_hot(3, 130, 7)
    expected["X_bpnet"] = long.char()
    expected["profile"], expected["counts"] = [value.detach() for value in net.double()(long)]
    torch.save(expected, OUT / "expected.pth")


if __name__ == "__main__":
    sys.exit(main())
