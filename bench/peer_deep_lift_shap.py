"""Time tangermeme's deep_lift_shap on the benchmark's models, where tangermeme is importable.

    python3 bench/peer_deep_lift_shap.py [--threads 1] [--runs 3] [--save DIR] [name ...]

Needs the sequences that make_models.py wrote. Prints one JSON line for each model: the median
and all times in seconds, the median processor time of all threads (on a machine that is not quiet
it says more than the clock), and the peak resident memory in MiB, both of the whole process and
above what it held before the first call. Every model gets a process of its own, because the
peak of a process never falls. References are made before the clock starts.

--save writes <name>.attributions.f32, the hypothetical attributions as little-endian float32 in
the order [sequence, base, position], so that they can be compared number by number.
"""

import argparse
import json
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time

import torch

from architectures import MODELS, ProfileLogitScaling, build

HERE = pathlib.Path(__file__).resolve().parent


def peak_mib():
    """Peak resident memory of this process; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_one_hot(path, n):
    if not path.exists():
        raise SystemExit(f"{path} is missing: run bench/make_models.py first.")
    lines = [line for line in path.read_text().splitlines() if not line.startswith(">")][:n]
    codes = torch.tensor([["ACGT".index(base) for base in line] for line in lines])
    return torch.nn.functional.one_hot(codes, 4).transpose(1, 2).float()


def measure(name, options):
    try:
        import tangermeme
        from tangermeme.deep_lift_shap import _nonlinear, deep_lift_shap
        from tangermeme.ersatz import dinucleotide_shuffle
    except ImportError as error:
        raise SystemExit(f"tangermeme cannot be imported here ({error}); nothing was measured.")
    torch.set_num_threads(options.threads)
    length, n = MODELS[name]
    X = read_one_hot(HERE / "models" / f"sequences_{length}.fa", options.sequences or n)
    references = dinucleotide_shuffle(X, n=options.references, random_state=0)
    model = build(name)
    registered = {ProfileLogitScaling: _nonlinear} if name.endswith("_profile") else None

    def run():
        return deep_lift_shap(
            model,
            X,
            references=references,
            batch_size=options.batch_size,
            additional_nonlinear_ops=registered,
            hypothetical=True,
            device="cpu",
        )

    before = peak_mib()
    seconds, cpu_seconds = [], []
    for _ in range(options.runs):
        began, cpu_began = time.perf_counter(), time.process_time()
        attributions = run()
        seconds.append(round(time.perf_counter() - began, 3))
        cpu_seconds.append(round(time.process_time() - cpu_began, 3))
    after = peak_mib()
    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
        attributions.numpy().astype("<f4").tofile(options.save / f"{name}.attributions.f32")
    return {
        "tool": "tangermeme",
        "version": tangermeme.__version__,
        "torch": torch.__version__,
        "model": name,
        "sequences": len(X),
        "references": options.references,
        "batch_size": options.batch_size,
        "threads": options.threads,
        "median_s": statistics.median(seconds),
        "all_s": seconds,
        "median_cpu_s": statistics.median(cpu_seconds),
        "peak_rss_mib": round(after),
        "peak_above_start_mib": round(after - before),
        "machine": platform.machine(),
    }


def main():
    names = [name for name in MODELS if name != "bpnet"]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="name", help=", ".join(names))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--references", type=int, default=20)
    parser.add_argument("--sequences", type=int, help="default: as in architectures.MODELS")
    parser.add_argument("--batch-size", type=int, default=32, help="sequence-reference pairs")
    parser.add_argument("--save", type=pathlib.Path)
    options = parser.parse_args()
    chosen = options.models or names
    if unknown := [name for name in chosen if name not in names]:
        parser.error(f"no model is called {', '.join(unknown)}; there are {', '.join(names)}")
    if len(chosen) == 1:
        print(json.dumps(measure(chosen[0], options)), flush=True)
        return
    same = [argument for argument in sys.argv[1:] if argument not in chosen]
    for name in chosen:
        subprocess.run([sys.executable, __file__, name, *same], check=True)


if __name__ == "__main__":
    main()
