"""What pictures may be given as."""

from __future__ import annotations

import gc
import io
import mmap
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from conftest import PICTURES

import vlmz

HORSE = PICTURES / "horse.png"


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.asarray(PIL.Image.open(HORSE).convert("RGB"))


@pytest.fixture(scope="module")
def wanted(models: Any) -> np.ndarray:
    return models.classifier.embed(HORSE)


def same(model: vlmz.Model, image: Any, wanted: np.ndarray) -> bool:
    return np.array_equal(model.embed(image), wanted)


def test_a_file_is_the_same_by_name_and_by_bytes(models: Any, wanted: np.ndarray) -> None:
    data = HORSE.read_bytes()
    for image in (str(HORSE), HORSE, data, bytearray(data), memoryview(data), vlmz.Image(HORSE)):
        assert same(models.classifier, image, wanted)
    with open(HORSE, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        with memoryview(mapped) as view:
            assert same(models.classifier, view, wanted)


def test_pixels_are_the_same_in_every_layout(
    models: Any, pixels: np.ndarray, wanted: np.ndarray
) -> None:
    height, width, _ = pixels.shape
    framed = np.zeros((height + 4, width + 6, 3), np.uint8)
    framed[2:-2, 3:-3] = pixels
    with_opacity = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
    layouts = {
        "dense": np.ascontiguousarray(pixels),
        "a part of a larger picture": framed[2:-2, 3:-3],
        "with opacity": with_opacity,
        "channels of four": with_opacity[:, :, :3],
        "columns first": np.asfortranarray(pixels),
        "upside down": np.ascontiguousarray(pixels[::-1])[::-1],
        "mirrored": np.ascontiguousarray(pixels[:, ::-1])[:, ::-1],
        "blue first": np.ascontiguousarray(pixels[:, :, ::-1])[:, :, ::-1],
        "a buffer": memoryview(np.ascontiguousarray(pixels)),
        "pillow": PIL.Image.fromarray(pixels),
        "pillow with opacity": PIL.Image.fromarray(with_opacity),
    }
    for name, image in layouts.items():
        assert same(models.classifier, image, wanted), name


def test_dense_pixels_and_parts_of_them_are_not_copied(pixels: np.ndarray) -> None:
    dense = np.ascontiguousarray(pixels)
    for array in (dense, dense[3:9, 2:7], dense[::2], dense[:, :1]):
        assert vlmz.Image(array)._pixels.ctypes.data == array.ctypes.data
    assert vlmz.Image(dense[:, ::2])._pixels.ctypes.data != dense.ctypes.data


def test_gray_and_palettes_are_what_pillow_makes_of_them(models: Any, pixels: np.ndarray) -> None:
    image = PIL.Image.fromarray(pixels)
    gray = image.convert("L")
    wanted = models.classifier.embed(np.asarray(gray.convert("RGB")))
    assert same(models.classifier, gray, wanted)
    assert same(models.classifier, np.asarray(gray), wanted)
    assert same(models.classifier, np.asarray(gray)[:, :, None], wanted)
    palette = image.quantize(16)
    wanted = models.classifier.embed(np.asarray(palette.convert("RGB")))
    assert same(models.classifier, palette, wanted)
    assert same(models.classifier, gray.convert("1"), models.classifier.embed(
        np.asarray(gray.convert("1").convert("RGB"))))


def test_a_series_may_mix_kinds(models: Any, pixels: np.ndarray, wanted: np.ndarray) -> None:
    images = [HORSE, HORSE.read_bytes(), pixels, PIL.Image.fromarray(pixels)]
    assert all(np.array_equal(row, wanted) for row in models.classifier.embed(images))
    assert all(np.array_equal(row, wanted) for row in models.classifier.embed(np.stack([pixels] * 3)))


class Tensor:
    """What of torch.Tensor is used; `test_torch` has the real one where it is installed."""

    __module__ = "torch"

    def __init__(self, array: np.ndarray, device: str = "cpu") -> None:
        self.array = array
        self.device = type("device", (), {"type": device, "__str__": lambda _: device})()

    def detach(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        return self.array


def test_tensors_have_channels_first_or_last(
    models: Any, pixels: np.ndarray, wanted: np.ndarray
) -> None:
    assert same(models.classifier, Tensor(np.ascontiguousarray(pixels.transpose(2, 0, 1))), wanted)
    assert same(models.classifier, Tensor(pixels), wanted)
    with pytest.raises(vlmz.InvalidArgumentError, match="cuda"):
        models.classifier.embed(Tensor(pixels, "cuda"))


def test_torch(models: Any, pixels: np.ndarray, wanted: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(np.array(pixels))
    assert same(models.classifier, tensor, wanted)
    assert same(models.classifier, tensor.permute(2, 0, 1), wanted)
    assert same(models.classifier, tensor.permute(2, 0, 1).contiguous(), wanted)


def test_pixels_outlive_their_owner_while_an_image_has_them(
    models: Any, pixels: np.ndarray, wanted: np.ndarray
) -> None:
    image = vlmz.Image(np.array(pixels))
    gc.collect()
    assert same(models.classifier, image, wanted)


def test_an_image_knows_its_size_and_takes_options(models: Any, pixels: np.ndarray) -> None:
    image = vlmz.Image(HORSE)
    assert image.size == (pixels.shape[1], pixels.shape[0])
    assert repr(image) == f"vlmz.Image({pixels.shape[1]}×{pixels.shape[0]})"
    with pytest.raises(vlmz.BadDataError):
        vlmz.Image(HORSE, maximum_pixels=10)
    clear = np.zeros((8, 8, 4), np.uint8)
    assert np.array_equal(
        models.classifier.embed(vlmz.Image(clear, background=0x102030)),
        models.classifier.embed(np.full((8, 8, 3), (0x10, 0x20, 0x30), np.uint8)),
    )


def test_a_file_that_lost_rows_is_read_where_that_is_wanted(models: Any) -> None:
    encoded = io.BytesIO()
    PIL.Image.open(PICTURES / "rocket.jpg").save(encoded, "JPEG")
    cut = encoded.getvalue()[: len(encoded.getvalue()) * 2 // 3]
    with pytest.raises(vlmz.BadDataError):
        models.classifier.embed(cut)
    assert np.isfinite(models.classifier.embed(vlmz.Image(cut, accept_damage=True))).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(16, np.uint8),
        np.zeros((1, 1 << 24 | 1, 1), np.uint8),
        b"",
    ],
    ids=["floats", "two channels", "no rows", "one extent", "too wide", "no bytes"],
)
def test_what_is_no_picture_is_refused(image: Any) -> None:
    with pytest.raises((vlmz.InvalidArgumentError, vlmz.BadDataError)):
        vlmz.Image(image)


def test_other_objects_are_refused(models: Any, tmp_path: Path) -> None:
    for image in (None, 3, {"a": 1}, object()):
        with pytest.raises(TypeError, match="expected a path"):
            models.classifier.classify(image)
    with pytest.raises(vlmz.NotFoundError):
        vlmz.Image(tmp_path)
    with pytest.raises(vlmz.InvalidArgumentError, match="zero"):
        vlmz.Image("a\0b")


def test_sixteen_bits_of_pillow_are_not_cut_off(models: Any) -> None:
    gray = np.asarray(PIL.Image.open(PICTURES / "horse.png").convert("L"))
    deep = PIL.Image.fromarray(gray.astype(np.uint16) * 257)
    assert deep.mode.startswith("I;16")
    assert np.array_equal(models.classifier.embed(deep), models.classifier.embed(gray))
    for mode in ("I", "F"):
        with pytest.raises(vlmz.InvalidArgumentError, match=f"'{mode}'"):
            vlmz.Image(PIL.Image.new(mode, (4, 4)))


def test_open_files_are_one_picture(models: Any) -> None:
    data = (PICTURES / "horse.png").read_bytes()
    wanted = models.classifier.embed(data)
    assert np.array_equal(models.classifier.embed(io.BytesIO(data)), wanted)
    with open(PICTURES / "horse.png", "rb") as file:
        assert np.array_equal(models.classifier.embed(file), wanted)
    with pytest.raises(TypeError, match="bytes"):
        vlmz.Image(io.StringIO("text"))


def test_images_say_that_they_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match=r"vlmz\.Image"):
        pickle.dumps(vlmz.Image(PICTURES / "horse.png"))
