"""Long calls, which Ctrl-C ends.

Python runs signal handlers between the instructions of the main thread, so not while that thread is in
C. Therefore a thread of its own makes the call, and the caller waits for it in Python.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# Seconds between two requests to end a call: one that comes before the call has begun is lost.
_PATIENCE = 0.01


class Task(Generic[T]):
    """A call in a thread of its own, which may send events while it runs.

    Args:
        call: makes the call; what it is given sends an event to `wait`.
        cancel: asks the call to end, from another thread.
    """

    def __init__(
        self, call: Callable[[Callable[[Any], None]], T], cancel: Callable[[], Any]
    ) -> None:
        self._cancel = cancel
        self._events: queue.SimpleQueue[tuple[Any] | None] = queue.SimpleQueue()
        self._done = threading.Event()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), name="vlmz", daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[Callable[[Any], None]], T]) -> None:
        try:
            self._result.append(call(lambda event: self._events.put((event,))))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted.
            self._error = error
        finally:
            self._done.set()
            self._events.put(None)

    def next_event(self) -> tuple[Any] | None:
        """Waits for the next event; None when the call has ended."""
        try:
            event = self._events.get()
        except BaseException:
            self.cancel()
            raise
        if event is None:
            # For other threads, and for whoever asks again.
            self._events.put(None)
        return event

    def result(self) -> T:
        """What the call gave, once it has ended."""
        self._thread.join()
        if (error := self._error) is not None:
            try:
                raise error
            finally:
                # The traceback refers to this frame: no cycle is left.
                del error
        return self._result[0]

    def cancel(self) -> None:
        """Asks the call to end until it has."""
        while not self._done.is_set():
            self._cancel()
            self._done.wait(_PATIENCE)


def run(
    call: Callable[[Callable[[Any], None]], T],
    cancel: Callable[[], Any],
    on_event: Callable[[Any], None] = lambda _: None,
) -> T:
    """Makes a call and waits for it; an exception meanwhile, such as KeyboardInterrupt, ends it.

    Args:
        call: as of `Task`.
        cancel: as of `Task`.
        on_event: takes the events, in the thread of the caller; what it raises ends the call.
    """
    task = Task(call, cancel)
    try:
        while (event := task.next_event()) is not None:
            on_event(event[0])
    except BaseException:
        task.cancel()
        raise
    return task.result()
