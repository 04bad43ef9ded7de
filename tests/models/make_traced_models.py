"""Traces as R's torch makes them, for tests/testthat/test-model_nn_module.R.

    python3 tests/models/make_traced_models.py tests/testthat/models

The sizes of the input are plain numbers, every class has a name of its own that ends in 24 random
letters, and the modules inside hold the weights but are not called. One file for each number of
sequences, and `traced_odd_<n>.pt`, whose numbers follow it in no way that could be told.
"""
import random
import sys

import torch
import torch.nn.functional as F
from torch import nn


def named(name, bases=(nn.Module,), **members):
    letters = "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(24))
    return type(name + "_" + letters, bases, members)


def holder(name, **weights):
    module = named(name)()
    for key, value in weights.items():
        module.register_parameter(key, nn.Parameter(value))
    return module


def numbers(*sizes):
    return torch.rand(sizes, generator=generator) * 2 - 1


def make(sequences, odd=False):
    global generator
    generator = torch.Generator().manual_seed(5)

    def forward(self, x, track):
        n = int(x.size(0))
        h = F.conv1d(x, self.conv.weight, self.conv.bias)
        h = torch.relu(h).transpose(1, 2)
        rnn = self.lstm
        h, _, _ = torch._VF.lstm(
            h, (torch.zeros(1, n, 3), torch.zeros(1, n, 3)),
            [rnn.weight_ih, rnn.weight_hh, rnn.bias_ih, rnn.bias_hh],
            True, 1, 0.0, False, False, True)
        h = h.reshape(n * 3, -1).softmax(1).view(n, -1)
        h = h @ self.fc.weight.t() + track / n * (1.5 * n)
        return {"main": h + (n // 2 if odd else 0), "other": h.mean(1, keepdim=True) * torch.ones(n, 1)}

    net = named("Net", forward=forward)()
    net.conv = holder("nn_conv1d", weight=numbers(5, 4, 3), bias=numbers(5))
    net.lstm = holder("nn_lstm", weight_ih=numbers(12, 5), weight_hh=numbers(12, 3),
                      bias_ih=numbers(12), bias_hh=numbers(12))
    net.fc = holder("nn_linear", weight=numbers(2, 30))
    net.eval()
    x = torch.zeros(sequences, 4, 12)
    x[:, 0] = 1
    return torch.jit.trace(net, (x, torch.zeros(sequences, 2)), strict=False, check_trace=False)


if __name__ == "__main__":
    for sequences in (2, 3, 4, 5):
        for odd in (False, True):
            name = "traced_odd_" if odd else "traced_"
            make(sequences, odd).save(f"{sys.argv[1]}/{name}{sequences}.pt")
