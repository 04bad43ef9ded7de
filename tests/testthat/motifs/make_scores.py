"""Writes the files from which discover_motifs() is tested to read:

    /usr/bin/python3 make_scores.py       # in this folder; Debian: python3-h5py, python3-numpy

scores.h5      as ChromBPNet writes contribution scores (generate_shap_dict(): raw/seq int8, shap/seq
               and projected_shap/seq float16, all compressed by blosc or gzip; here gzip)
scores.npz     the same hypothetical scores as numpy.savez_compressed() writes them, float16
sequences.npz  the same sequences, one-hot, int8
numbers/       the array (2, 4, 3) of -5, -4.5, ... in other types and orders; `bool` is whether > 0

250 sequences of 100 bp with a site (GATAAG) whose letters matter, and noise in steps of 1/32.
"""
import os

import h5py
import numpy as np

n, length = 250, 100
site = np.array([2, 0, 3, 0, 0, 2])
rng = np.random.default_rng(1)
codes = rng.integers(4, size=(n, length))
scores = np.round(rng.normal(0, 3, size=(n, 4, length))) / 32
for i in range(n):
    at = rng.integers(40, 55) + np.arange(6)
    codes[i, at] = site
    scores[i][:, at] = -0.5
    scores[i, site, at] = 1
letters = (codes[:, None, :] == np.arange(4)[None, :, None]).astype(np.int8)
scores = scores.astype(np.float16)

with h5py.File("scores.h5", "w") as file:
    for name, values in (("raw", letters), ("shap", scores), ("projected_shap", scores * letters)):
        file.create_group(name).create_dataset("seq", data=values, compression="gzip",
                                               compression_opts=9, chunks=(50, 4, length))
np.savez_compressed("scores.npz", scores.astype(np.float32))
np.savez_compressed("sequences.npz", letters)

os.makedirs("numbers", exist_ok=True)
values = (np.arange(24).reshape(2, 4, 3) - 10) / 2
for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"):
    chosen = values > 0 if name == "bool" else np.abs(values) if name == "uint8" else values
    np.save(f"numbers/{name}.npy", chosen.astype(name))
np.save("numbers/fortran.npy", np.asfortranarray(values))
np.save("numbers/big_endian.npy", values.astype(">f4"))
np.save("numbers/complex.npy", values.astype(complex))
np.save("numbers/transposed.npy", values.transpose(0, 2, 1))
np.save("numbers/flat.npy", values.ravel())
np.savez("numbers/stored.npz", values)
np.savez("numbers/named.npz", other=values)
np.savez("numbers/two.npz", a=values, b=values)
special = np.array([0, -0.0, 2.0**-24, 6.1e-5, 65504, np.inf, -np.inf, np.nan] + [1] * 4)
np.save("numbers/special.npy", special.astype(np.float16).reshape(1, 4, 3))
