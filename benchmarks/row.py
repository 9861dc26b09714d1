"""One row of a benchmark, as every case gives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was done, our figure, the peer's (text, with units), the ratio ours : peer as said, and peak memory."""

    work: str
    ours: str
    peer: str = "-"
    ratio: str = "-"
    memory: str = "-"

    @staticmethod
    def heading() -> str:
        """The line above the rows."""
        return Row("work", "ours", "peer", "ratio", "memory").line()

    def line(self) -> str:
        """The row as aligned text."""
        return f"{self.work:<58} {self.ours:<22} {self.peer:<28} {self.ratio:<12} {self.memory}"
