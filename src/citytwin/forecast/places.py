"""Which places a forecast is for, and what they and the target are called in the answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from citytwin.errors import InputError
from citytwin.forecast.tables import table_of, tables_of

USUAL = "wk inc flu hosp"


def chosen_places(places: list[str], listed: Path | None) -> dict[str, str]:
    """The places to forecast and what each is called: as in the data, or as column `location` of the `listed` table says.

    The table's column that knows most of the places tells which they are. Raises InputError where it knows none.
    """
    if listed is None:
        return {p: p for p in places}
    table = table_of(listed).astype(str)
    known = {column: set(table[column]) & set(places) for column in table.columns}
    column = max(known, key=lambda name: len(known[name]))
    if not known[column]:
        raise InputError("names none of the places", str(listed), f"they are {', '.join(places[:5])}, ...")
    called = table["location"] if "location" in table.columns else table[column]
    names = dict(zip(table[column], called, strict=True))
    return {p: str(names[p]) for p in places if p in names}


def target_of(paths: Iterable[Path], wanted: str | None) -> str:
    """The target to write: the one asked for, else the only one that the files name, else `USUAL`."""
    if wanted:
        return wanted
    found = {str(t) for table in tables_of(paths).values() if "target" in table.columns for t in table["target"].unique()}
    return found.pop() if len(found) == 1 else USUAL
