"""Write more models of the R tests into tests/testthat/models/: bins and tracks, many targets.

    PYTHONHASHSEED=0 /usr/bin/python3 tests/models/make_more_models.py

Apart from make_models.py, whose lines stand in the traces that it writes.
"""

import torch
import torch.nn.functional as F
from torch import nn

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


if __name__ == "__main__":
    use_relative_paths()
    settings = {"tracks_of_bins": (True, 0), "bins_of_tracks": (False, 0), "middle_bins": (False, 6)}
    for name, values in settings.items():
        torch.jit.script(pattern(Binned(*values)).eval()).save(str(OUT / f"{name}.pt"))
    torch.jit.script(pattern(Counted()).eval()).save(str(OUT / "counted.pt"))
