"""Models in threads, processes and signals."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FIXTURES, PICTURES, REPOSITORY

import vlmz

HORSE = PICTURES / "horse.png"


def test_a_model_tells_what_it_is(models: Any, files: Any) -> None:
    model = models.classifier
    assert model.path == str(files.classifier)
    assert model.info["architecture"] == "convnext"
    assert model.labels[7] == "horse"
    assert model.capabilities == {"classifies_images", "embeds_images"}
    assert models.llava.capabilities == {"sees_pictures", "writes_text"}
    assert repr(model) == f"vlmz.open({str(files.classifier)!r})"
    assert models.stories.labels is None


def test_files_that_are_no_models_are_refused_by_kind(tmp_path: Path) -> None:
    with pytest.raises(vlmz.NotFoundError) as failure:
        vlmz.open(tmp_path / "no.vlmz")
    assert isinstance(failure.value, FileNotFoundError)
    assert "no.vlmz" in str(failure.value)
    with pytest.raises(vlmz.BadDataError):
        vlmz.open(HORSE)
    with pytest.raises(vlmz.InvalidArgumentError):
        vlmz.open(HORSE, threads=0)


def test_a_model_in_little_memory_says_the_same(files: Any) -> None:
    whole, limited = vlmz.open(files.classifier), vlmz.open(files.classifier, memory=1 << 24)
    # None where so little has room for everything.
    assert limited.info["memory_bytes"] in (None, 1 << 24)
    assert limited.classify(HORSE) == whole.classify(HORSE)
    assert pickle.loads(pickle.dumps(limited)).classify(HORSE) == whole.classify(HORSE)
    assert vlmz.open(files.classifier, memory="16MiB").info["memory_bytes"] in (None, 1 << 24)
    for memory in (0, 1000, 1 << 63, "1000", "much", "-1G", "1,5G", ""):
        with pytest.raises(vlmz.InvalidArgumentError, match="memory"):
            vlmz.open(files.classifier, memory=memory)


def test_instruction_sets_are_those_of_the_machine(files: Any) -> None:
    scalar = vlmz.open(files.classifier, instruction_set="scalar")
    assert scalar.info["instruction_set"] == "scalar"
    assert scalar.classify(HORSE, top=1)[0].label == "horse"
    with pytest.raises(vlmz.VlmzError, match="abacus"):
        vlmz.open(files.classifier, instruction_set="abacus")


def test_a_model_that_no_trusted_key_signed_is_refused(files: Any) -> None:
    key = FIXTURES / "signatures/a.pub"
    text = key.read_text().splitlines()[1]
    for keys in ([key], [text], text):
        with pytest.raises(vlmz.NotTrustedError, match="is not signed"):
            vlmz.open(files.classifier, trusted_keys=keys)
    with pytest.raises(vlmz.InvalidArgumentError):
        vlmz.open(files.classifier, trusted_keys=[])


def test_a_packed_file_is_opened_where_there_is_a_folder_to_unpack_it_into(tmp_path: Path) -> None:
    # It holds no model, which only shows once it is unpacked.
    packed = REPOSITORY / "formats/golden/vlmzp/accept/A01-one-scalar.vlmzp"
    cache = tmp_path / "cache"
    with pytest.raises(vlmz.VlmzError, match="is packed, and there is no folder"):
        vlmz.open(packed)
    with pytest.raises(vlmz.VlmzError, match="the limit of the cache"):
        vlmz.open(packed, cache_folder=cache, cache_bytes=1)
    with pytest.raises(vlmz.InvalidArgumentError):
        vlmz.open(packed, cache_folder=cache, cache_bytes=0)
    with pytest.raises(vlmz.BadDataError):
        vlmz.open(packed, cache_folder=cache)
    assert [path.suffix for path in cache.iterdir()].count(".vlmz") == 1


def test_a_closed_model_is_refused(files: Any) -> None:
    with vlmz.open(files.classifier) as model:
        model.classify(HORSE)
    with pytest.raises(vlmz.InvalidArgumentError):
        model.classify(HORSE)
    model.close()


def test_threads_share_a_model(models: Any) -> None:
    wanted = models.classifier_q4.embed(HORSE)
    with ThreadPoolExecutor(6) as pool:
        rows = pool.map(models.classifier_q4.embed, [HORSE] * 24)
        assert all(np.array_equal(row, wanted) for row in rows)


def test_python_runs_while_the_library_computes(models: Any) -> None:
    """The GIL is released: this thread counts on while another waits for the library."""
    done = threading.Event()

    def work() -> None:
        models.stories.answer(None, "Once upon a time", max_tokens=100)
        done.set()

    threading.Thread(target=work).start()
    count = 0
    while not done.is_set():
        count += 1
    assert count > 100


def test_a_model_goes_to_other_processes_by_its_name(models: Any) -> None:
    assert np.array_equal(
        pickle.loads(pickle.dumps(models.classifier)).embed(HORSE), models.classifier.embed(HORSE)
    )
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(models.classifier.embed, [HORSE] * 2))
    assert np.array_equal(found[0], models.classifier.embed(HORSE))


def test_a_forked_child_is_told_so(models: Any) -> None:
    models.classifier.embed(HORSE)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            models.classifier.embed(HORSE)
            os.write(writer, b"no error")
        except vlmz.UnsupportedError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    assert "spawn" in said


# What each long call is, as a program that says when it begins.
_LONG_CALLS = {
    "an answer": "model.answer(None, 'Once', max_tokens=100_000, context_length=100_000)",
    "a stream": (
        "[None for _ in model.answer(None, 'Once', max_tokens=100_000, context_length=100_000, "
        "stream=True)]"
    ),
    "embeddings": "classifier.embed([horse] * 1_000_000)",
    "texts": "joint.embed(texts=['a horse'] * 1_000_000)",
}


@pytest.mark.parametrize("call", _LONG_CALLS)
def test_ctrl_c_ends(call: str, files: Any) -> None:
    program = textwrap.dedent(
        f"""
        import sys, threading, vlmz
        model, classifier = vlmz.open({str(files.stories)!r}), vlmz.open({str(files.classifier)!r})
        joint, horse = vlmz.open({str(files.joint)!r}), vlmz.Image({str(HORSE)!r})
        model.answer(None, "Once", max_tokens=1)

        def announce():
            while not any(thread.name == "vlmz" for thread in threading.enumerate()):
                pass
            print("begin", flush=True)

        threading.Thread(target=announce, daemon=True).start()
        try:
            {_LONG_CALLS[call]}
        except KeyboardInterrupt:
            print(model.answer(None, "Once", max_tokens=2).tokens, classifier.classify(horse)[0].label)
            sys.exit(7)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begin\n"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (7, "2 horse\n", "")


def test_memory_does_not_grow_with_calls(models: Any) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def work(count: int) -> None:
        for _ in range(count):
            models.classifier.features(HORSE, "stage0")
            models.classifier.classify([HORSE] * 4)
            models.stories.answer(None, "Once", max_tokens=3, context_length=64)

    work(30)
    before = resident()
    work(100)
    assert resident() - before < 8 << 20
