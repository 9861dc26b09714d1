"""Write the generated reference pages: `python docs/reference/generate.py`; a test fails when they have drifted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from citytwin import cli
from citytwin.city import BANDS, FORMS, RELATIONS
from citytwin.scenario import IMPACT
from citytwin.sim import all_simulators, columns_with

HERE = Path(__file__).parent
NOTE = "<!-- made by docs/reference/generate.py: change the declarations, not this page -->"


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in line) + " |" for line in lines)


def columns_page() -> str:
    """Every declared column and device kind."""
    columns = columns_with()
    rows: list[tuple[object, ...]] = [(f"`{c.name}`", c.table, c.unit, c.meaning, f"{c.low:g} … {c.high:g}") for c in columns]
    kinds: list[tuple[object, ...]] = [
        (
            f"`{k.name}`",
            f"`{k.column.name}`",
            k.column.unit,
            f"{k.period:g} s",
            f"{k.usual[0]:g} … {k.usual[1]:g}",
            k.department,
            k.model,
        )
        for k in columns.kinds.values()
    ]
    return "\n\n".join([
        "# Columns and device kinds", NOTE, "Every number that changes is a declared column; a sensor type is one.",
        table(("column", "table", "unit", "meaning", "bounds"), rows), "## Device kinds",
        table(("kind", "measures", "unit", "period", "usually", "department", "Smart Data Model"), kinds),
    ])  # fmt: skip


def simulators_page() -> str:
    """Every installed simulator."""
    parts = ["# Simulators", NOTE]
    for found in all_simulators():
        spec = found.spec
        parts += [
            f"## {spec.name}: {spec.title}",
            f"Room: {spec.room}. Grade: **{spec.grade}**. Needs: {', '.join(spec.needs)}."
            + (" Runs in every scenario whose state has what it reads." if spec.always else ""),
            f"Reads: {', '.join(f'`{r}`' for r in spec.reads) or 'nothing'}."
            + (f" Heeds, where written: {', '.join(f'`{r}`' for r in spec.heeds)}." if spec.heeds else "")
            + (f" Recalls from the step before: {', '.join(f'`{r}`' for r in spec.recalls)}." if spec.recalls else "")
            + f" Writes: {', '.join(f'`{c.name}`' for c in spec.writes)}.",
            f"Limits: {spec.limits}",
            f"Source: {spec.source}",
        ]
        parts += [f"Intervention `{k.name}`: {k.title}." for k in spec.interventions]
    return "\n\n".join(parts)


def city_page() -> str:
    """The declared tables of a city folder, the bands of its ground, its relations."""
    parts = [
        "# Tables of a city",
        NOTE,
        "More attributes are welcome and kept. How the folder is laid out: [city folder](city-folder.md).",
    ]
    for form in FORMS.values():
        rows: list[tuple[object, ...]] = [(f"`{a.name}`", a.kind, a.unit, a.meaning) for a in form.attributes]
        parts += [f"## {form.name}", f"{form.meaning.capitalize()}. Geometry: {form.geometry or 'none'}.",
                  table(("attribute", "kind", "unit", "meaning"), rows)]  # fmt: skip
    parts += ["## cell", "The ground raster `ground.tif`, read row by row.",
              table(("band", "unit", "meaning"), [(f"`{n}`", u, m) for n, (u, m, _) in BANDS.items()]),
              "## Relations", table(("kind", "meaning"), [(f"`{n}`", m) for n, m in RELATIONS.items()])]  # fmt: skip
    return "\n\n".join(parts)


def result_page() -> str:
    """What every result says."""
    rows: list[tuple[object, ...]] = [(f"`{n}`", u, m) for n, (u, m) in IMPACT.items()]
    return "\n\n".join([
        "# Impact in a result", NOTE,
        "`result.json` always has these under `impact`: a number, `{low, median, high}` (5th, 50th, 95th percentile) for an ensemble, "
        "or `null` where nothing in the scenario simulates it.", table(("entry", "unit", "meaning"), rows),
    ])  # fmt: skip


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """All commands below `group` with the words that call them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        elif command is not None:
            yield f"{path} {name}", command


def cli_page() -> str:
    """Every command with its options."""
    parts = ["# Command line", NOTE, "Results on stdout, words on stderr; exit code 0 done, 2 wrong input, 3 something outside failed, "
             "4 the simulation failed."]  # fmt: skip
    for words, command in commands(cli.root, "citytwin"):
        arguments = " ".join(p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument))
        options: list[tuple[object, ...]] = [
            (f"`{', '.join(p.opts)}`", p.help or "") for p in command.params if isinstance(p, click.Option)
        ]
        parts += [f"## {words} {arguments}".rstrip(), (command.help or "").split("\n\n")[0].replace("\n", " ")]
        parts += [table(("option", "meaning"), options)] if options else []
    return "\n\n".join(parts)


PAGES = {
    "columns.md": columns_page,
    "simulators.md": simulators_page,
    "tables.md": city_page,
    "impact.md": result_page,
    "command-line.md": cli_page,
}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (HERE / page).write_text(write() + "\n", encoding="utf-8")
        print(page)
