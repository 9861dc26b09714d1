"""What the twin has in mind of its devices, set down now and then, so that a restart need not read the whole history.

One `.npz` file of plain arrays beside the place in the log that they belong to. It is only a short cut: without it, or when the
devices have changed, the memory is made again from the history.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.errors import OutsideError

Arrays = dict[str, npt.NDArray[Any]]


def fingerprint(keys: Sequence[str], kinds: Sequence[str]) -> str:
    """Of the devices that the arrays are about: keys and kinds, in order."""
    return hashlib.sha256("\n".join([*keys, "", *kinds]).encode()).hexdigest()


def set_down(path: Path, devices: str, sequence: int, arrays: Arrays) -> None:
    """Write the arrays, as of place `sequence` of the log, whole or not at all. Raises OutsideError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            np.savez(out, devices=np.array(devices), sequence=np.array(sequence), **arrays)  # type: ignore[arg-type]
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutsideError(f"cannot write: {error.strerror or error}", str(path)) from error


def look_up(path: Path, devices: str, most: int) -> tuple[int, Arrays] | None:
    """The place in the log (at most `most`) and the arrays; None where there is nothing that can be trusted."""
    try:
        with np.load(path, allow_pickle=False) as found:
            if str(found["devices"]) != devices or int(found["sequence"]) > most:
                return None
            return int(found["sequence"]), {n: found[n] for n in found.files if n not in ("devices", "sequence")}
    except Exception:  # a missing, cut or foreign file: the history knows all of it
        return None
