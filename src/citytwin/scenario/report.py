"""The report of a run: a PDF that a mayor can read, with map, numbers, grade and limits (typst, tagged PDF/UA-1)."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from pathlib import Path
from typing import Any

import typst

from citytwin.city import City, read_city
from citytwin.errors import ConflictError, OutsideError, TwinError
from citytwin.scenario.drawing import draw_bars, draw_map
from citytwin.scenario.result import IMPACT, Result

TEMPLATE = Path(__file__).with_name("report.typ")

GRADES = {
    "sketch": "first working form; use it to think, not to decide",
    "verified": "equals analytic or published solutions; not yet held against a real event",
    "validated": "held against a real event",
}


def make_report(result: Result, out: Path, city: City | None = None, replace: bool = False) -> Path:
    """Write the report of `result` to the PDF file `out`; the map has streets when the city is at hand.

    Raises ConflictError where `out` exists, OutsideError where it cannot be written.
    """
    out = Path(out)
    if out.exists() and not replace:
        raise ConflictError(f"{out} exists", hint="name another file, or say --replace")
    city = city if city is not None else _city_of(result)
    with tempfile.TemporaryDirectory(prefix="citytwin-report-") as name:
        folder = Path(name)
        content = _content(result, city, folder)
        (folder / "content.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        (folder / "report.typ").write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
        pdf = typst.compile(str(folder / "report.typ"), root=name, pdf_standards=["ua-1"])
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.write_bytes(pdf)
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutsideError(f"cannot write {out}: {error.strerror or error}") from error
    return out


def _city_of(result: Result) -> City | None:
    """The city that the run says it was played on, if it still lies there unchanged."""
    said = result.document["city"]
    try:
        city = read_city(Path(said.get("folder") or "."))
        return city if city.identity == said["identity"] else None
    except TwinError:
        return None


def _content(result: Result, city: City | None, folder: Path) -> dict[str, Any]:
    document = result.document
    start = dt.datetime.fromisoformat(document["start"].replace("Z", "+00:00"))
    maps = draw_map(result, city, folder / "map.png")
    return {
        "title": document["scenario"],
        "description": document.get("description", ""),
        "city": document["city"]["name"],
        "synthetic": bool(document["city"].get("synthetic")),
        "start": f"{start:%d %B %Y, %H:%M} UTC",
        "hours": f"{document['simulated_s'] / 3600:g}",
        "made": document["started"][:10],
        "members": document["members"],
        "numbers": [
            {
                "meaning": meaning,
                "value": words(document["impact"].get(name)),
                "unit": unit if unit not in ("people", "1") else "",
            }
            for name, (unit, meaning) in IMPACT.items()
            if not _is_classes(document["impact"].get(name))
        ],
        "map": maps,
        "bars": draw_bars(document["impact"], folder),
        "tables": _tables(result),
        "grades": [
            {"simulator": n, "grade": g, "means": GRADES[g], "limits": document.get("limits", {}).get(n, "")}
            for n, g in document["grade"].items()
        ],
        "sources": [f"{n}: {s}" for n, s in document["provenance"].get("sources", {}).items()],
        "data": [
            f"{s['name']} ({', '.join(x for x in (s['date'], s['licence']) if x)})"
            for s in document["provenance"]["city_sources"]
        ],
        "versions": ", ".join(f"{n} {v}" for n, v in document["provenance"]["versions"].items()),
        "identity": document["city"]["identity"][:16],
        "seed": document["seed"],
        "scenario_text": result.scenario_text,
    }


def _is_classes(value: Any) -> bool:
    return isinstance(value, dict) and not {"low", "median", "high"} <= set(value)


def words(value: Any) -> str:
    """A number as a mayor reads it: rounded to what is meant, a band for ensembles, plain words for what is not known."""
    if value is None:
        return "not simulated"
    if isinstance(value, dict):
        return f"{words(value['median'])} ({words(value['low'])} to {words(value['high'])})"
    if abs(value) >= 1e6:
        return f"{value / 1e6:,.1f} million"
    if abs(value) >= 10_000:
        value = round(value, 2 - len(str(int(abs(value)))) + 1)
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:,.1f}"


PLURALS = {"zone": "zones", "facility": "facilities"}


def _tables(result: Result) -> list[dict[str, Any]]:
    """The worst rows of zones and facilities, as lists of text."""
    tables = []
    for table, plural in PLURALS.items():
        columns = [c for c in result.document["columns"] if c["table"] == table]
        if table not in result.tables or not columns:
            continue
        rows = result.table(table)
        numbers = rows[[c["name"] for c in columns]].astype(float).fillna(0.0)
        hit = (numbers / numbers.max().replace(0.0, 1.0)).sum(axis=1).sort_values(ascending=False, kind="stable")
        rows = rows.loc[hit[hit > 0].index[:12]]
        names = rows["name"].fillna("") if "name" in rows else rows["key"]
        labels = [str(n) if n else str(k) for n, k in zip(names, rows["key"], strict=True)]
        cells = [[_cell(c, row) for c in columns] for row in rows.to_dict("records")]
        tables.append({
            "title": f"Hardest hit: {plural}",
            "head": [table.capitalize(), *(f"{c['title']}{_unit(c)}" for c in columns)],
            "rows": [[label, *row] for label, row in zip(labels, cells, strict=True)],
        })  # fmt: skip
    return tables


def _unit(column: dict[str, Any]) -> str:
    return "" if column["unit"] in ("1", "people", "") or column["categories"] else f" ({column['unit']})"


def _cell(column: dict[str, Any], row: dict[Any, Any]) -> str:
    value = float(row[column["name"]])
    if column["categories"] and value == value:
        return str(column["categories"][int(value)])
    return "" if value != value else words(value)
