"""Write the state dicts of the R tests into tests/testthat/state_dicts/.

    /usr/bin/python3 tests/models/make_state_dicts.py

Debian: python3-torch. Element i of a float tensor is ((7 i) mod 11 - 5) / 10 + 0.03, element i of a
whole-number tensor (7 i) mod 11, i from 0 in row-major order. torch.load() reads each file here
before it is kept, but for those that are made to be refused.
"""

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import json
import os
import pathlib
import pickle
import re
import struct
import sys
import tarfile
import uuid
import zipfile

import numpy
import torch
from torch import nn

from make_models import Tiny, pattern

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "state_dicts"


def numbers(shape, dtype):
    index = 7 * torch.arange(int(torch.tensor(shape).prod())) % 11
    values = index if not dtype.is_floating_point else (index - 5).double() / 10 + 0.03
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


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Settings:
    rate: float = 0.1
    layers: list = dataclasses.field(default_factory=lambda: [1, 2])


class Sealed:
    """Made by copyreg._reconstructor, with a state that is no dict."""
    __slots__ = ("value",)

    def __init__(self):
        self.value = {1: "a"}

    def __getstate__(self):
        return (self.value, [1, 2])

    def __setstate__(self, state):
        self.value = state[0]


class Items(dict):
    """What Lightning's hyper-parameters and configuration libraries are: a dict with more to it."""
    def __init__(self, **values):
        super().__init__(**values)
        self.flags = {"readonly": True}


class Row(list):
    pass


class WithKeywords:
    def __init__(self, *, name):
        self.name = name

    def __getnewargs_ex__(self):
        return (), {"name": self.name}

    def __new__(cls, *, name="a"):
        return super().__new__(cls)


def metadata():
    """What training code keeps beside weights."""
    Point = collections.namedtuple("Point", "x y")
    globals()["Point"] = Point
    Point.__module__ = __name__
    return {
        "numpy_scalar": numpy.float64(0.3), "numpy_array": numpy.arange(6.0).reshape(2, 3),
        "numpy_texts": numpy.array(["a", "bc"]), "numpy_objects": numpy.array([None, {}], dtype=object),
        "numpy_type": numpy.dtype("int8"), "numpy_state": numpy.random.get_state(),
        "path": pathlib.PurePosixPath("/x"), "namespace": argparse.Namespace(rate=1, more=[{}]),
        "defaultdict": collections.defaultdict(list, a=[1]), "counter": collections.Counter("aab"),
        "deque": collections.deque([1, 2], maxlen=3), "ordered": collections.OrderedDict(a=1),
        "time": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
        "day": datetime.date(2024, 1, 1), "hour": datetime.timedelta(hours=1),
        "partial": functools.partial(int, base=3), "function": len, "class": dict,
        "range": range(3), "slice": slice(1, 2), "complex": 1j, "bytes": b"abc",
        "bytearray": bytearray(b"abc"), "set": {1}, "frozenset": frozenset({(1, 2)}),
        "tuple_keys": {(1, 2): "a", None: 3, 1.5: 2}, "long": 2 ** 80, "fraction": fractions.Fraction(1, 3),
        "decimal": decimal.Decimal("0.1"), "uuid": uuid.UUID(int=3), "regex": re.compile("a+"),
        "enum": Colour.RED, "dataclass": Settings(), "sealed": Sealed(), "items": Items(a=Items(b=1)),
        "row": Row([1, Row([2])]), "keywords": WithKeywords(name="b"), "point": Point(1, 2),
        "exception": ValueError("no"), "dtype": torch.float32, "device": torch.device("cpu"),
        "size": torch.Size([2, 3]), "layout": torch.strided, "quantised": torch.qint8,
        "rng_state": torch.get_rng_state(), "generator_state": [torch.get_rng_state()],
        "module": nn.Sequential(nn.Linear(2, 2)), "sparse": torch.eye(2).to_sparse(),
    }


def checkpoint(net):
    optimizer = torch.optim.Adam(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer.step()
    net.load_state_dict(kept)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    return {"epoch": numpy.int64(3), "state_dict": kept, "optimizer": optimizer.state_dict(),
            "lr_schedulers": [scheduler.state_dict()], "callbacks": {"ModelCheckpoint{'a': 1}": Items(
                best=torch.tensor(0.5))}, "hyper_parameters": metadata()}


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
    whole = checkpoint(net)
    weights = net.state_dict()
    wrapped = torch.optim.swa_utils.AveragedModel(net).state_dict()
    for name, thing, options in [
            ("metadata.pth", whole, {}), ("metadata_pickle.pth", whole, old),
            ("metadata4.pth", whole, {"pickle_protocol": 4}),
            ("lightning.ckpt", {"epoch": 1, "pytorch-lightning_version": "2.1.0", "state_dict": {
                f"model.{name}": value for name, value in weights.items()}}, {}),
            ("averaged.pth", wrapped, {}), ("inside.pth", {"net": weights, "epoch": 2}, {}),
            ("compiled.pth", {f"_orig_mod.{name}": value for name, value in weights.items()}, {}),
            ("twice.pth", {"state_dict": weights, "ema": {"decay": 0.9, "shadow": {
                name: 2 * value for name, value in weights.items()}}}, {})]:
        torch.save(thing, OUT / name, **options)
    save_tar(net.state_dict(), OUT / "net_tar.pth")
    read = torch.load(OUT / "net_tar.pth")
    assert all(torch.equal(read[name], tensor) for name, tensor in net.state_dict().items())
    save_safetensors(net.state_dict(), OUT / "net.safetensors")
    save_safetensors(types(), OUT / "types.safetensors")
    torch.save(net, OUT / "whole_model.pth")
    torch.save({"weight": torch.ones(2), "note": Hostile()}, OUT / "hostile.pth")
    torch.save({"weight": torch.ones(2), "note": Hostile()}, OUT / "hostile_pickle.pth", **old)
    (OUT / "numbers.pkl").write_bytes(pickle.dumps({"weight": [1.0, 2.0]}, protocol=2))
    compress(OUT / "net.pth", OUT / "compressed.pth")


if __name__ == "__main__":
    sys.exit(main())
