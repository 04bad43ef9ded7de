"""Models whose code depends on how tensors lie in memory, or makes its numbers in forward, for
tests/testthat/test-memory_layout.R: python3 tests/models/make_memory_models.py"""

import pathlib

import torch
from torch import nn

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "models"
LENGTH = 12


class FlatView(nn.Module):
    """conv, relu, pool, view(n, -1), linear: the commonest classifier."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3, padding=1)
        self.pool = nn.MaxPool1d(2)
        self.dense = nn.Linear(6 * LENGTH // 2, 2)

    def forward(self, x):
        h = self.pool(torch.relu(self.conv(x)))
        return self.dense(h.view(h.size(0), -1))


class RowsView(nn.Module):
    """Each channel filtered alone: [n, C, L] to [n C, 1, L]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.each = nn.Conv1d(1, 2, 3)
        self.dense = nn.Linear(12, 2)

    def forward(self, x):
        h = torch.relu(self.conv(x))
        n, c, length = h.shape
        return self.dense(self.each(h.view(n * c, 1, length)).amax(2).view(n, 2 * c))


class Strided(nn.Module):
    """Windows that overlap, by as_strided."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.dense = nn.Linear(6 * 4, 2)

    def forward(self, x):
        h = torch.relu(self.conv(x))
        n, c, length = h.size(0), 6, 10
        w = h.as_strided((n, c, 4, 4), (c * length, length, 2, 1))
        return self.dense(w.mean(2).reshape(n, 24))


class Positions(nn.Module):
    """Positions and literals made in forward."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5, padding=2)
        self.to_k = nn.Linear(6, 8, bias=False)
        self.dense = nn.Linear(8, 2)

    def forward(self, x):
        h = torch.relu(self.conv(x)).transpose(1, 2)
        n = h.shape[1]
        p = torch.arange(n).float().unsqueeze(1)
        half = 2 ** torch.linspace(1.0, 4.7, 6)
        k = self.to_k(torch.exp(-0.693147 / half * p) + torch.arange(n).unsqueeze(1) / 7)
        a = torch.softmax(h @ k.t(), -1)
        v = torch.zeros_like(h)
        v[:, 0] = 0.1
        return self.dense((a @ (h + v)).mean(1) + torch.tensor([0.7], dtype=h.dtype))


def seeded(kind):
    torch.manual_seed(1)
    return kind().eval()


def main():
    models = {"flat_view": FlatView, "rows_view": RowsView, "strided": Strided,
              "positions": Positions}
    for name, kind in models.items():
        torch.jit.script(seeded(kind)).save(str(OUT / f"{name}.pt"))
        traced = torch.jit.trace(seeded(kind), torch.zeros(2, 4, LENGTH))
        traced.save(str(OUT / f"{name}_traced.pt"))
    torch.set_default_dtype(torch.float64)
    # What PyTorch itself computes where all numbers are float64.
    x = torch.zeros(3, 4, LENGTH)
    for i in range(3):
        for j in range(LENGTH):
            x[i, (i + 2 * j + j * j) % 4, j] = 1
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float32)
    net = seeded(Positions).double()
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    print([float(value).hex() for value in net(x).flatten()])
    print([repr(float(value)) for value in net(x).flatten()])


if __name__ == "__main__":
    main()
