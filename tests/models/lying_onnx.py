"""Files of ONNX that lie (make_lying_files.py)."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lying_base import lying


def onnx_model(nodes, consts=None, outputs=("y",), inputs=None, version=13):
    initial = [numpy_helper.from_array(np.asarray(value), name) for name, value in (consts or {}).items()]
    graph = helper.make_graph(nodes, "g", inputs or [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 16])],
                              [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], initial)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    made.ir_version = 8
    return made


def n(op, inputs, outputs="y", **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def field(key, kind, content):
    return varint(key << 3 | kind) + content


def varint(value):
    made = b""
    while True:
        made += bytes([value & 127 | (128 if value > 127 else 0)])
        value >>= 7
        if value == 0:
            return made


def part(key, content):
    return field(key, 2, varint(len(content)) + content)


def onnx_files():
    def put(name, made, may="error"):
        lying(f"{name}.onnx", made if isinstance(made, bytes) else made.SerializeToString(), may)

    def inside(depth, op):
        info = helper.make_tensor_value_info
        inner = helper.make_graph([n("Relu", "x", "inner")], "g", [], [info("inner", TensorProto.FLOAT, None)]).SerializeToString()
        for level in range(depth):
            # As bytes: Python's own would go as deep as it is nested.
            attributes = [part(1, name.encode()) + part(6, inner) + field(20, 0, varint(5))
                          for name in (["then_branch", "else_branch"][:1] if op == "If" else ["body"])]
            node = part(1, b"c") + part(2, b"inner") + part(4, op.encode()) + b"".join(part(5, one) for one in attributes)
            inner = part(1, node) + part(2, b"g") + part(12, info("inner", TensorProto.FLOAT, None).SerializeToString())
        model = onnx_model([n("Relu", "x")], {"c": np.array(True)})
        return model.SerializeToString() + part(7, part(1, part(1, b"c") + part(2, b"z") + part(4, op.encode())
                                                        + b"".join(part(5, part(1, name.encode()) + part(6, inner) + field(20, 0, varint(5)))
                                                                   for name in ["then_branch", "else_branch", "body"][:1])))

    for depth in (90, 1000, 5000):
        put(f"if_in_if_{depth}", inside(depth, "If"))
        put(f"loop_in_loop_{depth}", inside(depth, "Loop"))
    put("nodes_many", onnx_model([n("Relu", f"v{i}" if i else "x", f"v{i + 1}") for i in range(60000)] + [n("Neg", "v60000")]))
    put("nodes_unused", onnx_model([n("Relu", "x")] + [n("Nothing", "x", f"v{i}") for i in range(5000)]), "either")
    huge = helper.make_graph([n("Relu", "x", "w0")] + [n("Neg", f"w{i}", f"w{i + 1}") for i in range(60000)], "g", [],
                             [helper.make_tensor_value_info("w60000", TensorProto.FLOAT, None)])
    put("if_huge", onnx_model([helper.make_node("If", ["c"], ["y"], then_branch=huge)], {"c": np.array(True)}))
    put("concat_doubling", onnx_model([n("Concat", f"v{i} v{i}" if i else "x x", f"v{i + 1}", axis=2) for i in range(60)] + [n("Relu", "v60")]))
    put("concat_doubling_constant", onnx_model([n("Concat", f"v{i} v{i}" if i else "w w", f"v{i + 1}", axis=0) for i in range(60)]
                                               + [n("ReduceMean", "v60", "m", keepdims=0), n("Mul", "x m")], {"w": np.ones(4, "f4")}))
    put("tile_chain", onnx_model([n("Tile", f"v{i} r" if i else "w r", f"v{i + 1}") for i in range(8)] + [n("ReduceMean", "v8", "m", keepdims=0), n("Mul", "x m")],
                                 {"w": np.ones(4, "f4"), "r": np.array([1000])}))
    put("expand_of_x", onnx_model([n("Unsqueeze", "x a", "u"), n("Expand", "u s", "e"), n("ReduceSum", "e", keepdims=0)],
                                  {"a": np.array([0]), "s": np.array([2**24, 1, 1, 1])}), "either")
    put("slice_2_63", onnx_model([n("Slice", "x b e a")], {"b": np.array([-(2**63)]), "e": np.array([2**63 - 1]), "a": np.array([2])}), "either")
    put("slice_step_zero", onnx_model([n("Slice", "x b e a t")], {"b": np.array([0]), "e": np.array([9]), "a": np.array([2]), "t": np.array([0])}))
    put("slice_step_minimum", onnx_model([n("Slice", "x b e a t")], {"b": np.array([9]), "e": np.array([0]), "a": np.array([2]), "t": np.array([-(2**63)])}), "either")
    put("gather_2_62", onnx_model([n("Gather", "x i", axis=2)], {"i": np.array([2**62])}))
    put("gather_negative", onnx_model([n("Gather", "x i", axis=2)], {"i": np.array([-17])}))
    put("reshape_2_62", onnx_model([n("Reshape", "x s")], {"s": np.array([2**62, -1, 4])}))
    put("transpose_twice", onnx_model([n("Transpose", "x", perm=[0, 0, 0])]))
    put("transpose_beyond", onnx_model([n("Transpose", "x", perm=[2**62, 1, 0])]))
    put("split_2_62", onnx_model([n("Split", "x s", "y z", axis=2)], {"s": np.array([2**62, 2**62])}))
    put("split_many", onnx_model([helper.make_node("Split", ["x"], ["y"] + [f"o{i}" for i in range(20000)], axis=2)]), "either")
    put("pad_minimum", onnx_model([n("Pad", "x p")], {"p": np.array([0, 0, -(2**63), 0, 0, 0])}))
    put("conv_stride_0", onnx_model([n("Conv", "x w", strides=[0])], {"w": np.ones((2, 4, 3), "f4")}))
    put("conv_stride_negative", onnx_model([n("Conv", "x w", strides=[-1])], {"w": np.ones((2, 4, 3), "f4")}))
    put("conv_dilation", onnx_model([n("Conv", "x w", dilations=[2**62])], {"w": np.ones((2, 4, 3), "f4")}))
    put("conv_group", onnx_model([n("Conv", "x w", group=2**62)], {"w": np.ones((2, 4, 3), "f4")}))
    put("conv_pads", onnx_model([n("Conv", "x w", pads=[2**62, 2**62])], {"w": np.ones((2, 4, 3), "f4")}))
    put("pool_wide", onnx_model([n("MaxPool", "x", kernel_shape=[2**62], strides=[2**62])]))
    put("lrn_wide", onnx_model([n("LRN", "x", size=2**62)]), "either")
    put("top_k_2_62", onnx_model([n("TopK", "x k", "y i")], {"k": np.array([2**62])}))
    put("cumsum_axis", onnx_model([n("CumSum", "x a")], {"a": np.array(2**62)}))
    put("one_hot_2_62", onnx_model([n("ArgMax", "x", "a", axis=1), n("OneHot", "a d v")], {"d": np.array(2**62), "v": np.array([0, 1], "f4")}))
    put("einsum_long", onnx_model([n("Einsum", "x", equation="a" * 100000)]))
    put("range_step_0", onnx_model([n("Range", "a b c", "r"), n("ReduceMean", "r", "m", keepdims=0), n("Mul", "x m")],
                                   {"a": np.array(0.0, "f4"), "b": np.array(1.0, "f4"), "c": np.array(0.0, "f4")}))
    put("same_name", onnx_model([n("Relu", "x", "x")]))
    put("name_of_weight", onnx_model([n("Relu", "x", "w"), n("Mul", "x w")], {"w": np.ones(4, "f4")}))
    put("name_code", onnx_model([n("Relu", "x", "a\n    import os"), helper.make_node("Neg", ["a\n    import os"], ["y"], name="{file.create('ran')}")]), "either")
    put("domain_braces", onnx_model([helper.make_node("{file.create('ran')}", ["x"], ["y"], domain="{file.create('ran')}")]))
    put("names_twice", onnx_model([n("Relu", "x", "a", name="same"), n("Neg", "a", name="same")]), "either")
    put("input_twice", onnx_model([n("Relu", "x")], inputs=[helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 16])] * 2))
    put("input_2_40", onnx_model([n("Relu", "x")], inputs=[helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 2**40])]), "either")
    put("inputs_many", onnx_model([n("Relu", "x")], inputs=[helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 16])]
                                  + [helper.make_tensor_value_info(f"i{i}", TensorProto.FLOAT, ["n"]) for i in range(3000)]), "either")
    for name, key, value in [("offset_negative", "offset", "-8"), ("offset_2_62", "offset", str(2**62)), ("offset_text", "offset", "eight"),
                             ("length_negative", "length", "-1"), ("length_2_62", "length", str(2**62)), ("location_zero", "location", "a\0b"),
                             ("location_passwd", "location", "../../../../../etc/passwd"), ("location_random", "location", "/dev/random"),
                             ("location_itself", "location", "external_location_itself.onnx"), ("location_long", "location", "a" * 10000),
                             ("location_dots", "location", "./.././sound.h5"), ("location_windows", "location", "..\\..\\x")]:
        made = onnx_model([n("Mul", "x w")])
        tensor_ = made.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[4, 1], data_location=TensorProto.EXTERNAL)
        for one_, given in dict({"location": "w.bin", "offset": "0", "length": "16"}, **{key: value}).items():
            tensor_.external_data.add(key=one_, value=given)
        # Bytes of its own are data as good as others.
        put(f"external_{name}", made, "either" if name == "location_itself" else "error")
    sound = onnx_model([n("Relu", "x")]).SerializeToString()
    put("sound", sound, "model")
    put("varint_long", sound + b"\x08" + b"\xff" * 100)
    put("length_2_63", sound + field(7, 2, varint(2**63)))
    put("length_beyond", sound + field(7, 2, varint(10**6)))
    put("group_open", sound + b"\x0b" * 100000)
    put("wire_type_7", sound + b"\x0f")
    put("tag_zero", sound + b"\0\0")
    put("types_deep", sound + part(7, part(11, part(1, b"t") + part(2, deep_type(5000)))), "either")
    put("graphs_many", sound + part(7, b"") * 20000, "either")
    put("fields_unknown", sound + field(1000, 0, varint(1)) * 20000, "either")
    packed = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**31, 2**31])
    made = onnx_model([n("Mul", "x w")])
    made.graph.initializer.append(packed)
    put("claims_empty", made)
    made = onnx_model([n("Mul", "x w")])
    made.graph.initializer.append(onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1] * 10000, raw_data=b"\0" * 4))
    put("dimensions_many", made)
    made = onnx_model([n("Mul", "x w")])
    made.graph.initializer.append(onnx.TensorProto(name="w", data_type=99, dims=[1], raw_data=b"\0" * 4))
    put("type_99", made)


def deep_type(depth):
    made = b""
    for _ in range(depth):
        made = part(4, part(1, made))  # a sequence of sequences
    return made
