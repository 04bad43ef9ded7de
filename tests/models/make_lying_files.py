"""Write files that are well formed and lie, into tests/testthat/lying.bin.xz and lying.tsv.

    /usr/bin/python3 tests/models/make_lying_files.py

Debian: python3-h5py, python3-onnx, python3-numpy. Each file is a row of lying.tsv: its name (the end
says the format), where its bytes begin, how many there are, and what may become of it: "error", "model"
or "either". Those that Python would run something of would make the file `ran` in the working folder.
"""

import lzma
import pathlib
import sys

import lying_keras
import lying_onnx
import lying_torch
from lying_base import files

OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "testthat"

if __name__ == "__main__":
    lying_torch.pickles()
    lying_torch.zips()
    lying_torch.safetensors()
    lying_keras.hdf5_files()
    lying_keras.keras_files()
    lying_onnx.onnx_files()
    names = [name for name, _, _ in files]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    everything = b""
    lines = ["name\tbegin\tbytes\tmay\n"]
    for name, content, may in files:
        lines.append(f"{name}\t{len(everything)}\t{len(content)}\t{may}\n")
        everything += content
    (OUT / "lying.bin.xz").write_bytes(lzma.compress(everything, preset=9))
    (OUT / "lying.tsv").write_text("".join(lines))
    print(len(files), "files,", len(everything), "bytes,", (OUT / "lying.bin.xz").stat().st_size, "compressed")
