"""Write whole models as torch.save(model, path) does, and checkpoints of Lightning, for the R tests:
tests/testthat/whole_models/. <name>_expected.pth holds what a model gives, and its input.

    /usr/bin/python3 tests/models/make_whole_models.py

Debian: python3-torch. The classes have the names of bpnet-lite's (version 1.0.0) and Cherimoya's, which
they are written after, in modules that exist only while this runs. Everything is in float64.
"""

import argparse
import os
import pathlib
import sys
import types

import torch
from torch import nn
from torch.nn import functional as F

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "whole_models"
LEGACY = {"_use_new_zipfile_serialization": False}


class Logger:
    """What bpnet-lite keeps beside its layers."""

    def __init__(self, names):
        self.names = names
        self.data = {name: [] for name in names}


class BPNet(nn.Module):
    def __init__(self, n_filters=4, n_layers=2, n_outputs=2, n_control_tracks=0, n_counts=1,
                 trimming=None):
        super().__init__()
        self.n_filters = n_filters
        self.n_layers = n_layers
        self.n_outputs = n_outputs
        self.n_control_tracks = n_control_tracks
        self.name = f"bpnet.{n_filters}.{n_layers}"
        self.trimming = trimming or 47 + sum(2 ** i for i in range(1, n_layers + 1))
        self.iconv = nn.Conv1d(4, n_filters, 21, padding=10)
        self.irelu = nn.ReLU()
        self.rconvs = nn.ModuleList(
            nn.Conv1d(n_filters, n_filters, 3, padding=2 ** i, dilation=2 ** i)
            for i in range(1, n_layers + 1))
        self.rrelus = nn.ModuleList(nn.ReLU() for _ in range(n_layers))
        self.fconv = nn.Conv1d(n_filters + n_control_tracks, n_outputs, 75, padding=37)
        self.linear = nn.Linear(n_filters + (n_control_tracks > 0), n_counts)
        self.logger = Logger(["Epoch", "Iteration"])

    def heads(self, h, control, pooled_control, added):
        start, end = self.trimming, h.shape[2] - self.trimming
        both = h if control is None else torch.cat([h, control], 1)
        pooled = h[:, :, start - 37:end + 37].mean(2)
        if control is not None:
            total = control[:, :, start - pooled_control:end + pooled_control].sum((1, 2))
            pooled = torch.cat([pooled, (total + added).log()[:, None]], 1)
        return self.fconv(both)[:, :, start:end], self.linear(pooled)

    def forward(self, x, control=None):
        h = self.irelu(self.iconv(x))
        for convolution, relu in zip(self.rconvs, self.rrelus):
            h = h + relu(convolution(h))
        return self.heads(h, control, 37, 1)


class BasePairNet(BPNet):
    def forward(self, x, control=None):
        h = self.iconv(x)
        for convolution, relu in zip(self.rconvs, self.rrelus):
            h = h + convolution(relu(h))
        return self.heads(self.irelu(h), control, 0, 2)


class ChromBPNet(nn.Module):
    def __init__(self, bias, accessibility):
        super().__init__()
        self.bias = bias
        self.accessibility = accessibility
        self.name = "ChromBPNet"
        self.logger = None

    def forward(self, x):
        profile, counts = self.accessibility(x)
        bias_profile, bias_counts = self.bias(x)
        cut = (bias_profile.shape[2] - profile.shape[2]) // 2
        return (profile + bias_profile[:, :, cut:bias_profile.shape[2] - cut],
                (counts.exp() + bias_counts.exp()).log())


class FusedDilatedConvNorm(nn.Module):
    """Cherimoya's own for the CPU: cheri.py, _cheri_conv_norm_cpu."""

    def __init__(self, n_filters, dilation):
        super().__init__()
        self.dilation = dilation
        self.conv_weight = nn.Parameter(torch.ones(3, n_filters))

    def forward(self, x):
        weight = self.conv_weight.t().unsqueeze(1)
        y = F.conv1d(x.transpose(1, 2), weight, padding=self.dilation, dilation=self.dilation,
                     groups=x.shape[2]).transpose(1, 2)
        flat = y.reshape(len(x), -1)
        flat = ((flat - flat.mean(1, keepdim=True))
                * (flat.var(1, keepdim=True, unbiased=False) + 1e-3).rsqrt())
        return flat.reshape(x.shape)


class CheriBlock(nn.Module):
    def __init__(self, n_filters, dilation, expansion, residual_scale):
        super().__init__()
        self.residual_scale = residual_scale
        self.conv = FusedDilatedConvNorm(n_filters, dilation)
        self.linear1 = nn.Linear(n_filters, expansion * n_filters, bias=False)
        self.linear2 = nn.Linear(expansion * n_filters, n_filters, bias=False)
        self.activation = nn.GELU(approximate="tanh")

    def forward(self, x):
        return x + self.linear2(self.activation(self.linear1(self.conv(x)))) * self.residual_scale


class Cherimoya(nn.Module):
    """Version 0.2.1, cherimoya.py."""

    def __init__(self, n_filters=4, n_layers=3, signal_groups=(1, 2), n_control_tracks=0,
                 expansion=2, residual_scale=0.15, trimming=None):
        super().__init__()
        self.config = dict(n_filters=n_filters, n_layers=n_layers,
                           signal_groups=list(signal_groups), n_control_tracks=n_control_tracks,
                           expansion=expansion, residual_scale=residual_scale, name="cherimoya",
                           trimming=trimming or 46 + sum(2 ** i for i in range(n_layers)),
                           verbose=False)
        self.trimming = self.config["trimming"]
        self.iconv = nn.Conv1d(4, n_filters, 21, padding=10)
        self.igelu = nn.GELU(approximate="tanh")
        self.blocks = nn.ModuleList(
            CheriBlock(n_filters, 2 ** i, expansion, residual_scale) for i in range(n_layers))
        self.fconv = nn.Conv1d(n_filters + n_control_tracks, sum(signal_groups), 75, padding=37)
        self.linear = nn.Linear(n_filters + (n_control_tracks > 0), len(signal_groups))
        self.lw0 = nn.Parameter(torch.ones(len(signal_groups)))
        self.lw1 = nn.Parameter(torch.ones(len(signal_groups)))

    def forward(self, x, control=None):
        start, end = self.trimming, x.shape[2] - self.trimming
        h = self.igelu(self.iconv(x)).transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        h = h.transpose(1, 2)
        both = h if control is None else torch.cat([h, control], 1)
        pooled = h[:, :, start:end].mean(2)
        if control is not None:
            total = control[:, :, start:end].sum((1, 2))
            pooled = torch.cat([pooled, (total + 1).log()[:, None]], 1)
        return self.fconv(both)[:, :, start:end], self.linear(pooled)

    def saved(self):
        """What model.save() writes: the depthwise weight under its older name."""
        weights = {name.replace("conv.conv_weight", "conv_weight"): value
                   for name, value in self.state_dict().items()}
        return {"config": self.config, "state_dict": weights}


class CountWrapper(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)[1]


class Odd(nn.Module):
    """Parts that a state dict leaves out, or holds twice."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2, bias=False)
        self.same = self.layer
        self.norm = nn.BatchNorm1d(2)
        self.register_parameter("none", None)
        self.register_buffer("kept", torch.arange(3))
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.register_buffer("absent", None)
        self.scale = nn.Parameter(torch.tensor([2.0, 3.0]))
        self.beside = torch.ones(4)
        self.listed = [nn.Linear(2, 2)]
        self.sizes = (3, 2)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch seqlift_ran_this",)


class WithState(nn.Module):
    """__setstate__ is not run."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.note = Hostile()
        self.register_buffer("numbers", torch.ones(2))

    def __setstate__(self, state):
        os.system("touch seqlift_ran_this")


class Items(dict):
    """Lightning's AttributeDict."""


def named(module, *classes):
    made = types.ModuleType(module)
    sys.modules[module] = made
    for one in classes:
        one.__module__ = module
        setattr(made, one.__name__, one)


def pattern(net):
    """Weights that depend on their place alone."""
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            index = torch.arange(parameter.numel(), dtype=torch.float64)
            parameter.copy_((((7 * index + 3 * number) % 11 - 5) / 20 + 0.01).view_as(parameter))
    return net.eval()


def one_hot(n, length):
    bases = torch.randint(0, 4, (n, length), generator=torch.Generator().manual_seed(1))
    return F.one_hot(bases, 4).permute(0, 2, 1).double()


def save(name, net, *inputs, thing=None, **options):
    torch.save(net if thing is None else thing, OUT / f"{name}.torch", **options)
    if inputs:
        profile, counts = net(*inputs)
        expected = {"X": inputs[0], "profile": profile.detach(), "counts": counts.detach()}
        if len(inputs) > 1:
            expected["control"] = inputs[1]
        torch.save(expected, OUT / f"{name}_expected.pth")


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_default_dtype(torch.float64)
    for package in ["bpnetlite", "cherimoya", "lightning", "lightning.fabric", "lightning.fabric.utilities"]:
        sys.modules[package] = types.ModuleType(package)
    named("bpnetlite.bpnet", BPNet, BasePairNet, CountWrapper)
    named("bpnetlite.chrombpnet", ChromBPNet)
    named("bpnetlite.logging", Logger)
    named("cherimoya.cherimoya", Cherimoya)
    named("cherimoya.cheri", CheriBlock, FusedDilatedConvNorm)
    named("odd_nets", Odd, WithState)
    named("lightning.fabric.utilities.data", Items)
    Items.__qualname__ = Items.__name__ = "AttributeDict"
    sys.modules["lightning.fabric.utilities.data"].AttributeDict = Items

    x = one_hot(2, 180)
    control = torch.arange(2 * 2 * 180, dtype=torch.float64).reshape(2, 2, 180) % 5 / 4
    plain = pattern(BPNet(trimming=60))
    save("bpnet", plain, x)
    save("bpnet_legacy", plain, **LEGACY)
    save("bpnet_protocol4", plain, pickle_protocol=4)
    save("bpnet_control", pattern(BPNet(n_control_tracks=2, n_counts=3)), x, control)
    save("base_pair_net", pattern(BasePairNet(n_control_tracks=2, trimming=50)), x, control)
    save("chrombpnet", pattern(ChromBPNet(BPNet(n_layers=1, n_outputs=1),
                                          BPNet(n_layers=2, n_outputs=1, trimming=70))), x)
    for name, net, control_track in [
            ("cherimoya", pattern(Cherimoya()), []),
            ("cherimoya_control", pattern(Cherimoya(n_control_tracks=2, residual_scale=0.3, trimming=40,
                                                    signal_groups=(1,))), [control])]:
        save(name, net, x, *control_track, thing=net.saved())
    torch.save(pattern(Cherimoya()), OUT / "cherimoya_whole.torch")
    save("wrapped", CountWrapper(plain))
    save("parallel", nn.DataParallel(plain))
    torch.save({"epoch": 3, "model": plain, "optimizer": {"state": {}, "param_groups": []}},
               OUT / "inside.torch")
    torch.save(Odd(), OUT / "odd.torch")
    torch.save(Odd(), OUT / "odd_legacy.torch", **LEGACY)
    torch.save(WithState(), OUT / "hostile.torch")
    torch.save(WithState(), OUT / "hostile_legacy.torch", **LEGACY)
    torch.save(nn.Sequential(nn.Conv1d(4, 2, 3), nn.ReLU()), OUT / "sequential.torch")
    hyper = Items(lr=1e-3, n_layers=2, name="trial", sizes=[4, 8], note=Hostile(),
                  args=argparse.Namespace(seed=3), more={"loss": "poisson", "task": None})
    torch.save({"epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.1.0",
                "state_dict": {f"model.{name}": value for name, value in plain.state_dict().items()},
                "optimizer_states": [{"state": {0: torch.ones(2)}, "param_groups": [{"lr": 0.1}]}],
                "hparams_name": "kwargs", "hyper_parameters": hyper}, OUT / "lightning.ckpt")


if __name__ == "__main__":
    sys.exit(main())
