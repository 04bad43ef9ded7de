"""BPNet as the package's demo and benchmarks use it.

Avsec et al. (2021), Nature Genetics 53:354, with the shapes of the bpnet-lite
implementation: X is [n, 4, L], control_track is [n, n_control, L], and the model gives the
profile logits [n, n_outputs, L - 2 * trimming] and the log counts [n, 1].
"""

import torch


class BPNet(torch.nn.Module):
    """Stem, dilated residual convolutions, a profile head and a counts head.

    n_filters: channels of the stem and of every residual layer.
    n_layers: residual layers; layer i is dilated by 2 ** i.
    trimming: bases cut from each end of the profile; at least half the profile kernel,
        because the counts head averages that much around the profile's window.
    """

    def __init__(
        self,
        n_filters: int,
        n_layers: int,
        trimming: int,
        n_outputs: int = 2,
        n_control: int = 2,
        stem_width: int = 21,
        profile_width: int = 75,
    ):
        super().__init__()
        self.trimming = trimming
        self.margin = profile_width // 2
        if trimming < self.margin:
            raise ValueError(f"trimming must be at least {self.margin}, not {trimming}")

        self.stem = torch.nn.Conv1d(4, n_filters, stem_width, padding=stem_width // 2)
        self.stem_relu = torch.nn.ReLU()
        self.body = torch.nn.ModuleList(
            torch.nn.Conv1d(n_filters, n_filters, 3, padding=2**i, dilation=2**i)
            for i in range(1, n_layers + 1)
        )
        self.body_relus = torch.nn.ModuleList(torch.nn.ReLU() for _ in range(n_layers))
        self.profile_head = torch.nn.Conv1d(
            n_filters + n_control, n_outputs, profile_width, padding=self.margin
        )
        self.counts_head = torch.nn.Linear(n_filters + 1, 1)

    def forward(self, X: torch.Tensor, control_track: torch.Tensor):
        start = self.trimming
        end = X.shape[2] - self.trimming

        X = self.stem_relu(self.stem(X))
        for conv, relu in zip(self.body, self.body_relus):
            X = X + relu(conv(X))

        profile = self.profile_head(torch.cat([X, control_track], dim=1))[:, :, start:end]

        # Both inputs of the counts head cover what the profile's window can see.
        window_start = start - self.margin
        window_end = end + self.margin
        pooled = torch.mean(X[:, :, window_start:window_end], dim=2)
        control_counts = torch.sum(control_track[:, :, window_start:window_end], dim=[1, 2])
        log_control = torch.log(control_counts + 1.0).unsqueeze(1)
        log_counts = self.counts_head(torch.cat([pooled, log_control], dim=1))
        return profile, log_counts
