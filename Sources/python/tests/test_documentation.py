"""Examples do what the documentation says."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import FIXTURES, GOLDENS, PICTURES, REPOSITORY

EXAMPLES = REPOSITORY / "Sources/python/examples"


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_examples_of_the_page_run_in_their_order(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.symlink(FIXTURES / "convnext-cifar10", "convnext")
    os.symlink(files.joint, "clip.vlmz")
    os.symlink(files.llava, "llava.vlmz")
    os.symlink(files.smolvlm, "smolvlm2.vlmz")
    for name in ("frame-0.png", "frame-1.png", "frame-2.png", "film.gif"):
        os.symlink(FIXTURES / "smolvlm/pictures" / name, name)
    shutil.copy(PICTURES / "rocket.jpg", "photo.jpg")
    Path("damaged.jpg").write_bytes(b"\xff\xd8\xff")
    page = (REPOSITORY / "docs/python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec", dont_inherit=True), names)
    said = capsys.readouterr().out
    assert "convnext" in said
    assert "missing.vlmz" in said
    assert [turn.images for turn in names["chat"].history] == [1, 0]
    assert list(names["bad"]) == [1]
    assert np.isnan(names["rows"][1]).all()
    assert names["stages"]["stage3"].ndim == 4


def test_the_pipeline_is_used_as_that_of_transformers(models: Any, files: Any) -> None:
    pipeline = load("pipeline").pipeline
    horse = str(PICTURES / "horse.png")
    found = pipeline("image-classification", str(files.classifier))([horse, horse], top_k=2)
    assert found[0] == found[1]
    assert found[0][0]["label"] == "horse"
    labels = ["a cat", "a dog"]
    found = pipeline("zero-shot-image-classification", str(files.joint))(
        horse, candidate_labels=labels
    )
    assert sorted(entry["label"] for entry in found) == labels
    vectors = pipeline("image-feature-extraction", str(files.joint))([horse])
    assert np.array_equal(vectors[0], models.joint.embed(horse))
    cup = str(GOLDENS / "convllava-trained/cup.png")
    found = pipeline("visual-question-answering", str(files.llava))(cup, "What is in the picture?")
    assert found == [{"answer": "A cup of coffee on a table."}]
    story = pipeline("text-generation", str(files.stories))("Once upon a time", max_new_tokens=5)
    assert story[0]["generated_text"].startswith("Once upon a time")


def test_embeddings_have_what_langchain_asks_for(models: Any, files: Any) -> None:
    embeddings = load("langchain_embeddings").VlmzEmbeddings(str(files.joint))
    rows = embeddings.embed_documents(["a cat", "a dog"])
    assert len(rows) == 2
    assert embeddings.embed_query("a dog") == rows[1]
    assert all(isinstance(value, float) for value in rows[0])
    assert embeddings.embed_documents([]) == []
    picture = str(FIXTURES / "zero-shot/picture.png")
    assert embeddings.embed_image([picture]) == models.joint.embed([picture]).tolist()


def test_langchain_takes_them(files: Any) -> None:
    vectorstores = pytest.importorskip("langchain_core.vectorstores")
    embeddings = load("langchain_embeddings").VlmzEmbeddings(str(files.joint))
    store = vectorstores.InMemoryVectorStore.from_texts(["a cat", "a dog", "nothing"], embeddings)
    assert store.similarity_search("a dog", k=1)[0].page_content == "a dog"


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("pipeline", ["a cat", "a dog"]), ("langchain_embeddings", [])],
)
def test_an_example_is_a_program(program: str, arguments: list[str], files: Any) -> None:
    picture = str(FIXTURES / "zero-shot/picture.png")
    given = [picture, *arguments] if arguments else ["a cat", picture]
    said = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{program}.py"), str(files.joint), *given],
        check=True, capture_output=True, text=True,
    ).stdout
    assert re.match(r"^-?\d\.\d{3}  ", said)
