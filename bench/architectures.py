"""The benchmark's networks: published layer sizes, random weights from a fixed seed.

A Python peer needs the nn.Module (it hooks modules), the package reads TorchScript; build()
makes the first, make_models.py writes the second from it, so both hold the same weights.
"""

import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "data-raw"))
from bpnet import BPNet  # noqa: E402


class ProfileLogitScaling(torch.nn.Module):
    """Centred logits times their softmax: the part of the profile score that is not linear.

    A module of its own, so that a peer can register it.
    """

    def __init__(self):
        super().__init__()
        self.softmax = torch.nn.Softmax(dim=-1)

    def forward(self, logits: torch.Tensor):
        return logits * self.softmax(logits)


class BPNetCounts(torch.nn.Module):
    """X -> log counts [n, 1], with a control track of zeros."""

    def __init__(self, bpnet: BPNet):
        super().__init__()
        self.bpnet = bpnet

    def forward(self, X: torch.Tensor):
        control = torch.zeros(X.shape[0], 2, X.shape[2], dtype=X.dtype, device=X.device)
        return self.bpnet(X, control)[1]


class BPNetProfile(torch.nn.Module):
    """X -> profile score [n, 1], with a control track of zeros."""

    def __init__(self, bpnet: BPNet):
        super().__init__()
        self.bpnet = bpnet
        self.scaling = ProfileLogitScaling()

    def forward(self, X: torch.Tensor):
        control = torch.zeros(X.shape[0], 2, X.shape[2], dtype=X.dtype, device=X.device)
        logits = self.bpnet(X, control)[0].flatten(1)
        logits = logits - logits.mean(dim=-1, keepdim=True)
        return self.scaling(logits).sum(dim=-1, keepdim=True)


class BPNetStrand(torch.nn.Module):
    """X -> profile logits of the first strand [n, 1000], with a control track of zeros."""

    def __init__(self, bpnet: BPNet):
        super().__init__()
        self.bpnet = bpnet

    def forward(self, X: torch.Tensor):
        control = torch.zeros(X.shape[0], 2, X.shape[2], dtype=X.dtype, device=X.device)
        return self.bpnet(X, control)[0][:, 0]


class Basset(torch.nn.Module):
    """Kelley, Snoek and Rinn (2016), Genome Research 26:990. 600 bp, 164 cell types.

    Gives the logits: the published sigmoid is left out, as is usual for attribution.
    """

    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.convolutions = nn.Sequential(
            nn.Conv1d(4, 300, 19),
            nn.BatchNorm1d(300),
            nn.ReLU(),
            nn.MaxPool1d(3),
            nn.Conv1d(300, 200, 11),
            nn.BatchNorm1d(200),
            nn.ReLU(),
            nn.MaxPool1d(4),
            nn.Conv1d(200, 200, 7),
            nn.BatchNorm1d(200),
            nn.ReLU(),
            nn.MaxPool1d(4),
        )
        self.dense = nn.Sequential(
            nn.Linear(2000, 1000),
            nn.BatchNorm1d(1000),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(1000, 1000),
            nn.BatchNorm1d(1000),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(1000, 164),
        )

    def forward(self, X: torch.Tensor):
        return self.dense(self.convolutions(X).flatten(1))


class Beluga(torch.nn.Module):
    """Zhou et al. (2018), Nature Genetics 50:1171 (ExPecto's DeepSEA). 2000 bp, 2002 outputs.

    Two-dimensional convolutions of height one, as in the original; gives the logits.
    """

    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.convolutions = nn.Sequential(
            nn.Conv2d(4, 320, (1, 8)),
            nn.ReLU(),
            nn.Conv2d(320, 320, (1, 8)),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.MaxPool2d((1, 4), (1, 4)),
            nn.Conv2d(320, 480, (1, 8)),
            nn.ReLU(),
            nn.Conv2d(480, 480, (1, 8)),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.MaxPool2d((1, 4), (1, 4)),
            nn.Conv2d(480, 640, (1, 8)),
            nn.ReLU(),
            nn.Conv2d(640, 640, (1, 8)),
            nn.ReLU(),
        )
        self.dense = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(67840, 2003),
            nn.ReLU(),
            nn.Linear(2003, 2002),
        )

    def forward(self, X: torch.Tensor):
        return self.dense(self.convolutions(X.unsqueeze(2)).flatten(1))


# name -> (length in bp, number of sequences that the benchmark attributes)
MODELS = {
    "bpnet": (2114, 8),
    "bpnet_counts": (2114, 8),
    "bpnet_profile": (2114, 2),
    "bpnet_strand": (2114, 1),
    "basset": (600, 8),
    "beluga": (2000, 1),
    # BPNet at the size of ChromBPNet's (Pampari et al. 2024): 512 filters, one strand.
    "chrombpnet_counts": (2114, 1),
    "chrombpnet_profile": (2114, 1),
}


def settle_batch_norm(model, length):
    """Running statistics from one batch of random sequences, so that no layer starts dead."""
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(4, (64, length), generator=generator)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = None
    with torch.no_grad():
        model(torch.nn.functional.one_hot(codes, 4).transpose(1, 2).float())


def build(name):
    """The network called `name`, in eval mode, with the same weights at every call."""
    if name not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, not {name!r}")
    torch.manual_seed(0)
    if name == "basset":
        model = Basset()
        settle_batch_norm(model, MODELS[name][0])
    elif name == "beluga":
        model = Beluga()
    else:
        of_chrombpnet = name.startswith("chrombpnet")
        bpnet = BPNet(
            n_filters=512 if of_chrombpnet else 64,
            n_layers=8,
            trimming=(2114 - 1000) // 2,
            n_outputs=1 if of_chrombpnet else 2,
        )
        wrappers = {
            "bpnet_counts": BPNetCounts,
            "bpnet_profile": BPNetProfile,
            "bpnet_strand": BPNetStrand,
            "chrombpnet_counts": BPNetCounts,
            "chrombpnet_profile": BPNetProfile,
        }
        model = wrappers.get(name, lambda module: module)(bpnet)
    return model.eval()
