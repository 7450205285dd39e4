"""Evaluation of models."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import FIXTURES, PICTURES, Files

import vlmz

HORSE = PICTURES / "horse.png"


def test_a_model_is_compared_with_what_it_was_made_of(files: Files) -> None:
    steps: list[vlmz.EvaluationProgress] = []
    found = vlmz.evaluate(
        files.classifier_q4, HORSE, reference=FIXTURES / "convnext-cifar10", progress=steps.append)
    assert found["architecture"] == vlmz.open(files.classifier_q4).info["architecture"]
    assert found["classes"]["pictures"] == 1
    assert found["classes"]["same_top"] == 1
    assert 0 < found["loss"] < 1
    assert {step.stage.split(":")[0] for step in steps} >= {"reference", "model"}
    assert all(0 <= step.done <= step.total for step in steps)


def test_without_a_reference_there_is_no_loss(files: Files) -> None:
    found = vlmz.evaluate(files.classifier, [HORSE, HORSE], pictures=1)
    assert found["loss"] is None
    assert found["classes"]["pictures"] == 1


def test_a_text_has_a_perplexity(files: Files, tmp_path: Path) -> None:
    text = tmp_path / "story.txt"
    text.write_text("Once upon a time there was a little girl named Lily. " * 20)
    found = vlmz.evaluate(files.stories, text, tokens=128)
    assert found["text"]["tokens"] <= 128
    assert found["text"]["perplexity"]["model"] > 1


def test_errors_keep_their_kinds(files: Files, tmp_path: Path) -> None:
    with pytest.raises(vlmz.NotFoundError):
        vlmz.evaluate(tmp_path / "none.vlmz", HORSE)
    with pytest.raises(vlmz.InvalidArgumentError):
        vlmz.evaluate(files.classifier, [])
    with pytest.raises(vlmz.InvalidArgumentError):
        vlmz.evaluate(files.classifier, HORSE, tokens=0)
    with pytest.raises(vlmz.BadDataError):
        vlmz.evaluate(files.classifier, HORSE, reference=files.stories)


def test_an_exception_of_progress_ends_it(files: Files) -> None:
    def stop(_: vlmz.EvaluationProgress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        vlmz.evaluate(files.classifier, HORSE, progress=stop)
