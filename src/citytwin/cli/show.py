"""How every command shows its result: JSON for programs, plain aligned words for people; progress goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from citytwin.jsonable import plain

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_table(rows: list[tuple[Any, ...]]) -> None:
    """Print rows of words, aligned in columns, on stdout."""
    if not rows:
        return
    width = [max(len(str(row[i])) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    for row in rows:
        line = "  ".join(str(cell).ljust(width[i]) for i, cell in enumerate(row))
        sys.stdout.write(line.rstrip() + "\n")


def say(words: str) -> None:
    """Words for a person, on stderr."""
    print(words, file=sys.stderr, flush=True)


@contextmanager
def progress(title: str) -> Iterator[Any]:
    """A call `(share, words)` that draws a progress bar on stderr, or plain lines where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        seen = [""]

        def told(share: float, words: str = "") -> None:
            if words and words != seen[0]:
                seen[0] = words
                say(f"{title}: {words}")

        yield told
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share, words="": bar.update(task, completed=share, description=f"{title}: {words}" if words else title)
