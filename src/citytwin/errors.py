"""The errors that citytwin raises, named by what the reader can do about them.

Every error is one line: what was given (`message`), `where`, and a `hint` with what is allowed or the nearest valid
name. The command line maps the class to an exit code (`EXIT_CODES`), the server maps it to an HTTP status.
A bad reading is not an exception: it is counted and kept with its reason.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TwinError(Exception):
    """Something a person can act upon. `message` says what, `where` says the place, `hint` says the way out."""

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        line = f"{self.where}: {self.message}" if self.where else self.message
        line = f"{line} ({self.hint})" if self.hint else line
        return " ".join(line.split())

    def __reduce__(self) -> tuple[type[TwinError], tuple[str, str, str]]:
        return type(self), (self.message, self.where, self.hint)


class InputError(TwinError):
    """What was given is wrong: correct it and try again."""


class MissingError(TwinError):
    """What was asked for is not there: name another or make it first."""


class ConflictError(TwinError):
    """Somebody or something else holds it: wait, or stop the other."""


class OutsideError(TwinError):
    """Something outside citytwin failed: disk, network, port, another program."""


class SimulationError(TwinError):
    """The simulation itself failed: the state it met has no valid continuation."""


EXIT_CODES: dict[type[TwinError], int] = {
    InputError: 2,
    MissingError: 2,
    ConflictError: 2,
    OutsideError: 3,
    SimulationError: 4,
}


def exit_code(error: TwinError) -> int:
    """The exit code of the command line for `error`."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 3)


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint that names the nearest valid entry, or lists what is allowed when nothing is near.

    >>> nearest("intensty", ["intensity", "duration"])
    'did you mean "intensity"?'
    """
    names = sorted(str(a) for a in allowed)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return "allowed: " + ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "nothing is allowed here"
