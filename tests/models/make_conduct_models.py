"""Write models that are refused, or treated specially, as a whole into
tests/testthat/models/conduct/: those that mix the sequences of a batch, that treat a single one
specially, that draw random numbers, that are kept in training mode, that read letters by steps.

    /usr/bin/python3 tests/models/make_conduct_models.py

Debian: python3-torch. For sequences of LENGTH bases; weights are seeded. Tests name lines of this
file: what moves here changes them.
"""

import os
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "testthat" / "models" / "conduct"
LENGTH = 24
FILES = []  # sources, while models are made


class Net(nn.Module):
    """A convolution, `body`, a mean over positions, a dense layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv1d(4, 6, 5)
        self.fc = nn.Linear(6, 2)


# What mixes the sequences of a batch: lines from h [n, 6, L] to h.
MIXING = {
    "mean": "h = h - h.mean()",
    "deviation": "h = (h - h.mean()) / h.std()",
    "batch_mean": "h = h - h.mean(0, keepdim=True)",
    "batch_norm": "h = F.batch_norm(h, None, None, training=True)",
    "softmax": "h = h * torch.softmax(h, 0)",
    "cumsum": "h = h.cumsum(0)",
    "reverse_cumsum": "h = h.flip(0).cumsum(0).flip(0)",
    "maximum": "h = h / h.max()",
    "sort": "h = h.sort(0)[0]",
    "shift": "h = h + torch.roll(h, 1, 0)",
    "first": "h = h - h[0:1]",
    "last": "h = h - h[-1:]",
    "rank": "h = h * (h > h.mean(0, keepdim=True)).to(h.dtype)",
    "count": "h = h / h.size(0)",
    "place": "h = h * torch.arange(h.size(0)).view(-1, 1, 1)",
    "moved": "t = h.transpose(0, 2)\n        h = (t - t.mean(2, keepdim=True)).transpose(0, 2)",
    "small": "h = h + 1e-4 * h.mean(0, keepdim=True)",
    "of_input": "h = h * (1 + (x / x.max()).mean(2, keepdim=True).mean(1, keepdim=True))",
}

# What looks alike and mixes nothing.
APART = {
    "positions": "h = h - h.mean(2, keepdim=True)",
    "moved": "h = h.transpose(0, 2).contiguous().relu().transpose(0, 2)",
    "flipped": "h = h.flip(2).cumsum(2)",
    "normalised": "h = F.layer_norm(h, [h.size(2)])",
    "attention": "h = torch.matmul(torch.softmax(torch.matmul(h, h.transpose(1, 2)), -1), h)",
    "guarded": "h = torch.nan_to_num(h)",
}

# What does something else with a single sequence, or fails on it.
ALONE = {
    "squeeze": "a = torch.softmax(h.mean(1, keepdim=True).squeeze(), -1)\n"
               "        h = h * a.unsqueeze(1)",
    "branch": "if h.size(0) == 1:\n            h = 2 * h",
    "dimension": "h = h.squeeze(0)\n        h = h * (h.dim() - 2)",
}

# Random numbers r that reach the output: what each draws.
RANDOM = {
    "bernoulli": "torch.bernoulli(torch.full([h.size(0), 1, 1], 0.5))",
    "rand": "torch.rand(h.size(0), 1, 1)",
    "randn": "torch.randn(h.size(0), 6, 1)",
    "uniform": "torch.empty(h.size(0), 1, 1).uniform_(0., 1.)",
    "bernoulli_": "torch.empty(h.size(0), 1, 1).bernoulli_(0.5)",
    "rand_like": "torch.rand_like(h)",
    "randn_like": "torch.randn_like(h)",
    "bernoulli_of": "torch.bernoulli(h.sigmoid())",
    "randint": "torch.randint(0, 5, [h.size(0), 1, 1]).to(h.dtype)",
    "normal": "torch.normal(0., 1., [h.size(0), 1, 1])",
    "normal_": "torch.empty(h.size(0), 1, 1).normal_()",
    "multinomial": "torch.multinomial(torch.ones(h.size(0), 3), 1).to(h.dtype).unsqueeze(-1)",
    "randperm": "torch.randperm(h.size(2)).to(h.dtype)",
    "gumbel": "F.gumbel_softmax(h, dim=1)",
    "poisson": "torch.poisson(h.abs())",
    "exponential": "torch.empty_like(h).exponential_()",
    "geometric": "torch.ones_like(h).geometric_(0.3)",
    "through_memory": "self.noise(h)",
}

# Random numbers of which no value reaches the output.
HARMLESS = {
    "unused": "r = torch.rand_like(h)",
    "shape": "h = h / torch.rand_like(h).size(2)",
    "zeroed": "h = h + torch.zeros_like(torch.rand_like(h))",
}

# What is kept in training mode: lines from h to h.
TRAINING = {
    "dropout": "h = F.dropout(h, 0.5)",
    "dropout1d": "h = F.dropout1d(h, 0.5, True)",
    "alpha": "h = F.feature_alpha_dropout(h, 0.5, True)",
    "rrelu": "h = F.rrelu(h - 0.2, training=True)",
}

# How the letters are read: from x [n, 4, L] to h. `exact`: the same as x itself.
EXACT = {
    "embedding": "self.e(x.argmax(1)).transpose(1, 2)",
    "one_hot": "F.one_hot(x.argmax(1), 4).to(x.dtype).transpose(1, 2)",
    "comparison": "(x > 0.5).to(x.dtype)",
    "rounded": "torch.round(x)",
    "where": "torch.where(x > 0.5, torch.ones_like(x), torch.zeros_like(x))",
    "sum": "self.e((x * self.w).sum(1).long()).transpose(1, 2)",
    "product": "self.e(torch.matmul(x.transpose(1, 2), self.w.view(4)).long()).transpose(1, 2)",
    "aware": "self.e5(torch.where(x.sum(1) > 0, x.argmax(1), "
             "torch.full_like(x.argmax(1), 4))).transpose(1, 2)",
    "truth": "(x != 0).to(x.dtype)",
    "eye": "torch.eye(4)[x.argmax(1)].transpose(1, 2).to(x.dtype)",
    "sign": "torch.sign(x)",
    "clamped": "x.clamp(0, 1)",
    "masked": "x * (x.sum(1, keepdim=True) > 0).to(x.dtype)",
    "matmul": "torch.matmul(F.one_hot(x.argmax(1), 4).to(x.dtype), torch.eye(4)).transpose(1, 2)",
    "turned": "self.e(3 - x.flip([1, 2]).argmax(1)).flip([1]).transpose(1, 2)",
}

# Steps with nothing exact behind them.
STEPS = {
    "pairs": "self.pairs(i[:, 1:] * 4 + i[:, :-1]).transpose(1, 2)",
    "behind_convolution": "torch.round(4 * self.before(x))",
    "beside": "x + torch.floor(4 * self.before(x))",
    "binary": "(self.before(x) > 0.1).to(x.dtype)",
}

# Steps that choose or mask among what has slopes.
CHOICES = {
    "relu": "torch.where(self.before(x) > 0, self.before(x), torch.zeros_like(x))",
    "gate": "self.before(x) * (self.before(x) > 0.1).to(x.dtype)",
    "top": "self.before(x).topk(5, 2)[0]",
}


class Letters(Net):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(4, 4)
        self.e5 = nn.Embedding(5, 4, padding_idx=4)
        self.pairs = nn.Embedding(16, 4)
        self.before = nn.Conv1d(4, 4, 3, padding=1)
        self.e.weight.data = torch.eye(4)
        self.e5.weight.data = torch.cat([torch.eye(4), torch.zeros(1, 4)])
        self.register_buffer("w", torch.arange(4.0).view(1, 4, 1))


class Noise(Net):
    def noise(self, h):
        r = torch.zeros_like(h)
        r[:, 0] = torch.rand(h.size(0), 1)
        return r


class Attention(Net):
    """[n, L, 6] without batch_first."""

    def __init__(self, batch_first):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=batch_first)

    def forward(self, x):
        h = torch.relu(self.conv(x)).transpose(1, 2)
        return self.fc(self.attention(h, h, h)[0].mean(1))


class Recurrent(Net):
    def __init__(self, batch_first):
        super().__init__()
        self.lstm = nn.LSTM(6, 6, batch_first=batch_first)

    def forward(self, x):
        return self.fc(self.lstm(torch.relu(self.conv(x)).transpose(1, 2))[0].mean(1))


class Made(Net):
    """Dropout made in forward."""

    def forward(self, x):
        return self.fc(nn.Dropout(0.5)(torch.relu(self.conv(x))).mean(2))


class Fixed(Net):
    """The batch size of the example is written into the trace."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).view(self.rows, 6, -1).mean(2))


def compiled(module):
    return torch.jit.script(module.eval())


def traced(module, rows=2):
    return torch.jit.trace(module.eval(), torch.rand(rows, 4, LENGTH), check_trace=False)


def classes(folder, table, base=Net, before="h = torch.relu(self.conv(x))", lines="{}"):
    """A class for each row of a table. Their code must lie in files to be scripted."""
    made = {}
    for row, text in table.items():
        name = f"{folder}_{row}"
        source = (f"import torch\nimport torch.nn.functional as F\n\n\nclass {name}(Base):\n"
                  f"    def forward(self, x):\n        {before}\n        {lines.format(text)}\n"
                  "        return self.fc(h.mean(2))\n")
        path = pathlib.Path(f"{name}.py")
        path.write_text(source)
        FILES.append(path)
        scope = {"Base": base, "__name__": "__main__"}
        exec(compile(source, str(path), "exec"), scope)
        made[name] = scope[name]
    return made


def main():
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Traces hold the path of the script itself: a relative one makes the files the same
        # wherever this runs.
        os.chdir(HERE)
        script = pathlib.Path(__file__).name
        run = f"__file__ = '{script}'; exec(compile(open(__file__).read(), __file__, 'exec'))"
        os.execve(sys.executable, [sys.executable, "-c", run],
                  {**os.environ, "PYTHONHASHSEED": "0"})
    OUT.mkdir(exist_ok=True)
    convolved = "h = {}\n        h = torch.relu(self.conv(h))"
    kinds = {
        **classes("mixing", MIXING), **classes("apart", APART), **classes("alone", ALONE),
        **classes("random", RANDOM, base=Noise, lines="h = h * {}"),
        **classes("harmless", HARMLESS), **classes("training", TRAINING),
        **classes("exact", EXACT, base=Letters, before="h = x", lines=convolved),
        **classes("steps", STEPS, base=Letters, before="i = x.argmax(1)", lines=convolved),
        **classes("choices", CHOICES, base=Letters, before="h = x", lines=convolved),
        **classes("plain", {"letters": "x"}, base=Letters, before="h = x", lines=convolved),
    }
    models = {name: compiled(kind()) for name, kind in kinds.items()}
    for name, first in (("mixing", False), ("apart", True)):
        models[f"{name}_multihead"] = traced(Attention(first))
        models[f"{name}_lstm"] = traced(Recurrent(first))
        models[f"{name}_lstm_scripted"] = compiled(Recurrent(first))
    models["alone_squeeze_traced"] = traced(kinds["alone_squeeze"]())
    models["training_made"] = traced(Made())
    models["fixed_1"] = traced(Fixed(1), 1)
    models["fixed_2"] = traced(Fixed(2), 2)
    for name, model in models.items():
        model.save(str(OUT / f"{name}.pt"))
    for path in FILES:
        path.unlink()


if __name__ == "__main__":
    main()
