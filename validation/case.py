"""One line of validation, as every case gives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was compared (case), by which measure (metric), what is promised (bound) and what came out (value)."""

    case: str
    metric: str
    bound: float
    value: float

    @property
    def holds(self) -> bool:
        """Whether the value is within the bound; a value that is no number is not."""
        return self.value <= self.bound

    def line(self) -> str:
        """The row as aligned text."""
        verdict = "holds" if self.holds else "FALLS SHORT"
        return f"{self.case:<62} {self.metric:<46} {self.bound:<10.3g} {self.value:<10.3g} {verdict}"
