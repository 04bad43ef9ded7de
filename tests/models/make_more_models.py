"""Write more models of the R tests into tests/testthat/models/: bins, targets, shared modules.

    PYTHONHASHSEED=0 /usr/bin/python3 tests/models/make_more_models.py

Apart from make_models.py, whose lines stand in the traces that it writes.
"""

from typing import Dict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from make_models import OUT, pattern, use_relative_paths


class Binned(nn.Module):
    """Four tracks of bins of four positions, as long-context models have them: [n, bins, tracks], or
    [n, tracks, bins] with tracks_first. The middle `target` bins, all of them where it is 0."""

    def __init__(self, tracks_first: bool, target: int):
        super().__init__()
        self.tracks_first = tracks_first
        self.target = target
        self.conv = nn.Conv1d(4, 6, 5, padding=2)
        self.head = nn.Conv1d(6, 4, 3, padding=1)

    def forward(self, x):
        h = torch.max_pool1d(torch.relu(self.conv(x)), 4)
        h = F.softplus(self.head(h) * 2)
        if self.target > 0:
            first = (h.size(2) - self.target) // 2
            h = h[:, :, first:first + self.target]
        return h if self.tracks_first else h.transpose(1, 2)


class Counted(nn.Module):
    """Five targets of twelve bases; says so on standard output each time that it is evaluated."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 3, 3)
        self.dense = nn.Linear(30, 5)

    def forward(self, x):
        print("evaluated")
        return self.dense(torch.relu(self.conv(x)).flatten(1))


class Shared(nn.Module):
    """One ReLU and one max-pooling for every layer, at other shapes each time, as Malinois has it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(4, 3, 3, padding=1)
        self.conv2 = nn.Conv1d(3, 5, 3, padding=1)
        self.dense1 = nn.Linear(15, 6)
        self.dense2 = nn.Linear(6, 2)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool1d(2)

    def forward(self, x):
        h = self.pool(self.act(self.conv1(x)))
        h = self.pool(self.act(self.conv2(h)))
        return self.dense2(self.act(self.dense1(torch.flatten(h, 1))))


class LoopedHeads(nn.Module):
    """A dictionary that is filled in a loop, under keys that the code puts together."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 2, 3, padding=1)

    def forward(self, x):
        h = torch.relu(self.conv(x))
        heads: Dict[str, Tensor] = {}
        for i in range(h.size(1)):
            heads["track" + str(i)] = h[:, i]
        return heads


if __name__ == "__main__":
    use_relative_paths()
    settings = {"tracks_of_bins": (True, 0), "bins_of_tracks": (False, 0), "middle_bins": (False, 6)}
    for name, values in settings.items():
        torch.jit.script(pattern(Binned(*values)).eval()).save(str(OUT / f"{name}.pt"))
    torch.jit.script(pattern(Counted()).eval()).save(str(OUT / "counted.pt"))
    torch.jit.script(pattern(LoopedHeads()).eval()).save(str(OUT / "looped_heads.pt"))
    torch.manual_seed(1)
    shared = Shared().eval()
    torch.jit.script(shared).save(str(OUT / "shared_modules.pt"))
    example = torch.eye(4)[[0, 1, 2, 3] * 3].T[None]
    torch.jit.trace(shared, example).save(str(OUT / "shared_modules_traced.pt"))
