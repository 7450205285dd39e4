"""Classes of the model's own and of the caller's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import FIXTURES, GOLDENS, PICTURES, assert_close, expected, vlm_run

import vlmz


def test_a_photograph_has_the_classes_that_pytorch_gives_it(models: Any) -> None:
    notes, _ = expected(FIXTURES / "convnext-cifar10")
    for name in ("chelsea.png", "horse.png", "coffee.png"):
        found = models.classifier.classify(PICTURES / name, top=3)
        wanted = notes["photographs"][name]
        assert [candidate.label for candidate in found] == [label for label, _ in wanted]
        for candidate, (_, score) in zip(found, wanted):
            assert candidate.score == pytest.approx(score, abs=2e-3)


def test_classes_are_those_of_vlm_run(models: Any, files: Any) -> None:
    horse = PICTURES / "horse.png"
    found = models.classifier_q4.classify(horse)
    said = json.loads(vlm_run(files.classifier_q4, horse, "--json"))
    assert [
        vlmz.Candidate(entry["label"], entry["probability"], entry["index"])
        for entry in said[0]["top"]
    ] == found


def test_top_limits_the_candidates_and_five_are_given_by_default(models: Any) -> None:
    horse = PICTURES / "horse.png"
    assert len(models.classifier.classify(horse)) == 5
    assert len(models.classifier.classify(horse, top=2)) == 2
    scores = [candidate.score for candidate in models.classifier.classify(horse, top=99)]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)


def test_labels_are_compared_as_pytorch_compares_them(models: Any) -> None:
    notes, _ = expected(FIXTURES / "zero-shot")
    picture = FIXTURES / "zero-shot/picture.png"
    for case in notes["cases"]:
        found = models.joint.classify(picture, labels=case["labels"], templates=case["templates"])
        assert len(found) == len(case["labels"])
        for candidate in found:
            assert candidate.label == case["labels"][candidate.index]
            assert candidate.score == pytest.approx(
                case["probabilities"][candidate.index], abs=1e-4
            )


def test_labels_of_open_clip_too(models: Any) -> None:
    notes, tensors = expected(GOLDENS / "openclip-convnext")
    found = models.open_clip.classify(GOLDENS / "openclip-convnext/input.png", labels=notes["labels"])
    scores = np.zeros((1, 5), np.float32)
    for candidate in found:
        scores[0, candidate.index] = candidate.score
    assert_close(scores, tensors["probs"], 1e-3)


def test_text_classes_are_made_once_and_used_often(models: Any) -> None:
    picture = FIXTURES / "zero-shot/picture.png"
    labels = ["cat", "dog"]
    classes = models.joint.text_classes(labels, ["a photo of a {}"])
    assert classes.labels == ("cat", "dog")
    alone = models.joint.classify(picture, labels=labels, templates=["a photo of a {}"])
    assert models.joint.classify(picture, labels=classes) == alone
    assert models.joint.classify([picture] * 3, labels=classes) == [alone] * 3
    with pytest.raises(vlmz.InvalidArgumentError, match="another model"):
        models.open_clip.classify(picture, labels=classes)


def test_many_pictures_give_what_each_gives_alone(models: Any) -> None:
    names = [PICTURES / name for name in ("horse.png", "chelsea.png", "coffee.png")] * 15
    alone = {name: models.classifier_q4.classify(name) for name in set(names)}
    seen: list[tuple[int, int]] = []
    found = models.classifier_q4.classify(names, progress=lambda *step: seen.append(step))
    assert found == [alone[name] for name in names]
    assert seen[-1] == (45, 45)
    assert seen == sorted(seen)

    def pictures() -> Iterator[Any]:
        yield from names[:4]

    assert models.classifier_q4.classify(pictures()) == found[:4]
    assert models.classifier_q4.classify([]) == []


def test_a_bad_picture_is_named_or_reported(models: Any) -> None:
    pictures = [PICTURES / "horse.png", b"no picture", PICTURES / "no.png", PICTURES / "horse.png"]
    with pytest.raises(vlmz.BadDataError, match=r"^images\[1\]: "):
        models.classifier.classify(pictures)
    failures: dict[int, Exception] = {}
    found = models.classifier.classify(pictures, on_error=failures.__setitem__)
    assert [bool(candidates) for candidates in found] == [True, False, False, True]
    assert found[0] == found[3]
    assert isinstance(failures[1], vlmz.BadDataError)
    assert isinstance(failures[2], FileNotFoundError)
    assert str(failures[2]).startswith("images[2]: ")


def test_what_a_model_cannot_do_is_refused(models: Any) -> None:
    horse = PICTURES / "horse.png"
    with pytest.raises(vlmz.NotCapableError):
        models.classifier.classify(horse, labels=["a horse"])
    with pytest.raises(vlmz.NotCapableError):
        models.stories.classify(horse)
    with pytest.raises(vlmz.InvalidArgumentError, match="top"):
        models.classifier.classify(horse, top=0)
    with pytest.raises(vlmz.InvalidArgumentError, match="template"):
        models.joint.classify(horse, labels=["cat"], templates=["no place"])
    with pytest.raises(TypeError, match="labels"):
        models.joint.classify(horse, labels="cat")
