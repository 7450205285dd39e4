#!/usr/bin/env python3
"""Writes the image goldens that Pillow decides: SHA-256 digests of RGB bytes.

    pip install pillow==13.0.0
    scripts/make-image-goldens.py            from the project's root

Tests/Fixtures/pngsuite/pillow.json   of Image.open(file).convert("RGB"), for each sound file
Tests/Fixtures/preprocess/pillow.json of Image.resize over seeded noise, for each filter and for
                                      shapes on both sides of the rule that orders the passes
"""

import hashlib
import json
import pathlib

import PIL
from PIL import Image

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Fixtures"
FILTERS = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
SHAPES = [
    (60, 80, 21, 28), (80, 60, 28, 21), (80, 60, 32, 32), (60, 80, 32, 32), (17, 120, 16, 30),
    (40, 60, 30, 40), (40, 60, 30, 39), (40, 60, 90, 59), (40, 60, 90, 61), (1, 97, 24, 24),
    (97, 1, 24, 24), (5, 7, 64, 64), (100, 100, 1, 1), (33, 50, 33, 20), (33, 50, 20, 50),
]


def digest(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


def noise(width, height, seed):
    """SplitMix64, the low byte of each number."""
    mask, out = (1 << 64) - 1, bytearray()
    for _ in range(width * height * 3):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out.append((z ^ (z >> 31)) & 255)
    return Image.frombytes("RGB", (width, height), bytes(out))


def write(path, value):
    value = {"pillow": PIL.__version__, **value}
    path.write_text(json.dumps(value, indent=1) + "\n")


suite = FIXTURES / "pngsuite"
files = {
    path.name: digest(Image.open(path).convert("RGB"))
    for path in sorted(suite.glob("*.png"))
    if not path.name.startswith("x")
}
write(suite / "pillow.json", {"files": files})

resizes = []
for seed, (width, height, to_width, to_height) in enumerate(SHAPES):
    source = noise(width, height, seed)
    for code, name in enumerate(FILTERS):
        result = source.resize((to_width, to_height), code)
        resizes.append([seed, width, height, to_width, to_height, name, digest(result)])
write(FIXTURES / "preprocess" / "pillow.json", {"resizes": resizes})
