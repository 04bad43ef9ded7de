"""Single operators of ONNX and what they compute, for make_onnx.py.

Every row is a graph over h = x * scale + shift, x being one-hot sequences [n, 4, 12] in float64: its
nodes, the opset, and what torch or numpy says of them, `expected(h)`. It is written with a dynamic
batch dimension (d), with a fixed one of 1 (f), and with a dynamic length too (l), as `forms` says. The
second output of each is the mean of the first, for attributions.
"""

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

LENGTH = 12
SCALE = ((np.arange(4 * LENGTH) * 5) % 13 / 8 - 0.7).reshape(1, 4, LENGTH)
SHIFT = ((np.arange(4 * LENGTH) * 7) % 11 / 10 - 0.45).reshape(1, 4, LENGTH)

rows = []


def values(*sizes, offset=0.0):
    count = int(np.prod(sizes))
    return (((np.arange(count) * 7) % 11 - 5) / 16 + 0.03 + offset).reshape(sizes)


def ints(*numbers):
    return np.array(numbers, dtype=np.int64)


def t(array):
    return torch.from_numpy(np.asarray(array))


def row(name, opset, nodes, expected, consts=None, forms="dfl", functions=()):
    rows.append(dict(name=name, opset=opset, nodes=nodes, expected=expected, consts=consts or {},
                     forms=forms))


def n(op, inputs, outputs="y", **attributes):
    return helper.make_node(op, inputs.split() if isinstance(inputs, str) else inputs, outputs.split(),
                            **attributes)


# ---- elementwise ----

def both(h):
    return h


for name, function in {
    "Relu": torch.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Abs": torch.abs, "Neg": torch.neg,
    "Exp": torch.exp, "Erf": torch.erf, "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round,
    "Sign": torch.sign, "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Atan": torch.atan,
    "Sinh": torch.sinh, "Cosh": torch.cosh, "Asinh": torch.asinh, "Identity": lambda h: h,
    "Softplus": lambda h: torch.log1p(torch.exp(h)), "Softsign": F.softsign, "Elu": F.elu, "Selu": F.selu,
    "Celu": F.celu, "LeakyRelu": F.leaky_relu,
}.items():
    row(name, 13, [n(name, "h")], function)
row("HardSwish", 14, [n("HardSwish", "h")], F.hardswish)
row("Mish", 18, [n("Mish", "h")], F.mish)
row("Gelu", 20, [n("Gelu", "h")], F.gelu)
row("Gelu_tanh", 20, [n("Gelu", "h", approximate="tanh")],
    lambda h: 0.5 * h * (1 + torch.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h**3))))
for name, function in {"Log": torch.log, "Sqrt": torch.sqrt, "Reciprocal": torch.reciprocal,
                       "Acosh": torch.acosh}.items():
    row(name, 13, [n("Abs", "h", "a"), n("Add", "a one", "b"), n(name, "b")],
        lambda h, f=function: f(h.abs() + 1.25), {"one": np.array(1.25)})
for name, function in {"Asin": torch.asin, "Acos": torch.acos, "Atanh": torch.atanh}.items():
    row(name, 13, [n("Tanh", "h", "a"), n(name, "a")], lambda h, f=function: f(torch.tanh(h)))
row("Elu_alpha", 13, [n("Elu", "h", alpha=0.3)], lambda h: F.elu(h, 0.3))
row("Selu_other", 13, [n("Selu", "h", alpha=1.5, gamma=1.1)], lambda h: 1.1 * F.elu(h, 1.5))
row("Celu_alpha", 13, [n("Celu", "h", alpha=0.4)], lambda h: F.celu(h, 0.4))
row("LeakyRelu_alpha", 9, [n("LeakyRelu", "h", alpha=0.2)], lambda h: F.leaky_relu(h, 0.2))
row("PRelu_channels", 9, [n("PRelu", "h s")], lambda h: F.prelu(h, t(values(4))), {"s": values(4, 1)})
row("PRelu_one", 9, [n("PRelu", "h s")], lambda h: F.prelu(h, t(values(1))), {"s": values(1)})
row("PRelu_positions", 16, [n("PRelu", "h s")],
    lambda h: torch.where(h < 0, h * t(values(LENGTH)), h), {"s": values(LENGTH)})
row("HardSigmoid", 9, [n("HardSigmoid", "h")], lambda h: (0.2 * h + 0.5).clamp(0, 1))
row("HardSigmoid_own", 9, [n("HardSigmoid", "h", alpha=0.9, beta=0.3)], lambda h: (0.9 * h + 0.3).clamp(0, 1))
row("ThresholdedRelu", 10, [n("ThresholdedRelu", "h", alpha=0.25)], lambda h: torch.where(h > 0.25, h, h * 0))
row("Shrink_hard", 9, [n("Shrink", "h", lambd=0.3)], lambda h: F.hardshrink(h, 0.3))
row("Shrink_soft", 9, [n("Shrink", "h", lambd=0.3, bias=0.3)], lambda h: F.softshrink(h, 0.3))
row("Clip_6", 6 + 3, [n("Clip", "h", min=-0.2, max=0.4)], lambda h: h.clamp(-0.2, 0.4))
row("Clip_11", 11, [n("Clip", "h low high")], lambda h: h.clamp(-0.2, 0.4),
    {"low": np.array(-0.2), "high": np.array(0.4)})
row("Clip_low", 13, [n("Clip", "h low")], lambda h: h.clamp(min=-0.2), {"low": np.array(-0.2)})
row("Clip_high", 13, [n("Clip", ["h", "", "high"])], lambda h: h.clamp(max=0.2), {"high": np.array(0.2)})
row("Not", 13, [n("Greater", "h z", "a"), n("Not", "a", "b"), n("Cast", "b", to=TensorProto.DOUBLE)],
    lambda h: (h <= 0).double(), {"z": np.array(0.0)})
row("IsNaN", 13, [n("IsNaN", "h", "a"), n("Where", "a z h")], lambda h: h, {"z": np.array(0.0)})
row("Dropout_7", 9, [n("Dropout", "h", "y m", ratio=0.5)], lambda h: h)
row("Dropout_13", 13, [n("Dropout", "h r t")], lambda h: h,
    {"r": np.array(0.5, dtype=np.float32), "t": np.array(False)})
row("Cast", 13, [n("Cast", "h", "a", to=TensorProto.FLOAT), n("Cast", "a", to=TensorProto.DOUBLE)],
    lambda h: h.float().double())
row("CastLike", 15, [n("Cast", "h", "a", to=TensorProto.FLOAT), n("CastLike", "a h")],
    lambda h: h.float().double())

# ---- softmax: before version 13 all dimensions from the axis on are one ----

for version in (9, 11):
    row(f"Softmax_{version}", version, [n("Softmax", "h")],
        lambda h: torch.softmax(h.flatten(1), 1).view_as(h))
    row(f"LogSoftmax_{version}_last", version, [n("LogSoftmax", "h", axis=2)], lambda h: torch.log_softmax(h, 2))
row("Softmax_13", 13, [n("Softmax", "h")], lambda h: torch.softmax(h, -1))
row("Softmax_13_axis", 13, [n("Softmax", "h", axis=1)], lambda h: torch.softmax(h, 1))
row("LogSoftmax_13", 13, [n("LogSoftmax", "h", axis=-1)], lambda h: torch.log_softmax(h, -1))

# ---- arithmetic ----

V = values(1, 4, LENGTH, offset=0.6)
for name, function in {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div,
                       "Max": torch.maximum, "Min": torch.minimum}.items():
    row(name, 13, [n(name, "h v")], lambda h, f=function: f(h, t(V)), {"v": V})
    row(name + "_broadcast", 9, [n(name, "h v")], lambda h, f=function: f(h, t(V[0, :, :1])), {"v": V[0, :, :1]})
row("Div_own", 13, [n("Exp", "h", "a"), n("Tanh", "h", "b"), n("Div", "b a")], lambda h: torch.tanh(h) / torch.exp(h))
row("Mul_own", 13, [n("Mul", "h h")], lambda h: h * h)
row("Sum", 13, [n("Sum", "h v h")], lambda h: 2 * h + t(V), {"v": V})
row("Mean", 13, [n("Mean", "h v h")], lambda h: (2 * h + t(V)) / 3, {"v": V})
row("Max_three", 13, [n("Neg", "h", "a"), n("Max", "h a v")],
    lambda h: torch.maximum(h.abs(), t(V)), {"v": V})
for power in (2.0, 0.5, 3.0, 1.5):
    row(f"Pow_{power}", 13, [n("Abs", "h", "a"), n("Add", "a o", "b"), n("Pow", "b p")],
        lambda h, p=power: (h.abs() + 0.1) ** p, {"o": np.array(0.1), "p": np.array(power)})
row("Pow_integer", 13, [n("Pow", "h p")], lambda h: h**2, {"p": np.array(2, dtype=np.int64)})
row("Pow_tensor", 13, [n("Exp", "h", "a"), n("Pow", "a v")], lambda h: torch.exp(h) ** t(V), {"v": V})
row("Mod_fmod", 13, [n("Mod", "h v", fmod=1)], lambda h: torch.fmod(h, t(V)), {"v": V})
for name, function in {"Equal": torch.eq, "Greater": torch.gt, "Less": torch.lt}.items():
    row(name, 13, [n(name, "h v", "a"), n("Cast", "a", to=TensorProto.DOUBLE)],
        lambda h, f=function: f(h, t(V - 0.6)).double(), {"v": V - 0.6})
for name, function in {"GreaterOrEqual": torch.ge, "LessOrEqual": torch.le}.items():
    row(name, 16, [n(name, "h v", "a"), n("Cast", "a", to=TensorProto.DOUBLE)],
        lambda h, f=function: f(h, t(V - 0.6)).double(), {"v": V - 0.6})
for name, function in {"And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor}.items():
    row(name, 13, [n("Greater", "h z", "a"), n("Less", "h v", "b"), n(name, "a b", "c"),
                   n("Cast", "c", to=TensorProto.DOUBLE)],
        lambda h, f=function: f(h > 0, h < t(V)).double(), {"z": np.array(0.0), "v": V})
row("Where", 13, [n("Greater", "h z", "a"), n("Where", "a h v")],
    lambda h: torch.where(h > 0, h, t(V).expand_as(h)), {"z": np.array(0.0), "v": V})
row("Where_constant", 13, [n("Where", "c h v")],
    lambda h: torch.where(t(V > 0.6), h, t(V).expand_as(h)), {"c": V > 0.6, "v": V})

# ---- products ----

W = values(LENGTH, 5)
row("MatMul", 13, [n("MatMul", "h w")], lambda h: h @ t(W), {"w": W})
row("MatMul_own", 13, [n("Transpose", "h", "a", perm=[0, 2, 1]), n("MatMul", "h a")], lambda h: h @ h.transpose(1, 2))
row("MatMul_left", 13, [n("MatMul", "w h")], lambda h: t(values(3, 4)) @ h, {"w": values(3, 4)})
row("MatMul_vector", 13, [n("MatMul", "h w")], lambda h: h @ t(values(LENGTH)), {"w": values(LENGTH)})
FLAT = [n("Flatten", "h", "a")]
G = values(4 * LENGTH, 3)
row("Gemm", 13, FLAT + [n("Gemm", "a g b")], lambda h: h.flatten(1) @ t(G) + t(values(3)), {"g": G, "b": values(3)}, "df")
row("Gemm_transposed", 9, FLAT + [n("Gemm", "a g b", transB=1)],
    lambda h: h.flatten(1) @ t(G) + t(values(3)), {"g": G.T.copy(), "b": values(1, 3)}, "df")
row("Gemm_scaled", 13, FLAT + [n("Gemm", "a g b", alpha=0.5, beta=2.0)],
    lambda h: 0.5 * h.flatten(1) @ t(G) + 2 * t(values(3)), {"g": G, "b": values(3)}, "df")
row("Gemm_bare", 13, FLAT + [n("Gemm", "a g")], lambda h: h.flatten(1) @ t(G), {"g": G}, "df")
row("Einsum", 13, [n("Einsum", "h w", equation="ncl, lk -> nkc")],
    lambda h: torch.einsum("ncl,lk->nkc", h, t(W)), {"w": W})
row("Einsum_implicit", 13, [n("Einsum", "h w", equation="ncl,lk")],
    lambda h: torch.einsum("ncl,lk->ckn", h, t(W)).permute(2, 0, 1), {"w": W}, "")
row("Einsum_own", 13, [n("Einsum", "h h", equation="ncl,ndl->ncd")], lambda h: torch.einsum("ncl,ndl->ncd", h, h))
row("CumSum", 13, [n("CumSum", "h a")], lambda h: h.cumsum(2), {"a": np.array(2)})
row("CumSum_exclusive", 11, [n("CumSum", "h a", exclusive=1)], lambda h: h.cumsum(2) - h, {"a": np.array(-1)})
row("CumSum_reverse", 14, [n("CumSum", "h a", reverse=1)], lambda h: h.flip(1).cumsum(1).flip(1), {"a": np.array(1)})
row("CumSum_both", 14, [n("CumSum", "h a", reverse=1, exclusive=1)],
    lambda h: h.flip(2).cumsum(2).flip(2) - h, {"a": np.array(2)})
row("Trilu", 14, [n("Trilu", "h")], lambda h: torch.triu(h))
row("Trilu_lower", 14, [n("Trilu", "h k", upper=0)], lambda h: torch.tril(h, 2), {"k": np.array(2)})

# ---- normalisation ----

C = [values(4), values(4, offset=0.2), values(4) * 0.5, np.abs(values(4)) + 0.4]
row("BatchNormalization", 9, [n("BatchNormalization", "h s b m v", epsilon=0.01)],
    lambda h: F.batch_norm(h, t(C[2]), t(C[3]), t(C[0]), t(C[1]), False, 0.1, 0.01),
    dict(zip("sbmv", C)))
row("BatchNormalization_15", 15, [n("BatchNormalization", "h s b m v")],
    lambda h: F.batch_norm(h, t(C[2]), t(C[3]), t(C[0]), t(C[1])), dict(zip("sbmv", C)))
row("InstanceNormalization", 9, [n("InstanceNormalization", "h s b", epsilon=0.001)],
    lambda h: F.instance_norm(h, None, None, t(C[0]), t(C[1]), True, 0.1, 0.001), dict(zip("sb", C)))
L2 = [values(LENGTH), values(LENGTH, offset=0.1)]
row("LayerNormalization", 17, [n("LayerNormalization", "h s b", epsilon=0.001)],
    lambda h: F.layer_norm(h, (LENGTH,), t(L2[0]), t(L2[1]), 0.001), dict(zip("sb", L2)))
row("LayerNormalization_axis", 17, [n("LayerNormalization", "h s", axis=1)],
    lambda h: F.layer_norm(h, (4, LENGTH)) * t(L2[0]), {"s": L2[0]})
row("GroupNormalization_18", 18, [n("GroupNormalization", "h s b", num_groups=2)],
    lambda h: F.group_norm(h, 2, t(np.repeat(C[0][:2], 2)), t(np.repeat(C[1][:2], 2))),
    {"s": C[0][:2], "b": C[1][:2]})
row("GroupNormalization_21", 21, [n("GroupNormalization", "h s b", num_groups=2, epsilon=0.01)],
    lambda h: F.group_norm(h, 2, t(C[0]), t(C[1]), 0.01), dict(zip("sb", C)))
row("LpNormalization", 13, [n("LpNormalization", "h", axis=2)], lambda h: F.normalize(h, dim=2))
row("LpNormalization_1", 13, [n("LpNormalization", "h", axis=1, p=1)], lambda h: F.normalize(h, 1, dim=1))
row("MeanVarianceNormalization", 13, [n("MeanVarianceNormalization", "h", axes=[1, 2])],
    lambda h: (h - h.mean((1, 2), True)) / (((h - h.mean((1, 2), True)) ** 2).mean((1, 2), True).sqrt() + 1e-9))

# ---- convolutions ----

K = values(6, 4, 5)


def conv(name, opset=11, groups=1, kernel=None, before=(0, 0), bias=True, forms="dfl", **attributes):
    kernel = K if kernel is None else kernel
    b = values(kernel.shape[0])
    row(name, opset, [n("Conv", "h w b" if bias else "h w", group=groups, **attributes)],
        lambda h: F.conv1d(F.pad(h, before), t(kernel), t(b) if bias else None,
                           attributes.get("strides", [1])[0], 0, attributes.get("dilations", [1])[0], groups),
        {"w": kernel, "b": b} if bias else {"w": kernel}, forms)


conv("Conv")
conv("Conv_bare", bias=False)
conv("Conv_pads", before=(2, 2), pads=[2, 2])
conv("Conv_uneven", before=(3, 1), pads=[3, 1])
conv("Conv_strides", strides=[2], before=(1, 1), pads=[1, 1])
conv("Conv_dilations", dilations=[2], kernel_shape=[5])
conv("Conv_groups", groups=2, kernel=values(6, 2, 3))
conv("Conv_same_upper", auto_pad="SAME_UPPER", kernel=values(6, 4, 4), before=(1, 2))
conv("Conv_same_lower", auto_pad="SAME_LOWER", kernel=values(6, 4, 4), before=(2, 1))
conv("Conv_same_strides", auto_pad="SAME_UPPER", kernel=values(6, 4, 4), before=(0, 1), strides=[3])
conv("Conv_same_strides_lower", auto_pad="SAME_LOWER", kernel=values(6, 4, 4), before=(1, 0), strides=[3])
conv("Conv_valid", auto_pad="VALID")
K2 = values(3, 1, 2, 3)
row("Conv_2d", 11, [n("Unsqueeze", "h", "a", axes=[1]), n("Conv", "a w", pads=[1, 0, 0, 2], strides=[1, 2])],
    lambda h: F.conv2d(F.pad(h.unsqueeze(1), (0, 2, 1, 0)), t(K2), None, (1, 2)), {"w": K2})
TK = values(4, 3, 4)


def transposed(name, opset=11, kernel=None, forms="dfl", crop=None, groups=1, torch_args=None, **attributes):
    kernel = TK if kernel is None else kernel
    args = torch_args or {}

    def expected(h):
        y = F.conv_transpose1d(h, t(kernel), t(values(kernel.shape[1] * groups)), groups=groups, **args)
        return y if crop is None else y[:, :, crop[0] : y.shape[2] - crop[1]]

    row(name, opset, [n("ConvTranspose", "h w b", group=groups, **attributes)], expected,
        {"w": kernel, "b": values(kernel.shape[1] * groups)}, forms)


transposed("ConvTranspose")
transposed("ConvTranspose_strides", strides=[2], pads=[1, 1], torch_args=dict(stride=2, padding=1))
transposed("ConvTranspose_output_padding", strides=[3], output_padding=[1], torch_args=dict(stride=3, output_padding=1))
transposed("ConvTranspose_uneven", strides=[2], pads=[2, 0], torch_args=dict(stride=2), crop=(2, 0))
transposed("ConvTranspose_dilations", dilations=[2], torch_args=dict(dilation=2))
transposed("ConvTranspose_groups", kernel=values(4, 2, 3), groups=2)
transposed("ConvTranspose_same", strides=[2], auto_pad="SAME_UPPER", torch_args=dict(stride=2), crop=(1, 1))
transposed("ConvTranspose_same_odd", kernel=values(4, 3, 5), strides=[2], auto_pad="SAME_UPPER",
           torch_args=dict(stride=2), crop=(1, 2))
transposed("ConvTranspose_shape", strides=[2], output_shape=[25], torch_args=dict(stride=2), crop=(1, 0), forms="df")

# ---- pooling ----

LOW = -3e38
row("MaxPool", 12, [n("MaxPool", "h", kernel_shape=[3], strides=[3])], lambda h: F.max_pool1d(h, 3))
row("MaxPool_overlap", 9, [n("MaxPool", "h", kernel_shape=[3])], lambda h: F.max_pool1d(h, 3, 1))
row("MaxPool_pads", 12, [n("MaxPool", "h", kernel_shape=[4], strides=[2], pads=[1, 1])], lambda h: F.max_pool1d(h, 4, 2, 1))
row("MaxPool_uneven", 12, [n("MaxPool", "h", kernel_shape=[3], strides=[2], pads=[0, 2])],
    lambda h: F.max_pool1d(F.pad(h, (0, 2), value=LOW), 3, 2))
row("MaxPool_dilations", 12, [n("MaxPool", "h", kernel_shape=[3], dilations=[2])], lambda h: F.max_pool1d(h, 3, 1, 0, 2))
row("MaxPool_ceil", 12, [n("MaxPool", "h", kernel_shape=[3], strides=[4], ceil_mode=1)],
    lambda h: F.max_pool1d(h, 3, 4, ceil_mode=True))
row("MaxPool_ceil_5", 12, [n("MaxPool", "h", kernel_shape=[5], strides=[5], ceil_mode=1)],
    lambda h: F.max_pool1d(h, 5, 5, ceil_mode=True))
row("MaxPool_same", 12, [n("MaxPool", "h", kernel_shape=[4], strides=[3], auto_pad="SAME_UPPER")],
    lambda h: F.max_pool1d(F.pad(h, (0, 1), value=LOW), 4, 3))
row("MaxPool_same_lower", 12, [n("MaxPool", "h", kernel_shape=[2], auto_pad="SAME_LOWER")],
    lambda h: F.max_pool1d(F.pad(h, (1, 0), value=LOW), 2, 1))
row("MaxPool_2d", 12, [n("Unsqueeze", "h", "a", axes=[1]), n("MaxPool", "a", kernel_shape=[2, 3], strides=[2, 3])],
    lambda h: F.max_pool2d(h.unsqueeze(1), (2, 3)))
row("AveragePool", 11, [n("AveragePool", "h", kernel_shape=[3], strides=[2])], lambda h: F.avg_pool1d(h, 3, 2))
row("AveragePool_pads", 11, [n("AveragePool", "h", kernel_shape=[3], pads=[1, 1])],
    lambda h: F.avg_pool1d(h, 3, 1, 1, count_include_pad=False))
row("AveragePool_include", 11, [n("AveragePool", "h", kernel_shape=[3], pads=[1, 1], count_include_pad=1)],
    lambda h: F.avg_pool1d(h, 3, 1, 1))
row("AveragePool_uneven", 11, [n("AveragePool", "h", kernel_shape=[3], strides=[2], pads=[0, 1], count_include_pad=1)],
    lambda h: F.avg_pool1d(F.pad(h, (0, 1)), 3, 2))
row("AveragePool_same", 11, [n("AveragePool", "h", kernel_shape=[4], auto_pad="SAME_UPPER")],
    lambda h: F.avg_pool1d(F.pad(h, (1, 2)), 4, 1) / F.avg_pool1d(F.pad(torch.ones_like(h), (1, 2)), 4, 1))
row("AveragePool_ceil", 11, [n("AveragePool", "h", kernel_shape=[5], strides=[5], ceil_mode=1)],
    lambda h: F.avg_pool1d(h, 5, 5, ceil_mode=True))
row("LpPool", 11, [n("LpPool", "h", kernel_shape=[3], p=2)], lambda h: (F.avg_pool1d(h**2, 3, 1) * 3).sqrt())
row("GlobalAveragePool", 9, [n("GlobalAveragePool", "h")], lambda h: h.mean(2, True))
row("GlobalMaxPool", 9, [n("GlobalMaxPool", "h")], lambda h: h.amax(2, True))
row("GlobalLpPool", 9, [n("GlobalLpPool", "h", p=2)], lambda h: (h**2).sum(2, True).sqrt())

# ---- resize ----

ONES = np.array([1, 1], dtype=np.float32)


def scales(factor):
    return np.array([1, 1, factor], dtype=np.float32)


def interpolated(mode, **more):
    return lambda h: F.interpolate(h, mode=mode, **more)


row("Upsample_9", 9, [n("Upsample", "h s", mode="nearest")], interpolated("nearest", scale_factor=2.0), {"s": scales(2)})
row("Resize_10", 10, [n("Resize", "h s", mode="nearest")], interpolated("nearest", scale_factor=3.0), {"s": scales(3)})
row("Resize_nearest", 11, [n("Resize", ["h", "", "s"], mode="nearest", coordinate_transformation_mode="asymmetric",
                             nearest_mode="floor")],
    interpolated("nearest", scale_factor=2.0), {"s": scales(2)})
row("Resize_default", 13, [n("Resize", ["h", "", "s"])], interpolated("nearest", scale_factor=2.0), {"s": scales(2)})
row("Resize_half", 13, [n("Resize", ["h", "", "s"], coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
    lambda h: h[:, :, ::2], {"s": scales(0.5)}, "df")
row("Resize_sizes", 13, [n("Resize", ["h", "", "", "s"], coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
    lambda h: h[:, :, [i * LENGTH // 18 for i in range(18)]], {"s": ints(1, 4, 18)}, "f")
row("Resize_axes", 18, [n("Resize", ["h", "", "", "s"], coordinate_transformation_mode="asymmetric", nearest_mode="floor", axes=[2])],
    lambda h: h[:, :, [i * LENGTH // 18 for i in range(18)]], {"s": ints(18)}, "df")
row("Resize_linear", 13, [n("Resize", ["h", "", "s"], mode="linear")],
    interpolated("linear", scale_factor=2.0), {"s": scales(2)})
row("Resize_linear_corners", 11, [n("Resize", ["h", "", "s"], mode="linear", coordinate_transformation_mode="align_corners")],
    interpolated("linear", scale_factor=2.0, align_corners=True), {"s": scales(2)})
row("Resize_linear_sizes", 18, [n("Resize", ["h", "", "", "s"], mode="linear", axes=[-1])],
    interpolated("linear", size=17), {"s": ints(17)}, "df")

# ---- reductions ----

for name, function in {
    "ReduceSum": lambda h, d, k: h.sum(d, k), "ReduceMean": lambda h, d, k: h.mean(d, k),
    "ReduceMax": lambda h, d, k: h.amax(d, k), "ReduceMin": lambda h, d, k: h.amin(d, k),
    "ReduceL1": lambda h, d, k: h.abs().sum(d, k), "ReduceL2": lambda h, d, k: (h**2).sum(d, k).sqrt(),
    "ReduceSumSquare": lambda h, d, k: (h**2).sum(d, k), "ReduceLogSumExp": lambda h, d, k: h.logsumexp(d, k),
}.items():
    row(name + "_attribute", 11, [n(name, "h", axes=[1, -1], keepdims=0)], lambda h, f=function: f(h, (1, 2), False))
    row(name + "_input", 18, [n(name, "h a")], lambda h, f=function: f(h, (2,), True), {"a": ints(2)})
row("ReduceProd", 11, [n("ReduceProd", "h", axes=[1, 2], keepdims=0)], lambda h: h.prod(2).prod(1))
row("ReduceLogSum", 13, [n("Exp", "h", "a"), n("ReduceLogSum", "a", axes=[2])], lambda h: h.exp().sum(2, True).log())
row("ReduceSum_nothing", 13, [n("ReduceSum", "h", noop_with_empty_axes=1)], lambda h: h)
row("ArgMax", 13, [n("ArgMax", "h", "a", axis=1), n("Cast", "a", to=TensorProto.DOUBLE)],
    lambda h: h.argmax(1, True).double())
row("ArgMin", 13, [n("ArgMin", "h", "a", axis=2, keepdims=0), n("Cast", "a", to=TensorProto.DOUBLE)],
    lambda h: h.argmin(2).double())

# ---- shapes ----

row("Reshape", 13, [n("Reshape", "h s")], lambda h: h.reshape(-1, 2, 2, LENGTH), {"s": ints(0, 2, -1, LENGTH)})
row("Reshape_keeps", 13, [n("Reshape", "h s")], lambda h: h, {"s": ints(0, 0, 0)})
row("Reshape_batch", 13, [n("Reshape", "h s")], lambda h: h.reshape(-1, 48), {"s": ints(-1, 48)}, "df")
row("Flatten", 13, [n("Flatten", "h")], lambda h: h.flatten(1))
row("Flatten_axis", 13, [n("Flatten", "h", "a", axis=2), n("Reshape", "a s")], lambda h: h, {"s": ints(-1, 4, LENGTH)}, "df")
row("Squeeze", 11, [n("ReduceMean", "h", "a", axes=[1]), n("Squeeze", "a", axes=[1])], lambda h: h.mean(1))
row("Squeeze_13", 13, [n("ReduceMean", "h", "a", axes=[1]), n("Squeeze", "a k")], lambda h: h.mean(1), {"k": ints(1)})
row("Squeeze_all", 13, [n("ReduceMean", "h", "a", axes=[1]), n("Squeeze", "a")], lambda h: h.mean(1), forms="df")
row("Unsqueeze", 11, [n("Unsqueeze", "h", axes=[1, 4])], lambda h: h[:, None, :, :, None])
row("Unsqueeze_13", 13, [n("Unsqueeze", "h a")], lambda h: h.unsqueeze(-1), {"a": ints(-1)})
row("Transpose", 13, [n("Transpose", "h", perm=[0, 2, 1])], lambda h: h.transpose(1, 2))
row("Transpose_back", 13, [n("Transpose", "h", "a"), n("Transpose", "a")], lambda h: h)
row("Expand", 13, [n("ReduceMean", "h", "a", axes=[1]), n("Expand", "a s")],
    lambda h: h.mean(1, True).expand(-1, 3, -1), {"s": ints(1, 3, 1)})
row("Expand_shape", 13, [n("Shape", "h", "s"), n("ReduceMean", "h", "a", axes=[2]), n("Expand", "a s")],
    lambda h: h.mean(2, True).expand_as(h))
row("Tile", 13, [n("Tile", "h r")], lambda h: h.repeat(1, 2, 3), {"r": ints(1, 2, 3)})
row("Shape_arithmetic", 13,
    [n("Shape", "h", "s"), n("Gather", "s i0", "b", axis=0), n("Gather", "s i2", "l", axis=0), n("Div", "l two", "m"),
     n("Unsqueeze", "b z", "b1"), n("Unsqueeze", "m z", "m1"), n("Concat", "b1 m1 minus", "r", axis=0), n("Reshape", "h r")],
    lambda h: h.reshape(-1, LENGTH // 2, 8),
    {"i0": np.array(0), "i2": np.array(2), "two": np.array(2), "z": ints(0), "minus": ints(-1)})
row("Shape_slice", 15, [n("Shape", "h", "s", start=0, end=1), n("Concat", "s minus", "r", axis=0), n("Reshape", "h r")],
    lambda h: h.flatten(1), {"minus": ints(-1)}, "df")
row("Shape_product", 13, [n("Shape", "h", "s"), n("Slice", "s one big", "p"), n("ReduceProd", "p", "q", keepdims=1),
                          n("Slice", "s zero one", "b"), n("Concat", "b q", "r", axis=0), n("Reshape", "h r")],
    lambda h: h.flatten(1), {"zero": ints(0), "one": ints(1), "big": ints(2**31 - 1)})
row("ConstantOfShape", 13, [n("Shape", "h", "s"),
                            n("ConstantOfShape", "s", "c", value=helper.make_tensor("v", TensorProto.DOUBLE, [1], [0.5])),
                            n("Mul", "h c")], lambda h: h * 0.5)
row("Range", 13, [n("Shape", "h", "s"), n("Gather", "s i2", "l", axis=0), n("Range", "zero l one", "r"),
                  n("Cast", "r", "p", to=TensorProto.DOUBLE), n("Mul", "h p")],
    lambda h: h * torch.arange(LENGTH), {"i2": np.array(2), "zero": np.array(0), "one": np.array(1)})
row("Range_float", 13, [n("Range", "a b c", "p"), n("Mul", "h p")], lambda h: h * torch.arange(0, 6, 0.5).double(),
    {"a": np.array(0.0), "b": np.array(6.0), "c": np.array(0.5)})
row("Size", 13, [n("Size", "v", "s"), n("Cast", "s", "d", to=TensorProto.DOUBLE), n("Mul", "h d")],
    lambda h: h * 48, {"v": V})
row("Constant_kinds", 13, [n("Constant", "", "a", value_float=0.25), n("Cast", "a", "b", to=TensorProto.DOUBLE),
                           n("Constant", "", "i", value_ints=[0, 2]), n("Gather", "h i", "g", axis=1), n("Mul", "g b")],
    lambda h: h[:, [0, 2]] * 0.25)
row("Where_shape", 13, [n("Shape", "h", "s"), n("Equal", "t minus", "e"), n("Where", "e s t", "r"),
                        n("ReduceMean", "h", "a", axes=[2]), n("Expand", "a r")],
    lambda h: h.mean(2, True).expand(-1, 4, LENGTH), {"t": ints(-1, -1, LENGTH), "minus": ints(-1)})
row("Float_sizes", 13, [n("Shape", "h", "s"), n("Gather", "s i2", "l", axis=0), n("Cast", "l", "f", to=TensorProto.FLOAT),
                        n("Mul", "f half", "g"), n("Floor", "g", "k"), n("Cast", "k", "m", to=TensorProto.INT64),
                        n("Unsqueeze", "m z", "m1"), n("Slice", "h z m1 two")],
    lambda h: h[:, :, : LENGTH // 2],
    {"i2": np.array(2), "half": np.array(0.5, dtype=np.float32), "z": ints(0), "two": ints(2)})

# ---- pieces ----

row("Concat", 13, [n("Concat", "h v h", axis=1)], lambda h: torch.cat([h, t(V).expand_as(h), h], 1), {"v": V}, "")
row("Concat_own", 13, [n("Relu", "h", "a"), n("Concat", "h a", axis=-2)], lambda h: torch.cat([h, h.relu()], 1))
row("Split", 11, [n("Split", "h", "a b", axis=1, split=[1, 3]), n("Mul", "a b")], lambda h: h[:, :1] * h[:, 1:])
row("Split_13", 13, [n("Split", "h s", "a b", axis=1), n("Mul", "a b")], lambda h: h[:, :1] * h[:, 1:], {"s": ints(1, 3)})
row("Split_even", 13, [n("Split", "h", "a b", axis=1), n("Mul", "a b")], lambda h: h[:, :2] * h[:, 2:])
row("Split_18", 18, [n("Split", "h", "a b c", axis=2, num_outputs=3), n("Mul", "a b", "d"), n("Mul", "d c")],
    lambda h: h[:, :, :4] * h[:, :, 4:8] * h[:, :, 8:], forms="df")
row("Slice_9", 9, [n("Slice", "h", starts=[1, -5], ends=[3, -1], axes=[1, 2])], lambda h: h[:, 1:3, -5:-1])
row("Slice_10", 10, [n("Slice", "h a b c d")], lambda h: h[:, :, 1:9:3],
    {"a": ints(1), "b": ints(9), "c": ints(2), "d": ints(3)})
row("Slice_flip", 13, [n("Slice", "h a b c d")], lambda h: h.flip(1, 2),
    {"a": ints(-1, -1), "b": ints(-(2**63) + 1, -(2**63) + 1), "c": ints(1, 2), "d": ints(-1, -1)})
row("Slice_backwards", 13, [n("Slice", "h a b c d")], lambda h: h[:, :, [9, 7, 5]],
    {"a": ints(9), "b": ints(3), "c": ints(2), "d": ints(-2)}, "df")
row("Slice_clamped", 13, [n("Slice", "h a b c")], lambda h: h[:, :, 4:], {"a": ints(4), "b": ints(2**63 - 1), "c": ints(-1)})
for mode, form in {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.items():
    row(f"Pad_{mode}", 11, [n("Pad", "h p", mode=mode)], lambda h, m=form: F.pad(h, (3, 1), mode=m),
        {"p": ints(0, 0, 3, 0, 0, 1)})
row("Pad_value", 13, [n("Pad", "h p v")], lambda h: F.pad(h, (2, 0, 0, 1), value=0.75),
    {"p": ints(0, 0, 2, 0, 1, 0), "v": np.array(0.75)})
row("Pad_9", 9, [n("Pad", "h", pads=[0, 0, 1, 0, 0, 2], value=0.25)], lambda h: F.pad(h, (1, 2), value=0.25))
row("Pad_negative", 13, [n("Pad", "h p")], lambda h: h[:, :, 2:-1], {"p": ints(0, 0, -2, 0, 0, -1)})
row("Pad_18", 18, [n("Pad", ["h", "p", "", "a"])], lambda h: F.pad(h, (1, 2)), {"p": ints(1, 2), "a": ints(-1)})
row("Gather_one", 13, [n("Gather", "h i", axis=2)], lambda h: h[:, :, -2], {"i": np.array(-2)})
row("Gather_several", 13, [n("Gather", "h i", axis=1)], lambda h: h[:, [3, -4, 2]], {"i": ints(3, -4, 2)})
row("Gather_matrix", 13, [n("Gather", "h i", axis=2)], lambda h: h[:, :, t(np.array([[0, 5], [-1, 2]]))],
    {"i": np.array([[0, 5], [-1, 2]])})
row("Gather_tokens", 13, [n("ArgMax", "h", "a", axis=1, keepdims=0), n("Gather", "w a", axis=0)],
    lambda h: t(values(4, 3))[h.argmax(1)], {"w": values(4, 3)})
I = (np.arange(4 * 5).reshape(1, 4, 5) * 7) % 12
row("GatherElements", 13, [n("Shape", "h", "s"), n("Gather", "s z", "b", axis=0), n("Concat", "b r", "q", axis=0),
                           n("Expand", "i q", "j"), n("GatherElements", "h j", axis=2)],
    lambda h: torch.gather(h, 2, t(I).expand(h.shape[0], -1, -1)), {"i": I - 12 * (I > 8), "z": ints(0), "r": ints(4, 5)}, "dl")
row("GatherND", 13, [n("Transpose", "h", "a", perm=[1, 2, 0]), n("GatherND", "a i", "b"), n("Transpose", "b", perm=[1, 0])],
    lambda h: h[:, [0, 3, 1], [2, -1, 7]], {"i": np.array([[0, 2], [3, -1], [1, 7]])})
row("OneHot", 13, [n("ArgMax", "h", "a", axis=1, keepdims=0), n("OneHot", "a d v", axis=1)],
    lambda h: F.one_hot(h.argmax(1), 5).transpose(1, 2) * 1.5 + 0.5, {"d": np.array(5), "v": np.array([0.5, 2.0])})

row("ScatterND", 13, [n("Transpose", "h", "a", perm=[1, 2, 0]), n("ReduceMean", "a", "m", axes=[0], keepdims=0), n("Gather", "m two", "u", axis=0),
                      n("ScatterND", "a i u", "b"), n("Transpose", "b", perm=[2, 0, 1])],
    lambda h: torch.stack([torch.where(torch.arange(LENGTH) == (2 if c == 0 else 11), h.mean(1)[:, [0 if c == 0 else 5]], h[:, c])
                           if c in (0, 3) else h[:, c] for c in range(4)], 1),
    {"i": np.array([[0, 2], [3, -1]]), "two": ints(0, 5)})
row("ScatterElements", 16, [n("Transpose", "h", "a", perm=[1, 2, 0]), n("Slice", "a z one z", "u"), n("Shape", "u", "s"),
                            n("Expand", "i s", "j"), n("ScatterElements", "a j u", "b", axis=0), n("Transpose", "b", perm=[2, 0, 1])],
    lambda h: torch.cat([h[:, :2], h[:, :1], h[:, 3:]], 1), {"z": ints(0), "one": ints(1), "i": np.array([[[2]]])}, "dl")
row("TopK", 13, [n("TopK", "h k", "y i")], lambda h: h.topk(3)[0], {"k": ints(3)})
row("TopK_9", 9, [n("TopK", "h", "y i", axis=1, k=2)], lambda h: h.topk(2, 1)[0])
row("TopK_least", 11, [n("TopK", "h k", "y i", axis=2, largest=0)], lambda h: h.topk(2, largest=False)[0], {"k": ints(2)})

# ---- recurrent ----


def recurrent(name, kind, direction, layout=0, seq_first=True, custom=None, bias=True, initial=False, opset=14, **attributes):
    """Computed step by step, as ONNX defines it."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    d = 2 if direction == "bidirectional" else 1
    units = 3
    w = values(d, gates * units, 4)
    r = values(d, gates * units, units, offset=0.05)
    b = values(d, 2 * gates * units, offset=-0.02)
    p = attributes.pop("peepholes", None)
    h0 = values(d, 1, units)
    acts = custom or {"LSTM": [torch.sigmoid, torch.tanh, torch.tanh], "GRU": [torch.sigmoid, torch.tanh],
                      "RNN": [torch.tanh]}[kind]
    after = attributes.get("linear_before_reset", 0)

    def one(x, k, backwards):
        W, R = t(w[k]), t(r[k])
        wb, rb = (t(b[k][: gates * units]), t(b[k][gates * units :])) if bias else (torch.zeros(gates * units).double(),) * 2
        rows_ = x.shape[1]
        h = t(h0[k]).expand(rows_, -1) if initial else torch.zeros(rows_, units).double()
        c = torch.zeros(rows_, units).double()
        outputs = []
        steps = range(x.shape[0])
        for step in reversed(steps) if backwards else steps:
            z = x[step] @ W.T + wb
            if kind == "RNN":
                h = acts[0](z + h @ R.T + rb)
            elif kind == "LSTM":
                i, o, f, g = (z + h @ R.T + rb).chunk(4, 1)
                P = t(p[k]).chunk(3) if p is not None else [0, 0, 0]
                i, f = acts[0](i + P[0] * c), acts[0](f + P[2] * c)
                c = f * c + i * acts[1](g)
                h = acts[0](o + P[1] * c) * acts[2](c)
            else:
                zz, zr, zh = z.chunk(3, 1)
                Rz, Rr, Rh = R.chunk(3, 0)
                bz, br, bh = rb.chunk(3)
                u, q = acts[0](zz + h @ Rz.T + bz), acts[0](zr + h @ Rr.T + br)
                inner = q * (h @ Rh.T + bh) if after else (q * h) @ Rh.T + bh
                n_ = acts[1](zh + inner)
                h = (1 - u) * n_ + u * h
            outputs.append(h)
        if backwards:
            outputs.reverse()
        return torch.stack(outputs), h, c

    def expected(h):
        x = h.permute(2, 0, 1)
        parts = [one(x, k, direction == "reverse" or k == 1) for k in range(d)]
        y = torch.stack([part[0] for part in parts], 2)  # [length, n, directions, units]
        last = torch.stack([part[1] for part in parts], 1)
        return torch.cat([y.permute(1, 2, 3, 0).flatten(1), last.flatten(1)], 1)

    inputs = ["s", "w", "r", "b" if bias else "", "", "", "", ""]
    consts = {"w": w, "r": r, "flat": ints(0, -1)}
    if bias:
        consts["b"] = b
    before = []
    if initial:
        # [directions, n, units], as exporters make it: expanded from the shape of the input.
        consts.update(i0=h0, z=ints(0), d=ints(d), u=ints(units))
        before = [n("Shape", "h", "sh"), n("Gather", "sh z", "nb", axis=0), n("Concat", "d nb u", "hs", axis=0),
                  n("Expand", "i0 hs", "first")]
        inputs[5] = "first"
        if layout:
            before.append(n("Transpose", "first", "first_t", perm=[1, 0, 2]))
            inputs[5] = "first_t"
    if p is not None:
        consts["p"] = p
        inputs[7] = "p"
    while inputs[-1] == "":
        inputs.pop()
    if layout:
        attributes["layout"] = 1
    nodes = before + [
        n("Transpose", "h", "s", perm=[0, 2, 1] if layout else [2, 0, 1]),
        helper.make_node(kind, inputs, ["out", "last"], direction=direction, hidden_size=units, **attributes),
        n("Transpose", "out", "o1", perm=[0, 2, 3, 1] if layout else [2, 1, 3, 0]), n("Flatten", "o1", "o2"),
        n("Transpose", "last", "l1", perm=[0, 1, 2] if layout else [1, 0, 2]), n("Flatten", "l1", "l2"),
        n("Concat", "o2 l2", axis=1)]
    row(name, opset, nodes, expected, consts)


for kind in ("LSTM", "GRU", "RNN"):
    for direction in ("forward", "reverse", "bidirectional"):
        more = {"linear_before_reset": 1} if kind == "GRU" else {}
        recurrent(f"{kind}_{direction}", kind, direction, **more)
    recurrent(f"{kind}_layout", kind, "bidirectional", layout=1, **({"linear_before_reset": 1} if kind == "GRU" else {}))
    recurrent(f"{kind}_initial", kind, "bidirectional", initial=True, opset=9)
    recurrent(f"{kind}_bare", kind, "forward", bias=False, opset=9)
recurrent("GRU_resets_before", "GRU", "bidirectional")
recurrent("GRU_initial_layout", "GRU", "forward", layout=1, initial=True)
recurrent("RNN_relu", "RNN", "forward", custom=[torch.relu], activations=["Relu"])
recurrent("LSTM_peepholes", "LSTM", "bidirectional", peepholes=values(2, 9, offset=0.1))


def hard(x):
    return (0.3 * x + 0.4).clamp(0, 1)


recurrent("LSTM_activations", "LSTM", "forward", custom=[hard, F.softsign, torch.relu],
          activations=["HardSigmoid", "Softsign", "Relu"], activation_alpha=[0.3], activation_beta=[0.4])
recurrent("GRU_activations", "GRU", "reverse", custom=[hard, F.elu], linear_before_reset=1,
          activations=["HardSigmoid", "Elu"], activation_alpha=[0.3, 1.0], activation_beta=[0.4])

# ---- turned round, unpacked, counted ----

row("Einsum_dots", 13, [n("Einsum", "h w", equation="...cl,lk->...kc")],
    lambda h: torch.einsum("ncl,lk->nkc", h, t(values(LENGTH, 3))), {"w": values(LENGTH, 3)}, "df")
row("Einsum_dots_of_two", 13, [n("Unsqueeze", "h two", "u"), n("Einsum", "h u", "v", equation="...l,...kl->...k"),
                               n("Squeeze", "v two")],
    lambda h: (h * h).sum(2), {"two": ints(2)})
row("Einsum_dots_implicit", 13, [n("Einsum", "w h", equation="kl,...l")],
    lambda h: torch.einsum("kl,ncl->nck", t(values(3, LENGTH)), h), {"w": values(3, LENGTH)}, "df")
row("ReverseSequence", 13, [n("ReverseSequence", "h lengths", batch_axis=0, time_axis=2)], lambda h: h.flip(2),
    {"lengths": ints(LENGTH)}, "f")
row("DepthToSpace", 13, [n("Unsqueeze", "h two", "u"), n("DepthToSpace", "u", blocksize=2)],
    lambda h: h.reshape(-1, 2, 2, 1, 1, LENGTH).permute(0, 3, 4, 1, 5, 2).reshape(-1, 1, 2, 2 * LENGTH), {"two": ints(2)})
row("DepthToSpace_columns", 13, [n("Unsqueeze", "h two", "u"), n("DepthToSpace", "u", blocksize=2, mode="CRD")],
    lambda h: F.pixel_shuffle(h[:, :, None], 2), {"two": ints(2)})
row("SpaceToDepth", 13, [n("Unsqueeze", "h one", "u"), n("SpaceToDepth", "u", blocksize=2)],
    lambda h: h.reshape(-1, 1, 2, 2, LENGTH // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(-1, 4, 2, LENGTH // 2), {"one": ints(1)}, "df")
row("EyeLike", 13, [n("EyeLike", "w", "e", k=1), n("MatMul", "h e")],
    lambda h: F.pad(h, (1, 0))[:, :, :LENGTH], {"w": values(LENGTH, LENGTH)}, "df")
row("DequantizeLinear", 13, [n("DequantizeLinear", "q s z", "w", axis=1), n("Cast", "w", "v", to=11), n("MatMul", "h v")],
    lambda h: h @ t((np.arange(36).reshape(LENGTH, 3) % 7 - 3.0 - np.array([0, 1, 2])) * np.array([0.5, 0.25, 0.125])),
    {"q": (np.arange(36).reshape(LENGTH, 3) % 7 - 3).astype(np.int8), "s": np.array([0.5, 0.25, 0.125], "f4"),
     "z": np.array([0, 1, 2], np.int8)}, "df")
row("NonZero", 9, [n("ConstantOfShape", "l", "o", value=numpy_helper.from_array(ints(1))), n("NonZero", "o", "p"),
                   n("Transpose", "p", "q"), n("Squeeze", "q", "r", axes=[1]), n("Cast", "r", "f", to=11), n("Mul", "h f")],
    lambda h: h * torch.arange(LENGTH).double(), {"l": ints(LENGTH)}, "df")
row("Scatter", 9, [n("Transpose", "h", "a", perm=[1, 2, 0]), n("Slice", "a", "u", axes=[0], starts=[0], ends=[1]),
                   n("Shape", "u", "s"), n("Expand", "i s", "j"), n("Scatter", "a j u", "b", axis=0),
                   n("Transpose", "b", perm=[2, 0, 1])],
    lambda h: torch.cat([h[:, :3], h[:, :1]], 1), {"i": ints(3).reshape(1, 1, 1)}, "d")
row("Reshape_heads", 13, [n("Shape", "h", "s"), n("Slice", "s zero one", "b"), n("Concat", "b rest", "r", axis=0),
                          n("Reshape", "h r", "u"), n("Shape", "u", "t"), n("Gather", "t i1", "k", axis=0), n("Cast", "k", "f", to=11),
                          n("Range", "from f by", "p"), n("Reshape", "p shape", "q"), n("Mul", "u q")],
    lambda h: h.reshape(-1, 24, 2, 1) * torch.arange(24).double().reshape(24, 1, 1),
    {"zero": ints(0), "one": ints(1), "rest": ints(-1, 2, 1), "i1": np.array(1), "from": np.array(0.0), "by": np.array(1.0),
     "shape": ints(24, 1, 1)}, "df")
row("LpNormalization_zeros", 13, [n("Relu", "h", "a"), n("Sub", "a a", "o"), n("LpNormalization", "o", axis=2)],
    lambda h: h * 0)
row("Gemm_matrix", 13, [n("ReduceMean", "h", "m", axes=[0], keepdims=0), n("Gemm", "w v c", "g"), n("MatMul", "h g")],
    lambda h: h @ t(values(LENGTH, 2) @ values(2, 3) + values(LENGTH, 3)),
    {"w": values(LENGTH, 2), "v": values(2, 3), "c": values(LENGTH, 3)}, "df")

# ---- conditions ----


def branch(op):
    return helper.make_graph([n(op, "h", "inner")], op, [], [helper.make_tensor_value_info("inner", TensorProto.DOUBLE, None)])


row("If", 13, [n("If", "c", then_branch=branch("Relu"), else_branch=branch("Neg"))], torch.relu, {"c": np.array(True)})
row("If_shape", 13, [n("Shape", "h", "s"), n("Gather", "s i1", "k", axis=0), n("Equal", "k four", "c"),
                     n("If", "c", then_branch=branch("Neg"), else_branch=branch("Relu"))],
    torch.neg, {"i1": np.array(1), "four": np.array(4)})


def model(one, form):
    """The graph as bytes."""
    nodes = [n("Mul", "x scale", "h0"), n("Add", "h0 shift", "h")] + one["nodes"]
    version = one["opset"]
    axes = {"axes": [1]} if version < 13 else {}
    nodes.append(n("Flatten", "y", "flat_y"))
    if version < 18:
        nodes.append(n("ReduceMean", "flat_y", "mean_of_y", axes=[1], keepdims=1))
    else:
        nodes.append(n("ReduceMean", "flat_y mean_axis", "mean_of_y", keepdims=1))
    consts = dict(one["consts"], scale=SCALE, shift=SHIFT)
    if form == "l":
        consts["scale"], consts["shift"] = SCALE[:, :, :1], SHIFT[:, :, :1]
    if version >= 18:
        consts["mean_axis"] = ints(1)
    initial = [numpy_helper.from_array(np.asarray(value, order="C"), name) for name, value in consts.items()]
    sizes = [1 if form == "f" else "batch", 4, "length" if form == "l" else LENGTH]
    graph = helper.make_graph(nodes, one["name"], [helper.make_tensor_value_info("x", TensorProto.DOUBLE, sizes)],
                              [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in ["y", "mean_of_y"]], initial)
    domains = sorted({node.domain for node in one["nodes"] if node.domain})
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)]
                             + [helper.make_opsetid(domain, 1) for domain in domains])
    made.ir_version = 8
    return made.SerializeToString()


def h_of(x, form):
    scale, shift = (SCALE[:, :, :1], SHIFT[:, :, :1]) if form == "l" else (SCALE, SHIFT)
    return x * t(scale) + t(shift)
