#!/usr/bin/env python3
"""A second reader of .vlmz files, after formats/vlmz.md and nothing else. Slow and readable.

  read_vlmz.py FILE...           one line per file: what it holds, or the first rule it breaks
  read_vlmz.py --json FILE       sections and tensors as JSON
  read_vlmz.py --section KIND FILE   writes the decoded bytes of a section

Every byte is checked, strictly. Exits 65 when a file is refused. Frames of zstd are decoded by the
`zstandard` module or the `zstd` command.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import unicodedata

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vlmz_blocks  # noqa: E402
import vlmz_tokenizer  # noqa: E402

M64 = (1 << 64) - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
                      0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
KINDS = {1: ("tensor data", 3), 2: ("tensor index", 1), 3: ("config", 1), 4: ("labels", 0),
         5: ("preprocess", 0), 6: ("tokenizer", 0), 7: ("chat template", 0),
         8: ("generation config", 0), 9: ("provenance", 0), 10: ("report", 0)}
SCHEMES = {1: "f32", 2: "f16", 3: "bf16", 4: "q8", 5: "q4", 6: "q3", 7: "q5", 8: "q6"}


class Refused(Exception):
    def __init__(self, rule, text):
        super().__init__(f"{text} [R{rule:02d}]")


def need(condition, rule, text):
    if not condition:
        raise Refused(rule, text)


def up(offset, alignment):
    return -(-offset // alignment) * alignment


def xxh64(data):
    def rot(x, n):
        return (x << n | x >> (64 - n)) & M64

    def lane_round(lane, value):
        return rot((lane + value * P2) & M64, 31) * P1 & M64

    size, at = len(data), 0
    if size >= 32:
        a, b, c, d = (P1 + P2) & M64, P2, 0, -P1 & M64
        for w, x, y, z in struct.iter_unpack("<4Q", data[:size // 32 * 32]):
            a, b, c, d = lane_round(a, w), lane_round(b, x), lane_round(c, y), lane_round(d, z)
        h = (rot(a, 1) + rot(b, 7) + rot(c, 12) + rot(d, 18)) & M64
        for lane in (a, b, c, d):
            h = ((h ^ lane_round(0, lane)) * P1 + P4) & M64
        at = size // 32 * 32
    else:
        h = P5
    h = (h + size) & M64
    while size - at >= 8:
        h = (rot(h ^ lane_round(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & M64
        at += 8
    if size - at >= 4:
        h = (rot(h ^ struct.unpack_from("<I", data, at)[0] * P1 & M64, 23) * P2 + P3) & M64
        at += 4
    for byte in data[at:]:
        h = rot(h ^ byte * P5 & M64, 11) * P1 & M64
    h = (h ^ h >> 33) * P2 & M64
    h = (h ^ h >> 29) * P3 & M64
    return h ^ h >> 32


def byte_count(scheme, layout, order, shape):
    """Section "Sizes"; None where it gives no size."""
    if order and len(shape) != 4 or order == 2 and (layout or shape[1] != 1):
        return None
    if layout == 0:
        size = {1: 4, 2: 2, 3: 2}.get(scheme)
        for extent in shape:
            size = size and size * extent
    else:
        if scheme == 1 or order == 0 and len(shape) != 2:
            return None
        inputs = shape[1] if order == 0 else shape[1] * shape[2] * shape[3]
        if inputs > 65536:
            return None
        blocks = -(-inputs // 32)
        bits = {5: 4, 6: 3, 7: 5, 8: 6}.get(scheme)
        panel = {2: 1024 * blocks, 3: 1024 * blocks, 4: 512 * blocks + 128}.get(scheme)
        panel = panel or 64 * bits * blocks + up(32 * blocks, 64) + 128
        size = -(-shape[0] // 16) * panel
    return size if size and size < 1 << 63 else None


def unzstd(frame, raw_size, decode=True):
    """Section "Zstd sections"; without `decode` only what the frame says of itself."""
    need(len(frame) >= 5 and frame[:4] == b"\x28\xb5\x2f\xfd" and not frame[4] & 8, 26, "no frame")
    descriptor = frame[4]
    single = descriptor >> 5 & 1
    at = 5 + (1 - single)
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    width = (single, 2, 4, 8)[descriptor >> 6]
    need(len(frame) >= at + dictionary + width, 26, "frame header cut off")
    need(dictionary == 0, 29, "dictionary")
    need(width > 0, 27, "no content size")
    content = int.from_bytes(frame[at:at + width], "little") + (256 if width == 2 else 0)
    need(content == raw_size, 27, f"content size {content}, expected {raw_size}")
    base = 1 << (10 + (frame[5] >> 3))
    window = content if single else base + base // 8 * (frame[5] & 7)
    need(window <= 1 << 23, 28, f"window {window}")
    at += width
    last = False
    while not last:
        need(len(frame) >= at + 3, 30, "blocks cut off")
        block = int.from_bytes(frame[at:at + 3], "little")
        last, kind = block & 1, block >> 1 & 3
        need(kind != 3, 30, "reserved block type")
        at += 3 + (1 if kind == 1 else block >> 3)
    at += 4 if descriptor & 4 else 0
    need(at == len(frame), 30, f"frame ends at {at} of {len(frame)}")
    if not decode:
        return None
    try:
        import zstandard
        try:
            raw = zstandard.ZstdDecompressor().decompress(frame, max_output_size=raw_size)
        except zstandard.ZstdError as error:
            raise Refused(31, str(error)) from None
    except ImportError:
        run = subprocess.run(["zstd", "-dcq"], input=frame, capture_output=True)
        need(run.returncode == 0, 31, "zstd cannot decode it")
        raw = run.stdout
    need(len(raw) == raw_size, 31, f"decodes to {len(raw)} bytes, expected {raw_size}")
    return raw


def read_header(data):
    need(len(data) >= 128, 1, f"{len(data)} bytes")
    need(data[:8] == bytes.fromhex("89564c4d5a0d0a0a"), 2, "magic")
    (read, write, required, _, count, size, table, table_hash) = struct.unpack_from("<HHIIIQQQ",
                                                                                    data, 8)
    need(read in (1, 2, 3), 3, f"version {read}")
    need(struct.unpack_from("<Q", data, 120)[0] == xxh64(data[:120]), 4, "header hash")
    need(write >= read, 5, f"write version {write}")
    need(required == 0, 6, f"features {required:#x}")
    need(not any(data[80:120]), 7, "reserved bytes of the header")
    need(size == len(data), 8, f"file size {size}, found {len(data)}")
    need(3 <= count <= 64, 9, f"section count {count}")
    need(table == size - 64 * count and table >= 128, 10, f"table offset {table}")
    need(xxh64(data[table:]) == table_hash, 11, "table hash")
    return count, table, data[48:80], read


def read_table(data):
    count, table, root, version = read_header(data)
    sections, end, before = [], 128, 0
    for i in range(count):
        (kind, flags, codec, reserved, offset, stored, raw, stored_hash, raw_hash,
         reserved2) = struct.unpack_from("<IIIIQQQQQQ", data, table + 64 * i)
        name, expected = KINDS.get(kind, (f"kind {kind}", None))
        where = f"section {i} '{name}': "
        need(kind > before, 12, where + "kinds ascend")
        need(expected is not None or not flags & 1, 13, where + "unknown and required")
        need(flags == expected if expected is not None else flags < 4, 14, where + "flags")
        need(reserved == 0 and reserved2 == 0, 15, where + "reserved fields")
        need(offset == up(end, 4096 if kind == 1 else 64), 16, where + f"offset {offset}")
        need(stored > 0 and offset + stored <= table, 17, where + f"stored size {stored}")
        need(raw < 1 << 63, 22, where + f"raw size {raw}")
        if expected is not None:
            need(codec in ((0,) if kind < 3 else (0, 1)), 20, where + f"codec {codec}")
            need(codec or raw == stored and raw_hash == stored_hash, 21, where + "raw")
            need(kind == 1 or 1 <= raw <= 1 << 26, 22, where + f"raw size {raw}")
        sections.append({"kind": kind, "name": name, "codec": codec, "offset": offset,
                         "stored_size": stored, "raw_size": raw, "stored_hash": stored_hash,
                         "raw_hash": raw_hash, "known": expected is not None})
        end, before = offset + stored, kind
    need(up(end, 64) == table, 18, "hole before the table")
    need({1, 2, 3} <= {s["kind"] for s in sections}, 23, "a required section is missing")
    digest = hashlib.sha256(b"vlmz root 1\n")
    for s in sections:
        digest.update(struct.pack("<IQQ", s["kind"], s["raw_size"], s["raw_hash"]))
    need(digest.digest() == root, 24, "root hash")
    end = 128
    for start, size in [(s["offset"], s["stored_size"]) for s in sections] + [(table, 0)]:
        need(not any(data[end:start]), 19, f"padding at {end}")
        end = start + size
    return sections, root, version


def section_bytes(data, section):
    stored = data[section["offset"]:section["offset"] + section["stored_size"]]
    where = f"section '{section['name']}': "
    need(xxh64(stored) == section["stored_hash"], 25, where + "stored hash")
    if not section["known"] or section["codec"] == 0:
        return stored
    raw = unzstd(stored, section["raw_size"])
    need(xxh64(raw) == section["raw_hash"], 32, where + "raw hash")
    return raw


def read_index(index, data_section, version):
    need(len(index) >= 8, 33, "index too short")
    count, reserved = struct.unpack_from("<II", index)
    need(1 <= count <= (len(index) - 8) // 40, 33, f"tensor count {count}")
    need(reserved == 0, 43, "reserved field of the index")
    tensors, seen, before, at = [], set(), None, 8
    for i in range(count):
        where = f"entry {i}: "
        need(len(index) >= at + 32, 34, where + "cut off")
        (length, scheme, layout, order, role, rank, reserved, offset, size,
         tensor_hash) = struct.unpack_from("<HBBBBBBQQQ", index, at)
        need(1 <= length <= 512, 36, where + f"name length {length}")
        need(rank <= 8, 41, where + f"rank {rank}")
        end = up(at + 32 + 8 * rank + length, 8)
        need(len(index) >= end, 34, where + "cut off")
        shape = list(struct.unpack_from(f"<{rank}Q", index, at + 32))
        name = index[at + 32 + 8 * rank:][:length]
        need(reserved == 0 and not any(index[at + 32 + 8 * rank + length:end]), 43,
             where + "reserved bytes")
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(37, where + "name is not UTF-8") from None
        need(all(unicodedata.category(c) != "Cc" for c in text), 37, where + "control character")
        need(before is None or name > before, 38, where + "names ascend")
        need(1 <= scheme <= (5 if version < 3 else 8) and layout < 2 and order < 3
             and role <= (5 if version < 2 else 6), 40, where + "codes")
        need(all(1 <= extent < 1 << 63 for extent in shape), 42, where + f"shape {shape}")
        expected = byte_count(scheme, layout, order, shape)
        need(expected is not None, 44, where + f"no size for shape {shape}")
        need(size == expected, 45, where + f"byte count {size}, expected {expected}")
        need(offset < 1 << 63, 46, where + f"offset {offset}")
        need(unicodedata.normalize("NFC", text) not in seen, 39, where + "equivalent name")
        seen.add(unicodedata.normalize("NFC", text))
        tensors.append({"name": text, "scheme": SCHEMES[scheme], "layout": layout, "order": order,
                        "role": role, "shape": shape, "offset": offset, "size": size,
                        "hash": tensor_hash})
        before, at = name, end
    need(at == len(index), 35, "bytes after the last entry")
    end = 0
    for t in sorted(tensors, key=lambda t: t["offset"]):
        need(t["offset"] == up(end, 64), 46, f"tensor '{t['name']}': offset {t['offset']}")
        end = t["offset"] + t["size"]
        need(end <= data_section["raw_size"], 47, f"tensor '{t['name']}' ends after the data")
    need(end == data_section["raw_size"], 47, "data after the last tensor")
    hashes = b"".join(struct.pack("<Q", t["hash"]) for t in tensors)
    need(xxh64(hashes) == data_section["stored_hash"], 48, "hash of the tensor data")
    return tensors


def check_tensors(data, base, tensors):
    end = base
    for t in sorted(tensors, key=lambda t: t["offset"]):
        start = base + t["offset"]
        need(not any(data[end:start]), 49, f"padding at {end}")
        end = start + t["size"]
        need(xxh64(data[start:end]) == t["hash"], 50, f"tensor '{t['name']}': hash")
        if t["layout"]:
            rows = t["shape"][0]
            inputs = 1
            for extent in t["shape"][1:]:
                inputs *= extent
            code = next(k for k, v in SCHEMES.items() if v == t["scheme"])
            found = vlmz_blocks.problems(data[start:end], code, rows, inputs)
            need(not found, 51, f"tensor '{t['name']}': {found[:1]}")


def check_chat_template(text):
    """The JSON of section 7, by the words of the document."""
    def need_template(condition, what):
        if not condition:
            raise Refused(0, f"section 'chat template': {what}")
    try:
        template = json.loads(text)
    except ValueError:
        template = None
    need_template(isinstance(template, dict), "no object")
    version = template.get("version", 1)
    need_template(version in (1, 2), f"version {version}")
    need_template(isinstance(template.get("source", ""), str), "source")
    if version == 1:
        return
    named = template.get("named", [])
    need_template(isinstance(named, list) and len(named) < 64, "named")
    names = [n.get("name") for n in named if isinstance(n, dict) and isinstance(n.get("source"), str)]
    need_template(len(names) == len(named) and all(isinstance(n, str) for n in names), "named")
    need_template(len({"default", *names}) == len(names) + 1, "named: a name twice")
    tokens = template.get("tokens", {})
    need_template(
        isinstance(tokens, dict) and all(isinstance(t, str) for t in tokens.values()), "tokens")
    need_template(isinstance(template.get("adds_bos", False), bool), "adds_bos")


def check_labels(raw):
    """Section "Labels": an array of names, or an object that says what the scores are."""
    try:
        labels = json.loads(raw)
    except ValueError:
        raise Refused(0, "section 'labels': no JSON") from None
    names = labels
    if isinstance(labels, dict):
        need(labels.get("scores") in ("softmax", "sigmoid", "raw"), 0,
             f"section 'labels': scores {labels.get('scores')}")
        names = labels.get("names") or []
    need(isinstance(names, list) and all(isinstance(name, str) for name in names), 0,
         "section 'labels': names")


def read(data):
    """Checks everything. Returns root hash, sections with their bytes, tensors."""
    sections, root, version = read_table(data)
    index = next(s for s in sections if s["kind"] == 2)
    tensor_data = next(s for s in sections if s["kind"] == 1)
    tensors = read_index(section_bytes(data, index), tensor_data, version)
    for s in sections:
        if s["kind"] != 1:
            s["bytes"] = section_bytes(data, s)
    check_tensors(data, tensor_data["offset"], tensors)
    for s in sections:
        if s["kind"] == 7:
            check_chat_template(s["bytes"])
        if s["kind"] == 4:
            check_labels(s["bytes"])
        if s["kind"] == 6:
            try:
                vlmz_tokenizer.read(s["bytes"])
            except vlmz_tokenizer.Refused as error:
                raise Refused(0, f"section 'tokenizer': {error}") from None
    return root, sections, tensors


def main(arguments):
    mode = arguments.pop(0) if arguments and arguments[0].startswith("--") else None
    kind = int(arguments.pop(0)) if mode == "--section" else None
    status = 0
    for path in arguments:
        try:
            with open(path, "rb") as file:
                root, sections, tensors = read(file.read())
        except Refused as error:
            print(f"{path}: refused: {error}")
            status = 65
            continue
        if mode == "--section":
            sys.stdout.buffer.write(next(s["bytes"] for s in sections if s["kind"] == kind))
        elif mode == "--json":
            for s in sections:
                s.pop("bytes", None)
            print(json.dumps({"root": root.hex(), "sections": sections, "tensors": tensors}))
        else:
            print(f"{path}: ok: root {root.hex()}, {len(sections)} sections, "
                  f"{len(tensors)} tensors")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
