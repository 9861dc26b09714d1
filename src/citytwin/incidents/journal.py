"""The journal: what happened and who did it, appended and never changed.

An `Entry` is one line of it. Whatever keeps a journal is a `Journal`: `citytwin.io.stores.records` keeps it in SQL. Entries
are chained: each carries the SHA-256 of itself and of the digest before it, so that a line changed or taken out shows.
"""

from __future__ import annotations

import hashlib
import json
import re
import time as clock
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from citytwin.errors import InputError
from citytwin.incidents.message import Message
from citytwin.jsonable import plain

KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")  # all but tab and line end; PostgreSQL keeps no NUL
LONGEST_NAME, LONGEST_TEXT, LONGEST_DATA = 300, 20_000, 1_000_000  # characters
MOST_ENTRIES = 10_000  # of one page
START = "0" * 64  # the digest before the first entry


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    kind: dotted words, the noun first (`alert.opened`, `command.sent`). text: one sentence that a person reads.
    actor: who did it, `twin` where nobody did. subject: what it is about, a table and a key (`device/dev-7`) or the like
    (`alert/12`, `rule/high_river`, `channel/duty`). data: more, as JSON values. time: s since 1970 (UTC).
    id: 1, 2, 3 ... without gaps, given by the journal (0 before); digest: given by the journal too.
    """

    kind: str
    text: str
    actor: str = "twin"
    subject: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=clock.time)
    id: int = 0
    digest: str = ""

    def __post_init__(self) -> None:
        if not KIND.fullmatch(self.kind):
            raise InputError(f'"{self.kind}" is not a kind of journal entry', hint="words joined by dots: alert.opened")
        object.__setattr__(self, "text", printable(self.text)[:LONGEST_TEXT])
        for name in ("actor", "subject"):
            object.__setattr__(self, name, printable(getattr(self, name)).replace("\n", " ")[:LONGEST_NAME])
        object.__setattr__(self, "data", plain(dict(self.data)))
        if len(self.written) > LONGEST_DATA:
            raise InputError(f"data of {len(self.written)} characters is too long for one entry", f"journal {self.kind}")

    @property
    def written(self) -> str:
        """`data` as canonical JSON text, the form that is kept and hashed."""
        return json.dumps(self.data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

    def chained(self, number: int, before: str) -> Entry:
        """The entry as number `number`, behind the entry whose digest is `before`."""
        said = json.dumps([number, self.time, self.kind, self.actor, self.subject, self.text, self.written], ensure_ascii=True)
        return replace(self, id=number, digest=hashlib.sha256(f"{before}\n{said}".encode()).hexdigest())

    def describe(self) -> dict[str, Any]:
        """The entry as plain JSON values; `time` stays seconds since 1970."""
        return {"id": self.id, "time": self.time, "kind": self.kind, "actor": self.actor, "subject": self.subject,
                "text": self.text, "data": dict(self.data)}  # fmt: skip


def printable(text: str) -> str:
    """`text` without characters that nobody sees."""
    return UNPRINTABLE.sub(" ", str(text)).strip()


@dataclass(frozen=True)
class Asked:
    """What is wanted of the journal; everything that is given must hold.

    kind: exactly this, or all below it (`alert` finds `alert.opened`). subject: exactly this, or below it (`device` finds
    `device/dev-7`). begin, end: s since 1970, begin included. words: text that stands in the sentence, case aside.
    before, after: only entries with a smaller or a larger id. oldest_first: as they came; else the newest first.
    """

    kind: str = ""
    actor: str = ""
    subject: str = ""
    begin: float | None = None
    end: float | None = None
    words: str = ""
    before: int | None = None
    after: int | None = None
    limit: int = 100
    oldest_first: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MOST_ENTRIES:
            raise InputError(f"a page of {self.limit} entries", "limit", f"1 to {MOST_ENTRIES}")


@dataclass(frozen=True)
class Page:
    """Entries found; `next` is the id to go on from (`before` it, or `after` it where oldest first), None at the end."""

    entries: Sequence[Entry]
    next: int | None


class Journal(Protocol):
    """Where entries are kept. Methods block on a disk and may be called from any thread."""

    told: list[Callable[[Sequence[Entry]], None]]
    """Called with entries after they are kept, in the thread that appended them."""

    def append(self, entries: Iterable[Entry], messages: Iterable[Message] = ()) -> list[Entry]:
        """Keep entries, and messages to send, all or none; the entries come back with id and digest. Raises OutsideError."""

    def read(self, asked: Asked) -> Page:
        """A page of entries."""

    def verify(self) -> int | None:
        """The id of the first entry that was changed, or behind which one is missing; None where the journal is whole."""
