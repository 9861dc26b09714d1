"""Commands to devices: which there are (rows of `commands.csv`), what they allow, and how one stands.

A command goes: checked (limits, who may, interlocks, a try on a fork of the state), sent, and then confirmed or refused by
the device, or silent when it did not answer in time. A city adds its own rows in a `commands.csv` in its folder.
"""

from __future__ import annotations

import csv
import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from citytwin import units
from citytwin.columns import Columns
from citytwin.errors import ConflictError, InputError, MissingError, nearest
from citytwin.incidents.journal import Entry, printable

FORMS = ("number", "whole", "choice", "text")
FIELDS = ("command", "kind", "form", "unit", "low", "high", "step", "most", "choices", "sets", "answer", "check", "roles",
          "meaning")  # fmt: skip
CLOSE = 1e-6  # relative: a number this near to a step is on it

Value = float | str


class Standing(enum.StrEnum):
    """How a command stands. The last three are final; `silent` means that nobody knows what the device did."""

    SENT = "sent"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True)
class CommandKind:
    """One declared command of one kind of device.

    form: number, whole, choice or text. low, high: least and most (of a text: its length), in `unit`. step: values are
    multiples of it from `low` on (0: any). most: the largest change at once (inf: any). choices: names of values. sets: the
    column in which the device then reports the value ("" none). answer: seconds within which the device has to answer.
    check: whether it must be tried on the twin before. roles: who may.
    """

    name: str
    kind: str
    form: str
    unit: str
    low: float
    high: float
    step: float
    most: float
    choices: Mapping[str, float]
    sets: str
    answer: float
    check: bool
    roles: tuple[str, ...]
    meaning: str

    def read(self, given: object) -> Value:
        """The value that `given` (a number in `unit`, a written quantity, a choice's name, a text) says. Raises InputError."""
        where = f"{self.kind} {self.name}"
        if self.form == "text":
            return self._text(given, where)
        if self.form == "choice":
            return self._choice(given, where)
        number = self._number(given, where)
        if not self.low <= number <= self.high:
            raise InputError(f"{number:g} {self._unit} is outside the limits".replace("  ", " "), where, self.allowed)
        if self.step and abs((number - self.low) / self.step - round((number - self.low) / self.step)) > CLOSE:
            raise InputError(f"{number:g} is not a multiple of {self.step:g} {self._unit}".strip(), where, self.allowed)
        return number

    def _number(self, given: object, where: str) -> float:
        if isinstance(given, bool) or not isinstance(given, (int, float, str)):
            raise InputError(f"{given!r} is not a number", where, self.allowed)
        if isinstance(given, str) and not units.compatible("dimensionless", self.unit):
            return units.to(given, self.unit) if units.split(given)[1] else float(units.split(given)[0])
        number = units.to(given, self.unit) if isinstance(given, str) else float(given)
        if not math.isfinite(number):
            raise InputError(f"{given!r} is not a number", where, self.allowed)
        return number

    def _choice(self, given: object, where: str) -> float:
        if isinstance(given, str) and given in self.choices:
            return self.choices[given]
        if isinstance(given, (int, float)) and not isinstance(given, bool) and float(given) in self.choices.values():
            return float(given)
        raise InputError(f"{given!r} is no choice", where, nearest(str(given), self.choices))

    def _text(self, given: object, where: str) -> str:
        if not isinstance(given, str):
            raise InputError(f"{given!r} is not a text", where, self.allowed)
        words = printable(given)
        if not self.low <= len(words) <= self.high:
            raise InputError(f"a text of {len(words)} characters", where, self.allowed)
        return words

    def steps_too_far(self, before: float, value: Value) -> str:
        """Why going from `before` to `value` at once is too much; empty if it is not, or where `before` is not known."""
        if isinstance(value, str) or not math.isfinite(before) or abs(value - before) <= self.most * (1 + CLOSE):
            return ""
        return f"from {before:g} to {value:g} {self._unit} at once: at most {self.most:g}".replace(" :", ":")

    @property
    def _unit(self) -> str:
        return "" if self.unit in ("enum", "1") else self.unit

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.form == "choice":
            return "allowed: " + ", ".join(self.choices)
        if self.form == "text":
            return f"allowed: {self.low:.0f} to {self.high:.0f} characters"
        return f"allowed: {self.low:g} to {self.high:g} {self._unit}".rstrip()

    def describe(self) -> dict[str, Any]:
        """The declaration as plain JSON values."""
        return {
            "name": self.name, "kind": self.kind, "form": self.form, "unit": self._unit, "low": _known(self.low),
            "high": _known(self.high), "step": self.step, "most": _known(self.most), "choices": dict(self.choices),
            "sets": self.sets, "answer": self.answer, "check": self.check, "roles": list(self.roles), "meaning": self.meaning,
        }  # fmt: skip


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None


class CommandKinds:
    """The declared commands of a city: the shipped ones and those of the `commands.csv` in its folder."""

    def __init__(self, columns: Columns, folder: Path | None = None) -> None:
        self._kinds: dict[tuple[str, str], CommandKind] = {}
        shipped = resources.files("citytwin.incidents").joinpath("commands.csv").read_text(encoding="utf-8")
        self._declare(shipped, "commands.csv", columns)
        own = folder / "commands.csv" if folder is not None else None
        if own is not None and own.exists():
            self._declare(own.read_text(encoding="utf-8-sig"), str(own), columns)

    def _declare(self, text: str, where: str, columns: Columns) -> None:
        for number, row in enumerate(csv.DictReader(text.splitlines()), start=2):
            kind = _command_kind(row, f"{where} line {number}", columns)
            if self._kinds.setdefault((kind.kind, kind.name), kind) != kind:
                raise ConflictError(
                    f'command "{kind.name}" of {kind.kind} is declared twice, differently', f"{where} line {number}"
                )

    def of(self, kind: str) -> list[CommandKind]:
        """The commands that devices of `kind` take."""
        return [c for (owner, _), c in self._kinds.items() if owner == kind]

    def get(self, kind: str, name: str) -> CommandKind:
        """Command `name` of devices of `kind`. Raises MissingError with the nearest name."""
        found = self._kinds.get((kind, name))
        if found is None:
            known = [c.name for c in self.of(kind)]
            hint = nearest(name, known) if known else "devices of this kind take no commands"
            raise MissingError(f'no command "{name}" for devices of kind {kind}', hint=hint)
        return found

    def __iter__(self) -> Iterable[CommandKind]:  # type: ignore[override]
        return iter(self._kinds.values())


def _command_kind(row: Mapping[str, str], where: str, columns: Columns) -> CommandKind:
    missing = [f for f in FIELDS if row.get(f) is None]
    if missing:
        raise InputError(f"field {missing[0]} is missing", where, "fields: " + ",".join(FIELDS))
    columns.kind(row["kind"])
    if row["form"] not in FORMS:
        raise InputError(f'no form "{row["form"]}"', where, nearest(row["form"], FORMS))
    if row["sets"]:
        _ = columns[row["sets"]]
    try:
        numbers = {name: float(row[name] or default) for name, default in
                   (("low", "-inf"), ("high", "inf"), ("step", "0"), ("most", "inf"), ("answer", "nan"))}  # fmt: skip
        choices = {name: float(value) for name, value in (c.split("=") for c in row["choices"].split(";") if c)}
    except ValueError as error:
        raise InputError(str(error), where) from error
    if not numbers["answer"] > 0:
        raise InputError("the seconds within which the device answers are missing", where, "field answer")
    if not numbers["low"] <= numbers["high"]:
        raise InputError(f"limits {numbers['low']:g} to {numbers['high']:g} allow nothing", where)
    if row["form"] == "choice" and not choices:
        raise InputError("a choice without choices", where, "choices: stop=0;run=1")
    roles = tuple(r.strip() for r in row["roles"].split(";") if r.strip())
    return CommandKind(
        row["command"], row["kind"], row["form"], row["unit"] or "1", numbers["low"], numbers["high"], numbers["step"],
        numbers["most"], choices, row["sets"], numbers["answer"], row["check"] == "yes", roles, row["meaning"],
    )  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One command on its way. Times are s since 1970; `answered` and `note` are of the device's answer."""

    id: str
    device: str
    kind: str
    name: str
    value: Value
    actor: str
    role: str
    reason: str
    made: float
    deadline: float
    before: float | None = None
    standing: Standing = Standing.SENT
    answered: float | None = None
    note: str = ""
    contradicted: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The command as a person reads it."""
        value = self.value if isinstance(self.value, str) else f"{self.value:g}"
        return f"{self.name} {value}"

    def ended(self, standing: Standing, when: float, note: str = "") -> Command:
        """The command with its end."""
        return replace(self, standing=standing, answered=when, note=note)

    def describe(self) -> dict[str, Any]:
        """The command as plain JSON values."""
        return {
            "id": self.id, "device": self.device, "kind": self.kind, "command": self.name, "value": self.value,
            "actor": self.actor, "role": self.role, "reason": self.reason, "made": self.made, "deadline": self.deadline,
            "before": self.before, "standing": str(self.standing), "answered": self.answered, "note": self.note,
            "contradicted": self.contradicted,
        }  # fmt: skip

    def entry(self, what: str, text: str, when: float) -> Entry:
        """The line that the journal keeps of it: `command.WHAT`."""
        actor = self.actor if what == "sent" else f"device {self.device}" if what in ("confirmed", "refused") else "twin"
        return Entry(f"command.{what}", text, actor, f"device/{self.device}", self.describe(), when)


def folded(entries: Iterable[Entry]) -> list[Command]:
    """The commands that journal entries tell of, oldest first, each as its last entry leaves it."""
    found: dict[str, Command] = {}
    for entry in sorted(entries, key=lambda e: e.id):
        d = entry.data
        if not entry.kind.startswith("command.") or "id" not in d:
            continue
        found[d["id"]] = Command(
            d["id"], d["device"], d["kind"], d["command"], d["value"], d["actor"], d["role"], d["reason"], d["made"],
            d["deadline"], d["before"], Standing(d["standing"]), d["answered"], d["note"], d["contradicted"],
        )  # fmt: skip
    return list(found.values())
