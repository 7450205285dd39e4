"""What is done with each picture, and the columns that it gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from .. import _model
from .._batches import OF_ONE_IMAGE
from .._model import Model


class Task(Protocol):
    """What is done with each picture; a value that tells all of it."""

    def columns(self, model: Model) -> list[pa.Field]:
        """The columns that it gives."""

    def rows(self, model: Model, images: Sequence[Any]) -> Iterator[dict[str, Any] | Exception]:
        """Values by column for each picture, or the exception, in the order of the pictures."""


@dataclass(frozen=True)
class Embed:
    """A vector of each picture: `embedding`, a list of float32 of the model's width."""

    def columns(self, model: Model) -> list[pa.Field]:
        """See `Task`."""
        width = model.embed(np.zeros((32, 32, 3), np.uint8)).shape[0]
        return [pa.field("embedding", pa.list_(pa.float32(), width))]

    def rows(self, model: Model, images: Sequence[Any]) -> Iterator[dict[str, Any] | Exception]:
        """See `Task`."""
        for outcomes in model._outcomes(images, _model._embed):
            for found in outcomes:
                yield found if isinstance(found, Exception) else {"embedding": found}


@dataclass(frozen=True)
class Classify:
    """Classes of each picture, best first: `labels`, `scores` and `indices`, lists of one length.

    Args:
        top: candidates at most; 0 for 5 of the model's classes, all of `labels`.
        labels: texts to choose from instead of the model's classes.
        templates: see `Model.classify`.
    """

    top: int = 0
    labels: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()

    def columns(self, model: Model) -> list[pa.Field]:
        """See `Task`."""
        return [
            pa.field("labels", pa.list_(pa.string())),
            pa.field("scores", pa.list_(pa.float64())),
            pa.field("indices", pa.list_(pa.int64())),
        ]

    def rows(self, model: Model, images: Sequence[Any]) -> Iterator[dict[str, Any] | Exception]:
        """See `Task`."""
        classes = model._classes(self.labels, self.templates) if self.labels else None
        top = self.top or (len(self.labels) if self.labels else 5)

        def call(session: Any, some: Any) -> list[list[_model.Candidate]]:
            return _model._classify(top, classes, session, some)

        for outcomes in model._outcomes(images, call):
            for found in outcomes:
                if isinstance(found, Exception):
                    yield found
                else:
                    yield {
                        "labels": [candidate.label for candidate in found],
                        "scores": [candidate.score for candidate in found],
                        "indices": [candidate.index for candidate in found],
                    }


@dataclass(frozen=True)
class Answer:
    """The answer to one question about each picture: `answer`, a text.

    Args:
        question: what is asked.
        options: those of `Model.answer`, such as `(("max_tokens", 64), ("temperature", 0))`.
    """

    question: str
    options: tuple[tuple[str, Any], ...] = ()

    def columns(self, model: Model) -> list[pa.Field]:
        """See `Task`."""
        return [pa.field("answer", pa.string())]

    def rows(self, model: Model, images: Sequence[Any]) -> Iterator[dict[str, Any] | Exception]:
        """See `Task`."""
        for image in images:
            try:
                answer = model.answer(image, self.question, **dict(self.options))
            except OF_ONE_IMAGE as error:
                yield error
            else:
                yield {"answer": str(answer)}


def identity(task: Task) -> dict[str, Any]:
    """What tells a task from others, as JSON has it."""
    if not dataclasses.is_dataclass(task) or isinstance(task, type):
        raise TypeError(f"task: found {type(task).__name__}, expected a dataclass such as Embed()")
    return {"kind": type(task).__name__, **dataclasses.asdict(task)}
