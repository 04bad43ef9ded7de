"""HDF5 files and archives of Keras that lie (make_lying_files.py)."""

import json
import pathlib
import tempfile

import h5py
import numpy as np

from lying_base import Member, archive, lying

DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "activation": "linear", "use_bias": False}}


def layer(class_name, name=None, **options):
    return {"class_name": class_name, "config": dict(options, name=name or class_name.lower())}


def chain(*layers, shape=(None, 16, 4)):
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": list(shape)}}, *layers]}}


def hdf5(fill, config=None, names=("dense",), weights=("dense/kernel:0",)):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "file.h5"
        with h5py.File(path, "w", track_order=False) as file:
            file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config or chain(DENSE))
            file.attrs["keras_version"] = "2.8.0"
            file.attrs["backend"] = "tensorflow"
            root = file.create_group("model_weights")
            root.attrs["layer_names"] = np.array([name.encode() for name in names])
            group = root.create_group("dense")
            if weights is not None:
                group.attrs["weight_names"] = np.array([name.encode() for name in weights])
            fill(file, root, group)
        return path.read_bytes()


def with_data(**how):
    return lambda file, root, group: group.create_dataset("dense/kernel:0", track_times=False, **how)


def hdf5_files():
    kernel = np.ones((4, 2), "f4")
    sound = with_data(data=kernel)
    lying("sound.h5", hdf5(sound), "model")
    lying("claims_2_40.h5", hdf5(with_data(shape=(2**20, 2**20), dtype="f4")))
    lying("claims_2_40_packed.h5", hdf5(with_data(shape=(2**20, 2**20), dtype="f4", chunks=(2**10, 2**10), compression="gzip")))
    lying("claims_2_40_filled.h5", hdf5(with_data(shape=(2**40,), dtype="f8", chunks=(2**10,), fillvalue=1.5)))
    lying("claims_2_62.h5", hdf5(with_data(shape=(2**31, 2**30), dtype="u1", chunks=(1024, 1024))))
    lying("chunk_huge.h5", hdf5(with_data(shape=(4, 2), maxshape=(None, None), dtype="f4", chunks=(2**14, 2**14), compression="gzip")))
    lying("zero_times_2_40.h5", hdf5(with_data(shape=(0, 2**40), dtype="f4")))
    lying("text_data.h5", hdf5(with_data(data=np.array([b"a" * 8] * 8).reshape(4, 2))))
    lying("compound_data.h5", hdf5(with_data(data=np.zeros((4, 2), [("a", "f4"), ("b", "i8")]))))
    lying("variable_data.h5", hdf5(with_data(shape=(4, 2), dtype=h5py.vlen_dtype(np.dtype("f4")))))
    lying("array_data.h5", hdf5(with_data(shape=(4, 2), dtype=np.dtype(("f4", (1000, 1000))))))
    lying("reference_data.h5", hdf5(lambda file, root, group: group.create_dataset("dense/kernel:0", data=np.array([[group.ref] * 2] * 4, dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)))
    lying("dimensions_32.h5", hdf5(with_data(shape=(1,) * 32, dtype="f4")))
    lying("scalar_data.h5", hdf5(with_data(data=np.float32(1))))
    lying("empty_data.h5", hdf5(with_data(data=h5py.Empty("f4"))))
    lying("group_as_data.h5", hdf5(lambda file, root, group: group.create_group("dense/kernel:0")))

    def cyclic(file, root, group):
        sound(file, root, group)
        group["dense/again"] = group
        root["above"] = file["/"]

    def soft_cycle(file, root, group):
        group.create_group("dense")
        group["dense/kernel:0"] = h5py.SoftLink("/model_weights/dense/dense/kernel:0")

    def linked(link):
        def fill(file, root, group):
            group.create_group("dense")
            group["dense/kernel:0"] = link
        return fill

    lying("cyclic.h5", hdf5(cyclic), "either")
    lying("soft_cycle.h5", hdf5(soft_cycle))
    lying("soft_dangling.h5", hdf5(linked(h5py.SoftLink("/nowhere"))))
    lying("soft_of_group.h5", hdf5(linked(h5py.SoftLink("/model_weights"))))
    lying("external_passwd.h5", hdf5(linked(h5py.ExternalLink("/etc/passwd", "/a"))))
    lying("external_above.h5", hdf5(linked(h5py.ExternalLink("../../sound.h5", "/model_weights/dense/dense/kernel:0"))))
    lying("external_beside.h5", hdf5(linked(h5py.ExternalLink("sound.h5", "/model_weights/dense/dense/kernel:0"))))
    lying("external_itself.h5", hdf5(linked(h5py.ExternalLink("external_itself.h5", "/model_weights/dense/dense/kernel:0"))))
    lying("external_device.h5", hdf5(linked(h5py.ExternalLink("/dev/zero", "/a"))))
    lying("storage_passwd.h5", hdf5(with_data(shape=(4, 2), dtype="f4", external=[("/etc/passwd", 0, 32)])))
    lying("storage_zero_2_40.h5", hdf5(with_data(shape=(2**40,), dtype="f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])))

    def virtual(file, root, group):
        layout = h5py.VirtualLayout((4, 2), "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "a", (4, 2))
        group.create_virtual_dataset("dense/kernel:0", layout)

    lying("virtual.h5", hdf5(virtual))
    lying("layers_many.h5", hdf5(sound, names=("dense",) * 3000))
    lying("layers_absolute.h5", hdf5(sound, names=("/model_weights/dense",)), "either")
    lying("layers_above.h5", hdf5(sound, names=("../dense",)))
    lying("layers_missing.h5", hdf5(sound, names=("nowhere",)))
    lying("layers_empty.h5", hdf5(sound, names=("",)), "either")
    lying("weights_many.h5", hdf5(sound, weights=("dense/kernel:0",) * 1000), "either")
    lying("weights_missing.h5", hdf5(sound, weights=("dense/nothing:0",)))
    lying("weights_none.h5", hdf5(sound, weights=None))
    lying("config_deep.h5", hdf5(sound, config='{"a":' + "[" * 10000 + "]" * 10000 + "}"))
    lying("config_number.h5", hdf5(lambda file, root, group: file.attrs.__setitem__("model_config", 7)))
    lying("config_empty.h5", hdf5(sound, config="   "))
    lying("config_null.h5", hdf5(sound, config="null"))
    lying("config_invalid.h5", hdf5(lambda file, root, group: file.attrs.__setitem__("model_config", np.bytes_(b'{"class_name": "\xff\xfe"}'))))
    lying("names_numbers.h5", hdf5(lambda file, root, group: root.attrs.__setitem__("layer_names", np.arange(5))))
    lying("names_matrix.h5", hdf5(lambda file, root, group: (sound(file, root, group), root.attrs.__setitem__("layer_names", np.array([[b"dense"]])))), "either")


def keras_archive(config, fill=None, members=()):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "file.h5"
        with h5py.File(path, "w") as file:
            (fill or (lambda file: file.create_dataset("layers/dense/vars/0", data=np.ones((4, 2), "f4"))))(file)
        weights = path.read_bytes()
    text_ = config if isinstance(config, bytes) else json.dumps(config).encode()
    return archive([Member("metadata.json", b'{"keras_version": "3.9.2"}'), Member("config.json", text_),
                    Member("model.weights.h5", weights), *members])


def keras_files():
    lying("sound.keras", keras_archive(chain(DENSE)), "model")
    big = 10**9

    def refused(name, *layers, may="error", shape=(None, 16, 4)):
        lying(f"{name}.keras", keras_archive(chain(*layers, shape=shape)), may)

    nested = DENSE
    for _ in range(60):
        nested = {"class_name": "Sequential", "config": {"name": "net", "layers": [nested]}}
    lying("models_in_models.keras", keras_archive(nested))
    deep = b'{"class_name": "Sequential", "config": {"name": "n", "layers": [' * 10000 + json.dumps(DENSE).encode() + b"]}}" * 10000
    lying("models_in_models_10000.keras", keras_archive(deep))
    wrapped = DENSE
    for _ in range(60):
        wrapped = layer("TimeDistributed", layer=wrapped)
    refused("wrapped_in_wrapped", wrapped)
    both = layer("LSTM", units=2)
    for _ in range(60):
        both = layer("Bidirectional", layer=both)
    refused("both_in_both", both)
    refused("conv_filters", layer("Conv1D", filters=big, kernel_size=[3]))
    refused("conv_filters_2_62", layer("Conv1D", filters=2**62, kernel_size=[3]))
    refused("conv_kernel", layer("Conv1D", filters=2, kernel_size=[big]))
    refused("conv_stride_negative", layer("Conv1D", filters=2, kernel_size=[3], strides=[-1]))
    refused("conv_stride_zero", layer("Conv1D", filters=2, kernel_size=[3], strides=[0]))
    refused("conv_dilation", layer("Conv1D", filters=2, kernel_size=[3], dilation_rate=[2**31 - 1], padding="same"))
    refused("conv_groups_zero", layer("Conv1D", filters=2, kernel_size=[3], groups=0))
    refused("conv_kernel_many", layer("Conv1D", filters=2, kernel_size=[1] * 100000))
    refused("conv_kernel_half", layer("Conv1D", filters=2, kernel_size=[2.5]))
    refused("conv_kernel_infinite", layer("Conv1D", filters=float("inf"), kernel_size=[3]))
    refused("dense_units", layer("Dense", units=big))
    refused("dense_units_text", layer("Dense", units="2"))
    refused("dense_units_true", layer("Dense", units=True))
    refused("embedding_rows", layer("Embedding", input_dim=big, output_dim=big), shape=(None, 16))
    refused("attention_heads", layer("MultiHeadAttention", num_heads=big, key_dim=big))
    refused("lstm_units", layer("LSTM", units=big))
    refused("repeat", layer("Flatten"), layer("RepeatVector", n=2**31 - 1), layer("GlobalMaxPooling1D"), may="either")
    refused("padding_wide", layer("ZeroPadding1D", padding=2**31 - 1), layer("GlobalMaxPooling1D"), may="either")
    refused("upsampling_wide", layer("UpSampling1D", size=2**31 - 1), layer("GlobalMaxPooling1D"), may="either")
    refused("pooling_wide", layer("AveragePooling1D", pool_size=2**31 - 1, strides=1, padding="same"), may="either")
    refused("reshape_2_40", layer("Reshape", target_shape=[2**20, 2**20]))
    refused("reshape_negative", layer("Reshape", target_shape=[-4, -16]))
    refused("cropping_all", layer("Cropping1D", cropping=[8, 8]))
    refused("permute_many", layer("Permute", dims=[1] * 100000))
    refused("input_wide", layer("Flatten"), shape=(None, 2**31, 4), may="either")
    refused("input_many", layer("Flatten"), shape=(None,) + (4,) * 1000)
    refused("input_negative", layer("Flatten"), shape=(None, -16, 4))
    code = ["4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMIAAAAdABkAYMBUwApAk56A3JhbikB2gRvcGVu", None, None]
    refused("lambda_code", layer("Lambda", function={"class_name": "__lambda__", "config": {"code": code[0], "defaults": None, "closure": None}}))
    refused("lambda_old", layer("Lambda", function=code, function_type="lambda"))
    refused("custom_class", {"class_name": "system", "module": "os", "registered_name": "os>system", "config": {"name": "s", "command": "touch ran"}})
    refused("class_name_long", {"class_name": "A" * 2**20, "config": {"name": "a"}})
    refused("class_name_zero", {"class_name": "Dense\0x", "config": {"name": "a"}})
    refused("class_name_braces", {"class_name": "{file.create('ran')}", "config": {"name": "{file.create('ran')}"}})
    refused("name_braces", layer("Dense", "{file.create('ran')}", units=2, use_bias=False), may="either")
    refused("name_code", layer("Dense", "a\n    import os", units=2, use_bias=False), may="either")
    refused("names_twice", layer("ReLU", "a"), layer("ReLU", "a"))
    refused("name_number", {"class_name": "ReLU", "config": {"name": 7}}, may="either")
    refused("activation_code", layer("Activation", activation="__import__('os').system('touch ran')"))
    refused("activation_object", layer("Activation", activation={"class_name": "function", "config": "eval", "module": "builtins"}))
    refused("alpha_huge", layer("LeakyReLU", alpha=1e308), may="either")
    refused("epsilon_text", layer("LayerNormalization", epsilon="1; import os"))
    refused("einsum_long", layer("EinsumDense", equation="a" * 100000 + ",b->ab", output_shape=[2]))
    refused("einsum_huge", layer("EinsumDense", equation="abc,cd->abd", output_shape=[None, 2**40]))
    refused("layers_many", *[layer("ReLU", f"r{i}") for i in range(3000)], may="either")
    lying("number_huge.keras", keras_archive(json.dumps(chain(DENSE)).replace('"units": 2', '"units": 1' + "0" * 400).encode()))
    lying("number_nan.keras", keras_archive(json.dumps(chain(DENSE)).replace('"units": 2', '"units": NaN').encode()))

    def graph(*layers, inputs="x", outputs="y"):
        def entry(name, class_name, sources, **options):
            nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
            return {"class_name": class_name, "name": name, "config": dict(options, name=name), "inbound_nodes": nodes}
        entries = [entry("x", "InputLayer", [], batch_shape=[None, 16, 4])] + [entry(*one[:3], **(one[3] if len(one) > 3 else {})) for one in layers]
        return {"class_name": "Functional", "config": {"name": "net", "layers": entries, "input_layers": [[inputs, 0, 0]],
                                                     "output_layers": [[outputs, 0, 0]]}}

    lying("circle.keras", keras_archive(graph(("a", "Add", ["x", "b"]), ("b", "ReLU", ["a"]), ("y", "ReLU", ["b"]))))
    lying("circle_of_one.keras", keras_archive(graph(("y", "ReLU", ["y"]))))
    lying("source_missing.keras", keras_archive(graph(("y", "ReLU", ["nothing"]))))
    lying("output_missing.keras", keras_archive(graph(("y", "ReLU", ["x"]), outputs="z")))
    lying("input_is_output.keras", keras_archive(graph(outputs="x")), "either")
    doubled = [("d0", "Concatenate", ["x", "x"])] + [(f"d{i}", "Concatenate", [f"d{i - 1}"] * 2) for i in range(1, 50)] + [("y", "ReLU", ["d49"])]
    lying("doubling.keras", keras_archive(graph(*doubled)))
    lying("joins_many.keras", keras_archive(graph(("y", "Add", ["x"] * 20000))), "either")
    call = graph(("y", "ReLU", ["x"]))
    call["config"]["layers"][1]["inbound_nodes"] = [[["x", 2**62, 0, {}]]]
    lying("call_2_62.keras", keras_archive(call))
    call["config"]["layers"][1]["inbound_nodes"] = [[["x", 0, 2**62, {}]]]
    lying("output_2_62.keras", keras_archive(call))
    call["config"]["layers"][1]["inbound_nodes"] = [{"args": [[[[[[[[{"class_name": "__keras_tensor__", "config": {}}]]]]]]]], "kwargs": {}}]
    lying("tensor_without_history.keras", keras_archive(call))
    call["config"]["layers"][1]["inbound_nodes"] = [{"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}],
                                                     "kwargs": {"mask": {"class_name": "__keras_tensor__", "config": {"keras_history": ["y", 0, 0]}}}}]
    lying("mask_of_itself.keras", keras_archive(call))
    lying("config_array.keras", keras_archive(b"[]"))
    lying("config_empty.keras", keras_archive(b""))
    lying("config_zero.keras", keras_archive(b'{"class_name": "\0"}'))
    # Weights.
    lying("weights_claim.keras", keras_archive(chain(DENSE), lambda file: file.create_dataset("layers/dense/vars/0", shape=(2**20, 2**20), dtype="f4")))

    def cyclic(file):
        group = file.create_group("layers/dense/vars")
        group["0"] = np.ones((4, 2), "f4")
        file["layers/dense/again"] = file["layers"]
        file["layers/dense/vars/vars"] = file["layers/dense"]

    def external(file):
        file.create_group("layers/dense/vars")
        file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/a")

    def folder_outside(file):
        file["layers"] = h5py.ExternalLink("sound.h5", "/model_weights")

    def wide(file):
        group = file.create_group("layers/dense/vars")
        for i in range(300):
            group[str(i)] = np.float32(1)

    def deep_groups(file):
        file.create_dataset("layers/dense/" + "a/" * 300 + "vars/0", data=np.ones((4, 2), "f4"))

    for name, fill in {"cyclic": cyclic, "external": external, "folder_outside": folder_outside, "wide": wide, "deep_groups": deep_groups}.items():
        lying(f"weights_{name}.keras", keras_archive(chain(DENSE), fill), "either" if name in ("cyclic", "deep_groups") else "error")
    lying("weights_number_large.keras", keras_archive(chain(DENSE), lambda file: file.create_dataset("layers/dense/vars/99999999999999999999", data=np.ones((4, 2), "f4"))), "either")
    lying("member_above.keras", keras_archive(chain(DENSE), members=[Member("../../ran", b"x")]), "either")
    lying("config_twice.keras", keras_archive(chain(DENSE), members=[Member("config.json", b"{}")]), "either")
    lying("config_link.keras", archive([Member("metadata.json", b"{}"), Member("config.json", b"/etc/passwd", made_by=0x0314, attributes=0o120777 << 16),
                                        Member("model.weights.h5", b"")]))
