"""Files that are there whole or not at all: written under another name, synced, renamed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SORTED: dict[str, Any] = {  # by device and time: a question about one device reads few row groups, found by their statistics
    "row_group_size": 1 << 15, "write_statistics": ["device", "time"],
}  # fmt: skip
ARRIVED: dict[str, Any] = {  # in the order of the log: written much, read seldom; numbers differ little from row to row
    "row_group_size": 1 << 18, "write_statistics": ["time"],
    "use_dictionary": ["device", "kind", "quality", "arrived", "sequence", "value"],
    "column_encoding": {"time": "DELTA_BINARY_PACKED", "part": "DELTA_BINARY_PACKED"},
}  # fmt: skip


def write_partial(table: pa.Table, path: Path, form: dict[str, Any] | None = None) -> tuple[Path, Path]:
    """Write and sync `table` under another name beside `path`; both names. `form`: how Parquet lays it out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            pq.write_table(table, out, compression="zstd", compression_level=1, **(form or {}))
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return partial, path


def write_bytes(path: Path, content: bytes) -> None:
    """Write, sync and rename. The folder is not synced."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_note(path: Path, said: dict[str, Any]) -> None:
    """A small JSON file, durable when this returns."""
    write_bytes(path, json.dumps(said).encode())
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def words_of(error: BaseException) -> str:
    """An error of the file system as a person reads it."""
    return "the disk is full" if getattr(error, "errno", None) == 28 else str(error).splitlines()[0]
