#!/usr/bin/env python3
"""Decodes and checks the tensor bytes of a .vlmz file, after formats/blocks.md and nothing else.

Plain Python, slow and readable. `decode(data, scheme, outputs, inputs)` returns rows of floats;
`problems(...)` lists the rules that the bytes break.

  vlmz_blocks.py                                       checks itself on the document's example
  vlmz_blocks.py decode SCHEME OUTPUTS INPUTS < bytes  writes W as row-major f32; exits 1 and says
                                                       why when the bytes break a rule
"""
import struct
import sys

OUTPUTS, BLOCK = 16, 32
F32, F16, BF16, Q8, Q4, Q3, Q5, Q6 = 1, 2, 3, 4, 5, 6, 7, 8
BITS = {Q3: 3, Q4: 4, Q5: 5, Q6: 6}  # of a code, with a step and an offset per block


def panel_bytes(scheme, inputs):
    blocks = -(-inputs // BLOCK)
    if scheme == Q8:
        return blocks * 512 + 128
    if scheme in BITS:
        return blocks * 64 * BITS[scheme] + -(-blocks * 32 // 64) * 64 + 128
    if scheme in (F16, BF16):
        return blocks * 1024
    raise ValueError(f"scheme {scheme} has no panels")


def matrix_bytes(scheme, outputs, inputs):
    return -(-outputs // OUTPUTS) * panel_bytes(scheme, inputs)


def f32(value):
    """The value rounded to binary32; too large becomes infinite."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def bf16_value(code):
    return struct.unpack("<f", struct.pack("<I", code << 16))[0]


def row_major(data, scheme):
    """The values of a row-major tensor."""
    if scheme == F32:
        return [v for (v,) in struct.iter_unpack("<f", data)]
    if scheme == F16:
        return [v for (v,) in struct.iter_unpack("<e", data)]
    if scheme == BF16:
        return [bf16_value(v) for (v,) in struct.iter_unpack("<H", data)]
    raise ValueError(f"scheme {scheme} is never row-major")


class Panel:
    """One panel; `code(n, k)` is the stored integer or the half's bits."""

    def __init__(self, data, scheme, inputs):
        self.data, self.scheme, self.inputs = data, scheme, inputs
        self.blocks = -(-inputs // BLOCK)
        self.bits = BITS.get(scheme)
        if scheme == Q8 or self.bits:
            tail = len(data) - 128
            self.scale = struct.unpack_from("<16f", data, tail)
            self.sum = struct.unpack_from("<16i", data, tail + 64)

    def code(self, n, k):
        if self.scheme == Q8:
            return struct.unpack_from("<b", self.data, k // 4 * 64 + n * 4 + k % 4)[0]
        if self.bits:
            first = k // BLOCK * 64 * self.bits + n * 4 + k % 4
            return self.unpacked(self.data[first : first + 64 * self.bits : 64])[k % BLOCK // 4]
        at = k * 32 + n * 2 if self.scheme == F16 else k // 2 * 64 + n * 4 + k % 2 * 2
        return struct.unpack_from("<H", self.data, at)[0]

    def unpacked(self, byte):
        """The eight codes in as many bytes as a code has bits."""
        if self.scheme == Q4:
            return [b >> shift & 15 for b in byte for shift in (0, 4)]
        if self.scheme == Q5:
            low = [b & 31 for b in byte]
            return low + [
                byte[0] >> 5 | (byte[1] >> 5 & 3) << 3, byte[2] >> 5 | (byte[3] >> 5 & 3) << 3,
                byte[4] >> 5 | (byte[1] >> 7) << 3 | (byte[3] >> 7) << 4]
        fields = []  # of six bits, four in three bytes
        for three in (byte[i : i + 3] for i in range(0, len(byte), 3)):
            fields += [b & 63 for b in three]
            fields.append(sum(b >> 6 << 2 * t for t, b in enumerate(three)))
        return fields if self.scheme == Q6 else [f >> shift & 7 for f in fields for shift in (0, 3)]

    def group(self, n, block):
        at = self.blocks * 64 * self.bits + block * 32
        return self.data[at + n], struct.unpack_from("<b", self.data, at + 16 + n)[0]

    def integer(self, n, k):
        """What is multiplied by the scale."""
        if self.scheme == Q8:
            return self.code(n, k)
        step, offset = self.group(n, k // BLOCK)
        return step * self.code(n, k) + offset

    def value(self, n, k):
        if self.scheme == F16:
            return struct.unpack("<e", struct.pack("<H", self.code(n, k)))[0]
        if self.scheme == BF16:
            return bf16_value(self.code(n, k))
        return f32(self.scale[n] * self.integer(n, k))  # exact in binary64, rounded once

    def problems(self, rows):
        found = []
        for n in range(OUTPUTS):
            first = 0 if n >= rows else self.inputs
            if any(self.code(n, k) for k in range(first, self.blocks * BLOCK)):
                found.append(f"B02 output {n}: padding is not zero")
            if self.scheme != Q8 and not self.bits:
                continue
            scale = self.scale[n]
            finite = abs(f32(127 * scale)) < float("inf")  # false for NaN too
            if not finite or scale < 0 or (n >= rows and scale != 0):
                found.append(f"B03 output {n}: scale {scale}")
            if self.scheme == Q8 and any(self.code(n, k) == -128 for k in range(self.inputs)):
                found.append(f"B04 output {n}: code -128")
            for block in range(self.blocks if self.bits else 0):
                step, offset = self.group(n, block)
                highest = ((1 << self.bits) - 1) * step + offset
                if offset < -127 or highest > 127 or n >= rows and (step or offset):
                    found.append(f"B05 output {n} block {block}: step {step}, offset {offset}")
            total = sum(self.integer(n, k) for k in range(self.inputs)) if n < rows else 0
            if self.sum[n] != total:
                found.append(f"B06 output {n}: sum {self.sum[n]}, expected {total}")
        end = self.blocks * (64 * self.bits + 32) if self.bits else len(self.data)
        if any(self.data[end : len(self.data) - 128]):
            found.append("B02 padding between groups and tail is not zero")
        return found


def panels(data, scheme, outputs, inputs):
    size = panel_bytes(scheme, inputs)
    if len(data) != matrix_bytes(scheme, outputs, inputs):
        raise ValueError(f"B01 found {len(data)} bytes, expected "
                         f"{matrix_bytes(scheme, outputs, inputs)}")
    for first in range(0, outputs, OUTPUTS):
        at = first // OUTPUTS * size
        yield first, min(OUTPUTS, outputs - first), Panel(data[at : at + size], scheme, inputs)


def decode(data, scheme, outputs, inputs):
    """W as a list of `outputs` rows of `inputs` floats."""
    return [[panel.value(n, k) for k in range(inputs)]
            for _, rows, panel in panels(data, scheme, outputs, inputs) for n in range(rows)]


def problems(data, scheme, outputs, inputs):
    """The rules that the bytes break, B01 to B06."""
    try:
        return [f"panel {first // OUTPUTS}: {text}"
                for first, rows, panel in panels(data, scheme, outputs, inputs)
                for text in panel.problems(rows)]
    except ValueError as error:
        return [str(error)]


def natural_order(values, shape, order):
    """Stored values, flat, back to the C order of the shape. Orders: 0, 1 and 2 of blocks.md."""
    if order == 0:
        return list(values)
    outputs, middle, height, width = shape
    area = height * width
    if order == 1:
        return [values[(o * area + t) * middle + i]
                for o in range(outputs) for i in range(middle) for t in range(area)]
    return [values[t * outputs + c] for c in range(outputs) for t in range(area)]


def example(size, pieces):
    data = bytearray(size)
    for at, text in pieces.items():
        piece = bytes.fromhex(text)
        data[at : at + len(piece)] = piece
    return bytes(data)


EXAMPLES = [
    (Q8, 5, example(640, {0: "7f8101fe", 64: "10", 68: "81", 512: "0000003f00000040",
                          576: "0f00000081ffffff"}),
     [[63.5, -63.5, 0.5, -1.0, 8.0], [0.0, 0.0, 0.0, 0.0, -254.0]]),
    (Q4, 16, example(448, {0: "4095ea3f", 64: "c81d62b7", 256: "10", 272: "8f7f",
                           320: "0000803e0000803e", 384: "70000000f0070000"}),
     [[0.25 * (16 * (5 * k % 16) - 113) for k in range(16)], [31.75] * 16]),
    (Q5, 32, example(512, {0: "8025ca6f", 64: "94393ec3", 128: "08ad52f7", 192: "7ce1868b",
                           256: "9035da7f", 320: "08", 336: "877f", 384: "0000803e0000803e",
                           448: "60000000e00f0000"}),
     [[0.25 * (8 * (5 * k % 32) - 121) for k in range(32)], [31.75] * 32]),
    (F16, 3, example(1024, {0: "003cff7b", 32: "00c10100", 64: "5535"}),
     [[1.0, -2.5, 0.333251953125], [65504.0, 2.0**-24, 0.0]]),
    (BF16, 3, example(1024, {0: "803f20c0", 4: "80478033", 64: "ab3e"}),
     [[1.0, -2.5, 0.333984375], [65536.0, 2.0**-24, 0.0]]),
]


def decode_stdin(scheme, outputs, inputs):
    data = sys.stdin.buffer.read()
    found = problems(data, scheme, outputs, inputs)
    if found:
        sys.exit("\n".join(found))
    for row in decode(data, scheme, outputs, inputs):
        sys.stdout.buffer.write(struct.pack(f"<{inputs}f", *row))


def main():
    if sys.argv[1:2] == ["decode"]:
        return decode_stdin(*map(int, sys.argv[2:5]))
    for scheme, inputs, data, rows in EXAMPLES:
        assert decode(data, scheme, 2, inputs) == rows, f"scheme {scheme}"
        assert problems(data, scheme, 2, inputs) == [], f"scheme {scheme}"
        assert problems(data[:-1], scheme, 2, inputs)[0].startswith("B01")
        if scheme == Q4:  # padding, and an offset past the int8 bracket
            for at, rule in ((255, "B02"), (319, "B02"), (323, "B03"), (256, "B05"), (384, "B06")):
                broken = bytearray(data)
                broken[at] = 0xFF
                assert any(rule in text for text in problems(bytes(broken), Q4, 2, inputs)), rule
    assert natural_order([0, 2, 1, 3], [1, 2, 1, 2], 1) == [0, 1, 2, 3]
    assert natural_order([0, 2, 1, 3], [2, 1, 1, 2], 2) == [0, 1, 2, 3]
    print("the worked examples of formats/blocks.md decode as the document says")


if __name__ == "__main__":
    sys.exit(main())
