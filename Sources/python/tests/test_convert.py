"""Conversion with progress."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, GOLDENS, PICTURES

import vlmz

CIFAR = FIXTURES / "convnext-cifar10"


def test_a_conversion_reports_its_progress_and_what_it_wrote(tmp_path: Path) -> None:
    steps: list[vlmz.ConversionProgress] = []
    report = vlmz.convert(CIFAR, tmp_path / "model.vlmz", scheme="q4", progress=steps.append)
    assert report["scheme"] == "q4"
    assert report["file_bytes"] == (tmp_path / "model.vlmz").stat().st_size
    assert {"name", "scheme", "relative_rmse"} <= set(report["tensors"][0])
    assert isinstance(report["notes"], list)
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert all(step.calibrated == 1 for step in steps)
    assert any("stages" in step.tensor for step in steps)


def test_schemes_of_single_tensors(tmp_path: Path) -> None:
    path = tmp_path / "model.vlmz"
    vlmz.convert(CIFAR, path, tensor_schemes={"*": "f16", "head.*": "f32"})
    schemes = vlmz.open(path).info["schemes"]
    assert set(schemes) == {"f16", "f32"}


def test_a_budget_in_bits(tmp_path: Path) -> None:
    report = vlmz.convert(CIFAR, tmp_path / "model.vlmz", bits_per_weight=6)
    assert report["bits_per_weight"] <= 6


def test_calibration_runs_the_model_first(tmp_path: Path) -> None:
    steps: list[vlmz.ConversionProgress] = []
    statistics = tmp_path / "statistics"
    vlmz.convert(
        CIFAR, tmp_path / "model.vlmz", calibrate=[PICTURES / "horse.png"], calibration_tokens=256,
        statistics=statistics, progress=steps.append,
    )
    assert statistics.exists()
    assert steps[0].calibrated < 1
    assert steps[0].tensor == ""
    assert steps[-1].calibrated == 1


def test_nothing_is_replaced_unless_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "model.vlmz"
    path.write_bytes(b"mine")
    with pytest.raises(vlmz.CannotCreateError):
        vlmz.convert(CIFAR, path)
    assert path.read_bytes() == b"mine"
    vlmz.convert(CIFAR, path, overwrite=True)
    assert vlmz.open(path).info["architecture"] == "convnext"


def test_an_exception_of_the_callback_ends_the_conversion(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(_: vlmz.ConversionProgress) -> None:
        raise Enough

    with pytest.raises(Enough):
        vlmz.convert(GOLDENS / "convllava-trained/hf-A-safetensors", tmp_path / "m.vlmz", progress=stop)
    # One that was too late to end it leaves the whole file, else nothing.
    for path in tmp_path.iterdir():
        assert path.name == "m.vlmz"
        assert vlmz.open(path).info["architecture"] == "llava"


def test_labels_of_a_file_become_those_of_the_model(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(10)]
    (tmp_path / "names.txt").write_text("\n".join(names))
    vlmz.convert(CIFAR, tmp_path / "model.vlmz", labels=tmp_path / "names.txt")
    assert vlmz.open(tmp_path / "model.vlmz").labels == names


def test_what_is_no_checkpoint_is_refused_by_kind(tmp_path: Path) -> None:
    with pytest.raises(vlmz.NotFoundError):
        vlmz.convert(tmp_path / "no.safetensors", tmp_path / "model.vlmz")
    (tmp_path / "bad.safetensors").write_bytes(np.arange(64, dtype=np.uint8).tobytes())
    with pytest.raises(vlmz.BadDataError):
        vlmz.convert(tmp_path / "bad.safetensors", tmp_path / "model.vlmz")
    with pytest.raises(vlmz.InvalidArgumentError, match="q5"):
        vlmz.convert(CIFAR, tmp_path / "model.vlmz", scheme="q99")
    with pytest.raises(vlmz.VlmzError):
        vlmz.convert(CIFAR, tmp_path / "no folder" / "model.vlmz")


def test_one_thing_says_how_matrices_are_stored(tmp_path: Path) -> None:
    source = FIXTURES / "convnext-cifar10"
    with pytest.raises(vlmz.InvalidArgumentError, match="scheme and bits per weight"):
        vlmz.convert(source, tmp_path / "a.vlmz", scheme="q4", bits_per_weight=6)
    for wrong in ({"size": 0}, {"size": "0"}, {"size": "many"}, {"size": float("nan")}, {"loss": -1.0}, {"effort": "great"}, {"scores": "best"}):
        with pytest.raises(vlmz.InvalidArgumentError, match=next(iter(wrong))):
            vlmz.convert(source, tmp_path / "a.vlmz", **wrong)
    assert not list(tmp_path.iterdir())


def test_a_budget_of_bytes_is_kept_and_replayed(tmp_path: Path) -> None:
    source, size = FIXTURES / "convnext-cifar10", 2_000_000
    report = vlmz.convert(source, tmp_path / "a.vlmz", size=size)
    assert (tmp_path / "a.vlmz").stat().st_size <= size
    again = vlmz.convert(source, tmp_path / "b.vlmz", plan=tmp_path / "a.vlmz")
    assert again["bits_per_weight"] == report["bits_per_weight"]
    for number, text in enumerate(("2000kB", "2 MB", "2e6")):
        if text == "2e6":
            named = vlmz.convert(source, tmp_path / f"{number}.vlmz", size=float(text))
        else:
            named = vlmz.convert(source, tmp_path / f"{number}.vlmz", size=text)
        assert named["file_bytes"] == report["file_bytes"]


def test_sizes_are_as_the_commands_have_them() -> None:
    from vlmz._library import size

    for text, count in (
        ("1G", 1 << 30), ("1GB", 10**9), ("700MiB", 700 << 20), ("1.5k", 1536), (".5GB", 5 * 10**8),
        ("16b", 16), ("3.5TB", 3_500_000_000_000), (" 64 mib ", 64 << 20), ("1Gi", 1 << 30),
    ):
        assert size(text, "size", least=1) == count
    for wrong in ("", "G", "1X", "1GiBs", "-1", "0", "0.1", "1e3", "9999999T"):
        with pytest.raises(vlmz.InvalidArgumentError, match="size: found"):
            size(wrong, "size", least=1)


def test_an_output_that_exists_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.vlmz").touch()
    with pytest.raises(vlmz.CannotCreateError, match="overwrite=True"):
        vlmz.convert(FIXTURES / "convnext-cifar10", tmp_path / "a.vlmz")


def test_a_checkpoint_that_is_opened_names_the_remedy() -> None:
    for path in (FIXTURES / "convnext-cifar10", FIXTURES / "convnext-cifar10/model.safetensors"):
        with pytest.raises(vlmz.VlmzError, match=r"vlmz\.convert"):
            vlmz.open(path)
