"""What the twin says of itself, as numbers for rules: room on the disk, how far the history is behind, problems."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from citytwin.twin.writer import Writer


class SelfWatch:
    """The numbers of `citytwin.twin.view.OWN_COLUMNS` that are known without the records. Call it once a second."""

    def __init__(self, folder: Path, writer: Writer, problem: Callable[[], str]) -> None:
        self._folder, self._writer, self._problem = folder, writer, problem
        self._committed = writer.store.committed
        self._taken = time.monotonic()

    def __call__(self) -> dict[str, float]:
        """The numbers now."""
        now = time.monotonic()
        waiting = self._writer.number_waiting
        if self._writer.store.committed != self._committed or not waiting:
            self._committed, self._taken = self._writer.store.committed, now
        found = {
            "history_behind": now - self._taken if waiting else 0.0,
            "readings_waiting": float(waiting),
            "readings_stopped": float(bool(self._problem())),
        }
        try:
            room = shutil.disk_usage(self._folder)
        except OSError:  # the folder is gone: the next commit says so
            return found
        return {**found, "disk_free": 100.0 * room.free / room.total, "disk_free_bytes": float(room.free)}
