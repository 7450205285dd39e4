"""Models: classes, embeddings and features of pictures and texts."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, TypeVar, overload

import numpy as np
import numpy.typing as npt

from . import _library as c
from ._batches import OF_ONE_IMAGE, Batches, of_place, worker_count
from ._calls import Task, run
from ._chat import Answer, AnswerStream, Chat
from ._errors import BadDataError, NotFoundError
from ._film import FilmSource
from ._images import Image, ImageSource, is_several, opened, series
from ._library import check, library

T = TypeVar("T")
Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
OnError = Callable[[int, Exception], None]

# Bits of vlmz_model_capabilities().
_CAPABILITIES = (
    "classifies_images", "embeds_images", "embeds_texts", "classifies_by_text", "sees_pictures",
    "writes_text",
)


@dataclass(frozen=True)
class Candidate:
    """A class with its score."""

    #: What it is called; None where the model's file has no names.
    label: str | None
    #: A probability from 0 to 1; any number where `Model.info["scores"]` is "raw".
    score: float
    #: The model's output, or the place in the list of labels, from 0.
    index: int


class TextClasses:
    """Texts that pictures are compared with; see `Model.text_classes`."""

    def __init__(self, handle: c.Handle, labels: tuple[str, ...]) -> None:
        self._handle = handle
        #: What the texts are called, in their order.
        self.labels = labels

    def __repr__(self) -> str:
        return f"vlmz.TextClasses({len(self.labels)} labels)"


class Model:
    """An opened `.vlmz` file; `vlmz.open` makes one.

    Any number of threads may use a model. Its weights are mapped, so that all processes which open the
    same file share them. Pickled, it is the file's name, and is opened again.

    Calls release the GIL and use all threads of the model; Ctrl-C ends them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        instruction_set: str | None = None,
        trusted_keys: Sequence[str | os.PathLike[str]] | None = None,
        memory: int | str | None = None,
        cache_folder: str | os.PathLike[str] | None = None,
        cache_bytes: int | str | None = None,
    ) -> None:
        self._path = os.fspath(path)
        # A single text is a sequence of letters, none of which is a key.
        if isinstance(trusted_keys, str):
            trusted_keys = [trusted_keys]
        keys = None if trusted_keys is None else [os.fspath(key) for key in trusted_keys]
        folder = None if cache_folder is None else os.path.abspath(os.fspath(cache_folder))
        self._arguments = (threads, instruction_set, keys, memory, folder, cache_bytes)
        options = c.ModelOptions(
            threads=c.number(threads, "threads", least=1),
            instruction_set=None if instruction_set is None else c.text(instruction_set),
            memory_bytes=c.size(memory, "memory", least=1),
            cache_folder=None if folder is None else c.file_name(folder),
            cache_bytes=c.size(cache_bytes, "cache_bytes", least=1),
        )
        pointer = ctypes.c_void_p()
        name = c.file_name(path)
        try:
            if keys is None:
                check(library().vlmz_model_open(name, options, pointer))
            else:
                check(
                    library().vlmz_model_open_signed(
                        name, c.file_names(keys), len(keys), options, pointer))
        except (BadDataError, NotFoundError) as error:
            if not _is_checkpoint(self._path):
                raise
            raise type(error)(
                f"{error}; a checkpoint is converted first, by vlmz.convert or vlm-convert"
            ) from None
        self._handle = c.Handle(pointer, "vlmz_model_free")
        self._lock = threading.Lock()
        self._idle: list[c.Handle] = []

    # ------------------------------------------------------------ what it is

    @property
    def path(self) -> str:
        """The name that the file was opened by."""
        return self._path

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the file holds: `architecture`, `parameters`, `file_bytes`, `schemes` (bytes of the
        tensors by scheme), `classes`, `labels`, `scores` ("softmax", "sigmoid" or "raw"), `input` (how
        a picture is prepared), `context_length`, `config`, `instruction_set`, `threads`, and others."""
        with c.Block() as block:
            check(library().vlmz_model_describe(self._handle.value, block.pointer))
            described: dict[str, Any] = json.loads(ctypes.string_at(block.pointer.value or 0))
            return described

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """Of "classifies_images", "embeds_images", "embeds_texts", "classifies_by_text",
        "sees_pictures" and "writes_text" those that the model does."""
        bits = ctypes.c_uint32()
        check(library().vlmz_model_capabilities(self._handle.value, bits))
        return frozenset(
            name for place, name in enumerate(_CAPABILITIES) if bits.value >> place & 1
        )

    @property
    def labels(self) -> list[str] | None:
        """Names of the classes, in the order of the outputs; None without names."""
        labels: list[str] | None = self.info["labels"]
        return labels

    def close(self) -> None:
        """Frees what the model holds; later calls raise InvalidArgumentError. A `with` does it too."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()
        self._handle.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (os.path.abspath(self._path), *self._arguments)

    def __repr__(self) -> str:
        return f"vlmz.open({self._path!r})"

    # ------------------------------------------------------------ classes

    @overload
    def classify(
        self,
        images: list[Any] | tuple[Any, ...] | Iterator[Any],
        top: int | None = ...,
        labels: Sequence[str] | TextClasses | None = ...,
        *,
        templates: Sequence[str] = ...,
        progress: Progress | None = ...,
        on_error: OnError | None = ...,
    ) -> list[list[Candidate]]: ...

    @overload
    def classify(
        self,
        images: ImageSource,
        top: int | None = ...,
        labels: Sequence[str] | TextClasses | None = ...,
        *,
        templates: Sequence[str] = ...,
        progress: Progress | None = ...,
        on_error: OnError | None = ...,
    ) -> list[Candidate]: ...

    def classify(
        self,
        images: Any,
        top: int | None = None,
        labels: Sequence[str] | TextClasses | None = None,
        *,
        templates: Sequence[str] = (),
        progress: Progress | None = None,
        on_error: OnError | None = None,
    ) -> Any:
        """The classes that pictures show, best first.

        Args:
            images: one picture (see `Image`), or a list, a tuple or an iterator of pictures, or an array
                (N, H, W, 3).
            top: candidates of a picture at most; None for 5 of the model's classes, all of `labels`.
            labels: texts to choose from instead of the model's classes (zero-shot), or what
                `text_classes` made of them.
            templates: what is said of a label, which stands for `{}`, such as "a photo of a {}".
            progress: called with the number of pictures that are done, and of all.
            on_error: called with the place of a picture that cannot be read, and the exception; its
                result is an empty list. Without it the exception is raised.

        Returns:
            The candidates of the one picture, or a list of such lists.

        Raises:
            NotCapableError: for a model without classes of its own and no `labels`, or one that compares
                no pictures with texts.
            InvalidArgumentError: for a `top` below 1, an empty label, a template without `{}`.
            BadDataError: for a damaged picture, or one that is too small; and what `Image` raises.
        """
        top = c.number(top, "top", least=1)
        none: list[Candidate] = []
        if labels is None:
            wanted = top or 5
            return self._each(images, partial(_classify, wanted, None), progress, on_error, none)
        classes = labels if isinstance(labels, TextClasses) else self._classes(labels, templates)
        wanted = top or len(classes.labels)
        return self._each(images, partial(_classify, wanted, classes), progress, on_error, none)

    def text_classes(
        self, labels: Sequence[str], templates: Sequence[str] = ()
    ) -> TextClasses:
        """Classes of texts, made once for any number of pictures.

        Args:
            labels: one or more, none empty.
            templates: see `classify`; of several a label's vector is the normalised mean of theirs.

        Raises:
            NotCapableError: for a model that reads no texts.
            InvalidArgumentError: for an empty label, or a template without `{}`.
        """
        labels, templates = _listed(labels, "labels"), _listed(templates, "templates")
        pointer = ctypes.c_void_p()
        names, frames = c.texts(labels), c.texts(templates)
        with self._session() as session:
            self._run(
                session,
                lambda: check(
                    library().vlmz_session_make_text_classes(
                        session.value, names, len(names), frames, len(frames), pointer
                    )
                ),
            )
        return TextClasses(c.Handle(pointer, "vlmz_text_classes_free"), tuple(labels))

    def _classes(self, labels: Sequence[str], templates: Sequence[str]) -> TextClasses:
        """The same, kept from call to call while they are the same texts."""
        key = (tuple(_listed(labels, "labels")), tuple(_listed(templates, "templates")))
        kept: tuple[Any, TextClasses] | None = self.__dict__.get("_kept_classes")
        if kept is None or kept[0] != key:
            kept = (key, self.text_classes(*key))
            self.__dict__["_kept_classes"] = kept
        return kept[1]

    # ------------------------------------------------------------ embeddings

    def embed(
        self,
        images: Any = None,
        *,
        texts: str | Sequence[str] | None = None,
        progress: Progress | None = None,
        on_error: OnError | None = None,
    ) -> Floats:
        """Vectors of pictures or of texts. Those of a model that embeds both have Euclidean norm 1, and
        the product of two is their cosine.

        Args:
            images: as of `classify`. A `str` is the name of a file, never a text.
            texts: a text, or several, instead of pictures. What is longer than the model reads is cut.
            progress: as of `classify`.
            on_error: as of `classify`; the picture's row is NaN.

        Returns:
            float32, (width,) of one picture or text, (N, width) of several.

        Raises:
            NotCapableError: for a model that answers questions, or one that embeds no texts.
            BadDataError: for a damaged picture, or one that is too small; and what `Image` raises.
        """
        if (images is None) == (texts is None):
            raise TypeError("embed: expected either images or texts")
        if texts is not None:
            if isinstance(texts, str):
                row: Floats = self._embed_texts([texts])[0]
                return row
            return self._embed_texts(list(texts))
        if is_several(images) and not len(images := series(images)):
            # As wide as others, so that it can be joined with them.
            gray = np.full((32, 32, 3), 128, np.uint8)
            return np.empty((0, len(self.embed(gray))), np.float32)
        found: Any = self._each(images, _embed, progress, on_error, None)
        if not isinstance(found, list):
            return found  # type: ignore[no-any-return]
        width = next((len(row) for row in found if row is not None), 0)
        missing = np.full(width, np.nan, np.float32)
        return _stacked([missing if row is None else row for row in found])

    def _embed_texts(self, texts: Sequence[str]) -> Floats:
        if not texts:
            return np.empty((0, self._embed_texts(["a"]).shape[1]), np.float32)
        encoded = [c.text(text) for text in texts]
        stopped = threading.Event()
        count = ctypes.c_size_t()

        def call(session: c.Handle) -> list[Floats]:
            rows = []
            for text in encoded:
                if stopped.is_set():
                    break
                with c.Block() as block:
                    check(
                        library().vlmz_session_embed_text(session.value, text, block.pointer, count)
                    )
                    rows.append(_floats(block.pointer, (count.value,)))
            return rows

        with self._session() as session:

            def cancel() -> None:
                stopped.set()
                library().vlmz_session_cancel(session.value)

            return _stacked(run(lambda _: call(session), cancel))

    # ------------------------------------------------------------ features

    @overload
    def features(  # type: ignore[overload-overlap]
        self, image: ImageSource, names: str
    ) -> Floats: ...

    @overload
    def features(
        self, image: ImageSource, names: Iterable[str] | None = ...
    ) -> dict[str, Floats]: ...

    def features(
        self, image: ImageSource, names: str | Iterable[str] | None = None
    ) -> Floats | dict[str, Floats]:
        """What the model makes of a picture on the way to its answer; the names are those of
        `vlm-run --dump`, in docs/cli.md.

        Args:
            image: one picture.
            names: a feature, or several; None for all, which takes much memory.

        Returns:
            float32 arrays by name, or the one array of the one name: maps (1, channels, H, W), tokens
            (1, tokens, channels), vectors (1, channels).

        Raises:
            NotCapableError: for a model that sees no pictures.
            InvalidArgumentError: for a name that the model does not have; the message lists all.
            BadDataError: for a damaged picture, or one that is too small; and what `Image` raises.
        """
        wanted = [names] if isinstance(names, str) else list(names or [])
        seen = opened(image)
        encoded, count = c.texts(wanted), ctypes.c_size_t()

        def call(session: c.Handle) -> dict[str, Floats]:
            with c.Block() as block:
                check(
                    library().vlmz_session_features(
                        session.value, seen._handle.value, encoded, len(wanted), block.pointer, count
                    )
                )
                features = ctypes.cast(block.pointer, ctypes.POINTER(c.CFeature))
                return {
                    features[place].name.decode(): _floats(
                        features[place].values, features[place].shape[: features[place].rank]
                    )
                    for place in range(count.value)
                }

        with self._session() as session:
            found = self._run(session, lambda: call(session))
        return found[names] if isinstance(names, str) else found

    # ------------------------------------------------------------ questions

    def chat(
        self,
        *,
        system: str | None = None,
        template: str | None = None,
        context_length: int | None = None,
        key_values: str | None = None,
        threads: int | None = None,
    ) -> Chat:
        """A conversation, in which questions and answers are remembered.

        Args:
            system: what the model is told first; None for the template's own.
            template: the chat template by name, such as "vicuna_v1", "chatml" or "llama-3"; "none" for
                text that goes on where the question ends; None for what the file says.
            context_length: positions for text and pictures together; None for the model's, at most
                4096, and fewer where memory is short.
            key_values: how keys and values are stored: "f32", "f16", "bf16" or "q8"; None for "f16".
            threads: of the conversation's own; None to share the model's.

        Raises:
            NotCapableError: for a model that writes no text.
            InvalidArgumentError: for an unknown template; the message lists the names.
            OutOfMemoryError: for a context that is too long for the machine.
        """
        return Chat(self, system, template, context_length, key_values, threads)

    @overload
    def answer(
        self, image: Any, question: str, *, film: Any = ..., fps: float | None = ...,
        stream: Literal[False] = ..., system: str | None = ..., template: str | None = ..., context_length: int | None = ..., resolution: int | None = ...,
        keep_aspect: bool = ..., **sampling: Any,
    ) -> Answer: ...

    @overload
    def answer(
        self, image: Any, question: str, *, film: Any = ..., fps: float | None = ...,
        stream: Literal[True], system: str | None = ..., template: str | None = ..., context_length: int | None = ..., resolution: int | None = ...,
        keep_aspect: bool = ..., **sampling: Any,
    ) -> AnswerStream: ...

    def answer(
        self,
        image: Any,
        question: str,
        *,
        film: FilmSource | None = None,
        fps: float | None = None,
        stream: bool = False,
        system: str | None = None,
        template: str | None = None,
        context_length: int | None = None,
        resolution: int | None = None,
        keep_aspect: bool = False,
        **sampling: Any,
    ) -> Answer | AnswerStream:
        """The answer to one question about a picture or a film.

        Args:
            image: a picture, or None for a question without one, or about a film. A list is several pictures that the one
                question is about, not a batch: `answer_each` asks about each.
            question: where pictures stand in it may be said with `<image>`, once for each.
            film, fps: as of `Chat.ask`; beside them `image` is None.
            stream: gives the answer piece by piece.
            system, template, context_length: as of `chat`.
            resolution, keep_aspect: as of `Chat.ask`.
            sampling: as of `Chat.ask`: `max_tokens`, `temperature`, `top_k`, `top_p`, `min_p`,
                `repeat_penalty`, `seed`, `stop`, `schema`, `grammar`, `presence_penalty`,
                `frequency_penalty`, `speculated_tokens`.

        Returns:
            The text, with what it took; or an iterator over its pieces.

        Raises:
            NotCapableError: for a model that writes no text, sees no pictures, or was trained on no
                films.
            InvalidArgumentError: for more than the context has room for, or an option out of range.
            BadDataError: for a damaged picture; and what `Image` raises.
        """
        chat = self.chat(system=system, template=template, context_length=context_length)
        options: dict[str, Any] = {
            "film": film, "fps": fps, "resolution": resolution, "keep_aspect": keep_aspect,
            **sampling,
        }
        if stream:
            pieces: AnswerStream = chat.ask(question, image, stream=True, **options)
            return pieces
        answer: Answer = chat.ask(question, image, **options)
        return answer

    def answer_each(
        self,
        images: Any,
        question: str,
        *,
        progress: Progress | None = None,
        on_error: OnError | None = None,
        **options: Any,
    ) -> list[Answer | None]:
        """The answers to one question about each of some pictures, as `vlm-run --each` gives them.

        Args:
            images: as of `classify`; one picture is a series of one.
            question: as of `answer`.
            progress: as of `classify`.
            on_error: as of `classify`; the picture's answer is None.
            options: as of `answer`, but for `stream`.

        Returns:
            The answers, in the order of the pictures.

        Raises:
            What `answer` raises.
        """
        sources = series(images) if is_several(images) else [images]
        answers: list[Answer | None] = []
        for place, image in enumerate(sources):
            try:
                answers.append(self.answer(image, question, **options))
            except OF_ONE_IMAGE as failure:
                error = of_place(failure, place)
                if on_error is None:
                    raise error from failure
                on_error(place, error)
                answers.append(None)
            if progress is not None:
                progress(len(answers), len(sources))
        return answers

    # ------------------------------------------------------------ sessions

    @contextmanager
    def _session(self) -> Iterator[c.Handle]:
        """A session that no other call uses."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            pointer = ctypes.c_void_p()
            check(library().vlmz_session_create(self._handle.value, None, pointer))
            session = c.Handle(pointer, "vlmz_session_free")
        try:
            yield session
        finally:
            with self._lock:
                if self._handle.value:
                    self._idle.append(session)

    @staticmethod
    def _run(session: c.Handle, call: Callable[[], T]) -> T:
        return run(lambda _: call(), lambda: library().vlmz_session_cancel(session.value))

    def _outcomes(
        self, images: Sequence[Any], call: Callable[[c.Handle, Sequence[Image]], Sequence[T]]
    ) -> Iterator[list[T | Exception]]:
        """Results of many pictures, chunk by chunk, with exceptions in place of those that failed."""
        active: set[c.Handle] = set()

        def in_session(some: Sequence[Image]) -> Sequence[T]:
            with self._session() as session:
                active.add(session)
                try:
                    return call(session, some)
                finally:
                    active.discard(session)

        batches = Batches(in_session, worker_count(self.info["threads"]))

        def cancel() -> None:
            batches.stop()
            for session in list(active):
                library().vlmz_session_cancel(session.value)

        def produce(send: Callable[[Any], None]) -> None:
            for outcomes in batches.run(images):
                send(outcomes)

        task: Task[None] = Task(produce, cancel)
        try:
            while (event := task.next_event()) is not None:
                yield event[0]
        finally:
            task.cancel()
        task.result()

    def _each(
        self,
        images: Any,
        call: Callable[[c.Handle, Sequence[Image]], Sequence[T]],
        progress: Progress | None,
        on_error: OnError | None,
        missing: T,
    ) -> Any:
        if not is_several(images):
            image = opened(images)
            with self._session() as session:
                return self._run(session, lambda: call(session, [image])[0])
        sources = series(images)
        results: list[T] = []
        for outcomes in self._outcomes(sources, call) if len(sources) else ():
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    error = of_place(outcome, len(results))
                    if on_error is None:
                        raise error from outcome
                    on_error(len(results), error)
                    results.append(missing)
                else:
                    results.append(outcome)
            if progress is not None:
                progress(len(results), len(sources))
        return results


# What checkpoints are called.
_CHECKPOINTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt")


def _is_checkpoint(path: str | bytes) -> bool:
    name = os.fsdecode(path)
    if os.path.isdir(name):
        return any(file.endswith(_CHECKPOINTS) for file in os.listdir(name))
    return name.endswith(_CHECKPOINTS) and os.path.isfile(name)


def _reopen(
    path: str,
    threads: int | None,
    instruction_set: str | None,
    keys: list[str] | None = None,
    memory: int | str | None = None,
    cache_folder: str | None = None,
    cache_bytes: int | str | None = None,
) -> Model:
    return Model(
        path,
        threads=threads,
        instruction_set=instruction_set,
        trusted_keys=keys,
        memory=memory,
        cache_folder=cache_folder,
        cache_bytes=cache_bytes,
    )


def _handles(images: Sequence[Image]) -> Any:
    return (ctypes.c_void_p * len(images))(*(image._handle.value.value for image in images))


def _classify(
    top: int, classes: TextClasses | None, session: c.Handle, images: Sequence[Image]
) -> list[list[Candidate]]:
    count = ctypes.c_size_t()
    with c.Block() as block:
        handles = _handles(images)
        if classes is None:
            status = library().vlmz_session_classify_images(
                session.value, handles, len(images), top, block.pointer, count
            )
        else:
            status = library().vlmz_session_classify_images_by_text(
                session.value, handles, len(images), classes._handle.value, top, block.pointer, count
            )
        check(status)
        found = ctypes.cast(block.pointer, ctypes.POINTER(c.CCandidate))
        return [
            [_candidate(found[row * count.value + place]) for place in range(count.value)]
            for row in range(len(images))
        ]


def _candidate(found: c.CCandidate) -> Candidate:
    label = None if found.label is None else found.label.decode()
    return Candidate(label, found.score, found.index)


def _embed(session: c.Handle, images: Sequence[Image]) -> list[Floats]:
    count = ctypes.c_size_t()
    with c.Block() as block:
        check(
            library().vlmz_session_embed_images(
                session.value, _handles(images), len(images), block.pointer, count
            )
        )
        return list(_floats(block.pointer, (len(images), count.value)))


def _floats(pointer: Any, shape: Sequence[int]) -> Floats:
    """A copy of numbers of the library's."""
    array = np.empty(tuple(shape), np.float32)
    ctypes.memmove(array.ctypes.data, pointer, array.nbytes)
    return array


def _stacked(rows: Sequence[Floats]) -> Floats:
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def _listed(texts: Sequence[str], name: str) -> list[str]:
    """Texts as a list.

    Raises:
        TypeError: for one text, which would be taken for its letters.
    """
    if isinstance(texts, str):
        raise TypeError(f"{name}: found a text, expected a list of them")
    return list(texts)

