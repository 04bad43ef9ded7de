"""Models whose code does more than call layers: `with` blocks, lists that it fills, nothing that it
returns, operations with effects, a number of sequences written into a trace, weights that nothing
reads. Python with torch:

    python3 tests/models/make_code_models.py tests/testthat/models/code
"""
import os
import sys
import zipfile
from typing import Any, List, Tuple

import torch
from torch import Tensor, nn


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(4, 3, 5)
        self.head = nn.Linear(3, 1)


class NoGrad(Trunk):
    def forward(self, x):
        with torch.no_grad():
            h = torch.relu(self.conv(x))
            if torch.is_grad_enabled():
                h = h + 1
            if h.size(2) > 3:
                return self.head(h.mean(-1))
        return self.head(h.sum(-1))


class Record(Trunk):
    def forward(self, x):
        with torch.autograd.profiler.record_function("conv"), torch.no_grad():
            h = torch.relu(self.conv(x))
        if torch.is_grad_enabled():
            h = h * 2
        return self.head(h.mean(-1))


class AutocastOff(Trunk):
    def forward(self, x):
        with torch.cuda.amp.autocast(enabled=False):
            h = torch.relu(self.conv(x))
        return self.head(h.mean(-1))


class AutocastElsewhere(Trunk):
    def forward(self, x):
        with torch.cuda.amp.autocast():
            h = torch.relu(self.conv(x))
        return self.head(h.mean(-1))


class AutocastOn(Trunk):
    def forward(self, x):
        with torch.cpu.amp.autocast():
            h = torch.relu(self.conv(x))
        return self.head(h.mean(-1).float())


@torch.jit.script
class Depth(object):
    def __init__(self, step: int):
        self.step = step
        self.depth = 1

    def __enter__(self) -> int:
        self.depth += self.step
        return self.depth

    def __exit__(self, kind: Any, value: Any, trace: Any):
        self.depth -= self.step


class OwnContext(Trunk):
    def forward(self, x):
        depth = Depth(2)
        with depth as d:
            h = torch.relu(self.conv(x)) * d
            with depth as e:
                h = h + torch.tanh(h) * e
        return self.head(h.mean(-1)) * depth.depth


class Appended(Trunk):
    """Two outputs, in a list that a loop fills."""

    def forward(self, x) -> List[Tensor]:
        h = torch.relu(self.conv(x)).mean(-1)
        out: List[Tensor] = []
        for i in range(2):
            out.append(self.head(h) * float(i + 1))
        return out


class EmptyTuple(Trunk):
    def forward(self, x) -> Tuple[()]:
        return ()


class EmptyList(Trunk):
    def forward(self, x) -> List[Tensor]:
        out: List[Tensor] = []
        return out


class FilledLater(Trunk):
    """Nothing for sequences of the usual lengths."""

    def forward(self, x) -> List[Tensor]:
        out: List[Tensor] = []
        if x.size(2) > 100000000:
            out.append(x)
        return out


class Nothing(Trunk):
    def forward(self, x) -> None:
        return None


class WritesOnLoad(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.ones(3)

    @torch.jit.export
    def __getstate__(self) -> Tuple[Tensor, bool]:
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        torch.save(state[0], "written-by-a-model.pt")
        self.w = state[0]
        self.training = state[1]

    def forward(self, x):
        return x.mean((1, 2)).unsqueeze(1)


class ComputesOnLoad(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.ones(3)

    @torch.jit.export
    def __getstate__(self) -> Tuple[Tensor, bool]:
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.w = state[0] * 2
        self.training = state[1]

    def forward(self, x):
        return x.mean((1, 2)).unsqueeze(1) * self.w.sum()


class WritesInAnotherMethod(Trunk):
    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(-1))

    @torch.jit.export
    def keep(self, x: Tensor):
        torch.save(x, "written-by-a-model.pt")


class ReadsFile(nn.Module):
    def forward(self, x):
        secret = torch.from_file("local-file.bin", shared=False, size=4, dtype=torch.uint8)
        return x.mean((1, 2)).unsqueeze(1) + secret.to(x.dtype).sum()


class Leftover(Trunk):
    def __init__(self):
        super().__init__()
        self.register_buffer("leftover", torch.full((3,), float("nan")))
        self.unused = nn.Parameter(torch.full((2,), float("inf")))

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(-1)) * self.leftover.size(0)


class BadHead(Trunk):
    """Two outputs, the second of them NaN."""

    def __init__(self):
        super().__init__()
        self.bad = nn.Linear(3, 1)
        nn.init.constant_(self.bad.weight, float("nan"))

    def forward(self, x):
        h = torch.relu(self.conv(x)).mean(-1)
        return self.head(h), self.bad(h)


class FixedBatch(Trunk):
    def forward(self, x):
        h = torch.relu(self.conv(x)).mean(-1)
        return self.head(h.view(int(x.size(0)), 3))


def renamed(folder, name, old, new):
    """The same archive with other code: an alias of torch, as no compiler writes it."""
    path = os.path.join(folder, name + ".pt")
    with zipfile.ZipFile(path) as archive:
        members = [(member, archive.read(member)) for member in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, data in members:
            if not member.endswith(".debug_pkl"):
                archive.writestr(member, data.replace(old.encode(), new.encode()))


def main(folder):
    scripted = {
        "with_no_grad": NoGrad, "with_record_function": Record, "with_autocast_off": AutocastOff,
        "with_autocast_elsewhere": AutocastElsewhere, "with_autocast_on": AutocastOn,
        "with_own_context": OwnContext, "list_appended": Appended, "nothing_tuple": EmptyTuple,
        "nothing_list": EmptyList, "nothing_yet": FilledLater, "nothing_none": Nothing,
        "writes_on_load": WritesOnLoad, "computes_on_load": ComputesOnLoad,
        "writes_elsewhere": WritesInAnotherMethod, "reads_file": ReadsFile,
        "hides_what_it_calls": ReadsFile, "leftover_nan": Leftover, "bad_head": BadHead,
    }
    for name, net in scripted.items():
        torch.jit.script(net().eval()).save(os.path.join(folder, name + ".pt"))
    renamed(folder, "hides_what_it_calls", "    secret = torch.from_file(", "    t = torch\n    secret = t.from_file(")
    fixed = FixedBatch().eval()
    for name, n in (("fixed_batch_1", 1), ("fixed_batch_5", 5)):
        torch.jit.trace(fixed, torch.zeros(n, 4, 12)).save(os.path.join(folder, name + ".pt"))


main(sys.argv[1])
