"""Published truth: `python -m validation [CASE ...]`; one line each: case, metric, bound, value, holds or FALLS SHORT.

A case is a module of this folder with `CASES`, a list of functions that yield `Row`s; a module that runs for minutes is
run only when named and has no `CASES` but its own `main(arguments)`. Exit code 1 if a bound does not hold, 2 for a wrong name.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from validation.case import Row


def judged(rows: Iterable[Row]) -> bool:
    """Print the rows; whether all hold."""
    good = True
    for row in rows:
        print(row.line(), flush=True)
        good &= row.holds
    return good


def main(names: list[str]) -> int:
    """Run the cases named, or all."""
    folder = Path(__file__).parent
    found = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_") and p.stem != "case")
    wrong = [n for n in names if n not in found]
    if wrong:
        print(f'validation: no case "{wrong[0]}" (allowed: {", ".join(found)})', file=sys.stderr)
        return 2
    print(f"{'case':<62} {'metric':<46} {'bound':<10} {'value':<10} verdict", flush=True)
    good = True
    for name in names or found:
        module = importlib.import_module(f"validation.{name}")
        if not hasattr(module, "CASES"):
            if names:
                good &= module.main([]) == 0
            else:
                print(f"{name}: takes minutes, runs when named", file=sys.stderr)
            continue
        for case in module.CASES:
            good &= judged(case())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
