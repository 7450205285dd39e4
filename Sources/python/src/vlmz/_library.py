"""The C library: structures and functions of vlmz.h, as ctypes sees them."""

from __future__ import annotations

import ctypes
import operator
import os
import re
import threading
from collections.abc import Sequence
from ctypes import (
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from fractions import Fraction
from pathlib import Path
from typing import Any

from ._errors import InternalError, UnsupportedError, VlmzError, error_of

# The interface that this package is written for; VLMZ_ABI_VERSION of vlmz.h.
ABI_VERSION = 5

TextCallback = ctypes.CFUNCTYPE(c_int, c_void_p, c_size_t, c_void_p)


class _Options(Structure):
    """A structure that begins with its size; the other members are zero unless they are given."""

    def __init__(self, **members: Any) -> None:
        super().__init__(size=ctypes.sizeof(self), **members)


class ModelOptions(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("instruction_set", c_char_p),
        ("threads", c_int32),
        ("memory_bytes", c_uint64),
        ("cache_folder", c_char_p),
        ("cache_bytes", c_uint64),
    ]


class ImageOptions(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("maximum_pixels", c_uint64),
        ("background", c_uint32),
        ("accepts_damage", c_int32),
    ]


class Pixels(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("data", c_void_p),
        ("width", c_uint32),
        ("height", c_uint32),
        ("bytes_per_row", c_size_t),
        ("format", c_int32),
        ("release", c_void_p),
        ("user", c_void_p),
    ]


class CCandidate(Structure):
    _fields_ = [("label", c_char_p), ("score", c_double), ("index", c_size_t)]


class CFeature(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("values", POINTER(c_float)),
        ("shape", c_size_t * 4),
        ("rank", c_size_t),
    ]


class EncodingOptions(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("resolution", c_int32),
        ("keeps_aspect", c_int32),
        ("one_of_several", c_int32),
    ]


class ConversationOptions(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("chat_template", c_char_p),
        ("system", c_char_p),
        ("key_values", c_char_p),
        ("context_length", c_int32),
        ("threads", c_int32),
    ]


class AnswerOptions(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("maximum_tokens", c_int32),
        ("top_k", c_int32),
        ("temperature", c_double),
        ("top_p", c_double),
        ("min_p", c_double),
        ("repeat_penalty", c_double),
        ("seed", c_uint64),
        ("stops", POINTER(c_char_p)),
        ("stop_count", c_size_t),
        ("json_schema", c_char_p),
        ("grammar", c_char_p),
        ("json_object", c_int32),
        ("presence_penalty", c_double),
        ("frequency_penalty", c_double),
        ("speculated_tokens", c_int32),
    ]


class CFilm(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("frames", c_void_p),
        ("frame_count", c_size_t),
        ("path", c_char_p),
        ("bytes", c_void_p),
        ("byte_count", c_size_t),
        ("frames_per_second", c_double),
        ("maximum_pixels", c_uint64),
        ("background", c_uint32),
    ]


class CAnswer(Structure):
    _fields_ = [
        ("text", c_void_p),
        ("length", c_size_t),
        ("ending", c_int32),
        ("tokens", c_int32),
        ("prompt_tokens", c_int32),
        ("picture_tokens", c_int32),
        ("reused_tokens", c_int32),
        ("prompt_seconds", c_double),
        ("token_seconds", c_double),
        ("proposed_tokens", c_int32),
        ("accepted_tokens", c_int32),
    ]


class ConversionOptions(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("scheme", c_char_p),
        ("tensor_schemes", POINTER(c_char_p)),
        ("tensor_scheme_count", c_size_t),
        ("calibration", POINTER(c_char_p)),
        ("calibration_count", c_size_t),
        ("calibrates_on_own_data", c_int32),
        ("calibration_tokens", c_int32),
        ("statistics", c_char_p),
        ("bits_per_weight", c_double),
        ("labels", c_char_p),
        ("preprocessor", c_char_p),
        ("state", c_char_p),
        ("vision_tower", c_char_p),
        ("vision_tower_slow", c_char_p),
        ("model_base", c_char_p),
        ("mmproj", c_char_p),
        ("ignores_unexpected", c_int32),
        ("overwrites", c_int32),
        ("resumes", c_int32),
        ("threads", c_int32),
        ("maximum_bytes", c_uint64),
        ("maximum_loss", c_double),
        ("plan", c_char_p),
        ("effort", c_char_p),
        ("scores", c_char_p),
        ("head_activation", c_char_p),
        ("accepts_wrong_checksums", c_int32),
    ]


class CConversionProgress(Structure):
    _fields_ = [
        ("bytes", c_uint64),
        ("total_bytes", c_uint64),
        ("calibrated", c_double),
        ("tensor", c_char_p),
    ]


ConversionCallback = ctypes.CFUNCTYPE(c_int, POINTER(CConversionProgress), c_void_p)


class EvaluationOptions(_Options):
    _fields_ = [
        ("size", c_size_t),
        ("reference", c_char_p),
        ("tokens", c_int32),
        ("pictures", c_int32),
        ("answers", c_int32),
        ("answer_tokens", c_int32),
        ("temporary_folder", c_char_p),
        ("threads", c_int32),
    ]


class CEvaluationProgress(Structure):
    _fields_ = [("stage", c_char_p), ("done", c_uint64), ("total", c_uint64)]


EvaluationCallback = ctypes.CFUNCTYPE(c_int, POINTER(CEvaluationProgress), c_void_p)

# Names of the functions that give a status, with the types of their arguments.
_CALLS: dict[str, list[Any]] = {
    "vlmz_model_open": [c_char_p, POINTER(ModelOptions), POINTER(c_void_p)],
    "vlmz_model_open_signed": [
        c_char_p, POINTER(c_char_p), c_size_t, POINTER(ModelOptions), POINTER(c_void_p),
    ],
    "vlmz_model_capabilities": [c_void_p, POINTER(c_uint32)],
    "vlmz_model_describe": [c_void_p, POINTER(c_void_p)],
    "vlmz_model_free": [c_void_p],
    "vlmz_image_from_file": [c_char_p, POINTER(ImageOptions), POINTER(c_void_p)],
    "vlmz_image_from_bytes": [c_void_p, c_size_t, POINTER(ImageOptions), POINTER(c_void_p)],
    "vlmz_image_from_pixels": [POINTER(Pixels), POINTER(ImageOptions), POINTER(c_void_p)],
    "vlmz_image_get_size": [c_void_p, POINTER(c_uint32), POINTER(c_uint32)],
    "vlmz_image_free": [c_void_p],
    "vlmz_session_create": [c_void_p, c_void_p, POINTER(c_void_p)],
    "vlmz_session_classify_images": [
        c_void_p, POINTER(c_void_p), c_size_t, c_size_t, POINTER(c_void_p), POINTER(c_size_t),
    ],
    "vlmz_session_classify_images_by_text": [
        c_void_p, POINTER(c_void_p), c_size_t, c_void_p, c_size_t, POINTER(c_void_p),
        POINTER(c_size_t),
    ],
    "vlmz_session_embed_images": [
        c_void_p, POINTER(c_void_p), c_size_t, POINTER(c_void_p), POINTER(c_size_t),
    ],
    "vlmz_session_embed_text": [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_size_t)],
    "vlmz_session_make_text_classes": [
        c_void_p, POINTER(c_char_p), c_size_t, POINTER(c_char_p), c_size_t, POINTER(c_void_p),
    ],
    "vlmz_session_features": [
        c_void_p, c_void_p, POINTER(c_char_p), c_size_t, POINTER(c_void_p), POINTER(c_size_t),
    ],
    "vlmz_session_encode": [c_void_p, c_void_p, POINTER(EncodingOptions), POINTER(c_void_p)],
    "vlmz_session_cancel": [c_void_p],
    "vlmz_session_free": [c_void_p],
    "vlmz_text_classes_free": [c_void_p],
    "vlmz_picture_get_token_count": [c_void_p, POINTER(c_size_t)],
    "vlmz_picture_free": [c_void_p],
    "vlmz_conversation_create": [c_void_p, POINTER(ConversationOptions), POINTER(c_void_p)],
    "vlmz_conversation_ask": [
        c_void_p, c_char_p, POINTER(c_void_p), c_size_t, POINTER(AnswerOptions), TextCallback,
        c_void_p, POINTER(c_void_p),
    ],
    "vlmz_conversation_ask_about_film": [
        c_void_p, c_char_p, POINTER(CFilm), POINTER(AnswerOptions), TextCallback, c_void_p,
        POINTER(c_void_p),
    ],
    "vlmz_conversation_clear": [c_void_p],
    "vlmz_conversation_get_context_length": [c_void_p, POINTER(c_size_t)],
    "vlmz_conversation_cancel": [c_void_p],
    "vlmz_conversation_free": [c_void_p],
    "vlmz_convert": [
        c_char_p, c_char_p, POINTER(ConversionOptions), ConversionCallback, c_void_p,
        POINTER(c_void_p),
    ],
    "vlmz_evaluate": [
        c_char_p, POINTER(c_char_p), c_size_t, POINTER(EvaluationOptions), EvaluationCallback,
        c_void_p, POINTER(c_void_p),
    ],
}

_lock = threading.Lock()
_loaded: ctypes.CDLL | None = None
_forked = False


def _in_child() -> None:
    global _forked
    _forked = _loaded is not None


os.register_at_fork(after_in_child=_in_child)


def library() -> ctypes.CDLL:
    """The library, loaded when it is first needed. Its calls release the GIL.

    Raises:
        UnsupportedError: in a child that was forked after the library was loaded: the threads that
            compute are in the parent.
    """
    global _loaded
    if _forked:
        raise UnsupportedError(
            "found a process that was forked after vlmz was used, expected one that was started "
            "by the 'spawn' or 'forkserver' method of multiprocessing"
        )
    with _lock:
        if _loaded is None:
            _loaded = _load()
        return _loaded


def _load() -> ctypes.CDLL:
    # The wheel has the library in it; a distribution's package has the system's.
    own = Path(__file__).with_name("libvlmz.so.0")
    path = str(own) if own.exists() else own.name
    try:
        found = ctypes.CDLL(path)
    except OSError as error:
        raise UnsupportedError(f"cannot load the library of the package: {error}") from error
    found.vlmz_abi_version.restype = c_uint32
    found.vlmz_abi_version.argtypes = []
    if found.vlmz_abi_version() < ABI_VERSION:
        raise InternalError(
            f"{path}: found version {found.vlmz_abi_version()} of the interface, "
            f"expected {ABI_VERSION} or later"
        )
    for name in ("vlmz_version", "vlmz_last_error"):
        getattr(found, name).restype = c_char_p
        getattr(found, name).argtypes = []
    found.vlmz_free.restype = None
    found.vlmz_free.argtypes = [c_void_p]
    for name, arguments in _CALLS.items():
        function = getattr(found, name)
        function.restype = c_int32
        function.argtypes = arguments
    return found


def last_error(status: int) -> VlmzError:
    """The exception for a status, with the message of this thread's last call."""
    message: bytes = library().vlmz_last_error() or b""
    return error_of(status, message.decode("utf-8", "replace"))


def check(status: int) -> None:
    """Raises what a status says, unless it is success."""
    if status != 0:
        raise last_error(status)


def texts(values: list[str]) -> Any:
    """An array of UTF-8 texts."""
    return (c_char_p * len(values))(*(text(value) for value in values))


def file_names(paths: Sequence[str | os.PathLike[str]]) -> Any:
    """An array of names of files."""
    return (c_char_p * len(paths))(*(file_name(path) for path in paths))


def text(value: str) -> bytes:
    """A text for the library.

    Raises:
        TypeError: for anything else.
        InvalidArgumentError: for a zero character, which would end it, or a lone surrogate.
    """
    if not isinstance(value, str):
        raise TypeError(f"text: found {type(value).__name__}, expected a str")
    if "\0" in value:
        raise error_of(1, "text: found a zero character, expected none")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise error_of(1, f"text: found what is no UTF-8: {error}") from error


def file_name(path: str | os.PathLike[str] | bytes) -> bytes:
    """The name of a file as the system has it."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise error_of(1, "file name: found a zero byte, expected none")
    return name


def number(value: int | None, name: str, *, least: int, bits: int = 31) -> int:
    """A number of the library's options in which 0 means the default, None here.

    Raises:
        InvalidArgumentError: for less than `least`, or for more than `bits` bits hold.
    """
    if value is None:
        return 0
    value = operator.index(value)
    if not least <= value < 1 << bits:
        raise error_of(1, f"{name}: found {value}, expected {least} to {(1 << bits) - 1}")
    return value


_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) *(?:([kmgt])(b|ib?)?|b)?", re.IGNORECASE)


def size(value: float | str | None, name: str, *, least: int) -> int:
    """A number of bytes, or a text such as "1G", as the commands take it; None is 0, the default.

    kB to TB are powers of 1000, KiB to TiB and the bare letters K to T powers of 1024.

    Raises:
        InvalidArgumentError: for what is no size, or one below `least` bytes.
    """
    if not isinstance(value, str):
        if isinstance(value, float):
            if not least <= value < 1 << 63:
                raise error_of(1, f"{name}: found {value}, expected {least} to {(1 << 63) - 1}")
            value = int(value)
        return number(value, name, least=least, bits=63)
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise error_of(
            1,
            f"{name}: found {value!r}, expected a number of bytes, or a number and a unit, such as "
            "'3.5GB', '90MB', '700MiB' or '1G'",
        )
    digits, prefix, rest = match.groups()
    power = " kmgt".index(prefix.lower()) if prefix else 0
    base = 1000 if (rest or "").lower() == "b" else 1024
    # Exact, as a double is not for large sizes.
    return number(int(Fraction(digits) * base**power), name, least=least, bits=63)


class Handle:
    """A handle of the library, which is freed with this object."""

    __slots__ = ("value", "_free", "__weakref__")

    def __init__(self, value: c_void_p, free: str) -> None:
        self.value = value
        self._free = getattr(library(), free)

    def close(self) -> None:
        """Frees the handle; calls that use it are refused from now on."""
        if self.value:
            value, self.value = self.value, c_void_p()
            self._free(value)

    def __del__(self) -> None:
        # A child process that was forked has no threads of the library's.
        if not _forked:
            self.close()


class Block:
    """Memory that the library gave, which is given back at the end of a `with`."""

    __slots__ = ("pointer",)

    def __init__(self) -> None:
        self.pointer = c_void_p()

    def __enter__(self) -> Block:
        return self

    def __exit__(self, *_: object) -> None:
        library().vlmz_free(self.pointer)
        self.pointer = c_void_p()
