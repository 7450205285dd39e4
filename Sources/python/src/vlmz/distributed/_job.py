"""A job: parts of the input, each of which becomes one file of the output.

A part's file appears at its name when it is complete, in one step, and holds the same rows whoever writes
it. So what is there is done, what is missing is to do, and nothing can be lost or doubled, whichever
process dies. `_job.json` says what the parts are of, so that a job is not gone on with as another one.
Readers of Parquet take a folder for one table, and pass over names that begin so.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .._errors import InvalidArgumentError, VlmzError
from .._model import Model
from ._tasks import Task, identity

_MANIFEST = "_job.json"


class JobChangedError(VlmzError, ValueError):
    """The output is of another job: another model, input, task or size of parts."""

    status = 1


class PartFailedError(VlmzError):
    """Worker after worker died over one part."""


# Workers that may die over one part.
MOST_TRIES = 6

# What pictures of a folder are called, as `vlm-run -r` looks for them.
_PICTURES = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .webp .gif .bmp .dib .pbm .pgm .ppm .pnm .tif .tiff .heic .heif "
    ".hif .avif".split()
)


@dataclass(frozen=True)
class Part:
    """Rows of the input that become one file.

    Either `names` of picture files, or `count` rows of the Parquet file `source` from row `first` on.
    """

    number: int
    count: int
    names: tuple[str, ...] = ()
    source: str = ""
    first: int = 0

    @property
    def file(self) -> str:
        """The name of its file in the output; names sort as the parts do."""
        return f"part-{self.number:06d}.parquet"


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    #: Parts and rows that are done, and in all.
    parts: int
    total_parts: int
    rows: int
    total_rows: int


@dataclass(frozen=True)
class Summary:
    """What a job did."""

    #: The output's files, in the order of the input.
    files: tuple[str, ...]
    #: Rows in all of them.
    rows: int
    #: Rows with an error.
    failed: int
    #: Parts that were there already.
    resumed_parts: int


def split(source: Any, rows_per_part: int) -> list[Part]:
    """The parts of an input.

    Args:
        source: names of picture files, or the name of a Parquet file or a picture, or of a folder of
            either. A folder that has Parquet files is those; otherwise it is the pictures in it and in
            its folders, in the order of their names.

    Raises:
        FileNotFoundError: for a name that is not there, or a folder with neither.
        InvalidArgumentError: for a file that is neither.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _split_names([os.path.abspath(name) for name in source], rows_per_part)
    path = Path(source)
    if not path.is_dir():
        if _is_picture(path):
            return _split_names([str(path.absolute())], rows_per_part)
        return _split_tables([path], rows_per_part)
    if files := sorted(path.glob("*.parquet")):
        return _split_tables(files, rows_per_part)
    pictures = _pictures(path)
    if not pictures:
        raise FileNotFoundError(f"{path}: found neither .parquet files nor pictures")
    return _split_names(pictures, rows_per_part)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES and path.is_file()


def _pictures(folder: Path) -> list[str]:
    """Names of the pictures in a folder and its folders, without hidden ones."""
    names: list[str] = []
    for place, folders, files in os.walk(folder.absolute()):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found = (Path(place, name) for name in files if not name.startswith("."))
        names += [str(path) for path in found if _is_picture(path)]
    return sorted(names)


def _split_names(names: Sequence[str], rows_per_part: int) -> list[Part]:
    return [
        Part(number, len(some), tuple(some))
        for number, first in enumerate(range(0, len(names), rows_per_part))
        if (some := names[first : first + rows_per_part])
    ]


def _split_tables(files: Sequence[Path], rows_per_part: int) -> list[Part]:
    parts: list[Part] = []
    for file in files:
        try:
            rows = pq.read_metadata(file).num_rows
        except pa.ArrowInvalid as error:
            raise InvalidArgumentError(
                f"{file}: found no Parquet ({error}), expected a Parquet file, a picture, a folder of "
                "either, or a list of pictures"
            ) from error
        for first in range(0, rows, rows_per_part):
            count = min(rows_per_part, rows - first)
            parts.append(Part(len(parts), count, source=str(file.absolute()), first=first))
    return parts


def check(parts: Sequence[Part], column: str, given: Sequence[pa.Field]) -> None:
    """Looks at the columns of the input.

    Raises:
        InvalidArgumentError: for tables without the column of pictures, or with one that is given.
    """
    names = {field.name for field in given} | {"error"}
    for source in sorted({part.source for part in parts if part.source}):
        found = pq.read_schema(source).names
        if column not in found:
            raise InvalidArgumentError(
                f"{source}: found the columns {', '.join(found)}, expected '{column}' among them"
            )
        if taken := names & set(found):
            raise InvalidArgumentError(
                f"{source}: found a column '{min(taken)}', which the output has of its own"
            )


def fingerprint(model: Path, parts: Sequence[Part], column: str, task: Task) -> dict[str, Any]:
    """What a job is, as JSON has it. Inputs are known by name, size and time of the last change."""
    inputs = hashlib.sha256()
    for source in sorted({part.source for part in parts if part.source}):
        status = os.stat(source)
        inputs.update(f"{source}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    for part in parts:
        inputs.update(f"{part.source}\0{part.first}\0{part.count}\0".encode())
        for name in part.names:
            inputs.update(os.fsencode(name) + b"\0")
    status = os.stat(model)
    found = {
        "version": 1,
        "model": {"name": model.name, "bytes": status.st_size},
        "inputs": inputs.hexdigest(),
        "parts": len(parts),
        "rows": sum(part.count for part in parts),
        "column": column,
        "task": identity(task),
    }
    # As it will be read again: without tuples.
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def begin(output: Path, job: dict[str, Any], parts: Sequence[Part]) -> set[int]:
    """Makes the output's folder, or goes on with what is there.

    Returns:
        Numbers of the parts that are done.

    Raises:
        JobChangedError: for the output of another job, unless nothing of it is done.
        FileExistsError: for a folder that holds other files.
    """
    output.mkdir(parents=True, exist_ok=True)
    manifest = output / _MANIFEST
    is_empty = not any(output.glob("part-*.parquet"))
    if manifest.exists():
        found = json.loads(manifest.read_text())
        if found != job and is_empty:
            # A job that failed before it had anything, with other arguments.
            _write_manifest(manifest, job)
        elif found != job:
            changed = [key for key in job if found.get(key) != job[key]]
            raise JobChangedError(
                f"{output}: found the output of another job ({', '.join(changed)} differ), expected "
                "this one's, or none"
            )
    elif any(output.iterdir()):
        raise FileExistsError(f"{output}: found other files, expected an empty folder")
    else:
        _write_manifest(manifest, job)
    for left in output.glob(".*.tmp"):
        left.unlink(missing_ok=True)
    return {part.number for part in parts if (output / part.file).exists()}


def _write_manifest(path: Path, job: dict[str, Any]) -> None:
    _write(path, lambda file: Path(file).write_text(json.dumps(job, indent=2) + "\n"))


def _write(path: Path, write: Any) -> None:
    """Writes a file that is whole when it is there."""
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}-{os.getpid()}.tmp")
    try:
        write(str(temporary))
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def batches(part: Part, column: str, batch_rows: int) -> Iterator[tuple[list[Any], pa.Table]]:
    """The rows of a part in their order, at most `batch_rows` at a time: pictures, and the columns that
    go with them. Pictures of a column of bytes are not among these."""
    if not part.source:
        for first in range(0, part.count, batch_rows):
            names = list(part.names[first : first + batch_rows])
            yield names, pa.table({"path": pa.array(names, pa.string())})
        return
    file = pq.ParquetFile(part.source)
    # Row groups before the part are not read.
    (groups, skipped, begun) = ([], 0, 0)
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if begun + rows <= part.first:
            skipped += rows
        elif begun < part.first + part.count:
            groups.append(group)
        begun += rows
    drop, left = part.first - skipped, part.count
    for batch in file.iter_batches(batch_size=batch_rows, row_groups=groups):
        table = pa.table(batch).slice(min(drop, batch.num_rows))
        drop -= batch.num_rows - table.num_rows
        table = table.slice(0, min(left, table.num_rows))
        left -= table.num_rows
        if not table.num_rows:
            continue
        pictures = [_picture(value) for value in table[column].to_pylist()]
        holds_names = pa.types.is_string(table.schema.field(column).type)
        yield pictures, table if holds_names else table.drop_columns([column])


def _picture(value: Any) -> Any:
    """A name, bytes, or what Hugging Face's `datasets` has for an image."""
    if isinstance(value, dict):
        return value.get("bytes") or value.get("path")
    return value


def _begin_part(part: Part, output: Path) -> Path:
    """Counts how often a part was begun, in a file that it gives.

    Raises:
        PartFailedError: for one that was begun too often.
    """
    tries = output / f".{part.file}.tries.tmp"
    with open(tries, "ab") as file:
        file.write(b".")
        count = file.tell()
    if count > MOST_TRIES:
        raise PartFailedError(
            f"{part.file}: found {MOST_TRIES} workers that died over its {part.count} rows, expected a "
            "result; they may need more memory than a machine has"
        )
    return tries


def run(
    part: Part,
    output: Path,
    model: Model,
    task: Task,
    columns: Sequence[pa.Field],
    column: str,
    batch_rows: int,
) -> int:
    """Makes the file of a part.

    Args:
        columns: what `task.columns` gives for the model, which may take a picture to find out.

    Returns:
        How many of its rows have an error.

    Raises:
        PartFailedError: for a part over which too many workers died.
    """
    tries = _begin_part(part, output)
    fields = [*columns, pa.field("error", pa.string())]
    tables: list[pa.Table] = []
    failed = 0
    for pictures, table in batches(part, column, batch_rows):
        values: dict[str, list[Any]] = {field.name: [] for field in fields}
        for row in task.rows(model, pictures):
            is_bad = isinstance(row, Exception)
            failed += is_bad
            given = {"error": str(row)} if isinstance(row, Exception) else row
            for name, column_values in values.items():
                column_values.append(given.get(name))
        for field in fields:
            table = table.append_column(field, pa.array(values[field.name], field.type))
        tables.append(table)
    # Who wrote it is no part of the rows.
    writer = {"vlmz.failed": str(failed), "vlmz.writer": f"{os.uname().nodename}:{os.getpid()}"}
    whole = pa.concat_tables(tables).replace_schema_metadata(writer)
    _write(output / part.file, lambda name: pq.write_table(whole, name))
    tries.unlink(missing_ok=True)
    return failed


def failures(file: Path) -> int:
    """How many rows of a part's file have an error."""
    return int((pq.read_schema(file).metadata or {}).get(b"vlmz.failed", b"0"))
