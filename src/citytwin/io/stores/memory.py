"""What the twin has in mind of its devices, set down now and then, so that a restart need not read the whole history.

One `.npz` file of plain arrays, with the place in the log that they belong to and the keys and kinds of the devices that they
are about, so that those that a city has still are known when others came or went. It is only a short cut: without it the
memory is made again from the history.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.errors import OutsideError

Arrays = dict[str, npt.NDArray[Any]]


def who(keys: Sequence[str], kinds: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Keys and kinds of devices, in order, as bytes."""
    return np.frombuffer("\0".join([*keys, *kinds]).encode(), dtype=np.uint8)


def rows_in(said: npt.NDArray[np.uint8], keys: Sequence[str], kinds: Sequence[str]) -> npt.NDArray[np.int64]:
    """The row that each device has among those in `said` (see `who`), -1 where it is not there or was of another kind."""
    words = said.tobytes().decode().split("\0") if len(said) else []
    half = len(words) // 2
    rows = {each: row for row, each in enumerate(zip(words[:half], words[half:], strict=True))}
    return np.array([rows.get(each, -1) for each in zip(keys, kinds, strict=True)], dtype=np.int64)


def set_down(path: Path, devices: npt.NDArray[np.uint8], sequence: int, arrays: Arrays) -> None:
    """Write the arrays of `devices` (see `who`) as of place `sequence` of the log, whole or not at all. Raises OutsideError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            np.savez(out, devices=devices, sequence=np.array(sequence), **arrays)  # type: ignore[arg-type]
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutsideError(f"cannot write: {error.strerror or error}", str(path)) from error


def look_up(path: Path, most: int) -> tuple[int, npt.NDArray[np.uint8], Arrays] | None:
    """The place in the log (at most `most`), the devices and the arrays; None where there is nothing that can be trusted."""
    try:
        with np.load(path, allow_pickle=False) as found:
            if found["devices"].dtype != np.uint8 or int(found["sequence"]) > most:
                return None
            arrays = {n: found[n] for n in found.files if n not in ("devices", "sequence")}
            return int(found["sequence"]), found["devices"], arrays
    except Exception:  # a missing, cut or foreign file: the history knows all of it
        return None
