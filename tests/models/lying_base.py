"""What the files of make_lying_files.py are written with: rows, and zip archives byte by byte."""

import struct
import zlib

files = []


def lying(name, content, may="error"):
    files.append((name, content, may))


def u16(value):
    return struct.pack("<H", value & 0xFFFF)


def u32(value):
    return struct.pack("<I", value & 0xFFFFFFFF)


def u64(value):
    return struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF)


class Member:
    """A member and its entry in the directory, in which anything may be said of it."""

    def __init__(self, name, data, **says):
        self.name = name if isinstance(name, bytes) else name.encode()
        self.data = data
        self.says = says

    def head(self, central, offset=0):
        say = lambda key, value: self.says.get(("central_" if central else "local_") + key, self.says.get(key, value))
        extra = say("extra", b"")
        name = say("name", self.name)
        common = (u16(say("flags", 0)) + u16(say("method", 0)) + u16(0) + u16(33) + u32(say("crc", zlib.crc32(self.data)))
                  + u32(say("packed", len(self.data))) + u32(say("size", len(self.data))) + u16(say("name_length", len(name)))
                  + u16(say("extra_length", len(extra))))
        if not central:
            return b"PK\3\4" + u16(20) + common + name + extra
        return (b"PK\1\2" + u16(say("made_by", 20)) + u16(20) + common + u16(0) + u16(0) + u16(0) + u32(say("attributes", 0))
                + u32(say("offset", offset)) + name + extra)


def archive(members, entries=None, **end):
    body, central = b"", b""
    for member in members:
        central += member.head(True, len(body))
        body += member.head(False) + member.says.get("stored", member.data)
    central += b"".join(end.get("more", []))
    count = end.get("count", entries if entries is not None else len(members) + len(end.get("more", [])))
    return (body + central + end.get("before_end", b"") + b"PK\5\6" + u16(end.get("disk", 0)) + u16(0) + u16(count) + u16(count)
            + u32(end.get("length", len(central))) + u32(end.get("begin", len(body)))
            + u16(end.get("comment_length", 0)))
