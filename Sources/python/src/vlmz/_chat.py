"""Conversations: questions about pictures, and answers as they are written."""

from __future__ import annotations

import ctypes
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, overload

from . import _library as c
from ._calls import Task, run
from ._errors import CancelledError, error_of
from ._film import Film, FilmSource
from ._images import ImageSource, is_several, opened, series
from ._library import check, library

if TYPE_CHECKING:
    from ._model import Model

#: A JSON Schema, as `json.loads` has it or as its text.
Schema = Union[Mapping[str, Any], str]

# By VLMZ_ENDING_…
_ENDINGS = {
    1: "stop token", 2: "stop text", 3: "length", 4: "context", 5: "cancelled", 6: "complete",
}


class Answer(str):
    """What a model wrote: a `str`, which also knows what it took."""

    #: Why it ends: "stop token", "stop text", "length", "context" or "cancelled"; "complete" where it is
    #: all that `schema` or `grammar` allow.
    ending: str
    #: Tokens of the answer, without the one that ended it.
    tokens: int
    #: Positions of the whole prompt that are text, and that are pictures.
    prompt_tokens: int
    picture_tokens: int
    #: Positions of the prompt that the context still held from before.
    reused_tokens: int
    #: Seconds until the first token, and for the others together.
    prompt_seconds: float
    token_seconds: float
    #: Tokens that were proposed because the answer repeated its prompt or itself, and those of them that
    #: the model chose.
    proposed_tokens: int
    accepted_tokens: int

    @classmethod
    def _of(cls, found: c.CAnswer) -> Answer:
        answer = cls(ctypes.string_at(found.text, found.length).decode())
        answer.ending = _ENDINGS.get(found.ending, "unknown")
        for name in (
            "tokens", "prompt_tokens", "picture_tokens", "reused_tokens", "prompt_seconds",
            "token_seconds", "proposed_tokens", "accepted_tokens",
        ):
            setattr(answer, name, getattr(found, name))
        return answer


class AnswerStream(Iterator[str]):
    """An answer as it is written: an iterator over pieces of text.

    Whoever leaves the loop early closes the stream, by `close()`, `with` or letting it go: the answer
    ends with what was written of it.
    """

    def __init__(self, task: Task[Answer]) -> None:
        self._task = task
        self._ended = False
        self._answer: Answer | None = None

    def __next__(self) -> str:
        """The next piece.

        Raises:
            VlmzError: as `Chat.ask`, once what was written before is taken.
        """
        if self._ended:
            raise StopIteration
        event = self._task.next_event()
        if event is not None:
            piece: str = event[0]
            return piece
        self._ended = True
        self._answer = self._task.result()
        raise StopIteration

    @property
    def answer(self) -> Answer | None:
        """All of the answer, once the stream has ended; None before, or when nothing was written."""
        return self._answer

    def close(self) -> None:
        """Ends the answer, if it has not ended; what is written of it stays in the conversation."""
        if self._ended:
            return
        self._ended = True
        self._task.cancel()
        try:
            self._answer = self._task.result()
        except CancelledError:
            pass

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._task.cancel()


class Turn(NamedTuple):
    """A question with its answer."""

    question: str
    answer: Answer
    #: How many pictures came with the question.
    images: int
    #: Whether it was about a film.
    film: bool = False


class Chat:
    """A conversation; `Model.chat` makes one.

    It does one thing at a time: a question while another is answered raises BusyError.
    """

    def __init__(
        self,
        model: Model,
        system: str | None,
        template: str | None,
        context_length: int | None,
        key_values: str | None,
        threads: int | None,
    ) -> None:
        def optional(text: str | None) -> bytes | None:
            return None if text is None else c.text(text)

        options = c.ConversationOptions(
            system=optional(system),
            chat_template=optional(template),
            key_values=optional(key_values),
            context_length=c.number(context_length, "context length", least=1),
            threads=c.number(threads, "threads", least=1),
        )
        pointer = ctypes.c_void_p()
        check(library().vlmz_conversation_create(model._handle.value, options, pointer))
        self._handle = c.Handle(pointer, "vlmz_conversation_free")
        self._model = model
        self._history: list[Turn] = []

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("found a vlmz.Chat, expected what can be pickled: its history can")

    @property
    def history(self) -> tuple[Turn, ...]:
        """What was asked and answered, oldest first."""
        return tuple(self._history)

    @property
    def context_length(self) -> int:
        """Positions that the conversation may have, text and pictures together."""
        length = ctypes.c_size_t()
        check(library().vlmz_conversation_get_context_length(self._handle.value, length))
        return length.value

    def clear(self) -> None:
        """Forgets everything that was said and seen."""
        check(library().vlmz_conversation_clear(self._handle.value))
        self._history.clear()

    @overload
    def ask(
        self, question: str, images: Any = ..., *, film: Any = ..., fps: float | None = ...,
        stream: Literal[False] = ...,
        max_tokens: int | None = ..., temperature: float | None = ..., top_k: int | None = ...,
        top_p: float | None = ..., min_p: float | None = ..., repeat_penalty: float | None = ...,
        seed: int = ..., stop: str | Sequence[str] = ..., schema: Schema | None = ...,
        grammar: str | None = ..., presence_penalty: float = ..., frequency_penalty: float = ...,
        speculated_tokens: int | None = ..., resolution: int | None = ..., keep_aspect: bool = ...,
    ) -> Answer: ...

    @overload
    def ask(
        self, question: str, images: Any = ..., *, film: Any = ..., fps: float | None = ...,
        stream: Literal[True],
        max_tokens: int | None = ..., temperature: float | None = ..., top_k: int | None = ...,
        top_p: float | None = ..., min_p: float | None = ..., repeat_penalty: float | None = ...,
        seed: int = ..., stop: str | Sequence[str] = ..., schema: Schema | None = ...,
        grammar: str | None = ..., presence_penalty: float = ..., frequency_penalty: float = ...,
        speculated_tokens: int | None = ..., resolution: int | None = ..., keep_aspect: bool = ...,
    ) -> AnswerStream: ...

    def ask(
        self,
        question: str,
        images: ImageSource | Sequence[ImageSource] | None = None,
        *,
        film: FilmSource | None = None,
        fps: float | None = None,
        stream: bool = False,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repeat_penalty: float | None = None,
        seed: int = 0,
        stop: str | Sequence[str] | None = (),
        schema: Schema | None = None,
        grammar: str | None = None,
        presence_penalty: float = 0,
        frequency_penalty: float = 0,
        speculated_tokens: int | None = None,
        resolution: int | None = None,
        keep_aspect: bool = False,
    ) -> Answer | AnswerStream:
        """Asks a question; question and answer become a part of the conversation.

        Args:
            question: where pictures stand in it may be said with `<image>`, once for each; otherwise
                they stand before it.
            images: a picture, or several, which the question is about. Those of earlier questions are
                still seen.
            film: instead of `images`, for a model that was trained on films, such as SmolVLM2: a list
                of all frames, each whatever may be a picture, or an array (frames, H, W, 3); or an
                animated GIF as the name of a file, its bytes or a file that is open. The model sees
                some of the frames, evenly spread, each behind its time.
            fps: frames of the film that are a second, above 0, at most 1000; None for a GIF's own.
            stream: gives the answer piece by piece. The next question waits for its end.
            max_tokens: of the answer at most; None for 512.
            temperature: divides the logits, 0 to 100; 0 always takes the most probable token. Here and
                below None is the model's own.
            top_k: so many most probable tokens are drawn from; 0 for all.
            top_p: the fewest most probable tokens whose probabilities add up to this are drawn from.
            min_p: tokens with at least this share of the highest probability are drawn from.
            repeat_penalty: what logits of tokens that came before are divided by, 0.01 to 100.
            seed: the same number gives the same text.
            stop: a text that ends the answer and is no part of it, or several.
            schema: the answer is JSON that is valid for this JSON Schema, a dictionary or its text;
                docs/grammars.md has the keywords. `{"type": "object"}` for any object.
            grammar: the answer is a text of this grammar in GBNF; not beside `schema`.
            presence_penalty, frequency_penalty: what is taken off the logit of a token that the answer
                has, once and for each time that it has it, -100 to 100.
            speculated_tokens: how many tokens one pass may decide beside the next one where the answer
                repeats its prompt or itself, 0 for none to 7; None for 7. The text is the same.
            resolution: the short side of the model's input in pixels; None for the model's own.
            keep_aspect: sees whole pictures in their own proportions instead of squares.

        Returns:
            The text, with what it took; or an iterator over its pieces. An exception while waiting,
            such as KeyboardInterrupt, ends the answer; what was written stays in the conversation.

        Raises:
            NotCapableError: for pictures or a film that the model cannot see.
            InvalidArgumentError: for frames without `fps`, a film beside `images`, `resolution` or
                `keep_aspect`, more than the context has room for, another number of `<image>`
                than of pictures, an option out of range, or a schema or grammar that cannot be kept to.
            BadDataError: for a damaged picture, or a film that is no GIF; and what `Image` raises.
            BusyError: while another question is answered.
        """
        stops = [stop] if isinstance(stop, str) else list(stop or ())
        # Kept by `options` until the call is over.
        stop_array = c.texts(stops)
        options = c.AnswerOptions(
            maximum_tokens=c.number(max_tokens, "max_tokens", least=1),
            top_k=-1 if top_k is None else c.number(top_k, "top_k", least=0),
            temperature=_unless_none(temperature, "temperature"),
            top_p=_unless_none(top_p, "top_p"),
            min_p=_unless_none(min_p, "min_p"),
            repeat_penalty=_unless_none(repeat_penalty, "repeat_penalty"),
            seed=_seed(seed) & (1 << 64) - 1,
            stops=ctypes.cast(stop_array, ctypes.POINTER(ctypes.c_char_p)),
            stop_count=len(stops),
            json_schema=_schema(schema),
            grammar=None if grammar is None else c.text(grammar),
            presence_penalty=presence_penalty,
            frequency_penalty=frequency_penalty,
            speculated_tokens=_speculated(speculated_tokens),
        )
        if images is None:
            sources: Sequence[Any] = []
        else:
            sources = series(images) if is_several(images) else [images]
        encoding = c.EncodingOptions(
            resolution=c.number(resolution, "resolution", least=1),
            keeps_aspect=keep_aspect,
            # Some models see one of several otherwise than one alone.
            one_of_several=len(sources) + sum(turn.images for turn in self._history) > 1,
        )
        seen = None
        if film is not None:
            if images is not None or resolution is not None or keep_aspect:
                raise error_of(
                    1, "film: found images, resolution or keep_aspect beside it, expected it alone"
                )
            seen = Film(film, fps)
        elif fps is not None:
            raise error_of(1, "fps: found one without a film, expected 'film'")
        turn = _Ask(self, question, sources, seen, encoding, options)
        if stream:
            return AnswerStream(Task(turn, turn.cancel))
        return run(lambda _: turn(None), turn.cancel)


class _Ask:
    """One question, in the thread that makes the calls."""

    def __init__(
        self,
        chat: Chat,
        question: str,
        sources: Sequence[Any],
        film: Film | None,
        encoding: c.EncodingOptions,
        options: c.AnswerOptions,
    ) -> None:
        self._chat = chat
        self._question = question
        self._text = c.text(question)
        self._sources = sources
        self._film = film
        self._encoding = encoding
        self._options = options
        self._session: c.Handle | None = None
        self._stopped = False

    def cancel(self) -> None:
        self._stopped = True
        if (session := self._session) is not None:
            library().vlmz_session_cancel(session.value)
        library().vlmz_conversation_cancel(self._chat._handle.value)

    def __call__(self, send: Callable[[str], None] | None) -> Answer:
        pictures = self._encoded()
        handles = (ctypes.c_void_p * len(pictures))(*(p.value.value for p in pictures))

        def take(text: int, length: int, _: Any) -> int:
            if send is not None:
                send(ctypes.string_at(text, length).decode())
            return 0

        callback = c.TextCallback() if send is None else c.TextCallback(take)
        if self._stopped:
            raise CancelledError("cancelled before there was a result")
        conversation = self._chat._handle.value
        with c.Block() as block:
            if self._film is not None:
                status = library().vlmz_conversation_ask_about_film(
                    conversation, self._text, self._film.options, self._options, callback, None,
                    block.pointer,
                )
            else:
                status = library().vlmz_conversation_ask(
                    conversation, self._text, handles, len(pictures), self._options, callback, None,
                    block.pointer,
                )
            check(status)
            answer = Answer._of(ctypes.cast(block.pointer, ctypes.POINTER(c.CAnswer))[0])
        self._chat._history.append(
            Turn(self._question, answer, len(pictures), self._film is not None)
        )
        return answer

    def _encoded(self) -> list[c.Handle]:
        """The pictures as the model sees them."""
        if not self._sources:
            return []
        pictures: list[c.Handle] = []
        with self._chat._model._session() as session:
            self._session = session
            try:
                for source in self._sources:
                    if self._stopped:
                        raise CancelledError("cancelled before there was a result")
                    image, pointer = opened(source), ctypes.c_void_p()
                    check(
                        library().vlmz_session_encode(
                            session.value, image._handle.value, self._encoding, pointer
                        )
                    )
                    pictures.append(c.Handle(pointer, "vlmz_picture_free"))
            finally:
                self._session = None
        return pictures


def _seed(seed: int) -> int:
    try:
        return operator.index(seed)
    except TypeError:
        raise TypeError(f"seed: found {type(seed).__name__}, expected an integer") from None


def _speculated(count: int | None) -> int:
    """As the library takes it: 0 for what is usual, negative for none."""
    if count is None:
        return 0
    return c.number(count, "speculated_tokens", least=0) or -1


def _schema(schema: Schema | None) -> bytes | None:
    if schema is None:
        return None
    if not isinstance(schema, (str, Mapping)):
        raise TypeError(f"schema: found {type(schema).__name__}, expected a dict or a str")
    return c.text(schema if isinstance(schema, str) else json.dumps(schema))


def _unless_none(value: float | None, name: str) -> float:
    """An option that the library takes as the model's own where it is negative.

    Raises:
        InvalidArgumentError: for one that is negative, or no number.
    """
    if value is None:
        return -1.0
    value = float(value)
    if not value >= 0:
        raise error_of(1, f"{name}: found {value}, expected 0 or more")
    return value
