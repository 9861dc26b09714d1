"""What the forecast's `growth` member knows beforehand, made again from seasons before the one that is scored.

`python -m validation epidemic_freeze` compares the shipped file with a fresh fit; `python -m validation.epidemic_freeze write`
writes it. Training weeks (the week from which a forecast starts): 5 March to 15 June 2022, 1 October 2022 to 1 June 2023,
1 October 2023 to 1 June 2024, at most eight weeks of outcome beyond; nothing after July 2024 is read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from citytwin.forecast import growth, read_vintages
from validation.case import Row

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "epi_flusight_2024_25"
SHIPPED = Path(growth.__file__).parent / "growth.json"
SEASONS = (("2022-03-05", "2022-06-15"), ("2022-10-01", "2023-06-01"), ("2023-10-01", "2024-06-01"))
LAST = np.datetime64("2024-08-01")
SOURCE = (
    "Weekly influenza admissions, NHSN (United States, 53 jurisdictions), starts of forecasts from 2022-03-05 to 2024-06-01, "
    "as published in the FluSight hub on 2026-07-01"
)


def refitted() -> dict[str, object]:
    """The document of `growth.json` from the data of the earlier seasons."""
    series = read_vintages(DATA / "target-hospital-admissions.csv.gz")
    early = series.dates < LAST
    values = np.nan_to_num(series.truth()[:, early])
    dates = series.dates[early]
    inside = [(dates >= np.datetime64(a)) & (dates <= np.datetime64(b)) for a, b in SEASONS]
    weeks = np.flatnonzero(np.any(inside, axis=0))
    return growth.written(growth.learned(values, values[series.parts].sum(axis=0), weeks), SOURCE)


def frozen() -> Iterator[Row]:
    """The shipped settings are those of the earlier seasons."""
    shipped, fresh = json.loads(SHIPPED.read_text(encoding="utf-8"))["fits"], refitted()["fits"]
    worst = 0.0
    for name in growth.MEMORY:
        for one, other in zip(shipped[name], fresh[name], strict=True):  # type: ignore[index]
            worst = max(worst, *(float(np.abs(np.subtract(one[k], other[k])).max()) for k in growth.PARTS))
    yield Row("settings frozen on seasons before August 2024", "largest difference to a fresh fit", 1e-4, worst)


CASES = [frozen]

if __name__ == "__main__" and sys.argv[1:] == ["write"]:
    SHIPPED.write_text(json.dumps(refitted(), separators=(",", ":")) + "\n", encoding="utf-8")
