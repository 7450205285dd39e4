"""Many pictures: some sessions at once, so that pictures are decoded while others are computed."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, Union

from ._errors import (
    BadDataError,
    CancelledError,
    InvalidArgumentError,
    NoPermissionError,
    NotFoundError,
    ReadWriteError,
    UnsupportedError,
    VlmzError,
)
from ._images import Image, opened

T = TypeVar("T")

# Pictures that one call of the library takes at most. More bring nothing: it makes batches of its own.
LARGEST_CHUNK = 16
# Sessions at most: one computes, the others decode.
_MOST_WORKERS = 8

#: Failures that are one picture's fault, or of its file; others end everything.
OF_ONE_IMAGE = (
    BadDataError, InvalidArgumentError, NoPermissionError, NotFoundError, ReadWriteError,
    UnsupportedError, TypeError,
)

Outcome = Union[T, Exception]  # noqa: UP007 - a type of Python 3.10 cannot be T | Exception


def worker_count(threads: int) -> int:
    """Sessions that keep `threads` threads of a model at work."""
    return max(2, min(_MOST_WORKERS, threads, os.cpu_count() or 1))


class Batches:
    """Runs a call of the library over many pictures; results come in their order.

    Args:
        call: makes the results of some images, one for each, in a session of its own.
        workers: calls at once.
    """

    def __init__(self, call: Callable[[Sequence[Image]], Sequence[T]], workers: int) -> None:
        self._call = call
        self._workers = workers
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Begins no other chunk."""
        self._stopped.set()

    def run(self, images: Sequence[Any]) -> Iterator[list[Outcome[Any]]]:
        """Results chunk by chunk, with an exception in the place of each picture that failed."""
        size = max(1, min(LARGEST_CHUNK, -(-len(images) // (2 * self._workers))))
        chunks = iter(range(0, len(images), size))
        pending: deque[Future[list[Outcome[Any]]]] = deque()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="vlmz") as pool:
            try:
                while True:
                    # Few chunks wait, so that pictures of an iterator need not be in memory at once.
                    while len(pending) < 2 * self._workers:
                        if (start := next(chunks, None)) is None:
                            break
                        pending.append(pool.submit(self._chunk, images[start : start + size]))
                    if not pending:
                        return
                    yield pending.popleft().result()
            finally:
                self.stop()

    def _chunk(self, sources: Sequence[Any]) -> list[Outcome[Any]]:
        outcomes: list[Outcome[Any]] = [_try(opened, source) for source in sources]
        images = [image for image in outcomes if isinstance(image, Image)]
        results = iter(self._results(images))
        return [
            next(results) if isinstance(outcome, Image) else outcome for outcome in outcomes
        ]

    def _results(self, images: Sequence[Image]) -> Sequence[Outcome[Any]]:
        if not images:
            return []
        try:
            return self._checked(images)
        except OF_ONE_IMAGE as error:
            if len(images) == 1:
                return [error]
        # Which of them it was.
        return [_try(lambda image: self._checked([image])[0], image) for image in images]

    def _checked(self, images: Sequence[Image]) -> Sequence[Any]:
        if self._stopped.is_set():
            raise CancelledError("cancelled before there was a result")
        return self._call(images)


def _try(make: Callable[[Any], Any], source: Any) -> Any:
    try:
        return make(source)
    except OF_ONE_IMAGE as error:
        return error


def of_place(error: Exception, place: int) -> Exception:
    """The same failure, saying which picture of the series it is about."""
    if isinstance(error, (VlmzError, TypeError)):
        return type(error)(f"images[{place}]: {error}")
    return error
