"""A message to people, on its way through the outbox: kept in the same transaction as what it tells of, then sent."""

from __future__ import annotations

import time as clock
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WAITING, SENDING, SENT, DEAD = "waiting", "sending", "sent", "dead"
STATES = (WAITING, SENDING, SENT, DEAD)


@dataclass(frozen=True)
class Message:
    """What one channel shall carry.

    channel: name of the channel. title, text: plain words. data: the same for programs, as JSON values.
    key: names the message for ever; the outbox takes a key once, and a receiver that knows it already drops the second.
    urgent: so grave that it did not wait. due: not sent before (s since 1970). state: waiting, sending, sent or dead;
    attempts: how often it was tried; problem: why the last try failed. id: given by the outbox.
    """

    channel: str
    title: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    made: float = field(default_factory=clock.time)
    due: float = 0.0
    state: str = WAITING
    attempts: int = 0
    problem: str = ""
    urgent: bool = False
    id: int = 0

    def describe(self) -> dict[str, Any]:
        """The message as plain JSON values, without its text."""
        return {"id": self.id, "channel": self.channel, "title": self.title, "key": self.key, "made": self.made,
                "due": self.due, "state": self.state, "attempts": self.attempts, "problem": self.problem}  # fmt: skip
