"""Films: pictures in their order, or an animated GIF."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from typing import Any, Union

import numpy as np

from . import _library as c
from ._errors import error_of
from ._images import Image, ImageSource, is_several, opened, read_all, series

#: What a film may be given as: its frames, or the name or the bytes of an animated GIF.
FilmSource = Union[
    Sequence[ImageSource], str, "os.PathLike[str]", bytes, bytearray, memoryview
]


class Film:
    """A film as the library takes it; what it points at lives as long as this object.

    Args:
        source: as of `Chat.ask`.
        fps: frames a second; None for a GIF's own.

    Raises:
        InvalidArgumentError: for no frames, frames without a rate, or a rate out of range; and what
            `Image` raises.
    """

    def __init__(self, source: Any, fps: float | None) -> None:
        rate = 0.0 if fps is None else float(fps)
        if fps is not None and not (math.isfinite(rate) and 0 < rate <= 1000):
            raise error_of(1, f"fps: found {fps}, expected more than 0, at most 1000")
        self._kept: list[Any] = []
        self.options = c.CFilm(frames_per_second=rate, background=0xFFFFFF)
        if isinstance(source, (str, os.PathLike)):
            self.options.path = c.file_name(source)
        elif not is_several(source) and (
            isinstance(source, (bytes, bytearray))
            or (isinstance(source, memoryview) and source.ndim == 1)
            or hasattr(source, "read")
        ):
            encoded = np.frombuffer(
                read_all(source) if hasattr(source, "read") else source, dtype=np.uint8
            )
            self._kept.append(encoded)
            self.options.bytes = encoded.ctypes.data
            self.options.byte_count = encoded.size
        elif is_several(source):
            self._add_frames(series(source), fps)
        else:
            raise TypeError(
                f"film: found {type(source).__name__}, expected a list of pictures, or the name or "
                "the bytes of an animated GIF"
            )

    def _add_frames(self, sources: Sequence[Any], fps: float | None) -> None:
        if len(sources) == 0:
            raise error_of(1, "film: found no frames, expected one or more")
        if fps is None:
            raise error_of(1, "fps: found None with frames, expected how many are a second")
        frames: list[Image] = [opened(source) for source in sources]
        handles = (ctypes.c_void_p * len(frames))(*(frame._handle.value.value for frame in frames))
        self._kept += [frames, handles]
        self.options.frames = ctypes.cast(handles, ctypes.c_void_p)
        self.options.frame_count = len(frames)
