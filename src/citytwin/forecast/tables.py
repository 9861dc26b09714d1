"""Tables as hubs and institutes publish them: CSV with any separator (also .gz) or Parquet; a file, or a folder of releases."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from citytwin.errors import InputError

RELEASES = ("as_of", "asof", "issue", "issue_date", "release", "release_date", "snapshot_date", "version", "vintage")
_KINDS = (".csv", ".csv.gz", ".parquet")
_DAY = re.compile(r"(?<!\d)(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")
_WEEK = re.compile(r"^(\d{4})-?W(\d{1,2})$", re.IGNORECASE)


def tables_of(paths: Iterable[Path | str]) -> dict[Path, pd.DataFrame]:
    """The tables of files, by file; of a folder all CSV and Parquet files in it, by name. Raises InputError."""
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(p for p in path.iterdir() if p.name.endswith(_KINDS)) if path.is_dir() else [path]
        if not found:
            raise InputError("holds no table", str(path), f"it needs {', '.join(_KINDS)} files")
        files += found
    return {path: table_of(path) for path in files}


def dated(tables: Mapping[Path, pd.DataFrame]) -> Iterator[tuple[Path, pd.DataFrame]]:
    """The tables, with a column `as_of` from the file's name where several files say no release but have a date as name."""
    silent = {path: _DAY.findall(path.name) for path, table in tables.items() if not set(RELEASES) & set(table.columns)}
    named = {path: "-".join(days[0]) for path, days in silent.items() if len(days) == 1}
    for path, table in tables.items():
        yield path, table.assign(as_of=named[path]) if len(named) > 1 and path in named else table


def table_of(path: Path) -> pd.DataFrame:
    """A table as it stands, all text where it is CSV, column names in lower case with _. Raises InputError."""
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else _text(path)
    except (OSError, ValueError, EOFError, pd.errors.ParserError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {words}", str(path)) from error
    frame.columns = [re.sub(r"[\s\-]+", "_", str(c).strip().lower()) for c in frame.columns]
    if frame.empty:
        raise InputError("holds no rows", str(path))
    return frame


def _text(path: Path) -> pd.DataFrame:
    """A CSV file by the separator that its heading has most of; with semicolons commas may be decimal."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        heading = file.readline().decode("utf-8-sig", "replace")
    separator = max(",;\t|", key=heading.count)
    frame = pd.read_csv(path, dtype=str, keep_default_na=True, sep=separator, encoding="utf-8-sig")
    if separator == ",":
        return frame
    pointed: pd.DataFrame = frame.apply(lambda column: column.str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True))
    return pointed


def whole_weeks(column: pd.Series) -> pd.Series:
    """Days as they stand; a column of ISO weeks (2024-W45) as the Sundays that end them."""
    words = column.dropna().astype(str).str.strip()
    weeks = words.str.extract(_WEEK)
    if words.empty or weeks.isna().any(axis=None):
        return column
    text = weeks[0] + "-W" + weeks[1].str.zfill(2) + "-7"
    return pd.to_datetime(text, format="%G-W%V-%u", errors="coerce").dt.strftime("%Y-%m-%d").reindex(column.index)
