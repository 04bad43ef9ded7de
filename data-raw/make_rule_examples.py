"""Makes inst/extdata/rule_examples.pt: one small function of the letters' counts per rule, for the
vignette "rules". Run from the repository's root with Debian's python3-torch."""

import torch


class RuleExamples(torch.nn.Module):
    def forward(self, x):
        counts = x.sum(2)
        a = counts[:, 0:1]
        c = counts[:, 1:2]
        saturated = 1 - torch.relu(1 - a)
        product = a * c
        largest = torch.amax(counts, [1], keepdim=True)
        share = torch.softmax(counts, 1)[:, 0:1]
        chosen = torch.where(a > 1.5, c, torch.zeros_like(c))
        spread = torch.layer_norm(counts, [4])[:, 0:1]
        middle = torch.median(counts, 1, keepdim=True)[0]
        return saturated, product, largest, share, chosen, spread, middle


torch.jit.script(RuleExamples().eval()).save("inst/extdata/rule_examples.pt")
