"""A process of its own for heavy work: runs of scenarios, the base map. `python -m citytwin.server.worker CITY`.

Orders come as JSON lines on stdin, news go as JSON lines to stdout (whatever else prints goes to stderr). The end of
stdin is the end of the server: then the process and all its children (an ensemble's) die at once, so a killed server
leaves nothing behind, and therefore this module imports what is heavy only when an order needs it: it listens first. It is the
leader of its own process group, a Ctrl-C in the terminal is the server's affair.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from citytwin.errors import OutsideError, SimulationError, TwinError

if TYPE_CHECKING:
    from citytwin.city import City

REST = 0.1  # seconds between two reports of progress

Order = dict[str, Any]


class Worker:
    """Takes one order after another, and hears "stop" in between."""

    def __init__(self, folder: Path, orders: TextIO, news: TextIO) -> None:
        self.folder = folder
        self.orders = orders
        self.news = news
        self.waiting: queue.Queue[Order] = queue.Queue()
        self.stopped = threading.Event()
        self._city: City | None = None
        self._told = 0.0

    @property
    def city(self) -> City:
        """The city, read at the first order."""
        if self._city is None:
            from citytwin.city import read_city

            self._city = read_city(self.folder)
        return self._city

    def listen(self) -> None:
        """Read orders until the server is gone, then end this process and its children."""
        for line in self.orders:
            order = json.loads(line)
            if order["do"] == "stop":
                self.stopped.set()
            else:
                self.waiting.put(order)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    def work(self) -> None:
        """Do orders, for ever."""
        while True:
            order = self.waiting.get()
            self.stopped.clear()
            self.tell(self._outcome(order))

    def tell(self, news: dict[str, Any]) -> None:
        """Send one line."""
        with contextlib.suppress(BrokenPipeError):
            self.news.write(json.dumps(news) + "\n")
            self.news.flush()

    def progress(self, share: float, words: str = "") -> None:
        """Report progress, not more often than REST."""
        now = time.monotonic()
        if now - self._told >= REST or share >= 1:
            self._told = now
            self.tell({"news": "progress", "share": min(max(float(share), 0.0), 1.0), "words": words})

    def _outcome(self, order: Order) -> dict[str, Any]:
        try:
            ORDERS[order["do"]](self, order)
        except TwinError as error:
            if self.stopped.is_set() and isinstance(error, SimulationError):
                return {"news": "stopped"}
            return _failed(error)
        except MemoryError:
            return _failed(OutsideError("not enough memory", hint="a smaller area, coarser cells or fewer members need less"))
        except OSError as error:
            return _failed(OutsideError(f"{error.filename or 'a file'}: {error.strerror or error}"))
        except Exception as error:
            traceback.print_exc()
            words = f"an error that nobody foresaw: {type(error).__name__}"
            return _failed(SimulationError(words, hint="the server's log says more"))
        return {"news": "done"}

    def run(self, order: Order) -> None:
        """Play a scenario into a run folder."""
        from citytwin import scenario
        from citytwin.server.packing import unpack

        checked = scenario.parse(order["scenario"], Path(order["folder"]) if order.get("folder") else None)
        state = None
        if order.get("state"):
            state = unpack(Path(order["state"]), self.city)
        scenario.run(checked, self.city, Path(order["out"]), state=state, progress=self.progress, stop=self.stopped.is_set)

    def basemap(self, order: Order) -> None:
        """Make the base map."""
        from citytwin.server.basemap import make

        make(self.city, Path(order["out"]), self.progress)

    def optimise(self, order: Order) -> None:
        """Search the best measures into a folder."""
        from citytwin.scenario.optimise import parse_study
        from citytwin.scenario.optimise_words import optimise
        from citytwin.server.packing import unpack

        state = unpack(Path(order["state"]), self.city)
        study, out = parse_study(order["study"]), Path(order["out"])
        optimise(study, self.city, out, state=state, told=self.progress, stop=self.stopped.is_set)

    def report(self, order: Order) -> None:
        """Make the report of a run."""
        from citytwin import scenario
        from citytwin.scenario.report import make_report

        make_report(scenario.read_result(Path(order["run"])), Path(order["out"]), self.city)


def _failed(error: TwinError) -> dict[str, Any]:
    kind = type(error).__name__.removesuffix("Error").lower()
    return {"news": "failed", "kind": kind, "message": error.message, "where": error.where, "hint": error.hint}


ORDERS: dict[str, Callable[[Worker, Order], None]] = {
    "run": Worker.run, "basemap": Worker.basemap, "report": Worker.report, "optimise": Worker.optimise,
}  # fmt: skip


def main() -> None:
    """Keep stdout for news alone, then work."""
    news = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = Worker(Path(sys.argv[1]), sys.stdin, news)
    threading.Thread(target=worker.listen, daemon=True).start()
    worker.work()


if __name__ == "__main__":
    main()
