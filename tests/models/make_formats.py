"""Write the BPNet of inst/extdata/formats/ (bpnet.pth) in the other forms that hold weights of PyTorch,
into tests/testthat/formats/.

    /usr/bin/python3 tests/models/make_formats.py

Debian: python3-torch. bpnet.torch is a whole model of bpnet-lite's class, lightning.ckpt a checkpoint of
Lightning; sharded/ and pytorch/ are folders of Hugging Face's, of safetensors and of torch.save().
"""

import json
import pathlib
import struct
import sys
import types

import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "testthat" / "formats"
weights = torch.load(HERE.parents[1] / "inst/extdata/formats/bpnet.pth")


class BPNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.iconv = nn.Conv1d(4, 4, 3, padding=1)
        self.irelu = nn.ReLU()
        self.rconvs = nn.ModuleList(nn.Conv1d(4, 4, 3, padding=2**i, dilation=2**i) for i in (1, 2))
        self.rrelus = nn.ModuleList(nn.ReLU() for _ in range(2))
        self.fconv = nn.Conv1d(6, 2, 3)
        self.linear = nn.Linear(5, 1)
        self.n_filters, self.n_layers, self.n_outputs, self.n_control_tracks, self.trimming = 4, 2, 2, 2, 1


def stored(tensor):
    return tensor.detach().contiguous().numpy().tobytes()


def safetensors(names, path):
    header, data = {}, b""
    for name in names:
        content = stored(weights[name])
        header[name] = {"dtype": "F32", "shape": list(weights[name].shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    for folder in (OUT, OUT / "sharded", OUT / "pytorch"):
        folder.mkdir(parents=True, exist_ok=True)
    for package in ("bpnetlite", "bpnetlite.bpnet"):
        sys.modules[package] = types.ModuleType(package)
    BPNet.__module__ = "bpnetlite.bpnet"
    sys.modules["bpnetlite.bpnet"].BPNet = BPNet
    net = BPNet().eval()
    net.load_state_dict(weights)
    torch.save(net, OUT / "bpnet.torch")
    torch.save({"epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.1.0",
                "state_dict": {f"model.{name}": tensor for name, tensor in weights.items()},
                "hyper_parameters": {"lr": 0.001}, "optimizer_states": []}, OUT / "lightning.ckpt")
    names = list(weights)
    halves = {1: names[:5], 2: names[5:]}
    for folder, form, end in [("sharded", "model-{:05d}-of-00002.safetensors", "model.safetensors.index.json"),
                              ("pytorch", "pytorch_model-{:05d}-of-00002.bin", "pytorch_model.bin.index.json")]:
        for number, half in halves.items():
            path = OUT / folder / form.format(number)
            if folder == "sharded":
                safetensors(half, path)
            else:
                torch.save({name: weights[name] for name in half}, path)
        index = {name: form.format(number) for number, half in halves.items() for name in half}
        (OUT / folder / end).write_text(json.dumps({"metadata": {}, "weight_map": index}, indent=1) + "\n")
