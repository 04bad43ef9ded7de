"""Train the second demo model: a small network that knows four motifs and how two of them stand.

    /usr/bin/python3 data-raw/train_motif_model.py

Debian: python3-torch, python3-numpy. Some minutes on one core. Writes demo_motif_model.pt
(TorchScript), demo_motif_model.json (held-out performance) and demo_motif_sequences.fa into
inst/extdata.

Everything is simulated: sequences are random letters with planted sites, the number to predict is a
sum over the sites' occupancy. GATA (AGATAAG), AP-1 (TGACTCA) and an E-box (CACGTG) raise it, a
GFI1 site (AAATCAC) lowers it, and a GATA site and an E-box whose middles are 14 to 18 bp apart
raise it by more than the two alone.
"""

import argparse
import hashlib
import json
import os
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F

from motif_net import MotifNet

HERE = pathlib.Path(__file__).resolve().parent
EXTDATA = HERE.parent / "inst" / "extdata"

LENGTH = 200
SITES = {"GATA": "AGATAAG", "AP1": "TGACTCA", "EBOX": "CACGTG", "GFI1": "AAATCAC"}
# What a full site adds.
EFFECTS = {"GATA": 0.8, "AP1": 1.0, "EBOX": 0.6, "GFI1": -1.0}
# What a GATA site and an E-box add together at one of these distances between their middles, in bp.
TOGETHER = 1.5
DISTANCES = range(14, 19)
# The chance of the letter that a site has at a position, and the log-odds (nats) below the best match
# at which a match is occupied half of the time: one wrong letter is too many.
CONSENSUS = 0.91
HALF_OCCUPIED = 1.7
NOISE = 0.15


def encode(text):
    return np.array(["ACGT".index(letter) for letter in text])


class Occupancy:
    """Occupancy of a site's matches on both strands: [n, LENGTH], each match at its middle."""

    def __init__(self, site):
        codes = encode(site)
        shares = np.full((len(codes), 4), (1 - CONSENSUS) / 3)
        shares[np.arange(len(codes)), codes] = CONSENSUS
        odds = torch.tensor(np.log(shares / 0.25).T, dtype=torch.float32)
        self.best = float(odds.max(dim=0).values.sum())
        turned = odds.flip(0, 1)
        # A palindrome is one site, not two.
        scanners = [odds] if torch.allclose(odds, turned) else [odds, turned]
        self.scanners = torch.stack(scanners)

    def __call__(self, one_hot):
        width = self.scanners.shape[2]
        scores = F.conv1d(one_hot, self.scanners)
        occupied = torch.sigmoid(2 * (scores - self.best + HALF_OCCUPIED)).sum(dim=1)
        left = (width - 1) // 2
        return F.pad(occupied, (left, width - 1 - left))


class Truth:
    def __init__(self):
        self.sites = {name: Occupancy(site) for name, site in SITES.items()}

    def __call__(self, one_hot):
        found = {name: site(one_hot) for name, site in self.sites.items()}
        total = sum(EFFECTS[name] * found[name].sum(dim=1) for name in found)
        gata, ebox = found["GATA"], found["EBOX"]
        for distance in DISTANCES:
            total = total + TOGETHER * (gata[:, distance:] * ebox[:, :-distance]).sum(dim=1)
            total = total + TOGETHER * (gata[:, :-distance] * ebox[:, distance:]).sum(dim=1)
        return total


def write(codes, row, name, middle, rng):
    site = encode(SITES[name])
    if rng.random() < 0.5:
        site = 3 - site[::-1]
    start = middle - (len(site) - 1) // 2
    codes[row, start : start + len(site)] = site


def planted(n, rng):
    """Codes [n, LENGTH]: up to three sites at random, and in half of the sequences a GATA site and
    an E-box at 10 to 30 bp, half of them at the distance that counts."""
    codes = rng.integers(4, size=(n, LENGTH))
    names = list(SITES)
    for row in range(n):
        for _ in range(rng.choice(4, p=[0.3, 0.3, 0.25, 0.15])):
            write(codes, row, names[rng.integers(4)], rng.integers(10, LENGTH - 10), rng)
        if rng.random() < 0.5:
            near = rng.random() < 0.5
            distance = rng.integers(14, 19) if near else rng.integers(10, 31)
            first = rng.integers(20, LENGTH - 60)
            pair = ["GATA", "EBOX"] if rng.random() < 0.5 else ["EBOX", "GATA"]
            write(codes, row, pair[0], first, rng)
            write(codes, row, pair[1], first + distance, rng)
    return codes


def one_hot_tensor(codes):
    return F.one_hot(torch.from_numpy(codes.astype(np.int64)), 4).transpose(1, 2).float()


def train(truth, options):
    rng = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    model = MotifNet()
    with torch.no_grad():
        model.head.weight.mul_(0.1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=options.rate, total_steps=options.steps, pct_start=0.1
    )
    began = time.time()
    recent = []
    for step in range(options.steps):
        one_hot = one_hot_tensor(planted(options.batch_size, rng))
        noise = torch.from_numpy(rng.normal(0, NOISE, options.batch_size).astype(np.float32))
        loss = F.mse_loss(model(one_hot).squeeze(1), truth(one_hot) + noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent.append(float(loss))
        if (step + 1) % 100 == 0:
            print(f"step {step + 1:5d}  {time.time() - began:4.0f} s  mse {np.mean(recent):.4f}",
                  flush=True)
            recent = []
    return model.eval()


def evaluate(model, truth, seed):
    rng = np.random.default_rng(seed)

    def both(codes):
        one_hot = one_hot_tensor(codes)
        with torch.no_grad():
            return model(one_hot).squeeze(1).numpy(), truth(one_hot).numpy()

    predicted, expected = both(planted(1000, rng))
    numbers = {"sequences": 1000, "pearson": float(np.corrcoef(predicted, expected)[0, 1])}
    background = rng.integers(4, size=(500, LENGTH))
    without, without_truth = both(background)
    gains = {}
    for name in SITES:
        codes = background.copy()
        for row in range(len(codes)):
            write(codes, row, name, LENGTH // 2, rng)
        predicted, expected = both(codes)
        gains[name] = float((predicted - without).mean())
        numbers["gain_" + name] = gains[name]
        numbers["gain_" + name + "_true"] = float((expected - without_truth).mean())
    for distance in (10, 16, 30):
        codes = background.copy()
        for row in range(len(codes)):
            write(codes, row, "GATA", LENGTH // 2, rng)
            write(codes, row, "EBOX", LENGTH // 2 + distance, rng)
        predicted, _ = both(codes)
        numbers[f"more_than_alone_{distance}_bp"] = float(
            (predicted - without).mean() - gains["GATA"] - gains["EBOX"]
        )
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in numbers.items()}


def save(model, path):
    """TorchScript keeps the path of the source: a relative one makes the file the same wherever the
    script runs."""
    os.chdir(HERE.parent)
    forward = MotifNet.forward
    forward.__code__ = forward.__code__.replace(co_filename="data-raw/motif_net.py")
    torch.jit.script(model).save(str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peaks", type=int, default=600)
    parser.add_argument("--out", type=pathlib.Path, default=EXTDATA)
    options = parser.parse_args()
    options.out = options.out.resolve()
    torch.set_num_threads(1)

    truth = Truth()
    model = train(truth, options)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "demo_motif_model.pt"
    save(model, path)
    report = {
        "model": {
            "architecture": "MotifNet",
            "length": LENGTH,
            "parameters": sum(p.numel() for p in model.parameters()),
            "steps": options.steps,
            "batch_size": options.batch_size,
            "seed": options.seed,
            "torch": torch.__version__,
            "md5": hashlib.md5(path.read_bytes()).hexdigest(),
        },
        "held_out": evaluate(model, truth, options.seed + 1),
    }
    (options.out / "demo_motif_model.json").write_text(json.dumps(report, indent=2) + "\n")
    codes = planted(options.peaks, np.random.default_rng(options.seed + 2))
    with open(options.out / "demo_motif_sequences.fa", "w") as file:
        for i, row in enumerate(codes):
            file.write(f">peak_{i + 1}\n{''.join('ACGT'[c] for c in row)}\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
