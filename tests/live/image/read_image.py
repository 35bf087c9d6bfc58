#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads image files by docs/image-format.md alone, with nothing of ours: what the page says is
enough for another reader. Every byte is checked on the way, as step 4 of its "To read one" has it.
`read_image.py FILE...` prints what is in them."""

import ctypes
import struct
import sys

MAGIC, RECORD = b"SHADOWCL", b"RCRD"
ABOUT, OBJECT, DATA, CONTENTS, INDEX, END = range(1, 7)
CHUNK, PAGE, HEADER, HEAD = 1 << 20, 4096, 64, 32
KINDS = {10: "platform", 11: "device", 12: "context", 13: "queue", 14: "mem", 15: "sampler",
         16: "origin", 17: "recipe", 18: "program", 19: "kernel", 20: "command_buffer",
         21: "event", 22: "svm"}


class Wrong(Exception):
    """The file is not as the page says."""


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


xxhash = ctypes.CDLL("libxxhash.so.0")
xxhash.XXH3_64bits.restype = ctypes.c_uint64
xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
xxhash.XXH3_128bits.restype = Hash128
xxhash.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                 ctypes.c_size_t]


def checksum(data):
    return xxhash.XXH3_64bits(data, len(data))


def hash128(data):
    found = xxhash.XXH3_128bits(data, len(data))
    return struct.pack("<QQ", found.low, found.high)


def expect(condition, offset, what):
    if not condition:
        raise Wrong(f"offset {offset}: {what}")


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """{number: [value...]} of a protobuf message: integers, or bytes."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<Q", data, at)[0], at + 8
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        else:
            value, at = struct.unpack_from("<I", data, at)[0], at + 4
        found.setdefault(key >> 3, []).append(value)
    return found


def packed(values):
    """Of a repeated number, packed or not."""
    found = []
    for value in values:
        at = 0
        while isinstance(value, bytes) and at < len(value):
            number, at = varint(value, at)
            found.append(number)
        if not isinstance(value, bytes):
            found.append(value)
    return found


def entries(messages):
    """Index: {serial: offset}, in the order of the file."""
    found = {}
    for message in map(fields, messages):
        found[message.get(1, [0])[0]] = message.get(2, [0])[0]
    return found


class Image:
    """about: fields of the message; objects: {serial: kind}; contents: {serial: bytes}."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        self.header()
        self.walk()
        self.about = fields(self.payload(self.index.get(3, [0])[0], ABOUT))
        self.objects = {}
        for serial, offset in entries(self.index.get(1, [])).items():
            message = fields(self.payload(offset, OBJECT))
            expect(message.get(1, [0])[0] == serial, offset, "another object")
            kinds = [KINDS[number] for number in message if number in KINDS]
            expect(len(kinds) == 1, offset, f"kinds {kinds}")
            self.objects[serial] = kinds[0]
        self.contents = {serial: self.read_contents(serial, offset)
                         for serial, offset in entries(self.index.get(2, [])).items()}
        self.compare_with_index()

    def header(self):
        data = self.bytes
        expect(len(data) >= 2 * HEADER and data[:8] == MAGIC, 0, "no image")
        self.major, self.minor, size = struct.unpack_from("<HHI", data, 8)
        expect(self.major == 1 and HEADER <= size <= 4096, 8, "another version")
        expect(struct.unpack_from("<I", data, 32)[0] == CHUNK, 32, "another size of a chunk")
        expect(checksum(data[:size - 8]) == struct.unpack_from("<Q", data, size - 8)[0], 0,
               "the header's checksum")
        self.id, self.first = data[16:32], size
        self.end = len(data) - 64

    def walk(self):
        """Every record: {offset: (type, payload's offset, length)}; the end is the last."""
        self.records, at = {}, self.first
        while at < len(self.bytes):
            expect(at + HEAD <= len(self.bytes), at, "half a record")
            head = self.bytes[at:at + HEAD]
            magic, kind, _, length, content, own = struct.unpack("<4sHHQQQ", head)
            expect(magic == RECORD, at, "no record")
            expect(own == checksum(head[:24] + struct.pack("<Q", at) + self.id), at,
                   "the record's checksum")
            expect(at + HEAD + length <= len(self.bytes), at, "it ends behind the file")
            covered = length
            if kind == DATA:
                pages = -(-struct.unpack_from("<I", self.bytes, at + HEAD)[0] // PAGE)
                covered = 32 + (-(-pages // 8) if self.bytes[at + HEAD + 5] else 0)
            expect(content == checksum(self.bytes[at + HEAD:at + HEAD + covered]), at,
                   "the payload's checksum")
            self.records[at] = (kind, at + HEAD, length)
            at += HEAD + length
        expect(self.records.get(self.end, (0,))[0] == END, self.end, "no end record")
        index, count, own = struct.unpack_from("<QQ16s", self.bytes, self.end + HEAD)
        expect(own == self.id and count == len(self.records) - 1, self.end, "another image's end")
        self.index = fields(self.payload(index, INDEX))

    def payload(self, offset, kind):
        expect(offset in self.records and self.records[offset][0] == kind, offset,
               f"no record of type {kind}")
        _, at, length = self.records[offset]
        return self.bytes[at:at + length]

    def read_chunk(self, offset):
        data = self.payload(offset, DATA)
        size, compressed, mapped, _, stored = struct.unpack_from("<IBBHQ", data)
        digest, at = data[16:32], 32
        pages = -(-size // PAGE)
        present = [True] * pages
        if mapped:
            bits = data[at:at + -(-pages // 8)]
            at += len(bits)
            present = [bits[i // 8] >> (i % 8) & 1 for i in range(pages)]
        lengths = [min(PAGE, size - i * PAGE) for i in range(pages)]
        length = sum(each for each, there in zip(lengths, present) if there)
        rest = data[at:]
        if compressed:
            expect(stored == checksum(rest) and len(rest) < length, offset, "the stored bytes")
            buffer = ctypes.create_string_buffer(length)
            expect(zstd.ZSTD_decompress(buffer, length, rest, len(rest)) == length, offset, "zstd")
            rest = buffer.raw
        expect(len(rest) == length, offset, f"{len(rest)} bytes, not {length}")
        if not mapped:
            chunk = rest
        else:
            parts, taken = [], 0
            for each, there in zip(lengths, present):
                parts.append(rest[taken:taken + each] if there else bytes(each))
                taken += each if there else 0
            chunk = b"".join(parts)
        expect(hash128(chunk) == digest, offset, "the chunk's hash")
        return chunk

    def read_contents(self, serial, offset):
        message = fields(self.payload(offset, CONTENTS))
        size, chunks = message.get(2, [0])[0], packed(message.get(3, []))
        expect(message.get(1, [0])[0] == serial, offset, "of another object")
        expect(len(chunks) == -(-size // CHUNK), offset, f"{len(chunks)} chunks of {size} bytes")
        made = []
        for i, at in enumerate(chunks):
            expect(at < offset, offset, "a chunk behind its contents")
            length = min(CHUNK, size - i * CHUNK)
            made.append(self.read_chunk(at) if at else bytes(length))
            expect(len(made[-1]) == length, at, "a chunk of another size")
        digest = hash128(b"".join(map(hash128, made)))
        expect(digest == struct.pack("<QQ", message.get(4, [0])[0], message.get(5, [0])[0]),
               offset, "the digest")
        return b"".join(made)

    def compare_with_index(self):
        """The walk came by exactly what the index has."""
        kinds = {OBJECT: set(entries(self.index.get(1, [])).values()),
                 CONTENTS: set(entries(self.index.get(2, [])).values()),
                 ABOUT: {self.index.get(3, [0])[0]}}
        for kind, wanted in kinds.items():
            there = {offset for offset, record in self.records.items() if record[0] == kind}
            expect(there == wanted, min(there ^ wanted, default=0), f"records of type {kind}")
        for offset, record in self.records.items():
            if record[0] == DATA:
                self.read_chunk(offset)


def main():
    for path in sys.argv[1:]:
        image = Image(path)
        print(f"{path}: format {image.major}.{image.minor}, {len(image.objects)} objects")
        for serial, kind in image.objects.items():
            has = f", {len(image.contents[serial])} bytes" if serial in image.contents else ""
            print(f"  {kind} {serial}{has}")


if __name__ == "__main__":
    main()
