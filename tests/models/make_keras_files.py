"""Write the HDF5 files of the Keras tests into tests/testthat/keras/, as h5py and Keras write them.

    /usr/bin/python3 tests/models/make_keras_files.py

Debian: python3-h5py. One model in every way of storing it: a convolution of width 1 that looks for
G and C, and a mean over positions. Keras's own code of writing is followed: attributes of text are
`str` or `bytes` as each version had them, and lists of more than 64 kB are cut into numbered pieces
(keras/saving/hdf5_format.py, save_attributes_to_hdf5_group).
"""

import json
import pathlib

import h5py
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "keras"
KERNEL = np.array([0, 1, 1, 0], "f4").reshape(1, 4, 1)
LIMIT = 64512  # Keras's HDF5_OBJECT_HEADER_LIMIT


def config(name="letters", extra=None):
    layers = [
        {"class_name": "Conv1D", "config": {
            "name": name, "batch_input_shape": [None, 20, 4], "filters": 1, "kernel_size": [1],
            "strides": [1], "padding": "valid", "dilation_rate": [1], "activation": "linear",
            "use_bias": False}},
        {"class_name": "GlobalAveragePooling1D", "config": {"name": "mean"}},
    ]
    for one in extra or []:
        layers.append({"class_name": "Dropout", "config": {"name": one, "rate": 0.5}})
    return {"class_name": "Sequential", "config": {"name": "gc", "layers": layers}}


def set_list(group, name, values):
    """As Keras's save_attributes_to_hdf5_group: cut until each piece is small enough."""
    pieces = 1
    while any(part.nbytes > LIMIT for part in np.array_split(np.asarray(values), pieces)):
        pieces += 1
    if pieces > 1:
        for i, part in enumerate(np.array_split(np.asarray(values), pieces)):
            group.attrs[f"{name}{i}"] = part
    else:
        group.attrs[name] = values


def write(name, text=lambda x: x, names=lambda x: x, layer="letters", extra=None, data=None,
          weights="kernel:0", padding=0, **options):
    about = config(layer, extra)
    about["note"] = "x" * padding
    with h5py.File(OUT / name, "w", **options) as f:
        f.attrs["model_config"] = text(json.dumps(about, ensure_ascii=False))
        f.attrs["keras_version"] = text("2.15.0")
        f.attrs["backend"] = text("tensorflow")
        root = f.create_group("model_weights")
        set_list(root, "layer_names", names([layer, "mean"] + (extra or [])))
        root.attrs["backend"] = text("tensorflow")
        own = root.create_group(layer)
        set_list(own, "weight_names", names([f"{layer}/{weights}"]))
        own.create_dataset(f"{layer}/{weights}", data=KERNEL, **(data or {}))
        for one in ["mean"] + (extra or []):
            root.create_group(one).attrs["weight_names"] = []


def fixed(values):
    return np.array([value.encode("utf8") for value in values])


def write_padded(name, pad):
    """Fixed-length strings, filled with zeros or spaces, as other libraries write them."""
    write(name)
    with h5py.File(OUT / name, "a") as f:
        for group, attribute, values in (
            (f["model_weights"], "layer_names", ["letters", "mean"]),
            (f["model_weights/letters"], "weight_names", ["letters/kernel:0"]),
        ):
            size = max(len(value) for value in values) + 3
            kind = h5py.h5t.C_S1.copy()
            kind.set_size(size)
            kind.set_strpad(pad)
            del group.attrs[attribute]
            filler = b" " if pad == h5py.h5t.STR_SPACEPAD else b"\0"
            space = h5py.h5s.create_simple((len(values),))
            stored = h5py.h5a.create(group.id, attribute.encode(), kind, space)
            stored.write(np.array([v.encode().ljust(size, filler) for v in values], f"S{size}"),
                         mtype=kind)


def refused(name, change):
    write(name)
    with h5py.File(OUT / name, "a") as f:
        change(f, f["model_weights/letters"])


def soft_link(f, own):
    del own["letters/kernel:0"]
    own["letters/kernel:0"] = h5py.SoftLink("/elsewhere")
    f["elsewhere"] = KERNEL


def external_link(f, own):
    del own["letters/kernel:0"]
    own["letters/kernel:0"] = h5py.ExternalLink("variable_text.h5",
                                                "model_weights/letters/letters/kernel:0")


def linked_group(f, own):
    del f["model_weights"]
    f["model_weights"] = h5py.ExternalLink("variable_text.h5", "model_weights")


def external_storage(f, own):
    del own["letters/kernel:0"]
    own.create_dataset("letters/kernel:0", (1, 4, 1), "f4", external=[("make.bin", 0, 16)])


def virtual(f, own):
    del own["letters/kernel:0"]
    layout = h5py.VirtualLayout(shape=(1, 4, 1), dtype="f4")
    layout[:] = h5py.VirtualSource("variable_text.h5", "model_weights/letters/letters/kernel:0",
                                   shape=(1, 4, 1))
    own.create_virtual_dataset("letters/kernel:0", layout)


def main():
    OUT.mkdir(exist_ok=True)
    write("variable_text.h5")
    write("variable_bytes.h5", text=lambda x: x.encode("utf8"),
          names=lambda values: [value.encode("utf8") for value in values])
    write("fixed.h5", text=lambda x: np.bytes_(x.encode("utf8")), names=fixed)
    write_padded("null_padded.h5", h5py.h5t.STR_NULLPAD)
    write_padded("null_terminated.h5", h5py.h5t.STR_NULLTERM)
    write_padded("space_padded.h5", h5py.h5t.STR_SPACEPAD)
    write("utf8_name.h5", layer="bücher")
    write("latest.h5", libver="latest", padding=70000)
    write("earliest.h5", libver="earliest")
    write("tracked.h5", track_order=True)
    write("userblock.h5", userblock_size=512)
    write("gzip.h5", data={"compression": "gzip", "shuffle": True, "fletcher32": True})
    write("lzf.h5", data={"compression": "lzf"})
    write("chunked.h5", data={"chunks": (1, 2, 1), "maxshape": (None, 4, 1)})
    # 70 names of 1000 letters are 70 kB: cut in two.
    many = [f"drop_{i:03d}_" + "n" * 991 for i in range(70)]
    write("many_layers.h5", names=fixed, extra=many, libver="latest")
    refused("soft_link.h5", soft_link)
    refused("external_link.h5", external_link)
    refused("linked_group.h5", linked_group)
    refused("external_storage.h5", external_storage)
    refused("virtual.h5", virtual)


if __name__ == "__main__":
    main()
