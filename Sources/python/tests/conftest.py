"""Models for the tests, converted once from fixtures of the repository."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import vlmz

REPOSITORY = Path(os.environ["VLMZ_REPOSITORY"])
FIXTURES = REPOSITORY / "Tests/Fixtures"
GOLDENS = FIXTURES / "goldens"
PICTURES = REPOSITORY / "docs/images"

# Of the goldens' own notes: for intermediates; logits may differ by five times as much.
TOLERANCE = 2e-4

_SOURCES = {
    "classifier": (FIXTURES / "convnext-cifar10", "f32"),
    "classifier_q4": (FIXTURES / "convnext-cifar10", "q4"),
    "joint": (FIXTURES / "zero-shot", "f32"),
    "open_clip": (GOLDENS / "openclip-convnext", "f32"),
    "clip_vit": (GOLDENS / "clip-vit/hf", "f32"),
    "llava": (GOLDENS / "convllava-trained/hf-A-safetensors", "f32"),
    "stories": (FIXTURES / "stories260K", "f32"),
    "smolvlm": (FIXTURES / "smolvlm/trained", "f32"),
}


class Files:
    """Names of the models' files, each made when it is first wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getattr__(self, name: str) -> Path:
        source, scheme = _SOURCES[name]
        path = self.folder / f"{name}.vlmz"
        if not path.exists():
            vlmz.convert(source, path, scheme=scheme)
        return path

    @property
    def timm(self) -> Path:
        """A ConvNeXt that sees pictures as its golden was made."""
        source, path = GOLDENS / "convnext-timm/fp32", self.folder / "timm.vlmz"
        if not path.exists():
            config = json.loads((source / "config.json").read_text())
            config["pretrained_cfg"] |= {"input_size": [3, 160, 160], "crop_pct": 0.875}
            steps = self.folder / "config.json"
            steps.write_text(json.dumps(config))
            vlmz.convert(source, path, scheme="f32", preprocessor=steps)
        return path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def models(files: Files) -> Any:
    """Opened models by name."""

    class Models:
        def __getattr__(self, name: str) -> vlmz.Model:
            model = vlmz.open(getattr(files, name))
            setattr(self, name, model)
            return model

    return Models()


def expected(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What PyTorch gave for a fixture: notes and tensors."""
    notes = json.loads((folder / "expected.json").read_text())
    tensors = folder / "expected.safetensors"
    return notes, load_file(tensors) if tensors.exists() else {}


def assert_close(found: np.ndarray, wanted: np.ndarray, tolerance: float = TOLERANCE) -> None:
    """As the goldens' notes say: an error is measured by the largest value."""
    assert found.shape == wanted.shape
    assert found.dtype == np.float32
    limit = tolerance * max(1.0, float(np.abs(wanted).max()))
    assert float(np.abs(found - wanted).max()) <= limit


def vlm_run(*arguments: object) -> str:
    """What the command prints."""
    command = [os.environ["VLM_RUN"], *map(str, arguments), "--quiet"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
