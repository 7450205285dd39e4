"""Jobs on a Ray cluster."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data

from .._errors import InvalidArgumentError, NotCapableError
from .._model import Model
from . import _job
from ._job import Part, Progress, Summary
from ._tasks import Answer, Task


class _Worker:
    """A process of the cluster, with the model open. The weights are mapped: workers of one machine have
    them in memory once."""

    def __init__(
        self,
        model: str,
        output: str,
        task: Task,
        columns: list[pa.Field],
        column: str,
        batch_rows: int,
        threads: int,
    ) -> None:
        self._model = Model(model, threads=threads)
        self._output = Path(output)
        self._rest = (task, columns, column, batch_rows)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        part = Part(**json.loads(row["part"]))
        failed = _job.run(part, self._output, self._model, *self._rest)
        return {"number": part.number, "rows": part.count, "failed": failed}


def map_images(
    model: str | os.PathLike[str],
    source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    task: Task,
    *,
    column: str = "image",
    rows_per_part: int = 1024,
    batch_rows: int = 64,
    cpus_per_worker: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Does something with each picture of a dataset, on all machines of a Ray cluster.

    The output is a folder of Parquet files. Read in the order of their names they have the rows of the
    input in its order: its columns (but pictures themselves), those of the task, and `error`, which is
    null, or says why the others are. Called again with the same arguments, a job that was broken off
    goes on with the parts that are missing.

    Args:
        model: a `.vlmz` file, by a name that is the same on all machines.
        source: a Parquet file or a folder of such, a folder of pictures, or names of picture files; the
            same on all machines.
        output: the folder to write to, on a file system that all machines share.
        task: `Embed()`, `Classify(…)`, `Answer(…)`, or a dataclass of your own with their methods.
        column: of Parquet, with names of files, their bytes, or both as Hugging Face's `datasets` has
            them.
        rows_per_part: rows of one output file; what a worker that is killed has to do again at most.
        batch_rows: pictures that a worker has in memory at once.
        cpus_per_worker: threads of a worker; None for as many as the smallest machine has.
        progress: called when a part is done, in this thread.

    Raises:
        JobChangedError: for an output of another job.
        VlmzError: for a model that cannot be opened, or cannot do the task: a picture is tried before
            any worker begins.
    """
    parts = _job.split(source, rows_per_part)
    # What is wrong with the arguments is said here, not by a worker.
    with Model(model) as opened:
        columns = task.columns(opened)
        _job.check(parts, column, columns)
        _try(task, opened)
    path, folder = Path(model).absolute(), Path(output).absolute()
    done = _job.begin(folder, _job.fingerprint(path, parts, column, task), parts)
    missing = [part for part in parts if part.number not in done]
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    state = [len(done), sum(part.count for part in parts if part.number in done)]
    if missing:
        threads, workers = _pool(cpus_per_worker)
        arguments = (str(path), str(folder), task, columns, column, batch_rows, threads)
        # As texts, which every version of Ray keeps as they are.
        items = [{"part": json.dumps(dataclasses.asdict(part))} for part in missing]
        data = ray.data.from_items(items, override_num_blocks=len(missing))
        # `progress` is told of it.
        data.context.enable_progress_bars = False
        results = data.map(
            _Worker,
            fn_constructor_args=arguments,
            num_cpus=threads,
            # A worker of a pool that dies is started again, and its part begun anew, without limit.
            # Ray counts it as a try to ask a machine that is gone, so a limit of its own would be no
            # use: `_job.run` has one.
            compute=ray.data.ActorPoolStrategy(size=max(1, min(workers, len(missing)))),
        )
        for row in results.iter_rows():
            state[0] += 1
            state[1] += row["rows"]
            if progress is not None:
                progress(Progress(state[0], len(parts), state[1], sum(part.count for part in parts)))
    files = [folder / part.file for part in parts]
    return Summary(
        files=tuple(str(file) for file in files),
        rows=sum(part.count for part in parts),
        failed=sum(_job.failures(file) for file in files),
        resumed_parts=len(done),
    )


def _try(task: Task, model: Model) -> None:
    """Does the task with one small picture.

    Raises:
        VlmzError: for what the model cannot do, or options that it does not take.
    """
    if isinstance(task, Answer):
        # One token tells as much as all of an answer.
        task = Answer(task.question, (*task.options, ("max_tokens", 1)))
    for found in task.rows(model, [np.full((32, 32, 3), 128, np.uint8)]):
        if isinstance(found, (InvalidArgumentError, NotCapableError, TypeError)):
            raise found


def _pool(cpus_per_worker: int | None) -> tuple[int, int]:
    """Threads of a worker, and how many workers fill the cluster."""
    machines = [
        int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]
    ]
    machines = [cpus for cpus in machines if cpus > 0]
    threads = cpus_per_worker or min(machines, default=1)
    return threads, sum(cpus // threads for cpus in machines)
