#!/usr/bin/env python3
"""A second reader of .vlmzp files, after formats/vlmzp.md and nothing else. Slow and readable.

  read_vlmzp.py FILE...          one line per file: what it holds, or the first rule it breaks
  read_vlmzp.py --unpack FILE    writes the container to standard output

Exits 65 when a file is refused. Frames of zstd are decoded by the `zstandard` module or the `zstd`
command, containers read by read_vlmz.py.
"""
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import read_vlmz  # noqa: E402
from read_vlmz import xxh64  # noqa: E402


class Refused(Exception):
    def __init__(self, rule, text):
        super().__init__(f"{text} [P{rule:02d}]")


def need(condition, rule, text):
    if not condition:
        raise Refused(rule, text)


def read_header(data):
    magic = b"\x89VLZP\r\n\n"
    need(data[:8] == magic[:len(data[:8])], 2, "magic")
    need(len(data) >= 128, 1, f"{len(data)} bytes")
    read, write, reserved, size, root = struct.unpack_from("<HHIQ32s", data, 8)
    need(read == 1, 3, f"read version {read}")
    need(struct.unpack_from("<Q", data, 120)[0] == xxh64(data[:120]), 4, "header hash")
    need(write >= read, 5, f"write version {write}")
    need(reserved == 0 and not any(data[56:120]), 6, "reserved bytes of the header")
    need(128 <= size < 1 << 63, 7, f"container size {size}")
    return size, root


def turn_right(word, width):
    return word >> 1 | (word & 1) << (8 * width - 1)


def join_planes(data, width, turned):
    count = len(data) // width
    out = bytearray()
    for i in range(count):
        word = sum(data[byte * count + i] << 8 * byte for byte in range(width))
        out += (turn_right(word, width) if turned else word).to_bytes(width, "little")
    return bytes(out) + data[count * width:]


def join_panels(data, size, codes, groups):
    count, at = len(data) // size, 0
    panels = [bytearray(size) for _ in range(count)]

    def take(places):
        """The next bytes of each panel go to these places in it."""
        nonlocal at
        for panel in panels:
            for place in places:
                panel[place] = data[at]
                at += 1

    take(range(codes))
    for part in (0, 16):
        take([codes + 32 * group + part + n for group in range(groups // 32) for n in range(16)])
    take(range(codes + groups, size - 128))
    for start in (size - 128, size - 64):
        for byte in range(4):
            take(range(start + byte, start + 64, 4))
    return b"".join(panels)


def unfilter(data, code, width, size, codes, groups):
    if code in (1, 2):
        return join_planes(data, width, code == 2)
    return join_panels(data, size, codes, groups) if code == 3 else data


def filter_is_valid(code, width, size, codes, groups, raw_size):
    if code == 3:
        return (width == 0 and size > 0 and raw_size % size == 0 and groups % 32 == 0
                and codes + groups + 128 <= size)
    return (size, codes, groups) == (0, 0, 0) and (
        code == 0 and width == 0 or code in (1, 2) and width in (2, 4))


def read_frame(data, at, container, container_size):
    (_, raw_size, stored_size, codec, code, width, reserved_1, size, codes, groups, reserved_2,
     offset, raw_hash, stored_hash) = struct.unpack_from("<IIIBBBBIIIIQQQ", data, at)
    where = f"frame at {at}: "
    need(offset == len(container), 11, where + f"raw offset {offset}")
    need(1 <= raw_size <= min(1 << 21, container_size - offset), 12, where + f"raw size {raw_size}")
    need(codec == 0 and stored_size == raw_size or codec == 1 and 1 <= stored_size < raw_size, 13,
         where + f"codec {codec}, stored size {stored_size}")
    need(filter_is_valid(code, width, size, codes, groups, raw_size), 14, where + "filter")
    need(reserved_1 == 0 and reserved_2 == 0, 15, where + "reserved fields")
    stored = data[at + 64:at + 64 + stored_size]
    need(len(stored) == stored_size, 16, where + "truncated")
    need(xxh64(stored) == stored_hash, 17, where + "stored hash")
    if codec:
        try:
            stored = read_vlmz.unzstd(stored, raw_size)
        except read_vlmz.Refused as error:
            raise Refused(18, where + str(error)) from None
    raw = unfilter(stored, code, width, size, codes, groups)
    need(xxh64(raw) == raw_hash, 19, where + "raw hash")
    return raw, raw_hash, at + 64 + stored_size


def read(data):
    """Checks everything. Returns the container, its root hash and the number of frames."""
    container_size, root = read_header(data)
    container, hashes, at = b"", [], 128
    while True:
        record = data[at:at + 64]
        need(len(record) == 64, 8, f"record at {at}: truncated")
        need(struct.unpack_from("<Q", record, 56)[0] == xxh64(record[:56]), 9, f"record at {at}")
        kind = struct.unpack_from("<I", record)[0]
        need(kind in (1, 2), 10, f"record at {at}: kind {kind}")
        if kind == 2:
            break
        raw, raw_hash, at = read_frame(data, at, container, container_size)
        if not container:
            need(len(raw) >= 128 and raw[:8] == b"\x89VLMZ\r\n\n"
                 and raw[24:32] == struct.pack("<Q", container_size) and raw[48:80] == root, 20,
                 "header of the container")
        container += raw
        hashes.append(raw_hash)
    offset, frames_hash, count = struct.unpack_from("<QQQ", data, at + 32)
    need(offset == len(container), 11, f"end: raw offset {offset}")
    need(not any(data[at + 4:at + 32]), 15, "end: reserved fields")
    need(len(container) == container_size, 21, f"{len(container)} bytes of {container_size}")
    need(count == len(hashes), 22, f"frame count {count}")
    need(frames_hash == xxh64(struct.pack(f"<{len(hashes)}Q", *hashes)), 22, "frames hash")
    need(len(data) == at + 64, 23, "bytes after the end")
    try:
        read_vlmz.read(container)
    except read_vlmz.Refused as error:
        raise Refused(24, str(error)) from None
    return container, root, len(hashes)


def main(arguments):
    unpack = arguments[:1] == ["--unpack"]
    status = 0
    for path in arguments[unpack:]:
        try:
            with open(path, "rb") as file:
                container, root, count = read(file.read())
        except Refused as error:
            print(f"{path}: refused: {error}")
            status = 65
            continue
        if unpack:
            sys.stdout.buffer.write(container)
        else:
            print(f"{path}: ok: root {root.hex()}, {len(container)} bytes in {count} frames")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
