"""Peers side by side in one run: `python -m benchmarks [CASE]`; one line each: work, ours, peer, ratio, memory.

A case is a module of this folder with `CASES`, a list of functions that yield `Row`s. Times are of this machine and this
moment; only ratios within one run are worth quoting.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.row import Row


def main(names: list[str]) -> int:
    """Run the cases named, or all; 2 for a name that is none."""
    folder = Path(__file__).parent
    found = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_") and p.stem != "row")
    wrong = [n for n in names if n not in found]
    if wrong:
        print(f'benchmarks: no case "{wrong[0]}" (allowed: {", ".join(found)})', file=sys.stderr)
        return 2
    print(Row.heading(), flush=True)
    for name in names or found:
        for case in importlib.import_module(f"benchmarks.{name}").CASES:
            for row in case():
                print(row.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
