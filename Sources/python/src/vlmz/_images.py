"""Pictures: files, their bytes, or pixels, which are not copied where they lie as the library reads
them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, Union

import numpy as np

from ._errors import error_of
from ._library import Handle, ImageOptions, Pixels, check, file_name, library


class HasArray(Protocol):
    """Pixels of NumPy, or an image of Pillow."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Where the pixels are."""


class Tensor(Protocol):
    """What is used of a tensor of torch's."""

    def detach(self) -> Any:
        """The same memory, without a gradient."""


#: What a picture may be given as; see `Image`.
ImageSource = Union[
    str, "os.PathLike[str]", bytes, bytearray, memoryview, HasArray, Tensor, "Image"
]

# VLMZ_RGB8, VLMZ_RGBA8 and VLMZ_GRAY8, by the number of channels.
_FORMATS = {3: 1, 4: 2, 1: 5}


class Image:
    """A picture that any model may use, any number of times.

    Args:
        source: one of

            - `str` or `os.PathLike`: the name of a PNG, JPEG, WebP, GIF, BMP, PNM, TIFF, HEIC or AVIF
              file, which is read whole and turned as it says;
            - `bytes`, `bytearray` or a flat `memoryview`: the bytes of such a file;
            - a NumPy array, or anything with the buffer protocol or `__array_interface__`, of uint8:
              (H, W, 3) sRGB, (H, W, 4) with opacity, (H, W) or (H, W, 1) gray;
            - a torch tensor on the CPU, of uint8: (3, H, W), (4, H, W) or (1, H, W) as torchvision has
              them, or as an array;
            - a `PIL.Image.Image`, as it is: EXIF's orientation is not looked at. Of 16 bits a channel
              ("I;16") the upper 8 count; "I" and "F", whose white is nowhere said, are refused;
            - a file that is open for reading bytes, such as `io.BytesIO`, which is read to its end.

            Pixels are read where they lie while the image is used, if the channels of a pixel, and the
            pixels of a row, are neighbours in memory: they must not change meanwhile. Other arrays,
            and images of Pillow, are copied.
        maximum_pixels: of the largest picture that is accepted; 0 for 178956970.
        background: what shines through transparent pixels, 0xRRGGBB.
        accept_damage: reads a file that lost rows, or whose checksums are wrong, all the same.

    Raises:
        NotFoundError, NoPermissionError, ReadWriteError: for a file that cannot be read.
        BadDataError: for no picture, or one larger than allowed. Damage behind a file's header shows
            when it is used.
        UnsupportedError: where the library that decodes TIFF, HEIC or AVIF is not installed.
        InvalidArgumentError: for pixels in another layout.
        TypeError: for anything else.
    """

    __slots__ = ("_handle", "_pixels")

    def __init__(
        self,
        source: ImageSource,
        *,
        maximum_pixels: int = 0,
        background: int = 0xFFFFFF,
        accept_damage: bool = False,
    ) -> None:
        options = ImageOptions(
            maximum_pixels=maximum_pixels, background=background, accepts_damage=accept_damage
        )
        # What the library reads while the image exists.
        self._pixels: np.ndarray[Any, Any] | None = None
        pointer = ctypes.c_void_p()
        if isinstance(source, Image):
            raise TypeError("found an Image, expected what one is made of")
        if isinstance(source, (str, os.PathLike)):
            name = file_name(source)
            check(library().vlmz_image_from_file(name, options, pointer))
        elif isinstance(source, (bytes, bytearray)) or (
            isinstance(source, memoryview) and source.ndim == 1
        ):
            encoded = np.frombuffer(source, dtype=np.uint8)
            check(
                library().vlmz_image_from_bytes(
                    encoded.ctypes.data, encoded.size, options, pointer
                )
            )
        elif hasattr(source, "read"):
            encoded = np.frombuffer(read_all(source), dtype=np.uint8)
            check(
                library().vlmz_image_from_bytes(
                    encoded.ctypes.data, encoded.size, options, pointer
                )
            )
        else:
            self._pixels = _rows_without_gaps(_array(source))
            check(library().vlmz_image_from_pixels(_describe(self._pixels), options, pointer))
        self._handle = Handle(pointer, "vlmz_image_free")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, turned as the file says."""
        width, height = ctypes.c_uint32(), ctypes.c_uint32()
        check(library().vlmz_image_get_size(self._handle.value, width, height))
        return width.value, height.value

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("found a vlmz.Image, expected what can be pickled: what it was made of")

    def __repr__(self) -> str:
        return "vlmz.Image({}×{})".format(*self.size)


def read_all(file: Any) -> bytes:
    """What an open file has, to its end."""
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError(f"image: found a file of {type(data).__name__}, expected one of bytes")
    return data


def _array(source: Any) -> np.ndarray[Any, Any]:
    """Pixels as an array, of the same memory where that can be."""
    if isinstance(source, np.ndarray):
        return source
    module = type(source).__module__.partition(".")[0]
    if module == "torch":
        return _tensor(source)
    if hasattr(source, "getbands") and hasattr(source, "convert"):
        return _pillow(source)
    if isinstance(source, memoryview) or hasattr(source, "__array_interface__"):
        return np.asarray(source)
    try:
        return np.asarray(memoryview(source))
    except TypeError:
        raise TypeError(
            f"image: found {type(source).__name__}, expected a path, bytes, an array, a PIL image or "
            "a torch tensor"
        ) from None


def _tensor(tensor: Any) -> np.ndarray[Any, Any]:
    if tensor.device.type != "cpu":
        raise error_of(1, f"image: found a tensor on '{tensor.device}', expected one on the CPU")
    array: np.ndarray[Any, Any] = tensor.detach().numpy()
    if array.ndim == 3 and array.shape[0] in _FORMATS:
        return array.transpose(1, 2, 0)
    return array


def _pillow(image: Any) -> np.ndarray[Any, Any]:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion would cut values off at 255.
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
    if image.mode in ("I", "F"):
        raise error_of(
            1, f"image: found Pillow's mode '{image.mode}', expected one whose white is known, such as "
            "'L', 'I;16' or 'RGB'"
        )
    if image.mode not in ("RGB", "RGBA", "L"):
        has_opacity = "A" in image.getbands() or "transparency" in image.info
        image = image.convert("RGBA" if has_opacity else "RGB")
    return np.asarray(image)


def _rows_without_gaps(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Pixels as (H, W, channels), copied only where those of a row are not neighbours.

    Raises:
        InvalidArgumentError: for another type or number of extents.
    """
    if array.dtype != np.uint8:
        raise error_of(
            1, f"image: found an array of {array.dtype}, expected uint8, sRGB from 0 to 255"
        )
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in _FORMATS or 0 in array.shape:
        raise error_of(
            1, f"image: found an array {array.shape}, expected (height, width, 3, 4 or 1)"
        )
    height, width, channels = array.shape
    row, pixel, channel = array.strides
    is_dense = (channel == 1 or channels == 1) and (pixel == channels or width == 1)
    if is_dense and (row >= width * channels or height == 1):
        return array
    return np.ascontiguousarray(array)


def _describe(array: np.ndarray[Any, Any]) -> Pixels:
    height, width, channels = array.shape
    if max(height, width) > 1 << 24:
        raise error_of(1, f"image: found {width}×{height} pixels, expected at most 16777216 a side")
    return Pixels(
        data=array.ctypes.data,
        width=width,
        height=height,
        bytes_per_row=array.strides[0] if height > 1 else 0,
        format=_FORMATS[channels],
    )


def opened(source: ImageSource) -> Image:
    """An image of whatever may be one."""
    return source if isinstance(source, Image) else Image(source)


def is_several(images: Any) -> bool:
    """Whether an argument is a series of pictures: a list, a tuple or an iterator, or an array of four
    extents."""
    if hasattr(images, "read"):
        return False
    if isinstance(images, (list, tuple, Iterator)):
        return True
    return getattr(images, "ndim", 0) == 4


def series(images: Any) -> Sequence[Any]:
    """The pictures of a series; those of an array of four extents are views of it."""
    if isinstance(images, (list, tuple)):
        return images
    found: Iterable[Any] = images
    return list(found)
