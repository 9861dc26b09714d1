"""Alerts of a living city: rules looked at once a second in a thread, what they find recorded, people told.

    alerts = Alerts(folder, city, columns, records, journal, state, sources)
    twin.listeners.append(alerts)     # its `tick` gives the second
    alerts.start()                    # in the event loop; `await alerts.stop()` at the end

A look: engine -> book -> records (alerts, journal, notices in one transaction) -> digests into the outbox -> postman.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.city import City
from citytwin.columns import Columns
from citytwin.errors import InputError, MissingError, OutsideError, TwinError, nearest
from citytwin.incidents.alerts import Alert, Book, Changes, Silence
from citytwin.incidents.journal import Entry
from citytwin.incidents.message import Message
from citytwin.incidents.rules import Engine, Rule, rule_of
from citytwin.incidents.rules.compiling import OWN
from citytwin.io.channels import Channel, read_channels
from citytwin.io.stores.records import Outbox, Records, SqlJournal
from citytwin.io.stores.records.alerts import AlertStore
from citytwin.state import Arrivals, State
from citytwin.twin.postman import Postman
from citytwin.twin.rulebook import Rulebook
from citytwin.twin.view import Forecast, LiveView, Sources

LOOK_AT_FILES = 5.0  # seconds between looks whether somebody has changed rules.toml
DAY = 86400.0
FORECASTS = 20  # runs that are remembered

log = logging.getLogger("citytwin.alerts")


class Alerts:
    """Rules, alerts and messages of one city. `told`: called in the event loop with alerts that have changed.

    problem: why alerts cannot be recorded just now, in words. changed_devices: since a batch number, which have new values.
    """

    def __init__(
        self, folder: Path, city: City, columns: Columns, records: Records, journal: SqlJournal, state: Callable[[], State],
        sources: Sources, changed_devices: Callable[[int], tuple[int, npt.NDArray[np.int64]]] | None = None,
    ) -> None:  # fmt: skip
        self.city, self.journal = city, journal
        self.store, self.outbox = AlertStore(records, journal), Outbox(records)
        self.rulebook = Rulebook(folder)
        self.channels, self.channel_problem = _channels(folder)
        self.postman = Postman(self.outbox, journal, self.channels)
        self._sources = sources
        self.view = LiveView(city, columns, state, Sources(sources.heard, sources.status, self._own))
        self.engine = Engine(self.view, {})
        self.policies = {name: channel.policy for name, channel in self.channels.items()}
        self.book = Book(self.engine, self.policies, _Names(city), self.store.open(), self.store.next_id(),
                         self.store.silences(time.time()))  # fmt: skip
        self.told: list[Callable[[Sequence[Alert]], None]] = []
        self.problem = ""
        self.took = 0.0  # seconds of the last look
        self._changed_devices = changed_devices
        self._seen = 0
        self._dead = 0
        self._counted = self._looked_at_files = -1e18
        self._lock = threading.RLock()
        self._second = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._put_all()

    # -- rules ---------------------------------------------------------------------------------------------------------

    def _put_all(self) -> None:
        """All rules of the book to work; those that cannot be get a problem."""
        for name in [n for n in self.engine.watched if n not in self.rulebook.rules]:
            self.engine.remove(name)
        for name, rule in self.rulebook.rules.items():
            at_work = self.engine.watched.get(name)
            if at_work is not None and at_work.rule == rule:
                continue
            try:
                self.engine.put(name, rule)
            except TwinError as error:
                self.engine.remove(name)
                self.rulebook.problems[name] = error
        for name, problem in self.rulebook.problems.items():
            log.warning("rule %s is not at work: %s", name or self.rulebook.path.name, problem)

    def put_rule(self, name: str, said: dict[str, Any], who: str, new: bool) -> Rule:
        """Write a rule to `rules.toml` and put it to work. Blocks. Raises Input-, Conflict-, Missing-, OutsideError."""
        with self._lock:
            self.engine.made(name, rule_of(said, f"rule.{name}"))
            rule = self.rulebook.put(name, said, new)
            self._put_all()
            words = "made" if new else "changed"
            self.journal.append([Entry(f"rule.{words}", f"{who} {words} the rule {name}", who, f"rule/{name}", {"rule": said})])
        return rule

    def remove_rule(self, name: str, who: str) -> None:
        """Take a rule out of `rules.toml`; its alerts close. Blocks. Raises MissingError, ConflictError, OutsideError."""
        with self._lock:
            was = self.rulebook.said.get(name)
            self.rulebook.remove(name)
            self._put_all()
            self.journal.append([Entry("rule.removed", f"{who} removed the rule {name}", who, f"rule/{name}", {"rule": was})])

    # -- the second ----------------------------------------------------------------------------------------------------

    def hear(self, batch: Arrivals) -> None:
        """Readings are seen in the state, once a second."""

    def tick(self, now: float) -> None:
        """A second has passed: look, unless the last look still goes on."""
        self._second.set()

    def start(self) -> None:
        """Look from now on, and carry messages."""
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self.postman.run())]

    async def stop(self) -> None:
        """Stop looking. What waits in the outbox waits for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _watch(self) -> None:
        while True:
            await self._second.wait()
            self._second.clear()
            try:
                changed, posted = await asyncio.to_thread(self.look, time.time())
                self.problem = ""
            except OutsideError as error:
                if str(error) != self.problem:
                    log.warning("alerts cannot be recorded: %s", error)
                self.problem = str(error)
                continue
            except Exception:
                log.exception("rules could not be looked at")
                self.problem = "rules could not be looked at: the log says why"
                continue
            self._tell(changed)
            if posted:
                self.postman.wake()

    def _tell(self, alerts: Sequence[Alert]) -> None:
        for listener in self.told if alerts else ():
            listener(alerts)

    def look(self, now: float) -> tuple[list[Alert], list[Message]]:
        """One look at everything: alerts that changed, messages made. Blocks on the records. Raises OutsideError."""
        begin = time.perf_counter()
        with self._lock:
            if now - self._looked_at_files > LOOK_AT_FILES:
                self._looked_at_files = now
                if self.rulebook.changed:
                    self.rulebook.read()
                    self._put_all()
            self.view.look_at_self()
            self.book.attend()
            changes = self.book.compare(self.engine.step(now, self._new_values()), now)
            self._record(changes)
        posted = self.store.digest(self.city.name, self.policies, now) if self.policies else []
        self.took = time.perf_counter() - begin
        return changes.alerts, posted

    def _record(self, changes: Changes) -> None:
        if changes:
            self.store.record(changes)
            self.book.done(changes)

    def _new_values(self) -> npt.NDArray[np.bool_] | None:
        if self._changed_devices is None:
            return None
        self._seen, rows = self._changed_devices(self._seen)
        marks = np.zeros(self.city.size("device") if "device" in self.city else 0, dtype=np.bool_)
        marks[rows] = True
        return marks

    def _own(self) -> dict[str, float]:
        """The numbers of the twin itself."""
        now = time.time()
        if now - self._counted > 60:
            self._counted = now
            try:
                self._dead = self.outbox.dead_since(now - DAY)
            except OutsideError as error:
                log.warning("%s", error)
        return {**self._sources.own(), "messages_dead": self._dead, "channels_failing": len(self.postman.problems)}

    def add_forecast(self, forecast: Forecast) -> None:
        """A run is done: rules about forecasts look at it from now on."""
        self.view.forecasts = [forecast, *self.view.forecasts][:FORECASTS]

    # -- people --------------------------------------------------------------------------------------------------------

    def acknowledge(self, ids: Sequence[int], who: str, note: str = "") -> list[Alert]:
        """Somebody sees to alerts. Blocks. Raises InputError, MissingError, ConflictError, OutsideError."""
        with self._lock:
            changes = self.book.acknowledge(ids, who, note, time.time())
            self._record(changes)
        return changes.alerts

    def silence(self, asked: Silence) -> Silence:
        """Tell nobody of some alerts for a time. Blocks. Raises InputError, OutsideError."""
        with self._lock:
            if asked.rule and asked.rule not in self.rulebook.said:
                raise MissingError(f'no rule "{asked.rule}"', "rule", nearest(asked.rule, self.rulebook.said))
            if not (asked.rule or asked.key):
                raise InputError("a silence is of a rule, of a thing, or both", "rule", "give rule, or table and key")
            kept = self.store.put_silence(asked, self.book.silence(asked, time.time()))
            self.book.silences.append(kept)
        return kept

    def end_silence(self, number: int, who: str) -> None:
        """Tell people again. Blocks. Raises MissingError, OutsideError."""
        now = time.time()
        with self._lock:
            self.store.end_silence(number, now, [Entry("alert.unsilenced", f"{who} ended silence {number}", who)])
            self.book.silences = self.store.silences(now)


def _channels(folder: Path) -> tuple[dict[str, Channel], str]:
    """The channels, or why there are none."""
    try:
        return read_channels(folder), ""
    except TwinError as error:
        log.warning("nobody can be told: %s", error)
        return {}, str(error)


class _Names:
    """Names and zones of things, by table and key; a table is indexed when one of its things is first asked for."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._known: dict[str, tuple[pd.Index[Any], list[Any], list[Any]]] = {}

    def __call__(self, table: str, key: str) -> tuple[str, str]:
        if table == OWN:
            return "The twin", ""
        if table not in self._city.tables:
            return key, ""
        if table not in self._known:
            frame = self._city.table(table)
            name, zone = (frame[f].astype(object).tolist() if f in frame else [""] * len(frame) for f in ("name", "zone"))
            self._known[table] = pd.Index(frame["key"].astype(str)), name, zone
        keys, names, zones = self._known[table]
        try:
            row: Any = keys.get_loc(key)
        except KeyError:
            return key, ""
        return _text(names[row]), _text(zones[row])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
