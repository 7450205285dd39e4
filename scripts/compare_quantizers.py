#!/usr/bin/env python3
"""Measures q3 to q8 against other 4-bit schemes: the tables of docs/quantization.md.

  python3 scripts/compare_quantizers.py [safetensors file ...]

Builds the encoders from Sources/CVLMKernels with the C compiler in $CC (clang; the sources use its
vectors) and needs numpy. Rows are Gaussian, Laplace and t-distributed (seed 1), then all matrices
of the files given. Error: sqrt(sum (w - v)^2 / sum w^2) over all of them.

The other schemes are written here from their formats, in f32 with their scales rounded as stored:
  Q4_0  blocks of 32, f16 scale = w / -8 of the value w largest in size, codes 0...15 around 8
  Q4_1  blocks of 32, f16 scale and minimum, from the block's minimum and maximum
  Q4_K  blocks of 256 in groups of 32, 6-bit scales and minima under an f16 pair; each group's scale
        and minimum searched over 21 ranges with a least-squares fit, like its reference encoder
"""
import ctypes
import glob
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Panel(ctypes.Structure):
    _fields_ = [("rows", ctypes.c_void_p), ("row_count", ctypes.c_size_t),
                ("row_stride", ctypes.c_size_t), ("inputs", ctypes.c_size_t),
                ("importance", ctypes.c_void_p), ("panel", ctypes.c_void_p),
                ("scratch", ctypes.c_void_p)]


class Stats(ctypes.Structure):
    _fields_ = [("count", ctypes.c_uint64), ("not_finite", ctypes.c_uint64),
                ("overflowed", ctypes.c_uint64), ("error", ctypes.c_double),
                ("value", ctypes.c_double), ("decoded", ctypes.c_double),
                ("dot", ctypes.c_double), ("max_error", ctypes.c_double)]


ENCODE = ctypes.CFUNCTYPE(None, ctypes.POINTER(Panel), ctypes.POINTER(Stats))


class Encoder(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("q8", ENCODE), ("q3", ENCODE), ("q4", ENCODE),
                ("q5", ENCODE), ("q6", ENCODE), ("q4_min_max", ENCODE), ("f16", ENCODE), ("bf16", ENCODE)]


def load_encoders():
    kernels = os.path.join(ROOT, "Sources/CVLMKernels")
    sources = sorted(glob.glob(os.path.join(kernels, "**/*.c"), recursive=True))
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "encode.so")
        subprocess.run(
            [os.environ.get("CC", "clang"), "-std=c17", "-O3", "-ffp-contract=off", "-Wno-psabi",
             "-shared", "-fPIC", "-o", library, "-I", os.path.join(kernels, "include"), *sources,
             "-lm"], check=True)
        handle = ctypes.CDLL(library)
    handle.vlm_encoder_for.restype = ctypes.POINTER(Encoder)
    handle.vlm_encode_scratch_bytes.restype = ctypes.c_size_t
    handle.vlm_encoder_best.restype = ctypes.POINTER(Encoder)
    handle.vlm_isa_name.restype = ctypes.c_char_p
    count = next(isa for isa in range(100) if not handle.vlm_isa_name(isa))
    found = [handle.vlm_encoder_for(isa) for isa in range(count)] + [handle.vlm_encoder_best()]
    # Kernel sets share encoders.
    return handle, list({e.contents.name: e.contents for e in found if e}.values())


def encode(handle, function, weights, panel_bytes):
    """Sum of squared error, bits per weight and seconds."""
    weights = np.ascontiguousarray(weights, np.float32)
    outputs, inputs = weights.shape
    size = panel_bytes(-(-inputs // 32))
    scratch = np.zeros(handle.vlm_encode_scratch_bytes(inputs) + 64, np.uint8)
    aligned = scratch.ctypes.data + -scratch.ctypes.data % 64
    panel, stats = np.zeros(size, np.uint8), Stats()
    start = time.process_time()
    for first in range(0, outputs, 16):
        work = Panel(weights[first:].ctypes.data, min(16, outputs - first), inputs, inputs, None,
                     panel.ctypes.data, aligned)
        function(ctypes.byref(work), ctypes.byref(stats))
    seconds = time.process_time() - start
    return stats.error, -(-outputs // 16) * size * 8 / weights.size, seconds


def f16(values):
    return values.astype(np.float16).astype(np.float32)


def groups_of(weights, size):
    """Rows cut into groups, the last of a row filled with zeros."""
    outputs, inputs = weights.shape
    padded = np.zeros((outputs, -(-inputs // size) * size), np.float32)
    padded[:, :inputs] = weights
    return padded.reshape(-1, size)


def quotient(a, b):
    """a / b, and 0 where b is."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(a.shape, np.float32), where=b != 0)


def q4_0(weights):
    x = groups_of(weights, 32)
    largest = np.take_along_axis(x, np.abs(x).argmax(1)[:, None], 1)
    inverse = quotient(np.float32(1), largest / -8)
    codes = np.clip(np.floor(x * inverse + 8.5), 0, 15)
    return ((x - (codes - 8) * f16(largest / -8)) ** 2).sum(), 4.5


def q4_1(weights):
    x = groups_of(weights, 32)
    low, high = x.min(1, keepdims=True), x.max(1, keepdims=True)
    scale = (high - low) / 15
    codes = np.clip(np.floor(quotient(x - low, scale) + 0.5), 0, 15)
    return ((x - codes * f16(scale) - f16(low)) ** 2).sum(), 5.0


def q4_k(weights):
    x = groups_of(weights, 32)
    low = np.minimum(x.min(1, keepdims=True), 0)
    high = x.max(1, keepdims=True)
    best_error = np.full_like(low, np.inf)
    best_scale, best_low = np.zeros_like(low), low.copy()
    for i in range(21):
        inverse = quotient(np.float32(14 + 0.1 * i), high - low)
        codes = np.clip(np.rint((x - low) * inverse), 0, 15)
        n, s, ss = 32, codes.sum(1, keepdims=True), (codes ** 2).sum(1, keepdims=True)
        sx, scx = x.sum(1, keepdims=True), (x * codes).sum(1, keepdims=True)
        determinant = n * ss - s * s
        scale = quotient(n * scx - s * sx, determinant)
        minimum = quotient(ss * sx - s * scx, determinant)
        above = minimum > 0  # the format subtracts the minimum, so it cannot be positive
        scale = np.where(above, quotient(scx, ss), scale)
        minimum = np.where(above, 0, minimum)
        error = ((x - scale * codes - minimum) ** 2).sum(1, keepdims=True)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_scale = np.where(better, scale, best_scale)
        best_low = np.where(better, minimum, best_low)
    count = -(-len(x) // 8) * 8 - len(x)
    pad = lambda a: np.concatenate([a, np.zeros((count, 1), np.float32)]).reshape(-1, 8)
    def six_bits(values):
        unit = values.max(1, keepdims=True) / 63
        codes = np.clip(np.rint(quotient(values, unit)), 0, 63)
        return (f16(unit) * codes).reshape(-1, 1)[: len(x)]
    scale, minimum = six_bits(pad(np.maximum(best_scale, 0))), six_bits(pad(-best_low))
    codes = np.clip(np.rint(quotient(x + minimum, scale)), 0, 15)
    return ((x - codes * scale + minimum) ** 2).sum(), 4.5


def matrices(path):
    """All tensors of two or more axes but depthwise ones, as f32 matrices [outputs][inputs]."""
    types = {"F32": np.float32, "F16": np.float16}
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header, data = json.loads(file.read(length)), file.read()
    for name, entry in sorted(header.items()):
        shape = entry.get("shape", [])
        if len(shape) < 2 or (len(shape) == 4 and shape[1] == 1) or entry["dtype"] not in types:
            continue
        begin, end = entry["data_offsets"]
        tensor = np.frombuffer(data[begin:end], types[entry["dtype"]]).astype(np.float32)
        tensor = tensor.reshape(shape)
        if len(shape) == 4:
            tensor = tensor.transpose(0, 2, 3, 1)
        yield tensor.reshape(shape[0], -1)


def main():
    handle, encoders = load_encoders()
    best = encoders[-1]
    def coded(bits):
        return lambda blocks: blocks * 64 * bits + (blocks * 32 + 63) // 64 * 64 + 128

    q8_bytes = lambda blocks: blocks * 512 + 128
    random = np.random.default_rng(1)
    shape = (256, 1024)
    sets = {"Gaussian": [random.standard_normal(shape)], "Laplace": [random.laplace(size=shape)],
            "t, 5 degrees": [random.standard_t(5, shape)],
            "t, 3 degrees": [random.standard_t(3, shape)]}
    for path in sys.argv[1:]:
        sets[os.path.basename(os.path.dirname(os.path.abspath(path)))] = list(matrices(path))

    schemes = {
        "Q4_0": q4_0, "Q4_1": q4_1, "Q4_K": q4_k,
        "q4 min/max": lambda w: encode(handle, best.q4_min_max, w, coded(4))[:2],
        "q3": lambda w: encode(handle, best.q3, w, coded(3))[:2],
        "q4": lambda w: encode(handle, best.q4, w, coded(4))[:2],
        "q5": lambda w: encode(handle, best.q5, w, coded(5))[:2],
        "q6": lambda w: encode(handle, best.q6, w, coded(6))[:2],
        "q8": lambda w: encode(handle, best.q8, w, q8_bytes)[:2]}
    print("Relative RMSE in percent (bits per weight)\n")
    print("| Weights |", " | ".join(schemes), "|")
    print("| --- |", " | ".join("---:" for _ in schemes), "|")
    for name, tensors in sets.items():
        tensors = [np.ascontiguousarray(t, np.float32) for t in tensors]
        cells, total = [], sum(t.size for t in tensors)
        square = sum(float((t.astype(np.float64) ** 2).sum()) for t in tensors)
        for scheme in schemes.values():
            results = [scheme(t) for t in tensors]
            error = sum(float(e) for e, _ in results)
            bits = sum(b * t.size for (_, b), t in zip(results, tensors)) / total
            cells.append(f"{100 * (error / square) ** 0.5:.2f} ({bits:.2f})")
        print(f"| {name} |", " | ".join(cells), "|")

    weights = random.standard_normal((512, 4096)).astype(np.float32)
    print("\nMB/s of f32 read, one core\n\n| Instruction set | q3 | q4 | q5 | q6 | q8 |")
    print("| --- |", " | ".join(["---:"] * 5), "|")
    for encoder in encoders:
        runs = [(encoder.q3, coded(3)), (encoder.q4, coded(4)), (encoder.q5, coded(5)),
                (encoder.q6, coded(6)), (encoder.q8, q8_bytes)]
        speed = [weights.nbytes / 1e6 / min(encode(handle, f, weights, b)[2] for _ in range(3))
                 for f, b in runs]
        print(f"| {encoder.name.decode()} |", " | ".join(f"{s:.0f}" for s in speed), "|")


if __name__ == "__main__":
    sys.exit(main())
