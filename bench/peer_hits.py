"""finemo's hit calling on what bench/hits.R wrote, on the CPU.

    peer_hits.py FOLDER regions length motifs width buffer [threads]

Writes FOLDER/hits.txt (region, motif, start, coefficient) and FOLDER/regions.txt (region, steps, gap)
and prints seconds, processor seconds and the rise of resident memory in MiB.
"""
import os
import resource
import sys
import time

import numpy
import torch
from finemo.hitcaller import fit_contribs

folder = sys.argv[1]
n, length, motifs, width, buffer = (int(x) for x in sys.argv[2:7])
torch.set_num_threads(int(sys.argv[7]) if len(sys.argv) > 7 else 1)


def read(name, dtype, shape):
    return numpy.fromfile(os.path.join(folder, name), dtype=dtype).reshape(shape)


contributions = read("contributions", "float32", (n, 4, length))
sequences = read("sequences", "int8", (n, 4, length))
cwms = read("cwms", "float32", (motifs, 4, width))
masks = read("masks", "int8", (motifs, width))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, cpu = time.time(), time.process_time()
hits, regions = fit_contribs(
    cwms, contributions, sequences, masks, False, numpy.full(motifs, 0.7), 3.0, 0.08, False, 0.0005,
    10000, buffer, 0.7, True, torch.device("cpu"), False
)
wall, cpu = time.time() - start, time.process_time() - cpu
rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
columns = ["peak_id", "motif_id", "hit_start", "hit_coefficient"]
numpy.savetxt(
    os.path.join(folder, "hits.txt"), numpy.column_stack([hits[name] for name in columns])
)
numpy.savetxt(
    os.path.join(folder, "regions.txt"),
    numpy.column_stack([regions[name] for name in ["peak_id", "num_steps", "dual_gap"]])
)
print(wall, cpu, rise)
