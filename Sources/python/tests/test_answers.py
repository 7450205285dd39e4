"""Questions, conversations and streams."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from conftest import FIXTURES, GOLDENS, PICTURES, expected, vlm_run

import vlmz

TRAINED = GOLDENS / "convllava-trained"
CUP = TRAINED / "cup.png"


def test_answers_are_those_of_pytorch(models: Any) -> None:
    notes, _ = expected(TRAINED)
    for case in notes["cases"]:
        answer = models.llava.answer(TRAINED / case["image"], case["question"], temperature=0)
        assert answer == case["text"], case["key"]
        assert answer.ending == "stop token"
        assert answer.tokens == len(case["ids"]) - 1
        assert answer.picture_tokens > 0
        assert answer.prompt_tokens == len(case["input_ids"]) - 1


def test_text_goes_on_as_pytorchs_does(models: Any) -> None:
    notes, _ = expected(FIXTURES / "stories260K")
    answer = models.stories.answer(None, notes["prompt"], max_tokens=20, temperature=0)
    assert answer.tokens == 20
    assert answer.ending == "length"
    assert notes["text"] or answer


def test_sampling_is_that_of_vlm_run(models: Any, files: Any) -> None:
    said = vlm_run(
        files.stories, "-p", "Once upon a time", "-n", 40, "--temp", 0.9, "--top-k", 50,
        "--seed", 7,
    )
    options = {"max_tokens": 40, "temperature": 0.9, "top_k": 50}
    answer = models.stories.answer(None, "Once upon a time", seed=7, **options)
    assert answer + "\n" == said
    assert answer != models.stories.answer(None, "Once upon a time", seed=8, **options)


def test_a_stream_gives_the_same_text_in_pieces(models: Any) -> None:
    whole = models.stories.answer(None, "Once upon a time", max_tokens=40)
    stream = models.stories.answer(None, "Once upon a time", max_tokens=40, stream=True)
    assert stream.answer is None
    pieces = list(stream)
    assert len(pieces) > 10
    assert "".join(pieces) == whole == stream.answer
    assert stream.answer.tokens == 40
    assert list(stream) == []


def test_a_stop_text_ends_an_answer(models: Any) -> None:
    whole = models.stories.answer(None, "Once upon a time", max_tokens=60)
    place = whole.index(".")
    answer = models.stories.answer(None, "Once upon a time", max_tokens=60, stop=".")
    assert answer == whole[:place]
    assert answer.ending == "stop text"
    assert models.stories.answer(None, "Once upon a time", stop=["never", "."]) == answer


def test_a_chat_remembers_pictures_and_answers(models: Any) -> None:
    chat = models.llava.chat()
    first = chat.ask("What is in the picture?", CUP)
    assert first == "A cup of coffee on a table."
    second = chat.ask("Is there an animal?")
    assert second.reused_tokens > first.prompt_tokens
    assert [(turn.question, turn.answer, turn.images) for turn in chat.history] == [
        ("What is in the picture?", first, 1),
        ("Is there an animal?", second, 0),
    ]
    chat.clear()
    assert chat.history == ()
    assert chat.ask("What is in the picture?", CUP) == first
    assert chat.context_length > 0


def test_a_stream_of_a_chat_becomes_a_part_of_it(models: Any) -> None:
    chat = models.llava.chat()
    with chat.ask("What is in the picture?", CUP, stream=True) as stream:
        text = "".join(stream)
    assert chat.history[0].answer == text == "A cup of coffee on a table."


def test_a_stream_that_is_left_ends_the_answer(models: Any) -> None:
    chat = models.stories.chat(context_length=512)
    with chat.ask("Once upon a time", stream=True, max_tokens=400) as stream:
        first = next(stream)
    assert stream.answer.ending in ("cancelled", "length")
    assert stream.answer.startswith(first)
    assert chat.history[-1].answer == stream.answer
    for _ in chat.ask("And then", stream=True, max_tokens=400):
        break
    # Nobody has the stream any more, so the chat is free.
    assert chat.ask("The end", max_tokens=3).tokens == 3


def test_one_chat_answers_one_question_at_a_time(models: Any) -> None:
    chat = models.stories.chat(context_length=512)
    stream = chat.ask("Once upon a time", stream=True, max_tokens=480)
    next(stream)
    try:
        with pytest.raises(vlmz.BusyError):
            # The answer may end while this one is refused, so it is asked until then.
            while stream.answer is None:
                chat.ask("Meanwhile", max_tokens=1)
                stream.close()
    finally:
        stream.close()


def test_several_pictures_and_their_places(models: Any) -> None:
    pictures = [CUP, TRAINED / "cat.png"]
    answer = models.llava.answer(pictures, "<image> and <image>: what are they?", max_tokens=5)
    assert answer.picture_tokens == 2 * models.llava.answer(CUP, "What?", max_tokens=1).picture_tokens
    with pytest.raises(vlmz.InvalidArgumentError):
        models.llava.answer(CUP, "<image> and <image>?")


def test_answers_of_many_threads_are_those_of_one(models: Any) -> None:
    wanted = [models.stories.answer(None, "Once", seed=seed, max_tokens=20) for seed in range(4)]
    found: dict[int, str] = {}

    def ask(seed: int) -> None:
        found[seed] = models.stories.answer(None, "Once", seed=seed, max_tokens=20)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[seed] for seed in range(4)] == wanted


def test_what_cannot_be_asked_is_refused(models: Any) -> None:
    with pytest.raises(vlmz.NotCapableError):
        models.classifier.answer(PICTURES / "horse.png", "What is it?")
    with pytest.raises(vlmz.NotCapableError):
        models.stories.answer(CUP, "What is it?")
    with pytest.raises(vlmz.InvalidArgumentError, match="temperature"):
        models.stories.answer(None, "Once", temperature=-1)
    with pytest.raises(vlmz.InvalidArgumentError, match="vicuna_v1"):
        models.stories.chat(template="no such")
    with pytest.raises(vlmz.InvalidArgumentError):
        models.stories.answer(None, "Once " * 100_000)
    with pytest.raises(vlmz.BadDataError):
        models.llava.answer(b"none", "What is it?")
    with pytest.raises(vlmz.InvalidArgumentError):
        models.llava.answer(CUP, "What?", resolution=1)
    with pytest.raises(TypeError):
        models.stories.answer(None, "Once", no_such_option=1)


def test_answers_keep_to_a_schema_or_a_grammar(models: Any) -> None:
    schema = {
        "type": "object", "properties": {"animal": {"type": "boolean"}}, "required": ["animal"],
        "additionalProperties": False,
    }
    for given in (schema, json.dumps(schema)):
        answer = models.llava.answer(CUP, "Is there an animal?", schema=given, max_tokens=60)
        assert isinstance(json.loads(answer)["animal"], bool)
    answer = models.llava.answer(CUP, "Is there an animal?", grammar='root ::= "yes" | "no"')
    assert answer in ("yes", "no")
    assert answer.ending == "complete"
    with pytest.raises(vlmz.InvalidArgumentError, match="uniqueItems"):
        models.llava.answer(CUP, "What?", schema={"type": "array", "uniqueItems": True})
    with pytest.raises(vlmz.InvalidArgumentError, match="grammar"):
        models.llava.answer(CUP, "What?", schema=schema, grammar="root ::= [a]")


def test_penalties_change_answers(models: Any) -> None:
    options = {"max_tokens": 60, "temperature": 0}
    plain = models.stories.answer(None, "Once", **options)
    assert models.stories.answer(None, "Once", presence_penalty=2, **options) != plain
    assert models.stories.answer(None, "Once", frequency_penalty=2, **options) != plain


def test_proposals_change_no_answer(models: Any) -> None:
    options = {"max_tokens": 80, "temperature": 0.8, "seed": 4}
    plain = models.stories.answer(None, "Once upon a time", speculated_tokens=0, **options)
    assert plain.proposed_tokens == plain.accepted_tokens == 0
    fast = models.stories.answer(None, "Once upon a time", **options)
    assert fast == plain and fast.accepted_tokens <= fast.proposed_tokens
    for wrong in (-1, 8):
        with pytest.raises(vlmz.InvalidArgumentError):
            models.stories.answer(None, "Once", speculated_tokens=wrong)


def test_each_picture_has_its_answer(models: Any) -> None:
    bad: dict[int, Exception] = {}
    found = models.llava.answer_each(
        [CUP, "no.png", CUP], "What is in the picture?", temperature=0, on_error=bad.__setitem__
    )
    assert found == ["A cup of coffee on a table.", None, "A cup of coffee on a table."]
    assert list(bad) == [1]
    with pytest.raises(vlmz.NotFoundError, match=r"images\[0\]"):
        models.llava.answer_each(["no.png"], "What?")


def test_a_stream_ends_for_every_thread(models: Any) -> None:
    stream = models.stories.answer(None, "Once upon a time", max_tokens=20, stream=True)
    threads = [threading.Thread(target=lambda: list(stream), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("options", [{"seed": None}, {"schema": 5}, {"grammar": 5}, {"stop": [5]}])
def test_options_of_another_type_are_named(models: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="expected"):
        models.stories.answer(None, "Once", **options)
