"""Files of ONNX that are unusual and good, and files that are to be refused, for make_onnx.py."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from onnx_operators import ints, n, t, values

LENGTH = 12
FLOAT = TensorProto.FLOAT


def graph(nodes, consts=None, inputs=None, outputs=("y",), raw=None, name="odd"):
    initial = [numpy_helper.from_array(np.asarray(value, order="C"), key) for key, value in (consts or {}).items()]
    inputs = inputs or {"x": (FLOAT, ["batch", 4, LENGTH])}
    return helper.make_graph(
        nodes, name, [helper.make_tensor_value_info(key, *value) for key, value in inputs.items()],
        [helper.make_tensor_value_info(key, FLOAT, None) for key in outputs], initial + (raw or []))


def model(made, opset=13, functions=(), domains=(), ir=8):
    made = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)]
                             + [helper.make_opsetid(domain, 1) for domain in domains], functions=list(functions))
    made.ir_version = ir
    return made


W = values(LENGTH, 3).astype(np.float32)
SQUARE = t(values(4, 4).astype(np.float32).astype(np.float64))


def good():
    """name -> (model, expected(x))"""
    made = {}
    product = [n("MatMul", "x w")]
    expected = lambda x: x @ t(W.astype(np.float64))
    made["plain"] = model(graph(product, {"w": W})), expected
    # Before version 4 of the format, initializers were inputs too.
    made["initializer_inputs"] = model(graph(product, {"w": W}, inputs={
        "w": (FLOAT, [LENGTH, 3]), "x": (FLOAT, ["batch", 4, LENGTH])}), 9, ir=3), expected
    made["backwards"] = model(graph([n("Relu", "b"), n("Neg", "a", "b"), n("MatMul", "x w", "a")], {"w": W})), \
        lambda x: torch.relu(-expected(x))
    named = model(graph(product, {"w": W}))
    named.opset_import[0].domain = "ai.onnx"
    made["domain_by_name"] = named, expected
    made["types"] = types(), lambda x: x * TYPES
    made["function"] = function(), lambda x: torch.nn.functional.leaky_relu(expected(x), 0.25) + 1
    made["half"] = half(), lambda x: x @ t(W.astype(np.float16).astype(np.float64))
    made["names"] = model(graph([helper.make_node("MatMul", ["serving_default/x:0", "layer-1/kernel:0"], ["Identity:0"],
                                                  name="layer 1/MatMul"),
                                 helper.make_node("Relu", ["Identity:0"], ["out/put:1"], name="for")],
                                {"layer-1/kernel:0": W}, inputs={"serving_default/x:0": (FLOAT, ["N?", 4, LENGTH])},
                                outputs=("Identity:0", "out/put:1"))), expected
    made["constant_output"] = model(graph([n("MatMul", "x w"), n("Identity", "w", "v")], {"w": W}, outputs=("y", "v"))), \
        expected
    made["unused_unknown"] = model(graph([n("MatMul", "x w"), n("NobodyKnows", "x", "u")], {"w": W})), expected
    made["shared"] = model(graph([n("MatMul", "x w", "a"), n("Transpose", "x", "b", perm=[0, 2, 1]), n("MatMul", "b v", "c"),
                                  n("MatMul", "c v", "d"), n("Flatten", "a", "e"), n("Flatten", "d", "f"),
                                  n("Concat", "e f", axis=1)], {"w": W, "v": SQUARE.float().numpy()})), \
        lambda x: torch.cat([expected(x).flatten(1), (x.transpose(1, 2) @ SQUARE @ SQUARE).flatten(1)], 1)
    made["masked"] = model(graph([n("MatMul", "x w", "a"), n("Add", "a m", "b"), n("Softmax", "b", axis=-1)],
                                 {"w": W, "m": np.array([0, -np.inf, 0], dtype=np.float32)})), \
        lambda x: torch.softmax(expected(x) + torch.tensor([0, -np.inf, 0]), -1)
    return made


# The product of one number of each type, as it is stored.
STORED = [(TensorProto.FLOAT, 1.5), (TensorProto.DOUBLE, 0.75), (TensorProto.FLOAT16, 0.5), (TensorProto.BFLOAT16, -2.0),
          (TensorProto.INT8, -3), (TensorProto.UINT8, 200), (TensorProto.INT16, -5), (TensorProto.UINT16, 40000),
          (TensorProto.INT32, -7), (TensorProto.UINT32, 3000000000), (TensorProto.INT64, -2), (TensorProto.UINT64, 9),
          (TensorProto.BOOL, True)]
TYPES = float(np.prod([float(value) for _, value in STORED])) ** 2 / 1e60


def types():
    nodes, raw = [], []
    before = "x"
    for i, (kind, value) in enumerate(STORED):
        for form in ("typed", "raw"):
            name = f"{form}{i}"
            tensor = helper.make_tensor(name, kind, [1], [value])
            if form == "raw":
                tensor = onnx.TensorProto(name=name, data_type=kind, dims=[1])
                bits = {TensorProto.BFLOAT16: lambda v: (np.float32(v).view(np.uint32) >> 16).astype(np.uint16)}
                kinds = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.FLOAT16: np.float16,
                         TensorProto.INT8: np.int8, TensorProto.UINT8: np.uint8, TensorProto.INT16: np.int16,
                         TensorProto.UINT16: np.uint16, TensorProto.INT32: np.int32, TensorProto.UINT32: np.uint32,
                         TensorProto.INT64: np.int64, TensorProto.UINT64: np.uint64, TensorProto.BOOL: np.bool_}
                tensor.raw_data = (bits[kind](value) if kind in bits else kinds[kind](value)).tobytes()
            raw.append(tensor)
            nodes += [n("Cast", name, f"c{name}", to=TensorProto.DOUBLE), n("Mul", f"{before} c{name}", f"m{name}")]
            before = f"m{name}"
    nodes.append(n("Mul", f"{before} scale"))
    return model(graph(nodes, {"scale": np.array(1e-60)}, raw=raw, inputs={"x": (TensorProto.DOUBLE, ["batch", 4, LENGTH])}))


def function():
    leaky = helper.make_node("LeakyRelu", ["p"], ["q"])
    leaky.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    inner = helper.make_function("own", "Step", ["p"], ["q"], [leaky], [helper.make_opsetid("", 13)], ["slope"])
    outer = helper.make_function("own", "Block", ["p", "w", "missing"], ["s"], [
        n("MatMul", "p w", "m"), helper.make_node("Step", ["m"], ["a"], domain="own", slope=0.25),
        n("Constant", "", "one", value_float=1.0), n("Add", "a one", "s")],
        [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)])
    return model(graph([helper.make_node("Block", ["x", "w"], ["y"], domain="own")], {"w": W}), functions=[inner, outer],
                 domains=["own"])


def half():
    return model(graph([n("Cast", "x", "a", to=TensorProto.FLOAT16), n("MatMul", "a w", "b"), n("Cast", "b", to=FLOAT)],
                       {"w": W.astype(np.float16)}))


def beside(name, location):
    """Weights in a file of their own."""
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=W.shape, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "8", "length": str(W.nbytes)}.items():
        tensor.external_data.add(key=key, value=value)
    return model(graph([n("MatMul", "x w")], raw=[tensor], name=name))


def huge(operation, consts, **attributes):
    inputs = " ".join(consts)
    return model(graph([n(operation, inputs, "a", **attributes), n("ReduceMean", "a", "b", keepdims=0),
                        n("Mul", "x b")], consts))


def loop(count="k", most=3, condition=True):
    body = helper.make_graph([n("Identity", "c", "d"), n("Identity", "v", "u")], "body", [
        helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("v", FLOAT, None)],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, []), helper.make_tensor_value_info("u", FLOAT, None)])
    return model(graph([n("Shape", "x", "s"), n("Gather", "s zero", "computed", axis=0),
                        n("ReduceMax", "x", "m", keepdims=0), n("Greater", "m half", "seen"),
                        helper.make_node("Loop", [count, "t" if condition else "seen", "x"], ["y"], name="again", body=body)],
                       {"k": np.array(most), "t": np.array(True), "zero": np.array(0), "half": np.array(0.5, np.float32)}))


def loops_in_loops(depth):
    """10^depth rounds in a few lines."""
    def info(name, kind):
        return helper.make_tensor_value_info(name, kind, None)
    inner = [n("Tanh", f"v{depth}", f"u{depth}")]
    for level in range(depth, 0, -1):
        body = helper.make_graph([n("Identity", f"c{level}", f"d{level}")] + inner, "body", [
            info(f"i{level}", TensorProto.INT64), info(f"c{level}", TensorProto.BOOL), info(f"v{level}", FLOAT)],
            [info(f"d{level}", TensorProto.BOOL), info(f"u{level}", FLOAT)])
        outer = f"v{level - 1}" if level > 1 else "x"
        inner = [helper.make_node("Loop", ["k", "t", outer], [f"u{level - 1}" if level > 1 else "y"], body=body)]
    return model(graph(inner, {"k": np.array(10), "t": np.array(True)}))


def scan_of_sequences():
    body = helper.make_graph([n("Relu", "p", "o")], "body", [helper.make_tensor_value_info("p", FLOAT, None)],
                             [helper.make_tensor_value_info("o", FLOAT, None)])
    return model(graph([helper.make_node("Scan", ["x"], ["y"], name="each", body=body, num_scan_inputs=1)]))


def branches(condition, consts, nodes=()):
    def one(op):
        return helper.make_graph([n(op, "x", "inner")], op, [], [helper.make_tensor_value_info("inner", FLOAT, None)])
    return model(graph(list(nodes) + [helper.make_node("If", [condition], ["y"], name="choice", then_branch=one("Relu"),
                                                       else_branch=one("Neg"))], consts))


def nested(depth):
    inner = helper.make_graph([n("Relu", "x", "inner")], "g", [], [helper.make_tensor_value_info("inner", FLOAT, None)])
    for _ in range(depth):
        other = helper.make_graph([n("Relu", "x", "inner")], "g", [], [helper.make_tensor_value_info("inner", FLOAT, None)])
        node = helper.make_node("If", ["c"], ["inner"], then_branch=inner, else_branch=other)
        inner = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("inner", FLOAT, None)])
    return model(graph([helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=other)], {"c": np.array(True)}))


def doubling(depth):
    """2^depth operations in a few lines; in a circle where depth is 0."""
    made = []
    for i in range(max(depth, 1)):
        call = f"F{(i + 1) if depth else 0}"
        body = [helper.make_node(call, ["p"], ["q"], domain="own"), helper.make_node(call, ["q"], ["r"], domain="own")]
        if depth and i == depth - 1:
            body = [n("Relu", "p", "q"), n("Neg", "q", "r")]
        made.append(helper.make_function("own", f"F{i}", ["p"], ["r"], body,
                                         [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]))
    return model(graph([helper.make_node("F0", ["x"], ["y"], domain="own")]), functions=made, domains=["own"])


def claims(dims, data=b"\0" * 16):
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=dims, raw_data=data)
    return model(graph([n("Mul", "x w")], raw=[tensor]))


def bad():
    """name -> (model, class of the error, what its message says)"""
    big = 2**40
    f32 = np.float32
    sparse = model(graph([n("Mul", "x w")]))
    sparse.graph.sparse_initializer.add().dims.extend([4])
    texts = model(graph([n("Mul", "x w")], raw=[helper.make_tensor("w", TensorProto.STRING, [1], [b"a"])]))
    old = model(graph([n("Relu", "x")]), 6)
    new = model(graph([n("Relu", "x")]), 99)
    no_graph = onnx.ModelProto(ir_version=8, producer_name="nobody")
    relu = [n("Relu", "x")]
    bn = dict(zip("sbmv", [np.ones(4, f32)] * 4))
    return {
        "unknown_operator": (model(graph([helper.make_node("NonMaxSuppression", ["x"], ["y"], name="best")])), "model",
                             'NonMaxSuppression "best".*not one that is known'),
        "unknown_domain": (model(graph([helper.make_node("Own", ["x"], ["y"], name="f", domain="some.where")]),
                                 domains=["some.where"]), "model", 'some.where.Own "f".*domain "some.where"'),
        "unknown_fused": (model(graph([helper.make_node("QAttention", ["x"], ["y"], name="f", domain="com.microsoft")]),
                                domains=["com.microsoft"]), "model", 'com.microsoft.QAttention "f".*onnxruntime wrote'),
        "fused_activation": (model(graph([helper.make_node("FusedConv", ["x", "w"], ["y"], domain="com.microsoft",
                                                           activation="Erf")], {"w": np.ones((2, 4, 3), f32)}),
                                   domains=["com.microsoft"]), "model", 'activation "Erf"'),
        "unknown_attribute": (model(graph([n("Relu", "x", slope=2.0)])), "model", "Relu.*attribute `slope`"),
        "wrong_attribute": (model(graph([n("Elu", "x", alpha=2)])), "model", "Elu.*`alpha` of another type"),
        "loop_computed": (loop(count="computed"), "model", 'Loop "again".*only known while the model runs'),
        "loop_on_data": (loop(condition=False), "model", 'Loop "again".*condition.*only known while'),
        "loop_long": (loop(most=2**40), "model", 'Loop "again".*more than 4096 times'),
        "loops_in_loops": (loops_in_loops(9), "model", "more than 50000 operations"),
        "scan_of_sequences": (scan_of_sequences(), "model", 'Scan "each".*only known while'),
        "if_on_data": (branches("c", {"z": np.array(0, f32)}, [n("ReduceMax", "x", "m", keepdims=0), n("Greater", "m z", "c")]),
                       "model", 'If "choice".*only known while the model runs'),
        "old_opset": (old, "model", "version 6 of the operators"),
        "new_opset": (new, "model", "version 99 of the operators"),
        "circle": (model(graph([n("Add", "x b", "a"), n("Relu", "a", "b"), n("Neg", "b")])), "file", "in a circle"),
        "own_input": (model(graph([n("Add", "x y")])), "file", "in a circle"),
        "never_computed": (model(graph([n("Add", "x nothing")])), "file", '"nothing", which it never computes'),
        "output_never_computed": (model(graph(relu, outputs=("y", "z"))), "file", '"z", which it never computes'),
        "twice": (model(graph([n("Relu", "x"), n("Neg", "x")])), "file", '"y" twice'),
        "no_graph": (no_graph, "file", "no graph"),
        "no_rank": (model(graph(relu, inputs={"x": (FLOAT, None)})), "model", 'input "x".*number of dimensions'),
        "no_inputs": (model(graph([n("Relu", "c")], {"c": np.ones((2, 2), f32)}, inputs={"c": (FLOAT, [2, 2])})), "model",
                      "takes no tensor"),
        "training": (model(graph([n("BatchNormalization", "x s b m v", training_mode=1)], bn), 15), "model", "training mode"),
        "dropout_mask": (model(graph([n("Dropout", "x", "a m"), n("Cast", "m", to=FLOAT)])), "model",
                         'output "m" of the operator Dropout'),
        "sequence_lens": (model(graph([n("Transpose", "x", "s", perm=[2, 0, 1]),
                                       helper.make_node("LSTM", ["s", "w", "r", "", "l"], ["y"], hidden_size=2)],
                                      {"w": np.ones((1, 8, 4), f32), "r": np.ones((1, 8, 2), f32),
                                       "l": np.array([3, 4], np.int32)})), "model", "sequence_lens"),
        "sequence_lens_long": (model(graph([n("Transpose", "x", "s", perm=[2, 0, 1]),
                                            helper.make_node("LSTM", ["s", "w", "r", "", "l"], ["y"], hidden_size=2)],
                                           {"w": np.ones((1, 8, 4), f32), "r": np.ones((1, 8, 2), f32),
                                            "l": np.array([99], np.int32)})), "model", "99 positions"),
        "lstm_clip": (model(graph([n("Transpose", "x", "s", perm=[2, 0, 1]), n("LSTM", "s w r", clip=1.0)],
                                  {"w": np.ones((1, 8, 4), f32), "r": np.ones((1, 8, 2), f32)})), "model", "`clip`"),
        "resize_cubic": (model(graph([n("Resize", ["x", "", "s"], mode="cubic")], {"s": np.array([1, 1, 2], f32)})), "model",
                         "cubic"),
        "resize_linear_10": (model(graph([n("Resize", "x s", mode="linear")], {"s": np.array([1, 1, 2], f32)}), 10), "model",
                             "does not say where the positions lie"),
        "pad_wrap": (model(graph([n("Pad", "x p", mode="wrap")], {"p": ints(0, 0, 1, 0, 0, 1)}), 19), "model", "wrap"),
        "texts": (texts, "model", "type of ONNX that is not read"),
        "sparse": (sparse, "model", "sparse"),
        "claims_2_40": (claims([big]), "file", "sizes make up"),
        "claims_2_62": (claims([2**31, 2**31, 2]), "file", "sizes that no file holds"),
        "claims_negative": (claims([-4]), "file", "sizes that no file holds"),
        "claims_overflow": (claims([2**62, 4]), "file", "sizes that no file holds"),
        "claims_typed": (model(graph([n("Mul", "x w")], raw=[onnx.TensorProto(name="w", data_type=FLOAT, dims=[4],
                                                                           float_data=[1, 2, 3])])), "file", "has 3 numbers"),
        "huge_constant": (huge("ConstantOfShape", {"s": ints(big)}), "model", f"tensor of {big} numbers"),
        "huge_expand": (huge("Expand", {"o": np.ones(1, f32), "s": ints(big)}), "model", f"tensor of {big} numbers"),
        "huge_tile": (huge("Tile", {"o": np.ones((1, 1), f32), "s": ints(2**31, 2**31)}), "model", "tensor of"),
        "huge_range": (huge("Range", {"p": np.array(0), "q": np.array(big), "r": np.array(1)}), "model", "numbers"),
        "huge_range_float": (huge("Range", {"p": np.array(0, f32), "q": np.array(1e30, f32), "r": np.array(1, f32)}), "model",
                             "numbers"),
        "huge_pad": (model(graph([n("Pad", "x p")], {"p": ints(0, 0, 2**36, 0, 0, 0)})), "model", "tensor of"),
        "huge_resize": (model(graph([n("Resize", ["x", "", "s"])], {"s": np.array([1, 1, 1e9], f32)})), "model", "scale of"),
        "huge_kernel": (model(graph([n("AveragePool", "x", kernel_shape=[2**40])])), "model", "kernel"),
        "huge_one_hot": (model(graph([n("ArgMax", "x", "a", axis=1), n("OneHot", "a d v")],
                                     {"d": np.array(big), "v": np.array([0, 1], f32)})), "model", "tensor of"),
        "nested": (nested(40), "file", "deep inside each other"),
        "functions_in_a_circle": (doubling(0), "model", "in a circle"),
        "functions_without_end": (doubling(30), "model", "more than 50000 operations"),
        "external_absolute": (beside("e", "/etc/passwd"), "file", "no place beside it"),
        "external_device": (beside("e", "/dev/zero"), "file", "no place beside it"),
        "external_above": (beside("e", "../weights.bin"), "file", "outside of the model's folder"),
        "external_winding": (beside("e", "sub/../../weights.bin"), "file", "outside of the model's folder|not there"),
        "external_absent": (beside("e", "absent.bin"), "file", "not there"),
        "external_empty": (beside("e", ""), "file", "no place beside it"),
        "external_folder": (beside("e", "sub"), "file", "no ordinary file|not there"),
        "external_pipe": (beside("e", "pipe"), "file", "no ordinary file"),
        "external_link": (beside("e", "link"), "file", "symbolic link"),
        "external_short": (beside("e", "short.bin"), "file", "another number of bytes"),
    }


def write(out, sequences):
    x = sequences.double()
    lines = ["model\toutput\tvalue\n"]
    (out / "odd").mkdir(exist_ok=True)
    (out / "bad").mkdir(exist_ok=True)
    for name, (made, expected) in good().items():
        (out / "odd" / f"{name}.onnx").write_bytes(made.SerializeToString())
        lines += [f"{name}\t1\t{value!r}\n" for value in expected(x).reshape(-1).tolist()]
    (out / "odd" / "external.onnx").write_bytes(beside("weights", "sub/weights.bin").SerializeToString())
    (out / "odd" / "sub").mkdir(exist_ok=True)
    (out / "odd" / "sub" / "weights.bin").write_bytes(b"\0" * 8 + W.tobytes() + b"\0" * 4)
    lines += [f"external\t1\t{value!r}\n" for value in (x @ t(W.astype(np.float64))).reshape(-1).tolist()]
    (out / "odd" / "expected.tsv").write_text("".join(lines))
    table = ["name\tclass\tmessage\n"]
    for name, (made, kind, message) in bad().items():
        (out / "bad" / f"{name}.onnx").write_bytes(made.SerializeToString())
        table.append(f"{name}\tseqlift_error_{kind}\t{message}\n")
    (out / "bad" / "expected.tsv").write_text("".join(table))
