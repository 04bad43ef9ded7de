"""Write models that take their sequences in other layouts than [n, 4, L]:
tests/testthat/models/layouts/<name>.pt, each beside <name>_ncl.pt, the same network for [n, 4, L],
and expected.pth, what they give for its X.

    /usr/bin/python3 tests/models/make_layouts.py

Debian: python3-torch.
"""

import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "models" / "layouts"
LENGTH = 20


class Head(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dense = nn.Linear(width, 2)

    def forward(self, h):
        return self.dense(h.relu().mean(-1))


class Permuted(nn.Module):
    """[n, L, 4]"""
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.head = Head(6)

    def forward(self, x):
        return self.head(self.conv(x.to(self.conv.weight.dtype).permute(0, 2, 1)))


class Channels(nn.Module):
    """[n, L, 4], a dense layer at each position."""
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.head = Head(6)

    def forward(self, x):
        return self.head(torch.transpose(torch.tanh(self.first(x)), 1, 2))


class Recurrent(nn.Module):
    """[n, L, 4]"""
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(6, 2)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.dense(h.mean(1))


class Image(nn.Module):
    """A two-dimensional convolution over what is one wide in one dimension or four in another."""
    def __init__(self, inputs, kernel):
        super().__init__()
        self.conv = nn.Conv2d(inputs, 6, kernel)
        self.head = Head(6)

    def forward(self, x):
        return self.head(self.conv(x).flatten(2))


class Flat(nn.Module):
    """[n, L, 4] or any other: nothing tells."""
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 5), nn.ReLU(), nn.Linear(5, 2))

    def forward(self, x):
        return self.layers(x)


class Tokens(nn.Module):
    """[n, L] of whole numbers."""
    def __init__(self, rows, padding=-1):
        super().__init__()
        self.embedding = nn.Embedding(rows, 5)
        self.position = nn.Embedding(64, 5)
        self.conv = nn.Conv1d(5, 6, 5)
        self.head = Head(6)
        self.padding = padding

    def forward(self, tokens):
        h = self.embedding(tokens.long())
        h = h + self.position(torch.arange(tokens.size(1), device=tokens.device))
        if self.padding >= 0:
            h = h * tokens.ne(self.padding).to(h.dtype).unsqueeze(-1)
        return self.head(self.conv(h.transpose(1, 2)))


class Unfolded(nn.Module):
    """[n, L] of whole numbers, made one-hot by the model."""
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5)
        self.head = Head(6)

    def forward(self, tokens):
        return self.head(self.conv(F.one_hot(tokens, 4).permute(0, 2, 1).float()))


class Turned(nn.Module):
    """The network of a layout for [n, 4, L]."""
    def __init__(self, net, order, ones):
        super().__init__()
        self.net = net
        self.order = order
        self.ones = ones

    def forward(self, x):
        x = x.permute(self.order)
        for one in self.ones:
            x = x.unsqueeze(one)
        return self.net(x)


class Looked(nn.Module):
    """A network of tokens for [n, 4, L]: rows of the table by the bases, or N's."""
    def __init__(self, net, bases, n):
        super().__init__()
        self.net = net
        self.register_buffer("bases", torch.tensor(bases))
        self.n = n

    def forward(self, x):
        table = self.net.embedding.weight
        h = torch.matmul(x.transpose(1, 2), table[self.bases])
        if self.n >= 0:
            h = h + (1 - x.sum(1)).unsqueeze(-1) * table[self.n]
        h = h + self.net.position(torch.arange(x.size(2), device=x.device))
        return self.net.head(self.net.conv(h.transpose(1, 2)))


class Plain(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.head(self.net.conv(x))


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(3)
    bases = torch.randint(0, 4, (3, LENGTH))
    X = F.one_hot(bases, 4).permute(0, 2, 1).double()
    expected = {"X": X.char()}

    def write(name, net, given, ncl, trace=False):
        net, ncl = net.eval(), ncl.eval()
        made = torch.jit.trace(net, given.float() if given.is_floating_point() else given) \
            if trace else torch.jit.script(net)
        made.save(str(OUT / f"{name}.pt"))
        torch.jit.script(ncl).save(str(OUT / f"{name}_ncl.pt"))
        expected[name] = net.double()(given).detach()
        assert torch.allclose(ncl.double()(X), expected[name], atol=1e-12), name
        net.float(), ncl.float()

    turned = {"NLC": ((0, 2, 1), ()), "NC1L": ((0, 1, 2), (2,)), "N1CL": ((0, 1, 2), (1,)),
              "NCL1": ((0, 1, 2), (3,)), "N1LC": ((0, 2, 1), (1,))}

    def dims(name, net, layout, trace=False):
        order, ones = turned[layout]
        given = Turned(nn.Identity(), order, ones)(X)
        write(name, net, given, Turned(net, order, ones), trace)

    dims("nlc", Permuted(), "NLC")
    dims("nlc_traced", Channels(), "NLC", trace=True)
    dims("nlc_dense", Channels(), "NLC")
    dims("nlc_lstm", Recurrent(), "NLC")
    dims("nc1l", Image(4, (1, 5)), "NC1L")
    dims("n1cl", Image(1, (4, 5)), "N1CL", trace=True)
    dims("ncl1", Image(4, (5, 1)), "NCL1")
    dims("n1lc", Image(1, (5, 4)), "N1LC")
    dims("flat", Flat(), "NLC")
    for name, rows, order, n in [("tokens4", 4, [0, 1, 2, 3], -1), ("tokens5", 5, [0, 1, 2, 3], 4),
                                 ("tokens12", 12, [7, 8, 9, 10], 11)]:
        net = Tokens(rows, padding=0 if rows == 12 else -1)
        write(name, net, torch.tensor(order)[bases], Looked(net, order, n))
    net = Unfolded()
    expected_net = Plain(net)
    net.eval()
    torch.jit.script(net).save(str(OUT / "tokens_one_hot.pt"))
    torch.jit.script(expected_net.eval()).save(str(OUT / "tokens_one_hot_ncl.pt"))
    expected["tokens_one_hot"] = expected_net.double()(X).detach()
    torch.save(expected, OUT / "expected.pth")


if __name__ == "__main__":
    sys.exit(main())
