"""Writes modisco.h5: three small patterns in the layout of tfmodisco-lite, by h5py and with the
calls that its save_hdf5() makes (plain create_dataset, numpy's int64 and bool).

    /usr/bin/python3 make_motifs.py       # in this folder; Debian: python3-h5py

Numbers are simple enough to be told in a test: entry (position i, base b) of pattern number p is
p + 0.25 i + 0.01 b, negative for contributions of the negative pattern.
"""
import h5py
import numpy as np


def numbers(p, width, sign=1.0):
    i, b = np.meshgrid(np.arange(width), np.arange(4), indexing="ij")
    return sign * (p + 0.25 * i + 0.01 * b)


def save(group, p, width, sign, starts, examples, reverse, subpatterns=(), arrays=True):
    group.create_dataset("sequence", data=np.full((width, 4), 0.25))
    group.create_dataset("contrib_scores", data=numbers(p, width, sign))
    group.create_dataset("hypothetical_contribs", data=numbers(p + 0.5, width, sign))
    seqlets = group.create_group("seqlets")
    n = len(starts)
    seqlets.create_dataset("n_seqlets", data=np.array([n]))
    seqlets.create_dataset("start", data=np.array(starts))
    seqlets.create_dataset("end", data=np.array([start + width for start in starts]))
    seqlets.create_dataset("example_idx", data=np.array(examples))
    seqlets.create_dataset("is_revcomp", data=np.array(reverse))
    if arrays:
        one = np.zeros((n, width, 4))
        one[:, :, 1] = 1
        scores = one * (np.arange(n) + 1).reshape(-1, 1, 1)
        seqlets.create_dataset("sequence", data=one)
        seqlets.create_dataset("contrib_scores", data=sign * scores)
        seqlets.create_dataset("hypothetical_contribs", data=sign * scores)
    for j in subpatterns:
        save(group.create_group("subpattern_" + str(j)), p + 0.1 * (j + 1), width, sign,
             starts[j:j + 2], examples[j:j + 2], reverse[j:j + 2], arrays=False)


with h5py.File("modisco.h5", "w") as file:
    file.attrs["window_size"] = 400
    positive = file.create_group("pos_patterns")
    for k in range(11):
        save(positive.create_group("pattern_" + str(k)), k, 6 if k else 5, 1.0, [0, 7, 30],
             [0, 2, 5], [False, True, False], subpatterns=(0, 1) if k == 0 else ())
    negative = file.create_group("neg_patterns")
    save(negative.create_group("pattern_0"), 3, 4, -1.0, [12], [1], [True])
