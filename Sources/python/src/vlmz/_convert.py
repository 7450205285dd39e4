"""Conversion of checkpoints to `.vlmz` files."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Union

from . import _library as c
from ._calls import run
from ._errors import CannotCreateError, error_of
from ._library import check, library

Path = Union[str, "os.PathLike[str]"]


class ConversionProgress(NamedTuple):
    """How far a conversion is."""

    #: Bytes of the checkpoint that are converted, and in all.
    bytes: int
    total_bytes: int
    #: How much of the calibration is done, 0 to 1; 1 where there is none.
    calibrated: float
    #: The name of the tensor at hand; "" during calibration.
    tensor: str

    @property
    def fraction(self) -> float:
        """From 0 to 1; 0 during calibration."""
        return self.bytes / self.total_bytes if self.total_bytes else 1.0


def convert(
    checkpoint: Path,
    output: Path,
    *,
    scheme: str | None = None,
    tensor_schemes: Mapping[str, str] | None = None,
    bits_per_weight: float | None = None,
    size: int | str | None = None,
    loss: float | None = None,
    plan: Path | None = None,
    calibrate: bool | Path | Sequence[Path] = False,
    calibration_tokens: int | None = None,
    effort: str | None = None,
    statistics: Path | None = None,
    labels: Path | None = None,
    scores: str | None = None,
    head_activation: str | None = None,
    preprocessor: Path | None = None,
    state: str | None = None,
    verify_checksums: bool = True,
    vision_tower: Path | None = None,
    vision_tower_slow: Path | None = None,
    model_base: Path | None = None,
    mmproj: Path | None = None,
    ignore_unexpected: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    threads: int | None = None,
    progress: Callable[[ConversionProgress], None] | None = None,
) -> dict[str, Any]:
    """Converts a checkpoint to a `.vlmz` file, as `vlm-convert` does; docs/conversion.md says more.

    The output appears at its path when it is complete. Ctrl-C, or an exception of `progress`, ends the
    conversion and leaves nothing behind.

    Args:
        checkpoint: a .safetensors, PyTorch, GGUF or .vlmz file, or a folder as timm or Hugging Face
            saves it.
        output: the file to write; its folder must be there.
        scheme: how matrices are stored: "f32", "f16", "bf16", "q8", "q6", "q5", "q4" or "q3"; None for
            "q8". Of this and the four budgets below at most one may be given.
        tensor_schemes: other schemes for some tensors, by pattern, such as {"head.*": "f16"}; of several
            that match the last counts.
        bits_per_weight: what the file may take, 1 to 32: each matrix gets the scheme that the model loses
            least by.
        size: the same in bytes of the whole file, or as the commands take it: "400kB", "3.5GB", "1G".
        loss: what the model may lose, above 0: divergence in nats of one that writes or names classes,
            else one less the cosine of embeddings.
        plan: a report or a `.vlmz` whose mixture of schemes is taken.
        calibrate: files and folders (pictures, texts, conversations in JSON Lines) that the model is run
            on first, so that weights are rounded where it costs least; True for data of its own.
        calibration_tokens: that a language model is calibrated on, 256 or more; None for 8192.
        effort: how much work the calibration is: "fast", "normal" or "best"; None for "normal".
        statistics: where those of the calibration are kept; used instead of data where it is there.
        labels: a file with names of the classes.
        scores: what a classifier's outputs are: "softmax", "sigmoid" or "raw"; None for what the
            checkpoint says.
        head_activation: what lies between the linear layers of a head, where the file does not say.
        preprocessor: a preprocessor_config.json or config.json that says how pictures are prepared.
        state: the part of a PyTorch file that is the model.
        verify_checksums: refuses a PyTorch file whose checksums are wrong.
        vision_tower, vision_tower_slow, model_base, mmproj: parts that the checkpoint lacks.
        ignore_unexpected: leaves out tensors that the model does not have.
        overwrite: replaces a file at `output`.
        resume: goes on with a conversion that was broken off, and leaves this one to go on with.
        threads: that compute; None for as many processors as this process may use.
        progress: called some times for each tensor, in the thread of the caller.

    Returns:
        What was written: `scheme`, `bits_per_weight`, `file_bytes`, `tensors` with their errors of
        rounding, `notes` with what a person should know, and others.

    Raises:
        NotFoundError, NoPermissionError, ReadWriteError: for files that cannot be read or written.
        BadDataError: for a checkpoint that is damaged, lacks tensors or is of no known model.
        CannotCreateError: for an output that exists, is a checkpoint or cannot be made.
        InvalidArgumentError: for options that do not fit the checkpoint.
    """
    exceptions = c.texts([f"{name}={kind}" for name, kind in (tensor_schemes or {}).items()])
    own = calibrate is True
    if isinstance(calibrate, bool):
        calibrate = []
    elif isinstance(calibrate, (str, os.PathLike)):
        calibrate = [calibrate]
    data = [c.file_name(path) for path in calibrate]
    data_array = (ctypes.c_char_p * len(data))(*data)
    # The two arrays are kept by the structure until the call is over.
    pointer = ctypes.POINTER(ctypes.c_char_p)
    options = c.ConversionOptions(
        scheme=_text(scheme),
        tensor_schemes=ctypes.cast(exceptions, pointer),
        tensor_scheme_count=len(exceptions),
        calibration=ctypes.cast(data_array, pointer),
        calibration_count=len(data),
        calibrates_on_own_data=own,
        calibration_tokens=c.number(calibration_tokens, "calibration tokens", least=1),
        statistics=_optional(statistics),
        bits_per_weight=_positive(bits_per_weight, "bits_per_weight"),
        maximum_bytes=c.size(size, "size", least=1),
        maximum_loss=_positive(loss, "loss"),
        plan=_optional(plan),
        effort=_text(effort),
        scores=_text(scores),
        head_activation=_text(head_activation),
        accepts_wrong_checksums=not verify_checksums,
        labels=_optional(labels),
        preprocessor=_optional(preprocessor),
        state=_text(state),
        vision_tower=_optional(vision_tower),
        vision_tower_slow=_optional(vision_tower_slow),
        model_base=_optional(model_base),
        mmproj=_optional(mmproj),
        ignores_unexpected=ignore_unexpected,
        overwrites=overwrite,
        resumes=resume,
        threads=c.number(threads, "threads", least=1),
    )
    source, target = c.file_name(checkpoint), c.file_name(output)
    stopped = threading.Event()

    def call(send: Callable[[Any], None]) -> dict[str, Any]:
        def see(found: Any, _: Any) -> int:
            if progress is not None:
                state = found[0]
                tensor = (state.tensor or b"").decode("utf-8", "replace")
                send(
                    ConversionProgress(state.bytes, state.total_bytes, state.calibrated, tensor)
                )
            return stopped.is_set()

        callback = c.ConversionCallback(see)
        with c.Block() as block:
            check(library().vlmz_convert(source, target, options, callback, None, block.pointer))
            report: dict[str, Any] = json.loads(ctypes.string_at(block.pointer.value or 0))
            return report

    try:
        return run(call, stopped.set, progress or (lambda _: None))
    except CannotCreateError as error:
        if "already exists" not in str(error):
            raise
        raise CannotCreateError(f"{error}; overwrite=True replaces it") from None


def _text(value: str | None) -> bytes | None:
    return None if value is None else c.text(value)


def _positive(value: float | None, name: str) -> float:
    """A number of which the library takes 0 for none.

    Raises:
        InvalidArgumentError: for 0 and less, or what is no number.
    """
    if value is None:
        return 0
    if isinstance(value, str) or not value > 0:
        raise error_of(1, f"{name}: found {value!r}, expected a number above 0")
    return value


def _optional(path: Path | None) -> bytes | None:
    return None if path is None else c.file_name(path)
