"""What each device of a city folder said last, read from the files of its history, while a twin runs on it or not."""

from __future__ import annotations

from pathlib import Path

import duckdb

from citytwin.errors import OutsideError
from citytwin.state.readings import BELIEVED

DAYS = 31  # days that are looked through, newest first
TRIES = 3  # a running twin may join files while they are read


def newest(folder: Path) -> dict[str, tuple[float, float]]:
    """Value and time (s since 1970) of the newest believed reading of each device in `folder`. Raises OutsideError."""
    for left in reversed(range(TRIES)):
        try:
            return _read(folder)
        except duckdb.Error as error:
            if not left:
                raise OutsideError(f"cannot read the history: {str(error).splitlines()[0]}", str(folder)) from error
    return {}


def _read(folder: Path) -> dict[str, tuple[float, float]]:
    days = sorted((p for p in (folder / "live" / "readings").glob("*") if p.is_dir()), reverse=True)[:DAYS]
    files = [str(f) for day in days for f in day.glob("*/[0-9]*.parquet")]
    if not files:
        return {}
    words = ", ".join(f"'{q.word}'" for q in BELIEVED)
    with duckdb.connect(config={"threads": 2}) as connection:
        found = connection.execute(
            f"select device, arg_max(value, time), epoch(max(time)) from read_parquet($files) "  # noqa: S608
            f"where quality in ({words}) group by 1",
            {"files": files},
        ).fetchall()
    return {device: (float(value), float(when)) for device, value, when in found}
