"""Write Keras's own archives (.keras) into tests/testthat/keras/archives/, as its versions write them,
and expected.json: what they predict of three sequences, computed here with numpy in float64.

    /usr/bin/python3 tests/models/make_keras_archives.py

Debian: python3-numpy, python3-h5py; no Keras. The layout of model.weights.h5 follows
keras/src/saving/saving_lib.py of Keras 3.3, 3.9 and 3.13 (a group `vars` below each object, counted
names by classes; since 3.9 the object's name as an attribute) and keras/saving/saving_lib.py of
tf.keras 2.13 (`_layer_checkpoint_dependencies`); the configurations are those of get_config().
"""

import io
import json
import math
import pathlib
import re
import zipfile

import h5py
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "testthat" / "keras" / "archives"
SEQUENCES = ["ACGTTGCAAGTCGGATTACA", "GGATTACAGATCTTGCAAGT", "TTGCAAGTCCAGCATGCATG"]
LENGTH = 20


def numbers(*shape, seed):
    """As float32, in which Keras keeps them."""
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype("f4")


# ---- what the layers compute -----------------------------------------------------------------


def erf(x):
    return np.vectorize(math.erf)(x)


ACTIVATIONS = {
    "linear": lambda x: x, "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)), "softplus": lambda x: np.log1p(np.exp(x)),
    "crested>gelu_enf": lambda x: x / (1 + np.exp(-1.702 * x)),
    "crested>gelu_approx": lambda x: x * (1 + np.tanh(
        np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3))) / 2,
}


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def conv(x, kernel, bias, padding="valid", dilation=1):
    width = (kernel.shape[0] - 1) * dilation
    if padding == "same":
        x = np.pad(x, ((0, 0), (width // 2, width - width // 2), (0, 0)))
    length = x.shape[1] - width
    y = sum(x[:, i * dilation:i * dilation + length] @ kernel[i] for i in range(kernel.shape[0]))
    return y + bias


# Each layer: (class, name, options, weights, inputs, function of the inputs and the weights). The
# weights of layers inside come by their attribute: {"query_dense": [...]}; `layers` of a model.


def layer(kind, name, options, weights, compute, inputs=None, inner=None):
    return dict(kind=kind, name=name, options=options, weights=weights, compute=compute,
                inputs=inputs, inner=inner)


def conv1d(name, filters, width, channels, seed, padding="valid", activation="relu", dilation=1,
           inputs=None):
    weights = [numbers(width, channels, filters, seed=seed), numbers(filters, seed=seed + 100)]
    options = dict(filters=filters, kernel_size=[width], strides=[1], padding=padding,
                   data_format="channels_last", dilation_rate=[dilation], groups=1,
                   activation=activation, use_bias=True)
    compute = lambda w, x: ACTIVATIONS[activation](conv(x, w[0], w[1], padding, dilation))
    return layer("Conv1D", name, options, weights, compute, inputs)


def dense(name, units, channels, seed, activation="linear", inputs=None):
    weights = [numbers(channels, units, seed=seed), numbers(units, seed=seed + 100)]
    return layer("Dense", name, dict(units=units, activation=activation, use_bias=True), weights,
                 lambda w, x: ACTIVATIONS[activation](x @ w[0] + w[1]), inputs)


def batch_norm(name, channels, seed, inputs=None):
    weights = [numbers(channels, seed=seed), numbers(channels, seed=seed + 1),
               numbers(channels, seed=seed + 2), np.abs(numbers(channels, seed=seed + 3)) + 0.5]
    return layer("BatchNormalization", name,
                 dict(axis=-1, momentum=0.99, epsilon=0.001, center=True, scale=True), weights,
                 lambda w, x: (x - w[2]) / np.sqrt(w[3] + 0.001) * w[0] + w[1], inputs)


def plain(kind, name, compute, inputs=None, **options):
    return layer(kind, name, options, [], lambda w, *x: compute(*x), inputs)


def separable(name, filters, width, channels, seed, inputs=None):
    weights = [numbers(width, channels, 1, seed=seed), numbers(1, channels, filters, seed=seed + 1),
               numbers(filters, seed=seed + 2)]

    def compute(w, x):
        padded = np.pad(x, ((0, 0), (width // 2, width // 2), (0, 0)))
        depth = sum(padded[:, i:i + x.shape[1]] * w[0][i, :, 0] for i in range(width))
        return depth @ w[1][0] + w[2]
    return layer("SeparableConv1D", name,
                 dict(filters=filters, kernel_size=[width], strides=[1], padding="same",
                      data_format="channels_last", dilation_rate=[1], depth_multiplier=1,
                      activation="linear", use_bias=True), weights, compute, inputs)


def layer_norm(name, channels, seed, inputs=None):
    weights = [numbers(channels, seed=seed), numbers(channels, seed=seed + 1)]

    def compute(w, x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + 0.001) * w[0] + w[1]
    return layer("LayerNormalization", name,
                 dict(axis=-1, epsilon=0.001, center=True, scale=True, rms_scaling=False), weights,
                 compute, inputs)


def group_norm(name, groups, channels, seed, inputs=None):
    weights = [numbers(channels, seed=seed), numbers(channels, seed=seed + 1)]

    def compute(w, x):
        parts = x.reshape(len(x), x.shape[1], groups, -1)
        centred = parts - parts.mean((1, 3), keepdims=True)
        scaled = centred / np.sqrt((centred ** 2).mean((1, 3), keepdims=True) + 0.001)
        return scaled.reshape(x.shape) * w[0] + w[1]
    return layer("GroupNormalization", name,
                 dict(groups=groups, axis=-1, epsilon=0.001, center=True, scale=True), weights,
                 compute, inputs)


def attention(name, heads, width, channels, seed, inputs):
    shapes = {"query_dense": [(channels, heads, width), (heads, width)],
              "key_dense": [(channels, heads, width), (heads, width)],
              "value_dense": [(channels, heads, width), (heads, width)],
              "output_dense": [(heads, width, channels), (channels,)]}
    weights = {role: [numbers(*shape, seed=seed + 10 * i + j) for j, shape in enumerate(both)]
               for i, (role, both) in enumerate(shapes.items())}

    def compute(w, query, value):
        q, k, v = (np.einsum("nlc,chw->nhlw", x, w[role][0]) + w[role][1][:, None]
                   for role, x in [("query_dense", query), ("key_dense", value),
                                   ("value_dense", value)])
        shares = softmax(np.einsum("nhiw,nhjw->nhij", q, k) / np.sqrt(width), -1)
        mixed = np.einsum("nhij,nhjw->nhiw", shares, v)
        return np.einsum("nhiw,hwc->nic", mixed, w["output_dense"][0]) + w["output_dense"][1]
    return layer("MultiHeadAttention", name,
                 dict(num_heads=heads, key_dim=width, value_dim=width, dropout=0.1, use_bias=True,
                      output_shape=None, attention_axes=[1], seed=None), weights, compute, inputs)


def einsum_dense(name, units, channels, seed, inputs=None):
    weights = [numbers(channels, units, seed=seed), numbers(units, seed=seed + 1)]
    return layer("EinsumDense", name,
                 dict(equation="abc,cd->abd", output_shape=[None, units], activation="gelu",
                      bias_axes="d"), weights,
                 lambda w, x: ACTIVATIONS["gelu"](x @ w[0] + w[1]), inputs)


def attention_pool(name, channels, seed, inputs=None):
    def compute(w, x):
        windows = x.reshape(len(x), -1, 2, channels)
        return (windows * softmax(windows @ w[0], 2)).sum(2)
    return layer("AttentionPool1D", name,
                 dict(pool_size=2, per_channel=True, w_init_scale=2.0, strides=2, padding="valid",
                      data_format="channels_last"), [numbers(channels, channels, seed=seed)],
                 compute, inputs)


def relative_attention(name, functions, heads, key, value, channels, features, seed, inputs):
    """CREsted's, pair of positions by pair of positions."""
    shapes = {"_q_layer": [(channels, heads * key)], "_k_layer": [(channels, heads * key)],
              "_v_layer": [(channels, heads * value)], "_r_k_layer": [(features, heads * key)],
              "_embedding_layer": [(heads * value, heads * value), (heads * value,)]}
    weights = {"": [numbers(1, heads, 1, key, seed=seed), numbers(1, heads, 1, key, seed=seed + 1)]}
    weights |= {role: [numbers(*shape, seed=seed + 2 + 10 * i + j) for j, shape in enumerate(both)]
                for i, (role, both) in enumerate(shapes.items())}

    def positions(n):
        distances = np.arange(-n + 1, n)
        far = np.abs(distances)[:, None]
        if functions == "borzoi":
            basis = features // 2
            growth = np.exp(np.log(n + 1) / basis).astype("f4")
            widths = growth ** np.arange(1, basis + 1, dtype="f4") - 1
            found = (widths > far).astype(float)
        else:
            basis = features // 6
            half_life = 2.0 ** np.linspace(3, np.log2(n), basis)
            exponential = np.exp(-np.log(2) / half_life * far)
            central = (2.0 ** np.arange(1, basis + 1) - 1 > far).astype(float)
            mean, deviation = np.linspace(n / basis, n, basis), n / (2 * basis)
            shape, rate = (mean / deviation) ** 2, mean / deviation ** 2
            with np.errstate(divide="ignore"):
                density = np.exp((shape - 1) * np.log(far) - rate * far - (
                    np.vectorize(math.lgamma)(shape) - shape * np.log(rate))) + 1e-8
            found = np.concatenate([exponential, central, density / density.max(0)], 1)
        return np.concatenate([found, np.sign(distances)[:, None] * found], 1)

    def compute(w, x):
        n = x.shape[1]
        split = lambda y: y.reshape(len(y), n, heads, -1).transpose(0, 2, 1, 3)
        q, k, v = (split(x @ w[role][0]) for role in ("_q_layer", "_k_layer", "_v_layer"))
        q = q / np.sqrt(key)
        r = (positions(n) @ w["_r_k_layer"][0]).reshape(2 * n - 1, heads, key)
        apart = np.arange(n)[None] - np.arange(n)[:, None] + n - 1
        logits = np.einsum("nhik,nhjk->nhij", q + w[""][0], k)
        logits = logits + np.einsum("nhik,ijhk->nhij", q + w[""][1], r[apart])
        mixed = (softmax(logits, -1) @ v).transpose(0, 2, 1, 3).reshape(len(x), n, -1)
        return mixed @ w["_embedding_layer"][0] + w["_embedding_layer"][1]
    return layer("MultiheadAttention", name,
                 dict(value_size=value, key_size=key, heads=heads, scaling=True,
                      attention_dropout_rate=0.05, relative_position_symmetric=False,
                      relative_position_functions=functions, relative_position_absolute=True,
                      num_position_features=features, positional_dropout_rate=0.01,
                      zero_initialize=False, initializer="he_normal", l2_scale=0.0), weights,
                 compute, inputs)


def max_pool(name, size, inputs=None):
    return plain("MaxPooling1D", name,
                 lambda x: x[:, :x.shape[1] // size * size].reshape(
                     len(x), -1, size, x.shape[2]).max(2), inputs,
                 pool_size=[size], strides=[size], padding="valid", data_format="channels_last")


def bidirectional(name, units, channels, seed):
    """An LSTM in both directions, the last outputs side by side."""
    def cell(seed):
        return [numbers(channels, 4 * units, seed=seed), numbers(units, 4 * units, seed=seed + 1),
                numbers(4 * units, seed=seed + 2)]

    def run(w, x):
        h = c = np.zeros((len(x), units))
        sigmoid = lambda z: 1 / (1 + np.exp(-z))
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ w[0] + h @ w[1] + w[2], 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        return h
    weights = {"backward_layer/cell": cell(seed + 10), "forward_layer/cell": cell(seed)}
    inner = dict(name="lstm", units=units, activation="tanh", recurrent_activation="sigmoid",
                 use_bias=True, return_sequences=False, return_state=False, go_backwards=False,
                 stateful=False, unroll=False, dropout=0.0, recurrent_dropout=0.0, seed=None)
    return layer("Bidirectional", name,
                 dict(merge_mode="concat", layer=serialized("LSTM", inner)), weights,
                 lambda w, x: np.concatenate([run(w["forward_layer/cell"], x),
                                              run(w["backward_layer/cell"], x[:, ::-1])], 1))


# ---- configurations ---------------------------------------------------------------------------


def serialized(kind, config, name=None, nodes=None):
    own = kind in ("AttentionPool1D", "MultiheadAttention")
    made = {"module": "crested.tl.zoo.utils._attention" if own else "keras.layers",
            "class_name": kind, "config": config,
            "registered_name": f"crested>{kind}" if own else None}
    if nodes is not None:
        made |= {"name": name, "inbound_nodes": nodes}
    return made


POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"},
          "registered_name": None}


def options_of(one, policy):
    activation = one["options"].get("activation")
    options = {"name": one["name"], "trainable": True, "dtype": policy} | one["options"]
    if activation and ">" in activation:
        options["activation"] = {"module": "crested.tl.zoo.utils._layers", "class_name": "function",
                                 "config": activation, "registered_name": activation}
    return options


def tensor(name, call=0):
    return {"class_name": "__keras_tensor__",
            "config": {"shape": [None, 1, 1], "dtype": "float32", "keras_history": [name, call, 0]}}


def input_layer(name, shape, functional, policy):
    config = {"batch_shape": [None] + shape, "dtype": "float32", "sparse": False, "name": name}
    return serialized("InputLayer", config, name, [] if functional else None)


def sequential(name, layers, policy=POLICY, shape=(LENGTH, 4)):
    made = [input_layer("input_layer", list(shape), False, policy)]
    made += [serialized(one["kind"], options_of(one, policy)) for one in layers]
    return {"module": "keras", "class_name": "Sequential", "registered_name": None,
            "config": {"name": name, "trainable": True, "dtype": policy, "layers": made},
            "build_config": {"input_shape": [None] + list(shape)}}


def functional(name, layers, outputs, policy=POLICY, shape=(LENGTH, 4), first="sequence",
               wrapped=False):
    made = [input_layer(first, list(shape), True, policy)]
    # A functional model's first call is the one that made it.
    nested = {one["name"] for one in layers if one["kind"] == "Functional"}
    for one in layers:
        inputs = [tensor(source, int(source in nested)) for source in one["inputs"]]
        several = one["kind"] in ("Add", "Concatenate", "StochasticDepth")
        node = {"args": [inputs] if several else inputs, "kwargs": {}}
        if one["kind"] == "MultiHeadAttention":
            node = {"args": inputs[:1], "kwargs": {
                "value": inputs[1], "attention_mask": None, "use_causal_mask": False,
                "return_attention_scores": False, "training": None}}
        if one["inner"]:
            config = one["inner"]["config"]
            made.append({"module": "keras", "class_name": one["inner"]["class_name"],
                         "config": config, "registered_name": None, "name": one["name"],
                         "inbound_nodes": [node]})
        else:
            made.append(serialized(one["kind"], options_of(one, policy), one["name"], [node]))
    ends = [[output, 0, 0] for output in outputs]
    return {"module": "keras", "class_name": "Functional", "registered_name": None,
            "config": {"name": name, "trainable": True, "layers": made,
                       "input_layers": [[first, 0, 0]],
                       "output_layers": ends if len(ends) > 1 else ends[0]}}


# ---- files ------------------------------------------------------------------------------------


def snake_case(name):
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def write_object(file, path, weights, name, with_names):
    group = file.create_group(path) if path else file
    if with_names and name:
        group.attrs["name"] = name
    variables = group.create_group("vars")
    for i, value in enumerate(weights):
        variables[str(i)] = value


def write_layers(file, folder, layers, with_names, container="layers"):
    counts = {}
    for one in layers:
        kind = one["inner"]["class_name"] if one["inner"] else one["kind"]
        unit = snake_case(kind)
        counts[unit] = counts.get(unit, -1) + 1
        path = f"{folder}{container}/{unit}" + (f"_{counts[unit]}" if counts[unit] else "")
        inside = isinstance(one["weights"], dict)
        own = one["weights"].get("", []) if inside else one["weights"]
        write_object(file, path, own, one["name"], with_names)
        for part, values in (one["weights"].items() if inside else []):
            if not part:
                continue
            if "/" in part and part.split("/")[0] not in file[path]:
                write_object(file, f"{path}/{part.split('/')[0]}", [], None, with_names)
            write_object(file, f"{path}/{part}", values, part, with_names)
        if one["kind"] in ("Dropout", "SpatialDropout1D"):
            state = np.array([1, 2 ** 32 - 1], dtype="u4")
            write_object(file, f"{path}/seed_generator", [state], "seed_generator", with_names)
        if one["inner"]:
            write_layers(file, path + "/", one["layers"], with_names, container)


def write(name, config, layers, version, inputs=None):
    content = io.BytesIO()
    older = version.startswith("2")
    container = "_layer_checkpoint_dependencies" if older else "layers"
    with_names = not version.startswith(("2", "3.3"))
    first = [dict(kind="InputLayer", weights=[], inner=None, name="sequence")]
    with h5py.File(content, "w") as file:
        write_object(file, "", [], config["config"]["name"], with_names)
        write_layers(file, "", (first if config["class_name"] == "Functional" else []) + layers,
                     with_names, container)
        # What an optimizer keeps.
        write_object(file, "optimizer", [np.array(7), numbers(3, 2, seed=1)], "adam", with_names)
    metadata = {"keras_version": version, "date_saved": "2025-01-01@00:00:00"}
    with zipfile.ZipFile(OUT / f"{name}.keras", "w") as archive:
        for member, data in [("metadata.json", json.dumps(metadata)),
                             ("config.json", json.dumps(config)),
                             ("model.weights.h5", content.getvalue())]:
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), data)


def one_hot():
    return np.array([[[float(base == letter) for letter in "ACGT"] for base in sequence]
                     for sequence in SEQUENCES])


def run_chain(layers, x):
    for one in layers:
        x = one["compute"](one["weights"], x)
    return x


def run_graph(layers, outputs, x, first="sequence"):
    values = {first: x}
    for one in layers:
        inputs = [values[source] for source in one["inputs"]]
        if one["inner"]:
            run = run_chain if one["inner"]["class_name"] == "Sequential" else (
                lambda inner, y: run_graph(inner, [inner[-1]["name"]], y, "inner_input")[0])
            values[one["name"]] = run(one["layers"], inputs[0])
        else:
            values[one["name"]] = one["compute"](one["weights"], *inputs)
    return [values[output] for output in outputs]


CHAIN = [
    conv1d("conv1d_7", 6, 5, 4, seed=1, padding="same", activation="gelu"),
    batch_norm("batch_normalization_3", 6, seed=2), max_pool("max_pooling1d", 2),
    plain("SpatialDropout1D", "spatial_dropout1d", lambda x: x, rate=0.2, seed=None,
          noise_shape=None),
    conv1d("another", 5, 3, 6, seed=3, activation="silu", dilation=2),
    separable("separable_conv1d", 4, 3, 5, seed=4), layer_norm("layer_normalization", 4, seed=5),
    group_norm("group_normalization", 2, 4, seed=6),
    plain("UnitNormalization", "unit", lambda x: x / np.sqrt((x ** 2).sum(-1, keepdims=True)),
          axis=-1),
    einsum_dense("einsum_dense", 3, 4, seed=7), bidirectional("bidirectional", 3, 3, seed=8),
    plain("Dropout", "dropout", lambda x: x, rate=0.3, seed=None, noise_shape=None),
    dense("head", 2, 6, seed=9, activation="softplus"),
]
OLD_CHAIN = [
    conv1d("conv1d", 6, 5, 4, seed=11, padding="same"), batch_norm("batch_normalization", 6, seed=12),
    conv1d("conv1d_1", 5, 3, 6, seed=13), plain("Flatten", "flatten", lambda x: x.reshape(len(x), -1),
                                                data_format="channels_last"),
    dense("dense", 2, 18 * 5, seed=14),
]
INNER = [conv1d("stem_conv", 4, 3, 5, seed=21, padding="same", inputs=["inner_input"]),
         batch_norm("stem_norm", 4, seed=22, inputs=["stem_conv"])]
INNER_CHAIN = [dense("mlp_0", 6, 4, seed=23, activation="crested>gelu_approx"),
               dense("mlp_1", 4, 6, seed=24)]


def graph():
    inner = functional("inner", INNER, ["stem_norm"], shape=(LENGTH, 5), first="inner_input")
    chain = sequential("mlp", INNER_CHAIN, shape=(LENGTH // 2, 4))
    add = lambda name, inputs: plain("Add", name, lambda x, y: x + y, inputs)
    return [
        conv1d("first", 5, 3, 4, seed=25, padding="same", activation="crested>gelu_enf",
               inputs=["sequence"]),
        layer("Functional", "inner", {}, [], None, ["first"], inner) | {"layers": INNER},
        attention_pool("pool", 4, seed=26, inputs=["inner"]),
        attention("attention", 2, 3, 4, seed=27, inputs=["pool", "pool"]),
        relative_attention("near", "borzoi", 2, 3, 2, 4, 8, seed=40, inputs=["attention"]),
        relative_attention("far", "enformer", 2, 3, 2, 4, 12, seed=60, inputs=["near"]),
        add("residual", ["pool", "far"]),
        layer("Sequential", "mlp", {}, [], None, ["residual"], chain) | {"layers": INNER_CHAIN},
        plain("StochasticDepth", "depth", lambda x, y: x + 0.75 * y, ["residual", "mlp"], rate=0.25),
        plain("GlobalAveragePooling1D", "mean", lambda x: x.mean(1), ["depth"],
              data_format="channels_last", keepdims=False),
        conv1d("profile", 2, 1, 4, seed=28, activation="linear", inputs=["depth"]),
        dense("counts", 1, 4, seed=29, inputs=["mean"]),
    ]


def main():
    OUT.mkdir(exist_ok=True)
    x = one_hot()
    expected = {"sequences": SEQUENCES}
    for version in ["3.3.3", "3.9.2", "3.13.1"]:
        name = "chain_" + version
        write(name, sequential("chain", CHAIN), CHAIN, version)
        expected[name] = {"head": run_chain(CHAIN, x).tolist()}
    layers, outputs = graph(), ["profile", "counts"]
    for version in ["3.3.3", "3.9.2"]:
        name = "graph_" + version
        write(name, functional("graph", layers, outputs), layers, version)
        expected[name] = {output: value.tolist()
                          for output, value in zip(outputs, run_graph(layers, outputs, x))}
    write("chain_2.13.1", sequential("chain", OLD_CHAIN, "float32"), OLD_CHAIN, "2.13.1")
    expected["chain_2.13.1"] = {"dense": run_chain(OLD_CHAIN, x).tolist()}
    unknown = [plain("Mystery", "puzzle", lambda x: x)]
    write("unknown", sequential("chain", unknown), unknown, "3.9.2")
    (OUT / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
