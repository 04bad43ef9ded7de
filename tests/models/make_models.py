"""Write the models of the R tests into tests/testthat/models/.

    /usr/bin/python3 tests/models/make_models.py

Debian: python3-torch. Every model is a few kilobytes, for sequences of LENGTH bases unless its
docstring says otherwise; weights are a pattern or seeded, so the files can be made again. Tests
name the lines of this file where an operation is refused: what moves here changes snapshots.
"""

import os
import pathlib
import sys
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "testthat" / "models"
LENGTH = 12


def pattern(module):
    """Weights that a test can write down: element i of each parameter is
    ((7 i) mod 11 - 5) / 10 + 0.03, i from 0 in row-major order. The 0.03 keeps what enters the
    ReLU away from zero, where rounding would decide."""
    with torch.no_grad():
        for parameter in module.parameters():
            index = torch.arange(parameter.numel())
            parameter.copy_((((7 * index) % 11 - 5) / 10 + 0.03).reshape(parameter.shape))
    return module


class Tiny(nn.Module):
    """Convolution, ReLU, dense layer: [n, 4, 12] to [n, 3]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 2, 3)
        self.relu = nn.ReLU()
        self.dense = nn.Linear(2 * (LENGTH - 2), 3)

    def forward(self, x):
        return self.dense(self.relu(self.conv(x)).flatten(1))


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5, padding=2)
        self.relu = nn.ReLU()
        self.body = nn.Conv1d(6, 6, 3, padding=2, dilation=2)
        self.body_relu = nn.ReLU()

    def forward(self, x):
        x = self.relu(self.conv(x))
        return x + self.body_relu(self.body(x))


class TwoHeads(nn.Module):
    """Like BPNet: X and control_track [n, 2, L], any L of at least 5, to the profile's logits
    [n, 2, L - 4] and log counts [n, 1]."""

    def __init__(self):
        super().__init__()
        self.trunk = Trunk()
        self.profile = nn.Conv1d(6 + 2, 2, 5)
        self.counts = nn.Linear(6 + 1, 1)

    def forward(self, x, control_track):
        h = self.trunk(x)
        profile = self.profile(torch.cat([h, control_track], dim=1))
        control = torch.log(control_track.sum(dim=(1, 2)) + 1).unsqueeze(1)
        return profile, self.counts(torch.cat([h.mean(2), control], dim=1))


class TwoInputs(nn.Module):
    """X, track [n, 1, L], cell_type [n, 3], and a scale that has a default, to [n, 1]."""

    def __init__(self):
        super().__init__()
        self.trunk = Trunk()
        self.dense = nn.Linear(6 + 3, 1)

    def forward(self, x, track, cell_type, scale: Tensor = torch.ones(1)):
        h = (self.trunk(x) * torch.sigmoid(track)).mean(2)
        return self.dense(torch.cat([h, cell_type], dim=1)) * scale


class AnyShape(nn.Module):
    """Takes whatever shape `extra` has, so that a single number cannot tell which."""

    def __init__(self):
        super().__init__()
        self.tiny = Tiny()

    def forward(self, x, extra):
        return self.tiny(x) + extra.mean()


class LogitScaling(nn.Module):
    """Logits weighted by their softmax: a layer that no tool knows by its class."""

    def forward(self, logits):
        return logits * torch.softmax(logits, dim=-1)


class Scaled(nn.Module):
    """A LogitScaling behind a trunk, summed: [n, 1]."""

    def __init__(self):
        super().__init__()
        self.trunk = Trunk()
        self.logits = nn.Conv1d(6, 1, 3)
        self.scaling = LogitScaling()

    def forward(self, x):
        return self.scaling(3 * self.logits(self.trunk(x)).flatten(1)).sum(-1, keepdim=True)


class Functional(nn.Module):
    """Nothing that a tool which looks at module classes could see: functional ReLU, overlapping
    max-pooling, a product of two branches."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 5, padding=2)
        self.gate = nn.Conv1d(4, 6, 3, padding=1)
        self.dense = nn.Linear(6, 2)

    def forward(self, x):
        h = F.relu(self.conv(x)) * torch.sigmoid(self.gate(x))
        return self.dense(F.max_pool1d(h, 4, 2).sum(2))


class Voting(nn.Module):
    def forward(self, x):
        return x + torch.mode(x, dim=2, keepdim=True)[0]


class Unsupported(nn.Module):
    """Two operations that have no rule, one in a module of its own."""

    def __init__(self):
        super().__init__()
        self.trunk = Trunk()
        self.voting = Voting()

    def forward(self, x):
        h = self.voting(self.trunk(x))
        return torch.linalg.inv(h @ h.transpose(1, 2) + torch.eye(h.size(1), dtype=h.dtype)).sum(2)


class Inverse(nn.Module):
    """An operation that has no rule but a gradient."""

    def __init__(self):
        super().__init__()
        self.trunk = Trunk()

    def forward(self, x):
        h = self.trunk(x)
        return torch.linalg.inv(h @ h.transpose(1, 2) + torch.eye(h.size(1), dtype=h.dtype)).sum(2)


class Branching(nn.Module):
    """Takes another branch for sequences that begin with A. One sequence at a time."""

    def __init__(self):
        super().__init__()
        self.tiny = Tiny()

    def forward(self, x):
        if bool(x[0, 0, 0] > 0.5):
            return self.tiny(x)
        return -self.tiny(x)


class WholeBatch(nn.Module):
    """One number for all sequences together."""

    def __init__(self):
        super().__init__()
        self.tiny = Tiny()

    def forward(self, x):
        return self.tiny(x).sum()


class Centred(nn.Module):
    """What it says of a sequence depends on the sequences beside it."""

    def __init__(self):
        super().__init__()
        self.tiny = Tiny()

    def forward(self, x):
        h = torch.relu(self.tiny(x))
        return h - h.mean(0)


class Squeezed(nn.Module):
    """squeeze() takes the row of a single sequence away as well."""

    def __init__(self):
        super().__init__()
        self.tiny = Tiny()

    def forward(self, x):
        return self.tiny(x)[:, :1].squeeze()


class Dictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.tiny = Tiny()

    def forward(self, x):
        return {"scores": self.tiny(x)}


class NotFinite(nn.Module):
    """The logarithm of zero for a sequence without G."""

    def __init__(self):
        super().__init__()
        self.tiny = Tiny()

    def forward(self, x):
        return self.tiny(x) + torch.log(x[:, 2].sum(1, keepdim=True))


class Training(nn.Module):
    """Saved in training mode: dropout and batch normalisation must be those of evaluation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.5)
        self.dense = nn.Linear(6, 1)

    def forward(self, x):
        return self.dense(self.drop(torch.tanh(self.norm(self.conv(x)))).mean(2))


class ExtraChannels(nn.Module):
    """Two channels behind the four bases: [n, 6, 12] to [n, 1]."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(6, 5, 3)
        self.dense = nn.Linear(5, 1)

    def forward(self, x):
        return self.dense(torch.nn.functional.gelu(self.conv(x)).mean(2))


class Slow(nn.Module):
    """Two hundred convolutions, any length."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(4, 8, 3, padding=1)
        self.conv = nn.Conv1d(8, 8, 3, padding=1)

    def forward(self, x):
        h = self.first(x)
        for _ in range(200):
            h = h + 0.01 * torch.relu(self.conv(h))
        return h.mean(2)[:, :1]


class NoForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 2, 3)

    @torch.jit.export
    def score(self, x):
        return self.conv(x).sum(2)


class BatchMaximum(nn.Module):
    """Scaled by the largest number of all sequences together."""

    def __init__(self):
        super().__init__()
        self.tiny = Tiny()

    def forward(self, x):
        h = self.tiny(x)
        return h / h.abs().max()


class Recurrent(nn.Module):
    """A bidirectional LSTM of two layers over the positions."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
        self.dense = nn.Linear(6, 1)

    def forward(self, x):
        h, _ = self.lstm(x.transpose(1, 2))
        return self.dense(h.mean(1))


class Transformer(nn.Module):
    """PyTorch's own encoder: scripted in evaluation mode it is one operation a layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 3, padding=1)
        layer = nn.TransformerEncoderLayer(4, 2, 6, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.dense = nn.Linear(4, 1)

    def forward(self, x):
        return self.dense(self.encoder(self.conv(x).transpose(1, 2)).mean(1))


def seeded(kind):
    torch.manual_seed(len(kind.__name__))
    model = kind()
    for module in model.modules():
        if isinstance(module, Tiny):
            pattern(module)
    return model


def nan_weights():
    model = seeded(Scaled)
    with torch.no_grad():
        model.trunk.body.weight[0, 0, 0] = float("nan")
    return model.eval()


def training():
    model = seeded(Training).train()
    for _ in range(20):
        model(torch.randn(16, 4, LENGTH))
    return model


# Here, because the lines above are named by tests.
from typing import Dict, List, NamedTuple, Optional  # noqa: E402


class TrunkOutput(NamedTuple):
    profile: Tensor
    counts: Tensor


def swish(x: Tensor, beta: float = 1.2) -> Tensor:
    return x * torch.sigmoid(beta * x)


class Window:
    """A class of the model's own, compiled with it."""

    def __init__(self, x: Tensor, scale: float):
        self.x = x
        self.scale = scale

    def widen(self, by: float) -> None:
        self.x = self.x * by

    def centre(self) -> Tensor:
        quarter = self.x.size(2) // 4
        return self.x[:, :, quarter:-quarter] * self.scale


class Block(nn.Module):
    def __init__(self, dilation: int):
        super().__init__()
        self.conv = nn.Conv1d(6, 6, 3, padding=dilation, dilation=dilation)
        self.norm = nn.GroupNorm(2, 6)

    def forward(self, x, skip: Optional[Tensor] = None):
        y = swish(self.norm(self.conv(x)))
        if skip is not None:
            y = y + skip
        return y


class Constructs(nn.Module):
    """What TorchScript's language offers: functions and classes, a named tuple, optional arguments,
    lists and dictionaries of tensors, loops over modules and while loops."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(4, 6, 5, padding=2)
        self.blocks = nn.ModuleList([Block(1), Block(2), Block(4)])
        self.squeeze = nn.Linear(6, 3)
        self.excite = nn.Linear(3, 6)
        self.heads = nn.ModuleDict({"a": nn.Linear(6, 1), "b": nn.Linear(6, 1)})

    def trunk(self, x) -> TrunkOutput:
        h = self.stem(x)
        all_of_them: List[Tensor] = []
        by_name: Dict[str, Tensor] = {}
        last: Optional[Tensor] = None
        for i, block in enumerate(self.blocks):
            h = block(h, last)
            last = h
            all_of_them.append(h)
            by_name[str(i)] = h
        h = torch.stack(all_of_them).sum(0) + by_name["1"]
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(h.mean(-1)))))
        h = h * gate.unsqueeze(-1)
        count = 0
        while count < 2:
            h = F.elu(h) * 0.9
            count += 1
        window = Window(h, 0.5)
        window.widen(1.5)
        centre = window.centre()
        return TrunkOutput(profile=centre, counts=centre.mean(2))

    def forward(self, x):
        forward = self.trunk(x)
        reverse = self.trunk(x.flip([1, 2]))
        counts = (forward.counts + reverse.counts) / 2
        total = forward.profile.abs().amax((1, 2)).unsqueeze(1)
        for head in self.heads.values():
            total = total + head(counts)
        return total


def use_relative_paths():
    """TorchScript keeps the path of the source: a relative one makes the files the same wherever
    this runs."""
    os.chdir(HERE)
    for thing in list(globals().values()):
        if getattr(thing, "__module__", "") == __name__:
            for function in [thing, *vars(thing).values()]:
                if hasattr(function, "__code__"):
                    function.__code__ = function.__code__.replace(co_filename="make_models.py")


class TwoModes(nn.Module):
    """Tiny as R's torch writes a module that it traced in both modes: no forward."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 2, 3)
        self.relu = nn.ReLU()
        self.dense = nn.Linear(2 * (LENGTH - 2), 3)

    @torch.jit.export
    def trainforward(self, x):
        return self.dense(self.relu(self.conv(F.dropout(x, 0.5))).flatten(1))

    @torch.jit.export
    def evalforward(self, x):
        return self.dense(self.relu(self.conv(x)).flatten(1))


class Heads(nn.Module):
    """X to a profile [n, 12] and counts [n, 1], in a dictionary as Enformer returns its heads."""

    def __init__(self):
        super().__init__()
        self.trunk = Trunk()
        self.counts = nn.Linear(6, 1)

    def forward(self, x):
        h = self.trunk(x)
        return {"profile": h.sum(1), "counts": self.counts(h.mean(2))}


class Scores(NamedTuple):
    profile: Tensor
    counts: Tensor


class NamedHeads(Heads):
    """The same in a NamedTuple."""

    def forward(self, x):
        h = self.trunk(x)
        return Scores(h.sum(1), self.counts(h.mean(2)))


class CollectedHeads(Heads):
    """The same in a dictionary that is filled step by step."""

    def forward(self, x):
        h = self.trunk(x)
        heads = {"profile": h.sum(1)}
        heads["counts"] = self.counts(h.mean(2))
        return heads


def main():
    # TorchScript writes a class's constants in the order of a set of strings.
    if os.environ.get("PYTHONHASHSEED") != "0":
        script = str(pathlib.Path(__file__).resolve())
        os.execve(sys.executable, [sys.executable, script], {**os.environ, "PYTHONHASHSEED": "0"})
    use_relative_paths()
    OUT.mkdir(exist_ok=True)
    scripted = {
        "two_heads": TwoHeads, "two_inputs": TwoInputs, "any_shape": AnyShape, "scaled": Scaled,
        "functional": Functional, "unsupported": Unsupported, "inverse": Inverse, "branching": Branching,
        "whole_batch": WholeBatch, "centred": Centred, "squeezed": Squeezed,
        "dictionary": Dictionary, "not_finite": NotFinite, "extra_channels": ExtraChannels,
        "slow": Slow, "no_forward": NoForward,
        "batch_maximum": BatchMaximum, "constructs": Constructs,
    }
    models = {"tiny": torch.jit.script(seeded(Tiny).eval())}
    models |= {name: torch.jit.script(seeded(kind).eval()) for name, kind in scripted.items()}
    models["tiny_traced"] = torch.jit.trace(seeded(Tiny).eval(), torch.zeros(2, 4, LENGTH))
    models["tiny_float64"] = torch.jit.script(seeded(Tiny).double().eval())
    models["nan_weights"] = torch.jit.script(nan_weights())
    models["training"] = torch.jit.script(training())
    # Last, as the names of classes in the other files count what was compiled before them.
    for name, kind in {"recurrent": Recurrent, "transformer": Transformer}.items():
        model = seeded(kind).eval()
        models[name] = torch.jit.script(model)
        # A trace that is checked is compared with one of the fused operation.
        models[f"{name}_traced"] = torch.jit.trace(
            model, torch.zeros(2, 4, LENGTH), check_trace=False)
    models["eval_forward"] = torch.jit.script(pattern(TwoModes()).eval())
    heads = {"heads": Heads, "named_heads": NamedHeads, "collected_heads": CollectedHeads}
    models |= {name: torch.jit.script(pattern(kind()).eval()) for name, kind in heads.items()}
    models["heads_traced"] = torch.jit.trace(
        pattern(Heads()).eval(), torch.zeros(2, 4, LENGTH), strict=False)
    for name, model in models.items():
        model.save(str(OUT / f"{name}.pt"))
    # The usual mistake: the weights alone, which are no model.
    torch.save(seeded(Tiny).state_dict(), OUT / "state_dict.pt")


if __name__ == "__main__":
    main()
