"""Evaluation of models on data."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Union

from . import _library as c
from ._calls import run
from ._library import check, library

Path = Union[str, "os.PathLike[str]"]


class EvaluationProgress(NamedTuple):
    """How far an evaluation is."""

    #: What runs, such as "reference: pictures".
    stage: str
    #: Steps of the stage that are done, of `total`.
    done: int
    total: int


def evaluate(
    model: Path,
    data: Path | Sequence[Path],
    *,
    reference: Path | None = None,
    tokens: int | None = None,
    pictures: int | None = None,
    answers: int | None = None,
    answer_tokens: int | None = None,
    temporary_folder: Path | None = None,
    threads: int | None = None,
    progress: Callable[[EvaluationProgress], None] | None = None,
) -> dict[str, Any]:
    """Judges a `.vlmz` file, as `vlm-convert evaluate` does; docs/cli.md says more.

    Ctrl-C, or an exception of `progress`, ends it.

    Args:
        model: the file to judge.
        data: pictures, folders of them, texts, and conversations in JSON Lines. Of pictures in folders
            that are named as classes it is known whether they are told right.
        reference: what the model is compared with, usually what it was made of: a checkpoint, or a
            `.vlmz` with floats; None for accuracy and perplexity alone.
        tokens: that a language model reads at most; None for 8192.
        pictures: that an image model sees at most; None for all.
        answers: questions with answers in the data that both models answer themselves too; None for 16.
        answer_tokens: of such an answer at most; None for 48.
        temporary_folder: where the reference's outputs are kept for the while; None for the model's.
        threads: that compute; None for as many processors as this process may use.
        progress: called for each step, in the thread of the caller.

    Returns:
        `loss` (None without a reference), `classes`, `embeddings`, `text`, `answers`, `skipped`, `notes`
        and others, as far as they apply to the model.

    Raises:
        NotFoundError, NoPermissionError, ReadWriteError: for files that cannot be read.
        BadDataError: for files that are damaged, are not of one architecture, or of which nothing can be
            used.
        InvalidArgumentError: for data of a kind that the model does not read, or none.
    """
    sources = [data] if isinstance(data, (str, os.PathLike)) else list(data)
    paths = c.file_names(sources)
    # The library takes 0 for its default, and less for none.
    wanted = None if answers is None else c.number(answers, "answers", least=0) or -1
    options = c.EvaluationOptions(
        reference=_optional(reference),
        tokens=c.number(tokens, "tokens", least=1),
        pictures=c.number(pictures, "pictures", least=1),
        answers=wanted or 0,
        answer_tokens=c.number(answer_tokens, "answer tokens", least=1),
        temporary_folder=_optional(temporary_folder),
        threads=c.number(threads, "threads", least=1),
    )
    name = c.file_name(model)
    stopped = threading.Event()

    def call(send: Callable[[Any], None]) -> dict[str, Any]:
        def see(found: Any, _: Any) -> int:
            if progress is not None:
                state = found[0]
                stage = (state.stage or b"").decode("utf-8", "replace")
                send(EvaluationProgress(stage, state.done, state.total))
            return stopped.is_set()

        callback = c.EvaluationCallback(see)
        with c.Block() as block:
            check(
                library().vlmz_evaluate(
                    name, paths, len(sources), options, callback, None, block.pointer))
            report: dict[str, Any] = json.loads(ctypes.string_at(block.pointer.value or 0))
            return report

    return run(call, stopped.set, progress or (lambda _: None))


def _optional(path: Path | None) -> bytes | None:
    return None if path is None else c.file_name(path)
