"""The network of the second demo model: one number for a sequence."""

import torch
from torch import nn


class MotifNet(nn.Module):
    """Filters for sites, two dilated layers that see two sites together, and a sum over positions."""

    def __init__(self, filters: int = 16, width: int = 11):
        super().__init__()
        self.sites = nn.Conv1d(4, filters, width, padding=width // 2)
        self.layers = nn.ModuleList(
            nn.Conv1d(filters, filters, 3, padding=dilation, dilation=dilation)
            for dilation in (4, 8)
        )
        self.head = nn.Linear(filters, 1)

    def forward(self, X):
        x = torch.relu(self.sites(X))
        for layer in self.layers:
            x = x + torch.relu(layer(x))
        # A tenth of the sum: steps of the training are of a size for every weight.
        return self.head(x.sum(dim=2) / 10)
