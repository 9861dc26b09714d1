"""How long readings are kept, by kind: declared in the city folder, done by dropping whole days.

    retention.csv
    kind,days
    river_stage,3650
    *,400

`*` is every kind that has no line of its own, and what belongs to no kind: rejected readings, courses of status, checkpoints.
Without a file, or without a line, readings are kept for good.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections.abc import Iterable
from pathlib import Path

from citytwin.errors import InputError, nearest
from citytwin.io.stores.readings import ReadingStore
from citytwin.io.stores.transitions import Transitions

NAME = "retention.csv"
OTHERS = "*"


def read_retention(folder: Path, kinds: Iterable[str]) -> dict[str, float]:
    """Days by kind, of every kind (inf: for good) and of `*`. Raises InputError."""
    path, kinds = folder / NAME, list(kinds)
    if not path.exists():
        return dict.fromkeys([*kinds, OTHERS], math.inf)
    said: dict[str, float] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            where = f"{NAME} line {number}"
            kind, days = (row.get("kind") or "").strip(), (row.get("days") or "").strip()
            if kind != OTHERS and kind not in kinds:
                raise InputError(f'no device kind "{kind}"', where, nearest(kind, kinds))
            if not days.isdigit() or int(days) < 1:
                raise InputError(f'"{days}" is no number of days', where, "1 or more whole days")
            if kind in said:
                raise InputError(f'kind "{kind}" has two lines', where)
            said[kind] = float(days)
    return {kind: said.get(kind, said.get(OTHERS, math.inf)) for kind in [*kinds, OTHERS]}


def drop_old(store: ReadingStore, transitions: Transitions, retention: dict[str, float], today: dt.date) -> int:
    """Drop the days that are older than `retention` says; the number of partitions (day and kind) dropped."""
    dropped = 0
    for kind, days in retention.items():
        if kind == OTHERS or math.isinf(days):
            continue
        dropped += store.drop(kind, (today - dt.timedelta(days=int(days))).isoformat())
    if math.isfinite(retention.get(OTHERS, math.inf)):
        limit = (today - dt.timedelta(days=int(retention[OTHERS]))).isoformat()
        transitions.drop_before(limit)
        store.checkpoints.drop_before(limit)
        store.drop_rejected(limit)
    return dropped
