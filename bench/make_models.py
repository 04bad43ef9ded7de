"""Write the benchmark's models and inputs into bench/models/ (0.6 GB, ignored by git).

    /usr/bin/python3 bench/make_models.py [name ...]

Debian: python3-torch. For each model <name>.pt (TorchScript), and once for each length
sequences_<length>.fa: uniform random bases from a fixed seed.
"""

import argparse
import pathlib

import torch

from architectures import MODELS, build

OUT = pathlib.Path(__file__).resolve().parent / "models"


def write_sequences(path, n, length):
    generator = torch.Generator().manual_seed(length)
    codes = torch.randint(4, (n, length), generator=generator)
    with open(path, "w") as file:
        for i, row in enumerate(codes.tolist(), start=1):
            file.write(f">random_{i}\n" + "".join("ACGT"[code] for code in row) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="name", help=", ".join(MODELS))
    names = parser.parse_args().models or list(MODELS)
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"no model is called {', '.join(unknown)}; there are {', '.join(MODELS)}")
    OUT.mkdir(exist_ok=True)
    for name in names:
        length = MODELS[name][0]
        n = max(count for other, count in MODELS.values() if other == length)
        write_sequences(OUT / f"sequences_{length}.fa", n, length)
        torch.jit.script(build(name)).save(str(OUT / f"{name}.pt"))
        print(OUT / f"{name}.pt")


if __name__ == "__main__":
    main()
