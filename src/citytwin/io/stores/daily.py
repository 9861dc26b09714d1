"""Readings of some kinds of device summed up by day, read from the files of the history; no twin need run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd

from citytwin.errors import OutsideError

ASKED = """
    select cast(device as varchar) as device, cast(kind as varchar) as kind, cast(time as date) as day,
           sum(value) as total, avg(value) as mean
    from read_parquet($files, union_by_name = true) where kind in (select unnest($kinds)) group by all order by day"""


def daily(folder: Path, kinds: Sequence[str]) -> pd.DataFrame:
    """Columns device, kind, day (UTC), total, mean of believed readings in the city `folder`; empty where there are none."""
    files = sorted(str(p) for p in (folder / "live" / "readings").glob("*/*/[0-9]*.parquet"))
    if not files:
        return pd.DataFrame({name: [] for name in ("device", "kind", "day", "total", "mean")})
    try:
        with duckdb.connect() as connection:
            return connection.execute(ASKED, {"files": files, "kinds": list(kinds)}).df()
    except duckdb.Error as error:
        raise OutsideError(f"cannot read the history: {error}", str(folder)) from error
