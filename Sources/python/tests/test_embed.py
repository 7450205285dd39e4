"""Embeddings and features, held against PyTorch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FIXTURES, GOLDENS, PICTURES, assert_close, expected, vlm_run

import vlmz


def test_an_embedding_is_pytorchs(models: Any) -> None:
    notes, _ = expected(FIXTURES / "zero-shot")
    found = models.joint.embed(FIXTURES / "zero-shot/picture.png")
    assert found.ndim == 1
    assert_close(found[:10], np.array(notes["embedding"][:10], np.float32))
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)


def test_embeddings_of_open_clip_are_pytorchs(models: Any) -> None:
    notes, tensors = expected(GOLDENS / "openclip-convnext")
    picture = GOLDENS / "openclip-convnext/input.png"
    assert_close(models.open_clip.embed([picture]), tensors["image_embedding"])
    texts = models.open_clip.embed(texts=notes["labels"])
    assert_close(texts, tensors["text_embedding"])
    assert np.array_equal(models.open_clip.embed(texts=notes["labels"][1]), texts[1])


def test_an_embedding_is_that_of_vlm_run_to_the_last_bit(
    models: Any, files: Any, tmp_path: Path
) -> None:
    pictures = [PICTURES / name for name in ("horse.png", "chelsea.png")]
    vlm_run(files.classifier_q4, *pictures, "--embed", tmp_path / "embeddings.npy")
    wanted = np.load(tmp_path / "embeddings.npy")
    assert np.array_equal(models.classifier_q4.embed(pictures), wanted)


def test_shapes_say_whether_one_was_asked_for(models: Any) -> None:
    picture = FIXTURES / "zero-shot/picture.png"
    width = models.joint.embed(picture).shape[0]
    assert models.joint.embed([picture]).shape == (1, width)
    assert models.joint.embed((picture,) * 3).shape == (3, width)
    assert models.joint.embed(np.zeros((2, 40, 50, 3), np.uint8)).shape == (2, width)
    assert models.joint.embed(texts=["a", "b"]).shape == (2, width)
    assert models.joint.embed([]).shape[0] == 0


def test_a_bad_picture_leaves_its_row_empty(models: Any) -> None:
    pictures = [b"none", FIXTURES / "zero-shot/picture.png"]
    failures: list[int] = []
    rows = models.joint.embed(pictures, on_error=lambda place, _: failures.append(place))
    assert failures == [0]
    assert np.isnan(rows[0]).all()
    assert np.isfinite(rows[1]).all()


def test_embed_wants_pictures_or_texts(models: Any) -> None:
    with pytest.raises(TypeError):
        models.joint.embed()
    with pytest.raises(TypeError):
        models.joint.embed(PICTURES / "horse.png", texts="a horse")
    with pytest.raises(vlmz.NotCapableError):
        models.classifier.embed(texts="a horse")
    with pytest.raises(vlmz.InvalidArgumentError, match="zero"):
        models.joint.embed(texts="a\0b")


def test_features_of_a_convnext_are_timms(models: Any) -> None:
    _, tensors = expected(GOLDENS / "convnext-timm")
    found = models.timm.features(GOLDENS / "convnext-timm/input_a.png")
    for name in ("pixel_values", "stage1", "stage2", "stage3", "pooled", "head_norm"):
        assert_close(found[name], tensors["a." + name])
    assert_close(found["logits"], tensors["a.logits"], 1e-3)
    assert_close(found["stem"][:, :, ::3, ::3], tensors["a.stem__stride3"])


def test_features_of_a_transformer_are_those_of_transformers(models: Any) -> None:
    _, tensors = expected(GOLDENS / "clip-vit")
    picture = GOLDENS / "clip-vit/input.png"
    found = models.clip_vit.features(picture, ["hidden.0", "hidden.4", "pooler_output"])
    assert sorted(found) == ["hidden.0", "hidden.4", "pooler_output"]
    for name, values in found.items():
        assert_close(values, tensors[name])
    one = models.clip_vit.features(picture, "hidden.4")
    assert np.array_equal(one, found["hidden.4"])


def test_features_of_a_language_model_are_its_visual_tokens(models: Any) -> None:
    _, tensors = expected(GOLDENS / "convllava-trained")
    found = models.llava.features(GOLDENS / "convllava-trained/cup.png", "projector")
    assert_close(found[:, ::5], tensors["cup.projector__tokstride5"])


def test_a_feature_that_is_not_there_is_refused_with_those_that_are(models: Any) -> None:
    with pytest.raises(vlmz.InvalidArgumentError, match="stage9.*expected one of.*stage3"):
        models.timm.features(PICTURES / "horse.png", "stage9")
    with pytest.raises(vlmz.NotCapableError):
        models.stories.features(PICTURES / "horse.png")


def test_no_pictures_have_the_models_width(models: Any) -> None:
    width = len(models.joint.embed(PICTURES / "horse.png"))
    assert models.joint.embed([]).shape == models.joint.embed(texts=[]).shape == (0, width)
