"""Write models whose audit once differed from their attribution into tests/testthat/models/audit/:
one whose 2-d maps are far larger than its sequences, one that asks in forward whether gradients are
taken.

    /usr/bin/python3 tests/models/make_audit_models.py

Debian: python3-torch. Weights are seeded.
"""

import pathlib

import torch
from torch import nn

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "models" / "audit"


class ContactMap(nn.Module):
    """Residual 2-d convolutions over the outer sum of positions, as models of contact maps have."""

    def __init__(self, blocks=10, width=8):
        super().__init__()
        self.conv = nn.Conv1d(4, width, 5, padding=2)
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()) for _ in range(blocks)])
        self.fc = nn.Linear(width, 1)

    def forward(self, x):
        h = self.conv(x)
        m = h.unsqueeze(2) + h.unsqueeze(3)
        for block in self.blocks:
            m = m + block(m)
        return self.fc(m.mean((2, 3)))


class ScriptedAttention(nn.Module):
    """nn.MultiheadAttention looks whether gradients are enabled before it takes its fast path."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5, padding=2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        h = torch.relu(self.conv(x)).transpose(1, 2)
        return self.fc((h + self.attention(h, h, h)[0]).mean(1))


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(1)
    torch.jit.script(ScriptedAttention().eval()).save(str(OUT / "scripted_attention.pt"))
    x = torch.zeros(1, 4, 64)
    x[:, 0] = 1
    torch.jit.trace(ContactMap().eval(), x).save(str(OUT / "contact_map.pt"))


if __name__ == "__main__":
    main()
