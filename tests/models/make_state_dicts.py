"""Write the state dicts of the R tests into tests/testthat/state_dicts/.

    /usr/bin/python3 tests/models/make_state_dicts.py

Debian: python3-torch. Element i of a float tensor is ((7 i) mod 11 - 5) / 10 + 0.03, element i of a
whole-number tensor (7 i) mod 11, i from 0 in row-major order. torch.load() reads each file here
before it is kept, but for those that are made to be refused.
"""

import collections
import io
import json
import os
import pathlib
import pickle
import struct
import sys
import tarfile
import zipfile

import torch
from torch import nn

from make_models import Tiny, pattern

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "state_dicts"


def numbers(shape, dtype):
    index = 7 * torch.arange(int(torch.tensor(shape).prod())) % 11
    values = index if not dtype.is_floating_point else (index - 5) / 10 + 0.03
    return values.reshape(shape).to(dtype)


def types():
    names = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"]
    tensors = {name: numbers((2, 3), getattr(torch, name)) for name in names}
    tensors["bool"] = torch.tensor([True, False, True])
    return tensors


def views():
    """What shares numbers or does not hold them one after another."""
    whole = numbers((4, 6), torch.float32)
    return {
        "whole": whole, "transposed": whole.t(), "row": whole[1], "part": whole[1:3, ::2],
        "scalar": whole[2, 5], "expanded": whole[0, 0].expand(5), "empty": torch.zeros(0, 3),
        "parameter": nn.Parameter(whole[3]), "complex": torch.tensor([1 + 2j, -3.5j]),
    }


def save_tar(tensors, path):
    """The format of PyTorch before 0.1.10, of which today's torch.load() keeps a reader."""
    def dumped(*objects):
        return b"".join(pickle.dumps(one, protocol=2) for one in objects)

    class Tensor:
        def __init__(self, key):
            self.key = key

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return str(thing.key) if isinstance(thing, Tensor) else None

    storages = dumped(len(tensors))
    described = dumped(len(tensors))
    keys = collections.OrderedDict()
    for i, (name, tensor) in enumerate(tensors.items()):
        tensor = tensor.contiguous()
        keys[name] = Tensor(1000 + i)
        storages += dumped((i, "cpu", torch.FloatStorage))
        storages += struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes()
        described += dumped((1000 + i, i, torch.FloatTensor)) + struct.pack("<ii", tensor.dim(), 0)
        described += struct.pack(f"<{tensor.dim()}q", *tensor.shape)
        described += struct.pack(f"<{tensor.dim()}q", *tensor.stride())
        described += struct.pack("<q", tensor.storage_offset())
    storages += dumped([])
    pickled = io.BytesIO()
    Pickler(pickled, protocol=2).dump(keys)
    system = dumped({"protocol_version": 1000, "little_endian": True, "type_sizes": {}})
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as tar:
        for name, content in {"sys_info": system, "pickle": pickled.getvalue(),
                              "tensors": described, "storages": storages}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def save_safetensors(tensors, path):
    codes = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
             "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8",
             "bool": "BOOL"}
    header = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        bits = tensor.contiguous()
        bits = bits.view(torch.int16) if tensor.dtype == torch.bfloat16 else bits
        begin = len(data)
        data += bits.numpy().tobytes()
        header[name] = {"dtype": codes[str(tensor.dtype).removeprefix("torch.")],
                        "shape": list(tensor.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def compress(path, to):
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), source.read(name),
                            zipfile.ZIP_DEFLATED)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch seqlift_ran_this",)


def main():
    OUT.mkdir(exist_ok=True)
    old = {"_use_new_zipfile_serialization": False}
    net = pattern(Tiny())
    saved = {
        "net": (net.state_dict(), {}), "net_pickle": (net.state_dict(), old),
        "types": (types(), {}), "types_pickle": (types(), old),
        "views": (views(), {}), "views_pickle": (views(), old),
        "protocol4": (net.state_dict(), {"pickle_protocol": 4}),
        "checkpoint": ({"epoch": 3, "loss": 0.25, "state_dict": net.state_dict(),
                        "optimizer": {"state": {0: torch.ones(2)}, "lr": [0.1, None, {1, 2}]}}, {}),
        "nested": ({"body": {"layers": [{"weight": torch.ones(2)}, {"weight": torch.zeros(3)}]},
                    "head": {"bias": torch.ones(1)}, "note": "text"}, {}),
    }
    for name, (thing, options) in saved.items():
        torch.save(thing, OUT / f"{name}.pth", **options)
        torch.load(OUT / f"{name}.pth")
    save_tar(net.state_dict(), OUT / "net_tar.pth")
    read = torch.load(OUT / "net_tar.pth")
    assert all(torch.equal(read[name], tensor) for name, tensor in net.state_dict().items())
    save_safetensors(net.state_dict(), OUT / "net.safetensors")
    save_safetensors(types(), OUT / "types.safetensors")
    # Refused.
    torch.save(net, OUT / "whole_model.pth")
    torch.save({"weight": torch.ones(2), "note": Hostile()}, OUT / "hostile.pth")
    torch.save({"weight": torch.ones(2), "note": Hostile()}, OUT / "hostile_pickle.pth", **old)
    (OUT / "numbers.pkl").write_bytes(pickle.dumps({"weight": [1.0, 2.0]}, protocol=2))
    compress(OUT / "net.pth", OUT / "compressed.pth")


if __name__ == "__main__":
    sys.exit(main())
