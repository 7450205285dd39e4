"""Vision and vision-language models from memory-mapped `.vlmz` files.

>>> import vlmz
>>> model = vlmz.open("clip.vlmz")
>>> model.embed(["a.jpg", "b.jpg"]) @ model.embed(texts="a photo of a dog")

docs/python.md has more examples. Everything is safe to call from any thread; the GIL is released while
the library computes. After `fork` a process cannot use the library if its parent did: start workers of
`multiprocessing` by the "spawn" or "forkserver" method.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import metadata

from ._chat import Answer, AnswerStream, Chat, Turn
from ._convert import ConversionProgress, convert
from ._errors import (
    BadDataError,
    BusyError,
    CancelledError,
    CannotCreateError,
    InternalError,
    InvalidArgumentError,
    NoPermissionError,
    NotCapableError,
    NotFoundError,
    NotTrustedError,
    OutOfMemoryError,
    ReadWriteError,
    UnsupportedError,
    VlmzError,
)
from ._evaluate import EvaluationProgress, evaluate
from ._film import FilmSource
from ._images import Image, ImageSource
from ._model import Candidate, Model, TextClasses

__version__ = metadata.version("vlmz")

__all__ = [
    "Answer",
    "AnswerStream",
    "BadDataError",
    "BusyError",
    "CancelledError",
    "Candidate",
    "CannotCreateError",
    "Chat",
    "ConversionProgress",
    "EvaluationProgress",
    "FilmSource",
    "Image",
    "ImageSource",
    "InternalError",
    "InvalidArgumentError",
    "Model",
    "NoPermissionError",
    "NotCapableError",
    "NotFoundError",
    "NotTrustedError",
    "OutOfMemoryError",
    "ReadWriteError",
    "TextClasses",
    "Turn",
    "UnsupportedError",
    "VlmzError",
    "__version__",
    "convert",
    "evaluate",
    "open",
]


def open(
    path: str | os.PathLike[str],
    *,
    threads: int | None = None,
    instruction_set: str | None = None,
    trusted_keys: Sequence[str | os.PathLike[str]] | None = None,
    memory: int | str | None = None,
    cache_folder: str | os.PathLike[str] | None = None,
    cache_bytes: int | str | None = None,
) -> Model:
    """Opens a `.vlmz` file. Its weights are mapped, not read, unless `trusted_keys` are given.

    With a `cache_folder` packed files, `.vlmzp`, are opened too.

    Args:
        path: the file's name.
        threads: that compute for the model; None for as many processors as this process may use.
            Results do not depend on it.
        instruction_set: such as "scalar" or "avx2"; None for the best of this machine.
        trusted_keys: minisign's public keys, as text or as names of their files, one of which has to
            have signed the file; the signature is `<path>.minisig`. None: no signature is looked for.
            Of a packed file, what it unpacks to is signed: `m.vlmz.minisig` for `m.vlmzp`.
        memory: bytes that the process may take with the weights, or a text such as "1G" as
            `--memory` takes it; 16 MiB or more. Those that have no room are read from the file each
            time they are used. None for as much as there is.
        cache_folder: the folder that packed files are unpacked into, each once; it is made where it
            is not there, has to be the user's own, and no other may write to it. None refuses them.
        cache_bytes: that the models in that folder may take together; those that were not opened
            for longest are removed for another; bytes, or a text such as "32GB". None for 16 GB.

    Raises:
        NotFoundError, NoPermissionError, ReadWriteError: for a file that cannot be read.
        BadDataError: for a damaged file, or one that is no `.vlmz`.
        UnsupportedError: for an instruction set that this machine lacks.
        NotTrustedError: for a file that none of the trusted keys signed.
    """
    return Model(
        path,
        threads=threads,
        instruction_set=instruction_set,
        trusted_keys=trusted_keys,
        memory=memory,
        cache_folder=cache_folder,
        cache_bytes=cache_bytes,
    )
