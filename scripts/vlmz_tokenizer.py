#!/usr/bin/env python3
"""A second reader of the section 'tokenizer', after formats/tokenizer.md and nothing else, and the
files that show its rules.

  vlmz_tokenizer.py FILE...      one line per file: what it holds, or the first rule it breaks
"""
import math
import re
import struct
import sys

NONE = 0xffffffff


class Refused(Exception):
    def __init__(self, rule, text):
        super().__init__(f"{text} [T{rule:02d}]")


def need(condition, rule, text):
    if not condition:
        raise Refused(rule, text)


def read(data):
    """Checks everything. Returns the fields, with pieces as bytes."""
    need(len(data) >= 64, 1, f"{len(data)} bytes")
    (version, algorithm, prefix, flags, pieces, text, merges, added, steps, bos, eos, unknown, pad,
     context) = struct.unpack_from("<HBBIIIIIIIIIII", data)
    need(version in (1, 2, 3), 2, f"version {version}")
    need(1 <= algorithm <= (5 if version == 3 else 4), 3, f"algorithm {algorithm}")
    need(prefix <= 3, 4, f"prefix {prefix}")
    need(flags < (512 if version == 3 else 256), 5, f"flags {flags:#x}")
    expressions = struct.unpack_from("<I", data, 48)[0] if version > 1 else 0
    character_map = struct.unpack_from("<I", data, 52)[0] if version == 3 else 0
    need(not any(data[44 + 4 * version:64]), 6, "reserved bytes")
    has_scores = algorithm in (1, 5)
    scores = pieces if has_scores else 0
    size = 64 + 4 * pieces + 4 * scores + 12 * merges + 8 * added + 4 * steps + pieces + text
    size += expressions + character_map
    need(len(data) == size, 7, f"{len(data)} bytes, expected {size}")
    need(1 <= pieces <= 1 << 21 and text <= 1 << 26, 8, f"{pieces} pieces of {text} bytes")
    at = 64

    def take(layout, count):
        nonlocal at
        values = list(struct.iter_unpack(layout, data[at:at + count * struct.calcsize(layout)]))
        at += count * struct.calcsize(layout)
        return values if len(layout) > 2 else [v for v, in values]

    ends = take("<I", pieces)
    score_list = take("<f", scores)
    merge_list = take("<III", merges)
    added_list = take("<II", added)
    step_list = take("<I", steps)
    kinds = list(data[at:at + pieces])
    at += pieces
    need(all(a <= b for a, b in zip([0] + ends, ends)) and ends[-1] == text, 9, "ends of pieces")
    need(all(math.isfinite(s) for s in score_list), 10, "scores")
    need(merges <= 1 << 22 and not (has_scores and merges), 11, f"{merges} merges")
    need(all(max(m) < pieces for m in merge_list), 11, "a merge of other pieces")
    need(all(i < pieces and f < 32 for i, f in added_list), 12, "added tokens")
    need(len({i for i, _ in added_list}) == added, 12, "an added token twice")
    normal = [*range(7, 12), *(range(14, 21) if version == 3 else ())]
    changes = next((i for i, s in enumerate(step_list) if s not in normal), steps)
    known = range(7) if version == 1 else [*range(7), 13]
    need(steps <= 16 and all(s in known or version > 1 and is_expression(s)
                             for s in step_list[changes:]), 13, "steps")
    need(algorithm in (3, 4) or changes == steps, 13, "words of spaced text")
    need(all(1 <= k <= 6 for k in kinds), 14, "kinds of pieces")
    need(all(i == NONE or i < pieces for i in (bos, eos, unknown, pad)), 15, "special pieces")
    need(context <= 1 << 16, 16, f"context of {context}")
    spelled = [data[at + a:at + b] for a, b in zip([0] + ends, ends)]
    if character_map:
        blob = data[len(data) - character_map:]
        need(8 < character_map <= 1 << 22, 20, f"a map of {character_map} bytes")
        trie = struct.unpack_from("<I", blob)[0]
        need(0 < trie <= character_map - 4 and trie % 4 == 0, 20, f"a trie of {trie} bytes")
        need(all(unit & 0x7fffffff < character_map - 4 - trie
                 for unit, in struct.iter_unpack("<I", blob[4:4 + trie]) if unit >> 31), 20,
             "a replacement behind the map")
    need(step_list.count(14) == (1 if character_map else 0), 20, "a map and a step for it")
    sources, end = [], at + text
    data = data[:len(data) - character_map]
    for step in step_list:
        if not is_expression(step):
            continue
        need(len(data) - end >= 4, 18, "a missing expression")
        length = struct.unpack_from("<I", data, end)[0]
        need(1 <= length <= 8192 and length <= len(data) - end - 4, 18, f"{length} bytes")
        try:
            sources.append(data[end + 4:end + 4 + length].decode())
        except UnicodeDecodeError:
            need(False, 18, "an expression that is no UTF-8")
        # Not all that makes an expression unusable: what engines are known to read unlike.
        need(not re.search(r"\\[1-9GKXk]|\(\?[^:=!<>i#-]", sources[-1]), 19, sources[-1])
        end += 4 + length
    need(end == len(data), 18, "more expressions than steps")
    if flags & 1:
        names = {p for p, k in zip(spelled, kinds) if k == 6}
        need(all(b"<0x%02X>" % b in names for b in range(256)), 17, "byte pieces")
    return {"algorithm": algorithm, "prefix": prefix, "flags": flags, "pieces": spelled,
            "kinds": kinds, "scores": score_list, "merges": merge_list, "added": added_list,
            "steps": step_list, "expressions": sources, "bos": bos, "eos": eos, "unknown": unknown, "pad": pad,
            "context": context}


def is_expression(step):
    return step & 0xff == 12 and step >> 12 == 0 and step >> 8 & 7 <= 4


def make(pieces, algorithm=1, prefix=1, flags=0x28, scores=None, merges=(), added=(), steps=(),
         bos=1, eos=2, unknown=0, pad=NONE, context=0, version=1, reserved=0, ends=None, tail=b"",
         text_size=None, expressions=(), character_map=b""):
    """A section; every argument may be wrong."""
    tail = character_map + tail
    if expressions:
        version, tail = max(version, 2), b"".join(struct.pack("<I", len(e)) + e for e in expressions) + tail
    text = b"".join(p for p, _ in pieces)
    if ends is None:
        ends, end = [], 0
        for p, _ in pieces:
            end += len(p)
            ends.append(end)
    if scores is None:
        scores = [-float(i) for i in range(len(pieces))] if algorithm in (1, 5) else []
    out = struct.pack("<HBBIIIIIIIIIII", version, algorithm, prefix, flags, len(pieces),
                      len(text) if text_size is None else text_size, len(merges), len(added),
                      len(steps), bos, eos, unknown, pad, context)
    out += struct.pack("<II", sum(4 + len(e) for e in expressions), len(character_map)) + bytes(4)
    out += struct.pack("<I", reserved)
    out += struct.pack(f"<{len(ends)}I", *ends) + struct.pack(f"<{len(scores)}f", *scores)
    out += b"".join(struct.pack("<III", *m) for m in merges)
    out += b"".join(struct.pack("<II", *a) for a in added)
    out += struct.pack(f"<{len(steps)}I", *steps) + bytes(k for _, k in pieces) + text
    return out + tail


MARK = "\u2581".encode()
BASE = [(b"<unk>", 2), (b"<s>", 3), (b"</s>", 3), (MARK + b"a", 1), (MARK, 1), (b"a", 1), (b"b", 1)]
SPECIAL = [(0, 1), (1, 1), (2, 1)]
BYTES = [(b"<0x%02X>" % b, 6) for b in range(256)]
LETTERS = [(bytes([b]), 1) for b in range(97, 123)]
SMALL = make(BASE, added=SPECIAL)

# "b" becomes "a".
MAP = struct.pack("<IIII", 12, 0x63 << 10, 0x62 | 1 << 8 | 3 << 10, 1 << 31) + b"a\0"

ACCEPT = {
    "scores": SMALL,
    "unigram": make(BASE, 5, added=SPECIAL, version=3),
    "character-map": make(BASE, 5, steps=[16, 14, 15], character_map=MAP, version=3),
    "padding-in-front": make(BASE, flags=0x128, pad=2, version=3),
    "byte-fallback": make(BASE + BYTES, flags=0x29, added=SPECIAL),
    "byte-merges": make(LETTERS + [(b"ab", 1), (b"<|end|>", 3)], 3, 0, 0, merges=[(0, 1, 26)],
                        added=[(27, 1)], steps=[1, 3], bos=NONE, eos=27, unknown=NONE),
    "clip": make(LETTERS + [(bytes([b]) + b"</w>", 1) for b in range(97, 123)] + [(b"ab</w>", 1)],
                 4, 0, 24, merges=[(0, 27, 52)], steps=[6], bos=0, eos=1, unknown=NONE, pad=0,
                 context=77),
    "changes": make(BASE, flags=0xa8, steps=[7, 11, 10], added=[(1, 17)]),
    "changed-bytes": make(LETTERS, 3, 0, 0, steps=[7, 9, 1, 3]),
    "expressions": make(LETTERS, 3, 0, 0, steps=[7, 12, 12 | 1 << 8 | 1 << 11, 13, 3],
                        expressions=[rb"\p{L}+|[^\s\p{L}&&[^0-9]]+", rb"\S{1,3}"]),
    "one-piece": make([(b"", 1)], 2, 0, 0, bos=NONE, eos=NONE, unknown=NONE),
}
REJECT = {
    "T01-empty": b"",
    "T01-header-cut-off": SMALL[:63],
    "T02-version": make(BASE, version=4),
    "T03-algorithm-0": make(BASE, 0, scores=[]),
    "T03-algorithm-5": make(BASE, 5),
    "T04-prefix": make(BASE, prefix=4),
    "T05-flags": make(BASE, flags=256),
    "T06-reserved": make(BASE, reserved=1),
    "T07-cut-off": SMALL[:-1],
    "T07-trailing-byte": make(BASE, tail=b"x"),
    "T07-text-of-4-GB": make(BASE, text_size=NONE),
    "T08-no-pieces": make([], bos=NONE, eos=NONE, unknown=NONE),
    "T09-descending": make(BASE, ends=[5, 3, 12, 16, 19, 20, 21]),
    "T09-short": make(BASE, ends=[5, 8, 12, 16, 19, 20, 20]),
    "T09-past-the-text": make(BASE, ends=[5, 8, 12, 16, 19, 20, NONE]),
    "T10-not-a-number": make(BASE, scores=[0, 0, 0, float("nan"), 0, 0, 0]),
    "T10-infinite": make(BASE, scores=[0, 0, 0, 0, 0, 0, -math.inf]),
    "T11-merges-and-scores": make(BASE, merges=[(4, 5, 3)]),
    "T11-merge-of-nothing": make(LETTERS, 3, merges=[(0, 1, 26)]),
    "T12-no-such-piece": make(BASE, added=[(7, 1)]),
    "T12-unknown-flags": make(BASE, added=[(1, 32)]),
    "T12-twice": make(BASE, added=[(1, 1), (1, 0)]),
    "T13-unknown-step": make(LETTERS, 3, steps=[12]),
    "T13-changes-after-words": make(LETTERS, 3, steps=[3, 7]),
    "T13-words-of-spaced-text": make(BASE, steps=[7, 3]),
    "T13-too-many": make(LETTERS, 3, steps=[1] * 17),
    "T13-expression-in-version-1": make(LETTERS, 3, steps=[12]),
    "T13-unknown-behavior": make(LETTERS, 3, steps=[12 | 5 << 8], expressions=[b"a"]),
    "T13-canonical-in-version-2": make(BASE, steps=[16], version=2),
    "T20-map-without-step": make(BASE, 5, character_map=MAP, version=3),
    "T20-step-without-map": make(BASE, 5, steps=[14], version=3),
    "T20-trie-past-the-map": make(BASE, 5, steps=[14], character_map=b"\xff" + MAP[1:], version=3),
    "T20-replacement-past-the-map": make(
        BASE, 5, steps=[14], character_map=MAP[:12] + b"\xff\xff\xff\xff" + MAP[16:], version=3),
    "T14-kind-0": make(BASE[:-1] + [(b"b", 0)]),
    "T14-kind-7": make(BASE[:-1] + [(b"b", 7)]),
    "T15-eos": make(BASE, eos=7),
    "T16-context": make(BASE, context=65537),
    "T17-no-bytes": make(BASE, flags=0x29),
    "T17-one-missing": make(BASE + BYTES[:-1], flags=0x29),
    "T18-one-too-many": make(LETTERS, 3, 0, 0, steps=[12], expressions=[b"a", b"b"], eos=NONE),
    "T19-back-reference": make(LETTERS, 3, 0, 0, steps=[12], expressions=[rb"(a)\1"], eos=NONE),
}


def main(arguments):
    status = 0
    for path in arguments:
        try:
            with open(path, "rb") as file:
                found = read(file.read())
            print(f"{path}: ok: {len(found['pieces'])} pieces")
        except Refused as error:
            print(f"{path}: refused: {error}")
            status = 65
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
