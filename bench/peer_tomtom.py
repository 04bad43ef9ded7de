"""memelite's tomtom on motifs of a file that bench/tomtom.R wrote, on one thread.

    peer_tomtom.py FOLDER [threads]

FOLDER/motifs.txt has a line for each motif: its width and its 4 x width probabilities, row by row.
Writes FOLDER/peer.npy, (5, queries, targets), and prints seconds of the second run (the first
compiles) and the rise of resident memory in MiB.
"""
import os
import resource
import sys
import time

import numpy
from memelite import tomtom

folder, threads = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
motifs = []
with open(os.path.join(folder, "motifs.txt")) as lines:
    for line in lines:
        numbers = line.split()
        motifs.append(numpy.array(numbers[1:], dtype=float).reshape(4, int(numbers[0])))

tomtom(motifs[:2], motifs[:2], n_jobs=threads)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, cpu = time.time(), time.process_time()
result = tomtom(motifs, motifs, n_jobs=threads)
wall, cpu = time.time() - start, time.process_time() - cpu
rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
numpy.save(os.path.join(folder, "peer.npy"), result.astype("float64"))
print(wall, cpu, rise)
