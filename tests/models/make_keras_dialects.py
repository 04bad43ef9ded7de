"""Write the models of tests/testthat/keras/dialects/, as each version of Keras writes them.

    /usr/bin/python3 tests/models/make_keras_dialects.py

Debian: python3-numpy, python3-h5py; no TensorFlow. What is written, and in which order, follows the
sources of Keras 1.2.2 (models.py, engine/topology.py), 2.0 and 2.2.4 (models.py, engine/saving.py and
network.py), tf.keras 2.8 (saving/hdf5_format.py) and Keras 3.9 (legacy/saving/legacy_h5_format.py,
models/functional.py): configurations with all of their fields, the names of weights, the groups of
an optimizer, `bytes` where they give bytes. A chain of layers and a graph, by name and version, and
`expected.json`: what they predict of three sequences, computed here with numpy in float64.
"""

import json
import pathlib

import h5py
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "keras" / "dialects"
LIMIT = 64512  # Keras's HDF5_OBJECT_HEADER_LIMIT
SEQUENCES = ["ACGTTGCAAGTCGGATTACA", "GGATTACAGATCTTGCAAGT", "TTGCAAGTCCAGCATGCATG"]
LENGTH = len(SEQUENCES[0])


def numbers(*shape, seed):
    """As float32, in which Keras keeps them."""
    values = np.random.RandomState(seed).uniform(-1, 1, shape)
    return values.astype("f4")


# ---- the layers: their options, weights in Keras 2's shapes, and what they compute ---------------


def conv(name, filters, width, channels, seed, padding="valid", dilation=1, activation="relu"):
    return dict(kind="conv", name=name, filters=filters, width=width, padding=padding,
                dilation=dilation, activation=activation,
                weights={"kernel": numbers(width, channels, filters, seed=seed),
                         "bias": numbers(filters, seed=seed + 100)})


def dense(name, units, inputs, seed, activation="linear"):
    return dict(kind="dense", name=name, units=units, activation=activation,
                weights={"kernel": numbers(inputs, units, seed=seed),
                         "bias": numbers(units, seed=seed + 100)})


def norm(name, channels, seed):
    return dict(kind="norm", name=name, weights={
        "gamma": numbers(channels, seed=seed), "beta": numbers(channels, seed=seed + 1),
        "moving_mean": numbers(channels, seed=seed + 2),
        "moving_variance": np.abs(numbers(channels, seed=seed + 3)) + 0.5})


def plain(kind, name, **options):
    return dict(kind=kind, name=name, weights={}, **options)


CHAIN = [
    conv("conv1d_1", 6, 5, 4, seed=1, padding="same"), norm("batch_normalization_1", 6, seed=2),
    plain("maxpool", "max_pooling1d_1", size=2), plain("dropout", "dropout_1", rate=0.3),
    conv("conv1d_2", 5, 3, 6, seed=3, dilation=2, activation="linear"),
    plain("activation", "activation_1", function="elu"), plain("flatten", "flatten_1"),
    dense("dense_1", 3, 30, seed=4, activation="sigmoid"),
]
INNER = [conv("inner_conv", 4, 3, 5, seed=7, padding="same"), plain("gap", "inner_mean")]
# A residual block, a model inside, two outputs.
GRAPH = [
    ("sequence", []), (conv("stem", 5, 3, 4, seed=5, padding="same"), ["sequence"]),
    (conv("dilated", 5, 3, 5, seed=6, padding="same", dilation=2), ["stem"]),
    (plain("add", "sum"), ["stem", "dilated"]), (dict(kind="model", name="inner", layers=INNER), ["sum"]),
    (plain("gmp", "top"), ["sum"]), (plain("concat", "both"), ["inner", "top"]),
    (dense("counts", 2, 9, seed=8), ["both"]),
    (conv("profile", 2, 1, 5, seed=9, activation="linear"), ["sum"]),
]
OUTPUTS = ["profile", "counts"]


def activate(name, x):
    return {"relu": lambda: np.maximum(x, 0), "linear": lambda: x,
            "elu": lambda: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
            "sigmoid": lambda: 1 / (1 + np.exp(-x))}[name]()


def compute(layer, x):
    """x: one sequence, [L, C]; of a layer that joins others a list of such."""
    w = {name: value.astype("f8") for name, value in layer.get("weights", {}).items()}
    kind = layer["kind"]
    if kind == "model":
        for one in layer["layers"]:
            x = compute(one, x)
        return x
    if kind == "conv":
        span = (layer["width"] - 1) * layer["dilation"]
        if layer["padding"] == "same":
            x = np.pad(x, ((span // 2, span - span // 2), (0, 0)))
        rows = [sum(x[p + k * layer["dilation"]] @ w["kernel"][k] for k in range(layer["width"]))
                for p in range(len(x) - span)]
        return activate(layer["activation"], np.array(rows) + w["bias"])
    if kind == "norm":
        scale = w["gamma"] / np.sqrt(w["moving_variance"] + 1e-3)
        return (x - w["moving_mean"]) * scale + w["beta"]
    return {
        "dense": lambda: activate(layer["activation"], x @ w["kernel"] + w["bias"]),
        "maxpool": lambda: x.reshape(-1, layer["size"], x.shape[1]).max(1), "dropout": lambda: x,
        "activation": lambda: activate(layer["function"], x), "flatten": lambda: x.reshape(-1),
        "gap": lambda: x.mean(0), "gmp": lambda: x.max(0), "add": lambda: x[0] + x[1],
        "concat": lambda: np.concatenate(x, -1)}[kind]()


def one_hot(sequence):
    return np.array([[letter == base for base in "ACGT"] for letter in sequence], "f8")


def predict_chain(sequence):
    x = one_hot(sequence)
    for layer in CHAIN:
        x = compute(layer, x)
    return x


def predict_graph(sequence):
    values = {"sequence": one_hot(sequence)}
    for layer, inputs in GRAPH[1:]:
        given = [values[name] for name in inputs]
        values[layer["name"]] = compute(layer, given if len(given) > 1 else given[0])
    return [values[name] for name in OUTPUTS]


# ---- configurations -------------------------------------------------------------------------------

CLASSES_1 = dict(conv="Convolution1D", dense="Dense", norm="BatchNormalization", maxpool="MaxPooling1D",
                 dropout="Dropout", activation="Activation", flatten="Flatten", gap="GlobalAveragePooling1D",
                 gmp="GlobalMaxPooling1D", add="Merge", concat="Merge", model="Sequential")
CLASSES_2 = dict(CLASSES_1, conv="Conv1D", add="Add", concat="Concatenate")
NOTHING = ["W_regularizer", "b_regularizer", "activity_regularizer", "W_constraint", "b_constraint"]


def class_name(layer, version):
    if version == 1 and layer.get("dilation", 1) > 1:
        return "AtrousConvolution1D"
    return (CLASSES_1 if version == 1 else CLASSES_2)[layer["kind"]]


def config_1(layer, shape):
    """Keras 1.2: names of its own, the shape of the input with the first layer."""
    config = {"name": layer["name"], "trainable": True}
    if shape:
        config.update(batch_input_shape=[None, LENGTH, 4], input_dtype="float32")
    kind = layer["kind"]
    if kind == "conv":
        config.update({"nb_filter": layer["filters"], "filter_length": layer["width"], "init": "glorot_uniform",
                       "activation": layer["activation"], "border_mode": layer["padding"],
                       "subsample_length": 1, **dict.fromkeys(NOTHING), "bias": True,
                       "input_dim": 4 if shape else None, "input_length": LENGTH if shape else None})
        if layer["dilation"] > 1:
            config["atrous_rate"] = layer["dilation"]
    elif kind == "dense":
        config.update({"output_dim": layer["units"], "init": "glorot_uniform",
                       "activation": layer["activation"], **dict.fromkeys(NOTHING), "bias": True,
                       "input_dim": layer["weights"]["kernel"].shape[0]})
    elif kind == "norm":
        config.update(epsilon=1e-3, mode=0, axis=-1, gamma_regularizer=None, beta_regularizer=None, momentum=0.99)
    elif kind == "maxpool":
        config.update(stride=layer["size"], pool_length=layer["size"], border_mode="valid")
    elif kind == "dropout":
        config["p"] = layer["rate"]
    elif kind == "activation":
        config["activation"] = layer["function"]
    elif kind in ("add", "concat"):
        return {"name": layer["name"], "mode": "sum" if kind == "add" else "concat", "mode_type": "raw",
                "concat_axis": -1, "dot_axes": -1, "output_shape": None, "output_shape_type": "raw",
                "output_mask": None, "output_mask_type": "raw", "arguments": {}}
    return config


def thing(version, name, **config):
    """An initializer: Keras 3 says where it is from."""
    if version < 3:
        return {"class_name": name, "config": config}
    return {"module": "keras.initializers", "class_name": name, "config": config, "registered_name": None}


def uniform(version):
    if version == 2:
        return thing(2, "VarianceScaling", scale=1.0, mode="fan_avg", distribution="uniform", seed=None)
    return thing(version, "GlorotUniform", seed=None)


def config_2(layer, shape, version):
    """Keras 2 (`version` 2), tf.keras (2.8) and Keras 3."""
    config = {"name": layer["name"], "trainable": True}
    if version == 3:
        config["dtype"] = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"},
                           "registered_name": None}
    else:
        if shape:
            config["batch_input_shape"] = [None, LENGTH, 4]
        config["dtype"] = "float32"
    zeros, ones, kind = thing(version, "Zeros"), thing(version, "Ones"), layer["kind"]
    common = {"use_bias": True, "kernel_initializer": uniform(version), "bias_initializer": zeros,
              "kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None,
              "kernel_constraint": None, "bias_constraint": None}
    if kind == "conv":
        config.update({"filters": layer["filters"], "kernel_size": [layer["width"]], "strides": [1],
                       "padding": layer["padding"], "data_format": "channels_last",
                       "dilation_rate": [layer["dilation"]], "groups": 1, "activation": layer["activation"],
                       **common})
        if version == 2:
            del config["groups"]
    elif kind == "dense":
        config.update({"units": layer["units"], "activation": layer["activation"], **common})
        if version == 3:
            config["quantization_config"] = None
    elif kind == "norm":
        config.update({"axis": [2] if version == 2.8 else -1, "momentum": 0.99, "epsilon": 0.001,
                       "center": True, "scale": True, "beta_initializer": zeros, "gamma_initializer": ones,
                       "moving_mean_initializer": zeros, "moving_variance_initializer": ones,
                       "beta_regularizer": None, "gamma_regularizer": None, "beta_constraint": None,
                       "gamma_constraint": None})
        if version == 3:
            config.update(synchronized=False, renorm=False, renorm_clipping=None, renorm_momentum=0.99)
    elif kind == "maxpool":
        size = [layer["size"]]
        config.update(strides=size, pool_size=size, padding="valid", data_format="channels_last")
    elif kind == "dropout":
        config.update(rate=layer["rate"], noise_shape=None, seed=None)
    elif kind == "activation":
        config["activation"] = layer["function"]
    elif kind == "concat":
        config["axis"] = -1
    elif kind == "flatten":
        config["data_format"] = "channels_last"
    elif kind in ("gap", "gmp"):
        config["data_format"] = "channels_last"
        if version != 2:
            config["keepdims"] = False
    return config


def config_of(layer, version, shape=False):
    if layer["kind"] == "model":
        return chain_config(layer["layers"], version, layer["name"], [None, LENGTH, 5])
    return config_1(layer, shape) if version == 1 else config_2(layer, shape, version)


def input_layer(name, version, shape):
    if version == 1:
        config = {"batch_input_shape": shape, "input_dtype": "float32", "sparse": False, "name": name}
    elif version == 2:
        config = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "name": name}
    elif version == 2.8:
        config = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    else:
        config = {"batch_shape": shape, "dtype": "float32", "sparse": False, "ragged": False, "name": name,
                  "optional": False}
    return {"class_name": "InputLayer", "config": config}


def chain_config(layers, version, name, shape, listed=False):
    """Keras 1 and 2.0 have a list; tf.keras and Keras 3 name the input."""
    entries = [{"class_name": class_name(one, version), "config": config_of(one, version, i == 0 and version <= 2)}
               for i, one in enumerate(layers)]
    if version <= 2 and shape[2] != 4:
        first = entries[0]["config"]
        first["batch_input_shape"] = shape
        for key, value in (("input_dim", shape[2]), ("input_length", shape[1])):
            if key in first:
                first[key] = value
    if version > 2:
        entries.insert(0, input_layer(layers[0]["name"] + "_input" if version < 3 else "input_layer", version, shape))
    if version == 1 or listed:
        return entries
    config = {"name": name, "layers": entries}
    if version == 3:
        config.update(trainable=True, dtype=config_2(plain("flatten", ""), False, 3)["dtype"], build_input_shape=shape)
    return config


def graph_config(version, structure):
    entries = []
    node_of = {layer["name"]: int(layer["kind"] == "model") for layer, _ in GRAPH[1:]}

    def reference(name):
        # A model inside has a node of its own before the one that calls it here; in Keras 3 only a
        # functional one, which a Sequential is not.
        return [name, node_of.get(name, 0) if version < 3 else 0, 0]

    def tensor(name):
        return {"class_name": "__keras_tensor__", "config": {
            "shape": [None, LENGTH, 5], "dtype": "float32", "keras_history": reference(name)}}

    for layer, inputs in GRAPH:
        if layer == "sequence":
            entry = {"name": layer, **input_layer(layer, version, [None, LENGTH, 4])}
            nodes = []
        else:
            entry = {"name": layer["name"], "class_name": class_name(layer, version),
                     "config": config_of(layer, version)}
            if version == 3:
                given = [tensor(name) for name in inputs]
                nodes = [{"args": [given] if len(given) > 1 else given, "kwargs": {}}]
            else:
                nodes = [[reference(name) + ([{}] if version > 1 else []) for name in inputs]]
        entry["inbound_nodes"] = nodes
        entries.append(entry)
    inputs, outputs = ["sequence", 0, 0], [reference(name) for name in OUTPUTS]
    if structure == "dict":
        inputs, outputs = {"dna": inputs}, dict(zip(["shape", "total"], outputs))
    elif structure == "list":
        inputs = [inputs]
    config = {"name": "model_1", "layers": entries, "input_layers": inputs, "output_layers": outputs}
    if version == 3:
        config["trainable"] = True
    return config


# ---- files ---------------------------------------------------------------------------------------


def set_list(group, name, values):
    """As Keras's save_attributes_to_hdf5_group: cut until each piece is small enough."""
    pieces = 1
    while any(part.nbytes > LIMIT for part in np.array_split(np.asarray(values), pieces)):
        pieces += 1
    if pieces == 1:
        group.attrs[name] = values
    for i, part in enumerate(np.array_split(np.asarray(values), pieces) if pieces > 1 else []):
        group.attrs[f"{name}{i}"] = part


def weights_of(layer, version, prefix, backend):
    """(name, value) of each weight, as that version names and shapes it."""
    if layer["kind"] == "model":
        inner = prefix + layer["name"] + "/" if version == 3 else ""
        return [pair for one in layer["layers"] for pair in weights_of(one, version, inner, backend)]
    pairs = []
    for name, value in layer["weights"].items():
        if version == 1:
            # Kernels of one dimension are those of two with a width of 1; Theano turns them round.
            name = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}.get(name, name)
            if value.ndim == 3:
                value = (value[::-1] if backend == "theano" else value)[:, None]
            pairs.append((f"{layer['name']}_{name}" + (":0" if backend == "tensorflow" else ""), value))
        elif version == 3:
            pairs.append((f"{prefix}{layer['name']}/{name}", value))
        else:
            if backend == "theano" and value.ndim == 3:
                value = value[::-1]
            pairs.append((f"{layer['name']}/{name}" + (":0" if backend == "tensorflow" else ""), value))
    return pairs


def write(name, version, keras_version, layers, model, backend="tensorflow", prefix="", training=True, pad="",
          **options):
    """`pad`: added to the names of a layer of four weights, whose list is too long for one attribute then."""
    with h5py.File(OUT / name, "w", **options) as f:
        text = json.dumps(model)
        if version < 2.8:
            f.attrs["keras_version"] = keras_version.encode("utf8")
            if version > 1:
                f.attrs["backend"] = backend.encode("utf8")
        else:
            f.attrs["keras_version"] = keras_version
            f.attrs["backend"] = backend
        f.attrs["model_config"] = text.encode("utf8")
        root = f.create_group("model_weights")
        names = [layer if isinstance(layer, str) else layer["name"] for layer in layers]
        set_list(root, "layer_names", [one.encode("utf8") for one in names])
        if version > 1:
            root.attrs["backend"] = backend.encode("utf8")
            root.attrs["keras_version"] = keras_version.encode("utf8")
        order = range(len(layers)) if version < 2.8 else sorted(range(len(layers)), key=lambda i: names[i])
        for i in order:
            group = root.create_group(names[i])
            pairs = [] if isinstance(layers[i], str) else weights_of(layers[i], version, prefix, backend)
            write_weights(group, [(name + pad * (len(pairs) == 4), value) for name, value in pairs])
        if version >= 2.8:
            write_weights(root.create_group("top_level_model_weights"), [])
        if training:
            write_training(f, version)


def write_weights(group, pairs):
    names = [name.encode("utf8") for name, _ in pairs]
    set_list(group, "weight_names", names)
    for name, (_, value) in zip(names, pairs):
        data = group.create_dataset(name, value.shape, dtype=value.dtype)
        if value.shape:
            data[:] = value
        else:
            data[()] = value


def write_training(f, version):
    """What compile() leaves: read by nobody here, and it must not be taken for weights."""
    f.attrs["training_config"] = json.dumps({
        "loss": "binary_crossentropy", "metrics": ["accuracy"], "sample_weight_mode": None,
        "optimizer_config": {"class_name": "Adam", "config": {"lr": 1e-3, "beta_1": 0.9}},
        "loss_weights": None}).encode("utf8")
    write_weights(f.create_group("optimizer_weights"), [
        ("Adam/iterations:0" if version > 1 else "Variable:0", np.array(7, "i8")),
        ("Adam/conv/kernel/m:0" if version > 1 else "Variable_1:0", numbers(3, 4, seed=99))])


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    shape = [None, LENGTH, 4]
    graph = [layer for layer, _ in GRAPH]

    def chain(version, listed=False, name="sequential_1"):
        return {"class_name": "Sequential", "config": chain_config(CHAIN, version, name, shape, listed)}

    def network(version, cls, structure="list"):
        return {"class_name": cls, "config": graph_config(version, structure)}

    write("chain_1.2.h5", 1, "1.2.2", CHAIN, chain(1))
    write("chain_1.2_theano.h5", 1, "1.2.2", CHAIN, chain(1), backend="theano")
    write("chain_2.0.h5", 2, "2.0.8", CHAIN, chain(2, listed=True))
    write("chain_2.2.h5", 2, "2.2.4", CHAIN, chain(2))
    write("chain_2.2_theano.h5", 2, "2.2.4", CHAIN, chain(2), backend="theano")
    write("chain_2.8.h5", 2.8, "2.8.0", CHAIN, chain(2.8))
    write("chain_3.h5", 3, "3.9.2", CHAIN, chain(3, name="sequential"), prefix="sequential/")
    write("chain_3_jax.h5", 3, "3.9.2", CHAIN, chain(3, name="sequential"), prefix="sequential/", backend="jax")
    write("graph_1.2.h5", 1, "1.2.2", graph, network(1, "Model"))
    write("graph_2.2.h5", 2, "2.2.4", graph, network(2, "Model"))
    write("graph_2.8.h5", 2.8, "2.8.0", graph, network(2.8, "Functional"))
    write("graph_3.h5", 3, "3.9.2", graph, network(3, "Functional", "bare"))
    write("graph_3_dict.h5", 3, "3.9.2", graph, network(3, "Functional", "dict"))
    # Names of weights of more than 64 kB in one layer: weight_names0, weight_names1, ...
    write("long_names.h5", 2.8, "2.8.0", CHAIN, chain(2.8), pad="_" + "n" * 16300, libver="latest")
    expected = {"sequences": SEQUENCES, "chain": [predict_chain(one).tolist() for one in SEQUENCES]}
    both = [predict_graph(one) for one in SEQUENCES]
    for i, name in enumerate(OUTPUTS):
        expected[name] = [one[i].tolist() for one in both]
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
