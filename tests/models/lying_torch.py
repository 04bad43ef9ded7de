"""Pickles, the zip archives around them, and safetensors that lie (make_lying_files.py)."""

import json
import struct
import zlib

from lying_base import Member, archive, lying, u16, u32, u64


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return b"X" + u32(len(data)) + data


def number(value):
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return (b"\x8a" + bytes([len(data)]) + data) if len(data) < 256 else b"\x8b" + u32(len(data)) + data


def many(values):
    return b"(" + b"".join(values) + b"t"


def storage(kind="FloatStorage", key=text("0"), location=text("cpu"), count=number(6), word=text("storage")):
    return many([word, b"ctorch\n" + kind.encode() + b"\n", key, location, count]) + b"Q"


def tensor(sizes=(2, 3), strides=(3, 1), offset=0, of=None, flag=b"\x89"):
    raw = lambda values: many([value if isinstance(value, bytes) else number(value) for value in values])
    return (b"ctorch._utils\n_rebuild_tensor_v2\n" + many([of or storage(), offset if isinstance(offset, bytes) else number(offset),
                                                        raw(sizes), raw(strides), flag, b"}"]) + b"R")


def dictionary(pairs):
    return b"}(" + b"".join((key if isinstance(key, bytes) and key[:1] in b"XKJ(N}]c" else text(key)) + value for key, value in pairs) + b"u"


def pickle(value):
    return b"\x80\x02" + value + b"."


FLOATS = struct.pack("<6f", *range(6))


def torch_file(value, storages=None, raw=False):
    members = [Member("archive/data.pkl", value if raw else pickle(value))]
    members += [Member(f"archive/data/{key}", data) for key, data in (storages or {"0": FLOATS}).items()]
    return archive(members + [Member("archive/version", b"3\n")])


def one(value, **more):
    return torch_file(dictionary([("layer.weight", value)]), **more)


def beside(value):
    """Something beside a sound weight."""
    return torch_file(dictionary([("layer.weight", tensor()), ("other", value)]))


def pickles():
    for kind, begin, end in [("lists", b"](", b"e"), ("tuples", b"(", b"t"), ("dicts", b"}(" + text("a"), b"u")]:
        lying(f"deep_{kind}.pth", beside(begin * 300000 + b"N" + end * 300000), "either")
    bomb = b"]q\1"
    for _ in range(40):
        bomb += b"](" + b"h\1" * 10 + b"eq\1"
    lying("memo_bomb.pth", beside(bomb), "either")
    lying("memo_bomb_of_tensors.pth", torch_file(b"](" + tensor() + b"eq\1" + (b"](" + b"h\1" * 10 + b"eq\1") * 30))
    lying("memo_far.pth", beside(b"Nr" + u32(2**32 - 1) + b"j" + u32(2**32 - 1)), "either")
    lying("memo_missing.pth", beside(b"j" + u32(2**31)))
    lying("long1_wide.pth", beside(b"\x8a\xff" + b"\x7f" * 255), "either")
    lying("long4_wide.pth", beside(b"\x8b" + u32(100000) + b"\x7f" * 100000), "either")
    lying("long4_negative.pth", beside(b"\x8b" + u32(-5)))
    lying("long4_beyond.pth", beside(b"\x8b" + u32(2**31 - 1) + b"\1"))
    for name, opcode in {"unicode8": b"\x8d", "bytes8": b"\x8e", "array8": b"\x96", "frame": b"\x95"}.items():
        lying(f"{name}_2_63.pth", beside(opcode + u64(2**63) + b"N"))
        lying(f"{name}_2_40.pth", beside(opcode + u64(2**40) + b"N"))
    lying("unicode_beyond.pth", beside(b"X" + u32(2**32 - 1) + b"a"))
    lying("int_text.pth", beside(b"I" + b"9" * 5000 + b"\n"), "either")
    lying("float_text.pth", beside(b"F1e999999999\n"), "either")
    lying("long_text.pth", beside(b"L" + b"9" * 5000 + b"L\n"), "either")
    lying("list_in_itself.pth", beside(b"]q\1h\1a"), "either")
    lying("dict_in_itself.pth", torch_file(b"}q\1(" + text("layer") + b"h\1u"))
    lying("ordered_in_itself.pth", torch_file(b"ccollections\nOrderedDict\n)Rq\1(" + text("layer") + b"h\1u"))
    lying("state_in_itself.pth", torch_file(b"cnet\nNet\n)\x81q\1}(" + text("_modules") + b"h\1ub"))
    # Tensors.
    lying("strides_of_zero.pth", one(tensor((2, 3), (0, 0))), "either")
    lying("strides_of_zero_2_40.pth", one(tensor((2**20, 2**20), (0, 0))))
    lying("strides_of_zero_2_62.pth", one(tensor((2**31, 2**31), (0, 0))))
    lying("strides_overlapping.pth", one(tensor((2, 3), (1, 1))), "either")
    lying("strides_overflowing.pth", one(tensor((2, 3), (2**62, 2**62))))
    lying("strides_wrapping.pth", one(tensor((5, 1), (2**62, 1))))
    lying("strides_negative.pth", one(tensor((2, 3), (-3, 1), 3)))
    lying("strides_fewer.pth", one(tensor((2, 3), (1,))))
    lying("strides_beyond.pth", one(tensor((2, 3), (4, 1))))
    lying("offset_beyond.pth", one(tensor(offset=1)))
    lying("offset_2_62.pth", one(tensor(offset=2**62)))
    lying("offset_2_70.pth", one(tensor(offset=2**70)))
    lying("offset_negative.pth", one(tensor(offset=-1)))
    lying("offset_text.pth", one(tensor(offset=text("0"))))
    lying("sizes_negative.pth", one(tensor((-2, -3))))
    lying("sizes_2_62.pth", one(tensor((2**62, 3))))
    lying("sizes_2_70.pth", one(tensor((2**70,), (1,))))
    lying("sizes_of_text.pth", one(tensor((text("2"), text("3")))))
    lying("sizes_of_nothing.pth", one(tensor((b"N", b"N"))))
    lying("sizes_of_floats.pth", one(tensor((b"G" + struct.pack(">d", 2.0), 3))))
    lying("dimensions_many.pth", one(tensor((1,) * 5000, (1,) * 5000)))
    lying("size_zero_times_2_62.pth", one(tensor((0, 2**62), (2**62, 1))), "either")
    lying("storage_2_40.pth", one(tensor((2**20, 2**20), (2**20, 1), of=storage(count=number(2**40)))))
    lying("storage_2_62.pth", one(tensor(of=storage(count=number(2**62)))))
    lying("storage_negative.pth", one(tensor(of=storage(count=number(-6)))))
    lying("storage_text.pth", one(tensor(of=storage(count=text("6")))))
    lying("storage_above.pth", one(tensor(of=storage(key=text("../../../../etc/passwd")))))
    lying("storage_absolute.pth", one(tensor(of=storage(key=text("/etc/passwd")))))
    lying("storage_is_pickle.pth", one(tensor(of=storage(key=text("../data.pkl")))))
    lying("storage_key_number.pth", one(tensor(of=storage(key=number(0)))), "either")
    lying("storage_key_long.pth", one(tensor(of=storage(key=text("0" * 100000)))))
    lying("storage_kind.pth", one(tensor(of=storage(kind="system"))))
    lying("storage_word.pth", one(tensor(of=storage(word=text("command")))))
    lying("storage_on_cuda.pth", one(tensor(of=storage(location=text("cuda:999")))), "either")
    lying("storage_complex.pth", one(tensor(of=storage(kind="ComplexDoubleStorage", count=number(1)))))
    # What Python would run.
    ran = text("open('ran', 'w')")
    for name, call in {
        "eval": b"cbuiltins\neval\n(" + ran + b"tR", "exec_py2": b"c__builtin__\nexec\n(" + ran + b"tR",
        "system": b"cposix\nsystem\n(" + text("touch ran") + b"tR", "os_system": b"cos\nsystem\n(" + text("touch ran") + b"tR",
        "popen": b"csubprocess\nPopen\n((" + text("touch") + text("ran") + b"ltR", "inst": b"(" + text("touch ran") + b"ios\nsystem\n",
        "object": b"(cos\nsystem\n" + text("touch ran") + b"o", "new": b"cos\nsystem\n(" + text("touch ran") + b"t\x81",
        "new_with_names": b"cos\nsystem\n(" + text("touch ran") + b"t}\x92", "stack_global": text("os") + text("system") + b"\x93(" + text("touch ran") + b"tR",
        "extension": b"\x82\1(" + ran + b"tR", "setstate": b"cnet\nNet\n)\x81cposix\nsystem\n(" + text("touch ran") + b"tRb",
        "getattr": b"cbuiltins\ngetattr\n(cos\nsystem\n" + text("__call__") + b"tR(" + text("touch ran") + b"tR",
        "jit_load": b"ctorch.jit\nload\n(" + text("/etc/passwd") + b"tR", "torch_load": b"ctorch\nload\n(" + text("/etc/passwd") + b"tR",
        "from_file": b"ctorch\nfrom_file\n(" + text("ran") + b"\x88" + number(100) + b"tR", "numpy_load": b"cnumpy\nload\n(" + text("/etc/passwd") + b"tR",
        "functools": b"cfunctools\npartial\n(cos\nsystem\n" + text("touch ran") + b"tR)R",
    }.items():
        lying(f"runs_{name}.pth", beside(call), "either")
        lying(f"runs_{name}_as_weight.pth", one(call))
    lying("runs_as_state.pth", torch_file(b"cposix\nsystem\n(" + text("touch ran") + b"tR"))
    lying("runs_as_version.pth", archive([Member("archive/data.pkl", pickle(dictionary([("w", tensor())]))), Member("archive/data/0", FLOATS),
                                          Member("archive/version", pickle(b"cos\nsystem\n(" + text("touch ran") + b"tR"))]), "either")
    # Names.
    for name, key in {"empty": b"", "zero": b"a\0b", "invalid": b"\xff\xfe", "megabyte": b"k" * 2**20, "above": b"../../x", "newline": b"a\nb",
                      "braces": b"{cli::cat_line(1)}"}.items():
        lying(f"name_{name}.pth", torch_file(dictionary([(text(key), tensor()), ("b.weight", tensor())])), "either")
    lying("names_twice.pth", torch_file(dictionary([("a", tensor()), ("a", tensor())])), "either")
    lying("names_of_numbers.pth", torch_file(dictionary([(number(3), tensor()), ("a", tensor())])), "either")
    lying("keys_of_lists.pth", torch_file(dictionary([(b"(t", tensor()), ("a", tensor())])), "either")
    lying("keys_many.pth", torch_file(b"}(" + tensor() + b"q\1" + b"0" + b"".join(text(str(i)) + b"h\1" for i in range(20000)) + b"u"), "either")
    lying("stack_empty.pth", torch_file(b"\x80\x020.", raw=True))
    lying("never_ends.pth", torch_file(b"\x80\x02" + b"N" * 100000, raw=True))
    lying("protocol_200.pth", torch_file(b"\x80\xc8}.", raw=True))
    # What torch.save() wrote before version 1.6: one pickle after the other.
    magic = pickle(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
    system = pickle(dictionary([("protocol_version", number(1001)), ("little_endian", b"\x88"), ("type_sizes", b"}")]))

    def legacy(value, keys=(b"0",), counts=None, data=FLOATS, view=b"N"):
        made = many([text("storage"), b"ctorch\nFloatStorage\n", text("0"), text("cpu"), number(6), view]) + b"Q"
        body = magic + pickle(number(1001)) + system + pickle(value(made)) + pickle(b"](" + b"".join(text(key) for key in keys) + b"e")
        return body + b"".join(u64(6 if counts is None else counts) for _ in keys) + data

    named = lambda made: dictionary([("w", tensor(of=made))])
    lying("legacy_2_40.pth", legacy(named, counts=2**40))
    lying("legacy_2_63.pth", legacy(named, counts=2**63))
    lying("legacy_keys_many.pth", legacy(named, keys=(b"0",) * 10000))
    lying("legacy_key_missing.pth", legacy(named, keys=(b"other",)))
    lying("legacy_short.pth", legacy(named, data=FLOATS[:-1]))
    lying("legacy_view_beyond.pth", legacy(named, view=many([text("v"), number(4), number(6)])))
    lying("legacy_view_2_62.pth", legacy(named, view=many([text("v"), number(2**62), number(2**62)])))
    lying("legacy_runs.pth", magic + pickle(b"cos\nsystem\n(" + text("touch ran") + b"tR") + system)


def zips():
    data = Member("archive/data.pkl", pickle(dictionary([("layer.weight", tensor())])))
    weights = Member("archive/data/0", FLOATS)
    version = Member("archive/version", b"3\n")

    def said(**says):
        return archive([data, Member("archive/data/0", FLOATS, **says), version])

    lying("zip_overlapping.pth", archive([data, weights, version], more=[Member("archive/data/1", FLOATS).head(True, 0)]))
    lying("zip_twice.pth", archive([data, weights, weights, version]), "either")
    lying("zip_twice_differing.pth", archive([data, weights, Member("archive/data/0", FLOATS[::-1]), version]), "either")
    lying("zip_pickle_twice.pth", archive([data, Member("archive/data.pkl", pickle(b"}")), weights, version]), "either")
    lying("zip_two_folders.pth", archive([data, weights, version, Member("other/data.pkl", pickle(b"}"))]), "either")
    lying("zip_size_more.pth", said(size=28, packed=28))
    lying("zip_size_less.pth", said(size=20, packed=20))
    lying("zip_size_2_31.pth", said(size=2**31, packed=2**31))
    lying("zip_sizes_differ.pth", said(size=48))
    lying("zip_local_differs.pth", said(local_size=4, local_packed=4))
    lying("zip_local_name.pth", said(local_name=b"archive/data/9"), "either")
    lying("zip_crc.pth", said(crc=7))
    lying("zip_method_99.pth", said(method=99))
    lying("zip_deflated_not.pth", said(method=8))
    lying("zip_encrypted.pth", said(flags=1), "either")
    lying("zip_offset_beyond.pth", said(central_offset=2**31))
    lying("zip_offset_itself.pth", said(central_offset=0))
    lying("zip_name_length.pth", said(central_name_length=60000))
    lying("zip_extra_length.pth", said(local_extra_length=60000))
    for what, value in {"2_63": 2**63, "2_40": 2**40, "minus_1": -1}.items():
        extra = u16(1) + u16(24) + u64(value) + u64(value) + u64(value)
        lying(f"zip64_{what}.pth", said(central_extra=extra, central_size=-1, central_packed=-1, central_offset=-1))
        lying(f"zip64_end_{what}.pth", archive([data, weights, version], before_end=b"PK\6\6" + u64(44) + u16(45) + u16(45) + u32(0) + u32(0)
              + u64(value) + u64(value) + u64(value) + u64(value) + b"PK\6\7" + u32(0) + u64(value) + u32(1), count=65535, length=-1, begin=-1))
    lying("zip64_short_extra.pth", said(central_extra=u16(1) + u16(2) + u16(0), central_size=-1))
    lying("zip_link.pth", archive([data, Member("archive/data/0", b"/etc/passwd", made_by=0x0314, attributes=0o120777 << 16), version]))
    lying("zip_above.pth", archive([data, weights, version, Member("../../ran", b"x")]), "either")
    lying("zip_absolute.pth", archive([data, weights, version, Member("/tmp/ran", b"x")]), "either")
    lying("zip_name_zero.pth", archive([data, weights, version, Member(b"archive/data/0\0x", b"x")]), "either")
    lying("zip_name_empty.pth", archive([data, weights, version, Member(b"", b"x")]), "either")
    lying("zip_folder.pth", archive([Member("archive/", b""), data, weights, version]), "either")
    lying("zip_count_more.pth", archive([data, weights, version], count=9))
    lying("zip_count_0.pth", archive([data, weights, version], count=0))
    lying("zip_begin_beyond.pth", archive([data, weights, version], begin=2**31))
    lying("zip_comment.pth", archive([data, weights, version], comment_length=100))
    lying("zip_disk.pth", archive([data, weights, version], disk=7), "either")
    lying("zip_many.pth", archive([data, weights, version] + [Member(f"archive/x/{i}", b"") for i in range(5000)]), "either")
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(bomb.compress(b"\0" * 2**20) for _ in range(64)) + bomb.flush()
    lying("zip_bomb.pth", archive([data, Member("archive/data/0", FLOATS, method=8, stored=packed, packed=len(packed), size=64 * 2**20), version]))
    lying("zip_bomb_says_2_32.pth", archive([data, Member("archive/data/0", FLOATS, method=8, stored=packed, packed=len(packed), size=2**32 - 2), version]))
    lying("zip_only_end.pth", archive([]))


def tensors_file(header, data=FLOATS, length=None):
    text_ = header if isinstance(header, bytes) else json.dumps(header).encode()
    return u64(len(text_) if length is None else length) + text_ + data


def safetensors():
    def entry(begin=0, end=24, shape=(2, 3), dtype="F32"):
        return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}

    def named(**entries):
        return tensors_file(dict(entries))

    lying("overlapping.safetensors", named(a=entry(), b=entry()))
    lying("overlapping_by_one.safetensors", named(a=entry(0, 16, (4,)), b=entry(12, 24, (3,))))
    lying("beyond.safetensors", named(a=entry(0, 28, (7,))))
    lying("reversed.safetensors", named(a=entry(24, 0)))
    lying("negative.safetensors", named(a=entry(-24, 0)))
    lying("offsets_2_63.safetensors", named(a=entry(2**63, 2**63 + 24)))
    lying("offsets_2_70.safetensors", named(a=entry(2**70, 2**70 + 24)))
    lying("offsets_floats.safetensors", named(a=dict(entry(), data_offsets=[0.5, 24.5])))
    lying("offsets_one.safetensors", named(a=dict(entry(), data_offsets=[0])))
    lying("shape_differs.safetensors", named(a=entry(shape=(2, 4))))
    lying("shape_negative.safetensors", named(a=entry(shape=(-2, -3))))
    lying("shape_2_62.safetensors", named(a=entry(shape=(2**62, 4))))
    lying("shape_wraps.safetensors", named(a=entry(0, 0, (2**32, 2**32))))
    lying("shape_zero.safetensors", named(a=entry(0, 0, (0, 2**62))), "either")
    lying("shape_floats.safetensors", named(a=entry(shape=(2.0, 3.0))), "either")
    lying("shape_text.safetensors", named(a=entry(shape=("2", "3"))))
    lying("shape_many.safetensors", named(a=entry(shape=(1,) * 5000 + (2, 3))))
    lying("dtype_unknown.safetensors", named(a=entry(dtype="F7")))
    lying("dtype_number.safetensors", named(a=entry(dtype=32)))
    lying("gap.safetensors", tensors_file({"a": entry(0, 8, (2,)), "b": entry(16, 24, (2,))}), "either")
    lying("behind.safetensors", tensors_file({"a": entry()}, FLOATS + b"more"), "either")
    lying("nothing.safetensors", tensors_file({}, b""))
    lying("twice.safetensors", tensors_file(b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b"}"), "either")
    lying("twice_differing.safetensors", tensors_file(b'{"a":' + json.dumps(entry(0, 12, (3,))).encode() + b',"a":' + json.dumps(entry()).encode() + b"}"), "either")
    for what, value in {"2_63": 2**63, "2_40": 2**40, "beyond": 10**6, "zero": 0}.items():
        lying(f"header_{what}.safetensors", tensors_file({"a": entry()}, length=value))
    lying("deep.safetensors", tensors_file(b'{"a":' + b"[" * 200000 + b"]" * 200000 + b"}"))
    lying("metadata_deep.safetensors", tensors_file(b'{"__metadata__":' + b'{"a":' * 100000 + b"1" + b"}" * 100000 + b"}"))
    lying("array.safetensors", tensors_file(b"[1, 2]"))
    lying("infinite.safetensors", tensors_file(b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 24]}}'))
    lying("names_many.safetensors", tensors_file({f"layer.{i}.weight": entry(0, 0, (0,)) for i in range(5000)}, b""), "either")
    for name, target in {"above": "../../etc/passwd", "absolute": "/etc/passwd", "device": "/dev/zero", "itself": "itself.index.json",
                         "empty": "", "zero": "a\0b"}.items():
        lying(f"{name}.index.json", json.dumps({"weight_map": {"a.weight": target}}).encode())
        lying(f"keras_{name}.index.json", json.dumps({"weight_map": {"/layers/dense/vars": target + ".weights.h5"}}).encode())
    lying("map_of_lists.index.json", json.dumps({"weight_map": {"a": ["x.safetensors"] * 100000}}).encode())
    lying("map_deep.index.json", b'{"weight_map":' + b"[" * 100000 + b"]" * 100000 + b"}")
