"""Control: commands to devices, tried first, sent, answered or not; every step is in the journal.

The journal is the only store: after a restart, open commands are those that its last entry leaves open. They are repeated
until their deadline; past it they are silent, and nobody claims to know what the device did.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from citytwin.city import City
from citytwin.columns import Columns
from citytwin.errors import ConflictError, InputError, OutsideError
from citytwin.incidents.command import Command, CommandKind, CommandKinds, Standing, Value, folded
from citytwin.incidents.interlock import Interlocks, Possible
from citytwin.incidents.journal import Asked, Entry, Journal
from citytwin.incidents.signals import Declared, read_signals
from citytwin.io.channels.devices import ANSWER, Answer, DeviceLine, topic_of
from citytwin.state import STATUS, Arrivals, State
from citytwin.twin.devices import Devices

AGAIN_SECONDS = 2.0  # between repeats of a command that is not answered
TICKET_SECONDS = 120.0  # a try on the twin is good for so long
WATCH_PERIODS = 3.0  # periods for which readings are compared with what a device said it did
REMEMBERED = 1000  # commands kept in memory
SILENT = STATUS.index("silent")

log = logging.getLogger("citytwin.control")


@dataclass(frozen=True)
class Wanted:
    """What somebody wants a device to do, before it is checked. `ticket`: of a try on the twin."""

    device: str
    command: str
    value: object
    actor: str
    role: str = ""
    reason: str = ""
    ticket: str = ""


@dataclass
class Tried:
    """What a try on a fork of the state shows. `problems` forbid the command, `warnings` do not."""

    device: str
    kind: CommandKind
    value: Value
    problems: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    ticket: str = ""
    until: float = 0.0

    @property
    def words(self) -> str:
        """What is wanted, as a person reads it."""
        return f"{self.kind.name} {self.value if isinstance(self.value, str) else format(self.value, 'g')}"

    def describe(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "device": self.device, "command": self.kind.name, "value": self.value, "ok": not self.problems,
            "problems": self.problems, "warnings": self.warnings, "effects": self.effects, "ticket": self.ticket,
            "until": self.until or None,
        }  # fmt: skip


class Control:
    """The desk from which a city's devices are steered. A listener of the twin: it hears readings and the clock."""

    def __init__(
        self, folder: Path, city: City, columns: Columns, devices: Devices, state: Callable[[], State], journal: Journal
    ) -> None:
        self.kinds = CommandKinds(columns, folder)
        self.interlocks = Interlocks.read(folder, city, columns)
        self.signals: Declared = read_signals(folder)
        self.line = DeviceLine(self._answered)
        self.told: list[Callable[[Command], None]] = []  # called with each command that is new or stands otherwise
        self._city, self._columns, self._devices, self._state, self._journal = city, columns, devices, state, journal
        self._commands: dict[str, Command] = {}
        self._sent_at: dict[str, float] = {}
        self._tickets: dict[str, tuple[str, str, Value, float]] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self, port: int) -> None:
        """Take up the commands that the journal leaves open, then listen for answers. Raises OutsideError."""
        page = await asyncio.to_thread(self._journal.read, Asked(kind="command", limit=REMEMBERED))
        self._commands = {c.id: c for c in folded(page.entries)}
        await self.line.open(port)

    async def close(self) -> None:
        """Let go of the line; what is open stays open in the journal."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=5)
        await self.line.close()

    # -- what may be done ---------------------------------------------------------------------------------------------

    def commands_of(self, device: str) -> list[dict[str, Any]]:
        """The commands that a device takes, described; plans and stages of signals are named choices."""
        row = int(self._city.row("device", device))
        kind = self._devices.names[row]
        return [c.describe() | {"choices": self._choices(device, c)} for c in self.kinds.of(kind)]

    def _choices(self, device: str, kind: CommandKind) -> dict[str, float]:
        named = {"set_plan": self.signals.of(device).plans, "hold_stage": self.signals.of(device).stages}.get(kind.name)
        if named is None:
            return dict(kind.choices)
        return {f"{number} {words}".strip(): float(number) for number, words in named().items()}

    def attempt(self, wanted: Wanted) -> Tried:
        """Try a command on a fork of the state: limits, who may, interlocks, what would change. Raises Input-, MissingError."""
        row = int(self._city.row("device", wanted.device))
        kind = self.kinds.get(self._devices.names[row], wanted.command)
        tried = Tried(wanted.device, kind, kind.read(wanted.value))
        if not wanted.actor.strip():
            raise InputError("who commands is missing", "actor")
        if kind.roles and wanted.role not in kind.roles:
            tried.problems.append(
                _problem("role", f'role "{wanted.role}" may not {kind.name} a {kind.kind}', ", ".join(kind.roles))
            )
        self._look_at_limits(row, tried)
        self._look_at_signals(tried)
        self._look_at_interlocks(row, tried)
        self._look_ahead(row, tried)
        if not tried.problems:
            self._give_ticket(tried)
        return tried

    def _look_at_limits(self, row: int, tried: Tried) -> None:
        before = float(self._devices.value[row]) if tried.kind.sets else math.nan
        too_far = tried.kind.steps_too_far(before, tried.value)
        if too_far:
            tried.problems.append(_problem("limit", too_far, "go there in several steps"))
        status = int(self._devices.status[row])
        if STATUS[status] != "online":
            tried.warnings.append(f"the device is {STATUS[status]}")
        for other in self._open():
            if other.device == tried.device:
                tried.problems.append(_problem("busy", f'"{other.words}" of {other.actor} is not answered yet', "wait for it"))

    def _look_at_signals(self, tried: Tried) -> None:
        allowed = self._choices(tried.device, tried.kind) if tried.kind.name in ("set_plan", "hold_stage") else {}
        if allowed and tried.value not in allowed.values():
            tried.problems.append(_problem("signals", f"{tried.words} is not declared for this crossing", ", ".join(allowed)))

    def _look_at_interlocks(self, row: int, tried: Tried) -> None:
        if not tried.kind.sets or isinstance(tried.value, str):
            return
        for rule, others in self.interlocks.broken(row, tried.value, self._possible):
            names = ", ".join(f"{self._devices.keys[r]} at {self._at(r)}" for r in others) or "by itself"
            tried.problems.append(_problem("interlock", f'interlock "{rule.name}": {names}', rule.why))

    def _possible(self, row: int) -> Possible:
        """Where a device may be: where it says it is, and where commands on their way, or lost, may have brought it."""
        value = float(self._devices.value[row])
        if not math.isfinite(value) or int(self._devices.status[row]) == SILENT:
            return None
        values = {value}
        for command in self._commands.values():
            if command.device != self._devices.keys[row] or isinstance(command.value, str):
                continue
            heard = float(self._devices.time[row])
            if command.standing in (Standing.SENT, Standing.SILENT) or (command.answered or 0.0) > heard:
                values.add(command.value)
        return frozenset(values)

    def _at(self, row: int) -> str:
        possible = self._possible(row)
        return "nobody knows what" if possible is None else " or ".join(f"{v:g}" for v in sorted(possible))

    def _look_ahead(self, row: int, tried: Tried) -> None:
        """What the twin would show after it."""
        if not tried.kind.sets or isinstance(tried.value, str):
            return
        fork = self._state().fork()
        before = float(fork[tried.kind.sets][row])
        fork.edit(tried.kind.sets)[row] = tried.value
        column = self._columns[tried.kind.sets]
        tried.effects.append({
            "table": column.table, "key": tried.device, "column": column.name, "unit": column.unit,
            "before": before if math.isfinite(before) else None, "after": float(fork[column.name][row]),
        })  # fmt: skip
        if before == tried.value:
            tried.warnings.append("the device is there already")
        relations = self._city.relations
        mine = relations[(relations["from_table"] == "device") & (relations["from_key"] == tried.device)]
        tried.effects.extend({"table": t, "key": k, "relation": r} for r, t, k in
                             zip(mine["kind"], mine["to_table"], mine["to_key"], strict=True))  # fmt: skip

    def _give_ticket(self, tried: Tried) -> None:
        now = time.time()
        self._tickets = {t: v for t, v in self._tickets.items() if v[3] > now}
        tried.ticket, tried.until = secrets.token_urlsafe(12), now + TICKET_SECONDS
        self._tickets[tried.ticket] = (tried.device, tried.kind.name, tried.value, tried.until)

    # -- doing it -----------------------------------------------------------------------------------------------------

    async def send(self, wanted: Wanted) -> Command:
        """Send a command once it is in the journal. Raises ConflictError where it may not be, InputError, OutsideError."""
        async with self._sending:
            tried = self.attempt(wanted)
            row = int(self._city.row("device", wanted.device))
            now = time.time()
            if tried.problems:
                first = tried.problems[0]
                words = f"{wanted.actor} may not {tried.words} {tried.device}: {first['message']}"
                subject = f"device/{tried.device}"
                await self._note(Entry("command.forbidden", words, wanted.actor, subject, tried.describe(), now))
                raise ConflictError(first["message"], f"{tried.device} {tried.kind.name}", first["hint"])
            if tried.kind.check and not self._tried_before(wanted, tried, now):
                raise ConflictError("this command has to be tried on the twin first", f"{tried.device} {tried.kind.name}",
                                    "ask for a check, and send its ticket along")  # fmt: skip
            before = float(self._devices.value[row]) if tried.kind.sets else math.nan
            command = Command(
                secrets.token_hex(8), tried.device, tried.kind.kind, tried.kind.name, tried.value, wanted.actor, wanted.role,
                wanted.reason, now, now + tried.kind.answer, before if math.isfinite(before) else None,
            )  # fmt: skip
            await self._note(command.entry("sent", f"{command.actor}: {command.words} to {command.device}", now))
            self._keep(command)
        await self._put_out(command)
        return command

    def _tried_before(self, wanted: Wanted, tried: Tried, now: float) -> bool:
        ticket = self._tickets.pop(wanted.ticket, None)
        return ticket is not None and ticket[:3] == (tried.device, tried.kind.name, tried.value) and ticket[3] > now

    async def _put_out(self, command: Command) -> None:
        self._sent_at[command.id] = time.time()
        with contextlib.suppress(OutsideError):  # repeated until its deadline
            await self.line.send(command)

    def _keep(self, command: Command) -> None:
        self._commands[command.id] = command
        for follower in self.told:
            follower(command)
        while len(self._commands) > REMEMBERED:
            del self._commands[next(iter(self._commands))]

    def _open(self) -> list[Command]:
        return [c for c in self._commands.values() if c.standing is Standing.SENT]

    def _answered(self, answer: Answer) -> None:
        """A device answers; the first answer counts, a late one is noted."""
        said = answer.said
        command = self._commands.get(said.id)
        if command is None or answer.topic != topic_of(ANSWER, command.kind, command.device):
            log.warning("an answer to no command of ours under %s", answer.topic)
            return
        if command.standing in (Standing.CONFIRMED, Standing.REFUSED):
            return
        now = time.time()
        other = said.ok and said.value is not None and not _same(said.value, command.value)
        standing = Standing.CONFIRMED if said.ok and not other else Standing.REFUSED
        note = f"it is at {said.value} instead" if other else said.error[:300]
        late = command.standing is Standing.SILENT
        ended = command.ended(standing, now, ("late; " if late else "") + note)
        self._end(
            ended,
            f"{command.device} {'did' if standing is Standing.CONFIRMED else 'did not'} {command.words}"
            + (f": {ended.note}" if ended.note else ""),
        )

    def _end(self, command: Command, words: str) -> None:
        self._keep(command)
        self._sent_at.pop(command.id, None)
        self._write(command.entry(str(command.standing), words, command.answered or time.time()))

    def _write(self, entry: Entry) -> None:
        task = asyncio.get_running_loop().create_task(self._note(entry))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _note(self, entry: Entry) -> None:
        await asyncio.to_thread(self._journal.append, [entry])

    # -- listening ----------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Once a second: repeat what is not answered, give up what is past its deadline."""
        for command in self._open():
            if now > command.deadline:
                self._end(
                    command.ended(Standing.SILENT, now, "no answer in time"),
                    f"{command.device} did not answer to {command.words}",
                )
            elif now - self._sent_at.get(command.id, 0.0) >= AGAIN_SECONDS:
                task = asyncio.get_running_loop().create_task(self._put_out(command))
                self._writing.add(task)
                task.add_done_callback(self._writing.discard)

    def hear(self, batch: Arrivals) -> None:
        """Compare readings with what devices said they did."""
        for command in list(self._commands.values()):
            if command.standing is not Standing.CONFIRMED or command.contradicted or isinstance(command.value, str):
                continue
            kind = self.kinds.get(command.kind, command.name)
            row = int(self._city.row("device", command.device))
            since = command.answered or 0.0
            if not kind.sets or time.time() > since + WATCH_PERIODS * self._devices.period[row]:
                continue
            later = (batch.row == row) & batch.believed & (batch.time > since)
            wrong = later & (np.abs(batch.value - command.value) > max(kind.step, 1e-6))
            if wrong.any():
                value = float(batch.value[np.flatnonzero(wrong)[-1]])
                told = replace(command, contradicted=True)
                self._keep(told)
                self._write(
                    told.entry("contradicted", f"{command.device} said it did {command.words} but reads {value:g}", time.time())
                )

    # -- questions ----------------------------------------------------------------------------------------------------

    def commands(self, device: str = "", limit: int = 100) -> list[Command]:
        """The newest commands, of one device or of all, newest first."""
        found = [c for c in self._commands.values() if not device or c.device == device]
        return sorted(found, key=lambda c: -c.made)[:limit]

    def command(self, name: str) -> Command | None:
        """One command by its id."""
        return self._commands.get(name)


def _same(said: float | str, value: Value) -> bool:
    if isinstance(said, str) or isinstance(value, str):
        return str(said) == str(value)
    return math.isclose(said, value, rel_tol=1e-6, abs_tol=1e-6)


def _problem(kind: str, message: str, hint: str = "") -> dict[str, str]:
    return {"kind": kind, "message": message, "hint": hint}
