"""Questions about films."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from conftest import FIXTURES, vlm_run

import vlmz

FILMS = FIXTURES / "smolvlm/pictures"
FRAMES = [FILMS / f"frame-{number}.png" for number in range(6)]
GIF = FILMS / "film.gif"
QUESTION = "What happens?"


def ask(models: Any, film: Any, fps: float | None = None, **options: Any) -> vlmz.Answer:
    answer: vlmz.Answer = models.smolvlm.answer(
        None, QUESTION, film=film, fps=fps, max_tokens=8, temperature=0, **options)
    return answer


def test_frames_are_seen_as_transformers_shows_them(models: Any) -> None:
    answer = ask(models, FRAMES, 1)
    assert answer.startswith(" First green, then yellow.")
    assert answer.picture_tokens > 0


def test_frames_may_be_whatever_may_be_a_picture(models: Any) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pictures = [pillow.open(path).convert("RGB") for path in FRAMES]
    wanted = ask(models, FRAMES, 2)
    assert ask(models, tuple(pictures), 2) == wanted
    assert ask(models, np.stack([np.asarray(picture) for picture in pictures]), 2) == wanted
    assert ask(models, (vlmz.Image(path) for path in FRAMES), 2) == wanted


def test_a_gif_is_a_film_by_its_name_its_bytes_or_a_file(models: Any, files: Any) -> None:
    said = vlm_run(files.smolvlm, GIF, "--fps", 4, "-p", QUESTION, "-n", 8, "--temp", 0)
    wanted = ask(models, GIF, 4)
    assert wanted + "\n" == said
    assert ask(models, str(GIF), 4) == wanted
    assert ask(models, GIF.read_bytes(), 4) == wanted
    assert ask(models, io.BytesIO(GIF.read_bytes()), 4) == wanted
    # Its delays are a tenth of a second.
    own = ask(models, GIF)
    ten = ask(models, GIF, 10)
    assert (own, own.picture_tokens) == (ten, ten.picture_tokens)


def test_a_chat_goes_on_about_a_film_and_streams(models: Any) -> None:
    chat = models.smolvlm.chat()
    stream = chat.ask(QUESTION, film=FRAMES, fps=1, max_tokens=8, temperature=0, stream=True)
    assert "".join(stream).startswith(" First green, then yellow.")
    assert chat.history[0].film
    assert chat.history[0].images == 0
    later = chat.ask("And then?", max_tokens=4, temperature=0)
    assert later.reused_tokens > 0
    assert not chat.history[1].film


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"film": FRAMES}, vlmz.InvalidArgumentError),
        ({"film": [], "fps": 1}, vlmz.InvalidArgumentError),
        ({"film": FRAMES, "fps": 0}, vlmz.InvalidArgumentError),
        ({"film": FRAMES, "fps": float("nan")}, vlmz.InvalidArgumentError),
        ({"film": FRAMES, "fps": 1, "images": FRAMES[0]}, vlmz.InvalidArgumentError),
        ({"film": FRAMES, "fps": 1, "resolution": 32}, vlmz.InvalidArgumentError),
        ({"fps": 1}, vlmz.InvalidArgumentError),
        ({"film": FRAMES[0]}, vlmz.BadDataError),
        ({"film": FILMS / "none.gif"}, vlmz.NotFoundError),
        ({"film": 5}, TypeError),
    ],
)
def test_what_is_no_film_is_refused(models: Any, options: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        models.smolvlm.chat().ask(QUESTION, **options)


def test_a_model_that_was_trained_on_no_films_says_so(models: Any) -> None:
    with pytest.raises(vlmz.NotCapableError, match="trained on no films"):
        models.llava.answer(None, QUESTION, film=GIF)
