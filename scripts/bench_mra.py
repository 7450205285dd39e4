#!/usr/bin/env python3
"""Times LLaVA-HR's vision tower in a peer runtime, batch 1, 2 threads, random weights.

  bench_mra.py {torch|openvino} {llava_hr|llava_hr_x} SIDE {fp32|bf16|int8} [RUNS]

A CLIP ViT-L/14 at SIDE * 14 / 32 pixels and a ConvNeXt (timm's trunk) at SIDE, three adapters
between the transformer's quarters, and the sum of both: what docs/llava-hr.md describes, written
for PyTorch as one would. Needs timm; run it with the Python that ../shared/peers/setup.sh
installed. Prints the median as bench-peers reads it.
"""
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, LAYERS, HEADS, PATCH, TABLE_SIDE = 1024, 24, 16, 14, 24
SLOW = {"llava_hr": ("convnext_large", 1536), "llava_hr_x": ("convnext_xxlarge", 3072)}


class Layer(nn.Module):
    """A pre-norm layer with quick GELU."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, count, _ = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, count, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, WIDTH)
        x = x + self.out(y)
        y = self.fc1(self.norm2(x))
        return x + self.fc2(y * torch.sigmoid(1.702 * y))


class Adapter(nn.Module):
    """Speaks the slow path's map into the fast path's tokens."""

    def __init__(self, channels):
        super().__init__()
        self.slow_conv = nn.Conv2d(channels, channels, 1)
        self.slow_proj = nn.Conv2d(channels, WIDTH, 1)
        self.fast_conv = nn.Conv2d(WIDTH, WIDTH, 7, padding=3, groups=WIDTH)
        self.fast_proj = nn.Conv2d(WIDTH, WIDTH, 1)
        self.gate = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH // 2), nn.GELU(), nn.Linear(WIDTH // 2, 1))

    def forward(self, x, high):
        """x: [1, WIDTH, g, g]; high: [1, channels, s, s]."""
        v = fit(self.slow_proj(F.gelu(self.slow_conv(high))), x.shape[-1])
        y = x + self.fast_proj(F.gelu(self.fast_conv(x)))
        means = torch.cat([y.mean((2, 3)), v.mean((2, 3))], 1)
        return y + torch.tanh(self.gate(means))[:, :, None, None] * v


def fit(x, side):
    if x.shape[-1] < side:
        return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=True)
    return F.avg_pool2d(x, x.shape[-1] // side) if x.shape[-1] > side else x


class Tower(nn.Module):
    def __init__(self, name, side):
        super().__init__()
        import timm

        model, channels = SLOW[name]
        self.slow = timm.create_model(model, pretrained=False, num_classes=0)
        self.slow.head = nn.Identity()
        self.small = max(side * 14 // 32, 336)
        self.grid = self.small // PATCH
        self.patch = nn.Conv2d(3, WIDTH, PATCH, stride=PATCH, bias=False)
        # Resampled for the grid once, as an engine may: it depends on the size alone.
        self.position = nn.Parameter(torch.randn(1, self.grid * self.grid, WIDTH) * 0.02)
        self.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.adapters = nn.ModuleList(Adapter(channels) for _ in range(3))
        self.final_fast, self.final_slow = nn.Linear(WIDTH, WIDTH), nn.Linear(channels, WIDTH)

    def forward(self, pixels):
        copy = F.interpolate(pixels, size=(self.small, self.small), mode="bilinear", align_corners=True)
        high = self.slow.stages(self.slow.stem(pixels))
        x = self.norm(self.patch(copy).flatten(2).transpose(1, 2) + self.position)
        for index, layer in enumerate(self.layers):
            x = layer(x)
            part = (index + 1) * 4 // LAYERS - 1
            if (index + 1) % (LAYERS // 4) == 0 and part < len(self.adapters):
                map_ = x.transpose(1, 2).unflatten(2, (self.grid, self.grid))
                x = self.adapters[part](map_, high).flatten(2).transpose(1, 2)
        slow = fit(high, self.grid).flatten(2).transpose(1, 2)
        return self.final_fast(x) + self.final_slow(slow)


def torch_step(model, pixels, mode):
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[mode]
    model = model.to(dtype).to(memory_format=torch.channels_last)
    pixels = pixels.to(dtype).to(memory_format=torch.channels_last)

    def step():
        with torch.inference_mode():
            model(pixels)

    return step


def openvino_step(model, pixels, mode):
    import openvino

    shape = list(pixels.shape)
    converted = openvino.convert_model(model, example_input=pixels, input=shape)
    if mode == "int8":
        import nncf

        samples = nncf.Dataset([torch.randn(shape).numpy() for _ in range(2)])
        converted = nncf.quantize(converted, samples, subset_size=2)
    hint = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}[mode]
    properties = {
        "INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 2,
    }
    request = openvino.Core().compile_model(converted, "CPU", properties).create_infer_request()
    array = pixels.numpy()
    return lambda: request.infer({0: array})


def main():
    if len(sys.argv) not in (5, 6) or sys.argv[2] not in SLOW:
        sys.exit(__doc__)
    peer, name, side, mode = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    runs = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    torch.manual_seed(0)
    torch.set_num_threads(2)
    model = Tower(name, side).eval()
    pixels = torch.randn(1, 3, side, side)
    step = {"torch": torch_step, "openvino": openvino_step}[peer](model, pixels, mode)
    step()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    print(
        f"{peer} {name} {side} {mode} median {statistics.median(times):.1f} ms"
        f" min {min(times):.1f} max {max(times):.1f}"
    )


if __name__ == "__main__":
    main()
