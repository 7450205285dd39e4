"""Jobs on a cluster of two Ray nodes on this machine, whose parts are killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GOLDENS, PICTURES, REPOSITORY

import vlmz

pytestmark = pytest.mark.filterwarnings("ignore")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("ray")

import pyarrow.parquet as pq  # noqa: E402
import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from vlmz import distributed  # noqa: E402
from vlmz.distributed import _job  # noqa: E402

# Good pictures, bytes that are none, and no file.
NAMES = ["horse.png", "chelsea.png", "README.md", "coffee.png", "no.png"]
SOURCES = [str(PICTURES / name) for name in NAMES] * 12


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with one processor, and a second node with another."""
    options = {"num_cpus": 1, "object_store_memory": 80 << 20}
    made = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    made.add_node(**options)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def wanted(models: Any) -> dict[str, np.ndarray]:
    """Embeddings of the good pictures, by name."""
    names = {name for name in SOURCES if Path(name).name in ("horse.png", "chelsea.png", "coffee.png")}
    return {name: models.classifier.embed(name) for name in sorted(names)}


def check(summary: distributed.Summary, wanted: dict[str, np.ndarray], names: list[str]) -> None:
    """Every row is there once, in the order of the input."""
    table = pa.concat_tables([pq.read_table(file) for file in summary.files])
    assert table["path"].to_pylist() == names
    assert sorted(summary.files) == list(summary.files)
    assert summary.rows == len(names)
    errors = table["error"].to_pylist()
    assert summary.failed == sum(error is not None for error in errors)
    for name, embedding, error in zip(names, table["embedding"].to_pylist(), errors, strict=True):
        if name in wanted:
            assert error is None
            assert np.array_equal(np.array(embedding, np.float32), wanted[name])
        else:
            assert embedding is None
            assert name in error


def writers(output: Path) -> dict[str, int]:
    """The process that wrote each part that is there."""
    found = {}
    for file in sorted(output.glob("part-*.parquet")):
        found[file.name] = int(pq.read_schema(file).metadata[b"vlmz.writer"].split(b":")[1])
    return found


def test_two_nodes_give_the_rows_of_one_process(
    cluster: Cluster, files: Any, wanted: dict[str, np.ndarray], tmp_path: Path
) -> None:
    steps: list[distributed.Progress] = []
    summary = distributed.map_images(
        files.classifier, SOURCES, tmp_path / "out", distributed.Embed(), rows_per_part=7,
        batch_rows=3, progress=steps.append,
    )
    check(summary, wanted, SOURCES)
    # What reads a folder of Parquet reads this one.
    assert pq.read_table(tmp_path / "out")["path"].to_pylist() == SOURCES
    assert len(summary.files) == 9
    assert [step.parts for step in steps] == list(range(1, 10))
    assert steps[-1].rows == steps[-1].total_rows == 60
    assert summary.resumed_parts == 0


def test_a_killed_worker_loses_and_doubles_nothing(
    cluster: Cluster, files: Any, wanted: dict[str, np.ndarray], tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(_: distributed.Progress) -> None:
        if len(killed) < 2:
            pid = next(iter(set(writers(tmp_path / "out").values()) - set(killed)), None)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    summary = distributed.map_images(
        files.classifier, SOURCES, tmp_path / "out", distributed.Embed(), rows_per_part=4,
        progress=kill,
    )
    assert killed
    check(summary, wanted, SOURCES)


def test_a_machine_that_goes_loses_and_doubles_nothing(
    cluster: Cluster, files: Any, wanted: dict[str, np.ndarray], tmp_path: Path
) -> None:
    gone: list[int] = []
    machine = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    cluster.wait_for_nodes()

    def remove(step: distributed.Progress) -> None:
        if not gone:
            cluster.remove_node(machine, allow_graceful=False)
            gone.append(step.parts)

    summary = distributed.map_images(
        files.classifier, SOURCES, tmp_path / "out", distributed.Embed(), rows_per_part=4,
        progress=remove,
    )
    assert gone
    check(summary, wanted, SOURCES)


def test_a_killed_driver_is_gone_on_with(
    cluster: Cluster, files: Any, wanted: dict[str, np.ndarray], tmp_path: Path
) -> None:
    program = textwrap.dedent(
        f"""
        import ray
        from vlmz import distributed
        ray.init(address={cluster.address!r}, log_to_driver=False)
        distributed.map_images(
            {str(files.classifier)!r}, {SOURCES!r}, {str(tmp_path / "out")!r}, distributed.Embed(),
            rows_per_part=2, progress=lambda step: print("done", step.parts, flush=True))
        """
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert driver.stdout is not None
    for line in driver.stdout:
        if line.startswith("done 3"):
            break
    driver.kill()
    driver.wait()
    driver.stdout.close()
    before = {file: (tmp_path / "out" / file).stat().st_mtime_ns for file in writers(tmp_path / "out")}
    assert len(before) >= 3
    summary = distributed.map_images(
        files.classifier, SOURCES, tmp_path / "out", distributed.Embed(), rows_per_part=2
    )
    assert summary.resumed_parts >= 3
    check(summary, wanted, SOURCES)
    written = [file for file, time in before.items() if (tmp_path / "out" / file).stat().st_mtime_ns != time]
    # A worker of the killed driver may have finished what it was at; nothing else is written again.
    assert len(written) <= 2
    again = distributed.map_images(
        files.classifier, SOURCES, tmp_path / "out", distributed.Embed(), rows_per_part=2
    )
    assert again.resumed_parts == len(again.files)
    assert again.failed == summary.failed
    assert not list((tmp_path / "out").glob(".*"))


def test_an_output_of_another_job_is_not_gone_on_with(
    cluster: Cluster, files: Any, tmp_path: Path
) -> None:
    source, output = SOURCES[:2], tmp_path / "out"
    distributed.map_images(files.classifier, source, output, distributed.Embed())
    with pytest.raises(distributed.JobChangedError, match="task"):
        distributed.map_images(files.classifier, source, output, distributed.Classify())
    with pytest.raises(distributed.JobChangedError, match="inputs"):
        distributed.map_images(files.classifier, SOURCES[:3], output, distributed.Embed())
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(FileExistsError):
        distributed.map_images(files.classifier, source, tmp_path / "other", distributed.Embed())


def test_a_task_that_cannot_be_done_is_refused_before_it_begins(
    cluster: Cluster, files: Any, tmp_path: Path
) -> None:
    source, output = SOURCES[:1], tmp_path / "out"
    with pytest.raises(vlmz.NotCapableError):
        distributed.map_images(files.stories, source, output, distributed.Embed())
    with pytest.raises(vlmz.NotCapableError, match="labels"):
        distributed.map_images(files.joint, source, output, distributed.Classify())
    with pytest.raises(TypeError, match="temperatur"):
        task = distributed.Answer("What?", (("temperatur", 0),))
        distributed.map_images(files.llava, source, output, task)
    assert not output.exists()


def test_a_job_without_parts_is_replaced(tmp_path: Path) -> None:
    part = _job.Part(0, 1, (SOURCES[0],))
    _job.begin(tmp_path / "out", {"task": "one"}, [part])
    assert _job.begin(tmp_path / "out", {"task": "another"}, [part]) == set()
    (tmp_path / "out" / part.file).touch()
    with pytest.raises(distributed.JobChangedError, match="task"):
        _job.begin(tmp_path / "out", {"task": "one"}, [part])


def test_a_folder_of_pictures_is_its_pictures(tmp_path: Path) -> None:
    for name in ["b/2.JPG", "a.png", "b/1.webp", ".hidden.png", "notes.txt"]:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (part,) = _job.split(tmp_path / "in", 5)
    assert part.names == tuple(str(tmp_path / "in" / name) for name in ("a.png", "b/1.webp", "b/2.JPG"))
    (alone,) = _job.split(tmp_path / "in/a.png", 5)
    assert alone.names == (str(tmp_path / "in/a.png"),)
    with pytest.raises(vlmz.InvalidArgumentError, match="notes.txt"):
        _job.split(tmp_path / "in/notes.txt", 5)


def table(pictures: list[Any], kind: Any) -> Any:
    """A table of pictures with a key."""
    keys = pa.array(range(len(pictures)), pa.int64())
    return pa.table({"key": keys, "image": pa.array(pictures, kind)})


def test_parquet_goes_in_and_out(cluster: Cluster, files: Any, models: Any, tmp_path: Path) -> None:
    horse = (PICTURES / "horse.png").read_bytes()
    source = tmp_path / "in"
    source.mkdir()
    pq.write_table(table([horse, b"none", None] * 5, pa.binary()), source / "a.parquet", row_group_size=4)
    pq.write_table(table([horse] * 3, pa.binary()), source / "b.parquet")
    summary = distributed.map_images(
        files.classifier, source, tmp_path / "out", distributed.Classify(top=2), rows_per_part=6,
        batch_rows=2,
    )
    found = pa.concat_tables([pq.read_table(file) for file in summary.files])
    assert found.column_names == ["key", "labels", "scores", "indices", "error"]
    assert found["key"].to_pylist() == [*range(15), *range(3)]
    wanted = models.classifier.classify(PICTURES / "horse.png", top=2)
    assert found["labels"][0].as_py() == [candidate.label for candidate in wanted]
    assert found["scores"][0].as_py() == [candidate.score for candidate in wanted]
    assert found["labels"][1].as_py() is None
    assert "NoneType" in found["error"][2].as_py()
    assert summary.failed == 10


def test_answers_of_a_column_of_datasets(cluster: Cluster, files: Any, tmp_path: Path) -> None:
    cup = str(GOLDENS / "convllava-trained/cup.png")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pictures = [{"bytes": Path(cup).read_bytes(), "path": None}, {"bytes": None, "path": cup}]
    pq.write_table(table(pictures, kind), tmp_path / "in.parquet")
    task = distributed.Answer("What is in the picture?", (("temperature", 0),))
    summary = distributed.map_images(files.llava, tmp_path / "in.parquet", tmp_path / "out", task)
    assert pq.read_table(summary.files[0])["answer"].to_pylist() == ["A cup of coffee on a table."] * 2


def test_a_part_over_which_workers_die_is_given_up(models: Any, tmp_path: Path) -> None:
    class Death(BaseException):
        pass

    class Deadly(distributed.Embed):
        def columns(self, model: Any) -> Any:
            pytest.fail("a job asks for the columns once, not for each part")

        def rows(self, model: Any, images: Any) -> Any:
            raise Death

    part = _job.Part(0, 1, (SOURCES[0],))
    columns = distributed.Embed().columns(models.classifier)
    arguments = (part, tmp_path, models.classifier)
    for _ in range(_job.MOST_TRIES):
        with pytest.raises(Death):
            _job.run(*arguments, Deadly(), columns, "image", 1)
    with pytest.raises(distributed.PartFailedError, match=part.file):
        _job.run(*arguments, distributed.Embed(), columns, "image", 1)
    # Another call of the job tries again.
    _job.begin(tmp_path / "new", {}, [part])
    _job.run(part, tmp_path / "new", models.classifier, distributed.Embed(), columns, "image", 1)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [_job._MANIFEST, part.file]


@pytest.mark.parametrize("group", [1, 3, 100])
def test_parts_have_each_row_once(group: int, tmp_path: Path) -> None:
    names = [f"picture {number}" for number in range(23)]
    pq.write_table(table(names, pa.string()), tmp_path / "in.parquet", row_group_size=group)
    parts = _job.split(tmp_path / "in.parquet", 5)
    assert [part.count for part in parts] == [5, 5, 5, 5, 3]
    found = [
        picture for part in parts for some, _ in _job.batches(part, "image", 2) for picture in some
    ]
    assert found == names


def test_columns_are_looked_at_first(files: Any, tmp_path: Path) -> None:
    pq.write_table(table(["a.png"], pa.string()), tmp_path / "in.parquet")
    with pytest.raises(vlmz.InvalidArgumentError, match="key, image"):
        distributed.map_images(
            files.classifier, tmp_path / "in.parquet", tmp_path / "out", distributed.Embed(), column="no"
        )
    pq.write_table(pa.table({"image": ["a.png"], "error": ["none"]}), tmp_path / "in.parquet")
    with pytest.raises(vlmz.InvalidArgumentError, match="error"):
        distributed.map_images(
            files.classifier, tmp_path / "in.parquet", tmp_path / "out", distributed.Embed()
        )
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        distributed.map_images(
            files.classifier, tmp_path / "empty", tmp_path / "out", distributed.Embed()
        )


def test_the_example_of_the_page_runs(
    cluster: Cluster, files: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(table([SOURCES[0]] * 3, pa.string()), tmp_path / "pictures")
    page = (REPOSITORY / "docs/clusters.md").read_text()
    block = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
    # The cluster of the tests is joined already.
    block = re.sub(r"^ray.init.*$", "", block, flags=re.MULTILINE)
    block = block.replace("/shared/clip.vlmz", str(files.joint)).replace("/shared", str(tmp_path))
    exec(compile(block, "docs/clusters.md", "exec", dont_inherit=True), {})
    assert capsys.readouterr().out == "3 of 3\n3 0\n"
