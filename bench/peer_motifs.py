"""tfmodisco on the regions that bench/motifs.R wrote, on one thread.

    peer_motifs.py FOLDER REGIONS LENGTH RUNS

FOLDER/scores.f32 and letters.f32 are arrays (regions, length, 4). Prints seconds by the clock and of
the processor, the rise of resident memory in MiB, and the number of patterns. numba compiles before the
clock starts, on 150 of the regions.
"""
import os
import resource
import sys
import time

os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy
from modiscolite.tfmodisco import TFMoDISco

folder, n, length, runs = sys.argv[1], *map(int, sys.argv[2:5])
scores, letters = (
    numpy.fromfile(os.path.join(folder, name), dtype="float32").reshape(n, length, 4)
    for name in ("scores.f32", "letters.f32")
)


def find(k):
    return TFMoDISco(one_hot=letters[:k], hypothetical_contribs=scores[:k], n_leiden_runs=runs)


find(150)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, cpu = time.time(), time.process_time()
positive, negative = find(n)
wall, cpu = time.time() - start, time.process_time() - cpu
rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(wall, cpu, rise, len(positive or []) + len(negative or []))
