"""Time tangermeme's saturation_mutagenesis on the benchmark's models, where it is importable.

    python3 bench/peer_saturation_mutagenesis.py [--threads 1] [--runs 1] [--sampled 40] name ...

One sequence. The time of `sampled` positions in its middle is taken for all of them. Prints one
JSON line for each model: seconds by the clock and of the processor, scaled to the whole sequence.
"""

import argparse
import json
import statistics
import time

import torch

from architectures import MODELS, build
from peer_deep_lift_shap import HERE, read_one_hot


def measure(name, options):
    try:
        import tangermeme
        from tangermeme.saturation_mutagenesis import saturation_mutagenesis
    except ImportError as error:
        raise SystemExit(f"tangermeme cannot be imported here ({error}); nothing was measured.")
    torch.set_num_threads(options.threads)
    length, _ = MODELS[name]
    X = read_one_hot(HERE / "models" / f"sequences_{length}.fa", 1)
    start = (length - options.sampled) // 2
    model = build(name)
    scale = length / options.sampled
    seconds, cpu_seconds = [], []
    for _ in range(options.runs):
        began, cpu_began = time.perf_counter(), time.process_time()
        saturation_mutagenesis(
            model, X, start=start, end=start + options.sampled, target=0, device="cpu"
        )
        seconds.append((time.perf_counter() - began) * scale)
        cpu_seconds.append((time.process_time() - cpu_began) * scale)
    return {
        "tool": "tangermeme",
        "version": tangermeme.__version__,
        "torch": torch.__version__,
        "model": name,
        "positions": length,
        "sampled": options.sampled,
        "threads": options.threads,
        "median_s": round(statistics.median(seconds), 3),
        "median_cpu_s": round(statistics.median(cpu_seconds), 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="name")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--sampled", type=int, default=40, help="positions that are timed")
    options = parser.parse_args()
    for name in options.models:
        print(json.dumps(measure(name, options)), flush=True)


if __name__ == "__main__":
    main()
