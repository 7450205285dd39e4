#!/usr/bin/env python3
"""Writes the image goldens that Pillow and transformers decide: SHA-256 digests.

    pip install pillow==13.0.0 transformers==5.24.0 timm==1.0.31 torch torchvision safetensors
    scripts/make-image-goldens.py [timm]     from the project's root; "timm" makes timm.json alone

Tests/Fixtures/pngsuite/pillow.json   of Image.open(file).convert("RGB"), for each sound file
Tests/Fixtures/preprocess/pillow.json of Image.resize over seeded noise, for each filter and for
                                      shapes on both sides of the rule that orders the passes
Tests/Fixtures/preprocess/processors.json
                                      of what transformers' image processors on Pillow make of
                                      photographs: every seventh of pixel_values, f32 [3, height, width]
Tests/Fixtures/preprocess/torchvision.safetensors
                                      of some photographs what the processors on torchvision make,
                                      which resize tensors; their distance from Pillow's is printed
Tests/Fixtures/preprocess/timm.json   the same as processors.json of timm's create_transform
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import PIL
import timm
import transformers
from PIL import Image
from safetensors.numpy import save_file
from timm.data import create_transform, resolve_data_config

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "Tests" / "Fixtures"
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


IMAGES = ["docs/images/chelsea.png", "docs/images/rocket.jpg", "docs/images/horse.png"]
photos = {name: Image.open(ROOT / name).convert("RGB") for name in IMAGES}


def write_cases(name, versions, cases):
    (FIXTURES / "preprocess" / name).write_text(
        "{\n" + "".join(f' "{key}": "{value}",' for key, value in versions.items())
        + '\n "cases": [\n  ' + ",\n  ".join(json.dumps(case) for case in cases) + "\n]}\n")


def case(config, image, values):
    values = np.ascontiguousarray(values, np.float32)
    return [config, image, values.shape[1], values.shape[2],
            hashlib.sha256(values.ravel()[::7].tobytes()).hexdigest()]


def timm_cases():
    """Every way of coming to a size, at sizes that are squares and none, with crops smaller than the
    picture, as large, and larger."""
    cases = []
    for mode in ("center", "squash", "border"):
        for size in ((48, 48), (40, 72), (72, 40), (33, 50)):
            for index, share in enumerate((0.875, 1.0, 0.95)):
                config = {
                    "input_size": [3, *size], "crop_mode": mode, "crop_pct": share,
                    "interpolation": ("bicubic", "bilinear")[index % 2],
                    "mean": [0.485, 0.456, 0.406] if index else [0.5, 0.25, 0.7],
                    "std": [0.229, 0.224, 0.225]}
                transform = create_transform(
                    **resolve_data_config({}, pretrained_cfg=dict(config)), is_training=False)
                name = IMAGES[(index + size[0]) % len(IMAGES)]
                cases.append(case(config, name, transform(photos[name]).numpy()))
    return cases


write_cases("timm.json", {"pillow": PIL.__version__, "timm": timm.__version__}, timm_cases())
if sys.argv[1:] == ["timm"]:
    sys.exit()

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

NONE = [0.0, 0.0, 0.0]
# What a preprocessor_config.json says beside the class: each form of each member.
COMMON = [
    {}, {"do_resize": False}, {"do_rescale": False}, {"do_normalize": False},
    {"do_rescale": False, "do_normalize": False}, {"rescale_factor": 0.00784313725490196},
    {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
    *({"resample": code} for code in range(6)),
]
SIZES = [
    {"size": 48}, {"size": {"height": 40, "width": 56}}, {"size": [56, 40]},
    {"size": {"shortest_edge": 50}}, {"size": {"shortest_edge": 50, "longest_edge": 60}},
    {"size": {"shortest_edge": 50, "longest_edge": 333}},
    {"do_center_crop": True, "crop_size": {"height": 31, "width": 45}},
    {"do_center_crop": True, "crop_size": 260}, {"do_center_crop": False},
    {"do_resize": False, "do_center_crop": True, "crop_size": [401, 37]}, {},
]
PLAIN = COMMON + SIZES[:-1]
CONVNEXT = COMMON + [
    {"size": 48}, {"size": {"shortest_edge": 49}, "crop_pct": 0.95},
    {"size": {"shortest_edge": 384}}, {"size": {"shortest_edge": 383}, "crop_pct": 1.0},
]
FORMS = {
    "ConvNextImageProcessor": CONVNEXT, "ConvNextFeatureExtractor": CONVNEXT[:1],
    "ConvNextImageProcessorFast": CONVNEXT[:1], "ConvNextImageProcessorPil": CONVNEXT[:1],
    "CLIPImageProcessor": PLAIN, "CLIPFeatureExtractor": PLAIN[:1],
    "ChineseCLIPImageProcessor": PLAIN[:1],
    "BitImageProcessor": SIZES, "BitImageProcessorFast": PLAIN[:1],
    "ViTImageProcessor": PLAIN, "ViTFeatureExtractor": PLAIN[:1],
    "ViTImageProcessorPil": PLAIN[:1], "DINOv3ViTImageProcessor": PLAIN,
    "DINOv3ViTImageProcessorFast": PLAIN[:1], "SiglipImageProcessor": SIZES,
    "SiglipImageProcessorFast": PLAIN[:1], "DeiTImageProcessor": SIZES,
    "DeiTFeatureExtractor": PLAIN[:1], "BeitImageProcessor": SIZES,
    "BlipImageProcessor": PLAIN[:1], "PvtImageProcessor": PLAIN[:1],
    "MobileNetV1ImageProcessor": PLAIN[:1], "MobileNetV2ImageProcessor": PLAIN[:1],
    "LevitImageProcessor": [{}, {"size": 50}, {"size": {"height": 40, "width": 56}}],
    "PoolFormerImageProcessor": [
        {}, {"size": 50, "crop_pct": 0.8, "crop_size": 50}, {"size": {"height": 40, "width": 56}},
        {"size": {"height": 40, "width": 40}}],
    "LlavaImageProcessor": [{}, {"do_pad": True}, {"do_pad": True, "size": 60, "crop_size": 60}],
    "EfficientNetImageProcessor": [
        {"size": 48, "include_top": False},
        {"size": 48, "include_top": False, "rescale_offset": True,
         "rescale_factor": 0.00784313725490196, "image_mean": NONE}],
}


def processor(config, backend=""):
    """The class that a configuration names, of the backend."""
    name = config["image_processor_type"].replace("FeatureExtractor", "ImageProcessor")
    for suffix in ("Fast", "Pil"):
        name = name.removesuffix(suffix)
    if name == "DINOv3ViTImageProcessor" and backend == "Pil":
        # It has no Pillow form: ViT's is the same but for the defaults.
        base = transformers.DINOv3ViTImageProcessor
        return transformers.ViTImageProcessorPil.from_dict(
            {"image_mean": base.image_mean, "image_std": base.image_std,
             **{key: value for key, value in config.items() if value is not None}})
    return getattr(transformers, name + backend).from_dict(dict(config))


def pixels(config, image, backend=""):
    values = processor(config, backend)(image, return_tensors="np")["pixel_values"][0]
    return np.ascontiguousarray(values, np.float32)


cases = []
for name, forms in FORMS.items():
    for index, form in enumerate(forms):
        config = {"image_processor_type": name, **form}
        image = IMAGES[index % len(IMAGES)]
        cases.append(case(config, image, pixels(config, photos[image], "Pil")))
write_cases("processors.json",
            {"pillow": PIL.__version__, "transformers": transformers.__version__}, cases)

tensors = {}
for name in ("DINOv3ViTImageProcessorFast", "ViTImageProcessorFast", "CLIPImageProcessorFast",
             "ConvNextImageProcessorFast"):
    config = {"image_processor_type": name, "image_mean": NONE, "image_std": [1.0, 1.0, 1.0]}
    for image in IMAGES:
        worst = abs(pixels(config, photos[image]) - pixels(config, photos[image], "Pil")) * 255
        print(f"{name} of {image}: {worst.max():.3f} of 255 at most, {worst.mean():.4f} on average")
    small = {**config, "size": {"shortest_edge": 28}} if "ViT" not in name else {
        **config, "size": {"height": 28, "width": 28}}
    if name.startswith("CLIP"):
        small["crop_size"] = 28
    tensors[name] = pixels(small, photos[IMAGES[0]])
save_file(tensors, FIXTURES / "preprocess" / "torchvision.safetensors")
