#!/usr/bin/env python3
"""A second reader of .vlmzd deltas, after formats/vlmzd.md and nothing else. Slow and readable.

  apply_vlmzd.py DELTA MODEL         one line: what it makes, or the first rule that is broken
  apply_vlmzd.py DELTA MODEL OUT     and writes it

Exits 65 when the delta is refused. Frames of zstd are decoded by the `zstandard` module or the `zstd`
command.
"""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import read_vlmz  # noqa: E402
from read_vlmz import xxh64  # noqa: E402

COPY, STORED, PATCH, BYTES, WORDS16, WORDS32 = range(6)
WORD = {BYTES: 1, WORDS16: 2, WORDS32: 4}


class Refused(Exception):
    def __init__(self, rule, text):
        super().__init__(f"{text} [D{rule:02d}]")


def need(condition, rule, text):
    if not condition:
        raise Refused(rule, text)


def read_delta(data):
    """Section "Header" and "Table". Returns base, target, operations with their stored bytes."""
    need(data[:8] == bytes.fromhex("89564c4d440d0a0a")[:len(data)], 2, "magic")
    need(len(data) >= 192, 1, f"{len(data)} bytes")
    version, reserved, count, size, table, table_hash = struct.unpack_from("<HHIQQQ", data, 8)
    need(version == 1, 3, f"version {version}")
    need(struct.unpack_from("<Q", data, 184)[0] == xxh64(data[:184]), 4, "header hash")
    need(reserved == 0 and not any(data[136:184]), 5, "reserved bytes of the header")
    need(size == len(data), 6, f"file size {size}, found {len(data)}")
    need(count > 0 and table == size - 56 * count and table >= 192, 7, f"table offset {table}")
    base, target = (struct.unpack_from("<QQ32s", data, at) for at in (40, 88))
    need(base[0] < 1 << 63, 11, f"size of the base {base[0]}")
    need(target[0] < 1 << 63, 14, f"size of the target {target[0]}")
    need(xxh64(data[table:]) == table_hash, 8, "table hash")
    operations, end, made = [], 192, 0
    for i in range(count):
        where = f"operation {i}: "
        method, reserved, length, offset, taken, stored, stored_hash, target_hash = (
            struct.unpack_from("<B7sQQQQQQ", data, table + 56 * i))
        need(method <= 5 and not any(reserved), 9, where + f"method {method}")
        need(1 <= length <= ((1 << 63) - 1 if method == COPY else 1 << 23)
             and length % WORD.get(method, 1) == 0, 10, where + f"length {length}")
        need(offset + taken <= base[0], 11, where + "beyond the base")
        if method == STORED:
            need(offset == taken == 0, 11, where + "takes bytes of the base")
        elif method == PATCH:
            need(taken <= 1 << 25 and (taken > 0 or offset == 0), 11, where + "prefix")
        else:
            need(taken == length, 11, where + f"takes {taken} bytes of the base")
        if method == COPY:
            need(stored == stored_hash == 0, 12, where + "stores bytes")
        elif method == STORED:
            need(stored == length, 12, where + f"stores {stored} bytes")
        else:
            need(stored > 0, 12, where + "stores no bytes")
        need(end + stored <= table, 12, where + "stored bytes beyond the table")
        made += length
        need(made <= target[0], 14, where + "beyond the target")
        operations.append((method, length, offset, taken, data[end:end + stored], stored_hash,
                           target_hash))
        end += stored
    need(end == table, 13, f"stored bytes end at {end}")
    need(made == target[0], 14, f"makes {made} bytes")
    for i, (method, length, _, _, stored, stored_hash, _) in enumerate(operations):
        if method == COPY:
            continue
        need(xxh64(stored) == stored_hash, 15, f"operation {i}: stored hash")
        if method != STORED:
            try:
                read_vlmz.unzstd(stored, length, decode=False)
            except read_vlmz.Refused as error:
                raise Refused(16, f"operation {i}: {error}") from None
    return base, target, operations


def decode(frame, prefix, length):
    """Decodes a frame with a prefix, which may be empty."""
    try:
        import zstandard
        words = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        decoder = zstandard.ZstdDecompressor(dict_data=words if prefix else None)
        try:
            raw = decoder.decompress(frame, max_output_size=length)
        except zstandard.ZstdError as error:
            raise Refused(19, str(error)) from None
    except ImportError:
        command = ["zstd", "-dcq"]
        with tempfile.NamedTemporaryFile() as file:
            file.write(prefix)
            file.flush()
            if prefix:
                command += [f"--patch-from={file.name}", "--long=27"]
            run = subprocess.run(command, input=frame, capture_output=True)
        need(run.returncode == 0, 19, "zstd cannot decode it")
        raw = run.stdout
    need(len(raw) == length, 19, f"decodes to {len(raw)} bytes, expected {length}")
    return raw


def combine(method, difference, base):
    """Section "Differences"."""
    if method == BYTES:
        return bytes((b + d) & 255 for b, d in zip(base, difference))
    size = WORD[method]
    count = len(base) // size
    out = bytearray()
    for i in range(count):
        code = sum(difference[p * count + i] << 8 * p for p in range(size))
        delta = -(code + 1) // 2 if code & 1 else code // 2
        word = int.from_bytes(base[size * i:size * (i + 1)], "little") + delta
        out += (word & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(out)


def identity(model):
    return len(model), struct.unpack_from("<Q", model, 120)[0], model[48:80]


def apply(delta, model):
    base, target, operations = read_delta(delta)
    need(len(model) >= 128 and identity(model) == base, 17, "another base")
    try:
        read_vlmz.read(model)
    except read_vlmz.Refused as error:
        raise Refused(18, f"the base: {error}") from None
    out = bytearray()
    for i, (method, length, offset, taken, stored, _, target_hash) in enumerate(operations):
        old = model[offset:offset + taken]
        if method == COPY:
            made = old
        elif method == STORED:
            made = stored
        elif method == PATCH:
            made = decode(stored, old, length)
        else:
            made = combine(method, decode(stored, b"", length), old)
        need(xxh64(made) == target_hash, 20, f"operation {i}: target hash")
        out += made
    out = bytes(out)
    try:
        read_vlmz.read(out)
    except read_vlmz.Refused as error:
        raise Refused(21, f"the result: {error}") from None
    need(identity(out) == target, 21, "the result is another container")
    return out


def main(arguments):
    delta, model = arguments[:2]
    with open(delta, "rb") as file, open(model, "rb") as base:
        try:
            made = apply(file.read(), base.read())
        except Refused as error:
            print(f"{delta}: refused: {error}")
            return 65
    print(f"{delta}: ok: {len(made)} bytes, root {made[48:80].hex()}")
    if len(arguments) > 2:
        with open(arguments[2], "wb") as file:
            file.write(made)
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
