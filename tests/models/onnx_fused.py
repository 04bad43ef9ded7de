"""More rows of onnx_operators.py: operators that onnxruntime makes of several (com.microsoft), those
that go round, and what ONNX says of ties, whole numbers and shorter sequences.

Expected values are by the published definitions (onnxruntime's docs/ContribOperators.md, onnx's
docs/Operators.md), written with torch or numpy.
"""

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper

from onnx_operators import LENGTH, ints, n, row, t, values


def ms(op, inputs, outputs="y", **attributes):
    return n(op, inputs, outputs, domain="com.microsoft", **attributes)


# ---- fused ----

W = values(3, 4, 3)
B = values(3, offset=0.1)
Z = values(1, 3, LENGTH - 2)


def conv(h):
    return F.conv1d(h, t(W), t(B))


ACTIVATIONS = {
    "Relu": (torch.relu, []), "Tanh": (torch.tanh, []), "Sigmoid": (torch.sigmoid, []),
    "LeakyRelu": (lambda x: F.leaky_relu(x, 0.2), [0.2]), "Clip": (lambda x: x.clamp(-0.1, 0.3), [-0.1, 0.3]),
    "HardSigmoid": (lambda x: (0.3 * x + 0.4).clamp(0, 1), [0.3, 0.4]), "HardSwish": (F.hardswish, []),
}
for name, (function, parameters) in ACTIVATIONS.items():
    more = {"activation_params": parameters} if parameters else {}
    row(f"FusedConv_{name}", 13, [ms("FusedConv", "h w b", activation=name, kernel_shape=[3], **more)],
        lambda h, f=function: f(conv(h)), {"w": W, "b": B})
    more = dict(zip(["activation_alpha", "activation_beta"], parameters))
    row(f"FusedGemm_{name}", 13, [n("Flatten", "h", "f"), ms("FusedGemm", "f w b", activation=name, alpha=0.5, **more)],
        lambda h, f=function: f(0.5 * h.flatten(1) @ t(values(4 * LENGTH, 2)) + t(values(2))),
        {"w": values(4 * LENGTH, 2), "b": values(2)}, "df")
row("FusedConv_sum", 13, [ms("FusedConv", "h w b z", activation="Relu", strides=[1])],
    lambda h: torch.relu(conv(h) + t(Z)), {"w": W, "b": B, "z": Z}, "df")
row("FusedConv_nothing", 13, [ms("FusedConv", "h w b")], conv, {"w": W, "b": B})
M = values(LENGTH, 3)
row("FusedMatMul", 13, [ms("FusedMatMul", "h m", alpha=0.25)], lambda h: 0.25 * h @ t(M), {"m": M}, "df")
row("FusedMatMul_turned", 13, [ms("FusedMatMul", "h m", transA=1, transB=1)],
    lambda h: h.transpose(1, 2) @ t(values(3, 4)).T, {"m": values(3, 4)})
row("FusedMatMul_own", 13, [ms("FusedMatMul", "h h", transB=1, alpha=0.5)], lambda h: 0.5 * h @ h.transpose(1, 2))
row("TransposeMatMul", 13, [ms("TransposeMatMul", "h m", transA=1)], lambda h: h.transpose(1, 2) @ t(values(4, 2)),
    {"m": values(4, 2)})


def by_erf(x):
    return 0.5 * x * (1 + torch.erf(x / 2**0.5))


def by_tanh(x):
    return 0.5 * x * (1 + torch.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


V = values(LENGTH)
row("Gelu_ort", 13, [ms("Gelu", "h")], by_erf)
row("BiasGelu", 13, [ms("BiasGelu", "h v")], lambda h: by_erf(h + t(V)), {"v": V}, "df")
row("FastGelu", 13, [ms("FastGelu", "h")], by_tanh)
row("FastGelu_bias", 13, [ms("FastGelu", "h v")], lambda h: by_tanh(h + t(V)), {"v": V}, "df")
row("QuickGelu", 13, [ms("QuickGelu", "h")], lambda h: h * torch.sigmoid(1.702 * h))
row("QuickGelu_own", 13, [ms("QuickGelu", "h", alpha=0.5)], lambda h: h * torch.sigmoid(0.5 * h))
row("BiasSoftmax", 13, [ms("BiasSoftmax", "h v", axis=2, is_inner_broadcast=0)],
    lambda h: torch.softmax(h + t(values(1, 1, LENGTH)), 2), {"v": values(1, 1, LENGTH)}, "df")


def layer_norm(x, gamma, beta, eps):
    mean = x.mean(-1, keepdim=True)
    return (x - mean) / (((x - mean) ** 2).mean(-1, keepdim=True) + eps).sqrt() * t(gamma) + (0 if beta is None else t(beta))


def rms_norm(x, gamma, eps):
    return x / ((x**2).mean(-1, keepdim=True) + eps).sqrt() * t(gamma)


G, E, S = values(LENGTH, offset=1.0), values(LENGTH, offset=0.2), values(1, 4, LENGTH, offset=0.3)
row("LayerNormalization_9", 9, [n("LayerNormalization", "h g e", epsilon=1e-3)], lambda h: layer_norm(h, G, E, 1e-3),
    {"g": G, "e": E}, "df")
row("LayerNormalization_ort", 13, [ms("LayerNormalization", "h g e", axis=-1)], lambda h: layer_norm(h, G, E, 1e-5),
    {"g": G, "e": E}, "df")
row("SkipLayerNormalization", 13, [ms("SkipLayerNormalization", "h s g e", epsilon=1e-3)],
    lambda h: layer_norm(h + t(S), G, E, 1e-3), {"g": G, "e": E, "s": S}, "df")
row("SkipLayerNormalization_bias", 13, [ms("SkipLayerNormalization", ["h", "h", "g", "", "v"], "a m i b"), n("Add", "a b")],
    lambda h: layer_norm(2 * h + t(V), G, None, 1e-12) + 2 * h + t(V), {"g": G, "v": V}, "df")
row("RMSNormalization", 23, [n("RMSNormalization", "h g", epsilon=1e-3)], lambda h: rms_norm(h, G, 1e-3), {"g": G}, "df")
row("RMSNormalization_axis", 23, [n("RMSNormalization", "h g", axis=1)],
    lambda h: h / ((h**2).mean((1, 2), keepdim=True) + 1e-5).sqrt() * t(S[0]), {"g": S[0]}, "df")
row("SimplifiedLayerNormalization", 13, [n("SimplifiedLayerNormalization", "h g", epsilon=1e-3, axis=-1)],
    lambda h: rms_norm(h, G, 1e-3), {"g": G}, "df")
row("SkipSimplifiedLayerNormalization", 13, [ms("SkipSimplifiedLayerNormalization", "h s g", "a m i b"), n("Add", "a b")],
    lambda h: rms_norm(h + t(S), G, 1e-12) + h + t(S), {"g": G, "s": S}, "df")

# ---- neighbouring channels ----


def responses(x, size, alpha, beta, bias):
    """numpy, channel by channel."""
    x = x.numpy()
    channels = x.shape[1]
    y = np.empty_like(x)
    for c in range(channels):
        low, high = max(0, c - (size - 1) // 2), min(channels - 1, c + -(-(size - 1) // 2))
        y[:, c] = x[:, c] / (bias + alpha / size * (x[:, low : high + 1] ** 2).sum(1)) ** beta
    return t(y)


for size in (1, 2, 3, 6):
    row(f"LRN_{size}", 13, [n("LRN", "h", size=size, alpha=0.7, beta=0.6, bias=1.5)],
        lambda h, s=size: responses(h, s, 0.7, 0.6, 1.5))
row("LRN_default", 1 + 12, [n("LRN", "h", size=3)], lambda h: responses(h, 3, 1e-4, 0.75, 1.0))

# ---- going round ----


def info(name, kind=TensorProto.DOUBLE, sizes=None):
    return helper.make_tensor_value_info(name, kind, sizes)


def body(nodes, inputs, outputs):
    kinds = {"i": TensorProto.INT64, "c": TensorProto.BOOL, "d": TensorProto.BOOL}
    return helper.make_graph(nodes, "body", [info(name, kinds.get(name, TensorProto.DOUBLE)) for name in inputs],
                             [info(name, kinds.get(name, TensorProto.DOUBLE)) for name in outputs])


def counted(h):
    v, rounds = h, []
    for i in range(3):
        v = torch.tanh(v) * 1.5 + i
        rounds.append(v)
    return v, torch.stack(rounds)


LOOP = [n("Identity", "c", "d"), n("Tanh", "v", "a"), n("Cast", "i", "f", to=TensorProto.DOUBLE), n("Mul", "a k2", "b"),
        n("Add", "b f", "u"), n("Identity", "u", "o")]
row("Loop", 13, [helper.make_node("Loop", ["k", "t", "h"], ["y"], body=body(LOOP[:-1], "icv", "du"))],
    lambda h: counted(h)[0], {"k": np.array(3), "t": np.array(True), "k2": np.array(1.5)})
row("Loop_scanned", 13, [helper.make_node("Loop", ["k", "", "h"], ["v1", "all"], body=body(LOOP, "icv", "duo")),
                         n("Transpose", "all", perm=[1, 2, 3, 0])],
    lambda h: counted(h)[1].permute(1, 2, 3, 0), {"k": np.array(3), "k2": np.array(1.5)})
# As while loops are written: without end, until the condition that the round itself computes.
WHILE = [n("Add", "i one", "j"), n("Less", "j k", "d"), *LOOP[1:-1]]
row("Loop_while", 13, [helper.make_node("Loop", ["most", "t", "h"], ["y"], body=body(WHILE, "icv", "du"))],
    lambda h: counted(h)[0], {"k": np.array(3), "t": np.array(True), "k2": np.array(1.5), "one": np.array(1),
                              "most": np.array(2**63 - 1)})
row("Loop_never", 13, [helper.make_node("Loop", ["k", "t", "h"], ["y"], body=body(LOOP[:-1], "icv", "du"))],
    lambda h: h, {"k": np.array(3), "t": np.array(False), "k2": np.array(1.5)})
row("Loop_length", 13, [n("Shape", "h", "s"), n("Gather", "s i1", "k", axis=0),
                        helper.make_node("Loop", ["k", "t", "h"], ["y"], body=body(LOOP[:-1], "icv", "du"))],
    lambda h: torch.tanh(counted(h)[0]) * 1.5 + 3, {"i1": np.array(1), "t": np.array(True), "k2": np.array(1.5)})


def scanned(h, backwards=False):
    """A leaky sum along the positions, with what it is at each."""
    state, states = torch.zeros(h.shape[0], 4).double(), []
    for i in reversed(range(LENGTH)) if backwards else range(LENGTH):
        state = 0.5 * state + torch.tanh(h[:, :, i])
        states.append(state)
    return state, states


SCAN = body([n("Mul", "v half", "a"), n("Tanh", "p", "b"), n("Add", "a b", "u"), n("Identity", "u", "o")], "vp", "uo")
ZERO = [n("ReduceSum", "h two", "r0", keepdims=0), n("Sub", "r0 r0", "zero")]
CONSTS = {"half": np.array(0.5), "two": ints(2)}
row("Scan", 13, ZERO + [helper.make_node("Scan", ["zero", "h"], ["y", "all"], body=SCAN, num_scan_inputs=1, scan_input_axes=[2])],
    lambda h: scanned(h)[0], CONSTS, "df")
row("Scan_outputs", 13, ZERO + [helper.make_node("Scan", ["zero", "h"], ["last", "y"], body=SCAN, num_scan_inputs=1,
                                                 scan_input_axes=[2], scan_output_axes=[-1])],
    lambda h: torch.stack(scanned(h)[1], 2), CONSTS, "df")
row("Scan_backwards", 13, ZERO + [helper.make_node("Scan", ["zero", "h"], ["last", "y"], body=SCAN, num_scan_inputs=1,
                                                   scan_input_axes=[2], scan_input_directions=[1], scan_output_axes=[2],
                                                   scan_output_directions=[1])],
    lambda h: torch.stack(scanned(h, True)[1][::-1], 2), CONSTS, "df")

# ---- ties, whole numbers, lengths ----


def first_of_ties(h, k, largest):
    """numpy's stable order."""
    x = h.numpy()
    order = np.argsort(-x if largest else x, axis=1, kind="stable")[:, :k]
    return t(np.concatenate([np.take_along_axis(x, order, 1), order.astype(float)], 1))


for largest in (0, 1):
    row(f"TopK_ties_{largest}", 13, [n("Floor", "h", "a"), n("TopK", "a k", "v i", axis=1, largest=largest),
                                     n("Cast", "i", "j", to=TensorProto.DOUBLE), n("Concat", "v j", axis=1)],
        lambda h, l=largest: first_of_ties(torch.floor(h), 3, l), {"k": ints(3)})
row("Pow_wholes", 13, [n("Pow", "b e", "p"), n("Cast", "p", "f", to=TensorProto.DOUBLE), n("Mul", "h f")],
    lambda h: h * t(np.array([1.0, 2.0, 9.0, 64.0]).reshape(4, 1)),
    {"b": ints(1, 2, 3, 4).reshape(4, 1), "e": ints(0, 1, 2, 3).reshape(4, 1)})
row("Pow_whole_base", 13, [n("Pow", "b e", "p"), n("Cast", "p", "f", to=TensorProto.DOUBLE), n("Mul", "h f")],
    lambda h: h * t(np.array([1.0, 1.0, 1.0, 2.0]).reshape(4, 1)),
    {"b": ints(1, 2, 3, 4).reshape(4, 1), "e": np.array(0.5)})
for coordinates in ("align_corners", "half_pixel", "asymmetric", "pytorch_half_pixel"):
    for scale in (1.25, 0.75, 2.5):
        row(f"Resize_{coordinates}_{scale}", 13,
            [n("Resize", ["h", "", "s"], mode="linear", coordinate_transformation_mode=coordinates)],
            lambda h, c=coordinates, s=scale: resized(h, c, s), {"s": np.array([1, 1, scale], np.float32)}, "df")


def resized(h, coordinates, scale):
    """onnx's definition of linear interpolation, position by position."""
    x = h.numpy()
    out = int(np.floor(LENGTH * scale))
    y = np.empty(x.shape[:2] + (out,))
    for i in range(out):
        at = {"align_corners": i * (LENGTH - 1) / max(out - 1, 1), "asymmetric": i / scale}.get(coordinates, (i + 0.5) / scale - 0.5)
        at = min(max(at, 0), LENGTH - 1)
        low = int(np.floor(at))
        high = min(low + 1, LENGTH - 1)
        y[:, :, i] = x[:, :, low] * (1 - (at - low)) + x[:, :, high] * (at - low)
    return t(y)


def ending(kind, direction, count=7):
    """Recurrent layers over the first positions, zeros behind."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    units = 3
    d = 2 if direction == "bidirectional" else 1
    w, r = values(d, gates * units, 4), values(d, gates * units, units, offset=0.05)

    def expected(h):
        net = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "RNN": torch.nn.RNN}[kind](
            4, units, bias=False, bidirectional=d == 2).double()
        order = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}[kind]  # torch's of onnx's
        with torch.no_grad():
            for k, suffix in enumerate(["l0", "l0_reverse"][:d]):
                for name, given in {"ih": w, "hh": r}.items():
                    parts = t(given[k]).chunk(gates, 0)
                    getattr(net, f"weight_{name}_{suffix}").copy_(torch.cat([parts[i] for i in order], 0))
            x = h.permute(2, 0, 1)[:count]
            y, last = net(x.flip(0) if direction == "reverse" else x)
        y = y.flip(0) if direction == "reverse" else y
        y = F.pad(y.permute(1, 2, 0), (0, LENGTH - count))
        last = (last[0] if kind == "LSTM" else last).permute(1, 0, 2)
        return torch.cat([y.flatten(1), last.flatten(1)], 1)

    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    nodes = [n("Transpose", "h", "s", perm=[2, 0, 1]),
             helper.make_node(kind, ["s", "w", "r", "", "lens"], ["out", "last"], direction=direction, hidden_size=units, **more),
             n("Transpose", "out", "o1", perm=[2, 1, 3, 0]), n("Flatten", "o1", "o2"),
             n("Transpose", "last", "l1", perm=[1, 0, 2]), n("Flatten", "l1", "l2"), n("Concat", "o2 l2", axis=1)]
    row(f"{kind}_{direction}_ending", 14, nodes, expected, {"w": w, "r": r, "lens": np.array([count], np.int32)}, "df")


for kind in ("LSTM", "GRU", "RNN"):
    for direction in ("forward", "reverse", "bidirectional"):
        ending(kind, direction)
